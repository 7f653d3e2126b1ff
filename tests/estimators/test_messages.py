"""Messages name the user's argument, what was given, and a remedy. Errors of the user's functions arrive unchanged."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score, f1_score, log_loss, make_scorer
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

import skbp
from skbp import Activation, BackpropClassifier, BackpropClassifierCV
from skbp._training.scipy_methods import OPTION_VALUES, SCIPY_METHODS
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# A few epochs neither converge nor learn.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning"),
]

SCIPY_SOLVERS = list(SCIPY_METHODS)

X = np.random.RandomState(0).normal(size=(40, 4))
y = X[:, :3].argmax(axis=1)
LABELS = (X[:, :3] > 0).astype(int)
TABLE = pd.DataFrame(X, columns=["a", "b", "c", "d"])

BOTH = pytest.mark.parametrize("Net", [BackpropClassifier, BackpropClassifierCV])


def small(Net=BackpropClassifier, **params):
    params = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, **params}
    return Net(**({"cv": 2} if Net is BackpropClassifierCV else {}) | params)


def message(call, error=ValueError):
    """The message of the error that the call raises."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is not Exception
    return str(caught.value)


def warned(call, category=Warning):
    """The messages of the call's warnings of a category."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in record if issubclass(w.category, category)]


def assert_says(text, *patterns):
    for pattern in patterns:
        assert re.search(pattern, text, re.DOTALL), f"no {pattern!r} in {text!r}"


# X_val, y_val, sample_weight_val


def changed(value, dtype=float, of=X):
    of = np.array(of, dtype=dtype)
    of.flat[5] = value
    return of


X_VAL = {
    "nan": (changed(np.nan), "NaN"),
    "infinity": (changed(np.inf), "infinity"),
    "nan, sparse": (sp.csr_array(changed(np.nan)), "NaN"),
    "nan in a table": (pd.DataFrame(changed(np.nan), columns=TABLE.columns), "NaN"),
    "columns missing": (X[:, :3], "3 features.*4"),
    "columns too many": (np.hstack([X, X]), "8 features.*4"),
    "1-d": (X[:, 0], "1D|1-d|2D"),
    "3-d": (X[:, :, None], "dim 3|3D|3-d"),
    "0-d": (1.0, "scalar|0-d"),
    "no rows": (X[:0], "0 sample"),
    "no columns": (X[:, :0], "0 feature"),
    "text": (changed("high", object), "high"),
    "complex": (X + 1j, "[Cc]omplex"),
    "rows missing": (X[:9], "9 rows.*40"),
    "a row missing, sparse": (sp.csr_array(X[1:]), "39 rows.*40"),
    "ragged": ([[1.0, 2.0], [1.0]], "inhomogeneous|shape"),
    "a word": ("X", "scalar|X"),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("case", X_VAL)
def test_an_error_in_x_val_names_x_val(case, early_stopping):
    X_val, given = X_VAL[case]
    text = message(lambda: small(early_stopping=early_stopping).fit(X, y, X_val=X_val, y_val=y))
    assert_says(text, r"^X_val\b", given)


@pytest.mark.parametrize(
    ("table", "given"),
    [
        (TABLE[["b", "a", "c", "d"]], "'b', 'a', 'c', 'd'.*same order"),
        (TABLE.rename(columns={"a": "z"}), "'z', 'b', 'c', 'd'.*'a', 'b', 'c', 'd'"),
        (TABLE[["a", "b", "c"]], "X_val has 3 features.*4"),
    ],
)
def test_x_val_with_other_features(table, given):
    assert_says(message(lambda: small().fit(TABLE, y, X_val=table, y_val=y)), "^X_val", given)


def test_x_val_with_and_without_names_of_features():
    wanted = small().fit(TABLE, y, X_val=TABLE, y_val=y).validation_loss_curve_
    assert small().fit(X, y, X_val=TABLE, y_val=y).validation_loss_curve_ == wanted
    assert small().fit(TABLE, y, X_val=X, y_val=y).validation_loss_curve_ == wanted


TEXT = np.array(["a", "b", "c"])[y]
Y_VAL = {
    "nan": (y, changed(np.nan, of=y), "NaN"),
    "infinity": (y, changed(np.inf, of=y), "infinity"),
    "too few": (y, y[:9], "40 rows.*9"),
    "none": (y, y[:0], "0 sample|minimum"),
    "unseen": (y, changed(7, int, y), r"7.*Leave those rows out"),
    "unseen text": (TEXT, changed("z", object, TEXT), r"'z'.*Leave those rows out"),
    "text for numbers": (y, TEXT, r"type .*U|text|str"),
    "numbers for text": (TEXT, y, "int"),
    "bools for text": (TEXT, y > 0, "bool"),
    "objects": (y, y.astype(object), r"y_val\.astype\(int\)"),
    "a gap": (TEXT, changed(None, object, TEXT), "missing.*row 5"),
    "no integers": (y, y + 0.5, "continuous.*class labels"),
    "one-hot": (y, np.eye(3)[y], r"one-hot.*y_val\.argmax"),
    "several labels": (y, LABELS, "multilabel.*form of y"),
    "one class a row": (LABELS, y, "one class a row.*form of y"),
    "labels missing": (LABELS, LABELS[:, :2], "2|columns|labels"),
    "labels too many": (LABELS, np.hstack([LABELS, LABELS]), r"3 4 5|columns|labels"),
    "coded 1/2": (LABELS, LABELS + 1, "0 and 1 only"),
    "several classes": (y, np.stack([y, y], axis=1), "several|Multioutput"),
    "3-d": (y, np.zeros((40, 2, 2)), "dim 3|3D|3-d"),
    "0-d": (y, 1, "scalar|array|0-d"),
    "ragged": (y, [[1, 2], [1]], "array of labels|inhomogeneous"),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("case", Y_VAL)
def test_an_error_in_y_val_names_y_val(case, early_stopping):
    labels, y_val, given = Y_VAL[case]
    text = message(lambda: small(early_stopping=early_stopping).fit(X, labels, X_val=X, y_val=y_val))
    assert_says(text, r"\by_val\b", given)
    assert not re.search(r"warm_start|partial_fit|\binput y\b|Input y ", text)


WEIGHTS = {
    "negative": (changed(-2.0, of=np.ones(40)), "-2.*at least 0"),
    "nan": (changed(np.nan, of=np.ones(40)), "NaN"),
    "infinity": (changed(np.inf, of=np.ones(40)), "infinity"),
    "too few": (np.ones(39), r"\(39,\).*\(40,\)"),
    "2-d": (np.ones((40, 1)), r"\(40, 1\).*\(40,\)"),
    "text": (["heavy"] * 40, "heavy"),
    "None among them": (changed(None, object, np.ones(40)), "NaN|None"),
    "a negative number": (-1.0, "-1.*at least 0"),
    "a word": ("heavy", "heavy"),
    "beyond the floats": ([10**400] * 40, "finite number"),
    "complex": (np.ones(40) * 1j, "[Cc]omplex"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_an_error_in_sample_weights_names_them(case):
    weight, given = WEIGHTS[case]
    text = message(lambda: small().fit(X, y, X_val=X, y_val=y, sample_weight_val=weight))
    assert_says(text, r"\bsample_weight_val\b", given)
    for call in (
        lambda: small().fit(X, y, weight),
        lambda: small(BackpropClassifierCV).fit(X, y, weight),
        lambda: small().partial_fit(X, y, weight, classes=[0, 1, 2]),
        lambda: small().objective(X, y, weight),
    ):
        assert_says(message(call), r"\bsample_weight\b", given)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"X_val": X}, "^X_val is given without y_val"),
        ({"y_val": y}, "^y_val is given without X_val"),
        ({"sample_weight_val": np.ones(40)}, "^sample_weight_val is given without X_val and y_val"),
        ({"X_val": X, "sample_weight_val": np.ones(40)}, "^X_val is given without y_val"),
        ({"y_val": y, "sample_weight_val": np.ones(40)}, "^y_val is given without X_val"),
    ],
)
def test_validation_data_in_part(given, words, early_stopping):
    assert_says(message(lambda: small(early_stopping=early_stopping).fit(X, y, **given)), words)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, pd.DataFrame])
def test_x_val_on_another_scale_warns_once(container, solver):
    raw = 50.0 + 10.0 * X
    clf = small(solver=solver, max_iter=4)
    said = warned(lambda: clf.fit(container(X), y, X_val=container(raw), y_val=y), UserWarning)
    said = [text for text in said if "X_val" in text]
    assert len(said) == 1
    assert_says(said[0], r"^X_val lies on another scale than X in 4 of 4 columns", r"transform_input=\['X_val'\]")
    assert not [
        text for text in warned(lambda: clf.fit(container(X), y, X_val=container(X), y_val=y)) if "X_val" in text
    ]


def test_a_pipeline_that_transforms_x_val_does_not_warn():
    raw = 50.0 + 10.0 * X
    with sklearn.config_context(enable_metadata_routing=True):
        clf = small().set_fit_request(X_val=True, y_val=True)
        whole = make_pipeline(StandardScaler(), clf, transform_input=["X_val"])
        assert not [text for text in warned(lambda: whole.fit(raw, y, X_val=raw, y_val=y)) if "X_val" in text]
        part = make_pipeline(StandardScaler(), clf)
        assert len([text for text in warned(lambda: part.fit(raw, y, X_val=raw, y_val=y)) if "X_val" in text]) == 1


# solver_options

OPTIONS = [(solver, name) for solver, method in SCIPY_METHODS.items() for name in method.options]
INTEGERS = {"maxcor", "maxfun", "maxiter", "maxls", "maxCGit"}
POSITIVE = INTEGERS - {"maxCGit"}
VALUES = {
    **{repr(value): value for value in ("text", "", 0, -1, np.nan, np.inf, -np.inf, 2.5, 1e-300, 1e300, 1j, [1], {})},
    "10**400": 10**400,
    "[1, 2]": [1, 2],
    "array": np.ones(3),
    "0-d array": np.array(2.0),
    "class": int,
}


def never(name, value):
    """Whether every method must refuse the value of the option."""
    if name in {"hess_inv0", "scale", "offset"}:
        return not isinstance(value, (int, float, list, np.ndarray)) or not np.isfinite(float(np.max(value)))
    if isinstance(value, (str, complex, list, dict, type, np.ndarray)) or value != value:
        return True
    if name in POSITIVE and value <= 0:
        return True
    if name == "norm":
        return value == 0
    return (name in INTEGERS and isinstance(value, float)) or name == "inexact" or abs(value) == np.inf


@pytest.mark.parametrize(("solver", "name"), OPTIONS)
def test_options_of_scipy_are_accepted_or_refused_by_name(solver, name):
    for shown, value in VALUES.items():
        try:
            wrong = never(name, value)
        except OverflowError:
            wrong = False
        clf = small(solver=solver, solver_options={name: value})
        try:
            clf.fit(X[:, :2], y > 0)
        except ValueError as error:
            assert_says(str(error), "solver_options", rf"\b{name}\b", r"must be|ended in an error|non-finite")
            assert not hasattr(clf, "coefs_")
        else:
            assert not wrong, shown


@pytest.mark.parametrize(("solver", "name"), [(s, n) for s, n in OPTIONS if s != "trust-krylov"])
def test_none_as_an_option_means_the_default(solver, name):
    wanted = small(solver=solver).fit(X, y)
    found = small(solver=solver, solver_options={name: None}).fit(X, y)
    for a, b in zip(wanted.coefs_, found.coefs_, strict=True):
        assert_array_equal(b, a)


def test_the_values_of_every_option_are_checked():
    assert {name for _, name in OPTIONS} == set(OPTION_VALUES)


@BOTH
@pytest.mark.parametrize("unknown", [{"maxitre": 3}, {1: 2}, {"x": 1, 2: 3, None: 4, (5,): 6}, {"disp": True}])
@pytest.mark.parametrize("solver", SCIPY_SOLVERS)
def test_unknown_options_are_named_with_the_known_ones(solver, unknown, Net):
    text = message(lambda: small(Net, solver=solver, solver_options={"maxiter": 3, **unknown}).fit(X, y))
    assert_says(text, "^solver_options", rf"solver='{solver}'", *(re.escape(repr(name)) for name in unknown))
    assert_says(text, *(rf"'{name}'" for name in SCIPY_METHODS[solver].options))


FOREIGN = [
    ("bfgs", {"hess_inv0": np.eye(2)}),
    ("bfgs", {"hess_inv0": np.ones(3)}),
    ("trust-ncg", {"max_trust_radius": 0}),
    ("trust-krylov", {"initial_trust_radius": 10.0, "max_trust_radius": 1.0}),
    ("cg", {"c1": 0.9, "c2": 0.1}),
    ("newton-cg", {"c1": 0.9, "c2": 0.1}),
    ("tnc", {"scale": 2.5}),
    ("tnc", {"offset": [1.0]}),
]


@BOTH
@pytest.mark.parametrize(("solver", "options"), FOREIGN)
def test_an_error_of_scipy_names_solver_options(solver, options, Net):
    with pytest.raises(
        ValueError, match=rf"(?s)solver='{solver}'.*tol=.*solver_options=.*{next(iter(options))}"
    ) as caught:
        small(Net, solver=solver, solver_options=options).fit(X, y)
    cause = caught.value.__cause__
    assert f"{type(cause).__name__}: {cause}" in str(caught.value)


# The user's own functions


class OwnError(Exception):
    """A type that only the user knows."""


class Fails:
    """A function of the user that raises in a given call, counted from 1. Earlier calls call another function."""

    def __init__(self, error, call, function=None):
        self.error, self.left, self.function = error, call, function

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left <= 0:
            raise self.error
        return self.function(*args, **kwargs)


def identity(z, out):
    np.copyto(out, z)
    return out


def one(a, out):
    out.fill(1.0)
    return out


ERRORS = pytest.mark.parametrize(
    "error",
    [OwnError("mine"), ValueError("mine"), StopIteration("mine"), TypeError("mine"), MemoryError("mine"), KeyError(0)],
    ids=lambda error: type(error).__name__,
)


def assert_arrives(error, call):
    with pytest.raises(type(error)) as caught:
        call()
    assert caught.value is error


@ERRORS
@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_error_of_a_scorer_arrives_unchanged(solver, call, error):
    scorer = Fails(error, call, lambda estimator, X, y: 0.5)
    clf = small(solver=solver, early_stopping=True, scoring=scorer, tol=0.0, max_iter=4)
    assert_arrives(error, lambda: clf.fit(X, y))


# StopIteration is left out: Python turns it into a RuntimeError in a generator.
@BOTH
@pytest.mark.parametrize("error", [OwnError("mine"), ValueError("mine"), KeyError(0)], ids=["own", "value", "key"])
@pytest.mark.parametrize("call", [1, 4])
@pytest.mark.parametrize("part", ["function", "slope"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_error_of_an_activation_arrives_unchanged(solver, part, call, error, Net):
    parts = {"function": identity, "slope": one}
    fails = Fails(error, 1000, parts[part])
    activation = Activation(**parts | {part: fails})
    fails.left = call  # Activation has already called the function
    clf = small(Net, solver=solver, activation=activation, tol=0.0, max_iter=6)
    assert_arrives(error, lambda: clf.fit(X, y))


@BOTH
@ERRORS
@pytest.mark.parametrize("call", [1, 4])
@pytest.mark.parametrize("solver", UPDATES)
def test_the_error_of_a_learning_rate_arrives_unchanged(solver, call, error, Net):
    clf = small(Net, solver=solver, learning_rate=Fails(error, call, lambda progress: 1.0), batch_size=5)
    assert_arrives(error, lambda: clf.fit(X, y))


class FailsAtTheEnd:
    """A callback that raises at the end of an epoch."""

    def __init__(self, error):
        self.error = error

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            raise self.error

    def teardown(self, estimator, context):
        pass


@pytest.mark.skipif(parse_version(sklearn.__version__) < parse_version("1.9"), reason="callbacks came with 1.9")
@BOTH
@ERRORS
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_error_of_a_callback_arrives_unchanged(solver, error, Net):
    clf = small(Net, solver=solver, tol=0.0).set_callbacks(FailsAtTheEnd(error))
    assert_arrives(error, lambda: clf.fit(X, y))


@ERRORS
def test_the_error_of_a_splitter_arrives_unchanged(error):
    class Splitter(KFold):
        def split(self, *args):
            raise error

    assert_arrives(error, lambda: small(BackpropClassifierCV, cv=Splitter(2)).fit(X, y))


# What the user's functions return

NO_NUMBERS = [None, "x", np.ones(3), np.ones((1, 1)), [0.5], 1j, (), {}, np.array("x"), object]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "tnc"])
def test_scorers_that_do_not_return_a_number(solver, value):
    clf = small(solver=solver, early_stopping=True, scoring=lambda estimator, X, y: value)
    assert_says(message(lambda: clf.fit(X, y)), r"\bscoring\b", re.escape(repr(value)), "one number")


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), np.int64(1), True, np.True_, 1])
def test_scorers_that_return_a_number_of_any_type(value):
    clf = small(early_stopping=True, scoring=lambda estimator, X, y: value).fit(X, y)
    assert clf.validation_scores_ == [float(value)] * 2


@pytest.mark.parametrize("value", [np.nan, np.float32("nan"), np.array(np.nan)])
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "tnc"])
def test_a_scorer_that_gives_nan_warns_once_and_names_scoring(solver, value):
    clf = small(solver=solver, early_stopping=True, scoring=lambda estimator, X, y: value, max_iter=4)
    said = [text for text in warned(lambda: clf.fit(X, y)) if "nan on the validation data" in text]
    assert len(said) == 1
    assert_says(said[0], "^scoring gives nan")


@pytest.mark.parametrize("metric", [f1_score, log_loss, accuracy_score])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_metric_instead_of_a_scorer(metric, early_stopping):
    clf = small(early_stopping=early_stopping, scoring=metric)
    given = {} if early_stopping else {"X_val": X, "y_val": y}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", skbp.UnusedParameterWarning)
        assert_says(message(lambda: clf.fit(X, y, **given)), "scoring", metric.__name__, "make_scorer")
    clf.set_params(scoring=make_scorer(accuracy_score), early_stopping=True).fit(X, y)


@BOTH
@pytest.mark.parametrize(
    "value",
    [None, "x", np.nan, np.inf, -np.inf, -1, 1j, np.ones(1), np.ones(2), np.array(0.5), [0.5], 10**400, object],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("solver", UPDATES)
def test_learning_rates_that_return_no_valid_factor(solver, value, Net):
    text = message(lambda: small(Net, solver=solver, learning_rate=lambda progress: value).fit(X, y))
    assert_says(
        text, r"\blearning_rate returned", re.escape(repr(value)[:20]), "number of at least 0", "learning_rate_init"
    )


@BOTH
@pytest.mark.parametrize("function", [lambda: 1.0, lambda a, b: 1.0])
def test_a_learning_rate_with_other_arguments_raises_pythons_error(function, Net):
    assert_says(message(lambda: small(Net, learning_rate=function).fit(X, y), TypeError), "argument")


# cv and groups

ROWS = np.arange(40)
HALVES = [(ROWS[:20], ROWS[20:]), (ROWS[20:], ROWS[:20])]
CV = {
    "one part": ([(ROWS[:20],)], "pair"),
    "three parts": ([(ROWS[:20], ROWS[20:], ROWS[:2])], "pair"),
    "ints": ([5, 6], r"\b5\b.*pair"),
    "None": ([None], "None.*pair"),
    "text": (["ab", "cd"], "'ab'.*pair"),
    "None as part": ([(ROWS[:20], None)], "row numbers|mask"),
    "a number as part": ([(ROWS[:20], 3)], "row numbers"),
    "text as part": ([(ROWS[:20], ["a", "b"])], "row numbers"),
    "floats": ([(ROWS[:20], ROWS[20:] + 0.0)], "float64.*row numbers"),
    "ragged": ([(ROWS[:20], [[1], [2, 3]])], "cv"),
    "objects": ([(ROWS[:20], ROWS[20:].astype(object))], "object.*row numbers"),
    "2-d": ([(ROWS[:20], ROWS[20:, None])], r"\(20, 1\).*row numbers"),
    "too large": ([(ROWS[:20], [39, 40])], "0 to 39"),
    "too small": ([(ROWS[:20], [-41])], "0 to 39"),
    "a short mask": ([(ROWS[:20] < 5, ROWS >= 20)], "mask of 40"),
    "no rows to train on": ([(ROWS[:0], ROWS)], "no rows to train on"),
    "no rows to train on, a mask": ([(ROWS < 0, ROWS)], "no rows to train on"),
    "no rows to validate on": ([(ROWS, ROWS[:0]), (ROWS, [])], "rows to validate on"),
    "overlapping": ([(ROWS[:25], ROWS[20:])], "5 rows.*such as row 20"),
    "overlapping by a negative number": ([(ROWS[:20], [-40])], "1 rows.*such as row 0"),
    "overlapping masks": ([(ROWS < 30, ROWS > 20)], "9 rows.*such as row 21"),
    "empty": ([], "no split.*list"),
    "an empty iterator": (iter([]), "no split.*list"),
    "a used-up zip": (zip([], strict=True), "no split.*list"),
}


class Makes:
    """A splitter that yields given splits."""

    def __init__(self, splits):
        self.splits = splits

    def split(self, X, y=None, groups=None):
        yield from self.splits

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("by", ["iterable", "splitter"])
@pytest.mark.parametrize("case", CV)
def test_invalid_splits_are_errors_that_name_cv(case, by, solver):
    splits, words = CV[case]
    cv = Makes(splits) if by == "splitter" else splits
    clf = small(BackpropClassifierCV, cv=cv, solver=solver)
    assert_says(message(lambda: clf.fit(X, y)), r"^cv\b|\bcv=", words if splits else "no split")
    assert not hasattr(clf, "members_")


@pytest.mark.parametrize("value", ["five", 2.5, -1, 0, object, None.__class__])
def test_values_of_cv_that_are_refused(value):
    assert_says(message(lambda: small(BackpropClassifierCV, cv=value).fit(X, y)), r"'cv'|\bcv\b")


def test_a_generator_as_cv_works_for_one_fit():
    clf = small(BackpropClassifierCV, cv=KFold(2).split(X)).fit(X, y)
    wanted = clf.predict_proba(X)
    assert_says(message(lambda: clf.fit(X, y)), "^cv=", "used up.*give a list")
    assert_array_equal(clf.predict_proba(X), wanted)
    again = small(BackpropClassifierCV, cv=list(KFold(2).split(X)))
    assert_array_equal(again.fit(X, y).fit(X, y).predict_proba(X), wanted)


def test_masks_negative_numbers_and_lists_are_valid_splits():
    wanted = small(BackpropClassifierCV, cv=HALVES).fit(X, y).predict_proba(X)
    for cv in (
        [(np.isin(ROWS, train), np.isin(ROWS, fold)) for train, fold in HALVES],
        [((train - 40).tolist(), fold) for train, fold in HALVES],
        [[train.astype(np.uint8), tuple(fold.tolist())] for train, fold in HALVES],
        Makes(HALVES),
    ):
        assert_array_equal(small(BackpropClassifierCV, cv=cv).fit(X, y).predict_proba(X), wanted)


GROUPS = {
    "too few": np.arange(39) % 4,
    "too many": np.arange(41) % 4,
    "2-d": np.arange(80).reshape(40, 2),
    "0-d": 3,
    "ragged": [[1], [1, 2]] * 20,
    "text and numbers": np.array(["a", 1] * 20, dtype=object),
    "None among them": ["a", None] * 20,
    "text": "groups",
}


@pytest.mark.parametrize("cv", [2, GroupKFold(2)], ids=["number", "splitter"])
@pytest.mark.parametrize("case", GROUPS)
def test_malformed_groups_are_named(case, cv):
    assert_says(message(lambda: small(BackpropClassifierCV, cv=cv).fit(X, y, groups=GROUPS[case])), r"\bgroups\b")


def test_a_splitter_that_needs_groups_gets_none():
    assert_says(message(lambda: small(BackpropClassifierCV, cv=GroupKFold(2)).fit(X, y)), "groups")


# Parameters of the network and of training


PER_LAYER = [
    [0.1] * 7,
    [],
    ["a", "b"],
    ["0.1", "0.1"],
    [None, 0.1],
    [np.nan, 0.1],
    [-0.1, 0.1],
    [[0.1], [0.1]],
    [1j, 0.1],
]
PER_LAYER += [np.array(0.1), np.array("x"), np.ones((2, 2)), [np.inf, 0.1], [10**400, 0.1], "x", None, -0.1, np.nan]


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("value", PER_LAYER, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("name", ["alpha", "dropout"])
def test_invalid_numbers_for_each_layer(name, value, solver, Net):
    clf = small(Net, solver=solver, **{name: value})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", skbp.UnusedParameterWarning)
        assert_says(message(lambda: clf.fit(X, y)), rf"\b{name}\b")


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "newton-cg"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, pd.DataFrame])
def test_data_beyond_float32_are_refused_with_a_remedy(container, solver, Net):
    params = {"scale": False} if Net is BackpropClassifierCV else {"dtype": "float32"}
    clf = small(Net, solver=solver, **params)
    text = message(lambda: clf.fit(container(1e40 * X), y))
    assert_says(text, "^X has values up to .*e\\+40", "StandardScaler", "dtype='float64'")
    assert ("the default here" in text) == (Net is BackpropClassifierCV)
    largest = float(f"{np.abs(1e40 * X).max():.2g}")
    assert float(re.search(r"up to (\S+),", text).group(1)) == largest
    if Net is BackpropClassifier:
        text = message(lambda: clf.fit(X, y, X_val=container(1e40 * X), y_val=y))
        assert_says(text, "^X_val has values up to", "Scale X_val", "dtype='float64'")


def test_the_message_says_that_a_network_was_trained_in_float32():
    clf = small().partial_fit(X.astype(np.float32), y, classes=[0, 1, 2])
    assert_says(message(lambda: clf.partial_fit(1e40 * X, y)), "^X has", "float32 that the network was trained in")


@BOTH
def test_a_batch_larger_than_the_data_warns_once_and_is_clipped(Net):
    clf = small(Net, batch_size=1000)
    said = [text for text in warned(lambda: clf.fit(X, y), UserWarning) if "batch_size" in text]
    assert len(said) == 1
    assert_says(said[0], "^batch_size=1000.*clipped")
    fits = small(Net, batch_size=40 if Net is BackpropClassifier else 20)
    assert not [text for text in warned(lambda: fits.fit(X, y)) if "batch_size" in text]
    assert_array_equal(clf.predict_proba(X), fits.predict_proba(X))


UNUSED = [
    *[(solver, {"dropout": 0.5}, "dropout=0.5", f"solver='{solver}'") for solver in SCIPY_SOLVERS],
    *[(solver, {"batch_size": 7}, "batch_size=7", f"solver='{solver}'") for solver in SCIPY_SOLVERS],
    *[(solver, {"max_fun": 7}, "max_fun=7", f"solver='{solver}'") for solver in UPDATES],
    *[(solver, {"hessian": "exact"}, "hessian='exact'", f"solver='{solver}'") for solver in ("sgd", "lbfgs", "tnc")],
    ("adam", {"momentum": 0.5}, "momentum=0.5", "solver='adam'"),
    ("sgd", {"beta_1": 0.5}, "beta_1=0.5", "solver='sgd'"),
    ("lbfgs", {"dropout": [0.5]}, r"dropout=\[0.5\]", "solver='lbfgs'"),
    ("adam", {"power_t": 0.3}, "power_t=0.3", "learning_rate='constant'"),
    ("adam", {"dropout": 0.5, "hidden_layer_sizes": ()}, "dropout=0.5", r"hidden_layer_sizes=\(\)"),
    ("adam", {"solver_options": {"maxiter": 3}}, "solver_options=", "solver='adam'"),
]


@BOTH
@pytest.mark.parametrize(("solver", "params", "given", "because"), UNUSED)
def test_a_parameter_without_effect_warns_once_and_says_why(solver, params, given, because, Net):
    clf = small(Net, solver=solver, **params)
    said = warned(lambda: clf.fit(X, y), skbp.UnusedParameterWarning)
    assert len(said) == 1
    assert_says(said[0], f"^{given}.* has no effect with {because}")


@pytest.mark.parametrize(("name", "value"), [("scoring", "loss"), ("validation_fraction", 0.3)])
def test_parameters_of_early_stopping_without_it_warn(name, value):
    said = warned(lambda: small(**{name: value}).fit(X, y), skbp.UnusedParameterWarning)
    assert said == [f"{name}={value!r} has no effect with early_stopping=False."]


@BOTH
def test_all_parameters_without_effect_are_named_and_the_documented_filter_silences_them(Net):
    params = {"dropout": 0.5, "batch_size": 7, "shuffle": False, "momentum": 0.5, "weight_decay": 0.1}
    clf = small(Net, solver="lbfgs", **params)
    said = warned(lambda: clf.fit(X, y), skbp.UnusedParameterWarning)
    assert sorted(text.partition("=")[0] for text in said) == sorted(params)
    line = re.search(r"::\n\n *(.*)", skbp.UnusedParameterWarning.__doc__).group(1)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        eval(line, {"warnings": warnings, "skbp": skbp})
        clf.fit(X, y)
    assert not [w for w in record if "no effect" in str(w.message)]


def test_partial_fit_warns_of_parameters_without_effect_in_the_first_call_only():
    clf = small(momentum=0.5)
    assert len(warned(lambda: clf.partial_fit(X, y, classes=[0, 1, 2]), skbp.UnusedParameterWarning)) == 1
    assert not warned(lambda: clf.partial_fit(X, y), skbp.UnusedParameterWarning)
