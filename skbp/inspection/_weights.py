"""What the units of the first layer look for: their weights as images, or as a heat map beside the features' names."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from skbp.inspection import _axes, _subject

# Of the side of an image, between two of them.
GAP = 0.15
# Names of more features or units than this are too close to read; ticks with numbers take their place.
MOST_NAMES = 40
# More images than this are too small to see.
MOST_IMAGES = 100
CHARACTER = 0.08  # inches, about

CONSTRAINTS: dict = {"vmax": [Interval(Real, 0, None, closed="neither"), None]}


class WeightsDisplay:
    """The weights of the first layer.

    With an image's shape each unit's weights are an image as its input is. Without one they are a column of a heat map,
    which has a row for each feature. In both, orange is positive, purple negative, and white 0, on one scale for all.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_units)
        W_1, a column for each unit.
    feature_names : list of str, default=None
        For the heat map.
    unit_names : list of str, default=None
        None numbers the units from 0.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of AxesImage
        An image for each unit drawn, or the heat map alone.
    titles_ : list of Text
        The name above each image; none of a heat map.
    colorbar_ : matplotlib Colorbar

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

    def __init__(self, weights, *, feature_names=None, unit_names=None):
        self.weights = weights
        self.feature_names = feature_names
        self.unit_names = unit_names

    @classmethod
    def from_estimator(
        cls, estimator, *, image_shape=None, units=None, feature_names=None, class_names=None, vmax=None, ax=None
    ):
        """Draw the first layer's weights of a fitted network.

        Parameters
        ----------
        estimator : BackpropClassifier, MLPClassifier, or a pipeline that ends in one
            Fitted. Of a BackpropClassifierCV, one of its `members_`.
        image_shape : tuple of (int, int), default=None
            Rows and columns of the images that the network was trained on, whose pixels, row by row, are its features. None
            draws a heat map.
        units : array-like of int, default=None
            Which units to draw, in this order; None draws all of a heat map and the first 100 images.
        feature_names : array-like of str of shape (n_features,), default=None
            None is the names that the steps of a pipeline give to the features, or `feature_names_in_` of the network, or
            x0, x1, ... where there are no names.
        class_names : array-like of str of shape (n_classes,), default=None
            The units' names where the network has no hidden layer, so that its first layer is the output; None is
            `classes_`.
        vmax : float, default=None
            The weight, positive or negative, of the deepest colour, above 0 and finite; None is the largest in absolute
            value of those drawn.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : WeightsDisplay

        Raises
        ------
        TypeError
            If the estimator is no network, or several, or an argument is of another type.
        ValueError
            If the shape does not fit the number of features, a unit is none of the layer's, the names are too many or too
            few, or `vmax` is out of range.
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

    def plot(self, ax=None, *, image_shape=None, units=None, vmax=None):
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        image_shape : tuple of (int, int), default=None
            Rows and columns of an image; None draws a heat map.
        units : array-like of int, default=None
            Which units to draw, in this order; None draws all of a heat map and the first 100 images.
        vmax : float, default=None
            The weight, positive or negative, of the deepest colour, above 0 and finite; None is the largest in absolute
            value of those drawn.

        Returns
        -------
        display : WeightsDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an argument is of another type.
        ValueError
            If the shape does not fit the number of features, a unit is none of the layer's, `vmax` is out of range, the
            names are too many or too few, or a weight is not finite.
        """
        _axes.pyplot("WeightsDisplay.plot")
        validate_parameter_constraints(CONSTRAINTS, {"vmax": vmax}, caller_name="WeightsDisplay.plot")
        n_features, n_units = self._checked_size()
        units = self._checked_units(units, n_units if image_shape is None else min(n_units, MOST_IMAGES))
        if vmax is None:
            vmax = float(np.abs(self.weights[:, units]).max()) or 1.0
        style = {"cmap": _axes.DIVERGING, "vmin": -vmax, "vmax": vmax, "interpolation": "nearest"}
        names = range(n_units) if self.unit_names is None else self.unit_names
        names = [str(names[unit]) for unit in units]
        if image_shape is None:
            self._draw_heat_map(ax, units, names, style)
        else:
            self._draw_images(ax, units, names, _checked_shape(image_shape, n_features), style)
        self.figure_ = self.ax_.figure
        self.colorbar_ = self.figure_.colorbar(self.images_[0], ax=self.ax_, label="weight", shrink=0.8)
        return self

    def _draw_images(self, ax, units, names, shape, style):
        """The images in rows, which together are about as high as wide."""
        height, width = shape
        gap = GAP * max(height, width)
        down, across = height + 1.8 * gap, width + gap
        n_columns = min(len(units), math.ceil(math.sqrt(len(units) * (height + gap) / across)))
        n_rows = math.ceil(len(units) / n_columns)
        side = min(1.0, 8.0 / max(n_columns, n_rows))
        size = 1.2 + side * n_columns, 0.4 + side * n_rows * down / across
        self.ax_ = _axes.axes("WeightsDisplay.plot", ax, np.maximum(size, [3.0, 2.0]))
        self.images_, self.titles_ = [], []
        for k, (unit, name) in enumerate(zip(units, names, strict=True)):
            left, top = (k % n_columns) * across, (k // n_columns) * down
            pixels = self.weights[:, unit].reshape(shape)
            self.images_.append(self.ax_.imshow(pixels, extent=(left, left + width, top + height, top), **style))
            title = self.ax_.text(left + width / 2, top - 0.1 * gap, name, ha="center", va="bottom", fontsize="x-small")
            self.titles_.append(title)
        self.ax_.set(xlim=(-gap / 2, n_columns * across - gap / 2), ylim=(n_rows * down - gap / 2, -1.3 * gap))
        self.ax_.set_axis_off()

    def _draw_heat_map(self, ax, units, names, style):
        n_features = len(self.weights)
        cell = 0.25 if len(units) > 12 else 0.5
        size = 3.0 + cell * min(len(units), MOST_NAMES), 1.2 + 0.25 * min(n_features, MOST_NAMES)
        self.ax_ = _axes.axes("WeightsDisplay.plot", ax, np.maximum(size, [4.0, 3.0]))
        self.images_, self.titles_ = [self.ax_.imshow(self.weights[:, units], aspect="auto", **style)], []
        self.ax_.set(xlabel="unit" if self.unit_names is None else "class", ylabel="feature")
        if len(units) <= MOST_NAMES:
            fits = CHARACTER * max(map(len, names)) < cell
            self.ax_.set_xticks(range(len(units)), names, rotation=0 if fits else 90)
        if n_features <= MOST_NAMES and self.feature_names is not None:
            self.ax_.set_yticks(range(n_features), self.feature_names)
            self.ax_.set_ylabel("")

    def _checked_size(self):
        """How many features and units there are, of weights and names that fit each other."""
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

    def _checked_units(self, units, n_shown):
        """Indices of the units to draw."""
        n_units = self.weights.shape[1]
        if units is None:
            return list(range(n_shown))
        if isinstance(units, str) or not np.iterable(units):
            raise TypeError(f"units={units!r} must be a list of some of 0 to {n_units - 1}, or None for all.")
        units = list(units)
        for unit in units:
            if not (_is_index(unit) and 0 <= int(unit) < n_units):
                raise ValueError(f"units has {unit!r}; the layer's units are 0 to {n_units - 1}.")
        if not units:
            raise ValueError(f"units is empty; give some of 0 to {n_units - 1}, or None for all.")
        return [int(unit) for unit in units]


def _is_index(value):
    """Whether it is an integer; a bool, of a mask, is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _checked_shape(image_shape, n_features):
    shape = tuple(image_shape) if np.iterable(image_shape) else ()
    are_sides = len(shape) == 2 and all(_is_index(side) and int(side) >= 1 for side in shape)
    if not are_sides or math.prod(map(int, shape)) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} does not fit: it must be two positive integers, rows and columns, whose product "
            f"is the number of features, {n_features}."
        )
    return int(shape[0]), int(shape[1])
