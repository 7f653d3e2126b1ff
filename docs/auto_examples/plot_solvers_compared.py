r"""
================
Solvers compared
================

Training minimises a function of the weights, the objective :math:`F(\theta)`, and the solvers differ in how they go
about it. ``adam`` takes many cheap steps, each on a few rows, and needs no more than a rough direction. The others look
at all rows in every step and make more of the curvature. ``cg`` and ``lbfgs`` guess it from how the gradient has
changed on the way, ``tnc`` takes differences of gradients, and ``newton-cg``, ``trust-ncg`` and ``trust-krylov``
multiply by the exact Hessian. A step of theirs costs more and, near a minimum, is worth far more.

Here they all start from the same weights of the same network. How long does each take, and where does it end?
"""

# %%
# The function to be minimised
# ----------------------------
# ``objective`` gives :math:`F` on some data, here all rows of the breast cancer set, as a function of one vector of
# weights and biases, which any optimiser can take: value, gradient and products with the Hessian are methods.
# ``theta0`` is where training starts from.

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
# A clock starts with the method, and after each iteration the callback notes the time and the place. The methods are
# run until the gradient is next to nothing, further than prediction needs: it is the way to the minimum that is of
# interest.
#
# Newton-CG is given the sum over the rows in place of their mean. It takes curvature below 1e-15 for rounding, whatever
# the scale of the function, and on that of a mean would stop early. ``solver="newton-cg"`` does the same.

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
# ``partial_fit`` trains for one epoch, and so shows where ``adam`` is after each. Called again and again it spends most
# of its time on checking the data. What training takes is the time of one ``fit`` with as many epochs, spread over them
# evenly.
#
# A mini-batch divides ``alpha`` by its own rows, which are fewer than all. For ``adam`` to minimise the same function
# as the others, it gets the share of a batch: of three batches, a third.


def watch_adam(learning_rate_init, n_epochs=400):
    """Seconds and parameters at the start and after each epoch."""
    adam = clone(clf).set_params(learning_rate_init=learning_rate_init, batch_size=190, alpha=1 / 3)
    thetas = [F.theta0]
    for _ in range(n_epochs):
        adam.partial_fit(X, y, classes=[0, 1])
        thetas.append(adam.objective(X, y).theta0)
    adam.set_params(n_iter_no_change=math.inf, max_iter=n_epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is to take all of these epochs
        seconds = min(timeit.repeat(lambda: adam.fit(X, y), number=1, repeat=3))
    return np.linspace(0.0, seconds, n_epochs + 1), thetas


# %%
# The runs
# --------
# SciPy's methods run three times, which changes nothing but the clock; of the times the least counts. Values and
# gradients are looked up afterwards.

runs = {}
with threadpool_limits(limits=1):  # on products this small a second thread only gets in the way
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
# What comes of it
# ----------------
# On the left, what training is for. ``lbfgs`` is at a good value before anything else, which is why it is the method to
# try first on data of this size. A curve that levels off has arrived: the objective has many minima, here within about
# a per cent of each other, and which of them a method finds is a matter of its path rather than of its merit. ``adam``
# with the default learning rate has a long way to go.
#
# On the right, whether it is a minimum at all: there the gradient is zero. ``adam`` at a constant rate does not get
# there, since the gradients of its batches are not zero where their mean is, and it goes about in the neighbourhood.
# ``cg`` and ``lbfgs`` do, if not in a straight line. The Newton methods, a dot an iteration, take a while to find a
# valley. Once they have, ``newton-cg`` wins more digits with every step in place of always the same, and drops from
# 1e-6 to rounding in a few of them.

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
axes[1].set(title="How far from stationary", ylabel=r"largest element of $|\nabla F(\theta)|$")
for ax in axes:
    ax.set(xlabel="seconds", yscale="log")
    ax.grid(alpha=0.3)
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(curves))
plt.show()
