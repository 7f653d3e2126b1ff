"""A placeholder that shows that the core builds: NumPy's arrays and SciPy's BLAS, called from C."""

cimport numpy as np
from scipy.linalg.cython_blas cimport ddot

np.import_array()


def version():
    return 1


def squared_norm(np.ndarray[np.float64_t, ndim=1, mode="c"] vector not None):
    cdef int n = <int> vector.shape[0], stride = 1
    cdef double *data = <double *> np.PyArray_DATA(vector)
    return ddot(&n, data, &stride, data, &stride)
