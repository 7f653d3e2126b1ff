r"""How strongly the output of a network depends on each of its features.

The Fisher information of the logits z of a row is H = diag(p) - p p' for softmax outputs, and the diagonal of p (1 - p) for
logistic ones: the Hessian of the loss. With R R' = H, and r_k the columns of R, feature j has the sensitivity

.. math:: g_j = \operatorname{mean}_i \operatorname{mean}_k \left( r_k' \, \partial z_i / \partial x_j \right)^2 .

It is how much the distribution of the classes changes, in the mean over the rows, if the feature changes a little. A step of
backpropagation gives the derivatives by the sums of the first layer, exactly, and its weights those by the features.
"""

from __future__ import annotations

import numpy as np

from skbp._network.equations import backward, forward
from skbp._network.tape import Tape

# For more outputs than this, random sums of the columns with signs stand for them: the expectation is the same.
MOST_DIRECTIONS = 16

# Factors are cut off at this value. Then all are brought to a mean square of 1 again.
MOST_RELEVANT = 4.0


def sensitivity(weights, biases, activations, loss, X):
    """g_j of each feature.

    Parameters
    ----------
    weights, biases : lists of L arrays
        Of one network.
    activations : sequence of L - 1 Activation
    loss : Loss
    X : {ndarray, sparse array} of shape (n_rows, n_features)
        Of the type of the weights.

    Returns
    -------
    g : ndarray of float64 of shape (n_features,)
    """
    units = [weights[0].shape[0], *map(len, biases)]
    tape = Tape(X.shape[0], units, weights[0].dtype, "backward", [one.needs_z for one in activations])
    logits = forward(weights, biases, activations, X, tape)
    products, sums = np.zeros((units[1], units[1])), _sums(logits.shape[1])
    for coefficients in sums:
        np.copyto(tape.delta[-1], loss.fisher_root(logits, coefficients))
        backward(weights, activations, tape)
        delta = tape.delta[1].astype(np.float64)
        products += delta.T @ delta
    # The squares of W delta, summed over the rows, are the diagonal of W (sum of delta delta') W'.
    size = np.trace(products) or 1.0
    W = weights[0]
    g = np.einsum("jh,jh->j", W @ (products / size).astype(W.dtype), W, dtype=np.float64)
    return np.maximum(g, 0.0) * (size / X.shape[0] / len(sums))


def _sums(n_outputs):
    """Coefficients of sums of the columns of R: each column alone, or random signs for all."""
    if n_outputs <= MOST_DIRECTIONS:
        return np.eye(n_outputs)
    signs = np.random.RandomState(0).randint(2, size=(MOST_DIRECTIONS, n_outputs)) * 2.0 - 1.0
    return signs / n_outputs**0.5


def relevance(g):
    """The roots of sensitivities, cut off where they are far above the others, with a mean square of 1."""
    factors = np.sqrt(np.where(np.isfinite(g), g, 0.0))
    for most in (MOST_RELEVANT, np.inf):
        size = np.sqrt(np.mean(np.square(factors)))
        factors = np.minimum(factors / size, most) if size > 0.0 else np.ones(len(g))
    return factors
