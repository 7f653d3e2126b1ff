"""What all displays and functions have in common: imports, axes, and errors about arguments."""

import inspect
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from registries import ACTIVATIONS
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import skbp.inspection
from skbp import BackpropClassifier, BackpropClassifierCV
from skbp.inspection import (
    GradientFlowDisplay,
    LossCurveDisplay,
    NetworkDisplay,
    WeightsDisplay,
    check_gradient,
    check_hessian_product,
    hessian_extremes,
    trace,
)

# The networks are trained for a few epochs only, to have weights.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Nothing was learned")

X, y = load_iris(return_X_y=True)
X_SCALED = scale(X)
CLF = BackpropClassifier(4, learning_rate="cosine", learning_rate_init=0.05, max_iter=50, random_state=0).fit(X, y)
DISPLAYS = [name for name in skbp.inspection.__all__ if name.endswith("Display")]

every_display = pytest.mark.parametrize("name", DISPLAYS)


def displayed(name, **kwargs):
    make = getattr(skbp.inspection, name).from_estimator
    return make(CLF, X, y, **kwargs) if "X" in inspect.signature(make).parameters else make(CLF, **kwargs)


def test_all_public_names_exist():
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
def test_with_given_axes_no_figure_is_made(name):
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
def test_displays_follow_scikit_learns_conventions(name):
    display = getattr(skbp.inspection, name)
    parameters = inspect.signature(display.plot).parameters
    assert list(parameters)[:2] == ["self", "ax"]
    assert parameters["ax"].default is None
    of_estimator = inspect.signature(display.from_estimator).parameters
    assert next(iter(of_estimator)) == "estimator"
    # from_estimator has all parameters of plot, with the same defaults.
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


# Functions of an estimator, rows, labels and other arguments.
FUNCTIONS = {
    "check_gradient": check_gradient,
    "check_hessian_product": check_hessian_product,
    "hessian_extremes": hessian_extremes,
    "trace": lambda clf, X, y, **kwargs: trace(clf, X[0], y[0], **kwargs),
    "GradientFlowDisplay": GradientFlowDisplay.from_estimator,
    "LossCurveDisplay": lambda clf, X, y, **kwargs: LossCurveDisplay.from_estimator(clf, **kwargs),
    "WeightsDisplay": lambda clf, X, y, **kwargs: WeightsDisplay.from_estimator(clf, **kwargs),
    "NetworkDisplay": lambda clf, X, y, **kwargs: NetworkDisplay.from_estimator(clf, **kwargs),
}
NEEDS_OBJECTIVE = ["check_gradient", "check_hessian_product", "hessian_extremes", "trace", "GradientFlowDisplay"]
NEEDS_FITTED = ["trace", "LossCurveDisplay", "WeightsDisplay", "NetworkDisplay"]

every_function = pytest.mark.parametrize("name", list(FUNCTIONS))


def argument_of(name):
    return "estimator" if name.endswith("Display") else "clf"


NO_NETWORKS = {
    "nothing": (None, "of type NoneType, which is not a neural-network classifier: pass a BackpropClassifier"),
    "text": ("clf", "of type str, which is not a neural-network classifier"),
    "another classifier": (
        LogisticRegression(),
        "of type LogisticRegression, which is not a neural-network classifier",
    ),
    "a class": (BackpropClassifier, "the class BackpropClassifier: pass an instance instead, a BackpropClassifier"),
    "a pipeline": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        "a pipeline that ends in a step of type LogisticRegression, which is not a neural-network classifier",
    ),
}


@pytest.mark.parametrize("kind", list(NO_NETWORKS))
@every_function
def test_an_object_that_is_no_network_is_refused_with_a_remedy(name, kind):
    given, message = NO_NETWORKS[kind]
    with pytest.raises(TypeError, match=rf"^{argument_of(name)} is {message}"):
        FUNCTIONS[name](given, X, y)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "LossCurveDisplay"])
def test_the_error_for_an_ensemble_says_to_pass_a_member(name):
    ensemble = BackpropClassifierCV(3, cv=2, n_repeats=1, max_iter=2, random_state=0).fit(X, y)
    message = r"BackpropClassifierCV, which is 2 networks: pass one of its members_, such as members_\[0\]\."
    with pytest.raises(TypeError, match=rf"^{argument_of(name)} is of type {message}"):
        FUNCTIONS[name](ensemble, X, y)
    with pytest.raises(TypeError, match=rf"^{argument_of(name)} is a pipeline that ends in a step of type {message}"):
        FUNCTIONS[name](make_pipeline(ensemble), X, y)


@pytest.mark.parametrize("name", NEEDS_OBJECTIVE)
def test_an_estimator_without_objective_is_refused_with_a_remedy(name):
    for given in (MLPClassifier((3,), max_iter=2).fit(X, y), BackpropClassifierCV()):
        kind = type(given).__name__
        message = (
            rf"^{argument_of(name)} is of type {kind}, which has no `objective`: pass a BackpropClassifier, .*members_"
        )
        with pytest.raises(TypeError, match=message):
            FUNCTIONS[name](given, X, y)


@pytest.mark.parametrize("name", NEEDS_FITTED)
def test_an_estimator_that_is_not_fitted_is_an_error(name):
    with pytest.raises(NotFittedError, match="This BackpropClassifier instance is not fitted yet"):
        FUNCTIONS[name](clone(CLF), X, y)


def interval(lowest, kind="an int"):
    return rf"must be {kind} in the range {lowest}, inf\)"


# For each function and argument: refused values, and the allowed ones according to the message.
CHECKED = {
    "n_directions": ([0, -1, 2.5, np.nan, None, "x"], interval(r"\[1")),
    "tol": ([-1e-9, np.nan, np.inf, None, "x", 1j], interval(r"\[0.0", "a float")),
    "random_state": ([-1, 0.5, "x", np.random.default_rng(0)], r"must be an int in the range \[0, 4294967295\]"),
}
REFUSED = {
    "check_gradient": CHECKED,
    "check_hessian_product": CHECKED,
    "hessian_extremes": {
        "k": ([0, -1, 2.5, np.nan, None, "x", [1]], interval(r"\[1")),
        "tol": CHECKED["tol"],
        "random_state": CHECKED["random_state"],
    },
    "GradientFlowDisplay": {"name": ([3, b"x", ["x"]], "must be an instance of 'str' or None")},
    "LossCurveDisplay": {
        "name": ([3, b"x", ["x"]], "must be an instance of 'str' or None"),
        "panels": (
            [None, [], (), {}, "", "los", 5, ["loss", "los"], [["loss"]], [None], ["loss", "loss"]],
            r"must be one of \['loss', 'score', 'learning_rate'\], or a list",
        ),
        "xscale": ([None, "x", 1, ["log"]], "must be a str among {'(linear|log)', '(linear|log)'}"),
        "yscale": ([None, "x", 1, ["log"]], "must be a str among {'(linear|log)', '(linear|log)'}"),
    },
    "WeightsDisplay": {
        "image_shape": (
            [
                4,
                "22",
                2.0,
                (2.0, 2),
                (2, 2.0),
                (-2, -2),
                (0, 4),
                (4,),
                (2, 3),
                (2, 2, 1),
                (True, 4),
                ("2", "2"),
                [[2, 2]],
            ],
            r"does not fit: it must be two positive integers, .* must be the number of features, 4\.",
        ),
        "units": ([3, "01", [4], [-1], [0.5], ["0"], [True], [[0]], [None], []], "0 to 3"),
        "vmax": ([0, -1.0, np.nan, np.inf, "x", [1.0], 1j], interval(r"\(0.0", "a float")),
    },
    "NetworkDisplay": {
        "max_units": ([1, 0, -3, 2.5, None, "all", [2]], interval(r"\[2")),
        "biases": ([None, 0, 1, "yes", []], "must be an instance of 'bool'"),
        "colors": (
            [None, 3, "rgb", "red", (), ("r", "g"), ("r", "g", "b", "k"), ("r", "g", "no colour"), (0.1, 0.2, 0.3)],
            "must be three colours that matplotlib knows",
        ),
    },
}


@pytest.mark.parametrize(("name", "argument"), [(name, argument) for name in REFUSED for argument in REFUSED[name]])
def test_invalid_arguments_are_refused_by_name_with_the_allowed_values(name, argument):
    refused, allowed = REFUSED[name][argument]
    draw = displayed(name).plot if name.endswith("Display") else None
    for value in refused:
        calls = [lambda value=value: FUNCTIONS[name](CLF, X, y, **{argument: value})]
        if draw and argument != "name":
            calls.append(lambda value=value: draw(**{argument: value}))
        for call in calls:
            with pytest.raises((TypeError, ValueError), match=rf"{argument}.*{allowed}") as failure:
                call()
            assert repr(value) in str(failure.value) or argument == "units"


@every_display
def test_objects_that_are_not_axes_are_refused(name):
    figure, axes = plt.subplots(1, 2)
    display = displayed(name, ax=axes[0])
    for ax in (3, "ax", figure, plt, [axes[0], None], np.array([[3]])):
        for call in (lambda ax=ax: displayed(name, ax=ax), lambda ax=ax: display.plot(ax)):
            with pytest.raises(
                TypeError, match=rf"'ax' parameter of {name}.plot must be matplotlib Axes, .* or None. Got "
            ):
                call()
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_numpys_error_settings_have_no_effect(activation):
    # With rows times 100 exponentials underflow. With rows times 1 only products of small numbers do.
    for size in (1.0, 100.0):
        rows = size * X_SCALED
        clf = BackpropClassifier((5, 4), activation, max_iter=3, random_state=0).fit(rows, y)
        # A large tolerance, because kinks of the activation may lie between the steps of the differences.
        lenient = {"n_directions": 1, "tol": 1e9}
        for name, function in FUNCTIONS.items():
            kwargs = lenient if name.startswith("check") else {}
            if name.endswith("Display"):
                with np.errstate(all="raise"):
                    function(clf, rows, y)
                continue
            with np.errstate(all="ignore"):
                expected = str(function(clf, rows, y, **kwargs))
            with np.errstate(all="raise"):
                assert str(function(clf, rows, y, **kwargs)) == expected


def test_extreme_numbers_can_be_drawn_if_numpy_raises():
    coefs = [np.array([[1.0, 5e-324], [1e-310, -1e-300]]), np.array([[1e-320], [5e-324]])]
    clf = BackpropClassifier.from_weights(coefs, [np.zeros(2), np.full(1, 1e-323)], classes=[0, 1], activation="tanh")
    rows, labels = np.array([[1e-300, 1.0], [1.0, -1e-300]]), [0, 1]
    with np.errstate(all="raise"):
        NetworkDisplay.from_estimator(clf, biases=True)
        WeightsDisplay.from_estimator(clf)
        WeightsDisplay.from_estimator(clf, image_shape=(2, 1))
        LossCurveDisplay([{"loss": [1e-310, 1e-320]}], ["small"]).plot(yscale="log")
        GradientFlowDisplay.from_estimator(clf, rows, labels)
        assert trace(clf, rows[0], 0).target == [0.0]
