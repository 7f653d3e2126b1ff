"""scikit-learn's transformers, fitted anew on a small table, are those that were fitted on the data."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import sklearn
from mutilated import changed
from numpy.testing import assert_array_equal
from sklearn.preprocessing import StandardScaler

from skbp._data.columns import categorical_columns, make_preprocessor
from skbp._data.quantile_bins import QuantileBins
from skbp._estimators.dictionary_of_columns import read_bins, read_columns, written_bins, written_columns
from skbp._estimators.plain_data import written_array

pytestmark = pytest.mark.filterwarnings("ignore:X has column .* without a value in any row")

RNG = np.random.default_rng(0)
N = 40
COLUMNS = {
    "text": RNG.choice(["x", "y", "z"], N),
    "gaps": np.where(RNG.random(N) < 0.3, None, RNG.choice(["x", "y"], N)),
    "rare gaps": np.array([None, None, *["x"] * 10, *["y"] * (N - 12)], dtype=object),
    "all rare": np.array([f"{i}" for i in range(N)]),
    "some rare": np.array([*["often"] * 20, *[f"{i}" for i in range(N - 20)]]),
    "numbers": np.array([1, 2.5, True, 10**30] * (N // 4), dtype=object),
    "rare numbers": np.arange(N).astype(object),
    "infinite": np.array([np.inf, -np.inf, 0.0, 1.0] * (N // 4), dtype=object),
    "empty": np.full(N, None),
}
NAMES = list(COLUMNS)
TABLE = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in COLUMNS.items()})
TABLE.insert(3, "a number", RNG.normal(size=N))
TABLE["another number"] = np.where(RNG.random(N) < 0.2, np.nan, RNG.normal(size=N))
TABLE["no number"] = np.nan


def fitted(table, categories, scale=True):
    return make_preprocessor(categorical_columns(table, categories), scale).fit(table)


def again(preprocessor, table):
    content = json.loads(json.dumps(written_columns(preprocessor), allow_nan=False))
    names = getattr(preprocessor, "feature_names_in_", None)
    back = read_columns(content, table.shape[1], names, "columns")
    assert written_columns(back) == content
    return back


def state(transformer):
    """All attributes of a transformer and of those in it, private ones too, as text."""
    inner = [one for _, one, _ in getattr(transformer, "transformers_", [])]
    inner += [one for _, one in getattr(transformer, "steps", [])]
    own = {name: value for name, value in vars(transformer).items() if name not in {"transformers_", "steps"}}
    if "output_indices_" in own:
        own["output_indices_"] = dict(sorted(own["output_indices_"].items()))
    return [type(transformer), *sorted((name, repr(value)) for name, value in own.items()), *map(state, inner)]


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("with_names", [True, False])
@pytest.mark.parametrize("names", [NAMES, ["text"], ["all rare", "rare numbers"], [*TABLE][:3]], ids=len)
def test_every_attribute_is_as_after_fit(names, with_names, scale):
    table = TABLE[[*names, *(["a number", "another number", "no number"] if len(names) != 3 else [])]]
    given = table if with_names else table.to_numpy(dtype=object)
    categories = [i for i, name in enumerate(table.columns) if name in NAMES]
    preprocessor = fitted(given, categories, scale)
    back = again(preprocessor, given)
    assert state(back) == state(preprocessor)
    new = given.copy()
    (new.iloc if with_names else new)[:9, 0] = "unknown"
    for rows in (given, new):
        expected, got = preprocessor.transform(rows), back.transform(rows)
        assert type(got) is type(expected)
        as_dense = np.asarray if isinstance(got, np.ndarray) else lambda one: one.toarray()
        assert_array_equal(as_dense(got), as_dense(expected))
    assert_array_equal(back.get_feature_names_out(), preprocessor.get_feature_names_out())


def test_sparse_output():
    table = pd.DataFrame({"key": [f"{i % 60}" for i in range(600)]})
    preprocessor = fitted(table, ["key"])
    assert preprocessor.sparse_output_
    assert state(again(preprocessor, table)) == state(preprocessor)


def test_a_setting_for_frames_as_output_does_not_count():
    preprocessor = fitted(TABLE, NAMES)
    with sklearn.config_context(transform_output="pandas"):
        back = again(preprocessor, TABLE)
    assert state(back) == state(preprocessor)


def test_numbers_only():
    rows = TABLE[["a number", "another number", "no number"]]
    for table in (rows, rows.to_numpy()):
        preprocessor = fitted(table, None)
        assert state(again(preprocessor, table)) == state(preprocessor)


def test_quantile_bins():
    rows = np.column_stack([RNG.normal(size=N), RNG.random(N) < 0.5])
    bins = QuantileBins(4).fit(rows)
    back = read_bins(json.loads(json.dumps(written_bins(bins))), 2, "bins")
    back.n_features_in_ = 2
    assert state(back) == state(bins)
    assert_array_equal(back.transform(rows), bins.transform(rows))


def test_what_cannot_be_written_is_named():
    with pytest.raises(
        TypeError, match="preprocessor_, which is of type StandardScaler: it writes the one that fit makes"
    ):
        written_columns(StandardScaler())
    table = pd.DataFrame({"price": [Decimal("1.5"), Decimal(2)] * 5})
    with pytest.raises(TypeError, match=r"the category Decimal.*1.5.* of column 0, which is of type Decimal: convert"):
        written_columns(fitted(table, ["price"]))


CONTENT = written_columns(fitted(TABLE[["text", "a number", "numbers"]], ["text", "numbers"]))
ENCODING = {"kind": "text", "categories": ["x", "y"], "rare": [0]}


def coefficients(row, value):
    array = np.ones((7, 1))
    array[row] = value
    return written_array(array)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["scale"], 1, "columns.scale must be of type bool"),
        (["numbers"], None, "columns.numbers must be a dict with the keys"),
        (["numbers", "kept"], [1], r"columns.numbers.kept\[0\] must be from 0 to 0"),
        (["numbers", "kept"], [], r"columns.numbers.coefficients.shape must be \[7, 0\]"),
        (
            ["numbers", "coefficients"],
            coefficients(0, np.inf),
            "columns.numbers.coefficients has infinite numbers or nan",
        ),
        (
            ["numbers", "coefficients"],
            coefficients(4, np.nan),
            "columns.numbers.coefficients has infinite numbers or nan",
        ),
        (["numbers", "coefficients"], coefficients(4, -1.0), "has a negative number as the largest one of a column"),
        (["categories", "columns"], [], "columns.categories.columns must be a list of columns, or categories null"),
        (["categories", "columns"], [2, 0], "columns.categories.columns must be increasing numbers"),
        (["categories", "columns"], [0, 3], r"columns.categories.columns\[1\] must be from 0 to 2"),
        (
            ["categories", "columns"],
            [0, 1, 2],
            "columns.categories.encodings must be a list with an entry for each of 3",
        ),
        (["categories", "encodings"], [ENCODING], "must be a list with an entry for each of 2 columns"),
        (
            ["categories", "encodings", 0, "kind"],
            "date",
            r"encodings\[0\].kind must be one of \['text', 'number', ''\]",
        ),
        (
            ["categories", "encodings", 0, "kind"],
            "number",
            r"encodings\[0\].categories must be a list of null and values of",
        ),
        (["categories", "encodings", 0, "categories"], [], "must be a list of different values"),
        (["categories", "encodings", 0, "categories"], ["x", "x"], "must be a list of different values"),
        (["categories", "encodings", 1, "categories"], [1, True], "must be a list of different values"),
        (
            ["categories", "encodings", 1, "categories"],
            [{"float": "nan"}],
            "must be a list of null and values of the kind",
        ),
        (["categories", "encodings", 1, "categories"], [[1]], "must be a list of null and values of the kind"),
        (["categories", "encodings", 0, "rare"], [3], r"encodings\[0\].rare\[0\] must be from 0 to 2"),
        (["categories", "sparse_output"], None, "columns.categories.sparse_output must be of type bool"),
    ],
)
def test_wrong_content_is_refused_with_its_place(path, value, message):
    with pytest.raises(ValueError, match=message):
        read_columns(changed(CONTENT, path, value), 3, None, "columns")


def test_numbers_where_all_columns_are_categories_are_refused():
    content = written_columns(fitted(TABLE[["text"]], ["text"]))
    assert content["numbers"] is None
    with pytest.raises(ValueError, match=r"columns.numbers must be null: all columns are categories"):
        read_columns(content | {"numbers": CONTENT["numbers"]}, 1, None, "columns")


def test_a_table_of_too_many_cells_is_refused_before_it_takes_memory():
    one, many = {"kind": "number", "categories": [1], "rare": []}, list(range(10_000))
    encodings = [one | {"categories": many}, *[one] * 9_999]
    content = {"columns": many, "encodings": encodings, "prefixed_names": False, "sparse_output": False}
    with pytest.raises(
        ValueError, match="up to 10000 in each of 10000 columns, are too many for to_dict and from_dict"
    ):
        read_columns({"scale": True, "numbers": None, "categories": content}, 10_000, None, "columns")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_bins": -1}, "bins.n_bins must be from 0"),
        ({"feature": []}, "bins.feature must be a list of column numbers in order"),
        ({"feature": [1, 0]}, "bins.feature must be a list of column numbers in order"),
        ({"feature": [0, 2]}, r"bins.feature\[1\] must be from 0 to 1"),
        ({"feature": [0]}, r"bins.coefficients.shape must be \[3, 1\]"),
        ({"coefficients": written_array(np.zeros((3, 2)))}, "bins.coefficients has a bin without width"),
        ({"coefficients": written_array(np.full((3, 2), np.nan))}, "bins.coefficients has infinite numbers or nan"),
        ({"coefficients": written_array(np.ones((3, 2), "float32"))}, "bins.coefficients.dtype must be one of"),
    ],
)
def test_wrong_bins_are_refused_with_their_place(change, message):
    content = {"n_bins": 4, "feature": [0, 1], "coefficients": written_array(np.ones((3, 2)))}
    assert read_bins(content, 2, "bins").n_bins == 4
    with pytest.raises(ValueError, match=message):
        read_bins(content | change, 2, "bins")
