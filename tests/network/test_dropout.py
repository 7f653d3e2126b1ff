"""Dropout leaves out the given share of units, changes no expectation, and has the right derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbp import _core
from skbp._network.activations import ACTIVATIONS
from skbp._network.curvature import Curvature
from skbp._network.dropout import N_LEVELS, Dropout
from skbp._network.equations import forward
from skbp._network.losses import LOSSES
from skbp._network.parameters import Parameters
from skbp._network.tape import CHUNK_ROWS, Tape
from skbp._training.history import History
from skbp._training.minibatch import MiniBatchSolver
from skbp._training.monitor import Monitor
from skbp._training.schedules import Progress
from skbp._training.updates import UPDATES

RATES = [0.001, 0.1, 0.25, 0.5, 0.7, 0.99]
every_activation = pytest.mark.parametrize("activation", list(ACTIVATIONS))
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
some_rates = pytest.mark.parametrize("rate", RATES)


def generator(seed=0):
    """The random generators of one network: a list of one."""
    return [np.random.RandomState(seed)]


def factors_of(rates, rngs, n_rows=1000, width=20, dtype=np.float64):
    """The factors that a dropout draws for hidden layers of this width."""
    dropout = Dropout(rates, rngs)
    tape = Tape(n_rows, [3, *[width] * len(rates), 2], dtype, drops=dropout.layers)
    dropout.draw(tape)
    return [None if factor is None else factor.copy() for factor in tape.factor[1:-1]]


@pytest.mark.skipif(_core.draw_factors is None, reason=f"no compiled core: {_core.why_absent}")
@some_rates
@both_dtypes
@pytest.mark.parametrize(("n_members", "n_rows"), [(None, 50), (1, 7), (3, 50), (5, 1)])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_core_draws_the_same(n_threads, n_members, n_rows, dtype, rate):
    drawn = []
    for threads in (0, n_threads):
        dropout = Dropout([rate, 0.3], [np.random.RandomState(k) for k in range(n_members or 1)])
        members = () if n_members is None else (n_members,)
        tape = Tape(n_rows, [3, 7, 5, 2], np.dtype(dtype), drops=dropout.layers, members=members)
        for _ in range(2):
            dropout.draw(tape, threads)
            drawn.append([factor.copy() for factor in tape.factor[1:-1]])
    for one, other in zip(drawn[:2], drawn[2:], strict=True):
        for numpys, cores in zip(one, other, strict=True):
            assert_array_equal(numpys, cores)


@pytest.mark.parametrize("n_threads", [0, 2])
def test_any_number_of_members_is_drawn(n_threads):
    dropout = Dropout([0.5], [np.random.RandomState(0)] * 4200)
    tape = Tape(1, [1, 2, 1], np.dtype(np.float64), drops=dropout.layers, members=(4200,))
    dropout.draw(tape, n_threads if _core.draw_factors else 0)
    assert tape.factor[1].mean() == pytest.approx(1.0, abs=0.05)


# What it draws


@some_rates
@both_dtypes
def test_a_factor_is_0_or_makes_up_for_the_units_left_out(rate, dtype):
    (factor,) = factors_of([rate], generator(), dtype=dtype)
    assert factor.dtype == dtype
    kept = factor[factor != 0.0]
    assert len(set(kept.tolist())) == 1
    # The rate is rounded to a multiple of 1 / N_LEVELS.
    assert 1.0 / kept[0] == pytest.approx(1.0 - rate, abs=0.51 / N_LEVELS)


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.75])
def test_rates_that_need_no_rounding_have_their_exact_factor(rate):
    (factor,) = factors_of([rate], generator())
    assert set(factor.ravel().tolist()) == {0.0, 1.0 / (1.0 - rate)}


@some_rates
def test_the_share_of_units_left_out_is_the_rate(rate):
    (factor,) = factors_of([rate], generator(), n_rows=20_000)
    n = factor.size
    deviation = np.sqrt(rate * (1.0 - rate) / n)
    assert abs((factor == 0.0).mean() - rate) < 4.0 * deviation + 0.5 / N_LEVELS


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.7])
def test_all_units_are_left_out_equally_often_and_independently_of_each_other(rate):
    n = 20_000
    (factor,) = factors_of([rate], generator(), n_rows=n)
    kept = (factor > 0.0) - (1.0 - rate)
    correlations = kept.T @ kept / (n * rate * (1.0 - rate))
    assert abs(correlations[~np.eye(20, dtype=bool)]).max() < 5.0 / np.sqrt(n)
    assert abs(kept.mean(axis=0)).max() < 5.0 * np.sqrt(rate * (1.0 - rate) / n)
    of_rows = (kept[1:] * kept[:-1]).mean() / (rate * (1.0 - rate))  # each row and the next
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
def test_the_units_left_out_do_not_depend_on_the_type(dtype):
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
def test_without_a_rate_above_0_the_generator_stays_as_it_is(rates):
    assert factors_of(rates, rng := generator()) == [None] * len(rates)
    assert rng[0].randint(2**31) == generator()[0].randint(2**31)


def test_layers_tells_which_layers_leave_out_units():
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


def test_a_rate_near_0_leaves_out_a_few_units_and_a_rate_that_rounds_to_0_none():
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
def test_the_expectation_of_the_output_of_a_layer_is_the_activation(activation, rate):
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
    # Each is a mean of 40,000 independent numbers with the standard deviation |a| sqrt(p / (1 - p)).
    deviation = abs(a) * np.sqrt(rate / (1.0 - rate) / (n_rows * n_draws))
    assert (abs(passed_on - a) <= 5.0 * deviation).all()
    # The logits are linear in the outputs of the layer.
    assert (abs(logits - expected) <= 5.0 * np.sqrt(deviation**2 @ params.weights[1] ** 2)).all()


@pytest.fixture
def small_problem(problem_of):
    """Makes a problem with sparse rows and three outputs."""

    def make(n_rows, hidden=(4, 3), activation="tanh", loss="softmax", weighted=False):
        params, rng = network(hidden)
        X = rng.standard_normal((n_rows, 5)) * (rng.random((n_rows, 5)) < 0.7)
        target = rng.integers(3, size=n_rows) if loss == "softmax" else rng.random((n_rows, 3)) < 0.5
        weight = rng.uniform(0.5, 2.0, n_rows)
        return problem_of(params, X, target, weight if weighted else None, (activation,) * len(hidden), loss)

    return make


@pytest.mark.parametrize("rates", [(0.3, 0.5), (0.0, 0.5), (0.5, 0.0)], ids=str)
@pytest.mark.parametrize("loss", list(LOSSES))
@every_activation
def test_with_fixed_masks_the_gradient_agrees_with_central_differences(
    small_problem, activation, loss, rates, weighted
):
    p = small_problem(9, activation=activation, loss=loss, weighted=weighted)
    batches = p.batches()

    def masked():
        # A generator in the same state draws the same masks.
        return p.objective(dropout=Dropout(rates, generator(5)))

    theta = p.params.vector.copy()
    (on := masked()).value_and_gradient(batches)
    gradient = on.gradient.vector.copy()

    def value(vector):
        p.params.vector[...] = vector
        return masked().value_and_gradient(batches)

    step = 1e-6  # so small that no sum crosses a kink of an activation
    for direction in np.random.default_rng(1).standard_normal((3, theta.size)):
        unit = direction / np.linalg.norm(direction)
        difference = (value(theta + step * unit) - value(theta - step * unit)) / (2 * step)
        error = abs(gradient @ unit - difference)
        assert error < 1e-6 * np.linalg.norm(gradient) / np.sqrt(theta.size)
    p.params.vector[...] = theta
    plain = p.objective()
    plain.value_and_gradient(batches)
    assert np.linalg.norm(plain.gradient.vector - gradient) > 0.01 * np.linalg.norm(gradient)


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("selection", ["all", "slice", "shuffled", "few"])
def test_each_batch_of_a_large_selection_has_masks_of_its_own(small_problem, selection, loss, container):
    n_rows = 2 * CHUNK_ROWS + 100
    selected = {
        "all": slice(0, n_rows),
        "slice": slice(10, n_rows - 10),
        "shuffled": np.random.default_rng(2).permutation(n_rows),
        "few": np.array([5, 2000, 17]),
    }[selection]
    p = replace(small_problem(n_rows, loss=loss), activations=("silu", "tanh"))
    rates = (0.3, 0.6)
    on = p.objective(alpha=0.0, dropout=Dropout(rates, generator(5)))
    value = on.value_and_gradient(replace(p, X=container(p.X)).batches(selected))
    # The same masks, drawn for one batch of dense rows after another. The sparse rows are so few that they make one batch.
    size, n_selected = CHUNK_ROWS if container is np.asarray else n_rows, len(p.X[selected])
    dropout = Dropout(rates, generator(5))
    masks = []
    for start in range(0, n_selected, size):
        tape = Tape(min(size, n_selected - start), p.params.units, np.float64, drops=dropout.layers)
        dropout.draw(tape)
        masks.append([factor.copy() for factor in tape.factor[1:3]])
    factors = [np.concatenate(layer) for layer in zip(*masks, strict=True)]
    expected_value, expected = p.reference(selected, alpha=0.0, factors=factors)
    assert value == pytest.approx(expected_value, rel=1e-12)
    assert_allclose(on.gradient.vector, expected, rtol=1e-9, atol=1e-13)


def test_every_evaluation_draws_new_masks(small_problem):
    p = small_problem(50)
    on, batches = p.objective(dropout=Dropout([0.5, 0.5], generator())), p.batches()
    assert len({on.value_and_gradient(batches) for _ in range(5)}) == 5


def test_rates_of_0_give_the_objective_without_dropout_bit_for_bit(small_problem):
    p = small_problem(50, activation="gelu")
    plain, without = p.objective(), p.objective(dropout=Dropout([0.0, 0.0], generator()))
    assert plain.value_and_gradient(p.batches()) == without.value_and_gradient(p.batches())
    assert_array_equal(plain.gradient.vector, without.gradient.vector)


def test_rows_of_weight_zero_draw_nothing(small_problem):
    # A batch of such rows is not a step. It must not change the masks of the next batch.
    p = replace(small_problem(50), weight=np.repeat([0.0, 1.0], 25))
    assert p.batches(slice(0, 25)) == []
    results = []
    for rows in (p.rows(), replace(p, X=p.X[25:], target=p.target[25:], weight=p.weight[25:]).rows()):
        on, history = p.objective(dropout=Dropout([0.5, 0.5], rng := generator())), History(0.0, np.inf)
        monitor = Monitor(history)
        monitor.start(on.params)
        sgd = UPDATES["sgd"](0.0, False)
        MiniBatchSolver(sgd, lambda progress: 1.0, 0.1, 25, False, rng, Progress(), 10).run(on, rows, monitor, 3)
        results.append((on.params.vector, history.loss_curve, rng[0].randint(2**31)))
    (vector, losses, drawn), (vector_without, losses_without, drawn_without) = results
    assert_array_equal(vector, vector_without)
    assert abs(vector - p.params.vector).max() > 1e-3
    assert losses == losses_without
    assert drawn == drawn_without


@pytest.mark.parametrize("gauss_newton", [False, True], ids=["exact", "gauss-newton"])
@every_activation
def test_products_with_the_hessian_ignore_dropout(small_problem, activation, gauss_newton):
    p = small_problem(50, activation=activation, weighted=True)
    v = np.random.default_rng(1).standard_normal(p.params.vector.size)
    plain, random = p.objective(), p.objective(dropout=Dropout([0.5, 0.5], generator()))
    random.value_and_gradient(p.batches())
    ours, theirs = (Curvature(on, p.batches()).product(v, gauss_newton) for on in (random, plain))
    assert_array_equal(ours, theirs)


@both_dtypes
def test_the_gradient_keeps_the_type_of_the_parameters(small_problem, dtype):
    p = small_problem(50, activation="gelu")
    narrow, wide = (p.objective(dtype=of, dropout=Dropout([0.3, 0.5], generator(5))) for of in (dtype, np.float64))
    value = narrow.value_and_gradient(p.batches(dtype=dtype))
    assert value == pytest.approx(wide.value_and_gradient(p.batches()), rel=1e-5)
    assert narrow.gradient.vector.dtype == dtype
    scale = abs(wide.gradient.vector).max()
    assert_allclose(narrow.gradient.vector, wide.gradient.vector, rtol=0, atol=1e-5 * scale)
