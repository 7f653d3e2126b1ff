"""The gradient of a network's output or loss by its input: how each feature of each row moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from skbp.inspection import _subject

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skbp import BackpropClassifier
    from skbp._network.tape import Tape
    from skbp.inspection._subject import DifferentiableNetwork, FloatArray, Sparse

# Rows that are differentiated at once. Beside the result, memory does not grow with the rows.
CHUNK_ROWS = 1024

LOSS = "loss"


def input_gradient(
    clf: DifferentiableNetwork, X: ArrayLike | Sparse, of: Any, y: ArrayLike | Sparse | None = None
) -> FloatArray:
    r"""Compute the gradient of a logit or of the loss by the input, row by row.

    One more step of backpropagation than training takes, from delta_1 = dc/dz_1 to the input, gives it exactly:

    .. math:: \partial c / \partial x = \delta_1 W_1^T

    The code that trains computes delta_1, in float64.

    Parameters
    ----------
    clf : BackpropClassifier, or a pipeline that ends in one
        The fitted network. For a BackpropClassifierCV, pass one of its `members_` and the rows as its `views_` transform
        them. For an MLPClassifier, pass ``BackpropClassifier.from_mlp_classifier(mlp)``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows. The steps of a pipeline transform them.
    of : class label or "loss"
        What to differentiate. A class stands for its logit. For two classes and one output unit that is its log odds, so the
        two gradients differ by the sign. For a multilabel classifier it is the number of a label. "loss" is the loss of each
        row, with `label_smoothing` and without class weights; if `y` is None and a class is called "loss", it is that class.
    y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels), default=None
        The labels, for ``of="loss"`` only. Without `label_smoothing` the loss is minus the logarithm of their probability.

    Returns
    -------
    gradient : ndarray of float64 of shape (n_samples, n_inputs)
        Row i has the derivatives by the input of the network for row i: in a pipeline, by what the steps before it return.
        At a kink, such as that of relu at 0, it is the one-sided derivative that training takes.

    Raises
    ------
    TypeError
        If `clf` is not a BackpropClassifier.
    ValueError
        If `of` is neither a class nor "loss", `y` is missing, not wanted or does not fit X, the network cannot predict for
        X, or a derivative is not finite.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import input_gradient
    >>> unit = BackpropClassifier.from_weights([[[2.0], [-1.0]]], [[0.5]], classes=["no", "yes"])
    >>> input_gradient(unit, [[1.0, 1.0], [0.0, 3.0]], of="yes")
    array([[ 2., -1.],
           [ 2., -1.]])
    """
    with _subject.network_and_rows(clf, "clf", X) as (network, seen):
        check_is_fitted(network, "coefs_")
        labels, rows = network.predict(seen), _sliceable(seen)
        of_loss = isinstance(of, str) and of == LOSS and not (y is None and LOSS in network.classes_.tolist())
        seed = None if of_loss else _seed(of, network)
        if of_loss:
            labels = _checked_labels(y, labels)
        elif y is not None:
            raise ValueError(f"y is given, and of={of!r}: y is only for of='loss'.")
        # The names of the features have been compared, and a row has a weight of 1, whatever the weight of its class is.
        exact = _subject.exact(network, class_weight=None, alpha=0.0)
        exact.__dict__.pop("feature_names_in_", None)
        gradient = np.zeros((rows.shape[0], len(network.coefs_[0])))
        for start in range(0, len(gradient), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            function = _subject.exact_objective(exact, "clf", rows[chunk], labels[chunk], None)
            gradient[chunk] = _by_input(exact, function.tape(function.theta0), seed)
    _subject.check_finite(gradient, "The gradient by the input is")
    return gradient


def _by_input(network: BackpropClassifier, tape: Tape, seed: FloatArray | None) -> FloatArray:
    """The gradient of the loss of each row, or of the output with the derivative `seed` by the logits."""
    first = network.coefs_[0].T.astype(np.float64)
    if seed is None:
        # The objective is the mean over the rows.
        return (tape.delta[1] * len(tape.delta[1])) @ first
    delta = np.broadcast_to(seed, tape.z[-1].shape)
    for layer in range(len(network.coefs_) - 1, 0, -1):
        delta = (delta @ network.coefs_[layer].T) * tape.slope[layer]  # (5)
    return delta @ first


def _seed(of: Any, network: BackpropClassifier) -> FloatArray:
    """The derivative of the class's logit by the logits."""
    known, n_outputs = network.classes_.tolist(), network.n_outputs_
    if not np.isscalar(of) or of not in known:
        classes = np.array2string(network.classes_, separator=", ", threshold=20)
        raise ValueError(f"of={of!r} must be 'loss' or one of the classes that clf knows, its classes_: {classes}.")
    if n_outputs == 1:  # the unit stands for the last class
        return np.array([1.0 if of == known[-1] else -1.0])
    seed = np.zeros(n_outputs)
    seed[known.index(of)] = 1.0
    return seed


def _checked_labels(y: ArrayLike | Sparse | None, predicted: Any) -> Any:
    """The labels of the rows, one for each."""
    if y is None:
        raise ValueError("of='loss' needs y, the labels of the rows of X.")
    labels = _sliceable(y)
    n_labels = labels.shape[0] if labels.ndim else 0
    if n_labels != predicted.shape[0]:
        raise ValueError(f"X has {predicted.shape[0]} rows and y {n_labels}: they must be as many.")
    return labels


def _sliceable(values: Any) -> Any:
    """Values in a form that gives parts of the rows."""
    return values.tocsr() if issparse(values) else np.asarray(values)
