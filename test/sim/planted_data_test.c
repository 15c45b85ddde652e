/* Bugs planted against what is stored: data of volumes, revisions, updates, what a server comes
 * back with. Each is caught by its checker. */
#include "base/arena.h"
#include "client/client_body.h"
#include "schema/custom.h"
#include "sim/link.h"
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"

/* A version that is slipped in is never given back. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* ---- data ---- */

/* The claim of the volume looks gone. */
TEST(planted_data_that_is_removed_under_its_claim_breaks_data_kept)
{
    struct plant p = {.hooks.on_event = plant_shown,
                      .kind = SCHEMA_KIND(PersistentVolume),
                      .from = "\"name\":\"data-redis-0\"",
                      .to = "\"name\":\"data-redis-9\"",
                      .off = true};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    plant_fine(w);
    p.off = false;
    platform_fault(w, PLATFORM_KILL_CONTROLLERS, 0);
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_run_for(w, 5000);
    sim_kit_end(w, "data-kept");
}

TEST(planted_volume_that_was_never_made_breaks_data_kept)
{
    struct plant p = {.hooks.no_directories = true};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    sim_kit_end(w, "data-kept");
}

static const char larger[] = "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}";

TEST(planted_growth_that_did_not_happen_breaks_claim_size)
{
    struct plant p = {.hooks.no_growth = true};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    plant_fine(w);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(PersistentVolumeClaim), "data-redis-0", larger);
    platform_run_for(w, 5000);
    sim_kit_end(w, "claim-size");
}

/* Whoever finishes the growth of one writes less than it had. */
static bool writes_less(void *data, struct arena *a, struct client_request *rq)
{
    static const char told[] = "\"capacity\":{\"storage\":\"2Gi";
    (void)data;
    struct span body = span_cstr(link_body_text(a, rq));
    char *at = rq->kind == SCHEMA_KIND(PersistentVolumeClaim) ? strstr(body.p, told) : NULL;
    if (at) {
        at[sizeof told - 4] = '0';
        rq->body = body;
    }
    return true;
}

TEST(planted_claim_that_becomes_smaller_breaks_claim_size)
{
    struct plant p = {.hooks.on_request = writes_less};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    plant_fine(w);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(PersistentVolumeClaim), "data-redis-0", larger);
    platform_run_for(w, 5000);
    sim_kit_end(w, "claim-size");
}

/* Every volume is where the first one is. */
static bool puts_it_on_the_first(void *data, struct arena *a, struct client_request *rq)
{
    static const char mark[] = "\"path\":\"/data/volumes/";
    struct plant *p = data;
    const char *body = link_body_text(a, rq),
               *at = rq->kind == SCHEMA_KIND(PersistentVolume) ? strstr(body, mark) : NULL;
    if (!at) {
        return true;
    }
    at += sizeof mark - 1;
    size_t n = strcspn(at, "\"");
    if (!p->volume[0]) {
        snprintf(p->volume, sizeof p->volume, "%.*s", (int)n, at);
    }
    rq->body = arena_printf(a, "%.*s%s%s", (int)(at - body), body, p->volume, at + n);
    return true;
}

TEST(planted_claim_on_the_data_of_another_breaks_data_kept)
{
    struct plant p = {.hooks.on_request = puts_it_on_the_first};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 8000);
    sim_kit_end(w, "data-kept");
}

static struct object *notes_volume_and_shows(void *data, struct object *o)
{
    struct plant *p = data;
    if (span_eq_cstr(json_get_str(object_root(o), "kind"), "PersistentVolume")) {
        snprintf(p->volume, sizeof p->volume, "%.*s", SPAN_ARG(object_name(o)));
    }
    return plant_shown(data, o);
}

TEST(planted_data_that_was_to_be_retained_breaks_data_kept)
{
    struct plant p = {.hooks.on_event = notes_volume_and_shows,
                      .kind = SCHEMA_KIND(PersistentVolume),
                      .from = "\"persistentVolumeReclaimPolicy\":\"Retain\"",
                      .to = "\"persistentVolumeReclaimPolicy\":\"Delete\""};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 1, "OrderedReady", SIM_KIT_CLAIMS);
    platform_run_for(w, 5000);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(PersistentVolume), p.volume,
                "{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}");
    sim_kit_patch(w, "{\"spec\":{\"replicas\":0}}");
    platform_run_for(w, 5000);
    plant_fine(w);
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(PersistentVolumeClaim), "data-redis-0", "");
    platform_run_for(w, 5000);
    sim_kit_end(w, "data-kept");
}

/* ---- orphans ---- */

TEST(planted_pods_that_go_after_an_orphaning_deletion_break_orphan_kept)
{
    struct plant p = {
        PLANT_SHOWN("\"finalizers\":[\"orphan\"]", "\"finalizers\":[\"foregroundDeletion\"]")};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "Parallel", "");
    platform_run_for(w, 5000);
    plant_fine(w);
    const struct client_request orphan = {CLIENT_REQUEST_INIT,
                                          .verb = CLIENT_DELETE,
                                          .kind = SCHEMA_KIND(StatefulSet),
                                          .ns = SPAN("default"),
                                          .name = SPAN("redis"),
                                          .propagation = CLIENT_PROPAGATION_ORPHAN,
                                          .field_manager = SPAN("user")};
    CHECK(platform_request(w, &orphan));
    platform_run_for(w, 30000);
    sim_kit_end(w, "orphan-kept");
}

/* ---- evictions ---- */

static const char budget[] =
    "{\"kind\":\"PodDisruptionBudget\",\"apiVersion\":\"policy/v1\",\"metadata\":{\"name\":"
    "\"redis\"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"redis\"}},"
    "\"minAvailable\":1}}";

/* The budget allows more than it does. */
static bool allows_more(void *data, struct arena *a, struct client_request *rq)
{
    static const char mark[] = "\"disruptionsAllowed\":0";
    const char *body = link_body_text(a, rq), *at = strstr(body, mark);
    (void)data;
    if (at && rq->kind == SCHEMA_KIND(PodDisruptionBudget)) {
        rq->body = arena_printf(a, "%.*s\"disruptionsAllowed\":2%s", (int)(at - body), body,
                                at + sizeof mark - 1);
    }
    return true;
}

TEST(planted_budget_that_allows_more_breaks_budget)
{
    struct plant p = {.hooks.on_request = allows_more};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(PodDisruptionBudget), "", budget);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    plant_fine(w);
    CHECK(sim_kit_evict(w, "redis-0"));
    sim_kit_end(w, "budget");
}

/* ---- revisions ---- */

static struct object *notes_revision(void *data, struct object *o)
{
    struct plant *p = data;
    if (!p->volume[0] && span_eq_cstr(json_get_str(object_root(o), "kind"), "ControllerRevision")) {
        snprintf(p->volume, sizeof p->volume, "%.*s", SPAN_ARG(object_name(o)));
    }
    return NULL;
}

static bool deletes_the_revision(void *data, struct arena *a, struct client_request *rq)
{
    struct plant *p = data;
    (void)a;
    if (plant_is_from(rq, CLIENT_DELETE, "statefulset-controller")) {
        rq->kind = SCHEMA_KIND(ControllerRevision);
        rq->name = span_cstr(p->volume);
        rq->precondition_uid = SPAN_NULL;
    }
    return true;
}

TEST(planted_revision_that_goes_while_pods_have_it_breaks_revision_kept)
{
    struct plant p = {.hooks = {.on_event = notes_revision, .on_request = deletes_the_revision}};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "OrderedReady", "");
    platform_run_for(w, 8000);
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 5000);
    sim_kit_end(w, "revision-kept");
}

/* ---- kinds of the users' own ---- */

struct widget_plant {
    struct plant p;
    struct schema_kind kind;
};

static bool deletes_the_widget(void *data, struct arena *a, struct client_request *rq)
{
    struct widget_plant *x = data;
    (void)a;
    if (plant_is_from(rq, CLIENT_DELETE, "statefulset-controller")) {
        rq->kind = &x->kind;
        rq->name = SPAN("w1");
        rq->precondition_uid = SPAN_NULL;
    }
    return true;
}

TEST(planted_object_of_a_users_kind_that_goes_breaks_custom_kept)
{
    struct arena *a cleanup_arena = arena_new();
    struct widget_plant x = {.p.hooks.on_request = deletes_the_widget};
    struct platform *w = plant_start(&x.p);
    custom_sketch(a, &x.kind, SPAN("widgets.example.com"), SPAN("example.com"), SPAN("v1"),
                  SPAN("Widget"), SPAN("widgets"), true);
    sim_kit_ask(
        w, CLIENT_CREATE, SCHEMA_KIND(CustomResourceDefinition), "",
        "{\"kind\":\"CustomResourceDefinition\",\"apiVersion\":\"apiextensions.k8s.io/v1\","
        "\"metadata\":{\"name\":\"widgets.example.com\"},\"spec\":{\"group\":\"example.com\","
        "\"scope\":\"Namespaced\",\"names\":{\"plural\":\"widgets\",\"kind\":\"Widget\"},"
        "\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"
        "\"openAPIV3Schema\":{\"type\":\"object\"}}}]}}");
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    sim_kit_ask(w, CLIENT_CREATE, &x.kind, "",
                "{\"kind\":\"Widget\",\"apiVersion\":\"example.com/v1\",\"metadata\":{\"name\":"
                "\"w1\"}}");
    plant_fine(w);
    sim_kit_patch(w, PLANT_ROUND2);
    platform_run_for(w, 5000);
    sim_kit_end(w, "custom-kept");
}

/* ---- writes ---- */

/* A write that does not say what it was made from. */
static bool forgets_its_version(void *data, struct arena *a, struct client_request *rq)
{
    static const char mark[] = "\"resourceVersion\":\"";
    const char *body = link_body_text(a, rq), *at = strstr(body, mark);
    (void)data;
    if (at && rq->kind == SCHEMA_KIND(PodDisruptionBudget)) {
        at += sizeof mark - 1;
        rq->body = arena_printf(a, "%.*s%s", (int)(at - body), body, at + strcspn(at, "\""));
    }
    return true;
}

TEST(planted_write_over_another_ones_breaks_lost_update)
{
    struct plant p = {.hooks.on_request = forgets_its_version};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(PodDisruptionBudget), "", budget);
    platform_late(w, 200);
    sim_kit_create(w, 4, "Parallel", "");
    for (int i = 0; i < 40 && !platform_violation(w, NULL); i++) {
        sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(PodDisruptionBudget), "redis",
                    i % 2 ? "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}"
                          : "{\"metadata\":{\"labels\":{\"a\":\"2\"}}}");
        platform_run_for(w, 40);
    }
    sim_kit_end(w, "lost-update");
}

static bool tells_otherwise(void *data, struct watch_event *e)
{
    struct plant *p = data;
    struct arena *a cleanup_arena = arena_new();
    struct span parts[2];
    if (p->off || !span_eq_cstr(json_get_str(object_root(e->object), "kind"), "Node")) {
        return true;
    }
    object_body_parts(e->object, parts);
    struct span body = arena_printf(a, "%.*s%.*s", SPAN_ARG(parts[0]), SPAN_ARG(parts[1]));
    char *at = strstr((char *)(uintptr_t)body.p, "\"a\":\"1\"");
    if (at) {
        at[5] = '7';
        e->object = object_new(object_store_key(e->object), e->rev, body); /* leaks: it is a test */
        p->off = true;
    }
    return true;
}

TEST(planted_server_that_comes_back_with_another_object_breaks_acknowledged)
{
    struct plant p = {.hooks.on_watch = tells_otherwise};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "far",
                "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}");
    CHECK(p.off);
    plant_fine(w);
    platform_fault(w, PLATFORM_KILL_SERVER, 0);
    platform_fault(w, PLATFORM_START_ALL, 0);
    platform_run_for(w, 1);
    sim_kit_end(w, "acknowledged");
}

TEST(planted_disk_whose_bytes_turn_breaks_recovery)
{
    struct plant p = {.hooks = {.disk_rots = true, .data = &p}};
    struct platform *w = sim_kit_start_on(PLATFORM_DISK_SQLITE, 7, &p.hooks);
    sim_kit_create(w, 1, "OrderedReady", "");
    platform_run_for(w, 5000);
    plant_fine(w);
    platform_fault(w, PLATFORM_KILL_SERVER, 0);
    platform_fault(w, PLATFORM_START_ALL, 0);
    sim_kit_end(w, "recovery");
}

/* ---- status ---- */

static bool counts_no_available(void *data, struct arena *a, struct client_request *rq)
{
    static const char mark[] = "\"availableReplicas\":2";
    const char *body = link_body_text(a, rq), *at = strstr(body, mark);
    (void)data;
    if (at && rq->kind == SCHEMA_KIND(StatefulSet) && span_eq_cstr(rq->subresource, "status")) {
        rq->body = arena_printf(a, "%.*s\"availableReplicas\":1%s", (int)(at - body), body,
                                at + sizeof mark - 1);
    }
    return true;
}

TEST(planted_status_that_misses_an_available_pod_breaks_status)
{
    struct plant p = {.hooks.on_request = counts_no_available};
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "Parallel", "");
    platform_run_for(w, 10000);
    sim_kit_end(w, "status");
}
