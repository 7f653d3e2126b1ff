"""An estimator that is several networks: each trained on all folds but one, judged on that one, calibrated, averaged.

With a stochastic solver the members train side by side as one stack: the arrays of a single network with a leading axis.
With SciPy's methods they train one after another. It knows no classes.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skbp._data.rows import chunks
from skbp._data.splits import fold_splits
from skbp._data.weights import checked_weight, of_mean_one, shares
from skbp._estimators.fitting import after_training, again_if_interrupted, publish_training
from skbp._estimators.out_of_fold import OutOfFold
from skbp._estimators.publishing import publish, results
from skbp._estimators.table_input import TableInput
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._network.predict import Forward, shrunk
from skbp._notices import NothingLearnedWarning, note
from skbp._training import diagnosis
from skbp._training.held_out import HeldOut, HeldOutFolds
from skbp._training.layers import activation_records, dropout_rates, hidden_units
from skbp._training.outcome import NothingTrainedError
from skbp._training.recipe import Recipe, warn_of_unused_parameters
from skbp._training.solvers import parameters_of, unused_parameters
from skbp._training.threads import blas_threads, core_threads
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


class Members(NamedTuple):
    """The result of training the members.

    Attributes
    ----------
    fitted : dict of int to estimator
        The trained members by their numbers. A member that was never finite on its fold is left out.
    warning : str
        What the user should know of it, or nothing.
    interrupted : bool
        Whether the user ended it.
    watchers : list
        To be closed when all is published.
    """

    fitted: dict[int, Any]
    warning: str
    interrupted: bool
    watchers: list[Any]


class Ensemble(TableInput):
    """An estimator that is several networks. A subclass adds what its target needs: see NetworkEstimator.

    It has ``_member(params)``, an unfitted estimator of one network with these parameters, which knows the data's classes
    and outputs and the columns of `preprocessor_`.
    """

    members_: list[Any]
    temperature_: float
    best_iters_: NDArray[np.intp]
    n_iter_: int
    validation_loss_curves_: list[list[float]] | None
    oof_indices_: list[NDArray[np.intp]] | None
    oof_decision_function_: NDArray[np.float64] | None
    oof_proba_: NDArray[np.float64] | None
    oof_log_loss_: float | None
    oof_score_: float | None

    def _member(self, params):
        raise NotImplementedError

    def _fit(self, X, y, sample_weight, groups):
        """Validate, split, train, publish, calibrate."""
        deadline = math.inf if self.max_time is None else time.perf_counter() + self.max_time
        warn_of_unused_parameters(self, early_stopping=True, own_validation_data=True)
        rng = check_random_state(self.random_state)
        hidden = hidden_units(self.hidden_layer_sizes)
        rows = self._training_rows(X, y, sample_weight, hidden)
        if rows.weight is not None:
            rows.weight, rows.weight_exponent = of_mean_one(rows.weight), 0
        splits = fold_splits(self.cv, rows, groups, rng)
        self.temperature_ = 1.0  # for callbacks, who see a fitted estimator after every epoch
        members = self._new_members(rows, splits, rng)
        recipe = Recipe.of(members[0].get_params(deep=False)).for_loss(self._target.loss)
        train_members = self._train_stack if recipe.stochastic else self._train_in_turn
        trained = train_members(recipe, members, rows, splits, (X, y, sample_weight))
        warning, n_left_out = trained.warning, len(members) - len(trained.fitted)
        if n_left_out:
            warning = (
                f"Only {len(trained.fitted)} of {len(members)} members have been trained: {n_left_out} of "
                f"{len(members)} members are left out, which were not reached or never finite. {warning}"
            )
        again_if_interrupted(lambda: publish(self, _of_members(list(trained.fitted.values()))))
        folds = [splits[i][1] for i in trained.fitted] if splits[0][1] is not None else []
        out_of_fold = self._calibrate(recipe, rows, folds, sample_weight, deadline)
        with after_training():
            for watcher in trained.watchers:
                watcher.close()
            if warning:
                note(warning, ConvergenceWarning)
            if not trained.interrupted and out_of_fold is not None:
                self._warn_if_nothing_learned(recipe, rows, out_of_fold)
        return self

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
        unused = unused_parameters(self.solver) - {"n_iter_no_change"} | {"cv", "scale", "categorical_features"}
        params = {name: value for name, value in self._params().items() if name not in unused}
        params |= {name: value for name, value in auto.items() if isinstance(params.get(name), str)}
        if splits[0][1] is not None:
            params |= {"early_stopping": True, "scoring": "loss"}
        return [self._member(params | {"random_state": int(rng.randint(np.iinfo(np.int32).max))}) for _ in splits]

    def _train_stack(self, recipe, members, rows, splits, data) -> Members:
        """Train all members side by side."""
        train_sets, folds = (list(part) for part in zip(*splits, strict=True))
        n_rows, most = min(map(len, train_sets)), max(map(len, train_sets))
        if n_rows < EVEN_SPLITS * most and most - n_rows > recipe.batch_rows(n_rows):
            note(
                f"cv makes splits with {n_rows} to {most} rows to train on. Members that train side by side take "
                "as many steps as the smallest allows, and leave out rows in each epoch: make the splits more even."
            )
        rngs = [check_random_state(member.random_state) for member in members]
        params = self._stack_of_initial_parameters(recipe, rows, rngs)
        held_out = None
        if folds[0] is not None:
            judge = Objective(params, recipe.activations, self._target.loss, alpha=0.0, n_threads=core_threads())
            held_out = HeldOutFolds(judge, rows, folds, [shares(rows.weight, fold) for fold in folds])

        def fitted(params, history):
            return [
                self._fitted(member, results(member, params.member(i), history.members[i]))
                for i, member in enumerate(members)
            ]

        callbacks = self._epoch_callbacks(data, lambda *now: _of_members(fitted(*now)), recipe.max_iter)
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
        return again_if_interrupted(
            lambda: self._members_of_stack(recipe, rows, trained, fitted(params, trained.history))
        )

    def _members_of_stack(self, recipe, rows, trained, networks) -> Members:
        """The members of a stack that were finite, and what the user should know."""
        outcome, diverged = trained.outcome, trained.history.diverged
        kept = {i: network for i, network in enumerate(networks) if _was_finite(network, diverged[i])}
        if not kept:
            raise NothingTrainedError(diagnosis.diverged_at_once(recipe, rows))
        warning = trained.warning(recipe, rows)
        if outcome.status != "diverged" and diverged.any():
            warning = f"{diverged.sum()} of {len(networks)} members diverged and keep their best weights. {warning}"
        return Members(kept, warning, outcome.status == "interrupted", trained.watchers)

    def _stack_of_initial_parameters(self, recipe, rows, rngs):
        dtype = rows.X.dtype
        units = recipe.units(rows.X.shape[1], self.n_outputs_, dtype)
        params = Parameters(units, dtype, (len(rngs),))
        np.stack([recipe.draw(units, dtype, rng).vector for rng in rngs], out=params.vector)
        return params

    def _train_in_turn(self, recipe, members, rows, splits, data) -> Members:
        """Train one member after another, each on all of its rows at once."""
        started = time.perf_counter()
        done: dict[int, Any] = {}
        warned: list[str] = []
        was_interrupted = False
        callbacks = self._epoch_callbacks(data, None, len(members))
        try:
            for i, member in enumerate(members):
                of_member = self._callbacks_of_member(callbacks, member, done, recipe.max_iter)
                limited = replace(recipe, max_time=self._share_of_time(started, len(members) - i))
                try:
                    outcome = self._train_one(limited, member, rows, splits[i], of_member)
                except NothingTrainedError as error:
                    if i == len(members) - 1 and not done:
                        raise
                    warned.append(str(error))
                    continue
                if _was_finite(member, outcome.status == "diverged"):
                    done[i] = member
                if outcome.warning:
                    warned.append(outcome.warning)
                was_interrupted = outcome.status == "interrupted"
                # A callback that ends the iterations of one member does not end those of the others, unless it says so.
                if was_interrupted or (of_member is not None and of_member.stops):
                    break
        except KeyboardInterrupt:
            if not done:
                raise
            warned.append("Training interrupted by user.")
            was_interrupted = True
        if not done:
            raise NothingTrainedError(diagnosis.diverged_at_once(recipe, rows.subset(splits[0][0])))
        # An interrupt is the last thing that happened, and the first that the user wants to read of.
        warning = f"{len(warned)} of {len(members)} members: {warned[-was_interrupted]}" if warned else ""
        return Members(done, warning, was_interrupted, [] if callbacks is None else [callbacks])

    def _callbacks_of_member(self, callbacks, member, done, max_iter):
        """The callbacks of a member. They see an ensemble of the members that are done and this one."""
        if callbacks is None:
            return None

        def attributes_at(params, history):
            network = self._fitted(member, results(member, params, history))
            return _of_members([*done.values(), network])

        return callbacks.of_member(attributes_at, max_iter)

    def _share_of_time(self, started, n_left):
        """Seconds for the next of several members: an equal share of the time that is left."""
        if self.max_time is None:
            return None
        return max(0.0, self.max_time - (time.perf_counter() - started)) / n_left

    def _train_one(self, recipe, member, rows, split, callbacks):
        """Train a member on its rows and publish its results. Returns how that ended."""
        train_set, fold = split
        rng = check_random_state(member.random_state)
        dtype = rows.X.dtype
        params = recipe.draw(recipe.units(rows.X.shape[1], self.n_outputs_, dtype), dtype, rng)
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

    def _fitted(self, member, attributes):
        """A copy of a member with fitted attributes."""
        network = copy.copy(member)
        publish(network, attributes)
        return network

    def _calibrate(self, recipe, rows, folds, sample_weight, deadline) -> OutOfFold | None:
        """Set the temperature, and publish the predictions of the members for the rows they did not train on."""
        self.oof_indices_ = list(folds) or None
        self._forget_estimates()
        if not folds:
            return None
        try:
            return self._estimate(recipe, rows, folds, sample_weight, deadline)
        except KeyboardInterrupt:
            self.temperature_ = 1.0
            self._forget_estimates()
            note(
                "Calibration interrupted by user: temperature_ is 1, and there are no out-of-fold estimates. The members "
                "are kept.",
                ConvergenceWarning,
            )
            return None

    def _forget_estimates(self):
        self.oof_decision_function_ = self.oof_proba_ = self.oof_log_loss_ = self.oof_score_ = None

    def _estimate(self, recipe, rows, folds, sample_weight, deadline):
        n_rows = len(rows)
        logits = [self._fold_logits(member, rows, fold) for member, fold in zip(self.members_, folds, strict=True)]
        out_of_fold = OutOfFold(folds, logits, lambda z: self._linked(z, 1.0), self._target)
        if out_of_fold.saturates():
            note(
                "A member has logits beyond the largest number on its fold: temperature_ is 1. "
                + diagnosis.remedies(recipe, rows, np.inf),
                ConvergenceWarning,
            )
        else:
            self.temperature_ = out_of_fold.temperature(rows.codes, rows.weight, deadline)
        self.oof_decision_function_ = out_of_fold.mean_decision(n_rows)
        self.oof_proba_ = out_of_fold.mean_proba(n_rows, 1.0 / self.temperature_)
        weight = checked_weight(sample_weight, n_rows, "sample_weight")
        self.oof_log_loss_, self.oof_score_ = out_of_fold.judge(self.oof_proba_, rows.codes, weight)
        return out_of_fold

    def _fold_logits(self, member, rows, fold):
        """A member's logits of the rows of its fold, in the type of X."""
        logits = np.zeros((len(fold), self.n_outputs_), rows.X.dtype)
        network = _forward_of(member, rows.X.dtype)
        with blas_threads(network.units, rows.rows_at_once, rows.sparse, by_core=network.by_core):
            for chunk, indices in chunks(fold, network.chunk_rows):
                logits[chunk] = network.logits(rows.features(indices))
        return logits

    def _warn_if_nothing_learned(self, recipe, rows, out_of_fold):
        """Compare the out-of-fold predictions with the class frequencies, by the weights of training."""
        covered = out_of_fold.covered
        constant = self._target.entropy(rows.codes, covered, shares(rows.weight, covered))
        mean, _ = out_of_fold.judge(self.oof_proba_, rows.codes, rows.weight)
        if not diagnosis.is_below(mean, constant):
            note(
                f"Nothing was learned that holds for other rows: the out-of-fold log loss is {mean:.4g}, and predicting "
                f"the class frequencies gives {constant:.4g}. " + diagnosis.remedies(recipe, rows, mean, constant),
                NothingLearnedWarning,
            )

    def _forward(self, dtype):
        return _ForwardOfMembers([_forward_of(member, dtype) for member in self.members_])

    def _linked(self, logits, temperature):
        """Class probabilities of logits with any leading axes."""
        z = (logits / temperature).reshape(-1, logits.shape[-1])
        if not np.isfinite(z).all():
            z = shrunk(logits.reshape(z.shape)) / temperature
        proba = self._target.proba(z)
        return proba.reshape(*logits.shape[:-1], -1)


class _ForwardOfMembers:
    """The forward passes of all members. The logits have a leading axis of members."""

    def __init__(self, forwards):
        self._forwards = forwards
        self.units, self.chunk_rows, self.by_core = forwards[0].units, forwards[0].chunk_rows, forwards[0].by_core

    def logits(self, X):
        return np.stack([forward.logits(X) for forward in self._forwards])


def _forward_of(member, dtype):
    activations = activation_records(member.activation, len(member.coefs_) - 1)
    return Forward(member.coefs_, member.intercepts_, activations, dtype, n_threads=core_threads())


def _of_members(members):
    """The fitted attributes that follow from the members."""
    validates = members[0].validation_loss_curve_ is not None
    return {
        "members_": members,
        "best_iters_": np.array([member.best_iter_ for member in members]),
        "n_iter_": max(member.n_iter_ for member in members),
        "validation_loss_curves_": [m.validation_loss_curve_ for m in members] if validates else None,
    }


def _was_finite(network, diverged):
    """Whether a network was finite: in an epoch of training, and on its fold if it has one."""
    if diverged and not network.loss_curve_:
        return False
    score = network.best_validation_score_
    return score is None or score > -math.inf or not network.loss_curve_
