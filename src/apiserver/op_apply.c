/* server-side apply: the configuration is laid over the live object, or creates it. */
#include "apiserver/authorize.h"
#include "apiserver/definitions.h"
#include "apiserver/ownership.h"
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"

/* Lays op->body over current (NULL: over nothing). NULL with op->err. */
static yyjson_mut_val *applied(struct api_op *op, struct object *current, yyjson_mut_doc *doc)
{
    struct managed_write w = ownership_write(op);
    struct managed_applied result;
    const yyjson_val *live = current ? object_root(current) : NULL;
    w.stored = live;
    live = live && op->view ? schema_view(op->arena, op->view, live) : live;
    if (managed_apply(op->arena, doc, &w, op->options.force, live, op->body, &result, &op->err)) {
        return NULL;
    }
    /* For what the merge cannot see: keys that stand twice. */
    if (!schema_decode(op->arena, w.kind, op->body, json_mut_new(op->arena), op->options.strictness,
                       &op->warnings, &op->err)) {
        return NULL;
    }
    op->is_applied = true;
    op->managed = result.managed;
    return result.object;
}

static int apply_create(struct api_op *op)
{
    if (authorize_apply_create(op)) {
        return -1;
    }
    const yyjson_val *config = op->body;
    struct span name = json_str(json_path(config, "metadata", "name", NULL));
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *obj = applied(op, NULL, doc);
    if (!obj) {
        return -1;
    }
    if (!span_eq(name, op->name)) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "the name of the object (%.*s) does not match the name on the URL (%.*s)",
                          SPAN_ARG(name), SPAN_ARG(op->name));
    }
    if (json_str(json_path(config, "metadata", "uid", NULL)).n) {
        return api_op_conflict(
            op, arena_printf(op->arena,
                             "uid mismatch: the provided object specified uid "
                             "%.*s, and no existing object was found",
                             SPAN_ARG(json_str(json_path(config, "metadata", "uid", NULL)))));
    }
    op->body = json_freeze(op->arena, obj);
    int rc = op_create_attempt(op);
    op->body = config; /* another attempt starts from the configuration */
    return rc;
}

static int apply_attempt(struct api_op *op)
{
    struct object *current = store_peek(op->server->store, op->key);
    if (!current) {
        return op->sub ? api_op_not_found(op) : apply_create(op);
    }
    op->http_status = 200; /* an attempt before may have meant to create it */
    current = definitions_in_version(op->arena, op->kind, current);
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *obj = applied(op, current, doc);
    if (obj) {
        obj = write_decode(op, json_freeze(op->arena, obj), NULL, doc);
    }
    return obj ? write_change(op, current, doc, obj, api_sub_is(op, "status")) : -1;
}

void op_apply(struct api_op *op)
{
    assert(op->patch_type == API_PATCH_APPLY);
    assert(op->body);
    op->attempt = apply_attempt;
    if (!op->sub) {
        write_warn(op);
    }
    write_start(op);
}
