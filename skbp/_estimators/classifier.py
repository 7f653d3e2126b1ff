"""BackpropClassifier: one network that predicts classes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import ClassVar, Literal, Self

from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call

from skbp._data.labels import check_labels
from skbp._estimators import types
from skbp._estimators.classes import ClassesOfOneNetwork
from skbp._estimators.decorators import available_if, fit_context
from skbp._estimators.dictionary import DictionaryOfNetwork
from skbp._estimators.estimator import NetworkEstimator
from skbp._estimators.exchange import MLPExchange
from skbp._estimators.fitting import one_fit
from skbp._estimators.given_weights import checked_network, fitted_with
from skbp._estimators.network import SingleNetwork
from skbp._network.function import ObjectiveFunction
from skbp._training.updates import is_stochastic


class BackpropClassifier(DictionaryOfNetwork, MLPExchange, ClassesOfOneNetwork, SingleNetwork):
    r"""Multi-layer perceptron classifier, a drop-in for :class:`~sklearn.neural_network.MLPClassifier`.

    Backpropagation and a solver minimise the regularised mean loss over the weights W_l and the biases b_l

    .. math:: F = \frac1S \sum_i s_i \sum_k c(z_{ik}, y_{ik}) + \frac{1}{2S} \sum_l \alpha_l \lVert W_l \rVert^2

    with logits z_i and weight s_i of row i, the cross-entropy c, and S, the sum of s_i over the rows of a batch ("sgd",
    "adam") or over all rows. :doc:`/guide/parameters` describes each parameter and attribute in full.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Number of units of each hidden layer. An int is a single hidden layer; ``()`` is none: logistic regression.
    activation : str, Activation or list of them, default="relu"
        Function f of the hidden layers, or one for each: 13 names, or an :class:`skbp.Activation` of your own.
    solver : {"adam", "sgd", "lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov", "tnc"}, default="adam"
        Method that minimises F: "sgd" and "adam" by mini-batches, methods of SciPy on all rows at once.
    alpha : float or list of float, default=0.0001
        Strength of the L2 penalty, in units of the summed loss; a list has one for each layer of weights.
    batch_size : int or "auto", default="auto"
        Rows in a mini-batch of "sgd" and "adam". "auto" is 200, or all rows if there are fewer.
    learning_rate : str or callable, default="constant"
        Schedule: "constant", "invscaling", "adaptive", "cosine", "linear", "one-cycle" or a function of the progress.
    learning_rate_init : float, default=0.001
        Initial learning rate of "sgd" and "adam"; the highest rate of "one-cycle" and after a warm-up.
    power_t : float, default=0.5
        Exponent of the schedule "invscaling".
    max_iter : int, default=200
        Largest number of epochs of "sgd" and "adam", or of iterations of SciPy's methods.
    shuffle : bool, default=True
        Whether each epoch of "sgd" and "adam" takes the rows in a new random order.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, splits, the order of rows and dropout. An int repeats the result.
    tol : float, default=1e-4
        Smallest improvement that counts for `n_iter_no_change`; tolerance of SciPy's methods for the gradient.
    verbose : bool or int, default=False
        1 or True prints a line for each iteration; 2 rewrites one line on a terminal.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last call. A pickle then holds what further training needs.
    momentum : float, default=0.9
        Momentum of "sgd", between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop by the score on `X_val`, or on rows held out, and keep the best weights. For every solver.
    validation_fraction : float, default=0.1
        Share of the rows that `early_stopping` holds out without `X_val`.
    beta_1 : float, default=0.9
        Decay of "adam"'s running mean of the gradient, in [0, 1).
    beta_2 : float, default=0.999
        Decay of "adam"'s running mean of the squared gradient, in [0, 1).
    epsilon : float, default=1e-8
        Number that "adam" adds to the root of that mean.
    n_iter_no_change : int or inf, default=10
        Epochs without an improvement of `tol` before training stops. SciPy's methods: with `early_stopping` only.
    max_fun : int, default=15000
        Evaluations of F after which SciPy's methods end.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights by class, multiplied with `sample_weight`. A list has a dict for each label of a multilabel target.
    out_activation : {"auto", "softmax", "logistic"}, default="auto"
        Output layer. "auto" is one logistic unit for two classes, softmax for more, a logistic unit for each label.
    scoring : str, callable or None, default=None
        Score on validation data: None is the accuracy, "loss" minus the loss; else a scorer's name or a callable.
    max_time : float or None, default=None
        Seconds after which training ends, checked after every iteration.
    dropout : float or list of float, default=0.0
        Probability that a step of "sgd" or "adam" leaves out a hidden unit; a list has one for each hidden layer.
    weight_decay : float, default=0.0
        Decoupled weight decay of "sgd" and "adam": an epoch multiplies weights by exp(-weight_decay).
    label_smoothing : float, default=0.0
        Share of each target that is spread evenly over the classes.
    max_grad_norm : float or None, default=None
        Upper limit of the norm of a batch's gradient in "sgd" and "adam".
    warmup_fraction : float, default=0.0
        Share of `max_iter` epochs in which the learning rate of "sgd" and "adam" rises from 0.
    dtype : {"float32", "float64"} or None, default=None
        Type that training computes in. None is the type of the data.
    hessian : {"auto", "exact", "gauss-newton"}, default="auto"
        Matrix that the Newton methods and `objective` multiply by. "auto" is "exact", the Hessian.
    solver_options : dict or None, default=None
        Options for SciPy's method, such as ``{"maxcor": 30}``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for a multilabel target the column numbers.
    coefs_, intercepts_ : list of ndarray
        For each layer the weights (fan_in, fan_out) and the biases (fan_out,).
    loss_, best_loss_ : float
        F at the end, and its lowest value, which is None with `early_stopping`.
    n_iter_, best_iter_, t_ : int
        Iterations of the last call, the iteration with the weights that are kept, rows that mini-batches have processed.
    loss_curve_, learning_rate_curve_ : list of float
        F and the learning rate of each iteration; the latter is None with SciPy's methods.
    validation_scores_, validation_loss_curve_ : list of float or None
        Score and mean loss on validation data after each iteration. `best_validation_score_` is the best score.
    n_features_in_, n_layers_, n_outputs_ : int
        Number of features, of layers from the input to the output, of output units. `feature_names_in_` has names.
    optimize_result_ : dict or None
        How SciPy's method ended. `out_activation_` is the function of the output layer.

    See Also
    --------
    BackpropClassifierCV : Networks on cross-validation folds.
    sklearn.neural_network.MLPClassifier : The estimator that this one replaces.

    Notes
    -----
    Training that diverges stops, keeps the last weights with finite output and warns. Ctrl-C keeps the weights so far.
    :class:`skbp.UnusedParameterWarning` reports a parameter without effect, :class:`skbp.NothingLearnedWarning` a
    network no better than a constant. Scale the features.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(8, "tanh", solver="lbfgs", alpha=1.0, max_iter=500, random_state=0)
    >>> clf.fit(X, y).score(X, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **NetworkEstimator._parameter_constraints,
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "warm_start": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
    }

    def __init__(
        self,
        hidden_layer_sizes: types.Sizes = (100,),
        activation: types.Activations = "relu",
        *,
        solver: types.Solver = "adam",
        alpha: types.PerLayer = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: types.Schedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: types.RandomState = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: types.ClassWeight = None,
        out_activation: types.OutActivation = "auto",
        scoring: types.Scoring = None,
        max_time: float | None = None,
        dropout: types.PerLayer = 0.0,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        max_grad_norm: float | None = None,
        warmup_fraction: float = 0.0,
        dtype: types.Precision = None,
        hessian: types.Hessian = "auto",
        solver_options: types.Options = None,
    ) -> None:
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
        self.scoring = scoring
        self.max_time = max_time
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.max_grad_norm = max_grad_norm
        self.warmup_fraction = warmup_fraction
        self.dtype = dtype
        self.hessian = hessian
        self.solver_options = solver_options

    @fit_context(skip_nested_validation=True)
    def fit(
        self,
        X: types.Matrix,
        y: types.Matrix,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: types.Matrix | None = None,
        y_val: types.Matrix | None = None,
        sample_weight_val: ArrayLike | None = None,
        coef_init: Sequence[ArrayLike] | None = None,
        intercept_init: Sequence[ArrayLike] | None = None,
    ) -> Self:
        """Train the network on data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data. float32 stays float32, everything else becomes float64; see `dtype`.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type that scikit-learn takes, or the 0/1 indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero; None for ones. A weight of 2 counts like two rows. Any common
            factor from 1e-300 to 1e300 is allowed; see `alpha`.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Rows to validate on. With `early_stopping` they replace rows held out; without it their score and loss are
            recorded. A pipeline made with ``transform_input=["X_val"]`` transforms them like X.
        y_val : {array-like, sparse matrix} of shape (n_val,) or (n_val, n_labels), default=None
            Their labels. y must have all of them too.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights. `class_weight` multiplies them as it does those of X.
        coef_init : list of n_layers - 1 arrays, default=None
            Initial weights that replace random ones, the i-th of shape (fan_in, fan_out) of layer i.
        intercept_init : list of n_layers - 1 arrays, default=None
            Initial biases that replace random ones, the i-th of shape (fan_out,) of layer i.

        Returns
        -------
        self : BackpropClassifier
            The fitted classifier itself.

        Raises
        ------
        ValueError
            If the input is not as described, or the objective is not finite in the first epoch. The estimator is
            unchanged then.

        Warns
        -----
        ConvergenceWarning
            If `max_iter`, `max_fun` or `max_time` is reached, training diverges after its first epoch, or is interrupted.
        NothingLearnedWarning
            If the network is no better than a constant prediction.
        UnusedParameterWarning
            For each parameter that is not at its default and has no effect with the solver, or with other parameters.
        UserWarning
            If y looks one-hot, X_val is on another scale than X, or light sample weights let the penalty dominate.
        """
        with one_fit(self):
            given = (X_val, y_val, sample_weight_val)
            return self._fit(X, y, sample_weight, validation_data=given, initial=(coef_init, intercept_init))

    @available_if(lambda self: self._check_stochastic())
    @fit_context(skip_nested_validation=True)
    def partial_fit(
        self, X: types.Matrix, y: types.Matrix, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on the given data, from the present weights and state of the update rule.

        The random generator and the schedule of the learning rate go on from call to call: the epochs of all calls
        together make up `max_iter`. `early_stopping` and `max_time` have no effect here.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            The target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, as for `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever occur. The first call needs them.

        Returns
        -------
        self : BackpropClassifier
            The fitted classifier itself.

        Raises
        ------
        ValueError
            If the input is not as described, has classes that the first call did not name, or the objective is not finite
            in the first epoch. The estimator is unchanged then.
        """
        with one_fit(self):
            self._check_third_argument(sample_weight, classes)
            if classes is not None:
                check_labels(classes, "classes")
            if _check_partial_fit_first_call(self, classes):
                self._start_with_classes(y, classes)
            return self._fit(X, y, sample_weight, incremental=True)

    def objective(self, X: types.Matrix, y: types.Matrix, sample_weight: ArrayLike | None = None) -> ObjectiveFunction:
        """F on given data as a function of the parameters, to study it or to minimise it with any optimiser.

        It works before and after `fit`, and does not change the classifier. `class_weight`, `dtype`, `hessian` and
        everything that makes up the network count. What belongs to a solver does not count, nor does `early_stopping`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            The target. A fitted classifier must know all of its labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, as for `fit`.

        Returns
        -------
        objective : ObjectiveFunction
            With ``theta0``, the fitted parameters or, before `fit`, random ones as `fit` would draw them;
            ``value(theta)``, ``gradient(theta)``, ``value_and_gradient(theta)``; ``hessp(theta, v)`` and
            ``hessian_operator(theta)`` for products with the Hessian or the Gauss-Newton matrix; ``with_theta(theta)``, a
            fitted classifier. theta is one float64 vector: the weights layer by layer, each (fan_in, fan_out) in C order,
            then the biases.

        Raises
        ------
        ValueError
            If the input is not as described.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy.optimize import minimize
        >>> from sklearn.datasets import load_iris
        >>> from skbp import BackpropClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> F = BackpropClassifier(10, "tanh", alpha=1.0, random_state=0).objective(X, y)
        >>> result = minimize(F.value_and_gradient, F.theta0, jac=True, hessp=F.hessp, method="trust-krylov")
        >>> bool(np.abs(F.gradient(result.x)).max() < 1e-4)
        True
        >>> F.with_theta(result.x).score(X, y) > 0.95
        True
        """
        return self._objective(X, y, sample_weight)

    @classmethod
    def from_weights(
        cls,
        coefs: Sequence[ArrayLike],
        intercepts: Sequence[ArrayLike],
        *,
        classes: ArrayLike,
        activation: types.Activations = "relu",
        out_activation: types.OutActivation = "auto",
        multilabel: bool = False,
    ) -> Self:
        """A fitted classifier with given weights: set by hand, or trained elsewhere.

        Parameters
        ----------
        coefs : list of n_layers - 1 array-likes
            Weights, the i-th of shape (fan_in, fan_out) of layer i. float32 if all are, else float64.
        intercepts : list of n_layers - 1 array-likes
            Biases, the i-th of shape (fan_out,).
        classes : array-like of shape (n_classes,)
            Class labels, sorted, in the order of the output units; 0, 1, ... if `multilabel`. For two classes the network
            may have one logistic output unit: the probability of the second class.
        activation : str, Activation or list of them, default="relu"
            Activation of the hidden layers, or of each.
        out_activation : {"auto", "softmax", "logistic"}, default="auto"
            "auto" is logistic for a single unit or if `multilabel`, else softmax.
        multilabel : bool, default=False
            Whether the classes are labels that do not exclude each other, each with a logistic unit.

        Returns
        -------
        clf : BackpropClassifier
            Fitted. Its parameters are defaults, except for those that follow from the arguments.

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
        given = checked_network(coefs, intercepts, classes, out_activation, multilabel)
        units = given.params.units
        clf = cls(
            hidden_layer_sizes=tuple(units[1:-1]),
            activation=activation,
            out_activation="auto" if given.is_auto else given.out_activation,  # type: ignore[arg-type]
        )
        clf._validate_params()
        return fitted_with(clf, given)

    def _check_stochastic(self):
        if not is_stochastic(self.solver):
            raise AttributeError(
                f"partial_fit is only available for stochastic solvers; {self.solver!r} is not stochastic."
            )
        return True
