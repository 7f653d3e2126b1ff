"""Which library the data belong to. No library is imported to find out."""

from __future__ import annotations


def is_dask(data) -> bool:
    """Whether data are a collection of Dask: an array, a data frame, a series or a bag."""
    return type(data).__module__.split(".")[0] in {"dask", "dask_expr"} and hasattr(data, "__dask_graph__")
