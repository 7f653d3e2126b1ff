"""Runs of exported models in onnxruntime, and comparisons with the estimators they come from."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

onnx = pytest.importorskip("onnx", reason="onnx is an extra")
onnxruntime = pytest.importorskip("onnxruntime")
export = pytest.importorskip("skbp.onnx")

# How far probabilities may be apart.
TOLERANCE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}


def run(model, inputs):
    """All outputs of a model."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def outputs(estimator, X, sample=None, **settings):
    """All outputs of an estimator's model for the rows X."""
    model = export.to_onnx(estimator, X[:20] if sample is None else sample, **settings)
    return run(model, export.to_inputs(model, X))


def assert_same(estimator, X, sample=None, **settings):
    """The model and the estimator give the same labels and probabilities, for many rows and for one."""
    for rows in (X, X[:1]):
        label, probabilities = outputs(estimator, rows, X[:20] if sample is None else sample, **settings)
        assert_array_equal(label, estimator.predict(rows))
        expected = estimator.predict_proba(rows)
        assert probabilities.dtype == expected.dtype
        assert_allclose(probabilities, expected, rtol=0.0, atol=TOLERANCE[expected.dtype])
