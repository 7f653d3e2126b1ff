"""The one road of training: one network, a stack, or members one after another, and the state that goes on."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import check_random_state

from skbp import BackpropClassifier
from skbp._data.rows import Rows
from skbp._data.targets import fit_binarizer, make_target
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._training.held_out import HeldOut, HeldOutFolds
from skbp._training.history import History, StackHistory
from skbp._training.outcome import NothingTrainedError
from skbp._training.recipe import Recipe
from skbp._training.solvers import SOLVERS
from skbp._training.train import State, Trained, train
from skbp._training.updates import UPDATES

every_update = pytest.mark.parametrize("solver", UPDATES)


def small_recipe(**params):
    params = {
        "hidden_layer_sizes": (5,),
        "max_iter": 4,
        "batch_size": 16,
        "learning_rate_init": 0.02,
        "tol": 0.0,
    } | params
    return Recipe.of(BackpropClassifier().get_params(), **params).for_loss(LOSSES["softmax"])


@pytest.fixture
def rows(X, y):
    return Rows(X, y, y, y, None, n_units=8)


def drawn(recipe, rng):
    return recipe.draw([4, 5, 3], np.dtype(np.float64), rng)


def train_one(recipe, rows, seed=0, held_out=None, watchers=(), parts=None, **given):
    """Train a network from a seed. Returns its parameters and the result."""
    rng = check_random_state(seed)
    params = drawn(recipe, rng)
    return params, train(recipe, params, rows, held_out, watchers, state=State([rng], parts=parts or {}), **given)


# One network


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_network_trains_in_place(solver, rows):
    recipe = small_recipe(solver=solver)
    params, trained = train_one(recipe, rows)
    assert isinstance(trained, Trained)
    assert type(trained.history) is History
    assert trained.outcome.status == "max_iter"
    assert trained.history.n_iter == 4
    assert trained.history.loss_curve[-1] < trained.history.loss_curve[0]
    objective = recipe.make_objective(params, rows)
    if solver not in UPDATES:
        assert trained.outcome.loss == pytest.approx(objective.value_and_gradient(rows.chunks()), rel=1e-12)
    assert trained.history.samples_seen == (240 if solver in UPDATES else None)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_classifier_trains_on_this_road(solver, rows, X, y, warnings_of):
    recipe = small_recipe(solver=solver)
    params, trained = train_one(recipe, rows)
    given = {"batch_size": 16, "learning_rate_init": 0.02} if solver in UPDATES else {}
    clf = BackpropClassifier((5,), solver=solver, max_iter=4, tol=0.0, random_state=0, **given)
    warnings_of(clf.fit, X, y)
    if solver == "trust-krylov":  # it does not repeat itself bit for bit
        assert_allclose(clf.loss_curve_, trained.history.loss_curve, rtol=1e-6)
        return
    for found, weight in zip(clf.coefs_ + clf.intercepts_, params.weights + params.biases, strict=True):
        assert_array_equal(found, weight)
    assert clf.loss_curve_ == trained.history.loss_curve


@pytest.mark.parametrize("early_stopping", [False, True])
def test_held_out_rows_are_judged_and_decide_if_asked_for(early_stopping, rows, X, y):
    recipe = small_recipe(max_iter=30, early_stopping=early_stopping, learning_rate_init=0.5)
    judge = HeldOut(rows, make_target(fit_binarizer(y), "softmax", 3), recipe.activations, "loss", None)
    params, trained = train_one(recipe, rows, held_out=judge)
    history = trained.history
    assert len(history.validation_scores) == history.n_iter
    assert (history.validates, history.early_stopping) == (True, early_stopping)
    score, _ = judge(params)
    assert score == (max(history.validation_scores) if early_stopping else history.validation_scores[-1])
    assert history.best_iter < history.n_iter


def test_without_held_out_rows_early_stopping_is_off(rows):
    _, trained = train_one(small_recipe(early_stopping=True), rows)
    assert not trained.history.early_stopping


def test_watchers_see_every_epoch_and_are_closed_by_the_caller(rows, Watcher):
    one, other = Watcher(), Watcher(stops_at=2)
    _, trained = train_one(small_recipe(), rows, watchers=[one, other])
    assert (trained.outcome.status, trained.outcome.warning) == ("stopped", "")
    assert one.epochs == other.epochs == [1, 2]
    assert trained.watchers == [one, other]
    assert "close" not in one.calls + other.calls
    trained.close()
    assert one.calls[-1] == other.calls[-1] == "close"


@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_training_prints_a_line_for_every_epoch(verbose, rows, printed, Watcher, capsys):
    _, trained = train_one(small_recipe(), rows, watchers=[Watcher()], verbose=verbose)
    lines = printed.epochs(capsys.readouterr().out)
    assert len(lines) == 4 * verbose
    if verbose:
        printed.assert_four_digits(printed.figures(lines, "loss"), trained.history.loss_curve)


# Ends


def test_advice_joins_the_warning_of_training_that_has_not_converged(rows, X, y):
    recipe, large = small_recipe(), Rows(1000.0 * X, y, y, y, None)
    _, trained = train_one(recipe, rows)
    assert "StandardScaler" not in trained.warning(recipe, rows)
    _, unscaled = train_one(recipe, large)
    assert unscaled.warning(recipe, large).startswith("Maximum iterations (4) reached")
    assert unscaled.warning(recipe, large).endswith("with sklearn.preprocessing.StandardScaler.")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("trained_before", [False, True])
def test_training_that_is_never_finite_is_an_error_unless_there_are_trained_weights(solver, trained_before, X, y):
    recipe = small_recipe(solver=solver)
    params = drawn(recipe, np.random.RandomState(0))
    params.biases[0][0] = np.nan
    start = params.vector.copy()
    state = State([np.random.RandomState(0)], trained=trained_before)
    rows = Rows(X, y, y, y, None)
    with np.errstate(all="ignore"):
        if not trained_before:
            with pytest.raises(NothingTrainedError, match="non-finite objective in its first iteration"):
                train(recipe, params, rows, state=state)
        else:
            result = train(recipe, params, rows, state=state)
            assert (result.outcome.status, result.history.n_iter) == ("diverged", 0)
            assert_array_equal(params.vector, start)


def test_an_error_of_scipy_before_the_first_iteration_is_an_error_with_advice(rows, X, y):
    recipe = small_recipe(solver="bfgs", solver_options={"hess_inv0": np.eye(2)})
    with pytest.raises(
        NothingTrainedError, match=r"(?s)solver='bfgs' calls.*To help: give other solver_options"
    ) as error:
        train_one(recipe, rows)
    assert error.value.__cause__ is not None
    with pytest.raises(NothingTrainedError, match="To help: scale the features"):
        train_one(recipe, Rows(1000.0 * X, y, y, y, None))


@pytest.fixture
def interrupts_at_once(Watcher):
    """A watcher that interrupts training when the first epoch begins."""

    class InterruptsAtOnce(Watcher):
        def begin_epoch(self):
            raise KeyboardInterrupt

    return InterruptsAtOnce()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_interrupt_before_the_first_step_is_raised_unless_there_are_trained_weights(
    solver, rows, interrupts_at_once
):
    recipe = small_recipe(solver=solver)
    with pytest.raises(KeyboardInterrupt):
        train_one(recipe, rows, watchers=[interrupts_at_once])
    rng = np.random.RandomState(0)
    params = drawn(recipe, rng)
    before = params.vector.copy()
    trained = train(recipe, params, rows, None, [interrupts_at_once], state=State([rng], trained=True))
    assert trained.outcome.status == "interrupted"
    assert_array_equal(params.vector, before)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_interrupt_after_an_epoch_keeps_it(solver, rows, Watcher):
    recipe = small_recipe(solver=solver)
    params, trained = train_one(recipe, rows, watchers=[Watcher(interrupts_at=2)])
    assert (trained.outcome.status, trained.history.n_iter) == ("interrupted", 2)
    expected, _ = train_one(small_recipe(solver=solver, max_iter=2), rows)
    assert_array_equal(params.vector, expected.vector)


# State


def one_epoch_at_a_time(recipe, rows, n, seed=0, between=lambda parts: parts, params=None):
    """Train for n calls of one epoch each. A call goes on from the parts that the one before left."""
    rng = check_random_state(seed)
    params = drawn(recipe, rng) if params is None else params
    parts, losses = {}, []
    for k in range(n):
        state = State([rng], samples_seen=60 * k, trained=k > 0, parts=between(parts))
        trained = train(recipe.for_one_epoch(), params, rows, state=state)
        parts = trained.states
        losses += trained.history.loss_curve
    return params, losses, parts


@every_update
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dropout": 0.3},
        {"learning_rate": "cosine", "weight_decay": 0.1},
        {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 9},
        {"learning_rate": "invscaling"},
        {"learning_rate": "one-cycle", "warmup_fraction": 0.3, "max_grad_norm": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("between", [lambda parts: parts, copy.deepcopy])
def test_calls_of_one_epoch_equal_one_call_of_all_epochs(between, given, solver, rows):
    recipe = small_recipe(solver=solver, shuffle=False, **given)
    n = recipe.max_iter
    whole, trained = train_one(recipe, rows)
    assert trained.history.n_iter == n
    params, losses, parts = one_epoch_at_a_time(recipe, rows, n, between=between)
    assert_array_equal(params.vector, whole.vector)
    assert losses == trained.history.loss_curve
    assert set(parts) == {"rule", "progress", "history"} | ({"dropout"} if "dropout" in given else set())
    assert parts["progress"] == trained.states["progress"]
    assert parts["history"] == trained.states["history"]


@every_update
def test_without_its_parts_training_takes_other_steps(solver, rows):
    recipe = small_recipe(solver=solver, shuffle=False)
    whole, _ = train_one(recipe, rows)
    forgetful, *_ = one_epoch_at_a_time(recipe, rows, 4, between=lambda parts: {})
    assert np.abs(whole.vector - forgetful.vector).max() > 1e-4


@every_update
def test_an_earlier_state_is_not_changed(solver, rows):
    recipe = small_recipe(solver=solver, dropout=0.3)
    _, _, parts = one_epoch_at_a_time(recipe, rows, 2)
    before = copy.deepcopy(parts)
    rng = np.random.RandomState(1)
    train(recipe.for_one_epoch(), drawn(recipe, rng), rows, state=State([rng], 120, True, parts))
    np.testing.assert_equal(parts, before)


@every_update
def test_moments_are_cast_to_the_type_of_the_parameters(solver, X, y):
    recipe = small_recipe(solver=solver)
    _, _, parts = one_epoch_at_a_time(recipe, Rows(X, y, y, y, None), 1)
    params = Parameters((4, 5, 3), np.float32)
    params.draw(recipe.scales, np.random.RandomState(0))
    rows = Rows(X.astype(np.float32), y, y, y, None)
    trained = train(recipe.for_one_epoch(), params, rows, state=State([np.random.RandomState(0)], 60, True, parts))
    moments = [value for value in trained.states["rule"].values() if isinstance(value, np.ndarray)]
    assert {moment.dtype for moment in moments} == {np.dtype(np.float32)}
    assert params.vector.dtype == np.float32


@every_update
def test_the_moments_of_a_step_that_diverged_are_forgotten(solver, rows):
    recipe = small_recipe(solver=solver, learning_rate=lambda p: 1.0 if p < 0.5 else 1e300)
    with np.errstate(all="ignore"):
        _, trained = train_one(recipe, rows)
    assert (trained.outcome.status, trained.history.n_iter) == ("diverged", 2)
    assert trained.states["rule"] == {}
    assert trained.states["progress"] == {"stalls": 0, "epochs": 2}


@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver not in UPDATES])
def test_scipys_methods_have_no_state(solver, rows):
    _, trained = train_one(small_recipe(solver=solver), rows)
    assert trained.states == {}


def test_a_schedule_that_has_ended_gives_a_warning(rows):
    recipe = small_recipe(learning_rate="linear", max_iter=2)
    rng = np.random.RandomState(0)
    params, _, parts = one_epoch_at_a_time(recipe, rows, 2)
    with pytest.warns(
        UserWarning, match=r"learning_rate='linear' is 0 now: all calls together have made max_iter=2 epochs"
    ):
        train(recipe.for_one_epoch(), params, rows, state=State([rng], 120, True, parts))
    # Another call of fit begins its schedule again.
    train(recipe, params, rows, state=State([rng], 120, True))


# Stacks

SETS = [np.arange(40), np.arange(20, 60)]


def stack_of(recipe, rngs):
    """A stack of networks. Each is drawn from a generator of its own."""
    params = Parameters((4, 5, 3), np.float64, (len(rngs),))
    np.stack([drawn(recipe, rng).vector for rng in rngs], out=params.vector)
    return params


def train_stack(recipe, rows, sets=SETS, seeds=(0, 1), folds=None, watchers=(), every=1):
    rngs = [np.random.RandomState(seed) for seed in seeds]
    params, judge = stack_of(recipe, rngs), None
    if folds is not None:
        objective = Objective(params, recipe.activations, LOSSES["softmax"], 0.0)
        judge = HeldOutFolds(objective, rows, folds, [np.full(len(fold), 1.0 / len(fold)) for fold in folds])
    of_members = rows.for_members([indices.copy() for indices in sets])
    return params, train(recipe, params, of_members, judge, watchers, state=State(rngs), every=every)


@every_update
@pytest.mark.parametrize("given", [{}, {"dropout": 0.3}, {"max_grad_norm": 0.1, "weight_decay": 0.1}], ids=str)
def test_members_of_a_stack_equal_networks_that_train_alone(given, solver, rows):
    recipe = small_recipe(solver=solver, **given)
    params, trained = train_stack(recipe, rows)
    assert type(trained.history) is StackHistory
    for i, indices in enumerate(SETS):
        alone, its = train_one(recipe, rows.subset(indices), seed=i)
        assert_allclose(params.vector[i], alone.vector, rtol=1e-9, atol=1e-12)
        assert_allclose(trained.history.members[i].loss_curve, its.history.loss_curve, rtol=1e-10)


@every_update
def test_members_of_a_stack_equal_members_that_train_one_after_another(solver, rows):
    recipe = small_recipe(solver=solver, early_stopping=True, max_iter=25, learning_rate_init=0.3, n_iter_no_change=30)
    folds = [np.arange(40, 60), np.arange(20)]
    params, trained = train_stack(recipe, rows, folds=folds)
    target, best = make_target(fit_binarizer([0, 1, 2]), "softmax", 3), []
    for i, (indices, fold) in enumerate(zip(SETS, folds, strict=True)):
        judge = HeldOut(rows.subset(fold), target, recipe.activations, "loss", None)
        in_turn, its = train_one(recipe, rows.subset(indices), seed=i, held_out=judge)
        member = trained.history.members[i]
        assert_allclose(params.vector[i], in_turn.vector, rtol=1e-7, atol=1e-9)
        assert_allclose(member.validation_scores, its.history.validation_scores, rtol=1e-8)
        assert member.best_iter == its.history.best_iter
        best.append(member.best_iter)
    assert min(best) < 25
    assert len(set(best)) == 2


def test_looks_at_the_folds_may_be_rare(rows):
    recipe = small_recipe(max_iter=7, early_stopping=True)
    folds = [np.arange(40, 60), np.arange(20)]
    _, often = train_stack(recipe, rows, folds=folds)
    _, rarely = train_stack(recipe, rows, folds=folds, every=3)
    for member, same in zip(rarely.history.members, often.history.members, strict=True):
        assert_array_equal(np.isfinite(member.validation_scores), [False, False, True, False, False, True, True])
        assert_allclose(np.array(member.validation_scores)[[2, 5, 6]], np.array(same.validation_scores)[[2, 5, 6]])


def test_a_member_that_diverges_is_left_behind_with_advice(X, y):
    X = X.copy()
    X[40:] *= 1e200  # only the second member trains on these
    recipe = small_recipe(solver="sgd", momentum=0.0, alpha=0.0, activation="identity")
    with np.errstate(all="ignore"):
        sets, folds = [np.arange(20), np.arange(30, 60)], [np.arange(20, 30)] * 2
        rows = Rows(X, y, y, y, None)
        params, trained = train_stack(recipe, rows, sets, folds=folds)
        warning = trained.warning(recipe, rows)
    assert_array_equal(trained.history.diverged, [False, True])
    assert [member.n_iter for member in trained.history.members] == [4, 0]
    assert_array_equal(params.vector[1], drawn(recipe, np.random.RandomState(1)).vector)
    assert "StandardScaler" in warning


def test_a_stack_that_is_never_finite_is_an_error(rows):
    recipe = small_recipe(learning_rate_init=1e300)
    with np.errstate(all="ignore"), pytest.raises(NothingTrainedError, match="lower learning_rate_init, now 1e\\+300"):
        train_stack(recipe, rows)


def test_an_interrupt_keeps_the_epochs_of_a_stack(rows, Watcher, interrupts_at_once):
    recipe = small_recipe()
    params, trained = train_stack(recipe, rows, watchers=[Watcher(interrupts_at=2)])
    expected, _ = train_stack(small_recipe(max_iter=2), rows)
    assert trained.outcome.status == "interrupted"
    assert_array_equal(params.vector, expected.vector)
    with pytest.raises(KeyboardInterrupt):
        train_stack(recipe, rows, watchers=[interrupts_at_once])
