"""Valid labels: 0 and 1 in several columns, text or numbers in one column, and also a single class.

Every method that takes labels refuses invalid ones, with a message that says what to pass.
"""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from registries import SOLVERS, UPDATES
from toy_datasets import linear_rule

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp.inspection import check_gradient, trace

# A few epochs neither converge nor learn.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning"),
]

X, CLASSES = linear_rule(n_rows=40, noise=0.0)
# Several labels for each row. Row 1 has both values of a label.
Y = np.vstack([X[:1, :3] > 0, [[True, False, True]], X[2:, :3] > 0]).astype(int)

BOTH = pytest.mark.parametrize("Net", [BackpropClassifier, BackpropClassifierCV])


def small(Net=BackpropClassifier, **params):
    params = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, **params}
    return Net(**params | ({"cv": 2} if Net is BackpropClassifierCV else {}))


# Several columns: 0 and 1 only

CODES = {
    "1/2": Y + 1,
    "0/2": 2 * Y,
    "0/255": 255 * Y,
    "0/255 as uint8": (255 * Y).astype(np.uint8),
    "-1/+1": 2 * Y - 1,
    "0.5/1": 0.5 + 0.5 * Y,
    "all 2": np.full_like(Y, 2),
    "all -1": np.full_like(Y, -1),
    "0/1/2": Y + (np.arange(len(Y)) % 2)[:, None],
    "1.0/2.0": Y + 1.0,
}
FORMS = {
    "array": np.asarray,
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
    "csc_array": sp.csc_array,
    "csc_matrix": sp.csc_matrix,
    "list": np.ndarray.tolist,
    "DataFrame": pd.DataFrame,
}


def trained(**params):
    return small(**params).fit(X, Y)


USES = {
    "fit": lambda y: small().fit(X, y),
    "fit with early stopping": lambda y: small(early_stopping=True).fit(X, y),
    "fit by SciPy": lambda y: small(solver="lbfgs").fit(X, y),
    "CV": lambda y: small(BackpropClassifierCV).fit(X, y),
    "CV by SciPy": lambda y: small(BackpropClassifierCV, solver="lbfgs").fit(X, y),
    "first partial_fit": lambda y: small().partial_fit(X, y, classes=[0, 1, 2]),
    "second partial_fit": lambda y: small().partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, y),
    "warm start": lambda y: trained(warm_start=True).fit(X, y),
    "objective": lambda y: small().objective(X, y),
    "objective of a fitted one": lambda y: trained().objective(X, y),
    "check_gradient": lambda y: check_gradient(small(), X, y),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("code", CODES)
def test_other_values_in_several_columns_are_refused(code, use):
    with pytest.raises(ValueError, match=r"(?s)\by\b.*0 (and|or) 1"):
        USES[use](CODES[code])


@BOTH
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", CODES)
def test_other_values_are_refused_in_every_container(code, form, Net):
    with pytest.raises(ValueError, match=r"(?s)\by\b.*0 (and|or) 1"):
        small(Net).fit(X, FORMS[form](CODES[code]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", CODES)
def test_other_values_in_y_val_are_refused_with_its_name(code, form):
    with pytest.raises(ValueError, match=r"(?s)\by_val\b.*0 and 1"):
        small().fit(X, Y, X_val=X, y_val=FORMS[form](CODES[code]))


@pytest.mark.parametrize("code", CODES)
def test_other_values_are_refused_by_trace(code):
    with pytest.raises(ValueError, match=r"\by\b.*0 or 1"):
        trace(trained(), X[1], CODES[code][1])


@pytest.mark.parametrize(("code", "value"), [("1/2", 2), ("0/2", 2), ("0/255", 255), ("-1/+1", 1)])
def test_the_expression_in_the_message_gives_the_labels(code, value):
    y = CODES[code]
    with pytest.raises(ValueError, match="for example") as caught:
        small().fit(X, y)
    expression = re.search(r"for example (.*?\.astype\(int\))", str(caught.value)).group(1)
    assert expression == f"(y == {value}).astype(int)"
    assert_array_equal(eval(expression, {"y": y}), Y)


def with_stored_zeros(Y):
    """A sparse array that stores every entry, also zeros."""
    return sp.csr_array(
        (Y.ravel(), np.tile(np.arange(Y.shape[1]), len(Y)), np.arange(len(Y) + 1) * Y.shape[1]), shape=Y.shape
    )


KINDS = {
    **{name: lambda Y, dtype=dtype: Y.astype(dtype) for name, dtype in [("int32", "i4"), ("uint8", "u1")]},
    **{name: lambda Y, dtype=dtype: Y.astype(dtype) for name, dtype in [("float64", "f8"), ("float32", "f4")]},
    "bool": lambda Y: Y.astype(bool),
    **{name: form for name, form in FORMS.items() if name != "array"},
    "csr_array of float64": lambda Y: sp.csr_array(Y.astype(float)),
    "csr_array with stored zeros": with_stored_zeros,
    "DataFrame of bool": lambda Y: pd.DataFrame(Y.astype(bool)),
}
WHOLE = {"mixed": Y, "all 0": np.zeros_like(Y), "all 1": np.ones_like(Y)}


@BOTH
@pytest.mark.parametrize("values", WHOLE)
@pytest.mark.parametrize("kind", KINDS)
def test_zeros_and_ones_of_any_type_train_the_same_network(kind, values, Net):
    given = KINDS[kind](WHOLE[values])
    one, other = (small(Net).fit(X, labels) for labels in (WHOLE[values], given))
    for a, b in zip(*(getattr(clf, "members_", [clf]) for clf in (one, other)), strict=True):
        for wanted, found in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
            assert_array_equal(found, wanted)
    predicted = other.predict(X)
    assert sp.issparse(predicted) == sp.issparse(given)
    assert_array_equal(predicted.toarray() if sp.issparse(predicted) else predicted, one.predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_and_ones_of_any_type_are_the_same_for_y_val_and_partial_fit(kind):
    given = KINDS[kind](Y)
    one, other = (small().fit(X, Y, X_val=X, y_val=labels) for labels in (Y, given))
    assert other.validation_loss_curve_ == one.validation_loss_curve_
    assert other.validation_scores_ == one.validation_scores_
    one, other = (small().partial_fit(X, labels, classes=[0, 1, 2]) for labels in (Y, given))
    for wanted, found in zip(one.coefs_, other.coefs_, strict=True):
        assert_array_equal(found, wanted)
    assert small().objective(X, given).value(small().objective(X, Y).theta0) == pytest.approx(
        small().objective(X, Y).value(small().objective(X, Y).theta0)
    )


# One column: labels of type object


def objects(*values):
    """A column of type object, as long as X."""
    column = np.empty(len(X), dtype=object)
    column[:] = [values[i % len(values)] for i in range(len(X))]
    return column


REFUSED = {
    "ints": (objects(0, 1, 2), r"\.astype\(int\)"),
    "NumPy's ints": (objects(np.int64(0), np.int64(1)), r"\.astype\(int\)"),
    "bools": (objects(False, True), r"\.astype\(bool\)"),
    "NumPy's bools": (objects(np.False_, np.True_), r"\.astype\(bool\)"),
    "floats": (objects(0.0, 1.0), r"\.astype\(float\)"),
    "intervals": (pd.cut(pd.Series(X[:, 0]), 3), r"\.astype\(str\)"),
    "text and numbers": (objects("a", 1), r"\.astype\(str\)"),
    "text and bools": (objects("a", True), r"\.astype\(str\)"),
    "None": (objects("a", "b", None), "missing .* row 2.*leave out"),
    "None among numbers": (objects(0, None, 1), "missing .* row 1.*leave out"),
    "nan": (objects("a", np.nan), "missing .* row 1.*leave out"),
    "pd.NA": (objects(pd.NA, "a"), "missing .* row 0.*leave out"),
    "NaT": (objects("a", "b", "b", pd.NaT), "missing .* row 3.*leave out"),
    "a string column with gaps": (pd.Series(objects("a", None), dtype="string"), "missing .* row 1.*leave out"),
    "a category with gaps": (pd.Series(objects("a", None), dtype="category"), "missing .* row 1.*leave out"),
    "lists": (objects(["a"], ["a", "b"]), "MultiLabelBinarizer"),
    "tuples": (objects((1,), (1, 2)), "MultiLabelBinarizer"),
}
TAKERS = {
    "fit": lambda y: small().fit(X, y),
    "CV": lambda y: small(BackpropClassifierCV).fit(X, y),
    "partial_fit": lambda y: small().partial_fit(X, y, classes=["a", "b"]),
    "objective": lambda y: small().objective(X, y),
    "check_gradient": lambda y: check_gradient(small(), X, y),
    "warm start": lambda y: small(warm_start=True).fit(X, CLASSES).fit(X, y),
    "y_val": lambda y: small().fit(X, CLASSES, X_val=X, y_val=y),
    "classes": lambda y: small().partial_fit(X, CLASSES, classes=y),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("kind", REFUSED)
def test_objects_other_than_text_are_refused_with_a_remedy(kind, taker):
    labels, match = REFUSED[kind]
    name = taker if taker in ("y_val", "classes") else "y"
    with pytest.raises(ValueError, match=rf"(?s)^(Unknown label type: )?{name}\b.*{match}"):
        TAKERS[taker](labels)


@BOTH
@pytest.mark.parametrize("kind", ["ints", "NumPy's ints", "bools", "NumPy's bools", "floats", "text and numbers"])
def test_the_remedy_in_the_message_is_accepted(kind, Net):
    y, _ = REFUSED[kind]
    with pytest.raises(ValueError, match="astype") as caught:
        small(Net).fit(X, y)
    remedy = eval(re.search(r"y\.astype\(\w+\)", str(caught.value)).group(), {"y": y})
    small(Net).fit(X, remedy)


TEXT = np.array(["a", "b", "c"])[CLASSES]


@BOTH
@pytest.mark.parametrize(
    "y",
    [
        TEXT.astype(object),
        TEXT.tolist(),
        np.array([np.str_(label) for label in TEXT], dtype=object),
        pd.Series(TEXT),
        pd.Series(TEXT, dtype="string"),
        pd.Series(TEXT, dtype=object),
        pd.Series(TEXT, dtype="category"),
    ],
    ids=["objects", "list", "objects of np.str_", "Series", "string", "object", "category"],
)
def test_text_is_accepted_in_any_container(y, Net):
    wanted, found = small(Net).fit(X, TEXT), small(Net).fit(X, y)
    assert found.classes_.tolist() == ["a", "b", "c"]
    assert_array_equal(found.predict_proba(X), wanted.predict_proba(X))
    assert set(found.predict(X)) <= {"a", "b", "c"}


# One-hot rows

ONE_HOT = np.eye(3, dtype=int)[CLASSES]


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, pd.DataFrame, lambda y: y.astype(float)])
def test_a_one_hot_target_gives_a_warning_with_argmax(form, solver, Net):
    with pytest.warns(UserWarning, match=r"y looks one-hot.*y\.argmax\(axis=1\)") as record:
        clf = small(Net, solver=solver).fit(X, form(ONE_HOT))
    assert sum("one-hot" in str(w.message) for w in record) == 1
    assert clf.out_activation_ == "logistic"


@BOTH
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, pd.DataFrame])
def test_a_one_hot_target_for_softmax_is_an_error_with_argmax(form, Net):
    with pytest.raises(ValueError, match=r"out_activation='softmax'.*y looks one-hot.*y\.argmax\(axis=1\)"):
        small(Net, out_activation="softmax").fit(X, form(ONE_HOT))
    assert small(Net, out_activation="softmax").fit(X, ONE_HOT.argmax(axis=1)).out_activation_ == "softmax"


def test_a_one_hot_target_for_softmax_is_an_error_in_partial_fit_and_objective():
    clf = small(out_activation="softmax")
    for call in (lambda: clf.partial_fit(X, ONE_HOT, classes=[0, 1, 2]), lambda: clf.objective(X, ONE_HOT)):
        with pytest.raises(ValueError, match=r"y looks one-hot.*y\.argmax\(axis=1\)"):
            call()


def test_a_one_hot_y_val_beside_classes_is_an_error_with_argmax():
    with pytest.raises(ValueError, match=r"^y_val.*one-hot.*y_val\.argmax\(axis=1\)"):
        small().fit(X, CLASSES, X_val=X, y_val=ONE_HOT)


@BOTH
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, pd.DataFrame])
@pytest.mark.parametrize("values", WHOLE)
def test_labels_that_are_not_one_hot_give_no_warning(values, form, Net):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*one-hot.*")
        small(Net).fit(X, form(WHOLE[values]))
    with pytest.raises(ValueError, match="'auto' or 'logistic'") as caught:
        small(Net, out_activation="softmax").fit(X, form(WHOLE[values]))
    assert "one-hot" not in str(caught.value)


# A single class


@BOTH
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("out_activation", ["auto", "softmax", "logistic"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_single_class_has_probability_1(solver, out_activation, container, Net):
    clf = small(Net, solver=solver, out_activation=out_activation).fit(container(X), ["yes"] * len(X))
    assert clf.classes_.tolist() == ["yes"]
    new = container(10.0 * X)
    assert clf.predict(new).tolist() == ["yes"] * len(X)
    assert_array_equal(clf.decision_function(new), np.zeros(len(X)))
    assert_array_equal(clf.predict_proba(new), np.ones((len(X), 1)))
    assert_array_equal(clf.predict_log_proba(new), np.zeros((len(X), 1)))
    assert clf.score(new, ["yes"] * len(X)) == 1.0
    if Net is BackpropClassifierCV:
        assert_array_equal(clf.predict_proba_members(new), np.ones((len(clf.members_), len(X), 1)))
        assert_array_equal(clf.oof_decision_function_, np.zeros(len(X)))
        assert_array_equal(clf.oof_proba_, np.ones((len(X), 1)))
        assert (clf.oof_log_loss_, clf.oof_score_) == (0.0, 1.0)


@pytest.mark.parametrize("label", [0, 1, -1, 7, True, False, 1.0, "yes"])
@BOTH
def test_predict_returns_a_single_class_as_it_was_given(label, Net):
    y = np.full(len(X), label)
    clf = small(Net).fit(X, y)
    assert_array_equal(clf.predict(X), y)
    assert clf.predict(X).dtype == y.dtype
    assert_array_equal(clf.decision_function(X), 0.0)
    assert_array_equal(clf.predict_proba(X), 1.0)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_single_class_with_validation_data(solver, early_stopping):
    y = ["yes"] * len(X)
    clf = small(solver=solver, early_stopping=early_stopping).fit(X, y, X_val=X, y_val=y)
    assert clf.validation_scores_ == [1.0] * clf.n_iter_
    assert_allclose(clf.predict_proba(X), 1.0)


@pytest.mark.parametrize("solver", UPDATES)
def test_a_single_class_in_partial_fit(solver):
    clf = small(solver=solver).partial_fit(X, np.ones(len(X), dtype=int), classes=[1])
    clf.partial_fit(X, np.ones(len(X), dtype=int))
    assert_array_equal(clf.predict(X), 1)
    assert_array_equal(clf.decision_function(X), 0.0)
    assert_array_equal(clf.predict_proba(X), 1.0)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("out_activation", ["auto", "logistic"])
@BOTH
def test_a_label_with_the_same_value_in_all_rows(out_activation, value, Net):
    labels = Y.copy()
    labels[:, 1] = value
    clf = small(Net, out_activation=out_activation).fit(X, labels)
    decision, proba = clf.decision_function(X), clf.predict_proba(X)
    assert decision.shape == proba.shape == labels.shape
    assert_array_equal(clf.predict(X), proba > 0.5)
    # The mean of the members' probabilities may round to 1/2 where the decision does not.
    clear = np.abs(decision) > 1e-6
    assert_array_equal((decision > 0)[clear], (proba > 0.5)[clear])


# Labels and the arguments beside them


def message(call):
    """The message of the error that the call raises."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        call()
    return str(caught.value)


def assert_says(text, *patterns):
    for pattern in patterns:
        assert re.search(pattern, text, re.DOTALL), f"no {pattern!r} in {text!r}"


@pytest.mark.parametrize("columns", [[0, 1], [0, 1, 2, 0]])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_changed_number_of_labels_is_an_error_that_names_y(columns, container):
    other = container(Y[:, columns])
    for call in (
        lambda: small(warm_start=True).fit(X, Y).fit(X, other),
        lambda: small().partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, other),
        lambda: small().fit(X, Y).objective(X, other),
    ):
        assert_says(message(call), r"(^|[^-\w])`?y\b", "classes|labels|columns")


WEIGHT_VALUES = ["x", None, np.nan, np.inf, -1, 1j, [1], np.ones(1), 10**400, np.array("x"), {}]


@BOTH
@pytest.mark.parametrize("value", WEIGHT_VALUES, ids=lambda value: str(value)[:10])
def test_class_weights_that_are_no_numbers(value, Net):
    for weights, labels in (({0: value}, CLASSES), ([{0: 1, 1: value}, {}, {}], Y)):
        assert_says(message(lambda w=weights, t=labels: small(Net, class_weight=w).fit(X, t)), "class_weight")


@BOTH
@pytest.mark.parametrize(
    ("weights", "labels"),
    [
        ({7: 2.0}, CLASSES),
        ({"0": 2.0}, CLASSES),
        ([{0: 1.0}], CLASSES),
        ("equal", CLASSES),
        (2.0, CLASSES),
        ({0: 1.0}, Y),
        ([{0: 1.0}], Y),
        ([{}, {}, {}, {}], Y),
        ([{0: 1.0}, {}, 2.0], Y),
        ([], Y),
        ({0: 0.0, 1: 0.0, 2: 0.0}, CLASSES),
    ],
)
def test_class_weights_that_do_not_fit_the_target(weights, labels, Net):
    assert_says(message(lambda: small(Net, class_weight=weights).fit(X, labels)), "class_weight")


@pytest.mark.parametrize("classes", [[0, 1, 2], np.arange(3), (0, 1, 2), pd.Series([0, 1, 2])])
def test_classes_as_the_third_argument_of_partial_fit(classes):
    words = "third argument of partial_fit is sample_weight.*classes="
    assert_says(message(lambda: small().partial_fit(X, CLASSES, classes)), "classes", words)
    clf = small().partial_fit(X, CLASSES, classes=classes)
    rows = [int(np.flatnonzero(k == CLASSES)[0]) for k in range(3)]
    assert_says(message(lambda: clf.partial_fit(X[rows], CLASSES[rows], classes)), "sample_weight", words)
    clf.partial_fit(X, CLASSES, sample_weight=np.ones(40))
    clf.partial_fit(X[rows], CLASSES[rows], [0.5, 1.0, 2.0])


@pytest.mark.parametrize("classes", [["a", "b", "c"], np.array(["a", "b", "c"])])
def test_classes_of_text_as_the_third_argument(classes):
    clf = small()
    assert_says(message(lambda: clf.partial_fit(X, TEXT, classes)), "third argument of partial_fit is sample_weight")
    clf.partial_fit(X, TEXT, classes=classes)
    assert_says(
        message(lambda: clf.partial_fit(X[:3], TEXT[:3], classes)), "third argument of partial_fit is sample_weight"
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("others", [["well"], ["well", "unclear"]])
def test_a_class_with_one_row_is_no_error_with_early_stopping(others, solver):
    labels = ["ill", *(others * 40)[:39]]
    clf = small(solver=solver, early_stopping=True, validation_fraction=0.25).fit(X, labels)
    assert clf.classes_.tolist() == sorted({"ill", *others})
    assert len(clf.validation_scores_) == clf.n_iter_
    assert small(BackpropClassifierCV, solver=solver).fit(X, labels).oof_log_loss_ > 0.0


# The layers between the features and the labels


@BOTH
@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((10.0, 5.0), r"got 10\.0.*write 10"),
        ([np.float64(3.0)], "write 3"),
        ((2.5,), r"got 2\.5"),
        (10.0, ""),
        (["(100,)"], r"got '\(100,\)'.*ast\.literal_eval"),
        (("10",), "got '10'"),
        ([(10,), (5,)], r"got \(10,\).*\(10, 5\)"),
        (np.array([[10, 5]]), r"array\(\[10, +5\]\)"),
        ([True], "got True"),
        (True, ""),
        ([np.True_], "True"),
        (np.array(10), r"array\(10\)"),
        (np.array(10.0), r"array\(10"),
        ([None], "got None"),
        ([np.nan], "got nan"),
        ([1j], "got 1j"),
        ([10, 0], "> 0"),
        ([-3], "> 0"),
        ("(10, 5)", ""),
        (None, ""),
        (0, ""),
    ],
)
def test_invalid_layer_sizes(sizes, words, Net):
    assert_says(message(lambda: small(Net, hidden_layer_sizes=sizes).fit(X, CLASSES)), "hidden_layer_sizes", words)


@pytest.mark.parametrize(
    "sizes", [3, (3,), [3], np.array([3]), np.int64(3), [np.uint8(3)], range(3, 4), pd.Series([3])]
)
def test_layer_sizes_of_any_sequence_of_integers(sizes):
    wanted, found = small().fit(X, CLASSES), small(hidden_layer_sizes=sizes).fit(X, CLASSES)
    assert_array_equal(found.predict_proba(X), wanted.predict_proba(X))
