"""What comes before the networks of an ensemble, as ONNX nodes: columns of a table scaled, one-hot, or in quantile bins."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from skbp._data import column_scaler as scaling
from skbp._data import quantile_bins as binning
from skbp._data.column_scaler import ColumnScaler
from skbp._data.tables import NUMBER, TEXT

STRING = np.dtype(object)

# A missing text. ONNX has no sign of its own for it.
MISSING_TEXT = ""

_IN_WORDS = {TEXT: "text", NUMBER: "numbers"}


@dataclass(frozen=True)
class Input:
    """A tensor of one or several columns.

    Attributes
    ----------
    name : str
    dtype : dtype
        `STRING` for text.
    width : int
        Number of columns.
    """

    name: str
    dtype: np.dtype
    width: int


def floats_of(inputs) -> np.dtype:
    """The type that scikit-learn's validation gives to columns of numbers: float32 if all are, else float64."""
    if any(one.dtype == STRING for one in inputs):
        raise TypeError(
            "A network takes numbers, but an ONNX input is text. Encode it in a pipeline, or use BackpropClassifierCV."
        )
    return np.dtype(np.float32 if all(one.dtype == np.float32 for one in inputs) else np.float64)


def type_of_rows(preprocessor, inputs) -> np.dtype:
    """The type of the rows that a fitted preprocessor of an ensemble returns."""
    return floats_of(inputs) if isinstance(preprocessor, ColumnScaler) else np.dtype(np.float64)


def numbers(graph, inputs, dtype) -> str:
    """Columns of numbers side by side in one type."""
    parts = [one.name if one.dtype == dtype else graph.cast(one.name, dtype) for one in inputs]
    return graph.concatenated(parts)


def prepared(graph, preprocessor, inputs) -> str:
    """The rows that the networks of an ensemble take.

    Parameters
    ----------
    graph : Graph
    preprocessor : ColumnScaler or ColumnTransformer
        Fitted; see `make_preprocessor`.
    inputs : list of Input
        All columns of the table, in order.
    """
    if isinstance(preprocessor, ColumnScaler):
        return _scaled(graph, preprocessor, inputs)
    (_, scaler, of_numbers), (_, categories, of_categories) = preprocessor.transformers_[:2]
    columns = _columns(graph, inputs)
    parts = []
    if len(of_numbers) and len(scaler.kept_):
        chosen = [columns[j] for j in of_numbers]
        for j, column in zip(of_numbers, chosen, strict=True):
            _check_kind(column, NUMBER, j, preprocessor)
        parts.append(graph.cast(_scaled(graph, scaler, chosen), np.float64))
    as_objects, one_hot = categories[0], categories[-1]
    of_each = zip(of_categories, as_objects.kinds_, one_hot.categories_, one_hot.infrequent_categories_, strict=True)
    for j, kind, known, rare in of_each:
        _check_kind(columns[j], kind, j, preprocessor)
        together = set() if rare is None else set(rare)
        frequent = [value for value in known if value not in together]
        parts.append(_one_hot(graph, columns[j], frequent, rare is not None))
    return graph.concatenated(parts)


def binned(graph, bins, rows) -> str:
    """Rows by the quantiles of their columns, in the type of the rows."""
    double, coefficients = graph.of_type(np.float64), bins.coefficients_
    x = double.cast(double.columns(rows, bins.feature_), np.float64)
    b = double("Div", double("Sub", x, coefficients[binning.LOWER]), coefficients[binning.WIDTH])
    b = double("Min", double("Max", b, 0.0), 1.0)
    return double.cast(double("Sub", b, coefficients[binning.MEAN]), graph.dtype)


def _columns(graph, inputs):
    """One input for each column."""
    columns = []
    for one in inputs:
        if one.width == 1:
            columns.append(one)
        else:
            names = [graph.columns(one.name, [k]) for k in range(one.width)]
            columns += [Input(name, one.dtype, 1) for name in names]
    return columns


def _check_kind(column, kind, j, preprocessor):
    """Refuse text where there were numbers in fit, and numbers where there was text."""
    given = TEXT if column.dtype == STRING else NUMBER
    if kind and given != kind:
        name = getattr(preprocessor, "feature_names_in_", range(preprocessor.n_features_in_))[j]
        raise TypeError(
            f"Column {name!r} held {_IN_WORDS[kind]} in fit, but its ONNX input holds {_IN_WORDS[given]}. Give an X_sample "
            "that has values like those of fit in each column."
        )


def _scaled(graph, scaler, inputs):
    """What ColumnScaler returns, in its type."""
    dtype = floats_of(inputs)
    double = graph.of_type(np.float64)
    x = numbers(double, inputs, np.float64)
    if len(scaler.kept_) < scaler.n_features_in_:
        x = double.columns(x, scaler.kept_)
    c = scaler.coefficients_
    if scaler.scale:
        x = double("Mul", double("Sub", x, c[scaling.CENTER]), c[scaling.FACTOR])
    z = double("Where", double("IsNaN", x), c[scaling.GAP], x)
    if scaler.scale:
        z = double("Min", double("Max", z, -c[scaling.LARGEST]), c[scaling.LARGEST])
        root = double("Mul", z, c[scaling.BEND])
        root = double("Sqrt", double("Add", double("Mul", root, root), 1.0))
        z = double("Sub", double("Div", z, root), c[scaling.MEAN])
        z = double("Mul", z, c[scaling.LAST_FACTOR])
    return z if dtype == np.float64 else double.cast(z, dtype)


def _one_hot(graph, column, frequent, has_rare):
    """A column of 0 and 1 for each frequent category, and one for all others if there were rare ones in fit."""
    if column.dtype == STRING:
        return _one_hot_text(graph, column.name, frequent, has_rare)
    if column.dtype.kind in "biu" and all(isinstance(value, Integral | np.bool_) for value in frequent):
        # Large integers differ in int64 that are equal in float64.
        x, values = graph.cast(column.name, np.int64), np.array([int(value) for value in frequent], dtype=np.int64)
    else:
        x = graph.cast(column.name, np.float64)
        values = np.array([np.nan if value is None else value for value in frequent], dtype=np.float64)
    hits = graph("Equal", x, values[None])
    if None in frequent and column.dtype.kind == "f":
        hits = graph("Or", hits, graph("And", graph("IsNaN", x), np.isnan(values)[None]))
    hits = graph.cast(hits, np.float64)
    if not has_rare:
        return hits
    any_hit = graph("ReduceSum", hits, np.array([1]), keepdims=1)
    return graph.concatenated([hits, graph("Sub", np.array(1.0), any_hit)])


def _one_hot_text(graph, name, frequent, has_rare):
    if MISSING_TEXT in frequent and None in frequent:
        raise ValueError(
            "A column of categories has both empty texts and missing values. ONNX cannot tell them apart: replace one of "
            "them in the training data."
        )
    keys = [MISSING_TEXT if value is None else value for value in frequent]
    n, other = len(keys), len(keys) if has_rare else -1
    index = graph(
        "LabelEncoder",
        name,
        domain="ai.onnx.ml",
        op_version=2,
        # A node needs at least one key.
        keys_strings=keys or [MISSING_TEXT],
        values_int64s=list(range(n)) or [other],
        default_int64=other,
    )
    return graph.cast(graph("Equal", index, np.arange(n + has_rare)[None]), np.float64)
