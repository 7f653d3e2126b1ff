"""Dropout: every training step leaves out a random part of the hidden units.

The other units are multiplied by 1 / (1 - rate): *inverted* dropout. So the expectation of every activation is the
activation itself, and predictions need no correction.

References
----------
Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks from
overfitting", Journal of Machine Learning Research 15 (2014), 1929-1958.
"""

from __future__ import annotations

import numpy as np

from skbp import _core

# Random numbers of 16 bits are compared with the rate, which is rounded to a multiple of 1 / N_LEVELS. One draw of 64 bits
# gives four of them. The raw output of SFC64 takes a sixth of the time of RandomState.
N_LEVELS = 2**16


class Dropout:
    """Draws the units that are left out.

    Parameters
    ----------
    rates : sequence of float
        For each hidden layer, the probability in [0, 1) that a unit is left out.
    rngs : sequence of RandomState
        One for each member of a stack, or one for a single network. At the first draw, each seeds a generator.

    Attributes
    ----------
    layers : list of bool
        For each hidden layer, whether units are left out.
    """

    def __init__(self, rates, rngs):
        self._rngs = rngs
        self._generators: list = []
        # A rate close to 1 must not be rounded to 1.
        self._levels = [min(round(rate * N_LEVELS), N_LEVELS - 1) for rate in rates]
        self.layers = [level > 0 for level in self._levels]

    @property
    def state(self) -> list[dict]:
        """Everything that later draws depend on: a dict for each generator."""
        return [generator.state for generator in self._generators]

    @state.setter
    def state(self, states):
        self._generators = [np.random.SFC64() for _ in states]
        for generator, state in zip(self._generators, states, strict=True):
            generator.state = state

    def draw(self, tape, n_threads=0):
        """Draw the factors on the tape: 0 for a unit that is left out, 1 / (1 - rate) for the others.

        `n_threads` is the most threads of the compiled core; with 0 NumPy computes. Both draw the same.
        """
        if not any(self.layers):
            return
        if not self._generators:
            self._generators = [np.random.SFC64(rng.randint(2**32, dtype=np.uint32)) for rng in self._rngs]
        for factor, level in zip(tape.factor[1:], self._levels, strict=False):
            if factor is None:
                continue
            kept = N_LEVELS / (N_LEVELS - level)
            if n_threads:
                _core.draw_factors(self._generators, factor, level, kept, n_threads)
            else:
                for generator, member in zip(self._generators, factor.reshape(len(self._rngs), -1), strict=True):
                    noise = generator.random_raw(-(-member.size // 4)).view(np.uint16)[: member.size]
                    np.greater_equal(noise, level, out=member)
                np.multiply(factor, kept, out=factor)
