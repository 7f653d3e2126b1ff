"""The recipe: an estimator's parameters in one form, the parts that they make, and which have no effect."""

import inspect
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbp import BackpropClassifier, UnusedParameterWarning
from skbp._data.rows import Rows
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES
from skbp._training.minibatch import MiniBatchSolver
from skbp._training.recipe import AUTO_BATCH_SIZE
from skbp._training.schedules import OPEN_ENDED, SCHEDULES
from skbp._training.scipy_methods import SCIPY_METHODS
from skbp._training.scipy_solver import ScipySolver
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# A few epochs do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PARAMETERS = inspect.signature(BackpropClassifier).parameters


# A recipe


def test_a_recipe_has_every_parameter_in_one_form(recipe_of):
    recipe = recipe_of(hidden_layer_sizes=7, activation=["tanh"], alpha=[0.1, 0.2], dropout=0.5, weight_decay=1)
    assert recipe.hidden == [7]
    assert recipe.activations == [ACTIVATIONS["tanh"]]
    assert recipe.scales == [ACTIVATIONS["tanh"].initial_scale] * 2
    assert recipe.alpha == [0.1, 0.2]
    assert recipe.dropout == [0.5]
    assert type(recipe.weight_decay) is type(recipe.label_smoothing) is float
    for name in ("solver", "learning_rate", "shuffle", "tol", "scoring", "max_fun"):
        assert getattr(recipe, name) == BackpropClassifier().get_params()[name]
    assert recipe.loss is None


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_recipe_has_the_parameters_of_the_update_rule(solver, recipe_of):
    recipe = recipe_of(solver=solver, momentum=0.5, beta_1=0.25)
    assert recipe.stochastic == (solver in UPDATES)
    expected = {"sgd": {"momentum": 0.5, "nesterovs_momentum": True}, "adam": {"beta_1": 0.25}}.get(solver, {})
    assert expected.items() <= recipe.of_rule.items()
    assert set(recipe.of_rule) == set(UPDATES[solver].parameters if solver in UPDATES else ())


@pytest.mark.parametrize(
    ("solver", "options", "expected"),
    [
        ("adam", {"maxiter": 3}, 9),
        ("lbfgs", {"maxiter": 3}, 3),
        ("lbfgs", {"maxiter": np.int64(3)}, 3),
        ("lbfgs", {"maxiter": None}, 9),
        ("lbfgs", {"maxiter": 2.5}, 9),  # the solver refuses it
        ("lbfgs", {}, 9),
        ("lbfgs", None, 9),
    ],
)
def test_an_option_of_scipy_limits_the_iterations_but_not_the_schedule(solver, options, expected, recipe_of):
    recipe = recipe_of(solver=solver, solver_options=options, max_iter=9)
    assert (recipe.max_iter, recipe.horizon) == (expected, 9)


def test_the_recipe_of_partial_fit_is_one_epoch_of_the_same_schedule(recipe_of):
    recipe = recipe_of(max_iter=9, max_time=5.0, early_stopping=True).for_one_epoch()
    assert (recipe.max_iter, recipe.horizon, recipe.max_time, recipe.early_stopping) == (1, 9, None, False)


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_a_recipe_has_label_smoothing(name, recipe_of):
    recipe = recipe_of(label_smoothing=0.25)
    loss = recipe.for_loss(LOSSES[name]).loss
    assert type(loss) is type(LOSSES[name])
    assert loss.label_smoothing == 0.25
    assert LOSSES[name].label_smoothing == 0.0
    assert recipe.loss is None


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, AUTO_BATCH_SIZE),
        ({"batch_size": 7}, 7),
        ({"batch_size": np.int64(500)}, 450),
        ({"solver": "lbfgs"}, 450),
        ({"solver": "lbfgs", "batch_size": 7}, 450),
    ],
)
def test_rows_in_a_step(params, expected, recipe_of):
    rows = recipe_of(**params).batch_rows(450)
    assert rows == expected
    assert type(rows) is int
    assert recipe_of(**params).batch_rows(3) == 3


def test_initial_parameters_are_drawn_on_the_scales_of_the_recipe(recipe_of):
    recipe = recipe_of(hidden_layer_sizes=(5,), activation="logistic")
    units = recipe.units(4, 3, np.dtype(np.float32))
    assert units == [4, 5, 3]
    params, rng = recipe.draw(units, np.dtype(np.float32), np.random.RandomState(0)), np.random.RandomState(0)
    assert params.vector.dtype == np.float32
    for weight, bias in zip(params.weights, params.biases, strict=True):
        bound = np.sqrt(2.0 / sum(weight.shape))
        assert_array_equal(weight, rng.uniform(-bound, bound, weight.shape).astype(np.float32))
        assert_array_equal(bias, rng.uniform(-bound, bound, bias.shape).astype(np.float32))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_only_mini_batches_have_dropout(rate, solver, recipe_of):
    dropout = recipe_of(solver=solver, dropout=rate).make_dropout([np.random.RandomState(0)])
    assert (dropout is not None) == (rate > 0.0 and solver == "adam")


@pytest.mark.parametrize("exponent", [-1030, -3, 0, 4])
@pytest.mark.parametrize("alpha", [0.5, [0.5, 0.25]])
def test_the_objective_divides_alpha_by_the_common_factor_of_the_weights(alpha, exponent, X, y, recipe_of):
    rows = Rows(X, y, y, y, np.random.RandomState(1).uniform(0.5, 2.0, 60), exponent)
    recipes = [recipe_of(hidden_layer_sizes=(5,), alpha=one).for_loss(LOSSES["softmax"]) for one in (alpha, 0.0)]
    params = recipes[0].draw([4, 5, 3], X.dtype, np.random.RandomState(0))
    values = [recipe.make_objective(params, rows).value_and_gradient(rows.chunks()) for recipe in recipes]
    squares = [np.sum(w**2) for w in params.weights]
    with np.errstate(over="ignore"):
        penalty = np.sum(np.multiply(alpha, squares)) / (2.0 * rows.weight.sum()) * np.ldexp(1.0, -exponent)
    if exponent == -1030:  # the strength is beyond the largest number, and so it is limited
        assert np.isfinite(values[0])
        assert values[0] > 1e50
    else:
        assert_allclose(values[0] - values[1], penalty, rtol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_recipe_makes_its_solver(solver, recipe_of):
    rngs = [np.random.RandomState(0)]
    made = recipe_of(solver=solver, max_iter=9, tol=0.25, max_fun=7, batch_size=20).make_solver(60, rngs, 120)
    if solver in UPDATES:
        assert type(made) is MiniBatchSolver
        assert type(made.rule) is UPDATES[solver]
        assert (made.batch_size, made.horizon, made.rngs) == (20, 9, rngs)
        assert made.progress.samples_seen == 120
        assert made.learning_rate == BackpropClassifier().learning_rate_init
    else:
        assert made == ScipySolver(solver, 0.25, 7)


@pytest.mark.parametrize("learning_rate", [*SCHEDULES, lambda progress: 1.0])
def test_a_schedule_for_all_of_training_is_planned(learning_rate, recipe_of):
    solver = recipe_of(learning_rate=learning_rate).make_solver(60, [np.random.RandomState(0)])
    assert solver.planned == (callable(learning_rate) or learning_rate not in OPEN_ENDED)


# The size of batches and the schedule


def test_a_batch_of_more_than_all_rows_is_clipped_with_a_warning_at_the_users_line(
    X, y, assert_same_weights, two_layers
):
    with pytest.warns(UserWarning, match="batch_size=61 is larger than the number of rows, 60") as caught:
        clf = two_layers(batch_size=61).fit(X, y)
    assert {w.filename for w in caught} == {__file__}
    assert_same_weights(clf, two_layers(batch_size=60).fit(X, y))
    assert_same_weights(clf, two_layers(batch_size="auto").fit(X, y))


def test_a_batch_has_200_rows_by_default(assert_same_weights, linear_rule, two_layers):
    X, y = linear_rule(n_rows=450)
    assert_same_weights(two_layers().fit(X, y), two_layers(batch_size=200).fit(X, y))
    assert two_layers().fit(X, y).loss_ != two_layers(batch_size=199).fit(X, y).loss_


@dataclass
class Halving:
    """A schedule with a parameter. As a data class it has no hash."""

    halvings: int

    def __call__(self, p):
        return 0.5 ** (self.halvings * p)


def test_a_schedule_may_be_any_callable(X, y, assert_same_weights, two_layers):
    clf = two_layers(learning_rate=Halving(2), max_iter=4, learning_rate_init=0.01).fit(X, y)
    assert_allclose(clf.learning_rate_curve_, 0.01 * 0.5 ** np.array([0.0, 0.5, 1.0, 1.5]), rtol=1e-12)
    assert_same_weights(clf, two_layers(learning_rate=lambda p: 0.25**p, max_iter=4, learning_rate_init=0.01).fit(X, y))


@pytest.mark.parametrize("dropout", [0.5, [0.0, 0.5], np.array([0.5, 0.5])])
@pytest.mark.parametrize("solver", SCIPY_METHODS)
def test_a_method_of_scipy_has_no_dropout(solver, dropout, X, y, two_layers):
    with pytest.warns(UnusedParameterWarning, match=f"dropout=.* has no effect with solver='{solver}'"):
        two_layers(solver=solver, dropout=dropout, max_iter=1).fit(X, y)
    two_layers(solver=solver, dropout=[0.0, 0.0], max_iter=1).fit(X, y)


# Parameters without effect. With BASE every parameter that is used changes the result of a few epochs. OTHER has another
# value than the default for each.

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
# dropout and solver_options have tests of their own. verbose and warm_start do not change the result. All solvers use solver
# and tol.
ASIDE = {"solver", "tol", "verbose", "warm_start", "dropout", "solver_options"}


def test_the_table_of_this_module_names_every_parameter():
    assert set(OTHER) | ASIDE == set(PARAMETERS)
    assert all(value != PARAMETERS[name].default for name, value in OTHER.items())


@pytest.fixture
def trained(X, y):
    """A function that fits a classifier. It returns it and the parameters that have no effect by its warnings."""

    def trained(params, **fit_params):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf = BackpropClassifier(**params).fit(X, y, **fit_params)
        said = [str(w.message) for w in caught if "has no effect" in str(w.message)]
        return clf, [message.partition("=")[0] for message in said]

    return trained


def alike(one, other):
    """Whether two fits are equal up to rounding. trust-krylov does not repeat itself bit for bit."""
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
def test_a_parameter_either_changes_the_result_or_gives_a_warning_of_no_effect(
    solver, validation, trained, linear_rule
):
    own = dict(zip(("X_val", "y_val"), linear_rule(n_rows=30, seed=1), strict=True)) if "own" in validation else {}
    plain = BASE | {"solver": solver, "early_stopping": "early" in validation}
    # Patience matters only if training stalls.
    stalling = plain | ({"tol": 0.3} if solver in UPDATES else {"max_iter": 30})
    for base, names in ((plain, OTHER.keys() - {"n_iter_no_change"}), (stalling, {"n_iter_no_change"})):
        before, said_before = trained(base, **own)
        for name in names:
            if OTHER[name] != base.get(name):
                after, said = trained(base | {name: OTHER[name]}, **own)
                assert said.count(name) == (1 if alike(before, after) else 0), name
                assert set(said) - {name} <= {*said_before, "power_t"}


@pytest.mark.parametrize("solver", SOLVERS)
def test_options_of_scipy_change_the_result_or_give_a_warning_of_no_effect(solver, trained):
    options = {SCIPY_METHODS[solver].tol: 1e3} if solver in SCIPY_METHODS else {"gtol": 1e3}
    before, _ = trained(BASE | {"solver": solver})
    after, said = trained(BASE | {"solver": solver, "solver_options": options})
    assert said.count("solver_options") == (1 if alike(before, after) else 0)
    assert alike(before, after) == (solver in UPDATES)


@pytest.mark.parametrize("solver", SOLVERS)
def test_dropout_without_hidden_layers_gives_a_warning_of_no_effect(solver, X, y):
    params = {"solver": solver, "hidden_layer_sizes": (), "max_iter": 2, "random_state": 0}
    with pytest.warns(UserWarning, match=r"dropout=0.5 has no effect with hidden_layer_sizes=\(\)\."):
        clf = BackpropClassifier(dropout=0.5, **params).fit(X, y)
    assert alike(clf, BackpropClassifier(**params).fit(X, y))
    assert alike(clf, BackpropClassifier(dropout=[], **params).fit(X, y))


def no_effect(caught):
    """The messages of no effect. Each warning is at the line of this module that calls."""
    caught = [w for w in caught if "no effect" in str(w.message)]
    assert {w.filename for w in caught} <= {__file__}
    return sorted(str(w.message) for w in caught)


def test_each_parameter_without_effect_is_named_once_with_the_cause(X, y, two_layers):
    with pytest.warns(UserWarning, match="no effect") as caught:
        two_layers(solver="lbfgs", momentum=0.5, learning_rate="cosine", warmup_fraction=0.1, weight_decay=0.1).fit(
            X, y
        )
    assert no_effect(caught) == [
        "learning_rate='cosine' has no effect with solver='lbfgs'.",
        "momentum=0.5 has no effect with solver='lbfgs'.",
        "warmup_fraction=0.1 has no effect with solver='lbfgs'.",
        "weight_decay=0.1 has no effect with solver='lbfgs'.",
    ]
    with pytest.warns(UserWarning, match="no effect") as caught:
        two_layers(momentum=0.5, power_t=0.3, max_fun=7, scoring="loss", validation_fraction=0.2).fit(X, y)
    assert no_effect(caught) == [
        "max_fun=7 has no effect with solver='adam'.",
        "momentum=0.5 has no effect with solver='adam'.",
        "power_t=0.3 has no effect with learning_rate='constant'.",
        "scoring='loss' has no effect with early_stopping=False.",
        "validation_fraction=0.2 has no effect with early_stopping=False.",
    ]
    with pytest.warns(UserWarning, match="no effect") as caught:
        two_layers(early_stopping=True, scoring="loss", validation_fraction=0.2).fit(X, y, X_val=X, y_val=y)
    assert no_effect(caught) == ["validation_fraction=0.2 has no effect with X_val given to fit."]


def test_only_the_first_call_of_partial_fit_warns(X, y, two_layers):
    clf = two_layers(momentum=0.5)
    with pytest.warns(UserWarning, match="no effect") as caught:
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert no_effect(caught) == ["momentum=0.5 has no effect with solver='adam'."]
    clf.partial_fit(X, y)


# Every warning but a ConvergenceWarning is an error here.
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_parameters_at_their_defaults_give_no_warning(solver, early_stopping, X, y):
    names = set(PARAMETERS) - {"hidden_layer_sizes", "solver", "max_iter", "early_stopping"}
    defaults = {name: PARAMETERS[name].default for name in names}
    as_numpy = {name: np.float64(value) for name, value in defaults.items() if type(value) is float}
    BackpropClassifier((3,), solver=solver, max_iter=2, early_stopping=early_stopping, **defaults | as_numpy).fit(X, y)
