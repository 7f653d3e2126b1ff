"""An estimator that is several networks: each trained on all folds but one, judged on that one, calibrated, averaged.

Half of the members may see a second view of the table: the quantile bins of its numbers. It knows no classes.
"""

from __future__ import annotations

import math
import time
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils.sparsefuncs import mean_variance_axis

from skbp._data.quantile_bins import QuantileBins
from skbp._data.rows import chunks
from skbp._data.splits import repeated_splits
from skbp._data.weights import checked_weight, of_mean_one, shares
from skbp._estimators.fitting import after_training, again_if_interrupted
from skbp._estimators.member_training import (
    INTERRUPTED,
    Member,
    MemberTraining,
    Part,
    Result,
    Run,
    of_members,
    uncalibrated,
)
from skbp._estimators.out_of_fold import OutOfFold
from skbp._estimators.publishing import publish
from skbp._network.predict import Forward, shrunk
from skbp._network.sensitivity import relevance, sensitivity
from skbp._notices import NothingLearnedWarning, UnusedParameterWarning, note
from skbp._training import diagnosis
from skbp._training.layers import activation_records, hidden_units
from skbp._training.outcome import NothingTrainedError
from skbp._training.recipe import Recipe, warn_of_unused_parameters
from skbp._training.threads import blas_threads, core_threads

# Quantile bins pay for fewer classes than this. They were not measured with more columns of numbers, where they take most of
# the time. The encoded table has at most MOST_NUMBERS numbers.
FEW_CLASSES, MANY_COLUMNS, MOST_NUMBERS = 10, 128, 2**28
DEFAULT_BINS, DEFAULT_REPEATS = 16, 2

# The sensitivity to each feature is a mean over so many rows.
SENSITIVITY_ROWS = 600


class Ensemble(MemberTraining):
    """An estimator that is several networks. A subclass adds what its target needs: see NetworkEstimator.

    It has ``_member(params)``, an unfitted estimator of one network with these parameters, which knows the data's classes
    and outputs and the columns of `preprocessor_`.
    """

    members_: list[Any]
    views_: list[Any]
    temperatures_: NDArray[np.float64]
    member_weights_: NDArray[np.float64]
    feature_importances_: NDArray[np.float64]
    temperature_: float
    best_iters_: NDArray[np.intp]
    n_iter_: int
    validation_loss_curves_: list[list[float]] | None
    oof_indices_: list[NDArray[np.intp]] | None
    oof_decision_function_: NDArray[np.float64] | None
    oof_proba_: NDArray[np.float64] | None
    oof_log_loss_: float | None
    oof_score_: float | None

    def _fit(self, X, y, sample_weight, groups):
        """Validate, split, train, publish, calibrate."""
        deadline = math.inf if self.max_time is None else time.perf_counter() + self.max_time
        warn_of_unused_parameters(self, early_stopping=True, own_validation_data=True)
        rng = check_random_state(self.random_state)
        # A callback must not see those of an earlier fit.
        self._forget_estimates()
        self.__dict__.pop("feature_importances_", None)
        rows = self._training_rows(X, y, sample_weight, hidden_units(self.hidden_layer_sizes))
        if rows.weight is not None:
            rows.weight, rows.weight_exponent = of_mean_one(rows.weight), 0
        n_bins = self._n_bins(rows)
        n_binned_repeats = self.n_repeats // 2 if n_bins and isinstance(self.cv, Integral | None) else 0
        repeats = repeated_splits(self.cv, self.n_repeats - n_binned_repeats, rows, groups, rng)
        splits = [split for repeat in repeats for split in repeat]
        has_folds = splits[0][1] is not None
        # Members on bins have the folds of plain ones.
        again = [split for repeat in repeats[:n_binned_repeats] for split in repeat] if has_folds else []
        self._warn_of_unused_repeats(rows, has_folds, bool(again))
        networks = self._new_members(rows, splits + again, rng)
        recipe = Recipe.of(networks[0].get_params(deep=False)).for_loss(self._target.loss)
        n_tasks = recipe.max_iter * (1 + bool(again)) if recipe.stochastic else len(networks)
        run = Run(recipe, self._epoch_callbacks((X, y, sample_weight), None, n_tasks), deadline)
        plain = Part(rows, splits, networks[: len(splits)], self.preprocessor_, len(again))
        result, found = self._train_plain(run, plain)
        parts = [(plain, result)]
        if again and not result.stops:
            parts.append(self._train_second(run, plain, found, networks[len(splits) :], n_bins))
        members = [member for _, result in parts for member in result.members]
        again_if_interrupted(lambda: publish(self, of_members(members)))
        out_of_fold = self._calibrate(recipe, parts, sample_weight, deadline)
        interrupted = any(result.interrupted for _, result in parts)
        first, *others = dict.fromkeys(result.warning for _, result in parts)
        warning = " ".join([first, *(f"Members on quantile bins: {other}" for other in others if other)]).strip()
        ended_by_callback = any(result.stops and not result.interrupted for _, result in parts)
        if len(members) < len(networks) and not ended_by_callback:
            warning = (
                f"{len(networks) - len(members)} of {len(networks)} members are left out, which were not reached or never "
                f"finite. {warning}"
            ).strip()
        with after_training():
            watchers = [watcher for _, result in parts for watcher in result.watchers]
            for watcher in dict.fromkeys([*watchers, *([] if run.callbacks is None else [run.callbacks])]):
                watcher.close()
            if warning:
                note(warning, ConvergenceWarning)
            if not interrupted and out_of_fold is not None:
                self._warn_if_nothing_learned(recipe, rows, out_of_fold)
        return self

    def _partitioned_rows(self, X, y, sample_weight, hidden, **how):  # noqa: ARG002
        raise ValueError(
            f"{type(self).__name__} does not train on Dask collections. Give it a sample in memory, for example "
            "X.sample(frac=0.01).compute() of a data frame, or train a BackpropClassifier on all partitions."
        )

    def _n_bins(self, rows):
        """The number of quantile bins where members may see them, or 0."""
        if rows.sparse:
            return 0
        X = _counted_X(rows)
        varies = X.max(axis=0) > X.min(axis=0)
        if not isinstance(self.quantile_bins, str):
            return int(self.quantile_bins) * bool(varies.any())
        n_numbers = np.count_nonzero(varies & ~np.all((X == 0.0) | (X == 1.0), axis=0))
        suits = (
            0 < n_numbers <= MANY_COLUMNS and not self._target.multilabel and len(self._target.classes) < FEW_CLASSES
        )
        return DEFAULT_BINS if suits and rows.X.size * DEFAULT_BINS <= MOST_NUMBERS else 0

    def _warn_of_unused_repeats(self, rows, has_folds, has_bins):
        """Warn if the user asks for repeats or bins, and there are none."""
        reason = "cv is not a number" if has_folds else "there are no folds"
        is_number = isinstance(self.cv, Integral | None)
        if self.n_repeats not in {1, DEFAULT_REPEATS} and not (has_folds and is_number):
            note(f"n_repeats={self.n_repeats} has no effect: {reason}.", UnusedParameterWarning)
        if not (isinstance(self.quantile_bins, str) or self.quantile_bins == 0 or has_bins):
            if rows.sparse:
                reason = "X is sparse"
            elif has_folds and is_number:
                reason = "n_repeats is 1" if self.n_repeats == 1 else "every column of X has one value"
            note(f"quantile_bins={self.quantile_bins} has no effect: {reason}.", UnusedParameterWarning)

    def _train_plain(self, run, part) -> tuple[Result, list[tuple[Member, Any]]]:
        """Train the plain members. Returns the result, and each member with its sensitivities if others train after them."""
        result = self._train_part(run, part, [])
        try:
            return result, self._publish_plain(run, part, result)
        except KeyboardInterrupt:
            found = self._publish_plain(run, part, result)
            return result.interrupted_before(part.n_later), found

    def _publish_plain(self, run, part, result):
        publish(self, of_members(result.members))
        X, recipe = part.rows.features(_sample(part.rows)), run.recipe
        found = []
        with blas_threads(recipe.units(X.shape[1], self.n_outputs_, X.dtype), X.shape[0], part.rows.sparse):
            for network, *_ in result.members:
                found.append(sensitivity(network.coefs_, network.intercepts_, recipe.activations, recipe.loss, X))
                if len(self._target.classes) == 1 and not self._target.multilabel:
                    found[-1][:] = 0.0  # no feature matters
        mean = np.mean(found, axis=0)
        self.feature_importances_ = self._by_column_of_X(np.where(np.isfinite(mean), mean, 0.0) * _variance(X))
        return list(zip(result.members, found, strict=True)) if part.n_later else []

    def _train_second(self, run, plain, found, networks, n_bins) -> tuple[Part, Result]:
        """Train members on quantile bins. The plain members that are done are not lost, whatever happens."""
        nothing = Result([], "", interrupted=False, stops=False, watchers=[])
        try:
            part = self._binned_part(plain, found, networks, n_bins)
            return part, self._train_part(run, part, [member for member, _ in found])
        except (NothingTrainedError, MemoryError) as error:
            return plain, nothing._replace(warning=str(error))
        except KeyboardInterrupt:
            return plain, nothing._replace(warning=INTERRUPTED, interrupted=True)

    def _binned_part(self, plain, found, networks, n_bins):
        """The members that see quantile bins. Each has the fold of a plain member, and starts from what that one has found.

        The other plain members know the labels of this fold.
        """
        rows = plain.rows
        bins = QuantileBins(n_bins).fit(_counted_X(rows))
        self._give_columns(bins)
        splits, factors = plain.splits[: len(networks)], []
        for network, (_, fold) in zip(networks, splits, strict=True):
            self._give_columns(network, bins.get_feature_names_out())
            of_fold = (g for member, g in found if member.fold is fold)
            factors.append(relevance(next(of_fold, np.zeros(rows.X.shape[1])))[bins.feature_])
        encoded = rows.with_features(bins.encoded(rows.X, core_threads()))
        return Part(encoded, splits, networks, make_pipeline(self.preprocessor_, bins), 0, factors)

    def _calibrate(self, recipe, parts, sample_weight, deadline) -> OutOfFold | None:
        """Set the temperatures and weights, and publish the predictions for rows that a member did not train on."""
        members = [(part.rows, member) for part, result in parts for member in result.members]
        has_folds = members[0][1].fold is not None
        self.oof_indices_ = [member.fold for _, member in members] if has_folds else None
        self._forget_estimates()
        if not has_folds:
            return None
        try:
            return self._estimate(recipe, members, len(parts[0][1].members), sample_weight, deadline)
        except KeyboardInterrupt:
            publish(self, uncalibrated(len(members)))
            self._forget_estimates()
            note(
                "Calibration interrupted by user: temperature_ is 1, and there are no out-of-fold estimates. The members "
                "are kept.",
                ConvergenceWarning,
            )
            return None

    def _forget_estimates(self):
        self.oof_decision_function_ = self.oof_proba_ = self.oof_log_loss_ = self.oof_score_ = None

    def _estimate(self, recipe, members, n_plain, sample_weight, deadline):
        rows, n_members = members[0][0], len(members)
        logits = (self._fold_logits(member, of_part) for of_part, member in members)
        folds = [member.fold for _, member in members]
        out_of_fold = OutOfFold(folds, logits, lambda z: self._linked(z, 1.0), self._target, n_plain)
        temperatures, second = [1.0, 1.0], 0.5 * (n_plain < n_members)
        if out_of_fold.saturates():
            note(
                "A member has logits beyond the largest number on its fold: temperature_ is 1. "
                + diagnosis.remedies(recipe, rows, np.inf),
                ConvergenceWarning,
            )
        else:
            temperatures, second = out_of_fold.calibrate(rows.codes, rows.weight, deadline)
        is_second = np.arange(n_members) >= n_plain
        self.temperatures_ = np.where(is_second, temperatures[-1], temperatures[0])
        self.member_weights_ = np.where(is_second, second / max(1, n_members - n_plain), (1.0 - second) / n_plain)
        self.temperature_ = temperatures[0]
        self.oof_decision_function_ = out_of_fold.mean_decision(len(rows), second)
        self.oof_proba_ = out_of_fold.mean_proba(len(rows), [1.0 / t for t in temperatures], second)
        weight = checked_weight(sample_weight, len(rows), "sample_weight")
        self.oof_log_loss_, self.oof_score_ = out_of_fold.judge(self.oof_proba_, rows.codes, weight)
        return out_of_fold

    def _fold_logits(self, member: Member, rows):
        """A member's logits of the rows of its fold, in the type of X."""
        logits = np.zeros((len(member.fold), self.n_outputs_), rows.X.dtype)
        network = _forward_of(member.network, rows.X.dtype)
        with blas_threads(network.units, rows.rows_at_once, rows.sparse, uses_core=network.uses_core):
            for chunk, indices in chunks(member.fold, network.chunk_rows):
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
        groups: list[tuple[Any, list[Forward]]] = []
        for network, view in zip(self.members_, self.views_, strict=True):
            bins = view[-1] if isinstance(view, Pipeline) else None
            if not groups or bins is not groups[-1][0]:
                groups.append((bins, []))
            groups[-1][1].append(_forward_of(network, dtype))
        return _ForwardOfMembers(groups)

    def _linked(self, logits, temperature):
        """Class probabilities of logits with any leading axes. There may be a temperature for each member."""
        temperature = np.reshape(temperature, (-1,) + (1,) * (logits.ndim - 1)).astype(logits.dtype)
        z = (logits / temperature).reshape(-1, logits.shape[-1])
        if not np.isfinite(z).all():
            z = (shrunk(logits.reshape(z.shape)).reshape(logits.shape) / temperature).reshape(z.shape)
        proba = self._target.proba(z)
        return proba.reshape(*logits.shape[:-1], -1)


class _ForwardOfMembers:
    """The forward passes of all members. The logits have a leading axis of members.

    Parameters
    ----------
    groups : list of (QuantileBins or None, list of Forward)
        The members that see the same columns.
    """

    def __init__(self, groups):
        self._groups = groups
        widest = max((forwards[0] for _, forwards in groups), key=lambda one: one.units[0])
        self.units, self.chunk_rows, self.uses_core = widest.units, widest.chunk_rows, widest.uses_core

    def logits(self, X):
        logits = []
        for bins, forwards in self._groups:
            rows = X if bins is None else bins.encoded(X.toarray() if issparse(X) else X, core_threads())
            logits += [forward.logits(rows) for forward in forwards]
        return np.stack(logits)


def _counted_X(rows):
    """The X of rows with a weight above 0."""
    return rows.X if rows.weight is None or rows.weight.all() else rows.X[rows.weight > 0.0]


def _sample(rows):
    """Some of the rows that count, in order. The same for the same rows and weights."""
    counts = np.arange(len(rows)) if rows.weight is None else np.flatnonzero(rows.weight)
    if len(counts) > SENSITIVITY_ROWS:
        counts = np.sort(np.random.RandomState(0).choice(counts, SENSITIVITY_ROWS, replace=False))
    return counts


def _forward_of(member, dtype):
    activations = activation_records(member.activation, len(member.coefs_) - 1)
    return Forward(member.coefs_, member.intercepts_, activations, dtype, n_threads=core_threads())


def _variance(X):
    """The variance of each column."""
    if not issparse(X):
        return X.var(axis=0, dtype=np.float64)
    return mean_variance_axis(X.astype(np.float64), axis=0)[1]
