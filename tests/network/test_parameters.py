"""Weights and biases are views of one flat vector, in a fixed order."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp._network.parameters import Parameters


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
def test_every_number_of_layers_has_its_weights_and_biases(units):
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
def test_the_type_is_that_asked_for(dtype):
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
def test_each_layer_is_drawn_by_its_own_scale_weights_first_and_then_biases(dtype):
    params = Parameters((40, 30, 20, 50), dtype)
    params.draw([6.0, 0.0, 2.0], np.random.RandomState(0))
    # What scikit-learn draws, layer by layer.
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
