"""An ensemble survives as JSON with all bits. Hostile content is refused, or it is the ensemble that it says."""

import copy
import json
import random
import warnings

import numpy as np
import pandas as pd
import pytest
from mutilated import changed, mutilated
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline

from skbp import BackpropClassifierCV
from skbp._estimators.plain_data import written_array

pytestmark = pytest.mark.filterwarnings(
    "ignore::skbp.NothingLearnedWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::skbp.UnusedParameterWarning",
    "ignore:Column .* of X has .* categories, and none has:UserWarning",
    "ignore:X has column .* without a value in any row:UserWarning",
)

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 3))
Y = np.array(["a", "bb", "c"])[np.arange(N) % 3]
TABLE = pd.DataFrame(
    {
        "number": X[:, 0],
        "town": RNG.choice(["north", "south", None, "east"], N),
        "empty": [np.nan] * N,
        "grade": pd.Categorical(RNG.choice([1, 2, 7], N)),
        "key": [f"k{i}" for i in range(N)],
        "flag": X[:, 1] > 0.0,
    }
)
LEFT_OUT = {"oof_indices_", "oof_decision_function_", "oof_proba_"}


def small(**params):
    return BackpropClassifierCV(**{"hidden_layer_sizes": 3, "max_iter": 2, "cv": 2, "random_state": 0, **params})


def through_json(clf):
    return BackpropClassifierCV.from_dict(json.loads(json.dumps(clf.to_dict(), allow_nan=False)))


def assert_same(one, other, *tables):
    for table in tables:
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function", "predict_proba_members"):
            expected, got = getattr(other, method)(table), getattr(one, method)(table)
            assert got.dtype == expected.dtype
            assert_array_equal(got, expected)
    assert one.to_dict() == other.to_dict()
    assert repr(one.get_params()) == repr(other.get_params())
    public = [name for name in vars(other) if name.endswith("_") and not name.startswith("_")]
    for name in set(public) - {"preprocessor_", "views_", "members_"}:
        if name in LEFT_OUT:
            assert getattr(one, name) is None
        else:
            assert type(getattr(one, name)) is type(getattr(other, name)), name
            np.testing.assert_equal(getattr(one, name), getattr(other, name))
    for member, original in zip(one.members_, other.members_, strict=True):
        for name in [name for name in vars(original) if not name.startswith("_")]:
            np.testing.assert_equal(getattr(member, name), getattr(original, name))


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize(
    "params",
    [{}, {"quantile_bins": 4}, {"scale": False, "n_repeats": 1}, {"solver": "lbfgs"}, {"out_activation": "logistic"}],
    ids=str,
)
def test_numbers(params, dtype):
    clf = small(dtype=dtype, **params).fit(X, Y)
    back = through_json(clf)
    assert_same(back, clf, X, X.astype(np.float32), np.where(X > 1.0, np.nan, X))
    views = [isinstance(view, Pipeline) for view in clf.views_]
    assert [isinstance(view, Pipeline) for view in back.views_] == views
    for view, expected in zip(back.views_, clf.views_, strict=True):
        assert_array_equal(view.transform(X), expected.transform(X))


@pytest.mark.parametrize(
    "columns", [[*TABLE], ["town", "grade"], ["number", "town"], ["number", "flag"], ["key", "town"]]
)
@pytest.mark.parametrize("container", [pd.DataFrame, np.asarray])
def test_tables(columns, container):
    table = TABLE[columns]
    given = table if container is pd.DataFrame else table.to_numpy(dtype=object, na_value=None)
    clf = small().fit(given, Y)
    back = through_json(clf)
    new = given.copy()
    new[: N // 2] = new[N // 2 :]
    if "town" in columns:
        (new.iloc if container is pd.DataFrame else new)[:5, columns.index("town")] = "unknown"
    assert_same(back, clf, given, new)
    assert_array_equal(back.preprocessor_.get_feature_names_out(), clf.preprocessor_.get_feature_names_out())
    for member, original in zip(back.members_, clf.members_, strict=True):
        assert_array_equal(getattr(member, "feature_names_in_", []), getattr(original, "feature_names_in_", []))


def test_sparse_rows_and_labels():
    labels = csr_array((X > 0.0).astype(int))
    clf = small().fit(csr_array(X), labels)
    back = through_json(clf)
    assert_array_equal(back.predict(csr_array(X)).toarray(), clf.predict(csr_array(X)).toarray())
    assert_array_equal(back.predict_proba(csr_array(X)), clf.predict_proba(csr_array(X)))


def test_after_a_second_trip():
    clf = small().fit(X, Y)
    again = through_json(through_json(clf))
    assert_same(again, clf, X)
    assert (again.oof_log_loss_, again.oof_score_) == (clf.oof_log_loss_, clf.oof_score_)


@pytest.mark.filterwarnings("ignore:.*no folds are made")
def test_without_folds():
    clf = small().fit(X[:3], Y[:3])
    assert clf.oof_log_loss_ is None
    assert_same(through_json(clf), clf, X)


def test_it_can_be_fitted_again_and_its_members_trained_further():
    clf = small(class_weight="balanced").fit(X, Y)
    back = through_json(clf)
    member = back.members_[0]
    rows = back.views_[0].transform(X)
    before = member.predict_proba(rows)
    member.partial_fit(rows, Y)
    assert not np.array_equal(member.predict_proba(rows), before)
    assert_array_equal(back.fit(X, Y).predict_proba(X), clf.predict_proba(X))


def test_the_columns_and_labels_are_checked_as_before():
    back = through_json(small().fit(TABLE, Y))
    for table, message in [
        (TABLE.drop(columns="town"), "Feature names seen at fit time, yet now missing"),
        (TABLE.assign(town=1.0), "Column 'town' of X holds numbers, but held text in fit"),
        (TABLE.assign(number="x"), "'number'"),
    ]:
        with pytest.raises(ValueError, match=message):
            back.predict(table)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cv": KFold(2)}, r"the parameter cv, which is of type KFold: .* by set_params first"),
        ({"random_state": np.random.RandomState(0)}, "the parameter random_state"),
        ({"cv": iter([1])}, "the parameter cv, which is of type list_iterator"),
    ],
)
def test_parameters_without_a_plain_form_are_named(params, message):
    clf = small().fit(X, Y).set_params(**params)
    with pytest.raises(TypeError, match=f"to_dict cannot write {message}"):
        clf.to_dict()
    with pytest.raises(NotFittedError):
        small().to_dict()


# Hostile content


@pytest.fixture(scope="module")
def content():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            small(hidden_layer_sizes=2, quantile_bins=3).fit(TABLE[["number", "town", "grade"]][:40], Y[:40]).to_dict()
        )


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["members"], [], "content.members must first have members that see no bins"),
        (["members", 0, "sees_bins"], True, "content.members must first have members that see no bins"),
        (["bins"], None, "content.members must first have members that see no bins"),
        (["members", 0, "weight"], 0.9, "The sum of the weights of content.members must be 1; got 1."),
        (["members", 0, "weight"], -0.1, r"content.members\[0\].weight must be at least 0"),
        (["members", 0, "temperature"], 0.0, r"content.members\[0\].temperature must be above 0"),
        (["members", 0, "temperature"], {"float": "inf"}, r"content.members\[0\].temperature must be a finite number"),
        (["members", 0, "more"], 1, r"content.members\[0\] must have the keys"),
        (["members", 1], 5, r"content.members\[1\] must be a dict with the keys"),
        (["members", 1, "parameters", "solver"], "x", "The 'solver' parameter of BackpropClassifier must be"),
        (["members", 1, "parameters", "activation"], ["tanh"] * 2, "activation has 2 entries"),
        (["members", 0, "coefs", 0], written_array(np.ones((3, 2), "float32")), r"coefs\[0\].shape must be \[8, ...\]"),
        (["target", "classes", "values"], ["a", "b"], r"content.members\[0\] is no network that fits content.target"),
        (
            ["feature_importances"],
            written_array(np.ones(0)),
            "content.feature_importances must be a number of at least 0",
        ),
        (
            ["feature_importances"],
            written_array(-np.ones(3)),
            "content.feature_importances must be a number of at least",
        ),
        (["feature_importances"], written_array(np.ones(9)), "content.feature_names must be None or a list of 9 names"),
        (["oof_score"], "high", "content.oof_score must be a number"),
    ],
)
def test_wrong_content_is_refused_with_its_place(content, path, value, message):
    with pytest.raises(ValueError, match=message):
        BackpropClassifierCV.from_dict(changed(content, path, value))


def test_members_of_different_outputs_are_refused():
    clf = small().fit(X, X[:, 0] > 0.0)
    content = clf.to_dict()
    member = content["members"][1]
    two = [np.repeat(clf.members_[1].coefs_[1], 2, axis=1), np.repeat(clf.members_[1].intercepts_[1], 2)]
    member["coefs"][1], member["intercepts"][1] = map(written_array, two)
    with pytest.raises(ValueError, match=r"content.members have different numbers of output units"):
        BackpropClassifierCV.from_dict(content)


def test_of_200_mutilated_files_each_is_refused_or_is_what_it_says(content):
    rng, outcomes = random.Random(1), {"loaded": 0, "refused": 0}
    for _ in range(200):
        file = mutilated(content, rng)
        try:
            clf = BackpropClassifierCV.from_dict(copy.deepcopy(file))
        except (TypeError, ValueError):
            outcomes["refused"] += 1
            continue
        outcomes["loaded"] += 1
        assert clf.to_dict() | {"version": file["version"]} == file
    assert min(outcomes.values()) > 20
