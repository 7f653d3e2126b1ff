"""The user's Dask collections as lists of partitions that belong together, and lazy results for them."""

from __future__ import annotations

import dask.array as da
import numpy as np
from dask.delayed import Delayed, delayed

from skbp._data.arrays import is_dask
from skbp._distributed.cluster import data

# The user's arguments, for the messages.
TRAINING = "X", "y", "sample_weight"
VALIDATION = "X_val", "y_val", "sample_weight_val"


def partitions(X, y, sample_weight, names=TRAINING) -> list[tuple[Delayed, Delayed, Delayed | None]]:
    """For each partition of the rows: X, y and the weights.

    Parameters
    ----------
    X : dask array or data frame of shape (n_samples, n_features)
    y : dask array, series or data frame, or array-like
    sample_weight : dask array or series, array-like, or None
    names : tuple of str
        The user's arguments, for the messages.

    Raises
    ------
    ValueError
        If they cannot be split at the same rows.
    """
    of_X, of_y, of_weight = names
    if not is_dask(X):
        others = [name for name, rows in ((of_y, y), (of_weight, sample_weight)) if is_dask(rows)]
        raise ValueError(
            f"{others[0]} is a Dask collection and {of_X} is not. Give {of_X} as a Dask collection too, or "
            f"{others[0]}.compute()."
        )
    X = _in_rows(X, of_X)
    parts = _parts(X)
    labels = _parts(_like(X, y, of_X, of_y))
    weights = [None] * len(parts) if sample_weight is None else _parts(_like(X, sample_weight, of_X, of_weight))
    return list(zip(parts, labels, weights, strict=True))


def _in_rows(rows, name):
    """A collection with whole rows in each partition."""
    if not isinstance(rows, da.Array):
        if hasattr(rows, "to_delayed") and hasattr(rows, "to_dask_array"):
            return rows
        raise TypeError(f"{name} is a Dask {type(rows).__name__}; give a Dask array or data frame.")
    # The chunks of a row are brought together.
    return rows.rechunk({1: -1}) if rows.ndim > 1 and rows.numblocks[1] > 1 else rows


def _like(X, rows, of_X, name):
    """y or weights in partitions with the rows of those of X."""
    known = isinstance(X, da.Array) and not np.isnan(X.shape[0])
    in_memory = not is_dask(rows)
    if in_memory:
        rows = rows if hasattr(rows, "tocsr") else np.asarray(rows)
        if not known:
            raise ValueError(
                f"{name} lies in memory, and Dask does not know the number of rows in each partition of {of_X}. Give {name} "
                f"as a Dask collection, or compute the chunk sizes first: {of_X}.compute_chunk_sizes() of an array, "
                f"{of_X}.to_dask_array(lengths=True) of a data frame."
            )
        if not rows.ndim:
            rows = np.full(X.shape[0], rows)
    else:
        rows = _in_rows(rows, name)
    if in_memory or (known and isinstance(rows, da.Array) and not np.isnan(rows.shape[0])):
        if rows.shape[0] != X.shape[0]:
            raise ValueError(f"{of_X} has {X.shape[0]} rows and {name} has {rows.shape[0]}: they must be as many.")
        if in_memory:
            return da.from_array(rows, chunks=(X.chunks[0], *(-1,) * (rows.ndim - 1)), asarray=False)
        return rows if rows.chunks[0] == X.chunks[0] else rows.rechunk({0: X.chunks[0]})
    if rows.npartitions != X.npartitions:
        raise ValueError(
            f"{of_X} has {X.npartitions} partitions and {name} has {rows.npartitions}, of unknown sizes. Compute the chunk "
            "sizes of both with compute_chunk_sizes(), or take both from one data frame."
        )
    return rows


def _parts(rows):
    """The partitions as tasks."""
    return list(np.asarray(rows.to_delayed(), dtype=object).ravel())


def lazily(X, function):
    """A function of the rows of a collection, computed when it is asked for, with the partitions of X.

    Parameters
    ----------
    X : dask array or data frame
    function : callable (rows) -> ndarray
        Rows are the last axis but one of its result, or the only one.
    """
    X = _in_rows(X, "X")
    of_array = isinstance(X, da.Array)
    example = function(np.zeros((1, X.shape[1]), X.dtype) if of_array else X._meta_nonempty)
    axis = max(0, example.ndim - 2)
    example = example[(*(slice(None),) * axis, slice(0, 0))]
    before, after = example.shape[:axis], example.shape[axis + 1 :]
    function = data(function)
    if of_array:
        chunks = (*((n,) for n in before), X.chunks[0], *((n,) for n in after))
        axes = {"drop_axis": [] if after else [1], "new_axis": [0] if before else []}
        return da.map_blocks(_of_rows, X, function, example, chunks=chunks, meta=example, **axes)
    call = delayed(_of_rows, pure=False)
    blocks = [
        da.from_delayed(call(part, function, example), (*before, np.nan, *after), meta=example) for part in _parts(X)
    ]
    return da.concatenate(blocks, axis=axis, allow_unknown_chunksizes=True)


def _of_rows(rows, function, example):
    return function(rows) if rows.shape[0] else example
