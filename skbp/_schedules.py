"""The learning rate as a function of the progress of training.

A schedule is a pure function of how far training has come; it returns the factor by which the initial learning rate is
multiplied for the next epoch. What it may look at is in `Progress`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Progress:
    """How far training has come.

    Attributes
    ----------
    samples_seen : int
        Rows that the solver has gone through, each counted once an epoch.
    stalls : int
        How many times the objective or the validation score did not improve for more than `n_iter_no_change` epochs.
    """

    samples_seen: int = 0
    stalls: int = 0


def constant(progress, power_t):
    """1 throughout."""
    return 1.0


def invscaling(progress, power_t):
    """1 / (samples seen + 1)^power_t."""
    return (progress.samples_seen + 1.0) ** -power_t


def adaptive(progress, power_t):
    """A fifth after every stall."""
    return 5.0**-progress.stalls


SCHEDULES = {"constant": constant, "invscaling": invscaling, "adaptive": adaptive}
