"""The compiled core in the place of the NumPy code, for the activations and losses that it knows.

The core runs forward, loss, backward and gradient of a dense batch in one call. Of sparse rows it takes the weighted sums of
the first layer: SciPy multiplies sparse matrices.
"""

from __future__ import annotations

from skbp import _core
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LogisticLoss, SoftmaxLoss


def kernel_for(weights, biases, activations, n_threads, **of_loss):
    """A kernel for some parameters, or None where NumPy has to compute.

    Parameters
    ----------
    weights, biases : lists of L arrays
    activations : sequence of L - 1 Activation
    n_threads : int
        The most threads that share a batch; 0 for NumPy's code.
    **of_loss
        Further parameters of the kernel.
    """
    if not n_threads or _core.BatchKernel is None or weights[0].dtype.char not in _core.TYPES:
        return None
    # A record of a user may have the name of ours.
    if not all(record.name in _core.ACTIVATIONS and record == ACTIVATIONS[record.name] for record in activations):
        return None
    return _core.BatchKernel(weights, biases, [record.name for record in activations], n_threads=n_threads, **of_loss)


def objective_kernel(objective, n_threads):
    """A kernel that writes an objective's gradient, or None where NumPy has to compute."""
    loss, gradient = objective.loss, objective.gradient
    if type(loss) not in (SoftmaxLoss, LogisticLoss):
        return None
    kernel = kernel_for(
        objective.params.weights,
        objective.params.biases,
        objective.activations,
        n_threads,
        softmax=loss.exclusive,
        label_smoothing=loss.label_smoothing,
        alpha=objective.penalty.by_layer,
        most_strength=objective.penalty.most,
    )
    if kernel is not None:
        kernel.write_gradient_to(gradient.weights, gradient.biases)
    return kernel
