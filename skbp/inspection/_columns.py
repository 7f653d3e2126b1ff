"""The places of a layer's units in the drawing of a network: one column for each layer.

Lengths are in units of the distance between two neighbours of a column. The y-axis points up.
"""

from __future__ import annotations

import numpy as np

GAP = 1.6  # between the units above and below the units that are left out
DOTS_APART = 0.22
BIAS_APART = 1.3


def shown_units(width: int, max_units: int) -> list[int]:
    """The numbers of the units of a layer that are drawn: all, or the first and the last ones."""
    if width <= max_units:
        return list(range(width))
    return [*range((max_units + 1) // 2), *range(width - max_units // 2, width)]


class Column:
    """The place of a layer in the drawing.

    Parameters
    ----------
    x : float
        Its place on the x-axis.
    units : list of int
        The numbers of the units drawn.
    width : int
        The number of units of the layer.
    bias : bool
        Whether it has a unit with constant value 1.

    Attributes
    ----------
    y : ndarray of shape (len(units),)
        The places of the units drawn on the y-axis, from the top.
    dots : ndarray of shape (3,) or (0,)
        The places of the dots that stand for the units left out.
    bias_y : float or None
        The place of the unit with constant value 1.
    top : float
        The place of the topmost unit.
    """

    bias_y: float | None
    top: float

    def __init__(self, x: float, units: list[int], width: int, bias: bool) -> None:
        self.x, self.units, self.width = x, units, width
        self.y, self.dots = -np.arange(len(units), dtype=np.float64), np.zeros(0)
        if len(units) < width:
            below = (len(units) + 1) // 2
            self.y[below:] -= GAP - 1.0
            self.dots = self.y[below - 1] - GAP / 2 + DOTS_APART * np.arange(1, -2, -1)
        # Columns are centred at 0 without their bias unit, so that layers of the same width are level.
        middle = self.y[-1] / 2
        self.y, self.dots = self.y - middle, self.dots - middle
        self.bias_y = float(self.y[0]) + BIAS_APART if bias else None
        self.top = float(self.y[0]) if self.bias_y is None else self.bias_y
