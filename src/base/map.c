#include "base/map.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_SLOTS = 16 };

static uint64_t seed_value = 0x9e3779b97f4a7c15u;

void map_seed(uint64_t seed)
{
    seed_value = seed | 1;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* The fewer than eight bytes from `at` on, as a little-endian number. (A memcpy of as many as there
 * are would be a call.) */
static uint64_t last_word(struct span key, size_t at)
{
    uint64_t w = 0;
    if (key.n >= sizeof w) {
        size_t left = key.n - at;
        memcpy(&w, key.p + key.n - sizeof w, sizeof w);
        return left ? w >> 8 * (sizeof w - left) : 0;
    }
    uint32_t first, last;
    if (key.n >= sizeof first) { /* two words that may overlap */
        memcpy(&first, key.p, sizeof first);
        memcpy(&last, key.p + key.n - sizeof last, sizeof last);
        return first | (uint64_t)last << 8 * (key.n - sizeof last);
    }
    for (size_t i = key.n; i > at; i--) {
        w = w << 8 | (unsigned char)key.p[i - 1];
    }
    return w;
}

uint64_t map_hash(struct span key)
{
    uint64_t h = seed_value ^ (key.n * 0xff51afd7ed558ccdu);
    size_t i = 0;
    for (; i + 8 <= key.n; i += 8) {
        uint64_t w;
        memcpy(&w, key.p + i, 8);
        h = mix(h ^ w, 0xa0761d6478bd642fu);
    }
    h = mix(h ^ last_word(key, i), 0xe7037ed1a0b428dbu);
    return mix(h, seed_value);
}

void map_give_back(struct map *m)
{
    assert(m->slots);
    assert(m->n < m->cap);
    free(m->slots);
    *m = MAP_INIT;
}

void map_done_values(struct map *m, void (*free_value)(void *value))
{
    assert(free_value);
    for (size_t i = 0, left = m->n; left > 0 && i < m->cap; i++) {
        if (m->slots[i].value) {
            free_value(m->slots[i].value);
            left--;
        }
    }
    map_done(m);
}

/* The slot holding key, or the free slot where it would go. cap > n always holds. */
static size_t slot_of(const struct map *m, struct span key, uint64_t hash)
{
    size_t mask = m->cap - 1;
    size_t i = hash & mask;
    while (m->slots[i].value && !(m->slots[i].hash == hash && span_eq(m->slots[i].key, key))) {
        i = (i + 1) & mask;
    }
    return i;
}

static void resize(struct map *m, size_t cap)
{
    assert((cap & (cap - 1)) == 0);
    assert(cap > m->n);
    struct map old = *m;
    m->slots = mem_new_array(cap, sizeof *m->slots);
    m->cap = cap;
    for (size_t i = 0; i < old.cap; i++) {
        size_t at = old.slots[i].hash & (cap - 1);
        if (old.slots[i].value) { /* no two are the same: the next free slot is its own */
            while (m->slots[at].value) {
                at = (at + 1) & (cap - 1);
            }
            m->slots[at] = old.slots[i];
        }
    }
    free(old.slots);
}

static bool has_room(size_t cap, size_t n)
{
    return n * 4 <= cap * 3;
}

void map_reserve(struct map *m, size_t n)
{
    size_t cap = FIRST_SLOTS;
    assert(m->n == 0);
    while (!has_room(cap, n)) {
        cap *= 2;
    }
    if (cap > m->cap) {
        resize(m, cap);
    }
}

void *map_get(const struct map *m, struct span key)
{
    return m->n ? m->slots[slot_of(m, key, map_hash(key))].value : NULL;
}

struct map_slot *map_find(const struct map *m, struct span key)
{
    struct map_slot *s = m->n ? &m->slots[slot_of(m, key, map_hash(key))] : NULL;
    return s && s->value ? s : NULL;
}

struct map_slot *map_seek(struct map *m, struct span key)
{
    uint64_t hash = map_hash(key);
    struct map_slot *s = m->cap ? &m->slots[slot_of(m, key, hash)] : NULL;
    if (s && s->value) {
        return s;
    }
    if (!has_room(m->cap, m->n + 1)) {
        resize(m, m->cap ? m->cap * 2 : FIRST_SLOTS);
        s = &m->slots[slot_of(m, key, hash)];
    }
    assert(s);
    s->hash = hash;
    return s;
}

void map_fill(struct map *m, struct map_slot *slot, struct span key, void *value)
{
    assert(value);
    assert(!slot->value);
    assert(has_room(m->cap, m->n + 1));
    slot->key = key;
    slot->value = value;
    m->n++;
}

void *map_put(struct map *m, struct span key, void *value)
{
    assert(value);
    struct map_slot *s = map_seek(m, key);
    void *old = s->value;
    if (old) {
        s->key = key;
        s->value = value;
    } else {
        map_fill(m, s, key, value);
    }
    return old;
}

void *map_remove(struct map *m, struct span key)
{
    if (m->n == 0) {
        return NULL;
    }
    size_t mask = m->cap - 1;
    size_t i = slot_of(m, key, map_hash(key));
    void *old = m->slots[i].value;
    if (!old) {
        return NULL;
    }
    m->n--;
    assert(m->n < m->cap);
    /* Close the gap: shift back every follower whose home lies at or before it. */
    for (size_t j = (i + 1) & mask; m->slots[j].value; j = (j + 1) & mask) {
        size_t home = m->slots[j].hash & mask;
        if (((j - home) & mask) >= ((j - i) & mask)) {
            m->slots[i] = m->slots[j];
            i = j;
        }
    }
    m->slots[i].value = NULL;
    return old;
}

void *map_next(const struct map *m, size_t *it, struct span *ret_key)
{
    while (*it < m->cap) {
        const struct map_slot *s = &m->slots[(*it)++];
        if (s->value) {
            if (ret_key) {
                *ret_key = s->key;
            }
            return s->value;
        }
    }
    return NULL;
}
