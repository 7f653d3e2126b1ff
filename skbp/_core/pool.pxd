# One task of a job: its number is at least 0 and less than n_tasks.
ctypedef void (*Task)(void *job, int number) noexcept nogil

cdef void run_tasks(Task task, void *job, int n_tasks, int n_threads) noexcept nogil
cdef int start(int n_threads) except -1
