"""BackpropClassifierCV: members that equal networks trained alone, what they say of rows unseen, one temperature."""

import contextlib
import io
import itertools
import math
import pickle
import re
import signal
import time
import tracemalloc
import warnings
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit, softmax
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, zero_one_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

from skbp import BackpropClassifier, BackpropClassifierCV, NothingLearnedWarning
from skbp._network.activations import ACTIVATIONS
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SCIPY_METHODS
from skbp._training.updates import UPDATES

AT_LEAST_1_9 = parse_version(sklearn.__version__) >= parse_version("1.9")
if AT_LEAST_1_9:
    from sklearn.callback import ScoringMonitor

with_callbacks = pytest.mark.skipif(not AT_LEAST_1_9, reason="scikit-learn has callbacks from 1.9 on")

# Most tests train for a few epochs only: they are about what those epochs do and not about where they lead.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Arguments of every output layer that a target can have.
OUTPUTS = [
    ("binary", "auto"),
    ("binary", "softmax"),
    ("binary", "logistic"),
    ("multiclass", "auto"),
    ("multiclass", "logistic"),
    ("multilabel", "auto"),
]
TARGETS = ["binary", "multiclass", "multilabel"]
SOLVER_KINDS = ["adam", "lbfgs"]


def make_data(target="multiclass", n=100, seed=0):
    """Rows with labels of which every class has a number of rows that 5 divides, if n is a multiple of 100."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 5))
    if target == "multilabel":
        return X, (X[:, :3] + rng.normal(size=(n, 3)) > 0.0).astype(int)
    ranks = np.argsort(np.argsort(X[:, 0] + X[:, 1] ** 2 + rng.normal(size=n)))
    return X, np.digitize(ranks, [0.6 * n] if target == "binary" else [0.35 * n, 0.7 * n])


def small(**params):
    """A small ensemble in float64, of which each member goes through all its epochs."""
    common = {"hidden_layer_sizes": (6,), "max_iter": 6, "random_state": 0, "dtype": "float64"}
    if params.get("solver", "adam") in UPDATES:
        common |= {"batch_size": 8, "learning_rate_init": 0.03, "n_iter_no_change": np.inf}
    return BackpropClassifierCV(**{**common, **params})


def complement(fold, n=100):
    return np.setdiff1d(np.arange(n), fold)


def alone(member, X, y, train, fold, w=None, **params):
    """The network that a member is, trained alone."""
    clf = BackpropClassifier(**{**member.get_params(), **params})
    weights = {} if w is None else {"sample_weight": w[train], "sample_weight_val": w[fold]}
    if y.ndim == 1:
        # The ensemble's alpha is one for weights of mean 1.
        w_or_1 = np.ones(len(y)) if w is None else w
        counts = {label: w_or_1[y == label].sum() for label in np.unique(y)}
        balanced = {label: w_or_1.sum() / (len(counts) * count) for label, count in counts.items()}
        total = w_or_1 * compute_sample_weight(
            balanced if member.class_weight == "balanced" else member.class_weight, y
        )
        clf.set_params(alpha=np.multiply(clf.alpha, total[total > 0.0].mean()).tolist())
    return clf.fit(X[train], y[train], X_val=X[fold], y_val=y[fold], **weights)


def assert_same_network(member, other, rtol=1e-8, atol=1e-10):
    for a, b in zip(member.coefs_ + member.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=rtol, atol=atol)


def assert_same_members(one, other, **tolerance):
    for a, b in zip(one.members_, other.members_, strict=True):
        assert_same_network(a, b, **tolerance)


def assert_same_history(member, other, rtol=1e-8):
    for curve in ("loss_curve_", "validation_loss_curve_", "validation_scores_", "learning_rate_curve_"):
        if getattr(other, curve) is None:
            assert getattr(member, curve) is None
        else:
            assert_allclose(getattr(member, curve), getattr(other, curve), rtol=rtol, atol=1e-12)
    for figure in ("loss_", "best_validation_score_"):
        assert_allclose(getattr(member, figure), getattr(other, figure), rtol=rtol)
    for name in ("best_iter_", "n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "best_loss_"):
        assert getattr(member, name) == getattr(other, name), name


def logits_of(member, X):
    """The logits of a member with one hidden layer of relu, from the formulas."""
    hidden = np.maximum(X @ member.coefs_[0] + member.intercepts_[0], 0.0)
    return hidden @ member.coefs_[1] + member.intercepts_[1]


def linked(z, temperature, clf):
    """Class probabilities of logits, from the formulas."""
    z = z / temperature
    if z.shape[1] == 1:
        return np.hstack([expit(-z), expit(z)])
    if clf.out_activation_ == "softmax":
        return softmax(z, axis=1)
    return expit(z) if is_multilabel(clf) else expit(z) / expit(z).sum(axis=1, keepdims=True)


def is_multilabel(clf):
    return clf.predict(np.zeros((1, clf.n_features_in_))).ndim == 2


def row_losses(proba, y):
    """The loss of every row; of labels that do not exclude each other the sum over them."""
    if y.ndim == 1:
        return -np.log(proba[np.arange(len(y)), y])
    return -np.log(np.where(y, proba, 1.0 - proba)).sum(axis=1)


def mean_loss(proba, y, w=None):
    """scikit-learn's log loss; of labels that do not exclude each other the sum over them."""
    if y.ndim == 1:
        return log_loss(y, proba, sample_weight=w)
    return sum(log_loss(y[:, k], proba[:, k], sample_weight=w, labels=[0, 1]) for k in range(y.shape[1]))


# Members equal the same networks trained one by one

SETTINGS = {
    "plain": {},
    "sgd": {"solver": "sgd"},
    "sgd without Nesterov's momentum": {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False},
    "no dropout": {"dropout": 0.0},
    "dropout by layer": {"hidden_layer_sizes": (6, 5), "dropout": [0.4, 0.1]},
    "an alpha for each layer": {"alpha": [3.0, 1.0]},
    "weight decay": {"weight_decay": 2.0, "learning_rate": "cosine"},
    "short gradients": {"max_grad_norm": 0.1},
    "short gradients with sgd": {"max_grad_norm": 0.1, "solver": "sgd"},
    "much label smoothing": {"label_smoothing": 0.3},
    "several activations": {"hidden_layer_sizes": (6, 5, 4), "activation": ["gelu", "tanh", "mish"]},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "rows in their order": {"shuffle": False},
    "class weights": {"class_weight": {0: 3.0, 1: 0.5}},
    "balanced": {"class_weight": "balanced"},
    "single precision": {"dtype": "float32"},
    "ten batches and a rest": {"batch_size": 9},
    "all of it": {
        "hidden_layer_sizes": (6, 5),
        "activation": ["silu", "relu"],
        "alpha": [0.3, 0.2, 0.1],
        "dropout": 0.3,
        "weight_decay": 1.0,
        "max_grad_norm": 0.5,
        "label_smoothing": 0.1,
        "learning_rate": "one-cycle",
        "warmup_fraction": 0.2,
        "class_weight": {0: 2.0},
    },
}


def assert_members_equal_networks_alone(clf, X, y, w=None, rtol=1e-8):
    for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
        other = alone(member, X, y, complement(fold), fold, w)
        assert_same_network(member, other, rtol, 1e-2 * rtol)
        assert_same_history(member, other, rtol)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_members_equal_networks_trained_alone(setting, weighted):
    X, y = make_data("binary")
    w = np.random.RandomState(1).uniform(0.2, 3.0, 100) if weighted else None
    if weighted and setting.get("class_weight") == "balanced":
        # The classes are counted with their weights, in all rows: so they are to come to the same in each training set.
        w = np.where(y == 0, 0.25, 2.0)
    clf = small(**setting).fit(X, y, w)
    assert len(clf.members_) == 5
    assert len({member.random_state for member in clf.members_}) == 5
    rtol = 1e-3 if clf.dtype == "float32" else 1e-8
    assert_members_equal_networks_alone(clf, X, y, w, rtol)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_members_equal_networks_trained_alone_with_every_output(target, out_activation, container):
    X, y = make_data(target)
    X = container(np.where(np.abs(X) > 0.5, X, 0.0))
    clf = small(out_activation=out_activation).fit(X, y)
    assert_members_equal_networks_alone(clf, X, y)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_members_equal_networks_trained_alone_with_every_activation(activation):
    X, y = make_data()
    assert_members_equal_networks_alone(small(activation=activation, max_iter=3).fit(X, y), X, y)


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.4])
@pytest.mark.parametrize("learning_rate", [*SCHEDULES, math.cos])
def test_members_equal_networks_trained_alone_with_every_schedule(learning_rate, warmup_fraction):
    X, y = make_data()
    clf = small(learning_rate=learning_rate, warmup_fraction=warmup_fraction, weight_decay=0.5)
    assert_members_equal_networks_alone(clf.fit(X, y), X, y)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("solver", SCIPY_METHODS)
def test_members_in_turn_equal_networks_trained_alone(solver, weighted):
    X, y = make_data()
    w = np.random.RandomState(1).uniform(0.2, 3.0, 100) if weighted else None
    # Without conjugate gradients tnc takes no differences of gradients, which would blow up rounding.
    options = {"solver_options": {"maxCGit": 0}} if solver == "tnc" else {}
    clf = small(solver=solver, activation="tanh", max_iter=5, **options).fit(X, y, w)
    for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
        other = alone(member, X, y, complement(fold), fold, w)
        # trust-krylov does not repeat itself bit for bit.
        tolerance = {"rtol": 1e-3, "atol": 1e-3} if solver == "trust-krylov" else {"rtol": 1e-12, "atol": 1e-14}
        assert_same_network(member, other, **tolerance)
        assert_same_history(member, other, tolerance["rtol"])
        assert member.optimize_result_["n_iter"] == other.optimize_result_["n_iter"] == member.n_iter_


@pytest.mark.parametrize("n_batches", [1, 2, 3, 7, 8, 20])
def test_the_folds_are_looked_at_about_every_eight_batches_and_after_the_last_epoch(n_batches):
    X, y = make_data()
    clf = small(batch_size=math.ceil(80 / n_batches), max_iter=17, dropout=0.0).fit(X, y)
    every = math.ceil(8 / n_batches)
    looks = np.array(sorted({*range(every, 18, every), 17}))
    for member, fold, best_iter in zip(clf.members_, clf.oof_indices_, clf.best_iters_, strict=True):
        judged = alone(member, X, y, complement(fold), fold)
        curve = np.full(17, np.nan)
        curve[looks - 1] = np.array(judged.validation_loss_curve_)[looks - 1]
        assert_allclose(member.validation_loss_curve_, curve, rtol=1e-8)
        assert_allclose(member.validation_scores_, -curve, rtol=1e-8)
        assert best_iter == member.best_iter_ == np.nanargmin(curve) + 1
        # With a constant learning rate as many epochs and no more lead to the weights that are kept.
        until_then = alone(member, X, y, complement(fold), fold, early_stopping=False, scoring=None, max_iter=best_iter)
        assert_same_network(member, until_then)


def test_the_best_epochs_are_not_the_last_ones_and_differ():
    # Without this the tests above would not see whether the best weights are kept.
    X, y = make_data("binary")
    clf = small(dropout=0.0, learning_rate_init=0.3, max_iter=15).fit(X, y)
    assert len(set(clf.best_iters_)) > 2
    assert max(clf.best_iters_) < 15
    assert_members_equal_networks_alone(clf, X, y)


def test_longer_training_sets_leave_out_other_rows_every_epoch():
    # The shortest set decides: its member is the network alone, of an epoch of 30 rows. All go through as many.
    X, y = make_data()
    folds = [
        (np.arange(30), np.arange(60, 100)),
        (np.arange(80), np.arange(80, 100)),
        (np.arange(20, 60), np.arange(20)),
    ]
    with pytest.warns(UserWarning, match="splits with 30 to 80 rows to train on"):
        clf = small(cv=folds).fit(X, y)
    train, fold = folds[0]
    assert_same_network(clf.members_[0], other := alone(clf.members_[0], X, y, train, fold))
    assert [member.t_ for member in clf.members_] == [other.t_] * 3 == [6 * 30] * 3
    # In 20 epochs of 30 rows of 80 every row has had its turn: one that makes all the difference is learnt.
    far = X.copy()
    far[79] = 30.0
    y[79] = 2
    with pytest.warns(UserWarning, match="make the splits more even"):
        learnt = small(cv=folds, max_iter=20, dropout=0.0, label_smoothing=0.0).fit(far, y).members_[1]
    assert learnt.predict_proba(far[79:80])[0, 2] > 0.9


def test_members_make_one_network_each_with_parameters_of_their_own():
    X, y = make_data("binary")
    clf = small(cv=3, random_state=5).fit(X, y)
    default, params = BackpropClassifier().get_params(), clf.members_[0].get_params()
    assert {name for name in default if params[name] != default[name]} == {
        *("hidden_layer_sizes", "batch_size", "learning_rate_init", "max_iter", "random_state", "early_stopping"),
        *("n_iter_no_change", "scoring", "dropout", "label_smoothing", "dtype"),
    }
    first, second, third = clf.members_
    assert np.abs(first.coefs_[0] - second.coefs_[0]).max() > 0.1
    assert np.abs(second.coefs_[0] - third.coefs_[0]).max() > 0.1


@pytest.mark.parametrize(("n", "rows", "rate"), [(320, 64, 0.01), (5000, 64, 0.01), (5001, 251, 0.02)])
def test_batches_are_nearly_equal_and_larger_where_there_are_many_rows(n, rows, rate):
    # Of 5001 rows 4000 at the least are trained on: 16 batches of 250 make an epoch.
    X, y = make_data("binary", n)
    clf = BackpropClassifierCV((2,), max_iter=1, random_state=0).fit(X, y)
    n_train = min(n - len(fold) for fold in clf.oof_indices_)
    most = 256 if n > 5000 else 64
    expected = math.ceil(n_train / math.ceil(n_train / most))
    assert {member.batch_size for member in clf.members_} == {expected}
    assert {member.learning_rate_init for member in clf.members_} == {rate}
    assert abs(expected - rows) <= 1
    assert {member.dropout for member in clf.members_} == {0.15}


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_members_are_usable_alone(solver):
    X, y = make_data()
    clf = small(solver=solver).fit(X, np.array(["a", "b", "c"])[y])
    member = clf.members_[2]
    again = pickle.loads(pickle.dumps(member))
    assert_array_equal(again.predict_proba(X), member.predict_proba(X))
    assert_allclose(member.predict_proba(X), softmax(member.decision_function(X), axis=1), rtol=1e-12)
    assert set(member.predict(X)) <= set("abc")
    assert member.score(X, clf.classes_[y]) > 0.4
    assert member.hidden_features(X).shape == (100, 6)
    # A clone trains like any other classifier, and gives no warning of a parameter without effect.
    assert clone(member).fit(X, y).n_iter_ > 0
    before = member.objective(X, clf.classes_[y])
    assert before.value(before.theta0) > 0.0
    if solver in UPDATES:
        assert member.partial_fit(X, clf.classes_[y]).n_iter_ == 1


def test_without_folds_the_member_equals_a_network_trained_alone():
    X, y = make_data("multiclass", 3)
    y[:] = [0, 1, 2]
    with pytest.warns(UserWarning, match="cv=5 folds are more than any class has rows, 1: there are none"):
        clf = small(batch_size=2).fit(X, y)
    (member,) = clf.members_
    other = clone(member).fit(X, y)
    assert_same_network(member, other)
    assert (member.best_iter_, member.early_stopping, clf.best_iters_.tolist()) == (6, False, [6])
    assert_allclose(member.loss_curve_, other.loss_curve_, rtol=1e-10)
    assert clf.temperature_ == 1.0
    for name in ("oof_indices_", "oof_decision_function_", "oof_proba_", "oof_log_loss_", "oof_score_"):
        assert getattr(clf, name) is None
    assert clf.validation_loss_curves_ is None
    assert_allclose(clf.predict_proba(X), member.predict_proba(X), rtol=1e-12)


# Patience


def epochs_by_patience(curves, tol, patience):
    """When training ends: every member's loss has not improved by tol on its best so far for longer than the patience."""
    counts, best = np.zeros(len(curves), int), np.full(len(curves), np.inf)
    for epoch, losses in enumerate(zip(*curves, strict=True), start=1):
        for i, loss in enumerate(losses):
            counts[i] = 0 if loss <= best[i] - tol else counts[i] + 1
            best[i] = np.fmin(best[i], loss)
        if not np.isnan(losses).any() and (counts > patience).all():
            return epoch
    return None


@pytest.mark.parametrize("batch_size", [8, 40], ids=["every epoch", "every fourth epoch"])
@pytest.mark.parametrize("patience", [1, 3, 10])
def test_training_ends_when_no_member_has_improved_for_longer_than_the_patience(patience, batch_size):
    X, y = make_data()
    clf = small(n_iter_no_change=patience, batch_size=batch_size, max_iter=300, tol=1e-3).fit(X, y)
    assert 10 < clf.n_iter_ < 300
    assert epochs_by_patience(clf.validation_loss_curves_, 1e-3, patience) == clf.n_iter_
    # The same as a training that goes on, up to there.
    longer = small(batch_size=batch_size, max_iter=clf.n_iter_).fit(X, y)
    assert_same_members(clf, longer, rtol=0.0, atol=0.0)


def test_an_adaptive_learning_rate_is_lowered_when_all_members_have_stalled():
    X, y = make_data()
    clf = small(learning_rate="adaptive", n_iter_no_change=2, tol=0.01, max_iter=60, dropout=0.0).fit(X, y)
    rates = np.array(clf.members_[0].learning_rate_curve_)
    falls = np.flatnonzero(np.diff(rates))
    assert len(falls) > 1
    assert_allclose(rates[falls + 1] / rates[falls], 0.2)
    assert epochs_by_patience(clf.validation_loss_curves_, 0.01, 2) == falls[0] + 1
    assert all(member.learning_rate_curve_ == list(rates) for member in clf.members_)


# What the members say of rows that they did not see


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("target", TARGETS)
def test_the_folds_partition_the_rows(target, solver):
    X, y = make_data(target)
    for cv in (2, 5, 7):
        clf = small(cv=cv, solver=solver, max_iter=1).fit(X, y)
        assert len(clf.members_) == len(clf.oof_indices_) == cv
        assert_array_equal(np.sort(np.concatenate(clf.oof_indices_)), np.arange(100))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_out_of_fold_probabilities_are_those_of_the_member_whose_fold_a_row_is_in(
    target, out_activation, solver, container
):
    X, y = make_data(target)
    X = container(X)
    clf = small(solver=solver, out_activation=out_activation).fit(X, y)
    for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
        z = logits_of(member, X[fold])
        assert_allclose(clf.oof_proba_[fold], linked(z, clf.temperature_, clf), rtol=1e-9)
        plain = linked(z, 1.0, clf)
        decision = clf.oof_decision_function_[fold]
        if target == "multilabel":
            assert_allclose(decision, z, rtol=1e-8, atol=1e-10)
        elif target == "binary":
            assert_allclose(decision, logit(plain[:, 1]), rtol=1e-8, atol=1e-10)
        else:
            assert_allclose(decision, np.log(plain), rtol=1e-8, atol=1e-10)
    # No other member says the same.
    others = linked(logits_of(clf.members_[0], X), clf.temperature_, clf)
    rest = complement(clf.oof_indices_[0])
    assert np.abs(others[rest] - clf.oof_proba_[rest]).max() > 0.01


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_out_of_fold_figures_are_scikit_learns_of_the_probabilities(target, out_activation, weighted):
    X, y = make_data(target)
    w = np.random.RandomState(1).uniform(0.0, 3.0, 100) if weighted else None
    # Class weights enter training, but not the figures.
    class_weight = None if target == "multilabel" else {0: 3.0}
    clf = small(out_activation=out_activation, class_weight=class_weight).fit(X, y, w)
    assert_allclose(clf.oof_log_loss_, mean_loss(clf.oof_proba_, y, w), rtol=1e-9)
    predicted = (clf.oof_proba_ > 0.5).astype(int) if target == "multilabel" else clf.oof_proba_.argmax(axis=1)
    assert_allclose(clf.oof_score_, accuracy_score(y, predicted, sample_weight=w), rtol=1e-12)
    assert 0.2 < clf.oof_score_ < 1.0


def test_out_of_fold_figures_of_named_classes_are_scikit_learns():
    X, y = make_data()
    names = np.array(["red", "green", "blue"])[y]
    clf = small().fit(X, names)
    assert_array_equal(clf.classes_, ["blue", "green", "red"])
    assert_allclose(clf.oof_log_loss_, log_loss(names, clf.oof_proba_, labels=clf.classes_), rtol=1e-9)
    assert clf.oof_score_ == accuracy_score(names, clf.classes_[clf.oof_proba_.argmax(axis=1)])


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_the_weights_of_a_member_do_not_depend_on_its_fold(solver):
    # One epoch, or iteration: there is no other to be chosen by the fold.
    X, y = make_data()
    folds = [(np.arange(50), np.arange(50, 100)), (np.arange(50, 100), np.arange(50))]
    clf = small(cv=folds, max_iter=1, solver=solver).fit(X, y)
    rng = np.random.RandomState(1)
    other_X, other_y = X.copy(), y.copy()
    other_X[50:], other_y[50:] = 100.0 * rng.normal(size=(50, 5)), rng.permutation(y[50:])
    other = small(cv=folds, max_iter=1, solver=solver).fit(other_X, other_y)
    assert_same_network(clf.members_[0], other.members_[0], rtol=0.0, atol=0.0)
    assert np.abs(clf.members_[1].coefs_[0] - other.members_[1].coefs_[0]).max() > 1e-3


def random_labels(seed, n=200, n_features=300):
    """More features than rows, so that any labels can be learnt by heart, half of them 1."""
    rng = np.random.RandomState(seed)
    return rng.normal(size=(n, n_features)), rng.permutation(np.arange(n) % 2)


def standard_error(proba, y):
    return row_losses(proba, y).std() / math.sqrt(len(y))


LEARNERS = {
    # A single look at the folds, when the labels have long been learnt: nothing but T stands against a leak.
    "adam, one look": {"batch_size": 160, "max_iter": 8, "learning_rate_init": 0.03},
    # Many looks, by which every member chooses its epoch.
    "adam, many looks": {"batch_size": 16, "max_iter": 15, "learning_rate_init": 0.01},
    "lbfgs": {"solver": "lbfgs", "max_iter": 15},
}


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_cannot_be_known_is_not_known_out_of_fold(learner):
    # With random labels nothing is to be said of a row that a member did not see: not less than the prior's log loss, log 2.
    # Whoever saw the rows would know them by heart.
    excess = []
    for seed in range(6):
        X, y = random_labels(seed)
        params = {"hidden_layer_sizes": (100,), "dropout": 0.0, "label_smoothing": 0.0, **LEARNERS[learner]}
        clf = small(random_state=seed, **params).fit(X, y)
        se = standard_error(clf.oof_proba_, y)
        assert clf.oof_log_loss_ > math.log(2) - 3.0 * se
        assert clf.oof_score_ < 0.65
        excess.append((clf.oof_log_loss_ - math.log(2)) / se)
        assert max(member.loss_curve_[-1] for member in clf.members_) < 0.1
        if learner == "adam, one look":
            # The same weights on rows that they were trained on.
            for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
                train = complement(fold, 200)
                assert log_loss(y[train], member.predict_proba(X[train])) < 0.1
    assert np.mean(excess) > -3.0 / math.sqrt(6)


@pytest.mark.parametrize("grouped", [True, False])
def test_rows_of_one_group_tell_of_each_other_unless_they_are_in_one_fold(grouped):
    # Every row is there four times, of which some would be trained on if the groups were not heeded.
    X, y = random_labels(0, n=60)
    X, y, groups = np.repeat(X, 4, axis=0), np.repeat(y, 4), np.repeat(np.arange(60), 4)
    params = {"hidden_layer_sizes": (100,), "dropout": 0.0, "label_smoothing": 0.0, "max_iter": 10}
    clf = small(**params).fit(X, y, groups=groups if grouped else None)
    if grouped:
        se = 2.0 * standard_error(clf.oof_proba_, y)  # four rows of a group are one
        assert clf.oof_log_loss_ > math.log(2) - 3.0 * se
    else:
        assert clf.oof_log_loss_ < 0.2


def splits_of(clf, n=100):
    """The folds, and all other rows."""
    return [(complement(fold, n), fold) for fold in clf.oof_indices_]


def assert_no_group_straddles(clf, groups):
    assert len(clf.oof_indices_) > 1
    for train, fold in splits_of(clf, len(groups)):
        assert set(groups[train]).isdisjoint(groups[fold])


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cv", [4, GroupKFold(4)], ids=["int", "splitter"])
def test_groups_are_in_one_fold(cv, target, solver):
    X, y = make_data(target)
    groups = np.random.RandomState(2).randint(25, size=100)
    clf = small(cv=cv, solver=solver, max_iter=1).fit(X, y, groups=groups)
    assert len(clf.members_) == 4
    assert_no_group_straddles(clf, groups)
    without = small(cv=4, max_iter=1).fit(X, y)
    assert any(not set(groups[train]).isdisjoint(groups[fold]) for train, fold in splits_of(without))


def test_groups_of_any_type_are_taken():
    X, y = make_data()
    groups = np.arange(100) % 20
    clf = small(max_iter=1).fit(X, y, groups=groups)
    assert_no_group_straddles(clf, groups)
    for other in (groups.tolist(), pd.Series(groups), np.array(list("abcdefghijklmnopqrst"))[groups]):
        again = small(max_iter=1).fit(X, y, groups=other)
        for one, two in zip(clf.oof_indices_, again.oof_indices_, strict=True):
            assert_array_equal(one, two)


# Pairs of rows are a group each: drawn without heeding them, some pair would straddle.
PAIRS = np.arange(100) // 2


@pytest.mark.parametrize("cv", [4, GroupKFold(4)], ids=["int", "splitter"])
def test_groups_reach_the_folds_by_metadata_routing(cv):
    X, y = make_data()
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), small(cv=cv, max_iter=1)).fit(X, y, groups=PAIRS)
        assert_no_group_straddles(pipeline[-1], PAIRS)
        result = cross_validate(
            pipeline, X, y, cv=GroupKFold(3), params={"groups": PAIRS}, return_estimator=True, return_indices=True
        )
        for fitted, train in zip(result["estimator"], result["indices"]["train"], strict=True):
            assert_no_group_straddles(fitted[-1], PAIRS[train])
        search = GridSearchCV(small(cv=cv, max_iter=1), {"alpha": [0.1]}, cv=GroupKFold(3)).fit(X, y, groups=PAIRS)
        assert_no_group_straddles(search.best_estimator_, PAIRS)


@pytest.mark.parametrize("cv", [4, GroupKFold(4)], ids=["int", "splitter"])
def test_groups_reach_the_folds_without_metadata_routing(cv):
    X, y = make_data()
    pipeline = make_pipeline(StandardScaler(), small(cv=cv, max_iter=1))
    pipeline.fit(X, y, backpropclassifiercv__groups=PAIRS)
    assert_no_group_straddles(pipeline[-1], PAIRS)
    result = cross_validate(
        small(cv=cv, max_iter=1), X, y, cv=3, params={"groups": PAIRS}, return_estimator=True, return_indices=True
    )
    for fitted, train in zip(result["estimator"], result["indices"]["train"], strict=True):
        assert_no_group_straddles(fitted, PAIRS[train])


def test_without_groups_metadata_routing_asks_for_none():
    X, y = make_data()
    w = np.random.RandomState(1).uniform(0.2, 3.0, 100)
    with sklearn.config_context(enable_metadata_routing=True):
        for cv in (5, None, StratifiedKFold(5), [(np.arange(50), np.arange(50, 100))]):
            clf = small(cv=cv, max_iter=1)
            cross_validate(clf, X, y, cv=2 if cv is None or cv == 5 else [(ROWS, ROWS)], params={})
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        weighted = make_pipeline(scaler, small().set_fit_request(sample_weight=True)).fit(X, y, sample_weight=w)
    assert_same_members(weighted[-1], small().fit(StandardScaler().fit_transform(X), y, w), rtol=0.0, atol=0.0)


# The temperature


LOG_TEMPERATURES = np.linspace(-2.0, 2.0, 401)


def losses_by_temperature(clf, X, y, w=None):
    """The mean loss of what members say of rows that they did not see, at every temperature: from the formulas."""
    parts = list(zip(clf.members_, clf.oof_indices_, strict=True))
    z, rows = np.vstack([logits_of(member, X[fold]) for member, fold in parts]), np.concatenate(clf.oof_indices_)
    weights = None if w is None else w[rows]

    def loss(log_temperature):
        proba = linked(z, math.exp(log_temperature), clf)
        return np.average(row_losses(proba, y[rows]), weights=weights)

    return loss, LOG_TEMPERATURES[np.argmin([loss(t) for t in LOG_TEMPERATURES])]


def assert_minimises(clf, X, y, w=None):
    loss, best = losses_by_temperature(clf, X, y, w)
    found = math.log(clf.temperature_)
    assert abs(found - best) < 0.011
    assert loss(found) <= min(loss(t) for t in [*LOG_TEMPERATURES, found - 1e-3, found + 1e-3])
    return best


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_the_temperature_minimises_the_log_loss_out_of_fold(target, out_activation, solver, weighted):
    X, y = make_data(target)
    w = np.random.RandomState(1).choice([0.0, 0.1, 5.0], 100) if weighted else None
    clf = small(out_activation=out_activation, solver=solver).fit(X, y, w)
    best = assert_minimises(clf, X, y, w)
    assert abs(best) < 1.9
    if weighted:
        assert abs(losses_by_temperature(clf, X, y)[1] - best) > 0.015


def test_class_weights_enter_the_temperature():
    X, y = make_data()
    clf = small(class_weight={0: 20.0}).fit(X, y)
    best = assert_minimises(clf, X, y, np.where(y == 0, 20.0, 1.0))
    assert abs(losses_by_temperature(clf, X, y)[1] - best) > 0.015


def test_rows_in_several_folds_enter_the_temperature_as_often():
    X, y = make_data()
    clf = small(cv=RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0)).fit(X, y)
    assert len(clf.members_) == 4
    assert_minimises(clf, X, y)


def test_overconfident_networks_are_cooled_and_timid_ones_warmed_up():
    X, y = make_data("binary")
    sure = small(dropout=0.0, label_smoothing=0.0, learning_rate_init=0.1, max_iter=30, tol=0.0, cv=2)
    sure.set_params(batch_size=50, hidden_layer_sizes=(50,), max_iter=8).fit(X, y)  # a single look at the folds
    assert sure.temperature_ > 1.5
    timid = small(label_smoothing=0.6, dropout=0.0, max_iter=20).fit(X, y)
    assert timid.temperature_ < 0.7
    for clf in (sure, timid):
        assert clf.oof_log_loss_ < losses_by_temperature(clf, X, y)[0](0.0) - 0.005


def test_the_temperature_stays_within_its_bounds():
    # Labels that contradict the features: the less is said of them, the better.
    X, y = random_labels(0)
    clf = small(batch_size=160, max_iter=8, hidden_layer_sizes=(50,), label_smoothing=0.0, dropout=0.0).fit(X, y)
    assert math.exp(1.99) < clf.temperature_ <= math.exp(2.0)
    # Labels without noise, of which too little is said: most of each target is spread over both.
    y = (X[:, 0] > 0.0).astype(int)
    clf = small(hidden_layer_sizes=(), label_smoothing=0.9, max_iter=30, learning_rate_init=0.1).fit(X[:, :1], y)
    assert math.exp(-2.0) <= clf.temperature_ < math.exp(-1.99)


# Predictions


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_predictions_are_the_mean_of_the_members_probabilities(target, out_activation, solver):
    X, y = make_data(target)
    clf = small(out_activation=out_activation, solver=solver).fit(X, y)
    new = np.random.RandomState(3).normal(size=(40, 5))
    members = np.array([linked(logits_of(member, new), clf.temperature_, clf) for member in clf.members_])
    assert_allclose(clf.predict_proba_members(new), members, rtol=1e-9)
    proba = clf.predict_proba(new)
    assert_allclose(proba, members.mean(axis=0), rtol=1e-9)
    assert members.std(axis=0).max() > 0.01
    assert_allclose(clf.predict_log_proba(new), np.log(proba), rtol=1e-12)
    decision, predicted = clf.decision_function(new), clf.predict(new)
    if target == "multilabel":
        assert_allclose(decision, logit(proba), rtol=1e-9, atol=1e-12)
        assert_array_equal(predicted, proba > 0.5)
    elif target == "binary":
        assert_allclose(decision, logit(proba[:, 1]), rtol=1e-9, atol=1e-12)
        assert_array_equal(predicted, decision > 0.0)
    else:
        assert_allclose(decision, np.log(proba), rtol=1e-12)
        assert_array_equal(predicted, decision.argmax(axis=1))
    if target != "multilabel":
        assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
        assert_array_equal(predicted, proba.argmax(axis=1))
    assert_allclose(clf.score(new, predicted), 1.0)
    assert len(np.unique(predicted, axis=0)) > 1


def test_predictions_of_many_rows_equal_those_of_each_row_alone():
    X, y = make_data()
    clf = small().fit(X, y)
    new = np.random.RandomState(3).normal(size=(2100, 5))
    one_by_one = np.vstack([clf.predict_proba(new[i : i + 1]) for i in range(0, 2100, 70)])
    assert_allclose(clf.predict_proba(new)[::70], one_by_one, rtol=1e-12)


@pytest.mark.parametrize("out_activation", ["auto", "softmax", "logistic"])
@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_single_class_is_predicted_with_certainty(solver, out_activation):
    X, _ = make_data()
    clf = small(solver=solver, out_activation=out_activation).fit(X, np.full(100, "only"))
    assert_array_equal(clf.predict_proba(X), np.ones((100, 1)))
    assert_array_equal(clf.predict(X), np.full(100, "only"))
    assert_array_equal(clf.decision_function(X), np.zeros(100))
    assert_array_equal(clf.oof_proba_, np.ones((100, 1)))
    assert (clf.oof_log_loss_, clf.oof_score_) == (0.0, 1.0)


def test_sparse_multilabel_targets_give_sparse_predictions():
    X, y = make_data("multilabel")
    dense, sparse = small().fit(X, y), small().fit(X, sp.csr_matrix(y))
    predicted = sparse.predict(X)
    assert sp.issparse(predicted)
    assert_array_equal(predicted.toarray(), dense.predict(X))
    assert sparse.oof_log_loss_ == dense.oof_log_loss_
    assert sparse.score(X, sp.csr_matrix(y)) == 1.0 - zero_one_loss(y, dense.predict(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_nothing_is_certain_however_far_out(target, out_activation, dtype):
    X, y = make_data(target)
    clf = small(out_activation=out_activation, dtype=None).fit(X.astype(dtype), y)
    far = (1e8 * X).astype(dtype)
    proba = clf.predict_proba(far)
    assert proba.dtype == dtype
    assert proba.min() > 0.0
    assert np.isfinite(clf.predict_log_proba(far)).all()
    assert np.isfinite(clf.decision_function(far)).all()
    assert np.abs(clf.decision_function(far)).max() > 15.0
    if target == "multilabel":
        assert proba.max() < 1.0


# Folds


def test_folds_are_stratified_and_shuffled():
    X, y = make_data(n=200)
    y = np.sort(y)  # unshuffled, stratified folds would be runs of each class
    clf = small(max_iter=1).fit(X, y)
    for fold in clf.oof_indices_:
        assert_array_equal(np.bincount(y[fold]), np.bincount(y) // 5)
    unshuffled = [fold for _, fold in StratifiedKFold(5).split(X, y)]
    assert not any(np.array_equal(a, b) for a, b in zip(clf.oof_indices_, unshuffled, strict=True))
    other = small(max_iter=1, random_state=1).fit(X, y)
    assert not any(np.array_equal(a, b) for a, b in zip(clf.oof_indices_, other.oof_indices_, strict=True))


def test_a_class_with_fewer_rows_than_folds_is_dealt_out_without_a_warning():
    X, _ = make_data()
    y = np.repeat([0, 1, 2], [60, 37, 3])
    clf = small().fit(X, y)
    assert sorted(int((y[fold] == 2).sum()) for fold in clf.oof_indices_) == [0, 0, 1, 1, 1]
    assert np.isfinite(clf.oof_proba_).all()
    one_row = np.repeat([0, 1, 2], [60, 39, 1])
    clf = small().fit(X, one_row)
    (member,) = [m for m, fold in zip(clf.members_, clf.oof_indices_, strict=True) if 99 in fold]
    # The only row of its class is in one fold: this member knows of the class by name only.
    assert member.predict_proba(X[99:])[0, 2] < 0.3
    assert_allclose(clf.oof_log_loss_, log_loss(one_row, clf.oof_proba_), rtol=1e-9)


@pytest.mark.parametrize(
    ("target", "n", "cv", "n_folds", "match"),
    [
        ("binary", 6, 5, 3, "cv=5 folds are more than any class has rows, 3: there are 3"),
        ("binary", 4, 5, 2, "cv=5 folds are more than any class has rows, 2: there are 2"),
        ("binary", 2, 5, 1, "cv=5 folds are more than any class has rows, 1: there are none"),
        ("binary", 1, 2, 1, "cv=2 folds are more than any class has rows, 1: there are none"),
        ("multilabel", 3, 5, 3, "cv=5 folds are more than there are rows, 3: there are 3"),
        ("multilabel", 1, 5, 1, "cv=5 folds are more than there are rows, 1: there are none"),
    ],
)
def test_tiny_data_have_fewer_folds_with_a_warning(target, n, cv, n_folds, match):
    X, _ = make_data(n=n)
    y = np.arange(n) % 2
    if target == "multilabel":
        y = np.column_stack([y, 1 - y, y])
    with pytest.warns(UserWarning, match=match) as caught:
        clf = small(cv=cv, batch_size="auto").fit(X, y)
    assert [w.filename for w in caught if w.category is UserWarning] == [__file__]
    assert len(clf.members_) == n_folds
    assert (clf.oof_indices_ is None) == (n_folds == 1)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("n_groups", "there_are"), [(3, "3"), (1, "none")])
def test_few_groups_make_fewer_folds_with_a_warning(n_groups, there_are, target):
    X, y = make_data(target)
    groups = np.arange(100) % n_groups
    clf = small()
    with pytest.warns(
        UserWarning, match=f"cv=5 folds are more than there are groups, {n_groups}: there are {there_are}"
    ):
        clf.fit(X, y, groups=groups)
    assert len(clf.members_) == n_groups
    if n_groups > 1:
        assert_no_group_straddles(clf, groups)


def test_as_many_folds_as_rows_of_the_largest_class_are_no_cause_for_a_warning():
    X, _ = make_data(n=9)
    assert len(small(cv=5, batch_size="auto").fit(X, np.repeat([0, 1], [5, 4])).members_) == 5


@pytest.mark.parametrize("target", TARGETS)
def test_none_stands_for_five_folds(target):
    X, y = make_data(target)
    none, five = (small(cv=cv, max_iter=1).fit(X, y) for cv in (None, 5))
    for fold, expected in zip(none.oof_indices_, five.oof_indices_, strict=True):
        assert_array_equal(fold, expected)


def test_groups_never_straddle_folds_by_default():
    X, y = make_data("binary")
    groups = np.arange(len(X)) % 10
    for fold in small(cv=None, max_iter=1).fit(X, y, groups=groups).oof_indices_:
        assert set(groups[fold]).isdisjoint(np.delete(groups, fold))


def test_rows_without_weight_do_no_harm_where_there_are_no_folds():
    X, y = make_data("binary")
    weight = np.zeros(len(X))
    weight[:7] = 1.0
    with pytest.warns(UserWarning, match="there are none"):
        clf = small(batch_size=3).fit(X, y, sample_weight=weight, groups=np.zeros(len(X)))
    with pytest.warns(UserWarning, match="there are none"):
        without = small(batch_size=3).fit(X[:7], y[:7], groups=np.zeros(7))
    assert_allclose(clf.predict_proba(X), without.predict_proba(X), rtol=1e-6)


def test_labels_that_are_almost_certain_do_not_tie():
    X, y = make_data("multilabel")
    clf = small(max_iter=30).fit(X, y)
    far = (X * 10).astype(np.float32)
    decision = clf.decision_function(far)
    assert abs(decision).max() > 20  # beyond what a difference from 1 has in float32
    for label in range(decision.shape[1]):
        assert len(np.unique(decision[:, label])) > 0.9 * len(X)


def test_dropout_may_be_given_as_an_array():
    X, y = make_data("binary")
    one, other = (small(hidden_layer_sizes=(6, 5), dropout=d).fit(X, y) for d in (np.array([0.1, 0.2]), [0.1, 0.2]))
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))


SPLITTERS = [
    KFold(3),
    StratifiedKFold(4, shuffle=True, random_state=3),
    ShuffleSplit(3, test_size=0.3, random_state=0),
    PredefinedSplit(np.repeat([-1, 0, 1, -1], 25)),
]


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda splitter: type(splitter).__name__)
def test_there_is_a_member_for_each_split_of_a_splitter_or_an_iterable(splitter, solver):
    X, y = make_data()
    splits = list(splitter.split(X, y))
    clf = small(cv=splitter, solver=solver).fit(X, y)
    for member, (train, fold), published in zip(clf.members_, splits, clf.oof_indices_, strict=True):
        assert_array_equal(published, fold)
        if isinstance(splitter, (ShuffleSplit, PredefinedSplit)) or solver == "lbfgs":  # equally many rows to train on
            assert_same_network(member, alone(member, X, y, train, fold))
    masks = [tuple(np.isin(np.arange(100), part) for part in (sorted(train), sorted(fold))) for train, fold in splits]
    lists = [(train.tolist(), (fold - 100).tolist()) for train, fold in splits]
    for given in (splits, lists, iter(splits), (split for split in splits)):
        assert_same_members(clf, small(cv=given, solver=solver).fit(X, y), rtol=0.0, atol=0.0)
    if not isinstance(splitter, ShuffleSplit):  # masks have no order of their own
        assert_same_members(clf, small(cv=masks, solver=solver).fit(X, y), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_rows_in_several_folds_are_averaged_over_and_rows_in_none_left_out(weighted):
    X, y = make_data()
    w = np.random.RandomState(1).uniform(0.2, 3.0, 100) if weighted else None
    clf = small(cv=ShuffleSplit(4, test_size=0.3, random_state=0)).fit(X, y, w)
    saw_it_not = [[m for m, fold in zip(clf.members_, clf.oof_indices_, strict=True) if i in fold] for i in range(100)]
    assert {0, 1, 2} <= set(map(len, saw_it_not))
    for temperature, published in ((clf.temperature_, clf.oof_proba_), (1.0, np.exp(clf.oof_decision_function_))):
        for i, members in enumerate(saw_it_not):
            if members:
                probas = [linked(logits_of(m, X[i : i + 1]), temperature, clf)[0] for m in members]
                assert_allclose(published[i], np.mean(probas, axis=0), rtol=1e-9)
            else:
                assert np.isnan(published[i]).all()
    seen = np.array([bool(members) for members in saw_it_not])
    weight = None if w is None else w[seen]
    assert_allclose(clf.oof_log_loss_, log_loss(y[seen], clf.oof_proba_[seen], sample_weight=weight), rtol=1e-9)
    accuracy = accuracy_score(y[seen], clf.oof_proba_[seen].argmax(axis=1), sample_weight=weight)
    assert_allclose(clf.oof_score_, accuracy, rtol=1e-12)


ROWS = np.arange(100)
BAD_CV = [
    (0, InvalidParameterError, "The 'cv' parameter of BackpropClassifierCV must be"),
    (1, InvalidParameterError, "The 'cv' parameter of BackpropClassifierCV must be"),
    (2.5, InvalidParameterError, "The 'cv' parameter of BackpropClassifierCV must be"),
    ("five", InvalidParameterError, "The 'cv' parameter of BackpropClassifierCV must be"),
    ([], ValueError, r"cv=\[\] makes no split"),
    ([(ROWS, ROWS[:0])], ValueError, "cv makes no split with rows to validate on"),
    ([(ROWS[:0], ROWS)], ValueError, "cv makes a split with no rows to train on"),
    ([(ROWS[:60], ROWS[50:])], ValueError, "10 rows both to train and to validate on, such as row 50"),
    (
        [(ROWS[:50], ROWS[50:] - 100), (ROWS[:51], ROWS[50:] - 100)],
        ValueError,
        "1 rows both to train and to validate on",
    ),
    (
        [(ROWS[:50], ROWS[50:] + 1)],
        ValueError,
        r"shape \(50,\) and type int64 that is neither row numbers from 0 to 99",
    ),
    ([(ROWS[:50] - 101, ROWS[50:])], ValueError, r"neither row numbers from 0 to 99 nor a mask of 100 booleans"),
    ([(ROWS[:50] / 2, ROWS[50:])], ValueError, r"shape \(50,\) and type float64"),
    ([(ROWS[:50, None], ROWS[50:])], ValueError, r"shape \(50, 1\)"),
    ([(ROWS[:50] < 20, ROWS[50:])], ValueError, r"shape \(50,\) and type bool"),
    (GroupKFold(3), ValueError, "The 'groups' parameter should not be None"),
    (KFold(101), ValueError, "Cannot have number of splits n_splits=101"),
]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(("cv", "error", "match"), BAD_CV)
def test_a_cv_that_cannot_be_is_refused_and_changes_nothing(cv, error, match, trained):
    X, y = make_data()
    clf = small()
    if trained:
        clf.fit(X, y)
    before = pickle.dumps({name: value for name, value in vars(clf).items() if name.endswith("_")})
    clf.set_params(cv=cv)
    with pytest.raises(error, match=match):
        clf.fit(X[:, :3] if trained else X, y)
    assert pickle.dumps({name: value for name, value in vars(clf).items() if name.endswith("_")}) == before
    assert clf.cv is cv
    clf.set_params(cv=5)
    if trained:
        assert clf.predict(X).shape == (100,)
    assert_same_members(clf.fit(X, y), small().fit(X, y), rtol=0.0, atol=0.0)


@pytest.mark.parametrize(
    ("groups", "match"), [(np.zeros(99), "groups has 99 labels for 100 rows"), (np.zeros(101), "groups has 101 labels")]
)
@pytest.mark.parametrize("cv", [5, GroupKFold(2)], ids=["int", "splitter"])
def test_groups_that_do_not_fit_are_refused(groups, match, cv):
    X, y = make_data()
    with pytest.raises(ValueError, match=match):
        small(cv=cv).fit(X, y, groups=groups)


def test_a_split_whose_training_rows_weigh_nothing_is_refused():
    X, y = make_data()
    w = np.where(ROWS < 50, 0.0, 1.0)
    folds = [(ROWS[:50], ROWS[50:]), (ROWS[50:], ROWS[:50])]
    with pytest.raises(ValueError, match="no rows to train on, or none of positive weight"):
        small(cv=folds).fit(X, y, w)
    assert len(small(cv=folds[1:]).fit(X, y, w).members_) == 1


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_rows_of_weight_zero_are_as_good_as_absent(solver):
    # From the training sets they can be left out, and from the folds.
    X, y = make_data()
    w = np.where(ROWS % 4 == 0, 0.0, 1.0)
    folds = [(ROWS[:50], ROWS[50:]), (ROWS[50:], ROWS[:50])]
    without = [(train[w[train] > 0.0], fold[w[fold] > 0.0]) for train, fold in folds]
    weighted, shorter = small(cv=folds, solver=solver).fit(X, y, w), small(cv=without, solver=solver).fit(X, y)
    assert_same_members(weighted, shorter)
    assert_allclose(weighted.temperature_, shorter.temperature_, rtol=1e-4)
    assert_allclose(weighted.oof_log_loss_, shorter.oof_log_loss_, rtol=1e-6)
    assert_allclose(weighted.oof_score_, shorter.oof_score_, rtol=1e-12)


# Ends of training


@contextlib.contextmanager
def warned(match, n=1):
    """One ConvergenceWarning of this text, which points to the caller's line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    caught = [w for w in caught if not issubclass(w.category, NothingLearnedWarning)]  # of short fits, mostly
    said = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    assert len(said) == n == len(caught)
    for one in said:
        assert re.search(match, str(one.message)), str(one.message)
        assert one.filename == __file__


def assert_usable(clf, X, y):
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.best_iters_.min() > 0
    for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
        of_fold = log_loss(y[fold], member.predict_proba(X[fold]), labels=range(len(clf.classes_)))
        assert_allclose(of_fold, np.nanmin(member.validation_loss_curve_), rtol=1e-8)
        assert np.nanargmin(member.validation_loss_curve_) + 1 == member.best_iter_


@pytest.mark.parametrize("batch_size", [8, 40], ids=["every epoch", "every fourth epoch"])
def test_time_that_is_up_at_once_ends_training_of_a_stack_after_one_epoch(batch_size):
    X, y = make_data()
    clf = small(max_time=1e-9, batch_size=batch_size, max_iter=100)
    with warned("Training stopped after iteration 1, since max_time=1e-09 seconds have passed"):
        clf.fit(X, y)
    assert (clf.n_iter_, clf.best_iters_.tolist()) == (1, [1] * 5)
    assert_usable(clf, X, y)


def test_time_that_is_up_at_once_ends_training_of_each_member_in_turn_after_one_iteration():
    X, y = make_data()
    clf = small(solver="lbfgs", max_time=1e-9, max_iter=100)
    with warned("5 of 5 members: Training stopped after iteration 1"):
        clf.fit(X, y)
    assert [member.n_iter_ for member in clf.members_] == [1] * 5
    assert [member.max_time for member in clf.members_] == [1e-9] * 5
    assert_usable(clf, X, y)


@pytest.mark.parametrize("solver", ["sgd", "cg"])
def test_training_stops_soon_after_its_time_is_up_and_every_member_has_its_share(solver):
    X, y = make_data(n=400)
    clf = small(
        solver=solver,
        max_time=0.5,
        max_iter=10**6,
        n_iter_no_change=np.inf,
        tol=0.0,
        hidden_layer_sizes=(40,),
        alpha=0.0,
    )
    started = time.perf_counter()
    with warned("max_time="):
        clf.fit(X, y)
    assert 0.4 < time.perf_counter() - started < 10.0
    assert min(member.n_iter_ for member in clf.members_) >= 5


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_time_enough_changes_nothing(solver):
    X, y = make_data()
    assert_same_members(
        small(solver=solver, max_time=600.0).fit(X, y), small(solver=solver).fit(X, y), rtol=0.0, atol=0.0
    )


def test_an_open_ended_schedule_warns_at_max_iter_and_a_planned_one_does_not():
    X, y = make_data()
    with warned(r"Maximum iterations \(6\) reached"):
        small().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(learning_rate="cosine").fit(X, y)
        small(n_iter_no_change=1, tol=0.5, max_iter=50).fit(X, y)


def test_one_warning_counts_the_members_that_have_not_converged():
    X, y = make_data()
    with warned(r"5 of 5 members: lbfgs failed to converge after 6 iteration\(s\)"):
        small(solver="lbfgs").fit(X, y)


class Hook(io.StringIO):
    """A standard output that does something when a line tells of a given iteration for the n-th time."""

    def __init__(self, iteration, n, action):
        super().__init__()
        self.line, self.left, self.action = re.compile(rf"Iteration +{iteration} "), n, action

    def write(self, text):
        if self.line.match(text):
            self.left -= 1
            if self.left == 0:
                self.action()
        return super().write(text)


@contextlib.contextmanager
def interrupt_at(iteration, n=1):
    """Ctrl-C, as the signal that the keyboard sends, at a given iteration of a verbose fit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with contextlib.redirect_stdout(Hook(iteration, n, lambda: signal.raise_signal(signal.SIGINT))):
            yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("batch_size", [8, 40], ids=["every epoch", "every fourth epoch"])
def test_an_interrupted_stack_keeps_the_best_weights_so_far(batch_size):
    X, y = make_data()
    params = {"batch_size": batch_size, "learning_rate_init": 0.1, "dropout": 0.0}
    clf = small(**params, max_iter=50, verbose=1)
    with interrupt_at(6), warned("interrupted by user after 6 iterations"):
        clf.fit(X, y)
    assert clf.n_iter_ == 6
    assert_usable(clf, X, y)
    assert_same_members(clf, small(**params, max_iter=6).fit(X, y), rtol=0.0, atol=0.0)


@pytest.mark.parametrize(("n", "left"), [(1, 1), (3, 3), (5, 5)])
def test_an_interrupt_leaves_the_members_trained_so_far(n, left):
    X, y = make_data()
    clf = small(solver="lbfgs", max_iter=8, verbose=1)
    with interrupt_at(4, n), warned(f"{left} of 5 members:"):
        clf.fit(X, y)
    assert len(clf.members_) == len(clf.oof_indices_) == len(clf.best_iters_) == left
    assert [member.n_iter_ for member in clf.members_] == [8] * (left - 1) + [4]
    assert_usable(clf, X, y)
    seen = np.isin(ROWS, np.concatenate(clf.oof_indices_))
    assert_array_equal(np.isfinite(clf.oof_proba_).all(axis=1), seen)
    assert_allclose(clf.oof_log_loss_, log_loss(y[seen], clf.oof_proba_[seen]), rtol=1e-9)
    whole = small(solver="lbfgs", max_iter=8).fit(X, y)
    for member, other in itertools.islice(zip(clf.members_, whole.members_, strict=False), left - 1):
        assert_same_network(member, other, rtol=0.0, atol=0.0)


def test_an_interrupted_ensemble_can_be_trained_again():
    X, y = make_data()
    clf = small(verbose=1, max_iter=50)
    with interrupt_at(2), warned("interrupted"):
        clf.fit(X, y)
    assert_same_members(clf.set_params(verbose=0, max_iter=6).fit(X, y), small().fit(X, y), rtol=0.0, atol=0.0)


# Too large steps down the slope of the penalty, looked at after every epoch, and too large steps of a linear network.
DIVERGING = [
    {"batch_size": 8, "learning_rate_init": 1.0, "alpha": 50.0, "momentum": 0.0},
    {"batch_size": 40, "learning_rate_init": 1.0, "hidden_layer_sizes": (20, 20)},
]


@pytest.mark.parametrize("params", DIVERGING, ids=["every epoch", "every fourth epoch"])
def test_divergence_keeps_the_best_finite_weights_with_a_warning(params):
    X, y = make_data()
    params = {"solver": "sgd", "activation": "identity", "dropout": 0.0, **params}
    clf = small(**params, max_iter=100)
    with warned(r"Training diverged: the objective was not finite in iteration (\d+)"):
        clf.fit(X, y)
    assert 4 < clf.n_iter_ < 100
    assert clf.best_iters_.min() > 0
    assert np.isfinite(clf.predict_proba(X)).all()
    for member in clf.members_:
        # The last epoch is looked at whether or not it is one of those that are.
        losses = member.validation_loss_curve_
        assert losses[member.best_iter_ - 1] == np.nanmin(losses)
        assert not math.isnan(losses[-1])


# Callbacks


class Recorder:
    """Keeps what it is told, and may end training."""

    def __init__(self, ends=lambda context: None):
        self.ends, self.calls, self.given = ends, [], []

    def _note(self, hook, context, **given):
        self.calls.append((hook, context.task_name, context.task_id))
        self.given.append({"hook": hook, "context": context, **given})

    def setup(self, estimator, context):
        self._note("setup", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self._note("begin", context, X=X, y=y, metadata=metadata)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self._note("end", context, X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator)
        return self.ends(context)

    def teardown(self, estimator, context):
        self._note("teardown", context)

    def shown(self, task="epoch"):
        """The classifiers shown at the end of tasks."""
        return [g["fitted_estimator"] for g in self.given if g["hook"] == "end" and g["context"].task_name == task]


def epochs(n):
    return [(hook, "epoch", k) for k in range(n) for hook in ("begin", "end")]


def around(*calls):
    return [("setup", "fit", 0), ("begin", "fit", 0), *calls, ("end", "fit", 0), ("teardown", "fit", 0)]


@with_callbacks
def test_callbacks_are_told_once_of_every_epoch_of_a_stack():
    X, y = make_data()
    w, recorder = np.full(100, 2.0), Recorder()
    clf = small().set_callbacks(recorder).fit(X, y, w)
    assert recorder.calls == around(*epochs(6))
    assert recorder.given[0]["context"].max_subtasks == 6
    for given in recorder.given[1:-1]:
        assert given["X"] is X
        assert given["y"] is y
        assert given["metadata"]["sample_weight"] is w
    assert set(vars(clf)) == {*vars(small().fit(X, y, w)), "_skl_callbacks"}
    assert_same_members(clf, small().fit(X, y, w), rtol=0.0, atol=0.0)


@with_callbacks
def test_callbacks_are_told_of_every_member_in_turn_and_of_its_iterations():
    X, y = make_data()
    recorder = Recorder()
    clf = small(solver="lbfgs", max_iter=3, cv=2).set_callbacks(recorder).fit(X, y)
    members = [call for k in range(2) for call in (("begin", "member", k), *epochs(3), ("end", "member", k))]
    assert recorder.calls == around(*members)
    fit, member = recorder.given[0]["context"], recorder.given[2]["context"]
    assert (fit.max_subtasks, member.max_subtasks, member.parent) == (2, 3, fit)
    assert_same_members(clf, small(solver="lbfgs", max_iter=3, cv=2).fit(X, y), rtol=0.0, atol=0.0)


@with_callbacks
def test_the_classifier_shown_has_the_weights_of_its_epoch_and_the_last_one_is_that_which_is_fitted():
    X, y = make_data()
    recorder = Recorder()
    clf = small().set_callbacks(recorder).fit(X, y)
    for k, shown in enumerate(recorder.shown(), start=1):
        assert (shown.n_iter_, shown.temperature_) == (k, 1.0)
        assert_allclose(
            shown.predict_proba(X), np.mean([m.predict_proba(X) for m in shown.members_], axis=0), rtol=1e-12
        )
        until_then = [
            alone(m, X, y, complement(fold), fold, early_stopping=False, scoring=None, max_iter=k)
            for m, fold in zip(clf.members_, clf.oof_indices_, strict=True)
        ]
        for member, other in zip(shown.members_, until_then, strict=True):
            assert_same_network(member, other)
    (fitted,) = recorder.shown("fit")
    assert_array_equal(fitted.predict_proba(X), clf.predict_proba(X))
    assert fitted.oof_log_loss_ == clf.oof_log_loss_


@with_callbacks
def test_the_classifier_shown_in_turn_has_the_members_trained_so_far():
    X, y = make_data()
    recorder = Recorder()
    clf = small(solver="lbfgs", max_iter=3, cv=2, alpha=1.0).set_callbacks(recorder).fit(X, y)
    assert [len(shown.members_) for shown in recorder.shown()] == [1, 1, 1, 2, 2, 2]
    assert recorder.shown("member") == [None, None]
    last = recorder.shown()[-1]
    assert_same_network(last.members_[0], clf.members_[0], rtol=0.0, atol=0.0)
    assert last.best_iters_.tolist() == clf.best_iters_.tolist()


@with_callbacks
@pytest.mark.parametrize("batch_size", [8, 40], ids=["every epoch", "every fourth epoch"])
def test_a_true_return_ends_training_of_a_stack_without_a_warning(batch_size):
    X, y = make_data()
    recorder = Recorder(lambda context: context.task_name == "epoch" and context.task_id == 2)
    clf = small(max_iter=50, batch_size=batch_size).set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X, y)
    assert clf.n_iter_ == 3
    assert recorder.calls == around(*epochs(3))
    assert_usable(clf, X, y)
    assert_same_members(clf, small(max_iter=3, batch_size=batch_size).fit(X, y), rtol=0.0, atol=0.0)


@with_callbacks
def test_a_true_return_in_an_iteration_ends_its_member_and_one_at_the_end_of_a_member_ends_training():
    X, y = make_data()
    recorder = Recorder(lambda context: context.task_name == "epoch" and context.task_id == 1)
    clf = small(solver="lbfgs", max_iter=50).set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X, y)
    assert [member.n_iter_ for member in clf.members_] == [2] * 5
    assert_usable(clf, X, y)
    recorder = Recorder(lambda context: context.task_name == "member" and context.task_id == 2)
    clf = small(solver="lbfgs", max_iter=3).set_callbacks(recorder).fit(X, y)
    assert [member.n_iter_ for member in clf.members_] == [3] * 3
    assert_usable(clf, X, y)


@with_callbacks
@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_scoring_monitor_logs_the_log_loss_of_every_epoch(solver):
    X, y = make_data()
    monitor, recorder = ScoringMonitor(scoring="neg_log_loss"), Recorder()
    clf = small(solver=solver, max_iter=3, cv=2).set_callbacks(monitor, recorder).fit(X, y)
    log = monitor.get_logs().data
    logged = [entry["neg_log_loss"] for entry in log if entry["task_name"] == "epoch"]
    assert_allclose(logged, [-log_loss(y, shown.predict_proba(X)) for shown in recorder.shown()], rtol=1e-12)
    assert len(logged) == (3 if solver == "adam" else 6)
    (of_fit,) = [entry["neg_log_loss"] for entry in log if entry["task_name"] == "fit"]
    assert_allclose(of_fit, -log_loss(y, clf.predict_proba(X)), rtol=1e-12)


@with_callbacks
@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_scoring_monitor_logs_every_fit_of_a_search(solver):
    X, y = make_data()
    monitor = ScoringMonitor(scoring="accuracy")
    clf = small(solver=solver, max_iter=2, cv=2).set_callbacks(monitor)
    search = GridSearchCV(make_pipeline(StandardScaler(), clf), {"backpropclassifiercv__alpha": [0.1, 1.0]}, cv=2).fit(
        X, y
    )
    data = pd.DataFrame([entry for log in monitor.get_logs(select="all") for entry in log.data])
    # Two values, two folds, and the best again on all rows; of members in turn each has its epochs.
    assert (data["task_name"] == "epoch").sum() == 5 * 2 * (1 if solver == "adam" else 2)
    assert accuracy_score(y, search.predict(X)) in data.loc[data["task_name"] != "epoch", "accuracy"].to_numpy()


@with_callbacks
def test_an_error_in_a_callback_leaves_the_estimator_as_it_was():
    X, y = make_data()

    def fail(context):
        raise ZeroDivisionError

    for solver in SOLVER_KINDS:
        clf = small(solver=solver).fit(X, y)
        before, recorder = clf.predict_proba(X), Recorder(fail)
        with pytest.raises(ZeroDivisionError):
            clf.set_callbacks(recorder).fit(X[:, :3], y)
        assert recorder.calls[-1] == ("teardown", "fit", 0)
        assert_array_equal(clf.set_callbacks().predict_proba(X), before)


# Verbose lines


def figures(output):
    """The numbers of every line of iterations: iteration, objective, validation score, learning rate."""
    found = []
    for line in output.splitlines():
        words = line.split()
        if words[0] == "Iteration":
            after = {word: words[i + 1] for i, word in enumerate(words[:-1])}
            losses = [words[i + 1] for i, word in enumerate(words) if word == "loss"]
            found.append((int(after["Iteration"]), *(float(loss) if loss != "rate" else np.nan for loss in losses)))
    return found


def test_a_line_an_epoch_has_the_means_over_the_stack(capsys):
    X, y = make_data()
    clf = small(verbose=1, n_iter_no_change=1, tol=0.05, max_iter=50).fit(X, y)
    output = capsys.readouterr().out
    iterations, objectives, scores = np.array(figures(output)).T
    assert_array_equal(iterations, np.arange(1, clf.n_iter_ + 1))
    assert_allclose(objectives, np.mean([m.loss_curve_ for m in clf.members_], axis=0), rtol=5e-4)
    assert_allclose(scores, np.mean(clf.validation_loss_curves_, axis=0), rtol=5e-4)
    assert "Validation loss did not improve more than tol=0.05" in output


def test_members_in_turn_have_a_line_an_iteration_each(capsys):
    X, y = make_data()
    clf = small(solver="lbfgs", verbose=1, cv=2, max_iter=4).fit(X, y)
    lines = figures(capsys.readouterr().out)
    curves = [np.c_[range(1, 5), member.loss_curve_, member.validation_loss_curve_] for member in clf.members_]
    assert_allclose(lines, np.vstack(curves), rtol=5e-4)


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_otherwise_it_is_silent(solver, capsys):
    X, y = make_data()
    small(solver=solver, max_time=1e-9).fit(X, y)
    assert capsys.readouterr() == ("", "")


# Parameters without effect


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_power_t_has_an_effect_with_invscaling_only(solver):
    X, y = make_data()
    expected = "learning_rate='constant'" if solver == "adam" else "solver='lbfgs'"
    with pytest.warns(UserWarning, match=f"power_t=0.3 has no effect with {expected}"):
        small(solver=solver, power_t=0.3).fit(X, y)


@pytest.mark.parametrize("solver", [*UPDATES, *SCIPY_METHODS])
def test_n_iter_no_change_has_an_effect_with_every_solver(solver):
    X, y = make_data()
    params = {"solver": solver, "n_iter_no_change": 1, "tol": 0.3, "max_iter": 30}
    if solver in SCIPY_METHODS:
        params["solver_options"] = {SCIPY_METHODS[solver].tol: 1e-10}
    clf = small(**params).fit(X, y)
    # An improvement by 0.3 is rare: after the first one or two there are two more, and the end.
    assert clf.n_iter_ < 10


# Scikit-learn's conventions


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_integer_as_random_state_repeats_everything(solver, dtype):
    X, y = make_data()
    one, two = (small(solver=solver, dtype=dtype).fit(X, y) for _ in range(2))
    assert_same_members(one, two, rtol=0.0, atol=0.0)
    assert_array_equal(one.oof_proba_, two.oof_proba_)
    assert (one.temperature_, one.oof_log_loss_) == (two.temperature_, two.oof_log_loss_)
    assert_same_members(one.fit(X, y), two, rtol=0.0, atol=0.0)
    other = small(solver=solver, dtype=dtype, random_state=1).fit(X, y)
    assert np.abs(other.oof_proba_ - one.oof_proba_).max() > 0.01


def test_a_generator_goes_on_from_fit_to_fit():
    X, y = make_data()
    clf = small(random_state=np.random.RandomState(3))
    first, second = (clf.fit(X, y).oof_proba_ for _ in range(2))
    assert_array_equal(small(random_state=3).fit(X, y).oof_proba_, first)
    assert np.abs(first - second).max() > 0.01


def test_the_global_generator_serves_where_none_is_given():
    X, y = make_data()
    results = []
    for seed in (4, 4, 5):
        np.random.seed(seed)  # noqa: NPY002
        results.append(small(random_state=None).fit(X, y).oof_proba_)
    assert_array_equal(results[0], results[1])
    assert np.abs(results[0] - results[2]).max() > 0.01


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_clone_has_the_parameters_and_gives_the_same(solver):
    X, y = make_data()
    clf = small(solver=solver, cv=KFold(3)).fit(X, y)
    again = clone(clf)
    assert not hasattr(again, "members_")
    assert again.get_params()["cv"].n_splits == 3
    assert_same_members(again.fit(X, y), clf, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_pickle_predicts_alike_and_holds_little_more_than_the_weights(solver):
    X, y = load_digits(return_X_y=True)
    clf = BackpropClassifierCV((64, 64), solver=solver, max_iter=2, random_state=0).fit(X / 16.0, y)
    pickled = pickle.dumps(clf)
    again = pickle.loads(pickled)
    assert_array_equal(again.predict_proba(X / 16.0), clf.predict_proba(X / 16.0))
    weights = sum(array.nbytes for member in clf.members_ for array in member.coefs_ + member.intercepts_)
    oof = sum(array.nbytes for array in [clf.oof_proba_, clf.oof_decision_function_, *clf.oof_indices_])
    assert len(pickled) - oof < 1.1 * weights
    assert X.astype(np.float32).nbytes > 0.2 * weights  # the data would not fit in


def test_a_file_of_skops_predicts_alike():
    skops = pytest.importorskip("skops.io")
    X, y = make_data()
    clf = small().fit(X, y)
    dumped = skops.dumps(clf)
    trusted = skops.get_untrusted_types(data=dumped)
    assert set(trusted) <= {
        "skbp._estimators.classifier.BackpropClassifier",
        "skbp._estimators.classifier_cv.BackpropClassifierCV",
    }
    again = skops.loads(dumped, trusted=trusted)
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_what_is_published_has_no_data_and_no_views():
    X, y = make_data()
    clf = small().fit(X, y)
    arrays = [a for m in clf.members_ for a in m.coefs_ + m.intercepts_]
    assert all(array.base is None for array in arrays)
    assert not any(np.shares_memory(array, X) for array in [*arrays, clf.oof_proba_])
    assert not any(hasattr(member, "_random_state") for member in clf.members_)


def test_sparse_data_are_never_densified():
    X = sp.random_array((1000, 20_000), density=1e-4, format="csr", random_state=np.random.default_rng(0))
    clf = BackpropClassifierCV((2,), max_iter=1, cv=2, random_state=0)
    tracemalloc.start()
    try:
        clf.fit(X, np.arange(1000) % 2).predict_proba(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * 1000 * 20_000 * 4


def test_small_networks_leave_blas_its_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X, y = make_data()

    def threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(2):
        before = threads()
        small().fit(X, y)
        assert threads() == before


def test_it_is_strong_without_tuning_and_says_how_strong():
    # What it is for: an ensemble better than its members, calibrated, that knows its error about.
    X, y = make_classification(1500, 12, n_informative=8, n_classes=3, flip_y=0.1, class_sep=0.8, random_state=1)
    train, test = np.arange(600), np.arange(600, 1500)
    clf = BackpropClassifierCV(random_state=0).fit(X[train], y[train])
    loss = log_loss(y[test], clf.predict_proba(X[test]))
    of_members = [log_loss(y[test], proba) for proba in clf.predict_proba_members(X[test])]
    assert loss < min(of_members)
    assert abs(clf.oof_log_loss_ - np.mean(of_members)) < 0.15
    confidence, right = clf.predict_proba(X[test]).max(axis=1), clf.predict(X[test]) == y[test]
    assert abs(confidence.mean() - right.mean()) < 0.06
    plain = BackpropClassifier((64, 64), random_state=0).fit(X[train], y[train])
    assert loss < log_loss(y[test], plain.predict_proba(X[test])) - 0.2


# scikit-learn's checks of estimators

SAMPLE_WEIGHT_CHECKS = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)
OTHER_FOLDS = "Rows of weight 0 or given twice change how the rows are dealt out to the folds."
QUICK = {"max_iter": 20, "hidden_layer_sizes": (20,)}
CONFIGURATIONS = [
    {"max_iter": 10},
    QUICK | {"solver": "sgd", "learning_rate_init": 0.1},
    QUICK | {"solver": "lbfgs"},
    QUICK | {"solver": "newton-cg", "max_iter": 10},
    QUICK | {"cv": 3, "dtype": None},
    QUICK | {"dropout": 0.0, "label_smoothing": 0.0},
    QUICK | {"class_weight": "balanced"},
    QUICK | {"out_activation": "softmax"},
    QUICK | {"out_activation": "logistic", "learning_rate": "cosine"},
    QUICK | {"hidden_layer_sizes": ()},
]
CHECKS = parametrize_with_checks(
    [BackpropClassifierCV(**params) for params in CONFIGURATIONS],
    expected_failed_checks=lambda estimator: dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_FOLDS),
)


# scikit-learn 1.6 makes the checks a generator, which pytest 9 warns of.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
@pytest.mark.filterwarnings("ignore:cv=. folds are more than:UserWarning")
def test_configuration_passes_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.fail(f"A check was skipped: {skipped}")
