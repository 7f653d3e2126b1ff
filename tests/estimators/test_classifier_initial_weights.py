"""Weights given by the user: coef_init, intercept_init and from_weights."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from registries import SOLVERS, UPDATES
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from small_networks import assert_same_weights, for_mini_batches, random_weights, small
from toy_datasets import OUTPUTS, TARGETS, linear_rule

from skbp import BackpropClassifier

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def one_sgd_step_by_hand(x, y, W1, b1, W2, b2, alpha, rate):
    """New weights of a logistic network of 3, 2 and 1 units, with one formula for each number."""

    def g(z):
        return 1.0 / (1.0 + np.exp(-z))

    h = [g(sum(x[i] * W1[i][j] for i in range(3)) + b1[j]) for j in range(2)]
    out = g(h[0] * W2[0] + h[1] * W2[1] + b2)
    d2 = out - y
    d1 = [d2 * W2[j] * h[j] * (1 - h[j]) for j in range(2)]
    new_W1 = [[W1[i][j] - rate * (x[i] * d1[j] + alpha * W1[i][j]) for j in range(2)] for i in range(3)]
    new_b1 = [b1[j] - rate * d1[j] for j in range(2)]
    new_W2 = [W2[j] - rate * (h[j] * d2 + alpha * W2[j]) for j in range(2)]
    penalty = alpha / 2 * (sum(w * w for row in W1 for w in row) + sum(w * w for w in W2))
    loss = -np.log(out if y else 1 - out) + penalty
    return new_W1, new_b1, new_W2, b2 - rate * d2, loss


@pytest.mark.parametrize("true_class", [0, 1])
@pytest.mark.parametrize("route", ["coef_init", "from_weights"])
def test_one_step_of_sgd_equals_the_example_worked_by_hand(true_class, route):
    x, W1, b1, W2, b2 = [0.6, 0.8, 0.7], [[0.1, 0.2], [0.3, 0.1], [0.5, 0.0]], [0.1, 0.1], [0.1, 0.2], 1.0
    new_W1, new_b1, new_W2, new_b2, loss = one_sgd_step_by_hand(x, true_class, W1, b1, W2, b2, alpha=0.1, rate=0.1)
    coefs, intercepts = [W1, [[w] for w in W2]], [b1, [b2]]
    params = {"solver": "sgd", "learning_rate_init": 0.1, "alpha": 0.1, "momentum": 0.0, "activation": "logistic"}
    if route == "coef_init":
        clf = BackpropClassifier(hidden_layer_sizes=2, max_iter=1, random_state=1, **params)
        # The second row has weight zero. It only makes the other class known.
        clf.fit(
            [x, [9.0, -9.0, 9.0]],
            [true_class, 1 - true_class],
            [1.0, 0.0],
            coef_init=coefs,
            intercept_init=intercepts,
        )
    else:
        clf = BackpropClassifier.from_weights(coefs, intercepts, classes=[0, 1], activation="logistic")
        clf.set_params(**params).partial_fit([x], [true_class])
    assert_allclose(clf.coefs_[0], new_W1, rtol=1e-12)
    assert_allclose(clf.intercepts_[0], new_b1, rtol=1e-12)
    assert_allclose(clf.coefs_[1][:, 0], new_W2, rtol=1e-12)
    assert_allclose(clf.intercepts_[1], [new_b2], rtol=1e-12)
    assert_allclose(clf.loss_, loss, rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_training_starts_from_coef_init_and_intercept_init(solver):
    X, y = linear_rule("multiclass")
    coefs, intercepts = random_weights([4, 5, 3])
    one_small_step = for_mini_batches(solver, shuffle=False, batch_size=60, learning_rate_init=1e-12)
    clf = small(max_iter=1, alpha=0.0, **one_small_step)
    clf.fit(X, y, coef_init=coefs, intercept_init=intercepts)
    start = BackpropClassifier.from_weights(coefs, intercepts, classes=[0, 1, 2])
    loss_at_start = -start.predict_log_proba(X)[np.arange(60), y].mean()
    if solver in UPDATES:  # the step is too small to see, and the loss of the epoch is the loss before the step
        assert_allclose(clf.coefs_[0], coefs[0], atol=1e-11)
        assert_allclose(clf.intercepts_[1], intercepts[1], atol=1e-11)
        assert_allclose(clf.loss_, loss_at_start, rtol=1e-12)
    else:  # a line search goes downhill, and two searches from the same point end at the same point
        assert clf.loss_ < loss_at_start
        other_seed = clone(clf).set_params(random_state=9)
        assert_same_weights(clf, other_seed.fit(X, y, coef_init=coefs, intercept_init=intercepts))


def test_weights_that_are_not_given_stay_random():
    X, y = linear_rule("binary")
    coefs, intercepts = random_weights([4, 5, 1])
    clf = small(solver="sgd", learning_rate_init=1e-300, max_iter=1)
    plain = clone(clf).fit(X, y)
    with_coefs = clone(clf).fit(X, y, coef_init=coefs)
    assert_array_equal(with_coefs.coefs_[0], coefs[0])
    assert_array_equal(with_coefs.intercepts_[0], plain.intercepts_[0])
    with_intercepts = clone(clf).fit(X, y, intercept_init=intercepts)
    assert_array_equal(with_intercepts.coefs_[1], plain.coefs_[1])
    assert_array_equal(with_intercepts.intercepts_[1], intercepts[1])


@pytest.mark.parametrize(("kind", "out_activation"), OUTPUTS)
def test_from_weights_reproduces_a_fitted_classifier(kind, out_activation):
    X, y = linear_rule(kind)
    clf = small(out_activation=out_activation, activation="tanh").fit(X, y)
    again = BackpropClassifier.from_weights(
        clf.coefs_,
        clf.intercepts_,
        classes=clf.classes_,
        activation="tanh",
        out_activation=clf.out_activation_,
        multilabel=kind == "multilabel",
    )
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(again.predict(X), clf.predict(X))
    assert_array_equal(again.decision_function(X), clf.decision_function(X))
    for name in ("hidden_layer_sizes", "activation", "out_activation"):
        assert getattr(again, name) == getattr(clf, name)
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(again, name) == getattr(clf, name)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("hidden", [(), (5,), (4, 3)])
def test_from_weights_accepts_the_weights_of_an_mlp_classifier(kind, hidden):
    X, y = linear_rule(kind)
    theirs = MLPClassifier(hidden, activation="logistic", max_iter=5, random_state=0).fit(X, y)
    ours = BackpropClassifier.from_weights(
        theirs.coefs_,
        theirs.intercepts_,
        classes=theirs.classes_,
        activation="logistic",
        multilabel=kind == "multilabel",
    )
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-10)
    assert_array_equal(ours.predict(X), theirs.predict(X))


def test_from_weights_of_string_classes_can_be_trained_further():
    X, y = linear_rule("multiclass")
    names = np.array(["a", "b", "c"])[y]
    clf = BackpropClassifier.from_weights(*random_weights([4, 5, 3]), classes=["a", "b", "c"])
    clf.set_params(random_state=0, learning_rate_init=0.05)
    before = clf.score(X, names)
    for _ in range(30):
        clf.partial_fit(X, names)
    assert clf.score(X, names) > max(0.7, before)
    assert len(clf.loss_curve_) == 30


def test_from_weights_copies_its_arrays():
    coefs, intercepts = random_weights([4, 5, 1])
    clf = BackpropClassifier.from_weights(coefs, intercepts, classes=[0, 1])
    X, y = linear_rule("binary")
    proba = clf.predict_proba(X)
    for array in coefs + intercepts:
        array[...] = 7.0
    assert_array_equal(clf.predict_proba(X), proba)
    clf.partial_fit(X, y)
    assert all((array == 7.0).all() for array in coefs + intercepts)


@pytest.mark.parametrize(("dtype", "expected"), [(np.float32, np.float32), (np.float64, np.float64), (int, np.float64)])
def test_from_weights_keeps_float32(dtype, expected):
    coefs = [np.ones((4, 5), dtype), np.ones((5, 1), dtype)]
    clf = BackpropClassifier.from_weights(coefs, [np.zeros(5), np.zeros(1)], classes=[0, 1])
    assert {w.dtype for w in clf.coefs_ + clf.intercepts_} == {np.dtype(expected)}
