"""A fitted estimator as an ONNX model, and rows in the form that the model takes."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import skl2onnx
from onnx import ModelProto, TensorProto, helper
from scipy.sparse import issparse
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.base import is_classifier

from skbp._data.tables import as_categories, as_table, is_frame, is_mixed
from skbp._estimators.types import Matrix
from skbp.onnx.tables import MISSING_TEXT


def to_onnx(
    estimator: Any, X_sample: Matrix, *, options: dict | None = None, target_opset: int | dict | None = None
) -> ModelProto:
    """Convert a fitted estimator to an ONNX model.

    Parameters
    ----------
    estimator : estimator
        A fitted `BackpropClassifier`, `BackpropClassifierCV` or `HiddenFeatures`, or a pipeline or another estimator of
        scikit-learn that contains one and that skl2onnx can convert.
    X_sample : {array-like, data frame} of shape (n_samples, n_features)
        A few rows like those to predict for. Only the types of its columns count. An array of numbers becomes one input of
        the model, float32 if `X_sample` is, else float64. A data frame or an array of objects becomes an input for each
        column: text, float32, float64, int64 or bool.
    options : dict, default=None
        Options of skl2onnx for the classifier. ``zipmap`` is False by default: probabilities are an array. True makes them
        dictionaries, "columns" one output for each class. ``nocl=True`` gives class numbers in place of labels.
        ``raw_scores=True`` gives the decision function in place of probabilities; two classes have the columns -d and d.
        ``output_class_labels=True`` adds an output with the labels of the classes.
    target_opset : int or dict, default=None
        Version of the operators, 13 or more; None for the newest that skl2onnx knows.

    Returns
    -------
    model : onnx.ModelProto
        A classifier has the outputs "label" and "probabilities". The number of rows is free.

    Raises
    ------
    NotImplementedError
        If an activation is the user's own `Activation`.
    TypeError
        If `X_sample` is sparse, or has text where the estimator was trained on numbers.
    ValueError
        If the class labels are neither text nor whole numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifier
    >>> from skbp.onnx import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(8, "tanh", solver="lbfgs", alpha=1.0, max_iter=500, random_state=0).fit(X, y)
    >>> model = to_onnx(clf, X[:1])
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    table = as_table(X_sample)
    if issparse(table):
        raise TypeError("X_sample is sparse, but ONNX models take dense arrays: give X_sample.toarray().")
    if is_classifier(estimator):
        options = {"zipmap": False, **(options or {})}
    return skl2onnx.to_onnx(estimator, initial_types=_types_of(table), options=options, target_opset=target_opset)


def to_inputs(model: ModelProto, X: Matrix) -> dict[str, np.ndarray]:
    """Bring rows into the form of the inputs of a model.

    Parameters
    ----------
    model : onnx.ModelProto
        What `to_onnx` returned.
    X : {array-like, data frame} of shape (n_samples, n_features)
        Rows with the columns of the `X_sample` of `to_onnx`, in the same order.

    Returns
    -------
    inputs : dict of str to ndarray
        What ``onnxruntime.InferenceSession.run`` takes. A missing text is the empty text, a missing number nan.

    Raises
    ------
    ValueError
        If the number of columns differs, or an integer or boolean column has missing values.
    """
    table, inputs = as_table(X), model.graph.input
    types = [one.type.tensor_type for one in inputs]
    if len(inputs) == 1 and not is_mixed(table):
        return {inputs[0].name: np.asarray(table, dtype=helper.tensor_dtype_to_np_dtype(types[0].elem_type))}
    if table.shape[1] != len(inputs):
        raise ValueError(
            f"X has {table.shape[1]} columns, but the model has {len(inputs)} inputs: one for each column."
        )
    columns = as_categories(table).T
    return {
        one.name: _as_type(one.name, column, type_.elem_type)[:, None]
        for one, column, type_ in zip(inputs, columns, types, strict=True)
    }


def _as_type(name, column, elem_type):
    """A column of objects in the type of an ONNX input."""
    missing = np.array([value is None for value in column], dtype=bool)
    if elem_type == TensorProto.STRING:
        return np.where(missing, MISSING_TEXT, column)
    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    if missing.any() and dtype.kind != "f":
        raise ValueError(
            f"Column {name!r} has missing values, but this input of the model is {dtype}. Export the model with an X_sample "
            "that has a missing value in this column, or floats."
        )
    return np.where(missing, np.nan, column).astype(dtype)


def _types_of(table):
    """The names, types and shapes of the inputs for a table."""
    if not is_mixed(table):
        of_array = FloatTensorType if table.dtype == np.float32 else DoubleTensorType
        return [("X", of_array([None, table.shape[1]]))]
    names = [str(name) for name in getattr(table, "columns", [f"x{j}" for j in range(table.shape[1])])]
    dtypes = list(table.dtypes) if is_frame(table) else [np.dtype(object)] * len(names)
    columns = as_categories(table).T
    return [
        (name, _type_of_column(column, dtype)([None, 1]))
        for name, column, dtype in zip(names, columns, dtypes, strict=True)
    ]


def _type_of_column(column, dtype):
    """The type of an input for a column of text or numbers, None where a value is missing, of a table's column type."""
    kinds = set(map(type, column))
    if str in kinds:
        return StringTensorType
    if not isinstance(dtype, np.dtype):  # a type that may have missing values, such as Int64 of pandas
        return DoubleTensorType
    if dtype == np.float32:
        return FloatTensorType
    if all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return BooleanTensorType
    return Int64TensorType if all(issubclass(kind, Integral) for kind in kinds) else DoubleTensorType
