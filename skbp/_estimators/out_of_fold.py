"""The predictions of an ensemble's members for rows they did not train on, and what calibrates their mean.

The members see one or two views of the table. A row has an honest prediction by each member with the row in its fold. Their
mean over a view is

.. math:: p_v(T) = \\operatorname{mean}_r \\operatorname{link}(z_{v,r} / T_v), \\qquad p = (1 - w) \\, p_1 + w \\, p_2

Logits are kept once, in the type of training. Everything that follows from them is computed chunk by chunk. So only the
memory for the results grows with the rows times the classes.
"""

from __future__ import annotations

import math
import time
from itertools import islice

import numpy as np
from scipy.optimize import minimize_scalar

from skbp._data.weights import shares
from skbp._network.predict import ROOM

# Temperatures are sought between exp(-2) and exp(2).
LOG_TEMPERATURES = (-2.0, 2.0)

# The weight of the second view is half of the way from this to the best weight. Those of few rows are inexact.
EVEN = 0.5

# Smaller relative differences of log losses are rounding.
ROUNDING = 1e-12

# Elements of a chunk of probabilities: 2 MB.
CHUNK_ELEMENTS = 2**18

# If the time is up, the search goes on with so many logits only. That takes a tenth of a second.
FEW_ELEMENTS = 2**17


class OutOfFold:
    """The logits of every fold by the member that did not train on it.

    Parameters
    ----------
    folds : sequence of ndarray of int
        The rows of each fold.
    logits : iterable of ndarray of shape (n_rows of the fold, n_outputs)
    link : callable (ndarray of shape (n, n_outputs)) -> ndarray of shape (n, n_classes)
        The probabilities that logits stand for.
    target : Target
        For the log losses of probabilities.
    n_first : int, default=None
        How many of the members see the first view; None for all.

    Attributes
    ----------
    covered : ndarray of int
        The rows that are in a fold, in order.
    """

    def __init__(self, folds, logits, link, target, n_first=None):
        self._link, self._target = link, target
        self.covered = np.unique(np.concatenate(folds))
        n_first = len(folds) if n_first is None else n_first
        parts = [folds[:n_first], folds[n_first:]] if 0 < n_first < len(folds) else [folds]
        each = iter(logits)  # only one array is there at a time
        self._views = [_View(part, islice(each, len(part)), self.covered) for part in parts]

    def saturates(self):
        """Whether a row was scaled down because a logit was beyond the largest number of its type, or nearly so."""
        return any(
            (np.abs(z) >= 0.25 * ROOM * float(np.finfo(z.dtype).max)).any() for view in self._views for z in view.slots
        )

    def calibrate(self, codes, weight, deadline):
        """The temperature of each view, and the weight of the second, with the least log loss.

        First each view has a temperature of its own. Then w minimises the log loss of the mixture, and moves half of the way
        back to 1/2. At last one common factor of both temperatures calibrates the mixture.

        Parameters
        ----------
        codes : ndarray
            The codes of all rows.
        weight : ndarray or None
            The weights of all rows.
        deadline : float
            On the clock of `time.perf_counter`. If it passes during a search, the best value so far is taken. If it has
            passed before, the searches use a sample of the rows.

        Returns
        -------
        temperatures : list of float
        second : float
            w; 0 for one view.
        """
        search = _Search(self, codes, weight, deadline)
        # With the weight 0 the first view counts alone, with 1 the second.
        logs = [search.best(lambda t: [math.exp(-t)] * 2, float(k), LOG_TEMPERATURES) for k in range(len(self._views))]
        alone = [math.exp(t) for t in logs]
        if len(alone) == 1:
            return alone, 0.0
        factors = [1.0 / t for t in alone]
        second = 0.5 * (search.best(lambda _: factors, None, (0.0, 1.0)) + EVEN)
        bounds = LOG_TEMPERATURES[0] - min(logs), LOG_TEMPERATURES[1] - max(logs)
        common = math.exp(search.best(lambda t: [f * math.exp(-t) for f in factors], second, bounds))
        return [common * t for t in alone], second

    def mean_proba(self, n_rows, factors, second=0.0):
        """For each row the mixture of the probabilities of its logits times a factor; nan for rows in no fold."""
        total = None
        for chunk in self._chunks():
            proba, _ = self.mixture(chunk, factors, second)
            if total is None:
                total = np.full((n_rows, proba.shape[1]), np.nan)
            total[self.covered[chunk]] = proba
        return total

    def mean_decision(self, n_rows, second=0.0):
        """For each row the decision function of the mixture at temperature 1; nan for rows in no fold."""
        means = {1.0: self.mean_proba(n_rows, [1.0, 1.0], second)}
        if self._target.multilabel:
            means[-1.0] = self.mean_proba(n_rows, [-1.0, -1.0], second)
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

    def mixture(self, chunk, factors, second):
        """The mixture for a slice of the covered rows, and which rows have any prediction.

        A row without a prediction of one view has that of the other, if this counts.
        """
        total = share = 0.0
        for view, factor, part in zip(self._views, factors, (1.0 - second, second), strict=False):
            if part:
                proba, has_any = view.proba(chunk, factor, self._link)
                total, share = total + part * proba, share + part * has_any
        has_any = np.asarray(share) > 0.0
        return total / np.where(has_any, share, 1.0), has_any[:, 0]

    def _chunks(self, step=1):
        size = step * max(1, CHUNK_ELEMENTS // self._views[0].slots[0].shape[1])
        return [slice(start, start + size, step) for start in range(0, len(self.covered), size)]


class _View:
    """The logits of the members that see the same columns, row by row.

    Attributes
    ----------
    slots : list of ndarray of shape (n_covered, n_outputs)
        The first honest prediction of each row, the second, and so on; 0 where there is none.
    """

    def __init__(self, folds, logits, covered):
        self._n = np.zeros(len(covered), dtype=np.intp)
        self.slots: list[np.ndarray] = []
        for fold, z in zip(folds, logits, strict=True):
            at = np.searchsorted(covered, fold)
            for k in np.unique(self._n[at]):
                if k == len(self.slots):
                    self.slots.append(np.zeros((len(covered), z.shape[1]), z.dtype))
                here = self._n[at] == k
                self.slots[k][at[here]] = z[here]
            self._n[at] += 1

    def proba(self, chunk, factor, link):
        """The mean probabilities of some rows, and which rows have any."""
        n, total = self._n[chunk, None], np.zeros(())
        for k, slot in enumerate(self.slots):
            # In float64 no probability is rounded to 1.
            total = total + np.where(n > k, link(slot[chunk].astype(np.float64) * factor), 0.0)
        return total / np.maximum(n, 1), n > 0


class _Search:
    """Searches for the least log loss, until the time is up."""

    def __init__(self, out_of_fold, codes, weight, deadline):
        self._of, self._codes = out_of_fold, codes[out_of_fold.covered]
        self._deadline, self._step = deadline, 1
        if time.perf_counter() >= deadline:
            size = sum(z.size for view in out_of_fold._views for z in view.slots)
            self._deadline, self._step = math.inf, math.ceil(size / FEW_ELEMENTS)
        weight = None if weight is None else weight[out_of_fold.covered]
        if weight is None or not weight[:: self._step].any():
            weight = np.ones(len(self._codes))
        self._weight = weight

    def best(self, factors_at, second, bounds):
        """Where the log loss is least.

        Parameters
        ----------
        factors_at : callable (float) -> factors of the logits
        second : float or None
            The weight of the second view; None if that is sought.
        bounds : (float, float)
            A search that is cut short does not end above the loss at 0 or, of weights, at 1/2.
        """
        best = (math.inf, 0.0)

        def log_loss(x):
            nonlocal best
            if time.perf_counter() >= self._deadline:
                raise _TimeIsUp
            value = self._log_loss(factors_at(x), x if second is None else second)
            best = min(best, (value, x))
            return value

        start = EVEN if second is None else 0.0
        try:
            at_start = log_loss(start)
            found = minimize_scalar(log_loss, bounds=bounds, method="bounded")
            # If nothing depends on x, the search ends at some end of its range.
            return float(found.x) if found.fun < at_start * (1.0 - ROUNDING) else start
        except _TimeIsUp:
            return best[1] if math.isfinite(best[0]) else start

    def _log_loss(self, factors, second):
        value = total = 0.0
        for chunk in self._of._chunks(self._step):
            proba, has_any = self._of.mixture(chunk, factors, second)
            codes, weight = self._codes[chunk], self._weight[chunk]
            if not has_any.all():
                proba, codes, weight = proba[has_any], codes[has_any], weight[has_any]
            value += float(self._of._target.log_losses(proba, codes) @ weight)
            total += float(weight.sum())
        return value / total if total > 0.0 else 0.0


class _TimeIsUp(Exception):
    """Ends a search."""


def _row_chunks(n_rows, n_columns):
    """Slices of rows that each have about CHUNK_ELEMENTS elements."""
    step = max(1, CHUNK_ELEMENTS // n_columns)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
