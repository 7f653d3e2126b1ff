"""Losses equal their closed forms on moderate and extreme logits. Gradients, Hessians, links and targets belong to them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_expit, log_softmax, logit, softmax

from skbp._data.rows import Rows
from skbp._network.losses import LOSSES, Loss, log_sigmoid
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters

DTYPES = [np.float32, np.float64]
every_loss = pytest.mark.parametrize("name", list(LOSSES))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture
def closed(closed_forms, name):
    """The closed forms of the loss with this name."""
    return closed_forms[name]


def moderate(closed, dtype, seed=0):
    rng = np.random.default_rng(seed)
    logits = (4.0 * rng.standard_normal((50, 3))).astype(dtype)
    return logits, closed.random_target(logits.shape, rng)


def extreme(dtype):
    """Every triple of small, large and huge numbers of both signs."""
    huge = 1e300 if dtype == np.float64 else 1e37
    values = np.array([-huge, -1e4, -100.0, -1.0, 0.0, 1e-3, 1.0, 100.0, 1e4, huge], dtype)
    return np.stack(np.meshgrid(values, values, values), axis=-1).reshape(-1, 3)


def loss_gradient(name, logits, target, share=0.0):
    """Loss and gradient, with this share of label smoothing."""
    loss, out = dataclasses.replace(LOSSES[name], label_smoothing=share), np.full_like(logits, np.nan)
    return loss.loss_gradient(logits, target, out=out), out


@every_loss
def test_its_key_is_its_name_and_it_has_a_formula(name):
    assert LOSSES[name].name == name
    assert LOSSES[name].formula.startswith("c = ")
    assert LOSSES[name].delta_formula == "p - y"  # both links are canonical


# Loss and gradient


@every_loss
@both_dtypes
def test_the_loss_is_its_closed_form(name, closed, dtype):
    logits, target = moderate(closed, dtype)
    losses, gradient = loss_gradient(name, logits, target)
    assert losses.shape == (50,)
    assert losses.dtype == gradient.dtype == dtype
    eps = np.finfo(dtype).eps
    assert_allclose(losses, closed.losses(logits.astype(np.float64), target), rtol=8 * eps, atol=32 * eps)


@every_loss
def test_the_gradient_of_the_loss_agrees_with_central_differences(name, closed):
    logits, target = moderate(closed, np.float64)
    _, gradient = loss_gradient(name, logits, target)
    step = 1e-5
    for k in range(logits.shape[1]):
        shift = step * (np.arange(logits.shape[1]) == k)
        rise = loss_gradient(name, logits + shift, target)[0] - loss_gradient(name, logits - shift, target)[0]
        assert_allclose(gradient[:, k], rise / (2 * step), rtol=1e-7, atol=1e-9)


@every_loss
def test_the_float32_gradient_is_the_float64_gradient_rounded(name, closed):
    logits, target = moderate(closed, np.float32)
    wide = loss_gradient(name, logits.astype(np.float64), target)[1]
    assert_allclose(loss_gradient(name, logits, target)[1], wide, atol=1e-6)


@every_loss
@both_dtypes
def test_extreme_logits_give_finite_losses_and_bounded_gradients(name, closed, dtype):
    logits = extreme(dtype)
    target = closed.random_target(logits.shape, np.random.default_rng(1))
    losses, gradient = loss_gradient(name, logits, target)
    assert np.isfinite(losses).all()
    assert (losses >= 0.0).all()
    wide = logits.astype(np.float64)
    assert_allclose(losses, closed.losses(wide, target), rtol=1e-6, atol=1e-6)
    assert_allclose(gradient, closed.link(wide) - closed.targets(target, 3), atol=1e-6)


@both_dtypes
def test_the_logistic_loss_of_outputs_that_are_right_and_sure_is_not_lost_in_rounding(closed_forms, dtype):
    # The terms of log(1 + exp(z)) - z cancel for large z. log(1 + exp(-z)) is the same number.
    rng = np.random.default_rng(2)
    magnitudes = rng.uniform(5.0, 30.0, (200, 10)).astype(dtype)
    target = rng.random(magnitudes.shape) < 0.5
    logits = np.where(target, magnitudes, -magnitudes)
    losses, _ = loss_gradient("logistic", logits, target)
    expected = closed_forms["logistic"].losses(logits.astype(np.float64), target)
    assert_allclose(losses, expected, rtol=32 * np.finfo(dtype).eps)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    logits=arrays(np.float64, (4, 3), elements=st.floats(-1e3, 1e3)),
    target=arrays(np.int64, 4, elements=st.integers(0, 2)),
    constant=st.floats(-1e3, 1e3),
)
def test_a_constant_added_to_all_logits_does_not_change_softmax(logits, target, constant):
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
    # An exchange of yes and no changes the sign of the logit and nothing else.
    logits = logits / 2.0
    losses, gradient = loss_gradient("logistic", logits, target)
    mirrored_losses, mirrored_gradient = loss_gradient("logistic", -logits, ~target)
    assert_allclose(mirrored_losses, losses, rtol=1e-13, atol=1e-13)
    assert_allclose(mirrored_gradient, -gradient, atol=1e-14)


# The Hessian


def hessian_product(name, logits, tangent):
    return LOSSES[name].hessian_product(logits, tangent, out=np.full_like(logits, np.nan))


@every_loss
@both_dtypes
def test_the_hessian_product_agrees_with_central_differences_of_the_gradient(name, closed, dtype):
    logits, target = moderate(closed, dtype)
    tangent = np.random.default_rng(3).standard_normal(logits.shape).astype(dtype)
    product = hessian_product(name, logits, tangent)
    assert product.dtype == dtype
    # The differences are in float64 for both types. float32 promises no more than its rounding.
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
def test_the_hessian_is_symmetric_and_never_negative(name, closed, dtype):
    logits, _ = moderate(closed, dtype)
    u, v = np.random.default_rng(4).standard_normal((2, *logits.shape)).astype(dtype)
    Hu, Hv = hessian_product(name, logits, u), hessian_product(name, logits, v)
    eps = np.finfo(dtype).eps
    assert_allclose((v * Hu).sum(axis=1), (u * Hv).sum(axis=1), rtol=0, atol=16 * eps)
    assert ((u * Hu).sum(axis=1) >= -4 * eps).all()


@every_loss
@both_dtypes
def test_extreme_logits_give_finite_hessian_products(name, closed, dtype):
    logits = extreme(dtype)
    tangent = np.random.default_rng(5).standard_normal(logits.shape).astype(dtype)
    product = hessian_product(name, logits, tangent)
    assert np.isfinite(product).all()
    p, v = closed.link(logits.astype(np.float64)), tangent.astype(np.float64)
    expected = p * (v - (p * v).sum(axis=1, keepdims=True)) if name == "softmax" else p * (1.0 - p) * v
    assert_allclose(product, expected, rtol=0, atol=1e-6)


@both_dtypes
def test_the_hessian_of_the_logistic_loss_of_sure_outputs_is_not_lost_in_rounding(dtype):
    # p (1 - p) is 0 as soon as p rounds to 1. Then a Newton step would have no bound.
    z = np.linspace(-80.0, 80.0, 41).astype(dtype)[:, None]
    expected = np.exp(log_expit(z.astype(np.float64)) + log_expit(-z.astype(np.float64)))
    assert_allclose(hessian_product("logistic", z, np.ones_like(z)), expected, rtol=64 * np.finfo(dtype).eps)


# Probabilities


@every_loss
@both_dtypes
def test_probabilities_and_their_logarithms_are_those_of_the_link(name, closed, dtype):
    logits, _ = moderate(closed, dtype)
    proba, log_proba = LOSSES[name].proba(logits), LOSSES[name].log_proba(logits)
    assert proba.dtype == log_proba.dtype == dtype
    eps = np.finfo(dtype).eps
    wide = logits.astype(np.float64)
    assert_allclose(proba, closed.link(wide), rtol=64 * eps)
    assert_allclose(log_proba, closed.log_link(wide), rtol=8 * eps, atol=8 * eps)


@every_loss
@both_dtypes
def test_no_probability_rounds_to_0_and_logarithms_agree_with_probabilities(name, closed, dtype):
    logits = extreme(dtype)
    proba, log_proba = LOSSES[name].proba(logits), LOSSES[name].log_proba(logits)
    tiny = np.finfo(dtype).tiny
    assert proba.min() == tiny  # these logits reach the bound, so that the test tries it
    assert (proba <= 1.0).all()
    assert np.isfinite(log_proba).all()
    assert (log_proba <= 0.0).all()
    assert_allclose(log_proba, np.log(proba), rtol=1e-6, atol=2 * np.finfo(dtype).eps)
    assert_allclose(proba, np.maximum(closed.link(logits.astype(np.float64)), tiny), rtol=1e-4)


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
def test_logarithms_tie_where_logistic_probabilities_tie_by_rounding(dtype):
    # So both put the labels of a row into the same order.
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
def test_logits_are_never_changed(name, closed, dtype):
    logits, target = moderate(closed, dtype)
    logits.flags.writeable = False
    tangent = np.ones_like(logits)
    tangent.flags.writeable = False
    results = [
        loss_gradient(name, logits, target)[1],
        hessian_product(name, logits, tangent),
        LOSSES[name].proba(logits),
        LOSSES[name].log_proba(logits),
    ]
    assert_array_equal(logits, moderate(closed, dtype)[0])
    assert not any(np.shares_memory(logits, result) for result in results)


# Label smoothing

some_shares = pytest.mark.parametrize("share", [1e-3, 0.1, 0.5, 0.99])


def soft_target(name, closed, target, n_outputs, share):
    """The target as probabilities. A share of it is spread evenly over all values of a label."""
    return (1.0 - share) * closed.targets(target, n_outputs) + share / (n_outputs if name == "softmax" else 2.0)


def soft_losses(name, z, q):
    """Cross-entropy of logits and target probabilities, term by term."""
    if name == "softmax":
        return -(q * log_softmax(z, axis=1)).sum(axis=1)
    return -(q * log_expit(z) + (1.0 - q) * log_expit(-z)).sum(axis=1)


@some_shares
@every_loss
@both_dtypes
def test_a_smoothed_loss_is_the_cross_entropy_of_the_soft_target(name, closed, dtype, share):
    logits, target = moderate(closed, dtype)
    losses, gradient = loss_gradient(name, logits, target, share)
    assert losses.shape == (50,)
    assert losses.dtype == gradient.dtype == dtype
    q, wide, eps = soft_target(name, closed, target, 3, share), logits.astype(np.float64), np.finfo(dtype).eps
    assert_allclose(losses, soft_losses(name, wide, q), rtol=8 * eps, atol=32 * eps)
    assert_allclose(gradient, closed.link(wide) - q, rtol=0, atol=8 * eps)


@some_shares
@every_loss
def test_the_gradient_of_a_smoothed_loss_agrees_with_central_differences(name, closed, share):
    logits, target = moderate(closed, np.float64)
    _, gradient = loss_gradient(name, logits, target, share)
    step = 1e-5
    for k in range(logits.shape[1]):
        shift = step * (np.arange(logits.shape[1]) == k)
        above, below = (loss_gradient(name, logits + s, target, share)[0] for s in (shift, -shift))
        assert_allclose(gradient[:, k], (above - below) / (2 * step), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n_outputs", [1, 2, 7])
@every_loss
def test_the_share_is_spread_over_all_classes_however_many(name, closed, n_outputs):
    rng = np.random.default_rng(6)
    logits = rng.standard_normal((20, n_outputs))
    target = closed.random_target(logits.shape, rng)
    losses, gradient = loss_gradient(name, logits, target, 0.3)
    q = soft_target(name, closed, target, n_outputs, 0.3)
    assert_allclose(losses, soft_losses(name, logits, q), rtol=1e-13, atol=1e-15)
    assert_allclose(gradient, closed.link(logits) - q, rtol=0, atol=1e-15)


@every_loss
@both_dtypes
def test_no_smoothing_is_the_plain_loss_bit_for_bit(name, closed, dtype):
    assert LOSSES[name].label_smoothing == 0.0
    for logits in (moderate(closed, dtype)[0], extreme(dtype)):
        target = closed.random_target(logits.shape, np.random.default_rng(1))
        plain = np.full_like(logits, np.nan)
        losses = LOSSES[name].loss_gradient(logits, target, out=plain)
        smoothed_losses, smoothed = loss_gradient(name, logits, target, 0.0)
        assert_array_equal(smoothed_losses, losses)
        assert_array_equal(smoothed, plain)


@every_loss
@both_dtypes
def test_a_smoothed_loss_of_extreme_logits_is_finite_and_its_gradient_bounded(name, closed, dtype):
    logits = extreme(dtype)
    target = closed.random_target(logits.shape, np.random.default_rng(1))
    losses, gradient = loss_gradient(name, logits, target, 0.1)
    q, wide = soft_target(name, closed, target, 3, 0.1), logits.astype(np.float64)
    assert_allclose(losses, soft_losses(name, wide, q), rtol=1e-6, atol=1e-6)
    assert_allclose(gradient, closed.link(wide) - q, rtol=0, atol=1e-6)


def logits_for(name, q):
    """Logits with the link q."""
    return np.log(q) if name == "softmax" else logit(q)


@every_loss
def test_a_smoothed_loss_is_least_where_the_link_gives_the_soft_target(name, closed):
    # So it keeps logits finite. The plain loss has no minimum.
    target = np.array([2, 0]) if name == "softmax" else np.array([[True, False, True], [False, True, True]])
    logits = logits_for(name, soft_target(name, closed, target, 3, 0.2))
    losses, gradient = loss_gradient(name, logits, target, 0.2)
    assert_allclose(gradient, 0.0, rtol=0, atol=1e-15)
    for shift in np.random.default_rng(7).standard_normal((20, 2, 3)):
        assert (loss_gradient(name, logits + shift, target, 0.2)[0] > losses).all()


@every_loss
def test_smoothing_changes_neither_the_hessian_nor_the_link(name, closed):
    # The target enters the loss as a factor of the logits. So the second derivative does not depend on it.
    logits, target = moderate(closed, np.float64)
    tangent = np.random.default_rng(3).standard_normal(logits.shape)
    loss, step = dataclasses.replace(LOSSES[name], label_smoothing=0.3), 1e-5
    above, below = (loss_gradient(name, logits + s * tangent, target, 0.3)[1] for s in (step, -step))
    product = loss.hessian_product(logits, tangent, out=np.full_like(logits, np.nan))
    assert_allclose(product, (above - below) / (2 * step), rtol=0, atol=1e-9)
    assert_array_equal(loss.proba(logits), LOSSES[name].proba(logits))
    assert_array_equal(loss.log_proba(logits), LOSSES[name].log_proba(logits))


# Targets


def test_targets_of_exclusive_classes_are_their_indices():
    codes = np.array([2, 0, 1])
    assert LOSSES["softmax"].exclusive
    assert_array_equal(LOSSES["softmax"].target(codes, 3), [2, 0, 1])


def test_targets_of_a_yes_or_no_for_each_output_are_boolean():
    loss = LOSSES["logistic"]
    assert not loss.exclusive
    for found, expected in [
        (loss.target(np.array([[1, 0], [0, 0]]), 2), [[True, False], [False, False]]),
        (loss.target(np.array([2, 0]), 3), [[False, False, True], [True, False, False]]),
        (loss.target(np.array([1, 0, 1]), 1), [[True], [False], [True]]),  # the output stands for the second class
    ]:
        assert found.dtype == bool
        assert_array_equal(found, expected)


@pytest.mark.parametrize("share", [0.0, 0.3])
@every_loss
def test_dense_targets_are_smoothed_and_the_gradient_is_the_probability_minus_them(name, closed, share):
    logits, target = moderate(closed, np.float64)
    loss = dataclasses.replace(LOSSES[name], label_smoothing=share)
    dense = loss.dense_target(target, 3)
    assert (dense.shape, dense.dtype) == ((50, 3), np.float64)
    assert_allclose(dense, soft_target(name, closed, target, 3, share), rtol=1e-15)
    assert_allclose(loss_gradient(name, logits, target, share)[1], loss.proba(logits) - dense, rtol=0, atol=1e-14)


def test_frequencies_are_weighted_means_of_the_targets():
    share = np.array([0.5, 0.25, 0.25])
    found = LOSSES["softmax"].frequencies(np.array([0, 2, 0]), share, 4)
    assert_allclose(found, [0.75, 0.0, 0.25, 0.0])
    target = np.array([[True, True], [False, True], [True, False]])
    assert_allclose(LOSSES["logistic"].frequencies(target, share, 2), [0.75, 0.75])


@pytest.mark.parametrize("share", [0.0, 0.2])
@every_loss
def test_the_loss_of_frequencies_is_the_least_mean_loss_of_one_prediction(name, closed, share):
    rng = np.random.default_rng(8)
    target, weight = closed.random_target((40, 3), rng), rng.dirichlet(np.ones(40))
    loss = dataclasses.replace(LOSSES[name], label_smoothing=share)
    frequencies = loss.frequencies(target, weight, 3)
    assert_allclose(frequencies, weight @ closed.targets(target, 3))
    least = loss.of_frequencies(frequencies)
    assert isinstance(least, float)

    def mean_loss(logits):
        return weight @ loss_gradient(name, np.tile(logits, (40, 1)), target, share)[0]

    best = logits_for(name, weight @ soft_target(name, closed, target, 3, share))
    assert least == pytest.approx(mean_loss(best), rel=1e-13)
    for shift in rng.standard_normal((20, 3)):
        assert mean_loss(best + shift) > least


# Scores of classes that exclude each other, for the losses of the list and for new ones


class Brier(Loss):
    """The squared distance of the probabilities from the targets. Each output has a logistic function as its link."""

    name = "brier"
    exclusive = False
    formula = "c = sum_k (p_k - y_k)^2"
    delta_formula = "2 (p - y) p (1 - p)"

    def loss_gradient(self, logits, target, out):
        p = self.proba(logits)
        out[...] = 2.0 * (p - target) * p * (1.0 - p)
        return ((p - target) ** 2).sum(axis=1)

    def hessian_product(self, logits, tangent, out):
        raise NotImplementedError  # it depends on the target

    def of_frequencies(self, frequencies):
        return float((frequencies * (1.0 - frequencies)).sum())

    def proba(self, logits):
        return expit(logits)

    def log_proba(self, logits):
        return log_expit(logits)


class SoftmaxBrier(Brier):
    """The same with the softmax of all outputs as the link."""

    exclusive = True
    delta_formula = "2 (diag(p) - p p') (p - y)"

    def loss_gradient(self, logits, target, out):
        p = self.proba(logits)
        d = p - np.eye(logits.shape[1])[target]
        out[...] = 2.0 * p * (d - (p * d).sum(axis=1, keepdims=True))
        return (d * d).sum(axis=1)

    def proba(self, logits):
        return softmax(logits, axis=1)

    def log_proba(self, logits):
        return log_softmax(logits, axis=1)


def class_probabilities(p):
    """Probabilities of exclusive classes, from those of the outputs."""
    return np.hstack([1.0 - p, p]) if p.shape[1] == 1 else p / p.sum(axis=1, keepdims=True)


LINKS = {"softmax": lambda z: softmax(z, axis=1), "logistic": expit}


@pytest.mark.parametrize(
    ("loss", "link", "n_outputs"),
    [
        *((LOSSES["softmax"], "softmax", n) for n in (2, 3)),
        *((LOSSES["logistic"], "logistic", n) for n in (1, 2, 3)),
        *((SoftmaxBrier(), "softmax", n) for n in (2, 3)),
        *((Brier(), "logistic", n) for n in (1, 2, 3)),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Loss) else str(given),
)
@both_dtypes
def test_the_softmax_of_class_scores_is_the_class_probabilities(loss, link, n_outputs, dtype):
    logits = (3.0 * np.random.default_rng(9).standard_normal((40, n_outputs))).astype(dtype)
    scores = loss.class_scores(logits)
    assert (scores.shape, scores.dtype) == ((40, max(2, n_outputs)), dtype)
    expected = class_probabilities(LINKS[link](logits.astype(np.float64)))
    tolerance = 8 * np.finfo(dtype).eps
    assert_allclose(softmax(scores.astype(np.float64), axis=1), expected, rtol=0, atol=tolerance)
    assert_allclose(LOSSES["softmax"].proba(scores), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "n_outputs"), [("softmax", 3), ("logistic", 1), ("logistic", 3)])
def test_the_scores_of_the_losses_of_the_list_agree_with_the_default(name, n_outputs):
    logits = 3.0 * np.random.default_rng(9).standard_normal((40, n_outputs))
    own, default = LOSSES[name].class_scores(logits), Loss.class_scores(LOSSES[name], logits)
    # A constant added to all scores of a row changes no probability.
    difference = own - default
    assert_allclose(difference, np.broadcast_to(difference[:, :1], difference.shape), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("name", "n_outputs"), [("softmax", 3), ("logistic", 1), ("logistic", 3)])
@both_dtypes
def test_class_scores_of_extreme_logits_are_finite(name, n_outputs, dtype):
    logits = extreme(dtype)[:, :n_outputs]
    assert np.isfinite(LOSSES[name].class_scores(logits)).all()
    assert np.isfinite(Loss.class_scores(LOSSES[name], logits)).all()


@pytest.mark.parametrize(
    ("loss", "n_outputs"), [(Brier(), 1), (Brier(), 3), (SoftmaxBrier(), 3)], ids=["one", "three", "softmax"]
)
def test_the_objective_of_a_new_loss_has_its_values_and_its_gradient(differences, loss, n_outputs):
    rng = np.random.default_rng(10)
    X = rng.standard_normal((20, 4))
    codes = rng.integers(3, size=20) if loss.exclusive else rng.integers(2, size=(20, n_outputs))
    target = loss.target(codes, n_outputs)
    params = Parameters((4, n_outputs), np.float64)
    params.vector[...] = rng.standard_normal(params.vector.size)
    on, batches = Objective(params, [], loss, 0.3), Rows(X, None, None, target, None).chunks()
    W, b = params.copies()
    distance = loss.proba(X @ W[0] + b[0]) - loss.dense_target(target, n_outputs)
    expected = (distance**2).sum() / 20 + 0.3 / 40 * (W[0] ** 2).sum()
    assert on.value_and_gradient(batches) == pytest.approx(expected, rel=1e-13)
    theta, gradient = params.vector.copy(), on.gradient.vector.copy()

    def value(at):
        params.vector[...] = at
        return on.value_and_gradient(batches)

    for v in rng.standard_normal((3, theta.size)):
        assert gradient @ v == pytest.approx(differences(value, theta, v), rel=1e-8)
