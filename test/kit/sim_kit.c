#include "test/kit/sim_kit.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "test/kit/kit.h"

struct platform *sim_kit_start(uint64_t seed, const struct platform_plant *plant)
{
    return sim_kit_start_on(PLATFORM_DISK_ROWS, seed, plant);
}

struct platform *sim_kit_start_on(enum platform_disk disk, uint64_t seed,
                                  const struct platform_plant *plant)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    const struct platform_options o = {
        .seed = seed, .calm = true, .show = getenv("SIM_SHOW"), .disk = disk, .plant = plant};
    struct platform *w = platform_new(&o);
    platform_run_for(w, 1000);
    return w;
}

void sim_kit_ask(struct platform *w, enum client_verb verb, const struct schema_kind *kind,
                 const char *name, const char *body)
{
    const struct client_request rq = {CLIENT_REQUEST_INIT,
                                      .verb = verb,
                                      .kind = kind,
                                      .ns = kind->namespaced ? SPAN("default") : SPAN_NULL,
                                      .name = span_cstr(name),
                                      .body = span_cstr(body),
                                      .field_manager = SPAN("user")};
    CHECK(platform_request(w, &rq));
}

void sim_kit_create(struct platform *w, int replicas, const char *policy, const char *more)
{
    struct arena *a cleanup_arena = arena_new();
    struct span body = arena_printf(
        a,
        "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"redis\"},"
        "\"spec\":{\"replicas\":%d,\"serviceName\":\"redis\",\"podManagementPolicy\":\"%s\","
        "\"selector\":{\"matchLabels\":{\"app\":\"redis\"}},\"template\":{\"metadata\":{\"labels\":"
        "{\"app\":\"redis\"},\"annotations\":{\"berth.dev/fake-start-ms\":\"1000\","
        "\"berth.dev/fake-stop-ms\":\"1500\"}},\"spec\":{\"containers\":[{\"name\":\"redis\","
        "\"image\":\"redis:7\",\"readinessProbe\":{\"periodSeconds\":1,\"exec\":{\"command\":["
        "\"ping\"]}}}]}}%s}}",
        replicas, policy, more);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(StatefulSet), "", body.p);
}

void sim_kit_patch(struct platform *w, const char *json)
{
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(StatefulSet), "redis", json);
}

void sim_kit_end(struct platform *w, const char *checker)
{
    const char *story = NULL, *is = platform_violation(w, &story);
    if (is) {
        kit_note("%s: %s", is, story);
    }
    CHECK(checker ? is && strcmp(is, checker) == 0 : !is);
    platform_free(w);
}

bool sim_kit_evict(struct platform *w, const char *pod)
{
    char body[160];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"Eviction\",\"apiVersion\":\"policy/v1\",\"metadata\":{"
                   "\"name\":\"%s\"}}",
                   pod);
    const struct client_request rq = {CLIENT_REQUEST_INIT,      .verb = CLIENT_CREATE,
                                      .kind = SCHEMA_KIND(Pod), .ns = SPAN("default"),
                                      .name = span_cstr(pod),   .subresource = SPAN("eviction"),
                                      .body = span_cstr(body),  .field_manager = SPAN("user")};
    return platform_request(w, &rq);
}
