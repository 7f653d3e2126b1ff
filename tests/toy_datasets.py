"""The data sets that tests share."""

import numpy as np
from sklearn.datasets import make_classification, make_multilabel_classification

TARGETS = ["binary", "multiclass", "multilabel"]
# For each target the values of out_activation that it allows.
OUTPUTS = [
    ("binary", "auto"),
    ("binary", "softmax"),
    ("binary", "logistic"),
    ("multiclass", "auto"),
    ("multiclass", "logistic"),
    ("multilabel", "auto"),
]


def linear_rule(target="multiclass", n_rows=60, seed=0, *, noise=0.7, threshold=0.0, n_features=4, dtype=np.float64):
    """Normal rows, and labels that follow from three of the features plus noise.

    Parameters
    ----------
    target : {"binary", "multiclass", "multilabel"}
        Whether the first score exceeds the threshold, which of three scores is the largest, or which of three scores
        exceed the threshold.
    n_rows, seed : int
    noise : float
        Standard deviation of the noise in the scores. Without noise a linear rule is right for every row.
    threshold : float
    n_features : int
    dtype : type
        Type of the rows.
    """
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_rows, n_features))
    scores = X[:, :3] + noise * rng.normal(size=(n_rows, 3))
    y = {
        "binary": scores[:, 0] > threshold,
        "multiclass": scores.argmax(axis=1),
        "multilabel": scores > threshold,
    }[target]
    return X.astype(dtype), y.astype(int)


def even_folds(target="multiclass", n_rows=100, seed=0):
    """Rows of five features. If 100 divides `n_rows`, five stratified folds have equally many rows of each class."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_rows, 5))
    if target == "multilabel":
        return X, (X[:, :3] + rng.normal(size=(n_rows, 3)) > 0.0).astype(int)
    ranks = np.argsort(np.argsort(X[:, 0] + X[:, 1] ** 2 + rng.normal(size=n_rows)))
    return X, np.digitize(ranks, [0.6 * n_rows] if target == "binary" else [0.35 * n_rows, 0.7 * n_rows])


def clusters(target="multiclass", n_rows=60, n_features=5, *, n_informative=4, n_classes=3):
    """Classes in clusters, from scikit-learn. A multilabel target has the signs of three features as labels."""
    X, y = make_classification(
        n_rows, n_features, n_informative=n_informative, n_redundant=0, n_classes=n_classes, random_state=0
    )
    return X, {"binary": (y > 0).astype(int), "multiclass": y, "multilabel": (X[:, :3] > 0).astype(int)}[target]


def generated(target, n_rows=157):
    """Eight features and a target of scikit-learn. No batch size divides 157, which is a prime number."""
    common = {"n_samples": n_rows, "n_features": 8, "random_state": 0}
    if target == "multilabel":
        return make_multilabel_classification(n_classes=4, **common)
    if target == "binary":
        return make_classification(n_informative=4, flip_y=0.1, **common)
    return make_classification(n_informative=5, n_classes=3, flip_y=0.1, **common)


def random_labels(seed, n_rows=200, n_features=300):
    """Labels that are independent of the rows, half of them 1. With more features than rows a network can memorise them."""
    rng = np.random.RandomState(seed)
    return rng.normal(size=(n_rows, n_features)), rng.permutation(np.arange(n_rows) % 2)
