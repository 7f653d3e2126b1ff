"""Tables of every kind through the preprocessing of an ensemble."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("onnx")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

from exported import assert_same, outputs
from scipy.sparse import csr_array

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp.onnx import to_onnx

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:X has column"),
]

N = 300
RNG = np.random.default_rng(0)


def drawn(values, p=None):
    return RNG.choice(np.array(values, dtype=object), N, p=p)


def make_table():
    table = pd.DataFrame(
        {
            "age": RNG.normal(40.0, 10.0, N).round(1),
            "income": RNG.lognormal(3.0, 2.0, N),
            "two": 3.0 * RNG.integers(0, 2, N),
            "constant": 1.0,
            "count": RNG.integers(0, 9, N),
            "flag": RNG.random(N) > 0.4,
            "city": drawn(["Rome", "Oslo", "Bern", None], [0.4, 0.3, 0.2, 0.1]),
            "key": drawn([f"k{i}" for i in range(120)]),
            "code": drawn([1010, 2020, 3030]),
            "size": drawn([1.5, 2.0, None, 7.0]),
            "grade": pd.Categorical(drawn(["a", "b", "c"]), categories=["a", "b", "c", "d"]),
            "zip": pd.Categorical(RNG.integers(1, 5, N)),
            "empty": np.nan,
            "nullable": pd.array(RNG.integers(0, 5, N), dtype="Int64"),
            "answer": pd.array(RNG.random(N) > 0.5, dtype="boolean"),
            "seldom": drawn(["x", "y", None], [0.5, 0.49, 0.01]),
        }
    )
    table.loc[::7, "age"] = np.nan
    table.loc[20:25, "nullable"] = pd.NA
    table["range"] = pd.cut(table["income"], 5)
    return table


TABLE = make_table()
LABELS = np.where(TABLE["income"].rank() + 100.0 * (TABLE["city"] == "Oslo") > 150.0, "yes", "no")

# Other rows, with unknown categories, gaps where there were none, and numbers far away.
NEW = TABLE.iloc[::-1].reset_index(drop=True)
NEW.loc[::5, ["city", "key"]] = "new"
NEW.loc[::9, ["city", "key", "grade", "seldom"]] = None
NEW.loc[::4, "size"] = 9.5
NEW.loc[1, ["income", "two", "constant"]] = [1e30, 4.0, 2.0]
NEW.loc[2, ["income", "two", "constant"]] = np.nan

NUMBERS = ["age", "income", "two", "constant", "count", "flag", "empty"]
CATEGORIES = ["city", "key", "code", "size", "grade", "zip", "seldom", "flag", "count", "nullable", "answer", "range"]


def fitted(columns, table=TABLE, **params):
    ensemble = BackpropClassifierCV((6,), cv=3, max_iter=10, random_state=0, **{"dtype": None, **params})
    return ensemble.fit(table[columns], LABELS)


@pytest.mark.parametrize("params", [{}, {"quantile_bins": 0}, {"scale": False}], ids=str)
@pytest.mark.parametrize("columns", [list(TABLE), NUMBERS, ["city"], ["key", "age"]], ids=len)
def test_a_frame_of_any_columns(columns, params):
    assert_same(fitted(columns, **params), NEW[columns])


@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_of_every_type(name):
    for columns in ([name], ["age", name]):
        assert_same(fitted(columns, categorical_features=[name]), NEW[columns])


def test_columns_of_float32():
    columns = ["age", "income", "two"]
    narrow = TABLE.astype(dict.fromkeys(columns, np.float32))
    ensemble = fitted(columns, narrow)
    assert_same(ensemble, NEW[columns].astype(np.float32))
    assert outputs(ensemble, NEW[columns].astype(np.float32))[1].dtype == np.float32
    # Beside categories all becomes float64, after the numbers have been scaled to float32.
    assert_same(fitted([*columns, "city"], narrow), NEW.astype(narrow.dtypes)[[*columns, "city"]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_of_numbers_with_gaps_and_categories(dtype):
    names = ["age", "income", "count"]
    X, new = (frame[names].to_numpy(dtype) for frame in (TABLE, NEW))
    for categories in (None, [2]):
        ensemble = BackpropClassifierCV((6,), cv=3, max_iter=10, random_state=0, categorical_features=categories)
        assert_same(ensemble.fit(X, LABELS), new)


def test_arrays_of_objects_and_of_text():
    objects = TABLE[["age", "count", "city", "key"]].to_numpy(dtype=object)
    text = TABLE[["key", "grade"]].astype(str).to_numpy().astype(str)
    for X in (objects, text):
        assert_same(BackpropClassifierCV((6,), cv=3, max_iter=10, random_state=0).fit(X, LABELS), X)


@pytest.mark.parametrize("classifier", [BackpropClassifier, BackpropClassifierCV])
def test_models_of_sparse_rows_take_dense_ones(classifier):
    X = np.random.default_rng(0).random((N, 20))
    X = csr_array(np.where(X < 0.2, X, 0.0))
    clf = classifier((6,), max_iter=10, random_state=0).fit(X, LABELS)
    assert_same(clf, X.toarray())
    with pytest.raises(TypeError, match="X_sample is sparse"):
        to_onnx(clf, X[:5])


def test_large_integers_are_told_apart():
    codes = 2**60 + np.arange(N) % 3
    table = pd.DataFrame({"code": codes})
    ensemble = BackpropClassifierCV((6,), cv=3, max_iter=60, random_state=0, categorical_features=["code"])
    ensemble.fit(table, codes)
    assert len(np.unique(ensemble.predict(table))) == 3
    assert_same(ensemble, table)


def test_an_empty_text_is_a_category_unless_it_must_be_a_missing_one():
    column = np.where(np.arange(N) % 3, "a", "").astype(object)
    table = pd.DataFrame({"t": column})
    assert_same(BackpropClassifierCV((6,), cv=3, max_iter=10, random_state=0).fit(table, LABELS), table)
    table.loc[::5, "t"] = None
    ensemble = BackpropClassifierCV((6,), cv=3, max_iter=10, random_state=0).fit(table, LABELS)
    with pytest.raises(ValueError, match="both empty texts and missing values"):
        to_onnx(ensemble, table)


def test_a_sample_that_hides_what_a_column_holds_is_refused():
    ensemble = fitted(["age", "city"])
    sample = pd.DataFrame({"age": [1.0], "city": [None]})
    with pytest.raises(TypeError, match="Column 'city' held text in fit, but its ONNX input holds numbers"):
        to_onnx(ensemble, sample)
    with pytest.raises(TypeError, match="Column 'age' held numbers in fit, but its ONNX input holds text"):
        to_onnx(ensemble, pd.DataFrame({"age": ["1"], "city": ["Rome"]}))
    with pytest.raises(ValueError, match="3 columns, but BackpropClassifierCV was trained on 2"):
        to_onnx(ensemble, TABLE[["age", "city", "key"]])


def test_one_network_takes_a_frame_of_numbers_and_no_text():
    columns = ["income", "count", "flag"]
    clf = BackpropClassifier((6,), max_iter=10, random_state=0).fit(TABLE[columns], LABELS)
    assert_same(clf, NEW[columns].fillna(0.0))
    with pytest.raises(TypeError, match="A network takes numbers, but an ONNX input is text"):
        to_onnx(clf, TABLE[["income", "count", "city"]])


def test_a_column_without_a_frequent_category():
    table = pd.DataFrame({"t": [f"t{i}" for i in range(N)], "n": np.arange(N), "x": TABLE["income"]})
    with pytest.warns(UserWarning, match="none has 5 rows"):
        ensemble = BackpropClassifierCV((6,), cv=3, max_iter=10, random_state=0, categorical_features=["t", "n"]).fit(
            table, LABELS
        )
    assert_same(ensemble, table)
