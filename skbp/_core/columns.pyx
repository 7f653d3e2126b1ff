"""Columns of numbers, scaled or encoded in one pass: `skbp._data.column_scaler` and `skbp._data.quantile_bins`.

Rows are scaled in pieces of a few hundred numbers. Each step is a loop over one piece in local memory, which the compiler
turns into vector instructions. Distances are taken in float64. What follows is of ordinary size, and has the type of the
result.
"""

from libc.math cimport sqrt, sqrtf

cimport numpy as cnp

from skbp._core cimport pool
from skbp._core.elementwise cimport real

cnp.import_array()

cdef enum:
    PIECE = 256
    # Tasks have at least this many numbers.
    LEAST_NUMBERS = 16384
    MOST_TASKS = 4095


cdef struct Scaling:
    Py_ssize_t n_rows
    Py_ssize_t n_columns
    Py_ssize_t task_rows
    int size
    char *X
    Py_ssize_t row_step
    Py_ssize_t column_step
    char *out
    # Rows of n_columns numbers each: m, 1/s, z of a gap, 1/3 or 0, the largest z, the mean of u, 1 / its deviation.
    double *center
    double *factor
    double *gap
    double *bend
    double *largest
    double *mean
    double *last_factor


cdef void _scale(Scaling *job, Py_ssize_t begin, Py_ssize_t end, real *like) noexcept nogil:
    cdef Py_ssize_t i, first, j, n
    cdef double distance
    cdef real z, limit, root
    cdef double[PIECE] number
    cdef real[PIECE] piece
    cdef char *row
    cdef const real *x
    cdef real *out
    cdef double *center
    cdef double *factor
    cdef double *gap
    cdef double *bend
    cdef double *largest
    for i in range(begin, end):
        first = 0
        while first < job.n_columns:
            n = min(<Py_ssize_t>PIECE, job.n_columns - first)
            row = job.X + i * job.row_step + first * job.column_step
            if job.column_step == sizeof(real):
                x = <const real *>row
                for j in range(n):
                    number[j] = x[j]
            else:
                for j in range(n):
                    number[j] = (<real *>(row + j * job.column_step))[0]
            center, factor, gap = job.center + first, job.factor + first, job.gap + first
            for j in range(n):
                distance = (number[j] - center[j]) * factor[j]
                piece[j] = <real>(distance if distance == distance else gap[j])
            bend, largest = job.bend + first, job.largest + first
            for j in range(n):
                limit = <real>largest[j]
                z = piece[j]
                z = z if z < limit else limit
                z = z if z > -limit else -limit
                root = z * <real>bend[j]
                root = root * root + <real>1.0
                if real is float:
                    piece[j] = z / sqrtf(root)
                else:
                    piece[j] = z / sqrt(root)
            center, factor = job.mean + first, job.last_factor + first
            out = <real *>job.out + i * job.n_columns + first
            for j in range(n):
                out[j] = (piece[j] - <real>center[j]) * <real>factor[j]
            first += PIECE


cdef struct Encoding:
    Py_ssize_t n_rows
    Py_ssize_t n_out
    Py_ssize_t task_rows
    int size
    char *X
    Py_ssize_t row_step
    Py_ssize_t column_step
    char *out
    # The column of X of each column of the result, and rows of n_out numbers: e_i, e_{i+1} - e_i, the mean.
    Py_ssize_t *feature
    double *lower
    double *width
    double *mean


cdef void _encode(Encoding *job, Py_ssize_t begin, Py_ssize_t end, real *like) noexcept nogil:
    cdef Py_ssize_t i, first, last, j
    cdef double x, b
    cdef double *lower = job.lower
    cdef double *width = job.width
    cdef double *mean = job.mean
    cdef char *row
    cdef real *out
    for i in range(begin, end):
        row, out = job.X + i * job.row_step, <real *>job.out + i * job.n_out
        first = 0
        while first < job.n_out:
            last = first + 1
            while last < job.n_out and job.feature[last] == job.feature[first]:
                last += 1
            x = (<real *>(row + job.feature[first] * job.column_step))[0]
            for j in range(first, last):
                b = (x - lower[j]) / width[j]
                b = b if b > 0 else 0.0
                b = b if b < 1 else 1.0
                out[j] = <real>(b - mean[j])
            first = last


cdef void _encode_task(void *task, int number) noexcept nogil:
    cdef Encoding *job = <Encoding *>task
    cdef Py_ssize_t begin = number * job.task_rows, end = min(job.n_rows, begin + job.task_rows)
    if job.size == sizeof(float):
        _encode(job, begin, end, <float *>NULL)
    else:
        _encode(job, begin, end, <double *>NULL)


def encode_bins(cnp.ndarray X, cnp.ndarray out, cnp.ndarray feature, cnp.ndarray coefficients, int n_threads):
    """Encode the columns of some rows by quantile bins.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        float32 or float64.
    out : ndarray of shape (n_rows, n_out) of the type of X, in C order
    feature : ndarray of intp of shape (n_out,)
        The column of X of each column of `out`. Equal ones follow each other.
    coefficients : ndarray of float64 of shape (3, n_out), in C order
        e_i, e_{i+1} - e_i, the mean.
    n_threads : int
    """
    cdef Encoding job
    cdef Py_ssize_t n_tasks
    cdef double *numbers = <double *>cnp.PyArray_DATA(coefficients)
    cdef bint fits = cnp.PyArray_NDIM(X) == 2 and cnp.PyArray_NDIM(out) == 2 and cnp.PyArray_NDIM(coefficients) == 2
    fits = fits and cnp.PyArray_TYPE(X) == cnp.PyArray_TYPE(out) and cnp.PyArray_TYPE(coefficients) == cnp.NPY_DOUBLE
    fits = fits and (cnp.PyArray_TYPE(X) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE)
    fits = fits and cnp.PyArray_TYPE(feature) == cnp.NPY_INTP and cnp.PyArray_NDIM(feature) == 1
    fits = fits and cnp.PyArray_ISBEHAVED_RO(X) and cnp.PyArray_ISCARRAY(out) and cnp.PyArray_ISCARRAY_RO(coefficients)
    fits = fits and cnp.PyArray_ISCARRAY_RO(feature) and cnp.PyArray_DIM(X, 0) == cnp.PyArray_DIM(out, 0)
    fits = fits and cnp.PyArray_DIM(feature, 0) == cnp.PyArray_DIM(out, 1) == cnp.PyArray_DIM(coefficients, 1)
    fits = fits and cnp.PyArray_DIM(coefficients, 0) == 3
    if fits and cnp.PyArray_SIZE(feature):
        fits = 0 <= feature.min() and feature.max() < cnp.PyArray_DIM(X, 1)
    if not fits:
        raise TypeError("the rows, the result and the coefficients do not fit together")
    job.n_rows, job.n_out, job.size = cnp.PyArray_DIM(X, 0), cnp.PyArray_DIM(out, 1), X.itemsize
    job.X, job.out = <char *>cnp.PyArray_DATA(X), <char *>cnp.PyArray_DATA(out)
    job.row_step, job.column_step = cnp.PyArray_STRIDE(X, 0), cnp.PyArray_STRIDE(X, 1)
    job.feature, job.lower, job.width = <Py_ssize_t *>cnp.PyArray_DATA(feature), numbers, numbers + job.n_out
    job.mean = numbers + 2 * job.n_out
    if not (job.n_rows and job.n_out):
        return
    job.task_rows = max(LEAST_NUMBERS // job.n_out + 1, job.n_rows // MOST_TASKS + 1)
    n_tasks = (job.n_rows + job.task_rows - 1) // job.task_rows
    if n_threads > 1 and n_tasks > 1:
        pool.start(n_threads)
    with nogil:
        pool.run_tasks(_encode_task, &job, <int>n_tasks, n_threads)


cdef void _scale_task(void *task, int number) noexcept nogil:
    cdef Scaling *job = <Scaling *>task
    cdef Py_ssize_t begin = number * job.task_rows, end = min(job.n_rows, begin + job.task_rows)
    if job.size == sizeof(float):
        _scale(job, begin, end, <float *>NULL)
    else:
        _scale(job, begin, end, <double *>NULL)


def scale_columns(cnp.ndarray X, cnp.ndarray out, cnp.ndarray coefficients, int n_threads):
    """Scale the columns of some rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        float32 or float64.
    out : ndarray of the shape and type of X, in C order
    coefficients : ndarray of float64 of shape (7, n_columns), in C order
        m, 1/s, the z of a gap, the bend (1/3 or 0), the largest z, the mean of u, 1 / the deviation of u.
    n_threads : int
    """
    cdef Scaling job
    cdef Py_ssize_t n_tasks
    cdef double *numbers = <double *>cnp.PyArray_DATA(coefficients)
    cdef bint fits = cnp.PyArray_NDIM(X) == 2 and cnp.PyArray_NDIM(out) == 2 and cnp.PyArray_NDIM(coefficients) == 2
    fits = fits and cnp.PyArray_TYPE(X) == cnp.PyArray_TYPE(out) and cnp.PyArray_TYPE(coefficients) == cnp.NPY_DOUBLE
    fits = fits and (cnp.PyArray_TYPE(X) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE)
    fits = fits and cnp.PyArray_ISBEHAVED_RO(X) and cnp.PyArray_ISCARRAY(out) and cnp.PyArray_ISCARRAY_RO(coefficients)
    fits = fits and cnp.PyArray_DIM(X, 0) == cnp.PyArray_DIM(out, 0) and cnp.PyArray_DIM(X, 1) == cnp.PyArray_DIM(out, 1)
    if not (fits and cnp.PyArray_DIM(coefficients, 0) == 7 and cnp.PyArray_DIM(coefficients, 1) == cnp.PyArray_DIM(X, 1)):
        raise TypeError("the rows, the result and the coefficients do not fit together")
    job.n_rows, job.n_columns, job.size = cnp.PyArray_DIM(X, 0), cnp.PyArray_DIM(X, 1), X.itemsize
    job.X, job.out = <char *>cnp.PyArray_DATA(X), <char *>cnp.PyArray_DATA(out)
    job.row_step, job.column_step = cnp.PyArray_STRIDE(X, 0), cnp.PyArray_STRIDE(X, 1)
    job.center, job.factor, job.gap = numbers, numbers + job.n_columns, numbers + 2 * job.n_columns
    job.bend, job.largest = numbers + 3 * job.n_columns, numbers + 4 * job.n_columns
    job.mean, job.last_factor = numbers + 5 * job.n_columns, numbers + 6 * job.n_columns
    if not (job.n_rows and job.n_columns):
        return
    job.task_rows = max(LEAST_NUMBERS // job.n_columns + 1, job.n_rows // MOST_TASKS + 1)
    n_tasks = (job.n_rows + job.task_rows - 1) // job.task_rows
    if n_threads > 1 and n_tasks > 1:
        pool.start(n_threads)
    with nogil:
        pool.run_tasks(_scale_task, &job, <int>n_tasks, n_threads)
