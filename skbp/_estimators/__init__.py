"""scikit-learn's face of the network: the estimators."""
