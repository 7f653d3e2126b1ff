"""Divergence, errors and interrupts: what was trained is kept, and the process is as before."""

import contextlib
import copy

import numpy as np
import pandas as pd
import pytest
from interrupting import Hook, interrupt_at
from numpy.testing import assert_array_equal
from registries import SOLVERS, UPDATES
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from small_networks import assert_same_weights, diverging, fitted_state, partial_fits, same_weights, small
from threadpoolctl import threadpool_info, threadpool_limits
from toy_datasets import linear_rule

import skbp

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_divergence_keeps_the_weights_of_the_last_finite_epoch():
    X, y = linear_rule("binary")
    with pytest.warns(ConvergenceWarning, match=r"diverged.*learning_rate_init, now 1000") as record:
        clf = diverging().fit(X, y)
    assert 1 < clf.n_iter_ < 30
    assert f"iteration {clf.n_iter_ + 1}" in str(record[0].message)
    assert [one.category for one in record] == [ConvergenceWarning, skbp.NothingLearnedWarning]
    assert len(clf.loss_curve_) == clf.n_iter_
    assert np.isfinite(clf.loss_curve_).all()
    assert clf.loss_ == clf.loss_curve_[-1]
    assert clf.t_ == 60 * clf.n_iter_
    assert_same_weights(clf, diverging(max_iter=clf.n_iter_).fit(X, y))
    with np.errstate(all="ignore"):  # the weights are finite but huge, and their products may overflow
        assert set(clf.predict(X)) <= {0, 1}


def test_divergence_with_early_stopping_keeps_the_best_weights():
    X, y = linear_rule("binary")
    with pytest.warns(ConvergenceWarning, match="diverged"):
        clf = diverging(early_stopping=True).fit(X, y)
    best_epoch = int(np.argmax(clf.validation_scores_)) + 1
    assert_same_weights(clf, diverging(early_stopping=True, max_iter=best_epoch).fit(X, y))


def test_divergence_in_the_first_epoch_is_an_error_and_the_estimator_can_be_used_again():
    X, y = linear_rule("binary")
    clf = diverging(hidden_layer_sizes=(5, 5, 5), learning_rate_init=1e6)
    with pytest.raises(ValueError, match=r"non-finite.*first iteration.*lower learning_rate_init"):
        clf.fit(X, y)
    assert not hasattr(clf, "coefs_")
    assert not hasattr(clf, "classes_")
    assert clf.set_params(learning_rate_init=0.01, max_iter=60).fit(X, y).score(X, y) > 0.8


def test_divergence_of_lbfgs_in_its_first_iteration_is_an_error():
    X, y = linear_rule("binary")
    clf = small(solver="lbfgs", max_iter=60)
    with pytest.raises(ValueError, match=r"(?s)non-finite.*first iteration.*[Ss]cale"):
        clf.fit(X * 1e200, y)
    assert clf.fit(X, y).score(X, y) > 0.8


def test_divergence_of_partial_fit_keeps_the_weights_so_far():
    X, y = linear_rule("binary")
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
    X, y = linear_rule("multiclass")
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


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_interrupted_fit_keeps_the_weights_so_far(solver):
    X, y = linear_rule("multiclass")
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
    X, y = linear_rule("binary")
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
def test_blas_gets_its_threads_back(end):
    X, y = linear_rule("binary")
    with threadpool_limits(2, user_api="blas"):
        assert set(blas_threads()) == {2}
        during = []
        clf = small(verbose=True, max_iter=3, hidden_layer_sizes=(2000,))
        if end == "finished":
            with contextlib.redirect_stdout(Hook(2, lambda: during.extend(blas_threads()))):
                clf.fit(X, y)
            assert set(during) == {1}  # the products of such a small network are not worth a second thread
        elif end == "failed":
            with pytest.raises(ValueError, match="non-finite"):
                diverging(hidden_layer_sizes=(5, 5, 5), learning_rate_init=1e6).fit(X, y)
        else:
            with interrupt_at(1), pytest.warns(ConvergenceWarning, match="interrupted"):
                clf.fit(X, y)
        assert set(blas_threads()) == {2}
