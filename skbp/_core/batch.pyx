"""One batch: value and gradient of the objective, steps 1 to 4 of the algorithm.

`BatchKernel` computes what `skbp._network.objective.Objective` computes with NumPy. It knows the activations and losses of
this package, and rows in one array. The equations have the numbers of `skbp._network.equations`.

A batch is done in two jobs (see pool.pyx). The tasks of the first are shares of the rows: each gathers its rows, runs them
forward, computes the loss and carries delta back to the first layer. The tasks of the second are blocks of the gradient:
each needs all rows. A small batch is one share. Then its one task does everything. The number of shares depends on the size
of the batch and the number of threads, and not on what the threads do. So results are repeatable bit for bit.

A stack has such tasks for each member. All arrays are in C order, and member m of an array starts m times its size further.
"""

from libc.math cimport isfinite
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from scipy.linalg.cython_blas cimport dgemm, dgemv, sgemm, sgemv

cimport numpy as cnp

from skbp._core cimport elementwise, pool
from skbp._core.elementwise cimport real

import numpy as np

cnp.import_array()

# A share has at least this many multiplications in one pass through all layers. It takes longer to hand a smaller share to
# another thread than to compute it.
LEAST_SHARE = 2.0**18

cdef enum:
    MOST_SHARES = 64
    LEAST_ROWS = 16
    # A block of rows to predict for has at most this many.
    MOST_BLOCK_ROWS = 512

# What a call computes.
cdef enum Extent:
    LOGITS
    LOSSES
    GRADIENT


cdef struct Layer:
    int fan_in
    int fan_out
    int activation
    bint keeps_z
    double alpha
    # Of member 0, and the bytes to the next member.
    char *weight
    char *bias
    Py_ssize_t weight_step
    Py_ssize_t bias_step
    char *weight_gradient
    char *bias_gradient
    Py_ssize_t weight_gradient_step
    Py_ssize_t bias_gradient_step
    # Of shape (members, rows, fan_out). NULL where the tape has none.
    char *z
    char *a
    char *factor
    char *dropped
    char *delta


cdef struct Net:
    int n_layers
    int n_members
    bint in_stack
    int type
    int size
    Layer *layers
    bint softmax
    double smoothing
    double most_strength
    # The rows: an array, or a sparse one by rows (CSR). Then X holds the elements, and index_size is that of `columns`.
    bint sparse
    char *X
    char *starts
    char *columns
    int index_size
    bint few
    Py_ssize_t row_step
    Py_ssize_t column_step
    bint in_order
    char *target
    Py_ssize_t target_step
    int target_size
    double *weight
    # The batch.
    Extent extent
    int n_rows
    int n_shares
    Py_ssize_t start
    char *indices
    Py_ssize_t indices_step
    double *totals
    bint further
    char *gathered
    char *gathered_target
    char *losses
    char *ones
    double *values
    int overflow


# Rows to predict for. Each task has a network with buffers of its own and takes one block of rows after the other.
cdef struct Prediction:
    Net *nets
    Py_ssize_t n_rows
    int block_rows
    char *logits
    pool.atomic_word n_taken
    pool.atomic_word overflow


cdef inline void _multiply(
    bint left_is_transposed, bint right_is_transposed, int m, int n, int k,
    real *left, int left_step, real *right, int right_step, real beta, real *out,
) noexcept nogil:
    """out = left @ right + beta * out. `out` is of shape (m, n), and k is the length of the sums.

    BLAS counts along columns first. For BLAS these arrays are the transposed ones, and it computes right' @ left'.
    """
    cdef char first = b"T" if right_is_transposed else b"N"
    cdef char second = b"T" if left_is_transposed else b"N"
    cdef real one = 1
    if n == 1 and right_step == 1:
        _multiply_vector(not left_is_transposed, left, left_step, m, k, right, beta, out)
    elif m == 1 and not left_is_transposed:
        _multiply_vector(right_is_transposed, right, right_step, n, k, left, beta, out)
    elif real is float:
        sgemm(&first, &second, &n, &m, &k, &one, right, &right_step, left, &left_step, &beta, out, &n)
    else:
        dgemm(&first, &second, &n, &m, &k, &one, right, &right_step, left, &left_step, &beta, out, &n)


cdef inline void _multiply_vector(
    bint sums_rows, real *matrix, int step, int n_out, int n_in, real *vector, real beta, real *out
) noexcept nogil:
    """The same if one of the two is a vector. `sums_rows` says that the sums run along the rows of the matrix."""
    cdef char how = b"T" if sums_rows else b"N"
    cdef int n = n_in if sums_rows else n_out, m = n_out if sums_rows else n_in, one_step = 1
    cdef real one = 1
    if beta == 0:
        memset(out, 0, n_out * sizeof(real))  # some versions of BLAS multiply what is there, even nan, by 0
    if real is float:
        sgemv(&how, &n, &m, &one, matrix, &step, vector, &one_step, &beta, out, &one_step)
    else:
        dgemv(&how, &n, &m, &one, matrix, &step, vector, &one_step, &beta, out, &one_step)


cdef inline Py_ssize_t _row(Net *net, int member, Py_ssize_t i) noexcept nogil:
    """The number of the i-th row of the batch in X."""
    if net.indices == NULL:
        return net.start + i
    return (<Py_ssize_t *>(net.indices + member * net.indices_step))[i]


cdef inline Py_ssize_t _integer(const char *integers, int size, Py_ssize_t i) noexcept nogil:
    return (<const int *>integers)[i] if size == sizeof(int) else (<const Py_ssize_t *>integers)[i]


cdef inline Py_ssize_t _start(Net *net, Py_ssize_t row) noexcept nogil:
    """Where the elements of a sparse row start."""
    return _integer(net.starts, net.index_size, row)


cdef inline Py_ssize_t _feature(Net *net, Py_ssize_t element) noexcept nogil:
    """The feature that an element of sparse rows belongs to."""
    return _integer(net.columns, net.index_size, element)


cdef void _sparse_sums(Net *net, int member, int begin, int end, real *weight, int width, real *z) noexcept nogil:
    """z = X W for a share of sparse rows."""
    cdef Py_ssize_t e, row
    cdef int i
    memset(z, 0, <Py_ssize_t>(end - begin) * width * sizeof(real))
    for i in range(begin, end):
        row = _row(net, member, i)
        for e in range(_start(net, row), _start(net, row + 1)):
            _add_multiple(z, (<real *>net.X)[e], weight + _feature(net, e) * width, width)
        z += width


cdef void _sparse_products(
    Net *net, int member, int begin, int end, real *delta, int width, real *gradient, bint clear
) noexcept nogil:
    """Add X' delta to the gradient of the features from `begin` to `end`, which starts at that of `begin`.

    With `clear`, set the gradient to 0 instead, of those features that occur in the batch.
    """
    cdef Py_ssize_t e, row, feature
    cdef int i
    for i in range(net.n_rows):
        row = _row(net, member, i)
        for e in range(_start(net, row), _start(net, row + 1)):
            feature = _feature(net, e)
            if not begin <= feature < end:
                continue
            if clear:
                memset(gradient + (feature - begin) * width, 0, width * sizeof(real))
            else:
                _add_multiple(gradient + (feature - begin) * width, (<real *>net.X)[e], delta, width)
        delta += width


cdef inline void _add_multiple(real *to, real factor, const real *numbers, int n) noexcept nogil:
    cdef int j
    for j in range(n):
        to[j] = to[j] + factor * numbers[j]


cdef real *_input(Net *net, int member, int begin, int *step, real *like) noexcept nogil:
    """The rows of a share: in X if they lie there one after the other, else gathered."""
    cdef int n_features = net.layers[0].fan_in
    if net.indices == NULL and net.in_order:
        step[0] = <int>(net.row_step // sizeof(real))
        return <real *>(net.X + (net.start + begin) * net.row_step)
    step[0] = n_features
    return <real *>net.gathered + (<Py_ssize_t>net.n_rows * member + begin) * n_features


cdef void _gather(Net *net, int member, int begin, int end, real *like) noexcept nogil:
    """Copy the rows and the targets of a share."""
    cdef int n_features = net.layers[0].fan_in
    cdef int i, j, step
    cdef char *row
    cdef real *to
    cdef char *to_target
    if not net.sparse and not (net.indices == NULL and net.in_order):
        to = _input(net, member, begin, &step, like)
        for i in range(begin, end):
            row = net.X + _row(net, member, i) * net.row_step
            if net.column_step == sizeof(real):
                memcpy(to, row, n_features * sizeof(real))
            else:
                for j in range(n_features):
                    to[j] = (<real *>(row + j * net.column_step))[0]
            to += n_features
    if net.target != NULL and net.indices != NULL:
        to_target = net.gathered_target + (<Py_ssize_t>net.n_rows * member + begin) * net.target_step
        for i in range(begin, end):
            memcpy(to_target, net.target + _row(net, member, i) * net.target_step, net.target_step)
            to_target += net.target_step


cdef void _forward(Net *net, int member, int begin, int end, real *like) noexcept nogil:
    """Equations (1), (2) and (13) for a share."""
    cdef int n = end - begin, k, i, step, width
    cdef Layer *layer
    cdef real *below = NULL
    cdef real *weight
    cdef real *z
    cdef real *a
    cdef real *bias
    cdef real *factor
    cdef real *dropped
    cdef Py_ssize_t at
    if not net.sparse:
        below = _input(net, member, begin, &step, like)
    for k in range(net.n_layers):
        layer = &net.layers[k]
        width = layer.fan_out
        at = (<Py_ssize_t>net.n_rows * member + begin) * width
        z = <real *>layer.z + at
        a = <real *>layer.a + at
        bias = <real *>(layer.bias + member * layer.bias_step)
        weight = <real *>(layer.weight + member * layer.weight_step)
        if below == NULL:
            _sparse_sums(net, member, begin, end, weight, width, z)  # (1)
        else:
            _multiply(False, False, n, width, layer.fan_in, below, step, weight, width, 0, z)  # (1)
        _finish(net, layer, k == net.n_layers - 1, n, z, a, bias)
        if k == net.n_layers - 1:
            return
        below, step = a, width
        if layer.factor != NULL:
            factor, dropped = <real *>layer.factor + at, <real *>layer.dropped + at
            for at in range(<Py_ssize_t>n * width):
                dropped[at] = a[at] * factor[at]  # (13)
            below = dropped


cdef inline void _finish(
    Net *net, Layer *layer, bint is_last, int n_rows, real *z, real *a, real *bias
) noexcept nogil:
    """Add the bias to weighted sums and apply the activation, for some rows at a time, which stay in the first cache."""
    cdef int width = layer.fan_out, most = max(1, 2048 // layer.fan_out), n_block, i
    cdef Py_ssize_t n
    while n_rows > 0:
        n_block = min(most, n_rows)
        for i in range(n_block):
            _add(z + <Py_ssize_t>i * width, bias, width)
        n = <Py_ssize_t>n_block * width
        if net.extent == LOGITS and not isfinite(elementwise.sum_of(z, n)):
            net.overflow = 1
        if not is_last:
            if layer.keeps_z:
                memcpy(a, z, n * sizeof(real))
            elementwise.activate(layer.activation, a, n)  # (2)
        z, a, n_rows = z + n, a + n, n_rows - n_block


cdef inline void _add(real *to, const real *numbers, int n) noexcept nogil:
    cdef int j
    for j in range(n):
        to[j] = to[j] + numbers[j]


cdef double _loss(Net *net, int member, int begin, int end, real *like) noexcept nogil:
    """Equations (3) and (4) for a share. Returns its part of the mean loss."""
    cdef Layer *last = &net.layers[net.n_layers - 1]
    cdef int n = end - begin, width = last.fan_out, i, j
    cdef Py_ssize_t first = <Py_ssize_t>net.n_rows * member + begin
    cdef real *z = <real *>last.z + first * width
    cdef real *delta = <real *>last.delta + first * width
    cdef real *losses = <real *>net.losses + first
    cdef char *target
    cdef double total = net.totals[member], value = 0.0, share
    cdef real factor
    cdef Py_ssize_t at
    if net.indices == NULL:
        target = net.target + (net.start + begin) * net.target_step
    else:
        target = net.gathered_target + first * net.target_step
    if net.softmax:
        elementwise.softmax_loss(z, delta, target, net.target_size, <real>net.smoothing, losses, n, width)  # (4)
    else:
        elementwise.logistic_loss(z, delta, target, <real>net.smoothing, losses, n, width)  # (4)
    if net.extent == LOSSES:
        return 0.0
    if net.weight == NULL:
        factor = <real>(1.0 / total)
        for i in range(n):
            value += losses[i]
        for at in range(<Py_ssize_t>n * width):
            delta[at] = delta[at] * factor
        return value / total  # (3)
    for i in range(n):
        share = net.weight[_row(net, member, begin + i)] / total
        value += losses[i] * share
        factor = <real>share
        for j in range(width):
            delta[<Py_ssize_t>i * width + j] = delta[<Py_ssize_t>i * width + j] * factor
    return value


cdef void _backward(Net *net, int member, int begin, int end, real *like) noexcept nogil:
    """Equation (5) for a share."""
    cdef int n = end - begin, k, i, j, width
    cdef Layer *layer
    cdef Layer *below
    cdef real *delta
    cdef real *error
    cdef real *weight
    cdef real *factor
    cdef real *a
    cdef real d
    cdef Py_ssize_t first = <Py_ssize_t>net.n_rows * member + begin, at
    for k in range(net.n_layers - 1, 0, -1):
        layer, below = &net.layers[k], &net.layers[k - 1]
        width = below.fan_out
        delta = <real *>layer.delta + first * layer.fan_out
        error = <real *>below.delta + first * width
        weight = <real *>(layer.weight + member * layer.weight_step)
        if layer.fan_out == 1:
            for i in range(n):
                d = delta[i]
                for j in range(width):
                    error[<Py_ssize_t>i * width + j] = d * weight[j]
        else:
            _multiply(False, True, n, width, layer.fan_out, delta, layer.fan_out, weight, layer.fan_out, 0, error)
        if below.factor != NULL:
            factor = <real *>below.factor + first * width
            for at in range(<Py_ssize_t>n * width):
                error[at] = error[at] * factor[at]  # (13)
        a = <real *>(below.z if below.keeps_z else below.a) + first * width
        elementwise.multiply_by_slope(below.activation, a, error, <Py_ssize_t>n * width)  # (5)


cdef double _gradient(Net *net, int member, int k, int begin, int end, real *like) noexcept nogil:
    """Equations (6) and (7) for some of the inputs of a layer. Returns their part of the penalty."""
    cdef Layer *layer = &net.layers[k]
    cdef Layer *input_layer
    cdef int n = net.n_rows, width = layer.fan_out, i, step
    cdef Py_ssize_t of_member = <Py_ssize_t>n * member
    cdef real *delta = <real *>layer.delta + of_member * width
    cdef Py_ssize_t first = <Py_ssize_t>begin * width
    cdef real *gradient = <real *>(layer.weight_gradient + member * layer.weight_gradient_step) + first
    cdef real *weight = <real *>(layer.weight + member * layer.weight_step) + first
    cdef real *bias_gradient
    cdef real *below
    cdef real strength, beta = 1 if net.further else 0
    cdef double penalty = 0.0
    if begin == 0:
        bias_gradient = <real *>(layer.bias_gradient + member * layer.bias_gradient_step)
        _multiply(False, False, 1, width, n, <real *>net.ones, n, delta, width, beta, bias_gradient)  # (7)
    if k == 0:
        below = NULL if net.sparse else _input(net, member, 0, &step, like)
    else:
        input_layer = &net.layers[k - 1]
        below = <real *>(input_layer.dropped if input_layer.factor != NULL else input_layer.a) + of_member * layer.fan_in
        step = layer.fan_in
    if layer.alpha != 0.0 and not net.further:
        strength = <real>min(layer.alpha / net.totals[member], net.most_strength)
        for i in range(end - begin):
            first = <Py_ssize_t>i * width
            penalty += _scale_row(gradient + first, weight + first, strength, width)
        beta = 1
    if below != NULL:
        _multiply(True, False, end - begin, width, n, below + begin, step, delta, width, beta, gradient)  # (6)
        return 0.5 * penalty
    if net.few:
        _sparse_products(net, member, begin, end, delta, width, gradient, True)
    elif beta == 0:
        memset(gradient, 0, <Py_ssize_t>(end - begin) * width * sizeof(real))
    _sparse_products(net, member, begin, end, delta, width, gradient, False)  # (6)
    return 0.5 * penalty


cdef inline real _scale_row(real *to, const real *weight, real strength, int n) noexcept nogil:
    """Write strength times weight. Returns the sum of the products of both."""
    cdef real lanes[8]
    cdef real total = 0
    cdef int i, k
    for k in range(8):
        lanes[k] = 0
    for i in range(n):
        to[i] = weight[i] * strength
    for i in range(n // 8):
        for k in range(8):
            lanes[k] = lanes[k] + to[8 * i + k] * weight[8 * i + k]
    for i in range(n - n % 8, n):
        total = total + to[i] * weight[i]
    for k in range(8):
        total = total + lanes[k]
    return total


cdef inline int _cut(int n, int k, int n_parts) noexcept nogil:
    """Where the k-th of n_parts parts of n starts."""
    return <int>(<Py_ssize_t>n * k // n_parts)


cdef inline void _sweep(Net *net, int number, real *like) noexcept nogil:
    """One share of the rows of one member, and if it is the only one, the gradient too."""
    cdef int member = number // net.n_shares, share = number % net.n_shares, k
    cdef int begin = _cut(net.n_rows, share, net.n_shares), end = _cut(net.n_rows, share + 1, net.n_shares)
    cdef double value
    _gather(net, member, begin, end, like)
    _forward(net, member, begin, end, like)
    value = _loss(net, member, begin, end, like)
    if net.extent == GRADIENT:
        _backward(net, member, begin, end, like)
        if net.n_shares == 1:
            for k in range(net.n_layers):
                value += _gradient(net, member, k, 0, net.layers[k].fan_in, like)
    net.values[number] = value


cdef inline void _gradient_block(Net *net, int number, real *like) noexcept nogil:
    """One block of the gradient: some inputs of one layer of one member. Blocks of the first layer come first."""
    cdef int block = number % net.n_shares
    cdef int k = (number // net.n_shares) % net.n_layers
    cdef int member = number // (net.n_shares * net.n_layers)
    cdef int fan_in = net.layers[k].fan_in
    cdef int begin = _cut(fan_in, block, net.n_shares), end = _cut(fan_in, block + 1, net.n_shares)
    cdef double penalty = _gradient(net, member, k, begin, end, like) if begin < end else 0.0
    net.values[net.n_members * net.n_shares + number] = penalty


cdef void _sweep_task(void *job, int number) noexcept nogil:
    cdef Net *net = <Net *>job
    if net.size == sizeof(float):
        _sweep(net, number, <float *>NULL)
    else:
        _sweep(net, number, <double *>NULL)


cdef void _gradient_task(void *job, int number) noexcept nogil:
    cdef Net *net = <Net *>job
    if net.size == sizeof(float):
        _gradient_block(net, number, <float *>NULL)
    else:
        _gradient_block(net, number, <double *>NULL)


cdef void _predict_task(void *job, int number) noexcept nogil:
    """Blocks of rows until all are taken."""
    cdef Prediction *prediction = <Prediction *>job
    cdef Net *net = &prediction.nets[number]
    cdef Layer *last = &net.layers[net.n_layers - 1]
    while not prediction.overflow:
        net.start = (pool.atomic_plus(&prediction.n_taken, 1) - 1) * prediction.block_rows
        if net.start >= prediction.n_rows:
            return
        net.n_rows = <int>min(<Py_ssize_t>prediction.block_rows, prediction.n_rows - net.start)
        last.z = last.a = prediction.logits + net.start * last.fan_out * net.size
        if net.size == sizeof(float):
            _gather(net, 0, 0, net.n_rows, <float *>NULL)
            _forward(net, 0, 0, net.n_rows, <float *>NULL)
        else:
            _gather(net, 0, 0, net.n_rows, <double *>NULL)
            _forward(net, 0, 0, net.n_rows, <double *>NULL)
        if net.overflow:
            pool.atomic_swap(&prediction.overflow, 1)


cdef class BatchKernel:
    """Value and gradient of the objective for one batch.

    Parameters
    ----------
    weights, biases : lists of L arrays
        In C order, of one type, float32 or float64. A call reads the numbers that are in them then. A stack has a leading axis
        of members.
    activations : sequence of L - 1 int
        Values of ``ACTIVATIONS``.
    softmax : bool
        Whether the loss is that of classes that exclude each other. Otherwise it is the logistic loss.
    label_smoothing : float
    alpha : sequence of L floats
        The strength of the penalty for each layer.
    most_strength : float
        alpha / S is at most this.
    n_threads : int, default=1
        The most threads that share a batch.
    least_share : float, default=2.0**18
        Multiplications of a share in one pass through all layers, at least.
    """

    cdef Net net
    cdef int n_threads
    cdef double multiplications, least_share, in_first
    cdef Py_ssize_t capacity, n_rows
    cdef pool.atomic_word busy
    cdef object network, gradient, tape, rows, room, gathered, indices
    cdef cnp.ndarray totals, values

    def __cinit__(
        self, weights, biases, activations, *, softmax=True, label_smoothing=0.0, alpha=(), most_strength=0.0,
        n_threads=1, least_share=LEAST_SHARE,
    ):
        cdef int n_layers = len(weights), k
        cdef Net *net = &self.net
        cdef cnp.ndarray weight = weights[0]
        net.type, net.size = cnp.PyArray_TYPE(weight), weight.itemsize
        if net.type != cnp.NPY_FLOAT and net.type != cnp.NPY_DOUBLE:
            raise TypeError(f"weights of type {weight.dtype}")
        net.layers = <Layer *>calloc(n_layers, sizeof(Layer))
        if net.layers == NULL:
            raise MemoryError
        net.n_layers, net.in_stack = n_layers, weight.ndim == 3
        net.n_members = cnp.PyArray_DIM(weight, 0) if net.in_stack else 1
        net.softmax, net.smoothing, net.most_strength = softmax, label_smoothing, most_strength
        self.n_threads, self.least_share = n_threads, least_share
        self.network = weights, biases
        self.multiplications = _set_layers(net, weights, biases, activations)
        for k in range(n_layers):
            net.layers[k].alpha = alpha[k] if alpha else 0.0
        self.totals = np.ones(self.net.n_members)
        self.net.totals = <double *>cnp.PyArray_DATA(self.totals)
        self.values = np.zeros(self.net.n_members * MOST_SHARES * (n_layers + 1))
        self.net.values = <double *>cnp.PyArray_DATA(self.values)

    def __dealloc__(self):
        free(self.net.layers)

    def write_gradient_to(self, weights, biases):
        """Set the arrays that take the gradient: lists of L arrays of the shapes of the parameters."""
        cdef Layer *layer
        cdef int k
        for k in range(self.net.n_layers):
            layer = &self.net.layers[k]
            layer.weight_gradient = _parameters(
                weights[k], &self.net, layer.fan_in, layer.fan_out, &layer.weight_gradient_step
            )
            layer.bias_gradient = _parameters(biases[k], &self.net, 0, layer.fan_out, &layer.bias_gradient_step)
        self.gradient = weights, biases

    def use_tape(self, tape):
        """Set the buffers. A batch has at most as many rows as the tape.

        Parameters
        ----------
        tape : skbp._network.tape.Tape
        """
        cdef Net *net = &self.net
        cdef Layer *layer
        cdef int k
        cdef Py_ssize_t n = tape.n_rows * net.n_members, size
        dtype = self.network[0][0].dtype
        self.capacity = 0  # an interrupt may come before the end
        for k in range(net.n_layers):
            layer = &net.layers[k]
            size = n * layer.fan_out
            z, a, factor = tape.z[k + 1], tape.a[k + 1], tape.factor[k + 1]
            layer.z, layer.a, layer.keeps_z = _buffer(z, net, size), _buffer(a, net, size), z is not a
            layer.delta = _buffer(tape.delta[k + 1], net, size)
            layer.factor = _buffer(factor, net, size) if factor is not None else NULL
            layer.dropped = _buffer(tape.input[k + 1], net, size)
        last = max(8, net.layers[net.n_layers - 1].fan_out)
        room = np.empty(n, dtype), np.ones(tape.n_rows, dtype), np.empty((n, last), np.uint8)
        net.losses, net.ones = _buffer(room[0], net, n), _buffer(room[1], net, tape.n_rows)
        net.gathered_target = <char *>cnp.PyArray_DATA(room[2])
        self.tape, self.room, self.gathered, self.capacity = tape, room, None, tape.n_rows

    def use_rows(self, X, cnp.ndarray target, cnp.ndarray weight):
        """Set the rows that batches are taken from.

        Parameters
        ----------
        X : {ndarray, CSR array} of shape (n_rows, n_features)
        target : ndarray of shape (n_rows,) or (n_rows, n_outputs)
            The index of each row's class, from 0 to the number of outputs less 1, or booleans.
        weight : ndarray of float64 of shape (n_rows,), or None
        """
        cdef Layer *last = &self.net.layers[self.net.n_layers - 1]
        self.rows = None  # what follows may be refused
        X = _with_plain_indices(X)
        self.in_first = _set_rows(&self.net, X)
        self.net.target = self.net.indices = NULL
        if target.ndim == 1 and target.dtype.kind in "iu" and self.net.softmax:
            self.net.target_step = target.itemsize
        elif target.ndim == 2 and target.dtype == bool and target.shape[1] == last.fan_out and not self.net.softmax:
            self.net.target_step = last.fan_out
        else:
            raise TypeError(f"target of type {target.dtype} does not fit the loss")
        self.n_rows = len(target)
        if X.shape[0] != self.n_rows or (weight is not None and len(weight) != self.n_rows):
            raise ValueError("X, target and weight are of different lengths")
        target = np.ascontiguousarray(target)
        self.net.target, self.net.target_size = <char *>cnp.PyArray_DATA(target), target.itemsize
        self.net.weight = NULL
        if weight is not None:
            weight = np.ascontiguousarray(weight, dtype=np.float64)
            self.net.weight = <double *>cnp.PyArray_DATA(weight)
        self.rows = X, target, weight

    def value_and_gradient(self, indices, total, bint further=False, bint few=False):
        """The mean loss of a batch and the penalty. Writes the gradient.

        Parameters
        ----------
        indices : slice of step 1, or ndarray of int of shape (*members, n_rows)
        total : float, or ndarray of shape (n_members,)
            S, the sum of the weights.
        further : bool, default=False
            Whether to add to the gradient of an earlier batch of the same step, without a penalty.
        few : bool, default=False
            Whether to write only the gradient by the weights of features that occur in the batch, for sparse rows without a
            penalty.

        Returns
        -------
        value : float, or ndarray of shape (n_members,)
        """
        cdef int member, k, n_blocks
        cdef double value
        self._set_total(total)
        self.net.few = few
        self._run(indices, GRADIENT, further)
        n_blocks = self.net.n_layers * self.net.n_shares if self.net.n_shares > 1 else 0
        members = []
        for member in range(self.net.n_members):
            value = 0.0
            for k in range(self.net.n_shares):
                value += self.net.values[member * self.net.n_shares + k]
            for k in range(n_blocks):
                value += self.net.values[self.net.n_members * self.net.n_shares + member * n_blocks + k]
            if not self.net.in_stack:
                return value
            members.append(value)
        return np.array(members)

    def row_losses(self, indices):
        """The loss of each row, in the shape of the indices. The next call overwrites it."""
        self._run(indices, LOSSES, False)
        losses = self.room[0][: self.net.n_rows * self.net.n_members]
        return losses.reshape(self.net.n_members, -1) if self.net.in_stack else losses

    cdef int _set_total(self, total) except -1:
        if self.net.n_members == 1 and isinstance(total, float):
            self.net.totals[0] = total
        else:
            self.totals[:] = total
        return 0

    cdef int _run(self, indices, Extent extent, bint further) except -1:
        if self.rows is None or (extent == GRADIENT and self.gradient is None):
            raise ValueError("a kernel needs rows, and for the gradient the arrays that take it")
        if not pool.atomic_replace(&self.busy, 0, 1):
            raise RuntimeError("Two threads compute with one network at the same time: give each a network of its own.")
        try:
            self._select(indices)
            self._compute(extent, further)
        finally:
            pool.atomic_swap(&self.busy, 0)
        return 0

    cdef int _select(self, indices) except -1:
        """Set the rows of the batch."""
        cdef Net *net = &self.net
        cdef Py_ssize_t n_rows, stop
        cdef cnp.ndarray array
        cdef int last
        if isinstance(indices, slice):
            net.indices, net.start, stop = NULL, indices.start, indices.stop
            n_rows = stop - net.start
            if not 0 <= net.start <= stop <= self.n_rows:
                raise IndexError(f"{indices} of {self.n_rows} rows")
        else:
            array = indices
            last = cnp.PyArray_NDIM(array) - 1
            n_rows = cnp.PyArray_DIM(array, last)
            if cnp.PyArray_TYPE(array) != cnp.NPY_INTP or cnp.PyArray_STRIDE(array, last) != sizeof(Py_ssize_t):
                array = np.ascontiguousarray(array, dtype=np.intp)
            if last != net.in_stack or (net.in_stack and cnp.PyArray_DIM(array, 0) != net.n_members):
                raise ValueError("there must be indices for each member of a stack")
            self.indices = array
            net.indices = <char *>cnp.PyArray_DATA(array)
            net.indices_step = cnp.PyArray_STRIDE(array, 0) if net.in_stack else 0
        if n_rows > self.capacity:
            raise ValueError(f"{n_rows} rows for a tape of {self.capacity}")
        net.n_rows = <int>n_rows
        return 0

    cdef int _compute(self, Extent extent, bint further) except -1:
        cdef Net *net = &self.net
        cdef int n_threads = _share(net, net.n_rows, self.multiplications + self.in_first, self.n_threads, self.least_share)
        if not net.sparse and self.gathered is None and not (net.indices == NULL and net.in_order):
            gathered = np.empty((net.n_members * self.capacity, net.layers[0].fan_in), self.network[0][0].dtype)
            net.gathered, self.gathered = <char *>cnp.PyArray_DATA(gathered), gathered
        net.extent, net.further = extent, further
        if n_threads > 1:
            pool.start(n_threads)
        with nogil:
            pool.run_tasks(_sweep_task, net, net.n_members * net.n_shares, n_threads)
            if extent == GRADIENT and net.n_shares > 1:
                pool.run_tasks(_gradient_task, net, net.n_members * net.n_layers * net.n_shares, n_threads)
        return 0


def forward(list weights, list biases, activations, X, int n_threads):
    """The logits of some rows, without what the backward pass would need.

    Parameters
    ----------
    weights, biases : lists of L arrays
        Of the type of X, in C order.
    activations : sequence of L - 1 int
        Values of ``ACTIVATIONS``.
    X : {ndarray, CSR array} of shape (n_rows, n_features)
    n_threads : int

    Returns
    -------
    logits : ndarray of shape (n_rows, n_outputs), or None
        None if a weighted sum is not finite.
    """
    cdef Net net
    cdef Net *of_task
    cdef Prediction prediction
    cdef int n_layers = len(weights), n_tasks, task, k
    cdef Py_ssize_t room
    cdef double multiplications
    cdef char *memory = NULL
    cdef char *buffer
    cdef Layer *layers = NULL
    cdef cnp.npy_intp[2] shape
    cdef cnp.ndarray array, logits
    memset(&net, 0, sizeof(Net))
    memset(&prediction, 0, sizeof(Prediction))
    array = weights[0]
    net.n_layers, net.n_members, net.size, net.type = n_layers, 1, array.itemsize, cnp.PyArray_TYPE(array)
    if net.type != cnp.NPY_FLOAT and net.type != cnp.NPY_DOUBLE:
        raise TypeError(f"weights of type {array.dtype}")
    net.extent, prediction.n_rows = LOGITS, X.shape[0]
    net.layers = <Layer *>calloc(n_layers, sizeof(Layer))
    try:
        if net.layers == NULL:
            raise MemoryError
        multiplications = _set_layers(&net, weights, biases, activations)
        shape[0], shape[1] = prediction.n_rows, net.layers[n_layers - 1].fan_out
        logits = cnp.PyArray_SimpleNew(2, shape, net.type)
        prediction.logits = <char *>cnp.PyArray_DATA(logits)
        X = _with_plain_indices(X)
        multiplications += _set_rows(&net, X)
        room = 0 if net.sparse or net.in_order else net.layers[0].fan_in
        for k in range(n_layers - 1):
            room += net.layers[k].fan_out
        n_tasks = _share(&net, prediction.n_rows, multiplications, n_threads, LEAST_SHARE)
        prediction.block_rows = <int>max(
            1, min(<Py_ssize_t>MOST_BLOCK_ROWS, (prediction.n_rows + net.n_shares - 1) // net.n_shares)
        )
        if prediction.block_rows >= prediction.n_rows:
            n_tasks = 1
        room *= prediction.block_rows * net.size
        prediction.nets, layers = <Net *>calloc(n_tasks, sizeof(Net)), <Layer *>calloc(n_tasks * n_layers, sizeof(Layer))
        memory = <char *>malloc(max(1, n_tasks * room))
        if prediction.nets == NULL or layers == NULL or memory == NULL:
            raise MemoryError
        for task in range(n_tasks):
            of_task, buffer = &prediction.nets[task], memory + task * room
            of_task[0] = net
            of_task.layers = layers + task * n_layers
            memcpy(of_task.layers, net.layers, n_layers * sizeof(Layer))
            for k in range(n_layers - 1):
                of_task.layers[k].z = of_task.layers[k].a = buffer
                buffer += prediction.block_rows * net.layers[k].fan_out * net.size
            of_task.gathered = buffer
        if n_tasks > 1:
            pool.start(n_tasks)
        with nogil:
            pool.run_tasks(_predict_task, &prediction, n_tasks, n_tasks)
    finally:
        free(memory)
        free(layers)
        free(prediction.nets)
        free(net.layers)
    return None if prediction.overflow else logits


cdef double _set_layers(Net *net, list weights, list biases, activations) except -1.0:
    """Set the layers of a network. Returns the multiplications of a row in the layers above the first."""
    cdef Layer *layer
    cdef cnp.ndarray weight
    cdef int k, n_dims
    cdef double multiplications = 0.0
    if len(biases) != net.n_layers or len(activations) != net.n_layers - 1:
        raise ValueError("a network has as many biases as weights, and one activation less")
    for k in range(net.n_layers):
        layer = &net.layers[k]
        weight = weights[k]
        n_dims = cnp.PyArray_NDIM(weight)
        if n_dims < 2:
            raise ValueError("weights must be matrices")
        layer.fan_in, layer.fan_out = <int>cnp.PyArray_DIM(weight, n_dims - 2), <int>cnp.PyArray_DIM(weight, n_dims - 1)
        if k and layer.fan_in != net.layers[k - 1].fan_out:
            raise ValueError("the weights of a layer do not fit those of the layer below")
        layer.weight = _parameters(weight, net, layer.fan_in, layer.fan_out, &layer.weight_step)
        layer.bias = _parameters(biases[k], net, 0, layer.fan_out, &layer.bias_step)
        if k < net.n_layers - 1:
            layer.activation = activations[k]
        if k:
            multiplications += <double>layer.fan_in * layer.fan_out
    return multiplications


cdef double _set_rows(Net *net, X) except -1.0:
    """Set the rows of a network. Returns the multiplications of a row in the first layer."""
    net.sparse = not isinstance(X, np.ndarray)
    if net.sparse:
        return _set_sparse_rows(net, X)
    return _set_dense_rows(net, X)


cdef double _set_dense_rows(Net *net, cnp.ndarray X) except -1.0:
    fits = cnp.PyArray_TYPE(X) == net.type and cnp.PyArray_ISNOTSWAPPED(X) and cnp.PyArray_NDIM(X) == 2
    if not (fits and cnp.PyArray_DIM(X, 1) == net.layers[0].fan_in):
        raise ValueError(f"X of type {X.dtype} does not fit the network")
    net.X = <char *>cnp.PyArray_DATA(X)
    net.row_step, net.column_step = cnp.PyArray_STRIDE(X, 0), cnp.PyArray_STRIDE(X, 1)
    # Whether BLAS can take several rows as they lie.
    net.in_order = (
        cnp.PyArray_ISALIGNED(X)
        and net.column_step == net.size
        and net.row_step % net.size == 0
        and net.layers[0].fan_in * net.size <= net.row_step < 2**31
    )
    return <double>net.layers[0].fan_in * net.layers[0].fan_out


cdef _with_plain_indices(X):
    """Sparse rows as they are, or a copy if their two arrays of indices differ in type or are not contiguous."""
    cdef cnp.ndarray starts, columns
    if isinstance(X, np.ndarray):
        return X
    starts, columns = X.indptr, X.indices
    if starts.dtype == columns.dtype and starts.dtype in (np.int32, np.int64):
        if cnp.PyArray_ISCARRAY_RO(starts) and cnp.PyArray_ISCARRAY_RO(columns) and cnp.PyArray_ISCARRAY_RO(X.data):
            return X
    plain = X.copy()
    plain.data = np.ascontiguousarray(X.data)
    plain.indptr, plain.indices = starts.astype(np.int64, order="C"), columns.astype(np.int64, order="C")
    return plain


cdef double _set_sparse_rows(Net *net, X) except -1.0:
    """Rows by their elements. The arrays belong to X."""
    cdef cnp.ndarray starts = X.indptr, columns = X.indices, elements = X.data
    if not (
        cnp.PyArray_TYPE(elements) == net.type
        and X.format == "csr"
        and X.shape[1] == net.layers[0].fan_in
        and len(starts) == X.shape[0] + 1
    ):
        raise ValueError(f"sparse X of type {X.dtype} does not fit the network")
    net.X, net.starts = <char *>cnp.PyArray_DATA(elements), <char *>cnp.PyArray_DATA(starts)
    net.columns, net.index_size = <char *>cnp.PyArray_DATA(columns), columns.itemsize
    return len(elements) / max(1.0, X.shape[0]) * net.layers[0].fan_out


cdef int _share(Net *net, Py_ssize_t n_rows, double multiplications, int n_threads, double least_share) noexcept:
    """Set the number of shares of a batch. Returns how many threads its tasks are worth."""
    cdef double work = n_rows * multiplications
    # Products of fewer rows take longer a row.
    net.n_shares = <int>max(
        1, min(<Py_ssize_t>min(n_threads, MOST_SHARES), n_rows // LEAST_ROWS, <Py_ssize_t>min(work / least_share, 1e6))
    )
    if net.n_members % n_threads == 0:
        net.n_shares = 1
    return max(1, min(n_threads, <int>min(work * net.n_members / least_share, 1e6)))


cdef char *_parameters(cnp.ndarray array, Net *net, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t *step) except NULL:
    """The memory of an array of shape (*members, rows, width), or (*members, width) if `rows` is 0, and the bytes from one
    member to the next. Each member is in C order. There may be other numbers between members."""
    cdef int n_dims = cnp.PyArray_NDIM(array), first = net.in_stack, last = n_dims - 1
    cdef bint fits = cnp.PyArray_TYPE(array) == net.type and cnp.PyArray_ISBEHAVED_RO(array)
    fits = fits and n_dims == first + (2 if rows else 1) and cnp.PyArray_DIM(array, last) == width
    if fits and first:
        fits = cnp.PyArray_DIM(array, 0) == net.n_members
    if fits and rows:
        fits = cnp.PyArray_DIM(array, last - 1) == rows
        fits = fits and (rows == 1 or cnp.PyArray_STRIDE(array, last - 1) == width * net.size)
    if not fits or (width > 1 and cnp.PyArray_STRIDE(array, last) != net.size):
        raise ValueError("an array does not have the type, the shape or the C order that its place in the network asks for")
    step[0] = cnp.PyArray_STRIDE(array, 0) if first else 0
    return <char *>cnp.PyArray_DATA(array)


cdef char *_buffer(cnp.ndarray array, Net *net, Py_ssize_t size) except NULL:
    """The memory of an array in C order that has at least this many numbers of the network's type."""
    cdef bint fits = cnp.PyArray_TYPE(array) == net.type and cnp.PyArray_SIZE(array) >= size
    if not (fits and cnp.PyArray_ISCARRAY(array)):
        raise ValueError("a buffer does not have the type, the size or the C order that its place in the network asks for")
    return <char *>cnp.PyArray_DATA(array)
