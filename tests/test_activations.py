"""Every activation is the function it is named for, its slope that function's derivative, its curvature the slope's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from skbp._activations import ACTIVATIONS

# What each name stands for, written differently from the package. A new record has to bring its formula.
FORMULAS = {
    "identity": lambda z: 1.0 * z,
    "logistic": expit,
    "tanh": lambda z: np.expm1(2.0 * z) / (np.expm1(2.0 * z) + 2.0),
    "relu": lambda z: np.where(z > 0.0, z, 0.0),
}
DTYPES = [np.float32, np.float64]

every_activation = pytest.mark.parametrize("name", list(ACTIVATIONS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def points(dtype):
    """Both signs and no 0: the kink of relu has a test of its own."""
    return np.linspace(-6.0, 6.0, 60).astype(dtype).reshape(12, 5)


def slope_at(name, z):
    a = ACTIVATIONS[name].function(z, out=np.empty_like(z))
    return ACTIVATIONS[name].slope(a, out=np.empty_like(z))


@every_activation
@both_dtypes
def test_the_function_is_its_formula_and_leaves_z_alone(name, dtype):
    z = points(dtype)
    out = np.full_like(z, np.nan)
    assert ACTIVATIONS[name].function(z, out=out) is out
    assert_array_equal(z, points(dtype))
    eps = np.finfo(dtype).eps
    assert_allclose(out, FORMULAS[name](z.astype(np.float64)), rtol=4 * eps, atol=4 * eps)


@every_activation
@both_dtypes
def test_the_function_may_overwrite_z(name, dtype):
    z = points(dtype)
    apart = ACTIVATIONS[name].function(z, out=np.empty_like(z))
    assert ACTIVATIONS[name].function(z, out=z) is z
    assert z.dtype == dtype
    assert_array_equal(z, apart)


@every_activation
@both_dtypes
def test_the_slope_is_the_derivative_of_the_function(name, dtype):
    z = points(dtype)
    step = np.finfo(dtype).eps ** (1 / 3)  # balances the truncation of central differences with rounding
    above, below = z + dtype(step), z - dtype(step)
    function = ACTIVATIONS[name].function
    rise = function(above, out=np.empty_like(z)) - function(below, out=np.empty_like(z))
    slope = slope_at(name, z)
    assert slope.dtype == dtype
    difference = np.linalg.norm(slope - rise / (above - below))
    assert difference < {np.float32: 3e-5, np.float64: 1e-9}[dtype] * np.linalg.norm(slope)


@every_activation
@both_dtypes
def test_the_curvature_is_the_derivative_of_the_slope(name, dtype):
    z = points(dtype)
    step = dtype(np.finfo(dtype).eps ** (1 / 3))
    if ACTIVATIONS[name].curvature is None:
        # Then the slope is constant on either side of 0, where a kink may be.
        slope, signs = slope_at(name, points(dtype)), np.sign(points(dtype))
        for side in (-1.0, 1.0):
            assert len(np.unique(slope[signs == side])) == 1
        return
    a = ACTIVATIONS[name].function(z, out=np.empty_like(z))
    curvature = ACTIVATIONS[name].curvature(a, out=np.full_like(z, np.nan))
    assert curvature.dtype == dtype
    above, below = z + step, z - step
    difference = (slope_at(name, above) - slope_at(name, below)) / (above - below)
    assert np.linalg.norm(curvature - difference) < {np.float32: 1e-4, np.float64: 1e-9}[dtype] * np.linalg.norm(
        difference
    )


@every_activation
@both_dtypes
def test_the_curvature_writes_its_out_and_leaves_the_activation_alone(name, dtype):
    a = ACTIVATIONS[name].function(points(dtype), out=np.empty((12, 5), dtype))
    before, out = a.copy(), np.full_like(a, np.nan)
    if ACTIVATIONS[name].curvature is not None:
        assert ACTIVATIONS[name].curvature(a, out=out) is out
        assert np.isfinite(out).all()
    assert_array_equal(a, before)


@every_activation
@both_dtypes
def test_the_slope_writes_its_out_and_leaves_the_activation_alone(name, dtype):
    a = ACTIVATIONS[name].function(points(dtype), out=np.empty((12, 5), dtype))
    before, out = a.copy(), np.full_like(a, np.nan)
    assert ACTIVATIONS[name].slope(a, out=out) is out
    assert np.isfinite(out).all()
    assert_array_equal(a, before)


@every_activation
@both_dtypes
def test_all_stay_finite_at_the_largest_numbers(name, dtype):
    largest = np.finfo(dtype).max
    z = np.array([-largest, -1e30, -1e4, 1e4, 1e30, largest], dtype)
    a = ACTIVATIONS[name].function(z, out=np.empty_like(z))
    with np.errstate(over="ignore"):  # of the formulas above only
        expected = {"tanh": np.sign}.get(name, FORMULAS[name])(z)
    assert_allclose(a, expected, rtol=1e-6)
    slope = slope_at(name, z)
    assert ((slope >= 0.0) & (slope <= 1.0)).all()
    if ACTIVATIONS[name].curvature is not None:
        assert_array_equal(ACTIVATIONS[name].curvature(a, out=np.full_like(a, np.nan)), 0.0)


@both_dtypes
def test_the_slope_of_relu_at_its_kink_is_0(dtype):
    assert_array_equal(slope_at("relu", np.array([0.0, -0.0, -1.0, 1.0], dtype)), [0.0, 0.0, 0.0, 1.0])


@every_activation
@both_dtypes
def test_nan_is_not_hidden(name, dtype):
    # Divergence is recognised by objectives that are not finite; an activation must not turn nan into a number.
    assert np.isnan(ACTIVATIONS[name].function(np.array([np.nan], dtype), out=np.empty(1, dtype)))
