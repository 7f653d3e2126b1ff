import os
import sys

import pytest

# Without it scikit-learn skips its estimator check of array API input; read when scikit-learn is first imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Pictures are drawn without a screen.
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def _closed_figures():
    """matplotlib keeps every figure, and warns when they are many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def pytest_make_parametrize_id(val):
    """A function by its name: its representation differs from process to process, and pytest-xdist compares them."""
    return getattr(val, "__name__", None) if callable(val) else None
