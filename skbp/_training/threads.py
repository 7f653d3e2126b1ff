"""How many threads work on a network.

On busy cores, two threads that share a small matrix product wait for each other far longer than the product takes. So BLAS
is limited to one thread while a network's products are small. If they are large, BLAS keeps its threads. But NumPy and SciPy
may each bring a copy of BLAS. The threads of one copy keep looking for work, at full speed, while the other copy computes.
So SciPy's copy has one thread in all fits by SciPy's methods. Passes over the long vectors of a very large network are
shared between as many threads as BLAS may use.
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
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import ThreadpoolController

from skbp import _core

# If one pass through all layers takes fewer multiplications than this, nothing is limited: a limit costs about 8
# microseconds, as long as such a product itself. OpenBLAS uses one thread for such products anyway. Its versions 0.3.27 to
# 0.3.31 share a matrix-vector product from 460,800 multiplications on and a matrix product from about 520,000 on.
TINY_PRODUCTS = 2**18

# Matrix products of fewer multiplications than this, about a millisecond of work, get one BLAS thread. On idle cores a
# second thread would save half of that. On busy cores, two threads that wait for each other take up to two hundred times as
# long: one row times weights of shape (784, 1024) takes 16 ms instead of 0.09.
SMALL_PRODUCT = 2**25

# Passes over long vectors go block by block. Successive passes over one block find it in the processor's cache. Above some
# 100,000 elements, this is about 1.6 times as fast as passes over the whole vector.
BLOCK = 2**16

# Vectors of at least this length are shared between threads. Each thread gets at least half this length. With 2,000,000
# elements, two threads take two thirds of the time of one. With 500,000, they take as long as one, because they pass
# Python's lock back and forth. If there are more than a few threads, they wait for memory.
LONG = 2**20
MOST_THREADS = 8


class _Library(NamedTuple):
    """How to ask a BLAS for its number of threads, and how to set it."""

    get: Callable[[], int]
    set: Callable[[int], None]


def _library(controller):
    """The functions of one of threadpoolctl's controllers, or those of OpenBLAS itself.

    From version 3.8 on, threadpoolctl lets one Python thread at a time set the number of OpenBLAS. A call from any other
    thread does nothing and says nothing. But the last fit to leave sets the number back, in whichever thread it runs. So
    OpenBLAS is called directly. This is also faster, above all because `PyDLL` keeps Python's lock: if it released the lock,
    it might have to wait for another thread to give it back.
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
    """Whether each thread has its own number, as in an OpenBLAS that is built with OpenMP."""
    return controller.internal_api == "openblas" and getattr(controller, "threading_layer", None) == "openmp"


@cache
def _controllers():
    """threadpoolctl's controllers of all copies of BLAS. The search takes about 10 ms, so it runs only once.

    It runs in another thread, because Ctrl-C goes to the main thread. In a callback of ctypes, an interrupt would be lost,
    and the library that the callback handles would be lost with it.
    """
    found = []
    search = threading.Thread(
        target=lambda: found.extend(ThreadpoolController().select(user_api="blas").lib_controllers)
    )
    try:
        search.start()
    except RuntimeError:  # the interpreter is shutting down and starts no more threads
        search.run()
    else:
        search.join()
    return found


def _copies(of_scipy):
    """The copies of BLAS that came with SciPy, or all others."""
    package = Path(scipy_init).resolve().parent
    # The folders in which wheels put their libraries, which depend on the operating system.
    folders = {package.with_name("scipy.libs"), package / ".dylibs"}
    return [one for one in _controllers() if (Path(one.filepath).resolve().parent in folders) == of_scipy]


class _Libraries:
    """Libraries that have one number of threads for the whole process, and the holders of the limit.

    The first holder notes the numbers and sets them to one. Later holders join. The last holder to leave sets the numbers
    back, in whichever thread it runs. It does not touch a number that is no longer one: someone else has set it since.

    A number is noted before it is changed, and forgotten after it is set back. So an interrupt may stop `enter` or `leave`
    anywhere, and the next call of `leave` repairs everything. If that call is interrupted too, the next `enter` finds former
    numbers but no living holder, and starts from these numbers.

    Parameters
    ----------
    libraries : list of _Library
    """

    def __init__(self, libraries):
        self._libraries = libraries
        self._former: list[int] = []  # empty while nothing is limited
        self._holders: dict[object, ref] = {}

    def enter(self, key, leave):
        """Note the numbers and set them to one, or join. If they are one already, there is nothing to hold."""
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
        """Restore the numbers, unless someone else holds the limit. The key counts as a holder until the end."""
        if key in self._holders:
            if not self._has_others(key):
                self._restore()
            del self._holders[key]

    def numbers(self):
        """The number of each library without our limit. A one may be our limit; someone else has set a larger number."""
        former, numbers = self._former, []
        for k, library in enumerate(self._libraries):
            n = library.get()
            numbers.append(former[k] if n == 1 and former else n)
        return numbers

    def after_fork(self):
        """Give a child process its threads back. The Python threads that held the limit do not exist in it."""
        self._holders = {}
        self._restore()

    def _has_others(self, key):
        """Whether anyone else holds the limit. Holders that died without leaving do not count."""
        for other, leave in self._holders.items():  # noqa: SIM110, any() takes twice as long
            if other is not key and leave() is not None:
                return True
        return False

    def _restore(self):
        for library, n in zip(self._libraries, self._former):  # noqa: B905, no number is noted while nothing is limited
            if n > 1 and library.get() == 1:
                library.set(n)
        self._former = []


class _LibrariesByThread(threading.local, _Libraries):
    """Libraries that have a number for every thread. Each thread notes, sets and restores its own numbers."""


class _OneThread:
    """Limits copies of BLAS to one thread each while anyone holds the limit.

    Parameters
    ----------
    find : callable () -> list of threadpoolctl.LibController
        Called once, when it is first needed.
    """

    def __init__(self, find):
        self._find = find
        self._found = None
        self._taken = threading.Lock()
        self._owner: int | None = None

    def enter(self, key, leave):
        """Set the limit, or join.

        Parameters
        ----------
        key : object
            The holder. `leave` takes the same key.
        leave : weakref
            The key counts while the object of this reference lives.
        """
        self._for_each(_Libraries.enter, key, leave)

    def leave(self, key):
        """Give the threads back, unless someone else holds the limit. A second call does no harm."""
        self._for_each(_Libraries.leave, key)

    def has_copies(self):
        """Whether there is any copy."""
        return bool(self._kinds())

    def n_threads(self):
        """The number of threads that these copies may use without the limit."""
        return max((n for libraries in self._kinds() for n in libraries.numbers()), default=1)

    def after_fork(self):
        """Give a child process its threads back, and a new lock: a thread of the parent may have held the old one."""
        self._taken, self._owner = threading.Lock(), None
        for libraries in self._found or []:
            libraries.after_fork()

    def _for_each(self, method, *args):
        """Call a method of both kinds of libraries under the lock.

        The garbage collector or a signal handler may interrupt this in the same thread, and enter or leave another limit.
        That inner call does nothing, because it would wait for the lock without end.
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
        """The libraries with one number for the process, and those with a number for every thread, if there are any."""
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
    """A context in which copies of BLAS are limited to one thread each.

    An interrupt may stop `__exit__` before its first line, or `__enter__` after its last. So the holder of the limit is not
    this object but `__exit__` itself, the only thing that the `with` statement keeps. The limit counts while `__exit__`
    lives. If `__exit__` dies before it has finished, a callback of its weak reference does its work again. This is why
    `__exit__` is a partial function and not a method. The frame of a method would keep its object alive in the traceback of
    the interrupt, and an interactive session keeps that traceback.
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


def blas_threads(
    units, n_rows, sparse=False, by_scipy=False, most_rows=0, uses_core=False
) -> AbstractContextManager[None]:
    """A context in which BLAS uses as many threads as suit a network.

    To enter and leave takes 5 to 10 microseconds, or less than 1 if the products are tiny and nothing is limited. Call this
    function in a `with` statement and keep no reference to what it returns: see `_Limit`.

    Parameters
    ----------
    units : sequence of int
        Width of every layer from the input to the output.
    n_rows : int
        Rows in a product.
    sparse : bool, default=False
        Whether the rows are sparse. BLAS then does not compute the products of the first layer.
    by_scipy : bool, default=False
        Whether a method of SciPy asks for the products. Such a method also computes with its own vectors, by SciPy's BLAS.
    most_rows : int, default=0
        Rows in other products within the context, if those have more. The limit is left out only if all products are tiny.
    uses_core : bool, default=False
        Whether the compiled core computes all large products. Its threads call SciPy's copy. NumPy's copy has one thread
        too: after a product of two long vectors, its second thread would keep a processor from the core for as long as a
        step takes.

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
    if largest < SMALL_PRODUCT or (uses_core and core_threads() > 1):
        return _Limit((_numpys, _scipys))
    if core_threads() > 1:
        # The compiled core calls SciPy's copy from threads of its own. SciPy may share that copy with NumPy.
        return _Limit((_scipys if _scipys.has_copies() else _numpys,))
    return _Limit((_scipys,)) if by_scipy else _NO_LIMIT


def core_threads() -> int:
    """The most threads that share a batch in the compiled core; 0 without the core.

    They are as many as scikit-learn's own compiled code uses. The number follows the limits of containers, OMP_NUM_THREADS,
    threadpoolctl's limits for OpenMP, and those that joblib sets in its workers. It is 1 where BLAS cannot be limited to one
    thread in each of them.
    """
    if _core.BatchKernel is None:
        return 0
    return _openmp_effective_n_threads() if _can_be_limited() else 1


@cache
def _can_be_limited():
    copies = _copies(of_scipy=True) or _copies(of_scipy=False)
    return bool(copies) and not any(map(_is_per_thread, copies))


def for_each_block(function, size):
    """Call a function of a slice for slices that together make up a vector.

    Parameters
    ----------
    function : callable (slice) -> None
        Its effect on one slice depends on no other slice. NumPy's error settings are the same in all threads.
    size : int
        Length of the vector. From `LONG` on, threads share the slices: at most as many as BLAS may use without our limit.
        All threads have ended when this function returns or raises.
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
        except BaseException as error:  # noqa: BLE001, an interrupt too is raised after all threads have ended
            errors.append(error)

    # concurrent.futures starts no thread after the main thread has ended, but other threads may still train then.
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
