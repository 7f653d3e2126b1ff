"""The objective: what training minimises, as a function of the parameters, with its gradient.

The objective knows the network: its layers, activations, loss and penalty. It does not know the data: each call takes the
batches that it runs on. It knows no solver either.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from skbp._network.compiled import objective_kernel
from skbp._network.curvature import Curvature
from skbp._network.equations import backward, forward, parameter_gradient
from skbp._network.finite import is_finite
from skbp._network.losses import weigh
from skbp._network.parameters import Gradient
from skbp._network.tape import Tape

# A sparse batch with more elements than this share of the number of features reaches most of them. Then it takes less time
# to write the derivatives by all weights of the first layer than to gather those of the features that occur.
FEW_ELEMENTS = 0.25


class Objective:
    r"""F(theta) = (1/S) sum_i s_i loss(z_i, y_i) + 1/(2S) sum_l alpha_l ||W_l||^2, with its gradient.

    The sums run over the rows of one call, and S is the sum of their weights s_i. So F is a mean over the rows, and the
    share of the penalty falls with their number. Biases are not penalised.

    A batch has the attributes `n_rows`, `X`, `target`, `weight` (s_i, or None for ones) and `total` (S). Several batches may
    make up one step. Each of them then has the S of all. The compiled core takes `rows` and `indices` in place of arrays:
    what the batch selects, and from where.

    Parameters
    ----------
    params : Parameters
        theta. Solvers write to ``params.vector``. Every call computes at its present values. For a stack there is an F for
        each member, and what is a float below is an array of n_members.
    activations : sequence of Activation
        One for each hidden layer.
    loss : Loss
    alpha : float or sequence of float
        alpha_l for all layers or for each layer of weights.
    dropout : Dropout, default=None
        Draws the units that a call of `value_and_gradient` leaves out. F is random then.
    skips_zeros : bool, default=False
        Whether `value_and_gradient` may leave derivatives that are 0 unwritten and say so in ``gradient.columns``. It does
        so for sparse rows with few different features, without a penalty.
    n_threads : int, default=0
        The most threads of the compiled core that share a batch. 0 means that NumPy computes, as it also does without the
        core and for activations and losses that the core does not know.

    Attributes
    ----------
    gradient : Gradient
        `value_and_gradient` writes it.
    penalty : Penalty
    """

    def __init__(self, params, activations, loss, alpha, dropout=None, *, skips_zeros=False, n_threads=0):
        self.params, self.activations, self.loss = params, activations, loss
        self.gradient = Gradient(params.units, params.vector.dtype, params.members)
        self.penalty = Penalty(alpha, params)
        self._dropout = dropout
        self._skips_zeros = skips_zeros and not (params.members or self.penalty)
        self._keeps_z = [activation.needs_z for activation in activations]
        self._tape = None
        self._further = None
        self._kernel = objective_kernel(self, n_threads)
        self._rows = None
        self._n_threads = n_threads

    @property
    def uses_core(self) -> bool:
        """Whether the compiled core computes."""
        return self._kernel is not None

    def value_and_gradient(self, batches):
        """F at ``params`` on the rows of some batches. Its gradient goes to ``gradient``.

        Parameters
        ----------
        batches : sequence of Batch
            At least one. Large data come in several, so that the activations of one stay in the processor's cache.

        Returns
        -------
        value : float
        """
        params, activations, gradient = self.params, self.activations, self.gradient
        gradient.columns = self._few_columns(batches) if self._skips_zeros else None
        if self._kernel is not None:
            return self._by_core(batches)
        value = 0.0
        for batch in batches:
            tape = self._tape_for(batch.n_rows)
            if self._dropout is not None:
                self._dropout.draw(tape)
            logits = forward(params.weights, params.biases, activations, batch.X, tape)  # step 1
            # step 2
            losses = self.loss.loss_gradient(logits, batch.target, out=tape.delta[-1])  # (4)
            value += weigh(losses, tape.delta[-1], batch)  # (3)
            backward(params.weights, activations, tape)  # step 3
            parameter_gradient(tape, gradient, self.gradient.columns)  # step 4
            if gradient is not self.gradient:
                self.gradient.vector += gradient.vector
            elif len(batches) > 1:
                gradient = self._gradient_of_further_batches()
        if self.penalty:
            value += self.penalty.add_to(self.gradient, params, batch.total)
        return value if params.members else float(value)

    def _by_core(self, batches):
        """The same by the compiled core."""
        kernel, value, further, few = self._kernel, 0.0, False, self.gradient.columns is not None
        for batch in batches:
            if batch.rows is not self._rows:
                self._bind(batch.rows)
            if self._dropout is not None:
                self._dropout.draw(self._tape_for(batch.n_rows), self._n_threads)
            elif self._tape is None or batch.n_rows > self._tape.n_rows:
                self._tape_for(batch.n_rows)
            value += kernel.value_and_gradient(batch.indices, batch.total, further, few)
            further = True
        return value if self.params.members else float(value)

    def _bind(self, rows):
        """Tell the kernel which rows its batches come from."""
        self._rows = None  # an interrupt may leave the kernel with a part of the new ones
        self._kernel.use_rows(rows.X, rows.target, rows.weight)
        self._rows = rows

    def row_losses(self, batches):
        """The loss of each row at ``params``, without weights and penalty. The objective must have no dropout.

        Returns
        -------
        losses : ndarray of shape (*members, n_rows)
        """
        losses = []
        for batch in batches:
            tape = self._tape_for(batch.n_rows)
            if self._kernel is None:
                logits = forward(self.params.weights, self.params.biases, self.activations, batch.X, tape)
                losses.append(self.loss.loss_gradient(logits, batch.target, out=tape.delta[-1]))
                continue
            if batch.rows is not self._rows:
                self._bind(batch.rows)
            losses.append(self._kernel.row_losses(batch.indices).copy())
        return np.concatenate(losses, axis=-1)

    def hessian_on(self, batches) -> Curvature:
        """Products with the Hessian on some batches."""
        return Curvature(self, batches)

    def is_finite(self, rows):
        """Whether F on all rows is finite at ``params``: see `finite.is_finite`."""
        return is_finite(self.params, self.activations, rows, self._n_threads)

    def new_tape(self, n_rows, passes="backward"):
        """A tape for a batch of this many rows."""
        drops = self._dropout.layers if self._dropout is not None and passes == "backward" else ()
        units, dtype = self.params.units, self.params.vector.dtype
        return Tape(n_rows, units, dtype, passes, self._keeps_z, drops, self.params.members)

    def _tape_for(self, n_rows):
        """The tape that all calls share, for a batch of this many rows."""
        if self._tape is None or self._tape.n_rows < n_rows:
            self._tape = None  # an interrupt may leave the kernel with a part of the new one
            tape = self.new_tape(n_rows)
            if self._kernel is not None:
                self._kernel.use_tape(tape)
            self._tape = tape
        return self._tape.head(n_rows)

    def _few_columns(self, batches):
        """The features that occur in one sparse batch, if they are few, else None."""
        if len(batches) > 1 or not batches[0].rows.sparse:
            return None
        X = batches[0].X
        if X.nnz > FEW_ELEMENTS * X.shape[1]:
            return None
        return np.flatnonzero(np.bincount(X.indices))

    def _gradient_of_further_batches(self):
        if self._further is None:
            self._further = self.gradient.like()
        return self._further


class Penalty:
    """The L2 penalty 1/(2S) sum_l alpha_l ||W_l||^2 and its derivatives. It is false if all alpha_l are 0.

    Parameters
    ----------
    alpha : float or sequence of float
        alpha_l for all layers or for each layer of weights, at least 0.
    params : Parameters
        Parameters with the shapes to penalise.

    Attributes
    ----------
    by_layer : list of float
        alpha_l of each layer.
    most : float
        alpha_l / S is taken as at most this. Beyond it no weight but 0 is possible, and products would overflow.
    """

    def __init__(self, alpha, params):
        self._products = params.like().weight_vector
        self.most = _largest_strength(self._products.dtype)
        self._alpha = None
        self.by_layer = [float(alpha)] * len(params.weights) if np.ndim(alpha) == 0 else list(map(float, alpha))
        if np.any(alpha):
            self._alpha = float(alpha) if np.ndim(alpha) == 0 else self._by_weight(alpha, params)

    def _by_weight(self, alpha, params):
        """An array with the strength of each weight."""
        by_weight = params.like()
        for weight, strength in zip(by_weight.weights, alpha, strict=True):
            weight.fill(min(strength, self.most))
        return by_weight.weight_vector

    def __bool__(self):
        return self._alpha is not None

    def product(self, vector, total):
        """The Hessian of the penalty, alpha_l / S on its diagonal, times the weights of `vector`.

        Parameters
        ----------
        vector : Parameters
        total : float, or ndarray of shape (n_members,)
            S.

        Returns
        -------
        product : ndarray of shape (*members, n_weights)
            The next call overwrites it.
        """
        if isinstance(self._alpha, float) and isinstance(total, float):
            strength = min(self._alpha / total, self.most)
        else:
            strength = np.minimum(self._alpha / np.expand_dims(total, -1), self.most)
            strength = strength.astype(self._products.dtype, copy=False)
        return np.multiply(vector.weight_vector, strength, out=self._products)

    def add_to(self, gradient, params, total):
        """Add the gradient of the penalty, the second term of (6). Return the penalty, the second term of (3)."""
        products = self.product(params, total)
        gradient.weight_vector += products
        return 0.5 * np.vecdot(params.weight_vector, products)


@lru_cache
def _largest_strength(dtype):
    return float(np.finfo(dtype).max) ** 0.25
