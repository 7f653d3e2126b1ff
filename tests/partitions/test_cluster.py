"""On a cluster of two processes: the same bits in every run, also if a process is killed; no hang."""

import gc
import os
import signal
import time

import dask
import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skbp import BackpropClassifier
from skbp._distributed import cluster

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def data(make_data):
    X, y = make_data(n_rows=2000)
    return X, y, da.from_array(X, chunks=(300, 6)), da.from_array(y, chunks=300)


def killer(client, n, at):
    """A scorer that kills n worker processes when it is called for the `at`-th time."""
    calls = []

    def scorer(estimator, X, y):
        calls.append(1)
        if len(calls) == at:
            for pid in list(client.run(os.getpid).values())[:n]:
                os.kill(pid, signal.SIGKILL)
        return 0.0

    return scorer


@pytest.fixture
def watched(learner, data):
    """A function that fits a classifier on the partitions with a scorer that sees every iteration."""
    few, few_labels, X, y = data[0][:20], data[1][:20], *data[2:]

    def fit(scoring, solver="lbfgs"):
        clf = learner(solver=solver, scoring=scoring, early_stopping=True, n_iter_no_change=100, max_iter=12)
        return clf.fit(X, y, X_val=few, y_val=few_labels)

    return fit


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
def test_runs_repeat_bit_for_bit_on_any_worker_and_in_threads(solver, data, client, learner):
    *_, X, y = data
    on_cluster = [learner(solver=solver, max_iter=8).fit(X, y) for _ in range(2)]
    with dask.config.set(scheduler="threads"):
        in_threads = learner(solver=solver, max_iter=8).fit(X, y)
    for clf in on_cluster:
        assert_array_equal(clf.coefs_[0], in_threads.coefs_[0])
        assert clf.loss_curve_ == in_threads.loss_curve_


@pytest.mark.parametrize("n_killed", [1, 2])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_workers_that_are_killed_cost_time_and_no_result(solver, n_killed, client, watched):
    undisturbed = watched(killer(client, 0, at=4), solver)
    disturbed = watched(killer(client, n_killed, at=4), solver)
    assert disturbed.n_iter_ == undisturbed.n_iter_ == 12
    assert disturbed.loss_curve_ == undisturbed.loss_curve_
    assert_array_equal(disturbed.coefs_[0], undisturbed.coefs_[0])


def test_without_workers_training_ends_and_keeps_its_weights(monkeypatch, data, learner):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    few, few_labels, X, y = data[0][:20], data[1][:20], *data[2:]
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as alone,
        distributed.Client(alone) as client,
    ):
        calls = []

        def scorer(estimator, X, y):
            calls.append(1)
            if len(calls) == 5:
                alone.scale(0)
                while client.scheduler_info()["workers"]:
                    time.sleep(0.05)
            return 0.0

        for solver in ("lbfgs", "adam"):
            calls.clear()
            clf = learner(solver=solver, scoring=scorer, early_stopping=True, n_iter_no_change=100, max_iter=30)
            with pytest.warns(ConvergenceWarning, match=r"stopped after iteration \d.*no worker for 0.5 seconds"):
                clf.fit(X, y, X_val=few, y_val=few_labels)
            assert clf.n_iter_ in {4, 5}
            assert clf.predict(few).shape == (20,)
            with pytest.raises(cluster.NoWorkersError, match="Start workers and call fit again"):
                learner().fit(X, y)
            alone.scale(1)
            client.wait_for_workers(1)
        assert learner().fit(X, y).n_iter_ == 5


def test_an_interrupt_keeps_the_weights_so_far_and_frees_the_workers(data, client, learner):
    few, few_labels, X, y = data[0][:20], data[1][:20], *data[2:]
    calls = []

    def scorer(estimator, X, y):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return 0.0

    clf = learner(solver="lbfgs", scoring=scorer, early_stopping=True, max_iter=30)
    with pytest.warns(ConvergenceWarning, match="interrupted by user after 3 iterations"):
        clf.fit(X, y, X_val=few, y_val=few_labels)
    assert clf.n_iter_ == 3
    end = time.monotonic() + 20
    while any(client.processing().values()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(client.processing().values())


def test_partitions_stay_on_the_workers_during_training_only(data, client, learner):
    *_, X, y = data
    learner(solver="lbfgs").fit(X, y)
    end = time.monotonic() + 20
    while any(client.has_what().values()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(client.has_what().values())


def test_predictions_on_workers(data, client, learner):
    in_memory, labels, X, y = data
    clf = learner(solver="lbfgs").fit(X, y)
    assert_allclose(clf.predict_proba(X).compute(), clf.predict_proba(in_memory), rtol=1e-12)
    assert clf.score(X, y) == clf.score(in_memory, labels)


def test_partitions_do_not_travel(data, client, learner):
    *_, X, y = data
    F = learner().objective(X, y)
    for k in range(5):
        F.value_and_gradient(F.theta0 + k)
    keys = [part.key for part in F._rows._parts]
    places = client.who_has()
    assert all(len(places[key]) == 1 for key in keys)


def test_a_fit_that_fails_leaves_nothing_on_the_workers(data, client, learner):
    *_, X, y = data
    for _ in range(3):
        with pytest.raises(ValueError, match="NaN"):
            learner(solver="lbfgs").fit(da.where(X > 2.5, np.nan, X), y)
    end = time.monotonic() + 20
    while any(client.has_what().values()) and time.monotonic() < end:
        gc.collect()
        time.sleep(0.05)
    assert not any(client.has_what().values())


def test_a_fit_in_a_task_does_not_wait_for_its_own_thread(client):
    def fit_in_a_task():
        rows = np.random.RandomState(0).randn(60, 3)
        X, y = da.from_array(rows, chunks=(20, 3)), da.from_array((rows[:, 0] > 0).astype(int), chunks=20)
        return BackpropClassifier((3,), solver="lbfgs", max_iter=3, random_state=0).fit(X, y).loss_

    futures = [client.submit(fit_in_a_task, pure=False) for _ in range(2)]
    losses = [future.result(timeout=60) for future in futures]
    assert losses == [fit_in_a_task()] * 2
