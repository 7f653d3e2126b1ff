"""A report of a defect says what it must about the installation."""

import numpy as np
import scipy
import sklearn

import skbp
from skbp import _core


def test_show_versions_prints_what_a_report_needs(capsys):
    assert skbp.show_versions() is None
    shown = capsys.readouterr().out
    entries = dict(line.strip().split(": ", 1) for line in shown.splitlines() if line.startswith("    "))
    assert entries["skbp"] == skbp.__version__
    assert entries["numpy"] == np.__version__
    assert entries["scipy"] == scipy.__version__
    assert entries["scikit-learn"] == sklearn.__version__
    assert entries["used"] == ("yes" if _core.BatchKernel else f"no: {_core.why_absent}")


def test_a_package_that_is_absent_is_said_to_be():
    assert skbp._versions._version("a-package-that-does-not-exist") == "not installed"
