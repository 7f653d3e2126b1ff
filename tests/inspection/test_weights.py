"""WeightsDisplay: images of the weights of units, the heat map of the matrix, and one colour scale for all."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits, load_iris
from sklearn.neural_network import MLPClassifier

from skbp import BackpropClassifier
from skbp.inspection import WeightsDisplay
from skbp.inspection._weights import MOST_IMAGES, MOST_NAMES

X, y = load_digits(return_X_y=True)
IRIS = load_iris()

# The networks are trained for a few epochs only, to have weights.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Nothing was learned")


def digits(hidden_layer_sizes, cls=BackpropClassifier):
    return cls(hidden_layer_sizes, max_iter=1, random_state=0).fit(X[:200], y[:200])


def iris(hidden_layer_sizes=5):
    return BackpropClassifier(hidden_layer_sizes, max_iter=2, random_state=0).fit(IRIS.data, IRIS.target)


def titles(display):
    return [title.get_text() for title in display.titles_]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (64, 1)])
@pytest.mark.parametrize("cls", [BackpropClassifier, MLPClassifier])
def test_images_are_the_columns_of_the_first_layers_weights(cls, shape):
    clf = digits((7, 3), cls)
    display = WeightsDisplay.from_estimator(clf, image_shape=shape)
    assert len(display.images_) == 7
    for unit, image in enumerate(display.images_):
        assert_array_equal(image.get_array(), clf.coefs_[0][:, unit].reshape(shape))
    assert titles(display) == [str(unit) for unit in range(7)]


@pytest.mark.parametrize("shape", [(8, 8), (4, 16)])
def test_images_are_upright_with_square_pixels_and_do_not_overlap(shape):
    display = WeightsDisplay.from_estimator(digits(10), image_shape=shape)
    display.figure_.canvas.draw()
    boxes = [image.get_window_extent() for image in display.images_]
    for image, box in zip(display.images_, boxes, strict=True):
        left, right, bottom, top = image.get_extent()
        assert right > left
        # The axis points down, so the first row of pixels, at `top`, is the highest.
        assert display.ax_.transData.transform((0, top))[1] > display.ax_.transData.transform((0, bottom))[1]
        assert image.origin == "upper"
        assert abs(box.height / box.width) == pytest.approx(shape[0] / shape[1], rel=0.02)
    titles = [title.get_window_extent() for title in display.titles_]
    everything = [*boxes, *titles]
    for i, one in enumerate(everything):
        assert not any(
            one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1
            for other in everything[:i]
        )
    width, height = display.figure_.canvas.get_width_height()
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in everything)


@pytest.mark.parametrize("n_units", [1, 2, 25, 30, 100])
def test_images_are_ordered_like_text_with_about_as_many_rows_as_columns(n_units):
    display = WeightsDisplay(np.zeros((64, n_units))).plot(image_shape=(8, 8))
    corners = [(image.get_extent()[3], image.get_extent()[0]) for image in display.images_]
    assert corners == sorted(corners)
    n_rows, n_columns = (len({corner[k] for corner in corners}) for k in (0, 1))
    assert abs(n_rows - n_columns) <= 1


@pytest.mark.parametrize("shape", [(8, 8), None], ids=["images", "heat map"])
def test_zero_is_white_and_both_signs_have_one_scale(shape):
    clf = digits(6)
    largest = np.abs(clf.coefs_[0]).max()
    for vmax, expected in [(None, largest), (0.5, 0.5)]:
        display = WeightsDisplay.from_estimator(clf, image_shape=shape, vmax=vmax)
        assert {image.get_clim() for image in display.images_} == {(-expected, expected)}
        zero, positive, negative = (display.images_[0].to_rgba(value)[:3] for value in (0.0, expected, -expected))
        assert min(zero) > 0.95
        assert positive[0] > positive[2]
        assert negative[2] > negative[0]
        assert display.colorbar_.mappable is display.images_[0]
        assert display.colorbar_.ax.get_ylabel() == "weight"
    # The scale follows from the drawn units only.
    unit = int(np.abs(clf.coefs_[0]).max(axis=0).argmin())
    display = WeightsDisplay.from_estimator(clf, image_shape=shape, units=[unit])
    assert display.images_[0].get_clim()[1] == np.abs(clf.coefs_[0][:, unit]).max() < largest


def test_the_heat_map_is_the_matrix_with_names_beside_it():
    frame = pd.DataFrame(IRIS.data, columns=IRIS.feature_names)
    clf = BackpropClassifier(5, max_iter=2, random_state=0).fit(frame, IRIS.target)
    display = WeightsDisplay.from_estimator(clf)
    (image,) = display.images_
    assert_array_equal(image.get_array(), clf.coefs_[0])
    assert ticks(display.ax_.yaxis) == IRIS.feature_names
    assert ticks(display.ax_.xaxis) == ["0", "1", "2", "3", "4"]
    assert_array_equal(display.ax_.get_yticks(), range(4))
    assert_array_equal(display.ax_.get_xticks(), range(5))
    assert display.ax_.get_xlabel() == "unit"
    # The first feature is at the top.
    assert display.ax_.get_ylim() == (3.5, -0.5)
    given = WeightsDisplay.from_estimator(clf, feature_names=list("abcd"))
    assert ticks(given.ax_.yaxis) == list("abcd")
    assert titles(given) == []


def test_many_units_or_features_get_numbers_instead_of_names():
    clf = digits(MOST_NAMES + 10)
    display = WeightsDisplay.from_estimator(clf)
    assert display.ax_.get_ylabel() == "feature"
    for axis, n in [(display.ax_.yaxis, 64), (display.ax_.xaxis, MOST_NAMES + 10)]:
        display.figure_.canvas.draw()
        assert 2 < len(ticks(axis)) <= n / 4
    shown = WeightsDisplay.from_estimator(clf, units=range(MOST_NAMES))
    assert ticks(shown.ax_.xaxis) == [str(unit) for unit in range(MOST_NAMES)]


def test_without_hidden_layers_the_units_are_the_classes():
    clf = digits(())
    images = WeightsDisplay.from_estimator(clf, image_shape=(8, 8))
    assert titles(images) == [str(digit) for digit in range(10)]
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert titles(WeightsDisplay.from_estimator(clf, image_shape=(8, 8), class_names=names)) == names
    flat = WeightsDisplay.from_estimator(iris(()), class_names=IRIS.target_names)
    assert ticks(flat.ax_.xaxis) == IRIS.target_names.tolist()
    assert flat.ax_.get_xlabel() == "class"
    # Hidden units have numbers.
    assert ticks(WeightsDisplay.from_estimator(iris(3)).ax_.xaxis) == ["0", "1", "2"]


def test_names_on_both_axes_can_be_read():
    display = WeightsDisplay.from_estimator(
        iris(()), feature_names=IRIS.feature_names, class_names=["a rather long name", "b", "c"]
    )
    display.figure_.canvas.draw()
    width, height = display.figure_.canvas.get_width_height()
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels()]
        assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
        for one, other in pairwise(boxes):
            assert one.x1 <= other.x0 or one.y0 >= other.y1


@pytest.mark.parametrize("shape", [(8, 8), None], ids=["images", "heat map"])
def test_units_are_drawn_in_the_given_order(shape):
    clf = digits(9)
    display = WeightsDisplay.from_estimator(clf, image_shape=shape, units=np.array([7, 0, 3]))
    expected = clf.coefs_[0][:, [7, 0, 3]]
    if shape is None:
        assert_array_equal(display.images_[0].get_array(), expected)
        assert ticks(display.ax_.xaxis) == ["7", "0", "3"]
    else:
        assert_array_equal([image.get_array().ravel() for image in display.images_], expected.T)
        assert titles(display) == ["7", "0", "3"]


def test_very_many_units_give_images_of_the_first_ones_and_a_heat_map_of_all():
    clf = digits(MOST_IMAGES + 20)
    assert len(WeightsDisplay.from_estimator(clf, image_shape=(8, 8)).images_) == MOST_IMAGES
    assert WeightsDisplay.from_estimator(clf).images_[0].get_array().shape == (64, MOST_IMAGES + 20)
    some = WeightsDisplay.from_estimator(clf, image_shape=(8, 8), units=range(MOST_IMAGES + 20))
    assert len(some.images_) == MOST_IMAGES + 20


def test_zero_weights_are_drawn():
    display = WeightsDisplay(np.zeros((4, 2))).plot(image_shape=(2, 2))
    assert display.images_[0].get_clim() == (-1.0, 1.0)
    assert to_rgb(display.images_[0].to_rgba(0.0)[:3])[0] > 0.95
    assert plt.get_fignums()


@pytest.mark.parametrize("shape", [(8, 7), (64,), (4, 4, 4)])
def test_a_shape_that_does_not_fit_is_an_error(shape):
    with pytest.raises(ValueError, match=r"image_shape=.* does not fit: .* the number of features, 64"):
        WeightsDisplay.from_estimator(digits(3), image_shape=shape)


@pytest.mark.parametrize(("units", "named"), [([0, 3], "3"), ([-1], "-1"), ([0.5], "0.5")])
def test_units_that_do_not_exist_are_an_error(units, named):
    with pytest.raises(ValueError, match=rf"units has {named}; the layer's units are 0 to 2"):
        WeightsDisplay.from_estimator(iris(3), units=units)
    with pytest.raises(ValueError, match="units is empty: pass numbers from 0 to 2"):
        WeightsDisplay.from_estimator(iris(3), units=[])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": np.zeros(4)}, r"weights must be an ndarray of shape \(n_features, n_units\); its shape is \(4,\)"),
        ({"weights": np.array([[0.0, np.nan]])}, "An element of weights is not finite"),
        ({"weights": np.zeros((3, 2)), "feature_names": ["a"]}, "feature_names has 1 names; weights has 3 rows"),
        ({"weights": np.zeros((3, 2)), "unit_names": ["a"]}, "unit_names has 1 names; weights has 2 columns"),
    ],
)
def test_weights_and_names_that_cannot_be_drawn_are_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightsDisplay(**arguments).plot()


def test_names_of_classes_are_checked_also_with_hidden_layers():
    for hidden in ((), 5):
        with pytest.raises(ValueError, match="class_names has 2 names; the network has 3 output units"):
            WeightsDisplay.from_estimator(iris(hidden), class_names=["a", "b"])
