"""Products of the objective's Hessian, or of its Gauss-Newton matrix, with vectors."""

from __future__ import annotations

import numpy as np

from skbp._network.equations import backward, backward_tangent, forward, forward_tangent, parameter_gradient
from skbp._network.losses import weigh
from skbp._network.tape import TangentTape

# Products at one point follow one another. If the tapes of all batches take no more memory than this, they are kept from
# one product to the next.
KEPT_TAPES_BYTES = 2**25


def linearize(objective, batch, tape):
    """Run steps 1 to 3 on one batch, without dropout. Derivatives along directions start from the tape that they fill."""
    params, activations = objective.params, objective.activations
    logits = forward(params.weights, params.biases, activations, batch.X, tape)
    losses = objective.loss.loss_gradient(logits, batch.target, out=tape.delta[-1])
    weigh(losses, tape.delta[-1], batch)
    backward(params.weights, activations, tape)


class Curvature:
    """Products H v of an objective's Hessian on fixed batches, at the objective's present parameters.

    Dropout takes no part.

    Parameters
    ----------
    objective : Objective
        The objective of one network.
    batches : sequence of Batch
    """

    def __init__(self, objective, batches):
        self._objective, self._batches = objective, batches
        params = objective.params
        self._direction, self._room = params.like(), params.like()
        self._product, self._share = params.like(), params.like()
        n_rows = [batch.n_rows for batch in batches]
        hidden = params.units[1:-1]
        kept_z = [width for width, record in zip(hidden, objective.activations, strict=True) if record.needs_z]
        width = 3 * sum(hidden) + 2 * sum(params.units[1:]) + sum(kept_z)
        if batches[0].rows.keeps_copies:
            width += params.units[0]
        n_numbers = sum(n_rows) * width
        self._keeps_tapes = n_numbers * params.vector.itemsize <= KEPT_TAPES_BYTES
        self._tapes = [objective.new_tape(max(n_rows), "tangent")]
        self._tangent = TangentTape(max(n_rows), params.units, params.vector.dtype)

    def product(self, direction, gauss_newton=False, moved=True):
        """The product of the Hessian with a direction.

        Parameters
        ----------
        direction : ndarray of shape (n_parameters,)
            v.
        gauss_newton : bool, default=False
            Whether to take the Gauss-Newton matrix J' H_loss J instead of the Hessian.
        moved : bool, default=True
            False says that the parameters and `gauss_newton` are those of the last call. Then everything that does not
            depend on the direction is used again.

        Returns
        -------
        product : ndarray of shape (n_parameters,)
            H v. The next call overwrites it.
        """
        np.copyto(self._direction.vector, direction)
        total = self._product
        for k, batch in enumerate(self._batches):
            tape = self._tape_for(k, batch)
            if moved or not self._keeps_tapes:
                linearize(self._objective, batch, tape)
            product = total if k == 0 else self._share
            self._tangent_passes(batch, tape, product, gauss_newton)
            if k > 0:
                total.vector += product.vector
        if self._objective.penalty:
            total.weight_vector += self._objective.penalty.product(self._direction, batch.total)
        return total.vector

    def _tape_for(self, k, batch):
        """The tape of the k-th batch."""
        if self._keeps_tapes and k == len(self._tapes):
            self._tapes.append(self._objective.new_tape(batch.n_rows, "tangent"))
        return self._tapes[k if self._keeps_tapes else 0].head(batch.n_rows)

    def _tangent_passes(self, batch, tape, product, gauss_newton):
        """Write the batch's share of H v, without the penalty."""
        weights, activations = self._objective.params.weights, self._objective.activations
        tangent = self._tangent.head(batch.n_rows)
        logits_tangent = forward_tangent(weights, tape, self._direction, tangent)
        delta_tangent = (tape if gauss_newton else tangent).delta[-1]
        self._objective.loss.hessian_product(tape.a[-1], logits_tangent, out=delta_tangent)  # (10)
        if batch.weight is None:
            delta_tangent *= 1.0 / batch.total
        else:
            delta_tangent *= (batch.weight / batch.total).astype(delta_tangent.dtype, copy=False)[:, None]
        if gauss_newton:
            backward(weights, activations, tape)
            parameter_gradient(tape, product)
        else:
            backward_tangent(weights, activations, tape, self._direction, tangent, product, self._room)
