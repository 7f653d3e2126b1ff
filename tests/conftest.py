import os

# Without it scikit-learn skips its estimator check of array API input; read when scikit-learn is first imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
