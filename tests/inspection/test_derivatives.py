"""The checks accept right derivatives and reject wrong ones. Eigenvalues and verdicts are those of the full Hessian."""

import dataclasses
import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from registries import ACTIVATIONS, LOSSES
from scipy.sparse import csr_array
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from toy_datasets import clusters

from skbp import Activation, BackpropClassifier
from skbp.inspection import DerivativeCheck, check_gradient, check_hessian_product, hessian_extremes

# The networks are trained for a few epochs only, to have weights.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Nothing was learned")

BOTH_CHECKS = [check_gradient, check_hessian_product]
TANH = ACTIVATIONS["tanh"]


def data(n_classes=3, n_features=6, n_rows=40):
    return clusters(n_rows=n_rows, n_features=n_features, n_informative=5, n_classes=n_classes)


def network(activation="tanh", **params):
    return BackpropClassifier(
        **{"hidden_layer_sizes": (5, 4), "activation": activation, "alpha": 0.5, "random_state": 0, **params}
    )


def full_hessian(clf, X, y):
    function = clf.objective(X, y)
    return function.hessian_operator(function.theta0) @ np.eye(function.theta0.size)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("out_activation", list(LOSSES))
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_right_derivatives_pass_before_and_after_training(activation, out_activation, container, weighted):
    X, y = data()
    X, weight = container(X), np.linspace(0.0, 2.0, len(y)) if weighted else None
    clf = network(activation, out_activation=out_activation, max_iter=3)
    for at in (clf, clf.fit(X, y, weight)):
        # The slope of relu jumps, so differences of gradients do not converge to the Hessian near the jump.
        for check in BOTH_CHECKS if activation != "relu" else [check_gradient]:
            result = check(at, X, y, weight)
            assert result.passed
            assert len(result.errors) == 5
            assert max(result.errors) < 1e-8
            assert "agrees with central differences" in str(result)


WRONG_SLOPE = dataclasses.replace(TANH, slope=lambda a, out: np.multiply(1.001, TANH.slope(a, out), out=out))
WRONG_CURVATURE = dataclasses.replace(TANH, curvature=lambda a, out: np.multiply(1.01, TANH.curvature(a, out), out=out))
NO_CURVATURE = dataclasses.replace(TANH, curvature=None)


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        (check_gradient, WRONG_SLOPE),
        (check_hessian_product, WRONG_SLOPE),
        (check_hessian_product, WRONG_CURVATURE),
        (check_hessian_product, NO_CURVATURE),
    ],
    ids=["slope", "slope in products", "curvature", "no curvature"],
)
def test_a_wrong_derivative_fails_with_a_table_that_names_the_directions(check, wrong):
    X, y = data()
    with pytest.raises(AssertionError) as failure:
        check(network(wrong), X, y, n_directions=3, tol=1e-6)
    lines = str(failure.value).splitlines()
    assert "DIFFERS from central differences" in lines[0]
    assert "tol=1e-06" in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["direction 0", "direction 1", "direction 2"]
    assert all(line.endswith("<-- too large") for line in lines[1:])
    errors = [float(line.split(":")[1].split()[0]) for line in lines[1:]]
    assert all(1e-6 < error < 10.0 for error in errors)


def test_a_wrong_curvature_has_no_effect_on_the_check_of_the_gradient():
    assert check_gradient(network(WRONG_CURVATURE), *data()).passed


def test_a_right_activation_of_the_user_passes():
    softsign = Activation(
        function=lambda z, out: np.divide(z, 1.0 + np.abs(z), out=out),
        slope=lambda a, out: np.square(1.0 - np.abs(a), out=out),
        curvature=lambda a, out: np.multiply(-2.0 * np.sign(a), (1.0 - np.abs(a)) ** 3, out=out),
    )
    # Its curvature jumps at 0. The check tries many small steps, and some of them cross no jump.
    for check in BOTH_CHECKS:
        assert check(network(softsign), *data(), tol=1e-5).passed


def test_an_activation_of_the_user_may_need_z():
    sine = Activation(
        function=lambda z, out: np.sin(z, out=out),
        slope=lambda z, out: np.cos(z, out=out),
        curvature=lambda z, out: np.negative(np.sin(z, out=out), out=out),
        needs_z=True,
    )
    for check in BOTH_CHECKS:
        assert max(check(network(sine), *data()).errors) < 1e-8


@pytest.mark.parametrize("name", [name for name, record in ACTIVATIONS.items() if record.needs_z])
def test_an_activation_that_needs_z_but_does_not_say_so_fails(name):
    careless = dataclasses.replace(ACTIVATIONS[name], needs_z=False)
    for check in BOTH_CHECKS:
        with pytest.raises(AssertionError, match="DIFFERS"):
            check(network(careless), *data())


def test_each_layer_is_checked_with_its_own_activation_and_penalty():
    for layers in itertools.pairwise(["gelu", TANH, "softplus", "mish", "elu", "silu"]):
        clf = network(list(layers), alpha=[3.0, 0.0, 0.5], label_smoothing=0.1)
        for check in BOTH_CHECKS:
            assert max(check(clf, *data()).errors) < 1e-8
    for layers in ([TANH, WRONG_SLOPE], [WRONG_SLOPE, "gelu"]):
        for check in BOTH_CHECKS:
            with pytest.raises(AssertionError, match="DIFFERS"):
                check(network(layers), *data())


def test_the_exact_hessian_is_checked_for_any_value_of_hessian():
    clf = network(hessian="gauss-newton")
    assert check_hessian_product(clf, *data()).passed
    assert clf.hessian == "gauss-newton"


def test_tol_decides_what_passes():
    X, y = data()
    for check, wrong in [(check_gradient, WRONG_SLOPE), (check_hessian_product, WRONG_CURVATURE)]:
        assert check(network(wrong), X, y, tol=0.5).passed
        with pytest.raises(AssertionError):
            check(network(wrong), X, y, tol=1e-5)


def test_random_state_draws_the_directions():
    X, y = data()
    for check in BOTH_CHECKS:
        one, again, other = (check(network(), X, y, random_state=seed).errors for seed in (1, 1, 2))
        assert one == again
        assert one != other


def convex(n_classes, n_features, **params):
    X, y = data(n_classes, n_features, 80)
    clf = BackpropClassifier((), solver="newton-cg", alpha=2.0, tol=1e-10, max_iter=100, random_state=0, **params)
    return clf.fit(X, y), X, y


# Up to 50 parameters the eigenvalues come from the whole matrix. For more parameters Lanczos computes them.
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(("n_classes", "n_features"), [(2, 6), (3, 6), (2, 60), (3, 30)])
def test_a_convex_problem_has_a_minimum_with_the_eigenvalues_of_the_full_hessian(n_classes, n_features, k):
    clf, X, y = convex(n_classes, n_features)
    extremes = hessian_extremes(clf, X, y, k=k)
    assert extremes.verdict == "minimum"
    expected = np.linalg.eigvalsh(full_hessian(clf, X, y))
    assert len(extremes.smallest) == len(extremes.largest) == k
    assert_allclose(extremes.smallest, expected[:k], rtol=1e-5, atol=1e-6 * expected[-1])
    assert_allclose(extremes.largest, expected[-k:], rtol=1e-5)
    assert extremes.max_gradient == pytest.approx(abs(clf.objective(X, y).gradient(clf.objective(X, y).theta0)).max())
    assert extremes.max_gradient < 1e-8


def saddle(n_hidden):
    """A network with zero weights and balanced labels: the gradient is zero, but changing two layers lowers the loss."""
    X = np.random.default_rng(0).standard_normal((40, 4))
    y = np.tile([0, 1], 20)
    X[y == 1] += 1.0
    clf = BackpropClassifier.from_weights(
        [np.zeros((4, n_hidden)), np.zeros((n_hidden, 1))],
        [np.zeros(n_hidden), np.zeros(1)],
        classes=[0, 1],
        activation="tanh",
    )
    return clf.set_params(alpha=0.0), X, y


@pytest.mark.parametrize("n_hidden", [3, 15], ids=["whole matrix", "lanczos"])
def test_a_saddle_is_distinguished_from_a_minimum(n_hidden):
    clf, X, y = saddle(n_hidden)
    extremes = hessian_extremes(clf, X, y)
    assert extremes.verdict == "saddle"
    assert extremes.max_gradient < 1e-15
    # By hand: for each hidden unit, the output weight and the input weights are coupled by the mean of delta x.
    coupling = np.linalg.norm(((0.5 - y)[:, None] * X).mean(axis=0))
    assert_allclose(extremes.smallest, [-coupling], rtol=1e-6)
    assert_allclose(extremes.largest, [max(coupling, 0.25)], rtol=1e-6)  # p (1 - p) from the output bias


def test_an_untrained_network_is_not_at_a_stationary_point():
    X, y = data()
    clf = network()
    extremes = hessian_extremes(clf, X, y)
    assert extremes.verdict == "not stationary"
    assert extremes.max_gradient > extremes.tol
    assert not hasattr(clf, "coefs_")


def test_tol_decides_what_is_stationary():
    X, y = data()
    clf, gradient = network(), hessian_extremes(network(), X, y).max_gradient
    assert hessian_extremes(clf, X, y, tol=0.99 * gradient).verdict == "not stationary"
    assert hessian_extremes(clf, X, y, tol=1.01 * gradient).verdict in {"saddle", "minimum"}


def test_the_exact_hessian_decides_for_any_value_of_hessian():
    clf, X, y = saddle(3)
    clf.set_params(hessian="gauss-newton")
    assert hessian_extremes(clf, X, y).verdict == "saddle"
    assert clf.hessian == "gauss-newton"


def test_a_minimum_may_have_directions_without_curvature():
    # Adding a constant to all biases of softmax units changes nothing.
    clf, X, y = convex(3, 6)
    extremes = hessian_extremes(clf, X, y)
    assert abs(extremes.smallest[0]) < 1e-12
    assert extremes.verdict == "minimum"


def test_sample_weights_have_an_effect():
    X, y = data()
    weight = np.linspace(0.0, 3.0, len(y))
    clf = network(max_iter=3).fit(X, y)
    times = np.arange(len(y)) % 3
    weighted = hessian_extremes(clf, X, y, times, k=2)
    repeated = hessian_extremes(clf, X.repeat(times, axis=0), y.repeat(times), k=2)
    assert_allclose(weighted.smallest, repeated.smallest, rtol=1e-5)
    assert_allclose(weighted.largest, repeated.largest, rtol=1e-5)
    assert abs(hessian_extremes(clf, X, y, weight).largest[0] - weighted.largest[-1]) > 1e-3


def test_k_out_of_range_is_an_error_that_names_the_range():
    clf, X, y = convex(2, 6)  # 7 parameters
    with pytest.raises(ValueError, match="k=4 is out of range: the network has 7 parameters, so k must be 1 to 3"):
        hessian_extremes(clf, X, y, k=4)
    assert len(hessian_extremes(clf, X, y, k=3).smallest) == 3


def test_the_result_prints_the_verdict_and_the_figures():
    clf, X, y = convex(2, 6)
    extremes = hessian_extremes(clf, X, y, k=2)
    lines = str(extremes).splitlines()
    assert lines[0] == "minimum"
    assert f"{extremes.max_gradient:.1e}" in lines[1]
    for line, values in zip(lines[2:], [extremes.smallest, extremes.largest], strict=True):
        assert all(f"{value:.3e}" in line for value in values)


def test_lanczos_finds_the_flat_direction_from_any_start():
    # A common shift of the biases of softmax units has no curvature, so the smallest eigenvalue at a minimum is 0.
    X, y = load_wine(return_X_y=True)
    clf = BackpropClassifier((16,), "tanh", solver="trust-ncg", alpha=1.0, tol=1e-6, max_iter=500, random_state=0)
    clf.fit(scale(X), y)
    for seed in range(8):
        extremes = hessian_extremes(clf, scale(X), y, random_state=seed)
        assert abs(extremes.smallest[0]) < 1e-12
        assert extremes.verdict == "minimum"


def test_a_check_without_directions_does_not_pass():
    assert not DerivativeCheck("The gradient", [], 1e-6).passed
    assert DerivativeCheck("The gradient", [1e-9], 1e-6).passed


def huge(size):
    """A network with logits of about 1000 times the square of `size`."""
    weights = [np.full((6, 4), size), np.full((4, 3), size)]
    return BackpropClassifier.from_weights(
        weights, [np.zeros(4), np.zeros(3)], classes=[0, 1, 2], activation="softplus"
    )


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (check_gradient, "The gradient of the objective near"),
        (check_hessian_product, "The Hessian of the objective near"),
        (hessian_extremes, "The gradient of the objective at"),
    ],
)
def test_values_that_are_not_finite_are_an_error_with_a_remedy(function, what):
    X, y = data()
    with pytest.raises(ValueError, match=rf"^{what} the parameters of clf is not finite\. .*scale X"):
        function(huge(1e200), np.abs(X), y)


@pytest.mark.parametrize("size", [20, 60], ids=["whole matrix", "lanczos"])
def test_a_hessian_that_is_not_finite_is_an_error(size):
    bent = dataclasses.replace(TANH, curvature=lambda a, out: np.copyto(out, np.inf) or out)
    X, y = data()
    clf = network(bent, hidden_layer_sizes=(1,) if size == 20 else (6,))
    assert (clf.objective(X, y).theta0.size <= 50) == (size == 20)
    with pytest.raises(ValueError, match=r"^The Hessian of the objective at the parameters of clf is not finite"):
        hessian_extremes(clf, X, y)
    with pytest.raises(ValueError, match=r"^The Hessian of the objective near the parameters of clf is not finite"):
        check_hessian_product(clf, X, y)
    assert check_gradient(clf, X, y).passed


def blows_up(distance):
    """tanh, but nan if a weighted sum differs by `distance` or more from its value in the first call."""
    first = []

    def function(z, out):
        if not first and z.ndim == 2:
            first.append(z.copy())
        far = bool(first) and first[0].shape == z.shape and np.abs(z - first[0]).max() >= distance
        return np.copyto(out, np.nan if far else np.tanh(z)) or out

    return dataclasses.replace(TANH, function=function)


def test_steps_to_points_where_the_function_is_not_finite_are_ignored():
    X, y = data()
    result = check_gradient(network(blows_up(1e-2), hidden_layer_sizes=(4,)), X, y)
    assert max(result.errors) < 1e-6
    with pytest.raises(
        ValueError, match=r"^All differences of the objective near the parameters of clf are not finite"
    ):
        check_gradient(network(blows_up(1e-12), hidden_layer_sizes=(4,)), X, y)


@pytest.mark.parametrize("function", [*BOTH_CHECKS, hessian_extremes])
def test_a_pipeline_transforms_the_rows_first(function):
    X, y = data()
    pipeline = make_pipeline(StandardScaler(), network()).fit(100.0 * X, y)
    arguments = dataclasses.asdict(function(pipeline, 100.0 * X, y))
    expected = dataclasses.asdict(function(pipeline[-1], StandardScaler().fit_transform(100.0 * X), y))
    for name, value in expected.items():
        np.testing.assert_equal(arguments[name], value)
