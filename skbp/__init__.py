"""Multi-layer perceptrons for scikit-learn, with backpropagation by hand."""

__version__ = "0.1.0"

from skbp._estimators.classifier import BackpropClassifier
from skbp._estimators.classifier_cv import BackpropClassifierCV
from skbp._estimators.hidden_features import HiddenFeatures
from skbp._network.activations import Activation
from skbp._notices import InconsistentVersionWarning, NothingLearnedWarning, UnusedParameterWarning
from skbp._versions import show_versions

__all__ = [
    "Activation",
    "BackpropClassifier",
    "BackpropClassifierCV",
    "HiddenFeatures",
    "InconsistentVersionWarning",
    "NothingLearnedWarning",
    "UnusedParameterWarning",
    "__version__",
    "show_versions",
]
