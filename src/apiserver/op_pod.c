/* Sub-resources that change one part of a pod: its ephemeral containers, and the resources of its
 * containers. Whatever else the client sends is left as it is, as Kubernetes does. */
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "schema/kinds.h"

/* The stored pod, with what identifies the one that the client means: write_change compares. */
static yyjson_mut_val *stored_pod(struct object *current, yyjson_mut_doc *doc,
                                  yyjson_mut_val *wanted)
{
    static const char *const checked[] = {"name", "namespace", "uid", "resourceVersion"};
    yyjson_mut_val *obj = json_mut_copy(doc, object_root(current));
    yyjson_mut_val *meta = json_mut_get(wanted, "metadata");
    for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
        struct span v = json_mut_str(json_mut_get(meta, checked[i]));
        if (v.n) {
            json_put_str(doc, json_mut_get(obj, "metadata"), checked[i], v);
        }
    }
    return obj;
}

static void run(struct api_op *op, int (*mutate)(struct api_op *op, struct object *current,
                                                 yyjson_mut_doc *doc, yyjson_mut_val **ret))
{
    if (op->verb == API_GET) {
        op_get(op);
        return;
    }
    if (op->verb == API_PATCH && op->patch_type == API_PATCH_APPLY) {
        (void)api_op_err(op, ERR_BAD_REQUEST,
                         "pods/%s cannot be applied on this server: use a strategic merge patch or "
                         "an update",
                         op->sub->name);
        api_op_finish(op);
        return;
    }
    op->mutate = mutate;
    op->server_change = true; /* nothing else of the pod changes */
    op_update(op);
}

/* ---- ephemeralcontainers ---- */

static int extras_mutate(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                         yyjson_mut_val **ret)
{
    yyjson_mut_val *wanted = op_update_wanted(op, current, doc);
    if (!wanted) {
        return -1;
    }
    yyjson_mut_val *obj = stored_pod(current, doc, wanted);
    op_sub_take_list(doc, obj, wanted, "ephemeralContainers");
    *ret = obj;
    return 0;
}

void op_extras(struct api_op *op)
{
    assert(op->kind == SCHEMA_KIND(Pod));
    run(op, extras_mutate);
}

/* ---- resize ---- */

static yyjson_mut_val *named(yyjson_mut_val *list, struct span name)
{
    yyjson_mut_val *item;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
    while (yyjson_mut_is_arr(list) && (item = yyjson_mut_arr_iter_next(&it))) {
        if (span_eq(json_mut_str(json_mut_get(item, "name")), name)) {
            return item;
        }
    }
    return NULL;
}

static void take_resources(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_mut_val *from)
{
    yyjson_mut_val *item;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(to);
    while (yyjson_mut_is_arr(to) && (item = yyjson_mut_arr_iter_next(&it))) {
        yyjson_mut_val *wanted = named(from, json_mut_str(json_mut_get(item, "name")));
        yyjson_mut_val *resources = json_mut_get(wanted, "resources");
        if (resources) {
            json_put(doc, item, "resources", yyjson_mut_val_mut_copy(doc, resources));
        }
    }
}

static int resize_mutate(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                         yyjson_mut_val **ret)
{
    static const char *const lists[] = {"containers", "initContainers"};
    yyjson_mut_val *wanted = op_update_wanted(op, current, doc);
    if (!wanted) {
        return -1;
    }
    yyjson_mut_val *obj = stored_pod(current, doc, wanted);
    for (size_t i = 0; i < 2; i++) {
        take_resources(doc, json_mut_get(json_mut_get(obj, "spec"), lists[i]),
                       json_mut_get(json_mut_get(wanted, "spec"), lists[i]));
    }
    *ret = obj;
    return 0;
}

void op_resize(struct api_op *op)
{
    assert(op->kind == SCHEMA_KIND(Pod));
    run(op, resize_mutate);
}
