"""From the estimator's parameters to the parts: one value or one a layer, what does not fit, what has no effect."""

import inspect
import pickle
import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skbp import Activation, BackpropClassifier, UnusedParameterWarning
from skbp._network.activations import ACTIVATIONS
from skbp._training.recipe import hidden_units, one_or_per_layer
from skbp._training.solvers import SCIPY_METHODS, SOLVERS
from skbp._training.updates import UPDATES

# A few epochs show what a parameter does, wherever they lead.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PARAMETERS = inspect.signature(BackpropClassifier).parameters


def make_data(n=60, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 4))
    return X, (X[:, :3] + 0.7 * rng.normal(size=(n, 3))).argmax(axis=1)


def small(**params):
    common = {"hidden_layer_sizes": (6, 5), "max_iter": 5, "random_state": 0}
    return BackpropClassifier(**{**common, **params})


def assert_same_weights(one, other, atol=0.0):
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_allclose(a, b, rtol=0.0, atol=atol)


def refuse(match, error=ValueError, method="fit", **params):
    """The classifier refuses its parameters, and is as before."""
    clf = small(**params)
    before = pickle.dumps(vars(clf))
    with pytest.raises(error, match=match):
        getattr(clf, method)(X, y)
    assert pickle.dumps(vars(clf)) == before


X, y = make_data()

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
def test_hidden_layers_are_a_list_of_widths(sizes, expected):
    units = hidden_units(sizes)
    assert units == expected
    assert all(type(width) is int for width in units)
    clf = small(hidden_layer_sizes=sizes, max_iter=1).fit(X, y)
    assert [coef.shape for coef in clf.coefs_] == list(pairwise([4, *expected, 3]))


@pytest.mark.parametrize("sizes", [[0], [5, -1], (2.5,), ["five"], [None], [[3, 4]]])
def test_a_width_that_is_no_number_of_units_is_refused(sizes):
    refuse("hidden_layer_sizes must be (integers )?> 0", hidden_layer_sizes=sizes)


def test_a_network_beyond_all_memory_is_refused():
    refuse("hidden_layer_sizes=.* more parameters than can be addressed", hidden_layer_sizes=(2**31, 2**31, 2**31))


# Activations


@pytest.mark.parametrize("container", [list, tuple])
def test_a_list_of_one_activation_is_that_activation_in_every_layer(container):
    for activation in (*ACTIVATIONS, cube):
        one = small(activation=activation).fit(X, y)
        assert_same_weights(small(activation=container([activation, activation])).fit(X, y), one)


def test_each_layer_is_trained_with_its_own_activation():
    # Training by hand: one full batch of gradient descent without momentum.
    coefs = [np.random.RandomState(i).normal(size=shape) for i, shape in enumerate([(4, 6), (6, 5), (5, 3)])]
    intercepts = [np.full(width, 0.1) for width in (6, 5, 3)]
    clf = small(
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
def test_an_entry_that_is_no_activation_is_named(entry):
    clf = small(activation=["relu", entry])
    with pytest.raises(ValueError, match=r"activation has .*; each must be one of") as error:
        clf.fit(X, y)
    assert repr(entry) in str(error.value)
    assert all(repr(name) in str(error.value) for name in ACTIVATIONS)


@pytest.mark.parametrize("activation", [[], ["relu"], ["relu"] * 3])
def test_there_is_one_activation_for_each_hidden_layer(activation):
    match = f"activation has {len(activation)} entries, .* hidden_layer_sizes makes 2 hidden layers"
    refuse(match, activation=activation)
    refuse(match, activation=activation, method="objective")


def test_weights_given_by_hand_come_with_one_activation_for_each_hidden_layer():
    arrays = [np.ones((4, 6)), np.ones((6, 5)), np.ones((5, 3))], [np.zeros(6), np.zeros(5), np.zeros(3)]
    with pytest.raises(ValueError, match=r"activation has 1 entries, .* makes 2 hidden layers"):
        BackpropClassifier.from_weights(*arrays, classes=[0, 1, 2], activation=["tanh"])
    clf = BackpropClassifier.from_weights(*arrays, classes=[0, 1, 2], activation=["tanh", cube])
    hidden = (np.tanh(X @ arrays[0][0]) @ arrays[0][1]) ** 3
    assert_allclose(clf.decision_function(X), hidden @ arrays[0][2], rtol=1e-10)


# Initial weights


def drawn(units, scales, seed=0):
    """All initial parameters as the specification has them: layer by layer, weights and then biases."""
    rng, weights, biases = np.random.RandomState(seed), [], []
    for (fan_in, fan_out), scale in zip(pairwise(units), scales, strict=True):
        bound = np.sqrt(scale / (fan_in + fan_out))
        weights.append(rng.uniform(-bound, bound, (fan_in, fan_out)).ravel())
        biases.append(rng.uniform(-bound, bound, fan_out))
    return np.concatenate(weights + biases)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, cube])
def test_each_layer_starts_on_the_scale_of_its_activation(activation):
    scale = activation.initial_scale if isinstance(activation, Activation) else ACTIVATIONS[activation].initial_scale
    units = [4, 6, 5, 3]
    theta = small(activation=activation).objective(X, y).theta0
    assert_allclose(theta, drawn(units, [scale] * 3), rtol=1e-12)
    # The output layer follows the last of the hidden ones.
    theta = small(activation=[activation, "logistic"]).objective(X, y).theta0
    assert_allclose(theta, drawn(units, [scale, 2.0, 2.0]), rtol=1e-12)
    theta = small(activation=["logistic", activation]).objective(X, y).theta0
    assert_allclose(theta, drawn(units, [2.0, scale, scale]), rtol=1e-12)


@pytest.mark.parametrize(("activation", "scale"), [("relu", 6.0), ("logistic", 2.0), (cube, 1.5), ([], 6.0), ((), 6.0)])
def test_without_hidden_layers_the_output_layer_starts_on_the_scale_of_the_activation_if_one_is_named(
    activation, scale
):
    theta = small(hidden_layer_sizes=(), activation=activation).objective(X, y).theta0
    assert_allclose(theta, drawn([4, 3], [scale]), rtol=1e-12)


# A number for each layer


@pytest.mark.parametrize("value", [0.3, 2, np.float32(0.5)])
def test_a_number_stays_one(value):
    number = one_or_per_layer(value, 3, "alpha", "the layers")
    assert type(number) is float
    assert number == value


@pytest.mark.parametrize("container", [list, tuple, np.array])
def test_numbers_of_layers_are_a_list(container):
    numbers = one_or_per_layer(container([0.0, 1.0, 2.5]), 3, "alpha", "the layers")
    assert type(numbers) is list
    assert numbers == [0.0, 1.0, 2.5]
    assert all(type(number) is float for number in numbers)


@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver != "trust-krylov"])
def test_the_same_alpha_in_every_layer_is_one_alpha(solver):
    one = small(solver=solver, alpha=0.7).fit(X, y)
    each = small(solver=solver, alpha=[0.7] * 3).fit(X, y)
    assert each.loss_curve_ == one.loss_curve_
    assert_same_weights(each, one)


def test_each_alpha_penalises_its_own_layer():
    alpha = [2.0, 0.0, 5.0]
    penalised = small(alpha=alpha).objective(X, y)
    theta = np.random.RandomState(0).normal(size=penalised.theta0.size)
    penalty = sum(a * np.sum(w**2) for a, w in zip(alpha, np.split(theta[:69], [24, 54]), strict=True)) / (2 * len(y))
    plain = small(alpha=0.0).objective(X, y)
    assert_allclose(penalised.value(theta) - plain.value(theta), penalty, rtol=1e-10)
    difference = penalised.gradient(theta) - plain.gradient(theta)
    assert_allclose(difference, theta * np.repeat([2.0, 0.0, 5.0, 0.0], [24, 30, 15, 14]) / len(y), atol=1e-12)


def test_a_heavily_penalised_layer_shrinks_alone():
    light = small(solver="lbfgs", alpha=1e-3, activation="tanh", max_iter=300).fit(X, y)
    for layer in range(3):
        alpha = [1e-3] * 3
        alpha[layer] = 300.0
        heavy = small(solver="lbfgs", alpha=alpha, activation="tanh", max_iter=300).fit(X, y)
        shrinkage = [np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(heavy.coefs_, light.coefs_, strict=True)]
        assert shrinkage[layer] < 0.2
        assert np.argmin(shrinkage) == layer


def test_the_same_dropout_in_every_layer_is_one_dropout():
    one = small(dropout=0.3).fit(X, y)
    each = small(dropout=[0.3, 0.3]).fit(X, y)
    assert each.loss_curve_ == one.loss_curve_
    assert_same_weights(each, one)
    none = small().fit(X, y)
    for nothing in ([0.0, 0.0], (0.0, 0.0), np.zeros(2), 0):
        assert_same_weights(small(dropout=nothing).fit(X, y), none)
    others = [small(dropout=rates).fit(X, y).loss_ for rates in ([0.3, 0.0], [0.0, 0.3], [0.3, 0.3], 0.0)]
    assert len(set(others)) == 4


TOO_FEW_OR_MANY = [[], [0.1], [0.1] * 4]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [*TOO_FEW_OR_MANY, np.array([0.1, 0.2])])
def test_there_is_one_alpha_for_each_layer_of_weights(alpha, solver):
    match = f"alpha has {len(alpha)} entries, but there must be 3, .*layers of weights, hidden and output"
    refuse(match, alpha=alpha, solver=solver)
    refuse(match, alpha=alpha, solver=solver, method="objective")


@pytest.mark.parametrize("dropout", [*TOO_FEW_OR_MANY, np.array([0.1, 0.2, 0.3])])
def test_there_is_one_dropout_for_each_hidden_layer(dropout):
    match = f"dropout has {len(dropout)} entries, but there must be 2, .*the hidden layers"
    for solver in UPDATES:
        refuse(match, dropout=dropout, solver=solver)


@pytest.mark.parametrize(
    "alpha", [[0.1, -0.1, 0.1], [0.1, "large", 0.1], [0.1, np.nan, 0.1], [[0.1] * 3], [np.inf] * 3]
)
def test_an_alpha_that_is_no_strength_is_refused(alpha):
    refuse("alpha=.* must be a number of at least 0, or one such number for each of the layers of weights", alpha=alpha)


@pytest.mark.parametrize("dropout", [[0.1, -0.1], [1.0, 0.1], [0.1, "half"], [0.1, np.nan], [[0.1, 0.1]], [None, 0.1]])
def test_a_dropout_that_is_no_probability_is_refused(dropout):
    refuse("dropout=.* must be a number of at least 0 and less than 1, or one .* the hidden layers", dropout=dropout)


@pytest.mark.parametrize("dropout", [0.5, [0.0, 0.5], np.array([0.5, 0.5])])
@pytest.mark.parametrize("solver", SCIPY_METHODS)
def test_a_solver_that_needs_one_function_makes_no_use_of_dropout(solver, dropout):
    with pytest.warns(UnusedParameterWarning, match=f"dropout=.* has no effect with solver='{solver}'"):
        small(solver=solver, dropout=dropout, max_iter=1).fit(X, y)
    small(solver=solver, dropout=[0.0, 0.0], max_iter=1).fit(X, y)


# The size of batches and the schedule


def test_a_batch_of_more_than_all_rows_is_clipped_with_a_warning_at_the_line_that_calls():
    with pytest.warns(UserWarning, match="batch_size=61 is larger than the number of rows, 60") as caught:
        clf = small(batch_size=61).fit(X, y)
    assert {w.filename for w in caught} == {__file__}
    assert_same_weights(clf, small(batch_size=60).fit(X, y))
    assert_same_weights(clf, small(batch_size="auto").fit(X, y))


def test_a_batch_is_of_200_rows_unless_said_otherwise():
    X, y = make_data(n=450)
    assert_same_weights(small().fit(X, y), small(batch_size=200).fit(X, y))
    assert small().fit(X, y).loss_ != small(batch_size=199).fit(X, y).loss_


@dataclass
class Halving:
    """A schedule with a state of its own, which as a data class has no hash."""

    halvings: int

    def __call__(self, p):
        return 0.5 ** (self.halvings * p)


def test_a_schedule_may_be_any_callable():
    clf = small(learning_rate=Halving(2), max_iter=4, learning_rate_init=0.01).fit(X, y)
    assert_allclose(clf.learning_rate_curve_, 0.01 * 0.5 ** np.array([0.0, 0.5, 1.0, 1.5]), rtol=1e-12)
    assert_same_weights(clf, small(learning_rate=lambda p: 0.25**p, max_iter=4, learning_rate_init=0.01).fit(X, y))


# Parameters without effect. With BASE every parameter that is used makes a difference within a few epochs; OTHER has for
# each a value that is not its default.

BASE = {
    "hidden_layer_sizes": (6,),
    "activation": "tanh",
    "batch_size": 15,
    "max_iter": 8,
    "learning_rate_init": 0.05,
    "learning_rate": "invscaling",
    "random_state": 0,
    "tol": 1e-3,
}
OTHER = {
    "hidden_layer_sizes": (7,),
    "activation": "softplus",
    "alpha": 3.0,
    "batch_size": 7,
    "learning_rate": "cosine",
    "learning_rate_init": 0.02,
    "power_t": 0.3,
    "max_iter": 3,
    "shuffle": False,
    "random_state": 1,
    "momentum": 0.5,
    "nesterovs_momentum": False,
    "early_stopping": True,
    "validation_fraction": 0.4,
    "beta_1": 0.5,
    "beta_2": 0.9,
    "epsilon": 1e-2,
    "n_iter_no_change": 1,
    "max_fun": 1,
    "class_weight": "balanced",
    "out_activation": "logistic",
    "scoring": "loss",
    "max_time": 1e-9,
    "weight_decay": 0.1,
    "label_smoothing": 0.2,
    "max_grad_norm": 1e-2,
    "warmup_fraction": 0.5,
    "dtype": "float32",
    "hessian": "gauss-newton",
}
# The last two have tests of their own; verbose and warm_start have no part in the result; the others are for all solvers.
ASIDE = {"solver", "tol", "verbose", "warm_start", "dropout", "solver_options"}


def test_the_table_of_this_module_names_every_parameter():
    assert set(OTHER) | ASIDE == set(PARAMETERS)
    assert all(value != PARAMETERS[name].default for name, value in OTHER.items())


def trained(params, **fit_params):
    """The classifier, and which parameters it says have no effect."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf = BackpropClassifier(**params).fit(X, y, **fit_params)
    said = [str(w.message) for w in caught if "has no effect" in str(w.message)]
    return clf, [message.partition("=")[0] for message in said]


def alike(one, other):
    """Whether two trainings are the same but for rounding (trust-krylov does not repeat itself bit for bit)."""
    results = [
        [
            *clf.coefs_,
            np.array(clf.loss_curve_),
            np.array(clf.validation_scores_, float),
            np.array(clf.best_loss_, float),
        ]
        for clf in (one, other)
    ]
    return all(
        a.shape == b.shape and a.dtype == b.dtype and np.allclose(a, b, atol=1e-7, equal_nan=True)
        for a, b in zip(*results, strict=True)
    )


@pytest.mark.parametrize("validation", ["no validation", "early stopping", "own data", "own data, early stopping"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_parameter_either_makes_a_difference_or_is_said_to_have_no_effect(solver, validation):
    own = dict(zip(("X_val", "y_val"), make_data(n=30, seed=1), strict=True)) if "own" in validation else {}
    plain = BASE | {"solver": solver, "early_stopping": "early" in validation}
    # Patience matters only where something stalls.
    stalling = plain | ({"tol": 0.3} if solver in UPDATES else {"max_iter": 30})
    for base, names in ((plain, OTHER.keys() - {"n_iter_no_change"}), (stalling, {"n_iter_no_change"})):
        before, said_before = trained(base, **own)
        for name in names:
            if OTHER[name] != base.get(name):
                after, said = trained(base | {name: OTHER[name]}, **own)
                assert said.count(name) == (1 if alike(before, after) else 0), name
                assert set(said) - {name} <= {*said_before, "power_t"}


@pytest.mark.parametrize("solver", SOLVERS)
def test_options_of_scipy_make_a_difference_or_are_said_to_have_no_effect(solver):
    options = {SCIPY_METHODS[solver].tol: 1e3} if solver in SCIPY_METHODS else {"gtol": 1e3}
    before, _ = trained(BASE | {"solver": solver})
    after, said = trained(BASE | {"solver": solver, "solver_options": options})
    assert said.count("solver_options") == (1 if alike(before, after) else 0)
    assert alike(before, after) == (solver in UPDATES)


@pytest.mark.parametrize("solver", SOLVERS)
def test_dropout_without_hidden_layers_is_said_to_have_no_effect(solver):
    params = {"solver": solver, "hidden_layer_sizes": (), "max_iter": 2, "random_state": 0}
    with pytest.warns(UserWarning, match=r"dropout=0.5 has no effect with hidden_layer_sizes=\(\)\."):
        clf = BackpropClassifier(dropout=0.5, **params).fit(X, y)
    assert alike(clf, BackpropClassifier(**params).fit(X, y))
    assert alike(clf, BackpropClassifier(dropout=[], **params).fit(X, y))


def no_effect(caught):
    """What the warnings say, each of which is at the line that calls."""
    caught = [w for w in caught if "no effect" in str(w.message)]
    assert {w.filename for w in caught} <= {__file__}
    return sorted(str(w.message) for w in caught)


def test_each_parameter_without_effect_is_named_once_with_what_it_has_no_effect_with():
    with pytest.warns(UserWarning, match="no effect") as caught:
        small(solver="lbfgs", momentum=0.5, learning_rate="cosine", warmup_fraction=0.1, weight_decay=0.1).fit(X, y)
    assert no_effect(caught) == [
        "learning_rate='cosine' has no effect with solver='lbfgs'.",
        "momentum=0.5 has no effect with solver='lbfgs'.",
        "warmup_fraction=0.1 has no effect with solver='lbfgs'.",
        "weight_decay=0.1 has no effect with solver='lbfgs'.",
    ]
    with pytest.warns(UserWarning, match="no effect") as caught:
        small(momentum=0.5, power_t=0.3, max_fun=7, scoring="loss", validation_fraction=0.2).fit(X, y)
    assert no_effect(caught) == [
        "max_fun=7 has no effect with solver='adam'.",
        "momentum=0.5 has no effect with solver='adam'.",
        "power_t=0.3 has no effect with learning_rate='constant'.",
        "scoring='loss' has no effect with early_stopping=False.",
        "validation_fraction=0.2 has no effect with early_stopping=False.",
    ]
    with pytest.warns(UserWarning, match="no effect") as caught:
        small(early_stopping=True, scoring="loss", validation_fraction=0.2).fit(X, y, X_val=X, y_val=y)
    assert no_effect(caught) == ["validation_fraction=0.2 has no effect with X_val given to fit."]


def test_only_the_first_call_of_partial_fit_says_so():
    clf = small(momentum=0.5)
    with pytest.warns(UserWarning, match="no effect") as caught:
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert no_effect(caught) == ["momentum=0.5 has no effect with solver='adam'."]
    clf.partial_fit(X, y)


# Any warning but that of convergence is an error here.
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_at_its_default_is_passed_over_in_silence(solver, early_stopping):
    names = set(PARAMETERS) - {"hidden_layer_sizes", "solver", "max_iter", "early_stopping"}
    defaults = {name: PARAMETERS[name].default for name in names}
    as_numpy = {name: np.float64(value) for name, value in defaults.items() if type(value) is float}
    BackpropClassifier((3,), solver=solver, max_iter=2, early_stopping=early_stopping, **defaults | as_numpy).fit(X, y)
