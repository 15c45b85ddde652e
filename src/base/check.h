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
#define verify(cond) assert(cond)
#define never(cond) ((cond) ? (check_failed(#cond, __FILE__, __LINE__, __func__), true) : false)
#else
#define verify(cond)                                                                               \
    do {                                                                                           \
        (void)sizeof(cond);                                                                        \
    } while (0)
#define never(cond) ((cond) ? check_never(#cond, __FILE__, __LINE__, __func__) : false)
#endif

#endif
