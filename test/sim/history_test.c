/* The whole platform on virtual time: histories of users and faults, with the checkers of sim/.
 * `make sim` runs more of them. */
#include "base/log.h"
#include "sim/link.h"
#include "sim/platform.h"
#include "store/store.h"
#include "test/kit/kit.h"
#include "test/kit/sim_kit.h"

static void history(const struct platform_options *o, int steps)
{
    struct platform *w = platform_new(o);
    for (int i = 0; i < steps; i++) {
        platform_step(w);
    }
    platform_settle(w);
    const char *story = NULL, *checker = platform_violation(w, &story);
    if (checker) {
        kit_note("seed %llu breaks \"%s\": %s", (unsigned long long)o->seed, checker, story);
    }
    CHECK(!checker);
    platform_free(w);
}

/* ---- what histories have found ---- */

/* A node agent that was started again spun until the objects that its pods refer to had come. */
TEST(agent_that_waits_for_references_lets_the_turn_end)
{
    struct platform *w = sim_kit_start(2, NULL);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    platform_fault(w, PLATFORM_KILL_AGENT, 0);
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* A node that was back said Ready, and the node controller Unknown, as fast as both could until the
 * next renewal of its lease. */
TEST(node_that_is_back_is_believed)
{
    struct platform *w = sim_kit_start(3, NULL);
    platform_fault(w, PLATFORM_CUT_NODE, 1);
    platform_run_for(w, 65000);
    uint64_t turns = platform_figures(w).turns;
    platform_fault(w, PLATFORM_MEND_NODE, 1);
    platform_run_for(w, 9000);
    kit_note("%llu turns", (unsigned long long)(platform_figures(w).turns - turns));
    CHECK(platform_figures(w).turns - turns < 500);
    sim_kit_end(w, NULL);
}

/* A sync that asked to run again before it knew that its write fails ran again at once. */
TEST(full_disk_is_not_tried_without_a_pause)
{
    struct platform *w = sim_kit_start(4, NULL);
    platform_fault(w, PLATFORM_CUT_NODE, 1);
    platform_fault(w, PLATFORM_FILL_DISK, 0);
    platform_run_for(w, 45000);
    uint64_t turns = platform_figures(w).turns;
    platform_run_for(w, 30000);
    kit_note("%llu turns", (unsigned long long)(platform_figures(w).turns - turns));
    CHECK(platform_figures(w).turns - turns < 1000);
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* Each pod on its way out asked for its end and told its status twice a second, for as long as the
 * disk was full. */
TEST(agent_on_a_full_disk_asks_less_and_less_often)
{
    struct platform *w = sim_kit_start(15, NULL);
    sim_kit_create(w, 4, "Parallel", "");
    platform_run_for(w, 5000);
    sim_kit_patch(w, "{\"spec\":{\"replicas\":0}}");
    platform_run_for(w, 1000);
    platform_fault(w, PLATFORM_FILL_DISK, 0);
    platform_run_for(w, 60000);
    uint64_t turns = platform_figures(w).turns;
    platform_run_for(w, 60000);
    kit_note("%llu turns", (unsigned long long)(platform_figures(w).turns - turns));
    CHECK(platform_figures(w).turns - turns < 400);
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* The first probe of an adopted container waited for its start to be in the past. */
TEST(clock_that_is_set_back_does_not_put_probes_off)
{
    struct platform *w = sim_kit_start(5, NULL);
    sim_kit_create(w, 0, "OrderedReady", "");
    sim_kit_patch(w, "{\"spec\":{\"replicas\":1,\"template\":{\"metadata\":{\"annotations\":{"
                     "\"berth.dev/fake-ready-ms\":\"6000\"}}}}}");
    platform_run_for(w, 3000); /* it runs, and is not ready */
    platform_jump_wall(w, -3600000);
    for (size_t i = 0; i < 2; i++) {
        platform_fault(w, PLATFORM_KILL_AGENT, i);
    }
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* A container's back-off counted from the wall clock: set back by an hour, it lasted that hour. */
TEST(clock_that_is_set_back_does_not_stretch_a_back_off)
{
    struct platform *w = sim_kit_start(6, NULL);
    sim_kit_create(w, 1, "OrderedReady", "");
    sim_kit_patch(w, "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{"
                     "\"berth.dev/fake-exit-after-ms\":\"300\"}}}}}");
    platform_run_for(w, 500);
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(Pod), "redis-0", "");
    platform_run_for(w, 20000);
    platform_jump_wall(w, -3600000);
    uint64_t starts = platform_figures(w).starts;
    platform_run_for(w, 120000);
    CHECK(platform_figures(w).starts > starts);
    sim_kit_end(w, NULL);
}

/* A pause counted for nothing with Recreate: all pods went. */
TEST(paused_set_with_recreate_keeps_its_pods)
{
    struct platform *w = sim_kit_start(13, NULL);
    sim_kit_create(w, 2, "OrderedReady", ",\"updateStrategy\":{\"type\":\"Recreate\"}");
    platform_run_for(w, 8000);
    sim_kit_patch(w, "{\"metadata\":{\"annotations\":{\"berth.dev/paused\":\"true\"}},\"spec\":{"
                     "\"template\":{\"metadata\":{\"annotations\":{\"round\":\"2\"}}}}}");
    platform_run_for(w, 5000);
    CHECK_EQ(platform_figures(w).deeds[SIM_DEED_SAW_TAKE].done, 0);
    sim_kit_patch(w, "{\"metadata\":{\"annotations\":{\"berth.dev/paused\":null}}}");
    platform_settle(w);
    CHECK_EQ(platform_figures(w).deeds[SIM_DEED_SAW_TAKE].done, 2);
    sim_kit_end(w, NULL);
}

static void of_seed(uint64_t seed)
{
    struct store_memory_disk *first_start = platform_first_start();
    history(&(struct platform_options){.seed = seed, .first_start = first_start}, 35);
    store_memory_disk_free(first_start);
}

/* A checker counted a pod as taken whose deletion had gone down with the server. The server dies
 * while it commits, which only histories can do. */
TEST(pod_whose_deletion_went_down_with_the_server_is_not_taken)
{
    of_seed(12028460);
    of_seed(13059540); /* another server was there within the millisecond */
}

/* A watch broke off; the new list did not have the pod that the controller had just made, since it
 * was gone again: no event told of it, and nothing made it anew. */
TEST(pod_that_was_made_and_gone_between_two_lists_is_made_again)
{
    of_seed(12054274);
}

/* A pod goes to another node than the one where room was made for it, and its binding failed for
 * long: a checker missed the room. */
TEST(room_that_is_not_needed_any_more_is_not_kept)
{
    of_seed(14030361);
}

/* The set was refused a pod, by a view that did not have the deletion of one before it yet: a
 * checker of quotas wanted it to try again before that one was gone. */
TEST(pod_on_its_way_out_is_waited_for_before_a_refused_one)
{
    of_seed(18582142);
}

/* The set counts a pod that it takes as taken; a checker saw the deletion still under way, and
 * nothing else that had changed: the roll-out goes on by an annotation alone. */
TEST(roll_out_that_goes_on_is_a_change)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct platform *w = sim_kit_start(seed, NULL);
        sim_kit_create(w, 2, "Parallel", "");
        platform_run_for(w, 10000);
        sim_kit_patch(w, "{\"metadata\":{\"annotations\":{\"berth.dev/paused\":\"true\"}},\"spec\":"
                         "{\"template\":{\"metadata\":{\"annotations\":{\"round\":\"2\"}}}}}");
        platform_run_for(w, 10000);
        platform_late(w, 300);
        sim_kit_patch(w, "{\"metadata\":{\"annotations\":{\"berth.dev/paused\":null}}}");
        platform_run_for(w, 2000);
        platform_settle(w);
        sim_kit_end(w, NULL);
    }
}

/* The clock was set forward between a pod's making and the telling of it: to a checker the deadline
 * began only then. */
TEST(deadline_that_began_before_the_clock_was_set_is_missed)
{
    struct store_memory_disk *first_start = platform_first_start();
    history(&(struct platform_options){.seed = 11908, .first_start = first_start}, 60);
    store_memory_disk_free(first_start);
}

/* A checker did not expect that a node may be too full for a resize for good. */
TEST(resize_beside_a_big_pod_may_wait)
{
    of_seed(14037159);
}

/* The server was killed after it had made a set there, and the namespace's deletion was seen before
 * the set was: it stayed for ever. */
TEST(namespace_waits_for_what_a_view_does_not_know_yet)
{
    of_seed(15040081);
}

/* Nobody looked at a claim that had lost its owner until a pod of the set changed. */
TEST(claim_that_loses_its_owner_gets_it_back)
{
    struct platform *w = sim_kit_start(14, NULL);
    sim_kit_create(w, 2, "OrderedReady",
                   SIM_KIT_CLAIMS ",\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":"
                                  "\"Retain\",\"whenDeleted\":\"Delete\"}");
    platform_run_for(w, 8000);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(PersistentVolumeClaim), "data-redis-1",
                "{\"metadata\":{\"ownerReferences\":null}}");
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* Stops the set's controller between giving a claim to its condemned pod and taking that pod. */
static bool takes_nobody(void *data, struct arena *a, struct client_request *rq)
{
    const bool *on = data;
    (void)a;
    return !(*on && rq->verb == CLIENT_DELETE &&
             span_eq_cstr(rq->field_manager, "statefulset-controller"));
}

static bool keeps_events(void *data, struct arena *a, struct client_request *rq)
{
    const bool *on = data;
    (void)a;
    return !(*on && rq->verb == CLIENT_DELETE && rq->kind == SCHEMA_KIND(Event));
}

/* The disk failed when a namespace went: one of its events stayed, and was in the next namespace of
 * that name. */
TEST(namespace_goes_after_the_last_of_its_events)
{
    bool on = true;
    const struct platform_plant plant = {.on_request = keeps_events, .data = &on};
    struct platform *w = sim_kit_start(21, &plant);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Namespace), "",
                "{\"metadata\":{\"name\":\"other\"}}");
    const struct client_request event = {
        CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE, .kind = SCHEMA_KIND(Event), .ns = SPAN("other"),
        .body = SPAN("{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"kind\":\"Pod\","
                     "\"namespace\":\"other\",\"name\":\"p\"},\"reason\":\"Tested\"}")};
    CHECK(platform_request(w, &event));
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(Namespace), "other", "");
    platform_run_for(w, 5000);
    sim_kit_ask(w, CLIENT_GET, SCHEMA_KIND(Namespace), "other", "");
    on = false;
    platform_run_for(w, 5000);
    const struct client_request gone = {CLIENT_REQUEST_INIT, .verb = CLIENT_GET,
                                        .kind = SCHEMA_KIND(Namespace), .name = SPAN("other")};
    CHECK(!platform_request(w, &gone));
    sim_kit_end(w, NULL);
}

/* A pod that waits in the foreground for a claim of its own, and the claim for the pod that uses
 * it, waited for ever. */
TEST(pod_and_claim_do_not_wait_for_each_other)
{
    bool on = true;
    const struct platform_plant plant = {.on_request = takes_nobody, .data = &on};
    struct platform *w = sim_kit_start(7, &plant);
    sim_kit_create(w, 2, "OrderedReady",
                   SIM_KIT_CLAIMS ",\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":"
                                  "\"Delete\",\"whenDeleted\":\"Retain\"}");
    platform_run_for(w, 8000);
    sim_kit_patch(w, "{\"spec\":{\"replicas\":1}}");
    platform_run_for(w, 1000);
    on = false;
    const struct client_request rq = {
        CLIENT_REQUEST_INIT,   .verb = CLIENT_DELETE, .kind = SCHEMA_KIND(StatefulSet),
        .ns = SPAN("default"), .name = SPAN("redis"), .propagation = CLIENT_PROPAGATION_FOREGROUND};
    CHECK(platform_request(w, &rq));
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* The watch showed the new Node before the reply to its creation had come: the node agent was busy,
 * and then never wrote the status. */
TEST(agent_whose_watch_is_faster_than_its_reply_writes_the_node_s_status)
{
    struct platform *w = sim_kit_start(16, NULL);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "edge",
                "{\"spec\":{\"unschedulable\":true}}");
    sim_kit_create(w, 1, "OrderedReady", ""); /* at rest when the other node is Ready */
    platform_fault(w, PLATFORM_KILL_AGENT, 1);
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(Node), "far", "");
    platform_slow(w, 300, 0);
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_run_for(w, 20000);
    CHECK_EQ(platform_figures(w).starts, 1);
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* The node controller's late word that the node is silent stood upon the agent's own write, and the
 * watch showed it before the reply had come: the pod was never said to be Ready again. */
TEST(agent_whose_watch_is_faster_than_its_reply_corrects_what_others_wrote)
{
    const struct client_request silent = {
        CLIENT_REQUEST_INIT,
        .verb = CLIENT_PATCH_MERGE,
        .kind = SCHEMA_KIND(Pod),
        .ns = SPAN("default"),
        .name = SPAN("redis-0"),
        .subresource = SPAN("status"),
        .body = SPAN("{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]}}"),
        .field_manager = SPAN("node-controller")};
    struct platform *w = sim_kit_start(10, NULL);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_settle(w);
    for (int i = 0; i < 40 && !platform_violation(w, NULL); i++) {
        platform_late(w, 300);
        CHECK(platform_request(w, &silent));
        platform_run_for(w, 20 * i);
        CHECK(platform_request(w, &silent)); /* upon the agent's answer to the first, perhaps */
        platform_settle(w);
    }
    sim_kit_end(w, NULL);
}

static bool counts_statuses(void *data, struct arena *a, struct client_request *rq)
{
    int *n = data;
    (void)a;
    *n += rq->kind == SCHEMA_KIND(Pod) && span_eq_cstr(rq->subresource, "status") &&
          span_eq_cstr(rq->field_manager, "kubelet");
    return true;
}

/* A condition of somebody else came while a write of the agent was under way: it answered each of
 * two versions with a write like the other one, for ever. */
TEST(agent_does_not_argue_with_itself_about_what_others_say)
{
    for (int ms = 600; ms < 3600; ms += 60) { /* about when the agent says that it is Ready */
        int statuses = 0;
        const struct platform_plant plant = {.on_request = counts_statuses, .data = &statuses};
        struct platform *w = sim_kit_start(17, &plant);
        platform_slow(w, 0, 300);
        sim_kit_create(w, 1, "OrderedReady", "");
        platform_run_for(w, ms);
        (void)sim_kit_evict(w, "redis-0"); /* adds a condition, then deletes */
        statuses = 0;
        sim_kit_patch(w, "{\"spec\":{\"replicas\":0}}");
        platform_run_for(w, 10000);
        if (statuses > 4) {
            kit_note("evicted after %d ms: %d statuses", ms, statuses);
        }
        CHECK(statuses <= 6);
        sim_kit_end(w, NULL);
    }
}

/* Sends the node agent's first deletion to a pod that is not there. */
static bool misses_once(void *data, struct arena *a, struct client_request *rq)
{
    bool *done = data;
    (void)a;
    if (!*done && rq->verb == CLIENT_DELETE && span_eq_cstr(rq->field_manager, "kubelet")) {
        rq->name = SPAN("absent");
        *done = true;
    }
    return true;
}

/* The answer "not found" rested on another deletion whose commit then failed: the node agent waited
 * for the pod's end for ever. */
TEST(agent_that_is_told_not_found_too_early_asks_again)
{
    bool done = false;
    const struct platform_plant plant = {.on_request = misses_once, .data = &done};
    struct platform *w = sim_kit_start(8, &plant);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    sim_kit_patch(w, "{\"spec\":{\"replicas\":0}}");
    platform_settle(w);
    CHECK(done);
    sim_kit_end(w, NULL);
}

static bool tells_another_once(void *data, struct arena *a, struct client_request *rq)
{
    bool *done = data;
    bool is_ready = strstr(link_body_text(a, rq), "\"type\":\"Ready\",\"status\":\"True\"");
    if (!*done && is_ready && rq->kind == SCHEMA_KIND(Pod) &&
        span_eq_cstr(rq->subresource, "status") && span_eq_cstr(rq->field_manager, "kubelet")) {
        rq->name = SPAN("absent");
        *done = true;
    }
    return true;
}

/* So did its status: the pod ran, and was Pending for ever. */
TEST(agent_that_is_told_not_found_too_early_tells_the_status_again)
{
    bool done = false;
    const struct platform_plant plant = {.on_request = tells_another_once, .data = &done};
    struct platform *w = sim_kit_start(12, &plant);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_settle(w);
    CHECK(done);
    sim_kit_end(w, NULL);
}

static bool binds_another_once(void *data, struct arena *a, struct client_request *rq)
{
    bool *done = data;
    (void)a;
    if (!*done && span_eq_cstr(rq->subresource, "binding")) {
        rq->name = SPAN("absent");
        *done = true;
    }
    return true;
}

/* The answer "not found" to a binding rested on a deletion whose commit then failed, on a full
 * disk: the pod was never given a node. */
TEST(scheduler_that_is_told_not_found_too_early_asks_again)
{
    bool done = false;
    const struct platform_plant plant = {.on_request = binds_another_once, .data = &done};
    struct platform *w = sim_kit_start(9, &plant);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_settle(w);
    CHECK(done);
    sim_kit_end(w, NULL);
}

/* A watch that lists again showed another set of the same name as a change of the one before: the
 * garbage collector never heard of that one's end, and its pods stood in the way for ever. */
TEST(gc_takes_the_pods_of_a_set_whose_name_another_has_meanwhile)
{
    struct platform *w = sim_kit_start(18, NULL);
    sim_kit_create(w, 2, "Parallel", "");
    platform_run_for(w, 5000);
    platform_slow(w, 0, 3000);
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(StatefulSet), "redis", "");
    sim_kit_create(w, 2, "Parallel", "");
    platform_fault(w, PLATFORM_KILL_SERVER, 0); /* what was on its way is not told */
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* The garbage collector met a pod whose deletion was not durable yet, was told that it is not
 * there, and looked again at once, for ever, within one turn: the turn never ended, so the deletion
 * was never committed. */
TEST(gc_that_meets_an_uncommitted_deletion_lets_the_turn_end)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct platform *w = sim_kit_start(seed, NULL);
        sim_kit_create(w, 3, "Parallel", "");
        platform_run_for(w, (int64_t)seed * 100);
        sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(StatefulSet), "redis", "");
        platform_settle(w);
        sim_kit_end(w, NULL);
    }
}

/* ---- histories ---- */

#ifdef __SANITIZE_ADDRESS__
enum { HISTORIES = 6 };
#else
enum { HISTORIES = 24 };
#endif

TEST_T(histories_of_users_alone_keep_every_promise, 60)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    for (uint64_t seed = 1000; seed < 1000 + HISTORIES; seed++) {
        history(&(struct platform_options){.seed = seed, .calm = true}, 60);
    }
}

TEST_T(histories_of_faults_and_users_keep_every_promise, 60)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    for (uint64_t seed = 200; seed < 200 + HISTORIES; seed++) {
        history(&(struct platform_options){.seed = seed, .narrow = seed % 4 == 0}, 60);
    }
}
