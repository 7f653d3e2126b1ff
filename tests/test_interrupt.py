"""Ctrl-C, as the real signal to a process that trains: it warns, keeps the best weights so far, and can go on."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from queue import Queue

import pytest

from skbp._solvers import SOLVERS
from skbp._updates import UPDATES

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT that one process may send another")

# What the child does: it trains one classifier after the other, prints what it does line by line, and reports at the end
# of each training. It is the line of the ninth iteration that makes the parent send the signal.
CHILD = """
import json
import signal
import sys
import warnings

import numpy as np
from sklearn.base import clone

from skbp import BackpropClassifier
from skbp._updates import UPDATES

sys.stdout.reconfigure(line_buffering=True)
# Processes in the background may have inherited that the signal is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.RandomState(0)
X = rng.normal(size=(4000, 20))
y = (X[:, :3] + 3.0 * rng.normal(size=(4000, 3))).argmax(axis=1)

for solver, early_stopping in json.loads(sys.argv[1]):
    # Labels that are mostly noise: without an interruption it would go on for minutes.
    params = {"hidden_layer_sizes": (20,), "solver": solver, "activation": "tanh", "random_state": 0, "tol": 0.0}
    params |= {"max_iter": 10**6, "early_stopping": early_stopping, "alpha": 1e-9}
    params |= {"learning_rate_init": 0.01} if solver in UPDATES else {"max_fun": 10**9}
    if solver in UPDATES or early_stopping:
        params["n_iter_no_change"] = np.inf
    clf = BackpropClassifier(**params, verbose=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y)
        said = [str(w.message) for w in caught]
        kept = [*clf.coefs_, *clf.intercepts_]
        proba = clf.predict_proba(X)
        again = clone(clf).set_params(verbose=False, max_iter=clf.best_iter_).fit(X, y)
        n_iter, loss, loss_curve, best_iter = clf.n_iter_, clf.loss_, list(clf.loss_curve_), clf.best_iter_
        scores, best_score = clf.validation_scores_, clf.best_validation_score_
        clf.set_params(verbose=False, warm_start=True, early_stopping=False, max_iter=2, n_iter_no_change=10).fit(X, y)
    report = {
        "said": said,
        "n_iter": n_iter,
        # Of mini-batches that of the last epoch, else that of the weights that were kept.
        "loss_is_right": loss == loss_curve[(n_iter if solver in UPDATES else best_iter) - 1],
        "n_losses": len(loss_curve),
        "best_iter": best_iter,
        "scores": scores,
        "best_score": best_score,
        "difference_from_a_fit_of_best_iter": max(
            float(np.abs(a - b).max()) for a, b in zip(kept, again.coefs_ + again.intercepts_, strict=True)
        ),
        "finite": bool(np.isfinite(proba).all()),
        "accuracy": float((proba.argmax(axis=1) == y).mean()),
        "goes_on": len(clf.loss_curve_) > len(loss_curve) and clf.loss_curve_[-1] < loss_curve[0],
    }
    # The interruption may have come amid a line.
    print()
    print("REPORT", json.dumps(report))
"""


def lines_of(stream, queue):
    for line in stream:
        queue.put(line)
    queue.put(None)


def interrupted_child(jobs):
    """A report for each job, each of which is interrupted by a signal at its ninth iteration."""
    command = [sys.executable, "-c", CHILD, json.dumps(jobs)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    lines, reports, log = Queue(), [], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ) as child:
        reader = threading.Thread(target=lines_of, args=(child.stdout, lines))
        reader.start()
        try:
            while len(reports) < len(jobs):
                log.append(lines.get(timeout=120))
                assert log[-1] is not None, "".join(log[-50:-1])
                if log[-1].startswith("REPORT "):
                    reports.append(json.loads(log[-1].removeprefix("REPORT ")))
                elif re.match("Iteration +9/", log[-1]):
                    child.send_signal(signal.SIGINT)
        finally:
            child.kill()
            reader.join()
    return reports


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "early stopping"])
def reports(request):
    early_stopping = request.param
    jobs = [(solver, early_stopping) for solver in SOLVERS]
    return early_stopping, dict(zip(SOLVERS, interrupted_child(jobs), strict=True))


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_interrupted_process_warns_and_keeps_the_best_weights(solver, reports):
    early_stopping, by_solver = reports
    report = by_solver[solver]
    n_iter = report["n_iter"]
    assert 9 <= n_iter == report["n_losses"] < 10**6
    assert report["said"] == [
        f"Training interrupted by user after {n_iter} iterations; the weights so far are kept.",
    ]
    assert report["loss_is_right"]
    if early_stopping:
        assert len(report["scores"]) == n_iter
        assert report["best_score"] == max(report["scores"])
        assert report["best_iter"] == report["scores"].index(report["best_score"]) + 1
    else:
        assert report["best_iter"] == n_iter
    # Without validation the steps of an epoch of mini-batches that was cut short are kept too.
    if early_stopping or solver not in UPDATES:
        tolerance = 1e-6 if solver == "trust-krylov" else 0.0
        assert report["difference_from_a_fit_of_best_iter"] <= tolerance


def test_the_best_weights_are_not_always_the_last(reports):
    early_stopping, by_solver = reports
    assert any(report["best_iter"] < report["n_iter"] for report in by_solver.values()) == early_stopping


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_interrupted_process_has_a_usable_classifier(solver, reports):
    _, by_solver = reports
    report = by_solver[solver]
    assert report["finite"]
    assert report["accuracy"] > 0.4  # something has been learnt: by chance it is a third
    assert report["goes_on"]
