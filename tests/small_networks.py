"""Small classifiers, and comparisons of them, for the tests of BackpropClassifier."""

import pickle
from itertools import pairwise

import numpy as np
from numpy.testing import assert_array_equal
from registries import UPDATES

from skbp import BackpropClassifier


def small(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, **params})


def diverging(**params):
    return small(
        activation="identity", solver="sgd", momentum=0, alpha=0, batch_size=10, learning_rate_init=1e3, max_iter=30
    ).set_params(**params)


def for_mini_batches(solver, **params):
    """The solver, and the parameters if it trains by mini-batches."""
    return {"solver": solver} | (params if solver in UPDATES else {})


def with_rounding_kept_small(solver):
    """Parameters of a solver with which runs that differ by rounding stay close.

    TNC takes differences of gradients along directions and divides by their small distance. The rounding grows by some
    eight orders of magnitude and decides where TNC turns. Without conjugate gradients it takes no differences.
    """
    return {"solver": solver} | ({"solver_options": {"maxCGit": 0}} if solver == "tnc" else {})


def random_weights(units, seed=0):
    rng = np.random.RandomState(seed)
    coefs = [rng.normal(size=(i, o)) for i, o in pairwise(units)]
    return coefs, [rng.normal(size=o) for o in units[1:]]


def partial_fits(clf, X, y, n, pickled=False, **kwargs):
    for _ in range(n):
        clf.partial_fit(X, y, classes=np.unique(y) if y.ndim == 1 else range(y.shape[1]), **kwargs)
        clf = pickle.loads(pickle.dumps(clf)) if pickled else clf
    return clf


def assert_same_weights(one, other):
    """Assert that weights and biases are equal bit for bit."""
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)


def same_weights(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.coefs_, other.coefs_, strict=True))


def fitted_state(clf):
    """All fitted attributes as bytes."""
    return pickle.dumps({name: value for name, value in sorted(vars(clf).items()) if name.endswith("_")})
