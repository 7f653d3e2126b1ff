"""The axes that a display draws on, and the colours of positive and negative weights.

matplotlib is an optional dependency: the displays import it through `pyplot`, and only when they draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Orange and purple: readers who cannot tell red from green can tell them apart, on white and on black.
POSITIVE, NEGATIVE = "#e08214", "#8073ac"
# A colour map of the same two hues; a weight of 0 is white.
DIVERGING = "PuOr_r"


def pyplot(caller: str) -> Any:
    """Import matplotlib.pyplot; the ImportError names the caller and the extra to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which comes with the extra plot: pip install 'skbp[plot]'."
        ) from error
    return plt


def check_axes(caller: str, ax: object) -> None:
    """Raise TypeError if `ax` is not matplotlib Axes."""
    if not isinstance(ax, pyplot(caller).Axes):
        raise TypeError(
            f"The 'ax' parameter of {caller} must be matplotlib Axes, such as plt.subplots() returns, or None. Got {ax!r} "
            "instead."
        )


def axes(caller: str, ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """Return the given axes, or the axes of a new figure of this width and height in inches."""
    if ax is None:
        return pyplot(caller).subplots(figsize=figsize, layout="constrained")[1]
    check_axes(caller, ax)
    return ax
