"""Training ends at the right time with the right weights and says why, with every solver."""

import math
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skbp import Activation, BackpropClassifier
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SCIPY_METHODS, SOLVERS
from skbp._training.updates import UPDATES

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_update = pytest.mark.parametrize("solver", UPDATES)


def small(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0, **params})


def for_mini_batches(solver, **params):
    """The solver, and the parameters if it trains by mini-batches."""
    return {"solver": solver} | (params if solver in UPDATES else {})


@pytest.fixture
def convergence_warnings(warnings_of):
    """A function that gives the messages of a call about convergence."""

    def convergence_warnings(function, *args):
        return [str(w.message) for w in warnings_of(function, *args) if w.category is ConvergenceWarning]

    return convergence_warnings


# The learning rate


CLOSED_FORMS = {
    "constant": lambda p: 1.0,
    "cosine": lambda p: math.cos(math.pi * p / 2) ** 2,
    "linear": lambda p: 1.0 - p,
    "one-cycle": lambda p: (
        0.04 + 0.96 * math.sin(math.pi / 2 * p / 0.3) ** 2
        if p < 0.3
        else 4e-6 + (1 - 4e-6) * math.cos(math.pi / 2 * (p - 0.3) / 0.7) ** 2
    ),
}
# These depend on more than the progress.
OF_THEIR_OWN = {"invscaling", "adaptive"}
OPEN_ENDED = {"constant", "invscaling", "adaptive"}


def square(p):
    return p * p + 0.25


FUNCTIONS = CLOSED_FORMS | {"a function": square}


def schedule_named(name):
    return square if name == "a function" else name


def test_every_schedule_is_tested():
    assert set(CLOSED_FORMS) | OF_THEIR_OWN == set(SCHEDULES)


@every_update
@pytest.mark.parametrize("batch_size", [60, 25])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.3, 0.05])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_learning_rate_curve_has_the_rate_of_each_epochs_first_step(
    name, warmup_fraction, batch_size, solver, linear_rule
):
    X, y = linear_rule()
    clf = small(solver=solver, learning_rate=schedule_named(name), learning_rate_init=0.02, max_iter=10)
    clf.set_params(warmup_fraction=warmup_fraction, batch_size=batch_size).fit(X, y)
    step = batch_size / 60 / 10
    expected = []
    for p in np.arange(10) / 10:
        if warmup_fraction == 0.0:
            expected.append(0.02 * FUNCTIONS[name](p))
        else:
            after = max(0.0, (p - warmup_fraction) / (1 - warmup_fraction))
            expected.append(0.02 * min(1.0, (p + step) / warmup_fraction) * FUNCTIONS[name](after))
    assert_allclose(clf.learning_rate_curve_, expected, rtol=1e-10)
    assert {type(rate) for rate in clf.learning_rate_curve_} == {float}


@every_update
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.5])
def test_learning_rate_curve_of_invscaling_falls_with_the_samples_seen(solver, warmup_fraction, linear_rule):
    X, y = linear_rule()
    clf = small(solver=solver, learning_rate="invscaling", power_t=0.3, learning_rate_init=0.02, batch_size=60)
    clf.set_params(warmup_fraction=warmup_fraction).fit(X, y)
    warmth = [1 / 3, 2 / 3, 1, 1, 1, 1] if warmup_fraction else [1] * 6
    assert_allclose(
        clf.learning_rate_curve_, [0.02 * w / (60 * k + 1) ** 0.3 for k, w in enumerate(warmth)], rtol=1e-12
    )


@every_update
def test_learning_rate_curve_of_adaptive_falls_to_a_fifth_with_every_stall(solver, linear_rule):
    X, y = linear_rule()
    # After the first epoch nothing improves by this much. Two epochs without improvement are a stall.
    clf = small(solver=solver, learning_rate="adaptive", tol=100.0, n_iter_no_change=1, learning_rate_init=0.02)
    clf.set_params(max_iter=7).fit(X, y)
    assert_allclose(clf.learning_rate_curve_, 0.02 / np.array([1, 1, 1, 5, 5, 25, 25]), rtol=1e-12)


@every_update
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_steps_of_a_schedule_are_those_of_plain_training_at_its_rates(name, solver, linear_rule):
    # With one batch an epoch, and without momentum and moments, each epoch equals a fit of its own.
    X, y = linear_rule()
    rule = {"momentum": 0.0} if solver == "sgd" else {"beta_1": 0.0, "beta_2": 0.0, "epsilon": 1e-3}
    params = {"solver": solver, "batch_size": 60, "shuffle": False, **rule}
    clf = small(**params, learning_rate=schedule_named(name), learning_rate_init=0.05).fit(X, y)
    layers = {}
    for k in range(6):
        by_hand = small(**params, max_iter=1, learning_rate_init=0.05 * FUNCTIONS[name](k / 6))
        by_hand.fit(X, y, **layers)
        layers = {"coef_init": by_hand.coefs_, "intercept_init": by_hand.intercepts_}
    for got, expected in zip(clf.coefs_ + clf.intercepts_, by_hand.coefs_ + by_hand.intercepts_, strict=True):
        assert_allclose(got, expected, rtol=1e-10)


@pytest.mark.parametrize("solver", SCIPY_METHODS)
def test_methods_without_a_learning_rate_have_no_curve_of_it(solver, linear_rule):
    assert small(solver=solver).fit(*linear_rule()).learning_rate_curve_ is None


@every_update
@pytest.mark.parametrize("name", [*SCHEDULES, "a function"])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.3])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_schedule_that_ends_with_training_gives_no_warning_at_max_iter(
    name, solver, warmup_fraction, early_stopping, linear_rule, convergence_warnings
):
    X, y = linear_rule()
    clf = small(solver=solver, learning_rate=schedule_named(name), warmup_fraction=warmup_fraction)
    said = convergence_warnings(clf.set_params(early_stopping=early_stopping).fit, X, y)
    assert clf.n_iter_ == 6
    if name in OPEN_ENDED:
        assert len(said) == 1
        assert "Maximum iterations (6) reached" in said[0]
    else:
        assert said == []


@every_update
def test_a_schedule_that_ends_with_training_may_still_stall(solver, linear_rule, convergence_warnings):
    X, y = linear_rule()
    clf = small(solver=solver, learning_rate="cosine", tol=100.0, n_iter_no_change=1)
    assert convergence_warnings(clf.fit, X, y) == []
    assert clf.n_iter_ == 3


# The end of a schedule in partial_fit


@every_update
@pytest.mark.parametrize("name", ["cosine", "linear", "a function"])
def test_partial_fit_warns_when_its_schedule_has_come_to_zero(name, solver, linear_rule, assert_same_weights):
    X, y = linear_rule()
    schedule = (lambda p: max(0.0, 1.0 - p)) if name == "a function" else name
    clf = small(solver=solver, learning_rate=schedule, max_iter=3, weight_decay=0.1)
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1, 2])  # every warning but a ConvergenceWarning is an error
    before = clone(clf).partial_fit(X, y, classes=[0, 1, 2])
    before.coefs_, before.intercepts_ = clf.coefs_, clf.intercepts_
    for _ in range(2):
        with pytest.warns(
            UserWarning, match=r"is 0 now: all calls together have made max_iter=3 epochs.*Raise max_iter"
        ) as caught:
            clf.partial_fit(X, y)
        assert f"learning_rate={schedule!r}" in str(caught[0].message)
        assert caught[0].filename == __file__
    assert clf.learning_rate_curve_[3:] == [0.0, 0.0]
    if solver == "adam":  # the velocity of sgd goes on, more and more slowly
        assert_same_weights(clf, before)
    # More epochs are the remedy that the warning names.
    clf.set_params(max_iter=20).partial_fit(X, y)
    assert clf.learning_rate_curve_[-1] > 0.0


@every_update
@pytest.mark.parametrize("name", ["constant", "invscaling", "adaptive", "one-cycle"])
def test_partial_fit_goes_on_for_ever_if_the_schedule_has_no_zero(name, solver, linear_rule):
    X, y = linear_rule()
    clf = small(solver=solver, learning_rate=name, max_iter=2)
    for _ in range(5):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert len(clf.learning_rate_curve_) == 5
    assert min(clf.learning_rate_curve_) > 0.0


@every_update
def test_partial_fit_after_a_fit_is_at_the_end_of_its_schedule(solver, linear_rule):
    X, y = linear_rule()
    clf = small(solver=solver, learning_rate="linear").fit(X, y)
    with pytest.warns(UserWarning, match="is 0 now: all calls together have made max_iter=6 epochs"):
        clf.partial_fit(X, y)


# Time


@every_solver
@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_without_time_ends_after_one_iteration_with_a_warning(
    solver, early_stopping, linear_rule, assert_same_weights, convergence_warnings
):
    X, y = linear_rule()
    clf = small(solver=solver, early_stopping=early_stopping, tol=1e-9, max_iter=50)
    short = clone(clf).set_params(max_time=1e-9)
    said = convergence_warnings(short.fit, X, y)
    assert len(said) == 1
    assert "after iteration 1, since max_time=1e-09 seconds have passed" in said[0]
    assert short.n_iter_ == len(short.loss_curve_) == short.best_iter_ == 1
    assert_same_weights(short, clone(clf).set_params(max_iter=1).fit(X, y))
    assert short.score(X, y) == np.mean(short.predict(X) == y)
    # Training can go on from there.
    short.set_params(warm_start=True, max_time=None).fit(X, y)
    assert short.loss_ < short.loss_curve_[0]


@every_solver
def test_training_stops_soon_after_its_time_is_up(solver, linear_rule, convergence_warnings):
    X, y = linear_rule(n_rows=3000, noise=3.0)
    clf = small(hidden_layer_sizes=(30,), solver=solver, max_time=0.15, max_iter=10**6, tol=0.0, max_fun=10**9)
    if solver in UPDATES:
        clf.set_params(max_fun=15000, n_iter_no_change=np.inf)
    started = time.perf_counter()
    said = convergence_warnings(clf.fit, X, y)
    seconds = time.perf_counter() - started
    assert "since max_time=0.15 seconds have passed" in said[0]
    # One iteration of a Newton method may take a while, on a busy machine even longer.
    assert 0.15 <= seconds < 10.0
    assert clf.n_iter_ == len(clf.loss_curve_) > 1
    assert clf.loss_curve_[-1] < clf.loss_curve_[0]
    assert np.isfinite(clf.predict_proba(X)).all()


@every_solver
def test_time_enough_changes_nothing(solver, linear_rule, assert_same_weights):
    X, y = linear_rule()
    assert_same_weights(small(solver=solver, max_time=1e6).fit(X, y), small(solver=solver).fit(X, y))


@every_solver
def test_with_early_stopping_the_best_weights_are_kept_when_the_time_is_up(
    solver, linear_rule, assert_same_weights, convergence_warnings
):
    X, y = linear_rule(n_rows=80)
    n_scores = 0

    def score(estimator, X, y):
        """A score that falls. The fourth takes long."""
        nonlocal n_scores
        n_scores += 1
        time.sleep(0.3 if n_scores == 4 else 0.0)
        return -float(n_scores)

    clf = small(solver=solver, early_stopping=True, scoring=score, max_iter=50, tol=1e-9)
    timed = clone(clf).set_params(max_time=0.3)
    said = convergence_warnings(timed.fit, X, y)
    assert "max_time=0.3" in said[0]
    assert timed.best_iter_ == 1
    assert timed.n_iter_ <= 4
    n_scores = 10
    assert_same_weights(timed, clone(clf).set_params(max_iter=1).fit(X, y))


@every_update
def test_max_time_has_no_effect_on_partial_fit(solver, linear_rule, convergence_warnings):
    X, y = linear_rule()
    clf = small(solver=solver, max_time=1e-9)
    for _ in range(3):
        assert convergence_warnings(clf.partial_fit, X, y, None, [0, 1, 2]) == []
    assert clf.n_iter_ == 1
    assert len(clf.loss_curve_) == 3


# The best iteration


@every_solver
@pytest.mark.parametrize("scoring", [None, "loss"])
@pytest.mark.parametrize("own_data", [False, True])
def test_best_iter_is_the_iteration_of_the_weights_that_are_kept(
    solver, scoring, own_data, linear_rule, assert_same_weights
):
    X, y = linear_rule(n_rows=80)
    own = dict(zip(("X_val", "y_val"), linear_rule(n_rows=40, seed=1), strict=True)) if own_data else {}
    clf = small(early_stopping=True, scoring=scoring, max_iter=60, alpha=0.0, n_iter_no_change=5)
    clf.set_params(tol=1e-9, hidden_layer_sizes=(20,), **for_mini_batches(solver, learning_rate_init=0.1))
    clf.fit(X, y, **own)
    scores = clf.validation_scores_
    assert clf.best_iter_ == np.argmax(scores) + 1 < clf.n_iter_ == len(scores)
    assert clf.best_validation_score_ == scores[clf.best_iter_ - 1] == max(scores)
    assert_same_weights(clf, clone(clf).set_params(max_iter=clf.best_iter_).fit(X, y, **own))
    if own_data:
        log_proba = log_loss(own["y_val"], clf.predict_proba(own["X_val"]))
        assert clf.validation_loss_curve_[clf.best_iter_ - 1] == pytest.approx(log_proba, rel=1e-10)


@every_solver
def test_without_early_stopping_the_last_iteration_is_the_best(solver, linear_rule):
    X, y = linear_rule()
    clf = small(solver=solver).fit(X, y, X_val=X, y_val=y)
    assert clf.best_iter_ == clf.n_iter_ == 6
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert clf.best_loss_ == min(clf.loss_curve_)


@every_solver
def test_best_iter_counts_the_iterations_of_all_calls_of_a_warm_start(solver, linear_rule):
    X, y = linear_rule(n_rows=80)
    own = dict(zip(("X_val", "y_val"), linear_rule(n_rows=40, seed=1), strict=True))
    clf = small(early_stopping=True, scoring="loss", warm_start=True, max_iter=2, alpha=0.0, tol=1e-9)
    clf.set_params(**for_mini_batches(solver, learning_rate_init=0.05, batch_size=10)).fit(X, y, **own)
    first = clf.best_iter_, clf.best_validation_score_
    assert first[0] == 2
    clf.fit(X, y, **own)  # the loss still falls
    assert clf.best_iter_ in (3, 4)
    assert clf.best_validation_score_ == clf.validation_scores_[clf.best_iter_ - 1] > first[1]
    assert len(clf.validation_scores_) == len(clf.loss_curve_) == 4
    best = clf.best_iter_, clf.best_validation_score_, clf.coefs_[0]
    clf.fit(X, (y + 1) % 3, **own)  # these labels are wrong
    assert len(clf.validation_scores_) == 6
    assert (clf.best_iter_, clf.best_validation_score_) == best[:2]
    assert_array_equal(clf.coefs_[0], best[2])


# Objectives that are not finite


def wall(a, out, height):
    out[np.abs(a) > height] = np.nan
    return out


def identity_up_to(height):
    """The identity, but nan beyond a height. Training that goes too far has no objective any more."""
    return Activation(
        lambda z, out: wall(np.positive(z, out=out), out, height),
        lambda a, out: wall(a, np.add(a * 0.0, 1.0, out=out), height),
    )


@every_solver
@pytest.mark.parametrize("early_stopping", [False, True])
def test_if_the_objective_becomes_nan_the_last_finite_weights_are_kept(
    solver, early_stopping, linear_rule, assert_same_weights, convergence_warnings
):
    X, y = linear_rule(noise=0.0)
    clf = small(activation=identity_up_to(6.0), alpha=0.0, max_iter=300, early_stopping=early_stopping, tol=1e-12)
    clf.set_params(**for_mini_batches(solver, learning_rate_init=0.1, batch_size=20))
    if solver in UPDATES or early_stopping:
        clf.set_params(n_iter_no_change=300)
    said = convergence_warnings(clf.fit, X, y)
    assert 1 <= clf.n_iter_ == len(clf.loss_curve_) < 300
    assert np.isfinite(clf.loss_curve_).all()
    assert len(said) == 1
    if solver in UPDATES:
        assert (
            f"not finite in iteration {clf.n_iter_ + 1}. The weights after iteration {clf.n_iter_} are kept" in said[0]
        )
    else:  # these methods step back, and may give up
        assert "diverged" in said[0] or "failed to converge" in said[0]
        assert math.isfinite(clf.loss_)
    kept = clf.best_iter_
    assert kept == (np.argmax(clf.validation_scores_) + 1 if early_stopping else clf.n_iter_)
    assert np.isfinite(np.concatenate([a.ravel() for a in clf.coefs_])).all()
    assert_same_weights(clf, clone(clf).set_params(max_iter=kept).fit(X, y))
    assert clf.score(X, y) > 0.6
    # The classifier can still be trained.
    clf.set_params(activation="tanh", max_iter=20).fit(X, y)
    assert clf.n_iter_ <= 20
