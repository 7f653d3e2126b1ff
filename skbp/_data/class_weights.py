"""Weights of classes, and the weights of rows that follow from them."""

from __future__ import annotations

import sys
from reprlib import Repr

import numpy as np

_SHORT = Repr()


def class_weights_of_rows(class_weight, codes, target, counts):
    """For each target column the weight of each row's class. The weight of a row is their product.

    Parameters
    ----------
    class_weight : "balanced", dict, or list of dict
        "balanced": total / (number of classes * count of the class). A dict gives a weight for each class, 1 if absent.
        For a multilabel target it is a list with one dict {0: weight, 1: weight} a label.
    codes : ndarray of int
        The labels as `target` encodes them.
    target : ClassTarget or LabelsTarget
    counts : list of ndarray
        As ``target.class_counts`` gives them.

    Returns
    -------
    factors : list of ndarray of shape (n_samples,)
    """
    columns = target.columns(codes)
    if isinstance(class_weight, str):
        tables = [_balanced(count) for count in counts]
    elif not _fits(class_weight, len(columns) if target.multilabel else None):
        wanted = "a dict"
        if target.multilabel:
            wanted = f"a list of {len(columns)} dicts {{0: weight, 1: weight}}, one a label"
        raise ValueError(
            f"class_weight={_SHORT.repr(class_weight)} does not fit the target: it must be 'balanced' or {wanted}."
        )
    elif target.multilabel:
        tables = [_table(weights, [0, 1]) for weights in class_weight]
    else:
        tables = [_table(class_weight, target.classes.tolist())]
    return [table[column] for table, column in zip(tables, columns, strict=True)]


def _balanced(counts):
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def _fits(class_weight, n_labels):
    """Whether it is a dict or, for a multilabel target, a list with a dict for each label."""
    if n_labels is None:
        return isinstance(class_weight, dict)
    return (
        isinstance(class_weight, list)
        and len(class_weight) == n_labels
        and all(isinstance(weights, dict) for weights in class_weight)
    )


def _table(class_weight, classes):
    """Weights in the order of the classes. An unknown class beside a missing one is an error: it is a misspelling."""
    unknown = [label for label in class_weight if label not in classes]
    missing = [label for label in classes if label not in class_weight]
    if unknown and missing:
        raise ValueError(f"class_weight names {unknown}, which y does not have, and no weight for {missing}.")
    table = [class_weight.get(label, 1.0) for label in classes]
    # NumPy would round the limit to the type of the weight.
    table = [weight.item() if isinstance(weight, np.number) else weight for weight in table]
    if not all(isinstance(weight, (int, float)) and 0 <= weight <= sys.float_info.max for weight in table):
        raise ValueError(f"class_weight={_SHORT.repr(class_weight)} must be finite and not negative numbers.")
    return np.array(table, dtype=np.float64)
