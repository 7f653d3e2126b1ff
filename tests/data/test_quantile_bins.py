"""Quantile bins: the formula, columns of two values, names."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbp import _core
from skbp._data.quantile_bins import QuantileBins


def columns(n=400, dtype=np.float64):
    rng = np.random.default_rng(0)
    numbers = [rng.normal(size=n), rng.integers(0, 2, n), rng.integers(0, 3, n), np.full(n, 2.5)]
    return np.column_stack(numbers).astype(dtype)


def by_hand(column, n_bins):
    edges = np.unique(np.quantile(column, np.linspace(0.0, 1.0, n_bins + 1)))
    bins = [np.interp(column, pair, [0.0, 1.0]) for pair in pairwise(edges)]
    return np.array(bins).T - np.mean(bins, axis=1)


@pytest.mark.parametrize("n_bins", [1, 2, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_formula(dtype, n_bins):
    X = columns(dtype=dtype)
    bins = QuantileBins(n_bins).fit(X)
    encoded = bins.transform(X)
    assert encoded.dtype == dtype
    expected = np.hstack([by_hand(X[:, 0].astype(np.float64), n_bins), X[:, [1]], by_hand(X[:, 2], n_bins)])
    assert_allclose(encoded, expected, rtol=1e-5, atol=1e-6)  # a column of one value has no bin
    assert_array_equal(bins.feature_, [0] * n_bins + [1] + [2] * (encoded.shape[1] - n_bins - 1))


def test_values_beyond_the_training_rows_are_those_at_its_ends():
    X = columns()
    bins = QuantileBins(4).fit(X)
    far = np.array([[1e300, 1.0, 9.0, 0.0], [-1e300, 0.0, -9.0, 0.0]])
    assert_array_equal(bins.transform(far), bins.transform(np.array([X.max(axis=0), X.min(axis=0)])))


def test_names_tell_where_a_bin_starts():
    X = np.arange(9.0)[:, None] * [1.0, 0.0] + [0.0, 1.0]
    X[4:, 1] = 0.0
    bins = QuantileBins(4).fit(X)
    assert list(bins.get_feature_names_out(["size", "open"])) == [
        "size > 0",
        "size > 2",
        "size > 4",
        "size > 6",
        "open",
    ]


def test_names_of_close_edges_differ():
    X = np.random.default_rng(0).normal(0.5926, 1e-6, size=(100, 1))
    names = QuantileBins().fit(X).get_feature_names_out(["a"])
    assert len(set(names)) == 16


def test_rows_with_another_number_of_columns_are_refused():
    with pytest.raises(ValueError, match="X has 2 columns, but QuantileBins is fitted on 4"):
        QuantileBins().fit(columns()).transform(np.zeros((3, 2)))


needs_core = pytest.mark.skipif(_core.encode_bins is None, reason=f"no compiled core: {_core.why_absent}")


@needs_core
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [1, 3, 5001])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_core_does_the_same(n_threads, n, order, dtype):
    X = np.asarray(columns(n, dtype), order=order)
    bins = QuantileBins().fit(columns())
    X[0, 0] = np.finfo(dtype).max
    assert_allclose(
        bins.encoded(X, n_threads), bins.encoded(X), rtol=1e-6 if dtype == np.float32 else 1e-14, atol=1e-15
    )


@needs_core
def test_the_core_refuses_what_does_not_fit():
    X, out, feature, coefficients = np.zeros((3, 2)), np.zeros((3, 4)), np.array([0, 0, 1, 1]), np.ones((3, 4))
    _core.encode_bins(X, out, feature, coefficients, 1)
    for wrong in (
        (X[:2], out, feature, coefficients),
        (X.astype(np.float32), out, feature, coefficients),
        (X, out, feature + 1, coefficients),
        (X, out, feature - 1, coefficients),
        (X, out, feature[:3], coefficients),
        (X, out, feature.astype(np.int16), coefficients),
        (X, out, feature, coefficients[:2]),
        (X, out.T, feature, coefficients),
    ):
        with pytest.raises(TypeError, match="do not fit together"):
            _core.encode_bins(*wrong, 1)
