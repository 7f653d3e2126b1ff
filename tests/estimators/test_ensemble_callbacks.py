"""Callbacks of scikit-learn during the training of an ensemble."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from recording import AT_LEAST_1_9, Recorder, around, epochs, with_callbacks
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_ensembles import (
    SOLVER_KINDS,
    alone,
    assert_same_members,
    assert_same_network,
    assert_usable,
    complement,
    small,
)
from toy_datasets import even_folds

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

if AT_LEAST_1_9:
    from sklearn.callback import ScoringMonitor


@with_callbacks
def test_callbacks_are_called_once_for_every_epoch_of_members_trained_together():
    X, y = even_folds()
    w, recorder = np.full(100, 2.0), Recorder()
    clf = small().set_callbacks(recorder).fit(X, y, w)
    assert recorder.calls == around(*epochs(6))
    assert recorder.given[0]["context"].max_subtasks == 6
    for given in recorder.given[1:-1]:
        assert given["X"] is X
        assert given["y"] is y
        assert given["metadata"]["sample_weight"] is w
    assert set(vars(clf)) == {*vars(small().fit(X, y, w)), "_skl_callbacks"}
    assert_same_members(clf, small().fit(X, y, w), rtol=0.0, atol=0.0)


@with_callbacks
def test_callbacks_are_called_for_every_member_trained_alone_and_its_iterations():
    X, y = even_folds()
    recorder = Recorder()
    clf = small(solver="lbfgs", max_iter=3, cv=2).set_callbacks(recorder).fit(X, y)
    members = [call for k in range(2) for call in (("begin", "member", k), *epochs(3), ("end", "member", k))]
    assert recorder.calls == around(*members)
    fit, member = recorder.given[0]["context"], recorder.given[2]["context"]
    assert (fit.max_subtasks, member.max_subtasks, member.parent) == (2, 3, fit)
    assert_same_members(clf, small(solver="lbfgs", max_iter=3, cv=2).fit(X, y), rtol=0.0, atol=0.0)


@with_callbacks
def test_callbacks_get_a_classifier_with_the_weights_of_the_epoch_and_at_last_the_fitted_one():
    X, y = even_folds()
    recorder = Recorder()
    clf = small().set_callbacks(recorder).fit(X, y)
    for k, shown in enumerate(recorder.shown(), start=1):
        assert (shown.n_iter_, shown.temperature_) == (k, 1.0)
        assert_allclose(
            shown.predict_proba(X), np.mean([m.predict_proba(X) for m in shown.members_], axis=0), rtol=1e-12
        )
        until_then = [
            alone(m, X, y, complement(fold), fold, early_stopping=False, scoring=None, max_iter=k)
            for m, fold in zip(clf.members_, clf.oof_indices_, strict=True)
        ]
        for member, other in zip(shown.members_, until_then, strict=True):
            assert_same_network(member, other)
    (fitted,) = recorder.shown("fit")
    assert_array_equal(fitted.predict_proba(X), clf.predict_proba(X))
    assert fitted.oof_log_loss_ == clf.oof_log_loss_


@with_callbacks
def test_callbacks_get_a_classifier_with_the_members_trained_so_far():
    X, y = even_folds()
    recorder = Recorder()
    clf = small(solver="lbfgs", max_iter=3, cv=2, alpha=1.0).set_callbacks(recorder).fit(X, y)
    assert [len(shown.members_) for shown in recorder.shown()] == [1, 1, 1, 2, 2, 2]
    assert recorder.shown("member") == [None, None]
    last = recorder.shown()[-1]
    assert_same_network(last.members_[0], clf.members_[0], rtol=0.0, atol=0.0)
    assert last.best_iters_.tolist() == clf.best_iters_.tolist()


@with_callbacks
@pytest.mark.parametrize("batch_size", [8, 40], ids=["every epoch", "every fourth epoch"])
def test_returning_true_ends_training_together_without_a_warning(batch_size):
    X, y = even_folds()
    recorder = Recorder(lambda context: context.task_name == "epoch" and context.task_id == 2)
    clf = small(max_iter=50, batch_size=batch_size).set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X, y)
    assert clf.n_iter_ == 3
    assert recorder.calls == around(*epochs(3))
    assert_usable(clf, X, y)
    assert_same_members(clf, small(max_iter=3, batch_size=batch_size).fit(X, y), rtol=0.0, atol=0.0)


@with_callbacks
def test_returning_true_ends_the_member_in_an_iteration_and_training_at_the_end_of_a_member():
    X, y = even_folds()
    recorder = Recorder(lambda context: context.task_name == "epoch" and context.task_id == 1)
    clf = small(solver="lbfgs", max_iter=50).set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X, y)
    assert [member.n_iter_ for member in clf.members_] == [2] * 5
    assert_usable(clf, X, y)
    recorder = Recorder(lambda context: context.task_name == "member" and context.task_id == 2)
    clf = small(solver="lbfgs", max_iter=3).set_callbacks(recorder).fit(X, y)
    assert [member.n_iter_ for member in clf.members_] == [3] * 3
    assert_usable(clf, X, y)


@with_callbacks
@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_scoring_monitor_logs_the_log_loss_of_every_epoch(solver):
    X, y = even_folds()
    monitor, recorder = ScoringMonitor(scoring="neg_log_loss"), Recorder()
    clf = small(solver=solver, max_iter=3, cv=2).set_callbacks(monitor, recorder).fit(X, y)
    log = monitor.get_logs().data
    logged = [entry["neg_log_loss"] for entry in log if entry["task_name"] == "epoch"]
    assert_allclose(logged, [-log_loss(y, shown.predict_proba(X)) for shown in recorder.shown()], rtol=1e-12)
    assert len(logged) == (3 if solver == "adam" else 6)
    (of_fit,) = [entry["neg_log_loss"] for entry in log if entry["task_name"] == "fit"]
    assert_allclose(of_fit, -log_loss(y, clf.predict_proba(X)), rtol=1e-12)


@with_callbacks
@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_scoring_monitor_logs_every_fit_of_a_search(solver):
    X, y = even_folds()
    monitor = ScoringMonitor(scoring="accuracy")
    clf = small(solver=solver, max_iter=2, cv=2).set_callbacks(monitor)
    search = GridSearchCV(make_pipeline(StandardScaler(), clf), {"backpropclassifiercv__alpha": [0.1, 1.0]}, cv=2).fit(
        X, y
    )
    data = pd.DataFrame([entry for log in monitor.get_logs(select="all") for entry in log.data])
    # Two values, two folds, and the best value again on all rows. Members trained one by one have epochs of their own.
    assert (data["task_name"] == "epoch").sum() == 5 * 2 * (1 if solver == "adam" else 2)
    assert accuracy_score(y, search.predict(X)) in data.loc[data["task_name"] != "epoch", "accuracy"].to_numpy()


@with_callbacks
def test_an_error_in_a_callback_leaves_the_estimator_as_it_was():
    X, y = even_folds()

    def fail(context):
        raise ZeroDivisionError

    for solver in SOLVER_KINDS:
        clf = small(solver=solver).fit(X, y)
        before, recorder = clf.predict_proba(X), Recorder(fail)
        with pytest.raises(ZeroDivisionError):
            clf.set_callbacks(recorder).fit(X[:, :3], y)
        assert recorder.calls[-1] == ("teardown", "fit", 0)
        assert_array_equal(clf.set_callbacks().predict_proba(X), before)
