"""Small ensembles, and comparisons with networks trained alone, for the tests of BackpropClassifierCV."""

import math

import numpy as np
from numpy.testing import assert_allclose
from registries import UPDATES
from scipy.special import expit, softmax
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from skbp import BackpropClassifier, BackpropClassifierCV

SOLVER_KINDS = ["adam", "lbfgs"]
ROWS = np.arange(100)


def small(**params):
    """A small ensemble in float64 on columns as they are. Each member trains for all its epochs."""
    common = {"hidden_layer_sizes": (6,), "max_iter": 6, "random_state": 0, "dtype": "float64", "scale": False}
    common |= {"cv": 5, "n_repeats": 1, "activation": "relu"}
    if params.get("solver", "adam") in UPDATES:
        common |= {"batch_size": 8, "learning_rate_init": 0.03, "n_iter_no_change": np.inf}
    return BackpropClassifierCV(**{**common, **params})


def complement(fold, n=100):
    return np.setdiff1d(np.arange(n), fold)


def alone(member, X, y, train, fold, w=None, **params):
    """A network with the parameters of a member, trained alone on its rows."""
    clf = BackpropClassifier(**{**member.get_params(), **params})
    weights = {} if w is None else {"sample_weight": w[train], "sample_weight_val": w[fold]}
    if y.ndim == 1:
        # The ensemble's alpha is meant for weights with mean 1.
        w_or_1 = np.ones(len(y)) if w is None else w
        counts = {label: w_or_1[y == label].sum() for label in np.unique(y)}
        balanced = {label: w_or_1.sum() / (len(counts) * count) for label, count in counts.items()}
        total = w_or_1 * compute_sample_weight(
            balanced if member.class_weight == "balanced" else member.class_weight, y
        )
        clf.set_params(alpha=np.multiply(clf.alpha, total[total > 0.0].mean()).tolist())
    return clf.fit(X[train], y[train], X_val=X[fold], y_val=y[fold], **weights)


def assert_same_network(member, other, rtol=1e-8, atol=1e-10):
    for a, b in zip(member.coefs_ + member.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=rtol, atol=atol)


def assert_same_members(one, other, **tolerance):
    for a, b in zip(one.members_, other.members_, strict=True):
        assert_same_network(a, b, **tolerance)


def assert_same_history(member, other, rtol=1e-8):
    for curve in ("loss_curve_", "validation_loss_curve_", "validation_scores_", "learning_rate_curve_"):
        if getattr(other, curve) is None:
            assert getattr(member, curve) is None
        else:
            assert_allclose(getattr(member, curve), getattr(other, curve), rtol=rtol, atol=1e-12)
    for figure in ("loss_", "best_validation_score_"):
        assert_allclose(getattr(member, figure), getattr(other, figure), rtol=rtol)
    for name in ("best_iter_", "n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "best_loss_"):
        assert getattr(member, name) == getattr(other, name), name


def assert_usable(clf, X, y):
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.best_iters_.min() > 0
    for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
        of_fold = log_loss(y[fold], member.predict_proba(X[fold]), labels=range(len(clf.classes_)))
        assert_allclose(of_fold, np.nanmin(member.validation_loss_curve_), rtol=1e-8)
        assert np.nanargmin(member.validation_loss_curve_) + 1 == member.best_iter_


def assert_no_group_straddles(clf, groups):
    assert len(clf.oof_indices_) > 1
    for train, fold in splits_of(clf, len(groups)):
        assert set(groups[train]).isdisjoint(groups[fold])


def splits_of(clf, n=100):
    """Pairs of training rows and fold."""
    return [(complement(fold, n), fold) for fold in clf.oof_indices_]


def logits_of(member, X):
    """The logits of a member with one hidden layer of relu, computed by the formulas."""
    hidden = np.maximum(X @ member.coefs_[0] + member.intercepts_[0], 0.0)
    return hidden @ member.coefs_[1] + member.intercepts_[1]


def linked(z, temperature, clf):
    """Class probabilities of logits, computed by the formulas."""
    z = z / temperature
    if z.shape[1] == 1:
        return np.hstack([expit(-z), expit(z)])
    if clf.out_activation_ == "softmax":
        return softmax(z, axis=1)
    return expit(z) if is_multilabel(clf) else expit(z) / expit(z).sum(axis=1, keepdims=True)


def is_multilabel(clf):
    return clf.predict(np.zeros((1, clf.n_features_in_))).ndim == 2


def row_losses(proba, y):
    """The loss of every row. For a multilabel target it is the sum over the labels."""
    if y.ndim == 1:
        return -np.log(proba[np.arange(len(y)), y])
    return -np.log(np.where(y, proba, 1.0 - proba)).sum(axis=1)


def mean_loss(proba, y, w=None):
    """scikit-learn's log loss. For a multilabel target it is the sum over the labels."""
    if y.ndim == 1:
        return log_loss(y, proba, sample_weight=w)
    return sum(log_loss(y[:, k], proba[:, k], sample_weight=w, labels=[0, 1]) for k in range(y.shape[1]))


def standard_error(proba, y):
    return row_losses(proba, y).std() / math.sqrt(len(y))
