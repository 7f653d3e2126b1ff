"""Ctrl-C: a fit warns, keeps the best weights so far, and can go on. BLAS gets its threads back in any case."""

import dis
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from queue import Queue

import pytest

from skbp._training import threads
from skbp._training.solvers import SOLVERS
from skbp._training.threads import blas_threads
from skbp._training.updates import UPDATES

by_signal = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT that one process may send another")

# The child process trains one classifier after the other. It prints a line for every iteration and a report at the end of
# each training. The parent sends the signal when it reads the line of the ninth iteration.
CHILD = """
import json
import signal
import sys
import warnings

import numpy as np
from sklearn.base import clone

from skbp import BackpropClassifier
from skbp._training.updates import UPDATES

sys.stdout.reconfigure(line_buffering=True)
# Processes in the background may ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.RandomState(0)
X = rng.normal(size=(4000, 20))
y = (X[:, :3] + 3.0 * rng.normal(size=(4000, 3))).argmax(axis=1)

for solver, early_stopping in json.loads(sys.argv[1]):
    # The labels are mostly noise. Without an interrupt a fit would go on for minutes.
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
        # For mini-batches the loss of the last epoch, else that of the weights that are kept.
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
    # The interrupt may have come in the middle of a line.
    print()
    print("REPORT", json.dumps(report))
"""


def lines_of(stream, queue):
    for line in stream:
        queue.put(line)
    queue.put(None)


def interrupted_child(jobs):
    """A report for each job. A signal interrupts every job at its ninth iteration."""
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
                elif re.match("Iteration +9 ", log[-1]):
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


@by_signal
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
    # Without validation the steps of the interrupted epoch of mini-batches are kept too.
    if early_stopping or solver not in UPDATES:
        tolerance = 1e-6 if solver == "trust-krylov" else 0.0
        assert report["difference_from_a_fit_of_best_iter"] <= tolerance


@by_signal
def test_the_best_weights_are_not_always_the_last(reports):
    early_stopping, by_solver = reports
    assert any(report["best_iter"] < report["n_iter"] for report in by_solver.values()) == early_stopping


@by_signal
@pytest.mark.parametrize("solver", SOLVERS)
def test_an_interrupted_process_has_a_usable_classifier(solver, reports):
    _, by_solver = reports
    report = by_solver[solver]
    assert report["finite"]
    assert report["accuracy"] > 0.4  # something has been learned: chance gives a third
    assert report["goes_on"]


# The threads of BLAS


@cache
def not_protected(code):
    """Bytecodes that no `try` or `with` covers. They raise nothing, and CPython handles no signals there.

    They are those that do nothing, and those that call `__exit__` at the end of a `with` statement.
    """
    instructions = list(dis.get_instructions(code))
    found = {one.offset for one in instructions if one.opname == "NOP"}
    for k in range(len(instructions)):
        if [(one.opname, one.argval) for one in instructions[k : k + 3]] == [("LOAD_CONST", None)] * 3:
            call = next(n for n in range(k, len(instructions)) if instructions[n].opname == "CALL")
            found |= {one.offset for one in instructions[k : call + 1]}
    return found


def anywhere(frame, _):
    return frame.f_lasti not in not_protected(frame.f_code)


def where_signals_are_looked_for(frame, last):
    """At the beginning of a function, after a call and after a jump back."""
    return last is None or dis.opname[frame.f_code.co_code[last]].startswith(("RESUME", "CALL", "JUMP_BACKWARD"))


def do_at(k, action, function, blas, where=anywhere):
    """Call a function and carry out an action at the k-th place in it or in `threads`. Returns whether there was one."""
    left = k

    def trace(frame, event, arg):
        last = None

        def each(frame, event, arg):
            nonlocal left, last
            if event == "opcode":
                left -= where(frame, last)
                last = frame.f_lasti
                if left < 0:
                    sys.settrace(before)
                    action()
            return each if left >= 0 else None

        if frame.f_code is function.__code__ or frame.f_code.co_filename == threads.__file__:
            frame.f_trace_opcodes = True
            return each
        return None

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # without it `settrace` of Python 3.12 leaves bytecodes out
    sys.settrace(trace)
    try:
        function(blas)
    finally:
        sys.settrace(before)
    return left < 0


def interrupt():
    raise KeyboardInterrupt


def plain(blas):
    with blas_threads(**blas.SMALL):
        assert blas.n_threads() == {1}


def for_scipy(blas):
    with blas_threads(**blas.LARGE, by_scipy=True):
        pass


def nested(blas):
    with blas_threads(**blas.SMALL), blas_threads(**blas.SMALL):
        assert blas.n_threads() == {1}


def fails(blas):
    try:
        with blas_threads(**blas.SMALL):
            raise RuntimeError
    except RuntimeError:
        pass


@pytest.mark.parametrize("function", [plain, for_scipy, nested, fails])
def test_an_interrupt_anywhere_leaves_no_limit(function, blas):
    blas.assert_nothing_is_left()
    for k in range(10_000):
        try:
            if not do_at(k, interrupt, function, blas):
                break
        except KeyboardInterrupt:  # its traceback still has all frames
            blas.assert_nothing_is_left()
    assert k > (20 if function is for_scipy else 200)  # SciPy may have no copy of BLAS of its own


def test_an_interrupt_anywhere_leaves_the_limit_of_another_fit(blas):
    def other_fit():
        with blas_threads(**blas.SMALL):
            within.wait(60)
            interrupted.wait(60)

    for k in range(10_000):
        within, interrupted, came = threading.Barrier(2), threading.Event(), True
        other = threading.Thread(target=other_fit, daemon=True)
        other.start()
        within.wait(60)
        with suppress(KeyboardInterrupt):
            came = do_at(k, interrupt, plain, blas)
        assert blas.n_threads() == {1}
        interrupted.set()
        other.join()
        blas.assert_nothing_is_left()
        if not came:
            break
    assert k > 200


@pytest.mark.parametrize("function", [plain, nested])
def test_the_handler_of_a_signal_may_train_at_any_place(function, blas):
    # The garbage collector may end a fit at the same places.
    for k in range(10_000):
        if not do_at(k, lambda: for_scipy(blas), function, blas, where_signals_are_looked_for):
            break
        blas.assert_nothing_is_left()
    assert k > 20


REPEATED = """
import random, signal, warnings
import numpy as np
from threadpoolctl import ThreadpoolController
from skbp import BackpropClassifier
from skbp._training import threads
from skbp._training.threads import blas_threads

warnings.simplefilter("ignore")
signal.signal(signal.SIGALRM, signal.default_int_handler)
blas = ThreadpoolController().select(user_api="blas").lib_controllers
random.seed(0)
X, y = np.random.default_rng(0).standard_normal((100, 50)), np.arange(100) % 2
clf = BackpropClassifier((100,), max_iter=2, tol=0.0)

def limit():
    for _ in range(100):
        with blas_threads((20, 64, 64, 1), 1000):
            pass

def states():
    locks = [one._taken.locked() for one in (threads._numpys, threads._scipys)]
    return {one.num_threads for one in blas}, any(locks)

def interrupted(function, seconds):
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        function()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True

seen, n_interrupts = [], 0
for function, n_times, at_most in ((limit, 1000, 0.001), (lambda: clf.fit(X, y), 100, 0.01)):
    function()
    for _ in range(n_times):
        n_interrupts += bool(interrupted(function, random.uniform(1e-5, at_most)))
        if states() not in seen:
            seen.append(states())
with blas_threads((20, 64, 64, 1), 1000):
    seen.append(states())
print(n_interrupts > 100, *seen)
"""


@by_signal
def test_signals_at_any_time_leave_no_limit(in_a_process):
    assert in_a_process(REPEATED) == ["True ({2}, False) ({1}, False)"]
