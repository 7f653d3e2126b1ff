"""The compiled core in the place of the NumPy code, for the activations and losses that it knows."""

from __future__ import annotations

from skbp import _core
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LogisticLoss, SoftmaxLoss


def numbers_of(activations, dtype, n_threads):
    """The core's numbers for some activations, or None where NumPy has to compute.

    Parameters
    ----------
    activations : sequence of Activation
    dtype : dtype
    n_threads : int
        The most threads of the core; 0 for NumPy's code.
    """
    if not n_threads or _core.BatchKernel is None or dtype.char not in _core.TYPES:
        return None
    numbers = []
    for record in activations:
        # A record of a user may have the name of ours.
        ours = ACTIVATIONS.get(record.name)
        if record.name not in _core.ACTIVATIONS or not (record is ours or record == ours):
            return None
        numbers.append(_core.ACTIVATIONS[record.name])
    return numbers


def objective_kernel(objective, n_threads):
    """A kernel that writes an objective's gradient, or None where NumPy has to compute."""
    loss, gradient = objective.loss, objective.gradient
    if type(loss) not in (SoftmaxLoss, LogisticLoss):
        return None
    numbers = numbers_of(objective.activations, objective.params.vector.dtype, n_threads)
    if numbers is None:
        return None
    kernel = _core.BatchKernel(
        objective.params.weights,
        objective.params.biases,
        numbers,
        softmax=loss.exclusive,
        label_smoothing=loss.label_smoothing,
        alpha=objective.penalty.by_layer,
        most_strength=objective.penalty.most,
        n_threads=n_threads,
    )
    kernel.write_gradient_to(gradient.weights, gradient.biases)
    return kernel
