"""Weights and biases are views of one flat vector, in a fixed order. A gradient updates all that a batch reached."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp._network.parameters import Gradient, Parameters


def counted(units=(3, 2, 4), dtype=np.float64):
    """Parameters whose elements are their own positions in the vector."""
    params = Parameters(units, dtype)
    params.vector[...] = np.arange(params.vector.size)
    return params


def test_weights_come_first_layer_by_layer_in_c_order_and_then_the_biases():
    params = counted()
    assert params.vector.shape == (6 + 8 + 2 + 4,)
    assert_array_equal(params.weights[0], [[0, 1], [2, 3], [4, 5]])
    assert_array_equal(params.weights[1], [[6, 7, 8, 9], [10, 11, 12, 13]])
    assert_array_equal(params.biases[0], [14, 15])
    assert_array_equal(params.biases[1], [16, 17, 18, 19])


def test_the_weight_vector_is_all_weights_and_no_bias():
    params = counted()
    assert_array_equal(params.weight_vector, np.arange(14))
    assert np.shares_memory(params.weight_vector, params.vector)


@pytest.mark.parametrize("units", [(3, 2), (1, 1), (2, 3, 1, 4)])
def test_networks_of_any_number_of_layers_have_weights_and_biases(units):
    params = counted(units)
    assert [w.shape for w in params.weights] == list(pairwise(units))
    assert [b.shape for b in params.biases] == [(width,) for width in units[1:]]
    everything = np.concatenate([array.ravel() for array in params.weights + params.biases])
    assert_array_equal(everything, np.arange(params.vector.size))


def test_writing_to_a_view_writes_to_the_vector():
    params = counted()
    params.weights[1][1, 2] = -1.0
    params.biases[0][1] = -2.0
    params.weight_vector[0] = -3.0
    expected = np.arange(20.0)
    expected[[12, 15, 0]] = -1.0, -2.0, -3.0
    assert_array_equal(params.vector, expected)


def test_writing_to_the_vector_writes_to_the_views():
    params = counted()
    params.vector[[12, 15, 0]] = -1.0, -2.0, -3.0
    assert params.weights[1][1, 2] == -1.0
    assert params.biases[0][1] == -2.0
    assert params.weight_vector[0] == params.weights[0][0, 0] == -3.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_arrays_have_the_given_type(dtype):
    params = counted(dtype=dtype)
    assert {array.dtype for array in [params.vector, *params.weights, *params.biases]} == {np.dtype(dtype)}
    assert params.like().vector.dtype == dtype


def test_like_has_the_same_shapes_and_memory_of_its_own():
    params = counted()
    other = params.like()
    assert [w.shape for w in other.weights + other.biases] == [w.shape for w in params.weights + params.biases]
    other.vector[...] = -1.0
    assert_array_equal(params.vector, np.arange(20))


def test_copies_hold_the_numbers_in_memory_of_their_own():
    params = counted()
    weights, biases = params.copies()
    expected = counted()
    params.vector[...] = -1.0
    for copy, array in zip(weights + biases, expected.weights + expected.biases, strict=True):
        assert_array_equal(copy, array)
        assert copy.base is None  # a view would carry the whole vector into a pickle


def test_set_copies_arrays_in():
    source, params = counted(), Parameters((3, 2, 4), np.float64)
    weights, biases = source.copies()
    params.set(weights, biases)
    weights[0][...] = -1.0
    assert_array_equal(params.vector, source.vector)


def test_set_refuses_a_layer_too_few():
    params = counted()
    weights, biases = params.copies()
    with pytest.raises(ValueError, match="shorter"):
        params.set(weights, biases[:1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_layer_is_drawn_by_its_own_scale_first_the_weights_and_then_the_biases(dtype):
    params = Parameters((40, 30, 20, 50), dtype)
    params.draw([6.0, 0.0, 2.0], np.random.RandomState(0))
    # scikit-learn draws the same, layer by layer.
    rng = np.random.RandomState(0)
    for scale, W, b in zip([6.0, 0.0, 2.0], params.weights, params.biases, strict=True):
        bound = (scale / (W.shape[0] + W.shape[1])) ** 0.5
        assert_array_equal(W, rng.uniform(-bound, bound, W.shape).astype(dtype))
        assert_array_equal(b, rng.uniform(-bound, bound, b.shape).astype(dtype))
        assert abs(W).max() <= bound * (1.0 + np.finfo(dtype).eps)
        assert abs(W).max() >= 0.99 * bound


def test_draw_refuses_a_scale_too_few():
    with pytest.raises(ValueError, match="longer"):
        counted().draw([6.0], np.random.RandomState(0))


# A stack


def test_a_member_is_the_network_at_its_place_in_the_same_memory():
    params = Parameters((2, 3, 1), np.float64, (2,))
    params.vector[...] = np.arange(26.0).reshape(2, 13)
    member = params.member(1)
    assert (params.members, member.members) == ((2,), ())
    assert_array_equal(member.vector, np.arange(13.0, 26.0))
    assert_array_equal(member.weights[0], [[13.0, 14.0, 15.0], [16.0, 17.0, 18.0]])
    assert_array_equal(member.weights[1], [[19.0], [20.0], [21.0]])
    assert_array_equal(member.biases[0], [22.0, 23.0, 24.0])
    assert_array_equal(member.biases[1], [25.0])
    for of_stack, of_member in zip(params.weights + params.biases, member.weights + member.biases, strict=True):
        assert_array_equal(of_stack[1], of_member)
    member.weights[1][0, 0] = -1.0
    params.weight_vector[1, 0] = -2.0
    assert (params.vector[1, 6], member.weights[0][0, 0]) == (-1.0, -2.0)
    assert_array_equal(params.vector[0], np.arange(13.0))


def test_like_of_a_stack_is_a_stack_with_memory_of_its_own():
    params = Parameters((2, 3, 1), np.float32, (2,))
    params.vector[...] = 1.0
    other = params.like()
    other.vector[...] = 2.0
    assert (other.members, other.units, other.vector.dtype) == ((2,), (2, 3, 1), np.float32)
    assert_array_equal(params.vector, 1.0)


# A gradient


def gradient_of_ones(members=()):
    """A gradient with derivatives of 1, and parameters of 0."""
    gradient, params = Gradient((3, 2, 4), np.float64, members), Parameters((3, 2, 4), np.float64, members)
    gradient.vector[...] = 1.0
    params.vector[...] = 0.0
    return gradient, params


def descend(theta, gradient, learning_rate):
    theta -= learning_rate * gradient


def test_a_gradient_is_parameters_and_at_first_complete():
    gradient = Gradient((3, 2, 4), np.float32, (2,))
    assert gradient.columns is None
    assert (gradient.units, gradient.members, gradient.vector.dtype) == ((3, 2, 4), (2,), np.float32)
    gradient.vector[...] = np.arange(40).reshape(2, 20)
    assert_array_equal(gradient.biases[0], [[14, 15], [34, 35]])


@pytest.mark.parametrize("members", [(), (3,)], ids=["one network", "stack"])
def test_a_complete_gradient_updates_all_parameters_as_one_vector(members):
    gradient, params = gradient_of_ones(members)
    calls = []

    def step(theta, derivatives, learning_rate):
        calls.append((theta.shape, derivatives.shape))
        descend(theta, derivatives, learning_rate)

    gradient.update(params, step, 0.5)
    assert calls == [((params.vector.size,), (params.vector.size,))]
    assert_array_equal(params.vector, np.full(params.vector.shape, -0.5))
    assert_array_equal(gradient.vector, np.ones(gradient.vector.shape))


def test_a_gradient_of_some_columns_updates_their_weights_and_all_further_parameters():
    gradient, params = gradient_of_ones()
    gradient.columns = np.array([0, 2])
    gradient.weights[0][0] = 3.0, 4.0
    gradient.weights[0][1] = np.nan  # is not written, and must not be read
    gradient.biases[1][3] = 8.0
    gradient.update(params, descend, 0.5)
    assert_array_equal(params.weights[0], [[-1.5, -2.0], [0.0, 0.0], [-0.5, -0.5]])
    assert_array_equal(params.weights[1], np.full((2, 4), -0.5))
    assert_array_equal(params.biases[0], [-0.5, -0.5])
    assert_array_equal(params.biases[1], [-0.5, -0.5, -0.5, -4.0])


def test_every_parameter_that_the_batch_reached_is_updated_once_with_its_own_derivative():
    gradient, params = gradient_of_ones()
    gradient.vector[...] = np.arange(20.0)
    params.vector[...] = 100.0 * np.arange(20.0)
    gradient.columns = np.array([1])
    seen = []

    def step(theta, derivatives, learning_rate):
        assert_array_equal(theta, 100.0 * derivatives)
        seen.extend(derivatives)
        theta += 1.0

    gradient.update(params, step, 0.5)
    reached = [2, 3, *range(6, 20)]
    assert sorted(seen) == reached
    assert_array_equal(np.flatnonzero(params.vector != 100.0 * np.arange(20.0)), reached)


def test_a_batch_without_elements_leaves_the_weights_of_the_first_layer():
    gradient, params = gradient_of_ones()
    gradient.columns = np.array([], dtype=np.intp)
    gradient.update(params, descend, 0.5)
    assert_array_equal(params.weights[0], np.zeros((3, 2)))
    assert_array_equal(params.vector[6:], np.full(14, -0.5))
