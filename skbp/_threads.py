"""How many threads BLAS may use for a network.

On busy cores two threads that share a small matrix product wait for each other far longer than the product takes. So BLAS
is held to one thread while a network's products are small, and left alone where they are large.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

from threadpoolctl import ThreadpoolController

# Matrix products of fewer multiplications than this, about a millisecond's work, are left to one BLAS thread. On idle
# cores a second thread would gain half of that; on busy ones two that wait for each other take up to a hundred times as
# long.
SMALL_PRODUCT = 2**25


# Looking for the libraries takes some 10 ms: once is enough.
_controller = cache(ThreadpoolController)
_limiting = threading.Lock()


@contextmanager
def blas_threads(units, n_rows):
    """A context in which BLAS uses one thread if all matrix products of a network are small.

    The setting is one for the whole process. Of fits that run side by side in threads the first to come makes it and takes
    it back; if each did, one that overlaps another would take that one's limit for what is to be restored, for good.

    Parameters
    ----------
    units : sequence of int
        Width of every layer from the input to the output.
    n_rows : int
        Rows in a product.
    """
    largest = n_rows * max(fan_in * fan_out for fan_in, fan_out in pairwise(units))
    if largest >= SMALL_PRODUCT or not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()
