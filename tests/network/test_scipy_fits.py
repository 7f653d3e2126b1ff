"""SciPy's methods end where they promise, report what they did, and take no more memory for more rows."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

from skbp import BackpropClassifier
from skbp._network.tape import CHUNK_ROWS
from skbp._training.solvers import SCIPY_METHODS, SOLVERS

every_scipy_method = pytest.mark.parametrize("solver", list(SCIPY_METHODS))
ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# Where they end


def digits(n_rows, factor=None):
    X, y = load_digits(return_X_y=True)
    X, y = X[:n_rows], y[:n_rows]
    return (scale(X) if factor is None else X * factor), y


def test_newton_cg_goes_on_to_a_gradient_below_1e_8(classifier):
    # It takes a curvature below 6.7e-16 for none. Given the mean over the rows and not the sum, it would stop too early.
    X, y = digits(400)
    clf = classifier(hidden_layer_sizes=(50,), alpha=1.0, solver="newton-cg", tol=1e-9, max_iter=200).fit(X, y)
    F = clf.objective(X, y)
    assert abs(F.gradient(F.theta0)).max() < 1e-8
    assert clf.optimize_result_["max_gradient"] < 1e-8


@pytest.mark.parametrize("solver", ["newton-cg", "trust-ncg"])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_without_hidden_layers_the_coefficients_are_those_of_logistic_regression(make_data, classifier, kind, solver):
    X, y = make_data(kind, 200)
    clf = classifier(hidden_layer_sizes=(), solver=solver, tol=1e-8, max_iter=100).fit(X, y)
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
    # With a loss of clipped probabilities, line searches would compare a flat loss with a gradient that is not flat.
    X, y = digits(300, factor)
    clf = BackpropClassifier(solver="lbfgs", random_state=0, max_iter=200).fit(X, y)
    assert clf.score(X, y) == 1.0


@every_scipy_method
def test_the_loss_falls_with_every_iteration_and_the_last_one_is_the_objective(make_data, classifier, solver):
    X, y = make_data(n_rows=100)
    with pytest.warns(ConvergenceWarning, match=r"Raise max_iter, now 8\."):
        clf = classifier(solver=solver, max_iter=8).fit(X, y)
    assert clf.n_iter_ == len(clf.loss_curve_) == 8
    assert (np.diff(clf.loss_curve_) <= 0.0).all()
    F, start = clf.objective(X, y), classifier().objective(X, y)
    assert clf.loss_curve_[0] < start.value(start.theta0)
    assert clf.loss_ == clf.optimize_result_["fun"] == F.value(F.theta0)
    assert clf.loss_ == pytest.approx(clf.loss_curve_[-1], rel=1e-12)
    assert clf.optimize_result_["max_gradient"] == abs(F.gradient(F.theta0)).max()


@pytest.mark.parametrize("solver", ["trust-ncg", "trust-krylov"])
def test_trust_region_methods_end_where_no_element_of_the_gradient_exceeds_tol(solver):
    """SciPy compares the tolerance with the norm, and may reject steps for ever if rounding lies between the two."""
    X, y = load_breast_cancer(return_X_y=True)
    clf = BackpropClassifier((20,), "tanh", solver=solver, alpha=1.0, tol=1e-7, max_iter=1200, random_state=0)
    clf.fit(scale(X), y)
    figures = clf.optimize_result_
    assert figures["success"]
    assert figures["max_gradient"] <= 1e-7
    assert clf.n_iter_ < 200


# What they report


@every_scipy_method
@pytest.mark.parametrize("params", [{"max_iter": 2}, {"max_fun": 3}, {"early_stopping": True, "max_iter": 3}], ids=str)
@ignore_convergence
def test_optimize_result_is_plain_numbers_and_strings(make_data, classifier, solver, params):
    clf = classifier(solver=solver, **params).fit(*make_data())
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
def test_stochastic_solvers_have_no_optimize_result_even_after_a_fit_that_has_one(make_data, classifier, solver):
    X, y = make_data()
    clf = classifier(max_iter=2).fit(X, y)
    assert clf.optimize_result_ is not None
    assert clf.set_params(solver=solver).fit(X, y).optimize_result_ is None


@every_scipy_method
def test_max_fun_is_named_with_its_value(make_data, classifier, solver):
    with pytest.warns(ConvergenceWarning, match=r"Raise max_fun, now 4\.") as caught:
        clf = classifier(solver=solver, max_fun=4, max_iter=300).fit(*make_data())
    assert "Raise max_iter" not in str(caught[0].message)
    assert clf.optimize_result_["n_evaluations"] <= 4 + 20  # a line search that has begun is finished


# Their options


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
def test_solver_options_are_passed_on(make_data, classifier, solver, options):
    X, y = make_data()
    start = (F := classifier().objective(X, y)).theta0
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
    clf = classifier(solver=solver, solver_options=options, max_iter=1000).fit(X, y)
    plain = classifier(solver=solver, max_iter=1000).fit(X, y)
    assert clf.loss_ == pytest.approx(by_hand.fun, rel=1e-9)
    assert plain.loss_curve_ != clf.loss_curve_


def test_unknown_solver_options_are_an_error_and_maxiter_takes_precedence(make_data, classifier):
    X, y = make_data()
    with pytest.raises(ValueError, match=r"solver_options has \['maxcorr'\].*'lbfgs' does not know.*'maxcor'"):
        classifier(solver_options={"maxcorr": 3}).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="Raise solver_options: maxiter, now 3"):
        assert classifier(solver_options={"maxiter": 3}, max_iter=100).fit(X, y).n_iter_ == 3


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
    # Labels, targets and masks take some bytes a row. The activations would take 1600.
    assert peaks[1] - peaks[0] < 20_000 * 50


@ignore_convergence
def test_training_on_a_memory_map_does_not_read_it_into_memory(tmp_path):
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
def test_results_repeat_bit_for_bit_over_several_batches(make_data, classifier, solver):
    X, y = make_data(n_rows=CHUNK_ROWS + 300)
    one, other = (classifier(solver=solver, max_iter=3).fit(X, y) for _ in range(2))
    assert one.loss_curve_ == other.loss_curve_
    assert_array_equal(one.coefs_[0], other.coefs_[0])


@every_scipy_method
@ignore_convergence
def test_published_weights_are_arrays_of_their_own_also_after_pickling(make_data, classifier, solver):
    # Views of one vector would lose their common memory in a pickle. Then a change of one view would reach no other.
    clf = classifier(solver=solver, max_iter=2, hidden_layer_sizes=(4, 3)).fit(*make_data())
    for fitted in (clf, pickle.loads(pickle.dumps(clf))):
        arrays = fitted.coefs_ + fitted.intercepts_
        assert all(array.base is None and array.flags.owndata and array.flags.writeable for array in arrays)
