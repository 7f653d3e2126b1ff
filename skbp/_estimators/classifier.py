"""BackpropClassifier: one network that predicts classes."""

from __future__ import annotations

from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call

from skbp._data.labels import check_known_labels, check_labels, target_type
from skbp._data.targets import fit_binarizer
from skbp._estimators.classes import Classes
from skbp._estimators.estimator import NetworkEstimator
from skbp._estimators.fitting import one_fit
from skbp._estimators.given_weights import checked_network
from skbp._estimators.network import SingleNetwork
from skbp._estimators.publishing import fitted_at
from skbp._training.layers import activation_records
from skbp._training.updates import is_stochastic


class BackpropClassifier(Classes, SingleNetwork):
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
                check_labels(classes, "classes")
            if _check_partial_fit_first_call(self, classes):
                check_labels(y)
                multilabel = target_type(y).startswith("multilabel")
                self._label_binarizer = fit_binarizer(y if multilabel else classes)
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
        return self._objective(X, y, sample_weight)

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
        given = checked_network(coefs, intercepts, classes, out_activation, multilabel)
        units = given.params.units
        clf = cls(
            hidden_layer_sizes=tuple(units[1:-1]),
            activation=activation,
            out_activation="auto" if given.is_auto else given.out_activation,
        )
        clf._validate_params()
        activation_records(activation, len(units) - 2)
        clf._label_binarizer, clf.classes_ = given.binarizer, given.binarizer.classes_
        clf.n_features_in_, clf.n_outputs_, clf.out_activation_ = units[0], units[-1], given.out_activation
        return fitted_at(clf, given.params)

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
        return self._predicted(lambda logits: self._target.predict(logits), X)  # noqa: PLW0108, there is no target before the check

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
        return self._predicted(lambda logits: self._target.decision(logits), X)  # noqa: PLW0108, there is no target before the check

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
        return self._predicted(lambda logits: self._target.proba(logits), X)  # noqa: PLW0108, there is no target before the check

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
        return self._predicted(lambda logits: self._target.log_proba(logits), X)  # noqa: PLW0108, there is no target before the check

    def _checked_like_y(self, y_val, n_rows):
        check_labels(y_val, "y_val")
        y_val = super()._checked_like_y(y_val, n_rows)
        check_known_labels(y_val, self._label_binarizer, all_of_them=False, name="y_val")
        return y_val

    def _weights_of_validation(self, weight, codes):
        return self._times_class_weight(weight, codes)

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

    def _check_stochastic(self):
        if not is_stochastic(self.solver):
            raise AttributeError(
                f"partial_fit is only available for stochastic solvers; {self.solver!r} is not stochastic."
            )
        return True
