"""Dropout leaves out the share of units that it is told to, changes no expectation, and is differentiated rightly."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import expit, log_expit, log_softmax, softmax

from skbp._network.activations import ACTIVATIONS
from skbp._network.dropout import N_LEVELS, Dropout
from skbp._network.equations import forward
from skbp._network.losses import LOSSES
from skbp._network.objective import CHUNK_ROWS, Objective
from skbp._network.parameters import Parameters
from skbp._network.tape import Tape

RATES = [0.001, 0.1, 0.25, 0.5, 0.7, 0.99]
every_activation = pytest.mark.parametrize("activation", list(ACTIVATIONS))
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
some_rates = pytest.mark.parametrize("rate", RATES)


def generator(seed=0):
    """The generators of one network, a single one."""
    return [np.random.RandomState(seed)]


def factors_of(rates, rngs, n_rows=1000, width=20, dtype=np.float64):
    """What a dropout draws for hidden layers of this width."""
    dropout = Dropout(rates, rngs)
    tape = Tape(n_rows, [3, *[width] * len(rates), 2], dtype, drops=dropout.layers)
    dropout.draw(tape)
    return [None if factor is None else factor.copy() for factor in tape.factor[1:-1]]


# What is drawn


@some_rates
@both_dtypes
def test_a_factor_is_0_or_makes_up_for_those_that_are(rate, dtype):
    (factor,) = factors_of([rate], generator(), dtype=dtype)
    assert factor.dtype == dtype
    kept = factor[factor != 0.0]
    assert len(set(kept.tolist())) == 1
    # The rate is rounded to a multiple of 1 / N_LEVELS.
    assert 1.0 / kept[0] == pytest.approx(1.0 - rate, abs=0.51 / N_LEVELS)


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.75])
def test_rates_that_are_no_rounded_ones_have_their_factor_exactly(rate):
    (factor,) = factors_of([rate], generator())
    assert set(factor.ravel().tolist()) == {0.0, 1.0 / (1.0 - rate)}


@some_rates
def test_the_share_that_is_left_out_is_the_rate(rate):
    (factor,) = factors_of([rate], generator(), n_rows=20_000)
    n = factor.size
    deviation = np.sqrt(rate * (1.0 - rate) / n)
    assert abs((factor == 0.0).mean() - rate) < 4.0 * deviation + 0.5 / N_LEVELS


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.7])
def test_every_unit_is_left_out_as_often_as_others_and_independently_of_them(rate):
    n = 20_000
    (factor,) = factors_of([rate], generator(), n_rows=n)
    kept = (factor > 0.0) - (1.0 - rate)
    correlations = kept.T @ kept / (n * rate * (1.0 - rate))
    assert abs(correlations[~np.eye(20, dtype=bool)]).max() < 5.0 / np.sqrt(n)
    assert abs(kept.mean(axis=0)).max() < 5.0 * np.sqrt(rate * (1.0 - rate) / n)
    of_rows = (kept[1:] * kept[:-1]).mean() / (rate * (1.0 - rate))  # each and the next
    assert abs(of_rows) < 5.0 / np.sqrt(20 * n)


def test_layers_and_draws_differ():
    first, second = factors_of([0.5, 0.5], rng := generator())
    again, _ = factors_of([0.5, 0.5], rng)
    for one, other in [(first, second), (first, again)]:
        assert 0.45 < (one == other).mean() < 0.55


def test_a_layer_has_its_own_rate():
    shares = [(factor == 0.0).mean() for factor in factors_of([0.1, 0.8, 0.4], generator())]
    assert_allclose(shares, [0.1, 0.8, 0.4], rtol=0, atol=4.0 * 0.5 / np.sqrt(20_000))


def test_generators_in_the_same_state_draw_the_same():
    rates = [0.3, 0.6]
    one, same, other = (factors_of(rates, generator(seed)) for seed in (1, 1, 2))
    for a, b, c in zip(one, same, other, strict=True):
        assert_array_equal(a, b)
        assert (a != c).any()


@both_dtypes
def test_what_is_drawn_does_not_depend_on_the_type(dtype):
    (wide,), (narrow,) = factors_of([0.3], generator()), factors_of([0.3], generator(), dtype=dtype)
    assert_array_equal(narrow == 0.0, wide == 0.0)


def test_every_draw_writes_all_factors_anew():
    dropout = Dropout([0.5], generator())
    tape = Tape(100, [3, 20, 2], np.float64, drops=dropout.layers)
    seen = []
    for _ in range(3):
        tape.factor[1][...] = np.nan
        dropout.draw(tape)
        assert set(tape.factor[1].ravel().tolist()) == {0.0, 2.0}
        seen.append(tape.factor[1].copy())
    assert all((a != b).mean() > 0.4 for a, b in [(seen[0], seen[1]), (seen[1], seen[2]), (seen[0], seen[2])])


def test_layers_with_rate_0_take_no_numbers_from_the_generator():
    none, factor, also_none = factors_of([0.0, 0.4, 0.0], rng := generator())
    assert none is also_none is None
    (alone,) = factors_of([0.4], alone_rng := generator())
    assert_array_equal(factor, alone)
    assert rng[0].randint(2**31) == alone_rng[0].randint(2**31)


@pytest.mark.parametrize("rates", [[], [0.0], [0.0, 0.0]], ids=str)
def test_where_nothing_is_left_out_the_generator_stays_as_it_is(rates):
    assert factors_of(rates, rng := generator()) == [None] * len(rates)
    assert rng[0].randint(2**31) == generator()[0].randint(2**31)


def test_layers_says_where_something_is_left_out():
    assert Dropout([0.0, 0.5, 1e-4], generator()).layers == [False, True, True]


@both_dtypes
def test_a_rate_near_1_keeps_a_few_units_and_their_factor_finite(dtype):
    for rate in (1.0 - 1e-4, 1.0 - 1e-9, np.nextafter(1.0, 0.0)):
        (factor,) = factors_of([rate], generator(), n_rows=100_000, dtype=dtype)
        least_kept = max(1.0 - rate, 1.0 / N_LEVELS)
        expected = factor.size * least_kept
        assert abs((factor > 0.0).sum() - expected) < 5.0 * np.sqrt(expected) + 0.01 * expected
        assert factor.max() == pytest.approx(1.0 / least_kept, rel=0.1)
        assert factor.max() <= N_LEVELS


def test_a_rate_near_0_leaves_out_a_few_units_and_one_that_rounds_to_0_none():
    (factor,) = factors_of([1.0 / N_LEVELS], generator(), n_rows=100_000)
    expected = factor.size / N_LEVELS
    assert abs((factor == 0.0).sum() - expected) < 5.0 * np.sqrt(expected)
    assert Dropout([0.49 / N_LEVELS], generator()).layers == [False]


# What it does to a network


def network(hidden=(6,), n_outputs=3, seed=0):
    rng = np.random.default_rng(seed)
    params = Parameters((5, *hidden, n_outputs), np.float64)
    params.vector[...] = rng.standard_normal(params.vector.size)
    return params, rng


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@every_activation
def test_the_expectation_of_what_a_layer_passes_on_is_the_activation(activation, rate):
    params, rng = network()
    n_rows, n_draws = 400, 100
    X = np.repeat(rng.standard_normal((1, 5)), n_rows, axis=0)
    dropout = Dropout([rate], generator())
    tape = Tape(n_rows, params.units, np.float64, drops=dropout.layers)
    passed_on, logits = np.zeros(6), np.zeros(3)
    for _ in range(n_draws):
        dropout.draw(tape)
        logits += forward(params.weights, params.biases, [ACTIVATIONS[activation]], X, tape).mean(axis=0) / n_draws
        passed_on += tape.input[1].mean(axis=0) / n_draws
    a = tape.a[1][0]
    plain = Tape(n_rows, params.units, np.float64)
    expected = forward(params.weights, params.biases, [ACTIVATIONS[activation]], X, plain)[0]
    assert_array_equal(a, plain.a[1][0])
    # Each is a mean of 40,000 independent ones, of standard deviation |a| sqrt(p / (1 - p)).
    deviation = abs(a) * np.sqrt(rate / (1.0 - rate) / (n_rows * n_draws))
    assert (abs(passed_on - a) <= 5.0 * deviation).all()
    # The logits are linear in them.
    assert (abs(logits - expected) <= 5.0 * np.sqrt(deviation**2 @ params.weights[1] ** 2)).all()


def problem(n_rows, hidden, loss, seed=0):
    params, rng = network(hidden, seed=seed)
    X = rng.standard_normal((n_rows, 5)) * (rng.random((n_rows, 5)) < 0.7)
    target = rng.integers(3, size=n_rows) if loss == "softmax" else rng.random((n_rows, 3)) < 0.5
    return params, X, target, rng.uniform(0.5, 2.0, n_rows)


def objective(params, activations, loss, X, target, row_weight=None, dropout=None, alpha=0.3):
    return Objective(params, activations, LOSSES[loss], alpha, X, target, row_weight, dropout)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("rates", [(0.3, 0.5), (0.0, 0.5), (0.5, 0.0)], ids=str)
@pytest.mark.parametrize("loss", list(LOSSES))
@every_activation
def test_with_the_masks_held_the_gradient_agrees_with_central_differences(activation, loss, rates, weighted):
    params, X, target, row_weight = problem(9, (4, 3), loss)
    activations = [ACTIVATIONS[activation]] * 2

    def on():
        # A generator in the same state: the same masks.
        weight = row_weight if weighted else None
        return objective(params, activations, loss, X, target, weight, Dropout(rates, generator(5)))

    theta = params.vector.copy()
    (at := on()).value_and_gradient()
    gradient = at.gradient.vector.copy()

    def value(vector):
        params.vector[...] = vector
        return on().value_and_gradient()

    step = 1e-6  # so small that no kink of an activation is crossed
    for direction in np.random.default_rng(1).standard_normal((3, theta.size)):
        unit = direction / np.linalg.norm(direction)
        difference = (value(theta + step * unit) - value(theta - step * unit)) / (2 * step)
        error = abs(gradient @ unit - difference)
        assert error < 1e-6 * np.linalg.norm(gradient) / np.sqrt(theta.size)
    plain = objective(params, activations, loss, X, target, row_weight if weighted else None)
    params.vector[...] = theta
    plain.value_and_gradient()
    assert np.linalg.norm(plain.gradient.vector - gradient) > 0.01 * np.linalg.norm(gradient)


def reference(params, activations, loss, X, target, masks):
    """F without a penalty and its gradient on all rows at once, with given factors of the units of both hidden layers."""
    (W1, W2, W3), (b1, b2, b3) = params.weights, params.biases
    f, g = activations
    z1 = X @ W1 + b1
    a1 = f[0](z1) * masks[0]
    z2 = a1 @ W2 + b2
    a2 = g[0](z2) * masks[1]
    z3 = a2 @ W3 + b3
    if loss == "softmax":
        value = -log_softmax(z3, axis=1)[np.arange(len(X)), target].mean()
        d3 = (softmax(z3, axis=1) - np.eye(3)[target]) / len(X)
    else:
        value = -np.where(target, log_expit(z3), log_expit(-z3)).sum(axis=1).mean()
        d3 = (expit(z3) - target) / len(X)
    d2 = d3 @ W3.T * masks[1] * g[1](z2)
    d1 = d2 @ W2.T * masks[0] * f[1](z1)
    weights = [X.T @ d1, a1.T @ d2, a2.T @ d3]
    return value, np.concatenate([part.ravel() for part in [*weights, d1.sum(axis=0), d2.sum(axis=0), d3.sum(axis=0)]])


SILU = (lambda z: z * expit(z), lambda z: expit(z) * (1.0 + z * expit(-z)))
TANH = (np.tanh, lambda z: np.cosh(z) ** -2.0)


@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("rows", ["all", "slice", "shuffled", "few"])
def test_each_chunk_of_a_large_batch_has_masks_of_its_own(rows, loss, container):
    n_rows = 2 * CHUNK_ROWS + 100
    selection = {
        "all": slice(0, n_rows),
        "slice": slice(10, n_rows - 10),
        "shuffled": np.random.default_rng(2).permutation(n_rows),
        "few": np.array([5, 2000, 17]),
    }[rows]
    params, X, target, _ = problem(n_rows, (4, 3), loss)
    rates, activations = (0.3, 0.6), [ACTIVATIONS["silu"], ACTIVATIONS["tanh"]]
    at = objective(params, activations, loss, container(X), target, None, Dropout(rates, generator(5)), alpha=0.0)
    value = at.value_and_gradient(selection)
    # The same masks, drawn chunk after chunk of dense rows. Sparse ones are few enough here to make one chunk.
    chosen = np.arange(n_rows)[selection]
    dropout = Dropout(rates, generator(5))
    masks = []
    for start in range(0, len(chosen), CHUNK_ROWS if container is np.asarray else n_rows):
        length = min(CHUNK_ROWS if container is np.asarray else n_rows, len(chosen) - start)
        tape = Tape(length, params.units, np.float64, drops=dropout.layers)
        dropout.draw(tape)
        masks.append([factor.copy() for factor in tape.factor[1:3]])
    masks = [np.concatenate(layer) for layer in zip(*masks, strict=True)]
    expected_value, expected = reference(params, (SILU, TANH), loss, X[chosen], target[chosen], masks)
    assert value == pytest.approx(expected_value, rel=1e-12)
    assert_allclose(at.gradient.vector, expected, rtol=1e-9, atol=1e-13)


def test_every_evaluation_draws_anew():
    params, X, target, _ = problem(50, (4, 3), "softmax")
    at = objective(params, [ACTIVATIONS["tanh"]] * 2, "softmax", X, target, None, Dropout([0.5, 0.5], generator()))
    assert len({at.value_and_gradient() for _ in range(5)}) == 5


def test_rates_of_0_give_the_objective_without_dropout_bit_for_bit():
    params, X, target, _ = problem(50, (4, 3), "softmax")
    plain, without = (
        objective(params, [ACTIVATIONS["gelu"]] * 2, "softmax", X, target, None, dropout)
        for dropout in (None, Dropout([0.0, 0.0], generator()))
    )
    assert plain.value_and_gradient() == without.value_and_gradient()
    assert_array_equal(plain.gradient.vector, without.gradient.vector)


def test_rows_that_weigh_nothing_draw_nothing():
    # A batch of them is no step, and must not change those that follow.
    params, X, target, _ = problem(50, (4, 3), "softmax")
    weight = np.repeat([0.0, 1.0], 25)
    at = objective(
        params, [ACTIVATIONS["tanh"]] * 2, "softmax", X, target, weight, Dropout([0.5, 0.5], rng := generator())
    )
    assert at.value_and_gradient(slice(0, 25)) is None
    assert rng[0].randint(2**31) == generator()[0].randint(2**31)


@pytest.mark.parametrize("gauss_newton", [False, True], ids=["exact", "gauss-newton"])
@every_activation
def test_products_with_the_hessian_know_of_no_dropout(activation, gauss_newton):
    params, X, target, row_weight = problem(50, (4, 3), "softmax")
    v = np.random.default_rng(1).standard_normal(params.vector.size)
    plain, random = (
        objective(params, [ACTIVATIONS[activation]] * 2, "softmax", X, target, row_weight, dropout)
        for dropout in (None, Dropout([0.5, 0.5], generator()))
    )
    random.value_and_gradient()
    assert_array_equal(random.hessp(v, gauss_newton), plain.hessp(v, gauss_newton))


@both_dtypes
def test_the_gradient_keeps_the_type_of_the_parameters(dtype):
    params, X, target, _ = problem(50, (4, 3), "softmax")
    narrow = Parameters(params.units, dtype)
    narrow.vector[...] = params.vector
    activations = [ACTIVATIONS["gelu"]] * 2
    at = objective(narrow, activations, "softmax", X.astype(dtype), target, None, Dropout([0.3, 0.5], generator(5)))
    wide = objective(params, activations, "softmax", X, target, None, Dropout([0.3, 0.5], generator(5)))
    assert at.value_and_gradient() == pytest.approx(wide.value_and_gradient(), rel=1e-5)
    assert at.gradient.vector.dtype == dtype
    assert_allclose(at.gradient.vector, wide.gradient.vector, rtol=0, atol=1e-5 * abs(wide.gradient.vector).max())
