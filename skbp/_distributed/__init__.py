"""Training and predictions on Dask collections. Nothing here is imported before one is given."""
