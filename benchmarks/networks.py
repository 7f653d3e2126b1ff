"""The networks that the benchmarks train, their data, and who trains them: skbp, its peers, and matrix products alone."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from measure import is_installed
from scipy.sparse import random_array
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier, BackpropClassifierCV

# A panel over all methods needs the package's own list of them.
from skbp._training.solvers import SCIPY_METHODS

LEAST_ROWS, LEAST_BATCHES = 4_000, 4
N_FOLDS = 5


@dataclass(frozen=True)
class Work:
    """A network and how it is trained: one line of a table."""

    group: str
    n_features: int = 64
    hidden: tuple[int, ...] = (100,)
    batch: int = 200
    n_classes: int = 10
    activation: str = "relu"
    solver: str = "adam"
    rows: int = 0  # 0: as many as make up some batches
    density: float = 1.0
    stack: bool = False
    skorch: bool = False
    plain: bool = False  # without momentum and penalty

    @property
    def units(self):
        return [self.n_features, *self.hidden, self.n_classes if self.n_classes > 2 else 1]

    @property
    def n_rows(self):
        return self.rows or self.batch * max(LEAST_BATCHES, LEAST_ROWS // self.batch)

    @property
    def in_batches(self):
        return self.solver not in SCIPY_METHODS

    @property
    def sparse(self):
        return self.density < 1.0

    @property
    def shape(self):
        return "-".join(map(str, self.units))

    @property
    def name(self):
        how = f"{self.solver} {self.batch}" if self.in_batches else self.solver
        kind = ["stack"] * self.stack + ["plain"] * self.plain
        return " ".join([self.shape, self.activation, how, *kind])


def data(work):
    """Features in float64 and random labels; every class has some rows."""
    rng = np.random.default_rng(0)
    shape = (work.n_rows, work.n_features)
    X = random_array(shape, density=work.density, format="csr", rng=rng) if work.sparse else rng.standard_normal(shape)
    return X, rng.permutation(work.n_rows) % work.n_classes


def parameters(work, epochs):
    """The parameters of MLPClassifier and BackpropClassifier. Training never stops early."""
    return {
        "hidden_layer_sizes": work.hidden,
        "activation": work.activation,
        "solver": work.solver,
        "batch_size": work.batch,
        "max_iter": epochs,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "random_state": 0,
        **({"momentum": 0.0, "alpha": 0.0} if work.plain else {}),
    }


# For measurements of whole fits.
CLASSIFIERS = {
    "MLPClassifier": MLPClassifier,
    "skbp float64": BackpropClassifier,
    "skbp dtype=float32": partial(BackpropClassifier, dtype="float32"),
}


# Peers, for measurements of epochs. Each is a function of a network and its data. It returns None if it cannot train such a
# network, else a function of the number of epochs, which trains. That one may return another number, the epochs that it
# really took.

MLP_ACTIVATIONS = {"identity", "logistic", "tanh", "relu"}
MLP_SOLVERS = {"adam", "sgd", "lbfgs"}


class CountingMLPClassifier(MLPClassifier):
    """Counts how often lbfgs asks for the objective and its gradient."""

    n_evaluations = 0

    def _loss_grad_lbfgs(self, *args, **kwargs):
        self.n_evaluations += 1
        return super()._loss_grad_lbfgs(*args, **kwargs)


def mlp(dtype):
    def make(work, X, y):
        if work.activation not in MLP_ACTIVATIONS or work.solver not in MLP_SOLVERS:
            return None
        X = X.astype(dtype)
        folds = [train for train, _ in KFold(N_FOLDS).split(X)] if work.stack else [slice(None)]

        def run(epochs):
            for train in folds:
                classifier = CountingMLPClassifier(**parameters(work, epochs)).fit(X[train], y[train])
            return classifier.n_evaluations or epochs

        return run

    return make


def backprop(data_type, dtype=None):
    def make(work, X, y):
        X = X.astype(data_type)

        # The peer's five fits have no dropout, no label smoothing and no schedule. The one difference that remains is that
        # the ensemble looks at its folds after every epoch.
        plain = {
            "cv": KFold(N_FOLDS),
            "scale": False,
            "dropout": 0.0,
            "label_smoothing": 0.0,
            "learning_rate": "constant",
        }
        plain |= {"learning_rate_init": 0.001}

        def run(epochs):
            if work.stack:
                BackpropClassifierCV(**parameters(work, epochs), **plain, dtype=dtype).fit(X, y)
                return epochs
            classifier = BackpropClassifier(**parameters(work, epochs), dtype=dtype).fit(X, y)
            return epochs if work.in_batches else classifier.optimize_result_["n_evaluations"]

        return run

    return make


def floor(work, X, _):
    """The matrix products of the forward and the backward pass alone, in float32."""
    if work.sparse or work.stack or not work.in_batches:
        return None
    rng = np.random.default_rng(0)
    X = X.astype(np.float32)
    weights = [0.1 * rng.standard_normal(shape, np.float32) for shape in pairwise(work.units)]
    gradients = [np.empty_like(weight) for weight in weights]
    a = [None, *(np.empty((work.batch, width), np.float32) for width in work.units[1:])]
    # The factors are constants. They neither grow nor vanish from epoch to epoch, so subnormal numbers slow nothing.
    delta = [rng.standard_normal((work.batch, width), np.float32) for width in work.units]
    errors = [np.empty_like(one) for one in delta]
    n_layers = len(weights)

    def run(epochs):
        for _ in range(epochs):
            for start in range(0, work.n_rows, work.batch):
                a[0] = X[start : start + work.batch]
                for k in range(n_layers):
                    np.matmul(a[k], weights[k], out=a[k + 1])
                for k in range(n_layers - 1, -1, -1):
                    np.matmul(a[k].T, delta[k + 1], out=gradients[k])
                    if k:
                        np.matmul(delta[k + 1], weights[k].T, out=errors[k])

    return run


def on_one_thread(make):
    def made(work, X, y):
        run = make(work, X, y)

        def limited(epochs):
            with threadpool_limits(1):
                run(epochs)

        return run and limited

    return made


# PyTorch's names, where more than the capitals differ.
TORCH_NAMES = {"logistic": "Sigmoid", "leaky_relu": "LeakyReLU"}


def set_torch_threads(n_threads):
    if is_installed("torch"):
        import torch

        torch.set_num_threads(n_threads)


def torch_activation(name):
    """The module of an activation, or None if PyTorch has none."""
    from torch import nn

    modules = {module.lower(): module for module in vars(nn)}
    return getattr(nn, TORCH_NAMES.get(name) or modules.get(name, ""), None)


def torch_network(work):
    from torch import nn

    layers = []
    for fan_in, fan_out in pairwise(work.units):
        layers += [nn.Linear(fan_in, fan_out), torch_activation(work.activation)()]
    return nn.Sequential(*layers[:-1])


def torch_loop(work, X, y):
    """The usual training loop. Sparse rows stay sparse; the first layer's weights are laid out for such products."""
    import torch
    from torch import nn

    if work.stack or not work.in_batches or torch_activation(work.activation) is None:
        return None
    binary = work.n_classes == 2
    rows = X.astype(np.float32) if work.sparse else torch.from_numpy(X.astype(np.float32))
    target = torch.from_numpy(y.astype(np.float32)[:, None] if binary else y)
    loss_function = nn.BCEWithLogitsLoss() if binary else nn.CrossEntropyLoss()

    def sparse_batch(indices):
        batch = rows[indices.numpy()]
        parts = (torch.from_numpy(part) for part in (batch.indptr, batch.indices, batch.data))
        return torch.sparse_csr_tensor(*parts, batch.shape)

    def run(epochs):
        network = torch_network(work)
        if work.sparse:
            weight = nn.Parameter(network[0].weight.detach().T.contiguous())
            bias, above = network[0].bias, network[1:]
            trained = [weight, bias, *above.parameters()]
        else:
            trained = list(network.parameters())
        rule = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[work.solver]
        momentum = {"momentum": 0.9, "nesterov": True} if work.solver == "sgd" and not work.plain else {}
        optimizer = rule(trained, 1e-3, weight_decay=0.0 if work.plain else 1e-4 / work.batch, fused=True, **momentum)
        for _ in range(epochs):
            order, total = torch.randperm(work.n_rows), torch.zeros(())
            for indices in order.split(work.batch):
                optimizer.zero_grad()
                logits = above(sparse_batch(indices) @ weight + bias) if work.sparse else network(rows[indices])
                loss = loss_function(logits, target[indices])
                loss.backward()
                optimizer.step()
                total += loss.detach()

    return run


def skorch_classifier(work, X, y):
    if not work.skorch:
        return None
    import torch
    from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier

    binary = work.n_classes == 2
    X, y = X.astype(np.float32), y.astype(np.float32 if binary else np.int64)
    loss = {} if binary else {"criterion": torch.nn.CrossEntropyLoss}

    def run(epochs):
        network = (NeuralNetBinaryClassifier if binary else NeuralNetClassifier)(
            torch_network(work),
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            lr=1e-3,
            batch_size=work.batch,
            max_epochs=epochs,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
            **loss,
        )
        network.fit(X, y)

    return run


PEERS = {
    "MLPClassifier float64": mlp(np.float64),
    "MLPClassifier float32": mlp(np.float32),
    "skbp float64": backprop(np.float64),
    "skbp float32": backprop(np.float32),
    "skbp dtype=float32": backprop(np.float64, "float32"),
    "PyTorch": torch_loop,
    "skorch": skorch_classifier,
    "floor": floor,
    "floor, one thread": on_one_thread(floor),
}
MODULES = {"PyTorch": "torch", "skorch": "skorch"}

# Heading: (the time that is divided, the time that it is divided by).
RATIOS = {
    "float64": ("MLPClassifier float64", "skbp float64"),
    "float32": ("MLPClassifier float32", "skbp float32"),
    "dtype": ("MLPClassifier float64", "skbp dtype=float32"),
    "PyTorch": ("PyTorch", "skbp float32"),
    "skorch": ("skorch", "skbp float32"),
    "floor": ("skbp float32", "floor"),
    "gain": ("skbp float64", "skbp dtype=float32"),
}


def present(peers):
    """Those of the peers that are installed."""
    return {name: make for name, make in peers.items() if name not in MODULES or is_installed(MODULES[name])}
