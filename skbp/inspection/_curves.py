"""How training went: the objective, what validation data said, and the learning rate, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.utils._param_validation import StrOptions, validate_parameter_constraints

from skbp.inspection import _axes, _subject

# For each panel the curves that it shows, the label of its y-axis, and what is missing where there are none.
PANELS = {
    "loss": (("loss", "validation_loss"), "loss", "loss_curve_: it has not been trained"),
    "score": (("validation_score",), "validation score", "validation_scores_: fit with early_stopping=True or X_val"),
    "learning_rate": (
        ("learning_rate",),
        "learning rate",
        "learning_rate_curve_: only the stochastic solvers have one",
    ),
}
CURVES = {
    "loss": "loss_curve_",
    "validation_loss": "validation_loss_curve_",
    "validation_score": "validation_scores_",
    "learning_rate": "learning_rate_curve_",
}
PANEL_SIZE = 6.4, 4.0
CONSTRAINTS: dict = {
    "estimators": [Mapping, list, tuple],
    "name": [str, None],
    "xscale": [StrOptions({"linear", "log"})],
    "yscale": [StrOptions({"linear", "log"})],
}


class LossCurveDisplay:
    """The course of training of one network or several.

    It is best made by `from_estimator` or `from_estimators`. A network trained with early stopping has its best epoch, whose
    weights it kept, marked by a dot on each of its curves but the learning rate.

    Parameters
    ----------
    curves : list of dict
        For each network what is known of "loss", "validation_loss", "validation_score" and "learning_rate": a sequence with
        a number for each epoch, nan where there is none; what is left out or None is not drawn.
    names : list of str
        Of each network, "" for none. Those of the same name, such as members of one ensemble, have one colour and one entry
        in the legend.
    best_iters : list of (int or None), default=None
        The best epoch of each, counted from 1; None to mark none.
    unit : {"epoch", "iteration"}, default="epoch"
        What the curves have a number for.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of Axes
        The axes, of several panels an array.
    figure_ : matplotlib Figure
    lines_ : dict
        For each of "loss", "validation_loss", "validation_score" and "learning_rate" that is shown a list with a Line2D for
        each network, None where it has no such curve.
    best_ : list of Line2D
        The dots of the best epochs.

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

    def __init__(self, curves, names, *, best_iters=None, unit="epoch"):
        self.curves = curves
        self.names = names
        self.best_iters = best_iters
        self.unit = unit

    @classmethod
    def from_estimator(cls, estimator, *, name=None, panels="loss", xscale="linear", yscale="linear", ax=None):
        """Draw the course of training of a classifier, or of each member of an ensemble.

        Parameters
        ----------
        estimator : BackpropClassifier, BackpropClassifierCV, MLPClassifier, or a pipeline that ends in one
            Fitted.
        name : str, default=None
            For the legend. None is none, or "member 0", "member 1", ... of an ensemble.
        panels : {"loss", "score", "learning_rate"} or a list of them, default="loss"
            What to draw; see `plot`.
        xscale, yscale : {"linear", "log"}, default="linear"
            Of the axes; see `plot`.
        ax : matplotlib Axes or array-like of Axes, default=None
            Where to draw; see `plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError
            If the estimator is no network, or an argument is of another type.
        ValueError
            If there is nothing to draw in a panel, or an argument is none of those allowed.
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
    def from_estimators(cls, estimators, *, panels="loss", xscale="linear", yscale="linear", ax=None):
        """Draw the courses of training of several classifiers together.

        Parameters
        ----------
        estimators : dict of str to estimator, or list of estimators
            Fitted, each as for `from_estimator`, with its name; without names they are numbered. The members of an ensemble
            have its name and colour.
        panels : {"loss", "score", "learning_rate"} or a list of them, default="loss"
            What to draw; see `plot`.
        xscale, yscale : {"linear", "log"}, default="linear"
            Of the axes; see `plot`.
        ax : matplotlib Axes or array-like of Axes, default=None
            Where to draw; see `plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError
            If an estimator is no network, or an argument is of another type.
        ValueError
            If there are no estimators, there is nothing to draw in a panel, or an argument is none of those allowed.
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
            raise ValueError("estimators is empty: give at least one fitted classifier.")
        networks, names = [], []
        for name, estimator in estimators.items():
            found = _subject.fitted_networks(estimator, f"The estimator {name!r} of estimators")
            networks += found
            names += [str(name)] * len(found)
        return cls._of(networks, names).plot(ax, panels=panels, xscale=xscale, yscale=yscale)

    @np.errstate(all="ignore")
    def plot(self, ax=None, *, panels="loss", xscale="linear", yscale="linear"):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            As many as there are panels; None makes a figure with one panel above the other.
        panels : {"loss", "score", "learning_rate"} or a list of them, default="loss"
            "loss" is the objective and, dashed, the loss on validation data; "score" the score on these; "learning_rate"
            the learning rate at the start of each epoch.
        xscale : {"linear", "log"}, default="linear"
            Of the epochs.
        yscale : {"linear", "log"}, default="linear"
            Of losses and learning rates; scores are always on a linear axis.

        Returns
        -------
        display : LossCurveDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an argument is of another type.
        ValueError
            If a panel or a scale is unknown, no network has anything to draw in a panel, the number of axes is another, or
            there are not as many names as curves.
        """
        _axes.pyplot("LossCurveDisplay.plot")
        arguments = {"xscale": xscale, "yscale": yscale}
        validate_parameter_constraints(CONSTRAINTS, arguments, caller_name="LossCurveDisplay.plot")
        panels = _checked_panels(panels)
        self._check(panels)
        axes = self._axes_for(panels, ax)
        self.ax_ = axes[0] if len(axes) == 1 else axes
        self.figure_ = axes[0].figure
        self.lines_: dict = {curve: [] for panel in panels for curve in PANELS[panel][0]}
        self.best_ = []
        for panel, panel_axes in zip(panels, axes, strict=True):
            self._draw(panel, panel_axes)
            panel_axes.set(ylabel=PANELS[panel][1], xscale=xscale, yscale="linear" if panel == "score" else yscale)
            if panel == "loss" and not any(self.lines_["validation_loss"]):
                panel_axes.set_ylabel("objective")
            panel_axes.grid(alpha=0.3)
        axes[-1].set_xlabel(self.unit)
        self._add_legend(axes[0])
        return self

    @classmethod
    def _of(cls, networks, names):
        """The display of fitted networks."""
        curves = [{curve: getattr(net, attribute, None) for curve, attribute in CURVES.items()} for net in networks]
        # Without early stopping the weights are the last ones; 0 stands for those before the first epoch, off the curve.
        best_iters = [getattr(net, "best_iter_", 0) or None if net.early_stopping else None for net in networks]
        in_epochs = all(net.solver in {"adam", "sgd"} for net in networks)
        return cls(curves, names, best_iters=best_iters, unit="epoch" if in_epochs else "iteration")

    def _check(self, panels):
        """There are as many names as networks, and every panel has something to show."""
        for argument, values in [("names", self.names), ("best_iters", self.best_iters)]:
            if values is not None and len(values) != len(self.curves):
                raise ValueError(f"{argument} has {len(values)} elements for {len(self.curves)} curves: give as many.")
        for panel in panels:
            shown, _, missing = PANELS[panel]
            if not any(_has(network.get(curve)) for network in self.curves for curve in shown):
                raise ValueError(f"There is nothing to draw in the panel {panel!r}, since no network has {missing}.")

    @staticmethod
    def _axes_for(panels, ax):
        """An array of axes, one for each panel."""
        if ax is None:
            width, height = PANEL_SIZE
            plt = _axes.pyplot("LossCurveDisplay.plot")
            size = width, height * (1 + 0.6 * (len(panels) - 1))
            _, ax = plt.subplots(len(panels), figsize=size, sharex=True, squeeze=False, layout="constrained")
        axes = np.array([ax] if not isinstance(ax, (Sequence, np.ndarray)) else ax, dtype=object).ravel()
        for one in axes:
            _axes.check_axes("LossCurveDisplay.plot", one)
        if len(axes) != len(panels):
            raise ValueError(f"ax has {len(axes)} axes for {len(panels)} panels, {panels}: give as many, or None.")
        return axes

    def _draw(self, panel, ax):
        """The curves of one panel, each name in a colour of its own."""
        colours = {name: f"C{i % 10}" for i, name in enumerate(dict.fromkeys(self.names))}
        labelled = set()
        for network, name, best in zip(
            self.curves, self.names, self.best_iters or [None] * len(self.names), strict=True
        ):
            for curve in PANELS[panel][0]:
                if not _has(network.get(curve)):
                    self.lines_[curve].append(None)
                    continue
                style = {"color": colours[name], "linestyle": "--" if curve == "validation_loss" else "-"}
                label = None
                if name not in labelled and curve != "validation_loss":
                    label = name or ("objective" if curve == "loss" else None)
                    labelled.add(name)
                # Members are looked at once in several epochs only: the line goes from one look to the next.
                y = np.asarray(network[curve], dtype=np.float64)
                seen = np.flatnonzero(~np.isnan(y))
                width = 1.5 if self.names.count(name) == 1 else 0.8
                (line,) = ax.plot(seen + 1, y[seen], label=label, linewidth=width, **style)
                self.lines_[curve].append(line)
                if best is not None and panel != "learning_rate" and best - 1 in seen:
                    self.best_ += ax.plot([best], [y[best - 1]], "o", color=colours[name], markeredgecolor="white")

    def _add_legend(self, ax):
        """The names of the networks; what dashes and dots mean, if there are any."""
        from matplotlib.lines import Line2D

        handles, _ = ax.get_legend_handles_labels()
        color = "C0" if len(set(self.names)) == 1 else "gray"
        if any(self.lines_.get("validation_loss", [])):
            if any(self.names):
                handles.append(Line2D([], [], linestyle="-", label="objective", color=color))
            handles.append(Line2D([], [], linestyle="--", label="loss on validation data", color=color))
        if self.best_:
            handles.append(Line2D([], [], linestyle="", marker="o", label="best epoch", color=color))
        if handles:
            ax.legend(handles=handles)


def _checked_panels(panels):
    """The panels as a list."""
    listed = [panels] if isinstance(panels, str) else list(panels) if np.iterable(panels) else []
    known = all(isinstance(panel, str) and panel in PANELS for panel in listed)
    if not listed or not known or len(set(listed)) < len(listed):
        raise ValueError(f"panels={panels!r} must be one of {list(PANELS)}, or a list of one or several of them.")
    return listed


def _has(curve):
    return curve is not None and len(curve) > 0
