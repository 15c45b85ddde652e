/* sim/ranks.c: see ranks.h. A scheduler decides by a view that is a little old: what may have been
 * so within it is allowed. */
#include "sim/ranks.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/client_body.h"
#include "codec/quantity.h"
#include "plan/schedule_plan.h"
#include "schema/kinds.h"
#include "schema/status.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"

enum {
    NODE_CPU = 4000, /* thousandths; see kubelet's made-up node */
    /* A pod whose resize waits holds what it had, and not what its spec says. */
    RESIZES = 20,
    BIG_PODS = 4,
};

#define BUDGET_KEY SPAN("poddisruptionbudgets.policy/default/redis")

struct grade {
    const char *name;
    int value;
    const char *policy;
};

static const struct grade classes[] = {{"least", -100, "PreemptLowerPriority"},
                                       {"high", 1000, "PreemptLowerPriority"},
                                       {"patient", 1000, "Never"}};
enum { CLASSES = sizeof classes / sizeof *classes };

/* A pod that asks for processor time. */
struct ranked {
    char uid[40], name[40];
    int node; /* -1: none yet */
    int64_t priority, cpu;
    bool never; /* it only waits */
    bool is_big, has_budget;
    int64_t bound_ms, deleting_ms, left_ms; /* 0: not */
    int nominated;                          /* -1: to no node */
    int64_t nominated_ms;
    int64_t preempted_ms; /* the scheduler has asked for its end; 0: no, or in vain */
    int64_t robbed_ms;    /* its room was given to another; 0: no */
};

struct ranks {
    VEC(struct ranked) pods;
    int64_t nodes_ms; /* one came, went or changed last */
    int64_t spent_ms; /* the budget allows nothing since then; 0: it does, or there is none */
    int tidied;
};

/* ---- users ---- */

static bool has_class(const struct platform *w, const struct grade *c)
{
    struct arena *a cleanup_arena = arena_new_small();
    return w->env && watch_hub_get(w->hub, object_key(a, SPAN("priorityclasses.scheduling.k8s.io"),
                                                      SPAN_NULL, span_cstr(c->name)));
}

static void make_class(struct platform *w, const struct grade *c)
{
    struct arena *a cleanup_arena = arena_new();
    sim_ask(w, SIM_DEED_CLASS, CLIENT_CREATE, SCHEMA_KIND(PriorityClass), SPAN_NULL,
            arena_printf(a,
                         "{\"kind\":\"PriorityClass\",\"apiVersion\":\"scheduling.k8s.io/v1\","
                         "\"metadata\":{\"name\":\"%s\"},\"value\":%d,\"preemptionPolicy\":\"%s\"}",
                         c->name, c->value, c->policy));
}

const char *ranks_class(struct platform *w)
{
    return w->ranks && has_class(w, &classes[1]) && sim_roll(w, 2)
               ? ",\"priorityClassName\":\"high\""
               : "";
}

/* As many as a set has fit on two nodes, with the smaller ones of the other. */
const char *ranks_size(struct platform *w)
{
    return w->ranks && sim_roll(w, 3) == 0 ? ",\"resources\":{\"requests\":{\"cpu\":\"1300m\"}}"
                                           : "";
}

static void make_big(struct platform *w, int n, const struct grade *c)
{
    static const int cpus[] = {1300, 2600, 3970, 3990};
    struct arena *a cleanup_arena = arena_new();
    struct span class = c ? arena_printf(a, ",\"priorityClassName\":\"%s\"", c->name) : SPAN("");
    if (c && !has_class(w, c)) {
        make_class(w, c);
    }
    sim_ask(
        w, SIM_DEED_BIG, CLIENT_CREATE, SCHEMA_KIND(Pod), SPAN_NULL,
        arena_printf(a,
                     "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"big-%d\","
                     "\"annotations\":{\"berth.dev/fake-stop-ms\":\"%d\"}},\"spec\":{"
                     "\"terminationGracePeriodSeconds\":3%.*s,\"containers\":[{\"name\":\"one\","
                     "\"image\":\"one:1\",\"resources\":{\"requests\":{\"cpu\":\"%dm\"}}}]}}",
                     n, (int)sim_roll(w, sim_roll(w, 2) ? 500 : 6000), SPAN_ARG(class),
                     cpus[sim_roll(w, sizeof cpus / sizeof *cpus)]));
}

static void change_class(struct platform *w)
{
    const struct grade *c = &classes[sim_roll(w, CLASSES)];
    if (has_class(w, c)) {
        sim_ask(w, SIM_DEED_CLASS, CLIENT_DELETE, SCHEMA_KIND(PriorityClass), span_cstr(c->name),
                SPAN_NULL);
    } else {
        make_class(w, c);
    }
}

/* The next one comes, or goes. Mostly the first fill a node, and the last, more important, wants
 * its place. */
static void change_big(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    int n = w->ranks_left + w->ranks_first;
    struct span name = arena_printf(a, "big-%d", n % BIG_PODS);
    if (record_get(w->record, object_key(a, SPAN("pods"), SPAN("default"), name))) {
        sim_ask(w, SIM_DEED_BIG, CLIENT_DELETE, SCHEMA_KIND(Pod), name, SPAN_NULL);
    } else {
        bool usual = sim_roll(w, 2); /* the last one is important, the others are not */
        size_t which = usual ? w->ranks_left == 0 : (size_t)sim_roll(w, CLASSES + 1);
        make_big(w, n % BIG_PODS, which < CLASSES ? &classes[which] : NULL);
    }
}

void ranks_act(struct platform *w)
{
    if (sim_roll(w, 8) == 0) {
        change_class(w);
        return;
    }
    w->ranks_first = (int)sim_roll(w, BIG_PODS);
    w->ranks_left = 2 + (int)sim_roll(w, 3);
    (void)ranks_go_on(w);
}

bool ranks_go_on(struct platform *w)
{
    if (w->ranks_left == 0 || sim_roll(w, 4) == 0) {
        return false;
    }
    w->ranks_left--;
    record_pull(w->record);
    change_big(w);
    return true;
}

/* ---- what is known of them ---- */

bool ranks_is_big(struct object *pod)
{
    return span_starts(object_store_key(pod), SPAN("pods/default/big-"));
}

bool ranks_has_big(const struct platform *w, struct span node)
{
    int at = sim_node_called(w, node);
    for (size_t i = 0; w->ranks && i < w->ranks->pods.n; i++) {
        const struct ranked *p = &w->ranks->pods.at[i];
        if (p->is_big && p->node == at && !p->left_ms) {
            return true;
        }
    }
    return false;
}

static int64_t cpu_of(const yyjson_val *spec)
{
    int64_t sum = 0;
    JSON_EACH(it, json_get(spec, "containers"))
    {
        struct quantity q;
        if (!quantity_parse(json_str(json_path(it.val, "resources", "requests", "cpu", NULL)),
                            &q)) {
            sum += quantity_millis(&q);
        }
    }
    return sum;
}

static bool left_long_ago(const struct platform *w, const struct ranked *p)
{
    return p->left_ms && p->left_ms < sim_long_ago_ms(w);
}

/* The entry of a pod; NULL: none. Those that left long ago are forgotten. */
static struct ranked *find(struct platform *w, struct span uid)
{
    struct ranked *found = NULL;
    for (size_t i = w->ranks->pods.n; i-- > 0;) {
        if (left_long_ago(w, &w->ranks->pods.at[i])) {
            VEC_REMOVE(&w->ranks->pods, i);
        }
    }
    for (size_t i = 0; i < w->ranks->pods.n && !found; i++) {
        found = span_eq_cstr(uid, w->ranks->pods.at[i].uid) ? &w->ranks->pods.at[i] : NULL;
    }
    return found;
}

static struct ranked *add(struct platform *w, struct object *pod, int64_t cpu)
{
    const yyjson_val *spec = json_get(object_root(pod), "spec");
    struct span app = json_str(json_path(object_root(pod), "metadata", "labels", "app", NULL));
    struct ranked p = {.node = -1,
                       .nominated = -1,
                       .cpu = cpu,
                       .priority = json_get_int(spec, "priority", 0),
                       .never = span_eq_cstr(json_get_str(spec, "preemptionPolicy"), "Never"),
                       .is_big = ranks_is_big(pod),
                       .has_budget = span_eq_cstr(app, "redis")};
    (void)snprintf(p.uid, sizeof p.uid, "%.*s", SPAN_ARG(object_uid(pod)));
    (void)snprintf(p.name, sizeof p.name, "%.*s", SPAN_ARG(object_name(pod)));
    VEC_PUSH(&w->ranks->pods, p);
    return &w->ranks->pods.at[w->ranks->pods.n - 1];
}

/* ---- room ---- */

/* The scheduler has sent it away; a server that died since then may not have done it. */
static bool is_preempted(const struct platform *w, const struct ranked *p)
{
    return p->preempted_ms && (p->deleting_ms || p->preempted_ms > w->killed_ms);
}

/* What others may have on the node by any view of late; who has no node yet may be meant to go
 * there. stays, or NULL: apart from this one those of lower priority do not count whom the
 * scheduler has sent away, or who stop since long ago. */
static int64_t most_used(const struct platform *w, int node, const struct ranked *me,
                         const struct ranked *stays)
{
    int64_t sum = 0;
    for (size_t i = 0; i < w->ranks->pods.n; i++) {
        const struct ranked *q = &w->ranks->pods.at[i];
        bool goes = stays && q != stays && q->priority < me->priority &&
                    (is_preempted(w, q) || (q->deleting_ms && q->deleting_ms < sim_long_ago_ms(w)));
        if (q != me && !left_long_ago(w, q) && !goes && (q->node == node || q->node < 0)) {
            sum += q->cpu;
        }
    }
    return sum;
}

/* What those of at least this priority have on the node by every view. */
static int64_t least_used(const struct platform *w, int node, const struct ranked *me,
                          int64_t priority)
{
    int64_t sum = 0;
    for (size_t i = 0; i < w->ranks->pods.n; i++) {
        const struct ranked *q = &w->ranks->pods.at[i];
        if (q != me && q->node == node && !q->left_ms && q->bound_ms < sim_long_ago_ms(w) &&
            q->priority >= priority) {
            sum += q->cpu;
        }
    }
    return sum;
}

/* Ready, with no taint, for as long as any view is old. */
static bool is_open(const struct platform *w, int node)
{
    struct arena *a cleanup_arena = arena_new_small();
    struct object *o = record_get(
        w->record, object_key(a, SPAN("nodes"), SPAN_NULL, span_cstr(w->nodes[node].name)));
    const yyjson_val *spec = o ? json_get(object_root(o), "spec") : NULL;
    return o && client_condition_true(o, "Ready") && json_len(json_get(spec, "taints")) == 0 &&
           !json_get_bool(spec, "unschedulable", false) && w->ranks->nodes_ms < sim_long_ago_ms(w);
}

/* By some view of late there is room on a node where none was being made: it is to be bound there,
 * which may take some attempts. */
static bool may_go_elsewhere(const struct platform *w, const struct ranked *p)
{
    bool unknown = w->ranks->nodes_ms >= sim_long_ago_ms(w);
    for (int i = 0; i < NODES; i++) {
        if (i != p->nominated && (unknown || is_open(w, i)) &&
            p->cpu + least_used(w, i, p, INT32_MIN) <= NODE_CPU) {
            return true;
        }
    }
    return false;
}

/* ---- a pod is sent away ---- */

static bool fits_elsewhere(const struct platform *w, const struct ranked *p)
{
    for (int i = 0; i < NODES && p->is_big; i++) {
        if (is_open(w, i) && p->cpu + most_used(w, i, p, NULL) <= NODE_CPU - RESIZES) {
            return true;
        }
    }
    return false;
}

static bool is_guarded(const struct platform *w, const struct ranked *p)
{
    return p->has_budget && w->ranks->spent_ms && w->ranks->spent_ms < sim_long_ago_ms(w);
}

/* There would be room for it there without those whom no budget protects. */
static bool has_another_way(const struct platform *w, const struct ranked *p, int node)
{
    int64_t rest = p->cpu + most_used(w, node, p, NULL);
    for (size_t i = 0; i < w->ranks->pods.n; i++) {
        const struct ranked *q = &w->ranks->pods.at[i];
        bool may_go = q->node == node && !q->left_ms && q->bound_ms < sim_long_ago_ms(w) &&
                      q->priority < p->priority && !q->has_budget;
        rest -= may_go ? q->cpu : 0;
    }
    return rest <= NODE_CPU - RESIZES;
}

static bool spares_guarded(const struct platform *w, const struct ranked *p, const struct ranked *v)
{
    bool other = has_another_way(w, p, v->node);
    for (int i = 0; i < NODES && p->is_big && !other; i++) {
        other = is_open(w, i) && has_another_way(w, p, i);
    }
    return is_guarded(w, v) && other;
}

/* NULL: the victim goes for a good reason, or has gone; else the checker. */
static const char *judge(struct platform *w, const struct ranked *v)
{
    const char *why = "preempted";
    for (size_t i = 0; i < w->ranks->pods.n; i++) {
        const struct ranked *p = &w->ranks->pods.at[i];
        bool waited = p->node < 0 || p->bound_ms >= sim_long_ago_ms(w);
        if (p->priority <= v->priority || p->never || !waited || left_long_ago(w, p) ||
            p->cpu + least_used(w, v->node, p, p->priority) > NODE_CPU + RESIZES ||
            fits_elsewhere(w, p)) {
            continue;
        }
        bool needed = p->cpu + most_used(w, v->node, p, v) > NODE_CPU - RESIZES;
        if (needed && !spares_guarded(w, p, v)) {
            return NULL;
        }
        why = needed ? "guarded" : "needless";
    }
    return why;
}

static bool is_preemption(const struct client_request *rq)
{
    return rq->verb == CLIENT_DELETE && rq->kind == SCHEMA_KIND(Pod) &&
           span_eq_cstr(rq->field_manager, "default-scheduler");
}

void ranks_on_request(struct platform *w, const struct client_request *rq)
{
    if (!w->ranks || !is_preemption(rq)) {
        return;
    }
    struct arena *a cleanup_arena = arena_new_small();
    struct object *pod = record_get(w->record, object_key(a, SPAN("pods"), rq->ns, rq->name));
    if (!pod || !span_eq(object_uid(pod), rq->precondition_uid) || object_is_deleting(pod)) {
        return; /* meant for one that is gone, or is going */
    }
    struct ranked *v = find(w, object_uid(pod));
    /* Not for its room: for its port, or as a neighbour that another must not have. */
    bool otherwise = sim_has_host_port(pod) || span_starts(rq->name, SPAN("db-"));
    const char *why = rq->grace_s >= 0 ? "graceful"
                      : otherwise      ? NULL
                      : !v             ? "needless"
                                       : judge(w, v);
    sim_saw(w, SIM_DEED_SAW_PREEMPTED);
    sim_say(w, "    the scheduler sends %.*s away", SPAN_ARG(rq->name));
    if (why) {
        sim_fail(w, why, "%.*s is sent away", SPAN_ARG(rq->name));
    }
    if (v) {
        v->preempted_ms = sim_now_ms(w);
    }
}

void ranks_on_refused(struct platform *w, const struct client_request *rq)
{
    struct ranked *v = w->ranks && is_preemption(rq) ? find(w, rq->precondition_uid) : NULL;
    if (v) {
        v->preempted_ms = 0;
    }
}

/* ---- a pod is bound ---- */

/* Who has lost the room that was kept for it; it counts when that is still so in a while: the word
 * that it goes elsewhere, or has given up, may be on its way. */
static void check_kept(struct platform *w, const struct ranked *q)
{
    for (size_t i = 0; i < w->ranks->pods.n; i++) {
        struct ranked *p = &w->ranks->pods.at[i];
        if (p->node < 0 && !p->left_ms && !p->deleting_ms && p->nominated == q->node &&
            p->nominated_ms < sim_long_ago_ms(w) && p->priority >= q->priority) {
            sim_saw(w, SIM_DEED_SAW_KEPT);
            if (p->cpu + q->cpu + least_used(w, q->node, q, INT32_MIN) > NODE_CPU + RESIZES) {
                p->robbed_ms = sim_now_ms(w);
            }
        }
    }
}

static void check_binding(struct platform *w, const struct ranked *q)
{
    int64_t used = 0;
    for (size_t i = 0; i < w->ranks->pods.n; i++) {
        const struct ranked *p = &w->ranks->pods.at[i];
        used += p->node == q->node && !p->left_ms ? p->cpu : 0;
    }
    /* What a scheduler that died had asked for is done behind the back of the next. */
    if (w->controllers_ms >= sim_long_ago_ms(w) || w->forgotten_ms == sim_now_ms(w)) {
        return;
    }
    if (used > NODE_CPU + RESIZES) {
        sim_fail(w, "overcommitted", "%s is bound to %s, which is asked for %lldm of %dm then",
                 q->name, w->nodes[q->node].name, (long long)used, NODE_CPU);
    }
    check_kept(w, q);
}

static void on_pod(struct platform *w, struct object *pod, bool is_gone)
{
    const yyjson_val *spec = json_get(object_root(pod), "spec"),
                     *status = json_get(object_root(pod), "status");
    int64_t cpu = cpu_of(spec), now_ms = sim_now_ms(w);
    struct ranked *p = find(w, object_uid(pod));
    if (!p && (cpu == 0 || is_gone)) {
        return;
    }
    p = p ? p : add(w, pod, cpu);
    p->cpu = cpu;
    bool left = is_gone || status_pod_ended(object_root(pod));
    p->left_ms = p->left_ms || !left ? p->left_ms : now_ms;
    p->deleting_ms = p->deleting_ms || !object_is_deleting(pod) ? p->deleting_ms : now_ms;
    int nominated = sim_node_called(w, json_get_str(status, "nominatedNodeName"));
    if (nominated != p->nominated) {
        p->nominated = nominated;
        p->nominated_ms = now_ms;
        p->robbed_ms = 0;
    }
    int node = sim_node_called(w, json_get_str(spec, "nodeName"));
    if (node >= 0 && p->node < 0) {
        p->node = node;
        p->bound_ms = now_ms;
        check_binding(w, p);
    }
}

static void on_budget(struct platform *w, struct object *now)
{
    const yyjson_val *status = now ? json_get(object_root(now), "status") : NULL;
    bool spent = json_get_int(status, "disruptionsAllowed", -1) == 0;
    w->ranks->spent_ms = !spent ? 0 : w->ranks->spent_ms ? w->ranks->spent_ms : sim_now_ms(w);
}

static void see_pod(void *data, struct object *pod)
{
    on_pod(data, pod, false);
}

static void begin(struct platform *w)
{
    w->ranks = MEM_NEW(struct ranks);
    w->ranks->nodes_ms = sim_now_ms(w);
    record_each(w->record, SPAN("pods"), see_pod, w);
    on_budget(w, record_get(w->record, BUDGET_KEY));
}

void ranks_on_change(struct platform *w, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    struct span key = object_store_key(o);
    if (!w->ranks) {
        if (now && ranks_is_big(now)) {
            begin(w);
        }
        return;
    }
    if (span_starts(key, SPAN("nodes/")) &&
        (!old || !now || schedule_node_differs(object_root(old), object_root(now)))) {
        w->ranks->nodes_ms = sim_now_ms(w);
    } else if (span_eq(key, BUDGET_KEY)) {
        on_budget(w, now);
    } else if (span_starts(key, SPAN("pods/"))) {
        on_pod(w, o, !now);
    }
}

void ranks_look(struct platform *w)
{
    for (size_t i = 0; w->ranks && i < w->ranks->pods.n; i++) {
        struct ranked *p = &w->ranks->pods.at[i];
        if (sim_is_hindered(w) || p->node >= 0 || p->left_ms || p->deleting_ms ||
            (p->robbed_ms && may_go_elsewhere(w, p))) {
            p->robbed_ms = 0;
        } else if (p->robbed_ms && p->robbed_ms < sim_long_ago_ms(w)) {
            sim_fail(w, "kept-room", "the room of %s on %s is given to another", p->name,
                     w->nodes[p->nominated].name);
        }
    }
}

/* ---- at rest ---- */

static void see_user_of_class(void *data, struct object *o)
{
    *(bool *)data |= span_eq_cstr(
        json_str(json_path(object_root(o), "spec", "template", "spec", "priorityClassName", NULL)),
        classes[1].name);
}

void ranks_tidy_up(struct platform *w)
{
    bool wanted = false;
    if (!w->ranks) {
        return;
    }
    record_each(w->record, SPAN("statefulsets.apps"), see_user_of_class, &wanted);
    if (wanted && !has_class(w, &classes[1])) {
        make_class(w, &classes[1]);
    }
    for (size_t i = w->ranks->pods.n; w->ranks->tidied > 0 && i-- > 0;) {
        const struct ranked *p = &w->ranks->pods.at[i];
        if (p->is_big && !p->left_ms && p->priority > classes[0].value) {
            struct arena *a cleanup_arena = arena_new();
            sim_ask(w, SIM_DEED_BIG, CLIENT_DELETE, SCHEMA_KIND(Pod),
                    arena_dup(a, span_cstr(p->name)), SPAN_NULL);
            i = i < w->ranks->pods.n ? i : w->ranks->pods.n;
        }
    }
    w->ranks->tidied++;
}

static const char *wait_at_rest(const struct platform *w, const struct ranked *p)
{
    for (int i = 0; i < NODES; i++) {
        int64_t used = 0, lower = 0;
        for (size_t k = 0; k < w->ranks->pods.n; k++) {
            const struct ranked *q = &w->ranks->pods.at[k];
            used += q->node == i && !q->left_ms ? q->cpu : 0;
            lower += q->node == i && !q->left_ms && q->priority < p->priority ? q->cpu : 0;
        }
        if (p->cpu + used <= NODE_CPU) {
            return "a pod waits, and there is room";
        }
        if (!p->never && p->cpu + used - lower <= NODE_CPU) {
            return "a pod waits, and nobody gives way";
        }
    }
    return p->nominated >= 0 ? "a pod waits for room that nobody makes" : NULL;
}

const char *ranks_at_rest(struct platform *w)
{
    const char *why = NULL;
    for (size_t i = 0; w->ranks && i < w->ranks->pods.n && !why; i++) {
        const struct ranked *p = &w->ranks->pods.at[i];
        why = p->is_big && p->node < 0 && !p->left_ms ? wait_at_rest(w, p) : NULL;
    }
    return why;
}

void ranks_free(struct ranks *r)
{
    if (r) {
        VEC_DONE(&r->pods);
        free(r);
    }
}
