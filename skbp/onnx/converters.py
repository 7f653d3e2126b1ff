"""The converters of skbp's estimators for skl2onnx: the types and shapes of the outputs, and the nodes that compute them."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx import update_registered_converter
from skl2onnx._parse import _apply_zipmap, _parse_sklearn_classifier, _parse_sklearn_simple_model
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
    guess_numpy_type,
)
from sklearn.pipeline import Pipeline

from skbp._estimators.classifier import BackpropClassifier
from skbp._estimators.classifier_cv import BackpropClassifierCV
from skbp._estimators.hidden_features import HiddenFeatures, hidden_layer_number
from skbp._training.layers import activation_records
from skbp.onnx import outputs, tables
from skbp.onnx.activations import activated
from skbp.onnx.graph import Graph
from skbp.onnx.tables import Input

# What each option of a classifier may be. The first values are skl2onnx's defaults.
OPTIONS: dict[str, list[Any]] = {
    "zipmap": [True, False, "columns"],
    "nocl": [False, True],
    "output_class_labels": [False, True],
    "raw_scores": [False, True],
}


def register() -> None:
    """Tell skl2onnx how to convert the estimators."""
    for estimator, convert in ((BackpropClassifier, _convert_network), (BackpropClassifierCV, _convert_ensemble)):
        update_registered_converter(
            estimator,
            f"Skbp{estimator.__name__}",
            _classifier_shapes,
            convert,
            overwrite=True,
            parser=_parse_classifier,
            options=OPTIONS,
        )
    update_registered_converter(
        HiddenFeatures, "SkbpHiddenFeatures", _hidden_shapes, _convert_hidden_features, overwrite=True
    )


def _inputs(operator) -> list[Input]:
    """The inputs of an operator with their types. Together they have all columns."""
    variables, n_features = operator.inputs, operator.raw_operator.n_features_in_
    result = []
    for variable in variables:
        # skl2onnx knows the widths of the model's inputs. The shapes that it infers for later tensors may be incomplete.
        is_known = (len(variables) > 1 or variable.is_root) and isinstance(variable.type.shape[1], int)
        width = variable.type.shape[1] if is_known else n_features
        is_text = isinstance(variable.type, StringTensorType)
        dtype = tables.STRING if is_text else np.dtype(guess_numpy_type(variable.type))
        result.append(Input(variable.full_name, dtype, width))
    if sum(one.width for one in result) != n_features:
        raise ValueError(
            f"The ONNX inputs have {sum(one.width for one in result)} columns, but {type(operator.raw_operator).__name__} "
            f"was trained on {n_features}."
        )
    return result


def _type_of_rows(clf, inputs) -> np.dtype:
    """The type in which a classifier computes for these inputs."""
    if isinstance(clf, BackpropClassifierCV):
        return tables.type_of_rows(clf.preprocessor_, inputs)
    return tables.floats_of(inputs)


def _tensor_type(dtype):
    return FloatTensorType if dtype == np.float32 else DoubleTensorType


def _options(scope, clf):
    return scope.get_options(clf, {name: values[0] for name, values in OPTIONS.items()})


def _parse_classifier(scope, model, inputs, custom_parsers=None):
    """The outputs of a classifier: those of skl2onnx. Dictionaries hold float32, since ONNX has no others."""
    options = _options(scope, model)
    if options["zipmap"] is not True or options["output_class_labels"]:
        return _parse_sklearn_classifier(scope, model, inputs, custom_parsers=custom_parsers)
    if model._target.multilabel:
        raise ValueError("zipmap=True is for classes that exclude each other, but y was multilabel: set zipmap=False.")
    label, probabilities = _parse_sklearn_simple_model(scope, model, inputs, custom_parsers=custom_parsers)
    narrow = scope.declare_local_variable("probabilities_float32", FloatTensorType())
    cast = scope.declare_local_operator("SklearnCast")
    cast.inputs, cast.outputs = [probabilities], [narrow]
    return _apply_zipmap(True, scope, model, narrow.type, [label, narrow])


def _classifier_shapes(operator):
    clf, n_rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    n_classes, dtype = len(clf.classes_), _type_of_rows(clf, _inputs(operator))
    is_text = clf.classes_.dtype.kind in "UO" and not _options(operator.scope_inst, clf)["nocl"]
    shape = [n_rows, n_classes] if clf._target.multilabel else [n_rows]
    operator.outputs[0].set_type((StringTensorType if is_text else Int64TensorType)(shape))
    operator.outputs[1].set_type(_tensor_type(dtype)([n_rows, n_classes]))


def _convert_network(scope, operator, container):
    clf, inputs = operator.raw_operator, _inputs(operator)
    graph, target = Graph(scope, container, _type_of_rows(clf, inputs)), clf._target
    outputs.check_loss(target)
    logits = _logits(graph, clf, tables.numbers(graph, inputs, graph.dtype))
    codes = outputs.codes(graph, target, logits, 0.0)
    scores = outputs.decision if _options(scope, clf)["raw_scores"] else outputs.probabilities
    _publish(graph, operator, codes, scores(graph, target, logits))


def _convert_ensemble(scope, operator, container):
    clf, inputs = operator.raw_operator, _inputs(operator)
    graph, target = Graph(scope, container, _type_of_rows(clf, inputs)), clf._target
    outputs.check_loss(target)
    logits = _logits_of_members(graph, clf, tables.prepared(graph, clf.preprocessor_, inputs))
    proba = _mean_probabilities(graph, clf, logits)
    codes = outputs.codes(graph, target, proba, 0.5)
    if _options(scope, clf)["raw_scores"]:
        double = graph.of_type(np.float64)
        z = double.cast(logits, np.float64)
        decision = outputs.decision_by_probabilities(
            double, target, lambda sign: _mean_probabilities(double, clf, double("Mul", z, sign))
        )
        proba = graph.cast(decision, graph.dtype)
    _publish(graph, operator, codes, proba)


def _logits_of_members(graph, clf, rows):
    """The logits of all members in an array of shape (n_rows, n_members, n_outputs)."""
    logits, views = [], {}
    for network, view in zip(clf.members_, clf.views_, strict=True):
        bins = view[-1] if isinstance(view, Pipeline) else None
        if id(bins) not in views:
            views[id(bins)] = rows if bins is None else tables.binned(graph, bins, rows)
        logits.append(_logits(graph, network, views[id(bins)]))
    return graph("Reshape", graph.concatenated(logits), np.array([-1, len(logits), clf.n_outputs_]))


def _mean_probabilities(graph, clf, logits):
    """The mean of the members' probabilities, each at its temperature."""
    temperatures = clf.temperatures_.astype(graph.dtype)[:, None]
    weights = clf.member_weights_.astype(graph.dtype)[:, None]
    proba = outputs.probabilities(graph, clf._target, graph("Div", logits, temperatures))
    return graph("ReduceSum", graph("Mul", proba, weights), np.array([1]), keepdims=0)


def _logits(graph, network, rows):
    """The logits of one network."""
    return _forward(graph, network, rows, len(network.coefs_))


def _forward(graph, network, rows, n_layers):
    """The output of a layer: activations of a hidden layer, or the logits of the last one."""
    activations = activation_records(network.activation, len(network.coefs_) - 1)
    a = rows
    for layer, (weights, biases) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        if layer == n_layers:
            break
        z = graph("MatMul", a, weights.astype(graph.dtype))
        z = graph("Add", z, biases.astype(graph.dtype))
        a = activated(graph, activations[layer], z) if layer < len(activations) else z
    return a


def _publish(graph, operator, codes, scores):
    """Give the label and the scores of a classifier the names of its outputs."""
    clf = operator.raw_operator
    label, second = (variable.full_name for variable in operator.outputs)
    if clf._target.multilabel or _options(operator.scope_inst, clf)["nocl"]:
        graph("Identity", codes, output=label)
    else:
        graph("Gather", outputs.class_labels(clf.classes_), codes, output=label)
    graph("Identity", scores, output=second)


def _hidden_shapes(operator):
    tensor_type = _tensor_type(tables.floats_of(_inputs(operator)))
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(tensor_type([n_rows, operator.raw_operator._n_features_out]))


def _convert_hidden_features(scope, operator, container):
    transformer, inputs = operator.raw_operator, _inputs(operator)
    graph, network = Graph(scope, container, tables.floats_of(inputs)), transformer.classifier_
    n_layers = hidden_layer_number(transformer.layer, len(network.coefs_) - 1) + 1
    features = _forward(graph, network, tables.numbers(graph, inputs, graph.dtype), n_layers)
    graph("Identity", features, output=operator.outputs[0].full_name)
