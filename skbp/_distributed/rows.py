"""Rows that lie in partitions: what training asks of `Rows`, without one array that holds them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from dask.delayed import delayed
from scipy.sparse import issparse, vstack

from skbp._data.rows import Rows, evenly_spaced
from skbp._distributed import partition
from skbp._distributed.cluster import NoWorkersError, added, data
from skbp._distributed.objective import SummedObjective
from skbp._network.tape import chunk_rows
from skbp._training.diagnosis import SAMPLE_ROWS
from skbp._training.outcome import UnreachableRowsError

# Errors that come from the machines, and packages with further ones.
LOST = (OSError, TimeoutError, MemoryError, NoWorkersError)
OF_CLUSTERS = {"distributed", "concurrent", "asyncio"}


class PartitionedRows:
    """Validated and encoded rows in partitions.

    Training by SciPy's methods asks for sums over all rows, and the workers compute them. Training on mini-batches goes
    through the partitions one after another, here.

    Parameters
    ----------
    cluster : Cluster
    parts : list of Delayed
        Each is a partition as Rows, with at least one row.
    lengths : list of int
        Rows in each.
    total : float
        The sum of all weights; the number of rows without weights.
    weighted : bool
    weight_exponent : int
        The common factor of the weights is 2 to this power.
    norm : float
        A bound on the Euclidean norm of a row.

    It has those attributes of `Rows` that training uses.
    """

    sets = None
    in_memory = False

    def __init__(self, cluster, parts, lengths, total, *, weighted, weight_exponent, norm):
        self._cluster, self._parts, self._lengths = cluster, parts, lengths
        self.total, self.weight_exponent, self.norm = total, weight_exponent, norm
        self._weighted = weighted
        self.target = None

    def __len__(self):
        return sum(self._lengths)

    @property
    def X(self):
        raise ValueError(
            "scoring takes all validation rows in memory, and these lie in partitions. Set scoring='loss' or None, or give "
            "X_val and y_val as arrays."
        )

    y = codes = X

    @property
    def n_features(self) -> int:
        return self._sample.n_features

    @property
    def dtype(self):
        return self._sample.dtype

    @property
    def sparse(self) -> bool:
        return self._sample.sparse

    @property
    def n_units(self) -> int:
        return self._sample.n_units

    @property
    def mean_weight(self) -> float | None:
        return self.total / len(self) if self._weighted else None

    @property
    def n_in_epoch(self) -> int:
        return len(self)

    @property
    def rows_at_once(self) -> int:
        return min(chunk_rows(self.n_units, self.sparse), max(self._lengths))

    @cached_property
    def _sample(self) -> Rows:
        """Some rows, evenly spaced, in memory. All diagnoses share them."""
        wanted = evenly_spaced(len(self), SAMPLE_ROWS)
        starts = np.concatenate([[0], np.cumsum(self._lengths)])
        take = delayed(partition.subset, pure=False)
        some = []
        for part, start, stop in zip(self._parts, starts, starts[1:], strict=False):
            indices = wanted[(start <= wanted) & (wanted < stop)] - start
            if len(indices):
                some.append(take(part, indices))
        with reached():
            return joined(self._cluster.results(some))

    def sample(self, most) -> Rows:
        return self._sample.sample(most)

    def whole(self, objective) -> SummedObjective:
        return SummedObjective(objective, self)

    def summed(self, function, *arguments):
        """What a function (rows, *arguments) -> tuple of numbers and arrays gives for all rows: the sum over partitions."""
        with reached():
            return self._cluster.merged(partition.quietly, self._parts, [function, *arguments], added)

    def as_one_batch(self):
        raise ValueError("The rows lie in partitions. Compute a few rows, and give them as arrays in memory.")

    def chunks(self) -> Iterator[Any]:
        """The batches of all rows, partition by partition, here."""
        for rows in self._fetched(self._parts):
            yield from rows.chunks(self.total)

    def _fetched(self, parts):
        """Partitions in the memory of this process, one after another."""
        with reached():
            yield from self._cluster.one_after_another(parts)

    def epochs(self, rngs, shuffle) -> Iterator[Any]:
        """Epoch after epoch, each through the partitions in random order and through the rows of each in random order."""
        (rng,) = rngs
        while True:
            yield self._epoch(rng, shuffle)

    def _epoch(self, rng, shuffle):
        order = rng.permutation(len(self._parts)) if shuffle else range(len(self._parts))
        for rows in self._fetched(self._parts[k] for k in order):
            yield rows, rng.permutation(len(rows)) if shuffle else slice(0, len(rows))

    def split_off(self, target, fraction, rng):
        """Split off a random share of the rows of each partition. There are no indices of the rest."""
        seeds = rng.randint(np.iinfo(np.int32).max, size=len(self._parts))
        # Rounded down or up at random, so that small partitions hold out no more than their share.
        numbers = np.floor(fraction * np.array(self._lengths) + rng.uniform(size=len(self._parts))).astype(int)
        if not 0 < numbers.sum() < len(self):
            raise ValueError(
                f"early_stopping with validation_fraction={fraction} would hold out {numbers.sum()} of n_samples="
                f"{len(self)} rows: there must be at least one to validate on and one to train on. Use more rows, another "
                "validation_fraction, or early_stopping=False."
            )
        split, target = delayed(partition.split_off, pure=False, nout=2), data(target)
        pairs = [split(part, target, n, seed) for part, n, seed in zip(self._parts, numbers, seeds, strict=True)]
        rest, held_out = (self._cluster.kept(parts) for parts in zip(*pairs, strict=True))
        return self._of(rest), self._of(held_out), None

    def _of(self, parts) -> PartitionedRows:
        """Other partitions with the same common factor of their weights."""
        call = delayed(partition.length_and_weight, pure=False)
        figures = self._cluster.results([call(part) for part in parts])
        kept = [(part, n, weight) for part, (n, weight) in zip(parts, figures, strict=True) if n]
        parts, lengths, weights = (list(column) for column in zip(*kept, strict=True))
        return PartitionedRows(
            self._cluster,
            parts,
            lengths,
            sum(weights),
            weighted=self._weighted,
            weight_exponent=self.weight_exponent,
            norm=self.norm,
        )


@contextmanager
def reached():
    """A context for passes over the rows. An error in it means that the rows are out of reach."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, LOST) and type(error).__module__.split(".")[0] not in OF_CLUSTERS:
            raise
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise UnreachableRowsError(f"A pass over the partitions failed with {what}") from error


def joined(parts) -> Rows:
    """Several rows in memory as one."""
    first = parts[0]
    columns = zip(*((part.X, part.codes, part.target) for part in parts), strict=True)
    X, codes, target = (
        vstack(column, format="csr") if issparse(column[0]) else np.concatenate(column) for column in columns
    )
    weight = None if first.weight is None else np.concatenate([part.weight for part in parts])
    return Rows(X, codes, codes, target, weight, first.weight_exponent, first.n_units)
