"""What training minimises, as a function of the parameters on given data.

The objective stands between the network and the solvers: a solver asks for the value and the gradient on some rows, or
on all of them, and knows nothing of layers, losses or buffers; the objective knows no solver. It alone knows that a
sweep over many rows goes in chunks: a chunk's activations stay in the processor's cache, and their memory does not grow
with the number of rows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from skbp._network.activations import LINEAR_GROWTH
from skbp._network.equations import backward, backward_tangent, forward, forward_tangent, parameter_gradient
from skbp._network.predict import CHUNK_ROWS, ROOM, plain_logits
from skbp._network.tape import TangentTape, Tape
from skbp._training.threads import blas_threads

# Sparse rows are cut into larger chunks, as long as the activations of one have no more elements than this: what a chunk of
# them costs beside its arithmetic weighs more.
SPARSE_CHUNK_ELEMENTS = 2**20

# Where sparse rows have at most this share of as many elements as there are features, the gradient by the weights of the
# features that occur is gathered; where they have more, writing that of all takes less time.
FEW_ELEMENTS = 0.25

# Products with the Hessian at one point follow one another. If the tapes of all chunks take no more memory than this, they
# are kept from one product to the next.
KEPT_TAPES_BYTES = 2**25


class Objective:
    r"""F(theta) = (1/S) sum_i s_i loss(z_i, y_i) + 1/(2S) sum_l alpha_l ||W_l||^2, with its gradient.

    The sums run over the rows at hand, a batch or all, and S is the sum of their weights s_i: the mean is over the rows,
    and the penalty's share shrinks with their number. Biases are not penalised.

    Parameters
    ----------
    params : Parameters
        theta. Solvers write to ``params.vector``; what is computed is at the values that it then holds. Of a stack, there
        is an F for each member, and where it says float below, an array of n_members.
    activations : sequence of Activation
        One for each hidden layer.
    loss : Loss
    alpha : float or sequence of float
        alpha_l, of all layers or of each.
    X : {ndarray, CSR array} of shape (n_rows, n_features) and the type of `params`
    target : ndarray of n_rows
        As `loss` wants it.
    row_weight : ndarray of float64 of shape (n_rows,), default=None
        s_i; None for ones. Only their shares s_i / S are cast to the type of `params`.
    dropout : Dropout, default=None
        Draws the units that each call of `value_and_gradient` leaves out, which makes F random; `hessp` knows none.

    Attributes
    ----------
    target : ndarray of n_rows
        As given.
    gradient : Parameters
        Written by `value_and_gradient`.
    only_columns : bool
        Whether `value_and_gradient` may leave the gradient by weights of the first layer as it was where it is 0, since
        their features do not occur in the rows. It does if rows are sparse, few features occur, and there is no penalty.
    columns : ndarray of int or None
        If it has, the features that do occur.
    """

    def __init__(self, params, activations, loss, alpha, X, target, row_weight=None, dropout=None):
        self.params = params
        self.gradient = params.like()
        self.only_columns = False
        self.columns = None
        self._activations = activations
        self._loss = loss
        self._alpha = _alpha_by_weight(alpha, params)
        self._dropout = dropout
        self._X = X
        self._chunk_rows = CHUNK_ROWS
        self._is_sparse = issparse(X)
        if self._is_sparse:
            self._chunk_rows = max(CHUNK_ROWS, SPARSE_CHUNK_ELEMENTS // sum(params.units[1:]))
        self._sparse_chunks: dict = {}
        self.target = target
        self._row_weight = row_weight
        self._penalty_products = params.like().weight_vector
        self._row_size: float | None = None
        self._chunk_gradient = None
        self._tape = None
        self._curvature: _Curvature | None = None

    @property
    def n_rows(self) -> int:
        return self._X.shape[0]

    @property
    def rows_at_once(self) -> int:
        """The most rows that one product goes through."""
        return min(self._chunk_rows, self.n_rows)

    def blas_threads(self):
        """A context with as many threads of BLAS as are good for a pass over all rows."""
        return blas_threads(self.params.units, self.rows_at_once, self._is_sparse)

    def _take_sparse(self, rows):
        """Rows of a CSR array; of a slice, made once, in the memory of X."""
        if not isinstance(rows, slice):
            return self._X[rows]
        key = rows.start, rows.stop
        if key not in self._sparse_chunks:
            ends = self._X.indptr[rows.start : rows.stop + 1]
            elements = slice(ends[0], ends[-1])
            parts = self._X.data[elements], self._X.indices[elements], ends - ends[0]
            self._sparse_chunks[key] = type(self._X)(parts, (rows.stop - rows.start, self._X.shape[1]), copy=False)
        return self._sparse_chunks[key]

    def as_function(self, hessian="exact", classifier_at=None) -> ObjectiveFunction:
        """F on all rows as a function of a vector; see `ObjectiveFunction`."""
        return ObjectiveFunction(self, hessian, classifier_at)

    def value_and_gradient(self, rows=slice(None)):
        """F on some rows at ``params``; its gradient is left in ``gradient``.

        Parameters
        ----------
        rows : slice of step 1 or ndarray of int, default=slice(None)
            Of a stack an array of shape (n_members, n_rows).

        Returns
        -------
        value : float or None
            None if the rows' weights are all zero: then they say nothing, and the gradient is not written. The rows of a
            stack must not all be of weight zero for any member.
        """
        weight_sum = self._weight_sum(rows)
        if isinstance(weight_sum, float) and weight_sum == 0.0:
            return None
        value = 0.0
        chunks = _chunks(rows, self.n_rows, self._chunk_rows)
        for k, chunk in enumerate(chunks):
            into = self.gradient if k == 0 else self._room_for_chunk()
            value += self._sweep(chunk, weight_sum, into, self.only_columns and len(chunks) == 1)
            if k > 0:
                self.gradient.vector += into.vector
        value = value + self._add_penalty(weight_sum)
        return value if self.params.members else float(value)

    def _weight_sum(self, rows):
        """S, the sum of the weights of the rows."""
        if self._row_weight is not None:
            weight_sum = self._row_weight[rows].sum(axis=-1)
            return weight_sum if self.params.members else float(weight_sum)
        return float(len(range(self.n_rows)[rows]) if isinstance(rows, slice) else rows.shape[-1])

    def _take(self, rows):
        """X, target and weights of the rows: views where they are a slice of dense data, else copies."""
        row_weight = None if self._row_weight is None else self._row_weight[rows]
        if self._is_sparse:
            if self.params.members:
                return [self._X[member] for member in rows], self.target[rows], row_weight
            return self._take_sparse(rows), self.target[rows], row_weight
        if isinstance(rows, slice):
            return self._X[rows], self.target[rows], row_weight
        return self._X.take(rows, axis=0), self.target.take(rows, axis=0), row_weight

    def hessp(self, direction, gauss_newton=False, moved=True):
        """The product of F's Hessian on all rows, at ``params``, with a direction.

        Parameters
        ----------
        direction : ndarray of shape (n_parameters,)
            v.
        gauss_newton : bool, default=False
            Whether to take the Gauss-Newton matrix J' H_loss J in place of the Hessian.
        moved : bool, default=True
            False says that ``params`` and `gauss_newton` are as at the last call: what does not depend on the direction
            may then be used again.

        Returns
        -------
        product : ndarray of shape (n_parameters,)
            H v, overwritten by the next call.
        """
        if self._curvature is None:
            self._curvature = _Curvature(self.params, self._activations, self.n_rows, self._chunk_rows)
        work = self._curvature
        np.copyto(work.direction.vector, direction)
        weight_sum = self._weight_sum(slice(None))
        for k, chunk in enumerate(_chunks(slice(None), self.n_rows, self._chunk_rows)):
            into = work.product if k == 0 else self._room_for_chunk()
            tape, tangent = work.tapes_for(k, chunk)
            if moved or not work.keeps_tapes:
                self._linearize(chunk, weight_sum, tape)
            self._tangent_sweep(chunk, weight_sum, tape, tangent, into, work, gauss_newton)
            if k > 0:
                work.product.vector += into.vector
        if self._alpha is not None:
            work.product.weight_vector += self._penalty_product(work.direction, weight_sum)
        return work.product.vector

    def _sweep(self, rows, weight_sum, gradient, only_columns):
        """Steps 1 to 4 of backpropagation on one chunk: its share of F's loss term, whose gradient is written."""
        tape = self._tape_for(rows)
        if self._dropout is not None:
            self._dropout.draw(tape)
        value = self._linearize(rows, weight_sum, tape)
        self.columns = self._few_columns(tape.a[0]) if only_columns else None
        parameter_gradient(tape, gradient, self.columns)  # step 4
        return value

    def _few_columns(self, X):
        """The features that occur in rows, if they are few and the gradient is 0 for the others; else None."""
        if not self._is_sparse or self.params.members or self._alpha is not None or X.nnz > FEW_ELEMENTS * X.shape[1]:
            return None
        return np.flatnonzero(np.bincount(X.indices))

    def _linearize(self, rows, weight_sum, tape):
        """Fill the tape for some rows, deltas included; their share of F's loss term."""
        losses, row_weight = self._losses(rows, tape)
        delta = tape.delta[-1]
        if row_weight is None:
            delta *= 1.0 / weight_sum
            value = np.add.reduce(losses, axis=-1, dtype=np.float64) / weight_sum  # (3)
        else:
            # The shares are in [0, 1], whatever the scale of the weights.
            share = row_weight / np.expand_dims(weight_sum, -1)
            delta *= share.astype(delta.dtype, copy=False)[..., None]
            value = np.add.reduce(losses * share, axis=-1)  # (3)
        backward(self.params.weights, self._activations, tape)  # step 3
        return value

    def _losses(self, rows, tape):
        """Each row's loss and weight; the loss's gradient by the logits is left on the tape."""
        X, target, row_weight = self._take(rows)
        logits = forward(self.params.weights, self.params.biases, self._activations, X, tape)  # step 1
        # step 2, which _linearize completes
        losses = self._loss.loss_gradient(logits, target, out=tape.delta[-1])  # (4)
        return losses, row_weight

    def tape(self):
        """What a forward and a backward pass over all rows leave at ``params``, on a tape of its own for tangents.

        Its ``z`` holds z_l of every layer, also where the activation has overwritten it on the way.
        """
        params, rows = self.params, slice(0, self.n_rows)
        tape = Tape(self.n_rows, params.units, params.vector.dtype, "tangent", _keep_z(self._activations))
        self._linearize(rows, self._weight_sum(rows), tape)
        # To the layers up to l, and no others, z_l are the logits.
        for end in range(1, len(params.weights)):
            below = params.weights[:end], params.biases[:end], self._activations[: end - 1]
            tape.z[end] = np.concatenate([z for _, z in plain_logits(*below, self._X)])
        return tape

    def row_losses(self, rows):
        """Each row's loss at ``params``, without weights, penalty or dropout.

        Parameters
        ----------
        rows : ndarray of int of shape (*members, n_rows)

        Returns
        -------
        losses : ndarray of shape (*members, n_rows)
        """
        chunks = _chunks(rows, self.n_rows, self._chunk_rows)
        with self.blas_threads():
            return np.concatenate([self._losses(chunk, self._tape_for(chunk))[0] for chunk in chunks], axis=-1)

    def is_finite(self):
        """Whether F is finite at ``params``: whether the logits of all rows leave room below the largest number.

        Two bounds spare a forward pass where the parameters are of ordinary size. With N the norm of all parameters, the
        norm of z_l is at most N (norm of a_{l-1} + 1), and that of a_l at most what `LINEAR_GROWTH` says of it.

        Returns
        -------
        finite : bool, or ndarray of bool of shape (n_members,)
        """
        vector = self.params.vector
        norm = np.sqrt(np.vecdot(vector, vector)).astype(np.float64)
        bounded = self._bound_of_logits(norm) < ROOM * float(np.finfo(vector.dtype).max)
        if not self.params.members:
            return bool(bounded) or self._seen_finite(self.params)
        if bounded.all():
            return bounded
        return np.array([known or self._seen_finite(self.params.member(i)) for i, known in enumerate(bounded)])

    def _bound_of_logits(self, norm):
        """A bound on all sums and activations of all rows, from the norm of the parameters."""
        if not all(activation.grows_linearly for activation in self._activations):
            return np.full_like(norm, np.inf)
        if self._row_size is None:
            self._row_size = _largest(self._X) * self._X.shape[1] ** 0.5
        factor, constant = LINEAR_GROWTH
        size = bound = self._row_size
        for width in self.params.units[1:]:
            z = norm * (size + 1.0)
            size = factor * z + constant * width**0.5
            bound = np.maximum(bound, size)
        return bound

    def _seen_finite(self, params):
        """Whether a forward pass over all rows with these parameters, of one network, gives finite logits."""
        if not np.isfinite(params.vector).all():
            return False
        with self.blas_threads():
            chunks = plain_logits(params.weights, params.biases, self._activations, self._X)
            limit = ROOM * float(np.finfo(params.vector.dtype).max)
            return all((np.abs(logits) <= limit).all() for _, logits in chunks)

    def _tangent_sweep(self, rows, weight_sum, tape, tangent, product, work, gauss_newton):
        """One chunk's share of H v, from the tape that `_linearize` filled."""
        weights = self.params.weights
        logits_tangent = forward_tangent(weights, tape, work.direction, tangent)
        delta_tangent = (tape if gauss_newton else tangent).delta[-1]
        self._loss.hessian_product(tape.a[-1], logits_tangent, out=delta_tangent)  # (10)
        if self._row_weight is None:
            delta_tangent *= 1.0 / weight_sum
        else:
            delta_tangent *= (self._row_weight[rows] / weight_sum).astype(delta_tangent.dtype, copy=False)[:, None]
        if gauss_newton:
            backward(weights, self._activations, tape)
            parameter_gradient(tape, product)
        else:
            backward_tangent(weights, self._activations, tape, work.direction, tangent, product, work.room)

    def _add_penalty(self, weight_sum):
        """The penalty of (3); its gradient, the second term of (6), is added to ``gradient``."""
        if self._alpha is None:
            return 0.0
        penalty_gradient = self._penalty_product(self.params, weight_sum)
        self.gradient.weight_vector += penalty_gradient
        return 0.5 * np.vecdot(self.params.weight_vector, penalty_gradient)

    def _penalty_product(self, vector, weight_sum):
        """The penalty's Hessian, alpha_l / S on the diagonal, times the weights of `vector`."""
        limit = _largest_strength(self._penalty_products.dtype)
        if isinstance(self._alpha, float) and isinstance(weight_sum, float):
            strength = min(self._alpha / weight_sum, limit)
        else:
            strength = np.minimum(self._alpha / np.expand_dims(weight_sum, -1), limit)
            strength = strength.astype(self._penalty_products.dtype, copy=False)
        return np.multiply(vector.weight_vector, strength, out=self._penalty_products)

    def _tape_for(self, rows):
        n_rows = _length(rows)
        if self._tape is None or self._tape.n_rows < n_rows:
            self._tape = Tape(
                n_rows,
                self.params.units,
                self.params.vector.dtype,
                keeps_z=_keep_z(self._activations),
                drops=self._dropout.layers if self._dropout is not None else (),
                members=self.params.members,
            )
        return self._tape.head(n_rows)

    def _room_for_chunk(self):
        if self._chunk_gradient is None:
            self._chunk_gradient = self.params.like()
        return self._chunk_gradient


class ObjectiveFunction:
    """F as a function of one float64 vector theta, as an optimiser calls it.

    It keeps the data by reference and what it last computed: X, y and the weights must not be changed meanwhile. Where F is
    beyond the largest number, it is inf or nan, without a warning.

    Parameters
    ----------
    objective : Objective
        Its rows are all used in every call. It computes in its own type, float32 maybe; theta and what is returned are
        float64.
    hessian : {"exact", "gauss-newton"}, default="exact"
        What `hessp` multiplies by: F's Hessian, or its Gauss-Newton approximation J' H_loss J plus the penalty's, which is
        positive semi-definite.
    classifier_at : callable (Parameters) -> estimator, default=None
        What `with_theta` calls.

    Attributes
    ----------
    theta0 : ndarray of shape (n_parameters,)
        Where training starts from: weights layer by layer, each (fan_in, fan_out) in C order, and then biases.
    n_evaluations : int
        How often F and its gradient have been computed.
    n_products : int
        How often a product with the Hessian has been computed.
    """

    def __init__(self, objective, hessian="exact", classifier_at=None):
        self._objective = objective
        self._gauss_newton = hessian == "gauss-newton"
        self._classifier_at = classifier_at
        self.theta0 = objective.params.vector.astype(np.float64)
        self.n_evaluations = 0
        self.n_products = 0
        # Compared with the vectors that are passed: their float32 casts may agree where they do not.
        self._theta_of_value = np.full_like(self.theta0, np.nan)
        self._theta_of_products = np.full_like(self.theta0, np.nan)
        self._value = np.nan

    def value(self, theta):
        """F(theta), a float. The gradient is computed with it, and at hand if asked for next."""
        return self.value_and_gradient(theta)[0]

    def gradient(self, theta):
        """The gradient of F at theta, an ndarray of shape (n_parameters,)."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta):
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
            # Until it is done, what is at hand belongs to no theta: an interrupt may come at any moment.
            self._theta_of_value[:] = np.nan
            with self._objective.blas_threads(), np.errstate(all="ignore"):
                np.copyto(self._objective.params.vector, theta)
                self._value = self._objective.value_and_gradient()
            np.copyto(self._theta_of_value, theta)
            self.n_evaluations += 1
        # A copy: SciPy's methods keep the gradients they are given, and compare them with later ones.
        return self._value, self._objective.gradient.vector.astype(np.float64)

    def hessp(self, theta, v):
        """The product of the Hessian of F at theta with a vector.

        Parameters
        ----------
        theta, v : array-like of shape (n_parameters,)

        Returns
        -------
        product : ndarray of shape (n_parameters,)
        """
        theta, v = self._checked(theta, "theta"), self._checked(v, "v")
        # Trust-region methods ask at the former theta again after a step that they rejected: what is at hand is known by
        # its theta, not by the order of the calls.
        moved = not np.array_equal(theta, self._theta_of_products)
        self._theta_of_products[:] = np.nan
        with self._objective.blas_threads(), np.errstate(all="ignore"):
            np.copyto(self._objective.params.vector, theta)
            product = self._objective.hessp(v, self._gauss_newton, moved).astype(np.float64)
        np.copyto(self._theta_of_products, theta)
        self.n_products += 1
        return product

    def tape(self, theta):
        """What a forward and a backward pass over all rows leave behind at theta, layer by layer.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,)

        Returns
        -------
        tape : Tape
            With lists ``z``, ``a``, ``slope``, ``error`` and ``delta`` that have an entry for each layer 0..L, an array of
            shape (n_rows, units[l]): z_l and a_l = f(z_l), f'(z_l), and the derivatives of F by a_l and by z_l. It has
            memory of its own, for all rows at once.
        """
        theta = self._checked(theta, "theta")
        with self._objective.blas_threads(), np.errstate(all="ignore"):
            np.copyto(self._objective.params.vector, theta)
            return self._objective.tape()

    def hessian_operator(self, theta):
        """The Hessian of F at theta as a linear operator.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,)

        Returns
        -------
        operator : scipy.sparse.linalg.LinearOperator of shape (n_parameters, n_parameters)
        """
        theta = self._checked(theta, "theta").copy()
        size = theta.size

        def product(v):
            return self.hessp(theta, v)

        return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=np.float64)

    def with_theta(self, theta):
        """A fitted classifier with these parameters.

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
        return self._classifier_at(params)

    def _checked(self, vector, name):
        vector = np.asarray(vector)
        if vector.dtype.kind not in "fiub":
            raise TypeError(f"{name} must be a vector of real numbers; its type is {vector.dtype}.")
        vector = vector.astype(np.float64, copy=False).ravel()
        if vector.shape != self.theta0.shape:
            raise ValueError(f"{name} has {vector.size} elements; this network has {self.theta0.size} parameters.")
        return vector


class _Curvature:
    """The buffers of products with the Hessian."""

    def __init__(self, params, activations, n_rows, chunk_rows):
        self._units, self._dtype, self._keeps_z = params.units, params.vector.dtype, _keep_z(activations)
        self.direction, self.product, self.room = params.like(), params.like(), params.like()
        hidden = self._units[1:-1]
        kept_z = [width for width, keeps_z in zip(hidden, self._keeps_z, strict=True) if keeps_z]
        n_numbers = n_rows * (3 * sum(hidden) + 2 * sum(self._units[1:]) + sum(kept_z))
        self.keeps_tapes = n_numbers * self._dtype.itemsize <= KEPT_TAPES_BYTES
        self._tapes = [self._new_tape(min(n_rows, chunk_rows))]
        self._tangent = TangentTape(min(n_rows, chunk_rows), self._units, self._dtype)

    def tapes_for(self, k, rows):
        """A tape and a tangent tape for the k-th chunk."""
        if self.keeps_tapes and k == len(self._tapes):
            self._tapes.append(self._new_tape(_length(rows)))
        tape = self._tapes[k if self.keeps_tapes else 0]
        return tape.head(_length(rows)), self._tangent.head(_length(rows))

    def _new_tape(self, n_rows):
        return Tape(n_rows, self._units, self._dtype, passes="tangent", keeps_z=self._keeps_z)


def _keep_z(activations):
    return [activation.needs_z for activation in activations]


def _alpha_by_weight(alpha, params):
    """One number, an array with one for each weight, or None where there is no penalty."""
    if not np.any(alpha):
        return None
    if np.ndim(alpha) == 0:
        return float(alpha)
    by_weight = params.like()
    for weight, strength in zip(by_weight.weights, alpha, strict=True):
        weight.fill(min(strength, _largest_strength(weight.dtype)))
    return by_weight.weight_vector


@lru_cache
def _largest_strength(dtype):
    """alpha / S at the most: beyond it, all weights but 0 are out of the question, and products would overflow."""
    return float(np.finfo(dtype).max) ** 0.25


def _largest(X):
    """The largest absolute value of an array or CSR array."""
    values = X.data if issparse(X) else X
    step = CHUNK_ROWS if values.ndim == 2 else CHUNK_ROWS**2
    parts = [values[start : start + step] for start in range(0, len(values), step)]
    return max((float(max(part.max(), -part.min())) for part in parts if part.size), default=0.0)


def _length(rows):
    return rows.stop - rows.start if isinstance(rows, slice) else rows.shape[-1]


def _chunks(rows, n_rows, chunk_rows):
    """Split a selection of rows, a slice or an array of indices, into pieces of at most `chunk_rows`."""
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(n_rows)
        return [slice(i, min(i + chunk_rows, stop)) for i in range(start, stop, chunk_rows)]
    if rows.shape[-1] <= chunk_rows:
        return [rows]
    return [rows[..., i : i + chunk_rows] for i in range(0, rows.shape[-1], chunk_rows)]
