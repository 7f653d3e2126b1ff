ctypedef fused real:
    float
    double

# Activations are numbers, those of the table in elementwise.pyx.
cdef void activate(int activation, real *a, Py_ssize_t n) noexcept nogil
cdef void multiply_by_slope(int activation, const real *a, real *delta, Py_ssize_t n) noexcept nogil
cdef void softmax_loss(
    const real *logits, real *out, const char *target, int itemsize, real smoothing, real *losses,
    Py_ssize_t n_rows, Py_ssize_t width,
) noexcept nogil
cdef void logistic_loss(
    const real *logits, real *out, const char *target, real smoothing, real *losses,
    Py_ssize_t n_rows, Py_ssize_t width,
) noexcept nogil
cdef real sum_of(const real *x, Py_ssize_t n) noexcept nogil
