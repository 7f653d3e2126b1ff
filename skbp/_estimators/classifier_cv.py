"""BackpropClassifierCV: a few small networks that predict classes, calibrated and averaged."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping

from skbp._estimators import types
from skbp._estimators.classes import Classes
from skbp._estimators.classifier import BackpropClassifier
from skbp._estimators.decorators import fit_context
from skbp._estimators.dictionary_of_members import DictionaryOfMembers
from skbp._estimators.ensemble import Ensemble
from skbp._estimators.fitting import one_fit
from skbp._estimators.publishing import publish, start_history


class BackpropClassifierCV(DictionaryOfMembers, Classes, Ensemble):
    r"""Networks on cross-validation folds, calibrated and averaged: strong on a table as it comes, without tuning.

    Each member trains on all folds but one and keeps the weights of the epoch with the lowest log loss on that one. Where it
    pays, half of the members see quantile bins in place of numbers. The prediction is a weighted mean

    .. math:: p(x) = \sum_m w_m \operatorname{link}(z_m(x) / T_m)

    with the weights w and temperatures T that fit the rows that members did not train on. :doc:`/guide/parameters` describes
    each parameter and attribute in full, :doc:`/cross_validated_ensemble` the method, :doc:`/guide/tables` the columns.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        Number of units of each hidden layer. An int is a single hidden layer; ``()`` is none: logistic regression.
    activation : str, Activation or list of them, default="silu"
        Function f of the hidden layers, or one for each: 13 names, or an :class:`skbp.Activation` of your own.
    cv : int, cross-validation generator, iterable or None, default=4
        How the rows are split: number of folds (None is 4), a splitter, or pairs (train, test) with a member for each.
    solver : {"adam", "sgd", "lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov", "tnc"}, default="adam"
        Method that minimises F: "sgd" and "adam" by mini-batches, methods of SciPy on all rows at once.
    alpha : float or list of float, default=0.0001
        Strength of the L2 penalty, in units of the summed loss; a list has one for each layer of weights.
    batch_size : int or "auto", default="auto"
        Rows in a mini-batch of "sgd" and "adam". "auto" is about 64, or 256 above 5,000 rows.
    learning_rate : str or callable, default="constant"
        Schedule: "constant", "invscaling", "adaptive", "cosine", "linear", "one-cycle" or a function of the progress.
    learning_rate_init : float or "auto", default="auto"
        Initial learning rate of "sgd" and "adam". "auto" is 0.01, or 0.02 above 5,000 rows.
    power_t : float, default=0.5
        Exponent of the schedule "invscaling".
    max_iter : int, default=200
        Largest number of epochs of "sgd" and "adam", or of iterations of SciPy's methods.
    shuffle : bool, default=True
        Whether each epoch of "sgd" and "adam" takes the rows in a new random order.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, initial weights, the order of rows and dropout. An int repeats the result.
    tol : float, default=1e-4
        Smallest improvement that counts for `n_iter_no_change`; tolerance of SciPy's methods for the gradient.
    verbose : bool or int, default=False
        1 or True prints a line for each iteration; 2 rewrites one line on a terminal.
    momentum : float, default=0.9
        Momentum of "sgd", between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    beta_1 : float, default=0.9
        Decay of "adam"'s running mean of the gradient, in [0, 1).
    beta_2 : float, default=0.999
        Decay of "adam"'s running mean of the squared gradient, in [0, 1).
    epsilon : float, default=1e-8
        Number that "adam" adds to the root of that mean.
    n_iter_no_change : int or inf, default=10
        Epochs without an improvement of `tol` on any member's fold before training stops.
    max_fun : int, default=15000
        Evaluations of F after which SciPy's methods end.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights by class, multiplied with `sample_weight`. A list has a dict for each label of a multilabel target.
    out_activation : {"auto", "softmax", "logistic"}, default="auto"
        Output layer. "auto" is one logistic unit for two classes, softmax for more, a logistic unit for each label.
    max_time : float or None, default=None
        Seconds after which training ends, checked after every iteration; the search for T ends by then too.
    dropout : float, list of float or "auto", default="auto"
        Probability that a step leaves out a hidden unit; a list has one for each layer. "auto" is 0.15, for SciPy 0.
    weight_decay : float, default=0.0
        Decoupled weight decay of "sgd" and "adam": an epoch multiplies weights by exp(-weight_decay).
    label_smoothing : float, default=0.05
        Share of each target that is spread evenly over the classes.
    max_grad_norm : float or None, default=None
        Upper limit of the norm of a batch's gradient in "sgd" and "adam".
    warmup_fraction : float, default=0.0
        Share of `max_iter` epochs in which the learning rate of "sgd" and "adam" rises from 0.
    dtype : {"float32", "float64"} or None, default="float32"
        Type that training computes in. None is the type of the data.
    hessian : {"auto", "exact", "gauss-newton"}, default="auto"
        Matrix that the Newton methods multiply by. "auto" is "exact", the Hessian.
    solver_options : dict or None, default=None
        Options for SciPy's method, such as ``{"maxcor": 30}``.
    scale : bool, default=True
        Whether to scale columns of numbers by their median and interquartile range, with a smooth limit for outliers.
    categorical_features : "from_dtype", array-like of bool, int or str, or None, default="from_dtype"
        The columns that are categories: a mask, numbers or names. "from_dtype": those of text or of a categorical type.
    n_repeats : int, default=2
        Members for each fold, if `cv` is a number of folds.
    quantile_bins : int or "auto", default="auto"
        Bins of each number that the later half of the repeats see; 0 for none. "auto" is 16 where they are known to pay.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for a multilabel target the column numbers.
    preprocessor_, views_ : transformer, list of transformer
        What makes the columns of plain members of X, and those of each member.
    members_ : list of :class:`BackpropClassifier`
        The fitted networks, each usable alone. A member that was never finite is left out, with a warning.
    temperature_, temperatures_ : float, ndarray of shape (n_members,)
        T of the plain members, and of each member; 1 without folds, or if calibration was interrupted.
    member_weights_ : ndarray of shape (n_members,)
        w. The sum is 1, and members that see the same columns have the same weight.
    feature_importances_ : ndarray of shape (n_features,)
        How much the probabilities of the plain members depend on each column of X. The sum is 1, or 0 if on none.
    best_iters_ : ndarray of shape (n_members,)
        The epoch, counted from 1, with the weights that a member keeps.
    validation_loss_curves_ : list of list of float, or None
        Mean loss of each member on its fold after each epoch, nan without a look.
    oof_indices_ : list of ndarray, or None
        The rows of each member's fold. Without folds, this and the following attributes are None.
    oof_decision_function_, oof_proba_ : ndarray or None
        Out-of-fold predictions for the training rows, weighted by w: at temperature 1, and at T. nan for rows in no fold.
    oof_log_loss_, oof_score_ : float or None
        Log loss and accuracy of `oof_proba_`, weighted by `sample_weight`, to compare models.
    n_iter_, n_features_in_, n_outputs_, out_activation_ : int, str
        Most epochs of a member, number of columns of X, of output units, and their function: "softmax" or "logistic".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> BackpropClassifierCV(random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    # The splitter asks `fit` for groups, not the estimator.
    __metadata_request__fit: ClassVar[dict] = {"groups": UNUSED}

    _parameter_constraints: ClassVar[dict] = {
        **Ensemble._parameter_constraints,
        "cv": ["cv_object"],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "quantile_bins": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "dropout": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left"), "array-like"],
    }

    def __init__(
        self,
        hidden_layer_sizes: types.Sizes = (64, 64),
        activation: types.Activations = "silu",
        *,
        cv: Any = 4,
        solver: types.Solver = "adam",
        alpha: types.PerLayer = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: types.Schedule = "constant",
        learning_rate_init: float | Literal["auto"] = "auto",
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: types.RandomState = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: types.ClassWeight = None,
        out_activation: types.OutActivation = "auto",
        max_time: float | None = None,
        dropout: types.PerLayer | Literal["auto"] = "auto",
        weight_decay: float = 0.0,
        label_smoothing: float = 0.05,
        max_grad_norm: float | None = None,
        warmup_fraction: float = 0.0,
        dtype: types.Precision = "float32",
        hessian: types.Hessian = "auto",
        solver_options: types.Options = None,
        scale: bool = True,
        categorical_features: Any = "from_dtype",
        n_repeats: int = 2,
        quantile_bins: int | Literal["auto"] = "auto",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.cv = cv
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
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.class_weight = class_weight
        self.out_activation = out_activation
        self.max_time = max_time
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.max_grad_norm = max_grad_norm
        self.warmup_fraction = warmup_fraction
        self.dtype = dtype
        self.hessian = hessian
        self.solver_options = solver_options
        self.scale = scale
        self.categorical_features = categorical_features
        self.n_repeats = n_repeats
        self.quantile_bins = quantile_bins

    @fit_context(skip_nested_validation=True)
    def fit(
        self,
        X: types.Matrix,
        y: types.Matrix,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the members on the folds, set the temperature, estimate the error.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            The table: numbers, text, categories and booleans, with gaps (nan, None, NA) where values are missing.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type that scikit-learn takes, or the 0/1 indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero; None for ones. Their common factor does not count.
        groups : array-like of shape (n_samples,), default=None
            Group of each row. Rows of one group are in the same fold.

        Returns
        -------
        self : BackpropClassifierCV
            The fitted classifier itself.

        Raises
        ------
        ValueError
            If the input is not as described, or the objective is not finite in the first epoch. The estimator is
            unchanged then.

        Warns
        -----
        ConvergenceWarning
            If a limit is reached before training has converged, a member diverges, or training is interrupted.
        NothingLearnedWarning
            If the out-of-fold log loss is not below that of predicting the class frequencies.
        UnusedParameterWarning
            For each parameter that is not at its default and has no effect.
        UserWarning
            If there are fewer folds than asked for, splits are uneven, or y looks one-hot.
        """
        with one_fit(self):
            return self._fit(X, y, sample_weight, groups)

    def predict_proba_members(self, X: types.Matrix) -> NDArray[np.floating[Any]]:
        """Predict class probabilities by each member. The more they differ, the less certain is their mean.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        proba : ndarray of shape (n_members, n_samples, n_classes)
            Their mean over the first axis, weighted by `member_weights_`, is `predict_proba`.
        """
        return self._predicted(self._members_of, X)

    def _members_of(self, logits):
        return self._linked(logits, self.temperatures_)

    def get_metadata_routing(self) -> MetadataRouter:
        """The metadata that `fit` takes: sample_weight for itself, and what the splitter asks for, such as groups.

        Returns
        -------
        routing : MetadataRouter
            What each consumer asks for.
        """
        splitter = StratifiedGroupKFold() if isinstance(self.cv, Integral | None) else self.cv
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        if hasattr(splitter, "get_metadata_routing"):
            router.add(splitter=splitter, method_mapping=MethodMapping().add(caller="fit", callee="split"))
        return router

    def _labels_of(self, logits):
        target = self._target
        return target.labels(target.codes_by_proba(self._proba_of(logits)))

    def _decision_of(self, logits):
        z = logits.astype(np.float64)
        return self._target.decision_by_proba(lambda sign: self._proba_of(sign * z)).astype(logits.dtype)

    def _proba_of(self, logits):
        proba = self._linked(logits, self.temperatures_)
        return np.tensordot(self.member_weights_.astype(proba.dtype), proba, 1)

    def _log_proba_of(self, logits):
        proba = self._proba_of(logits)
        return np.log(proba, out=proba)

    members_: list[BackpropClassifier]

    def _member(self, params):
        member = BackpropClassifier(**params)
        of_data = ("_label_binarizer", "_class_counts", "classes_", "n_outputs_", "out_activation_")
        # An ensemble that `from_dict` made has no counts of classes.
        publish(member, {name: getattr(self, name) for name in of_data if hasattr(self, name)})
        self._give_columns(member)
        start_history(member)
        return member
