"""Update rules: one step over a flat vector, in one pass.

The formulas are those of the classes in `skbp._training.updates`. A loop reads its numbers into local variables before it
writes: then it needs no promise that the vectors do not overlap to use vector instructions.
"""

from libc.math cimport sqrt, sqrtf

cimport numpy as cnp

from skbp._core cimport pool
from skbp._core.elementwise cimport real

import numpy as np

cnp.import_array()

cdef enum:
    # Threads share a vector in blocks of this many numbers, if there are at least two blocks.
    BLOCK = 65536
    MOST_BLOCKS = 4095


cdef struct Step:
    int size
    Py_ssize_t n
    Py_ssize_t block
    char *theta
    char *gradient
    char *first
    char *second
    # Adam: beta_1, beta_2, the step size and epsilon, as `adam` takes them. SGD: momentum, the learning rate.
    double decay
    double second_decay
    double rate
    double epsilon
    bint nesterov


cdef void _adam(
    Step *step, Py_ssize_t begin, Py_ssize_t end, real *theta, const real *gradient, real *mean, real *square
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real g, m, v, root
    cdef real beta_1 = <real>step.decay, beta_2 = <real>step.second_decay
    cdef real rate = <real>step.rate, epsilon = <real>step.epsilon
    for i in range(begin, end):
        g = gradient[i]
        m = mean[i] * beta_1 + g
        v = square[i] * beta_2 + g * g
        if real is float:
            root = sqrtf(v)
        else:
            root = sqrt(v)
        g = theta[i] - m / (root + epsilon) * rate
        mean[i] = m
        square[i] = v
        theta[i] = g


cdef void _sgd(
    Step *step, Py_ssize_t begin, Py_ssize_t end, real *theta, const real *gradient, real *velocity
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real descent, v, t
    cdef real momentum = <real>step.decay, rate = <real>-step.rate
    if velocity == NULL:
        for i in range(begin, end):
            theta[i] = theta[i] + gradient[i] * rate
    elif step.nesterov:
        for i in range(begin, end):
            descent = gradient[i] * rate
            v = velocity[i] * momentum + descent
            t = theta[i] + (descent + momentum * v)
            velocity[i] = v
            theta[i] = t
    else:
        for i in range(begin, end):
            v = velocity[i] * momentum + gradient[i] * rate
            t = theta[i] + v
            velocity[i] = v
            theta[i] = t


cdef void _adam_task(void *job, int number) noexcept nogil:
    cdef Step *step = <Step *>job
    cdef Py_ssize_t begin = number * step.block, end = min(begin + step.block, step.n)
    if step.size == sizeof(float):
        _adam(
            step, begin, end,
            <float *>step.theta, <const float *>step.gradient, <float *>step.first, <float *>step.second,
        )
    else:
        _adam(
            step, begin, end,
            <double *>step.theta, <const double *>step.gradient, <double *>step.first, <double *>step.second,
        )


cdef void _sgd_task(void *job, int number) noexcept nogil:
    cdef Step *step = <Step *>job
    cdef Py_ssize_t begin = number * step.block, end = min(begin + step.block, step.n)
    if step.size == sizeof(float):
        _sgd(step, begin, end, <float *>step.theta, <const float *>step.gradient, <float *>step.first)
    else:
        _sgd(step, begin, end, <double *>step.theta, <const double *>step.gradient, <double *>step.first)


def adam(theta, gradient, mean, square, double beta_1, double beta_2, double step_size, double epsilon, int n_threads=1):
    """Change theta and the moments by one step. See `skbp._training.updates.Adam`.

    Parameters
    ----------
    theta, gradient, mean, square : ndarray of shape (n,)
        Of one type, float32 or float64. All but the gradient are changed.
    beta_1, beta_2 : float
    step_size, epsilon : float
        With the corrections for the start and for the scale of the moments.
    n_threads : int, default=1
    """
    cdef Step step
    step.decay, step.second_decay, step.rate, step.epsilon = beta_1, beta_2, step_size, epsilon
    step.first, step.second = _vector(mean, theta, True), _vector(square, theta, True)
    _run(_adam_task, &step, theta, gradient, n_threads)


def sgd(theta, gradient, velocity, double momentum, double learning_rate, bint nesterov, int n_threads=1):
    """Change theta and the velocity by one step. See `skbp._training.updates.SGD`.

    Parameters
    ----------
    theta, gradient : ndarray of shape (n,)
        Of one type, float32 or float64.
    velocity : ndarray of shape (n,), or None
        None for no momentum.
    momentum, learning_rate : float
    nesterov : bool
    n_threads : int, default=1
    """
    cdef Step step
    step.decay, step.rate, step.nesterov = momentum, learning_rate, nesterov
    step.first = _vector(velocity, theta, True) if velocity is not None else NULL
    _run(_sgd_task, &step, theta, gradient, n_threads)


cdef int _run(pool.Task task, Step *step, theta, gradient, int n_threads) except -1:
    cdef int n_blocks
    step.theta, step.gradient = _vector(theta, theta, True), _vector(gradient, theta, False)
    step.n, step.size = cnp.PyArray_SIZE(theta), theta.itemsize
    step.block = max(<Py_ssize_t>BLOCK, step.n // MOST_BLOCKS + 1)
    n_blocks = <int>((step.n + step.block - 1) // step.block)
    if n_threads > 1 and n_blocks > 1:
        pool.start(n_threads)
    with nogil:
        pool.run_tasks(task, step, n_blocks, n_threads)
    return 0


cdef char *_vector(cnp.ndarray vector, cnp.ndarray theta, bint is_changed) except NULL:
    """The memory of a vector that must have the type and length of theta."""
    if (
        cnp.PyArray_TYPE(vector) != cnp.PyArray_TYPE(theta)
        or not (cnp.PyArray_TYPE(vector) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(vector) == cnp.NPY_DOUBLE)
        or cnp.PyArray_SIZE(vector) != cnp.PyArray_SIZE(theta)
        or not (cnp.PyArray_ISCARRAY(vector) if is_changed else cnp.PyArray_ISCARRAY_RO(vector))
    ):
        raise TypeError("an update takes contiguous, writable vectors of one type, float32 or float64, and of one length")
    return <char *>cnp.PyArray_DATA(vector)
