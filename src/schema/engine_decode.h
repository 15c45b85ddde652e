/* schema/engine_decode.h: what decoding of containers and that of values share. Internal to
 * schema/.
 */
#ifndef SCHEMA_ENGINE_DECODE_H
#define SCHEMA_ENGINE_DECODE_H

#include "schema/engine.h"
#include "schema/engine_flat.h"

struct decoder {
    struct arena *a;
    struct flat out;
    struct span complaints[32]; /* about unknown and repeated members */
    size_t n;
    bool keep_complaints;
    bool defaults; /* objects get those of their rows */
    bool status;   /* the status, too */
    struct err *err;
};

/* What is being decoded: the shape, and the struct and field it stands in, for error texts. */
struct slot {
    const struct schema_field *field;
    const struct schema_type *owner; /* NULL: the root */
    uint8_t shape;                   /* the field's, or its element's */
    const yyjson_val *known; /* what stands there already, as decoded once; NULL: nothing known */
};

/* Puts a value that has no members. False: d->err says why. */
bool decode_scalar(struct decoder *d, const struct slot *s, const yyjson_val *v,
                   const struct path *p);
/* Sets d->err; returns false. */
bool decode_wrong_type(struct decoder *d, const struct slot *s, const yyjson_val *v,
                       const struct path *p);

static inline bool put_text(struct decoder *d, struct span s)
{
    flat_put(&d->out, json_val_str(s));
    return true;
}

static inline bool put_number(struct decoder *d, int64_t n)
{
    flat_put(&d->out, json_val_int(n));
    return true;
}

/* A value without others in it as it came; the bytes of strings are the client's. */
static inline bool put_same(struct decoder *d, const yyjson_val *v)
{
    flat_put(&d->out, *v);
    return true;
}

static inline bool put_whole(struct decoder *d, const yyjson_val *v)
{
    flat_copy(&d->out, v);
    return true;
}

#endif
