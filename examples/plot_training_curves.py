"""
===============
Training curves
===============

How long should a network train, and at what learning rate? The objective does not tell: it still falls while the
network memorises its rows. Rows that training does not see do tell. They give a loss and a score after each epoch, and
``early_stopping`` keeps the weights of the best epoch.

This example shows the curves of four runs. They differ in two things: whether dropout leaves out hidden units in
training, and how the learning rate changes during training.
"""

# %%
# Your own validation data
# ------------------------
# There are three classes, and a tenth of all labels are random. A network cannot learn these labels, but it can
# memorise them: it has about 5,600 weights for 1,000 rows. Without ``X_val`` and ``y_val`` early stopping would hold
# out a tenth of the rows. Here it gets 1,000 separate rows, and their loss and score are less noisy. The test rows take
# no part in any choice.

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
# ``"cosine"`` and ``"one-cycle"`` are planned for all ``max_iter`` epochs, and stopping early would cut them off. So
# ``n_iter_no_change`` is infinite, and early stopping only chooses the weights. ``"constant"`` has no planned end and
# would warn that it did not converge. A schedule of your own can be any function of the finished part of training; like
# the first two, it is planned for all epochs.


def steady(_done):
    """The factor of the learning rate, for any finished part of training from 0 to 1."""
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
# ``scoring`` defines the best epoch: with ``"loss"`` it has the lowest loss on the validation data, with None the
# highest accuracy. It does not change the steps, so with the same seed both choose from the same epochs.

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
# A finite ``n_iter_no_change`` ends training at a constant rate after more than this number of epochs without
# improvement.

impatient = clone(network).set_params(scoring="loss", n_iter_no_change=10)
impatient.fit(X_train, y_train, X_val=X_val, y_val=y_val)
print(f"Stopped after {impatient.n_iter_} epochs, with the weights of epoch {impatient.best_iter_}")

# %%
# What the curves show
# --------------------
# **Without dropout** the objective falls to 0.002, and after the fourth epoch the loss on validation rows rises. The
# accuracy hardly shows it: the network makes about as many errors as before, but with more and more confidence. Only
# the loss shows this, so ``scoring="loss"`` is the better choice if you need probabilities.
#
# **With dropout** each step trains another random half of the hidden units, and no unit can rely on certain other
# units. The objective is that of these smaller networks, so at first it is above the loss on validation rows, where all
# units take part. Training takes longer and reaches a lower loss on new rows.
#
# **A falling rate** makes the weights settle. At the constant rate the curves jump until the end, and the best epoch is
# partly a matter of luck. The curves of ``"cosine"`` and ``"one-cycle"`` become smooth. Their last epochs are about as
# good as the best, so the choice matters little. The two schedules differ little here.

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # distinct for readers with a colour vision deficiency
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
