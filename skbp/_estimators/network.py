"""An estimator that is one network: fit, continue, publish, pickle and inspect. It knows no classes."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import check_scoring
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _get_feature_names, check_is_fitted

from skbp._data.arrays import is_dask
from skbp._data.labels import as_vector
from skbp._data.rows import Rows
from skbp._data.scales import MOST_ROWS, far_columns
from skbp._data.weights import checked_weight
from skbp._estimators.estimator import NetworkEstimator
from skbp._estimators.fitting import after_training, publish_training
from skbp._estimators.hidden_features import HiddenFeatures, frozen_features, hidden_layer_number
from skbp._estimators.publishing import CURVES, fitted_at, results, start_history
from skbp._estimators.types import Matrix
from skbp._network.function import ObjectiveFunction
from skbp._network.parameters import Parameters
from skbp._network.predict import Forward
from skbp._notices import NothingLearnedWarning, note
from skbp._training import diagnosis
from skbp._training.held_out import HeldOut
from skbp._training.layers import activation_records, set_given
from skbp._training.recipe import Recipe, warn_of_unused_parameters
from skbp._training.threads import blas_threads, core_threads
from skbp._training.train import State, train
from skbp._training.updates import is_stochastic


class SingleNetwork(NetworkEstimator):
    """An estimator that is one network. A subclass adds what its target needs: see NetworkEstimator."""

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    n_layers_: int
    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float | None
    best_iter_: int
    loss_curve_: list[float]
    learning_rate_curve_: list[float] | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    optimize_result_: dict[str, Any] | None

    _training_state: dict[str, Any]
    _random_state: np.random.RandomState
    _split_state: Any

    def _fit(self, X, y, sample_weight, *, validation_data=(None, None, None), initial=(None, None), incremental=False):
        """Validate, train, publish: `fit`, and one epoch of it for `partial_fit`."""
        resume = hasattr(self, "coefs_") and (incremental or self.warm_start)
        if not (incremental and resume):
            warn_of_unused_parameters(self, self.early_stopping, validation_data[0] is not None)
        if not (incremental and hasattr(self, "_random_state")):
            self._random_state = check_random_state(self.random_state)
        recipe = Recipe.of(self._params())
        rows = self._training_rows(
            X, y, sample_weight, recipe.hidden, resume=resume, same_labels=not incremental, incremental=incremental
        )
        recipe = recipe.for_loss(self._target.loss)
        too_strong = diagnosis.penalty_warning(recipe, rows)
        if too_strong:
            note(too_strong)
        params = self._starting_parameters(recipe, rows, resume, initial)
        if not resume:
            start_history(self)
        held_out = train_indices = None
        if incremental:
            recipe = recipe.for_one_epoch()
        else:
            rows, held_out, train_indices = self._set_aside(recipe, rows, validation_data, resume)
        task = "partial_fit" if incremental else "fit"
        callbacks = self._epoch_callbacks(
            (X, y, sample_weight), partial(results, self), recipe.max_iter, train_indices, task_name=task
        )
        watchers = [] if callbacks is None else [callbacks]
        # Only `partial_fit` goes on from the state of an earlier call, if that had the same solver.
        goes_on = incremental and self._training_state.get("solver") == self.solver
        parts = self._training_state["parts"] if goes_on else {}
        state = State([self._random_state], self.t_, resume, parts)
        trained = train(recipe, params, rows, held_out, watchers, state=state, verbose=self.verbose)
        self._publish_training(params, trained, incremental)
        status = trained.outcome.status
        with after_training():
            warning = "" if incremental and status == "max_iter" else trained.warning(recipe, rows)
            if warning:
                note(warning, ConvergenceWarning)
            if not (incremental or status in {"interrupted", "unreachable"}):
                self._warn_if_nothing_learned(recipe, params, rows, held_out)
        return self

    def _publish_training(self, params, trained, incremental):
        """Publish the results, then tell the watchers."""
        publish_training(self, params, trained)
        self._training_state = {}
        if trained.parts:
            self._training_state = {"solver": self.solver, "incremental": incremental, "parts": trained.states}
        with after_training():
            trained.close()

    def _warn_if_nothing_learned(self, recipe, params, rows, held_out):
        """Compare the fitted network with a constant prediction."""
        with blas_threads(params.units, rows.rows_at_once, rows.sparse):
            figures = diagnosis.nothing_learned(recipe.make_objective(params, rows), rows, self.n_outputs_)
        if figures is not None:
            mean, constant = figures
            note(
                f"Nothing was learned: the mean loss on the training rows is {mean:.4g}, and predicting the class "
                f"frequencies gives {constant:.4g}. " + diagnosis.remedies(recipe, rows, mean, constant),
                NothingLearnedWarning,
            )
        elif held_out is not None and self.early_stopping and rows.in_memory:
            constant = held_out.score_of_constant(rows)
            if constant is not None and not self.best_validation_score_ > constant:
                note(
                    f"Nothing was learned by the validation score: the best one is {self.best_validation_score_:.4g}, and a "
                    f"constant prediction has {constant:.4g}. " + diagnosis.remedies(recipe, rows, 0.0),
                    NothingLearnedWarning,
                )

    def _starting_parameters(self, recipe, rows, resume, initial=(None, None)) -> Parameters:
        """Parameters drawn at random or left by an earlier call. Those that the user gives replace them."""
        dtype = rows.dtype
        units = recipe.units(rows.n_features, self.n_outputs_, dtype)
        if resume:
            trained = [self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_)]
            if trained != units:
                raise ValueError(
                    f"The layers trained so far are of {trained} units, from the input to the output, but the parameters "
                    f"(hidden_layer_sizes={self.hidden_layer_sizes}) now ask for {units}. For a network of another shape "
                    "call fit with warm_start=False, or use a fresh clone."
                )
            params = Parameters(units, dtype)
            params.set(self.coefs_, self.intercepts_)
        else:
            params = recipe.draw(units, dtype, self._random_state)
        set_given(params, *initial)
        return params

    def _set_aside(self, recipe, rows, validation_data, resume):
        """The rows to train on, the held-out rows, and the indices of the former if some of the rows are held out."""
        X_val, y_val, sample_weight_val = validation_data
        train_indices = None
        if X_val is not None or y_val is not None:
            held_out = self._own_validation_rows(X_val, y_val, sample_weight_val, rows)
            far = far_columns(rows.sample(MOST_ROWS).X, held_out.sample(MOST_ROWS).X)
            if len(far):
                note(
                    f"X_val lies on another scale than X in {len(far)} of {rows.n_features} columns, such as column "
                    f"{far[0]}. A pipeline transforms it like X if it is made with transform_input=['X_val']."
                )
        elif sample_weight_val is not None:
            raise ValueError(
                "sample_weight_val is given without X_val and y_val, the rows that it weighs: give them too."
            )
        elif self.early_stopping:
            rows, held_out, train_indices = rows.split_off(
                self._target, self.validation_fraction, self._rng_of_split(resume)
            )
            if rows.mean_weight == 0.0:
                raise ValueError(
                    "The weights of all rows left to train on are zero once early_stopping has held out some: give more "
                    "rows a positive weight, or lower validation_fraction."
                )
        else:
            return rows, None, None
        scoring = self.scoring if self.scoring in (None, "loss") else check_scoring(self, scoring=self.scoring)
        judge = HeldOut(held_out, self._target, recipe.activations, scoring, self._nameless_at)
        return rows, judge, train_indices

    def _rng_of_split(self, resume):
        """The random generator that chooses the rows to hold out."""
        # A warm start keeps its split: rows that were trained on must not judge the weights.
        if resume and hasattr(self, "_split_state"):
            rng = np.random.RandomState()
            rng.set_state(self._split_state)
        else:
            rng = self._random_state
            self._split_state = rng.get_state()
        return rng

    def _own_validation_rows(self, X_val, y_val, sample_weight_val, rows) -> Rows:
        """The user's validation data as rows."""
        if X_val is None or y_val is None:
            given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"{given} is given without {missing}: validation takes both.")
        if is_dask(X_val) or is_dask(y_val) or is_dask(sample_weight_val):
            return self._partitioned_validation_rows(X_val, y_val, sample_weight_val, rows)
        X_val = self._checked_like_X(X_val, rows.dtype)
        y_val = self._checked_like_y(y_val, X_val.shape[0])
        codes = self._target.codes(y_val)
        weight = checked_weight(sample_weight_val, X_val.shape[0], "sample_weight_val")
        if weight is not None and not weight.any():
            raise ValueError("The weights in sample_weight_val are all zero: at least one must be positive.")
        weight, exponent = self._weights_of_validation(weight, codes)
        return Rows(X_val, y_val, codes, self._target.encode(codes), weight, exponent, rows.n_units)

    def _partitioned_validation_rows(self, X_val, y_val, sample_weight_val, rows):
        """The same for Dask collections. Nothing of Dask is imported before."""
        from skbp._distributed.encoding import validation_rows  # noqa: PLC0415

        return validation_rows(self, X_val, y_val, sample_weight_val, rows)

    def _checked_like_y(self, y_val, n_rows):
        """y_val in the form of y."""
        try:
            y_val = check_array(y_val, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y_val")
        except (TypeError, ValueError) as error:
            raise ValueError(f"y_val must hold labels of the kind that y has: {error}") from error
        y_val = as_vector(y_val)
        if n_rows != y_val.shape[0]:
            raise ValueError(f"X_val has {n_rows} rows and y_val {y_val.shape[0]}: they must be as many.")
        return y_val

    def _weights_of_validation(self, weight, codes) -> tuple[NDArray[np.float64] | None, int]:
        """The weights of validation rows without their common power of 2, and its exponent."""
        raise NotImplementedError

    def _checked_like_X(self, X_val, dtype):
        """X_val as floats of a type, with the features of X."""
        names, known = _get_feature_names(X_val), getattr(self, "feature_names_in_", None)
        try:
            X_val = check_array(X_val, accept_sparse="csr", dtype=(np.float64, np.float32), input_name="X_val")
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val must be rows like those of X: {error}") from error
        if X_val.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X_val has {X_val.shape[1]} features, but X has {self.n_features_in_}: give the same columns."
            )
        if names is not None and known is not None and not np.array_equal(names, known):
            raise ValueError(
                f"X_val has the columns {names.tolist()}, but X has {known.tolist()}: give the same in the same order."
            )
        return self._cast(X_val, dtype, "X_val")

    def _nameless_at(self, params):
        """A fitted estimator for rows that have been validated. They have no feature names any more."""
        fitted = fitted_at(self, params)
        if hasattr(fitted, "feature_names_in_"):
            del fitted.feature_names_in_
        return fitted

    def _objective(self, X, y, sample_weight) -> ObjectiveFunction:
        """F on given data as a function of the parameters."""
        self._validate_params()
        clf = copy.copy(self)
        clf.random_state = copy.deepcopy(self.random_state)
        clf._random_state = check_random_state(clf.random_state)
        resume = hasattr(self, "coefs_")
        recipe = Recipe.of(clf._params())
        with np.errstate(all="ignore"):
            rows = clf._training_rows(X, y, sample_weight, recipe.hidden, resume=resume, same_labels=False)
            params = clf._starting_parameters(recipe, rows, resume)
            objective = rows.whole(recipe.for_loss(clf._target.loss).make_objective(params, rows))
        return ObjectiveFunction(
            objective,
            rows,
            "exact" if self.hessian == "auto" else self.hessian,
            partial(fitted_at, clf),
            partial(blas_threads, params.units, rows.rows_at_once, rows.sparse),
        )

    def _forward(self, dtype):
        return Forward(self.coefs_, self.intercepts_, self._activations(), dtype, n_threads=core_threads())

    def _activations(self):
        return activation_records(self.activation, len(self.coefs_) - 1)

    def hidden_features(self, X: Matrix, layer: int = -1) -> NDArray[np.floating[Any]]:
        """The activations of a hidden layer: the features that the network computes from its input.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.
        layer : int, default=-1
            Which hidden layer: 0 is the first, -1 the last.

        Returns
        -------
        features : ndarray of shape (n_samples, n_units)
            In the type of X if that is float32, else float64.

        Raises
        ------
        ValueError
            If there is no such hidden layer.
        """
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        end = hidden_layer_number(layer, len(self.coefs_) - 1) + 1
        *below, last = self._activations()[:end]

        weights, biases = self.coefs_[:end], self.intercepts_[:end]

        def forward(dtype):
            return Forward(weights, biases, below, dtype, to_scale=False, n_threads=core_threads())

        def activated(z):
            features = last.function(z, out=z)
            if np.isnan(features).any():
                raise ValueError("The activation gives nan for a finite number.")
            limit = np.finfo(features.dtype).max
            return features.clip(-limit, limit, out=features)

        return self._predicted(activated, X, forward)

    def as_transformer(self, layer: int = -1) -> HiddenFeatures:
        """A fitted scikit-learn transformer to the activations of a hidden layer.

        Parameters
        ----------
        layer : int, default=-1
            Which hidden layer: 0 is the first, -1 the last.

        Returns
        -------
        transformer : HiddenFeatures
            It keeps the present weights, and its `fit` does not change it. As a step of a pipeline it takes the features of
            this network to another task.

        Raises
        ------
        ValueError
            If there is no such hidden layer.
        """
        check_is_fitted(self)
        return frozen_features(FrozenEstimator(copy.copy(self)), layer)

    def __getstate__(self):
        # A pickle leaves out what only further training needs, unless training is to continue. That is the larger part of a
        # fitted estimator.
        state = dict(super().__getstate__())
        # Further training makes these longer in place. A copy must not change with it.
        state.update({name: list(state[name]) for name in CURVES if isinstance(state.get(name), list)})
        training_state = state.get("_training_state", {})
        # SciPy's methods have no state, and only a warm start goes on from them.
        ended = training_state or not is_stochastic(self.solver)
        if ended and not (np.any(self.warm_start) or training_state.get("incremental")):
            if training_state:
                state["_training_state"] = {}
            for name in ("_random_state", "_split_state"):
                state.pop(name, None)
        return state
