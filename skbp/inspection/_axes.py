"""Axes to draw on, and what all pictures have in common. matplotlib is imported here, and only when something is drawn."""

from __future__ import annotations

# Distinct also to those who do not tell red from green, on white and on black.
POSITIVE, NEGATIVE = "#e08214", "#8073ac"
# Of the same two hues, white where a weight is 0.
DIVERGING = "PuOr_r"


def pyplot(caller):
    """matplotlib.pyplot; an error says who needs it and how to have it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which comes with the extra plot: pip install 'skbp[plot]'."
        ) from error
    return plt


def check_axes(caller, ax):
    """Raise where the user's axes are none of matplotlib's."""
    if not isinstance(ax, pyplot(caller).Axes):
        raise TypeError(
            f"The 'ax' parameter of {caller} must be matplotlib Axes, such as plt.subplots() gives, or None. Got {ax!r} "
            "instead."
        )


def axes(caller, ax, figsize):
    """The user's axes, or those of a new figure of this size in inches."""
    if ax is None:
        return pyplot(caller).subplots(figsize=figsize, layout="constrained")[1]
    check_axes(caller, ax)
    return ax
