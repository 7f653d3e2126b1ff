"""The rows of a data set and the batches that training takes from them.

Training and predictions index X here and nowhere else. A batch is taken here and handed down to those who compute with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from scipy.sparse import issparse

from skbp._data.splits import hold_out
from skbp._network.tape import CHUNK_ROWS, chunk_rows


class Batch:
    """What one step takes, or one of several pieces of it. The arrays are taken from the rows when they are asked for.

    In a batch for a stack, every array has a leading axis of members, and sparse X is a list with an array for each member.

    Parameters
    ----------
    rows : Rows
    indices : slice of step 1 or ndarray of int of shape (*members, n_rows)
        Which of the rows.
    total : float, or ndarray of shape (n_members,)
        S, the sum of the weights of all rows of the step.
    n_rows : int
        The length of the indices.

    Attributes
    ----------
    X : {ndarray, CSR array} of shape (n_rows, n_features)
    target : ndarray of n_rows
        As the loss takes it.
    weight : ndarray of float64 of shape (n_rows,), or None
        s_i; None for ones.
    """

    __slots__ = ("_X", "indices", "n_rows", "rows", "total")

    def __init__(self, rows, indices, total, n_rows):
        self.rows, self.indices, self.total, self.n_rows = rows, indices, total, n_rows
        self._X = None

    @property
    def X(self):
        if self._X is None:
            self._X = self.rows.features(self.indices)
        return self._X

    @property
    def target(self):
        # `take` gathers rows faster than indexing.
        by_slice = isinstance(self.indices, slice)
        return self.rows.target[self.indices] if by_slice else self.rows.target.take(self.indices, axis=0)

    @property
    def weight(self):
        return None if self.rows.weight is None else self.rows.weight[self.indices]


class Rows:
    """Validated rows with their labels, targets and weights.

    Parameters
    ----------
    X : {ndarray, CSR array} of shape (n_rows, n_features)
    y : ndarray or sparse matrix of shape (n_rows,) or (n_rows, n_outputs)
        As the user gave it, for scorers.
    codes : ndarray of shape (n_rows,) or (n_rows, n_labels)
        y in numbers, as the target encodes it.
    target : ndarray of n_rows
        As the loss takes it.
    weight : ndarray of float64 of shape (n_rows,), or None
        Weights without their common factor; None for ones.
    weight_exponent : int, default=0
        The common factor is 2 to this power.
    n_units : int, default=1
        Units of the network after the input. The more, the fewer sparse rows make a chunk.
    sets : list of ndarray of int, default=None
        For each member of a stack the rows that it trains on. None means that one network trains on all rows.
    """

    def __init__(self, X, y, codes, target, weight, weight_exponent=0, n_units=1, sets=None):
        self.X, self.y, self.codes, self.target, self.weight = X, y, codes, target, weight
        self.weight_exponent, self.n_units = weight_exponent, n_units
        self.sets = sets
        self.sparse = issparse(X)
        self._chunk_rows = chunk_rows(n_units, self.sparse)

    in_memory = True
    # Whether a batch has a copy of its rows, and not a view of X.
    keeps_copies = False

    def __len__(self):
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        return self.X.shape[1]

    @property
    def dtype(self):
        """The type to compute in."""
        return self.X.dtype

    @property
    def mean_weight(self) -> float | None:
        """The mean weight of a row without the common factor. None without weights."""
        return None if self.weight is None else float(self.weight.mean())

    @property
    def n_in_epoch(self) -> int:
        """Rows in an epoch. Every member of a stack takes as many as the smallest of their sets has."""
        return len(self) if self.sets is None else min(map(len, self.sets))

    @property
    def rows_at_once(self) -> int:
        """The most rows of a batch."""
        return min(self._chunk_rows, len(self))

    @cached_property
    def norm(self) -> float:
        """A bound on the Euclidean norm of a row: its largest element times the root of the number of features."""
        return _largest(self.X) * self.X.shape[1] ** 0.5

    def subset(self, indices) -> Rows:
        """Some of the rows as a data set of their own."""
        weight = None if self.weight is None else self.weight[indices]
        parts = self.X[indices], self.y[indices], self.codes[indices], self.target[indices], weight
        return Rows(*parts, self.weight_exponent, self.n_units)

    def sample(self, most) -> Rows:
        """At most so many of the rows, evenly spaced."""
        return self if len(self) <= most else self.subset(evenly_spaced(len(self), most))

    def summed(self, function, *arguments):
        """What a function (rows, *arguments) gives for all rows: a tuple of numbers and arrays that are sums over rows."""
        return function(self, *arguments)

    def split_off(self, target, fraction, rng):
        """Split off a random share of the rows, stratified by class if there are enough rows.

        Parameters
        ----------
        target : Target
        fraction : float
        rng : RandomState

        Returns
        -------
        rest, split_off : Rows
        indices : ndarray of int
            Those of the rest.
        """
        rest, indices = hold_out(target.strata(self.codes), len(self), fraction, rng)
        return self.subset(rest), self.subset(indices), rest

    def whole(self, objective):
        """What computes an objective with all rows at once."""
        return objective

    def epochs(self, rngs, shuffle) -> Iterator[list[tuple[Rows, slice | np.ndarray]]]:
        """Epoch after epoch without end: what training goes through in it.

        Parameters
        ----------
        rngs : sequence of RandomState
            For each member of a stack, or for the one network.
        shuffle : bool
            Whether each epoch has a new random order.

        Yields
        ------
        portions : iterable of (Rows, order)
            One after another. An order is a slice of all, or indices of shape (*members, n_rows).
        """
        sets = [np.arange(len(self))] if self.sets is None else [indices.copy() for indices in self.sets]
        n_rows = self.n_in_epoch
        while True:
            if shuffle:
                for indices, rng in zip(sets, rngs, strict=True):
                    rng.shuffle(indices)
            if self.sets is not None:
                yield [(self, np.stack([indices[:n_rows] for indices in sets]))]
            else:
                yield [(self, sets[0] if shuffle else slice(0, n_rows))]

    def with_features(self, X) -> Rows:
        """The same rows with other features."""
        return Rows(X, self.y, self.codes, self.target, self.weight, self.weight_exponent, self.n_units)

    def for_members(self, sets) -> Rows:
        """The same rows for a stack. Its members train on different sets of them."""
        return Rows(self.X, self.y, self.codes, self.target, self.weight, self.weight_exponent, self.n_units, sets)

    def take(self, indices) -> Sequence[Batch]:
        """A selection of rows as batches.

        Parameters
        ----------
        indices : slice of step 1 or ndarray of int of shape (*members, n_rows)

        Returns
        -------
        batches : sequence of Batch
            Their arrays are views of the data for a slice, else copies. More than one if the rows are many. Empty if all
            weights are zero.
        """
        n_rows = indices.stop - indices.start if isinstance(indices, slice) else indices.shape[-1]
        total = float(n_rows) if self.weight is None else self._total(indices)
        if isinstance(total, float) and total == 0.0:
            return []
        if n_rows <= self._chunk_rows:
            return [Batch(self, indices, total, n_rows)]
        return _Pieces(self, indices, total, range(0, n_rows, self._chunk_rows))

    def chunks(self, total=None) -> Sequence[Batch]:
        """All rows as batches that share their memory.

        Parameters
        ----------
        total : float, default=None
            S. None is the sum of the weights of these rows. It is larger if they are a part of those of a step.
        """
        everything = slice(0, len(self))
        if total is None:
            total = self._total(everything)
        if len(self) <= self._chunk_rows:
            return [Batch(self, everything, total, len(self))]
        return _Pieces(self, everything, total, range(0, len(self), self._chunk_rows))

    def features(self, indices):
        """X of a selection of rows, for a stack of each member."""
        if isinstance(indices, slice):
            return _sparse_slice(self.X, indices) if self.sparse else self.X[indices]
        if not self.sparse:
            return self.X.take(indices, axis=0)
        return self.X[indices] if indices.ndim == 1 else [self.X[member] for member in indices]

    def as_one_batch(self) -> Batch:
        """All rows as one batch, however many they are."""
        everything = slice(0, len(self))
        return Batch(self, everything, self._total(everything), len(self))

    def _total(self, indices):
        """S, the sum of the weights of a selection. Without weights the selection is a slice."""
        if self.weight is None:
            return float(indices.stop - indices.start)
        total = self.weight[indices].sum(axis=-1)
        return total if total.ndim else float(total)


class _Pieces(Sequence):
    """The batches of a large selection, each taken when it is asked for: their memory does not grow with the selection."""

    def __init__(self, rows, indices, total, starts):
        self._rows, self._indices, self._total, self._starts = rows, indices, total, starts

    def __len__(self):
        return len(self._starts)

    def __getitem__(self, k):
        start, stop = self._starts[k], min(self._starts[k] + self._starts.step, self._starts.stop)
        if isinstance(self._indices, slice):
            piece = slice(self._indices.start + start, self._indices.start + stop)
        else:
            piece = self._indices[..., start:stop]
        return Batch(self._rows, piece, self._total, stop - start)


def chunks(X, chunk_rows=CHUNK_ROWS):
    """Slices of at most `chunk_rows` rows that together are all rows, and the rows in them.

    Yields
    ------
    chunk : slice
    rows : {ndarray, CSR array, data frame} of shape (n_rows of the chunk, n_features)
    """
    n_rows = X.shape[0]
    for start in range(0, n_rows, chunk_rows):
        chunk = slice(start, min(start + chunk_rows, n_rows))
        yield chunk, X.iloc[chunk] if hasattr(X, "iloc") else X[chunk]


def evenly_spaced(n_rows, most):
    """Indices of at most so many rows."""
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, most)).astype(np.intp))


def _sparse_slice(X, rows):
    """Consecutive rows of a CSR array, in the memory of X."""
    ends = X.indptr[rows.start : rows.stop + 1]
    elements = slice(ends[0], ends[-1])
    parts = X.data[elements], X.indices[elements], ends - ends[0]
    return type(X)(parts, (rows.stop - rows.start, X.shape[1]), copy=False)


def _largest(X):
    """The largest absolute value of an array or CSR array."""
    values = X.data if issparse(X) else X
    step = CHUNK_ROWS if values.ndim == 2 else CHUNK_ROWS**2
    parts = [values[start : start + step] for start in range(0, len(values), step)]
    return max((float(max(part.max(), -part.min())) for part in parts if part.size), default=0.0)
