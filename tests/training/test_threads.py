"""BLAS has one thread while products are small, and gets its threads back when the last fit is over."""

import os
import threading
import warnings
from types import SimpleNamespace
from weakref import ref

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier
from skbp._training.threads import (
    BLOCK,
    LONG,
    MOST_THREADS,
    TINY_PRODUCTS,
    _Limit,
    _OneThread,
    blas_threads,
    core_threads,
    for_each_block,
)


@pytest.fixture(autouse=True)
def _two_threads(blas):
    """Every test begins with two threads in every copy of BLAS."""


# Which products are limited


def test_small_products_are_left_to_one_thread(blas):
    with blas_threads(**blas.SMALL):
        assert blas.n_threads() == {1}
    assert blas.n_threads() == {2}


def test_large_products_keep_their_threads(blas):
    with blas_threads(**blas.LARGE):
        assert blas.n_threads(of_scipy=False) == {2}
        # The compiled core calls SciPy's copy from threads of its own.
        assert blas.n_threads(of_scipy=True) == {1 if core_threads() > 1 else 2}
    assert blas.n_threads() == {2}


def test_large_products_of_the_core_have_the_processors_for_themselves(blas):
    with blas_threads(**blas.LARGE, uses_core=True):
        assert blas.n_threads() == {1 if core_threads() > 1 else 2}
    assert blas.n_threads() == {2}


@pytest.mark.parametrize("units", [(20, 64, 64, 1), (64, 100, 10), (3, 2), (3,), ()])
def test_nothing_is_limited_for_tiny_products(units, blas):
    with blas_threads(units, n_rows=1):
        assert blas.n_threads() == {2}
    with blas_threads(units, n_rows=1, by_scipy=True):  # SciPy's methods also work on vectors
        assert blas.n_threads() == {1}
    assert blas.n_threads() == {2}


def test_all_layers_together_must_be_tiny(blas):
    with blas_threads((1, TINY_PRODUCTS // 2 - 1, 1), n_rows=1):
        assert blas.n_threads() == {2}
    with blas_threads((1, TINY_PRODUCTS // 2, 1), n_rows=1):
        assert blas.n_threads() == {1}


def test_other_products_within_the_context_count_too(blas):
    units = (20, 64, 64, 1)
    with blas_threads(units, n_rows=1, most_rows=1):
        assert blas.n_threads() == {2}
    with blas_threads(units, n_rows=1, most_rows=1000):
        assert blas.n_threads() == {1}
    assert blas.n_threads() == {2}


def test_one_row_by_large_weights_is_left_to_one_thread(blas):
    with blas_threads((784, 1024, 1024, 10), n_rows=1):
        assert blas.n_threads() == {1}


def test_large_products_for_scipys_methods_keep_the_threads_of_numpys_blas_only(blas):
    if not blas.n_threads(of_scipy=True):
        pytest.skip("NumPy and SciPy did not come with a BLAS each.")
    with blas_threads(**blas.LARGE, by_scipy=True):
        assert blas.n_threads(of_scipy=False) == {2}
        assert blas.n_threads(of_scipy=True) == {1}
        with blas_threads(**blas.SMALL):  # another fit, of small products
            assert blas.n_threads() == {1}
        assert blas.n_threads(of_scipy=False) == {2}
        assert blas.n_threads(of_scipy=True) == {1}
    assert blas.n_threads() == {2}


def test_the_products_of_sparse_rows_do_not_use_blas(blas):
    with blas_threads(**blas.LARGE, sparse=True):
        assert blas.n_threads() == {1}
    with blas_threads(**blas.SMALL | {"units": (10**6, 20, 3)}, sparse=True):
        assert blas.n_threads() == {2}


# Fits within and beside one another


def test_a_fit_within_another_leaves_it_the_limit(blas):
    with blas_threads(**blas.SMALL):
        with blas_threads(**blas.SMALL):
            assert blas.n_threads() == {1}
        assert blas.n_threads() == {1}
    blas.assert_nothing_is_left()


def test_an_error_inside_gives_the_threads_back(blas):
    with pytest.raises(RuntimeError), blas_threads(**blas.SMALL):
        raise RuntimeError
    blas.assert_nothing_is_left()


class Fit(threading.Thread):
    """A thread that is within a limit until it is told to leave. It looks at something within and afterwards."""

    def __init__(self, limit, look):
        super().__init__(daemon=True)
        self.limit, self.look = limit, look
        self.entered, self.told = threading.Event(), threading.Event()
        self.start()
        assert self.entered.wait(60)

    def run(self):
        with self.limit():
            self.while_in = self.look()
            self.entered.set()
            self.told.wait(60)
        self.afterwards = self.look()

    def leave(self):
        self.told.set()
        self.join()


def test_the_last_of_overlapping_fits_gives_the_threads_back(blas):
    def fit():
        return Fit(lambda: blas_threads(**blas.SMALL), blas.n_threads)

    first, second = fit(), fit()
    assert blas.n_threads() == {1}
    first.leave()
    third = fit()
    second.leave()
    assert blas.n_threads() == {1}
    third.leave()
    assert [fit.while_in for fit in (first, second, third)] == [{1}] * 3
    assert [fit.afterwards for fit in (first, second, third)] == [{1}, {1}, {2}]
    blas.assert_nothing_is_left()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_that_overlap_give_the_same_bits_as_each_alone(blas):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(800, 64))
    y = (X[:, :3] + rng.normal(size=(800, 3))).argmax(axis=1)
    # A product takes 200 x 64 x 128 multiplications. Without a limit BLAS shares it between threads.
    fits = [BackpropClassifier((128,), max_iter=n, tol=0.0, random_state=n, verbose=False) for n in (2, 4, 6, 8)]
    alone = [np.concatenate([coef.ravel() for coef in clf.fit(X, y).coefs_]) for clf in fits]
    start = threading.Barrier(len(fits))
    threads = [threading.Thread(target=lambda clf=clf: start.wait(60) >= 0 and clf.fit(X, y)) for clf in fits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for clf, expected in zip(fits, alone, strict=True):
        np.testing.assert_array_equal(np.concatenate([coef.ravel() for coef in clf.coefs_]), expected)
    blas.assert_nothing_is_left()


def test_a_number_that_the_user_sets_within_or_after_a_limit_stays(blas):
    with threadpool_limits(2, user_api="blas"):
        with blas_threads(**blas.SMALL):
            for one in blas.copies:
                one.set_num_threads(3)
        assert blas.n_threads() == {3}
    with threadpool_limits(1, user_api="blas"):
        with blas_threads(**blas.SMALL):
            assert blas.n_threads() == {1}
        assert blas.n_threads() == {1}
    blas.assert_nothing_is_left()


class StandIn:
    """Like a controller of threadpoolctl. Its library has one number of threads, or one for every thread."""

    def __init__(self, internal_api, threading_layer, number):
        self.internal_api, self.threading_layer, self._number = internal_api, threading_layer, number
        number.n = 4

    def get_num_threads(self):
        return getattr(self._number, "n", 4)

    def set_num_threads(self, n):
        self._number.n = n


@pytest.mark.parametrize("api", ["mkl", "blis", "openblas"])
def test_the_last_to_leave_restores_a_number_of_the_process(api):
    library = StandIn(api, "pthreads", SimpleNamespace())
    one = _OneThread(lambda: [library])
    other = Fit(lambda: _Limit((one,)), library.get_num_threads)
    with _Limit((one,)):
        other.leave()
        assert library.get_num_threads() == 1
        assert one.n_threads() == 4
    assert (other.while_in, other.afterwards, library.get_num_threads()) == (1, 1, 4)


def test_every_thread_restores_a_number_of_its_own():
    library = StandIn("openblas", "openmp", threading.local())
    one = _OneThread(lambda: [library])
    other = Fit(lambda: _Limit((one,)), library.get_num_threads)
    assert library.get_num_threads() == 4
    with _Limit((one,)):
        assert library.get_num_threads() == 1
        assert one.n_threads() == 4
        other.leave()
        assert library.get_num_threads() == 1
    assert (other.while_in, other.afterwards, library.get_num_threads()) == (1, 4, 4)


def test_the_next_fit_starts_from_the_numbers_before_a_fit_that_died():
    library = StandIn("mkl", "intel", SimpleNamespace())
    one, holder = _OneThread(lambda: [library]), threading.Event()
    one.enter("dead", ref(holder))
    del holder
    assert library.get_num_threads() == 1
    assert one.n_threads() == 4
    with _Limit((one,)):
        assert library.get_num_threads() == 1
    assert library.get_num_threads() == 4


# Processes


FORK = """
import os, threading, warnings
from threadpoolctl import ThreadpoolController
from skbp._training.threads import _numpys, blas_threads

warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: a process of several threads forks
blas = ThreadpoolController().select(user_api="blas").lib_controllers
small = {"units": (20, 64, 64, 1), "n_rows": 1000}

def n_threads():
    return {one.num_threads for one in blas}

def forked():
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    report = [n_threads() == {2}, not _numpys._taken.locked()]
    with blas_threads(**small):
        report.append(n_threads() == {1})
    report.append(n_threads() == {2})
    os._exit(0 if all(report) else 1)

def trains():
    with blas_threads(**small):
        entered.set()
        assert leave.wait(60)

entered, leave = threading.Event(), threading.Event()
other = threading.Thread(target=trains)
other.start()
assert entered.wait(60) and n_threads() == {1}
print("beside a fit", forked())
with blas_threads(**small):
    print("within a fit", forked())
with _numpys._taken:
    print("while the lock is taken", forked())
assert n_threads() == {1}
leave.set()
other.join()
print("after the fits", forked(), n_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_has_its_threads_back_and_is_limited_again(in_a_process):
    assert in_a_process(FORK) == [
        "beside a fit 0",
        "within a fit 0",
        "while the lock is taken 0",
        "after the fits 0 {2}",
    ]


# Long vectors


def threads_that_work(size, together=1):
    """The threads that `for_each_block` uses. Each waits for the others, so that none does all before the rest begin."""
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
def test_long_vectors_are_shared_between_as_many_threads_as_blas_has(size, blas):
    assert len(threads_that_work(size, 2)) == 2
    with blas_threads(**blas.SMALL):  # the package's own limits are for products only
        assert len(threads_that_work(size, 2)) == 2
    with blas_threads(**blas.LARGE, by_scipy=True):
        assert len(threads_that_work(size, 2)) == 2


def test_no_more_threads_take_part_than_there_is_work_for(blas):
    with threadpool_limits(16, user_api="blas"):
        if blas.n_threads() != {16}:
            pytest.skip("BLAS does not take more threads than there are cores.")
        assert len(threads_that_work(LONG, 2)) == 2
        assert len(threads_that_work(2 * LONG, 4)) == 4
        assert len(threads_that_work(16 * LONG, MOST_THREADS)) == MOST_THREADS


def test_a_users_limit_holds_for_long_vectors(blas):
    with threadpool_limits(1, user_api="blas"):
        assert threads_that_work(4 * LONG) == {threading.get_ident()}
        with blas_threads(**blas.SMALL):
            assert threads_that_work(4 * LONG) == {threading.get_ident()}


@pytest.mark.parametrize(
    "size", [LONG + BLOCK, LONG + 2 * BLOCK]
)  # the last block belongs to one thread or to the other
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
        if block.start == first:  # it belongs to one thread or to the other
            zeros[block] / zeros[block]

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("error")
        for_each_block(divide, LONG)
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        for_each_block(divide, LONG)


AFTER_THE_MAIN_THREAD = """
import threading, time
import numpy as np
from skbp._training.threads import LONG, for_each_block

def late():
    threading.main_thread().join()
    vector = np.zeros(LONG)
    for_each_block(lambda block: np.add(vector[block], 1.0, out=vector[block]), LONG)
    print(vector.sum() == LONG, flush=True)

threading.Thread(target=late).start()
"""


def test_a_thread_that_outlives_the_main_one_can_go_on_training(in_a_process):
    assert in_a_process(AFTER_THE_MAIN_THREAD) == ["True"]
