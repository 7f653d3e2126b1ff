"""Hidden layers as transformers: a network computes features for other estimators."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.validation import check_is_fitted

from skbp._estimators.decorators import fit_context
from skbp._estimators.pickling import VersionedState
from skbp._estimators.types import Matrix
from skbp._training.layers import hidden_units


class HiddenFeatures(
    VersionedState, ClassNamePrefixFeaturesOutMixin, TransformerMixin, MetaEstimatorMixin, BaseEstimator
):
    """Transform rows to the activations of a hidden layer of a network.

    Parameters
    ----------
    classifier : BackpropClassifier
        The network. `fit` trains a clone of it.
    layer : int, default=-1
        Which hidden layer: 0 is the first, -1 the last.

    Attributes
    ----------
    classifier_ : BackpropClassifier or FrozenEstimator
        The fitted network. It is frozen if `classifier` is.
    n_features_in_ : int
        Number of features of the network's input.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if the data had names.

    See Also
    --------
    BackpropClassifier.as_transformer : The hidden layer of a network that is already fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skbp import BackpropClassifier, HiddenFeatures
    >>> X, y = load_iris(return_X_y=True)
    >>> features = HiddenFeatures(BackpropClassifier(8, "tanh", solver="lbfgs", alpha=1.0, random_state=0))
    >>> make_pipeline(StandardScaler(), features, LogisticRegression()).fit(X, y).score(X, y) > 0.95
    True
    """

    classifier_: Any
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    # The HTML representation links to this page.
    _doc_link_module = "skbp"
    _doc_link_template = "https://skbp.readthedocs.io/en/stable/api/{estimator_module}.{estimator_name}.html"

    _parameter_constraints: ClassVar[dict] = {
        "classifier": [HasMethods(["fit", "hidden_features"])],
        "layer": [Integral],
    }

    def __init__(self, classifier: Any, layer: int = -1) -> None:
        self.classifier = classifier
        self.layer = layer

    @fit_context(skip_nested_validation=False)
    def fit(self, X: Matrix, y: Matrix, **fit_params: Any) -> Self:
        """Train a clone of the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to train the network on.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of the rows.
        **fit_params : dict
            Arguments for the network's `fit`.

        Returns
        -------
        self : HiddenFeatures
            The fitted transformer itself.

        Raises
        ------
        ValueError
            If the network does not have this hidden layer, or its `fit` raises.
        """
        if _routing_enabled():
            fit_params = process_routing(self, "fit", **fit_params).classifier.fit
        network = clone(self.classifier)
        if hasattr(network, "hidden_layer_sizes"):
            hidden_layer_number(self.layer, len(hidden_units(network.hidden_layer_sizes)))  # before it is trained
        try:
            network.fit(X, y, **fit_params)
        finally:
            # A filter may turn a warning into an error. The trained network must not be lost then.
            if hasattr(network, "coefs_"):
                _publish(self, network)
        return self

    def transform(self, X: Matrix) -> NDArray[np.floating[Any]]:
        """Compute the activations of the hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        features : ndarray of shape (n_samples, n_units)
            The output of each unit of the layer.
        """
        check_is_fitted(self)
        return self.classifier_.hidden_features(X, self.layer)

    def get_metadata_routing(self) -> MetadataRouter:
        """The metadata that `fit` passes to the network's `fit`.

        Returns
        -------
        routing : MetadataRouter
            The metadata that each consumer requests.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="fit_transform", callee="fit")
        return MetadataRouter(owner=type(self).__name__).add(classifier=self.classifier, method_mapping=mapping)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = copy.deepcopy(get_tags(self.classifier).input_tags)
        tags.target_tags = copy.deepcopy(get_tags(self.classifier).target_tags)
        return tags


def frozen_features(network, layer) -> HiddenFeatures:
    """A fitted transformer with a network that `fit` does not change.

    Parameters
    ----------
    network : FrozenEstimator
    layer : int
    """
    transformer = HiddenFeatures(network, layer)
    _publish(transformer, network)
    return transformer


def hidden_layer_number(layer, n_hidden) -> int:
    """The number of a hidden layer, counted from 0. A negative `layer` counts from the end."""
    if not (isinstance(layer, Integral) and -n_hidden <= int(layer) < n_hidden):
        raise ValueError(
            f"layer={layer!r} is no hidden layer: it must be from {-n_hidden} to {n_hidden - 1}. 0 is the first hidden "
            "layer, -1 the last."
            if n_hidden
            else f"layer={layer!r}: the network has no hidden layer, since hidden_layer_sizes=()."
        )
    return int(layer) % n_hidden


def _publish(transformer, fitted):
    """Set the fitted attributes of a transformer."""
    end = hidden_layer_number(transformer.layer, len(fitted.coefs_) - 1)
    transformer._n_features_out = fitted.coefs_[end].shape[1]
    transformer.classifier_ = fitted
    transformer.n_features_in_ = fitted.n_features_in_
    if hasattr(fitted, "feature_names_in_"):
        transformer.feature_names_in_ = fitted.feature_names_in_
    elif hasattr(transformer, "feature_names_in_"):
        del transformer.feature_names_in_  # left from earlier data with names
