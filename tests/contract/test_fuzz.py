"""Random settings of both classifiers on hostile data; see the package `fuzzing`.

A few settings run with the other tests. ``pytest -m fuzz`` runs many. SKBP_FUZZ_SETTINGS is the number of settings of
BackpropClassifier; BackpropClassifierCV gets 0.6 times as many. SKBP_FUZZ_SEED draws other settings. The command
``python tests/contract/fuzzing --settings 1500 --seed 0`` runs the same settings and prints a report.
"""

import os
import subprocess
import sys
from pathlib import Path

import fuzzing
import pytest

SEED = int(os.environ.get("SKBP_FUZZ_SEED", "0"))
N_SETTINGS = int(os.environ.get("SKBP_FUZZ_SETTINGS", "1500"))
BLOCK = 50

FEW = [("BackpropClassifier", number) for number in range(60)] + [
    ("BackpropClassifierCV", number) for number in range(25)
]
BLOCKS = [
    (estimator, range(start, min(start + BLOCK, round(N_SETTINGS * share))))
    for estimator, share in fuzzing.SHARE.items()
    for start in range(0, round(N_SETTINGS * share), BLOCK)
]


def described(defects):
    return "\n\n".join(str(fuzzing.smallest(defect, tries=60)) for defect in defects)


@pytest.mark.parametrize(("estimator", "number"), FEW)
def test_a_few_settings(estimator, number):
    defects = fuzzing.run(estimator, 0, number).defects
    if defects:
        pytest.fail(described(defects), pytrace=False)


@pytest.mark.fuzz
@pytest.mark.parametrize(("estimator", "numbers"), BLOCKS, ids=lambda value: getattr(value, "start", value))
def test_many_settings(estimator, numbers):
    _, counts, examples = fuzzing.run_many(estimator, SEED, numbers)
    if counts:
        pytest.fail(described(examples.values()), pytrace=False)


@pytest.mark.parametrize("estimator", fuzzing.SHARE)
def test_the_text_of_a_setting_is_a_script_that_runs(estimator):
    settings = (fuzzing.draw_setting(estimator, 0, number) for number in range(60))
    simple = (one for one in settings if len(one.operations) == 1 and not one.numpy_raises)
    fits = next(one for one in simple if fuzzing.run(estimator, 0, one.number).outcome.startswith("fitted"))
    script = fits.snippet() + "\nassert len(clf.predict(X)) == len(y)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(fuzzing.__file__).parents[1]), *sys.path])}
    subprocess.run([sys.executable, "-c", script], env=environ, check=True)
