"""The objective is formula (3), with its derivatives, for every network, loss, weighting, chunking and order of calls."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import expit, log_expit, log_softmax, ndtr, softmax
from scipy.stats import norm

from skbp._network import objective as _objective
from skbp._network.activations import ACTIVATIONS, Activation
from skbp._network.losses import LOSSES
from skbp._network.objective import CHUNK_ROWS, Objective
from skbp._network.parameters import Parameters
from skbp._network.predict import predict_logits

HIDDEN = [(), (3,), (4, 3), (3, 4, 2)]
OUTPUTS = [(name, n_outputs) for name in LOSSES for n_outputs in ((3,) if name == "softmax" else (1, 3))]
SELU = (1.0507009873554804934193349852946, 1.6732632423543772848170429916717)
# What each name stands for, and its derivative, written differently from the package.
FORMULAS = {
    "identity": (lambda z: z, np.ones_like),
    "logistic": (expit, lambda z: expit(z) * expit(-z)),
    "tanh": (np.tanh, lambda z: np.cosh(z) ** -2.0),
    "relu": (lambda z: z * (z > 0), lambda z: 1.0 * (z > 0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "relu6": (lambda z: np.where(z > 6, 6.0, z * (z > 0)), lambda z: 1.0 * ((z > 0) & (z < 6))),
    "elu": (lambda z: np.where(z > 0, z, np.exp(z) - 1.0), lambda z: np.exp(np.minimum(z, 0.0))),
    "selu": (
        lambda z: SELU[0] * np.where(z > 0, z, SELU[1] * (np.exp(z) - 1.0)),
        lambda z: SELU[0] * np.where(z > 0, 1.0, SELU[1] * np.exp(z)),
    ),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * norm.pdf(z)),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1.0 + z * expit(-z))),
    "mish": (
        lambda z: z * np.tanh(np.logaddexp(0.0, z)),
        lambda z: np.tanh(np.logaddexp(0.0, z)) + z * expit(z) / np.cosh(np.logaddexp(0.0, z)) ** 2.0,
    ),
    "softplus": (lambda z: np.logaddexp(0.0, z), expit),
    "softsign": (lambda z: z / (1.0 + abs(z)), lambda z: (1.0 + abs(z)) ** -2.0),
}
# One activation throughout, in every shape; and a different one in each of three layers, each coming first, second, third.
SAME = [(name,) * 3 for name in ACTIVATIONS]
MIXED = [tuple((list(ACTIVATIONS) * 2)[k : k + 3]) for k in range(len(ACTIVATIONS))]
EVERY_NETWORK = [*itertools.product(SAME, HIDDEN), *itertools.product(MIXED, [(3, 4, 2)])]
every_network = pytest.mark.parametrize(("activations", "hidden"), EVERY_NETWORK, ids=str)


def problem(n_rows, hidden=(4,), activations=("tanh",) * 3, loss="softmax", n_outputs=3, seed=0):
    """Random data, weights and parameters, in float64 but with numbers that float32 holds exactly."""
    rng = np.random.default_rng(seed)
    params = Parameters((5, *hidden, n_outputs), np.float64)
    params.vector[...] = rng.standard_normal(params.vector.size).astype(np.float32)
    # More rows than wanted, to drop those for which a hidden unit is near 0 or 6: there relu and its relatives have their
    # kinks, and neither differences nor two precisions need agree.
    X = rng.standard_normal((2 * n_rows + 200, 5)).astype(np.float32).astype(np.float64)
    nearest, a = np.full(len(X), np.inf), X
    for name, W, b in zip(activations[: len(hidden)], params.weights, params.biases, strict=False):
        z = a @ W + b
        nearest = np.minimum(nearest, np.minimum(abs(z), abs(z - 6.0)).min(axis=1))
        a = FORMULAS[name][0](z)
    X = np.ascontiguousarray(X[nearest > 0.01][:n_rows])
    assert len(X) == n_rows
    target = rng.integers(n_outputs, size=n_rows) if loss == "softmax" else rng.random((n_rows, n_outputs)) < 0.5
    row_weight = rng.choice([0.0, 0.5, 1.0, 2.0, 3.25], n_rows)
    return SimpleNamespace(
        params=params,
        X=X,
        target=target,
        row_weight=row_weight,
        activations=activations[: len(hidden)],
        loss=loss,
        rng=rng,
    )


def objective(p, alpha=0.3, row_weight=None, dtype=np.float64, **changed):
    params = Parameters(p.params.units, dtype)
    params.vector[...] = p.params.vector
    return Objective(
        params,
        [ACTIVATIONS[name] for name in p.activations],
        dataclasses.replace(LOSSES[p.loss], label_smoothing=changed.get("label_smoothing", 0.0)),
        alpha,
        changed.get("X", p.X).astype(dtype),
        changed.get("target", p.target),
        None if row_weight is None else row_weight.astype(dtype),
    )


def value_and_gradient(on, rows=slice(None)):
    on.gradient.vector[...] = np.nan  # whatever is not written shows
    return on.value_and_gradient(rows), on.gradient.vector.copy()


def reference(p, rows, alpha, row_weight):
    """F and its gradient on all rows at once, straight from the formulas; alpha may be one number a layer."""
    weights, biases = p.params.copies()
    alphas = np.broadcast_to(alpha, len(weights))
    X, y = p.X[rows], p.target[rows]
    s = np.ones(len(X)) if row_weight is None else row_weight[rows]
    zs, outputs = [], [X]
    for W, b, name in zip(weights, biases, [*p.activations, "identity"], strict=True):
        zs.append(outputs[-1] @ W + b)
        outputs.append(FORMULAS[name][0](zs[-1]))
    logits = zs[-1]
    if p.loss == "softmax":
        one_hot = np.eye(logits.shape[1])[y]
        losses = -(one_hot * log_softmax(logits, axis=1)).sum(axis=1)
        delta = softmax(logits, axis=1) - one_hot
    else:
        losses = -(y * log_expit(logits) + ~y * log_expit(-logits)).sum(axis=1)
        delta = expit(logits) - y
    delta = delta * s[:, None] / s.sum()
    weight_gradients, bias_gradients = [], []
    for layer in reversed(range(len(weights))):
        weight_gradients.insert(0, outputs[layer].T @ delta + alphas[layer] / s.sum() * weights[layer])
        bias_gradients.insert(0, delta.sum(axis=0))
        if layer:
            delta = (delta @ weights[layer].T) * FORMULAS[p.activations[layer - 1]][1](zs[layer - 1])
    penalty = sum(strength / 2 * (W**2).sum() for strength, W in zip(alphas, weights, strict=True))
    value = (s @ losses + penalty) / s.sum()
    return value, np.concatenate([g.ravel() for g in weight_gradients + bias_gradients])


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
@every_network
class TestGradient:
    def test_in_float64_it_is_that_of_the_formulas(self, activations, loss, n_outputs, hidden, weighted):
        p = problem(9, hidden, activations, loss, n_outputs)
        row_weight = p.row_weight if weighted else None
        value, gradient = value_and_gradient(objective(p, row_weight=row_weight))
        expected_value, expected_gradient = reference(p, slice(None), 0.3, row_weight)
        assert value == pytest.approx(expected_value, rel=1e-13)
        assert_allclose(gradient, expected_gradient, rtol=1e-11, atol=1e-14)

    def test_in_float64_it_agrees_with_central_differences(self, activations, loss, n_outputs, hidden, weighted):
        p = problem(9, hidden, activations, loss, n_outputs)
        on = objective(p, row_weight=p.row_weight if weighted else None)
        _, gradient = value_and_gradient(on)
        theta, step = p.params.vector, 1e-5

        def value(vector):
            on.params.vector[...] = vector
            return on.value_and_gradient()

        for direction in p.rng.standard_normal((3, theta.size)):
            unit = direction / np.linalg.norm(direction)
            difference = (value(theta + step * unit) - value(theta - step * unit)) / (2 * step)
            # Relative to what a direction sees of the gradient on average: a direction may happen to be across it.
            error = abs(gradient @ unit - difference)
            assert error < 1e-7 * np.linalg.norm(gradient) / np.sqrt(theta.size)

    def test_in_float32_it_is_that_of_float64_rounded(self, activations, loss, n_outputs, hidden, weighted):
        p = problem(9, hidden, activations, loss, n_outputs)
        row_weight = p.row_weight if weighted else None
        value, gradient = value_and_gradient(objective(p, row_weight=row_weight))
        narrow = objective(p, row_weight=row_weight, dtype=np.float32)
        narrow_value, narrow_gradient = value_and_gradient(narrow)
        assert narrow_gradient.dtype == np.float32
        assert narrow_value == pytest.approx(value, rel=3e-6)
        assert np.linalg.norm(narrow_gradient - gradient) < 3e-6 * np.linalg.norm(gradient)


N_ROWS = 2 * CHUNK_ROWS + 452
SELECTIONS = {
    "all": slice(None),
    "first chunk": slice(0, CHUNK_ROWS),
    "one row more than a chunk": slice(10, 11 + CHUNK_ROWS),
    "slice": slice(100, N_ROWS - 7),
    "slice past the end": slice(N_ROWS - 5, N_ROWS + 100),
    "shuffled": np.random.default_rng(1).permutation(N_ROWS),
    "few": np.array([5, 2000, 17]),
    "repeated": np.array([5, 5, 2000]),
}


@pytest.fixture(params=[True, False], ids=["small sparse chunks", "large sparse chunks"])
def small_sparse_chunks(request, monkeypatch):
    """Chunks of sparse rows no larger than those of dense ones, so that there are several; and as they are."""
    if request.param:
        monkeypatch.setattr(_objective, "SPARSE_CHUNK_ELEMENTS", 0)


@pytest.mark.parametrize("rows", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
def test_chunks_add_up_to_the_whole(loss, n_outputs, container, weighted, rows, small_sparse_chunks):
    p = problem(N_ROWS, (4, 3), loss=loss, n_outputs=n_outputs)
    p.X[p.X < 0.3] = 0.0
    row_weight = p.row_weight if weighted else None
    value, gradient = value_and_gradient(objective(p, row_weight=row_weight, X=container(p.X)), rows)
    expected_value, expected_gradient = reference(p, rows, 0.3, row_weight)
    assert value == pytest.approx(expected_value, rel=1e-12)
    assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-14)


def test_selections_of_different_sizes_follow_one_another_without_traces():
    p = problem(N_ROWS)
    on = objective(p, row_weight=p.row_weight)
    for rows in [slice(0, 3), slice(None), np.array([7, 8, 9]), slice(0, 1500), slice(0, 3)]:
        value, gradient = value_and_gradient(on, rows)
        expected_value, expected_gradient = reference(p, rows, 0.3, p.row_weight)
        assert value == pytest.approx(expected_value, rel=1e-12)
        assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-14)


def test_the_objective_is_evaluated_where_the_parameters_now_are():
    p = problem(20)
    on = objective(p)
    on.value_and_gradient()
    p.params.vector[...] = on.params.vector[...] = np.linspace(-1.0, 1.0, p.params.vector.size)
    assert on.value_and_gradient() == pytest.approx(reference(p, slice(None), 0.3, None)[0], rel=1e-13)


def close(ours, theirs):
    assert ours[0] == pytest.approx(theirs[0], rel=1e-12)
    assert_allclose(ours[1], theirs[1], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("n_rows", [30, N_ROWS])
def test_rows_of_weight_zero_are_as_if_absent(n_rows):
    p = problem(n_rows)
    kept = p.row_weight > 0
    without = objective(p, row_weight=p.row_weight[kept], X=p.X[kept], target=p.target[kept])
    close(value_and_gradient(objective(p, row_weight=p.row_weight)), value_and_gradient(without))


@pytest.mark.parametrize("n_rows", [30, N_ROWS])
def test_a_weight_of_two_is_a_row_repeated(n_rows):
    p = problem(n_rows)
    times = p.rng.integers(4, size=n_rows)
    repeated = objective(p, X=p.X.repeat(times, axis=0), target=p.target.repeat(times, axis=0))
    close(value_and_gradient(objective(p, row_weight=times.astype(float))), value_and_gradient(repeated))


def test_weights_of_one_are_no_weights():
    p = problem(30)
    close(value_and_gradient(objective(p, row_weight=np.ones(30))), value_and_gradient(objective(p)))


def test_rows_whose_weights_are_all_zero_have_no_value_and_leave_the_gradient():
    p = problem(30)
    on = objective(p, row_weight=np.repeat([0.0, 1.0], 15))
    on.gradient.vector[...] = 7.0
    assert on.value_and_gradient(slice(0, 15)) is None
    assert on.value_and_gradient(np.array([3, 1])) is None
    assert_array_equal(on.gradient.vector, 7.0)
    assert on.value_and_gradient(slice(14, 16)) is not None


def test_the_penalty_is_that_of_the_weights_divided_by_the_sum_of_row_weights():
    p = problem(30)
    S = p.row_weight.sum()
    plain = value_and_gradient(objective(p, alpha=0.0, row_weight=p.row_weight))
    penalised = value_and_gradient(objective(p, alpha=5.0, row_weight=p.row_weight))
    weights = p.params.weight_vector
    assert penalised[0] - plain[0] == pytest.approx(5.0 / (2 * S) * sum(w * w for w in weights), rel=1e-11)
    difference = penalised[1] - plain[1]
    assert_allclose(difference[: weights.size], 5.0 / S * weights, rtol=1e-10, atol=1e-14)
    assert_array_equal(difference[weights.size :], 0.0)  # biases are not penalised


# For each layer of weights one strength: one more than there are hidden layers.
ALPHAS = {(): [0.7], (3,): [0.0, 2.0], (4, 3): [3.0, 0.0, 0.25], (3, 4, 2): [0.5, 4.0, 0.0, 1.5]}


def differences(function, theta, v, step=1e-3):
    """The derivative of a function along v by the five-point formula."""
    near, far = (np.subtract(function(theta + k * step * v), function(theta - k * step * v)) for k in (1, 2))
    return (8.0 * near - far) / (12.0 * step)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("hidden", "alpha"), ALPHAS.items(), ids=str)
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
class TestAlphaOfEachLayer:
    def test_value_and_gradient_are_those_of_the_formulas(self, loss, n_outputs, hidden, alpha, weighted):
        p = problem(9, hidden, loss=loss, n_outputs=n_outputs)
        row_weight = p.row_weight if weighted else None
        value, gradient = value_and_gradient(objective(p, alpha, row_weight))
        expected_value, expected_gradient = reference(p, slice(None), alpha, row_weight)
        assert value == pytest.approx(expected_value, rel=1e-13)
        assert_allclose(gradient, expected_gradient, rtol=1e-11, atol=1e-14)

    def test_gradient_and_products_agree_with_differences(self, loss, n_outputs, hidden, alpha, weighted):
        p = problem(9, hidden, loss=loss, n_outputs=n_outputs)
        F = objective(p, alpha, p.row_weight if weighted else None).as_function()
        gradient, root = F.gradient(F.theta0), np.sqrt(F.theta0.size)
        for v in p.rng.standard_normal((3, F.theta0.size)):
            unit = v / np.linalg.norm(v)
            error = abs(gradient @ unit - differences(F.value, F.theta0, unit))
            assert error < 1e-7 * np.linalg.norm(gradient) / root
            product = F.hessp(F.theta0, unit)
            assert np.linalg.norm(product - differences(F.gradient, F.theta0, unit)) < 1e-7 * np.linalg.norm(product)

    def test_it_adds_to_each_layer_what_is_computed_by_hand(self, loss, n_outputs, hidden, alpha, weighted):
        p = problem(9, hidden, loss=loss, n_outputs=n_outputs)
        row_weight = p.row_weight if weighted else None
        S = p.row_weight.sum() if weighted else 9
        with_and_without = objective(p, alpha, row_weight), objective(p, 0.0, row_weight)
        (value, gradient), (plain_value, plain_gradient) = map(value_and_gradient, with_and_without)
        penalty = sum(strength * (W**2).sum() for strength, W in zip(alpha, p.params.weights, strict=True)) / (2.0 * S)
        assert value - plain_value == pytest.approx(penalty, rel=1e-10)
        v = p.params.like()
        v.vector[...] = p.rng.standard_normal(v.vector.size)
        added = [(p.params, gradient - plain_gradient)]
        for gauss_newton in (False, True):
            product, plain = (on.hessp(v.vector, gauss_newton).copy() for on in with_and_without)
            added.append((v, product - plain))
        for at, difference in added:
            parts = p.params.like()
            parts.vector[...] = difference
            for strength, W, part in zip(alpha, at.weights, parts.weights, strict=True):
                assert_allclose(part, strength / S * W, rtol=1e-9, atol=1e-13)
            for part in parts.biases:
                assert_allclose(part, 0.0, rtol=0, atol=1e-14)

    def test_equal_numbers_are_one_number(self, loss, n_outputs, hidden, alpha, weighted):
        p = problem(9, hidden, loss=loss, n_outputs=n_outputs)
        row_weight = p.row_weight if weighted else None
        v = p.rng.standard_normal(p.params.vector.size)
        for strength in (0.0, 0.3):
            # In float32 one number is rounded after the division by S, each of several before.
            for dtype, tolerance in ((np.float64, 0.0), (np.float32, 3e-7)):
                one = objective(p, strength, row_weight, dtype)
                several = objective(p, [strength] * len(alpha), row_weight, dtype)
                (value, gradient), (values, gradients) = value_and_gradient(one), value_and_gradient(several)
                assert values == pytest.approx(value, rel=tolerance, abs=0.0)
                assert gradients.dtype == several.hessp(v).dtype == dtype
                assert_allclose(gradients, gradient, rtol=0, atol=tolerance * abs(gradient).max())
                assert_allclose(several.hessp(v), one.hessp(v), rtol=0, atol=tolerance * abs(one.hessp(v)).max())


@pytest.mark.parametrize("rows", [slice(100, N_ROWS - 7), np.array([5, 2000, 17])], ids=["chunks", "few"])
def test_alpha_of_each_layer_is_counted_once_over_chunks(rows):
    p = problem(N_ROWS, (4, 3))
    value, gradient = value_and_gradient(objective(p, [30.0, 0.0, 2.5], p.row_weight), rows)
    expected_value, expected_gradient = reference(p, rows, [30.0, 0.0, 2.5], p.row_weight)
    assert value == pytest.approx(expected_value, rel=1e-12)
    assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
def test_label_smoothing_mixes_the_losses_of_all_labels(loss, n_outputs, weighted):
    # The loss is linear in the target: that of a target spread evenly is the mean of those of every label.
    p = problem(9, (4, 3), loss=loss, n_outputs=n_outputs)
    row_weight = p.row_weight if weighted else None
    if loss == "softmax":
        labels = [np.full(9, k) for k in range(n_outputs)]
    else:
        labels = [np.full((9, n_outputs), answer) for answer in (True, False)]
    own, *spread = (
        np.append(*reference(SimpleNamespace(**vars(p) | {"target": target}), slice(None), 0.3, row_weight))
        for target in [p.target, *labels]
    )
    value, gradient = value_and_gradient(objective(p, row_weight=row_weight, label_smoothing=0.2))
    assert_allclose(np.append(value, gradient), 0.8 * own + 0.2 * np.mean(spread, axis=0), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("activations", [*SAME, *MIXED], ids="-".join)
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
def test_with_label_smoothing_gradient_and_products_agree_with_differences(loss, n_outputs, activations):
    p = problem(9, (4, 3), activations, loss, n_outputs)
    F = objective(p, [0.3, 0.0, 2.0], p.row_weight, label_smoothing=0.2).as_function()
    gradient = F.gradient(F.theta0)
    for v in p.rng.standard_normal((2, F.theta0.size)):
        unit = v / np.linalg.norm(v)
        error = abs(gradient @ unit - differences(F.value, F.theta0, unit))
        assert error < 1e-7 * np.linalg.norm(gradient) / np.sqrt(F.theta0.size)
        product = F.hessp(F.theta0, unit)
        assert np.linalg.norm(product - differences(F.gradient, F.theta0, unit)) < 1e-7 * np.linalg.norm(product)


@pytest.mark.parametrize("rows", [slice(None), slice(3, 1200), np.arange(1500)[::-1]], ids=["all", "slice", "indices"])
@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])
def test_read_only_data_will_do(container, rows):
    p = problem(N_ROWS)
    expected = value_and_gradient(objective(p, row_weight=p.row_weight), rows)
    X = container(p.X)
    arrays = [X.data, X.indices, X.indptr] if container is csr_array else [X]
    for array in [*arrays, p.target, p.row_weight]:
        array.flags.writeable = False
    on = Objective(p.params, [ACTIVATIONS["tanh"]], LOSSES["softmax"], 0.3, X, p.target, p.row_weight)
    close(value_and_gradient(on, rows), expected)


@pytest.mark.parametrize("n_rows", [1, CHUNK_ROWS, CHUNK_ROWS + 1, N_ROWS])
@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])
def test_predicted_logits_do_not_depend_on_chunks(container, n_rows):
    p = problem(n_rows)
    p.X.flags.writeable = False
    weights, biases = p.params.weights, p.params.biases
    logits = predict_logits(weights, biases, [ACTIVATIONS["tanh"]], container(p.X))
    expected = np.tanh(p.X @ weights[0] + biases[0]) @ weights[1] + biases[1]
    assert_allclose(logits, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_rows", [10, N_ROWS])
def test_logits_are_predicted_in_the_type_of_the_data(n_rows):
    p = problem(n_rows)
    weights, biases = p.params.copies()
    wide = predict_logits(weights, biases, [ACTIVATIONS["tanh"]], p.X)
    narrow = predict_logits(weights, biases, [ACTIVATIONS["tanh"]], p.X.astype(np.float32))
    assert narrow.dtype == np.float32
    assert_allclose(narrow, wide, rtol=1e-4, atol=1e-5)
    assert weights[0].dtype == np.float64
    narrow_weights = [w.astype(np.float32) for w in weights]
    assert predict_logits(narrow_weights, biases, [ACTIVATIONS["tanh"]], p.X).dtype == np.float64


def test_predictions_are_not_overwritten_by_later_ones():
    p = problem(10)
    weights, biases = p.params.weights, p.params.biases
    first = predict_logits(weights, biases, [ACTIVATIONS["tanh"]], p.X)
    kept = first.copy()
    predict_logits(weights, biases, [ACTIVATIONS["tanh"]], -p.X)
    assert_array_equal(first, kept)


def test_the_number_of_rows_is_that_of_the_data():
    assert objective(problem(17)).n_rows == 17


# Products with the Hessian, and the objective as a function


@pytest.fixture(params=["tapes kept", "tapes not kept"])
def tapes(request, monkeypatch):
    """Both ways of going through many rows: the limit of memory decides."""
    if request.param == "tapes not kept":
        monkeypatch.setattr(_objective, "KEPT_TAPES_BYTES", 0)


@pytest.mark.parametrize("gauss_newton", [False, True], ids=["exact", "gauss-newton"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
def test_products_over_chunks_are_those_over_pieces_of_the_data(
    loss, n_outputs, container, weighted, gauss_newton, tapes, small_sparse_chunks
):
    p = problem(N_ROWS, (4, 3), loss=loss, n_outputs=n_outputs)
    p.X[p.X < 0.3] = 0.0
    row_weight = p.row_weight if weighted else np.ones(N_ROWS)
    v = p.rng.standard_normal(p.params.vector.size)
    expected = np.zeros(v.size)
    for piece in np.array_split(np.arange(N_ROWS), 7):  # cut elsewhere than the chunks are, and none longer than one
        part = objective(p, 0.0, row_weight[piece], X=p.X[piece], target=p.target[piece])
        expected += row_weight[piece].sum() * part.hessp(v, gauss_newton)
    n_weights = p.params.weight_vector.size
    expected[:n_weights] += 0.3 * v[:n_weights]
    expected /= row_weight.sum()
    on = objective(p, row_weight=p.row_weight if weighted else None, X=container(p.X))
    product = on.hessp(v, gauss_newton).copy()
    assert_allclose(product, expected, rtol=1e-10, atol=1e-13)
    assert_array_equal(on.hessp(v, gauss_newton), product)
    on.hessp(-v, gauss_newton, moved=False)
    assert_array_equal(on.hessp(v, gauss_newton, moved=False), product)


@pytest.mark.parametrize("rows", [slice(None), np.arange(N_ROWS)], ids=["slice", "indices"])
def test_values_and_gradients_repeat_bit_for_bit(rows):
    p = problem(N_ROWS)
    on = objective(p, row_weight=p.row_weight)
    value, gradient = value_and_gradient(on, rows)
    on.value_and_gradient(slice(0, 100))
    again, gradient_again = value_and_gradient(on, rows)
    assert again == value
    assert_array_equal(gradient_again, gradient)


def asked(function, what, theta, v):
    return function.value_and_gradient(theta) if what == "gradient" else (0.0, function.hessp(theta, v))


@pytest.mark.parametrize("hessian", ["exact", "gauss-newton"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_for_a_theta_never_depend_on_what_was_asked_before(dtype, hessian, tapes):
    # trust-ncg and trust-krylov ask for products at the former theta after a step that they rejected.
    p = problem(CHUNK_ROWS + 200, (4,))
    function = objective(p, dtype=dtype).as_function(hessian)
    old = function.theta0
    new, v = p.rng.standard_normal((2, old.size))
    close_by = old + 1e-12  # the same numbers in float32
    questions = list(itertools.product(["gradient", "product"], [old, new, close_by]))
    fresh = [asked(objective(p, dtype=dtype).as_function(hessian), what, at, v) for what, at in questions]
    assert abs(fresh[3][1] - fresh[4][1]).max() > 0.01
    for order in itertools.permutations(range(len(questions)), 3):
        for k in order:
            value, vector = asked(function, *questions[k], v)
            assert value == fresh[k][0]
            assert_array_equal(vector, fresh[k][1])


def test_gradients_and_products_are_copies_that_later_calls_leave_alone():
    p = problem(30)
    function = objective(p).as_function()
    v, other = p.rng.standard_normal((2, function.theta0.size))
    results = [function.gradient(function.theta0), function.hessp(function.theta0, v)]
    kept = [result.copy() for result in results]
    function.gradient(other)
    function.hessp(other, other)
    for result, copy in zip(results, kept, strict=True):
        assert_array_equal(result, copy)
        result[...] = np.nan  # nor does what the caller does to them matter
    assert_array_equal(function.gradient(function.theta0), kept[0])
    assert np.isfinite(function.gradient(function.theta0)).all()


class Counted:
    """tanh that counts how often it is applied, and can be told to be interrupted."""

    def __init__(self):
        self.n_calls, self.interrupted_at = 0, None
        tanh = ACTIVATIONS["tanh"]
        self.record = Activation(self.apply, tanh.slope, tanh.curvature)
        self.n_calls = 0  # a record tries its functions

    def apply(self, z, out):
        self.n_calls += 1
        if self.n_calls == self.interrupted_at:
            raise KeyboardInterrupt
        return np.tanh(z, out=out)


def counted_function(dtype=np.float64, n_rows=CHUNK_ROWS + 200):
    p, counted = problem(n_rows), Counted()
    params = Parameters(p.params.units, dtype)
    params.vector[...] = p.params.vector
    on = Objective(params, [counted.record], LOSSES["softmax"], 0.3, p.X.astype(dtype), p.target)
    return on.as_function(), counted, p


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_known_of_a_theta_is_not_computed_again(dtype):
    # Also of one that float32 does not hold: the vector that was passed is compared, not its cast.
    function, counted, p = counted_function(dtype)
    theta, v = function.theta0 + 1e-12, p.rng.standard_normal(function.theta0.size)
    function.value(theta)
    assert counted.n_calls == 2  # chunks
    function.gradient(theta)
    assert (counted.n_calls, function.n_evaluations) == (2, 1)
    function.hessp(theta, v)
    assert counted.n_calls == 4
    function.hessp(theta, -v)
    assert (counted.n_calls, function.n_products) == (4, 2)


def test_tapes_that_would_take_too_much_memory_are_filled_anew_for_each_product(monkeypatch):
    monkeypatch.setattr(_objective, "KEPT_TAPES_BYTES", 0)
    function, counted, p = counted_function()
    v = p.rng.standard_normal(function.theta0.size)
    function.hessp(function.theta0, v)
    function.hessp(function.theta0, v)
    assert counted.n_calls == 4


@pytest.mark.parametrize("chunk", [1, 2])
@pytest.mark.parametrize("what", ["gradient", "product"])
def test_an_interrupted_call_leaves_nothing_half_done_behind(what, chunk, tapes):
    function, counted, p = counted_function()
    old, new = function.theta0, function.theta0 + 0.5
    v = p.rng.standard_normal(old.size)
    expected = {at.tobytes(): asked(objective(p).as_function(), what, at, v) for at in (old, new)}
    for at in (old, new):
        asked(function, what, old, v)
        counted.interrupted_at = counted.n_calls + chunk
        with pytest.raises(KeyboardInterrupt):
            asked(function, what, new, v)
        value, vector = asked(function, what, at, v)
        assert value == expected[at.tobytes()][0]
        assert_array_equal(vector, expected[at.tobytes()][1])


def test_vectors_of_a_wrong_size_are_refused():
    function = objective(problem(10)).as_function()
    size = function.theta0.size
    for call in (
        lambda: function.value(np.zeros(size - 1)),
        lambda: function.gradient(np.zeros(size + 1)),
        lambda: function.hessp(np.zeros(1), np.zeros(size)),
        lambda: function.hessp(np.zeros(size), np.zeros(1)),
        lambda: function.hessian_operator(np.zeros(1)),
    ):
        with pytest.raises(ValueError, match=f"has {size} parameters"):
            call()


@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS)
@pytest.mark.parametrize(("activations", "hidden"), EVERY_NETWORK[::3], ids=str)
def test_the_tape_of_a_theta_has_every_sum_activation_slope_and_delta(activations, hidden, loss, n_outputs, container):
    p = problem(9, hidden, activations, loss, n_outputs)
    theta = p.params.vector + 0.01
    on = objective(p, row_weight=p.row_weight, X=container(p.X))
    tape = on.as_function().tape(theta)
    p.params.vector[...] = theta
    _, gradient = reference(p, slice(None), 0.0, p.row_weight)
    bias_gradients = np.split(gradient[p.params.weight_vector.size :], np.cumsum(p.params.units[1:-1]))
    a = p.X
    for layer, (W, b) in enumerate(zip(p.params.weights, p.params.biases, strict=True), start=1):
        z = a @ W + b
        assert_allclose(tape.z[layer], z, rtol=1e-11, atol=1e-13)
        assert_allclose(tape.delta[layer].sum(axis=0), bias_gradients[layer - 1], rtol=1e-10, atol=1e-14)
        if layer == len(p.params.weights):
            assert_allclose(tape.a[layer], z, rtol=1e-11, atol=1e-13)
            break
        function, slope = FORMULAS[activations[layer - 1]]
        a = function(z)
        assert_allclose(tape.a[layer], a, rtol=1e-11, atol=1e-13)
        assert_allclose(tape.slope[layer], slope(z), rtol=1e-9, atol=1e-12)
        error = tape.delta[layer + 1] @ p.params.weights[layer].T
        assert_allclose(tape.error[layer], error, rtol=1e-11, atol=1e-15)
        assert_allclose(tape.delta[layer], error * slope(z), rtol=1e-8, atol=1e-14)


def test_the_tape_holds_all_rows_in_its_own_memory():
    p = problem(N_ROWS)
    function = objective(p).as_function()
    tape = function.tape(function.theta0)
    copies = [array.copy() for array in [*tape.z[1:], *tape.a[1:], *tape.delta[1:]]]
    assert all(len(array) == N_ROWS for array in copies)
    assert_allclose(tape.z[-1], predict_logits(p.params.weights, p.params.biases, [ACTIVATIONS["tanh"]], p.X))
    other = function.theta0 + 1.0
    function.value(other)
    function.hessp(other, other)
    again = function.tape(other)
    for kept, array in zip(copies, [*tape.z[1:], *tape.a[1:], *tape.delta[1:]], strict=True):
        assert_array_equal(array, kept)
    assert not np.allclose(again.z[1], tape.z[1])


def test_a_tape_between_two_calls_changes_neither():
    p = problem(30)
    function, undisturbed = (objective(p).as_function() for _ in range(2))
    theta, v = function.theta0, p.rng.standard_normal(function.theta0.size)
    function.value(theta)
    function.hessp(theta, v)
    function.tape(theta + 1.0)
    assert_array_equal(function.gradient(theta), undisturbed.gradient(theta))
    assert_array_equal(function.hessp(theta, 2.0 * v), undisturbed.hessp(theta, 2.0 * v))
    assert function.n_evaluations == 1
    with pytest.raises(ValueError, match=f"has {theta.size} parameters"):
        function.tape(theta[1:])


def text_like(alpha=0.0, n_features=400):
    """An objective on 40 rows with few entries each, at random parameters."""
    rng = np.random.default_rng(0)
    params = Parameters((n_features, 5, 3), np.float64)
    params.vector[...] = 0.1 * rng.standard_normal(params.vector.size)
    X = csr_array(rng.standard_normal((40, n_features)) * (rng.random((40, n_features)) < 0.01))
    return Objective(params, [ACTIVATIONS["tanh"]], LOSSES["softmax"], alpha, X, rng.integers(3, size=40)), X


@pytest.mark.parametrize("rows", [slice(3, 13), np.array([7, 2, 30, 2])], ids=["slice", "indices"])
def test_where_asked_only_the_columns_that_occur_are_written(rows):
    on, X = text_like()
    value = on.value_and_gradient(rows)
    whole = on.gradient.vector.copy()
    assert on.columns is None
    on.only_columns = True
    on.gradient.vector.fill(np.nan)
    assert on.value_and_gradient(rows) == value
    occur = np.flatnonzero(abs(X[rows]).sum(axis=0))
    assert 0 < len(occur) < 100
    assert_array_equal(on.columns, occur)
    unwritten = np.isnan(on.gradient.vector)
    assert unwritten.sum() == (400 - len(occur)) * 5
    assert_array_equal(on.gradient.vector[~unwritten], whole[~unwritten])
    assert (whole[unwritten] == 0.0).all()


@pytest.mark.parametrize(
    ("rows", "alpha", "n_features"),
    [(slice(0, 10), 0.1, 400), (slice(0, 40), 0.0, 400), (slice(0, 10), [0.1, 0.0], 400)],
    ids=["penalty", "many entries", "penalty of the first layer"],
)
def test_columns_that_do_not_occur_are_written_where_they_must_be(rows, alpha, n_features):
    on, _ = text_like(alpha, n_features)
    on.only_columns = True
    on.gradient.vector.fill(np.nan)
    on.value_and_gradient(rows)
    assert on.columns is None
    assert np.isfinite(on.gradient.vector).all()
