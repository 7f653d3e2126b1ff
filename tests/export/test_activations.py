"""Activations as ONNX nodes: one for each in the registry, with its values, and errors for others."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

from exported import assert_same
from numpy.testing import assert_allclose
from registries import ACTIVATIONS
from scipy.special import erfc

from skbp import Activation, BackpropClassifier
from skbp.onnx import to_onnx
from skbp.onnx.activations import DEGREE, EXPRESSIONS, LEVEL, _coefficients

X = np.random.default_rng(0).normal(size=(60, 3))
y = np.arange(60) % 3


def identity(z, out):
    np.copyto(out, z)
    return out


def one(a, out):
    out.fill(1.0)
    return out


def network(activation, dtype=np.float64, scale=1.0):
    clf = BackpropClassifier((8, 5), activation, random_state=0, max_iter=1)
    clf.fit(X.astype(dtype), y)
    clf.coefs_ = [scale * w for w in clf.coefs_]
    return clf


def test_every_activation_of_the_registry_has_an_expression():
    assert EXPRESSIONS.keys() == ACTIVATIONS.keys()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_probabilities_are_those_of_the_classifier(activation, dtype):
    assert_same(network(activation, dtype), X.astype(dtype))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_large_sums_do_not_overflow_on_the_way(activation):
    assert_same(network(activation, scale=30.0), 30.0 * X)


def test_the_polynomial_for_erfc_is_exact_to_1e_14():
    y = np.concatenate([np.linspace(0.0, 30.0, 30001), [1e10, 1e200]])
    t = LEVEL / (LEVEL + y)
    with np.errstate(over="ignore"):
        found = t * np.polynomial.polynomial.polyval(2.0 * t - 1.0, _coefficients()) * np.exp(-y * y)
    assert len(_coefficients()) == DEGREE + 1
    assert_allclose(found, erfc(y), rtol=0.0, atol=1e-14)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["own", "tanh"])
def test_an_activation_of_the_user_is_refused_whatever_its_name(name):
    own = Activation(identity, one, name=name)
    with pytest.raises(NotImplementedError, match=f"'{name}' is an Activation of your own"):
        to_onnx(network(["relu", own]), X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_new_entry_of_the_registry_is_refused_until_it_has_an_expression(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "new", Activation(identity, one, name="new"))
    with pytest.raises(NotImplementedError, match="'new' has no entry in EXPRESSIONS"):
        to_onnx(network("new"), X)
