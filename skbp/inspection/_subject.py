"""The networks in a given estimator, and the names of their features, outputs and activations.

This package uses an estimator's public attributes only. The same code therefore works for `BackpropClassifier` and
scikit-learn's MLPClassifier. A pipeline stands for its last step, and `BackpropClassifierCV` for its members.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import sparray, spmatrix
    from sklearn.neural_network import MLPClassifier

    from skbp import BackpropClassifier, BackpropClassifierCV
    from skbp._network.function import ObjectiveFunction

    FloatArray: TypeAlias = NDArray[np.float64]
    Sparse: TypeAlias = sparray | spmatrix
    DifferentiableNetwork: TypeAlias = BackpropClassifier | Pipeline
    OneNetwork: TypeAlias = BackpropClassifier | MLPClassifier | Pipeline
    Networks: TypeAlias = BackpropClassifier | BackpropClassifierCV | MLPClassifier | Pipeline

# The estimators that error messages suggest: for a function that needs derivatives, one network, or any networks.
DIFFERENTIABLE = "a BackpropClassifier, or a pipeline that ends in one"
ONE = "a BackpropClassifier, an MLPClassifier, or a pipeline that ends in one"
ANY = "a BackpropClassifier, a BackpropClassifierCV, an MLPClassifier, or a pipeline that ends in one"


def exact(clf: BackpropClassifier, **params: Any) -> BackpropClassifier:
    """Copy a classifier, fitted or not; the copy computes in float64 and with the exact Hessian.

    `params` are further parameters to set on the copy. The copy shares the fitted attributes with the original.
    """
    exact = copy.copy(clf)  # sklearn.base.clone would drop the fitted attributes
    for name, value in {"hessian": "exact", "dtype": "float64", **params}.items():
        setattr(exact, name, value)
    return exact


def exact_objective(
    clf: BackpropClassifier,
    argument: str,
    X: ArrayLike | Sparse,
    y: ArrayLike | Sparse,
    sample_weight: ArrayLike | None,
    **params: Any,
) -> ObjectiveFunction:
    """The objective of `exact(clf, **params)` on given data.

    Parameters
    ----------
    clf : BackpropClassifier
        Fitted or not.
    argument : str
        The name of the estimator's argument in the public function, for the error message.
    X, y, sample_weight : array-like
        The data, as `BackpropClassifier.objective` takes them.
    **params : dict
        Parameters to set on the copy of the classifier.

    Raises
    ------
    ValueError
        If `y` has a label that the fitted network does not know, or `BackpropClassifier.objective` rejects the data.
    """
    unknown = _unknown_labels(clf, y)
    if unknown.size:
        found, known = (np.array2string(labels, separator=", ", threshold=20) for labels in (unknown, clf.classes_))
        raise ValueError(
            f"y has labels that {argument} does not know: {found}. Its classes_ are {known}. Leave out the rows with other "
            "labels, or train on these labels too."
        )
    return exact(clf, **params).objective(X, y, sample_weight)


def _unknown_labels(clf: BackpropClassifier, y: ArrayLike | Sparse) -> NDArray[Any]:
    """The labels of `y` that a fitted network does not know.

    Empty if `y` has another fault, such as several columns: the objective has a message for each of them.
    """
    nothing: NDArray[Any] = np.zeros(0)
    if issparse(y) or not hasattr(clf, "classes_"):
        return nothing
    try:
        labels = np.asarray(y)
        has_columns = labels.size != len(labels)
        one_is_text = (labels.dtype.kind in "USO") != (clf.classes_.dtype.kind in "USO")
        has_nan = labels.dtype.kind == "f" and bool(np.isnan(labels).any())
        if has_columns or one_is_text or has_nan:
            return nothing
        return np.setdiff1d(labels, clf.classes_)
    except (TypeError, ValueError):  # not an array, or labels that cannot be sorted
        return nothing


def last_step(estimator: Any) -> Any:
    """The estimator itself, or the last step of a pipeline."""
    while isinstance(estimator, Pipeline) and estimator.steps:
        estimator = estimator.steps[-1][1]
    return estimator


def _steps_before(estimator: Any) -> list[Pipeline]:
    """The pipelines that transform the rows before the last step: more than one if pipelines are nested."""
    before = []
    while isinstance(estimator, Pipeline) and estimator.steps:
        if len(estimator.steps) > 1:
            before.append(estimator[:-1])
        estimator = estimator.steps[-1][1]
    return before


@contextmanager
def network_and_rows(
    estimator: DifferentiableNetwork, argument: str, X: ArrayLike | Sparse
) -> Iterator[tuple[BackpropClassifier, ArrayLike | Sparse]]:
    """Find the network in an estimator and transform the rows for it.

    NumPy reports no floating-point errors within the context: derivatives of a sound network may underflow, and the
    caller checks for overflow. The steps of a pipeline run before, under the user's own settings.

    Parameters
    ----------
    estimator : BackpropClassifier, or a pipeline that ends in one
        The network need not be fitted. The other steps must be.
    argument : str
        The name of the estimator's argument in the public function, for the error messages.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows as the user has them.

    Yields
    ------
    network : BackpropClassifier
        The last step.
    X : {array-like, sparse matrix} of shape (n_samples, n_inputs)
        The rows as the network takes them.

    Raises
    ------
    TypeError
        If the estimator is not one network, or the network has no method `objective`.
    """
    network = _one_network(estimator, argument, DIFFERENTIABLE)
    if not hasattr(network, "objective"):
        raise TypeError(
            f"{argument} is {_kind(estimator)}, which has no `objective`: pass {DIFFERENTIABLE}. If you have a "
            "BackpropClassifierCV, fit it and pass one of its members_."
        )
    # Errors in the user's own steps follow the user's settings, so the steps run outside of np.errstate.
    for steps in _steps_before(estimator):
        X = steps.transform(X)
    with np.errstate(all="ignore"):
        yield network, X


def fitted_network(estimator: OneNetwork) -> Any:
    """The only network in an estimator; an error if it is not fitted or there are several."""
    network = _one_network(estimator, "estimator", ONE)
    check_is_fitted(network, "coefs_")
    return network


def fitted_networks(estimator: Networks, argument: str = "estimator") -> list[Any]:
    """All networks in an estimator: one, or the members of an ensemble."""
    network = _last_of_networks(estimator, argument, ANY)
    if hasattr(network, "members_"):
        return list(network.members_)
    # An ensemble that is not fitted has neither members_ nor coefs_.
    check_is_fitted(network, "coefs_")
    return [network]


def _one_network(estimator: Any, argument: str, wanted: str) -> Any:
    network = _last_of_networks(estimator, argument, wanted)
    if hasattr(network, "members_"):
        raise TypeError(
            f"{argument} is {_kind(estimator)}, which is {len(network.members_)} networks: pass one of its members_, such "
            "as members_[0]."
        )
    return network


def _last_of_networks(estimator: Any, argument: str, wanted: str) -> Any:
    """The last step of an estimator, which must be a classifier with hidden layers or an ensemble of them."""
    last = last_step(estimator)
    if isinstance(last, type):
        raise TypeError(f"{argument} is the class {last.__name__}: pass an instance instead, {wanted}.")
    # A regressor has no predict_proba, and other classifiers have no hidden layers.
    if not (hasattr(last, "hidden_layer_sizes") and hasattr(last, "predict_proba")):
        raise TypeError(f"{argument} is {_kind(estimator)}, which is not a neural-network classifier: pass {wanted}.")
    return last


def _kind(estimator: Any) -> str:
    last = last_step(estimator)
    return f"{'' if last is estimator else 'a pipeline that ends in a step '}of type {type(last).__name__}"


def check_finite(values: ArrayLike, what: str) -> None:
    """Raise ValueError if a number is nan or inf; `what` is the subject and verb of the message."""
    if not np.isfinite(values).all():
        raise ValueError(
            f"{what} not finite. Very large numbers in X or in the weights cause this: scale X, for example with "
            "sklearn.preprocessing.StandardScaler, or train again with a smaller learning_rate_init."
        )


def checked_names(names: Any, n_names: int | set[int], argument: str, owner: str) -> list[str]:
    """Check names that the user gave, and return them as a list of strings.

    Parameters
    ----------
    names : array-like of str
        The names.
    n_names : int or set of int
        The number of names that must be given, or the numbers that are allowed.
    argument : str
        The name of the argument in the public function, for the error messages.
    owner : str
        The end of the message about a wrong number of names. It says how many units or features there are.

    Raises
    ------
    TypeError
        If the names are not a list or a one-dimensional array.
    ValueError
        If there are too many or too few.
    """
    # Text, a set and a dict have a length too, but they are not lists of names in the order of the units.
    is_list = hasattr(names, "__len__") and not isinstance(names, (str, bytes, set, frozenset, Mapping))
    if not is_list or getattr(names, "ndim", 1) != 1:
        raise TypeError(f"{argument} must be a list of names. Got {names!r} instead.")
    if len(names) not in (n_names if isinstance(n_names, set) else {n_names}):
        raise ValueError(f"{argument} has {len(names)} names; {owner}.")
    return [str(name) for name in names]


def names_of_features(estimator: OneNetwork, given: ArrayLike | None) -> list[str]:
    """A name for each input: the given names, or those of the pipeline or the data, or x0, x1, ..."""
    network = last_step(estimator)
    n_features = len(network.coefs_[0])
    if given is not None:
        return checked_names(given, n_features, "feature_names", f"the network has {n_features} features")
    for names in (_names_from_steps(estimator), getattr(network, "feature_names_in_", None)):
        # A FunctionTransformer may add columns and still return the names of its input.
        if names is not None and len(names) == n_features:
            return [str(name) for name in names]
    return [f"x{i}" for i in range(n_features)]


def _names_from_steps(estimator: Any) -> Sequence[str] | None:
    """The names that the steps of a pipeline give to the network's inputs; None if they give no names."""
    names = getattr(estimator, "feature_names_in_", None)
    steps = _steps_before(estimator)
    try:
        for step in steps:
            names = step.get_feature_names_out(names)
    except (AttributeError, TypeError, ValueError):  # a step has no names, or cannot compute them
        return None
    return names if steps else None


def names_of_outputs(network: Any, given: ArrayLike | None) -> list[str]:
    """A name for each output unit, which is the name of its class; a single unit stands for the last class."""
    n_outputs = network.coefs_[-1].shape[1]
    fitting = {1, 2} if n_outputs == 1 else {n_outputs}
    owner = "the network has " + ("one output unit, for two classes" if n_outputs == 1 else f"{n_outputs} output units")
    names = checked_names(network.classes_ if given is None else given, fitting, "class_names", owner)
    return names[-1:] if n_outputs == 1 else names


def names_of_activations(network: Any) -> list[str]:
    """The name of each hidden layer's activation, and of the output activation."""
    activation, n_hidden = network.activation, len(network.coefs_) - 1
    hidden = activation if isinstance(activation, (list, tuple)) else [activation] * n_hidden
    output = getattr(network, "out_activation_", "")
    return [*(one if isinstance(one, str) else one.name for one in hidden), output]


def by_layer(vector: FloatArray, units: Sequence[int]) -> tuple[list[FloatArray], list[FloatArray]]:
    """Split one vector of parameters into the weights and the biases of each layer.

    Parameters
    ----------
    vector : ndarray of shape (n_parameters,)
        Parameters in the order of an objective: the weights layer by layer, each (fan_in, fan_out) in C order, and then
        the biases.
    units : list of int
        The number of units of each layer, including the input.

    Returns
    -------
    weights : list of ndarray of shape (fan_in, fan_out)
        Views of `vector`.
    biases : list of ndarray of shape (fan_out,)
        Views of `vector`.
    """
    shapes = [*pairwise(units), *((fan_out,) for fan_out in units[1:])]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    arrays = [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]
    return arrays[: len(units) - 1], arrays[len(units) - 1 :]
