"""A stack is several networks with a leading axis of members. Each of them trains as it would train alone."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbp._data.rows import Rows
from skbp._data.weights import shares
from skbp._network.activations import ACTIVATIONS, activation_record
from skbp._network.dropout import Dropout
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Gradient, Parameters
from skbp._network.predict import Forward
from skbp._network.tape import CHUNK_ROWS
from skbp._training.held_out import HeldOutFolds
from skbp._training.history import History, StackHistory
from skbp._training.minibatch import MiniBatchSolver
from skbp._training.monitor import Monitor
from skbp._training.printer import Printer
from skbp._training.schedules import SCHEDULES, Progress, learning_rate_factor
from skbp._training.updates import UPDATES

OF_RULES = {"momentum": 0.9, "nesterovs_momentum": True, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}


@dataclass
class Trial:
    """A small training of random data: one network alone, or a stack."""

    loss: str = "softmax"
    n_outputs: int = 3
    rule: str = "adam"
    activation: str = "relu"
    weighted: bool = False
    alpha: float | list = 0.1
    drop: tuple = (0.0, 0.0)
    container: type = np.asarray
    clip: float | None = None
    weight_decay: float = 0.0
    shuffle: bool = True
    schedule: str = "constant"
    warmup_fraction: float = 0.0
    label_smoothing: float = 0.0
    learning_rate_init: float = 0.05
    batch_size: int = 8
    max_iter: int = 4
    n_rows: int = 50
    dtype: type = np.float64
    n_threads: int = 1

    def rows(self):
        """The data."""
        rng = np.random.RandomState(0)
        X = rng.normal(size=(self.n_rows, 4)).astype(self.dtype)
        target = rng.randint(self.n_outputs, size=self.n_rows)
        if self.loss == "logistic":
            target = rng.uniform(size=(self.n_rows, self.n_outputs)) < 0.5
        weight = rng.uniform(0.1, 2.0, size=self.n_rows) if self.weighted else None
        return Rows(self.container(X), np.zeros(self.n_rows), np.zeros(self.n_rows), target, weight)

    def draw(self, params, rng):
        params.draw([6.0] * len(params.weights), rng)

    def objective(self, params, rngs=()):
        dropout = Dropout(self.drop, rngs) if any(self.drop) else None
        loss = replace(LOSSES[self.loss], label_smoothing=self.label_smoothing)
        return Objective(params, self.activations, loss, self.alpha, dropout, n_threads=self.n_threads)

    @property
    def activations(self):
        return [activation_record(self.activation)] * 2

    def solver(self, n_rows, rngs):
        rule = UPDATES[self.rule]
        return MiniBatchSolver(
            rule(**{name: OF_RULES[name] for name in rule.parameters}),
            learning_rate_factor(self.schedule, 0.5, self.warmup_fraction),
            self.learning_rate_init,
            min(self.batch_size, n_rows),
            self.shuffle,
            rngs,
            Progress(),
            self.max_iter,
            self.weight_decay,
            self.clip,
        )

    def alone(self, seed, subset=None):
        """Train one network on some of the rows, by default on all. Returns its parameters and its loss curve."""
        rows = self.rows() if subset is None else self.rows().subset(subset)
        rng, params = np.random.RandomState(seed), Parameters((4, 6, 5, self.n_outputs), self.dtype)
        self.draw(params, rng)
        history = History(0.0, np.inf)
        monitor = Monitor(history)
        monitor.start(params)
        self.solver(len(rows), [rng]).run(self.objective(params, [rng]), rows, monitor, self.max_iter)
        return params.vector, history.loss_curve

    def stacked(self, seeds, sets=None):
        """Train a stack with a seed and a set of rows for each member. Returns parameters and loss curves."""
        rngs = [np.random.RandomState(seed) for seed in seeds]
        params = Parameters((4, 6, 5, self.n_outputs), self.dtype, (len(seeds),))
        for i, rng in enumerate(rngs):
            self.draw(params.member(i), rng)
        sets = [np.arange(self.n_rows) for _ in seeds] if sets is None else [indices.copy() for indices in sets]
        history = StackHistory(len(seeds), 0.0, np.inf)
        monitor = Monitor(history, max_iter=self.max_iter)
        monitor.start(params)
        solver = self.solver(min(map(len, sets)), rngs)
        solver.run(self.objective(params, rngs), self.rows().for_members(sets), monitor, self.max_iter)
        return params.vector, [member.loss_curve for member in history.members]


def assert_moved(trial, vector, seed):
    start = Parameters((4, 6, 5, trial.n_outputs), trial.dtype)
    trial.draw(start, np.random.RandomState(seed))
    assert np.abs(vector - start.vector).max() > 1e-3


# Each of these settings uses another line of code that might treat a stack and one network differently.
SETTINGS = {
    "plain": {},
    "weighted": {"weighted": True},
    "weighted, an alpha for each layer": {"weighted": True, "alpha": [0.3, 0.2, 0.1]},
    "no penalty": {"alpha": 0.0},
    "dropout": {"drop": (0.3, 0.1)},
    "dropout of the second layer": {"drop": (0.0, 0.5), "weighted": True},
    "short gradients": {"clip": 0.1},
    "weight decay": {"weight_decay": 1.5, "schedule": "cosine"},
    "label smoothing": {"label_smoothing": 0.2},
    "rows in their order": {"shuffle": False, "weighted": True},
    "one batch": {"batch_size": 50},
    "all of it": {
        "weighted": True,
        "alpha": [0.3, 0.2, 0.1],
        "drop": (0.3, 0.1),
        "clip": 0.1,
        "weight_decay": 0.5,
        "label_smoothing": 0.1,
        "schedule": "one-cycle",
        "warmup_fraction": 0.2,
    },
}
BY_SETTING = pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))


# BLAS may round the same product differently if its operands lie at another place in memory. NumPy multiplies matrices of
# long doubles itself, in a fixed order. So their bits show whether a stack does the same operations as one network. In the
# types of BLAS the two may differ by rounding. Random last bits in all products made a difference of 4 eps.
DTYPES = [np.float32, np.float64, np.longdouble]


def assert_stack_of_one_equals_one_network(trial):
    vector, curve = trial.alone(7)
    stack, (curve_of_stack,) = trial.stacked([7])
    assert stack.dtype == vector.dtype == trial.dtype
    eps = float(np.finfo(trial.dtype).eps)
    if trial.dtype == np.longdouble:
        assert_array_equal(stack[0], vector)
    else:
        assert_allclose(stack[0], vector, rtol=0.0, atol=64 * eps)
    # Losses are floats of Python, also if the parameters have another type.
    assert_allclose(curve_of_stack, curve, rtol=max(32 * eps, 1e-14))
    assert len(curve) == trial.max_iter
    assert_moved(trial, vector, 7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", UPDATES)
@BY_SETTING
def test_a_stack_of_one_equals_one_network(setting, rule, output, container, dtype):
    assert_stack_of_one_equals_one_network(Trial(*output, rule, container=container, dtype=dtype, **setting))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_stack_of_one_equals_one_network_with_every_activation(activation, dtype):
    assert_stack_of_one_equals_one_network(Trial(activation=activation, dtype=dtype, **SETTINGS["all of it"]))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_stack_of_one_equals_one_network_with_every_schedule(schedule):
    trial = Trial(schedule=schedule, warmup_fraction=0.3, weight_decay=0.5, dtype=np.longdouble)
    assert_stack_of_one_equals_one_network(trial)


THREE_SETS = [np.arange(0, 36), np.arange(14, 50), np.r_[0:18, 32:50]]


@pytest.mark.parametrize("rule", UPDATES)
@BY_SETTING
def test_members_equal_networks_trained_alone_on_their_rows(setting, rule, output, container):
    trial = Trial(*output, rule, container=container, **setting)
    vectors, curves = trial.stacked([7, 8, 9], THREE_SETS)
    for seed, indices, vector, curve in zip([7, 8, 9], THREE_SETS, vectors, curves, strict=True):
        alone, curve_alone = trial.alone(seed, indices)
        assert_allclose(vector, alone, rtol=1e-9, atol=1e-11)
        assert_allclose(curve, curve_alone, rtol=1e-10)
        assert_moved(trial, vector, seed)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_members_equal_networks_trained_alone_with_every_activation(activation):
    trial = Trial(activation=activation, drop=(0.3, 0.1))
    vectors, _ = trial.stacked([7, 8, 9], THREE_SETS)
    for seed, indices, vector in zip([7, 8, 9], THREE_SETS, vectors, strict=True):
        assert_allclose(vector, trial.alone(seed, indices)[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shuffle", [False, True])
def test_members_take_as_many_rows_in_an_epoch_as_the_smallest_set_has(shuffle):
    # The steps of a member by hand: it goes through the first 20 rows of its own order.
    trial = Trial(shuffle=shuffle, max_iter=5)
    sets, rows = [np.arange(10, 50), np.arange(20), np.arange(5, 35)], trial.rows()
    vectors, curves = trial.stacked([7, 8, 9], sets)
    for seed, own, vector, curve in zip([7, 8, 9], sets, vectors, curves, strict=True):
        rng, order, params = np.random.RandomState(seed), own.copy(), Parameters((4, 6, 5, 3), np.float64)
        trial.draw(params, rng)
        on, solver = trial.objective(params, [rng]), trial.solver(20, [rng])
        seen, losses = set(), []
        for _ in range(trial.max_iter):
            if shuffle:
                rng.shuffle(order)
            values = []
            for start in (0, 8, 16):
                indices = order[start : min(start + 8, 20)]
                values.append(on.value_and_gradient(rows.take(indices)) * len(indices))
                solver.rule.step(params.vector, on.gradient.vector, trial.learning_rate_init)
                seen |= set(indices)
            losses.append(sum(values) / 20)
        assert_allclose(vector, params.vector, rtol=1e-9, atol=1e-11)
        assert_allclose(curve, losses, rtol=1e-10)
        # Shuffled sets leave out other rows in every epoch. So nearly all rows have their turn.
        assert len(seen) == 20 if not shuffle else len(seen) >= 0.9 * len(own)


def test_the_sets_of_rows_may_have_a_row_more_than_once():
    trial = Trial()
    bootstrap = np.random.RandomState(0).randint(50, size=(2, 40))
    vectors, _ = trial.stacked([7, 8], list(bootstrap))
    for seed, indices, vector in zip([7, 8], bootstrap, vectors, strict=True):
        assert_allclose(vector, trial.alone(seed, indices)[0], rtol=1e-9, atol=1e-11)


# The objective


def members_and_stack(trial, n_members):
    rngs = [np.random.RandomState(seed) for seed in range(n_members)]
    params = Parameters((4, 6, 5, trial.n_outputs), trial.dtype, (n_members,))
    for i, rng in enumerate(rngs):
        trial.draw(params.member(i), rng)
    return [params.member(i) for i in range(n_members)], params


@pytest.mark.parametrize("n_rows", [30, CHUNK_ROWS, CHUNK_ROWS + 77])
def test_the_objective_of_a_stack_is_that_of_each_member_on_its_rows(output, weighted, container, n_rows):
    trial = Trial(*output, activation="mish", weighted=weighted, container=container, n_rows=1200)
    networks, params = members_and_stack(trial, 3)
    rows, on = trial.rows(), trial.objective(params)
    indices = np.random.RandomState(1).randint(1200, size=(3, n_rows))
    on.gradient.vector[...] = np.nan  # an element that is not written shows
    values = on.value_and_gradient(rows.take(indices))
    assert values.shape == (3,)
    for i, network in enumerate(networks):
        alone = trial.objective(network)
        assert_allclose(values[i], alone.value_and_gradient(rows.take(indices[i])), rtol=1e-12)
        assert_allclose(on.gradient.vector[i], alone.gradient.vector, rtol=1e-9, atol=1e-14)


@pytest.fixture
def losses_of(closed_forms):
    """The loss of each selected row from its logits, by the formulas."""

    def losses(trial, network, rows, indices):
        logits = Forward(network.weights, network.biases, trial.activations, trial.dtype).logits(rows.X[indices])
        return closed_forms[trial.loss].losses(logits, rows.target[indices])

    return losses


@pytest.mark.parametrize("n_rows", [20, CHUNK_ROWS + 77])
def test_row_losses_are_those_of_the_logits_of_each_member(losses_of, output, container, n_rows):
    trial = Trial(*output, weighted=True, container=container, n_rows=1200)
    networks, params = members_and_stack(trial, 3)
    rows = trial.rows()
    indices = np.random.RandomState(1).randint(1200, size=(3, n_rows))
    found = trial.objective(params).row_losses(rows.take(indices))
    for network, own, losses in zip(networks, indices, found, strict=True):
        assert_allclose(losses, losses_of(trial, network, rows, own), rtol=1e-10)


# Training as a whole


def regression_to(targets, curvature=1.0):
    """An objective without a network: curvature / 2 (theta - target)^2 of one number for each member."""

    class Quadratic:
        def __init__(self):
            self.params = Parameters((1, 1), np.float64, (len(targets),))
            self.gradient = Gradient((1, 1), np.float64, (len(targets),))
            self.params.vector[...] = 0.0

        def value_and_gradient(self, batches):
            (batch,) = batches
            assert batch.X.shape == (len(targets), 4, 1)
            distance = self.params.vector[:, 0] - targets
            self.gradient.vector[...] = 0.0
            self.gradient.vector[:, 0] = curvature * distance
            return 0.5 * curvature * distance**2

        def is_finite(self, rows):
            return np.isfinite(self.params.vector).all(axis=-1)

    return Quadratic()


def plain_descent(n_members, learning_rate, schedule="constant", **given):
    rngs = [np.random.RandomState(i) for i in range(n_members)]
    factor = learning_rate_factor(schedule, 0.5, 0.0)
    return MiniBatchSolver(UPDATES["sgd"](0.0, False), factor, learning_rate, 4, True, rngs, Progress(), 100, **given)


def run(solver, on, history, max_iter=100):
    """Train a stack on four rows for each member."""
    (n_members,) = on.params.members
    rows = Rows(np.zeros((4, 1)), None, None, np.zeros(4), None, sets=[np.arange(4) for _ in range(n_members)])
    monitor = Monitor(history, max_iter=max_iter)
    monitor.start(on.params)
    with np.errstate(all="ignore"):
        return solver.run(on, rows, monitor, max_iter)


def test_the_gradient_of_each_member_is_shortened_for_itself():
    # Of the gradients -8 and -0.25 only the first is longer than 1. A step of 0.5 goes by 0.5 and by 0.125.
    on = regression_to(np.array([8.0, 0.25]))
    run(plain_descent(2, 0.5, max_grad_norm=1.0), on, StackHistory(2, 0.0, np.inf), 1)
    assert_allclose(on.params.vector[:, 0], [0.5, 0.125])


def test_training_goes_on_until_the_last_member_has_stalled():
    # The distance halves with every step. The first member is at its goal from the start. After some steps the second falls
    # by less than tol. The fourth epoch without improvement exceeds the patience of 3.
    on, history = regression_to(np.array([0.0, 1.0])), StackHistory(2, 1e-4, 3)
    outcome = run(plain_descent(2, 0.5), on, history)
    # Before step k, counted from 1, F is 0.5 / 4^(k - 1). That is 1.5 / 4^(k - 1) less than a step earlier.
    last_improvement = 1 + math.floor(math.log(1.5 / 1e-4, 4))
    assert outcome.status == "converged"
    assert history.n_iter == last_improvement + 4
    assert history.members[0].no_improvement_count == history.n_iter - 1


def test_an_adaptive_learning_rate_falls_when_all_members_have_stalled_and_resets_their_patience():
    # At the goal nothing improves after the first epoch. Every third further epoch exceeds the patience of 2.
    on, history = regression_to(np.array([0.0, 0.0])), StackHistory(2, 0.0625, 2)
    run(plain_descent(2, 0.5, "adaptive"), on, history, 12)
    rates = history.members[0].learning_rate_curve
    assert_allclose(rates, [0.5] * 4 + [0.1] * 3 + [0.02] * 3 + [0.004] * 2)
    assert history.members[1].learning_rate_curve == rates


def test_a_member_that_diverges_keeps_its_last_finite_weights_and_the_others_go_on():
    # With a learning rate of 3 and a curvature of 10^60, theta of the second member grows 10^60-fold with every step.
    on = regression_to(np.array([1.0, 1.0]), np.array([0.1, 1e60]))
    history = StackHistory(2, 0.0, np.inf)
    outcome = run(plain_descent(2, 3.0), on, history, 20)
    assert outcome.status == "max_iter"
    assert history.diverged.tolist() == [False, True]
    # F has the square of the distance. It exceeds 10^308 if the distance exceeds some 10^124, before the fourth step.
    assert [member.n_iter for member in history.members] == [20, 3]
    history.restore_last(on.params)
    assert_allclose(on.params.vector[0, 0], 1.0 - 0.7**20)
    assert on.params.vector[1, 0] == pytest.approx((3e60) ** 3, rel=1e-6)


def test_training_ends_when_all_members_have_diverged():
    on = regression_to(np.array([1.0, 1.0]), np.array([1e70, 1e60]))
    history = StackHistory(2, 0.0, np.inf)
    outcome = run(plain_descent(2, 3.0), on, history)
    assert outcome.status == "diverged"
    assert f"in iteration {history.n_iter + 1}" in outcome.warning
    assert np.isfinite(on.params.vector).all()


# The history


def looks(*pairs):
    """Held-out rows that give a pair of scores for each look. The losses are the scores with another sign."""
    remaining = iter(pairs)

    def held_out(params):
        assert np.isfinite(params.vector).all()
        scores = np.array(next(remaining))
        return scores, -scores

    return held_out


def report(monitor, n_epochs, losses=None):
    """Report epochs of two members. After the k-th, counted from 1, the parameters are k, and 100 k of the second member."""
    params = Parameters((2, 1), np.float64, (2,))
    params.vector[...] = 0.0
    monitor.start(params)
    for k, loss in enumerate(losses or [(1.0, 2.0)] * n_epochs, start=1):
        params.vector[0], params.vector[1] = k, 100 * k
        monitor.record(np.array(loss), params)
    return params


def judged(held_out, every=1, tol=0.0, n_iter_no_change=np.inf, max_iter=100):
    """The monitor of a stack of two members with early stopping."""
    history = StackHistory(2, tol, n_iter_no_change, True, True)
    return Monitor(history, held_out, max_iter=max_iter, every=every)


def test_every_member_has_its_own_history():
    monitor = judged(looks((0.1, 0.4), (0.3, 0.2), (0.2, 0.3)))
    report(monitor, 3, [(1.0, 6.0), (2.0, 5.0), (3.0, 4.0)])
    first, second = monitor.history.members
    assert (first.loss_curve, second.loss_curve) == ([1.0, 2.0, 3.0], [6.0, 5.0, 4.0])
    assert (first.validation_scores, second.validation_scores) == ([0.1, 0.3, 0.2], [0.4, 0.2, 0.3])
    assert second.validation_loss_curve == [-0.4, -0.2, -0.3]
    assert (first.best_iter, second.best_iter) == (2, 1)
    assert (first.best_validation_score, second.best_validation_score) == (0.3, 0.4)
    assert (monitor.n_iter, first.n_iter, second.n_iter) == (3, 3, 3)


def test_every_member_gets_its_own_best_weights_back():
    monitor = judged(looks((0.1, 0.4), (0.3, 0.2), (0.2, 0.3)))
    params = report(monitor, 3)
    monitor.restore_best(params)
    assert_array_equal(params.vector, [[2.0] * 3, [100.0] * 3])


def test_the_last_weights_are_those_of_the_last_recorded_epoch():
    monitor = judged(looks(*[(0.1, 0.4)] * 3))
    params = report(monitor, 3)
    params.vector[...] = np.nan
    monitor.restore_last(params)
    assert_array_equal(params.vector, [[3.0] * 3, [300.0] * 3])


def test_there_is_a_look_at_the_held_out_rows_after_every_third_epoch_and_after_the_last():
    monitor = judged(looks((0.1, 0.4), (0.3, 0.2), (0.2, 0.5)), every=3, max_iter=7)
    params = report(monitor, 7)
    nan, (first, second) = math.nan, monitor.history.members
    assert_array_equal(first.validation_scores, [nan, nan, 0.1, nan, nan, 0.3, 0.2])
    assert_array_equal(second.validation_loss_curve, [nan, nan, -0.4, nan, nan, -0.2, -0.5])
    assert (first.best_iter, second.best_iter) == (6, 7)
    monitor.restore_best(params)
    assert_array_equal(params.vector, [[6.0] * 3, [700.0] * 3])


def test_if_training_ends_between_two_looks_there_is_a_look_at_the_last_weights():
    monitor = judged(looks((0.1, 0.4), (0.3, 0.2)), every=3)
    params = report(monitor, 5)
    params.vector[...] = np.nan  # as an interrupt may leave them within an epoch
    monitor.restore_best(params)
    assert_array_equal(params.vector, [[5.0] * 3, [300.0] * 3])
    first, second = monitor.history.members
    assert (first.best_iter, second.best_iter) == (5, 3)
    assert_array_equal(first.validation_scores, [math.nan, math.nan, 0.1, math.nan, 0.3])
    assert_array_equal(second.validation_loss_curve[-1], -0.2)


def test_only_a_look_tells_that_training_has_stalled():
    # The looks after epochs 3 and 6 find improvements, and that after epoch 9 finds none. It is the third epoch without an
    # improvement, more than the patience of 1. The second exceeds the patience too, but has no look and tells nothing.
    monitor = judged(looks((0.1, 0.1), (0.2, 0.2), (0.2, 0.2)), every=3, tol=0.05, n_iter_no_change=1)
    params, stalled = Parameters((2, 1), np.float64, (2,)), []
    params.vector[...] = 0.0
    monitor.start(params)
    for _ in range(9):
        monitor.record(np.array([1.0, 1.0]), params)
        stalled.append(monitor.stalled)
    assert stalled == [False] * 8 + [True]


def test_training_has_stalled_when_every_member_has():
    monitor = judged(looks((0.5, 0.1), (0.5, 0.2), (0.5, 0.3), (0.5, 0.3), (0.5, 0.3)), tol=0.05, n_iter_no_change=1)
    params, stalled = Parameters((2, 1), np.float64, (2,)), []
    params.vector[...] = 0.0
    monitor.start(params)
    for _ in range(5):
        monitor.record(np.array([1.0, 1.0]), params)
        stalled.append((monitor.history.members[0].stalled, monitor.stalled))
    assert stalled == [(False, False), (False, False), (True, False), (True, False), (True, True)]


def test_without_validation_the_losses_decide_and_the_last_weights_are_kept():
    monitor = Monitor(StackHistory(2, 0.25, 1), max_iter=100, every=3)
    params = report(monitor, 3, [(1.0, 9.0), (1.0, 8.0), (1.0, 7.0)])
    assert [member.stalled for member in monitor.history.members] == [True, False]
    assert not monitor.stalled
    monitor.restore_best(params)
    assert_array_equal(params.vector, [[3.0] * 3, [300.0] * 3])
    assert monitor.history.members[0].validation_scores == []


def test_the_line_of_an_epoch_has_the_means_over_the_members(capsys):
    history = StackHistory(2, 0.0, 5, True, True)
    monitor = Monitor(history, looks((-0.25, -0.75)), [Printer(1)], max_iter=7)
    report(monitor, 1, [(1.0, 2.0)])
    words = capsys.readouterr().out.split()
    assert words[words.index("loss") + 1] == "1.5"
    assert words[words.index("score") + 1] == "-0.5"
    assert words[words.index("Iteration") + 1] == "1"


# The folds


def held_out_folds(trial, params, rows, folds):
    return HeldOutFolds(trial.objective(params), rows, folds, [shares(rows.weight, fold) for fold in folds])


def test_the_loss_of_a_member_on_its_fold_is_the_weighted_mean_of_its_rows(losses_of, output, container, weighted):
    trial = Trial(*output, weighted=weighted, container=container)
    networks, params = members_and_stack(trial, 3)
    rows = trial.rows()
    folds = [np.arange(7), np.arange(7, 50), np.array([3, 30, 12])]
    scores, losses = held_out_folds(trial, params, rows, folds)(params)
    for network, fold, of_member in zip(networks, folds, losses, strict=True):
        weights = None if rows.weight is None else rows.weight[fold]
        mean = np.average(losses_of(trial, network, rows, fold), weights=weights)
        assert_allclose(of_member, mean, rtol=1e-10)
    assert_array_equal(scores, -losses)


def test_the_rows_of_a_fold_without_weight_count_equally(losses_of):
    trial = Trial()
    networks, params = members_and_stack(trial, 2)
    folds, rows = [np.arange(10), np.arange(10, 50)], trial.rows()
    rows.weight = np.r_[np.zeros(10), np.arange(40.0)]
    _, losses = held_out_folds(trial, params, rows, folds)(params)
    for network, fold, weights, loss in zip(networks, folds, [None, rows.weight[10:]], losses, strict=True):
        assert_allclose(loss, np.average(losses_of(trial, network, rows, fold), weights=weights), rtol=1e-10)
