"""Training that continues: partial_fit and warm_start."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose
from registries import SOLVERS, UPDATES
from scipy.special import expit
from sklearn.base import clone
from small_networks import assert_same_weights, fitted_state, for_mini_batches, partial_fits, same_weights, small
from toy_datasets import TARGETS, linear_rule

from skbp import BackpropClassifier

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

STOCHASTIC = [
    {"solver": "adam"},
    {"solver": "adam", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
    {"solver": "sgd", "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.5},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2, "learning_rate_init": 0.1},
]


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("params", STOCHASTIC, ids=lambda p: "-".join(map(str, p.values())))
def test_n_calls_of_partial_fit_are_n_epochs_of_fit(params, pickled):
    X, y = linear_rule("multiclass")
    clf = small(shuffle=False, batch_size=16, max_iter=12, **params)
    whole = clone(clf).fit(X, y)
    assert whole.n_iter_ == 12  # otherwise the comparison would end too early
    parts = partial_fits(clone(clf), X, y, 12, pickled)
    assert_same_weights(parts, whole)
    assert parts.loss_curve_ == whole.loss_curve_
    assert (parts.t_, parts.loss_, parts.best_loss_) == (whole.t_, whole.loss_, whole.best_loss_)
    if params.get("learning_rate", "constant") != "constant":
        assert not same_weights(whole, clone(clf).set_params(learning_rate="constant", power_t=0.5, tol=0.0).fit(X, y))


def test_successive_calls_of_partial_fit_shuffle_differently():
    # Stochastic gradient descent, row by row on one logistic unit, with a generator of the test.
    X, y = linear_rule("binary", n_rows=12)
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


@pytest.mark.parametrize("kind", TARGETS)
def test_early_stopping_has_no_effect_on_partial_fit(kind):
    X, y = linear_rule(kind)
    stopping = partial_fits(small(early_stopping=True), X, y, 5)
    assert_same_weights(stopping, partial_fits(small(), X, y, 5))
    assert stopping.validation_scores_ is None
    assert stopping.best_loss_ == min(stopping.loss_curve_)


def test_partial_fit_continues_after_fit():
    X, y = linear_rule("binary")
    clf = small(shuffle=False, max_iter=3).fit(X, y)
    assert_same_weights(partial_fits(clf, X, y, 4), small(shuffle=False, max_iter=7).fit(X, y))


def test_partial_fit_accepts_classes_that_occur_later():
    X, y = linear_rule("multiclass", n_rows=120)
    clf = small(learning_rate_init=0.02)
    first = y < 2
    clf.partial_fit(X[first], y[first], classes=[0, 1, 2])
    assert clf.predict_proba(X).shape == (120, 3)
    for _ in range(60):
        clf.partial_fit(X, y)
    assert clf.score(X, y) > 0.7
    assert set(clf.predict(X)) == {0, 1, 2}


def test_partial_fit_exists_for_stochastic_solvers_only():
    for solver in SOLVERS:
        assert hasattr(BackpropClassifier(solver=solver), "partial_fit") == (solver in UPDATES)


def test_warm_start_continues_weights_and_loss_curve():
    X, y = linear_rule("multiclass")
    clf = small(solver="sgd", momentum=0.0, shuffle=False, warm_start=True, max_iter=4).fit(X, y)
    first = list(clf.loss_curve_)
    clf.fit(X, y)
    whole = small(solver="sgd", momentum=0.0, shuffle=False, max_iter=8).fit(X, y)
    assert_same_weights(clf, whole)
    assert clf.loss_curve_[:4] == first
    assert clf.loss_curve_ == whole.loss_curve_
    assert (clf.n_iter_, clf.t_) == (4, whole.t_)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_lowers_the_loss_at_which_training_stopped(solver):
    X, y = linear_rule("multiclass")
    clf = small(warm_start=True, max_iter=8, **for_mini_batches(solver, learning_rate_init=0.01)).fit(X, y)
    n_first, last = len(clf.loss_curve_), clf.loss_curve_[-1]
    clf.fit(X, y)
    assert clf.loss_curve_[n_first] < 1.05 * last < clf.loss_curve_[0]
    assert clf.loss_curve_[-1] < last


def test_a_warm_start_after_convergence_has_the_full_patience_again():
    X, y = linear_rule("binary")
    clf = small(warm_start=True, learning_rate_init=0.1, n_iter_no_change=4, tol=0.05, max_iter=100).fit(X, y)
    assert clf.n_iter_ < 100
    curve = len(clf.loss_curve_)
    clf.fit(X, y)
    # The first epoch counts as an improvement. More than n_iter_no_change epochs without improvement then end training.
    assert 4 + 2 <= clf.n_iter_ < 100
    assert len(clf.loss_curve_) == curve + clf.n_iter_


def test_a_warm_start_with_early_stopping_keeps_weights_that_it_cannot_improve():
    # The classes are far apart, so the first fit is right for every row and no later epoch is better.
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
    X, y = linear_rule("multiclass")
    clf = small(solver=solver, early_stopping=True).fit(*linear_rule("binary", seed=3))
    clf.fit(X, y)
    fresh = clone(clf).fit(X, y)
    assert_same_weights(clf, fresh)
    assert fitted_state(clf) == fitted_state(fresh)
    if solver in UPDATES:
        partial_fits(clf, X, y, 2)
        assert fitted_state(clf.fit(X, y)) == fitted_state(fresh)
