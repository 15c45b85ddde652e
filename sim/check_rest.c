/* sim/check_rest.c: what "at rest" means. Checker: convergence (sim/platform.c waits for it). */
#include <stdio.h>

#include "client/client_body.h"
#include "codec/quantity.h"
#include "runtime/runtime_fake.h"
#include "schema/status.h"
#include "sim/check.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"
#include "sim/ranks.h"
#include "sim/reader.h"

bool sim_mounts_claim(struct object *pod)
{
    JSON_EACH(it, json_path(object_root(pod), "spec", "volumes", NULL))
    {
        if (json_get(it.val, "persistentVolumeClaim")) {
            return true;
        }
    }
    return false;
}

/* What the agent says that the first container has, and what its pod asks for. */
static bool has_its_resources(const struct platform *w, struct object *pod)
{
    if (client_condition_true(pod, "PodResizePending") &&
        ranks_has_big(w, json_str(json_path(object_root(pod), "spec", "nodeName", NULL)))) {
        return true;
    }
    yyjson_val *wants = json_get(
                   yyjson_arr_get_first(json_path(object_root(pod), "spec", "containers", NULL)),
                   "resources"),
               *has = json_get(yyjson_arr_get_first(json_path(object_root(pod), "status",
                                                              "containerStatuses", NULL)),
                               "resources");
    return json_len(wants) == 0 || json_equal(wants, has);
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
        if (!has_its_resources(w, pod)) {
            return "a container has other resources than its pod says";
        }
        struct object *claim =
            record_get(w->record, arena_printf(a, "persistentvolumeclaims/default/data-redis-%lld",
                                               (long long)i));
        bool owned = claim && json_len(client_owners(claim)) > 0;
        bool going = claim && object_is_deleting(claim); /* with its pod, some day */
        if (has_claims && sim_mounts_claim(pod) && !going && !s->claim_taken &&
            (!claim || owned != r->delete_when_deleted)) {
            return claim ? "a claim's owners are not as the policy says" : "a claim is missing";
        }
    }
    return NULL;
}

struct count {
    int64_t pods, deleting;
};

static void count_pod(void *data, struct object *pod)
{
    struct count *c = data;
    bool may_wait = ranks_is_big(pod) && !json_path(object_root(pod), "spec", "nodeName", NULL);
    c->pods += !may_wait && !status_pod_ended(object_root(pod));
    c->deleting += object_is_deleting(pod);
}

/* A bound claim has what it asks for. */
static void see_claim(void *data, struct object *claim)
{
    struct quantity asked, has;
    yyjson_val *root = object_root(claim);
    *(bool *)data |=
        quantity_parse(json_str(json_path(root, "spec", "resources", "requests", "storage", NULL)),
                       &asked) == NULL &&
        quantity_parse(json_str(json_path(root, "status", "capacity", "storage", NULL)), &has) ==
            NULL &&
        quantity_cmp(&has, &asked) < 0;
}

static const char *claims_at_rest(struct platform *w)
{
    bool waits = false;
    record_each(w->record, SPAN("persistentvolumeclaims"), see_claim, &waits);
    return waits ? "a claim has less than it asks for" : NULL;
}

const char *check_rest(struct platform *w)
{
    struct object *set = record_get(w->record, SPAN("statefulsets.apps/default/redis"));
    const struct sim_rules *r = &w->rules.at[w->rules.n - 1];
    struct count t = {0};
    record_each(w->record, SPAN("pods"), count_pod, &t);
    int64_t owned = 0;
    for (int i = 0; i < ORDINALS; i++) {
        owned += rules_is_owned(w, &w->seats[i]);
    }
    size_t running = 0;
    for (size_t i = 0; i < NODES; i++) {
        running += runtime_fake_running(w->nodes[i].runtime);
    }
    const char *why = t.deleting > 0                   ? "a pod is being deleted"
                      : (int64_t)running != t.pods     ? "other containers run than pods are there"
                      : set && object_is_deleting(set) ? "the set is being deleted"
                      : set && owned != r->replicas    ? "the number of pods"
                      : set                            ? seats_at_rest(w, r, set)
                                                       : NULL;
    why = why ? why : set ? check_status_is_true(w, set) : NULL;
    why = why ? why : set ? check_revisions_at_rest(w, set) : NULL;
    why = why ? why : volumes_at_rest(w->volumes);
    why = why ? why : claims_at_rest(w);
    why = why ? why : neighbours_at_rest(w);
    why = why ? why : jobs_at_rest(w);
    why = why ? why : lone_at_rest(w);
    why = why ? why : services_at_rest(w);
    why = why ? why : ranks_at_rest(w);
    why = why ? why : allowance_at_rest(w);
    why = why ? why : spaces_at_rest(w);
    return why || !w->reader ? why : reader_at_rest(w->reader);
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
    static const char *const resources[] = {"statefulsets.apps",
                                            "pods",
                                            "persistentvolumeclaims",
                                            "nodes",
                                            "deployments.apps",
                                            "replicasets.apps",
                                            "daemonsets.apps",
                                            "poddisruptionbudgets.policy",
                                            "jobs.batch"};
    for (size_t i = 0; w->show && i < sizeof resources / sizeof *resources; i++) {
        record_each(w->record, span_cstr(resources[i]), print_object, NULL);
    }
    for (size_t i = 0; w->show && i < NODES; i++) {
        runtime_fake_each(w->nodes[i].runtime, print_running, (void *)(uintptr_t)w->nodes[i].name);
    }
}
