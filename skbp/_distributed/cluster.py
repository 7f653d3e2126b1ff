"""Where Dask computes, and how the results of many partitions become one.

With a client of dask.distributed, its workers compute. Prepared partitions stay in the memory of the workers. Without a
client, a scheduler of this process computes, and prepares each partition anew for every pass: the data may be larger than
memory.

Every task is a pure function of its arguments. If a worker dies, Dask runs its tasks again on another worker, and the
result is the same. (Dask's setting distributed.scheduler.allowed-failures, 3 by default, ends that for a task that kills its
workers.) Partial results are added in a fixed order, in groups. So the sum has the same bits in every run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import dask
from dask.base import get_scheduler
from dask.delayed import Delayed, delayed

# So many partial results are merged in one task. A tree of such tasks over 1,000 partitions has three levels.
GROUP = 16

# Seconds to wait for a worker if there is none at all. After that the computation ends in an error and does not hang.
PATIENCE = 60.0
LOOK_EVERY = 1.0

# A pass over the data is tried so often if workers are lost in it.
MOST_LOSSES = 20


class NoWorkersError(RuntimeError):
    """All workers are gone, and none has come."""


class _WorkerLostError(Exception):
    """A worker that has a partition is gone."""


class Cluster:
    """The client of dask.distributed that is active now, or else a scheduler of this process."""

    def __init__(self):
        # The scheduler of a client is a method of it.
        owner = getattr(get_scheduler(), "__self__", None)
        self._client: Any = owner if hasattr(owner, "scheduler_info") else None
        self._places: dict = {}

    def kept(self, values: Sequence[Delayed]) -> list[Delayed]:
        """The same values, kept in the memory of the workers from now on. Without a client nothing changes."""
        return list(values) if self._client is None else list(dask.persist(*values, optimize_graph=False))

    def results(self, values: Sequence[Delayed]) -> list[Any]:
        """The results of some tasks."""
        if self._client is None:
            return list(dask.compute(*values, optimize_graph=False))
        futures = self._started(list(values))
        try:
            return [self._waited_for(future) for future in futures]
        finally:
            _release(futures)

    def result(self, value: Delayed) -> Any:
        """The result of one task."""
        return self.results([value])[0]

    def one_after_another(self, values: Iterable[Delayed]) -> Iterable[Any]:
        """The results of some tasks, one after another. While the caller works on one, the next is fetched."""
        following: Future | None = None
        thread = ThreadPoolExecutor(1)
        try:
            for value in values:
                now, following = following, thread.submit(self.result, value)
                if now is not None:
                    yield now.result()
            if following is not None:
                yield following.result()
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def merged(self, function, parts: Sequence[Delayed], arguments: Sequence[Any], merge) -> Any:
        """Call a function (partition, *arguments) for each partition, where it lies, and merge the results in a tree.

        Dask may take an idle worker for a task, and then a partition would travel in each step. So each task is bound to
        the worker that has its partition. If one of these workers is lost, all tasks are sent again.
        """
        call, given = delayed(function, pure=False), [data(one) for one in arguments]
        if self._client is None:
            return self.result(tree([call(part, *given) for part in parts], merge))
        for _ in range(MOST_LOSSES):
            places = self._places_of(parts)
            leaves = []
            for part, place in zip(parts, places, strict=True):
                with dask.annotate(workers=[place]) if place else nullcontext():
                    leaves.append(call(part, *given))
            future = self._started(tree(leaves, merge))
            try:
                return self._waited_for(future, {place for place in places if place})
            except (_WorkerLostError, CancelledError):
                future.cancel()
                self._places.clear()
            finally:
                _release([future])
        raise NoWorkersError(f"Workers of the Dask cluster were lost {MOST_LOSSES} times in one pass over the data.")

    def _started(self, value):
        """The future of a value. A graph has the parameters of a network: its size deserves no warning."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self._client.compute(value, optimize_graph=False)

    def _places_of(self, parts) -> list[str | None]:
        """The worker that has each partition. None if it has to be made again."""
        keys = tuple(part.key for part in parts)
        if keys not in self._places:
            found = self._client.who_has(self._futures_of(parts))
            places = [min(found.get(key, ()), default=None) for key in keys]
            if None in places:
                return places  # look again next time
            self._places[keys] = places
        return self._places[keys]

    @staticmethod
    def _futures_of(parts):
        from distributed import futures_of  # noqa: PLC0415, a client is active, so it is installed

        return futures_of(list(parts))

    def _waited_for(self, future, bound_to=frozenset()):
        """The result of a future. An error if a worker that it needs is lost, or if there is no worker at all."""
        alone_since = None
        with _outside_the_pool():
            while True:
                try:
                    return future.result(timeout=LOOK_EVERY)
                except TimeoutError:
                    if future.status == "error":
                        raise  # it is the error of the task
                workers = self._client.scheduler_info()["workers"]
                if workers:
                    alone_since = None
                    if not bound_to <= workers.keys():
                        raise _WorkerLostError
                elif alone_since is None:
                    alone_since = time.monotonic()
                elif time.monotonic() - alone_since > PATIENCE:
                    raise NoWorkersError(
                        f"The Dask cluster has had no worker for {PATIENCE:g} seconds. Start workers and call fit again."
                    )


def _release(futures):
    """Forget futures. Otherwise the error of a task keeps them alive, and with them their results on the workers."""
    for future in futures:
        future.release()


@contextmanager
def _outside_the_pool():
    """A context for waiting. In a task, the worker may use its thread for other tasks meanwhile."""
    import distributed  # noqa: PLC0415, a client is active, so it is installed

    try:
        distributed.get_worker()
    except ValueError:  # not in a task
        yield
        return
    try:
        distributed.secede()
    except KeyError:  # the task has seceded itself
        yield
        return
    try:
        yield
    finally:
        distributed.rejoin()


def tree(values: Sequence[Delayed], merge) -> Delayed:
    """Merge results in groups, and the results of the groups again, until one is left.

    Parameters
    ----------
    values : sequence of Delayed
        At least one.
    merge : callable (list of results) -> result
    """
    merge = delayed(merge, pure=False)
    values = list(values)
    while len(values) > 1:
        values = [merge(values[start : start + GROUP]) for start in range(0, len(values), GROUP)]
    return values[0]


def added(parts):
    """The sum of tuples of numbers and arrays, element by element, from the first to the last."""
    total, *others = parts
    for other in others:
        total = tuple(a + b for a, b in zip(total, other, strict=True))
    return total


def data(value) -> Delayed:
    """A value as a task of its own: it travels once, and the workers take it from one another."""
    return delayed(value, pure=False, traverse=False)
