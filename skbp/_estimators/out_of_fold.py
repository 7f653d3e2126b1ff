"""The predictions of an ensemble's members for rows they did not train on, and the temperature that calibrates them.

Logits are kept once, in the type of training. Everything that follows from them is computed chunk by chunk. So only the
memory for the results grows with the rows times the classes.
"""

from __future__ import annotations

import math
import time

import numpy as np
from scipy.optimize import minimize_scalar

from skbp._data.weights import shares
from skbp._network.predict import ROOM

# The temperature is sought between exp(-2) and exp(2).
LOG_TEMPERATURES = (-2.0, 2.0)

# Elements of a chunk of probabilities: 2 MB.
CHUNK_ELEMENTS = 2**18

# If the time is up, the temperature is sought on so many logits only. That takes a tenth of a second.
FEW_ELEMENTS = 2**17


class OutOfFold:
    """The logits of every fold by the member that did not train on it.

    Parameters
    ----------
    folds : sequence of ndarray of int
        The rows of each fold.
    logits : sequence of ndarray of shape (n_rows of the fold, n_outputs)
    link : callable (ndarray of shape (n, n_outputs)) -> ndarray of shape (n, n_classes)
        The probabilities that logits stand for.
    target : Target
        For the log losses of probabilities.

    Attributes
    ----------
    covered : ndarray of int
        The rows that are in a fold, in order.
    """

    def __init__(self, folds, logits, link, target):
        self._folds, self._logits, self._link, self._target = folds, logits, link, target
        self.covered = np.unique(np.concatenate(folds))

    def saturates(self):
        """Whether a row was scaled down because a logit was beyond the largest number of its type, or nearly so."""
        return any((np.abs(z) >= 0.25 * ROOM * float(np.finfo(z.dtype).max)).any() for z in self._logits)

    def temperature(self, codes, weight, deadline):
        """The temperature with the least log loss.

        Parameters
        ----------
        codes : ndarray
            The codes of all rows.
        weight : ndarray or None
            The weights of all rows.
        deadline : float
            On the clock of `time.perf_counter`. If it passes during the search, the best temperature so far is taken. If it
            has passed before, the search uses a sample of the rows.
        """
        step = 1
        if time.perf_counter() >= deadline:
            deadline, step = math.inf, math.ceil(sum(z.size for z in self._logits) / FEW_ELEMENTS)
        order = np.concatenate([fold[::step] for fold in self._folds])
        if weight is None or not weight[order].any():
            weight = np.ones(len(codes))
        total, best = float(weight[order].sum()), (math.inf, 0.0)

        def log_loss(log_temperature):
            nonlocal best
            if time.perf_counter() >= deadline:
                raise _TimeIsUp
            factor = math.exp(-log_temperature)
            value = 0.0
            for indices, z in self._chunks(step):
                losses = self._target.log_losses(self._link(z * factor), codes[indices])
                value += float(losses @ weight[indices])
            best = min(best, (value / total, log_temperature))
            return value / total

        try:
            if deadline < math.inf:
                log_loss(0.0)  # a search that is cut short must not end above it
            return math.exp(minimize_scalar(log_loss, bounds=LOG_TEMPERATURES, method="bounded").x)
        except _TimeIsUp:
            return math.exp(best[1])

    def mean_proba(self, n_rows, factor):
        """For each row the mean probabilities of its logits times a factor; nan for rows in no fold."""
        total, count = None, np.zeros((n_rows, 1))
        for indices, z in self._chunks():
            proba = self._link(z * factor)
            if total is None:
                total = np.zeros((n_rows, proba.shape[1]))
            total[indices] += proba
            count[indices] += 1.0
        total /= count
        return total

    def mean_decision(self, n_rows):
        """For each row the decision function of the mean probabilities; nan for rows in no fold."""
        means = {1.0: self.mean_proba(n_rows, 1.0)}
        if self._target.multilabel:
            means[-1.0] = self.mean_proba(n_rows, -1.0)
        result = means[1.0]
        if len(self._target.classes) <= 2 and not self._target.multilabel:
            result = np.zeros(n_rows)
        for chunk in _row_chunks(n_rows, means[1.0].shape[1]):
            result[chunk] = self._target.decision_by_proba(lambda sign, chunk=chunk: means[sign][chunk])
        return result

    def judge(self, proba, codes, weight):
        """The weighted log loss and accuracy of the probabilities of all rows."""
        share = shares(weight, self.covered)
        log_loss = score = 0.0
        for chunk in _row_chunks(len(self.covered), proba.shape[1]):
            predicted, truth = proba[self.covered[chunk]], codes[self.covered[chunk]]
            right = self._target.codes_by_proba(predicted) == truth
            log_loss += float(self._target.log_losses(predicted, truth) @ share[chunk])
            score += float((right.all(axis=1) if truth.ndim == 2 else right) @ share[chunk])
        return log_loss, min(score, 1.0)

    def _chunks(self, step=1):
        """Rows and their logits, in float64 so that no probability is rounded to 1."""
        for fold, z in zip(self._folds, self._logits, strict=True):
            n_rows = step * max(1, CHUNK_ELEMENTS // z.shape[1])
            for start in range(0, len(fold), n_rows):
                chunk = slice(start, start + n_rows, step)
                yield fold[chunk], z[chunk].astype(np.float64)


class _TimeIsUp(Exception):
    """Ends the search of the temperature."""


def _row_chunks(n_rows, n_columns):
    """Slices of rows that each have about CHUNK_ELEMENTS elements."""
    step = max(1, CHUNK_ELEMENTS // n_columns)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
