"""Searches on other engines find what a search in this process finds. Pruned trials have the values of their fit."""

import logging
import os
from unittest.mock import patch

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

import skbp
from skbp import BackpropClassifier

AT_LEAST_1_9 = parse_version(sklearn.__version__) >= parse_version("1.9")
CV = StratifiedKFold(3, shuffle=True, random_state=0)
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
experimental = pytest.mark.filterwarnings(
    "ignore:OptunaSearchCV is experimental",
    # OptunaSearchCV 5.0 calls a function that Optuna wants to remove.
    "ignore:`optuna.terminator` module has been deprecated:FutureWarning",
)


@pytest.fixture(scope="module")
def data():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def network(**params):
    common = {"hidden_layer_sizes": (6,), "learning_rate": "cosine", "learning_rate_init": 0.03, "batch_size": 20}
    return BackpropClassifier(**{**common, "max_iter": 8, "random_state": 0, **params})


# joblib's backends


@pytest.fixture
def own_threads():
    """The numbers of threads are for the engine to choose. Dask sets these variables in this process, for good."""
    with patch.dict(os.environ):
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.pop(name, None)
        yield


@pytest.fixture
def dask_workers(own_threads):
    """A cluster of two processes with one thread each. Gives their process numbers."""
    distributed = pytest.importorskip("distributed", reason="dask[distributed] is an extra")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        yield client.run(os.getpid).values()


@pytest.fixture
def ray_workers(own_threads, tmp_path, monkeypatch):
    """A Ray of two processors, which joblib knows by the name "ray"."""
    ray = pytest.importorskip("ray", reason="ray is an extra")
    # Workers look for modules in the working directory first. In a checkout that is another copy of skbp.
    monkeypatch.chdir(tmp_path)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    pytest.importorskip("ray.util.joblib").register_ray()
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def make_search():
    """A function that makes a grid search. Its scorers also say where and with how many threads a fit ran."""

    # Workers cannot import this module. Functions within a function are sent to them whole.
    def process(estimator, X, y):
        return os.getpid()

    def threads(estimator, X, y):
        from threadpoolctl import threadpool_info  # noqa: PLC0415

        from skbp._training.threads import core_threads  # noqa: PLC0415

        return max(core_threads(), *(library["num_threads"] for library in threadpool_info()))

    def copy(estimator, X, y):
        import skbp  # noqa: PLC0415

        return float(skbp.__file__ == expected_file)

    expected_file = skbp.__file__
    scoring = {"score": "neg_log_loss", "process": process, "threads": threads, "copy": copy}

    def make(**params):
        grid = {"hidden_layer_sizes": [(), (6,)], "learning_rate_init": [0.003, 0.03]}
        return GridSearchCV(network(), grid, scoring=scoring, refit="score", cv=CV, **params)

    return make


@pytest.fixture(scope="module")
def expected(make_search, data):
    return make_search(n_jobs=1).fit(*data)


def of_folds(search, name):
    return np.array([search.cv_results_[f"split{k}_test_{name}"] for k in range(3)])


def assert_same_search(search, expected, X):
    assert of_folds(search, "copy").all()
    assert search.best_params_ == expected.best_params_
    assert_allclose(of_folds(search, "score"), of_folds(expected, "score"), rtol=1e-12)
    assert_array_equal(search.cv_results_["rank_test_score"], expected.cv_results_["rank_test_score"])
    assert_array_equal(search.predict_proba(X), expected.predict_proba(X))


def test_dask_fits_in_its_workers_on_one_thread_each(make_search, expected, data, dask_workers):
    with joblib.parallel_config("dask"):
        search = make_search().fit(*data)
    assert_same_search(search, expected, data[0])
    assert set(of_folds(search, "process").ravel()) <= set(dask_workers)
    assert set(of_folds(search, "threads").ravel()) == {1}


def test_ray_fits_in_its_workers_on_one_thread_each(make_search, expected, data, ray_workers):
    with joblib.parallel_config("ray", n_jobs=2):
        search = make_search().fit(*data)
    assert_same_search(search, expected, data[0])
    assert os.getpid() not in of_folds(search, "process")
    assert set(of_folds(search, "threads").ravel()) == {1}


# Successive halving


def test_halving_trains_fewer_candidates_for_more_epochs(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), network())
    rate, size, epochs = (
        f"backpropclassifier__{name}" for name in ("learning_rate_init", "hidden_layer_sizes", "max_iter")
    )
    grid = {rate: [0.001, 0.01, 0.1], size: [(), (3,), (6,)]}
    halving = HalvingGridSearchCV(
        pipeline, grid, resource=epochs, min_resources=2, max_resources=18, scoring="neg_log_loss", cv=3
    ).fit(X, y)
    assert halving.n_resources_ == [2, 6, 18]
    assert halving.n_candidates_ == [9, 3, 1]
    results = halving.cv_results_
    assert [params[epochs] for params in results["params"]] == results["n_resources"].tolist()

    # Every candidate is trained from the start, for its number of epochs.
    trained = [clone(pipeline).set_params(**params) for params in results["params"]]
    scores = [cross_val_score(clf, X, y, scoring="neg_log_loss", cv=3) for clf in trained]
    assert_allclose(results["mean_test_score"], np.mean(scores, axis=1), rtol=1e-12)
    first, second = (np.flatnonzero(results["iter"] == k) for k in (0, 1))
    best = first[np.argsort(results["mean_test_score"][first])[-3:]]
    assert sorted(map(str, candidates(results, best, epochs))) == sorted(map(str, candidates(results, second, epochs)))

    assert halving.best_params_[epochs] == 18
    direct = clone(pipeline).set_params(**halving.best_params_).fit(X, y)
    assert halving.best_estimator_[-1].n_iter_ == 18
    assert_array_equal(halving.predict_proba(X), direct.predict_proba(X))


def candidates(results, rows, resource):
    """The parameters of these rows, without the resource."""
    return [{name: value for name, value in results["params"][row].items() if name != resource} for row in rows]


# Optuna

EPOCHS, PATIENCE = 8, 3  # the pruner ends no trial before the step PATIENCE
RATES = (0.03, 1e-5)  # of a trial that goes on to the end, and of one that is pruned


@pytest.fixture
def optuna():
    optuna = pytest.importorskip("optuna", reason="optuna is an extra")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    yield optuna
    optuna.logging.set_verbosity(before)


@pytest.fixture
def study(optuna):
    """A study of two trials. The second one is worse in every epoch."""
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=PATIENCE)
    study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(0))
    for rate in RATES:
        study.enqueue_trial({"learning_rate_init": rate})
    return study


@pytest.fixture
def parts(data):
    """Rows to train on and rows to validate with."""
    return train_test_split(*data, stratify=data[1], random_state=0)


def learner(**params):
    """The rows keep their order. So epochs of `partial_fit` and as many epochs of `fit` are the same."""
    return network(**{"shuffle": False, "learning_rate": "constant", "max_iter": EPOCHS, **params})


def curve(rate, X, X_val, y, y_val):
    """The scores after 1, 2, ... epochs, each by a fit of its own."""
    fits = [learner(learning_rate_init=rate, max_iter=n).fit(X, y) for n in range(1, EPOCHS + 1)]
    return [-log_loss(y_val, clf.predict_proba(X_val)) for clf in fits]


def assert_second_trial_was_pruned(study, curves, first=1):
    """Both trials have the values of their curves, and the second one ended early. The steps count from `first`."""
    done, pruned = study.trials
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]
    assert len(done.intermediate_values) == EPOCHS
    assert list(pruned.intermediate_values) == list(range(first, PATIENCE + 1))
    for trial, scores in zip(study.trials, curves, strict=True):
        steps, values = zip(*trial.intermediate_values.items(), strict=True)
        assert_allclose(values, scores[steps[0] - first : steps[-1] - first + 1], rtol=1e-12)
    assert_allclose([done.value, pruned.value], [curves[0][-1], curves[1][PATIENCE - first]], rtol=1e-12)
    assert study.best_trial.number == 0


@unconverged
def test_optuna_prunes_a_loop_of_partial_fit(optuna, study, parts):
    X, X_val, y, y_val = parts

    def objective(trial):
        clf = learner(learning_rate_init=trial.suggest_float("learning_rate_init", 1e-6, 0.1, log=True))
        for epoch in range(1, EPOCHS + 1):
            clf.partial_fit(X, y, classes=[0, 1, 2])
            score = -log_loss(y_val, clf.predict_proba(X_val))
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    study.optimize(objective, n_trials=2)
    assert_second_trial_was_pruned(study, [curve(rate, *parts) for rate in RATES])


class Pruning:
    """Reports the score of every epoch to a trial, and ends training where the study asks for it."""

    def __init__(self, trial, score):
        self.trial, self.score, self.pruned = trial, score, False

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "epoch" or fitted_estimator is None:
            return False
        self.value = self.score(fitted_estimator)
        self.trial.report(self.value, context.task_id + 1)
        self.pruned = self.trial.should_prune()
        return self.pruned

    def teardown(self, estimator, context):
        pass


@unconverged
@pytest.mark.skipif(not AT_LEAST_1_9, reason="scikit-learn has callbacks from 1.9 on")
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_optuna_prunes_a_fit_by_a_callback(in_pipeline, optuna, study, parts):
    X, X_val, y, y_val = parts
    n_iter = []

    def objective(trial):
        pruning = Pruning(trial, lambda fitted: -log_loss(y_val, fitted.predict_proba(X_val)))
        clf = learner(learning_rate_init=trial.suggest_float("learning_rate_init", 1e-6, 0.1, log=True))
        clf.set_callbacks(pruning)
        # The rows are scaled already: the first step of the pipeline changes nothing.
        (make_pipeline("passthrough", clf) if in_pipeline else clf).fit(X, y)
        n_iter.append(clf.n_iter_)
        if pruning.pruned:
            raise optuna.TrialPruned
        return pruning.value

    study.optimize(objective, n_trials=2)
    assert n_iter == [EPOCHS, PATIENCE]
    assert_second_trial_was_pruned(study, [curve(rate, *parts) for rate in RATES])


@experimental
def test_optuna_search_cv_scores_like_cross_val_score(optuna, study, data):
    integration = pytest.importorskip("optuna_integration", reason="optuna-integration is an extra")
    X, y = data
    rates = {"learning_rate_init": optuna.distributions.FloatDistribution(1e-6, 0.1, log=True)}
    search = integration.OptunaSearchCV(
        network(), rates, cv=CV, n_trials=4, scoring="neg_log_loss", study=study, random_state=0
    ).fit(X, y)
    tried = [trial.params["learning_rate_init"] for trial in search.trials_]
    assert len(tried) == 4
    assert tuple(tried[:2]) == RATES
    for trial in search.trials_:
        scores = cross_val_score(network(**trial.params), X, y, cv=CV, scoring="neg_log_loss")
        assert_allclose([trial.user_attrs[f"split{k}_test_score"] for k in range(3)], scores, rtol=1e-12)
        assert_allclose(trial.value, scores.mean(), rtol=1e-12)
    assert search.best_score_ == max(trial.value for trial in search.trials_)
    assert_array_equal(search.predict_proba(X), network(**search.best_params_).fit(X, y).predict_proba(X))


@unconverged
@experimental
def test_optuna_search_cv_prunes_by_partial_fit(optuna, study, data):
    integration = pytest.importorskip("optuna_integration", reason="optuna-integration is an extra")
    X, y = data
    rates = {"learning_rate_init": optuna.distributions.FloatDistribution(1e-6, 0.1, log=True)}
    search = integration.OptunaSearchCV(
        learner(), rates, cv=CV, n_trials=2, scoring="neg_log_loss", study=study, enable_pruning=True, max_iter=EPOCHS
    ).fit(X, y)
    folds = [(X[train], X[test], y[train], y[test]) for train, test in CV.split(X, y)]
    curves = [np.mean([curve(rate, *fold) for fold in folds], axis=0) for rate in RATES]
    assert_second_trial_was_pruned(search.study_, curves, first=0)  # its steps count from 0
    assert search.best_params_ == {"learning_rate_init": RATES[0]}
    assert_array_equal(search.predict_proba(X), learner(learning_rate_init=RATES[0]).fit(X, y).predict_proba(X))
