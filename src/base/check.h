/* base/check.h: assertions that stay on in release builds.
 *
 * assert(cond)  O(1) facts that our own code proves: aborts with the ring of last log events.
 * verify(cond)  whole-object invariants, costly: compiled in only with BERTH_VERIFY (tests, sim,
 * CI). never(cond)   believed impossible: aborts under BERTH_VERIFY, else logs once per place and
 * yields cond, so that the caller takes its error path: if (never(x)) { return -EIO; } Bytes from
 * network, disk, children or other nodes are errors, never assertions. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Noreturn void check_failed(const char *what, const char *file, int line, const char *func);
bool check_never(const char *what, const char *file, int line, const char *func);

#undef assert
#define assert(cond)                                                                               \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) {                                                        \
            check_failed(#cond, __FILE__, __LINE__, __func__);                                     \
        }                                                                                          \
    } while (0)

#ifdef BERTH_VERIFY
enum { VERIFYING = 1 };
#define verify(cond) assert(cond)
#define never(cond) ((cond) ? (check_failed(#cond, __FILE__, __LINE__, __func__), true) : false)
#else
enum { VERIFYING = 0 };
#define verify(cond)                                                                               \
    do {                                                                                           \
        (void)sizeof(cond);                                                                        \
    } while (0)
#define never(cond) ((cond) ? check_never(#cond, __FILE__, __LINE__, __func__) : false)
#endif

/* A path that is seldom taken, apart, so that the usual one saves no registers for its sake. */
#define seldom __attribute__((noinline, cold))

/* For a check of a whole object at each of its changes: true each time while it is small, and of a
 * large one so seldom that to look at all n parts costs the same at each change. tick: any number
 * that goes up by one with a change. */
static inline bool verify_due(uint64_t tick, size_t n)
{
    return VERIFYING && tick % (1 + n / 16) == 0;
}

#endif
