"""BLAS is held to one thread while products are small, and has its threads back once the last fit is over."""

import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skbp._threads import SMALL_PRODUCT, blas_threads


def n_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_small_products_are_left_to_one_thread():
    with blas_threads((10, 20, 3), n_rows=200):
        assert n_threads() == {1}
    assert n_threads() == {2}


def test_large_products_keep_their_threads():
    with blas_threads((10, 1024, 3), n_rows=SMALL_PRODUCT // (10 * 1024) + 1):
        assert n_threads() == {2}


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
