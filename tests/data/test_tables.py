"""Tables of any library: what columns hold, and their values."""

import datetime
import decimal
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from skbp._data.tables import CATEGORY, NUMBER, TEXT, as_categories, as_numbers, as_table, faults, kinds_of

DAY = datetime.date(2020, 1, 1)
# Columns of three rows. The second value is missing where a column can have gaps.
PANDAS = {
    "float": (pd.Series([1.0, np.nan, 2.0]), NUMBER),
    "int": (pd.Series([1, 0, 2]), NUMBER),
    "unsigned": (pd.Series([1, 0, 2], dtype="uint8"), NUMBER),
    "bool": (pd.Series([True, False, True]), NUMBER),
    "Int64": (pd.Series([1, None, 2], dtype="Int64"), NUMBER),
    "boolean": (pd.Series([True, None, False], dtype="boolean"), NUMBER),
    "int64[pyarrow]": (pd.Series([1, None, 2], dtype="int64[pyarrow]"), NUMBER),
    "bool[pyarrow]": (pd.Series([True, None, False], dtype="bool[pyarrow]"), NUMBER),
    "decimal": (pd.Series([1, None, 2], dtype=pd.ArrowDtype(pa.decimal128(5, 2))), NUMBER),
    "objects that are numbers": (pd.Series([1, None, 2.5], dtype=object), NUMBER),
    "sparse": (pd.Series(pd.arrays.SparseArray([1.0, 0.0, 2.0])), NUMBER),
    "text": (pd.Series(["a", None, "b"]), TEXT),
    "objects that are text": (pd.Series(["a", None, "b"], dtype=object), TEXT),
    "string": (pd.Series(["a", None, "b"], dtype="string"), TEXT),
    "string[pyarrow]": (pd.Series(["a", None, "b"], dtype=pd.ArrowDtype(pa.string())), TEXT),
    "category": (pd.Series(["a", None, "b"], dtype="category"), CATEGORY),
    "category of numbers": (pd.Series([3, None, 4], dtype="category"), CATEGORY),
    "datetime": (pd.Series([DAY, None, DAY], dtype="datetime64[ns]"), "dates or times"),
    "timedelta": (pd.Series(pd.to_timedelta([1, 2, 3])), "dates or times"),
    "timestamp[pyarrow]": (pd.Series([1, None, 2], dtype=pd.ArrowDtype(pa.timestamp("s"))), "dates or times"),
    "dates": (pd.Series([DAY, None, DAY], dtype=object), "dates or times"),
    "complex": (pd.Series([1j, 2.0, 3.0]), "complex numbers"),
    "both": (pd.Series([1, None, "a"], dtype=object), "both text and numbers"),
    "lists": (pd.Series([[1], None, [2]]), "values of type list"),
    "bytes": (pd.Series([b"a", None, b"b"], dtype=object), "values of type bytes"),
}
POLARS = {
    "float": (pl.Series([1.0, None, 2.0]), NUMBER),
    "int": (pl.Series([1, None, 2]), NUMBER),
    "bool": (pl.Series([True, None, False]), NUMBER),
    "nothing": (pl.Series([None, None, None]), NUMBER),
    "decimal": (pl.Series([decimal.Decimal(1), None, decimal.Decimal(2)]), NUMBER),
    "text": (pl.Series(["a", None, "b"]), TEXT),
    "categorical": (pl.Series(["a", None, "b"], dtype=pl.Categorical), CATEGORY),
    "enum": (pl.Series(["a", None, "b"], dtype=pl.Enum(["a", "b"])), CATEGORY),
    "dates": (pl.Series([DAY, None, DAY]), "dates or times"),
    "lists": (pl.Series([[1], None, [2]]), "values of type List(Int64)"),
    "objects": (pl.Series([1, None, "a"], dtype=pl.Object), "both text and numbers"),
}
COLUMNS = [
    *(pytest.param(pd.DataFrame({name: column}), kind, id=f"pandas {name}") for name, (column, kind) in PANDAS.items()),
    *(pytest.param(pl.DataFrame({name: column}), kind, id=f"polars {name}") for name, (column, kind) in POLARS.items()),
]


@pytest.mark.parametrize(("frame", "kind"), COLUMNS)
def test_what_a_column_holds(frame, kind):
    assert kinds_of(frame) == [kind]


@pytest.mark.parametrize(("frame", "kind"), COLUMNS)
def test_values_of_a_column(frame, kind):
    values = [None if v is None or v is pd.NA or v != v else v for v in frame[frame.columns[0]].to_list()]
    if kind == NUMBER:
        assert_array_equal(as_numbers(frame)[:, 0], [np.nan if v is None else float(v) for v in values])
    elif kind in {TEXT, CATEGORY}:
        assert list(as_categories(frame)[:, 0]) == values
        assert faults(frame) == [f"text or categories in column {frame.columns[0]!r}"]
    else:
        with pytest.raises(ValueError, match=f"Column '{frame.columns[0]}'.* of X holds".replace("[", r"\[")):
            as_numbers(frame)


def test_numbers_beside_text_stay_numbers():
    table = as_table([["a", 1], ["b", 2.5]])
    assert table.dtype == object
    assert kinds_of(table) == [TEXT, NUMBER]
    assert_array_equal(as_numbers(table[:, 1:]), [[1.0], [2.5]])
    assert kinds_of(as_table(np.array([["a", "1"], ["b", "2"]]))) == [TEXT, TEXT]


def test_text_in_a_column_of_numbers_is_an_error_with_its_name():
    with pytest.raises(ValueError, match="Column 'a' of X must hold numbers, and holds text"):
        as_numbers(pd.DataFrame({"a": ["1", "2"]}))


def test_polars_needs_no_pandas():
    code = (
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *rest: None if name == 'pandas' else find(name, *rest)\n"
        "import polars as pl, skbp\n"
        "frame = pl.DataFrame({'size': [1.0, None, 3.0, 4.0] * 10, 'town': ['a', 'b', None, 'a'] * 10})\n"
        "clf = skbp.BackpropClassifierCV(cv=2, random_state=0).fit(frame, [0, 1, 1, 0] * 10)\n"
        "assert clf.score(frame, [0, 1, 1, 0] * 10) == 1.0\n"
        "try:\n    import pandas\nexcept ImportError:\n    pass\nelse:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
