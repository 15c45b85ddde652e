/* base/heap.h: an intrusive binary min-heap; nodes know their place, so removal is O(log n).
 * Order: key, then the sequence of insertion, so equal keys come out first in, first out. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint64_t seq;
    size_t at; /* 1-based index while inside; 0: outside */
};

struct heap {
    struct heap_node **nodes;
    size_t n, cap;
    uint64_t seq;
};

void heap_done(struct heap *h);
/* node is outside. */
void heap_insert(struct heap *h, struct heap_node *node, int64_t key);
/* No-op when the node is outside. */
void heap_remove(struct heap *h, struct heap_node *node);
/* Smallest node, or NULL. */
static inline struct heap_node *heap_min(const struct heap *h)
{
    return h->n ? h->nodes[0] : NULL;
}

static inline bool heap_has(const struct heap_node *node)
{
    return node->at != 0;
}

#endif
