/* apiserver/write_status.c: a write to /status touches the head of an object: kind, apiVersion,
 * metadata and status. The rest, mostly most of it, is neither patched nor decoded nor checked
 * again; its text goes into the new version as it is. */
#include "apiserver/write.h"
#include "base/check.h"
#include "schema/kinds.h"

enum { HEAD_MEMBERS = 4, MEMBERS_MAX = 16 };

/* Which member of the head is it? HEAD_MEMBERS: none. */
static size_t head_member(struct span key)
{
    return span_eq(key, SPAN("metadata"))     ? 0
           : span_eq(key, SPAN("status"))     ? 1
           : span_eq(key, SPAN("kind"))       ? 2
           : span_eq(key, SPAN("apiVersion")) ? 3
                                              : HEAD_MEMBERS;
}

static bool is_head(struct span key)
{
    return head_member(key) < HEAD_MEMBERS;
}

const yyjson_val *write_head(struct arena *a, const yyjson_val *obj)
{
    assert(a);
    assert(obj);
    return json_only(a, obj, is_head);
}

/* Kinds whose objects fall apart like that: in the one version that is stored, and with a status
 * that says nothing about what a deletion waits for. */
static bool is_simple(const struct api_op *op)
{
    return !op->view && !op->kind->custom && op->kind != SCHEMA_KIND(Namespace);
}

bool write_patches_head(const struct api_op *op)
{
    if (!is_simple(op) ||
        (op->patch_type != API_PATCH_MERGE && op->patch_type != API_PATCH_STRATEGIC)) {
        return false;
    }
    JSON_EACH(it, op->body)
    {
        if (!it.key || !is_head(json_str(it.key))) {
            return false;
        }
    }
    return true;
}

bool write_changes_head(const struct api_op *op, const yyjson_mut_val *obj, const yyjson_val *old)
{
    assert(obj);
    assert(old);
    const yyjson_mut_val *status = json_mut_get(obj, "status");
    return is_simple(op) && !op->mutate && yyjson_is_obj(json_get(old, "status")) &&
           schema_status_stands_alone(op->kind, status);
}

struct text {
    char *p;
    size_t n;
};

static void put(struct text *to, struct span s)
{
    memcpy(to->p + to->n, s.p, s.n);
    to->n += s.n;
}

yyjson_mut_val *write_whole(yyjson_mut_doc *doc, const yyjson_mut_val *head, struct object *old)
{
    yyjson_mut_val *parts[HEAD_MEMBERS] = {NULL}, *out = yyjson_mut_obj(doc), *key;
    yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with((yyjson_mut_val *)(uintptr_t)head);
    while ((key = yyjson_mut_obj_iter_next(&it))) { /* before any of them is linked elsewhere */
        size_t at = head_member(json_mut_str(key));
        assert(at < HEAD_MEMBERS);
        parts[at] = yyjson_mut_obj_iter_get_val(key);
    }
    JSON_EACH(was, object_root(old))
    {
        struct span name = json_str(was.key);
        size_t at = head_member(name);
        assert(at == HEAD_MEMBERS || parts[at]);
        yyjson_mut_obj_add(out, json_new_str(doc, name),
                           at < HEAD_MEMBERS ? parts[at] : json_mut_copy(doc, was.val));
    }
    return out;
}

struct span write_whole_text(struct api_op *op, const yyjson_mut_val *obj, struct object *old)
{
    const yyjson_val *was = object_root(old);
    struct span text[MEMBERS_MAX];
    size_t n = 0, bytes = sizeof "{}";
    if (json_len(was) > MEMBERS_MAX) {
        return json_write_mut(op->arena, obj);
    }
    yyjson_mut_obj_iter now = yyjson_mut_obj_iter_with((yyjson_mut_val *)(uintptr_t)obj);
    JSON_EACH(it, was)
    {
        yyjson_mut_val *key = yyjson_mut_obj_iter_next(&now);
        struct span name = json_str(it.key);
        assert(key && span_eq(json_mut_str(key), name));
        text[n] = SPAN_NULL;
        if (!is_head(name)) {
            text[n] = object_member_text(old, &it);
        }
        if (text[n].n == 0) {
            text[n] = json_write_mut(op->arena, yyjson_mut_obj_iter_get_val(key));
        }
        bytes += sizeof ",\"\":" + name.n + text[n].n;
        n++;
    }
    struct text out = {arena_alloc_raw(op->arena, bytes), 0};
    n = 0;
    JSON_EACH(it, was)
    {
        put(&out, n ? SPAN(",\"") : SPAN("{\""));
        put(&out, json_str(it.key));
        put(&out, SPAN("\":"));
        put(&out, text[n++]);
    }
    put(&out, SPAN("}"));
    assert(out.n <= bytes);
    return span_of(out.p, out.n);
}
