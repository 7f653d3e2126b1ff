"""The objective as a sum over partitions.

F is a mean over rows: F(theta) = sum_p F_p(theta) + penalty, where F_p sums over the rows of partition p and divides by S of
all rows. So are its gradient and H v. A worker computes F_p where the partition lies. In each step one vector of parameters
travels to the workers, and one vector comes back. The partial sums are added in a tree.
"""

from __future__ import annotations

import numpy as np

from skbp._distributed.partition import Network, hessian_product, value_and_gradient


class SummedObjective:
    """An `Objective` that computes with all partitions at once. Its calls take no batches but those of all rows.

    Parameters
    ----------
    objective : Objective
        Without dropout.
    rows : PartitionedRows
    """

    uses_core = False

    def __init__(self, objective, rows):
        self._objective, self._rows = objective, rows
        self._network = Network(objective)
        self.params, self.gradient, self.penalty = objective.params, objective.gradient, objective.penalty
        self.activations, self.loss = objective.activations, objective.loss

    def value_and_gradient(self, batches):  # noqa: ARG002
        """F on all rows. Its gradient goes to ``gradient``."""
        total = self._rows.total
        value, gradient = self._rows.summed(value_and_gradient, self._network, self.params.vector.copy(), total)
        np.copyto(self.gradient.vector, gradient)
        if self.penalty:
            value += float(self.penalty.add_to(self.gradient, self.params, total))
        return float(value)

    def hessian_on(self, batches):  # noqa: ARG002
        """What multiplies by the Hessian on all rows: this object."""
        return self

    def product(self, direction, gauss_newton=False, moved=True):  # noqa: ARG002, partitions keep nothing
        """H v on all rows, as `Curvature.product` gives it."""
        v, theta, total = self.params.like(), self.params.vector.copy(), self._rows.total
        np.copyto(v.vector, direction)
        (product,) = self._rows.summed(hessian_product, self._network, theta, v.vector, total, gauss_newton)
        if self.penalty:
            product[: v.weight_vector.size] += self.penalty.product(v, total)
        return product

    def row_losses(self, batches):
        """As `Objective.row_losses`, computed here."""
        return self._objective.row_losses(batches)

    def is_finite(self, rows):
        """As `Objective.is_finite`."""
        return self._objective.is_finite(rows)
