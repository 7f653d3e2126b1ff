r"""The mathematics: a network's output, and the derivatives of its objective, by backpropagation.

A network of L layers of parameters maps a batch a_0 of n rows to logits z_L. For l = 1..L

.. math::

    z_l &= a_{l-1} W_l + b_l                                                            \qquad (1) \\
    a_l &= f(z_l) \quad \text{for } l < L                                               \qquad (2)

W_l is a matrix of shape (fan_in, fan_out), b_l a vector of length fan_out, added to every row, and f the activation of
the hidden layers, applied element by element. With weights s_i of the rows, S their sum, a loss c of the logits z_i of
row i and its target y_i, training minimises

.. math::

    F = \frac1S \sum_i s_i \, c(z_i, y_i) + \frac{1}{2S} \sum_l \alpha_l \lVert W_l \rVert^2 \qquad (3)

The chain rule gives F's derivatives from the last layer to the first. Let delta_l = dF/dz_l, of the shape of z_l.
For both losses of this package, whose links (softmax, logistic) are their canonical ones, it starts as the difference of
the predicted and the true output, goes from layer to layer by the transposed weights and the slope f', and each
layer's gradient is a product of what came in from below and what came back from above:

.. math::

    \delta_L &= \tfrac{s}{S} \, (\operatorname{link}(z_L) - y)                          \qquad (4) \\
    \delta_l &= (\delta_{l+1} W_{l+1}^T) \odot f'(z_l)                                  \qquad (5) \\
    \partial F / \partial W_l &= a_{l-1}^T \delta_l + \tfrac{\alpha_l}{S} W_l           \qquad (6) \\
    \partial F / \partial b_l &= \textstyle\sum_i \delta_{l,i}                          \qquad (7)

Differentiating all of this along a direction v = (V_1..V_L, c_1..c_L) of the parameters gives the product of the Hessian
with v at the cost of two more passes, and exactly (Pearlmutter's R-operator, R{x} the derivative of x along v). With
e_l = delta_{l+1} W_{l+1}^T, the derivative of F by a_l, H_i the Hessian of the loss by the logits of row i, and
R{a_0} = 0:

.. math::

    R\{z_l\} &= a_{l-1} V_l + R\{a_{l-1}\} W_l + c_l                                    \qquad (8) \\
    R\{a_l\} &= f'(z_l) \odot R\{z_l\}                                                 \qquad (9) \\
    R\{\delta_{L,i}\} &= \tfrac{s_i}{S} \, H_i \, R\{z_{L,i}\}                         \qquad (10) \\
    R\{\delta_l\} &= (R\{\delta_{l+1}\} W_{l+1}^T + \delta_{l+1} V_{l+1}^T) \odot f'(z_l)
                     + e_l \odot f''(z_l) \odot R\{z_l\}                               \qquad (11) \\
    (H v)_{W_l} &= a_{l-1}^T R\{\delta_l\} + R\{a_{l-1}\}^T \delta_l + \tfrac{\alpha_l}{S} V_l,
    \quad (H v)_{b_l} = \textstyle\sum_i R\{\delta_{l,i}\}                             \qquad (12)

Leaving out every term with a delta or e that is not itself an R{.} leaves the Gauss-Newton matrix J' H_loss J, which is
never negative along any direction: (5) to (7) applied to (10) in place of (4).

Under dropout, which only mini-batches know, a random r_l, whose elements are 0 with probability p and else 1 / (1 - p),
stands between the layers: layer l + 1 takes in

.. math::

    \tilde a_l = r_l \odot a_l                                                        \qquad (13)

in place of a_l in (1) and (6), and (5) has r_l as a further factor. Its expectation is a_l.

This module is (1), (2), (5), (7) to (9), (11), (13), and (6) and (12) but for their terms of alpha, which the objective
adds; the loss is (4) and (10). In the code W_l is ``weights[l - 1]``, since Python counts from zero, while ``a[l]`` and
``delta[l]`` keep the numbers of the formulas: ``a[0]`` is the input.

All of this holds for a stack of networks as well, which are trained side by side: weights, biases and what is on the tape
then have a leading axis of members, and each member a batch of its own.

The functions write to buffers that the caller owns and allocate nothing but SciPy's products of sparse rows.

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


def forward(weights, biases, activations, rows, tape):
    """Run the network on a batch, leaving every layer's output on the tape.

    Parameters
    ----------
    weights, biases : lists of L arrays
    activations : sequence of L - 1 Activation
        One for each hidden layer.
    rows : {ndarray, sparse array} of shape (n_rows, n_features)
        The batch, a_0; of a stack one for each member, as an array with a leading axis or a list of sparse arrays.
    tape : Tape for n_rows
        ``tape.a`` is written, and what shares its memory or is computed with it: ``z`` and ``input``.

    Returns
    -------
    logits : ndarray of shape (n_rows, n_outputs)
        z_L, which is ``tape.z[L]``.
    """
    tape.a[0] = tape.input[0] = rows
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
    """Propagate delta_L back through the network, leaving every layer's delta on the tape.

    Parameters
    ----------
    weights : list of L arrays
    activations : sequence of L - 1 Activation
    tape : Tape
        As `forward` left it, with delta_L in ``tape.delta[L]``. The other deltas are written.
    """
    for layer in range(len(weights), 1, -1):
        error = np.matmul(tape.delta[layer], weights[layer - 1].mT, out=tape.error[layer - 1])
        if tape.factor[layer - 1] is not None:
            error *= tape.factor[layer - 1]  # (13)
        slope = activations[layer - 2].slope(tape.z[layer - 1], out=tape.slope[layer - 1])
        np.multiply(error, slope, out=tape.delta[layer - 1])  # (5)


def parameter_gradient(tape, gradient, columns=None):
    """The gradient of the loss term by the parameters, from the deltas.

    Parameters
    ----------
    tape : Tape
        As `backward` left it.
    gradient : Parameters
        Written: a_{l-1}^T delta_l in its weights, the column sums of delta_l in its biases.
    columns : ndarray of int, default=None
        The features that occur in sparse rows: by the weights of all others the derivative is 0, and not written.

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
        As `forward` and `backward` left it.
    direction : Parameters
        v, with V_l in its weights and c_l in its biases.
    tangent : TangentTape
        R{z_l} and R{a_l} are written.

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
    """Differentiate the backward pass along a direction of the parameters, writing the loss term of H v.

    Parameters
    ----------
    weights : list of L arrays
    activations : sequence of L - 1 Activation
    tape : Tape for tangents
        As `forward`, `backward` and `forward_tangent` left it.
    direction : Parameters
    tangent : TangentTape
        As `forward_tangent` left it, with R{delta_L} in ``tangent.delta[L]``. The other R{delta_l} are written.
    product : Parameters
        Written: H v without the term of alpha.
    room : Parameters
        Overwritten.

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


def _transposed(rows):
    if isinstance(rows, np.ndarray):
        return rows.mT
    return [member.T for member in rows] if isinstance(rows, list) else rows.T


def _multiply(left, right, out):
    """Write the matrix product of `left`, dense or sparse, and `right` to `out`."""
    if isinstance(left, np.ndarray):
        return np.matmul(left, right, out=out)
    if isinstance(left, list):
        for k, member in enumerate(left):
            out[k] = member @ right[k]
    else:
        out[...] = left @ right
    return out
