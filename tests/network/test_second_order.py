"""Second derivatives are exact and cheap, SciPy's methods end where they promise, and the objective is free to use."""

import copy
import pickle
import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.linalg import LinearOperator, cg, eigsh
from scipy.special import expit, softmax
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

from skbp import BackpropClassifier
from skbp._network import objective as _objective
from skbp._network.activations import ACTIVATIONS
from skbp._network.objective import CHUNK_ROWS
from skbp._training.solvers import SCIPY_METHODS, SOLVERS

every_scipy_method = pytest.mark.parametrize("solver", list(SCIPY_METHODS))
ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = ["binary", "multiclass", "multilabel"]
HIDDEN = [(), (4,), (4, 3), (3, 4, 2)]
# One activation throughout, in every shape; and a different one in each layer, with what else the objective depends on.
NETWORKS = {
    f"{name}-{hidden}": {"activation": name, "hidden_layer_sizes": hidden} for name in ACTIVATIONS for hidden in HIDDEN
} | {
    "-".join(names): {
        "activation": list(names),
        "hidden_layer_sizes": (3, 4, 2),
        "alpha": [0.5, 0.0, 3.0, 0.1],
        "label_smoothing": 0.1,
    }
    for names in zip(*(np.roll(list(ACTIVATIONS), -k).tolist() for k in range(3)), strict=True)
}


def labels(scores, kind):
    return {"binary": (scores[:, 0] > 0).astype(int), "multiclass": scores.argmax(axis=1)}.get(
        kind, (scores > 0).astype(int)
    )


def make_data(kind="multiclass", n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 5))
    X[rng.random(X.shape) < 0.2] = 0.0
    return X, labels(X[:, :3] + 0.5 * rng.standard_normal((n_rows, 3)), kind)


def network(**params):
    defaults = {"hidden_layer_sizes": (5,), "activation": "tanh", "solver": "lbfgs", "alpha": 0.5, "random_state": 0}
    return BackpropClassifier(**{**defaults, **params})


def without_kinks_nearby(X, y, clf):
    """The rows for which no hidden unit's weighted sum is near 0 or 6, where relu and its relatives have their kinks."""
    at = (F := clf.objective(X, y)).with_theta(F.theta0)
    nearest, a = np.full(len(X), np.inf), X
    activations = [clf.activation] * 9 if isinstance(clf.activation, str) else clf.activation
    for name, W, b in zip(activations, at.coefs_[:-1], at.intercepts_[:-1], strict=False):
        z = a @ W + b
        nearest = np.minimum(nearest, np.minimum(abs(z), abs(z - 6.0)).min(axis=1))
        a = ACTIVATIONS[name].function(z, out=z)
    return X[nearest > 0.01], y[nearest > 0.01]


def differences(function, theta, v, step=1e-3):
    """The derivative of a function along v by the five-point formula."""
    near, far = (np.subtract(function(theta + k * step * v), function(theta - k * step * v)) for k in (1, 2))
    return (8.0 * near - far) / (12.0 * step)


# Derivatives


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_gradient_and_products_are_differences(params, kind, container, weighted):
    clf = network(**params)
    X, y = without_kinks_nearby(*make_data(kind, 120), clf)
    assert len(y) > 60
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.0, 3.0, len(y)) if weighted else None
    F = clf.objective(container(X), y, weight)
    theta, gradient = F.theta0, F.gradient(F.theta0)
    directions = rng.standard_normal((3, theta.size))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    products = [F.hessp(theta, v) for v in directions]
    for v, product in zip(directions, products, strict=True):
        slope_error = abs(gradient @ v - differences(F.value, theta, v))
        # Relative to what a direction sees of the gradient on average: a direction may happen to be across it.
        assert slope_error < 1e-7 * np.linalg.norm(gradient) / np.sqrt(theta.size)
        assert np.linalg.norm(product - differences(F.gradient, theta, v)) < 1e-7 * np.linalg.norm(product)
    u, v = directions[:2]
    assert abs(v @ products[0] - u @ products[1]) < 1e-10 * np.linalg.norm(products[0])


@pytest.mark.parametrize("kind", KINDS)
def test_gauss_newton_is_the_exact_hessian_where_there_is_no_hidden_layer_and_only_there(kind):
    X, y = make_data(kind)
    v = np.random.default_rng(2)
    for hidden in [(), (4,), (4, 3)]:
        exact, gauss_newton = (
            network(hidden_layer_sizes=hidden, hessian=hessian).objective(X, y) for hessian in ("exact", "gauss-newton")
        )
        v = np.random.default_rng(2).standard_normal(exact.theta0.size)
        products = exact.hessp(exact.theta0, v), gauss_newton.hessp(exact.theta0, v)
        difference = np.linalg.norm(products[0] - products[1]) / np.linalg.norm(products[0])
        assert difference > 1e-3 if hidden else difference < 1e-12


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("kind", KINDS)
def test_gauss_newton_is_never_negative_along_a_direction_where_the_exact_hessian_may_be(kind, activation):
    X, y = make_data(kind)
    params = {"activation": activation, "hidden_layer_sizes": (4, 3), "alpha": 0.0}
    least = []
    for hessian in ("exact", "gauss-newton"):
        F = network(hessian=hessian, **params).objective(X, y)
        H = F.hessian_operator(F.theta0) @ np.eye(F.theta0.size)
        least.append(np.linalg.eigvalsh((H + H.T) / 2)[0])
        for v in np.random.default_rng(3).standard_normal((20, F.theta0.size)):
            assert hessian == "exact" or v @ F.hessp(F.theta0, v) >= 0.0
    assert least[0] < -1e-3 < -1e-12 < least[1]


@pytest.mark.parametrize("kind", KINDS)
def test_gauss_newton_is_the_product_of_jacobians_and_the_hessian_of_the_loss(kind):
    X, y = make_data(kind, 9)
    y[:3] = labels(np.eye(3), kind)
    weight = np.linspace(0.0, 2.0, 9)
    F = network(hidden_layer_sizes=(2,), hessian="gauss-newton").objective(X, y, weight)
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
def test_a_product_with_the_hessian_costs_at_most_2_6_gradients(units, hessian, kept, monkeypatch):
    # Counted in multiplications and additions of the matrix products, which no other load on the machine disturbs.
    if not kept:
        monkeypatch.setattr(_objective, "KEPT_TAPES_BYTES", 0)
    n_rows = 1500
    X = np.random.default_rng(0).standard_normal((n_rows, units[0]))
    y = np.arange(n_rows) % max(2, units[-1])
    clf = network(
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
    # Forward and the weights' gradient of every layer, and what comes back through all but the first.
    sizes = [fan_in * fan_out for fan_in, fan_out in pairwise(units)]
    assert gradient == n_rows * (3 * sum(sizes) - sizes[0])
    first, second = cost(F.hessp, theta, v), cost(F.hessp, theta, -v)
    assert gradient < first <= 2.6 * gradient
    assert second <= 2.0 * gradient if kept else second == first


# Where SciPy's methods end


def digits(n_rows, factor=None):
    X, y = load_digits(return_X_y=True)
    X, y = X[:n_rows], y[:n_rows]
    return (scale(X) if factor is None else X * factor), y


def test_newton_cg_goes_on_to_a_gradient_below_1e_8():
    # Given the mean over the rows in place of the sum it takes curvature below 6.7e-16 for none, and stops too early.
    X, y = digits(400)
    clf = network(hidden_layer_sizes=(50,), alpha=1.0, solver="newton-cg", tol=1e-9, max_iter=200).fit(X, y)
    F = clf.objective(X, y)
    assert abs(F.gradient(F.theta0)).max() < 1e-8
    assert clf.optimize_result_["max_gradient"] < 1e-8


@pytest.mark.parametrize("solver", ["newton-cg", "trust-ncg"])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_without_hidden_layers_the_coefficients_are_those_of_logistic_regression(kind, solver):
    X, y = make_data(kind, 200)
    clf = network(hidden_layer_sizes=(), solver=solver, tol=1e-8, max_iter=100).fit(X, y)
    expected = LogisticRegression(C=1.0 / 0.5, solver="newton-cholesky", tol=1e-12, max_iter=100).fit(X, y)
    coef, intercept = clf.coefs_[0].T, clf.intercepts_[0]
    if kind == "multiclass":
        # A constant added to all intercepts changes no probability.
        intercept = intercept - intercept.mean()
        expected.intercept_ -= expected.intercept_.mean()
    assert_allclose(coef, expected.coef_, rtol=0, atol=1e-6)
    assert_allclose(intercept, expected.intercept_, rtol=0, atol=1e-6)
    assert abs(coef).max() > 0.5


@pytest.mark.parametrize("factor", [1e4, 1e6])
@ignore_convergence
def test_lbfgs_learns_data_on_a_huge_scale(factor):
    # Where a loss is taken of clipped probabilities, line searches compare a flat loss with a gradient that is not.
    X, y = digits(300, factor)
    clf = BackpropClassifier(solver="lbfgs", random_state=0, max_iter=200).fit(X, y)
    assert clf.score(X, y) == 1.0


@every_scipy_method
def test_the_loss_falls_with_every_iteration_and_the_end_is_that_of_the_objective(solver):
    X, y = make_data(n_rows=100)
    with pytest.warns(ConvergenceWarning, match=r"Raise max_iter, now 8\."):
        clf = network(solver=solver, max_iter=8).fit(X, y)
    assert clf.n_iter_ == len(clf.loss_curve_) == 8
    assert (np.diff(clf.loss_curve_) <= 0.0).all()
    F = clf.objective(X, y)
    assert clf.loss_curve_[0] < network().objective(X, y).value(network().objective(X, y).theta0)
    assert clf.loss_ == clf.optimize_result_["fun"] == F.value(F.theta0)
    assert clf.loss_ == pytest.approx(clf.loss_curve_[-1], rel=1e-12)
    assert clf.optimize_result_["max_gradient"] == abs(F.gradient(F.theta0)).max()


@every_scipy_method
@pytest.mark.parametrize("params", [{"max_iter": 2}, {"max_fun": 3}, {"early_stopping": True, "max_iter": 3}], ids=str)
@ignore_convergence
def test_optimize_result_is_plain_numbers_and_strings(solver, params):
    clf = network(solver=solver, **params).fit(*make_data())
    result = clf.optimize_result_
    types = {
        "fun": float,
        "max_gradient": float,
        "n_iter": int,
        "n_evaluations": int,
        "n_products": int,
        "success": bool,
        "status": int,
        "message": str,
    }
    assert {name: type(value) for name, value in result.items()} == types
    assert result["n_iter"] == clf.n_iter_
    assert (result["n_products"] > 0) == (SCIPY_METHODS[solver].hessian is not None)


@ignore_convergence
@pytest.mark.parametrize("solver", [name for name in SOLVERS if name not in SCIPY_METHODS])
def test_stochastic_solvers_have_no_optimize_result_even_after_one_that_has(solver):
    X, y = make_data()
    clf = network(max_iter=2).fit(X, y)
    assert clf.optimize_result_ is not None
    assert clf.set_params(solver=solver).fit(X, y).optimize_result_ is None


@every_scipy_method
def test_max_fun_is_named_with_its_value(solver):
    with pytest.warns(ConvergenceWarning, match=r"Raise max_fun, now 4\.") as caught:
        clf = network(solver=solver, max_fun=4, max_iter=300).fit(*make_data())
    assert "Raise max_iter" not in str(caught[0].message)
    assert clf.optimize_result_["n_evaluations"] <= 4 + 20  # the line search at hand is finished


@ignore_convergence
@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("lbfgs", {"maxcor": 1}),
        ("bfgs", {"c1": 1e-8, "c2": 1e-3}),
        ("cg", {"c1": 1e-8, "c2": 1e-3}),
        ("newton-cg", {"c1": 1e-8, "c2": 1e-3}),
        ("trust-ncg", {"initial_trust_radius": 0.01}),
        ("trust-krylov", {"initial_trust_radius": 0.01}),
        ("tnc", {"maxCGit": 0}),
    ],
)
def test_solver_options_are_passed_on(solver, options):
    X, y = make_data()
    start = (F := network().objective(X, y)).theta0
    common = {
        "jac": True,
        "method": SCIPY_METHODS[solver].name,
        "options": {SCIPY_METHODS[solver].tol: 1e-4, **options},
    }
    if solver == "tnc":
        common["options"] |= {"accuracy": 2.0**-26, "maxfun": 15_000}
    if SCIPY_METHODS[solver].hessian:
        common["hessp"] = F.hessp
    by_hand = scipy.optimize.minimize(F.value_and_gradient, start, **common)
    clf = network(solver=solver, solver_options=options, max_iter=1000).fit(X, y)
    plain = network(solver=solver, max_iter=1000).fit(X, y)
    assert clf.loss_ == pytest.approx(by_hand.fun, rel=1e-9)
    assert plain.loss_curve_ != clf.loss_curve_


def test_unknown_solver_options_are_an_error_and_maxiter_takes_precedence():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"solver_options has \['maxcorr'\].*'lbfgs' does not know.*'maxcor'"):
        network(solver_options={"maxcorr": 3}).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="Raise solver_options: maxiter, now 3"):
        assert network(solver_options={"maxiter": 3}, max_iter=100).fit(X, y).n_iter_ == 3


# Rows and memory


def peak_of(call):
    tracemalloc.start()
    try:
        result = call()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@ignore_convergence
def test_the_memory_of_lbfgs_does_not_grow_with_the_rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 50))
    y = (X[:, 0] > 0).astype(int)
    clf = BackpropClassifier((200,), solver="lbfgs", max_iter=1, random_state=0)
    peaks = [peak_of(lambda n=n: clf.fit(X[:n], y[:n]))[1] for n in (20_000, 40_000)]
    assert max(peaks) < 16e6
    assert peaks[1] - peaks[0] < 20_000 * 50  # labels, targets and masks: some bytes a row, of 1600 for the activations


@ignore_convergence
def test_a_memory_map_is_trained_on_without_being_read_into_memory(tmp_path):
    n_rows, n_features = 40_000, 200
    X = np.random.default_rng(0).standard_normal((n_rows, n_features), dtype=np.float32)
    y = (X[:, 0] > 0).astype(int)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    clf = BackpropClassifier((10,), solver="lbfgs", max_iter=2, random_state=0)
    on_disk, peak = peak_of(lambda: copy.copy(clf).fit(mapped, y))
    assert peak < 0.25 * X.nbytes
    in_memory = copy.copy(clf).fit(X, y)
    assert on_disk.loss_curve_ == in_memory.loss_curve_
    for a, b in zip(on_disk.coefs_ + on_disk.intercepts_, in_memory.coefs_ + in_memory.intercepts_, strict=True):
        assert a.dtype == np.float32
        assert_array_equal(a, b)


@every_scipy_method
@ignore_convergence
def test_results_repeat_bit_for_bit_over_several_chunks(solver):
    X, y = make_data(n_rows=CHUNK_ROWS + 300)
    one, other = (network(solver=solver, max_iter=3).fit(X, y) for _ in range(2))
    assert one.loss_curve_ == other.loss_curve_
    assert_array_equal(one.coefs_[0], other.coefs_[0])


@every_scipy_method
@ignore_convergence
def test_published_weights_are_arrays_of_their_own_also_after_pickling(solver):
    # Views of one vector would come apart when pickled, and a change of one would be a change of none of the others.
    clf = network(solver=solver, max_iter=2, hidden_layer_sizes=(4, 3)).fit(*make_data())
    for fitted in (clf, pickle.loads(pickle.dumps(clf))):
        arrays = fitted.coefs_ + fitted.intercepts_
        assert all(array.base is None and array.flags.owndata and array.flags.writeable for array in arrays)


# The objective as an object


def packed(clf):
    return np.concatenate([array.ravel() for array in clf.coefs_ + clf.intercepts_])


@ignore_convergence
@pytest.mark.parametrize("kind", KINDS)
def test_theta0_is_where_fit_would_start_and_once_fitted_what_it_found(kind):
    X, y = make_data(kind)
    # One step of so small a rate leaves the weights that were drawn.
    start = network(solver="sgd", learning_rate_init=1e-300, max_iter=1).fit(X, y)
    assert_array_equal(network().objective(X, y).theta0, packed(start))
    clf = network(max_iter=5).fit(X, y)
    assert_array_equal(clf.objective(X, y).theta0, packed(clf))
    assert abs(packed(clf) - packed(start)).max() > 0.01


@ignore_convergence
@pytest.mark.parametrize("fitted", [False, True])
def test_the_classifier_is_left_as_it_is(fitted):
    X, y = make_data()
    clf = network(class_weight="balanced", max_iter=3, early_stopping=True)
    if fitted:
        clf.fit(X, y)
    before = pickle.dumps(vars(clf))
    F = clf.objective(X + 1.0, y)
    F.value_and_gradient(F.theta0 + 0.1)
    F.hessp(F.theta0, F.theta0)
    other = F.with_theta(F.theta0 + 0.1)
    other.set_params(solver="adam", hidden_layer_sizes=(2,)).fit(X, y)
    assert pickle.dumps(vars(clf)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_rows_and_classes_count(kind):
    X, y = make_data(kind)
    times = np.arange(60) % 3
    F, repeated = (
        network().objective(X, y, times),
        network().objective(X.repeat(times, axis=0), y.repeat(times, axis=0)),
    )
    theta, v = F.theta0, np.ones(F.theta0.size)
    assert F.value(theta) == pytest.approx(repeated.value(theta), rel=1e-12)
    assert_allclose(F.hessp(theta, v), repeated.hessp(theta, v), rtol=1e-9, atol=1e-12)
    if kind != "multilabel":
        classes = network(class_weight={0: 2.5}).objective(X, y)
        assert classes.value(theta) == pytest.approx(network().objective(X, y, np.where(y == 0, 2.5, 1.0)).value(theta))
        assert classes.value(theta) != pytest.approx(network().objective(X, y).value(theta), rel=1e-3)


@ignore_convergence
def test_it_is_what_fit_minimises():
    X, y = make_data()
    weight = np.linspace(0.5, 2.0, 60)
    clf = network(max_iter=4, class_weight="balanced").fit(X, y, weight)
    F = clf.objective(X, y, weight)
    assert clf.loss_curve_[-1] == F.value(F.theta0)


def test_the_operator_serves_scipys_linear_algebra():
    X, y = make_data("binary")
    F = network(hessian="gauss-newton").objective(X, y)
    operator, size = F.hessian_operator(F.theta0), F.theta0.size
    assert isinstance(operator, LinearOperator)
    assert (operator.shape, operator.dtype) == ((size, size), np.float64)
    H = operator @ np.eye(size)
    assert_allclose(H, H.T, rtol=0, atol=1e-14)
    assert_allclose(operator.T @ np.ones(size), H @ np.ones(size), rtol=1e-12)
    assert_allclose(eigsh(operator, 1, return_eigenvectors=False)[0], np.linalg.eigvalsh(H)[-1], rtol=1e-9)
    damped = LinearOperator((size, size), lambda v: operator @ v + 0.1 * v.ravel(), dtype=np.float64)
    gradient = F.gradient(F.theta0)
    step, info = cg(damped, -gradient, rtol=1e-10)
    assert info == 0
    assert_allclose(step, np.linalg.solve(H + 0.1 * np.eye(size), -gradient), rtol=1e-6, atol=1e-10)
    # The operator stays at its theta wherever the objective is looked at next, and whatever becomes of the array.
    theta = F.theta0.copy()
    at_copy = F.hessian_operator(theta)
    theta[...] = 0.0
    F.gradient(F.theta0 + 1.0)
    assert_allclose(at_copy @ np.ones(size), H @ np.ones(size), rtol=1e-12)


@ignore_convergence
@pytest.mark.parametrize("kind", KINDS)
def test_with_theta_gives_a_fitted_classifier_of_its_own(kind):
    X, y = make_data(kind)
    clf = network(max_iter=5).fit(X, y)
    F = clf.objective(X, y)
    same = F.with_theta(F.theta0)
    assert_array_equal(same.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(pickle.loads(pickle.dumps(same)).predict(X), clf.predict(X))
    moved = F.with_theta(F.theta0 + 0.5)
    assert abs(moved.predict_proba(X) - clf.predict_proba(X)).max() > 1e-3
    for array in same.coefs_ + same.intercepts_:
        array[...] = 0.0
    assert_array_equal(F.theta0, packed(clf))
    assert abs(clf.coefs_[0]).max() > 0.0
    fresh = network().objective(X, y)
    assert fresh.with_theta(F.theta0).score(X, y) == clf.score(X, y)


@pytest.mark.parametrize("method", ["L-BFGS-B", "Newton-CG", "trust-krylov", "trust-ncg"])
def test_any_optimiser_can_take_it_from_there(method):
    X, y = load_iris(return_X_y=True)
    F = network(alpha=1.0).objective(scale(X), y)
    given = {} if method == "L-BFGS-B" else {"hessp": F.hessp}
    result = scipy.optimize.minimize(F.value_and_gradient, F.theta0, jac=True, method=method, **given)
    assert abs(F.gradient(result.x)).max() < 1e-3
    assert F.with_theta(result.x).score(scale(X), y) > 0.95


def test_frames_sparse_rows_and_float32_are_taken():
    X, y = make_data()
    expected = network().objective(X, y)
    theta = expected.theta0
    frame = network().objective(pd.DataFrame(X, columns=list("abcde")), y)
    assert frame.value(theta) == expected.value(theta)
    assert frame.with_theta(theta).feature_names_in_.tolist() == list("abcde")
    assert network().objective(sp.csr_array(X), y).value(theta) == pytest.approx(expected.value(theta), rel=1e-12)
    narrow = network(dtype="float32").objective(X, y)
    assert narrow.value(theta) == pytest.approx(expected.value(theta), rel=1e-5)
    assert narrow.theta0.dtype == narrow.gradient(theta).dtype == narrow.hessp(theta, theta).dtype == np.float64


@ignore_convergence
def test_what_does_not_fit_is_refused():
    X, y = make_data()
    clf = network(max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="8"):
        clf.objective(X, np.where(y == 0, 8, y))
    with pytest.raises(ValueError, match="features"):
        clf.objective(X[:, :3], y)
    with pytest.raises(ValueError, match="sample_weight"):
        clf.objective(X, y, -np.ones(60))
    with pytest.raises(ValueError, match="alpha"):
        network(alpha=-1.0).objective(X, y)
    F = clf.objective(X, y)
    for wrong in (np.zeros(F.theta0.size - 1), np.zeros((2, F.theta0.size))):
        with pytest.raises(ValueError, match=f"{wrong.size} elements; this network has {F.theta0.size} parameters"):
            F.with_theta(wrong)


@ignore_convergence
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fitted_classifier_can_be_looked_at_on_rows_of_some_classes_only(warm_start):
    X, y = make_data()
    clf = network(max_iter=2, warm_start=warm_start).fit(X, y)
    some = y < 2
    F = clf.objective(X[some], y[some])
    proba = clf.predict_proba(X[some])
    penalty = 0.5 / (2 * some.sum()) * sum((W**2).sum() for W in clf.coefs_)
    expected = -np.log(proba[np.arange(some.sum()), y[some]]).mean() + penalty
    assert F.value(F.theta0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("solver", ["trust-ncg", "trust-krylov"])
def test_trust_region_methods_end_where_no_element_of_the_gradient_exceeds_tol(solver):
    """SciPy compares the tolerance with the norm, and may reject steps for ever where rounding lies between the two."""
    X, y = load_breast_cancer(return_X_y=True)
    clf = BackpropClassifier((20,), "tanh", solver=solver, alpha=1.0, tol=1e-7, max_iter=1200, random_state=0)
    clf.fit(scale(X), y)
    figures = clf.optimize_result_
    assert figures["success"]
    assert figures["max_gradient"] <= 1e-7
    assert clf.n_iter_ < 200
