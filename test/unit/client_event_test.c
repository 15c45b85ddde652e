/* test/unit/client_event_test.c: client/client_event. */
#include "client/client_event.h"

#include "client/client_body.h"
#include "kit/kit.h"
#include "schema/schema.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"

struct bed {
    struct env *env;
    struct fake_client *api;
    struct event_recorder *recorder;
    struct object *about;
    const struct schema_kind *kind;
    struct object *last;
};

static void bed_init(struct bed *b)
{
    *b = (struct bed){.env = env_sim_new(1)};
    b->api = fake_client_new(b->env);
    b->recorder = event_recorder_new(fake_client_base(b->api), "tester", SPAN("node-1"));
    b->kind = schema_kind_find("", "ConfigMap");
    b->about = object_ref(fake_client_create(
        b->api, "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}"));
}

static void bed_done(struct bed *b)
{
    object_unref(b->about);
    event_recorder_free(b->recorder);
    fake_client_free(b->api);
    env_sim_free(b->env);
}

static void keep(void *data, struct object *o)
{
    *(struct object **)data = o;
}

static size_t events(struct bed *b)
{
    return fake_client_each(b->api, "", "Event", keep, &b->last);
}

static int64_t counted(struct bed *b)
{
    return json_get_int(object_root(b->last), "count", -1);
}

TEST(event_names_its_object_source_and_time)
{
    struct bed b;
    bed_init(&b);
    event_record(b.recorder, b.kind, b.about, EVENT_WARNING, "Broken", "it is %s", "broken");
    env_sim_run_for(b.env, 0);
    CHECK_EQ(events(&b), 1);
    yyjson_val *e = object_root(b.last), *o = json_get(e, "involvedObject");
    CHECK(span_starts(object_name(b.last), SPAN("a.")));
    CHECK_SPAN(json_get_str(e, "type"), "Warning");
    CHECK_SPAN(json_get_str(e, "reason"), "Broken");
    CHECK_SPAN(json_get_str(e, "message"), "it is broken");
    CHECK_SPAN(json_str(json_path(e, "source", "component", NULL)), "tester");
    CHECK_SPAN(json_str(json_path(e, "source", "host", NULL)), "node-1");
    CHECK_SPAN(json_get_str(e, "firstTimestamp"), "2026-01-01T00:00:01Z");
    CHECK_SPAN(json_get_str(o, "kind"), "ConfigMap");
    CHECK_SPAN(json_get_str(o, "namespace"), "default");
    CHECK(span_eq(json_get_str(o, "uid"), object_uid(b.about)));
    CHECK_EQ(counted(&b), 1);
    bed_done(&b);
}

TEST(event_repeated_within_an_hour_counts_and_later_starts_anew)
{
    struct bed b;
    bed_init(&b);
    for (int i = 0; i < 3; i++) { /* while the first is still on its way */
        event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "m");
    }
    env_sim_run_for(b.env, 60000);
    event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "m");
    env_sim_run_for(b.env, 0);
    CHECK_EQ(events(&b), 1);
    CHECK_EQ(counted(&b), 4);
    CHECK_SPAN(json_get_str(object_root(b.last), "lastTimestamp"), "2026-01-01T00:01:01Z");
    CHECK_SPAN(json_get_str(object_root(b.last), "firstTimestamp"), "2026-01-01T00:00:01Z");
    event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "other");
    event_record(b.recorder, b.kind, b.about, EVENT_WARNING, "R", "m");
    env_sim_run_for(b.env, 2 * 3600 * 1000);
    CHECK_EQ(events(&b), 3);
    event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "m");
    env_sim_run_for(b.env, 0);
    CHECK_EQ(events(&b), 4);
    bed_done(&b);
}

TEST(event_that_has_expired_on_the_server_is_made_again)
{
    struct bed b;
    bed_init(&b);
    event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "m");
    env_sim_run_for(b.env, 0);
    CHECK_EQ(events(&b), 1);
    char name[128];
    snprintf(name, sizeof name, "%.*s", SPAN_ARG(object_name(b.last)));
    fake_client_delete(b.api, "", "Event", "default", name, -1, CLIENT_PROPAGATION_DEFAULT);
    event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "m"); /* its patch finds nothing */
    env_sim_run_for(b.env, 0);
    event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "m");
    env_sim_run_for(b.env, 0);
    CHECK_EQ(events(&b), 1);
    bed_done(&b);
}

TEST(event_flood_of_one_object_is_cut_and_flows_again_with_time)
{
    struct bed b;
    bed_init(&b);
    for (int i = 0; i < 100; i++) {
        event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "message %d", i);
    }
    env_sim_run_for(b.env, 0);
    CHECK_EQ(events(&b), 25);
    env_sim_run_for(b.env, 10 * 60 * 1000);
    for (int i = 0; i < 100; i++) {
        event_record(b.recorder, b.kind, b.about, EVENT_NORMAL, "R", "later %d", i);
    }
    env_sim_run_for(b.env, 0);
    CHECK_EQ(events(&b), 27);
    bed_done(&b);
}

TEST(event_recorder_memory_is_bounded)
{
    struct bed b;
    bed_init(&b);
    for (int i = 0; i < 3000; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "u-%d", i);
        struct event_about about = {.kind = b.kind, .name = SPAN("x"), .uid = span_cstr(uid)};
        event_record_about(b.recorder, &about, EVENT_NORMAL, "R", "m");
        if (i % 100 == 0) {
            env_sim_run_for(b.env, 0);
        }
    }
    env_sim_run_for(b.env, 0);
    CHECK_EQ(events(&b), 3000);
    bed_done(&b);
}
