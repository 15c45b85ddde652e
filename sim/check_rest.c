/* sim/check_rest.c: the status is true to the pods, and what "at rest" means. Checkers: status,
 * convergence (sim/platform.c waits for it). */
#include <stdio.h>

#include "client/client_body.h"
#include "runtime/runtime_fake.h"
#include "sim/platform_priv.h"

enum { QUIET_MS = 15000 };

struct tally {
    struct platform *w;
    struct span set_uid, current, update;
    int64_t pods, deleting, owned, ready, at_current, at_update; /* the last five: of the set's */
};

static void count_pod(void *data, struct object *pod)
{
    struct tally *t = data;
    yyjson_val *labels = json_path(object_root(pod), "metadata", "labels", NULL);
    struct span revision = json_get_str(labels, "controller-revision-hash"),
                phase = json_str(json_path(object_root(pod), "status", "phase", NULL));
    t->pods++;
    t->deleting += object_is_deleting(pod);
    if (t->set_uid.n == 0 || !span_eq(client_controller_uid(pod), t->set_uid)) {
        return;
    }
    t->owned++;
    t->ready += span_eq_cstr(phase, "Running") && client_condition_true(pod, "Ready");
    t->at_current += !object_is_deleting(pod) && span_eq(revision, t->current);
    t->at_update += !object_is_deleting(pod) && span_eq(revision, t->update);
}

static struct object *set_of(const struct platform *w)
{
    return record_get(w->record, SPAN("statefulsets.apps/default/redis"));
}

static struct tally tally(struct platform *w, struct object *set)
{
    yyjson_val *status = set ? json_get(object_root(set), "status") : NULL;
    struct tally t = {.w = w,
                      .set_uid = set ? object_uid(set) : SPAN_NULL,
                      .current = json_get_str(status, "currentRevision"),
                      .update = json_get_str(status, "updateRevision")};
    record_each(w->record, SPAN("pods"), count_pod, &t);
    return t;
}

/* NULL: it is. */
static const char *status_is_true(struct platform *w, struct object *set)
{
    struct tally t = tally(w, set);
    yyjson_val *st = json_get(object_root(set), "status");
    int64_t generation = json_int(json_path(object_root(set), "metadata", "generation", NULL), 0);
    return json_get_int(st, "observedGeneration", 0) != generation  ? "observedGeneration"
           : json_get_int(st, "replicas", 0) != t.owned             ? "replicas"
           : json_get_int(st, "readyReplicas", 0) != t.ready        ? "readyReplicas"
           : json_get_int(st, "currentReplicas", 0) != t.at_current ? "currentReplicas"
           : json_get_int(st, "updatedReplicas", 0) != t.at_update  ? "updatedReplicas"
                                                                    : NULL;
}

/* When nothing has happened for a while, everybody is there and no write has failed. */
void check_status(struct platform *w)
{
    struct object *set = set_of(w);
    bool all = w->env && w->controllers_env;
    if (w->disk_full || w->store_errors > 0 || w->weather.refuse > 0 || w->weather.lose_reply > 0) {
        w->had_trouble = true; /* controllers hold back for long, until they are started again */
    }
    if (!all) {
        w->changed_ms = sim_now_ms(w);
    }
    all = all && !w->had_trouble;
    if (!set || object_is_deleting(set) || !all || sim_now_ms(w) - w->changed_ms < QUIET_MS) {
        return;
    }
    const char *what = status_is_true(w, set);
    if (what) {
        sim_fail(w, "status", "%s is not true to the pods", what);
    }
}

/* A pod that was adopted from a set without claims has none. */
static bool mounts_claim(struct object *pod)
{
    JSON_EACH(it, json_path(object_root(pod), "spec", "volumes", NULL))
    {
        if (json_get(it.val, "persistentVolumeClaim")) {
            return true;
        }
    }
    return false;
}

static const char *seats_at_rest(struct platform *w, const struct sim_rules *r, struct object *set)
{
    struct arena *a cleanup_arena = arena_new();
    struct span update = json_str(json_path(object_root(set), "status", "updateRevision", NULL));
    /* Nor does a set without claims look after the one of a pod that it adopted. */
    bool has_claims =
        json_len(json_path(object_root(set), "spec", "volumeClaimTemplates", NULL)) > 0;
    for (int64_t i = 0; i < ORDINALS; i++) {
        const struct sim_seat *s = &w->seats[i];
        if (!rules_in_range(r, i)) {
            continue;
        }
        struct object *pod =
            record_get(w->record, arena_printf(a, "pods/default/redis-%lld", (long long)i));
        if (!pod || !rules_is_owned(w, s) || !s->well) {
            return !pod                    ? "a pod is missing"
                   : !rules_is_owned(w, s) ? "a pod is not owned"
                                           : "a pod is not well";
        }
        struct span revision = json_str(
            json_path(object_root(pod), "metadata", "labels", "controller-revision-hash", NULL));
        if (!r->on_delete && !r->paused && i - r->start >= r->partition &&
            !span_eq(revision, update)) {
            return "a pod is not updated";
        }
        struct object *claim =
            record_get(w->record, arena_printf(a, "persistentvolumeclaims/default/data-redis-%lld",
                                               (long long)i));
        bool owned = claim && json_len(client_owners(claim)) > 0;
        bool going = claim && object_is_deleting(claim); /* with its pod, some day */
        if (has_claims && mounts_claim(pod) && !going && !s->claim_taken &&
            (!claim || owned != r->delete_when_deleted)) {
            return claim ? "a claim's owners are not as the policy says" : "a claim is missing";
        }
    }
    return NULL;
}

const char *check_rest(struct platform *w)
{
    struct object *set = set_of(w);
    const struct sim_rules *r = &w->rules.at[w->rules.n - 1];
    struct tally t = tally(w, set);
    size_t running = 0;
    for (size_t i = 0; i < NODES; i++) {
        running += runtime_fake_running(w->nodes[i].runtime);
    }
    const char *why = t.deleting > 0                   ? "a pod is being deleted"
                      : (int64_t)running != t.pods     ? "other containers run than pods are there"
                      : set && object_is_deleting(set) ? "the set is being deleted"
                      : set && t.owned != r->replicas  ? "the number of pods"
                      : set                            ? seats_at_rest(w, r, set)
                                                       : NULL;
    why = why ? why : set ? status_is_true(w, set) : NULL;
    return why ? why : neighbours_at_rest(w);
}

static void print_running(void *data, struct span ns, struct span name, struct span uid)
{
    (void)ns;
    (void)printf("%.*s (%.*s) runs on %s\n", SPAN_ARG(name), SPAN_ARG(uid), (const char *)data);
}

static void print_object(void *data, struct object *o)
{
    (void)data;
    (void)printf("%.*s\n", SPAN_ARG(object_json(o)));
}

void sim_dump(struct platform *w)
{
    static const char *const resources[] = {
        "statefulsets.apps",      "pods",
        "persistentvolumeclaims", "nodes",
        "deployments.apps",       "replicasets.apps",
        "daemonsets.apps",        "poddisruptionbudgets.policy"};
    for (size_t i = 0; w->show && i < sizeof resources / sizeof *resources; i++) {
        record_each(w->record, span_cstr(resources[i]), print_object, NULL);
    }
    for (size_t i = 0; w->show && i < NODES; i++) {
        runtime_fake_each(w->nodes[i].runtime, print_running, (void *)(uintptr_t)w->nodes[i].name);
    }
}
