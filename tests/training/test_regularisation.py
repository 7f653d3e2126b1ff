"""Training with weight decay, dropout, label smoothing and clipped gradients follows their formulas."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from skbp import BackpropClassifier
from skbp._network.losses import LOSSES
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES
from skbp.inspection import check_gradient, check_hessian_product

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# A learning rate so small that rounding removes every step.
NO_STEP = 1e-300

every_update = pytest.mark.parametrize("solver", UPDATES)


def small(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0, **params})


def initial_layers(units, seed=0, scale=6.0):
    """The initial weights and biases of a network, drawn layer by layer, and the generator."""
    rng = np.random.RandomState(seed)
    layers = []
    for fan_in, fan_out in pairwise(units):
        bound = np.sqrt(scale / (fan_in + fan_out))
        layers.append((rng.uniform(-bound, bound, (fan_in, fan_out)), rng.uniform(-bound, bound, fan_out)))
    return *map(list, zip(*layers, strict=True)), rng


def flat(clf):
    return np.concatenate([array.ravel() for array in clf.coefs_ + clf.intercepts_])


# Weight decay


@every_update
@pytest.mark.parametrize("batch_size", [1, 32, 60])
@pytest.mark.parametrize("learning_rate_init", [1e-4, 0.1])
def test_weights_without_gradient_shrink_by_the_exponential_of_the_decay(
    solver, batch_size, learning_rate_init, linear_rule
):
    # X is zero, and so is the gradient of the first layer. Only decay can change it.
    _, y = linear_rule()
    clf = small(
        solver=solver, weight_decay=0.3, alpha=0.0, batch_size=batch_size, learning_rate_init=learning_rate_init
    )
    clf.fit(np.zeros((60, 4)), y)
    (first, second), _, _ = initial_layers([4, 5, 3])
    assert_allclose(clf.coefs_[0], first * np.exp(-0.3 * 4), rtol=1e-12)
    # The gradient of the second layer is not zero.
    assert np.abs(clf.coefs_[1] / second - np.exp(-0.3 * 4)).max() > 1e-3


@every_update
@pytest.mark.parametrize("shuffle", [False, True])
def test_weight_decay_leaves_the_biases_alone(solver, shuffle, linear_rule):
    X, y = linear_rule()
    clf = small(hidden_layer_sizes=(5, 4), solver=solver, weight_decay=0.3, batch_size=16, shuffle=shuffle)
    clf.set_params(learning_rate_init=NO_STEP).fit(X, y)
    coefs, intercepts, _ = initial_layers([4, 5, 4, 3])
    for got, start in zip(clf.coefs_, coefs, strict=True):
        assert_allclose(got, start * np.exp(-0.3 * 4), rtol=1e-12)
    for got, start in zip(clf.intercepts_, intercepts, strict=True):
        assert_array_equal(got, start)


FACTORS = {
    "constant": lambda p: 1.0,
    "cosine": lambda p: (1 + np.cos(np.pi * p)) / 2,
    "linear": lambda p: 1 - p,
    "callable": lambda p: 2.0 * p,
}


@every_update
@pytest.mark.parametrize("schedule", FACTORS)
def test_weight_decay_follows_the_schedule(solver, schedule, linear_rule):
    X, y = linear_rule()
    factor = FACTORS[schedule]
    learning_rate = factor if schedule == "callable" else schedule
    clf = small(solver=solver, weight_decay=0.3, batch_size=25, learning_rate=learning_rate)
    clf.set_params(learning_rate_init=NO_STEP).fit(X, y)
    total = sum(
        factor((epoch + start / 60) / 4) * size / 60
        for epoch in range(4)
        for start, size in [(0, 25), (25, 25), (50, 10)]
    )
    for got, start in zip(clf.coefs_, initial_layers([4, 5, 3])[0], strict=True):
        assert_allclose(got, start * np.exp(-0.3 * total), rtol=1e-12)


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer])
@pytest.mark.parametrize(
    ("solver", "params", "rate"),
    [
        # The steps of Adam do not depend on the size of gradients. At a low rate they do not hide the decay.
        ("adam", {}, lambda batch_size: 1e-5),
        # Without momentum a step on n rows at n times the rate nearly equals the steps on each of the n rows.
        ("sgd", {"momentum": 0.0}, lambda batch_size: 1e-4 * batch_size),
    ],
    ids=["adam", "sgd"],
)
def test_the_effect_of_weight_decay_is_the_same_for_small_and_large_batches(solver, params, rate, load):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    effects = []
    for batch_size in (32, 200):
        common = {"hidden_layer_sizes": (30,), "solver": solver, "batch_size": batch_size, "alpha": 0.0, **params}
        common |= {"max_iter": 10, "random_state": 0, "learning_rate_init": rate(batch_size)}
        plain = BackpropClassifier(**common).fit(X, y)
        decayed = BackpropClassifier(**common, weight_decay=0.1).fit(X, y)
        effects.append(
            [np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(decayed.coefs_, plain.coefs_, strict=True)]
        )
        if solver == "sgd":
            assert decayed.score(X, y) > 0.5  # the network has learned
    assert_allclose(effects[0], effects[1], rtol=0.02)
    assert_allclose(effects, np.exp(-1.0), rtol=0.1)


def adamw_by_hand(X, y, coef, intercept, *, rate, decay, batch_size, n_epochs):
    """AdamW by the documentation of PyTorch, on softmax regression. Only the weights decay."""
    theta = np.vstack([coef, intercept])
    decayed = np.vstack([np.ones_like(coef), np.zeros_like(intercept)])
    X, target = np.hstack([X, np.ones((len(X), 1))]), np.eye(theta.shape[1])[y]
    mean, square, t = np.zeros_like(theta), np.zeros_like(theta), 0
    for _ in range(n_epochs):
        for start in range(0, len(X), batch_size):
            rows = slice(start, start + batch_size)
            gradient = X[rows].T @ (softmax(X[rows] @ theta, axis=1) - target[rows]) / len(X[rows])
            t += 1
            theta = theta - rate * decay * decayed * theta
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            theta = theta - rate * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
    return theta


def test_weight_decay_converts_to_that_of_adamw_as_documented(linear_rule):
    X, y = linear_rule(n_rows=80)
    w, rate, batches_per_epoch = 0.5, 0.002, 8
    clf = small(hidden_layer_sizes=(), alpha=0.0, shuffle=False, batch_size=10, max_iter=20, learning_rate_init=rate)
    clf.set_params(weight_decay=w * rate * batches_per_epoch).fit(X, y)
    (coef,), (intercept,), _ = initial_layers([4, 3])
    kwargs = {"rate": rate, "batch_size": 10, "n_epochs": 20}
    theirs = adamw_by_hand(X, y, coef, intercept, decay=w, **kwargs)
    got = np.vstack([clf.coefs_[0], clf.intercepts_[0]])
    # exp(-rate w) and 1 - rate w differ by (rate w)^2 / 2 a step.
    assert_allclose(got, theirs, rtol=0, atol=160 * (rate * w) ** 2)
    without = adamw_by_hand(X, y, coef, intercept, decay=0.0, **kwargs)
    assert np.abs(got - without).max() > 0.05


@every_update
def test_weight_decay_is_not_a_penalty_of_the_objective(solver, linear_rule):
    X, y = linear_rule()
    clf = small(solver=solver, weight_decay=0.5, batch_size=60, max_iter=1, alpha=0.0, shuffle=False)
    clf.fit(X, y)
    # The loss of the only batch is that of the weights before the step.
    assert_allclose(
        clf.loss_, small(alpha=0.0).objective(X, y).value(small(alpha=0.0).objective(X, y).theta0), rtol=1e-12
    )


@every_update
def test_a_tiny_weight_decay_changes_nothing(solver, linear_rule):
    X, y = linear_rule()
    params = {"solver": solver, "batch_size": 16, "learning_rate_init": 0.01}
    plain = small(**params).fit(X, y)
    assert_allclose(flat(small(**params, weight_decay=1e-300).fit(X, y)), flat(plain), rtol=1e-12)
    assert np.abs(flat(small(**params, weight_decay=0.1).fit(X, y)) - flat(plain)).max() > 0.01


# The norm of the gradient


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("alpha", [0.0, 50.0])
def test_one_step_of_sgd_is_as_long_as_the_rate_times_max_grad_norm(alpha, kind, linear_rule):
    X, y = linear_rule(kind)
    clf = small(solver="sgd", momentum=0.0, max_iter=1, batch_size=60, learning_rate_init=0.5, alpha=alpha)
    objective = clf.objective(X, y)
    gradient = objective.gradient(objective.theta0)
    norm = np.linalg.norm(gradient)
    assert norm > 0.1
    for max_grad_norm in (0.01, 0.05, 0.999 * norm):
        step = flat(clf.set_params(max_grad_norm=max_grad_norm).fit(X, y)) - objective.theta0
        assert_allclose(np.linalg.norm(step), 0.5 * max_grad_norm, rtol=1e-10)
        assert_allclose(step, -0.5 * max_grad_norm / norm * gradient, rtol=1e-8, atol=1e-12)
    step = flat(clf.set_params(max_grad_norm=1.001 * norm).fit(X, y)) - objective.theta0
    assert_allclose(step, -0.5 * gradient, rtol=1e-8, atol=1e-12)


@every_update
def test_short_gradients_are_not_clipped(solver, linear_rule, assert_same_weights):
    X, y = linear_rule()
    params = {"solver": solver, "batch_size": 16, "learning_rate_init": 0.01}
    plain = small(**params).fit(X, y)
    assert_same_weights(small(**params, max_grad_norm=1e6).fit(X, y), plain)
    assert np.abs(flat(small(**params, max_grad_norm=0.01).fit(X, y)) - flat(plain)).max() > 1e-3


def test_the_gradient_of_each_batch_is_clipped(linear_rule):
    X, y = linear_rule("binary")
    clf = small(solver="sgd", momentum=0.0, max_iter=1, batch_size=20, shuffle=False, learning_rate_init=0.5, alpha=0.0)
    clf.set_params(max_grad_norm=0.1)
    theta = clf.objective(X, y).theta0
    norms = []
    for start in (0, 20, 40):
        batch = slice(start, start + 20)
        gradient = clf.objective(X[batch], y[batch]).gradient(theta)
        norms.append(np.linalg.norm(gradient))
        theta = theta - 0.5 * gradient * min(1.0, 0.1 / norms[-1])
    assert min(norms) > 0.1
    assert_allclose(flat(clf.fit(X, y)), theta, rtol=1e-10)


def test_weight_decay_does_not_count_towards_the_norm_of_the_gradient(linear_rule):
    X, y = linear_rule()
    params = {"solver": "sgd", "momentum": 0.0, "max_iter": 1, "batch_size": 60, "max_grad_norm": 0.05}
    clipped = small(**params, learning_rate_init=0.5).fit(X, y)
    both = small(**params, learning_rate_init=0.5, weight_decay=0.3).fit(X, y)
    for got, one, start in zip(both.coefs_, clipped.coefs_, initial_layers([4, 5, 3])[0], strict=True):
        assert_allclose(got, start * np.exp(-0.3) + (one - start), rtol=1e-10)


def test_clipping_prevents_divergence(linear_rule):
    X, y = linear_rule("binary")
    params = {"activation": "identity", "solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": 10}
    diverging = small(**params, learning_rate_init=1e3, max_iter=30)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        assert diverging.fit(X, y).n_iter_ < 30
    diverging.set_params(max_grad_norm=1e-3, n_iter_no_change=np.inf).fit(X, y)
    assert diverging.n_iter_ == 30
    assert np.isfinite(diverging.predict_proba(X)).all()


# Dropout


def mask_source(rng, level):
    """Draws masks as Dropout documents: a unit stays if its 16 random bits are at least the level. `rng` seeds the bits."""
    generator = np.random.SFC64(rng.randint(2**32, dtype=np.uint32))

    def draw(shape):
        n = np.prod(shape)
        return generator.random_raw(-(-n // 4)).view(np.uint16)[:n].reshape(shape) >= level

    return draw


def sgd_with_dropout_by_hand(X, y, rate, learning_rate, n_epochs):
    """Full batches on a 4-5-1 network of tanh and one logistic unit, with masks as Dropout draws them."""
    (W1, W2), (b1, b2), rng = initial_layers([4, 5, 1])
    losses, draw = [], mask_source(rng, rate * 2**16)
    for _ in range(n_epochs):
        kept = draw((len(X), 5))
        h = np.tanh(X @ W1 + b1)
        a = h * kept / (1 - rate)
        z = (a @ W2 + b2)[:, 0]
        losses.append(np.mean(np.logaddexp(0, z) - y * z))
        d2 = ((expit(z) - y) / len(X))[:, None]
        d1 = (d2 @ W2.T) * kept / (1 - rate) * (1 - h**2)
        W2, b2 = W2 - learning_rate * a.T @ d2, b2 - learning_rate * d2.sum(axis=0)
        W1, b1 = W1 - learning_rate * X.T @ d1, b1 - learning_rate * d1.sum(axis=0)
    return [W1, W2], [b1, b2], losses


@pytest.mark.parametrize("rate", [0.25, 0.75])
def test_training_with_dropout_equals_a_computation_by_hand(rate, linear_rule):
    X, y = linear_rule("binary")
    clf = small(activation="tanh", solver="sgd", momentum=0.0, alpha=0.0, shuffle=False, batch_size=60, max_iter=6)
    clf.set_params(dropout=rate, learning_rate_init=0.5).fit(X, y)
    coefs, intercepts, losses = sgd_with_dropout_by_hand(X, y, rate, 0.5, 6)
    for got, expected in zip(clf.coefs_ + clf.intercepts_, coefs + intercepts, strict=True):
        assert_allclose(got, expected, rtol=1e-10)
    assert_allclose(clf.loss_curve_, losses, rtol=1e-12)  # the losses of the networks with units left out


@every_update
def test_predictions_leave_nothing_out(solver, linear_rule):
    X, y = linear_rule("binary")
    clf = small(activation="tanh", solver=solver, dropout=0.5).fit(X, y)
    (W1, W2), (b1, b2) = clf.coefs_, clf.intercepts_
    expected = (np.tanh(X @ W1 + b1) @ W2 + b2)[:, 0]
    for _ in range(2):
        assert_allclose(clf.decision_function(X), expected, rtol=1e-12)
    assert_array_equal(clf.predict_proba(X), clf.predict_proba(X))


@every_update
def test_dropout_lowers_the_fit_of_the_training_data(solver):
    # Random labels can only be memorised.
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(80, 10)), rng.randint(2, size=80)
    params = {"hidden_layer_sizes": (60,), "solver": solver, "max_iter": 150, "n_iter_no_change": np.inf}
    params |= {"learning_rate_init": 0.01 if solver == "adam" else 0.1, "batch_size": 20}
    by_rate = [log_loss(y, small(**params, dropout=rate).fit(X, y).predict_proba(X)) for rate in (0.0, 0.5, 0.9)]
    assert by_rate[0] < 0.05
    assert by_rate[0] * 2 < by_rate[1] < by_rate[2] < np.log(2)


@every_update
@pytest.mark.parametrize("early_stopping", [False, True])
def test_dropout_is_drawn_by_random_state(solver, early_stopping, linear_rule, assert_same_weights):
    X, y = linear_rule()
    params = {"solver": solver, "dropout": 0.3, "batch_size": 16, "early_stopping": early_stopping}
    clf = small(**params).fit(X, y)
    again = small(**params).fit(X, y)
    assert_same_weights(clf, again)
    assert clf.loss_curve_ == again.loss_curve_
    # With the same start and without shuffling, another seed only leaves out other units.
    start = {"coef_init": clf.coefs_, "intercept_init": clf.intercepts_}
    one, other = (small(**params, shuffle=False).set_params(random_state=s).fit(X, y, **start) for s in (1, 2))
    assert np.abs(flat(one) - flat(other)).max() > 1e-6


@every_update
def test_a_rate_of_zero_is_no_dropout(solver, linear_rule, assert_same_weights):
    X, y = linear_rule()
    plain = small(solver=solver, batch_size=16).fit(X, y)
    for nothing in (0.0, 0, [0.0], [1e-9]):
        clf = small(solver=solver, batch_size=16, dropout=nothing).fit(X, y)
        assert_same_weights(clf, plain)
        assert clf.loss_curve_ == plain.loss_curve_
    assert small(solver=solver, batch_size=16, dropout=0.1).fit(X, y).loss_curve_ != plain.loss_curve_


def test_dropout_of_one_layer_leaves_the_other_whole(linear_rule):
    X, y = linear_rule("binary")
    params = {"hidden_layer_sizes": (50, 50), "max_iter": 1, "learning_rate_init": NO_STEP, "batch_size": 60}
    whole = small(**params).fit(X, y).loss_
    first, second, both = (small(**params, dropout=rates).fit(X, y).loss_ for rates in ([0.5, 0], [0, 0.5], [0.5, 0.5]))
    assert len({whole, first, second, both}) == 4
    # If the first layer has no masks, those of the second layer are the first that are drawn.
    (W1, W2, W3), (b1, b2, b3), rng = initial_layers([4, 50, 50, 1])
    rng.shuffle(rows := np.arange(60))
    kept = mask_source(rng, 2**15)((60, 50))
    a = np.maximum(np.maximum(X[rows] @ W1 + b1, 0) @ W2 + b2, 0) * kept * 2
    z = (a @ W3 + b3)[:, 0]
    penalty = 1e-4 / 120 * sum(np.sum(w**2) for w in (W1, W2, W3))
    assert_allclose(second, np.mean(np.logaddexp(0, z) - y[rows] * z) + penalty, rtol=1e-10)


def test_the_objective_has_no_dropout(linear_rule):
    X, y = linear_rule()
    with_dropout, without = small(dropout=0.5).objective(X, y), small().objective(X, y)
    assert with_dropout.value(without.theta0) == without.value(without.theta0)


# Label smoothing


def bound(e, n_classes):
    """The difference of logits that smoothed labels ask for: the log odds of the label and another."""
    return np.log((1 - e + e / n_classes) / (e / n_classes))


def separable(n_classes, n=40):
    """One feature for each class."""
    y = np.arange(n) % n_classes
    return np.eye(n_classes)[y], y


def converged(solver, **params):
    common = {"solver": solver, "alpha": 0.0, "tol": 1e-7, "max_iter": 3000, "random_state": 0}
    if solver in UPDATES:
        # Momentum swings past the minimum and back, for longer than the default patience.
        common |= {"learning_rate_init": 0.05 if solver == "adam" else 0.5, "tol": 1e-10, "n_iter_no_change": 100}
    return BackpropClassifier(**{**common, **params})


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("e", [0.02, 0.2])
def test_logits_of_separable_data_end_at_the_bound_of_smoothed_labels(solver, e):
    X, y = separable(3)
    clf = converged(solver, hidden_layer_sizes=(), label_smoothing=e).fit(X, y)
    logits = clf.decision_function(np.eye(3))
    gaps = np.diag(logits)[:, None] - logits
    assert_allclose(gaps[~np.eye(3, dtype=bool)], bound(e, 3), rtol=1e-2)
    # F is then the entropy of the smoothed label.
    p = np.array([1 - e + e / 3, e / 3, e / 3])
    assert_allclose(clf.loss_, -(p * np.log(p)).sum(), rtol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("hidden_layer_sizes", [(), (8,)])
def test_the_bound_is_that_of_the_number_of_classes(n_classes, hidden_layer_sizes):
    X, y = separable(n_classes)
    params = {"hidden_layer_sizes": hidden_layer_sizes, "activation": "tanh", "out_activation": "softmax"}
    clf = converged("lbfgs", label_smoothing=0.1, **params).fit(X, y)
    proba = clf.predict_proba(np.eye(n_classes))
    off = ~np.eye(n_classes, dtype=bool)
    log_odds = np.log(np.diag(proba)[:, None] / proba)[off]
    assert_allclose(log_odds, bound(0.1, n_classes), rtol=1e-2)


@pytest.mark.filterwarnings("ignore:y looks one-hot")
@pytest.mark.parametrize("kind", ["binary", "multilabel", "one-hot"])
def test_logistic_units_are_smoothed_towards_a_half(kind):
    X, y = separable(2 if kind == "binary" else 3)
    target = np.eye(3)[y].astype(int) if kind == "multilabel" else y
    params = {"out_activation": "logistic"} if kind == "one-hot" else {}
    clf = converged("lbfgs", hidden_layer_sizes=(), label_smoothing=0.1, **params).fit(X, target)
    assert clf.out_activation_ == "logistic"
    if kind == "binary":
        assert_allclose(clf.decision_function(np.eye(2)), [-bound(0.1, 2), bound(0.1, 2)], rtol=1e-2)
        return
    signs = 2.0 * np.eye(3) - 1.0
    assert_allclose(clf.decision_function(np.eye(3)), signs * bound(0.1, 2), rtol=1e-2)


def test_without_smoothing_logits_grow_beyond_any_bound():
    X, y = separable(3)
    clf = converged("lbfgs", hidden_layer_sizes=(), tol=1e-12).fit(X, y)
    logits = clf.decision_function(np.eye(3))
    assert (np.diag(logits)[:, None] - logits)[~np.eye(3, dtype=bool)].min() > bound(1e-6, 3)


@pytest.mark.parametrize("e", [0.1, 0.9])
def test_the_objective_counts_smoothed_labels(e, linear_rule):
    X, y = linear_rule()
    clf = small(label_smoothing=e, alpha=3.0)
    objective = clf.objective(X, y)
    theta = np.random.RandomState(1).normal(size=objective.theta0.size)
    fitted = objective.with_theta(theta)
    target = (1 - e) * np.eye(3)[y] + e / 3
    loss = -(target * log_softmax(fitted.decision_function(X), axis=1)).sum(axis=1).mean()
    penalty = 3.0 / 120 * sum(np.sum(w**2) for w in fitted.coefs_)
    assert_allclose(objective.value(theta), loss + penalty, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "out_activation"),
    [(kind, out) for kind in ("binary", "multiclass") for out in LOSSES] + [("multilabel", "logistic")],
)
def test_derivatives_of_the_objective_count_smoothed_labels(kind, out_activation, linear_rule):
    X, y = linear_rule(kind)
    w = np.random.RandomState(1).exponential(size=60)
    clf = small(label_smoothing=0.3, activation="tanh", out_activation=out_activation, alpha=[0.5, 2.0])
    for check in (check_gradient, check_hessian_product):
        assert check(clf, X, y, w).passed
        assert check(clf.fit(X, y, w), X, y, w).passed


@every_update
def test_the_loss_of_training_is_of_smoothed_labels_and_that_of_validation_is_not(solver, linear_rule):
    X, y = linear_rule()
    params = {"solver": solver, "learning_rate_init": NO_STEP, "batch_size": 60, "alpha": 0.0}
    clf = small(**params, label_smoothing=0.3).fit(X, y, X_val=X, y_val=y)
    log_proba = clf.predict_log_proba(X)
    plain = -log_proba[np.arange(60), y].mean()
    assert_allclose(clf.validation_loss_curve_, plain, rtol=1e-12)
    assert_allclose(clf.loss_curve_, 0.7 * plain - 0.1 * log_proba.sum(axis=1).mean(), rtol=1e-12)


# Together


@every_update
def test_all_of_them_together_act_in_order(solver, linear_rule):
    """In one full batch the gradient of smoothed labels is clipped, the weights decay, and the rule takes its step."""
    X, y = linear_rule()
    e, decay, c, rate = 0.2, 0.4, 0.05, 0.1
    params = {"solver": solver, "alpha": [2.0, 0.5], "label_smoothing": e, "learning_rate_init": rate, "max_iter": 1}
    clf = small(**params, weight_decay=decay, max_grad_norm=c, batch_size=60, shuffle=False)
    if solver == "sgd":
        clf.set_params(momentum=0.0)
    objective = clf.objective(X, y)
    gradient = objective.gradient(objective.theta0)
    gradient *= c / np.linalg.norm(gradient)
    n_weights = 4 * 5 + 5 * 3
    decayed = objective.theta0 * np.where(np.arange(objective.theta0.size) < n_weights, np.exp(-decay), 1.0)
    # The first step of Adam is as long as the rate along every axis.
    step = gradient if solver == "sgd" else gradient / (np.abs(gradient) + 1e-8 / np.sqrt(1e-3))
    assert_allclose(flat(clf.fit(X, y)), decayed - rate * step, rtol=1e-9, atol=1e-12)


@every_update
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_training_with_all_of_them_learns(solver, schedule):
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    clf = BackpropClassifier(
        (20, 10),
        activation=["gelu", "tanh"],
        solver=solver,
        learning_rate=schedule,
        learning_rate_init=0.02 if solver == "adam" else 0.1,
        power_t=0.1 if schedule == "invscaling" else 0.5,
        warmup_fraction=0.1,
        max_iter=15,
        alpha=[0.1, 0.2, 0.3],
        dropout=[0.1, 0.2],
        weight_decay=0.01,
        label_smoothing=0.1,
        max_grad_norm=1.0,
        class_weight="balanced",
        early_stopping=True,
        scoring="loss",
        random_state=0,
    ).fit(X, y)
    assert clf.score(X, y) > 0.95
    assert clf.best_validation_score_ == max(clf.validation_scores_) > -0.3
