/* plan/ordinal_tree.c: see ordinal_tree.h. */
#include "plan/ordinal_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { BITS = 6, WIDTH = 64, HEIGHT_MAX = 6 };

struct ordinal_node {
    uint64_t has[ORDINAL_MARKS_MAX]; /* has[0]: there is a child */
    uint64_t full;                   /* no ordinal below is free */
    int32_t count[ORDINAL_MARKS_MAX];
    void **child; /* packed; nodes, or in leaves entries */
};

/* ---- places ---- */

static int64_t span_at(int height)
{
    assert(height >= 0);
    assert(height <= HEIGHT_MAX);
    return INT64_C(1) << (BITS * height); /* ordinals below one child */
}

static unsigned digit(int64_t ordinal, int height)
{
    assert(ordinal >= 0);
    assert(height >= 0);
    assert(height <= HEIGHT_MAX);
    return (unsigned)((uint64_t)ordinal >> (BITS * height)) % WIDTH;
}

static bool fits(const struct ordinal_tree *t, int64_t ordinal)
{
    assert(!t->root || (t->height >= 0 && t->height <= HEIGHT_MAX));
    return t->root && ordinal < span_at(t->height + 1);
}

static unsigned rank_of(const struct ordinal_node *n, unsigned d)
{
    return (unsigned)__builtin_popcountll(n->has[0] & ((UINT64_C(1) << d) - 1));
}

static void *child_at(const struct ordinal_node *n, unsigned d)
{
    assert(n->has[0] >> d & 1);
    return n->child[rank_of(n, d)];
}

static void child_add(struct ordinal_node *n, unsigned d, void *child)
{
    assert(child);
    assert(d < WIDTH);
    unsigned have = (unsigned)__builtin_popcountll(n->has[0]), at = rank_of(n, d);
    assert(!(n->has[0] >> d & 1));
    assert(have < WIDTH);
    if ((have & (have - 1)) == 0) { /* capacity is the next power of two */
        n->child = mem_grow(n->child, have ? (size_t)have * 2 : 1, sizeof *n->child);
    }
    memmove(&n->child[at + 1], &n->child[at], (have - at) * sizeof *n->child);
    n->child[at] = child;
    n->has[0] |= UINT64_C(1) << d;
}

static void child_remove(struct ordinal_node *n, unsigned d)
{
    assert(d < WIDTH);
    unsigned have = (unsigned)__builtin_popcountll(n->has[0]), at = rank_of(n, d);
    assert(have > 0);
    assert(at < have);
    assert(n->has[0] >> d & 1);
    memmove(&n->child[at], &n->child[at + 1], (have - at - 1) * sizeof *n->child);
    n->has[0] &= ~(UINT64_C(1) << d);
}

/* ---- change ---- */

static void node_free(struct ordinal_node *n)
{
    free(n->child);
    free(n);
}

static void node_done(struct ordinal_node *n, int height, void (*free_fn)(struct ordinal_entry *e))
{
    assert(height >= 0);
    assert(height <= HEIGHT_MAX);
    unsigned have = (unsigned)__builtin_popcountll(n->has[0]);
    for (unsigned i = 0; i < have; i++) {
        if (height > 0) {
            node_done(n->child[i], height - 1, free_fn);
        } else {
            free_fn(n->child[i]);
        }
    }
    node_free(n);
}

void ordinal_tree_done(struct ordinal_tree *t, void (*free_fn)(struct ordinal_entry *e))
{
    assert(!t->root || free_fn);
    if (t->root) {
        node_done(t->root, t->height, free_fn);
    }
    *t = (struct ordinal_tree){0};
}

/* Child d is there. */
static int32_t count_below(const struct ordinal_node *n, int height, unsigned d, int mark)
{
    assert(mark >= 0);
    assert(mark < ORDINAL_MARKS_MAX);
    assert(n->has[0] >> d & 1);
    void *child = child_at(n, d);
    return height > 0 ? ((struct ordinal_node *)child)->count[mark]
                      : (int32_t)(((struct ordinal_entry *)child)->marks >> mark & 1);
}

/* Child d changed its marks from `was` to `now` for one pod (bit 0: the pod is there at all). */
static void update_node(struct ordinal_node *n, int height, unsigned d, uint32_t was, uint32_t now)
{
    uint64_t bit = UINT64_C(1) << d;
    for (uint32_t left = was ^ now; left; left &= left - 1) {
        int mark = __builtin_ctz(left);
        n->count[mark] += (now >> mark & 1) ? 1 : -1;
        assert(n->count[mark] >= 0);
        if (mark > 0) {
            bool any = count_below(n, height, d, mark) > 0;
            n->has[mark] = any ? n->has[mark] | bit : n->has[mark] & ~bit;
        }
    }
    bool full = count_below(n, height, d, 0) == span_at(height);
    n->full = full ? n->full | bit : n->full & ~bit;
}

/* Down to the leaf and back up, changing every node on the way. */
static void change(struct ordinal_node *n, int height, struct ordinal_entry *e, uint32_t was,
                   uint32_t now)
{
    assert(n);
    assert(e);
    assert((was | now) & 1);
    unsigned d = digit(e->ordinal, height);
    if (height > 0) {
        struct ordinal_node *child;
        if (n->has[0] >> d & 1) {
            child = child_at(n, d);
        } else {
            child = MEM_NEW(struct ordinal_node);
            child_add(n, d, child);
        }
        change(child, height - 1, e, was, now);
        if (child->count[0] == 0) {
            update_node(n, height, d, was, now);
            child_remove(n, d);
            node_free(child);
            return;
        }
    } else if (!(was & 1)) {
        child_add(n, d, e);
    } else if (!(now & 1)) {
        update_node(n, height, d, was, now);
        child_remove(n, d);
        return;
    }
    update_node(n, height, d, was, now);
}

static void grow(struct ordinal_tree *t)
{
    struct ordinal_node *old = t->root, *root = MEM_NEW(struct ordinal_node);
    assert(old);
    assert(t->height < HEIGHT_MAX);
    child_add(root, 0, old);
    for (int m = 0; m < ORDINAL_MARKS_MAX; m++) {
        root->count[m] = old->count[m];
        root->has[m] = old->count[m] > 0;
    }
    t->height++;
    root->full = old->count[0] == span_at(t->height);
    t->root = root;
}

void ordinal_tree_add(struct ordinal_tree *t, struct ordinal_entry *e)
{
    assert(e->ordinal >= 0);
    assert(e->marks & 1);
    assert(e->marks >> ORDINAL_MARKS_MAX == 0);
    if (!t->root) {
        t->root = MEM_NEW(struct ordinal_node);
        t->height = 0;
        while (!fits(t, e->ordinal)) {
            t->height++;
        }
    }
    while (!fits(t, e->ordinal)) {
        grow(t);
    }
    change(t->root, t->height, e, 0, e->marks);
    assert(ordinal_tree_get(t, e->ordinal) == e);
}

void ordinal_tree_remove(struct ordinal_tree *t, struct ordinal_entry *e)
{
    assert(t->root);
    assert(ordinal_tree_get(t, e->ordinal) == e);
    assert(e->marks & 1);
    uint32_t was = e->marks;
    e->marks = 0;
    change(t->root, t->height, e, was, 0);
    assert(t->root->count[0] >= 0);
    if (t->root->count[0] == 0) {
        node_free(t->root);
        *t = (struct ordinal_tree){0};
    }
}

void ordinal_tree_mark(struct ordinal_tree *t, struct ordinal_entry *e, uint32_t marks)
{
    assert(marks & 1);
    assert(marks >> ORDINAL_MARKS_MAX == 0);
    assert(e->marks & 1);
    uint32_t was = e->marks;
    if (was != marks) {
        e->marks = marks;
        change(t->root, t->height, e, was, marks);
    }
}

/* ---- look ---- */

struct ordinal_entry *ordinal_tree_get(const struct ordinal_tree *t, int32_t ordinal)
{
    if (ordinal < 0 || !fits(t, ordinal)) {
        return NULL;
    }
    void *at = t->root;
    for (int h = t->height; h >= 0; h--) {
        const struct ordinal_node *n = at;
        unsigned d = digit(ordinal, h);
        if (!(n->has[0] >> d & 1)) {
            return NULL;
        }
        at = child_at(n, d);
    }
    assert(((struct ordinal_entry *)at)->ordinal == ordinal);
    return at;
}

int32_t ordinal_tree_count(const struct ordinal_tree *t, int mark)
{
    assert(mark >= 0);
    assert(mark < ORDINAL_MARKS_MAX);
    return t->root ? t->root->count[mark] : 0;
}

int32_t ordinal_tree_count_from(const struct ordinal_tree *t, int mark, int64_t from)
{
    assert(mark >= 0);
    assert(mark < ORDINAL_MARKS_MAX);
    if (from <= 0 || !fits(t, from)) {
        return from <= 0 ? ordinal_tree_count(t, mark) : 0;
    }
    int32_t sum = 0;
    const struct ordinal_node *n = t->root;
    for (int h = t->height;; h--) {
        unsigned d = digit(from, h);
        uint64_t above = d == WIDTH - 1 ? 0 : n->has[mark] & (UINT64_MAX << (d + 1));
        for (; above; above &= above - 1) {
            sum += count_below(n, h, (unsigned)__builtin_ctzll(above), mark);
        }
        if (!(n->has[mark] >> d & 1)) {
            return sum;
        }
        if (h == 0) {
            return sum + 1;
        }
        n = child_at(n, d);
    }
}

/* The lowest ordinal >= from below n (which starts at `base`) with the mark; mark -1: without a
 * pod. */
static int64_t first_below(const struct ordinal_node *n, int height, int mark, int64_t base,
                           int64_t from)
{
    assert(mark < ORDINAL_MARKS_MAX);
    assert(from >= 0);
    assert(base >= 0);
    uint64_t bits = mark < 0 ? ~n->full : n->has[mark];
    unsigned d = from > base ? digit(from, height) : 0;
    for (bits &= UINT64_MAX << d; bits; bits &= bits - 1) {
        unsigned at = (unsigned)__builtin_ctzll(bits);
        int64_t start = base + (int64_t)at * span_at(height);
        int64_t found = from > start ? from : start;
        if (height > 0 && n->has[0] >> at & 1) {
            found = first_below(child_at(n, at), height - 1, mark, start, from);
        }
        if (found >= 0) {
            assert(found >= from);
            return found;
        }
    }
    return -1;
}

static int64_t last_below(const struct ordinal_node *n, int height, int mark, int64_t base,
                          int64_t to)
{
    assert(mark < ORDINAL_MARKS_MAX);
    assert(to >= 0);
    uint64_t bits = mark < 0 ? ~n->full : n->has[mark];
    int64_t end = base + span_at(height + 1) - 1;
    unsigned d = to < end ? digit(to, height) : WIDTH - 1;
    for (bits &= UINT64_MAX >> (WIDTH - 1 - d); bits;) {
        unsigned at = (unsigned)(WIDTH - 1 - __builtin_clzll(bits));
        int64_t start = base + (int64_t)at * span_at(height), stop = start + span_at(height) - 1;
        int64_t found = to < stop ? to : stop;
        if (height > 0 && n->has[0] >> at & 1) {
            found = last_below(child_at(n, at), height - 1, mark, start, to);
        }
        if (found >= 0) {
            assert(found <= to);
            return found;
        }
        bits &= ~(UINT64_C(1) << at);
    }
    return -1;
}

int64_t ordinal_tree_first(const struct ordinal_tree *t, int mark, int64_t from)
{
    assert(mark >= 0);
    assert(mark < ORDINAL_MARKS_MAX);
    from = from < 0 ? 0 : from;
    int64_t found = fits(t, from) ? first_below(t->root, t->height, mark, 0, from) : -1;
    assert(found == -1 || found >= from);
    return found;
}

int64_t ordinal_tree_last(const struct ordinal_tree *t, int mark, int64_t to)
{
    assert(mark >= 0);
    assert(mark < ORDINAL_MARKS_MAX);
    int64_t found = to >= 0 && t->root ? last_below(t->root, t->height, mark, 0, to) : -1;
    assert(found <= to || found == -1);
    return found;
}

int64_t ordinal_tree_first_gap(const struct ordinal_tree *t, int64_t from)
{
    assert(from >= 0);
    int64_t found = fits(t, from) ? first_below(t->root, t->height, -1, 0, from) : from;
    found = found >= 0 ? found : span_at(t->height + 1);
    assert(found >= from);
    return found;
}

int64_t ordinal_tree_last_gap(const struct ordinal_tree *t, int64_t to)
{
    assert(to >= -1);
    if (to < 0 || !fits(t, to)) {
        return to;
    }
    return last_below(t->root, t->height, -1, 0, to);
}
