/* Bugs planted where pods give way to more important ones: the checkers of sim/ranks.c must see
 * each. */
#include "client/client_body.h"
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"

/* class NULL: none. */
static void labelled(struct platform *w, int n, const char *app, const char *class, int cpu,
                     int stop_ms)
{
    struct arena *a cleanup_arena = arena_new();
    sim_kit_ask(
        w, CLIENT_CREATE, SCHEMA_KIND(Pod), "",
        arena_printf(a,
                     "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"big-%d\","
                     "\"labels\":{\"app\":\"%s\"},\"annotations\":{\"berth.dev/"
                     "fake-stop-ms\":\"%d\"}},\"spec\":{"
                     "\"terminationGracePeriodSeconds\":5,%s%s%s\"containers\":[{\"name\":\"one\","
                     "\"image\":\"one:1\",\"resources\":{\"requests\":{\"cpu\":\"%dm\"}}}]}}",
                     n, app, stop_ms, class ? "\"priorityClassName\":\"" : "", class ? class : "",
                     class ? "\"," : "", cpu)
            .p);
    platform_run_for(w, 500);
}

static void big(struct platform *w, int n, const char *class, int cpu, int stop_ms)
{
    labelled(w, n, "big", class, cpu, stop_ms);
}

/* One of two nodes is open. */
static struct platform *start(struct plant *p)
{
    static const char *const classes[] = {
        "\"metadata\":{\"name\":\"least\"},\"value\":-100",
        "\"metadata\":{\"name\":\"high\"},\"value\":1000",
        "\"metadata\":{\"name\":\"patient\"},\"value\":1000,\"preemptionPolicy\":\"Never\""};
    struct arena *a cleanup_arena = arena_new();
    struct platform *w = plant_start(p);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(PriorityClass), "",
                    arena_printf(a,
                                 "{\"kind\":\"PriorityClass\",\"apiVersion\":"
                                 "\"scheduling.k8s.io/v1\",%s}",
                                 classes[i])
                        .p);
    }
    platform_run_for(w, 5000);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "far",
                "{\"spec\":{\"unschedulable\":true}}");
    platform_run_for(w, 2000);
    return w;
}

struct asked {
    const char *class;
    int cpu;
};

/* The first waits or is there; the next comes 5 s later. */
static void history(const struct plant *plant, const struct asked *pods, size_t n,
                    const char *checker)
{
    struct plant p = *plant;
    struct platform *w = start(&p);
    for (size_t i = 0; i < n; i++) {
        big(w, (int)i, pods[i].class, pods[i].cpu, 300);
        platform_run_for(w, 4500);
    }
    if (!checker) {
        platform_settle(w);
    }
    sim_kit_end(w, checker);
}

#define PODS(...)                                                                                  \
    (const struct asked[]){__VA_ARGS__},                                                           \
        sizeof((const struct asked[]){__VA_ARGS__}) / sizeof(struct asked)

/* The scheduler is shown pods with this text replaced by that. */
static void shown(const char *from, const char *to, const struct asked *pods, size_t n,
                  const char *checker)
{
    struct plant p = {
        .hooks.on_event = plant_shown, .kind = SCHEMA_KIND(Pod), .from = from, .to = to};
    history(&p, pods, n, checker);
}

TEST(the_less_important_gives_way_and_nobody_else)
{
    history(&(struct plant){0},
            PODS({"least", 2600}, {"least", 1300}, {NULL, 1300}, {"high", 3990}), NULL);
    history(&(struct plant){0},
            PODS({"high", 2600}, {"patient", 3990}, {"high", 2600}, {NULL, 1300}), NULL);
}

TEST(planted_priority_that_is_read_wrong_breaks_preempted)
{
    shown("\"priority\":-100", "\"priority\":2000", PODS({NULL, 2600}, {"least", 2600}),
          "preempted");
}

TEST(planted_preemption_for_one_that_only_waits_breaks_preempted)
{
    shown("\"preemptionPolicy\":\"Never\"", "\"preemptionPolicy\":\"PreemptLowerPriority\"",
          PODS({"least", 2600}, {"patient", 2600}), "preempted");
}

TEST(planted_second_victim_breaks_needless)
{
    shown("\"cpu\":\"2610m\"", "\"cpu\":\"3990m\"",
          PODS({"least", 1300}, {"least", 1300}, {"high", 2610}), "needless");
}

TEST(planted_victim_that_helps_nobody_breaks_preempted)
{
    shown("\"cpu\":\"3990m\"", "\"cpu\":\"1400m\"",
          PODS({"high", 2600}, {"least", 1300}, {"high", 3990}), "preempted");
}

TEST(planted_pod_that_looks_smaller_breaks_overcommitted)
{
    shown("\"cpu\":\"2600m\"", "\"cpu\":\"100m\"", PODS({NULL, 2600}, {NULL, 2600}),
          "overcommitted");
}

static bool kills_at_once(void *data, struct arena *a, struct client_request *rq)
{
    (void)data;
    (void)a;
    if (plant_is_from(rq, CLIENT_DELETE, "default-scheduler")) {
        rq->grace_s = 0;
    }
    return true;
}

TEST(planted_deletion_by_force_breaks_graceful)
{
    history(&(struct plant){.hooks.on_request = kills_at_once},
            PODS({"least", 2600}, {"high", 2600}), "graceful");
}

/* Of two of the same priority the younger one has a budget that allows nothing. */
static void budget_of_one(const char *checker)
{
    struct plant p = {.hooks.on_event = plant_shown,
                      .kind = SCHEMA_KIND(PodDisruptionBudget),
                      .from = "\"disruptionsAllowed\":0",
                      .to = "\"disruptionsAllowed\":9",
                      .off = !checker};
    struct platform *w = start(&p);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(PodDisruptionBudget), "",
                "{\"kind\":\"PodDisruptionBudget\",\"apiVersion\":\"policy/v1\",\"metadata\":{"
                "\"name\":\"redis\"},\"spec\":{\"minAvailable\":1,\"selector\":{\"matchLabels\":{"
                "\"app\":\"redis\"}}}}");
    big(w, 0, "least", 1300, 300);
    platform_run_for(w, 5000);
    labelled(w, 1, "redis", "least", 1300, 300);
    platform_run_for(w, 5000);
    big(w, 2, "high", 2600, 300);
    platform_run_for(w, 5000);
    sim_kit_end(w, checker);
}

TEST(whom_a_budget_protects_stays_where_another_can_go)
{
    budget_of_one(NULL);
}

TEST(planted_budget_that_seems_to_allow_it_breaks_guarded)
{
    budget_of_one("guarded");
}

/* Of two that stop for the third one goes soon, and what it leaves is given to a fourth. */
static void room_for_a_fourth(const char *checker)
{
    struct plant p = {.hooks.on_event = plant_shown,
                      .kind = SCHEMA_KIND(Pod),
                      .from = "\"priority\":-100",
                      .to = "\"priority\":2000",
                      .off = !checker};
    struct platform *w = start(&p);
    big(w, 0, NULL, 1300, 1500);
    big(w, 1, NULL, 2600, 9000);
    platform_run_for(w, 5000);
    big(w, 2, "high", 3950, 0);
    platform_run_for(w, 1500);
    big(w, 3, "least", 1290, 0);
    platform_run_for(w, 5000);
    sim_kit_end(w, checker);
}

TEST(room_is_kept_until_all_have_gone)
{
    room_for_a_fourth(NULL);
}

TEST(planted_binding_into_room_that_is_kept_breaks_kept_room)
{
    room_for_a_fourth("kept-room");
}

TEST(planted_pod_that_waits_beside_room_breaks_convergence)
{
    struct plant p = {.hooks.on_event = plant_shown,
                      .kind = SCHEMA_KIND(Pod),
                      .from = "\"cpu\":\"1300m\"",
                      .to = "\"cpu\":\"9300m\""};
    struct platform *w = start(&p);
    big(w, 0, "least", 1300, 0);
    platform_settle(w);
    sim_kit_end(w, "convergence");
}
