"""Engines that share the fits of a search: workers of Dask and of Ray on this machine."""

import os
import secrets
from unittest.mock import patch

import pytest

# Engines read the numbers of threads from these, and Dask sets them for good.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.fixture(scope="session")
def ray_environment():
    """Variables with which Ray keeps to itself. It writes its key to no file, and reports to nobody that it is used."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@pytest.fixture(scope="session")
def dask_workers():
    """A cluster of two processes with one thread each, and its client."""
    distributed = pytest.importorskip("distributed", reason="dask[distributed] is an extra")
    with patch.dict(os.environ):
        for name in THREADS:
            os.environ.pop(name, None)
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        with cluster, distributed.Client(cluster) as client:
            client.wait_for_workers(2, timeout=60)
            yield client


@pytest.fixture(scope="session")
def ray_workers(ray_environment, tmp_path_factory):
    """A Ray of two processors, which joblib knows by the name "ray"."""
    ray = pytest.importorskip("ray", reason="ray is an extra")
    joblib = pytest.importorskip("ray.util.joblib")
    here = os.getcwd()
    with patch.dict(os.environ, ray_environment):
        for name in THREADS:
            os.environ.pop(name, None)
        # Workers look for modules in the working directory first. In a checkout that is another copy of skbp.
        os.chdir(tmp_path_factory.mktemp("ray"))
        try:
            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        finally:
            os.chdir(here)
        joblib.register_ray()
        yield ray
        ray.shutdown()
