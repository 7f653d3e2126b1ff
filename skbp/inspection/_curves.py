"""Curves of training: the objective, the loss and score on validation data, and the learning rate of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils._param_validation import StrOptions, validate_parameter_constraints

from skbp.inspection import _axes, _subject

if TYPE_CHECKING:
    from typing import Literal, Self, TypeAlias

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from skbp.inspection._subject import Networks

    Panel: TypeAlias = Literal["loss", "score", "learning_rate"]
    Scale: TypeAlias = Literal["linear", "log"]

# For each panel: its curves, the label of its y-axis, and the end of the error message if no network has these curves.
PANELS = {
    "loss": (("loss", "validation_loss"), "loss", "loss_curve_: it has not been trained"),
    "score": (("validation_score",), "validation score", "validation_scores_: fit with early_stopping=True or X_val"),
    "learning_rate": (
        ("learning_rate",),
        "learning rate",
        "learning_rate_curve_: only the stochastic solvers have one",
    ),
}
# The fitted attribute that holds each curve.
CURVES = {
    "loss": "loss_curve_",
    "validation_loss": "validation_loss_curve_",
    "validation_score": "validation_scores_",
    "learning_rate": "learning_rate_curve_",
}
PANEL_SIZE = 6.4, 4.0  # inches
CONSTRAINTS: dict = {
    "estimators": [Mapping, list, tuple],
    "name": [str, None],
    "xscale": [StrOptions({"linear", "log"})],
    "yscale": [StrOptions({"linear", "log"})],
}


class LossCurveDisplay:
    """Curves of the training of one or more networks.

    Use `from_estimator` or `from_estimators` to create one. If a network was trained with early stopping, a dot marks its
    best epoch, the one with the weights that it kept, on each of its curves except the learning rate.

    Parameters
    ----------
    curves : list of dict
        For each network its curves by name: "loss", "validation_loss", "validation_score" and "learning_rate". A curve is
        a sequence with one number for each epoch, nan where there is none. Curves that are missing or None are not drawn.
    names : list of str
        The name of each network for the legend, "" for none. Networks with the same name, such as the members of an
        ensemble, share one colour and one entry in the legend.
    best_iters : list of (int or None), default=None
        The best epoch of each network, counted from 1, or None to mark no epoch.
    unit : {"epoch", "iteration"}, default="epoch"
        The label of the x-axis: what each number of a curve belongs to.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of Axes
        The axes; an array if there are several panels.
    figure_ : matplotlib Figure
        The figure of the axes.
    lines_ : dict of list of (Line2D or None)
        For each curve of the panels, by the names of `curves`, the line of each network, or None if the network has no such
        curve.
    best_ : list of Line2D
        The dots at the best epochs.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : The score as the number of rows grows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import LossCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = BackpropClassifier(20, early_stopping=True, n_iter_no_change=3, tol=0.01, random_state=0).fit(X / 16, y)
    >>> display = LossCurveDisplay.from_estimator(clf, panels=["loss", "score"])
    >>> len(display.lines_["validation_score"][0].get_xdata()) == clf.n_iter_
    True
    """

    curves: Sequence[Mapping[str, Sequence[float] | None]]
    names: Sequence[str]
    best_iters: Sequence[int | None] | None
    unit: Literal["epoch", "iteration"]
    # Axes or an array of Axes: with a union of both, type checkers would reject every use without a test of the type.
    ax_: Any
    figure_: Figure | Any  # a SubFigure, if the given axes are in one
    lines_: dict[str, list[Line2D | Any]]  # Any for None, with which each use would need a test
    best_: list[Line2D]

    def __init__(
        self,
        curves: Sequence[Mapping[str, Sequence[float] | None]],
        names: Sequence[str],
        *,
        best_iters: Sequence[int | None] | None = None,
        unit: Literal["epoch", "iteration"] = "epoch",
    ) -> None:
        self.curves = curves
        self.names = names
        self.best_iters = best_iters
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Networks,
        *,
        name: str | None = None,
        panels: Panel | Sequence[str] = "loss",
        xscale: Scale = "linear",
        yscale: Scale = "linear",
        ax: Axes | Sequence[Axes] | NDArray[np.object_] | None = None,
    ) -> Self:
        """Draw the curves of one classifier, or of each member of an ensemble.

        Parameters
        ----------
        estimator : BackpropClassifier, BackpropClassifierCV, MLPClassifier, or a pipeline that ends in one
            The fitted estimator.
        name : str, default=None
            The name in the legend. If None, a single network has no name, and the members of an ensemble are called
            "member 0", "member 1", ...
        panels : {"loss", "score", "learning_rate"} or a list of them, default="loss"
            What to draw; see `plot`.
        xscale, yscale : {"linear", "log"}, default="linear"
            The scales of the axes; see `plot`.
        ax : matplotlib Axes or array-like of Axes, default=None
            Where to draw; see `plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator is not a network or an ensemble, or another argument has the wrong type.
        ValueError
            If a panel has nothing to draw, or an argument is not one of the allowed values.
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        """
        validate_parameter_constraints(CONSTRAINTS, {"name": name}, caller_name="LossCurveDisplay.from_estimator")
        networks = _subject.fitted_networks(estimator)
        if name is not None:
            names = [name] * len(networks)
        else:
            names = [f"member {i}" for i in range(len(networks))] if len(networks) > 1 else [""]
        return cls._of(networks, names).plot(ax, panels=panels, xscale=xscale, yscale=yscale)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Networks] | Sequence[Networks],
        *,
        panels: Panel | Sequence[str] = "loss",
        xscale: Scale = "linear",
        yscale: Scale = "linear",
        ax: Axes | Sequence[Axes] | NDArray[np.object_] | None = None,
    ) -> Self:
        """Draw the curves of several classifiers together.

        Parameters
        ----------
        estimators : dict of str to estimator, or list of estimators
            The fitted estimators, each as for `from_estimator`, by name. In a list their names are their type and number.
            The members of an ensemble share its name and colour.
        panels : {"loss", "score", "learning_rate"} or a list of them, default="loss"
            What to draw; see `plot`.
        xscale, yscale : {"linear", "log"}, default="linear"
            The scales of the axes; see `plot`.
        ax : matplotlib Axes or array-like of Axes, default=None
            Where to draw; see `plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an estimator is not a network or an ensemble, or another argument has the wrong type.
        ValueError
            If `estimators` is empty, a panel has nothing to draw, or an argument is not one of the allowed values.
        sklearn.exceptions.NotFittedError
            If a classifier is not fitted.
        """
        arguments = {"estimators": estimators}
        validate_parameter_constraints(CONSTRAINTS, arguments, caller_name="LossCurveDisplay.from_estimators")
        if not isinstance(estimators, Mapping):
            estimators = {
                f"{type(_subject.last_step(estimator)).__name__} {i}": estimator
                for i, estimator in enumerate(estimators)
            }
        if not estimators:
            raise ValueError("estimators is empty: pass at least one fitted classifier.")
        networks, names = [], []
        for name, estimator in estimators.items():
            found = _subject.fitted_networks(estimator, f"The estimator {name!r} of estimators")
            networks += found
            names += [str(name)] * len(found)
        return cls._of(networks, names).plot(ax, panels=panels, xscale=xscale, yscale=yscale)

    @np.errstate(all="ignore")  # matplotlib's own arithmetic may underflow
    def plot(
        self,
        ax: Axes | Sequence[Axes] | NDArray[np.object_] | None = None,
        *,
        panels: Panel | Sequence[str] = "loss",
        xscale: Scale = "linear",
        yscale: Scale = "linear",
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            One Axes for each panel. None makes a figure with the panels below each other.
        panels : {"loss", "score", "learning_rate"} or a list of them, default="loss"
            "loss" draws the objective and, as a dashed line, the loss on validation data. "score" draws the score on
            validation data. "learning_rate" draws the learning rate at the start of each epoch.
        xscale : {"linear", "log"}, default="linear"
            The scale of the epochs.
        yscale : {"linear", "log"}, default="linear"
            The scale of losses and learning rates. Scores always have a linear axis.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an argument has the wrong type.
        ValueError
            If a panel or a scale is unknown, no network has a curve for a panel, the number of axes differs from the number
            of panels, or the number of names or best epochs differs from the number of networks.
        """
        _axes.pyplot("LossCurveDisplay.plot")
        arguments = {"xscale": xscale, "yscale": yscale}
        validate_parameter_constraints(CONSTRAINTS, arguments, caller_name="LossCurveDisplay.plot")
        shown = _checked_panels(panels)
        self._check(shown)
        axes = self._axes_for(shown, ax)
        self.ax_ = axes[0] if len(axes) == 1 else axes
        self.figure_ = axes[0].figure
        self.lines_ = {curve: [] for panel in shown for curve in PANELS[panel][0]}
        self.best_ = []
        for panel, panel_axes in zip(shown, axes, strict=True):
            self._draw(panel, panel_axes)
            panel_axes.set(ylabel=PANELS[panel][1], xscale=xscale, yscale="linear" if panel == "score" else yscale)
            if panel == "loss" and not any(self.lines_["validation_loss"]):
                panel_axes.set_ylabel("objective")
            panel_axes.grid(alpha=0.3)
        axes[-1].set_xlabel(self.unit)
        self._add_legend(axes[0])
        return self

    @classmethod
    def _of(cls, networks: Sequence[Any], names: Sequence[str]) -> Self:
        """Create the display of fitted networks."""
        curves = [{curve: getattr(net, attribute, None) for curve, attribute in CURVES.items()} for net in networks]
        # Without early stopping a network keeps its last weights. A best_iter_ of 0 means the initial weights, which the
        # curves do not show.
        best_iters = [getattr(net, "best_iter_", 0) or None if net.early_stopping else None for net in networks]
        # t_ counts the rows that mini-batch solvers have seen, here and in scikit-learn; other solvers leave it at 0.
        in_epochs = all(net.t_ > 0 for net in networks)
        return cls(curves, names, best_iters=best_iters, unit="epoch" if in_epochs else "iteration")

    def _check(self, panels: Sequence[str]) -> None:
        """Raise ValueError if a name or best epoch is missing or a panel has nothing to show."""
        for argument, values in [("names", self.names), ("best_iters", self.best_iters)]:
            if values is not None and len(values) != len(self.curves):
                raise ValueError(
                    f"{argument} has {len(values)} elements for {len(self.curves)} curves: pass one for each network."
                )
        for panel in panels:
            shown, _, missing = PANELS[panel]
            if not any(_has(network.get(curve)) for network in self.curves for curve in shown):
                raise ValueError(f"There is nothing to draw in the panel {panel!r}, since no network has {missing}.")

    @staticmethod
    def _axes_for(panels: Sequence[str], ax: Any) -> NDArray[np.object_]:
        """Return an array with one Axes for each panel."""
        if ax is None:
            width, height = PANEL_SIZE
            plt = _axes.pyplot("LossCurveDisplay.plot")
            size = width, height * (1 + 0.6 * (len(panels) - 1))
            _, ax = plt.subplots(len(panels), figsize=size, sharex=True, squeeze=False, layout="constrained")
        axes = np.array([ax] if not isinstance(ax, (Sequence, np.ndarray)) else ax, dtype=object).ravel()
        for one in axes:
            _axes.check_axes("LossCurveDisplay.plot", one)
        if len(axes) != len(panels):
            raise ValueError(
                f"ax has {len(axes)} axes for {len(panels)} panels, {panels}: pass one for each panel, or None."
            )
        return axes

    def _draw(self, panel: str, ax: Axes) -> None:
        """Draw the curves of one panel; each name has its own colour."""
        colours = {name: f"C{i % 10}" for i, name in enumerate(dict.fromkeys(self.names))}
        labelled = set()
        for network, name, best in zip(
            self.curves, self.names, self.best_iters or [None] * len(self.names), strict=True
        ):
            for curve in PANELS[panel][0]:
                values = network.get(curve)
                if values is None or len(values) == 0:
                    self.lines_[curve].append(None)
                    continue
                dashes = "--" if curve == "validation_loss" else "-"
                label = None  # only the first line of a name has an entry in the legend
                if name not in labelled and curve != "validation_loss":
                    label = name or ("objective" if curve == "loss" else None)
                    labelled.add(name)
                # Members of an ensemble are evaluated once in several epochs. The line connects these epochs.
                y = np.asarray(values, dtype=np.float64)
                seen = np.flatnonzero(~np.isnan(y))
                # The lines of an ensemble's members overlap, so they are thin.
                width = 1.5 if self.names.count(name) == 1 else 0.8
                (line,) = ax.plot(
                    seen + 1, y[seen], label=label, linewidth=width, color=colours[name], linestyle=dashes
                )
                self.lines_[curve].append(line)
                if best is not None and panel != "learning_rate" and best - 1 in seen:
                    self.best_ += ax.plot([best], [y[best - 1]], "o", color=colours[name], markeredgecolor="white")

    def _add_legend(self, ax: Axes) -> None:
        """List the names of the networks, and explain dashes and dots if there are any."""
        from matplotlib.lines import Line2D

        handles, _ = ax.get_legend_handles_labels()
        # One colour stands for itself. If there are several, gray says that the entry holds for all of them.
        color = "C0" if len(set(self.names)) == 1 else "gray"
        if any(self.lines_.get("validation_loss", [])):
            if any(self.names):
                handles.append(Line2D([], [], linestyle="-", label="objective", color=color))
            handles.append(Line2D([], [], linestyle="--", label="loss on validation data", color=color))
        if self.best_:
            handles.append(Line2D([], [], linestyle="", marker="o", label="best epoch", color=color))
        if handles:
            ax.legend(handles=handles)


def _checked_panels(panels: Any) -> list[str]:
    """Return the panels as a list of known names without repetition."""
    listed = [panels] if isinstance(panels, str) else list(panels) if np.iterable(panels) else []
    known = all(isinstance(panel, str) and panel in PANELS for panel in listed)
    if not listed or not known or len(set(listed)) < len(listed):
        raise ValueError(f"panels={panels!r} must be one of {list(PANELS)}, or a list of them without repetition.")
    return listed


def _has(curve: Sequence[float] | None) -> bool:
    return curve is not None and len(curve) > 0
