"""
============
New features
============

A hidden layer makes new features of its input, and the output layer is a linear model on them. Training looks for
features on which a linear model does well. They can be had: ``hidden_features`` gives them for any rows, and
``as_transformer`` makes a scikit-learn transformer of the hidden layer, behind which any other estimator may stand.
"""

# %%
# Circles, made separable
# -----------------------
# No line separates a disc from the ring around it. Three hidden units make three numbers of the two coordinates, and
# thereby lift the plane into space, where it bends.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_circles
from sklearn.decomposition import PCA
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skbp import BackpropClassifier, HiddenFeatures

X, y = make_circles(400, noise=0.08, factor=0.45, random_state=0)
network = BackpropClassifier((3,), "tanh", solver="lbfgs", alpha=1.0, max_iter=1000, random_state=0).fit(X, y)

on_input = LogisticRegression().fit(X, y)
hidden_layer = network.as_transformer()
on_features = make_pipeline(hidden_layer, LogisticRegression()).fit(X, y)
print(f"The new features are {', '.join(hidden_layer.get_feature_names_out())}.")
print(f"Logistic regression on the coordinates is right on {on_input.score(X, y):.1%} of the rows,")
print(f"on the hidden features on {on_features.score(X, y):.1%}; the network on {network.score(X, y):.1%}.")

# %%
# In the middle, the rows as the hidden layer has them, and the plane that the logistic regression puts between the
# classes. On the right the same plane in the coordinates: the line along which it cuts the bent sheet.

BLUE, ORANGE = "#0072B2", "#E69F00"  # told apart with any colour vision
features = network.hidden_features(X)
panels = [("No line separates them", on_input), ("The plane, seen in the coordinates", on_features)]
fig = plt.figure(figsize=(13, 4.6), layout="constrained")
for position, (title, model) in zip((1, 3), panels, strict=True):
    ax = fig.add_subplot(1, 3, position)
    DecisionBoundaryDisplay.from_estimator(
        model,
        X,
        response_method="decision_function",
        plot_method="contour",
        levels=[0],
        colors="black",
        grid_resolution=200,
        eps=0.2,
        ax=ax,
    )
    for k, marker, color in ((0, "o", BLUE), (1, "^", ORANGE)):
        ax.scatter(*X[y == k].T, s=14, marker=marker, color=color)
    ax.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")

ax = fig.add_subplot(1, 3, 2, projection="3d")
for k, marker, color in ((0, "o", BLUE), (1, "^", ORANGE)):
    ax.scatter(*features[y == k].T, s=14, marker=marker, color=color, depthshade=False)
(w,), (b,) = on_features[-1].coef_, on_features[-1].intercept_
u, v = np.meshgrid(np.linspace(-1, 1, 200), np.linspace(-1, 1, 200))
plane = -(w[0] * u + w[1] * v + b) / w[2]
ax.plot_surface(u, v, np.where(np.abs(plane) <= 1, plane, np.nan), color="black", alpha=0.35)
ax.set(title="In space a plane does", xlabel="unit 1", ylabel="unit 2", zlabel="unit 3", zlim=(-1, 1))
ax.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[-1, 0, 1])
ax.view_init(30, 58)
ax.set_box_aspect(None, zoom=0.95)
plt.show()

# %%
# Digits, for other estimators
# ----------------------------
# ``HiddenFeatures`` is the same transformer before it is fitted: as a step of a pipeline it trains the network on what
# the pipeline is fitted on, in a grid search or cross-validation on the training rows of each split. Of the new features
# those estimators make most whose notion of a class is simple. To a naive Bayes classifier, which takes features for
# independent, neighbouring pixels are a riddle. The nearest neighbours, which manage any shape, gain nothing.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
network = BackpropClassifier((32,), "tanh", solver="lbfgs", alpha=1.0, max_iter=1000, random_state=0)

print(f"{'accuracy on test rows':<25}{'pixels':>10}{'hidden features':>18}")
for model in (GaussianNB(), LogisticRegression(max_iter=1000), KNeighborsClassifier()):
    on_pixels = model.fit(X_train, y_train).score(X_test, y_test)
    pipeline = make_pipeline(HiddenFeatures(network), model).fit(X_train, y_train)
    print(f"{type(model).__name__:<25}{on_pixels:>10.3f}{pipeline.score(X_test, y_test):>18.3f}")
print(f"The network by itself: {network.fit(X_train, y_train).score(X_test, y_test):.3f}")

# %%
# Before and after
# ----------------
# The test rows along the two directions in which they vary most. The pixels vary with slant and stroke, whatever the
# digit. Of the hidden features most of the variation is from class to class: the rest has been left out on the way.


def between_classes(Z):
    """The share of the variance that is between the classes' means."""
    means = np.array([Z[y_test == k].mean(axis=0) for k in range(10)])
    return np.sum((means[y_test] - Z.mean(axis=0)) ** 2) / np.sum((Z - Z.mean(axis=0)) ** 2)


fig, axes = plt.subplots(1, 2, figsize=(12, 6), layout="constrained")
for ax, Z, name in ((axes[0], X_test, "Pixels"), (axes[1], network.hidden_features(X_test), "Hidden features")):
    place = PCA(2).fit_transform(Z)
    for digit in range(10):
        ax.scatter(*place[y_test == digit].T, marker=f"${digit}$", s=40, color=f"C{digit}", linewidths=0.3)
    ax.set(title=f"{name}: {between_classes(Z):.0%} of the variance is between the digits")
    ax.set(xlabel="first principal component", ylabel="second principal component", xticks=[], yticks=[])
plt.show()
