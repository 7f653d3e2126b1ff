"""Labels as users pass them: which kinds there are, and what is wrong with other values."""

from __future__ import annotations

from numbers import Integral, Real
from reprlib import Repr
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target, unique_labels

_SHORT = Repr()

MISSING = {"NoneType", "NAType", "NaTType"}


def check_labels(y, name="y"):
    """Refuse labels of type object that are not all text. scikit-learn does not accept them as labels.

    A column of numbers has type object if it comes from a table that also holds text.

    Parameters
    ----------
    y : array-like or sparse matrix
    name : str
        The user's argument, for the messages.

    Raises
    ------
    ValueError
        If a label is missing or is not text. The message says what to pass.
    """
    if issparse(y):
        return
    try:
        labels = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"{name} is no array of labels: {error}") from error
    if labels.ndim == 0 and labels.dtype == object and name != "y":
        raise ValueError(f"{name} must be a list or an array of labels. Got {y!r}.")
    if labels.dtype != object or labels.ndim == 0 or labels.size == 0:
        return
    values = labels.ravel().tolist()
    kinds = set(map(type, values))
    if all(issubclass(kind, str) for kind in kinds):
        return
    missing = [i for i, value in enumerate(values) if type(value).__name__ in MISSING or _is_nan(value)]
    if missing:
        row = missing[0] // (labels.size // len(labels))
        raise ValueError(f"{name} has missing values, the first in row {row}: leave out the rows without a label.")
    if kinds <= {list, tuple, set, np.ndarray}:
        raise ValueError(f"{name} has several labels a row: encode them by sklearn.preprocessing.MultiLabelBinarizer.")
    of_one_kind: dict[str, Any] = {"bool": (bool, np.bool_), "int": Integral, "float": Real}
    to = next((to for to, kind in of_one_kind.items() if all(issubclass(one, kind) for one in kinds)), "str")
    types = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ValueError(
        f"Unknown label type: {name} has dtype object with labels of type {types}. Pass {name}.astype({to})."
    )


def _is_nan(value):
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def as_vector(y):
    """Labels of shape (n_samples, 1) as (n_samples,), with scikit-learn's warning."""
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def target_type(y, name="y"):
    """The kind of a target of class labels, as `sklearn.utils.multiclass.type_of_target` names it.

    Raises
    ------
    ValueError
        If it does not hold class labels, or has several columns with other values than 0 and 1.
    """
    y = y if issparse(y) else np.asarray(y)
    if y.ndim == 0:
        raise ValueError(f"{name} must be an array of labels; got {_SHORT.repr(y.item())}.")
    found = type_of_target(y, input_name=name)
    if found == "multilabel-indicator":
        values = y.data if issparse(y) else y
        if not ((values == 0) | (values == 1)).all():
            raise ValueError(
                f"{name} has several columns with the values {np.unique(values).tolist()}, but a multilabel target has 0 "
                f"and 1 only. Pass 1 where a label holds and 0 elsewhere, for example ({name} == "
                f"{np.unique(values).tolist()[-1]}).astype(int), or wrap the estimator in "
                "sklearn.multioutput.MultiOutputClassifier."
            )
    elif found == "multiclass-multioutput":
        raise ValueError(
            f"Multioutput targets with several classes each are not supported: {name} must be 1-d, or 2-d with 0 and 1 "
            "only (multilabel). Wrap the estimator in sklearn.multioutput.MultiOutputClassifier instead."
        )
    elif found not in {"binary", "multiclass"}:
        raise ValueError(
            f"Unknown label type: {found}. {name} must hold class labels: text, integers or booleans, or 0 and 1 in several "
            "columns. Numbers that are no integers are a target of regression, and this is a classifier."
        )
    return found


def is_one_hot(y):
    """Whether every row of an indicator matrix has a single 1, and there are more rows than columns."""
    return y.shape[0] > y.shape[1] and bool((np.asarray(y.sum(axis=1)) == 1).all())


def is_multilabel(binarizer):
    """Whether a fitted LabelBinarizer has seen rows with several labels."""
    return binarizer.y_type_.startswith("multilabel")


def known_codes(y, classes):
    """The index of each label among sorted classes, or None if it takes a closer look to tell.

    It takes some 6 microseconds for 20 labels. scikit-learn's encoder and checks take 360.
    """
    if not (
        isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind == classes.dtype.kind and y.dtype.kind in "biuU"
    ):
        return None
    index = np.searchsorted(classes, y)
    np.minimum(index, len(classes) - 1, out=index)
    return index if (classes[index] == y).all() else None


def check_known_labels(y, binarizer, all_of_them, name="y"):
    """Raise an error if `y` has an unknown label, or if `all_of_them` is true and a known label is missing.

    Parameters
    ----------
    y : ndarray or sparse matrix
    binarizer : LabelBinarizer
        Fitted on the known labels.
    all_of_them : bool
    name : str
        The user's argument, for the messages.
    """
    codes = None if is_multilabel(binarizer) else known_codes(y, binarizer.classes_)
    if codes is not None and not (all_of_them and len(np.unique(codes)) < len(binarizer.classes_)):
        return
    multilabel = target_type(y, name).startswith("multilabel")
    if multilabel != is_multilabel(binarizer):
        kinds = ("one class a row", "multilabel")
        remedy = "Call fit with warm_start=False, or use a fresh clone."
        if name != "y":
            remedy = f"Pass {name} in the form of y."
            if multilabel and is_one_hot(y):
                remedy = f"It looks one-hot: pass {name}.argmax(axis=1)."
        raise ValueError(
            f"{name} is {kinds[multilabel]}, but the classifier has been trained on a target that is "
            f"{kinds[not multilabel]}. {remedy}"
        )
    if multilabel and y.shape[1] != len(binarizer.classes_):
        raise ValueError(
            f"{name} has {y.shape[1]} columns, but the classifier has been trained on {len(binarizer.classes_)} labels: "
            "give a column for each."
        )
    seen, labels = binarizer.classes_, unique_labels(y)
    if not multilabel and (labels.dtype.kind in "USO") != (seen.dtype.kind in "USO"):
        raise ValueError(
            f"{name} has labels of type {labels.dtype}, but those known, {seen}, are of type {seen.dtype}."
        )
    if all_of_them and set(labels) != set(seen):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
            f"{seen}, `y` has {labels}"
        )
    unseen = np.setdiff1d(labels, seen)
    if len(unseen):
        remedy = "Name every class in the first call to partial_fit, or call fit."
        if name != "y":
            remedy = "Leave those rows out, or train on rows of those classes too."
        raise ValueError(f"`{name}` has classes not in `self.classes_`: {unseen}. `self.classes_` has {seen}. {remedy}")
