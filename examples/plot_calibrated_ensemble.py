"""
=====================
A calibrated ensemble
=====================

A network that is trained until it fits its rows is overconfident: of the cases to which it gives a probability of 90%,
fewer than 90% come true. ``BackpropClassifierCV`` trains eight networks, each without one quarter of the rows. From these
quarters it learns how confident the networks may be, and it averages the eight. This gives three things, which this
example shows one after the other: calibrated probabilities, a measure of doubt, and an estimate of the error on new
rows.
"""

# %%
# Data with known probabilities
# -----------------------------
# Friedman's function is a sum of a sine, a square and a linear function of 5 features; 15 more features have no effect.
# Here it gives the log odds of a label, and the label is drawn at random. So the true probability :math:`p` of every
# row is known, and the expected log loss of a forecast :math:`q` on new rows is
#
# .. math:: E[-p \log q - (1 - p) \log(1 - q)].
#
# It is smallest for :math:`q = p`; no forecast can be better. There are 2,000 rows for training and 10,000 for testing.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit, xlogy
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_friedman1, make_moons
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier, BackpropClassifierCV


def draw(n_rows, seed):
    """Features, labels, and the true probabilities of label 1."""
    X, f = make_friedman1(n_rows, n_features=20, random_state=seed)
    p = expit((f - 14.4) / 2)  # the mean of f is about 14.4
    return X, np.random.default_rng(seed).uniform(size=n_rows) < p, p


def expected_log_loss(q):
    return -np.mean(xlogy(p_new, q) + xlogy(1 - p_new, 1 - q))


X_new, y_new, p_new = draw(10_000, seed=0)
X_train, y_train, _ = draw(2_000, seed=1)
print(f"Expected log loss of the true probabilities: {expected_log_loss(p_new):.3f}")

# %%
# Comparison with other classifiers
# ---------------------------------
# All have their default parameters. ``MLPClassifier`` and ``BackpropClassifier`` take 200 epochs and warn that they
# have not converged. The same seed gives the same network, so their probabilities are equal.

CLASSIFIERS = {  # colour, marker, line
    BackpropClassifierCV(random_state=0): ("#0072B2", "o", "-"),
    LogisticRegression(): ("#555555", "D", ":"),
    MLPClassifier(random_state=0): ("#E69F00", "s", "-"),
    BackpropClassifier(random_state=0): ("black", "x", ""),
    HistGradientBoostingClassifier(random_state=0): ("#D55E00", "^", "--"),
}

forecasts = []
with threadpool_limits(limits=1), warnings.catch_warnings():  # with so few rows a second thread only slows the fit
    warnings.simplefilter("ignore", ConvergenceWarning)
    for classifier in CLASSIFIERS:
        clf = make_pipeline(StandardScaler(), classifier).fit(X_train, y_train)
        forecasts.append(clf.predict_proba(X_new)[:, 1])

# %%
# The reliability curves on the left sort the new rows by the forecast and show for each tenth of them how often the
# label was 1. A curve that is flatter than the diagonal means an overconfident classifier: where ``MLPClassifier``
# gives a probability of 3%, the label is 1 in one case of seven.
#
# Calibration alone is not enough: a classifier that gives every row the overall frequency is calibrated too. On the
# right, the excess of each log loss over that of the true probabilities has two parts. The first is calibration: the
# log loss falls by this amount if the best increasing function, found by isotonic regression, maps the forecasts. The
# second is what the classifier has not learnt. Logistic regression is well calibrated but finds only planes. The trees
# have learnt the most but are overconfident, and the single network is far more overconfident. The ensemble has learnt
# more than one network, and its confidence is about right.

fig, (left, right) = plt.subplots(1, 2, figsize=(12, 5.6), layout="constrained")
left.plot([0, 1], [0, 1], color="black", linewidth=0.8)
least = expected_log_loss(p_new)
for row, ((classifier, (colour, marker, line)), q) in enumerate(zip(CLASSIFIERS.items(), forecasts, strict=True)):
    name, loss = type(classifier).__name__, expected_log_loss(q)
    frequency, forecast = calibration_curve(y_new, q, n_bins=10, strategy="quantile")
    left.plot(forecast, frequency, color=colour, marker=marker, linestyle=line, label=f"{name}: {loss:.3f}")
    recalibrated = expected_log_loss(IsotonicRegression(out_of_bounds="clip").fit(q, p_new).predict(q))
    first = row == 0  # the legend names each part once
    right.barh(row, recalibrated - least, color="#56B4E9", label="not learnt" if first else None)
    right.barh(
        row, loss - recalibrated, left=recalibrated - least, color="#D55E00", label="calibration" if first else None
    )
    right.text(loss - least + 0.002, row, f"{loss - recalibrated:.3f}", color="#A84A00", va="center")
left.set(title="Reliability", xlabel="forecast of label 1", ylabel="frequency of label 1", xlim=(0, 1), ylim=(0, 1))
left.legend(title="log loss", loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
right.set(title="Excess log loss", xlabel="log loss above that of the true probabilities", xlim=(0, 0.2))
right.set_yticks(range(len(CLASSIFIERS)), [type(c).__name__.removesuffix("Classifier") for c in CLASSIFIERS])
right.invert_yaxis()
right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
plt.show()

# %%
# Doubt
# -----
# The members start from different weights and train on different rows. They agree where the data determine the answer,
# and differ where there are no data: the standard deviation of their probabilities is a measure of doubt.
# ``predict_proba_members`` gives the probabilities of each member, and ``predict_proba`` is their weighted mean. A pipeline
# offers only the methods that every classifier has, so the code calls the last step itself, on rows that the first step
# has transformed.

X, y = make_moons(200, noise=0.25, random_state=0)
clf = make_pipeline(StandardScaler(), BackpropClassifierCV(random_state=0))
with threadpool_limits(limits=1):
    clf.fit(X, y)

x1, x2 = np.meshgrid(np.linspace(-3.5, 4.5, 201), np.linspace(-3.5, 4, 201))
grid = np.column_stack([x1.ravel(), x2.ravel()])
members = clf[-1].predict_proba_members(clf[:-1].transform(grid))[:, :, 1].reshape(-1, *x1.shape)

# %%
# On the left is the mean, with a line for the border of each member. The borders are close together between the points
# and separate away from them; the doubt, on the right, is largest there. Along the border the doubt is smaller: the
# members agree that the probability is about one half. These are two kinds of uncertainty. More rows reduce the doubt,
# but they do not separate classes that overlap.
#
# The doubt is about the position of the border. It does not tell whether a row is similar to the training rows: near
# the cross in the corner there are no data either, but all members agree and are confident.

fig, axes = plt.subplots(1, 2, figsize=(12, 5), sharex=True, sharey=True, layout="constrained")
mean, spread = np.tensordot(clf[-1].member_weights_, members, 1), members.std(axis=0)
filled = axes[0].contourf(x1, x2, mean, levels=np.linspace(0, 1, 11), cmap="RdBu_r", vmin=-0.3, vmax=1.3)
fig.colorbar(filled, ax=axes[0], label="mean probability of the triangles")
for member in members:
    axes[0].contour(x1, x2, member, levels=[0.5], colors="black", linewidths=1)
filled = axes[1].contourf(x1, x2, spread, levels=np.linspace(0, 0.5, 11), cmap="cividis")
fig.colorbar(filled, ax=axes[1], label="standard deviation over the members")
for ax in axes:
    for label, marker, colour in ((0, "o", "#2166AC"), (1, "^", "#B2182B")):
        ax.scatter(*X[y == label].T, s=22, marker=marker, color=colour, edgecolor="white", linewidth=0.6)
    ax.plot(-3, 3.5, "P", color="white", markeredgecolor="black", markersize=12)
    ax.set(xlabel="$x_1$")
axes[0].set(title="Mean, and each member's border", ylabel="$x_2$")
axes[1].set(title="Spread: doubt")
plt.show()

# %%
# The error on new rows
# ---------------------
# Every training row is in the fold of two members, which did not train on it. ``oof_log_loss_`` is the log loss of their
# weighted mean. It is too low as an estimate for a single member, because each member kept the weights of
# the epoch that was best on these same rows. But the mean of all members predicts, and its log loss is lower by about
# the same amount. The code draws each number of rows five times:

N_ROWS = [125, 250, 500, 1000, 2000]
results = {"out-of-fold estimate": [], "a member on new rows": [], "the ensemble on new rows": []}
with threadpool_limits(limits=1):
    for n_rows in N_ROWS:
        estimates = []
        for seed in range(1, 6):
            X_train, y_train, _ = draw(n_rows, seed)
            clf = make_pipeline(StandardScaler(), BackpropClassifierCV(random_state=seed)).fit(X_train, y_train)
            q = clf[-1].predict_proba_members(clf[:-1].transform(X_new))[:, :, 1]
            one = np.mean([expected_log_loss(member) for member in q])
            ensemble = expected_log_loss(clf[-1].member_weights_ @ q)
            estimates.append((clf[-1].oof_log_loss_, one, ensemble))
        for values, column in zip(results.values(), zip(*estimates, strict=True), strict=True):
            values.append(column)
        print(f"{n_rows:5} rows: " + ", ".join(f"{name} {np.mean(v[-1]):.3f}" for name, v in results.items()))

# %%
# The estimate varies a lot on few rows, because the labels are random. There the choice of the epoch makes it too low
# even for the ensemble. To publish a figure, measure it on rows that took no part in training.

fig, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
styles = (("#E69F00", "o", "--"), ("#555555", "D", ":"), ("#0072B2", "s", "-"))
for shift, (name, values), (colour, marker, line) in zip((0.95, 1.0, 1.05), results.items(), styles, strict=True):
    at = shift * np.array(N_ROWS)
    ax.plot(at, np.mean(values, axis=1), line, marker=marker, color=colour, label=name)
    ax.plot(at, values, marker, color=colour, alpha=0.35, markersize=4)
ax.axhline(least, color="black", linewidth=0.8)
ax.text(N_ROWS[0], least + 0.003, "true probabilities")
ax.set(title="Log loss: estimates and values on new rows", xscale="log", xlabel="rows trained on", ylabel="log loss")
ax.set_xticks(N_ROWS, N_ROWS)
ax.minorticks_off()
ax.legend()
plt.show()
