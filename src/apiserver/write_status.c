/* apiserver/write_status.c: a write to /status touches the head of an object: kind, apiVersion,
 * metadata and status. The rest, mostly most of it, is neither patched nor decoded nor checked
 * again; its text goes into the new version as it is. */
#include "apiserver/write.h"
#include "base/check.h"
#include "schema/kinds.h"

static bool is_head(struct span key)
{
    return span_eq(key, SPAN("metadata")) || span_eq(key, SPAN("status")) ||
           span_eq(key, SPAN("kind")) || span_eq(key, SPAN("apiVersion"));
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
