"""All weights and biases of a network as one flat vector.

An optimiser works on one vector theta. The mathematics of a network works on matrices W_1..W_L and vectors b_1..b_L.
`Parameters` is both: it holds the vector, and the matrices are views of the same memory. An update rule is then a few
operations on one array, whatever the number of layers.

A *stack* is several networks of one shape that train side by side. All of its arrays have a leading axis of members.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np


class Parameters:
    """A flat vector seen as weights W_1..W_L and biases b_1..b_L.

    The vector holds the weights first, layer by layer, each in C order, and then the biases. So the penalised part, the
    weights, is one slice. A change of the vector changes the views, and a change of the views changes the vector.

    Parameters
    ----------
    units : sequence of int
        Width of every layer from the input to the output, L + 1 numbers.
    dtype : dtype
        Type of the vector. Its elements are not set.
    members : tuple of int, default=()
        ``(n_members,)`` for a stack; ``()`` for one network.

    Attributes
    ----------
    vector : ndarray of shape (*members, n_parameters)
    flat : ndarray of shape (n_members * n_parameters,)
        The parameters of all members in one vector.
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
        self.units, self.vector, self.flat = units, vector, vector.reshape(-1)
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
        """``(n_members,)`` for a stack, ``()`` for one network."""
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
        """Draw every layer uniformly from +-sqrt(scale / (fan_in + fan_out)), its weights first and then its biases."""
        for scale, weight, bias in zip(scales, self.weights, self.biases, strict=True):
            bound = math.sqrt(scale / sum(weight.shape))
            weight[...] = rng.uniform(-bound, bound, weight.shape)
            bias[...] = rng.uniform(-bound, bound, bias.shape)

    def copies(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights and biases as separate arrays. Views would lose their common memory in a pickle."""
        return [w.copy() for w in self.weights], [b.copy() for b in self.biases]


class Gradient(Parameters):
    """The derivative of the objective by every parameter, and which of them a sparse batch leaves at 0.

    Attributes
    ----------
    columns : ndarray of int or None
        The features that occur in a sparse batch. The derivatives by the first layer's weights of all other features are
        0 and have not been written. None means that every derivative has been written.
    """

    def __init__(self, units, dtype, members=()):
        super().__init__(units, dtype, members)
        self.columns: np.ndarray | None = None

    def update(self, params, step, learning_rate) -> None:
        """Let an update rule change the parameters, all of them or those that the batch reached.

        Parameters
        ----------
        params : Parameters
            Changed in place.
        step : callable (theta, gradient, learning_rate) -> None
            Changes the vector theta in place. The elements of theta must not depend on each other.
        learning_rate : float
        """
        theta, gradient = params.flat, self.flat
        if self.columns is not None:
            # The weights of the first layer are the first in the vector.
            weights = params.weights[0]
            moved = weights[self.columns]
            step(moved.reshape(-1), self.weights[0][self.columns].reshape(-1), learning_rate)
            weights[self.columns] = moved
            theta, gradient = theta[weights.size :], gradient[weights.size :]
        step(theta, gradient, learning_rate)
