"""The activations as ONNX nodes.

`EXPRESSIONS` has an entry for each name in the registry of activations; a test compares the two. ONNX has operators for some
activations, but onnxruntime computes most of them in float32 only. The entries use operators that it has for both types.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import erfcx

from skbp._network.activations import ACTIVATIONS, LEAK, SELU_ALPHA, SELU_SCALE, Activation

# erfc(y) = t exp(-y^2) p(2 t - 1) for y >= 0 and t = LEVEL / (LEVEL + y), with a polynomial p. The error is below 1e-14.
LEVEL, DEGREE = 3.5, 20


def activated(graph, record: Activation, z) -> str:
    """Add the nodes of an activation.

    Parameters
    ----------
    graph : Graph
    record : Activation
    z : str
        Name of its argument.

    Raises
    ------
    NotImplementedError
        If the activation is the user's own, or has no entry here.
    """
    if ACTIVATIONS.get(record.name) is not record:
        raise NotImplementedError(
            f"The activation {record.name!r} is an Activation of your own. Only activations that skbp has by name can be "
            f"exported to ONNX: {', '.join(ACTIVATIONS)}."
        )
    if record.name not in EXPRESSIONS:
        raise NotImplementedError(
            f"The activation {record.name!r} has no entry in EXPRESSIONS in skbp/onnx/activations.py yet: add it there."
        )
    return EXPRESSIONS[record.name](graph, z)


def one_plus_exp_of_minus_abs(graph, z) -> str:
    """1 + exp(-|z|), which cannot overflow."""
    return graph("Add", graph("Exp", graph("Neg", graph("Abs", z))), 1.0)


def _identity(graph, z):  # noqa: ARG001, one signature for all
    return z


def _logistic(graph, z):
    half = graph("Mul", graph("Tanh", graph("Mul", z, 0.5)), 0.5)
    return graph("Add", half, 0.5)


def _tanh(graph, z):
    return graph("Tanh", z)


def _relu(graph, z):
    return graph("Max", z, 0.0)


def _leaky_relu(graph, z):
    return graph("Max", z, graph("Mul", z, LEAK))


def _relu6(graph, z):
    return graph("Min", graph("Max", z, 0.0), 6.0)


def _elu(graph, z):
    return graph("Add", graph("Max", z, 0.0), _exp_minus_one_below_zero(graph, z))


def _selu(graph, z):
    positive = graph("Mul", graph("Max", z, 0.0), SELU_SCALE)
    return graph("Add", positive, graph("Mul", _exp_minus_one_below_zero(graph, z), SELU_SCALE * SELU_ALPHA))


def _exp_minus_one_below_zero(graph, z):
    return graph("Sub", graph("Exp", graph("Min", z, 0.0)), 1.0)


def _gelu(graph, z):
    y = graph("Mul", z, math.sqrt(0.5))
    if graph.dtype == np.float32:
        return graph("Mul", z, graph("Mul", graph("Add", graph("Erf", y), 1.0), 0.5))
    tail = graph("Mul", _erfc(graph, graph("Abs", y)), 0.5)
    return graph("Mul", z, graph("Where", graph("Greater", z, 0.0), graph("Sub", 1.0, tail), tail))


def _erfc(graph, y):
    """erfc(y) for y >= 0. onnxruntime has Erf in float32 only."""
    t = graph("Div", LEVEL, graph("Add", y, LEVEL))
    u = graph("Sub", graph("Add", t, t), 1.0)
    *lower, highest = _coefficients()
    p = graph("Add", graph("Mul", u, highest), lower[-1])
    for coefficient in lower[-2::-1]:
        p = graph("Add", graph("Mul", p, u), coefficient)
    return graph("Mul", graph("Mul", t, p), graph("Exp", graph("Neg", graph("Mul", y, y))))


@cache
def _coefficients():
    """Those of p, from the constant on."""

    def p(u):
        t = (u + 1.0) / 2.0
        return erfcx(LEVEL * (1.0 - t) / t) / t

    return chebyshev.cheb2poly(chebyshev.chebinterpolate(p, DEGREE)).tolist()


def _silu(graph, z):
    return graph("Mul", z, _logistic(graph, z))


def _mish(graph, z):
    # For e = exp(z), tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2).
    e = graph("Exp", graph("Min", z, 20.0))
    product = graph("Mul", e, graph("Add", e, 2.0))
    return graph("Mul", z, graph("Div", product, graph("Add", product, 2.0)))


def _softplus(graph, z):
    return graph("Add", graph("Max", z, 0.0), graph("Log", one_plus_exp_of_minus_abs(graph, z)))


def _softsign(graph, z):
    return graph("Div", z, graph("Add", graph("Abs", z), 1.0))


EXPRESSIONS = {
    "identity": _identity,
    "logistic": _logistic,
    "tanh": _tanh,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "relu6": _relu6,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "softplus": _softplus,
    "softsign": _softsign,
}
