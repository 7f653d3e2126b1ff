"""The network's output is that computed by hand, backward gives the derivatives of forward, and tangents those of both."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from skbp._activations import ACTIVATIONS
from skbp._network import backward, backward_tangent, forward, forward_tangent, parameter_gradient
from skbp._parameters import Parameters
from skbp._tape import TangentTape, Tape

HIDDEN = {"none": (), "one": (4,), "two": (4, 3)}
as_given = pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])


def worked_example():
    """2-2-1 with numbers small enough to follow on paper."""
    params = Parameters((2, 2, 1), np.float64)
    params.set([[[1.0, -1.0], [0.5, 2.0]], [[3.0], [-1.0]]], [[0.0, -1.0], [0.5]])
    return params, np.array([[1.0, 2.0], [-1.0, 0.0], [0.0, -4.0]])


def propagate_back(weights, activations, tape, gradient):
    backward(weights, activations, tape)
    return parameter_gradient(tape, gradient)


def network(hidden, seed=0):
    """Random parameters, a batch, and a random C: sum(C * logits) is the function that backward is tried on."""
    rng = np.random.default_rng(seed)
    params = Parameters((5, *hidden, 2), np.float64)
    params.vector[...] = rng.standard_normal(params.vector.size)
    rows = rng.standard_normal((6, 5)) * (rng.random((6, 5)) < 0.6)
    return params, rows, rng.standard_normal((6, 2)), rng


@as_given
def test_forward_of_a_worked_example(container):
    params, rows = worked_example()
    tape = Tape(3, params.units, np.float64)
    logits = forward(params.weights, params.biases, [ACTIVATIONS["relu"]], container(rows), tape)
    # z_1 of the first row: 1 * 1 + 2 * 0.5 = 2 and -1 + 4 - 1 = 2, so z_2 = 3 * 2 - 2 + 0.5. Second: (-1, 0); third:
    # (-2, -9): both are all cut off, and the output's bias is left.
    assert_array_equal(tape.a[1], [[2.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    assert_array_equal(logits, [[4.5], [0.5], [0.5]])
    assert logits is tape.a[2]


@as_given
def test_backward_of_a_worked_example(container):
    params, rows = worked_example()
    tape, gradient = Tape(3, params.units, np.float64), params.like()
    relu = [ACTIVATIONS["relu"]]
    forward(params.weights, params.biases, relu, container(rows), tape)
    tape.delta[2][...] = [[1.0], [10.0], [100.0]]
    assert propagate_back(params.weights, relu, tape, gradient) is gradient
    # Only the first row passes the hidden layer; its delta_1 is W_2.
    assert_array_equal(gradient.biases[1], [111.0])
    assert_array_equal(gradient.weights[1], [[2.0], [2.0]])
    assert_array_equal(tape.delta[1], [[3.0, -1.0], [0.0, 0.0], [0.0, 0.0]])
    assert_array_equal(gradient.biases[0], [3.0, -1.0])
    assert_array_equal(gradient.weights[0], [[3.0, -1.0], [6.0, -2.0]])


def test_each_hidden_layer_has_its_own_activation_and_the_output_has_none():
    params = Parameters((1, 1, 1, 1), np.float64)
    params.set([[[2.0]], [[3.0]], [[-5.0]]], [[0.0], [1.0], [0.0]])
    activations = [ACTIVATIONS["tanh"], ACTIVATIONS["relu"]]
    logits = forward(params.weights, params.biases, activations, np.array([[0.5]]), Tape(1, params.units, np.float64))
    assert_allclose(logits, [[-5.0 * (3.0 * np.tanh(1.0) + 1.0)]], rtol=1e-15)


@as_given
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_backward_agrees_with_central_differences_of_forward(hidden, activation, container):
    params, rows, C, rng = network(hidden)
    activations = [ACTIVATIONS[activation]] * len(hidden)
    rows = container(rows)

    def value(vector):
        at = params.like()
        at.vector[...] = vector
        return np.sum(C * forward(at.weights, at.biases, activations, rows, Tape(6, params.units, np.float64)))

    tape, gradient = Tape(6, params.units, np.float64), params.like()
    gradient.vector[...] = np.nan
    forward(params.weights, params.biases, activations, rows, tape)
    tape.delta[-1][...] = C
    propagate_back(params.weights, activations, tape, gradient)
    step = 1e-5
    for direction in rng.standard_normal((5, params.vector.size)):
        rise = value(params.vector + step * direction) - value(params.vector - step * direction)
        assert gradient.vector @ direction == pytest.approx(rise / (2 * step), rel=1e-7)


@as_given
def test_backward_with_no_hidden_layer_is_one_product(container):
    params, rows, C, _ = network(())
    tape, gradient = Tape(6, params.units, np.float64), params.like()
    logits = forward(params.weights, params.biases, [], container(rows), tape)
    assert_allclose(logits, np.einsum("ij,jk->ik", rows, params.weights[0]) + params.biases[0], rtol=1e-12)
    tape.delta[1][...] = C
    propagate_back(params.weights, [], tape, gradient)
    assert_allclose(gradient.weights[0], np.einsum("ij,ik->jk", rows, C), rtol=1e-12, atol=1e-14)
    assert_allclose(gradient.biases[0], [sum(C[:, 0]), sum(C[:, 1])], rtol=1e-12)


@as_given
def test_float32_stays_float32(container):
    params, rows, C, _ = network((4,))
    narrow = Parameters(params.units, np.float32)
    narrow.vector[...] = params.vector
    tape, gradient = Tape(6, params.units, np.float32), narrow.like()
    tanh = [ACTIVATIONS["tanh"]]
    logits = forward(narrow.weights, narrow.biases, tanh, container(rows.astype(np.float32)), tape)
    assert logits.dtype == np.float32
    assert_allclose(
        logits,
        np.tanh(rows @ params.weights[0] + params.biases[0]) @ params.weights[1] + params.biases[1],
        rtol=1e-4,
        atol=1e-5,
    )
    tape.delta[-1][...] = C
    propagate_back(narrow.weights, tanh, tape, gradient)
    assert gradient.vector.dtype == np.float32


def test_a_stack_of_networks_is_each_of_them():
    members = [network((4,), seed) for seed in (0, 1, 2)]
    C, tanh = members[0][2], [ACTIVATIONS["tanh"]]
    rows = np.stack([member[1] for member in members])
    weights = [np.stack(w) for w in zip(*(params.weights for params, *_ in members), strict=True)]
    biases = [np.stack(b) for b in zip(*(params.biases for params, *_ in members), strict=True)]
    stack = SimpleNamespace(
        a=[None, np.empty((3, 6, 4)), np.empty((3, 6, 2))],
        delta=[None, np.empty((3, 6, 4)), np.stack([C] * 3)],
        error=[None, np.empty((3, 6, 4)), None],
        slope=[None, np.empty((3, 6, 4)), None],
    )
    gradient = SimpleNamespace(weights=[np.empty_like(w) for w in weights], biases=[np.empty_like(b) for b in biases])
    logits = forward(weights, biases, tanh, rows, stack)
    propagate_back(weights, tanh, stack, gradient)
    for k, (params, member_rows, *_) in enumerate(members):
        tape, alone = Tape(6, params.units, np.float64), params.like()
        assert_allclose(logits[k], forward(params.weights, params.biases, tanh, member_rows, tape), rtol=1e-12)
        tape.delta[-1][...] = C
        propagate_back(params.weights, tanh, tape, alone)
        for layer in (0, 1):
            assert_allclose(gradient.weights[layer][k], alone.weights[layer], rtol=1e-10, atol=1e-12)
            assert_allclose(gradient.biases[layer][k], alone.biases[layer], rtol=1e-10, atol=1e-12)


def along(params, direction, step):
    """The parameters moved by a step along a direction, both given as Parameters."""
    moved = params.like()
    moved.vector[...] = params.vector + step * direction.vector
    return moved


@as_given
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_tangents_are_differences_of_every_layer_and_of_every_delta(hidden, activation, container):
    params, rows, C, rng = network(hidden)
    activations, rows, direction = [ACTIVATIONS[activation]] * len(hidden), container(rows), params.like()
    direction.vector[...] = rng.standard_normal(params.vector.size)
    seed_tangent = rng.standard_normal((6, 2))

    def sweep(step):
        """Everything on the tape after a step along the direction, with a delta_L that changes on the way too."""
        at, tape, gradient = along(params, direction, step), Tape(6, params.units, np.float64, "tangent"), params.like()
        forward(at.weights, at.biases, activations, rows, tape)
        tape.delta[-1][...] = C + step * seed_tangent
        propagate_back(at.weights, activations, tape, gradient)
        return tape, gradient

    tape, _ = sweep(0.0)
    tangent, product, room = TangentTape(6, params.units, np.float64), params.like(), params.like()
    for buffer in [*tangent.z[1:], *tangent.a[1:-1], *tangent.delta[1:], product.vector, room.vector]:
        buffer[...] = np.nan
    logits_tangent = forward_tangent(params.weights, tape, direction, tangent)
    assert logits_tangent is tangent.z[-1]
    tangent.delta[-1][...] = seed_tangent
    arguments = (params.weights, activations, tape, direction, tangent, product, room)
    assert backward_tangent(*arguments) is product

    step = 1e-4
    (near, near_gradient), (back, back_gradient) = sweep(step), sweep(-step)
    (far, far_gradient), (behind, behind_gradient) = sweep(2 * step), sweep(-2 * step)

    def differs(derivative, up, down, upper, lower):
        expected = (8.0 * (up - down) - (upper - lower)) / (12.0 * step)
        return np.linalg.norm(derivative - expected) > 1e-8 * np.linalg.norm(expected)

    for layer in range(1, len(hidden) + 2):
        outputs = tangent.a[layer] if layer <= len(hidden) else logits_tangent
        assert not differs(outputs, near.a[layer], back.a[layer], far.a[layer], behind.a[layer])
        deltas = [at.delta[layer] for at in (near, back, far, behind)]
        assert not differs(tangent.delta[layer], *deltas)
    gradients = [at.vector for at in (near_gradient, back_gradient, far_gradient, behind_gradient)]
    assert not differs(product.vector, *gradients)


def test_tangents_leave_the_tape_as_it_was():
    # Products along many directions follow one another from the same tape.
    params, rows, C, _ = network((4, 3))
    tanh, direction = [ACTIVATIONS["tanh"]] * 2, params.like()
    tape, tangent = Tape(6, params.units, np.float64, "tangent"), TangentTape(6, params.units, np.float64)
    forward(params.weights, params.biases, tanh, rows, tape)
    tape.delta[-1][...] = C
    backward(params.weights, tanh, tape)
    products = []
    for seed in (1, 2, 1):
        direction.vector[...] = np.random.default_rng(seed).standard_normal(params.vector.size)
        product = params.like()
        tangent.delta[-1][...] = forward_tangent(params.weights, tape, direction, tangent)
        backward_tangent(params.weights, tanh, tape, direction, tangent, product, params.like())
        products.append(product.vector)
    assert_array_equal(products[0], products[2])
    assert abs(products[0] - products[1]).max() > 0.1


def test_tangents_of_a_stack_of_networks_are_those_of_each():
    members = [network((4,), seed) for seed in (0, 1, 2)]
    C, tanh = members[0][2], [ACTIVATIONS["tanh"]]
    directions = []
    for params, *_, rng in members:
        directions.append(params.like())
        directions[-1].vector[...] = rng.standard_normal(params.vector.size)

    def stacked(parts, name):
        return [np.stack(layer) for layer in zip(*(getattr(part, name) for part in parts), strict=True)]

    networks = [params for params, *_ in members]
    weights, biases = stacked(networks, "weights"), stacked(networks, "biases")
    direction = SimpleNamespace(weights=stacked(directions, "weights"), biases=stacked(directions, "biases"))

    def room(*widths):
        return [None, *(None if width is None else np.empty((3, 6, width)) for width in widths)]

    tape = SimpleNamespace(a=room(4, 2), delta=room(4, 2), error=room(4, None), slope=room(4, None))
    tangent = SimpleNamespace(z=room(4, 2), a=room(4, None), delta=room(4, 2), scratch=room(4, 2))
    product, scratch = (
        SimpleNamespace(weights=[np.empty_like(w) for w in weights], biases=[np.empty_like(b) for b in biases])
        for _ in range(2)
    )
    forward(weights, biases, tanh, np.stack([member[1] for member in members]), tape)
    tape.delta[-1][...] = C
    backward(weights, tanh, tape)
    tangent.delta[-1][...] = forward_tangent(weights, tape, direction, tangent)
    backward_tangent(weights, tanh, tape, direction, tangent, product, scratch)
    for k, (params, rows, *_) in enumerate(members):
        tape, tangent = Tape(6, params.units, np.float64, "tangent"), TangentTape(6, params.units, np.float64)
        alone = params.like()
        forward(params.weights, params.biases, tanh, rows, tape)
        tape.delta[-1][...] = C
        backward(params.weights, tanh, tape)
        tangent.delta[-1][...] = forward_tangent(params.weights, tape, directions[k], tangent)
        backward_tangent(params.weights, tanh, tape, directions[k], tangent, alone, params.like())
        for layer in (0, 1):
            assert_allclose(product.weights[layer][k], alone.weights[layer], rtol=1e-10, atol=1e-12)
            assert_allclose(product.biases[layer][k], alone.biases[layer], rtol=1e-10, atol=1e-12)
