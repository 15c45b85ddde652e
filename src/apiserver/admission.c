#include "apiserver/admission.h"

#include "apiserver/authorize.h"
#include "apiserver/meta.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "codec/quantity.h"
#include "codec/time.h"
#include "kinds/statefulset_notes.h"
#include "schema/kinds.h"
#include "schema/status.h"
#include "watch/watch.h"

int admission_namespace(struct api_op *op)
{
    assert(op->kind);
    assert(op->server);
    if (!op->kind->namespaced) {
        return 0;
    }
    struct object *ns = api_peek(op->server, op->arena, "namespaces", SPAN_NULL, op->ns);
    if (!ns) {
        (void)api_op_err(op, ERR_NOT_FOUND, "namespaces \"%.*s\" not found", SPAN_ARG(op->ns));
        op->err.group = SPAN_NULL;
        op->err.kind = SPAN("namespaces");
        op->err.name = op->ns;
        return -1;
    }
    if (object_is_deleting(ns)) {
        (void)api_op_err(op, ERR_FORBIDDEN,
                         "%s \"%.*s\" is forbidden: unable to create new content in namespace "
                         "%.*s because it is being terminated",
                         op->kind->resource, SPAN_ARG(op->name), SPAN_ARG(op->ns));
        err_add_cause(
            op->arena, &op->err, "NamespaceTerminating", SPAN("metadata.namespace"),
            arena_printf(op->arena, "namespace %.*s is being terminated", SPAN_ARG(op->ns)));
        return -1;
    }
    return 0;
}

struct span admission_called(const struct api_op *op, struct span generate_name)
{
    assert(!op->name_generated || generate_name.n > 0);
    return op->name_generated ? generate_name : op->name;
}

/* ---- pods ---- */

static bool tolerates(yyjson_mut_val *list, const char *key)
{
    yyjson_mut_val *item;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
    while (list && (item = yyjson_mut_arr_iter_next(&it))) {
        struct span k = json_mut_str(json_mut_get(item, "key"));
        struct span effect = json_mut_str(json_mut_get(item, "effect"));
        if ((k.n == 0 || span_eq_cstr(k, key)) &&
            (effect.n == 0 || span_eq(effect, SPAN("NoExecute")))) {
            return true;
        }
    }
    return false;
}

static void add_toleration(yyjson_mut_doc *doc, yyjson_mut_val *spec, const char *key)
{
    yyjson_mut_val *list = json_mut_get(spec, "tolerations");
    if (tolerates(list, key)) {
        return;
    }
    if (!yyjson_mut_is_arr(list)) {
        list = yyjson_mut_arr(doc);
        json_put(doc, spec, "tolerations", list);
    }
    yyjson_mut_val *t = yyjson_mut_obj(doc);
    json_put_str(doc, t, "key", span_cstr(key));
    json_put_str(doc, t, "operator", SPAN("Exists"));
    json_put_str(doc, t, "effect", SPAN("NoExecute"));
    json_put_int(doc, t, "tolerationSeconds", 300);
    yyjson_mut_arr_append(list, t);
}

/* Of a lost node for five minutes, unless the pod says something about that itself. */
static void add_tolerations(yyjson_mut_doc *doc, yyjson_mut_val *spec)
{
    add_toleration(doc, spec, "node.kubernetes.io/not-ready");
    add_toleration(doc, spec, "node.kubernetes.io/unreachable");
}

/* Guaranteed: every container has equal limits and requests for cpu and memory; BestEffort: none
 * has any. Requests that are absent were filled from the limits by the defaults. */
static const char *qos_class(yyjson_mut_val *spec)
{
    static const char *const lists[] = {"containers", "initContainers"};
    static const char *const names[] = {"cpu", "memory"};
    bool any = false, all = true;
    for (size_t l = 0; l < 2; l++) {
        yyjson_mut_val *list = json_mut_get(spec, lists[l]), *c;
        yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
        while (yyjson_mut_is_arr(list) && (c = yyjson_mut_arr_iter_next(&it))) {
            yyjson_mut_val *res = json_mut_get(c, "resources");
            for (size_t i = 0; i < 2; i++) {
                yyjson_mut_val *limit = json_mut_get(json_mut_get(res, "limits"), names[i]);
                yyjson_mut_val *request = json_mut_get(json_mut_get(res, "requests"), names[i]);
                any |= limit || request;
                all &= limit && (!request || json_mut_equal(limit, request));
            }
        }
    }
    return !any ? "BestEffort" : all ? "Guaranteed" : "Burstable";
}

static bool is_global_default(void *data, struct object *o)
{
    struct object **found = data;
    if (json_get_bool(object_root(o), "globalDefault", false)) {
        *found = o;
    }
    return !*found;
}

static struct span called(const struct api_op *op, yyjson_mut_val *obj)
{
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    return admission_called(op, json_mut_str(json_mut_get(meta, "generateName")));
}

/* What the class says, which the pod may not say otherwise. class NULL: there is none. */
static int put_priority(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec,
                        struct span pod, const yyjson_val *class)
{
    int64_t value = json_get_int(class, "value", 0);
    struct span policy = arena_dup(op->arena, json_get_str(class, "preemptionPolicy"));
    yyjson_mut_val *given = json_mut_get(spec, "priority");
    struct span given_policy = json_mut_str(json_mut_get(spec, "preemptionPolicy"));
    policy = policy.n ? policy : SPAN("PreemptLowerPriority");
    if (given && yyjson_mut_get_sint(given) != value) {
        return api_op_err(
            op, ERR_FORBIDDEN,
            "pods \"%.*s\" is forbidden: the integer value of priority (%lld) must not "
            "be provided in pod spec; priority admission controller computed %lld from "
            "the given PriorityClass name",
            SPAN_ARG(pod), (long long)yyjson_mut_get_sint(given), (long long)value);
    }
    if (given_policy.n && !span_eq(given_policy, policy)) {
        return api_op_err(
            op, ERR_FORBIDDEN,
            "pods \"%.*s\" is forbidden: the string value of PreemptionPolicy (%.*s) must not "
            "be provided in pod spec; priority admission controller computed %.*s from "
            "the given PriorityClass name",
            SPAN_ARG(pod), SPAN_ARG(given_policy), SPAN_ARG(policy));
    }
    json_put_int(doc, spec, "priority", value);
    json_put_str(doc, spec, "preemptionPolicy", policy);
    return 0;
}

/* The number that stands for the class: that of the named one, else of the one for all. */
static int pod_priority(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec,
                        struct span pod)
{
    struct span resource = SPAN("priorityclasses.scheduling.k8s.io");
    struct watch_hub *hub = op->server->hub;
    struct span name = json_mut_str(json_mut_get(spec, "priorityClassName"));
    struct object *found = NULL;
    if (name.n) {
        found = watch_hub_get(hub, object_key(op->arena, resource, SPAN_NULL, name));
        if (!found) {
            return api_op_err(
                op, ERR_FORBIDDEN,
                "pods \"%.*s\" is forbidden: no PriorityClass with name %.*s was found",
                SPAN_ARG(pod), SPAN_ARG(name));
        }
    } else if (watch_hub_count(hub, resource) > PRIORITY_SYSTEM_CLASSES) {
        struct watch_filter all = {.resource = resource};
        (void)watch_hub_list(hub, &all, SPAN_NULL, is_global_default, &found);
    }
    if (found) {
        json_put_str(doc, spec, "priorityClassName", arena_dup(op->arena, object_name(found)));
    }
    return put_priority(op, doc, spec, pod, found ? object_root(found) : NULL);
}

/* The account that the pod names must be there. "default" is not asked for: the namespace
 * controller makes it in every namespace and makes it again when somebody deletes it, so a pod that
 * comes before it need not fail (Kubernetes waits a second for that one). A pod without secrets for
 * its images gets the account's. */
static int pod_account(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec,
                       struct span pod)
{
    struct span name = json_mut_str(json_mut_get(spec, "serviceAccountName"));
    if (name.n == 0) {
        name = SPAN("default");
        json_put_str(doc, spec, "serviceAccountName", name);
    }
    json_put_str(doc, spec, "serviceAccount", name);
    struct object *account = api_peek(op->server, op->arena, "serviceaccounts", op->ns, name);
    if (!account && !span_eq_cstr(name, "default")) {
        return api_op_err(op, ERR_FORBIDDEN,
                          "pods \"%.*s\" is forbidden: error looking up service account "
                          "%.*s/%.*s: serviceaccount \"%.*s\" not found",
                          SPAN_ARG(pod), SPAN_ARG(op->ns), SPAN_ARG(name), SPAN_ARG(name));
    }
    admission_token(op, doc, spec, account);
    const yyjson_val *secrets = account ? json_get(object_root(account), "imagePullSecrets") : NULL;
    if (json_len(secrets) > 0 && yyjson_mut_arr_size(json_mut_get(spec, "imagePullSecrets")) == 0) {
        object_hold(op->arena, account); /* its strings are shared */
        json_put(doc, spec, "imagePullSecrets", json_mut_copy(doc, secrets));
    }
    return 0;
}

/* A runtime that the pod names must be one that there is. */
static int pod_runtime(struct api_op *op, yyjson_mut_val *spec, struct span pod)
{
    struct span name = json_mut_str(json_mut_get(spec, "runtimeClassName"));
    if (name.n == 0 ||
        api_peek(op->server, op->arena, "runtimeclasses.node.k8s.io", SPAN_NULL, name)) {
        return 0;
    }
    return api_op_err(op, ERR_FORBIDDEN,
                      "pods \"%.*s\" is forbidden: pod rejected: RuntimeClass \"%.*s\" not found",
                      SPAN_ARG(pod), SPAN_ARG(name));
}

static int pod_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec");
    if (json_mut_get(spec, "ephemeralContainers")) {
        err_add_cause(op->arena, &op->err, "FieldValueForbidden", SPAN("spec.ephemeralContainers"),
                      SPAN("Forbidden: cannot be set on create"));
        return schema_invalid_finish(
            op->arena, op->kind, json_mut_str(json_mut_get(json_mut_get(obj, "metadata"), "name")),
            &op->err);
    }
    yyjson_mut_val *status = json_mut_obj(doc, obj, "status");
    admission_limits_default(op, doc, obj);
    if (pod_account(op, doc, spec, called(op, obj)) < 0 ||
        pod_runtime(op, spec, called(op, obj)) < 0) {
        return -1;
    }
    add_tolerations(doc, spec);
    admission_near(doc, obj);
    json_put_str(doc, status, "phase", SPAN("Pending"));
    json_put_str(doc, status, "qosClass", span_cstr(qos_class(spec)));
    return pod_priority(op, doc, spec, called(op, obj));
}

/* Who replaces a pod by what they once wrote does not take these away. */
static int pod_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                      const yyjson_val *old)
{
    static const char *const kept[] = {"priority", "preemptionPolicy"};
    const yyjson_val *had = json_get(old, "spec");
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec");
    assert(op->kind == SCHEMA_KIND(Pod));
    add_tolerations(doc, spec);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (json_get(had, kept[i]) && !json_mut_get(spec, kept[i])) {
            json_put(doc, spec, kept[i], json_mut_copy(doc, json_get(had, kept[i])));
        }
    }
    return 0;
}

/* ---- nodes ---- */

/* A new node gets no pods until the node controller has seen it Ready. */
static int node_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    assert(op->kind == SCHEMA_KIND(Node));
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec"), *list = json_mut_get(spec, "taints");
    yyjson_mut_val *item, *taint = yyjson_mut_obj(doc);
    const struct span key = SPAN("node.kubernetes.io/not-ready"), effect = SPAN("NoSchedule");
    if (!yyjson_mut_is_arr(list)) {
        list = yyjson_mut_arr(doc);
        json_put(doc, spec, "taints", list);
    }
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
    while ((item = yyjson_mut_arr_iter_next(&it))) {
        if (span_eq(json_mut_str(json_mut_get(item, "key")), key) &&
            span_eq(json_mut_str(json_mut_get(item, "effect")), effect)) {
            return 0;
        }
    }
    json_put_str(doc, taint, "key", key);
    json_put_str(doc, taint, "effect", effect);
    yyjson_mut_arr_append(list, taint);
    return 0;
}

/* ---- volumes ---- */

struct default_class {
    struct span name;
    int64_t born_ms;
};

static bool consider_class(void *data, struct object *o)
{
    struct default_class *best = data;
    const yyjson_val *root = object_root(o);
    const yyjson_val *notes = json_path(root, "metadata", "annotations", NULL);
    if (!span_eq(json_get_str(notes, "storageclass.kubernetes.io/is-default-class"),
                 SPAN("true")) &&
        !span_eq(json_get_str(notes, "storageclass.beta.kubernetes.io/is-default-class"),
                 SPAN("true"))) {
        return true;
    }
    int64_t born = time_or(json_str(json_path(root, "metadata", "creationTimestamp", NULL)), 0);
    if (best->name.n == 0 || born > best->born_ms) { /* newest, then by name: the list's order */
        *best = (struct default_class){object_name(o), born};
    }
    return true;
}

static int claim_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec");
    if (spec && !json_mut_get(spec, "storageClassName")) {
        struct default_class best = {0};
        struct watch_filter all = {.resource = SPAN("storageclasses.storage.k8s.io")};
        (void)watch_hub_list(op->server->hub, &all, SPAN_NULL, consider_class, &best);
        if (best.name.n) {
            json_put_str(doc, spec, "storageClassName", arena_dup(op->arena, best.name));
        }
    }
    meta_add_finalizer(doc, obj, "kubernetes.io/pvc-protection");
    json_put_str(doc, json_mut_obj(doc, obj, "status"), "phase", SPAN("Pending"));
    return 0;
}

static bool may_grow(struct api_op *op, struct span class)
{
    struct object *o =
        class.n ? api_peek(op->server, op->arena, "storageclasses.storage.k8s.io", SPAN_NULL, class)
                : NULL;
    return o && json_get_bool(object_root(o), "allowVolumeExpansion", false);
}

/* More room for a bound claim, where its class allows that. (One that is not bound does not change:
 * validation says so.) */
static int claim_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                        const yyjson_val *old)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    yyjson_mut_val *now =
        json_mut_get(json_mut_get(json_mut_get(spec, "resources"), "requests"), "storage");
    const yyjson_val *was = json_path(old, "spec", "resources", "requests", "storage", NULL);
    struct quantity wanted, before;
    (void)doc;
    if (!span_eq(status_phase(old), SPAN("Bound")) || quantity_parse(json_mut_str(now), &wanted) ||
        quantity_parse(json_str(was), &before) || quantity_cmp(&wanted, &before) <= 0) {
        return 0;
    }
    struct span class = json_str(json_path(old, "spec", "storageClassName", NULL));
    if (span_eq(class, json_mut_str(json_mut_get(spec, "storageClassName"))) &&
        may_grow(op, class)) {
        return 0;
    }
    return api_op_err(op, ERR_FORBIDDEN,
                      "%s \"%.*s\" is forbidden: only dynamically provisioned pvc can be resized "
                      "and the storageclass that provisions the pvc must support resize",
                      op->kind->resource, SPAN_ARG(op->name));
}

static int volume_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    (void)op;
    meta_add_finalizer(doc, obj, "kubernetes.io/pv-protection");
    json_put_str(doc, json_mut_obj(doc, obj, "status"), "phase", SPAN("Pending"));
    return 0;
}

/* ---- namespaces ---- */

static void namespace_label(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *labels = json_mut_obj(doc, json_mut_get(obj, "metadata"), "labels");
    if (labels) {
        json_put_str(doc, labels, "kubernetes.io/metadata.name", op->name);
    }
}

static int namespace_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_mut_arr_append(list, json_new_str(doc, SPAN("kubernetes")));
    json_put(doc, json_mut_obj(doc, obj, "spec"), "finalizers", list);
    json_put_str(doc, json_mut_obj(doc, obj, "status"), "phase", SPAN("Active"));
    namespace_label(op, doc, obj);
    return 0;
}

static int namespace_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                            const yyjson_val *old)
{
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec");
    const yyjson_val *list = json_path(old, "spec", "finalizers", NULL);
    if (list) { /* only /finalize changes them */
        json_put(doc, spec, "finalizers", json_mut_copy(doc, list));
    } else {
        json_remove(spec, "finalizers");
    }
    namespace_label(op, doc, obj);
    return 0;
}

/* ---- sets ---- */

/* A wrong annotation of ours is ignored, so whoever writes it is told. */
static int set_write(struct api_op *op, yyjson_mut_val *obj)
{
    yyjson_mut_val *notes = json_mut_get(json_mut_get(obj, "metadata"), "annotations");
    if (notes) {
        struct statefulset_notes *n = ARENA_NEW(op->arena, struct statefulset_notes);
        statefulset_notes(op->arena, json_freeze(op->arena, notes), n);
        for (size_t i = 0; i < n->wrong_count; i++) {
            api_op_warn(op, n->wrong[i]);
        }
    }
    return 0;
}

static int set_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    (void)doc;
    return set_write(op, obj);
}

static int set_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                      const yyjson_val *old)
{
    (void)doc;
    (void)old;
    return set_write(op, obj);
}

/* ---- roles and bindings ---- */

static int grant_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    (void)doc;
    return authorize_grant(op, obj, NULL);
}

static int grant_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                        const yyjson_val *old)
{
    (void)doc;
    return authorize_grant(op, obj, old);
}

/* ---- secrets ---- */

static int secret_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    admission_secret(op, doc, obj);
    return 0;
}

static int secret_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                         const yyjson_val *old)
{
    if (!json_get_bool(old, "immutable", false)) {
        admission_secret(op, doc, obj);
    }
    return 0;
}

/* ---- the table ---- */

static const struct admission {
    const struct schema_kind *kind;
    int (*create)(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj);
    int (*update)(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                  const yyjson_val *old);
} admissions[] = {
    {SCHEMA_KIND(Pod), pod_create, pod_update},
    {SCHEMA_KIND(Node), node_create, NULL},
    {SCHEMA_KIND(Service), admission_service_create, admission_service_update},
    {SCHEMA_KIND(PersistentVolumeClaim), claim_create, claim_update},
    {SCHEMA_KIND(StatefulSet), set_create, set_update},
    {SCHEMA_KIND(Secret), secret_create, secret_update},
    {SCHEMA_KIND(PersistentVolume), volume_create, NULL},
    {SCHEMA_KIND(Namespace), namespace_create, namespace_update},
    {SCHEMA_KIND(Role), grant_create, grant_update},
    {SCHEMA_KIND(RoleBinding), grant_create, grant_update},
    {SCHEMA_KIND(ClusterRole), grant_create, grant_update},
    {SCHEMA_KIND(ClusterRoleBinding), grant_create, grant_update},
};

static const struct admission *find(const struct schema_kind *kind)
{
    for (size_t i = 0; i < sizeof admissions / sizeof *admissions; i++) {
        if (admissions[i].kind == kind) {
            return &admissions[i];
        }
    }
    return NULL;
}

int admission_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    assert(doc);
    assert(obj);
    const struct admission *a = find(op->kind);
    return a && a->create ? a->create(op, doc, obj) : 0;
}

int admission_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                     const yyjson_val *old)
{
    assert(doc);
    assert(obj);
    assert(old);
    const struct admission *a = find(op->kind);
    return a && a->update ? a->update(op, doc, obj, old) : 0;
}

int admission_delete(struct api_op *op, const yyjson_val *obj)
{
    assert(op->kind);
    assert(op->name.n > 0);
    (void)obj;
    static const char *const kept[] = {"default", "kube-system", "kube-public"};
    if (op->kind != SCHEMA_KIND(Namespace)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (span_eq_cstr(op->name, kept[i])) {
            return api_op_err(op, ERR_FORBIDDEN,
                              "namespaces \"%.*s\" is forbidden: this namespace may not be deleted",
                              SPAN_ARG(op->name));
        }
    }
    return 0;
}
