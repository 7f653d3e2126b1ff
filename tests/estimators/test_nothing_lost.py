"""A call that fails changes neither estimator nor generators nor process, and partial_fit does not become slower.

A retry therefore gives the same bits as a first try, and the settings of NumPy, warnings and BLAS stay as the user chose.
"""

import copy
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from registries import UPDATES
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, RepeatedStratifiedKFold, ShuffleSplit
from threadpoolctl import threadpool_info, threadpool_limits
from toy_datasets import linear_rule

from skbp import Activation, BackpropClassifier, BackpropClassifierCV

# A few epochs neither converge nor learn.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning"),
]

X, y = linear_rule(n_rows=45, noise=0.0)

NETS = [BackpropClassifier, BackpropClassifierCV]
BOTH = pytest.mark.parametrize("Net", NETS)


def small(Net=BackpropClassifier, **params):
    params = {"hidden_layer_sizes": (3,), "max_iter": 3, "batch_size": 15, **params}
    if params.get("solver", "adam") not in UPDATES:
        del params["batch_size"]
    return Net(**params)


def plain(value):
    """The content of a value, to compare it with the content at a later time."""
    if isinstance(value, np.ndarray):
        return "array", value.dtype.str, value.shape, value.tobytes() if value.dtype != object else value.tolist()
    if isinstance(value, np.random.RandomState):
        return "generator", plain(value.get_state())
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(one) for one in value]
    if isinstance(value, (BaseEstimator, KFold, ShuffleSplit, RepeatedStratifiedKFold)):
        return type(value).__name__, plain(vars(value))
    if isinstance(value, float):
        return value.hex()
    return value


# Failures


class MineError(Exception):
    """The error that functions of the user raise."""


def nan_at(call):
    """A learning rate that is nan from the given call on."""
    calls = []

    def learning_rate(progress):
        calls.append(progress)
        return np.nan if len(calls) >= call else 1.0

    return learning_rate


def raises_at(call, error=MineError):
    calls = []

    def scorer(estimator, X, y):
        calls.append(1)
        if len(calls) >= call:
            raise error
        return 0.5

    return scorer


def activation_that_raises(call, error=MineError):
    """An activation that raises in the given call, counted from its construction."""
    left = [10**6]

    def function(z, out):
        left[0] -= 1
        if left[0] <= 0:
            raise error
        return np.tanh(z, out=out)

    def slope(a, out):
        np.subtract(1.0, a * a, out=out)
        return out

    record = Activation(function, slope)
    left[0] = call
    return record


class FailingCallback:
    """A callback that raises at the end of the second epoch."""

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 1:
            raise MineError

    def teardown(self, estimator, context):
        pass


# For each failure: a function that makes the parameters (some of them count calls), arguments of fit, and the error.
OF_BOTH = {
    "first learning rate": (lambda: {"learning_rate": nan_at(1)}, {}, ValueError),
    "late learning rate": (lambda: {"learning_rate": nan_at(9)}, {}, ValueError),
    "divergence": (
        lambda: {"solver": "sgd", "learning_rate_init": 1e200, "activation": "identity", "batch_size": 5},
        {},
        ValueError,
    ),
    "activation": (lambda: {"activation": activation_that_raises(4)}, {}, MineError),
    "activation, SciPy": (lambda: {"activation": activation_that_raises(4), "solver": "lbfgs"}, {}, MineError),
    "options": (lambda: {"solver": "bfgs", "solver_options": {"hess_inv0": np.eye(2)}}, {}, ValueError),
    "unknown options": (lambda: {"solver": "lbfgs", "solver_options": {"x": 2}}, {}, ValueError),
    "alpha": (lambda: {"alpha": [0.1]}, {}, ValueError),
    "dropout": (lambda: {"dropout": [0.1] * 5}, {}, ValueError),
}
OF_ONE = {
    "first score": (lambda: {"early_stopping": True, "scoring": raises_at(1)}, {}, MineError),
    "second score": (lambda: {"early_stopping": True, "scoring": raises_at(2)}, {}, MineError),
    "second score, SciPy": (
        lambda: {"early_stopping": True, "scoring": raises_at(2), "solver": "lbfgs", "tol": 0.0},
        {},
        MineError,
    ),
    "no score": (lambda: {"early_stopping": True, "scoring": lambda e, X, y: None}, {}, ValueError),
    "labels of X_val": (dict, {"X_val": X, "y_val": y + 1}, ValueError),
    "nan in X_val": (dict, {"X_val": X * np.nan, "y_val": y}, ValueError),
    "coef_init": (dict, {"coef_init": [np.zeros((4, 3))]}, ValueError),
    "too few rows": (lambda: {"early_stopping": True, "validation_fraction": 0.999}, {}, ValueError),
}
OF_CV = {
    "malformed": (lambda: {"cv": [5]}, {}, ValueError),
    "overlapping": (lambda: {"cv": [(np.arange(40), np.arange(5, 45))]}, {}, ValueError),
    "used up": (lambda: {"cv": iter(())}, {}, ValueError),
    "groups": (lambda: {"cv": 2}, {"groups": np.arange(44)}, ValueError),
}
FAILURES = [(Net, case) for Net in NETS for case in OF_BOTH]
FAILURES += [(BackpropClassifier, case) for case in OF_ONE] + [(BackpropClassifierCV, case) for case in OF_CV]
ALL = OF_BOTH | OF_ONE | OF_CV
STATES = {
    "untrained": lambda clf: clf,
    "trained": lambda clf: clf.fit(X, y),
    "trained by partial_fit": lambda clf: clf.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y),
    "to go on": lambda clf: clf.set_params(warm_start=True, early_stopping=True).fit(X, y),
}
OF_STATE = [(Net, state) for Net in NETS for state in STATES if hasattr(Net(), "partial_fit") or "partial" not in state]
OF_STATE = [(Net, state) for Net, state in OF_STATE if not (Net is BackpropClassifierCV and state == "to go on")]


def fails(clf, error, *args, method="fit", **kwargs):
    """Assert that the call fails and changes nothing of the estimator."""
    before, lists = plain(vars(clf)), {name: value for name, value in vars(clf).items() if isinstance(value, list)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(error):
            getattr(clf, method)(*args, **kwargs)
    assert plain(vars(clf)) == before
    for name, value in lists.items():
        assert getattr(clf, name) is value


def assert_same(one, other):
    """Assert that training and generators of both are equal bit for bit."""
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    for a, b in zip(getattr(one, "members_", [one]), getattr(other, "members_", [other]), strict=True):
        for name in ("coefs_", "intercepts_", "loss_curve_", "validation_loss_curve_", "n_iter_", "t_"):
            assert plain(getattr(a, name)) == plain(getattr(b, name))
    assert plain(one.random_state) == plain(other.random_state)


@pytest.mark.parametrize(
    ("Net", "state", "case"),
    [
        (Net, state, case)
        for Net, state in OF_STATE
        for of, case in FAILURES
        # A warm start that diverges keeps the earlier weights and gives a warning.
        if of is Net and (state, case) != ("to go on", "divergence")
    ],
)
def test_a_fit_that_fails_changes_nothing_and_the_retry_equals_a_first_fit(Net, state, case):
    params, arguments, error = ALL[case]
    good = STATES[state](small(Net, random_state=np.random.RandomState(3)))
    bad = copy.deepcopy(good)
    wanted = bad.get_params()
    for _ in range(2):
        bad.set_params(**params())
        fails(bad, error, X, y, **arguments)
    bad.set_params(**wanted)
    assert_same(good.fit(X, y), bad.fit(X, y))
    # The next random numbers are the same, too.
    assert_same(good.fit(X, y), bad.fit(X, y))


@pytest.mark.parametrize("case", OF_BOTH)
@pytest.mark.parametrize("Splitter", [KFold, ShuffleSplit, RepeatedStratifiedKFold])
def test_a_failing_fit_does_not_change_the_generator_of_cv(Splitter, case):
    def splitter():
        shuffle = {"shuffle": True} if Splitter is KFold else {}
        repeats = {"n_repeats": 2} if Splitter is RepeatedStratifiedKFold else {}
        return Splitter(n_splits=2, random_state=np.random.RandomState(1), **shuffle, **repeats)

    params, arguments, error = ALL[case]
    good, bad = (small(BackpropClassifierCV, cv=splitter(), random_state=0) for _ in range(2))
    wanted = bad.get_params(deep=False)
    bad.set_params(**params())
    fails(bad, error, X, y, **arguments)
    bad.set_params(**wanted)
    for _ in range(2):
        assert_same(good.fit(X, y), bad.fit(X, y))
        assert plain(good.cv) == plain(bad.cv)


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_that_raises_changes_nothing(solver, Net):
    pytest.importorskip("sklearn.callback")
    good, bad = (small(Net, solver=solver, tol=0.0, random_state=np.random.RandomState(3)) for _ in range(2))
    before = plain(bad.random_state)
    bad.set_callbacks(FailingCallback())
    with pytest.raises(MineError):
        bad.fit(X, y)
    assert plain(bad.random_state) == before
    assert not [name for name in vars(bad) if name.endswith("_") and not name.startswith("_")]
    bad.set_callbacks()
    assert_same(good.fit(X, y), bad.fit(X, y))


INTERRUPTED = {
    "learning rate": lambda: {"learning_rate": raises_at_progress},
    "activation": lambda: {"activation": activation_that_raises(1, KeyboardInterrupt)},
    "activation, SciPy": lambda: {
        "activation": activation_that_raises(1, KeyboardInterrupt),
        "solver": "lbfgs",
    },
}


def raises_at_progress(progress):
    raise KeyboardInterrupt


# A warm start is left out: it has earlier weights to keep.
@pytest.mark.parametrize(("Net", "state"), [(Net, state) for Net, state in OF_STATE if state != "to go on"])
@pytest.mark.parametrize("case", INTERRUPTED)
def test_an_interrupt_before_anything_is_trained_changes_nothing(case, Net, state):
    good = STATES[state](small(Net, random_state=np.random.RandomState(3)))
    bad = copy.deepcopy(good)
    wanted = bad.get_params()
    bad.set_params(**INTERRUPTED[case]())
    fails(bad, KeyboardInterrupt, X, y)
    bad.set_params(**wanted)
    assert_same(good.fit(X, y), bad.fit(X, y))


class InterruptingRows:
    """Rows that raise KeyboardInterrupt when they are converted."""

    shape = X.shape

    def __len__(self):
        return len(X)

    def __array__(self, dtype=None, copy=None):
        raise KeyboardInterrupt


@pytest.mark.parametrize("state", ["untrained", "trained", "to go on"])
def test_an_interrupt_while_data_are_checked_changes_nothing(state):
    clf = STATES[state](small(random_state=np.random.RandomState(3)))
    fails(clf, KeyboardInterrupt, X, y, X_val=InterruptingRows(), y_val=y)
    fails(clf, KeyboardInterrupt, InterruptingRows(), y)
    if state != "untrained":
        fails(clf, KeyboardInterrupt, InterruptingRows(), y, method="partial_fit")


# partial_fit

PARTIAL = {
    "learning rate": (lambda: {"learning_rate": nan_at(1)}, (X, y), ValueError),
    "late learning rate": (lambda: {"learning_rate": nan_at(4)}, (X, y), ValueError),
    "activation": (lambda: {"activation": activation_that_raises(3)}, (X, y), MineError),
    "labels": (dict, (X, y + 5), ValueError),
    "features": (dict, (X[:, :2], y), ValueError),
    "weights": (dict, (X, y, -np.ones(45)), ValueError),
    "layers": (lambda: {"hidden_layer_sizes": (7,)}, (X, y), ValueError),
    "classes for weights": (dict, (X[:3], y[:3], [0, 1, 2]), ValueError),
}


# These are no errors in the first call.
LATER = ("features", "layers", "classes for weights")


@pytest.mark.parametrize("solver", UPDATES)
@pytest.mark.parametrize(
    ("case", "calls_before"), [(case, n) for case in PARTIAL for n in (0, 1, 3) if n or case not in LATER]
)
def test_a_partial_fit_that_fails_changes_nothing(case, calls_before, solver):
    params, data, error = PARTIAL[case]
    good, bad = (small(solver=solver, random_state=np.random.RandomState(3)) for _ in range(2))
    for clf in (good, bad):
        for _ in range(calls_before):
            clf.partial_fit(X, y, classes=[0, 1, 2])
    wanted = bad.get_params()
    bad.set_params(**params())
    first = {} if calls_before else {"classes": [0, 1, 2]}
    fails(bad, error, *data, method="partial_fit", **first)
    bad.set_params(**wanted)
    for _ in range(2):
        for clf in (good, bad):
            clf.partial_fit(X, y, classes=[0, 1, 2])
        assert_same(good, bad)
    assert len(bad.loss_curve_) == len(bad.learning_rate_curve_) == calls_before + 2


def test_the_divergence_of_one_classifier_has_no_effect_on_another():
    good, bad = (small(solver="sgd", activation="identity", random_state=0) for _ in range(2))
    for clf in (good, bad):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="finite"), np.errstate(all="ignore"):
        small(solver="sgd", activation="identity", learning_rate_init=1e200, batch_size=5).partial_fit(
            X, y, classes=[0, 1, 2]
        )
    assert_same(good.partial_fit(X, y), bad.partial_fit(X, y))


class Untouched(float):
    """A figure of a curve that raises if anything reads it."""

    def _looked_at(self, *args):
        raise AssertionError("an old figure of a curve was read")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __add__ = __radd__ = __sub__ = __rsub__ = _looked_at
    __float__ = __bool__ = _looked_at
    __hash__ = float.__hash__


def grown(n, solver, early_stopping):
    """A classifier with curves as long as after n more calls."""
    clf = small(solver=solver, random_state=0, early_stopping=early_stopping)
    if early_stopping:  # gives two more curves
        clf.fit(X, y)
    clf.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    for name, value in vars(clf).items():
        if name.endswith("_") and "curve" in name and value is not None:
            value.extend([Untouched(1.0)] * n)
    return clf


def calls_in(function):
    """The number of calls of Python and C functions."""
    n = [0]

    def count(frame, event, arg):
        n[0] += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return n[0]


def peak_bytes(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", UPDATES)
def test_partial_fit_costs_the_same_after_many_calls(solver, early_stopping):
    short, long = (grown(n, solver, early_stopping) for n in (0, 200_000))
    for clf in (short, long):  # after this call the lists have room for more entries
        clf.partial_fit(X, y)
    calls = [min(calls_in(lambda c=clf: c.partial_fit(X, y)) for _ in range(3)) for clf in (short, long)]
    assert calls[1] <= calls[0] + 5
    peaks = [min(peak_bytes(lambda c=clf: c.partial_fit(X, y)) for _ in range(3)) for clf in (short, long)]
    assert peaks[1] < peaks[0] + 100_000  # a copy of one curve takes 1,600,000
    assert len(long.loss_curve_) == len(short.loss_curve_) + 200_000
    assert_array_equal(long.predict_proba(X), short.predict_proba(X))


def test_a_failing_partial_fit_costs_the_same_after_many_calls():
    peaks = []
    for n in (0, 200_000):
        clf = grown(n, "adam", False).set_params(learning_rate=lambda progress: np.nan)

        def call(clf=clf):
            with pytest.raises(ValueError, match="learning_rate"):
                clf.partial_fit(X, y)

        call()
        peaks.append(min(peak_bytes(call) for _ in range(3)))
    assert peaks[1] < peaks[0] + 100_000


# The process

# With these data and the layers below, training limits BLAS to one thread.
WIDE_X, WIDE_Y = linear_rule(n_rows=300, seed=1, noise=0.0, n_features=20)


def blas():
    return [(library["filepath"], library["num_threads"]) for library in threadpool_info()]


def global_state():
    return np.random.get_state()  # noqa: NPY002, the global generator is the subject


def process():
    return {
        "errors of NumPy": np.geterr(),
        "handler of NumPy's errors": np.geterrcall(),
        "filters": list(warnings.filters),
        "how warnings are shown": (warnings.showwarning, warnings.formatwarning),
        "threads": blas(),
        "global generator": plain(global_state()),
        "profile": (sys.getprofile(), sys.gettrace()),
    }


def wide(Net, **params):
    return Net(**{"hidden_layer_sizes": (300,), "max_iter": 2, "random_state": 0, **params})


def bad_rate(progress):
    return np.nan


def evaluated(objective):
    return objective.value_and_gradient(objective.theta0), objective.hessp(objective.theta0, objective.theta0)


CALLS = {
    "fit": lambda Net: wide(Net).fit(WIDE_X, WIDE_Y),
    "fit by SciPy": lambda Net: wide(Net, solver="lbfgs").fit(WIDE_X, WIDE_Y),
    "fit by second order": lambda Net: wide(Net, solver="newton-cg", max_iter=1, dtype="float64").fit(WIDE_X, WIDE_Y),
    "fit of sparse rows": lambda Net: wide(Net).fit(sp.csr_array(WIDE_X), WIDE_Y),
    "predictions": lambda Net: [
        getattr(wide(Net).fit(WIDE_X, WIDE_Y), name)(1e3 * WIDE_X)
        for name in ("predict", "predict_proba", "predict_log_proba", "decision_function")
    ],
}
OF_ONE_CALLS = {
    "early stopping": lambda Net: wide(Net, early_stopping=True, scoring="f1_macro").fit(WIDE_X, WIDE_Y),
    "X_val": lambda Net: wide(Net).fit(WIDE_X, WIDE_Y, X_val=WIDE_X, y_val=WIDE_Y),
    "partial_fit": lambda Net: wide(Net).partial_fit(WIDE_X, WIDE_Y, classes=[0, 1, 2]).partial_fit(WIDE_X, WIDE_Y),
    "objective": lambda Net: wide(Net).objective(WIDE_X, WIDE_Y),
    "objective, evaluated": lambda Net: evaluated(wide(Net).objective(WIDE_X, WIDE_Y)),
}
RAISING = {
    "learning rate": lambda Net: wide(Net, learning_rate=bad_rate).fit(WIDE_X, WIDE_Y),
    "activation": lambda Net: wide(Net, activation=activation_that_raises(3)).fit(WIDE_X, WIDE_Y),
    "activation, SciPy": lambda Net: wide(Net, activation=activation_that_raises(3), solver="lbfgs").fit(
        WIDE_X, WIDE_Y
    ),
    "divergence": lambda Net: wide(
        Net, solver="sgd", learning_rate_init=1e200, activation="identity", batch_size=5
    ).fit(WIDE_X, WIDE_Y),
    "data": lambda Net: wide(Net).fit(WIDE_X * np.nan, WIDE_Y),
    "predict": lambda Net: wide(Net).fit(WIDE_X, WIDE_Y).predict(WIDE_X[:, :3]),
    "predict of inf": lambda Net: wide(Net).fit(WIDE_X, WIDE_Y).predict_proba(WIDE_X + np.inf),
}
OF_ONE_RAISING = {
    "scorer": lambda Net: wide(Net, early_stopping=True, scoring=raises_at(2)).fit(WIDE_X, WIDE_Y),
    "interrupted": lambda Net: wide(Net, early_stopping=True, scoring=raises_at(2, SystemExit)).fit(WIDE_X, WIDE_Y),
    "partial_fit": lambda Net: wide(Net, learning_rate=bad_rate).partial_fit(WIDE_X, WIDE_Y, classes=[0, 1, 2]),
    "objective": lambda Net: wide(Net).objective(WIDE_X, WIDE_Y[:-1]),
    "objective, evaluated": lambda Net: evaluated(
        wide(Net, activation=activation_that_raises(1)).objective(WIDE_X, WIDE_Y)
    ),
}


def unchanged(call, Net, errors, raises):
    with np.errstate(**errors), threadpool_limits(2, user_api="blas"):
        before = process()
        if raises:
            with pytest.raises((ValueError, MineError, SystemExit)):
                call(Net)
        else:
            call(Net)
        after = process()
    assert after == before


SETTINGS = pytest.mark.parametrize(
    "errors", [{}, {"all": "raise"}, {"all": "ignore"}, {"over": "warn", "under": "raise"}], ids=str
)


@SETTINGS
@BOTH
@pytest.mark.parametrize("name", CALLS)
def test_a_call_does_not_change_the_process(name, Net, errors):
    unchanged(CALLS[name], Net, errors, raises=False)


@SETTINGS
@BOTH
@pytest.mark.parametrize("name", RAISING)
def test_a_call_that_raises_does_not_change_the_process(name, Net, errors):
    unchanged(RAISING[name], Net, errors, raises=True)


@SETTINGS
@pytest.mark.parametrize("name", OF_ONE_CALLS)
def test_a_call_of_one_network_only_does_not_change_the_process(name, errors):
    unchanged(OF_ONE_CALLS[name], BackpropClassifier, errors, raises=False)


@SETTINGS
@pytest.mark.parametrize("name", OF_ONE_RAISING)
def test_a_call_of_one_network_only_that_raises_does_not_change_the_process(name, errors):
    unchanged(OF_ONE_RAISING[name], BackpropClassifier, errors, raises=True)


def test_these_fits_limit_blas_to_one_thread():
    seen = []

    def learning_rate(progress):
        seen.append(min(n for _, n in blas()))
        return 1.0

    with threadpool_limits(2, user_api="blas"):
        if max(n for _, n in blas()) < 2:
            pytest.skip("BLAS has one thread in any case")
        wide(BackpropClassifier, learning_rate=learning_rate).fit(WIDE_X, WIDE_Y)
    assert set(seen) == {1}


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_global_generator_is_used_only_without_random_state(solver, Net):
    before = plain(global_state())
    for random_state in (0, np.random.RandomState(0)):
        small(Net, solver=solver, random_state=random_state).fit(X, y)
        assert plain(global_state()) == before
    small(Net, solver=solver).fit(X, y)
    assert plain(global_state()) != before
