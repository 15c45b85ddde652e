/* kubelet/kubelet_node.c: the Node object and its lease. The object is written when it is missing,
 * when the agent starts, when somebody says that this node is not Ready, and when somebody says
 * that it has something that we know nothing of (status.capacity["acme.com/dongle"]), which then is
 * allocatable, too; the lease every 10 s: the only periodic work of the agent. */
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "client/client_body.h"
#include "codec/json_share.h"
#include "codec/quantity.h"
#include "codec/time.h"
#include "kubelet/kubelet_priv.h"
#include "os/os_fs.h"
#include "os/os_usage.h"
#include "plan/schedule_request.h"
#include "schema/status.h"

enum { LEASE_RENEW_MS = 10 * 1000, LEASE_S = 40, RETRY_MS = 1000, RETRY_MAX_MS = 8000 };

struct kubelet_node {
    struct kubelet *k;
    struct client_watch *watch;
    struct object *object; /* as last seen; NULL: there is none */
    bool synced, go, busy, told_ready;
    bool lease_owned, lease_owning; /* the lease names the Node; the write under way does */
    struct env_timer lease_timer, retry_timer;
    int64_t retry_ms; /* after the last failure; 0: it went well */
    int64_t cpu_milli, memory_bytes, storage_bytes;
};

static void act(struct kubelet_node *n);

/* ---- facts of this machine ---- */

static void measure(struct kubelet_node *n)
{
    if (n->k->options.made_up) {
        n->cpu_milli = 4000;
        n->memory_bytes = INT64_C(16) << 30;
        n->storage_bytes = INT64_C(256) << 30;
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    struct span info = SPAN_NULL;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    n->cpu_milli = (cpus > 0 ? cpus : 1) * 1000;
    n->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    uint64_t kib = 0;
    if (kubelet_read_file(a, "/proc/meminfo", 16384, &info) == 0 &&
        os_usage_number(info, SPAN("MemTotal"), &kib)) {
        n->memory_bytes = (int64_t)kib * 1024;
    }
    struct os_fs_space space;
    const char *dir = n->k->options.no_files ? "/" : n->k->options.data_dir.p;
    if (os_fs_space(dir, &space) == 0 || os_fs_space("/", &space) == 0) {
        n->storage_bytes = (int64_t)space.total_bytes;
    }
}

int64_t kubelet_node_capacity(const struct kubelet *k, const char *resource)
{
    assert(resource);
    assert(k->node);
    const struct kubelet_node *n = k->node;
    return strcmp(resource, "cpu") == 0                 ? n->cpu_milli
           : strcmp(resource, "memory") == 0            ? n->memory_bytes
           : strcmp(resource, "ephemeral-storage") == 0 ? n->storage_bytes
                                                        : 0;
}

static struct span id_line(const struct kubelet_node *n, struct arena *a, const char *path)
{
    struct span text = SPAN_NULL;
    if (n->k->options.made_up) {
        return SPAN("00000000-0000-4000-8000-000000000000");
    }
    if (kubelet_read_file(a, path, 4096, &text) < 0) {
        return SPAN_NULL;
    }
    return span_trim(span_cut(&text, '\n'));
}

static struct span os_image(struct arena *a)
{
    struct span text = SPAN_NULL;
    if (kubelet_read_file(a, "/etc/os-release", 8192, &text) < 0) {
        return SPAN("Linux");
    }
    while (text.n > 0) {
        struct span line = span_cut(&text, '\n');
        if (span_starts(line, SPAN("PRETTY_NAME="))) {
            line = span_trim(span_from(line, 12));
            bool quoted = line.n >= 2 && line.p[0] == '"';
            return quoted ? span_of(line.p + 1, line.n - 2) : line;
        }
    }
    return SPAN("Linux");
}

static const char *arch_name(const char *machine)
{
    static const char *const names[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"},   {"armv7l", "arm"},      {"armv6l", "arm"},
        {"i686", "386"},     {"ppc64le", "ppc64le"}, {"riscv64", "riscv64"}, {"s390x", "s390x"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(machine, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return machine;
}

/* ---- the object ---- */

static const yyjson_val *resources_told(const struct kubelet_node *n, const char *key)
{
    return n->object ? json_get(client_status(n->object), key) : NULL;
}

/* Of those that somebody else counts. */
static bool is_foreign(struct span resource)
{
    return !span_eq_cstr(resource, "cpu") && !span_eq_cstr(resource, "memory") &&
           !span_eq_cstr(resource, "ephemeral-storage") && !span_eq_cstr(resource, "pods");
}

/* Does it have something that pods are not offered as it is? */
static bool offers_too_little(const struct kubelet_node *n)
{
    const yyjson_val *offered = resources_told(n, "allocatable");
    JSON_EACH(it, resources_told(n, "capacity"))
    {
        struct span name = json_str(it.key);
        if (is_foreign(name) &&
            !quantity_same(json_str(it.val), json_str(json_get_span(offered, name)))) {
            return true;
        }
    }
    return false;
}

int64_t kubelet_node_offers(const struct kubelet *k, struct span resource)
{
    assert(resource.n > 0);
    assert(k->node);
    const yyjson_val *amount = json_get_span(resources_told(k->node, "allocatable"), resource);
    return amount ? schedule_quantity(amount, false) : -1;
}

/* The entries of others stay: it is patched in. */
static void put_resources(struct kubelet_node *n, struct arena *a, yyjson_mut_doc *doc,
                          yyjson_mut_val *status, const char *key)
{
    yyjson_mut_val *v = json_mut_obj(doc, status, key);
    json_put_str(doc, v, "cpu", arena_printf(a, "%lld", (long long)(n->cpu_milli / 1000)));
    json_put_str(doc, v, "memory", arena_printf(a, "%lldKi", (long long)(n->memory_bytes / 1024)));
    json_put_str(doc, v, "ephemeral-storage",
                 arena_printf(a, "%lldKi", (long long)(n->storage_bytes / 1024)));
    json_put_str(doc, v, "pods", arena_printf(a, "%u", n->k->options.max_pods));
    JSON_EACH(it, resources_told(n, "capacity"))
    {
        if (is_foreign(json_str(it.key))) {
            json_put(doc, v, yyjson_get_str(it.key), json_mut_copy(doc, it.val));
        }
    }
}

static void put_condition(struct kubelet_node *n, struct arena *a, yyjson_mut_doc *doc,
                          yyjson_mut_val *list, const char *type, const char *value,
                          const char *reason, const char *message)
{
    struct span now = time_format(a, env_now_ms(n->k->env));
    yyjson_val *was = n->object ? status_condition(object_root(n->object), type) : NULL;
    struct span since = json_get_str(was, "lastTransitionTime");
    bool same = since.n && span_eq_cstr(json_get_str(was, "status"), value);
    struct status_condition said = {type, span_cstr(value), same ? since : now, span_cstr(reason),
                                    span_cstr(message)};
    yyjson_mut_val *c = status_condition_new(doc, &said);
    json_put_str(doc, c, "lastHeartbeatTime", now);
    yyjson_mut_arr_append(list, c);
}

static void put_info(struct kubelet_node *n, struct arena *a, yyjson_mut_doc *doc,
                     yyjson_mut_val *status, const struct utsname *u)
{
    const struct kubelet_options *o = &n->k->options;
    yyjson_mut_val *v = json_mut_obj(doc, status, "nodeInfo");
    json_put_str(doc, v, "machineID", id_line(n, a, "/etc/machine-id"));
    json_put_str(doc, v, "systemUUID", id_line(n, a, "/sys/class/dmi/id/product_uuid"));
    json_put_str(doc, v, "bootID", id_line(n, a, "/proc/sys/kernel/random/boot_id"));
    json_put_str(doc, v, "kernelVersion", arena_dup(a, span_cstr(u->release)));
    json_put_str(doc, v, "osImage", o->made_up ? SPAN("Linux") : os_image(a));
    json_put_str(doc, v, "containerRuntimeVersion", o->runtime_version);
    json_put_str(doc, v, "kubeletVersion", o->version);
    json_put_str(doc, v, "kubeProxyVersion", o->version);
    json_put_str(doc, v, "operatingSystem", SPAN("linux"));
    json_put_str(doc, v, "architecture", span_cstr(arch_name(u->machine)));
}

static yyjson_mut_val *status_json(struct kubelet_node *n, struct arena *a, yyjson_mut_doc *doc,
                                   const struct utsname *u)
{
    yyjson_mut_val *status = yyjson_mut_obj(doc);
    put_resources(n, a, doc, status, "capacity");
    put_resources(n, a, doc, status, "allocatable");
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    put_condition(n, a, doc, list, "MemoryPressure", "False", "KubeletHasSufficientMemory",
                  "kubelet has sufficient memory available");
    put_condition(n, a, doc, list, "DiskPressure", "False", "KubeletHasNoDiskPressure",
                  "kubelet has no disk pressure");
    put_condition(n, a, doc, list, "PIDPressure", "False", "KubeletHasSufficientPID",
                  "kubelet has sufficient PID available");
    put_condition(n, a, doc, list, "Ready", "True", "KubeletReady",
                  "kubelet is posting ready status");
    json_put(doc, status, "conditions", list);
    const struct kubelet_options *o = &n->k->options;
    yyjson_mut_val *addresses = yyjson_mut_arr(doc);
    const char *const types[] = {"InternalIP", "Hostname"};
    for (size_t i = 0; i < 2; i++) {
        yyjson_mut_val *v = yyjson_mut_obj(doc);
        json_put_str(doc, v, "type", span_cstr(types[i]));
        json_put_str(doc, v, "address", i == 0 ? o->node_ip : o->node_name);
        yyjson_mut_arr_append(addresses, v);
    }
    json_put(doc, status, "addresses", addresses);
    put_info(n, a, doc, status, u);
    return status;
}

static void put_labels(struct kubelet_node *n, yyjson_mut_doc *doc, yyjson_mut_val *meta,
                       const struct utsname *u)
{
    yyjson_mut_val *labels = json_mut_obj(doc, meta, "labels");
    struct span arch = span_cstr(arch_name(u->machine));
    json_put_str(doc, labels, "beta.kubernetes.io/arch", arch);
    json_put_str(doc, labels, "beta.kubernetes.io/os", SPAN("linux"));
    json_put_str(doc, labels, "kubernetes.io/arch", arch);
    json_put_str(doc, labels, "kubernetes.io/hostname", n->k->options.node_name);
    json_put_str(doc, labels, "kubernetes.io/os", SPAN("linux"));
}

/* ---- acting ---- */

static void on_retry(struct env_timer *timer)
{
    act(CONTAINER_OF(timer, struct kubelet_node, retry_timer));
}

static bool went_well(struct kubelet_node *n, const struct client_reply *reply)
{
    n->busy = false;
    if (reply->err.reason == ERR_NONE || reply->err.reason == ERR_ALREADY_EXISTS) {
        n->retry_ms = 0;
        return true;
    }
    log_event(LOG_WARN, "kubelet_node_write_failed", LOG_S("error", reply->err.message));
    n->retry_ms = n->retry_ms == 0             ? RETRY_MS
                  : n->retry_ms < RETRY_MAX_MS ? n->retry_ms * 2
                                               : RETRY_MAX_MS;
    env_timer_start(n->k->env, &n->retry_timer, n->retry_ms, on_retry);
    return false;
}

static void on_created(void *data, const struct client_reply *reply)
{
    struct kubelet_node *n = data;
    if (!went_well(n, reply)) {
        return;
    }
    if (n->object) {
        act(n); /* the watch was faster */
    } else {
        /* It shows the node soon, or has already shown that somebody deleted it again. */
        env_timer_start(n->k->env, &n->retry_timer, RETRY_MS, on_retry);
    }
}

static void on_status(void *data, const struct client_reply *reply)
{
    struct kubelet_node *n = data;
    struct kubelet *k = n->k;
    if (!went_well(n, reply)) {
        return;
    }
    /* What others wrote while we were busy is looked at when our own write has come in. */
    env_timer_start(k->env, &n->retry_timer, RETRY_MS, on_retry);
    if (!n->told_ready) {
        n->told_ready = true;
        if (k->ready_fn) {
            k->ready_fn(k->ready_data);
        }
    }
}

static bool says_ready(struct kubelet_node *n)
{
    return status_condition_true(object_root(n->object), "Ready");
}

static void write_node(struct kubelet_node *n, bool create)
{
    struct kubelet *k = n->k;
    struct arena *a cleanup_arena = arena_new();
    struct utsname u;
    if (uname(&u) < 0) {
        memset(&u, 0, sizeof u);
    }
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    if (create) {
        json_put_str(doc, root, "kind", SPAN("Node"));
        json_put_str(doc, root, "apiVersion", SPAN("v1"));
        yyjson_mut_val *meta = json_mut_obj(doc, root, "metadata");
        json_put_str(doc, meta, "name", k->options.node_name);
        put_labels(n, doc, meta, &u);
    } else {
        json_put(doc, root, "status", status_json(n, a, doc, &u));
    }
    n->busy = true;
    client_do(k->client,
              &(struct client_request){
                  CLIENT_REQUEST_INIT, .verb = create ? CLIENT_CREATE : CLIENT_PATCH_MERGE,
                  .kind = kubelet_kind("", "Node"),
                  .name = create ? SPAN_NULL : k->options.node_name,
                  .subresource = create ? SPAN_NULL : SPAN("status"),
                  .tree = json_share_mut(a, root), .field_manager = SPAN("kubelet")},
              create ? on_created : on_status, n);
}

static void act(struct kubelet_node *n)
{
    bool holds_back = n->retry_ms > 0 && env_timer_armed(&n->retry_timer);
    if (!n->go || !n->synced || n->busy || holds_back) {
        return;
    }
    if (!n->object) {
        write_node(n, true);
    } else if (!n->told_ready || !says_ready(n) || offers_too_little(n)) {
        write_node(n, false);
    }
}

/* ---- the lease ---- */

static void lease_write(struct kubelet_node *n, bool create);

static void on_lease(void *data, const struct client_reply *reply)
{
    struct kubelet_node *n = data;
    n->lease_owned |= n->lease_owning && reply->err.reason == ERR_NONE;
    if (reply->err.reason == ERR_NOT_FOUND) {
        lease_write(n, true);
    }
}

static void on_lease_created(void *data, const struct client_reply *reply)
{
    struct kubelet_node *n = data; /* after a failure the next renewal tries again */
    n->lease_owned |= n->lease_owning && reply->err.reason == ERR_NONE;
}

/* It goes with the Node. */
static void put_owner(const struct kubelet_node *n, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc), *owner = yyjson_mut_arr_add_obj(doc, list);
    json_put_str(doc, owner, "apiVersion", SPAN("v1"));
    json_put_str(doc, owner, "kind", SPAN("Node"));
    json_put_str(doc, owner, "name", object_name(n->object));
    json_put_str(doc, owner, "uid", object_uid(n->object));
    json_put(doc, json_mut_obj(doc, root, "metadata"), "ownerReferences", list);
}

static void lease_write(struct kubelet_node *n, bool create)
{
    struct kubelet *k = n->k;
    struct arena *a cleanup_arena = arena_new();
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    if (create) {
        json_put_str(doc, root, "kind", SPAN("Lease"));
        json_put_str(doc, root, "apiVersion", SPAN("coordination.k8s.io/v1"));
        yyjson_mut_val *meta = json_mut_obj(doc, root, "metadata");
        json_put_str(doc, meta, "name", k->options.node_name);
        json_put_str(doc, meta, "namespace", SPAN("kube-node-lease"));
    }
    n->lease_owning = n->object && (create || !n->lease_owned);
    if (n->lease_owning) {
        put_owner(n, doc, root);
    }
    yyjson_mut_val *spec = json_mut_obj(doc, root, "spec");
    json_put_str(doc, spec, "holderIdentity", k->options.node_name);
    json_put_int(doc, spec, "leaseDurationSeconds", LEASE_S);
    json_put_str(doc, spec, "renewTime", time_format_micro(a, env_now_us(k->env)));
    client_do(k->client,
              &(struct client_request){
                  CLIENT_REQUEST_INIT, .verb = create ? CLIENT_CREATE : CLIENT_PATCH_MERGE,
                  .kind = kubelet_kind("coordination.k8s.io", "Lease"),
                  .ns = SPAN("kube-node-lease"), .name = create ? SPAN_NULL : k->options.node_name,
                  .tree = json_share_mut(a, root), .field_manager = SPAN("kubelet")},
              create ? on_lease_created : on_lease, n);
}

static void on_lease_timer(struct env_timer *timer)
{
    struct kubelet_node *n = CONTAINER_OF(timer, struct kubelet_node, lease_timer);
    lease_write(n, false);
    env_timer_start(n->k->env, timer, LEASE_RENEW_MS, on_lease_timer);
}

/* ---- life ---- */

static void on_event(void *data, enum client_event_type type, struct object *object)
{
    struct kubelet_node *n = data;
    n->lease_owned &= n->object && span_eq(object_uid(n->object), object_uid(object));
    object_unref(n->object);
    n->object = type == CLIENT_DELETED ? NULL : object_ref(object);
    kubelet_admit_again(n->k);
    act(n);
}

static void on_synced(void *data)
{
    struct kubelet_node *n = data;
    n->synced = true;
    act(n);
}

struct kubelet_node *kubelet_node_new(struct kubelet *k)
{
    assert(k->client);
    assert(k->options.node_name.n > 0);
    static const struct client_watch_handler handler = {.on_event = on_event,
                                                        .on_synced = on_synced};
    struct kubelet_node *n = MEM_NEW(struct kubelet_node);
    n->k = k;
    measure(n);
    struct client_request me = {
        CLIENT_REQUEST_INIT,
        .verb = CLIENT_LIST,
        .kind = kubelet_kind("", "Node"),
        .field_selector =
            arena_printf(k->arena, "metadata.name=%.*s", SPAN_ARG(k->options.node_name)),
    };
    n->watch = client_watch_new(k->client, &me, &handler, n);
    return n;
}

void kubelet_node_go(struct kubelet_node *n)
{
    n->go = true;
    act(n);
    on_lease_timer(&n->lease_timer);
}

void kubelet_node_free(struct kubelet_node *n)
{
    if (!n) {
        return;
    }
    client_watch_free(n->watch);
    client_cancel(n->k->client, n);
    env_timer_stop(n->k->env, &n->lease_timer);
    env_timer_stop(n->k->env, &n->retry_timer);
    object_unref(n->object);
    free(n);
}
