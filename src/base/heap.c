#include "base/heap.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

void heap_done(struct heap *h)
{
    assert(h->n == 0 || h->nodes);
    free(h->nodes);
    *h = (struct heap){0};
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(struct heap *h, size_t i, struct heap_node *node)
{
    assert(i < h->cap);
    h->nodes[i] = node;
    node->at = i + 1;
}

/* Each node knows its place, and none is before the one above it. */
static void heap_verify(const struct heap *h)
{
    if (!verify_due(h->seq, h->n)) {
        return;
    }
    assert(h->n <= h->cap);
    for (size_t i = 0; i < h->n; i++) {
        assert(h->nodes[i]->at == i + 1);
        assert(i == 0 || !before(h->nodes[i], h->nodes[(i - 1) / 2]));
    }
}

static void sift_up(struct heap *h, size_t i)
{
    struct heap_node *node = h->nodes[i];
    while (i > 0 && before(node, h->nodes[(i - 1) / 2])) {
        place(h, i, h->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(h, i, node);
}

static void sift_down(struct heap *h, size_t i)
{
    struct heap_node *node = h->nodes[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n) {
            break;
        }
        if (child + 1 < h->n && before(h->nodes[child + 1], h->nodes[child])) {
            child++;
        }
        if (!before(h->nodes[child], node)) {
            break;
        }
        place(h, i, h->nodes[child]);
        i = child;
    }
    place(h, i, node);
}

void heap_insert(struct heap *h, struct heap_node *node, int64_t key)
{
    assert(!heap_has(node));
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->nodes = mem_grow(h->nodes, h->cap, sizeof(struct heap_node *));
    }
    node->key = key;
    node->seq = h->seq++;
    h->nodes[h->n] = node;
    sift_up(h, h->n++);
    heap_verify(h);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (!heap_has(node)) {
        return;
    }
    size_t i = node->at - 1;
    assert(i < h->n);
    assert(h->nodes[i] == node);
    node->at = 0;
    struct heap_node *last = h->nodes[--h->n];
    if (last != node) {
        place(h, i, last);
        sift_up(h, i);
        sift_down(h, last->at - 1);
    }
    heap_verify(h);
}
