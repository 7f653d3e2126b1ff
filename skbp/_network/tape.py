"""The buffers that one sweep through the network writes.

The forward pass leaves every layer's activations for the backward pass to read, and both leave what a product with the
Hessian reads. Memory for them is taken once and used for all batches: allocating it anew for each costs more than some
of the arithmetic.
"""

from __future__ import annotations

import math

import numpy as np

# Large data go through a network in chunks of so many rows. The activations of a chunk stay in the processor's cache, and
# their memory does not grow with the number of rows.
CHUNK_ROWS = 1024

# Sparse rows go in larger chunks, up to this many numbers in the activations: their cost beside the arithmetic is larger.
SPARSE_CHUNK_ELEMENTS = 2**20


def chunk_rows(n_units, sparse):
    """Rows of a chunk for a network with this many units after the input."""
    return max(CHUNK_ROWS, SPARSE_CHUNK_ELEMENTS // n_units) if sparse else CHUNK_ROWS


class Tape:
    """What forward and backward passes over one batch of rows leave behind.

    Each list has an entry for every layer l = 0..L, an array of shape (*members, n_rows, units[l]) without gaps in memory,
    or None where there is nothing.

    Parameters
    ----------
    n_rows : int
    units : sequence of int
        Width of every layer from the input to the output.
    dtype : dtype
    passes : {"forward", "backward", "tangent"}, default="backward"
        What the tape is for: the forward pass alone, also the backward pass, or tangents too, for which more is kept.
    keeps_z : sequence of bool, default=()
        For each hidden layer whether z_l is kept beside a_l; none if empty.
    drops : sequence of bool, default=()
        For each hidden layer whether dropout leaves out some of its units; none if empty.
    members : tuple of int, default=()
        ``(n_members,)`` for a stack of networks, each with a batch of its own; ``()`` for one network.

    Attributes
    ----------
    z : list
        z_l as it is computed, and after the activation what f' and f'' are functions of: z_l where it is kept; elsewhere
        a_l, which overwrites it. ``z[L]`` holds the logits.
    a : list
        ``a[0]`` is the batch of rows, set by the forward pass and possibly sparse; ``a[l]`` is the output of layer l.
        ``a[L]`` is ``z[L]``, to which no activation is applied.
    input : list
        What layer l + 1 takes in: ``a[l]``, or under dropout a copy of it with some units left out.
    factor : list
        Under dropout the factors of the units, 0 for those left out; written by whoever draws them.
    ones : ndarray of shape (n_rows,)
        To sum over the rows by a matrix product, which takes a third of the time of NumPy's sum.
    delta : list
        The derivative of the objective by z_l.
    error : list
        Of hidden layers the derivative of the objective by a_l. It shares the memory of `delta`, which overwrites it,
        unless the tape is for tangents.
    slope : list
        f'(z_l) of hidden layers. They share one buffer unless the tape is for tangents.
    """

    def __init__(self, n_rows, units, dtype, passes="backward", keeps_z=(), drops=(), members=()):
        hidden, rows = list(units[1:-1]), (*members, n_rows)
        self.n_rows = n_rows
        self.ones = np.ones(n_rows, dtype)
        self.a = [None, *_buffers(rows, units[1:], dtype)]
        self.z = _where(keeps_z, self.a, rows, units, dtype)
        self.input = _where(drops, self.a, rows, units, dtype)
        self.factor = _where(drops, [None] * len(units), rows, units, dtype)
        self.delta, self.error, self.slope = [], [], []
        if passes != "forward":
            self.delta = [None, *_buffers(rows, units[1:], dtype)]
        if passes == "backward":
            self.error = [*self.delta[:-1], None]
            self.slope = [None, *_shared_buffers(rows, hidden, dtype), None]
        elif passes == "tangent":
            self.error = [None, *_buffers(rows, hidden, dtype), None]
            self.slope = [None, *_buffers(rows, hidden, dtype), None]
        self._heads = {}

    def head(self, n_rows) -> Tape:
        """The tape for a smaller batch in the first rows of the same memory."""
        return _head(self, n_rows, ("z", "a", "input", "factor", "delta", "error", "slope"))


class TangentTape:
    """Directional derivatives, R{.}, of what is on a Tape, lists as there.

    Attributes
    ----------
    ones : ndarray of shape (n_rows,)
    z, a, delta : list
        R{z_l}, R{a_l} (of hidden layers only) and R{delta_l}.
    scratch : list
        Room for a further product of the layer's shape; they share one buffer.
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
        """The tape for a smaller batch in the first rows of the same memory."""
        return _head(self, n_rows, ("z", "a", "delta", "scratch"))


def _buffers(rows, widths, dtype):
    return [np.empty((*rows, width), dtype) for width in widths]


def _shared_buffers(rows, widths, dtype):
    """Arrays for layers of these widths in the same memory."""
    buffer = np.empty(math.prod(rows) * max(widths, default=0), dtype)
    return [_first_rows(buffer, (*rows, width)) for width in widths]


def _where(wanted, otherwise, rows, units, dtype):
    """A list over all layers: a buffer where a hidden layer is `wanted`, what `otherwise` has at the others."""
    layers = list(otherwise)
    for layer, is_wanted in enumerate(wanted, start=1):
        if is_wanted:
            layers[layer] = np.empty((*rows, units[layer]), dtype)
    return layers


def _first_rows(buffer, shape):
    """An array of this shape, without gaps, in the first part of the buffer's memory."""
    return buffer.reshape(-1)[: math.prod(shape)].reshape(shape)


def _head(tape, n_rows, lists):
    if n_rows == tape.n_rows:
        return tape
    if n_rows not in tape._heads:
        head = object.__new__(type(tape))
        head.n_rows, head.ones, head._heads = n_rows, tape.ones[:n_rows], {}
        views: dict = {}

        def view(buffer):
            # What is one array on the tape is one array on its head.
            if buffer is not None and id(buffer) not in views:
                views[id(buffer)] = _first_rows(buffer, (*buffer.shape[:-2], n_rows, buffer.shape[-1]))
            return views.get(id(buffer))

        for name in lists:
            _, *others = getattr(tape, name) or [None]
            setattr(head, name, [None, *map(view, others)])
        tape._heads[n_rows] = head
    return tape._heads[n_rows]
