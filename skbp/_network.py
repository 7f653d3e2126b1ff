r"""The mathematics: a network's output, and the derivatives of its objective, by backpropagation.

A network of L layers of parameters maps a batch a_0 of n rows to logits z_L. For l = 1..L

.. math::

    z_l &= a_{l-1} W_l + b_l                                                            \qquad (1) \\
    a_l &= f(z_l) \quad \text{for } l < L                                               \qquad (2)

W_l is a matrix of shape (fan_in, fan_out), b_l a vector of length fan_out, added to every row, and f the activation of
the hidden layers, applied element by element. With weights s_i of the rows, S their sum, a loss c of the logits z_i of
row i and its target y_i, training minimises

.. math::

    F = \frac1S \sum_i s_i \, c(z_i, y_i) + \frac{\alpha}{2S} \sum_l \lVert W_l \rVert^2 \qquad (3)

The chain rule gives F's derivatives from the last layer to the first. Let delta_l = dF/dz_l, of the shape of z_l.
For both losses of this package, whose links (softmax, logistic) are their canonical ones, it starts as the difference of
the predicted and the true output, goes from layer to layer by the transposed weights and the slope f', and each
layer's gradient is a product of what came in from below and what came back from above:

.. math::

    \delta_L &= \tfrac{s}{S} \, (\operatorname{link}(z_L) - y)                          \qquad (4) \\
    \delta_l &= (\delta_{l+1} W_{l+1}^T) \odot f'(z_l)                                  \qquad (5) \\
    \partial F / \partial W_l &= a_{l-1}^T \delta_l + \tfrac{\alpha}{S} W_l             \qquad (6) \\
    \partial F / \partial b_l &= \textstyle\sum_i \delta_{l,i}                          \qquad (7)

This module is (1), (2), (5), (7) and the first term of (6); the loss is (4), and the objective adds what depends on
alpha. In the code W_l is ``weights[l - 1]``, since Python counts from zero, while ``a[l]`` and ``delta[l]`` keep the
numbers of the formulas: ``a[0]`` is the input.

The functions write to buffers that the caller owns and allocate nothing but SciPy's products of sparse rows.

References
----------
Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323, 533-536 (1986),
https://doi.org/10.1038/323533a0
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse


def forward(weights, biases, activations, rows, tape):
    """Run the network on a batch, leaving every layer's output on the tape.

    Parameters
    ----------
    weights, biases : lists of L arrays
    activations : sequence of L - 1 Activation
        One for each hidden layer.
    rows : {ndarray, sparse array} of shape (n_rows, n_features)
        The batch, a_0.
    tape : Tape for n_rows
        ``tape.a`` is written.

    Returns
    -------
    logits : ndarray of shape (n_rows, n_outputs)
        z_L, which is ``tape.a[L]``.
    """
    tape.a[0] = rows
    n_layers = len(weights)
    for layer in range(1, n_layers + 1):
        z = _multiply(tape.a[layer - 1], weights[layer - 1], out=tape.a[layer])  # (1)
        z += biases[layer - 1][..., None, :]
        if layer < n_layers:
            activations[layer - 1].function(z, out=z)  # (2)
    return tape.a[n_layers]


def backward(weights, activations, tape, gradient):
    """Propagate delta_L back through the network, writing the gradient of the loss term.

    Parameters
    ----------
    weights : list of L arrays
    activations : sequence of L - 1 Activation
    tape : Tape
        As `forward` left it, with delta_L in ``tape.delta[L]``. The other deltas are written.
    gradient : Parameters
        Written: a_{l-1}^T delta_l in its weights, the column sums of delta_l in its biases.

    Returns
    -------
    gradient : Parameters
    """
    n_layers = len(weights)
    for layer in range(n_layers, 0, -1):
        below, delta = tape.a[layer - 1], tape.delta[layer]
        below_transposed = below.T if issparse(below) else below.mT
        _multiply(below_transposed, delta, out=gradient.weights[layer - 1])  # (6)
        np.sum(delta, axis=-2, out=gradient.biases[layer - 1])  # (7)
        if layer > 1:
            delta_below = np.matmul(delta, weights[layer - 1].mT, out=tape.delta[layer - 1])  # (5)
            delta_below *= activations[layer - 2].slope(below, out=tape.slope[layer - 1])
    return gradient


def _multiply(left, right, out):
    """Write the matrix product of `left`, dense or sparse, and `right` to `out`."""
    if issparse(left):
        out[...] = left @ right
        return out
    return np.matmul(left, right, out=out)
