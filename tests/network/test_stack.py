"""A stack is several networks with a leading axis of members, each of which gets on as it would alone."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import log_expit, log_softmax

from skbp._data.validation import FoldValidation
from skbp._network.activations import ACTIVATIONS, activation_record
from skbp._network.dropout import Dropout
from skbp._network.losses import LOSSES
from skbp._network.objective import CHUNK_ROWS, Objective
from skbp._network.parameters import Parameters
from skbp._network.predict import predict_logits
from skbp._training.monitor import Monitor, StackMonitor
from skbp._training.schedules import SCHEDULES, Progress, learning_rate_factor
from skbp._training.solvers import MiniBatchSolver
from skbp._training.updates import UPDATES

OUTPUTS = [(loss, n_outputs) for loss in LOSSES for n_outputs in ((3,) if loss == "softmax" else (1, 3))]
CONTAINERS = [np.asarray, csr_array]
IDS = {np.asarray: "dense", csr_array: "csr"}
OF_RULES = {"momentum": 0.9, "nesterovs_momentum": True, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}


@dataclass
class Recipe:
    """What is to be trained, and how."""

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

    def data(self):
        rng = np.random.RandomState(0)
        X = rng.normal(size=(self.n_rows, 4)).astype(self.dtype)
        target = rng.randint(self.n_outputs, size=self.n_rows)
        if self.loss == "logistic":
            target = rng.uniform(size=(self.n_rows, self.n_outputs)) < 0.5
        weight = rng.uniform(0.1, 2.0, size=self.n_rows) if self.weighted else None
        return self.container(X), target, weight

    def draw(self, params, rng):
        params.draw([6.0] * len(params.weights), rng)

    def objective(self, params, X, target, weight, rngs):
        dropout = Dropout(self.drop, rngs) if any(self.drop) else None
        loss = replace(LOSSES[self.loss], label_smoothing=self.label_smoothing)
        return Objective(params, self.activations, loss, self.alpha, X, target, weight, dropout)

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

    def alone(self, seed, rows=slice(None)):
        """One network trained on some of the rows: its parameters and its loss curve."""
        X, target, weight = self.data()
        rng, params = np.random.RandomState(seed), Parameters((4, 6, 5, self.n_outputs), self.dtype)
        self.draw(params, rng)
        on = self.objective(params, X[rows], target[rows], None if weight is None else weight[rows], [rng])
        monitor = Monitor(0.0, np.inf)
        monitor.start(params, False)
        self.solver(on.n_rows, [rng]).run(on, monitor, self.max_iter)
        return params.vector, monitor.loss_curve

    def stacked(self, seeds, row_sets=None):
        """A stack, a seed for each member, trained on all rows or on a set of rows for each: the same of every member."""
        rngs = [np.random.RandomState(seed) for seed in seeds]
        params = Parameters((4, 6, 5, self.n_outputs), self.dtype, (len(seeds),))
        for i, rng in enumerate(rngs):
            self.draw(params.member(i), rng)
        row_sets = [np.arange(self.n_rows) for _ in seeds] if row_sets is None else [rows.copy() for rows in row_sets]
        on = self.objective(params, *self.data(), rngs)
        monitor = StackMonitor(len(seeds), 1, 0.0, np.inf, max_iter=self.max_iter)
        monitor.start(params)
        self.solver(min(map(len, row_sets)), rngs).run(on, monitor, self.max_iter, row_sets)
        return params.vector, [member.loss_curve for member in monitor.members]


def assert_moved(recipe, vector, seed):
    start = Parameters((4, 6, 5, recipe.n_outputs), recipe.dtype)
    recipe.draw(start, np.random.RandomState(seed))
    assert np.abs(vector - start.vector).max() > 1e-3


# Settings that each touch another line in which a stack and one network might part.
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


# What BLAS makes of the same numbers is its own affair: it may round otherwise where its operands lie elsewhere in memory.
# Of long doubles NumPy takes products itself, in an order of its own, so that the bits show whether a stack does the same
# operations as one network. In BLAS's types the two may part by rounding: products whose last bits were all drawn by lot
# made a difference of 4 eps.
DTYPES = [np.float32, np.float64, np.longdouble]


def assert_stack_of_one_equals_one_network(recipe):
    vector, curve = recipe.alone(7)
    stack, (curve_of_stack,) = recipe.stacked([7])
    assert stack.dtype == vector.dtype == recipe.dtype
    eps = float(np.finfo(recipe.dtype).eps)
    if recipe.dtype == np.longdouble:
        assert_array_equal(stack[0], vector)
    else:
        assert_allclose(stack[0], vector, rtol=0.0, atol=64 * eps)
    # Losses are Python's floats, whatever the type of the parameters.
    assert_allclose(curve_of_stack, curve, rtol=max(32 * eps, 1e-14))
    assert len(curve) == recipe.max_iter
    assert_moved(recipe, vector, 7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("container", CONTAINERS, ids=IDS.get)
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
@pytest.mark.parametrize("rule", UPDATES)
@BY_SETTING
def test_a_stack_of_one_equals_one_network(setting, rule, loss, n_outputs, container, dtype):
    assert_stack_of_one_equals_one_network(Recipe(loss, n_outputs, rule, container=container, dtype=dtype, **setting))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_stack_of_one_equals_one_network_with_every_activation(activation, dtype):
    assert_stack_of_one_equals_one_network(Recipe(activation=activation, dtype=dtype, **SETTINGS["all of it"]))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_stack_of_one_equals_one_network_with_every_schedule(schedule):
    recipe = Recipe(schedule=schedule, warmup_fraction=0.3, weight_decay=0.5, dtype=np.longdouble)
    assert_stack_of_one_equals_one_network(recipe)


THREE_SETS = [np.arange(0, 36), np.arange(14, 50), np.r_[0:18, 32:50]]


@pytest.mark.parametrize("container", CONTAINERS, ids=IDS.get)
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
@pytest.mark.parametrize("rule", UPDATES)
@BY_SETTING
def test_members_equal_networks_trained_alone_on_their_rows(setting, rule, loss, n_outputs, container):
    recipe = Recipe(loss, n_outputs, rule, container=container, **setting)
    vectors, curves = recipe.stacked([7, 8, 9], THREE_SETS)
    for seed, rows, vector, curve in zip([7, 8, 9], THREE_SETS, vectors, curves, strict=True):
        alone, curve_alone = recipe.alone(seed, rows)
        assert_allclose(vector, alone, rtol=1e-9, atol=1e-11)
        assert_allclose(curve, curve_alone, rtol=1e-10)
        assert_moved(recipe, vector, seed)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_members_equal_networks_trained_alone_with_every_activation(activation):
    recipe = Recipe(activation=activation, drop=(0.3, 0.1))
    vectors, _ = recipe.stacked([7, 8, 9], THREE_SETS)
    for seed, rows, vector in zip([7, 8, 9], THREE_SETS, vectors, strict=True):
        assert_allclose(vector, recipe.alone(seed, rows)[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shuffle", [False, True])
def test_members_with_more_rows_leave_out_as_many_in_an_epoch_as_the_shortest_lacks(shuffle):
    # What one member does by hand: its own order, of which the first 20 rows are gone through.
    recipe = Recipe(shuffle=shuffle, max_iter=5)
    row_sets = [np.arange(10, 50), np.arange(20), np.arange(5, 35)]
    vectors, curves = recipe.stacked([7, 8, 9], row_sets)
    for seed, row_set, vector, curve in zip([7, 8, 9], row_sets, vectors, curves, strict=True):
        rng, rows, params = np.random.RandomState(seed), row_set.copy(), Parameters((4, 6, 5, 3), np.float64)
        recipe.draw(params, rng)
        on, solver = recipe.objective(params, *recipe.data(), [rng]), recipe.solver(20, [rng])
        seen, losses = set(), []
        for _ in range(recipe.max_iter):
            if shuffle:
                rng.shuffle(rows)
            values = []
            for start in (0, 8, 16):
                batch = rows[start : min(start + 8, 20)]
                values.append(on.value_and_gradient(batch) * len(batch))
                solver.rule.step(params.vector, on.gradient.vector, recipe.learning_rate_init)
                seen |= set(batch)
            losses.append(sum(values) / 20)
        assert_allclose(vector, params.vector, rtol=1e-9, atol=1e-11)
        assert_allclose(curve, losses, rtol=1e-10)
        # Shuffled, other rows are left out every time: nearly all have their turn.
        assert len(seen) == 20 if not shuffle else len(seen) >= 0.9 * len(row_set)


def test_the_sets_of_rows_may_hold_a_row_more_than_once():
    recipe = Recipe()
    bootstrap = np.random.RandomState(0).randint(50, size=(2, 40))
    vectors, _ = recipe.stacked([7, 8], list(bootstrap))
    for seed, rows, vector in zip([7, 8], bootstrap, vectors, strict=True):
        assert_allclose(vector, recipe.alone(seed, rows)[0], rtol=1e-9, atol=1e-11)


# The objective


def members_and_stack(recipe, n_members):
    rngs = [np.random.RandomState(seed) for seed in range(n_members)]
    params = Parameters((4, 6, 5, recipe.n_outputs), recipe.dtype, (n_members,))
    for i, rng in enumerate(rngs):
        recipe.draw(params.member(i), rng)
    return [params.member(i) for i in range(n_members)], params


@pytest.mark.parametrize("n_rows", [30, CHUNK_ROWS, CHUNK_ROWS + 77])
@pytest.mark.parametrize("container", CONTAINERS, ids=IDS.get)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
def test_the_objective_of_a_stack_is_that_of_each_member_on_its_rows(loss, n_outputs, weighted, container, n_rows):
    recipe = Recipe(loss, n_outputs, activation="mish", weighted=weighted, container=container, n_rows=1200)
    networks, params = members_and_stack(recipe, 3)
    data = recipe.data()
    on = recipe.objective(params, *data, [])
    rows = np.random.RandomState(1).randint(1200, size=(3, n_rows))
    on.gradient.vector[...] = np.nan  # whatever is not written shows
    values = on.value_and_gradient(rows)
    assert values.shape == (3,)
    for i, network in enumerate(networks):
        alone = recipe.objective(network, *data, [])
        assert_allclose(values[i], alone.value_and_gradient(rows[i]), rtol=1e-12)
        assert_allclose(on.gradient.vector[i], alone.gradient.vector, rtol=1e-9, atol=1e-14)


def losses_of_rows(logits, target):
    """Each row's loss from the formulas."""
    if target.ndim == 1:
        return -log_softmax(logits, axis=1)[np.arange(len(target)), target]
    return -np.where(target, log_expit(logits), log_expit(-logits)).sum(axis=1)


@pytest.mark.parametrize("n_rows", [20, CHUNK_ROWS + 77])
@pytest.mark.parametrize("container", CONTAINERS, ids=IDS.get)
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
def test_the_losses_of_rows_are_those_of_each_members_logits(loss, n_outputs, container, n_rows):
    recipe = Recipe(loss, n_outputs, weighted=True, container=container, n_rows=1200)
    networks, params = members_and_stack(recipe, 3)
    X, target, weight = recipe.data()
    on = recipe.objective(params, X, target, weight, [])
    rows = np.random.RandomState(1).randint(1200, size=(3, n_rows))
    for i, (network, losses) in enumerate(zip(networks, on.row_losses(rows), strict=True)):
        logits = predict_logits(network.weights, network.biases, recipe.activations, X[rows[i]])
        assert_allclose(losses, losses_of_rows(logits, target[rows[i]]), rtol=1e-10)


# The parameters


def test_a_member_is_the_network_at_its_place_in_the_same_memory():
    params = Parameters((2, 3, 1), np.float64, (2,))
    params.vector[...] = np.arange(26.0).reshape(2, 13)
    member = params.member(1)
    assert (params.members, member.members) == ((2,), ())
    assert_array_equal(member.vector, np.arange(13.0, 26.0))
    assert_array_equal(member.weights[0], [[13.0, 14.0, 15.0], [16.0, 17.0, 18.0]])
    assert_array_equal(member.weights[1], [[19.0], [20.0], [21.0]])
    assert_array_equal(member.biases[0], [22.0, 23.0, 24.0])
    assert_array_equal(member.biases[1], [25.0])
    for of_stack, of_member in zip(params.weights + params.biases, member.weights + member.biases, strict=True):
        assert_array_equal(of_stack[1], of_member)
    member.weights[1][0, 0] = -1.0
    params.weight_vector[1, 0] = -2.0
    assert (params.vector[1, 6], member.weights[0][0, 0]) == (-1.0, -2.0)
    assert_array_equal(params.vector[0], np.arange(13.0))


def test_copies_of_a_stacks_parameters_are_a_stack_with_memory_of_its_own():
    params = Parameters((2, 3, 1), np.float32, (2,))
    params.vector[...] = 1.0
    other = params.like()
    other.vector[...] = 2.0
    assert (other.members, other.units, other.vector.dtype) == ((2,), (2, 3, 1), np.float32)
    assert_array_equal(params.vector, 1.0)


# Training as a whole


def regression_to(targets, curvature=1.0):
    """An objective of one number a member, curvature / 2 (theta - target)^2, which is no network's."""

    class Quadratic:
        columns = None

        def __init__(self):
            self.params = Parameters((1, 1), np.float64, (len(targets),))
            self.gradient = self.params.like()
            self.params.vector[...] = 0.0
            self.n_rows = 4

        def value_and_gradient(self, rows):
            assert rows.shape == (len(targets), 4)
            distance = self.params.vector[:, 0] - targets
            self.gradient.vector[...] = 0.0
            self.gradient.vector[:, 0] = curvature * distance
            return 0.5 * curvature * distance**2

        def is_finite(self):
            return np.isfinite(self.params.vector).all(axis=-1)

    return Quadratic()


def plain_descent(n_members, learning_rate, schedule="constant", **given):
    rngs = [np.random.RandomState(i) for i in range(n_members)]
    factor = learning_rate_factor(schedule, 0.5, 0.0)
    return MiniBatchSolver(UPDATES["sgd"](0.0, False), factor, learning_rate, 4, True, rngs, Progress(), 100, **given)


def run(solver, on, monitor, max_iter=100):
    monitor.start(on.params)
    with np.errstate(all="ignore"):
        return solver.run(on, monitor, max_iter, [np.arange(4) for _ in range(on.params.members[0])])


def test_each_members_gradient_is_shortened_for_itself():
    # Of gradients -8 and -0.25 only the first is longer than 1: a step of 0.5 goes by 0.5 and by 0.125.
    on = regression_to(np.array([8.0, 0.25]))
    run(plain_descent(2, 0.5, max_grad_norm=1.0), on, StackMonitor(2, 1, 0.0, np.inf, max_iter=1), 1)
    assert_allclose(on.params.vector[:, 0], [0.5, 0.125])


def test_training_goes_on_until_the_last_member_has_stalled():
    # The distance halves with every step. The first member is at its goal from the start, the second falls by less than
    # tol after some steps; the patience of 3 is exceeded at the fourth epoch without improvement.
    on, monitor = regression_to(np.array([0.0, 1.0])), StackMonitor(2, 1, 1e-4, 3, max_iter=100)
    outcome = run(plain_descent(2, 0.5), on, monitor)
    # Before step k, counted from 1, F is 0.5 / 4^(k - 1), which is 1.5 / 4^(k - 1) less than a step earlier.
    last_improvement = 1 + math.floor(math.log(1.5 / 1e-4, 4))
    assert outcome.status == "converged"
    assert monitor.n_iter == last_improvement + 4
    assert monitor.members[0].no_improvement_count == monitor.n_iter - 1


def test_an_adaptive_learning_rate_falls_when_all_members_have_stalled_and_gives_them_patience_anew():
    # At the goal nothing improves after the first epoch: every third one more is one too many for a patience of 2.
    on, monitor = regression_to(np.array([0.0, 0.0])), StackMonitor(2, 1, 0.0625, 2, max_iter=100)
    run(plain_descent(2, 0.5, "adaptive"), on, monitor, 12)
    rates = monitor.members[0].learning_rate_curve
    assert_allclose(rates, [0.5] * 4 + [0.1] * 3 + [0.02] * 3 + [0.004] * 2)
    assert monitor.members[1].learning_rate_curve == rates


def test_a_member_that_diverges_keeps_its_last_finite_weights_and_the_others_go_on():
    # At a learning rate of 3 and a curvature of 10^60 theta of the second member grows 10^60-fold with every step.
    on = regression_to(np.array([1.0, 1.0]), np.array([0.1, 1e60]))
    monitor = StackMonitor(2, 1, 0.0, np.inf, max_iter=20)
    outcome = run(plain_descent(2, 3.0), on, monitor, 20)
    assert outcome.status == "max_iter"
    assert monitor.diverged.tolist() == [False, True]
    # F has the square of the distance, which exceeds 10^308 once the distance exceeds some 10^124: before the fourth step.
    assert [member.n_iter for member in monitor.members] == [20, 3]
    monitor.restore_last(on.params)
    assert_allclose(on.params.vector[0, 0], 1.0 - 0.7**20)
    assert on.params.vector[1, 0] == pytest.approx((3e60) ** 3, rel=1e-6)


def test_where_all_members_diverge_training_ends():
    on = regression_to(np.array([1.0, 1.0]), np.array([1e70, 1e60]))
    monitor = StackMonitor(2, 1, 0.0, np.inf, max_iter=100)
    outcome = run(plain_descent(2, 3.0), on, monitor)
    assert outcome.status == "diverged"
    assert f"in iteration {monitor.n_iter + 1}" in outcome.warning
    assert np.isfinite(on.params.vector).all()


# The monitor


def looks(*pairs):
    """Scores of two members, a pair for each look at the validation data; the losses are the scores with another sign."""
    remaining = iter(pairs)

    def validate(params):
        assert np.isfinite(params.vector).all()
        scores = np.array(next(remaining))
        return scores, -scores

    return validate


def train(monitor, n_epochs, losses=None):
    """Report epochs of two members; after the k-th, counted from 1, every parameter is k, those of the second 100 k."""
    params = Parameters((2, 1), np.float64, (2,))
    params.vector[...] = 0.0
    monitor.start(params)
    for k, loss in enumerate(losses or [(1.0, 2.0)] * n_epochs, start=1):
        params.vector[0], params.vector[1] = k, 100 * k
        monitor.record(np.array(loss), params)
    return params


def judged(validate, every=1, tol=0.0, n_iter_no_change=np.inf, max_iter=100, **given):
    return StackMonitor(
        2, every, tol, n_iter_no_change, False, validate, early_stopping=True, max_iter=max_iter, **given
    )


def test_every_member_has_its_own_history():
    monitor = judged(looks((0.1, 0.4), (0.3, 0.2), (0.2, 0.3)))
    train(monitor, 3, [(1.0, 6.0), (2.0, 5.0), (3.0, 4.0)])
    first, second = monitor.members
    assert (first.loss_curve, second.loss_curve) == ([1.0, 2.0, 3.0], [6.0, 5.0, 4.0])
    assert (first.validation_scores, second.validation_scores) == ([0.1, 0.3, 0.2], [0.4, 0.2, 0.3])
    assert second.validation_loss_curve == [-0.4, -0.2, -0.3]
    assert (first.best_iter, second.best_iter) == (2, 1)
    assert (first.best_validation_score, second.best_validation_score) == (0.3, 0.4)
    assert (monitor.n_iter, first.n_iter, second.n_iter) == (3, 3, 3)


def test_every_member_gets_its_own_best_weights_back():
    monitor = judged(looks((0.1, 0.4), (0.3, 0.2), (0.2, 0.3)))
    params = train(monitor, 3)
    monitor.restore_best(params)
    assert_array_equal(params.vector, [[2.0] * 3, [100.0] * 3])


def test_the_last_weights_are_those_of_the_last_recorded_epoch():
    monitor = judged(looks(*[(0.1, 0.4)] * 3))
    params = train(monitor, 3)
    params.vector[...] = np.nan
    monitor.restore_last(params)
    assert_array_equal(params.vector, [[3.0] * 3, [300.0] * 3])


def test_the_validation_data_are_looked_at_after_every_so_many_epochs_and_after_the_last():
    monitor = judged(looks((0.1, 0.4), (0.3, 0.2), (0.2, 0.5)), every=3, max_iter=7)
    params = train(monitor, 7)
    nan = math.nan
    assert_array_equal(monitor.members[0].validation_scores, [nan, nan, 0.1, nan, nan, 0.3, 0.2])
    assert_array_equal(monitor.members[1].validation_loss_curve, [nan, nan, -0.4, nan, nan, -0.2, -0.5])
    assert [member.best_iter for member in monitor.members] == [6, 7]
    monitor.restore_best(params)
    assert_array_equal(params.vector, [[6.0] * 3, [700.0] * 3])


def test_where_training_ends_between_two_looks_the_last_weights_are_looked_at_too():
    monitor = judged(looks((0.1, 0.4), (0.3, 0.2)), every=3)
    params = train(monitor, 5)
    params.vector[...] = np.nan  # as an interrupt may leave them within an epoch
    monitor.restore_best(params)
    assert_array_equal(params.vector, [[5.0] * 3, [300.0] * 3])
    assert [member.best_iter for member in monitor.members] == [5, 3]
    assert_array_equal(monitor.members[0].validation_scores, [math.nan, math.nan, 0.1, math.nan, 0.3])
    assert_array_equal(monitor.members[1].validation_loss_curve[-1], -0.2)


def test_only_a_look_tells_that_training_has_stalled():
    # The looks at epochs 3 and 6 find improvements, that at 9 none: it is the third since, more than the patience of 1.
    # Epochs without a look say nothing, though the second of them exceeds the patience as well.
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
        stalled.append((monitor.members[0].stalled, monitor.stalled))
    assert stalled == [(False, False), (False, False), (True, False), (True, False), (True, True)]


def test_without_validation_the_losses_decide_and_the_last_weights_are_kept():
    monitor = StackMonitor(2, 3, 0.25, 1, max_iter=100)
    params = train(monitor, 3, [(1.0, 9.0), (1.0, 8.0), (1.0, 7.0)])
    assert [member.stalled for member in monitor.members] == [True, False]
    assert not monitor.stalled
    monitor.restore_best(params)
    assert_array_equal(params.vector, [[3.0] * 3, [300.0] * 3])
    assert monitor.members[0].validation_scores == []


def test_a_line_an_epoch_has_the_means_over_the_members(capsys):
    monitor = StackMonitor(2, 1, 0.0, 5, 1, looks((-0.25, -0.75)), early_stopping=True, max_iter=7)
    train(monitor, 1, [(1.0, 2.0)])
    words = capsys.readouterr().out.split()
    assert words[words.index("loss") + 1] == "1.5"
    assert words[words.index("score") + 1] == "-0.5"
    assert words[words.index("Iteration") + 1] == "1"


# The folds


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("container", CONTAINERS, ids=IDS.get)
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
def test_a_members_loss_on_its_fold_is_the_weighted_mean_of_its_rows(loss, n_outputs, container, weighted):
    recipe = Recipe(loss, n_outputs, weighted=weighted, container=container)
    networks, params = members_and_stack(recipe, 3)
    X, target, weight = recipe.data()
    folds = [np.arange(7), np.arange(7, 50), np.array([3, 30, 12])]
    scores, losses = FoldValidation(recipe.objective(params, X, target, weight, []), folds, weight)(params)
    for network, fold, of_member in zip(networks, folds, losses, strict=True):
        logits = predict_logits(network.weights, network.biases, recipe.activations, X[fold])
        mean = np.average(losses_of_rows(logits, target[fold]), weights=None if weight is None else weight[fold])
        assert_allclose(of_member, mean, rtol=1e-10)
    assert_array_equal(scores, -losses)


def test_the_rows_of_a_fold_without_weight_count_alike():
    recipe = Recipe()
    networks, params = members_and_stack(recipe, 2)
    X, target, _ = recipe.data()
    folds, weight = [np.arange(10), np.arange(10, 50)], np.r_[np.zeros(10), np.arange(40.0)]
    _, losses = FoldValidation(recipe.objective(params, X, target, weight, []), folds, weight)(params)
    for network, fold, weights, loss in zip(networks, folds, [None, weight[10:]], losses, strict=True):
        logits = predict_logits(network.weights, network.biases, recipe.activations, X[fold])
        assert_allclose(loss, np.average(losses_of_rows(logits, target[fold]), weights=weights), rtol=1e-10)
