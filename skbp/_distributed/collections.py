"""The user's Dask collections as lists of partitions that belong together."""

from __future__ import annotations

import dask.array as da
import numpy as np
from dask.delayed import Delayed

from skbp._data.arrays import is_dask

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
            f"{others[0]}.compute(). An earlier step of a pipeline may have computed {of_X}: scikit-learn's transformers do."
        )
    X = in_rows(X, of_X)
    parts = parts_of(X)
    labels = parts_of(_like(X, y, names, of_y))
    weights = [None] * len(parts) if sample_weight is None else parts_of(_like(X, sample_weight, names, of_weight))
    return list(zip(parts, labels, weights, strict=True))


def in_rows(rows, name):
    """A collection with whole rows in each partition."""
    if not isinstance(rows, da.Array):
        # A Delayed object says of every attribute that it has it.
        if hasattr(type(rows), "to_dask_array"):
            return rows
        raise TypeError(f"{name} is a Dask {type(rows).__name__}; give a Dask array or data frame.")
    if not rows.ndim:
        raise ValueError(f"{name} is a single number; it must have one for each row.")
    # The chunks of a row are brought together.
    return rows.rechunk({1: -1}) if rows.ndim > 1 and rows.numblocks[1] > 1 else rows


def _like(X, rows, names, name):
    """y or weights in partitions with the rows of those of X."""
    of_X, _, of_weight = names
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
        if not rows.ndim and name == of_weight:
            rows = np.full(X.shape[0], rows)
        if not rows.ndim:
            raise ValueError(f"{name} is {rows!r}; it must have a value for each row.")
    else:
        rows = in_rows(rows, name)
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


def parts_of(rows):
    """The partitions as tasks."""
    return list(np.asarray(rows.to_delayed(), dtype=object).ravel())
