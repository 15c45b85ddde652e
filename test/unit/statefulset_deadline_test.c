/* test/unit/statefulset_deadline_test.c: the deadline of a roll-out outlives the controller that
 * watches it, and a way back that was refused is tried again. */
#include <stdlib.h>

#include "kit/controller_kit.h"
#include "kit/kit.h"
#include "schema/kinds.h"

#define SET                                                                                        \
    "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\","         \
    "\"annotations\":{\"berth.dev/progress-deadline\":\"10s\"}},\"spec\":{\"replicas\":2,"         \
    "\"serviceName\":\"web\",\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"updateStrategy\":" \
    "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":0}},\"template\":{\"metadata\":" \
    "{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"}]" \
    "}}}}"

struct bed {
    struct controller_kit k;
    int refuse; /* updates of the set that still fail */
    int asked;
};

static enum err_reason fault(void *data, const struct client_request *rq)
{
    struct bed *b = data;
    if (rq->verb != CLIENT_UPDATE || rq->kind != SCHEMA_KIND(StatefulSet)) {
        return ERR_NONE;
    }
    b->asked++;
    return b->refuse > 0 && b->refuse-- ? ERR_CONFLICT : ERR_NONE;
}

/* A set whose roll-out to a second image cannot come further; 1 s after that. */
static struct bed *stuck_bed(void)
{
    struct bed *b = calloc(1, sizeof *b);
    struct fake_node_options works = {.start_ms = 10, .stop_ms = 10, .bind = true};
    controller_kit_begin(&b->k, &works);
    fake_client_fault(b->k.api, fault, b);
    controller_kit_run(&b->k, CONTROLLERS(&controller_statefulset));
    fake_client_create(b->k.api, SET);
    env_sim_run_for(b->k.env, 1000);
    works.never_ready = true;
    fake_node_set(b->k.node, &works);
    fake_client_patch(b->k.api, "apps", "StatefulSet", "default", "web", "",
                      "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\","
                      "\"image\":\"i:2\"}]}}}}");
    env_sim_run_for(b->k.env, 1000);
    return b;
}

static void bed_free(struct bed *b)
{
    controller_kit_end(&b->k);
    free(b);
}

static yyjson_val *condition(struct bed *b, const char *type)
{
    return client_condition(fake_client_get(b->k.api, "apps", "StatefulSet", "default", "web"),
                            type);
}

TEST(the_clock_goes_on_when_another_controller_takes_over)
{
    struct bed *b = stuck_bed();
    CHECK(span_ends(json_get_str(condition(b, "berth.dev/Advanced"), "message"),
                    SPAN(": 1 updated, 1 available")));
    env_sim_run_for(b->k.env, 5000);
    controller_kit_run(&b->k, CONTROLLERS(&controller_statefulset));
    env_sim_run_for(b->k.env, 2000);
    CHECK_SPAN(json_get_str(condition(b, "Progressing"), "reason"), "RolloutInProgress");
    env_sim_run_for(b->k.env, 5000); /* 13 s in all */
    CHECK_SPAN(json_get_str(condition(b, "Progressing"), "reason"), "ProgressDeadlineExceeded");
    CHECK_EQ(b->asked, 0);
    bed_free(b);
}

TEST(a_way_back_that_met_another_write_is_tried_again_and_then_the_clock_is_gone)
{
    struct bed *b = stuck_bed();
    b->refuse = 2;
    fake_client_patch(b->k.api, "apps", "StatefulSet", "default", "web", "",
                      "{\"metadata\":{\"annotations\":{\"berth.dev/auto-rollback\":\"true\"}}}");
    env_sim_run_for(b->k.env, 9000);
    CHECK_EQ(b->asked, 0);
    fake_node_set(b->k.node,
                  &(struct fake_node_options){.start_ms = 10, .stop_ms = 10, .bind = true});
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(b->asked, 3);
    CHECK_SPAN(json_get_str(condition(b, "Progressing"), "reason"), "RolloutComplete");
    CHECK(condition(b, "berth.dev/Advanced") == NULL);
    uint64_t writes = fake_client_writes(b->k.api);
    env_sim_run_for(b->k.env, 60000);
    CHECK_EQ(fake_client_writes(b->k.api), writes);
    bed_free(b);
}
