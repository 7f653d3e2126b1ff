"""The table of SciPy's methods agrees with SciPy: every option is there, and its values are tested."""

import math
import re

import numpy as np
import pytest
import scipy.optimize

from skbp._training.scipy_methods import LARGEST, OPTION_VALUES, SCIPY_METHODS
from skbp._training.scipy_solver import ScipySolver

every_method = pytest.mark.parametrize("method", list(SCIPY_METHODS))
every_option = pytest.mark.parametrize(
    ("method", "option"), [(method, option) for method in SCIPY_METHODS for option in SCIPY_METHODS[method].options]
)


@every_method
def test_every_option_of_scipy_is_listed_except_for_printing_and_numerical_derivatives(method):
    text = scipy.optimize.show_options("minimize", SCIPY_METHODS[method].name, disp=False)
    documented = set(re.findall(r"^ *(\w+)(?: ?, \w+)* :", text[text.index("Options") :], re.MULTILINE))
    assert documented & set(SCIPY_METHODS[method].options)
    left_out = {"disp", "iprint", "return_all", "mesg_num", "eps", "finite_diff_rel_step", "workers"}
    assert documented - left_out <= set(SCIPY_METHODS[method].options)


@every_option
def test_every_listed_option_is_taken_by_scipy(method, option, LeastSquares, run):
    # SciPy warns of options that it does not know, and warnings are errors here.
    size = LeastSquares.ELONGATED.size
    values = {"maxiter": 100, "maxfun": 200, "maxls": 30, "maxcor": 5, "maxCGit": 4, "norm": 2.0, "inexact": True}
    values |= {"c1": 1e-3, "c2": 0.5, "eta": 0.2, "initial_trust_radius": 0.5, "max_trust_radius": 50.0}
    values |= {"hess_inv0": np.eye(size), "scale": np.ones(size), "offset": np.zeros(size), "stepmx": 20.0}
    on = LeastSquares(LeastSquares.ELONGATED / 100, n_rows=12)
    start = on.value()
    outcome, _ = run(ScipySolver(method, 1e-6, 1000, options={option: values.get(option, 1e-3)}), on, max_iter=50)
    assert outcome.status in {"converged", "max_iter"}
    assert outcome.loss < start


@every_method
def test_every_method_has_the_option_that_tol_sets(method):
    record = SCIPY_METHODS[method]
    assert record.tol in record.options
    assert record.precision is None or record.precision in record.options
    assert record.hessian in {None, "exact", "gauss-newton"}


def test_every_option_has_a_test_of_its_values_and_no_other():
    assert set(OPTION_VALUES) == {option for method in SCIPY_METHODS.values() for option in method.options}


NUMBERS = [0.5, 1, np.float32(0.25), np.int64(1)]
BAD_NUMBERS = [math.nan, math.inf, -math.inf, "1", None, 1j, [1.0], 10**400]
GOOD_AND_BAD = {
    "maxiter": ([1, 10**9, np.int64(3), True], [0, -1, 2.0, "1", None, math.inf]),
    "maxCGit": ([-1, 0, 5], [-2, 1.5, "1", None]),
    "initial_trust_radius": ([*NUMBERS, 0, LARGEST], [*BAD_NUMBERS, -1e-300]),
    "gtol": ([*NUMBERS, -1, LARGEST, -LARGEST], BAD_NUMBERS),
    "c1": ([0, 1, 0.5], [*BAD_NUMBERS, -1e-9, 1.5]),
    "norm": ([2, -2.0, math.inf, -math.inf, LARGEST], [0, 0.0, math.nan, "inf", None, 10**400]),
    "inexact": ([True, False, np.True_], [1, 0, None, "True"]),
    "hess_inv0": ([np.eye(2), [1, 2.0], 3], [[1, math.nan], "a", [[1], [2, 3]], [10**400], math.inf]),
}


@pytest.mark.parametrize("option", GOOD_AND_BAD)
def test_values_of_options_are_told_apart(option):
    test, _ = OPTION_VALUES[option]
    good, bad = GOOD_AND_BAD[option]
    with np.errstate(over="ignore"):  # NumPy casts the limit to the type of the value
        assert [test(value) for value in good] == [True] * len(good)
        assert [test(value) for value in bad] == [False] * len(bad)
