"""Types and names of inputs, rows in that form, and what importing does."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("onnx")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

import onnxruntime
from exported import assert_same, run

import skbp.onnx
from skbp import BackpropClassifier, BackpropClassifierCV
from skbp.onnx import to_inputs, to_onnx

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 40
TABLE = pd.DataFrame(
    {
        "a b (m²)": np.linspace(0.0, 1.0, N),
        "narrow": np.linspace(1.0, 0.0, N, dtype=np.float32),
        "whole": np.arange(N) % 5,
        "flag": np.arange(N) % 2 == 0,
        "nullable": pd.array(np.arange(N) % 7, dtype="Int64"),
        "text": np.where(np.arange(N) % 3, "x", "y"),
    }
)
LABELS = np.arange(N) % 3
TYPES = ["tensor(double)", "tensor(float)", "tensor(int64)", "tensor(bool)", "tensor(double)", "tensor(string)"]


def types(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return {one.name: one.type for one in session.get_inputs()}


@pytest.fixture
def ensemble():
    return BackpropClassifierCV((4,), cv=2, max_iter=3, random_state=0).fit(TABLE, LABELS)


def test_a_frame_has_an_input_for_each_column_in_its_type(ensemble):
    # skl2onnx keeps letters, digits and underscores of the names.
    names = ["a_b__m²_", "narrow", "whole", "flag", "nullable", "text"]
    assert types(to_onnx(ensemble, TABLE)) == dict(zip(names, TYPES, strict=True))


def test_names_that_are_numbers_become_text():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 2)))
    clf = BackpropClassifier((4,), max_iter=3).fit(frame, LABELS)
    assert types(to_onnx(clf, frame)) == {"_0": "tensor(double)", "_1": "tensor(double)"}
    assert_same(clf, frame)


def test_an_array_of_objects_has_numbered_inputs(ensemble):
    objects = TABLE.to_numpy(dtype=object)
    ensemble.fit(objects, LABELS)
    kinds = ["tensor(double)", "tensor(double)", "tensor(int64)", "tensor(bool)", "tensor(int64)", "tensor(string)"]
    assert types(to_onnx(ensemble, objects)) == {f"x{j}": kind for j, kind in enumerate(kinds)}


def test_an_array_of_numbers_is_one_input():
    X = np.random.default_rng(0).normal(size=(N, 3))
    clf = BackpropClassifier((4,), max_iter=3).fit(X, LABELS)
    assert types(to_onnx(clf, X)) == types(to_onnx(clf, np.arange(6).reshape(2, 3))) == {"X": "tensor(double)"}
    assert types(to_onnx(clf, X.astype(np.float32))) == {"X": "tensor(float)"}


def test_missing_values_become_nan_and_the_empty_text(ensemble):
    model = to_onnx(ensemble, TABLE)
    gaps = TABLE.copy()
    gaps.loc[0, ["a b (m²)", "narrow", "nullable", "text"]] = None
    inputs = to_inputs(model, gaps)
    assert [np.isnan(inputs[name][0, 0]) for name in ("a_b__m²_", "narrow", "nullable")] == [True] * 3
    assert inputs["text"][0, 0] == ""
    assert_same(ensemble, gaps, TABLE)
    with pytest.raises(ValueError, match="Column 'whole' has missing values, but this input of the model is int64"):
        to_inputs(model, TABLE.assign(whole=np.nan))


def test_rows_of_another_width_are_refused(ensemble):
    with pytest.raises(ValueError, match="X has 5 columns, but the model has 6 inputs"):
        to_inputs(to_onnx(ensemble, TABLE), TABLE.iloc[:, :5])


def test_any_number_of_rows(ensemble):
    model = to_onnx(ensemble, TABLE[:1])
    for n in (1, 2, N):
        label, probabilities = run(model, to_inputs(model, TABLE[:n]))
        assert (len(label), probabilities.shape) == (n, (n, 3))


def test_inputs_are_in_the_order_of_the_columns_also_if_names_collide():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 3)), columns=["a b", "a_b", "a-b"])
    clf = BackpropClassifier((4,), max_iter=3).fit(frame, LABELS)
    assert_same(clf, frame)


def test_a_frame_with_one_column(ensemble):
    one = TABLE[["text"]]
    assert_same(ensemble.fit(one, LABELS), one)


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_skbp_imports_neither_onnx_nor_skl2onnx():
    done = python("import sys, skbp; print(sorted({'onnx', 'skl2onnx', 'skbp.onnx'} & set(sys.modules)))")
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["onnx", "skl2onnx"])
def test_without_its_packages_the_import_names_the_extra(package):
    done = python(f"import sys; sys.modules[{package!r}] = None; import skbp.onnx")
    assert "ImportError: skbp.onnx needs onnx and skl2onnx" in done.stderr
    assert "pip install 'skbp[onnx]'" in done.stderr


def test_the_public_names():
    assert skbp.onnx.__all__ == ["to_inputs", "to_onnx"]
