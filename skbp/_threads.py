"""How many threads work on a network.

On busy cores two threads that share a small matrix product wait for each other far longer than the product takes. So BLAS
is held to one thread while a network's products are small. Where they are large it keeps its threads; but NumPy and SciPy
may each bring a copy of BLAS, and the threads of one go on looking for work, at full speed, while the other computes. So
SciPy's copy has one thread in all fits by SciPy's methods. Passes over vectors as long as those of a very large network are
shared between as many threads as BLAS may use.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from functools import cache
from itertools import pairwise
from pathlib import Path

from scipy import __file__ as scipy_init
from threadpoolctl import ThreadpoolController

# Matrix products of fewer multiplications than this, about a millisecond's work, are left to one BLAS thread. On idle
# cores a second thread would gain half of that; on busy ones two that wait for each other take up to a hundred times as
# long.
SMALL_PRODUCT = 2**25

# Long vectors are passed over block by block: the passes that follow one another over a block find it in the processor's
# cache, which above some 100,000 elements is about 1.6 times as fast as passing over the whole vector each time.
BLOCK = 2**16

# Vectors at least this long are shared between threads, half of it or more for each: with 2,000,000 elements two take two
# thirds of the time of one; with 500,000 as long as one, since they hand Python's lock to and fro. More than a few threads
# wait for memory.
LONG = 2**20
MOST_THREADS = 8

# Looking for the libraries takes some 10 ms: once is enough.
_controller = cache(ThreadpoolController)


@cache
def _blas(of_scipy):
    """The copies of BLAS that came with SciPy, or all others."""
    package = Path(scipy_init).resolve().parent
    # The folders into which wheels put what they bring, by operating system.
    folders = {package.with_name("scipy.libs"), package / ".dylibs"}
    libraries = _controller().select(user_api="blas").lib_controllers
    chosen = [one.filepath for one in libraries if (Path(one.filepath).resolve().parent in folders) == of_scipy]
    return _controller().select(filepath=chosen)


class _OneThread:
    """Holds copies of BLAS to one thread each, in the whole process.

    Of fits that run side by side in threads the first to come sets the limit and takes it back: if each did, one that
    overlaps another would take that one's limit for what is to be restored, for good. Nor can it be the last to leave: a
    limit may have to be taken back by the thread that set it.
    """

    def __init__(self, of_scipy):
        self._of_scipy = of_scipy
        self._taken = threading.Lock()
        self._before: int | None = None

    @contextmanager
    def limit(self):
        """A context with the limit, or within that of another fit."""
        if not self._taken.acquire(blocking=False):
            yield
            return
        try:
            self._before = self.n_threads()
            with _blas(self._of_scipy).limit(limits=1, user_api="blas"):
                yield
        finally:
            self._before = None
            self._taken.release()

    def n_threads(self):
        """As many as these copies may use but for the limit."""
        now = max((one.num_threads for one in _blas(self._of_scipy).lib_controllers), default=1)
        return self._before or now


_numpys, _scipys = _OneThread(of_scipy=False), _OneThread(of_scipy=True)


@contextmanager
def blas_threads(units, n_rows, sparse=False, by_scipy=False):
    """A context in which BLAS uses as many threads as are good for a network.

    Parameters
    ----------
    units : sequence of int
        Width of every layer from the input to the output.
    n_rows : int
        Rows in a product.
    sparse : bool, default=False
        Whether the rows are sparse, so that the first layer's products are none of BLAS.
    by_scipy : bool, default=False
        Whether a method of SciPy's, which has vectors of its own to add and multiply, asks for the products.
    """
    products = pairwise(units[1:] if sparse else units)
    small = n_rows * max((fan_in * fan_out for fan_in, fan_out in products), default=0) < SMALL_PRODUCT
    with _numpys.limit() if small else nullcontext(), _scipys.limit() if small or by_scipy else nullcontext():
        yield


def for_each_block(function, size):
    """Call a function of a slice for slices that together make up a vector.

    Parameters
    ----------
    function : callable (slice) -> None
        What it does to one slice depends on no other. NumPy's settings for errors hold in it as they do here.
    size : int
        Length of the vector. If it is at least `LONG`, the slices are shared between threads, at most as many as BLAS may
        use where it is not limited here. All have ended when this returns or raises.
    """
    blocks = [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]
    n_threads = min(_numpys.n_threads(), MOST_THREADS, 2 * size // LONG) if size >= LONG else 1
    if n_threads == 1:
        for block in blocks:
            function(block)
        return
    errors: list[BaseException] = []

    def every_nth(first):
        try:
            for block in blocks[first::n_threads]:
                if errors:
                    return
                function(block)
        except BaseException as error:  # noqa: BLE001, an interrupt too is raised when all have ended
            errors.append(error)

    # Not by concurrent.futures: there is no more of it once the main thread has ended, while other threads may still train.
    others = [threading.Thread(target=copy_context().run, args=(every_nth, k)) for k in range(1, n_threads)]
    for other in others:
        other.start()
    every_nth(0)
    for other in others:
        while other.is_alive():
            try:
                other.join()
            except KeyboardInterrupt as interrupt:
                errors.append(interrupt)
    if errors:
        raise errors[0]
