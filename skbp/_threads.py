"""How many threads work on a network.

On busy cores two threads that share a small matrix product wait for each other far longer than the product takes. So BLAS
is held to one thread while a network's products are small. Where they are large it keeps its threads, but only one of its
copies does: NumPy and SciPy each bring their own, and the threads of one go on waiting for work, at full speed, while the
other's compute. Passes over vectors as long as those of a very large network take as many threads as BLAS has.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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

# Vectors at least this long are shared between threads. With 2,000,000 elements two take two thirds of the time of one;
# with 500,000 as long as one, since they hand Python's lock to and fro.
LONG = 2**20

# Looking for the libraries takes some 10 ms: once is enough.
_controller = cache(ThreadpoolController)
_limiting = threading.Lock()
# What holds BLAS to one thread, while something does.
_limits: list = []


@cache
def _scipys_own():
    """The BLAS that came with SciPy, if it has one of its own."""
    package = Path(scipy_init).resolve().parent
    files = [Path(library.filepath) for library in _controller().lib_controllers]
    # The folders into which wheels put what they bring, by operating system.
    own = [str(file) for file in files if file.parent in {package.with_name("scipy.libs"), package / ".dylibs"}]
    return _controller().select(filepath=own)


@contextmanager
def blas_threads(units, n_rows, sparse):
    """A context in which BLAS uses one thread if all matrix products of a network are small; if not, SciPy's copy does.

    The setting is one for the whole process. Of fits that run side by side in threads the first to come makes it and takes
    it back; if each did, one that overlaps another would take that one's limit for what is to be restored, for good.

    Parameters
    ----------
    units : sequence of int
        Width of every layer from the input to the output.
    n_rows : int
        Rows in a product.
    sparse : bool
        Whether the rows are sparse, so that the first layer's products are none of BLAS.
    """
    products = pairwise(units[1:] if sparse else units)
    largest = n_rows * max((fan_in * fan_out for fan_in, fan_out in products), default=0)
    limited = _controller() if largest < SMALL_PRODUCT else _scipys_own()
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with limited.limit(limits=1, user_api="blas") as limit:
            _limits.append(limit)
            yield
    finally:
        _limits.clear()
        _limiting.release()


def for_each_block(function, size):
    """Call a function of a slice for slices that together make up a vector.

    Parameters
    ----------
    function : callable (slice) -> None
        What it does to one slice depends on no other. NumPy's settings for errors hold in it as they do here.
    size : int
        Length of the vector. If it is at least `LONG`, the slices are shared between as many threads as BLAS may use where
        it is not limited here.
    """
    blocks = [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]
    n_threads = _n_threads() if size >= LONG else 1

    def every_nth(first):
        for block in blocks[first::n_threads]:
            function(block)

    if n_threads == 1:
        every_nth(0)
        return
    with ThreadPoolExecutor(n_threads - 1) as pool:
        others = [pool.submit(copy_context().run, every_nth, first) for first in range(1, n_threads)]
        every_nth(0)
    for other in others:
        other.result()


def _n_threads():
    """As many as BLAS may use but for a limit of `blas_threads`."""
    before = [limit.get_original_num_threads()["blas"] for limit in _limits[:]]
    now = [library.num_threads for library in _controller().select(user_api="blas").lib_controllers]
    return max([n for n in before + now if n is not None], default=1)
