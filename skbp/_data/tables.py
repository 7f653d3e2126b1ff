"""Tables of any kind: their columns, what these hold, and their values as numbers or as categories.

A table is an array, a sparse matrix, or a frame of pandas or polars. Neither package needs to be installed.
"""

from __future__ import annotations

import copy
import datetime
import math
import sys
from contextlib import contextmanager
from importlib import import_module
from numbers import Number

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import _get_feature_names, validate_data

NUMBER, TEXT, CATEGORY = "number", "text", "category"

_REMEDIES = {
    "dates or times": "give numbers in its place, such as the days since some date, or the year, the month and the weekday",
    "complex numbers": "give the real and the imaginary part as two columns",
    "both text and numbers": "convert it with astype(str) to categories, or with pandas.to_numeric to numbers",
}
_OTHER_REMEDY = "give numbers or text in its place"


def as_table(X):
    """A frame or a sparse matrix as it is, anything else as an array. Numbers beside text stay numbers.

    A frame of polars becomes one of pandas, or else an array, for versions of scikit-learn that do not know its type.
    """
    if issparse(X):
        return X
    if is_frame(X):
        return _known(X) if _is_unknown(X) else X
    array = np.asarray(X)
    return np.asarray(X, dtype=object) if array.dtype.kind in "USMm" else array


def is_frame(X) -> bool:
    """Whether X is a frame of pandas or polars."""
    return _is_from("pandas", X) or _is_from("polars", X)


class _Names:
    """The names and the shape of a frame, for versions of scikit-learn that do not know its type."""

    def __init__(self, frame):
        self._names, self.shape = list(frame.columns), frame.shape

    def __dataframe__(self):
        return self

    def column_names(self):
        return self._names


def for_names(X):
    """What scikit-learn reads the names and the number of the columns from."""
    return _Names(X) if _is_unknown(X) else X


def check_columns(transformer, X, *, reset):
    """Check names and number of the columns, or learn them. Rows without names are taken by their number of columns."""
    named = for_names(X)
    checked = transformer if reset else with_names_of(named, transformer)
    validate_data(checked, named, reset=reset, skip_check_array=True)


def with_names_of(X, estimator):
    """The estimator, or a copy without names of columns if X has none. scikit-learn then does not warn of their absence."""
    if hasattr(estimator, "feature_names_in_") and _get_feature_names(X) is None:
        estimator = copy.copy(estimator)
        del estimator.feature_names_in_
    return estimator


@contextmanager
def infinities_named(X):
    """A context in which scikit-learn checks numbers. Its error for infinite ones gets the names of their columns."""
    try:
        yield
    except ValueError as error:
        if "infinity" not in str(error):
            raise
        table = as_table(X)
        numbers, names = as_numbers(table), names_of(table)
        if issparse(numbers):
            numbers = numbers.tocoo()
            columns = numbers.coords[1][np.isinf(numbers.data)]
        else:
            columns = np.nonzero(np.isinf(numbers))[1]
        names = [names[j] for j in np.unique(columns)]
        if not names:  # y has it
            raise
        raise ValueError(
            f"{str(error).rstrip('.')}. They are in {listed(names)}: replace them by nan, or by the largest number that "
            "makes sense."
        ) from error


def _known(X):
    """A frame of polars in a form that every version of scikit-learn knows."""
    values = _all_objects(X)
    try:
        return import_module("pandas").DataFrame(values, columns=X.columns)
    except ImportError:
        return values


def _is_unknown(X):
    """Whether X is a frame of polars that this version of scikit-learn does not know."""
    return _is_from("polars", X) and _get_feature_names(X) is None


def is_mixed(X) -> bool:
    """Whether the columns of a table may hold different things: whether it is a frame or an array of objects."""
    return is_frame(X) or (isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 2)


def names_of(X) -> list[str]:
    """What messages call the columns of a table."""
    return [repr(label) if isinstance(label, str) else str(label) for label in getattr(X, "columns", range(X.shape[1]))]


def kinds_of(X) -> list[str]:
    """What each column of a mixed table holds: NUMBER, TEXT, CATEGORY, or else words for a message."""
    return [_kind(column) for column in _columns(X)]


def refusal(name: str, kind: str) -> str:
    """The message for a column that holds something else than numbers or categories."""
    return f"Column {name} of X holds {kind}: {_REMEDIES.get(kind, _OTHER_REMEDY)}."


def faults(X) -> list[str]:
    """What keeps the columns of a table from being plain numbers, by column: for messages."""
    table = as_table(X)
    if issparse(table) or getattr(table, "ndim", 2) != 2:
        return []
    found: dict[str, list[str]] = {}
    for name, column in zip(names_of(table), _columns(table), strict=True):
        kind = _kind(column)
        if kind in {TEXT, CATEGORY}:
            found.setdefault("text or categories", []).append(name)
        elif kind != NUMBER:
            found.setdefault(kind, []).append(name)
        elif _missing(_objects(column) if is_mixed(table) else column).any():
            found.setdefault("missing values", []).append(name)
    return [f"{what} in {listed(names)}" for what, names in found.items()]


def listed(names, most=5) -> str:
    """Names for a message, not more than a few."""
    shown = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    return ("column " if len(names) == 1 else "columns ") + shown


def as_numbers(X):
    """The values of a mixed table as floats, nan where a value is missing. Other tables stay as they are.

    Raises
    ------
    ValueError
        If a column holds something else than numbers.
    """
    if not is_mixed(X):
        return X
    if _is_from("pandas", X) and all(isinstance(dtype, np.dtype) and dtype.kind == "f" for dtype in X.dtypes):
        return X.to_numpy()
    numbers = np.zeros(X.shape)
    for j, (name, column) in enumerate(zip(names_of(X), _columns(X), strict=True)):
        try:
            numbers[:, j] = _numbers_of(column)
        except OverflowError as error:
            raise ValueError(f"Column {name} of X has numbers beyond 1.8e308, the largest float: scale it.") from error
        except (TypeError, ValueError) as error:
            kind = _kind(column)
            if kind in {NUMBER, TEXT, CATEGORY}:
                message = (
                    f"Column {name} of X must hold numbers, and holds {kind if kind != NUMBER else 'other values'}."
                )
            else:
                message = refusal(name, kind)
            raise ValueError(message) from error
    return numbers


def kinds_of_categories(values, names) -> list[str]:
    """What the columns of objects that `as_categories` returns hold: TEXT, NUMBER, or "" for nothing.

    Raises
    ------
    ValueError
        If a column holds both, or something else.
    """
    kinds = []
    for name, column in zip(names, values.T, strict=True):
        types = set(map(type, column)) - {type(None)}
        kind = _kind_of_types(types) if types else ""
        if kind not in {TEXT, NUMBER, ""}:
            raise ValueError(refusal(name, kind))
        kinds.append(kind)
    return kinds


def as_categories(X):
    """The values of a table as text or numbers, None where a value is missing.

    Returns
    -------
    values : ndarray of object of shape (n_rows, n_columns)
    """
    values = _all_objects(as_table(X))
    for column in values.T:
        column[_missing(column)] = None
        types = set(map(type, column)) - {type(None)}
        if len(types) == 1 and _kind_of_types(types) not in {TEXT, NUMBER}:  # such as the intervals of pandas.cut
            column[:] = [None if value is None else str(value) for value in column]
    return values


def _is_from(package, X):
    frame = getattr(sys.modules.get(package), "DataFrame", None)
    return frame is not None and isinstance(X, frame)


def _columns(X):
    if _is_from("pandas", X):
        return [X.iloc[:, j] for j in range(X.shape[1])]
    return X.get_columns() if _is_from("polars", X) else list(X.T)


def _objects(column):
    values = np.full(len(column), None)
    values[:] = column.to_list() if hasattr(column, "to_list") else column.tolist()
    return values


def _all_objects(X):
    """The values of all columns as one array of objects."""
    values = np.full(X.shape, None)
    for j, column in enumerate(_columns(X)):
        values[:, j] = _objects(column)
    return values


def _missing(values):
    """Which of some objects stand for a missing value."""
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        return pandas.isna(values)
    return np.array([value is None or (isinstance(value, float) and math.isnan(value)) for value in values], dtype=bool)


def _kind(column):
    dtype = column.dtype
    if hasattr(dtype, "is_numeric"):  # polars
        if dtype.is_numeric() or str(dtype) in {"Boolean", "Null"}:
            return NUMBER
        name = type(dtype).__name__
        kinds = {"String": TEXT, "Categorical": CATEGORY, "Enum": CATEGORY}
        if name != "Object":
            dates = {"Date", "Datetime", "Duration", "Time"}
            return kinds.get(name) or ("dates or times" if name in dates else f"values of type {dtype}")
    elif str(dtype) == "category":
        return CATEGORY
    elif dtype.kind in "biuf":
        return NUMBER
    elif dtype.kind in "mMc":
        return "complex numbers" if dtype.kind == "c" else "dates or times"
    values = _objects(column)
    return _kind_of_types(set(map(type, values[~_missing(values)])))


def _kind_of_types(types):
    """What a column holds, by the types of its values that are not missing."""
    text = [t for t in types if issubclass(t, str)]
    numbers = [t for t in types if issubclass(t, Number | np.bool_) and not issubclass(t, complex | np.complexfloating)]
    if len(numbers) == len(types):
        return NUMBER
    if len(text) == len(types):
        return TEXT
    if len(text) + len(numbers) == len(types):
        return "both text and numbers"
    others = types - {*text, *numbers}
    if all(
        issubclass(t, datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64)
        for t in others
    ):
        return "dates or times"
    return "values of type " + " and ".join(sorted(t.__name__ for t in others))


def _numbers_of(column):
    """A column as float64."""
    if _kind(column) not in {NUMBER, CATEGORY}:
        raise ValueError("not numbers")
    dtype = column.dtype
    if getattr(dtype, "kind", "O") in "biuf" and isinstance(dtype, np.dtype):
        return np.asarray(column, dtype=np.float64)
    if hasattr(dtype, "is_numeric") and dtype.is_numeric():
        return column.to_numpy()
    if hasattr(dtype, "kind") and hasattr(column, "iloc") and dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = _objects(column)
    values[_missing(values)] = np.nan
    if any(isinstance(value, str) for value in values):
        raise ValueError("text")
    return values.astype(np.float64)
