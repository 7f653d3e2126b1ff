"""Validation: rows that training does not see, and what the network makes of them after each epoch.

The rows are held out of those given, or the user's own. After each epoch they give a score, by which early stopping
decides and whose best weights are kept, and a loss, which stands beside that of training.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from functools import partial
from reprlib import Repr

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import train_test_split

from skbp._data import targets
from skbp._data.weights import shares
from skbp._network.predict import plain_logits, predict_logits
from skbp._notices import note


@dataclass(frozen=True)
class Rows:
    """Labelled rows, validated.

    Parameters
    ----------
    X : {ndarray, CSR array} of shape (n_rows, n_features)
    y : ndarray or sparse matrix of shape (n_rows,) or (n_rows, n_labels)
        Labels as they were given.
    codes : ndarray of int of shape (n_rows,) or (n_rows, n_labels)
        The same as `targets.class_codes` has them.
    row_weight : ndarray of float64 of shape (n_rows,) or None
        Weights without their common factor; None for ones.
    weight_exponent : int
        Their common factor is 2 to this power.
    """

    X: np.ndarray
    y: np.ndarray
    codes: np.ndarray
    row_weight: np.ndarray | None
    weight_exponent: int = 0

    def take(self, rows) -> Rows:
        """Some of the rows."""
        weight = None if self.row_weight is None else self.row_weight[rows]
        return Rows(self.X[rows], self.y[rows], self.codes[rows], weight, self.weight_exponent)


_SHORT = Repr()

# Metrics of scikit-learn that judge a constant prediction without a warning.
QUIET_METRICS = {
    *("accuracy_score", "balanced_accuracy_score", "roc_auc_score", "average_precision_score", "log_loss"),
    *("brier_score_loss", "matthews_corrcoef", "cohen_kappa_score"),
}


class Validation:
    """The score and the loss on some rows, as a function of the parameters.

    Parameters
    ----------
    rows : Rows
    target : ndarray
        Of these rows, as `loss` wants it.
    binarizer : LabelBinarizer
    activations : sequence of Activation
    loss : Loss
        The loss of training, without label smoothing: it is the labels themselves that are to be met.
    scoring : {None, "loss"} or callable (estimator, X, y) -> float
        None is the accuracy, "loss" the loss with its sign changed; else a scorer, which is given the weights of the rows
        if it can take a sample_weight.
    classifier_at : callable (Parameters) -> estimator
        A fitted classifier for the scorer.
    """

    def __init__(self, rows, target, binarizer, activations, loss, scoring, classifier_at):
        self._rows, self._target, self._activations, self._loss = rows, target, activations, loss
        self._n_classes = len(binarizer.classes_)
        self._scoring, self._classifier_at = scoring, classifier_at
        weighs = rows.row_weight is not None and rows.row_weight.any()
        self._row_weight = rows.row_weight if weighs else None
        self._scorer_arguments = {}
        if callable(scoring) and weighs and _takes_weights(scoring):
            self._scorer_arguments = {"sample_weight": np.ldexp(rows.row_weight, rows.weight_exponent)}

    def __call__(self, params):
        """The score, of which more is better, and the mean loss per row."""
        try:
            logits = predict_logits(params.weights, params.biases, self._activations, self._rows.X)
        except ValueError:  # an activation of the user's own that is nan somewhere: that row is wrong, and the loss nan
            chunks = plain_logits(params.weights, params.biases, self._activations, self._rows.X)
            logits = np.concatenate([logits for _, logits in chunks])
        losses = self._loss.loss_gradient(logits, self._target, out=np.zeros(logits.shape, logits.dtype))
        loss = float(np.average(losses, weights=self._row_weight))
        if self._scoring is None:
            return targets.accuracy(logits, self._rows.codes, self._row_weight, self._n_classes), loss
        if self._scoring == "loss":
            return -loss, loss
        score = self._score_by(self._scoring, self._classifier_at(params))
        if math.isnan(score):
            note("scoring gives nan on the validation data, which is never the best: perhaps a class is missing there.")
        return score, loss

    def score_of_constant(self, constant):
        """The score of a constant prediction; None where it cannot be told, or these rows cannot tell it from a good one.

        It is that of a `DummyClassifier`, fitted on the rows to train on, or for "loss" of the frequencies in these rows.
        """
        rows = self._rows
        weighty = rows.codes if self._row_weight is None else rows.codes[self._row_weight > 0.0]
        if (weighty == weighty[0]).all():
            return None
        if self._scoring == "loss":
            share = shares(rows.row_weight, np.arange(len(rows.codes)))
            return -self._loss.of_frequencies(targets.frequencies(self._target, share, self._n_classes))
        if self._scoring is None:
            y = rows.y.toarray() if issparse(rows.y) else rows.y
            return accuracy_score(y, constant.predict(np.zeros((len(y), 1))), sample_weight=self._row_weight)
        metric = getattr(self._scoring, "_score_func", None)
        if metric is None or not (metric.__name__ in QUIET_METRICS or _has_zero_division(metric)):
            return None  # a function of the user's own, which may ask for more of a classifier, or one that warns
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


class FoldValidation:
    """The loss of every member of a stack on rows of its own, as a function of the parameters.

    Parameters
    ----------
    objective : Objective
        Of the stack's parameters on all rows, for the loss of a row.
    folds : sequence of ndarray of int
        The rows of each member.
    row_weight : ndarray of shape (n_rows,) or None
        If those of a member's rows are all zero, its rows count alike.
    """

    def __init__(self, objective, folds, row_weight):
        self._objective = objective
        # Folds differ in length: what is short of the longest is filled up with a row that weighs nothing.
        n_rows = max(map(len, folds))
        self._rows = np.array([np.resize(fold, n_rows) for fold in folds])
        self._weight = np.zeros(self._rows.shape)
        for weight, fold in zip(self._weight, folds, strict=True):
            weight[: len(fold)] = shares(row_weight, fold)

    def __call__(self, params):  # noqa: ARG002 (they are those of the objective)
        """The score, which is the loss with its sign changed, and the loss of every member."""
        losses = np.sum(self._objective.row_losses(self._rows) * self._weight, axis=1)
        return -losses, losses


def _without_warnings(scorer):
    """A scorer of scikit-learn that gives 0 where its ratio is 0 / 0, without a warning."""
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


def split(codes, binarizer, validation_fraction, rng):
    """Indices of the rows to train on and of those to hold out.

    Stratified by class where there are rows enough, but not for a multilabel target.

    Parameters
    ----------
    codes : ndarray of int
    binarizer : LabelBinarizer
    validation_fraction : float
    rng : RandomState

    Returns
    -------
    train, held_out : ndarray of int
    """
    rows = np.arange(len(codes))
    n_held_out = math.ceil(validation_fraction * len(rows))
    if not 0 < n_held_out < len(rows):
        raise ValueError(
            f"early_stopping with validation_fraction={validation_fraction} would hold out {n_held_out} of "
            f"n_samples={len(rows)} rows: there must be at least one to validate on and one to train on. Use more rows, "
            "another validation_fraction, or early_stopping=False."
        )
    plain = partial(train_test_split, rows, test_size=validation_fraction, random_state=rng)
    if targets.is_multilabel(binarizer):
        return plain()
    two_classes = len(binarizer.classes_) <= 2
    try:
        return plain(stratify=(codes == 1).astype(str) if two_classes else codes)
    except ValueError:  # too few rows for one of each class
        return plain()


def dealt_out(codes, n_folds, rng):
    """Splits into folds that differ by at most one row in size, and in the rows that each has of a class.

    Parameters
    ----------
    codes : ndarray of int of shape (n_rows,)
    n_folds : int
    rng : RandomState
        Puts the rows of each class in order.

    Returns
    -------
    splits : list of (ndarray of int, ndarray of int)
    """
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.zeros(len(codes), dtype=np.intp)
    fold[order] = np.arange(len(codes)) % n_folds
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def checked_splits(splits, n_rows, row_weight):
    """Splits into rows to train on and rows to validate on, as arrays of indices.

    Rows to train on that weigh nothing are left out, and so are splits with none to validate on.

    Parameters
    ----------
    splits : iterable of (train, fold)
        Indices, or masks.
    n_rows : int
    row_weight : ndarray of shape (n_rows,) or None

    Returns
    -------
    splits : list of (ndarray of int, ndarray of int)

    Raises
    ------
    ValueError
        If one is no such split, has no rows to train on, or has rows in both parts, or if there is none.
    """
    checked = []
    for split in splits:
        if not (isinstance(split, (tuple, list)) and len(split) == 2):
            raise ValueError(
                f"cv makes a split that is {_SHORT.repr(split)}; each must be a pair (train, test) of row numbers or masks."
            )
        train, fold = (_row_numbers(part, n_rows) for part in split)
        if row_weight is not None:
            train = train[row_weight[train] > 0.0]
        if not len(train):
            raise ValueError(
                "cv makes a split with no rows to train on, or none of positive weight: use fewer folds, or give more rows "
                "a positive weight."
            )
        both = np.intersect1d(train, fold)
        if len(both):
            raise ValueError(
                f"cv makes a split with {len(both)} rows both to train and to validate on, such as row {both[0]}: a member "
                "must not be judged by rows that it has seen."
            )
        if len(fold):
            checked.append((train, fold))
    if not checked:
        raise ValueError("cv makes no split with rows to validate on: there must be at least one.")
    return checked


def _row_numbers(part, n_rows):
    """A part of a split, indices or a mask, as indices that are not negative."""
    try:
        part = np.asarray(part)
    except ValueError as error:  # ragged
        raise ValueError(f"cv makes a split with a part that is no array: {error}") from error
    if part.dtype == bool and part.shape == (n_rows,):
        return np.flatnonzero(part)
    if not part.size:
        return np.zeros(0, dtype=np.intp)
    if part.ndim != 1 or part.dtype.kind not in "iu" or part.min() < -n_rows or part.max() >= n_rows:
        raise ValueError(
            f"cv makes a split with a part of shape {part.shape} and type {part.dtype} that is neither row numbers from 0 "
            f"to {n_rows - 1} nor a mask of {n_rows} booleans."
        )
    return part % n_rows
