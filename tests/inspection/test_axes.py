"""Axes are given by the user or new. Both signs have the same colours in lines and in images."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb
from numpy.testing import assert_allclose

from skbp.inspection._axes import DIVERGING, NEGATIVE, POSITIVE, axes, pyplot


def test_pyplot_is_matplotlibs():
    assert pyplot("someone") is plt


def test_without_axes_a_figure_of_the_size_is_made():
    ax = axes("someone", None, (5.0, 3.0))
    assert_allclose(ax.figure.get_size_inches(), [5.0, 3.0])
    assert ax.figure.number in plt.get_fignums()


def test_given_axes_are_returned():
    figure, ax = plt.subplots()
    assert axes("someone", ax, (50.0, 30.0)) is ax
    assert plt.get_fignums() == [figure.number]


def test_a_sign_has_the_same_hue_in_lines_and_in_images():
    colours = mpl.colormaps[DIVERGING]
    for sign, end in [(POSITIVE, 0.8), (NEGATIVE, 0.2)]:
        hue, saturation, _ = rgb_to_hsv(to_rgb(sign))
        assert abs(hue - rgb_to_hsv(colours(end)[:3])[0]) < 0.03
        assert saturation > 0.3
    assert min(colours(0.5)[:3]) > 0.95  # a weight of zero is white


def test_the_signs_differ_for_people_who_cannot_see_red_and_green():
    # Without red or green receptors people see, roughly, the difference between blue and yellow.
    def blue_less_yellow(colour):
        red, green, blue = to_rgb(colour)
        return blue - (red + green) / 2

    assert blue_less_yellow(NEGATIVE) - blue_less_yellow(POSITIVE) > 0.5


def test_objects_that_are_not_axes_are_refused_by_name():
    figure, several = plt.subplots(1, 2)
    for given in (figure, several, 3, "ax", plt):
        with pytest.raises(TypeError, match=r"^The 'ax' parameter of someone must be matplotlib Axes, such as"):
            axes("someone", given, (5.0, 3.0))
