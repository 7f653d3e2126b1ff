"""BLAS is held to one thread while products are small, and has its threads back once the last fit is over."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skbp._threads import BLOCK, LONG, MOST_THREADS, SMALL_PRODUCT, blas_threads, for_each_block


def n_threads(of_scipy=None):
    """Of SciPy's own copy of BLAS, of the others, or of all."""
    files = {Path(pool["filepath"]): pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return {n for file, n in files.items() if of_scipy in {None, file.parent.name == "scipy.libs"}}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if n_threads(of_scipy=False) != {2}:
            pytest.skip("The threads of this machine's BLAS cannot be set.")
        yield


def test_small_products_are_left_to_one_thread():
    with blas_threads((10, 20, 3), n_rows=200):
        assert n_threads() == {1}
    assert n_threads() == {2}


LARGE = {"units": (10, 1024, 3), "n_rows": SMALL_PRODUCT // (10 * 1024) + 1}


def test_large_products_keep_their_threads():
    with blas_threads(**LARGE):
        assert n_threads() == {2}


def test_large_products_for_scipys_methods_keep_those_of_numpys_blas_but_not_of_scipys():
    if not n_threads(of_scipy=True):
        pytest.skip("NumPy and SciPy did not come with a BLAS each.")
    with blas_threads(**LARGE, by_scipy=True):
        assert n_threads(of_scipy=False) == {2}
        assert n_threads(of_scipy=True) == {1}
        with blas_threads((3, 2), n_rows=10):  # another fit, of small products
            assert n_threads() == {1}
        assert n_threads(of_scipy=False) == {2}
        assert n_threads(of_scipy=True) == {1}
    assert n_threads() == {2}


def test_the_products_of_sparse_rows_are_none_of_blas():
    with blas_threads(**LARGE, sparse=True):
        assert n_threads() == {1}


def test_an_error_inside_gives_the_threads_back():
    with pytest.raises(RuntimeError), blas_threads((3, 2), n_rows=10):
        raise RuntimeError
    assert n_threads() == {2}


OVERLAPPING = """
import threading
from threadpoolctl import threadpool_info
from skbp._threads import blas_threads

def n_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

events = {name: threading.Event() for name in ("first in", "second in", "first out")}

def first():
    with blas_threads((3, 2), n_rows=10):
        assert set(n_threads()) == {1}
        events["first in"].set()
        assert events["second in"].wait(10)
    events["first out"].set()

def second():
    assert events["first in"].wait(10)
    with blas_threads((3, 2), n_rows=10):
        assert set(n_threads()) == {1}
        events["second in"].set()
        assert events["first out"].wait(10)

before = n_threads()
threads = [threading.Thread(target=target) for target in (first, second)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert n_threads() == before, (before, n_threads())
assert before and set(before) == {2}, before
print("as before")
"""


def test_after_overlapping_fits_in_threads_blas_has_its_threads_back():
    environ = os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, "-c", OVERLAPPING], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.stdout.strip() == "as before", run.stderr


def threads_that_work(size, together=1):
    """Which threads `for_each_block` uses; each waits for the others, so that none does all before the rest begin."""
    seen, vector, barrier = set(), np.zeros(size, np.int8), threading.Barrier(together)

    def function(block):
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            barrier.wait(10)
        vector[block] += 1

    for_each_block(function, size)
    assert (vector == 1).all()
    return seen


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, LONG - 1])
def test_short_vectors_stay_in_the_calling_thread(size):
    assert threads_that_work(size) <= {threading.get_ident()}


@pytest.mark.parametrize("size", [LONG, LONG + 1])
def test_long_vectors_are_shared_between_as_many_threads_as_blas_has(size):
    assert len(threads_that_work(size, 2)) == 2
    with blas_threads((3, 2), n_rows=10):  # a limit of our own is for products
        assert len(threads_that_work(size, 2)) == 2
    with blas_threads(**LARGE, by_scipy=True):
        assert len(threads_that_work(size, 2)) == 2


def test_no_more_threads_take_part_than_there_is_work_for():
    with threadpool_limits(16, user_api="blas"):
        if n_threads() != {16}:
            pytest.skip("BLAS does not take more threads than there are cores.")
        assert len(threads_that_work(LONG, 2)) == 2
        assert len(threads_that_work(2 * LONG, 4)) == 4
        assert len(threads_that_work(16 * LONG, MOST_THREADS)) == MOST_THREADS


def test_a_users_limit_holds_for_long_vectors():
    with threadpool_limits(1, user_api="blas"):
        assert threads_that_work(4 * LONG) == {threading.get_ident()}
        with blas_threads((3, 2), n_rows=10):
            assert threads_that_work(4 * LONG) == {threading.get_ident()}


@pytest.mark.parametrize("size", [LONG + BLOCK, LONG + 2 * BLOCK])  # the last block is one thread's, then the other's
def test_an_error_in_any_block_is_raised(size):
    def fails_at_the_last(block):
        if block.stop == size:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for_each_block(fails_at_the_last, size)


def test_an_error_ends_the_other_threads_too():
    n_calls = 0

    def fails(block):
        nonlocal n_calls
        n_calls += 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for_each_block(fails, 16 * LONG)
    assert n_calls <= 2


@pytest.mark.parametrize("first", [0, BLOCK])
def test_numpys_settings_for_errors_hold_in_every_thread(first):
    zeros = np.zeros(LONG)

    def divide(block):
        if block.start == first:  # one thread's, then the other's
            zeros[block] / zeros[block]

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("error")
        for_each_block(divide, LONG)
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        for_each_block(divide, LONG)


AFTER_THE_MAIN_THREAD = """
import threading, time
import numpy as np
from skbp._threads import LONG, for_each_block

def late():
    threading.main_thread().join()
    vector = np.zeros(LONG)
    for_each_block(lambda block: np.add(vector[block], 1.0, out=vector[block]), LONG)
    print(vector.sum() == LONG, flush=True)

threading.Thread(target=late).start()
"""


def test_a_thread_that_outlives_the_main_one_can_go_on_training():
    environ = os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", AFTER_THE_MAIN_THREAD]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert run.stdout.strip() == "True", run.stderr
