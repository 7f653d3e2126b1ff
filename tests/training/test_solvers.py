"""Solvers minimise any objective, say truly how they ended, and leave usable parameters however they did."""

import contextlib
import math
import re
import time

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose, assert_array_equal

from skbp._network.objective import ObjectiveFunction
from skbp._network.parameters import Parameters
from skbp._training.monitor import Monitor
from skbp._training.schedules import SCHEDULES, Progress
from skbp._training.solvers import LOWEST_LEARNING_RATE, SCIPY_METHODS, SOLVERS, MiniBatchSolver, ScipySolver
from skbp._training.updates import SGD, UPDATES, UpdateRule

ARGUMENTS = {"momentum": 0.9, "nesterovs_momentum": True, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
every_scipy_method = pytest.mark.parametrize("method", list(SCIPY_METHODS))


class Quadratic:
    """The mean over rows x_i of sum_j c_j (theta_j - x_ij)^2 / 2: its minimum is at the mean of the rows.

    `events` says what happens in which evaluation, counted from 1, in place of the true value: an exception is raised,
    anything else returned. On all rows it remains a function of theta: where it had a value before, it has that again.
    Rows and parameters of every evaluation are kept in `visits` and `thetas`.
    """

    columns = None
    blas_threads = staticmethod(contextlib.nullcontext)

    def is_finite(self):
        return bool(np.isfinite(self.params.vector).all())

    def __init__(self, n_rows=10, curvature=(0.5, 1.0, 2.0), dtype=np.float64, same_rows=False, events=None):
        rng = np.random.default_rng(0)
        self.curvature = np.array(curvature, dtype)
        self.params = Parameters((len(curvature) - 1, 1), dtype)
        self.params.vector[...] = 3.0
        self.gradient = self.params.like()
        self.rows = rng.standard_normal((1 if same_rows else n_rows, len(curvature))).astype(dtype)
        if same_rows:
            self.rows = self.rows.repeat(n_rows, axis=0)
        self.n_rows = n_rows
        self.minimum = self.rows.mean(axis=0)
        self.events = events or {}
        self.visits, self.thetas, self.products, self.known = [], [], 0, {}

    def value(self, rows=slice(None)):
        return float((self.curvature * (self.params.vector - self.rows[rows]) ** 2).sum(axis=1).mean() / 2)

    def value_and_gradient(self, rows=slice(None)):
        self.visits.append(np.arange(self.n_rows)[rows])
        self.thetas.append(self.params.vector.copy())
        self.gradient.vector[...] = self.curvature * (self.params.vector - self.rows[rows].mean(axis=0))
        event = self.events.get(len(self.visits), self.value(rows))
        if event is KeyboardInterrupt:
            raise event
        return (
            self.known.setdefault(self.params.vector.tobytes(), event)
            if isinstance(rows, slice) and rows == slice(None)
            else event
        )

    def as_function(self, hessian):
        return ObjectiveFunction(self, hessian)

    def hessp(self, direction, gauss_newton, moved):
        self.products += 1
        return self.curvature * direction


# Quasi-Newton needs a dozen iterations for it: time enough for something to happen on the way.
ELONGATED = np.logspace(0, 3, 10)


class Recorder(UpdateRule):
    """Stays where it is and notes the learning rates."""

    parameters = ()

    def __init__(self):
        super().__init__()
        self.rates = []

    def step(self, theta, gradient, learning_rate):
        self.rates.append(learning_rate)


class Trace:
    """Validation whose score takes given values, then the last of them for ever; it keeps the parameters it saw."""

    def __init__(self, *scores):
        self.scores, self.seen = scores, []

    def __call__(self, params):
        self.seen.append(params.vector.copy())
        return self.scores[min(len(self.seen), len(self.scores)) - 1], 0.0


def mini_batches(
    rule=None,
    schedule="constant",
    rate=0.1,
    batch_size=4,
    shuffle=False,
    power_t=0.5,
    progress=None,
    horizon=100,
    **regularisation,
):
    return MiniBatchSolver(
        SGD(0.0, False) if rule is None else rule,
        schedule if callable(schedule) else lambda progress: SCHEDULES[schedule](progress, power_t),
        rate,
        batch_size,
        shuffle,
        [np.random.RandomState(0)],
        Progress() if progress is None else progress,
        horizon,
        **regularisation,
    )


def solver_named(name, max_fun=1000):
    if SOLVERS[name] is ScipySolver:
        return ScipySolver(name, 1e-8, max_fun)
    rule = UPDATES[name]
    return mini_batches(rule(**{argument: ARGUMENTS[argument] for argument in rule.parameters}), shuffle=True)


def run(solver, objective, max_iter=5, tol=1e-4, n_iter_no_change=10, validate=None, verbose=False, **given):
    monitor = Monitor(tol, n_iter_no_change, verbose, validate, early_stopping=validate is not None, **given)
    monitor.start(objective.params, trained=False)
    return solver.run(objective, monitor, max_iter), monitor


class TestEverySolver:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("name", list(SOLVERS))
    def test_it_reaches_the_minimum(self, name, dtype):
        on = Quadratic(same_rows=True, dtype=dtype)
        outcome, _ = run(solver_named(name), on, max_iter=400, tol=0.0)
        assert outcome.loss < 1e-6
        assert on.params.vector.dtype == dtype
        assert_allclose(on.params.vector, on.minimum, atol=1e-3)

    @pytest.mark.parametrize("name", list(SOLVERS))
    def test_at_max_iter_it_says_what_to_raise(self, name):
        outcome, monitor = run(solver_named(name), Quadratic(curvature=ELONGATED / 100), max_iter=3)
        assert outcome.status == "max_iter"
        assert "max_iter" in outcome.warning
        assert "Raise" in outcome.warning
        assert monitor.n_iter == len(monitor.loss_curve) == 3

    @pytest.mark.parametrize("evaluation", [1, 2, 5, 9])
    @pytest.mark.parametrize("name", list(SOLVERS))
    def test_an_interruption_leaves_usable_parameters(self, name, evaluation):
        on = Quadratic(curvature=ELONGATED / 100, events={evaluation: KeyboardInterrupt})
        before = on.value()
        outcome, monitor = run(solver_named(name), on, max_iter=20)
        assert evaluation <= len(on.visits) <= evaluation + 1  # SciPy's methods look at once where they ended
        assert outcome.status == "interrupted"
        assert "interrupted" in outcome.warning
        assert f"after {monitor.n_iter} iterations" in outcome.warning
        assert np.isfinite(on.params.vector).all()
        assert on.value() <= before

    @pytest.mark.parametrize("name", list(SOLVERS))
    def test_an_interruption_under_validation_leaves_the_best_parameters(self, name):
        on = Quadratic(curvature=ELONGATED / 100)

        class InterruptingTrace(Trace):
            def __call__(self, params):
                if len(self.seen) == 2:
                    on.events[len(on.visits) + 1] = KeyboardInterrupt
                return super().__call__(params)

        score = InterruptingTrace(0.5, 0.75, 0.25)
        outcome, monitor = run(solver_named(name), on, max_iter=20, validate=score)
        assert outcome.status == "interrupted"
        assert monitor.n_iter == 3
        assert_array_equal(on.params.vector, score.seen[1])

    @pytest.mark.parametrize("name", list(SOLVERS))
    def test_a_validation_score_that_stops_rising_ends_training_at_the_best_parameters(self, name, capsys):
        score = Trace(0.25, 0.5, 0.75, 0.5, 0.75, 0.25)
        on = Quadratic(curvature=ELONGATED / 100)
        outcome, monitor = run(solver_named(name), on, max_iter=50, n_iter_no_change=2, validate=score, verbose=True)
        assert (outcome.status, outcome.warning) == ("converged", "")
        assert monitor.n_iter == 6  # three epochs that improve, then one more without than n_iter_no_change
        assert monitor.validation_scores == [0.25, 0.5, 0.75, 0.5, 0.75, 0.25]
        assert_array_equal(on.params.vector, score.seen[2])
        assert "Validation score did not improve" in capsys.readouterr().out

    @pytest.mark.parametrize("name", list(SOLVERS))
    def test_a_first_value_that_is_not_finite_leaves_the_parameters_of_the_start(self, name):
        on = Quadratic(events=dict.fromkeys(range(1, 1000), math.nan))
        outcome, monitor = run(solver_named(name), on)
        assert outcome.status == "diverged"
        assert math.isnan(outcome.loss)
        assert monitor.n_iter == 0
        assert_array_equal(on.params.vector, 3.0)

    @pytest.mark.parametrize("name", list(SOLVERS))
    def test_when_the_time_is_up_it_stops_after_the_iteration_and_says_so(self, name):
        on = Quadratic(curvature=ELONGATED / 100)
        outcome, monitor = run(solver_named(name), on, max_iter=50, max_time=1e-9)
        assert (outcome.status, monitor.n_iter) == ("max_time", 1)
        assert "after iteration 1, since max_time=1e-09 seconds have passed" in outcome.warning
        shorter = Quadratic(curvature=ELONGATED / 100)
        run(solver_named(name), shorter, max_iter=1)
        assert_allclose(on.params.vector, shorter.params.vector, rtol=1e-12)

    @pytest.mark.parametrize("name", list(SOLVERS))
    def test_when_the_time_is_up_the_best_parameters_are_kept(self, name):
        on = Quadratic(curvature=ELONGATED / 100)

        class Dawdling(Trace):
            def __call__(self, params):
                time.sleep(0.1 if len(self.seen) == 3 else 0.0)
                return super().__call__(params)

        validate = Dawdling(0.5, 0.75, 0.25)
        outcome, monitor = run(solver_named(name), on, max_iter=50, validate=validate, max_time=0.1)
        assert outcome.status == "max_time"
        assert monitor.n_iter <= 4
        assert_array_equal(on.params.vector, validate.seen[np.argmax(monitor.validation_scores)])


class TestMiniBatchSolver:
    @pytest.mark.parametrize("shuffle", [False, True])
    def test_every_epoch_goes_through_every_row_once(self, shuffle):
        on = Quadratic(n_rows=10)
        solver = mini_batches(batch_size=4, shuffle=shuffle)
        run(solver, on, max_iter=3)
        assert [len(rows) for rows in on.visits] == [4, 4, 2] * 3
        epochs = [np.concatenate(on.visits[k : k + 3]) for k in (0, 3, 6)]
        for epoch in epochs:
            assert_array_equal(np.sort(epoch), np.arange(10))
        orders = {tuple(epoch.tolist()) for epoch in epochs}
        assert orders == {tuple(range(10))} if not shuffle else len(orders) == 3
        assert solver.progress.samples_seen == 30

    def test_its_order_is_that_of_the_random_generator(self):
        on = Quadratic(n_rows=10)
        run(mini_batches(batch_size=10, shuffle=True), on, max_iter=2)
        rng, rows = np.random.RandomState(0), np.arange(10)
        for visited in on.visits:
            rng.shuffle(rows)
            assert_array_equal(visited, rows)

    def test_each_batch_is_one_step(self):
        on = Quadratic(n_rows=10)
        run(mini_batches(batch_size=4, rate=0.1), on, max_iter=2)
        theta = np.full(3, 3.0)
        for rows in [slice(0, 4), slice(4, 8), slice(8, 10)] * 2:
            theta = theta - 0.1 * on.curvature * (theta - on.rows[rows].mean(axis=0))
        assert_allclose(on.params.vector, theta, rtol=1e-13)

    def test_the_loss_of_an_epoch_is_the_mean_over_rows_of_the_batches_values(self):
        on = Quadratic(n_rows=10, events={1: 1.0, 2: 2.0, 3: 5.0})
        outcome, monitor = run(mini_batches(batch_size=4), on, max_iter=1)
        assert monitor.loss_curve == [pytest.approx((4 * 1.0 + 4 * 2.0 + 2 * 5.0) / 10)]
        assert outcome.loss == monitor.loss_curve[0]

    def test_a_batch_without_weight_is_passed_over_without_a_step(self):
        on = Quadratic(n_rows=10, events={2: None, 1: 1.0, 3: 5.0})
        rule = SGD(0.9, True)
        _, monitor = run(mini_batches(rule, batch_size=4), on, max_iter=1)
        assert monitor.loss_curve == [pytest.approx((4 * 1.0 + 2 * 5.0) / 6)]
        assert abs(on.thetas[1] - on.thetas[0]).max() > 0.1
        assert_array_equal(on.thetas[2], on.thetas[1])  # momentum alone would have moved it

    @pytest.mark.parametrize("n_iter_no_change", [1, 4])
    def test_it_stops_one_epoch_after_n_iter_no_change_without_improvement_by_tol(self, n_iter_no_change, capsys):
        # The first two epochs improve; then the loss falls by a little less than tol each time.
        losses = [8.0, 4.0] + [4.0 - 0.9e-3 * k for k in range(1, 20)]
        on = Quadratic(events=dict(enumerate(losses, start=1)))
        outcome, monitor = run(
            mini_batches(batch_size=10), on, 50, tol=1e-3, n_iter_no_change=n_iter_no_change, verbose=True
        )
        assert (outcome.status, outcome.warning) == ("converged", "")
        assert monitor.n_iter == 2 + n_iter_no_change + 1
        assert outcome.loss == pytest.approx(losses[monitor.n_iter - 1])
        assert capsys.readouterr().out.replace("\n", " ").endswith("consecutive epochs. Stopping. ")

    def test_it_goes_on_while_the_loss_falls_by_tol(self):
        on = Quadratic(events={k: 100.0 - 1.001e-3 * k for k in range(1, 50)})
        outcome, monitor = run(mini_batches(batch_size=10), on, 30, tol=1e-3, n_iter_no_change=1)
        assert (outcome.status, monitor.n_iter) == ("max_iter", 30)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("batch", [1, 2, 3])
    def test_divergence_stops_in_that_epoch_and_keeps_the_last_finite_one(self, batch, value):
        whole = Quadratic()
        expected, _ = run(mini_batches(SGD(0.9, True)), whole, max_iter=2)
        on = Quadratic(events={6 + batch: value})
        solver = mini_batches(SGD(0.9, True))
        outcome, monitor = run(solver, on, max_iter=5)
        assert len(on.visits) == 6 + batch
        assert outcome.status == "diverged"
        assert (outcome.loss, solver.progress.samples_seen, monitor.n_iter) == (expected.loss, 20, 2)
        assert_array_equal(on.params.vector, whole.params.vector)
        assert "not finite in iteration 3" in outcome.warning
        assert outcome.wants_advice  # so that advice on the data is added
        assert "learning_rate_init=0.1" in outcome.warning

    def test_divergence_under_validation_keeps_the_best_parameters(self):
        score = Trace(0.75, 0.5)
        on = Quadratic(events={8: math.nan})
        outcome, _ = run(mini_batches(), on, max_iter=5, validate=score)
        assert outcome.status == "diverged"
        assert_array_equal(on.params.vector, score.seen[0])

    def test_too_large_a_rate_is_found_to_diverge(self):
        on = Quadratic()
        with np.errstate(over="ignore"):
            outcome, monitor = run(mini_batches(batch_size=10, rate=1e60), on, max_iter=50)
        assert outcome.status == "diverged"
        assert 1 <= monitor.n_iter <= 4
        assert np.isfinite(on.params.vector).all()

    def test_parameters_that_are_not_finite_are_a_divergence_though_the_value_was_finite(self):
        on = Quadratic()
        with np.errstate(over="ignore"):
            outcome, monitor = run(mini_batches(batch_size=10, rate=1e308), on, max_iter=50)
        assert (outcome.status, monitor.n_iter) == ("diverged", 0)
        assert_array_equal(on.params.vector, 3.0)

    def test_an_adaptive_rate_falls_to_the_lowest_and_training_stops_there(self, capsys):
        rule = Recorder()
        on = Quadratic()
        solver = mini_batches(rule, schedule="adaptive", rate=0.1, batch_size=10)
        outcome, monitor = run(solver, on, max_iter=100, n_iter_no_change=1, verbose=True)
        # The first epoch improves on nothing known; two without improvement are a stall, and each rate has its two.
        expected = [0.1] + [0.1 / 5**k for k in range(9) for _ in range(2)]
        assert rule.rates == pytest.approx(expected, rel=1e-12)
        assert rule.rates[-1] <= LOWEST_LEARNING_RATE == 1e-6 < rule.rates[-3]
        assert (outcome.status, monitor.n_iter) == ("converged", 19)
        output = capsys.readouterr().out
        assert output.count("Setting learning rate to") == 8
        assert output.count("Setting learning rate to 0.020000") == 1
        assert output.count("Stopping.") == 1

    def test_invscaling_lowers_the_rate_with_every_epoch(self):
        rule = Recorder()
        run(mini_batches(rule, schedule="invscaling", rate=0.5, batch_size=5), Quadratic(), max_iter=3)
        expected = [0.5, 0.5, 0.5 / 11**0.5, 0.5 / 11**0.5, 0.5 / 21**0.5, 0.5 / 21**0.5]
        assert rule.rates == pytest.approx(expected, rel=1e-12)

    def test_samples_seen_go_on_from_where_they_stood(self):
        rule, progress = Recorder(), Progress(samples_seen=99)
        solver = mini_batches(rule, schedule="invscaling", rate=0.5, batch_size=10, progress=progress)
        run(solver, Quadratic(), max_iter=1)
        assert rule.rates == [pytest.approx(0.05)]
        assert progress.samples_seen == 109

    @pytest.mark.parametrize("already", [0, 3])
    def test_the_progress_of_a_step_is_the_share_of_all_rows_of_all_epochs_that_lies_before_it(self, already):
        rule, lengths = Recorder(), Recorder()
        progress = Progress(epochs=already)
        run(mini_batches(rule, lambda p: p.fraction, 1.0, 4, progress=progress, horizon=5), Quadratic(), max_iter=2)
        expected = [(already + epoch + start / 10) / 5 for epoch in range(2) for start in (0, 4, 8)]
        assert rule.rates == pytest.approx(expected, rel=1e-12)
        assert progress.epochs == already + 2
        progress = Progress(epochs=already)
        run(mini_batches(lengths, lambda p: p.step, 1.0, 4, progress=progress, horizon=5), Quadratic(), max_iter=2)
        assert lengths.rates == pytest.approx([size / 10 / 5 for size in (4, 4, 2)] * 2, rel=1e-12)

    def test_progress_ends_at_one(self):
        rule = Recorder()
        solver = mini_batches(rule, lambda p: p.fraction, 1.0, 10, progress=Progress(epochs=4), horizon=5)
        run(solver, Quadratic(), max_iter=4)
        assert rule.rates == pytest.approx([0.8, 1.0, 1.0, 1.0], rel=1e-12)

    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_the_monitor_is_told_the_learning_rate_at_the_start_of_each_epoch(self, schedule):
        rule = Recorder()
        _, monitor = run(mini_batches(rule, schedule, 0.5, 4, horizon=6), Quadratic(), max_iter=6)
        assert monitor.learning_rate_curve == rule.rates[::3]
        assert len(monitor.learning_rate_curve) == 6
        assert len(set(monitor.learning_rate_curve)) == (1 if schedule in {"constant", "adaptive"} else 6)

    def test_a_schedule_that_was_planned_is_complete_at_max_iter(self):
        planned, _ = run(mini_batches(planned=True), Quadratic(), max_iter=3)
        assert (planned.status, planned.warning) == ("converged", "")
        cut_off, _ = run(mini_batches(planned=False), Quadratic(), max_iter=3)
        assert cut_off.status == "max_iter"
        assert "Maximum iterations (3) reached" in cut_off.warning

    @pytest.mark.parametrize("batch_size", [1, 4, 10])
    def test_an_epoch_of_weight_decay_multiplies_the_weights_but_not_the_biases_by_its_exponential(self, batch_size):
        on = Quadratic()
        run(mini_batches(Recorder(), batch_size=batch_size, weight_decay=0.25), on, max_iter=3)
        assert_allclose(on.params.weight_vector, 3.0 * np.exp(-0.75), rtol=1e-12)
        assert_array_equal(on.params.biases[0], 3.0)

    def test_weight_decay_follows_the_schedule_step_by_step(self):
        on = Quadratic()
        solver = mini_batches(Recorder(), "linear", 1e3, 4, weight_decay=0.25, horizon=3, planned=True)
        run(solver, on, max_iter=3)
        shares = [(epoch + start / 10, size / 10) for epoch in range(3) for start, size in ((0, 4), (4, 4), (8, 2))]
        total = sum((1.0 - before / 3) * share for before, share in shares)
        assert_allclose(on.params.weight_vector, 3.0 * np.exp(-0.25 * total), rtol=1e-12)

    def test_weight_decay_acts_beside_the_step_and_not_through_the_gradient(self):
        # Decay first, on the parameters whose gradient was taken before it: the step itself is that without decay.
        on, plain = Quadratic(), Quadratic()
        run(mini_batches(batch_size=10, weight_decay=0.5), on, max_iter=1)
        run(mini_batches(batch_size=10), plain, max_iter=1)
        step = plain.params.vector - 3.0
        assert_allclose(on.params.weight_vector, 3.0 * np.exp(-0.5) + step[:2], rtol=1e-12)
        assert_array_equal(on.params.biases[0], plain.params.biases[0])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_gradient_longer_than_max_grad_norm_is_scaled_down_to_it(self, dtype):
        on, plain = Quadratic(dtype=dtype), Quadratic(dtype=dtype)
        run(mini_batches(batch_size=10, rate=0.5, max_grad_norm=0.125), on, max_iter=1)
        run(mini_batches(batch_size=10, rate=0.5), plain, max_iter=1)
        step, unclipped = on.params.vector - dtype(3.0), plain.params.vector - dtype(3.0)
        assert step.dtype == dtype
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        assert_allclose(np.linalg.norm(step), 0.5 * 0.125, rtol=tolerance)
        assert_allclose(step / np.linalg.norm(step), unclipped / np.linalg.norm(unclipped), rtol=tolerance)
        assert np.linalg.norm(unclipped) > 10 * np.linalg.norm(step)

    def test_a_gradient_no_longer_than_max_grad_norm_is_left_alone(self):
        on, plain = Quadratic(), Quadratic()
        run(mini_batches(SGD(0.9, True), max_grad_norm=1e3), on, max_iter=3)
        run(mini_batches(SGD(0.9, True)), plain, max_iter=3)
        assert_array_equal(on.params.vector, plain.params.vector)

    def test_an_interruption_within_an_epoch_keeps_the_steps_before_it(self):
        on = Quadratic(events={6: KeyboardInterrupt})
        solver = mini_batches()
        outcome, monitor = run(solver, on, max_iter=5)
        assert (monitor.n_iter, solver.progress.samples_seen) == (1, 10)
        assert outcome.loss == monitor.loss_curve[0]
        assert_array_equal(on.params.vector, on.thetas[5])


class TestScipySolver:
    @every_scipy_method
    def test_every_iteration_is_recorded_with_the_objective_at_its_parameters(self, method):
        on = Quadratic(curvature=ELONGATED)
        values = []

        def score(params):
            values.append(on.value())
            return float(len(values)), 0.0

        outcome, monitor = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200, validate=score)
        assert (outcome.status, outcome.warning) == ("converged", "")
        assert monitor.n_iter == len(monitor.loss_curve) > 5
        assert monitor.loss_curve == pytest.approx(values, rel=1e-12)
        assert monitor.loss_curve == sorted(monitor.loss_curve, reverse=True)
        assert outcome.loss == monitor.loss_curve[-1]

    @pytest.mark.parametrize("method", [name for name in SCIPY_METHODS if SCIPY_METHODS[name].tol == "gtol"])
    @pytest.mark.parametrize("tol", [100.0, 1.0, 0.01])
    def test_it_converges_as_soon_as_no_element_of_the_gradient_exceeds_tol(self, method, tol):
        on, trace = Quadratic(curvature=ELONGATED, same_rows=True), Trace(0.0)
        outcome, _ = run(ScipySolver(method, tol, 1000), on, max_iter=200, n_iter_no_change=np.inf, validate=trace)
        largest = [abs(on.curvature * (theta - on.minimum)).max() for theta in trace.seen]
        assert outcome.status == "converged"
        assert largest[-1] <= tol < min(largest[:-1])

    @pytest.mark.parametrize("method", [name for name in SCIPY_METHODS if SCIPY_METHODS[name].tol == "xtol"])
    @pytest.mark.parametrize("tol", [0.3, 0.01])
    def test_or_as_soon_as_the_mean_element_of_a_step_is_at_most_tol(self, method, tol):
        on, trace = Quadratic(curvature=ELONGATED, same_rows=True), Trace(0.0)
        start = on.params.vector.copy()
        outcome, _ = run(ScipySolver(method, tol, 1000), on, max_iter=200, n_iter_no_change=np.inf, validate=trace)
        steps = abs(np.diff([start, *trace.seen], axis=0)).mean(axis=1)
        assert outcome.status == "converged"
        assert steps[-1] <= tol < min(steps[:-1])

    @every_scipy_method
    def test_every_evaluation_is_of_all_rows_and_counted_as_is_every_product(self, method):
        on = Quadratic(n_rows=7, curvature=ELONGATED)
        outcome, monitor = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200)
        assert all(len(rows) == 7 for rows in on.visits)
        assert len(on.visits) >= monitor.n_iter
        assert (on.products > 0) == (SCIPY_METHODS[method].hessian is not None)
        assert outcome.optimize_result["n_evaluations"] == len(on.visits)
        assert outcome.optimize_result["n_products"] == on.products

    @every_scipy_method
    def test_scipy_is_given_copies_of_the_gradient(self, method, monkeypatch):
        # BFGS, CG and trust-ncg keep what they are given and go astray if the next evaluation changes it. Some methods copy
        # it themselves, so the end of a run would not tell: SciPy's function is looked over the shoulder.
        minimize, changes = scipy.optimize.minimize, []

        def watched(fun, x0, **given):
            gradient = fun(x0)[1]
            before = gradient.copy()
            other = fun(x0 + 1.0)[1]
            changes.append(abs(gradient - before).max())
            assert abs(other - before).min() > 0.1
            return minimize(fun, x0, **given)

        monkeypatch.setattr(scipy.optimize, "minimize", watched)
        run(ScipySolver(method, 1e-6, 1000), Quadratic(), max_iter=5, tol=0.0)
        assert changes == [0.0]

    @every_scipy_method
    def test_max_iter_is_named_with_its_value_when_reached(self, method):
        on = Quadratic(curvature=ELONGATED)
        outcome, monitor = run(ScipySolver(method, 1e-6, 1000), on, max_iter=3)
        assert (outcome.status, monitor.n_iter) == ("max_iter", 3)
        assert "Raise max_iter, now 3" in outcome.warning
        assert "after 3 iteration" in outcome.warning
        assert outcome.loss == pytest.approx(on.value(), rel=1e-12)
        assert outcome.loss == monitor.loss_curve[-1]

    @every_scipy_method
    def test_max_fun_is_named_with_its_value_when_reached(self, method):
        on = Quadratic(curvature=ELONGATED)
        outcome, _ = run(ScipySolver(method, 1e-6, 5), on, max_iter=200)
        assert outcome.status == "max_fun"
        assert "Raise max_fun, now 5" in outcome.warning
        assert "max_iter" not in outcome.warning
        assert 5 <= len(on.visits) <= 8  # SciPy may finish the line search that it is in
        assert outcome.loss == pytest.approx(on.value(), rel=1e-12)

    @every_scipy_method
    def test_a_loss_that_does_not_fall_by_tol_does_not_end_it(self, method):
        # Patience is for the validation score; without one the method's own test of the gradient decides.
        on = Quadratic(curvature=ELONGATED, same_rows=True)
        outcome, monitor = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200, tol=1e6, n_iter_no_change=1)
        assert monitor.n_iter > 5
        assert_allclose(on.params.vector, on.minimum, atol=1e-3)
        assert outcome.status == "converged"

    @every_scipy_method
    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_values_that_are_no_longer_finite_leave_parameters_at_which_they_were(self, method, value):
        on = Quadratic(curvature=ELONGATED, events=dict.fromkeys(range(6, 2000), value))
        with np.errstate(all="ignore"):
            outcome, monitor = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200)
        assert outcome.status in {"diverged", "failed"}
        assert outcome.warning
        assert monitor.n_iter >= 1
        assert np.isfinite(monitor.loss_curve).all()
        assert on.value() == pytest.approx(monitor.loss_curve[-1], rel=1e-12)
        assert outcome.loss == monitor.loss_curve[-1]

    @every_scipy_method
    @pytest.mark.parametrize("evaluation", [6, 9])
    def test_an_interruption_leaves_the_parameters_of_the_last_iteration(self, method, evaluation):
        on = Quadratic(curvature=ELONGATED, events={evaluation: KeyboardInterrupt})
        outcome, monitor = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200)
        assert outcome.status == "interrupted"
        assert monitor.n_iter >= 1
        assert on.value() == pytest.approx(monitor.loss_curve[-1], rel=1e-12)
        assert outcome.loss == monitor.loss_curve[-1]
        assert outcome.optimize_result["n_evaluations"] == evaluation - 1  # what was cut short is not counted
        assert outcome.optimize_result["max_gradient"] == pytest.approx(
            abs(on.curvature * (on.params.vector - on.minimum)).max(), rel=1e-12
        )

    @every_scipy_method
    def test_nothing_is_printed_unless_verbose(self, method, capfd):
        # SciPy's own printing, from compiled code too, bypasses the monitor.
        run(ScipySolver(method, 1e-6, 1000), Quadratic(curvature=ELONGATED), max_iter=20)
        assert capfd.readouterr() == ("", "")
        _, monitor = run(ScipySolver(method, 1e-6, 1000), Quadratic(curvature=ELONGATED), max_iter=20, verbose=True)
        printed = capfd.readouterr().out.splitlines()
        assert len(printed) == monitor.n_iter > 3
        for k, (line, loss) in enumerate(zip(printed, monitor.loss_curve, strict=True), start=1):
            assert re.fullmatch(rf"Iteration +{k}  loss {loss:.4g} +\d+\.\d s", line)

    @every_scipy_method
    def test_an_unknown_option_is_an_error_that_lists_the_known_ones(self, method):
        solver = ScipySolver(method, 1e-6, 1000, options={SCIPY_METHODS[method].tol: 5, "gtoll": 1e-3, "disp": True})
        with pytest.raises(ValueError, match="does not know") as error:
            run(solver, Quadratic())
        assert "['disp', 'gtoll']" in str(error.value)
        assert repr(method) in str(error.value)
        assert str(sorted(SCIPY_METHODS[method].options)) in str(error.value)

    @pytest.mark.parametrize(
        ("method", "option"), [(method, option) for method in SCIPY_METHODS for option in SCIPY_METHODS[method].options]
    )
    def test_every_listed_option_is_taken_by_scipy(self, method, option):
        # SciPy warns of options that it does not know, and warnings are errors here.
        size = ELONGATED.size
        values = {"maxiter": 100, "maxfun": 200, "maxls": 30, "maxcor": 5, "maxCGit": 4, "norm": 2.0, "inexact": True}
        values |= {"c1": 1e-3, "c2": 0.5, "eta": 0.2, "initial_trust_radius": 0.5, "max_trust_radius": 50.0}
        values |= {"hess_inv0": np.eye(size), "scale": np.ones(size), "offset": np.zeros(size), "stepmx": 20.0}
        on = Quadratic(curvature=ELONGATED / 100)
        start = on.value()
        outcome, _ = run(ScipySolver(method, 1e-6, 1000, options={option: values.get(option, 1e-3)}), on, max_iter=50)
        assert outcome.status in {"converged", "max_iter"}
        assert outcome.loss < start

    @every_scipy_method
    def test_every_option_that_scipy_documents_is_listed_but_for_printing_and_numerical_derivatives(self, method):
        text = scipy.optimize.show_options("minimize", SCIPY_METHODS[method].name, disp=False)
        documented = set(re.findall(r"^ *(\w+)(?: ?, \w+)* :", text[text.index("Options") :], re.MULTILINE))
        assert documented & set(SCIPY_METHODS[method].options)
        left_out = {"disp", "iprint", "return_all", "mesg_num", "eps", "finite_diff_rel_step", "workers"}
        assert documented - left_out <= set(SCIPY_METHODS[method].options)

    @every_scipy_method
    def test_options_take_precedence_over_the_parameters(self, method):
        on = Quadratic(curvature=ELONGATED)
        solver = ScipySolver(method, 1e-6, 1000)
        if "maxiter" in SCIPY_METHODS[method].options:
            solver.options = {"maxiter": 2}
            outcome, monitor = run(solver, on, max_iter=100)
            assert (outcome.status, monitor.n_iter) == ("max_iter", 2)
            assert "Raise solver_options: maxiter, now 2" in outcome.warning
        _, strict = run(ScipySolver(method, 1e-6, 1000), Quadratic(curvature=ELONGATED), max_iter=100)
        solver.options = {SCIPY_METHODS[method].tol: 10.0}
        outcome, loose = run(solver, Quadratic(curvature=ELONGATED), max_iter=100)
        assert outcome.status == "converged"
        assert loose.n_iter < strict.n_iter

    @pytest.mark.parametrize("method", [name for name in SCIPY_METHODS if SCIPY_METHODS[name].hessian])
    @pytest.mark.parametrize(("hessian", "gauss_newton"), [("auto", None), ("exact", False), ("gauss-newton", True)])
    def test_hessian_says_with_which_matrix_the_products_are(self, method, hessian, gauss_newton):
        asked = set()

        class Noting(Quadratic):
            def hessp(self, direction, gauss_newton, moved):
                asked.add(gauss_newton)
                return super().hessp(direction, gauss_newton, moved)

        run(ScipySolver(method, 1e-6, 1000, hessian), Noting(), max_iter=5)
        assert asked == {SCIPY_METHODS[method].hessian == "gauss-newton" if gauss_newton is None else gauss_newton}
