"""Predictions for Dask collections: lazy, with the partitions of X; and the accuracy of all partitions."""

from __future__ import annotations

import dask.array as da
import numpy as np
from dask.delayed import delayed

from skbp._distributed.cluster import Cluster, added, data, tree
from skbp._distributed.collections import in_rows, partitions, parts_of
from skbp._distributed.partition import right_and_all


def lazily(X, function):
    """A function of the rows of a collection, computed when it is asked for, with the partitions of X.

    Parameters
    ----------
    X : dask array or data frame
    function : callable (rows) -> ndarray
        Rows are the last axis but one of its result, or the only one.
    """
    X = in_rows(X, "X")
    if X.ndim != 2:
        raise ValueError(f"X has {X.ndim} dimension; it must have rows and columns: for one column X[:, None].")
    of_array = isinstance(X, da.Array)
    example = function(np.zeros((1, X.shape[1]), X.dtype) if of_array else _example_rows(X))
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
        da.from_delayed(call(part, function, example), (*before, np.nan, *after), meta=example) for part in parts_of(X)
    ]
    return da.concatenate(blocks, axis=axis, allow_unknown_chunksizes=True)


def _example_rows(frame):
    """A few rows with the columns of a data frame. Numbers are not missing."""
    rows = frame._meta_nonempty
    for j, dtype in enumerate(rows.dtypes):
        if dtype.kind in "biuf" and rows.iloc[:, j].isna().any():
            rows.isetitem(j, rows.iloc[:, j].fillna(dtype.type(0)))
    return rows


def score_of(model, X, y, sample_weight):
    """The accuracy of a classifier on all partitions, in one pass."""
    call, model = delayed(right_and_all, pure=False), data(model)
    parts = [call(*one, model) for one in partitions(X, y, sample_weight)]
    right, total = Cluster().result(tree(parts, added))
    if total == 0.0:
        raise ValueError("X has no rows, or all weights are zero: there is nothing to score.")
    return right / total


def _of_rows(rows, function, example):
    return function(rows) if rows.shape[0] else example
