"""The objective is formula (3) and its gradient is exact, for every network, loss, weighting and division into batches."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from skbp._data.rows import Batch, Rows
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._network.tape import CHUNK_ROWS


def value_and_gradient(on, batches):
    on.gradient.vector[...] = np.nan  # an element that is not written shows
    return on.value_and_gradient(batches), on.gradient.vector.copy()


def at_and_on(p, selection=None, **options):
    """Value and gradient of a problem's objective."""
    return value_and_gradient(p.objective(**options), p.batches(selection))


def assert_close(ours, theirs, value=1e-12, gradient=1e-10):
    assert ours[0] == pytest.approx(theirs[0], rel=value)
    assert_allclose(ours[1], theirs[1], rtol=gradient, atol=1e-14)


class TestGradient:
    def test_in_float64_it_is_that_of_the_formulas(self, problem, network, output, weighted):
        activations, hidden = network
        p = problem(9, hidden, activations, *output, weighted=weighted)
        assert_close(at_and_on(p), p.reference(), value=1e-13, gradient=1e-11)

    def test_in_float64_it_agrees_with_central_differences(self, problem, network, output, weighted):
        activations, hidden = network
        p = problem(9, hidden, activations, *output, weighted=weighted)
        on, batches = p.objective(), p.batches()
        _, gradient = value_and_gradient(on, batches)
        theta, step = p.params.vector, 1e-5

        def value(vector):
            on.params.vector[...] = vector
            return on.value_and_gradient(batches)

        for direction in p.rng.standard_normal((3, theta.size)):
            unit = direction / np.linalg.norm(direction)
            difference = (value(theta + step * unit) - value(theta - step * unit)) / (2 * step)
            # Relative to what a direction sees of the gradient on average. A direction may be at right angles to it.
            error = abs(gradient @ unit - difference)
            assert error < 1e-7 * np.linalg.norm(gradient) / np.sqrt(theta.size)

    def test_in_float32_it_is_that_of_float64_rounded(self, problem, network, output, weighted):
        activations, hidden = network
        p = problem(9, hidden, activations, *output, weighted=weighted)
        value, gradient = at_and_on(p)
        narrow = p.objective(dtype=np.float32)
        narrow_value, narrow_gradient = value_and_gradient(narrow, p.batches(dtype=np.float32))
        assert narrow_gradient.dtype == np.float32
        assert narrow_value == pytest.approx(value, rel=3e-6)
        assert np.linalg.norm(narrow_gradient - gradient) < 3e-6 * np.linalg.norm(gradient)


# Batches


N_ROWS = 2 * CHUNK_ROWS + 452
SELECTIONS = {
    "all": None,
    "first chunk": slice(0, CHUNK_ROWS),
    "one row more than a chunk": slice(10, 11 + CHUNK_ROWS),
    "slice": slice(100, N_ROWS - 7),
    "slice to the end": slice(N_ROWS - 5, N_ROWS),
    "shuffled": np.random.default_rng(1).permutation(N_ROWS),
    "few": np.array([5, 2000, 17]),
    "repeated": np.array([5, 5, 2000]),
}


def selected(selection):
    """A selection as NumPy takes it."""
    return slice(None) if selection is None else selection


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_the_batches_of_a_selection_add_up_to_the_whole(
    problem, output, container, weighted, selection, small_sparse_chunks
):
    p = problem(N_ROWS, (4, 3), ("tanh",) * 3, *output, weighted=weighted)
    p.X[p.X < 0.3] = 0.0
    found = at_and_on(replace(p, X=container(p.X)), selection)
    assert_close(found, p.reference(selected(selection)))


def test_batches_of_different_sizes_follow_one_another_without_traces(problem):
    p = problem(N_ROWS, weighted=True)
    on = p.objective()
    for selection in [slice(0, 3), None, np.array([7, 8, 9]), slice(0, 1500), slice(0, 3)]:
        assert_close(value_and_gradient(on, p.batches(selection)), p.reference(selected(selection)))


def test_the_objective_is_evaluated_where_the_parameters_now_are(problem):
    p = problem(20)
    on, batches = p.objective(), p.batches()
    on.value_and_gradient(batches)
    p.params.vector[...] = on.params.vector[...] = np.linspace(-1.0, 1.0, p.params.vector.size)
    assert on.value_and_gradient(batches) == pytest.approx(p.reference()[0], rel=1e-13)


@pytest.mark.parametrize("selection", [None, slice(3, 1200), np.arange(1500)[::-1]], ids=["all", "slice", "indices"])
def test_data_may_be_read_only(problem, container, selection):
    p = problem(N_ROWS, weighted=True)
    expected = at_and_on(p, selection)
    X = container(p.X)
    arrays = [X.data, X.indices, X.indptr] if container is csr_array else [X]
    for array in [*arrays, p.target, p.weight]:
        array.flags.writeable = False
    on = Objective(p.params, [ACTIVATIONS["tanh"]], LOSSES["softmax"], 0.3)
    assert_close(value_and_gradient(on, replace(p, X=X).batches(selection)), expected)


@pytest.mark.parametrize("selection", [None, np.arange(N_ROWS)], ids=["slice", "indices"])
def test_values_and_gradients_repeat_bit_for_bit(problem, selection):
    p = problem(N_ROWS, weighted=True)
    on = p.objective()
    value, gradient = value_and_gradient(on, p.batches(selection))
    on.value_and_gradient(p.batches(slice(0, 100)))
    again, gradient_again = value_and_gradient(on, p.batches(selection))
    assert again == value
    assert_array_equal(gradient_again, gradient)


# Weights of the rows


@pytest.mark.parametrize("n_rows", [30, N_ROWS])
def test_rows_of_weight_zero_count_as_absent(problem, n_rows):
    p = problem(n_rows, weighted=True)
    kept = p.weight > 0
    without = replace(p, X=p.X[kept], target=p.target[kept], weight=p.weight[kept])
    assert_close(at_and_on(p), at_and_on(without))


@pytest.mark.parametrize("n_rows", [30, N_ROWS])
def test_a_row_of_weight_two_counts_as_two_rows(problem, n_rows):
    p = problem(n_rows)
    times = p.rng.integers(4, size=n_rows)
    repeated = replace(p, X=p.X.repeat(times, axis=0), target=p.target.repeat(times, axis=0))
    assert_close(at_and_on(replace(p, weight=times.astype(float))), at_and_on(repeated))


def test_weights_of_one_equal_no_weights(problem):
    p = problem(30)
    assert_close(at_and_on(replace(p, weight=np.ones(30))), at_and_on(p))


def test_rows_with_weights_that_are_all_zero_make_no_batch(problem):
    # So no call of the objective sees a sum of weights of 0.
    rows = replace(problem(30), weight=np.repeat([0.0, 1.0], 15)).rows()
    assert rows.take(slice(0, 15)) == []
    assert rows.take(np.array([3, 1])) == []
    (batch,) = rows.take(slice(14, 16))
    assert batch.total == 1.0
    assert np.isfinite(problem(30).objective().value_and_gradient([batch]))


# The loss of each row


@pytest.mark.parametrize("n_rows", [17, N_ROWS])
def test_row_losses_are_those_of_the_logits_without_weights_and_penalty(
    problem, closed_forms, output, container, n_rows, weighted, small_sparse_chunks
):
    p = problem(n_rows, (4,), ("tanh",) * 3, *output, weighted=weighted)
    (W1, W2), (b1, b2) = p.params.copies()
    expected = closed_forms[p.loss].losses(np.tanh(p.X @ W1 + b1) @ W2 + b2, p.target)
    rows = replace(p, X=container(p.X)).rows()
    losses = p.objective(alpha=5.0).row_losses(rows.chunks())
    assert losses.shape == (len(rows),) == (n_rows,)
    assert_allclose(losses, expected, rtol=1e-12, atol=1e-14)


# The penalty


def test_the_penalty_is_that_of_the_weights_divided_by_the_sum_of_row_weights(problem):
    p = problem(30, weighted=True)
    S = p.weight.sum()
    plain, penalised = at_and_on(p, alpha=0.0), at_and_on(p, alpha=5.0)
    weights = p.params.weight_vector
    assert penalised[0] - plain[0] == pytest.approx(5.0 / (2 * S) * sum(w * w for w in weights), rel=1e-11)
    difference = penalised[1] - plain[1]
    assert_allclose(difference[: weights.size], 5.0 / S * weights, rtol=1e-10, atol=1e-14)
    assert_array_equal(difference[weights.size :], 0.0)  # biases are not penalised


def test_the_penalty_is_false_without_strength(problem):
    p = problem(9, (4, 3))
    for alpha in (0.0, [0.0, 0.0, 0.0]):
        assert not p.objective(alpha).penalty
    for alpha in (0.1, [0.0, 0.0, 0.1]):
        assert p.objective(alpha).penalty


class TestAlphaOfEachLayer:
    def test_value_and_gradient_are_those_of_the_formulas(self, problem, output, penalised, weighted):
        hidden, alpha = penalised
        p = problem(9, hidden, ("tanh",) * 3, *output, weighted=weighted)
        assert_close(at_and_on(p, alpha=alpha), p.reference(alpha=alpha), value=1e-13, gradient=1e-11)

    def test_it_adds_to_each_layer_what_is_computed_by_hand(self, problem, output, penalised, weighted):
        hidden, alpha = penalised
        p = problem(9, hidden, ("tanh",) * 3, *output, weighted=weighted)
        S = p.weight.sum() if weighted else 9
        (value, gradient), (plain_value, plain_gradient) = at_and_on(p, alpha=alpha), at_and_on(p, alpha=0.0)
        penalty = sum(strength * (W**2).sum() for strength, W in zip(alpha, p.params.weights, strict=True)) / (2.0 * S)
        assert value - plain_value == pytest.approx(penalty, rel=1e-10)
        parts = p.params.like()
        parts.vector[...] = gradient - plain_gradient
        for strength, W, part in zip(alpha, p.params.weights, parts.weights, strict=True):
            assert_allclose(part, strength / S * W, rtol=1e-9, atol=1e-13)
        for part in parts.biases:
            assert_allclose(part, 0.0, rtol=0, atol=1e-14)

    def test_equal_numbers_have_the_effect_of_one_number(self, problem, output, penalised, weighted):
        hidden, alpha = penalised
        p = problem(9, hidden, ("tanh",) * 3, *output, weighted=weighted)
        for strength in (0.0, 0.3):
            # In float32 one number is rounded after the division by S, and several numbers before it.
            for dtype, tolerance in ((np.float64, 0.0), (np.float32, 3e-7)):
                batches = p.batches(dtype=dtype)
                value, gradient = value_and_gradient(p.objective(strength, dtype), batches)
                values, gradients = value_and_gradient(p.objective([strength] * len(alpha), dtype), batches)
                assert values == pytest.approx(value, rel=tolerance, abs=0.0)
                assert gradients.dtype == dtype
                assert_allclose(gradients, gradient, rtol=0, atol=tolerance * abs(gradient).max())


@pytest.mark.parametrize("selection", [slice(100, N_ROWS - 7), np.array([5, 2000, 17])], ids=["chunks", "few"])
def test_alpha_of_each_layer_counts_once_over_several_batches(problem, selection):
    p, alpha = problem(N_ROWS, (4, 3), weighted=True), [30.0, 0.0, 2.5]
    assert_close(at_and_on(p, selection, alpha=alpha), p.reference(selection, alpha))


# Label smoothing


def test_label_smoothing_mixes_the_losses_of_all_labels(problem, output, weighted):
    # The loss is linear in the target. So the loss of an evenly spread target is the mean of the losses of all labels.
    loss, n_outputs = output
    p = problem(9, (4, 3), ("tanh",) * 3, loss, n_outputs, weighted=weighted)
    if loss == "softmax":
        labels = [np.full(9, k) for k in range(n_outputs)]
    else:
        labels = [np.full((9, n_outputs), answer) for answer in (True, False)]
    own, *spread = (np.append(*replace(p, target=target).reference()) for target in [p.target, *labels])
    found = np.append(*at_and_on(p, label_smoothing=0.2))
    assert_allclose(found, 0.8 * own + 0.2 * np.mean(spread, axis=0), rtol=1e-11, atol=1e-14)


# Derivatives of 0 that are not written


def text_like(problem_of, n_features=400):
    """A network at random parameters, and 40 rows with few elements each."""
    rng = np.random.default_rng(0)
    params = Parameters((n_features, 5, 3), np.float64)
    params.vector[...] = 0.1 * rng.standard_normal(params.vector.size)
    X = csr_array(rng.standard_normal((40, n_features)) * (rng.random((40, n_features)) < 0.01))
    return problem_of(params, X, rng.integers(3, size=40), None, ("tanh",), "softmax")


@pytest.mark.parametrize("selection", [slice(3, 13), np.array([7, 2, 30, 2])], ids=["slice", "indices"])
def test_only_the_columns_that_occur_are_written_if_zeros_may_be_skipped(problem_of, selection):
    p = text_like(problem_of)
    plain = p.objective(0.0)
    value, whole = value_and_gradient(plain, p.batches(selection))
    assert plain.gradient.columns is None
    on = p.objective(0.0, skips_zeros=True)
    found, gradient = value_and_gradient(on, p.batches(selection))
    assert found == value
    occur = np.flatnonzero(abs(p.X[selection]).sum(axis=0))
    assert 0 < len(occur) < 100
    assert_array_equal(on.gradient.columns, occur)
    unwritten = np.isnan(gradient)
    assert unwritten.sum() == (400 - len(occur)) * 5
    assert_array_equal(gradient[~unwritten], whole[~unwritten])
    assert (whole[unwritten] == 0.0).all()


@pytest.mark.parametrize(
    ("selection", "alpha", "as_given"),
    [
        (slice(0, 10), 0.1, csr_array),
        (slice(0, 40), 0.0, csr_array),
        (slice(0, 10), [0.1, 0.0], csr_array),
        (slice(0, 10), 0.0, csr_array.toarray),
    ],
    ids=["penalty", "many elements", "penalty of the first layer", "dense"],
)
def test_all_columns_are_written_where_they_must_be(problem_of, selection, alpha, as_given):
    p = text_like(problem_of)
    on = p.objective(alpha, skips_zeros=True)
    _, gradient = value_and_gradient(on, replace(p, X=as_given(p.X)).batches(selection))
    assert on.gradient.columns is None
    assert np.isfinite(gradient).all()


def test_all_columns_are_written_for_several_batches_and_for_stacks(problem_of):
    p = text_like(problem_of)
    on = p.objective(0.0, skips_zeros=True)
    (few,) = p.batches(slice(0, 4))
    on.value_and_gradient([few])
    assert on.gradient.columns is not None
    rows = Rows(p.X, None, None, p.target, None)
    halves = [Batch(rows, indices, 4.0, 2) for indices in (slice(0, 2), slice(2, 4))]
    _, gradient = value_and_gradient(on, halves)
    assert on.gradient.columns is None
    assert_allclose(gradient, at_and_on(p, slice(0, 4), alpha=0.0)[1], rtol=1e-12, atol=1e-16)
    params = Parameters((400, 5, 3), np.float64, (2,))
    params.vector[...] = p.params.vector
    stack = Objective(params, p.records, LOSSES["softmax"], 0.0, skips_zeros=True)
    rows = Rows(p.X, None, None, p.target, None, n_units=8)
    _, of_members = value_and_gradient(stack, rows.take(np.array([[0, 1, 2, 3], [0, 1, 2, 3]])))
    assert stack.gradient.columns is None
    assert_allclose(of_members, [gradient, gradient], rtol=1e-12, atol=1e-16)
