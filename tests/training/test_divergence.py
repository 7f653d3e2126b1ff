"""Training that diverges keeps the finite weights of the last good epoch, or ends in a helpful error."""

import copy
import pickle
import re
import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from skbp import Activation, BackpropClassifier, BackpropClassifierCV
from skbp._network.activations import ACTIVATIONS
from skbp._training.solvers import SCIPY_METHODS, SOLVERS
from skbp._training.updates import UPDATES

# Most of these fits learn nothing. That is not the subject.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning"),
]

REMEDY = "To help: .*(StandardScaler|lower alpha, now|lower learning_rate_init, now|check the activation and coef_init)"

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def make_data(n=30, n_features=10, size=100.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, n_features)) * size, rng.integers(0, 3, n)


def edge(X, dtype):
    """Rows with numbers so large that the sums of all hidden layers overflow."""
    return np.where(X < 0.0, -1.0, 1.0) * 0.9 * float(np.finfo(dtype).max)


def network(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (20, 20), "max_iter": 12, "alpha": 0.0, **params})


def fit(clf, X, y, method="fit", **arguments):
    """Train. Return the warnings of divergence, or the error as text."""
    before, error = clf.__dict__.copy(), ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            getattr(clf, method)(X, y, **arguments)
        except ValueError as raised:
            error = str(raised)
    if error:
        assert re.search(REMEDY, error), error
        assert "no weights to keep" in error or "ended in an error" in error
        assert clf.__dict__.keys() == before.keys()
        assert all(clf.__dict__[name] is value for name, value in before.items())
        return error
    assert not [w for w in caught if w.category is RuntimeWarning]
    return [str(w.message) for w in caught if w.category is ConvergenceWarning and "diverged" in str(w.message)]


def assert_finite(clf, X, y):
    """Assert that weights, predictions and losses are finite on the training rows."""
    for array in clf.coefs_ + clf.intercepts_:
        assert np.isfinite(array).all()
    for method in (clf.predict_proba, clf.predict_log_proba, clf.decision_function):
        assert np.isfinite(method(X)).all()
    objective = clf.objective(X, y)
    assert np.isfinite(objective.value(objective.theta0))
    assert np.isfinite(clf.loss_curve_).all()


def assert_same_weights(one, other, rtol=0.0):
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_allclose(a, b, rtol=rtol, atol=rtol)


# Mini-batches


TOO_LARGE = {
    "sgd at 0.1": {"solver": "sgd", "learning_rate_init": 0.1},
    "sgd at 1": {"solver": "sgd", "learning_rate_init": 1.0},
    "sgd at 1, no momentum": {"solver": "sgd", "learning_rate_init": 1.0, "momentum": 0.0},
    "sgd at 1e10": {"solver": "sgd", "learning_rate_init": 1e10},
    "adam at 10": {"solver": "adam", "learning_rate_init": 10.0},
    "adam at 1e10": {"solver": "adam", "learning_rate_init": 1e10},
    "adam at 1e100": {"solver": "adam", "learning_rate_init": 1e100},
    "four layers": {"solver": "sgd", "learning_rate_init": 0.3, "hidden_layer_sizes": (10, 10, 10, 10)},
    "dropout": {"solver": "sgd", "learning_rate_init": 1.0, "dropout": 0.4},
    "early stopping": {"solver": "sgd", "learning_rate_init": 1.0, "early_stopping": True},
    "early stopping by the loss": {"learning_rate_init": 1e5, "early_stopping": True, "scoring": "loss"},
    "small batches": {"solver": "sgd", "learning_rate_init": 0.3, "batch_size": 7},
    "in order": {"solver": "sgd", "learning_rate_init": 0.3, "shuffle": False},
    "penalty": {"solver": "sgd", "learning_rate_init": 10.0, "alpha": 1e3},
}


@every_dtype
@every_activation
@pytest.mark.parametrize("case", TOO_LARGE)
def test_a_fit_keeps_the_finite_weights_of_the_last_good_epoch(case, activation, dtype):
    for seed in range(2):
        X, y = make_data(seed=seed)
        clf = network(activation=activation, dtype=dtype, random_state=seed, **TOO_LARGE[case])
        said = fit(clf, X, y)
        if isinstance(said, str):
            assert not hasattr(clf, "coefs_")
            assert "StandardScaler" in said
            assert f"lower learning_rate_init, now {clf.learning_rate_init}" in said
            continue
        assert_finite(clf.set_params(alpha=0.0), X.astype(dtype), y)
        assert len(clf.loss_curve_) == clf.n_iter_ >= 1
        if not said:  # it went on to the end, or through the ten epochs allowed without an improvement
            assert clf.n_iter_ > 10
        if said:
            assert (
                f"not finite in iteration {clf.n_iter_ + 1}. The weights after iteration {clf.n_iter_} are" in said[0]
            )
            assert f"Lower learning_rate_init, now {clf.learning_rate_init:g}" in said[0]
            again = network(activation=activation, dtype=dtype, random_state=seed, **TOO_LARGE[case])
            assert fit(again.set_params(max_iter=clf.n_iter_), X, y) == []
            assert_same_weights(again, clf)
            assert again.loss_curve_ == clf.loss_curve_
            assert again.best_iter_ == clf.best_iter_


def test_the_settings_above_diverge_in_all_ways():
    ends = set()
    for params in TOO_LARGE.values():
        for activation in ("relu", "tanh"):
            X, y = make_data()
            clf = network(activation=activation, random_state=0, dtype="float32", **params)
            said = fit(clf, X, y)
            ends.add("at once" if isinstance(said, str) else "later" if said else "never")
            if said and not isinstance(said, str) and clf.n_iter_ > 1:
                ends.add("after several epochs")
    assert ends == {"at once", "later", "never", "after several epochs"}


def test_deep_networks_at_rates_that_are_too_large():
    X, y = make_data(30, 10, 100.0)
    clf = BackpropClassifier((50, 50, 50), solver="sgd", learning_rate_init=0.1, max_iter=50, random_state=0)
    assert "To help" in fit(clf, X, y) or np.isfinite(clf.predict_proba(X)).all()
    clf = BackpropClassifier((50, 50, 50), solver="sgd", learning_rate_init=1.0, max_iter=3, random_state=0)
    said = fit(clf, X.astype(np.float32), y)
    if not isinstance(said, str):
        assert said
        assert_finite(clf, X.astype(np.float32), y)


@every_dtype
@pytest.mark.parametrize("rate", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("solver", UPDATES)
def test_partial_fit_keeps_the_weights_of_the_last_good_call(solver, rate, dtype):
    for seed in range(4):
        X, y = make_data(seed=seed)
        clf = network(solver=solver, learning_rate_init=rate, dtype=dtype, random_state=seed)
        for _ in range(12):
            before = copy.deepcopy(clf)
            said = fit(clf, X, y, "partial_fit", classes=[0, 1, 2])
            if isinstance(said, str):
                assert not hasattr(before, "coefs_")
                break
            assert_finite(clf, X.astype(dtype), y)
            if said:
                assert_same_weights(clf, before)
                assert clf.n_iter_ == 0
                assert clf.loss_curve_ == before.loss_curve_
                break


@every_dtype
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_that_diverges_keeps_the_earlier_weights(solver, dtype):
    X, y = make_data(size=1.0)
    rate = {"learning_rate_init": 0.01} if solver in UPDATES else {}
    clf = network(solver=solver, dtype=dtype, warm_start=True, random_state=0, **rate).fit(X, y)
    before, kept = copy.deepcopy(clf), pickle.dumps(clf.coefs_)
    if solver in UPDATES:  # the first step goes beyond the largest number
        clf.set_params(learning_rate_init=1e300)
    else:  # F is not finite at the start of training
        X = edge(X, dtype)
    said = fit(clf, X, y)
    assert len(said) == 1
    assert "The weights after iteration 0 are kept" in said[0]
    assert pickle.dumps(clf.coefs_) == kept
    assert_same_weights(clf, before)
    assert clf.loss_curve_ == before.loss_curve_


@every_dtype
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", UPDATES)
def test_a_warm_start_may_go_on_after_it_diverged(solver, early_stopping, dtype):
    X, y = make_data(60, size=1.0)
    params = {"solver": solver, "dtype": dtype, "early_stopping": early_stopping, "random_state": 0, "warm_start": True}
    clf = network(learning_rate_init=0.05, **params).fit(X, y)
    assert len(fit(clf.set_params(learning_rate_init=1e300), X, y)) == 1
    n_epochs = len(clf.loss_curve_)
    clf.set_params(learning_rate_init=0.05).fit(X, y)
    assert_finite(clf, X.astype(dtype), y)
    assert min(clf.loss_curve_[n_epochs:]) < clf.loss_curve_[0]


# SciPy's methods


@every_dtype
@pytest.mark.parametrize("size", [1e-300, 1e5, 1e19, 1e37, 1e150, 1e300])
@pytest.mark.parametrize("solver", SCIPY_METHODS)
def test_scipy_methods_on_data_of_all_sizes(solver, size, dtype):
    size = min(size, 0.1 * float(np.finfo(dtype).max))
    for activation, early_stopping in [("relu", False), ("tanh", True), ("identity", True), ("gelu", False)]:
        X, y = make_data(size=size)
        params = {"activation": activation, "early_stopping": early_stopping, "hidden_layer_sizes": (4, 4)}
        clf = network(solver=solver, dtype=dtype, random_state=0, max_iter=5, **params)
        said = fit(clf, X, y)
        if isinstance(said, str):
            assert "StandardScaler" in said
            assert "learning_rate_init" not in said
            continue
        assert len(said) <= 1
        assert_finite(clf, X.astype(dtype), y)
        assert np.isfinite(clf.loss_)


def test_newton_cg_ends_where_products_with_the_hessian_are_not_finite():
    # SciPy would ask for 20 products for each parameter, and the time is checked only after an iteration.
    X, y = make_data(size=1e19)
    clf = network(solver="newton-cg", dtype="float32", random_state=0, max_iter=5)
    start = time.perf_counter()
    assert "no weights to keep" in fit(clf, X, y)
    assert time.perf_counter() - start < 5.0


@every_dtype
@every_activation
def test_scipy_methods_with_every_activation(activation, dtype):
    for size in (1e10, 1e36):
        X, y = make_data(size=size)
        clf = network(solver="lbfgs", activation=activation, dtype=dtype, random_state=0)
        if not isinstance(fit(clf, X, y), str):
            assert_finite(clf, X.astype(dtype), y)


# An ensemble


def ensemble(splits, **params):
    given = {"hidden_layer_sizes": (8,), "max_iter": 10, "batch_size": 5, "learning_rate_init": 0.01, "random_state": 0}
    given |= {"dtype": "float64", "n_iter_no_change": np.inf, "dropout": 0.0, "scale": False}
    given |= {"n_repeats": 1, "activation": "relu"}
    return BackpropClassifierCV(cv=splits, **given | params)


def one_member_poisoned(size, seed=0):
    """Rows, labels and three splits. The last rows are huge, and only the first member trains on them.

    Returns
    -------
    X, y
    splits : list
        With the huge rows.
    harmless : list
        The same, but the first member has other rows instead.
    """
    X, y = make_data(66, 4, 1.0, seed)
    X[60:] *= size
    folds = np.split(np.arange(60), 3)
    splits = [(np.concatenate(folds[:k] + folds[k + 1 :]), folds[k]) for k in range(3)]
    poisoned = np.concatenate([splits[0][0][:-6], np.arange(60, 66)])
    return X, y, [(poisoned, folds[0]), *splits[1:]], splits


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_member_that_diverges_leaves_the_others_as_they_are(dropout):
    # The steps of "adam" have one size for all data. So this is for "sgd".
    X, y, poisoned, harmless = one_member_poisoned(1e160)
    params = {"solver": "sgd", "dropout": dropout}
    one, other = ensemble(poisoned, **params), ensemble(harmless, **params)
    said = fit(one, X, y)
    assert fit(other, X, y) == []
    assert len(said) == 1
    assert "1 of 3 members are left out" in said[0]
    assert [fold.tolist() for fold in one.oof_indices_] == [fold.tolist() for _, fold in poisoned[1:]]
    assert len(one.members_) == len(one.best_iters_) == len(one.validation_loss_curves_) == 2
    for alone, member in zip(one.members_, other.members_[1:], strict=True):
        assert_same_weights(alone, member)
        assert alone.loss_curve_ == member.loss_curve_
        assert_array_equal(alone.validation_loss_curve_, member.validation_loss_curve_)
    assert_array_equal(one.best_iters_, other.best_iters_[1:])
    assert np.isnan(one.oof_proba_[np.r_[:20, 60:66]]).all()
    assert np.isfinite(one.oof_proba_[20:60]).all()
    assert np.isfinite(one.predict_proba(X)).all()
    assert_allclose(one.predict_proba(X).mean(), one.predict_proba_members(X).mean(), rtol=1e-6)


def test_the_members_that_are_left_are_networks_trained_alone():
    X, y, poisoned, _ = one_member_poisoned(1e160)
    clf = ensemble(poisoned, solver="sgd")
    assert len(fit(clf, X, y)) == 1
    assert len(clf.members_) == 2
    for member, (train, fold) in zip(clf.members_, poisoned[1:], strict=True):
        alone = clone(member).fit(X[train], y[train], X_val=X[fold], y_val=y[fold])
        assert_same_weights(alone, member, rtol=1e-9)
        assert_allclose(alone.loss_curve_, member.loss_curve_, rtol=1e-9)
        assert_allclose(alone.validation_loss_curve_, member.validation_loss_curve_, rtol=1e-9)
        assert alone.best_iter_ == member.best_iter_


@pytest.mark.parametrize("largest", [1e2, 1e27])
def test_a_member_that_diverges_later_keeps_its_best_weights(largest):
    # The rate grows from epoch to epoch until the member that trains on huge rows diverges.
    def growing(progress):
        return largest**progress

    X, y, poisoned, _ = one_member_poisoned(1e10)
    params = {"solver": "sgd", "learning_rate_init": 1e-25, "learning_rate": growing, "max_iter": 40}
    params |= {"activation": "identity"}  # all units of relu may end at 0
    clf = ensemble(poisoned, **params)
    said = fit(clf, X, y)
    assert len(clf.members_) == 3
    assert [member.n_iter_ < 40 for member in clf.members_] == [largest > 1e2, False, False]
    assert np.isfinite(clf.predict_proba(X)).all()
    for member, best in zip(clf.members_, clf.best_iters_, strict=True):
        assert np.isfinite(member.loss_curve_).all()
        assert best == np.nanargmin(member.validation_loss_curve_) + 1
    if largest > 1e2:
        assert said[0].startswith("1 of 3 members diverged and keep their best weights.")
        # The weights are those of training that ends before it diverges.
        before = ensemble(poisoned, **params)
        stop = clf.members_[0].n_iter_
        rates = clf.members_[0].learning_rate_curve_
        assert_allclose(rates, 1e-25 * largest ** (np.arange(stop) / 40), rtol=1e-12)
        before.set_params(max_iter=stop, learning_rate=lambda progress: largest ** (progress * stop / 40))
        assert fit(before, X, y) == []
        assert_same_weights(before.members_[0], clf.members_[0], rtol=1e-9)
    else:
        assert said == []


@every_dtype
@every_activation
def test_ensembles_at_rates_that_are_too_large(activation, dtype):
    for seed, (rate, solver) in enumerate([(1.0, "sgd"), (1e10, "sgd"), (100.0, "adam"), (1e30, "adam"), (0.1, "sgd")]):
        X, y = make_data(60, seed=seed)
        params = {"activation": activation, "dtype": dtype, "learning_rate_init": rate, "solver": solver}
        clf = ensemble(4, random_state=seed, hidden_layer_sizes=(10, 10), dropout=0.1, **params)
        said = fit(clf, X, y)
        if isinstance(said, str):
            assert not hasattr(clf, "members_")
            continue
        X = X.astype(dtype)
        assert (
            1 <= len(clf.members_) == len(clf.best_iters_) == len(clf.oof_indices_) == len(clf.validation_loss_curves_)
        )
        for member in clf.members_:
            assert_finite(member.set_params(alpha=0.0), X, y)
            assert member.best_validation_score_ > -np.inf
        assert np.isfinite(clf.predict_proba(X)).all()
        assert np.isfinite(clf.decision_function(X)).all()
        covered = np.concatenate(clf.oof_indices_)
        assert np.isfinite(clf.oof_proba_[covered]).all()
        assert np.isfinite([clf.oof_log_loss_, clf.oof_score_, clf.temperature_]).all()
        if any(member.n_iter_ < clf.n_iter_ for member in clf.members_) or len(clf.members_) < 4:
            assert len(said) == 1


def test_an_ensemble_of_deep_networks_at_a_rate_that_is_too_large():
    X, y = make_data(30, 10, 100.0)
    params = {"solver": "sgd", "learning_rate_init": 1.0, "max_iter": 50, "random_state": 0, "dropout": 0.0}
    clf = BackpropClassifierCV((50, 50, 50), scale=False, **params)
    if not isinstance(fit(clf, X, y), str):
        assert np.isfinite(clf.predict_proba(X.astype(np.float32))).all()
        assert np.isfinite(clf.oof_log_loss_)


def of_scipy(solver, **params):
    """Parameters of an ensemble for a solver, without those that the solver does not use."""
    if solver in UPDATES:
        return {"solver": solver, **params}
    unused = {"batch_size": "auto", "n_iter_no_change": 10, "learning_rate_init": "auto", "dropout": "auto"}
    return {"solver": solver, "max_iter": 4} | params | unused


@every_dtype
@pytest.mark.parametrize("solver", SOLVERS)
def test_without_a_finite_member_the_error_is_helpful(solver, dtype):
    X, y = make_data(60, 4, 1.0)
    params = of_scipy(solver, dtype=dtype)
    said = fit(ensemble(3, **params), edge(X, dtype), y)
    assert isinstance(said, str)
    assert "StandardScaler" in said
    assert ("learning_rate_init" in said) == (solver in UPDATES)
    # A fit that fails loses nothing.
    fitted = ensemble(3, **params).fit(X, y)
    proba = fitted.predict_proba(X)
    assert isinstance(fit(fitted, edge(X, dtype), y), str)
    assert_array_equal(fitted.predict_proba(X), proba)


@pytest.mark.parametrize("solver", SCIPY_METHODS)
def test_a_member_that_is_never_finite_is_left_out_of_members_trained_in_turn(solver):
    X, y, poisoned, harmless = one_member_poisoned(1.0)
    X[60:] = edge(X[60:], "float64")
    params = of_scipy(solver, hidden_layer_sizes=(20,))
    one, other = ensemble(poisoned, **params), ensemble(harmless, **params)
    said = fit(one, X, y)
    fit(other, X, y)
    assert len(said) <= 1
    assert len(one.members_) == len(one.best_iters_) == 2
    assert [fold.tolist() for fold in one.oof_indices_] == [fold.tolist() for _, fold in poisoned[1:]]
    for alone, member in zip(one.members_, other.members_[1:], strict=True):
        assert_same_weights(alone, member, rtol=1e-6 if solver == "trust-krylov" else 0.0)
    assert np.isfinite(one.oof_proba_[20:60]).all()


# An activation of the user


def test_an_activation_of_the_users_own_that_grows_faster_than_linearly():
    cubic = Activation(
        lambda z, out: np.power(z, 3, out=out), lambda z, out: np.multiply(3.0 * z, z, out=out), needs_z=True
    )
    assert not cubic.grows_linearly
    for dtype in ("float32", "float64"):
        for seed in range(10):
            X, y = make_data(seed=seed, size=3.0)
            clf = network(activation=cubic, dtype=dtype, random_state=seed, hidden_layer_sizes=(9, 9, 9))
            said = fit(clf.set_params(learning_rate_init=0.5), X, y)
            if not isinstance(said, str):
                assert_finite(clf, X.astype(dtype), y)


# NumPy raises errors for overflow and rounding to 0 if the user asks for it


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_strict_settings_of_numpy_change_neither_fits_nor_predictions(solver):
    X, y = load_wine(return_X_y=True)
    X = scale(X)
    for labels in (y == 0, y, np.eye(3, dtype=int)[y] | np.eye(3, dtype=int)[y - 1]):
        for clf in (BackpropClassifier(solver=solver, max_iter=30), BackpropClassifierCV(solver=solver, max_iter=30)):
            with np.errstate(all="raise"):
                clf.set_params(random_state=0).fit(X, labels)
                results = [
                    getattr(clf, method)(size * X)
                    for method in ("predict_proba", "predict_log_proba", "decision_function", "predict")
                    for size in (1.0, 300.0, 1e30)
                ]
                clf.score(X, labels)
            assert all(np.isfinite(np.asarray(result, dtype=float)).all() for result in results)
            assert np.geterr()["over"] != "raise"


def test_strict_settings_of_numpy_do_not_change_how_training_diverges():
    X, y = make_data()
    clf, again = (network(solver="sgd", learning_rate_init=0.1, dtype="float32", random_state=0) for _ in range(2))
    said = fit(clf, X, y)
    with np.errstate(all="raise"):
        assert fit(again, X, y) == said
    if not isinstance(said, str):
        assert_same_weights(again, clf)
