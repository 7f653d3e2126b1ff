r"""
===============================
How many outputs for K classes?
===============================

Two output units could encode four classes, since two bits have four values: 00, 01, 10, 11. But networks use four
units, one for each class, with the target [1, 0, 0, 0] for the first class and so on: *one-hot*. Three experiments show
that fewer outputs save almost nothing and cost a lot.
"""

# %%
# Bits are harder to learn
# ------------------------
# Four classes are at the corners of a square. A line separates each class from the others, so four outputs need no
# hidden layer. A bit is 1 for two classes together, and the numbering decides which two. Here the numbers go round the
# square: the high bit separates the lower half from the upper half, but the low bit, which is 1 for the classes 1 and
# 3, is XOR. No line separates it.
#
# A bit is an ordinary label: a target with two columns of 0 and 1 gets two logistic outputs. The probability of a class
# is the product of the probabilities of its bits, which are assumed to be independent.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_blobs
from sklearn.model_selection import train_test_split

from skbp import BackpropClassifier

SETTINGS = {"activation": "tanh", "solver": "lbfgs", "alpha": 0.3, "tol": 1e-3, "max_iter": 1000}
COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7"]  # distinct for readers with a colour vision deficiency
MARKERS = "os^D"


class OneHot:
    """A network with an output for each class."""

    def __init__(self, hidden, seed=0):
        self.network = BackpropClassifier(hidden, random_state=seed, **SETTINGS)

    def fit(self, X, y):
        self.network.fit(X, y)
        return self

    def predict_proba(self, X):
        return self.network.predict_proba(X)


class Bits(OneHot):
    """A network with the bits of ``code[y]`` as outputs: just enough for all classes."""

    def __init__(self, hidden, code, seed=0):
        super().__init__(hidden, seed)
        n_bits = int(np.ceil(np.log2(len(code))))
        self.bits = np.asarray(code)[:, None] >> np.arange(n_bits)[::-1] & 1

    def fit(self, X, y):
        return super().fit(X, self.bits[y])

    def predict_proba(self, X):
        p = self.network.predict_proba(X)[:, None, :]
        return np.where(self.bits == 1, p, 1 - p).prod(axis=-1)


def accuracy(model, X, y):
    return np.mean(model.predict_proba(X).argmax(axis=1) == y)


centers = np.array([(-1.0, 1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)])
X, y = make_blobs(400, centers=centers, cluster_std=0.35, random_state=0)
four_by_bits = [0, 1, 2, 3]

fig, axes = plt.subplots(1, 3, figsize=(11, 4), sharex=True, sharey=True, layout="constrained")
panels = [
    ("four outputs", OneHot(())),
    ("two bits", Bits((), four_by_bits)),
    ("two bits, four hidden units", Bits((4,), four_by_bits)),
]
x1, x2 = np.meshgrid(np.linspace(-2.2, 2.2, 300), np.linspace(-2.2, 2.2, 300))
for ax, (name, model) in zip(axes, panels, strict=True):
    model.fit(X, y)
    said = model.predict_proba(np.column_stack([x1.ravel(), x2.ravel()])).argmax(axis=1).reshape(x1.shape)
    ax.contourf(x1, x2, said, levels=[-0.5, 0.5, 1.5, 2.5, 3.5], colors=COLORS, alpha=0.3)
    for k in range(4):
        ax.scatter(*X[y == k].T, s=14, marker=MARKERS[k], color=COLORS[k], label=f"{k} = {k:02b}")
    ax.set(title=f"{name}: {accuracy(model, X, y):.0%} right", aspect="equal", xlabel="$x_1$")
axes[0].set_ylabel("$x_2$")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# Bits cannot say "either 0 or 3"
# -------------------------------
# Now classes 0 and 3 overlap. Halfway between them both are equally likely, and 1 and 2 are impossible. Four outputs
# can express this. Two bits cannot: for 00 against 11 each bit is 1 with probability 1/2, and two numbers do not
# describe how the bits depend on each other. So all four classes get the probability 1/4. No hidden layer helps,
# because the output is too small.

centers[0], centers[3] = (-1, 0.3), (-1, -0.3)
X, y = make_blobs(2000, centers=centers, cluster_std=0.35, random_state=0)
X_test, y_test = make_blobs(2000, centers=centers, cluster_std=0.35, random_state=1)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
x2 = np.linspace(-1.5, 1.5, 200)
for ax, (name, model) in zip(
    axes, [("four outputs", OneHot((8,))), ("two bits", Bits((8,), four_by_bits))], strict=True
):
    model.fit(X, y)
    p = model.predict_proba(np.column_stack([np.full_like(x2, -1.0), x2]))
    for k in range(4):
        ax.plot(
            x2, p[:, k], color=COLORS[k], label=f"{k} = {k:02b}", linewidth=2, linestyle="-" if k in {0, 3} else "--"
        )
    p_test = model.predict_proba(X_test)
    loss = -np.mean(np.log(p_test[np.arange(len(y_test)), y_test]))
    ax.set(title=f"{name}: loss {loss:.3f} on new rows", xlabel="$x_2$, at $x_1 = -1$")
axes[0].set_ylabel("probability of the class")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# Ten digits, in ten outputs and in four bits
# -------------------------------------------
# The last experiment repeats this with real images. No digit has a natural code, so the codes are drawn at random,
# three times. Each bit groups digits that have nothing in common, and a small network cannot learn such groups well. A
# larger hidden layer makes up for most of the loss, but not for all. The saving is tiny: 198 of 2410 weights and biases
# with 32 hidden units.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, train_size=900, stratify=y, random_state=0)
widths = [0, 4, 8, 16, 32]
scores = {"ten outputs": [], "four bits": []}
for width in widths:
    hidden = (width,) if width else ()
    for seed in range(3):
        code = np.random.default_rng(seed).permutation(16)[:10]
        models = OneHot(hidden, seed), Bits(hidden, code, seed)
        for name, model in zip(scores, models, strict=True):
            scores[name].append(accuracy(model.fit(X_train, y_train), X_test, y_test))

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, values), marker, color in zip(scores.items(), "os", COLORS, strict=False):
    by_width = np.reshape(values, (len(widths), -1))
    ax.plot(range(1, len(widths)), by_width.mean(axis=1)[1:], "-", color=color, label=f"{name}, mean of three")
    ax.plot(by_width, marker, color=color, markersize=5, markerfacecolor="none")
    print(f"{name:<12}", "  ".join(f"{w} hidden: {v:.3f}" for w, v in zip(widths, by_width.mean(axis=1), strict=True)))
ax.set(
    xlabel="hidden units", ylabel="accuracy on new digits", xticks=range(len(widths)), xticklabels=["none", *widths[1:]]
)
ax.legend(loc="lower right")
plt.show()
