"""What reaches each layer: activations on the way forward, the gradient on the way back."""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._param_validation import validate_parameter_constraints

from skbp.inspection import _axes, _subject

# Of each quantity the colour, the marker and what the legend calls it.
STYLES = {
    "activation": ("tab:blue", "o", "activation $a_l$ (output: $z_L$)"),
    "delta": ("tab:red", "s", "gradient by $z_l$ of a row's loss"),
    "gradient": ("tab:green", "^", "gradient by $W_l$ of the mean loss"),
}
# Of the first display on some axes, of the second, ...
DASHES = ("-", "--", ":", "-.")
CONSTRAINTS: dict = {"name": [str, None]}


class GradientFlowDisplay:
    """The size of activations and gradients, layer by layer, on given data.

    Where the deltas fall from the output to the input by a factor in each layer, the first layers learn next to nothing: the
    gradient vanishes. Where they rise, it explodes. Where activations fall towards the output, a row's signal is lost on the
    way. All sizes are root mean squares, and the axis is logarithmic: a constant factor is a straight line.

    Parameters
    ----------
    activation : ndarray of shape (n_layers,)
        Of a_l over rows and units, from the input a_0 to the output, whose a_L is z_L.
    delta : ndarray of shape (n_layers - 1,)
        Of n_samples times delta_l, which for rows of equal weight is the derivative of a row's own loss by its z_l, over
        rows and units, from the first hidden layer to the output.
    gradient : ndarray of shape (n_layers - 1,)
        Of the derivative of the mean loss by the weights W_l, over the weights of the layer, without the penalty's, which
        would not let it vanish.
    name : str, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of Line2D
        "activation", "delta" and "gradient".

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.

    Examples
    --------
    Five layers of logistic units, before training: from layer to layer the gradient loses most of its size.

    >>> from sklearn.datasets import load_digits
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import GradientFlowDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = BackpropClassifier((32,) * 5, "logistic", random_state=0)
    >>> display = GradientFlowDisplay.from_estimator(clf, X / 16, y)
    >>> bool((display.delta[1:] > 3 * display.delta[:-1]).all())
    True
    """

    def __init__(self, activation, delta, gradient, *, name=None):
        self.activation = activation
        self.delta = delta
        self.gradient = gradient
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, sample_weight=None, *, name=None, ax=None):
        """Draw the sizes of a classifier's activations and gradients.

        Parameters
        ----------
        estimator : BackpropClassifier, or a pipeline that ends in one
            Fitted, or not: then at random initial weights. The steps of a pipeline before it are fitted. Of a
            BackpropClassifierCV, one of its `members_`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some hundred rows tell as much as all; the memory that it takes grows with them.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss.
        name : str, default=None
            For the legend, where several networks are drawn on the same axes.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : GradientFlowDisplay

        Raises
        ------
        TypeError
            If the estimator is no BackpropClassifier, or an argument is of another type.
        ValueError
            If the data are not as `fit` would have them, or a size is not finite.
        """
        arguments = {"name": name}
        validate_parameter_constraints(CONSTRAINTS, arguments, caller_name="GradientFlowDisplay.from_estimator")
        with _subject.network_and_rows(estimator, "estimator", X) as (network, rows):
            function = _subject.exact(network, alpha=0.0).objective(rows, y, sample_weight)
            tape = function.tape(function.theta0)
            gradients, _ = _subject.by_layer(function.gradient(function.theta0), [a.shape[1] for a in tape.a])
            n_rows = len(tape.a[1])
            activation = np.array([_size(a) for a in tape.a])
            delta = np.array([_size(delta) * n_rows for delta in tape.delta[1:]])
            gradient = np.array([_size(weights) for weights in gradients])
        for sizes, what in [(activation, "activations"), (delta, "deltas"), (gradient, "gradients")]:
            _subject.check_finite(sizes, f"The {what} of the network on these rows are")
        display = cls(activation, delta, gradient, name=name)
        return display.plot(ax)

    @np.errstate(all="ignore")
    def plot(self, ax=None):
        """Draw the sizes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure. On the axes of another of these displays the lines are dashed otherwise.

        Returns
        -------
        display : GradientFlowDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If an argument is of another type.
        """
        self.ax_ = _axes.axes("GradientFlowDisplay.plot", ax, (7.0, 4.8))
        self.figure_ = self.ax_.figure
        n_layers = len(self.activation)
        dashes = DASHES[len(self._lines_of("activation")) % len(DASHES)]
        self.lines_ = {}
        for quantity, (color, marker, _) in STYLES.items():
            sizes = getattr(self, quantity)
            layers = np.arange(n_layers - len(sizes), n_layers)
            style = {"color": color, "marker": marker, "linestyle": dashes, "label": self.name or "_unnamed"}
            (self.lines_[quantity],) = self.ax_.plot(layers, sizes, gid=quantity, **style)
        self.ax_.set_xticks(range(n_layers), ["input", *map(str, range(1, n_layers - 1)), "output"])
        self.ax_.set(yscale="log", xlabel="layer", ylabel="root mean square")
        self.ax_.grid(alpha=0.3)
        self._add_legend()
        return self

    def _lines_of(self, quantity):
        """The lines of all displays on the axes."""
        return [line for line in self.ax_.lines if line.get_gid() == quantity]

    def _add_legend(self):
        """Colours are quantities, dashes are networks, which have an entry each if they have names."""
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=color, marker=marker, label=label) for color, marker, label in STYLES.values()]
        for line in self._lines_of("activation"):
            if not line.get_label().startswith("_"):
                handles.append(Line2D([], [], color="gray", linestyle=line.get_linestyle(), label=line.get_label()))
        self.ax_.legend(handles=handles)


def _size(values):
    """The root mean square of all elements, of a sparse array too.

    They are divided by the largest before squares are taken: those of a vanishing gradient would be 0, those of an exploding
    one inf.
    """
    largest = float(abs(values).max())
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    relative = values / largest
    square = relative.multiply(relative) if issparse(relative) else np.square(relative)
    return largest * float(np.sqrt(square.mean()))
