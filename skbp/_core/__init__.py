"""The compiled core, if it is there: value and gradient of one batch, and one step of an update rule.

The NumPy code of `skbp._network` and `skbp._training.updates` is the reference. It computes wherever the core does not:
where there was no compiler when the package was built, where the environment variable SKBP_CORE is 0, and for activations
and losses that a user defines.

Attributes
----------
BatchKernel, adam, sgd : class and functions
    See batch.pyx and updates.pyx. None without the core.
ACTIVATIONS : dict
    The names of the activations that the core knows, and its numbers for them.
why_absent : str
    Why there is no core. Empty if there is one.
"""

from __future__ import annotations

import os

BatchKernel = adam = sgd = None
ACTIVATIONS: dict[str, int] = {}
# NumPy's characters for float32 and float64, the types that the core computes in.
TYPES = "fd"
why_absent = ""

if os.environ.get("SKBP_CORE") == "0":
    why_absent = "switched off by SKBP_CORE=0"
else:
    try:
        from skbp._core.batch import BatchKernel  # type: ignore[assignment]
        from skbp._core.elementwise import ACTIVATIONS  # noqa: F401
        from skbp._core.pool import after_fork
        from skbp._core.updates import adam, sgd  # type: ignore[assignment]

        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=after_fork)
    except ModuleNotFoundError as error:
        why_absent = f"not built ({error})"
    except ImportError as error:
        BatchKernel = adam = sgd = None  # type: ignore[assignment]
        why_absent = f"it does not fit the installed packages ({error})"
