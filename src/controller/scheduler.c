/* controller/scheduler.c: binds pods that have no node (schedulerName default-scheduler) and says
 * why it cannot.
 *
 * Event driven: a pod that fits nowhere is looked at again when a node, a claim or a volume changes
 * or a pod goes; one whom neighbours keep out, also when a pod that its rules are about comes,
 * changes its labels or begins to stop.
 *
 * What each node's pods use is kept up to date by pod events. A pod that is being bound is counted
 * from the decision on (assumed), until its own event shows it on the node or the binding has
 * failed; so is one whose claim needs a node named, until it is looked at again. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "client/client_event.h"
#include "codec/time.h"
#include "controller/reconciler.h"
#include "controller/scheduler_near.h"
#include "plan/host_port.h"
#include "plan/schedule_plan.h"
#include "plan/why_plan.h"
#include "schema/schema.h"

enum {
    PARALLEL = 64,
    /* A fresh claim is bound within milliseconds: nobody needs to be told before this. */
    UNBOUND_QUIET_MS = 1000,
};

struct usage {
    int64_t cpu_milli, memory_bytes, pods;
    struct list with_ports; /* struct placed that have host ports */
    size_t name_n;
    char name[];
};

/* A pod that counts on a node; key: its uid. */
struct placed {
    struct usage *on;
    int64_t cpu_milli, memory_bytes;
    struct host_port *ports; /* NULL: none */
    size_t port_count;
    char *who;        /* with ports: NAMESPACE/NAME */
    struct list link; /* in on->with_ports, if there are any */
    size_t uid_n;
    char uid[];
};

struct waiting {
    struct span ns, name;
    int64_t since_ms;
    bool near; /* neighbours keep it out */
    size_t key_n;
    char key[]; /* NAMESPACE/NAME */
};

struct scheduler {
    struct client *client;
    const struct schema_kind *pod_kind, *claim_kind;
    struct informer *pods, *nodes, *claims, *volumes, *classes, *namespaces;
    struct reconciler *reconciler;
    struct event_recorder *events;
    struct map usage, placed, waiting;
    struct near_index *near; /* NULL until a pod has rules about its neighbours */
    size_t near_waiting;     /* of waiting: those with `near` */
};

/* ---- accounts ---- */

static struct usage *usage_of(struct scheduler *c, struct span node)
{
    struct usage *u = map_get(&c->usage, node);
    if (!u) {
        u = mem_new(sizeof *u + node.n + 1);
        list_init(&u->with_ports);
        u->name_n = node.n;
        memcpy(u->name, node.n ? node.p : "", node.n);
        map_put(&c->usage, span_of(u->name, u->name_n), u);
    }
    return u;
}

/* What each node is said to have is what the pods there have. */
static void verify_usage(const struct scheduler *c)
{
    if (!verify_due(c->placed.n, c->placed.n + c->usage.n)) {
        return;
    }
    int64_t pods = 0, cpu_milli = 0, memory_bytes = 0;
    size_t it = 0;
    for (const struct usage *u; (u = map_next(&c->usage, &it, NULL));) {
        pods += u->pods;
        cpu_milli += u->cpu_milli;
        memory_bytes += u->memory_bytes;
    }
    it = 0;
    for (const struct placed *p; (p = map_next(&c->placed, &it, NULL));) {
        pods--;
        cpu_milli -= p->cpu_milli;
        memory_bytes -= p->memory_bytes;
        assert(map_get(&c->usage, span_of(p->on->name, p->on->name_n)) == p->on);
    }
    assert(pods == 0);
    assert(cpu_milli == 0);
    assert(memory_bytes == 0);
}

static void placed_free(void *value)
{
    struct placed *p = value;
    free(p->ports);
    free(p->who);
    free(p);
}

static void unplace(struct scheduler *c, struct span uid)
{
    struct placed *p = map_remove(&c->placed, uid);
    if (p) {
        p->on->cpu_milli -= p->cpu_milli;
        p->on->memory_bytes -= p->memory_bytes;
        p->on->pods--;
        assert(p->on->pods >= 0);
        if (p->port_count) {
            list_remove(&p->link);
        }
        if (c->near) {
            near_index_remove(c->near, uid);
        }
        placed_free(p);
    }
}

static void take_ports(struct placed *p, struct object *pod)
{
    const yyjson_val *spec = json_get(object_root(pod), "spec");
    if (!host_port_wanted(spec)) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    const struct host_port *ports = NULL;
    assert(!p->ports);
    assert(p->port_count == 0);
    p->port_count = host_ports(a, spec, &ports);
    p->ports = mem_new(p->port_count * sizeof *ports);
    memcpy(p->ports, ports, p->port_count * sizeof *ports);
    struct span who =
        arena_printf(a, "%.*s/%.*s", SPAN_ARG(object_namespace(pod)), SPAN_ARG(object_name(pod)));
    p->who = mem_new(who.n + 1);
    memcpy(p->who, who.p, who.n + 1);
    list_push_back(&p->on->with_ports, &p->link);
}

static bool put_near(void *data, struct object *pod)
{
    struct scheduler *c = data;
    const struct placed *p = map_get(&c->placed, object_uid(pod));
    if (p) {
        near_index_put(c->near, pod, span_of(p->on->name, p->on->name_n));
    }
    return true;
}

/* From the first pod on that has such rules. */
static void follow_neighbours(struct scheduler *c, struct object *pod)
{
    const yyjson_val *spec = json_get(object_root(pod), "spec");
    if (!c->near && (near_pod_has_terms(spec) || near_pod_has_spread(spec))) {
        c->near = near_index_new(c->pods, c->namespaces);
        informer_each(c->pods, put_near, c);
    }
}

static void place(struct scheduler *c, struct object *pod, struct span node)
{
    struct span uid = object_uid(pod);
    unplace(c, uid);
    struct placed *p = mem_new(sizeof *p + uid.n + 1);
    p->on = usage_of(c, node);
    p->cpu_milli = schedule_holds(object_root(pod), "cpu");
    p->memory_bytes = schedule_holds(object_root(pod), "memory");
    p->uid_n = uid.n;
    memcpy(p->uid, uid.n ? uid.p : "", uid.n);
    p->on->cpu_milli += p->cpu_milli;
    p->on->memory_bytes += p->memory_bytes;
    p->on->pods++;
    take_ports(p, pod);
    assert(p->on->pods > 0);
    assert(!map_get(&c->placed, uid));
    map_put(&c->placed, span_of(p->uid, p->uid_n), p);
    verify_usage(c);
    follow_neighbours(c, pod);
    if (c->near) {
        near_index_put(c->near, pod, node);
    }
}

/* ---- pods that wait ---- */

static void wait_add(struct scheduler *c, struct sync *s)
{
    assert(s->name.n > 0);
    cleanup_arena struct arena *a = arena_new();
    struct span key = arena_printf(a, "%.*s/%.*s", SPAN_ARG(s->ns), SPAN_ARG(s->name));
    if (map_get(&c->waiting, key)) {
        return;
    }
    struct waiting *w = mem_new(sizeof *w + key.n + 1);
    w->key_n = key.n;
    memcpy(w->key, key.p, key.n);
    w->ns = span_of(w->key, s->ns.n);
    w->name = span_of(w->key + s->ns.n + 1, s->name.n);
    w->since_ms = s->now_ms;
    map_put(&c->waiting, span_of(w->key, w->key_n), w);
}

static struct waiting *wait_get(struct scheduler *c, struct span ns, struct span name)
{
    cleanup_arena struct arena *a = arena_new();
    return map_get(&c->waiting, arena_printf(a, "%.*s/%.*s", SPAN_ARG(ns), SPAN_ARG(name)));
}

static void wait_remove(struct scheduler *c, struct span ns, struct span name)
{
    struct waiting *w = wait_get(c, ns, name);
    if (w) {
        struct waiting *known = map_remove(&c->waiting, span_of(w->key, w->key_n));
        assert(known == w);
        c->near_waiting -= w->near;
        free(w);
    }
}

static void wait_near(struct scheduler *c, struct waiting *w, bool near)
{
    c->near_waiting += (size_t)near - (size_t)w->near;
    w->near = near;
    assert(c->near_waiting <= c->waiting.n);
}

static void wake(struct scheduler *c, struct span ns)
{
    size_t pos = 0;
    struct waiting *w;
    while ((w = map_next(&c->waiting, &pos, NULL))) {
        if (ns.n == 0 || span_eq(ns, w->ns)) {
            reconciler_add(c->reconciler, w->ns, w->name);
        }
    }
}

/* Of those whom neighbours keep out, the ones that have a rule about this pod, or that it has one
 * about. pod NULL: all. */
static void wake_near(struct scheduler *c, struct object *pod)
{
    if (c->near_waiting == 0) {
        return;
    }
    assert(c->near);
    cleanup_arena struct arena *a = arena_new();
    struct near_pod other = {0};
    if (pod) {
        other = near_index_pod(c->near, pod);
    }
    size_t pos = 0;
    for (struct waiting *w; (w = map_next(&c->waiting, &pos, NULL));) {
        struct object *o = w->near ? informer_get(c->pods, w->ns, w->name) : NULL;
        if (!o) {
            continue;
        }
        struct near_pod waiting = near_index_pod(c->near, o);
        if (!pod || near_concerns(a, &waiting, &other)) {
            reconciler_add(c->reconciler, w->ns, w->name);
        }
    }
}

/* ---- events ---- */

static struct span node_of(struct object *pod)
{
    return json_str(json_path(object_root(pod), "spec", "nodeName", NULL));
}

static bool has_ended(struct object *pod)
{
    struct span phase = json_str(json_path(object_root(pod), "status", "phase", NULL));
    return span_eq_cstr(phase, "Succeeded") || span_eq_cstr(phase, "Failed");
}

static bool is_ours(struct object *pod)
{
    struct span name = json_str(json_path(object_root(pod), "spec", "schedulerName", NULL));
    return name.n == 0 || span_eq_cstr(name, "default-scheduler");
}

static bool is_gated(struct object *pod)
{
    return json_len(json_path(object_root(pod), "spec", "schedulingGates", NULL)) > 0;
}

/* A pod on a node whose spec has changed, which may have been a resize: what it takes is counted
 * anew, and what became free may be enough for others. */
static void recount(struct scheduler *c, struct object *pod)
{
    const struct placed *was = map_get(&c->placed, object_uid(pod));
    assert(was);
    if (json_int(json_path(object_root(pod), "metadata", "generation", NULL), 0) < 2) {
        return;
    }
    int64_t cpu = was->cpu_milli, memory = was->memory_bytes;
    place(c, pod, node_of(pod));
    was = map_get(&c->placed, object_uid(pod));
    if (was->cpu_milli < cpu || was->memory_bytes < memory) {
        wake(c, SPAN_NULL);
    }
}

static bool same_labels(struct object *a, struct object *b)
{
    return json_equal(near_labels(object_root(a)), near_labels(object_root(b)));
}

/* What its neighbours may care about: it has come, goes by another name or begins to stop. */
static void tell_neighbours(struct scheduler *c, struct object *old, struct object *now)
{
    if (!c->near || !now) {
        return;
    }
    const struct placed *p = map_get(&c->placed, object_uid(now));
    bool relabelled = old && !same_labels(old, now);
    if (relabelled && !p && wait_get(c, object_namespace(now), object_name(now))) {
        reconciler_add_object(c->reconciler, now);
    }
    if (!p) {
        return;
    }
    if (relabelled) {
        near_index_put(c->near, now, span_of(p->on->name, p->on->name_n));
        wake_near(c, old);
    }
    if (relabelled || !old || !node_of(old).n ||
        object_is_deleting(old) != object_is_deleting(now)) {
        wake_near(c, now);
    }
}

static void account(struct scheduler *c, struct object *old, struct object *now)
{
    assert(old || now);
    struct object *pod = now ? now : old;
    if (!now || has_ended(now)) {
        unplace(c, object_uid(pod));
        wait_remove(c, object_namespace(pod), object_name(pod));
        if (node_of(pod).n && (!old || !now || !has_ended(old))) {
            wake(c, SPAN_NULL);
        }
        return;
    }
    if (node_of(now).n) {
        if (!old || !node_of(old).n || !map_get(&c->placed, object_uid(now))) {
            place(c, now, node_of(now));
        } else {
            recount(c, now);
        }
        wait_remove(c, object_namespace(now), object_name(now));
    } else if (is_ours(now) && !object_is_deleting(now) && !is_gated(now) &&
               (!old || is_gated(old))) {
        reconciler_add_object(c->reconciler, now);
    }
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    account(data, old, now);
    tell_neighbours(data, old, now);
}

static void on_namespace(void *data, struct object *old, struct object *now)
{
    if (old && now && !same_labels(old, now)) {
        wake_near(data, NULL);
    }
}

static void on_node(void *data, struct object *old, struct object *now)
{
    (void)old;
    if (now) {
        wake(data, SPAN_NULL);
    }
}

static void on_claim(void *data, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    wake(data, object_namespace(o));
}

static void on_volume(void *data, struct object *old, struct object *now)
{
    (void)old;
    if (now) {
        wake(data, SPAN_NULL);
    }
}

/* ---- observing ---- */

struct pod_sync {
    struct scheduler *c;
    struct sync *s;
    struct arena *a;
    struct object *pod;
    yyjson_val *spec;
    struct schedule_view view;
    struct schedule_node *nodes;
    bool unbound_only; /* the obstacle is only a claim that is still being bound */
    struct object
        *wait_claim; /* of a class that waits for its first consumer: needs a node named */
    const struct host_port *ports; /* that the pod asks for */
    size_t port_count;
    struct span port_note; /* who has one of them, of the first node where that is so */
    yyjson_val **volume_terms;
    size_t volume_count;
    struct span target; /* the chosen node */
};

static bool waits_for_consumer(struct pod_sync *x, struct object *claim)
{
    struct span name = json_str(json_path(object_root(claim), "spec", "storageClassName", NULL));
    struct object *class = name.n ? informer_get(x->c->classes, SPAN_NULL, name) : NULL;
    return class && span_eq_cstr(json_get_str(object_root(class), "volumeBindingMode"),
                                 "WaitForFirstConsumer");
}

static void observe_claim(struct pod_sync *x, struct span name)
{
    struct object *claim = informer_get(x->c->claims, x->s->ns, name);
    if (!claim) {
        x->view.obstacle =
            arena_printf(x->a, "persistentvolumeclaim \"%.*s\" not found", SPAN_ARG(name));
        return;
    }
    if (object_is_deleting(claim)) {
        x->view.obstacle =
            arena_printf(x->a, "persistentvolumeclaim \"%.*s\" is being deleted", SPAN_ARG(name));
        return;
    }
    yyjson_val *root = object_root(claim);
    struct span volume = json_str(json_path(root, "spec", "volumeName", NULL));
    bool bound = span_eq_cstr(json_str(json_path(root, "status", "phase", NULL)), "Bound");
    if (volume.n == 0 || !bound) {
        if (waits_for_consumer(x, claim)) {
            x->wait_claim = claim;
        } else {
            struct span why = why_claim(x->a, root);
            x->view.obstacle =
                arena_printf(x->a, "pod has unbound immediate PersistentVolumeClaims: %.*s%s%.*s",
                             SPAN_ARG(name), why.n ? ": " : "", SPAN_ARG(why));
            x->unbound_only = true;
        }
        return;
    }
    struct object *pv = informer_get(x->c->volumes, SPAN_NULL, volume);
    if (!pv) {
        x->view.obstacle =
            arena_printf(x->a, "persistentvolume \"%.*s\" not found", SPAN_ARG(volume));
        x->unbound_only = true; /* its event is on the way */
        return;
    }
    yyjson_val *terms =
        json_path(object_root(pv), "spec", "nodeAffinity", "required", "nodeSelectorTerms", NULL);
    if (terms) {
        x->volume_terms[x->volume_count++] = terms;
    }
}

static void observe_volumes(struct pod_sync *x)
{
    yyjson_val *volumes = json_get(x->spec, "volumes");
    x->volume_terms = ARENA_ARRAY(x->a, yyjson_val *, json_len(volumes) + 1);
    JSON_EACH(it, volumes)
    {
        struct span name = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        if (name.n && (x->view.obstacle.n == 0 || x->unbound_only)) {
            observe_claim(x, name);
        }
    }
}

static bool node_fits_selector(struct pod_sync *x, const yyjson_val *labels, struct span name)
{
    yyjson_val *terms =
        json_path(x->spec, "affinity", "nodeAffinity",
                  "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", NULL);
    return schedule_selector_matches(json_get(x->spec, "nodeSelector"), labels) &&
           (!terms || schedule_terms_match(terms, labels, name));
}

static struct span taint_of(struct pod_sync *x, struct object *node)
{
    yyjson_val *tolerations = json_get(x->spec, "tolerations");
    struct span taint = schedule_untolerated(
        x->a, json_path(object_root(node), "spec", "taints", NULL), tolerations);
    if (taint.n == 0 && !client_condition_true(node, "Ready")) {
        taint = SPAN("node.kubernetes.io/not-ready: ");
    }
    return taint;
}

/* Who has which of them, as a sentence; empty: nobody. */
static struct span ports_taken(const struct pod_sync *x, const struct usage *u)
{
    LIST_EACH(l, &u->with_ports)
    {
        const struct placed *p = CONTAINER_OF(l, struct placed, link);
        for (size_t i = 0; i < x->port_count; i++) {
            if (host_ports_clash(&x->ports[i], 1, p->ports, p->port_count)) {
                return arena_printf(x->a, "Pod %s has host port %u of node %.*s.", p->who,
                                    x->ports[i].port, SPAN_ARG(span_of(u->name, u->name_n)));
            }
        }
    }
    return SPAN_NULL;
}

static bool observe_node(void *data, struct object *node)
{
    struct pod_sync *x = data;
    assert(x->nodes);
    struct schedule_node *n = &x->nodes[x->view.node_count++];
    yyjson_val *root = object_root(node), *can = json_path(root, "status", "allocatable", NULL);
    yyjson_val *labels = json_path(root, "metadata", "labels", NULL);
    yyjson_val *tolerations = json_get(x->spec, "tolerations");
    n->name = object_name(node);
    n->labels = labels;
    n->unschedulable = json_get_bool(json_get(root, "spec"), "unschedulable", false) &&
                       !schedule_tolerates(tolerations, SPAN("node.kubernetes.io/unschedulable"),
                                           SPAN(""), SPAN("NoSchedule"));
    n->taint = taint_of(x, node);
    n->shunned = schedule_shunned(json_path(root, "spec", "taints", NULL), tolerations);
    n->selector_fits = node_fits_selector(x, labels, n->name);
    yyjson_val *liked = json_path(x->spec, "affinity", "nodeAffinity",
                                  "preferredDuringSchedulingIgnoredDuringExecution", NULL);
    n->preference = schedule_preference(liked, labels, n->name);
    n->volumes_reachable = true;
    for (size_t i = 0; i < x->volume_count; i++) {
        n->volumes_reachable &= schedule_terms_match(x->volume_terms[i], labels, n->name);
    }
    n->cpu_milli = schedule_quantity(json_get(can, "cpu"), true);
    n->memory_bytes = schedule_quantity(json_get(can, "memory"), false);
    n->pods = json_get(can, "pods") ? schedule_quantity(json_get(can, "pods"), false) : 110;
    struct usage *u = map_get(&x->c->usage, n->name);
    if (u) {
        n->used_cpu_milli = u->cpu_milli;
        n->used_memory_bytes = u->memory_bytes;
        n->used_pods = u->pods;
        struct span taken = x->port_count > 0 ? ports_taken(x, u) : SPAN_NULL;
        n->ports_taken = taken.n > 0;
        x->port_note = x->port_note.n ? x->port_note : taken;
    }
    return true;
}

static int by_node_name(const void *a, const void *b)
{
    return span_cmp(((const struct schedule_node *)a)->name,
                    ((const struct schedule_node *)b)->name);
}

static void observe(struct pod_sync *x)
{
    x->view.cpu_milli = schedule_request(x->spec, "cpu");
    x->view.memory_bytes = schedule_request(x->spec, "memory");
    x->port_count = host_ports(x->a, x->spec, &x->ports);
    observe_volumes(x);
    x->nodes = ARENA_ARRAY(x->a, struct schedule_node, informer_count(x->c->nodes) + 1);
    informer_each(x->c->nodes, observe_node, x);
    qsort(x->nodes, x->view.node_count, sizeof *x->nodes, by_node_name);
    assert(x->view.node_count <= informer_count(x->c->nodes));
    x->view.nodes = x->nodes;
    follow_neighbours(x->c, x->pod);
    if (x->c->near) {
        x->view.near = near_index_view(x->c->near, x->a, x->pod, x->nodes, x->view.node_count);
    }
}

/* ---- acting ---- */

static bool on_bound(struct sync *s, void *data, const struct client_reply *reply)
{
    struct pod_sync *x = data;
    assert(x->pod);
    if (reply->err.reason != ERR_NONE) {
        struct object *now = informer_get(x->c->pods, s->ns, s->name);
        if (!now || node_of(now).n == 0 || !span_eq(object_uid(now), object_uid(x->pod))) {
            unplace(x->c, object_uid(x->pod));
            wake(x->c, SPAN_NULL); /* it may have been in somebody's way */
        }
        return reply->err.reason == ERR_NOT_FOUND;
    }
    event_record(x->c->events, x->c->pod_kind, x->pod, EVENT_NORMAL, "Scheduled",
                 "Successfully assigned %.*s/%.*s to %.*s", SPAN_ARG(x->s->ns),
                 SPAN_ARG(x->s->name), SPAN_ARG(x->target));
    return true;
}

static void bind_pod(struct pod_sync *x, struct span node)
{
    assert(node.n > 0);
    assert(x->s->name.n > 0);
    struct client_body b = {.arena = x->a, .doc = json_mut_new(x->a)};
    b.root = yyjson_mut_obj(b.doc);
    json_put_str(b.doc, b.root, "kind", SPAN("Binding"));
    json_put_str(b.doc, b.root, "apiVersion", SPAN("v1"));
    b.meta = json_mut_obj(b.doc, b.root, "metadata");
    json_put_str(b.doc, b.meta, "name", x->s->name);
    json_put_str(b.doc, b.meta, "namespace", x->s->ns);
    json_put_str(b.doc, b.meta, "uid", object_uid(x->pod));
    yyjson_mut_val *target = client_body_obj(&b, "target");
    json_put_str(b.doc, target, "kind", SPAN("Node"));
    json_put_str(b.doc, target, "apiVersion", SPAN("v1"));
    json_put_str(b.doc, target, "name", node);
    struct client_request rq = client_request_for(CLIENT_CREATE, x->c->pod_kind, x->pod);
    rq.subresource = SPAN("binding");
    rq.body = client_body_text(&b);
    place(x->c, x->pod, node);
    wait_remove(x->c, x->s->ns, x->s->name);
    wake_near(x->c, x->pod);
    sync_do(x->s, &rq, NULL, on_bound, x);
}

/* The node for a claim that waits for its first consumer; its binding wakes the pod. */
static void select_node(struct pod_sync *x, struct span node)
{
    assert(node.n > 0);
    assert(!object_is_deleting(x->wait_claim));
    struct client_body b = client_patch_new(x->a, x->wait_claim);
    json_put_str(b.doc, json_mut_obj(b.doc, b.meta, "annotations"),
                 "volume.kubernetes.io/selected-node", node);
    struct client_request rq =
        client_request_for(CLIENT_PATCH_MERGE, x->c->claim_kind, x->wait_claim);
    rq.body = client_body_text(&b);
    wait_add(x->c, x->s);
    place(x->c, x->pod, node); /* others must not choose as if it were not to come */
    struct span is =
        json_get_str(json_path(object_root(x->wait_claim), "metadata", "annotations", NULL),
                     "volume.kubernetes.io/selected-node");
    if (!span_eq(is, node)) {
        sync_do(x->s, &rq, x->c->claims, NULL, NULL);
    }
}

static void write_condition(struct pod_sync *x, struct span message)
{
    assert(message.n > 0);
    yyjson_val *was = client_condition(x->pod, "PodScheduled");
    if (span_eq_cstr(json_get_str(was, "status"), "False") &&
        span_eq(json_get_str(was, "message"), message)) {
        return;
    }
    struct client_body b = client_patch_new(x->a, x->pod);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc), *c = yyjson_mut_obj(b.doc);
    JSON_EACH(it, json_path(object_root(x->pod), "status", "conditions", NULL))
    {
        if (it.val != was) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
        }
    }
    json_put_str(b.doc, c, "type", SPAN("PodScheduled"));
    json_put_str(b.doc, c, "status", SPAN("False"));
    json_put_str(b.doc, c, "lastTransitionTime", time_format(x->a, x->s->now_ms));
    json_put_str(b.doc, c, "reason", SPAN("Unschedulable"));
    json_put_str(b.doc, c, "message", message);
    yyjson_mut_arr_append(list, c);
    json_put(b.doc, client_body_obj(&b, "status"), "conditions", list);
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, x->c->pod_kind, x->pod);
    rq.subresource = SPAN("status");
    rq.body = client_body_text(&b);
    sync_do(x->s, &rq, x->c->pods, NULL, NULL);
    event_record(x->c->events, x->c->pod_kind, x->pod, EVENT_WARNING, "FailedScheduling", "%.*s",
                 SPAN_ARG(message));
}

static void refuse(struct pod_sync *x, struct span message, bool near)
{
    wait_add(x->c, x->s);
    struct waiting *w = wait_get(x->c, x->s->ns, x->s->name);
    assert(w);
    assert(message.n > 0);
    wait_near(x->c, w, near);
    int64_t waited = x->s->now_ms - w->since_ms;
    if (x->unbound_only && waited >= 0 && waited < UNBOUND_QUIET_MS) {
        sync_after(x->s, UNBOUND_QUIET_MS - waited);
        return;
    }
    write_condition(x, message);
}

static void unref_object(void *data)
{
    object_unref(data);
}

static void run(struct sync *s)
{
    struct scheduler *c = s->controller;
    struct object *pod = informer_get(c->pods, s->ns, s->name);
    if (!pod || node_of(pod).n || object_is_deleting(pod) || has_ended(pod)) {
        wait_remove(c, s->ns, s->name);
        return;
    }
    arena_on_clear(s->arena, unref_object, object_ref(pod));
    struct pod_sync *x = ARENA_NEW(s->arena, struct pod_sync);
    *x = (struct pod_sync){.c = c, .s = s, .a = s->arena, .pod = pod};
    x->spec = json_get(object_root(pod), "spec");
    bool reserved = map_get(&c->placed, object_uid(pod)) != NULL;
    unplace(c, object_uid(pod));
    observe(x);
    struct schedule_plan plan = schedule_plan(x->a, &x->view);
    if (!plan.fits) {
        if (reserved) {
            wake(c, SPAN_NULL);
        }
        refuse(x,
               x->port_note.n
                   ? arena_printf(x->a, "%.*s %.*s", SPAN_ARG(plan.message), SPAN_ARG(x->port_note))
                   : plan.message,
               plan.near);
    } else if (x->wait_claim) {
        select_node(x, x->nodes[plan.node].name);
    } else {
        x->target = arena_dup(x->a, x->nodes[plan.node].name);
        bind_pod(x, x->target);
    }
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    struct scheduler *c = MEM_NEW(struct scheduler);
    c->client = place->client;
    c->pod_kind = schema_kind_find("", "Pod");
    c->claim_kind = schema_kind_find("", "PersistentVolumeClaim");
    assert(c->pod_kind);
    assert(c->claim_kind);
    c->pods = informer_set_get(place->informers, c->pod_kind);
    c->claims = informer_set_get(place->informers, c->claim_kind);
    c->nodes = informer_set_find(place->informers, "", "Node");
    c->volumes = informer_set_find(place->informers, "", "PersistentVolume");
    c->classes = informer_set_find(place->informers, "storage.k8s.io", "StorageClass");
    c->namespaces = informer_set_find(place->informers, "", "Namespace");
    c->reconciler = reconciler_new(place, "default-scheduler", PARALLEL, run, c);
    c->events = event_recorder_new(place->client, "default-scheduler", SPAN_NULL);
    static const struct informer_handler pods = {on_pod}, nodes = {on_node}, claims = {on_claim},
                                         volumes = {on_volume}, namespaces = {on_namespace};
    reconciler_follow(c->reconciler, c->pods, &pods, c);
    reconciler_follow(c->reconciler, c->nodes, &nodes, c);
    reconciler_follow(c->reconciler, c->claims, &claims, c);
    reconciler_follow(c->reconciler, c->volumes, &volumes, c);
    reconciler_follow(c->reconciler, c->namespaces, &namespaces, c);
    return c;
}

static void end(void *controller)
{
    struct scheduler *c = controller;
    reconciler_free(c->reconciler);
    event_recorder_free(c->events);
    map_done_values(&c->placed, placed_free);
    map_done_values(&c->usage, free);
    map_done_values(&c->waiting, free);
    near_index_free(c->near);
    free(c);
}

const struct controller_type controller_scheduler = {make, end};
