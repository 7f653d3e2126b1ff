"""The sensitivity to the features, against central differences and the Hessian of the loss."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from registries import ACTIVATIONS

from skbp._network.equations import forward
from skbp._network.losses import LOSSES, Loss
from skbp._network.parameters import Parameters
from skbp._network.sensitivity import relevance, sensitivity
from skbp._network.tape import Tape


def network(n_outputs, hidden=(7, 5), seed=0):
    params = Parameters((4, *hidden, n_outputs), np.dtype(np.float64))
    params.vector[...] = np.random.default_rng(seed).normal(size=params.vector.size)
    return params


def logits(params, activations, X):
    return forward(params.weights, params.biases, activations, X, Tape(len(X), params.units, X.dtype, "forward")).copy()


def by_differences(params, activations, loss, X, step=1e-5):
    """g by central differences: the mean over rows and outputs of v' H v, with v the derivative of the logits."""
    g = np.zeros(4)
    for j in range(4):
        shift = step * np.eye(4)[j]
        v = (logits(params, activations, X + shift) - logits(params, activations, X - shift)) / (2.0 * step)
        product = loss.hessian_product(logits(params, activations, X), v, out=np.zeros_like(v))
        g[j] = np.mean(np.sum(v * product, axis=1)) / v.shape[1]
    return g


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n_outputs", [1, 3, 16])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_sensitivity_is_that_of_differences(activation, n_outputs, name):
    loss, activations = LOSSES[name], [ACTIVATIONS[activation]] * 2
    params = network(n_outputs)
    X = np.random.default_rng(1).normal(size=(20, 4))
    g = sensitivity(params.weights, params.biases, activations, loss, X)
    assert_allclose(g, by_differences(params, activations, loss, X), rtol=2e-3, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_random_signs_stand_for_many_outputs(name):
    params, X = network(60), np.random.default_rng(1).normal(size=(400, 4))
    g = sensitivity(params.weights, params.biases, [ACTIVATIONS["tanh"]] * 2, LOSSES[name], X)
    assert_allclose(g, by_differences(params, [ACTIVATIONS["tanh"]] * 2, LOSSES[name], X), rtol=0.3)


def test_sparse_rows_have_no_effect():
    params, X = network(3), np.random.default_rng(1).normal(size=(50, 4))
    X[X < 0.5] = 0.0
    arguments = params.weights, params.biases, [ACTIVATIONS["tanh"]] * 2, LOSSES["softmax"]
    expected = sensitivity(*arguments, X)
    assert_allclose(sensitivity(*arguments, sp.csr_array(X)), expected, rtol=1e-12)


@pytest.mark.parametrize("of", [lambda loss: loss.fisher_root, lambda loss: partial(Loss.fisher_root, loss)])
@pytest.mark.parametrize("name", LOSSES)
def test_the_root_of_the_hessian(name, of):
    z = np.random.default_rng(0).normal(size=(6, 4)) * 3.0
    columns = np.stack([of(LOSSES[name])(z, one) for one in np.eye(4)], axis=2)
    hessian = np.stack(
        [LOSSES[name].hessian_product(z, np.tile(one, (6, 1)), out=np.zeros_like(z)) for one in np.eye(4)], axis=2
    )
    assert_allclose(columns @ columns.mT, hessian, atol=1e-14)


def test_relevance_is_the_root_brought_to_a_mean_square_of_1():
    factors = relevance(np.array([9.0, 1.0, 4.0, 0.0]))
    assert_allclose(factors, np.array([3.0, 1.0, 2.0, 0.0]) / np.sqrt(14.0 / 4.0))


def test_a_feature_far_above_the_others_is_cut_off():
    g = np.ones(100)
    g[0] = 1e12
    factors = relevance(g)
    assert_allclose(np.mean(np.square(factors)), 1.0)
    # 10 in place of 1, cut off at 4, and then brought to a mean square of 1.
    assert_allclose(factors[0] / factors[1], 4.0 / (10.0 / 1e6), rtol=1e-6)


@pytest.mark.parametrize("g", [[0.0, 0.0, 0.0], [np.nan, np.inf, 0.0]])
def test_relevance_without_information_is_the_same_for_all(g):
    assert_array_equal(relevance(np.array(g)), 1.0)
