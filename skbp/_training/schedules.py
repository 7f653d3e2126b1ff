"""The learning rate as a function of the progress of training.

A schedule is a pure function of `Progress`, which says how far training has come. It returns the factor that multiplies the
initial learning rate in the next step. ``SCHEDULES`` maps the names that the estimator takes to the functions.

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

# One cycle: the share of training in which the learning rate rises, and its first and last value as shares of the peak.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_FIRST = 1.0 / 25.0
ONE_CYCLE_LAST = ONE_CYCLE_FIRST * 1e-4


@dataclass
class Progress:
    """How far training has come.

    Attributes
    ----------
    samples_seen : int
        Rows that the solver has processed. Each row counts once in every epoch.
    stalls : int
        How many times the objective or the validation score did not improve for more than `n_iter_no_change` epochs.
    epochs : int
        Finished epochs. `fraction` is computed from their number.
    fraction : float
        The share of training, in [0, 1], that is complete before the next step.
    step : float
        The share of training that the next step makes up.
    """

    samples_seen: int = 0
    stalls: int = 0
    epochs: int = 0
    fraction: float = 0.0
    step: float = 0.0

    @property
    def state(self) -> dict[str, int]:
        """What further training needs in addition to `samples_seen`."""
        return {"stalls": self.stalls, "epochs": self.epochs}

    @state.setter
    def state(self, state) -> None:
        self.stalls, self.epochs = state["stalls"], state["epochs"]


def constant(progress, power_t):
    """1 in every step."""
    return 1.0


def invscaling(progress, power_t):
    """1 / (samples seen + 1)^power_t. It falls between epochs."""
    return (progress.samples_seen + 1.0) ** -power_t


def adaptive(progress, power_t):
    """1 at first. Every stall divides it by 5."""
    return 5.0**-progress.stalls


def cosine(progress, power_t):
    """Half a cosine wave from 1 to 0."""
    return 0.5 + 0.5 * math.cos(math.pi * progress.fraction)


def linear(progress, power_t):
    """A straight line from 1 to 0."""
    return 1.0 - progress.fraction


def one_cycle(progress, power_t):
    """Half a cosine wave from 1/25 up to 1 in the first 30% of training, then another down to 1/250,000."""
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

# Schedules that go on for as long as training does. All others, and a user's function, cover the whole of training.
OPEN_ENDED = {"constant", "invscaling", "adaptive"}


def learning_rate_factor(learning_rate, power_t, warmup_fraction) -> Callable[[Progress], float]:
    """The schedule that the estimator's parameters describe.

    The warm-up multiplies the schedule's first value by a number that rises in equal steps. It reaches 1 at the last step of
    the warm-up. The schedule then covers the rest of training.

    Parameters
    ----------
    learning_rate : str or callable
        A key of SCHEDULES, or a function of the fraction of training in [0, 1].
    power_t : float
    warmup_fraction : float
        The share of training, in [0, 1), that the warm-up takes.
    """
    # A NumPy scalar of float64 would turn float32 arrays into float64.
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
    """A schedule that calls a user's function of the fraction of training and checks the result."""

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
