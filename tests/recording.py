"""A callback of scikit-learn that records its calls."""

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

AT_LEAST_1_9 = parse_version(sklearn.__version__) >= parse_version("1.9")
with_callbacks = pytest.mark.skipif(not AT_LEAST_1_9, reason="scikit-learn has callbacks from 1.9 on")


class Recorder:
    """Records every call, and may end training."""

    def __init__(self, ends=lambda context: None):
        self.ends, self.calls, self.given = ends, [], []

    def _note(self, hook, context, **given):
        self.calls.append((hook, context.task_name, context.task_id))
        self.given.append({"hook": hook, "context": context, **given})

    def setup(self, estimator, context):
        self._note("setup", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self._note("begin", context, X=X, y=y, metadata=metadata)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self._note("end", context, X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator)
        return self.ends(context)

    def teardown(self, estimator, context):
        self._note("teardown", context)

    def shown(self, task="epoch"):
        """The classifiers that were passed at the end of tasks."""
        return [g["fitted_estimator"] for g in self.given if g["hook"] == "end" and g["context"].task_name == task]


def epochs(n):
    return [(hook, "epoch", k) for k in range(n) for hook in ("begin", "end")]


def around(*calls):
    return [("setup", "fit", 0), ("begin", "fit", 0), *calls, ("end", "fit", 0), ("teardown", "fit", 0)]
