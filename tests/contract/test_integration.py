"""BackpropClassifier in pipelines, searches and ensembles of scikit-learn, and its copies and files."""

import numpy as np
import pytest
import sklearn
import skops.io
from copies import ROUTES, skops_name
from numpy.testing import assert_allclose, assert_array_equal
from registries import SCIPY_SOLVERS, SOLVERS, UPDATES
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skbp import BackpropClassifier

AT_LEAST_1_8 = parse_version(sklearn.__version__) >= parse_version("1.8")
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def scaled(loader):
    X, y = loader(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def lbfgs(**params):
    """A classifier that converges on all data sets here within a few dozen iterations."""
    common = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "alpha": 1.0, "max_iter": 1000, "random_state": 0}
    return BackpropClassifier(**{**common, **params})


def few_epochs(**params):
    common = {"hidden_layer_sizes": (8,), "max_iter": 15, "random_state": 0}
    # SciPy's methods have no use for a learning rate and would give a warning.
    rate = {} if params.get("solver") in SCIPY_SOLVERS else {"learning_rate_init": 0.05}
    return BackpropClassifier(**{**common, **rate, **params})


# Pipelines and searches


@pytest.mark.parametrize(("loader", "level"), [(load_iris, 0.94), (load_breast_cancer, 0.96), (load_wine, 0.96)])
def test_cross_validated_pipeline_is_as_good_as_logistic_regression(loader, level):
    X, y = loader(return_X_y=True)
    ours = cross_validate(make_pipeline(StandardScaler(), lbfgs()), X, y, scoring=["accuracy", "neg_log_loss"])
    linear = cross_validate(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), X, y, scoring=["accuracy", "neg_log_loss"]
    )
    assert ours["test_accuracy"].mean() > level
    assert ours["test_accuracy"].mean() > linear["test_accuracy"].mean() - 0.02
    assert ours["test_neg_log_loss"].mean() > linear["test_neg_log_loss"].mean() - 0.05


def test_pipeline_passes_the_scaled_data():
    X, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), lbfgs()).fit(X, y)
    Z = StandardScaler().fit_transform(X)
    alone = lbfgs().fit(Z, y)
    assert_array_equal(pipeline.predict_proba(X), alone.predict_proba(Z))
    assert_array_equal(pipeline.decision_function(X), alone.decision_function(Z))
    assert pipeline.score(X, y) == alone.score(Z, y) > 0.98


def test_pipeline_passes_feature_names_of_frames():
    X, y = load_iris(return_X_y=True, as_frame=True)
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, lbfgs()).fit(X, y)
    assert pipeline[-1].feature_names_in_.tolist() == X.columns.tolist()
    values = X.to_numpy()
    plain = make_pipeline(StandardScaler(), lbfgs()).fit(values, y)
    assert_array_equal(pipeline.predict_proba(X), plain.predict_proba(values))


def test_grid_search_in_two_processes_beside_logistic_regression():
    X, y = load_wine(return_X_y=True)
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), lbfgs())
    grid = {"backpropclassifier__hidden_layer_sizes": [(), (4,)], "backpropclassifier__alpha": [0.1, 10.0]}
    search = GridSearchCV(pipeline, grid, cv=cv, n_jobs=2).fit(X, y)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    linear = GridSearchCV(linear, {"logisticregression__C": [10.0, 0.1]}, cv=cv).fit(X, y)
    assert search.best_score_ >= linear.best_score_ > 0.96
    assert search.score(X, y) > 0.98

    results = search.cv_results_
    scores = {tuple(c.values()): s for c, s in zip(results["params"], results["mean_test_score"], strict=True)}
    # Without a hidden layer the model is logistic regression with C = 1 / alpha.
    assert_allclose([scores[0.1, ()], scores[10.0, ()]], linear.cv_results_["mean_test_score"], rtol=1e-12)
    # A candidate fitted in another process equals one fitted in this process.
    candidate = make_pipeline(StandardScaler(), lbfgs(hidden_layer_sizes=(4,), alpha=10.0))
    here = cross_val_score(candidate, X, y, cv=cv)
    assert_allclose(scores[10.0, (4,)], here.mean(), rtol=1e-12)


def test_cross_validate_is_the_same_in_two_processes():
    X, y = scaled(load_iris)
    clf = lbfgs()
    one, two = (cross_validate(clf, X, y, cv=3, n_jobs=n, return_train_score=True) for n in (1, 2))
    assert_array_equal(one["test_score"], two["test_score"])
    assert_array_equal(one["train_score"], two["train_score"])
    assert one["test_score"].mean() > 0.94


# Meta-estimators


METHODS = ["sigmoid", "isotonic", *(["temperature"] if AT_LEAST_1_8 else [])]


@pytest.mark.parametrize("loader", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("method", METHODS)
def test_calibration_of_an_overconfident_network_lowers_its_log_loss(method, loader):
    X, y = scaled(loader)
    rng = np.random.RandomState(0)
    noisy = np.where(rng.uniform(size=len(y)) < 0.2, rng.permutation(y), y)  # labels with noise
    X_train, X_rest, y_train, y_rest = train_test_split(X, noisy, train_size=0.4, stratify=noisy, random_state=0)
    X_cal, X_test, y_cal, y_test = train_test_split(X_rest, y_rest, train_size=0.5, stratify=y_rest, random_state=0)
    network = lbfgs(alpha=1e-3, hidden_layer_sizes=(20,)).fit(X_train, y_train)
    calibrated = CalibratedClassifierCV(FrozenEstimator(network), method=method).fit(X_cal, y_cal)
    proba = calibrated.predict_proba(X_test)
    assert log_loss(y_test, proba) < 0.8 * log_loss(y_test, network.predict_proba(X_test))
    assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
    if method == "temperature":  # a positive factor on the logits does not change the class
        assert_array_equal(calibrated.predict(X_test), network.predict(X_test))


@pytest.mark.parametrize("method", METHODS)
def test_calibration_trains_the_network_on_the_inner_folds(method):
    X, y = scaled(load_iris)
    calibrated = CalibratedClassifierCV(lbfgs(), method=method, cv=3).fit(X, y)
    assert calibrated.score(X, y) > 0.95
    first = next(StratifiedKFold(3).split(X, y))[0]
    inner = calibrated.calibrated_classifiers_[0].estimator
    assert_array_equal(inner.predict_proba(X), lbfgs().fit(X[first], y[first]).predict_proba(X))


@unconverged
def test_bagging_trains_each_member_on_its_own_rows():
    X, y = scaled(load_wine)
    bagging = BaggingClassifier(few_epochs(), n_estimators=4, random_state=0).fit(X, y)
    assert bagging.score(X, y) > 0.97
    mean = np.mean([member.predict_proba(X) for member in bagging.estimators_], axis=0)
    assert_allclose(bagging.predict_proba(X), mean, rtol=1e-12)
    assert len({member.loss_ for member in bagging.estimators_}) == 4


@unconverged
def test_adaboost_passes_its_weights():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X[:, :4])
    # With four features the classes overlap. No member is perfect, so boosting continues.
    member = few_epochs(hidden_layer_sizes=(3,), max_iter=30)
    boosted = AdaBoostClassifier(member, n_estimators=3, random_state=0).fit(X, y)
    assert len(boosted.estimators_) == 3
    assert boosted.score(X, y) > 0.88
    first, second = boosted.estimators_[:2]
    wrong = first.predict(X) != y
    error = wrong.mean()
    weight = np.where(wrong, (1 - error) / error, 1.0)
    again = clone(second).fit(X, y, sample_weight=weight / weight.sum())
    assert_allclose(second.predict_proba(X), again.predict_proba(X), rtol=1e-6)


def test_stacking_learns_from_the_probabilities_of_the_folds():
    X, y = scaled(load_wine)
    members = [("network", lbfgs()), ("linear", LogisticRegression())]
    stack = StackingClassifier(members, LogisticRegression(max_iter=1000), cv=3).fit(X, y)
    assert stack.score(X, y) > 0.98
    columns = stack.transform(X)
    assert_array_equal(columns[:, :3], lbfgs().fit(X, y).predict_proba(X))


def test_soft_voting_averages_the_probabilities():
    X, y = scaled(load_wine)
    vote = VotingClassifier([("network", lbfgs()), ("linear", LogisticRegression())], voting="soft").fit(X, y)
    mean = (lbfgs().fit(X, y).predict_proba(X) + LogisticRegression().fit(X, y).predict_proba(X)) / 2
    assert_allclose(vote.predict_proba(X), mean, rtol=1e-12)
    assert vote.score(X, y) > 0.98


def test_one_vs_rest_trains_one_network_for_each_class():
    X, y = scaled(load_iris)
    rest = OneVsRestClassifier(lbfgs()).fit(X, y)
    assert rest.score(X, y) > 0.96
    logits = np.column_stack([lbfgs().fit(X, (y == k).astype(int)).decision_function(X) for k in range(3)])
    assert_allclose(rest.decision_function(X), logits, rtol=1e-12)


def test_multi_output_accepts_targets_that_the_classifier_refuses():
    X, y = scaled(load_iris)
    targets = np.column_stack([y, (X[:, 0] > 0).astype(int) + 5])
    clf = MultiOutputClassifier(lbfgs()).fit(X, targets)
    assert_array_equal(clf.predict(X)[:, 0], lbfgs().fit(X, targets[:, 0]).predict(X))
    assert_array_equal(clf.predict(X)[:, 1], lbfgs().fit(X, targets[:, 1]).predict(X))
    assert (clf.predict(X) == targets).mean() > 0.97


# Metadata routing


@unconverged
def test_sample_weight_is_routed_through_pipeline_and_cross_validation():
    X, y = load_breast_cancer(return_X_y=True)
    w = np.random.RandomState(0).uniform(0.1, 3.0, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        clf = few_epochs().set_fit_request(sample_weight=True)
        accuracy = get_scorer("accuracy").set_score_request(sample_weight=True)
        pipeline = make_pipeline(scaler, clf)
        whole = clone(pipeline).fit(X, y, sample_weight=w)
        cv = StratifiedKFold(3)
        result = cross_validate(
            pipeline, X, y, scoring=accuracy, cv=cv, params={"sample_weight": w}, return_estimator=True
        )
    Z = StandardScaler().fit_transform(X)
    assert_array_equal(whole.predict_proba(X), few_epochs().fit(Z, y, w).predict_proba(Z))
    assert not np.array_equal(whole.predict_proba(X), few_epochs().fit(Z, y).predict_proba(Z))
    for (train, test), estimator, score in zip(cv.split(X, y), result["estimator"], result["test_score"], strict=True):
        scaler = StandardScaler().fit(X[train])
        alone = few_epochs().fit(scaler.transform(X[train]), y[train], w[train])
        assert_array_equal(estimator.predict_proba(X), alone.predict_proba(scaler.transform(X)))
        assert_allclose(score, alone.score(scaler.transform(X[test]), y[test], w[test]), rtol=1e-12)


def test_sample_weight_that_is_not_requested_is_an_error():
    X, y = scaled(load_iris)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), lbfgs())
        with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set as requested"):
            pipeline.fit(X, y, sample_weight=np.ones(len(y)))


@unconverged
def test_sample_weight_is_routed_to_partial_fit():
    X, y = scaled(load_iris)
    w = np.random.RandomState(0).uniform(0.1, 3.0, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        clf = few_epochs().set_partial_fit_request(sample_weight=True, classes=True)
        request = clf.get_metadata_routing().partial_fit.requests
        assert request == {"sample_weight": True, "classes": True}
        rest = OneVsRestClassifier(few_epochs().set_partial_fit_request(sample_weight=True))
        rest.partial_fit(X, y, classes=[0, 1, 2], sample_weight=w)
    alone = few_epochs().partial_fit(X, (y == 1).astype(int), w, classes=[0, 1])
    assert_array_equal(rest.decision_function(X)[:, 1], alone.decision_function(X))


# Copies and files


def every_kind_of_fitted_classifier():
    X, y = scaled(load_iris)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    labels = (X > 0).astype(int)[:, :3]
    for solver in SOLVERS:
        yield solver, lambda solver=solver: few_epochs(solver=solver).fit(X, y)
        yield f"{solver} early stopping", lambda s=solver: few_epochs(solver=s, early_stopping=True).fit(X, y)
    for solver in UPDATES:
        yield (
            f"{solver} partial_fit",
            lambda s=solver: (
                few_epochs(solver=s, learning_rate="adaptive", class_weight="balanced")
                .partial_fit(X, y, classes=[0, 1, 2])
                .partial_fit(X, y)
            ),
        )
    yield "strings", lambda: few_epochs().fit(X, names)
    yield "objects", lambda: few_epochs().fit(X, names.astype(object))
    yield "multilabel", lambda: few_epochs().fit(X, labels)
    yield "no seed", lambda: few_epochs(random_state=None).fit(X, y)
    yield "no seed, partial_fit", lambda: few_epochs(random_state=None).partial_fit(X, y, classes=[0, 1, 2])
    yield "generator", lambda: few_epochs(random_state=np.random.RandomState(3)).fit(X, y)
    yield "float32", lambda: few_epochs(dtype="float32").fit(X, y)
    yield "class weights", lambda: few_epochs(class_weight={0: 2.0, 1: 1.0}).fit(X, y)
    for solver in SOLVERS:
        yield (
            f"{solver} warm start",
            lambda s=solver: few_epochs(solver=s, warm_start=True, early_stopping=True).fit(X, y).fit(X, y),
        )
    yield (
        "from weights",
        lambda: BackpropClassifier.from_weights([np.ones((4, 3))], [np.arange(3.0)], classes=["a", "b", "c"]),
    )


FITTED = dict(every_kind_of_fitted_classifier())


# State that only further training needs. A copy has it only if training is meant to continue.
FOR_TRAINING = {"_random_state", "_split_state", "_training_state"}


def continues(kind):
    return "warm start" in kind or "partial_fit" in kind


@unconverged
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", FITTED)
def test_a_copy_predicts_like_the_original(kind, route):
    X, _ = scaled(load_iris)
    clf = FITTED[kind]()
    again = ROUTES[route](clf)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected, got = getattr(clf, method)(X), getattr(again, method)(X)
        assert got.dtype == expected.dtype
        assert_array_equal(got, expected)
    lacking = set(vars(clf)) - set(vars(again))
    assert set(vars(again)) <= set(vars(clf))
    assert lacking <= (set() if continues(kind) else FOR_TRAINING)
    for name in ("loss_curve_", "learning_rate_curve_", "validation_scores_", "validation_loss_curve_", "best_iter_"):
        assert getattr(again, name) == getattr(clf, name)
    assert not any(np.shares_memory(a, b) for a, b in zip(again.coefs_, clf.coefs_, strict=True))


def target_of(clf, kind, X, y):
    return (X > 0).astype(int)[:, :3] if kind == "multilabel" else clf.classes_[y]


@unconverged
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", [kind for kind in FITTED if continues(kind) and "no seed" not in kind])
def test_a_copy_made_during_training_continues_like_the_original(kind, route):
    X, y = scaled(load_iris)
    clf = FITTED[kind]()
    again = ROUTES[route](clf)
    target = target_of(clf, kind, X, y)
    method = "fit" if "warm start" in kind else "partial_fit"
    before = clf.coefs_[0]
    for _ in range(2):
        getattr(clf, method)(X, target)
        getattr(again, method)(X, target)
        # trust-krylov gives the same numbers only up to rounding.
        tolerance = 1e-6 if clf.solver == "trust-krylov" else 0.0
        assert_allclose(again.coefs_[0], clf.coefs_[0], rtol=0.0, atol=tolerance)
        assert_allclose(again.loss_curve_, clf.loss_curve_, rtol=0.0, atol=tolerance)
        assert again.validation_scores_ == clf.validation_scores_
    assert len(clf.loss_curve_) > clf.n_iter_
    if method == "partial_fit":
        assert not np.array_equal(clf.coefs_[0], before)


@unconverged
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["adam", "sgd", "adam early stopping", "strings", "multilabel", "float32"])
def test_a_copy_made_after_training_starts_again_from_its_weights(kind, route):
    X, y = scaled(load_iris)
    clf = FITTED[kind]()
    again = ROUTES[route](clf)
    anew = BackpropClassifier.from_weights(
        clf.coefs_, clf.intercepts_, classes=clf.classes_, multilabel=kind == "multilabel"
    ).set_params(**clf.get_params())
    target = target_of(clf, kind, X, y)
    for _ in range(2):
        again.partial_fit(X, target)
        anew.partial_fit(X, target)
        assert_array_equal(again.coefs_[0], anew.coefs_[0])
        assert_array_equal(again.intercepts_[-1], anew.intercepts_[-1])
    assert not np.array_equal(again.coefs_[0], clf.partial_fit(X, target).partial_fit(X, target).coefs_[0])


@unconverged
def test_skops_saves_a_whole_pipeline_to_a_file(tmp_path):
    X, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), few_epochs(early_stopping=True)).fit(X, y)
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "pipeline.skops")
    assert untrusted == [skops_name(BackpropClassifier)]
    again = skops.io.load(tmp_path / "pipeline.skops", trusted=untrusted)
    assert_array_equal(again.predict_proba(X), pipeline.predict_proba(X))


@pytest.mark.parametrize("kind", FITTED)
@unconverged
def test_clone_has_the_parameters_and_nothing_fitted(kind):
    clf = FITTED[kind]()
    fresh = clone(clf)
    parameters, expected = fresh.get_params(), clf.get_params()
    for name in ("random_state", "class_weight"):  # a clone copies these objects
        assert repr(parameters.pop(name))[:20] == repr(expected.pop(name))[:20]
    assert parameters == expected
    assert set(vars(fresh)) == set(clf.get_params())
