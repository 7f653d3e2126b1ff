"""How training ended, and what the user should know about it."""

from __future__ import annotations

from dataclasses import dataclass


class NothingTrainedError(ValueError):
    """Training ended before there was anything to keep."""


class SolverError(ValueError):
    """An error that a method of SciPy raised itself."""


class UnreachableRowsError(SolverError):
    """The machines or files that hold the rows have failed."""


@dataclass
class Outcome:
    """How a solver ended.

    Attributes
    ----------
    status : str
        "converged", "max_iter", "max_fun", "max_time", "stopped", "failed", "diverged", "interrupted" or "unreachable".
        "stopped" is by a callback. "failed" is a method of SciPy that gave up. "unreachable" says that the
        rows could not be read.
    loss : float
        The objective: for mini-batches in the last finished epoch, for SciPy's methods at the final parameters; nan if there
        is none.
    warning : str
        What the user should know and do; empty if all is well.
    wants_advice : bool
        Whether the data or the network may be the cause. Then advice on them belongs to the warning.
    optimize_result : dict or None
        For a method of SciPy, figures of the final parameters and of the work, as numbers and strings.
    """

    status: str
    loss: float
    warning: str = ""
    optimize_result: dict | None = None
    wants_advice: bool = False


def interrupted(monitor, loss) -> Outcome:
    """The user ended training."""
    warning = f"Training interrupted by user after {monitor.n_iter} iterations; the weights so far are kept."
    return Outcome("interrupted", loss, warning)


def stopped(monitor, loss) -> Outcome:
    """A callback or the clock ended training. A callback needs no warning."""
    warning = ""
    if monitor.stop_reason == "max_time":
        passed = f"max_time={monitor.max_time} seconds have passed"
        if monitor.limit != monitor.max_time:
            passed = f"{monitor.limit:.2g} seconds have passed, its share of max_time={monitor.max_time}"
        warning = (
            f"Training stopped after iteration {monitor.n_iter}, since {passed}, and the optimization hasn't converged "
            "yet."
        )
    return Outcome(monitor.stop_reason, loss, warning)


def unreachable(monitor, params, error) -> Outcome:
    """The rows were out of reach in the middle of training. The parameters become those to keep.

    Raises
    ------
    The error itself, if there is nothing to keep.
    """
    if not monitor.n_iter:
        raise error
    monitor.restore_last(params)
    monitor.history.restore_best(params)  # not the monitor's, which may look at held-out rows again
    warning = f"Training stopped after iteration {monitor.n_iter}, and its weights are kept: {error}"
    return Outcome("unreachable", monitor.history.last_loss, warning)


def diverged(monitor, loss, advice="") -> Outcome:
    """The objective left the finite numbers."""
    warning = (
        f"Training diverged: the objective was not finite in iteration {monitor.n_iter + 1}. The weights after iteration "
        f"{monitor.n_iter} are kept.{advice}"
    )
    return Outcome("diverged", loss, warning, wants_advice=True)
