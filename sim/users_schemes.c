/* sim/users_schemes.c: what users do in quick succession where single deeds hardly ever meet: each
 * scheme is a few requests, and sometimes a fault, around one thing that could go wrong. */
#include <stdio.h>

#include "client/client_body.h"
#include "sim/env_sim.h"
#include "sim/neighbours.h"
#include "sim/users_priv.h"

static void a_moment(struct platform *w)
{
    if (sim_roll(w, 3)) {
        sim_run_for(w, (int64_t)sim_roll(w, sim_roll(w, 4) ? 60 : 3000));
    }
}

/* A pod that is there; empty: none. */
static struct span some_live_pod(struct platform *w, struct arena *a)
{
    size_t at = (size_t)sim_roll(w, ORDINALS);
    for (size_t i = 0; i < ORDINALS; i++, at = (at + 1) % ORDINALS) {
        if (w->seats[at].exists && !w->seats[at].deleting) {
            return arena_printf(a, "redis-%d", (int)at);
        }
    }
    return SPAN_NULL;
}

/* The policy is another one while claims are condemned. */
static void switch_retention(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    static const char *const what[] = {"Retain", "Delete"};
    for (uint64_t n = 2 + sim_roll(w, 3); n > 0; n--) {
        if (sim_roll(w, 2)) {
            users_scale(w, (int)sim_roll(w, REPLICAS_MAX + 1));
        } else {
            (void)users_patch_set(
                w, SIM_DEED_RETENTION,
                arena_printf(a,
                             "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{"
                             "\"whenDeleted\":\"%s\",\"whenScaled\":\"%s\"}}}",
                             what[sim_roll(w, 2)], what[sim_roll(w, 2)]));
        }
        a_moment(w);
    }
    if (sim_roll(w, 4) == 0) {
        users_delete_set(w, (enum client_propagation)sim_roll(w, 4));
    }
}

/* A claim is deleted under its pod, which goes and comes back. */
static void delete_under_pod(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct span pod = some_live_pod(w, a);
    if (pod.n == 0) {
        return;
    }
    struct span claim = arena_printf(a, "data-%.*s", SPAN_ARG(pod));
    bool claim_first = sim_roll(w, 2);
    for (int i = 0; i < 2; i++) {
        if (claim_first == (i == 0)) {
            users_delete_claim(w, claim);
        } else {
            users_delete_pod(w, pod, sim_roll(w, 4) == 0);
        }
        a_moment(w);
    }
}

/* Data is to be kept for good, and its claim goes. */
static void retain_volume(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct span pod = some_live_pod(w, a), claim_name = arena_printf(a, "data-%.*s", SPAN_ARG(pod));
    struct object *claim = record_get(
        w->record, object_key(a, SPAN("persistentvolumeclaims"), SPAN("default"), claim_name));
    struct span volume =
        claim ? arena_dup(a, json_str(json_path(object_root(claim), "spec", "volumeName", NULL)))
              : SPAN_NULL;
    if (volume.n == 0) {
        return;
    }
    (void)users_patch(w, SIM_DEED_RETAIN, SCHEMA_KIND(PersistentVolume), volume,
                      SPAN("{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}"));
    sim_say(w, "retain %.*s: %s", SPAN_ARG(volume), users_outcome(w));
    sim_run_for(w, (int64_t)sim_roll(w, 2000));
    users_delete_claim(w, claim_name);
    users_delete_pod(w, pod, false);
}

/* A node vanishes, its pod is given up and comes up elsewhere, and the node returns. */
static void node_returns(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct sim_node *n = &w->nodes[sim_roll(w, NODES)];
    struct span pod = some_live_pod(w, a);
    if (pod.n == 0 || w->calm || n->is_cut) {
        return;
    }
    sim_saw(w, SIM_DEED_NODE_CUT);
    sim_cut_node(w, n, true);
    a_moment(w);
    users_delete_pod(w, pod, true);
    sim_run_for(w, (int64_t)sim_roll(w, 10000));
    if (sim_roll(w, 3) == 0 && n->env) {
        sim_kill_node(w, n);
        sim_start_missing(w);
    }
    sim_cut_node(w, n, false);
}

/* The set goes and comes again at once, with or without its pods. */
static void delete_and_create(struct platform *w)
{
    users_delete_set(w, (enum client_propagation)sim_roll(w, 4));
    a_moment(w);
    users_put_set(w);
    a_moment(w);
    if (sim_roll(w, 3) == 0) {
        users_delete_set(w, (enum client_propagation)sim_roll(w, 4));
    }
}

/* The clock is set while pods end and probes, leases and deadlines run. */
static void clock_jumps(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct span pod = some_live_pod(w, a);
    int64_t ms = (int64_t)sim_roll(w, sim_roll(w, 2) ? 60000 : 1200000);
    if (pod.n == 0 || w->calm) {
        return;
    }
    users_delete_pod(w, pod, false);
    a_moment(w);
    bool back = !w->has_min_ready && sim_roll(w, 2);
    sim_say(w, "the wall clock jumps by %lld ms", (long long)(back ? -ms : ms));
    platform_jump_wall(w, back ? -ms : ms);
    sim_saw(w, back ? SIM_DEED_CLOCK_BACK : SIM_DEED_CLOCK_FORWARD);
    a_moment(w);
    if (!w->has_min_ready || back) {
        sim_say(w, "the wall clock jumps back by %lld ms", (long long)(back ? -ms : ms));
        platform_jump_wall(w, back ? ms : -ms);
        sim_saw(w, back ? SIM_DEED_CLOCK_FORWARD : SIM_DEED_CLOCK_BACK);
    }
}

/* Other limits for pods that run, whose agent may die of it. */
static void resize(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    for (int i = 0; i < 3; i++) {
        struct span pod = some_live_pod(w, a);
        const struct client_request rq = {
            CLIENT_REQUEST_INIT,
            .verb = CLIENT_PATCH_STRATEGIC,
            .kind = SCHEMA_KIND(Pod),
            .name = pod,
            .subresource = SPAN("resize"),
            .body =
                arena_printf(a,
                             "{\"spec\":{\"containers\":[{\"name\":\"redis\",\"resources\":{"
                             "\"requests\":{\"cpu\":\"%dm\"},\"limits\":{\"memory\":\"%dMi\"}}}]}}",
                             10 + (int)sim_roll(w, 3), sim_roll(w, 2) ? 64 : 80)};
        if (pod.n == 0) {
            return;
        }
        (void)users_ask(w, SIM_DEED_RESIZE, &rq);
        sim_say(w, "resize %.*s %.*s: %s", SPAN_ARG(pod), SPAN_ARG(rq.body), users_outcome(w));
        a_moment(w);
        struct sim_node *n = &w->nodes[sim_roll(w, NODES)];
        if (!w->calm && sim_roll(w, 3) == 0 && n->env) {
            sim_say(w, "the agent of node %s is killed", n->name);
            sim_kill_node(w, n);
            a_moment(w);
            sim_start_missing(w);
        }
    }
}

/* Another image for a pod that runs, whose agent may die of it. */
static void change_image(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    bool lone = sim_roll(w, 2) && record_get(w->record, SPAN("pods/default/lone"));
    struct span pod = lone ? SPAN("lone") : some_live_pod(w, a);
    for (int i = 0; pod.n > 0 && i < 3; i++) {
        sim_change_image(w, pod, lone ? pod : SPAN("redis"));
        a_moment(w);
        for (size_t n = 0; n < NODES && !w->calm && sim_roll(w, 3) == 0; n++) {
            if (w->nodes[n].env) {
                sim_say(w, "the agent of node %s is killed", w->nodes[n].name);
                sim_kill_node(w, &w->nodes[n]);
            }
        }
        a_moment(w);
        sim_start_missing(w);
    }
}

/* `kubectl drain` where a budget says how many may go, and the node is needed again. */
static void drain(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    size_t node = (size_t)sim_roll(w, NODES);
    if (!record_get(w->record, SPAN("poddisruptionbudgets.policy/default/redis"))) {
        neighbours_budget(w);
    }
    if (w->budget_ms > sim_now_ms(w) - 2 * sim_window_ms(w)) {
        sim_run_for(w, 3 * sim_window_ms(w));
    }
    users_cordon(w, node, true);
    for (int i = 0; i < ORDINALS; i++) {
        if (w->seats[i].exists && sim_roll(w, 3)) {
            users_evict(w, arena_printf(a, "redis-%d", i));
            a_moment(w);
        }
    }
    users_cordon(w, node, false);
}

/* A primary among well pods, and a new template. */
static void fail_over(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    const struct sim_rules *r = &w->rules.at[w->rules.n - 1];
    struct span pod = some_live_pod(w, a);
    if (pod.n == 0 || r->on_delete || r->recreate) {
        return;
    }
    (void)users_patch_set(
        w, SIM_DEED_ORDER,
        SPAN("{\"metadata\":{\"annotations\":{\"berth.dev/update-order\":\"last:role=primary\","
             "\"berth.dev/paused\":null}},\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\","
             "\"rollingUpdate\":{\"partition\":0}}}}"));
    users_promote(w, pod);
    users_roll_out(w, true);
}

/* ---- two users and one set ---- */

/* One has opened the set in an editor; whoever has saved meanwhile must not be undone. */
void users_edit_set(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    if (!w->edited) {
        struct object *set = record_get(w->record, SPAN("statefulsets.apps/default/redis"));
        w->edited = set ? object_ref(set) : NULL;
        return;
    }
    struct object *was cleanup_object = TAKE_PTR(w->edited);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = json_mut_copy(doc, object_root(was));
    json_put_int(doc, json_mut_get(root, "spec"), "replicas",
                 (int64_t)sim_roll(w, REPLICAS_MAX + 1));
    const struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_UPDATE,
                                      .kind = SCHEMA_KIND(StatefulSet), .name = SPAN("redis"),
                                      .body = json_write_mut(a, root)};
    (void)users_ask(w, SIM_DEED_EDIT, &rq);
    sim_say(w, "save the set as it was at %lld with other replicas: %s", (long long)object_rev(was),
            users_outcome(w));
}

void users_scheme(struct platform *w)
{
    static const struct {
        void (*fn)(struct platform *w);
        enum sim_deed deed;
    } schemes[] = {{users_edit_set, SIM_DEED_EDIT},
                   {users_edit_set, SIM_DEED_EDIT},
                   {switch_retention, SIM_DEED_SCHEME_RETENTION},
                   {delete_under_pod, SIM_DEED_SCHEME_CLAIM},
                   {retain_volume, SIM_DEED_SCHEME_RETAIN},
                   {node_returns, SIM_DEED_SCHEME_NODE},
                   {delete_and_create, SIM_DEED_SCHEME_AGAIN},
                   {clock_jumps, SIM_DEED_SCHEME_CLOCK},
                   {resize, SIM_DEED_SCHEME_RESIZE},
                   {change_image, SIM_DEED_SCHEME_IMAGE},
                   {drain, SIM_DEED_SCHEME_DRAIN},
                   {fail_over, SIM_DEED_SCHEME_PRIMARY},
                   {fail_over, SIM_DEED_SCHEME_PRIMARY}};
    size_t which = (size_t)sim_roll(w, sizeof schemes / sizeof *schemes);
    record_pull(w->record);
    sim_say(w, "scheme: %s", sim_deed_name(schemes[which].deed));
    if (schemes[which].deed != SIM_DEED_EDIT) {
        sim_saw(w, schemes[which].deed);
    }
    schemes[which].fn(w);
}
