"""One sample on its way through the network and back, every number beside its formula: to follow, to check, to teach."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from skbp._network.losses import LOSSES
from skbp.inspection import _subject

# Rows and columns of an array that are printed; in place of the others there are dots.
MOST_ROWS, MOST_COLUMNS = 6, 6

# What HTML has in the place of plain text.
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

LOSS_FORMULAS = {
    "softmax": "c = -sum_k y_k log p_k",
    "logistic": "c = -sum_k (y_k log p_k + (1 - y_k) log(1 - p_k))",
}


@dataclass(frozen=True)
class Trace:
    """All that one sample gives rise to in a network, as `trace` finds it.

    Lists have an entry for each layer l = 0..L, as in the formulas, and None where there is nothing: W_1 is ``coefs[1]``.

    Attributes
    ----------
    coefs, intercepts : list of ndarray
        W_l and b_l.
    z, a : list of ndarray of shape (n_units,)
        Weighted sums and activations; ``a[0]`` is the sample, ``a[L]`` are the logits, as ``z[L]``.
    slope : list of ndarray of shape (n_units,)
        f'(z_l) of the hidden layers.
    delta : list of ndarray of shape (n_units,)
        dF/dz_l.
    coef_gradients, intercept_gradients : list of ndarray
        dF/dW_l, the penalty's share included, and dF/db_l.
    proba : ndarray of shape (n_outputs,)
        p, the link of the logits: the probability of each output unit.
    target : ndarray of shape (n_outputs,)
        y as the loss wants it: of several classes a 1 in the place of the right one; smoothed, if `label_smoothing` is not
        0.
    loss, objective : float
        c and F.
    alpha : ndarray of shape (L,)
        alpha_l of the penalty.
    activations : list of str
        Names of the functions of the hidden layers and of the link.
    """

    coefs: list
    intercepts: list
    z: list
    a: list
    slope: list
    delta: list
    coef_gradients: list
    intercept_gradients: list
    proba: np.ndarray
    target: np.ndarray
    loss: float
    objective: float
    alpha: np.ndarray
    activations: list

    def __str__(self):
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

    def _repr_html_(self):
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

    def _sections(self):
        """The table: headings, each with lines of an equation's number, a formula and its value."""
        last = len(self.coefs) - 1
        return [
            ("Sample", [("", "a_0 = x", self.a[0]), ("", "y", self.target)]),
            *(self._forward(layer) for layer in range(1, last + 1)),
            ("Objective", self._value()),
            *(self._back(layer) for layer in range(last, 0, -1)),
        ]

    def _forward(self, layer):
        is_output = layer == len(self.coefs) - 1
        function = self.activations[layer - 1]
        lines = [
            ("", f"W_{layer} = coefs_[{layer - 1}]", self.coefs[layer]),
            ("", f"b_{layer} = intercepts_[{layer - 1}]", self.intercepts[layer]),
            ("(1)", f"z_{layer} = a_{layer - 1} W_{layer} + b_{layer}", self.z[layer]),
        ]
        if is_output:
            lines.append(("", f"p = {function}(z_{layer})", self.proba))
        else:
            lines.append(("(2)", f"a_{layer} = {function}(z_{layer})", self.a[layer]))
        return f"Layer {layer}, {'output' if is_output else 'hidden'}", lines

    def _value(self):
        lines = [("(3)", LOSS_FORMULAS[self.activations[-1]], self.loss)]
        if not self.alpha.any():
            return [*lines, ("(3)", "F = c", self.objective)]
        penalty = [("", "alpha", self.alpha), ("(3)", "F = c + 1/2 sum_l alpha_l ||W_l||^2", self.objective)]
        return lines + penalty

    def _back(self, layer):
        if layer == len(self.coefs) - 1:
            lines = [("(4)", f"delta_{layer} = p - y", self.delta[layer])]
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


def trace(clf, x, y):
    """Follow one sample through a fitted network and back: every z, a, delta and gradient.

    The objective F is that of this sample alone, with a weight of 1, in float64. The numbers come from the code that
    trains, without dropout.

    Parameters
    ----------
    clf : BackpropClassifier, or a pipeline that ends in one
        Fitted. Of a BackpropClassifierCV, one of its `members_`.
    x : array-like of shape (n_features,) or (1, n_features)
        The sample; a pipeline transforms it.
    y : label, or array-like of shape (n_labels,)
        Its class; for a multilabel target its row of 0 and 1.

    Returns
    -------
    trace : Trace
        Prints as a table of formulas with their values; in a notebook it shows as one.

    Raises
    ------
    TypeError
        If `clf` is no BackpropClassifier.
    ValueError
        If `x` is not one sample, or `y` is no label that the classifier knows, or of several no row of 0 and 1.
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
        function = _subject.exact(network, class_weight=None).objective(row, label)
        theta = function.theta0
        value, gradient = function.value_and_gradient(theta)
        loss = _subject.exact(network, class_weight=None, alpha=0.0).objective(row, label).value(theta)
        tape = function.tape(theta)
        proba = LOSSES[network.out_activation_].proba(tape.z[-1])
        # The difference is exact but for rounding; + 0.0 makes 0 of -0.
        target = np.round(proba - tape.delta[-1], 12) + 0.0
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
    )


def _one_row(x):
    """One sample as a batch of one row."""
    # A row of a pandas DataFrame, whose index are the features' names.
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


def _predicted(network, row):
    """What the network predicts; an error says that it does not take the sample."""
    try:
        return network.predict(row)
    except (TypeError, ValueError) as error:
        raise ValueError(f"x is no sample that clf can predict for. {error}") from error


def _one_label(y, network, multilabel):
    """The label of one sample as a batch: of one label, or of one row of several."""
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


def _among(label, known):
    """Whether a label is known; what is not a plain value may not be comparable."""
    return np.isscalar(label) and label in known


def _of_the_row(layers):
    """What a tape of one row has for each layer, without the axis of rows."""
    return [None if layer is None else (layer.toarray() if issparse(layer) else layer)[0] for layer in layers]


def _printed(value):
    """A number, vector or matrix as lines of text."""
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


def _number(value):
    return f"{value + 0.0:.4g}"  # 0 and not -0


def _ends(n, most):
    """Indices of all, or of the first and the last with None between."""
    return [*range(n)] if n <= most else [*range(most // 2), None, *range(n - most // 2, n)]


def _marked_up(formula):
    """A formula in HTML."""
    marked = re.sub(r"\b(d?W|d?b|z|a|p|y|delta|alpha|sum)_(\w+)", r"\1<sub>\2</sub>", html.escape(formula, quote=False))
    marked = re.sub(r"\^(\w)", r"<sup>\1</sup>", marked)
    for plain, symbol in SYMBOLS.items():
        marked = marked.replace(plain, symbol)
    return marked
