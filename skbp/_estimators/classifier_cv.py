"""BackpropClassifierCV: a few small networks, each judged on rows that it did not see, calibrated and averaged.

`fit` splits the rows into folds. Every member trains on all folds but one and keeps the weights of the epoch that was best
on that one. With a stochastic solver the members train side by side, as one stack: the arrays of a single network with a
leading axis. What the members say of their own folds is an honest prediction for every row: on it a temperature is set
that makes the probabilities neither too sure nor too timid, and from it the error on new rows is estimated.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping

from skbp._data import targets
from skbp._data.validation import FoldValidation, checked_splits, dealt_out
from skbp._data.weights import checked_weight, of_mean_one, shares
from skbp._estimators.calibration import OutOfFold, row_chunks
from skbp._estimators.classifier import BackpropClassifier, NothingTrainedError
from skbp._estimators.network import NetworkEstimator, one_fit
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._network.predict import CHUNK_ROWS, shrunk
from skbp._notices import NothingLearnedWarning, note
from skbp._training import diagnosis, recipe
from skbp._training.monitor import StackMonitor
from skbp._training.solvers import parameters_of
from skbp._training.threads import blas_threads
from skbp._training.updates import UPDATES

# More rows than this are many: then larger batches at a higher learning rate save time at no loss.
MANY_ROWS = 5_000
# Rows in a batch and learning rate for few and for many rows.
FEW_ROWS_SETTING = (64, 0.01)
MANY_ROWS_SETTING = (256, 0.02)
DROPOUT = 0.15

# The folds are looked at once in this many steps, since on tiny data that would take longer than training.
STEPS_BETWEEN_VALIDATIONS = 8

# As many folds as scikit-learn makes where cv is None.
DEFAULT_FOLDS = 5

# Where the smallest of the sets to train on has less than this share of the rows of the largest, that is worth a warning.
EVEN_SPLITS = 0.5


class BackpropClassifierCV(NetworkEstimator):
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

        def labels(rows):
            binarizer = self._label_binarizer
            codes = targets.codes_by_proba(self._mean_proba(rows), targets.is_multilabel(binarizer))
            return binarizer.inverse_transform(codes) if codes.ndim == 2 else binarizer.classes_[codes]

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

        def decision(rows):
            z = self._member_logits(rows).astype(np.float64)
            proba = self._decision(lambda sign: self._linked(sign * z, self.temperature_).mean(axis=0))
            return proba.astype(rows.dtype)

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
        with np.errstate(all="ignore"):
            return self._linked(self._member_logits(self._checked_rows(X)), self.temperature_)

    def _mean_proba(self, rows):
        """The mean of the members' probabilities of rows that are validated."""
        return self._linked(self._member_logits(rows), self.temperature_).mean(axis=0)

    def _member_logits(self, rows):
        """The logits of each member."""
        return np.stack([member._logits(rows) for member in self.members_])

    def _decision(self, mean_proba):
        """The decision function of mean probabilities, which are asked for by the sign that their logits are to have.

        The probability that a label is absent is that of the logits with their sign changed: as a difference from 1 it would
        round to 0, and labels that are almost certain would tie.
        """
        if targets.is_multilabel(self._label_binarizer):
            return np.log(mean_proba(1.0)) - np.log(mean_proba(-1.0))
        return targets.decision_of_proba(mean_proba(1.0), self._label_binarizer)

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

    def _linked(self, logits, temperature):
        """Class probabilities of logits of any leading axes."""
        rows = (logits / temperature).reshape(-1, logits.shape[-1])
        if not np.isfinite(rows).all():
            rows = shrunk(logits.reshape(rows.shape)) / temperature
        proba = targets.class_proba(rows, self.out_activation_, self._label_binarizer)
        return proba.reshape(*logits.shape[:-1], -1)

    def _fit(self, X, y, sample_weight, groups):
        """Validate, split, train, publish, calibrate."""
        deadline = math.inf if self.max_time is None else time.perf_counter() + self.max_time
        recipe.warn_of_unused_parameters(self, early_stopping=True, own_validation_data=True)
        rng = check_random_state(self.random_state)
        rows = self._labelled_rows(X, y, sample_weight, resume=False)
        if rows.row_weight is not None:
            rows = replace(rows, row_weight=of_mean_one(rows.row_weight), weight_exponent=0)
        splits = self._splits(rows, groups, rng)
        members = self._new_members(rows, splits, rng)
        train_sets, folds = zip(*splits, strict=True)
        sizes = [len(train) for train in train_sets]
        uneven = min(sizes) < EVEN_SPLITS * max(sizes)
        if self.solver in UPDATES and uneven and max(sizes) - min(sizes) > members[0].batch_size:
            note(
                f"cv makes splits with {min(sizes)} to {max(sizes)} rows to train on. Members that train side by side take "
                "as many steps as the smallest allows, and leave out rows in each epoch: make the splits more even."
            )
        self.temperature_ = 1.0  # for callbacks, who see a fitted classifier after every epoch
        train = self._train_stack if self.solver in UPDATES else self._train_in_turn
        trained, warning, interrupted, finish = train(members, rows, train_sets, folds, (X, y, sample_weight))
        if len(trained) < len(members):
            warning = (
                f"Only {len(trained)} of {len(members)} members have been trained: {len(members) - len(trained)} of "
                f"{len(members)} members are left out, which were not reached or never finite. {warning}"
            )
        self._publish(_ensemble(list(trained.values())))
        self._calibrate(rows, [folds[i] for i in trained] if folds[0] is not None else [], sample_weight, deadline)
        finish()
        if warning:
            note(warning, ConvergenceWarning)
        if not interrupted:
            try:
                self._warn_if_nothing_learned(rows)
            except KeyboardInterrupt:
                note("Interrupted by user after training, which is complete.", ConvergenceWarning)
        return self

    def _splits(self, rows, groups, rng):
        """For each member the rows to train on and those of its fold, or None for the latter."""
        seed, labels = rng.randint(np.iinfo(np.int32).max), rows.codes
        if groups is not None:
            groups = _checked_groups(groups, len(labels))
        if not isinstance(self.cv, Integral | None):
            # Not by check_cv, which unpacks the pairs of an iterable unseen.
            has_split = hasattr(self.cv, "split")
            splits = list(check_cv(self.cv).split(rows.X, labels, groups) if has_split else self.cv)
            if not splits:
                raise ValueError(
                    f"cv={self.cv!r} makes no split. If it is an iterator, it is used up after one fit: give a list of its "
                    "pairs, or a splitter."
                )
        else:
            n_folds = self._n_folds(labels, groups)
            if n_folds < 2:
                weighs = np.ones(len(labels)) if rows.row_weight is None else rows.row_weight
                return [(np.flatnonzero(weighs > 0.0), None)]
            splits = self._folds(rows.X, labels, groups, n_folds, seed)
        return checked_splits(splits, len(labels), rows.row_weight)

    def _folds(self, X, labels, groups, n_folds, seed):
        """Shuffled folds, stratified by class. A class with fewer rows than folds is dealt out among them."""
        if labels.ndim == 2 and groups is None:
            return list(KFold(n_folds, shuffle=True, random_state=seed).split(X))
        if labels.ndim == 2:
            labels = labels[:, 0]  # the only splitter that knows groups and shuffles stratifies by one label
        counts = np.bincount(labels)
        rare = (counts > 0) & (counts < n_folds)
        # scikit-learn's splitters warn of such a class, and a filter for that would be one of the whole process.
        if groups is not None:
            labels = np.where(rare[labels], counts.argmax(), labels)
            return list(StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(X, labels, groups))
        if rare.any():
            return dealt_out(labels, n_folds, np.random.RandomState(seed))
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(X, labels))

    def _n_folds(self, labels, groups):
        """As many folds as are asked for, or as the rows can be dealt out to."""
        limits = {"there are rows": len(labels)}
        if labels.ndim == 1:
            limits = {"any class has rows": int(np.bincount(labels).max())}
        if groups is not None:
            limits["there are groups"] = len(np.unique(groups))
        limit = min(limits, key=lambda name: limits[name])
        wanted = DEFAULT_FOLDS if self.cv is None else int(self.cv)
        n_folds = min(wanted, limits[limit])
        if n_folds < wanted:
            there_are = n_folds if n_folds > 1 else "none, and one member, which is not calibrated"
            note(f"cv={wanted} folds are more than {limit}, {limits[limit]}: there are {there_are}.")
        return n_folds

    def _new_members(self, rows, splits, rng):
        """Networks to be trained, one for each split, with the parameters that this estimator's amount to."""
        n_hidden = len(recipe.hidden_units(self.hidden_layer_sizes))
        if not isinstance(self.dropout, str):
            recipe.dropout_rates(self.dropout, n_hidden)  # refused also where the solver makes no use of it
        n_rows = min(len(train) for train, _ in splits)
        batch_rows, learning_rate_init = FEW_ROWS_SETTING if len(rows.codes) <= MANY_ROWS else MANY_ROWS_SETTING
        auto = {
            "batch_size": math.ceil(n_rows / math.ceil(n_rows / batch_rows)),
            "learning_rate_init": learning_rate_init,
            "dropout": DROPOUT if self.solver in UPDATES and n_hidden else 0.0,
        }
        unused = recipe.OF_SOME_SOLVERS - parameters_of(self.solver) - {"n_iter_no_change"}
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in unused | {"cv"}}
        params |= {name: value for name, value in auto.items() if isinstance(params.get(name), str)}
        if splits[0][1] is not None:
            params |= {"early_stopping": True, "scoring": "loss"}
        members = []
        for _ in splits:
            member = BackpropClassifier(**params | {"random_state": int(rng.randint(np.iinfo(np.int32).max))})
            member._random_state = check_random_state(member.random_state)
            for name in (*_OF_DATA, *(["feature_names_in_"] if hasattr(self, "feature_names_in_") else [])):
                setattr(member, name, getattr(self, name))
            member._start_history()
            members.append(member)
        return members

    def _train_stack(self, members, rows, train_sets, folds, data):
        """Train all members side by side.

        Returns
        -------
        members : dict of int to BackpropClassifier
            Those that have been trained, by their numbers: a member that was never finite on its fold is left out.
        warning : str
            What the user should know of it, or nothing.
        interrupted : bool
            Whether the user ended it.
        finish : callable () -> None
            To be called when all is published.
        """
        rngs = [member._random_state for member in members]
        drawn = [member._starting_parameters(rows, resume=False) for member in members]
        params = Parameters(drawn[0].units, rows.X.dtype, (len(members),))
        np.stack([network.vector for network in drawn], out=params.vector)
        n_hidden, n_rows = len(params.weights) - 1, min(map(len, train_sets))
        objective = self._objective_on(rows, params, recipe.make_dropout(members[0], n_hidden, rngs))
        solver = recipe.make_solver(members[0], n_rows, rngs)
        validate = None
        if folds[0] is not None:
            validate = FoldValidation(self._loss_on(rows, params), folds, rows.row_weight)

        def trained(params, monitor):
            networks = [copy.copy(member) for member in members]
            for i, network in enumerate(networks):
                network._publish(network._results(params.member(i), monitor.members[i]))
            return networks

        monitor = StackMonitor(
            len(members),
            max(1, math.ceil(STEPS_BETWEEN_VALIDATIONS * solver.batch_size / n_rows)),
            self.tol,
            self.n_iter_no_change,
            self.verbose,
            validate,
            early_stopping=validate is not None,
            max_iter=self.max_iter,
            max_time=self.max_time,
            callbacks=self._epoch_callbacks(data, lambda *now: _ensemble(trained(*now)), self.max_iter),
            score_is_loss=True,
        )
        monitor.start(params)
        with blas_threads(params.units, solver.batch_size, issparse(rows.X)):
            outcome = solver.run(objective, monitor, self.max_iter, list(train_sets))
        if outcome.status == "interrupted" and monitor.is_at_start(params):
            raise KeyboardInterrupt
        kept = {
            i: network
            for i, network in enumerate(trained(params, monitor))
            if _was_finite(network, monitor.diverged[i])
        }
        if not kept:
            raise NothingTrainedError(diagnosis.diverged_at_once(members[0], rows, solver.batch_size))
        warning = outcome.warning
        if outcome.status != "diverged" and monitor.diverged.any():
            warning = (
                f"{monitor.diverged.sum()} of {len(members)} members diverged and keep their best weights. {warning}"
            )
        if outcome.wants_advice or monitor.diverged.any():
            warning += diagnosis.advice(members[0], rows)
        return kept, warning, outcome.status == "interrupted", monitor.finish

    def _train_in_turn(self, members, rows, train_sets, folds, data):
        """Train one member after the other on all its rows at once; returns what `_train_stack` does."""
        started = time.perf_counter()
        done: dict[int, BackpropClassifier] = {}
        warned: list[str] = []
        n_tried, interrupted = 0, False
        callbacks = self._epoch_callbacks(data, None, len(members))
        for i, member in enumerate(members):
            of_member = None
            if callbacks is not None:

                def attributes_at(params, monitor, member=member):
                    network = copy.copy(member)
                    network._publish(network._results(params, monitor))
                    return _ensemble([*done.values(), network])

                of_member = callbacks.of_member(attributes_at, self._most_iterations())
            if self.max_time is not None:
                # Every member is to have its share: what is left is divided among those that are left.
                left = self.max_time - (time.perf_counter() - started)
                member.max_time = max(0.0, left) / (len(members) - i)
            n_tried += 1
            try:
                outcome = self._train_one(member, rows, train_sets[i], folds[i], of_member)
            except NothingTrainedError as error:
                if n_tried == len(members) and not done:
                    raise
                warned.append(str(error))
                continue
            except KeyboardInterrupt:
                if not done:
                    raise
                warned.append("Training interrupted by user.")
                interrupted = True
                break
            if _was_finite(member, outcome.status == "diverged"):
                done[i] = member
            if outcome.warning:
                warned.append(outcome.warning)
            interrupted = outcome.status == "interrupted"
            # A callback that ends one member's iterations leaves the others theirs, unless it ends the members too.
            if interrupted or (of_member is not None and of_member.stops):
                break
        if not done:
            raise NothingTrainedError(diagnosis.diverged_at_once(members[0], rows, len(train_sets[0])))
        warning = f"{len(warned)} of {len(members)} members: {warned[0]}" if warned else ""
        return done, warning, interrupted, callbacks.close if callbacks is not None else _nothing

    def _train_one(self, member, rows, train, fold, callbacks):
        """Train a member on its rows; how that ended."""
        params = member._starting_parameters(rows, resume=False)
        validate = None if fold is None else member._validation(rows.take(fold))
        outcome = member._train(rows.take(train), params, validate, callbacks)
        member.max_time = self.max_time
        return outcome

    def _loss_on(self, rows, params):
        """The loss alone, by the labels as they are."""
        activations = recipe.activation_records(self.activation, len(params.weights) - 1)
        target = targets.encode(rows.codes, self.out_activation_, self.n_outputs_)
        return Objective(params, activations, LOSSES[self.out_activation_], 0.0, rows.X, target)

    def _calibrate(self, rows, folds, sample_weight, deadline):
        """Set the temperature, and publish what the members predict for the rows that they did not see."""
        self.oof_indices_: Any = list(folds) or None
        self.oof_proba_: Any
        self._forget_estimates()
        if not folds:
            return
        try:
            self._estimate(rows, folds, sample_weight, deadline)
        except KeyboardInterrupt:
            self.temperature_ = 1.0
            self._forget_estimates()
            note(
                "Calibration interrupted by user: temperature_ is 1, and there are no out-of-fold estimates. The members "
                "are kept.",
                ConvergenceWarning,
            )

    def _forget_estimates(self):
        self.oof_decision_function_ = self.oof_proba_ = self.oof_log_loss_ = self.oof_score_ = None

    def _estimate(self, rows, folds, sample_weight, deadline):
        n_rows = len(rows.codes)
        logits = [self._fold_logits(m, rows.X, fold) for m, fold in zip(self.members_, folds, strict=True)]
        out_of_fold = OutOfFold(folds, logits, lambda z: self._linked(z, 1.0))
        if out_of_fold.saturates():
            note(
                "A member has logits beyond the largest number on its fold: temperature_ is 1. "
                + diagnosis.remedies(
                    self.members_[0], rows, recipe.batch_rows(self.members_[0], rows.X.shape[0]), np.inf
                ),
                ConvergenceWarning,
            )
        else:
            self.temperature_ = out_of_fold.temperature(rows.codes, rows.row_weight, deadline)
        self.oof_decision_function_ = self._mean_decision(out_of_fold, n_rows)
        self.oof_proba_ = out_of_fold.mean_proba(n_rows, 1.0 / self.temperature_)
        weight = checked_weight(sample_weight, n_rows, "sample_weight")
        self.oof_log_loss_, self.oof_score_ = self._judged(rows.codes, weight)

    def _fold_logits(self, member, X, fold):
        """A member's logits of the rows of its fold, in the type of X."""
        logits = np.zeros((len(fold), self.n_outputs_), X.dtype)
        for start in range(0, len(fold), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            logits[chunk] = member._logits(X[fold[chunk]])
        return logits

    def _mean_decision(self, out_of_fold, n_rows):
        """The decision function of the mean probabilities at temperature 1."""
        means = {1.0: out_of_fold.mean_proba(n_rows, 1.0)}
        if targets.is_multilabel(self._label_binarizer):
            means[-1.0] = out_of_fold.mean_proba(n_rows, -1.0)
        result = means[1.0]
        if len(self.classes_) <= 2 and len(means) == 1:
            result = np.zeros(n_rows)
        for chunk in row_chunks(n_rows, means[1.0].shape[1]):
            result[chunk] = self._decision(lambda sign, chunk=chunk: means[sign][chunk])
        return result

    def _covered(self):
        """The rows that are in a fold."""
        return np.unique(np.concatenate(self.oof_indices_))

    def _judged(self, codes, weight):
        """Log loss and accuracy of `oof_proba_`, weighted."""
        proba, covered = self.oof_proba_, self._covered()
        share = shares(weight, covered)
        log_loss = score = 0.0
        for chunk in row_chunks(len(covered), proba.shape[1]):
            predicted, truth = proba[covered[chunk]], codes[covered[chunk]]
            right = targets.codes_by_proba(predicted, truth.ndim == 2) == truth
            log_loss += float(targets.log_losses(predicted, truth) @ share[chunk])
            score += float((right.all(axis=1) if truth.ndim == 2 else right) @ share[chunk])
        return log_loss, min(score, 1.0)

    def _warn_if_nothing_learned(self, rows):
        """Compare the out-of-fold predictions with the class frequencies, by the weights of training."""
        if self.oof_proba_ is None:
            return
        covered = self._covered()
        kind, target = ("logistic", rows.codes.astype(bool)) if rows.codes.ndim == 2 else ("softmax", rows.codes)
        frequencies = targets.frequencies(target[covered], shares(rows.row_weight, covered), len(self.classes_))
        constant = LOSSES[kind].of_frequencies(frequencies)
        mean, _ = self._judged(rows.codes, rows.row_weight)
        if not diagnosis.is_below(mean, constant):
            note(
                f"Nothing was learned that holds for other rows: the out-of-fold log loss is {mean:.4g}, and predicting "
                f"the class frequencies gives {constant:.4g}. "
                + diagnosis.remedies(
                    self.members_[0], rows, recipe.batch_rows(self.members_[0], rows.X.shape[0]), mean, constant
                ),
                NothingLearnedWarning,
            )


# What a member has from the data, and thus from the estimator that it is a member of.
_OF_DATA = ("_label_binarizer", "_class_counts", "classes_", "n_features_in_", "n_outputs_", "out_activation_")


def _ensemble(members):
    """The fitted attributes that the members make up."""
    for member in members:
        vars(member).pop("_random_state", None)
    validates = members[0].validation_loss_curve_ is not None
    return {
        "members_": members,
        "best_iters_": np.array([member.best_iter_ for member in members]),
        "n_iter_": max(member.n_iter_ for member in members),
        "validation_loss_curves_": [m.validation_loss_curve_ for m in members] if validates else None,
    }


def _checked_groups(groups, n_rows):
    """Groups as an array of labels that can be sorted, one for each row."""
    try:
        groups = column_or_1d(groups)
        np.unique(groups)
    except (TypeError, ValueError) as error:
        raise ValueError(f"groups must have a label for each row: {error}") from error
    if groups.dtype.kind == "f" and np.isnan(groups).any():
        raise ValueError("groups has missing values: give each row a group.")
    if len(groups) != n_rows:
        raise ValueError(f"groups has {len(groups)} labels for {n_rows} rows.")
    return groups


def _was_finite(network, diverged):
    """Whether a network has been seen to be finite: in an epoch of training, and on its fold if it has one."""
    if diverged and not network.loss_curve_:
        return False
    return (
        network.best_validation_score_ is None or network.best_validation_score_ > -math.inf or not network.loss_curve_
    )


def _nothing():
    """Nothing is left to be done."""
