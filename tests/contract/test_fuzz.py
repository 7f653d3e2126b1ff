"""Random settings of both classifiers on hostile data; see fuzzing.py.

A few run with all other tests. Many run with ``pytest -m fuzz``: SKBP_FUZZ_SETTINGS is how many of BackpropClassifier, of
BackpropClassifierCV it is 0.6 times as many; SKBP_FUZZ_SEED draws others.
"""

import os

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
