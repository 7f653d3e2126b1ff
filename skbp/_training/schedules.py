"""The learning rate as a function of the progress of training.

A schedule is a pure function of how far training has come; it returns the factor by which the initial learning rate is
multiplied for the next step. What it may look at is in `Progress`. ``SCHEDULES`` maps the names that the estimator takes
to the functions.

References
----------
Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017,
https://doi.org/10.48550/arXiv.1608.03983, for the cosine.

Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2019,
https://doi.org/10.1117/12.2520589, for one cycle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real

# One cycle: the share of training in which the learning rate rises, and its first and last value as a share of the peak.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_FIRST = 1.0 / 25.0
ONE_CYCLE_LAST = ONE_CYCLE_FIRST * 1e-4


@dataclass
class Progress:
    """How far training has come.

    Attributes
    ----------
    samples_seen : int
        Rows that the solver has gone through, each counted once an epoch.
    stalls : int
        How many times the objective or the validation score did not improve for more than `n_iter_no_change` epochs.
    epochs : int
        Epochs finished of those that `fraction` counts.
    fraction : float
        The share of training, in [0, 1], that lies before the next step.
    step : float
        The share that the next step makes up.
    """

    samples_seen: int = 0
    stalls: int = 0
    epochs: int = 0
    fraction: float = 0.0
    step: float = 0.0

    @property
    def state(self) -> dict[str, int]:
        """What further training needs of it, beside the rows seen."""
        return {"stalls": self.stalls, "epochs": self.epochs}

    @state.setter
    def state(self, state) -> None:
        self.stalls, self.epochs = state["stalls"], state["epochs"]


def constant(progress, power_t):
    """1 throughout."""
    return 1.0


def invscaling(progress, power_t):
    """1 / (samples seen + 1)^power_t, lowered between epochs."""
    return (progress.samples_seen + 1.0) ** -power_t


def adaptive(progress, power_t):
    """A fifth after every stall."""
    return 5.0**-progress.stalls


def cosine(progress, power_t):
    """Half a cosine wave from 1 to 0."""
    return 0.5 + 0.5 * math.cos(math.pi * progress.fraction)


def linear(progress, power_t):
    """From 1 to 0 in a straight line."""
    return 1.0 - progress.fraction


def one_cycle(progress, power_t):
    """Half a cosine wave from 1/25 up to 1 in the first 30% of training, another down to 1/250,000 in the rest."""
    rise = progress.fraction / ONE_CYCLE_RISE
    if rise < 1.0:
        return _along_cosine(ONE_CYCLE_FIRST, 1.0, rise)
    return _along_cosine(1.0, ONE_CYCLE_LAST, (progress.fraction - ONE_CYCLE_RISE) / (1.0 - ONE_CYCLE_RISE))


def _along_cosine(first, last, fraction):
    return last + (first - last) * (0.5 + 0.5 * math.cos(math.pi * fraction))


SCHEDULES = {
    "constant": constant,
    "invscaling": invscaling,
    "adaptive": adaptive,
    "cosine": cosine,
    "linear": linear,
    "one-cycle": one_cycle,
}

# Those that go on for as long as training does; the others, a user's function among them, are laid out for all of it.
OPEN_ENDED = {"constant", "invscaling", "adaptive"}


def learning_rate_factor(learning_rate, power_t, warmup_fraction) -> Callable[[Progress], float]:
    """The schedule that the estimator's parameters describe.

    During the warm-up what the schedule begins with is multiplied by a number that rises in equal steps to 1, at the last
    step of the warm-up; the schedule has the rest of training to itself.

    Parameters
    ----------
    learning_rate : str or callable
        A key of SCHEDULES, or a function of the fraction of training in [0, 1].
    power_t : float
    warmup_fraction : float
        The share of training, in [0, 1), that the warm-up takes.
    """
    # Scalars of NumPy would set the type of what is computed from them.
    power_t, warmup_fraction = float(power_t), float(warmup_fraction)
    schedule = SCHEDULES[learning_rate] if isinstance(learning_rate, str) else _checked(learning_rate)

    def factor(progress):
        if warmup_fraction == 0.0:
            return schedule(progress, power_t)
        after = max(0.0, (progress.fraction - warmup_fraction) / (1.0 - warmup_fraction))
        warmth = min(1.0, (progress.fraction + progress.step) / warmup_fraction)
        return warmth * schedule(replace(progress, fraction=after), power_t)

    return factor


def _checked(function):
    """A user's function of the fraction of training as a schedule."""

    def schedule(progress, power_t):
        factor = function(progress.fraction)
        try:
            number = float(factor) if isinstance(factor, Real) else math.nan
        except OverflowError:
            number = math.inf
        if not 0.0 <= number < math.inf:
            raise ValueError(
                f"The function given as learning_rate returned {factor!r} at progress {progress.fraction:g}; it must "
                "return a number of at least 0, by which learning_rate_init is multiplied."
            )
        return number

    return schedule
