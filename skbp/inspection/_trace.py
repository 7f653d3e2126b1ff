"""All numbers of one sample's forward and backward pass, each beside its formula, to learn from and to check."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from skbp.inspection import _subject

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike

    from skbp import BackpropClassifier
    from skbp.inspection._subject import DifferentiableNetwork, FloatArray, Sparse

    # The number of an equation, a formula, and its value.
    Line: TypeAlias = tuple[str, str, ArrayLike]

# The largest number of rows and columns of an array that are printed. Dots stand for the others.
MOST_ROWS, MOST_COLUMNS = 6, 6

# Replacements of plain text in HTML.
SYMBOLS = {
    "delta": "&delta;",
    "alpha": "&alpha;",
    "sum": "&Sigma;",
    "dF/d": "&part;F/&part;",
    "||": "&Vert;",
    " * ": " &odot; ",
    "1/2": "&frac12;",
    "-": "&minus;",
}


@dataclass(frozen=True)
class Trace:
    """The numbers of one sample's forward and backward pass; `trace` computes them.

    Each list has one entry for each layer l = 0..L, as in the formulas, or None where a layer has no such number. For
    example, ``coefs[1]`` is W_1 and ``coefs[0]`` is None. `print` shows a table of formulas and values.

    Attributes
    ----------
    coefs : list of (ndarray of shape (fan_in, fan_out) or None)
        The weights W_l.
    intercepts : list of (ndarray of shape (n_units,) or None)
        The biases b_l.
    z : list of (ndarray of shape (n_units,) or None)
        The weighted sums z_l.
    a : list of ndarray of shape (n_units,)
        The activations a_l. ``a[0]`` is the sample. ``a[L]`` are the logits, the same as ``z[L]``.
    slope : list of (ndarray of shape (n_units,) or None)
        The slopes f'(z_l) of the hidden layers.
    delta : list of (ndarray of shape (n_units,) or None)
        The derivatives dF/dz_l.
    coef_gradients : list of (ndarray of shape (fan_in, fan_out) or None)
        The derivatives dF/dW_l, which include the penalty.
    intercept_gradients : list of (ndarray of shape (n_units,) or None)
        The derivatives dF/db_l.
    proba : ndarray of shape (n_outputs,)
        The probability p of each output unit, in [0, 1].
    target : ndarray of shape (n_outputs,)
        The target y of each output unit: for several classes 1 for the true class and 0 for the others. If
        `label_smoothing` is not 0, the target is smoothed.
    loss : float
        The loss c, without the penalty.
    objective : float
        The objective F, with the penalty.
    alpha : ndarray of shape (L,)
        The strength alpha_l of the penalty of each layer of weights.
    activations : list of str
        The names of the hidden layers' activations and of the output activation.
    formulas : tuple of (str, str)
        The formulas of the loss and of its derivative by the logits.
    """

    # Any stands for None. Type checkers would ask for a test of None before each use.
    coefs: list[NDArray[np.floating] | Any]
    intercepts: list[NDArray[np.floating] | Any]
    z: list[NDArray[np.float64] | Any]
    a: list[NDArray[np.float64]]
    slope: list[NDArray[np.float64] | Any]
    delta: list[NDArray[np.float64] | Any]
    coef_gradients: list[NDArray[np.float64] | Any]
    intercept_gradients: list[NDArray[np.float64] | Any]
    proba: NDArray[np.float64]
    target: NDArray[np.float64]
    loss: float
    objective: float
    alpha: NDArray[np.float64]
    activations: list[str]
    formulas: tuple[str, str]

    def __str__(self) -> str:
        sections = self._sections()
        width = max(len(formula) for _, lines in sections for _, formula, _ in lines)
        text = ["One sample alone (S = 1), forward and back, with the numbers of the equations in the documentation."]
        for heading, lines in sections:
            text += ["", heading]
            for equation, formula, value in lines:
                first, *others = _printed(value)
                text.append(f"{equation:>6}  {formula:<{width}}  {first}")
                text += [" " * (width + 10) + other for other in others]
        return "\n".join(text)

    def _repr_html_(self) -> str:
        left = 'style="text-align:left"'
        rows = []
        for heading, lines in self._sections():
            rows.append(f'<tr><th colspan="3" {left}>{html.escape(heading)}</th></tr>')
            for equation, formula, value in lines:
                printed = html.escape("\n".join(_printed(value)))
                rows.append(
                    f"<tr><td>{equation}</td><td {left}>{_marked_up(formula)}</td>"
                    f'<td {left}><pre style="margin:0">{printed}</pre></td></tr>'
                )
        return f"<table>{''.join(rows)}</table>"

    def _sections(self) -> list[tuple[str, list[Line]]]:
        """The table: headings, each with its lines."""
        last = len(self.coefs) - 1
        return [
            ("Sample", [("", "a_0 = x", self.a[0]), ("", "y", self.target)]),
            *(self._forward(layer) for layer in range(1, last + 1)),
            ("Objective", self._value()),
            *(self._back(layer) for layer in range(last, 0, -1)),
        ]

    def _forward(self, layer: int) -> tuple[str, list[Line]]:
        is_output = layer == len(self.coefs) - 1
        function = self.activations[layer - 1]
        lines: list[Line] = [
            ("", f"W_{layer} = coefs_[{layer - 1}]", self.coefs[layer]),
            ("", f"b_{layer} = intercepts_[{layer - 1}]", self.intercepts[layer]),
            ("(1)", f"z_{layer} = a_{layer - 1} W_{layer} + b_{layer}", self.z[layer]),
        ]
        if is_output:
            lines.append(("", f"p = {function}(z_{layer})", self.proba))
        else:
            lines.append(("(2)", f"a_{layer} = {function}(z_{layer})", self.a[layer]))
        return f"Layer {layer}, {'output' if is_output else 'hidden'}", lines

    def _value(self) -> list[Line]:
        lines: list[Line] = [("(3)", self.formulas[0], self.loss)]
        if not self.alpha.any():
            return [*lines, ("(3)", "F = c", self.objective)]
        penalised = "F = c + 1/2 sum_l alpha_l ||W_l||^2"
        return [*lines, ("", "alpha", self.alpha), ("(3)", penalised, self.objective)]

    def _back(self, layer: int) -> tuple[str, list[Line]]:
        if layer == len(self.coefs) - 1:
            lines: list[Line] = [("(4)", f"delta_{layer} = {self.formulas[1]}", self.delta[layer])]
        else:
            lines = [
                ("", f"{self.activations[layer - 1]}'(z_{layer})", self.slope[layer]),
                (
                    "(5)",
                    f"delta_{layer} = (delta_{layer + 1} W_{layer + 1}^T) * {self.activations[layer - 1]}'(z_{layer})",
                    self.delta[layer],
                ),
            ]
        penalty = f" + alpha_{layer} W_{layer}" if self.alpha[layer - 1] else ""
        gradient = f"dF/dW_{layer} = a_{layer - 1}^T delta_{layer}{penalty}"
        return f"Back through layer {layer}", [
            *lines,
            ("(6)", gradient, self.coef_gradients[layer]),
            ("(7)", f"dF/db_{layer} = delta_{layer}", self.intercept_gradients[layer]),
        ]


def trace(clf: DifferentiableNetwork, x: ArrayLike | Sparse, y: ArrayLike | Sparse) -> Trace:
    """Compute the forward and backward pass of one sample through a fitted network: every z, a, delta and gradient.

    The objective F = c + 1/2 sum_l alpha_l ||W_l||^2 is that of this sample alone, with a weight of 1. The parameters
    `class_weight` and `dropout` have no effect. The code that trains computes the numbers, in float64.

    Parameters
    ----------
    clf : BackpropClassifier, or a pipeline that ends in one
        The fitted network. For a BackpropClassifierCV, pass one of its `members_`.
    x : {array-like, sparse matrix} of shape (n_features,) or (1, n_features)
        The sample. It may be a row of a DataFrame. The steps of a pipeline transform it.
    y : label, or {array-like, sparse matrix} of shape (n_labels,)
        The class of the sample. For a multilabel classifier, one row of 0 and 1.

    Returns
    -------
    trace : Trace
        The numbers. `print` shows them as a table of formulas and values, and so does a notebook.

    Raises
    ------
    TypeError
        If `clf` is not a BackpropClassifier.
    ValueError
        If `x` is not one sample that the network can predict for, `y` is a label that the classifier does not know, or
        `y` is not a row of 0 and 1 for a multilabel classifier.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.

    Examples
    --------
    >>> from skbp import BackpropClassifier
    >>> from skbp.inspection import trace
    >>> and_gate = BackpropClassifier.from_weights([[[2.0], [2.0]]], [[-3.0]], classes=[0, 1]).set_params(alpha=0)
    >>> print(trace(and_gate, [1, 0], 0))
    One sample alone (S = 1), forward and back, with the numbers of the equations in the documentation.
    <BLANKLINE>
    Sample
            a_0 = x                                            [1  0]
            y                                                  [0]
    <BLANKLINE>
    Layer 1, output
            W_1 = coefs_[0]                                    [2]
                                                               [2]
            b_1 = intercepts_[0]                               [-3]
       (1)  z_1 = a_0 W_1 + b_1                                [-1]
            p = logistic(z_1)                                  [0.2689]
    <BLANKLINE>
    Objective
       (3)  c = -sum_k (y_k log p_k + (1 - y_k) log(1 - p_k))  0.3133
       (3)  F = c                                              0.3133
    <BLANKLINE>
    Back through layer 1
       (4)  delta_1 = p - y                                    [0.2689]
       (6)  dF/dW_1 = a_0^T delta_1                            [0.2689]
                                                               [     0]
       (7)  dF/db_1 = delta_1                                  [0.2689]
    """
    with _subject.network_and_rows(clf, "clf", _one_row(x)) as (network, row):
        check_is_fitted(network, "coefs_")
        label = _one_label(y, network, multilabel=_predicted(network, row).ndim == 2)
        # The sample has a weight of 1, whatever the weight of its class is.
        exact = _without_names(_subject.exact(network, class_weight=None))
        values = row if issparse(row) else np.asarray(row)
        function = exact.objective(values, label)
        theta = function.theta0
        value, gradient = function.value_and_gradient(theta)
        loss = _subject.exact(exact, alpha=0.0).objective(values, label).value(theta)
        tape = function.tape(theta)
        proba = function.loss.proba(tape.z[-1])
        target = function.loss.dense_target(function.target, proba.shape[1])
    coef_gradients, intercept_gradients = _subject.by_layer(gradient, [a.shape[1] for a in tape.a])
    return Trace(
        coefs=[None, *network.coefs_],
        intercepts=[None, *network.intercepts_],
        z=_of_the_row(tape.z),
        a=_of_the_row(tape.a),
        slope=_of_the_row(tape.slope),
        delta=_of_the_row(tape.delta),
        coef_gradients=[None, *coef_gradients],
        intercept_gradients=[None, *intercept_gradients],
        proba=proba[0],
        target=target[0],
        loss=loss,
        objective=value,
        alpha=np.broadcast_to(np.asarray(network.alpha, dtype=np.float64), len(network.coefs_)),
        activations=_subject.names_of_activations(network),
        formulas=(function.loss.formula, function.loss.delta_formula),
    )


def _one_row(x: Any) -> Any:
    """Return one sample as a batch of one row."""
    # The index of a DataFrame's row holds the names of the features.
    if hasattr(x, "to_frame") and hasattr(x, "index"):
        x = x.to_frame().T
    try:
        rows = x if issparse(x) or len(getattr(x, "shape", ())) == 2 else np.asarray(x)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"x must be one sample, of shape (n_features,) or (1, n_features). {error}") from error
    rows = rows.reshape(1, -1) if len(rows.shape) == 1 else rows
    if len(rows.shape) != 2 or rows.shape[0] != 1:
        raise ValueError(f"x must be one sample, of shape (n_features,) or (1, n_features); its shape is {rows.shape}.")
    return rows


def _predicted(network: BackpropClassifier, row: Any) -> Any:
    """Predict for the sample; the ValueError names x, not X."""
    try:
        return network.predict(row)
    except (TypeError, ValueError) as error:
        raise ValueError(f"x is not a sample that clf can predict for. {error}") from error


def _without_names(network: BackpropClassifier) -> BackpropClassifier:
    """Remove the features' names from a copy of a network.

    `predict` has compared the names with those of the sample. Two further comparisons would repeat its warning twice.
    """
    network.__dict__.pop("feature_names_in_", None)
    return network


def _one_label(y: Any, network: BackpropClassifier, multilabel: bool) -> NDArray[Any]:
    """Return the label of one sample, or its row of labels, as a batch."""
    # dtype=object keeps the types of the labels: NumPy would turn [1, "a"] into text.
    given = (y.toarray() if issparse(y) else np.asarray(y, dtype=object)).ravel().tolist()
    shown, n_labels, known = given if issparse(y) else y, len(network.classes_), network.classes_.tolist()
    if multilabel:
        if len(given) != n_labels or not all(_among(label, [0, 1]) for label in given):
            raise ValueError(f"y={shown!r} must be one row of {n_labels} labels, each 0 or 1, since clf is multilabel.")
        return np.array([given], dtype=int)
    if len(given) != 1 or not _among(given[0], known):
        classes = np.array2string(network.classes_, separator=", ", threshold=20)
        raise ValueError(f"y={shown!r} must be one of the classes that clf knows, its classes_: {classes}.")
    return network.classes_[[known.index(given[0])]]


def _among(label: Any, known: list) -> bool:
    """Whether a label is known. Only scalars are compared, since other objects may raise an error."""
    return np.isscalar(label) and label in known


def _of_the_row(layers: Sequence[Any]) -> list[FloatArray | Any]:
    """The arrays of a tape with one row, without the axis of rows."""
    return [None if layer is None else (layer.toarray() if issparse(layer) else layer)[0] for layer in layers]


def _printed(value: ArrayLike) -> list[str]:
    """Format a number, vector or matrix as lines of text."""
    if np.ndim(value) == 0:
        return [_number(value)]
    table = np.atleast_2d(value)
    columns = _ends(table.shape[1], MOST_COLUMNS)
    rows = [
        [] if row is None else ["..." if column is None else _number(table[row, column]) for column in columns]
        for row in _ends(len(table), MOST_ROWS)
    ]
    width = max(len(cell) for row in rows for cell in row)
    return [f"[{'  '.join(cell.rjust(width) for cell in row)}]" if row else " ..." for row in rows]


def _number(value: Any) -> str:
    return f"{value + 0.0:.4g}"  # + 0.0 turns -0 into 0


def _ends(n: int, most: int) -> list[int | None]:
    """All indices from 0 to n - 1, or if there are more than `most`, the first and the last ones with None between them."""
    return [*range(n)] if n <= most else [*range(most // 2), None, *range(n - most // 2, n)]


def _marked_up(formula: str) -> str:
    """Format a formula as HTML."""
    # quote=False keeps the prime of f'(z).
    marked = re.sub(r"\b(d?[A-Za-z]|delta|alpha|sum)_(\w+)", r"\1<sub>\2</sub>", html.escape(formula, quote=False))
    marked = re.sub(r"\^(\w)", r"<sup>\1</sup>", marked)
    for plain, symbol in SYMBOLS.items():
        marked = marked.replace(plain, symbol)
    return marked
