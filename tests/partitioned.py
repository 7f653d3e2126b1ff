"""Rows as Dask arrays in a few partitions."""

import pytest

da = pytest.importorskip("dask.array", reason="dask is an extra")

# Uneven partitions, one of them empty.
SIZES = (50, 0, 7, 100, 53)


def in_partitions(rows, sizes=SIZES):
    return da.from_array(rows, chunks=(sizes, *((n,) for n in rows.shape[1:])), asarray=False)


def of_unknown_sizes(collection):
    return collection[da.ones(len(collection), chunks=collection.chunks[0], dtype=bool)]
