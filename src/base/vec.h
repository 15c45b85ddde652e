/* base/vec.h: a growing array of values on the heap.
 *
 *     struct { VEC(struct pod_ref) refs; } x = {0};   // or: VEC(int) v = {0};
 *     VEC_PUSH(&x.refs, ref);  for (size_t i = 0; i < x.refs.n; i++) use(x.refs.at[i]);
 * VEC_DONE(&x.refs); */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *at;                                                                                  \
        size_t n, cap;                                                                             \
    }

#define VEC_RESERVE(v, want)                                                                       \
    do {                                                                                           \
        if ((v)->cap < (want)) {                                                                   \
            size_t cap_ = (v)->cap ? (v)->cap * 2 : 8;                                             \
            (v)->cap = cap_ < (want) ? (want) : cap_;                                              \
            (v)->at = mem_grow((v)->at, (v)->cap, sizeof *(v)->at);                                \
        }                                                                                          \
    } while (0)

#define VEC_PUSH(v, value)                                                                         \
    do {                                                                                           \
        VEC_RESERVE(v, (v)->n + 1);                                                                \
        (v)->at[(v)->n++] = (value);                                                               \
    } while (0)

/* Removes element i, keeping the order. */
#define VEC_REMOVE(v, i)                                                                           \
    do {                                                                                           \
        size_t i_ = (i);                                                                           \
        memmove(&(v)->at[i_], &(v)->at[i_ + 1], ((v)->n - i_ - 1) * sizeof *(v)->at);              \
        (v)->n--;                                                                                  \
    } while (0)

#define VEC_DONE(v)                                                                                \
    do {                                                                                           \
        free((v)->at);                                                                             \
        (v)->at = NULL;                                                                            \
        (v)->n = (v)->cap = 0;                                                                     \
    } while (0)

#endif
