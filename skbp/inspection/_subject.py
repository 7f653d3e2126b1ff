"""What is looked at: the networks in what the user has at hand, and the names of their features and outputs.

An estimator is known by its public attributes alone, so that a pipeline counts by its last step, `BackpropClassifierCV` by
its members, and scikit-learn's MLPClassifier as well as `BackpropClassifier`.
"""

from __future__ import annotations

import copy

from sklearn.utils.validation import check_is_fitted


def exact(clf, **params):
    """A copy of the classifier, fitted or not, that computes in float64, and products with the exact Hessian.

    Other parameters are set on it to those given. It shares the fitted attributes.
    """
    exact = copy.copy(clf)
    for name, value in {"hessian": "exact", "dtype": "float64", **params}.items():
        setattr(exact, name, value)
    return exact


def last_step(estimator):
    """An estimator itself, or the last step of a pipeline."""
    return estimator[-1] if hasattr(estimator, "steps") else estimator


def network_and_rows(estimator, X):
    """The network in an estimator, fitted or not, and rows as it sees them: transformed by the steps before it."""
    steps = getattr(estimator, "steps", ())
    return last_step(estimator), estimator[:-1].transform(X) if len(steps) > 1 else X


def fitted_network(estimator):
    """The one fitted network in an estimator."""
    network = _last_of_networks(estimator)
    if hasattr(network, "members_"):
        raise TypeError(
            f"This {type(network).__name__} is {len(network.members_)} networks: pass one of its members_, such as "
            "members_[0]."
        )
    check_is_fitted(network, "coefs_")
    return network


def fitted_networks(estimator):
    """All networks in an estimator, one or its members."""
    network = _last_of_networks(estimator)
    if hasattr(network, "members_"):
        return list(network.members_)
    check_is_fitted(network, "coefs_")
    return [network]


def _last_of_networks(estimator):
    last = last_step(estimator)
    if not hasattr(last, "hidden_layer_sizes"):
        raise TypeError(
            f"{type(last).__name__} is no network: pass a BackpropClassifier, a BackpropClassifierCV, an MLPClassifier, or "
            "a pipeline that ends in one."
        )
    return last


def names_of_features(network, given):
    """A name for each input: those given, else those that the data had, else x0, x1, ..."""
    n_features = len(network.coefs_[0])
    names = getattr(network, "feature_names_in_", None) if given is None else given
    if names is None:
        return [f"x{i}" for i in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"feature_names has {len(names)} names; the network has {n_features} features.")
    return [str(name) for name in names]


def names_of_outputs(network, given):
    """A name for each output unit: of its class; a single unit is that of the last class."""
    n_outputs = network.coefs_[-1].shape[1]
    names = network.classes_ if given is None else given
    if n_outputs == 1 and len(names) in {1, 2}:
        return [str(names[-1])]
    if len(names) != n_outputs:
        raise ValueError(
            f"class_names has {len(names)} names; the network has "
            + ("one output unit, for two classes." if n_outputs == 1 else f"{n_outputs} output units.")
        )
    return [str(name) for name in names]


def names_of_activations(network):
    """The activation of each hidden layer and the output layer's."""
    activation, n_hidden = network.activation, len(network.coefs_) - 1
    hidden = activation if isinstance(activation, (list, tuple)) else [activation] * n_hidden
    output = getattr(network, "out_activation_", "")
    return [*(name if isinstance(name, str) else "f" for name in hidden), output]
