"""Another scale of X_val: every scaler of every bundled table raises the alarm. Splits, trends and groups raise none."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import ShuffleSplit
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skbp._data.scales import far_columns

TABLES = {
    "iris": load_iris().data,
    "wine": load_wine().data,
    "breast cancer": load_breast_cancer().data,
    "digits": load_digits().data[:, 16:48],  # half of the picture: the power transformer takes seconds for all
    "diabetes": load_diabetes(scaled=False).data,
}
TRANSFORMERS = {
    "standard": StandardScaler(),
    "min-max": MinMaxScaler(),
    "max-abs": MaxAbsScaler(),
    "robust": RobustScaler(),
    "uniform": QuantileTransformer(n_quantiles=50),
    "normal": QuantileTransformer(n_quantiles=50, output_distribution="normal"),
    "power": PowerTransformer(),
    "PCA": PCA(),
    "normalizer": Normalizer(),
}


def split(X, n_val, seed):
    train, val = next(ShuffleSplit(1, test_size=n_val, random_state=seed).split(X))
    return X[train], X[val]


def hard_columns(seed):
    """Columns that differ after a random split: heavy tails, rare values, few values, two clusters, no spread."""
    rng = np.random.default_rng(seed)
    n = 300
    return np.column_stack(
        [
            np.exp(3.0 * rng.normal(size=n)),
            rng.standard_cauchy(n),
            rng.standard_t(2, n),
            rng.poisson([0.1, 1.0, 30.0], (n, 3)),
            rng.random((n, 4)) < [0.01, 0.25, 0.5, 0.75],
            np.eye(50)[rng.integers(0, 50, n)],
            np.where(rng.random(n) < 0.25, 100.0, 0.0) + rng.normal(size=n),
            np.where(rng.random(n) < 0.03, np.exp(3.0 * rng.normal(size=n)), 0.0),
            np.ones(n),
        ]
    )


@pytest.mark.parametrize("n_val", [1, 2, 5, 10, 20, 0.1, 0.2])
@pytest.mark.parametrize("table", TABLES)
def test_plain_splits_raise_no_alarm(table, n_val):
    for seed in range(5):
        X, X_val = split(TABLES[table], n_val, seed)
        assert far_columns(X, X_val).size == 0
        scaler = StandardScaler().fit(X)
        assert far_columns(scaler.transform(X), scaler.transform(X_val)).size == 0


@pytest.mark.parametrize("n_val", [1, 5, 10, 0.2])
def test_plain_splits_of_hard_columns_raise_no_alarm(n_val):
    for seed in range(3):
        X, X_val = split(hard_columns(seed), n_val, seed)
        assert far_columns(X, X_val).size == 0
        for j in range(10):
            assert far_columns(X[:, [j]], X_val[:, [j]]).size == 0


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("table", TABLES)
def test_raw_validation_rows_beside_transformed_ones_raise_the_alarm(table, name):
    X, X_val = split(TABLES[table], 0.2, 0)
    X = X[:300]
    transformer = TRANSFORMERS[name].fit(X)
    assert far_columns(transformer.transform(X), X_val).size > 0
    assert far_columns(transformer.transform(X), transformer.transform(X_val)).size == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_scaled_column_beside_raw_ones_is_named(dtype):
    X, X_val = split(TABLES["breast cancer"].astype(dtype), 0.2, 0)
    X = X.copy()
    X[:, [3]] = StandardScaler().fit_transform(X[:, [3]])
    assert_array_equal(far_columns(X, X_val), [3])


def test_raw_integers_beside_scaled_ones_are_found_by_their_values():
    X = np.random.default_rng(0).integers(0, 2, (200, 8)).astype(float)
    X_val = X[:40]
    # Twice as wide and about the same centre: no entry lies outside by much.
    scaler = StandardScaler().fit(X)
    assert_array_equal(far_columns(scaler.transform(X), X_val), np.arange(8))
    assert far_columns(scaler.transform(X), scaler.transform(X_val)).size == 0
    # One column of new values is no other scale: a code of the site, or the year.
    X_val = np.hstack([X_val[:, :7], X_val[:, 7:] + 0.5])
    assert far_columns(X, X_val).size == 0


def test_raw_rows_that_are_tiny_beside_scaled_ones_raise_the_alarm():
    raw = np.random.default_rng(0).normal(0.005, 0.001, (300, 5))
    X, X_val = raw[:240], raw[240:]
    assert_array_equal(far_columns(StandardScaler().fit_transform(X), X_val), np.arange(5))


@pytest.mark.parametrize("share", [0.1, 0.2])
@pytest.mark.parametrize("n_columns", [1, 5])
def test_a_split_by_time_raises_no_alarm(share, n_columns):
    rng = np.random.default_rng(0)
    time = np.linspace(0.0, 1.0, 500)[:, np.newaxis] * np.ones(n_columns)
    train, val = slice(0, int(500 * (1.0 - share))), slice(int(500 * (1.0 - share)), None)
    noise = rng.normal(size=time.shape)
    year = np.hstack([np.floor(10.0 * time[:, :1]), noise])
    for X in (time, 1.7e9 + 3e7 * time, time**2, np.exp(3.0 * time), 5.0 * time + noise, noise.cumsum(axis=0), year):
        assert far_columns(X[train], X[val]).size == 0


def test_another_group_raises_no_alarm():
    for name, X in TABLES.items():
        # The group: the rows with the largest values of a column.
        for column in X.T[:10]:
            order = np.argsort(column, kind="stable")
            assert far_columns(X[order[: len(X) * 4 // 5]], X[order[len(X) * 4 // 5 :]]).size == 0, name
    X = np.random.default_rng(0).normal(size=(500, 5))
    for shift in (1.0, 2.0, 3.0):
        assert far_columns(X[:400], X[400:] + shift).size == 0
    # Groups that have nothing in common do.
    assert_array_equal(far_columns(X[:400], X[400:] + 10.0), np.arange(5))


def test_constant_columns_say_nothing():
    X, X_val = split(TABLES["wine"], 0.2, 0)
    X, X_val = np.insert(X, 0, 0.0, axis=1), np.insert(X_val, 0, 7.0, axis=1)
    assert far_columns(X, X_val).size == 0
    assert 0 not in far_columns(StandardScaler().fit_transform(X), X_val)
    assert far_columns(np.zeros((20, 2)), np.ones((20, 2))).size == 0
    assert far_columns(np.zeros((20, 2)), np.arange(40.0).reshape(20, 2)).size == 0


def test_components_without_spread_say_nothing():
    # 29 components of 30 rows have a spread, and the last is rounding. For other rows it is not.
    X = np.random.default_rng(0).normal(size=(60, 100))
    pca = PCA().fit(X[:30])
    assert far_columns(pca.transform(X[:30]), pca.transform(X[30:])).size == 0


@pytest.mark.parametrize("n_val", [1, 4])
def test_few_rows_say_nothing(n_val):
    X = TABLES["breast cancer"]
    assert far_columns(StandardScaler().fit_transform(X), X[:n_val]).size == 0


@pytest.mark.parametrize("n_val", [5, 20])
def test_a_few_rows_are_enough_if_the_scale_differs_by_much(n_val):
    for table in ("wine", "breast cancer", "diabetes"):
        X, X_val = split(TABLES[table], n_val, 0)
        assert far_columns(StandardScaler().fit_transform(X), X_val).size > 0


def word_counts(rng):
    rates = rng.gamma(0.3, size=(400, 1_500)) / np.arange(1, 1_501)
    return sp.csr_matrix(rng.poisson(200.0 * rates / rates.sum(axis=1, keepdims=True)).astype(float))


def test_sparse_counts():
    counts = word_counts(np.random.default_rng(0))
    X, X_val = counts[:320], counts[320:]
    tfidf = TfidfTransformer().fit(X)
    assert far_columns(X, X_val).size == 0
    assert far_columns(tfidf.transform(X), tfidf.transform(X_val)).size == 0
    far = far_columns(tfidf.transform(X), X_val)
    assert far.size > 0
    assert np.isin(np.arange(10), far).all()  # the most frequent words


def test_sparse_and_dense_agree():
    X, X_val = split(TABLES["digits"], 0.2, 0)
    X = MinMaxScaler().fit_transform(X)
    expected = far_columns(X, X_val)
    for of_X in (np.asarray, sp.csr_matrix, sp.csr_array):
        for of_val in (np.asarray, sp.csr_matrix, sp.csr_array):
            assert_array_equal(far_columns(of_X(X), of_val(X_val)), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_values_raise_no_numpy_warning(dtype):
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    tables = [rng.choice(np.array([-1, 1, 0.5], dtype), (50, 3)) * size for size in (info.max, info.tiny, 1)]
    tables += [np.full((50, 3), info.smallest_subnormal), np.zeros((50, 3), dtype), tables[0] * [1, 0, info.tiny]]
    for X in tables:
        assert X.dtype == dtype or X is tables[-1]
        assert far_columns(X, X[:20]).size == 0
        for X_val in tables:
            far_columns(X, X_val[:20])
            far_columns(sp.csr_matrix(X), sp.csr_matrix(X_val[:20]))
    # Normal numbers beside the largest ones.
    scaled = rng.normal(size=(50, 3)).astype(dtype)
    assert_array_equal(far_columns(scaled, scaled[:20] * dtype(info.max / 4)), [0, 1, 2])


def test_rows_sorted_by_class_are_sampled_over_all_of_them():
    X = np.repeat(np.arange(4.0) * 100.0, 2_000)[:, np.newaxis] + np.random.default_rng(0).normal(size=(8_000, 1))
    assert far_columns(X, X[::10]).size == 0


def test_data_are_left_as_they_are():
    X, X_val = split(TABLES["wine"], 0.2, 0)
    copies = X.copy(), X_val.copy()
    far_columns(X, X_val)
    assert_array_equal(X, copies[0])
    assert_array_equal(X_val, copies[1])
