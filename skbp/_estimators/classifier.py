"""BackpropClassifier: scikit-learn's face of the network.

`fit` validates once and wires the parts: labels become a target, the weights a flat vector, the two an objective; a
solver minimises it and reports to a monitor; the result is published as plain arrays, lists and numbers.
"""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import _get_feature_names, check_is_fitted

from skbp._data import targets
from skbp._data.scales import far_columns
from skbp._data.validation import Rows, Validation, split
from skbp._data.weights import checked_weight
from skbp._estimators.hidden_features import HiddenFeatures
from skbp._estimators.network import CURVES, NetworkEstimator, as_vector, one_fit
from skbp._network.losses import LOSSES
from skbp._network.parameters import Parameters
from skbp._network.predict import predict_logits
from skbp._notices import NothingLearnedWarning, note
from skbp._training import diagnosis, recipe
from skbp._training.monitor import Monitor
from skbp._training.solvers import MiniBatchSolver, SolverError
from skbp._training.threads import blas_threads
from skbp._training.updates import UPDATES, is_stochastic


class NothingTrainedError(ValueError):
    """Training ended before there was anything to keep."""


class BackpropClassifier(NetworkEstimator):
    r"""Multi-layer perceptron classifier, a drop-in for :class:`~sklearn.neural_network.MLPClassifier`.

    A network of fully connected layers, trained by backpropagation: by mini-batch gradient descent, or on all rows by a
    minimiser of SciPy. It minimises the regularised mean loss

    .. math::

        F = \frac1S \sum_i s_i \sum_k c(z_{ik}, y_{ik}) + \frac{1}{2S} \sum_l \alpha_l \lVert W_l \rVert^2

    over the weights W_l and biases b_l, where z_i are the logits of row i, s_i is the row's weight, and S is the sum of
    the weights of the rows at hand: of a batch for "sgd" and "adam", else of all rows. Biases are not penalised.
    The loss c is the cross-entropy, a function of the logits: for softmax outputs log(sum_k exp z_k) - z_y, for logistic
    outputs log(1 + exp z_k) - y_k z_k, summed over the units k. With the layers z_l = a_{l-1} W_l + b_l, a_l = f(z_l) and
    delta_l the derivative of F by z_l, the gradient is

    .. math::

        \delta_L = \tfrac{s}{S} (\mathrm{link}(z_L) - y), \quad
        \delta_l = (\delta_{l+1} W_{l+1}^T) \odot f'(z_l), \\
        \frac{\partial F}{\partial W_l} = a_{l-1}^T \delta_l + \frac{\alpha_l}{S} W_l, \quad
        \frac{\partial F}{\partial b_l} = \sum_i \delta_{l,i}

    With the parameters of `MLPClassifier`, the same `random_state` and float64 data it gives the same numbers.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Number of units of each hidden layer. An int is a single hidden layer; ``()`` is none, which makes the model
        logistic regression with ``C = 1 / alpha``.
    activation : str, Activation or list of them, default="relu"
        Activation f of the hidden layers; a list has one for each. With s(z) = 1 / (1 + exp(-z)):

        - "identity": z; "logistic": s(z); "tanh": tanh(z); "softsign": z / (1 + abs(z)).
        - "relu": max(0, z); "leaky_relu": max(0.01 z, z); "relu6": min(max(0, z), 6).
        - "elu": z if z > 0, else exp(z) - 1; "selu": 1.0507 times z, or 1.6733 (exp(z) - 1).
        - "gelu": z Phi(z), Phi the standard normal distribution function; "silu": z s(z); "softplus": log(1 + exp(z));
          "mish": z tanh(log(1 + exp(z))).

        Each has its own scale of initial weights. A :class:`skbp.Activation` is a function of one's own, which
        :func:`skbp.inspection.check_gradient` judges.
    solver : {"adam", "sgd", "lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov", "tnc"}, default="adam"
        How F is minimised.

        - "adam": mini-batches, steps scaled by running moments of the gradient [2]_. Does well on some thousand rows
          and more.
        - "sgd": mini-batches, gradient descent with momentum.
        - "lbfgs": all rows at once, quasi-Newton with limited memory. On small data often sooner at a better minimum.
        - "bfgs", "cg", "tnc": all rows at once, quasi-Newton with a full matrix (for some hundred parameters: an iteration
          costs their cube), nonlinear conjugate gradients, truncated Newton on differences of gradients.
        - "newton-cg", "trust-ncg", "trust-krylov": all rows at once, Newton's method on exact products with the Hessian
          (see `hessian`), by a line search or in a trust region: to a true minimum, whose gradient is 0 up to rounding.

        All but the first two are methods of :func:`scipy.optimize.minimize`. Their memory does not grow with the number
        of rows; that of "bfgs" and "trust-krylov" may grow with the square of the number of parameters. They repeat
        themselves bit for bit, except for "trust-krylov", whose steps depend on rounding in SciPy's own memory.
    alpha : float or list of float, default=0.0001
        Strength of the L2 penalty, in the units of the summed loss: it is divided by S, the sum of the weights, so that it
        weighs less the more rows there are, and more the lighter they are. At least 0. A list has one number for each layer
        of weights, the output's included.
    batch_size : int or "auto", default="auto"
        Rows in a mini-batch. "auto" is 200, or all rows if there are fewer. Used by "sgd" and "adam".
    learning_rate : {"constant", "invscaling", "adaptive", "cosine", "linear", "one-cycle"} or callable, default="constant"
        Schedule of the learning rate. Used by "sgd" and "adam". The first three go on for as long as training does and
        change between epochs:

        - "constant": `learning_rate_init`.
        - "invscaling": ``learning_rate_init / (t_ + 1) ** power_t``.
        - "adaptive": divided by 5 each time that nothing has improved by `tol` for more than `n_iter_no_change` epochs;
          training stops when that happens at a rate of at most 1e-6.

        The others are laid out for all of training, change with every step, and multiply `learning_rate_init` by a
        function of the fraction p of `max_iter` epochs that lies before the step. To reach the last epoch is then no
        failure to converge, and no warning is given.

        - "cosine": (1 + cos(pi p)) / 2, from 1 to 0.
        - "linear": 1 - p.
        - "one-cycle": up from 1/25 to 1 at p = 0.3, down to 1/250000, each along half a cosine.
        - a callable: what it returns for p, a number of at least 0.
    learning_rate_init : float, default=0.001
        Initial learning rate; of "one-cycle", and after a warm-up, the highest. Used by "sgd" and "adam".
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Epochs (passes over all rows) of "sgd" and "adam", iterations of SciPy's methods, at the most.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new random order. Used by "sgd" and "adam".
    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the split of `early_stopping` and the order of rows. An int gives the same result in
        each call of `fit`.
    tol : float, default=1e-4
        For "sgd" and "adam" the least improvement that counts, an absolute difference of the loss or of the validation
        score. For SciPy's methods training ends where no element of the gradient is larger in absolute value, or for
        "newton-cg" those of a step are not on average; with `early_stopping` it is both. "lbfgs" ends too where F falls
        by less than 2.2e-9 of itself in an iteration, or, for `tol` under 1e-4, that times the square of ``tol / 1e-4``.
    verbose : bool or int, default=False
        1 or True prints a line of at most 80 characters for every iteration: F, the validation score (or loss, if that is
        the score), the learning rate, the seconds so far. 2 keeps to one line that is written over and over, if the output
        is a terminal.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last call. The layers must be the same. `loss_curve_`,
        `validation_scores_` and `t_` go on, patience starts anew, and with `early_stopping` the weights at the start are
        kept unless some epoch scores better. It also makes a pickle carry all that further training needs: see Notes.
    momentum : float, default=0.9
        Momentum of "sgd", between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop when the score on validation data has not improved by `tol` for more than `n_iter_no_change` epochs,
        and to keep the weights that were best on them. Works with every solver. The data are those given to `fit` as
        `X_val`, else a share of the rows that is held out: `validation_fraction`. The split is stratified by class where
        there are rows enough, but not for multilabel targets.
    validation_fraction : float, default=0.1
        Share of the rows held out by `early_stopping`, between 0 and 1.
    beta_1 : float, default=0.9
        Decay of "adam"'s running mean of the gradient, in [0, 1).
    beta_2 : float, default=0.999
        Decay of "adam"'s running mean of the squared gradient, in [0, 1).
    epsilon : float, default=1e-8
        Added by "adam" to the root of the second moment, so that no division is by 0.
    n_iter_no_change : int or inf, default=10
        Epochs without an improvement of `tol` that are put up with; at one more, training has stalled and stops (or the
        adaptive learning rate is lowered). Used by "sgd" and "adam", and by every solver with `early_stopping`.
    max_fun : int, default=15000
        Evaluations of F by SciPy's methods after which they end, at the end of the iteration.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights by class, multiplied with `sample_weight`. A dict maps labels to weights, 1 for those not named.
        "balanced" weighs every class inversely to its summed weight, ``S / (n_classes * S_class)``; in `partial_fit` the
        sums run over all rows seen so far. For multilabel targets a list with one dict ``{0: weight, 1: weight}`` a
        label; a row's weight is the product over its labels.
    out_activation : {"auto", "softmax", "logistic"}, default="auto"
        The output layer.

        - "auto": one logistic unit for two classes, softmax for more, a logistic unit for each label of a multilabel
          target, as `MLPClassifier` has it.
        - "softmax": a softmax unit for each class, also for two. Not for multilabel targets.
        - "logistic": a logistic unit for each class, trained on one-hot targets with the loss summed over the units.
          `predict_proba` divides their outputs by their sum over the classes.
    scoring : str, callable or None, default=None
        The score on validation data, of which more is better. None is the accuracy; "loss" the loss c per row with its sign
        changed, which notices progress that the accuracy does not; else a name from
        :func:`sklearn.metrics.get_scorer_names` or a callable ``(estimator, X, y)``. Rows weigh by `sample_weight` and
        `class_weight`, where the metric takes weights.
    max_time : float or None, default=None
        Seconds after which training ends, looked at after every iteration.
    dropout : float or list of float, default=0.0
        Probability in [0, 1) with which a hidden unit is left out in a training step; a list has one for each hidden layer.
        The other units are scaled up by 1 / (1 - dropout), so that predictions, which leave nothing out, need no
        correction. `loss_curve_` is that of the thinned networks. Used by "sgd" and "adam".
    weight_decay : float, default=0.0
        Decoupled weight decay [5]_: in an epoch at the full learning rate the weights, but not the biases, shrink by the
        factor exp(-weight_decay), whatever the batch size, besides what the gradient does. The learning rate's schedule
        scales it. PyTorch's AdamW with ``weight_decay=w`` and a rate of lr does the same as
        ``weight_decay = w * lr * batches_per_epoch`` here. Used by "sgd" and "adam".
    label_smoothing : float, default=0.0
        Share e in [0, 1) of each target that is spread evenly over the classes: y becomes (1 - e) y + e / n_classes; of
        logistic outputs, over 0 and 1: (1 - e) y + e / 2. Validation is by the labels as they are.
    max_grad_norm : float or None, default=None
        A batch's gradient of greater Euclidean norm is scaled down to it. Used by "sgd" and "adam".
    warmup_fraction : float, default=0.0
        Share in [0, 1) of `max_iter` epochs in which the learning rate is multiplied by a number that rises from 0 to 1 in
        equal steps; the schedule has the rest to itself. Used by "sgd" and "adam".
    dtype : {"float32", "float64"} or None, default=None
        What training computes in. None is the type of the data: float32 for float32, float64 for all else. float32
        takes about half the time and memory. What goes on from former weights (`partial_fit`, `warm_start`) stays in their
        type under None. Predictions are computed in the type of the data that they are made for.
    hessian : {"auto", "exact", "gauss-newton"}, default="auto"
        The matrix of whose products "newton-cg", "trust-ncg" and "trust-krylov" make use, and `objective`: the Hessian, or
        the Gauss-Newton matrix J' H_loss J, which is never negative along any direction. "auto" is "exact": on each of six
        data sets, and for each of the three methods, training with the Gauss-Newton matrix took longer, 1.6 to 42 times.
        Relu counts as having no curvature, which it has almost nowhere; its kinks go unnoticed.
    solver_options : dict or None, default=None
        Options for SciPy's method, such as ``{"maxcor": 30}``, over those that `tol`, `max_iter` and `max_fun` set. One
        that the method does not know is an error that names those it does. Used by SciPy's methods.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for a multilabel target the labels' column numbers.
    loss_ : float
        F in the last epoch, as the mean over its batches; of SciPy's methods F at the end.
    best_loss_ : float or None
        The least loss reached; None with `early_stopping`.
    best_iter_ : int
        The iteration whose weights were kept, counted from 1 along `loss_curve_`: with `early_stopping` that of the best
        score, else the last.
    loss_curve_ : list of float
        F after each iteration, of all calls that continued one another.
    learning_rate_curve_ : list of float or None
        The learning rate at the start of each epoch; None with SciPy's methods.
    validation_scores_ : list of float or None
        The score on validation data after each iteration; None without `early_stopping` or `X_val`.
    validation_loss_curve_ : list of float or None
        The mean of the loss c on validation data, without penalty or label smoothing, after each iteration; None without
        `early_stopping` or `X_val`.
    best_validation_score_ : float or None
        The best score; with `early_stopping` that of the weights that were kept. None without `early_stopping` or `X_val`.
    t_ : int
        Rows that "sgd" and "adam" have gone through, each as often as they did, in all calls that continued one another.
    coefs_ : list of n_layers - 1 ndarrays
        The i-th, of shape (fan_in, fan_out), holds the weights of layer i.
    intercepts_ : list of n_layers - 1 ndarrays
        The i-th, of shape (fan_out,), holds the biases of layer i.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had them and all are strings.
    n_iter_ : int
        Iterations of the last call.
    n_layers_ : int
        Number of layers, input and output included.
    optimize_result_ : dict or None
        Of SciPy's methods: "fun" and "max_gradient", the objective at the end and the largest absolute element of its
        gradient; "n_iter", "n_evaluations" and "n_products", iterations, evaluations of F with its gradient, products with
        the Hessian; SciPy's "success", "status" and "message". None for "sgd" and "adam".
    n_outputs_ : int
        Number of output units.
    out_activation_ : {"softmax", "logistic"}
        The output activation in use.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : The estimator whose place this one takes.
    sklearn.linear_model.LogisticRegression : The same model without hidden layers.

    Notes
    -----
    After every epoch the output is known to be finite for every training row. Where it is not, training has diverged: it
    stops in that epoch, keeps the weights of the epoch before and warns. An interrupt (Ctrl-C) keeps the weights so far,
    with `early_stopping` the best ones, and warns; before the first step there is nothing to keep, and it is raised.
    Predictions are finite for any finite rows.

    A parameter that has no effect, since the solver or another parameter makes no use of it, and that is not at its
    default, gives a :class:`skbp.UnusedParameterWarning` that names both. A network that is no better than a constant
    prediction gives a :class:`skbp.NothingLearnedWarning` that names remedies. All warnings come when the fit is complete,
    so that a filter that turns them into errors loses nothing.

    With scikit-learn 1.9 or later, :meth:`set_callbacks` takes scikit-learn's callbacks, such as
    :class:`sklearn.callback.ScoringMonitor` or one's own: they are told of every iteration, and one that returns True ends
    training.

    What the next step of training depends on (the moments of "adam", the random generator, the place in the schedule)
    travels in a pickle only if there is to be a next step: if `warm_start` is set, or the last call was of `partial_fit`.
    Otherwise a pickle holds little more than the weights, and training that goes on from it by `partial_fit` starts with
    new moments. The training data never travel. A pickle of another version of skbp is loaded with a
    :class:`skbp.InconsistentVersionWarning`.

    Features should be on similar scales, for example by :class:`~sklearn.preprocessing.StandardScaler`.

    Matrix products of small networks are left to one BLAS thread while a fit, a prediction or `objective` computes them: on
    busy cores two threads can take a hundred times as long.

    References
    ----------
    .. [1] Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323 (1986),
           533-536, https://doi.org/10.1038/323533a0
    .. [2] Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
           https://doi.org/10.48550/arXiv.1412.6980
    .. [3] Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994), 147-160,
           https://doi.org/10.1162/neco.1994.6.1.147
    .. [4] Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    .. [5] Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019,
           https://doi.org/10.48550/arXiv.1711.05101

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skbp import BackpropClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    >>> clf = make_pipeline(StandardScaler(), BackpropClassifier(solver="lbfgs", alpha=10.0, max_iter=500, random_state=0))
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.95
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
        scoring=None,
        max_time=None,
        dropout=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
        max_grad_norm=None,
        warmup_fraction=0.0,
        dtype=None,
        hessian="auto",
        solver_options=None,
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        coef_init=None,
        intercept_init=None,
    ):
        """Train the network on data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data. float32 stays float32, all else becomes float64; see `dtype`.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type that scikit-learn takes, or the 0/1 indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero; None for ones. A weight of 2 counts like two rows. Any common
            factor from 1e-300 to 1e300 will do; see `alpha`.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Rows to validate on. With `early_stopping` they take the place of rows held out; without it their score and
            loss are recorded. A pipeline made with ``transform_input=["X_val"]`` transforms them like X.
        y_val : {array-like, sparse matrix} of shape (n_val,) or (n_val, n_labels), default=None
            Their labels, all of which y has too.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, of which `class_weight` makes the same as of those of X.
        coef_init : list of n_layers - 1 arrays, default=None
            Initial weights, the i-th of shape (fan_in, fan_out) of layer i, in place of random ones.
        intercept_init : list of n_layers - 1 arrays, default=None
            Initial biases, the i-th of shape (fan_out,) of layer i, in place of random ones.

        Returns
        -------
        self : BackpropClassifier
            The fitted classifier itself.

        Raises
        ------
        ValueError
            If the input is not as described, or the objective is not finite within the first epoch. The estimator is
            then as it was before the call.

        Warns
        -----
        ConvergenceWarning
            If `max_iter`, `max_fun` or `max_time` is reached, training diverges after its first epoch, or is interrupted.
        NothingLearnedWarning
            If the network is no better than a constant prediction.
        UnusedParameterWarning
            For each parameter at other than its default that has no effect with the solver, or with others.
        UserWarning
            If y looks one-hot, X_val lies on another scale than X, or light sample weights let the penalty rule.
        """
        with one_fit(self):
            given = (X_val, y_val, sample_weight_val)
            return self._fit(X, y, sample_weight, validation_data=given, initial=(coef_init, intercept_init))

    @available_if(lambda self: self._check_stochastic())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch on the given data, going on from the weights and the update rule's state so far.

        The random generator goes on from call to call, and so does the schedule of the learning rate: the epochs of all
        calls together make up `max_iter`. `early_stopping` and `max_time` do not concern this method.

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
            The fitted classifier itself.

        Raises
        ------
        ValueError
            If the input is not as described, has classes not named in the first call, or the objective is not finite in
            the first epoch. The estimator is then as it was before the call.
        """
        with one_fit(self):
            self._check_third_argument(sample_weight, classes)
            if classes is not None:
                targets.check_labels(classes, "classes")
            if _check_partial_fit_first_call(self, classes):
                targets.check_labels(y)
                multilabel = targets.target_type(y).startswith("multilabel")
                self._label_binarizer = targets.fit_binarizer(y if multilabel else classes)
                if not np.array_equal(self.classes_, self._label_binarizer.classes_):
                    raise ValueError(
                        f"classes={classes!r} does not fit the multilabel y, whose classes are its columns' numbers, "
                        f"{self._label_binarizer.classes_.tolist()}."
                    )
            return self._fit(X, y, sample_weight, incremental=True)

    def objective(self, X, y, sample_weight=None):
        """F on given data as a function of the parameters, to study or to hand to any optimiser.

        Works before and after `fit`, and leaves the classifier as it is. `class_weight`, `dtype`, `hessian` and all that
        makes up the network count; what makes up a solver, and `early_stopping`, does not.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            The target; of a fitted classifier, with labels that it knows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, as for `fit`.

        Returns
        -------
        objective : ObjectiveFunction
            With ``theta0``, the fitted parameters or, before `fit`, random ones as `fit` would draw; ``value(theta)``,
            ``gradient(theta)``, ``value_and_gradient(theta)``; ``hessp(theta, v)`` and ``hessian_operator(theta)`` for
            products with the Hessian (or Gauss-Newton matrix, if `hessian` says so); ``with_theta(theta)``, a fitted
            classifier. Every theta is one float64 vector: the weights layer by layer, each (fan_in, fan_out) in C order,
            and then the biases.

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
        self._validate_params()
        clf = copy.copy(self)
        clf.random_state = copy.deepcopy(self.random_state)
        clf._random_state = check_random_state(clf.random_state)
        resume = hasattr(self, "coefs_")
        with np.errstate(all="ignore"):
            rows = clf._labelled_rows(X, y, sample_weight, resume, same_labels=False)
            params = clf._starting_parameters(rows, resume)
        objective = clf._objective_on(rows, params)
        return objective.as_function("exact" if self.hessian == "auto" else self.hessian, clf._classifier_at)

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
            Class labels, sorted, in the order of the output units; 0, 1, ... if `multilabel`. Two classes may share a
            single logistic unit, which gives the probability of the second.
        activation : str, Activation or list of them, default="relu"
            Activation of the hidden layers, or of each.
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
        try:
            coefs = [check_array(w, dtype=dtype, copy=True, input_name="coefs") for w in coefs]
        except (TypeError, ValueError) as error:
            raise ValueError(f"coefs must be a list of matrices, one for each layer of weights: {error}") from error
        if not coefs:
            raise ValueError("coefs is empty: give the weights of at least one layer.")
        units = [coefs[0].shape[0], *(w.shape[1] for w in coefs)]
        params = Parameters(units, np.dtype(dtype))
        params.set(
            recipe.check_layers(coefs, params.weights, "coefs"),
            recipe.check_layers(intercepts, params.biases, "intercepts"),
        )
        classes = np.asarray(classes)
        if classes.ndim != 1:
            raise ValueError(f"classes must be a list of class labels; got {classes!r}.")
        n_outputs, n_classes = units[-1], len(classes)
        if multilabel and n_outputs < 2:
            raise ValueError("A multilabel target has at least two labels: for one, leave multilabel=False.")
        if out_activation == "auto":
            out_activation = "logistic" if n_outputs == 1 or multilabel else "softmax"
        if n_outputs != n_classes and not (out_activation == "logistic" and (n_outputs, n_classes) == (1, 2)):
            raise ValueError(
                f"{n_classes} classes need {n_classes} output units, or a single logistic one if there are two; the last "
                f"of coefs has {n_outputs} columns."
            )
        if not np.array_equal(np.unique(classes), classes):
            raise ValueError(f"classes must be sorted, each named once, as in `classes_`; got {classes!r}.")
        if multilabel and not np.array_equal(classes, np.arange(n_outputs)):
            raise ValueError(f"The classes of a multilabel target are its columns' numbers, {[*range(n_outputs)]}.")
        binarizer = targets.fit_binarizer(np.eye(n_outputs, dtype=int) if multilabel else classes)
        targets.output_layer(out_activation, binarizer)
        natural = (out_activation, n_outputs) == targets.output_layer("auto", binarizer)
        clf = cls(
            hidden_layer_sizes=tuple(units[1:-1]),
            activation=activation,
            out_activation="auto" if natural else out_activation,
        )
        clf._validate_params()
        recipe.activation_records(activation, len(units) - 2)
        clf._label_binarizer, clf.classes_ = binarizer, binarizer.classes_
        clf.n_features_in_, clf.n_outputs_, clf.out_activation_ = units[0], n_outputs, out_activation
        return clf._classifier_at(params)

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
        return self._predicted(lambda rows: targets.decode(self._logits(rows), self._label_binarizer), X)

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
        return self._predicted(lambda rows: self._by_class(targets.decision, rows), X)

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
        return self._predicted(lambda rows: self._by_class(targets.class_proba, rows), X)

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
        return self._predicted(lambda rows: self._by_class(targets.class_log_proba, rows), X)

    def hidden_features(self, X, layer=-1):
        """The activations of a hidden layer: the features that the network has made of its input.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        with np.errstate(all="ignore"):
            X = self._checked_rows(X)
            end = self._hidden_layer(layer) + 1
            activations = self._activations()
            below = self.coefs_[:end], self.intercepts_[:end], activations[: end - 1]
            z = predict_logits(*below, X, to_scale=False)
            features = activations[end - 1].function(z, out=z)
        if np.isnan(features).any():
            raise ValueError("The activation gives nan for a finite number.")
        limit = np.finfo(features.dtype).max
        return features.clip(-limit, limit, out=features)

    def as_transformer(self, layer=-1):
        """A fitted scikit-learn transformer to the activations of a hidden layer.

        Parameters
        ----------
        layer : int, default=-1
            Which hidden layer: 0 is the first, -1 the last.

        Returns
        -------
        transformer : HiddenFeatures
            It keeps the weights of now, whatever is made of this classifier later, and `fit` does not change it: as a step
            of a pipeline it brings what this network has learnt to another task.

        Raises
        ------
        ValueError
            If there is no such hidden layer.
        """
        check_is_fitted(self)
        frozen = FrozenEstimator(copy.copy(self))
        return HiddenFeatures(frozen, layer)._of(frozen)

    def __getstate__(self):
        # What only further training needs is left behind, the larger part of a fitted classifier, unless that is to come.
        state = dict(super().__getstate__())
        # Further training makes them longer in place, which is not to show in a copy.
        state.update({name: list(state[name]) for name in CURVES if isinstance(state.get(name), list)})
        training_state = state.get("_training_state", {})
        # SciPy's methods have no state, and nothing goes on from them but a warm start.
        ended = training_state or not is_stochastic(self.solver)
        if ended and not (np.any(self.warm_start) or training_state.get("incremental")):
            if training_state:
                state["_training_state"] = {}
            for name in ("_random_state", "_split_state"):
                state.pop(name, None)
        return state

    def _check_stochastic(self):
        if not is_stochastic(self.solver):
            raise AttributeError(
                f"partial_fit is only available for stochastic solvers; {self.solver!r} is not stochastic."
            )
        return True

    def _by_class(self, of_logits, rows):
        """What a function of _targets makes of the logits of rows."""
        return of_logits(self._logits(rows), self.out_activation_, self._label_binarizer)

    def _logits(self, rows):
        """The logits of rows that are validated, (n_samples, n_outputs), in their type."""
        return predict_logits(self.coefs_, self.intercepts_, self._activations(), rows)

    def _activations(self):
        return recipe.activation_records(self.activation, len(self.coefs_) - 1)

    def _hidden_layer(self, layer):
        """The number of a hidden layer, counted from 0."""
        n_hidden = len(self.coefs_) - 1
        if not (isinstance(layer, Integral) and -n_hidden <= int(layer) < n_hidden):
            raise ValueError(
                f"layer={layer!r} is none of the {n_hidden} hidden layers: they are 0, the first, to {n_hidden - 1}, or -1, "
                f"the last, to {-n_hidden}."
                if n_hidden
                else f"layer={layer!r}: the network has no hidden layer, since hidden_layer_sizes=()."
            )
        return int(layer) % n_hidden

    def _fit(self, X, y, sample_weight, *, validation_data=(None, None, None), initial=(None, None), incremental=False):
        """Validate, train, publish: `fit`, and one epoch of it for `partial_fit`."""
        resume = hasattr(self, "coefs_") and (incremental or self.warm_start)
        if not (incremental and resume):
            recipe.warn_of_unused_parameters(self, self.early_stopping, validation_data[0] is not None)
        if not (incremental and hasattr(self, "_random_state")):
            self._random_state = check_random_state(self.random_state)
        rows = self._labelled_rows(X, y, sample_weight, resume, same_labels=not incremental, incremental=incremental)
        too_strong = diagnosis.penalty_warning(self.alpha, rows, recipe.batch_rows(self, rows.X.shape[0]))
        if too_strong:
            note(too_strong)
        params = self._starting_parameters(rows, resume, *initial)
        if not resume:
            self._start_history()
        train = validate = None
        if not incremental:
            rows, validate, train = self._set_aside(rows, validation_data, resume)
        callbacks = self._epoch_callbacks(
            (X, y, sample_weight),
            self._results,
            1 if incremental else self._most_iterations(),
            train,
            "partial_fit" if incremental else "fit",
        )
        outcome = self._train(rows, params, validate, callbacks, resume=resume, incremental=incremental)
        if outcome.warning and not (incremental and outcome.status == "max_iter"):
            note(outcome.warning, ConvergenceWarning)
        if not (incremental or outcome.status == "interrupted"):
            try:
                self._warn_if_nothing_learned(rows, params, validate)
            except KeyboardInterrupt:
                note("Interrupted by user after training, which is complete.", ConvergenceWarning)
        return self

    def _warn_if_nothing_learned(self, rows, params, validate):
        """Compare the fitted network with a constant prediction."""
        batch_rows = recipe.batch_rows(self, rows.X.shape[0])
        figures = diagnosis.has_learned(self._objective_on(rows, params), rows, self._loss(), self.n_outputs_)
        if figures is not None:
            mean, constant = figures
            note(
                f"Nothing was learned: the mean loss on the training rows is {mean:.4g}, and predicting the class "
                f"frequencies gives {constant:.4g}. " + diagnosis.remedies(self, rows, batch_rows, mean, constant),
                NothingLearnedWarning,
            )
        elif validate is not None and self.early_stopping:
            constant = diagnosis.constant_score(validate, rows.y)
            if constant is not None and not self.best_validation_score_ > constant:
                note(
                    f"Nothing was learned by the validation score: the best one is {self.best_validation_score_:.4g}, and a "
                    f"constant prediction has {constant:.4g}. " + diagnosis.remedies(self, rows, batch_rows, 0.0),
                    NothingLearnedWarning,
                )

    def _check_third_argument(self, sample_weight, classes):
        """In other classifiers the third argument of partial_fit is classes."""
        if sample_weight is None or classes is not None:
            return
        meant = "The third argument of partial_fit is sample_weight. If you meant classes, write classes=... ."
        if not hasattr(self, "classes_"):
            raise ValueError(f"classes must be passed on the first call to partial_fit. {meant}")
        weight = np.asarray(sample_weight)
        if weight.shape == self.classes_.shape and (weight.astype(object) == self.classes_.astype(object)).all():
            raise ValueError(f"sample_weight={weight.tolist()} equals classes_. {meant}")

    def _train(self, rows, params, validate=None, callbacks=None, *, resume=False, incremental=False):
        """Train from these parameters and publish the results."""
        dropout = recipe.make_dropout(self, len(params.weights) - 1, [self._random_state])
        objective = self._objective_on(rows, params, dropout)
        solver = recipe.make_solver(self, objective.n_rows, [self._random_state])
        max_iter = 1 if incremental else self._most_iterations()
        monitor = Monitor(
            self.tol,
            self.n_iter_no_change,
            self.verbose,
            validate,
            early_stopping=self.early_stopping and validate is not None,
            max_time=None if incremental else self.max_time,
            callbacks=callbacks,
            score_is_loss=self.scoring == "loss",
        )
        if incremental:
            self._go_on(solver, monitor, dropout, params.vector.dtype)
        monitor.start(params, trained=resume)
        # Overflow is found by looking at the objective of every step, and reported once.
        by_scipy = self.solver not in UPDATES
        n_rows = objective.rows_at_once if by_scipy else min(solver.batch_size, objective.rows_at_once)
        try:
            with blas_threads(params.units, n_rows, issparse(rows.X), by_scipy):
                outcome = solver.run(objective, monitor, max_iter)
        except SolverError as error:
            raise NothingTrainedError(f"{error} {diagnosis.after_an_error(rows)}") from error.__cause__
        if outcome.status == "interrupted" and not resume and monitor.is_at_start(params):
            raise KeyboardInterrupt
        if outcome.status == "diverged" and not (resume or monitor.n_iter):
            raise NothingTrainedError(diagnosis.diverged_at_once(self, rows, recipe.batch_rows(self, rows.X.shape[0])))
        if outcome.wants_advice:
            outcome.warning += diagnosis.advice(self, rows, outcome.status == "diverged")
        self._publish(self._results(params, monitor, extend=True))
        self._publish_end(outcome, solver, monitor, dropout, incremental)
        monitor.finish()
        return outcome

    def _starting_parameters(self, rows, resume, coef_init=None, intercept_init=None):
        """Parameters drawn at random or as a former call left them, with what the caller gives in their place."""
        hidden = recipe.hidden_units(self.hidden_layer_sizes)
        activations = recipe.activation_records(self.activation, len(hidden))
        units, dtype = recipe.checked_units([rows.X.shape[1], *hidden, self.n_outputs_], rows.X.dtype), rows.X.dtype
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
            params = Parameters(units, dtype)
            params.draw(recipe.initial_scales(self.activation, activations), self._random_state)
        recipe.set_given(params, coef_init, intercept_init)
        return params

    def _set_aside(self, rows, validation_data, resume):
        """The rows to train on, what to validate with, and the indices of the former if some are held out."""
        X_val, y_val, sample_weight_val = validation_data
        train = None
        if X_val is not None or y_val is not None:
            held_out = self._own_validation_rows(X_val, y_val, sample_weight_val, rows.X.dtype)
            far = far_columns(rows.X, held_out.X)
            if len(far):
                note(
                    f"X_val lies on another scale than X in {len(far)} of {rows.X.shape[1]} columns, such as column "
                    f"{far[0]}. A pipeline transforms it like X if it is made with transform_input=['X_val']."
                )
        elif sample_weight_val is not None:
            raise ValueError(
                "sample_weight_val is given without X_val and y_val, whose rows it is to weigh: give them too."
            )
        elif self.early_stopping:
            train, held_out = self._hold_out(rows.codes, resume)
            rows, held_out = rows.take(train), rows.take(held_out)
            if rows.row_weight is not None and not rows.row_weight.any():
                raise ValueError(
                    "The weights of all rows left to train on are zero once early_stopping has held out some: give more "
                    "rows a positive weight, or lower validation_fraction."
                )
        else:
            return rows, None, None
        return rows, self._validation(held_out), train

    def _validation(self, rows):
        """The score and the loss on rows that are not trained on."""
        n_hidden = len(recipe.hidden_units(self.hidden_layer_sizes))
        return Validation(
            rows,
            targets.encode(rows.codes, self.out_activation_, self.n_outputs_),
            self._label_binarizer,
            recipe.activation_records(self.activation, n_hidden),
            LOSSES[self.out_activation_],
            self.scoring if self.scoring in (None, "loss") else check_scoring(self, scoring=self.scoring),
            self._nameless_classifier_at,
        )

    def _own_validation_rows(self, X_val, y_val, sample_weight_val, dtype):
        """The user's validation data as labelled rows."""
        if X_val is None or y_val is None:
            given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"{given} is given without {missing}: validation takes both.")
        X_val = self._checked_like_X(X_val, dtype)
        targets.check_labels(y_val, "y_val")
        try:
            y_val = check_array(y_val, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y_val")
        except (TypeError, ValueError) as error:
            raise ValueError(f"y_val must hold labels of the kind that y has: {error}") from error
        y_val = as_vector(y_val)
        if X_val.shape[0] != y_val.shape[0]:
            raise ValueError(f"X_val has {X_val.shape[0]} rows and y_val {y_val.shape[0]}: they must be as many.")
        targets.check_known_labels(y_val, self._label_binarizer, all_of_them=False, name="y_val")
        codes = targets.class_codes(y_val, self._label_binarizer)
        weight = checked_weight(sample_weight_val, X_val.shape[0], "sample_weight_val")
        return Rows(X_val, y_val, codes, *self._times_class_weight(weight, codes))

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

    def _hold_out(self, codes, resume):
        """Indices of the rows to train on and of those to validate on."""
        # A warm start goes on with the split it had: rows once trained on must not judge the weights.
        if resume and hasattr(self, "_split_state"):
            rng = np.random.RandomState()
            rng.set_state(self._split_state)
        else:
            rng = self._random_state
            self._split_state: tuple = rng.get_state()
        return split(codes, self._label_binarizer, self.validation_fraction, rng)

    def _go_on(self, solver, monitor, dropout, dtype):
        """Bring the parts into the state in which the last call left them."""
        state = self._training_state
        if state.get("solver") != self.solver:
            return
        # Copies: a failing call must leave the state as it was.
        solver.rule.state = {
            name: value.astype(dtype) if isinstance(value, np.ndarray) else value
            for name, value in state["rule"].items()
        }
        solver.progress.stalls, solver.progress.epochs = state["stalls"], state["epochs"]
        monitor.go_on(state["no_improvement_count"], state["best_loss"])
        if dropout is not None and state["dropout"]:
            dropout.state = state["dropout"]
        solver.advance(0.0, 0.0)
        if solver.learning_rate == 0.0 and solver.progress.epochs >= solver.horizon:
            note(
                f"learning_rate={self.learning_rate!r} has come to 0 after max_iter={self.max_iter} epochs, those of all "
                "calls together: this call learns nothing. Raise max_iter, or use a schedule that does not end."
            )

    def _start_history(self):
        self._publish(
            {
                "n_iter_": 0,
                "t_": 0,
                "optimize_result_": None,
                "loss_": np.inf,
                "best_loss_": np.inf,
                "best_iter_": 0,
                "loss_curve_": [],
                "learning_rate_curve_": None,
                "validation_scores_": None,
                "validation_loss_curve_": None,
                "best_validation_score_": None,
                "_training_state": {},
            }
        )

    def _classifier_at(self, params):
        """A fitted classifier with these parameters and no history."""
        fitted = copy.copy(self)
        if hasattr(fitted, "_random_state"):
            fitted._random_state = copy.deepcopy(fitted._random_state)
        fitted._start_history()
        fitted._publish(_layers(params))
        return fitted

    def _nameless_classifier_at(self, params):
        """The same for rows that have been validated, which have no feature names any more."""
        fitted = self._classifier_at(params)
        if hasattr(fitted, "feature_names_in_"):
            del fitted.feature_names_in_
        return fitted

    def _results(self, params, monitor, extend=False):
        """The fitted attributes after the epochs that the monitor has seen.

        With `extend` the curves so far are made longer in place: a call of `partial_fit` must not cost more than the one
        before it.
        """
        before = len(self.loss_curve_)
        losses = monitor.loss_curve
        new = {"loss_curve_": losses}
        if self.solver in UPDATES:
            new["learning_rate_curve_"] = monitor.learning_rate_curve
        if monitor.validates:
            new["validation_scores_"] = monitor.validation_scores
            new["validation_loss_curve_"] = monitor.validation_loss_curve
        best_iter = before + monitor.n_iter
        if monitor.early_stopping:
            best_iter = before + monitor.best_iter if monitor.best_iter else self.best_iter_
        results = {
            **_layers(params),
            "n_iter_": monitor.n_iter,
            "t_": self.t_ if monitor.samples_seen is None else monitor.samples_seen,
            "loss_": losses[-1] if losses else np.nan,
            "best_iter_": best_iter,
            "best_loss_": None if monitor.early_stopping else min([self._least_loss(), *losses]),
            "best_validation_score_": monitor.best_validation_score if monitor.validates else None,
        }
        for name in CURVES:
            results[name] = self._longer_curve(name, new[name], before, extend) if name in new else None
        return results

    def _least_loss(self):
        """The least loss of the calls that this one continues."""
        return min(self.loss_curve_, default=np.inf) if self.best_loss_ is None else self.best_loss_

    def _longer_curve(self, name, new, before, extend):
        """A curve of the calls that this one continues, nan where they had none, and of this one."""
        curve = getattr(self, name)
        if curve is None:
            return [np.nan] * before + new
        if not extend:
            return curve + new
        curve.extend(new)
        return curve

    def _publish_end(self, outcome, solver, monitor, dropout, incremental):
        """What is known only when training has ended."""
        self.loss_, self.optimize_result_ = outcome.loss, outcome.optimize_result
        if not monitor.early_stopping:
            self.best_loss_: Any = min(self.best_loss_, outcome.loss)
        self._training_state = {}
        if isinstance(solver, MiniBatchSolver):
            self._training_state = {
                "solver": self.solver,
                "incremental": incremental,
                # The moments of a step that diverged are no start for another.
                "rule": {} if outcome.status == "diverged" else solver.rule.state,
                "stalls": solver.progress.stalls,
                "epochs": solver.progress.epochs,
                "no_improvement_count": monitor.no_improvement_count,
                "best_loss": monitor.best_loss,
                "dropout": [] if dropout is None else dropout.state,
            }


def _layers(params):
    coefs, intercepts = params.copies()
    return {"coefs_": coefs, "intercepts_": intercepts, "n_layers_": len(params.units)}
