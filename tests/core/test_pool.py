"""Threads share the work of the compiled core, whatever else goes on in the process."""

import importlib
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp import _core
from skbp._network.parameters import Parameters
from skbp._network.tape import Tape

pytestmark = pytest.mark.skipif(_core.BatchKernel is None, reason=f"no compiled core: {_core.why_absent}")

N_ROWS = 300


def pool():
    """The module of the threads, which is there only with the core."""
    return importlib.import_module("skbp._core.pool")


def make_kernel(seed, n_threads):
    rng = np.random.default_rng(seed)
    params, gradient = (
        Parameters((10, 40, 30, 4), np.dtype(np.float64)),
        Parameters((10, 40, 30, 4), np.dtype(np.float64)),
    )
    params.vector[...] = rng.normal(size=params.vector.size)
    options = {"alpha": [0.1] * 3, "most_strength": 1e9, "n_threads": n_threads, "least_share": 1.0}
    kernel = _core.BatchKernel(
        params.weights, params.biases, [_core.ACTIVATIONS[name] for name in ("tanh", "relu")], **options
    )
    kernel.write_gradient_to(gradient.weights, gradient.biases)
    kernel.use_tape(Tape(N_ROWS, params.units, params.vector.dtype))
    kernel.use_rows(rng.normal(size=(N_ROWS, 10)), rng.integers(4, size=N_ROWS), None)
    return kernel, gradient.vector


def results(seed, n_threads, n_calls):
    kernel, gradient = make_kernel(seed, n_threads)
    found = []
    for k in range(n_calls):
        rows = slice(k % 7, N_ROWS - k % 5)
        found.append((kernel.value_and_gradient(rows, 100.0), gradient.copy()))
    return found


def assert_same(one, other):
    for (value, gradient), (other_value, other_gradient) in zip(one, other, strict=True):
        assert value == other_value
        assert_array_equal(gradient, other_gradient)


@pytest.mark.parametrize("n_threads", [2, 4])
def test_calls_that_overlap_in_threads_give_the_same_bits_as_alone(n_threads):
    expected = [results(seed, n_threads, 200) for seed in range(3)]
    found = {}
    callers = [
        threading.Thread(target=lambda s=seed: found.update({s: results(s, n_threads, 200)})) for seed in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for seed in range(3):
        assert_same(found[seed], expected[seed])


def test_threads_take_part():
    # Beside busy processors the threads come late, and are then left out for up to 2 seconds at a time.
    before, deadline = pool().counts()["tasks"], time.monotonic() + 60.0
    while pool().counts()["tasks"] == before and time.monotonic() < deadline:
        results(0, 3, 20)
    assert pool().counts()["tasks"] > before
    assert pool().counts()["threads"] >= 2


def test_small_batches_start_no_threads():
    code = f"import sys; sys.path[:0] = {[os.path.dirname(__file__), *sys.path]!r}\n"
    code += "from test_pool import pool; from skbp import BackpropClassifier as B; import numpy as np\n"
    code += (
        "B((3,), max_iter=2).fit(np.eye(20), np.arange(20) % 2).predict(np.eye(20)); print(pool().counts()['threads'])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


AFTER_FORK = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
sys.path[:0] = {path!r}
from test_pool import assert_same, results

expected = results(0, 3, 20)  # starts threads
stop = []
def work():
    while not stop:
        results(1, 3, 5)
others = [threading.Thread(target=work) for _ in range({n_others})]
for other in others:
    other.start()
for _ in range(10):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        try:
            assert_same(results(0, 3, 20), expected)
            grandchild = os.fork()
            if grandchild == 0:
                assert_same(results(0, 3, 20), expected)
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        except BaseException as error:
            print(repr(error))
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
stop.append(True)
for other in others:
    other.join()
assert_same(results(0, 3, 20), expected)
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("n_others", [0, 2], ids=["between two fits", "while others train"])
def test_a_forked_child_computes_the_same_and_does_not_hang(n_others):
    code = AFTER_FORK.format(path=[os.path.dirname(__file__), *sys.path], n_others=n_others)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def test_a_process_ends_while_threads_of_the_core_wait():
    code = f"import sys; sys.path[:0] = {[os.path.dirname(__file__), *sys.path]!r}\n"
    code += "from test_pool import results; results(0, 4, 3); print('done')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
