"""What training minimises, as a function of the parameters on given data.

The objective stands between the network and the solvers: a solver asks for the value and the gradient on some rows, or
on all of them, and knows nothing of layers, losses or buffers; the objective knows no solver. It alone knows that a
sweep over many rows goes in chunks: a chunk's activations stay in the processor's cache, and their memory does not grow
with the number of rows.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse

from skbp._network import backward, forward
from skbp._tape import Tape

CHUNK_ROWS = 1024


class Objective:
    r"""F(theta) = (1/S) sum_i s_i loss(z_i, y_i) + alpha/(2S) sum_l ||W_l||^2, with its gradient.

    The sums run over the rows at hand, a batch or all, and S is the sum of their weights s_i: the mean is over the rows,
    and the penalty's share shrinks with their number. Biases are not penalised.

    Parameters
    ----------
    params : Parameters
        theta. Solvers write to ``params.vector``; what is computed is at the values that it then holds.
    activations : sequence of Activation
        One for each hidden layer.
    loss : Loss
    alpha : float
    X : {ndarray, CSR array} of shape (n_rows, n_features) and the type of `params`
    target : ndarray of n_rows
        As `loss` wants it.
    row_weight : ndarray of shape (n_rows,), default=None
        s_i; None for ones.

    Attributes
    ----------
    gradient : Parameters
        Written by `value_and_gradient`.
    """

    def __init__(self, params, activations, loss, alpha, X, target, row_weight=None):
        self.params = params
        self.gradient = params.like()
        self._activations = activations
        self._loss = loss
        self._alpha = float(alpha)
        self._X = X
        self._target = target
        self._row_weight = row_weight
        self._penalty_gradient = params.like().weight_vector
        self._chunk_gradient = None
        self._tape = None

    @property
    def n_rows(self) -> int:
        return self._X.shape[0]

    def value_and_gradient(self, rows=slice(None)):
        """F on some rows at ``params``; its gradient is left in ``gradient``.

        Parameters
        ----------
        rows : slice of step 1 or ndarray of int, default=slice(None)

        Returns
        -------
        value : float or None
            None if the rows' weights are all zero: then they say nothing, and the gradient is not written.
        """
        weight_sum = self._weight_sum(rows)
        if weight_sum == 0.0:
            return None
        value = 0.0
        for k, chunk in enumerate(_chunks(rows, self.n_rows)):
            into = self.gradient if k == 0 else self._room_for_chunk()
            value += self._sweep(chunk, weight_sum, into)
            if k > 0:
                self.gradient.vector += into.vector
        return value + self._add_penalty(weight_sum)

    def _weight_sum(self, rows):
        """S, the sum of the weights of the rows."""
        if self._row_weight is not None:
            return float(self._row_weight[rows].sum(dtype=np.float64))
        return float(len(range(self.n_rows)[rows]) if isinstance(rows, slice) else len(rows))

    def _take(self, rows):
        """X, target and weights of the rows: views where they are a slice of dense data, else copies."""
        row_weight = None if self._row_weight is None else self._row_weight[rows]
        if isinstance(rows, slice) or issparse(self._X):
            return self._X[rows], self._target[rows], row_weight
        return self._X.take(rows, axis=0), self._target.take(rows, axis=0), row_weight

    def _sweep(self, rows, weight_sum, gradient):
        """Forward and backward over one chunk: its share of F's loss term, whose gradient is written."""
        X, target, row_weight = self._take(rows)
        tape = self._tape_for(X.shape[0])
        logits = forward(self.params.weights, self.params.biases, self._activations, X, tape)
        delta = tape.delta[-1]
        losses = self._loss.loss_gradient(logits, target, out=delta)  # (4)
        if row_weight is not None:
            losses *= row_weight
            delta *= row_weight[:, None]
        delta *= 1.0 / weight_sum
        backward(self.params.weights, self._activations, tape, gradient)
        return float(losses.sum(dtype=np.float64)) / weight_sum  # (3)

    def _add_penalty(self, weight_sum):
        """The penalty of (3); its gradient, the second term of (6), is added to ``gradient``."""
        if self._alpha == 0.0:
            return 0.0
        strength = self._alpha / weight_sum
        weights = self.params.weight_vector
        np.multiply(weights, strength, out=self._penalty_gradient)
        np.add(self.gradient.weight_vector, self._penalty_gradient, out=self.gradient.weight_vector)
        return 0.5 * strength * float(np.dot(weights, weights))

    def _tape_for(self, n_rows):
        if self._tape is None or self._tape.n_rows < n_rows:
            self._tape = Tape(n_rows, self.params.units, self.params.vector.dtype)
        return self._tape.head(n_rows)

    def _room_for_chunk(self):
        if self._chunk_gradient is None:
            self._chunk_gradient = self.params.like()
        return self._chunk_gradient


def _chunks(rows, n_rows):
    """Split a selection of rows, a slice or an array of indices, into pieces of at most CHUNK_ROWS."""
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(n_rows)
        return [slice(i, min(i + CHUNK_ROWS, stop)) for i in range(start, stop, CHUNK_ROWS)]
    return [rows[i : i + CHUNK_ROWS] for i in range(0, len(rows), CHUNK_ROWS)]


def predict_logits(weights, biases, activations, X):
    """The logits of all rows of X, in chunks, computed in the type of X.

    Parameters
    ----------
    weights, biases : lists of ndarray
    activations : sequence of Activation
    X : {ndarray, CSR array} of shape (n_rows, n_features)

    Returns
    -------
    logits : ndarray of shape (n_rows, n_outputs)
    """
    n_rows = X.shape[0]
    weights = [w.astype(X.dtype, copy=False) for w in weights]
    biases = [b.astype(X.dtype, copy=False) for b in biases]
    units = [X.shape[1], *(w.shape[1] for w in weights)]
    tape = Tape(min(n_rows, CHUNK_ROWS), units, X.dtype, backward=False)
    if n_rows <= CHUNK_ROWS:
        return forward(weights, biases, activations, X, tape)
    return np.concatenate(
        [
            forward(weights, biases, activations, X[chunk], tape.head(chunk.stop - chunk.start)).copy()
            for chunk in _chunks(slice(None), n_rows)
        ]
    )
