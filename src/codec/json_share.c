#include "codec/json_share.h"

#include "base/check.h"
#include "codec/json_text.h"

enum {
    CLEAN_BYTES = 3,   /* that one byte may become */
    BLOCK_BYTES = 4096 /* with which an arena begins: most trees fit, and are not counted first */
};

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

/* Copies a text and tells whether it is plain ASCII. */
static inline bool copy_plain(char *to, struct span s)
{
    uint64_t low, high;
    if (s.n >= sizeof low && s.n <= 2 * sizeof low) { /* most are that long */
        memcpy(&low, s.p, sizeof low);
        memcpy(&high, s.p + s.n - sizeof high, sizeof high);
        memcpy(to, &low, sizeof low);
        memcpy(to + s.n - sizeof high, &high, sizeof high);
        return json_text_are_plain(low, high, true);
    }
    span_copy_short(to, s.p, s.n);
    return json_text_is_plain_ascii(s);
}

/* Of a text with others than plain ASCII; false: it is none. */
static seldom bool set_rare(struct arena *a, yyjson_val *to, struct span s)
{
    to->tag &= ~(uint64_t)YYJSON_SUBTYPE_MASK;
    to->tag |= json_text_is_plain(s) ? YYJSON_SUBTYPE_NOESC : 0;
    return is_clean(a, s);
}

/* Copies a string; false: it is no text. */
static inline bool put_string(struct arena *a, yyjson_val *to, const yyjson_val *from, char *text)
{
    uint64_t tag = from->tag;
    struct span s = span_of(from->uni.str, tag >> YYJSON_TAG_BIT);
    to->tag = tag | YYJSON_SUBTYPE_NOESC;
    to->uni.str = text;
    text[s.n] = '\0';
    if (tag & YYJSON_SUBTYPE_NOESC) {
        span_copy_short(text, s.p, s.n);
        return true;
    }
    return copy_plain(text, s) || set_rare(a, to, s);
}

/* Numbers as a parser has them: unsigned where they are not negative. */
static inline void put_other(yyjson_val *to, const yyjson_val *from)
{
    const uint64_t mask = YYJSON_TYPE_MASK | YYJSON_SUBTYPE_MASK;
    *to = *from;
    if ((to->tag & mask) == (YYJSON_TYPE_NUM | YYJSON_SUBTYPE_SINT) && to->uni.i64 >= 0) {
        to->tag &= ~(uint64_t)YYJSON_SUBTYPE_MASK;
    }
}

/* Copies n values, each as a parser would have made it, and behind them their texts. They may be
 * there already. False: they do not fit before the end, or one is raw, or a string is no text. */
static bool put_values(struct arena *a, yyjson_val *to, const yyjson_val *from, size_t n,
                       const char *end)
{
    if ((size_t)(end - (char *)to) / sizeof *to < n) {
        return false;
    }
    char *text = (char *)(to + n);
    for (const yyjson_val *last = from + n; from < last; from++, to++) {
        uint8_t type = from->tag & YYJSON_TYPE_MASK;
        if (type == YYJSON_TYPE_STR) {
            size_t bytes = from->tag >> YYJSON_TAG_BIT;
            if (bytes >= (size_t)(end - text) || !put_string(a, to, from, text)) {
                return false;
            }
            text += bytes + 1;
        } else if (type == YYJSON_TYPE_RAW) {
            return false;
        } else {
            put_other(to, from);
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
        arena_free(s->own);
    }
}

static struct json_shared *block_new(size_t bytes)
{
    struct arena *own = arena_new();
    struct json_shared *s = arena_alloc_raw(own, bytes);
    s->own = own;
    s->refs = 1;
    return s;
}

/* What is large, or has parts that cannot stay as they are. */
static seldom struct json_shared *share_any(struct arena *a, yyjson_val *v)
{
    size_t n = json_values(v), bytes = sizeof(struct json_shared) + n * sizeof *v;
    for (const yyjson_val *at = v, *end = v + n; at < end; at++) {
        if (yyjson_is_raw(json_unconst(at))) {
            return share_any(a, without_raw(a, v));
        }
        bytes += yyjson_is_str(json_unconst(at)) ? (at->tag >> YYJSON_TAG_BIT) + 1 : 0;
    }
    struct json_shared *s = block_new(bytes);
    if (!put_values(a, s->root, v, n, (char *)s + bytes)) {
        arena_free(s->own);
        return share_any(a, cleaned(a, v));
    }
    arena_on_clear(a, give_back, s);
    return s;
}

struct json_shared *json_share(struct arena *a, yyjson_val *v)
{
    struct json_shared *s = block_new(BLOCK_BYTES);
    if (put_values(a, s->root, v, json_values(v), (char *)s + BLOCK_BYTES)) {
        arena_on_clear(a, give_back, s);
    } else {
        arena_free(s->own);
        s = share_any(a, v);
    }
    verify(is_as_parsed(a, s));
    return s;
}

struct json_shared *json_share_mut(struct arena *a, yyjson_mut_val *v)
{
    struct json_shared *s = block_new(BLOCK_BYTES);
    size_t n = json_freeze_into(s->root, (BLOCK_BYTES - sizeof *s) / sizeof *s->root, v);
    if (n && put_values(a, s->root, s->root, n, (char *)s + BLOCK_BYTES)) {
        arena_on_clear(a, give_back, s);
    } else {
        arena_free(s->own);
        s = share_any(a, json_freeze_shared(a, v));
    }
    verify(is_as_parsed(a, s));
    return s;
}

struct json_shared *json_share_hold(struct arena *a, struct json_shared *s)
{
    assert(s->refs > 0);
    s->refs++;
    arena_on_clear(a, give_back, s);
    return s;
}
