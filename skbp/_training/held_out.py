"""Held-out rows: how well the network does on them after each epoch.

They give a score and a loss. Early stopping goes by the score and keeps the weights with the best one.
"""

from __future__ import annotations

import inspect
import math

import numpy as np
from scipy.sparse import issparse
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, make_scorer

from skbp._network.predict import Forward, logits_of_all
from skbp._notices import note
from skbp._training.threads import core_threads

# Metrics of scikit-learn that judge a constant prediction without a warning.
QUIET_METRICS = {
    *("accuracy_score", "balanced_accuracy_score", "roc_auc_score", "average_precision_score", "log_loss"),
    *("brier_score_loss", "matthews_corrcoef", "cohen_kappa_score"),
}


class HeldOut:
    """The score and the loss of one network on held-out rows, as a function of the parameters.

    Parameters
    ----------
    rows : Rows
    target : Target
        Its loss has no label smoothing: held-out rows are judged by the labels themselves.
    activations : sequence of Activation
    scoring : {None, "loss"} or callable (estimator, X, y) -> float
        None is the accuracy, "loss" the loss with its sign changed. A scorer also gets the weights of the rows, if it takes
        a sample_weight.
    estimator_at : callable (Parameters) -> estimator
        A fitted estimator for the scorer.
    """

    def __init__(self, rows, target, activations, scoring, estimator_at):
        self._rows, self._target, self._activations = rows, target, activations
        self._scoring, self._estimator_at = scoring, estimator_at
        self._weighs = bool(rows.mean_weight)
        self._scorer_arguments = {}
        if callable(scoring) and self._weighs and _takes_weights(scoring):
            self._scorer_arguments = {"sample_weight": np.ldexp(rows.weight, rows.weight_exponent)}

    def __call__(self, params):
        """The score, for which more is better, and the mean loss of a row."""
        network = self._target, self._activations, *params.copies()
        total, loss, right = self._rows.summed(_judged, network, self._weighs)
        mean_loss = loss / total
        if self._scoring is None:
            return right / total, mean_loss
        if self._scoring == "loss":
            return -mean_loss, mean_loss
        score = self._score_by(self._scoring, self._estimator_at(params))
        if math.isnan(score):
            note("scoring gives nan on the validation data, which is never the best: perhaps a class is missing there.")
        return score, mean_loss

    def score_of_constant(self, train):
        """The score of a constant prediction. None if it is unknown, or if these rows cannot tell it from a good prediction.

        The prediction is the most frequent class in the rows `train`, or for "loss" the frequencies in the held-out rows.
        """
        rows = self._rows
        weight = rows.weight if self._weighs else None
        with_weight = rows.codes if weight is None else rows.codes[weight > 0.0]
        if (with_weight == with_weight[0]).all():
            return None
        if self._scoring == "loss":
            weight = np.ones(len(rows)) if weight is None else weight
            frequencies = self._target.loss.frequencies(rows.target, weight / weight.sum(), self._target.n_outputs)
            return -self._target.loss.of_frequencies(frequencies)
        y = train.y.toarray() if issparse(train.y) else train.y
        constant = DummyClassifier(strategy="prior").fit(np.zeros((len(y), 1)), y)
        if self._scoring is None:
            y = rows.y.toarray() if issparse(rows.y) else rows.y
            return accuracy_score(y, constant.predict(np.zeros((len(y), 1))), sample_weight=weight)
        metric = getattr(self._scoring, "_score_func", None)
        if metric is None or not (metric.__name__ in QUIET_METRICS or _has_zero_division(metric)):
            return None  # a user's own function may ask for more of a classifier; other metrics warn
        try:
            return self._score_by(_without_warnings(self._scoring), constant)
        except Exception:  # noqa: BLE001, the metric is not defined for constant predictions
            return None

    def _score_by(self, scorer, estimator):
        score = scorer(estimator, self._rows.X, self._rows.y, **self._scorer_arguments)
        if np.ndim(score) == 0 and np.asarray(score).dtype.kind in "fiub":
            return float(score)
        raise ValueError(
            f"The function given as scoring returned {score!r}; it must return one number, more for better."
        )


def _judged(rows, network, weighs):
    """The sum of the weights of some rows, of their weighted losses, and of the weights of rows predicted right."""
    target, activations, weights, biases = network
    forward = Forward(weights, biases, activations, rows.dtype, n_threads=core_threads())
    logits = logits_of_all(forward, rows.chunks())
    losses = target.loss.loss_gradient(logits, rows.target, out=np.zeros(logits.shape, logits.dtype))
    right = target.is_right(logits, rows.codes)
    if weighs:
        return float(rows.weight.sum()), float(losses @ rows.weight), float(right @ rows.weight)
    return float(len(rows)), float(losses.sum(dtype=np.float64)), float(right.sum())


class HeldOutFolds:
    """The loss of every member of a stack on a fold of its own, as a function of the parameters.

    Parameters
    ----------
    objective : Objective
        The objective at the stack's parameters, without label smoothing.
    rows : Rows
        The folds are parts of them.
    folds : sequence of ndarray of int
        The rows of each member.
    shares : sequence of ndarray
        The share of each row of a fold in the mean loss of the fold.
    """

    def __init__(self, objective, rows, folds, shares):
        self._objective = objective
        # Folds differ in length. Rows of weight 0 fill up the shorter ones.
        n_rows = max(map(len, folds))
        self._share = np.zeros((len(folds), n_rows))
        for row, share in zip(self._share, shares, strict=True):
            row[: len(share)] = share
        self._rows, self._indices = rows, np.array([np.resize(fold, n_rows) for fold in folds])

    def __call__(self, params):  # noqa: ARG002 (they are those of the objective)
        """The score, which is the loss with its sign changed, and the loss of every member."""
        losses = np.sum(self._objective.row_losses(self._rows.take(self._indices)) * self._share, axis=1)
        return -losses, losses


def _without_warnings(scorer):
    """A scorer of scikit-learn that gives 0 for a ratio of 0 / 0, without a warning."""
    metric = scorer._score_func
    if not _has_zero_division(metric):
        return scorer
    return make_scorer(metric, greater_is_better=scorer._sign > 0, **scorer._kwargs | {"zero_division": 0.0})


def _has_zero_division(metric):
    return "zero_division" in inspect.signature(metric).parameters


def _takes_weights(scorer):
    """Whether a scorer passes on a sample_weight: scikit-learn's do if their metric takes one."""
    function = getattr(scorer, "_score_func", scorer)
    return "sample_weight" in inspect.signature(function).parameters
