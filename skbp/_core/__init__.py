"""The compiled core, if it is there: value and gradient of one batch, one step of an update rule, scaled columns.

The NumPy code of `skbp._network`, `skbp._training.updates` and `skbp._data.column_scaler` is the reference. It computes
wherever the core does not: where there was no compiler when the package was installed, where the environment variable
SKBP_CORE is 0, and for activations and losses that a user defines.

Attributes
----------
BatchKernel, forward, scale_columns, encode_bins, draw_factors, adam, sgd : class and functions
    See batch.pyx, columns.pyx, dropout.pyx and updates.pyx. None without the core.
ACTIVATIONS : dict
    The names of the activations that the core knows, and its numbers for them.
TYPES : str
    NumPy's characters for the types that the core computes in: float32 and float64.
why_absent : str
    Why there is no core. Empty if there is one.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

BatchKernel: Any = None
forward: Any = None
scale_columns: Any = None
encode_bins: Any = None
draw_factors: Any = None
adam: Any = None
sgd: Any = None
ACTIVATIONS: dict[str, int] = {}
TYPES = "fd"


def _find() -> str:
    """Set the attributes above. Returns why there is no core."""
    global BatchKernel, forward, scale_columns, encode_bins, draw_factors, adam, sgd
    if os.environ.get("SKBP_CORE") == "0":
        return "switched off by SKBP_CORE=0"
    try:
        names = ("batch", "columns", "dropout", "elementwise", "pool", "updates")
        batch, columns, dropout, elementwise, pool, updates = (import_module(f"skbp._core.{name}") for name in names)
    except ModuleNotFoundError as error:
        return f"not compiled: {error}"
    except (ImportError, TypeError, ValueError) as error:  # Cython raises these if a function or a type has changed
        return f"it does not fit the installed packages: {error}"
    BatchKernel, forward = batch.BatchKernel, batch.forward
    scale_columns, encode_bins = columns.scale_columns, columns.encode_bins
    draw_factors, adam, sgd = dropout.draw_factors, updates.adam, updates.sgd
    ACTIVATIONS.update(elementwise.ACTIVATIONS)
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=pool.after_fork)
    return ""


why_absent = _find()
