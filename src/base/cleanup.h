/* base/cleanup.h: scope-bound release of synchronous resources.
 *
 * A variable with one of these attributes never crosses into a callback; hand it on with
 * TAKE_PTR/TAKE_FD. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* "unused": a variable may exist only to be released; clang says so otherwise, gcc does not. */
#define CLEANUP(fn) __attribute__((cleanup(fn), unused))

static inline void cleanup_free_fn(void *pp)
{
    free(*(void **)pp);
}

static inline void cleanup_close_fn(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

static inline void cleanup_fclose_fn(FILE **f)
{
    if (*f) {
        (void)fclose(*f);
    }
}

#define cleanup_free CLEANUP(cleanup_free_fn)
#define cleanup_close CLEANUP(cleanup_close_fn)
#define cleanup_fclose CLEANUP(cleanup_fclose_fn)

/* Defines cleanup_NAME_fn for a type whose destructor accepts NULL. */
#define CLEANUP_DEFINE(type, destroy)                                                              \
    static inline void cleanup_##destroy##_fn(type *pp)                                            \
    {                                                                                              \
        destroy(*pp);                                                                              \
    }

#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

#endif
