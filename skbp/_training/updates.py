"""Update rules: how a stochastic solver turns a gradient into a step.

A rule gets the parameters and their gradient as flat vectors and changes the parameters in place. It keeps its memory, such
as a velocity or moments, in `state`: a plain dict, which can be read and set so that training can resume. ``UPDATES`` maps a
solver's name to its rule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from skbp import _core
from skbp._training.threads import LONG, MOST_THREADS, core_threads, for_each_block


class UpdateRule(ABC):
    """The formula of one step, on flat vectors.

    1. `step` changes `theta` in place, does not change `gradient`, and returns nothing.
    2. The constructor takes as keywords the parameters of the estimator that ``parameters`` names.
    3. ``state`` holds everything that a later step depends on, as numbers and arrays. It is empty before the first step.
    4. ``memoryless`` is true if no step depends on another, and no step moves a parameter with a derivative of 0.
    """

    name: ClassVar[str] = ""
    parameters: tuple[str, ...]
    memoryless = False
    # Whether the compiled core computes, where there is one.
    compiled = _core.BatchKernel is not None

    def __init__(self):
        self.state: dict = {}

    @abstractmethod
    def step(self, theta, gradient, learning_rate):
        """Change `theta` by one step against `gradient`."""

    def _core_threads(self, theta):
        """The threads of the compiled core for a step; 0 if NumPy computes."""
        if not self.compiled or theta.dtype.char not in _core.TYPES:
            return 0
        return min(core_threads(), MOST_THREADS) if theta.size >= LONG else 1


class SGD(UpdateRule):
    r"""Stochastic gradient descent with momentum mu and learning rate eta.

    .. math:: v \leftarrow \mu v - \eta g, \qquad \theta \leftarrow \theta + v

    Nesterov's momentum makes the step look ahead: theta changes by mu v - eta g with the new v.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013.
    """

    name = "sgd"
    parameters = ("momentum", "nesterovs_momentum")

    def __init__(self, momentum, nesterovs_momentum):
        super().__init__()
        self.momentum = float(momentum)
        self.memoryless = self.momentum == 0.0
        self.nesterovs_momentum = nesterovs_momentum

    def step(self, theta, gradient, learning_rate):
        if self.memoryless:
            self.state = {}  # it may be left from steps with momentum
        elif not self.state:
            self.state = {"velocity": np.zeros_like(theta)}
        n_threads = self._core_threads(theta)
        if n_threads:
            velocity = self.state.get("velocity")
            _core.sgd(theta, gradient, velocity, self.momentum, learning_rate, self.nesterovs_momentum, n_threads)
            return

        def update(block):
            descent = gradient[block] * -learning_rate
            if not self.memoryless:
                velocity = self.state["velocity"][block]
                velocity *= self.momentum
                velocity += descent
                if self.nesterovs_momentum:
                    descent += self.momentum * velocity
                else:
                    descent = velocity
            theta[block] += descent

        for_each_block(update, theta.size)


class Adam(UpdateRule):
    r"""Adam: steps scaled by running means of the gradient and of its square.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \theta &\leftarrow \theta - \eta \, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \, \frac{m}{\sqrt v + \epsilon}

    at step t, counted from 1. This is the second, cheaper form in section 2 of the paper. It adds epsilon to the root before
    the root is corrected for its start at zero.

    The state holds m / (1 - beta_1) and v / (1 - beta_2). They need no scaling in a step, which then takes ten passes over
    the vector instead of twelve.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, https://doi.org/10.48550/arXiv.1412.6980
    """

    name = "adam"
    parameters = ("beta_1", "beta_2", "epsilon")

    def __init__(self, beta_1, beta_2, epsilon):
        super().__init__()
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)

    def step(self, theta, gradient, learning_rate):
        if not self.state:
            self.state = {"t": 0, "mean": np.zeros_like(theta), "square": np.zeros_like(theta)}
        state = self.state
        state["t"] += 1
        correction = (1.0 - self.beta_2 ** state["t"]) ** 0.5 / (1.0 - self.beta_1 ** state["t"])
        root = (1.0 - self.beta_2) ** 0.5
        step_size, epsilon = learning_rate * correction * (1.0 - self.beta_1) / root, self.epsilon / root
        n_threads = self._core_threads(theta)
        if n_threads:
            moments = state["mean"], state["square"]
            _core.adam(theta, gradient, *moments, self.beta_1, self.beta_2, step_size, epsilon, n_threads)
            return

        def update(block):
            g, mean, square = gradient[block], state["mean"][block], state["square"][block]
            mean *= self.beta_1
            mean += g
            change = g * g
            square *= self.beta_2
            square += change
            np.sqrt(square, out=change)
            change += epsilon
            np.divide(mean, change, out=change)
            change *= step_size
            theta[block] -= change

        for_each_block(update, theta.size)


UPDATES: dict[str, type[UpdateRule]] = {rule.name: rule for rule in (SGD, Adam)}


def is_stochastic(solver) -> bool:
    """Whether a solver takes mini-batches. False for a value that is not the name of a solver."""
    return isinstance(solver, str) and solver in UPDATES
