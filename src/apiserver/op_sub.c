/* Sub-resources that change an object in their own way: scale, binding,
 * namespaces/finalize. */
#include "apiserver/definitions.h"
#include "apiserver/ownership.h"
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "codec/names.h"
#include "codec/selector.h"
#include "codec/time.h"
#include "schema/custom.h"
#include "schema/kinds.h"
#include "schema/patch.h"

/* ---- scale ---- */

static const char *const built_in_paths[][3] = {
    [CUSTOM_SPEC_REPLICAS] = {"spec", "replicas", NULL},
    [CUSTOM_STATUS_REPLICAS] = {"status", "replicas", NULL},
    [CUSTOM_SELECTOR] = {"spec", "selector", NULL}};

static const char *const *path_of(const struct schema_kind *kind, enum custom_scale which)
{
    return kind->custom ? custom_scale_path(kind, which) : built_in_paths[which];
}

static const yyjson_val *at_path(const yyjson_val *obj, const char *const *path)
{
    for (; path && *path; path++) {
        obj = json_get(obj, *path);
    }
    return path ? obj : NULL;
}

/* Puts value at the path, with the objects on the way. */
static void put_at_path(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *const *path,
                        yyjson_mut_val *value)
{
    assert(path);
    assert(*path);
    for (; path[1] && obj; path++) {
        obj = json_mut_obj(doc, obj, *path);
    }
    if (obj) {
        json_put(doc, obj, *path, value);
    }
}

static void put_selector(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *status,
                         const yyjson_val *obj)
{
    const yyjson_val *selector = at_path(obj, path_of(op->kind, CUSTOM_SELECTOR));
    bool plain = op->kind == SCHEMA_KIND(ReplicationController); /* of labels, not of terms */
    struct span text = json_str(selector);
    struct selector sel = {0};
    if (!op->kind->custom &&
        (plain ? selector_from_map : selector_from_object)(op->arena, selector, &sel, NULL) == 0) {
        text = selector_text(op->arena, &sel);
    }
    if (text.n) {
        json_put_str(doc, status, "selector", text);
    }
}

static yyjson_mut_val *scale_tree(struct api_op *op, yyjson_mut_doc *doc, const yyjson_val *obj)
{
    static const char *const members[] = {"name", "namespace", "uid", "resourceVersion",
                                          "creationTimestamp"};
    yyjson_mut_val *root = yyjson_mut_obj(doc), *meta = yyjson_mut_obj(doc);
    yyjson_mut_val *spec = yyjson_mut_obj(doc), *status = yyjson_mut_obj(doc);
    json_put_str(doc, root, "kind", SPAN("Scale"));
    json_put_str(doc, root, "apiVersion", SPAN("autoscaling/v1"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const yyjson_val *v = json_path(obj, "metadata", members[i], NULL);
        if (v) {
            json_put(doc, meta, members[i], json_mut_copy(doc, v));
        }
    }
    json_put(doc, root, "metadata", meta);
    int64_t replicas = json_int(at_path(obj, path_of(op->kind, CUSTOM_SPEC_REPLICAS)), 0);
    if (replicas) {
        json_put_int(doc, spec, "replicas", replicas);
    }
    json_put(doc, root, "spec", spec);
    json_put_int(doc, status, "replicas",
                 json_int(at_path(obj, path_of(op->kind, CUSTOM_STATUS_REPLICAS)), 0));
    put_selector(op, doc, status, obj);
    json_put(doc, root, "status", status);
    return root;
}

static void scale_present(struct api_op *op)
{
    const yyjson_val *from = op->tree ? op->tree : object_root(op->object);
    op->tree = json_freeze(op->arena, scale_tree(op, json_mut_new(op->arena), from));
    object_unref(op->object);
    op->object = NULL;
}

static yyjson_mut_val *put_owners(yyjson_mut_doc *doc, yyjson_mut_val *scale, yyjson_mut_val *list)
{
    json_put(doc, json_mut_get(scale, "metadata"), "managedFields", list);
    return scale;
}

/* The Scale of what is stored, with the owners of its replicas. */
static const yyjson_val *scale_live(struct api_op *op, struct object *current)
{
    const yyjson_val *root = object_root(current);
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *list = managed_to_scale(op->arena, doc, op->kind,
                                            json_path(root, "metadata", "managedFields", NULL));
    yyjson_mut_val *scale = scale_tree(op, doc, root);
    return json_freeze(op->arena, list ? put_owners(doc, scale, list) : scale);
}

static yyjson_mut_val *scale_patched(struct api_op *op, const yyjson_val *was, yyjson_mut_doc *doc)
{
    assert(op->patch_type != API_PATCH_APPLY);
    switch (op->patch_type) {
    case API_PATCH_JSON:
        return patch_json(op->arena, doc, was, op->body, &op->err);
    case API_PATCH_MERGE:
        return patch_merge(op->arena, doc, was, op->body, &op->err);
    case API_PATCH_STRATEGIC:
        return patch_strategic(op->arena, doc, SCHEMA_KIND(Scale)->type, was, op->body, &op->err);
    case API_PATCH_APPLY:
        break;
    }
    return NULL;
}

static struct managed_write scale_write(struct api_op *op)
{
    struct managed_write w = ownership_write(op);
    w.kind = SCHEMA_KIND(Scale);
    return w;
}

static yyjson_mut_val *scale_applied(struct api_op *op, const yyjson_val *live, yyjson_mut_doc *doc,
                                     yyjson_mut_val **ret_owners)
{
    struct managed_write w = scale_write(op);
    struct managed_applied result;
    if (managed_apply(op->arena, doc, &w, op->options.force, live, op->body, &result, &op->err)) {
        return NULL;
    }
    *ret_owners = result.managed;
    return result.object;
}

/* The Scale that the client wants, checked; in what it wants without owners. */
static const yyjson_val *scale_checked(struct api_op *op, const yyjson_val *in, yyjson_mut_doc *doc)
{
    const struct schema_kind *kind = SCHEMA_KIND(Scale);
    if (op->verb == API_UPDATE && !json_str(json_path(in, "metadata", "name", NULL)).n) {
        (void)write_err_nameless(op);
        return NULL;
    }
    if (write_check_kind(op, kind, kind->api_version, in)) {
        return NULL;
    }
    yyjson_mut_val *decoded =
        schema_decode(op->arena, kind, in, doc, op->options.strictness, &op->warnings, &op->err);
    if (!decoded) {
        return NULL;
    }
    yyjson_mut_val *meta = json_mut_obj(doc, decoded, "metadata");
    json_remove(meta, "managedFields");
    if (!json_mut_get(meta, "name")) {
        json_put_str(doc, meta, "name", op->name);
    }
    if (!json_mut_get(meta, "namespace")) {
        json_put_str(doc, meta, "namespace", op->ns);
    }
    const yyjson_val *scale = json_freeze(op->arena, decoded);
    return schema_validate(op->arena, kind, scale, NULL, &op->err) ? NULL : scale;
}

/* No replicas are none: Go does not write the zero. */
static const yyjson_val *without_zero(struct api_op *op, const yyjson_val *scale)
{
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *out = json_mut_copy(doc, scale), *spec = json_mut_get(out, "spec");
    if (yyjson_mut_get_sint(json_mut_get(spec, "replicas")) == 0) {
        json_remove(spec, "replicas");
    }
    return json_freeze(op->arena, out);
}

/* The Scale that the client wants, checked. *ret_owners: its owners, NULL: none. */
static const yyjson_val *scale_wanted(struct api_op *op, const yyjson_val *live,
                                      yyjson_mut_doc *doc, yyjson_mut_val **ret_owners)
{
    bool is_apply = op->verb == API_PATCH && op->patch_type == API_PATCH_APPLY;
    const yyjson_val *in = op->body;
    if (op->verb == API_PATCH) {
        yyjson_mut_val *was = json_mut_copy(doc, live);
        json_remove(json_mut_get(was, "metadata"), "managedFields");
        yyjson_mut_val *out = is_apply ? scale_applied(op, live, doc, ret_owners)
                                       : scale_patched(op, json_freeze(op->arena, was), doc);
        if (!out) {
            return NULL;
        }
        in = json_freeze(op->arena, out);
    }
    const yyjson_val *scale = scale_checked(op, in, doc);
    if (scale && !is_apply) {
        struct managed_write w = scale_write(op);
        *ret_owners = managed_update(op->arena, doc, &w, live, without_zero(op, scale), NULL);
    }
    return scale;
}

/* The object with the replicas of the Scale, and with its owners. */
static int scale_mutate(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                        yyjson_mut_val **ret)
{
    yyjson_mut_val *owners = NULL;
    const yyjson_val *root = object_root(current);
    const yyjson_val *scale = scale_wanted(op, scale_live(op, current), doc, &owners);
    if (!scale) {
        return -1;
    }
    yyjson_mut_val *obj = json_mut_copy(doc, root);
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    static const char *const checked[] = {"name", "namespace", "uid", "resourceVersion"};
    for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
        struct span v = json_str(json_path(scale, "metadata", checked[i], NULL));
        if (v.n) { /* write_change compares them with what is stored */
            json_put_str(doc, meta, checked[i], v);
        }
    }
    put_at_path(doc, obj, path_of(op->kind, CUSTOM_SPEC_REPLICAS),
                yyjson_mut_sint(doc, json_int(json_path(scale, "spec", "replicas", NULL), 0)));
    op->is_applied = true; /* its owners are known */
    op->managed = managed_from_scale(op->arena, doc, op->kind,
                                     json_path(root, "metadata", "managedFields", NULL),
                                     owners ? json_freeze(op->arena, owners) : NULL);
    *ret = obj;
    return 0;
}

void op_scale(struct api_op *op)
{
    assert(op->sub);
    op->present = scale_present;
    if (op->verb == API_GET) {
        op_get(op);
        return;
    }
    op->mutate = scale_mutate;
    op_update(op);
}

/* ---- binding ---- */

void op_present_success(struct api_op *op)
{
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    json_put_str(doc, root, "kind", SPAN("Status"));
    json_put_str(doc, root, "apiVersion", SPAN("v1"));
    json_put(doc, root, "metadata", yyjson_mut_obj(doc));
    json_put_str(doc, root, "status", SPAN("Success"));
    json_put_int(doc, root, "code", 201);
    op->tree = json_freeze(op->arena, root);
}

static void set_scheduled(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *status = json_mut_obj(doc, obj, "status");
    yyjson_mut_val *list = json_mut_get(status, "conditions"), *item, *cond = NULL;
    if (!yyjson_mut_is_arr(list)) {
        list = yyjson_mut_arr(doc);
        json_put(doc, status, "conditions", list);
    }
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
    while ((item = yyjson_mut_arr_iter_next(&it))) {
        if (span_eq(json_mut_str(json_mut_get(item, "type")), SPAN("PodScheduled"))) {
            cond = item;
        }
    }
    if (!cond) {
        cond = yyjson_mut_obj(doc);
        json_put_str(doc, cond, "type", SPAN("PodScheduled"));
        yyjson_mut_arr_append(list, cond);
    }
    json_put_str(doc, cond, "status", SPAN("True"));
    json_put(doc, cond, "lastProbeTime", yyjson_mut_null(doc));
    json_put_str(doc, cond, "lastTransitionTime",
                 time_format(op->arena, env_now_ms(op->server->env)));
    json_remove(cond, "reason");
    json_remove(cond, "message");
}

/* The first claim of the pod that is being deleted; NULL: none. Its keeper has looked for pods on
 * nodes, perhaps: one that came to a node now would lose its disk. */
static struct object *claim_on_its_way_out(struct api_op *op, const yyjson_val *pod)
{
    JSON_EACH(it, json_path(pod, "spec", "volumes", NULL))
    {
        struct span name = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        struct object *claim =
            name.n ? api_peek(op->server, op->arena, "persistentvolumeclaims", op->ns, name) : NULL;
        if (claim && object_is_deleting(claim)) {
            return claim;
        }
    }
    return NULL;
}

static int binding_conflict(struct api_op *op, struct span why)
{
    (void)api_op_err(op, ERR_CONFLICT,
                     "Operation cannot be fulfilled on pods/binding \"%.*s\": pod %.*s %.*s",
                     SPAN_ARG(op->name), SPAN_ARG(op->name), SPAN_ARG(why));
    op->err.kind = SPAN("pods/binding");
    return -1;
}

static int binding_mutate(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                          yyjson_mut_val **ret)
{
    const yyjson_val *old = object_root(current);
    struct span node = json_str(json_path(op->body, "target", "name", NULL));
    struct span on = json_str(json_path(old, "spec", "nodeName", NULL));
    struct span uid = json_str(json_path(op->body, "metadata", "uid", NULL));
    struct span kind = json_str(json_path(op->body, "target", "kind", NULL));
    struct err bad = {0};
    if (kind.n && !span_eq(kind, SPAN("Node"))) {
        err_add_cause(op->arena, &bad, "FieldValueNotSupported", SPAN("target.kind"),
                      arena_printf(op->arena,
                                   "Unsupported value: \"%.*s\": supported values: \"Node\", "
                                   "\"<empty>\"",
                                   SPAN_ARG(kind)));
    }
    if (node.n == 0) {
        err_add_cause(op->arena, &bad, "FieldValueRequired", SPAN("target.name"),
                      SPAN("Required value"));
    }
    if (bad.causes) {
        (void)schema_invalid_finish(op->arena, SCHEMA_KIND(Binding), op->name, &bad);
        op->err = bad;
        return -1;
    }
    if (uid.n && !span_eq(uid, object_uid(current))) {
        return api_op_conflict(op, SPAN("the pod is another one than the binding's uid says"));
    }
    if (json_path(old, "metadata", "deletionTimestamp", NULL)) {
        return binding_conflict(op, SPAN("is being deleted, cannot be assigned to a host"));
    }
    if (on.n) {
        return binding_conflict(
            op, arena_printf(op->arena, "is already assigned to node \"%.*s\"", SPAN_ARG(on)));
    }
    struct object *claim = claim_on_its_way_out(op, old);
    if (claim) {
        return api_op_conflict(op, arena_printf(op->arena,
                                                "persistentvolumeclaim \"%.*s\" is being deleted",
                                                SPAN_ARG(object_name(claim))));
    }
    yyjson_mut_val *obj = json_mut_copy(doc, old);
    json_put_str(doc, json_mut_obj(doc, obj, "spec"), "nodeName", node);
    const yyjson_val *annotations = json_path(op->body, "metadata", "annotations", NULL);
    if (json_len(annotations)) {
        yyjson_mut_val *to = json_mut_obj(doc, json_mut_get(obj, "metadata"), "annotations");
        JSON_EACH(it, annotations)
        {
            json_put_span(doc, to, json_str(it.key), json_mut_copy(doc, it.val));
        }
    }
    set_scheduled(op, doc, obj);
    *ret = obj;
    return 0;
}

void op_binding(struct api_op *op)
{
    struct span name = json_str(json_path(op->body, "metadata", "name", NULL));
    op->http_status = 201;
    if (name.n && !span_eq(name, op->name)) {
        (void)api_op_err(op, ERR_BAD_REQUEST, "name in URL does not match name in Binding object");
        api_op_finish(op);
        return;
    }
    if (write_decode_body(op, SCHEMA_KIND(Binding))) {
        api_op_finish(op);
        return;
    }
    op->mutate = binding_mutate;
    op->keeps_defaults = true;
    op->server_change = true;
    op->is_untracked = true;
    op->present = op_present_success;
    op_update(op);
}

void op_sub_take_list(yyjson_mut_doc *doc, yyjson_mut_val *obj, yyjson_mut_val *wanted,
                      const char *name)
{
    assert(doc);
    assert(obj);
    assert(name);
    yyjson_mut_val *list = json_mut_get(json_mut_get(wanted, "spec"), name);
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec");
    if (yyjson_mut_arr_size(list)) {
        json_put(doc, spec, name, list);
    } else {
        json_remove(spec, name);
    }
}

/* ---- namespaces/finalize ---- */

static int check_finalizers(struct api_op *op, yyjson_mut_val *list)
{
    struct err bad = {0};
    size_t i, n;
    yyjson_mut_val *one;
    yyjson_mut_arr_foreach(list, i, n, one)
    {
        struct span s = json_mut_str(one);
        struct span field = arena_printf(op->arena, "spec.finalizers[%zu]", i);
        struct span shown = arena_printf(op->arena, "\"%.*s\"", SPAN_ARG(s));
        struct names_fault fault = names_qualified(s);
        for (size_t k = 0; k < fault.n; k++) {
            schema_invalid(op->arena, &bad, field, shown, fault.text[k]);
        }
        if (!fault.n && !names_finalizer_known(s)) {
            schema_invalid(op->arena, &bad, field, shown,
                           "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
    if (bad.causes) {
        (void)schema_invalid_finish(op->arena, op->kind, op->name, &bad);
        op->err = bad;
    }
    return bad.causes ? -1 : 0;
}

static int finalize_mutate(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                           yyjson_mut_val **ret)
{
    yyjson_mut_val *wanted = write_decode(op, op->body, NULL, doc);
    if (!wanted) {
        return -1;
    }
    yyjson_mut_val *obj = json_mut_copy(doc, object_root(current));
    struct span rev =
        json_mut_str(json_mut_get(json_mut_get(wanted, "metadata"), "resourceVersion"));
    if (rev.n) {
        json_put_str(doc, json_mut_get(obj, "metadata"), "resourceVersion", rev);
    }
    if (check_finalizers(op, json_mut_get(json_mut_get(wanted, "spec"), "finalizers"))) {
        return -1;
    }
    op_sub_take_list(doc, obj, wanted, "finalizers");
    *ret = obj;
    return 0;
}

void op_finalize(struct api_op *op)
{
    assert(op->sub);
    op->mutate = finalize_mutate;
    op->server_change = true;
    op_update(op);
}
