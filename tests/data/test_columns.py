"""Which columns are categories, and the transformer for all columns."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import OneHotEncoder

from skbp._data.column_scaler import ColumnScaler
from skbp._data.columns import Categories, categorical_columns, make_preprocessor
from skbp._data.tables import as_table


def table(n=30):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": rng.normal(100.0, 10.0, n),
            "town": rng.choice(["north", "south"], n),
            "grade": pd.Categorical(rng.choice([1, 2, 3], n)),
            "open": rng.random(n) < 0.5,
        }
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("from_dtype", [False, True, True, False]),
        (["town", "open"], [False, True, False, True]),
        ([1, 3], [False, True, False, True]),
        (np.array([1, 2]), [False, True, True, False]),
        ([False, True, False, False], [False, True, False, False]),
        (("town",), [False, True, False, False]),
    ],
)
def test_columns_that_are_categories(given, expected):
    assert_array_equal(categorical_columns(table(), given), expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "Column 'town' of X holds text, but is not in categorical_features"),
        (["grade"], "Column 'town' of X holds text"),
        (["size", "twon"], r"categorical_features has \['twon'\], which X does not have"),
        ([4], r"categorical_features has \[4\], but the columns of X have the numbers 0 to 3"),
        ([-1], r"categorical_features has \[-1\]"),
        ([True, False], "categorical_features is a mask of 2 columns, but X has 4"),
        ([[1]], "categorical_features must be a list"),
        ([1.5], "must hold column names, column numbers, or True and False"),
        (["town", 1], "must hold column names|which X does not have"),
    ],
)
def test_categorical_features_that_do_not_fit(given, message):
    with pytest.raises(ValueError, match=message):
        categorical_columns(table(), given)


def test_names_need_a_table_with_names():
    with pytest.raises(ValueError, match="has names, but X has none"):
        categorical_columns(np.zeros((3, 2)), ["a"])
    assert_array_equal(categorical_columns(np.zeros((3, 2)), [1]), [False, True])
    assert_array_equal(categorical_columns(sp.csr_array((3, 2)), "from_dtype"), [False, False])


def test_numbers_are_scaled_and_categories_are_one_hot():
    X = table()
    transformer = make_preprocessor(np.array([False, True, True, False]), scale=True)
    rows = transformer.fit_transform(X)
    numbers = ColumnScaler().fit_transform(X[["size", "open"]])
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(X[["town", "grade"]])
    assert_allclose(rows, np.hstack([numbers, one_hot]))
    assert list(transformer.get_feature_names_out()) == [
        "size",
        "open",
        "town_north",
        "town_south",
        "grade_1",
        "grade_2",
        "grade_3",
    ]


def test_a_table_of_categories_only():
    X = pd.DataFrame({"town": ["a", "b"] * 5})
    transformer = make_preprocessor(np.array([True]), scale=True).fit(X)
    assert_array_equal(transformer.transform(X), np.tile(np.eye(2), (5, 1)))


def test_rare_and_new_categories_share_a_column():
    X = pd.DataFrame({"town": ["a"] * 10 + ["b"] * 10 + ["c", "d", None]})
    transformer = make_preprocessor(np.array([True]), scale=True).fit(X)
    assert list(transformer.get_feature_names_out()) == ["town_a", "town_b", "town_infrequent_sklearn"]
    new = pd.DataFrame({"town": ["a", "c", "new", None, np.nan]})
    assert_array_equal(transformer.transform(new), [[1, 0, 0], *[[0, 0, 1]] * 4])


def test_missing_categories_are_a_category_whatever_their_sign():
    X = pd.DataFrame({"town": ["a"] * 10 + [None] * 3 + [np.nan] * 3 + [pd.NA] * 3}, dtype=object)
    transformer = make_preprocessor(np.array([True]), scale=True).fit(X)
    assert list(transformer.get_feature_names_out()) == ["town_a", "town_None"]
    for other in (X.astype("string"), X.astype("category"), as_table(pl.from_pandas(X.astype("string")))):
        assert_array_equal(transformer.transform(other)[:, 1], np.repeat([0.0, 1.0], [10, 9]))


def test_categories_that_are_numbers_are_known_in_another_type():
    X = pd.DataFrame({"grade": pd.Categorical([1, 2, 3] * 10)})
    transformer = make_preprocessor(np.array([True]), scale=True).fit(X)
    expected = transformer.transform(X)
    for dtype in ("int8", "float64", "Int64", object):
        assert_array_equal(transformer.transform(X.astype(dtype)), expected)


def test_many_categories_make_sparse_rows():
    X = pd.DataFrame({"id": np.repeat(np.arange(300).astype(str), 5)})
    rows = make_preprocessor(np.array([True]), scale=True).fit_transform(X)
    assert sp.issparse(rows)
    assert rows.shape == (1500, 300)


def test_objects_of_a_table():
    values = Categories().fit(table()).transform(table())
    assert values.dtype == object
    assert_array_equal(values[:, 1], table()["town"].tolist())
