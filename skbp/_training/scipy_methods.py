"""The methods of scipy.optimize.minimize that train a network, and the options of each method."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ScipyMethod:
    """What training needs to know about a method of scipy.optimize.minimize.

    Parameters
    ----------
    name : str
        SciPy's name of the method.
    tol : str
        The option that the estimator's `tol` sets.
    options : tuple of str
        The options that a user may set. Options for printing and for numerical derivatives are not among them.
    hessian : {"exact", "gauss-newton"} or None, default=None
        The matrix that the method multiplies by, unless the user chooses another. None if the method uses no matrix.
    stops_on_norm : bool, default=False
        Whether the method compares its tolerance with the gradient's norm, which is larger than its largest element. If so,
        training checks that element after each iteration.
    precision : str or None, default=None
        The option for the precision of the gradient, if the method takes differences of gradients.
    summed : bool, default=False
        Whether the method minimises the sum over the rows instead of the mean. Newton-CG takes a curvature along a
        direction below 6.7e-16, an absolute number, for 0. With a mean, this ends Newton-CG at gradients of 1e-8.
    """

    name: str
    tol: str
    options: tuple[str, ...]
    hessian: str | None = None
    stops_on_norm: bool = False
    precision: str | None = None
    summed: bool = False


# The allowed values of the options of SciPy's methods. An entry is a test of the value and a text that says what is allowed.
# If a method has further rules, its own error reports them.
LARGEST = sys.float_info.max


def _is_number(value: Any, least=-LARGEST, most=LARGEST) -> bool:
    if isinstance(value, np.number):
        value = value.item()  # NumPy would round the limits to the type of the value
    return isinstance(value, (int, float)) and bool(least <= value <= most)


def _integer(least):
    return lambda value: isinstance(value, Integral) and value >= least, f"an integer of at least {least}"


def _numbers(value):
    try:
        return bool(np.isfinite(np.asarray(value, dtype=np.float64)).all())
    except (TypeError, ValueError, OverflowError):
        return False


_ARRAY = _numbers, "finite numbers"
OPTION_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("maxcor", "maxfun", "maxiter", "maxls"), _integer(1)),
    "maxCGit": _integer(-1),
    **dict.fromkeys(
        ("xrtol", "initial_trust_radius", "max_trust_radius"),
        (lambda value: _is_number(value, 0.0), "a finite number of at least 0"),
    ),
    # For TNC, -1 stands for its own default.
    **dict.fromkeys(
        ("ftol", "gtol", "xtol", "eta", "stepmx", "accuracy", "minfev", "rescale"), (_is_number, "a finite number")
    ),
    **dict.fromkeys(("c1", "c2"), (lambda value: _is_number(value, 0.0, 1.0), "a number in [0, 1]")),
    "norm": (
        lambda value: _is_number(value, -math.inf, math.inf) and value != 0 and not LARGEST < abs(value) < math.inf,
        "a number other than 0, or inf",
    ),
    "inexact": (lambda value: isinstance(value, (bool, np.bool_)), "True or False"),
    **dict.fromkeys(("hess_inv0", "scale", "offset"), _ARRAY),
}

_TRUST_REGION = ("initial_trust_radius", "max_trust_radius", "eta", "gtol", "maxiter")

_TRUNCATED_NEWTON = ("scale", "offset", "maxCGit", "eta", "stepmx", "accuracy", "minfev", "ftol", "xtol", "gtol")

SCIPY_METHODS = {
    "lbfgs": ScipyMethod("L-BFGS-B", "gtol", ("maxcor", "ftol", "gtol", "maxfun", "maxiter", "maxls")),
    "bfgs": ScipyMethod("BFGS", "gtol", ("gtol", "norm", "maxiter", "xrtol", "c1", "c2", "hess_inv0")),
    "cg": ScipyMethod("CG", "gtol", ("gtol", "norm", "maxiter", "c1", "c2")),
    "newton-cg": ScipyMethod("Newton-CG", "xtol", ("xtol", "maxiter", "c1", "c2"), hessian="exact", summed=True),
    "trust-ncg": ScipyMethod("trust-ncg", "gtol", _TRUST_REGION, hessian="exact", stops_on_norm=True),
    "trust-krylov": ScipyMethod(
        "trust-krylov", "gtol", (*_TRUST_REGION, "inexact"), hessian="exact", stops_on_norm=True
    ),
    "tnc": ScipyMethod(
        "TNC",
        "gtol",
        (*_TRUNCATED_NEWTON, "rescale", "maxfun"),
        precision="accuracy",
    ),
}
