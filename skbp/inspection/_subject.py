"""What is looked at: the networks in what the user has at hand, and the names of their features and outputs.

An estimator is known by its public attributes alone, so that a pipeline counts by its last step, `BackpropClassifierCV` by
its members, and scikit-learn's MLPClassifier as well as `BackpropClassifier`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# What a function takes that needs derivatives, or one network, or networks.
DIFFERENTIABLE = "a BackpropClassifier, or a pipeline that ends in one"
ONE = "a BackpropClassifier, an MLPClassifier, or a pipeline that ends in one"
ANY = "a BackpropClassifier, a BackpropClassifierCV, an MLPClassifier, or a pipeline that ends in one"


def exact(clf, **params):
    """A copy of the classifier, fitted or not, that computes in float64, and products with the exact Hessian.

    Other parameters are set on it to those given. It shares the fitted attributes.
    """
    exact = copy.copy(clf)
    for name, value in {"hessian": "exact", "dtype": "float64", **params}.items():
        setattr(exact, name, value)
    return exact


def last_step(estimator):
    """An estimator itself, or the last step of a pipeline."""
    while isinstance(estimator, Pipeline) and estimator.steps:
        estimator = estimator.steps[-1][1]
    return estimator


def _steps_before(estimator):
    """What transforms the rows before the last step sees them: a pipeline, or several where pipelines are nested."""
    before = []
    while isinstance(estimator, Pipeline) and estimator.steps:
        if len(estimator.steps) > 1:
            before.append(estimator[:-1])
        estimator = estimator.steps[-1][1]
    return before


@contextmanager
def network_and_rows(estimator, argument, X):
    """The network in an estimator, fitted or not, that has an `objective`, and rows as the network sees them.

    Within the context NumPy reports no floating-point errors. Derivatives of a healthy network underflow, and the caller
    checks what overflows. The steps of a pipeline transform the rows before, under the user's own settings.

    Parameters
    ----------
    estimator : BackpropClassifier, or a pipeline that ends in one
    argument : str
        What the user's function calls it.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)

    Yields
    ------
    network : BackpropClassifier
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    """
    network = _one_network(estimator, argument, DIFFERENTIABLE)
    if not hasattr(network, "objective"):
        raise TypeError(
            f"{argument} is {_kind(estimator)}, which has no `objective`: pass {DIFFERENTIABLE}. Of a "
            "BackpropClassifierCV, pass one of the members_ that it has once it is fitted."
        )
    for steps in _steps_before(estimator):
        X = steps.transform(X)
    with np.errstate(all="ignore"):
        yield network, X


def fitted_network(estimator):
    """The one fitted network in an estimator."""
    network = _one_network(estimator, "estimator", ONE)
    check_is_fitted(network, "coefs_")
    return network


def fitted_networks(estimator, argument="estimator"):
    """All networks in an estimator, one or its members."""
    network = _last_of_networks(estimator, argument, ANY)
    if hasattr(network, "members_"):
        return list(network.members_)
    check_is_fitted(network, "coefs_")
    return [network]


def _one_network(estimator, argument, wanted):
    network = _last_of_networks(estimator, argument, wanted)
    if hasattr(network, "members_"):
        raise TypeError(
            f"{argument} is {_kind(estimator)}, which is {len(network.members_)} networks: pass one of its members_, such "
            "as members_[0]."
        )
    return network


def _last_of_networks(estimator, argument, wanted):
    """The last step of an estimator, which must be a classifier with hidden layers or an ensemble of such."""
    last = last_step(estimator)
    if isinstance(last, type):
        raise TypeError(f"{argument} is the class {last.__name__}: pass an instance instead, {wanted}.")
    if not (hasattr(last, "hidden_layer_sizes") and hasattr(last, "predict_proba")):
        raise TypeError(f"{argument} is {_kind(estimator)}, which is no neural-network classifier: pass {wanted}.")
    return last


def _kind(estimator):
    last = last_step(estimator)
    return f"{'' if last is estimator else 'a pipeline that ends in a step '}of type {type(last).__name__}"


def check_finite(values, what):
    """Raise where a number is nan or inf; `what` is the subject of the message."""
    if not np.isfinite(values).all():
        raise ValueError(
            f"{what} not finite. Very large numbers in X or in the weights lead to this: scale X, for example with "
            "sklearn.preprocessing.StandardScaler, or train again with a smaller learning_rate_init."
        )


def checked_names(names, n_names, argument, owner):
    """Names given by the user, as a list of strings.

    Parameters
    ----------
    names : array-like of str
    n_names : int or set of int
        How many there must be.
    argument : str
        What the user's function calls them.
    owner : str
        The end of the message where there are more or fewer: who has how many of what.
    """
    is_list = hasattr(names, "__len__") and not isinstance(names, (str, bytes, set, frozenset, Mapping))
    if not is_list or getattr(names, "ndim", 1) != 1:
        raise TypeError(f"{argument} must be a list of names, one for each. Got {names!r} instead.")
    if len(names) not in (n_names if isinstance(n_names, set) else {n_names}):
        raise ValueError(f"{argument} has {len(names)} names; {owner}.")
    return [str(name) for name in names]


def names_of_features(estimator, given):
    """A name for each input: those given, else those of the pipeline or of the data, else x0, x1, ..."""
    network = last_step(estimator)
    n_features = len(network.coefs_[0])
    if given is not None:
        return checked_names(given, n_features, "feature_names", f"the network has {n_features} features")
    for names in (_names_from_steps(estimator), getattr(network, "feature_names_in_", None)):
        if names is not None and len(names) == n_features:
            return [str(name) for name in names]
    return [f"x{i}" for i in range(n_features)]


def _names_from_steps(estimator):
    """What the steps of a pipeline call the features that they hand to the network; None where they have no names."""
    names = getattr(estimator, "feature_names_in_", None)
    steps = _steps_before(estimator)
    try:
        for step in steps:
            names = step.get_feature_names_out(names)
    except (AttributeError, TypeError, ValueError):  # a step has no names, or cannot tell them
        return None
    return names if steps else None


def names_of_outputs(network, given):
    """A name for each output unit: of its class; a single unit is that of the last class."""
    n_outputs = network.coefs_[-1].shape[1]
    fitting = {1, 2} if n_outputs == 1 else {n_outputs}
    owner = "the network has " + ("one output unit, for two classes" if n_outputs == 1 else f"{n_outputs} output units")
    names = checked_names(network.classes_ if given is None else given, fitting, "class_names", owner)
    return names[-1:] if n_outputs == 1 else names


def names_of_activations(network):
    """The activation of each hidden layer and the output layer's."""
    activation, n_hidden = network.activation, len(network.coefs_) - 1
    hidden = activation if isinstance(activation, (list, tuple)) else [activation] * n_hidden
    output = getattr(network, "out_activation_", "")
    return [*(name if isinstance(name, str) else "f" for name in hidden), output]


def by_layer(vector, units):
    """Weights and biases in one vector of parameters, as two lists with an array for each layer.

    Parameters
    ----------
    vector : ndarray of shape (n_parameters,)
        As an objective has them: the weights layer by layer, each (fan_in, fan_out) in C order, and then the biases.
    units : list of int
        Units of each layer, the input included.
    """
    shapes = [*pairwise(units), *((fan_out,) for fan_out in units[1:])]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    arrays = [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]
    return arrays[: len(units) - 1], arrays[len(units) - 1 :]
