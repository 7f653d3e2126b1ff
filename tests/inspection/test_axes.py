"""Axes are the user's or new ones; signs have the same two colours as lines and as images."""

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


def test_given_axes_are_handed_back():
    figure, ax = plt.subplots()
    assert axes("someone", ax, (50.0, 30.0)) is ax
    assert plt.get_fignums() == [figure.number]


def test_a_sign_has_one_hue_as_a_line_and_in_an_image():
    colours = mpl.colormaps[DIVERGING]
    for sign, end in [(POSITIVE, 0.8), (NEGATIVE, 0.2)]:
        hue, saturation, _ = rgb_to_hsv(to_rgb(sign))
        assert abs(hue - rgb_to_hsv(colours(end)[:3])[0]) < 0.03
        assert saturation > 0.3
    assert min(colours(0.5)[:3]) > 0.95  # no weight, no colour


def test_the_signs_are_told_apart_without_red_and_green():
    # What is left to who lacks red or green receptors is, roughly, the difference of blue and yellow.
    def blue_less_yellow(colour):
        red, green, blue = to_rgb(colour)
        return blue - (red + green) / 2

    assert blue_less_yellow(NEGATIVE) - blue_less_yellow(POSITIVE) > 0.5


def test_what_are_no_axes_is_refused_by_name():
    figure, several = plt.subplots(1, 2)
    for given in (figure, several, 3, "ax", plt):
        with pytest.raises(TypeError, match=r"^The 'ax' parameter of someone must be matplotlib Axes, such as"):
            axes("someone", given, (5.0, 3.0))
