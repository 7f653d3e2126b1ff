"""Activation functions of the hidden layers.

A hidden layer applies one function f to each of its weighted sums z. Training needs f and its derivative, the
*slope* f'; products with the Hessian need the second derivative too, the *curvature* f''. Each function here has both in
terms of the activation a = f(z) itself (for the logistic function, f' = a (1 - a)), so that a sweep need not keep z: f
overwrites it.

An activation is one record, and ``ACTIVATIONS`` is the one list of them: parameter validation, tests and tables
iterate it, so a further activation is a further record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Activation:
    """A scalar function, applied element by element, and what training needs to know of it.

    Parameters
    ----------
    function : callable (z, out) -> out
        Writes f(z) to `out`, which may be `z` itself.
    slope : callable (a, out) -> out
        Writes f'(z) to `out`, given a = f(z). `out` is never `a`.
    curvature : callable (a, out) -> out, or None
        Writes f''(z) to `out`, given a = f(z). `out` is never `a`. None if f'' is 0 wherever it exists.
    initial_scale : float
        The initial weights and biases of a layer are drawn uniformly from +-sqrt(initial_scale / (fan_in + fan_out)).
        Glorot and Bengio's 6 keeps the variance of activations and gradients about the same from layer to layer; the
        logistic function, whose slope is at most 1/4, is given 2, as scikit-learn gives it.
    """

    function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray]
    curvature: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    initial_scale: float = 6.0

    def __post_init__(self):
        z = np.linspace(-2.0, 2.0, 5)
        for name in ("function", "slope", "curvature"):
            out = np.full_like(z, np.nan)
            callable_ = getattr(self, name)
            if callable_ is not None and (callable_(z, out) is not out or np.isnan(out).all()):
                raise ValueError(f"{name} of an Activation must write its values to `out` and return `out`.")


def _identity(z, out):
    if out is not z:
        np.copyto(out, z)
    return out


def _identity_slope(a, out):
    out.fill(1.0)
    return out


def _logistic(z, out):
    # The same function as scipy.special.expit; tanh has vector instructions and takes a seventh of its time in float32.
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    return np.add(out, 0.5, out=out)


def _logistic_slope(a, out):
    np.subtract(1.0, a, out=out)
    return np.multiply(out, a, out=out)


def _logistic_curvature(a, out):
    # f'' = a (1 - a) (1 - 2 a)
    np.multiply(a, -2.0, out=out)
    np.add(out, 1.0, out=out)
    np.multiply(out, a, out=out)
    return np.multiply(out, 1.0 - a, out=out)


def _tanh(z, out):
    return np.tanh(z, out=out)


def _tanh_slope(a, out):
    np.multiply(a, a, out=out)
    return np.subtract(1.0, out, out=out)


def _tanh_curvature(a, out):
    # f'' = -2 a (1 - a^2)
    np.multiply(a, a, out=out)
    np.subtract(out, 1.0, out=out)
    np.multiply(out, a, out=out)
    return np.multiply(out, 2.0, out=out)


def _relu(z, out):
    return np.maximum(z, 0.0, out=out)


def _relu_slope(a, out):
    # At the kink, z = 0, the slope is taken as 0. Multiplying by the comparison is some 16 times as fast as assigning
    # through a boolean mask.
    return np.greater(a, 0.0, out=out)


ACTIVATIONS = {
    "identity": Activation(_identity, _identity_slope),
    "logistic": Activation(_logistic, _logistic_slope, _logistic_curvature, initial_scale=2.0),
    "tanh": Activation(_tanh, _tanh_slope, _tanh_curvature),
    "relu": Activation(_relu, _relu_slope),
}


def activation_record(activation: str | Activation) -> Activation:
    """The record of that name, or the record itself."""
    return ACTIVATIONS[activation] if isinstance(activation, str) else activation
