"""Losses equal their closed forms on moderate and on extreme logits; gradients, Hessians and links belong to them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax

from skbp._network.losses import LOSSES, log_sigmoid

DTYPES = [np.float32, np.float64]
every_loss = pytest.mark.parametrize("name", list(LOSSES))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


# What each name stands for. A new loss has to bring its closed forms and a target.
def random_target(name, shape, rng):
    return rng.integers(shape[1], size=shape[0]) if name == "softmax" else rng.random(shape) < 0.5


def closed_form_loss(name, z, target):
    if name == "softmax":
        # logsumexp(z) - z_y with z_y taken inside, where huge logits do not swallow the difference
        return logsumexp(z - z[np.arange(len(z)), target][:, None], axis=1)
    return -np.where(target, log_expit(z), log_expit(-z)).sum(axis=1)


LINKS = {"softmax": lambda z: softmax(z, axis=1), "logistic": expit}
LOG_LINKS = {"softmax": lambda z: log_softmax(z, axis=1), "logistic": log_expit}


def moderate(name, dtype, seed=0):
    rng = np.random.default_rng(seed)
    logits = (4.0 * rng.standard_normal((50, 3))).astype(dtype)
    return logits, random_target(name, logits.shape, rng)


def extreme(dtype):
    """Every triple out of small, large and huge numbers of both signs."""
    huge = 1e300 if dtype == np.float64 else 1e37
    values = np.array([-huge, -1e4, -100.0, -1.0, 0.0, 1e-3, 1.0, 100.0, 1e4, huge], dtype)
    return np.stack(np.meshgrid(values, values, values), axis=-1).reshape(-1, 3)


def loss_gradient(name, logits, target):
    out = np.full_like(logits, np.nan)
    return LOSSES[name].loss_gradient(logits, target, out=out), out


@every_loss
@both_dtypes
def test_the_loss_is_its_closed_form(name, dtype):
    logits, target = moderate(name, dtype)
    losses, gradient = loss_gradient(name, logits, target)
    assert losses.shape == (50,)
    assert losses.dtype == gradient.dtype == dtype
    eps = np.finfo(dtype).eps
    assert_allclose(losses, closed_form_loss(name, logits.astype(np.float64), target), rtol=8 * eps, atol=32 * eps)


@every_loss
def test_the_gradient_of_the_loss_agrees_with_central_differences(name):
    logits, target = moderate(name, np.float64)
    _, gradient = loss_gradient(name, logits, target)
    step = 1e-5
    for k in range(logits.shape[1]):
        shift = step * (np.arange(logits.shape[1]) == k)
        rise = loss_gradient(name, logits + shift, target)[0] - loss_gradient(name, logits - shift, target)[0]
        assert_allclose(gradient[:, k], rise / (2 * step), rtol=1e-7, atol=1e-9)


@every_loss
def test_the_float32_gradient_is_the_float64_gradient_rounded(name):
    logits, target = moderate(name, np.float32)
    wide = loss_gradient(name, logits.astype(np.float64), target)[1]
    assert_allclose(loss_gradient(name, logits, target)[1], wide, atol=1e-6)


@every_loss
@both_dtypes
def test_extreme_logits_give_finite_losses_and_bounded_gradients(name, dtype):
    logits = extreme(dtype)
    target = random_target(name, logits.shape, np.random.default_rng(1))
    losses, gradient = loss_gradient(name, logits, target)
    assert np.isfinite(losses).all()
    assert (losses >= 0.0).all()
    assert_allclose(losses, closed_form_loss(name, logits.astype(np.float64), target), rtol=1e-6, atol=1e-6)
    expected = LINKS[name](logits.astype(np.float64))
    expected -= np.arange(3) == target[:, None] if name == "softmax" else target
    assert_allclose(gradient, expected, atol=1e-6)


def hessian_product(name, logits, tangent):
    return LOSSES[name].hessian_product(logits, tangent, out=np.full_like(logits, np.nan))


@every_loss
@both_dtypes
def test_the_hessian_product_agrees_with_central_differences_of_the_gradient(name, dtype):
    logits, target = moderate(name, dtype)
    tangent = np.random.default_rng(3).standard_normal(logits.shape).astype(dtype)
    product = hessian_product(name, logits, tangent)
    assert product.dtype == dtype
    # Differences in float64 for both types: what is claimed of float32 is no more than rounding.
    wide, step = logits.astype(np.float64), 1e-3 * tangent.astype(np.float64)
    near, far = (
        loss_gradient(name, wide + k * step, target)[1] - loss_gradient(name, wide - k * step, target)[1]
        for k in (1, 2)
    )
    expected = (8.0 * near - far) / 12e-3
    assert_allclose(product, expected, rtol=0, atol={np.float32: 1e-6, np.float64: 1e-10}[dtype])
    assert abs(expected).max() > 0.1


@every_loss
@both_dtypes
def test_the_hessian_is_symmetric_and_never_negative(name, dtype):
    logits, _ = moderate(name, dtype)
    u, v = np.random.default_rng(4).standard_normal((2, *logits.shape)).astype(dtype)
    Hu, Hv = hessian_product(name, logits, u), hessian_product(name, logits, v)
    eps = np.finfo(dtype).eps
    assert_allclose((v * Hu).sum(axis=1), (u * Hv).sum(axis=1), rtol=0, atol=16 * eps)
    assert ((u * Hu).sum(axis=1) >= -4 * eps).all()


@every_loss
@both_dtypes
def test_extreme_logits_give_finite_hessian_products(name, dtype):
    logits = extreme(dtype)
    tangent = np.random.default_rng(5).standard_normal(logits.shape).astype(dtype)
    product = hessian_product(name, logits, tangent)
    assert np.isfinite(product).all()
    p, v = LINKS[name](logits.astype(np.float64)), tangent.astype(np.float64)
    expected = p * (v - (p * v).sum(axis=1, keepdims=True)) if name == "softmax" else p * (1.0 - p) * v
    assert_allclose(product, expected, rtol=0, atol=1e-6)


@both_dtypes
def test_the_hessian_of_the_logistic_loss_is_not_lost_in_rounding_for_sure_units(dtype):
    # p (1 - p) as written is 0 as soon as p rounds to 1; a Newton step would then be without bound.
    z = np.linspace(-80.0, 80.0, 41).astype(dtype)[:, None]
    expected = np.exp(log_expit(z.astype(np.float64)) + log_expit(-z.astype(np.float64)))
    assert_allclose(hessian_product("logistic", z, np.ones_like(z)), expected, rtol=64 * np.finfo(dtype).eps)


@both_dtypes
def test_the_logistic_loss_of_rightly_sure_units_is_not_lost_in_rounding(dtype):
    # log(1 + exp(z)) - z as written cancels for large z; the same number is log(1 + exp(-z)).
    rng = np.random.default_rng(2)
    magnitudes = rng.uniform(5.0, 30.0, (200, 10)).astype(dtype)
    target = rng.random(magnitudes.shape) < 0.5
    logits = np.where(target, magnitudes, -magnitudes)
    losses, _ = loss_gradient("logistic", logits, target)
    expected = closed_form_loss("logistic", logits.astype(np.float64), target)
    assert_allclose(losses, expected, rtol=32 * np.finfo(dtype).eps)


@every_loss
@both_dtypes
def test_probabilities_and_their_logarithms_are_those_of_the_link(name, dtype):
    logits, _ = moderate(name, dtype)
    proba, log_proba = LOSSES[name].proba(logits), LOSSES[name].log_proba(logits)
    assert proba.dtype == log_proba.dtype == dtype
    eps = np.finfo(dtype).eps
    wide = logits.astype(np.float64)
    assert_allclose(proba, LINKS[name](wide), rtol=64 * eps)
    assert_allclose(log_proba, LOG_LINKS[name](wide), rtol=8 * eps, atol=8 * eps)


@every_loss
@both_dtypes
def test_no_probability_rounds_to_0_and_logarithms_agree_with_probabilities(name, dtype):
    logits = extreme(dtype)
    proba, log_proba = LOSSES[name].proba(logits), LOSSES[name].log_proba(logits)
    tiny = np.finfo(dtype).tiny
    assert proba.min() == tiny  # reached by these logits, so that the bound is tried
    assert (proba <= 1.0).all()
    assert np.isfinite(log_proba).all()
    assert (log_proba <= 0.0).all()
    assert_allclose(log_proba, np.log(proba), rtol=1e-6, atol=2 * np.finfo(dtype).eps)
    assert_allclose(proba, np.maximum(LINKS[name](logits.astype(np.float64)), tiny), rtol=1e-4)


@both_dtypes
def test_no_logistic_probability_rounds_to_1(dtype):
    proba = LOSSES["logistic"].proba(extreme(dtype))
    assert proba.max() == np.nextafter(dtype(1.0), dtype(0.0))


@both_dtypes
def test_log_sigmoid_is_exact_in_both_tails_and_log_proba_in_the_lower(dtype):
    z = np.linspace(-80.0, 80.0, 41).astype(dtype)[:, None]
    expected, tolerance = log_expit(z.astype(np.float64)), 8 * np.finfo(dtype).eps
    log_proba = LOSSES["logistic"].log_proba(z)
    assert log_sigmoid(z).dtype == log_proba.dtype == dtype
    assert_allclose(log_sigmoid(z), expected, rtol=tolerance)
    assert_allclose(log_proba[z <= 0.0], expected[z <= 0.0], rtol=tolerance)


@both_dtypes
def test_where_logistic_probabilities_tie_by_rounding_so_do_their_logarithms(dtype):
    # Both then put the labels of a row into the same order.
    z = np.linspace(-20.0, 50.0, 701).astype(dtype)[:, None]
    proba, log_proba = LOSSES["logistic"].proba(z)[:, 0], LOSSES["logistic"].log_proba(z)[:, 0]
    positive = z[:, 0] > 0.0
    assert_array_equal(np.diff(proba[positive]) == 0.0, np.diff(log_proba[positive]) == 0.0)
    assert (np.diff(proba[positive]) == 0.0).any()
    assert (np.diff(proba) >= 0.0).all()
    assert (np.diff(log_proba) >= 0.0).all()
    assert_allclose(log_proba, log_expit(z[:, 0].astype(np.float64)), rtol=0, atol=2 * np.finfo(dtype).eps * 21)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_probabilities_of_a_row_sum_to_1(dtype):
    assert_allclose(LOSSES["softmax"].proba(extreme(dtype)).sum(axis=1), 1.0, rtol=4 * np.finfo(dtype).eps)


@every_loss
@both_dtypes
def test_logits_are_never_changed(name, dtype):
    logits, target = moderate(name, dtype)
    logits.flags.writeable = False
    tangent = np.ones_like(logits)
    tangent.flags.writeable = False
    results = [
        loss_gradient(name, logits, target)[1],
        hessian_product(name, logits, tangent),
        LOSSES[name].proba(logits),
        LOSSES[name].log_proba(logits),
    ]
    assert_array_equal(logits, moderate(name, dtype)[0])
    assert not any(np.shares_memory(logits, result) for result in results)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    logits=arrays(np.float64, (4, 3), elements=st.floats(-1e3, 1e3)),
    target=arrays(np.int64, 4, elements=st.integers(0, 2)),
    constant=st.floats(-1e3, 1e3),
)
def test_softmax_does_not_see_a_constant_added_to_all_logits(logits, target, constant):
    (losses, gradient), (shifted_losses, shifted_gradient) = (
        loss_gradient("softmax", z, target) for z in (logits, logits + constant)
    )
    rounding = 8 * np.finfo(np.float64).eps * (1.0 + abs(logits).max() + abs(constant))
    assert_allclose(shifted_losses, losses, rtol=0, atol=rounding)
    assert_allclose(shifted_gradient, gradient, rtol=0, atol=rounding)
    loss = LOSSES["softmax"]
    assert_allclose(loss.proba(logits + constant), loss.proba(logits), rtol=0, atol=rounding)
    assert_allclose(loss.log_proba(logits + constant), loss.log_proba(logits), rtol=0, atol=2 * rounding)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(logits=arrays(np.float64, (3, 2), elements=st.floats(-1e308, 1e308)))
def test_the_logistic_loss_is_symmetric_in_logits_and_targets(logits):
    target = np.array([[True, False], [False, False], [True, True]])
    # Exchanging yes and no changes the sign of the logit and nothing else.
    logits = logits / 2.0
    losses, gradient = loss_gradient("logistic", logits, target)
    mirrored_losses, mirrored_gradient = loss_gradient("logistic", -logits, ~target)
    assert_allclose(mirrored_losses, losses, rtol=1e-13, atol=1e-13)
    assert_allclose(mirrored_gradient, -gradient, atol=1e-14)


# Label smoothing

some_shares = pytest.mark.parametrize("share", [1e-3, 0.1, 0.5, 0.99])


def soft_target(name, target, n_outputs, share):
    """The target as probabilities, a share of it spread evenly over what a label may be."""
    if name == "softmax":
        return (1.0 - share) * np.eye(n_outputs)[target] + share / n_outputs
    return (1.0 - share) * target + share / 2.0


def closed_form_soft_loss(name, z, q):
    """Cross-entropy of logits and target probabilities, term by term."""
    if name == "softmax":
        return -(q * log_softmax(z, axis=1)).sum(axis=1)
    return -(q * log_expit(z) + (1.0 - q) * log_expit(-z)).sum(axis=1)


def smoothed_loss_gradient(name, share, logits, target):
    out = np.full_like(logits, np.nan)
    return dataclasses.replace(LOSSES[name], label_smoothing=share).loss_gradient(logits, target, out=out), out


@some_shares
@every_loss
@both_dtypes
def test_a_smoothed_loss_is_the_cross_entropy_of_the_soft_target(name, dtype, share):
    logits, target = moderate(name, dtype)
    losses, gradient = smoothed_loss_gradient(name, share, logits, target)
    assert losses.shape == (50,)
    assert losses.dtype == gradient.dtype == dtype
    q, wide, eps = soft_target(name, target, 3, share), logits.astype(np.float64), np.finfo(dtype).eps
    assert_allclose(losses, closed_form_soft_loss(name, wide, q), rtol=8 * eps, atol=32 * eps)
    assert_allclose(gradient, LINKS[name](wide) - q, rtol=0, atol=8 * eps)


@some_shares
@every_loss
def test_the_gradient_of_a_smoothed_loss_agrees_with_central_differences(name, share):
    logits, target = moderate(name, np.float64)
    _, gradient = smoothed_loss_gradient(name, share, logits, target)
    step = 1e-5
    for k in range(logits.shape[1]):
        shift = step * (np.arange(logits.shape[1]) == k)
        above, below = (smoothed_loss_gradient(name, share, logits + s, target)[0] for s in (shift, -shift))
        assert_allclose(gradient[:, k], (above - below) / (2 * step), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n_outputs", [1, 2, 7])
@every_loss
def test_what_is_spread_is_spread_over_all_classes_however_many(name, n_outputs):
    rng = np.random.default_rng(6)
    logits = rng.standard_normal((20, n_outputs))
    target = random_target(name, logits.shape, rng)
    losses, gradient = smoothed_loss_gradient(name, 0.3, logits, target)
    q = soft_target(name, target, n_outputs, 0.3)
    assert_allclose(losses, closed_form_soft_loss(name, logits, q), rtol=1e-13, atol=1e-15)
    assert_allclose(gradient, LINKS[name](logits) - q, rtol=0, atol=1e-15)


@every_loss
@both_dtypes
def test_no_smoothing_is_the_plain_loss_bit_for_bit(name, dtype):
    assert LOSSES[name].label_smoothing == 0.0
    for logits in (moderate(name, dtype)[0], extreme(dtype)):
        target = random_target(name, logits.shape, np.random.default_rng(1))
        plain, smoothed = loss_gradient(name, logits, target), smoothed_loss_gradient(name, 0.0, logits, target)
        for ours, theirs in zip(smoothed, plain, strict=True):
            assert_array_equal(ours, theirs)


@every_loss
@both_dtypes
def test_a_smoothed_loss_of_extreme_logits_is_finite_and_its_gradient_bounded(name, dtype):
    logits = extreme(dtype)
    target = random_target(name, logits.shape, np.random.default_rng(1))
    losses, gradient = smoothed_loss_gradient(name, 0.1, logits, target)
    q = soft_target(name, target, 3, 0.1)
    assert_allclose(losses, closed_form_soft_loss(name, logits.astype(np.float64), q), rtol=1e-6, atol=1e-6)
    assert_allclose(gradient, LINKS[name](logits.astype(np.float64)) - q, rtol=0, atol=1e-6)


@every_loss
def test_a_smoothed_loss_is_least_where_the_link_gives_the_soft_target(name):
    # So it keeps logits finite, where the plain loss has no minimum. Here that is log(q / (1 - q)), or log q up to a
    # constant.
    target = np.array([2, 0]) if name == "softmax" else np.array([[True, False, True], [False, True, True]])
    q = soft_target(name, target, 3, 0.2)
    logits = np.log(q) if name == "softmax" else np.log(q / (1.0 - q))
    losses, gradient = smoothed_loss_gradient(name, 0.2, logits, target)
    assert_allclose(gradient, 0.0, rtol=0, atol=1e-15)
    for shift in np.random.default_rng(7).standard_normal((20, 2, 3)):
        assert (smoothed_loss_gradient(name, 0.2, logits + shift, target)[0] > losses).all()


@every_loss
def test_smoothing_concerns_neither_the_hessian_nor_the_link(name):
    # The target enters the loss as a factor of the logits, and is gone from the second derivative.
    logits, target = moderate(name, np.float64)
    tangent = np.random.default_rng(3).standard_normal(logits.shape)
    loss, step = dataclasses.replace(LOSSES[name], label_smoothing=0.3), 1e-5
    above, below = (smoothed_loss_gradient(name, 0.3, logits + s * tangent, target)[1] for s in (step, -step))
    product = loss.hessian_product(logits, tangent, out=np.full_like(logits, np.nan))
    assert_allclose(product, (above - below) / (2 * step), rtol=0, atol=1e-9)
    assert_array_equal(loss.proba(logits), LOSSES[name].proba(logits))
    assert_array_equal(loss.log_proba(logits), LOSSES[name].log_proba(logits))
