/* get and list of metrics.k8s.io: nothing of it is stored. The pods and nodes are those of the hub;
 * what they use the node is asked for (client/node_api.h). As in metrics-server, limit and
 * resourceVersion say nothing, and what is not measured is not there. */
#include "apiserver/op.h"

#include "apiserver/selection.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "base/map.h"
#include "client/node_api.h"
#include "codec/quantity.h"
#include "codec/time.h"
#include "schema/kinds.h"
#include "watch/watch.h"

enum { NS_PER_MS = 1000 * 1000 };

bool op_is_usage(const struct schema_kind *kind)
{
    return kind == SCHEMA_KIND(PodMetrics) || kind == SCHEMA_KIND(NodeMetrics);
}

/* What is measured: pods or nodes. */
static const struct schema_kind *measured(const struct api_op *op)
{
    return op->kind == SCHEMA_KIND(PodMetrics) ? SCHEMA_KIND(Pod) : SCHEMA_KIND(Node);
}

/* ---- as objects ---- */

static void put_amount(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *usage, const char *key,
                       __int128 nano, enum quantity_family family)
{
    char buf[QUANTITY_TEXT_BYTES];
    const struct quantity q = {.nano = nano, .family = family};
    json_put_str(doc, usage, key, arena_dup(a, quantity_format(&q, buf)));
}

static void put_usage(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *out,
                      const struct node_usage_container *c)
{
    enum { NANO = 1000 * 1000 * 1000 };
    yyjson_mut_val *usage = json_mut_obj(doc, out, "usage");
    put_amount(a, doc, usage, "cpu", c->cpu_nano, QUANTITY_DECIMAL);
    put_amount(a, doc, usage, "memory", (__int128)c->memory_bytes * NANO, QUANTITY_BINARY);
}

static void put_containers(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                           const struct node_usage_pod *pod)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < pod->n; i++) {
        yyjson_mut_val *c = yyjson_mut_obj(doc);
        json_put_str(doc, c, "name", pod->containers[i].name);
        put_usage(a, doc, c, &pod->containers[i]);
        (void)yyjson_mut_arr_append(list, c);
    }
    json_put(doc, obj, "containers", list);
}

/* of: the pod or node. */
static struct object *object_of(const struct api_op *op, struct object *of,
                                const struct node_usage *usage, const struct node_usage_pod *pod)
{
    struct arena *a cleanup_arena = arena_new_small();
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *obj = yyjson_mut_obj(doc);
    const yyjson_val *labels = json_path(object_root(of), "metadata", "labels", NULL);
    struct span now = time_format(a, usage->at_ms);
    json_put_str(doc, obj, "kind", span_cstr(op->kind->kind));
    json_put_str(doc, obj, "apiVersion", span_cstr(schema_api_version(op->kind)));
    yyjson_mut_val *meta = json_mut_obj(doc, obj, "metadata");
    json_put_str(doc, meta, "name", object_name(of));
    if (op->kind->namespaced) {
        json_put_str(doc, meta, "namespace", object_namespace(of));
    }
    json_put_str(doc, meta, "creationTimestamp", now);
    if (labels) {
        json_put(doc, meta, "labels", json_mut_copy(doc, labels));
    }
    json_put_str(doc, obj, "timestamp", now);
    json_put_str(doc, obj, "window",
                 time_duration(a, pod->window_ns / NS_PER_MS * (int64_t)NS_PER_MS));
    if (op->kind->namespaced) {
        put_containers(a, doc, obj, pod);
    } else {
        put_usage(a, doc, obj, &pod->containers[0]);
    }
    struct span key =
        object_key(a, span_cstr(op->kind->resource), object_namespace(of), object_name(of));
    return object_new(key, 0, json_write_mut(a, obj));
}

/* ---- the answer ---- */

/* The name as the client asked for it is op->name. */
static void not_measured(struct api_op *op)
{
    bool is_pod = op->kind->namespaced;
    const char *what = is_pod ? "podmetrics" : "nodemetrics";
    struct span name =
        is_pod ? arena_printf(op->arena, "%.*s/%.*s", SPAN_ARG(op->ns), SPAN_ARG(op->name))
               : op->name;
    (void)api_op_err(op, ERR_NOT_FOUND, "%s.%s \"%.*s\" not found", what, op->kind->group,
                     SPAN_ARG(name));
    op->err.kind = span_cstr(what);
    op->err.name = name;
}

/* Turns the pods and nodes that were collected into what they use. */
static void put_results(struct api_op *op, const struct node_usage *usage)
{
    struct map by_uid = MAP_INIT;
    size_t n = 0;
    const struct node_usage_pod *node = NULL;
    for (size_t i = 0; i < usage->n; i++) {
        const struct node_usage_pod *pod = &usage->pods[i];
        if (pod->uid.n) {
            (void)map_put(&by_uid, pod->uid, (void *)(uintptr_t)pod);
        } else {
            node = pod;
        }
    }
    for (size_t i = 0; i < op->item_count; i++) {
        struct object *of = op->items[i];
        struct object_glance glance = object_glance_begin(of);
        const struct node_usage_pod *found = op->kind->namespaced ? map_get(&by_uid, object_uid(of))
                                             : span_eq(object_name(of), usage->node) ? node
                                                                                     : NULL;
        struct object *made = found ? object_of(op, of, usage, found) : NULL;
        object_glance_end(&glance);
        object_unref(of);
        if (made) {
            op->items[n++] = made;
        }
    }
    op->item_count = n;
    map_done(&by_uid);
}

static void finish(struct api_op *op)
{
    if (op->verb == API_GET && op->err.reason == ERR_NONE) {
        assert(op->item_count <= 1);
        if (op->item_count == 1) {
            op->object = op->items[--op->item_count];
        } else {
            not_measured(op);
        }
    }
    api_op_finish(op);
}

static void unavailable(struct api_op *op)
{
    (void)api_op_err(op, ERR_UNAVAILABLE,
                     "the agent of the node does not run, so that nothing can be measured: try "
                     "again later");
    op->err.retry_after_s = 1;
}

static void on_usage(void *data, const struct node_usage *usage)
{
    struct api_op *op = data;
    struct apiserver *s = op->server; /* op is gone after finish */
    if (usage) {
        put_results(op, usage);
    } else {
        unavailable(op);
    }
    finish(op);
    apiserver_write_done(s);
}

/* ---- of what ---- */

static bool collect(void *data, struct object *o)
{
    api_op_collect(data, o);
    return true;
}

static int collect_one(struct api_op *op)
{
    const struct schema_kind *kind = measured(op);
    struct object *o = watch_hub_get(
        op->server->hub, object_key(op->arena, span_cstr(kind->resource), op->ns, op->name));
    if (!o) {
        (void)api_op_err(op, ERR_NOT_FOUND, "%s \"%.*s\" not found", kind->resource,
                         SPAN_ARG(op->name));
        op->err.group = SPAN_NULL;
        return -1;
    }
    api_op_collect(op, o);
    return 0;
}

static int collect_all(struct api_op *op)
{
    if (selection_new(op)) {
        return -1;
    }
    struct watch_filter filter = *selection_filter(op->selection);
    filter.resource = span_cstr(measured(op)->resource);
    (void)watch_hub_list(op->server->hub, &filter, SPAN_NULL, collect, op);
    return 0;
}

void op_usage(struct api_op *op)
{
    struct node_api *node = op->server->options.node;
    assert(op_is_usage(op->kind));
    if ((op->verb == API_GET ? collect_one : collect_all)(op)) {
        api_op_finish(op);
    } else if (op->item_count == 0) {
        finish(op); /* nothing is to be measured */
    } else if (!node || !node->ops->usage(node, on_usage, op)) {
        unavailable(op);
        api_op_finish(op);
    } else {
        op->server->writes_open++;
    }
}
