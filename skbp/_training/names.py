"""The first checks of parameters: unknown names, with what the user may have meant, and numbers that are not floats."""

from __future__ import annotations

from collections.abc import Hashable
from difflib import get_close_matches
from numbers import Real
from reprlib import Repr
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError, StrOptions

# For each parameter, names that other libraries use or that are not values here, and what to use instead.
MEANT = {
    "activation": {
        "swish": "'silu'",
        "sigmoid": "'logistic'",
        "linear": "'identity'",
        "none": "'identity'",
        "lrelu": "'leaky_relu'",
        "hardtanh": "'tanh'",
    },
    "solver": {
        "adamw": "'adam' with weight_decay",
        "nadam": "'adam'",
        "rmsprop": "'adam'",
        "adagrad": "'adam'",
        "momentum": "'sgd'",
        "nesterov": "'sgd'",
        "gd": "'sgd'",
        "newton": "'newton-cg'",
        "newton_cg": "'newton-cg'",
        "l-bfgs": "'lbfgs'",
        "l-bfgs-b": "'lbfgs'",
    },
    "scoring": {
        "auc": "'roc_auc'",
        "log_loss": "'loss'",
        "logloss": "'loss'",
        "cross_entropy": "'loss'",
        "crossentropy": "'loss'",
        "val_loss": "'loss'",
        "mcc": "'matthews_corrcoef'",
        "f1_score": "'f1'",
        "acc": "'accuracy'",
    },
    "out_activation": {"sigmoid": "'logistic'"},
    "hessian": {"ggn": "'gauss-newton'"},
    "dtype": {"float": "'float64'", "double": "'float64'", "single": "'float32'"},
}
_SHORT = Repr()


class Names(StrOptions):
    """The names in some registries. They are read at each check, so names added later count too.

    Parameters
    ----------
    *registries : dict or set of str
    """

    def __init__(self, *registries):
        self._registries = registries
        self.type, self.deprecated, self.hidden = str, set(), False

    @property
    def options(self):
        return set().union(*self._registries)

    def __str__(self):
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


def check_names_and_numbers(estimator, constraints):
    """Refuse unknown names, with a sorted list of the known ones, and numbers beyond the largest float.

    Parameters
    ----------
    estimator : estimator
    constraints : dict
        Its `_parameter_constraints`.

    Raises
    ------
    InvalidParameterError
        A ValueError that names the parameter.
    """
    for name, allowed in constraints.items():
        value = getattr(estimator, name)
        of = f"The {name!r} parameter of {type(estimator).__name__}"
        options = set().union(*(one.options for one in allowed if isinstance(one, StrOptions)))
        if options and isinstance(value, str) and value not in options:
            hint = _meant(name, value, options)
            others = "".join(f" or {one}" for one in _other_values(allowed))
            raise InvalidParameterError(f"{of} must be one of {sorted(options)}{others}. Got {value!r} instead.{hint}")
        if name == "learning_rate" and isinstance(value, Real):
            raise InvalidParameterError(
                f"{of} must be one of {sorted(options)} or a callable. Got {value!r} instead. Did you mean "
                f"learning_rate_init={value!r}?"
            )
        if name == "dtype" and not isinstance(value, str | None):
            raise InvalidParameterError(
                f"{of} must be one of {sorted(options)} or None. Got {value!r} instead.{_meant_type(value)}"
            )
        if isinstance(value, Real):
            check_float(value, of)


def check_float(value, what):
    """Refuse a number that does not become a float: it is beyond the largest one, or NumPy does not know its type."""
    if not isinstance(value, (int, float, np.number, np.bool_)):
        raise InvalidParameterError(f"{what} must be an int or a float. Got {value!r} instead.")
    try:
        float(value)
    except OverflowError:
        message = f"{what} is an integer beyond 1.8e308, the largest number: {_SHORT.repr(value)}."
        raise InvalidParameterError(message) from None


def _other_values(allowed):
    """What a parameter may be beside a name, in words."""
    kinds: dict[Any, str] = {"array-like": "an array-like", "boolean": "a bool", None: "None", callable: "a callable"}
    words = []
    for one in allowed:
        if isinstance(one, StrOptions):
            continue
        if isinstance(one, type):
            words.append("a skbp.Activation" if one.__name__ == "Activation" else f"a {one.__name__}")
        else:
            words.append(kinds.get(one, str(one)) if isinstance(one, Hashable) else str(one))
    return words


def _meant(name, value, options):
    meant = MEANT.get(name, {}).get(value.lower())
    if meant is None:
        # Between libraries, names differ mostly in these characters.
        plain = {option.replace("-", "_").lower(): option for option in options}
        near = get_close_matches(value.replace("-", "_").replace(" ", "_").lower(), plain, n=1)
        meant = repr(plain[near[0]]) if near else None
    return "" if meant is None else f" Did you mean {meant}?"


def _meant_type(value):
    try:
        name = np.dtype(value).name
    except TypeError:
        return ""
    return f" Did you mean {name!r}?" if name in {"float32", "float64"} else ""
