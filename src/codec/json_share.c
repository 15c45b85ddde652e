#include "codec/json_share.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/json_text.h"

enum { CLEAN_BYTES = 3 }; /* that one byte may become */

/* What has a part that was not taken apart is taken apart. */
static seldom yyjson_val *without_raw(struct arena *a, const yyjson_val *v)
{
    yyjson_doc *doc = NULL;
    int code = json_parse(a, json_write(a, v), &doc, NULL);
    assert(code == 0); /* raw values are JSON that we made */
    return yyjson_doc_get_root(doc);
}

/* Makes texts of all strings. */
static seldom yyjson_val *cleaned(struct arena *a, yyjson_val *root)
{
    const yyjson_val *end = root + json_values(root);
    for (yyjson_val *v = root; v < end; v++) {
        struct span s = json_str(v);
        if (s.n) {
            s = json_clean_text(a, s, s.n * CLEAN_BYTES);
            v->tag = (uint64_t)s.n << YYJSON_TAG_BIT | YYJSON_TYPE_STR;
            v->uni.str = s.p;
        }
    }
    return root;
}

/* Is it UTF-8? */
static seldom bool is_clean(struct arena *a, struct span s)
{
    return s.n == 0 || span_eq(json_clean_text(a, s, s.n * CLEAN_BYTES), s);
}

/* Copies a string; false: it is no text. */
static inline bool put_string(struct arena *a, yyjson_val *to, const yyjson_val *from, char *text)
{
    size_t n = from->tag >> YYJSON_TAG_BIT;
    struct span s = span_of(from->uni.str, n);
    to->tag = from->tag | YYJSON_SUBTYPE_NOESC;
    to->uni.str = text;
    span_copy_short(text, s.p, n);
    text[n] = '\0';
    if (!(from->tag & YYJSON_SUBTYPE_NOESC) && !json_text_is_plain_ascii(s)) {
        to->tag = from->tag & ~(uint64_t)YYJSON_SUBTYPE_MASK;
        to->tag |= json_text_is_plain(s) ? YYJSON_SUBTYPE_NOESC : 0;
        return is_clean(a, s);
    }
    return true;
}

static inline void put_number(yyjson_val *to)
{
    bool is_positive = yyjson_is_sint(to) && to->uni.i64 >= 0;
    to->tag = is_positive ? to->tag & ~(uint64_t)YYJSON_SUBTYPE_MASK : to->tag; /* unsigned */
}

/* Copies n values, each as a parser would have made it; false: a string is no text. */
static bool put_values(struct arena *a, yyjson_val *to, const yyjson_val *from, size_t n)
{
    char *text = (char *)(to + n);
    for (const yyjson_val *end = from + n; from < end; from++, to++) {
        uint8_t type = from->tag & YYJSON_TYPE_MASK;
        if (type == YYJSON_TYPE_STR) {
            if (!put_string(a, to, from, text)) {
                return false;
            }
            text += (from->tag >> YYJSON_TAG_BIT) + 1;
        } else {
            *to = *from;
            if (type == YYJSON_TYPE_NUM) {
                put_number(to);
            }
        }
    }
    return true;
}

static bool is_as_parsed(struct arena *a, const struct json_shared *s)
{
    yyjson_doc *doc = NULL;
    return json_parse(a, json_write(a, s->root), &doc, NULL) == 0 &&
           json_identical(s->root, yyjson_doc_get_root(doc));
}

static void give_back(void *data)
{
    struct json_shared *s = data;
    assert(s->refs > 0);
    if (--s->refs == 0) {
        free(s);
    }
}

struct json_shared *json_share(struct arena *a, yyjson_val *v)
{
    size_t n = json_values(v), bytes = 0;
    for (const yyjson_val *at = v, *end = v + n; at < end; at++) {
        uint64_t tag = at->tag;
        if ((tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_STR) {
            bytes += (tag >> YYJSON_TAG_BIT) + 1;
        } else if ((tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_RAW) {
            return json_share(a, without_raw(a, v));
        }
    }
    struct json_shared *s = malloc(sizeof *s + n * sizeof *s->root + bytes);
    assert(s);
    s->refs = 1;
    if (!put_values(a, s->root, v, n)) {
        free(s);
        return json_share(a, cleaned(a, v));
    }
    verify(is_as_parsed(a, s));
    arena_on_clear(a, give_back, s);
    return s;
}

struct json_shared *json_share_mut(struct arena *a, yyjson_mut_val *v)
{
    return json_share(a, json_freeze_shared(a, v));
}

struct json_shared *json_share_hold(struct arena *a, struct json_shared *s)
{
    assert(s->refs > 0);
    s->refs++;
    arena_on_clear(a, give_back, s);
    return s;
}
