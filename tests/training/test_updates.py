"""Update rules take the steps of the textbook, element by element."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from skbp import _core
from skbp._training.threads import BLOCK, LONG
from skbp._training.updates import SGD, UPDATES, Adam, UpdateRule

# The estimator's parameters that a rule may take, with other values than their defaults. A new rule adds its own.
ARGUMENTS = {"momentum": 0.8, "nesterovs_momentum": True, "beta_1": 0.85, "beta_2": 0.95, "epsilon": 1e-3}
DTYPES = [np.float32, np.float64]


@pytest.fixture(
    params=[False, True] if _core.BatchKernel else [False],
    ids=["NumPy", "core"][: 1 + bool(_core.BatchKernel)],
    autouse=True,
)
def compiled(request, monkeypatch):
    """Who computes: NumPy's code, or the compiled core where there is one."""
    monkeypatch.setattr(UpdateRule, "compiled", request.param)


def make(rule, **changed):
    return rule(**{name: {**ARGUMENTS, **changed}[name] for name in rule.parameters})


def textbook_sgd(theta, gradients, rates, momentum):
    path, v = [], [0.0] * len(theta)
    for g, rate in zip(gradients, rates, strict=True):
        v = [momentum * vi - rate * gi for vi, gi in zip(v, g, strict=True)]
        theta = [ti + vi for ti, vi in zip(theta, v, strict=True)]
        path.append(theta)
    return path


def textbook_nesterov(theta, gradients, rates, momentum):
    path, v = [], [0.0] * len(theta)
    for g, rate in zip(gradients, rates, strict=True):
        v = [momentum * vi - rate * gi for vi, gi in zip(v, g, strict=True)]
        theta = [ti + momentum * vi - rate * gi for ti, vi, gi in zip(theta, v, g, strict=True)]
        path.append(theta)
    return path


def textbook_adam(theta, gradients, rates):
    b1, b2, eps = (ARGUMENTS[name] for name in Adam.parameters)
    path, m, v = [], [0.0] * len(theta), [0.0] * len(theta)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = [b1 * mi + (1 - b1) * gi for mi, gi in zip(m, g, strict=True)]
        v = [b2 * vi + (1 - b2) * gi**2 for vi, gi in zip(v, g, strict=True)]
        alpha_t = rate * (1 - b2**t) ** 0.5 / (1 - b1**t)
        theta = [ti - alpha_t * mi / (vi**0.5 + eps) for ti, mi, vi in zip(theta, m, v, strict=True)]
        path.append(theta)
    return path


CASES = {
    "plain sgd": (lambda: SGD(0.0, False), lambda *args: textbook_sgd(*args, 0.0)),
    "plain sgd, nesterov": (lambda: SGD(0.0, True), lambda *args: textbook_sgd(*args, 0.0)),
    "momentum": (lambda: SGD(0.8, False), lambda *args: textbook_sgd(*args, 0.8)),
    "nesterov": (lambda: SGD(0.8, True), lambda *args: textbook_nesterov(*args, 0.8)),
    "adam": (lambda: make(Adam), textbook_adam),
}


def steps(n_parameters, n_steps=7, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal(n_parameters),
        rng.standard_normal((n_steps, n_parameters)),
        rng.uniform(0.01, 0.1, n_steps),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rule", "textbook"), CASES.values(), ids=CASES)
def test_each_step_is_that_of_the_textbook(rule, textbook, dtype):
    start, gradients, rates = steps(6)
    theta, rule = start.astype(dtype), rule()
    path = textbook(start.tolist(), gradients.tolist(), rates.tolist())
    for g, rate, expected in zip(gradients.astype(dtype), rates.tolist(), path, strict=True):
        assert rule.step(theta, g, rate) is None
        assert_allclose(theta, expected, rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(UPDATES))
def test_a_step_keeps_the_type_and_the_gradient(name, dtype):
    start, gradients, _ = steps(6)
    theta, rule = start.astype(dtype), make(UPDATES[name])
    gradient = gradients[0].astype(dtype)
    gradient.flags.writeable = False
    rule.step(theta, gradient, 0.1)
    rule.step(theta, gradient, 0.1)
    assert theta.dtype == dtype
    assert {value.dtype for value in rule.state.values() if isinstance(value, np.ndarray)} == {np.dtype(dtype)}
    assert_array_equal(gradient, gradients[0].astype(dtype))


@pytest.mark.parametrize("n_parameters", [BLOCK, BLOCK + 1, LONG + 5])
@pytest.mark.parametrize("rule", [case[0] for case in CASES.values()], ids=CASES)
def test_a_long_vector_is_updated_like_its_pieces(rule, n_parameters):
    theta, gradients, rates = steps(n_parameters, n_steps=3)
    pieces = [slice(start, start + 5000) for start in range(0, n_parameters, 5000)]
    thetas, rules = [theta[piece].copy() for piece in pieces], [rule() for _ in pieces]
    whole = rule()
    for g, rate in zip(gradients, rates.tolist(), strict=True):
        with threadpool_limits(2, user_api="blas"):
            whole.step(theta, g, rate)
        for piece, part, part_rule in zip(pieces, thetas, rules, strict=True):
            part_rule.step(part, g[piece], rate)
    assert_array_equal(theta, np.concatenate(thetas))


@pytest.mark.parametrize("name", list(UPDATES))
def test_a_rule_with_the_state_of_another_continues_bit_for_bit(name):
    theta, gradients, rates = steps(6)
    resumed, rule = theta.copy(), make(UPDATES[name])
    assert rule.state == {}
    first = make(UPDATES[name])
    for k, (g, rate) in enumerate(zip(gradients, rates.tolist(), strict=True)):
        rule.step(theta, g, rate)
        if k == 3:
            second = make(UPDATES[name])
            second.state = copy.deepcopy(first.state)
            first = second
        first.step(resumed, g, rate)
    assert_array_equal(resumed, theta)


@pytest.mark.parametrize("name", list(UPDATES))
def test_without_its_state_a_rule_takes_other_steps(name):
    # This shows that the test before depends on the state.
    theta, gradients, _ = steps(6)
    forgetful, rule = theta.copy(), make(UPDATES[name])
    for g in gradients[:3]:
        rule.step(theta, g, 0.1)
        make(UPDATES[name]).step(forgetful, g, 0.1)
    assert abs(theta - forgetful).max() > 1e-3


@pytest.mark.parametrize("nesterovs_momentum", [False, True])
@pytest.mark.parametrize("name", list(UPDATES))
def test_a_quadratic_is_minimised(name, nesterovs_momentum):
    curvatures, minimum = np.array([0.5, 1.0, 4.0]), np.array([1.0, -2.0, 3.0])
    theta, rule = np.zeros(3), make(UPDATES[name], nesterovs_momentum=nesterovs_momentum)
    for t in range(600):
        rule.step(theta, curvatures * (theta - minimum), 0.1 * 0.98**t if t > 200 else 0.1)
    assert_allclose(theta, minimum, atol=1e-4)
