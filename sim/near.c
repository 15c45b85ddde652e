/* sim/near.c: see near.h. */
#include "sim/near.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/client_body.h"
#include "schema/status.h"
#include "sim/platform_priv.h"

#define OF_NODE                                                                                    \
    "\"topologyKey\":\"kubernetes.io/hostname\",\"labelSelector\":{\"matchLabels\":{\"app\":"      \
    "\"db\"}}"

/* A pod with rules about its neighbours, on a node. */
struct placed {
    char uid[40], name[40];
    int node;
    bool apart, spreads;
    int64_t deleting_ms, left_ms; /* it counts less, or for nothing, since then; 0: it is there */
};

struct near {
    VEC(struct placed) pods;
    int64_t nodes_ms; /* one came or went last */
};

struct span near_rules(struct platform *w, bool *ret_apart)
{
    static const char *const rules[] = {
        ",\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":["
        "{" OF_NODE "}]}}",
        ",\"topologySpreadConstraints\":[{\"maxSkew\":1,\"whenUnsatisfiable\":"
        "\"DoNotSchedule\"," OF_NODE "}]",
        ""};
    size_t which = (size_t)sim_roll(w, sizeof rules / sizeof *rules);
    *ret_apart = which == 0;
    return span_cstr(rules[which]);
}

bool near_is_apart(const yyjson_val *pod_spec)
{
    return json_get(json_get(pod_spec, "affinity"), "podAntiAffinity");
}

/* ---- what is known of them ---- */

static bool is_db(struct span pod_key)
{
    return span_starts(pod_key, SPAN("pods/default/db-"));
}

static int node_of(const struct platform *w, struct object *pod)
{
    return sim_node_called(w, json_str(json_path(object_root(pod), "spec", "nodeName", NULL)));
}

/* The entry of a pod; NULL: it was on no node yet. Those that left long ago are forgotten. */
static struct placed *find(struct platform *w, struct span uid)
{
    struct placed *found = NULL;
    for (size_t i = w->near->pods.n; i-- > 0;) {
        if (w->near->pods.at[i].left_ms && w->near->pods.at[i].left_ms < sim_long_ago_ms(w)) {
            VEC_REMOVE(&w->near->pods, i);
        }
    }
    for (size_t i = 0; i < w->near->pods.n && !found; i++) {
        found = span_eq_cstr(uid, w->near->pods.at[i].uid) ? &w->near->pods.at[i] : NULL;
    }
    return found;
}

/* ---- a pod is bound ---- */

static void check_apart(struct platform *w, const struct placed *p)
{
    for (size_t i = 0; i < w->near->pods.n; i++) {
        const struct placed *q = &w->near->pods.at[i];
        if (q->node == p->node && !q->left_ms && (q->apart || p->apart)) {
            sim_fail(w, "apart", "%s is bound to %s, where %s is", p->name, w->nodes[p->node].name,
                     q->name);
        }
    }
    if (p->apart) {
        sim_saw(w, SIM_DEED_SAW_APART);
    }
}

static void count_unbound(void *data, struct object *pod)
{
    *(int64_t *)data +=
        is_db(object_store_key(pod)) && !json_path(object_root(pod), "spec", "nodeName", NULL);
}

/* Here for certain, and there by any view of late; who is bound to no node yet may be meant to go
 * there. */
static void check_spread(struct platform *w, const struct placed *p)
{
    int64_t here = 1, there = 0;
    record_each(w->record, SPAN("pods"), count_unbound, &there);
    for (size_t i = 0; i < w->near->pods.n; i++) {
        const struct placed *q = &w->near->pods.at[i];
        bool counted = !q->left_ms && !q->deleting_ms,
             lately = q->deleting_ms >= sim_long_ago_ms(w);
        here += q->node == p->node && counted;
        there += q->node != p->node && (counted || lately);
    }
    if (here - there > 1) {
        sim_fail(w, "spread", "%s is bound to %s, which has %lld then, and the other node %lld",
                 p->name, w->nodes[p->node].name, (long long)here, (long long)there);
    }
    sim_saw(w, SIM_DEED_SAW_SPREAD);
}

static bool has_all_nodes(const struct platform *w)
{
    struct arena *a cleanup_arena = arena_new_small();
    bool all = w->near->nodes_ms < sim_long_ago_ms(w);
    for (int i = 0; i < NODES; i++) {
        all = all && record_get(w->record, object_key(a, SPAN("nodes"), SPAN_NULL,
                                                      span_cstr(w->nodes[i].name)));
    }
    return all;
}

/* A node that has come or gone lately is one to one view and none to another; what a scheduler that
 * died had asked for is done behind the back of the next; and a list is in no order. */
static void check_binding(struct platform *w, const struct placed *p)
{
    if (w->controllers_ms >= sim_long_ago_ms(w) || w->forgotten_ms == sim_now_ms(w)) {
        return;
    }
    check_apart(w, p);
    if (p->spreads && has_all_nodes(w)) {
        check_spread(w, p);
    }
}

static void on_pod(struct platform *w, struct object *pod, bool is_gone)
{
    struct placed *known = find(w, object_uid(pod));
    int node = node_of(w, pod);
    if (node < 0 || (!known && is_gone)) {
        return;
    }
    if (!known) {
        yyjson_val *spec = json_get(object_root(pod), "spec");
        struct placed p = {.node = node,
                           .apart = near_is_apart(spec),
                           .spreads = json_get(spec, "topologySpreadConstraints")};
        (void)snprintf(p.uid, sizeof p.uid, "%.*s", SPAN_ARG(object_uid(pod)));
        (void)snprintf(p.name, sizeof p.name, "%.*s", SPAN_ARG(object_name(pod)));
        check_binding(w, &p);
        VEC_PUSH(&w->near->pods, p);
        known = &w->near->pods.at[w->near->pods.n - 1];
    }
    bool goes = is_gone || object_is_deleting(pod) || status_pod_ended(object_root(pod));
    known->deleting_ms = known->deleting_ms || !goes ? known->deleting_ms : sim_now_ms(w);
    known->left_ms = known->left_ms || !(is_gone || status_pod_ended(object_root(pod)))
                         ? known->left_ms
                         : sim_now_ms(w);
}

void near_on_change(struct platform *w, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    if (span_starts(object_store_key(o), SPAN("nodes/")) && (!old || !now)) {
        w->near->nodes_ms = sim_now_ms(w);
    } else if (is_db(object_store_key(o))) {
        on_pod(w, o, !now);
    }
}

struct near *near_new(void)
{
    return MEM_NEW(struct near);
}

void near_free(struct near *n)
{
    VEC_DONE(&n->pods);
    free(n);
}
