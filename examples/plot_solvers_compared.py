r"""
================
Solvers compared
================

Training minimises a function of the weights, the objective :math:`F(\theta)`. The solvers do this in different ways.
``adam`` takes many cheap steps, each on a few rows, and needs only a rough direction. The other solvers use all rows in
every step, and they use the curvature. ``cg`` and ``lbfgs`` estimate it from the changes of the gradient, ``tnc`` uses
differences of gradients, and ``newton-cg``, ``trust-ncg`` and ``trust-krylov`` multiply by the exact Hessian. Their
steps cost more, but near a minimum each step gains far more.

All solvers start from the same weights of the same network. How long does each take, and where does it end?
"""

# %%
# The function to minimise
# ------------------------
# ``objective`` returns :math:`F` on some data, here all rows of the breast cancer set, as a function of one vector of
# weights and biases. Any optimiser can use it: value, gradient and products with the Hessian are methods. Training
# starts from ``theta0``.

import math
import time
import timeit
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier

X, y = load_breast_cancer(return_X_y=True)
X = scale(X)
clf = BackpropClassifier((20,), "tanh", alpha=1.0, random_state=0)
F = clf.objective(X, y)
print(f"{len(X)} rows, {F.theta0.size} parameters, F(theta0) = {F.value(F.theta0):.3f}")

# %%
# SciPy's methods
# ---------------
# The clock starts with the method. After each iteration a callback stores the time and the parameters. The methods run
# until the gradient is almost zero. Predictions do not need this precision; it shows the whole way to the minimum.
#
# Newton-CG gets the sum over the rows instead of the mean. It treats curvature below 1e-15 as rounding, for functions
# of any scale, and would stop early on a mean. ``solver="newton-cg"`` does the same.

METHODS = {  # solver: its name in SciPy, options
    "cg": ("CG", {"gtol": 1e-7, "maxiter": 1000}),
    "lbfgs": ("L-BFGS-B", {"gtol": 1e-7, "ftol": 0.0, "maxiter": 1000}),
    "tnc": ("TNC", {"gtol": 1e-7, "ftol": 0.0, "maxfun": 1000}),
    "newton-cg": ("Newton-CG", {"xtol": 1e-8}),
    "trust-ncg": ("trust-ncg", {"gtol": 1e-6}),
    "trust-krylov": ("trust-krylov", {"gtol": 1e-6}),
}


def watch_scipy(method, options):
    """Seconds and parameters at the start and after each iteration."""
    factor = len(X) if method == "Newton-CG" else 1
    uses_products = method in {"Newton-CG", "trust-ncg", "trust-krylov"}
    function = clf.objective(X, y)
    seconds, thetas = [0.0], [function.theta0]

    def note(theta):
        seconds.append(time.perf_counter() - start)
        thetas.append(theta.copy())

    start = time.perf_counter()
    minimize(
        lambda theta: tuple(factor * part for part in function.value_and_gradient(theta)),
        function.theta0,
        jac=True,
        hessp=(lambda theta, v: factor * function.hessp(theta, v)) if uses_products else None,
        method=method,
        options=options,
        callback=note,
    )
    return seconds, thetas


# %%
# Mini-batches
# ------------
# ``partial_fit`` trains for one epoch, so it shows the parameters of ``adam`` after each epoch. But many calls spend
# most of their time on checking the data. For this reason the time is that of one ``fit`` with the same number of
# epochs, divided evenly among them.
#
# A mini-batch divides ``alpha`` by the number of its own rows. To minimise the same function as the others, ``adam``
# gets an ``alpha`` divided by the number of batches: one third.


def watch_adam(learning_rate_init, n_epochs=400):
    """Seconds and parameters at the start and after each epoch."""
    adam = clone(clf).set_params(learning_rate_init=learning_rate_init, batch_size=190, alpha=1 / 3)
    thetas = [F.theta0]
    for _ in range(n_epochs):
        adam.partial_fit(X, y, classes=[0, 1])
        thetas.append(adam.objective(X, y).theta0)
    adam.set_params(n_iter_no_change=math.inf, max_iter=n_epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all of these epochs are intended
        seconds = min(timeit.repeat(lambda: adam.fit(X, y), number=1, repeat=3))
    return np.linspace(0.0, seconds, n_epochs + 1), thetas


# %%
# The runs
# --------
# SciPy's methods run three times. Only the times differ between these runs, and the least time counts. Values and
# gradients are computed afterwards.

runs = {}
with threadpool_limits(limits=1):  # with such small products a second thread only slows the run
    for rate in (0.001, 0.01):
        runs[f"adam, rate {rate}"] = watch_adam(rate)
    for solver, (method, options) in METHODS.items():
        seconds, thetas = zip(*(watch_scipy(method, options) for _ in range(3)), strict=True)
        runs[solver] = np.min(seconds, axis=0), thetas[0]

curves = {}
for solver, (seconds, thetas) in runs.items():
    values, gradients = zip(*map(F.value_and_gradient, thetas), strict=True)
    curves[solver] = seconds, np.array(values), np.abs(gradients).max(axis=1)
    print(
        f"{solver:<17}{len(seconds) - 1:>4} iterations {seconds[-1]:6.2f} s   F = {values[-1]:.7f}   "
        f"largest element of the gradient {curves[solver][2][-1]:.0e}"
    )

# %%
# The result
# ----------
# The left panel shows the objective. ``lbfgs`` is the first to reach a good value, so try it first on data of this
# size. A curve that becomes flat has reached a minimum. The objective has many minima, here within about one per cent
# of each other; which of them a method finds depends on its path and is no sign of quality. ``adam`` with the default
# learning rate is still far from a minimum.
#
# The right panel shows whether the point is a minimum: there the gradient is zero. ``adam`` with a constant learning
# rate does not reach a minimum, because the gradients of its batches are not zero where their mean is; it moves around
# near the minimum. ``cg`` and ``lbfgs`` reach one, but the gradient does not fall steadily. The Newton methods, with
# one dot for each iteration, need some time to find the neighbourhood of a minimum. From there ``newton-cg`` gains more
# digits in every step than in the step before, and falls from 1e-6 to rounding error in a few steps.

lowest = min(values.min() for _, values, _ in curves.values())
fig, axes = plt.subplots(1, 2, figsize=(12, 5.6), sharex=True, layout="constrained")
for k, (solver, (seconds, values, largest)) in enumerate(curves.items()):
    style = {"color": f"C{k}", "label": solver, "linestyle": "--" if solver.startswith("adam") else "-"}
    style |= {"marker": "o", "markersize": 4} if len(seconds) < 100 else {}
    axes[0].plot(seconds, np.maximum(values - lowest, 1e-9), **style)
    axes[1].plot(seconds, largest, **style)
axes[0].set(
    title="Objective above the lowest found (cut off at $10^{-9}$)", ylabel=r"$F(\theta) - F_{\min}$", ylim=(4e-10, 1)
)
axes[1].set(title="Size of the gradient", ylabel=r"largest element of $|\nabla F(\theta)|$")
for ax in axes:
    ax.set(xlabel="seconds", yscale="log")
    ax.grid(alpha=0.3)
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(curves))
plt.show()
