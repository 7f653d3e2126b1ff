"""The functions that are applied element by element: activations, their slopes, and the losses.

They do the same operations as `skbp._network.activations` and `skbp._network.losses`, in the same order. exp, tanh and
others are the inner loops of NumPy and SciPy. These have vector instructions and give the same bits as a call from Python.

Everything runs block by block, so that the intermediate results of a block stay in the processor's first cache. A loop goes
through two arrays at most where it can, because Cython cannot promise the compiler that arrays do not overlap.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

import inspect

import numpy as np
from scipy.special import erf

ctypedef void (*InnerLoop)(char **, const Py_ssize_t *, const Py_ssize_t *, void *) noexcept nogil

cdef extern from "numpy/ndarraytypes.h":
    cdef enum:
        NPY_FLOAT
        NPY_DOUBLE

cdef extern from "numpy/ufuncobject.h":
    ctypedef struct PyUFuncObject:
        InnerLoop *functions
        void **data
        int ntypes
        const char *types

cdef enum:
    BLOCK = 512

cdef enum Activation:
    IDENTITY
    LOGISTIC
    TANH
    RELU
    LEAKY_RELU
    RELU6
    ELU
    SELU
    GELU
    SILU
    MISH
    SOFTPLUS
    SOFTSIGN

ACTIVATIONS = {
    "identity": IDENTITY,
    "logistic": LOGISTIC,
    "tanh": TANH,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "relu6": RELU6,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SILU,
    "mish": MISH,
    "softplus": SOFTPLUS,
    "softsign": SOFTSIGN,
}

cdef enum Function:
    EXP
    EXPM1
    LOG
    LOG1P
    TANH_
    ERF
    N_FUNCTIONS


cdef struct Loop:
    InnerLoop function
    void *data


cdef Loop[N_FUNCTIONS] single_loops
cdef Loop[N_FUNCTIONS] double_loops


cdef int _find_loops(object ufunc, int function) except -1:
    """Store the inner loops of a function of one number for float32 and float64."""
    ufunc = inspect.unwrap(ufunc)  # SciPy wraps its functions where it supports other libraries' arrays
    if not isinstance(ufunc, np.ufunc):
        raise ImportError(f"{ufunc!r} is not a ufunc")
    cdef PyUFuncObject *found = <PyUFuncObject *>ufunc
    cdef int k
    for k in range(found.ntypes - 1, -1, -1):  # NumPy uses the first loop that fits
        if found.types[2 * k] == NPY_FLOAT and found.types[2 * k + 1] == NPY_FLOAT:
            single_loops[function] = Loop(found.functions[k], found.data[k])
        elif found.types[2 * k] == NPY_DOUBLE and found.types[2 * k + 1] == NPY_DOUBLE:
            double_loops[function] = Loop(found.functions[k], found.data[k])
    if single_loops[function].function == NULL or double_loops[function].function == NULL:
        raise ImportError(f"{ufunc!r} has no loop for float32 or for float64")
    return 0


_find_loops(np.exp, EXP)
_find_loops(np.expm1, EXPM1)
_find_loops(np.log, LOG)
_find_loops(np.log1p, LOG1P)
_find_loops(np.tanh, TANH_)
_find_loops(erf, ERF)


cdef inline void _apply(int function, real *x, Py_ssize_t n) noexcept nogil:
    """Replace n numbers by their function."""
    cdef char *arguments[2]
    cdef Py_ssize_t steps[2]
    cdef Loop *loop
    arguments[0] = arguments[1] = <char *>x
    steps[0] = steps[1] = sizeof(real)
    if real is float:
        loop = &single_loops[function]
    else:
        loop = &double_loops[function]
    loop.function(arguments, &n, steps, loop.data)


cdef inline real _below_zero(real z) noexcept nogil:
    return z if z < 0 else <real>0.0


cdef inline real _above_zero(real z) noexcept nogil:
    return <real>0.0 if 0 > z else z  # nan stays nan


# --- activations -----------------------------------------------------------------------------------------------------

cdef inline void _logistic(real *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = x[i] * <real>0.5
    _apply(TANH_, x, n)
    for i in range(n):
        x[i] = x[i] * <real>0.5 + <real>0.5


cdef inline void _exponential_below_zero(real *x, real *negative, Py_ssize_t n, real scale, real alpha) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        negative[i] = _below_zero(x[i])
    _apply(EXPM1, negative, n)
    for i in range(n):
        x[i] = _above_zero(x[i]) * scale + negative[i] * (scale * alpha)


cdef inline void _normal_cdf(real *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = x[i] * <real>0.7071067811865476
    _apply(ERF, x, n)
    for i in range(n):
        x[i] = (x[i] + <real>1.0) * <real>0.5


cdef inline void _tanh_softplus(real *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real e
    for i in range(n):
        x[i] = x[i] if x[i] < 20 else (<real>20.0 if x[i] >= 20 else x[i])
    _apply(EXP, x, n)
    for i in range(n):
        e = x[i] * (x[i] + <real>2.0)
        x[i] = e / (e + <real>2.0)


cdef inline void _softplus(real *x, real *room, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        room[i] = -x[i] if x[i] > 0 else x[i]
    _apply(EXP, room, n)
    _apply(LOG1P, room, n)
    for i in range(n):
        x[i] = room[i] + _above_zero(x[i])


cdef inline void _copy(const real *x, real *copy, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        copy[i] = x[i]


cdef void _activate_block(int activation, real *a, Py_ssize_t n) noexcept nogil:
    cdef real room[BLOCK]
    cdef Py_ssize_t i
    cdef real scaled
    if activation == LOGISTIC:
        _logistic(a, n)
    elif activation == TANH:
        _apply(TANH_, a, n)
    elif activation == RELU:
        for i in range(n):
            a[i] = _above_zero(a[i])
    elif activation == LEAKY_RELU:
        for i in range(n):
            scaled = <real>0.01 * a[i]
            a[i] = a[i] if a[i] > scaled else scaled
    elif activation == RELU6:
        for i in range(n):
            scaled = _above_zero(a[i])
            a[i] = <real>6.0 if 6 < scaled else scaled
    elif activation == ELU:
        _exponential_below_zero(a, room, n, <real>1.0, <real>1.0)
    elif activation == SELU:
        _exponential_below_zero(a, room, n, <real>1.0507009873554805, <real>1.6732632423543772)
    elif activation == GELU or activation == SILU or activation == MISH:
        # z times a function of z
        _copy(a, room, n)
        if activation == GELU:
            _normal_cdf(room, n)
        elif activation == SILU:
            _logistic(room, n)
        else:
            _tanh_softplus(room, n)
        for i in range(n):
            a[i] = a[i] * room[i]
    elif activation == SOFTPLUS:
        _softplus(a, room, n)
    elif activation == SOFTSIGN:
        for i in range(n):
            a[i] = a[i] / (<real>1.0 + (-a[i] if a[i] < 0 else a[i]))


cdef void activate(int activation, real *a, Py_ssize_t n) noexcept nogil:
    """Replace n weighted sums by f of them, equation (2)."""
    cdef Py_ssize_t start = 0
    if activation != IDENTITY:
        while start < n:
            _activate_block(activation, a + start, min(<Py_ssize_t>BLOCK, n - start))
            start += BLOCK


# --- slopes ----------------------------------------------------------------------------------------------------------

cdef void _slope_block(int activation, const real *a, real *delta, Py_ssize_t n) noexcept nogil:
    cdef real room[BLOCK]
    cdef real second[BLOCK]
    cdef Py_ssize_t i
    cdef real x, size
    if activation == LOGISTIC:
        for i in range(n):
            delta[i] = delta[i] * ((<real>1.0 - a[i]) * a[i])
    elif activation == TANH:
        for i in range(n):
            delta[i] = delta[i] * (<real>1.0 - a[i] * a[i])
    elif activation == RELU:
        for i in range(n):
            delta[i] = delta[i] if a[i] > 0 else <real>0.0
    elif activation == LEAKY_RELU:
        for i in range(n):
            delta[i] = delta[i] * (<real>1.0 if a[i] > 0 else <real>0.01)
    elif activation == RELU6:
        for i in range(n):
            x = delta[i] if a[i] > 0 else <real>0.0
            delta[i] = x if a[i] < 6 else <real>0.0
    elif activation == ELU:
        for i in range(n):
            delta[i] = delta[i] * (_below_zero(a[i]) + <real>1.0)
    elif activation == SELU:
        for i in range(n):
            x = a[i] + <real>(1.0507009873554805 * 1.6732632423543772)
            delta[i] = delta[i] * (<real>1.0507009873554805 if a[i] > 0 else x)
    elif activation == SOFTPLUS:
        for i in range(n):
            room[i] = -a[i]
        _apply(EXPM1, &room[0], n)
        for i in range(n):
            delta[i] = delta[i] * -room[i]
    elif activation == SOFTSIGN:
        for i in range(n):
            size = <real>1.0 - (-a[i] if a[i] < 0 else a[i])
            delta[i] = delta[i] * (size * size)
    elif activation == GELU:
        # a holds z, as for the next two.
        for i in range(n):
            x = <real>40.0 if a[i] > 40 else (<real>-40.0 if a[i] < -40 else a[i])
            room[i] = x * x * <real>-0.5
        _apply(EXP, &room[0], n)
        _copy(a, &second[0], n)
        _normal_cdf(&second[0], n)
        for i in range(n):
            x = <real>40.0 if a[i] > 40 else (<real>-40.0 if a[i] < -40 else a[i])
            delta[i] = delta[i] * (room[i] * <real>0.3989422804014327 * x + second[i])
    elif activation == SILU:
        _copy(a, &room[0], n)
        _logistic(&room[0], n)
        for i in range(n):
            delta[i] = delta[i] * (((<real>1.0 - room[i]) * a[i] + <real>1.0) * room[i])
    elif activation == MISH:
        _copy(a, &room[0], n)
        _logistic(&room[0], n)
        _copy(a, &second[0], n)
        _tanh_softplus(&second[0], n)
        for i in range(n):
            delta[i] = delta[i] * ((<real>1.0 - second[i] * second[i]) * room[i] * a[i] + second[i])


cdef void multiply_by_slope(int activation, const real *a, real *delta, Py_ssize_t n) noexcept nogil:
    """Multiply n derivatives by a_l by f'(z_l), equation (5). `a` holds a_l, or z_l for an activation that needs it."""
    cdef Py_ssize_t start = 0
    if activation != IDENTITY:
        while start < n:
            _slope_block(activation, a + start, delta + start, min(<Py_ssize_t>BLOCK, n - start))
            start += BLOCK


# --- losses ----------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t _class(const char *target, int itemsize, Py_ssize_t i) noexcept nogil:
    """The i-th of unsigned integers of this size."""
    if itemsize == 1:
        return (<const uint8_t *>target)[i]
    if itemsize == 2:
        return (<const uint16_t *>target)[i]
    if itemsize == 4:
        return (<const uint32_t *>target)[i]
    return <Py_ssize_t>(<const uint64_t *>target)[i]


cdef enum:
    LANES = 8


cdef inline real _largest(const real *x, Py_ssize_t n) noexcept nogil:
    """The largest number. Eight running maxima keep the processor's vector units at work."""
    cdef real lanes[LANES]
    cdef Py_ssize_t i, k
    cdef real largest = x[0]
    if n >= 2 * LANES:
        for k in range(LANES):
            lanes[k] = x[k]
        for i in range(1, n // LANES):
            for k in range(LANES):
                lanes[k] = x[i * LANES + k] if x[i * LANES + k] > lanes[k] else lanes[k]
        for k in range(LANES):
            largest = lanes[k] if lanes[k] > largest else largest
        for i in range(n - n % LANES, n):
            largest = x[i] if x[i] > largest else largest
        return largest
    for i in range(1, n):
        largest = x[i] if x[i] > largest else largest
    return largest


cdef real sum_of(const real *x, Py_ssize_t n) noexcept nogil:
    """The sum in eight lanes, which is also more exact than one after the other."""
    cdef real lanes[LANES]
    cdef Py_ssize_t i, k
    cdef real total = 0
    if n >= 2 * LANES:
        for k in range(LANES):
            lanes[k] = x[k]
        for i in range(1, n // LANES):
            for k in range(LANES):
                lanes[k] = lanes[k] + x[i * LANES + k]
        for k in range(LANES):
            total = total + lanes[k]
        for i in range(n - n % LANES, n):
            total = total + x[i]
        return total
    for i in range(n):
        total = total + x[i]
    return total


cdef void softmax_loss(
    const real *logits, real *out, const char *target, int itemsize, real smoothing, real *losses,
    Py_ssize_t n_rows, Py_ssize_t width,
) noexcept nogil:
    """Write the loss of each row and its derivative by the logits. `target` holds the index of each row's class."""
    cdef real totals[BLOCK]
    cdef Py_ssize_t start = 0, n, i, j, y
    # As many rows as stay in the first cache.
    cdef Py_ssize_t most = max(<Py_ssize_t>1, min(<Py_ssize_t>BLOCK, 4096 // width))
    cdef real largest, expected, inverse, other = smoothing / width
    cdef const real *z
    cdef real *p
    while start < n_rows:
        n = min(most, n_rows - start)
        for i in range(n):
            z, p = logits + (start + i) * width, out + (start + i) * width
            largest = _largest(z, width)
            for j in range(width):
                p[j] = z[j] - largest
            expected = p[_class(target, itemsize, start + i)]
            if smoothing > 0:
                expected = expected * (<real>1.0 - smoothing) + other * sum_of(p, width)
            losses[start + i] = -expected
        _apply(EXP, out + start * width, n * width)
        for i in range(n):
            p = out + (start + i) * width
            totals[i] = sum_of(p, width)
            inverse = <real>1.0 / totals[i]
            for j in range(width):
                p[j] = p[j] * inverse
            y = _class(target, itemsize, start + i)
            p[y] = p[y] - (<real>1.0 - smoothing)
            if smoothing > 0:
                for j in range(width):
                    p[j] = p[j] - other
        _apply(LOG, &totals[0], n)
        for i in range(n):
            losses[start + i] = losses[start + i] + totals[i]
        start += n


cdef void logistic_loss(
    const real *logits, real *out, const char *target, real smoothing, real *losses,
    Py_ssize_t n_rows, Py_ssize_t width,
) noexcept nogil:
    """Write the loss of each row and its derivative by the logits. `target` holds a byte for each output, 0 or 1."""
    cdef real wrong[BLOCK]
    cdef real room[BLOCK]
    cdef Py_ssize_t start = 0, i, n, total = n_rows * width
    cdef Py_ssize_t most = BLOCK - BLOCK % width if width < BLOCK else BLOCK  # whole rows, if they are short
    cdef real sign, half = <real>0.5 * smoothing
    for i in range(n_rows):
        losses[i] = 0
    while start < total:
        n = min(most, total - start if width < BLOCK else width - start % width)
        for i in range(n):
            wrong[i] = -logits[start + i] if target[start + i] else logits[start + i]
        _copy(&wrong[0], out + start, n)
        _softplus(out + start, &room[0], n)
        for i in range(n):
            room[i] = out[start + i] - half * wrong[i]
        for i in range((n + width - 1) // width):
            losses[start // width + i] += sum_of(&room[i * width], min(width, n - i * width))
        for i in range(n):
            out[start + i] = wrong[i] - out[start + i]
        _apply(EXP, out + start, n)
        for i in range(n):
            sign = <real>-1.0 if target[start + i] else <real>1.0
            out[start + i] = (out[start + i] - half) * sign
        start += n
