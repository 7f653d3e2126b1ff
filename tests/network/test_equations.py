"""Forward equals a computation by hand, backward gives its derivatives, and the tangents are the derivatives of both."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from skbp._network.activations import ACTIVATIONS
from skbp._network.equations import backward, backward_tangent, forward, forward_tangent, parameter_gradient
from skbp._network.parameters import Parameters
from skbp._network.tape import TangentTape, Tape

HIDDEN = {"none": (), "one": (4,), "two": (4, 3)}
# Networks of one activation in all layers, and of two. Each activation comes first and second once.
NETWORKS = {f"{name}-{size}": (hidden, [name] * len(hidden)) for name in ACTIVATIONS for size, hidden in HIDDEN.items()}
NETWORKS |= {
    f"{one}-{other}": ((4, 3), [one, other])
    for one, other in pairwise([*ACTIVATIONS, *ACTIVATIONS][: len(ACTIVATIONS) + 1])
}
every_network = pytest.mark.parametrize(("hidden", "names"), NETWORKS.values(), ids=NETWORKS)
as_given = pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])


def worked_example():
    """2-2-1 with numbers small enough to follow on paper."""
    params = Parameters((2, 2, 1), np.float64)
    params.set([[[1.0, -1.0], [0.5, 2.0]], [[3.0], [-1.0]]], [[0.0, -1.0], [0.5]])
    return params, np.array([[1.0, 2.0], [-1.0, 0.0], [0.0, -4.0]])


def propagate_back(weights, activations, tape, gradient):
    backward(weights, activations, tape)
    return parameter_gradient(tape, gradient)


def network(hidden, seed=0, activations=()):
    """Random parameters, a batch, and a random C. The tests of backward differentiate the function sum(C * logits).

    For given activations no hidden unit of any row is near 0 or 6. Some activations have kinks there.
    """
    rng = np.random.default_rng(seed)
    params = Parameters((5, *hidden, 2), np.float64)
    params.vector[...] = rng.standard_normal(params.vector.size)
    rows = rng.standard_normal((80, 5)) * (rng.random((80, 5)) < 0.6)
    a, smooth = rows, np.full(80, True)
    for activation, W, b in zip(activations, params.weights, params.biases, strict=False):
        z = a @ W + b
        smooth &= ((abs(z) > 0.01) & (abs(z - 6.0) > 0.01)).all(axis=1)
        a = activation.function(z, out=z)
    rows = rows[smooth][:6]
    assert len(rows) == 6
    return params, rows, rng.standard_normal((6, 2)), rng


def tape_for(params, activations, n_rows=6, passes="backward", **given):
    """A tape that keeps z for the activations that need it."""
    keeps_z = [activation.needs_z for activation in activations]
    return Tape(n_rows, params.units, params.vector.dtype, passes, keeps_z, **given)


@as_given
def test_forward_of_a_worked_example(container):
    params, rows = worked_example()
    tape = Tape(3, params.units, np.float64)
    logits = forward(params.weights, params.biases, [ACTIVATIONS["relu"]], container(rows), tape)
    # First row: z_1 is 1 * 1 + 2 * 0.5 = 2 and -1 + 4 - 1 = 2. So z_2 = 3 * 2 - 2 + 0.5. Second row: z_1 = (-1, 0). Third
    # row: z_1 = (-2, -9). relu cuts off all of both, and the bias of the output is left.
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
    # Only the first row passes the hidden layer. Its delta_1 is W_2.
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
@every_network
def test_backward_agrees_with_central_differences_of_forward(hidden, names, container):
    activations = [ACTIVATIONS[name] for name in names]
    params, rows, C, rng = network(hidden, activations=activations)
    rows = container(rows)

    def value(vector):
        at = params.like()
        at.vector[...] = vector
        return np.sum(C * forward(at.weights, at.biases, activations, rows, tape_for(params, activations)))

    tape, gradient = tape_for(params, activations), params.like()
    gradient.vector[...] = np.nan
    forward(params.weights, params.biases, activations, rows, tape)
    tape.delta[-1][...] = C
    propagate_back(params.weights, activations, tape, gradient)
    step = 1e-5
    for direction in rng.standard_normal((5, params.vector.size)):
        rise = value(params.vector + step * direction) - value(params.vector - step * direction)
        # Relative to what a direction sees of the gradient on average. A direction may be at right angles to it.
        typical = np.linalg.norm(gradient.vector)
        assert gradient.vector @ direction == pytest.approx(rise / (2 * step), rel=1e-7, abs=1e-8 * typical)


@every_network
def test_forward_leaves_z_on_a_tape_that_keeps_it_and_the_output_does_not_depend_on_that(hidden, names):
    activations = [ACTIVATIONS[name] for name in names]
    params, rows, *_ = network(hidden)
    kept = Tape(6, params.units, np.float64, keeps_z=[True] * len(hidden))
    overwritten = Tape(6, params.units, np.float64)
    logits = forward(params.weights, params.biases, activations, rows, kept)
    assert_array_equal(forward(params.weights, params.biases, activations, rows, overwritten), logits)
    for layer, W in enumerate(params.weights[:-1], start=1):
        below = kept.a[layer - 1]
        assert_allclose(
            kept.z[layer], np.einsum("ij,jk->ik", below, W) + params.biases[layer - 1], rtol=1e-12, atol=1e-14
        )
        assert_array_equal(kept.a[layer], activations[layer - 1].function(kept.z[layer], out=np.empty_like(below @ W)))
        assert_array_equal(overwritten.a[layer], kept.a[layer])


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


def stacked(parts, name):
    return [np.stack(layer) for layer in zip(*(getattr(part, name) for part in parts), strict=True)]


def parameters_of_stack(members):
    return SimpleNamespace(weights=stacked(members, "weights"), biases=stacked(members, "biases"))


def tape_of_stack(like, **given):
    """A tape with a leading axis of three members in all buffers. Lists that share an array on a tape share it here."""
    copies: dict = {id(None): None}
    tape = SimpleNamespace(ones=like.ones, **given)
    for name, buffers in vars(like).items():
        if isinstance(buffers, list):
            stack = [
                copies.setdefault(id(b), b if b is None else np.stack([np.full_like(b, np.nan)] * 3)) for b in buffers
            ]
            setattr(tape, name, stack)
    return tape


@pytest.mark.parametrize("dropout", [False, True], ids=["all units", "some units"])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_a_stack_of_networks_computes_what_each_of_them_computes(activation, dropout):
    members = [network((4,), seed) for seed in (0, 1, 2)]
    C, activations = members[0][2], [ACTIVATIONS[activation]]
    factors = np.random.default_rng(3).choice([0.0, 1.5], (3, 6, 4))
    networks = [params for params, *_ in members]
    stack = parameters_of_stack(networks)
    tape = tape_of_stack(tape_for(networks[0], activations, drops=[dropout]))
    if dropout:
        tape.factor[1][...] = factors
    logits = forward(stack.weights, stack.biases, activations, np.stack([member[1] for member in members]), tape)
    tape.delta[-1][...] = C
    gradient = propagate_back(stack.weights, activations, tape, parameters_of_stack(networks))
    for k, (params, rows, *_) in enumerate(members):
        tape, alone = tape_for(params, activations, drops=[dropout]), params.like()
        if dropout:
            tape.factor[1][...] = factors[k]
        expected = forward(params.weights, params.biases, activations, rows, tape)
        assert_allclose(logits[k], expected, rtol=1e-12, atol=1e-14)
        tape.delta[-1][...] = C
        propagate_back(params.weights, activations, tape, alone)
        for layer in (0, 1):
            assert_allclose(gradient.weights[layer][k], alone.weights[layer], rtol=1e-10, atol=1e-12)
            assert_allclose(gradient.biases[layer][k], alone.biases[layer], rtol=1e-10, atol=1e-12)


def along(params, direction, step):
    """The parameters moved by a step along a direction, both given as Parameters."""
    moved = params.like()
    moved.vector[...] = params.vector + step * direction.vector
    return moved


@as_given
@every_network
def test_tangents_are_differences_of_every_layer_and_of_every_delta(hidden, names, container):
    activations = [ACTIVATIONS[name] for name in names]
    params, rows, C, rng = network(hidden, activations=activations)
    rows, direction = container(rows), params.like()
    direction.vector[...] = rng.standard_normal(params.vector.size)
    seed_tangent = rng.standard_normal((6, 2))

    def sweep(step):
        """The tape after a step along the direction. delta_L changes along it too."""
        at, gradient = along(params, direction, step), params.like()
        tape = tape_for(params, activations, passes="tangent")
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


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_tangents_leave_the_tape_as_it_was(activation):
    # Products along many directions follow one another and use the same tape.
    params, rows, C, _ = network((4, 3))
    activations, direction = [ACTIVATIONS[activation]] * 2, params.like()
    tape, tangent = tape_for(params, activations, passes="tangent"), TangentTape(6, params.units, np.float64)
    forward(params.weights, params.biases, activations, rows, tape)
    tape.delta[-1][...] = C
    backward(params.weights, activations, tape)
    products = []
    for seed in (1, 2, 1):
        direction.vector[...] = np.random.default_rng(seed).standard_normal(params.vector.size)
        product = params.like()
        tangent.delta[-1][...] = forward_tangent(params.weights, tape, direction, tangent)
        backward_tangent(params.weights, activations, tape, direction, tangent, product, params.like())
        products.append(product.vector)
    assert_array_equal(products[0], products[2])
    assert abs(products[0] - products[1]).max() > 0.1


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_tangents_of_a_stack_of_networks_are_those_of_each(activation):
    members = [network((4,), seed) for seed in (0, 1, 2)]
    C, activations = members[0][2], [ACTIVATIONS[activation]]
    directions = []
    for params, *_, rng in members:
        directions.append(params.like())
        directions[-1].vector[...] = rng.standard_normal(params.vector.size)
    networks = [params for params, *_ in members]
    stack, direction = parameters_of_stack(networks), parameters_of_stack(directions)
    product, room = parameters_of_stack(networks), parameters_of_stack(networks)
    tape = tape_of_stack(tape_for(networks[0], activations, passes="tangent"))
    tangent = tape_of_stack(TangentTape(6, networks[0].units, np.float64))
    forward(stack.weights, stack.biases, activations, np.stack([member[1] for member in members]), tape)
    tape.delta[-1][...] = C
    backward(stack.weights, activations, tape)
    tangent.delta[-1][...] = forward_tangent(stack.weights, tape, direction, tangent)
    backward_tangent(stack.weights, activations, tape, direction, tangent, product, room)
    for k, (params, rows, *_) in enumerate(members):
        tape, tangent = tape_for(params, activations, passes="tangent"), TangentTape(6, params.units, np.float64)
        alone = params.like()
        forward(params.weights, params.biases, activations, rows, tape)
        tape.delta[-1][...] = C
        backward(params.weights, activations, tape)
        tangent.delta[-1][...] = forward_tangent(params.weights, tape, directions[k], tangent)
        backward_tangent(params.weights, activations, tape, directions[k], tangent, alone, params.like())
        for layer in (0, 1):
            assert_allclose(product.weights[layer][k], alone.weights[layer], rtol=1e-10, atol=1e-12)
            assert_allclose(product.biases[layer][k], alone.biases[layer], rtol=1e-10, atol=1e-12)


# Dropout


def test_a_worked_example_with_a_unit_left_out():
    params, rows = worked_example()
    relu = [ACTIVATIONS["relu"]]
    tape, gradient = tape_for(params, relu, 3, drops=[True]), params.like()
    tape.factor[1][...] = [[0.0, 2.0], [2.0, 0.0], [2.0, 2.0]]
    # As in the example without dropout a_1 is (2, 2) in the first row and cut off in the others. Its first unit is left
    # out, and the second counts twice: z_2 = -1 * 4 + 0.5.
    logits = forward(params.weights, params.biases, relu, rows, tape)
    assert_array_equal(tape.a[1], [[2.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    assert_array_equal(tape.input[1], [[0.0, 4.0], [0.0, 0.0], [0.0, 0.0]])
    assert_array_equal(logits, [[-3.5], [0.5], [0.5]])
    tape.delta[2][...] = [[1.0], [10.0], [100.0]]
    propagate_back(params.weights, relu, tape, gradient)
    assert_array_equal(gradient.weights[1], [[0.0], [4.0]])
    assert_array_equal(gradient.biases[1], [111.0])
    assert_array_equal(tape.delta[1], [[0.0, -2.0], [0.0, 0.0], [0.0, 0.0]])
    assert_array_equal(gradient.weights[0], [[0.0, -2.0], [0.0, -4.0]])
    assert_array_equal(gradient.biases[0], [0.0, -2.0])


@pytest.mark.parametrize("drops", [(True, True), (True, False), (False, True)], ids=str)
@every_network
def test_with_fixed_factors_backward_agrees_with_central_differences_of_forward(hidden, names, drops):
    activations, drops = [ACTIVATIONS[name] for name in names], drops[: len(hidden)]
    params, rows, C, rng = network(hidden, activations=activations)
    tape, gradient = tape_for(params, activations, drops=drops), params.like()
    for factor in tape.factor:
        if factor is not None:
            factor[...] = rng.choice([0.0, 1.25], factor.shape)

    def value(step):
        at = along(params, direction, step)
        return np.sum(C * forward(at.weights, at.biases, activations, rows, tape))

    for vector in rng.standard_normal((3, params.vector.size)):
        direction = params.like()
        direction.vector[...] = vector
        gradient.vector[...] = np.nan
        value(0.0)
        tape.delta[-1][...] = C
        propagate_back(params.weights, activations, tape, gradient)
        step = 1e-6  # so small that no sum crosses a kink. The factors change z of the second layer
        typical = np.linalg.norm(gradient.vector)
        difference = (value(step) - value(-step)) / (2 * step)
        assert gradient.vector @ vector == pytest.approx(difference, rel=1e-6, abs=1e-8 * typical)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_factors_of_one_change_nothing(activation):
    params, rows, C, _ = network((4, 3))
    activations = [ACTIVATIONS[activation]] * 2
    gradients = []
    for drops in [(), (True, True)]:
        tape, gradient = tape_for(params, activations, drops=drops), params.like()
        for factor in tape.factor:
            if factor is not None:
                factor[...] = 1.0
        forward(params.weights, params.biases, activations, rows, tape)
        tape.delta[-1][...] = C
        gradients.append(propagate_back(params.weights, activations, tape, gradient).vector)
    assert_array_equal(gradients[0], gradients[1])
