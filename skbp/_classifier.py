"""BackpropClassifier: scikit-learn's face of the network.

`fit` validates once and wires the parts: labels become a target, the weights a flat vector, the two an objective; a
solver minimises it and reports to a monitor; the result is published as plain arrays, lists and numbers.
"""

from __future__ import annotations

import copy
import warnings
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import ThreadpoolController

from skbp import _targets
from skbp._activations import ACTIVATIONS
from skbp._losses import LOSSES
from skbp._monitor import Monitor
from skbp._objective import CHUNK_ROWS, Objective, predict_logits
from skbp._parameters import Parameters
from skbp._schedules import SCHEDULES, Progress
from skbp._solvers import SOLVERS, MiniBatchSolver, ScipySolver
from skbp._updates import UPDATES

# Matrix products of fewer multiplications than this are left to one BLAS thread. On idle cores a second would gain some
# tens of microseconds a product; on busy ones two threads that wait for each other take up to a hundred times as long.
SMALL_PRODUCT = 2**22


class BackpropClassifier(ClassifierMixin, BaseEstimator):
    """DOCSTRING"""

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions(set(SOLVERS))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "out_activation": [StrOptions({"auto", *LOSSES})],
        "dtype": [StrOptions({"float32", "float64"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        class_weight=None,
        out_activation="auto",
        dtype=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.class_weight = class_weight
        self.out_activation = out_activation
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, coef_init=None, intercept_init=None):
        """Train the network on data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data. float32 stays float32, all else becomes float64; see `dtype`.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type that scikit-learn takes, or the 0/1 indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero; None for ones. A weight of 2 counts like two rows.
        coef_init : list of n_layers - 1 arrays, default=None
            Initial weights, the i-th of shape (fan_in, fan_out) of layer i, in place of random ones.
        intercept_init : list of n_layers - 1 arrays, default=None
            Initial biases, the i-th of shape (fan_out,) of layer i, in place of random ones.

        Returns
        -------
        self : BackpropClassifier

        Raises
        ------
        ValueError
            If the input is not as described, or the objective is not finite within the first epoch. The estimator is
            then as it was before the call.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` or `max_fun` is reached, training diverges after its first epoch, or is interrupted.
        """
        with _unchanged_on_error(self):
            return self._fit(X, y, sample_weight, coef_init, intercept_init)

    @available_if(lambda self: self._check_stochastic())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch on the given data, going on from the weights and the optimiser's state so far.

        The random generator goes on from call to call. `early_stopping` does not concern this method.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            The target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, as for `fit`.
        classes : array-like of shape (n_classes,), default=None
            Every class that will ever occur; needed in the first call, and may be left out later.

        Returns
        -------
        self : BackpropClassifier

        Raises
        ------
        ValueError
            If the input is not as described, has classes not named in the first call, or the objective is not finite in
            the first epoch. The estimator is then as it was before the call.
        """
        with _unchanged_on_error(self):
            if _check_partial_fit_first_call(self, classes):
                multilabel = type_of_target(y).startswith("multilabel")
                self._label_binarizer = _targets.fit_binarizer(y if multilabel else classes)
            return self._fit(X, y, sample_weight, incremental=True)

    @classmethod
    def from_weights(cls, coefs, intercepts, *, classes, activation="relu", out_activation="auto", multilabel=False):
        """A fitted classifier with given weights: set by hand, or brought from elsewhere.

        Parameters
        ----------
        coefs : list of n_layers - 1 array-likes
            Weights, the i-th of shape (fan_in, fan_out) of layer i. float32 if all are, else float64.
        intercepts : list of n_layers - 1 array-likes
            Biases, the i-th of shape (fan_out,).
        classes : array-like of shape (n_classes,)
            Class labels, sorted, in the order of the output units. Two classes may share a single logistic unit, which
            gives the probability of the second.
        activation : str, default="relu"
            Activation of the hidden layers.
        out_activation : {"auto", "softmax", "logistic"}, default="auto"
            "auto" is logistic for a single unit or if `multilabel`, else softmax.
        multilabel : bool, default=False
            Whether the classes are labels that do not exclude each other, each with a logistic unit.

        Returns
        -------
        clf : BackpropClassifier
            Fitted, with those parameters at other than their defaults that the arguments determine.

        Raises
        ------
        ValueError
            If the shapes do not fit each other or the classes, or a number is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from skbp import BackpropClassifier
        >>> and_gate = BackpropClassifier.from_weights([[[20], [20]]], [[-30]], classes=[0, 1])
        >>> and_gate.predict(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
        array([0, 0, 0, 1])
        """
        dtype = np.float32 if all(getattr(w, "dtype", None) == np.float32 for w in coefs) else np.float64
        coefs = [check_array(w, dtype=dtype, copy=True, input_name="coefs") for w in coefs]
        if not coefs:
            raise ValueError("coefs is empty: give the weights of at least one layer.")
        units = [coefs[0].shape[0], *(w.shape[1] for w in coefs)]
        params = Parameters(units, np.dtype(dtype))
        params.set(
            _check_layers(coefs, params.weights, "coefs"), _check_layers(intercepts, params.biases, "intercepts")
        )
        n_outputs, n_classes = units[-1], len(classes)
        if out_activation == "auto":
            out_activation = "logistic" if n_outputs == 1 or multilabel else "softmax"
        if n_outputs != n_classes and not (out_activation == "logistic" and (n_outputs, n_classes) == (1, 2)):
            raise ValueError(
                f"{n_classes} classes need {n_classes} output units, or a single logistic one if there are two; the last "
                f"of coefs has {n_outputs} columns."
            )
        if not np.array_equal(np.unique(classes), classes):
            raise ValueError(f"classes must be sorted, each named once, as in `classes_`; got {classes!r}.")
        binarizer = _targets.fit_binarizer(np.eye(n_outputs, dtype=int) if multilabel else classes)
        natural = (out_activation, n_outputs) == _targets.output_layer("auto", binarizer)
        clf = cls(
            hidden_layer_sizes=tuple(units[1:-1]),
            activation=activation,
            out_activation="auto" if natural else out_activation,
        )
        clf._validate_params()
        clf._label_binarizer, clf.classes_ = binarizer, binarizer.classes_
        clf.n_features_in_, clf.n_outputs_, clf.out_activation_ = units[0], n_outputs, out_activation
        clf._start_history()
        clf._publish(params)
        return clf

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,), or of shape (n_samples, n_labels) if multilabel
            The most probable class of each row; for a multilabel target 1 where a label's probability exceeds 0.5, as a
            sparse matrix if the classifier was trained on one.
        """
        return _targets.decode(self._logits(X), self._label_binarizer)

    def decision_function(self, X):
        """The logits: the output layer's weighted sums, before the output activation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        logits : ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
            For two classes the log odds of the second, log(p / (1 - p)).
        """
        return _targets.decision(self._logits(X), self.out_activation_, self._label_binarizer)

    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; in the type of X if that is float32, else float64. Rows sum to 1, except for a
            multilabel target, where each column is the probability of one label, strictly between 0 and 1.
        """
        return _targets.class_proba(self._logits(X), self.out_activation_, self._label_binarizer)

    def predict_log_proba(self, X):
        """Predict the logarithms of class probabilities, computed from the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Finite also where `predict_proba` rounds to 0.
        """
        return _targets.class_log_proba(self._logits(X), self.out_activation_, self._label_binarizer)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = self.out_activation != "softmax"
        return tags

    def _check_stochastic(self):
        if self.solver not in UPDATES:
            raise AttributeError(
                f"partial_fit is only available for stochastic solvers; {self.solver!r} is not stochastic."
            )
        return True

    def _logits(self, X):
        """The logits of validated rows, (n_samples, n_outputs), in their type."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        return predict_logits(self.coefs_, self.intercepts_, self._activations(len(self.coefs_) - 1), X)

    def _activations(self, n_hidden_layers):
        return [ACTIVATIONS[self.activation]] * n_hidden_layers

    def _fit(self, X, y, sample_weight, coef_init=None, intercept_init=None, incremental=False):
        """Validate, wire, train, publish: `fit`, and one epoch of it for `partial_fit`."""
        resume = hasattr(self, "coefs_") and (incremental or self.warm_start)
        hidden_units = _hidden_units(self.hidden_layer_sizes)
        X, y = self._check_data(X, y, resume)
        codes = self._encode_labels(y, resume, incremental)
        row_weight = self._row_weight(sample_weight, X, codes, incremental)
        if not (incremental and hasattr(self, "_random_state")):
            self._random_state = check_random_state(self.random_state)
        units = [X.shape[1], *hidden_units, self.n_outputs_]
        params = self._initial_parameters(units, X.dtype, resume, coef_init, intercept_init)
        if not resume:
            self._start_history()

        target = _targets.encode(codes, self.out_activation_, self.n_outputs_)
        activations = self._activations(len(hidden_units))
        validation_score = None
        if self.early_stopping and not incremental:
            train, held_out = self._split(codes)
            validation_score = partial(
                _accuracy, activations, X[held_out], codes[held_out], _take(row_weight, held_out)
            )
            X, target, row_weight = X[train], target[train], _take(row_weight, train)
        objective = Objective(params, activations, LOSSES[self.out_activation_], self.alpha, X, target, row_weight)
        monitor = Monitor(self.tol, self.n_iter_no_change, self.verbose, validation_score)
        solver = self._solver(X.shape[0], monitor, incremental)
        monitor.start(params, trained=resume)
        # Overflow is found by looking at the objective of every step, and reported once.
        with _blas_threads(params.units, getattr(solver, "batch_size", X.shape[0])), np.errstate(all="ignore"):
            outcome = solver.run(objective, monitor, 1 if incremental else self.max_iter)
        if outcome.status == "diverged" and not (resume or monitor.n_iter):
            raise ValueError(
                "Training produced a non-finite objective in its first iteration, so there are no weights to keep. The "
                "input data may contain large values: scale it (for example with sklearn.preprocessing.StandardScaler), "
                "or lower learning_rate_init."
            )
        if outcome.warning and not (incremental and outcome.status == "max_iter"):
            warnings.warn(outcome.warning, ConvergenceWarning, stacklevel=4)
        self._publish(params)
        self._publish_history(monitor, outcome, solver)
        return self

    def _check_data(self, X, y, resume):
        """X as C-ordered floats of the type to compute in, y as an array or sparse indicator."""
        dtype = self.dtype or (self.coefs_[0].dtype if resume else (np.float64, np.float32))
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=dtype,
            # Batches are gathered by rows; from any other order each gather would copy all of X first.
            order="C" if self.solver in UPDATES else None,
            reset=not resume,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _encode_labels(self, y, resume, incremental):
        """Labels as integer codes; what follows from the labels for the output layer is published."""
        if not (resume or incremental):
            self._label_binarizer = _targets.fit_binarizer(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            _targets.check_known_labels(y, self._label_binarizer, all_of_them=not incremental)
        self.out_activation_, self.n_outputs_ = _targets.output_layer(self.out_activation, self._label_binarizer)
        return _targets.class_codes(y, self._label_binarizer)

    def _row_weight(self, sample_weight, X, codes, incremental):
        """The product of sample and class weights in the type of X, or None if there are neither."""
        if sample_weight is None and self.class_weight is None:
            return None
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        if (weight < 0.0).any():
            raise ValueError(
                f"Negative values in sample_weight, the least {weight.min():g}: weights must be at least 0."
            )
        if self.class_weight is not None:
            counts = _targets.class_counts(codes, self._label_binarizer, weight)
            if incremental:
                counts = [new + old for new, old in zip(counts, getattr(self, "_class_counts", counts), strict=True)]
            self._class_counts = counts
            weight = weight * _targets.class_weights_of_rows(self.class_weight, codes, self._label_binarizer, counts)
        if not weight.any():
            raise ValueError("The weights of all rows are zero: at least one must be positive.")
        return weight.astype(X.dtype, copy=False)

    def _initial_parameters(self, units, dtype, resume, coef_init, intercept_init):
        """Parameters drawn at random or as a former call left them, with what the caller gives in their place."""
        n_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(units))
        if n_parameters > np.iinfo(np.intp).max // dtype.itemsize:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes} makes {n_parameters:.1e} parameters, more than memory can "
                "be addressed: use smaller layers."
            )
        params = Parameters(units, dtype)
        if resume:
            trained = [self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_)]
            if trained != units:
                raise ValueError(
                    f"The layers trained so far are of {trained} units, from the input to the output, but the parameters "
                    f"(hidden_layer_sizes={self.hidden_layer_sizes}) now ask for {units}. To train a network of another "
                    "shape, set warm_start=False and call fit."
                )
            params.set(self.coefs_, self.intercepts_)
        else:
            scale = ACTIVATIONS[self.activation].initial_scale
            for weight, bias in zip(params.weights, params.biases, strict=True):
                bound = np.sqrt(scale / sum(weight.shape))
                weight[...] = self._random_state.uniform(-bound, bound, weight.shape)
                bias[...] = self._random_state.uniform(-bound, bound, bias.shape)
        if coef_init is not None or intercept_init is not None:
            params.set(
                params.weights if coef_init is None else _check_layers(coef_init, params.weights, "coef_init"),
                params.biases
                if intercept_init is None
                else _check_layers(intercept_init, params.biases, "intercept_init"),
            )
        return params

    def _split(self, codes):
        """Indices of the rows to train on and of those to validate on."""
        rows = np.arange(len(codes))
        split = partial(train_test_split, rows, test_size=self.validation_fraction, random_state=self._random_state)
        if _targets.is_multilabel(self._label_binarizer):
            return split()
        two_classes = len(self.classes_) <= 2
        try:
            return split(stratify=(codes == 1).astype(str) if two_classes else codes)
        except ValueError:
            # Too few rows for one of each class. Of two classes, one with a single row cannot be both trained on and
            # validated on; else a plain split will do.
            if two_classes and np.bincount(codes).min() == 1 and len(codes) > 2:
                raise
            return split()

    def _solver(self, n_rows, monitor, incremental):
        """The solver that the parameters ask for; if `incremental`, in the state that the last call left it in."""
        if SOLVERS[self.solver] is ScipySolver:
            return ScipySolver(self.solver, self.tol, self.max_fun)
        batch_size = min(200, n_rows) if self.batch_size == "auto" else self.batch_size
        if batch_size > n_rows:
            warnings.warn(f"batch_size={batch_size} is larger than the number of rows, {n_rows}, and is clipped to it.")
            batch_size = n_rows
        rule = UPDATES[self.solver]
        solver = MiniBatchSolver(
            rule(**{name: getattr(self, name) for name in rule.parameters}),
            partial(SCHEDULES[self.learning_rate], power_t=self.power_t),
            self.learning_rate_init,
            batch_size,
            self.shuffle,
            self._random_state,
            Progress(samples_seen=self.t_),
        )
        state = getattr(self, "_training_state", {})
        if incremental and state.get("solver") == self.solver:
            solver.rule.state = copy.deepcopy(state["rule"])
            solver.progress.stalls = state["stalls"]
            monitor.no_improvement_count = state["no_improvement_count"]
            monitor.best_loss = state["best_loss"]
        return solver

    def _start_history(self):
        self.n_iter_ = self.t_ = 0
        self.loss_ = self.best_loss_ = np.inf
        self.loss_curve_ = []
        self.validation_scores_ = self.best_validation_score_ = None

    def _publish(self, params):
        self.coefs_, self.intercepts_ = params.copies()
        self.n_layers_ = len(params.units)

    def _publish_history(self, monitor, outcome, solver):
        self.n_iter_ = monitor.n_iter
        self.t_ = outcome.samples_seen
        self.loss_ = outcome.loss
        self.loss_curve_ = self.loss_curve_ + monitor.loss_curve
        self.best_loss_ = min([*self.loss_curve_, outcome.loss])
        if monitor.validates:
            self.validation_scores_ = (self.validation_scores_ or []) + monitor.validation_scores
            self.best_validation_score_ = monitor.best_validation_score
            self.best_loss_ = None
        self._training_state = {}
        if isinstance(solver, MiniBatchSolver) and outcome.status != "diverged":
            self._training_state = {
                "solver": self.solver,
                "rule": solver.rule.state,
                "stalls": solver.progress.stalls,
                "no_improvement_count": monitor.no_improvement_count,
                "best_loss": monitor.best_loss,
            }


def _hidden_units(hidden_layer_sizes):
    """Widths of the hidden layers as a list of int."""
    sizes = hidden_layer_sizes if np.iterable(hidden_layer_sizes) else [hidden_layer_sizes]
    if not all(isinstance(size, Integral) and size > 0 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be > 0, got {hidden_layer_sizes}: it is a number of units, a sequence of them, one "
            "for each hidden layer, or () for none."
        )
    return [int(size) for size in sizes]


def _check_layers(arrays, like, name):
    """Arrays, one for each layer, of the shapes and type of those in `like`."""
    shapes = [array.shape for array in like]
    if len(arrays) != len(shapes):
        raise ValueError(f"{name} has {len(arrays)} arrays for {len(shapes)} layers; their shapes must be {shapes}.")
    checked = [check_array(a, ensure_2d=False, dtype=like[0].dtype, input_name=name) for a in arrays]
    if [array.shape for array in checked] != shapes:
        raise ValueError(f"{name} has arrays of shapes {[a.shape for a in checked]}; they must be {shapes}.")
    return checked


def _take(row_weight, rows):
    return None if row_weight is None else row_weight[rows]


def _accuracy(activations, X, codes, row_weight, params):
    """The weighted share of rows for which the network's prediction is right, in all labels if there are several."""
    logits = predict_logits(params.weights, params.biases, activations, X)
    right = ((logits > 0.0) == codes).all(axis=1) if codes.ndim == 2 else _targets.predicted_codes(logits) == codes
    return float(np.average(right, weights=row_weight if row_weight is not None and row_weight.any() else None))


@contextmanager
def _unchanged_on_error(estimator):
    """Undo what a failing block set on an estimator: a failed fit loses nothing."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


_threadpools = cache(ThreadpoolController)


def _blas_threads(units, n_rows):
    """A context in which BLAS uses one thread if all matrix products of the network are small."""
    largest = min(n_rows, CHUNK_ROWS) * max(fan_in * fan_out for fan_in, fan_out in pairwise(units))
    return _threadpools().limit(limits=1, user_api="blas") if largest < SMALL_PRODUCT else nullcontext()
