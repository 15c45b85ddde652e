/* Each checker of the simulator catches a bug that is planted for it: in the requests of a role, in
 * what a role is plant_shown, in the watch or under the store. */
#include "base/arena.h"
#include "client/client_body.h"
#include "sim/link.h"
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"

/* ---- the bugs ---- */

static bool deletes_by_force(void *data, struct arena *a, struct client_request *rq)
{
    (void)data, (void)a;
    if (plant_is_from(rq, CLIENT_DELETE, "statefulset-controller")) {
        rq->grace_s = 0;
    }
    return true;
}

TEST(planted_pod_that_is_taken_by_force_breaks_identity)
{
    struct plant p = {.hooks.on_request = deletes_by_force};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "edge",
                "{\"spec\":{\"unschedulable\":true}}");
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "edge",
                "{\"spec\":{\"unschedulable\":null}}");
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "far",
                "{\"spec\":{\"unschedulable\":true}}");
    plant_fine(w);
    platform_fault(w, PLATFORM_CUT_NODE, 1);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 5000);
    sim_kit_end(w, "identity");
}

static bool mounts_another(void *data, struct arena *a, struct client_request *rq)
{
    (void)data;
    const char *at = plant_is_from(rq, CLIENT_CREATE, "statefulset-controller")
                         ? strstr(link_body_text(a, rq), "data-redis-1")
                         : NULL;
    if (at) {
        const char *body = link_body_text(a, rq);
        at = strstr(body, "data-redis-1");
        rq->body = arena_printf(a, "%.*sdata-redis-0%s", (int)(at - body), body, at + 12);
    }
    return true;
}

TEST(planted_pod_with_another_ordinals_claim_breaks_claim)
{
    struct plant p = {.hooks.on_request = mounts_another};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    sim_kit_end(w, "claim");
}

TEST(planted_owner_that_no_policy_names_breaks_claim_kept)
{
    struct plant p = {PLANT_SHOWN("\"whenDeleted\":\"Retain\"", "\"whenDeleted\":\"Delete\"")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    sim_kit_end(w, "claim-kept");
}

static bool deletes_a_claim(void *data, struct arena *a, struct client_request *rq)
{
    (void)data, (void)a;
    if (plant_is_from(rq, CLIENT_DELETE, "statefulset-controller")) {
        rq->kind = SCHEMA_KIND(PersistentVolumeClaim);
        rq->name = SPAN("data-redis-0");
        rq->precondition_uid = SPAN_NULL;
    }
    return true;
}

TEST(planted_claim_that_nobody_asked_to_delete_breaks_claim_kept)
{
    struct plant p = {.hooks.on_request = deletes_a_claim};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 5000);
    sim_kit_end(w, "claim-kept");
}

static struct object *notes_volume(void *data, struct object *o)
{
    struct plant *p = data;
    if (span_eq_cstr(json_get_str(object_root(o), "kind"), "PersistentVolume")) {
        snprintf(p->volume, sizeof p->volume, "%.*s", SPAN_ARG(object_name(o)));
    }
    return NULL;
}

static bool deletes_the_volume(void *data, struct arena *a, struct client_request *rq)
{
    struct plant *p = data;
    (void)a;
    if (plant_is_from(rq, CLIENT_DELETE, "statefulset-controller")) {
        rq->kind = SCHEMA_KIND(PersistentVolume);
        rq->ns = SPAN_NULL;
        rq->name = span_cstr(p->volume);
        rq->precondition_uid = SPAN_NULL;
    }
    return true;
}

TEST(planted_volume_that_goes_before_its_claim_breaks_volume_kept)
{
    struct plant p = {.hooks = {.on_event = notes_volume, .on_request = deletes_the_volume}};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 5000);
    sim_kit_end(w, "volume-kept");
}

/* Pods look available from birth. */
#define EARLY                                                                                      \
    .hooks.on_event = plant_shown, .kind = SCHEMA_KIND(Pod),                                       \
    .from = "\"status\":{\"phase\":\"Pending\"",                                                   \
    .to = "\"status\":{\"phase\":\"Running\","                                                     \
          "\"conditions\":[{\"type\":\"Ready\","                                                   \
          "\"status\":\"True\"}]"

TEST(planted_pod_that_looks_ready_early_breaks_order_up)
{
    struct plant p = {EARLY};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 3, "OrderedReady", "");
    platform_run_for(w, 5000);
    sim_kit_end(w, "order-up");
}

TEST(planted_update_under_on_delete_breaks_order_update)
{
    struct plant p = {PLANT_SHOWN("\"updateStrategy\":{\"type\":\"OnDelete\"}",
                                  "\"updateStrategy\":{\"type\":\"RollingUpdate\"}")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 3, "OrderedReady", ",\"updateStrategy\":{\"type\":\"OnDelete\"}");
    platform_run_for(w, 10000);
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 10000);
    sim_kit_end(w, "order-update");
}

TEST(planted_scale_down_all_at_once_breaks_order_down)
{
    struct plant p = {PLANT_SHOWN("\"podManagementPolicy\":\"OrderedReady\"",
                                  "\"podManagementPolicy\":\"Parallel\""),
                      .off = true};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 3, "OrderedReady", "");
    platform_run_for(w, 10000);
    plant_fine(w);
    p.off = false;
    sim_kit_patch(w, "{\"spec\":{\"replicas\":0}}");
    platform_run_for(w, 5000);
    sim_kit_end(w, "order-down");
}

TEST(planted_update_below_the_partition_breaks_partition)
{
    struct plant p = {PLANT_SHOWN("\"partition\":2", "\"partition\":0")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 3, "OrderedReady", SIM_KIT_STRATEGY(2, ""));
    platform_run_for(w, 10000);
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 15000);
    sim_kit_end(w, "partition");
}

TEST(planted_update_of_too_many_breaks_unavailable)
{
    struct plant p = {PLANT_SHOWN("\"maxUnavailable\":1", "\"maxUnavailable\":3")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 3, "Parallel", SIM_KIT_STRATEGY(0, ",\"maxUnavailable\":1"));
    platform_run_for(w, 10000);
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 5000);
    sim_kit_end(w, "unavailable");
}

TEST(planted_pause_that_is_not_seen_breaks_paused)
{
    struct plant p = {
        PLANT_SHOWN("\"berth.dev/paused\":\"true\"", "\"berth.dev/paused\":\"false\"")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "OrderedReady", "");
    sim_kit_patch(w, "{\"metadata\":{\"annotations\":{\"berth.dev/paused\":\"true\"}}}");
    platform_run_for(w, 10000);
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 5000);
    sim_kit_end(w, "paused");
}

TEST(planted_pod_of_a_reserved_ordinal_breaks_range)
{
    struct plant p = {PLANT_SHOWN("\"berth.dev/reserve-ordinals\":\"0\"",
                                  "\"berth.dev/reserve-ordinals\":\"4\"")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 0, "OrderedReady", "");
    sim_kit_patch(w, "{\"metadata\":{\"annotations\":{\"berth.dev/reserve-ordinals\":\"0\"}}}");
    platform_run_for(w, 5000);
    plant_fine(w);
    sim_kit_patch(w, "{\"spec\":{\"replicas\":1}}");
    platform_run_for(w, 5000);
    sim_kit_end(w, "range");
}

static void create_web(struct platform *w)
{
    sim_kit_ask(
        w, CLIENT_CREATE, SCHEMA_KIND(Deployment), "",
        "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\"},"
        "\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"strategy\":{"
        "\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":0,\"maxUnavailable\":1}},"
        "\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{"
        "\"name\":\"web\",\"image\":\"web:1\"}]}}}}");
    platform_run_for(w, 10000);
    plant_fine(w);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Deployment), "web", PLANT_ROUND2);
    platform_run_for(w, 10000);
}

TEST(planted_deployment_that_may_lose_more_breaks_unavailable)
{
    struct plant p = {.hooks.on_event = plant_shown,
                      .kind = SCHEMA_KIND(Deployment),
                      .from = "\"maxUnavailable\":1",
                      .to = "\"maxUnavailable\":3"};
    struct platform *w = plant_start(&p);
    create_web(w);
    sim_kit_end(w, "unavailable");
}

/* ---- what this checker leaves to a Deployment ---- */

#define WEB_TEMPLATE(round, start_ms)                                                              \
    "\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"},\"annotations\":{\"round\":\"" round \
    "\",\"berth.dev/fake-start-ms\":\"" start_ms "\"}}"

static void patch_web(struct platform *w, const char *body)
{
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Deployment), "web", body);
}

/* One pod that may not be missed, then a second template, then four pods: three old, two new. */
static void roll_and_grow_web(struct platform *w, const char *template)
{
    sim_kit_ask(
        w, CLIENT_CREATE, SCHEMA_KIND(Deployment), "",
        "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\"},"
        "\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"strategy\":{"
        "\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1,\"maxUnavailable\":0}}"
        "," WEB_TEMPLATE(
            "1", "8000") ",\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"web:1\"}]}}}}");
    platform_run_for(w, 12000);
    platform_jump_wall(w, -60000); /* the second set is the older one by its time */
    patch_web(w, template);
    platform_run_for(w, 300);
    patch_web(w, "{\"spec\":{\"replicas\":4}}");
}

/* Fewer are wanted in the midst of a rollout: sets shrink by their sizes, whoever is well. */
TEST(deployment_that_is_scaled_in_a_rollout_shrinks_in_proportion)
{
    struct plant p = {.off = true};
    struct platform *w = plant_start(&p);
    roll_and_grow_web(w, "{\"spec\":{" WEB_TEMPLATE("2", "60000") "}}}");
    platform_run_for(w, 12000);
    plant_fine(w);
    patch_web(w, "{\"spec\":{\"replicas\":3}}");
    platform_run_for(w, 3000);
    sim_kit_end(w, NULL);
}

/* The status of a set trails behind its pods: one that is Ready since half a second goes. */
TEST(deployment_takes_a_pod_that_its_set_does_not_count_yet)
{
    struct plant p = {.hooks.on_event = plant_shown,
                      .kind = SCHEMA_KIND(ReplicaSet),
                      .from = "\"availableReplicas\":2",
                      .to = "\"availableReplicas\":1"};
    struct platform *w = plant_start(&p);
    roll_and_grow_web(w, "{\"spec\":{" WEB_TEMPLATE("2", "1000") "}}}");
    platform_run_for(w, 1500);
    plant_fine(w);
    patch_web(w, "{\"spec\":{" WEB_TEMPLATE("3", "0") "}}}");
    platform_run_for(w, 3000);
    sim_kit_end(w, NULL);
}

static bool grows_no_set(void *data, struct arena *a, struct client_request *rq)
{
    (void)data, (void)a;
    return !(rq->kind == SCHEMA_KIND(ReplicaSet) && rq->verb == CLIENT_PATCH_MERGE &&
             rq->subresource.n == 0);
}

TEST(planted_replicaset_that_is_not_scaled_breaks_convergence)
{
    struct plant p = {.hooks.on_request = grows_no_set};
    struct platform *w = plant_start(&p);
    create_web(w);
    plant_fine(w);
    platform_settle(w);
    sim_kit_end(w, "convergence");
}

TEST(planted_pod_that_nobody_asked_for_breaks_range)
{
    struct plant p = {PLANT_SHOWN("\"spec\":{\"replicas\":1", "\"spec\":{\"replicas\":3")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 10000);
    sim_kit_end(w, "range");
}

static bool falls_back(void *data, struct watch_event *e)
{
    (void)data;
    e->rev = e->type == WATCH_MODIFIED ? 1 : e->rev;
    return true;
}

TEST(planted_revision_that_falls_breaks_revision)
{
    struct plant p = {.hooks.on_watch = falls_back};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    sim_kit_end(w, "revision");
}

static bool loses_one(void *data, struct watch_event *e)
{
    struct plant *p = data;
    bool is_node = span_eq_cstr(json_get_str(object_root(e->object), "kind"), "Node");
    bool lost = is_node && !p->off;
    p->off |= lost;
    return !lost;
}

TEST(planted_event_that_is_lost_breaks_acknowledged)
{
    struct plant p = {.hooks.on_watch = loses_one, .off = true};
    struct platform *w = plant_start(&p);
    p.off = false;
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "far",
                "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}");
    platform_run_for(w, 100);
    sim_kit_end(w, "acknowledged");
}

static bool tells_again(void *data, struct watch_event *e)
{
    (void)data;
    e->type = e->type == WATCH_MODIFIED ? WATCH_ADDED : e->type;
    return true;
}

TEST(planted_object_that_is_made_twice_breaks_watch)
{
    struct plant p = {.hooks.on_watch = tells_again};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    sim_kit_end(w, "watch");
}

static bool keeps_the_dead(void *data, struct watch_event *e)
{
    (void)data;
    return e->type != WATCH_DELETED;
}

TEST(planted_end_that_the_watch_does_not_tell_breaks_list)
{
    struct plant p = {.hooks.on_watch = keeps_the_dead};
    struct platform *w = plant_start(&p);
    platform_fault(w, PLATFORM_KILL_AGENT, 1); /* which would make it anew */
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(Node), "far", "");
    platform_run_for(w, 1000);
    sim_kit_end(w, "list");
}

TEST(planted_disk_that_forgets_breaks_acknowledged)
{
    struct plant p = {.hooks.disk_lies = true};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    plant_fine(w);
    platform_fault(w, PLATFORM_KILL_SERVER, 0);
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_run_for(w, 1000);
    sim_kit_end(w, "acknowledged");
}

TEST(planted_disk_that_does_not_sync_breaks_acknowledged)
{
    struct plant p = {.hooks = {.disk_lies = true, .data = &p}};
    struct platform *w = sim_kit_start_on(PLATFORM_DISK_SQLITE, 7, &p.hooks);
    for (int i = 0; i < 20 && !platform_violation(w, NULL); i++) {
        sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "far",
                    i % 2 ? "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}"
                          : "{\"metadata\":{\"labels\":{\"a\":\"2\"}}}");
        platform_fault(w, PLATFORM_KILL_SERVER, 0);
        platform_fault(w, PLATFORM_START_ALL, 0);
        platform_run_for(w, 10);
    }
    const char *is = platform_violation(w, NULL);
    CHECK(is && (strcmp(is, "acknowledged") == 0 || strcmp(is, "recovery") == 0));
    platform_free(w);
}

static bool tells_no_status(void *data, struct arena *a, struct client_request *rq)
{
    (void)data, (void)a;
    return !(rq->kind == SCHEMA_KIND(StatefulSet) && span_eq_cstr(rq->subresource, "status"));
}

TEST(planted_status_that_is_not_written_breaks_status)
{
    struct plant p = {.hooks.on_request = tells_no_status};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 30000);
    sim_kit_end(w, "status");
}

static bool makes_no_second(void *data, struct arena *a, struct client_request *rq)
{
    (void)data;
    return !(plant_is_from(rq, CLIENT_CREATE, "statefulset-controller") &&
             strstr(link_body_text(a, rq), "\"name\":\"redis-1\""));
}

TEST(planted_pod_that_is_never_made_breaks_convergence)
{
    struct plant p = {.hooks.on_request = makes_no_second};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "OrderedReady", "");
    platform_run_for(w, 5000);
    plant_fine(w);
    platform_settle(w);
    sim_kit_end(w, "convergence");
}

/* Without a bug the same scenarios are fine. */
TEST(planted_nothing_breaks_nothing)
{
    struct plant p = {0};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 3, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 10000);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 15000);
    platform_fault(w, PLATFORM_KILL_SERVER, 0);
    platform_fault(w, PLATFORM_START_ALL, 0);
    sim_kit_patch(w, "{\"spec\":{\"replicas\":1}}");
    create_web(w);
    platform_settle(w);
    sim_kit_end(w, NULL);
}
