/* Bugs planted in watches over HTTP: the checker of sim/reader.c must see each. */
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"

struct dropper {
    const char *type; /* one event of this type is not told; NULL: none */
    int told, dropped;
};

static bool drop_one(void *data, struct span line)
{
    struct dropper *d = data;
    bool drops = d->type && !d->dropped && memmem(line.p, line.n, d->type, strlen(d->type));
    d->told++;
    d->dropped += drops;
    return !drops;
}

/* A pod comes and goes, and the server is killed; watches time out meanwhile. */
static void watched(const char *type, const char *checker)
{
    struct dropper d = {.type = type};
    const struct platform_plant plant = {.on_http_event = drop_one, .data = &d};
    struct platform *w = sim_kit_start(11, &plant);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    platform_fault(w, PLATFORM_KILL_SERVER, 0);
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_run_for(w, 1000);
    sim_kit_patch(w, "{\"spec\":{\"replicas\":0}}");
    platform_run_for(w, 120000);
    CHECK(checker || d.told > 4);
    CHECK_EQ(d.dropped, type != NULL);
    if (!checker) {
        platform_settle(w);
    }
    sim_kit_end(w, checker);
}

TEST(watch_over_http_goes_on_when_the_server_restarts)
{
    watched(NULL, NULL);
}

TEST(planted_pod_that_is_not_told_breaks_http_watch)
{
    watched("\"type\":\"ADDED\"", "http-watch");
}

TEST(planted_change_that_is_not_told_breaks_http_watch)
{
    watched("\"type\":\"MODIFIED\"", "http-watch");
}

TEST(planted_end_that_is_not_told_breaks_http_watch)
{
    watched("\"type\":\"DELETED\"", "http-watch");
}
