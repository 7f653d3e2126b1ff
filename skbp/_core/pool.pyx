"""Threads that share the tasks of a job.

A job is a number of tasks that do not wait for each other. The thread that brings a job also works on it: it takes tasks
until none is left. Other threads take tasks too if they come in time. So the caller never waits for a thread that has not
begun. It waits only for tasks that another thread is working on.

OpenMP waits at the end of each job until every thread has arrived, with or without work. On busy cores a thread may need
some milliseconds to arrive, a hundred times as long as a small batch takes. After a fork, GNU's OpenMP hangs.

A thread without work looks for a new job for a short while, then sleeps. Python's own locks wake it: they need no
interpreter and exist on every system. If the caller has to wait for a late task, the processors are busy. Then the next jobs
run on the caller's thread alone, for a while that doubles each time. Which thread runs a task never changes a result.
"""

from libc.stdint cimport uint64_t

from skbp._core.pool cimport (
    atomic_plus, atomic_read, atomic_replace, atomic_swap, atomic_word, pause_briefly, seconds_now, Task
)

cdef extern from "Python.h":
    ctypedef void *PyThread_type_lock
    PyThread_type_lock PyThread_allocate_lock() nogil
    int PyThread_acquire_lock(PyThread_type_lock, int) nogil
    void PyThread_release_lock(PyThread_type_lock) nogil
    unsigned long PyThread_start_new_thread(void (*)(void *) noexcept nogil, void *) nogil

cdef enum:
    MOST_WORKERS = 63
    MOST_TASKS = 4095

# Seconds that a thread looks for work, or for the end of a job, before it sleeps. Between two batches of an epoch pass some
# 10 microseconds, and to wake a thread takes 5 to 50.
cdef double AWAKE = 5e-5

# A task is late if the caller waits for it longer than this many seconds, and longer than four of its own tasks took. A slow
# core is not late.
cdef double PATIENCE = 2e-4

# Seconds for which jobs then run on one thread: the first time, and at most.
cdef double FIRST_REST = 0.01
cdef double LONGEST_REST = 2.0

# After this many jobs in a row without a late task, the next rest is the first again.
cdef int ENOUGH_IN_TIME = 2000


cdef struct Worker:
    int number
    atomic_word asleep
    PyThread_type_lock wake


cdef struct Pool:
    # Of the present job, in one word, so that a task is taken by one comparison: a counter of the jobs (32 bits), how many
    # workers may help (8), the number of tasks (12) and the next task (12).
    atomic_word state
    atomic_word unfinished
    atomic_word taken
    atomic_word starting
    atomic_word caller_sleeps
    PyThread_type_lock finished
    Task task
    void *job
    unsigned int n_jobs
    int n_workers
    Worker workers[MOST_WORKERS]
    double rest
    double rests_until
    int in_time
    # Counted for tests.
    atomic_word n_tasks_of_workers
    long n_late


cdef Pool pool


cdef inline bint _take(int worker, int *number) noexcept nogil:
    """Take a task of the present job. `worker` is -1 for the caller."""
    cdef uint64_t state
    while True:
        state = <uint64_t>atomic_read(&pool.state)
        if (state & 0xFFF) >= ((state >> 12) & 0xFFF) or worker >= <int>((state >> 24) & 0xFF):
            return False
        if atomic_replace(&pool.state, <atomic_word>state, <atomic_word>(state + 1)):
            number[0] = <int>(state & 0xFFF)
            return True


cdef inline void _run_one(int number) noexcept nogil:
    """Run a task that a worker has taken."""
    pool.task(pool.job, number)
    atomic_plus(&pool.n_tasks_of_workers, 1)
    if atomic_plus(&pool.unfinished, -1) == 0 and atomic_swap(&pool.caller_sleeps, 0):
        PyThread_release_lock(pool.finished)


cdef void _work(void *argument) noexcept nogil:
    """The life of a worker."""
    cdef Worker *worker = <Worker *>argument
    cdef int number, look
    cdef double end = seconds_now() + AWAKE
    while True:
        for look in range(64):  # between two looks at the clock, which takes as long as some of these
            if _take(worker.number, &number):
                _run_one(number)
                end = seconds_now() + AWAKE
            else:
                pause_briefly()
        if 0.0 < end - seconds_now() <= AWAKE:
            continue
        atomic_swap(&worker.asleep, 1)
        if _take(worker.number, &number):  # a job came just before the worker said that it sleeps
            if not atomic_swap(&worker.asleep, 0):
                PyThread_acquire_lock(worker.wake, 1)
            _run_one(number)
        else:
            PyThread_acquire_lock(worker.wake, 1)
        end = seconds_now() + AWAKE


cdef void run_tasks(Task task, void *job, int n_tasks, int n_threads) noexcept nogil:
    """Run all tasks of a job on at most this many threads. `start` must have been called for them."""
    cdef int number, k, n_own = 0, n_helpers = min(n_threads, n_tasks) - 1
    cdef double began, worked
    cdef uint64_t state
    if n_helpers < 1 or n_tasks > MOST_TASKS or not atomic_replace(&pool.taken, 0, 1):
        for number in range(n_tasks):
            task(job, number)
        return
    began = seconds_now()
    n_helpers = min(n_helpers, pool.n_workers)
    if 0.0 < pool.rests_until - began <= LONGEST_REST:
        n_helpers = 0
    pool.task, pool.job = task, job
    atomic_swap(&pool.unfinished, n_tasks)
    pool.n_jobs += 1
    state = (<uint64_t>pool.n_jobs << 32) | (<uint64_t>n_helpers << 24) | (<uint64_t>n_tasks << 12)
    atomic_swap(&pool.state, <atomic_word>state)
    for k in range(n_helpers):
        if atomic_swap(&pool.workers[k].asleep, 0):
            PyThread_release_lock(pool.workers[k].wake)
    while _take(-1, &number):
        task(job, number)
        atomic_plus(&pool.unfinished, -1)
        n_own += 1
    if n_helpers:
        worked = seconds_now()
        _wait(worked + AWAKE)
        _judge((worked - began) / max(n_own, 1), seconds_now() - worked)
    atomic_swap(&pool.taken, 0)


cdef inline void _wait(double asleep_from) noexcept nogil:
    """Wait until no task is unfinished, at first awake."""
    cdef int look
    while True:
        for look in range(64):
            if atomic_read(&pool.unfinished) == 0:
                return
            pause_briefly()
        if 0.0 < asleep_from - seconds_now() <= AWAKE:
            continue
        atomic_swap(&pool.caller_sleeps, 1)
        if atomic_read(&pool.unfinished) == 0 and atomic_swap(&pool.caller_sleeps, 0):
            return
        # A worker that finished the job before this one may wake the caller late. So the caller looks again.
        PyThread_acquire_lock(pool.finished, 1)


cdef inline void _judge(double own_task, double waited) noexcept nogil:
    """Give the other threads a rest if one was late."""
    if waited > PATIENCE and waited > 4.0 * own_task:
        pool.rest = min(2.0 * pool.rest, LONGEST_REST) if pool.rest else FIRST_REST
        pool.rests_until = seconds_now() + pool.rest
        pool.in_time = 0
        pool.n_late += 1
    else:
        pool.in_time += 1
        if pool.in_time == ENOUGH_IN_TIME:
            pool.rest = 0.0


cdef int start(int n_threads) except -1:
    """Start threads so that a job may run on this many, or on fewer if the system has no more."""
    cdef Worker *worker
    while not atomic_replace(&pool.starting, 0, 1):  # another thread starts some
        pause_briefly()
    try:
        if pool.finished == NULL:
            pool.finished = _new_lock()
        while pool.n_workers < min(n_threads - 1, MOST_WORKERS):
            worker = &pool.workers[pool.n_workers]
            worker.number, worker.asleep = pool.n_workers, 0
            if worker.wake == NULL:
                worker.wake = _new_lock()
            if PyThread_start_new_thread(_work, worker) == <unsigned long>-1:
                break
            pool.n_workers += 1
    finally:
        atomic_swap(&pool.starting, 0)
    return 0


cdef PyThread_type_lock _new_lock() except NULL:
    """A lock that is taken: whoever takes it again waits until it is released."""
    cdef PyThread_type_lock lock = PyThread_allocate_lock()
    if lock == NULL:
        raise MemoryError("no lock for a thread")
    PyThread_acquire_lock(lock, 1)
    return lock


def after_fork():
    """Forget the threads of the parent process. A child has none of them, and starts its own."""
    cdef int k
    for k in range(pool.n_workers):
        pool.workers[k].wake = NULL
    pool.n_workers = 0
    pool.finished = NULL
    pool.state = pool.unfinished = pool.taken = pool.starting = pool.caller_sleeps = 0
    pool.rest = pool.rests_until = 0.0


def counts():
    """Threads that were started, tasks that they have run, and how often one was late: for tests."""
    return {"threads": pool.n_workers, "tasks": atomic_read(&pool.n_tasks_of_workers), "late": pool.n_late}
