r"""
============
A rare class
============

Where 97 rows of 100 are of one class, a classifier that always says so is right 97 times of 100 and of no use. Trained
on such rows a network is nearly as reluctant to name the rare class. ``class_weight="balanced"`` lets both classes count
alike: the rare rows are found, at a price.
"""

# %%
# With and without weights
# ------------------------
# Two crescents that run into each other. ``"balanced"`` weighs a row by :math:`n / (2 n_k)`, where :math:`n_k` is the
# number of rows of its class: about 0.5 for the frequent class and 17 for the rare one. Nothing else differs.

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, precision_recall_curve, recall_score
from sklearn.model_selection import train_test_split

from skbp import BackpropClassifier

X, y = make_moons((19_400, 600), noise=0.3, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=4000, stratify=y, random_state=0)

plain = BackpropClassifier((16,), "tanh", solver="lbfgs", alpha=1.0, max_iter=2000, random_state=0)
balanced = clone(plain).set_params(class_weight="balanced")
probability = {  # of the rare class
    "plain": plain.fit(X_train, y_train).predict_proba(X_test)[:, 1],
    "balanced": balanced.fit(X_train, y_train).predict_proba(X_test)[:, 1],
}

# %%
# What it gains and what it costs
# -------------------------------
# Balanced accuracy is the mean of the shares found of each class. The weights raise it a good deal, and with it the
# number of false alarms: most rows that are now called rare are not.
#
# The probabilities are no longer those of the data. They are what they would be if there were as many rare rows as
# frequent ones: of all rows the network expects far more to be rare than are. The log loss shows it.
#
# Two remedies need no second network. The plain one finds about as many rare rows if its own probability is compared with
# their share, 0.03, in place of 0.5 (:class:`sklearn.model_selection.FixedThresholdClassifier` makes a classifier of
# that). And the weights add the logarithm of their ratio to the log odds, from which it can be taken off again.

share = y_train.mean()
probability["balanced, corrected"] = expit(balanced.decision_function(X_test) - logit(1 - share))

rows = [("plain", 0.5), ("plain", share), ("balanced", 0.5), ("balanced, corrected", share)]
print(f"{'':<21}{'':>10}{'balanced':>10}{'':>10}{'share of':>10}{'false':>8}{'log':>8}{'expected':>10}")
print(
    f"{'':<21}{'threshold':>10}{'accuracy':>10}{'accuracy':>10}{'rare found':>11}{'alarms':>7}{'loss':>8}{'rare':>10}"
)
for name, threshold in rows:
    p = probability[name]
    called_rare = p > threshold
    print(
        f"{name:<21}{threshold:>10.2f}{balanced_accuracy_score(y_test, called_rare):>10.3f}"
        f"{accuracy_score(y_test, called_rare):>10.3f}{recall_score(y_test, called_rare):>11.3f}"
        f"{(called_rare & (y_test == 0)).sum():>7}{log_loss(y_test, p):>8.3f}{p.sum():>10.0f}"
    )
print(f"Of {len(y_test)} test rows {y_test.sum()} are rare.")

# %%
# The same network, shifted
# -------------------------
# **Above,** the probability of the rare class and the line where it is 0.5. The dashed line, where the plain network says
# 0.03, runs where the balanced one has its boundary.
#
# **Below on the left,** precision is the share of truly rare rows among those called rare, recall the share of the rare
# ones that are called so. On the scale of log odds the curves of the one network are very nearly those of the other,
# moved to the right: weights choose a point on a curve that a threshold can choose too, and teach little else.
#
# **Below on the right,** how often the rare class really occurs where a network says that it does with a probability p.
# That of the plain network is on the diagonal, to be believed. That of the balanced one is not.
#
# So: weights, if labels are to be predicted and both kinds of error matter alike; a threshold, if the probabilities are
# wanted as well.

BLUE, ORANGE = "#0072B2", "#D55E00"  # told apart with any colour vision
fig, axes = plt.subplots(2, 2, figsize=(11, 8.6), layout="constrained", height_ratios=[1.1, 1])

rng = np.random.default_rng(0)
shown = rng.permutation(len(X_train))[:2000]
for ax, clf, title in zip(axes[0], (plain, balanced), ("Plain", "Balanced"), strict=True):
    surface = DecisionBoundaryDisplay.from_estimator(
        clf,
        X_train[shown],
        response_method="predict_proba",
        plot_method="pcolormesh",
        grid_resolution=300,
        eps=0.6,
        ax=ax,
        cmap="Oranges",
        vmin=0,
        vmax=1.3,  # paler than the whole range of the map would be
        rasterized=True,
    )
    xx, yy, p = surface.xx0, surface.xx1, surface.response
    for k, marker, color, size, label in ((0, "o", "#56B4E9", 3, "frequent"), (1, "^", "black", 14, "rare")):
        of_class = X_train[shown][y_train[shown] == k]
        ax.scatter(*of_class.T, s=size, marker=marker, color=color, linewidths=0, label=label)
    ax.contour(xx, yy, p, levels=[0.5], colors="black", linewidths=2)
    ax.plot([], [], color="black", linewidth=2, label="p = 0.5")
    if clf is plain:
        ax.contour(xx, yy, p, levels=[share], colors="black", linestyles="dashed", linewidths=2)
        ax.plot([], [], "--", color="black", linewidth=2, label=f"p = {share:.2f}")
    score = balanced_accuracy_score(y_test, clf.predict(X_test))
    ax.set(title=f"{title}: balanced accuracy {score:.3f}", xlabel="$x_1$", ylabel="$x_2$")
    ax.legend(loc="upper left", ncols=2)
colorbar = fig.colorbar(surface.surface_, ax=axes[0], label="probability p of the rare class")
colorbar.ax.set_ylim(0, 1)

for name, color in (("plain", BLUE), ("balanced", ORANGE)):
    precision, recall, thresholds = precision_recall_curve(y_test, probability[name])
    enough = recall[:-1] * y_test.sum() >= 10  # precision of fewer rows is noise
    axes[1, 0].plot(logit(thresholds[enough]), precision[:-1][enough], "--", color=color)
    axes[1, 0].plot(logit(thresholds[enough]), recall[:-1][enough], color=color, label=name)
    observed, said = calibration_curve(y_test, probability[name], n_bins=8)
    axes[1, 1].plot(said, observed, "o-", color=color, label=name)
ticks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99]
axes[1, 0].set_xticks(logit(ticks), ticks)
axes[1, 0].set(title="Precision and recall", xlabel="threshold (on the scale of log odds)", ylabel="share")
axes[1, 0].set_xlim(logit([0.0002, 0.997]))
for what, linestyle in (("recall", "-"), ("precision", "--")):
    axes[1, 0].plot([], [], linestyle, color="grey", label=what)
axes[1, 0].legend(loc="center left")
axes[1, 1].plot([0, 1], [0, 1], ":", color="black", label="as often as said")
axes[1, 1].set(title="Calibration", xlabel="probability that the network says", ylabel="share of rare rows observed")
axes[1, 1].legend(loc="upper left")
for ax in axes[1]:
    ax.grid(alpha=0.3)
plt.show()
