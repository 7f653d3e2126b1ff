"""What a solver reports to after every epoch.

The monitor asks the held-out rows for a score, puts the epoch into the history, tells the watchers (the printer, and
scikit-learn's callbacks), and looks at the clock. It says whether training should stop.
"""

from __future__ import annotations

import time


class Monitor:
    """The one place that a solver reports to.

    Parameters
    ----------
    history : History or StackHistory
    held_out : callable (Parameters) -> (score, loss), default=None
        Its results are arrays for a stack. More is better for the score, less for the loss.
    watchers : sequence, default=()
        Each has `begin_epoch()`, `end_epoch(loss, params, learning_rate, figures, monitor)`, which returns True to stop
        training, `stall(history, decision)` and `close()`.
    max_time : float or None, default=None
        Training should stop after so many seconds.
    max_iter : int or None, default=None
        The number of the last epoch.
    every : int, default=1
        Epochs from one look at the held-out rows to the next. There is a look at the end too, whatever ends training.

    Attributes
    ----------
    limit : float or None
        Seconds after which training stops: max_time, or a share of it if several networks train one after another.
    stop_reason : {"", "stopped", "max_time"}
        Why training should stop whether or not it has stalled: a callback asked for it, or the time is up.
    seconds : float
        From the start to the end of the last epoch.
    """

    def __init__(self, history, held_out=None, watchers=(), max_time=None, max_iter=None, every=1):
        self.history, self.max_time = history, max_time
        self.limit = max_time
        self._held_out, self._watchers = held_out, watchers
        self._max_iter, self._every = max_iter, every
        self._nothing = history.no_figures
        self._looked = True
        self._started = time.perf_counter()
        self.seconds = 0.0
        self.stop_reason = ""

    @property
    def n_iter(self) -> int:
        """Epochs recorded."""
        return self.history.n_iter

    @property
    def stalled(self) -> bool:
        """Whether nothing has improved for too long. Only an epoch with a look at the held-out rows can tell."""
        return self._looked and self.history.stalled

    def start(self, params, trained=False):
        """Remember the weights at the start. If they are `trained` ones, they are the best so far."""
        self.history.start(params, self._held_out, trained)

    def begin_epoch(self):
        """Tell the watchers that an epoch begins."""
        for watcher in self._watchers:
            watcher.begin_epoch()

    def record(self, loss, params, learning_rate=None, samples_seen=None):
        """Record a finished epoch.

        Parameters
        ----------
        loss : float or ndarray of shape (n_members,)
            The mean objective.
        params : Parameters
            Their values after the epoch.
        learning_rate : float, default=None
            At the start of the epoch.
        samples_seen : int, default=None
            Rows seen so far.
        """
        looks = self._held_out is not None and self._looks_after(self.history.n_iter + 1)
        # An interrupt may come while the score is computed. Then the epoch does not count yet.
        figures = self._held_out(params) if looks else self._nothing
        # An interrupt may also come between the members of a stack. Then `restore_best` looks at the rows again.
        self._looked = self._looked and self.history.adds_at_once
        self.history.add(loss, params.vector, learning_rate, samples_seen, figures)
        self._looked = looks or self._held_out is None
        self.seconds = time.perf_counter() - self._started
        for watcher in self._watchers:
            if watcher.end_epoch(loss, params, learning_rate, figures, self):
                self.stop_reason = "stopped"
        if not self.stop_reason and self.limit is not None and self.seconds >= self.limit:
            self.stop_reason = "max_time"

    def _looks_after(self, n_iter):
        return n_iter % self._every == 0 or n_iter == self._max_iter

    def announce_stall(self, decision):
        """Say that nothing has improved, and what follows."""
        for watcher in self._watchers:
            watcher.stall(self.history, decision)

    def restore_last(self, params):
        """Set the parameters to those of the last recorded epoch, or of the start."""
        self.history.restore_last(params)

    def restore_best(self, params):
        """Set the parameters to those with the best validation score, if that decides."""
        if self._held_out is not None and (self.history.has_lost_members or not self._looked):
            self.history.restore_last(params)
            self.history.look_again(self._held_out(params))
            self._looked = True
        self.history.restore_best(params)

    def close(self):
        """Say that training is over and that its results are published."""
        for watcher in self._watchers:
            watcher.close()
