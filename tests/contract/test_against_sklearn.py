"""The same parameters give the numbers of MLPClassifier and LogisticRegression, except for the listed differences."""

import contextlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from registries import ACTIVATIONS, SOLVERS, UPDATES
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from toy_datasets import TARGETS, generated

from skbp import BackpropClassifier, UnusedParameterWarning

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

needs_sample_weight = pytest.mark.skipif(
    "sample_weight" not in inspect.signature(MLPClassifier.fit).parameters,
    reason="MLPClassifier takes sample_weight since scikit-learn 1.7",
)


def options(parameter):
    """The values that MLPClassifier accepts for a parameter."""
    return MLPClassifier._parameter_constraints[parameter][0].options


def standardised(X, y):
    return StandardScaler().fit_transform(X), y


DATA = {target: standardised(*generated(target)) for target in TARGETS}
SETTING = {"hidden_layer_sizes": (12,), "batch_size": 32, "max_iter": 30, "random_state": 3}
# MLPClassifier silently ignores these with "lbfgs". BackpropClassifier gives a warning.
FOR_MINI_BATCHES = {"batch_size", "learning_rate_init", "n_iter_no_change"}


def setting(**params):
    """Parameters for a few epochs, without those that have no effect with the solver."""
    params = SETTING | params
    unused = set() if params.get("solver", "adam") in UPDATES else FOR_MINI_BATCHES
    if params.get("early_stopping"):
        unused = unused - {"n_iter_no_change"}
    return {name: value for name, value in params.items() if name not in unused}


def assert_proba_close(ours, theirs, X, atol):
    """Compare probabilities and print the largest difference, which pytest shows with -rP."""
    difference = np.abs(ours.predict_proba(X) - theirs.predict_proba(X)).max()
    print(f"largest difference of predict_proba: {difference:.1e}")
    assert difference <= atol


def assert_same(ours, theirs, X, atol=1e-6):
    """Assert that two classifiers have the same training history and the same predictions."""
    assert_proba_close(ours, theirs, X, atol)
    assert ours.n_iter_ == theirs.n_iter_
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_allclose(ours.loss_, theirs.loss_, rtol=0, atol=atol)
    if hasattr(theirs, "loss_curve_"):
        assert ours.t_ == theirs.t_
        assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=atol)
        if theirs.validation_scores_ is None:
            assert ours.validation_scores_ is None
            assert_allclose(ours.best_loss_, min(theirs.loss_curve_), rtol=0, atol=atol)
        else:
            assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=0, atol=1e-12)
            assert_allclose(ours.best_validation_score_, theirs.best_validation_score_, rtol=0, atol=1e-12)


def fit_both(X, y, **params):
    fit_params = {"sample_weight": params.pop("sample_weight")} if "sample_weight" in params else {}
    return [estimator(**setting(**params)).fit(X, y, **fit_params) for estimator in (BackpropClassifier, MLPClassifier)]


SOLVER_PARAMS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "adam with other moments": {"solver": "adam", "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "sgd with classical momentum": {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False},
    "sgd without momentum": {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0},
    "sgd invscaling": {"solver": "sgd", "learning_rate_init": 0.5, "learning_rate": "invscaling", "power_t": 0.3},
    "sgd invscaling with classical momentum": {
        "solver": "sgd",
        "learning_rate_init": 0.5,
        "learning_rate": "invscaling",
        "nesterovs_momentum": False,
    },
    "lbfgs": {"solver": "lbfgs", "alpha": 0.1},
}


def test_every_solver_and_schedule_of_mlpclassifier_is_compared():
    assert {params["solver"] for params in SOLVER_PARAMS.values()} == set(options("solver"))
    assert set(options("activation")) <= set(ACTIVATIONS)
    assert set(options("solver")) <= set(SOLVERS)


@pytest.mark.parametrize("target", DATA)
@pytest.mark.parametrize("name", SOLVER_PARAMS)
def test_solver_on_every_kind_of_target(name, target):
    X, y = DATA[target]
    assert_same(*fit_both(X, y, **SOLVER_PARAMS[name]), X)


def test_parameters_without_effect_give_warnings_and_the_same_numbers():
    X, y = DATA["multiclass"]
    ignored = {"batch_size": 32, "learning_rate_init": 0.5, "momentum": 0.5, "beta_1": 0.5, "shuffle": False}
    clf = BackpropClassifier((12,), solver="lbfgs", max_iter=30, random_state=3, **ignored)
    with pytest.warns(UserWarning, match="has no effect with solver='lbfgs'") as record:
        clf.fit(X, y)
    assert sorted(str(w.message).split("=")[0] for w in record if w.category is UnusedParameterWarning) == sorted(
        ignored
    )
    assert_same(clf, MLPClassifier((12,), solver="lbfgs", max_iter=30, random_state=3, **ignored).fit(X, y), X)


@pytest.mark.parametrize("target", DATA)
@pytest.mark.parametrize("nesterovs_momentum", [True, False])
def test_adaptive_learning_rate_that_is_lowered_several_times(nesterovs_momentum, target, capsys):
    X, y = DATA[target]
    params = {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "tol": 0.05, "verbose": True}
    ours, theirs = fit_both(X, y, n_iter_no_change=2, nesterovs_momentum=nesterovs_momentum, **params)
    # Both classifiers print a line each time, so the number of lines is even.
    lowered = capsys.readouterr().out.count("Setting learning rate to")
    assert lowered >= 4
    assert lowered % 2 == 0
    assert_same(ours, theirs, X)


@pytest.mark.parametrize("target", ["binary", "multiclass"])
@pytest.mark.parametrize("solver", sorted(options("solver")))
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name in options("activation")])
def test_activation(activation, solver, target):
    X, y = DATA[target]
    assert_same(*fit_both(X, y, activation=activation, solver=solver, learning_rate_init=0.02, alpha=0.01), X)


@pytest.mark.parametrize("solver", sorted(options("solver")))
@pytest.mark.parametrize("hidden_layer_sizes", [(), 9, (10, 6), (7, 6, 5)], ids=str)
def test_layers(hidden_layer_sizes, solver):
    X, y = DATA["multiclass"]
    params = {"hidden_layer_sizes": hidden_layer_sizes, "solver": solver, "activation": "tanh"}
    assert_same(*fit_both(X, y, learning_rate_init=0.02, **params), X)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array])
@pytest.mark.parametrize("solver", sorted(options("solver")))
def test_sparse_input(solver, container):
    X, y = generated("multilabel")
    X = container(np.maximum(X - 5, 0) / 5)
    assert X.nnz < 0.6 * np.prod(X.shape)
    assert_same(*fit_both(X, y, solver=solver, learning_rate_init=0.02), X)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", ["auto", 1, 7, 50, 157])
@pytest.mark.parametrize("solver", UPDATES)
def test_batch_size_and_order(solver, batch_size, shuffle):
    X, y = DATA["binary"]
    # With single rows an epoch has 157 steps, and rounding grows with their number.
    max_iter = 10 if batch_size == 1 else 30
    params = {"solver": solver, "batch_size": batch_size, "shuffle": shuffle, "max_iter": max_iter}
    assert_same(*fit_both(X, y, learning_rate_init=0.005, **params), X)


@pytest.mark.parametrize(
    "params", [{"solver": "lbfgs"}, {"batch_size": 1500}, {}], ids=["lbfgs", "one batch", "batches"]
)
def test_more_rows_than_one_chunk(params):
    X, y = generated("multiclass", n_rows=2600)
    assert_same(*fit_both(X, y, **({"activation": "tanh", "max_iter": 10} | params)), X)


@needs_sample_weight
@pytest.mark.parametrize("target", DATA)
@pytest.mark.parametrize("name", ["adam", "sgd invscaling", "lbfgs"])
def test_sample_weight(name, target):
    X, y = DATA[target]
    sample_weight = np.random.default_rng(0).exponential(size=len(X))
    sample_weight[::9] = 0.0
    weighted = fit_both(X, y, sample_weight=sample_weight, **SOLVER_PARAMS[name])
    assert_same(*weighted, X)
    plain, _ = fit_both(X, y, **SOLVER_PARAMS[name])
    assert np.abs(plain.predict_proba(X) - weighted[0].predict_proba(X)).max() > 1e-3


@pytest.mark.parametrize("solver", UPDATES)
@pytest.mark.parametrize("max_iter", [8, 300])
def test_early_stopping_on_a_binary_target(max_iter, solver):
    X, y = DATA["binary"]
    params = {"solver": solver, "early_stopping": True, "validation_fraction": 0.2, "learning_rate_init": 0.005}
    ours, theirs = fit_both(X, y, max_iter=max_iter, **params)
    assert_same(ours, theirs, X)
    assert ours.n_iter_ == 8 if max_iter == 8 else 8 < ours.n_iter_ < 300


@needs_sample_weight
def test_early_stopping_with_sample_weight():
    X, y = DATA["binary"]
    sample_weight = np.random.default_rng(0).exponential(size=len(X))
    params = {"early_stopping": True, "sample_weight": sample_weight, "learning_rate_init": 0.01}
    assert_same(*fit_both(X, y, **params), X)


@pytest.mark.parametrize("name", ["adam", "sgd", "sgd invscaling", "lbfgs"])
def test_run_that_stops_on_its_own(name):
    X, y = DATA["multiclass"]
    tol = 0.01 if name == "lbfgs" else 0.005
    ours, theirs = fit_both(X, y, max_iter=500, activation="tanh", tol=tol, n_iter_no_change=4, **SOLVER_PARAMS[name])
    assert_same(ours, theirs, X)
    assert 5 < ours.n_iter_ < 500


def test_adaptive_run_that_stops_on_its_own():
    X, y = DATA["multiclass"]
    params = {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 0.005}
    ours, theirs = fit_both(X, y, max_iter=500, n_iter_no_change=3, **params)
    assert_same(ours, theirs, X)
    assert ours.n_iter_ < 500


@pytest.mark.parametrize("target", DATA)
@pytest.mark.parametrize("name", ["adam", "sgd", "sgd invscaling"])
def test_partial_fit(name, target):
    X, y = DATA[target]
    classes = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
    pair = [
        estimator(**setting(**SOLVER_PARAMS[name]), shuffle=False) for estimator in (BackpropClassifier, MLPClassifier)
    ]
    for clf in pair:
        for part in range(20):
            rows = slice(0, 100) if part % 2 else slice(57, None)
            clf.partial_fit(X[rows], y[rows], classes=classes)
    assert_same(*pair, X)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_warm_start_refits(solver):
    X, y = DATA["multiclass"]
    params = setting(solver=solver, learning_rate_init=0.02, warm_start=True, max_iter=8)
    pair = [estimator(**params) for estimator in (BackpropClassifier, MLPClassifier)]
    for clf in pair:
        for rows in (slice(None), slice(0, 100), slice(50, None)):
            clf.fit(X[rows], y[rows])
    assert len(pair[0].loss_curve_) == 24
    assert_same(*pair, X)


@pytest.mark.parametrize("target", DATA)
@pytest.mark.parametrize("solver", sorted(options("solver")))
def test_float32_input_is_close_to_mlpclassifier_on_float32(solver, target):
    X, y = DATA[target]
    X = X.astype(np.float32)
    ours, theirs = fit_both(X, y, solver=solver, activation="tanh", learning_rate_init=0.01)
    assert ours.predict_proba(X).dtype == np.float32
    # Stochastic steps keep almost all of float32's seven digits. L-BFGS amplifies rounding, and MLPClassifier runs L-BFGS
    # in float64.
    assert_proba_close(ours, theirs, X, atol=1e-5 if solver in UPDATES else 1e-2)


@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_of_float32_input_stay_float32(solver):
    X, y = DATA["multiclass"]
    clf = BackpropClassifier(**setting(solver=solver)).fit(X.astype(np.float32), y)
    assert {array.dtype for array in clf.coefs_ + clf.intercepts_} == {np.dtype(np.float32)}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.01, 1.0])
@pytest.mark.parametrize("target", ["binary", "multiclass"])
def test_no_hidden_layer_is_logistic_regression(target, alpha, weighted):
    X, y = DATA[target]
    sample_weight = np.random.default_rng(0).exponential(size=len(X)) if weighted else None
    # F divides both loss and penalty by S, so C = 1 / alpha for any number of rows and any weights.
    reference = LogisticRegression(C=1.0 / alpha, tol=1e-10, max_iter=10_000).fit(X, y, sample_weight)
    clf = BackpropClassifier((), solver="lbfgs", alpha=alpha, tol=1e-8, max_iter=10_000, random_state=0)
    clf.fit(X, y, sample_weight)
    assert_proba_close(clf, reference, X, atol=1e-5)


# The intended differences from MLPClassifier. Each of them repairs a defect.


def test_lbfgs_trains_on_large_unscaled_features_and_log_probabilities_stay_finite():
    # MLPClassifier clips probabilities in its loss but not in its gradient, so its line search fails at once.
    X, y = load_digits(return_X_y=True)
    X, y = X[:300] * 1e4, y[:300]
    clf = BackpropClassifier(solver="lbfgs", random_state=0).fit(X, y)
    assert clf.score(X, y) == 1.0
    log_proba = clf.predict_log_proba(X)
    assert np.isfinite(log_proba).all()
    assert log_proba.min() < -700


@pytest.mark.parametrize("solver", UPDATES)
@pytest.mark.parametrize("always", range(3))
def test_early_stopping_holds_out_the_same_share_of_each_of_several_classes(always, solver):
    # Zero weights and one large bias predict the same class for every row, and the steps are too small to change that.
    # The score is then the share of this class in the held-out rows.
    y = np.repeat([0, 1, 2], [60, 30, 10])
    X = np.zeros((100, 2))
    init = {"coef_init": [np.zeros((2, 3))], "intercept_init": [50.0 * np.eye(3)[always]]}
    for seed in range(10):
        clf = BackpropClassifier((), early_stopping=True, solver=solver, learning_rate_init=1e-12, random_state=seed)
        clf.set_params(max_iter=1).fit(X, y, **init)
        assert clf.validation_scores_ == [[0.6, 0.3, 0.1][always]]


def test_early_stopping_trains_where_a_class_is_too_rare_to_be_held_out():
    X, y = DATA["multiclass"]
    rows = [*np.flatnonzero(y == 0)[:8], *np.flatnonzero(y == 1)[:8], *np.flatnonzero(y == 2)[:1]]
    clf = BackpropClassifier(early_stopping=True, learning_rate_init=0.05, random_state=1).fit(X[rows], y[rows])
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert set(clf.validation_scores_) <= {0.0, 0.5, 1.0}  # two rows are held out
    assert clf.best_validation_score_ == max(clf.validation_scores_) > 0.0


@pytest.mark.parametrize("solver", UPDATES)
def test_warm_start_with_early_stopping_keeps_the_best_weights_so_far(solver):
    X, y = DATA["binary"]
    params = {"early_stopping": True, "warm_start": True, "max_iter": 100, "learning_rate_init": 0.1}
    clf = BackpropClassifier(**setting(**params, solver=solver)).fit(X, y)
    before = clf.predict_proba(X)
    # Such large steps spoil the weights.
    clf.set_params(learning_rate_init=100.0, max_iter=3).fit(X, y)
    assert clf.validation_scores_[-1] < clf.best_validation_score_
    assert_array_equal(clf.predict_proba(X), before)


@pytest.mark.parametrize("solver", UPDATES)
def test_warm_start_after_convergence_has_the_full_patience_again(solver):
    X, y = DATA["binary"]
    params = {"solver": solver, "warm_start": True, "tol": 1.0, "n_iter_no_change": 5}
    clf = BackpropClassifier(**setting(**params))
    # The first epoch counts as an improvement. Five more epochs are allowed, and the seventh ends training.
    assert clf.fit(X, y).n_iter_ == 7
    assert clf.fit(X, y).n_iter_ == 7


@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start_with_other_layers_is_an_error(solver):
    X, y = DATA["binary"]
    clf = BackpropClassifier(**setting(solver=solver, warm_start=True, max_iter=2)).fit(X, y)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match=r"\[8, 12, 1\] units.*now ask for \[8, 5, 4, 1\]"):
        clf.set_params(hidden_layer_sizes=(5, 4)).fit(X, y)
    assert_array_equal(clf.predict_proba(X), before)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", UPDATES)
def test_partial_fit_continues_the_generator_and_holds_no_rows_out(solver, early_stopping):
    X, y = DATA["multiclass"]
    params = setting(solver=solver, learning_rate_init=0.02)
    ours = BackpropClassifier(**params, early_stopping=early_stopping)
    # With an int, MLPClassifier restarts its generator in each call and shuffles the same. A generator continues.
    theirs = MLPClassifier(**params | {"random_state": np.random.RandomState(params["random_state"])})
    for clf in (ours, theirs):
        for _ in range(10):
            clf.partial_fit(X, y, classes=[0, 1, 2])
    assert_proba_close(ours, theirs, X, atol=1e-6)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=1e-6)


def test_divergence_ends_training_in_that_epoch_and_keeps_the_last_finite_weights():
    X, y = DATA["multiclass"]
    params = SETTING | {"solver": "sgd", "activation": "identity", "hidden_layer_sizes": (5, 5, 5), "max_iter": 200}
    params |= {"learning_rate_init": 0.3, "alpha": 300.0, "n_iter_no_change": np.inf}
    clf = BackpropClassifier(**params)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        clf.fit(X, y)
    assert 1 <= clf.n_iter_ == len(clf.loss_curve_) < 200
    assert np.isfinite(clf.loss_curve_).all()
    until_then = BackpropClassifier(**params | {"max_iter": clf.n_iter_}).fit(X, y)
    for kept, expected in zip(clf.coefs_ + clf.intercepts_, until_then.coefs_ + until_then.intercepts_, strict=True):
        assert np.isfinite(kept).all()
        assert_array_equal(kept, expected)


@pytest.mark.parametrize("solver", SOLVERS)
def test_divergence_in_the_first_epoch_is_an_error(solver):
    X, y = DATA["binary"]
    with pytest.raises(ValueError, match=r"non-finite.*StandardScaler"):
        BackpropClassifier(**setting(solver=solver)).fit(np.abs(X) / np.abs(X).max() * 1e308, y)


@pytest.mark.parametrize("solver", UPDATES)
def test_batch_whose_weights_are_all_zero_has_no_effect(solver):
    X, y = DATA["multiclass"]
    X, y = X[:128], y[:128]
    sample_weight = np.repeat([1.0, 0.0, 2.0, 0.0], 32)
    some = sample_weight > 0
    params = setting(solver=solver, shuffle=False, learning_rate_init=0.02)
    clf = BackpropClassifier(**params).fit(X, y, sample_weight)
    without = BackpropClassifier(**params).fit(X[some], y[some], sample_weight[some])
    assert_array_equal(clf.predict_proba(X), without.predict_proba(X))
    assert_allclose(clf.loss_curve_, without.loss_curve_)


def test_lbfgs_has_a_loss_curve_that_ends_at_its_loss():
    X, y = DATA["multiclass"]
    ours, theirs = fit_both(X, y, solver="lbfgs", alpha=0.1)
    assert len(ours.loss_curve_) == ours.n_iter_ == theirs.n_iter_
    assert (np.diff(ours.loss_curve_) < 0).all()
    assert_allclose([ours.loss_curve_[-1], ours.loss_, ours.best_loss_], theirs.loss_, rtol=0, atol=1e-6)
    # MLPClassifier with max_iter=k gives the value after k iterations.
    for k in (1, 10, 20):
        assert_allclose(
            ours.loss_curve_[k - 1], fit_both(X, y, solver="lbfgs", alpha=0.1, max_iter=k)[1].loss_, atol=1e-6
        )


def test_lbfgs_stops_early_and_keeps_the_weights_of_the_best_validation_score():
    X, y = DATA["binary"]
    params = {"solver": "lbfgs", "early_stopping": True, "n_iter_no_change": 5, "alpha": 0.0, "tol": 1e-9}
    clf = BackpropClassifier(**setting(**params, max_iter=500)).fit(X, y)
    scores = clf.validation_scores_
    assert len(scores) == clf.n_iter_ < 500
    best = int(np.argmax(scores))
    assert clf.best_validation_score_ == scores[best]
    assert clf.n_iter_ == best + 1 + 6
    up_to_best = BackpropClassifier(**setting(**params, max_iter=best + 1)).fit(X, y)
    assert_array_equal(clf.predict_proba(X), up_to_best.predict_proba(X))


@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_a_line_for_each_iteration(solver, capsys):
    X, y = DATA["binary"]
    clf = BackpropClassifier(**setting(solver=solver, max_iter=4, verbose=True)).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(clf.loss_curve_) == 4
    for i, (line, loss) in enumerate(zip(lines, clf.loss_curve_, strict=True)):
        assert line.startswith(f"Iteration    {i + 1}  loss {loss:.4g}")


class InterruptingOutput:
    """An output that drops what is printed. At the n-th line the user presses Ctrl-C."""

    def __init__(self, n_lines):
        self.n_lines = n_lines

    def write(self, text):
        self.n_lines -= text.count("\n")
        if self.n_lines == 0:
            raise KeyboardInterrupt

    def flush(self):
        pass


@pytest.mark.parametrize("solver", SOLVERS)
def test_interrupt_keeps_the_weights_so_far(solver):
    X, y = DATA["binary"]
    params = setting(solver=solver, alpha=0.1)
    clf = BackpropClassifier(**params, verbose=True)
    with (
        contextlib.redirect_stdout(InterruptingOutput(6)),
        pytest.warns(ConvergenceWarning, match="interrupted by user"),
    ):
        clf.fit(X, y)
    assert clf.n_iter_ == 6
    assert_array_equal(clf.predict_proba(X), BackpropClassifier(**params | {"max_iter": 6}).fit(X, y).predict_proba(X))


def test_learning_rate_schedule_applies_to_adam():
    X, y = DATA["multiclass"]
    params = SETTING | {"shuffle": False, "learning_rate_init": 0.01}
    scheduled = BackpropClassifier(**params | {"learning_rate": "invscaling", "power_t": 0.2, "max_iter": 4}).fit(X, y)
    by_hand = BackpropClassifier(**params)
    for epoch in range(4):
        by_hand.set_params(learning_rate_init=0.01 / (epoch * len(X) + 1) ** 0.2)
        by_hand.partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(scheduled.predict_proba(X), by_hand.predict_proba(X), rtol=0, atol=1e-12)
    constant = BackpropClassifier(**params | {"max_iter": 4}).fit(X, y)
    assert np.abs(scheduled.predict_proba(X) - constant.predict_proba(X)).max() > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_multilabel_probabilities_stay_strictly_inside_zero_and_one(dtype):
    X, y = DATA["multilabel"]
    clf = BackpropClassifier(**SETTING).fit(X.astype(dtype), y)
    proba = clf.predict_proba((X * 1e5).astype(dtype))
    assert proba.dtype == dtype
    assert proba.min() > 0.0
    assert proba.max() < 1.0
    assert np.abs(clf.predict_proba((X * 1e-5).astype(dtype)) - 0.5).max() < 0.5
    assert proba.max() - proba.min() > 0.999


# scikit-learn's own tests of MLPClassifier run on BackpropClassifier, except for a few. These tests use a private attribute
# of MLPClassifier, which stands beside the name.
PRIVATE = {
    "test_fit": "_coef_grads",
    "test_gradient": "_loss_grad_lbfgs",
    "test_learning_rate_warmstart": "_optimizer",
    "test_adaptive_learning_rate": "_optimizer",
    "test_n_iter_no_change": "_no_improvement_count",
    "test_n_iter_no_change_inf": "_no_improvement_count",
}
# These tests contradict an intended difference. One expects an error from partial_fit with early stopping, which has no
# effect on partial_fit here. The other expects an error if a class has one row only. Here the split is then not stratified.
INTENDED = ["test_mlp_partial_fit_after_fit", "test_early_stopping_stratified"]

PLUGIN = """
import json
import os

import sklearn.neural_network
from sklearn.neural_network import MLPRegressor
from skbp import BackpropClassifier

# The test module is not imported yet. It will import this class as MLPClassifier.
sklearn.neural_network.MLPClassifier = BackpropClassifier


def concerns_regressor_alone(item):
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names = item.function.__code__.co_names
    return any(param is MLPRegressor for param in params) or ("MLPRegressor" in names and "MLPClassifier" not in names)


def pytest_collection_modifyitems(config, items):
    assert all(item.module.MLPClassifier is BackpropClassifier for item in items)
    excluded = set(os.environ["EXCLUDED"].split())
    regressor = [item for item in items if concerns_regressor_alone(item)]
    named = [item for item in items if item not in regressor and item.originalname in excluded]
    deselected = [*regressor, *named]
    with open(os.environ["REPORT"], "w") as file:
        json.dump({"collected": len(items), "regressor": len(regressor), "named": [i.name for i in named]}, file)
    items[:] = [item for item in items if item not in deselected]
    config.hook.pytest_deselected(items=deselected)
"""


def test_scikit_learns_own_tests_of_mlpclassifier_pass(tmp_path):
    source = Path(importlib.util.find_spec("sklearn.neural_network.tests.test_mlp").origin)
    (tmp_path / "in_mlpclassifiers_place.py").write_text(PLUGIN)
    # With an ini file and a root directory of its own, pytest ignores the settings of this project.
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    report = tmp_path / "report.json"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "EXCLUDED": " ".join([*PRIVATE, *INTENDED]),
        "REPORT": str(report),
    }
    options = ["-c", "pytest.ini", "--rootdir", ".", "-p", "in_mlpclassifiers_place", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--junitxml", "results.xml", "-q", "--tb", "short", str(source)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    counts = ET.parse(tmp_path / "results.xml").find("testsuite").attrib
    assert counts["errors"] == counts["failures"] == counts["skipped"] == "0"
    deselected = json.loads(report.read_text())
    # Each named test occurs once, for the classifier, and all other tests ran.
    assert sorted(name.split("[")[0] for name in deselected["named"]) == sorted([*PRIVATE, *INTENDED])
    assert int(counts["tests"]) == deselected["collected"] - deselected["regressor"] - len(deselected["named"])
    assert int(counts["tests"]) >= 25


def test_the_excluded_tests_use_the_private_attribute():
    module = importlib.import_module("sklearn.neural_network.tests.test_mlp")
    for name, attribute in PRIVATE.items():
        assert f"mlp.{attribute}" in inspect.getsource(getattr(module, name)).replace("clf.", "mlp.")
