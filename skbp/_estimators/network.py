"""What both classifiers are: rows validated, labels encoded, weights of rows, the objective of them, callbacks.

`BackpropClassifier` is one network, `BackpropClassifierCV` several on the same data. What concerns the data, and not the
number of networks, is here once.
"""

from __future__ import annotations

import functools
import math
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse, vstack
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import _safe_indexing, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skbp._data import targets
from skbp._data.validation import Rows
from skbp._data.weights import checked_weight, relative_weights, times_power_of_2
from skbp._estimators.pickling import VersionedState, defaults
from skbp._network.activations import ACTIVATIONS, Activation
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.predict import CHUNK_ROWS
from skbp._notices import note, noting
from skbp._training import recipe
from skbp._training.monitor import CallbackSupportMixin, EpochCallbacks
from skbp._training.names import check_names_and_numbers
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# What scikit-learn's callbacks keep on an estimator while it is fitted.
_CALLBACK_STATE = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


class NetworkEstimator(VersionedState, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """The part of a classifier that concerns its data, not the number of its networks.

    A subclass has the parameters that are used here, and publishes its results as a dict from `_results`.
    """

    # The summed weight of each class of each target column so far, without the power of 2 whose exponent stands beside it.
    _class_counts: tuple[list[np.ndarray], int]
    classes_: np.ndarray

    # Where the HTML representation links to.
    _doc_link_module = "skbp"
    _doc_link_template = "https://skbp.readthedocs.io/en/stable/api/{estimator_module}.{estimator_name}.html"

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS)), Activation, list, tuple],
        "solver": [StrOptions(set(SOLVERS))],
        "alpha": [Interval(Real, 0, None, closed="left"), "array-like"],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES)), callable],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "out_activation": [StrOptions({"auto", *LOSSES})],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "hessian": [StrOptions({"auto", "exact", "gauss-newton"})],
        "solver_options": [dict, None],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = self.out_activation != "softmax"
        return tags

    def _validate_params(self):
        check_names_and_numbers(self, self._parameter_constraints)
        super()._validate_params()

    def _predicted(self, function, X):
        """What a function makes of rows, a chunk at a time: beside the result no memory grows with their number."""
        # Probabilities that round to 0 and sums that overflow are no errors, whatever the user's settings.
        with np.errstate(all="ignore"):
            return self._in_chunks(function, self._checked_rows(X))

    def _in_chunks(self, function, X):
        n_rows = X.shape[0]
        if n_rows <= CHUNK_ROWS:
            return function(X)
        parts = (function(X[start : start + CHUNK_ROWS]) for start in range(0, n_rows, CHUNK_ROWS))
        first = next(parts)
        if issparse(first):  # labels, if the classifier was trained on such
            return vstack([first, *parts], format=first.format)
        result = np.zeros((n_rows, *first.shape[1:]), first.dtype)
        end = len(first)
        result[:end] = first
        for part in parts:
            start, end = end, end + len(part)
            result[start:end] = part
        return result

    def _checked_rows(self, X):
        """Rows to predict for, validated. To be called where NumPy ignores errors: sums may overflow."""
        if self._pass_as_they_are(X):
            return X
        check_is_fitted(self)
        return validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)

    def _pass_as_they_are(self, X):
        """Whether rows are what validation would make of them: it takes some ten times as long as predicting for one."""
        if not (
            type(X) is np.ndarray
            and X.dtype in (np.float64, np.float32)
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and not hasattr(self, "feature_names_in_")
        ):
            return False
        return math.isfinite(np.add.reduce(X, axis=None))  # a sum that overflows leaves the question to scikit-learn

    def _labelled_rows(self, X, y, sample_weight, resume, same_labels=True, incremental=False):
        """The data validated, the labels encoded; what follows from them for the output layer is published."""
        X, y = self._check_data(X, y, resume)
        codes = self._encode_labels(y, known=resume or incremental, same_labels=same_labels)
        return Rows(X, y, codes, *self._row_weight(sample_weight, X, codes, incremental))

    def _check_data(self, X, y, resume):
        """X as C-ordered floats of the type to compute in, y as an array or sparse indicator."""
        dtype = self.dtype or (self.coefs_[0].dtype if resume else (np.float64, np.float32))
        # float32 is looked at before the cast, in which large numbers become inf.
        targets.check_labels(y)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=(np.float64, np.float32),
            # Batches are gathered by rows; from any other order each gather would copy all of X first.
            order="C" if self.solver in UPDATES else None,
            reset=not resume,
        )
        return self._cast(X, dtype, "X"), as_vector(y)

    def _cast(self, X, dtype, name):
        """Floats as those of a type, or of one of two types, that is to hold them."""
        if X.dtype == dtype or isinstance(dtype, tuple):
            return X
        with np.errstate(all="ignore"):
            cast = X.astype(dtype)
            values = cast.data if issparse(cast) else cast
            if np.isfinite(values.sum()) or np.isfinite(values).all():
                return cast
        largest = np.abs(X.data if issparse(X) else X).max()
        which = "dtype='float32'" if self.dtype else "the float32 that the network was trained in"
        cls: Any = type(self)
        if defaults(cls)["dtype"] == self.dtype == "float32":
            which += ", the default here,"
        raise ValueError(
            f"{name} has values up to {largest:.2g}, but {which} ends at 3.4e38. Scale {name}, for example with "
            "sklearn.preprocessing.StandardScaler, or set dtype='float64'."
        )

    def _encode_labels(self, y, known, same_labels):
        """Labels as integer codes; what follows from the labels for the output layer is published.

        Labels that are `known` from before may not be joined by others nor, if `same_labels`, lack any.
        """
        if not known:
            self._label_binarizer = targets.fit_binarizer(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            targets.check_known_labels(y, self._label_binarizer, all_of_them=same_labels)
        one_hot = targets.is_multilabel(self._label_binarizer) and targets.is_one_hot(y)
        self.out_activation_, self.n_outputs_ = targets.output_layer(
            self.out_activation, self._label_binarizer, one_hot
        )
        if one_hot and not known:
            note("y looks one-hot: each row has a single 1. For classes that exclude each other pass y.argmax(axis=1).")
        return targets.class_codes(y, self._label_binarizer)

    def _row_weight(self, sample_weight, X, codes, incremental):
        """The product of sample and class weights, without a common power of 2, and its exponent; None for ones."""
        sample_weight = checked_weight(sample_weight, X.shape[0], "sample_weight")
        relative, exponent = (None, 0) if sample_weight is None else relative_weights(sample_weight)
        counts = targets.class_counts(codes, self._label_binarizer, relative)
        if incremental and hasattr(self, "_class_counts"):
            seen, seen_exponent = self._class_counts
            common = max(exponent, seen_exponent)
            counts = [
                np.ldexp(new, exponent - common) + np.ldexp(old, seen_exponent - common)
                for new, old in zip(counts, seen, strict=True)
            ]
            exponent = common
        self._class_counts = counts, exponent
        weight, exponent = self._times_class_weight(sample_weight, codes)
        if weight is not None and not weight.any():
            by = "sample_weight" if self.class_weight is None else "sample_weight and class_weight"
            raise ValueError(f"The weights of all rows are zero by {by}: at least one must be positive.")
        return weight, exponent

    def _times_class_weight(self, sample_weight, codes):
        factors = [] if sample_weight is None else [sample_weight]
        if self.class_weight is not None:
            factors += targets.class_weights_of_rows(
                self.class_weight, codes, self._label_binarizer, self._class_counts[0]
            )
        return relative_weights(*factors) if factors else (None, 0)

    def _loss(self):
        """The loss that is trained on."""
        return replace(LOSSES[self.out_activation_], label_smoothing=float(self.label_smoothing))

    def _objective_on(self, rows, params, dropout=None):
        """F on these rows."""
        n_hidden = len(params.weights) - 1
        return Objective(
            params,
            recipe.activation_records(self.activation, n_hidden),
            self._loss(),
            self._relative_alpha(rows, n_hidden),
            rows.X,
            targets.encode(rows.codes, self.out_activation_, self.n_outputs_),
            rows.row_weight,
            dropout,
        )

    def _relative_alpha(self, rows, n_hidden):
        """alpha as it stands beside weights without their common factor."""
        alpha = recipe.alphas(self.alpha, n_hidden)
        if isinstance(alpha, float):
            return times_power_of_2(alpha, -rows.weight_exponent)
        return [times_power_of_2(one, -rows.weight_exponent) for one in alpha]

    def _epoch_callbacks(self, data, attributes_at, max_subtasks, train=None, task_name="fit"):
        """The bridge to scikit-learn's callbacks, if there are any.

        They see the data, X, y and sample_weight, as the user gave them, of which the rows `train` are trained on.
        """
        if not getattr(self, "_skl_callbacks", None):
            return None

        def trained_on(rows):
            return rows if train is None or rows is None else _safe_indexing(rows, train)

        X, y, sample_weight = data
        arguments: dict = {"X": functools.cache(lambda: trained_on(X)), "y": functools.cache(lambda: trained_on(y))}
        if sample_weight is not None:
            arguments["metadata"] = functools.cache(lambda: {"sample_weight": trained_on(sample_weight)})
        context = self._init_callback_context(task_name=task_name, max_subtasks=max_subtasks)
        return EpochCallbacks(self, context, arguments, attributes_at)

    def _most_iterations(self):
        """Epochs, or iterations of SciPy's methods, at the most."""
        given = None if self.solver in UPDATES else (self.solver_options or {}).get("maxiter")
        return given if isinstance(given, Integral) else self.max_iter

    def _publish(self, attributes):
        for name, value in attributes.items():
            setattr(self, name, value)


def as_vector(y):
    """Labels of shape (n_samples, 1) as (n_samples,), with scikit-learn's warning."""
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


# Lists that further training makes longer, in place: what a call costs must not grow with the calls before it.
CURVES = ("loss_curve_", "learning_rate_curve_", "validation_scores_", "validation_loss_curve_")


@contextmanager
def one_fit(estimator):
    """The frame of a fit: it loses nothing and leaves nothing behind.

    NumPy's settings for errors do not count in it. If it raises, the estimator and the generators given to it are as they
    were. Its warnings are given when all is published.
    """
    with noting(), np.errstate(all="ignore"), unchanged_on_error(estimator):
        yield


@contextmanager
def unchanged_on_error(estimator):
    """Undo what a failing block set on an estimator: a failed fit loses nothing."""
    before = estimator.__dict__.copy()
    # All else is replaced and not changed.
    lengths = [(curve, len(curve)) for curve in map(before.get, CURVES) if curve is not None]
    drawn_from = [
        before.get("_random_state"),
        before.get("random_state"),
        getattr(before.get("cv"), "random_state", None),
    ]
    states = [(rng, rng.get_state()) for rng in drawn_from if isinstance(rng, np.random.RandomState)]
    try:
        yield
    except BaseException:
        for rng, state in states:
            rng.set_state(state)
        for curve, length in lengths:
            del curve[length:]
        # All but what scikit-learn needs to take leave of its callbacks.
        before.update({name: value for name, value in estimator.__dict__.items() if name in _CALLBACK_STATE})
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
