"""Products with the Hessian and with the Gauss-Newton matrix: what they are over batches, with penalties, and their cost."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax

from skbp import _core
from skbp._network import curvature
from skbp._network.activations import ACTIVATIONS
from skbp._network.curvature import Curvature
from skbp._network.tape import CHUNK_ROWS

N_ROWS = 2 * CHUNK_ROWS + 452
both_matrices = pytest.mark.parametrize("gauss_newton", [False, True], ids=["exact", "gauss-newton"])


def product(p, v, gauss_newton, **options):
    """A product with a problem's Hessian, in an array of its own."""
    batches = p.batches(dtype=options.get("dtype", np.float64))
    return Curvature(p.objective(**options), batches).product(v, gauss_newton).copy()


@both_matrices
def test_products_over_batches_are_those_over_pieces_of_the_data(
    problem, output, container, weighted, gauss_newton, tapes, small_sparse_chunks
):
    p = problem(N_ROWS, (4, 3), ("tanh",) * 3, *output, weighted=weighted)
    p.X[p.X < 0.3] = 0.0
    weight = p.weight if weighted else np.ones(N_ROWS)
    v = p.rng.standard_normal(p.params.vector.size)
    expected = np.zeros(v.size)
    for piece in np.array_split(
        np.arange(N_ROWS), 7
    ):  # cut at other rows than the batches are, and none longer than one
        part = replace(p, X=p.X[piece], target=p.target[piece], weight=weight[piece])
        expected += weight[piece].sum() * product(part, v, gauss_newton, alpha=0.0)
    n_weights = p.params.weight_vector.size
    expected[:n_weights] += 0.3 * v[:n_weights]
    expected /= weight.sum()
    on = Curvature(p.objective(), replace(p, X=container(p.X)).batches())
    found = on.product(v, gauss_newton).copy()
    assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
    assert_array_equal(on.product(v, gauss_newton), found)
    on.product(-v, gauss_newton, moved=False)
    assert_array_equal(on.product(v, gauss_newton, moved=False), found)


# The penalty, with one strength for each layer of weights


class TestAlphaOfEachLayer:
    @both_matrices
    def test_it_adds_to_each_layer_what_is_computed_by_hand(self, problem, output, penalised, weighted, gauss_newton):
        hidden, alpha = penalised
        p = problem(9, hidden, ("tanh",) * 3, *output, weighted=weighted)
        S = p.weight.sum() if weighted else 9
        v, parts = p.params.like(), p.params.like()
        v.vector[...] = p.rng.standard_normal(v.vector.size)
        with_penalty, plain = (product(p, v.vector, gauss_newton, alpha=strength) for strength in (alpha, 0.0))
        parts.vector[...] = with_penalty - plain
        for strength, V, part in zip(alpha, v.weights, parts.weights, strict=True):
            assert_allclose(part, strength / S * V, rtol=1e-9, atol=1e-13)
        for part in parts.biases:
            assert_allclose(part, 0.0, rtol=0, atol=1e-14)

    def test_equal_numbers_have_the_effect_of_one_number(self, problem, output, penalised, weighted):
        hidden, alpha = penalised
        p = problem(9, hidden, ("tanh",) * 3, *output, weighted=weighted)
        v = p.rng.standard_normal(p.params.vector.size)
        for strength in (0.0, 0.3):
            # In float32 one number is rounded after the division by S, and several numbers before it.
            for dtype, tolerance in ((np.float64, 0.0), (np.float32, 3e-7)):
                one, several = (product(p, v, False, alpha=a, dtype=dtype) for a in (strength, [strength] * len(alpha)))
                assert several.dtype == dtype
                assert_allclose(several, one, rtol=0, atol=tolerance * abs(one).max())


# The Gauss-Newton matrix


def test_gauss_newton_equals_the_exact_hessian_only_without_a_hidden_layer(make_data, classifier, kind):
    X, y = make_data(kind)
    for hidden in [(), (4,), (4, 3)]:
        exact, gauss_newton = (
            classifier(hidden_layer_sizes=hidden, hessian=hessian).objective(X, y)
            for hessian in ("exact", "gauss-newton")
        )
        v = np.random.default_rng(2).standard_normal(exact.theta0.size)
        products = exact.hessp(exact.theta0, v), gauss_newton.hessp(exact.theta0, v)
        difference = np.linalg.norm(products[0] - products[1]) / np.linalg.norm(products[0])
        assert difference > 1e-3 if hidden else difference < 1e-12


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_gauss_newton_is_never_negative_along_a_direction_but_the_exact_hessian_may_be(
    make_data, classifier, kind, activation
):
    X, y = make_data(kind)
    params = {"activation": activation, "hidden_layer_sizes": (4, 3), "alpha": 0.0}
    least = []
    for hessian in ("exact", "gauss-newton"):
        F = classifier(hessian=hessian, **params).objective(X, y)
        H = F.hessian_operator(F.theta0) @ np.eye(F.theta0.size)
        least.append(np.linalg.eigvalsh((H + H.T) / 2)[0])
        for v in np.random.default_rng(3).standard_normal((20, F.theta0.size)):
            assert hessian == "exact" or v @ F.hessp(F.theta0, v) >= 0.0
    assert least[0] < -1e-3 < -1e-12 < least[1]


def test_gauss_newton_is_the_product_of_jacobians_and_the_hessian_of_the_loss(
    make_data, make_labels, classifier, differences, kind
):
    X, y = make_data(kind, 9)
    y[:3] = make_labels(np.eye(3), kind)
    weight = np.linspace(0.0, 2.0, 9)
    F = classifier(hidden_layer_sizes=(2,), hessian="gauss-newton").objective(X, y, weight)
    theta, n = F.theta0, F.theta0.size

    def logits(at):
        return F.with_theta(at).decision_function(X).reshape(9, -1)

    J = np.stack([differences(logits, theta, e) for e in np.eye(n)], axis=-1)  # (rows, outputs, parameters)
    z = logits(theta)
    p = softmax(z, axis=1) if kind == "multiclass" else expit(z)
    H_loss = np.stack(
        [np.diag(row) - np.outer(row, row) if kind == "multiclass" else np.diag(row - row**2) for row in p]
    )
    expected = np.einsum("i,iap,iab,ibq->pq", weight / weight.sum(), J, H_loss, J)
    n_weights = n - 2 - z.shape[1]
    expected[range(n_weights), range(n_weights)] += 0.5 / weight.sum()
    assert_allclose(F.hessian_operator(theta) @ np.eye(n), expected, rtol=0, atol=1e-9)


# The cost

ARCHITECTURES = [
    (64, 50, 10),
    (10, 100, 1),
    (4, 10, 10, 3),
    (20, 100, 100, 2),
    (64, 50, 50, 50, 10),
    (20, 100, 100, 100, 3),
]


@pytest.mark.parametrize("kept", [True, False], ids=["tapes kept", "tapes not kept"])
@pytest.mark.parametrize("hessian", ["exact", "gauss-newton"])
@pytest.mark.parametrize("units", ARCHITECTURES, ids=str)
def test_a_product_with_the_hessian_costs_at_most_2_6_gradients(classifier, units, hessian, kept, monkeypatch):
    # The multiplications and additions of the matrix products are counted. No other load on the machine disturbs that.
    if not kept:
        monkeypatch.setattr(curvature, "KEPT_TAPES_BYTES", 0)
    monkeypatch.setattr(_core, "BatchKernel", None)  # it does not call np.matmul
    n_rows = 1500
    X = np.random.default_rng(0).standard_normal((n_rows, units[0]))
    y = np.arange(n_rows) % max(2, units[-1])
    clf = classifier(
        hidden_layer_sizes=units[1:-1], hessian=hessian, out_activation="softmax" if units[-1] == 2 else "auto"
    )
    F = clf.objective(X, y)
    work, matmul = [], np.matmul

    def counting(left, right, **given):
        if left.ndim == 2:  # a sum over the rows is written as a product with a vector of ones
            work.append(left.size * right.shape[-1])
        return matmul(left, right, **given)

    monkeypatch.setattr(np, "matmul", counting)

    def cost(call, *arguments):
        work.clear()
        call(*arguments)
        return sum(work)

    theta, v = F.theta0, np.ones(F.theta0.size)
    gradient = cost(F.gradient, theta)
    # The forward pass and the gradient by the weights of every layer, and the backward pass through all but the first.
    sizes = [fan_in * fan_out for fan_in, fan_out in pairwise(units)]
    assert gradient == n_rows * (3 * sum(sizes) - sizes[0])
    first, second = cost(F.hessp, theta, v), cost(F.hessp, theta, -v)
    assert gradient < first <= 2.6 * gradient
    assert second <= 2.0 * gradient if kept else second == first
