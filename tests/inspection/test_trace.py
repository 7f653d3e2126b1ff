"""trace: every number equals one computed by hand or by differences, and is printed beside its formula."""

import ast
import math
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from registries import ACTIVATIONS, LOSSES
from scipy.sparse import csr_array
from scipy.special import log_expit, log_softmax
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toy_datasets import clusters

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._network import equations
from skbp.inspection import trace
from skbp.inspection._trace import SYMBOLS

# The networks are trained for a few epochs only, to have weights.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Nothing was learned")

X, y = clusters(n_informative=5)


def network(activation="tanh", hidden=(4, 3), **params):
    return BackpropClassifier(hidden, activation, **{"max_iter": 3, "random_state": 0, **params})


def test_a_network_of_two_two_and_one_units_equals_the_computation_by_hand():
    clf = BackpropClassifier.from_weights(
        [[[0.5, -0.3], [0.2, 0.8]], [[1.0], [-0.6]]],
        [[0.1, -0.2], [0.3]],
        classes=[0, 1],
        activation="logistic",
    ).set_params(alpha=0.1)
    t = trace(clf, [1.0, 2.0], 1)

    def sigma(z):
        return 1.0 / (1.0 + math.exp(-z))

    z_11, z_12 = 0.5 * 1.0 + 0.2 * 2.0 + 0.1, -0.3 * 1.0 + 0.8 * 2.0 - 0.2
    a_11, a_12 = sigma(z_11), sigma(z_12)
    z_2 = 1.0 * a_11 - 0.6 * a_12 + 0.3
    p = sigma(z_2)
    delta_2 = p - 1.0
    slope_11, slope_12 = a_11 * (1.0 - a_11), a_12 * (1.0 - a_12)
    delta_11, delta_12 = delta_2 * 1.0 * slope_11, delta_2 * -0.6 * slope_12
    c = -math.log(p)

    assert_allclose(t.z[1], [z_11, z_12], rtol=1e-14)
    assert_allclose(t.a[1], [a_11, a_12], rtol=1e-14)
    assert_allclose(t.z[2], [z_2], rtol=1e-14)
    assert_allclose(t.proba, [p], rtol=1e-14)
    assert_allclose(t.slope[1], [slope_11, slope_12], rtol=1e-14)
    assert_allclose(t.delta[2], [delta_2], rtol=1e-14)
    assert_allclose(t.delta[1], [delta_11, delta_12], rtol=1e-13)
    assert_allclose(t.coef_gradients[2], [[a_11 * delta_2 + 0.1 * 1.0], [a_12 * delta_2 + 0.1 * -0.6]], rtol=1e-13)
    assert_allclose(t.intercept_gradients[2], [delta_2], rtol=1e-14)
    assert_allclose(
        t.coef_gradients[1],
        [
            [1.0 * delta_11 + 0.1 * 0.5, 1.0 * delta_12 + 0.1 * -0.3],
            [2.0 * delta_11 + 0.1 * 0.2, 2.0 * delta_12 + 0.1 * 0.8],
        ],
        rtol=1e-13,
    )
    assert_allclose(t.intercept_gradients[1], [delta_11, delta_12], rtol=1e-13)
    assert t.loss == pytest.approx(c, rel=1e-14)
    squares = 0.5**2 + 0.3**2 + 0.2**2 + 0.8**2 + 1.0**2 + 0.6**2
    assert t.objective == pytest.approx(c + 0.5 * 0.1 * squares, rel=1e-14)
    assert_array_equal(t.a[0], [1.0, 2.0])
    assert_array_equal(t.target, [1.0])
    assert_array_equal(t.alpha, [0.1, 0.1])
    assert t.z[0] is t.delta[0] is t.coefs[0] is t.slope[2] is None


def outputs(coefs, intercepts, function, x):
    """The logits, by matrix products."""
    a = x
    for layer, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True), start=1):
        z = a @ coef + intercept
        a = function(z, np.zeros_like(z)) if layer < len(coefs) else z
    return a


def cost(link, logits, target):
    if link == "softmax":
        return -(target * log_softmax(logits)).sum()
    return -(target * log_expit(logits) + (1.0 - target) * log_expit(-logits)).sum()


def differences(function, arrays, h=1e-5):
    """Derivatives of a function without arguments with respect to all elements of the arrays that it reads."""
    found = []
    for array in arrays:
        derivative = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            kept, ends = array[place], []
            for step in (h, -h):
                array[place] = kept + step
                ends.append(function())
            array[place] = kept
            derivative[place] = (ends[0] - ends[1]) / (2 * h)
        found.append(derivative)
    return found


@pytest.mark.parametrize("link", list(LOSSES))
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_number_agrees_with_products_and_differences(activation, link):
    clf = network(activation, alpha=[0.3, 0.2, 0.1], out_activation=link, label_smoothing=0.2).fit(X, y)
    t = trace(clf, X[7], y[7])
    function = ACTIVATIONS[activation].function
    one_hot = np.eye(3)[y[7]]
    target = 0.8 * one_hot + (0.2 / 3 if link == "softmax" else 0.1)
    assert_allclose(t.target, target, atol=1e-12)
    coefs, intercepts = [[array.copy() for array in arrays] for arrays in (clf.coefs_, clf.intercepts_)]

    def loss():
        return cost(link, outputs(coefs, intercepts, function, X[7]), target)

    def objective():
        return loss() + 0.5 * sum(a * (w**2).sum() for a, w in zip([0.3, 0.2, 0.1], coefs, strict=True))

    assert t.loss == pytest.approx(loss(), rel=1e-12)
    assert t.objective == pytest.approx(objective(), rel=1e-12)
    for layer in (1, 2, 3):
        assert_array_equal(t.coefs[layer], coefs[layer - 1])
        assert_array_equal(t.intercepts[layer], intercepts[layer - 1])
        assert_allclose(t.z[layer], outputs(coefs[:layer], intercepts[:layer], function, X[7]), rtol=1e-10, atol=1e-12)
        if layer < 3:
            assert_allclose(t.a[layer], function(t.z[layer], np.zeros_like(t.z[layer])), rtol=1e-12)
            h = 1e-6
            ends = [function(t.z[layer] + step, np.zeros_like(t.z[layer])) for step in (h, -h)]
            assert_allclose(t.slope[layer], (ends[0] - ends[1]) / (2 * h), atol=1e-6)
    # z_l is b_l plus a constant, so the derivatives with respect to both are equal.
    by_bias = differences(objective, intercepts)
    for layer, derivative in enumerate(by_bias, start=1):
        assert_allclose(t.delta[layer], derivative, atol=1e-7)
        assert_allclose(t.intercept_gradients[layer], derivative, atol=1e-7)
    for layer, derivative in enumerate(differences(objective, coefs), start=1):
        assert_allclose(t.coef_gradients[layer], derivative, atol=1e-7)


def test_the_output_equals_predict_proba():
    t = trace(network().fit(X, y), X[0], y[0])
    assert_allclose(t.proba, network().fit(X, y).predict_proba(X[:1])[0], rtol=1e-12)
    binary = network().fit(X, y > 0)
    assert_allclose(trace(binary, X[0], y[0] > 0).proba, binary.predict_proba(X[:1])[0, 1:], rtol=1e-12)


def test_targets_have_the_form_of_the_output_layer():
    assert_array_equal(trace(network().fit(X, y), X[0], 2).target, [0.0, 0.0, 1.0])
    labels = np.array(["no", "yes"])[(y > 0).astype(int)]
    binary = network().fit(X, labels)
    assert_array_equal(trace(binary, X[0], "yes").target, [1.0])
    assert_array_equal(trace(binary, X[0], "no").target, [0.0])
    rows, several = make_multilabel_classification(30, 5, n_classes=4, random_state=0)
    multilabel = network().fit(rows, several)
    for row in ([0, 1, 1, 0], [[0, 1, 1, 0]], np.array([0, 1, 1, 0])):
        assert_array_equal(trace(multilabel, rows[0], row).target, [0.0, 1.0, 1.0, 0.0])
    assert_array_equal(trace(network().fit(X, np.zeros(60)), X[0], 0).target, [0.0])


def same(one, other):
    for name in ("z", "a", "delta", "coef_gradients", "intercept_gradients"):
        for mine, theirs in zip(getattr(one, name)[1:], getattr(other, name)[1:], strict=True):
            assert_allclose(mine, theirs, rtol=1e-10, atol=1e-15)
    assert_allclose(one.a[0], other.a[0], rtol=1e-12)
    assert one.objective == pytest.approx(other.objective, rel=1e-12)


def test_a_sample_may_be_in_any_container():
    frame = pd.DataFrame(X, columns=list("abcde"))
    clf, named = network().fit(X, y), network().fit(frame, y)
    expected = trace(clf, X[3], y[3])
    for sample in (X[3].tolist(), X[3:4], csr_array(X[3:4])):
        same(trace(clf, sample, y[3]), expected)
    for sample in (frame.iloc[3], frame.iloc[[3]]):
        same(trace(named, sample, y[3:4]), expected)


def test_a_pipeline_transforms_the_sample():
    pipeline = make_pipeline(StandardScaler(), network()).fit(100.0 * X, y)
    t = trace(pipeline, 100.0 * X[3], y[3])
    same(t, trace(pipeline[-1], pipeline[0].transform(100.0 * X[3:4]), y[3]))
    assert_allclose(t.a[0], (X[3] - X.mean(axis=0)) / X.std(axis=0))


def test_class_weights_dropout_and_float32_have_no_effect():
    clf = network().fit(X, y)
    expected = trace(clf, X[3], y[3])
    weighted = trace(clf.set_params(class_weight={0: 5.0, 1: 0.0, 2: 7.0}, dropout=0.5), X[3], 1)
    same(weighted, trace(clf.set_params(class_weight=None, dropout=0.0), X[3], 1))
    clf.set_params(dtype="float32")
    same(trace(clf, X[3], y[3]), expected)
    single = network(dtype="float32").fit(X, y)
    t = trace(single, X[3], y[3])
    assert t.delta[1].dtype == t.coef_gradients[1].dtype == np.float64
    assert clf.dtype == "float32"


def test_members_of_an_ensemble_can_be_traced():
    ensemble = BackpropClassifierCV(4, cv=3, n_repeats=1, max_iter=2, random_state=0).fit(X, y)
    member = ensemble.members_[1]
    assert_allclose(trace(member, X[0], y[0]).proba, member.predict_proba(X[:1])[0], rtol=1e-6)
    with pytest.raises(TypeError, match=r"is 3 networks: pass one of its members_"):
        trace(ensemble, X[0], y[0])


def test_invalid_arguments_are_errors():
    clf = network().fit(X, y)
    with pytest.raises(ValueError, match=r"x must be one sample, .* its shape is \(2, 5\)"):
        trace(clf, X[:2], y[0])
    with pytest.raises(ValueError, match="5 features as input"):
        trace(clf, X[0, :4], y[0])
    with pytest.raises(NotFittedError):
        trace(network(), X[0], y[0])
    with pytest.raises(TypeError, match="MLPClassifier, which has no `objective`"):
        trace(MLPClassifier(3, max_iter=2).fit(X, y), X[0], y[0])


NUMBERS, WORDS = np.array([0, 1, 2])[y], np.array(["a", "b", "c"])[y]


@pytest.mark.parametrize(
    ("labels", "wrong"),
    [
        (
            NUMBERS,
            [None, np.nan, pd.NA, 7, 0.5, "0", {}, [], [[]], [0, 1], [0, 1, 1], csr_array([[0, 1, 1]]), [[1], [2, 0]]],
        ),
        (WORDS, [None, np.nan, pd.NA, "d", "A", 1, True, ["a", "b"], {"a"}]),
        (NUMBERS > 1, [None, np.nan, 2, "True", [False, True]]),
    ],
    ids=["numbers", "words", "bools"],
)
def test_an_unknown_label_is_an_error_that_names_the_classes(labels, wrong):
    clf = network().fit(X, labels)
    for label in wrong:
        with pytest.raises(
            ValueError, match=r"^y=.* must be one of the classes that clf knows, its classes_: "
        ) as failure:
            trace(clf, X[0], label)
        assert ast.literal_eval(str(failure.value).split("classes_: ")[1].rstrip(".")) == clf.classes_.tolist()


@pytest.mark.parametrize(
    "wrong",
    [None, np.nan, 1, [0, 1], [0, 1, 2], [0, 1, None], [0, np.nan, 1], ["0", "1", "1"], [0, 1, 1, 1], [[0], [1, 0]]],
)
def test_an_invalid_row_of_labels_is_an_error(wrong):
    clf = network().fit(*make_multilabel_classification(30, 5, n_classes=3, random_state=0))
    with pytest.raises(ValueError, match=r"^y=.* must be one row of 3 labels, each 0 or 1, since clf is multilabel"):
        trace(clf, X[0], wrong)


def test_a_label_may_be_in_any_container():
    clf = network().fit(X, WORDS)
    expected = trace(clf, X[0], "b")
    for label in (["b"], np.array("b"), np.array([["b"]]), pd.Series(["b"], index=[9])):
        same(trace(clf, X[0], label), expected)
    many = network().fit(X, y)
    for label in (1.0, True, np.int8(1), csr_array([[1]])):
        assert_array_equal(trace(many, X[0], label).target, [0.0, 1.0, 0.0])
    rows, several = make_multilabel_classification(30, 5, n_classes=3, random_state=0, sparse=False)
    for fitted in (network().fit(rows, several), network().fit(rows, csr_array(several))):
        for row in ([False, True, True], csr_array([[0, 1, 1]]), pd.DataFrame([[0, 1, 1]]), [0.0, 1.0, 1.0]):
            assert_array_equal(trace(fitted, rows[0], row).target, [0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, r"its shape is \(\)"),
        ("text", r"its shape is \(\)"),
        (3.0, r"its shape is \(\)"),
        ([[1.0], [2.0, 3.0]], "inhomogeneous"),
        (["a"] * 5, "is not a sample that clf can predict for.*could not convert"),
        ([np.nan] * 5, "is not a sample that clf can predict for.*NaN"),
        ([{}] * 5, "is not a sample that clf can predict for"),
    ],
)
def test_an_invalid_sample_is_an_error_that_names_x(wrong, message):
    with pytest.raises(ValueError, match=rf"^x .*{message}"):
        trace(network().fit(X, y), wrong, 0)


def blocks(text):
    """{formula: (equation, numbers)} of a printed trace."""
    lines = text.splitlines()
    column = min(line.index("[", 45) for line in lines if line.endswith("]"))
    found, formula = {}, None
    for line in lines[1:]:
        if not line.startswith("   ") or not line.strip():
            continue
        equation, name = line[:8].strip(), line[8:column].strip()
        formula = name or formula
        found.setdefault(formula, (equation, []))[1].extend(
            float(number) for number in re.findall(r"[-+.e\d]*\d(?:e[-+]\d+)?", line[column:])
        )
    return found


def expected_blocks(t, functions):
    """The numbers to print for a network with two hidden layers and a penalty."""
    expected = {
        "a_0 = x": ("", t.a[0]),
        "y": ("", t.target),
        f"p = {functions[-1]}(z_3)": ("", t.proba),
        "alpha": ("", t.alpha),
        "F = c + 1/2 sum_l alpha_l ||W_l||^2": ("(3)", t.objective),
        "delta_3 = p - y": ("(4)", t.delta[3]),
    }
    for k in (1, 2, 3):
        f = functions[k - 1]
        expected |= {
            f"W_{k} = coefs_[{k - 1}]": ("", t.coefs[k]),
            f"b_{k} = intercepts_[{k - 1}]": ("", t.intercepts[k]),
            f"z_{k} = a_{k - 1} W_{k} + b_{k}": ("(1)", t.z[k]),
            f"dF/dW_{k} = a_{k - 1}^T delta_{k} + alpha_{k} W_{k}": ("(6)", t.coef_gradients[k]),
            f"dF/db_{k} = delta_{k}": ("(7)", t.intercept_gradients[k]),
        }
        if k < 3:
            expected |= {
                f"a_{k} = {f}(z_{k})": ("(2)", t.a[k]),
                f"{f}'(z_{k})": ("", t.slope[k]),
                f"delta_{k} = (delta_{k + 1} W_{k + 1}^T) * {f}'(z_{k})": ("(5)", t.delta[k]),
            }
    return expected


def test_every_number_is_printed_beside_its_formula_and_the_equations_number():
    clf = network(["tanh", "leaky_relu"], alpha=0.1).fit(X, y)
    t = trace(clf, X[3], y[3])
    printed, expected = blocks(str(t)), expected_blocks(t, ["tanh", "leaky_relu", "softmax"])
    loss = printed.pop("c = -sum_k y_k log p_k")
    assert loss[0] == "(3)"
    assert_allclose(loss[1], [t.loss], rtol=1e-3)
    assert set(printed) == set(expected)
    for formula, (equation, value) in expected.items():
        assert printed[formula][0] == equation
        assert_allclose(printed[formula][1], np.ravel(value), rtol=6e-4, err_msg=formula)


def test_equations_are_those_of_the_derivation():
    text = str(trace(network().fit(X, y), X[0], y[0]))
    numbers = re.findall(r"^\s+\((\d+)\)", text, flags=re.MULTILINE)
    assert set(numbers) == {"1", "2", "3", "4", "5", "6", "7"}
    for number in set(numbers):
        assert re.search(rf"\\qquad \({number}\)", equations.__doc__)


def test_absent_terms_are_not_printed():
    t = trace(network(hidden=(), alpha=0.0, max_iter=1).fit(X, y > 0), X[0], True)
    text = str(t)
    assert "alpha" not in text
    assert "'" not in text
    assert "F = c\n" in re.sub(r"(F = c) .*", r"\1", text)
    assert "log(1 - p_k)" in text
    some = str(trace(network(alpha=[0.0, 0.2, 0.0]).fit(X, y), X[0], y[0]))
    assert re.findall(r"\+ alpha_(\d)", some) == ["2"]


def test_the_ends_of_large_arrays_are_printed():
    digits, labels = load_digits(return_X_y=True)
    t = trace(network(hidden=(20,), max_iter=1).fit(digits, labels), digits[0], labels[0])
    text = str(t)
    assert max(map(len, text.splitlines())) < 140
    assert len(text.splitlines()) < 80
    row = next(line for line in text.splitlines() if "a_0 = x" in line)
    ends = [float(n) for n in re.findall(r"[\d.]+", row.split("=")[1]) if n.strip(".")]
    assert ends == [*digits[0, :3], *digits[0, -3:]]
    assert "..." in row


class Cells(HTMLParser):
    """The rows of an HTML table as text. It checks that tags match."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.rows[-1][-1] += data


@pytest.mark.parametrize("target", ["multiclass", "binary"])
def test_the_table_in_a_notebook_has_the_same_content(target):
    t = trace(network(alpha=0.1).fit(X, y if target == "multiclass" else y > 0), X[3], 1)
    page = Cells(t._repr_html_())
    assert page.open == []
    lines = [line for line in str(t).splitlines()[1:] if line.strip()]
    plain = " ".join(word for line in lines for word in line.split())
    shown = " ".join(word for row in page.rows for cell in row for word in cell.split())

    def bare(text):
        for word, entity in SYMBOLS.items():
            text = text.replace(unescape(entity).strip(), word.strip())
        return re.sub(r"[_^]", "", text)

    assert bare(shown) == bare(plain)
    assert [len(row) for row in page.rows if len(row) != 3] == [1] * 8  # the headings
    html = t._repr_html_()
    assert "z<sub>1</sub> = a<sub>0</sub> W<sub>1</sub> + b<sub>1</sub>" in html
    assert "&part;F/&part;W<sub>2</sub> = a<sub>1</sub><sup>T</sup> &delta;<sub>2</sub>" in html


def test_zero_is_printed_without_a_sign():
    clf = BackpropClassifier.from_weights(
        [[[-1.0]], [[-1.0, 1.0]]], [[0.0], [0.0, 0.0]], classes=[0, 1], out_activation="softmax", activation="relu"
    )
    assert not re.search(r"-0[\s\]]", str(trace(clf, [1.0], 1)))


def test_weighted_sums_and_activations_equal_those_of_predictions():
    iris = load_iris()
    clf = network("relu", (3,)).fit(iris.data, iris.target)
    t = trace(clf, iris.data[0], iris.target[0])
    assert_allclose(t.z[2], clf.decision_function(iris.data[:1])[0], rtol=1e-12)
    assert_allclose(t.a[1], clf.hidden_features(iris.data[:1])[0], rtol=1e-12)
