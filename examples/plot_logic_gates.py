r"""
====================================
Logic gates, by hand and by training
====================================

A sigmoid unit with two inputs computes :math:`p = \sigma(w_1 x_1 + w_2 x_2 + b)`. It predicts 1 on one side of the line
:math:`w_1 x_1 + w_2 x_2 + b = 0` and 0 on the other. This is enough for AND, OR and NOR, with weights set by hand, but
not for XOR. Two such units and a third unit that combines them are enough for XOR, also with weights set by hand.
Training finds other weights that work.
"""

# %%
# One unit, three gates
# ---------------------
# These weights and biases give a weighted sum of at least 10 or at most -10 at all four inputs. The sigmoid is then
# within 0.00005 of 0 or 1. The sum for AND is positive only if both inputs are 1, the sum for OR if one input is. NOR
# is OR with all signs reversed.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.inspection import DecisionBoundaryDisplay

from skbp import BackpropClassifier

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TRUTH = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NOR": [1, 0, 0, 0], "XOR": [0, 1, 1, 0]}


def unit(weights, bias):
    """A network without hidden layers: one sigmoid unit with two inputs."""
    return BackpropClassifier.from_weights([np.reshape(weights, (2, 1))], [[bias]], classes=[0, 1])


gates = {"AND": unit([20, 20], -30), "OR": unit([20, 20], -10), "NOR": unit([-20, -20], 10)}
for name, gate in gates.items():
    print(f"{name}: {gate.predict(X)}, wanted {TRUTH[name]}")

# %%
# One unit cannot compute XOR
# ---------------------------
# A weighted sum z has the same total on both diagonals: z(0, 0) + z(1, 1) = z(0, 1) + z(1, 0), since both sides are
# :math:`w_1 + w_2 + 2 b`. XOR needs negative z in both terms on the left and positive z in both terms on the right.
# Then the two sides cannot be equal, so no line separates the two pairs, and at most three of four inputs are right.
#
# Training minimises the loss, which has a single minimum for one unit. By symmetry the minimum is at zero weights: the
# unit gives the probability 1/2 everywhere, for every start. ``fit`` warns that nothing was learned.

single = BackpropClassifier(hidden_layer_sizes=(), solver="lbfgs", random_state=0).fit(X, TRUTH["XOR"])
print(f"A single unit trained on XOR: P(1) = {single.predict_proba(X)[:, 1].round(3)}")

# %%
# Two layers, composed of the gates
# ---------------------------------
# XOR is false if both inputs are true (AND) or none is (NOR): XOR(x) = NOR(AND(x), NOR(x)). So the hidden layer
# consists of the AND unit and the NOR unit, and the output unit is a NOR of the two. The weights are those above,
# without training.

hidden, output = [gates["AND"], gates["NOR"]], gates["NOR"]
composed = BackpropClassifier.from_weights(
    coefs=[np.hstack([gate.coefs_[0] for gate in hidden]), output.coefs_[0]],
    intercepts=[np.hstack([gate.intercepts_[0] for gate in hidden]), output.intercepts_[0]],
    classes=[0, 1],
    activation="logistic",
)
print(f"XOR composed of gates: {composed.predict(X)}, wanted {TRUTH['XOR']}")

# %%
# Training finds other weights
# ----------------------------
# Two hidden units are enough, but training them from some initial weights ends in a local minimum. This is rare for
# four.

trained = BackpropClassifier(
    hidden_layer_sizes=(4,), activation="logistic", solver="lbfgs", max_iter=1000, random_state=0
).fit(X, TRUTH["XOR"])
print(f"XOR learnt: {trained.predict(X)}, P(1) = {trained.predict_proba(X)[:, 1].round(3)}")

# %%
# The networks between the corners
# --------------------------------
# The colour is the probability of 1, and on the dashed line it is 1/2. The circles are the inputs, with the correct
# output of the gate.

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
        vmin=-0.15,  # paler than with the whole range of the map
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
