"""A user's script with types. Type checkers accept it: `mypy tests/typing/user.py`, `pyright tests/typing/user.py`."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from skbp import Activation, BackpropClassifier, BackpropClassifierCV, HiddenFeatures
from skbp.inspection import check_gradient, hessian_extremes, trace

X: NDArray[np.float64] = np.random.default_rng(0).random((60, 4))
y: NDArray[np.int64] = np.arange(60) % 3


def square(z: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    return np.multiply(z, z, out=out)


def slope(z: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    return np.multiply(z, 2.0, out=out)


def warmup(progress: float) -> float:
    return 1.0 - progress


def score(estimator: Any, X: Any, y: Any) -> float:
    return float((estimator.predict(X) == y).mean())


clf = BackpropClassifier(
    hidden_layer_sizes=(8, 4),
    activation=["tanh", Activation(square, slope, needs_z=True)],
    solver="sgd",
    alpha=[0.1, 0.0, 0.2],
    batch_size="auto",
    learning_rate=warmup,
    early_stopping=True,
    scoring=score,
    class_weight={0: 1.0, 1: 2.0},
    dropout=[0.1, 0.0],
    dtype="float32",
    n_iter_no_change=np.inf,
    random_state=np.random.RandomState(0),
    max_iter=3,
)
assert_type(clf.fit(X, y, sample_weight=[1.0] * 60), BackpropClassifier)
assert_type(clf.partial_fit(csr_array(X), y.tolist()), BackpropClassifier)
assert_type(clf.coefs_, list[NDArray[Any]])
assert_type(clf.loss_curve_, list[float])
assert_type(clf.best_loss_, float | None)
assert_type(clf.n_iter_, int)
assert_type(clf.validation_scores_, list[float] | None)
assert_type(clf.classes_, NDArray[Any])
assert_type(clf.as_transformer(), HiddenFeatures)
print(clf.predict_proba(X).mean(axis=0), clf.predict(X).shape, clf.decision_function(X).max())
print(clf.predict_log_proba(X).min(), clf.hidden_features(X, layer=0).shape, clf.out_activation_)

objective = clf.objective(X, y)
value, gradient = objective.value_and_gradient(objective.theta0)
assert_type(value, float)
assert_type(gradient, NDArray[np.float64])
print(objective.hessp(objective.theta0, gradient) @ gradient, objective.with_theta(objective.theta0))

gate = BackpropClassifier.from_weights([[[20.0], [20.0]]], [[-30.0]], classes=[0, 1])
assert_type(gate, BackpropClassifier)

ensemble = BackpropClassifierCV(64, cv=3, max_iter=3, learning_rate_init="auto", dropout=0.2, solver_options=None)
assert_type(ensemble.fit(X, y, groups=np.arange(60) // 2), BackpropClassifierCV)
assert_type(ensemble.members_, list[BackpropClassifier])
assert_type(ensemble.temperature_, float)
assert_type(ensemble.oof_proba_, NDArray[np.float64] | None)
print(ensemble.members_[0].coefs_[0].shape, ensemble.predict_proba_members(X).shape, ensemble.best_iters_.max())

features = HiddenFeatures(BackpropClassifier(4, max_iter=3), layer=-1)
assert_type(features.fit(X, y), HiddenFeatures)
print(features.transform(X).shape)

print(check_gradient(clf, X, y).passed, hessian_extremes(gate, X[:, :2], y % 2).verdict, trace(gate, [0, 1], 0).loss)
