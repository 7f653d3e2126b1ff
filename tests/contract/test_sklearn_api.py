"""Parameters, methods and attributes of BackpropClassifier, compared with those of MLPClassifier."""

import copy
import inspect

import numpy as np
import pytest
from registries import SCIPY_SOLVERS, SOLVERS
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from sklearn.utils._param_validation import InvalidParameterError
from toy_datasets import clusters

from skbp import BackpropClassifier

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# For every parameter: a valid value that is not the default, and invalid values.
OTHER_VALUE = {
    "hidden_layer_sizes": [7, 5],
    "activation": ["tanh", "gelu"],
    "solver": "sgd",
    "alpha": [0.3, 0.2, 0.1],
    "batch_size": 9,
    "learning_rate": "invscaling",
    "learning_rate_init": 0.02,
    "power_t": 0.4,
    "max_iter": 3,
    "shuffle": False,
    "random_state": 5,
    "tol": 1e-3,
    "verbose": 1,
    "warm_start": True,
    "momentum": 0.5,
    "nesterovs_momentum": False,
    "early_stopping": True,
    "validation_fraction": 0.25,
    "beta_1": 0.8,
    "beta_2": 0.9,
    "epsilon": 1e-6,
    "n_iter_no_change": np.inf,
    "max_fun": 50,
    "class_weight": {0: 1.0, 1: 2.0},
    "out_activation": "softmax",
    "scoring": "loss",
    "max_time": 60.0,
    "dropout": [0.1, 0.2],
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "max_grad_norm": 0.5,
    "warmup_fraction": 0.25,
    "dtype": "float32",
    "hessian": "gauss-newton",
    "solver_options": {},
}
INVALID_VALUES = {
    "hidden_layer_sizes": [0, -3, 2.5, None],
    "activation": ["no such activation", None, 1.0],
    "solver": ["no such solver", None],
    "alpha": [-0.1, "large"],
    "batch_size": [0, 2.5, "all"],
    "learning_rate": ["no such schedule", 0.1, None],
    "learning_rate_init": [0.0, -1.0, "small"],
    "power_t": [-0.5, "half"],
    "max_iter": [0, -1, 10.0],
    "shuffle": ["yes", 2],
    "random_state": [-1, "seed"],
    "tol": [-1e-4, None],
    "verbose": [-1, "loud"],
    "warm_start": ["yes", 2],
    "momentum": [-0.1, 1.1, None],
    "nesterovs_momentum": ["yes", 2],
    "early_stopping": ["yes", 2],
    "validation_fraction": [-0.1, 1.0, 5],
    "beta_1": [-0.1, 1.0],
    "beta_2": [-0.1, 1.0],
    "epsilon": [0.0, -1e-8],
    "n_iter_no_change": [0, -1, 2.5],
    "max_fun": [0, 10.0],
    "class_weight": ["unbalanced", 2.0],
    "out_activation": ["relu", None],
    "scoring": ["no such score", 1.0],
    "max_time": [0.0, -1.0, "long"],
    "dropout": [-0.1, 1.0, None],
    "weight_decay": [-0.1, None],
    "label_smoothing": [-0.1, 1.0, None],
    "max_grad_norm": [0.0, -1.0, "long"],
    "warmup_fraction": [-0.1, 1.0, None],
    "dtype": ["float16", "int"],
    "hessian": ["approximate", None],
    "solver_options": [5, ["maxiter"]],
}
PARAMETERS = inspect.signature(BackpropClassifier).parameters


@pytest.fixture(scope="module")
def data():
    return clusters(n_rows=40, n_features=4, n_informative=3, n_classes=2)


def test_constructor_begins_with_the_parameters_of_mlpclassifier_in_order_with_the_same_defaults():
    theirs = list(inspect.signature(MLPClassifier).parameters.values())
    ours = list(PARAMETERS.values())
    assert [(p.name, p.default, p.kind) for p in ours[: len(theirs)]] == [(p.name, p.default, p.kind) for p in theirs]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in ours[len(theirs) :])


def test_the_tables_of_this_module_name_every_parameter():
    assert list(OTHER_VALUE) == list(INVALID_VALUES) == list(PARAMETERS)
    assert all(OTHER_VALUE[name] != parameter.default for name, parameter in PARAMETERS.items())


def test_every_parameter_has_a_constraint():
    assert set(BackpropClassifier._parameter_constraints) == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_get_set_and_clone_keep_a_parameter_as_it_was_given(name):
    value = OTHER_VALUE[name]
    given = BackpropClassifier(**{name: value})
    assert given.get_params()[name] is value
    assert BackpropClassifier().set_params(**{name: value}).get_params() == given.get_params()
    assert clone(given).get_params() == given.get_params()
    others = {key: parameter.default for key, parameter in PARAMETERS.items() if key != name}
    assert {key: got for key, got in given.get_params().items() if key != name} == others


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in INVALID_VALUES.items() for value in values]
)
def test_invalid_value_is_refused_by_name_and_the_estimator_is_usable_afterwards(name, value, data):
    clf = BackpropClassifier(max_iter=1).set_params(**{name: value})
    for method in ("fit", "partial_fit"):
        if hasattr(clf, method):
            with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of BackpropClassifier must be"):
                getattr(clf, method)(*data)
    assert not hasattr(clf, "coefs_")
    clf.set_params(**{name: PARAMETERS[name].default, "max_iter": 1}).fit(*data)
    assert clf.predict(data[0]).shape == data[1].shape


# Each solver has no use for some of the parameters, and warns.
@pytest.mark.filterwarnings("ignore:.* has no effect with:UserWarning")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_fit_changes_no_constructor_parameter(solver, early_stopping, data):
    values = OTHER_VALUE | {"solver": solver, "early_stopping": early_stopping, "verbose": False}
    if solver in SCIPY_SOLVERS:
        values["dropout"] = 0.0
    before = copy.deepcopy(values)
    clf = BackpropClassifier(**values).fit(*data)
    if hasattr(clf, "partial_fit"):
        clf.partial_fit(*data)
    assert clf.get_params() == before
    assert all(clf.get_params()[name] is value for name, value in values.items())


def public_names(estimator):
    """Fitted attributes and methods. MLPClassifier's attribute `loss` is neither."""
    names = [name for name in dir(estimator) if not name.startswith("_") and hasattr(estimator, name)]
    return {name for name in names if name.endswith("_") or callable(getattr(estimator, name))}


def attribute_types(estimator, names):
    """The type of each attribute. NumPy's float64 counts as Python's float."""
    values = {name: getattr(estimator, name) for name in names}
    return {name: float if isinstance(value, float) else type(value) for name, value in values.items()}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "solver", [s for s in SOLVERS if s in MLPClassifier._parameter_constraints["solver"][0].options]
)
def test_everything_that_mlpclassifier_publishes_is_published(solver, early_stopping, data):
    params = {"solver": solver, "early_stopping": early_stopping, "max_iter": 3, "random_state": 0}
    theirs, ours = MLPClassifier(**params).fit(*data), BackpropClassifier(**params).fit(*data)
    assert public_names(theirs) - public_names(ours) == set()
    attributes = [name for name in public_names(theirs) if name.endswith("_")]
    assert len(attributes) >= 10
    assert attribute_types(ours, attributes) == attribute_types(theirs, attributes)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_publishes_the_same_attributes(solver, early_stopping, data):
    ours = BackpropClassifier(solver=solver, early_stopping=early_stopping, max_iter=3, random_state=0).fit(*data)
    reference = MLPClassifier(early_stopping=early_stopping, max_iter=3, random_state=0).fit(*data)
    attributes = [name for name in public_names(reference) if name.endswith("_")]
    assert attribute_types(ours, attributes) == attribute_types(reference, attributes)
    adam = BackpropClassifier(early_stopping=early_stopping, max_iter=3, random_state=0).fit(*data)
    assert public_names(ours) | {"partial_fit", "set_partial_fit_request"} == public_names(adam)
    assert len(ours.loss_curve_) == ours.n_iter_ == 3
    if early_stopping:
        assert len(ours.validation_scores_) == 3


@pytest.mark.parametrize("name", sorted(public_names(MLPClassifier)))
def test_methods_take_the_arguments_of_mlpclassifier(name):
    theirs = inspect.signature(getattr(MLPClassifier, name)).parameters
    ours = inspect.signature(getattr(BackpropClassifier, name)).parameters
    assert [p for p in theirs if p not in ours] == []
