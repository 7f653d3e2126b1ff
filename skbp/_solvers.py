"""Outer loops: how the steps of training follow one another.

A solver is given an objective, the function to be minimised, and a monitor, which it tells of every epoch. It knows
nothing of networks. When it returns, the objective's parameters are the result and an `Outcome` says how it ended.
``SOLVERS`` maps the names that the estimator takes to the two kinds: epochs of mini-batches with an update rule, and
SciPy's minimisers on all rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.optimize

from skbp._schedules import Progress
from skbp._updates import UPDATES, UpdateRule

# An adaptive learning rate is not lowered further once it is at most this.
LOWEST_LEARNING_RATE = 1e-6

SCALE_ADVICE = "Scale the features (for example with sklearn.preprocessing.StandardScaler)"


@dataclass
class Outcome:
    """How a solver ended.

    Attributes
    ----------
    status : {"converged", "max_iter", "failed", "diverged", "interrupted"}
        "failed" is a SciPy method that gave up on its own.
    loss : float
        The objective: of the last finished epoch for mini-batches, at the final parameters for SciPy's methods; nan if
        there was none.
    samples_seen : int
        Rows gone through, each as often as it was.
    warning : str
        What the user should know of it and do; empty if all is well.
    """

    status: str
    loss: float
    samples_seen: int
    warning: str = ""


def _interrupted(monitor, loss, samples_seen):
    warning = f"Training interrupted by user after {monitor.n_iter} iterations; the weights so far are kept."
    return Outcome("interrupted", loss, samples_seen, warning)


def _diverged(monitor, loss, samples_seen, advice):
    warning = (
        f"Training diverged: the objective was not finite in iteration {monitor.n_iter + 1}. The weights after iteration "
        f"{monitor.n_iter} are kept. {advice}."
    )
    return Outcome("diverged", loss, samples_seen, warning)


@dataclass
class MiniBatchSolver:
    """Epochs of steps on mini-batches.

    Parameters
    ----------
    rule : UpdateRule
    schedule : callable (Progress) -> float
        The factor of the learning rate for the next epoch.
    learning_rate_init : float
    batch_size : int
    shuffle : bool
        Whether each epoch goes through the rows in a new random order.
    rng : RandomState
    progress : Progress
        Where training stands; kept up to date.
    """

    rule: UpdateRule
    schedule: Callable[[Progress], float]
    learning_rate_init: float
    batch_size: int
    shuffle: bool
    rng: np.random.RandomState
    progress: Progress

    @property
    def learning_rate(self) -> float:
        return float(self.learning_rate_init) * self.schedule(self.progress)

    def run(self, objective, monitor, max_iter) -> Outcome:
        """Train for at most `max_iter` epochs."""
        params = objective.params
        rows = np.arange(objective.n_rows)
        loss = math.nan
        try:
            for _ in range(max_iter):
                epoch_loss = self._epoch(objective, rows)
                if not (math.isfinite(epoch_loss) and np.isfinite(params.vector).all()):
                    monitor.restore_last(params)
                    monitor.restore_best(params)
                    advice = f"{SCALE_ADVICE} or lower learning_rate_init={self.learning_rate_init}"
                    return _diverged(monitor, loss, self.progress.samples_seen, advice)
                loss = epoch_loss
                self.progress.samples_seen += objective.n_rows
                monitor.record(loss, params)
                if monitor.stalled and not self._lower_learning_rate(monitor):
                    monitor.restore_best(params)
                    return Outcome("converged", loss, self.progress.samples_seen)
        except KeyboardInterrupt:
            if not np.isfinite(params.vector).all():
                monitor.restore_last(params)
            monitor.restore_best(params)
            return _interrupted(monitor, loss, self.progress.samples_seen)
        monitor.restore_best(params)
        warning = (
            f"Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet. Raise max_iter, or "
            "learning_rate_init if the loss still falls slowly."
        )
        return Outcome("max_iter", loss, self.progress.samples_seen, warning)

    def _epoch(self, objective, rows):
        """One step on each batch; the mean of the batches' objectives, or the first that is not finite."""
        if self.shuffle:
            self.rng.shuffle(rows)
        learning_rate = self.learning_rate
        total, n_counted = 0.0, 0
        for start in range(0, len(rows), self.batch_size):
            stop = min(start + self.batch_size, len(rows))
            value = objective.value_and_gradient(rows[start:stop] if self.shuffle else slice(start, stop))
            if value is None:  # all weights of the batch are zero
                continue
            if not math.isfinite(value):
                return value
            self.rule.step(objective.params.vector, objective.gradient.vector, learning_rate)
            total += value * (stop - start)
            n_counted += stop - start
        return total / n_counted

    def _lower_learning_rate(self, monitor):
        """Whether the schedule answers a stall with a smaller learning rate, which then gets its chance."""
        before = self.learning_rate
        self.progress.stalls += 1
        if before <= LOWEST_LEARNING_RATE or self.learning_rate >= before:
            monitor.announce_stall("Stopping.")
            return False
        monitor.announce_stall(f"Setting learning rate to {self.learning_rate:f}")
        monitor.no_improvement_count = 0
        return True


@dataclass(frozen=True)
class ScipyMethod:
    """A method of scipy.optimize.minimize and the names of its options for `tol` and `max_fun`."""

    name: str
    tol: str
    max_fun: str


SCIPY_METHODS = {"lbfgs": ScipyMethod("L-BFGS-B", tol="gtol", max_fun="maxfun")}


@dataclass
class ScipySolver:
    """Minimise the objective on all rows with a method of scipy.optimize.

    Parameters
    ----------
    method : str
        A key of SCIPY_METHODS.
    tol : float
        The largest element of the gradient, in absolute value, at which the method is content.
    max_fun : int
        Evaluations of the objective at the most.
    """

    method: str
    tol: float
    max_fun: int

    def run(self, objective, monitor, max_iter) -> Outcome:
        """Train for at most `max_iter` iterations of the method."""
        params = objective.params
        evaluations = _Evaluations(objective)
        method = SCIPY_METHODS[self.method]
        options = {method.tol: self.tol, method.max_fun: self.max_fun, "maxiter": max_iter}
        loss = math.nan

        def after_iteration(intermediate_result):
            nonlocal loss
            if not math.isfinite(intermediate_result.fun):
                raise StopIteration
            loss = float(intermediate_result.fun)
            params.vector[...] = intermediate_result.x
            monitor.record(loss, params)
            if monitor.validates and monitor.stalled:
                monitor.announce_stall("Stopping.")
                raise StopIteration

        try:
            result = scipy.optimize.minimize(
                evaluations.value_and_gradient,
                params.vector.astype(np.float64),
                method=method.name,
                jac=True,
                options=options,
                callback=after_iteration,
            )
        except KeyboardInterrupt:
            monitor.restore_last(params)
            monitor.restore_best(params)
            return _interrupted(monitor, loss, evaluations.samples_seen)
        if not (math.isfinite(result.fun) and np.isfinite(result.x).all()):
            monitor.restore_last(params)
            monitor.restore_best(params)
            return _diverged(monitor, loss, evaluations.samples_seen, SCALE_ADVICE)
        params.vector[...] = result.x
        monitor.restore_best(params)
        return self._outcome(result, monitor, evaluations.samples_seen, max_iter)

    def _outcome(self, result, monitor, samples_seen, max_iter):
        loss = float(result.fun)
        if result.success or (monitor.validates and monitor.stalled):
            return Outcome("converged", loss, samples_seen)
        status, remedy = "failed", SCALE_ADVICE
        if result.nit >= max_iter:
            status, remedy = "max_iter", f"Raise max_iter={max_iter}. {SCALE_ADVICE}"
        elif result.nfev >= self.max_fun:
            status, remedy = "max_iter", f"Raise max_fun={self.max_fun}. {SCALE_ADVICE}"
        warning = (
            f"{self.method} failed to converge after {result.nit} iteration(s) (status={result.status}): "
            f"{result.message} {remedy}, which often makes it converge faster."
        )
        return Outcome(status, loss, samples_seen, warning)


class _Evaluations:
    """The objective as SciPy calls it: a function of a float64 vector, with its evaluations counted."""

    def __init__(self, objective):
        self._objective = objective
        self.samples_seen = 0

    def value_and_gradient(self, x):
        """F(x) and a copy of its gradient: SciPy's methods keep what they are given."""
        self._objective.params.vector[...] = x
        self.samples_seen += self._objective.n_rows
        value = self._objective.value_and_gradient()
        return value, self._objective.gradient.vector.astype(np.float64)


SOLVERS = {
    **dict.fromkeys(UPDATES, MiniBatchSolver),
    **dict.fromkeys(SCIPY_METHODS, ScipySolver),
}
