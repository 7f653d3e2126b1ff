"""How many threads work on a network.

On busy cores two threads that share a small matrix product wait for each other far longer than the product takes. So BLAS
is held to one thread while a network's products are small. Where they are large, BLAS keeps its threads. But NumPy and
SciPy may each bring a copy of BLAS, and the threads of one copy go on looking for work, at full speed, while the other
computes. So SciPy's copy has one thread in all fits by SciPy's methods. Passes over vectors as long as those of a very large
network are shared between as many threads as BLAS may use.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from weakref import ref

from scipy import __file__ as scipy_init
from threadpoolctl import ThreadpoolController

# Where one pass through all layers takes fewer multiplications than this, nothing is limited: a limit costs some 8
# microseconds, as long as such a product itself. OpenBLAS uses one thread there anyway. Its versions 0.3.27 to 0.3.31 share
# a matrix-vector product from 460,800 multiplications on and a matrix product from about 520,000 on.
TINY_PRODUCTS = 2**18

# Matrix products of fewer multiplications than this, about a millisecond's work, are left to one BLAS thread. On idle
# cores a second thread would gain half of that. On busy cores two threads that wait for each other take up to two hundred
# times as long: one row by weights of shape (784, 1024) takes 16 ms in place of 0.09.
SMALL_PRODUCT = 2**25

# Long vectors are passed over block by block: the passes that follow one another over a block find it in the processor's
# cache, which above some 100,000 elements is about 1.6 times as fast as passing over the whole vector each time.
BLOCK = 2**16

# Vectors at least this long are shared between threads, half of it or more for each: with 2,000,000 elements two take two
# thirds of the time of one; with 500,000 as long as one, since they hand Python's lock to and fro. More than a few threads
# wait for memory.
LONG = 2**20
MOST_THREADS = 8


class _Library(NamedTuple):
    """How to ask a BLAS for its number of threads, and how to set it."""

    get: Callable[[], int]
    set: Callable[[int], None]


def _library(controller):
    """The functions of one of threadpoolctl's controllers, or those of OpenBLAS itself.

    From version 3.8 on threadpoolctl lets one Python thread at a time set the number of OpenBLAS. For all others it does
    nothing, without a word. But the last fit to leave sets the number back, whichever thread it is in. So OpenBLAS is called
    directly. That is also faster, the more so as `PyDLL` does not release Python's lock, for which others may wait.
    """
    dynlib = getattr(controller, "dynlib", None)
    if controller.internal_api == "openblas" and not _is_per_thread(controller) and dynlib is not None:
        library = ctypes.PyDLL(controller.filepath, handle=dynlib._handle)
        for pattern in (f"{prefix}openblas_{{}}{suffix}" for prefix in ("", "scipy_") for suffix in ("", "64_", "_64")):
            get = getattr(library, pattern.format("get_num_threads"), None)
            set_ = getattr(library, pattern.format("set_num_threads"), None)
            if get is not None and set_ is not None:
                set_.argtypes, set_.restype = [ctypes.c_int], None
                return _Library(get, set_)
    return _Library(lambda: controller.get_num_threads() or 1, controller.set_num_threads)


def _is_per_thread(controller):
    """Whether each thread has a number of its own, as with OpenBLAS built on OpenMP."""
    return controller.internal_api == "openblas" and getattr(controller, "threading_layer", None) == "openmp"


@cache
def _controllers():
    """threadpoolctl's controllers of all copies of BLAS. To look for them takes some 10 ms: once is enough.

    Another thread looks for them. For Ctrl-C comes to the main thread, where it would be lost in a callback of ctypes, and
    with it the library that the callback was about.
    """
    found = []
    search = threading.Thread(
        target=lambda: found.extend(ThreadpoolController().select(user_api="blas").lib_controllers)
    )
    try:
        search.start()
    except RuntimeError:  # the interpreter shuts down and starts no more threads
        search.run()
    else:
        search.join()
    return found


def _copies(of_scipy):
    """The copies of BLAS that came with SciPy, or all others."""
    package = Path(scipy_init).resolve().parent
    # The folders into which wheels put what they bring, by operating system.
    folders = {package.with_name("scipy.libs"), package / ".dylibs"}
    return [one for one in _controllers() if (Path(one.filepath).resolve().parent in folders) == of_scipy]


class _Libraries:
    """Libraries that have one number of threads for the whole process, and those who hold the limit.

    The first holder notes the numbers and sets them to one. Whoever comes later joins in. The last to leave sets them back,
    whichever thread it is in. A number that is no longer one is left alone: someone else has set it since.

    A number is noted before it is changed, and forgotten after it is set back. So an interrupt may stop `enter` and `leave`
    anywhere, and `leave` puts everything right when it is called again. If that too is interrupted, the next `enter` finds
    former numbers but no living holder, and starts from them.

    Parameters
    ----------
    libraries : list of _Library
    """

    def __init__(self, libraries):
        self._libraries = libraries
        self._former: list[int] = []  # empty while nothing is limited
        self._holders: dict[object, ref] = {}

    def enter(self, key, leave):
        """Note the numbers and set them to one, or join in. There is nothing to hold where they are one already."""
        if self._former and self._has_others(key):
            self._holders[key] = leave
            return
        now = self.numbers()
        if max(now) > 1:
            self._holders = {key: leave}
            self._former = now
            for library, n in zip(self._libraries, now, strict=True):
                if n > 1:
                    library.set(1)

    def leave(self, key):
        """Restore the numbers, unless someone else holds the limit. The key goes last: until then it counts as a holder."""
        if key in self._holders:
            if not self._has_others(key):
                self._restore()
            del self._holders[key]

    def numbers(self):
        """The number of each library but for our limit. A one may be our limit; more than one is someone's wish."""
        former, numbers = self._former, []
        for k, library in enumerate(self._libraries):
            n = library.get()
            numbers.append(former[k] if n == 1 and former else n)
        return numbers

    def after_fork(self):
        """Give a child process its threads back. The threads that held the limit do not live in it."""
        self._holders = {}
        self._restore()

    def _has_others(self, key):
        """Whether anyone else holds the limit. Those who died without leaving do not count."""
        for other, leave in self._holders.items():  # noqa: SIM110, any() takes twice as long
            if other is not key and leave() is not None:
                return True
        return False

    def _restore(self):
        for library, n in zip(self._libraries, self._former):  # noqa: B905, none are noted while nothing is limited
            if n > 1 and library.get() == 1:
                library.set(n)
        self._former = []


class _LibrariesByThread(threading.local, _Libraries):
    """Libraries of which each has a number for every thread. Each thread notes, sets and restores its own."""


class _OneThread:
    """Holds copies of BLAS to one thread each while anyone holds the limit.

    Parameters
    ----------
    find : callable () -> list of threadpoolctl.LibController
        Called once, when first needed.
    """

    def __init__(self, find):
        self._find = find
        self._found = None
        self._taken = threading.Lock()
        self._owner: int | None = None

    def enter(self, key, leave):
        """Set the limit or join in.

        Parameters
        ----------
        key : object
            The one to leave with.
        leave : weakref
            The key counts as long as what this refers to lives.
        """
        self._for_each(_Libraries.enter, key, leave)

    def leave(self, key):
        """Give the threads back, unless someone else holds the limit. To leave twice does no harm."""
        self._for_each(_Libraries.leave, key)

    def n_threads(self):
        """As many as these copies may use but for the limit."""
        return max((n for libraries in self._kinds() for n in libraries.numbers()), default=1)

    def after_fork(self):
        """Give a child process its threads back, with a lock that no other thread of its parent holds."""
        self._taken, self._owner = threading.Lock(), None
        for libraries in self._found or []:
            libraries.after_fork()

    def _for_each(self, method, *args):
        """Call a method of both kinds of libraries, with the lock.

        The garbage collector, or the handler of a signal, may run amid this, in the same thread, and enter or leave another
        limit. It does nothing then: to wait for the lock would last for ever.
        """
        thread = threading.get_ident()
        if self._owner == thread and self._taken.locked():
            return
        with self._taken:
            self._owner = thread
            try:
                for libraries in self._kinds():
                    method(libraries, *args)
            finally:
                self._owner = None

    def _kinds(self):
        """Libraries with a number for the process, and those with a number for every thread, if there are any."""
        if self._found is None:
            controllers = self._find()
            process = [_library(one) for one in controllers if not _is_per_thread(one)]
            thread = [_library(one) for one in controllers if _is_per_thread(one)]
            self._found = [_Libraries(process)] * bool(process) + [_LibrariesByThread(thread)] * bool(thread)
        return self._found


_numpys, _scipys = _OneThread(partial(_copies, of_scipy=False)), _OneThread(partial(_copies, of_scipy=True))


def _after_fork():
    for one in (_numpys, _scipys):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class _Limit:
    """A context in which copies of BLAS are held to one thread each.

    An interrupt may stop `__exit__` before its first line, or `__enter__` after its last. So the limit is not held by this
    object but by `__exit__` itself, the one thing that the `with` statement keeps. It counts as long as it lives, and if it
    dies before it came to its end, what it does is done again. For that it is a partial function and no method: a method's
    frame would keep its object alive in the traceback of the interrupt, which an interactive session keeps in turn.
    """

    __slots__ = ("__enter__", "__exit__")
    __enter__: Callable[[], None]
    __exit__: Callable[..., None]

    def __init__(self, copies):
        key = object()
        self.__exit__ = partial(_leave, copies, key)
        self.__enter__ = partial(_enter, copies, key, ref(self.__exit__, partial(_leave, copies, key)))


def _enter(copies, key, leave):
    for one in copies:
        one.enter(key, leave)


def _leave(copies, key, *_):
    for one in copies:
        one.leave(key)


_NO_LIMIT = nullcontext()


def blas_threads(units, n_rows, sparse=False, by_scipy=False, most_rows=0) -> AbstractContextManager[None]:
    """A context in which BLAS uses as many threads as are good for a network.

    To enter and leave takes 5 to 10 microseconds, and less than 1 where the products are tiny and nothing is limited. Call
    it in a `with` statement and keep no reference to what it returns: see `_Limit`.

    Parameters
    ----------
    units : sequence of int
        Width of every layer from the input to the output.
    n_rows : int
        Rows in a product.
    sparse : bool, default=False
        Whether the rows are sparse, so that the first layer's products are none of BLAS.
    by_scipy : bool, default=False
        Whether a method of SciPy asks for the products. It adds and multiplies vectors of its own.
    most_rows : int, default=0
        Rows in other products within the context, if those are more. Tiny products need no limit only if all are tiny.

    Returns
    -------
    context : context manager
    """
    total = largest = 0
    for fan_in, fan_out in pairwise(units[1:] if sparse else units):
        weights = fan_in * fan_out
        total += max(n_rows, most_rows) * weights
        largest = max(largest, n_rows * weights)
    if total < TINY_PRODUCTS and not by_scipy:
        return _NO_LIMIT
    if largest < SMALL_PRODUCT:
        return _Limit((_numpys, _scipys))
    return _Limit((_scipys,)) if by_scipy else _NO_LIMIT


def for_each_block(function, size):
    """Call a function of a slice for slices that together make up a vector.

    Parameters
    ----------
    function : callable (slice) -> None
        Its effect on one slice depends on no other slice. NumPy's settings for errors hold in it as they do here.
    size : int
        Length of the vector. From `LONG` on, threads share the slices, at most as many as BLAS may use without our limit.
        All threads have ended when this returns or raises.
    """
    blocks = [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]
    n_threads = min(_numpys.n_threads(), MOST_THREADS, 2 * size // LONG) if size >= LONG else 1
    if n_threads > 1:
        _share_between_threads(function, blocks, n_threads)
        return
    for block in blocks:
        function(block)


def _share_between_threads(function, blocks, n_threads):
    errors: list[BaseException] = []

    def every_nth(first):
        try:
            for block in blocks[first::n_threads]:
                if errors:
                    return
                function(block)
        except BaseException as error:  # noqa: BLE001, an interrupt too is raised when all have ended
            errors.append(error)

    # concurrent.futures starts no thread once the main thread has ended, while other threads may still train.
    others = [threading.Thread(target=copy_context().run, args=(every_nth, k)) for k in range(1, n_threads)]
    try:
        for other in others:
            other.start()
        every_nth(0)
    except BaseException as error:  # noqa: BLE001, as above
        errors.append(error)
    for other in others:
        while other.is_alive():
            try:
                other.join()
            except KeyboardInterrupt as interrupt:
                errors.append(interrupt)
    if errors:
        raise errors[0]
