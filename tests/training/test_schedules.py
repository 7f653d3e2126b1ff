"""Schedules give the learning rate factors of their closed forms, after a warm-up if there is one."""

import math
from fractions import Fraction

import numpy as np
import pytest

from skbp._training.schedules import OPEN_ENDED, SCHEDULES, Progress, learning_rate_factor

every_schedule = pytest.mark.parametrize("name", list(SCHEDULES))

# Factors at the start, half-way and at the end of training, before any samples and stalls. A new schedule needs an entry.
AT_0_HALF_AND_1 = {
    "constant": (1.0, 1.0, 1.0),
    "invscaling": (1.0, 1.0, 1.0),
    "adaptive": (1.0, 1.0, 1.0),
    "cosine": (1.0, 0.5, 0.0),
    "linear": (1.0, 0.5, 0.0),
    # Half-way through training is two sevenths of the way down.
    "one-cycle": (0.04, 4e-6 + (1.0 - 4e-6) * math.cos(math.pi / 7.0) ** 2, 4e-6),
}


@pytest.mark.parametrize("power_t", [0.0, 0.5, 1.0])
@every_schedule
def test_factors_at_the_start_half_way_and_at_the_end(name, power_t):
    factors = [SCHEDULES[name](Progress(fraction=fraction), power_t) for fraction in (0.0, 0.5, 1.0)]
    assert factors == pytest.approx(AT_0_HALF_AND_1[name], rel=1e-14, abs=1e-16)


@every_schedule
def test_no_schedule_raises_the_rate_or_reaches_zero_before_the_end(name):
    for samples_seen, stalls in [(1, 0), (10**7, 0), (10**7, 8)]:
        for fraction in np.linspace(0.0, 0.999, 1000).tolist():
            assert 0.0 < SCHEDULES[name](Progress(samples_seen, stalls, fraction=fraction), 0.5) <= 1.0
        assert 0.0 <= SCHEDULES[name](Progress(samples_seen, stalls, fraction=1.0), 0.5) <= 1.0


@every_schedule
def test_factors_are_python_floats(name):
    # A NumPy scalar of float64 would turn float32 parameters into float64.
    assert type(SCHEDULES[name](Progress(3, 2, fraction=0.25), 0.5)) is float
    assert type(learning_rate_factor(name, 0.5, 0.5)(Progress(3, 2, fraction=0.25, step=0.01))) is float


@every_schedule
def test_only_open_ended_schedules_do_not_depend_on_the_end_of_training(name):
    factors = {SCHEDULES[name](Progress(3, 2, fraction=fraction), 0.5) for fraction in (0.0, 0.4, 0.9)}
    assert (len(factors) == 1) == (name in OPEN_ENDED)


def test_constant_is_always_one():
    assert SCHEDULES["constant"](Progress(1000, 5, fraction=0.7), 0.5) == 1.0


@pytest.mark.parametrize(
    ("samples_seen", "power_t", "factor"),
    [(3, 0.5, 1 / 2), (99, 0.5, 1 / 10), (3, 1.0, 1 / 4), (7, 1 / 3, 1 / 2), (5, 0, 1)],
)
def test_invscaling_falls_by_a_power_of_the_samples_seen(samples_seen, power_t, factor):
    assert SCHEDULES["invscaling"](Progress(samples_seen, 4), power_t) == pytest.approx(factor, rel=1e-14)


@pytest.mark.parametrize(("stalls", "factor"), [(0, 1.0), (1, 0.2), (2, 0.04), (3, 0.008)])
def test_adaptive_is_a_fifth_after_every_stall(stalls, factor):
    assert SCHEDULES["adaptive"](Progress(12345, stalls), 0.5) == pytest.approx(factor, rel=1e-14)


@pytest.mark.parametrize(
    ("fraction", "factor"),
    [(1 / 6, (2 + math.sqrt(3)) / 4), (1 / 4, (2 + math.sqrt(2)) / 4), (1 / 3, 3 / 4), (2 / 3, 1 / 4)],
)
def test_cosine_is_half_a_wave(fraction, factor):
    assert SCHEDULES["cosine"](Progress(fraction=fraction), 0.5) == pytest.approx(factor, rel=1e-14)


@pytest.mark.parametrize("fraction", [0.25, 0.375, 0.9375])
def test_linear_falls_in_a_straight_line(fraction):
    assert SCHEDULES["linear"](Progress(fraction=fraction), 0.5) == 1.0 - fraction


@pytest.mark.parametrize(
    ("fraction", "factor"),
    [
        (0.1, 0.04 + 0.96 / 4),
        (0.15, 0.52),
        (0.2, 0.04 + 0.96 * 3 / 4),
        (0.3, 1.0),
        (0.3 + 0.7 / 3, 1.0 - (1.0 - 4e-6) / 4),
        (0.65, (1.0 + 4e-6) / 2),
        (0.3 + 0.7 * 2 / 3, 4e-6 + (1.0 - 4e-6) / 4),
    ],
)
def test_one_cycle_is_two_half_waves_that_meet_at_three_tenths(fraction, factor):
    assert SCHEDULES["one-cycle"](Progress(fraction=fraction), 0.5) == pytest.approx(factor, rel=1e-13)


def test_progress_starts_at_nothing():
    assert Progress() == Progress(samples_seen=0, stalls=0, epochs=0, fraction=0.0, step=0.0)
    assert np.isclose(SCHEDULES["invscaling"](Progress(samples_seen=1), 1.0), 0.5)


def test_progress_is_restored_from_its_state():
    progress = Progress(samples_seen=60, stalls=2, epochs=3, fraction=0.5, step=0.1)
    assert progress.state == {"stalls": 2, "epochs": 3}
    other = Progress(samples_seen=7)
    other.state = progress.state
    assert other == Progress(samples_seen=7, stalls=2, epochs=3)


# Warm-up


def factors_of_all_steps(learning_rate, warmup_fraction, n_steps):
    factor = learning_rate_factor(learning_rate, 0.5, warmup_fraction)
    return [factor(Progress(fraction=k / n_steps, step=1 / n_steps)) for k in range(n_steps)]


# Some of these shares end with a step, exactly or up to rounding, and some within a step.
@pytest.mark.parametrize(
    ("share", "n_steps"), [("1/10", 50), ("1/5", 35), ("7/10", 30), ("1/4", 30), ("99/100", 7), ("1/100", 7)]
)
@every_schedule
def test_the_warm_up_rises_in_equal_steps_to_the_first_factor_of_the_schedule(name, share, n_steps):
    share = Fraction(share)
    first = AT_0_HALF_AND_1[name][0]
    for k, factor in enumerate(factors_of_all_steps(name, float(share), n_steps)):
        if Fraction(k, n_steps) < share:
            expected = first * min(1.0, float(Fraction(k + 1, n_steps) / share))
        else:
            expected = SCHEDULES[name](Progress(fraction=float((Fraction(k, n_steps) - share) / (1 - share))), 0.5)
        assert factor == pytest.approx(expected, rel=1e-12)


@every_schedule
def test_the_last_step_of_the_warm_up_and_the_next_have_the_first_factor_of_the_schedule(name):
    factors = factors_of_all_steps(name, 0.25, 40)
    first = AT_0_HALF_AND_1[name][0]
    assert factors[9] == factors[10] == pytest.approx(first, rel=1e-14)
    assert factors[:10] == pytest.approx([first * k / 10 for k in range(1, 11)], rel=1e-14)


def test_stalls_lower_the_warm_up_too():
    factor = learning_rate_factor("adaptive", 0.5, 0.5)
    assert factor(Progress(stalls=1, fraction=0.0, step=0.1)) == pytest.approx(0.2 / 5, rel=1e-14)
    assert factor(Progress(stalls=1, fraction=0.7, step=0.1)) == pytest.approx(0.2, rel=1e-14)


@every_schedule
def test_without_a_warm_up_the_factor_is_that_of_the_schedule(name):
    factor = learning_rate_factor(name, 0.75, 0.0)
    for progress in (Progress(), Progress(99, 2, 3, 0.3, 0.01), Progress(7, 0, 1, 0.9, 0.1)):
        assert factor(progress) == SCHEDULES[name](progress, 0.75)


def test_a_warm_up_does_not_change_the_progress():
    progress = Progress(99, 2, 3, 0.75, 0.01)
    learning_rate_factor("linear", 0.5, 0.5)(progress)
    assert progress == Progress(99, 2, 3, 0.75, 0.01)


# A user's function


def test_a_function_takes_the_fraction_and_returns_the_factor():
    seen = []

    def halved(fraction):
        seen.append(fraction)
        return 2.0 - fraction

    factor = learning_rate_factor(halved, 0.5, 0.0)
    assert [factor(Progress(99, 2, 3, fraction, 0.01)) for fraction in (0.0, 0.25, 1.0)] == [2.0, 1.75, 1.0]
    assert seen == [0.0, 0.25, 1.0]


def test_a_warm_up_rises_to_the_first_factor_of_a_function():
    factors = factors_of_all_steps(lambda fraction: 3.0 - 2.0 * fraction, 0.5, 8)
    assert factors == [0.75, 1.5, 2.25, 3.0, 3.0, 2.5, 2.0, 1.5]


@pytest.mark.parametrize("number", [0, 1, True, 0.5, np.float32(0.5), np.float64(0.5), np.int64(2), Fraction(1, 2)])
def test_a_real_number_from_a_function_becomes_a_python_float(number):
    factor = learning_rate_factor(lambda fraction: number, 0.5, 0.0)(Progress())
    assert type(factor) is float
    assert factor == number


@pytest.mark.parametrize(
    "wrong", [-1e-9, math.nan, math.inf, -math.inf, np.float64("nan"), None, "0.1", 1j, [0.1], np.array(0.1), (0.1,)]
)
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.125])
def test_any_other_result_of_a_function_is_an_error_with_the_value_and_the_progress(wrong, warmup_fraction):
    factor = learning_rate_factor(lambda fraction: wrong, 0.5, warmup_fraction)
    fraction = (0.625 - warmup_fraction) / (1.0 - warmup_fraction)
    with pytest.raises(ValueError, match="must return a number of at least 0") as error:
        factor(Progress(fraction=0.625))
    assert f"returned {wrong!r} at progress {fraction:g}" in str(error.value)


def test_an_error_of_a_function_arrives_unchanged():
    with pytest.raises(ZeroDivisionError):
        learning_rate_factor(lambda fraction: 1.0 / fraction, 0.5, 0.0)(Progress())
