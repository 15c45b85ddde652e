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

/* Keys and members of a container, each once, in order: they are a ring, and the container knows
 * the last one. */
struct children {
    const yyjson_mut_val *at;
    size_t left;
    bool is_object;
};

static struct children children_of(const yyjson_mut_val *v)
{
    struct children c = {.is_object = yyjson_mut_is_obj(unconst(v))};
    c.left = yyjson_mut_is_ctn(unconst(v)) ? unsafe_yyjson_get_len(unconst(v)) : 0;
    c.at = c.left ? v->uni.ptr : NULL;
    if (c.at) {
        c.at = c.is_object ? c.at->next->next : c.at->next;
    }
    return c;
}

static void children_next(struct children *c)
{
    c->left--;
    c->at = c->is_object ? c->at->next->next : c->at->next;
}

static const yyjson_mut_val *child_value(const struct children *c)
{
    return c->is_object ? c->at->next : c->at;
}

static bool has_text(const yyjson_mut_val *v)
{
    return yyjson_mut_is_str(unconst(v)) || yyjson_mut_is_raw(unconst(v));
}

static void measure(const yyjson_mut_val *v, struct size *s)
{
    s->values++;
    s->text += has_text(v) ? unsafe_yyjson_get_len(unconst(v)) + 1 : 0;
    s->raws += yyjson_mut_is_raw(unconst(v));
    for (struct children c = children_of(v); c.left; children_next(&c)) {
        if (c.is_object) {
            s->values++;
            s->text += unsafe_yyjson_get_len(unconst(c.at)) + 1;
        }
        measure(child_value(&c), s);
    }
}

static void put_text(struct build *b, uint64_t tag, struct span text)
{
    span_copy_short(b->text, text.p, text.n);
    b->text[text.n] = '\0';
    b->at->tag = tag;
    b->at->uni.str = b->text;
    b->at++;
    b->text += text.n + 1;
}

static void put_scalar(struct build *b, const yyjson_mut_val *v)
{
    if (has_text(v)) {
        put_text(b, v->tag, span_of(v->uni.str, unsafe_yyjson_get_len(unconst(v))));
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

static void put_value(struct build *b, const yyjson_mut_val *v)
{
    if (!yyjson_mut_is_ctn(unconst(v))) {
        put_scalar(b, v);
        return;
    }
    yyjson_val *to = b->at++;
    to->tag = v->tag;
    for (struct children c = children_of(v); c.left; children_next(&c)) {
        if (c.is_object) {
            put_scalar(b, c.at);
        }
        put_value(b, child_value(&c));
    }
    to->uni.ofs = (size_t)(b->at - to) * sizeof *to;
}

static void put_metadata(struct build *b, const yyjson_mut_val *v, struct span revision,
                         struct span managed)
{
    yyjson_val *to = b->at++;
    to->tag = v->tag + (UINT64_C(1) << YYJSON_TAG_BIT); /* one member more */
    put_string(b, SPAN("resourceVersion"));
    put_string(b, revision);
    for (struct children c = children_of(v); c.left; children_next(&c)) {
        const yyjson_mut_val *value = child_value(&c);
        put_scalar(b, c.at);
        if (managed.n && yyjson_mut_equals_str(unconst(c.at), "managedFields")) {
            b->at->tag = value->tag;
            b->at->uni.str = managed.p;
            b->at++;
        } else {
            put_value(b, value);
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
    struct size size = {.values = 2, .text = sizeof "resourceVersion" + revision.n + 1};
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
    for (struct children c = children_of(root); c.left; children_next(&c)) {
        bool is_meta = !found && yyjson_mut_equals_str(unconst(c.at), "metadata") &&
                       yyjson_mut_is_obj(unconst(child_value(&c)));
        put_scalar(&b, c.at);
        if (is_meta) {
            put_metadata(&b, child_value(&c), revision, managed);
        } else {
            put_value(&b, child_value(&c));
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
