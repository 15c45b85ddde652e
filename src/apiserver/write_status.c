/* apiserver/write_status.c: a write to /status touches the head of an object: kind, apiVersion,
 * metadata and status. The rest, mostly most of it, is neither patched nor decoded nor checked
 * again; its text goes into the new version as it is. */
#include "apiserver/meta.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "schema/kinds.h"

static bool is_head(struct span key)
{
    return span_eq(key, SPAN("metadata")) || span_eq(key, SPAN("status")) ||
           span_eq(key, SPAN("kind")) || span_eq(key, SPAN("apiVersion"));
}

const yyjson_val *write_head_of(struct arena *a, const yyjson_val *obj)
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

/* Is there a status, and is the new one (NULL: none) all that its object needs to be complete? */
static bool is_status_change(const struct api_op *op, const yyjson_val *old,
                             const yyjson_val *status)
{
    return is_simple(op) && !op->mutate && yyjson_is_obj(json_get(old, "status")) &&
           schema_status_stands_alone(op->kind, status);
}

bool write_changes_head(const struct api_op *op, const yyjson_mut_val *obj, const yyjson_val *old)
{
    assert(obj);
    assert(old);
    const yyjson_mut_val *status = json_mut_get(obj, "status");
    return is_status_change(op, old, status ? json_freeze_shared(op->arena, status) : NULL);
}

static size_t count(const yyjson_val *v)
{
    return (size_t)(unsafe_yyjson_get_next((yyjson_val *)(uintptr_t)v) - v);
}

static yyjson_val *put(yyjson_val *to, const yyjson_val *from, size_t n)
{
    memcpy(to, from, n * sizeof *to);
    return to + n;
}

static yyjson_val *put_metadata(yyjson_val *to, const yyjson_val *meta)
{
    yyjson_val *at = to + 1;
    uint64_t members = 0;
    JSON_EACH(it, meta)
    {
        if (!meta_is_version(json_str(it.key))) {
            at = put(at, it.key, 1 + count(it.val));
            members++;
        }
    }
    to->tag = members << YYJSON_TAG_BIT | YYJSON_TYPE_OBJ;
    to->uni.ofs = (size_t)(at - to) * sizeof *to;
    return at;
}

bool write_head_next(const struct api_op *op, const yyjson_val *status, struct write_head *head)
{
    const yyjson_val *managed = json_path(head->was, "metadata", "managedFields", NULL);
    bool is_whole = managed && !yyjson_is_raw((yyjson_val *)(uintptr_t)managed);
    if (is_whole || op->kind == SCHEMA_KIND(CertificateSigningRequest) || /* authorize_status() */
        !is_status_change(op, head->was, status)) {
        return false;
    }
    size_t room = count(head->was) + count(status);
    yyjson_val *out = arena_alloc_raw(op->arena, room * sizeof *out), *at = out + 1;
    JSON_EACH(it, head->was)
    {
        struct span key = json_str(it.key);
        at = put(at, it.key, 1);
        at = span_eq(key, SPAN("metadata")) ? put_metadata(at, it.val)
             : span_eq(key, SPAN("status")) ? put(at, status, count(status))
                                            : put(at, it.val, count(it.val));
    }
    out->tag = head->was->tag;
    out->uni.ofs = (size_t)(at - out) * sizeof *out;
    assert(at <= out + room);
    head->next = out;
    return true;
}
