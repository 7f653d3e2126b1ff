"""BLAS is held to one thread while products are small, and has its threads back once the last fit is over."""

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skbp._threads import BLOCK, LONG, SMALL_PRODUCT, blas_threads, for_each_block


def n_threads(package=""):
    """Of the copies of BLAS that came with the package, or of all."""
    files = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return {n for file, n in files.items() if package in file}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_small_products_are_left_to_one_thread():
    with blas_threads((10, 20, 3), n_rows=200, sparse=False):
        assert n_threads() == {1}
    assert n_threads() == {2}


LARGE = {"units": (10, 1024, 3), "n_rows": SMALL_PRODUCT // (10 * 1024) + 1}


def test_with_large_products_numpys_blas_keeps_its_threads_and_scipys_own_does_not():
    if len(n_threads("numpy")) == 0 or len(n_threads("scipy.libs")) == 0:
        pytest.skip("NumPy and SciPy did not come with a BLAS each.")
    with blas_threads(**LARGE, sparse=False):
        assert n_threads("numpy") == {2}
        assert n_threads("scipy.libs") == {1}
    assert n_threads() == {2}


def test_the_products_of_sparse_rows_are_none_of_blas():
    with blas_threads(**LARGE, sparse=True):
        assert n_threads() == {1}


def test_an_error_inside_gives_the_threads_back():
    with pytest.raises(RuntimeError), blas_threads((3, 2), n_rows=10, sparse=False):
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
    with blas_threads((3, 2), n_rows=10, sparse=False):
        assert set(n_threads()) == {1}
        events["first in"].set()
        assert events["second in"].wait(10)
    events["first out"].set()

def second():
    assert events["first in"].wait(10)
    with blas_threads((3, 2), n_rows=10, sparse=False):
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


def threads_that_work(size):
    """Which threads `for_each_block` used; each waits for another one, so that none does all before the rest begin."""
    seen, vector = set(), np.zeros(size, np.int8)
    together = threading.Barrier(2 if size >= LONG else 1)

    def function(block):
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            together.wait(10)
        vector[block] += 1

    for_each_block(function, size)
    assert (vector == 1).all()
    return seen


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, LONG - 1])
def test_short_vectors_stay_in_the_calling_thread(size):
    assert threads_that_work(size) <= {threading.get_ident()}


@pytest.mark.parametrize("size", [LONG, LONG + 1])
def test_long_vectors_are_shared_between_as_many_threads_as_blas_has(size):
    assert len(threads_that_work(size)) == 2
    with blas_threads((3, 2), n_rows=10, sparse=False):  # a limit of our own is for products
        assert len(threads_that_work(size)) == 2
    with blas_threads(**LARGE, sparse=False):
        assert len(threads_that_work(size)) == 2


def test_a_users_limit_holds_for_long_vectors():
    def function(block):
        used.add(threading.get_ident())

    used = set()
    with threadpool_limits(1, user_api="blas"):
        for_each_block(function, 4 * LONG)
        with blas_threads((3, 2), n_rows=10, sparse=False):
            for_each_block(function, 4 * LONG)
    assert used == {threading.get_ident()}


def test_an_error_in_any_block_is_raised():
    def fails_at_the_last(block):
        if block.stop >= LONG + BLOCK:
            raise ZeroDivisionError

    for size in (LONG + BLOCK, LONG + 2 * BLOCK):  # the last is one thread's, then the other's
        with pytest.raises(ZeroDivisionError):
            for_each_block(fails_at_the_last, size)


def test_numpys_settings_for_errors_hold_in_every_thread():
    zeros = np.zeros(2 * LONG)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("error")
        for_each_block(lambda block: np.divide(zeros[block], zeros[block]), zeros.size)
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        for_each_block(lambda block: np.divide(zeros[block], zeros[block]) if block.start >= LONG else None, zeros.size)
