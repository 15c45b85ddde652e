/* delete and deletecollection.
 *
 * A delete either removes the object at once, or marks it (deletionTimestamp) when something must
 * happen first: a running pod's processes must end (the node agent then deletes with grace 0),
 * finalizers must go, a namespace must be emptied. A marked object is removed by the update that
 * takes its last reason away. */
#include "apiserver/admission.h"
#include "apiserver/definitions.h"
#include "apiserver/meta.h"
#include "apiserver/selection.h"
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/time.h"
#include "schema/kinds.h"
#include "schema/status.h"

/* Kubernetes names the kind here, and not the resource. */
static int failed_precondition(struct api_op *op, struct span why)
{
    const struct schema_kind *k = op->kind;
    (void)api_op_err(op, ERR_CONFLICT, "Operation cannot be fulfilled on %s%s%s \"%.*s\": %.*s",
                     k->kind, *k->group ? "." : "", k->group, SPAN_ARG(op->name), SPAN_ARG(why));
    op->err.kind = span_cstr(k->kind);
    return -1;
}

static int check_preconditions(struct api_op *op, struct object *current)
{
    const struct api_options *o = &op->options;
    struct span uid = object_uid(current);
    if (o->precondition_uid.n && !span_eq(o->precondition_uid, uid)) {
        return failed_precondition(
            op, arena_printf(op->arena,
                             "the UID in the precondition (%.*s) does not match the UID in record "
                             "(%.*s). The object might have been deleted and then recreated",
                             SPAN_ARG(o->precondition_uid), SPAN_ARG(uid)));
    }
    int64_t rev = 0;
    if (o->precondition_rev.n &&
        (!span_to_i64(o->precondition_rev, &rev) || rev != object_rev(current))) {
        return failed_precondition(
            op,
            arena_printf(op->arena,
                         "the ResourceVersion in the precondition (%.*s) does not match the "
                         "ResourceVersion in record (%lld). The object might have been modified",
                         SPAN_ARG(o->precondition_rev), (long long)object_rev(current)));
    }
    return 0;
}

static bool is_pod(const struct api_op *op)
{
    return strcmp(op->kind->resource, "pods") == 0;
}

/* Seconds that a pod may take to end; 0: it can go at once. */
static int64_t grace_of(const struct api_op *op, const yyjson_val *obj)
{
    if (!is_pod(op)) {
        return 0;
    }
    if (json_str(json_path(obj, "spec", "nodeName", NULL)).n == 0 || status_pod_ended(obj)) {
        return 0;
    }
    int64_t grace =
        op->options.grace_s >= 0
            ? op->options.grace_s
            : json_int(json_path(obj, "spec", "terminationGracePeriodSeconds", NULL), 30);
    return grace < 0 ? 1 : grace;
}

/* The garbage collector's finalizers follow the propagation policy; without one they stay as they
 * are, and a replication controller lets its pods stay. */
static void set_propagation(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    switch (op->options.propagation) {
    case CLIENT_PROPAGATION_DEFAULT:
        /* The way of its time, which its users rely on. */
        if (op->kind == SCHEMA_KIND(ReplicationController) &&
            !json_mut_get(json_mut_get(obj, "metadata"), "deletionTimestamp") &&
            !meta_has_finalizer(obj, "foregroundDeletion")) {
            meta_add_finalizer(doc, obj, "orphan");
        }
        return;
    case CLIENT_PROPAGATION_FOREGROUND:
        meta_remove_finalizer(obj, "orphan");
        meta_add_finalizer(doc, obj, "foregroundDeletion");
        return;
    case CLIENT_PROPAGATION_ORPHAN:
        meta_remove_finalizer(obj, "foregroundDeletion");
        meta_add_finalizer(doc, obj, "orphan");
        return;
    case CLIENT_PROPAGATION_BACKGROUND:
        meta_remove_finalizer(obj, "orphan");
        meta_remove_finalizer(obj, "foregroundDeletion");
        return;
    }
}

/* Why the pod leaves, for those who made it. */
static void put_disruption(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *status = json_mut_obj(doc, obj, "status"), *target = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc), *c;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(json_mut_get(status, "conditions"));
    while ((c = yyjson_mut_arr_iter_next(&it))) {
        if (!span_eq(json_mut_str(json_mut_get(c, "type")), SPAN("DisruptionTarget"))) {
            yyjson_mut_arr_append(list, yyjson_mut_val_mut_copy(doc, c));
        }
    }
    json_put_str(doc, target, "type", SPAN("DisruptionTarget"));
    json_put_str(doc, target, "status", SPAN("True"));
    json_put(doc, target, "lastProbeTime", yyjson_mut_null(doc));
    json_put_str(doc, target, "lastTransitionTime",
                 time_format(op->arena, env_now_ms(op->server->env)));
    json_put_str(doc, target, "reason", SPAN("EvictionByEvictionAPI"));
    json_put_str(doc, target, "message", SPAN("Eviction API: evicting"));
    yyjson_mut_arr_append(list, target);
    json_put(doc, status, "conditions", list);
}

static int64_t patience_ms(int64_t grace_s)
{
    return (grace_s < LIMIT_GRACE_S ? grace_s : LIMIT_GRACE_S) * 1000;
}

static void mark(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old,
                 int64_t grace_s)
{
    const yyjson_val *was = json_get(old, "metadata");
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    int64_t at_ms = env_now_ms(op->server->env) + patience_ms(grace_s), was_ms;
    if (time_parse(json_get_str(was, "deletionTimestamp"), &was_ms)) {
        /* Asked again with less patience: counted from the first request. */
        int64_t first_ms = was_ms - patience_ms(json_get_int(was, "deletionGracePeriodSeconds", 0));
        at_ms = first_ms + patience_ms(grace_s);
    } else if (json_get_int(was, "generation", 0) > 0) {
        meta_bump_generation(doc, obj, old);
    }
    json_put_str(doc, meta, "deletionTimestamp", time_format(op->arena, at_ms));
    json_put_int(doc, meta, "deletionGracePeriodSeconds", grace_s);
    if (op->is_eviction) {
        put_disruption(op, doc, obj);
    }
    if (strcmp(op->kind->resource, "namespaces") == 0) {
        json_put_str(doc, json_mut_obj(doc, obj, "status"), "phase", SPAN("Terminating"));
    }
}

static int gone(struct api_op *op, struct object *current)
{
    if (op->options.dry_run) {
        op->object = object_ref(current);
        op->deleted_uid = object_uid(current);
        return 1;
    }
    op->deleted_uid = arena_dup(op->arena, object_uid(current));
    return write_submit_delete(op, current);
}

/* Does the delete put a finalizer there, where there is none? */
static bool adds_finalizer(const struct api_op *op)
{
    return op->options.propagation == CLIENT_PROPAGATION_FOREGROUND ||
           op->options.propagation == CLIENT_PROPAGATION_ORPHAN ||
           (op->options.propagation == CLIENT_PROPAGATION_DEFAULT &&
            op->kind == SCHEMA_KIND(ReplicationController)) ||
           op->kind == SCHEMA_KIND(CustomResourceDefinition);
}

static bool is_kept_by_spec(const struct api_op *op, const yyjson_val *obj)
{
    return strcmp(op->kind->resource, "namespaces") == 0 &&
           json_len(json_path(obj, "spec", "finalizers", NULL)) > 0;
}

static int delete_attempt(struct api_op *op)
{
    struct object *current = store_peek(op->server->store, op->key);
    if (!current) {
        return api_op_not_found(op);
    }
    const yyjson_val *old = object_root(current);
    if (check_preconditions(op, current) || admission_delete(op, old)) {
        return -1;
    }
    const yyjson_val *meta = json_get(old, "metadata");
    bool marked = json_get(meta, "deletionTimestamp") != NULL;
    int64_t grace = grace_of(op, old);
    int64_t grace_was = json_get_int(meta, "deletionGracePeriodSeconds", 0);
    if (marked && grace > grace_was) {
        grace = grace_was; /* a grace period only ever shrinks */
    }
    if (grace == 0 && !json_get(meta, "finalizers") && !adds_finalizer(op) &&
        !is_kept_by_spec(op, old)) {
        return gone(op, current); /* most: nothing needs to be marked */
    }
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *obj = json_mut_copy(doc, old);
    json_remove(json_mut_get(obj, "metadata"), "resourceVersion");
    set_propagation(op, doc, obj);
    if (op->kind == SCHEMA_KIND(CustomResourceDefinition) && !marked) {
        definitions_mark_deleted(doc, obj, env_now_ms(op->server->env), op->arena);
    }
    bool waits = grace > 0 || meta_finalizer_count(obj) > 0 || is_kept_by_spec(op, old);
    if (!waits) {
        return gone(op, current);
    }
    op->present = NULL; /* still there: the object is the answer */
    if (!marked || grace < grace_was) {
        mark(op, doc, obj, old, grace);
    }
    if (op->options.dry_run) {
        return write_dry_result(op, doc, obj, object_rev(current));
    }
    yyjson_val *frozen = json_freeze_shared(op->arena, obj);
    if (meta_equal(frozen, old)) {
        op->object = object_ref(current);
        op->rev = object_rev(current);
        return 1;
    }
    struct object_body body = object_body_of(op->arena, frozen);
    return write_submit(op, object_rev(current), &body);
}

/* Kinds whose delete answers with the object rather than a Status, as Kubernetes does. */
static bool answers_object(const struct schema_kind *kind)
{
    static const char *const resources[] = {"pods",
                                            "services",
                                            "persistentvolumes",
                                            "persistentvolumeclaims",
                                            "serviceaccounts",
                                            "podtemplates",
                                            "resourcequotas",
                                            "storageclasses.storage.k8s.io"};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        if (strcmp(kind->resource, resources[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void present_success(struct api_op *op)
{
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *details = yyjson_mut_obj(doc);
    json_put_str(doc, root, "kind", SPAN("Status"));
    json_put_str(doc, root, "apiVersion", SPAN("v1"));
    json_put(doc, root, "metadata", yyjson_mut_obj(doc));
    json_put_str(doc, root, "status", SPAN("Success"));
    json_put_str(doc, details, "name", op->name);
    if (op->kind->group[0]) {
        json_put_str(doc, details, "group", span_cstr(op->kind->group));
    }
    json_put_str(doc, details, "kind", span_cstr(op->kind->plural));
    if (op->object) {
        json_put_str(doc, details, "uid", op->deleted_uid);
    }
    json_put(doc, root, "details", details);
    op->tree = json_freeze(op->arena, root);
}

void op_delete(struct api_op *op)
{
    assert(op->key.n);
    if (!op->present && !answers_object(op->kind)) {
        op->present = present_success;
    }
    op->attempt = delete_attempt;
    write_start(op);
}

/* ---- collection ---- */

static void on_child(struct api_op *child)
{
    struct api_op *op = child->parent;
    assert(op);
    assert(op->pending > 0);
    bool failed = child->err.reason != ERR_NONE && child->err.reason != ERR_NOT_FOUND;
    if (failed && op->err.reason == ERR_NONE) {
        op->err = err_dup(op->arena, &child->err);
    }
    api_op_release(child);
    if (--op->pending == 0) {
        api_op_finish(op);
    }
}

static bool collect(void *data, struct object *o)
{
    struct api_op *op = data;
    api_op_collect(op, o);
    return op->options.limit <= 0 || op->item_count < (size_t)op->options.limit;
}

void op_deletecollection(struct api_op *op)
{
    assert(op->verb == API_DELETECOLLECTION);
    if (selection_new(op)) {
        api_op_finish(op);
        return;
    }
    op->rev = watch_hub_rev(op->server->hub);
    (void)watch_hub_list(op->server->hub, selection_filter(op->selection), SPAN_NULL, collect, op);
    op->pending = 1; /* ours, so that children that finish at once do not finish the whole */
    for (size_t i = 0; i < op->item_count; i++) {
        struct api_op *child = ARENA_NEW(op->arena, struct api_op);
        *child = (struct api_op){.server = op->server,
                                 .arena = op->arena,
                                 .verb = API_DELETE,
                                 .kind = op->kind,
                                 .ns = arena_dup(op->arena, object_namespace(op->items[i])),
                                 .name = arena_dup(op->arena, object_name(op->items[i])),
                                 .options = op->options,
                                 .done = on_child,
                                 .parent = op};
        op->pending++;
        api_op_run(child);
    }
    if (--op->pending == 0) {
        api_op_finish(op);
    }
}
