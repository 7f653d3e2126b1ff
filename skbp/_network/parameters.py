"""All weights and biases of a network as one flat vector.

Optimisers think of one vector theta; the mathematics of the network thinks of matrices W_1..W_L and vectors b_1..b_L.
Both are right, and the memory is the same: `Parameters` holds the vector, and its matrices are views of it. An update
rule is then a handful of operations on one array, whatever the number of layers.

Of a *stack*, several networks of one shape that are trained side by side, every array has a leading axis of members.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np


class Parameters:
    """A flat vector seen as weights W_1..W_L and biases b_1..b_L.

    The weights come first, layer by layer, each in C order, and then the biases, so that what is penalised, the
    weights, is one slice. Writing to the vector changes the views and the other way round.

    Parameters
    ----------
    units : sequence of int
        Width of every layer from the input to the output, L + 1 numbers.
    dtype : dtype
        Type of the vector, whose elements are not set.
    members : tuple of int, default=()
        ``(n_members,)`` for a stack; ``()`` for one network.

    Attributes
    ----------
    vector : ndarray of shape (*members, n_parameters)
    weight_vector : ndarray of shape (*members, n_weights)
        The slice of `vector` that holds the weights of every layer.
    weights : list of L ndarrays, the l-th of shape (*members, units[l], units[l + 1])
    biases : list of L ndarrays, the l-th of shape (*members, units[l + 1])
    """

    def __init__(self, units, dtype, members=()):
        n_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(units))
        self._see(tuple(units), np.empty((*members, n_parameters), dtype))

    def _see(self, units, vector):
        """Lay the views of the layers over a vector."""
        self.units, self.vector = units, vector
        members = vector.shape[:-1]
        self.weights, self.biases = [], []
        start = 0
        for fan_in, fan_out in pairwise(units):
            end = start + fan_in * fan_out
            self.weights.append(vector[..., start:end].reshape(*members, fan_in, fan_out))
            start = end
        self.weight_vector = vector[..., :start]
        for fan_out in units[1:]:
            end = start + fan_out
            self.biases.append(vector[..., start:end])
            start = end

    @property
    def members(self) -> tuple[int, ...]:
        """``(n_members,)`` of a stack, ``()`` of one network."""
        return self.vector.shape[:-1]

    def member(self, i) -> Parameters:
        """One network of a stack, in the same memory."""
        member = object.__new__(Parameters)
        member._see(self.units, self.vector[i])
        return member

    def like(self) -> Parameters:
        """Parameters of the same shapes and type with memory of their own."""
        return Parameters(self.units, self.vector.dtype, self.members)

    def set(self, weights, biases) -> None:
        """Copy arrays of the shapes of `weights` and `biases` into the vector."""
        for mine, theirs in zip(self.weights + self.biases, [*weights, *biases], strict=True):
            mine[...] = theirs

    def draw(self, scales, rng) -> None:
        """Draw layer by layer, uniformly from +-sqrt(scale / (fan_in + fan_out)), its weights first and then its biases."""
        for scale, weight, bias in zip(scales, self.weights, self.biases, strict=True):
            bound = math.sqrt(scale / sum(weight.shape))
            weight[...] = rng.uniform(-bound, bound, weight.shape)
            bias[...] = rng.uniform(-bound, bound, bias.shape)

    def copies(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights and biases as arrays of their own; views would come apart when pickled."""
        return [w.copy() for w in self.weights], [b.copy() for b in self.biases]
