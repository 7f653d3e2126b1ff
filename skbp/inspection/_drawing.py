"""A drawing of a network: one column of discs for each layer, and one line for each weight between two layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from skbp.inspection import _axes, _subject
from skbp.inspection._columns import Column, shown_units

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle
    from matplotlib.text import Text
    from matplotlib.typing import ColorType
    from numpy.typing import ArrayLike, NDArray

    from skbp.inspection._subject import OneNetwork

# Lengths in units of the distance between two neighbours of a column.
RADIUS = 0.32
DOT_RADIUS = 0.06
NEAREST_COLUMNS = 3.5
COLUMNS_APART = 0.6  # for each unit of the tallest column
NAMES_APART = 0.2  # from the discs
HEADINGS_APART = 0.5
# Lengths in inches.
UNIT_SIZE = 0.4
LEAST_UNIT_SIZE = 0.05
LEGEND_WIDTH, LEGEND_HEIGHT = 3.5, 0.35
# Widths in points.
WIDEST_LINE = 3.5
THINNEST_LINE = 0.3
# The opacity of a weight of 0, between 0 and 1.
LEAST_OPAQUE = 0.15

CONSTRAINTS: dict = {"max_units": [Interval(Integral, 2, None, closed="left")], "biases": ["boolean"]}


class NetworkDisplay:
    """A drawing of a network: discs are units, and lines are weights.

    Orange lines are positive weights, and purple lines are negative ones. The width and opacity of a line grow with the
    absolute value of the weight, relative to the largest one drawn between the same two layers. A wide layer is drawn by
    its first and last units, with three dots between them.

    Parameters
    ----------
    coefs : list of ndarray of shape (fan_in, fan_out)
        The weights of each layer.
    intercepts : list of ndarray of shape (fan_out,), default=None
        The biases of each layer. None if they are not to be drawn.
    feature_names : list of str
        The names of the inputs.
    class_names : list of str
        The names of the output units.
    activations : list of str, default=None
        The activation of each layer except the input, for the headings. None leaves them out.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure of the axes.
    units_ : list of list of Circle
        For each layer, from the input to the output, the discs of the units drawn, from top to bottom.
    shown_ : list of list of int
        For each layer the numbers of these units.
    dots_ : list of list of Circle
        For each layer the three dots that stand for the units left out; empty if all units are drawn.
    edges_ : list of LineCollection
        For each layer of weights its lines, in ascending order of absolute value, so that large weights lie on top.
    bias_units_ : list of Circle
        If `biases` is True, for each layer except the output the disc of the unit with constant value 1; otherwise empty.
    labels_ : dict of list of Text
        The texts drawn: "features" and "classes" are the names, "layers" are the headings.

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

    coefs: Sequence[NDArray[np.floating]]
    intercepts: Sequence[NDArray[np.floating]] | None
    feature_names: Sequence[str]
    class_names: Sequence[str]
    activations: Sequence[str] | None
    ax_: Axes
    figure_: Figure | Any  # a SubFigure, if the given axes are in one
    units_: list[list[Circle]]
    shown_: list[list[int]]
    dots_: list[list[Circle]]
    edges_: list[LineCollection]
    bias_units_: list[Circle]
    labels_: dict[str, list[Text]]

    def __init__(
        self,
        coefs: Sequence[NDArray[np.floating]],
        intercepts: Sequence[NDArray[np.floating]] | None = None,
        *,
        feature_names: Sequence[str],
        class_names: Sequence[str],
        activations: Sequence[str] | None = None,
    ) -> None:
        self.coefs = coefs
        self.intercepts = intercepts
        self.feature_names = feature_names
        self.class_names = class_names
        self.activations = activations

    @classmethod
    def from_estimator(
        cls,
        estimator: OneNetwork,
        *,
        feature_names: ArrayLike | None = None,
        class_names: ArrayLike | None = None,
        max_units: int = 12,
        biases: bool = False,
        colors: Sequence[ColorType] = ("tab:blue", "tab:red", "gold"),
        ax: Axes | None = None,
    ) -> Self:
        """Draw a fitted network.

        Parameters
        ----------
        estimator : BackpropClassifier, MLPClassifier, or a pipeline that ends in one
            The fitted network. For a BackpropClassifierCV, pass one of its `members_`.
        feature_names : array-like of str of shape (n_features,), default=None
            The names of the inputs. None takes the names that the steps of a pipeline give to the features, or
            `feature_names_in_` of the network, or else x0, x1, ...
        class_names : array-like of str of shape (n_classes,), default=None
            The names of the classes. None takes `classes_`. A single output unit gives the probability of the second of two
            classes, and has its name.
        max_units : int, default=12
            The largest number of units of a layer that are drawn, at least 2; see `plot`.
        biases : bool, default=False
            Whether to draw the biases; see `plot`.
        colors : tuple of three colours, default=("tab:blue", "tab:red", "gold")
            The colours of the input, hidden and output units.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : NetworkDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator is not a network, or has several, or another argument has the wrong type.
        ValueError
            If the number of names differs from the number of units, `max_units` is less than 2, `colors` are not three
            colours, or a weight is not finite.
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

    @np.errstate(all="ignore")  # the ratio of a very small weight to a large one may underflow
    def plot(
        self,
        ax: Axes | None = None,
        *,
        max_units: int = 12,
        biases: bool = False,
        colors: Sequence[ColorType] = ("tab:blue", "tab:red", "gold"),
    ) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure with a size that fits the network.
        max_units : int, default=12
            The largest number of units of a layer that are drawn, at least 2. If a layer has more units, half of those
            drawn are its first units, and the other half are its last units.
        biases : bool, default=False
            Whether to draw the biases. They are drawn as the weights of a unit with constant value 1, above each layer
            except the output.
        colors : tuple of three colours, default=("tab:blue", "tab:red", "gold")
            The colours of the input, hidden and output units.

        Returns
        -------
        display : NetworkDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an argument has the wrong type.
        ValueError
            If `max_units` is less than 2, `colors` are not three colours, `biases` is True and the display has no
            intercepts, the number of names differs from the number of units, or a weight is not finite.
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

    def _check_network(self, biases: bool) -> None:
        """Raise ValueError if a weight is not finite, a name is missing, or there are no biases to draw."""
        if biases and self.intercepts is None:
            raise ValueError(
                "biases=True needs intercepts, but this display has none: pass intercepts to NetworkDisplay."
            )
        # The constructor stores its arguments unchecked, as in scikit-learn's displays.
        for coef in [*self.coefs, *([] if self.intercepts is None else self.intercepts)]:
            _subject.check_finite(coef, "An element of coefs or intercepts is")
        n_features, n_outputs = len(self.coefs[0]), self.coefs[-1].shape[1]
        _subject.checked_names(self.feature_names, n_features, "feature_names", f"coefs[0] has {n_features} rows")
        _subject.checked_names(self.class_names, n_outputs, "class_names", f"coefs[-1] has {n_outputs} columns")

    def _columns(self, max_units: int, biases: bool) -> list[Column]:
        """Place the units of each layer."""
        widths = [len(self.coefs[0]), *(coef.shape[1] for coef in self.coefs)]
        self.shown_ = [shown_units(width, max_units) for width in widths]
        # Tall columns stand further apart, so that the lines between them do not become too steep.
        tallest = max(map(len, self.shown_))
        apart = max(NEAREST_COLUMNS, COLUMNS_APART * tallest)
        return [
            Column(layer * apart, units, width, biases and layer < len(widths) - 1)
            for layer, (units, width) in enumerate(zip(self.shown_, widths, strict=True))
        ]

    def _draw_units(self, columns: Sequence[Column], colors: Sequence[ColorType]) -> None:
        from matplotlib.patches import Circle

        def disc(place: tuple[float, float], color: ColorType, radius: float = RADIUS, outline: float = 0.8) -> Circle:
            circle = Circle(place, radius, facecolor=color, edgecolor="0.25", linewidth=outline, zorder=3)
            self.ax_.add_patch(circle)
            return circle

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

    def _draw_edges(self, columns: Sequence[Column]) -> None:
        from matplotlib.collections import LineCollection

        self.edges_ = []
        for layer, (left, right) in enumerate(pairwise(columns)):
            starts, ends = left.y, right.y
            weights = self.coefs[layer][np.ix_(left.units, right.units)]
            if left.bias_y is not None and self.intercepts is not None:
                starts = np.append(starts, left.bias_y)
                weights = np.vstack([weights, self.intercepts[layer][right.units]])
            places = [[(left.x, y_left), (right.x, y_right)] for y_left in starts for y_right in ends]
            # matplotlib draws the lines in this order, so that the largest weights lie on top.
            order = np.argsort(np.abs(weights), axis=None, kind="stable")
            weights = weights.ravel()[order]
            size = np.abs(weights) / (np.abs(weights[-1]) or 1.0)  # all weights may be 0
            lines = LineCollection(
                [places[k] for k in order],
                colors=np.where(weights < 0.0, _axes.NEGATIVE, _axes.POSITIVE),
                linewidths=np.maximum(WIDEST_LINE * size, THINNEST_LINE),
                alpha=LEAST_OPAQUE + (1.0 - LEAST_OPAQUE) * size,
                zorder=1,
            )
            self.ax_.add_collection(lines)
            self.edges_.append(lines)

    def _draw_labels(self, columns: Sequence[Column]) -> None:
        """Write names beside the inputs and outputs, a heading above each column, and the legend of colours below."""
        from matplotlib.lines import Line2D

        beside = RADIUS + NAMES_APART
        first, *_, last = columns
        top = max(column.top for column in columns)

        def text(x: float, y: float, string: str, **kwargs: Any) -> Text:
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

    def _fit(self, columns: Sequence[Column], resize: bool) -> None:
        """Set the limits of the axes so that the drawing and its texts fit.

        The size of a text in inches is fixed, but the size of a unit is not. If `resize` is True, a unit is `UNIT_SIZE`
        inches, and the figure becomes as large as necessary. Otherwise the units are scaled to fit in the given axes.
        """
        dpi = self.figure_.dpi

        def inches(texts: Sequence[Text], side: str) -> float:
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
            # Axes that are too small for the texts must still have valid limits.
            unit = max(min(fits), LEAST_UNIT_SIZE)
        self.ax_.set_xlim(-beside - left / unit, columns[-1].x + beside + right / unit)
        self.ax_.set_ylim(bottom - RADIUS - LEGEND_HEIGHT / unit, top + over + above / unit)
        self.ax_.set_aspect("equal")

    def _headings(self, columns: Sequence[Column]) -> list[str]:
        """For each column its name, its activation and its number of units."""
        n_hidden = len(columns) - 2
        hidden = ["hidden"] if n_hidden == 1 else [f"hidden {i}" for i in range(1, n_hidden + 1)]
        names = ["input", *hidden, "output"]
        activations = ["", *(self.activations or [""] * (n_hidden + 1))]
        return [
            "\n".join(filter(None, [name, activation, _count(column.width, "feature" if name == "input" else "unit")]))
            for name, activation, column in zip(names, activations, columns, strict=True)
        ]


def _check_colors(colors: Any) -> None:
    from matplotlib.colors import is_color_like

    listed = list(colors) if np.iterable(colors) and not isinstance(colors, str) else []
    if len(listed) != 3 or not all(map(is_color_like, listed)):
        raise ValueError(
            f"colors={colors!r} must be three colours that matplotlib knows, for the input, hidden and output units."
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)
