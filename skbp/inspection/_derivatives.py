"""A network's derivatives: are they right, and what do they say of the point that training found?

Both are asked of the user's own classifier and data, fitted or not, through `BackpropClassifier.objective`.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy.sparse.linalg import eigsh
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from skbp.inspection import _subject

# Steps along a direction of unit length. The error of the five-point formula falls with the fourth power of the step
# until rounding takes over; where that happens depends on the function, so several are tried.
STEPS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6)

CONSTRAINTS: dict = {
    "n_directions": [Interval(Integral, 1, None, closed="left")],
    "k": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "random_state": ["random_state"],
}


@dataclass(frozen=True)
class DerivativeCheck:
    """How far a derivative is from differences, along random directions.

    Attributes
    ----------
    what : str
        What was checked.
    errors : list of float
        For each direction the relative error.
    tol : float
        The error at which a direction still passes.
    """

    what: str
    errors: list[float]
    tol: float

    @property
    def passed(self) -> bool:
        """Whether there are directions, and the error along every one is at most `tol`."""
        return len(self.errors) > 0 and all(error <= self.tol for error in self.errors)

    def __str__(self):
        verdict = "agrees with" if self.passed else "DIFFERS from"
        lines = [f"{self.what} {verdict} central differences (relative error, tol={self.tol:.0e}):"]
        for k, error in enumerate(self.errors):
            lines.append(f"  direction {k}: {error:.1e}{'' if error <= self.tol else '  <-- too large'}")
        return "\n".join(lines)


def check_gradient(clf, X, y, sample_weight=None, *, n_directions=5, tol=1e-6, random_state=0):
    """Hold the gradient of the objective against central differences along random directions.

    Parameters
    ----------
    clf : BackpropClassifier, or a pipeline that ends in one
        Fitted or not: checked near its parameters, or near random initial ones. It is moved from there by a tenth of the
        parameters' root mean square, since at a minimum the gradient is 0 and has nothing to show. Computed in float64,
        whatever `dtype` says. The steps of a pipeline before it are fitted. Of a BackpropClassifierCV, one of its
        `members_`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data that the objective is on.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Their labels; of a fitted classifier, such as it knows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; None for ones.
    n_directions : int, default=5
        How many directions are drawn, uniformly from the unit sphere; at least 1.
    tol : float, default=1e-6
        Largest relative error that passes, at least 0 and finite: of the derivative along the direction, relative to the
        gradient's norm divided by the root of the number of parameters, the size that such a derivative typically has.
    random_state : int, RandomState instance or None, default=0
        Draws the point and the directions.

    Returns
    -------
    check : DerivativeCheck
        Prints as a table.

    Raises
    ------
    AssertionError
        If an error exceeds `tol`; the message is the table. An activation with kinks, like relu, may also fail by a kink
        that lies within all steps of the differences: try other data or another `random_state`.
    TypeError
        If `clf` is no BackpropClassifier, or an argument is of another type.
    ValueError
        If an argument is out of range, the data are not as `fit` would have them, or near the parameters the gradient or all
        differences of the objective are not finite.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import check_gradient
    >>> X, y = load_iris(return_X_y=True)
    >>> check_gradient(BackpropClassifier(5, "tanh", random_state=0), X, y).passed
    True
    """
    _check("check_gradient", n_directions=n_directions, tol=tol, random_state=random_state)
    with _subject.network_and_rows(clf, "clf", X) as (network, rows):
        objective = _subject.exact(network).objective(rows, y, sample_weight)
        theta, directions = _directions(objective, n_directions, random_state)
        gradient = objective.gradient(theta)
        _subject.check_finite(gradient, "The gradient of the objective near the parameters of clf is")
        scale = np.linalg.norm(gradient) / np.sqrt(theta.size)
        errors = [_relative_error(float(gradient @ v), objective.value, theta, v, scale) for v in directions]
    return _judged(DerivativeCheck("The gradient", errors, tol))


def check_hessian_product(clf, X, y, sample_weight=None, *, n_directions=5, tol=1e-6, random_state=0):
    """Hold products with the Hessian against central differences of the gradient along random directions.

    Parameters
    ----------
    clf : BackpropClassifier, or a pipeline that ends in one
        As for `check_gradient`. It is the exact Hessian that is checked, whatever `hessian` says.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data that the objective is on.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Their labels; of a fitted classifier, such as it knows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; None for ones.
    n_directions : int, default=5
        How many directions are drawn, uniformly from the unit sphere; at least 1.
    tol : float, default=1e-6
        Largest relative error that passes, at least 0 and finite: the norm of the difference of the two vectors, relative to
        that of the product.
    random_state : int, RandomState instance or None, default=0
        Draws the point and the directions.

    Returns
    -------
    check : DerivativeCheck
        Prints as a table.

    Raises
    ------
    AssertionError
        If an error exceeds `tol`; the message is the table. The slope of an activation with kinks, like relu, jumps,
        which a Hessian, existing almost everywhere, does not tell of: differences across a jump disagree with it rightly.
    TypeError
        If `clf` is no BackpropClassifier, or an argument is of another type.
    ValueError
        If an argument is out of range, the data are not as `fit` would have them, or near the parameters the product or all
        differences of the gradient are not finite.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import check_hessian_product
    >>> X, y = load_iris(return_X_y=True)
    >>> check_hessian_product(BackpropClassifier(5, "tanh", random_state=0), X, y).passed
    True
    """
    _check("check_hessian_product", n_directions=n_directions, tol=tol, random_state=random_state)
    with _subject.network_and_rows(clf, "clf", X) as (network, rows):
        objective = _subject.exact(network).objective(rows, y, sample_weight)
        theta, directions = _directions(objective, n_directions, random_state)
        errors = []
        for v in directions:
            product = objective.hessp(theta, v)
            _subject.check_finite(product, "The Hessian of the objective near the parameters of clf is")
            errors.append(_relative_error(product, objective.gradient, theta, v, np.linalg.norm(product)))
    return _judged(DerivativeCheck("The Hessian's product", errors, tol))


@dataclass(frozen=True)
class HessianExtremes:
    """The ends of a Hessian's spectrum, and what they say of a point.

    Attributes
    ----------
    verdict : {"minimum", "saddle", "not stationary"}
        "not stationary" if an element of the gradient exceeds `tol`; else "saddle" if an eigenvalue is negative beyond
        rounding, else "minimum". Directions without curvature, such as the common shift of softmax biases, do not speak
        against a minimum.
    smallest, largest : ndarray of shape (k,)
        Eigenvalues in ascending order.
    max_gradient : float
        The gradient's largest element in absolute value.
    tol : float
    """

    verdict: str
    smallest: np.ndarray
    largest: np.ndarray
    max_gradient: float
    tol: float

    def __str__(self):
        def row(values):
            return "  ".join(f"{value: .3e}" for value in values)

        return (
            f"{self.verdict}\n"
            f"  largest element of the gradient {self.max_gradient:.1e} (stationary up to {self.tol:.0e})\n"
            f"  smallest eigenvalues of the Hessian {row(self.smallest)}\n"
            f"  largest eigenvalues of the Hessian  {row(self.largest)}"
        )


def hessian_extremes(clf, X, y, sample_weight=None, *, k=1, tol=1e-4, random_state=0):
    """The largest and smallest eigenvalues of the objective's Hessian, by Lanczos iterations on exact products.

    Parameters
    ----------
    clf : BackpropClassifier, or a pipeline that ends in one
        Fitted, to look at the point that training found; or not, at random initial parameters. The steps of a pipeline
        before it are fitted. Of a BackpropClassifierCV, one of its `members_`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data that the objective is on.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Their labels; of a fitted classifier, such as it knows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; None for ones.
    k : int, default=1
        How many eigenvalues at each end, at most half the number of parameters. Of an eigenvalue that occurs several times
        Lanczos may miss copies.
    tol : float, default=1e-4
        The point is stationary if no element of the gradient is larger in absolute value; at least 0 and finite.
    random_state : int, RandomState instance or None, default=0
        Draws the vector that Lanczos starts from.

    Returns
    -------
    extremes : HessianExtremes
        Prints the verdict and the figures.

    Raises
    ------
    TypeError
        If `clf` is no BackpropClassifier, or an argument is of another type.
    ValueError
        If an argument is out of range, or the data are not as `fit` would have them, or the gradient or the Hessian is not
        finite.
    scipy.sparse.linalg.ArpackNoConvergence
        If Lanczos does not converge, as it may where eigenvalues lie close together.

    References
    ----------
    Lehoucq, Sorensen and Yang, "ARPACK Users' Guide", SIAM 1998, https://doi.org/10.1137/1.9780898719628

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import hessian_extremes
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(5, "tanh", solver="trust-ncg", tol=1e-6, alpha=1.0, random_state=0).fit(X, y)
    >>> hessian_extremes(clf, X, y).verdict
    'minimum'
    """
    _check("hessian_extremes", k=k, tol=tol, random_state=random_state)
    with _subject.network_and_rows(clf, "clf", X) as (network, rows):
        objective = _subject.exact(network).objective(rows, y, sample_weight)
        theta = objective.theta0
        if k > theta.size // 2:
            raise ValueError(
                f"k={k} is out of range: the network has {theta.size} parameters, so it is 1 to {theta.size // 2}."
            )
        gradient = objective.gradient(theta)
        _subject.check_finite(gradient, "The gradient of the objective at the parameters of clf is")
        eigenvalues = _ends_of_spectrum(objective.hessian_operator(theta), k, check_random_state(random_state))
    smallest, largest = eigenvalues[:k], eigenvalues[-k:]
    max_gradient = float(np.abs(gradient).max())
    if max_gradient > tol:
        verdict = "not stationary"
    else:
        verdict = "saddle" if smallest[0] < -1e-6 * np.abs(eigenvalues).max() else "minimum"
    return HessianExtremes(verdict, smallest, largest, max_gradient, tol)


def _check(caller, **arguments):
    validate_parameter_constraints(CONSTRAINTS, arguments, caller_name=caller)


def _ends_of_spectrum(operator, k, rng):
    """Eigenvalues in ascending order: at least the k smallest and the k largest."""
    size, what = operator.shape[0], "The Hessian of the objective at the parameters of clf is"
    # Lanczos needs room beside the eigenvalues that it looks for; a small Hessian is had whole at less cost.
    if size <= max(50, 4 * k):
        hessian = operator @ np.eye(size)
        _subject.check_finite(hessian, what)
        return np.linalg.eigvalsh(hessian)
    start = rng.standard_normal(size)
    _subject.check_finite(operator @ start, what)
    # Converged to rounding: at a looser tolerance Lanczos takes a neighbour for the smallest eigenvalue, and with it a
    # saddle for a minimum, in one run of five.
    n_lanczos = min(size, max(4 * k, 40))
    return np.sort(eigsh(operator, 2 * k, which="BE", v0=start, ncv=n_lanczos, tol=0.0, return_eigenvectors=False))


def _directions(objective, n_directions, random_state):
    """A point near theta0, and directions of unit length."""
    rng = check_random_state(random_state)
    theta = objective.theta0
    size = np.sqrt(np.mean(theta**2)) or 1.0
    theta = theta + 0.1 * size * rng.standard_normal(theta.size)
    directions = rng.standard_normal((n_directions, theta.size))
    return theta, directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _relative_error(derivative, function, theta, v, scale):
    """The least error over STEPS of `derivative` of `function` along v: a wrong one is wrong at every step."""
    errors = []
    for h in STEPS:  # the largest may lead to where the function overflows
        near = np.subtract(function(theta + h * v), function(theta - h * v))
        far = np.subtract(function(theta + 2 * h * v), function(theta - 2 * h * v))
        errors.append(float(np.linalg.norm((8 * near - far) / (12 * h) - derivative)))
    least = min((error for error in errors if np.isfinite(error)), default=np.nan)
    _subject.check_finite(least, "All differences of the objective near the parameters of clf are")
    return least / max(float(scale), float(np.finfo(np.float64).tiny))


def _judged(check):
    if not check.passed:
        raise AssertionError(str(check))
    return check
