/* sim/neighbours.c: what else lives on the platform: a Deployment, a DaemonSet, a Job
 * (jobs.c), a second StatefulSet, and a budget of the first one's disruptions. Users create, scale,
 * roll and delete them; at rest the counts of each are true. Checker: unavailable (of the
 * Deployment: never fewer by our own hand than its strategy allows), budget (of an eviction);
 * convergence asks neighbours_at_rest(). */
#include <stdio.h>

#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/check.h"
#include "sim/near.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"
#include "sim/ranks.h"

enum { WEB, AGENT, DB, NEIGHBOURS, WEB_REPLICAS_MAX = 4 };

static const char *const names[NEIGHBOURS] = {"web", "agent", "db"};
static const char *const resources[NEIGHBOURS] = {"deployments.apps", "daemonsets.apps",
                                                  "statefulsets.apps"};

#define BUDGET_KEY SPAN("poddisruptionbudgets.policy/default/redis")

static const struct schema_kind *kind_of(int which)
{
    return which == WEB     ? SCHEMA_KIND(Deployment)
           : which == AGENT ? SCHEMA_KIND(DaemonSet)
                            : SCHEMA_KIND(StatefulSet);
}

static struct object *find(const struct platform *w, int which)
{
    struct arena *a cleanup_arena = arena_new();
    return record_get(w->record, arena_printf(a, "%s/default/%s", resources[which], names[which]));
}

/* ---- users ---- */

void neighbours_ask(struct platform *w, const struct client_request *rq, const char *what)
{
    sim_request(w,
                rq->verb == CLIENT_CREATE   ? SIM_DEED_NEIGHBOUR_CREATE
                : rq->verb == CLIENT_DELETE ? SIM_DEED_NEIGHBOUR_DELETE
                                            : SIM_DEED_NEIGHBOUR_CHANGE,
                rq, what);
}

static void ask(struct platform *w, int which, enum client_verb verb, struct span body)
{
    const struct client_request rq =
        sim_user_request(verb, kind_of(which), span_cstr(names[which]), body);
    neighbours_ask(w, &rq, kind_of(which)->kind);
}

void neighbours_budget(struct platform *w)
{
    static const char *const specs[] = {"\"maxUnavailable\":1", "\"minAvailable\":2",
                                        "\"maxUnavailable\":\"50%\"", "\"minAvailable\":0"};
    struct arena *a cleanup_arena = arena_new();
    bool there = record_get(w->record, BUDGET_KEY);
    struct span body =
        there ? SPAN_NULL
              : arena_printf(a,
                             "{\"kind\":\"PodDisruptionBudget\",\"apiVersion\":\"policy/v1\","
                             "\"metadata\":{\"name\":\"redis\"},\"spec\":{\"selector\":{"
                             "\"matchLabels\":{\"app\":\"redis\"}},%s}}",
                             specs[sim_roll(w, sizeof specs / sizeof *specs)]);
    const struct client_request rq =
        sim_user_request(there ? CLIENT_DELETE : CLIENT_CREATE, SCHEMA_KIND(PodDisruptionBudget),
                         SPAN("redis"), body);
    sim_request(w, SIM_DEED_BUDGET, &rq, "the budget");
}

static struct span notes(struct platform *w, struct arena *a)
{
    return arena_printf(a,
                        "{\"round\":\"%d\",\"berth.dev/fake-start-ms\":\"%d\","
                        "\"berth.dev/fake-stop-ms\":\"%d\",\"berth.dev/fake-ready-ms\":\"%d\"}",
                        (int)sim_roll(w, 100), (int)sim_roll(w, sim_roll(w, 3) ? 200 : 6000),
                        (int)sim_roll(w, sim_roll(w, 3) ? 500 : 20000),
                        sim_roll(w, 3) ? 0 : (int)sim_roll(w, 5000));
}

static struct span strategy(struct platform *w)
{
    static const char *const web[] = {
        "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":1,\"maxSurge\":0}}",
        "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":0,\"maxSurge\":1}}",
        "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":2,\"maxSurge\":1}}",
        "{\"type\":\"Recreate\",\"rollingUpdate\":null}"};
    return span_cstr(web[sim_roll(w, sizeof web / sizeof *web)]);
}

/* More of its pods than there are nodes would wait for ever. */
static bool has_one_a_node(struct object *o)
{
    yyjson_val *spec = json_path(object_root(o), "spec", "template", "spec", NULL);
    return json_get(yyjson_arr_get_first(json_get(spec, "containers")), "ports") ||
           near_is_apart(spec);
}

/* One pod on each node has a host port: the second set and the DaemonSet may ask for one. */
static void create(struct platform *w, int which)
{
    struct arena *a cleanup_arena = arena_new();
    struct span knobs = notes(w, a), more = SPAN("");
    struct span port = which == WEB ? SPAN("") : sim_host_port(w, a, 7000 + (which == DB));
    const char *size = which == DB ? ranks_size(w) : "";
    bool apart = false;
    struct span near = which == DB ? near_rules(w, &apart) : SPAN("");
    int replicas = (int)sim_roll(w, port.n > 0 || apart ? NODES + 1 : WEB_REPLICAS_MAX + 1);
    if (which == WEB) {
        more =
            arena_printf(a, "\"replicas\":%d,\"strategy\":%.*s,", replicas, SPAN_ARG(strategy(w)));
    } else if (which == DB) {
        more = arena_printf(a,
                            "\"replicas\":%d,\"serviceName\":\"db\",\"podManagementPolicy\":"
                            "\"%s\",",
                            replicas, sim_roll(w, 2) ? "Parallel" : "OrderedReady");
    }
    ask(w, which, CLIENT_CREATE,
        arena_printf(a,
                     "{\"kind\":\"%s\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"%s\"},"
                     "\"spec\":{%.*s\"selector\":{\"matchLabels\":{\"app\":\"%s\"}},\"template\":{"
                     "\"metadata\":{\"labels\":{\"app\":\"%s\"},\"annotations\":%.*s},\"spec\":{"
                     "\"terminationGracePeriodSeconds\":3%.*s%s,\"containers\":[{\"name\":\"one\","
                     "\"image\":\"one:1\"%.*s%s}]}}}}",
                     kind_of(which)->kind, names[which], SPAN_ARG(more), names[which], names[which],
                     SPAN_ARG(knobs), SPAN_ARG(near), which == DB ? ranks_class(w) : "",
                     SPAN_ARG(port), size));
}

void neighbours_act(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    static void (*const others[])(struct platform *
                                  w) = {neighbours_budget, custom_act, jobs_act,     ranks_act,
                                        allowance_act,     lone_act,   services_act, spaces_act};
    /* The last ones make many events: half as often. */
    enum { ALL = NEIGHBOURS + sizeof others / sizeof *others, COSTLY = 4 };
    int which = (int)sim_roll(w, 2 * ALL - COSTLY);
    which = which < 2 * (ALL - COSTLY) ? which / 2 : which - (ALL - COSTLY);
    record_pull(w->record);
    if (which >= NEIGHBOURS) {
        others[which - NEIGHBOURS](w);
        return;
    }
    if (!find(w, which)) {
        create(w, which);
        return;
    }
    switch (sim_roll(w, 6)) {
    case 0:
        ask(w, which, CLIENT_DELETE, SPAN_NULL);
        break;
    case 1:
    case 2:
        if (which != AGENT) {
            ask(w, which, CLIENT_PATCH_MERGE,
                arena_printf(a, "{\"spec\":{\"replicas\":%d}}",
                             (int)sim_roll(w, has_one_a_node(find(w, which))
                                                  ? NODES + 1
                                                  : WEB_REPLICAS_MAX + 1)));
        }
        break;
    default: {
        struct span knobs = notes(w, a);
        ask(w, which, CLIENT_PATCH_MERGE,
            arena_printf(a, "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":%.*s}}}}",
                         SPAN_ARG(knobs)));
        break;
    }
    }
}

/* ---- what is known of the Deployment ---- */

static bool is_web(struct object *pod)
{
    return span_eq_cstr(json_str(json_path(object_root(pod), "metadata", "labels", "app", NULL)),
                        names[WEB]);
}

static void on_pod(struct platform *w, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    struct span uid = object_uid(o);
    struct sim_web *p = NULL;
    for (size_t i = 0; i < w->web.n && !p; i++) {
        p = span_eq_cstr(uid, w->web.at[i].uid) ? &w->web.at[i] : NULL;
    }
    if (!p) {
        VEC_PUSH(&w->web, (struct sim_web){0});
        p = &w->web.at[w->web.n - 1];
        (void)snprintf(p->uid, sizeof p->uid, "%.*s", SPAN_ARG(uid));
        (void)snprintf(p->owner, sizeof p->owner, "%.*s", SPAN_ARG(client_controller_uid(o)));
    }
    bool well = now && !object_is_deleting(now) && client_condition_true(now, "Ready");
    if (well && !p->well) {
        p->since_ms = sim_now_ms(w);
    }
    if (p->well || well) {
        p->well_ms = sim_now_ms(w);
    }
    p->well = well;
}

/* How many pods must stay by this version of the Deployment. */
static int64_t need_of(struct object *web)
{
    yyjson_val *spec = json_get(object_root(web), "spec"), *strategy = json_get(spec, "strategy");
    bool rolls = span_eq_cstr(json_get_str(strategy, "type"), "RollingUpdate");
    return rolls && !object_is_deleting(web)
               ? json_get_int(spec, "replicas", 1) -
                     json_get_int(json_get(strategy, "rollingUpdate"), "maxUnavailable", 0)
               : 0;
}

void neighbours_on_change(struct platform *w, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    struct span rest = object_store_key(o), resource = span_cut(&rest, '/');
    allowance_on_change(w, old, now);
    if (span_eq_cstr(resource, "pods") && is_web(o)) {
        on_pod(w, old, now);
    } else if (span_eq_cstr(resource, "poddisruptionbudgets.policy") &&
               (!old || !now ||
                !json_equal(json_get(object_root(old), "spec"),
                            json_get(object_root(now), "spec")))) {
        w->budget_ms = sim_now_ms(w);
    } else if (span_eq_cstr(resource, resources[WEB])) {
        int64_t need = now ? need_of(now) : 0;
        if (need != w->web_need) {
            w->web_needed = w->web_need;
            w->web_need = need;
            w->web_need_ms = sim_now_ms(w);
        }
    }
}

/* ---- the budget ---- */

/* It stands for long enough, and so does what it counts, for every view to show them; and the pod
 * is well, so that it costs something. */
bool neighbours_budget_counts(struct platform *w, int ordinal)
{
    int64_t long_ago_ms = sim_long_ago_ms(w);
    const struct sim_seat *s = &w->seats[ordinal];
    return record_get(w->record, BUDGET_KEY) && w->budget_ms < long_ago_ms && s->well &&
           !rules_lately(w, !s->well, s->unwell_ms) && s->matches && rules_is_owned(w, s) &&
           w->rules.at[w->rules.n - 1].since_ms < long_ago_ms;
}

/* One that a role deletes meanwhile, or has just deleted, costs nothing more, nor does one that is
 * not Ready any more. */
void neighbours_on_eviction(struct platform *w, int ordinal, int64_t asked_ms)
{
    struct object *o = record_get(w->record, BUDGET_KEY);
    yyjson_val *spec = o ? json_get(object_root(o), "spec") : NULL;
    int64_t need = json_get_int(spec, "minAvailable", -1), left = 0,
            most = json_get_int(spec, "maxUnavailable", -1);
    if (most >= 0) {
        need = w->rules.at[w->rules.n - 1].replicas - most;
    }
    for (int i = 0; i < ORDINALS; i++) {
        const struct sim_seat *s = &w->seats[i];
        left += i != ordinal && rules_lately(w, s->well, s->well_ms);
    }
    sim_saw(w, SIM_DEED_SAW_EVICTION);
    if (left < need && w->seats[ordinal].deleted_ms < asked_ms - sim_window_ms(w) &&
        w->seats[ordinal].unready_ms < asked_ms) {
        sim_fail(w, "budget", "redis-%d may be evicted: %lld well pods are left, and %lld must",
                 ordinal, (long long)left, (long long)need);
    }
}

/* ---- unavailable ---- */

struct after {
    struct platform *w;
    struct span scaled; /* uid of the ReplicaSet that becomes smaller */
    int64_t to, left;   /* its pods then; well pods of all then */
};

/* A ReplicaSet takes those first that are not well. */
static void see_set(void *data, struct object *set)
{
    struct after *s = data;
    bool scaled = span_eq(object_uid(set), s->scaled);
    int64_t well = 0;
    int64_t most = scaled ? s->to : json_get_int(json_get(object_root(set), "spec"), "replicas", 1);
    for (size_t i = 0; i < s->w->web.n; i++) {
        const struct sim_web *p = &s->w->web.at[i];
        well += span_eq_cstr(object_uid(set), p->owner) && rules_lately(s->w, p->well, p->well_ms);
    }
    s->left += well < most ? well : most;
}

/* The user's new number is spread over the sets of a rollout by their sizes alone, whoever is well;
 * each then notes it. */
static bool is_spread(struct object *set, const yyjson_val *patch)
{
    static const char key[] = "deployment.kubernetes.io/desired-replicas";
    struct span was = json_str(json_path(object_root(set), "metadata", "annotations", key, NULL)),
                is = json_str(json_path(patch, "metadata", "annotations", key, NULL));
    return was.n > 0 && is.n > 0 && !span_eq(was, is);
}

void neighbours_on_request(struct platform *w, const struct client_request *rq)
{
    allowance_on_request(w, rq);
    if (rq->kind != SCHEMA_KIND(ReplicaSet) || rq->verb != CLIENT_PATCH_MERGE ||
        rq->subresource.n > 0 || !span_eq_cstr(rq->field_manager, "deployment-controller")) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    const yyjson_val *body = link_body(a, rq), *to = json_path(body, "spec", "replicas", NULL);
    struct object *set =
        record_get(w->record, object_key(a, SPAN("replicasets.apps"), SPAN("default"), rq->name));
    if (!to || !set || is_spread(set, body) ||
        json_int(to, 0) >= json_get_int(json_get(object_root(set), "spec"), "replicas", 1)) {
        return;
    }
    struct after s = {.w = w, .scaled = object_uid(set), .to = json_int(to, 0)};
    record_each(w->record, SPAN("replicasets.apps"), see_set, &s);
    int64_t need = w->web_need;
    if (w->web_need_ms >= sim_now_ms(w) - sim_window_ms(w) && w->web_needed < need) {
        need = w->web_needed;
    }
    int64_t had = 0; /* the set's status, and its reader, may not know yet of the latest */
    for (size_t i = 0; i < w->web.n; i++) {
        const struct sim_web *p = &w->web.at[i];
        had += p->well && p->since_ms < sim_now_ms(w) - sim_window_ms(w);
    }
    if (s.left < need && s.left < had) {
        sim_fail(w, "unavailable", "%.*s is scaled to %lld: %lld well pods are left, and %lld must",
                 SPAN_ARG(rq->name), (long long)s.to, (long long)s.left, (long long)need);
    }
}

/* ---- at rest ---- */

struct counted {
    const char *app;
    struct span owner; /* empty: any */
    int64_t pods, ready;
};

static void count_pod(void *data, struct object *pod)
{
    struct counted *c = data;
    struct span app = json_str(json_path(object_root(pod), "metadata", "labels", "app", NULL));
    if (span_eq_cstr(app, c->app) && span_eq_cstr(object_namespace(pod), "default") &&
        (!c->owner.n || span_eq(c->owner, client_controller_uid(pod)))) {
        c->pods++;
        c->ready += client_condition_true(pod, "Ready");
    }
}

static struct counted count(struct platform *w, const char *app, struct span owner)
{
    struct counted c = {.app = app, .owner = owner};
    record_each(w->record, SPAN("pods"), count_pod, &c);
    return c;
}

struct sets_at_rest {
    struct platform *w;
    const char *why;
    bool has_web;
};

static void see_resting(void *data, struct object *set)
{
    struct sets_at_rest *s = data;
    yyjson_val *root = object_root(set), *status = json_get(root, "status");
    struct counted c = count(s->w, names[WEB], object_uid(set));
    int64_t want = json_get_int(json_get(root, "spec"), "replicas", 1);
    if (!s->has_web) {
        s->why = "a ReplicaSet outlives its Deployment";
    } else if (c.pods != want || c.ready != want || json_get_int(status, "replicas", 0) != want ||
               json_get_int(status, "availableReplicas", 0) != want) {
        s->why = "a ReplicaSet's counts";
    }
}

static void add_node(void *data, struct object *node)
{
    int64_t *n = data;
    (void)node;
    (*n)++;
}

static bool counts_are(struct object *o, int64_t want, const char *const *fields)
{
    yyjson_val *status = json_get(object_root(o), "status");
    bool same = json_get_int(status, "observedGeneration", 0) ==
                json_int(json_path(object_root(o), "metadata", "generation", NULL), 0);
    for (size_t i = 0; fields[i]; i++) {
        same = same && json_get_int(status, fields[i], 0) == want;
    }
    return same;
}

/* At rest all pods of the set are there, so that the numbers say each other. */
static bool budget_is_true(struct platform *w)
{
    struct object *o = record_get(w->record, BUDGET_KEY);
    struct counted c = count(w, "redis", SPAN_NULL);
    if (!o || !record_get(w->record, SPAN("statefulsets.apps/default/redis"))) {
        return true; /* pods without an owner are counted otherwise */
    }
    yyjson_val *status = json_get(object_root(o), "status"),
               *least = json_path(object_root(o), "spec", "minAvailable", NULL);
    int64_t healthy = json_get_int(status, "currentHealthy", -1),
            desired = json_get_int(status, "desiredHealthy", -1), spare = c.ready - desired;
    return healthy == c.ready && json_get_int(status, "expectedPods", -1) == c.pods &&
           (!least || desired == json_int(least, 0)) &&
           json_get_int(status, "disruptionsAllowed", -1) == (spare > 0 && c.pods > 0 ? spare : 0);
}

const char *neighbours_at_rest(struct platform *w)
{
    static const char *const web[] = {"replicas", "updatedReplicas", "readyReplicas",
                                      "availableReplicas", NULL},
                             *const agent[] = {
                                 "desiredNumberScheduled", "currentNumberScheduled", "numberReady",
                                 "updatedNumberScheduled", "numberAvailable",        NULL};
    static const char *const *const fields[NEIGHBOURS] = {web, agent, web};
    static const char *const whys[NEIGHBOURS] = {"the Deployment's counts",
                                                 "the DaemonSet's counts", "the second set's"};
    for (int i = 0; i < NEIGHBOURS; i++) {
        struct object *o = find(w, i);
        int64_t want = o ? json_get_int(json_get(object_root(o), "spec"), "replicas", 1) : 0;
        if (i == AGENT && o) {
            want = 0;
            record_each(w->record, SPAN("nodes"), add_node, &want);
        }
        struct counted c = count(w, names[i], SPAN_NULL);
        if ((o && object_is_deleting(o)) || c.pods != want || c.ready != want ||
            (o && !counts_are(o, want, fields[i]))) {
            return whys[i];
        }
    }
    struct sets_at_rest s = {.w = w, .has_web = find(w, WEB)};
    record_each(w->record, SPAN("replicasets.apps"), see_resting, &s);
    return s.why ? s.why : budget_is_true(w) ? custom_at_rest(w) : "the budget's status";
}
