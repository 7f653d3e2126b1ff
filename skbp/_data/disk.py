"""Rows in a file: full-batch training and predictions read them piece by piece.

The file is a memory map of NumPy, or any array-like that gives an array for a slice of rows, such as a dataset of h5py or an
array of zarr. The memory in use does not grow with the file.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from scipy.sparse import issparse

from skbp._data.rows import Batch, Rows, evenly_spaced
from skbp._network.tape import CHUNK_ROWS

# The bytes of a block of rows that is checked, or predicted for, at once.
BLOCK_BYTES = 2**24

# The pages of a memory map that a process has read count as its memory until it gives them back. It does so after this much.
BYTES_BETWEEN_RELEASES = 2**25

# The operating system maps neighbours of a page too. So even the read of one row may count as this much.
LEAST_READ = 2**20

# Arrays in memory, here or on a device, have one of these. So do frames.
IN_MEMORY = ("__array_interface__", "__cuda_array_interface__", "__dlpack__", "__dataframe__", "__dask_graph__", "iloc")


def is_on_disk(X) -> bool:
    """Whether X is a memory map, or an array-like of rows that gives an array for a slice."""
    if isinstance(X, np.memmap):
        return X.ndim == 2
    return (
        all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__"))
        and len(X.shape) == 2
        and not issparse(X)
        and not any(hasattr(X, name) for name in IN_MEMORY)
    )


class DiskArray:
    """The rows of a file as an array that is read when it is indexed.

    Parameters
    ----------
    source : array-like of shape (n_rows, n_features)
        See `is_on_disk`.
    dtype : dtype, default=None
        The type to give; None for that of the file.
    largest : float, default=nan
        The largest absolute value, where that is known.
    """

    def __init__(self, source, dtype=None, largest=math.nan):
        self._source, self.largest = source, largest
        self.dtype = np.dtype(source.dtype) if dtype is None else np.dtype(dtype)
        self.shape = tuple(source.shape)
        self._bytes_read = 0

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, indices):
        if isinstance(indices, slice):
            return self._read(*indices.indices(len(self))[:2])
        indices = np.flatnonzero(indices) if indices.dtype == bool else indices
        # Neighbours are read at once, from the beginning of the file to its end.
        order = np.argsort(indices, kind="stable")
        ordered = indices[order]
        found, i = np.zeros((len(indices), self.shape[1]), self.dtype), 0
        while i < len(ordered):
            j = int(np.searchsorted(ordered, ordered[i] + CHUNK_ROWS))
            block = self._read(int(ordered[i]), int(ordered[j - 1]) + 1)
            found[order[i:j]] = block[ordered[i:j] - ordered[i]]
            i = j
        return found

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """All rows, block by block, with the place of each block."""
        n_rows = max(1, BLOCK_BYTES // max(1, self.dtype.itemsize * self.shape[1]))
        for start in range(0, len(self), n_rows):
            stop = min(start + n_rows, len(self))
            yield slice(start, stop), self._read(start, stop)

    def _read(self, start, stop):
        block = np.asarray(self._source[start:stop])
        self._bytes_read += max(block.nbytes, LEAST_READ)
        if self._bytes_read > BYTES_BETWEEN_RELEASES:
            self._bytes_read = 0
            _release_pages(self._source)
        return np.ascontiguousarray(block, self.dtype)


def _release_pages(source):
    """Give the pages of a memory map back. The next read takes them from the operating system's cache, or from the disk."""
    memory = getattr(source, "_mmap", None)
    # A map of mode "c" has changes in its pages that the file does not have.
    if memory is not None and hasattr(memory, "madvise") and source.mode != "c":
        memory.madvise(mmap.MADV_DONTNEED)


class DiskRows(Rows):
    """Rows with X in a file. What training asks for chunk by chunk is read chunk by chunk.

    Parameters
    ----------
    X : DiskArray
        With its largest value.
    Others as for `Rows`.
    """

    @property
    def norm(self) -> float:
        return self.X.largest * self.X.shape[1] ** 0.5

    def features(self, indices):
        return self.X[indices]

    def sample(self, most) -> Rows:
        return self.subset(evenly_spaced(len(self), most))

    def chunks(self, total=None) -> Sequence[Batch]:
        return _DiskChunks(self, self.as_one_batch().total if total is None else total, self.rows_at_once)


def rows_of(X, *others) -> Rows:
    """Rows of an array or of a `DiskArray`. The other arguments are those of `Rows`."""
    return (DiskRows if isinstance(X, DiskArray) else Rows)(X, *others)


class _DiskChunks(Sequence):
    """The batches of all rows. Each is read when its X is asked for, and forgotten with the batch."""

    def __init__(self, rows, total, chunk_rows):
        self._rows, self._total, self._starts = rows, total, range(0, len(rows), chunk_rows)

    def __len__(self):
        return len(self._starts)

    def __getitem__(self, k):
        start = self._starts[k]
        piece = slice(start, min(start + self._starts.step, len(self._rows)))
        return Batch(_Piece(self._rows, piece), slice(0, piece.stop - start), self._total, piece.stop - start)


class _Piece(Rows):
    """Consecutive rows of a file, which are read once, when they are needed."""

    keeps_copies = True

    def __init__(self, rows, piece):
        self._of, self._piece = rows, piece
        self.codes, self.target = rows.codes[piece], rows.target[piece]
        self.weight = None if rows.weight is None else rows.weight[piece]
        self.weight_exponent, self.n_units = rows.weight_exponent, rows.n_units
        self.sets, self.sparse = None, False

    def __len__(self):
        return self._piece.stop - self._piece.start

    @cached_property
    def X(self):
        return self._of.X[self._piece]
