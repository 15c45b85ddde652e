/* sim/spaces.c: a second namespace with a set of its own, which users delete while its pods run.
 * Checkers: namespace-kept (what is in a namespace that nobody deleted, an event too, is not taken
 * with it); at rest all that was in it is gone, and the set of one that stays has its pods. */
#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"

#define SPACE "other"
#define SPACE_KEY SPAN("namespaces//" SPACE)
#define SET_KEY SPAN("statefulsets.apps/" SPACE "/q")

/* ---- users ---- */

static void ask(struct platform *w, const struct schema_kind *kind, enum client_verb verb,
                struct span name, struct span body)
{
    struct client_request rq = sim_user_request(verb, kind, name, body);
    rq.ns = kind->namespaced ? SPAN(SPACE) : SPAN_NULL;
    sim_request(w, SIM_DEED_SPACE, &rq, kind->namespaced ? "in another namespace" : "namespace");
}

static void put_set(struct platform *w)
{
    static const char claims[] =
        ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":["
        "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]";
    struct arena *a cleanup_arena = arena_new();
    ask(w, SCHEMA_KIND(StatefulSet), CLIENT_CREATE, SPAN_NULL,
        arena_printf(
            a,
            "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"q\"},"
            "\"spec\":{\"replicas\":%d,\"serviceName\":\"q\",\"selector\":{\"matchLabels\":{"
            "\"app\":\"redis\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"redis\"},"
            "\"annotations\":{\"berth.dev/fake-stop-ms\":\"%d\"}},\"spec\":{"
            "\"terminationGracePeriodSeconds\":3,\"containers\":[{\"name\":\"one\",\"image\":"
            "\"one:1\"}]}}%s}}",
            1 + (int)sim_roll(w, 2), (int)sim_roll(w, 3000), sim_roll(w, 2) ? claims : ""));
}

void spaces_act(struct platform *w)
{
    struct object *space = watch_hub_get(w->hub, SPACE_KEY);
    if (!space) {
        ask(w, SCHEMA_KIND(Namespace), CLIENT_CREATE, SPAN_NULL,
            SPAN("{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" SPACE
                 "\"}}"));
        put_set(w);
    } else if (sim_roll(w, 2) || object_is_deleting(space)) {
        ask(w, SCHEMA_KIND(Namespace), CLIENT_DELETE, SPAN(SPACE), SPAN_NULL);
    } else if (!record_get(w->record, SET_KEY)) {
        put_set(w);
    } else {
        ask(w, SCHEMA_KIND(StatefulSet), CLIENT_PATCH_MERGE, SPAN("q"),
            sim_roll(w, 2) ? SPAN("{\"spec\":{\"replicas\":1}}")
                           : SPAN("{\"spec\":{\"replicas\":2}}"));
    }
}

/* ---- what is taken ---- */

/* It asks for the end of what has ended, and comes late. */
static bool is_of_former_life(struct platform *w, const struct client_request *rq)
{
    struct arena *a cleanup_arena = arena_new_small();
    struct object *o =
        w->env
            ? watch_hub_get(w->hub, object_key(a, span_cstr(rq->kind->resource), rq->ns, rq->name))
            : NULL;
    return span_eq_cstr(rq->ns, SPACE) && rq->precondition_uid.n > 0 &&
           !(o && span_eq(object_uid(o), rq->precondition_uid));
}

void check_space(struct platform *w, const struct client_request *rq)
{
    if (rq->verb != CLIENT_DELETE || !span_eq_cstr(rq->field_manager, "namespace-controller")) {
        return;
    }
    struct object *space = w->env ? watch_hub_get(w->hub, SPACE_KEY) : NULL;
    bool may = span_eq_cstr(rq->ns, SPACE) && (!space || object_is_deleting(space));
    if (!may && !is_of_former_life(w, rq)) {
        sim_fail(w, "namespace-kept", "%s %.*s/%.*s is taken with a namespace that nobody deleted",
                 rq->kind->resource, SPAN_ARG(rq->ns), SPAN_ARG(rq->name));
    }
}

/* ---- at rest ---- */

struct resting {
    int64_t pods, ready, left;
};

static void see_pod(void *data, struct object *pod)
{
    struct resting *r = data;
    if (span_eq_cstr(object_namespace(pod), SPACE)) {
        r->pods++;
        r->ready += client_condition_true(pod, "Ready");
    }
}

static bool see_left(void *data, struct object *o)
{
    struct resting *r = data;
    r->left += !span_starts(object_store_key(o), SPAN("events")); /* those go by their age */
    return true;
}

const char *spaces_at_rest(struct platform *w)
{
    struct object *space = watch_hub_get(w->hub, SPACE_KEY), *set = record_get(w->record, SET_KEY);
    struct resting r = {0};
    record_each(w->record, SPAN("pods"), see_pod, &r);
    for (size_t i = 0; i < schema_kind_count() && !space; i++) {
        const struct watch_filter all = {.resource = span_cstr(schema_kind_at(i)->resource),
                                         .ns = SPAN(SPACE)};
        if (schema_kind_at(i)->namespaced) {
            (void)watch_hub_list(w->hub, &all, SPAN_NULL, see_left, &r);
        }
    }
    int64_t want = set ? json_get_int(json_get(object_root(set), "spec"), "replicas", 1) : 0;
    return space && object_is_deleting(space)  ? "a namespace is being deleted"
           : r.left > 0                        ? "something outlives its namespace"
           : r.pods != want || r.ready != want ? "the pods of another namespace"
                                               : NULL;
}
