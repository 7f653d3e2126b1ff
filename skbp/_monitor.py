"""What happened in training so far, and whether it still gets anywhere.

Solvers report to the monitor once an epoch (or once an iteration of a SciPy method). It keeps the history and the weights
worth keeping, prints progress, and counts how long nothing has improved.
"""

from __future__ import annotations

import math

import numpy as np


class Monitor:
    """History, patience and best weights of one fit.

    Parameters
    ----------
    tol : float
        An epoch counts as an improvement if the objective falls, or the validation score rises, by at least this much
        over the best so far (an absolute difference).
    n_iter_no_change : int or inf
        Training has stalled after more than this many epochs in a row without improvement.
    verbose : bool or int
        Whether to print a line an epoch.
    validation_score : callable (Parameters) -> float, default=None
        The score on data held out. If given it decides in place of the objective, and its best weights are kept.

    Attributes
    ----------
    n_iter : int
        Epochs recorded.
    loss_curve, validation_scores : list of float
    best_loss, best_validation_score : float
    no_improvement_count : int
    """

    _last: np.ndarray

    def __init__(self, tol, n_iter_no_change, verbose, validation_score=None):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.verbose = verbose
        self._validation_score = validation_score
        self.n_iter = 0
        self.loss_curve: list[float] = []
        self.validation_scores: list[float] = []
        self.best_loss = math.inf
        self.best_validation_score = -math.inf
        self.no_improvement_count = 0
        self._best: np.ndarray | None = None

    @property
    def validates(self) -> bool:
        """Whether a validation score decides when to stop."""
        return self._validation_score is not None

    @property
    def stalled(self) -> bool:
        """Whether nothing has improved for longer than `n_iter_no_change` epochs."""
        return self.no_improvement_count > self.n_iter_no_change

    def start(self, params, trained):
        """Remember the weights that training starts from; if they are `trained` ones, they are the best so far."""
        self._last = params.vector.copy()
        if trained and self.validates:
            self.best_validation_score = self._validation_score(params)
            self._best = params.vector.copy()

    def record(self, loss, params):
        """Take note of a finished epoch: its mean objective and the weights after it."""
        # An interrupt may come while the score is computed: then the epoch counts for nothing yet.
        score = self._validation_score(params) if self.validates else None
        self.n_iter += 1
        self.loss_curve.append(loss)
        np.copyto(self._last, params.vector)
        self._say(f"Iteration {self.n_iter}, loss = {loss:.8f}")
        if score is None:
            improved = loss <= self.best_loss - self.tol
        else:
            self.validation_scores.append(score)
            self._say(f"Validation score: {score:.6f}")
            improved = score >= self.best_validation_score + self.tol
            if score > self.best_validation_score:
                self.best_validation_score = score
                self._best = params.vector.copy()
        self.best_loss = min(self.best_loss, loss)
        self.no_improvement_count = 0 if improved else self.no_improvement_count + 1

    def announce_stall(self, decision):
        """Say that nothing has improved, and what is done about it."""
        what = "Validation score" if self.validates else "Training loss"
        self._say(
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs. {decision}"
        )

    def restore_last(self, params):
        """Set the parameters to those of the last recorded epoch, or of the start."""
        np.copyto(params.vector, self._last)

    def restore_best(self, params):
        """Set the parameters to those with the best validation score, if there is one."""
        if self._best is not None:
            np.copyto(params.vector, self._best)

    def _say(self, line):
        if self.verbose:
            print(line)
