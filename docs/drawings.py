"""The drawings of the user guide, and the directive that puts them on its pages.

``.. drawing:: name`` calls the function of that name below and writes its drawing into the page as SVG. Lines and letters in
INK become ``currentColor``, the colour of the text around them, so that they are legible in the light and in the dark theme.
Several names make several panels, side by side where there is room. The content is the caption, and the option ``alt``
describes the drawing in words.
"""

import html
import io
import re
from itertools import pairwise

import matplotlib as mpl
import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from scipy.special import expit
from sphinx.util.docutils import SphinxDirective

from skbp import BackpropClassifier
from skbp.inspection import trace

INK = "#010203"  # no other thing has this colour
BLUE, RED, YELLOW = "#1f77b4", "#d62728", "#ffd700"  # input, hidden and output units, as in NetworkDisplay
POSITIVE, NEGATIVE = "#e08214", "#8073ac"  # by sign, as in NetworkDisplay
STYLE = {
    "svg.hashsalt": "skbp",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "mathtext.fontset": "cm",
    "font.size": 10,
    "legend.frameon": False,
    **dict.fromkeys(["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], INK),
}


class Drawing(SphinxDirective):
    """One or more drawings, and a caption."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012

    def run(self):
        self.env.note_dependency(__file__)
        panels = "".join(svg(DRAWINGS[name]) for name in self.arguments[0].split())
        alt = html.escape(self.options["alt"].replace("\n", " "))
        figure = nodes.figure("", nodes.raw("", f'<div role="img" aria-label="{alt}">{panels}</div>', format="html"))
        figure["classes"] = ["drawing"]
        for paragraph in self.parse_content_to_nodes():
            figure += nodes.caption("", "", *paragraph.children)
        return [figure]


def svg(draw):
    """The drawing of a function, as an SVG element for a page."""
    file = io.StringIO()
    with mpl.rc_context(STYLE):
        draw().savefig(file, format="svg", bbox_inches="tight", pad_inches=0.03, metadata={"Date": None})
    element = file.getvalue()
    element = element[element.index("<svg") :]
    # The style sheet would apply to the whole page.
    element = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", element, flags=re.DOTALL)
    width = 4 / 3 * float(re.search(r'width="([\d.]+)pt"', element)[1])
    element = re.sub(r' (width|height)="[\d.]+pt"', "", element, count=2)
    element = element.replace("<svg", f'<svg style="width: {width:.0f}px"', 1)
    return element.replace(INK, "currentColor")


DRAWINGS = {}


def drawing(function):
    DRAWINGS[function.__name__] = function
    return function


def plane(width, height, x, y):
    """A figure without visible axes, with the same unit in both directions, and its Axes; its size is in inches."""
    fig = Figure(figsize=(width, height))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=x, ylim=y, aspect="equal")
    ax.axis("off")
    return fig, ax


def graph(width, height, **settings):
    """A figure with visible axes, and its Axes; its size is in inches."""
    fig = Figure(figsize=(width, height), layout="constrained")
    ax = fig.add_subplot()
    ax.set(**settings)
    return fig, ax


def node(ax, place, color, text="", radius=0.34, size=11):
    ax.add_patch(Circle(place, radius, facecolor=color, edgecolor=INK, linewidth=0.8, zorder=3))
    ax.text(*place, text, ha="center", va="center", size=size, color="black" if color == YELLOW else "white", zorder=4)


def edge(ax, start, end, label="", color=INK, at=0.4, width=1.0, arrow="-", **text):
    """A line between two units, which cover its ends. Its label stands at the share `at` of the way."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    arrowprops = {"arrowstyle": arrow, "color": color, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=arrowprops, zorder=1)
    if label:
        x, y = start + at * (end - start)
        angle = np.degrees(np.arctan2(*(end - start)[::-1]))
        ax.text(x, y, label, ha="center", va="bottom", rotation=angle, rotation_mode="anchor", **text)


@drawing
def unit():
    """One unit: inputs, weighted sum, g."""
    fig, ax = plane(4.4, 2.6, (-0.6, 6.9), (-0.5, 4.0))
    body = (3.1, 1.75)
    for y, name, weight in ((3.5, "$x_1$", "$w_1$"), (1.75, "$x_2$", "$w_2$"), (0.0, "$1$", "$b$")):
        edge(ax, (0, y), body, weight, size=12)
        node(ax, (0, y), BLUE, name)
    edge(ax, body, (6.0, 1.75), arrow="->")
    for place, name in ((3.1, r"$h$"), (4.5, "$g$")):
        node(ax, (place, 1.75), YELLOW, name, radius=0.42, size=13)
    ax.text(6.1, 1.75, "$g(h)$", va="center", size=13)
    return fig


@drawing
def outputs():
    """The two functions g."""
    fig, ax = graph(4.0, 2.3, xlabel="$h$", ylabel="$g(h)$", yticks=[0, 0.5, 1], xlim=(-6, 6))
    h = np.linspace(-6, 6, 400)
    ax.plot([-6, 0], [0, 0], color=BLUE, linewidth=2, label="perceptron")
    ax.plot([0, 6], [1, 1], color=BLUE, linewidth=2)
    ax.plot([0], [0], "o", color=BLUE, markersize=5)
    ax.plot([0], [1], "o", markerfacecolor="none", markeredgecolor=BLUE, markersize=5)
    ax.plot(h, expit(h), color=POSITIVE, linewidth=2, label="logistic")
    ax.legend(loc="upper left")
    return fig


CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def corners(ax, truth, names=("$x_1$", "$x_2$")):
    """The four inputs in the plane with the target of each, and labelled axes."""
    for corner, wanted in zip(CORNERS, truth, strict=True):
        node(ax, corner, POSITIVE if wanted else NEGATIVE, str(wanted), radius=0.13)
    ax.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), aspect="equal", xticks=[0, 1], yticks=[0, 1])
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1], rotation=0, labelpad=8)


def gate(title, truth, weights=None, bias=0.0):
    """The four inputs of a gate, and the line of a unit with its side of 1 shaded."""
    fig, ax = graph(2.1, 2.2)
    corners(ax, truth)
    ax.set_title(title, size=10)
    if weights:
        x1, x2 = np.meshgrid(np.linspace(-0.5, 1.5, 3), np.linspace(-0.5, 1.5, 3))
        h = weights[0] * x1 + weights[1] * x2 + bias
        ax.contourf(x1, x2, h, levels=[0, 1e3], colors=[POSITIVE], alpha=0.25)
        ax.contour(x1, x2, h, levels=[0], colors=[INK], linestyles="dashed", linewidths=1.2)
    return fig, ax


@drawing
def gate_and():
    return gate("AND", [0, 0, 0, 1], (20, 20), -30)[0]


@drawing
def gate_or():
    return gate("OR", [0, 1, 1, 1], (20, 20), -10)[0]


@drawing
def gate_nor():
    return gate("NOR", [1, 0, 0, 0], (-20, -20), 10)[0]


@drawing
def gate_xor():
    """XOR: both diagonals have the same midpoint."""
    fig, ax = gate("XOR", [0, 1, 1, 0])
    ax.plot([0, 1], [0, 1], color=NEGATIVE, linewidth=1.5, zorder=1)
    ax.plot([0, 1], [1, 0], color=POSITIVE, linewidth=1.5, zorder=1)
    ax.plot(0.5, 0.5, "o", color=INK, markersize=5)
    return fig


def perceptron_passes(truth, n_passes, weights=(0.0, 0.0), bias=-0.5):
    """The perceptron's learning rule on a gate: weights, bias and number of mistakes after each pass over its rows."""
    w, b = np.array(weights), bias
    for _ in range(n_passes):
        mistakes = 0
        for x, y in zip(CORNERS, truth, strict=True):
            error = y - int(x @ w + b > 0)
            w, b = w + error * x, b + error
            mistakes += abs(error)
        yield w, b, mistakes


@drawing
def perceptron_lines():
    """The line of the perceptron on AND after each pass; earlier lines are paler."""
    *earlier, (w, b, _), _ = perceptron_passes([0, 0, 0, 1], 6)
    fig, ax = gate("AND", [0, 0, 0, 1], tuple(w), b)
    x = np.array([-0.5, 1.5])
    for number, (w, b, _) in enumerate(earlier, 1):
        ax.plot(x, -(b + w[0] * x) / w[1], color=RED, linewidth=1, alpha=0.2 + 0.2 * number, zorder=1)
    for number, place in enumerate([(-0.16, -0.2), (-0.32, 1.38), (0.18, 1.38), (1.26, -0.36), (0.7, 1.38)], 1):
        ax.text(*place, number, size=8, ha="center", va="center")
    ax.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5))
    return fig


@drawing
def perceptron_mistakes():
    """The mistakes of the perceptron in each pass, on AND and on XOR."""
    fig, ax = graph(3.0, 2.2, xlabel="pass", ylabel="mistakes", xticks=range(1, 9), yticks=range(5), ylim=(-0.3, 4.7))
    for name, color, truth in (("AND", POSITIVE, [0, 0, 0, 1]), ("XOR", NEGATIVE, [0, 1, 1, 0])):
        mistakes = [count for _, _, count in perceptron_passes(truth, 8)]
        ax.plot(range(1, 9), mistakes, "o-", color=color, markersize=4, linewidth=1.5, label=name)
    ax.legend(loc="center right")
    return fig


def weighted(ax, start, end, weight, at, **text):
    """An edge with its weight; the colour shows the sign."""
    edge(
        ax,
        start,
        end,
        f"{weight:g}".replace("-", "\N{MINUS SIGN}"),
        POSITIVE if weight > 0 else NEGATIVE,
        at,
        1.6,
        **text,
    )


@drawing
def xor_network():
    """The composed network, with its weights."""
    fig, ax = plane(4.4, 2.7, (-0.6, 6.6), (-0.8, 3.7))
    inputs, hidden, output = [(0, 2.6), (0, 0.2)], [(3, 2.6), (3, 0.2)], (6, 1.4)
    for k, sign in enumerate((1, -1)):
        for j in range(2):
            weighted(ax, inputs[j], hidden[k], sign * 20, 0.25 if j != k else 0.62)
        weighted(ax, hidden[k], output, -20, 0.5)
    for place, name in zip(inputs, ("$x_1$", "$x_2$"), strict=True):
        node(ax, place, BLUE, name, 0.42)
    biases = "\N{MINUS SIGN}30", "10"
    for place, name, bias in zip(hidden, ("AND", "NOR"), biases, strict=True):
        node(ax, place, RED, name, 0.48, 9)
        ax.text(place[0], place[1] - 0.85, f"bias {bias}", ha="center", size=9)
    node(ax, output, YELLOW, "NOR", 0.48, 9)
    ax.text(output[0], output[1] - 0.85, "bias 10", ha="center", size=9)
    return fig


@drawing
def xor_input():
    """The lines of the two hidden units in the plane of the inputs."""
    fig, ax = gate("input", [0, 1, 1, 0])
    x = np.array([-0.5, 1.5])
    for total, name, place in ((1.5, "AND", (1.35, 0.28)), (0.5, "NOR", (-0.33, 0.7))):
        ax.plot(x, total - x, color=RED, linestyle="dashed", linewidth=1.2)
        ax.text(*place, name, size=9, rotation=-45, ha="center", va="center", rotation_mode="anchor")
    ax.fill_between(x, 0.5 - x, 1.5 - x, color=POSITIVE, alpha=0.25, linewidth=0)
    ax.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5))
    return fig


@drawing
def xor_hidden():
    """The same inputs in the plane of the hidden units."""
    fig, ax = graph(2.1, 2.2)
    ax.set_title("hidden", size=10)
    for place, wanted in (((0, 0), 1), ((1, 0), 0), ((0, 1), 0)):
        node(ax, place, POSITIVE if wanted else NEGATIVE, str(wanted), radius=0.13)
    ax.text(0, -0.33, "two inputs", size=9, ha="center")
    x = np.array([-0.5, 1.5])
    ax.plot(x, 0.5 - x, color=INK, linestyle="dashed", linewidth=1.2)
    ax.fill_between(x, -0.5, 0.5 - x, color=POSITIVE, alpha=0.25, linewidth=0)
    ax.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), aspect="equal", xticks=[0, 1], yticks=[0, 1], xlabel="AND")
    ax.set_ylabel("NOR", rotation=90, labelpad=4)
    return fig


@drawing
def layers():
    """A network of two layers of weights, with the names and shapes of its arrays."""
    fig, ax = plane(4.6, 2.95, (-0.9, 6.9), (-1.0, 4.0))
    columns = [
        (0.0, 3, BLUE, "$a_0 = x$", "$(n, 3)$"),
        (3.0, 4, RED, "$a_1 = f(z_1)$", "$(n, 4)$"),
        (6.0, 2, YELLOW, "$z_2$", "$(n, 2)$"),
    ]
    places = [[(x, 1.5 + 0.5 * (count - 1) - k) for k in range(count)] for x, count, *_ in columns]
    for left, right in pairwise(places):
        for start in left:
            for end in right:
                edge(ax, start, end, width=0.7)
    for (x, _, color, name, shape), column in zip(columns, places, strict=True):
        for place in column:
            node(ax, place, color)
        ax.text(x, 3.65, name, ha="center", size=12)
        ax.text(x, -0.75, shape, ha="center", size=11)
    for x, weight, shape in ((1.5, "$W_1, b_1$", "$(3, 4), (4)$"), (4.5, "$W_2, b_2$", "$(4, 2), (2)$")):
        ax.text(x, 3.65, weight, ha="center", size=12)
        ax.text(x, -0.75, shape, ha="center", size=11)
    return fig


@drawing
def cost():
    """The logistic cost of a logit."""
    fig, ax = graph(4.0, 2.4, xlabel="$z$", ylabel="cost", xlim=(-5, 5), ylim=(0, 5.2))
    z = np.linspace(-5, 5, 300)
    for sign, color, name in ((-1, POSITIVE, "$y = 1$"), (1, NEGATIVE, "$y = 0$")):
        ax.plot(z, np.logaddexp(0, sign * z), color=color, linewidth=2, label=name)
        ax.plot(z, np.maximum(0, sign * z), color=color, linewidth=1, linestyle="dotted")
    ax.legend(loc="upper center")
    return fig


@drawing
def passes():
    """The forward and the backward pass through a network of two layers of weights."""
    fig, ax = plane(4.1, 2.7, (-0.6, 7.7), (-1.8, 3.0))
    forward = [(0, "$a_0$", BLUE), (2.2, "$z_1$", RED), (3.8, "$a_1$", RED), (6.0, "$z_2$", YELLOW)]
    back = {1: r"$\delta_1$", 3: r"$\delta_2$"}
    for ((x, *_), (end, *_)), label in zip(pairwise(forward), ("$W_1, b_1$", "$f$", "$W_2, b_2$"), strict=True):
        edge(ax, (x, 2), (end - 0.55, 2), arrow="->")
        ax.text((x + end) / 2, 2.35, label, ha="center", size=11)
    edge(ax, (6, 2), (7.15, 2), arrow="->")
    ax.text(7.2, 2, "$c$", va="center", size=13)
    edge(ax, (7.3, 1.65), (6.5, 0.3), arrow="->")
    edge(ax, (6, 0), (2.75, 0), arrow="->")
    ax.text(3.5, -0.5, r"$W_2^T, \; f'(z_1)$", ha="center", size=11)
    for k, (x, name, color) in enumerate(forward):
        node(ax, (x, 2), color, name, 0.5)
        if k in back:
            node(ax, (x, 0), color, back[k], 0.5)
    for x, text in ((0.8, r"$a_0^T \delta_1$"), (4.8, r"$a_1^T \delta_2$")):
        ax.text(x, -1.35, text, ha="center", va="center", size=12)
    edge(ax, (2.2, 0), (1.15, -1.0), arrow="->")
    edge(ax, (0, 2), (0.6, -1.0), arrow="->")
    edge(ax, (6, 0), (5.2, -1.0), arrow="->")
    edge(ax, (3.8, 2), (4.65, -1.0), arrow="->")
    return fig


@drawing
def worked():
    """The network of the worked example, with the numbers that the package computes."""
    clf = BackpropClassifier.from_weights(
        [[[1, -1], [2, 1]], [[2], [-1]]], [[-1, 0.5], [0.5]], classes=[0, 1], activation="logistic"
    )
    t = trace(clf.set_params(alpha=0), [1, 0.5], 0)
    fig, ax = plane(4.1, 2.75, (-0.6, 6.8), (-1.6, 3.6))
    places = [[(0, 2.9), (0, 0)], [(3, 2.9), (3, 0)], [(6, 1.45)]]
    for layer in (1, 2):
        for i, start in enumerate(places[layer - 1]):
            for j, end in enumerate(places[layer]):
                weighted(ax, start, end, t.coefs[layer][i, j], 0.3 if layer == 1 and i != j else 0.5)
    for k, value in enumerate(t.a[0]):
        node(ax, places[0][k], BLUE, f"{value:g}", 0.48)
    for j, place in enumerate(places[1]):
        node(ax, place, RED, f"{t.a[1][j]:.3f}", 0.48, 9)
        below(ax, place, f"b = {t.intercepts[1][j]:g}\nz = {t.z[1][j]:g}\nδ = {t.delta[1][j]:.3f}")
    node(ax, places[2][0], YELLOW, f"{t.proba[0]:.3f}", 0.48, 9)
    below(ax, places[2][0], f"b = {t.intercepts[2][0]:g}\nz = {t.z[2][0]:.3f}\nδ = {t.delta[2][0]:.3f}")
    return fig


def below(ax, place, lines):
    ax.text(place[0], place[1] - 0.57, lines.replace("-", "\N{MINUS SIGN}"), ha="center", va="top", size=9)


@drawing
def differences():
    """The error of both differences as the step shrinks, measured on a network."""
    rng = np.random.default_rng(0)
    clf = BackpropClassifier(8, "tanh", random_state=0)
    objective = clf.objective(rng.normal(size=(50, 4)), rng.integers(0, 3, 50))
    theta, v = objective.theta0, rng.normal(size=objective.theta0.size)
    v /= np.linalg.norm(v)
    exact = objective.gradient(theta) @ v
    steps = np.logspace(-12, 0, 49)
    fig, ax = graph(4.0, 2.5, xlabel="step $h$", ylabel="error", xscale="log", yscale="log")
    for name, color, error in (
        ("one-sided", NEGATIVE, lambda h: (objective.value(theta + h * v) - objective.value(theta)) / h),
        ("central", POSITIVE, lambda h: (objective.value(theta + h * v) - objective.value(theta - h * v)) / (2 * h)),
    ):
        ax.plot(steps, [max(abs(error(h) - exact), 1e-14) for h in steps], color=color, linewidth=1.5, label=name)
    ax.legend(loc="upper center")
    return fig


@drawing
def valley():
    """Gradient descent and a Newton step in a narrow valley."""
    hessian, start = np.array([[1.0, 0.8], [0.8, 1.0]]) * 10, np.array([-1.6, 0.7])
    fig, ax = graph(3.6, 2.6, xticks=[], yticks=[], xlabel=r"$\theta_1$", ylabel=r"$\theta_2$", aspect="equal")
    x, y = np.meshgrid(np.linspace(-1.9, 0.7, 120), np.linspace(-0.7, 1.2, 120))
    value = 0.5 * (hessian[0, 0] * x**2 + hessian[1, 1] * y**2) + hessian[0, 1] * x * y
    ax.contour(x, y, value, levels=np.array([0.05, 0.25, 0.7, 1.5, 3, 5, 8]), colors=[INK], linewidths=0.6, alpha=0.6)
    path = [start]
    for _ in range(12):
        path.append(path[-1] - 0.1 * hessian @ path[-1])
    ax.plot(*np.transpose(path), "o-", color=NEGATIVE, markersize=4, linewidth=1.3, label="gradient descent")
    ax.plot([start[0], 0], [start[1], 0], "s-", color=POSITIVE, markersize=5, linewidth=1.6, label="Newton")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return fig


@drawing
def coin():
    """Two draws of a biased coin as the unit square: 01 and 10 have the same area."""
    p = 0.15
    fig, ax = plane(2.9, 2.9, (-0.17, 1.02), (-0.17, 1.02))
    for x, width, first in ((0, p, 1), (p, 1 - p, 0)):
        for y, height, second in ((0, p, 1), (p, 1 - p, 0)):
            color, ink = ("none", INK) if first == second else (POSITIVE, "black")
            ax.add_patch(Rectangle((x, y), width, height, facecolor=color, edgecolor=INK, linewidth=1.2))
            ax.text(x + width / 2, y + height / 2, f"{first}{second}", ha="center", va="center", color=ink)
    for place, first in ((p / 2, "1"), ((1 + p) / 2, "0")):
        ax.text(place, -0.07, first, ha="center", va="center")
        ax.text(-0.07, place, first, ha="center", va="center")
    ax.text(0.57, -0.15, "first draw", ha="center", va="center", size=9)
    ax.text(-0.15, 0.57, "second draw", ha="center", va="center", size=9, rotation=90)
    return fig


def package(ax, place, size, name, files, color):
    """A package as a box with its name and its files."""
    x, y = place
    ax.add_patch(Rectangle(place, *size, facecolor="none", edgecolor=color, linewidth=1.6))
    ax.text(x + 0.12, y + size[1] - 0.28, name, size=10, weight="bold", color=color, va="center")
    for k, file in enumerate(files):
        ax.text(x + 0.12, y + size[1] - 0.68 - 0.32 * k, file, size=8.5, va="center")


@drawing
def house():
    """The packages, and the way of one batch through them."""
    fig, ax = plane(7.4, 5.7, (0.0, 9.9), (-1.65, 6.1))
    package(
        ax,
        (0.1, 4.4),
        (9.7, 1.6),
        "_estimators",
        ["network.py: fit, publish", "ensemble.py: folds", "classifier.py"],
        BLUE,
    )
    package(ax, (0.1, 2.1), (2.9, 1.75), "_data", ["rows.py: Rows, Batch", "targets.py", "splits.py"], "#8c6d31")
    training = ["recipe.py, train.py", "minibatch.py: epochs", "updates.py: one step", "history.py, held_out.py"]
    package(ax, (4.2, 1.9), (5.6, 1.95), "_training", training, RED)
    network = ["objective.py: steps 1 to 4 on a batch", "equations.py: forward, backward", "losses.py, activations.py"]
    package(ax, (0.1, -0.05), (9.7, 1.5), "_network", network, NEGATIVE)
    core = ["batch.pyx: steps 1 to 4 in one call", "updates.pyx: one step in one pass"]
    package(ax, (0.1, -1.6), (9.7, 1.15), "_core", core, "#555555")
    for start, end in (
        ((5.2, 4.4), (5.2, 3.88)),
        ((4.2, 2.9), (3.03, 2.9)),
        ((6.6, 1.9), (6.6, 1.48)),
        ((6.6, -0.05), (6.6, -0.42)),
        ((8.2, 1.45), (8.2, 1.87)),
        ((8.2, 3.85), (8.2, 4.37)),
    ):
        edge(ax, start, end, color=POSITIVE, width=1.8, arrow="->")
    for place, text in (
        ((5.35, 4.13), "1  train(recipe, ...)"),
        ((3.12, 3.1), "2  take"),
        ((4.35, 1.67), "3  value_and_gradient"),
        ((6.75, -0.24), "numbers of the rows"),
        ((8.35, 1.67), "4  gradient"),
        ((7.3, 3.1), "5  rule.step"),
        ((7.3, 2.8), "    then history.add"),
        ((8.35, 4.13), "6  results"),
    ):
        ax.text(*place, text, size=8.5, va="center", color=POSITIVE)
    return fig


def setup(app):
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True}
