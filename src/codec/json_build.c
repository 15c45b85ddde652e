#include "codec/json_build.h"

#include "base/check.h"

enum { FIRST_VALUES = 128 };

static seldom void grow(struct json_build *b, size_t more)
{
    size_t cap = 2 * b->cap + more;
    yyjson_val *to = arena_alloc_raw(b->a, cap * sizeof *to);
    memcpy(to, b->at, b->n * sizeof *to);
    b->at = to;
    b->cap = cap;
}

/* Where the next value goes, which takes the room of n. */
static inline yyjson_val *next(struct json_build *b, struct span key, size_t n)
{
    if (__builtin_expect(b->cap - b->n < n + 1, 0)) {
        grow(b, n + 1);
    }
    yyjson_val *open = b->at + b->open;
    assert(((open->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_OBJ) == (key.p != NULL));
    open->tag += UINT64_C(1) << YYJSON_TAG_BIT;
    if (key.p) {
        b->at[b->n++] = json_val_plain(key);
    }
    b->n += n;
    return b->at + b->n - n;
}

struct json_build json_build_new(struct arena *a)
{
    struct json_build b = {
        .a = a, .at = arena_alloc_raw(a, FIRST_VALUES * sizeof *b.at), .n = 1, .cap = FIRST_VALUES};
    b.at[0].tag = YYJSON_TYPE_OBJ;
    return b;
}

static void open(struct json_build *b, struct span key, uint8_t type)
{
    yyjson_val *v = next(b, key, 1);
    v->tag = type;
    v->uni.ofs = b->open;
    b->open = (size_t)(v - b->at);
}

void json_build_object(struct json_build *b, struct span key)
{
    open(b, key, YYJSON_TYPE_OBJ);
}

void json_build_list(struct json_build *b, struct span key)
{
    open(b, key, YYJSON_TYPE_ARR);
}

void json_build_close(struct json_build *b)
{
    assert(b->open > 0);
    yyjson_val *v = b->at + b->open;
    b->open = v->uni.ofs;
    v->uni.ofs = (size_t)(b->at + b->n - v) * sizeof *v;
}

void json_build_str(struct json_build *b, struct span key, struct span value)
{
    *next(b, key, 1) = json_val_str(value);
}

void json_build_int(struct json_build *b, struct span key, int64_t value)
{
    *next(b, key, 1) = json_val_int(value);
}

void json_build_bool(struct json_build *b, struct span key, bool value)
{
    *next(b, key, 1) = json_val_bool(value);
}

void json_build_copy(struct json_build *b, struct span key, const yyjson_val *v)
{
    assert(v);
    size_t n = json_values(v);
    memcpy(next(b, key, n), v, n * sizeof *v);
}

yyjson_val *json_build_done(struct json_build *b)
{
    assert(b->open == 0);
    assert(b->n <= b->cap);
    b->at[0].uni.ofs = b->n * sizeof *b->at;
    return b->at;
}
