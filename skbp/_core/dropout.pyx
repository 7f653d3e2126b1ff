"""The factors of dropout: the same random bits as `skbp._network.dropout` takes, compared in one pass."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcpy

cimport numpy as cnp

from skbp._core cimport pool
from skbp._core.elementwise cimport real

cnp.import_array()

cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void *state
        uint64_t (*next_uint64)(void *state) nogil

cdef enum:
    # Of one job. More members are drawn by several jobs.
    MOST_MEMBERS = 4095


cdef struct Draw:
    bitgen_t *generators[MOST_MEMBERS]
    char *factor
    Py_ssize_t size
    int itemsize
    int level
    double kept


cdef void _draw(bitgen_t *generator, real *factor, Py_ssize_t n, int level, real kept) noexcept nogil:
    cdef uint64_t bits
    cdef uint16_t[4] numbers
    cdef Py_ssize_t i = 0
    cdef int k
    while i < n:
        bits = generator.next_uint64(generator.state)
        memcpy(&numbers[0], &bits, sizeof(bits))
        for k in range(<int>min(<Py_ssize_t>4, n - i)):
            factor[i + k] = kept if numbers[k] >= level else <real>0.0
        i += 4


cdef void _draw_task(void *job, int member) noexcept nogil:
    cdef Draw *draw = <Draw *>job
    cdef char *factor = draw.factor + member * draw.size * draw.itemsize
    if draw.itemsize == sizeof(float):
        _draw(draw.generators[member], <float *>factor, draw.size, draw.level, <float>draw.kept)
    else:
        _draw(draw.generators[member], <double *>factor, draw.size, draw.level, draw.kept)


def draw_factors(list generators, cnp.ndarray factor, int level, double kept, int n_threads):
    """Write 0 or `kept` for each unit.

    Parameters
    ----------
    generators : list of numpy.random.BitGenerator
        One for each member. Nothing else may use them at the same time.
    factor : ndarray in C order
        float32 or float64, an equal part for each member.
    level : int
        A unit is left out if a random number of 16 bits is below it.
    kept : float
    n_threads : int
    """
    cdef Draw draw
    cdef int k, first, n, n_members = len(generators)
    fits = cnp.PyArray_ISCARRAY(factor) and 0 < n_members and cnp.PyArray_SIZE(factor) % n_members == 0
    if not (fits and (cnp.PyArray_TYPE(factor) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(factor) == cnp.NPY_DOUBLE)):
        raise TypeError("the factors and the generators do not fit together")
    draw.size, draw.itemsize = cnp.PyArray_SIZE(factor) // n_members, factor.itemsize
    draw.level, draw.kept = level, kept
    if n_threads > 1 and n_members > 1:
        pool.start(n_threads)
    for first in range(0, n_members, MOST_MEMBERS):
        n = min(<int>MOST_MEMBERS, n_members - first)
        for k in range(n):
            draw.generators[k] = <bitgen_t *>PyCapsule_GetPointer(generators[first + k].capsule, b"BitGenerator")
        draw.factor = <char *>cnp.PyArray_DATA(factor) + first * draw.size * draw.itemsize
        with nogil:
            pool.run_tasks(_draw_task, &draw, n, n_threads)
