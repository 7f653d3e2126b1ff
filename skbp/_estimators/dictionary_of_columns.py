"""The fitted transformers of an ensemble's columns as plain data, and back.

Our own transformers have a few public arrays. scikit-learn's have private attributes too, which differ between its versions.
So these are not written. Reading fits scikit-learn's transformers anew, on a small table with which they learn the same.
"""

from __future__ import annotations

import math
from itertools import count
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer

from skbp._data.column_scaler import LARGEST, ColumnScaler
from skbp._data.columns import make_preprocessor
from skbp._data.quantile_bins import WIDTH, QuantileBins
from skbp._data.tables import NUMBER, TEXT
from skbp._estimators import plain_data

# A table of more cells than this is not made to fit an encoder. The training table has five times as many at least.
MOST_CELLS = 2**26

# The types of the categories in a column of each kind, None aside.
_TYPES: dict[str, set[type]] = {TEXT: {str}, NUMBER: {bool, int, float}, "": set()}


def written_columns(preprocessor) -> dict[str, Any]:
    """A fitted preprocessor of an ensemble as plain data."""
    if isinstance(preprocessor, ColumnScaler):
        return {"scale": bool(preprocessor.scale), "numbers": _written_scaler(preprocessor), "categories": None}
    if not isinstance(preprocessor, ColumnTransformer):
        raise TypeError(
            f"to_dict cannot write preprocessor_, which is of type {type(preprocessor).__name__}: it writes the one that "
            "fit makes."
        )
    (_, scaler, numbers), (_, (categories, encoder), columns) = preprocessor.transformers_[:2]
    of_columns = zip(categories.kinds_, encoder.categories_, encoder.infrequent_categories_, columns, strict=True)
    encodings = [_written_encoding(*one) for one in of_columns]
    _check_cells(encodings, "The categories of X")
    return {
        "scale": bool(scaler.scale),
        "numbers": _written_scaler(scaler) if len(numbers) else None,
        "categories": {
            "columns": columns.tolist(),
            "encodings": encodings,
            "prefixed_names": bool(preprocessor.verbose_feature_names_out),
            "sparse_output": bool(preprocessor.sparse_output_),
        },
    }


def read_columns(content, n_features, names, where) -> Any:
    """A fitted preprocessor.

    Parameters
    ----------
    content : object
    n_features : int
        Columns of the table.
    names : ndarray of str or None
        Their names.
    where : str
    """
    content = plain_data.fields(content, ["scale", "numbers", "categories"], where)
    scale = plain_data.checked(content["scale"], bool, f"{where}.scale")
    if content["categories"] is None:
        scaler = ColumnScaler(scale)
        _restore(scaler, content["numbers"], n_features, names, f"{where}.numbers")
        return scaler
    at = f"{where}.categories"
    of_categories = plain_data.fields(
        content["categories"], ["columns", "encodings", "prefixed_names", "sparse_output"], at
    )
    categorical = np.zeros(n_features, dtype=bool)
    categorical[plain_data.indices(of_categories["columns"], f"{at}.columns", n_features)] = True
    if not categorical.any():
        raise plain_data.refused(f"{at}.columns", "a list of columns, or categories null", [])
    flags = [
        plain_data.checked(of_categories[name], bool, f"{at}.{name}") for name in ("prefixed_names", "sparse_output")
    ]
    encodings = _read_encodings(of_categories["encodings"], categorical.sum(), f"{at}.encodings")
    preprocessor = make_preprocessor(categorical, scale).set_params(verbose_feature_names_out=flags[0])
    with config_context(transform_output="default"):
        preprocessor.fit(np.zeros((1, n_features)))
        (_, scaler, numbers), (_, pipeline, columns) = preprocessor.transformers_[:2]
        encoder = _fitted_encoder(pipeline[-1], encodings)
    if len(numbers):
        _restore(
            scaler, content["numbers"], len(numbers), None if names is None else names[numbers], f"{where}.numbers"
        )
    elif content["numbers"] is not None:
        raise plain_data.refused(f"{where}.numbers", "null: all columns are categories", content["numbers"])
    pipeline[0].kinds_ = [encoding["kind"] for encoding in encodings]
    pipeline.steps[-1] = (pipeline.steps[-1][0], encoder)
    if names is not None:
        pipeline[0].feature_names_in_, preprocessor.feature_names_in_ = names[columns], names
    n_numbers, n_columns = len(scaler.kept_) if len(numbers) else 0, len(encoder.get_feature_names_out())
    preprocessor.sparse_output_ = flags[1]
    preprocessor.output_indices_ = {
        "numbers": slice(0, n_numbers),
        "categories": slice(n_numbers, n_numbers + n_columns),
        "remainder": slice(0, 0),
    }
    return preprocessor


def written_bins(bins) -> dict[str, Any]:
    """Fitted quantile bins as plain data."""
    return {
        "n_bins": int(bins.n_bins),
        "feature": bins.feature_.tolist(),
        "coefficients": plain_data.written_array(bins.coefficients_),
    }


def read_bins(content, n_columns, where) -> QuantileBins:
    """Fitted quantile bins of a number of columns. The caller gives them their columns."""
    content = plain_data.fields(content, ["n_bins", "feature", "coefficients"], where)
    bins = QuantileBins(plain_data.count(content["n_bins"], f"{where}.n_bins"))
    feature = plain_data.checked(content["feature"], list, f"{where}.feature")
    feature = [plain_data.count(j, f"{where}.feature[{i}]", n_columns - 1) for i, j in enumerate(feature)]
    if not feature or sorted(feature) != feature:
        raise plain_data.refused(f"{where}.feature", "a list of column numbers in order", feature)
    bins.feature_ = np.array(feature, dtype=np.intp)
    bins.coefficients_ = _coefficients(content["coefficients"], (3, len(feature)), WIDTH, f"{where}.coefficients")
    if not (bins.coefficients_[WIDTH] > 0.0).all():
        raise ValueError(f"{where}.coefficients has a bin without width.")
    return bins


def _coefficients(content, shape, infinite_row, where):
    """An array of float64 of a shape. Only one row may have infinite numbers."""
    array = plain_data.read_array(content, where, 2, dtypes=("float64",))
    if array.shape != shape:
        raise plain_data.refused(f"{where}.shape", f"{list(shape)}", list(array.shape))
    rows = np.arange(len(array)) != infinite_row
    if np.isnan(array).any() or not np.isfinite(array[rows]).all():
        raise ValueError(f"{where} has infinite numbers or nan.")
    return array


def _written_scaler(scaler):
    return {"kept": scaler.kept_.tolist(), "coefficients": plain_data.written_array(scaler.coefficients_)}


def _restore(scaler, content, n_features, names, where):
    """Set the fitted attributes of a scaler."""
    content = plain_data.fields(content, ["kept", "coefficients"], where)
    scaler.kept_ = plain_data.indices(content["kept"], f"{where}.kept", n_features)
    coefficients = _coefficients(content["coefficients"], (7, len(scaler.kept_)), LARGEST, f"{where}.coefficients")
    if (coefficients[LARGEST] < 0.0).any():
        raise ValueError(f"{where}.coefficients has a negative number as the largest one of a column.")
    scaler.coefficients_, scaler.n_features_in_ = coefficients, n_features
    if names is not None:
        scaler.feature_names_in_ = names


def _written_encoding(kind, categories, rare, column):
    """The categories of a column as plain data. `rare` are those that share a column."""
    rare = set() if rare is None else set(rare.tolist())
    values = [value.item() if isinstance(value, np.generic) else value for value in categories.tolist()]
    wrong = [value for value in values if not (value is None or isinstance(value, str | bool | int | float))]
    if wrong:
        raise TypeError(
            f"to_dict cannot write the category {wrong[0]!r} of column {column}, which is of type "
            f"{type(wrong[0]).__name__}: convert the column to text or to floats before fit, or pickle the classifier."
        )
    return {
        "kind": kind,
        "categories": [plain_data.written(value, "categories") for value in values],
        "rare": [i for i, value in enumerate(values) if value in rare],
    }


def _read_encodings(content, n_columns, where):
    """For each column of categories its kind, its categories, and the numbers of the rare ones."""
    if len(plain_data.checked(content, list, where)) != n_columns:
        raise plain_data.refused(where, f"a list with an entry for each of {n_columns} columns", content)
    encodings = [_read_encoding(one, f"{where}[{i}]") for i, one in enumerate(content)]
    _check_cells(encodings, where)
    return encodings


def _read_encoding(content, where):
    content = plain_data.fields(content, ["kind", "categories", "rare"], where)
    kind = plain_data.checked(content["kind"], str, f"{where}.kind")
    if kind not in _TYPES:
        raise plain_data.refused(f"{where}.kind", f"one of {list(_TYPES)}", kind)
    values = plain_data.checked(content["categories"], list, f"{where}.categories")
    values = [plain_data.read(value, f"{where}.categories[{i}]") for i, value in enumerate(values)]
    if not all(value is None or (type(value) in _TYPES[kind] and not _is_nan(value)) for value in values):
        raise plain_data.refused(f"{where}.categories", f"a list of null and values of the kind {kind!r}", values)
    if not values or len(set(values)) != len(values):
        raise plain_data.refused(f"{where}.categories", "a list of different values", values)
    rare = plain_data.indices(content["rare"], f"{where}.rare", len(values)).tolist()
    return {"kind": kind, "categories": values, "rare": rare}


def _is_nan(value):
    return isinstance(value, float) and math.isnan(value)


def _n_frequent(encodings):
    """The most frequent categories that a column has."""
    return max(len(one["categories"]) - len(one["rare"]) for one in encodings)


def _check_cells(encodings, what):
    if _n_frequent(encodings) * len(encodings) > MOST_CELLS:
        raise ValueError(
            f"{what}, up to {_n_frequent(encodings)} in each of {len(encodings)} columns, are too many for to_dict and "
            "from_dict: pickle the classifier."
        )


def _fitted_encoder(encoder, encodings):
    """An encoder of these categories, fitted on a table in which the frequent ones occur once, and the rare ones never."""
    table = np.full((max(1, _n_frequent(encodings)), len(encodings)), None)
    for column, one in zip(table.T, encodings, strict=True):
        rare = set(one["rare"])
        frequent = [value for i, value in enumerate(one["categories"]) if i not in rare]
        other = str if one["kind"] == TEXT else int
        # A value that is no category counts for none.
        column[:] = next(other(i) for i in count() if other(i) not in one["categories"])
        column[: len(frequent)] = frequent
    params = encoder.get_params()
    categories = [one["categories"] for one in encodings]
    fitted = clone(encoder).set_params(categories=categories, min_frequency=1).fit(table)
    return fitted.set_params(**params)
