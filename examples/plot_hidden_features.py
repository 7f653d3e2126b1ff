"""
============
New features
============

A hidden layer computes new features from its input, and the output layer is a linear model on these features. Training
finds features that suit a linear model. ``hidden_features`` returns them for any rows, and ``as_transformer`` turns the
hidden layer into a scikit-learn transformer, which any other estimator can follow.
"""

# %%
# Circles become separable
# ------------------------
# No line separates a disc from the ring around it. Three hidden units map the two coordinates to three numbers: the
# plane becomes a curved surface in space.

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
print(f"Accuracy of logistic regression on the coordinates: {on_input.score(X, y):.1%}")
print(f"Accuracy of logistic regression on the new features: {on_features.score(X, y):.1%}")
print(f"Accuracy of the network: {network.score(X, y):.1%}")

# %%
# The middle panel shows the rows in the hidden layer and the plane by which logistic regression separates the classes.
# The right panel shows the same plane in the coordinates: it is the line along which the plane cuts the curved surface.

BLUE, ORANGE = "#0072B2", "#E69F00"  # distinct for readers with a colour vision deficiency
features = network.hidden_features(X)
panels = [("No line separates them", on_input), ("The plane in the coordinates", on_features)]
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
ax.set(title="In space a plane separates them", xlabel="unit 1", ylabel="unit 2", zlabel="unit 3", zlim=(-1, 1))
ax.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[-1, 0, 1])
ax.view_init(30, 58)
ax.set_box_aspect(None, zoom=0.95)
plt.show()

# %%
# Digits for other estimators
# ---------------------------
# ``HiddenFeatures`` is the same transformer before it is fitted. As a step of a pipeline it trains the network on the
# rows on which the pipeline is fitted; in a grid search or a cross-validation these are the training rows of each
# split. Estimators with a simple model of a class profit most from the new features. A naive Bayes classifier assumes
# independent features, but neighbouring pixels depend on each other. Nearest neighbours can fit classes of any shape
# and gain nothing.

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
# The figure shows the test rows along the two directions of largest variance. Pixels vary with slant and stroke within
# every digit. Hidden features vary mostly between the classes; the network has removed much of the other variation.


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
