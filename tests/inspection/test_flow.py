"""GradientFlowDisplay: sizes of activations and derivatives, compared with other ways to compute them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from registries import ACTIVATIONS
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toy_datasets import clusters

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp.inspection import GradientFlowDisplay

# The networks are trained for a few epochs only, to have weights.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Nothing was learned")

QUANTITIES = ("activation", "delta", "gradient")
X, y = clusters(n_features=6, n_informative=5)


def network(activation="tanh", hidden=(5, 4), **params):
    return BackpropClassifier(hidden, activation, **{"max_iter": 3, "random_state": 0, **params})


def rms(values):
    return np.sqrt(np.mean(np.square(values)))


def by_hand(clf, rows, errors):
    """Sizes in a fitted tanh network by the chain rule, row by row. `errors` gives those of the predicted probabilities."""
    a = [rows]
    for coef, intercept in zip(clf.coefs_, clf.intercepts_, strict=True):
        a.append(a[-1] @ coef + intercept)
        if len(a) <= len(clf.coefs_):
            a[-1] = np.tanh(a[-1])
    delta = [errors(a[-1])]
    for coef, below in zip(clf.coefs_[:0:-1], a[-2:0:-1], strict=True):
        delta.insert(0, np.einsum("ik,jk->ij", delta[0], coef) * (1.0 - below**2))
    gradients = [np.einsum("ni,nj->ij", below, above) / len(rows) for below, above in zip(a[:-1], delta, strict=True)]
    return [np.array([rms(values) for values in layers]) for layers in (a, delta, gradients)]


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel"])
def test_sizes_are_those_of_the_chain_rule_row_by_row(target):
    rows, labels = (X, y) if target == "multiclass" else (X, (y > 0).astype(int))
    if target == "multilabel":
        rows, labels = make_multilabel_classification(40, 6, n_classes=3, random_state=0)
    clf = network(alpha=10.0).fit(rows, labels)
    one_hot = {"multiclass": np.eye(3)[labels] if target == "multiclass" else None, "binary": labels[:, None]}
    wanted = one_hot.get(target, labels)
    link = softmax if target == "multiclass" else expit
    kwargs = {"axis": 1} if target == "multiclass" else {}
    expected = by_hand(clf, rows, lambda z: link(z, **kwargs) - wanted)
    display = GradientFlowDisplay.from_estimator(clf, rows, labels)
    for quantity, sizes in zip(QUANTITIES, expected, strict=True):
        assert_allclose(getattr(display, quantity), sizes, rtol=1e-10)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_sizes_are_those_of_hidden_features_and_of_differences_of_the_loss(activation):
    clf = network(activation).fit(X, y)
    display = GradientFlowDisplay.from_estimator(clf, X, y)
    hidden = [clf.hidden_features(X, layer) for layer in (0, 1)]
    assert_allclose(display.activation, [rms(a) for a in (X, *hidden, clf.decision_function(X))], rtol=1e-12)
    loss = clf.set_params(alpha=0.0).objective(X, y)
    theta, h = loss.theta0, 1e-6
    differences = [
        (loss.value(theta + h * step) - loss.value(theta - h * step)) / (2 * h) for step in np.eye(theta.size)
    ]
    ends = np.cumsum([coef.size for coef in clf.coefs_])
    gradients = np.split(differences, ends)[:3]
    assert_allclose(display.gradient, [rms(gradient) for gradient in gradients], rtol=1e-5)


def test_the_penalty_and_float32_change_nothing():
    clf = network().fit(X, y)
    expected = GradientFlowDisplay.from_estimator(clf, X, y)
    for changed in (clf.set_params(alpha=100.0), clf.set_params(dtype="float32")):
        display = GradientFlowDisplay.from_estimator(changed, X, y)
        for quantity in QUANTITIES:
            assert_array_equal(getattr(display, quantity), getattr(expected, quantity))


def test_sparse_rows_have_the_sizes_of_dense_ones():
    rows = np.where(X > 0.5, X, 0.0)
    clf = network().fit(rows, y)
    dense, sparse = (GradientFlowDisplay.from_estimator(clf, form(rows), y) for form in (np.asarray, csr_array))
    for quantity in QUANTITIES:
        assert_allclose(getattr(sparse, quantity), getattr(dense, quantity), rtol=1e-12)


def test_repeating_all_rows_does_not_change_the_sizes():
    # Twenty copies are more than one chunk of the objective.
    clf = network().fit(X, y)
    once, often = (GradientFlowDisplay.from_estimator(clf, np.tile(X, (n, 1)), np.tile(y, n)) for n in (1, 20))
    for quantity in QUANTITIES:
        assert_allclose(getattr(often, quantity), getattr(once, quantity), rtol=1e-10)


def test_sample_weights_have_an_effect_on_the_gradient():
    times = np.arange(len(y)) % 3
    clf = network().fit(X, y)
    weighted = GradientFlowDisplay.from_estimator(clf, X, y, times)
    repeated = GradientFlowDisplay.from_estimator(clf, X.repeat(times, axis=0), y.repeat(times))
    assert_allclose(weighted.gradient, repeated.gradient, rtol=1e-10)
    plain = GradientFlowDisplay.from_estimator(clf, X, y)
    assert_array_equal(weighted.activation, plain.activation)
    assert not np.allclose(weighted.gradient, plain.gradient, rtol=1e-3)


def test_before_training_the_weights_are_the_random_ones():
    clf = network()
    display = GradientFlowDisplay.from_estimator(clf, X, y)
    assert not hasattr(clf, "coefs_")
    function = clf.objective(X, y)
    started = function.with_theta(function.theta0)
    again = GradientFlowDisplay.from_estimator(started, X, y)
    for quantity in QUANTITIES:
        assert_allclose(getattr(display, quantity), getattr(again, quantity), rtol=1e-12)


def test_a_pipeline_transforms_the_rows_first():
    pipeline = make_pipeline(StandardScaler(), network()).fit(100.0 * X, y)
    display = GradientFlowDisplay.from_estimator(pipeline, 100.0 * X, y)
    expected = GradientFlowDisplay.from_estimator(pipeline[-1], pipeline[0].transform(100.0 * X), y)
    for quantity in QUANTITIES:
        assert_array_equal(getattr(display, quantity), getattr(expected, quantity))
    assert display.activation[0] == pytest.approx(1.0)


def test_the_gradient_vanishes_with_logistic_units_and_not_with_relu():
    rows, labels = load_digits(return_X_y=True)
    sizes = {
        activation: GradientFlowDisplay.from_estimator(
            network(activation, (30,) * 6), rows[:200] / 16, labels[:200]
        ).delta
        for activation in ("logistic", "relu")
    }
    # The slope of the logistic function is at most 1/4, and its initial weights are small.
    assert (sizes["logistic"][1:-1] / sizes["logistic"][:-2] > 4.0).all()
    assert sizes["relu"][0] > 1e3 * sizes["logistic"][0]


def test_lines_are_the_sizes_at_their_layers():
    display = GradientFlowDisplay.from_estimator(network(hidden=(5, 4, 3)).fit(X, y), X, y)
    for quantity, layers in [("activation", range(5)), ("delta", range(1, 5)), ("gradient", range(1, 5))]:
        line = display.lines_[quantity]
        assert_array_equal(line.get_xdata(), layers)
        assert_array_equal(line.get_ydata(), getattr(display, quantity))
    assert len(display.ax_.lines) == 3
    assert len({line.get_color() for line in display.ax_.lines}) == 3
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["input", "1", "2", "3", "output"]
    assert display.ax_.get_yscale() == "log"
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("layer", "root mean square")


def entries(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_networks_on_the_same_axes_have_different_line_styles_and_names():
    first = GradientFlowDisplay.from_estimator(network("tanh"), X, y, name="tanh")
    second = GradientFlowDisplay.from_estimator(network("relu"), X, y, name="relu", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert len(second.ax_.lines) == 6
    for quantity in QUANTITIES:
        one, other = first.lines_[quantity], second.lines_[quantity]
        assert one.get_color() == other.get_color()
        assert one.get_linestyle() != other.get_linestyle()
    assert entries(second) == [
        "activation $a_l$ (output: $z_L$)",
        "gradient by $z_l$ of a row's loss",
        "gradient by $W_l$ of the mean loss",
        "tanh",
        "relu",
    ]
    dashes = [handle.get_linestyle() for handle in second.ax_.get_legend().get_lines()[3:]]
    assert dashes == [display.lines_["activation"].get_linestyle() for display in (first, second)]
    assert entries(GradientFlowDisplay.from_estimator(network(), X, y)) == entries(second)[:3]


def test_a_network_with_dead_units_only_can_be_drawn():
    clf = BackpropClassifier.from_weights(
        [np.ones((6, 3)), np.ones((3, 1))], [np.full(3, -1e3), np.zeros(1)], classes=[0, 1], activation="relu"
    )
    display = GradientFlowDisplay.from_estimator(clf, X, y > 0)
    assert_array_equal(display.activation[1:], 0.0)
    assert display.delta[0] == 0.0
    assert display.delta[1] == pytest.approx(0.5)
    assert_array_equal(display.gradient, 0.0)
    display.figure_.canvas.draw()


@pytest.mark.parametrize("size", [1e-200, 1e160])
def test_the_root_mean_square_of_extreme_numbers_does_not_overflow(size):
    # The root mean square of one number is the number itself, even if its square is out of the range of float64.
    clf = BackpropClassifier.from_weights(
        [[[size]], [[1.0 / size]]], [[0.0], [0.0]], classes=[0, 1], activation="identity"
    )
    display = GradientFlowDisplay.from_estimator(clf, [[0.5]], [1])
    error = 1.0 - expit(0.5)
    assert_allclose(display.activation, [0.5, 0.5 * size, 0.5], rtol=1e-12)
    assert_allclose(display.delta, [error / size, error], rtol=1e-12)
    assert_allclose(display.gradient, [0.5 * error / size, 0.5 * size * error], rtol=1e-12)


def test_values_that_are_not_finite_are_an_error_that_names_them():
    def at(*weights):
        biases = [np.zeros(1) for _ in weights]
        clf = BackpropClassifier.from_weights([[[w]] for w in weights], biases, classes=[0, 1], activation="identity")
        GradientFlowDisplay.from_estimator(clf, [[-1.0], [1.0]], [0, 1])

    with pytest.raises(ValueError, match=r"^The activations of the network on these rows are not finite.*scale X"):
        at(1e200, 1e200)
    with pytest.raises(ValueError, match=r"^The deltas of the network on these rows are not finite.*scale X"):
        at(0.0, 1e200, 1e200)


def test_an_estimator_without_objective_is_an_error():
    ensemble = BackpropClassifierCV(3, cv=2, n_repeats=1, max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(TypeError, match="BackpropClassifierCV, which is 2 networks: pass one of its members_"):
        GradientFlowDisplay.from_estimator(ensemble, X, y)
    for estimator in (BackpropClassifierCV(3), MLPClassifier(3, max_iter=2).fit(X, y)):
        with pytest.raises(TypeError, match=rf"{type(estimator).__name__}, which has no `objective`.*members_"):
            GradientFlowDisplay.from_estimator(estimator, X, y)
    assert len(GradientFlowDisplay.from_estimator(ensemble.members_[0], X, y).delta) == 2
    with pytest.raises(NotFittedError):
        GradientFlowDisplay.from_estimator(make_pipeline(StandardScaler(), network()), X, y)
