r"""
====================================
Logic gates, by hand and by training
====================================

A sigmoid unit with two inputs computes :math:`p = \sigma(w_1 x_1 + w_2 x_2 + b)`: it says 1 on one side of the line
:math:`w_1 x_1 + w_2 x_2 + b = 0` and 0 on the other. That is enough for AND, OR and NOR, whose weights can be set by hand,
but not for XOR. Two such units and a third that looks at them are enough for XOR, again by hand; and training finds
weights of its own.
"""

# %%
# One unit, three gates
# ---------------------
# The weights and the bias are chosen such that the weighted sum is at least 10 away from 0 at all four inputs, where the
# sigmoid is within 0.00005 of 0 or 1. AND needs both inputs to get above 0, OR one; NOR is OR with all signs turned.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.inspection import DecisionBoundaryDisplay

from skbp import BackpropClassifier

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TRUTH = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NOR": [1, 0, 0, 0], "XOR": [0, 1, 1, 0]}


def unit(weights, bias):
    """A network without hidden layer: one sigmoid unit with two inputs."""
    return BackpropClassifier.from_weights([np.reshape(weights, (2, 1))], [[bias]], classes=[0, 1])


gates = {"AND": unit([20, 20], -30), "OR": unit([20, 20], -10), "NOR": unit([-20, -20], 10)}
for name, gate in gates.items():
    print(f"{name}: {gate.predict(X)}, wanted {TRUTH[name]}")

# %%
# XOR is too much for one unit
# ----------------------------
# A weighted sum z is the same on both diagonals: z(0, 0) + z(1, 1) = z(0, 1) + z(1, 0), since either is
# :math:`w_1 + w_2 + 2 b`. XOR wants both sums on the left negative and both on the right positive, which cannot be equal:
# no line separates the one pair from the other, and at most three inputs of four come out right.
#
# Training looks for the smallest loss, which for one unit has a single minimum. By symmetry it is at zero weights: the
# unit says 1/2 everywhere, whatever it started from. ``fit`` warns that nothing was learned.

single = BackpropClassifier(hidden_layer_sizes=(), solver="lbfgs", random_state=0).fit(X, TRUTH["XOR"])
print(f"A single unit trained on XOR: P(1) = {single.predict_proba(X)[:, 1].round(3)}")

# %%
# A second layer, composed of the gates
# -------------------------------------
# XOR is true unless both inputs are (AND) or none is (NOR): XOR(x) = NOR(AND(x), NOR(x)). So the hidden layer is the AND
# and the NOR unit side by side, and the output unit is a NOR of the two. Nothing is trained: the weights are those above.

hidden, output = [gates["AND"], gates["NOR"]], gates["NOR"]
composed = BackpropClassifier.from_weights(
    coefs=[np.hstack([gate.coefs_[0] for gate in hidden]), output.coefs_[0]],
    intercepts=[np.hstack([gate.intercepts_[0] for gate in hidden]), output.intercepts_[0]],
    classes=[0, 1],
    activation="logistic",
)
print(f"XOR composed of gates: {composed.predict(X)}, wanted {TRUTH['XOR']}")

# %%
# Training finds its own
# ----------------------
# Two hidden units suffice, but from some starting points training them ends in a local minimum. With four it rarely does.

trained = BackpropClassifier(
    hidden_layer_sizes=(4,), activation="logistic", solver="lbfgs", max_iter=1000, random_state=0
).fit(X, TRUTH["XOR"])
print(f"XOR learnt: {trained.predict(X)}, P(1) = {trained.predict_proba(X)[:, 1].round(3)}")

# %%
# What they compute between the corners
# -------------------------------------
# The colour is the probability of 1, the dashed line where it is 1/2; the circles are the inputs, with what the gate wants.

panels = [
    ("AND", "AND\none unit, weights by hand", gates["AND"]),
    ("OR", "OR\none unit, weights by hand", gates["OR"]),
    ("NOR", "NOR\none unit, weights by hand", gates["NOR"]),
    ("XOR", "XOR, one unit, trained:\nno line separates 0 from 1", single),
    ("XOR", "XOR, by hand:\nNOR(AND(x), NOR(x))", composed),
    ("XOR", "XOR, trained:\nfour hidden units", trained),
]
fig, axes = plt.subplots(2, 3, figsize=(10, 6.8), sharex=True, sharey=True, layout="constrained")
for ax, (gate, title, model) in zip(axes.flat, panels, strict=True):
    surface = DecisionBoundaryDisplay.from_estimator(
        model,
        X,
        response_method="predict_proba",
        plot_method="pcolormesh",
        grid_resolution=200,
        eps=0.5,
        ax=ax,
        cmap="RdBu_r",
        vmin=-0.15,  # paler than the whole range of the map would be
        vmax=1.15,
        rasterized=True,
    )
    p = surface.response
    if np.ptp(p) > 0.01:
        ax.contour(surface.xx0, surface.xx1, p, levels=[0.5], colors="black", linestyles="dashed", linewidths=1)
    for x, wanted in zip(X, TRUTH[gate], strict=True):
        ax.plot(*x, "o", markersize=17, markeredgecolor="black", color="firebrick" if wanted else "royalblue")
        ax.text(*x, wanted, ha="center", va="center", color="white", weight="bold")
    ax.set(title=title, xticks=[0, 1], yticks=[0, 1], aspect="equal")
for ax in axes[-1]:
    ax.set_xlabel("$x_1$")
for ax in axes[:, 0]:
    ax.set_ylabel("$x_2$")
colorbar = fig.colorbar(surface.surface_, ax=axes, label="probability of 1", shrink=0.8)
colorbar.ax.set_ylim(0, 1)
plt.show()
