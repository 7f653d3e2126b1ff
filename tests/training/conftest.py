"""What the tests of training share: data sets, comparisons, an objective to minimise, and the threads of BLAS."""

import os
import pickle
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from threadpoolctl import ThreadpoolController, threadpool_limits

from skbp import BackpropClassifier
from skbp._data.rows import Rows
from skbp._network.losses import Loss
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._training import threads
from skbp._training.history import History
from skbp._training.minibatch import MiniBatchSolver
from skbp._training.monitor import Monitor
from skbp._training.printer import Printer
from skbp._training.recipe import Recipe
from skbp._training.schedules import SCHEDULES, Progress
from skbp._training.threads import SMALL_PRODUCT, blas_threads
from skbp._training.updates import SGD, UPDATES, UpdateRule

# Data


def _linear_rule(target="multiclass", n_rows=60, seed=0, *, noise=0.7):
    """Normal rows of four features, and labels that follow from three of them plus noise.

    Parameters
    ----------
    target : {"binary", "multiclass", "multilabel"}
        Whether the first score is positive, which of three scores is the largest, or which of three scores are positive.
    n_rows, seed : int
    noise : float
        Standard deviation of the noise in the scores. Without noise a linear rule is right for every row.
    """
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_rows, 4))
    scores = X[:, :3] + noise * rng.normal(size=(n_rows, 3))
    y = {"binary": scores[:, 0] > 0, "multiclass": scores.argmax(axis=1), "multilabel": scores > 0}[target]
    return X, y.astype(int)


@pytest.fixture(scope="session")
def linear_rule():
    return _linear_rule


@pytest.fixture
def X():
    """60 rows of four features."""
    return _linear_rule()[0]


@pytest.fixture
def y():
    """The classes of the rows X, of which there are three."""
    return _linear_rule()[1]


def _own_data(target="multiclass"):
    """Data to train on and to validate on."""
    return *_linear_rule(target, 90), *_linear_rule(target, 40, seed=1)


@pytest.fixture(scope="session")
def own_data():
    return _own_data


# Small classifiers


@pytest.fixture(scope="session")
def two_layers():
    """A function that makes a classifier with two hidden layers."""

    def two_layers(**params):
        return BackpropClassifier(**{"hidden_layer_sizes": (6, 5), "max_iter": 5, "random_state": 0, **params})

    return two_layers


@pytest.fixture(scope="session")
def learner():
    """A function that makes a classifier that learns something in five epochs."""

    def learner(**params):
        common = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
        if params.get("solver", "adam") in UPDATES:
            common |= {"learning_rate_init": 0.03, "batch_size": 20}
        return BackpropClassifier(**{**common, **params})

    return learner


class _Witness:
    """A scorer that keeps what it gets. Its score is always the same."""

    def __init__(self):
        self.X, self.y, self.estimators = [], [], []

    def __call__(self, estimator, X, y):
        self.X.append(X)
        self.y.append(y)
        self.estimators.append(estimator)
        return 0.5


@pytest.fixture
def witness():
    return _Witness()


@pytest.fixture(scope="session")
def after_each_iteration():
    """A function that fits copies of a classifier for 1, 2, ... `n_iter` iterations, without validation."""

    def after_each_iteration(clf, X, y, n_iter, **fit_params):
        clf = clone(clf).set_params(early_stopping=False, scoring=None, n_iter_no_change=10)
        return [clone(clf).set_params(max_iter=k).fit(X, y, **fit_params) for k in range(1, n_iter + 1)]

    return after_each_iteration


# Comparisons


def _assert_same_weights(one, other, atol=None):
    """Assert that two networks have the same weights and biases: bit for bit, or up to a tolerance.

    trust-krylov does not repeat itself bit for bit. So it has a tolerance if none is given.
    """
    if atol is None:
        atol = 1e-6 if one.solver == "trust-krylov" else 0.0
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_allclose(a, b, rtol=0.0, atol=atol)


@pytest.fixture(scope="session")
def assert_same_weights():
    return _assert_same_weights


def _warnings_of(function, *args, **kwargs):
    """The warnings that a call gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args, **kwargs)
    return caught


@pytest.fixture(scope="session")
def warnings_of():
    return _warnings_of


def _everything(estimator):
    """All attributes but the callbacks as bytes."""
    return pickle.dumps([item for item in sorted(vars(estimator).items()) if item[0] != "_skl_callbacks"])


@pytest.fixture(scope="session")
def everything():
    return _everything


# Pieces of training


@pytest.fixture(scope="session")
def recipe_of():
    """A function that makes the recipe of a classifier with these parameters."""

    def recipe_of(**params):
        return Recipe.of(BackpropClassifier().get_params(), **params)

    return recipe_of


# An objective to minimise


@dataclass(frozen=True)
class _SquaredLoss(Loss):
    """scale (z - t)^2 / 2 for the only logit z of a row. The target of a row is its number k, and t is ``values[k]``."""

    name = "squared"
    exclusive = False

    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scale: float = 1.0
    # Has an entry for each product with the Hessian.
    products: list = field(default_factory=list)

    def loss_gradient(self, logits, target, out):
        error = logits[:, 0] - self.values[target].astype(logits.dtype)
        out[:, 0] = self.scale * error
        return 0.5 * self.scale * error**2

    def hessian_product(self, logits, tangent, out):
        self.products.append(len(tangent))
        return np.multiply(tangent, self.scale, out=out)

    def of_frequencies(self, frequencies):
        raise NotImplementedError("The targets have no frequencies.")

    def proba(self, logits):
        raise NotImplementedError("The logits stand for no probabilities.")

    log_proba = proba


class _LeastSquares(Objective):
    """Least squares with one linear unit: on all rows F is the sum of c_j (theta_j - minimum_j)^2 / 2 plus a constant.

    The columns of X are orthogonal. So the Hessian on all rows is diagonal, with the curvatures c_j. The minimum is near 0,
    and training starts at 3 in all elements of theta.

    Parameters
    ----------
    curvature : sequence of float
        c_j, first those of the weights and then that of the bias.
    n_rows : int
        More than there are parameters.
    exact : bool
        Whether the constant is 0, because every row fits at the minimum.
    weight : ndarray of shape (n_rows,), default=None
        Of the rows. The curvatures are those without weights.
    events : dict of int to float or KeyboardInterrupt
        What happens in an evaluation, counted from 1. A number takes the place of the true value, and KeyboardInterrupt is
        raised. On all rows F remains a function of theta: it has the same value wherever it had one before.

    Attributes
    ----------
    rows : Rows
    visits : list of ndarray
        The row numbers of each evaluation.
    thetas : list of ndarray
        The parameters of each evaluation.
    products : list of int
        The number of rows of each product with the Hessian.
    """

    # Quasi-Newton methods need a dozen iterations for these, in which something may happen.
    ELONGATED = np.logspace(0, 3, 10)

    def __init__(
        self, curvature=(0.5, 1.0, 2.0), *, n_rows=10, dtype=np.float64, exact=False, weight=None, events=None
    ):
        self.curvature, self.n_rows = np.asarray(curvature, dtype), n_rows
        n, k = len(self.curvature), np.arange(n_rows)
        assert n < n_rows
        cosines = [np.sqrt(2.0) * np.cos(np.pi * (k + 0.5) * j / n_rows) for j in range(1, n + 1)]
        scale = float(curvature[-1])
        X = np.sqrt(np.asarray(curvature[:-1]) / scale) * np.column_stack(cosines[: n - 1])
        self.minimum = np.random.default_rng(0).standard_normal((1 if exact else 10, n)).mean(axis=0)
        self.design = np.column_stack([X, np.ones(n_rows)])
        self.values = self.design @ self.minimum + (0.0 if exact else cosines[-1])
        self.rows = Rows(X.astype(dtype), None, None, k, weight)
        params = Parameters((n - 1, 1), dtype)
        params.vector[...] = 3.0
        super().__init__(params, [], _SquaredLoss(values=self.values, scale=scale), alpha=0.0)
        self.events = events or {}
        self.visits, self.thetas, self.products, self._known = [], [], self.loss.products, {}

    def value(self):
        """F on all rows at the present parameters."""
        return float(self.row_losses(self.rows.chunks()).mean())

    def slope_at(self, theta, rows):
        """The gradient of the mean over some rows by its formula."""
        error = self.design[rows] @ theta - self.values[rows]
        return self.loss.scale * (self.design[rows].T @ error) / len(error)

    def value_and_gradient(self, batches):
        self.visits.append(np.concatenate([batch.target for batch in batches]))
        self.thetas.append(self.params.vector.copy())
        value = super().value_and_gradient(batches)
        event = self.events.get(len(self.visits), value)
        if event is KeyboardInterrupt:
            raise event
        if len(self.visits[-1]) < self.n_rows:
            return event
        return self._known.setdefault(self.params.vector.tobytes(), event)


@pytest.fixture(scope="session")
def LeastSquares():
    return _LeastSquares


@pytest.fixture(scope="session")
def parameters():
    """A function that makes the parameters of a tiny network, or of a stack, all equal to a number."""

    def parameters(number=0.0, members=()):
        params = Parameters((2, 1), np.float64, members)
        params.vector[...] = number
        return params

    return parameters


class _Trace:
    """Held-out rows with given scores, of which the last goes on. It keeps the parameters that it saw. The loss is 0."""

    def __init__(self, *scores):
        self.scores, self.seen = scores, []

    def __call__(self, params):
        self.seen.append(params.vector.copy())
        return self.scores[min(len(self.seen), len(self.scores)) - 1], 0.0


@pytest.fixture(scope="session")
def Trace():
    return _Trace


class _Watcher:
    """A watcher that keeps what it is told. At the end of the given epochs it stops training, or interrupts it."""

    def __init__(self, stops_at=None, interrupts_at=None):
        self.stops_at, self.interrupts_at = stops_at, interrupts_at
        self.calls, self.epochs = [], []

    def begin_epoch(self):
        self.calls.append("begin")

    def end_epoch(self, loss, params, learning_rate, figures, monitor):
        self.epochs.append(monitor.n_iter)
        self.calls.append((loss, params.vector[0], learning_rate, figures, monitor.n_iter, monitor.seconds))
        if monitor.n_iter == self.interrupts_at:
            raise KeyboardInterrupt
        return monitor.n_iter == self.stops_at

    def stall(self, history, decision):
        self.calls.append((history, decision))

    def close(self):
        self.calls.append("close")


@pytest.fixture(scope="session")
def Watcher():
    return _Watcher


class _Recorder(UpdateRule):
    """An update rule that leaves the parameters as they are and keeps the learning rates."""

    parameters = ()

    def __init__(self):
        super().__init__()
        self.rates = []

    def step(self, theta, gradient, learning_rate):
        self.rates.append(learning_rate)


@pytest.fixture
def recorder():
    return _Recorder()


@pytest.fixture(scope="session")
def mini_batches():
    """A function that makes a MiniBatchSolver: plain SGD at a constant rate, unless other parts are given."""

    def mini_batches(
        rule=None,
        schedule="constant",
        rate=0.1,
        batch_size=4,
        shuffle=False,
        power_t=0.5,
        progress=None,
        horizon=100,
        **regularisation,
    ):
        return MiniBatchSolver(
            SGD(0.0, False) if rule is None else rule,
            schedule if callable(schedule) else lambda progress: SCHEDULES[schedule](progress, power_t),
            rate,
            batch_size,
            shuffle,
            [np.random.RandomState(0)],
            Progress() if progress is None else progress,
            horizon,
            **regularisation,
        )

    return mini_batches


@pytest.fixture(scope="session")
def run():
    """A function that lets a solver minimise a LeastSquares. It returns the outcome and the history.

    If there are held-out rows, their score decides when training stops.
    """

    def run(solver, objective, max_iter=5, tol=1e-4, n_iter_no_change=10, held_out=None, verbose=False, max_time=None):
        history = History(tol, n_iter_no_change, held_out is not None, held_out is not None)
        monitor = Monitor(history, held_out, [Printer(verbose)] if verbose else [], max_time)
        monitor.start(objective.params)
        return solver.run(objective, objective.rows, monitor, max_iter), history

    return run


# What is printed


class _Progress:
    """Reads the lines that a verbose fit prints. No line has more than 80 characters."""

    _FIGURE = r"(-?(?:\d[\d.e+-]*|inf))? *"
    # Long figures leave no room for columns, and the longest no room for the seconds.
    _LINE = re.compile(
        rf"Iteration +(?P<n>\d+) +loss {_FIGURE.replace('(-', '(?P<loss>-', 1)}"
        rf"(?: *(?P<name>validation (?:loss|score))(?: {_FIGURE.replace('(-', '(?P<score>-', 1)})?)?"
        rf"(?: *rate {_FIGURE.replace('(-', '(?P<rate>-', 1)})?"
        r"(?: *(?P<seconds>\d+(?:\.\d)?) s)?"
    )

    def parsed(self, line):
        """The parts of a line of an epoch as a dict."""
        match = self._LINE.fullmatch(line)
        assert match, line
        return match.groupdict()

    def epochs(self, out):
        """The lines of epochs, parsed."""
        return [self.parsed(line) for line in out.splitlines() if line.startswith("Iteration")]

    @staticmethod
    def figures(lines, name):
        """The figures of a name, one for each parsed line. It is nan if a line has none."""
        return [float(line[name] or "nan") for line in lines]

    @staticmethod
    def assert_narrow(lines):
        assert lines
        assert max(map(len, lines)) <= 80, max(lines, key=len)

    @staticmethod
    def assert_four_digits(printed, figures):
        """Assert that printed figures are right to four significant digits."""
        assert_allclose(printed, figures, rtol=5.001e-4, atol=0.0)


@pytest.fixture(scope="session")
def printed():
    return _Progress()


# The threads of BLAS


class _Blas:
    """The copies of BLAS in this process, and sizes of networks for which their threads are limited or not."""

    def __init__(self):
        self.SMALL = {"units": (20, 64, 64, 1), "n_rows": 1000}
        self.LARGE = {"units": (10, 1024, 3), "n_rows": SMALL_PRODUCT // (10 * 1024) + 1}
        # The search for the libraries takes some 10 ms.
        self.copies = ThreadpoolController().select(user_api="blas").lib_controllers

    def n_threads(self, of_scipy=None):
        """The numbers of threads: of the copy that came with SciPy, of the others, or of all."""
        folder_of_scipy = "scipy.libs"
        return {
            one.num_threads
            for one in self.copies
            if of_scipy in {None, Path(one.filepath).parent.name == folder_of_scipy}
        }

    def assert_nothing_is_left(self):
        """Assert that BLAS has two threads, that no lock is taken, and that the next fit is limited and ends the limit."""
        assert self.n_threads() == {2}
        assert not threads._numpys._taken.locked()
        assert not threads._scipys._taken.locked()
        with blas_threads(**self.SMALL):
            assert self.n_threads() == {1}
        assert self.n_threads() == {2}


@pytest.fixture(scope="session")
def _blas():
    return _Blas()


@pytest.fixture
def blas(_blas):
    """BLAS with two threads in every copy."""
    with threadpool_limits(2, user_api="blas"):
        if _blas.n_threads(of_scipy=False) != {2}:
            pytest.skip("The threads of this machine's BLAS cannot be set.")
        yield _blas


@pytest.fixture(scope="session")
def in_a_process():
    """A function that runs a script in a process that starts with two threads. It returns the lines that are printed."""

    def in_a_process(script):
        environ = os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
        command = [sys.executable, "-c", script]
        run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
        assert not run.returncode, run.stderr
        return run.stdout.splitlines()

    return in_a_process
