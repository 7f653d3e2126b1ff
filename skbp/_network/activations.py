"""Activation functions of the hidden layers.

A hidden layer applies one function f to each of its weighted sums z. Training needs f and its derivative, the *slope* f'.
Products with the Hessian also need the second derivative, the *curvature* f''. For most functions both follow from the
activation a = f(z) itself: the logistic function has f' = a (1 - a). Then f overwrites z, which a sweep need not keep. For
functions that fall and rise again, like gelu, z does not follow from a. A sweep keeps z for them.

An activation is one record, and ``ACTIVATIONS`` holds all records. Parameter validation, tests and tables read it, so a new
activation needs one new record and nothing else. Only the export to ONNX needs its formula once more, as ONNX operators.

References
----------
Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units (ELUs)", ICLR
2016, https://doi.org/10.48550/arXiv.1511.07289

Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", NeurIPS 2017,
https://doi.org/10.48550/arXiv.1706.02515

Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016, https://doi.org/10.48550/arXiv.1606.08415

Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network function approximation in reinforcement
learning", Neural Networks 107 (2018), 3-11, https://doi.org/10.1016/j.neunet.2017.12.012

Misra, "Mish: A self regularized non-monotonic activation function", BMVC 2020,
https://doi.org/10.48550/arXiv.1908.08681

He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, https://doi.org/10.1109/ICCV.2015.123
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import erf

# |f(z)| <= 1.06 |z| + 1.76 for every activation of the list. selu sets both numbers: it has the steepest slope for large z
# and the lowest limit.
LINEAR_GROWTH = 1.06, 1.76


@dataclass(frozen=True)
class Activation:
    """An activation function f of hidden layers, applied element by element, with its derivatives.

    Parameters
    ----------
    function : callable (z, out) -> out
        Writes f(z) to `out` and returns `out`, which may be `z` itself.
    slope : callable (a, out) -> out
        Writes f'(z) to `out`, given a = f(z), and returns `out`. `out` is never `a`.
    curvature : callable (a, out) -> out, or None
        Writes f''(z) to `out`, given a = f(z), and returns `out`. `out` is never `a`. None if f'' is 0 wherever it
        exists.
    initial_scale : float
        The initial weights and biases of a layer are drawn uniformly from +-sqrt(initial_scale / (fan_in + fan_out)).
        Glorot and Bengio's 6 suits functions with slope 1 around 0. The logistic function, with a slope of at most 1/4,
        has 2, and relu has 6, both as in scikit-learn. The relatives of relu have 6 / E[f(z)^2] for a standard normal z:
        this keeps the size of z from layer to layer. It is 12 (He's rule) if f is 0 for half of all z.
    needs_z : bool, default=False
        Whether `slope` and `curvature` take z instead of a. That costs another array of the size of a.
    name : str, default="f"
        Name in formulas, drawings and messages.

    Attributes
    ----------
    grows_linearly : bool
        Whether abs(f(z)) <= 1.06 abs(z) + 1.76, tested for values of z of all sizes. If so, training has a bound on the
        output. If not, training needs a forward pass over all rows after every epoch to know that the output is finite.
    """

    function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray]
    curvature: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    initial_scale: float = 6.0
    needs_z: bool = False
    name: str = "f"
    grows_linearly: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        z = given = np.linspace(-2.0, 2.0, 5)
        for name in ("function", "slope", "curvature"):
            out = np.full_like(z, np.nan)
            callable_ = getattr(self, name)
            if callable_ is None and name == "curvature":
                continue
            if not callable(callable_):
                raise TypeError(f"{name} of an Activation must be a function of two arrays; got {callable_!r}.")
            with np.errstate(all="ignore"):
                written = callable_(given, out)
            if written is not out or np.isnan(out).all():
                raise ValueError(f"{name} of an Activation must write its values to `out` and return `out`.")
            if name == "function" and not self.needs_z:
                given = out
        object.__setattr__(self, "grows_linearly", self._has_bound())

    def _has_bound(self):
        sizes = np.geomspace(1e-30, 1e30, 601)
        z = np.concatenate([-sizes, [0.0], sizes])
        factor, constant = LINEAR_GROWTH
        with np.errstate(all="ignore"):
            f = self.function(z, np.zeros_like(z))
            return bool((np.abs(f) <= factor * np.abs(z) + constant).all())


def _identity(z, out):
    if out is not z:
        np.copyto(out, z)
    return out


def _identity_slope(a, out):
    out.fill(1.0)
    return out


def _logistic(z, out):
    # The same function as scipy.special.expit. tanh has vector instructions: it takes a seventh of the time of expit in
    # float32.
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
    # For an array and a number, clip has vector instructions. It takes a third to a half of the time of np.maximum.
    return z.clip(0.0, math.inf, out=out)


def _relu_slope(a, out):
    # At the kink, z = 0, the slope is taken as 0. The backward pass multiplies by this comparison, which is about 16 times
    # as fast as assigning zeros through a boolean mask.
    return np.greater(a, 0.0, out=out)


# The slope of leaky_relu for z < 0.
LEAK = 0.01


def _leaky_relu(z, out):
    return np.maximum(z, LEAK * z, out=out)


def _leaky_relu_slope(a, out):
    np.greater(a, 0.0, out=out)
    np.multiply(out, 1.0 - LEAK, out=out)
    return np.add(out, LEAK, out=out)


def _elu(z, out):
    return _exponential_below_zero(z, 1.0, 1.0, out)


def _elu_slope(a, out):
    # f' = 1 for z > 0, else exp(z) = a + 1
    np.minimum(a, 0.0, out=out)
    return np.add(out, 1.0, out=out)


def _elu_curvature(a, out):
    return _exponential_curvature(a, 1.0, out)


# With these two numbers, activations of normal z with mean 0 and variance 1 have mean 0 and variance 1 too.
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


def _selu(z, out):
    return _exponential_below_zero(z, SELU_SCALE, SELU_ALPHA, out)


def _selu_slope(a, out):
    # f' = scale for z > 0, else scale alpha exp(z) = a + scale alpha
    np.add(a, SELU_SCALE * SELU_ALPHA, out=out)
    np.copyto(out, SELU_SCALE, where=a > 0.0)
    return out


def _selu_curvature(a, out):
    return _exponential_curvature(a, SELU_SCALE * SELU_ALPHA, out)


def _exponential_below_zero(z, scale, alpha, out):
    """scale * z for z > 0, else scale * alpha * (exp(z) - 1)."""
    negative = np.minimum(z, 0.0)
    np.expm1(negative, out=negative)
    negative *= scale * alpha
    np.maximum(z, 0.0, out=out)
    np.multiply(out, scale, out=out)
    return np.add(out, negative, out=out)


def _exponential_curvature(a, limit, out):
    """f'' = f' = a + limit for z < 0, else 0."""
    np.minimum(a, 0.0, out=out)  # selu may be inf for large z, and inf times 0 is nan
    np.add(out, limit, out=out)
    return np.multiply(out, a < 0.0, out=out)


def _gelu(z, out):
    return np.multiply(z, _normal_cdf(z), out=out)


def _gelu_slope(z, out):
    # f' = Phi(z) + z phi(z)
    cdf = _normal_cdf(z)
    near = _without_tails(z)
    _normal_density(near, out)
    np.multiply(out, near, out=out)
    return np.add(out, cdf, out=out)


def _gelu_curvature(z, out):
    # f'' = phi(z) (2 - z^2)
    near = _without_tails(z)
    _normal_density(near, out)
    return np.multiply(out, 2.0 - near * near, out=out)


def _normal_cdf(z):
    cdf = erf(z * math.sqrt(0.5))
    cdf += 1.0
    cdf *= 0.5
    return cdf


def _normal_density(z, out):
    np.multiply(z, z, out=out)
    np.multiply(out, -0.5, out=out)
    np.exp(out, out=out)
    return np.multiply(out, 1.0 / math.sqrt(2.0 * math.pi), out=out)


def _without_tails(z):
    """z, cut off at +-40 so that squares stay finite. Beyond +-40 the normal density is 0 in any type."""
    return np.clip(z, -40.0, 40.0)


def _silu(z, out):
    return np.multiply(z, _logistic(z, np.zeros_like(z)), out=out)


def _silu_slope(z, out):
    # f' = s (1 + z (1 - s)), s the logistic function
    s = _logistic(z, np.zeros_like(z))
    np.subtract(1.0, s, out=out)
    np.multiply(out, z, out=out)
    np.add(out, 1.0, out=out)
    return np.multiply(out, s, out=out)


def _silu_curvature(z, out):
    # f'' = s (1 - s) (2 + z (1 - 2 s))
    s = _logistic(z, np.zeros_like(z))
    np.multiply(s, -2.0, out=out)
    np.add(out, 1.0, out=out)
    np.multiply(out, z, out=out)
    np.add(out, 2.0, out=out)
    return np.multiply(out, _logistic_slope(s, np.zeros_like(s)), out=out)


def _mish(z, out):
    return np.multiply(z, _tanh_softplus(z), out=out)


def _mish_slope(z, out):
    # f' = w + z s (1 - w^2), w = tanh(softplus(z)), s the logistic function
    s, w = _logistic(z, np.zeros_like(z)), _tanh_softplus(z)
    _tanh_slope(w, out)
    np.multiply(out, s, out=out)
    np.multiply(out, z, out=out)
    return np.add(out, w, out=out)


def _mish_curvature(z, out):
    # f'' = s (1 - w^2) (2 + z (1 - s) - 2 z s w)
    s, w = _logistic(z, np.zeros_like(z)), _tanh_softplus(z)
    # Beyond +-40 the other factors are 0 in any type. The bracket must stay finite there.
    bracket = 2.0 + _without_tails(z) * (1.0 - s - 2.0 * s * w)
    _tanh_slope(w, out)
    np.multiply(out, s, out=out)
    return np.multiply(out, bracket, out=out)


def _tanh_softplus(z):
    # For e = exp(z), tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2). From z = 20 on this is 1 in any type.
    e = np.exp(np.minimum(z, 20.0))
    e *= e + 2.0
    e /= e + 2.0
    return e


def softplus(z, out):
    """Write log(1 + exp(z)) to `out` without overflow. `out` may be `z`."""
    positive_part = np.maximum(z, 0.0)
    np.abs(z, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)
    out += positive_part
    return out


def _softplus_slope(a, out):
    # f' is the logistic function, 1 - exp(-a)
    np.negative(a, out=out)
    np.expm1(out, out=out)
    return np.negative(out, out=out)


def _softplus_curvature(a, out):
    # f'' = f' (1 - f')
    _softplus_slope(a, out)
    return np.multiply(out, np.exp(-a), out=out)


def _softsign(z, out):
    return np.divide(z, 1.0 + np.abs(z), out=out)


def _softsign_slope(a, out):
    # f' = 1 / (1 + |z|)^2 = (1 - |a|)^2
    np.abs(a, out=out)
    np.subtract(1.0, out, out=out)
    return np.multiply(out, out, out=out)


def _softsign_curvature(a, out):
    # f'' = -2 sign(z) / (1 + |z|)^3
    _softsign_slope(a, out)
    np.multiply(out, 1.0 - np.abs(a), out=out)
    return np.multiply(out, -2.0 * np.sign(a), out=out)


def _relu6(z, out):
    return z.clip(0.0, 6.0, out=out)


def _relu6_slope(a, out):
    np.greater(a, 0.0, out=out)
    return np.multiply(out, a < 6.0, out=out)


_RECORDS = [
    Activation(_identity, _identity_slope, name="identity"),
    Activation(_logistic, _logistic_slope, _logistic_curvature, initial_scale=2.0, name="logistic"),
    Activation(_tanh, _tanh_slope, _tanh_curvature, name="tanh"),
    Activation(_relu, _relu_slope, name="relu"),
    Activation(_leaky_relu, _leaky_relu_slope, initial_scale=12.0, name="leaky_relu"),
    Activation(_relu6, _relu6_slope, initial_scale=12.0, name="relu6"),
    Activation(_elu, _elu_slope, _elu_curvature, initial_scale=9.3, name="elu"),
    Activation(_selu, _selu_slope, _selu_curvature, name="selu"),
    Activation(_gelu, _gelu_slope, _gelu_curvature, initial_scale=14.1, needs_z=True, name="gelu"),
    Activation(_silu, _silu_slope, _silu_curvature, initial_scale=16.9, needs_z=True, name="silu"),
    Activation(_mish, _mish_slope, _mish_curvature, initial_scale=13.3, needs_z=True, name="mish"),
    Activation(softplus, _softplus_slope, _softplus_curvature, initial_scale=6.5, name="softplus"),
    Activation(_softsign, _softsign_slope, _softsign_curvature, name="softsign"),
]

ACTIVATIONS = {record.name: record for record in _RECORDS}


def activation_record(activation: str | Activation) -> Activation:
    """The record of that name, or the record itself."""
    return ACTIVATIONS[activation] if isinstance(activation, str) else activation
