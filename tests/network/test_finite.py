"""Whether F is finite: the bounds and the forward pass give the answer that all logits show."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skbp._data.rows import Rows
from skbp._network.activations import ACTIVATIONS, Activation
from skbp._network.finite import is_finite
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._network.tape import CHUNK_ROWS

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def logits_of(params, activations, X):
    """The forward pass, written independently of the package, in the type of the parameters."""
    a = X.astype(params.vector.dtype)
    with np.errstate(all="ignore"):
        for layer, (weight, bias) in enumerate(zip(params.weights, params.biases, strict=True)):
            z = a @ weight + bias
            a = activations[layer].function(z, out=np.zeros_like(z)) if layer < len(activations) else z
    return a


def no_part_of_a_sum_overflows(params, activations, X):
    """Whether the absolute terms of every sum add up to a number of the type."""
    a, largest = X.astype(np.float64), float(np.finfo(params.vector.dtype).max)
    with np.errstate(all="ignore"):
        for layer, (weight, bias) in enumerate(zip(params.weights, params.biases, strict=True)):
            weight, bias = weight.astype(np.float64), bias.astype(np.float64)  # noqa: PLW2901
            if not (np.abs(a) @ np.abs(weight) + np.abs(bias) <= largest / 2).all():
                return False
            z = a @ weight + bias
            a = activations[layer].function(z, out=np.zeros_like(z)) if layer < len(activations) else z
    return True


def leaves_room(logits):
    """Whether logits are finite, and their sums and differences too."""
    with np.errstate(all="ignore"):
        return bool((np.abs(logits) <= np.finfo(logits.dtype).max / 16).all())


def sized_network(name, dtype, hidden, sizes, size_of_X, seed, members=()):
    """Parameters of a given size in each layer, activations and rows."""
    rng = np.random.RandomState(seed)
    params = Parameters([4, *hidden, 3], np.dtype(dtype), members)
    with np.errstate(all="ignore"):
        for size, weight, bias in zip(sizes, params.weights, params.biases, strict=False):
            weight[...] = rng.normal(size=weight.shape) * size
            bias[...] = rng.normal(size=bias.shape) * size
        X = (rng.uniform(-1.0, 1.0, (7, 4)) * size_of_X).astype(dtype)
    return params, [ACTIVATIONS[name]] * len(hidden), X


def rows_of(X, target=None):
    return Rows(X, None, None, np.zeros(X.shape[0], np.intp) if target is None else target, None)


def found(params, activations, X):
    """The answer of the package."""
    with np.errstate(all="ignore"):
        return is_finite(params, activations, rows_of(X))


@st.composite
def networks(draw):
    dtype = draw(st.sampled_from(["float32", "float64"]))
    limit = 38.0 if dtype == "float32" else 307.0
    hidden = draw(st.lists(st.integers(1, 6), max_size=4))
    sizes = [10.0 ** draw(st.floats(-limit, limit)) for _ in range(len(hidden) + 1)]
    name = draw(st.sampled_from(sorted(ACTIVATIONS)))
    size_of_X = 10.0 ** draw(st.floats(-limit, limit))
    return name, dtype, hidden, sizes, size_of_X, draw(st.integers(0, 99))


@settings(max_examples=600, deadline=None)
@example(("logistic", "float32", [5, 6, 6, 6], [1.0, 1.0, 1.0, 1e38, 1.0], 1.0, 6))
@given(networks())
def test_it_says_what_a_forward_pass_shows(case):
    params, activations, X = sized_network(*case)
    # Where a part of a sum overflows, the order of the sum decides, and with it the processor.
    if no_part_of_a_sum_overflows(params, activations, X):
        assert found(params, activations, X) is leaves_room(logits_of(params, activations, X))


@every_dtype
@every_activation
def test_it_is_right_at_the_edge_of_overflow(activation, dtype):
    # The sizes are around the one with which the logits leave the range of the type.
    largest = float(np.finfo(dtype).max)
    for depth in (0, 1, 3):
        seen = set()
        for factor in np.geomspace(1e-3, 1e3, 40):
            size = factor * largest ** (1.0 / (depth + 2))
            case = sized_network(activation, dtype, [5] * depth, [size] * (depth + 1), size, 0)
            answer = found(*case)
            assert answer is leaves_room(logits_of(*case))
            seen.add(answer)
        assert True in seen


@every_dtype
@pytest.mark.parametrize("hidden", [[], [5], [5, 5]])
def test_the_answer_for_a_stack_is_that_for_each_member(hidden, dtype):
    params, activations, X = sized_network("relu", dtype, hidden, [1.0] * 3, 1.0, 0, (24,))
    params.vector *= np.geomspace(1e-3, 0.1 * np.finfo(dtype).max, 24)[:, None].astype(dtype)
    for i in (3, 11):
        params.member(i).vector[-1] = np.nan if i == 3 else np.inf
    answers = found(params, activations, X)
    expected = [leaves_room(logits_of(params.member(i), activations, X)) for i in range(24)]
    assert answers.dtype == bool
    assert_array_equal(answers, expected)
    assert {True, False} == set(expected)


@every_dtype
@pytest.mark.parametrize("size", [1.0, 1e10, 1e30])
def test_sparse_rows_have_the_answer_of_dense_rows(size, dtype):
    for seed in range(5):
        params, activations, X = sized_network("relu", dtype, [5], [size, size], size, seed)
        assert found(params, activations, X) is found(params, activations, csr_array(X))


@pytest.mark.parametrize("where", ["weight", "bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@every_activation
def test_it_notices_parameters_that_are_not_finite(activation, value, where):
    # tanh and others hide an infinite sum.
    params, activations, X = sized_network(activation, "float64", [5], [1.0, 1.0], 1.0, 0)
    (params.weights if where == "weight" else params.biases)[0][..., 1] = value
    assert found(params, activations, X) is False


def test_one_row_of_the_last_chunk_decides(container):
    params, activations, _ = sized_network("relu", "float64", [5], [1.0, 1.0], 1.0, 0)
    X = np.ones((2 * CHUNK_ROWS + 1, 4))
    assert found(params, activations, container(X)) is True
    X[-1] = 1e308
    assert not leaves_room(logits_of(params, activations, X))
    assert found(params, activations, container(X)) is False


def test_an_activation_that_grows_faster_than_linearly_needs_the_forward_pass():
    cubic = Activation(
        lambda z, out: np.power(z, 3, out=out), lambda z, out: np.multiply(3.0 * z, z, out=out), needs_z=True
    )
    assert not cubic.grows_linearly
    answers = set()
    for size in np.geomspace(1.0, 1e60, 30):
        params, _, X = sized_network("relu", "float64", [5, 5], [1.0] * 3, size, 0)
        answer = found(params, [cubic] * 2, X)
        assert answer is leaves_room(logits_of(params, [cubic] * 2, X))
        answers.add(answer)
    assert answers == {True, False}


@every_dtype
@pytest.mark.parametrize("name", LOSSES)
def test_the_value_of_an_objective_that_is_called_finite_is_finite(name, dtype):
    # Logits may be finite while their differences or the sum of their losses are not.
    largest = np.finfo(dtype).max
    for share in (0.1, 0.3, 0.4, 0.6, 0.9, 1.0):
        params = Parameters([1, 3], np.dtype(dtype))
        params.set([np.array([[share, -share, share]]) * largest], [np.zeros(3)])
        target = np.array([1, 0]) if name == "softmax" else np.array([[False, True, False], [True, False, True]])
        objective = Objective(params, [], LOSSES[name], 0.0)
        rows = rows_of(np.ones((2, 1), dtype), target)
        with np.errstate(all="ignore"):
            if objective.is_finite(rows):
                assert np.isfinite(objective.value_and_gradient(rows.chunks()))
