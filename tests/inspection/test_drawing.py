"""NetworkDisplay: a disc for each unit, a line for each weight by sign and size, and text that can be read."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_multilabel_classification
from sklearn.neural_network import MLPClassifier

from skbp import BackpropClassifier
from skbp.inspection import NetworkDisplay
from skbp.inspection._axes import NEGATIVE, POSITIVE
from skbp.inspection._drawing import LEAST_OPAQUE, THINNEST_LINE, WIDEST_LINE

IRIS = load_iris()

# The networks are trained for a few epochs only, to have weights.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Nothing was learned")


def iris(hidden_layer_sizes=5, cls=BackpropClassifier, **params):
    return cls(hidden_layer_sizes, max_iter=3, random_state=0, **params).fit(IRIS.data, IRIS.target)


def digits(hidden_layer_sizes):
    return BackpropClassifier(hidden_layer_sizes, max_iter=1, random_state=0).fit(*load_digits(return_X_y=True))


def binary():
    data = load_breast_cancer(as_frame=True)
    clf = BackpropClassifier(4, max_iter=2, random_state=0).fit(data.data, data.target)
    return NetworkDisplay.from_estimator(clf, class_names=data.target_names)


def multilabel():
    clf = BackpropClassifier((3, 2), max_iter=2, random_state=0).fit(
        *make_multilabel_classification(30, 6, n_classes=4)
    )
    return NetworkDisplay.from_estimator(clf)


def single_class():
    clf = BackpropClassifier(2, max_iter=2, random_state=0).fit(IRIS.data[:50], ["only"] * 50)
    return NetworkDisplay.from_estimator(clf)


PICTURES = {
    "iris": lambda: NetworkDisplay.from_estimator(
        iris(8), feature_names=IRIS.feature_names, class_names=IRIS.target_names
    ),
    "biases": lambda: NetworkDisplay.from_estimator(iris((8, 3)), biases=True),
    "digits": lambda: NetworkDisplay.from_estimator(digits(16), feature_names=load_digits().feature_names),
    "wide": lambda: NetworkDisplay.from_estimator(digits((300, 200, 50)), max_units=20),
    "no hidden layer": lambda: NetworkDisplay.from_estimator(digits(())),
    "binary": binary,
    "multilabel": multilabel,
    "single class": single_class,
    "tiny": lambda: NetworkDisplay(
        [np.ones((1, 1))], feature_names=["x"], class_names=["a rather long name of a class"]
    ),
}


def texts(display, which):
    return [text.get_text() for text in display.labels_[which]]


def lines(display, layer):
    """{(left unit, right unit): (sign of the weight, width, opacity)} as drawn. The unit None is the bias."""
    centres = [
        {(round(disc.center[0], 6), round(disc.center[1], 6)): unit for disc, unit in zip(discs, units, strict=True)}
        for discs, units in zip(display.units_, display.shown_, strict=True)
    ]
    for disc in display.bias_units_:
        centres[layer].setdefault((round(disc.center[0], 6), round(disc.center[1], 6)), None)
    edges = display.edges_[layer]
    found = {}
    for segment, colour, width in zip(edges.get_segments(), edges.get_colors(), edges.get_linewidths(), strict=True):
        left, right = (tuple(np.round(end, 6)) for end in segment)
        sign = {to_rgb(POSITIVE): 1, to_rgb(NEGATIVE): -1}[tuple(colour[:3])]
        found[centres[layer][left], centres[layer + 1][right]] = (sign, width, colour[3])
    return found


@pytest.mark.parametrize("hidden", [(), 5, (4, 3)], ids=str)
def test_there_is_a_disc_for_each_unit_and_a_line_for_each_weight(hidden):
    clf = iris(hidden)
    display = NetworkDisplay.from_estimator(clf)
    units = [4, *(coef.shape[1] for coef in clf.coefs_)]
    assert [len(discs) for discs in display.units_] == units
    assert display.shown_ == [list(range(n)) for n in units]
    assert [len(edges.get_segments()) for edges in display.edges_] == [coef.size for coef in clf.coefs_]
    assert all(dots == [] for dots in display.dots_)
    assert display.bias_units_ == []
    # The axes have nothing else.
    assert len(display.ax_.patches) == sum(units)
    assert len(display.ax_.collections) == len(clf.coefs_)


@pytest.mark.parametrize("cls", [BackpropClassifier, MLPClassifier])
def test_lines_have_the_colour_of_the_sign_and_the_width_of_the_size(cls):
    clf = iris((4, 3), cls)
    display = NetworkDisplay.from_estimator(clf)
    for layer, coef in enumerate(clf.coefs_):
        drawn = lines(display, layer)
        assert set(drawn) == set(np.ndindex(coef.shape))
        size = np.abs(coef) / np.abs(coef).max()
        for place, (sign, width, opacity) in drawn.items():
            assert sign == np.sign(coef[place])
            assert width == pytest.approx(max(WIDEST_LINE * size[place], THINNEST_LINE))
            assert opacity == pytest.approx(LEAST_OPAQUE + (1 - LEAST_OPAQUE) * size[place])
        # The largest weights are drawn last.
        widths = display.edges_[layer].get_linewidths()
        assert list(widths) == sorted(widths)


def test_all_weights_may_be_zero():
    display = NetworkDisplay([np.zeros((2, 3))], feature_names=["a", "b"], class_names=["c", "d", "e"]).plot()
    assert_allclose(display.edges_[0].get_linewidths(), THINNEST_LINE)
    display.figure_.canvas.draw()


def test_biases_are_weights_of_a_unit_that_is_always_one():
    clf = iris((4, 3))
    display = NetworkDisplay.from_estimator(clf, biases=True)
    assert len(display.bias_units_) == 3
    for layer, (coef, intercept) in enumerate(zip(clf.coefs_, clf.intercepts_, strict=True)):
        drawn = lines(display, layer)
        assert len(drawn) == coef.size + intercept.size
        largest = max(np.abs(coef).max(), np.abs(intercept).max())
        for unit, bias in enumerate(intercept):
            sign, width, _ = drawn[None, unit]
            assert sign == np.sign(bias)
            assert width == pytest.approx(max(WIDEST_LINE * abs(bias) / largest, THINNEST_LINE))
        # The bias unit is above the units of its layer, at a distance.
        (x, top), (x_bias, y_bias) = display.units_[layer][0].center, display.bias_units_[layer].center
        assert x_bias == x
        assert y_bias - top > 2 * display.units_[layer][0].radius
    assert [text.get_text() for text in display.ax_.texts].count("1") >= 3


def test_input_is_blue_hidden_red_and_output_yellow_by_default():
    clf = iris((3, 2))
    for colours, kwargs in [
        (("tab:blue", "tab:red", "gold"), {}),
        (("cyan", "black", "white"), {"colors": ("cyan", "black", "white")}),
    ]:
        display = NetworkDisplay.from_estimator(clf, **kwargs)
        expected = [colours[0], colours[1], colours[1], colours[2]]
        for discs, colour in zip(display.units_, expected, strict=True):
            assert {disc.get_facecolor()[:3] for disc in discs} == {to_rgb(colour)}
    blue, red, yellow = (np.array(to_rgb(colour)) for colour in ("tab:blue", "tab:red", "gold"))
    assert (blue.argmax(), red.argmax(), yellow.argmin()) == (2, 0, 2)


@pytest.mark.parametrize(("max_units", "first", "last"), [(12, 6, 6), (7, 4, 3), (2, 1, 1)])
def test_wide_layers_are_drawn_as_their_ends_with_dots_between(max_units, first, last):
    clf = digits((30, 5))
    display = NetworkDisplay.from_estimator(clf, max_units=max_units)
    for units, width, discs, dots in zip(display.shown_, [64, 30, 5, 10], display.units_, display.dots_, strict=True):
        if width <= max_units:
            assert (units, dots) == (list(range(width)), [])
            continue
        assert units == [*range(first), *range(width - last, width)]
        assert len(discs) == max_units
        # The dots are between the two ends and touch neither.
        above, below = discs[first - 1], discs[first]
        assert len(dots) == 3
        heights = [dot.center[1] for dot in dots]
        assert above.center[1] - above.radius > max(heights) + dots[0].radius
        assert below.center[1] + below.radius < min(heights) - dots[0].radius
        assert all(dot.center[0] == above.center[0] for dot in dots)
    # There are lines between drawn units only, with the right weights.
    for layer, coef in enumerate(clf.coefs_):
        drawn = lines(display, layer)
        assert set(drawn) == {(i, j) for i in display.shown_[layer] for j in display.shown_[layer + 1]}
        assert all(sign == np.sign(coef[place]) for place, (sign, _, _) in drawn.items() if coef[place] != 0.0)
    assert texts(display, "features") == [f"x{unit}" for unit in display.shown_[0]]
    assert texts(display, "classes") == [str(unit) for unit in display.shown_[-1]]


def test_names_are_beside_their_units():
    frame = pd.DataFrame(IRIS.data, columns=IRIS.feature_names)
    clf = BackpropClassifier(3, max_iter=2, random_state=0).fit(frame, IRIS.target_names[IRIS.target])
    display = NetworkDisplay.from_estimator(clf)
    assert texts(display, "features") == IRIS.feature_names
    assert texts(display, "classes") == IRIS.target_names.tolist()
    for which, discs, side in [("features", display.units_[0], -1), ("classes", display.units_[-1], 1)]:
        for text, disc in zip(display.labels_[which], discs, strict=True):
            assert text.get_position()[1] == disc.center[1]
            assert side * (text.get_position()[0] - disc.center[0]) > disc.radius
            assert text.get_horizontalalignment() == ("right" if side < 0 else "left")


def test_headings_describe_the_layers():
    display = NetworkDisplay.from_estimator(iris((4, 1), activation=["tanh", "elu"]))
    assert texts(display, "layers") == [
        "input\n4 features",
        "hidden 1\ntanh\n4 units",
        "hidden 2\nelu\n1 unit",
        "output\nsoftmax\n3 units",
    ]
    assert texts(binary(), "layers") == ["input\n30 features", "hidden\nrelu\n4 units", "output\nlogistic\n1 unit"]
    bare = NetworkDisplay([np.ones((1, 2))], feature_names=["a"], class_names=["b", "c"]).plot()
    assert texts(bare, "layers") == ["input\n1 feature", "output\n2 units"]


def test_output_units_of_binary_multilabel_and_single_class_networks():
    assert texts(binary(), "classes") == ["benign"]
    assert texts(multilabel(), "classes") == ["0", "1", "2", "3"]
    assert texts(single_class(), "classes") == ["only"]


def test_the_legend_explains_the_colours_of_the_signs():
    legend = NetworkDisplay.from_estimator(iris()).ax_.get_legend()
    assert {
        text.get_text(): handle.get_color() for text, handle in zip(legend.texts, legend.get_lines(), strict=True)
    } == {"positive weight": POSITIVE, "negative weight": NEGATIVE}


def overlap(one, other):
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


@pytest.mark.parametrize("picture", list(PICTURES))
def test_every_text_is_inside_the_figure_and_none_overlaps_another(picture):
    display = PICTURES[picture]()
    if not hasattr(display, "figure_"):
        display.plot()
    display.figure_.canvas.draw()
    words = [text for texts in display.labels_.values() for text in texts] + display.ax_.get_legend().get_texts()
    boxes = [word.get_window_extent() for word in words]
    width, height = display.figure_.canvas.get_width_height()
    for word, box in zip(words, boxes, strict=True):
        assert box.x0 >= 0, word
        assert box.y0 >= 0, word
        assert box.x1 <= width, word
        assert box.y1 <= height, word
    for i, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in boxes[:i])
    # No text overlaps a disc. The discs are round and at least as high as the text.
    discs = [disc for discs in display.units_ for disc in discs] + display.bias_units_
    for disc in discs:
        extent = disc.get_window_extent()
        assert extent.width == pytest.approx(extent.height, rel=0.02)
        assert extent.height >= boxes[0].height
        assert not any(overlap(extent, box) for box in boxes)
    for discs in display.units_:
        for above, below in pairwise(discs):
            assert above.center[1] - below.center[1] > above.radius + below.radius


def test_the_drawing_stays_within_given_axes():
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5))
    for ax, clf in zip(axes, [iris(8), digits(16)], strict=True):
        NetworkDisplay.from_estimator(clf, ax=ax)
    figure.canvas.draw()
    for ax in axes:
        box = ax.get_window_extent()
        for text in [*ax.texts, *ax.get_legend().get_texts()]:
            extent = text.get_window_extent()
            assert box.x0 - 2 < extent.x0 < extent.x1 < box.x1 + 2
            assert box.y0 - 2 < extent.y0 < extent.y1 < box.y1 + 2


def test_drawing_on_axes_too_small_for_the_names_works():
    figure, ax = plt.subplots(figsize=(1, 1))
    NetworkDisplay.from_estimator(iris(), feature_names=["n" * 40] * 4, ax=ax)
    figure.canvas.draw()
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


def test_invalid_arguments_are_errors_that_say_why():
    with pytest.raises(ValueError, match=r"'max_units' parameter .* must be an int in the range \[2, inf\). Got 1"):
        NetworkDisplay.from_estimator(iris(), max_units=1)
    with pytest.raises(ValueError, match="biases=True needs intercepts"):
        NetworkDisplay([np.ones((1, 1))], feature_names=["a"], class_names=["b"]).plot(biases=True)
    with pytest.raises(ValueError, match="feature_names has 3 names; the network has 4 features"):
        NetworkDisplay.from_estimator(iris(), feature_names=["a", "b", "c"])


def test_a_network_without_hidden_layer_has_room_for_the_legend():
    display = NetworkDisplay.from_estimator(BackpropClassifier.from_weights([[[2.0], [2.0]]], [[-3.0]], classes=[0, 1]))
    display.figure_.canvas.draw()
    legend, figure = display.figure_.legends or [display.ax_.get_legend()], display.figure_.bbox
    assert all(figure.x0 <= box.x0 and box.x1 <= figure.x1 for box in (one.get_window_extent() for one in legend))
    headings = [text.get_window_extent() for text in display.labels_["layers"]]
    assert headings[0].x1 < headings[1].x0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"coefs": [np.full((2, 3), np.inf)]}, "An element of coefs or intercepts is not finite"),
        ({"intercepts": [np.array([0.0, np.nan, 0.0])]}, "An element of coefs or intercepts is not finite"),
        ({"feature_names": ["a"]}, r"feature_names has 1 names; coefs\[0\] has 2 rows"),
        ({"class_names": ["a", "b"]}, r"class_names has 2 names; coefs\[-1\] has 3 columns"),
    ],
)
def test_weights_and_names_that_do_not_fit_are_an_error(changed, message):
    arguments = {"coefs": [np.ones((2, 3))], "feature_names": ["a", "b"], "class_names": ["c", "d", "e"]}
    NetworkDisplay(**arguments).plot()
    with pytest.raises(ValueError, match=message):
        NetworkDisplay(**arguments | changed).plot()


def test_colours_may_be_given_in_any_form_of_matplotlib():
    for colours in (["C0", "#ff0000", (0.0, 0.0, 1.0)], np.eye(3)):
        display = NetworkDisplay.from_estimator(iris(), colors=colours)
        for discs, colour in zip(display.units_, colours, strict=True):
            assert to_rgb(discs[0].get_facecolor()) == to_rgb(colour)
