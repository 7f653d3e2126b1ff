"""LossCurveDisplay: each line is the right curve of the right network, and the best epoch is marked."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_array_equal
from registries import SOLVERS, UPDATES
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp.inspection import LossCurveDisplay
from skbp.inspection._curves import CURVES, PANELS

X, y = load_iris(return_X_y=True)
X = scale(X)

# The networks are trained for a few epochs only, to have weights.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Nothing was learned")


def network(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": 4, "max_iter": 12, "random_state": 0, **params})


def stopped(**params):
    """A network with validation curves and a best epoch that is neither the first nor the last."""
    clf = network(early_stopping=True, max_iter=60, learning_rate_init=0.1, scoring="loss", **params).fit(X, y)
    assert 1 < clf.best_iter_ < clf.n_iter_
    return clf


def ensemble(**params):
    return BackpropClassifierCV(
        **{"hidden_layer_sizes": 4, "cv": 3, "n_repeats": 1, "max_iter": 12, "random_state": 0, **params}
    )


def points(line):
    return [values.tolist() for values in line.get_data()]


def entries(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_the_line_is_the_loss_curve_of_every_solver(solver):
    clf = network(solver=solver).fit(X, y)
    display = LossCurveDisplay.from_estimator(clf)
    (line,) = display.lines_["loss"]
    assert points(line) == [list(range(1, len(clf.loss_curve_) + 1)), clf.loss_curve_]
    assert list(display.ax_.get_lines()) == [line]
    assert display.ax_.get_xlabel() == ("epoch" if solver in UPDATES else "iteration")
    assert display.ax_.get_ylabel() == "objective"
    assert entries(display.ax_) == ["objective"]
    assert display.best_ == []


def test_every_panel_shows_its_curves():
    clf = stopped()
    display = LossCurveDisplay.from_estimator(clf, panels=list(PANELS))
    assert set(display.lines_) == set(CURVES)
    for curve, attribute in CURVES.items():
        (line,) = display.lines_[curve]
        assert points(line) == [list(range(1, clf.n_iter_ + 1)), getattr(clf, attribute)]
        assert line.get_linestyle() == ("--" if curve == "validation_loss" else "-")
        assert to_hex(line.get_color()) == to_hex("C0")
    loss, score, rate = display.ax_
    assert [ax.get_ylabel() for ax in display.ax_] == ["loss", "validation score", "learning rate"]
    assert [ax.get_xlabel() for ax in display.ax_] == ["", "", "epoch"]
    assert display.lines_["loss"][0].axes is display.lines_["validation_loss"][0].axes is loss
    assert display.lines_["validation_score"][0].axes is score
    assert display.lines_["learning_rate"][0].axes is rate
    loss.set_xlim(2, 5)  # the panels share their x axis
    assert score.get_xlim() == rate.get_xlim() == (2, 5)
    assert entries(loss) == ["objective", "loss on validation data", "best epoch"]
    assert score.get_legend() is None


def test_the_best_epoch_is_marked_on_losses_and_score():
    clf = stopped()
    display = LossCurveDisplay.from_estimator(clf, panels=list(PANELS))
    at = clf.best_iter_ - 1
    marked = [(clf.loss_curve_[at]), clf.validation_loss_curve_[at], clf.validation_scores_[at]]
    assert [points(dot) for dot in display.best_] == [[[clf.best_iter_], [value]] for value in marked]
    assert all(dot.get_marker() == "o" for dot in display.best_)
    # It is the epoch with the lowest loss on the validation data.
    assert clf.validation_loss_curve_[at] == min(clf.validation_loss_curve_)


def test_without_early_stopping_no_epoch_is_the_best():
    clf = network().fit(X, y, X_val=X[::3], y_val=y[::3])
    display = LossCurveDisplay.from_estimator(clf, panels=["loss", "score"])
    assert points(display.lines_["validation_loss"][0])[1] == clf.validation_loss_curve_
    assert points(display.lines_["validation_score"][0])[1] == clf.validation_scores_
    assert display.best_ == []
    assert entries(display.ax_[0]) == ["objective", "loss on validation data"]


def test_the_best_epoch_of_an_earlier_call_stays_marked():
    clf = stopped(warm_start=True)
    before, best = clf.n_iter_, clf.best_iter_
    clf.set_params(learning_rate_init=1.0, max_iter=3).fit(X, y)
    assert len(clf.loss_curve_) == before + 3
    assert [dot.get_xdata()[0] for dot in LossCurveDisplay.from_estimator(clf).best_] == [best, best]


def test_each_member_has_a_line_with_points_where_it_was_evaluated():
    clf = ensemble(max_iter=13).fit(X, y)
    display = LossCurveDisplay.from_estimator(make_pipeline(StandardScaler(), clf), panels=["loss", "score"])
    assert len(display.lines_["loss"]) == 3
    gaps = 0
    for member, loss, validation, score in zip(
        clf.members_, *(display.lines_[curve] for curve in ("loss", "validation_loss", "validation_score")), strict=True
    ):
        assert points(loss)[1] == member.loss_curve_
        for line, curve in [(validation, member.validation_loss_curve_), (score, member.validation_scores_)]:
            seen = np.flatnonzero(~np.isnan(curve))
            gaps += len(curve) - len(seen)
            assert_array_equal(line.get_xdata(), seen + 1)
            assert_array_equal(line.get_ydata(), np.array(curve)[seen])
    assert gaps > 0
    assert len({line.get_color() for line in display.lines_["loss"]}) == 3
    assert entries(display.ax_[0]) == [
        "member 0",
        "member 1",
        "member 2",
        "objective",
        "loss on validation data",
        "best epoch",
    ]
    # First two marks for each member on its losses, then one mark on its score.
    bests = [dot.get_xdata()[0] for dot in display.best_]
    assert bests == [*np.repeat(clf.best_iters_, 2), *clf.best_iters_]


def test_each_estimator_has_a_colour_which_its_members_share():
    one, other, many = network().fit(X, y), network(solver="lbfgs").fit(X, y), ensemble().fit(X, y)
    display = LossCurveDisplay.from_estimators({"adam": one, "lbfgs": other, "five": many})
    lines = display.lines_["loss"]
    expected = [one.loss_curve_, other.loss_curve_, *(member.loss_curve_ for member in many.members_)]
    assert [points(line)[1] for line in lines] == expected
    assert [to_hex(line.get_color()) for line in lines] == [to_hex(f"C{i}") for i in (0, 1, 2, 2, 2)]
    assert [line is None for line in display.lines_["validation_loss"]] == [True, True, False, False, False]
    assert entries(display.ax_) == ["adam", "lbfgs", "five", "objective", "loss on validation data", "best epoch"]
    assert display.ax_.get_xlabel() == "iteration"


def test_estimators_without_names_are_numbered():
    display = LossCurveDisplay.from_estimators([network().fit(X, y), network(solver="sgd").fit(X, y)])
    assert entries(display.ax_) == ["BackpropClassifier 0", "BackpropClassifier 1"]
    assert display.ax_.get_xlabel() == "epoch"


def test_the_name_is_in_the_legend():
    assert entries(LossCurveDisplay.from_estimator(network().fit(X, y), name="small").ax_) == ["small"]
    display = LossCurveDisplay.from_estimator(ensemble().fit(X, y), name="all")
    assert entries(display.ax_) == ["all", "objective", "loss on validation data", "best epoch"]
    assert len({line.get_color() for line in display.lines_["loss"]}) == 1


def test_scikit_learns_classifier_is_drawn_too():
    mlp = MLPClassifier(4, max_iter=10, early_stopping=True, random_state=0).fit(X, y)
    display = LossCurveDisplay.from_estimator(mlp, panels=["loss", "score"])
    assert points(display.lines_["loss"][0])[1] == mlp.loss_curve_
    assert points(display.lines_["validation_score"][0])[1] == list(mlp.validation_scores_)
    assert display.lines_["validation_loss"] == [None]
    assert display.best_ == []


def test_the_scales_are_as_given_but_linear_for_scores():
    clf = stopped()
    for xscale, yscale in [("linear", "linear"), ("log", "log"), ("linear", "log")]:
        axes = LossCurveDisplay.from_estimator(clf, panels=list(PANELS), xscale=xscale, yscale=yscale).ax_
        assert [ax.get_xscale() for ax in axes] == [xscale] * 3
        assert [ax.get_yscale() for ax in axes] == [yscale, "linear", yscale]


def test_panels_are_drawn_on_the_given_axes():
    clf = stopped()
    figure, axes = plt.subplots(1, 2)
    display = LossCurveDisplay.from_estimator(clf, panels=["score", "loss"], ax=axes)
    assert list(display.ax_) == list(axes)
    assert display.lines_["validation_score"][0].axes is axes[0]
    assert display.lines_["loss"][0].axes is axes[1]
    display.plot(list(axes), panels=["loss", "learning_rate"])
    assert display.lines_["loss"][0].axes is axes[0]
    with pytest.raises(ValueError, match=r"ax has 2 axes for 1 panels, \['loss'\]: pass one for each panel, or None"):
        display.plot(axes)
    with pytest.raises(ValueError, match=r"ax has 1 axes for 2 panels"):
        display.plot(axes[0], panels=["loss", "score"])
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("panel", "clf", "message"),
    [
        ("score", network(), "no network has validation_scores_: fit with early_stopping=True or X_val"),
        ("learning_rate", network(solver="lbfgs"), "no network has learning_rate_curve_: only the stochastic solvers"),
    ],
)
def test_an_empty_panel_is_an_error_that_says_what_is_missing(panel, clf, message):
    with pytest.raises(ValueError, match=f"There is nothing to draw in the panel '{panel}', since {message}"):
        LossCurveDisplay.from_estimator(clf.fit(X, y), panels=["loss", panel])


def test_a_network_that_was_not_trained_has_nothing_to_draw():
    clf = BackpropClassifier.from_weights([np.ones((4, 1))], [np.zeros(1)], classes=[0, 1])
    with pytest.raises(ValueError, match="no network has loss_curve_: it has not been trained"):
        LossCurveDisplay.from_estimator(clf)
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(network())


def test_unknown_panels_and_no_estimators_are_errors():
    with pytest.raises(ValueError, match=r"panels='los' must be one of \['loss', 'score', 'learning_rate'\]"):
        LossCurveDisplay.from_estimator(network().fit(X, y), panels="los")
    for nothing in ({}, []):
        with pytest.raises(ValueError, match="estimators is empty"):
            LossCurveDisplay.from_estimators(nothing)


def test_estimators_that_are_no_networks_are_refused_by_name():
    clf = network().fit(X, y)
    for given in (None, clf, make_pipeline(clf), "clf", iter([clf])):
        with pytest.raises(TypeError, match=r"'estimators' parameter of LossCurveDisplay.from_estimators must be"):
            LossCurveDisplay.from_estimators(given)
    for given, name in [({"one": clf, "other": None}, "other"), ([clf, StandardScaler()], "StandardScaler 1")]:
        with pytest.raises(TypeError, match=rf"^The estimator '{name}' of estimators is of type .*: pass a Backprop"):
            LossCurveDisplay.from_estimators(given)


def test_the_numbers_of_names_and_best_epochs_must_match_the_curves():
    with pytest.raises(ValueError, match="names has 1 elements for 2 curves: pass one for each network"):
        LossCurveDisplay([{"loss": [1.0]}, {"loss": [2.0]}], ["a"]).plot()
    with pytest.raises(ValueError, match="best_iters has 2 elements for 1 curves: pass one for each network"):
        LossCurveDisplay([{"loss": [1.0]}], ["a"], best_iters=[1, 1]).plot()


def test_curves_of_the_user_are_drawn_without_gaps():
    display = LossCurveDisplay(
        [{"loss": [3.0, 2.0, 1.0], "validation_loss": [np.nan, 2.5, np.nan]}, {"loss": [4.0], "validation_loss": None}],
        ["a", "b"],
        best_iters=[2, None],
        unit="iteration",
    ).plot()
    assert [points(line) for line in display.lines_["loss"]] == [[[1, 2, 3], [3.0, 2.0, 1.0]], [[1], [4.0]]]
    assert points(display.lines_["validation_loss"][0]) == [[2], [2.5]]
    assert [points(dot) for dot in display.best_] == [[[2], [2.0]], [[2], [2.5]]]
    assert display.ax_.get_xlabel() == "iteration"
