r"""
=========================
The spectrum of a Hessian
=========================

The Hessian, the matrix of second derivatives of the objective :math:`F(\theta)`, says how the objective bends along
every direction of the weights. Its eigenvalues tell where training has arrived: at a minimum none is negative, at a
saddle some are. They also tell how hard the way there is, for the steepest direction limits the step, and the flattest
says how many of those steps it takes.

A network of a few hundred weights is small enough to have all of them. Look at three points: the random weights that
training starts from, the weights at which ``adam`` stops, and those at which ``newton-cg`` does.
"""

# %%
# Three points
# ------------
# Wine: 178 rows, 13 features, three classes. ``adam`` stops where its loss no longer falls by 1e-4 in ten epochs, and
# is content. ``newton-cg`` goes on until nothing is left to gain. ``hessian_extremes`` certifies what each has found,
# from the gradient and both ends of the spectrum, which it gets by Lanczos iterations and so could for many more
# weights than these.

import copy

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale

from skbp import BackpropClassifier
from skbp.inspection import hessian_extremes

X, y = load_wine(return_X_y=True)
X = scale(X)
start = BackpropClassifier((16,), "tanh", alpha=1.0, random_state=0)
points = {
    "random weights": start,
    "where adam stops": clone(start).set_params(max_iter=10_000).fit(X, y),
    "where newton-cg stops": clone(start).set_params(solver="newton-cg", tol=1e-9).fit(X, y),
}
for name, clf in points.items():
    F = clf.objective(X, y)
    print(f"{name}: F = {F.value(F.theta0):.7f}, {hessian_extremes(clf, X, y, k=3, tol=1e-6)}\n")

# %%
# All eigenvalues
# ---------------
# ``hessian_operator`` multiplies by the Hessian without forming it, a product for the time of about two gradients.
# Multiplied by the identity it becomes the matrix. With ``hessian="gauss-newton"`` it is the Gauss-Newton matrix, which
# has the curvature of the loss and takes the logits for linear in the weights. That leaves nothing to bend downward.


def spectrum(clf, hessian):
    """All eigenvalues, the largest first."""
    looked_at = copy.copy(clf).set_params(hessian=hessian)  # a shallow copy: fitted, if clf is
    F = looked_at.objective(X, y)
    return np.linalg.eigvalsh(F.hessian_operator(F.theta0) @ np.eye(F.theta0.size))[::-1]


exact = {name: spectrum(clf, "exact") for name, clf in points.items()}
gauss_newton = {name: spectrum(clf, "gauss-newton") for name, clf in points.items()}
penalty = start.alpha / len(X)
for name, eigenvalues in exact.items():
    print(
        f"{name}: of {eigenvalues.size} eigenvalues {(eigenvalues < -1e-12).sum()} are negative and "
        f"{(eigenvalues > eigenvalues[0] / 10).sum()} above a tenth of the largest"
    )

# %%
# What they say
# -------------
# **Few are large.** After training it is along some ten directions that the logits of many rows change together and
# bend the loss. Along most others next to nothing changes but the penalty, whose own curvature is ``alpha`` / 178 for
# every weight: the shelf on the dotted line. Without the penalty it would be at zero. The biases, 16 and 3, are not
# penalised, so up to 19 eigenvalues of the Gauss-Newton matrix may lie below the shelf.
#
# **One is zero,** exactly and everywhere: to add the same number to the biases of all three outputs leaves the softmax
# as it is, and biases are not penalised. Such a direction, neither up nor down, does not keep a point from being a
# minimum.
#
# **Negative ones** are plenty at random weights, some are left where ``adam`` stops, which is on a slope and not at a
# minimum, and none at the end. Along them a Newton step without precautions would climb; ``newton-cg`` notices and
# walks down instead.
#
# **The Gauss-Newton matrix** lacks what the errors on the rows contribute. While they are large it is another matrix
# altogether; near the minimum it has the same large eigenvalues and only differs in the small ones. Those decide the
# number of steps at the end: this is why exact products are the default of the solvers that take them.

fig, axes = plt.subplots(1, 3, figsize=(12, 4.8), sharex=True, sharey=True, layout="constrained")
for ax, name in zip(axes, points, strict=True):
    rank = np.arange(1, exact[name].size + 1)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.axhline(penalty, color="black", linestyle=":", linewidth=1, label="curvature of the penalty")
    ax.plot(rank, gauss_newton[name], ".", color="C1", markersize=4, label="Gauss-Newton matrix")
    ax.plot(rank, exact[name], ".", color="C0", markersize=4, label="Hessian")
    ax.fill_between(rank, np.minimum(exact[name], 0), color="firebrick", alpha=0.25, label="negative: a way down")
    ax.set(title=f"{name[0].upper()}{name[1:]}\n{(exact[name] < -1e-12).sum()} negative", xlabel="rank")
    ax.set_yscale("symlog", linthresh=1e-3, linscale=0.6)
    ax.grid(alpha=0.3)
axes[0].set_ylabel("eigenvalue (linear within 0.001)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, markerscale=3)
plt.show()
