r"""
============
A rare class
============

If 97 rows of 100 belong to one class, a classifier that always predicts this class is right 97 times of 100, but
useless. A network that trains on such rows predicts the rare class almost as seldom. ``class_weight="balanced"`` gives
both classes the same total weight: the network then finds the rare rows, at a cost.
"""

# %%
# With and without weights
# ------------------------
# The data are two crescents that overlap. ``"balanced"`` gives a row the weight :math:`n / (2 n_k)`, where :math:`n_k`
# is the number of rows of its class: about 0.5 for the frequent class and 17 for the rare one. Nothing else differs.

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
# Gain and cost
# -------------
# Balanced accuracy is the mean over the classes of the share of rows that are found. The weights raise it a lot. They
# also raise the number of false alarms: most rows that the network now calls rare are frequent.
#
# The probabilities are no longer those of the data. They are those of data with as many rare rows as frequent ones, so
# the network expects far more rare rows than there are. The log loss shows it.
#
# Two remedies need no second network. The plain network finds about as many rare rows if the threshold for its
# probability is their share, 0.03, instead of 0.5 (:class:`sklearn.model_selection.FixedThresholdClassifier` does
# this). And the weights add the logarithm of their ratio to the log odds, so it can be subtracted again.

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
print(f"{y_test.sum()} of {len(y_test)} test rows are rare.")

# %%
# The same network, shifted
# -------------------------
# **Above** is the probability of the rare class, with the line where it is 0.5. The dashed line, where the probability
# of the plain network is 0.03, is close to the boundary of the balanced network.
#
# **Below on the left** are precision, the share of truly rare rows among those called rare, and recall, the share of
# rare rows that are called rare. On the scale of log odds, the curves of the balanced network are almost those of the
# plain network, shifted to the right. The weights choose a point on the curve, which a threshold can choose too, and
# change little else.
#
# **Below on the right** is how often the rare class really occurs when a network gives it the probability p. The curve
# of the plain network is on the diagonal: its probabilities are right. Those of the balanced network are too high.
#
# Conclusion: use weights to predict labels if both kinds of error are equally important. Use a threshold if you also
# need the probabilities.

BLUE, ORANGE = "#0072B2", "#D55E00"  # distinct for readers with a colour vision deficiency
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
        vmax=1.3,  # paler than with the whole range of the map
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
    enough = recall[:-1] * y_test.sum() >= 10  # precision is noisy with fewer rows
    axes[1, 0].plot(logit(thresholds[enough]), precision[:-1][enough], "--", color=color)
    axes[1, 0].plot(logit(thresholds[enough]), recall[:-1][enough], color=color, label=name)
    observed, predicted = calibration_curve(y_test, probability[name], n_bins=8)
    axes[1, 1].plot(predicted, observed, "o-", color=color, label=name)
ticks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99]
axes[1, 0].set_xticks(logit(ticks), ticks)
axes[1, 0].set(title="Precision and recall", xlabel="threshold (on the scale of log odds)", ylabel="share")
axes[1, 0].set_xlim(logit([0.0002, 0.997]))
for what, linestyle in (("recall", "-"), ("precision", "--")):
    axes[1, 0].plot([], [], linestyle, color="grey", label=what)
axes[1, 0].legend(loc="center left")
axes[1, 1].plot([0, 1], [0, 1], ":", color="black", label="perfect calibration")
axes[1, 1].set(title="Calibration", xlabel="predicted probability", ylabel="share of rare rows observed")
axes[1, 1].legend(loc="upper left")
for ax in axes[1]:
    ax.grid(alpha=0.3)
plt.show()
