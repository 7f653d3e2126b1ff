"""Columns of numbers: scale, limit of outliers, gaps."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import RobustScaler, StandardScaler

from skbp import _core
from skbp._data.column_scaler import ColumnScaler

needs_core = pytest.mark.skipif(_core.scale_columns is None, reason=f"no compiled core: {_core.why_absent}")


def columns(n=501, dtype=np.float64):
    rng = np.random.default_rng(0)
    return np.column_stack(
        [
            rng.normal(1e6, 1.0, n),
            rng.exponential(1e-5, n),
            rng.standard_cauchy(n),
            rng.integers(0, 2, n),
            np.full(n, 7.0),
            np.where(np.arange(n) % 10, 0.0, np.arange(n) % 3 + 5.0),
        ]
    ).astype(dtype)


def by_hand(X):
    """The formula, with scikit-learn's scalers."""
    robust = RobustScaler().fit(X)
    spread = np.where(robust.scale_ == 1.0, np.ptp(X, axis=0) / 2.0, robust.scale_)
    z = (X - robust.center_) / np.where(spread > 0.0, spread, 1.0)
    return StandardScaler().fit_transform(z / np.sqrt(1.0 + (z / 3.0) ** 2))


def test_the_formula():
    X = columns()
    scaled = ColumnScaler().fit_transform(X)
    expected = by_hand(X)
    expected[:, 3] = X[:, 3]  # columns of 0 and 1 keep their values
    assert_allclose(scaled, expected, atol=1e-9)
    assert_allclose(scaled[:, [0, 1, 2, 5]].mean(axis=0), 0.0, atol=1e-12)
    assert_allclose(scaled[:, [0, 1, 2, 5]].std(axis=0), 1.0, rtol=1e-12)
    assert_array_equal(scaled[:, 4], 0.0)


def test_columns_of_two_values_become_0_and_1():
    X = np.random.default_rng(0).integers(0, 2, (40, 4)) * [1.0, 2.0, -1e300, 1e-310] + [0.0, 1.0, 5e299, 0.0]
    X[3, 1] = np.nan
    scaled = ColumnScaler().fit_transform(X)
    expected = (np.nanmin(X, axis=0) < X).astype(float)
    expected[3, 1] = np.nanmedian(X[:, 1]) > 2.0
    expected[:, 3] = 0.0  # the two are too close to be told apart
    assert_array_equal(scaled, expected)


@pytest.mark.parametrize("n_threads", [0, 2])
def test_other_values_count_as_the_nearer_of_the_two(n_threads):
    X = np.array([[0.0, 0.1, 5.0]] * 3 + [[1.0, 0.7, 5.0]] * 4)
    scaler = ColumnScaler().fit(X)
    others = np.array([[-999.0, 1e300, 30.0], [999.0, -1e300, 5.0], [np.nan, np.nan, np.nan], [0.75, 0.1, -1e300]])
    expected = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.75, 0.0, 0.0]]
    assert_allclose(scaler.scaled(others, n_threads), expected, atol=1e-5)


def test_a_column_with_as_many_of_both_values_has_the_lower_one_in_its_gaps():
    assert_array_equal(ColumnScaler().fit_transform([[3.0], [8.0], [np.nan]]), [[0.0], [1.0], [0.0]])


def test_the_type_is_that_of_the_rows_and_sums_are_of_float64():
    X = columns(dtype=np.float32)
    scaled = ColumnScaler().fit_transform(X)
    assert scaled.dtype == np.float32
    assert_allclose(scaled, ColumnScaler().fit_transform(X.astype(np.float64)), rtol=1e-6, atol=1e-7)


def test_wild_values_squeeze_no_other_values():
    X = np.random.default_rng(0).normal(size=(1000, 3))
    wild = X.copy()
    wild[:5] = [[1e6, -1e300, np.finfo(np.float64).max]] * 5
    tame, scaled = ColumnScaler().fit_transform(X)[5:], ColumnScaler().fit_transform(wild)[5:]
    assert_allclose(scaled, tame, atol=0.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_numbers_give_finite_results(dtype):
    limits = np.finfo(dtype)
    X = np.array([[limits.max, limits.smallest_subnormal], [-limits.max, 0.0], [limits.max, 0.0], [0.0, 1.0]], dtype)
    with np.errstate(all="raise"):
        scaler = ColumnScaler().fit(X)
        assert np.isfinite(scaler.transform(X)).all()
        assert np.isfinite(scaler.transform(-X)).all()


def test_gaps_become_the_median_and_do_not_move_it():
    X = columns()
    gappy = np.insert(X, [3, 100, 400], np.nan, axis=0)
    scaler = ColumnScaler().fit(gappy)
    medians = np.median(X, axis=0)
    filled = np.where(np.isnan(gappy), medians, gappy)
    assert_allclose(scaler.transform(gappy), scaler.transform(filled))
    # Gaps only at prediction are filled too.
    assert_allclose(ColumnScaler().fit(X).transform(np.full((1, 6), np.nan))[0, 3], medians[3])


@pytest.mark.parametrize("scale", [True, False])
def test_a_column_without_values_is_left_out_with_a_warning(scale):
    X = columns()
    X[:, [1, 4]] = np.nan
    scaler = ColumnScaler(scale)
    with pytest.warns(UserWarning, match="X has columns 1, 4 without a value in any row"):
        scaler.fit(X)
    assert_array_equal(scaler.get_feature_names_out(), ["x0", "x2", "x3", "x5"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_allclose(scaler.transform(X), ColumnScaler(scale).fit_transform(X[:, [0, 2, 3, 5]]))


def test_without_scaling_numbers_keep_their_bits_and_gaps_are_filled():
    X = columns()
    assert ColumnScaler(scale=False).fit(X).scaled(X) is X
    X[4, 1] = np.nan
    scaled = ColumnScaler(scale=False).fit_transform(X)
    assert scaled[4, 1] == np.nanmedian(X[:, 1])
    assert_array_equal(np.delete(scaled, 4, axis=0), np.delete(X, 4, axis=0))


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array])
def test_sparse_columns_stay_sparse(container):
    X = np.where(np.random.default_rng(0).random((50, 4)) < 0.7, 0.0, columns(50)[:, [0, 1, 2, 3]])
    scaled = ColumnScaler().fit_transform(container(X))
    assert sp.issparse(scaled)
    assert_allclose(scaled.toarray(), X / np.abs(X).max(axis=0))


@pytest.mark.parametrize("scale", [True, False])
def test_rows_may_be_sparse_at_prediction_only_or_in_training_only(scale):
    X = np.where(np.random.default_rng(0).random((50, 6)) < 0.7, 0.0, columns(50))
    for train, other in ((np.asarray, sp.csr_array), (sp.csr_array, np.asarray)):
        scaler = ColumnScaler(scale).fit(train(X))
        one, two = scaler.transform(train(X)), scaler.transform(other(X))
        one, two = (rows.toarray() if sp.issparse(rows) else rows for rows in (one, two))
        assert_allclose(one, two, atol=1e-14)


def test_infinity_is_refused():
    with pytest.raises(ValueError, match="infinity"):
        ColumnScaler().fit([[1.0], [np.inf]])


@needs_core
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F", "every other"])
@pytest.mark.parametrize("n", [1, 3, 5001])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_core_does_the_same(n_threads, n, order, dtype):
    X = np.hstack([columns(n), np.random.default_rng(1).normal(size=(n, 300))]).astype(dtype)
    scaler = ColumnScaler().fit(np.hstack([columns(), np.random.default_rng(2).normal(size=(501, 300))]))
    X[0, :9] = [np.nan, np.finfo(dtype).max, -np.finfo(dtype).max, np.nan, 1e30, 0.0, -0.0, 1e-30, 3.0]
    X = {"C": X, "F": np.asfortranarray(X), "every other": np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2]}[
        order
    ]
    with np.errstate(over="ignore"):
        expected = scaler.scaled(X)
    assert_allclose(scaler.scaled(X, n_threads), expected, rtol=1e-6 if dtype == np.float32 else 1e-12, atol=1e-6)


@needs_core
def test_the_core_refuses_what_does_not_fit():
    X = np.zeros((3, 2))
    for wrong in (
        (X[:2], X, np.zeros((7, 2))),
        (X, X, np.zeros((6, 2))),
        (X, X, np.zeros((7, 3))),
        (X, X.astype(np.float32), np.zeros((7, 2))),
        (X, X, np.zeros((7, 2), np.float32)),
        (X.astype(np.float16), X.astype(np.float16), np.zeros((7, 2))),
        (X, np.zeros((2, 3)).T, np.zeros((7, 2))),
    ):
        with pytest.raises(TypeError, match="do not fit together"):
            _core.scale_columns(*wrong, 1)
