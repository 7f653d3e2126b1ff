/* Atomic operations on one 64-bit word, for compilers with and without C11's <stdatomic.h>. All are sequentially
   consistent. */
#ifndef SKBP_ATOMICS_H
#define SKBP_ATOMICS_H

#include <time.h>

typedef long long atomic_word;

#if defined(_MSC_VER)
#include <intrin.h>

static __inline atomic_word atomic_read(atomic_word *word) { return _InterlockedOr64(word, 0); }
static __inline atomic_word atomic_swap(atomic_word *word, atomic_word value) { return _InterlockedExchange64(word, value); }
static __inline atomic_word atomic_plus(atomic_word *word, atomic_word n) { return _InterlockedExchangeAdd64(word, n) + n; }
static __inline int atomic_replace(atomic_word *word, atomic_word expected, atomic_word value) {
    return _InterlockedCompareExchange64(word, value, expected) == expected;
}

#else

static inline atomic_word atomic_read(atomic_word *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline atomic_word atomic_swap(atomic_word *word, atomic_word value) {
    return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}
static inline atomic_word atomic_plus(atomic_word *word, atomic_word n) {
    return __atomic_add_fetch(word, n, __ATOMIC_SEQ_CST);
}
static inline int atomic_replace(atomic_word *word, atomic_word expected, atomic_word value) {
    return __atomic_compare_exchange_n(word, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif

/* Tell the processor that a loop only waits. */
static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(_M_X64) || defined(_M_IX86)
    _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
    __asm__ __volatile__("yield");
#endif
}

/* Seconds since some moment. */
static inline double seconds_now(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
