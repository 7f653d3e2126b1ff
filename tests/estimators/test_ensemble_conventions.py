"""Conventions of scikit-learn: random_state, clones, pickles, memory, and a strong default."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from copies import skops_name
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    KFold,
)
from small_ensembles import SOLVER_KINDS, assert_same_members, small
from toy_datasets import even_folds

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._data.column_scaler import ColumnScaler
from skbp._data.columns import Categories
from skbp._data.quantile_bins import QuantileBins

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_integer_as_random_state_repeats_all_results(solver, dtype):
    X, y = even_folds()
    one, two = (small(solver=solver, dtype=dtype).fit(X, y) for _ in range(2))
    assert_same_members(one, two, rtol=0.0, atol=0.0)
    assert_array_equal(one.oof_proba_, two.oof_proba_)
    assert (one.temperature_, one.oof_log_loss_) == (two.temperature_, two.oof_log_loss_)
    assert_same_members(one.fit(X, y), two, rtol=0.0, atol=0.0)
    other = small(solver=solver, dtype=dtype, random_state=1).fit(X, y)
    assert np.abs(other.oof_proba_ - one.oof_proba_).max() > 0.01


def test_a_generator_continues_from_fit_to_fit():
    X, y = even_folds()
    clf = small(random_state=np.random.RandomState(3))
    first, second = (clf.fit(X, y).oof_proba_ for _ in range(2))
    assert_array_equal(small(random_state=3).fit(X, y).oof_proba_, first)
    assert np.abs(first - second).max() > 0.01


def test_without_random_state_the_global_generator_is_used():
    X, y = even_folds()
    results = []
    for seed in (4, 4, 5):
        np.random.seed(seed)  # noqa: NPY002, the global generator is the subject
        results.append(small(random_state=None).fit(X, y).oof_proba_)
    assert_array_equal(results[0], results[1])
    assert np.abs(results[0] - results[2]).max() > 0.01


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_clone_has_the_same_parameters_and_results(solver):
    X, y = even_folds()
    clf = small(solver=solver, cv=KFold(3)).fit(X, y)
    again = clone(clf)
    assert not hasattr(again, "members_")
    assert again.get_params()["cv"].n_splits == 3
    assert_same_members(again.fit(X, y), clf, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_pickle_predicts_the_same_and_holds_little_more_than_the_weights(solver):
    X, y = load_digits(return_X_y=True)
    clf = BackpropClassifierCV((64, 64), solver=solver, max_iter=2, random_state=0).fit(X / 16.0, y)
    pickled = pickle.dumps(clf)
    again = pickle.loads(pickled)
    assert_array_equal(again.predict_proba(X / 16.0), clf.predict_proba(X / 16.0))
    weights = sum(array.nbytes for member in clf.members_ for array in member.coefs_ + member.intercepts_)
    oof = sum(array.nbytes for array in [clf.oof_proba_, clf.oof_decision_function_, *clf.oof_indices_])
    assert len(pickled) - oof < 1.1 * weights
    assert X.astype(np.float32).nbytes > 0.2 * weights  # the training data would not fit


@pytest.mark.parametrize(
    ("kind", "n_repeats", "further"),
    [
        ("numbers", 1, []),
        ("numbers", 2, [QuantileBins]),
        ("table", 1, [Categories]),
        ("table", 2, [Categories, QuantileBins]),
    ],
)
def test_a_file_of_skops_needs_trust_in_our_classes_only_and_predicts_the_same(kind, n_repeats, further):
    skops = pytest.importorskip("skops.io")
    X, y = even_folds()
    if kind == "table":
        X = X.astype(object)
        X[:, 0] = np.where(X[:, 0] > 0.0, "a", None)
    clf = small(n_repeats=n_repeats).fit(X, y)
    dumped = skops.dumps(clf)
    trusted = skops.get_untrusted_types(data=dumped)
    ours = [BackpropClassifier, BackpropClassifierCV, ColumnScaler, *further]
    assert sorted(trusted) == sorted(map(skops_name, ours))
    again = skops.loads(dumped, trusted=trusted)
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_published_arrays_are_no_views_and_share_no_memory_with_the_data():
    X, y = even_folds()
    clf = small().fit(X, y)
    arrays = [a for m in clf.members_ for a in m.coefs_ + m.intercepts_]
    assert all(array.base is None for array in arrays)
    assert not any(np.shares_memory(array, X) for array in [*arrays, clf.oof_proba_])
    assert not any(hasattr(member, "_random_state") for member in clf.members_)


def test_sparse_data_are_never_densified():
    X = sp.random_array((1000, 20_000), density=1e-4, format="csr", random_state=np.random.default_rng(0))
    clf = BackpropClassifierCV((2,), max_iter=1, cv=2, n_repeats=1, random_state=0)
    tracemalloc.start()
    try:
        clf.fit(X, np.arange(1000) % 2).predict_proba(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * 1000 * 20_000 * 4


def test_blas_has_its_threads_after_a_fit():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X, y = even_folds()

    def threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(2):
        before = threads()
        small().fit(X, y)
        assert threads() == before


def test_the_defaults_are_accurate_and_calibrated_and_the_out_of_fold_loss_is_realistic():
    # The ensemble is better than its members, calibrated, and estimates its own error.
    X, y = make_classification(1500, 12, n_informative=8, n_classes=3, flip_y=0.1, class_sep=0.8, random_state=1)
    train, test = np.arange(600), np.arange(600, 1500)
    clf = BackpropClassifierCV(random_state=0).fit(X[train], y[train])
    loss = log_loss(y[test], clf.predict_proba(X[test]))
    of_members = [log_loss(y[test], proba) for proba in clf.predict_proba_members(X[test])]
    assert loss < min(of_members)
    assert loss < clf.oof_log_loss_ + 0.1 < np.mean(of_members) + 0.1
    confidence, right = clf.predict_proba(X[test]).max(axis=1), clf.predict(X[test]) == y[test]
    assert abs(confidence.mean() - right.mean()) < 0.06
    plain = BackpropClassifier((64, 64), random_state=0).fit(X[train], y[train])
    assert loss < log_loss(y[test], plain.predict_proba(X[test])) - 0.2
