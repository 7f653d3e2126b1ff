"""
=================
Inside a network
=================

Five ways to look at a network: drawn unit by unit, by the weights of its first layer, by how
training went, by how large signals and gradients are from layer to layer, and, for a single row, by every number that
backpropagation computes.
"""

# %%
# A network as a drawing
# ----------------------
#
# Lines are weights, coloured by their sign, and the thicker the larger. The thick lines into the hidden layer show which
# measurements of a flower count: those of the petal.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, minmax_scale

from skbp import BackpropClassifier
from skbp.inspection import GradientFlowDisplay, LossCurveDisplay, NetworkDisplay, WeightsDisplay, trace

iris = load_iris()
flowers = make_pipeline(StandardScaler(), BackpropClassifier((5,), "tanh", solver="lbfgs", alpha=1.0, random_state=0))
flowers.fit(iris.data, iris.target_names[iris.target])
NetworkDisplay.from_estimator(flowers, feature_names=iris.feature_names)

# %%
# Weights as images
# -----------------
#
# Each unit of the first hidden layer has a weight for each of the 64 pixels of a digit. Seen as an image they show what the
# unit answers to: strokes and gaps at certain places.

X_digits, y_digits = load_digits(return_X_y=True)
X_digits = minmax_scale(X_digits)
digits = BackpropClassifier((16,), "tanh", alpha=10.0, solver="lbfgs", max_iter=1000, random_state=0)
digits.fit(X_digits, y_digits)
WeightsDisplay.from_estimator(digits, image_shape=(8, 8))

# %%
# How training went
# -----------------
#
# Objective, validation loss and learning rate by epoch, of two networks that differ in the schedule of the learning rate.

common = {"max_iter": 60, "early_stopping": True, "scoring": "loss", "n_iter_no_change": 60, "random_state": 0}
rates = {
    "cosine": BackpropClassifier((64,), learning_rate="cosine", learning_rate_init=0.01, **common),
    "one cycle": BackpropClassifier((64,), learning_rate="one-cycle", learning_rate_init=0.03, **common),
}
LossCurveDisplay.from_estimators(
    {name: clf.fit(X_digits, y_digits) for name, clf in rates.items()}, panels=["loss", "learning_rate"], yscale="log"
)

# %%
# What vanishes in a deep network
# -------------------------------
#
# Ten hidden layers with random initial weights. With logistic units the gradient shrinks from each layer to the one below,
# so that the first ones hardly learn anything; with tanh it hardly shrinks.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
for activation, ax in zip(("logistic", "tanh"), axes, strict=True):
    deep = BackpropClassifier((32,) * 10, activation, random_state=0)
    GradientFlowDisplay.from_estimator(deep, X_digits, y_digits, ax=ax)
    ax.set_title(activation)

# %%
# One row, number by number
# -------------------------
#
# A trace has each layer's z, a, delta and gradient for one row, beside the formulas that give them. The penalty weighs more
# here than it did in training, where it was shared between 150 rows.

print(trace(flowers, iris.data[50], "versicolor"))
