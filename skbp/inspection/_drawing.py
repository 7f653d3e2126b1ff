"""A network drawn: units in columns, layer by layer, with a line for each weight between them."""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from skbp.inspection import _axes, _subject

# In units of the distance between two neighbours of a column.
RADIUS = 0.32
GAP = 1.6  # between the units above and below those left out
DOTS_APART = 0.22
DOT_RADIUS = 0.06
BIAS_APART = 1.3
NEAREST_COLUMNS = 3.5
COLUMNS_APART = 0.6  # of the number of units in the tallest column
NAMES_APART = 0.2  # from the discs
HEADINGS_APART = 0.5
# Inches
UNIT_SIZE = 0.4
LEAST_UNIT_SIZE = 0.05
LEGEND_WIDTH, LEGEND_HEIGHT = 3.5, 0.35
# Points
WIDEST_LINE = 3.5
THINNEST_LINE = 0.3
LEAST_OPAQUE = 0.15

CONSTRAINTS: dict = {"max_units": [Interval(Integral, 2, None, closed="left")], "biases": ["boolean"]}


class NetworkDisplay:
    """A drawing of a network: its units as discs, its weights as lines.

    A line is the wider and the more opaque the larger the weight is in absolute value, compared with the largest that is
    drawn between the same two layers; orange lines are positive weights, purple ones negative. Of a wide layer the first
    and the last units are drawn, with dots for those between.

    Parameters
    ----------
    coefs : list of ndarray
        Weights, the i-th of shape (fan_in, fan_out).
    intercepts : list of ndarray, default=None
        Biases, the i-th of shape (fan_out,); needed to draw these.
    feature_names : list of str
        Of the inputs.
    class_names : list of str
        Of the output units.
    activations : list of str, default=None
        Of each layer but the input, for the headings.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    units_ : list of list of Circle
        For each layer, from the input to the output, the units drawn, from the top to the bottom.
    shown_ : list of list of int
        For each layer which units these are.
    dots_ : list of list of Circle
        For each layer the three dots in place of the units left out, if there are any.
    edges_ : list of LineCollection
        For each layer of weights its lines, small weights first, so that large ones lie above them.
    bias_units_ : list of Circle
        With ``biases=True`` the unit of constant 1 beside each layer but the output.
    labels_ : dict of list of Text
        "features" and "classes", the names drawn; "layers", the headings.

    See Also
    --------
    WeightsDisplay : All weights of the first layer, as images or as one heat map.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import NetworkDisplay
    >>> iris = load_iris()
    >>> clf = BackpropClassifier(5, learning_rate="cosine", learning_rate_init=0.05, max_iter=50, random_state=0)
    >>> clf = clf.fit(iris.data, iris.target)
    >>> display = NetworkDisplay.from_estimator(
    ...     clf, feature_names=iris.feature_names, class_names=iris.target_names
    ... )
    >>> [len(units) for units in display.units_]
    [4, 5, 3]
    """

    def __init__(self, coefs, intercepts=None, *, feature_names, class_names, activations=None):
        self.coefs = coefs
        self.intercepts = intercepts
        self.feature_names = feature_names
        self.class_names = class_names
        self.activations = activations

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        feature_names=None,
        class_names=None,
        max_units=12,
        biases=False,
        colors=("tab:blue", "tab:red", "gold"),
        ax=None,
    ):
        """Draw a fitted network.

        Parameters
        ----------
        estimator : BackpropClassifier, MLPClassifier, or a pipeline that ends in one
            Fitted. Of a BackpropClassifierCV, one of its `members_`.
        feature_names : array-like of str of shape (n_features,), default=None
            None is the names that the steps of a pipeline give to the features, or `feature_names_in_` of the network, or
            x0, x1, ... where there are no names.
        class_names : array-like of str of shape (n_classes,), default=None
            None is `classes_`. A single output unit, whose output is the probability of the second of two classes, has the
            name of that.
        max_units : int, default=12
            The most units of a layer that are drawn, at least 2; see `plot`.
        biases : bool, default=False
            Whether to draw the biases; see `plot`.
        colors : tuple of three colours, default=("tab:blue", "tab:red", "gold")
            Of the input, hidden and output units.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        TypeError
            If the estimator is no network, or several, or an argument is of another type.
        ValueError
            If there are more or fewer names than units, `max_units` is less than 2, or `colors` are not three colours.
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        """
        network = _subject.fitted_network(estimator)
        display = cls(
            network.coefs_,
            network.intercepts_,
            feature_names=_subject.names_of_features(estimator, feature_names),
            class_names=_subject.names_of_outputs(network, class_names),
            activations=_subject.names_of_activations(network),
        )
        return display.plot(ax, max_units=max_units, biases=biases, colors=colors)

    @np.errstate(all="ignore")
    def plot(self, ax=None, *, max_units=12, biases=False, colors=("tab:blue", "tab:red", "gold")):
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure of a size that suits the network.
        max_units : int, default=12
            The most units of a layer that are drawn, at least 2: of more, as many, half of them the first ones and half of
            them the last.
        biases : bool, default=False
            Whether to draw the biases, as weights of a unit that is always 1 on top of each layer but the output.
        colors : tuple of three colours, default=("tab:blue", "tab:red", "gold")
            Of the input, hidden and output units.

        Returns
        -------
        display : NetworkDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an argument is of another type.
        ValueError
            If `max_units` is less than 2, `colors` are not three colours, there are no biases to draw, there are more or
            fewer names than units, or a weight is not finite.
        """
        _axes.pyplot("NetworkDisplay.plot")
        arguments = {"max_units": max_units, "biases": biases}
        validate_parameter_constraints(CONSTRAINTS, arguments, caller_name="NetworkDisplay.plot")
        _check_colors(colors)
        self._check_network(biases)
        columns = self._columns(max_units, biases)
        self.ax_ = _axes.axes("NetworkDisplay.plot", ax, (4.0, 3.0))
        self.figure_ = self.ax_.figure
        self._draw_units(columns, colors)
        self._draw_edges(columns)
        self._draw_labels(columns)
        self._fit(columns, resize=ax is None)
        self.ax_.set_axis_off()
        return self

    def _check_network(self, biases):
        """Weights are finite, and there is a name for each input and output, and biases if they are to be drawn."""
        if biases and self.intercepts is None:
            raise ValueError("biases=True needs intercepts, which this display was made without.")
        for coef in [*self.coefs, *([] if self.intercepts is None else self.intercepts)]:
            _subject.check_finite(coef, "An element of coefs or intercepts is")
        n_features, n_outputs = len(self.coefs[0]), self.coefs[-1].shape[1]
        _subject.checked_names(self.feature_names, n_features, "feature_names", f"coefs[0] has {n_features} rows")
        _subject.checked_names(self.class_names, n_outputs, "class_names", f"coefs[-1] has {n_outputs} columns")

    def _columns(self, max_units, biases):
        """Where the units of each layer are."""
        widths = [len(self.coefs[0]), *(coef.shape[1] for coef in self.coefs)]
        self.shown_ = [_shown(width, max_units) for width in widths]
        tallest = max(map(len, self.shown_))
        apart = max(NEAREST_COLUMNS, COLUMNS_APART * tallest)
        return [
            _Column(layer * apart, units, width, biases and layer < len(widths) - 1)
            for layer, (units, width) in enumerate(zip(self.shown_, widths, strict=True))
        ]

    def _draw_units(self, columns, colors):
        from matplotlib.patches import Circle

        def disc(place, color, radius=RADIUS, outline=0.8):
            return self.ax_.add_patch(
                Circle(place, radius, facecolor=color, edgecolor="0.25", linewidth=outline, zorder=3)
            )

        of_layer = [colors[0], *[colors[1]] * (len(columns) - 2), colors[2]]
        self.units_ = [
            [disc((column.x, y), color) for y in column.y] for column, color in zip(columns, of_layer, strict=True)
        ]
        self.dots_ = [[disc((column.x, y), "0.5", DOT_RADIUS, 0.0) for y in column.dots] for column in columns]
        self.bias_units_ = []
        for column in columns:
            if column.bias_y is not None:
                self.bias_units_.append(disc((column.x, column.bias_y), "white"))
                self.ax_.text(column.x, column.bias_y, "1", ha="center", va="center", color="black", zorder=4)

    def _draw_edges(self, columns):
        from matplotlib.collections import LineCollection

        self.edges_ = []
        for layer, (left, right) in enumerate(pairwise(columns)):
            starts, ends = left.y, right.y
            weights = self.coefs[layer][np.ix_(left.units, right.units)]
            if left.bias_y is not None:
                starts = np.append(starts, left.bias_y)
                weights = np.vstack([weights, self.intercepts[layer][right.units]])
            places = [[(left.x, y_left), (right.x, y_right)] for y_left in starts for y_right in ends]
            order = np.argsort(np.abs(weights), axis=None, kind="stable")
            weights = weights.ravel()[order]
            size = np.abs(weights) / (np.abs(weights[-1]) or 1.0)
            lines = LineCollection(
                [places[k] for k in order],
                colors=np.where(weights < 0.0, _axes.NEGATIVE, _axes.POSITIVE),
                linewidths=np.maximum(WIDEST_LINE * size, THINNEST_LINE),
                alpha=LEAST_OPAQUE + (1.0 - LEAST_OPAQUE) * size,
                zorder=1,
            )
            self.edges_.append(self.ax_.add_collection(lines))

    def _draw_labels(self, columns):
        """The names of inputs and outputs beside their units, above each column what it is, below what the colours mean."""
        from matplotlib.lines import Line2D

        beside = RADIUS + NAMES_APART
        first, *_, last = columns
        top = max(column.top for column in columns)

        def text(x, y, string, **kwargs):
            return self.ax_.text(x, y, string, **{"va": "center", **kwargs})

        self.labels_ = {
            "features": [
                text(first.x - beside, y, self.feature_names[unit], ha="right")
                for unit, y in zip(first.units, first.y, strict=True)
            ],
            "classes": [
                text(last.x + beside, y, self.class_names[unit], ha="left")
                for unit, y in zip(last.units, last.y, strict=True)
            ],
            "layers": [
                text(column.x, top + RADIUS + HEADINGS_APART, heading, ha="center", va="bottom")
                for column, heading in zip(columns, self._headings(columns), strict=True)
            ],
        }
        signs = {"positive weight": _axes.POSITIVE, "negative weight": _axes.NEGATIVE}
        handles = [Line2D([], [], color=color, linewidth=2, label=label) for label, color in signs.items()]
        self.ax_.legend(handles=handles, loc="lower center", ncols=2, frameon=False, borderpad=0)

    def _fit(self, columns, resize):
        """Set the limits of the axes so that names and headings, whose size is not that of the units, fit in."""
        dpi = self.figure_.dpi

        def inches(texts, side):
            return max((getattr(text.get_window_extent(), side) for text in texts), default=0.0) / dpi

        heading = inches(self.labels_["layers"], "width") / 2
        left, right = (max(inches(self.labels_[names], "width"), heading) for names in ("features", "classes"))
        above = inches(self.labels_["layers"], "height")
        top, bottom = max(column.top for column in columns), min(column.y[-1] for column in columns)
        beside, over = RADIUS + 2 * NAMES_APART, RADIUS + 2 * HEADINGS_APART
        width, height = columns[-1].x + 2 * beside, top - bottom + over + RADIUS
        if resize:
            unit = UNIT_SIZE
            across = max(unit * width + left + right, LEGEND_WIDTH)
            self.figure_.set_size_inches(across, unit * height + above + LEGEND_HEIGHT)
        else:
            box = self.ax_.get_window_extent()
            fits = (box.width / dpi - left - right) / width, (box.height / dpi - above - LEGEND_HEIGHT) / height
            unit = max(min(fits), LEAST_UNIT_SIZE)
        self.ax_.set_xlim(-beside - left / unit, columns[-1].x + beside + right / unit)
        self.ax_.set_ylim(bottom - RADIUS - LEGEND_HEIGHT / unit, top + over + above / unit)
        self.ax_.set_aspect("equal")

    def _headings(self, columns):
        n_hidden = len(columns) - 2
        hidden = ["hidden"] if n_hidden == 1 else [f"hidden {i}" for i in range(1, n_hidden + 1)]
        names = ["input", *hidden, "output"]
        activations = ["", *(self.activations or [""] * (n_hidden + 1))]
        return [
            "\n".join(filter(None, [name, activation, _count(column.width, "feature" if name == "input" else "unit")]))
            for name, activation, column in zip(names, activations, columns, strict=True)
        ]


class _Column:
    """A layer's place in the drawing.

    Attributes
    ----------
    x : float
    y : ndarray
        Of the units drawn, the first one on top.
    units : list of int
        Which ones they are.
    width : int
        How many units the layer has.
    dots : ndarray
        y of the dots in place of the units left out, if there are any.
    bias_y : float or None
        y of the unit that is always 1, if there is one.
    top : float
        y of the topmost unit.
    """

    def __init__(self, x, units, width, bias):
        self.x, self.units, self.width = x, units, width
        self.y, self.dots = -np.arange(len(units), dtype=np.float64), np.zeros(0)
        if len(units) < width:
            below = (len(units) + 1) // 2
            self.y[below:] -= GAP - 1.0
            self.dots = self.y[below - 1] - GAP / 2 + DOTS_APART * np.arange(1, -2, -1)
        middle = self.y[-1] / 2
        self.y, self.dots = self.y - middle, self.dots - middle
        self.bias_y = self.y[0] + BIAS_APART if bias else None
        self.top = self.y[0] if self.bias_y is None else self.bias_y


def _check_colors(colors):
    from matplotlib.colors import is_color_like

    listed = list(colors) if np.iterable(colors) and not isinstance(colors, str) else []
    if len(listed) != 3 or not all(map(is_color_like, listed)):
        raise ValueError(
            f"colors={colors!r} must be three colours that matplotlib knows: of the input, the hidden and the output units."
        )


def _shown(width, max_units):
    """The units of a layer that are drawn: all, or the first and the last."""
    if width <= max_units:
        return list(range(width))
    return [*range((max_units + 1) // 2), *range(width - max_units // 2, width)]


def _count(number, noun):
    return f"{number} {noun}" + "s" * (number != 1)
