/* apiserver/write_status.c: a write to /status touches the head of an object: kind, apiVersion,
 * metadata and status. The rest, mostly most of it, is neither patched nor decoded nor checked
 * again; its text goes into the new version as it is. */
#include "apiserver/meta.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "codec/json_build.h"
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

/* All but what every version has anew. */
static void build_metadata(struct json_build *b, const yyjson_val *meta)
{
    json_build_object(b, SPAN("metadata"));
    JSON_EACH(it, meta)
    {
        struct span key = json_str(it.key);
        if (!meta_is_version(key)) {
            json_build_copy(b, key, it.val);
        }
    }
    json_build_close(b);
}

bool write_head_next(const struct api_op *op, const yyjson_val *status, struct write_head *head)
{
    const yyjson_val *managed = json_path(head->was, "metadata", "managedFields", NULL);
    bool is_whole = managed && !yyjson_is_raw((yyjson_val *)(uintptr_t)managed);
    if (is_whole || op->kind == SCHEMA_KIND(CertificateSigningRequest) || /* authorize_status() */
        !is_status_change(op, head->was, status)) {
        return false;
    }
    struct json_build b = json_build_new(op->arena);
    JSON_EACH(it, head->was)
    {
        struct span key = json_str(it.key);
        if (span_eq(key, SPAN("metadata"))) {
            build_metadata(&b, it.val);
        } else {
            json_build_copy(&b, key, span_eq(key, SPAN("status")) ? status : it.val);
        }
    }
    head->next = json_build_done(&b);
    return true;
}
