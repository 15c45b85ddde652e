/* kubelet/kubelet.c: the table of pods: who is here, adoption of what an earlier kubelet left. */
#include "kubelet/kubelet.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "kubelet/kubelet_logs_priv.h"
#include "kubelet/kubelet_priv.h"

/* A runtime listing under way. */
struct list_call {
    struct list link;
    struct kubelet *k;
};

struct kubelet_pod *kubelet_pod_find(struct kubelet *k, struct span uid)
{
    return map_get(&k->by_uid, uid);
}

size_t kubelet_pod_count(const struct kubelet *k)
{
    assert(k);
    return k->by_uid.n;
}

/* ---- pods come and go ---- */

/* Every pod is found by its uid, and is in the chain of its name, the newest first. */
static void verify_pods(const struct kubelet *k)
{
    if (!verify_due(k->by_uid.n, k->by_uid.n)) {
        return;
    }
    size_t n = 0, it = 0;
    struct span name;
    for (const struct kubelet_pod *pod; (pod = map_next(&k->by_name, &it, &name)) != NULL;) {
        for (; pod; pod = pod->same_name, n++) {
            assert(pod->k == k);
            assert(span_eq(pod->full_name, name));
            assert(map_get(&k->by_uid, pod->uid) == pod);
        }
    }
    assert(n == k->by_uid.n);
}

static void know(struct kubelet *k, struct kubelet_pod *pod)
{
    assert(pod->k == k);
    assert(pod->uid.n > 0);
    assert(!kubelet_pod_find(k, pod->uid));
    map_put(&k->by_uid, pod->uid, pod);
    pod->full_name = ARENA_JOIN(pod->arena, pod->ns, SPAN("/"), pod->name);
    kubelet_stop_enter(pod);
}

static void enter(struct kubelet *k, struct kubelet_pod *pod)
{
    know(k, pod);
    pod->same_name = map_put(&k->by_name, pod->full_name, pod);
    pod->predecessor = pod->same_name != NULL;
    verify_pods(k);
}

/* Found when the others of its name are known already: they wait for it. */
static void enter_oldest(struct kubelet *k, struct kubelet_pod *pod)
{
    know(k, pod);
    struct kubelet_pod *other = map_get(&k->by_name, pod->full_name);
    if (!other) {
        map_put(&k->by_name, pod->full_name, pod);
    }
    for (; other; other = other->same_name) {
        other->predecessor = true;
        if (!other->same_name) {
            other->same_name = pod;
            break;
        }
    }
    verify_pods(k);
}

void kubelet_pod_leave(struct kubelet *k, struct kubelet_pod *pod)
{
    struct kubelet_pod *known = map_remove(&k->by_uid, pod->uid);
    assert(known == pod);
    kubelet_stop_leave(pod);
    struct kubelet_pod *other = map_get(&k->by_name, pod->full_name);
    if (other == pod) {
        map_remove(&k->by_name, pod->full_name);
        if (pod->same_name) {
            map_put(&k->by_name, pod->same_name->full_name, pod->same_name);
        }
        return;
    }
    while (other && other->same_name != pod) {
        other = other->same_name;
    }
    assert(other);
    other->same_name = pod->same_name;
}

/* The newest pod of that name. */
static struct kubelet_pod *find_by_name(struct kubelet *k, struct span ns, struct span name)
{
    cleanup_arena struct arena *a = arena_new();
    return map_get(&k->by_name, ARENA_JOIN(a, ns, SPAN("/"), name));
}

static struct kubelet_pod *add_pod(struct kubelet *k, struct object *o)
{
    struct kubelet_pod *pod =
        kubelet_pod_new(k, o, object_uid(o), object_namespace(o), object_name(o));
    enter(k, pod);
    kubelet_pod_poke(pod);
    return pod;
}

void kubelet_pod_gone(struct kubelet *k, struct span ns, struct span name)
{
    struct kubelet_pod *next = find_by_name(k, ns, name);
    while (next && next->same_name) {
        next = next->same_name;
    }
    if (next && next->predecessor) { /* the oldest that is left */
        next->predecessor = false;
        kubelet_pod_poke(next);
    }
    kubelet_stop_advance(k);
}

static void pod_changed(void *data, struct object *old, struct object *now)
{
    struct kubelet *k = data;
    if (!k->adopted) {
        return;
    }
    if (old && (!now || !span_eq(object_uid(old), object_uid(now)))) {
        struct kubelet_pod *pod = kubelet_pod_find(k, object_uid(old));
        if (pod) {
            kubelet_pod_update(pod, NULL);
        }
    }
    if (!now) {
        return;
    }
    struct kubelet_pod *pod = kubelet_pod_find(k, object_uid(now));
    if (pod) {
        kubelet_pod_update(pod, now);
    } else if (!k->stopping) {
        add_pod(k, now);
    }
}

/* ---- adoption ---- */

static bool adopt_one(void *data, struct object *o)
{
    struct kubelet *k = data;
    if (!kubelet_pod_find(k, object_uid(o))) {
        kubelet_pod_adopt(add_pod(k, o), &k->found);
    }
    return true;
}

static void adopt_orphan(struct kubelet *k, struct span uid, struct span ns, struct span name)
{
    if (uid.n == 0 || kubelet_pod_find(k, uid)) {
        return;
    }
    struct kubelet_pod *pod = kubelet_pod_new(k, NULL, uid, ns, name);
    enter_oldest(k, pod);
    kubelet_pod_adopt(pod, &k->found);
    kubelet_pod_poke(pod);
    log_event(LOG_INFO, "kubelet_orphan_pod", LOG_S("uid", uid), LOG_S("name", name));
}

/* Directories of pods that nobody knows any more: "NS_NAME_UID" of logs, "UID" of volumes. */
static void adopt_directories(struct kubelet *k, const char *sub)
{
    struct arena *a cleanup_arena = arena_new();
    struct span path = arena_printf(a, "%.*s/%s", SPAN_ARG(k->options.data_dir), sub);
    DIR *d = opendir(path.p);
    if (!d) {
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct span uid = span_cstr(e->d_name), ns = SPAN_NULL, name = SPAN_NULL;
        if (e->d_name[0] == '.') {
            continue;
        }
        if (span_find(uid, '_') < uid.n) {
            ns = span_cut(&uid, '_');
            name = span_cut(&uid, '_');
        }
        adopt_orphan(k, uid, ns, name);
    }
    (void)closedir(d);
}

static void adopt_all(struct kubelet *k)
{
    if (!k->listed || !k->pods_synced || !k->services_synced || k->adopted) {
        return;
    }
    k->adopted = true;
    assert(k->by_uid.n == 0);
    assert(k->found.arena);
    informer_each(k->pods, adopt_one, k);
    for (size_t i = 0; i < k->found.sandbox_count; i++) {
        const struct runtime_sandbox_status *s = &k->found.sandboxes[i];
        adopt_orphan(k, s->uid, s->ns, s->name);
    }
    for (size_t i = 0; i < k->found.container_count; i++) {
        adopt_orphan(k, k->found.containers[i].sandbox_uid, SPAN_NULL, SPAN_NULL);
    }
    if (!k->options.no_files) {
        adopt_directories(k, "logs");
        adopt_directories(k, "pods");
    }
    arena_free(k->found.arena);
    k->found = (struct kubelet_found){0};
    log_event(LOG_INFO, "kubelet_adopted", LOG_I("pods", k->by_uid.n));
    kubelet_node_go(k->node);
    kubelet_stop_advance(k);
}

static void copy_found(struct kubelet *k, const struct runtime_list_result *r)
{
    struct kubelet_found *f = &k->found;
    struct arena *a = f->arena = arena_new();
    f->sandboxes = ARENA_ARRAY(a, struct runtime_sandbox_status, r->sandbox_count + 1);
    f->containers = ARENA_ARRAY(a, struct runtime_status, r->container_count + 1);
    f->sandbox_count = r->sandbox_count;
    f->container_count = r->container_count;
    for (size_t i = 0; i < r->sandbox_count; i++) {
        struct runtime_sandbox_status *s = &f->sandboxes[i];
        *s = r->sandboxes[i];
        s->uid = arena_dup(a, s->uid);
        s->ns = arena_dup(a, s->ns);
        s->name = arena_dup(a, s->name);
        s->ip = arena_dup(a, s->ip);
    }
    for (size_t i = 0; i < r->container_count; i++) {
        struct runtime_status *s = &f->containers[i];
        *s = r->containers[i];
        s->id = arena_dup(a, s->id);
        s->sandbox_uid = arena_dup(a, s->sandbox_uid);
        s->name = arena_dup(a, s->name);
    }
}

static void on_list(void *data, const struct runtime_list_result *result)
{
    struct list_call *call = data;
    struct kubelet *k = call->k;
    list_remove(&call->link);
    free(call);
    assert(!k->listed);
    copy_found(k, result);
    k->listed = true;
    adopt_all(k);
}

static void on_pods_synced(void *data)
{
    struct kubelet *k = data;
    k->pods_synced = true;
    adopt_all(k);
}

static void on_services_synced(void *data)
{
    struct kubelet *k = data;
    k->services_synced = true;
    adopt_all(k);
}

static void on_exit_event(void *data, const struct runtime_status *status)
{
    struct kubelet *k = data;
    struct kubelet_pod *pod = kubelet_pod_find(k, status->sandbox_uid);
    if (pod) {
        kubelet_pod_exited(pod, status);
        return;
    }
    /* Before adoption: the copied listing learns it. */
    for (size_t i = 0; i < k->found.container_count; i++) {
        struct runtime_status *s = &k->found.containers[i];
        if (span_eq(s->id, status->id)) {
            s->state = RUNTIME_EXITED;
            s->exit_code = status->exit_code;
            s->signal = status->signal;
            s->oom_killed = status->oom_killed;
            s->finished_ms = status->finished_ms;
        }
    }
}

/* ---- life ---- */

static void keep_options(struct kubelet *k, const struct kubelet_options *o)
{
    struct arena *a = k->arena;
    k->options = *o;
    struct span *spans[] = {
        &k->options.data_dir,       &k->options.node_name,       &k->options.node_ip,
        &k->options.cluster_dns,    &k->options.cluster_domain,  &k->options.version,
        &k->options.runtime_scheme, &k->options.runtime_version, &k->options.resolv_conf_path};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        *spans[i] = arena_dup(a, *spans[i]);
    }
    if (k->options.resolv_conf_path.n == 0) {
        k->options.resolv_conf_path = SPAN("/etc/resolv.conf");
    }
    if (k->options.max_pods == 0) {
        k->options.max_pods = 110;
    }
}

struct kubelet *kubelet_new(struct env *env, struct client *client,
                            const struct kubelet_options *options)
{
    assert(options->node_name.n > 0);
    assert(options->runtime != NULL);
    assert(options->images != NULL);
    assert(options->no_files || (options->data_dir.n > 0 && options->data_dir.p[0] == '/'));
    struct kubelet *k = MEM_NEW(struct kubelet);
    k->env = env;
    k->client = client;
    k->runtime = options->runtime;
    k->arena = arena_new();
    keep_options(k, options);
    list_init(&k->sessions);
    k->events = event_recorder_new(client, "kubelet", k->options.node_name);
    list_init(&k->list_calls);
    struct client_request mine = {CLIENT_REQUEST_INIT, .verb = CLIENT_LIST,
                                  .kind = kubelet_kind("", "Pod"),
                                  .field_selector = arena_printf(k->arena, "spec.nodeName=%.*s",
                                                                 SPAN_ARG(k->options.node_name))};
    k->pods = informer_new(client, &mine);
    informer_add_handler(k->pods, &(struct informer_handler){.on_change = pod_changed}, k);
    informer_on_synced(k->pods, on_pods_synced, k);
    struct client_request services = {CLIENT_REQUEST_INIT, .verb = CLIENT_LIST,
                                      .kind = kubelet_kind("", "Service")};
    k->services = informer_new(client, &services); /* read when a container starts */
    informer_on_synced(k->services, on_services_synced, k);
    k->runtime->ops->on_exit(k->runtime, on_exit_event, k);
    struct list_call *call = MEM_NEW(struct list_call);
    call->k = k;
    list_push_back(&k->list_calls, &call->link);
    k->runtime->ops->list(k->runtime, on_list, call);
    k->node = kubelet_node_new(k);
    return k;
}

void kubelet_on_ready(struct kubelet *k, void (*fn)(void *data), void *data)
{
    assert(fn);
    k->ready_fn = fn;
    k->ready_data = data;
}

void kubelet_free(struct kubelet *k)
{
    if (!k) {
        return;
    }
    kubelet_stop_done(k);
    k->closing = true;
    kubelet_sessions_done(k);
    kubelet_usage_free(k->usage);
    struct kubelet_pod *pod = NULL;
    for (size_t it = 0; k->by_uid.n > 0;) {
        pod = map_next(&k->by_uid, &it, NULL);
        if (pod) {
            kubelet_pod_free(pod);
        } else {
            it = 0; /* a removal may move another one back */
        }
    }
    LIST_EACH(l, &k->list_calls)
    {
        struct list_call *call = CONTAINER_OF(l, struct list_call, link);
        list_remove(&call->link);
        free(call); /* the runtime is gone: its answer does not come */
    }
    kubelet_node_free(k->node);
    event_recorder_free(k->events);
    env_post_cancel(k->env, &k->stop_task);
    informer_free(k->pods);
    informer_free(k->services);
    client_cancel(k->client, k);
    assert(k->refs.n == 0);
    map_done(&k->by_uid);
    map_done(&k->by_name);
    map_done(&k->refs);
    arena_free(k->found.arena);
    arena_free(k->arena);
    free(k);
}
