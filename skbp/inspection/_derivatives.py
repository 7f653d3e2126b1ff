"""A network's derivatives: are they right, and what do they say of the point that training found?

Both are asked of the user's own classifier and data, fitted or not, through `BackpropClassifier.objective`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import eigsh
from sklearn.utils import check_random_state

from skbp.inspection._subject import exact

# Steps along a direction of unit length. The error of the five-point formula falls with the fourth power of the step
# until rounding takes over; where that happens depends on the function, so several are tried.
STEPS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6)


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
        """Whether the error along every direction is at most `tol`."""
        return all(error <= self.tol for error in self.errors)

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
    clf : BackpropClassifier
        Fitted or not: checked near its parameters, or near random initial ones. It is moved from there by a tenth of the
        parameters' root mean square, since at a minimum the gradient is 0 and has nothing to show. Computed in float64,
        whatever `dtype` says.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data that the objective is on.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Their labels; of a fitted classifier, such as it knows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; None for ones.
    n_directions : int, default=5
        Directions drawn uniformly from the unit sphere.
    tol : float, default=1e-6
        Largest relative error that passes: of the derivative along the direction, relative to the gradient's norm divided
        by the root of the number of parameters, the size that such a derivative typically has.
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

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import check_gradient
    >>> X, y = load_iris(return_X_y=True)
    >>> check_gradient(BackpropClassifier(5, "tanh", random_state=0), X, y).passed
    True
    """
    objective = exact(clf).objective(X, y, sample_weight)
    theta, directions = _directions(objective, n_directions, random_state)
    gradient = objective.gradient(theta)
    scale = np.linalg.norm(gradient) / np.sqrt(theta.size)
    errors = [_relative_error(float(gradient @ v), objective.value, theta, v, scale) for v in directions]
    return _judged(DerivativeCheck("The gradient", errors, tol))


def check_hessian_product(clf, X, y, sample_weight=None, *, n_directions=5, tol=1e-6, random_state=0):
    """Hold products with the Hessian against central differences of the gradient along random directions.

    Parameters
    ----------
    clf : BackpropClassifier
        As for `check_gradient`. It is the exact Hessian that is checked, whatever `hessian` says.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data that the objective is on.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Their labels; of a fitted classifier, such as it knows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; None for ones.
    n_directions : int, default=5
        Directions drawn uniformly from the unit sphere.
    tol : float, default=1e-6
        Largest relative error that passes: the norm of the difference of the two vectors, relative to that of the product.
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

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import check_hessian_product
    >>> X, y = load_iris(return_X_y=True)
    >>> check_hessian_product(BackpropClassifier(5, "tanh", random_state=0), X, y).passed
    True
    """
    objective = exact(clf).objective(X, y, sample_weight)
    theta, directions = _directions(objective, n_directions, random_state)
    errors = []
    for v in directions:
        product = objective.hessp(theta, v)
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
    clf : BackpropClassifier
        Fitted, to look at the point that training found; or not, at random initial parameters.
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
        The point is stationary if no element of the gradient is larger in absolute value.
    random_state : int, RandomState instance or None, default=0
        Draws the vector that Lanczos starts from.

    Returns
    -------
    extremes : HessianExtremes
        Prints the verdict and the figures.

    Raises
    ------
    ValueError
        If `k` is out of range.
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
    objective = exact(clf).objective(X, y, sample_weight)
    theta = objective.theta0
    if not 1 <= k <= theta.size // 2:
        raise ValueError(
            f"k={k} is out of range: the network has {theta.size} parameters, so it is 1 to {theta.size // 2}."
        )
    operator = objective.hessian_operator(theta)
    # Lanczos needs room beside the eigenvalues that it looks for; a small Hessian is had whole at less cost.
    if theta.size <= max(50, 4 * k):
        eigenvalues = np.linalg.eigvalsh(operator @ np.eye(theta.size))
    else:
        start = check_random_state(random_state).standard_normal(theta.size)
        n_lanczos = min(theta.size, max(4 * k, 40))
        # Converged to rounding: at a looser tolerance Lanczos takes a neighbour for the smallest eigenvalue, and with it a
        # saddle for a minimum, in one run of five.
        eigenvalues = np.sort(
            eigsh(operator, 2 * k, which="BE", v0=start, ncv=n_lanczos, tol=0.0, return_eigenvectors=False)
        )
    smallest, largest = eigenvalues[:k], eigenvalues[-k:]
    max_gradient = float(np.abs(objective.gradient(theta)).max())
    if max_gradient > tol:
        verdict = "not stationary"
    else:
        verdict = "saddle" if smallest[0] < -1e-6 * np.abs(eigenvalues).max() else "minimum"
    return HessianExtremes(verdict, smallest, largest, max_gradient, tol)


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
    for h in STEPS:
        near = np.subtract(function(theta + h * v), function(theta - h * v))
        far = np.subtract(function(theta + 2 * h * v), function(theta - 2 * h * v))
        errors.append(float(np.linalg.norm((8 * near - far) / (12 * h) - derivative)))
    return min(errors) / max(float(scale), float(np.finfo(np.float64).tiny))


def _judged(check):
    if not check.passed:
        raise AssertionError(str(check))
    return check
