"""Layers: widths, activations, initial weights, and numbers that are one for all layers or one for each."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbp import Activation, BackpropClassifier
from skbp._network.activations import ACTIVATIONS
from skbp._network.parameters import Parameters
from skbp._training.layers import (
    GLOROT_SCALE,
    activation_records,
    alphas,
    check_layers,
    checked_units,
    dropout_rates,
    hidden_units,
    initial_scales,
    one_or_per_layer,
    set_given,
)
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# A few epochs do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def refuse(X, y, two_layers):
    """A function that asserts that a classifier refuses its parameters and is as before."""

    def refuse(match, error=ValueError, method="fit", **params):
        clf = two_layers(**params)
        before = pickle.dumps(vars(clf))
        with pytest.raises(error, match=match):
            getattr(clf, method)(X, y)
        assert pickle.dumps(vars(clf)) == before

    return refuse


cube = Activation(
    function=lambda z, out: np.power(z, 3, out=out),
    slope=lambda a, out: np.multiply(np.cbrt(a) ** 2, 3.0, out=out),
    initial_scale=1.5,
)


# Layers


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [(7, [7]), (np.int64(7), [7]), ((), []), ([], []), ((3,), [3]), ([3, 4], [3, 4]), (np.array([3, 4]), [3, 4])],
)
def test_hidden_layers_are_a_list_of_widths(sizes, expected, X, y, two_layers):
    units = hidden_units(sizes)
    assert units == expected
    assert all(type(width) is int for width in units)
    clf = two_layers(hidden_layer_sizes=sizes, max_iter=1).fit(X, y)
    assert [coef.shape for coef in clf.coefs_] == list(pairwise([4, *expected, 3]))


@pytest.mark.parametrize("sizes", [[0], [5, -1], (2.5,), ["five"], [None], [[3, 4]]])
def test_a_width_that_is_no_number_of_units_is_refused(sizes, refuse):
    refuse("hidden_layer_sizes must be (integers )?> 0", hidden_layer_sizes=sizes)


def test_a_network_beyond_all_memory_is_refused(refuse):
    refuse("hidden_layer_sizes=.* more parameters than can be addressed", hidden_layer_sizes=(2**31, 2**31, 2**31))


# Activations


@pytest.mark.parametrize("container", [list, tuple])
def test_a_list_of_one_activation_is_that_activation_in_every_layer(container, X, y, assert_same_weights, two_layers):
    for activation in (*ACTIVATIONS, cube):
        one = two_layers(activation=activation).fit(X, y)
        assert_same_weights(two_layers(activation=container([activation, activation])).fit(X, y), one)


def test_each_layer_trains_with_its_own_activation(X, y, two_layers):
    # One full batch of gradient descent without momentum, computed by hand.
    coefs = [np.random.RandomState(i).normal(size=shape) for i, shape in enumerate([(4, 6), (6, 5), (5, 3)])]
    intercepts = [np.full(width, 0.1) for width in (6, 5, 3)]
    clf = two_layers(
        activation=["tanh", cube], solver="sgd", momentum=0.0, alpha=0.0, learning_rate_init=0.01, max_iter=1
    ).fit(X, y, coef_init=coefs, intercept_init=intercepts)
    z_1 = X @ coefs[0] + intercepts[0]
    a_1 = np.tanh(z_1)
    z_2 = a_1 @ coefs[1] + intercepts[1]
    logits = z_2**3 @ coefs[2] + intercepts[2]
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    proba /= proba.sum(axis=1, keepdims=True)
    delta_3 = (proba - np.eye(3)[y]) / len(y)
    delta_2 = delta_3 @ coefs[2].T * 3 * z_2**2
    delta_1 = delta_2 @ coefs[1].T * (1 - a_1**2)
    gradients = [X.T @ delta_1, a_1.T @ delta_2, (z_2**3).T @ delta_3]
    for trained, start, gradient in zip(clf.coefs_, coefs, gradients, strict=True):
        assert_allclose(trained, start - 0.01 * gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("entry", ["no such activation", None, 3, ["tanh"], np.tanh])
def test_an_entry_that_is_no_activation_is_named(entry, X, y, two_layers):
    clf = two_layers(activation=["relu", entry])
    with pytest.raises(ValueError, match=r"activation has .*; each must be one of") as error:
        clf.fit(X, y)
    assert repr(entry) in str(error.value)
    assert all(repr(name) in str(error.value) for name in ACTIVATIONS)


@pytest.mark.parametrize("activation", [[], ["relu"], ["relu"] * 3])
def test_there_is_one_activation_for_each_hidden_layer(activation, refuse):
    match = f"activation has {len(activation)} entries, .* hidden_layer_sizes makes 2 hidden layers"
    refuse(match, activation=activation)
    refuse(match, activation=activation, method="objective")


def test_from_weights_takes_one_activation_for_each_hidden_layer(X):
    arrays = [np.ones((4, 6)), np.ones((6, 5)), np.ones((5, 3))], [np.zeros(6), np.zeros(5), np.zeros(3)]
    with pytest.raises(ValueError, match=r"activation has 1 entries, .* makes 2 hidden layers"):
        BackpropClassifier.from_weights(*arrays, classes=[0, 1, 2], activation=["tanh"])
    clf = BackpropClassifier.from_weights(*arrays, classes=[0, 1, 2], activation=["tanh", cube])
    hidden = (np.tanh(X @ arrays[0][0]) @ arrays[0][1]) ** 3
    assert_allclose(clf.decision_function(X), hidden @ arrays[0][2], rtol=1e-10)


# Initial weights


def drawn(units, scales, seed=0):
    """All initial parameters as documented: drawn layer by layer, first the weights and then the biases."""
    rng, weights, biases = np.random.RandomState(seed), [], []
    for (fan_in, fan_out), scale in zip(pairwise(units), scales, strict=True):
        bound = np.sqrt(scale / (fan_in + fan_out))
        weights.append(rng.uniform(-bound, bound, (fan_in, fan_out)).ravel())
        biases.append(rng.uniform(-bound, bound, fan_out))
    return np.concatenate(weights + biases)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, cube])
def test_each_layer_starts_on_the_scale_of_its_activation(activation, X, y, two_layers):
    scale = activation.initial_scale if isinstance(activation, Activation) else ACTIVATIONS[activation].initial_scale
    units = [4, 6, 5, 3]
    theta = two_layers(activation=activation).objective(X, y).theta0
    assert_allclose(theta, drawn(units, [scale] * 3), rtol=1e-12)
    # The output layer has the scale of the last hidden layer.
    theta = two_layers(activation=[activation, "logistic"]).objective(X, y).theta0
    assert_allclose(theta, drawn(units, [scale, 2.0, 2.0]), rtol=1e-12)
    theta = two_layers(activation=["logistic", activation]).objective(X, y).theta0
    assert_allclose(theta, drawn(units, [2.0, scale, scale]), rtol=1e-12)


@pytest.mark.parametrize(("activation", "scale"), [("relu", 6.0), ("logistic", 2.0), (cube, 1.5), ([], 6.0), ((), 6.0)])
def test_without_hidden_layers_the_output_layer_has_the_scale_of_a_named_activation(
    activation, scale, X, y, two_layers
):
    theta = two_layers(hidden_layer_sizes=(), activation=activation).objective(X, y).theta0
    assert_allclose(theta, drawn([4, 3], [scale]), rtol=1e-12)


# A number for each layer


@pytest.mark.parametrize("value", [0.3, 2, np.float32(0.5)])
def test_a_number_remains_a_number(value):
    number = one_or_per_layer(value, 3, "alpha", "the layers")
    assert type(number) is float
    assert number == value


@pytest.mark.parametrize("container", [list, tuple, np.array])
def test_numbers_for_each_layer_become_a_list(container):
    numbers = one_or_per_layer(container([0.0, 1.0, 2.5]), 3, "alpha", "the layers")
    assert type(numbers) is list
    assert numbers == [0.0, 1.0, 2.5]
    assert all(type(number) is float for number in numbers)


@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver != "trust-krylov"])
def test_the_same_alpha_in_every_layer_equals_one_alpha(solver, X, y, assert_same_weights, two_layers):
    one = two_layers(solver=solver, alpha=0.7).fit(X, y)
    each = two_layers(solver=solver, alpha=[0.7] * 3).fit(X, y)
    assert each.loss_curve_ == one.loss_curve_
    assert_same_weights(each, one)


def test_each_alpha_penalises_its_own_layer(X, y, two_layers):
    alpha = [2.0, 0.0, 5.0]
    penalised = two_layers(alpha=alpha).objective(X, y)
    theta = np.random.RandomState(0).normal(size=penalised.theta0.size)
    penalty = sum(a * np.sum(w**2) for a, w in zip(alpha, np.split(theta[:69], [24, 54]), strict=True)) / (2 * len(y))
    plain = two_layers(alpha=0.0).objective(X, y)
    assert_allclose(penalised.value(theta) - plain.value(theta), penalty, rtol=1e-10)
    difference = penalised.gradient(theta) - plain.gradient(theta)
    assert_allclose(difference, theta * np.repeat([2.0, 0.0, 5.0, 0.0], [24, 30, 15, 14]) / len(y), atol=1e-12)


def test_a_heavily_penalised_layer_shrinks_alone(X, y, two_layers):
    light = two_layers(solver="lbfgs", alpha=1e-3, activation="tanh", max_iter=300).fit(X, y)
    for layer in range(3):
        alpha = [1e-3] * 3
        alpha[layer] = 300.0
        heavy = two_layers(solver="lbfgs", alpha=alpha, activation="tanh", max_iter=300).fit(X, y)
        shrinkage = [np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(heavy.coefs_, light.coefs_, strict=True)]
        assert shrinkage[layer] < 0.2
        assert np.argmin(shrinkage) == layer


def test_the_same_dropout_in_every_layer_equals_one_dropout(X, y, assert_same_weights, two_layers):
    one = two_layers(dropout=0.3).fit(X, y)
    each = two_layers(dropout=[0.3, 0.3]).fit(X, y)
    assert each.loss_curve_ == one.loss_curve_
    assert_same_weights(each, one)
    none = two_layers().fit(X, y)
    for nothing in ([0.0, 0.0], (0.0, 0.0), np.zeros(2), 0):
        assert_same_weights(two_layers(dropout=nothing).fit(X, y), none)
    others = [two_layers(dropout=rates).fit(X, y).loss_ for rates in ([0.3, 0.0], [0.0, 0.3], [0.3, 0.3], 0.0)]
    assert len(set(others)) == 4


TOO_FEW_OR_MANY = [[], [0.1], [0.1] * 4]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [*TOO_FEW_OR_MANY, np.array([0.1, 0.2])])
def test_there_is_one_alpha_for_each_layer_of_weights(alpha, solver, refuse):
    match = f"alpha has {len(alpha)} entries, but there must be 3, one for each of the layers of weights"
    refuse(match, alpha=alpha, solver=solver)
    refuse(match, alpha=alpha, solver=solver, method="objective")


@pytest.mark.parametrize("dropout", [*TOO_FEW_OR_MANY, np.array([0.1, 0.2, 0.3])])
def test_there_is_one_dropout_for_each_hidden_layer(dropout, refuse):
    match = f"dropout has {len(dropout)} entries, but there must be 2, one for each of the hidden layers"
    for solver in UPDATES:
        refuse(match, dropout=dropout, solver=solver)


@pytest.mark.parametrize(
    "alpha", [[0.1, -0.1, 0.1], [0.1, "large", 0.1], [0.1, np.nan, 0.1], [[0.1] * 3], [np.inf] * 3]
)
def test_an_alpha_that_is_no_strength_is_refused(alpha, refuse):
    refuse("alpha=.* must be a number of at least 0, or one such number for each of the layers of weights", alpha=alpha)


@pytest.mark.parametrize("dropout", [[0.1, -0.1], [1.0, 0.1], [0.1, "half"], [0.1, np.nan], [[0.1, 0.1]], [None, 0.1]])
def test_a_dropout_that_is_no_probability_is_refused(dropout, refuse):
    refuse("dropout=.* must be a number of at least 0 and less than 1, or one .* the hidden layers", dropout=dropout)


# Pieces that fit together


@pytest.mark.parametrize("value", [0.5, [0.1, 0.2, 0.3]])
def test_there_is_a_strength_for_all_layers_or_for_each(value):
    assert alphas(value, 2) == value


@pytest.mark.parametrize(("value", "expected"), [(0.25, [0.25, 0.25]), ([0.1, 0.2], [0.1, 0.2])])
def test_dropout_has_a_rate_for_each_hidden_layer(value, expected):
    assert dropout_rates(value, 2) == expected
    assert dropout_rates(0.25, 0) == []


def test_activations_are_records_one_for_each_hidden_layer():
    assert activation_records("tanh", 2) == [ACTIVATIONS["tanh"]] * 2
    assert activation_records(["relu", cube], 2) == [ACTIVATIONS["relu"], cube]
    assert activation_records(cube, 0) == []


def test_the_output_layer_has_the_scale_of_the_last_hidden_layer():
    assert initial_scales(["tanh", cube], activation_records(["tanh", cube], 2)) == [6.0, 1.5, 1.5]
    assert initial_scales([], []) == [GLOROT_SCALE]
    assert initial_scales("logistic", []) == [2.0]


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, None, "6"])
def test_an_initial_scale_that_is_no_positive_number_is_refused(scale):
    record = Activation(cube.function, cube.slope, initial_scale=scale)
    for activations in ([record], []):
        with pytest.raises(ValueError, match=r"initial_scale of the Activation given as activation is .*a number > 0"):
            initial_scales(record, activations)


def test_widths_are_checked_against_the_memory_that_can_be_addressed():
    assert checked_units([4, 6, 3], np.dtype(np.float64)) == [4, 6, 3]
    widest = np.iinfo(np.intp).max // 16
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(\d+,\) makes more parameters than can be addressed"):
        checked_units([4, widest, 3], np.dtype(np.float32))


def given_layers():
    rng = np.random.RandomState(0)
    return [rng.normal(size=shape) for shape in ((2, 3), (3, 1))], [rng.normal(size=n) for n in (3, 1)]


@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize("with_biases", [False, True])
def test_given_layers_replace_drawn_ones(with_biases, with_weights):
    params, (weights, biases) = Parameters((2, 3, 1), np.float32), given_layers()
    params.vector[...] = 7.0
    set_given(params, weights if with_weights else None, biases if with_biases else None)
    for found, given in zip(params.weights, weights, strict=True):
        assert_array_equal(found, given.astype(np.float32) if with_weights else np.full(given.shape, 7.0))
    for found, given in zip(params.biases, biases, strict=True):
        assert_array_equal(found, given.astype(np.float32) if with_biases else np.full(given.shape, 7.0))


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ("ab", TypeError, r"coef_init is 'ab'; it must be a list of arrays.*\(2, 3\), \(3, 1\)"),
        ([np.ones((2, 3))], ValueError, "coef_init has 1 arrays for 2 layers"),
        ([np.ones((2, 3)), np.ones((1, 3))], ValueError, r"coef_init has arrays of shapes .*\(1, 3\).*they must be"),
        ([np.ones((2, 3)), np.full((3, 1), np.nan)], ValueError, "coef_init contains NaN"),
    ],
)
def test_layers_of_other_shapes_are_refused(arrays, error, message):
    with pytest.raises(error, match=message):
        check_layers(arrays, Parameters((2, 3, 1), np.float64).weights, "coef_init")
