"""A fitted network as scikit-learn's MLPClassifier, and back."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from skbp._data.labels import is_multilabel
from skbp._data.targets import output_layer
from skbp._estimators.given_weights import checked_network, fitted_with
from skbp._estimators.pickling import defaults
from skbp._estimators.publishing import publish
from skbp._network.activations import ACTIVATIONS
from skbp._notices import note
from skbp._training.layers import activation_records

# The activations of MLPClassifier.
MLP_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")


class MLPExchange:
    """A classifier that becomes an MLPClassifier, and that an MLPClassifier becomes."""

    def to_mlp_classifier(self) -> MLPClassifier:
        """The same network as a fitted :class:`~sklearn.neural_network.MLPClassifier`.

        It predicts, and it trains further with `partial_fit` or with ``warm_start=True``: from the present weights, with a
        new state of the optimiser. The curves of the loss and of the validation accuracy go with it.

        Returns
        -------
        mlp : MLPClassifier
            Fitted, with the parameters that both classes have. It shares no memory with this classifier.

        Raises
        ------
        ValueError
            If MLPClassifier has no such network: another activation than "identity", "logistic", "tanh" and "relu", or
            several different ones; another output layer than that of ``out_activation="auto"``; a single class.

        Warns
        -----
        UserWarning
            If a parameter is not at its default, and MLPClassifier has no such parameter or value. Predictions do not depend
            on it.

        Examples
        --------
        >>> import numpy as np
        >>> from skbp import BackpropClassifier
        >>> and_gate = BackpropClassifier.from_weights([[[20.0], [20.0]]], [[-30.0]], classes=[0, 1])
        >>> and_gate.to_mlp_classifier().predict(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
        array([0, 0, 0, 1])
        """
        clf: Any = self
        check_is_fitted(clf)
        _check_output_layer(clf)
        mlp = MLPClassifier(**_parameters_for_mlp(clf))
        publish(mlp, _attributes_for_mlp(clf, mlp.early_stopping))
        return mlp

    @classmethod
    def from_mlp_classifier(cls, mlp: MLPClassifier) -> Self:
        """A fitted classifier with the network of a fitted :class:`~sklearn.neural_network.MLPClassifier`.

        Parameters
        ----------
        mlp : MLPClassifier
            Fitted. For a pipeline or a search, pass the MLPClassifier in it.

        Returns
        -------
        clf : BackpropClassifier
            Fitted, with the parameters and the curves of `mlp`. It shares no memory with `mlp`. `partial_fit` and
            ``warm_start=True`` go on from its weights, with a new state of the optimiser.

        Raises
        ------
        TypeError
            If `mlp` is no MLPClassifier.
        ValueError
            If `mlp` is not fitted, has a single class, or its weights do not fit each other or are not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skbp import BackpropClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> mlp = MLPClassifier(8, solver="lbfgs", alpha=1.0, max_iter=500, random_state=0).fit(X, y)
        >>> clf = BackpropClassifier.from_mlp_classifier(mlp)
        >>> np.allclose(clf.predict_proba(X), mlp.predict_proba(X))
        True
        """
        if not isinstance(mlp, MLPClassifier):
            kind = f"the class {mlp.__name__}" if isinstance(mlp, type) else f"of type {type(mlp).__name__}"
            raise TypeError(
                f"mlp is {kind}: pass a fitted sklearn.neural_network.MLPClassifier. If it is in a pipeline or a search, "
                "pass the step or best_estimator_."
            )
        check_is_fitted(mlp, "coefs_")
        if len(mlp.classes_) == 1:
            raise ValueError(
                f"mlp knows the class {mlp.classes_[0]} only, for which MLPClassifier gives two probabilities and "
                "BackpropClassifier one: fit it on two classes at least."
            )
        multilabel = is_multilabel(mlp._label_binarizer)
        given = checked_network(mlp.coefs_, mlp.intercepts_, mlp.classes_, mlp.out_activation_, multilabel)
        given = given._replace(binarizer=copy.deepcopy(mlp._label_binarizer))
        constructor: Any = cls
        known = defaults(constructor)
        params = {name: clone(value, safe=False) for name, value in mlp.get_params().items() if name in known}
        clf = constructor(**params)
        clf._validate_params()
        clf = fitted_with(clf, given)
        _give_names(mlp, clf)
        publish(clf, _history_of_mlp(mlp))
        return clf


def _check_output_layer(clf):
    if len(clf.classes_) == 1:
        raise ValueError(
            f"There is a single class, {clf.classes_[0]}, for which BackpropClassifier gives one probability and "
            "MLPClassifier two: fit on two classes at least."
        )
    wanted = output_layer("auto", clf._label_binarizer)
    if (clf.out_activation_, clf.n_outputs_) != wanted:
        raise ValueError(
            f"The output layer is {clf.n_outputs_} {clf.out_activation_} unit(s), but that of an MLPClassifier for these "
            f"classes is {wanted[1]} {wanted[0]} unit(s): train with out_activation='auto'."
        )


def _activation_for_mlp(clf):
    """The activation of all hidden layers. Without hidden layers, any that MLPClassifier knows."""
    records = activation_records(clf.activation, len(clf.coefs_) - 1)
    names = sorted({name if ACTIVATIONS.get(name := record.name) is record else "of your own" for record in records})
    if not names and isinstance(clf.activation, str):
        names = [clf.activation if clf.activation in MLP_ACTIVATIONS else "relu"]
    if len(names) > 1:
        raise ValueError(
            f"activation={clf.activation!r}: the hidden layers of an MLPClassifier have one activation for all. Train with "
            "one activation, or use to_dict."
        )
    if names and names[0] not in MLP_ACTIVATIONS:
        raise ValueError(
            f"activation={clf.activation!r}: MLPClassifier has the activations {list(MLP_ACTIVATIONS)} only. Train with one "
            "of these, or use to_dict or pickle."
        )
    return names[0] if names else "relu"


def _parameters_for_mlp(clf):
    """The parameters that MLPClassifier has too. A warning names those that it lacks."""
    cls: Any = type(clf)
    params, lost = {"activation": _activation_for_mlp(clf)}, []
    for name, default in defaults(cls).items():
        value = getattr(clf, name)
        if name in {"activation", "out_activation"}:
            continue  # the network has these, whatever the parameters are
        if _is_for_mlp(name, value):
            params[name] = clone(value, safe=False)
        elif value is not default and not (np.isscalar(value) and value == default):
            lost.append(f"{name}={value!r}")
    if lost:
        note(f"MLPClassifier has no {', '.join(lost)}. Its predictions are the same, but further training differs.")
    return params


def _is_for_mlp(name, value):
    """Whether MLPClassifier has this parameter and takes this value."""
    constraints = MLPClassifier._parameter_constraints
    try:
        validate_parameter_constraints({name: constraints[name]}, {name: value}, caller_name="MLPClassifier")
    except (KeyError, InvalidParameterError):
        return False
    return True


def _attributes_for_mlp(clf, early_stopping):
    """The fitted attributes of MLPClassifier, and those that its further training needs."""
    coefs, intercepts = copy.deepcopy((clf.coefs_, clf.intercepts_))
    attributes = {
        name: copy.deepcopy(getattr(clf, name))
        for name in ("classes_", "_label_binarizer", "n_features_in_", "feature_names_in_", "n_layers_", "n_outputs_")
        if hasattr(clf, name)
    }
    attributes |= {"coefs_": coefs, "intercepts_": intercepts, "out_activation_": clf.out_activation_}
    attributes |= {name: getattr(clf, name) for name in ("n_iter_", "t_", "loss_")}
    attributes["loss_curve_"] = list(clf.loss_curve_)
    # Its scores are accuracies, by which further training with early stopping goes on.
    accuracies = clf.validation_scores_ if clf.scoring is None else None
    best = -np.inf if not accuracies else clf.best_validation_score_
    attributes["validation_scores_"] = list(accuracies or []) if early_stopping else None
    attributes["best_validation_score_"] = best if early_stopping else None
    attributes["best_loss_"] = None if early_stopping else min(clf.loss_curve_, default=np.inf)
    attributes["_no_improvement_count"] = 0
    attributes["_best_coefs"], attributes["_best_intercepts"] = copy.deepcopy((coefs, intercepts))
    return attributes


def _give_names(source, target):
    if hasattr(source, "feature_names_in_"):
        target.feature_names_in_ = source.feature_names_in_.copy()


def _history_of_mlp(mlp):
    """The history that an MLPClassifier has."""
    curve = [float(loss) for loss in getattr(mlp, "loss_curve_", [])]
    scores = getattr(mlp, "validation_scores_", None)
    best_loss = getattr(mlp, "best_loss_", mlp.loss_)
    return {
        "n_iter_": int(mlp.n_iter_),
        "t_": int(getattr(mlp, "t_", 0)),
        "loss_": float(mlp.loss_),
        "best_loss_": None if best_loss is None else float(best_loss),
        # Training keeps the weights of the first iteration with the best score.
        "best_iter_": int(np.argmax(scores)) + 1 if scores else len(curve) or int(mlp.n_iter_),
        "loss_curve_": curve,
        "validation_scores_": None if scores is None else [float(score) for score in scores],
        "best_validation_score_": getattr(mlp, "best_validation_score_", None),
    }
