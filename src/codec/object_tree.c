/* codec/object_tree.c: see object_tree.h. The values are the tree's; their strings are found by
 * going along the text, which is a few steps for each of them. */
#include "codec/object_tree.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/json.h"

struct size {
    size_t values, raws;
};

struct build {
    yyjson_val *at;
    char *text;          /* where the text of what comes next begins */
    struct span managed; /* what the raw value is; one byte stands for it in the text */
};

static yyjson_mut_val *unconst(const yyjson_mut_val *v)
{
    return (yyjson_mut_val *)(uintptr_t)v;
}

static inline uint8_t type_of(const yyjson_mut_val *v)
{
    return v->tag & YYJSON_TYPE_MASK;
}

static inline size_t length_of(const yyjson_mut_val *v)
{
    return v->tag >> YYJSON_TAG_BIT;
}

static inline bool is_container(const yyjson_mut_val *v)
{
    return type_of(v) == YYJSON_TYPE_OBJ || type_of(v) == YYJSON_TYPE_ARR;
}

/* What is followed by the first child (of an object: the first key): children are a ring. */
static const yyjson_mut_val *before_first(const yyjson_mut_val *container)
{
    const yyjson_mut_val *last = container->uni.ptr;
    return type_of(container) == YYJSON_TYPE_OBJ ? last->next : last;
}

/* Adds what is within a container. */
static void measure(const yyjson_mut_val *v, struct size *s)
{
    bool is_object = type_of(v) == YYJSON_TYPE_OBJ;
    size_t left = length_of(v);
    s->values += is_object ? 2 * left : left; /* keys, too */
    for (const yyjson_mut_val *at = left ? before_first(v) : NULL; left; left--) {
        at = is_object ? at->next->next : at->next;
        s->raws += type_of(at) == YYJSON_TYPE_RAW;
        if (is_container(at)) {
            measure(at, s);
        }
    }
}

/* A string with escapes: in the room of its text, which is longer. */
static char *put_escaped(char *from, const char *string, size_t n)
{
    char *end = from;
    while (*end != '"') {
        end += *end == '\\' ? 2 : 1;
    }
    assert((size_t)(end - from) > n);
    memcpy(from, string, n);
    from[n] = '\0';
    return end + 1;
}

static inline void put_string(struct build *b, uint64_t tag, const char *string)
{
    size_t n = tag >> YYJSON_TAG_BIT;
    char *from = b->text + 1;
    b->at->tag = tag;
    b->at->uni.str = from;
    b->at++;
    if (from[n] == '"' && (n == 0 || from[n - 1] != '\\')) { /* mostly: no escapes */
        from[n] = '\0';
        b->text = from + n + 1;
    } else {
        b->text = put_escaped(from, string, n);
    }
}

static char *number_end(char *p)
{
    while (*p != ',' && *p != '}' && *p != ']') {
        p++;
    }
    return p;
}

static void put_scalar(struct build *b, const yyjson_mut_val *v)
{
    uint8_t type = type_of(v);
    if (type == YYJSON_TYPE_STR) {
        put_string(b, v->tag, v->uni.str);
        return;
    }
    b->at->tag = v->tag;
    b->at->uni = v->uni;
    if (type == YYJSON_TYPE_RAW) {
        b->at->uni.str = b->managed.p;
    }
    b->at++;
    b->text = type == YYJSON_TYPE_NUM           ? number_end(b->text)
              : type == YYJSON_TYPE_RAW         ? b->text + 1
              : yyjson_mut_is_false(unconst(v)) ? b->text + sizeof "false" - 1
                                                : b->text + sizeof "true" - 1; /* or null */
}

static void put_container(struct build *b, const yyjson_mut_val *v);

/* Those of a container, from the text of the first on, and what closes it. */
static void put_members(struct build *b, const yyjson_mut_val *v)
{
    bool is_object = type_of(v) == YYJSON_TYPE_OBJ;
    size_t left = length_of(v);
    for (const yyjson_mut_val *at = left ? before_first(v) : NULL; left; left--) {
        at = at->next;
        if (is_object) {
            put_string(b, at->tag, at->uni.str);
            b->text++; /* the colon */
            at = at->next;
        }
        (is_container(at) ? put_container : put_scalar)(b, at);
        b->text += left > 1; /* a comma */
    }
    b->text++;
}

static void close_container(struct build *b, yyjson_val *container)
{
    container->uni.ofs = (size_t)(b->at - container) * sizeof *container;
}

static void put_container(struct build *b, const yyjson_mut_val *v)
{
    yyjson_val *to = b->at++;
    to->tag = v->tag;
    b->text++;
    put_members(b, v);
    close_container(b, to);
}

/* With the member that only the text has. */
static void put_metadata(struct build *b, const yyjson_mut_val *v)
{
    static const struct span key = SPAN("resourceVersion");
    yyjson_val *to = b->at++;
    to->tag = v->tag + (UINT64_C(1) << YYJSON_TAG_BIT);
    b->text++;
    put_string(b, (uint64_t)key.n << YYJSON_TAG_BIT | YYJSON_TYPE_STR, key.p);
    b->text++;
    size_t digits = 0;
    while (b->text[1 + digits] != '"') {
        digits++;
    }
    put_string(b, (uint64_t)digits << YYJSON_TAG_BIT | YYJSON_TYPE_STR, b->text + 1);
    b->text += length_of(v) > 0;
    put_members(b, v);
    close_container(b, to);
}

/* The member `metadata` of the root, or NULL. */
static const yyjson_mut_val *metadata_of(const yyjson_mut_val *root)
{
    const yyjson_mut_val *meta = json_mut_get(root, "metadata");
    return yyjson_mut_is_obj(unconst(meta)) ? meta : NULL;
}

static void put_root(struct build *b, const yyjson_mut_val *root, const yyjson_mut_val *meta)
{
    size_t left = length_of(root);
    yyjson_val *to = b->at++;
    to->tag = root->tag;
    b->text++;
    for (const yyjson_mut_val *at = before_first(root); left; left--) {
        const yyjson_mut_val *key = at->next;
        at = key->next;
        put_string(b, key->tag, key->uni.str);
        b->text++;
        (at == meta ? put_metadata : is_container(at) ? put_container : put_scalar)(b, at);
        b->text += left > 1;
    }
    b->text++;
    close_container(b, to);
}

yyjson_doc *object_tree(const yyjson_mut_val *root, struct span json, struct span managed)
{
    assert(yyjson_mut_is_obj(unconst(root)));
    assert(json.n && json.p[0] == '{');
    const yyjson_mut_val *meta = metadata_of(root);
    struct size size = {.values = 3}; /* root, and what only the text has */
    measure(root, &size);
    if (!meta || size.raws != (managed.n > 0)) {
        return NULL;
    }
    size_t before = managed.n ? (size_t)(managed.p - json.p) : json.n;
    struct span after = span_from(json, before + managed.n);
    yyjson_doc *doc = json_doc_new(size.values, before + (managed.n > 0) + after.n);
    struct build b = {doc->root, (char *)(uintptr_t)json_doc_text(doc), managed};
    const char *end = b.text + doc->dat_read;
    memcpy(b.text, json.p, before);
    if (managed.n) {
        b.text[before] = '0';
        memcpy(b.text + before + 1, after.p, after.n);
    }
    put_root(&b, root, meta);
    assert(b.at == doc->root + size.values);
    assert(b.text == end);
    return doc;
}
