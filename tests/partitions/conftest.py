"""A Dask cluster of two worker processes on this machine, and data in partitions."""

import numpy as np
import pytest

from skbp import BackpropClassifier

try:
    import distributed
except ImportError:  # the extra dask is not installed
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def workers():
    """A cluster of two processes with one thread each. A process that is killed is started again."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def client(workers):
    """While this is in use, the cluster computes. Without it, threads of this process do."""
    with distributed.Client(workers) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture
def make_data():
    """A function (kind, n_rows) -> (X, y) with classes that depend on X."""

    def data(kind="multiclass", n_rows=210):
        rng = np.random.RandomState(0)
        X = rng.randn(n_rows, 6)
        scores = X @ rng.randn(6, 4) + rng.gumbel(size=(n_rows, 4))
        if kind == "multilabel":
            return X, (scores[:, :3] > 0).astype(int)
        y = scores[:, : 2 if kind == "binary" else 3].argmax(axis=1)
        return X, np.array(["no", "perhaps", "yes"])[y] if kind == "strings" else y

    return data


@pytest.fixture
def learner():
    """A function that makes a small classifier."""

    def make(**params):
        defaults = {"hidden_layer_sizes": (5,), "activation": "tanh", "alpha": 0.1, "max_iter": 5, "random_state": 0}
        return BackpropClassifier(**(defaults | params))

    return make
