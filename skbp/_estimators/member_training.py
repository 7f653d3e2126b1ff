"""The training of an ensemble's members: side by side as one stack, or one after another.

With a stochastic solver the members train as one stack: the arrays of a single network with a leading axis. With SciPy's
methods they train one by one.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skbp._data.weights import shares
from skbp._estimators.fitting import after_training, note_interrupt_after_training, publish_training
from skbp._estimators.publishing import publish, results
from skbp._estimators.table_input import TableInput
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._notices import note
from skbp._training import diagnosis
from skbp._training.held_out import HeldOut, HeldOutFolds
from skbp._training.layers import dropout_rates, hidden_units
from skbp._training.outcome import NothingTrainedError
from skbp._training.solvers import parameters_of, unused_parameters
from skbp._training.threads import core_threads
from skbp._training.train import State, train

# More rows than this are many. Then larger batches at a higher learning rate save time at no loss.
MANY_ROWS = 5_000
# Rows in a batch and learning rate for few and for many rows.
FEW_ROWS_SETTING = (64, 0.01)
MANY_ROWS_SETTING = (256, 0.02)
DROPOUT = 0.15

# The folds are looked at once in this many steps. On tiny data each look takes longer than the training before it.
STEPS_BETWEEN_VALIDATIONS = 8

# Uneven splits deserve a warning if the smallest training set has less than this share of the rows of the largest.
EVEN_SPLITS = 0.5

INTERRUPTED = "Training interrupted by user."

# Parameters of an ensemble that its members do not have.
OF_THE_ENSEMBLE = {"cv", "n_repeats", "quantile_bins", "scale", "categorical_features"}


@dataclass(frozen=True)
class Part:
    """Members that see the same columns.

    Attributes
    ----------
    rows : Rows
    splits : list of (ndarray of int, ndarray of int or None)
        The rows that each member trains on, and its fold.
    members : list of estimator
        Unfitted networks.
    view : transformer
        Makes their columns of the user's table.
    n_later : int
        The members that are trained after these.
    factors : list of ndarray of shape (n_columns,), or None
        For each member what multiplies the initial weights of each column.
    """

    rows: Any
    splits: list
    members: list
    view: Any
    n_later: int
    factors: list | None = None

    def draw(self, i, recipe, n_outputs, rng) -> Parameters:
        """Initial parameters of member i."""
        dtype = self.rows.X.dtype
        params = recipe.draw(recipe.units(self.rows.X.shape[1], n_outputs, dtype), dtype, rng)
        if self.factors is not None:
            params.weights[0][...] *= self.factors[i][:, None].astype(dtype)
        return params

    def draw_all(self, recipe, n_outputs, rngs) -> Parameters:
        """Initial parameters of all members, as a stack."""
        drawn = [self.draw(i, recipe, n_outputs, rng) for i, rng in enumerate(rngs)]
        params = Parameters(drawn[0].units, self.rows.X.dtype, (len(drawn),))
        np.stack([one.vector for one in drawn], out=params.vector)
        return params


class Member(NamedTuple):
    """A trained network, the transformer that makes its columns, and the rows it does not train on or None."""

    network: Any
    view: Any
    fold: Any


class Result(NamedTuple):
    """The result of training the members of a part.

    Attributes
    ----------
    members : list of Member
        Without those that were never finite.
    warning : str
        What the user should know of it, or nothing.
    interrupted : bool
        Whether the user ended it.
    stops : bool
        Whether no other part is to be trained.
    watchers : list
        To be closed when all is published.
    """

    members: list[Member]
    warning: str
    interrupted: bool
    stops: bool
    watchers: list[Any]

    def interrupted_before(self, n_later) -> Result:
        """The same result if an interrupt came after training, and `n_later` members would be next."""
        if not n_later:
            note_interrupt_after_training()
            return self
        return self._replace(warning=f"{INTERRUPTED} {self.warning}".strip(), interrupted=True, stops=True)


@dataclass(frozen=True)
class Run:
    """What all parts of a fit have in common.

    Attributes
    ----------
    recipe : Recipe
    callbacks : EpochCallbacks or None
        They get a subtask for each epoch of a stack, or for each member that trains alone.
    deadline : float
        On the clock of `time.perf_counter`.
    """

    recipe: Any
    callbacks: Any
    deadline: float

    def within(self, n_left, first=False):
        """The recipe with an equal share of the time that is left, for the next of `n_left` trainings."""
        if self.deadline == math.inf or (first and n_left == 1):
            return self.recipe
        return replace(self.recipe, share_of_time=max(0.0, self.deadline - time.perf_counter()) / n_left)

    def of_training(self, attributes_at):
        """The callbacks of one training."""
        if self.callbacks is None:
            return None
        if self.recipe.stochastic:
            return self.callbacks.show(attributes_at)
        return self.callbacks.of_member(attributes_at, self.recipe.max_iter)


class MemberTraining(TableInput):
    """Training of the members. A subclass has ``_member(params)``: see Ensemble."""

    def _member(self, params):
        raise NotImplementedError

    def _new_members(self, rows, splits, rng):
        """Unfitted networks, one for each split, with the parameters that follow from those of the ensemble."""
        n_hidden = len(hidden_units(self.hidden_layer_sizes))
        if not isinstance(self.dropout, str):
            dropout_rates(self.dropout, n_hidden)  # an error even if the solver does not use it
        n_rows = min(len(train_set) for train_set, _ in splits)
        batch_rows, learning_rate_init = FEW_ROWS_SETTING if len(rows) <= MANY_ROWS else MANY_ROWS_SETTING
        used = parameters_of(self.solver)
        auto = {
            "batch_size": math.ceil(n_rows / math.ceil(n_rows / batch_rows)),
            "learning_rate_init": learning_rate_init,
            "dropout": DROPOUT if "dropout" in used and n_hidden else 0.0,
        }
        unused = unused_parameters(self.solver) - {"n_iter_no_change"} | OF_THE_ENSEMBLE
        params = {name: value for name, value in self._params().items() if name not in unused}
        params |= {name: value for name, value in auto.items() if isinstance(params.get(name), str)}
        if splits[0][1] is not None:
            params |= {"early_stopping": True, "scoring": "loss"}
        return [self._member(params | {"random_state": int(rng.randint(np.iinfo(np.int32).max))}) for _ in splits]

    def _train_part(self, run, part, done) -> Result:
        """Train the members of a part. `done` are the members of earlier parts."""
        return (self._train_stack if run.recipe.stochastic else self._train_in_turn)(run, part, done)

    def _train_stack(self, run, part, done) -> Result:
        """Train all members side by side."""
        recipe, rows, members = run.within(1 + (part.n_later > 0), not done), part.rows, part.members
        train_sets, folds = (list(sets) for sets in zip(*part.splits, strict=True))
        n_rows, most = min(map(len, train_sets)), max(map(len, train_sets))
        if n_rows < EVEN_SPLITS * most and most - n_rows > recipe.batch_rows(n_rows):
            note(
                f"cv makes splits with {n_rows} to {most} rows to train on. Members that train side by side take "
                "as many steps as the smallest allows, and leave out rows in each epoch: make the splits more even."
            )
        rngs = [check_random_state(member.random_state) for member in members]
        params = part.draw_all(recipe, self.n_outputs_, rngs)
        held_out = None
        if folds[0] is not None:
            judge = Objective(params, recipe.activations, self._target.loss, alpha=0.0, n_threads=core_threads())
            held_out = HeldOutFolds(judge, rows, folds, [shares(rows.weight, fold) for fold in folds])

        def fitted(params, history):
            return [
                Member(_fitted(member, results(member, params.member(i), history.members[i])), part.view, folds[i])
                for i, member in enumerate(members)
            ]

        callbacks = run.of_training(lambda *now: of_members([*done, *fitted(*now)]))
        trained = train(
            recipe,
            params,
            rows.for_members(train_sets),
            held_out,
            [] if callbacks is None else [callbacks],
            state=State(rngs),
            verbose=self.verbose,
            every=max(1, math.ceil(STEPS_BETWEEN_VALIDATIONS * recipe.batch_rows(n_rows) / n_rows)),
        )
        try:
            return self._result_of_stack(recipe, rows, trained, fitted(params, trained.history))
        except KeyboardInterrupt:
            result = self._result_of_stack(recipe, rows, trained, fitted(params, trained.history))
            return result.interrupted_before(part.n_later)

    def _result_of_stack(self, recipe, rows, trained, members) -> Result:
        """The members of a stack that were finite, and what the user should know."""
        outcome, diverged = trained.outcome, trained.history.diverged
        kept = [member for member, lost in zip(members, diverged, strict=True) if _was_finite(member.network, lost)]
        if not kept:
            raise NothingTrainedError(diagnosis.diverged_at_once(recipe, rows))
        warning = trained.warning(recipe, rows)
        if outcome.status != "diverged" and diverged.any():
            warning = f"{diverged.sum()} of {len(members)} members diverged and keep their best weights. {warning}"
        stops = outcome.status in {"interrupted", "stopped"}
        return Result(kept, warning, outcome.status == "interrupted", stops, trained.watchers)

    def _train_in_turn(self, run, part, done) -> Result:
        """Train one member after another, each on all of its rows at once."""
        new: list[Member] = []
        warned: list[str] = []
        interrupted = stops = False
        try:
            for i, (network, split) in enumerate(zip(part.members, part.splits, strict=True)):

                def attributes_at(params, history, network=network, fold=split[1]):
                    now = Member(_fitted(network, results(network, params, history)), part.view, fold)
                    return of_members([*done, *new, now])

                callbacks = run.of_training(attributes_at)
                recipe = run.within(len(part.members) - i + part.n_later)
                try:
                    outcome = self._train_one(recipe, part, i, callbacks)
                except NothingTrainedError as error:
                    if i == len(part.members) - 1 and not new:
                        raise
                    warned.append(str(error))
                    continue
                if _was_finite(network, outcome.status == "diverged"):
                    new.append(Member(network, part.view, split[1]))
                if outcome.warning:
                    warned.append(outcome.warning)
                interrupted = outcome.status == "interrupted"
                # A callback that ends the iterations of one member does not end those of the others, unless it says so.
                stops = interrupted or (callbacks is not None and callbacks.stops)
                if stops:
                    break
        except KeyboardInterrupt:
            if not new:
                raise
            warned.append(INTERRUPTED)
            interrupted = stops = True
        if not new:
            raise NothingTrainedError(diagnosis.diverged_at_once(run.recipe, part.rows.subset(part.splits[0][0])))
        # An interrupt is the last thing that happened, and the first that the user wants to read of.
        warning = f"{len(warned)} of {len(part.members)} members: {warned[-interrupted]}" if warned else ""
        return Result(new, warning, interrupted, stops, [])

    def _train_one(self, recipe, part, i, callbacks):
        """Train member i of a part on its rows and publish its results. Returns how that ended."""
        rows, member, (train_set, fold) = part.rows, part.members[i], part.splits[i]
        rng = check_random_state(member.random_state)
        params = part.draw(i, recipe, self.n_outputs_, rng)
        held_out = None
        if fold is not None:
            held_out = HeldOut(rows.subset(fold), self._target, recipe.activations, "loss", None)
        watchers = [] if callbacks is None else [callbacks]
        trained = train(
            recipe, params, rows.subset(train_set), held_out, watchers, state=State([rng]), verbose=self.verbose
        )
        publish_training(member, params, trained)
        with after_training():
            trained.outcome.warning = trained.warning(recipe, rows)
            trained.close()
        return trained.outcome


def _fitted(member, attributes):
    """A copy of a member with fitted attributes."""
    network = copy.copy(member)
    publish(network, attributes)
    return network


def of_members(members) -> dict[str, Any]:
    """The fitted attributes that follow from trained members."""
    networks = [member.network for member in members]
    validates = networks[0].validation_loss_curve_ is not None
    return {
        "members_": networks,
        "views_": [member.view for member in members],
        **uncalibrated(len(networks)),
        "best_iters_": np.array([network.best_iter_ for network in networks]),
        "n_iter_": max(network.n_iter_ for network in networks),
        "validation_loss_curves_": [network.validation_loss_curve_ for network in networks] if validates else None,
    }


def uncalibrated(n_members) -> dict[str, Any]:
    """Attributes that leave the members' probabilities as they are."""
    return {
        "temperature_": 1.0,
        "temperatures_": np.ones(n_members),
        "member_weights_": np.full(n_members, 1.0 / n_members),
    }


def _was_finite(network, diverged):
    """Whether a network was finite: in an epoch of training, and on its fold if it has one."""
    if diverged and not network.loss_curve_:
        return False
    score = network.best_validation_score_
    return score is None or score > -math.inf or not network.loss_curve_
