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
        """Products with the Hessian on all rows."""
        return SummedCurvature(self)

    def hessian_product(self, direction, gauss_newton):
        """H v, without the penalty."""
        theta, total = self.params.vector.copy(), self._rows.total
        (product,) = self._rows.summed(hessian_product, self._network, theta, direction, total, gauss_newton)
        return product

    def penalty_product(self, direction):
        """The penalty's share of the weights in H v."""
        return self.penalty.product(direction, self._rows.total)

    def row_losses(self, batches):
        """As `Objective.row_losses`, computed here."""
        return self._objective.row_losses(batches)

    def is_finite(self, rows):
        """As `Objective.is_finite`."""
        return self._objective.is_finite(rows)


class SummedCurvature:
    """Products of the Hessian of a `SummedObjective`, as `Curvature` gives them."""

    def __init__(self, objective):
        self._objective = objective
        self._direction = objective.params.like()

    def product(self, direction, gauss_newton=False, moved=True):  # noqa: ARG002, partitions keep nothing
        np.copyto(self._direction.vector, direction)
        product = self._objective.params.like()
        np.copyto(product.vector, self._objective.hessian_product(self._direction.vector, gauss_newton))
        if self._objective.penalty:
            product.weight_vector += self._objective.penalty_product(self._direction)
        return product.vector
