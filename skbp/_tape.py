"""The buffers that one sweep through the network writes.

The forward pass leaves every layer's activations for the backward pass to read. Memory for them is taken once and used
for all batches: allocating it anew for each costs more than some of the arithmetic.
"""

from __future__ import annotations

import numpy as np


class Tape:
    """Activations and deltas of one batch.

    With L layers of parameters:

    Attributes
    ----------
    a : list of L + 1 arrays
        ``a[0]`` is the batch of rows, set by the forward pass and possibly sparse; ``a[l]``, of shape
        (n_rows, units[l]), is the output of layer l. ``a[L]`` holds the logits, to which no activation is applied.
    delta : list of L + 1 arrays
        ``delta[l]``, of shape (n_rows, units[l]), is the derivative of the objective with respect to z_l; ``delta[0]``
        is None. Absent (an empty list) on a tape for prediction.
    slope : list of L + 1 arrays
        ``slope[l]`` is room for f'(z_l) of the hidden layers; they share one buffer.
    """

    def __init__(self, n_rows, units, dtype, backward=True):
        self.n_rows = n_rows
        self.a = [None, *(np.empty((n_rows, width), dtype) for width in units[1:])]
        self.delta, self.slope = [], []
        if backward:
            self.delta = [None, *(np.empty((n_rows, width), dtype) for width in units[1:])]
            buffer = np.empty(n_rows * max(units[1:-1], default=0), dtype)
            self.slope = [None, *(buffer[: n_rows * width].reshape(n_rows, width) for width in units[1:-1]), None]
        self._heads = {}

    def head(self, n_rows) -> Tape:
        """The tape for a smaller batch in the first rows of the same memory."""
        if n_rows == self.n_rows:
            return self
        if n_rows not in self._heads:
            head = object.__new__(Tape)
            head.n_rows, head._heads = n_rows, {}
            for name in ("a", "delta", "slope"):
                buffers = getattr(self, name)
                setattr(head, name, [None if buffer is None else buffer[:n_rows] for buffer in buffers])
            head.a[0] = None
            self._heads[n_rows] = head
        return self._heads[n_rows]
