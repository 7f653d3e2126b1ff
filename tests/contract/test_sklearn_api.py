"""BackpropClassifier keeps scikit-learn's contract in many configurations, and offers all that MLPClassifier offers."""

import copy
import inspect
import math
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skbp import BackpropClassifier, HiddenFeatures
from skbp._network.activations import ACTIVATIONS
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SCIPY_METHODS, SOLVERS
from skbp._training.updates import UPDATES

# The checks train a few epochs on all sorts of tiny data; that they end unconverged is not what they look at.
# One sets a patience of 20 epochs on every estimator that has one; with SciPy's methods it is of no effect, as they say.
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:batch_size=10 is larger than the number of rows",
    "ignore:n_iter_no_change=20 has no effect with solver=",
)

SAMPLE_WEIGHT_CHECKS = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)
CLASS_WEIGHT_CHECK = "check_class_weight_classifiers"
FITS_TWICE_CHECKS = ("check_supervised_y_2d", "check_classifiers_multilabel_representation_invariance")

OTHER_BATCHES = "A row of weight 2 sits in one mini-batch, the same row given twice in two: the steps differ."
OTHER_MASKS = (
    "Dropout draws for every row which units it does without: a row given twice gets two masks, one of weight 2 one."
)
OTHER_SPLIT = "Rows of weight 0 or given twice change which rows the inner split holds out."
ROUNDING = "The check wants agreement to 1e-7, which is float32's rounding: sums in another order already exceed it."
FITS_NOISE = (
    "The classes overlap almost wholly and one is weighted 10^7 times as much as the others. The check counts on a "
    "model that then predicts it everywhere; a full batch fitted to convergence also fits single rows of the others."
)
PERFECT_AT_ONCE = (
    "Five rows are held out, and with weights of 1000 to 0.0001 their accuracy is 1 up to 1e-6 as soon as those of the "
    "heavy class are right. No later epoch can improve on that, so training stops, long before the network predicts "
    "that class everywhere, which the check counts on."
)
COUNTS_CLASSES_ALIKE = (
    "The best macro F1 is not that of a network that predicts the heavy class everywhere, which the check counts on: every "
    "class has the same part in it, however light its rows are."
)
COUNTS_ROWS = (
    "The learning rate falls with the number of rows gone through: more if a row is given twice than if it weighs 2."
)
GOES_ON = "The check fits one estimator twice and expects equal predictions; a warm start goes on from the first fit."

# By nature: conjugate gradients inside Newton's method stop by thresholds, TNC takes differences of gradients.
DIFFERENT_SUMS = (
    "Weighted and repeated rows are summed in another order; the last bits of the sums decide how many inner iterations "
    "a step takes, and 30 steps later the weights differ by more than the check's 1e-7."
)
AMPLIFIES_ROUNDING = dict.fromkeys(
    ["newton-cg", "trust-krylov", "tnc"], dict.fromkeys(SAMPLE_WEIGHT_CHECKS, DIFFERENT_SUMS)
)

# Fewer and larger steps than by default: the same checks pass, in a third of the time. The defaults themselves are
# checked in a test of their own.
QUICK = {"max_iter": 30, "learning_rate_init": 0.01}
LBFGS = {"max_iter": 30, "solver": "lbfgs"}
TWO_LAYERS = {"hidden_layer_sizes": (20, 10), "activation": ["gelu", "tanh"], "alpha": [1e-2, 1e-3, 1e-4]}

# Parameters, and the checks that contradict the algorithm so configured, each with the cause.
CONFIGURATIONS = [
    *((QUICK | {"solver": solver}, {}) for solver in UPDATES),
    *(
        ({"solver": solver, "max_iter": 30, "hidden_layer_sizes": 10}, AMPLIFIES_ROUNDING.get(solver, {}))
        for solver in SCIPY_METHODS
    ),
    *((QUICK | {"activation": activation}, {}) for activation in ACTIVATIONS if activation != "relu"),  # the default
    ({"activation": "tanh"}, {CLASS_WEIGHT_CHECK: FITS_NOISE}),
    (QUICK | {"batch_size": 10}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_BATCHES)),
    (
        {"early_stopping": True},
        {**dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT), CLASS_WEIGHT_CHECK: PERFECT_AT_ONCE},
    ),
    ({"early_stopping": True, "solver": "lbfgs"}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT)),
    (QUICK | {"warm_start": True}, dict.fromkeys(FITS_TWICE_CHECKS, GOES_ON)),
    ({"warm_start": True, "solver": "lbfgs", "hidden_layer_sizes": ()}, {}),
    ({"hidden_layer_sizes": (), "learning_rate_init": 0.01}, {}),
    ({"hidden_layer_sizes": (), "solver": "lbfgs"}, {}),
    (QUICK | {"class_weight": "balanced"}, {}),
    (LBFGS | {"class_weight": "balanced"}, {}),
    (QUICK | {"out_activation": "logistic"}, {}),
    (QUICK | {"out_activation": "softmax"}, {}),
    (QUICK | {"dtype": "float32"}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, ROUNDING)),
    *(
        (QUICK | {"learning_rate": s}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, COUNTS_ROWS) if s == "invscaling" else {})
        for s in SCHEDULES
        if s != "constant"  # the default
    ),
    # A function of the module math: its repr, by which the checks are named, is the same in every process.
    (QUICK | {"learning_rate": math.cos, "warmup_fraction": 0.2}, {}),
    (QUICK | {"learning_rate": "one-cycle", "solver": "sgd"}, {}),
    (QUICK | {"dropout": 0.2}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_MASKS)),
    (QUICK | TWO_LAYERS, {}),
    (LBFGS | TWO_LAYERS, {}),
    (QUICK | {"weight_decay": 0.1}, {}),
    (QUICK | {"label_smoothing": 0.1}, {}),
    (LBFGS | {"label_smoothing": 0.1}, {}),
    (QUICK | {"max_grad_norm": 0.5}, {}),
    (QUICK | {"max_time": 60.0}, {}),
    (LBFGS | {"max_time": 60.0}, {}),
    (QUICK | {"early_stopping": True, "scoring": "loss"}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT)),
    (
        QUICK | {"early_stopping": True, "scoring": "f1_macro"},
        {**dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT), CLASS_WEIGHT_CHECK: COUNTS_CLASSES_ALIKE},
    ),
    (LBFGS | {"early_stopping": True, "scoring": "loss"}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT)),
]
EXCUSED = {repr(BackpropClassifier(**params)): excused for params, excused in CONFIGURATIONS}


CHECKS = parametrize_with_checks(
    [BackpropClassifier(**params) for params, _ in CONFIGURATIONS],
    expected_failed_checks=lambda estimator: EXCUSED[repr(estimator)],
)


# scikit-learn 1.6 makes the checks a generator, which pytest 9 warns of.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_configuration_passes_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.fail(f"A check was skipped: {skipped}")


def test_default_configuration_passes_every_check_with_none_excused_and_none_skipped():
    results = check_estimator(BackpropClassifier(), on_fail=None, on_skip=None)
    assert {r["check_name"]: r["exception"] for r in results if r["status"] != "passed"} == {}
    assert len(results) >= 60


# The checks seed an estimator, not what it is made of.
@pytest.mark.parametrize(
    "classifier",
    [
        BackpropClassifier(6, random_state=0, **QUICK),
        BackpropClassifier((6, 4), ["gelu", "tanh"], random_state=0, **LBFGS),
    ],
    ids=["adam", "lbfgs, two layers"],
)
def test_hidden_features_passes_every_check_with_none_excused_and_none_skipped(classifier):
    results = check_estimator(HiddenFeatures(classifier), on_fail=None, on_skip=None)
    assert {r["check_name"]: r["exception"] for r in results if r["status"] != "passed"} == {}
    assert len(results) >= 45
    assert any(r["check_name"] == "check_transformer_general" for r in results)


# For every parameter a valid value other than the default, and values that are not valid.
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
    return make_classification(n_samples=40, n_features=4, n_informative=3, n_redundant=0, random_state=0)


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
def test_parameter_is_got_set_and_cloned_as_it_was_given(name):
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


# Of all parameters each solver leaves some aside, and says so.
@pytest.mark.filterwarnings("ignore:.* has no effect with:UserWarning")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_fit_changes_no_constructor_parameter(solver, early_stopping, data):
    values = OTHER_VALUE | {"solver": solver, "early_stopping": early_stopping, "verbose": False}
    if solver in SCIPY_METHODS:
        values["dropout"] = 0.0
    before = copy.deepcopy(values)
    clf = BackpropClassifier(**values).fit(*data)
    if hasattr(clf, "partial_fit"):
        clf.partial_fit(*data)
    assert clf.get_params() == before
    assert all(clf.get_params()[name] is value for name, value in values.items())


def public_names(estimator):
    """Fitted attributes and methods; MLPClassifier's attribute `loss` is neither."""
    names = [name for name in dir(estimator) if not name.startswith("_") and hasattr(estimator, name)]
    return {name for name in names if name.endswith("_") or callable(getattr(estimator, name))}


def attribute_types(estimator, names):
    """The type of each attribute; NumPy's float64 is Python's float."""
    values = {name: getattr(estimator, name) for name in names}
    return {name: float if isinstance(value, float) else type(value) for name, value in values.items()}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "solver", [s for s in SOLVERS if s in MLPClassifier._parameter_constraints["solver"][0].options]
)
def test_all_that_mlpclassifier_publishes_is_published(solver, early_stopping, data):
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
def test_method_takes_the_arguments_of_mlpclassifiers(name):
    theirs = inspect.signature(getattr(MLPClassifier, name)).parameters
    ours = inspect.signature(getattr(BackpropClassifier, name)).parameters
    assert [p for p in theirs if p not in ours] == []
