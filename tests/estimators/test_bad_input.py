"""Bad input: the error says what was given and what is allowed, and the estimator stays usable."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from registries import SCIPY_SOLVERS, SOLVERS, UPDATES
from sklearn.model_selection import train_test_split
from toy_datasets import linear_rule

import skbp
from skbp import BackpropClassifier

# The good data are learnt in a few epochs, without convergence.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y_BINARY = linear_rule("binary", noise=0.0)
_, Y_MULTILABEL = linear_rule("multilabel", noise=0.0)
_, Y_MULTICLASS = linear_rule("multiclass", noise=0.0)


def small(**params):
    common = {"hidden_layer_sizes": (5,), "max_iter": 40, "random_state": 0}
    # SciPy's methods have no use for a learning rate and would give a warning.
    rate = {} if params.get("solver") in SCIPY_SOLVERS else {"learning_rate_init": 0.1}
    return BackpropClassifier(**{**common, **rate, **params})


def assert_usable(clf, **good_params):
    """Assert that the estimator learns the same from good data as a fresh one."""
    fresh = BackpropClassifier(**{**clf.get_params(), **good_params}).fit(X, Y_BINARY)
    clf.set_params(**good_params).fit(X, Y_BINARY)
    assert clf.score(X, Y_BINARY) > 0.8
    # trust-krylov gives the same numbers only up to rounding.
    tolerance = 1e-3 if clf.solver == "trust-krylov" else 0.0
    assert_allclose(clf.predict_proba(X), fresh.predict_proba(X), rtol=0.0, atol=tolerance)


def refuse(clf, match, *args, error=ValueError, method="fit", **kwargs):
    with pytest.raises(error, match=match):
        getattr(clf, method)(*args, **kwargs)


def with_value(array, value):
    array = np.array(array, dtype=float)
    array.flat[3] = value
    return array


METHODS = ["fit", "partial_fit"]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("value", "match"), [(np.nan, "Input X contains NaN"), (np.inf, "X contains infinity")])
def test_nan_and_infinity_in_the_data(method, value, match, container):
    clf = small()
    kwargs = {"classes": [0, 1]} if method == "partial_fit" else {}
    refuse(clf, match, container(with_value(X, value)), Y_BINARY, method=method, **kwargs)
    assert not hasattr(clf, "classes_")
    assert_usable(clf)
    for prediction in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        refuse(clf, match, container(with_value(X, value)), method=prediction)
    assert clf.score(X, Y_BINARY) > 0.8


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_in_the_labels(value):
    clf = small()
    refuse(clf, r"Input y contains (NaN|infinity)", X, with_value(Y_BINARY, value))
    assert_usable(clf)


@pytest.mark.parametrize(
    ("bad_X", "bad_y", "match"),
    [
        (X[:, 0], Y_BINARY, r"Expected 2D array, got 1D array"),
        (X[0], Y_BINARY, r"Expected 2D array, got 1D array"),
        (X[:, :, None], Y_BINARY, r"dim 3"),
        (X[:-1], Y_BINARY, r"inconsistent numbers of samples: \[59, 60\]"),
        (X, Y_MULTILABEL[:-1], r"inconsistent numbers of samples: \[60, 59\]"),
        (X[:0], Y_BINARY[:0], r"0 sample\(s\)"),
        (X[:, :0], Y_BINARY, r"0 feature\(s\)"),
        (X.astype(str).tolist(), None, r"requires y to be passed, but the target y is None"),
        ([["a", "b"]] * 60, Y_BINARY, r"could not convert string to float"),
        (X + 1j, Y_BINARY, r"Complex data not supported"),
    ],
    ids=["1-d", "one row", "3-d", "X short", "y short", "no rows", "no columns", "no y", "strings", "complex"],
)
def test_wrong_shapes(bad_X, bad_y, match):
    clf = small()
    refuse(clf, match, bad_X, bad_y)
    assert_usable(clf)


@pytest.mark.parametrize("y", [X[:, 0], X[:, :2], with_value(Y_BINARY, 0.5)], ids=["1-d", "2-d", "one value"])
def test_continuous_targets(y):
    clf = small()
    refuse(clf, r"Unknown label type: continuous", X, y)
    assert_usable(clf)


def test_multioutput_targets():
    clf = small()
    refuse(clf, r"(?s)[Mm]ultioutput.*multilabel.*MultiOutputClassifier", X, np.c_[Y_MULTICLASS, Y_MULTICLASS])
    assert_usable(clf)


# Several calls


def test_partial_fit_without_classes():
    clf = small()
    refuse(clf, "classes must be passed on the first call", X, Y_BINARY, method="partial_fit")
    assert_array_equal(clf.partial_fit(X, Y_BINARY, classes=[0, 1]).classes_, [0, 1])
    assert_usable(clf)


def test_partial_fit_with_unseen_classes():
    clf = small()
    refuse(clf, r"(?s)classes not in.*\[1\].*\[0 5\]", X, Y_BINARY, classes=[0, 5], method="partial_fit")
    clf.partial_fit(X, Y_BINARY, classes=[0, 1])
    proba = clf.predict_proba(X)
    refuse(clf, r"(?s)classes not in.*\[2\].*\[0 1\].*first call to partial_fit", X, Y_MULTICLASS, method="partial_fit")
    refuse(clf, r"not the same as on last call", X, Y_BINARY, classes=[0, 1, 2], method="partial_fit")
    assert_array_equal(clf.predict_proba(X), proba)
    assert_usable(clf)


@pytest.mark.parametrize("method", METHODS)
def test_changed_number_of_features(method):
    clf = small(warm_start=True).fit(X, Y_BINARY)
    match = r"X has 3 features, but BackpropClassifier is expecting 4 features"
    refuse(clf, match, X[:, :3], Y_BINARY, method=method)
    refuse(clf, match, X[:, :3], method="predict")
    assert clf.n_features_in_ == 4
    assert_usable(clf, warm_start=False)


@pytest.mark.parametrize("sizes", [(6,), (5, 5), (), 4])
@pytest.mark.parametrize("method", METHODS)
def test_changed_layers(method, sizes):
    clf = small(warm_start=True).fit(X, Y_BINARY)
    proba = clf.predict_proba(X)
    clf.set_params(hidden_layer_sizes=sizes)
    refuse(clf, r"(?s)\[4, 5, 1\].*hidden_layer_sizes.*warm_start=False", X, Y_BINARY, method=method)
    assert_array_equal(clf.set_params(hidden_layer_sizes=(5,)).predict_proba(X), proba)
    assert_usable(clf, hidden_layer_sizes=sizes, warm_start=False)


def test_other_classes_on_a_warm_start():
    clf = small(warm_start=True).fit(X, Y_BINARY)
    refuse(clf, r"(?s)warm_start.*same classes.*\[0 1\].*\[0 1 2\]", X, Y_MULTICLASS)
    assert_usable(clf, warm_start=False)


# Weights of rows and of classes


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (with_value(np.ones(60), -0.5), r"Negative values in sample_weight.*-0\.5.*at least 0"),
        (np.zeros(60), r"the weights of all rows zero: at least one must be positive|[Ss]ample weights must contain"),
        (np.ones(59), r"sample_weight.*\(59,\).*\(60,\)"),
        (np.ones((60, 2)), r"sample_weight has the shape \(60, 2\); it must be \(60,\)"),
        (with_value(np.ones(60), np.nan), r"sample_weight contains NaN"),
        (with_value(np.ones(60), np.inf), r"sample_weight contains infinity"),
    ],
    ids=["negative", "all zero", "wrong length", "2-d", "NaN", "infinity"],
)
def test_sample_weights(solver, weight, match):
    clf = small(solver=solver)
    refuse(clf, match, X, Y_BINARY, weight)
    if solver in UPDATES:
        refuse(clf, match, X, Y_BINARY, weight, classes=[0, 1], method="partial_fit")
    assert_usable(clf)


@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_that_float32_rounds_to_zero_are_valid(solver):
    weighted, plain = (small(solver=solver, alpha=0.0, random_state=0) for _ in range(2))
    weighted.fit(X.astype(np.float32), Y_BINARY, np.full(60, 2.0**-200))
    plain.fit(X.astype(np.float32), Y_BINARY)
    np.testing.assert_allclose(weighted.predict_proba(X), plain.predict_proba(X), rtol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_that_holds_out_all_rows_of_positive_weight(solver):
    # The generator draws the layers first and then the split. This repeats the split.
    draws = np.random.RandomState(0)
    for shape in ((4, 5), 5, (5, 1), 1):
        draws.uniform(size=shape)
    _, held_out = train_test_split(np.arange(60), test_size=0.1, stratify=Y_BINARY, random_state=draws)
    weight = np.zeros(60)
    weight[held_out] = 1.0
    clf = small(solver=solver, early_stopping=True)
    refuse(clf, r"weights.*zero.*(early_stopping|validation_fraction)", X, Y_BINARY, weight)
    assert_usable(clf, early_stopping=False)


@pytest.mark.parametrize(
    ("class_weight", "match"),
    [
        ({0: 1.0, "spam": 2.0}, r"class_weight names \['spam'\].*no weight for \[1\]"),
        ({0: -1.0, 1: 1.0}, r"class_weight=.*-1\.0.*not negative"),
        ({0: np.nan, 1: 1.0}, r"class_weight=.*nan.*finite"),
        ({0: 0.0, 1: 0.0}, r"^class_weight makes the weights of all rows zero"),
        ([{0: 1.0, 1: 1.0}], r"class_weight=.*'balanced' or a dict"),
        ("auto", r"'class_weight' parameter.*'balanced'.*Got 'auto'"),
        (2.0, r"'class_weight' parameter.*'balanced'.*Got 2\.0"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_class_weights(method, class_weight, match):
    clf = small(class_weight=class_weight)
    kwargs = {"classes": [0, 1]} if method == "partial_fit" else {}
    refuse(clf, match, X, Y_BINARY, method=method, **kwargs)
    assert_usable(clf, class_weight=None)


@pytest.mark.parametrize(
    "class_weight", [{0: 1.0, 1: 2.0}, [{0: 1.0, 1: 2.0}], [{0: 1.0}] * 4, [1.0, 2.0, 3.0]], ids=str
)
def test_class_weights_of_multilabel_targets(class_weight):
    clf = small(class_weight=class_weight)
    refuse(clf, r"class_weight=.*'balanced' or a list of 3 dicts", X, Y_MULTILABEL)
    assert_usable(clf, class_weight=None)


# Initial weights and layers


GOOD_COEFS = [np.ones((4, 5)), np.ones((5, 1))]
GOOD_INTERCEPTS = [np.ones(5), np.ones(1)]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("coefs", "match"),
    [
        (GOOD_COEFS[:1], r"coef_init has 1 arrays? for 2 layers.*\(4, 5\), \(5, 1\)"),
        ([*GOOD_COEFS, np.ones((1, 1))], r"coef_init has 3 arrays? for 2 layers"),
        ([np.ones((5, 4)), GOOD_COEFS[1]], r"coef_init has.*\(5, 4\), \(5, 1\).*must be.*\(4, 5\), \(5, 1\)"),
        ([GOOD_COEFS[0], np.ones(5)], r"coef_init has.*\(5,\).*must be.*\(5, 1\)"),
        ([with_value(GOOD_COEFS[0], np.nan), GOOD_COEFS[1]], r"coef_init contains NaN"),
        ([with_value(GOOD_COEFS[0], np.inf), GOOD_COEFS[1]], r"coef_init contains infinity"),
        (3.0, r"coef_init"),
    ],
    ids=["too few", "too many", "transposed", "1-d", "NaN", "infinity", "a number"],
)
def test_initial_weights(solver, coefs, match):
    clf = small(solver=solver)
    refuse(clf, match, X, Y_BINARY, coef_init=coefs, error=(ValueError, TypeError))
    assert_usable(clf)


@pytest.mark.parametrize(
    ("intercepts", "match"),
    [
        (GOOD_INTERCEPTS[:1], r"intercept_init has 1 arrays? for 2 layers.*\(5,\), \(1,\)"),
        ([np.ones(4), np.ones(1)], r"intercept_init has.*\(4,\), \(1,\).*must be.*\(5,\), \(1,\)"),
        ([np.ones((5, 1)), np.ones(1)], r"intercept_init has.*\(5, 1\).*must be.*\(5,\)"),
        ([with_value(np.ones(5), np.nan), np.ones(1)], r"intercept_init contains NaN"),
    ],
    ids=["too few", "wrong length", "2-d", "NaN"],
)
def test_initial_biases(intercepts, match):
    clf = small()
    refuse(clf, match, X, Y_BINARY, intercept_init=intercepts)
    refuse(clf, match, X, Y_BINARY, coef_init=GOOD_COEFS, intercept_init=intercepts)
    assert_usable(clf)


@pytest.mark.parametrize("sizes", [2**62, 2**63, (2**31, 2**31), (2**62, 2**62), 10**30, [np.int64(2**62)]], ids=str)
def test_layers_with_more_parameters_than_memory(sizes):
    clf = small(hidden_layer_sizes=sizes)
    refuse(clf, r"hidden_layer_sizes=.*parameters.*memory.*smaller layers", X, Y_BINARY)
    assert_usable(clf, hidden_layer_sizes=(5,))


@pytest.mark.parametrize("sizes", [0, -1, (0,), (5, 0), (-3,), 2.5, (2.5,), (5, "a"), "ab", None, [[5]]], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_layer_sizes_that_are_not_positive_integers(method, sizes):
    clf = small(hidden_layer_sizes=sizes)
    kwargs = {"classes": [0, 1]} if method == "partial_fit" else {}
    refuse(clf, r"(?s)hidden_layer_sizes.*(> 0|\[1, inf\))", X, Y_BINARY, method=method, **kwargs)
    assert_usable(clf, hidden_layer_sizes=(5,))


# Other parameters


@pytest.mark.parametrize("method", METHODS)
def test_softmax_with_a_multilabel_target(method):
    clf = small(out_activation="softmax")
    kwargs = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    refuse(clf, r"out_activation='softmax'.*multilabel.*'auto' or 'logistic'", X, Y_MULTILABEL, method=method, **kwargs)
    assert_usable(clf)


@pytest.mark.parametrize("dtype", ["float16", "int64", np.float32, "double"])
def test_types_that_training_does_not_support(dtype):
    clf = small(dtype=dtype)
    refuse(clf, r"'dtype' parameter.*'float32'.*Got", X, Y_BINARY)
    assert_usable(clf, dtype=None)


@pytest.mark.parametrize("solver", SOLVERS)
def test_data_too_large_for_the_type_of_training(solver):
    clf = small(dtype="float32", solver=solver)
    with warnings.catch_warnings():
        # NumPy warns about the overflow before scikit-learn's check raises an error.
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        refuse(clf, r"X has values up to 1e\+300, but dtype='float32' ends.*Scale X", with_value(X, 1e300), Y_BINARY)
    assert_usable(clf)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation", "sigmoid"),
        ("solver", "newton"),
        ("alpha", -1.0),
        ("batch_size", 0),
        ("learning_rate", "fast"),
        ("learning_rate_init", 0.0),
        ("max_iter", 0),
        ("momentum", 1.5),
        ("beta_1", 1.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("tol", -1e-4),
        ("out_activation", "tanh"),
        ("shuffle", "yes"),
        ("random_state", "seed"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("weight_decay", -0.1),
        ("label_smoothing", 1.0),
        ("max_grad_norm", 0.0),
        ("warmup_fraction", 1.0),
        ("max_time", 0.0),
        ("scoring", "exactness"),
        ("hessian", "approximate"),
        ("solver_options", 3),
    ],
)
def test_parameters_outside_their_range(name, value):
    clf = small(**{name: value})
    good = small().get_params()[name]
    if name == "solver":
        assert not hasattr(clf, "partial_fit")
    else:
        refuse(clf, rf"'{name}' parameter of BackpropClassifier", X, Y_BINARY, classes=[0, 1], method="partial_fit")
    refuse(clf, rf"'{name}' parameter of BackpropClassifier must be .* Got {value!r}", X, Y_BINARY)
    assert_usable(clf, **{name: good})


# Lists with one entry for each layer, in a network with one hidden layer


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("alpha", [0.1], r"alpha has 1 entries, but there must be 2, .* hidden and output"),
        ("alpha", [0.1, 0.1, 0.1], r"alpha has 3 entries"),
        ("alpha", [0.1, -0.1], r"alpha=\[0\.1, -0\.1\] must be a number of at least 0"),
        ("alpha", [0.1, np.nan], r"alpha=\[0\.1, nan\] must be"),
        ("alpha", [0.1, "much"], r"alpha=\[0\.1, 'much'\] must be"),
        ("dropout", [], r"dropout has 0 entries, but there must be 1, .* the hidden layers"),
        ("dropout", [0.1, 0.1], r"dropout has 2 entries"),
        ("dropout", [1.0], r"dropout=\[1\.0\] must be a number of at least 0 and less than 1"),
        ("dropout", [-0.1], r"dropout=\[-0\.1\] must be a number of at least 0"),
        ("dropout", [np.nan], r"dropout=\[nan\] must be"),
        ("activation", [], r"activation has 0 entries, .* 1 hidden layers"),
        ("activation", ["relu", "tanh"], r"activation has 2 entries"),
        ("activation", ["sigmoid"], r"activation has 'sigmoid'; .*'relu'.*skbp\.Activation"),
        ("activation", [np.tanh], r"activation has <ufunc 'tanh'>; each must be"),
    ],
    ids=str,
)
def test_lists_that_do_not_fit_the_layers(solver, name, value, match):
    clf = small(solver=solver, **{name: value})
    refuse(clf, match, X, Y_BINARY)
    if solver in UPDATES:
        refuse(clf, match, X, Y_BINARY, classes=[0, 1], method="partial_fit")
    assert not hasattr(clf, "coefs_")
    assert_usable(clf, **{name: small().get_params()[name]})


@pytest.mark.parametrize("dropout", [0.5, [0.5]], ids=str)
@pytest.mark.parametrize("solver", SCIPY_SOLVERS)
def test_dropout_without_mini_batches(solver, dropout):
    clf, plain = small(solver=solver, dropout=dropout, random_state=0), small(solver=solver, random_state=0)
    with pytest.warns(
        skbp.UnusedParameterWarning, match=rf"dropout={re.escape(repr(dropout))} has no effect with solver"
    ):
        clf.fit(X, Y_BINARY)
    # trust-krylov gives the same numbers only up to rounding.
    assert_allclose(clf.coefs_[0], plain.fit(X, Y_BINARY).coefs_[0], rtol=1e-2)


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, None, "1", 1j])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("solver", UPDATES)
def test_schedules_that_return_no_valid_factor(solver, method, value):
    # It fails after the first epoch. This fit is lost, but an earlier state is kept.
    clf = small(solver=solver, learning_rate=lambda p: 1.0 if p < 0.05 else value)
    kwargs = {"classes": [0, 1]} if method == "partial_fit" else {}
    match = rf"learning_rate returned {re.escape(repr(value))} at progress 0\.0?[0-9]+; .*at least 0"
    if method == "partial_fit":
        clf.partial_fit(X, Y_BINARY, **kwargs).partial_fit(X, Y_BINARY)
        proba = clf.predict_proba(X)
    refuse(clf, match, X, Y_BINARY, method=method, **kwargs)
    if method == "partial_fit":
        assert_array_equal(clf.predict_proba(X), proba)
    else:
        assert not hasattr(clf, "coefs_")
    assert_usable(clf, learning_rate="constant")


def test_early_stopping_without_validation_rows():
    clf = small(early_stopping=True, validation_fraction=0.0)
    refuse(clf, r"validation_fraction", X, Y_BINARY)
    assert_usable(clf, validation_fraction=0.2)


def test_early_stopping_with_one_row():
    clf = small(early_stopping=True)
    refuse(clf, r"(?i)n_samples ?= ?1\b|1 sample", X[:1], Y_BINARY[:1])
    refuse(clf, r"early_stopping|validation_fraction", X[:1], Y_BINARY[:1])
    assert_usable(clf, early_stopping=False)


# Weights for from_weights


@pytest.mark.parametrize(
    ("coefs", "intercepts", "classes", "params", "match"),
    [
        ([], [], [0, 1], {}, r"coefs is empty"),
        (GOOD_COEFS, GOOD_INTERCEPTS[:1], [0, 1], {}, r"intercepts has 1 arrays? for 2 layers"),
        (GOOD_COEFS, [np.ones(4), np.ones(1)], [0, 1], {}, r"intercepts has.*\(4,\).*must be.*\(5,\)"),
        ([np.ones((4, 5)), np.ones((4, 1))], GOOD_INTERCEPTS, [0, 1], {}, r"coefs has.*\(4, 1\).*must be.*\(5, 1\)"),
        ([np.ones(4)], [np.ones(1)], [0, 1], {}, r"Expected 2D array, got 1D array"),
        ([with_value(np.ones((4, 1)), np.nan)], [np.ones(1)], [0, 1], {}, r"coefs contains NaN"),
        ([np.ones((4, 1))], [np.array([np.inf])], [0, 1], {}, r"intercepts contains infinity"),
        (GOOD_COEFS, GOOD_INTERCEPTS, [0, 1, 2], {}, r"3 classes need 3 output units.*1 col"),
        ([np.ones((4, 3))], [np.ones(3)], [0, 1], {}, r"2 classes need 2 output units.*3 col"),
        (GOOD_COEFS, GOOD_INTERCEPTS, [0, 1], {"out_activation": "softmax"}, r"2 classes need 2 output units"),
        (GOOD_COEFS, GOOD_INTERCEPTS, [1, 0], {}, r"classes must be sorted.*\[1, 0\]"),
        ([np.ones((4, 3))], [np.ones(3)], [0, 1, 1], {}, r"classes must be sorted, each named once"),
        (GOOD_COEFS, GOOD_INTERCEPTS, [0, 1], {"activation": "sigmoid"}, r"'activation' parameter.*Got 'sigmoid'"),
        (
            [np.ones((4, 2))],
            [np.ones(2)],
            [0, 1],
            {"out_activation": "tanh"},
            r"(?s)'out_activation' parameter.*Got 'tanh'",
        ),
        (
            [np.ones((4, 2))],
            [np.ones(2)],
            [0, 1],
            {"out_activation": "softmax", "multilabel": True},
            r"softmax.*multilabel",
        ),
    ],
)
def test_weights_that_do_not_fit_each_other_or_the_classes(coefs, intercepts, classes, params, match):
    with pytest.raises(ValueError, match=match):
        BackpropClassifier.from_weights(coefs, intercepts, classes=classes, **params)


def test_a_classifier_from_weights_refuses_other_features():
    clf = BackpropClassifier.from_weights(GOOD_COEFS, GOOD_INTERCEPTS, classes=[0, 1])
    match = r"X has 3 features, but BackpropClassifier is expecting 4 features"
    refuse(clf, match, X[:, :3], method="predict")
    refuse(clf, match, X[:, :3], Y_BINARY, method="partial_fit")
    assert clf.predict(X).shape == (60,)
