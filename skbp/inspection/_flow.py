"""The size of activations and gradients in each layer: signals that vanish or explode on the way through a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._param_validation import validate_parameter_constraints

from skbp.inspection import _axes, _subject

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

    from skbp.inspection._subject import DifferentiableNetwork, FloatArray, Sparse

# For each quantity: colour, marker and entry in the legend.
STYLES = {
    "activation": ("tab:blue", "o", "activation $a_l$ (output: $z_L$)"),
    "delta": ("tab:red", "s", "gradient by $z_l$ of a row's loss"),
    "gradient": ("tab:green", "^", "gradient by $W_l$ of the mean loss"),
}
# The line style of the first display on the same axes, of the second, and so on.
DASHES = ("-", "--", ":", "-.")
CONSTRAINTS: dict = {"name": [str, None]}


class GradientFlowDisplay:
    """The size of activations and gradients in each layer, on given data.

    If the deltas fall by a factor in each layer from the output to the input, the gradient vanishes: the first layers learn
    almost nothing. If they grow, the gradient explodes. If the activations fall towards the output, the network loses
    the signal of its input. All sizes are root mean squares. The axis is logarithmic, so that a constant factor appears as
    a straight line.

    Parameters
    ----------
    activation : ndarray of shape (n_layers,)
        Root mean square of the activations a_l over rows and units, from the input a_0 to the output. For the output the
        logits z_L are taken.
    delta : ndarray of shape (n_layers - 1,)
        Root mean square of n_samples * delta_l over rows and units, from the first hidden layer to the output. If all rows
        have the same weight, n_samples * delta_l is the derivative of a row's own loss by its z_l.
    gradient : ndarray of shape (n_layers - 1,)
        Root mean square of the derivative of the mean loss by the weights W_l, over the weights of the layer. The penalty
        is left out, since its gradient would hide a vanishing one.
    name : str, default=None
        The name in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure of the axes.
    lines_ : dict of Line2D
        The lines "activation", "delta" and "gradient".

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.

    Examples
    --------
    In a network with five layers of logistic units, before training, the gradient loses most of its size in each layer.

    >>> from sklearn.datasets import load_digits
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import GradientFlowDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = BackpropClassifier((32,) * 5, "logistic", random_state=0)
    >>> display = GradientFlowDisplay.from_estimator(clf, X / 16, y)
    >>> bool((display.delta[1:] > 3 * display.delta[:-1]).all())
    True
    """

    activation: FloatArray
    delta: FloatArray
    gradient: FloatArray
    name: str | None
    ax_: Axes
    figure_: Figure | Any  # a SubFigure, if the given axes are in one
    lines_: dict[str, Line2D]

    def __init__(
        self, activation: FloatArray, delta: FloatArray, gradient: FloatArray, *, name: str | None = None
    ) -> None:
        self.activation = activation
        self.delta = delta
        self.gradient = gradient
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: DifferentiableNetwork,
        X: ArrayLike | Sparse,
        y: ArrayLike | Sparse,
        sample_weight: ArrayLike | None = None,
        *,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the sizes of a classifier's activations and gradients.

        Parameters
        ----------
        estimator : BackpropClassifier, or a pipeline that ends in one
            The network. If it is not fitted, it has random initial weights. The other steps of a pipeline must be fitted.
            For a BackpropClassifierCV, pass one of its `members_`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows. Some hundred rows show as much as all; memory grows with their number.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            The labels. A fitted classifier must know them.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows in the loss. None means that each weight is 1.
        name : str, default=None
            The name in the legend, to tell several networks on the same axes apart.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : GradientFlowDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator is not a BackpropClassifier, or another argument has the wrong type.
        ValueError
            If `fit` would reject the data, a fitted classifier does not know a label, or a size is not finite.
        """
        arguments = {"name": name}
        validate_parameter_constraints(CONSTRAINTS, arguments, caller_name="GradientFlowDisplay.from_estimator")
        with _subject.network_and_rows(estimator, "estimator", X) as (network, rows):
            function = _subject.exact_objective(network, "estimator", rows, y, sample_weight, alpha=0.0)
            tape = function.tape(function.theta0)
            gradients, _ = _subject.by_layer(function.gradient(function.theta0), [a.shape[1] for a in tape.a])
            n_rows = len(tape.a[1])
            activation = np.array([_size(a) for a in tape.a])
            # The tape's delta is the derivative of the mean loss, which falls with the number of rows.
            delta = np.array([_size(delta) * n_rows for delta in tape.delta[1:]])
            gradient = np.array([_size(weights) for weights in gradients])
        for sizes, what in [(activation, "activations"), (delta, "deltas"), (gradient, "gradients")]:
            _subject.check_finite(sizes, f"The {what} of the network on these rows are")
        display = cls(activation, delta, gradient, name=name)
        return display.plot(ax)

    @np.errstate(all="ignore")  # the logarithm of a size of 0 is not an error
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the sizes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure. Displays on the same axes have different line styles.

        Returns
        -------
        display : GradientFlowDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `ax` is not matplotlib Axes.
        """
        self.ax_ = _axes.axes("GradientFlowDisplay.plot", ax, (7.0, 4.8))
        self.figure_ = self.ax_.figure
        n_layers = len(self.activation)
        dashes = DASHES[len(self._lines_of("activation")) % len(DASHES)]
        self.lines_ = {}
        for quantity, (color, marker, _) in STYLES.items():
            sizes = getattr(self, quantity)
            layers = np.arange(n_layers - len(sizes), n_layers)
            # matplotlib leaves labels that start with an underscore out of the legend.
            style: dict[str, Any] = {"color": color, "marker": marker, "linestyle": dashes, "gid": quantity}
            (self.lines_[quantity],) = self.ax_.plot(layers, sizes, label=self.name or "_unnamed", **style)
        self.ax_.set_xticks(range(n_layers), ["input", *map(str, range(1, n_layers - 1)), "output"])
        self.ax_.set(yscale="log", xlabel="layer", ylabel="root mean square")
        self.ax_.grid(alpha=0.3)
        self._add_legend()
        return self

    def _lines_of(self, quantity: str) -> list[Line2D]:
        """The lines of one quantity, of all displays on the axes."""
        return [line for line in self.ax_.lines if line.get_gid() == quantity]

    def _add_legend(self) -> None:
        """Explain each colour, which stands for a quantity, and the line style of each network that has a name."""
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=color, marker=marker, label=label) for color, marker, label in STYLES.values()]
        for line in self._lines_of("activation"):
            label = str(line.get_label())
            if not label.startswith("_"):
                handles.append(Line2D([], [], color="gray", linestyle=line.get_linestyle(), label=label))
        self.ax_.legend(handles=handles)


def _size(values: Any) -> float:
    """The root mean square of all elements of a dense or sparse array."""
    largest = float(abs(values).max())
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    # Without this division the squares of a vanishing gradient would be 0, and those of an exploding one inf.
    relative = values / largest
    square = relative.multiply(relative) if issparse(relative) else np.square(relative)
    return largest * float(np.sqrt(square.mean()))
