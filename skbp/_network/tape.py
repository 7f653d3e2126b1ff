"""The buffers that one sweep through the network writes.

The forward pass stores the activations of every layer, and the backward pass reads them. Products with the Hessian read
what both passes store. The buffers are allocated once and used for all batches: new memory for each batch would cost more
than some of the arithmetic.
"""

from __future__ import annotations

import math

import numpy as np

# Large data go through a network in chunks of this many rows. The activations of a chunk stay in the processor's cache, and
# their memory does not grow with the number of rows.
CHUNK_ROWS = 1024

# Sparse rows go in larger chunks, with up to this many numbers in the activations: each sparse chunk has a larger fixed cost
# besides the arithmetic.
SPARSE_CHUNK_ELEMENTS = 2**20


def chunk_rows(n_units, sparse):
    """The number of rows in a chunk, for a network with this many units after the input."""
    return max(CHUNK_ROWS, SPARSE_CHUNK_ELEMENTS // n_units) if sparse else CHUNK_ROWS


class Tape:
    """What the forward and the backward pass over one batch of rows store.

    Each list has an entry for every layer l = 0..L: a contiguous array of shape (*members, n_rows, units[l]), or None if
    there is nothing to store.

    Parameters
    ----------
    n_rows : int
    units : sequence of int
        Width of every layer from the input to the output.
    dtype : dtype
    passes : {"forward", "backward", "tangent"}, default="backward"
        What the tape is for: the forward pass alone, the backward pass too, or also tangents, which need more arrays.
    keeps_z : sequence of bool, default=()
        For each hidden layer, whether z_l is kept in addition to a_l. Empty means for none.
    drops : sequence of bool, default=()
        For each hidden layer, whether dropout leaves out some of its units. Empty means for none.
    members : tuple of int, default=()
        ``(n_members,)`` for a stack of networks, each with its own batch; ``()`` for one network.

    Attributes
    ----------
    z : list
        z_l if it is kept. Otherwise the activation overwrites z_l with a_l. The slope f' and the curvature f'' are functions
        of this entry. ``z[L]`` holds the logits.
    a : list
        ``a[0]`` is the batch of rows, which may be sparse; the forward pass sets it. ``a[l]`` is the output of layer l.
        ``a[L]`` is ``z[L]``: the last layer has no activation.
    input : list
        The input of layer l + 1: ``a[l]``, or with dropout the product of ``a[l]`` and ``factor[l]``.
    factor : list
        With dropout, the factors of the units: 0 for a unit that is left out. `Dropout.draw` writes them.
    ones : ndarray of shape (n_rows,)
        A matrix product with it is a sum over the rows. That takes a third of the time of NumPy's sum.
    delta : list
        The derivative of the objective by z_l.
    error : list
        The derivative of the objective by a_l, for hidden layers. It shares the memory of `delta`, which overwrites it,
        unless the tape is for tangents.
    slope : list
        f'(z_l), for hidden layers. All layers share one buffer unless the tape is for tangents.
    """

    def __init__(self, n_rows, units, dtype, passes="backward", keeps_z=(), drops=(), members=()):
        hidden, shape = list(units[1:-1]), (*members, n_rows)
        self.n_rows = n_rows
        self.ones = np.ones(n_rows, dtype)
        self.a = [None, *_buffers(shape, units[1:], dtype)]
        self.z = _where(keeps_z, self.a, shape, units, dtype)
        self.input = _where(drops, self.a, shape, units, dtype)
        self.factor = _where(drops, [None] * len(units), shape, units, dtype)
        self.delta, self.error, self.slope = [], [], []
        if passes != "forward":
            self.delta = [None, *_buffers(shape, units[1:], dtype)]
        if passes == "backward":
            self.error = [*self.delta[:-1], None]
            self.slope = [None, *_shared_buffers(shape, hidden, dtype), None]
        elif passes == "tangent":
            self.error = [None, *_buffers(shape, hidden, dtype), None]
            self.slope = [None, *_buffers(shape, hidden, dtype), None]
        self._heads = {}

    def head(self, n_rows) -> Tape:
        """The tape for a smaller batch, in the first rows of the same memory."""
        return _head(self, n_rows, ("z", "a", "input", "factor", "delta", "error", "slope"))


class TangentTape:
    """The directional derivatives R{.} of the arrays on a Tape, in lists of the same form.

    Attributes
    ----------
    ones : ndarray of shape (n_rows,)
    z, a, delta : list
        R{z_l}, R{a_l} (for hidden layers only) and R{delta_l}.
    scratch : list
        Room for one more product of the layer's shape. All layers share one buffer.
    """

    def __init__(self, n_rows, units, dtype):
        self.n_rows = n_rows
        self.ones = np.ones(n_rows, dtype)
        self.z = [None, *_buffers((n_rows,), units[1:], dtype)]
        self.a = [None, *_buffers((n_rows,), units[1:-1], dtype), None]
        self.delta = [None, *_buffers((n_rows,), units[1:], dtype)]
        self.scratch = [None, *_shared_buffers((n_rows,), units[1:], dtype)]
        self._heads = {}

    def head(self, n_rows) -> TangentTape:
        """The tape for a smaller batch, in the first rows of the same memory."""
        return _head(self, n_rows, ("z", "a", "delta", "scratch"))


def _buffers(shape, widths, dtype):
    return [np.empty((*shape, width), dtype) for width in widths]


def _shared_buffers(shape, widths, dtype):
    """Arrays for layers of these widths, all in the same memory."""
    buffer = np.empty(math.prod(shape) * max(widths, default=0), dtype)
    return [_first_rows(buffer, (*shape, width)) for width in widths]


def _where(wanted, otherwise, shape, units, dtype):
    """A list over all layers: a new buffer for each hidden layer that is `wanted`, else the entry of `otherwise`."""
    layers = list(otherwise)
    for layer, is_wanted in enumerate(wanted, start=1):
        if is_wanted:
            layers[layer] = np.empty((*shape, units[layer]), dtype)
    return layers


def _first_rows(buffer, shape):
    """A contiguous array of this shape in the first part of the buffer's memory."""
    return buffer.reshape(-1)[: math.prod(shape)].reshape(shape)


def _head(tape, n_rows, lists):
    if n_rows == tape.n_rows:
        return tape
    if n_rows not in tape._heads:
        head = object.__new__(type(tape))
        head.n_rows, head.ones, head._heads = n_rows, tape.ones[:n_rows], {}
        views: dict = {}

        def view(buffer):
            # Entries that are one array on the tape must be one array on its head too.
            if buffer is not None and id(buffer) not in views:
                views[id(buffer)] = _first_rows(buffer, (*buffer.shape[:-2], n_rows, buffer.shape[-1]))
            return views.get(id(buffer))

        for name in lists:
            _, *others = getattr(tape, name) or [None]
            setattr(head, name, [None, *map(view, others)])
        tape._heads[n_rows] = head
    return tape._heads[n_rows]
