"""How the training of an ensemble ends: patience, time, interrupts, divergence."""

import contextlib
import itertools
import math
import re
import time
import warnings

import numpy as np
import pytest
from interrupting import interrupt_at
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from small_ensembles import ROWS, SOLVER_KINDS, assert_same_members, assert_same_network, assert_usable, small
from toy_datasets import even_folds

from skbp import NothingLearnedWarning

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def epochs_by_patience(curves, tol, patience):
    """The epoch in which training ends: no member has improved on its best loss by tol for longer than the patience."""
    counts, best = np.zeros(len(curves), int), np.full(len(curves), np.inf)
    for epoch, losses in enumerate(zip(*curves, strict=True), start=1):
        for i, loss in enumerate(losses):
            counts[i] = 0 if loss <= best[i] - tol else counts[i] + 1
            best[i] = np.fmin(best[i], loss)
        if not np.isnan(losses).any() and (counts > patience).all():
            return epoch
    return None


@pytest.mark.parametrize("batch_size", [8, 40], ids=["every epoch", "every fourth epoch"])
@pytest.mark.parametrize("patience", [1, 3, 10])
def test_training_ends_when_no_member_has_improved_for_longer_than_the_patience(patience, batch_size):
    X, y = even_folds()
    clf = small(n_iter_no_change=patience, batch_size=batch_size, max_iter=300, tol=1e-3).fit(X, y)
    assert 10 < clf.n_iter_ < 300
    assert epochs_by_patience(clf.validation_loss_curves_, 1e-3, patience) == clf.n_iter_
    # Training without patience gives the same weights at this epoch.
    longer = small(batch_size=batch_size, max_iter=clf.n_iter_).fit(X, y)
    assert_same_members(clf, longer, rtol=0.0, atol=0.0)


def test_an_adaptive_learning_rate_is_lowered_when_all_members_have_stalled():
    X, y = even_folds()
    clf = small(learning_rate="adaptive", n_iter_no_change=2, tol=0.01, max_iter=60, dropout=0.0).fit(X, y)
    rates = np.array(clf.members_[0].learning_rate_curve_)
    falls = np.flatnonzero(np.diff(rates))
    assert len(falls) > 1
    assert_allclose(rates[falls + 1] / rates[falls], 0.2)
    assert epochs_by_patience(clf.validation_loss_curves_, 0.01, 2) == falls[0] + 1
    assert all(member.learning_rate_curve_ == list(rates) for member in clf.members_)


@contextlib.contextmanager
def warned(match, n=1):
    """One ConvergenceWarning with this text that points to this file, and no other warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    caught = [w for w in caught if not issubclass(w.category, NothingLearnedWarning)]  # from short fits
    said = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    assert len(said) == n == len(caught)
    for one in said:
        assert re.search(match, str(one.message)), str(one.message)
        assert one.filename == __file__


@pytest.mark.parametrize("batch_size", [8, 40], ids=["every epoch", "every fourth epoch"])
def test_max_time_that_is_up_at_once_ends_training_together_after_one_epoch(batch_size):
    X, y = even_folds()
    clf = small(max_time=1e-9, batch_size=batch_size, max_iter=100)
    with warned("Training stopped after iteration 1, since max_time=1e-09 seconds have passed"):
        clf.fit(X, y)
    assert (clf.n_iter_, clf.best_iters_.tolist()) == (1, [1] * 5)
    assert_usable(clf, X, y)


def test_max_time_that_is_up_at_once_ends_training_one_by_one_after_one_iteration_each():
    X, y = even_folds()
    clf = small(solver="lbfgs", max_time=1e-9, max_iter=100)
    with warned("5 of 5 members: Training stopped after iteration 1"):
        clf.fit(X, y)
    assert [member.n_iter_ for member in clf.members_] == [1] * 5
    assert [member.max_time for member in clf.members_] == [1e-9] * 5
    assert_usable(clf, X, y)


@pytest.mark.parametrize("solver", ["sgd", "cg"])
def test_training_stops_soon_after_max_time_and_every_member_trains(solver):
    X, y = even_folds(n_rows=400)
    clf = small(
        solver=solver,
        max_time=0.5,
        max_iter=10**6,
        n_iter_no_change=np.inf,
        tol=0.0,
        hidden_layer_sizes=(40,),
        alpha=0.0,
    )
    started, computed = time.perf_counter(), time.process_time()
    with warned("max_time="):
        clf.fit(X, y)
    assert 0.4 < time.perf_counter() - started < 60.0
    assert time.process_time() - computed < 10.0  # other work on the machine does not count
    assert min(member.n_iter_ for member in clf.members_) >= 1


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_max_time_that_is_not_reached_changes_nothing(solver):
    X, y = even_folds()
    assert_same_members(
        small(solver=solver, max_time=600.0).fit(X, y), small(solver=solver).fit(X, y), rtol=0.0, atol=0.0
    )


def test_max_iter_gives_a_warning_unless_the_schedule_ends_there():
    X, y = even_folds()
    with warned(r"Maximum iterations \(6\) reached"):
        small().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(learning_rate="cosine").fit(X, y)
        small(n_iter_no_change=1, tol=0.5, max_iter=50).fit(X, y)


def test_one_warning_counts_the_members_that_have_not_converged():
    X, y = even_folds()
    with warned(r"5 of 5 members: lbfgs failed to converge after 6 iteration\(s\)"):
        small(solver="lbfgs").fit(X, y)


@pytest.mark.parametrize("batch_size", [8, 40], ids=["every epoch", "every fourth epoch"])
def test_an_interrupt_of_members_trained_together_keeps_the_best_weights(batch_size):
    X, y = even_folds()
    params = {"batch_size": batch_size, "learning_rate_init": 0.1, "dropout": 0.0}
    clf = small(**params, max_iter=50, verbose=1)
    with interrupt_at(6), warned("interrupted by user after 6 iterations"):
        clf.fit(X, y)
    assert clf.n_iter_ == 6
    assert_usable(clf, X, y)
    assert_same_members(clf, small(**params, max_iter=6).fit(X, y), rtol=0.0, atol=0.0)


@pytest.mark.parametrize(("n", "left"), [(1, 1), (3, 3), (5, 5)])
def test_an_interrupt_of_members_trained_one_by_one_keeps_those_trained_so_far(n, left):
    X, y = even_folds()
    clf = small(solver="lbfgs", max_iter=8, verbose=1)
    with interrupt_at(4, n), warned(f"{left} of 5 members:"):
        clf.fit(X, y)
    assert len(clf.members_) == len(clf.oof_indices_) == len(clf.best_iters_) == left
    assert [member.n_iter_ for member in clf.members_] == [8] * (left - 1) + [4]
    assert_usable(clf, X, y)
    seen = np.isin(ROWS, np.concatenate(clf.oof_indices_))
    assert_array_equal(np.isfinite(clf.oof_proba_).all(axis=1), seen)
    assert_allclose(clf.oof_log_loss_, log_loss(y[seen], clf.oof_proba_[seen]), rtol=1e-9)
    whole = small(solver="lbfgs", max_iter=8).fit(X, y)
    for member, other in itertools.islice(zip(clf.members_, whole.members_, strict=False), left - 1):
        assert_same_network(member, other, rtol=0.0, atol=0.0)


def test_an_interrupted_ensemble_can_be_trained_again():
    X, y = even_folds()
    clf = small(verbose=1, max_iter=50)
    with interrupt_at(2), warned("interrupted"):
        clf.fit(X, y)
    assert_same_members(clf.set_params(verbose=0, max_iter=6).fit(X, y), small().fit(X, y), rtol=0.0, atol=0.0)


# Steps that are too large: along the penalty, with an evaluation after every epoch, and of a linear network.
DIVERGING = [
    {"batch_size": 8, "learning_rate_init": 1.0, "alpha": 50.0, "momentum": 0.0},
    {"batch_size": 40, "learning_rate_init": 1.0, "hidden_layer_sizes": (20, 20)},
]


@pytest.mark.parametrize("params", DIVERGING, ids=["every epoch", "every fourth epoch"])
def test_divergence_keeps_the_best_finite_weights_with_a_warning(params):
    X, y = even_folds()
    params = {"solver": "sgd", "activation": "identity", "dropout": 0.0, **params}
    clf = small(**params, max_iter=100)
    with warned(r"Training diverged: the objective was not finite in iteration (\d+)"):
        clf.fit(X, y)
    assert 4 < clf.n_iter_ < 100
    assert clf.best_iters_.min() > 0
    assert np.isfinite(clf.predict_proba(X)).all()
    for member in clf.members_:
        # The folds are always evaluated in the last epoch.
        losses = member.validation_loss_curve_
        assert losses[member.best_iter_ - 1] == np.nanmin(losses)
        assert not math.isnan(losses[-1])
