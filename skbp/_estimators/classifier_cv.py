"""BackpropClassifierCV: a few small networks that predict classes, calibrated and averaged."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping

from skbp._estimators.classes import Classes
from skbp._estimators.classifier import BackpropClassifier
from skbp._estimators.ensemble import Ensemble
from skbp._estimators.estimator import NetworkEstimator
from skbp._estimators.fitting import one_fit
from skbp._estimators.publishing import publish, start_history


class BackpropClassifierCV(Classes, Ensemble):
    r"""Networks on cross-validation folds, calibrated and averaged: strong without tuning.

    Each of `cv` members, networks like :class:`BackpropClassifier`, trains on all folds but one and keeps the weights of
    the epoch with the least log loss on that one. One temperature T minimises the log loss of what all members say of the
    rows that they did not see,

    .. math::

        T = \arg\min_T \sum_i s_i \, c(z_i / T, y_i)

    with the logits z_i of the member whose fold row i is in, its weight s_i and the loss c. A prediction is the mean of the
    members' probabilities,

    .. math::

        p(x) = \frac1M \sum_m \operatorname{link}(z_m(x) / T)

    With "adam" or "sgd" the members train side by side as one stack of arrays, which takes 3 to 4.5 times as long as one of
    them in the place of five; with SciPy's methods one after another.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        Number of units of each hidden layer of every member.
    activation : str, Activation or list of them, default="relu"
        As in :class:`BackpropClassifier`.
    cv : int, cross-validation generator, iterable or None, default=5
        How the rows are split. None is 5. An int is the number of folds, stratified by class and shuffled, or plain for a
        multilabel target; with `groups` no group is in two folds. A class with fewer rows than folds is dealt out among
        them. Where no class has as many rows, or there are fewer groups, there are fewer folds, at last a single member
        without one, with a warning. Else a splitter of scikit-learn, or an iterable of pairs (train, test) of indices or
        masks, which have no row in common: there is a member for each pair. As a stack all members take as many steps, as
        many as the rows of the smallest training set make: splits should be about even.
    solver : {"adam", "sgd", "lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov", "tnc"}, default="adam"
        As in :class:`BackpropClassifier`.
    alpha : float or list of float, default=0.0001
        As in :class:`BackpropClassifier`, for weights of rows whose mean is 1: their common factor does not count.
    batch_size : int or "auto", default="auto"
        Rows of each member in a mini-batch. "auto" is about 64, or 256 above 5,000 rows, so that all batches are nearly
        equal.
    learning_rate : str or callable, default="constant"
        As in :class:`BackpropClassifier`.
    learning_rate_init : float or "auto", default="auto"
        Initial learning rate. "auto" is 0.01, or 0.02 above 5,000 rows.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Epochs, or iterations of SciPy's methods, at the most.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new random order.
    random_state : int, RandomState instance or None, default=None
        Draws the folds, and for each member a seed of its own.
    tol : float, default=1e-4
        The least improvement of the log loss on a fold that counts for `n_iter_no_change`; the tolerance of SciPy's
        methods.
    verbose : bool or int, default=False
        As in :class:`BackpropClassifier`; the figures are means over the members, or with SciPy's methods each member's.
    momentum : float, default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    beta_1 : float, default=0.9
        Decay of "adam"'s running mean of the gradient.
    beta_2 : float, default=0.999
        Decay of that of its square.
    epsilon : float, default=1e-8
        Added by "adam" to the root of the second moment.
    n_iter_no_change : int or inf, default=10
        Training ends when the log losses of all members on their folds have not improved by `tol` for more than this many
        epochs. The best weights are kept in any case.
    max_fun : int, default=15000
        Evaluations of F by SciPy's methods.
    class_weight : dict, list of dict, "balanced" or None, default=None
        As in :class:`BackpropClassifier`. They count in training, on the folds and for the temperature.
    out_activation : {"auto", "softmax", "logistic"}, default="auto"
        As in :class:`BackpropClassifier`.
    max_time : float or None, default=None
        Seconds after which training ends, looked at after every epoch; with SciPy's methods each member has an equal share.
        The search of the temperature ends by then too. If no time is left for it, it goes over a sample.
    dropout : float, list of float or "auto", default="auto"
        As in :class:`BackpropClassifier`. "auto" is 0.15 with "adam" and "sgd", else 0.
    weight_decay : float, default=0.0
        As in :class:`BackpropClassifier`.
    label_smoothing : float, default=0.05
        As in :class:`BackpropClassifier`. It makes probabilities timid, which the temperature sets right.
    max_grad_norm : float or None, default=None
        As in :class:`BackpropClassifier`, for each member.
    warmup_fraction : float, default=0.0
        As in :class:`BackpropClassifier`.
    dtype : {"float32", "float64"} or None, default="float32"
        What training computes in; None is the type of the data.
    hessian : {"auto", "exact", "gauss-newton"}, default="auto"
        As in :class:`BackpropClassifier`.
    solver_options : dict or None, default=None
        As in :class:`BackpropClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for a multilabel target the labels' column numbers.
    members_ : list of BackpropClassifier
        The networks, fitted, each usable alone. A member that was never finite is left out, with a warning.
    temperature_ : float
        T; 1 without folds, where calibration was interrupted, or where logits are beyond the largest number.
    best_iters_ : ndarray of shape (n_members,)
        The epoch, counted from 1, whose weights a member keeps.
    validation_loss_curves_ : list of list of float, or None
        Each member's mean loss on its fold after each epoch, nan where it was not looked at; None without folds.
    oof_indices_ : list of ndarray, or None
        The rows of each member's fold, on which it did not train; None without folds. Where calibration was interrupted,
        the four attributes that follow are None.
    oof_decision_function_ : ndarray of shape (n_samples,) or (n_samples, n_classes), or None
        What `decision_function` gives for the training rows, of each only by the members that did not see it, at
        temperature 1. nan for rows in no fold.
    oof_proba_ : ndarray of shape (n_samples, n_classes), or None
        What `predict_proba` gives for the training rows, of each only by the members that did not see it, at the
        temperature T. nan for rows in no fold.
    oof_log_loss_ : float or None
        Log loss of `oof_proba_`, weighted by `sample_weight`. See Notes.
    oof_score_ : float or None
        Accuracy of `oof_proba_`, weighted by `sample_weight`. See Notes.
    n_iter_ : int
        Epochs of the member that took most.
    n_outputs_ : int
        Number of output units of each member.
    out_activation_ : {"softmax", "logistic"}
        The output activation in use.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had them and all are strings.

    See Also
    --------
    BackpropClassifier : One network.
    sklearn.calibration.CalibratedClassifierCV : Calibration of any classifier on folds.

    Notes
    -----
    The out-of-fold estimates are those of single members on rows that chose their epoch and the temperature: for a single
    member they are too good, on 26 public sets by 0.024 in log loss and 0.7 points of accuracy on average. What predicts is
    the mean of all members, for which they were too bad by 0.009 in log loss and about right in accuracy, but no bound. They
    are for comparing and for watching; a final figure wants rows that took no part.

    Features should be on similar scales, for example by :class:`~sklearn.preprocessing.StandardScaler`.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017,
           https://doi.org/10.48550/arXiv.1706.04599
    .. [2] Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty estimation using deep
           ensembles", NeurIPS 2017, https://doi.org/10.48550/arXiv.1612.01474
    .. [3] Müller, Kornblith and Hinton, "When does label smoothing help?", NeurIPS 2019,
           https://doi.org/10.48550/arXiv.1906.02629
    .. [4] Krogh and Vedelsby, "Neural network ensembles, cross validation, and active learning", NeurIPS 1994.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skbp import BackpropClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    >>> clf = make_pipeline(StandardScaler(), BackpropClassifierCV(random_state=0))
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    """

    # In `fit` the splitter is what asks for groups.
    __metadata_request__fit: ClassVar[dict] = {"groups": UNUSED}

    _parameter_constraints: ClassVar[dict] = {
        **NetworkEstimator._parameter_constraints,
        "cv": ["cv_object"],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "dropout": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left"), "array-like"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(64, 64),
        activation="relu",
        *,
        cv=5,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init="auto",
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        class_weight=None,
        out_activation="auto",
        max_time=None,
        dropout="auto",
        weight_decay=0.0,
        label_smoothing=0.05,
        max_grad_norm=None,
        warmup_fraction=0.0,
        dtype="float32",
        hessian="auto",
        solver_options=None,
    ):
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, groups=None):
        """Train the members on the folds, set the temperature, estimate the error.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type that scikit-learn takes, or the 0/1 indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero; None for ones. Their common factor does not count.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, for `cv`: rows of one group are in the same fold.

        Returns
        -------
        self : BackpropClassifierCV
            The fitted classifier itself.

        Raises
        ------
        ValueError
            If the input is not as described, or the objective is not finite within the first epoch. The estimator is
            then as it was before the call.

        Warns
        -----
        ConvergenceWarning
            If a limit is reached before training has converged, a member diverges, or training is interrupted.
        NothingLearnedWarning
            If the out-of-fold log loss is not below that of predicting the class frequencies.
        UnusedParameterWarning
            For each parameter at other than its default that has no effect.
        UserWarning
            If there are fewer folds than asked for, splits are uneven, or y looks one-hot.
        """
        with one_fit(self):
            return self._fit(X, y, sample_weight, groups)

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,), or of shape (n_samples, n_labels) if multilabel
            The most probable class of each row; for a multilabel target 1 where a label's probability exceeds 0.5.
        """

        def labels(logits):
            target = self._target
            return target.labels(target.codes_by_proba(self._mean_proba(logits)))

        return self._predicted(labels, X)

    def decision_function(self, X):
        """Log odds, or logarithms of the probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
            For two classes log(p / (1 - p)), p the mean probability of the second; for more log(p); for a multilabel
            target log(p / (1 - p)) of each label.
        """

        def decision(logits):
            z = logits.astype(np.float64)
            return self._target.decision_by_proba(lambda sign: self._mean_proba(sign * z)).astype(logits.dtype)

        return self._predicted(decision, X)

    def predict_proba(self, X):
        """Predict class probabilities, the mean over the members.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`. Rows sum to 1, except for a multilabel target, where each column is the
            probability of one label.
        """
        return self._predicted(self._mean_proba, X)

    def predict_log_proba(self, X):
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Of the means over the members that `predict_proba` gives.
        """
        proba = self.predict_proba(X)
        return np.log(proba, out=proba)

    def predict_proba_members(self, X):
        """Predict class probabilities by each member: their spread is a measure of doubt.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        proba : ndarray of shape (n_members, n_samples, n_classes)
            Their mean over the first axis is `predict_proba`.
        """
        return self._predicted(lambda logits: self._linked(logits, self.temperature_), X)

    def get_metadata_routing(self):
        """The metadata that `fit` takes: sample_weight for itself, what the splitter asks for, such as groups.

        Returns
        -------
        routing : MetadataRouter
            Who wants what.
        """
        splitter = StratifiedGroupKFold() if isinstance(self.cv, Integral | None) else self.cv
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        if hasattr(splitter, "get_metadata_routing"):
            router.add(splitter=splitter, method_mapping=MethodMapping().add(caller="fit", callee="split"))
        return router

    def _mean_proba(self, logits):
        """The mean of the members' probabilities."""
        return self._linked(logits, self.temperature_).mean(axis=0)

    def _member(self, params):
        member = BackpropClassifier(**params)
        of_data = ("_label_binarizer", "_class_counts", "classes_", "n_features_in_", "n_outputs_", "out_activation_")
        publish(member, {name: getattr(self, name) for name in of_data})
        if hasattr(self, "feature_names_in_"):
            member.feature_names_in_ = self.feature_names_in_
        start_history(member)
        return member
