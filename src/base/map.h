/* base/map.h: a hash map from byte strings to pointers.
 *
 * Keys are borrowed: the caller keeps the key's bytes alive as long as the entry (usually they are
 * inside the value). Open addressing, power-of-two capacity, load at most 3/4. The hash is seeded
 * (map_seed), so that names chosen outside cannot aim at one bucket; the seed comes from the
 * environment, hence deterministic in simulation. Iteration order is not defined: sort where order
 * matters. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct map_slot {
    struct span key;
    uint64_t hash;
    void *value; /* NULL: the slot is free */
};

struct map {
    struct map_slot *slots;
    size_t cap, n;
};

#define MAP_INIT ((struct map){NULL, 0, 0})

void map_give_back(struct map *m); /* what map_done() calls for a map that has had entries */
static inline void map_done(struct map *m)
{
    if (m->slots) { /* most have none when they end */
        map_give_back(m);
    }
}
/* The same, with what it holds. */
void map_done_values(struct map *m, void (*free_value)(void *value));
/* Room for that many entries at once, in a map that has none yet. */
void map_reserve(struct map *m, size_t n);
/* NULL when absent. */
void *map_get(const struct map *m, struct span key);
/* The entry itself, until the map changes: its value, and the bytes that its key is borrowed from,
 * may be replaced. NULL when absent. */
struct map_slot *map_find(const struct map *m, struct span key);
/* value is not NULL. Returns the value that stood there, or NULL; the key's bytes are then the new
 * ones. */
void *map_put(struct map *m, struct span key, void *value);
/* To find or to put, the way is gone once: the slot that key is in, or would take. That one's value
 * is NULL, and it waits for map_fill(), which comes before any other change of the map if it comes
 * at all. */
struct map_slot *map_seek(struct map *m, struct span key);
void map_fill(struct map *m, struct map_slot *slot, struct span key, void *value);
/* Returns the removed value, or NULL. */
void *map_remove(struct map *m, struct span key);
/* Iteration: size_t it = 0; while ((v = map_next(&m, &it, &key))) ...; no change to the map
 * meanwhile. */
void *map_next(const struct map *m, size_t *it, struct span *ret_key);

uint64_t map_hash(struct span key);
/* Once at start, before any map is filled. */
void map_seed(uint64_t seed);

#endif
