"""
=================
Inside a network
=================

This example shows five ways to look at a network: a drawing of its units, the weights of its first layer as images, the
curves of its training, the size of signals and gradients in each layer, and every number that backpropagation computes
for one row.
"""

# %%
# A network as a drawing
# ----------------------
#
# Each line is a weight. Its colour is the sign, and its thickness is the size. The thick lines into the hidden layer
# show which measurements of a flower matter: those of the petal.

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
# Each unit of the first hidden layer has a weight for each of the 64 pixels of a digit. As an image, these weights show
# what the unit detects: strokes and gaps in certain places.

X_digits, y_digits = load_digits(return_X_y=True)
X_digits = minmax_scale(X_digits)
digits = BackpropClassifier((16,), "tanh", alpha=10.0, solver="lbfgs", max_iter=1000, random_state=0)
digits.fit(X_digits, y_digits)
WeightsDisplay.from_estimator(digits, image_shape=(8, 8))

# %%
# The course of training
# ----------------------
#
# The curves are objective, validation loss and learning rate by epoch. The two networks differ in the schedule of the
# learning rate.

common = {"max_iter": 60, "early_stopping": True, "scoring": "loss", "n_iter_no_change": 60, "random_state": 0}
rates = {
    "cosine": BackpropClassifier((64,), learning_rate="cosine", learning_rate_init=0.01, **common),
    "one cycle": BackpropClassifier((64,), learning_rate="one-cycle", learning_rate_init=0.03, **common),
}
LossCurveDisplay.from_estimators(
    {name: clf.fit(X_digits, y_digits) for name, clf in rates.items()}, panels=["loss", "learning_rate"], yscale="log"
)

# %%
# Vanishing gradients
# -------------------
#
# The network has ten hidden layers with random initial weights. In logistic units the gradient shrinks from each layer
# to the one before it, so the first layers learn almost nothing. In tanh units it hardly shrinks.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
for activation, ax in zip(("logistic", "tanh"), axes, strict=True):
    deep = BackpropClassifier((32,) * 10, activation, random_state=0)
    GradientFlowDisplay.from_estimator(deep, X_digits, y_digits, ax=ax)
    ax.set_title(activation)

# %%
# One row, number by number
# -------------------------
#
# A trace contains z, a, delta and the gradient of each layer for one row, with their formulas. The penalty is larger
# here than in training, where 150 rows share it.

print(trace(flowers, iris.data[50], "versicolor"))
