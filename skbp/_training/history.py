"""What happened in training so far: the curves, the best weights, and for how long nothing has improved."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np


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
    last: Any = None


class History:
    """History, patience and best weights of one network.

    An interrupt may come at any moment. So a single assignment, that of `_standing`, makes an epoch count: the history holds
    all of its figures or none.

    Parameters
    ----------
    tol : float
        An epoch is an improvement if the objective falls, or the validation score rises, by at least this much from the
        best so far (an absolute difference).
    n_iter_no_change : int or inf
        Training has stalled after more than this many epochs in a row without improvement.
    validates : bool, default=False
        Whether there are held-out rows.
    early_stopping : bool, default=False
        Whether the validation score decides instead of the objective, and its best weights are kept.

    Attributes
    ----------
    n_iter : int
        Epochs recorded.
    samples_seen : int or None
        Rows seen up to the last epoch; None with SciPy's methods.
    loss_curve, learning_rate_curve, validation_scores, validation_loss_curve : list of float
    best_loss, best_validation_score : float
    best_iter : int
        The epoch, counted from 1, with the best validation score. 0 is before the first epoch.
    no_improvement_count : int
    """

    # A single network that diverges ends training.
    has_lost_members = False
    # An interrupt cannot come in the middle of an epoch's record.
    adds_at_once = True

    def __init__(self, tol, n_iter_no_change, validates=False, early_stopping=False):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.validates, self.early_stopping = validates, early_stopping
        # As many of these count as `_standing` says.
        self._epochs: list[_Epoch] = []
        self._standing = _Standing()
        # The weights after the last epoch take one of these in turn.
        self._even: Any = None
        self._odd: Any = None

    n_iter = property(lambda self: self._standing.n_iter)
    samples_seen = property(lambda self: self._standing.samples_seen)
    best_loss = property(lambda self: self._standing.best_loss)
    best_validation_score = property(lambda self: self._standing.best_validation_score)
    best_iter = property(lambda self: self._standing.best_iter)
    no_improvement_count = property(lambda self: self._standing.no_improvement_count)
    loss_curve = property(lambda self: self._curve("loss"))
    learning_rate_curve = property(lambda self: self._curve("learning_rate"))
    validation_scores = property(lambda self: self._curve("score") if self.validates else [])
    validation_loss_curve = property(lambda self: self._curve("validation_loss") if self.validates else [])

    def _curve(self, name):
        return [figure for figure in map(attrgetter(name), self._epochs[: self.n_iter]) if figure is not None]

    @property
    def last_loss(self) -> float:
        """The loss of the last epoch; nan if there is none."""
        return self._epochs[self.n_iter - 1].loss if self.n_iter else math.nan

    @property
    def stalled(self) -> bool:
        """Whether nothing has improved for more than `n_iter_no_change` epochs."""
        return self._standing.no_improvement_count > self.n_iter_no_change

    @property
    def state(self) -> dict[str, float]:
        """What further training needs."""
        return {"no_improvement_count": self.no_improvement_count, "best_loss": self.best_loss}

    @state.setter
    def state(self, state):
        self._standing = self._standing._replace(**state)

    def start(self, params, held_out, trained):
        """Remember the weights at the start. If they are `trained` ones, they are the best so far."""
        self._even, self._odd = params.vector.copy(), params.vector.copy()
        standing = self._standing._replace(last=self._even)
        if trained and self.early_stopping and held_out is not None:
            score, _ = held_out(params)
            standing = standing._replace(best_validation_score=score, best=params.vector.copy())
        self._standing = standing

    def add(self, loss, vector, learning_rate, samples_seen, figures):
        """Record a finished epoch, and keep its weights if they are the best.

        Parameters
        ----------
        loss : float
            The mean objective.
        vector : ndarray
            The parameters after the epoch.
        learning_rate : float or None
            At the start of the epoch.
        samples_seen : int or None
        figures : (float, float)
            Validation score and loss, or nan.
        """
        before, (score, validation_loss) = self._standing, figures
        del self._epochs[before.n_iter :]
        self._epochs.append(_Epoch(loss, learning_rate, score, validation_loss))
        last = self._odd if before.last is self._even else self._even
        np.copyto(last, vector)
        if self.early_stopping:
            improved = score >= before.best_validation_score + self.tol
        else:
            improved = loss <= before.best_loss - self.tol
        standing = before._replace(
            n_iter=before.n_iter + 1,
            samples_seen=samples_seen,
            best_loss=min(before.best_loss, loss),
            no_improvement_count=0 if improved else before.no_improvement_count + 1,
            last=last,
        )
        self._standing = self._with_best(standing, score, vector) if self.validates else standing

    def _with_best(self, standing, score, vector):
        """The standing, with the weights of the last epoch if their validation score is the best."""
        if not score > standing.best_validation_score:
            return standing
        best = vector.copy() if self.early_stopping else None
        return standing._replace(best_validation_score=score, best_iter=standing.n_iter, best=best)

    def look_again(self, figures):
        """Replace the validation score and loss of the last epoch, which were nan."""
        if not self.n_iter:
            return
        score, validation_loss = figures
        last = self._epochs[self.n_iter - 1]
        self._epochs[self.n_iter - 1] = last._replace(score=score, validation_loss=validation_loss)
        self._standing = self._with_best(self._standing, score, self._standing.last)

    def goes_on(self, finite) -> bool:
        """Whether training goes on after an epoch that was `finite` or not."""
        return bool(finite)

    def is_at_start(self, params) -> bool:
        """Whether no epoch is finished and no step was taken."""
        return not self.n_iter and np.array_equal(params.vector, self._standing.last)

    def reset_patience(self):
        """Count the epochs without improvement from 0 again."""
        self._standing = self._standing._replace(no_improvement_count=0)

    def restore_last(self, params):
        """Set the parameters to those of the last recorded epoch, or of the start."""
        np.copyto(params.vector, self._standing.last)

    def restore_best(self, params):
        """Set the parameters to those with the best validation score, if that decides."""
        if self._standing.best is not None:
            np.copyto(params.vector, self._standing.best)

    def mean(self, values) -> float:
        """One figure to show."""
        return float(values)

    @property
    def no_figures(self):
        """Validation score and loss of an epoch without a look at the held-out rows."""
        return math.nan, math.nan


class StackHistory:
    """The histories of the members of a stack.

    Every member keeps its own best weights. Training has stalled when all members have stalled. A member that diverges
    keeps its history and weights up to then, and the others go on.

    Parameters
    ----------
    n_members : int
    *args
        As for History.

    Attributes
    ----------
    members : list of History
    diverged : ndarray of bool of shape (n_members,)
        The members that have diverged.
    n_iter : int
        The largest number of epochs of a member.
    """

    adds_at_once = False
    last_loss = math.nan

    def __init__(self, n_members, *args):
        self.members = [History(*args) for _ in range(n_members)]
        self.validates, self.early_stopping = self.members[0].validates, self.members[0].early_stopping
        self.n_iter_no_change, self.tol = self.members[0].n_iter_no_change, self.members[0].tol
        self.diverged = np.zeros(n_members, dtype=bool)

    @property
    def _left(self):
        """The members that have not diverged, with their numbers."""
        return [(i, self.members[i]) for i in np.flatnonzero(~self.diverged)]

    @property
    def has_lost_members(self) -> bool:
        """Whether a member has diverged. Its held-out rows may not have been checked since its last epoch."""
        return bool(self.diverged.any())

    @property
    def n_iter(self) -> int:
        return max(member.n_iter for member in self.members)

    @property
    def stalled(self) -> bool:
        return all(member.stalled for _, member in self._left)

    def start(self, params, held_out, trained):
        for i, member in enumerate(self.members):
            member.start(params.member(i), held_out, trained)

    def add(self, loss, vector, learning_rate, samples_seen, figures):
        scores, validation_losses = figures
        for i, member in self._left:
            of_member = float(scores[i]), float(validation_losses[i])
            member.add(float(loss[i]), vector[i], learning_rate, samples_seen, of_member)

    def look_again(self, figures):
        for member, *of_member in zip(self.members, *figures, strict=True):
            if member.n_iter and math.isnan(member.validation_scores[-1]):
                member.look_again(tuple(map(float, of_member)))

    def goes_on(self, finite) -> bool:
        self.diverged |= ~finite
        return not self.diverged.all()

    def is_at_start(self, params) -> bool:
        return all(member.is_at_start(params.member(i)) for i, member in enumerate(self.members))

    def reset_patience(self):
        for member in self.members:
            member.reset_patience()

    def restore_last(self, params):
        for i, member in enumerate(self.members):
            member.restore_last(params.member(i))

    def restore_best(self, params):
        for i, member in enumerate(self.members):
            member.restore_best(params.member(i))

    def mean(self, values) -> float:
        """The mean over the members that have not diverged."""
        return float(np.mean(values[~self.diverged]))

    @property
    def no_figures(self):
        nothing = np.full(len(self.members), np.nan)
        return nothing, nothing
