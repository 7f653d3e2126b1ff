"""The objective on fixed data as a function of one vector, as optimisers call it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from skbp._network.curvature import Curvature, linearize
from skbp._network.predict import Forward

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skbp._network.losses import Loss
    from skbp._network.tape import Tape


class ObjectiveFunction:
    """F as a function of one float64 vector theta.

    It refers to the data and keeps what it last computed. So X, y and the weights must not change while it is in use. F
    beyond the largest number is inf or nan, without a warning.

    Parameters
    ----------
    objective : Objective
        The objective of one network. It computes in its own type, for example float32. theta and all results are float64.
    rows : Rows
        Every call runs on all of them.
    hessian : {"exact", "gauss-newton"} or None, default="exact"
        The matrix of `hessp`: the Hessian of F, or its Gauss-Newton approximation J' H_loss J plus the penalty's Hessian.
        The approximation is positive semi-definite.
    estimator_at : callable (Parameters) -> estimator, default=None
        `with_theta` calls it.
    limit : callable () -> context manager, default=nullcontext
        A context for every pass over the rows, such as one that limits the threads of BLAS.

    Attributes
    ----------
    loss : Loss
        The loss, with its label smoothing.
    target : ndarray of n_rows
        y as the loss takes it.
    theta0 : ndarray of shape (n_parameters,)
        The start of training: the weights layer by layer, each of shape (fan_in, fan_out) in C order, then the biases.
    n_evaluations : int
        How often F and its gradient have been computed.
    n_products : int
        How often a product with the Hessian has been computed.
    """

    loss: Loss
    target: NDArray[Any]
    theta0: NDArray[np.float64]
    n_evaluations: int
    n_products: int

    def __init__(
        self,
        objective: Any,
        rows: Any,
        hessian: str | None = "exact",
        estimator_at: Callable[..., Any] | None = None,
        limit: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._objective, self._rows, self._limit = objective, rows, limit
        self.loss, self.target = objective.loss, rows.target
        self._batches = rows.chunks()
        self._gauss_newton = hessian == "gauss-newton"
        self._estimator_at = estimator_at
        self._curvature: Curvature | None = None
        self.theta0 = objective.params.vector.astype(np.float64)
        self.n_evaluations = 0
        self.n_products = 0
        # The vectors themselves are compared: different vectors may have the same float32 values.
        self._theta_of_value = np.full_like(self.theta0, np.nan)
        self._theta_of_products = np.full_like(self.theta0, np.nan)
        self._value = np.nan

    def value(self, theta: ArrayLike) -> float:
        """F(theta). The gradient is computed too, and costs nothing if it is asked for next."""
        return self.value_and_gradient(theta)[0]

    def gradient(self, theta: ArrayLike) -> NDArray[np.float64]:
        """The gradient of F at theta, an ndarray of shape (n_parameters,)."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: ArrayLike) -> tuple[float, NDArray[np.float64]]:
        """F(theta) and its gradient.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,)

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_parameters,)
        """
        theta = self._checked(theta, "theta")
        if not np.array_equal(theta, self._theta_of_value):
            # An interrupt may come at any moment. Until the end of the pass the stored value belongs to no theta.
            self._theta_of_value[:] = np.nan
            with self._limit(), np.errstate(all="ignore"):
                np.copyto(self._objective.params.vector, theta)
                self._value = self._objective.value_and_gradient(self._batches)
            np.copyto(self._theta_of_value, theta)
            self.n_evaluations += 1
        # A copy: SciPy's methods keep the gradients they are given, and compare them with later ones.
        return self._value, self._objective.gradient.vector.astype(np.float64)

    def hessp(self, theta: ArrayLike, v: ArrayLike) -> NDArray[np.float64]:
        """The product of the Hessian of F at theta with a vector.

        Parameters
        ----------
        theta, v : array-like of shape (n_parameters,)

        Returns
        -------
        product : ndarray of shape (n_parameters,)
        """
        theta, v = self._checked(theta, "theta"), self._checked(v, "v")
        # After a rejected step a trust-region method asks at the former theta again. So theta itself says whether the
        # stored tapes are the right ones, and not the order of the calls.
        moved = not np.array_equal(theta, self._theta_of_products)
        self._theta_of_products[:] = np.nan
        if self._curvature is None:
            self._curvature = self._objective.hessian_on(self._batches)
        with self._limit(), np.errstate(all="ignore"):
            np.copyto(self._objective.params.vector, theta)
            product = self._curvature.product(v, self._gauss_newton, moved).astype(np.float64)
        np.copyto(self._theta_of_products, theta)
        self.n_products += 1
        return product

    def tape(self, theta: ArrayLike) -> Tape:
        """What a forward and a backward pass over all rows leave at theta, layer by layer.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,)

        Returns
        -------
        tape : Tape
            Its lists ``z``, ``a``, ``slope``, ``error`` and ``delta`` have an entry for each layer 0..L, an array of shape
            (n_rows, units[l]): z_l and a_l = f(z_l), f'(z_l), and the derivatives of F by a_l and by z_l. It has memory of
            its own for all rows at once.
        """
        theta = self._checked(theta, "theta")
        objective = self._objective
        batch = self._rows.as_one_batch()
        tape = objective.new_tape(batch.n_rows, "tangent")
        with self._limit(), np.errstate(all="ignore"):
            np.copyto(objective.params.vector, theta)
            linearize(objective, batch, tape)
            # Some activations overwrite z_l. For the layers up to l, and no others, z_l are the logits.
            for end in range(1, len(tape.z) - 1):
                tape.z[end] = self._weighted_sums(end)
        return tape

    def _weighted_sums(self, end):
        """z_end of all rows."""
        params, activations = self._objective.params, self._objective.activations
        below = Forward(params.weights[:end], params.biases[:end], activations[: end - 1], params.vector.dtype)
        return np.concatenate([below.plain_logits(batch.X).copy() for batch in self._batches])

    def hessian_operator(self, theta: ArrayLike) -> LinearOperator:
        """The Hessian of F at theta as a linear operator.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,)

        Returns
        -------
        operator : scipy.sparse.linalg.LinearOperator of shape (n_parameters, n_parameters)
        """
        point = self._checked(theta, "theta").copy()

        def product(v):
            return self.hessp(point, v)

        return LinearOperator((point.size, point.size), matvec=product, rmatvec=product, dtype=np.float64)

    def with_theta(self, theta: ArrayLike) -> Any:
        """A fitted estimator with these parameters.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,)

        Returns
        -------
        clf : BackpropClassifier
        """
        params = self._objective.params.like()
        with np.errstate(all="ignore"):
            np.copyto(params.vector, self._checked(theta, "theta"))
        assert self._estimator_at is not None
        return self._estimator_at(params)

    def _checked(self, vector, name):
        vector = np.asarray(vector)
        if vector.dtype.kind not in "fiub":
            raise TypeError(f"{name} must be a vector of real numbers; its type is {vector.dtype}.")
        vector = vector.astype(np.float64, copy=False).ravel()
        if vector.shape != self.theta0.shape:
            raise ValueError(f"{name} has {vector.size} elements; this network has {self.theta0.size} parameters.")
        return vector
