"""Warnings are given once, point to the user's line, and come last, so that a warning as an error loses nothing."""

import inspect
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from registries import SOLVERS
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toy_datasets import linear_rule

import skbp
from skbp import BackpropClassifier, BackpropClassifierCV, HiddenFeatures, NothingLearnedWarning, UnusedParameterWarning
from skbp._notices import note, noting

CLASSES = [BackpropClassifier, BackpropClassifierCV]

X, Y = linear_rule(n_rows=90, noise=0.0)


def small(cls, **params):
    extra = {"cv": 3} if cls is BackpropClassifierCV else {}
    return cls(**{"hidden_layer_sizes": 5, "max_iter": 4, "random_state": 0, **extra, **params})


def recorded(function):
    """The result of a function, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function()
    return result, caught


def this_line():
    return inspect.currentframe().f_back.f_lineno


def assert_points_here(caught, line):
    assert caught
    assert {(one.filename, one.lineno) for one in caught} == {(__file__, line)}


# note and noting


def test_outside_noting_a_note_is_given_at_once():
    given = []

    def notes():
        note("first")
        given.append("between")
        note("second", ConvergenceWarning)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, *args: given.append((str(message), category))
        notes()
    assert given == [("first", UserWarning), "between", ("second", ConvergenceWarning)]


def test_inside_noting_notes_are_given_in_order_at_its_end():
    given = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, *args: given.append((str(message), category))
        with noting():
            note("first")
            note("second", ConvergenceWarning)
            given.append("the end")
    assert given == ["the end", ("first", UserWarning), ("second", ConvergenceWarning)]


def test_a_note_of_the_same_text_and_category_is_given_once():
    def notes():
        with noting():
            for _ in range(3):
                note("again")
                note("again", ConvergenceWarning)
                note("other")

    _, caught = recorded(notes)
    assert [(str(one.message), one.category) for one in caught] == [
        ("again", UserWarning),
        ("again", ConvergenceWarning),
        ("other", UserWarning),
    ]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_replaces_the_notes(error):
    def notes():
        with noting():
            note("lost")
            raise error

    def tries():
        with pytest.raises(error):
            notes()
        note("after")

    _, caught = recorded(tries)
    assert [str(one.message) for one in caught] == ["after"]


def test_a_note_may_be_an_instance_of_a_warning():
    _, caught = recorded(lambda: note(UnusedParameterWarning("alpha")))
    assert [(str(one.message), one.category) for one in caught] == [("alpha", UnusedParameterWarning)]


def test_notes_of_one_thread_are_not_given_by_another():
    noted, given = threading.Event(), threading.Event()

    def other():
        noted.wait(10)
        note("of the other thread")
        given.set()

    def notes():
        with noting():
            note("of this one")
            noted.set()
            given.wait(10)
            return [str(one.message) for one in caught]

    thread = threading.Thread(target=other)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thread.start()
        assert notes() == ["of the other thread"]
        thread.join()
    assert [str(one.message) for one in caught] == ["of the other thread", "of this one"]


# Where a warning points


def test_a_note_points_to_the_line_that_called():
    def noted():
        note("here"), lines.append(this_line())

    def collected():
        with noting():  # gives the warning at its end
            lines.append(this_line() - 1)
            note("here")

    for function in (noted, collected):
        lines = []
        assert_points_here(recorded(function)[1], *lines)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_warning_of_fit_points_to_its_line(cls):
    def fits():
        return this_line(), small(cls, power_t=0.3).fit(X, Y)

    (line, _), caught = recorded(fits)
    assert {one.category for one in caught} >= {UnusedParameterWarning, ConvergenceWarning}
    assert_points_here(caught, line)


def test_a_warning_of_partial_fit_points_to_its_line():
    def fits():
        return this_line(), small(BackpropClassifier, power_t=0.3).partial_fit(X, Y, classes=[0, 1, 2])

    (line, _), caught = recorded(fits)
    assert_points_here(caught, line)


def in_pipeline(clf):
    return this_line(), make_pipeline(StandardScaler(), clf).fit(X, Y)


def in_search(clf):
    return this_line(), GridSearchCV(clf, {"alpha": [0.0, 0.1]}, cv=2, n_jobs=1).fit(X, Y)


def in_cross_validation(clf):
    return this_line(), cross_val_score(clf, X, Y, cv=2, n_jobs=1)


def in_hidden_features(clf):
    return this_line(), HiddenFeatures(clf).fit(X, Y)


def in_thread(clf):
    lines = []

    def work():
        lines.append(this_line() + 1)
        clf.fit(X, Y)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return lines[0], None


def in_pool(clf):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: (this_line(), clf.fit(X, Y))).result()


ROADS = [in_pipeline, in_search, in_cross_validation, in_hidden_features, in_thread, in_pool]


# An ensemble has no hidden layers.
@pytest.mark.parametrize(
    ("cls", "road"),
    [(cls, road) for cls in CLASSES for road in ROADS if (cls, road) != (BackpropClassifierCV, in_hidden_features)],
)
def test_a_warning_points_to_the_users_line_through_other_code(cls, road):
    (line, _), caught = recorded(lambda: road(small(cls, power_t=0.3)))
    assert UnusedParameterWarning in {one.category for one in caught}
    assert_points_here(caught, line)


# The filters of the process


@pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", CLASSES)
def test_a_fit_leaves_the_filters_as_they_were(cls):
    before, filters = warnings.filters, list(warnings.filters)
    show = warnings.showwarning
    small(cls, early_stopping=True, scoring="f1_macro").fit(X, Y) if cls is BackpropClassifier else small(cls).fit(X, Y)
    assert warnings.filters is before
    assert list(warnings.filters) == filters
    assert warnings.showwarning is show


# Two classes have fewer rows than there are folds. scikit-learn's own splitters would give a warning.
RARE = np.where(np.arange(90) < 2, 3, np.where(np.arange(90) < 5, 4, Y))


@pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("grouped", [False, True])
def test_fits_in_threads_leave_the_filters_as_they_were(grouped):
    before, filters = warnings.filters, list(warnings.filters)
    groups = np.arange(90) // 2 if grouped else None
    together = threading.Barrier(8)

    def fit(seed):
        together.wait(30)
        return small(BackpropClassifierCV, cv=5, n_repeats=1, random_state=seed).fit(X, RARE, groups=groups)

    with ThreadPoolExecutor(8) as pool:
        fitted = list(pool.map(fit, range(8)))
    assert warnings.filters is before
    assert list(warnings.filters) == filters
    assert all(len(clf.members_) == 5 and len(clf.classes_) == 5 for clf in fitted)


# Warnings as errors


def explodes(fraction):
    return 1.0 if fraction < 0.5 else 1e200


def interrupts(fraction):
    if fraction >= 0.5:
        raise KeyboardInterrupt
    return 1.0


def no_number(estimator, X, y):
    return np.nan


ONE_HOT = np.eye(3, dtype=int)[Y]
UNEVEN = PredefinedSplit(np.where(np.arange(90) < 76, 0, np.arange(90) % 2 + 1))

# For each warning: its category, its text, the parameters and labels that cause it, and the classes that give it.
WARNINGS = {
    "max_iter": (ConvergenceWarning, "Maximum iterations", {}, Y, CLASSES),
    "max_time": (ConvergenceWarning, "max_time=1e-09", {"max_time": 1e-9}, Y, CLASSES),
    "diverged": (ConvergenceWarning, "diverged", {"learning_rate": explodes, "max_iter": 8}, Y, CLASSES),
    "interrupted": (
        ConvergenceWarning,
        "interrupted by user",
        {"learning_rate": interrupts, "max_iter": 8},
        Y,
        CLASSES,
    ),
    "nothing learned": (
        NothingLearnedWarning,
        "Nothing was learned",
        {"learning_rate": "linear", "learning_rate_init": 1e-12},
        np.roll(Y, 17),
        CLASSES,
    ),
    "unused parameter": (UnusedParameterWarning, "power_t=0.3 has no effect", {"power_t": 0.3}, Y, CLASSES),
    "nan score": (
        UserWarning,
        "scoring gives nan",
        {"early_stopping": True, "scoring": no_number},
        Y,
        [BackpropClassifier],
    ),
    "one-hot": (UserWarning, "y looks one-hot", {}, ONE_HOT, CLASSES),
    "batch_size": (UserWarning, "batch_size=200 is larger", {"batch_size": 200}, Y, CLASSES),
    "uneven splits": (
        UserWarning,
        "make the splits more even",
        {"cv": UNEVEN, "batch_size": 8},
        Y,
        [BackpropClassifierCV],
    ),
    "few rows": (UserWarning, "cv=80 asks for more folds than", {"cv": 80}, Y, [BackpropClassifierCV]),
}
GIVEN = [(name, cls) for name, case in WARNINGS.items() for cls in case[-1]]


def networks(clf):
    return clf.members_ if isinstance(clf, BackpropClassifierCV) else [clf]


def assert_same_training(one, other):
    """The two estimators have the same networks, history and predictions."""
    assert len(networks(one)) == len(networks(other))
    for a, b in zip(networks(one), networks(other), strict=True):
        for u, v in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
            assert_array_equal(u, v)
        assert_array_equal(a.loss_curve_, b.loss_curve_)
        assert a.t_ == b.t_
        assert a.best_iter_ == b.best_iter_
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert {name for name in vars(one) if name.endswith("_")} == {name for name in vars(other) if name.endswith("_")}


def with_errors(function, *args, **kwargs):
    """Call a function that gives warnings. The first warning is raised as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Warning):
            function(*args, **kwargs)


@pytest.mark.parametrize(("name", "cls"), GIVEN)
def test_a_warning_as_an_error_loses_nothing_that_was_trained(name, cls):
    category, match, params, y, _ = WARNINGS[name]
    quiet, caught = recorded(lambda: small(cls, **params).fit(X, y))
    said = [str(one.message) for one in caught if one.category is category]
    assert any(match in text for text in said), said
    clf = small(cls, **params)
    with_errors(clf.fit, X, y)
    assert_same_training(clf, quiet)
    if len(caught) > 1:  # now raise this warning only
        clf = small(cls, **params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=f".*{match}", category=category)
            with pytest.raises(category, match=match):
                clf.fit(X, y)
        assert_same_training(clf, quiet)


@pytest.mark.parametrize("cls", CLASSES)
# trust-krylov gives the same numbers only up to rounding.
@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver != "trust-krylov"])
def test_no_solver_loses_anything_by_a_warning_as_an_error(solver, cls):
    params = {"solver": solver, "max_iter": 2, "dtype": "float64"}
    quiet, _ = recorded(lambda: small(cls, **params).fit(X, Y))
    clf = small(cls, **params)
    with_errors(clf.fit, X, Y)
    assert_same_training(clf, quiet)


@pytest.mark.parametrize("name", [name for name, cls in GIVEN if cls is BackpropClassifier])
def test_a_warm_start_continues_after_warnings_as_errors(name):
    _, _, params, y, _ = WARNINGS[name]
    quiet, clf = (small(BackpropClassifier, warm_start=True, **params) for _ in range(2))
    for _ in range(3):
        recorded(lambda: quiet.fit(X, y))
        with_errors(clf.fit, X, y)
    assert_same_training(clf, quiet)
    assert len(clf.loss_curve_) >= 3


def test_partial_fit_continues_after_warnings_as_errors():
    # The first call warns about an unused parameter. The calls from the third on warn that the schedule has ended.
    params = {"power_t": 0.3, "learning_rate": "linear", "max_iter": 2}
    quiet, clf = (small(BackpropClassifier, **params) for _ in range(2))
    for call in range(4):
        _, caught = recorded(lambda: quiet.partial_fit(X, Y, classes=[0, 1, 2]))
        assert len(caught) == (call != 1)
        if caught:
            with_errors(clf.partial_fit, X, Y, classes=[0, 1, 2])
        else:
            clf.partial_fit(X, Y)
        assert_same_training(clf, quiet)
    assert len(clf.loss_curve_) == 4


def test_hidden_features_lose_nothing_by_a_warning_as_an_error():
    quiet, _ = recorded(lambda: HiddenFeatures(small(BackpropClassifier)).fit(X, Y))
    features = HiddenFeatures(small(BackpropClassifier))
    with_errors(features.fit, X, Y)
    assert_array_equal(features.transform(X), quiet.transform(X))


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_gives_no_warnings_and_leaves_the_estimator_as_it_was(cls):
    clf, _ = recorded(lambda: small(cls).fit(X, Y))
    before, proba = dict(vars(clf)), clf.predict_proba(X)
    clf.set_params(power_t=0.3)

    def fails():
        with pytest.raises(ValueError, match="Input X contains infinity"):
            clf.fit(np.where(X > 2.0, np.inf, X), Y)

    _, caught = recorded(fails)
    assert caught == []
    assert vars(clf.set_params(power_t=0.5)).keys() == before.keys()
    assert_array_equal(clf.predict_proba(X), proba)


def test_the_warning_categories_are_public():
    assert issubclass(UnusedParameterWarning, UserWarning)
    assert issubclass(NothingLearnedWarning, UserWarning)
    assert {"UnusedParameterWarning", "NothingLearnedWarning", "InconsistentVersionWarning"} <= set(skbp.__all__)


def test_a_filter_for_one_category_keeps_the_others():
    def fits():
        warnings.simplefilter("ignore", UnusedParameterWarning)
        return small(BackpropClassifier, power_t=0.3).fit(X, Y)

    _, caught = recorded(fits)
    categories = [one.category for one in caught]
    assert ConvergenceWarning in categories
    assert UnusedParameterWarning not in categories


@pytest.mark.parametrize("cls", CLASSES)
def test_a_second_fit_warns_again(cls):
    clf = small(cls, power_t=0.3)
    for _ in range(2):
        _, caught = recorded(lambda: clone(clf).fit(X, Y))
        texts = [str(one.message) for one in caught]
        assert len(texts) == len(set(texts))
        assert sum("power_t=0.3" in text for text in texts) == 1
