/* schema/engine_flat.h: an immutable tree while it is being decoded: its values one behind the
 * other, as codec/json.h has them. Internal to schema/.
 *
 * A container is begun with one value, then come its members (key, value), then it is closed.
 * Values move when there is no more room: indexes stay. */
#ifndef SCHEMA_ENGINE_FLAT_H
#define SCHEMA_ENGINE_FLAT_H

#include "codec/json.h"
#include "schema/schema.h"

struct flat {
    struct arena *a;
    yyjson_val *at;
    size_t n, cap;
};

/* More room, for at least so many. */
void flat_grow(struct flat *t, size_t more);

/* Where the next n values go. */
static inline yyjson_val *flat_next(struct flat *t, size_t n)
{
    if (__builtin_expect(t->cap - t->n < n, 0)) {
        flat_grow(t, n);
    }
    t->n += n;
    return t->at + t->n - n;
}

static inline void flat_put(struct flat *t, yyjson_val v)
{
    *flat_next(t, 1) = v;
}

/* The container that was begun there ends here. */
static inline void flat_close(struct flat *t, size_t begin, uint64_t members, uint8_t type)
{
    t->at[begin] = json_val_container(type, members, t->n - begin);
}

/* The key of a member that a row of a built-in type describes: its name, not copied. */
static inline yyjson_val flat_key(const struct schema_field *f)
{
    return json_val_plain(span_of(f->name, f->name_n)); /* names are letters */
}

/* A value and what is in it, as it is. */
void flat_copy(struct flat *t, const yyjson_val *v);
/* Of members from `first` on, some of which have the same key, the last value counts, in the place
 * of the first; one without a type takes away those before. Returns how many there are then. */
uint64_t flat_settle(struct flat *t, size_t first);
/* Moves n values to where the one at `to` stands, which is before them. */
void flat_move(struct flat *t, size_t to, size_t from, size_t n);

/* ---- defaults of rows (engine_defaults.c) ---- */

/* The default in place of a value that is none. */
void flat_default_instead(const struct schema_field *f, yyjson_val *v);
/* Members of an object of that type that has these (bits by index of the field). Returns how many.
 */
uint64_t flat_defaults(struct flat *t, const struct schema_type *type, uint64_t seen);

#endif
