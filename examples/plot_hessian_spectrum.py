r"""
=========================
The spectrum of a Hessian
=========================

The Hessian is the matrix of second derivatives of the objective :math:`F(\theta)`. It describes the curvature of the
objective in every direction of the weights. Its eigenvalues tell where training has arrived: at a minimum none is
negative, at a saddle some are. They also tell how difficult the minimisation is: the largest one limits the step, and
the smallest one determines how many steps are necessary.

A network of a few hundred weights is small enough to compute all eigenvalues. This example looks at three points: the
random weights from which training starts, the weights at which ``adam`` stops, and those at which ``newton-cg`` stops.
"""

# %%
# Three points
# ------------
# The wine data have 178 rows, 13 features and three classes. ``adam`` stops when its loss falls by less than 1e-4 for
# ten epochs. ``newton-cg`` stops at the minimum. ``hessian_extremes`` tells what each point is, from the gradient and
# both ends of the spectrum. It computes them by Lanczos iterations, which also work for many more weights.

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
# ``hessian_operator`` multiplies by the Hessian without forming the matrix; a product takes the time of about two
# gradients. The product with the identity gives the matrix. ``hessian="gauss-newton"`` gives the Gauss-Newton matrix:
# it has the curvature of the loss and treats the logits as linear in the weights. It has no negative eigenvalues.


def spectrum(clf, hessian):
    """All eigenvalues, the largest first."""
    looked_at = copy.copy(clf).set_params(hessian=hessian)  # a shallow copy is fitted if clf is
    F = looked_at.objective(X, y)
    return np.linalg.eigvalsh(F.hessian_operator(F.theta0) @ np.eye(F.theta0.size))[::-1]


exact = {name: spectrum(clf, "exact") for name, clf in points.items()}
gauss_newton = {name: spectrum(clf, "gauss-newton") for name, clf in points.items()}
penalty = start.alpha / len(X)
for name, eigenvalues in exact.items():
    print(
        f"{name}: {eigenvalues.size} eigenvalues, {(eigenvalues < -1e-12).sum()} negative, "
        f"{(eigenvalues > eigenvalues[0] / 10).sum()} above a tenth of the largest"
    )

# %%
# What the eigenvalues mean
# -------------------------
# **Few are large.** After training, the logits of many rows change together along about ten directions, and the loss is
# curved there. Along most other directions only the penalty changes. Its curvature is ``alpha`` / 178 for every weight:
# the plateau on the dotted line. Without the penalty the plateau would be at zero. The 16 and 3 biases are not
# penalised, so up to 19 eigenvalues of the Gauss-Newton matrix can lie below the plateau.
#
# **One is zero** at every point, exactly: the softmax does not change if the same number is added to the biases of all
# three outputs, and biases are not penalised. A point can be a minimum even though the objective is constant in this
# direction.
#
# **Negative ones.** At random weights there are many. Some are left where ``adam`` stops, which is not a minimum. At
# the end there are none. Along such directions a plain Newton step would increase the objective; ``newton-cg`` detects
# them and goes down instead.
#
# **The Gauss-Newton matrix** leaves out the part that depends on the errors of the rows. While the errors are large, it
# is a very different matrix. Near the minimum it has the same large eigenvalues and differs only in the small ones.
# These determine the number of steps at the end; for this reason exact products are the default of the solvers that use
# products.

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
