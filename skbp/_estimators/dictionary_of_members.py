"""A fitted ensemble as plain data, and back: its members, what combines them, and what makes their columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline

from skbp._estimators import plain_data
from skbp._estimators.classifier import BackpropClassifier
from skbp._estimators.dictionary import (
    Dictionary,
    give_names,
    read_history,
    read_network,
    read_target,
    with_parameters,
    written_names,
    written_network,
    written_parameters,
    written_target,
)
from skbp._estimators.dictionary_of_columns import read_bins, read_columns, written_bins, written_columns
from skbp._estimators.member_training import Member, of_members
from skbp._estimators.publishing import layers, publish
from skbp._training.layers import activation_records

# The sum of the weights may differ from 1 by rounding.
ROUNDING = 1e-9

OF_A_MEMBER = ("parameters", "sees_bins", "temperature", "weight")


class DictionaryOfMembers(Dictionary):
    """The same for an ensemble."""

    _ENTRIES = (
        *("target", "feature_names", "feature_importances", "columns", "bins", "members"),
        *("oof_log_loss", "oof_score"),
    )

    def _entries(self):
        clf: Any = self
        bins = [view[-1] for view in clf.views_ if isinstance(view, Pipeline)]
        of_members = zip(clf.members_, clf.views_, clf.temperatures_, clf.member_weights_, strict=True)
        return {
            "target": written_target(clf),
            "feature_names": written_names(clf),
            "feature_importances": plain_data.written_array(clf.feature_importances_),
            "columns": written_columns(clf.preprocessor_),
            "bins": written_bins(bins[0]) if bins else None,
            "members": [
                {
                    "parameters": written_parameters(member),
                    "sees_bins": isinstance(view, Pipeline),
                    "temperature": float(temperature),
                    "weight": float(weight),
                    **written_network(member),
                }
                for member, view, temperature, weight in of_members
            ],
            "oof_log_loss": None if clf.oof_log_loss_ is None else plain_data.written_float(clf.oof_log_loss_),
            "oof_score": None if clf.oof_score_ is None else plain_data.written_float(clf.oof_score_),
        }

    def _restored(self, content):
        clf: Any = self
        at = "content.feature_importances"
        importances = plain_data.read_array(content["feature_importances"], at, 1, dtypes=("float64",))
        if not len(importances) or not (np.isfinite(importances) & (importances >= 0.0)).all():
            raise plain_data.refused(at, "a number of at least 0 for each column", importances)
        clf.n_features_in_, clf.feature_importances_ = len(importances), importances
        give_names(clf, content["feature_names"], clf.n_features_in_)
        names = getattr(clf, "feature_names_in_", None)
        clf.preprocessor_ = read_columns(content["columns"], clf.n_features_in_, names, "content.columns")
        bins = self._read_bins(content["bins"])
        target = read_target(content["target"])
        entries = plain_data.checked(content["members"], list, "content.members")
        members = [_Entry(one, f"content.members[{i}]", target) for i, one in enumerate(entries)]
        sees = [member.sees_bins for member in members]
        if not sees or sees[0] or sorted(sees) != sees or any(sees) != (bins is not None):
            raise ValueError(
                "content.members must first have members that see no bins, and then those that see content.bins, if any."
            )
        first = members[0].network
        if any(member.network.params.units[-1] != first.params.units[-1] for member in members):
            raise ValueError("content.members have different numbers of output units.")
        clf._label_binarizer, clf.classes_ = first.binarizer, first.binarizer.classes_
        clf.n_outputs_, clf.out_activation_ = first.params.units[-1], first.out_activation
        views = [clf.preprocessor_, None if bins is None else make_pipeline(clf.preprocessor_, bins)]
        networks = [self._restored_member(member, bins) for member in members]
        publish(clf, of_members([Member(one, views[s], None) for one, s in zip(networks, sees, strict=True)]))
        publish(clf, _combination(members))
        publish(clf, _estimates(content))
        return clf

    def _read_bins(self, content):
        clf: Any = self
        try:
            n_columns = len(clf.preprocessor_.get_feature_names_out())
        except ValueError as error:
            raise ValueError(
                f"content.columns: the names of the columns that it makes are not unique: {error}"
            ) from error
        if content is None:
            return None
        bins = read_bins(content, n_columns, "content.bins")
        clf._give_columns(bins)
        return bins

    def _restored_member(self, entry, bins):
        clf: Any = self
        member = clf._member(entry.parameters)
        if entry.sees_bins:
            clf._give_columns(member, bins.get_feature_names_out())
        weights = entry.network.params.weights
        if len(weights[0]) != member.n_features_in_:
            raise plain_data.refused(
                f"{entry.where}.coefs[0].shape", f"[{member.n_features_in_}, ...]", list(weights[0].shape)
            )
        activation_records(member.activation, len(weights) - 1)
        publish(member, layers(entry.network.params))
        publish(member, entry.history)
        return member


class _Entry:
    """A member as it is read: each of its values is checked."""

    def __init__(self, content, where, target):
        self.where = where
        self.network = read_network(content, target, where, OF_A_MEMBER)
        self.history = read_history(content["history"], f"{where}.history")
        params = with_parameters(BackpropClassifier, content["parameters"], f"{where}.parameters")
        self.parameters = params.get_params(deep=False)
        self.sees_bins = plain_data.checked(content["sees_bins"], bool, f"{where}.sees_bins")
        self.temperature = plain_data.finite(content["temperature"], f"{where}.temperature")
        self.weight = plain_data.finite(content["weight"], f"{where}.weight")
        if self.temperature <= 0.0:
            raise plain_data.refused(f"{where}.temperature", "above 0", self.temperature)
        if self.weight < 0.0:
            raise plain_data.refused(f"{where}.weight", "at least 0", self.weight)


def _combination(members):
    """The temperatures and the weights of the members."""
    temperatures = np.array([member.temperature for member in members])
    weights = np.array([member.weight for member in members])
    if not abs(weights.sum() - 1.0) < ROUNDING:
        raise plain_data.refused("The sum of the weights of content.members", "1", float(weights.sum()))
    return {"temperature_": float(temperatures[0]), "temperatures_": temperatures, "member_weights_": weights}


def _estimates(content):
    """The out-of-fold estimates: two numbers. What is as long as the training data is not in the content."""
    estimates = dict.fromkeys(("oof_indices_", "oof_decision_function_", "oof_proba_"))
    for name in ("oof_log_loss", "oof_score"):
        value = content[name]
        estimates[f"{name}_"] = None if value is None else plain_data.read_float(value, f"content.{name}")
    return estimates
