/* codec/object_tree.c: see object_tree.h. */
#include "codec/object_tree.h"

#include <stdlib.h>

#include "base/check.h"

struct size {
    size_t values, text, raws;
};

struct build {
    yyjson_val *at;
    char *text;
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

static inline bool has_text(const yyjson_mut_val *v)
{
    return type_of(v) == YYJSON_TYPE_STR || type_of(v) == YYJSON_TYPE_RAW;
}

/* What is followed by the first child (of an object: the first key): children are a ring. */
static const yyjson_mut_val *before_first(const yyjson_mut_val *container)
{
    const yyjson_mut_val *last = container->uni.ptr;
    return type_of(container) == YYJSON_TYPE_OBJ ? last->next : last;
}

/* Of what is in a container. */
static void measure(const yyjson_mut_val *v, struct size *s)
{
    bool is_object = type_of(v) == YYJSON_TYPE_OBJ;
    size_t left = length_of(v);
    if (left == 0) {
        return;
    }
    s->values += is_object ? 2 * left : left;
    for (const yyjson_mut_val *at = before_first(v); left; left--) {
        at = at->next;
        if (is_object) {
            s->text += length_of(at) + 1;
            at = at->next;
        }
        if (has_text(at)) {
            s->text += length_of(at) + 1;
            s->raws += type_of(at) == YYJSON_TYPE_RAW;
        } else if (is_container(at)) {
            measure(at, s);
        }
    }
}

static inline void put_text(struct build *b, uint64_t tag, struct span text)
{
    span_copy_short(b->text, text.p, text.n);
    b->text[text.n] = '\0';
    b->at->tag = tag;
    b->at->uni.str = b->text;
    b->at++;
    b->text += text.n + 1;
}

static inline void put_scalar(struct build *b, const yyjson_mut_val *v)
{
    if (has_text(v)) {
        put_text(b, v->tag, span_of(v->uni.str, length_of(v)));
        return;
    }
    b->at->tag = v->tag;
    b->at->uni = v->uni;
    b->at++;
}

static void put_string(struct build *b, struct span text)
{
    put_text(b, (uint64_t)text.n << YYJSON_TAG_BIT | YYJSON_TYPE_STR, text);
}

static void put_container(struct build *b, const yyjson_mut_val *v)
{
    bool is_object = type_of(v) == YYJSON_TYPE_OBJ;
    size_t left = length_of(v);
    yyjson_val *to = b->at++;
    to->tag = v->tag;
    for (const yyjson_mut_val *at = left ? before_first(v) : NULL; left; left--) {
        at = at->next;
        if (is_object) {
            put_text(b, at->tag, span_of(at->uni.str, length_of(at)));
            at = at->next;
        }
        if (is_container(at)) {
            put_container(b, at);
        } else {
            put_scalar(b, at);
        }
    }
    to->uni.ofs = (size_t)(b->at - to) * sizeof *to;
}

static void put_value(struct build *b, const yyjson_mut_val *v)
{
    (is_container(v) ? put_container : put_scalar)(b, v);
}

static void put_metadata(struct build *b, const yyjson_mut_val *v, struct span revision,
                         struct span managed)
{
    size_t left = length_of(v);
    yyjson_val *to = b->at++;
    to->tag = v->tag + (UINT64_C(1) << YYJSON_TAG_BIT); /* one member more */
    put_string(b, SPAN("resourceVersion"));
    put_string(b, revision);
    for (const yyjson_mut_val *at = left ? before_first(v) : NULL; left; left--) {
        const yyjson_mut_val *key = at->next;
        at = key->next;
        put_scalar(b, key);
        if (managed.n && yyjson_mut_equals_str(unconst(key), "managedFields")) {
            b->at->tag = at->tag;
            b->at->uni.str = managed.p;
            b->at++;
        } else {
            put_value(b, at);
        }
    }
    to->uni.ofs = (size_t)(b->at - to) * sizeof *to;
}

/* ---- the block is the heap's ---- */

static void *heap_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *heap_realloc(void *ctx, void *p, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return realloc(p, size);
}

static void heap_free(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

yyjson_doc *object_tree(const yyjson_mut_val *root, struct span revision, struct span managed)
{
    assert(yyjson_mut_is_obj(unconst(root)));
    assert(revision.n);
    struct size size = {.values = 3, .text = sizeof "resourceVersion" + revision.n + 1};
    measure(root, &size);
    size.text -= managed.n ? managed.n + 1 : 0;
    if (size.raws > (managed.n > 0)) {
        return NULL;
    }
    yyjson_doc *doc = malloc(sizeof *doc + size.values * sizeof *doc->root + size.text);
    assert(doc);
    *doc = (yyjson_doc){.root = (yyjson_val *)(doc + 1),
                        .alc = {heap_malloc, heap_realloc, heap_free, NULL},
                        .val_read = size.values};
    struct build b = {doc->root, (char *)(doc->root + size.values)};
    yyjson_val *to = b.at++;
    to->tag = root->tag;
    bool found = false;
    size_t left = length_of(root);
    for (const yyjson_mut_val *at = left ? before_first(root) : NULL; left; left--) {
        const yyjson_mut_val *key = at->next;
        at = key->next;
        bool is_meta = !found && yyjson_mut_equals_str(unconst(key), "metadata") &&
                       type_of(at) == YYJSON_TYPE_OBJ;
        put_scalar(&b, key);
        if (is_meta) {
            put_metadata(&b, at, revision, managed);
        } else {
            put_value(&b, at);
        }
        found |= is_meta;
    }
    to->uni.ofs = (size_t)(b.at - to) * sizeof *to;
    if (!found) {
        free(doc);
        return NULL;
    }
    assert(b.at == doc->root + size.values);
    return doc;
}
