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


# Rows and the place of their results, which have n_columns each. A task takes task_rows of them.
cdef struct Table:
    Py_ssize_t n_rows
    Py_ssize_t n_columns
    Py_ssize_t task_rows
    int size
    char *X
    Py_ssize_t row_step
    Py_ssize_t column_step
    char *out


cdef int _see(Table *table, cnp.ndarray X, cnp.ndarray out, cnp.ndarray coefficients, int n_rows_of_coefficients) except -1:
    """Set a table. An error if the arrays do not fit together."""
    cdef bint fits = cnp.PyArray_NDIM(X) == 2 and cnp.PyArray_NDIM(out) == 2 and cnp.PyArray_NDIM(coefficients) == 2
    fits = fits and cnp.PyArray_TYPE(X) == cnp.PyArray_TYPE(out) and cnp.PyArray_TYPE(coefficients) == cnp.NPY_DOUBLE
    fits = fits and (cnp.PyArray_TYPE(X) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE)
    fits = fits and cnp.PyArray_ISBEHAVED_RO(X) and cnp.PyArray_ISCARRAY(out) and cnp.PyArray_ISCARRAY_RO(coefficients)
    fits = fits and cnp.PyArray_DIM(X, 0) == cnp.PyArray_DIM(out, 0)
    fits = fits and cnp.PyArray_DIM(coefficients, 0) == n_rows_of_coefficients
    if not (fits and cnp.PyArray_DIM(coefficients, 1) == cnp.PyArray_DIM(out, 1)):
        raise TypeError("the rows, the result and the coefficients do not fit together")
    table.n_rows, table.n_columns, table.size = cnp.PyArray_DIM(X, 0), cnp.PyArray_DIM(out, 1), X.itemsize
    table.X, table.out = <char *>cnp.PyArray_DATA(X), <char *>cnp.PyArray_DATA(out)
    table.row_step, table.column_step = cnp.PyArray_STRIDE(X, 0), cnp.PyArray_STRIDE(X, 1)
    table.task_rows = max(LEAST_NUMBERS // max(table.n_columns, 1) + 1, table.n_rows // MOST_TASKS + 1)
    return 0


cdef int _run(pool.Task function, void *job, Table *table, int n_threads) except -1:
    """Let the threads take the tasks."""
    cdef Py_ssize_t n_tasks = (table.n_rows + table.task_rows - 1) // table.task_rows
    if not (table.n_rows and table.n_columns):
        return 0
    if n_threads > 1 and n_tasks > 1:
        pool.start(n_threads)
    with nogil:
        pool.run_tasks(function, job, <int>n_tasks, n_threads)
    return 0


cdef struct Scaling:
    Table table
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
        while first < job.table.n_columns:
            n = min(<Py_ssize_t>PIECE, job.table.n_columns - first)
            row = job.table.X + i * job.table.row_step + first * job.table.column_step
            if job.table.column_step == sizeof(real):
                x = <const real *>row
                for j in range(n):
                    number[j] = x[j]
            else:
                for j in range(n):
                    number[j] = (<real *>(row + j * job.table.column_step))[0]
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
            out = <real *>job.table.out + i * job.table.n_columns + first
            for j in range(n):
                out[j] = (piece[j] - <real>center[j]) * <real>factor[j]
            first += PIECE


cdef struct Encoding:
    Table table
    # The column of X of each column of the result, and rows of n_columns numbers: e_i, e_{i+1} - e_i, the mean.
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
        row, out = job.table.X + i * job.table.row_step, <real *>job.table.out + i * job.table.n_columns
        first = 0
        while first < job.table.n_columns:
            last = first + 1
            while last < job.table.n_columns and job.feature[last] == job.feature[first]:
                last += 1
            x = (<real *>(row + job.feature[first] * job.table.column_step))[0]
            for j in range(first, last):
                b = (x - lower[j]) / width[j]
                b = b if b > 0 else 0.0
                b = b if b < 1 else 1.0
                out[j] = <real>(b - mean[j])
            first = last


cdef void _encode_task(void *task, int number) noexcept nogil:
    cdef Encoding *job = <Encoding *>task
    cdef Py_ssize_t begin = number * job.table.task_rows, end = min(job.table.n_rows, begin + job.table.task_rows)
    if job.table.size == sizeof(float):
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
    cdef double *numbers = <double *>cnp.PyArray_DATA(coefficients)
    cdef bint fits
    _see(&job.table, X, out, coefficients, 3)
    fits = cnp.PyArray_TYPE(feature) == cnp.NPY_INTP and cnp.PyArray_NDIM(feature) == 1
    fits = fits and cnp.PyArray_ISCARRAY_RO(feature) and cnp.PyArray_DIM(feature, 0) == job.table.n_columns
    if fits and cnp.PyArray_SIZE(feature):
        fits = 0 <= feature.min() and feature.max() < cnp.PyArray_DIM(X, 1)
    if not fits:
        raise TypeError("the columns of X and the result do not fit together")
    job.feature, job.lower = <Py_ssize_t *>cnp.PyArray_DATA(feature), numbers
    job.width, job.mean = numbers + job.table.n_columns, numbers + 2 * job.table.n_columns
    _run(_encode_task, &job, &job.table, n_threads)


cdef void _scale_task(void *task, int number) noexcept nogil:
    cdef Scaling *job = <Scaling *>task
    cdef Py_ssize_t begin = number * job.table.task_rows, end = min(job.table.n_rows, begin + job.table.task_rows)
    if job.table.size == sizeof(float):
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
    cdef double *numbers = <double *>cnp.PyArray_DATA(coefficients)
    cdef Py_ssize_t n = cnp.PyArray_DIM(X, 1) if cnp.PyArray_NDIM(X) == 2 else -1
    _see(&job.table, X, out, coefficients, 7)
    if n != job.table.n_columns:
        raise TypeError("the rows and the result do not fit together")
    job.center, job.factor, job.gap, job.bend = numbers, numbers + n, numbers + 2 * n, numbers + 3 * n
    job.largest, job.mean, job.last_factor = numbers + 4 * n, numbers + 5 * n, numbers + 6 * n
    _run(_scale_task, &job, &job.table, n_threads)
