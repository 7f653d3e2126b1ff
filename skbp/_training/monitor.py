"""What happened in training so far, and whether it still gets anywhere.

Solvers report to the monitor once an epoch (or once an iteration of a SciPy method). It keeps the history and the weights
worth keeping, prints progress, tells scikit-learn's callbacks, and counts how long nothing has improved.
"""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
import time
from typing import Any, NamedTuple

import numpy as np

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn knows no callbacks."""


__all__ = ["CallbackSupportMixin", "EpochCallbacks", "Monitor", "StackMonitor"]

# A live line is written at most once in so many seconds.
LIVE_SECONDS = 0.1

LINE_WIDTH = 80


class _Epoch(NamedTuple):
    """The figures of a finished epoch."""

    loss: float
    learning_rate: float | None
    score: float
    validation_loss: float


class _Standing(NamedTuple):
    """Where training stands after some epochs."""

    n_iter: int = 0
    samples_seen: int | None = None
    best_loss: float = math.inf
    no_improvement_count: int = 0
    best_validation_score: float = -math.inf
    best_iter: int = 0
    best: np.ndarray | None = None


class Monitor:
    """History, patience and best weights of one fit.

    An interrupt may come at any moment. So an epoch counts from one single assignment on, that of `_standing`: it is in the
    history with all of its figures or not at all.

    Parameters
    ----------
    tol : float
        An epoch counts as an improvement if the objective falls, or the validation score rises, by at least this much
        over the best so far (an absolute difference).
    n_iter_no_change : int or inf
        Training has stalled after more than this many epochs in a row without improvement.
    verbose : bool or int, default=False
        1 prints a line an epoch; 2 keeps to one line that is written over and over, if the output is a terminal.
    validate : callable (Parameters) -> (score, loss), default=None
        What is found on validation data: the more, the better for the score, the less, the better for the loss.
    early_stopping : bool, default=False
        Whether the validation score decides in place of the objective, and its best weights are kept.
    max_time : float or None, default=None
        Seconds after which training should stop.
    callbacks : EpochCallbacks, default=None
    score_is_loss : bool, default=False
        Whether the score is a loss with its sign changed, which is shown as a loss.

    Attributes
    ----------
    n_iter : int
        Epochs recorded.
    samples_seen : int or None
        Rows gone through up to the last of them; None with SciPy's methods.
    loss_curve, learning_rate_curve, validation_scores, validation_loss_curve : list of float
    best_loss, best_validation_score : float
    best_iter : int
        The epoch, counted from 1, with the best validation score; 0 is before the first one.
    no_improvement_count : int
    stop_reason : {"", "stopped", "max_time"}
        Why training should stop whether or not it has stalled: a callback asked for it, or the time is up.
    """

    _last: np.ndarray

    def __init__(
        self,
        tol,
        n_iter_no_change,
        verbose=False,
        validate=None,
        early_stopping=False,
        max_time=None,
        callbacks=None,
        score_is_loss=False,
    ):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.max_time = max_time
        self._validate = validate
        self._callbacks = callbacks
        self._started = time.perf_counter()
        self._printer = _Printer(verbose, score_is_loss)
        # Of these as many count as `_standing` says.
        self._epochs: list[_Epoch] = []
        self._standing = _Standing()
        self.stop_reason = ""

    @property
    def n_iter(self) -> int:
        return self._standing.n_iter

    @property
    def samples_seen(self) -> int | None:
        return self._standing.samples_seen

    @property
    def best_loss(self) -> float:
        return self._standing.best_loss

    @property
    def best_validation_score(self) -> float:
        return self._standing.best_validation_score

    @property
    def best_iter(self) -> int:
        return self._standing.best_iter

    @property
    def no_improvement_count(self) -> int:
        return self._standing.no_improvement_count

    @property
    def last_loss(self) -> float | None:
        """The loss of the last epoch."""
        return self._epochs[self.n_iter - 1].loss if self.n_iter else None

    @property
    def loss_curve(self) -> list[float]:
        return [epoch.loss for epoch in self._epochs[: self.n_iter]]

    @property
    def learning_rate_curve(self) -> list[float]:
        return [epoch.learning_rate for epoch in self._epochs[: self.n_iter] if epoch.learning_rate is not None]

    @property
    def validation_scores(self) -> list[float]:
        return [epoch.score for epoch in self._epochs[: self.n_iter]] if self.validates else []

    @property
    def validation_loss_curve(self) -> list[float]:
        return [epoch.validation_loss for epoch in self._epochs[: self.n_iter]] if self.validates else []

    def go_on(self, no_improvement_count, best_loss):
        """Continue the history of an earlier call."""
        self._standing = self._standing._replace(no_improvement_count=no_improvement_count, best_loss=best_loss)

    @property
    def validates(self) -> bool:
        """Whether there are validation data."""
        return self._validate is not None

    @property
    def stalled(self) -> bool:
        """Whether nothing has improved for longer than `n_iter_no_change` epochs."""
        return self.no_improvement_count > self.n_iter_no_change

    def goes_on(self, finite) -> bool:
        """Whether training goes on after an epoch that has been `finite` or not."""
        return bool(finite)

    def is_at_start(self, params) -> bool:
        """Whether no epoch has been finished and no step taken."""
        return not self.n_iter and np.array_equal(params.vector, self._last)

    def start(self, params, trained):
        """Remember the weights that training starts from; if they are `trained` ones, they are the best so far."""
        self._last = params.vector.copy()
        if trained and self.early_stopping and self._validate is not None:
            score, _ = self._validate(params)
            self._standing = self._standing._replace(best_validation_score=score, best=params.vector.copy())

    def begin_iteration(self):
        """Say that an epoch begins."""
        if self._callbacks is not None:
            self._callbacks.begin()

    def record(self, loss, params, learning_rate=None, samples_seen=None):
        """Take note of a finished epoch.

        Parameters
        ----------
        loss : float
            The mean objective.
        params : Parameters
            As they are after it.
        learning_rate : float, default=None
            That at the start of the epoch.
        samples_seen : int, default=None
            Rows gone through so far.
        """
        # An interrupt may come while the score is computed: then the epoch counts for nothing yet.
        score, validation_loss = self._validate(params) if self._validate is not None else (math.nan, math.nan)
        self.note(_Epoch(loss, learning_rate, score, validation_loss), params.vector, samples_seen)
        self._tell(loss, params, learning_rate, score)

    def note(self, epoch, vector, samples_seen):
        """Put the figures of a finished epoch into the history, and keep its weights if they are the best."""
        before = self._standing
        del self._epochs[before.n_iter :]
        self._epochs.append(epoch)
        np.copyto(self._last, vector)
        if self.early_stopping:
            improved = epoch.score >= before.best_validation_score + self.tol
        else:
            improved = epoch.loss <= before.best_loss - self.tol
        standing = before._replace(
            n_iter=before.n_iter + 1,
            samples_seen=samples_seen,
            best_loss=min(before.best_loss, epoch.loss),
            no_improvement_count=0 if improved else before.no_improvement_count + 1,
        )
        self._standing = standing if self._validate is None else self._with_best(standing, epoch.score, vector)

    def _with_best(self, standing, score, vector):
        """The standing with the weights of the last epoch if their validation score is the best."""
        if not score > standing.best_validation_score:
            return standing
        best = vector.copy() if self.early_stopping else None
        return standing._replace(best_validation_score=score, best_iter=standing.n_iter, best=best)

    def look_again(self, score, validation_loss):
        """Put a score and a loss in the place of those of the last epoch."""
        last = self._epochs[self.n_iter - 1]
        self._epochs[self.n_iter - 1] = last._replace(score=score, validation_loss=validation_loss)
        self._standing = self._with_best(self._standing, score, self._last)

    def _tell(self, loss, params, learning_rate, score):
        """Print the figures of a finished epoch, tell the callbacks, look at the clock."""
        seconds = time.perf_counter() - self._started
        self._printer.iteration(self.n_iter, loss, score if self.validates else None, learning_rate, seconds)
        if self._callbacks is not None and self._callbacks.end(params, self):
            self.stop_reason = "stopped"
        elif self.max_time is not None and seconds >= self.max_time:
            self.stop_reason = "max_time"

    def reset_patience(self):
        """Count from 0 how long nothing has improved."""
        self._standing = self._standing._replace(no_improvement_count=0)

    def announce_stall(self, decision):
        """Say that nothing has improved, and what is done about it."""
        what = self._printer.score_name.capitalize() if self.early_stopping else "Training loss"
        self._printer.remark(
            f"{what} did not improve more than tol={self.tol:g} for {self.n_iter_no_change} consecutive epochs. {decision}"
        )

    def finish(self):
        """Say that training is over, and its results published."""
        self._printer.close()
        if self._callbacks is not None:
            self._callbacks.close()

    def restore_last(self, params):
        """Set the parameters to those of the last recorded epoch, or of the start."""
        np.copyto(params.vector, self._last)

    def restore_best(self, params):
        """Set the parameters to those with the best validation score, if that decides."""
        if self._standing.best is not None:
            np.copyto(params.vector, self._standing.best)


class StackMonitor(Monitor):
    """The same for a stack: a history for each member, one clock, one line an epoch for all.

    Each member keeps the weights that were best on its own validation data. Training has stalled when every member has,
    which only a look at the validation data can tell. A member that diverges keeps its history and weights up to then,
    and the others go on.

    Parameters
    ----------
    n_members : int
    validate_every : int
        Epochs from one look at the validation data to the next; there is one at the end too, whatever it is that ends
        training. In between, scores and losses are nan.
    max_iter : int
        Epochs at the most.
    *args, **kwargs
        As for Monitor; what is validated is an array of a number for each member.

    Attributes
    ----------
    members : list of Monitor
        The history of each.
    diverged : ndarray of bool of shape (n_members,)
        Those that have diverged.
    """

    def __init__(self, n_members, validate_every, tol, n_iter_no_change, *args, max_iter, **kwargs):
        super().__init__(tol, n_iter_no_change, *args, **kwargs)
        self._validate_every, self._max_iter = validate_every, max_iter
        self._nothing = np.full(n_members, np.nan)
        self._looked = True
        self.diverged = np.zeros(n_members, dtype=bool)
        self.members = [
            Monitor(tol, n_iter_no_change, validate=self._validate, early_stopping=self.early_stopping)
            for _ in range(n_members)
        ]
        # Those that have not diverged, with their numbers.
        self._left = list(enumerate(self.members))

    @property
    def stalled(self) -> bool:
        return self._looked and all(member.stalled for _, member in self._left)

    def goes_on(self, finite) -> bool:
        if not finite.all():
            self.diverged |= ~finite
            self._left = [(i, member) for i, member in self._left if not self.diverged[i]]
        return bool(self._left)

    def is_at_start(self, params) -> bool:
        return all(member.is_at_start(params.member(i)) for i, member in enumerate(self.members))

    def start(self, params, trained=False):
        for i, member in enumerate(self.members):
            member.start(params.member(i), trained)

    def record(self, loss, params, learning_rate=None, samples_seen=None):
        n_iter = self.n_iter + 1
        scores, validation_losses = self._nothing, self._nothing
        looks = self.validates and (n_iter % self._validate_every == 0 or n_iter == self._max_iter)
        if looks:
            scores, validation_losses = self._validate(params)
        for i, member in self._left:
            epoch = _Epoch(float(loss[i]), learning_rate, float(scores[i]), float(validation_losses[i]))
            member.note(epoch, params.vector[i], samples_seen)
        self._standing = self._standing._replace(n_iter=n_iter)
        self._looked = looks or not self.validates
        left = ~self.diverged
        self._tell(float(np.mean(loss[left])), params, learning_rate, float(np.mean(scores[left])))

    def reset_patience(self):
        for member in self.members:
            member.reset_patience()

    def restore_last(self, params):
        for i, member in enumerate(self.members):
            member.restore_last(params.member(i))

    def restore_best(self, params):
        if self.validates and not (self._looked and not self.diverged.any()):
            self.restore_last(params)
            for member, score, validation_loss in zip(self.members, *self._validate(params), strict=True):
                if member.n_iter and math.isnan(member.validation_scores[-1]):
                    member.look_again(float(score), float(validation_loss))
            self._looked = True
        for i, member in enumerate(self.members):
            member.restore_best(params.member(i))


class EpochCallbacks:
    """scikit-learn's callbacks, told of every epoch.

    Parameters
    ----------
    estimator : estimator
        That which is being fitted.
    context : sklearn.callback.CallbackContext
        Of the fit; it is given a subtask for each epoch.
    data : dict
        `X`, `y` and `metadata` for the callbacks that ask for them; a callable is called then.
    attributes_at : callable (Parameters, Monitor) -> dict
        The fitted attributes as they would be if training ended now.
    published : bool, default=True
        Whether the estimator is a fitted one when training ends, and not only a part of it.

    Attributes
    ----------
    stops : bool
        Once training has ended, whether a callback wants nothing of the kind to follow.
    """

    def __init__(self, estimator, context, data, attributes_at, published=True):
        self._estimator, self._context, self._data, self._attributes_at = estimator, context, data, attributes_at
        self._at_end: dict = {"reconstruction_attributes": {}} if published else {}
        self._epoch: Any = None
        self.stops = False
        context.call_on_fit_task_begin(estimator=estimator, **data)

    def begin(self):
        """An epoch begins."""
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end(self, params, monitor):
        """An epoch has ended; whether a callback wants training to stop."""
        epoch, self._epoch = self._epoch, None
        return epoch.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=lambda: self._attributes_at(params, monitor),
            **self._data,
        )

    def close(self):
        """Training has ended, perhaps within an epoch, which then has nothing to show; all is published."""
        if self._epoch is not None:
            self._epoch.call_on_fit_task_end(estimator=self._estimator)
        self.stops = self._context.call_on_fit_task_end(estimator=self._estimator, **self._at_end, **self._data)

    def of_member(self, attributes_at, max_subtasks) -> EpochCallbacks:
        """The callbacks of one of several networks that are trained in turn, a subtask with epochs of its own."""
        context = self._context.subcontext(task_name="member", max_subtasks=max_subtasks)
        return EpochCallbacks(self._estimator, context, self._data, attributes_at, published=False)


class _Printer:
    """Prints lines of progress, or one line that is written over and over. No line has more than 80 characters."""

    def __init__(self, verbose, score_is_loss):
        self._silent = not verbose
        self._live = verbose > 1 and sys.stdout.isatty()
        self._sign = -1.0 if score_is_loss else 1.0
        self.score_name = "validation loss" if score_is_loss else "validation score"
        self._pending = ""
        self._written = -math.inf

    def iteration(self, n_iter, loss, score, learning_rate, seconds):
        """The figures of one epoch."""
        if self._silent:
            return
        cells = [f"Iteration {n_iter:>4}", f"loss {_figure(loss):8}"]
        if score is not None:
            cells.append(f"{self.score_name} {_figure(self._sign * score):9}")
        if learning_rate is not None:
            cells.append(f"rate {_figure(learning_rate):8}")
        cells.append(f"{seconds:4.1f} s" if seconds < 100.0 else f"{seconds:.0f} s")
        line = _narrow(cells)
        if not self._live:
            print(line)
            return
        self._pending = line
        if time.perf_counter() - self._written >= LIVE_SECONDS:
            self._write()

    def remark(self, line):
        """A line that stays."""
        if not self._silent:
            self.close()
            print(textwrap.fill(line, LINE_WIDTH))

    def close(self):
        """Leave the last figures on the live line, if there are any, and end it."""
        if self._pending:
            self._write()
            print(flush=True)
            self._pending = ""

    def _write(self):
        # Back to the start of the line, the figures, and what a longer line may have left of itself erased. More than the
        # terminal is wide would go on in its next line, from where there is no way back to the start.
        line = self._pending[: shutil.get_terminal_size().columns - 1]
        print(f"\r{line}\x1b[K", end="", flush=True)
        self._written = time.perf_counter()


def _figure(number):
    """A number of four significant digits; "" for nan."""
    if math.isnan(number):
        return ""
    if number == 0.0 or 1e-3 <= abs(number) < 9999.5:
        return f"{number:.4g}"
    mantissa, _, exponent = f"{number:.3e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if math.isfinite(number) else str(number)


def _narrow(cells):
    """Cells as a line that fits: without columns where figures are long, and at last without the seconds."""
    line = "  ".join(cells)
    if len(line) > LINE_WIDTH:
        cells = [" ".join(cell.split()) for cell in cells]
        line = " ".join(cells)
    return line if len(line) <= LINE_WIDTH else " ".join(cells[:-1])
