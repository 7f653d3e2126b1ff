"""Gradient descent on mini-batches: epochs of steps, each by an update rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skbp._training.outcome import Outcome, UnreachableRowsError, diverged, interrupted, stopped, unreachable
from skbp._training.schedules import Progress
from skbp._training.updates import UpdateRule

# An adaptive learning rate at most this is not lowered further.
LOWEST_LEARNING_RATE = 1e-6

# Weights decay by at least this much at once, or at the end of the epoch. float32 would round a factor closer to 1 too much.
LEAST_DECAY = 1e-4


@dataclass
class MiniBatchSolver:
    """Epochs of steps on mini-batches, for one network or for all members of a stack at once.

    Every member of a stack has rows of its own. In an epoch all members take as many steps. Members with more rows than
    others leave some out, different ones in each epoch if the rows are shuffled.

    Parameters
    ----------
    rule : UpdateRule
    schedule : callable (Progress) -> float
        The factor of the learning rate for the next step.
    learning_rate_init : float
    batch_size : int
    shuffle : bool
        Whether each epoch takes the rows in a new random order.
    rngs : sequence of RandomState
        For each member of a stack, or for the one network.
    progress : Progress
        Where training stands. The solver keeps it up to date.
    horizon : int
        Epochs of the whole training, the measure of progress.
    weight_decay : float, default=0.0
        Decoupled decay: an epoch at the initial learning rate multiplies the weights, but not the biases, by
        exp(-weight_decay), each step by its share of the rows. The schedule scales it.
    max_grad_norm : float or None, default=None
        Longer gradients are shortened to this norm.
    planned : bool, default=False
        Whether the schedule covers the whole of training. Then the last epoch completes it and does not cut it off.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019,
    https://doi.org/10.48550/arXiv.1711.05101

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    https://doi.org/10.48550/arXiv.1211.5063, for the norm of the gradient.
    """

    # The estimator's parameters that a mini-batch solver uses, in addition to those of its rule.
    parameters: ClassVar[tuple[str, ...]] = (
        *("batch_size", "learning_rate", "learning_rate_init", "power_t", "warmup_fraction", "shuffle"),
        *("n_iter_no_change", "dropout", "weight_decay", "max_grad_norm"),
    )

    rule: UpdateRule
    schedule: Callable[[Progress], float]
    learning_rate_init: float
    batch_size: int
    shuffle: bool
    rngs: Sequence[np.random.RandomState]
    progress: Progress
    horizon: int
    weight_decay: float = 0.0
    max_grad_norm: float | None = None
    planned: bool = False

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.learning_rate_init * self.schedule(self.progress))

    @property
    def skips_zeros(self) -> bool:
        """Whether a derivative of 0 has no effect on a step, so that it need not be computed."""
        return self.rule.memoryless and self.max_grad_norm is None

    def run(self, objective, rows, monitor, max_iter) -> Outcome:
        """Train for at most `max_iter` epochs.

        Parameters
        ----------
        objective : Objective
        rows : Rows
        monitor : Monitor
        max_iter : int
        """
        params, n_rows = objective.params, rows.n_in_epoch
        epochs = rows.epochs(self.rngs, self.shuffle)
        loss = math.nan
        try:
            for _ in range(max_iter):
                monitor.begin_epoch()
                self.advance(0.0, self.batch_size / n_rows)
                learning_rate = self.learning_rate
                epoch_loss = self._epoch(objective, next(epochs), n_rows)
                # The losses of an epoch are those before each step. This checks the result of the last step.
                if not monitor.history.goes_on(np.isfinite(epoch_loss) & objective.is_finite(rows)):
                    monitor.restore_last(params)
                    monitor.restore_best(params)
                    return diverged(monitor, loss, f" Lower learning_rate_init, now {self.learning_rate_init:g}.")
                loss = epoch_loss
                self.progress.samples_seen += n_rows
                self.progress.epochs += 1
                monitor.record(loss, params, learning_rate, self.progress.samples_seen)
                if monitor.stalled and not self._lower_learning_rate(monitor):
                    monitor.restore_best(params)
                    return Outcome("converged", loss)
                if monitor.stop_reason:
                    monitor.restore_best(params)
                    return stopped(monitor, loss)
            monitor.restore_best(params)
        except (KeyboardInterrupt, UnreachableRowsError) as error:
            return self._cut_short(objective, rows, monitor, error)
        if self.planned:
            return Outcome("converged", loss)
        warning = (
            f"Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet. Raise max_iter, or "
            "learning_rate_init if the loss still falls slowly."
        )
        return Outcome("max_iter", loss, warning, wants_advice=True)

    def _cut_short(self, objective, rows, monitor, error) -> Outcome:
        """What is left of training after the user's interrupt, or after the loss of the rows."""
        params = objective.params
        if isinstance(error, UnreachableRowsError):
            return unreachable(monitor, params, error)
        if not np.all(objective.is_finite(rows)):
            monitor.restore_last(params)
        monitor.restore_best(params)
        # The last epoch may have its loss, but no place in the history yet.
        return interrupted(monitor, monitor.history.last_loss)

    def advance(self, share_of_epoch, step):
        """Set the progress to a share of the present epoch. The next step is another share of it."""
        self.progress.fraction = min(1.0, (self.progress.epochs + share_of_epoch) / self.horizon)
        self.progress.step = step / self.horizon

    def _epoch(self, objective, portions, n_rows):
        """Take one step on each batch. Returns the mean objective, or the first value without a finite member."""
        finite = _any_finite if objective.params.members else math.isfinite
        total, n_seen, n_counted, decay = 0.0, 0, 0, 0.0
        for batches, n in self._batches(portions):
            share = n / n_rows
            self.advance(n_seen / n_rows, share)
            n_seen += n
            if not batches:  # all weights are zero
                continue
            value = objective.value_and_gradient(batches)  # steps 1 to 4
            if not finite(value):
                return value
            factor = self.schedule(self.progress)
            decay += self.weight_decay * factor * share
            if decay > LEAST_DECAY:
                objective.params.weight_vector *= math.exp(-decay)
                decay = 0.0
            self._step(objective, float(self.learning_rate_init * factor))
            total += value * n
            n_counted += n
        if decay > 0.0:
            objective.params.weight_vector *= math.exp(-decay)
        return total / n_counted

    def _batches(self, portions):
        """What each step of an epoch takes, and the number of its rows."""
        for rows, order in portions:
            n_rows = order.stop if isinstance(order, slice) else order.shape[-1]
            for start in range(0, n_rows, self.batch_size):
                stop = min(start + self.batch_size, n_rows)
                yield (
                    rows.take(slice(start, stop) if isinstance(order, slice) else order[..., start:stop]),
                    stop - start,
                )

    def _step(self, objective, learning_rate):
        """Change the parameters by one step along the gradient."""
        gradient = objective.gradient
        if self.max_grad_norm is not None:
            # In float64: squares of float32 overflow long before a gradient does.
            norm = np.sqrt(np.vecdot(gradient.vector, gradient.vector, dtype=np.float64))
            shrink = np.minimum(self.max_grad_norm / norm, 1.0)
            gradient.vector *= shrink.astype(gradient.vector.dtype)[..., None]
        gradient.update(objective.params, self.rule.step, learning_rate)  # step 5

    def _lower_learning_rate(self, monitor):
        """Whether the schedule answers a stall with a smaller learning rate. Then training goes on with it."""
        before = self.learning_rate
        self.progress.stalls += 1
        if before <= LOWEST_LEARNING_RATE or self.learning_rate >= before:
            self.progress.stalls -= 1
            monitor.announce_stall("Stopping.")
            return False
        monitor.announce_stall(f"Setting learning rate to {self.learning_rate:g}")
        monitor.history.reset_patience()
        return True


def _any_finite(values):
    return np.isfinite(values).any()
