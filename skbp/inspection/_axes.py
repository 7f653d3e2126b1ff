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


def axes(caller, ax, figsize):
    """The user's axes, or those of a new figure of this size in inches."""
    plt = pyplot(caller)
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax
