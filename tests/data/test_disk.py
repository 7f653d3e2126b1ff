"""Rows in a file: the same numbers as in memory, without the memory."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._data.disk import DiskArray, is_on_disk
from skbp._training.scipy_methods import SCIPY_METHODS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Stored:
    """An array-like that gives an array for a slice of rows and nothing else, as the datasets of h5py do."""

    def __init__(self, rows):
        self._rows, self.shape, self.dtype, self.most = rows, rows.shape, rows.dtype, 0

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.most = max(self.most, rows.stop - rows.start)
        return self._rows[rows].copy()

    def __array__(self, dtype=None, copy=None):
        assert not self._rows.shape[0], "the whole file is read"
        return self._rows


@pytest.fixture
def mapped(tmp_path):
    """A function that puts rows into a file and maps it."""

    def to_file(rows, mode="r"):
        np.save(tmp_path / "rows.npy", rows)
        return np.load(tmp_path / "rows.npy", mmap_mode=mode)

    return to_file


@pytest.fixture(params=["memory map", "array-like"])
def on_disk(request, mapped):
    return mapped if request.param == "memory map" else Stored


@pytest.fixture
def data():
    rng = np.random.RandomState(0)
    X = rng.randn(2500, 6)
    return X, (X[:, 0] + X[:, 1] ** 2 + rng.randn(2500) > 1).astype(int)


def learner(**params):
    defaults = {"activation": "tanh", "solver": "lbfgs", "max_iter": 5, "random_state": 0}
    return BackpropClassifier((5,), **(defaults | params))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
@pytest.mark.parametrize("solver", [solver for solver in SCIPY_METHODS if solver != "trust-krylov"])
def test_full_batch_fits_have_the_bits_of_those_in_memory(solver, dtype, data, on_disk):
    X, y = (10 * data[0]).astype(dtype), data[1]
    weight = np.linspace(0.0, 2.0, len(y))
    clf = learner(solver=solver, class_weight="balanced").fit(on_disk(X), y, weight)
    same = learner(solver=solver, class_weight="balanced").fit(X, y, weight)
    assert clf.loss_curve_ == same.loss_curve_
    for ours, theirs in zip(clf.coefs_, same.coefs_, strict=True):
        assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("params", [{"dtype": "float32"}, {"early_stopping": True}, {"activation": "gelu"}], ids=str)
def test_parameters_mean_the_same(params, data, on_disk):
    X, y = data
    clf, same = learner(**params).fit(on_disk(X), y), learner(**params).fit(X, y)
    assert clf.loss_curve_ == same.loss_curve_
    assert clf.validation_scores_ == same.validation_scores_


def test_the_objective_is_that_of_the_rows_in_memory(data, on_disk):
    X, y = data
    from_disk, in_memory = learner().objective(on_disk(X), y), learner().objective(X, y)
    theta, v = in_memory.theta0 + 0.1, np.ones_like(in_memory.theta0)
    assert from_disk.value(theta) == in_memory.value(theta)
    assert_array_equal(from_disk.hessp(theta, v), in_memory.hessp(theta, v))
    assert_array_equal(from_disk.tape(theta).delta[-1], in_memory.tape(theta).delta[-1])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "hidden_features"])
def test_predictions_are_those_in_memory(method, data, on_disk, monkeypatch):
    X, y = data
    clf = learner().fit(X, y)
    monkeypatch.setattr("skbp._data.disk.BLOCK_BYTES", 700 * X[0].nbytes)
    assert_array_equal(getattr(clf, method)(on_disk(X)), getattr(clf, method)(X))


def test_the_ensemble_predicts_from_a_file(data, on_disk):
    X, y = data
    clf = BackpropClassifierCV(max_iter=2, random_state=0).fit(X[:300], y[:300])
    assert_array_equal(clf.predict_proba(on_disk(X)), clf.predict_proba(X))


def test_a_file_of_few_rows(data, on_disk):
    X, y = data[0][:300], data[1][:300]
    assert_array_equal(learner().fit(on_disk(X), y).coefs_[0], learner().fit(X, y).coefs_[0])


class Failing(Stored):
    """A file that cannot be read any more after some reads."""

    left = 30

    def __getitem__(self, rows):
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is gone")
        return super().__getitem__(rows)


def test_a_file_that_fails_leaves_the_weights_so_far(data):
    X, y = data
    with pytest.warns(ConvergenceWarning, match=r"stopped after iteration \d.*the disk is gone"):
        clf = learner(max_iter=50).fit(Failing(X), y)
    assert clf.n_iter_ >= 2
    assert_array_equal(clf.coefs_[0], learner(max_iter=clf.n_iter_).fit(X, y).coefs_[0])
    file = Failing(X)
    file.left = 5
    with pytest.raises(OSError, match="the disk is gone"):
        learner().fit(file, y)


def test_products_with_the_hessian_keep_no_rows():
    X = np.random.RandomState(0).randn(16_000, 400)
    y = (X[:, 0] > 0).astype(int)
    F = learner().objective(Stored(X), y)
    F.hessp(F.theta0, np.ones_like(F.theta0))
    tracemalloc.start()
    F.hessp(F.theta0, np.ones_like(F.theta0))
    F.hessp(F.theta0 + 1.0, np.ones_like(F.theta0))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < X.nbytes / 4


def test_only_blocks_are_read(data, monkeypatch):
    X, y = data
    monkeypatch.setattr("skbp._data.disk.BLOCK_BYTES", 100 * X[0].nbytes)
    stored = Stored(X)
    learner().fit(stored, y).predict(stored)
    assert 100 <= stored.most <= 1024


def test_stochastic_solvers_take_shuffled_batches_of_the_whole_file(data, mapped):
    X, y = data
    assert_array_equal(learner(solver="adam").fit(mapped(X), y).coefs_[0], learner(solver="adam").fit(X, y).coefs_[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (np.where(np.arange(len(X))[:, None] == 2000, np.nan, X), y), "Input X contains NaN"),
        (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
        (lambda X, y: (X, np.where(y, np.nan, 1.0)), "NaN"),
        (lambda X, y: (X[:0], y[:0]), "0 sample"),
        (lambda X, y: (X[:, :0], y), "0 feature"),
        (lambda X, y: (np.where(X > 3.2, "high", "low"), y), "could not convert"),
    ],
)
def test_bad_rows_are_refused_wherever_they_are(change, message, data, on_disk):
    clf = learner().fit(*data)
    X, y = change(*data)
    with pytest.raises(ValueError, match=message):
        clf.fit(on_disk(X), y)
    assert_array_equal(clf.predict(data[0][:5]), learner().fit(*data).predict(data[0][:5]))
    with pytest.raises(ValueError, match="expecting 6 features"):
        clf.predict(on_disk(data[0][:, :4]))


def test_numbers_beyond_float32_are_refused(data, on_disk):
    X, y = data
    X[2400, 3] = 1e39
    with pytest.raises(ValueError, match=r"1e\+39.*float32"):
        learner(dtype="float32").fit(on_disk(X), y)


def test_changes_in_memory_of_a_map_survive(data, mapped, monkeypatch):
    X, y = data
    monkeypatch.setattr("skbp._data.disk.BYTES_BETWEEN_RELEASES", 0)
    changed = mapped(X, mode="c")
    changed[:, 0] = 0.0
    expected = learner().fit(np.array(changed), y)
    assert_array_equal(learner().fit(changed, y).coefs_[0], expected.coefs_[0])
    assert not changed[:, 0].any()


def test_any_rows_are_read_in_any_order(data, on_disk):
    X, _ = data
    rows = DiskArray(on_disk(X), np.float32)
    rng = np.random.RandomState(0)
    for indices in (rng.permutation(2500), np.array([2499, 0, 7, 7]), np.zeros(0, dtype=int), slice(3, 2000)):
        assert_array_equal(rows[indices], X[indices].astype(np.float32))
        assert rows[indices].dtype == np.float32


def test_what_counts_as_a_file(mapped, data):
    X, _ = data
    assert is_on_disk(mapped(X))
    assert is_on_disk(Stored(X))
    for other in (X, X[0], X.tolist(), csr_array(X[:3]), None, mapped(X)[0]):
        assert not is_on_disk(other)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count resident pages in other ways")
def test_the_memory_of_a_fit_does_not_grow_with_the_file(tmp_path):
    code = """
import resource, sys, warnings
import numpy as np
from skbp import BackpropClassifier

warnings.simplefilter("ignore")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
X = np.memmap(sys.argv[1], np.float32, "w+", shape=(1_000_000, 100))
X.flush()
del X
X = np.memmap(sys.argv[1], np.float32, "r", shape=(1_000_000, 100))
y = np.arange(1_000_000) % 2
BackpropClassifier((4,), solver="lbfgs", max_iter=1).fit(X[:5000], y[:5000])
before = peak()
BackpropClassifier((4,), solver="lbfgs", max_iter=1, random_state=0).fit(X, y).predict(X)
print(peak() - before)
"""
    run = [sys.executable, "-c", code, str(tmp_path / "X.dat")]
    grown = float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    assert grown < 150  # of 400 MB in the file


@pytest.mark.parametrize("library", ["h5py", "zarr"])
def test_datasets_of_other_libraries(library, data, tmp_path):
    X, y = data
    module = pytest.importorskip(library)
    if library == "h5py":
        stored = module.File(tmp_path / "X.h5", "w").create_dataset("X", data=X)
    else:
        stored = module.create_array(str(tmp_path / "X.zarr"), shape=X.shape, dtype=X.dtype, chunks=(500, 6))
        stored[:] = X
    assert is_on_disk(stored)
    clf, same = learner().fit(stored, y), learner().fit(X, y)
    assert_array_equal(clf.coefs_[0], same.coefs_[0])
    assert_array_equal(clf.predict_proba(stored), same.predict_proba(X))
