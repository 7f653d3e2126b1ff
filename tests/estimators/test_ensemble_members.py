"""The members of an ensemble equal networks that are trained alone."""

import math
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from registries import ACTIVATIONS, SCHEDULES, SCIPY_SOLVERS, UPDATES
from scipy.special import softmax
from sklearn.base import clone
from small_ensembles import SOLVER_KINDS, alone, assert_same_history, assert_same_network, complement, small
from toy_datasets import OUTPUTS, even_folds

from skbp import BackpropClassifier, BackpropClassifierCV

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

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
    X, y = even_folds("binary")
    w = np.random.RandomState(1).uniform(0.2, 3.0, 100) if weighted else None
    if weighted and setting.get("class_weight") == "balanced":
        # The ensemble counts the classes by their weights in all rows. Each training set must have the same proportions.
        w = np.where(y == 0, 0.25, 2.0)
    clf = small(**setting).fit(X, y, w)
    assert len(clf.members_) == 5
    assert len({member.random_state for member in clf.members_}) == 5
    rtol = 1e-3 if clf.dtype == "float32" else 1e-8
    assert_members_equal_networks_alone(clf, X, y, w, rtol)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_members_equal_networks_trained_alone_with_every_output(target, out_activation, container):
    X, y = even_folds(target)
    X = container(np.where(np.abs(X) > 0.5, X, 0.0))
    clf = small(out_activation=out_activation).fit(X, y)
    assert_members_equal_networks_alone(clf, X, y)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_members_equal_networks_trained_alone_with_every_activation(activation):
    X, y = even_folds()
    assert_members_equal_networks_alone(small(activation=activation, max_iter=3).fit(X, y), X, y)


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.4])
@pytest.mark.parametrize("learning_rate", [*SCHEDULES, math.cos])
def test_members_equal_networks_trained_alone_with_every_schedule(learning_rate, warmup_fraction):
    X, y = even_folds()
    clf = small(learning_rate=learning_rate, warmup_fraction=warmup_fraction, weight_decay=0.5)
    assert_members_equal_networks_alone(clf.fit(X, y), X, y)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("solver", SCIPY_SOLVERS)
def test_members_of_scipy_solvers_equal_networks_trained_alone(solver, weighted):
    X, y = even_folds()
    w = np.random.RandomState(1).uniform(0.2, 3.0, 100) if weighted else None
    # Without conjugate gradients tnc takes no differences of gradients, which amplify rounding.
    options = {"solver_options": {"maxCGit": 0}} if solver == "tnc" else {}
    clf = small(solver=solver, activation="tanh", max_iter=5, **options).fit(X, y, w)
    for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
        other = alone(member, X, y, complement(fold), fold, w)
        # trust-krylov gives the same numbers only up to rounding.
        tolerance = {"rtol": 1e-3, "atol": 1e-3} if solver == "trust-krylov" else {"rtol": 1e-12, "atol": 1e-14}
        assert_same_network(member, other, **tolerance)
        assert_same_history(member, other, tolerance["rtol"])
        assert member.optimize_result_["n_iter"] == other.optimize_result_["n_iter"] == member.n_iter_


@pytest.mark.parametrize("n_batches", [1, 2, 3, 7, 8, 20])
def test_the_folds_are_evaluated_about_every_eight_batches_and_after_the_last_epoch(n_batches):
    X, y = even_folds()
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
        # With a constant learning rate, training for just these epochs gives the weights that are kept.
        until_then = alone(member, X, y, complement(fold), fold, early_stopping=False, scoring=None, max_iter=best_iter)
        assert_same_network(member, until_then)


def test_the_best_epochs_are_not_the_last_ones_and_differ():
    # Otherwise the tests above would not notice if the best weights were not kept.
    X, y = even_folds("binary")
    clf = small(dropout=0.0, learning_rate_init=0.3, max_iter=15).fit(X, y)
    assert len(set(clf.best_iters_)) > 2
    assert max(clf.best_iters_) < 15
    assert_members_equal_networks_alone(clf, X, y)


def test_longer_training_sets_leave_out_different_rows_every_epoch():
    # The shortest training set decides: an epoch has 30 rows for every member.
    X, y = even_folds()
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
    # In 20 epochs of 30 of the 80 rows every row is used, so the network learns the outlier.
    far = X.copy()
    far[79] = 30.0
    y[79] = 2
    with pytest.warns(UserWarning, match="make the splits more even"):
        learnt = small(cv=folds, max_iter=20, dropout=0.0, label_smoothing=0.0).fit(far, y).members_[1]
    assert learnt.predict_proba(far[79:80])[0, 2] > 0.9


def test_members_have_parameters_and_random_weights_of_their_own():
    X, y = even_folds("binary")
    clf = small(cv=3, random_state=5).fit(X, y)
    default, params = BackpropClassifier().get_params(), clf.members_[0].get_params()
    assert {name for name in default if params[name] != default[name]} == {
        *("hidden_layer_sizes", "batch_size", "learning_rate_init", "max_iter", "random_state", "early_stopping"),
        *("n_iter_no_change", "scoring", "dropout", "label_smoothing", "dtype"),
    }
    first, second, third = clf.members_
    assert np.abs(first.coefs_[0] - second.coefs_[0]).max() > 0.1
    assert np.abs(second.coefs_[0] - third.coefs_[0]).max() > 0.1


@pytest.mark.parametrize(("n", "rows", "rate"), [(320, 60, 0.01), (5000, 64, 0.01), (5001, 250, 0.02)])
def test_batches_are_nearly_equal_and_larger_where_there_are_many_rows(n, rows, rate):
    # With 5001 rows each member trains on at least 3750: 15 batches of 250 make an epoch.
    X, y = even_folds("binary", n)
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
    X, y = even_folds()
    clf = small(solver=solver).fit(X, np.array(["a", "b", "c"])[y])
    member = clf.members_[2]
    again = pickle.loads(pickle.dumps(member))
    assert_array_equal(again.predict_proba(X), member.predict_proba(X))
    assert_allclose(member.predict_proba(X), softmax(member.decision_function(X), axis=1), rtol=1e-12)
    assert set(member.predict(X)) <= set("abc")
    assert member.score(X, clf.classes_[y]) > 0.4
    assert member.hidden_features(X).shape == (100, 6)
    # A clone trains like any other classifier and gives no warning about parameters without effect.
    assert clone(member).fit(X, y).n_iter_ > 0
    before = member.objective(X, clf.classes_[y])
    assert before.value(before.theta0) > 0.0
    if solver in UPDATES:
        assert member.partial_fit(X, clf.classes_[y]).n_iter_ == 1


def test_without_folds_the_member_equals_a_network_trained_alone():
    X, y = even_folds("multiclass", 3)
    y[:] = [0, 1, 2]
    with pytest.warns(UserWarning, match="cv=5 asks for more folds than any class has rows, 1: no folds are made"):
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
