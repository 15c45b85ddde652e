/* codec/object_tree.c: see object_tree.h. A body is written with a note of where each string of its
 * tree stands in the text, so that the document of the version, whose strings lie in a copy of its
 * text, is made in one go over the values. */
#include "codec/object_tree.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "codec/json.h"
#include "codec/json_out.h"

/* The root, kind and apiVersion with their keys, the key of metadata, metadata: then its members.
 * SPLICED: the key and the value that only the text has. */
enum { METADATA = 6, MEMBERS = METADATA + 1, SPLICED = 2, FIRST_BYTES = 4000 };

static bool is_object(const yyjson_val *v)
{
    return yyjson_is_obj((yyjson_val *)(uintptr_t)v);
}

static bool is_raw(const yyjson_val *v)
{
    return yyjson_is_raw((yyjson_val *)(uintptr_t)v);
}

/* ---- writing ---- */

static struct json_out begin(struct arena *a, size_t values)
{
    return (struct json_out){
        .a = a, .first = FIRST_BYTES, .place = arena_alloc_raw(a, values * sizeof(uint32_t))};
}

struct object_body object_body_of(struct arena *a, const yyjson_val *tree)
{
    assert(is_object(tree));
    struct json_out out = begin(a, json_values(tree));
    const uint32_t *places = out.place;
    json_out_value(&out, tree);
    return (struct object_body){span_of(out.p, out.n), tree, places};
}

/* A member of an older version with the text that it has there; its strings lie in that version's
 * document as they do in the text. Returns where the next one goes. */
static yyjson_val *put_old(struct json_out *out, yyjson_val *to, const struct json_iter *member,
                           struct span text)
{
    const yyjson_val *v = member->val;
    const char *begin = member->key->uni.str + yyjson_get_len(member->key) + sizeof "\":" - 1;
    size_t n = json_values(v), at = out->n;
    memcpy(to, v, n * sizeof *v);
    for (size_t i = 0; i < n; i++) { /* what is no string has no place */
        out->place[i] = (uint32_t)(at + (uintptr_t)v[i].uni.str - (uintptr_t)begin);
    }
    out->place += n;
    json_out_text(out, text);
    return to + n;
}

static yyjson_val *put_new(struct json_out *out, yyjson_val *to, const yyjson_val *v)
{
    memcpy(to, v, json_values(v) * sizeof *v);
    json_out_value(out, v);
    return to + json_values(v);
}

struct object_body object_body_next(struct arena *a, struct object *o, const yyjson_val *head)
{
    const yyjson_val *was = object_root(o);
    size_t room = json_values(was) + json_values(head), replaced = 0;
    yyjson_val *tree = arena_alloc_raw(a, room * sizeof *tree), *to = tree + 1;
    struct json_out out = begin(a, room);
    const uint32_t *places = out.place++;
    JSON_EACH(it, was)
    {
        const yyjson_val *now = json_get_span(head, json_str(it.key));
        struct span text = now ? SPAN_NULL : object_member_text(o, &it);
        json_out_key(&out, to == tree + 1 ? '{' : ',', it.key);
        *to++ = *it.key;
        to = text.n ? put_old(&out, to, &it, text) : put_new(&out, to, now ? now : it.val);
        replaced += now != NULL;
    }
    json_out_text(&out, SPAN("}"));
    assert(replaced == json_len(head));
    assert((size_t)(to - tree) <= room);
    tree->tag = was->tag;
    tree->uni.ofs = (size_t)(to - tree) * sizeof *tree;
    return (struct object_body){span_of(out.p, out.n), tree, places};
}

/* ---- the document ---- */

const yyjson_val *object_tree_managed(const struct object_body *body)
{
    const yyjson_val *meta = body->tree + METADATA, *first = meta + 1;
    assert(is_object(meta));
    bool is_first = json_len(meta) > 0 && span_eq(json_str(first), SPAN("managedFields"));
    return is_first ? first + 1 : NULL;
}

/* Is the text of a string of n bytes, which begins here, another one? */
static inline bool has_escapes(const char *text, size_t n)
{
    return text[n] != '"' || (n && text[n - 1] == '\\');
}

/* Of the body's values those from `from` on, up to `end`, of which the text, as far as they are
 * concerned, begins at `text`. False: one is raw. */
static bool put_values(yyjson_val *to, const struct object_body *body, size_t from, size_t end,
                       char *text)
{
    const uint32_t *place = body->places + from;
    const yyjson_val *stop = body->tree + end;
    for (const yyjson_val *v = body->tree + from; v < stop; v++, place++, to++) {
        uint64_t tag = v->tag;
        to->tag = tag;
        if ((tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_STR) {
            size_t n = tag >> YYJSON_TAG_BIT;
            char *at = text + *place;
            if (!(tag & YYJSON_SUBTYPE_NOESC) && has_escapes(at, n)) {
                memcpy(at, v->uni.str, n); /* in the room of its text, which is longer */
            }
            at[n] = '\0';
            to->uni.str = at;
        } else if ((tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_RAW) {
            return false;
        } else {
            to->uni = v->uni;
        }
    }
    return true;
}

static void put_string(yyjson_val *to, char *at, size_t n)
{
    at[n] = '\0';
    to->tag = (uint64_t)n << YYJSON_TAG_BIT | YYJSON_TYPE_STR;
    to->uni.str = at;
}

/* The resourceVersion, whose text begins here. */
static void put_splice(yyjson_val *to, char *text, size_t n)
{
    static const struct span key = SPAN("resourceVersion");
    size_t before = sizeof "\"resourceVersion\":\"" - 1, digits = n - before;
    while (text[before + digits - 1] == '"' || text[before + digits - 1] == ',') {
        digits--;
    }
    put_string(to, text + 1, key.n);
    put_string(to + 1, text + before, digits);
}

static void grow(yyjson_val *container)
{
    container->uni.ofs += SPLICED * sizeof *container;
}

yyjson_doc *object_tree(const struct object_body *body, struct span json, struct span splice,
                        struct span managed)
{
    assert(json.n == body->text.n + splice.n);
    const yyjson_val *list = object_tree_managed(body);
    if (list && (!is_raw(list) || !managed.n)) {
        return NULL;
    }
    size_t values = json_values(body->tree),
           before = managed.n ? (size_t)(managed.p - json.p) : json.n;
    struct span after = span_from(json, before + managed.n);
    yyjson_doc *doc = json_doc_new(values + SPLICED, before + (managed.n > 0) + after.n);
    char *text = (char *)(uintptr_t)json_doc_text(doc), *shifted = text + splice.n;
    memcpy(text, json.p, before);
    yyjson_val *to = doc->root + MEMBERS + SPLICED;
    size_t from = MEMBERS;
    bool ok = put_values(doc->root, body, 0, MEMBERS, text);
    put_splice(doc->root + MEMBERS, text + (splice.p - json.p), splice.n);
    if (managed.n) {
        text[before] = '0'; /* stands for them */
        memcpy(text + before + 1, after.p, after.n);
        ok = ok && put_values(to++, body, from++, MEMBERS + 1, shifted);
        to->tag = list->tag;
        to->uni.str = managed.p;
        to++;
        from++;
        shifted = shifted + 1 - managed.n;
    }
    if (!ok || !put_values(to, body, from, values, shifted)) {
        yyjson_doc_free(doc);
        return NULL;
    }
    grow(doc->root);
    grow(doc->root + METADATA);
    doc->root[METADATA].tag += UINT64_C(1) << YYJSON_TAG_BIT;
    return doc;
}
