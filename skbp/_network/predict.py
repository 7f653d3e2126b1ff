"""The forward pass of predictions: chunk by chunk, with finite results for every finite row.

A network with finite weights may have sums beyond the largest number of its type on rows far from its training data. Plain
arithmetic then gives inf, and inf - inf = nan, which a bounded activation may even hide. Such rows are computed again in
float64, with a separate exponent for each number, so that sums cannot overflow. Their probabilities saturate.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import issparse

from skbp import _core
from skbp._network.compiled import numbers_of
from skbp._network.equations import forward
from skbp._network.tape import CHUNK_ROWS, Tape

# A logit above this share of the largest number counts as beyond it. So losses and differences of logits stay finite.
ROOM = 1.0 / 16.0

# The compiled core takes larger chunks: up to this many rows, multiplications and logits. It then waits less often for its
# threads. Ctrl-C waits for a chunk.
MOST_ROWS, MOST_MULTIPLICATIONS, MOST_LOGITS = 2 * CHUNK_ROWS, 2**29, 2**18

# Numbers from 2**WIDE on have a separate exponent. Activations must not overflow below it.
WIDE = 1000


class Forward:
    """The forward pass of one network over chunks of rows.

    Parameters
    ----------
    weights, biases : lists of ndarray
        Cast once to the type of the rows.
    activations : sequence of Activation
    dtype : dtype
        Type of the rows and of the results.
    to_scale : bool, default=True
        What happens to a row of several logits if one of them is beyond the largest number. True scales all of them down
        by one factor. False cuts off those beyond. A single logit is cut off.
    n_threads : int, default=0
        The most threads of the compiled core that share a chunk. 0 means that NumPy computes.

    Attributes
    ----------
    units : list of int
        Width of every layer from the input to the output.
    chunk_rows : int
        Rows in a chunk of many.
    """

    def __init__(self, weights, biases, activations, dtype, *, to_scale=True, n_threads=0):
        self._weights = [w.astype(dtype, order="C", copy=False) for w in weights]
        self._biases = [b.astype(dtype, order="C", copy=False) for b in biases]
        self._exact = weights, biases
        self._activations = activations
        self._dtype, self._to_scale = dtype, to_scale
        self._tape: Tape | None = None
        self.units = [weights[0].shape[0], *map(len, biases)]
        self._numbers, self._n_threads = numbers_of(activations, np.dtype(dtype), n_threads), n_threads
        self.chunk_rows = CHUNK_ROWS
        if self._numbers is not None:
            multiplications = sum(weight.size for weight in weights)
            most = min(MOST_ROWS, MOST_MULTIPLICATIONS // multiplications, MOST_LOGITS // self.units[-1])
            self.chunk_rows = max(CHUNK_ROWS, most)

    @property
    def uses_core(self) -> bool:
        """Whether the compiled core computes, where no sum overflows."""
        return self._numbers is not None

    def logits(self, X):
        """The logits of one chunk of rows.

        Parameters
        ----------
        X : {ndarray, CSR array} of shape (n_rows, n_features)
            Finite.

        Returns
        -------
        logits : ndarray of shape (n_rows, n_outputs)
            Finite. The next call overwrites it.

        Raises
        ------
        ValueError
            If an activation gives nan for a finite number, if the weights are not finite, or if sums overflow before an
            activation that grows faster than its argument.
        """
        logits = self._by_core(X)
        if logits is not None:
            return logits
        watches = [_Watch(activation) for activation in self._activations]
        logits = forward(self._weights, self._biases, watches, X, self._tape_for(X.shape[0]))
        overflows = [watch.overflows for watch in watches if watch.overflows is not None]
        if overflows or not math.isfinite(np.add.reduce(logits, axis=None)):
            overflow = np.logical_or.reduce([~np.isfinite(logits).all(axis=1), *overflows])
            c, x = _wide_logits(*self._exact, self._activations, X[overflow])
            logits[overflow] = _narrowed(c, x, logits.dtype, self._to_scale and logits.shape[1] > 1)
        return logits

    def plain_logits(self, X):
        """The logits of one chunk of rows by plain arithmetic, which may overflow. The next call overwrites them."""
        logits = self._by_core(X)
        if logits is not None:
            return logits
        return forward(self._weights, self._biases, self._activations, X, self._tape_for(X.shape[0]))

    def _by_core(self, X):
        """The logits by the compiled core. None if it does not know the activations, or if a sum is not finite."""
        if self._numbers is None:
            return None
        return _core.forward(self._weights, self._biases, self._numbers, X, self._n_threads)

    def _tape_for(self, n_rows):
        if self._tape is None or self._tape.n_rows < n_rows:
            self._tape = Tape(n_rows, self.units, self._dtype, passes="forward")
        return self._tape.head(n_rows)


class _Watch:
    """An activation that notes the rows with sums that overflowed before it."""

    def __init__(self, activation):
        self._function = activation.function
        self.overflows = None

    def function(self, z, out):
        self.overflows = None
        if not math.isfinite(np.add.reduce(z, axis=None)):
            self.overflows = ~np.isfinite(z).all(axis=1)
        return self._function(z, out)


def logits_of_all(network, batches):
    """The logits of all rows as one array, by plain arithmetic if they would be nan.

    Parameters
    ----------
    network : Forward
    batches : sequence of Batch

    Returns
    -------
    logits : ndarray of shape (n_rows, n_outputs)
    """
    try:
        return np.concatenate([network.logits(batch.X).copy() for batch in batches])
    except ValueError:  # a user's own activation is nan somewhere
        return np.concatenate([network.plain_logits(batch.X).copy() for batch in batches])


def _wide_logits(weights, biases, activations, X):
    """Logits as numbers c and exponents x >= 0 that stand for c * 2**x. Where x > 0, abs(c) is near 2**WIDE.

    The numbers of a layer are divided by the largest of their row, and its weights by the largest of their unit, each by a
    power of 2.
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
            # For numbers this large a slowly growing activation gives a multiple of its argument, or is bounded.
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
    """Numbers and exponents as numbers of a type. Beyond the largest number, rows are scaled down or numbers cut off."""
    limit = float(np.finfo(dtype).max)
    if not to_scale:
        return np.ldexp(c, x.clip(None, 2000)).clip(-limit, limit)
    mantissa, exponent = np.frexp(c)
    exponent = np.where(mantissa == 0.0, 0, exponent + x)
    # Sums of losses need room too.
    shift = (exponent.max(axis=1, keepdims=True) - math.frexp(ROOM * limit)[1] + 1).clip(0, None)
    return np.ldexp(mantissa, (exponent - shift).clip(-2000, None))


def shrunk(z):
    """Rows, scaled down if they leave too little room below the largest number of their type."""
    limit = ROOM * float(np.finfo(z.dtype).max)
    largest = np.abs(z).max(axis=1, keepdims=True)
    return np.where(largest > limit, z / largest * limit, z)
