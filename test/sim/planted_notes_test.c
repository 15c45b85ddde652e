/* The checkers of what the annotations of a set promise, of Recreate and of the status: each
 * catches a bug that is planted for it. */
#include "base/arena.h"
#include "client/client_body.h"
#include "sim/link.h"
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"

static void note(struct platform *w, const char *notes)
{
    struct arena *a cleanup_arena = arena_new();
    sim_kit_patch(w, arena_printf(a, "{\"metadata\":{\"annotations\":{%s}}}", notes).p);
}

/* A set of so many pods, all well, with annotations. */
static void create(struct platform *w, int replicas, const char *policy, const char *notes)
{
    sim_kit_create(w, replicas, policy, "");
    note(w, notes);
    platform_run_for(w, 15000);
    plant_fine(w);
}

/* ---- start-parallelism ---- */

TEST(planted_window_that_is_too_wide_breaks_start_parallelism)
{
    struct plant p = {PLANT_SHOWN("\"berth.dev/start-parallelism\":\"2\"",
                                  "\"berth.dev/start-parallelism\":\"4\"")};
    struct platform *w = plant_start(&p);
    create(w, 0, "OrderedReady", "\"berth.dev/start-parallelism\":\"2\"");
    sim_kit_patch(w, "{\"spec\":{\"replicas\":4}}");
    platform_run_for(w, 5000);
    sim_kit_end(w, "start-parallelism");
}

TEST(planted_window_of_a_set_that_has_none_breaks_order_up)
{
    struct plant p = {PLANT_SHOWN("\"berth.dev/start-parallelism\":\"0\"",
                                  "\"berth.dev/start-parallelism\":\"2\"")};
    struct platform *w = plant_start(&p);
    create(w, 0, "OrderedReady", "\"berth.dev/start-parallelism\":\"0\"");
    sim_kit_patch(w, "{\"spec\":{\"replicas\":4}}");
    platform_run_for(w, 5000);
    sim_kit_end(w, "order-up");
}

/* ---- update-order ---- */

static void promote(struct platform *w, const char *pod)
{
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Pod), pod,
                "{\"metadata\":{\"labels\":{\"role\":\"primary\"}}}");
    platform_run_for(w, 3000);
    plant_fine(w);
}

TEST(planted_primary_that_does_not_go_last_breaks_update_order)
{
    struct plant p = {PLANT_SHOWN("\"berth.dev/update-order\":\"last:role=primary\"",
                                  "\"berth.dev/update-order\":\"last:role=nobody\"")};
    struct platform *w = plant_start(&p);
    create(w, 3, "OrderedReady", "\"berth.dev/update-order\":\"last:role=primary\"");
    promote(w, "redis-2");
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 10000);
    sim_kit_end(w, "update-order");
}

TEST(primary_goes_last)
{
    struct plant p = {0};
    struct platform *w = plant_start(&p);
    create(w, 3, "OrderedReady", "\"berth.dev/update-order\":\"last:role=primary\"");
    promote(w, "redis-2");
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 20000);
    CHECK_EQ(platform_figures(w).deeds[SIM_DEED_SAW_LAST].done, 1);
    sim_kit_end(w, NULL);
}

TEST(planted_update_from_the_lowest_breaks_order_update)
{
    struct plant p = {PLANT_SHOWN("\"berth.dev/update-order\":\"role=primary\"",
                                  "\"berth.dev/update-order\":\"last:role=primary\"")};
    struct platform *w = plant_start(&p);
    create(w, 3, "OrderedReady", "\"berth.dev/update-order\":\"role=primary\"");
    promote(w, "redis-2");
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 10000);
    sim_kit_end(w, "order-update");
}

/* ---- Recreate, partition, paused: which revision a new pod has ---- */

TEST(planted_rolling_update_of_a_recreated_set_breaks_recreate)
{
    struct plant p = {PLANT_SHOWN("\"updateStrategy\":{\"type\":\"Recreate\"}",
                                  "\"updateStrategy\":{\"type\":\"RollingUpdate\"}")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 3, "OrderedReady", ",\"updateStrategy\":{\"type\":\"Recreate\"}");
    platform_run_for(w, 15000);
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 10000);
    sim_kit_end(w, "recreate");
}

static void roll_and_lose_one(struct platform *w)
{
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 3000);
    plant_fine(w);
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(Pod), "redis-0", "");
    platform_run_for(w, 10000);
}

/* Keeps an update from happening, and lies about what the strategy is for a pod that comes back. */
TEST(planted_pod_that_comes_back_new_below_the_partition_breaks_partition)
{
    struct plant p = {PLANT_SHOWN("\"updateStrategy\":{\"type\":\"RollingUpdate\","
                                  "\"rollingUpdate\":{\"partition\":2}}",
                                  "\"updateStrategy\":{\"type\":\"OnDelete\"}")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "OrderedReady", SIM_KIT_STRATEGY(2, ""));
    platform_run_for(w, 10000);
    plant_fine(w);
    roll_and_lose_one(w);
    sim_kit_end(w, "partition");
}

TEST(planted_pod_that_comes_back_new_during_a_pause_breaks_paused)
{
    struct plant p = {PLANT_SHOWN("\"updateStrategy\":{\"type\":\"RollingUpdate\","
                                  "\"rollingUpdate\":{\"partition\":0}}",
                                  "\"updateStrategy\":{\"type\":\"OnDelete\"}")};
    struct platform *w = plant_start(&p);
    create(w, 2, "OrderedReady", "\"berth.dev/paused\":\"true\"");
    roll_and_lose_one(w);
    sim_kit_end(w, "paused");
}

/* ---- auto-rollback ---- */

#define DEADLINE "\"berth.dev/progress-deadline\":\"1m\",\"berth.dev/auto-rollback\":\"true\""
static const char never_ready[] =
    "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"berth.dev/fake-ready-ms\":"
    "\"36000000\"}}}}}";

static void miss_the_deadline(struct plant *p, const char *checker)
{
    struct platform *w = plant_start(p);
    create(w, 2, "OrderedReady", DEADLINE);
    sim_kit_patch(w, never_ready);
    platform_run_for(w, 120000);
    if (!checker) {
        CHECK_EQ(platform_figures(w).deeds[SIM_DEED_SAW_ROLLBACK].done, 1);
        platform_settle(w);
    }
    sim_kit_end(w, checker);
}

TEST(set_that_misses_its_deadline_goes_back)
{
    struct plant p = {0};
    miss_the_deadline(&p, NULL);
}

TEST(planted_deadline_that_is_too_short_breaks_rollback)
{
    struct plant p = {PLANT_SHOWN("\"berth.dev/progress-deadline\":\"1m\"",
                                  "\"berth.dev/progress-deadline\":\"9s\"")};
    miss_the_deadline(&p, "rollback");
}

TEST(planted_rollback_that_nobody_asked_for_breaks_rollback)
{
    struct plant p = {
        PLANT_SHOWN("\"berth.dev/auto-rollback\":\"no\"", "\"berth.dev/auto-rollback\":\"true\"")};
    struct platform *w = plant_start(&p);
    create(w, 2, "OrderedReady", DEADLINE);
    note(w, "\"berth.dev/auto-rollback\":\"no\"");
    sim_kit_patch(w, never_ready);
    platform_run_for(w, 120000);
    sim_kit_end(w, "rollback");
}

/* Replaces a text in the set that goes back. */
static bool goes_elsewhere(void *data, struct arena *a, struct client_request *rq)
{
    struct plant *p = data;
    const char *body = link_body_text(a, rq), *at = NULL;
    if (rq->kind == SCHEMA_KIND(StatefulSet) && rq->verb == CLIENT_UPDATE) {
        at = strstr(body, p->from);
    }
    if (at) {
        rq->body = arena_printf(a, "%.*s%s%s", (int)(at - body), body, p->to, at + strlen(p->from));
    }
    return true;
}

TEST(planted_rollback_to_another_template_breaks_rollback)
{
    struct plant p = {.hooks.on_request = goes_elsewhere,
                      .from = "\"berth.dev/fake-start-ms\":\"1000\"",
                      .to = "\"berth.dev/fake-start-ms\":\"1001\""};
    miss_the_deadline(&p, "rollback");
}

TEST(planted_rollback_that_changes_more_breaks_rollback)
{
    struct plant p = {
        .hooks.on_request = goes_elsewhere, .from = "\"replicas\":2,", .to = "\"replicas\":3,"};
    miss_the_deadline(&p, "rollback");
}

TEST(planted_set_that_does_not_go_back_breaks_rollback)
{
    struct plant p = {PLANT_SHOWN("\"berth.dev/auto-rollback\":\"true\"",
                                  "\"berth.dev/auto-rollback\":\"false\"")};
    miss_the_deadline(&p, "rollback");
}

/* ---- status ---- */

static bool is_status(const struct client_request *rq)
{
    return rq->kind == SCHEMA_KIND(StatefulSet) && span_eq_cstr(rq->subresource, "status");
}

/* Counts one pod too many. */
static bool exaggerates(void *data, struct arena *a, struct client_request *rq)
{
    (void)data;
    const char *body = link_body_text(a, rq), *at = NULL;
    if (is_status(rq)) {
        at = strstr(body, "\"readyReplicas\":1");
    }
    if (at) {
        rq->body = arena_printf(a, "%.*s\"readyReplicas\":2%s", (int)(at - body), body, at + 17);
    }
    return true;
}

TEST(planted_status_that_counts_too_many_breaks_status_at_once)
{
    struct plant p = {.hooks.on_request = exaggerates};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "OrderedReady", "");
    platform_run_for(w, 1800); /* the first pod is Ready since a moment */
    sim_kit_end(w, "status");
}

/* A status that was true some seconds ago. */
struct late_status {
    struct platform_plant hooks;
    char body[4096];
};

static bool tells_the_past(void *data, struct arena *a, struct client_request *rq)
{
    struct late_status *l = data;
    const char *body = is_status(rq) ? link_body_text(a, rq) : "";
    if (strstr(body, "\"readyReplicas\":1")) {
        snprintf(l->body, sizeof l->body, "%s", body);
    } else if (strstr(body, "\"readyReplicas\":3")) {
        rq->body = span_cstr(l->body);
    }
    return true;
}

TEST(planted_status_of_the_past_breaks_status)
{
    struct late_status l = {.hooks = {.on_request = tells_the_past}};
    l.hooks.data = &l;
    struct platform *w = sim_kit_start(7, &l.hooks);
    sim_kit_create(w, 3, "OrderedReady", "");
    platform_run_for(w, 10000);
    sim_kit_end(w, "status");
}

static bool loses_the_last(void *data, struct arena *a, struct client_request *rq)
{
    (void)data;
    return !(is_status(rq) && strstr(link_body_text(a, rq), "\"readyReplicas\":2"));
}

/* Users go on: they change the set, its neighbours and nodes, and no pod. */
TEST(planted_status_that_stays_behind_breaks_status_while_users_go_on)
{
    struct plant p = {.hooks.on_request = loses_the_last};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "OrderedReady", "");
    platform_run_for(w, 5000);
    plant_fine(w);
    for (int i = 0; i < 8 && !platform_violation(w, NULL); i++) {
        sim_kit_patch(w, i % 2 ? "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}"
                               : "{\"metadata\":{\"labels\":{\"a\":\"2\"}}}");
        platform_run_for(w, 500);
    }
    sim_kit_end(w, "status");
}
