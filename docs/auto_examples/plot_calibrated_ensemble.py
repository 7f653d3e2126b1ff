r"""
=====================
A calibrated ensemble
=====================

A network that is trained until it fits its rows is surer of itself than it should be: of the cases to which it gives 90%,
fewer turn out that way. ``BackpropClassifierCV`` trains five networks, each without a fifth of the rows, learns from that
fifth how sure they may be, and averages the five. Three things come of it, shown here one after the other: probabilities
that mean what they say, a measure of doubt, and an estimate of the error on new rows.
"""

# %%
# Data whose probabilities are known
# ----------------------------------
# Friedman's function is a sine, a square and a line of 5 features; 15 more have no say. Here it is the log odds of a label
# that is drawn at random. So the true probability :math:`p` of every row is known, and with it the log loss that a forecast
# :math:`q` may expect on new rows,
#
# .. math:: E[-p \log q - (1 - p) \log(1 - q)],
#
# which is least for :math:`q = p`: nobody can do better than that. There are 2,000 rows to learn from and 10,000 to judge by.

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
# Beside its peers
# ----------------
# All have their default parameters. ``MLPClassifier`` and ``BackpropClassifier`` take 200 epochs and warn that they could
# go on; from the same seed they train the same network, and their probabilities are equal.

CLASSIFIERS = {  # colour, marker, line
    BackpropClassifierCV(random_state=0): ("#0072B2", "o", "-"),
    LogisticRegression(): ("#555555", "D", ":"),
    MLPClassifier(random_state=0): ("#E69F00", "s", "-"),
    BackpropClassifier(random_state=0): ("black", "x", ""),
    HistGradientBoostingClassifier(random_state=0): ("#D55E00", "^", "--"),
}

forecasts = []
with threadpool_limits(limits=1), warnings.catch_warnings():  # on so few rows a second thread only gets in the way
    warnings.simplefilter("ignore", ConvergenceWarning)
    for classifier in CLASSIFIERS:
        clf = make_pipeline(StandardScaler(), classifier).fit(X_train, y_train)
        forecasts.append(clf.predict_proba(X_new)[:, 1])

# %%
# A reliability curve, on the left, sorts the new rows by the forecast and shows for each tenth of them how often the label
# was 1. One that is flatter than the diagonal belongs to a classifier that is too sure: what ``MLPClassifier`` gives 3%
# happens in one case of seven.
#
# Being well calibrated is not all: to give every row the overall frequency would do for that. On the right, what a log loss
# has above that of the true probabilities is divided in two. One part is due to calibration: by so much the log loss falls
# if the forecasts go through the best increasing function, which an isotonic regression finds. The other is what the
# classifier has not learnt. The logistic regression is well calibrated but knows only planes; the trees have learnt most,
# but are too sure of it; the single network is far too sure. The ensemble has learnt more than one network and is about
# right in how sure it is.

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
right.set(title="What could be gained", xlabel="log loss above that of the true probabilities", xlim=(0, 0.2))
right.set_yticks(range(len(CLASSIFIERS)), [type(c).__name__.removesuffix("Classifier") for c in CLASSIFIERS])
right.invert_yaxis()
right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
plt.show()

# %%
# Doubt
# -----
# The members have seen different rows from different starting points. Where the data decide they agree, and where the data
# are silent each goes on in its own way: the standard deviation of their probabilities is a measure of doubt.
# ``predict_proba_members`` gives them, their mean is ``predict_proba``. A pipeline passes on only what every classifier has,
# so its last step is asked, with what the steps before make of the rows.

X, y = make_moons(200, noise=0.25, random_state=0)
clf = make_pipeline(StandardScaler(), BackpropClassifierCV(random_state=0))
with threadpool_limits(limits=1):
    clf.fit(X, y)

x1, x2 = np.meshgrid(np.linspace(-3.5, 4.5, 201), np.linspace(-3.5, 4, 201))
grid = np.column_stack([x1.ravel(), x2.ravel()])
members = clf[-1].predict_proba_members(clf[:-1].transform(grid))[:, :, 1].reshape(-1, *x1.shape)

# %%
# On the left the mean, with the border of each member as a line. Among the points the borders are close together, away from
# them they part, and there the doubt on the right is largest. Along the border it is there too, but less: there the members
# agree that it is about one half. The two kinds of not knowing are different things. More rows lessen the doubt; they do
# not part classes that overlap.
#
# It is doubt about where the border is, not about whether a row is like those seen. In the corner marked with a cross there
# was nothing to learn from either, but all members say the same, and are sure of it.

fig, axes = plt.subplots(1, 2, figsize=(12, 5), sharex=True, sharey=True, layout="constrained")
mean, spread = members.mean(axis=0), members.std(axis=0)
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
# Every row of the training data was in the fold of one member, which did not train on it. The log loss of what these
# members say of their own folds is ``oof_log_loss_``. As an estimate for a single member it is too good, because each kept
# the weights of the epoch that was best on the very rows; but it is the mean of all members that predicts, and that is
# better than one of them by about as much. Five draws of each number of rows:

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
            estimates.append((clf[-1].oof_log_loss_, one, expected_log_loss(q.mean(axis=0))))
        for values, column in zip(results.values(), zip(*estimates, strict=True), strict=True):
            values.append(column)
        print(f"{n_rows:5} rows: " + ", ".join(f"{name} {np.mean(v[-1]):.3f}" for name, v in results.items()))

# %%
# On few rows the estimate scatters, as chance has it in their labels; and there the choice of the epoch makes it too good
# even for the ensemble. A figure to be published wants rows that took no part.

fig, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
styles = (("#E69F00", "o", "--"), ("#555555", "D", ":"), ("#0072B2", "s", "-"))
for shift, (name, values), (colour, marker, line) in zip((0.95, 1.0, 1.05), results.items(), styles, strict=True):
    at = shift * np.array(N_ROWS)
    ax.plot(at, np.mean(values, axis=1), line, marker=marker, color=colour, label=name)
    ax.plot(at, values, marker, color=colour, alpha=0.35, markersize=4)
ax.axhline(least, color="black", linewidth=0.8)
ax.text(N_ROWS[0], least + 0.003, "true probabilities")
ax.set(title="Log loss estimated and found", xscale="log", xlabel="rows trained on", ylabel="log loss")
ax.set_xticks(N_ROWS, N_ROWS)
ax.minorticks_off()
ax.legend()
plt.show()
