"""The objective as a function of a vector: exact derivatives, no traces of earlier calls, and free use by any optimiser."""

import itertools
import pickle
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.linalg import LinearOperator, cg, eigsh
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from skbp import BackpropClassifier
from skbp._network import curvature
from skbp._network.activations import ACTIVATIONS, Activation
from skbp._network.function import ObjectiveFunction
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._network.tape import CHUNK_ROWS

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
HIDDEN = [(), (4,), (4, 3), (3, 4, 2)]
# Networks of one activation, in every shape. Others have a different activation in each layer, and vary all else that the
# objective depends on.
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


# Derivatives


def without_kinks_nearby(X, y, clf):
    """The rows without a hidden unit that has a weighted sum near 0 or 6. There relu and its relatives have their kinks."""
    at = (F := clf.objective(X, y)).with_theta(F.theta0)
    nearest, a = np.full(len(X), np.inf), X
    activations = [clf.activation] * 9 if isinstance(clf.activation, str) else clf.activation
    for name, W, b in zip(activations, at.coefs_[:-1], at.intercepts_[:-1], strict=False):
        z = a @ W + b
        nearest = np.minimum(nearest, np.minimum(abs(z), abs(z - 6.0)).min(axis=1))
        a = ACTIVATIONS[name].function(z, out=z)
    return X[nearest > 0.01], y[nearest > 0.01]


@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_gradient_and_products_are_differences(
    make_data, classifier, assert_agrees_with_differences, params, kind, container, weighted
):
    clf = classifier(**params)
    X, y = without_kinks_nearby(*make_data(kind, 120), clf)
    assert len(y) > 60
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.0, 3.0, len(y)) if weighted else None
    F = clf.objective(container(X), y, weight)
    directions = rng.standard_normal((3, F.theta0.size))
    for v in directions:
        assert_agrees_with_differences(F, v)
    u, v = directions[:2] / np.linalg.norm(directions[:2], axis=1, keepdims=True)
    Hu, Hv = F.hessp(F.theta0, u), F.hessp(F.theta0, v)
    assert abs(v @ Hu - u @ Hv) < 1e-10 * np.linalg.norm(Hu)


def test_with_an_alpha_for_each_layer_gradient_and_products_are_differences(
    problem, assert_agrees_with_differences, output, penalised, weighted
):
    hidden, alpha = penalised
    p = problem(9, hidden, ("tanh",) * 3, *output, weighted=weighted)
    F = p.function(alpha=alpha)
    for v in p.rng.standard_normal((3, F.theta0.size)):
        assert_agrees_with_differences(F, v)


def test_with_label_smoothing_gradient_and_products_are_differences(
    problem, assert_agrees_with_differences, output, three_activations
):
    p = problem(9, (4, 3), three_activations, *output, weighted=True)
    F = p.function(alpha=[0.3, 0.0, 2.0], label_smoothing=0.2)
    for v in p.rng.standard_normal((2, F.theta0.size)):
        assert_agrees_with_differences(F, v)


# What it remembers


def asked(function, what, theta, v):
    return function.value_and_gradient(theta) if what == "gradient" else (0.0, function.hessp(theta, v))


@pytest.mark.parametrize("hessian", ["exact", "gauss-newton"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_for_a_theta_never_depend_on_earlier_questions(problem, dtype, hessian, tapes):
    # trust-ncg and trust-krylov ask for products at the former theta after a step that they rejected.
    p = problem(CHUNK_ROWS + 200, (4,))
    function = p.function(hessian, dtype=dtype)
    old = function.theta0
    new, v = p.rng.standard_normal((2, old.size))
    close_by = old + 1e-12  # the same numbers in float32
    questions = list(itertools.product(["gradient", "product"], [old, new, close_by]))
    fresh = [asked(p.function(hessian, dtype=dtype), what, at, v) for what, at in questions]
    assert abs(fresh[3][1] - fresh[4][1]).max() > 0.01
    for order in itertools.permutations(range(len(questions)), 3):
        for k in order:
            value, vector = asked(function, *questions[k], v)
            assert value == fresh[k][0]
            assert_array_equal(vector, fresh[k][1])


def test_gradients_and_products_are_copies_that_later_calls_do_not_change(problem):
    p = problem(30)
    function = p.function()
    v, other = p.rng.standard_normal((2, function.theta0.size))
    results = [function.gradient(function.theta0), function.hessp(function.theta0, v)]
    kept = [result.copy() for result in results]
    function.gradient(other)
    function.hessp(other, other)
    for result, copy in zip(results, kept, strict=True):
        assert_array_equal(result, copy)
        result[...] = np.nan  # a change by the caller does no harm either
    assert_array_equal(function.gradient(function.theta0), kept[0])
    assert np.isfinite(function.gradient(function.theta0)).all()


class Counted:
    """tanh that counts how often it is applied, and raises a KeyboardInterrupt in the call that it is told."""

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


def counted_function(p, dtype=np.float64):
    """The objective of a problem with a counted tanh."""
    counted = Counted()
    params = Parameters(p.params.units, dtype)
    params.vector[...] = p.params.vector
    on = Objective(params, [counted.record], LOSSES["softmax"], 0.3)
    return ObjectiveFunction(on, p.rows(dtype)), counted


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_known_results_for_a_theta_are_not_computed_again(problem, dtype):
    # This also holds for a theta that float32 does not hold: the vector itself is compared, and not its cast.
    p = problem(CHUNK_ROWS + 200)
    function, counted = counted_function(p, dtype)
    theta, v = function.theta0 + 1e-12, p.rng.standard_normal(function.theta0.size)
    function.value(theta)
    assert counted.n_calls == 2  # batches
    function.gradient(theta)
    assert (counted.n_calls, function.n_evaluations) == (2, 1)
    function.hessp(theta, v)
    assert counted.n_calls == 4
    function.hessp(theta, -v)
    assert (counted.n_calls, function.n_products) == (4, 2)


def test_tapes_that_would_take_too_much_memory_are_filled_again_for_each_product(problem, monkeypatch):
    monkeypatch.setattr(curvature, "KEPT_TAPES_BYTES", 0)
    p = problem(CHUNK_ROWS + 200)
    function, counted = counted_function(p)
    v = p.rng.standard_normal(function.theta0.size)
    function.hessp(function.theta0, v)
    function.hessp(function.theta0, v)
    assert counted.n_calls == 4


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("what", ["gradient", "product"])
def test_an_interrupted_call_leaves_no_trace(problem, what, batch, tapes):
    p = problem(CHUNK_ROWS + 200)
    function, counted = counted_function(p)
    old, new = function.theta0, function.theta0 + 0.5
    v = p.rng.standard_normal(old.size)
    by_numpy = replace(p, n_threads=0).function()
    expected = {at.tobytes(): asked(by_numpy, what, at, v) for at in (old, new)}
    for at in (old, new):
        asked(function, what, old, v)
        counted.interrupted_at = counted.n_calls + batch
        with pytest.raises(KeyboardInterrupt):
            asked(function, what, new, v)
        value, vector = asked(function, what, at, v)
        assert value == expected[at.tobytes()][0]
        assert_array_equal(vector, expected[at.tobytes()][1])


def test_vectors_of_a_wrong_size_are_refused(problem):
    function = problem(10).function()
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


def test_it_has_the_smoothed_loss_and_the_target(problem):
    p = problem(10)
    function = p.function(label_smoothing=0.2)
    assert function.loss == type(LOSSES["softmax"])(label_smoothing=0.2)
    assert function.target is p.target


def test_every_pass_over_the_rows_is_within_the_limit(problem):
    p, counts = problem(10), [0, 0]

    @contextmanager
    def limit():
        counts[0] += 1
        yield
        counts[1] += 1

    function = ObjectiveFunction(p.objective(), p.rows(), limit=limit)
    theta = function.theta0
    for n_passes, call in enumerate([function.value, function.tape, lambda at: function.hessp(at, at)], start=1):
        call(theta)
        assert counts == [n_passes, n_passes]
    function.gradient(theta)  # is known
    assert counts == [3, 3]


# The tape of a theta


def test_the_tape_of_a_theta_has_every_sum_activation_slope_and_delta(
    problem, formulas, some_network, output, container
):
    activations, hidden = some_network
    p = problem(9, hidden, activations, *output, weighted=True)
    theta = p.params.vector + 0.01
    tape = replace(p, X=container(p.X)).function().tape(theta)
    p.params.vector[...] = theta
    _, gradient = p.reference(alpha=0.0)
    bias_gradients = np.split(gradient[p.params.weight_vector.size :], np.cumsum(p.params.units[1:-1]))
    a = p.X
    for layer, (W, b) in enumerate(zip(p.params.weights, p.params.biases, strict=True), start=1):
        z = a @ W + b
        assert_allclose(tape.z[layer], z, rtol=1e-11, atol=1e-13)
        assert_allclose(tape.delta[layer].sum(axis=0), bias_gradients[layer - 1], rtol=1e-10, atol=1e-14)
        if layer == len(p.params.weights):
            assert_allclose(tape.a[layer], z, rtol=1e-11, atol=1e-13)
            break
        function, slope = formulas[activations[layer - 1]]
        a = function(z)
        assert_allclose(tape.a[layer], a, rtol=1e-11, atol=1e-13)
        assert_allclose(tape.slope[layer], slope(z), rtol=1e-9, atol=1e-12)
        error = tape.delta[layer + 1] @ p.params.weights[layer].T
        assert_allclose(tape.error[layer], error, rtol=1e-11, atol=1e-15)
        assert_allclose(tape.delta[layer], error * slope(z), rtol=1e-8, atol=1e-14)


def test_the_tape_holds_all_rows_in_its_own_memory(problem):
    n_rows = 2 * CHUNK_ROWS + 452
    p = problem(n_rows)
    function = p.function()
    tape = function.tape(function.theta0)
    copies = [array.copy() for array in [*tape.z[1:], *tape.a[1:], *tape.delta[1:]]]
    assert all(len(array) == n_rows for array in copies)
    (W1, W2), (b1, b2) = p.params.copies()
    assert_allclose(tape.z[-1], np.tanh(p.X @ W1 + b1) @ W2 + b2)
    other = function.theta0 + 1.0
    function.value(other)
    function.hessp(other, other)
    again = function.tape(other)
    for kept, array in zip(copies, [*tape.z[1:], *tape.a[1:], *tape.delta[1:]], strict=True):
        assert_array_equal(array, kept)
    assert not np.allclose(again.z[1], tape.z[1])


def test_a_tape_between_two_calls_changes_neither(problem):
    p = problem(30)
    function, undisturbed = p.function(), p.function()
    theta, v = function.theta0, p.rng.standard_normal(function.theta0.size)
    function.value(theta)
    function.hessp(theta, v)
    function.tape(theta + 1.0)
    assert_array_equal(function.gradient(theta), undisturbed.gradient(theta))
    assert_array_equal(function.hessp(theta, 2.0 * v), undisturbed.hessp(theta, 2.0 * v))
    assert function.n_evaluations == 1
    with pytest.raises(ValueError, match=f"has {theta.size} parameters"):
        function.tape(theta[1:])


# The objective of a classifier


def packed(clf):
    return np.concatenate([array.ravel() for array in clf.coefs_ + clf.intercepts_])


@ignore_convergence
def test_theta0_is_the_start_of_fit_and_after_a_fit_its_result(make_data, classifier, kind):
    X, y = make_data(kind)
    # One step at so small a rate leaves the weights that were drawn.
    start = classifier(solver="sgd", learning_rate_init=1e-300, max_iter=1).fit(X, y)
    assert_array_equal(classifier().objective(X, y).theta0, packed(start))
    clf = classifier(max_iter=5).fit(X, y)
    assert_array_equal(clf.objective(X, y).theta0, packed(clf))
    assert abs(packed(clf) - packed(start)).max() > 0.01


@ignore_convergence
@pytest.mark.parametrize("fitted", [False, True])
def test_the_classifier_stays_as_it_is(make_data, classifier, fitted):
    X, y = make_data()
    clf = classifier(class_weight="balanced", max_iter=3, early_stopping=True)
    if fitted:
        clf.fit(X, y)
    before = pickle.dumps(vars(clf))
    F = clf.objective(X + 1.0, y)
    F.value_and_gradient(F.theta0 + 0.1)
    F.hessp(F.theta0, F.theta0)
    other = F.with_theta(F.theta0 + 0.1)
    other.set_params(solver="adam", hidden_layer_sizes=(2,)).fit(X, y)
    assert pickle.dumps(vars(clf)) == before


def test_weights_of_rows_and_classes_count(make_data, classifier, kind):
    X, y = make_data(kind)
    times = np.arange(60) % 3
    F, repeated = (
        classifier().objective(X, y, times),
        classifier().objective(X.repeat(times, axis=0), y.repeat(times, axis=0)),
    )
    theta, v = F.theta0, np.ones(F.theta0.size)
    assert F.value(theta) == pytest.approx(repeated.value(theta), rel=1e-12)
    assert_allclose(F.hessp(theta, v), repeated.hessp(theta, v), rtol=1e-9, atol=1e-12)
    if kind != "multilabel":
        classes = classifier(class_weight={0: 2.5}).objective(X, y)
        by_row = classifier().objective(X, y, np.where(y == 0, 2.5, 1.0))
        assert classes.value(theta) == pytest.approx(by_row.value(theta))
        assert classes.value(theta) != pytest.approx(classifier().objective(X, y).value(theta), rel=1e-3)


@ignore_convergence
def test_fit_minimises_it(make_data, classifier):
    X, y = make_data()
    weight = np.linspace(0.5, 2.0, 60)
    clf = classifier(max_iter=4, class_weight="balanced").fit(X, y, weight)
    F = clf.objective(X, y, weight)
    assert clf.loss_curve_[-1] == F.value(F.theta0)


def test_the_operator_serves_scipys_linear_algebra(make_data, classifier):
    X, y = make_data("binary")
    F = classifier(hessian="gauss-newton").objective(X, y)
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
    # The operator stays at its theta, wherever the objective is evaluated next, and if the array changes.
    theta = F.theta0.copy()
    at_copy = F.hessian_operator(theta)
    theta[...] = 0.0
    F.gradient(F.theta0 + 1.0)
    assert_allclose(at_copy @ np.ones(size), H @ np.ones(size), rtol=1e-12)


@ignore_convergence
def test_with_theta_gives_a_fitted_classifier_with_memory_of_its_own(make_data, classifier, kind):
    X, y = make_data(kind)
    clf = classifier(max_iter=5).fit(X, y)
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
    fresh = classifier().objective(X, y)
    assert fresh.with_theta(F.theta0).score(X, y) == clf.score(X, y)


@pytest.mark.parametrize("method", ["L-BFGS-B", "Newton-CG", "trust-krylov", "trust-ncg"])
def test_optimisers_of_scipy_can_minimise_it(classifier, method):
    X, y = load_iris(return_X_y=True)
    F = classifier(alpha=1.0).objective(scale(X), y)
    given = {} if method == "L-BFGS-B" else {"hessp": F.hessp}
    result = scipy.optimize.minimize(F.value_and_gradient, F.theta0, jac=True, method=method, **given)
    assert abs(F.gradient(result.x)).max() < 1e-3
    assert F.with_theta(result.x).score(scale(X), y) > 0.95


def test_it_takes_frames_sparse_rows_and_float32(make_data, classifier):
    X, y = make_data()
    expected = classifier().objective(X, y)
    theta = expected.theta0
    frame = classifier().objective(pd.DataFrame(X, columns=list("abcde")), y)
    assert frame.value(theta) == expected.value(theta)
    assert frame.with_theta(theta).feature_names_in_.tolist() == list("abcde")
    sparse = classifier().objective(sp.csr_array(X), y)
    assert sparse.value(theta) == pytest.approx(expected.value(theta), rel=1e-12)
    narrow = classifier(dtype="float32").objective(X, y)
    assert narrow.value(theta) == pytest.approx(expected.value(theta), rel=1e-5)
    assert narrow.theta0.dtype == narrow.gradient(theta).dtype == narrow.hessp(theta, theta).dtype == np.float64


@ignore_convergence
def test_data_that_do_not_fit_are_refused(make_data, classifier):
    X, y = make_data()
    clf = classifier(max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="8"):
        clf.objective(X, np.where(y == 0, 8, y))
    with pytest.raises(ValueError, match="features"):
        clf.objective(X[:, :3], y)
    with pytest.raises(ValueError, match="sample_weight"):
        clf.objective(X, y, -np.ones(60))
    with pytest.raises(ValueError, match="alpha"):
        classifier(alpha=-1.0).objective(X, y)
    F = clf.objective(X, y)
    for wrong in (np.zeros(F.theta0.size - 1), np.zeros((2, F.theta0.size))):
        with pytest.raises(ValueError, match=f"{wrong.size} elements; this network has {F.theta0.size} parameters"):
            F.with_theta(wrong)


@ignore_convergence
@pytest.mark.parametrize("warm_start", [False, True])
def test_the_rows_of_a_fitted_classifier_may_have_some_classes_only(make_data, classifier, warm_start):
    X, y = make_data()
    clf = classifier(max_iter=2, warm_start=warm_start).fit(X, y)
    some = y < 2
    F = clf.objective(X[some], y[some])
    proba = clf.predict_proba(X[some])
    penalty = 0.5 / (2 * some.sum()) * sum((W**2).sum() for W in clf.coefs_)
    expected = -np.log(proba[np.arange(some.sum()), y[some]]).mean() + penalty
    assert F.value(F.theta0) == pytest.approx(expected, rel=1e-12)


# NumPy raises errors for overflow and rounding to 0 if the user asks for it


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("hessian", ["exact", "gauss-newton"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_it_works_under_strict_settings(informative, name, dtype, hessian):
    X, y = informative("multiclass")
    F = BackpropClassifier((6, 6), name, dtype=dtype, hessian=hessian, random_state=0).objective(X * 1e3, y)
    v = np.random.RandomState(0).normal(size=F.theta0.size)
    for theta in (F.theta0, 1e3 * F.theta0, 1e15 * F.theta0):
        value, gradient = F.value_and_gradient(theta)
        assert_array_equal([F.value(theta), *F.gradient(theta)], [value, *gradient])
        F.hessp(theta, v)
        F.tape(theta)
        F.hessian_operator(theta) @ v
    assert_array_equal(F.with_theta(F.theta0).predict(X), F.with_theta(F.theta0).predict(X))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("value", [1e-60, 1e200])
@pytest.mark.parametrize("method", ["value_and_gradient", "hessp", "tape", "with_theta"])
def test_in_float32_it_takes_numbers_beyond_that_type_under_strict_settings(informative, method, value):
    X, y = informative("binary")
    F = BackpropClassifier(3, dtype="float32", random_state=0).objective(X, y)
    theta = F.theta0.copy()
    theta[0] = value
    getattr(F, method)(*([theta, theta] if method == "hessp" else [theta]))
