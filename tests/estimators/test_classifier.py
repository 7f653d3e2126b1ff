"""What BackpropClassifier does itself, beyond the parts that it wires: labels, weights, dtypes, resuming and stopping."""

import contextlib
import copy
import io
import pickle
import re
import signal
import threading
import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_info, threadpool_limits

import skbp
from skbp import BackpropClassifier
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# Most tests train for a few epochs only: they are about what those epochs do and not about where they lead.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ["binary", "multiclass", "multilabel"]
# Arguments of every output layer that a target can have.
OUTPUTS = [
    ("binary", "auto"),
    ("binary", "softmax"),
    ("binary", "logistic"),
    ("multiclass", "auto"),
    ("multiclass", "logistic"),
    ("multilabel", "auto"),
]


def make_data(kind="binary", n=60, seed=0, dtype=np.float64):
    """Rows of four features and labels that a linear rule with noise gives them."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 4))
    scores = X[:, :3] + 0.7 * rng.normal(size=(n, 3))
    y = {"binary": (scores[:, 0] > 0).astype(int), "multiclass": scores.argmax(axis=1), "multilabel": scores > 0}[kind]
    return X.astype(dtype), y.astype(int)


def small(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, **params})


def for_mini_batches(solver, **params):
    """The solver, with parameters that only mini-batches have a use for where it takes them."""
    return {"solver": solver} | (params if solver in UPDATES else {})


def with_rounding_kept_small(solver):
    """Parameters of a solver under which runs that differ by rounding stay close.

    TNC takes differences of gradients along directions and divides by their small distance: rounding, grown by some eight
    orders of magnitude, decides where it turns. Without conjugate gradients it takes none.
    """
    return {"solver": solver} | ({"solver_options": {"maxCGit": 0}} if solver == "tnc" else {})


def assert_same_weights(one, other):
    """Equal bit for bit, and not because neither was trained."""
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)


def same_weights(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.coefs_, other.coefs_, strict=True))


def fitted_state(clf):
    """All attributes, and the predictions, frozen as bytes."""
    return pickle.dumps({name: value for name, value in sorted(vars(clf).items()) if name.endswith("_")})


def random_weights(units, seed=0):
    rng = np.random.RandomState(seed)
    coefs = [rng.normal(size=(i, o)) for i, o in pairwise(units)]
    return coefs, [rng.normal(size=o) for o in units[1:]]


class Hook(io.StringIO):
    """A standard output that calls a function when a verbose line announces a given iteration."""

    def __init__(self, iteration, action):
        super().__init__()
        self.line, self.action = re.compile(rf"Iteration +{iteration} "), action

    def write(self, text):
        if self.line.match(text):
            self.action()
        return super().write(text)


# Probabilities, logits and the output layer


@pytest.mark.parametrize(("kind", "out_activation"), OUTPUTS)
def test_decision_function_is_the_logit_of_predict_proba(kind, out_activation):
    X, y = make_data(kind)
    clf = small(out_activation=out_activation).fit(X, y)
    z, proba = clf.decision_function(X), clf.predict_proba(X)
    if kind == "binary":
        assert z.shape == (len(X),)
        assert_allclose(z, logit(proba[:, 1]), rtol=1e-10, atol=1e-12)
        assert_array_equal(clf.predict(X), z > 0)
    elif kind == "multilabel":
        assert_allclose(z, logit(proba), rtol=1e-10, atol=1e-12)
        assert_array_equal(clf.predict(X), z > 0)
    elif out_activation == "logistic":
        assert_allclose(proba, expit(z) / expit(z).sum(axis=1, keepdims=True), rtol=1e-12)
        assert_array_equal(clf.predict(X), z.argmax(axis=1))
    else:
        assert_allclose(proba, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=1e-12)
        assert_array_equal(clf.predict(X), z.argmax(axis=1))
    assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-10, atol=1e-12)


def test_two_softmax_units_reach_the_optimum_of_one_logistic_unit():
    # With w = w_1 - w_0 the penalty (|w_0|^2 + |w_1|^2) / 2 is least, |w|^2 / 4, at w_1 = -w_0: twice alpha is needed.
    X, y = make_data()
    common = {"hidden_layer_sizes": (), "solver": "lbfgs", "tol": 1e-8, "max_iter": 500}
    one = small(alpha=0.5, **common).fit(X, y)
    two = small(alpha=1.0, out_activation="softmax", **common).fit(X, y)
    assert (one.out_activation_, one.n_outputs_) == ("logistic", 1)
    assert (two.out_activation_, two.n_outputs_) == ("softmax", 2)
    assert_allclose(two.predict_proba(X), one.predict_proba(X), atol=1e-4)
    assert_allclose(two.coefs_[0][:, 1], -two.coefs_[0][:, 0], atol=1e-3)
    assert_allclose(two.loss_, one.loss_, rtol=1e-6)


def test_logistic_units_are_one_vs_rest_logistic_regressions():
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    alpha = 2.0
    ours = small(hidden_layer_sizes=(), out_activation="logistic", solver="lbfgs", tol=1e-8, max_iter=500, alpha=alpha)
    theirs = OneVsRestClassifier(LogisticRegression(C=1 / alpha, tol=1e-8, max_iter=500)).fit(X, y)
    ours.fit(X, y)
    assert (ours.out_activation_, ours.n_outputs_) == ("logistic", 3)
    assert_allclose(ours.coefs_[0].T, np.vstack([unit.coef_ for unit in theirs.estimators_]), atol=1e-3)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    assert_allclose(ours.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)


def test_predictions_of_many_rows_equal_those_of_each_row_alone():
    X, y = make_data("multiclass", n=60)
    clf = small().fit(X, y)
    many = np.random.RandomState(1).normal(size=(2500, 4))
    rows = np.vstack([clf.predict_proba(row[None]) for row in many])
    assert_allclose(clf.predict_proba(many), rows, rtol=1e-12)
    assert_allclose(clf.predict_proba(sp.csr_array(many)), rows, rtol=1e-12)
    assert_array_equal(clf.predict(many), rows.argmax(axis=1))


# Class weights


@pytest.mark.parametrize("solver", SOLVERS)
def test_class_weight_dict_equals_the_same_sample_weight(solver):
    X, y = make_data("multiclass")
    by_class = small(solver=solver, class_weight={0: 3.0, 2: 0.5}).fit(X, y)
    by_row = small(solver=solver).fit(X, y, sample_weight=np.array([3.0, 1.0, 0.5])[y])
    assert_same_weights(by_class, by_row)
    assert by_class.loss_curve_ == by_row.loss_curve_
    assert not same_weights(by_class, small(solver=solver).fit(X, y))


def test_class_weight_dict_takes_the_labels_as_they_are():
    X, y = make_data()
    names = np.array(["no", "yes"])[y]
    by_class = small(class_weight={"yes": 4.0}).fit(X, names)
    assert_same_weights(by_class, small().fit(X, names, sample_weight=np.where(y == 1, 4.0, 1.0)))


@pytest.mark.parametrize("kind", KINDS)
def test_balanced_class_weight_equals_compute_sample_weight(kind):
    X, y = make_data(kind, n=50)
    X, y = X[5:], y[5:]
    balanced = small(class_weight="balanced").fit(X, y)
    by_row = small().fit(X, y, sample_weight=compute_sample_weight("balanced", y))
    for a, b in zip(balanced.coefs_, by_row.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert not same_weights(balanced, small().fit(X, y))


def test_class_weights_multiply_sample_weights():
    X, y = make_data("multiclass")
    w = np.random.RandomState(1).randint(0, 4, len(y)).astype(float)
    composed = small(class_weight={0: 3.0, 2: 0.5}).fit(X, y, sample_weight=w)
    assert_same_weights(composed, small().fit(X, y, sample_weight=w * np.array([3.0, 1.0, 0.5])[y]))


def test_balanced_counts_a_row_of_weight_two_like_two_rows():
    X, y = make_data("multiclass")
    w = np.random.RandomState(1).randint(0, 4, len(y))
    per_row = np.zeros(len(y))
    per_row[np.repeat(np.arange(len(y)), w)] = compute_sample_weight("balanced", np.repeat(y, w))
    composed = small(class_weight="balanced").fit(X, y, sample_weight=w)
    by_row = small().fit(X, y, sample_weight=w * per_row)
    assert_allclose(composed.predict_proba(X), by_row.predict_proba(X), rtol=1e-10)


def test_class_weight_of_a_multilabel_target_is_a_list_of_dicts_whose_product_weighs_the_row():
    X, y = make_data("multilabel")
    tables = [{0: 1.0, 1: 2.0}, {1: 3.0}, {0: 0.5}]
    w = np.where(y[:, 0], 2.0, 1.0) * np.where(y[:, 1], 3.0, 1.0) * np.where(y[:, 2], 1.0, 0.5)
    assert_same_weights(small(class_weight=tables).fit(X, y), small().fit(X, y, sample_weight=w))


def test_balanced_partial_fit_uses_the_counts_of_all_rows_so_far():
    X, y = make_data("multiclass", n=90)
    parts = [slice(0, 20), slice(20, 50), slice(50, 90)]
    balanced, by_row = small(class_weight="balanced"), small()
    for part in parts:
        seen = np.bincount(y[: part.stop], minlength=3)
        balanced.partial_fit(X[part], y[part], classes=[0, 1, 2])
        by_row.partial_fit(X[part], y[part], part.stop / (3 * seen[y[part]]), classes=[0, 1, 2])
        # Adam's steps do not depend on the scale of a constant weight, so the losses are compared too.
        assert_allclose(balanced.loss_, by_row.loss_, rtol=1e-10)
        assert_allclose(balanced.predict_proba(X), by_row.predict_proba(X), rtol=1e-9)


# Weights given from outside


def one_sgd_step_by_hand(x, y, W1, b1, W2, b2, alpha, rate):
    """New weights of a 3-2-1 logistic network, one formula for each number."""

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
        # The second row only brings in the other class: its weight is zero.
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
    X, y = make_data("multiclass")
    coefs, intercepts = random_weights([4, 5, 3])
    one_small_step = for_mini_batches(solver, shuffle=False, batch_size=60, learning_rate_init=1e-12)
    clf = small(max_iter=1, alpha=0.0, **one_small_step)
    clf.fit(X, y, coef_init=coefs, intercept_init=intercepts)
    start = BackpropClassifier.from_weights(coefs, intercepts, classes=[0, 1, 2])
    loss_at_start = -start.predict_log_proba(X)[np.arange(60), y].mean()
    if solver in UPDATES:  # the step is too small to be seen, and the epoch's loss is that before the step
        assert_allclose(clf.coefs_[0], coefs[0], atol=1e-11)
        assert_allclose(clf.intercepts_[1], intercepts[1], atol=1e-11)
        assert_allclose(clf.loss_, loss_at_start, rtol=1e-12)
    else:  # a line search goes downhill from there, and two searches from the same point end at the same point
        assert clf.loss_ < loss_at_start
        other_seed = clone(clf).set_params(random_state=9)
        assert_same_weights(clf, other_seed.fit(X, y, coef_init=coefs, intercept_init=intercepts))


def test_only_what_is_given_replaces_the_random_start():
    X, y = make_data()
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
    X, y = make_data(kind)
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [(), (5,), (4, 3)])
def test_from_weights_takes_the_weights_of_an_mlp_classifier(kind, hidden):
    X, y = make_data(kind)
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
    X, y = make_data("multiclass")
    names = np.array(["a", "b", "c"])[y]
    clf = BackpropClassifier.from_weights(*random_weights([4, 5, 3]), classes=["a", "b", "c"])
    clf.set_params(random_state=0, learning_rate_init=0.05)
    before = clf.score(X, names)
    for _ in range(30):
        clf.partial_fit(X, names)
    assert clf.score(X, names) > max(0.7, before)
    assert len(clf.loss_curve_) == 30


def test_from_weights_copies_what_it_is_given():
    coefs, intercepts = random_weights([4, 5, 1])
    clf = BackpropClassifier.from_weights(coefs, intercepts, classes=[0, 1])
    X, y = make_data()
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


# Types and layouts of the input


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_data_stay_float32(solver, kind):
    X, y = make_data(kind, dtype=np.float32)
    params = {**with_rounding_kept_small(solver), "early_stopping": True}
    clf = small(**params).fit(X, y, sample_weight=np.ones(60))
    assert {w.dtype for w in clf.coefs_ + clf.intercepts_} == {np.dtype(np.float32)}
    for method in (clf.predict_proba, clf.predict_log_proba, clf.decision_function):
        assert method(X).dtype == np.float32
    in_double = small(**params).fit(X.astype(np.float64), y)
    assert_allclose(clf.predict_proba(X), in_double.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("given", "dtype"), [(np.float64, "float32"), (np.float32, "float64")])
def test_dtype_is_what_training_computes_in_and_predictions_have_the_type_of_the_data(solver, given, dtype):
    X, y = make_data("multiclass", dtype=given)
    clf = small(solver=solver, dtype=dtype).fit(X, y)
    assert {w.dtype for w in clf.coefs_ + clf.intercepts_} == {np.dtype(dtype)}
    assert_same_weights(clf, small(solver=solver).fit(X.astype(dtype), y))
    assert clf.predict_proba(X).dtype == given
    assert clf.decision_function(X).dtype == given


def test_partial_fit_and_warm_start_keep_the_type_of_the_first_call():
    X, y = make_data(dtype=np.float32)
    clf = small(warm_start=True).fit(X, y).fit(X.astype(np.float64), y)
    clf.partial_fit(X.astype(np.float64), y)
    assert {w.dtype for w in clf.coefs_} == {np.dtype(np.float32)}


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.coo_array])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_data_give_the_weights_of_dense_data(solver, container):
    X, y = make_data("multiclass")
    X[np.random.RandomState(1).uniform(size=X.shape) < 0.6] = 0.0
    params = with_rounding_kept_small(solver) | for_mini_batches(solver, batch_size=25)
    dense = small(**params).fit(X, y)
    clf = small(**params).fit(container(X), y)
    for a, b in zip(clf.coefs_, dense.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-7, atol=1e-10)
    assert_allclose(clf.predict_proba(container(X)), clf.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_data_are_never_densified(solver, container):
    # Dense the rows would take 800 MB, one batch of 200 of them 32 MB and one chunk of 1024 of them 164 MB. BFGS keeps a
    # square matrix of all parameters, and trust-krylov room for as many Lanczos vectors: for them the data are narrower,
    # and of more rows, 64 MB.
    n_rows, n_features = (40_000, 200) if solver in {"bfgs", "trust-krylov"} else (5000, 20_000)
    columns = np.random.RandomState(0).randint(n_features, size=n_rows)
    X = container(sp.coo_array((np.ones(n_rows), (np.arange(n_rows), columns)), shape=(n_rows, n_features)))
    y = np.arange(n_rows) % 2
    clf = small(hidden_layer_sizes=(2,), solver=solver, max_iter=1, early_stopping=True)
    tracemalloc.start()
    try:
        clf.fit(X, y).predict_proba(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 25e6


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_set_feature_names_and_other_names_are_refused(frame):
    X, y = make_data()
    names = ["width", "height", "depth", "mass"]
    series = pd.Series(y) if frame is pd.DataFrame else pl.Series(y)
    if not hasattr(StandardScaler().fit(frame(dict(zip(names, X.T, strict=True)))), "feature_names_in_"):
        pytest.skip("The oldest scikit-learn does not read the column names of the newest polars")
    clf = small().fit(frame(dict(zip(names, X.T, strict=True))), series)
    assert clf.feature_names_in_.tolist() == names
    assert_same_weights(clf, small().fit(X, y))
    assert_array_equal(clf.predict(frame(dict(zip(names, X.T, strict=True)))), small().fit(X, y).predict(X))
    swapped = frame(dict(zip(names[::-1], X.T, strict=True)))
    other = frame(dict(zip(["volume", *names[1:]], X.T, strict=True)))
    for wrong in (swapped, other):
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(wrong)
        with pytest.raises(ValueError, match="feature names should match"):
            clf.partial_fit(wrong, series)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_read_only_memory_maps_are_taken(tmp_path, solver, early_stopping):
    X, y = make_data()
    w = np.linspace(0.5, 1.5, len(y))
    maps = []
    for name, array in (("X", X), ("y", y), ("w", w)):
        array.tofile(tmp_path / name)
        maps.append(np.memmap(tmp_path / name, mode="r", dtype=array.dtype, shape=array.shape))
    clf = small(solver=solver, early_stopping=early_stopping).fit(*maps)
    assert_same_weights(clf, small(solver=solver, early_stopping=early_stopping).fit(X, y, w))
    assert_array_equal(clf.predict(maps[0]), clf.predict(X))


@pytest.mark.parametrize("solver", SOLVERS)
def test_fortran_order_and_strided_rows_equal_c_order(solver):
    X, y = make_data()
    clf = small(solver=solver).fit(X, y)
    for view in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], np.hstack([X, X])[:, :4]):
        other = small(solver=solver).fit(view, y)
        assert_allclose(other.predict_proba(view), clf.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("sparse", [False, True])
def test_the_callers_arrays_are_never_changed(solver, early_stopping, sparse):
    X, y = make_data("multiclass")
    w = np.linspace(0.0, 1.0, len(y))
    coefs, intercepts = random_weights([4, 5, 3])
    X = sp.csr_array(X) if sparse else X
    arrays = [X.data if sparse else X, y, w, *coefs, *intercepts]
    before = [array.tobytes() for array in arrays]
    clf = small(solver=solver, early_stopping=early_stopping, class_weight="balanced")
    clf.fit(X, y, w, coef_init=coefs, intercept_init=intercepts)
    assert not any(np.shares_memory(a, b) for a in clf.coefs_ + clf.intercepts_ for b in coefs + intercepts)
    clf.predict(X), clf.predict_proba(X), clf.predict_log_proba(X), clf.decision_function(X), clf.score(X, y, w)
    if solver in UPDATES:
        clf.partial_fit(X, y, w)
    assert [array.tobytes() for array in arrays] == before


def test_results_of_one_prediction_do_not_change_with_the_next():
    X, y = make_data("multiclass")
    clf = small().fit(X, y)
    first = clf.decision_function(X)
    kept = first.copy()
    clf.decision_function(X + 1.0)
    clf.partial_fit(X, y)
    assert_array_equal(first, kept)


# Labels


@pytest.mark.parametrize(
    "names",
    [
        np.array(["no", "yes"]),
        np.array([False, True]),
        np.array(["left", "right", "up"], dtype=object),
        np.array([3, 7, 11]),
        np.array([-1, 1]),
        np.array([0.0, 2.0, 5.0]),
    ],
    ids=["strings", "bools", "objects", "integers", "signs", "floats"],
)
def test_labels_of_any_type_are_given_back(names):
    X, codes = make_data("binary" if len(names) == 2 else "multiclass")
    clf = small(max_iter=20, learning_rate_init=0.05)
    plain = clone(clf).fit(X, codes)
    clf.fit(X, names[codes])
    assert_same_weights(clf, plain)
    theirs = MLPClassifier((1,), max_iter=1).fit(X, names[codes])
    assert clf.classes_.dtype == theirs.classes_.dtype  # of object arrays LabelBinarizer makes strings
    assert_array_equal(clf.classes_, names)
    predicted = clf.predict(X)
    assert predicted.dtype == clf.classes_.dtype
    assert_array_equal(predicted, names[plain.predict(X)])
    assert clf.score(X, names[codes]) == plain.score(X, codes) > 0.5
    assert_same_weights(clone(clf).fit(X, names[codes].tolist()), plain)


def test_sparse_multilabel_targets_give_sparse_predictions():
    X, y = make_data("multilabel")
    dense = small(max_iter=30).fit(X, y)
    clf = small(max_iter=30).fit(X, sp.csr_matrix(y))
    assert_same_weights(clf, dense)
    predicted = clf.predict(X)
    assert sp.issparse(predicted)
    assert_array_equal(predicted.toarray(), dense.predict(X))
    assert 0 < dense.predict(X).mean() < 1


@pytest.mark.parametrize("out_activation", ["auto", "softmax", "logistic"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_single_class_is_predicted_with_certainty(solver, out_activation):
    X, _ = make_data()
    clf = small(solver=solver, out_activation=out_activation).fit(X, ["only"] * len(X))
    assert_array_equal(clf.predict(X), ["only"] * len(X))
    assert_array_equal(clf.predict_proba(X), np.ones((len(X), 1)))
    assert_array_equal(clf.predict_log_proba(X), np.zeros((len(X), 1)))


def test_a_column_of_labels_is_taken_with_a_warning():
    X, y = make_data()
    with pytest.warns(match="column-vector y was passed"):
        clf = small().fit(X, y[:, None])
    assert_same_weights(clf, small().fit(X, y))


# Going on: partial_fit and warm_start


STOCHASTIC = [
    {"solver": "adam"},
    {"solver": "adam", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
    {"solver": "sgd", "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.5},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2, "learning_rate_init": 0.1},
]


def partial_fits(clf, X, y, n, pickled=False, **kwargs):
    for _ in range(n):
        clf.partial_fit(X, y, classes=np.unique(y) if y.ndim == 1 else range(y.shape[1]), **kwargs)
        clf = pickle.loads(pickle.dumps(clf)) if pickled else clf
    return clf


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("params", STOCHASTIC, ids=lambda p: "-".join(map(str, p.values())))
def test_n_calls_of_partial_fit_are_n_epochs_of_fit(params, pickled):
    X, y = make_data("multiclass")
    clf = small(shuffle=False, batch_size=16, max_iter=12, **params)
    whole = clone(clf).fit(X, y)
    assert whole.n_iter_ == 12  # else the comparison would stop short
    parts = partial_fits(clone(clf), X, y, 12, pickled)
    assert_same_weights(parts, whole)
    assert parts.loss_curve_ == whole.loss_curve_
    assert (parts.t_, parts.loss_, parts.best_loss_) == (whole.t_, whole.loss_, whole.best_loss_)
    if params.get("learning_rate", "constant") != "constant":
        assert not same_weights(whole, clone(clf).set_params(learning_rate="constant", power_t=0.5, tol=0.0).fit(X, y))


def test_successive_calls_of_partial_fit_shuffle_differently():
    # Stochastic gradient descent row by row on one logistic unit, written out with a generator of its own.
    X, y = make_data(n=12)
    clf = small(hidden_layer_sizes=(), solver="sgd", momentum=0, alpha=0, batch_size=1, learning_rate_init=0.3)
    rng = np.random.RandomState(0)
    bound = np.sqrt(6 / 5)
    w, b = rng.uniform(-bound, bound, (4, 1))[:, 0], rng.uniform(-bound, bound, 1)[0]
    orders = []
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1])
        orders.append(np.arange(12))
        rng.shuffle(orders[-1])
        for i in orders[-1]:
            error = expit(X[i] @ w + b) - y[i]
            w, b = w - 0.3 * error * X[i], b - 0.3 * error
        assert_allclose(clf.coefs_[0][:, 0], w, rtol=1e-10)
        assert_allclose(clf.intercepts_[0], b, rtol=1e-10)
    assert orders[0].tolist() != orders[1].tolist() != orders[2].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_does_not_concern_partial_fit(kind):
    X, y = make_data(kind)
    stopping = partial_fits(small(early_stopping=True), X, y, 5)
    assert_same_weights(stopping, partial_fits(small(), X, y, 5))
    assert stopping.validation_scores_ is None
    assert stopping.best_loss_ == min(stopping.loss_curve_)


def test_partial_fit_goes_on_from_fit():
    X, y = make_data()
    clf = small(shuffle=False, max_iter=3).fit(X, y)
    assert_same_weights(partial_fits(clf, X, y, 4), small(shuffle=False, max_iter=7).fit(X, y))


def test_partial_fit_takes_classes_that_come_later():
    X, y = make_data("multiclass", n=120)
    clf = small(learning_rate_init=0.02)
    first = y < 2
    clf.partial_fit(X[first], y[first], classes=[0, 1, 2])
    assert clf.predict_proba(X).shape == (120, 3)
    for _ in range(60):
        clf.partial_fit(X, y)
    assert clf.score(X, y) > 0.7
    assert set(clf.predict(X)) == {0, 1, 2}


def test_partial_fit_is_absent_where_the_solver_is_not_stochastic():
    for solver in SOLVERS:
        assert hasattr(BackpropClassifier(solver=solver), "partial_fit") == (solver in UPDATES)


def test_warm_start_continues_weights_and_loss_curve():
    X, y = make_data("multiclass")
    clf = small(solver="sgd", momentum=0.0, shuffle=False, warm_start=True, max_iter=4).fit(X, y)
    first = list(clf.loss_curve_)
    clf.fit(X, y)
    whole = small(solver="sgd", momentum=0.0, shuffle=False, max_iter=8).fit(X, y)
    assert_same_weights(clf, whole)
    assert clf.loss_curve_[:4] == first
    assert clf.loss_curve_ == whole.loss_curve_
    assert (clf.n_iter_, clf.t_) == (4, whole.t_)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_goes_down_from_where_training_stopped(solver):
    X, y = make_data("multiclass")
    clf = small(warm_start=True, max_iter=8, **for_mini_batches(solver, learning_rate_init=0.01)).fit(X, y)
    n_first, last = len(clf.loss_curve_), clf.loss_curve_[-1]
    clf.fit(X, y)
    assert clf.loss_curve_[n_first] < 1.05 * last < clf.loss_curve_[0]
    assert clf.loss_curve_[-1] < last


def test_a_warm_start_after_convergence_is_given_the_full_patience_anew():
    X, y = make_data()
    clf = small(warm_start=True, learning_rate_init=0.1, n_iter_no_change=4, tol=0.05, max_iter=100).fit(X, y)
    assert clf.n_iter_ < 100
    curve = len(clf.loss_curve_)
    clf.fit(X, y)
    # The first epoch counts as an improvement on nothing; then more than n_iter_no_change epochs without one end it.
    assert 4 + 2 <= clf.n_iter_ < 100
    assert len(clf.loss_curve_) == curve + clf.n_iter_


def test_a_warm_start_with_early_stopping_keeps_weights_that_it_cannot_improve():
    # The classes lie far apart, so that the first fit is right everywhere and no later epoch can be better.
    rng = np.random.RandomState(0)
    y = np.arange(80) % 2
    X = rng.normal(size=(80, 2)) + 20.0 * y[:, None] - 10.0
    clf = small(warm_start=True, early_stopping=True, max_iter=100, n_iter_no_change=30, learning_rate_init=0.05)
    clf.fit(X, y)
    assert clf.score(X, y) == clf.best_validation_score_ == 1.0
    before, n_scores = copy.deepcopy(clf), len(clf.validation_scores_)
    clf.set_params(solver="sgd", learning_rate_init=10.0, max_iter=5).fit(X, y)
    assert_same_weights(clf, before)
    assert clf.best_validation_score_ == 1.0
    assert len(clf.validation_scores_) == n_scores + clf.n_iter_


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_without_warm_start_equals_that_of_a_fresh_clone(solver):
    X, y = make_data("multiclass")
    clf = small(solver=solver, early_stopping=True).fit(*make_data("binary", seed=3))
    clf.fit(X, y)
    fresh = clone(clf).fit(X, y)
    assert_same_weights(clf, fresh)
    assert fitted_state(clf) == fitted_state(fresh)
    if solver in UPDATES:
        partial_fits(clf, X, y, 2)
        assert fitted_state(clf.fit(X, y)) == fitted_state(fresh)


# Early stopping


def held_out_rows(clf, X, y, units):
    """The rows that early stopping sets aside: the generator first draws the layers, then the split."""
    rng = np.random.RandomState(clf.random_state)
    for fan_in, fan_out in pairwise(units):
        rng.uniform(size=(fan_in, fan_out)), rng.uniform(size=fan_out)
    return train_test_split(
        np.arange(len(X)), test_size=clf.validation_fraction, stratify=y if y.ndim == 1 else None, random_state=rng
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_restores_the_weights_of_the_best_epoch(solver, kind, weighted):
    X, y = make_data(kind, n=80)
    w = np.random.RandomState(5).uniform(0.5, 2.0, len(y)) if weighted else None
    params = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 8, "max_iter": 25}
    clf = small(**params, **for_mini_batches(solver, learning_rate_init=0.05)).fit(X, y, w)
    scores = clf.validation_scores_
    assert len(scores) == len(clf.loss_curve_) == clf.n_iter_
    assert clf.best_validation_score_ == max(scores)
    assert clf.best_loss_ is None

    _, held_out = held_out_rows(clf, X, y, [4, 5, 1 if kind == "binary" else 3])
    accuracy = clf.score(X[held_out], y[held_out], None if w is None else w[held_out])
    assert_allclose(clf.best_validation_score_, accuracy, rtol=1e-12)
    best_epoch = int(np.argmax(scores)) + 1
    assert clf.best_iter_ == best_epoch
    assert best_epoch < clf.n_iter_  # else the best weights would also be the last
    assert_same_weights(clf, clone(clf).set_params(max_iter=best_epoch).fit(X, y, w))


@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_ends_training_after_its_patience(solver):
    X, y = make_data(n=80)
    clf = small(solver=solver, early_stopping=True, n_iter_no_change=3, max_iter=500, tol=1e-6, alpha=0.0).fit(X, y)
    scores = np.array(clf.validation_scores_)
    assert clf.n_iter_ < 500
    last_improvement = max(i for i in range(len(scores)) if i == 0 or scores[i] > scores[:i].max())
    assert clf.n_iter_ == last_improvement + 1 + 3 + 1


def test_the_held_out_rows_are_stratified_for_many_classes_too():
    X, _ = make_data(n=80)
    y = np.repeat([0, 1, 2], [68, 6, 6])
    clf = small(early_stopping=True, validation_fraction=0.5, random_state=3).fit(X, y)
    _, held_out = held_out_rows(clf, X, y, [4, 5, 3])
    assert np.bincount(y[held_out]).tolist() == [34, 3, 3]
    assert_allclose(clf.best_validation_score_, clf.score(X[held_out], y[held_out]), rtol=1e-12)


def test_early_stopping_on_tiny_data_falls_back_to_a_plain_split():
    X, y = make_data("multiclass", n=60)
    rows = [np.flatnonzero(y == k)[0] for k in range(3)]
    clf = small(early_stopping=True).fit(X[rows], y[rows])
    assert clf.classes_.tolist() == [0, 1, 2]
    assert set(clf.validation_scores_) <= {0.0, 1.0}  # one row is held out
    assert np.isfinite(clf.predict_proba(X)).all()


# What does not go well


def diverging(**params):
    return small(
        activation="identity", solver="sgd", momentum=0, alpha=0, batch_size=10, learning_rate_init=1e3, max_iter=30
    ).set_params(**params)


def test_divergence_keeps_the_weights_of_the_last_finite_epoch():
    X, y = make_data()
    with pytest.warns(ConvergenceWarning, match=r"diverged.*learning_rate_init=1000") as record:
        clf = diverging().fit(X, y)
    assert 1 < clf.n_iter_ < 30
    assert f"iteration {clf.n_iter_ + 1}" in str(record[0].message)
    assert [one.category for one in record] == [ConvergenceWarning, skbp.NothingLearnedWarning]
    assert len(clf.loss_curve_) == clf.n_iter_
    assert np.isfinite(clf.loss_curve_).all()
    assert clf.loss_ == clf.loss_curve_[-1]
    assert clf.t_ == 60 * clf.n_iter_
    assert_same_weights(clf, diverging(max_iter=clf.n_iter_).fit(X, y))
    with np.errstate(all="ignore"):  # the weights are finite but huge, and products of them need not be
        assert set(clf.predict(X)) <= {0, 1}


def test_divergence_with_early_stopping_keeps_the_best_weights():
    X, y = make_data()
    with pytest.warns(ConvergenceWarning, match="diverged"):
        clf = diverging(early_stopping=True).fit(X, y)
    best_epoch = int(np.argmax(clf.validation_scores_)) + 1
    assert_same_weights(clf, diverging(early_stopping=True, max_iter=best_epoch).fit(X, y))


def test_divergence_in_the_first_epoch_is_an_error_and_the_estimator_can_be_used_again():
    X, y = make_data()
    clf = diverging(hidden_layer_sizes=(5, 5, 5), learning_rate_init=1e6)
    with pytest.raises(ValueError, match=r"non-finite.*first iteration.*lower learning_rate_init"):
        clf.fit(X, y)
    assert not hasattr(clf, "coefs_")
    assert not hasattr(clf, "classes_")
    assert clf.set_params(learning_rate_init=0.01, max_iter=60).fit(X, y).score(X, y) > 0.8


def test_divergence_of_lbfgs_in_its_first_iteration_is_an_error():
    X, y = make_data()
    clf = small(solver="lbfgs", max_iter=60)
    with pytest.raises(ValueError, match=r"(?s)non-finite.*first iteration.*[Ss]cale"):
        clf.fit(X * 1e200, y)
    assert clf.fit(X, y).score(X, y) > 0.8


def test_divergence_of_partial_fit_keeps_the_weights_so_far():
    X, y = make_data()
    clf = diverging(hidden_layer_sizes=(5, 5, 5), learning_rate_init=0.01)
    before = copy.deepcopy(partial_fits(clf, X, y, 3))
    clf.set_params(learning_rate_init=1e6)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        clf.partial_fit(X, y)
    assert_same_weights(clf, before)
    clf.set_params(learning_rate_init=0.01).partial_fit(X, y)
    assert not same_weights(clf, before)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_failing_fit_leaves_a_fitted_estimator_as_it_was(solver):
    X, y = make_data("multiclass")
    clf = small(solver=solver, early_stopping=True).fit(X, y)
    state, proba = fitted_state(clf), clf.predict_proba(X)
    bad_X, bad_y = X.copy(), y.astype(float) + 0.5 * X[:, 0]
    bad_X[0, 0] = np.nan
    frame = pd.DataFrame(bad_X, columns=list("abcd"))
    calls = [(bad_X, y), (X, bad_y), (X[:, :2], y[:-1]), (X, y, -np.ones(60)), (X, y, np.zeros(60))]
    for arguments in [(frame, y), *calls]:
        with pytest.raises(ValueError, match=r"."):
            clf.fit(*arguments)
        assert fitted_state(clf) == state
    with pytest.raises(ValueError, match="coef_init"):
        clf.fit(X, y, coef_init=[np.ones((4, 5))])
    with pytest.raises(ValueError, match="coef_init"):
        clf.fit(np.ones((60, 2)), np.arange(60) % 5, coef_init=[np.ones((4, 5))])
    if solver in UPDATES:
        with pytest.raises(ValueError, match="non-finite"):
            clf.set_params(activation="identity", learning_rate_init=1e200, batch_size=10).fit(X, y)
        clf.set_params(activation="relu", learning_rate_init=0.001, batch_size="auto")
        for arguments in calls:
            with pytest.raises(ValueError, match=r"."):
                clf.partial_fit(*arguments)
    assert fitted_state(clf) == state
    assert_array_equal(clf.predict_proba(X), proba)


@pytest.mark.parametrize("solver", UPDATES)
def test_a_batch_whose_weights_are_all_zero_has_no_effect(solver):
    X, y = make_data("multiclass")
    w = np.linspace(0.5, 1.5, 60)
    w[20:40] = 0.0
    kept = w > 0
    with_zeros = small(solver=solver, shuffle=False, batch_size=10).fit(X, y, w)
    without = small(solver=solver, shuffle=False, batch_size=10).fit(X[kept], y[kept], w[kept])
    assert_same_weights(with_zeros, without)
    assert_allclose(with_zeros.loss_curve_, without.loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_a_line_an_iteration(solver, early_stopping, capsys):
    X, y = make_data()
    clf = small(solver=solver, early_stopping=early_stopping, max_iter=4, verbose=True).fit(X, y)
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line.split("  loss ")[0] for line in lines] == [f"Iteration    {k}" for k in range(1, clf.n_iter_ + 1)]
    figures = {
        "loss": clf.loss_curve_,
        "validation score": clf.validation_scores_,
        "rate": clf.learning_rate_curve_,
    }
    for label, expected in figures.items():
        printed = [float(figure) for figure in re.findall(rf"  {label} ([\d.e+-]+) ", out)]
        assert_allclose(printed, expected or [], rtol=5e-4)
    assert (clf.validation_scores_ is not None, clf.learning_rate_curve_ is not None) == (
        early_stopping,
        solver in UPDATES,
    )
    seconds = [float(re.search(r" (\d+\.\d) s$", line)[1]) for line in lines]
    assert seconds == sorted(seconds)
    assert len({len(line) for line in lines}) == 1
    clf.set_params(verbose=False).fit(X, y)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("solver_options", "n"), [({"maxiter": 3}, 3), ({"maxiter": 12}, 12), ({"maxiter": None}, 5)])
def test_verbose_counts_to_the_number_of_iterations_that_an_option_of_scipy_sets(solver_options, n, capsys):
    X, y = make_data()
    clf = small(solver="lbfgs", solver_options=solver_options, verbose=True).fit(X, y)
    assert clf.n_iter_ == n
    assert [line.split("  loss")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"Iteration {k:>4}" for k in range(1, n + 1)
    ]


@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_1_and_2_print_the_same_where_there_is_no_terminal(verbose, capsys):
    X, y = make_data()

    def printed(verbose):
        small(verbose=verbose, early_stopping=True, learning_rate="cosine").fit(X, y)
        return [line.rpartition("  ")[0] for line in capsys.readouterr().out.splitlines()]

    assert printed(verbose) == printed(True)
    assert len(printed(verbose)) == 5


def test_verbose_says_why_training_stops_and_that_the_learning_rate_falls(capsys):
    X, y = make_data()
    common = {"solver": "sgd", "verbose": True, "max_iter": 100, "tol": 1.0, "n_iter_no_change": 1}
    small(**common).fit(X, y)
    assert re.search(r"(?s)Training loss did not improve .* tol=1 for 1 .*Stopping", capsys.readouterr().out)
    small(learning_rate="adaptive", **common).fit(X, y)
    assert "Setting learning rate to 0.000200" in capsys.readouterr().out.replace("\n", " ")


@contextlib.contextmanager
def interrupt_at(iteration):
    """Ctrl-C, as the signal that the keyboard sends, at a given iteration of a verbose fit."""
    if threading.current_thread() is not threading.main_thread():
        pytest.fail("Signals reach Python in its main thread only")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with contextlib.redirect_stdout(Hook(iteration, lambda: signal.raise_signal(signal.SIGINT))):
            yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_interrupted_fit_keeps_the_weights_so_far(solver):
    X, y = make_data("multiclass")
    clf = small(solver=solver, max_iter=50, tol=1e-9, verbose=True)
    with interrupt_at(3), pytest.warns(ConvergenceWarning, match=r"interrupted.*3 iterations"):
        clf.fit(X, y)
    until_then = small(solver=solver, max_iter=3, tol=1e-9).fit(X, y)
    assert clf.n_iter_ == 3
    assert clf.loss_curve_ == until_then.loss_curve_
    assert clf.loss_ == clf.loss_curve_[-1]
    assert_same_weights(clf, until_then)
    assert_array_equal(clf.predict(X), until_then.predict(X))
    clf.set_params(verbose=False, warm_start=True).fit(X, y)
    assert clf.loss_ < until_then.loss_


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_interrupted_fit_with_early_stopping_keeps_the_best_weights(solver):
    X, y = make_data()
    clf = small(solver=solver, max_iter=50, early_stopping=True, verbose=True, validation_fraction=0.3)
    with interrupt_at(6), pytest.warns(ConvergenceWarning, match="interrupted"):
        clf.fit(X, y)
    best_epoch = int(np.argmax(clf.validation_scores_)) + 1
    best = clone(clf).set_params(max_iter=best_epoch, verbose=False).fit(X, y)
    assert_same_weights(clf, best)
    assert clf.best_validation_score_ == max(clf.validation_scores_)


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("end", ["finished", "failed", "interrupted"])
def test_blas_is_given_its_threads_back(end):
    X, y = make_data()
    with threadpool_limits(2, user_api="blas"):
        assert set(blas_threads()) == {2}
        during = []
        clf = small(verbose=True, max_iter=3, hidden_layer_sizes=(2000,))
        if end == "finished":
            with contextlib.redirect_stdout(Hook(2, lambda: during.extend(blas_threads()))):
                clf.fit(X, y)
            assert set(during) == {1}  # the products of so small a network are not worth a second thread
        elif end == "failed":
            with pytest.raises(ValueError, match="non-finite"):
                diverging(hidden_layer_sizes=(5, 5, 5), learning_rate_init=1e6).fit(X, y)
        else:
            with interrupt_at(1), pytest.warns(ConvergenceWarning, match="interrupted"):
                clf.fit(X, y)
        assert set(blas_threads()) == {2}


# Randomness


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_same_seed_gives_the_same_result(solver, early_stopping):
    X, y = make_data()
    clf = small(solver=solver, early_stopping=early_stopping).fit(X, y)
    again = small(solver=solver, early_stopping=early_stopping).fit(X, y)
    assert_same_weights(clf, again)
    assert fitted_state(clf) == fitted_state(again)
    assert not same_weights(clf, small(solver=solver, random_state=1).fit(X, y))


def test_a_generator_goes_on_from_fit_to_fit():
    X, y = make_data()
    clf = small(random_state=np.random.RandomState(0))
    first = copy.deepcopy(clf.fit(X, y))
    assert_same_weights(first, small(random_state=0).fit(X, y))
    assert not same_weights(first, clf.fit(X, y))


def test_the_global_generator_serves_where_none_is_given():
    X, y = make_data()
    state = np.random.get_state()  # noqa: NPY002 - the global generator is what this is about
    try:
        np.random.seed(0)  # noqa: NPY002
        clf = small(random_state=None).fit(X, y)
        assert not same_weights(clf, clone(clf).fit(X, y))
    finally:
        np.random.set_state(state)  # noqa: NPY002
    assert_same_weights(clf, small(random_state=0).fit(X, y))


def test_fit_sets_no_constructor_parameter():
    X, y = make_data()
    sizes, weights = [5], {0: 1.0, 1: 2.0}
    clf = small(hidden_layer_sizes=sizes, class_weight=weights)
    before = clf.get_params()
    clf.fit(X, y).partial_fit(X, y)
    assert clf.get_params() == before
    assert clf.hidden_layer_sizes is sizes
    assert (sizes, weights) == ([5], {0: 1.0, 1: 2.0})


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_steps_on_the_columns_that_occur_lead_where_those_on_all_columns_do(hidden, weight_decay):
    rng = np.random.default_rng(0)
    X = sp.csr_array(rng.standard_normal((60, 500)) * (rng.random((60, 500)) < 0.01))
    y = np.arange(60) % 3
    plain = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": 8, "learning_rate_init": 0.5, "max_iter": 5}
    clf = BackpropClassifier(hidden, **plain, weight_decay=weight_decay, random_state=0).fit(X, y)
    # A gradient that might have to be shortened is needed whole; this one never is.
    whole = clone(clf).set_params(max_grad_norm=1e6).fit(X, y)
    dense = clone(clf).fit(X.toarray(), y)
    for one, other in ((whole, 0.0), (dense, 1e-12)):
        for ours, theirs in zip(clf.coefs_ + clf.intercepts_, one.coefs_ + one.intercepts_, strict=True):
            assert_allclose(ours, theirs, rtol=0.0, atol=other)
    start = clone(clf).set_params(learning_rate_init=1e-300).fit(X, y).coefs_[0]
    assert (abs(clf.coefs_[0] - start).max(axis=1) > 1e-3).any()
