/* schema/engine_flat.c: what decoding seldom does to the tree that it makes. */
#include "schema/engine_flat.h"

#include "base/check.h"
#include "base/map.h"

seldom void flat_grow(struct flat *t, size_t more)
{
    size_t cap = 2 * t->cap + more;
    yyjson_val *to = arena_alloc_raw(t->a, cap * sizeof *to);
    if (t->n) {
        memcpy(to, t->at, t->n * sizeof *to);
    }
    t->at = to;
    t->cap = cap;
}

void flat_copy(struct flat *t, const yyjson_val *v)
{
    size_t n = json_values(v);
    memcpy(flat_next(t, n), v, n * sizeof *v);
}

void flat_move(struct flat *t, size_t to, size_t from, size_t n)
{
    assert(to <= from);
    assert(from + n <= t->n);
    yyjson_val *moved = arena_alloc_raw(t->a, n * sizeof *moved);
    memcpy(moved, t->at + from, n * sizeof *moved);
    memmove(t->at + to + n, t->at + to, (from - to) * sizeof *moved);
    memcpy(t->at + to, moved, n * sizeof *moved);
}

/* Takes the members that count, each with its last value; the others are gone. */
static seldom void take_live(struct flat *t, size_t first, const yyjson_val *const *live, size_t n)
{
    yyjson_val *out = arena_alloc_raw(t->a, (t->n - first + 1) * sizeof *out);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t values = live[i] ? 1 + json_values(live[i] + 1) : 0;
        if (values) {
            memcpy(out + at, live[i], values * sizeof *out);
        }
        at += values;
    }
    memcpy(t->at + first, out, at * sizeof *out);
    t->n = first + at;
}

seldom uint64_t flat_settle(struct flat *t, size_t first)
{
    const yyjson_val **live = ARENA_ARRAY(t->a, const yyjson_val *, (t->n - first) / 2 + 1);
    struct map seen = MAP_INIT; /* where in live a key is */
    size_t n = 0;
    uint64_t members = 0;
    for (size_t i = first; i < t->n; i += 1 + json_values(t->at + i + 1)) {
        const yyjson_val *member = t->at + i, **before = map_get(&seen, json_str(member));
        bool is_none = yyjson_get_type((yyjson_val *)(uintptr_t)(member + 1)) == YYJSON_TYPE_NONE;
        if (is_none && before) {
            *before = NULL;
            (void)map_remove(&seen, json_str(member));
            members--;
        } else if (before) {
            *before = member; /* in the place of the first */
        } else if (!is_none) {
            live[n] = member;
            (void)map_put(&seen, json_str(member), &live[n]);
            n++;
            members++;
        }
    }
    map_done(&seen);
    take_live(t, first, live, n);
    return members;
}
