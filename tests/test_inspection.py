"""What all displays share: they import matplotlib when they draw and not before, and draw where they are told."""

import inspect
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_iris

import skbp.inspection
from skbp import BackpropClassifier

X, y = load_iris(return_X_y=True)
CLF = BackpropClassifier(4, learning_rate="cosine", max_iter=3, random_state=0).fit(X, y)
DISPLAYS = [name for name in skbp.inspection.__all__ if name.endswith("Display")]

every_display = pytest.mark.parametrize("name", DISPLAYS)


def displayed(name, **kwargs):
    make = getattr(skbp.inspection, name).from_estimator
    return make(CLF, X, y, **kwargs) if "X" in inspect.signature(make).parameters else make(CLF, **kwargs)


def test_all_names_are_there_and_those_before_the_displays_too():
    assert all(hasattr(skbp.inspection, name) for name in skbp.inspection.__all__)
    assert {"DerivativeCheck", "HessianExtremes", "check_gradient", "check_hessian_product", "hessian_extremes"} <= set(
        skbp.inspection.__all__
    )
    assert len(DISPLAYS) == 4


def test_matplotlib_is_not_imported_before_something_is_drawn():
    script = "import sys, skbp.inspection; print([name for name in sys.modules if name.startswith('matplotlib')])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@every_display
def test_without_matplotlib_the_error_names_who_needs_it_and_the_extra(name, monkeypatch):
    display = displayed(name)
    for module in [module for module in sys.modules if module.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, module, None)
    for draw in (display.plot, lambda: displayed(name)):
        with pytest.raises(ImportError, match=rf"{name}\.plot needs matplotlib.*pip install 'skbp\[plot\]'"):
            draw()


@every_display
def test_without_axes_there_is_a_new_figure_each_time(name):
    display = displayed(name)
    first = display.figure_
    assert first.number in plt.get_fignums()
    assert display.ax_.figure is first
    assert display.plot() is display
    assert display.figure_ is not first
    assert display.ax_.figure is display.figure_


@every_display
def test_given_axes_are_drawn_on_and_no_figure_is_made(name):
    figure, axes = plt.subplots(1, 3, figsize=(12, 3))
    size = figure.get_size_inches()
    display = displayed(name, ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert display.plot(axes[2]) is display
    assert display.ax_ is axes[2]
    np.testing.assert_array_equal(figure.get_size_inches(), size)
    assert not axes[0].has_data()


@every_display
def test_displays_have_scikit_learns_conventions(name):
    display = getattr(skbp.inspection, name)
    parameters = inspect.signature(display.plot).parameters
    assert list(parameters)[:2] == ["self", "ax"]
    assert parameters["ax"].default is None
    of_estimator = inspect.signature(display.from_estimator).parameters
    assert next(iter(of_estimator)) == "estimator"
    # What plot takes, from_estimator takes too, with the same defaults.
    for parameter in list(parameters)[2:]:
        assert of_estimator[parameter].default == parameters[parameter].default


@every_display
def test_a_display_draws_the_same_again(name):
    one, other = displayed(name), displayed(name).plot()
    for display in (one, other):
        display.figure_.canvas.draw()
    if not np.array_equal(one.figure_.get_size_inches(), other.figure_.get_size_inches()):
        pytest.fail("The second figure is of another size.")
    np.testing.assert_array_equal(one.figure_.canvas.buffer_rgba(), other.figure_.canvas.buffer_rgba())
