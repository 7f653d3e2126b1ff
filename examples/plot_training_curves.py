"""
===============
Training curves
===============

How long should a network be trained, and at what learning rate? The objective does not say: it goes on falling while
the network learns its rows by heart. Rows that training does not see say it. After each epoch they give a loss and a
score, and ``early_stopping`` keeps the weights of the epoch that did best on them.

Here are the curves of four runs that differ in two things: whether dropout leaves out hidden units in training, and how
the learning rate changes on the way.
"""

# %%
# Data of one's own to validate on
# --------------------------------
# Three classes, and a tenth of all labels drawn at random: so much cannot be learnt, only memorised, and a network of
# some 5,600 weights can memorise 1,000 rows. Without ``X_val`` and ``y_val`` early stopping would hold out a tenth of
# these. Here it gets 1,000 rows of their own, which judge with less noise. The test rows have no part in any choice.

import math

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skbp import BackpropClassifier

X, y = make_classification(6000, n_features=20, n_informative=8, n_redundant=4, n_classes=3, flip_y=0.1, random_state=1)
X_train, X_rest, y_train, y_rest = train_test_split(X, y, train_size=1000, stratify=y, random_state=0)
X_val, X_test, y_val, y_test = train_test_split(X_rest, y_rest, train_size=1000, stratify=y_rest, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_val, X_test = map(scaler.transform, (X_train, X_val, X_test))

# %%
# Four runs
# ---------
# ``"cosine"`` and ``"one-cycle"`` are laid out for all of ``max_iter`` and are not to be cut off on the way: patience is
# unlimited, and early stopping only chooses the weights. ``"constant"``, which goes on until nothing improves, would warn
# at the end that it was cut off. A schedule of one's own, any function of the part of training that is done, is laid out
# for all of it like the others.


def steady(_done):
    """The learning rate as it is, from 0 to 1."""
    return 1.0


RUNS = {
    "Constant": {"learning_rate": steady},
    "Constant, dropout": {"learning_rate": steady, "dropout": 0.5},
    "Cosine, dropout": {"learning_rate": "cosine", "dropout": 0.5},
    "One cycle, dropout": {"learning_rate": "one-cycle", "dropout": 0.5},
}
network = BackpropClassifier(
    (64, 64),
    batch_size=32,
    learning_rate_init=0.005,
    max_iter=60,
    early_stopping=True,
    n_iter_no_change=math.inf,
    random_state=0,
)

# %%
# ``scoring`` says which epoch is the best: ``"loss"`` the one with the lowest loss on validation data, None that with the
# highest accuracy. It has no influence on the steps, so that with the same seed both choose from the same epochs.

fitted = {}
print(f"{'':<20}{'best by':>10}{'epoch':>7}{'test log loss':>15}{'test accuracy':>15}")
for name, parameters in RUNS.items():
    for scoring in ("loss", None):
        clf = clone(network).set_params(scoring=scoring, **parameters)
        clf.fit(X_train, y_train, X_val=X_val, y_val=y_val)
        fitted[name, scoring] = clf
        print(
            f"{name:<20}{scoring or 'accuracy':>10}{clf.best_iter_:>7}{log_loss(y_test, clf.predict_proba(X_test)):>15.3f}"
            f"{clf.score(X_test, y_test):>15.3f}"
        )

# %%
# With finite patience, training at a constant rate ends once nothing has improved for longer than that.

impatient = clone(network).set_params(scoring="loss", n_iter_no_change=10)
impatient.fit(X_train, y_train, X_val=X_val, y_val=y_val)
print(f"Stopped after {impatient.n_iter_} epochs, with the weights of epoch {impatient.best_iter_}")

# %%
# What the curves say
# -------------------
# **Without dropout** the objective sinks to 0.002, and after the fourth epoch the loss on validation rows rises and
# rises. The accuracy hardly shows it: the network errs about as often as before and is ever more certain when it does.
# It takes a loss to notice, which is why ``scoring="loss"`` is the better judge where probabilities are wanted.
#
# **With dropout** each step trains another random half of the hidden units, and none can rely on what certain others
# do. The objective is that of these thinned networks and therefore begins above the loss on validation rows, for which
# all units take part. Training takes longer and arrives at a lower loss on rows that it has not seen.
#
# **A falling rate** brings the weights to rest. At the constant rate the curves jump to the end, and which epoch comes
# out best is in part luck. Those of ``"cosine"`` and ``"one-cycle"`` become smooth, the last epochs are about as good as
# the best, and little is left to choose. Between the two schedules there is not much of a difference here.

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # told apart with any colour vision
BEST = {"color": "black", "markerfacecolor": "white", "markersize": 7, "linestyle": "none", "clip_on": False}

fig, axes = plt.subplots(
    3, 4, figsize=(12, 8), sharex=True, sharey="row", height_ratios=[3, 2.2, 1.6], layout="constrained"
)
for (loss_ax, score_ax, rate_ax), name in zip(axes.T, RUNS, strict=True):
    by_loss, by_accuracy = fitted[name, "loss"], fitted[name, None]
    epochs = range(1, by_loss.n_iter_ + 1)
    loss_ax.plot(epochs, by_loss.loss_curve_, "--", color=BLUE, label="objective, training rows")
    loss_ax.plot(epochs, by_loss.validation_loss_curve_, color=ORANGE, label="loss, validation rows")
    score_ax.plot(epochs, by_accuracy.validation_scores_, color=GREEN, label="accuracy, validation rows")
    rate_ax.plot(epochs, by_loss.learning_rate_curve_, color="black")
    for clf, marker, what in ((by_loss, "o", "lowest loss"), (by_accuracy, "s", "highest accuracy")):
        best = clf.best_iter_
        loss_ax.plot(best, by_loss.validation_loss_curve_[best - 1], marker, **BEST)
        score_ax.plot(best, by_accuracy.validation_scores_[best - 1], marker, **BEST, label=f"epoch of the {what}")
    loss_ax.set_title(name)
    rate_ax.set_xlabel("epoch")
axes[0, 0].set(ylabel="loss per row", yscale="log", ylim=(0.3, 2.4))
axes[0, 0].set_yticks([0.4, 0.6, 1, 2], ["0.4", "0.6", "1", "2"])
axes[0, 0].yaxis.set_minor_formatter("")
axes[0, 0].annotate("down to 0.002", (10, 0.3), (20, 0.4), color=BLUE, arrowprops={"arrowstyle": "->", "color": BLUE})
axes[1, 0].set(ylabel="accuracy", ylim=(0.6, 0.82))
axes[2, 0].set_ylabel("learning rate")
for ax in axes.flat:
    ax.grid(alpha=0.3)
handles = [handle for ax in axes[:2, 0] for handle in ax.get_legend_handles_labels()[0]]
fig.legend(handles=handles, loc="outside lower center", ncols=5)
plt.show()
