"""From labels to what the losses want, and back from logits to labels and class probabilities.

Which output layer a target gets:

=============  ===================  ==========  ===========================================================
target         `out_activation`     units       meaning
=============  ===================  ==========  ===========================================================
binary         "auto"               1 logistic  the logit of the second class
multiclass     "auto"               K softmax   one class excludes the others
multilabel     "auto", "logistic"   K logistic  each label for itself
one of K       "softmax"            K softmax   as above, also for two classes
one of K       "logistic"           K logistic  each unit against all others; probabilities normalised over classes
=============  ===================  ==========  ===========================================================
"""

from __future__ import annotations

import sys
from numbers import Integral, Real
from reprlib import Repr
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer, LabelEncoder
from sklearn.utils.multiclass import type_of_target, unique_labels

from skbp._network.losses import LOSSES, log_sigmoid

_SHORT = Repr()


MISSING = {"NoneType", "NAType", "NaTType"}


def check_labels(y, name="y"):
    """Refuse labels of type object that are not all text, which scikit-learn does not know for labels.

    A column of a table that also holds text comes as an array of objects, whatever its elements.

    Parameters
    ----------
    y : array-like or sparse matrix
    name : str
        The user's argument, for the messages.

    Raises
    ------
    ValueError
        If a label is missing or no text; the message says what to pass.
    """
    if issparse(y):
        return
    try:
        labels = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"{name} is no array of labels: {error}") from error
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


def target_type(y, name="y"):
    """The kind of a target, as `sklearn.utils.multiclass.type_of_target` names it, if it is one of class labels.

    Raises
    ------
    ValueError
        If it is none of class labels, or one of several columns with other values than 0 and 1.
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


def fit_binarizer(y):
    """A LabelBinarizer for the labels `y`; an error says what targets are possible."""
    target_type(y)
    return LabelBinarizer().fit(y)


def is_multilabel(binarizer):
    return binarizer.y_type_.startswith("multilabel")


def output_layer(out_activation, binarizer, one_hot=False):
    """The output activation and the number of output units, by the table above.

    `one_hot` says that the target looks like one-hot rows of classes that exclude each other.
    """
    n_classes = len(binarizer.classes_)
    if is_multilabel(binarizer):
        if out_activation == "softmax":
            remedy = "y looks one-hot: pass y.argmax(axis=1)." if one_hot else "Use 'auto' or 'logistic'."
            raise ValueError(
                f"out_activation='softmax' is for classes that exclude each other, but y is multilabel. {remedy}"
            )
        return "logistic", n_classes
    if out_activation != "auto":
        return out_activation, n_classes
    return ("softmax", n_classes) if n_classes > 2 else ("logistic", 1)


def check_known_labels(y, binarizer, all_of_them, name="y"):
    """Raise if `y` has labels not seen before, or, where `all_of_them`, lacks one."""
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


def class_codes(y, binarizer):
    """Labels as integers: (n_samples,) class indices, or (n_samples, n_labels) of 0 and 1 if multilabel.

    Class indices are of the smallest type that holds them: of a million rows they are the largest thing that stays.
    """
    if is_multilabel(binarizer):
        return binarizer.transform(y)
    encoder = LabelEncoder()
    encoder.classes_ = binarizer.classes_
    return encoder.transform(y).astype(np.min_scalar_type(len(binarizer.classes_) - 1))


def encode(codes, out_activation, n_outputs):
    """The target as the loss of the output activation wants it."""
    if out_activation == "softmax":
        return codes
    if codes.ndim == 2:
        return codes.astype(bool)
    return codes[:, None] == (np.arange(n_outputs) if n_outputs > 1 else 1)


def frequencies(target, share, n_outputs):
    """How often each output is true, weighted by the shares of the rows, which sum to 1."""
    if target.ndim == 1:
        return np.bincount(target, share, minlength=n_outputs)
    return share @ target


def decode(logits, binarizer):
    """The predicted labels, shaped and typed as the labels that the binarizer was fitted on."""
    if is_multilabel(binarizer):
        return binarizer.inverse_transform((logits > 0.0).astype(np.intp))
    if len(binarizer.classes_) == 1:
        return np.repeat(binarizer.classes_, len(logits))
    return binarizer.classes_[predicted_codes(logits)]


def predicted_codes(logits, n_classes=2):
    """The index of the most probable class; a single logit is of the second of two."""
    if n_classes == 1:
        return np.zeros(len(logits), dtype=np.intp)
    return (logits[:, 0] > 0.0).astype(np.intp) if logits.shape[1] == 1 else logits.argmax(axis=1)


def accuracy(logits, codes, row_weight, n_classes=2):
    """The weighted share of rows predicted right, in all labels if there are several; unweighted if no row weighs."""
    right = ((logits > 0.0) == codes).all(axis=1) if codes.ndim == 2 else predicted_codes(logits, n_classes) == codes
    return float(np.average(right, weights=row_weight if row_weight is not None and row_weight.any() else None))


def decision(logits, out_activation, binarizer):
    """The logits as scikit-learn's decision function: (n_samples,), the log odds of the second class, if there are two."""
    if is_multilabel(binarizer) or len(binarizer.classes_) > 2:
        return logits
    if len(binarizer.classes_) == 1:
        return np.zeros(len(logits), logits.dtype)  # there is no other class to be told from
    if logits.shape[1] == 1:
        return logits[:, 0]
    scores = _class_scores(logits, out_activation, binarizer)
    limit = np.finfo(scores.dtype).max
    return (scores[:, 1] - scores[:, 0]).clip(-limit, limit)


def class_log_proba(logits, out_activation, binarizer):
    """Logarithms of the class probabilities, (n_samples, n_classes)."""
    if is_multilabel(binarizer):
        return LOSSES[out_activation].log_proba(logits)
    return LOSSES["softmax"].log_proba(_class_scores(logits, out_activation, binarizer))


def class_proba(logits, out_activation, binarizer):
    """The class probabilities, (n_samples, n_classes); labels' probabilities if multilabel."""
    if is_multilabel(binarizer):
        return LOSSES[out_activation].proba(logits)
    return LOSSES["softmax"].proba(_class_scores(logits, out_activation, binarizer))


def decision_of_proba(proba, binarizer):
    """Probabilities of classes as scikit-learn's decision function: log odds, or of more than two logarithms."""
    with np.errstate(divide="ignore"):
        log_proba = np.log(proba)
    return log_proba if len(binarizer.classes_) > 2 else log_proba[:, -1] - log_proba[:, 0]


def codes_by_proba(proba, multilabel):
    """The codes of the labels that class probabilities predict."""
    return (proba > 0.5).astype(np.intp) if multilabel else proba.argmax(axis=1)


def log_losses(proba, codes):
    """Each row's log loss; of a multilabel target the sum over the labels."""
    if codes.ndim == 2:
        return -np.where(codes, np.log(proba), np.log1p(-proba)).sum(axis=1)
    return -np.log(proba[np.arange(len(codes)), codes])


def class_weights_of_rows(class_weight, codes, binarizer, counts):
    """For each target column the weight of each row by its class there: of the row, it is their product.

    Parameters
    ----------
    class_weight : "balanced", dict, or list of dict
        "balanced": total / (number of classes * count of the class) with the counts of `counts`. A dict gives a weight
        for each class, 1 if absent; for multilabel targets it is a list with one dict {0: weight, 1: weight} a label.
    codes : ndarray of int
        As `class_codes` gives it.
    binarizer : LabelBinarizer
    counts : list of ndarray
        For each target column the weighted count of each of its classes, as `class_counts` gives it.

    Returns
    -------
    factors : list of ndarray of shape (n_samples,)
    """
    multilabel = is_multilabel(binarizer)
    columns = codes.T if multilabel else [codes]
    if isinstance(class_weight, str):
        tables = [_balanced(count) for count in counts]
    elif not _fits(class_weight, len(columns) if multilabel else None):
        wanted = f"a list of {len(columns)} dicts {{0: weight, 1: weight}}, one a label" if multilabel else "a dict"
        raise ValueError(
            f"class_weight={_SHORT.repr(class_weight)} does not fit the target: it must be 'balanced' or {wanted}."
        )
    elif multilabel:
        tables = [_table(weights, [0, 1]) for weights in class_weight]
    else:
        tables = [_table(class_weight, binarizer.classes_.tolist())]
    return [table[column] for table, column in zip(tables, columns, strict=True)]


def class_counts(codes, binarizer, sample_weight=None):
    """For each target column the summed weight of each of its classes."""
    if is_multilabel(binarizer):
        return [np.bincount(column, sample_weight, minlength=2) for column in codes.T]
    return [np.bincount(codes, sample_weight, minlength=len(binarizer.classes_))]


def _balanced(counts):
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def _fits(class_weight, n_labels):
    """Whether it is a dict or, for a multilabel target, a list of as many dicts as there are labels."""
    if n_labels is None:
        return isinstance(class_weight, dict)
    return (
        isinstance(class_weight, list)
        and len(class_weight) == n_labels
        and all(isinstance(weights, dict) for weights in class_weight)
    )


def _table(class_weight, classes):
    """Weights in the order of the classes; an unknown class is an error if a known one has no weight: a misspelling."""
    unknown = [label for label in class_weight if label not in classes]
    missing = [label for label in classes if label not in class_weight]
    if unknown and missing:
        raise ValueError(f"class_weight names {unknown}, which y does not have, and no weight for {missing}.")
    table = [class_weight.get(label, 1.0) for label in classes]
    if not all(isinstance(weight, (int, float, np.number)) and 0 <= weight <= sys.float_info.max for weight in table):
        raise ValueError(f"class_weight={_SHORT.repr(class_weight)} must be finite and not negative numbers.")
    return np.array(table, dtype=np.float64)


def _class_scores(logits, out_activation, binarizer):
    """Numbers whose softmax over the classes is their probabilities."""
    if len(binarizer.classes_) == 1:
        return np.zeros_like(logits)
    if out_activation == "softmax":
        return logits
    if logits.shape[1] == 1:
        # The softmax of (0, z) is (1 - sigma(z), sigma(z)).
        scores = np.zeros((len(logits), 2), logits.dtype)
        scores[:, 1:] = logits
        return scores
    return log_sigmoid(logits)
