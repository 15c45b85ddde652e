/* Bugs planted where a quota limits a set: the checkers of sim/allowance.c must see each. */
#include "client/client_body.h"
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"
#include "watch/watch.h"

/* A version that is slipped in is never given back. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void quota(struct platform *w, const char *spec)
{
    struct arena *a cleanup_arena = arena_new();
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(ResourceQuota), "",
                arena_printf(a,
                             "{\"kind\":\"ResourceQuota\",\"apiVersion\":\"v1\",\"metadata\":{"
                             "\"name\":\"room\"},\"spec\":{%s}}",
                             spec)
                    .p);
    platform_run_for(w, 3000);
}

/* A set of three pods where two find room. */
static struct platform *start(struct plant *p, const char *spec)
{
    struct platform *w = plant_start(p);
    quota(w, spec);
    sim_kit_create(w, 3, "Parallel", SIM_KIT_CLAIMS);
    platform_run_for(w, 20000);
    return w;
}

TEST(set_within_a_quota_goes_on_when_it_is_gone)
{
    static const char *const specs[] = {"\"hard\":{\"pods\":\"2\"}",
                                        "\"hard\":{\"persistentvolumeclaims\":\"2\"}",
                                        "\"hard\":{\"requests.storage\":\"2Gi\"}",
                                        "\"hard\":{\"pods\":\"2\"},\"scopes\":[\"BestEffort\"]"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct plant p = {0};
        struct platform *w = start(&p, specs[i]);
        plant_fine(w);
        sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(ResourceQuota), "room", "");
        platform_run_for(w, 5000);
        plant_fine(w);
        platform_settle(w);
        sim_kit_end(w, NULL);
    }
}

TEST(set_within_a_quota_comes_to_rest)
{
    struct plant p = {0};
    struct platform *w = start(&p, "\"hard\":{\"count/pods\":\"2\",\"count/statefulsets.apps\":"
                                   "\"1\"}");
    platform_settle(w);
    sim_kit_end(w, NULL);
}

/* What the checkers are told of pods. */
static bool tells_of_another(void *data, struct watch_event *e)
{
    struct object *other = plant_shown(data, e->object);
    e->object = other ? other : e->object;
    return true;
}

static struct plant telling(const char *from, const char *to)
{
    return (struct plant){
        .hooks.on_watch = tells_of_another, .kind = SCHEMA_KIND(Pod), .from = from, .to = to};
}

TEST(planted_pod_beyond_the_quota_breaks_overrun)
{
    struct plant p = telling("\"resources\":{}", "\"resources\":{\"requests\":{\"cpu\":\"2\"}}");
    struct platform *w = start(&p, "\"hard\":{\"requests.cpu\":\"1\"},\"scopes\":["
                                   "\"NotBestEffort\"]");
    sim_kit_end(w, "overrun");
}

TEST(planted_use_that_the_status_does_not_say_breaks_convergence)
{
    struct plant p = telling("\"dnsPolicy\"", "\"priorityClassName\":\"high\",\"dnsPolicy\"");
    struct platform *w = start(&p, "\"hard\":{\"pods\":\"5\"},\"scopeSelector\":{"
                                   "\"matchExpressions\":[{\"scopeName\":\"PriorityClass\","
                                   "\"operator\":\"In\",\"values\":[\"high\"]}]}");
    plant_fine(w);
    platform_settle(w);
    sim_kit_end(w, "convergence");
}

static bool makes_nothing(void *data, struct arena *a, struct client_request *rq)
{
    const struct plant *p = data;
    (void)a;
    return p->off || !plant_is_from(rq, CLIENT_CREATE, "statefulset-controller");
}

TEST(planted_set_that_waits_for_a_quota_that_is_gone_breaks_quota_wait)
{
    struct plant p = {.hooks.on_request = makes_nothing, .off = true};
    struct platform *w = start(&p, "\"hard\":{\"pods\":\"2\"}");
    plant_fine(w);
    p.off = false;
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(ResourceQuota), "room", "");
    platform_run_for(w, 5000);
    sim_kit_end(w, "quota-wait");
}
