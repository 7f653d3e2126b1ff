"""Schedules give the factor of the learning rate that their closed forms give."""

import numpy as np
import pytest

from skbp._schedules import SCHEDULES, Progress


@pytest.mark.parametrize("power_t", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", list(SCHEDULES))
def test_every_schedule_starts_at_the_initial_learning_rate(name, power_t):
    assert SCHEDULES[name](Progress(), power_t) == 1.0


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_no_schedule_raises_the_rate_or_reaches_zero(name):
    for progress in [Progress(1, 0), Progress(10**7, 0), Progress(10**7, 8)]:
        assert 0.0 < SCHEDULES[name](progress, 0.5) <= 1.0


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_factors_are_python_floats(name):
    # A NumPy scalar of float64 would turn float32 parameters into float64.
    assert type(SCHEDULES[name](Progress(3, 2), 0.5)) is float


def test_constant_stays():
    assert SCHEDULES["constant"](Progress(1000, 5), 0.5) == 1.0


@pytest.mark.parametrize(
    ("samples_seen", "power_t", "factor"),
    [(3, 0.5, 1 / 2), (99, 0.5, 1 / 10), (3, 1.0, 1 / 4), (7, 1 / 3, 1 / 2), (5, 0, 1)],
)
def test_invscaling_falls_by_a_power_of_the_samples_seen(samples_seen, power_t, factor):
    assert SCHEDULES["invscaling"](Progress(samples_seen, 4), power_t) == pytest.approx(factor, rel=1e-14)


@pytest.mark.parametrize(("stalls", "factor"), [(0, 1.0), (1, 0.2), (2, 0.04), (3, 0.008)])
def test_adaptive_is_a_fifth_after_every_stall(stalls, factor):
    assert SCHEDULES["adaptive"](Progress(12345, stalls), 0.5) == pytest.approx(factor, rel=1e-14)


def test_progress_starts_at_nothing():
    assert Progress() == Progress(samples_seen=0, stalls=0)
    assert np.isclose(SCHEDULES["invscaling"](Progress(samples_seen=1), 1.0), 0.5)
