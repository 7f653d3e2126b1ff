"""Every activation is the function of its name. Its slope and its curvature are the first and the second derivative."""

import dataclasses
from math import pi, sqrt

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad

from skbp._network.activations import ACTIVATIONS, Activation, activation_record

# Where the slope or the curvature jumps.
JUMPS = {"relu": [0.0], "leaky_relu": [0.0], "relu6": [0.0, 6.0], "elu": [0.0], "selu": [0.0], "softsign": [0.0]}
# The initial scales of Glorot and Bengio, or of scikit-learn.
OF_THE_LITERATURE = {"logistic": 2.0, "tanh": 6.0, "relu": 6.0, "softsign": 6.0}
DTYPES = [np.float32, np.float64]

every_activation = pytest.mark.parametrize("name", list(ACTIVATIONS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def points(dtype):
    """Numbers of both signs without 0 and 6. The kinks have tests of their own."""
    return np.linspace(-7.0, 7.0, 60).astype(dtype).reshape(12, 5)


def value_at(name, z):
    return ACTIVATIONS[name].function(z, out=np.full_like(z, np.nan))


def given(name, z):
    """The argument of slope and curvature."""
    return z.copy() if ACTIVATIONS[name].needs_z else value_at(name, z)


def slope_at(name, z):
    return ACTIVATIONS[name].slope(given(name, z), out=np.full_like(z, np.nan))


def curvature_at(name, z):
    return ACTIVATIONS[name].curvature(given(name, z), out=np.full_like(z, np.nan))


@every_activation
@both_dtypes
def test_the_function_is_its_formula_and_does_not_change_z(formulas, name, dtype):
    z = points(dtype)
    out = np.full_like(z, np.nan)
    assert ACTIVATIONS[name].function(z, out=out) is out
    assert_array_equal(z, points(dtype))
    eps = np.finfo(dtype).eps
    assert_allclose(out, formulas[name][0](z.astype(np.float64)), rtol=4 * eps, atol=4 * eps)


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
    step = np.finfo(dtype).eps ** (1 / 3)  # balances the truncation error of central differences with rounding
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
        # Then the slope is constant between its jumps.
        slope, pieces = slope_at(name, z), np.digitize(z, JUMPS.get(name, []))
        for piece in np.unique(pieces):
            assert len(np.unique(slope[pieces == piece])) == 1
        return
    curvature = curvature_at(name, z)
    assert curvature.dtype == dtype
    above, below = z + step, z - step
    difference = (slope_at(name, above) - slope_at(name, below)) / (above - below)
    assert np.linalg.norm(curvature - difference) < {np.float32: 1e-4, np.float64: 1e-9}[dtype] * np.linalg.norm(
        difference
    )


@every_activation
@both_dtypes
@pytest.mark.parametrize("what", ["slope", "curvature"])
def test_slope_and_curvature_write_to_out_and_do_not_change_their_argument(what, name, dtype):
    derivative = getattr(ACTIVATIONS[name], what)
    if derivative is None:
        return
    x = given(name, points(dtype))
    before, out = x.copy(), np.full_like(x, np.nan)
    assert derivative(x, out=out) is out
    assert np.isfinite(out).all()
    assert_array_equal(x, before)


@every_activation
@both_dtypes
def test_all_stay_finite_at_the_largest_numbers(formulas, name, dtype):
    largest = np.finfo(dtype).max
    z = np.array([-largest, -1e30, -1e4, 1e4, 1e30, largest], dtype)
    far = np.where(z > 0.0, 1e6, -1e6)
    function = formulas[name][0]
    with np.errstate(over="ignore"):  # the formulas may overflow
        expected = function(z)
        # The slopes in the limit on either side, from two points far from 0.
        slopes = (function(2.0 * far) - function(far)) / far
    # Selu has a slope above 1. So its value there is beyond the largest number.
    with np.errstate(over="raise" if np.isfinite(expected).all() else "ignore"):
        assert_allclose(value_at(name, z), expected, rtol=1e-6)
        assert_allclose(slope_at(name, z), slopes, rtol=1e-6, atol=2e-8)
        if ACTIVATIONS[name].curvature is not None:
            # The curvature of softsign, 2 / (1 + |z|)^3, goes to 0 the slowest.
            assert (abs(curvature_at(name, z)) <= 2.1 * (1.0 + abs(z.astype(np.float64))) ** -3.0).all()


@every_activation
def test_in_float32_derivatives_are_right_to_rounding_also_in_the_tails(name):
    """The reference is float64, which differences have checked. float32 has no room for large terms that cancel."""
    z = np.linspace(-100.0, 100.0, 4001).astype(np.float32)
    for at in [slope_at] if ACTIVATIONS[name].curvature is None else [slope_at, curvature_at]:
        # A factor z, as in silu, magnifies the rounding of the other factor until that one is 0 or 1.
        assert abs(at(name, z) - at(name, z.astype(np.float64))).max() <= 32.0 * np.finfo(np.float32).eps


@both_dtypes
def test_the_slope_of_relu_at_its_kink_is_0(dtype):
    assert_array_equal(slope_at("relu", np.array([0.0, -0.0, -1.0, 1.0], dtype)), [0.0, 0.0, 0.0, 1.0])


@every_activation
@both_dtypes
def test_nan_is_not_hidden(name, dtype):
    # An objective that is not finite shows that training diverges. So an activation must not turn nan into a number.
    assert np.isnan(ACTIVATIONS[name].function(np.array([np.nan], dtype), out=np.empty(1, dtype)))


@both_dtypes
def test_the_slope_of_leaky_relu_at_its_kink_is_the_slope_below_it(dtype):
    assert_allclose(slope_at("leaky_relu", np.array([0.0, -0.0, -1.0, 1.0], dtype)), [0.01, 0.01, 0.01, 1.0], rtol=1e-6)


@both_dtypes
def test_the_slope_of_relu6_is_0_at_both_kinks_and_beyond(dtype):
    z = np.array([-1.0, 0.0, 1e-3, 5.999, 6.0, 7.0], dtype)
    assert_array_equal(slope_at("relu6", z), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0])


def under_the_normal_density(function):
    """The expectation of a function of a standard normal number."""

    def weighted(z):
        return function(z) * np.exp(-0.5 * z * z) / sqrt(2.0 * pi)

    return quad(weighted, -12.0, 12.0, points=[0.0, 6.0])[0]


@every_activation
def test_initial_scales_keep_the_size_of_z_or_are_those_of_the_literature(name):
    def square(z):
        return value_at(name, np.array([z]))[0] ** 2

    expected = OF_THE_LITERATURE.get(name, 6.0 / under_the_normal_density(square))
    assert ACTIVATIONS[name].initial_scale == pytest.approx(expected, rel=0.02)


def test_selu_keeps_mean_0_and_variance_1():
    def selu(z):
        return value_at("selu", np.array([z]))[0]

    assert under_the_normal_density(selu) == pytest.approx(0.0, abs=1e-12)
    assert under_the_normal_density(lambda z: selu(z) ** 2) == pytest.approx(1.0, abs=1e-12)


@every_activation
def test_z_is_kept_only_if_it_does_not_follow_from_the_activation(name):
    # If the function falls and rises, two z with different slopes have the same activation.
    falls = (np.diff(value_at(name, np.linspace(-7.0, 7.0, 2001))) < -1e-9).any()
    assert ACTIVATIONS[name].needs_z == falls


# Records


@every_activation
def test_the_key_of_a_record_is_its_name(name):
    assert ACTIVATIONS[name].name == name


def test_a_record_of_the_user_has_a_name_by_default():
    assert Activation(lambda z, out: np.sin(z, out=out), lambda a, out: np.sqrt(1.0 - a * a, out=out)).name == "f"


@every_activation
@pytest.mark.parametrize("what", ["function", "slope", "curvature"])
def test_a_function_that_does_not_write_to_out_is_refused(what, name):
    if getattr(ACTIVATIONS[name], what) is None:
        return
    for wrong in (lambda x, out: np.tanh(x), lambda x, out: out):
        with pytest.raises(
            ValueError, match=f"^{what} of an Activation must write its values to `out` and return `out`"
        ):
            dataclasses.replace(ACTIVATIONS[name], **{what: wrong})


def test_slopes_are_tried_on_values_that_the_function_takes():
    # z / sqrt(1 + z^2) has the slope (1 - a^2)^(3/2). For |a| > 1 that is not a number.
    def slope(a, out):
        return np.power(1.0 - a * a, 1.5, out=out)

    record = Activation(lambda z, out: np.divide(z, np.sqrt(1.0 + z * z), out=out), slope)
    z = np.array([-3.0, 0.0, 0.5])
    a = record.function(z, np.empty_like(z))
    assert_allclose(record.slope(a, np.empty_like(z)), (1.0 + z * z) ** -1.5, rtol=1e-14)


def test_activation_record_takes_a_name_or_a_record():
    record = dataclasses.replace(ACTIVATIONS["tanh"], initial_scale=1.0)
    assert activation_record("tanh") is ACTIVATIONS["tanh"]
    assert activation_record(record) is record
