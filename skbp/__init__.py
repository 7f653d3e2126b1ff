"""Multi-layer perceptrons for scikit-learn, with backpropagation by hand in NumPy."""

from skbp._activations import Activation
from skbp._classifier import BackpropClassifier

__all__ = ["Activation", "BackpropClassifier", "__version__"]
__version__ = "0.1.0"
