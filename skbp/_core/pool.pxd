cdef extern from "atomics.h":
    ctypedef long long atomic_word
    atomic_word atomic_read(atomic_word *) nogil
    atomic_word atomic_swap(atomic_word *, atomic_word) nogil
    atomic_word atomic_plus(atomic_word *, atomic_word) nogil
    bint atomic_replace(atomic_word *, atomic_word, atomic_word) nogil
    void pause_briefly() nogil
    double seconds_now() nogil

# One task of a job: its number is at least 0 and less than n_tasks.
ctypedef void (*Task)(void *job, int number) noexcept nogil

cdef void run_tasks(Task task, void *job, int n_tasks, int n_threads) noexcept nogil
cdef int start(int n_threads) except -1
