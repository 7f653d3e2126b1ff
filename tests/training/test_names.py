"""Unknown names of parameter values, with hints at known ones, and numbers that are no floats."""

import re
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

pytestmark = pytest.mark.filterwarnings(
    "ignore::skbp.NothingLearnedWarning",
    "ignore::skbp.UnusedParameterWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
)

CLASSES = [BackpropClassifier, BackpropClassifierCV]

rng = np.random.RandomState(0)
X = rng.normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


def small(cls, **params):
    extra = {"cv": 2, "n_repeats": 1} if cls is BackpropClassifierCV else {}
    return cls(**{"hidden_layer_sizes": 4, "max_iter": 2, "random_state": 0, **extra, **params})


def constraints_of(cls):
    return cls._parameter_constraints


def refusal(cls, name, value, method="fit"):
    """The message of the error that a parameter value gives. Nothing is fitted."""
    clf = small(cls).set_params(**{name: value})
    with pytest.raises(InvalidParameterError) as raised:
        getattr(clf, method)(X, Y)
    assert isinstance(raised.value, ValueError)
    assert f"'{name}' parameter of {cls.__name__}" in str(raised.value)
    assert not [attribute for attribute in vars(clf) if attribute.endswith("_")]
    return str(raised.value)


def names_of(cls, name):
    """The names that a parameter accepts."""
    return sorted(set().union(*(one.options for one in constraints_of(cls)[name] if isinstance(one, StrOptions))))


NAMED = [(cls, name) for cls in CLASSES for name in constraints_of(cls) if names_of(cls, name)]


# Names


def test_the_names_are_those_of_the_registries():
    assert names_of(BackpropClassifier, "activation") == sorted(ACTIVATIONS)
    assert names_of(BackpropClassifier, "solver") == sorted(SOLVERS)
    assert names_of(BackpropClassifier, "learning_rate") == sorted(SCHEDULES)
    assert names_of(BackpropClassifier, "out_activation") == sorted(["auto", *LOSSES])
    assert names_of(BackpropClassifier, "scoring") == sorted(["loss", *get_scorer_names()])


@pytest.mark.parametrize(("cls", "name"), NAMED)
def test_an_unknown_name_gets_a_sorted_list_of_those_known(cls, name):
    message = refusal(cls, name, "qqzzxx")
    assert re.search(
        rf"must be one of {re.escape(str(names_of(cls, name)))}( or .+)?\. Got 'qqzzxx' instead\.", message
    )
    # No name is near it.
    assert "Did you mean" not in message


@pytest.mark.parametrize(("cls", "name"), NAMED)
def test_a_misspelt_name_gets_a_hint_at_the_right_one(cls, name):
    for known in names_of(cls, name):
        for wrong in (known[:-1], known.upper(), known + "_"):
            if len(known) < 4 or wrong in names_of(cls, name):
                continue
            message = refusal(cls, name, wrong)
            meant = re.search(r"Did you mean '(.*)'", message)
            assert meant, message
            # The hint may be another name with the same beginning: "f1_macro" and "f1_micro".
            assert meant[1] in names_of(cls, name)
            if name != "scoring":
                assert meant[1] == known, message


HINTS = [
    ("activation", "swish", "'silu'"),
    ("activation", "Swish", "'silu'"),
    ("activation", "sigmoid", "'logistic'"),
    ("activation", "linear", "'identity'"),
    ("activation", "none", "'identity'"),
    ("activation", "LeakyReLU", "'leaky_relu'"),
    ("activation", "leaky-relu", "'leaky_relu'"),
    ("activation", "lrelu", "'leaky_relu'"),
    ("activation", "ReLU", "'relu'"),
    ("activation", "reul", "'relu'"),
    ("activation", "soft plus", "'softplus'"),
    ("solver", "adamw", "'adam' with weight_decay"),
    ("solver", "AdamW", "'adam' with weight_decay"),
    ("solver", "rmsprop", "'adam'"),
    ("solver", "l-bfgs", "'lbfgs'"),
    ("solver", "L-BFGS-B", "'lbfgs'"),
    ("solver", "newton", "'newton-cg'"),
    ("solver", "newton_cg", "'newton-cg'"),
    ("solver", "trust_ncg", "'trust-ncg'"),
    ("solver", "SGD", "'sgd'"),
    ("solver", "admam", "'adam'"),
    ("learning_rate", "one_cycle", "'one-cycle'"),
    ("learning_rate", "onecycle", "'one-cycle'"),
    ("learning_rate", "inv_scaling", "'invscaling'"),
    ("learning_rate", "cosin", "'cosine'"),
    ("out_activation", "sigmoid", "'logistic'"),
    ("out_activation", "soft-max", "'softmax'"),
    ("hessian", "gauss_newton", "'gauss-newton'"),
    ("hessian", "ggn", "'gauss-newton'"),
    ("class_weight", "balance", "'balanced'"),
    ("batch_size", "Auto", "'auto'"),
    ("dtype", "float", "'float64'"),
    ("dtype", "double", "'float64'"),
    ("dtype", "single", "'float32'"),
    ("dtype", "float16", "'float"),
    ("dtype", np.float32, "'float32'"),
    ("dtype", np.float64, "'float64'"),
    ("dtype", float, "'float64'"),
    ("dtype", np.dtype("float32"), "'float32'"),
]


@pytest.mark.parametrize(("name", "value", "meant"), HINTS)
@pytest.mark.parametrize("cls", CLASSES)
def test_names_of_other_libraries_and_misspellings_get_a_hint(cls, name, value, meant):
    message = refusal(cls, name, value)
    assert f" Did you mean {meant}" in message
    assert str(names_of(cls, name)) in message


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("auc", "roc_auc"),
        ("AUC", "roc_auc"),
        ("log_loss", "loss"),
        ("cross_entropy", "loss"),
        ("acc", "accuracy"),
        ("acuracy", "accuracy"),
        ("f1_score", "f1"),
        ("mcc", "matthews_corrcoef"),
        ("roc-auc", "roc_auc"),
        ("balanced accuracy", "balanced_accuracy"),
    ],
)
def test_names_of_scores_get_a_hint(value, meant):
    assert f" Did you mean '{meant}'?" in refusal(BackpropClassifier, "scoring", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation", "bananas"),
        ("activation", ""),
        ("solver", "quickprop"),
        ("learning_rate", "fast"),
        ("out_activation", "tanh"),
        ("class_weight", "uniform"),
        ("dtype", "int64"),
        ("dtype", int),
        ("dtype", np.int32),
        ("dtype", 32),
        ("dtype", ["float32"]),
    ],
)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_value_that_is_near_no_name_gets_no_hint(cls, name, value):
    assert "Did you mean" not in refusal(cls, name, value)


def meant_of(message):
    return re.findall(r"'([^']*)'", message.split("Did you mean")[1])


@pytest.mark.parametrize("cls", CLASSES)
def test_every_hint_is_an_accepted_name(cls):
    for name, value, _ in HINTS:
        for meant in meant_of(refusal(cls, name, value)):
            assert meant in names_of(cls, name)


@pytest.mark.parametrize("rate", [0.01, 1, np.float32(0.5), np.int64(2)])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_number_as_the_schedule_gets_a_hint_at_the_initial_rate(cls, rate):
    message = refusal(cls, "learning_rate", rate)
    assert f"must be one of {sorted(SCHEDULES)} or a callable. Got {rate!r} instead." in message
    assert f"Did you mean learning_rate_init={rate!r}?" in message


@pytest.mark.parametrize(("name", "value"), [("activation", "swish"), ("dtype", np.float32), ("learning_rate", 0.01)])
@pytest.mark.parametrize("method", ["partial_fit", "objective"])
def test_other_methods_refuse_names_as_fit_does(method, name, value):
    assert refusal(BackpropClassifier, name, value, method) == refusal(BackpropClassifier, name, value)


@pytest.mark.parametrize(
    ("params", "meant"), [({"activation": "swish"}, "silu"), ({"out_activation": "sigmoid"}, "logistic")]
)
def test_from_weights_refuses_names_as_fit_does(params, meant):
    coefs, intercepts = [np.ones((3, 2)), np.ones((2, 2))], [np.ones(2), np.ones(2)]
    with pytest.raises(InvalidParameterError, match=f"Did you mean '{meant}'"):
        BackpropClassifier.from_weights(coefs, intercepts, classes=[0, 1], **params)


# Numbers


NUMERIC = [
    (cls, name)
    for cls in CLASSES
    for name, allowed in constraints_of(cls).items()
    if any(isinstance(one, Interval) for one in allowed)
]


def is_integral(cls, name):
    intervals = [one for one in constraints_of(cls)[name] if isinstance(one, Interval)]
    return all(one.type is Integral for one in intervals)


def test_numeric_parameters_are_found():
    names = {name for cls, name in NUMERIC if cls is BackpropClassifier}
    assert {"alpha", "max_iter", "tol", "learning_rate_init", "dropout", "hidden_layer_sizes", "max_time"} <= names


@pytest.mark.parametrize(("cls", "name"), [*NUMERIC, *((cls, "random_state") for cls in CLASSES)])
@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["huge", "negative"])
def test_an_integer_beyond_the_floats_is_refused_with_the_name_of_the_parameter(value, cls, name):
    message = refusal(cls, name, value)
    # The number is not written out: it may have millions of digits.
    assert len(message) < 300
    assert "beyond 1.8e308" in message


@pytest.mark.parametrize(("cls", "name"), NUMERIC)
def test_a_fraction_is_refused_with_the_name_of_the_parameter(cls, name):
    for value in (Fraction(1, 2), Fraction(3)):
        assert isinstance(value, Real)
        assert f"must be an int or a float. Got {value!r}" in refusal(cls, name, value)


@pytest.mark.parametrize("value", [10**400, Fraction(1, 2)])
@pytest.mark.parametrize("name", ["alpha", "dropout"])
@pytest.mark.parametrize("cls", CLASSES)
def test_elements_of_a_list_are_refused_too(cls, name, value):
    numbers = [0.1, value] if name == "alpha" else [value]
    with pytest.raises(InvalidParameterError, match=f"{name} has an element that"):
        small(cls, **{name: numbers}).fit(X, Y)


@pytest.mark.parametrize(("cls", "name"), [case for case in NUMERIC if case[1] != "hidden_layer_sizes"])
@pytest.mark.parametrize("value", [np.nan, -1e308, 1j, "1", None, b"1"], ids=repr)
def test_other_values_are_refused_with_the_name_of_the_parameter(value, cls, name):
    if value is None and None in constraints_of(cls)[name]:
        return
    refusal(cls, name, value)


# Valid values of parameters with a default that is no number, or that does not suit a small fit.
VALUES = {
    "hidden_layer_sizes": 4,
    "batch_size": 10,
    "max_iter": 2,
    "max_time": 1e4,
    "max_grad_norm": 0.5,
    "learning_rate_init": 0.01,
    "dropout": 0.25,
    "weight_decay": 0.25,
    "warmup_fraction": 0.5,
    "label_smoothing": 0.125,
    "validation_fraction": 0.25,
    "power_t": 0.25,
    "alpha": 0.5,
    "quantile_bins": 4,
}
# The other parameters that a parameter needs to have an effect.
WITH = {
    "power_t": {"learning_rate": "invscaling"},
    "momentum": {"solver": "sgd"},
    "max_fun": {"solver": "lbfgs"},
    "validation_fraction": {"early_stopping": True},
    "quantile_bins": {"n_repeats": 2},
}


# A schedule must not compute in the type of power_t: with np.float16(0.5) the learning rate would be 0 after 65,504 rows.
@pytest.mark.parametrize(("cls", "name"), NUMERIC)
def test_numpy_scalars_equal_pythons_numbers(cls, name):
    """They do not change the type of training either: a float64 scalar of NumPy turns float32 arrays into float64."""
    parameters = small(cls).get_params(deep=False)
    value = VALUES.get(name, parameters[name])
    types = [np.int64, np.int32, np.uint16] if is_integral(cls, name) else [np.float64, np.longdouble]
    if not is_integral(cls, name) and float(np.float32(value)) == value:
        types += [np.float32, np.float16] if np.float16(value) == value else [np.float32]
    params = {"max_iter": 3, **WITH.get(name, {}), "dtype": "float32"}
    expected = small(cls, **{**params, name: value}).fit(X, Y)
    for kind in types:
        clf = small(cls, **{**params, name: kind(value)}).fit(X, Y)
        assert clf.predict_proba(X).dtype == np.float64
        for a, b in zip(networks(clf), networks(expected), strict=True):
            for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
                assert one.dtype == np.float32
                assert_array_equal(one, other)
            assert_array_equal(a.loss_curve_, b.loss_curve_)


def networks(clf):
    return clf.members_ if isinstance(clf, BackpropClassifierCV) else [clf]


@pytest.mark.parametrize("cls", CLASSES)
def test_numpy_booleans_equal_pythons(cls):
    for name in ("shuffle", "nesterovs_momentum"):
        for value in (True, False):
            clf, expected = (small(cls, solver="sgd", **{name: kind(value)}).fit(X, Y) for kind in (np.bool_, bool))
            assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))


def test_huge_integers_are_limits_that_are_never_reached():
    """Limits of epochs and evaluations may be any number, and the patience may be inf."""
    params = {"n_iter_no_change": 10**300, "max_fun": 10**300, "batch_size": 10**2, "power_t": 10**3}
    with pytest.warns(UserWarning, match="batch_size=100 is larger"):
        clf = small(BackpropClassifier, **params).fit(X, Y)
    same = small(BackpropClassifier, n_iter_no_change=np.inf).fit(X, Y)
    assert_array_equal(clf.predict_proba(X), same.predict_proba(X))


@pytest.mark.parametrize("name", UPDATES)
def test_the_names_of_update_rules_are_solvers(name):
    assert small(BackpropClassifier, solver=name).fit(X, Y).n_iter_ == 2


def test_a_message_says_what_a_parameter_may_be_beside_a_name():
    assert "must be one of ['auto'] or an int in the range [1, inf)." in refusal(
        BackpropClassifier, "batch_size", "all"
    )
    assert "must be one of ['balanced'] or a dict or a list or None." in refusal(
        BackpropClassifier, "class_weight", "even"
    )
