"""Networks, data and formulas that several files of this folder use."""

import itertools
from dataclasses import dataclass, replace
from functools import cache, partial
from math import e, erfc, pi, sqrt
from typing import NamedTuple

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit, log_expit, log_softmax, logsumexp, ndtr, softmax
from scipy.stats import norm
from sklearn.datasets import make_classification

from skbp import BackpropClassifier, _core
from skbp._data.rows import Rows
from skbp._network import curvature, tape
from skbp._network.activations import ACTIVATIONS
from skbp._network.function import ObjectiveFunction
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters

# The constants of selu in closed form. They solve the equations for mean 0 and variance 1.
SELU_ALPHA = -sqrt(2.0 / pi) / (erfc(sqrt(0.5)) * sqrt(e) - 1.0)
SELU_SCALE = (1.0 - erfc(sqrt(0.5)) * sqrt(e)) * sqrt(2.0 * pi)
SELU_SCALE /= sqrt(
    2.0 * erfc(sqrt(2.0)) * e**2
    + pi * erfc(sqrt(0.5)) ** 2 * e
    - 2.0 * (2.0 + pi) * erfc(sqrt(0.5)) * sqrt(e)
    + pi
    + 2.0
)

# The activations of each name and their derivatives, written differently from the package. A new record needs an entry.
FORMULAS = {
    "identity": (lambda z: 1.0 * z, np.ones_like),
    "logistic": (expit, lambda z: expit(z) * expit(-z)),
    "tanh": (lambda z: 1.0 - 2.0 / (np.exp(2.0 * z) + 1.0), lambda z: np.cosh(z) ** -2.0),
    "relu": (lambda z: np.where(z > 0.0, z, 0.0), lambda z: 1.0 * (z > 0)),
    "leaky_relu": (lambda z: np.where(z > 0.0, z, z / 100.0), lambda z: np.where(z > 0, 1.0, 0.01)),
    "relu6": (
        lambda z: np.where(z > 6.0, 6.0, np.where(z > 0.0, z, 0.0)),
        lambda z: 1.0 * ((z > 0) & (z < 6)),
    ),
    "elu": (lambda z: np.where(z > 0.0, z, np.exp(z) - 1.0), lambda z: np.exp(np.minimum(z, 0.0))),
    "selu": (
        lambda z: SELU_SCALE * np.where(z > 0.0, z, SELU_ALPHA * (np.exp(z) - 1.0)),
        lambda z: SELU_SCALE * np.where(z > 0, 1.0, SELU_ALPHA * np.exp(z)),
    ),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * norm.pdf(z)),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1.0 + z * expit(-z))),
    "mish": (
        lambda z: z * np.tanh(np.logaddexp(0.0, z)),
        lambda z: np.tanh(np.logaddexp(0.0, z)) + z * expit(z) / np.cosh(np.logaddexp(0.0, z)) ** 2.0,
    ),
    "softplus": (lambda z: np.logaddexp(0.0, z), expit),
    "softsign": (lambda z: np.sign(z) * (1.0 - 1.0 / (1.0 + np.abs(z))), lambda z: (1.0 + abs(z)) ** -2.0),
}


class ClosedForm(NamedTuple):
    """What the name of a loss stands for, written differently from the package.

    Attributes
    ----------
    losses : callable (logits, target) -> loss of each row
    link, log_link : callable (logits) -> probabilities and their logarithms
    targets : callable (target, n_outputs) -> target of each output as a number
    random_target : callable (shape, rng) -> target
    """

    losses: object
    link: object
    log_link: object
    targets: object
    random_target: object


# A new loss needs an entry.
CLOSED_FORMS = {
    "softmax": ClosedForm(
        # logsumexp(z) - z_y with z_y inside the sum. So huge logits do not swallow the difference.
        losses=lambda z, target: logsumexp(z - z[np.arange(len(z)), target][:, None], axis=1),
        link=lambda z: softmax(z, axis=1),
        log_link=lambda z: log_softmax(z, axis=1),
        targets=lambda target, n_outputs: np.eye(n_outputs)[target],
        random_target=lambda shape, rng: rng.integers(shape[1], size=shape[0]),
    ),
    "logistic": ClosedForm(
        losses=lambda z, target: -np.where(target, log_expit(z), log_expit(-z)).sum(axis=1),
        link=expit,
        log_link=log_expit,
        targets=lambda target, n_outputs: 1.0 * target,
        random_target=lambda shape, rng: rng.random(shape) < 0.5,
    ),
}

# Networks have one activation in all layers, in every shape, or a different one in each of three layers. Then each
# activation comes first, second and third once.
SAME = [(name,) * 3 for name in ACTIVATIONS]
MIXED = [tuple((list(ACTIVATIONS) * 2)[k : k + 3]) for k in range(len(ACTIVATIONS))]
NETWORKS = [*itertools.product(SAME, [(), (3,), (4, 3), (3, 4, 2)]), *itertools.product(MIXED, [(3, 4, 2)])]
# One strength of the penalty for each layer of weights. There is one layer of weights more than hidden layers.
ALPHAS = {(): [0.7], (3,): [0.0, 2.0], (4, 3): [3.0, 0.0, 0.25], (3, 4, 2): [0.5, 4.0, 0.0, 1.5]}
OUTPUTS = [(name, n) for name, loss in LOSSES.items() for n in ((3,) if loss.exclusive else (1, 3))]


@dataclass(frozen=True)
class Problem:
    """A network with its data. Tests change it by `dataclasses.replace`.

    `weight` may be None. `activations` and `loss` are names. `n_threads` is 0 for NumPy's code and 1 for the compiled core.
    """

    params: Parameters
    X: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None
    activations: tuple[str, ...]
    loss: str
    rng: np.random.Generator | None = None
    n_threads: int = 0

    @property
    def records(self):
        """The records of the activations."""
        return [ACTIVATIONS[name] for name in self.activations]

    def rows(self, dtype=np.float64):
        """The data as rows of a type."""
        n_units = sum(self.params.units[1:])
        return Rows(self.X.astype(dtype, copy=False), None, None, self.target, self.weight, n_units=n_units)

    def batches(self, selection=None, dtype=np.float64):
        """Some rows as batches, by default all rows."""
        rows = self.rows(dtype)
        return rows.chunks() if selection is None else rows.take(selection)

    def objective(self, alpha=0.3, dtype=np.float64, *, label_smoothing=0.0, dropout=None, skips_zeros=False):
        """The objective at a copy of the parameters in this type."""
        params = Parameters(self.params.units, dtype)
        params.vector[...] = self.params.vector
        loss = replace(LOSSES[self.loss], label_smoothing=label_smoothing)
        return Objective(params, self.records, loss, alpha, dropout, skips_zeros=skips_zeros, n_threads=self.n_threads)

    def function(self, hessian="exact", *, alpha=0.3, dtype=np.float64, label_smoothing=0.0):
        """The objective on all rows as a function of one vector."""
        return ObjectiveFunction(
            self.objective(alpha, dtype, label_smoothing=label_smoothing), self.rows(dtype), hessian
        )

    def reference(self, selection=slice(None), alpha=0.3, factors=()):
        """F and its gradient on all selected rows at once, straight from the formulas.

        Parameters
        ----------
        selection : slice or ndarray of int, default=slice(None)
        alpha : float or list of float, default=0.3
            One number or one for each layer.
        factors : sequence of ndarray, default=()
            The factors of dropout, for each hidden layer an array of its shape.
        """
        weights, biases = self.params.copies()
        alphas = np.broadcast_to(alpha, len(weights))
        X, target = self.X[selection], self.target[selection]
        s = np.ones(len(X)) if self.weight is None else self.weight[selection]
        factors = [*(factors or [1.0] * len(self.activations)), 1.0]
        zs, inputs = [], [X]
        for W, b, name, factor in zip(weights, biases, [*self.activations, "identity"], factors, strict=True):
            zs.append(inputs[-1] @ W + b)
            inputs.append(FORMULAS[name][0](zs[-1]) * factor)
        loss = CLOSED_FORMS[self.loss]
        losses, delta = loss.losses(zs[-1], target), loss.link(zs[-1]) - loss.targets(target, zs[-1].shape[1])
        delta = delta * s[:, None] / s.sum()
        weight_gradients, bias_gradients = [], []
        for layer in reversed(range(len(weights))):
            weight_gradients.insert(0, inputs[layer].T @ delta + alphas[layer] / s.sum() * weights[layer])
            bias_gradients.insert(0, delta.sum(axis=0))
            if layer:
                slope = FORMULAS[self.activations[layer - 1]][1](zs[layer - 1])
                delta = (delta @ weights[layer].T) * factors[layer - 1] * slope
        penalty = sum(strength / 2 * (W**2).sum() for strength, W in zip(alphas, weights, strict=True))
        value = (s @ losses + penalty) / s.sum()
        return value, np.concatenate([g.ravel() for g in weight_gradients + bias_gradients])


def random_problem(
    n_rows, hidden=(4,), activations=("tanh",) * 3, loss="softmax", n_outputs=3, *, weighted=False, seed=0, n_threads=0
):
    """Random data, weights and parameters, in float64 but with numbers that float32 holds exactly."""
    rng = np.random.default_rng(seed)
    params = Parameters((5, *hidden, n_outputs), np.float64)
    params.vector[...] = rng.standard_normal(params.vector.size).astype(np.float32)
    # More rows than wanted. Those with a hidden unit near 0 or 6 are dropped. There relu and its relatives have kinks, and
    # neither differences nor two precisions need to agree.
    X = rng.standard_normal((2 * n_rows + 200, 5)).astype(np.float32).astype(np.float64)
    nearest, a = np.full(len(X), np.inf), X
    for name, W, b in zip(activations[: len(hidden)], params.weights, params.biases, strict=False):
        z = a @ W + b
        nearest = np.minimum(nearest, np.minimum(abs(z), abs(z - 6.0)).min(axis=1))
        a = FORMULAS[name][0](z)
    X = np.ascontiguousarray(X[nearest > 0.01][:n_rows])
    assert len(X) == n_rows
    target = CLOSED_FORMS[loss].random_target((n_rows, n_outputs), rng)
    weight = rng.choice([0.0, 0.5, 1.0, 2.0, 3.25], n_rows)
    weight = weight if weighted else None
    return Problem(params, X, target, weight, activations[: len(hidden)], loss, rng, n_threads)


def derivative_along(function, theta, v, step=1e-3):
    """The derivative of a function along v by the five-point formula."""
    near, far = (np.subtract(function(theta + k * step * v), function(theta - k * step * v)) for k in (1, 2))
    return (8.0 * near - far) / (12.0 * step)


def agree_with_differences(F, direction):
    """Assert that the gradient and the product with the Hessian at theta0 are differences along a direction."""
    theta, gradient = F.theta0, F.gradient(F.theta0)
    unit = direction / np.linalg.norm(direction)
    error = abs(gradient @ unit - derivative_along(F.value, theta, unit))
    # Relative to what a direction sees of the gradient on average. A direction may happen to be at right angles to it.
    assert error < 1e-7 * np.linalg.norm(gradient) / np.sqrt(theta.size)
    product = F.hessp(theta, unit)
    assert np.linalg.norm(product - derivative_along(F.gradient, theta, unit)) < 1e-7 * np.linalg.norm(product)


# Formulas and makers of networks. As fixtures of the session they may also be used by tests with hypothesis.


@pytest.fixture(scope="session")
def formulas():
    """For the name of each activation its function and its derivative."""
    return FORMULAS


@pytest.fixture(scope="session")
def closed_forms():
    """For the name of each loss its closed forms."""
    return CLOSED_FORMS


@pytest.fixture(scope="session", params=[0, 1] if _core.BatchKernel else [0], ids=lambda n: ["NumPy", "core"][n])
def n_threads(request):
    """Who computes: 0 for NumPy's code, 1 for the compiled core where there is one."""
    return request.param


@pytest.fixture(scope="session")
def problem(n_threads):
    """Makes a random problem."""
    return partial(random_problem, n_threads=n_threads)


@pytest.fixture(scope="session")
def problem_of(n_threads):
    """Makes a problem of given parts."""
    return partial(Problem, n_threads=n_threads)


@pytest.fixture(scope="session")
def differences():
    """Derivatives along directions by differences."""
    return derivative_along


@pytest.fixture(scope="session")
def assert_agrees_with_differences():
    """Compares gradient and product with differences."""
    return agree_with_differences


# Choices


@pytest.fixture(params=NETWORKS, ids=str)
def network(request):
    """Activations and widths of the hidden layers."""
    return request.param


@pytest.fixture(params=NETWORKS[::3], ids=str)
def some_network(request):
    """A third of the networks."""
    return request.param


@pytest.fixture(params=[*SAME, *MIXED], ids="-".join)
def three_activations(request):
    return request.param


@pytest.fixture(params=ALPHAS.items(), ids=str)
def penalised(request):
    """Widths of the hidden layers, and a strength of the penalty for each layer of weights."""
    return request.param


@pytest.fixture(params=OUTPUTS, ids=str)
def output(request):
    """The name of a loss and a number of outputs."""
    return request.param


@pytest.fixture(params=[np.asarray, csr_array], ids=["dense", "csr"])
def container(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["unweighted", "weighted"])
def weighted(request):
    return request.param


@pytest.fixture(params=["tapes kept", "tapes not kept"])
def tapes(request, monkeypatch):
    """Products go through many rows in two ways. A limit of memory decides between them."""
    if request.param == "tapes not kept":
        monkeypatch.setattr(curvature, "KEPT_TAPES_BYTES", 0)


@pytest.fixture(params=[True, False], ids=["small sparse chunks", "large sparse chunks"])
def small_sparse_chunks(request, monkeypatch):
    """Chunks of sparse rows are as small as those of dense rows, so that there are several, or as large as usual."""
    if request.param:
        monkeypatch.setattr(tape, "SPARSE_CHUNK_ELEMENTS", 0)


@pytest.fixture
def strict():
    """NumPy raises an error for every result that rounds to 0, overflows or is not defined."""
    with np.errstate(all="raise"):
        yield


# Classifiers and their data


@pytest.fixture(params=["binary", "multiclass", "multilabel"])
def kind(request):
    """The kind of the labels."""
    return request.param


def labels_of(scores, kind):
    """Labels of a kind from three scores for each row."""
    if kind == "multiclass":
        return scores.argmax(axis=1)
    return (scores[:, 0] > 0).astype(int) if kind == "binary" else (scores > 0).astype(int)


def random_data(kind="multiclass", n_rows=60, seed=0):
    """Rows with five features, a fifth of which are 0, and labels that depend on the first three."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 5))
    X[rng.random(X.shape) < 0.2] = 0.0
    return X, labels_of(X[:, :3] + 0.5 * rng.standard_normal((n_rows, 3)), kind)


def small_classifier(**params):
    """A classifier with these parameters, and else a small network for lbfgs with a penalty."""
    defaults = {"hidden_layer_sizes": (5,), "activation": "tanh", "solver": "lbfgs", "alpha": 0.5, "random_state": 0}
    return BackpropClassifier(**{**defaults, **params})


@cache
def informative_data(kind):
    """90 rows of six features, five of which matter."""
    X, y = make_classification(90, 6, n_informative=5, n_redundant=0, n_classes=3, random_state=0)
    if kind == "binary":
        y = np.array(["no", "yes"])[(y > 0).astype(int)]
    if kind == "multilabel":
        y = np.c_[y > 0, y == 1, X[:, 0] > 0].astype(int)
    return X, y


@pytest.fixture(scope="session")
def informative():
    return informative_data


@pytest.fixture(scope="session")
def make_labels():
    return labels_of


@pytest.fixture(scope="session")
def make_data():
    return random_data


@pytest.fixture(scope="session")
def classifier():
    return small_classifier
