"""All weights and biases of a network as one flat vector.

Optimisers think of one vector theta; the mathematics of the network thinks of matrices W_1..W_L and vectors b_1..b_L.
Both are right, and the memory is the same: `Parameters` holds the vector, and its matrices are views of it. An update
rule is then a handful of operations on one array, whatever the number of layers.
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

    Attributes
    ----------
    vector : ndarray of shape (n_parameters,)
    weight_vector : ndarray of shape (n_weights,)
        The slice of `vector` that holds the weights of every layer.
    weights : list of L ndarrays, the l-th of shape (units[l], units[l + 1])
    biases : list of L ndarrays, the l-th of shape (units[l + 1],)
    """

    def __init__(self, units, dtype):
        self.units = tuple(units)
        shapes = list(pairwise(self.units))
        n_weights = sum(fan_in * fan_out for fan_in, fan_out in shapes)
        self.vector = np.empty(n_weights + sum(self.units[1:]), dtype)
        self.weight_vector = self.vector[:n_weights]
        self.weights, self.biases = [], []
        start = 0
        for fan_in, fan_out in shapes:
            end = start + fan_in * fan_out
            self.weights.append(self.vector[start:end].reshape(fan_in, fan_out))
            start = end
        for fan_out in self.units[1:]:
            end = start + fan_out
            self.biases.append(self.vector[start:end])
            start = end

    def like(self) -> Parameters:
        """Parameters of the same shapes and type with memory of their own."""
        return Parameters(self.units, self.vector.dtype)

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
