"""The forward pass of predictions: in chunks, and finite whatever the rows.

A network with finite weights may have sums beyond the largest number of its type on rows that lie far from those that it
was trained on. Plain arithmetic then gives inf, and inf - inf = nan, which a bounded activation may even hide. Such rows are
computed anew in float64 with an exponent of its own beside each number, so that sums cannot overflow. Their probabilities
saturate.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import issparse

from skbp._network.equations import forward
from skbp._network.tape import Tape
from skbp._training.threads import blas_threads

CHUNK_ROWS = 1024

# The least share of the largest number at which a logit counts as beyond it: losses and differences of such are finite.
ROOM = 1.0 / 16.0

# Powers of 2 from which numbers have an exponent of their own: what activations make of them must not overflow.
WIDE = 1000


def predict_logits(weights, biases, activations, X, *, to_scale=True):
    """The logits of all rows of X, in chunks, computed in the type of X.

    Parameters
    ----------
    weights, biases : lists of ndarray
    activations : sequence of Activation
    X : {ndarray, CSR array} of shape (n_rows, n_features)
    to_scale : bool, default=True
        What becomes of a row of several logits with one beyond the largest number: True scales all of them down by one
        factor, False cuts off those beyond. A single logit is cut off.

    Returns
    -------
    logits : ndarray of shape (n_rows, n_outputs)
        Finite.

    Raises
    ------
    ValueError
        If an activation gives nan for a finite number, if the weights are not finite, or if sums overflow before an
        activation that grows faster than its argument.
    """
    logits = []
    with blas_threads([X.shape[1], *map(len, biases)], min(X.shape[0], CHUNK_ROWS), issparse(X)):
        watches = [_Watch(activation) for activation in activations]
        for rows, chunk in plain_logits(weights, biases, watches, X):
            overflows = [watch.overflows for watch in watches if watch.overflows is not None]
            if overflows or not math.isfinite(np.add.reduce(chunk, axis=None)):
                overflow = np.logical_or.reduce([~np.isfinite(chunk).all(axis=1), *overflows])
                c, x = _wide_logits(weights, biases, activations, X[rows][overflow])
                chunk[overflow] = _narrowed(c, x, chunk.dtype, to_scale and chunk.shape[1] > 1)
            logits.append(chunk)
    return logits[0] if len(logits) == 1 else np.concatenate(logits)


class _Watch:
    """An activation that notices the rows of a chunk whose sums overflow before it is applied to them."""

    def __init__(self, activation):
        self._function = activation.function
        self.overflows = None

    def function(self, z, out):
        self.overflows = None
        if not math.isfinite(np.add.reduce(z, axis=None)):
            self.overflows = ~np.isfinite(z).all(axis=1)
        return self._function(z, out)


def plain_logits(weights, biases, activations, X):
    """The logits of one chunk of rows after the other, by plain arithmetic, which may overflow.

    Parameters
    ----------
    weights, biases, activations, X
        As for `predict_logits`.

    Yields
    ------
    rows : slice
    logits : ndarray of shape (n_rows of the chunk, n_outputs)
        An array of its own.
    """
    n_rows = X.shape[0]
    weights = [w.astype(X.dtype, copy=False) for w in weights]
    biases = [b.astype(X.dtype, copy=False) for b in biases]
    units = [X.shape[1], *(w.shape[1] for w in weights)]
    tape = Tape(min(n_rows, CHUNK_ROWS), units, X.dtype, passes="forward")
    if n_rows <= CHUNK_ROWS:
        yield slice(0, n_rows), forward(weights, biases, activations, X, tape)
        return
    for start in range(0, n_rows, CHUNK_ROWS):
        rows = slice(start, min(start + CHUNK_ROWS, n_rows))
        yield rows, forward(weights, biases, activations, X[rows], tape.head(rows.stop - start)).copy()


def _wide_logits(weights, biases, activations, X):
    """Logits as numbers c and exponents x >= 0, which stand for c * 2**x. Where x > 0, abs(c) is near 2**WIDE.

    A layer's numbers are scaled by the largest of the row, and its weights by the largest of the unit, each by a power of 2.
    """
    c = (X.toarray() if issparse(X) else X).astype(np.float64)
    x = np.zeros(c.shape, dtype=np.int64)
    largest = 2.0**WIDE
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        c, x = _wide_product(c, x, weight.astype(np.float64))
        c += np.where(x > 0, 0.0, bias.astype(np.float64).clip(-largest, largest))
        if layer < len(activations):
            if x.any() and not activations[layer].grows_linearly:
                raise ValueError("Sums overflow before an activation that grows faster than its argument: scale X.")
            c = activations[layer].function(c.copy(), out=np.zeros_like(c))
            # Of numbers this large, an activation that does not is their multiple or bounded.
            x = np.where(np.abs(c) > 2.0 ** (WIDE // 2), x, 0)
    if not np.isfinite(c).all():
        raise ValueError("The network's output is nan: its weights are not finite, or its activation gives nan.")
    return c, x


def _wide_product(c, x, weight):
    """(c * 2**x) @ weight as numbers and exponents."""
    mantissa, exponent = np.frexp(c)
    exponent = np.where(mantissa == 0.0, np.iinfo(np.int32).min, exponent + x)
    of_row = exponent.max(axis=1, keepdims=True, initial=np.iinfo(np.int32).min)
    of_unit = np.frexp(np.abs(weight).max(axis=0))[1].astype(np.int64)
    scaled = np.ldexp(mantissa, (exponent - of_row).clip(-2000, 0)) @ np.ldexp(weight, -of_unit)
    mantissa, exponent = np.frexp(scaled)
    exponent = np.where(mantissa == 0.0, 0, exponent + of_row + of_unit)
    x = (exponent - WIDE).clip(0, None)
    return np.ldexp(mantissa, (exponent - x).clip(-2000, None)), x


def _narrowed(c, x, dtype, to_scale):
    """Numbers and exponents as numbers of a type, rows scaled down or numbers cut off where they are beyond the largest."""
    limit = float(np.finfo(dtype).max)
    if not to_scale:
        return np.where(x > 0, np.sign(c) * limit, c).clip(-limit, limit)
    mantissa, exponent = np.frexp(c)
    exponent = np.where(mantissa == 0.0, 0, exponent + x)
    # With room for the sums of losses.
    shift = (exponent.max(axis=1, keepdims=True) - math.frexp(ROOM * limit)[1] + 1).clip(0, None)
    return np.ldexp(mantissa, (exponent - shift).clip(-2000, None))


def shrunk(z):
    """Rows as they are, or scaled down to leave room below the largest number of their type."""
    limit = ROOM * float(np.finfo(z.dtype).max)
    largest = np.abs(z).max(axis=1, keepdims=True)
    return np.where(largest > limit, z / largest * limit, z)
