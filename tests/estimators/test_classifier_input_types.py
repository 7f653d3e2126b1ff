"""Types, containers and memory layouts of the rows."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from registries import SOLVERS, UPDATES
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from small_networks import assert_same_weights, for_mini_batches, random_weights, small, with_rounding_kept_small
from toy_datasets import TARGETS, linear_rule

from skbp import BackpropClassifier

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_data_stay_float32(solver, kind):
    X, y = linear_rule(kind, dtype=np.float32)
    params = {**with_rounding_kept_small(solver), "early_stopping": True}
    clf = small(**params).fit(X, y, sample_weight=np.ones(60))
    assert {w.dtype for w in clf.coefs_ + clf.intercepts_} == {np.dtype(np.float32)}
    for method in (clf.predict_proba, clf.predict_log_proba, clf.decision_function):
        assert method(X).dtype == np.float32
    in_double = small(**params).fit(X.astype(np.float64), y)
    assert_allclose(clf.predict_proba(X), in_double.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("given", "dtype"), [(np.float64, "float32"), (np.float32, "float64")])
def test_training_computes_in_dtype_and_predictions_have_the_type_of_the_data(solver, given, dtype):
    X, y = linear_rule("multiclass", dtype=given)
    clf = small(solver=solver, dtype=dtype).fit(X, y)
    assert {w.dtype for w in clf.coefs_ + clf.intercepts_} == {np.dtype(dtype)}
    assert_same_weights(clf, small(solver=solver).fit(X.astype(dtype), y))
    assert clf.predict_proba(X).dtype == given
    assert clf.decision_function(X).dtype == given


def test_partial_fit_and_warm_start_keep_the_type_of_the_first_call():
    X, y = linear_rule("binary", dtype=np.float32)
    clf = small(warm_start=True).fit(X, y).fit(X.astype(np.float64), y)
    clf.partial_fit(X.astype(np.float64), y)
    assert {w.dtype for w in clf.coefs_} == {np.dtype(np.float32)}


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.coo_array])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_data_give_the_weights_of_dense_data(solver, container):
    X, y = linear_rule("multiclass")
    X[np.random.RandomState(1).uniform(size=X.shape) < 0.6] = 0.0
    params = with_rounding_kept_small(solver) | for_mini_batches(solver, batch_size=25)
    dense = small(**params).fit(X, y)
    clf = small(**params).fit(container(X), y)
    for a, b in zip(clf.coefs_, dense.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-7, atol=1e-10)
    assert_allclose(clf.predict_proba(container(X)), clf.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_data_are_never_densified(solver, container):
    # As a dense array all rows would take 800 MB, a batch of 200 rows 32 MB, and a chunk of 1024 rows 164 MB. BFGS keeps
    # a square matrix of all parameters, and trust-krylov as many Lanczos vectors. For these two the data have fewer
    # columns and more rows, 64 MB as a dense array.
    n_rows, n_features = (40_000, 200) if solver in {"bfgs", "trust-krylov"} else (5000, 20_000)
    columns = np.random.RandomState(0).randint(n_features, size=n_rows)
    X = container(sp.coo_array((np.ones(n_rows), (np.arange(n_rows), columns)), shape=(n_rows, n_features)))
    y = np.arange(n_rows) % 2
    clf = small(hidden_layer_sizes=(2,), solver=solver, max_iter=1, early_stopping=True)
    tracemalloc.start()
    try:
        clf.fit(X, y).predict_proba(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 25e6


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_set_feature_names_and_frames_with_other_names_are_refused(frame):
    X, y = linear_rule("binary")
    names = ["width", "height", "depth", "mass"]
    series = pd.Series(y) if frame is pd.DataFrame else pl.Series(y)
    if not hasattr(StandardScaler().fit(frame(dict(zip(names, X.T, strict=True)))), "feature_names_in_"):
        pytest.skip("The oldest scikit-learn does not read the column names of the newest polars")
    clf = small().fit(frame(dict(zip(names, X.T, strict=True))), series)
    assert clf.feature_names_in_.tolist() == names
    assert_same_weights(clf, small().fit(X, y))
    assert_array_equal(clf.predict(frame(dict(zip(names, X.T, strict=True)))), small().fit(X, y).predict(X))
    swapped = frame(dict(zip(names[::-1], X.T, strict=True)))
    other = frame(dict(zip(["volume", *names[1:]], X.T, strict=True)))
    for wrong in (swapped, other):
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(wrong)
        with pytest.raises(ValueError, match="feature names should match"):
            clf.partial_fit(wrong, series)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_read_only_memory_maps_are_accepted(tmp_path, solver, early_stopping):
    X, y = linear_rule("binary")
    w = np.linspace(0.5, 1.5, len(y))
    maps = []
    for name, array in (("X", X), ("y", y), ("w", w)):
        array.tofile(tmp_path / name)
        maps.append(np.memmap(tmp_path / name, mode="r", dtype=array.dtype, shape=array.shape))
    clf = small(solver=solver, early_stopping=early_stopping).fit(*maps)
    assert_same_weights(clf, small(solver=solver, early_stopping=early_stopping).fit(X, y, w))
    assert_array_equal(clf.predict(maps[0]), clf.predict(X))


@pytest.mark.parametrize("solver", SOLVERS)
def test_fortran_order_and_strided_rows_equal_c_order(solver):
    X, y = linear_rule("binary")
    clf = small(solver=solver).fit(X, y)
    for view in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], np.hstack([X, X])[:, :4]):
        other = small(solver=solver).fit(view, y)
        assert_allclose(other.predict_proba(view), clf.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("sparse", [False, True])
def test_the_callers_arrays_are_never_changed(solver, early_stopping, sparse):
    X, y = linear_rule("multiclass")
    w = np.linspace(0.0, 1.0, len(y))
    coefs, intercepts = random_weights([4, 5, 3])
    X = sp.csr_array(X) if sparse else X
    arrays = [X.data if sparse else X, y, w, *coefs, *intercepts]
    before = [array.tobytes() for array in arrays]
    clf = small(solver=solver, early_stopping=early_stopping, class_weight="balanced")
    clf.fit(X, y, w, coef_init=coefs, intercept_init=intercepts)
    assert not any(np.shares_memory(a, b) for a in clf.coefs_ + clf.intercepts_ for b in coefs + intercepts)
    clf.predict(X), clf.predict_proba(X), clf.predict_log_proba(X), clf.decision_function(X), clf.score(X, y, w)
    if solver in UPDATES:
        clf.partial_fit(X, y, w)
    assert [array.tobytes() for array in arrays] == before


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_steps_on_the_nonzero_columns_equal_steps_on_all_columns(hidden, weight_decay):
    rng = np.random.default_rng(0)
    X = sp.csr_array(rng.standard_normal((60, 500)) * (rng.random((60, 500)) < 0.01))
    y = np.arange(60) % 3
    plain = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": 8, "learning_rate_init": 0.5, "max_iter": 5}
    clf = BackpropClassifier(hidden, **plain, weight_decay=weight_decay, random_state=0).fit(X, y)
    # With max_grad_norm the whole gradient is needed. This limit never shortens it.
    whole = clone(clf).set_params(max_grad_norm=1e6).fit(X, y)
    dense = clone(clf).fit(X.toarray(), y)
    for one, other in ((whole, 0.0), (dense, 1e-12)):
        for ours, theirs in zip(clf.coefs_ + clf.intercepts_, one.coefs_ + one.intercepts_, strict=True):
            assert_allclose(ours, theirs, rtol=0.0, atol=other)
    start = clone(clf).set_params(learning_rate_init=1e-300).fit(X, y).coefs_[0]
    assert (abs(clf.coefs_[0] - start).max(axis=1) > 1e-3).any()
