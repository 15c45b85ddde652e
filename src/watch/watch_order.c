/* A skip list. A node's height comes from its key's (seeded) hash: no state, and nobody can choose
 * it. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "watch/watch_priv.h"

static unsigned height_of(uint64_t hash)
{
    hash = hash * 0x9e3779b97f4a7c15u | (uint64_t)1 << 63;
    unsigned height = 1 + (unsigned)__builtin_ctzll(hash) / 2;
    assert(height >= 1);
    assert(height <= 32);
    return height < ORDER_LEVELS ? height : ORDER_LEVELS;
}

static struct span key_of(const struct order_node *node)
{
    return object_store_key(node->object);
}

/* For each level below `height`, and below that of the highest node, the slot that points to the
 * first node with a key >= key. */
static void find_slots(struct order *o, struct span key, unsigned height,
                       struct order_node **slots[ORDER_LEVELS])
{
    assert(height <= ORDER_LEVELS);
    assert(o->levels <= ORDER_LEVELS);
    struct order_node **level = o->head;   /* the array of next pointers that we stand on */
    const struct order_node *above = NULL; /* the level above has found it: not looked at again */
    for (unsigned i = o->levels; i < height; i++) {
        slots[i] = &o->head[i];
    }
    for (unsigned i = o->levels; i-- > 0;) {
        while (level[i] && level[i] != above && span_cmp(key_of(level[i]), key) < 0) {
            level = level[i]->next;
        }
        slots[i] = &level[i];
        above = level[i];
    }
}

struct order_node *order_insert(struct order *o, struct object *object, uint64_t hash)
{
    assert(object);
    struct order_node **slots[ORDER_LEVELS] = {NULL};
    struct span key = object_store_key(object);
    unsigned levels = height_of(hash);
    verify(hash == map_hash(key));
    find_slots(o, key, levels, slots);
    assert(!*slots[0] || !span_eq(key_of(*slots[0]), key));
    struct order_node *node = mem_new(sizeof *node + levels * sizeof(struct order_node *));
    node->object = object_ref(object);
    node->levels = levels;
    o->levels = levels > o->levels ? levels : o->levels;
    for (unsigned i = 0; i < levels; i++) {
        node->next[i] = *slots[i];
        *slots[i] = node;
    }
    o->n++;
    assert(o->head[0]);
    assert(node->levels >= 1);
    assert(node->levels <= ORDER_LEVELS);
    return node;
}

void order_remove(struct order *o, struct order_node *node)
{
    struct order_node **slots[ORDER_LEVELS] = {NULL};
    find_slots(o, key_of(node), node->levels, slots);
    assert(o->n > 0);
    for (unsigned i = 0; i < node->levels; i++) {
        assert(slots[i]);
        assert(*slots[i] == node);
        *slots[i] = node->next[i];
    }
    o->n--;
    assert((o->n == 0) == !o->head[0]);
    object_unref(node->object);
    free(node);
}

struct order_node *order_seek(const struct order *o, struct span key, bool or_equal)
{
    struct order_node *const *level = o->head;
    const struct order_node *above = NULL;
    assert(o->levels <= ORDER_LEVELS);
    for (unsigned i = o->levels; i-- > 0;) {
        while (level[i] && level[i] != above &&
               span_cmp(key_of(level[i]), key) < (or_equal ? 0 : 1)) {
            level = level[i]->next;
        }
        above = level[i];
    }
    verify(!level[0] || span_cmp(key_of(level[0]), key) >= (or_equal ? 0 : 1));
    return level[0];
}

void order_done(struct order *o)
{
    assert((o->n == 0) == !o->head[0]);
    struct order_node *node = o->head[0];
    while (node) {
        struct order_node *next = node->next[0];
        object_unref(node->object);
        free(node);
        node = next;
    }
    *o = (struct order){0};
}
