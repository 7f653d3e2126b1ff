"""One sigmoid unit computes AND, OR and NOR but not XOR. A second layer computes XOR, by hand and by training."""

import numpy as np
import pytest

from skbp import BackpropClassifier

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TRUTH = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NOR": [1, 0, 0, 0], "XOR": [0, 1, 1, 0]}
BY_HAND = {"AND": ([[20], [20]], [-30]), "OR": ([[20], [20]], [-10]), "NOR": ([[-20], [-20]], [10])}


@pytest.mark.parametrize("gate", BY_HAND)
def test_one_unit_with_weights_by_hand_computes_the_gate(gate):
    weight, bias = BY_HAND[gate]
    unit = BackpropClassifier.from_weights([weight], [bias], classes=[0, 1])
    np.testing.assert_array_equal(unit.predict(X), TRUTH[gate])
    z = X @ np.ravel(weight) + bias
    np.testing.assert_allclose(unit.decision_function(X), z, rtol=1e-15)
    np.testing.assert_allclose(unit.predict_proba(X)[:, 1], 1 / (1 + np.exp(-z)), rtol=1e-12)
    np.testing.assert_allclose(unit.predict_proba(X)[:, 1], TRUTH[gate], atol=5e-5)


def test_random_units_are_right_on_at_most_three_inputs_of_xor():
    # The weighted sums of opposite corners add up to the same value, so their signs cannot differ as XOR requires.
    rng = np.random.default_rng(0)
    right = []
    for _ in range(300):
        w1, w2, b = rng.normal(scale=[10, 10, 5])
        unit = BackpropClassifier.from_weights([[[w1], [w2]]], [[b]], classes=[0, 1])
        z = unit.decision_function(X)
        assert z[0] + z[3] == pytest.approx(z[1] + z[2])
        right.append((unit.predict(X) == TRUTH["XOR"]).sum())
    assert max(right) == 3


@pytest.mark.parametrize("alpha", [0.0, 1e-4])
@pytest.mark.parametrize("seed", range(8))
def test_a_single_unit_trained_on_xor_predicts_one_half(seed, alpha):
    unit = BackpropClassifier((), solver="lbfgs", alpha=alpha, tol=1e-6, random_state=seed).fit(X, TRUTH["XOR"])
    assert (unit.predict(X) == TRUTH["XOR"]).sum() <= 3
    # The loss is convex and, by symmetry, has its minimum at zero weights.
    np.testing.assert_allclose(unit.predict_proba(X), 0.5, atol=1e-4)
    assert unit.loss_ == pytest.approx(np.log(2), abs=1e-7)


@pytest.mark.parametrize("gate", BY_HAND)
def test_a_single_unit_trained_on_a_separable_gate_learns_it(gate):
    unit = BackpropClassifier((), solver="lbfgs", alpha=1e-3, random_state=0, max_iter=1000).fit(X, TRUTH[gate])
    np.testing.assert_array_equal(unit.predict(X), TRUTH[gate])
    np.testing.assert_allclose(unit.predict_proba(X)[:, 1], TRUTH[gate], atol=0.05)


def test_the_gates_in_two_layers_compute_xor():
    # XOR(x) = NOR(AND(x), NOR(x)).
    (w_and, b_and), (w_nor, b_nor) = BY_HAND["AND"], BY_HAND["NOR"]
    network = BackpropClassifier.from_weights(
        [np.hstack([w_and, w_nor]), w_nor], [b_and + b_nor, b_nor], classes=[0, 1], activation="logistic"
    )
    np.testing.assert_array_equal(network.predict(X), TRUTH["XOR"])
    np.testing.assert_allclose(network.predict_proba(X)[:, 1], TRUTH["XOR"], atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_a_network_with_one_hidden_layer_learns_xor(seed):
    network = BackpropClassifier((4,), activation="logistic", solver="lbfgs", max_iter=1000, random_state=seed)
    network.fit(X, TRUTH["XOR"])
    np.testing.assert_array_equal(network.predict(X), TRUTH["XOR"])
    np.testing.assert_allclose(network.predict_proba(X)[:, 1], TRUTH["XOR"], atol=0.01)
