"""Mini-batches: every row once an epoch, one step a batch, and an end that is right whatever happens."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbp._data.rows import Rows
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._training.history import StackHistory
from skbp._training.minibatch import LOWEST_LEARNING_RATE, MiniBatchSolver
from skbp._training.monitor import Monitor
from skbp._training.schedules import SCHEDULES, Progress
from skbp._training.updates import SGD

# Rows and steps


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_epoch_takes_every_row_once(shuffle, mini_batches, LeastSquares, run):
    on = LeastSquares(n_rows=10)
    solver = mini_batches(batch_size=4, shuffle=shuffle)
    run(solver, on, max_iter=3)
    assert [len(rows) for rows in on.visits] == [4, 4, 2] * 3
    epochs = [np.concatenate(on.visits[k : k + 3]) for k in (0, 3, 6)]
    for epoch in epochs:
        assert_array_equal(np.sort(epoch), np.arange(10))
    orders = {tuple(epoch.tolist()) for epoch in epochs}
    assert orders == {tuple(range(10))} if not shuffle else len(orders) == 3
    assert solver.progress.samples_seen == 30


def test_the_order_of_rows_is_that_of_the_random_generator(mini_batches, LeastSquares, run):
    on = LeastSquares(n_rows=10)
    run(mini_batches(batch_size=10, shuffle=True), on, max_iter=2)
    rng, rows = np.random.RandomState(0), np.arange(10)
    for visited in on.visits:
        rng.shuffle(rows)
        assert_array_equal(visited, rows)


def test_each_batch_is_one_step(mini_batches, LeastSquares, run):
    on = LeastSquares(n_rows=10)
    run(mini_batches(batch_size=4, rate=0.1), on, max_iter=2)
    theta = np.full(3, 3.0)
    for rows in [slice(0, 4), slice(4, 8), slice(8, 10)] * 2:
        theta = theta - 0.1 * on.slope_at(theta, rows)
    assert_allclose(on.params.vector, theta, rtol=1e-13)


def test_the_loss_of_an_epoch_is_the_mean_over_rows_of_the_values_of_batches(mini_batches, LeastSquares, run):
    on = LeastSquares(n_rows=10, events={1: 1.0, 2: 2.0, 3: 5.0})
    outcome, history = run(mini_batches(batch_size=4), on, max_iter=1)
    assert history.loss_curve == [pytest.approx((4 * 1.0 + 4 * 2.0 + 2 * 5.0) / 10)]
    assert outcome.loss == history.loss_curve[0]


def test_a_batch_without_weight_makes_no_step(mini_batches, LeastSquares, run):
    weight = np.ones(10)
    weight[4:8] = 0.0
    on = LeastSquares(n_rows=10, weight=weight, events={1: 1.0, 2: 5.0})
    _, history = run(mini_batches(SGD(0.9, True), batch_size=4), on, max_iter=1)
    assert history.loss_curve == [pytest.approx((4 * 1.0 + 2 * 5.0) / 6)]
    assert_array_equal(on.visits[1], [8, 9])
    assert abs(on.thetas[1] - on.thetas[0]).max() > 0.1
    # Momentum alone would have moved it further.
    assert_allclose(on.thetas[1], 3.0 - 0.1 * 1.9 * on.slope_at(np.full(3, 3.0), slice(0, 4)), rtol=1e-13)


# The end


@pytest.mark.parametrize("n_iter_no_change", [1, 4])
def test_it_stops_after_more_than_n_iter_no_change_epochs_without_improvement_by_tol(
    n_iter_no_change, mini_batches, LeastSquares, run, capsys
):
    # The first two epochs improve. Then the loss falls by a little less than tol each time.
    losses = [8.0, 4.0] + [4.0 - 0.9e-3 * k for k in range(1, 20)]
    on = LeastSquares(events=dict(enumerate(losses, start=1)))
    outcome, history = run(
        mini_batches(batch_size=10), on, 50, tol=1e-3, n_iter_no_change=n_iter_no_change, verbose=True
    )
    assert (outcome.status, outcome.warning) == ("converged", "")
    assert history.n_iter == 2 + n_iter_no_change + 1
    assert outcome.loss == pytest.approx(losses[history.n_iter - 1])
    assert capsys.readouterr().out.replace("\n", " ").endswith("consecutive epochs. Stopping. ")


def test_it_goes_on_while_the_loss_falls_by_tol(mini_batches, LeastSquares, run):
    on = LeastSquares(events={k: 100.0 - 1.001e-3 * k for k in range(1, 50)})
    outcome, history = run(mini_batches(batch_size=10), on, 30, tol=1e-3, n_iter_no_change=1)
    assert (outcome.status, history.n_iter) == ("max_iter", 30)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_divergence_stops_in_that_epoch_and_keeps_the_last_finite_one(batch, value, mini_batches, LeastSquares, run):
    whole = LeastSquares()
    expected, _ = run(mini_batches(SGD(0.9, True)), whole, max_iter=2)
    on = LeastSquares(events={6 + batch: value})
    solver = mini_batches(SGD(0.9, True))
    outcome, history = run(solver, on, max_iter=5)
    assert len(on.visits) == 6 + batch
    assert outcome.status == "diverged"
    assert (outcome.loss, solver.progress.samples_seen, history.n_iter) == (expected.loss, 20, 2)
    assert_array_equal(on.params.vector, whole.params.vector)
    assert "not finite in iteration 3" in outcome.warning
    assert outcome.wants_advice  # on the data
    assert "learning_rate_init, now 0.1" in outcome.warning


def test_divergence_during_early_stopping_keeps_the_best_parameters(mini_batches, LeastSquares, run, Trace):
    trace = Trace(0.75, 0.5)
    on = LeastSquares(events={8: math.nan})
    outcome, _ = run(mini_batches(), on, max_iter=5, held_out=trace)
    assert outcome.status == "diverged"
    assert_array_equal(on.params.vector, trace.seen[0])


def test_too_large_a_rate_diverges(mini_batches, LeastSquares, run):
    on = LeastSquares()
    with np.errstate(all="ignore"):
        outcome, history = run(mini_batches(batch_size=10, rate=1e60), on, max_iter=50)
    assert outcome.status == "diverged"
    assert 1 <= history.n_iter <= 4
    assert np.isfinite(on.params.vector).all()


def test_parameters_that_are_not_finite_are_a_divergence_though_the_value_was_finite(mini_batches, LeastSquares, run):
    on = LeastSquares()
    with np.errstate(all="ignore"):
        outcome, history = run(mini_batches(batch_size=10, rate=1e308), on, max_iter=50)
    assert (outcome.status, history.n_iter) == ("diverged", 0)
    assert_array_equal(on.params.vector, 3.0)


def test_an_interrupt_within_an_epoch_keeps_the_steps_before_it(mini_batches, LeastSquares, run):
    on = LeastSquares(events={6: KeyboardInterrupt})
    solver = mini_batches()
    outcome, history = run(solver, on, max_iter=5)
    assert (history.n_iter, solver.progress.samples_seen) == (1, 10)
    assert outcome.loss == history.loss_curve[0]
    assert_array_equal(on.params.vector, on.thetas[5])


def test_an_interrupt_after_a_step_that_diverged_keeps_the_last_epoch(mini_batches, LeastSquares, run):
    # The second step of the second epoch leads to infinity.
    on, whole = LeastSquares(events={6: KeyboardInterrupt}), LeastSquares()
    run(mini_batches(rate=0.1), whole, max_iter=1)
    solver = mini_batches(schedule=lambda p: math.inf if 0.0135 < p.fraction < 0.0145 else 0.1, rate=1.0)
    with np.errstate(all="ignore"):
        outcome, history = run(solver, on, max_iter=5)
    assert not np.isfinite(on.thetas[5]).all()
    assert (outcome.status, history.n_iter) == ("interrupted", 1)
    assert_array_equal(on.params.vector, whole.params.vector)


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupt_between_an_epoch_and_its_record_keeps_the_loss_of_the_last_recorded_one(
    epoch, mini_batches, LeastSquares, run
):
    looks = []

    def held_out(params):
        looks.append(params.vector.copy())
        if len(looks) == epoch:
            raise KeyboardInterrupt
        return -abs(params.vector).sum(), 1.0

    outcome, history = run(mini_batches(), LeastSquares(), max_iter=5, held_out=held_out)
    assert (outcome.status, history.n_iter) == ("interrupted", epoch - 1)
    assert_array_equal(outcome.loss, history.loss_curve[-1] if epoch > 1 else math.nan)


# Stacks


class Watched(Objective):
    """An objective that keeps the row numbers of its batches, which are their first feature."""

    def __init__(self, *args):
        super().__init__(*args)
        self.visits = []

    def value_and_gradient(self, batches):
        (batch,) = batches
        self.visits.append(batch.X[..., 0].astype(int))
        return super().value_and_gradient(batches)


def stack_on(sets):
    """Logistic regressions that train on these sets of 20 rows. The first feature of a row is its number."""
    rng = np.random.RandomState(0)
    X = np.column_stack([np.arange(20.0), rng.normal(size=(20, 2))])
    target = rng.uniform(size=(20, 1)) < 0.5
    params = Parameters((3, 1), np.float64, (len(sets),))
    params.vector[...] = np.arange(len(sets))[:, None]
    return Watched(params, [], LOSSES["logistic"], 0.0), Rows(X, None, None, target, None, sets=sets)


def train_stack(objective, rows, shuffle, max_iter=3, rate=1e-3):
    rngs = [np.random.RandomState(seed) for seed in range(len(rows.sets))]
    rule, progress = SGD(0.9, True), Progress()
    solver = MiniBatchSolver(rule, lambda progress: 1.0, rate, 4, shuffle, rngs, progress, max_iter)
    history = StackHistory(len(rows.sets), 0.0, 10)
    monitor = Monitor(history)
    monitor.start(objective.params)
    return solver.run(objective, rows, monitor, max_iter), history, progress


@pytest.mark.parametrize("shuffle", [False, True])
def test_all_members_take_as_many_steps_and_the_larger_ones_leave_out_rows(shuffle):
    sets = [np.arange(6), np.arange(5, 20)]
    objective, rows = stack_on([indices.copy() for indices in sets])
    _, history, progress = train_stack(objective, rows, shuffle)
    assert [visit.shape for visit in objective.visits] == [(2, 4), (2, 2)] * 3
    epochs = [np.concatenate(objective.visits[k : k + 2], axis=1) for k in (0, 2, 4)]
    for epoch in epochs:
        assert_array_equal(np.sort(epoch[0]), sets[0])
        assert len(set(epoch[1])) == 6
        assert set(epoch[1]) < set(sets[1])
        if not shuffle:
            assert_array_equal(epoch[1], sets[1][:6])
    seen_by_the_larger = set(np.concatenate(epochs, axis=1)[1])
    assert len(seen_by_the_larger) > 6 if shuffle else len(seen_by_the_larger) == 6
    assert history.members[0].samples_seen == progress.samples_seen == 18


def test_members_of_a_stack_train_as_each_alone():
    sets = [np.arange(12), np.arange(8, 20)]
    objective, rows = stack_on([indices.copy() for indices in sets])
    _, history, _ = train_stack(objective, rows, shuffle=False, rate=0.01)
    for i, indices in enumerate(sets):
        alone, its_rows = stack_on([indices.copy(), indices.copy()])
        alone.params.vector[...] = float(i)
        _, its_history, _ = train_stack(alone, its_rows, shuffle=False, rate=0.01)
        assert_allclose(objective.params.vector[i], alone.params.vector[i], rtol=1e-12)
        assert_allclose(history.members[i].loss_curve, its_history.members[i].loss_curve, rtol=1e-12)


def test_a_stack_goes_on_until_no_member_is_finite():
    objective, rows = stack_on([np.arange(10), np.arange(10)])
    objective.params.vector[1] = np.nan
    outcome, history, _ = train_stack(objective, rows, shuffle=False)
    assert outcome.status == "max_iter"
    assert_array_equal(history.diverged, [False, True])
    assert [member.n_iter for member in history.members] == [3, 0]
    objective, rows = stack_on([np.arange(10), np.arange(10)])
    objective.params.vector[...] = np.nan
    outcome, history, _ = train_stack(objective, rows, shuffle=False)
    assert (outcome.status, history.n_iter) == ("diverged", 0)


# The learning rate


def test_an_adaptive_rate_falls_to_the_lowest_and_training_stops_there(
    recorder, mini_batches, LeastSquares, run, capsys
):
    solver = mini_batches(recorder, schedule="adaptive", rate=0.1, batch_size=10)
    outcome, history = run(solver, LeastSquares(), max_iter=100, n_iter_no_change=1, verbose=True)
    # The first epoch always improves. Two epochs without improvement are a stall, so each rate has two.
    expected = [0.1] + [0.1 / 5**k for k in range(9) for _ in range(2)]
    assert recorder.rates == pytest.approx(expected, rel=1e-12)
    assert recorder.rates[-1] <= LOWEST_LEARNING_RATE == 1e-6 < recorder.rates[-3]
    assert (outcome.status, history.n_iter) == ("converged", 19)
    output = capsys.readouterr().out
    assert output.count("Setting learning rate to") == 8
    assert output.count("Setting learning rate to 0.02\n") == 1
    assert output.count("Stopping.") == 1


def test_invscaling_lowers_the_rate_with_every_epoch(recorder, mini_batches, LeastSquares, run):
    run(mini_batches(recorder, schedule="invscaling", rate=0.5, batch_size=5), LeastSquares(), max_iter=3)
    expected = [0.5, 0.5, 0.5 / 11**0.5, 0.5 / 11**0.5, 0.5 / 21**0.5, 0.5 / 21**0.5]
    assert recorder.rates == pytest.approx(expected, rel=1e-12)


def test_the_samples_seen_before_count(recorder, mini_batches, LeastSquares, run):
    progress = Progress(samples_seen=99)
    solver = mini_batches(recorder, schedule="invscaling", rate=0.5, batch_size=10, progress=progress)
    run(solver, LeastSquares(), max_iter=1)
    assert recorder.rates == [pytest.approx(0.05)]
    assert progress.samples_seen == 109


@pytest.mark.parametrize("already", [0, 3])
@pytest.mark.parametrize("what", ["fraction", "step"])
def test_the_progress_of_a_step_is_the_share_of_all_rows_of_all_epochs_before_it(
    what, already, recorder, mini_batches, LeastSquares, run
):
    progress = Progress(epochs=already)
    solver = mini_batches(recorder, lambda p: getattr(p, what), 1.0, 4, progress=progress, horizon=5)
    run(solver, LeastSquares(), max_iter=2)
    if what == "fraction":
        expected = [(already + epoch + start / 10) / 5 for epoch in range(2) for start in (0, 4, 8)]
    else:
        expected = [size / 10 / 5 for size in (4, 4, 2)] * 2
    assert recorder.rates == pytest.approx(expected, rel=1e-12)
    assert progress.epochs == already + 2


def test_progress_ends_at_one(recorder, mini_batches, LeastSquares, run):
    solver = mini_batches(recorder, lambda p: p.fraction, 1.0, 10, progress=Progress(epochs=4), horizon=5)
    run(solver, LeastSquares(), max_iter=4)
    assert recorder.rates == pytest.approx([0.8, 1.0, 1.0, 1.0], rel=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_history_has_the_learning_rate_at_the_start_of_each_epoch(
    schedule, recorder, mini_batches, LeastSquares, run
):
    _, history = run(mini_batches(recorder, schedule, 0.5, 4, horizon=6), LeastSquares(), max_iter=6)
    assert history.learning_rate_curve == recorder.rates[::3]
    assert len(history.learning_rate_curve) == 6
    assert len(set(history.learning_rate_curve)) == (1 if schedule in {"constant", "adaptive"} else 6)


def test_a_schedule_for_all_of_training_is_complete_at_max_iter(mini_batches, LeastSquares, run):
    planned, _ = run(mini_batches(planned=True), LeastSquares(), max_iter=3)
    assert (planned.status, planned.warning) == ("converged", "")
    cut_off, _ = run(mini_batches(planned=False), LeastSquares(), max_iter=3)
    assert cut_off.status == "max_iter"
    assert "Maximum iterations (3) reached" in cut_off.warning


# Weight decay and the norm of the gradient


@pytest.mark.parametrize("batch_size", [1, 4, 10])
def test_an_epoch_of_weight_decay_multiplies_the_weights_but_not_the_biases_by_its_exponential(
    batch_size, recorder, mini_batches, LeastSquares, run
):
    on = LeastSquares()
    run(mini_batches(recorder, batch_size=batch_size, weight_decay=0.25), on, max_iter=3)
    assert_allclose(on.params.weight_vector, 3.0 * np.exp(-0.75), rtol=1e-12)
    assert_array_equal(on.params.biases[0], 3.0)


def test_weight_decay_follows_the_schedule_step_by_step(recorder, mini_batches, LeastSquares, run):
    on = LeastSquares()
    solver = mini_batches(recorder, "linear", 1e3, 4, weight_decay=0.25, horizon=3, planned=True)
    run(solver, on, max_iter=3)
    shares = [(epoch + start / 10, size / 10) for epoch in range(3) for start, size in ((0, 4), (4, 4), (8, 2))]
    total = sum((1.0 - before / 3) * share for before, share in shares)
    assert_allclose(on.params.weight_vector, 3.0 * np.exp(-0.25 * total), rtol=1e-12)


def test_weight_decay_does_not_enter_the_gradient(mini_batches, LeastSquares, run):
    # The gradient is computed before the weights decay: the step is the same as without decay.
    on, plain = LeastSquares(), LeastSquares()
    run(mini_batches(batch_size=10, weight_decay=0.5), on, max_iter=1)
    run(mini_batches(batch_size=10), plain, max_iter=1)
    step = plain.params.vector - 3.0
    assert_allclose(on.params.weight_vector, 3.0 * np.exp(-0.5) + step[:2], rtol=1e-12)
    assert_array_equal(on.params.biases[0], plain.params.biases[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_longer_than_max_grad_norm_is_shortened_to_it(dtype, mini_batches, LeastSquares, run):
    on, plain = LeastSquares(dtype=dtype), LeastSquares(dtype=dtype)
    run(mini_batches(batch_size=10, rate=0.5, max_grad_norm=0.125), on, max_iter=1)
    run(mini_batches(batch_size=10, rate=0.5), plain, max_iter=1)
    step, unclipped = on.params.vector - dtype(3.0), plain.params.vector - dtype(3.0)
    assert step.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert_allclose(np.linalg.norm(step), 0.5 * 0.125, rtol=tolerance)
    assert_allclose(step / np.linalg.norm(step), unclipped / np.linalg.norm(unclipped), rtol=tolerance)
    assert np.linalg.norm(unclipped) > 10 * np.linalg.norm(step)


def test_a_gradient_no_longer_than_max_grad_norm_is_not_changed(mini_batches, LeastSquares, run):
    on, plain = LeastSquares(), LeastSquares()
    run(mini_batches(SGD(0.9, True), max_grad_norm=1e3), on, max_iter=3)
    run(mini_batches(SGD(0.9, True)), plain, max_iter=3)
    assert_array_equal(on.params.vector, plain.params.vector)


def test_zeros_need_not_be_computed_if_they_change_nothing(mini_batches):
    assert mini_batches(SGD(0.0, True)).skips_zeros
    assert not mini_batches(SGD(0.9, True)).skips_zeros
    assert not mini_batches(SGD(0.0, True), max_grad_norm=1.0).skips_zeros
