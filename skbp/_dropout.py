"""Dropout: in every training step another random part of the hidden units is left out.

What remains is scaled up by 1 / (1 - rate), *inverted* dropout, so that the expectation of every activation is the
activation itself, and predictions need no correction.

References
----------
Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks from
overfitting", Journal of Machine Learning Research 15 (2014), 1929-1958.
"""

from __future__ import annotations

import numpy as np

# Random numbers of 16 bits are compared with the rate, which is rounded to a multiple of 1 / N_LEVELS: they take half the
# time of floating-point ones.
N_LEVELS = 2**16


class Dropout:
    """Draws which units are left out.

    Parameters
    ----------
    rates : sequence of float
        For each hidden layer the probability that a unit is left out, in [0, 1).
    rngs : sequence of RandomState
        Of each member of a stack, or of the one network; used in order, layer by layer.

    Attributes
    ----------
    layers : list of bool
        For each hidden layer whether anything is left out.
    """

    def __init__(self, rates, rngs):
        self._rngs = rngs
        # A rate close to 1 must not be rounded to it.
        self._levels = [min(round(rate * N_LEVELS), N_LEVELS - 1) for rate in rates]
        self.layers = [level > 0 for level in self._levels]

    def draw(self, tape):
        """Fill the tape's factors anew: 0 for a unit left out, 1 / (1 - rate) for others."""
        for layer, level in enumerate(self._levels, start=1):
            if level > 0:
                factor = tape.factor[layer]
                for rng, member in zip(self._rngs, factor.reshape(len(self._rngs), -1), strict=True):
                    np.greater_equal(rng.randint(0, N_LEVELS, member.shape, dtype=np.uint16), level, out=member)
                factor *= N_LEVELS / (N_LEVELS - level)
