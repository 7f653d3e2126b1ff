"""The weights of a network's first layer, as images or as one heat map: the patterns that its units respond to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from skbp.inspection import _axes, _subject

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text
    from numpy.typing import ArrayLike, NDArray

    from skbp.inspection._subject import OneNetwork

# The distance between two images, as a share of an image's longer side.
GAP = 0.15
# More names than this on an axis are too close to read. The axis then has ticks with numbers.
MOST_NAMES = 40
# More images than this are too small to see.
MOST_IMAGES = 100
CHARACTER = 0.08  # the approximate width of a character in inches

CONSTRAINTS: dict = {"vmax": [Interval(Real, 0, None, closed="neither"), None]}


class WeightsDisplay:
    """The weights of the first layer.

    If the shape of the input images is given, the weights of each unit are drawn as such an image. Otherwise one heat map
    is drawn, with a row for each feature and a column for each unit. Positive weights are orange, negative ones purple, and
    a weight of 0 is white. All units share one scale.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_units)
        The weights W_1, one column for each unit.
    feature_names : list of str, default=None
        The names of the rows of the heat map. None numbers the features.
    unit_names : list of str, default=None
        The names of the units. None numbers them from 0.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure of the axes.
    images_ : list of AxesImage
        One image for each unit drawn, or only the heat map.
    titles_ : list of Text
        The name above each image; empty for a heat map.
    colorbar_ : matplotlib Colorbar
        The scale of the weights.

    See Also
    --------
    NetworkDisplay : The whole network.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import WeightsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = BackpropClassifier(16, learning_rate="cosine", max_iter=30, random_state=0).fit(X / 16, y)
    >>> display = WeightsDisplay.from_estimator(clf, image_shape=(8, 8))
    >>> len(display.images_), display.images_[0].get_array().shape
    (16, (8, 8))
    """

    weights: NDArray[np.floating]
    feature_names: Sequence[str] | None
    unit_names: Sequence[str] | None
    ax_: Axes
    figure_: Figure | Any  # a SubFigure, if the given axes are in one
    images_: list[AxesImage]
    titles_: list[Text]
    colorbar_: Colorbar

    def __init__(
        self,
        weights: NDArray[np.floating],
        *,
        feature_names: Sequence[str] | None = None,
        unit_names: Sequence[str] | None = None,
    ) -> None:
        self.weights = weights
        self.feature_names = feature_names
        self.unit_names = unit_names

    @classmethod
    def from_estimator(
        cls,
        estimator: OneNetwork,
        *,
        image_shape: tuple[int, int] | None = None,
        units: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        class_names: ArrayLike | None = None,
        vmax: float | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the first layer's weights of a fitted network.

        Parameters
        ----------
        estimator : BackpropClassifier, MLPClassifier, or a pipeline that ends in one
            The fitted network. For a BackpropClassifierCV, pass one of its `members_`.
        image_shape : tuple of (int, int), default=None
            The numbers of rows and columns of the images that the network was trained on. The features are their pixels,
            row by row. None draws a heat map.
        units : array-like of int, default=None
            The units to draw, in this order. None draws all units in a heat map, or the first 100 as images.
        feature_names : array-like of str of shape (n_features,), default=None
            The names of the features. None takes the names that the steps of a pipeline give to the features, or
            `feature_names_in_` of the network, or else x0, x1, ...
        class_names : array-like of str of shape (n_classes,), default=None
            The names of the units if the network has no hidden layer, so that its first layer is the output. None takes
            `classes_`.
        vmax : float, default=None
            The absolute weight with the deepest colour, positive and finite. None takes the largest absolute weight drawn.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : WeightsDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator is not a network, or has several, or another argument has the wrong type.
        ValueError
            If `image_shape` does not fit the number of features, the layer has no unit of a given number, there are too many
            or too few names, `vmax` is out of range, or a weight is not finite.
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        """
        network = _subject.fitted_network(estimator)
        names_of_outputs = _subject.names_of_outputs(network, class_names)
        display = cls(
            network.coefs_[0],
            feature_names=_subject.names_of_features(estimator, feature_names),
            unit_names=names_of_outputs if len(network.coefs_) == 1 else None,
        )
        return display.plot(ax, image_shape=image_shape, units=units, vmax=vmax)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        image_shape: tuple[int, int] | None = None,
        units: ArrayLike | None = None,
        vmax: float | None = None,
    ) -> Self:
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.
        image_shape : tuple of (int, int), default=None
            The numbers of rows and columns of an image. None draws a heat map.
        units : array-like of int, default=None
            The units to draw, in this order. None draws all units in a heat map, or the first 100 as images.
        vmax : float, default=None
            The absolute weight with the deepest colour, positive and finite. None takes the largest absolute weight drawn.

        Returns
        -------
        display : WeightsDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an argument has the wrong type.
        ValueError
            If `image_shape` does not fit the number of features, the layer has no unit of a given number, `vmax` is out of
            range, there are too many or too few names, or a weight is not finite.
        """
        _axes.pyplot("WeightsDisplay.plot")
        validate_parameter_constraints(CONSTRAINTS, {"vmax": vmax}, caller_name="WeightsDisplay.plot")
        n_features, n_units = self._checked_size()
        shown = self._checked_units(units, n_units if image_shape is None else min(n_units, MOST_IMAGES))
        if vmax is None:
            vmax = float(np.abs(self.weights[:, shown]).max()) or 1.0  # all weights may be 0
        style: dict[str, Any] = {"cmap": _axes.DIVERGING, "vmin": -vmax, "vmax": vmax, "interpolation": "nearest"}
        all_names = range(n_units) if self.unit_names is None else self.unit_names
        names = [str(all_names[unit]) for unit in shown]
        if image_shape is None:
            self._draw_heat_map(ax, shown, names, style)
        else:
            self._draw_images(ax, shown, names, _checked_shape(image_shape, n_features), style)
        self.figure_ = self.ax_.figure
        self.colorbar_ = self.figure_.colorbar(self.images_[0], ax=self.ax_, label="weight", shrink=0.8)
        return self

    def _draw_images(
        self, ax: Axes | None, units: Sequence[int], names: Sequence[str], shape: tuple[int, int], style: dict[str, Any]
    ) -> None:
        """Draw the images in rows, so that all together are about as high as wide."""
        height, width = shape
        gap = GAP * max(height, width)
        down, across = height + 1.8 * gap, width + gap  # there is a title above each image
        n_columns = min(len(units), math.ceil(math.sqrt(len(units) * (height + gap) / across)))
        n_rows = math.ceil(len(units) / n_columns)
        side = min(1.0, 8.0 / max(n_columns, n_rows))
        size = 1.2 + side * n_columns, 0.4 + side * n_rows * down / across
        self.ax_ = _axes.axes("WeightsDisplay.plot", ax, (max(size[0], 3.0), max(size[1], 2.0)))
        self.images_, self.titles_ = [], []
        for k, (unit, name) in enumerate(zip(units, names, strict=True)):
            left, top = (k % n_columns) * across, (k // n_columns) * down
            pixels = self.weights[:, unit].reshape(shape)
            self.images_.append(self.ax_.imshow(pixels, extent=(left, left + width, top + height, top), **style))
            title = self.ax_.text(left + width / 2, top - 0.1 * gap, name, ha="center", va="bottom", fontsize="x-small")
            self.titles_.append(title)
        self.ax_.set(xlim=(-gap / 2, n_columns * across - gap / 2), ylim=(n_rows * down - gap / 2, -1.3 * gap))
        self.ax_.set_axis_off()

    def _draw_heat_map(
        self, ax: Axes | None, units: Sequence[int], names: Sequence[str], style: dict[str, Any]
    ) -> None:
        n_features = len(self.weights)
        cell = 0.25 if len(units) > 12 else 0.5  # inches
        size = 3.0 + cell * min(len(units), MOST_NAMES), 1.2 + 0.25 * min(n_features, MOST_NAMES)
        self.ax_ = _axes.axes("WeightsDisplay.plot", ax, (max(size[0], 4.0), max(size[1], 3.0)))
        self.images_, self.titles_ = [self.ax_.imshow(self.weights[:, units], aspect="auto", **style)], []
        self.ax_.set(xlabel="unit" if self.unit_names is None else "class", ylabel="feature")
        if len(units) <= MOST_NAMES:
            # Names that are wider than a cell would overlap.
            fits = CHARACTER * max(map(len, names)) < cell
            self.ax_.set_xticks(range(len(units)), names, rotation=0 if fits else 90)
        if n_features <= MOST_NAMES and self.feature_names is not None:
            self.ax_.set_yticks(range(n_features), self.feature_names)
            self.ax_.set_ylabel("")

    def _checked_size(self) -> tuple[int, int]:
        """Check weights and names, and return the numbers of features and units."""
        if getattr(self.weights, "ndim", 0) != 2:
            raise ValueError(
                f"weights must be an ndarray of shape (n_features, n_units); its shape is {np.shape(self.weights)}."
            )
        _subject.check_finite(self.weights, "An element of weights is")
        n_features, n_units = self.weights.shape
        if self.feature_names is not None:
            _subject.checked_names(self.feature_names, n_features, "feature_names", f"weights has {n_features} rows")
        if self.unit_names is not None:
            _subject.checked_names(self.unit_names, n_units, "unit_names", f"weights has {n_units} columns")
        return n_features, n_units

    def _checked_units(self, units: Any, n_shown: int) -> list[int]:
        """Check the units to draw, and return their indices; by default the first `n_shown`."""
        n_units = self.weights.shape[1]
        if units is None:
            return list(range(n_shown))
        if isinstance(units, str) or not np.iterable(units):
            raise TypeError(f"units={units!r} must be a list of numbers from 0 to {n_units - 1}, or None.")
        units = list(units)
        for unit in units:
            if not (_is_index(unit) and 0 <= int(unit) < n_units):
                raise ValueError(f"units has {unit!r}; the layer's units are 0 to {n_units - 1}.")
        if not units:
            raise ValueError(f"units is empty: pass numbers from 0 to {n_units - 1}, or None.")
        return [int(unit) for unit in units]


def _is_index(value: object) -> bool:
    """Whether a value is an integer; a bool is not one, since a mask of units is not a list of indices."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _checked_shape(image_shape: Any, n_features: int) -> tuple[int, int]:
    shape = tuple(image_shape) if np.iterable(image_shape) else ()
    are_sides = len(shape) == 2 and all(_is_index(side) and int(side) >= 1 for side in shape)
    if not are_sides or math.prod(map(int, shape)) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} does not fit: it must be two positive integers, (rows, columns), and "
            f"rows * columns must be the number of features, {n_features}."
        )
    return int(shape[0]), int(shape[1])
