"""Ways to copy an estimator."""

import copy
import io
import pickle

import joblib
import skops.io

from skbp import BackpropClassifier, HiddenFeatures

# For each class, the classes of skbp in a file of skops.
CLASSES_IN_FILE = {
    BackpropClassifier: [BackpropClassifier],
    HiddenFeatures: [BackpropClassifier, HiddenFeatures],
}


def skops_name(cls):
    """The name by which skops lists a class that it does not trust."""
    return f"{cls.__module__}.{cls.__qualname__}"


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(estimator):
    """Checks that skops asks for trust in the classes of skbp only."""
    data = skops.io.dumps(estimator)
    untrusted = skops.io.get_untrusted_types(data=data)
    assert sorted(untrusted) == sorted(map(skops_name, CLASSES_IN_FILE[type(estimator)]))
    return skops.io.loads(data, trusted=untrusted)


ROUTES = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "deepcopy": copy.deepcopy,
    "joblib": through_joblib,
    "skops": through_skops,
}
