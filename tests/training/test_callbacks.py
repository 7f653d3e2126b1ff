"""scikit-learn's callbacks see every iteration and a fitted classifier after it, and they can end training."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skbp import BackpropClassifier
from skbp._training.solvers import SCIPY_METHODS, SOLVERS
from skbp._training.updates import UPDATES

AT_LEAST_1_9 = parse_version(sklearn.__version__) >= parse_version("1.9")
if AT_LEAST_1_9:
    from sklearn.callback import ProgressBar, ScoringMonitor

with_callbacks = pytest.mark.skipif(not AT_LEAST_1_9, reason="scikit-learn has callbacks from 1.9 on")
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# trust-krylov does not repeat itself bit for bit, so that two runs may differ.
EXACT_SOLVERS = [solver for solver in SOLVERS if solver != "trust-krylov"]


def small(**params):
    common = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
    if params.get("solver", "adam") in UPDATES:
        common |= {"learning_rate_init": 0.03, "batch_size": 20}
    return BackpropClassifier(**{**common, **params})


class Recorder:
    """Keeps its calls. It carries out an action at the end of a given epoch, counted from 1."""

    def __init__(self, epoch=None, action=lambda: None):
        self.epoch, self.action = epoch, action
        self.calls, self.given = [], []

    def _note(self, hook, estimator, context, **given):
        self.calls.append((hook, context.task_name, context.task_id))
        self.given.append({"hook": hook, "estimator": estimator, "context": context, **given})

    def setup(self, estimator, context):
        self._note("setup", estimator, context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self._note("begin", estimator, context, X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator)
        return True  # has a meaning at the end of a task only

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self._note("end", estimator, context, X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator)
        return self.action() if context.task_name == "epoch" and context.task_id + 1 == self.epoch else None

    def teardown(self, estimator, context):
        self._note("teardown", estimator, context)

    def shown(self):
        """The classifiers shown at the end of epochs."""
        ends = [g for g in self.given if g["hook"] == "end" and g["context"].task_name == "epoch"]
        return [g["fitted_estimator"] for g in ends if g["fitted_estimator"] is not None]


class Ends:
    """The simplest callback, which asks for no arguments. It ends training after a given epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return np.bool_(context.task_name == "epoch" and context.task_id + 1 == self.epoch)

    def teardown(self, estimator, context):
        pass


def test_there_is_a_method_for_callbacks_if_scikit_learn_has_callbacks():
    assert hasattr(BackpropClassifier, "set_callbacks") == hasattr(small(), "set_callbacks") == AT_LEAST_1_9


@unconverged
@pytest.mark.parametrize("solver", EXACT_SOLVERS)
def test_training_is_the_same_with_and_without_callbacks(solver, X, y, assert_same_weights):
    # Before scikit-learn 1.9 this compares a fit with itself.
    expected, clf = small(solver=solver).fit(X, y), small(solver=solver)
    recorder = Recorder()
    if AT_LEAST_1_9:
        clf.set_callbacks(recorder)
    clf.fit(X, y)
    assert_same_weights(clf, expected)
    assert clf.loss_curve_ == expected.loss_curve_
    assert set(vars(clf)) - {"_skl_callbacks"} == set(vars(expected))
    assert bool(recorder.calls) == AT_LEAST_1_9


# What callbacks see


def whole_fit(n_epochs, task="fit"):
    epochs = [(hook, "epoch", k) for k in range(n_epochs) for hook in ("begin", "end")]
    return [("setup", task, 0), ("begin", task, 0), *epochs, ("end", task, 0), ("teardown", task, 0)]


@with_callbacks
@unconverged
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_hook_is_called_in_order(solver, early_stopping, X, y):
    recorder = Recorder()
    clf = small(solver=solver, early_stopping=early_stopping)
    assert clf.set_callbacks(recorder) is clf
    assert clf.fit(X, y) is clf
    assert clf.n_iter_ == 3
    assert recorder.calls == whole_fit(3)
    contexts = [given["context"] for given in recorder.given]
    assert all(given["estimator"] is clf for given in recorder.given)
    assert all(context.estimator_name == "BackpropClassifier" for context in contexts)
    assert {(c.task_name, c.max_subtasks, c.sequential_subtasks) for c in contexts if c.parent is None} == {
        ("fit", 3, True)
    }
    assert all(context.parent is contexts[0] for context in contexts if context.task_name == "epoch")


@with_callbacks
@unconverged
def test_every_callback_is_called_in_every_fit(X, y):
    one, two = Recorder(), Recorder()
    clf = small().set_callbacks(one, two)
    clf.fit(X, y)
    assert one.calls == two.calls == whole_fit(3)
    clf.fit(X, y)
    assert one.calls == two.calls == 2 * whole_fit(3)
    clf.set_callbacks().fit(X, y)
    assert len(one.calls) == 2 * len(whole_fit(3))


@with_callbacks
def test_an_unfinished_iteration_has_no_fitted_estimator(X, y):
    # lbfgs begins an iteration more, and finds that it has converged.
    recorder = Recorder()
    clf = small(solver="lbfgs", max_iter=500, alpha=10.0).set_callbacks(recorder).fit(X, y)
    assert clf.n_iter_ < 500
    assert recorder.calls == whole_fit(clf.n_iter_ + 1)
    assert len(recorder.shown()) == clf.n_iter_
    last = recorder.given[-3]
    assert last["X"] is last["y"] is last["fitted_estimator"] is None


@with_callbacks
@unconverged
@pytest.mark.parametrize(("solver", "n_iter"), [("lbfgs", 2), ("cg", 2), ("adam", 4)])
def test_the_number_of_epochs_to_come_is_that_of_the_solver(solver, n_iter, X, y):
    recorder = Recorder()
    clf = small(solver=solver, max_iter=4, solver_options={"maxiter": 2}).set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="solver_options=.* has no effect with solver='adam'")
        clf.fit(X, y)
    assert clf.n_iter_ == n_iter
    assert recorder.given[0]["context"].max_subtasks == n_iter


FORMS = {
    "arrays": lambda X, y: (X, y),
    "lists": lambda X, y: (X.tolist(), y.tolist()),
    "frame": lambda X, y: (
        pd.DataFrame(X, columns=list("abcd"), index=np.arange(60) + 7),
        pd.Series(y, index=np.arange(60) + 7),
    ),
    "sparse": lambda X, y: (sp.csr_array(X), y),
    "names": lambda X, y: (X.astype(np.float32), np.array(["a", "b", "c"])[y]),
    "multilabel": lambda X, y: (X, (X[:, :3] > 0).astype(int)),
    "sparse multilabel": lambda X, y: (X, sp.csr_array((X[:, :3] > 0).astype(int))),
}


@with_callbacks
@unconverged
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_callbacks_see_the_data_as_they_were_given(form, weighted, X, y):
    rows, labels = FORMS[form](X, y)
    w = np.random.RandomState(0).uniform(0.1, 3.0, 60).tolist() if weighted else None
    recorder = Recorder()
    small().set_callbacks(recorder).fit(rows, labels, w)
    given = [given for given in recorder.given if given["hook"] in ("begin", "end")]
    assert len(given) == 8
    for what in given:
        assert what["X"] is rows
        assert what["y"] is labels
        if weighted:
            assert what["metadata"].keys() == {"sample_weight"}
            assert what["metadata"]["sample_weight"] is w
        else:
            assert what["metadata"] is None


def dense(data):
    return data.toarray() if sp.issparse(data) else np.asarray(data)


@with_callbacks
@unconverged
@pytest.mark.parametrize("form", FORMS)
def test_rows_held_out_are_left_out_of_what_callbacks_see(form, X, y):
    rows, labels = FORMS[form](X, y)
    w = np.random.RandomState(0).uniform(0.1, 3.0, 60).tolist()
    held_out = []

    def score(estimator, X, y):
        held_out.append(dense(X))
        return 0.5

    recorder = Recorder()
    small(early_stopping=True, scoring=score).set_callbacks(recorder).fit(rows, labels, w)
    is_held_out = (dense(rows)[:, None] == held_out[0]).all(axis=2).any(axis=1)
    assert is_held_out.sum() == 6
    for what in recorder.given[1:-1]:
        assert type(what["X"]) is type(rows)
        assert type(what["y"]) is type(labels)
        # The order may be any, but is the same for all three.
        indices = [np.flatnonzero((dense(rows) == row).all(axis=1)).item() for row in dense(what["X"])]
        assert sorted(indices) == np.flatnonzero(~is_held_out).tolist()
        assert_array_equal(dense(what["y"]), dense(labels)[indices])
        assert_array_equal(what["metadata"]["sample_weight"], np.array(w)[indices])
        if form == "frame":
            assert what["X"].index.tolist() == what["y"].index.tolist() == (np.array(indices) + 7).tolist()


@with_callbacks
@unconverged
def test_own_validation_data_leave_all_rows_to_callbacks(X, y, linear_rule):
    recorder = Recorder()
    X_val, y_val = linear_rule(n_rows=20, seed=1)
    small(early_stopping=True).set_callbacks(recorder).fit(X, y, X_val=X_val, y_val=y_val)
    assert all(what["X"] is X and what["y"] is y for what in recorder.given[1:-1])


# The classifier that is shown


@with_callbacks
@unconverged
@pytest.mark.parametrize("solver", EXACT_SOLVERS)
def test_the_classifier_shown_is_that_of_a_training_that_ends_there(solver, X, y, linear_rule, assert_same_weights):
    recorder = Recorder()
    X_val, y_val = linear_rule(n_rows=20, seed=1)
    clf = small(solver=solver, max_iter=4).set_callbacks(recorder).fit(X, y, X_val=X_val, y_val=y_val)
    assert [what["fitted_estimator"] for what in recorder.given if what["hook"] == "begin"] == [None] * 5
    shown = recorder.shown()
    assert len(shown) == 4
    names = [name for name in vars(clf) if name.endswith("_") and not name.startswith("_")]
    assert {"loss_curve_", "n_iter_", "t_", "validation_scores_", "best_iter_", "loss_"} < set(names)
    for k, then in enumerate(shown, start=1):
        alone = small(solver=solver, max_iter=k).fit(X, y, X_val=X_val, y_val=y_val)
        assert_same_weights(then, alone)
        assert_array_equal(then.predict_proba(X), alone.predict_proba(X))
        assert_array_equal(then.hidden_features(X), alone.hidden_features(X))
        # The figures of SciPy are made at the end.
        for name in set(names) - {"coefs_", "intercepts_", "classes_", "optimize_result_"}:
            assert getattr(then, name) == getattr(alone, name), name
    assert recorder.given[-2]["hook"] == "end"
    assert_same_weights(recorder.given[-2]["fitted_estimator"], clf)


@with_callbacks
@unconverged
def test_with_early_stopping_the_classifier_shown_has_the_weights_after_the_epoch_and_the_last_one_the_best(
    X, y, linear_rule, assert_same_weights
):
    recorder = Recorder()
    # The learning rate is so high that the last epoch is not the best.
    clf = small(early_stopping=True, max_iter=10, learning_rate_init=0.5).set_callbacks(recorder)
    X_val, y_val = linear_rule(n_rows=40, seed=1)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert [then.score(X_val, y_val) for then in recorder.shown()] == clf.validation_scores_
    assert clf.best_iter_ < clf.n_iter_
    assert_same_weights(recorder.given[-2]["fitted_estimator"], clf)
    assert_same_weights(recorder.shown()[clf.best_iter_ - 1], clf)


# Stopping


@with_callbacks
@pytest.mark.parametrize("callback", [Recorder(2, lambda: True), Ends(2)], ids=["all arguments", "no arguments"])
@pytest.mark.parametrize("solver", EXACT_SOLVERS)
def test_a_callback_ends_training_without_a_warning(solver, callback, X, y, assert_same_weights):
    clf = small(solver=solver, max_iter=50).set_callbacks(callback).fit(X, y)
    assert clf.n_iter_ == len(clf.loss_curve_) == clf.best_iter_ == 2
    with pytest.warns(ConvergenceWarning):
        alone = small(solver=solver, max_iter=2).fit(X, y)
    assert_same_weights(clf, alone)
    assert (clf.loss_, clf.t_) == (alone.loss_, alone.t_)
    if solver in SCIPY_METHODS:
        assert clf.optimize_result_["message"] == "A callback asked to stop."
        assert not clf.optimize_result_["success"]


@with_callbacks
def test_a_callback_ends_training_in_the_last_epoch_too(X, y):
    clf = small(max_iter=3).set_callbacks(Ends(3)).fit(X, y)
    assert clf.n_iter_ == 3


@with_callbacks
@pytest.mark.parametrize("ending", [0, 1])
def test_of_several_callbacks_one_is_enough_to_end_training_and_all_are_told(ending, X, y):
    callbacks = [Recorder(), Recorder()]
    callbacks[ending] = Recorder(2, lambda: True)
    clf = small(max_iter=50).set_callbacks(*callbacks).fit(X, y)
    assert clf.n_iter_ == 2
    assert callbacks[0].calls == callbacks[1].calls == whole_fit(2)


@with_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_training_that_a_callback_ends_keeps_the_best_weights(solver, X, y, linear_rule, assert_same_weights):
    data = dict(zip(("X_val", "y_val"), linear_rule(n_rows=40, seed=1), strict=True))
    recorder = Recorder(12, lambda: True)
    params = {"solver": solver, "early_stopping": True, "max_iter": 50, "n_iter_no_change": 50}
    if solver == "adam":
        params["learning_rate_init"] = 0.5
    clf = small(**params).set_callbacks(recorder).fit(X, y, **data)
    assert clf.n_iter_ == 12
    assert clf.best_iter_ == np.argmax(clf.validation_scores_) + 1 < 12
    assert_same_weights(clf, recorder.shown()[clf.best_iter_ - 1])


# scikit-learn's own


@with_callbacks
@unconverged
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "newton-cg"])
def test_a_scoring_monitors_log_equals_the_validation_scores_on_the_same_rows(
    solver, scoring, early_stopping, weighted, X, y
):
    w = np.random.RandomState(0).uniform(0.1, 3.0, 60) if weighted else None
    monitor = ScoringMonitor(scoring=scoring)
    # The accuracy has two names: None is the other one.
    params = {"scoring": {"accuracy": None, "neg_log_loss": "loss"}[scoring]}
    clf = small(solver=solver, early_stopping=early_stopping, max_iter=6, **params).set_callbacks(monitor)
    clf.fit(X, y, w, X_val=X, y_val=y, sample_weight_val=w)
    log = monitor.get_logs().data
    scores = [row[scoring] for row in log if row["task_name"] == "epoch" and scoring in row]
    assert len(scores) >= 4
    assert_allclose(scores, clf.validation_scores_, rtol=1e-10)
    assert np.ptp(scores) > 0.0
    # The whole fit has an entry too, for its result.
    final = [row[scoring] for row in log if row["task_name"] == "fit"]
    expected = {
        "accuracy": lambda: accuracy_score(y, clf.predict(X), sample_weight=w),
        "neg_log_loss": lambda: -log_loss(y, clf.predict_proba(X), sample_weight=w),
    }
    assert_allclose(final, [expected[scoring]()], rtol=1e-10)


@with_callbacks
@unconverged
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_scoring_monitor_logs_every_epoch_of_a_search_over_a_pipeline(n_jobs, X, y):
    monitor = ScoringMonitor(scoring="neg_log_loss")
    cv = StratifiedKFold(2)
    pipeline = make_pipeline(StandardScaler(), small().set_callbacks(monitor))
    grid = {"backpropclassifier__activation": ["tanh", "gelu"], "backpropclassifier__dropout": [0.0, 0.2]}
    search = GridSearchCV(pipeline, grid, cv=cv, n_jobs=n_jobs).fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    logged = {}
    for row in rows:
        logged.setdefault(row["parent_task_id_path"], []).append(row["neg_log_loss"])
    trainings = [
        (params, *fold)
        for params in search.cv_results_["params"]
        for fold in [(X[train], y[train]) for train, _ in cv.split(X, y)]
    ]
    trainings.append((search.best_params_, X, y))  # the refit
    assert len(logged) == len(trainings) == 9
    expected = []
    for params, rows, labels in trainings:
        by_hand = Recorder()
        Z = StandardScaler().fit_transform(rows)
        clf = clone(pipeline).set_params(**params)[-1]
        clf.set_callbacks(by_hand).fit(Z, labels)
        expected.append([-log_loss(labels, then.predict_proba(Z)) for then in by_hand.shown()])
    assert_allclose(sorted(logged.values()), sorted(expected), rtol=1e-10)


@with_callbacks
@unconverged
def test_a_users_callback_is_called_in_every_fit_of_a_search(X, y):
    recorder = Recorder()
    pipeline = make_pipeline(StandardScaler(), small().set_callbacks(recorder))
    GridSearchCV(pipeline, {"backpropclassifier__max_iter": [1, 2]}, cv=3, refit=False).fit(X, y)
    expected = [hook for n_epochs in (1, 2) for _ in range(3) for hook, *_ in whole_fit(n_epochs)]
    assert [hook for hook, *_ in recorder.calls] == expected
    assert len({id(what["estimator"]) for what in recorder.given}) == 6


@with_callbacks
@unconverged
def test_a_callback_that_ends_training_does_so_in_every_fit_of_a_search(X, y):
    pipeline = make_pipeline(StandardScaler(), small(max_iter=20).set_callbacks(Ends(2)))
    search = GridSearchCV(pipeline, {"backpropclassifier__activation": ["tanh", "relu"]}, cv=3).fit(X, y)
    with_two = make_pipeline(StandardScaler(), small(max_iter=2))
    expected = GridSearchCV(with_two, {"backpropclassifier__activation": ["tanh", "relu"]}, cv=3).fit(X, y)
    assert search.best_estimator_[-1].n_iter_ == 2
    assert_array_equal(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])


@with_callbacks
@unconverged
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_progress_bar_runs_to_its_end(solver, X, y, capsys):
    small(solver=solver).set_callbacks(ProgressBar()).fit(X, y)
    out = capsys.readouterr().out
    assert "BackpropClassifier - fit" in out
    assert "100%" in out


@with_callbacks
@unconverged
def test_a_progress_bar_of_a_search_has_a_line_for_the_network_in_the_pipeline(X, y, capsys):
    pipeline = make_pipeline(StandardScaler(), small(max_iter=2))
    search = GridSearchCV(pipeline, {"backpropclassifier__alpha": [0.1, 1.0]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    lines = [line for line in capsys.readouterr().out.splitlines() if "BackpropClassifier - fit" in line]
    assert len(lines) == 5  # two candidates on two folds, and the refit
    assert all("Pipeline - fit-final-estimator" in line and "100%" in line for line in lines)


# Copies


@with_callbacks
@unconverged
def test_callbacks_survive_a_clone_and_a_pickle(X, y):
    recorder = Recorder()
    clf = small().set_callbacks(recorder)
    clone(clf).fit(X, y)
    assert recorder.calls == whole_fit(3)
    assert not hasattr(clf, "coefs_")
    monitor = ScoringMonitor(scoring="accuracy")
    again = pickle.loads(pickle.dumps(small().set_callbacks(Ends(2), monitor).fit(X, y)))
    assert again.set_params(random_state=1).fit(X, y).n_iter_ == 2
    assert_array_equal(again.predict(X), clone(again).fit(X, y).predict(X))


# Errors, interrupts, divergence


class OwnError(Exception):
    pass


def fail():
    raise OwnError("not today")


class FailsIn(Recorder):
    """Raises in one of its hooks."""

    def __init__(self, hook, task):
        super().__init__()
        self.where = hook, task

    def _note(self, hook, estimator, context, **given):
        super()._note(hook, estimator, context, **given)
        if (hook, context.task_name) == self.where:
            fail()


@with_callbacks
@unconverged
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_an_error_in_a_callback_leaves_the_classifier_as_it_was_and_ends_all_callbacks(
    solver, trained, X, y, everything
):
    clf = small(solver=solver, warm_start=True)
    if trained:
        clf.fit(X, y)
    before = everything(clf)
    failing, other = Recorder(2, fail), Recorder()
    with pytest.raises(OwnError, match="not today"):
        clf.set_callbacks(other, failing).fit(X, y)
    assert everything(clf) == before
    for recorder in (failing, other):
        assert recorder.calls == [*whole_fit(3)[:6], ("teardown", "fit", 0)]
    assert hasattr(clf, "coefs_") == trained
    # It can still be trained.
    expected = small(solver=solver, warm_start=True)
    expected = expected.fit(X, y) if trained else expected
    clf.set_callbacks().fit(X, y)
    tolerance = 1e-3 if solver == "trust-krylov" else 0.0
    assert_allclose(clf.predict_proba(X), expected.fit(X, y).predict_proba(X), rtol=0.0, atol=tolerance)


@with_callbacks
@pytest.mark.parametrize(
    ("hook", "task"),
    [("setup", "fit"), ("begin", "fit"), ("begin", "epoch"), ("end", "epoch"), ("end", "fit"), ("teardown", "fit")],
)
@unconverged
def test_an_error_in_any_hook_leaves_nothing_behind(hook, task, X, y, assert_same_weights):
    clf = small()
    failing, other = FailsIn(hook, task), Recorder()
    with pytest.raises(OwnError, match="not today"):
        clf.set_callbacks(other, failing).fit(X, y)
    assert [call[0] for call in other.calls].count("teardown") == 1
    assert failing.calls[-1][0] == "teardown"
    # The last hook is called after everything is published.
    assert hasattr(clf, "coefs_") == (hook == "teardown")
    assert not any("callback" in name for name in vars(clf) if name != "_skl_callbacks")
    assert_same_weights(clf.set_callbacks().fit(X, y), small().fit(X, y))


@with_callbacks
def test_data_that_are_refused_never_reach_a_callback(X, y):
    recorder = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        small().set_callbacks(recorder).fit(np.full_like(X, np.nan), y)
    assert recorder.calls in ([], [("setup", "fit", 0), ("teardown", "fit", 0)])


def interrupt():
    raise KeyboardInterrupt


@with_callbacks
@pytest.mark.parametrize("solver", EXACT_SOLVERS)
def test_an_interrupt_in_a_callback_keeps_the_weights_and_ends_all_callbacks(solver, X, y, assert_same_weights):
    recorder = Recorder(2, interrupt)
    clf = small(solver=solver, max_iter=50).set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning, match="interrupted by user after 2 iterations"):
        clf.fit(X, y)
    assert recorder.calls == whole_fit(2)
    assert clf.n_iter_ == 2
    assert_same_weights(clf, recorder.shown()[-1])


@with_callbacks
def test_an_epoch_that_diverges_ends_without_a_fitted_estimator(X, y, assert_same_weights):
    recorder = Recorder()
    clf = small(solver="sgd", learning_rate=lambda p: 1.0 if p < 0.5 else 1e300, max_iter=6)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        clf.set_callbacks(recorder).fit(X, y)
    assert clf.n_iter_ == len(recorder.shown()) == 3
    assert recorder.calls == whole_fit(4)
    assert_same_weights(clf, recorder.shown()[-1])


# partial_fit


@with_callbacks
def test_each_call_of_partial_fit_is_one_epoch(X, y, assert_same_weights):
    recorder = Recorder()
    clf, alone = small().set_callbacks(recorder), small()
    w = np.random.RandomState(0).uniform(0.1, 3.0, 60)
    for k in range(1, 4):
        recorder.calls.clear()
        recorder.given.clear()
        clf.partial_fit(X, y, w, classes=[0, 1, 2])
        alone.partial_fit(X, y, w, classes=[0, 1, 2])
        assert recorder.calls == whole_fit(1, "partial_fit")
        assert recorder.given[0]["context"].max_subtasks == 1
        assert all(what["X"] is X and what["metadata"]["sample_weight"] is w for what in recorder.given[1:-1])
        assert_same_weights(clf, alone)
        (shown,) = recorder.shown()
        assert_same_weights(shown, alone)
        assert shown.loss_curve_ == alone.loss_curve_
        assert len(shown.loss_curve_) == k


@with_callbacks
def test_a_callback_that_would_end_training_leaves_partial_fit_as_it_is(X, y, assert_same_weights):
    clf, alone = small().set_callbacks(Ends(1)), small()
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1, 2])
        alone.partial_fit(X, y, classes=[0, 1, 2])
    assert_same_weights(clf, alone)
    assert clf.t_ == 180


@with_callbacks
def test_an_error_in_partial_fit_leaves_the_classifier_as_it_was(X, y, assert_same_weights, everything):
    clf = small().partial_fit(X, y, classes=[0, 1, 2])
    before = everything(clf)
    with pytest.raises(OwnError, match="not today"):
        clf.set_callbacks(Recorder(1, fail)).partial_fit(X, y)
    assert everything(clf) == before
    alone = small().partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    assert_same_weights(clf.set_callbacks().partial_fit(X, y), alone)
