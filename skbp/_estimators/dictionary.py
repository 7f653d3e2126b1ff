"""A fitted classifier as plain data that JSON can write, and back. docs/guide/exchange.rst describes the format.

Reading never executes code: it builds the classifier from numbers and text that it has checked. See plain_data.py.
"""

from __future__ import annotations

from reprlib import repr as short
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted

from skbp import __version__
from skbp._data.labels import is_multilabel
from skbp._data.targets import fit_binarizer
from skbp._estimators import plain_data
from skbp._estimators.given_weights import GivenNetwork, checked_network, fitted_with
from skbp._estimators.pickling import defaults
from skbp._estimators.publishing import CURVES, publish
from skbp._network.losses import LOSSES
from skbp._training.layers import activation_records

FORMAT = 1

# What may be done about a parameter without a plain form.
_REMEDIES = {
    "activation": "Only activations with a name can be written: pickle the classifier instead",
    "random_state": "Call set_params(random_state=...) with an int or None first",
}
_OTHER_REMEDY = "Set it to a value that JSON knows by set_params first, or pickle the classifier instead"

HISTORY = (*CURVES, "n_iter_", "t_", "loss_", "best_loss_", "best_iter_", "best_validation_score_", "optimize_result_")
_COUNTS = ("n_iter_", "t_", "best_iter_")
_NEVER_NONE = ("loss_curve_", "loss_", *_COUNTS)


class Dictionary:
    """A classifier that becomes a dict of plain data, and that such a dict becomes.

    A subclass has the names of its own entries in ``_ENTRIES`` and these hooks:

    - ``_entries()``: these entries, by name.
    - ``_restored(content)``: the fitted classifier with them. The classifier it is called on has its parameters only.
    """

    _ENTRIES: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fitted classifier as plain data: ``json.dumps`` writes it, and `from_dict` reads it.

        It holds the parameters, what predictions need, and the history of training: curves, losses and scores. The state of
        the optimiser and of random generators is not in it, nor is anything as long as the training data: `oof_indices_`,
        `oof_decision_function_` and `oof_proba_` of an ensemble are None after `from_dict`. :doc:`/guide/exchange` describes
        each entry.

        Returns
        -------
        content : dict
            Of dicts with str as keys, lists, str, int, float, bool and None. No float is infinite or nan.

        Raises
        ------
        TypeError
            If a parameter is a function, a RandomState, an activation of your own or another object without a plain form.
        ValueError
            If a parameter was set to a wrong value after the fit.

        Examples
        --------
        >>> import json
        >>> from skbp import BackpropClassifier
        >>> and_gate = BackpropClassifier.from_weights([[[20.0], [20.0]]], [[-30.0]], classes=[0, 1])
        >>> text = json.dumps(and_gate.to_dict(), allow_nan=False)
        >>> BackpropClassifier.from_dict(json.loads(text)).predict([[0.0, 1.0], [1.0, 1.0]])
        array([0, 1])
        """
        clf: Any = self
        check_is_fitted(clf)
        clf._validate_params()
        return {
            "format": FORMAT,
            "estimator": type(self).__name__,
            "version": __version__,
            "parameters": written_parameters(clf),
            **self._entries(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """A fitted classifier from the plain data that `to_dict` made.

        It executes no code of the data, and checks them: use it where a pickle from elsewhere would be a risk.

        Parameters
        ----------
        content : dict
            As `to_dict` made it, or as ``json.loads`` reads it.

        Returns
        -------
        clf : classifier of this class
            Fitted. It predicts bit for bit what the original predicts. Further training goes on from the weights, as after
            `BackpropClassifier.from_weights`: the state of the optimiser and of random generators is new.

        Raises
        ------
        TypeError
            If `content` is no dict.
        ValueError
            If the format number or the class is another, or an entry is missing, unknown or wrong.
        """
        if not isinstance(content, dict):
            raise TypeError(
                f"content must be a dict, as to_dict returns and json.loads reads; got {type(content).__name__}."
            )
        if content.get("format") != FORMAT or type(content["format"]) is not int:
            raise ValueError(
                f"content has the format {short(content.get('format'))}, and this version of skbp, {__version__}, reads "
                f"format {FORMAT}: it is of another version of skbp, or was not made by to_dict."
            )
        names = ("format", "estimator", "version", "parameters", *cls._ENTRIES)
        if content.get("estimator") != cls.__name__:
            raise ValueError(
                f"content is of the class {short(content.get('estimator'))}, not of {cls.__name__}: call from_dict of its "
                "class."
            )
        plain_data.fields(content, names, "content")
        plain_data.checked(content["version"], str, "content.version")
        clf = with_parameters(cls, content["parameters"], "content.parameters")
        return clf._restored(content)

    def _entries(self) -> dict[str, Any]:
        raise NotImplementedError

    def _restored(self, content) -> Any:
        raise NotImplementedError


class DictionaryOfNetwork(Dictionary):
    """The same for one network."""

    _ENTRIES = ("target", "feature_names", "network")

    def _entries(self):
        clf: Any = self
        return {
            "target": written_target(clf),
            "feature_names": written_names(clf),
            "network": written_network(clf),
        }

    def _restored(self, content):
        given = read_network(content["network"], read_target(content["target"]), "content.network")
        clf = fitted_with(self, given)
        give_names(clf, content["feature_names"], clf.n_features_in_)
        publish(clf, read_history(content["network"]["history"], "content.network.history"))
        return clf


def written_parameters(clf) -> dict[str, Any]:
    """The parameters of a classifier as plain data."""
    params = {}
    for name, value in clf.get_params(deep=False).items():
        try:
            params[name] = plain_data.written(value, f"the parameter {name}")
        except TypeError as error:
            raise TypeError(f"{error} {_REMEDIES.get(name, _OTHER_REMEDY)}.") from None
    return params


def with_parameters(cls, content, where) -> Any:
    """An unfitted classifier with parameters that are read and checked."""
    content = plain_data.fields(content, tuple(defaults(cls)), where)
    clf = cls(**{name: plain_data.read(value, f"{where}.{name}") for name, value in content.items()})
    clf._validate_params()
    return clf


def written_target(clf) -> dict[str, Any]:
    """The classes and the output layer of a classifier as plain data."""
    binarizer = clf._label_binarizer
    return {
        "classes": plain_data.written_labels(clf.classes_, "classes_"),
        "multilabel": bool(is_multilabel(binarizer)),
        "sparse": bool(binarizer.sparse_input_),
        "out_activation": clf.out_activation_,
    }


def read_target(content, where="content.target") -> dict[str, Any]:
    """The classes and the output layer."""
    content = plain_data.fields(content, ["classes", "multilabel", "sparse", "out_activation"], where)
    target = {name: plain_data.checked(content[name], bool, f"{where}.{name}") for name in ("multilabel", "sparse")}
    if target["sparse"] and not target["multilabel"]:
        raise plain_data.refused(f"{where}.sparse", "false if multilabel is false", True)
    out_activation = plain_data.checked(content["out_activation"], str, f"{where}.out_activation")
    if out_activation not in LOSSES:
        raise plain_data.refused(f"{where}.out_activation", f"one of {sorted(LOSSES)}", out_activation)
    classes = plain_data.read_labels(content["classes"], f"{where}.classes")
    return target | {"classes": classes, "out_activation": out_activation}


def written_network(clf) -> dict[str, Any]:
    """The weights and the history of a network as plain data."""
    activation_records(clf.activation, len(clf.coefs_) - 1)  # an error if it was set to a wrong value after the fit
    return {
        "coefs": [plain_data.written_array(w) for w in clf.coefs_],
        "intercepts": [plain_data.written_array(b) for b in clf.intercepts_],
        "history": {name: plain_data.written(getattr(clf, name), name) for name in HISTORY},
    }


def read_network(content, target, where, others=()) -> GivenNetwork:
    """A network that fits the classes.

    Parameters
    ----------
    content : object
        A dict with further keys, `others`.
    target : dict
        As `read_target` returns it.
    where : str
    others : sequence of str
    """
    content = plain_data.fields(content, ["coefs", "intercepts", "history", *others], where)
    coefs, intercepts = (
        [
            plain_data.read_array(array, f"{where}.{name}[{i}]", n_axes)
            for i, array in enumerate(plain_data.checked(content[name], list, f"{where}.{name}"))
        ]
        for name, n_axes in (("coefs", 2), ("intercepts", 1))
    )
    if len({array.dtype for array in coefs + intercepts}) > 1:
        raise ValueError(f"{where}.coefs and {where}.intercepts must all have the same dtype.")
    try:
        given = checked_network(coefs, intercepts, target["classes"], target["out_activation"], target["multilabel"])
    except ValueError as error:
        raise ValueError(f"{where} is no network that fits content.target: {error}") from error
    if target["sparse"]:
        indicator = csr_array(np.ones((1, len(target["classes"])), dtype=int))
        given = given._replace(binarizer=fit_binarizer(indicator))
    return given


def read_history(content, where) -> dict[str, Any]:
    """The history of training."""
    content = plain_data.fields(content, HISTORY, where)
    history: dict[str, Any] = {}
    for name in HISTORY:
        at, value = f"{where}.{name}", content[name]
        if value is None and name not in _NEVER_NONE:
            history[name] = None
        elif name in CURVES:
            plain_data.checked(value, list, at)
            history[name] = [plain_data.read_float(one, f"{at}[{i}]") for i, one in enumerate(value)]
        elif name == "optimize_result_":
            history[name] = plain_data.read(value, at)
            if not isinstance(history[name], dict):
                raise plain_data.refused(at, "None or a dict", value)
        elif name in _COUNTS:
            history[name] = plain_data.count(value, at)
        else:
            history[name] = plain_data.read_float(value, at)
    return history


def written_names(clf) -> list[str] | None:
    """The names of the features, or None."""
    names = getattr(clf, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def give_names(clf, content, n_features) -> None:
    """Set the names of the features, if there are any."""
    if content is None:
        return
    names = plain_data.texts(content, "content.feature_names")
    if len(names) != n_features:
        raise plain_data.refused("content.feature_names", f"None or a list of {n_features} names", content)
    clf.feature_names_in_ = np.array(names, dtype=object)
