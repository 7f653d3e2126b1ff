"""Multi-layer perceptrons for scikit-learn, with backpropagation by hand in NumPy."""

from skbp._activations import Activation
from skbp._classifier import BackpropClassifier
from skbp._classifier_cv import BackpropClassifierCV
from skbp._features import HiddenFeatures

__all__ = ["Activation", "BackpropClassifier", "BackpropClassifierCV", "HiddenFeatures", "__version__"]
__version__ = "0.1.0"
