/* Bugs planted around host ports and images that are changed in place: the checkers of sim/lone.c
 * must see each. */
#include "client/client_body.h"
#include "sim/link.h"
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"

/* A version that is slipped in is never given back. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

#define LONE(name, port)                                                                           \
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name                       \
    "\"},\"spec\":{\"nodeName\":\"edge\",\"restartPolicy\":\"Never\",\"containers\":[{\"name\":"   \
    "\"lone\",\"image\":\"one:1\",\"ports\":[{\"containerPort\":1,\"hostPort\":" port "}]}]}}"

/* The watch tells the checkers something else than there is. */
static bool tells_otherwise(void *data, struct watch_event *e)
{
    struct object *other = plant_shown(data, e->object);
    e->object = other ? other : e->object;
    return true;
}

TEST(planted_port_that_two_pods_of_a_node_have_breaks_host_port)
{
    struct plant p = {.hooks.on_watch = tells_otherwise,
                      .kind = SCHEMA_KIND(Pod),
                      .from = "\"hostPort\":7001",
                      .to = "\"hostPort\":7000"};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Pod), "", LONE("lone", "7000"));
    platform_run_for(w, 2000);
    plant_fine(w);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Pod), "", LONE("other", "7001"));
    platform_run_for(w, 2000);
    sim_kit_end(w, "host-port");
}

TEST(planted_image_that_is_not_started_breaks_convergence)
{
    struct plant p = {.hooks.on_watch = tells_otherwise,
                      .kind = SCHEMA_KIND(Pod),
                      .from = "\"image\":\"redis:7\"",
                      .to = "\"image\":\"redis:8\""};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_settle(w);
    sim_kit_end(w, "convergence");
}

/* The agent takes the end of a container, which it has ended for another image, for its own. */
static bool says_it_ended(void *data, struct arena *a, struct client_request *rq)
{
    static const char mark[] = "\"phase\":\"Running\"";
    const char *body = link_body_text(a, rq), *at = strstr(body, mark);
    (void)data;
    if (at && rq->kind == SCHEMA_KIND(Pod) && span_eq_cstr(rq->name, "lone")) {
        rq->body = arena_printf(a, "%.*s\"phase\":\"Succeeded\"%s", (int)(at - body), body,
                                at + sizeof mark - 1);
    }
    return true;
}

TEST(planted_end_of_a_container_that_goes_on_breaks_goes_on)
{
    struct plant p = {.hooks.on_request = says_it_ended};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Pod), "", LONE("lone", "7000"));
    platform_run_for(w, 2000);
    sim_kit_end(w, "goes-on");
}

/* What the checkers are there for. */
TEST(image_that_is_changed_while_its_agent_is_dead_is_started)
{
    struct platform *w = sim_kit_start(5, NULL);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Pod), "", LONE("lone", "7000"));
    platform_run_for(w, 2000);
    platform_fault(w, PLATFORM_KILL_AGENT, 0);
    sim_kit_ask(w, CLIENT_PATCH_STRATEGIC, SCHEMA_KIND(Pod), "lone",
                "{\"spec\":{\"containers\":[{\"name\":\"lone\",\"image\":\"one:2\"}]}}");
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_settle(w);
    sim_kit_end(w, NULL);
}
