"""From logits to probabilities, labels and scores as ONNX nodes, as _data/targets.py computes them."""

from __future__ import annotations

import numpy as np

from skbp._network.losses import LOSSES
from skbp.onnx.activations import one_plus_exp_of_minus_abs


def check_loss(target) -> None:
    """Refuse a loss that was added to the registry: its probabilities are not known here."""
    if target.loss.name not in {"softmax", "logistic"} or LOSSES[target.loss.name] is not target.loss:
        raise NotImplementedError(
            f"out_activation={target.loss.name!r} has no ONNX expression yet: add it in skbp/onnx/outputs.py."
        )


def probabilities(graph, target, logits) -> str:
    """Class probabilities along the last axis of logits with any leading axes.

    Parameters
    ----------
    graph : Graph
    target : Target
    logits : str
    """
    limits = np.finfo(graph.dtype)
    least = float(limits.tiny)
    if not target.multilabel:
        return graph("Max", graph("Softmax", class_scores(graph, target, logits), axis=-1), least)
    # exp(min(z, 0)) / (1 + exp(-|z|)) is exact in both tails.
    proba = graph("Div", graph("Exp", graph("Min", logits, 0.0)), one_plus_exp_of_minus_abs(graph, logits))
    return graph("Max", graph("Min", proba, 1.0 - float(limits.epsneg)), least)


def class_scores(graph, target, logits) -> str:
    """Numbers with the property that their softmax is the probabilities of classes that exclude each other."""
    if len(target.classes) == 1:
        return graph("Mul", logits, 0.0)
    if target.loss.exclusive:
        return logits
    if target.n_outputs == 1:
        return graph("Concat", graph("Mul", logits, 0.0), logits, axis=-1)
    logarithm = graph("Log", one_plus_exp_of_minus_abs(graph, logits))
    return graph("Sub", graph("Min", logits, 0.0), logarithm)


def decision(graph, target, logits) -> str:
    """The decision function of one network, with a column for each class.

    Two classes have the columns -d and d, which is the form that skl2onnx knows.
    """
    if target.multilabel or len(target.classes) > 2:
        return logits
    scores = class_scores(graph, target, logits)
    return scores if len(target.classes) == 1 else _both_signs(graph, scores)


def decision_by_probabilities(graph, target, mean_proba) -> str:
    """The decision function of mean probabilities, in the form of `decision`.

    Parameters
    ----------
    graph : Graph
    target : Target
    mean_proba : callable (sign) -> str
        As for `Target.decision_by_proba`.
    """
    logarithm = graph("Log", mean_proba(1.0))
    if target.multilabel:
        return graph("Sub", logarithm, graph("Log", mean_proba(-1.0)))
    if len(target.classes) == 1:
        return graph("Mul", logarithm, 0.0)
    return logarithm if len(target.classes) > 2 else _both_signs(graph, logarithm)


def _both_signs(graph, scores):
    first, second = graph.columns(scores, [0]), graph.columns(scores, [1])
    return graph.concatenated([graph("Sub", first, second), graph("Sub", second, first)])


def codes(graph, target, values, threshold) -> str:
    """The index of the largest of the classes' values, or for several labels 1 where a value is above the threshold.

    `values` are logits and the threshold 0, or probabilities and the threshold 1/2.
    """
    if target.multilabel:
        return graph.cast(graph("Greater", values, threshold), np.int64)
    if target.n_outputs == 1 and threshold == 0.0 and len(target.classes) == 2:
        positive = graph.cast(graph("Greater", values, threshold), np.int64)
        return graph("Reshape", positive, np.array([-1]))
    return graph("ArgMax", values, axis=1, keepdims=0)


def class_labels(classes) -> np.ndarray:
    """The labels that a model returns: text, or int64 for integers, booleans and floats that are whole numbers.

    Raises
    ------
    ValueError
        If they are numbers that int64 does not have.
    """
    if classes.dtype.kind in "UO":
        return classes
    with np.errstate(invalid="ignore"):
        labels = classes.astype(np.int64)
    if not np.array_equal(labels, classes):
        raise ValueError(f"Class labels in ONNX are text or int64, but the classes are {classes.tolist()}.")
    return labels
