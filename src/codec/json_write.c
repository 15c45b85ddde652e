/* codec/json_write.c: trees as compact text, byte for byte as yyjson writes them. Nearly all values
 * of ours are short plain strings, which this copies a few words at a time; what is not that simple
 * (escapes, fractions) is yyjson's. */
#include <stdlib.h>

#include "base/check.h"
#include "codec/json.h"
#include "codec/json_out.h"
#include "codec/json_text.h"

/* Of a tree, and of one value: what is no string has at most VALUE_BYTES, with a comma. */
enum { FIRST_BYTES = 2000, FIRST_BYTES_SMALL = 80, VALUE_BYTES = 32 };

static seldom void grow(struct json_out *t, size_t n)
{
    t->p = arena_regrow(t->a, t->p, t->n, n, t->first, &t->cap);
    t->end = t->p + t->cap;
}

/* n bytes may be put then without a look. */
static inline char *room(struct json_out *t, size_t n)
{
    if (__builtin_expect(t->cap - t->n < n, 0)) {
        grow(t, n);
    }
    return t->p + t->n;
}

/* As it is, with its quotes or without. */
static void put_plain(struct json_out *t, const char *p, size_t n)
{
    char *at = room(t, n + VALUE_BYTES);
    span_copy_short(at, p, n);
    t->n += n;
}

/* Strings with escapes, fractions. */
static seldom void put_rare(struct json_out *t, uint64_t tag, const void *bits)
{
    yyjson_val v = {.tag = tag};
    memcpy(&v.uni, bits, sizeof v.uni);
    size_t n = 0;
    char *p = yyjson_val_write(&v, YYJSON_WRITE_NOFLAG, &n);
    assert(p); /* texts are UTF-8, numbers finite */
    put_plain(t, p, n);
    free(p);
}

static void put_number(struct json_out *t, uint64_t tag, uint64_t bits)
{
    char digits[SPAN_NUMBER_BYTES];
    bool negative = (tag & YYJSON_SUBTYPE_MASK) == YYJSON_SUBTYPE_SINT && (int64_t)bits < 0;
    if ((tag & YYJSON_SUBTYPE_MASK) == YYJSON_SUBTYPE_REAL) {
        put_rare(t, tag, &bits);
        return;
    }
    struct span text = negative ? span_i64(digits, (int64_t)bits) : span_u64(digits, bits);
    put_plain(t, text.p, text.n);
}

/* What is neither a container nor a string. */
static void put_scalar(struct json_out *t, const yyjson_val *v)
{
    const uint64_t tag = v->tag;
    switch (tag & YYJSON_TYPE_MASK) {
    case YYJSON_TYPE_RAW:
        put_plain(t, v->uni.str, tag >> YYJSON_TAG_BIT);
        return;
    case YYJSON_TYPE_NUM:
        put_number(t, tag, v->uni.u64);
        return;
    case YYJSON_TYPE_BOOL:
        if ((tag & YYJSON_SUBTYPE_MASK) == YYJSON_SUBTYPE_TRUE) {
            put_plain(t, "true", 4);
        } else {
            put_plain(t, "false", 5);
        }
        return;
    default:
        assert((tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_NULL);
        put_plain(t, "null", 4);
    }
}

static inline bool is_container(uint64_t tag)
{
    return (tag & (YYJSON_TYPE_MASK & (uint8_t)~1)) == (YYJSON_TYPE_ARR & (uint8_t)~1);
}

static inline bool is_string(uint64_t tag)
{
    return (tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_STR;
}

/* ---- trees: nearly all of them is strings, between which it is not stored where the text ends
 * ---- */

static seldom char *grown(struct json_out *t, char *at, size_t n)
{
    t->n = (size_t)(at - t->p);
    grow(t, n);
    return t->p + t->n;
}

static inline char *room_at(struct json_out *t, char *at, size_t n)
{
    return __builtin_expect((size_t)(t->end - at) < n, 0) ? grown(t, at, n) : at;
}

static seldom char *put_rare_at(struct json_out *t, char *at, const yyjson_val *v)
{
    t->n = (size_t)(at - t->p);
    put_rare(t, v->tag, &v->uni);
    return t->p + t->n;
}

static char *put_scalar_at(struct json_out *t, char *at, const yyjson_val *v)
{
    t->n = (size_t)(at - t->p);
    put_scalar(t, v);
    return t->p + t->n;
}

static inline __attribute__((always_inline)) char *
put_string_at(struct json_out *t, char *at, const yyjson_val *v, uint32_t *place)
{
    size_t n = v->tag >> YYJSON_TAG_BIT;
    at = room_at(t, at, n + VALUE_BYTES);
    *place = (uint32_t)(at + 1 - t->p);
    if (__builtin_expect(!(v->tag & YYJSON_SUBTYPE_NOESC), 0) &&
        !json_text_is_plain(span_of(v->uni.str, n))) {
        return put_rare_at(t, at, v);
    }
    at[0] = '"';
    span_copy_short(at + 1, v->uni.str, n);
    at[n + 1] = '"';
    return at + n + 2;
}

/* The same, apart. */
static __attribute__((noinline)) char *put_text_at(struct json_out *t, char *at,
                                                   const yyjson_val *v, uint32_t *place)
{
    return put_string_at(t, at, v, place);
}

/* A container; its members have the places behind the first. */
static char *put_container(struct json_out *t, char *at, const yyjson_val *v, uint32_t *place)
{
    bool is_object = (v->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_OBJ;
    size_t left = v->tag >> YYJSON_TAG_BIT;
    at = room_at(t, at, VALUE_BYTES);
    *at++ = is_object ? '{' : '[';
    at += left == 0; /* else the last comma makes room for the bracket */
    for (v++, place++; left; left--) {
        if (is_object) {
            at = put_string_at(t, at, v++, place++);
            *at++ = ':';
        }
        if (is_string(v->tag)) { /* nearly all */
            at = put_string_at(t, at, v++, place++);
        } else if (is_container(v->tag)) {
            size_t n = json_values(v);
            at = put_container(t, at, v, place);
            v += n;
            place += n;
        } else {
            at = put_scalar_at(t, at, v++);
            place++;
        }
        *at++ = ',';
    }
    at[-1] = is_object ? '}' : ']';
    return room_at(t, at, VALUE_BYTES);
}

/* And what has no members. */
static void put_value(struct json_out *t, const yyjson_val *v)
{
    if (!t->p) {
        grow(t, VALUE_BYTES);
    }
    char *at = t->p + t->n;
    if (is_container(v->tag)) {
        at = put_container(t, at, v, t->place);
        t->place += json_values(v);
    } else {
        at = is_string(v->tag) ? put_text_at(t, at, v, t->place) : put_scalar_at(t, at, v);
        t->place++;
    }
    t->n = (size_t)(at - t->p);
}

void json_out_value(struct json_out *t, const yyjson_val *v)
{
    assert(t->first > 0);
    assert(t->place);
    put_value(t, v);
}

void json_out_key(struct json_out *t, char before, const yyjson_val *key)
{
    assert(t->place);
    char *at = room(t, VALUE_BYTES);
    *at++ = before;
    at = put_text_at(t, at, key, t->place++);
    *at++ = ':';
    t->n = (size_t)(at - t->p);
}

void json_out_text(struct json_out *t, struct span text)
{
    assert(t->first > 0);
    put_plain(t, text.p, text.n);
}

static struct span done(struct json_out *t)
{
    *room(t, 1) = '\0';
    return span_of(t->p, t->n);
}

static bool is_as_yyjson(struct span text, char *theirs)
{
    bool same = theirs && span_eq(text, span_cstr(theirs));
    free(theirs);
    return same;
}

struct span json_write(struct arena *a, const yyjson_val *v)
{
    assert(a && v);
    struct json_out t = {.a = a, .first = is_container(v->tag) ? FIRST_BYTES : FIRST_BYTES_SMALL};
    size_t values = json_values(v);
    t.place = arena_alloc_raw(a, values * sizeof *t.place);
    put_value(&t, v);
    struct span text = done(&t);
    verify(is_as_yyjson(text, yyjson_val_write((yyjson_val *)(uintptr_t)v, 0, NULL)));
    return text;
}

struct span json_write_mut(struct arena *a, const yyjson_mut_val *v)
{
    assert(a && v);
    struct span text = json_write(a, json_freeze_shared(a, v));
    verify(is_as_yyjson(text, yyjson_mut_val_write(v, 0, NULL)));
    return text;
}
