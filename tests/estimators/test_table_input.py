"""A table as it comes: what BackpropClassifierCV does with its columns."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import skops.io
from copies import skops_name
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._data.column_scaler import ColumnScaler
from skbp._data.columns import Categories
from skbp._data.quantile_bins import QuantileBins
from skbp.inspection import check_gradient

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


def table(n=120):
    """A class that depends on a category and on a number on a large scale."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "income": rng.normal(50_000.0, 9_000.0, n),
            "town": rng.choice(["north", "south", "west"], n),
            "grade": pd.Categorical(rng.choice(["a", "b"], n)),
            "member": rng.random(n) < 0.5,
            "age": pd.array(np.where(rng.random(n) < 0.2, None, rng.integers(20, 60, n)), dtype="Int64"),
        }
    )
    y = np.where((X["town"] == "north") ^ (X["income"] > 50_000.0), "yes", "no")
    return X, y


def small(**params):
    return BackpropClassifierCV(**{"hidden_layer_sizes": (16,), "max_iter": 40, "cv": 3, "random_state": 0, **params})


def test_a_raw_table_is_learned():
    X, y = table()
    clf = small(max_iter=200).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert clf.n_features_in_ == 5
    assert_array_equal(clf.feature_names_in_, X.columns)
    names = ["income", "member", "age", "town_north", "town_south", "town_west", "grade_a", "grade_b"]
    assert list(clf.preprocessor_.get_feature_names_out()) == names
    for member, view in zip(clf.members_, clf.views_, strict=True):
        assert_array_equal(member.feature_names_in_, view.get_feature_names_out())
        assert member.n_features_in_ == view.transform(X).shape[1] == len(member.coefs_[0])
    assert [view is clf.preprocessor_ for view in clf.views_] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("method", METHODS)
def test_the_same_table_in_other_forms_gives_the_same_predictions(method):
    X, y = table()
    predict = getattr(small().fit(X, y), method)
    expected = predict(X)
    forms = [
        pl.from_pandas(X),
        X.astype({"town": "category", "grade": object, "member": "int8", "age": float}),
        X.convert_dtypes(dtype_backend="pyarrow"),
        X.set_index(np.arange(len(X))[::-1]),
    ]
    for form in forms:
        assert_array_equal(predict(form), expected)


@pytest.mark.parametrize("to", [lambda X: X.astype(object).to_numpy(), lambda X: X.astype(object).to_numpy().tolist()])
def test_arrays_and_lists_of_numbers_and_text(to):
    X, y = table()
    clf, named = small(categorical_features=[1, 2]).fit(to(X), y), small().fit(X, y)
    assert not hasattr(clf, "feature_names_in_")
    assert_array_equal(clf.predict_proba(to(X)), named.predict_proba(X))


def test_many_rows_of_a_table_equal_few_rows():
    X, y = table()
    clf = small().fit(X, y)
    many = pd.concat([X] * 300, ignore_index=True)
    assert_allclose(clf.predict_proba(many)[-120:], clf.predict_proba(X), rtol=1e-12)


def test_each_member_predicts_alone():
    X, y = table()
    clf, alone = small().fit(X, y), []
    for member, view, temperature in zip(clf.members_, clf.views_, clf.temperatures_, strict=True):
        rows = view.transform(X)
        named = pd.DataFrame(rows, columns=view.get_feature_names_out())
        assert_array_equal(member.predict_proba(rows), member.predict_proba(named))
        assert_array_equal(make_pipeline(view, member).predict_proba(X), member.predict_proba(rows))
        alone.append(expit(member.decision_function(rows) / temperature))
    assert_allclose(clf.predict_proba_members(X)[:, :, 1], alone, rtol=1e-10)
    assert_allclose(clf.predict_proba(X)[:, 1], clf.member_weights_ @ np.array(alone), rtol=1e-10)


def test_gaps_and_new_categories_only_at_prediction():
    X, y = table()
    clf = small().fit(X.assign(age=1.0), y)
    new = X.head(3).assign(age=[np.nan, 1.0, 1.0], town=["north", "nowhere", None])
    assert np.isfinite(clf.predict_proba(new)).all()
    assert_array_equal(clf.predict_proba(new.head(1)), clf.predict_proba(new.head(1).assign(age=1.0)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.assign(when=pd.Timestamp("2020-01-01")), "Column 'when' of X holds dates or times: give numbers"),
        (lambda X: X.assign(tags=[["a"]] * len(X)), "Column 'tags' of X holds values of type list"),
        (lambda X: X.assign(mixed=["a", 1] * (len(X) // 2)), "Column 'mixed' of X holds both text and numbers"),
        (lambda X: X.assign(wave=1j), "Column 'wave' of X holds complex numbers"),
        (lambda X: X.assign(income=np.inf), "infinity"),
        (lambda X: X.head(0), r"Found array with 0 sample\(s\)"),
        (lambda X: X[[]], r"0 feature\(s\)"),
        (lambda X: X.head(7), "inconsistent numbers of samples"),
        (lambda X: X["income"], "Expected 2D|Expected a 2-dimensional"),
    ],
)
def test_tables_that_are_refused(change, message):
    X, y = table()
    clf = small()
    with pytest.raises(ValueError, match=message):
        clf.fit(change(X), y[: min(len(change(X)) or len(y), len(y))] if len(change(X)) != 7 else y)
    assert not hasattr(clf, "preprocessor_")
    assert not hasattr(clf, "n_features_in_")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[X.columns[::-1]], "Feature names must be in the same order"),
        (lambda X: X.drop(columns="age"), "Feature names seen at fit time, yet now missing"),
        (lambda X: X.assign(income="much"), "Column 'income' of X must hold numbers, and holds text"),
        (lambda X: X.assign(income=-np.inf), "infinity"),
    ],
)
def test_rows_that_are_refused_at_prediction(change, message):
    X, y = table()
    clf = small().fit(X, y)
    with pytest.raises(ValueError, match=message):
        clf.predict(change(X))


def test_a_table_without_values_is_refused():
    with pytest.raises(ValueError, match="X has no value in any column"):
        small().fit(np.full((30, 2), np.nan), [0, 1] * 15)


def test_an_empty_column_warns_at_the_callers_line_and_is_left_out():
    X, y = table()
    with pytest.warns(UserWarning, match="X has column 'none' without a value in any row") as caught:
        clf = small().fit(X.assign(none=np.nan), y)
    assert {warning.filename for warning in caught} == {__file__}
    assert_allclose(clf.predict_proba(X.assign(none=3.0)), small().fit(X, y).predict_proba(X), rtol=1e-5)


def test_a_column_that_is_called_like_a_category_of_another():
    X, y = table()
    X["town_north"] = X["income"]
    names = small().fit(X, y).preprocessor_.get_feature_names_out()
    assert len(set(names)) == len(names) == 9


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_raw_numbers_score_like_scaled_ones(load):
    X, y = load(return_X_y=True)
    raw = cross_val_score(BackpropClassifierCV(random_state=0), X, y, scoring="neg_log_loss").mean()
    scaled = cross_val_score(
        BackpropClassifierCV(random_state=0), StandardScaler().fit_transform(X), y, scoring="neg_log_loss"
    )
    assert raw > scaled.mean() - 0.01


def test_a_scaler_before_changes_little():
    X, y = load_wine(return_X_y=True)
    one = BackpropClassifierCV(random_state=0).fit(X, y)
    two = make_pipeline(StandardScaler(), BackpropClassifierCV(random_state=0)).fit(X, y)
    assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-3)


def test_raw_pixels_equal_scaled_pixels():
    X, y = load_digits(return_X_y=True)
    train = np.arange(len(X)) % 3 > 0
    clf = BackpropClassifierCV(random_state=0)
    raw, scaled = (clf.fit(rows[train], y[train]).score(rows[~train], y[~train]) for rows in (X, X / 16.0))
    assert abs(raw - scaled) <= 0.005
    assert raw > 0.97


def test_wild_values_cost_little():
    X, y = load_breast_cancer(return_X_y=True)
    X, rng = StandardScaler().fit_transform(X), np.random.default_rng(0)
    wild = X.copy()
    at = rng.random(X.shape) < 0.005
    wild[at] = rng.choice([-1e6, 1e4, 1e8], at.sum())
    loss = [
        -cross_val_score(BackpropClassifierCV(random_state=0), rows, y, scoring="neg_log_loss").mean()
        for rows in (X, wild)
    ]
    assert loss[1] - loss[0] < 0.03


def test_without_scaling_members_are_networks_on_the_raw_columns():
    X, y = load_wine(return_X_y=True)
    clf = small(scale=False, quantile_bins=0).fit(X, y)
    rows = np.stack([member.predict_proba(X) for member in clf.members_])
    assert_array_equal(clf.predict_proba_members(X).argmax(axis=2), rows.argmax(axis=2))
    assert clf.preprocessor_.transform(X) is X


def test_sparse_rows_are_divided_by_their_largest_values():
    X, y = load_digits(return_X_y=True)
    X = X[:300, X[:300].any(axis=0)]
    clf = small().fit(sp.csr_array(X), y[:300])
    expected = small(scale=False).fit(sp.csr_array(X / X.max(axis=0)), y[:300])
    of_scaled = expected.predict_proba(sp.csr_array(X / X.max(axis=0)))
    assert_allclose(clf.predict_proba(sp.csr_array(X)), of_scaled, rtol=1e-4, atol=1e-6)
    assert_allclose(clf.predict_proba(X), clf.predict_proba(sp.csr_array(X)), rtol=1e-5)


def test_copies_predict_the_same():
    X, y = table()
    clf = small().fit(X, y)
    dumped = skops.io.dumps(clf)
    trusted = skops.io.get_untrusted_types(data=dumped)
    ours = (BackpropClassifier, BackpropClassifierCV, ColumnScaler, Categories, QuantileBins)
    assert set(trusted) <= set(map(skops_name, ours))
    for again in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), skops.io.loads(dumped, trusted=trusted)):
        assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(clone(clf).fit(X, y).predict_proba(X), clf.predict_proba(X))


def test_a_grid_search_with_weights():
    X, y = table()
    search = GridSearchCV(small(max_iter=5), {"scale": [True, False], "alpha": [0.0, 1.0]}, cv=2)
    search.fit(X, y, sample_weight=np.linspace(0.5, 1.5, len(y)))
    assert search.best_params_["scale"] is True


def test_several_labels_of_a_table():
    X, y = table()
    labels = np.column_stack([y == "yes", X["member"]]).astype(int)
    assert small(max_iter=100).fit(X, labels).predict_proba(X).shape == (len(X), 2)


def test_tags():
    tags = get_tags(BackpropClassifierCV()).input_tags
    assert tags.allow_nan
    assert tags.categorical
    assert tags.string
    assert not get_tags(BackpropClassifier()).input_tags.allow_nan


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"age": [1.0, np.nan], "town": ["a", "b"]}), "text or categories in column 'town'"),
        (pd.DataFrame({"age": [1.0, np.nan]}), "missing values in column 'age'"),
        ([[1.0, np.nan], [2.0, 3.0]], "missing values in column 1"),
        ([["a", 1.0], ["b", 3.0]], "text or categories in column 0"),
    ],
)
def test_one_network_names_the_columns_that_it_cannot_take(X, message):
    with pytest.raises(ValueError, match=message) as caught:
        BackpropClassifier().fit(X, [0, 1])
    assert "BackpropClassifierCV" in str(caught.value)


def test_a_failed_fit_keeps_the_former_preprocessor():
    X, y = table()
    clf = small().fit(X, y)
    expected = clf.predict_proba(X)
    with pytest.raises(ValueError, match="holds dates"), warnings.catch_warnings():
        clf.fit(X.assign(age=pd.Timestamp("2020-01-01")), y)
    assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_the_output_of_transformers_that_the_user_wants_has_no_effect(output):
    X, y = table()
    numbers = X[["income", "age"]].astype(float).fillna(0.0)
    expected = small().fit(X, y).predict_proba(X), small().fit(numbers, y).predict_proba(numbers)
    with config_context(transform_output=output):
        assert_array_equal(small().fit(X, y).predict_proba(X), expected[0])
        assert_array_equal(small().fit(numbers, y).predict_proba(numbers), expected[1])


def test_rows_without_names_give_one_warning():
    X, y = table()
    clf = small().fit(X, y)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        clf.predict(X.to_numpy(dtype=object))
    assert [str(w.message).split(",")[0] for w in given] == ["X does not have valid feature names"]


@pytest.mark.parametrize(
    ("fitted_on", "given", "message"),
    [
        (["1010", "2030"], [1010, 2030], "holds numbers, but held text in fit"),
        ([1010, 2030], ["1010", "2030"], "holds text, but held numbers in fit"),
        ([True, False], ["True", "False"], "holds text, but held numbers in fit"),
    ],
)
def test_categories_of_another_type_are_refused(fitted_on, given, message):
    z = np.arange(60) % 2
    clf = small(categorical_features=["zip"])
    clf.fit(pd.DataFrame({"x": z * 1.0, "zip": np.array(fitted_on, dtype=object)[z]}), z)
    with pytest.raises(ValueError, match=rf"Column 'zip' of X {message}"):
        clf.predict(pd.DataFrame({"x": z * 1.0, "zip": np.array(given, dtype=object)[z]}))
    missing = pd.DataFrame({"x": z * 1.0, "zip": np.full(60, None)})
    assert clf.predict(missing).shape == (60,)


def test_a_column_without_a_frequent_category_is_named():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": [f"{v:.6f}" for v in rng.normal(size=60)], "z": rng.normal(size=60)})
    with pytest.warns(UserWarning, match="Column 'age' of X has 60 categories, and none has 5 rows"):
        small().fit(X, X["z"] > 0.0)


def test_a_category_without_any_value_is_named():
    X, y = table()
    with pytest.warns(UserWarning, match=r"X has column 'grade' without a value in any row\."):
        small().fit(X.assign(grade=pd.Categorical([None] * len(X))), y)


def test_what_is_no_number_or_category_is_named():
    z = np.arange(60) % 2
    infinite = pd.DataFrame({"a": np.where(z == 0, np.inf, 1.0), "b": z})
    huge = np.array([[0, 10**400]] * 60, dtype=object)
    mixed = pd.DataFrame({"a": pd.Categorical([1, "a"] * 30), "b": z})
    sparse = sp.csr_array(np.array([[1.0, np.inf]] * 60))
    for X, message in (
        (infinite, "infinity.* They are in column 'a'"),
        (infinite.to_numpy(), "infinity.* They are in column 0"),
        (sparse, "infinity.* They are in column 1"),
        (huge, "Column 1 of X has numbers beyond 1.8e308"),
        (mixed, "Column 'a' of X holds both text and numbers"),
        (sp.csr_array(np.array([[1.0, np.inf], [1.0, np.nan]] * 30)), r"infinity.*\. They are in column 1"),
    ):
        with pytest.raises(ValueError, match=message):
            small().fit(X, z)
    with pytest.raises(ValueError, match=r"y contains infinity[^X]*$"):
        small().fit(infinite[["b"]], np.where(z == 0, np.inf, 1.0))
    clf = small().fit(infinite[["b"]].assign(a=0.0)[["a", "b"]], z)
    with pytest.raises(ValueError, match=r"infinity.* They are in column 'a'"):
        clf.predict(infinite)


def test_intervals_are_categories():
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    X = pd.DataFrame({"a": pd.cut(z, [-9, -0.5, 0.5, 9])})
    clf = small(max_iter=60).fit(X, np.abs(z) < 0.5)
    assert clf.score(X, np.abs(z) < 0.5) == 1.0
    assert list(clf.preprocessor_.get_feature_names_out()) == ["a_(-0.5, 0.5]", "a_(-9.0, -0.5]", "a_(0.5, 9.0]"]


def test_rows_in_memory_that_is_not_aligned():
    X = np.random.default_rng(0).normal(size=(90, 4))
    shifted = np.frombuffer(b"." + X.tobytes(), np.uint8)[1:].view("f8").reshape(X.shape)
    assert not shifted.flags.aligned
    y = X[:, 0] > 0.0
    for scale in (True, False):
        clf = small(scale=scale, dtype="float64").fit(X, y)
        again = small(scale=scale, dtype="float64").fit(shifted, y)
        assert_array_equal(again.predict_proba(shifted), clf.predict_proba(X))


def test_categories_of_sparse_rows_are_refused():
    with pytest.raises(ValueError, match="categorical_features needs dense X"):
        small(categorical_features=[0]).fit(sp.random_array((60, 3), density=0.5, format="csr"), np.arange(60) % 2)
    X = np.random.default_rng(0).integers(0, 3, (60, 2)) * 1.0
    clf = small(categorical_features=[0]).fit(X, X[:, 1] > 0.0)
    with pytest.raises(ValueError, match="X is sparse, but some of its columns are categories"):
        clf.predict(sp.csr_array(X))


def test_inspection_takes_a_pipeline_of_the_preprocessor_and_a_member():
    X, y = table()
    clf = small(dtype="float64").fit(X, y)
    for view, member in zip(clf.views_, clf.members_, strict=True):
        assert check_gradient(make_pipeline(view, member), X, y).passed
