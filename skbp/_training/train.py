"""Training: one function that turns a recipe, parameters and rows into trained parameters.

It trains a single network, a stack of networks side by side, and the members of an ensemble one after another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skbp._notices import note
from skbp._training import diagnosis
from skbp._training.history import History, StackHistory
from skbp._training.minibatch import MiniBatchSolver
from skbp._training.monitor import Monitor
from skbp._training.outcome import NothingTrainedError, Outcome, SolverError, UnreachableRowsError, interrupted
from skbp._training.printer import Printer
from skbp._training.scipy_methods import SCIPY_METHODS
from skbp._training.threads import blas_threads


@dataclass
class State:
    """What training continues from, in addition to the parameters.

    Parameters
    ----------
    rngs : list of RandomState
        For each network: the order of its rows, and the seed of its dropout.
    samples_seen : int, default=0
        Rows that earlier calls have processed, if this call continues them.
    trained : bool, default=False
        Whether the parameters are those of an earlier call.
    parts : dict, default={}
        The state that an earlier call left for each part, by name: "rule", "progress", "history", "dropout". Empty for a
        fresh start.
    """

    rngs: list[np.random.RandomState]
    samples_seen: int = 0
    trained: bool = False
    parts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Trained:
    """The result of training. The parameters that were trained are changed in place.

    Attributes
    ----------
    outcome : Outcome
    history : History or StackHistory
    parts : dict
        The state that each part would continue from, as in `State`; empty for SciPy's methods.
    watchers : list
        To be closed when the results are published.
    """

    outcome: Outcome
    history: Any
    parts: dict[str, Any]
    watchers: list[Any]

    @property
    def states(self) -> dict[str, Any]:
        """What each part would go on from, as in `State`. The moments of a step that diverged are no start for another."""
        states = {name: part.state for name, part in self.parts.items()}
        return states | {"rule": {}} if states and self.outcome.status == "diverged" else states

    def warning(self, recipe, rows) -> str:
        """What the user should know of the outcome, with advice on the data and the network."""
        if not (self.outcome.wants_advice or self.history.has_lost_members):
            return self.outcome.warning
        return self.outcome.warning + diagnosis.advice(recipe, rows, self.outcome.status == "diverged")

    def close(self) -> None:
        """Tell the watchers that all is published."""
        for watcher in self.watchers:
            watcher.close()


def train(recipe, params, rows, held_out=None, watchers=(), *, state, verbose=0, every=1) -> Trained:
    """Minimise the objective from these parameters.

    Parameters
    ----------
    recipe : Recipe
        With its loss.
    params : Parameters
        Of one network or of a stack. Changed in place.
    rows : Rows
        The rows to train on, for a stack with the set of each member.
    held_out : callable (Parameters) -> (score, loss), default=None
    watchers : sequence, default=()
        See Monitor.
    state : State
        Its random generators go on; nothing else of it changes.
    verbose : int, default=0
    every : int, default=1
        Epochs from one look at the held-out rows to the next.

    Returns
    -------
    trained : Trained

    Raises
    ------
    NothingTrainedError
        If no network was finite in a single epoch, or SciPy raised an error before the first iteration.
    KeyboardInterrupt
        If the user interrupts before the first step.
    """
    dropout = recipe.make_dropout(state.rngs)
    solver = recipe.make_solver(rows.n_in_epoch, state.rngs, state.samples_seen)
    objective = recipe.make_objective(params, rows, dropout, skips_zeros=solver.skips_zeros)
    by_scipy = not recipe.stochastic
    if by_scipy:
        objective = rows.whole(objective)
    early_stopping = recipe.early_stopping and held_out is not None
    make_history: Any = StackHistory if params.members else History
    history = make_history(*params.members, recipe.tol, recipe.n_iter_no_change, held_out is not None, early_stopping)
    parts = _parts(solver, history, dropout)
    if state.parts:
        _restore(parts, state.parts, params.vector.dtype)
        _warn_if_schedule_is_over(recipe, solver)
    if verbose:
        watchers = [Printer(verbose, recipe.scoring == "loss"), *watchers]
    monitor = Monitor(history, held_out, watchers, recipe.max_time, recipe.max_iter, every)
    if recipe.share_of_time is not None:
        monitor.limit = recipe.share_of_time
    rows_at_once = rows.rows_at_once if by_scipy else min(solver.batch_size, rows.rows_at_once)
    # NumPy computes products with the Hessian.
    uses_core = objective.uses_core and not (by_scipy and SCIPY_METHODS[recipe.solver].hessian)
    try:
        with blas_threads(params.units, rows_at_once, rows.sparse, by_scipy, rows.rows_at_once, uses_core):
            monitor.start(params, state.trained)
            outcome = solver.run(objective, rows, monitor, recipe.max_iter)
    except UnreachableRowsError as error:
        raise NothingTrainedError(str(error)) from error.__cause__
    except SolverError as error:
        raise NothingTrainedError(f"{error} {diagnosis.after_an_error(rows)}") from error.__cause__
    except KeyboardInterrupt:  # it came outside the solver's own care
        if not history.n_iter:
            raise
        monitor.restore_last(params)
        history.restore_best(params)
        outcome = interrupted(monitor, history.last_loss)
    if outcome.status == "interrupted" and not state.trained and history.is_at_start(params):
        raise KeyboardInterrupt
    if outcome.status == "diverged" and not (state.trained or history.n_iter):
        raise NothingTrainedError(diagnosis.diverged_at_once(recipe, rows))
    return Trained(outcome, history, parts, list(watchers))


def _parts(solver, history, dropout) -> dict[str, Any]:
    """Everything that training goes on from. Each part has a `state`. A stack and SciPy's methods do not go on."""
    if not isinstance(solver, MiniBatchSolver) or isinstance(history, StackHistory):
        return {}
    parts = {"rule": solver.rule, "progress": solver.progress, "history": history}
    return parts if dropout is None else {**parts, "dropout": dropout}


def _restore(parts, states, dtype):
    """Bring the parts into copies of the states that an earlier call left, perhaps with parameters of another type."""
    for name, part in parts.items():
        state = states.get(name)
        if isinstance(state, dict):
            state = {
                key: value.astype(dtype) if isinstance(value, np.ndarray) else value for key, value in state.items()
            }
        if state:
            part.state = state


def _warn_if_schedule_is_over(recipe, solver):
    solver.advance(0.0, 0.0)
    if solver.learning_rate == 0.0 and solver.progress.epochs >= solver.horizon:
        note(
            f"learning_rate={recipe.learning_rate!r} is 0 now: all calls together have made max_iter={recipe.horizon} "
            "epochs. So this call learns nothing. Raise max_iter, or use a schedule that does not end."
        )
