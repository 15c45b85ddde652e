/* What a fresh cluster has. Each object is created only when it is absent; the endpoints of the API
 * server itself are written again when the address has changed. The server is ready when all of it
 * is durable. */
#include "apiserver/admission.h"
#include "apiserver/default_roles.h"
#include "apiserver/op.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "schema/kinds.h"

enum { RETRY_MS = 1000 };

struct bootstrap {
    struct apiserver *server;
    struct arena *arena; /* of one round */
    size_t pending;
    bool failed, is_freed;
    struct env_timer retry;
};

static void begin(struct bootstrap *b);

static void on_retry(struct env_timer *timer)
{
    begin(CONTAINER_OF(timer, struct bootstrap, retry));
}

void bootstrap_free(struct bootstrap *b)
{
    if (!b) {
        return;
    }
    env_timer_stop(b->server->env, &b->retry);
    b->is_freed = true;
    if (b->pending == 0) {
        arena_free(b->arena);
        free(b);
    }
}

static void finish_one(struct bootstrap *b)
{
    assert(b->pending > 0);
    if (--b->pending > 0) {
        return;
    }
    if (b->is_freed) {
        bootstrap_free(b);
    } else if (b->failed) {
        env_timer_start(b->server->env, &b->retry, RETRY_MS, on_retry);
    } else {
        struct apiserver *s = b->server;
        assert(s->bootstrap == b);
        s->bootstrap = NULL;
        bootstrap_free(b);
        apiserver_became_ready(s);
    }
}

struct step {
    struct bootstrap *bootstrap;
    struct api_op op;
};

static void on_done(struct api_op *op)
{
    struct step *step = CONTAINER_OF(op, struct step, op);
    struct bootstrap *b = step->bootstrap;
    bool failed = op->err.reason != ERR_NONE && op->err.reason != ERR_ALREADY_EXISTS;
    if (failed && !b->failed) { /* one line a round: the others fail for the same reason */
        log_event(LOG_WARN, "bootstrap_object_failed", LOG_C("resource", op->kind->resource),
                  LOG_S("name", op->name), LOG_S("reason", op->err.message),
                  LOG_C("then", "retrying in 1 s"));
    }
    b->failed |= failed;
    api_op_release(op);
    finish_one(b);
}

static yyjson_val *parse(struct bootstrap *b, struct span json)
{
    yyjson_doc *doc = NULL;
    int rc = json_parse(b->arena, json, &doc, NULL);
    assert(rc == 0); /* our own text */
    return yyjson_doc_get_root(doc);
}

static void run(struct bootstrap *b, enum api_verb verb, const struct schema_kind *kind,
                const char *ns, const char *name, const yyjson_val *body)
{
    assert(!b->is_freed);
    struct step *step = ARENA_NEW(b->arena, struct step);
    step->bootstrap = b;
    step->op = (struct api_op){.server = b->server,
                               .arena = b->arena,
                               .verb = verb,
                               .kind = kind,
                               .ns = span_cstr(ns),
                               .name = verb == API_CREATE ? SPAN_NULL : span_cstr(name),
                               .options.grace_s = -1,
                               .options.strictness = SCHEMA_STRICT,
                               .options.field_manager = SPAN("berth"),
                               .body = body,
                               .server_change = kind == SCHEMA_KIND(ComponentStatus),
                               .done = on_done};
    b->pending++;
    api_op_run(&step->op);
}

static void submit(struct bootstrap *b, enum api_verb verb, const struct schema_kind *kind,
                   const char *ns, const char *name, struct span json)
{
    run(b, verb, kind, ns, name, parse(b, json));
}

static struct object *current(struct bootstrap *b, const struct schema_kind *kind, const char *ns,
                              const char *name)
{
    return api_peek(b->server, b->arena, kind->resource, span_cstr(ns), span_cstr(name));
}

static bool is_absent(struct bootstrap *b, const struct schema_kind *kind, const char *ns,
                      const char *name)
{
    return !current(b, kind, ns, name);
}

/* Would an update change nothing, and be answered at once? So at nearly every start. */
static bool is_as_wanted(struct bootstrap *b, const struct schema_kind *kind, struct object *o,
                         const yyjson_val *want)
{
    static const char *const made[] = {"kind", "apiVersion", "metadata", NULL};
    static const char *const meta_made[] = {
        "name",       "namespace",     "uid", "resourceVersion", "creationTimestamp",
        "generation", "managedFields", NULL};
    assert(want);
    assert(o);
    if (object_rev(o) > store_durable_rev(b->server->store)) {
        return false;
    }
    struct object_glance glance = object_glance_begin(o);
    const yyjson_val *root = object_root(o);
    const struct schema_field *meta = schema_field_find(kind->type, SPAN("metadata"));
    bool equal =
        schema_same(kind->type, root, want, made) &&
        schema_same(meta->type, json_get(root, "metadata"), json_get(want, "metadata"), meta_made);
    object_glance_end(&glance);
    return equal;
}

/* Created, or written again where it differs. */
static void enforce(struct bootstrap *b, const struct schema_kind *kind, const char *ns,
                    const char *name, struct span json)
{
    struct object *o = current(b, kind, ns, name);
    const yyjson_val *want = parse(b, json);
    if (!o || !is_as_wanted(b, kind, o, want)) {
        run(b, o ? API_UPDATE : API_CREATE, kind, ns, name, want);
    }
}

static void namespaces(struct bootstrap *b)
{
    static const char *const names[] = {"default", "kube-system", "kube-public", "kube-node-lease"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_absent(b, SCHEMA_KIND(Namespace), "", names[i])) {
            submit(b, API_CREATE, SCHEMA_KIND(Namespace), "", names[i],
                   arena_printf(b->arena, "{\"metadata\":{\"name\":\"%s\"}}", names[i]));
        }
        if (is_absent(b, SCHEMA_KIND(ServiceAccount), names[i], "default")) {
            submit(b, API_CREATE, SCHEMA_KIND(ServiceAccount), names[i], "default",
                   SPAN("{\"metadata\":{\"name\":\"default\"}}"));
        }
    }
}

static const char class_text[] =
    "{\"metadata\":{\"name\":\"local\",\"annotations\":{"
    "\"storageclass.kubernetes.io/is-default-class\":\"true\"}},"
    "\"provisioner\":\"berth.dev/local\",\"reclaimPolicy\":\"Delete\","
    "\"volumeBindingMode\":\"Immediate\",\"allowVolumeExpansion\":true}";

/* fresh: nothing was there before; later its absence is the user's wish. One that was made before
 * claims could grow does not say whether they may: they may. */
static void storage_class(struct bootstrap *b, bool fresh)
{
    struct object *o = current(b, SCHEMA_KIND(StorageClass), "", "local");
    if (!o && fresh) {
        submit(b, API_CREATE, SCHEMA_KIND(StorageClass), "", "local", span_cstr(class_text));
        return;
    }
    if (!o) {
        return;
    }
    struct object_glance glance = object_glance_begin(o);
    yyjson_val *root = object_root(o);
    struct span text = SPAN_NULL;
    if (span_eq(json_get_str(root, "provisioner"), SPAN("berth.dev/local")) &&
        !json_get(root, "allowVolumeExpansion")) {
        yyjson_mut_doc *doc = json_mut_new(b->arena);
        yyjson_mut_val *all = json_mut_copy(doc, root);
        json_put(doc, all, "allowVolumeExpansion", yyjson_mut_true(doc));
        text = json_write_mut(b->arena, all);
    }
    object_glance_end(&glance);
    if (text.n) {
        submit(b, API_UPDATE, SCHEMA_KIND(StorageClass), "", "local", text);
    }
}

static void service(struct bootstrap *b)
{
    struct apiserver *s = b->server;
    struct span address = s->options.server_address, port = address;
    struct span ip = span_cut(&port, ':');
    uint32_t number;
    uint64_t port_number;
    if (s->services.ips.count == 0 || !ip_parse(ip, &number) || !span_to_u64(port, &port_number)) {
        return; /* no address that pods could use */
    }
    if (is_absent(b, SCHEMA_KIND(Service), "default", "kubernetes")) {
        submit(b, API_CREATE, SCHEMA_KIND(Service), "default", "kubernetes",
               arena_printf(b->arena,
                            "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"component\":"
                            "\"apiserver\",\"provider\":\"kubernetes\"}},\"spec\":{\"type\":"
                            "\"ClusterIP\",\"clusterIP\":\"%.*s\",\"ports\":[{\"name\":\"https\","
                            "\"protocol\":\"TCP\",\"port\":443,\"targetPort\":%llu}]}}",
                            SPAN_ARG(ip_text(b->arena, s->services.ips.first + 1)),
                            (unsigned long long)port_number));
    }
    enforce(b, SCHEMA_KIND(Endpoints), "default", "kubernetes",
            arena_printf(b->arena,
                         "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{"
                         "\"endpointslice.kubernetes.io/skip-mirror\":\"true\"}},\"subsets\":[{"
                         "\"addresses\":[{\"ip\":\"%.*s\"}],\"ports\":[{\"name\":\"https\","
                         "\"port\":%llu,\"protocol\":\"TCP\"}]}]}",
                         SPAN_ARG(ip), (unsigned long long)port_number));
    enforce(b, SCHEMA_KIND(EndpointSlice), "default", "kubernetes",
            arena_printf(b->arena,
                         "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{"
                         "\"kubernetes.io/service-name\":\"kubernetes\"}},\"addressType\":"
                         "\"IPv4\",\"endpoints\":[{\"addresses\":[\"%.*s\"],\"conditions\":{"
                         "\"ready\":true}}],\"ports\":[{\"name\":\"https\",\"port\":%llu,"
                         "\"protocol\":\"TCP\"}]}",
                         SPAN_ARG(ip), (unsigned long long)port_number));
}

/* Manifests of Kubernetes' own add-ons name them. */
static void priority_classes(struct bootstrap *b)
{
    static const struct {
        const char *name, *why;
        int value;
    } classes[] = {{"system-cluster-critical",
                    "Used for system critical pods that must run in the cluster, but can be moved "
                    "to another node if necessary.",
                    2000000000},
                   {"system-node-critical",
                    "Used for system critical pods that must not be moved from their current node.",
                    2000001000}};
    _Static_assert(sizeof classes / sizeof *classes == PRIORITY_SYSTEM_CLASSES, "counted");
    for (size_t i = 0; i < PRIORITY_SYSTEM_CLASSES; i++) {
        if (is_absent(b, SCHEMA_KIND(PriorityClass), "", classes[i].name)) {
            submit(
                b, API_CREATE, SCHEMA_KIND(PriorityClass), "", classes[i].name,
                arena_printf(b->arena,
                             "{\"metadata\":{\"name\":\"%s\"},\"value\":%d,\"description\":\"%s\"}",
                             classes[i].name, classes[i].value, classes[i].why));
        }
    }
}

/* What is old and still looked at: one process is all of them. */
static void components(struct bootstrap *b)
{
    static const char *const names[] = {"controller-manager", "etcd-0", "scheduler"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_absent(b, SCHEMA_KIND(ComponentStatus), "", names[i])) {
            submit(b, API_CREATE, SCHEMA_KIND(ComponentStatus), "", names[i],
                   arena_printf(b->arena,
                                "{\"metadata\":{\"name\":\"%s\"},\"conditions\":[{\"type\":"
                                "\"Healthy\",\"status\":\"True\",\"message\":\"ok\"}]}",
                                names[i]));
        }
    }
}

/* The versions of groups that this server has by itself. */
static void api_services(struct bootstrap *b)
{
    const struct schema_kind *last = NULL;
    int rank = 0;
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (last && strcmp(k->group, last->group) == 0 && strcmp(k->version, last->version) == 0) {
            continue;
        }
        rank++;
        last = k;
        struct span name =
            ARENA_JOIN(b->arena, span_cstr(k->version), SPAN("."), span_cstr(k->group));
        if (!is_absent(b, SCHEMA_KIND(APIService), "", name.p)) {
            continue;
        }
        submit(b, API_CREATE, SCHEMA_KIND(APIService), "", name.p,
               arena_printf(b->arena,
                            "{\"metadata\":{\"name\":\"%s\",\"labels\":{"
                            "\"kube-aggregator.kubernetes.io/automanaged\":\"onstart\"}},\"spec\":{"
                            "%s%s%s\"version\":\"%s\",\"groupPriorityMinimum\":%d,"
                            "\"versionPriority\":15}}",
                            name.p, k->group[0] ? "\"group\":\"" : "", k->group,
                            k->group[0] ? "\"," : "", k->version, 18000 - 10 * rank));
    }
}

/* A role that a user has made less of is completed. */
static void default_roles(struct bootstrap *b)
{
    for (size_t i = 0; i < default_roles_count(); i++) {
        const struct schema_kind *kind = default_role_kind(i);
        const char *name = default_role_name(i);
        struct object *o = current(b, kind, "", name);
        struct object_glance glance = object_glance_begin(o);
        const yyjson_val *obj = default_role_object(b->arena, i, o ? object_root(o) : NULL);
        struct span text = obj ? json_write(b->arena, obj) : SPAN("");
        object_glance_end(&glance);
        if (obj) {
            submit(b, o ? API_UPDATE : API_CREATE, kind, "", name, text);
        }
    }
}

static void begin(struct bootstrap *b)
{
    arena_clear(b->arena);
    b->failed = false;
    b->pending = 1; /* ours, until everything is submitted */
    bool fresh = !current(b, SCHEMA_KIND(Namespace), "", "default");
    namespaces(b);
    storage_class(b, fresh);
    service(b);
    priority_classes(b);
    components(b);
    api_services(b);
    if (!b->server->options.no_default_roles) {
        default_roles(b);
    }
    finish_one(b);
}

void bootstrap_start(struct apiserver *s)
{
    assert(!s->bootstrap);
    struct bootstrap *b = MEM_NEW(struct bootstrap);
    b->server = s;
    b->arena = arena_new();
    s->bootstrap = b;
    begin(b);
}
