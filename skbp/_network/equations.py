r"""The mathematics: a network's output and the derivatives of its objective, by backpropagation.

A network with L layers of parameters maps a batch a_0 of n rows to logits z_L. For l = 1..L

.. math::

    z_l &= a_{l-1} W_l + b_l                                                            \qquad (1) \\
    a_l &= f(z_l) \quad \text{for } l < L                                               \qquad (2)

W_l is a matrix of shape (fan_in, fan_out). The vector b_l of length fan_out is added to every row. The activation f of the
hidden layers is applied element by element. Row i has the weight s_i, the logits z_i and the target y_i. S is the sum of
the weights, and c is the loss of one row. Training minimises

.. math::

    F = \frac1S \sum_i s_i \, c(z_i, y_i) + \frac{1}{2S} \sum_l \alpha_l \lVert W_l \rVert^2 \qquad (3)

The chain rule gives the derivatives of F from the last layer to the first. Let delta_l = dF/dz_l, which has the shape of
z_l. Both losses of this package have canonical links (softmax, logistic), so delta_L is the difference between the
predicted and the true output (4). The transposed weights and the slope f' carry delta from layer to layer (5). The
gradient of a layer is a product of its input and its delta (6), (7):

.. math::

    \delta_L &= \tfrac{s}{S} \, (\operatorname{link}(z_L) - y)                          \qquad (4) \\
    \delta_l &= (\delta_{l+1} W_{l+1}^T) \odot f'(z_l)                                  \qquad (5) \\
    \partial F / \partial W_l &= a_{l-1}^T \delta_l + \tfrac{\alpha_l}{S} W_l           \qquad (6) \\
    \partial F / \partial b_l &= \textstyle\sum_i \delta_{l,i}                          \qquad (7)

The product of the Hessian with a direction v = (V_1..V_L, c_1..c_L) of the parameters is the derivative of the gradient
along v. It is exact and costs two more passes (Pearlmutter's R-operator). Let R{x} be the derivative of x along v, let
e_l = delta_{l+1} W_{l+1}^T be the derivative of F by a_l, and let H_i be the Hessian of the loss by the logits of row i.
R{a_0} is 0, and

.. math::

    R\{z_l\} &= a_{l-1} V_l + R\{a_{l-1}\} W_l + c_l                                    \qquad (8) \\
    R\{a_l\} &= f'(z_l) \odot R\{z_l\}                                                 \qquad (9) \\
    R\{\delta_{L,i}\} &= \tfrac{s_i}{S} \, H_i \, R\{z_{L,i}\}                         \qquad (10) \\
    R\{\delta_l\} &= (R\{\delta_{l+1}\} W_{l+1}^T + \delta_{l+1} V_{l+1}^T) \odot f'(z_l)
                     + e_l \odot f''(z_l) \odot R\{z_l\}                               \qquad (11) \\
    (H v)_{W_l} &= a_{l-1}^T R\{\delta_l\} + R\{a_{l-1}\}^T \delta_l + \tfrac{\alpha_l}{S} V_l,
    \quad (H v)_{b_l} = \textstyle\sum_i R\{\delta_{l,i}\}                             \qquad (12)

Some terms have a factor delta or e outside of R{.}. Without these terms, the product is one with the Gauss-Newton matrix
J' H_loss J, which is never negative along any direction. To compute it, use (10) instead of (4) in (5) to (7).

Dropout, which only mini-batches use, puts a random factor r_l between two layers. Each element of r_l is 0 with
probability p, else 1 / (1 - p). Layer l + 1 then has the input

.. math::

    \tilde a_l = r_l \odot a_l                                                        \qquad (13)

instead of a_l in (1) and (6), and (5) has the further factor r_l. The expectation of this input is a_l.

This module computes (1), (2), (5), (7) to (9), (11) and (13). It also computes (6) and (12) without their terms of alpha,
which the objective adds. The loss computes (4) and (10). Python counts from zero, so W_l is ``weights[l - 1]`` in the code.
``a[l]`` and ``delta[l]`` keep the numbers of the formulas, and ``a[0]`` is the input.

All of this also holds for a stack of networks that train side by side. Weights, biases and the arrays on the tape then have
a leading axis of members, and each member has its own batch.

The functions write to buffers that the caller owns. They allocate memory only for SciPy's products of sparse rows.

References
----------
Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323, 533-536 (1986),
https://doi.org/10.1038/323533a0

Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6(1), 147-160 (1994),
https://doi.org/10.1162/neco.1994.6.1.147

Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", Neural Computation 14(7),
1723-1738 (2002), https://doi.org/10.1162/08997660260028683
"""

from __future__ import annotations

import numpy as np


def forward(weights, biases, activations, X, tape):
    """Run the network on a batch. The output of every layer stays on the tape.

    Parameters
    ----------
    weights, biases : lists of L arrays
    activations : sequence of L - 1 Activation
        One for each hidden layer.
    X : {ndarray, sparse array} of shape (n_rows, n_features)
        The batch, a_0. A stack has one for each member: an array with a leading axis, or a list of sparse arrays.
    tape : Tape for n_rows
        The function writes its lists ``a``, ``z`` and ``input``.

    Returns
    -------
    logits : ndarray of shape (n_rows, n_outputs)
        z_L, which is ``tape.z[L]``.
    """
    tape.a[0] = tape.input[0] = X
    n_layers = len(weights)
    for layer in range(1, n_layers + 1):
        z = _multiply(tape.input[layer - 1], weights[layer - 1], out=tape.z[layer])  # (1)
        z += biases[layer - 1][..., None, :]
        if layer < n_layers:
            a = activations[layer - 1].function(z, out=tape.a[layer])  # (2)
            if tape.factor[layer] is not None:
                np.multiply(a, tape.factor[layer], out=tape.input[layer])  # (13)
    return tape.z[n_layers]


def backward(weights, activations, tape):
    """Propagate delta_L back through the network. The delta of every layer stays on the tape.

    Parameters
    ----------
    weights : list of L arrays
    activations : sequence of L - 1 Activation
    tape : Tape
        As `forward` leaves it, with delta_L in ``tape.delta[L]``. The function writes the other deltas, ``error`` and
        ``slope``.
    """
    for layer in range(len(weights), 1, -1):
        error = np.matmul(tape.delta[layer], weights[layer - 1].mT, out=tape.error[layer - 1])
        if tape.factor[layer - 1] is not None:
            error *= tape.factor[layer - 1]  # (13)
        slope = activations[layer - 2].slope(tape.z[layer - 1], out=tape.slope[layer - 1])
        np.multiply(error, slope, out=tape.delta[layer - 1])  # (5)


def parameter_gradient(tape, gradient, columns=None):
    """Compute the gradient of the loss term by the parameters, from the deltas.

    Parameters
    ----------
    tape : Tape
        As `backward` leaves it.
    gradient : Parameters
        The function writes a_{l-1}^T delta_l to its weights and the column sums of delta_l to its biases.
    columns : ndarray of int, default=None
        The features that occur in sparse rows. The derivatives by the weights of all other features are 0 and are not
        written.

    Returns
    -------
    gradient : Parameters
    """
    for layer in range(len(gradient.weights), 0, -1):
        if layer == 1 and columns is not None:
            gradient.weights[0][columns] = tape.input[0][:, columns].T @ tape.delta[1]
        else:
            _multiply(_transposed(tape.input[layer - 1]), tape.delta[layer], out=gradient.weights[layer - 1])  # (6)
        np.matmul(tape.ones, tape.delta[layer], out=gradient.biases[layer - 1])  # (7)
    return gradient


def forward_tangent(weights, tape, direction, tangent):
    """Differentiate the forward pass along a direction of the parameters.

    Parameters
    ----------
    weights : list of L arrays
    tape : Tape for tangents
        As `forward` and `backward` leave it.
    direction : Parameters
        v, with V_l in its weights and c_l in its biases.
    tangent : TangentTape
        The function writes R{z_l} and R{a_l}.

    Returns
    -------
    logits_tangent : ndarray of shape (n_rows, n_outputs)
        R{z_L}, which is ``tangent.z[L]``.
    """
    n_layers = len(weights)
    for layer in range(1, n_layers + 1):
        z = _multiply(tape.a[layer - 1], direction.weights[layer - 1], out=tangent.z[layer])  # (8)
        if layer > 1:
            z += np.matmul(tangent.a[layer - 1], weights[layer - 1], out=tangent.scratch[layer])
        z += direction.biases[layer - 1][..., None, :]
        if layer < n_layers:
            np.multiply(tape.slope[layer], z, out=tangent.a[layer])  # (9)
    return tangent.z[n_layers]


def backward_tangent(weights, activations, tape, direction, tangent, product, room):
    """Differentiate the backward pass along a direction of the parameters. Write the loss term of H v.

    Parameters
    ----------
    weights : list of L arrays
    activations : sequence of L - 1 Activation
    tape : Tape for tangents
        As `forward` and `backward` leave it.
    direction : Parameters
    tangent : TangentTape
        As `forward_tangent` leaves it, with R{delta_L} in ``tangent.delta[L]``. The function writes the other R{delta_l}.
    product : Parameters
        The function writes H v without the term of alpha to it.
    room : Parameters
        Memory for intermediate results.

    Returns
    -------
    product : Parameters
    """
    for layer in range(len(weights), 0, -1):
        below, delta, delta_tangent = tape.a[layer - 1], tape.delta[layer], tangent.delta[layer]
        weight_product = _multiply(_transposed(below), delta_tangent, out=product.weights[layer - 1])  # (12)
        np.matmul(tape.ones, delta_tangent, out=product.biases[layer - 1])
        if layer > 1:
            weight_product += np.matmul(tangent.a[layer - 1].mT, delta, out=room.weights[layer - 1])
            scratch = tangent.scratch[layer - 1]
            error_tangent = np.matmul(delta_tangent, weights[layer - 1].mT, out=tangent.delta[layer - 1])  # (11)
            error_tangent += np.matmul(delta, direction.weights[layer - 1].mT, out=scratch)
            error_tangent *= tape.slope[layer - 1]
            curvature = activations[layer - 2].curvature
            if curvature is not None:
                bend = curvature(tape.z[layer - 1], out=scratch)
                bend *= tape.error[layer - 1]
                bend *= tangent.z[layer - 1]
                error_tangent += bend
    return product


def _transposed(X):
    if isinstance(X, np.ndarray):
        return X.mT
    return [member.T for member in X] if isinstance(X, list) else X.T


def _multiply(left, right, out):
    """Write the matrix product of `left` and `right` to `out`. `left` may be sparse."""
    if isinstance(left, np.ndarray):
        return np.matmul(left, right, out=out)
    if isinstance(left, list):
        for k, member in enumerate(left):
            out[k] = member @ right[k]
    else:
        out[...] = left @ right
    return out
