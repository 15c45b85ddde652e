/* sim/services.c: Services of the sets and of the Deployment: users make, change and delete them.
 * Checker, at rest: slices and Endpoints name the pods that the selector finds, each as ready as
 * its Service wants it said, and nobody else; nothing of a Service outlives it; no two have the
 * same address. */
#include "client/client_body.h"
#include "schema/kinds.h"
#include "schema/status.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"

enum { SERVICES = 2 };

static const char *const names[SERVICES] = {"redis", "front"};
static const char *const selectors[] = {"{\"app\":\"redis\",\"role\":null}",
                                        "{\"app\":\"redis\",\"role\":\"primary\"}",
                                        "{\"app\":\"web\",\"role\":null}"};
enum { SELECTORS = sizeof selectors / sizeof *selectors };

/* ---- users ---- */

static void ask(struct platform *w, int which, enum client_verb verb, struct span body)
{
    const struct client_request rq =
        sim_user_request(verb, SCHEMA_KIND(Service), span_cstr(names[which]), body);
    sim_request(w, SIM_DEED_SERVICE, &rq, "the service");
}

void services_act(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    int which = (int)sim_roll(w, SERVICES);
    struct span key = object_key(a, SPAN("services"), SPAN("default"), span_cstr(names[which]));
    const char *app = sim_roll(w, 3) ? "redis" : "web";
    if (!watch_hub_get(w->hub, key)) {
        ask(w, which, CLIENT_CREATE,
            arena_printf(
                a,
                "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"}"
                ",\"spec\":{%s\"publishNotReadyAddresses\":%s,\"selector\":{\"app\":"
                "\"%s\"},\"ports\":[{\"port\":80}]}}",
                names[which], sim_roll(w, 2) ? "\"clusterIP\":\"None\"," : "",
                sim_roll(w, 3) ? "false" : "true", app));
        return;
    }
    switch (sim_roll(w, 4)) {
    case 0:
        ask(w, which, CLIENT_DELETE, SPAN_NULL);
        break;
    case 1:
        ask(w, which, CLIENT_PATCH_MERGE,
            arena_printf(a, "{\"spec\":{\"publishNotReadyAddresses\":%s}}",
                         sim_roll(w, 2) ? "false" : "true"));
        break;
    default:
        ask(w, which, CLIENT_PATCH_MERGE,
            arena_printf(a, "{\"spec\":{\"selector\":%s}}", selectors[sim_roll(w, SELECTORS)]));
        break;
    }
}

/* ---- at rest ---- */

struct look {
    struct platform *w;
    struct object *service;
    bool all_ready;
    size_t wanted, wanted_ready; /* pods */
    size_t said, said_ready;     /* of them in what is looked at */
    const char *why;
};

static yyjson_val *selector_of(struct object *service)
{
    return json_path(object_root(service), "spec", "selector", NULL);
}

static bool is_selected(const struct look *l, struct object *pod)
{
    yyjson_val *status = json_get(object_root(pod), "status");
    struct span phase = json_get_str(status, "phase");
    JSON_EACH(it, selector_of(l->service))
    {
        struct span has = json_str(
            json_path(object_root(pod), "metadata", "labels", yyjson_get_str(it.key), NULL));
        if (!span_eq(has, json_str(it.val))) {
            return false;
        }
    }
    return span_eq_cstr(object_namespace(pod), "default") && json_get_str(status, "podIP").n > 0 &&
           !status_phase_ended(phase);
}

static bool is_ready(const struct look *l, struct object *pod)
{
    return l->all_ready || client_condition_true(pod, "Ready");
}

static void count_pod(void *data, struct object *pod)
{
    struct look *l = data;
    if (is_selected(l, pod)) {
        l->wanted++;
        l->wanted_ready += is_ready(l, pod);
    }
}

/* One address of a slice or of Endpoints. */
static void see_address(struct look *l, struct span ip, const yyjson_val *target, bool ready)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *pod = record_get(
        l->w->record, object_key(a, SPAN("pods"), SPAN("default"), json_get_str(target, "name")));
    bool is_it = pod && span_eq(object_uid(pod), json_get_str(target, "uid")) &&
                 span_eq(ip, json_str(json_path(object_root(pod), "status", "podIP", NULL)));
    if (!is_it || !is_selected(l, pod)) {
        l->why = "a service names a pod that it does not select";
    } else if (ready != is_ready(l, pod)) {
        l->why = "a service says of a pod that it is ready, or that it is not";
    }
    l->said++;
    l->said_ready += ready;
}

static bool see_slice(void *data, struct object *slice)
{
    struct look *l = data;
    yyjson_val *root = object_root(slice);
    struct span of =
        json_str(json_path(root, "metadata", "labels", "kubernetes.io/service-name", NULL));
    if (!span_eq(of, object_name(l->service))) {
        return true;
    }
    JSON_EACH(it, json_get(root, "endpoints"))
    {
        see_address(l, json_str(yyjson_arr_get_first(json_get(it.val, "addresses"))),
                    json_get(it.val, "targetRef"),
                    json_get_bool(json_get(it.val, "conditions"), "ready", false));
    }
    return true;
}

static void see_endpoints(struct look *l, struct object *endpoints)
{
    static const char *const lists[] = {"notReadyAddresses", "addresses"};
    JSON_EACH(subset, endpoints ? json_get(object_root(endpoints), "subsets") : NULL)
    {
        for (size_t ready = 0; ready < 2; ready++) {
            JSON_EACH(it, json_get(subset.val, lists[ready]))
            {
                see_address(l, json_get_str(it.val, "ip"), json_get(it.val, "targetRef"), ready);
            }
        }
    }
}

static void check_count(struct look *l)
{
    if (!l->why && (l->said != l->wanted || l->said_ready != l->wanted_ready)) {
        l->why = "a service does not name all its pods";
    }
    l->said = l->said_ready = 0;
}

static void check_service(struct platform *w, struct object *service, const char **ret_why)
{
    struct arena *a cleanup_arena = arena_new();
    const struct watch_filter slices = {.resource = SPAN("endpointslices.discovery.k8s.io"),
                                        .ns = SPAN("default")};
    struct look l = {.w = w,
                     .service = service,
                     .all_ready = json_get_bool(json_get(object_root(service), "spec"),
                                                "publishNotReadyAddresses", false)};
    record_each(w->record, SPAN("pods"), count_pod, &l);
    (void)watch_hub_list(w->hub, &slices, SPAN_NULL, see_slice, &l);
    check_count(&l);
    see_endpoints(&l, watch_hub_get(w->hub, object_key(a, SPAN("endpoints"), SPAN("default"),
                                                       object_name(service))));
    check_count(&l);
    *ret_why = l.why ? l.why : *ret_why;
}

struct resting {
    struct platform *w;
    struct object *services[SERVICES + 2];
    size_t n;
    const char *why;
};

static bool see_service(void *data, struct object *service)
{
    struct resting *r = data;
    struct span ip = json_str(json_path(object_root(service), "spec", "clusterIP", NULL));
    for (size_t i = 0; i < r->n && !span_eq_cstr(ip, "None"); i++) {
        if (span_eq(ip,
                    json_str(json_path(object_root(r->services[i]), "spec", "clusterIP", NULL)))) {
            r->why = "two services have the same address";
        }
    }
    if (r->n < SERVICES + 2) {
        r->services[r->n++] = service;
    }
    if (json_len(selector_of(service)) > 0) {
        check_service(r->w, service, &r->why);
    }
    return true;
}

/* A slice, or Endpoints. */
static bool see_belonging(void *data, struct object *o)
{
    struct resting *r = data;
    struct span of = json_str(
        json_path(object_root(o), "metadata", "labels", "kubernetes.io/service-name", NULL));
    bool there = false;
    for (size_t i = 0; i < r->n; i++) {
        there |= span_eq(object_name(r->services[i]), of.n > 0 ? of : object_name(o));
    }
    if (!there) {
        r->why = "addresses outlive their service";
    }
    return true;
}

const char *services_at_rest(struct platform *w)
{
    static const char *const resources[] = {"endpoints", "endpointslices.discovery.k8s.io"};
    struct resting r = {.w = w};
    const struct watch_filter services = {.resource = SPAN("services"), .ns = SPAN("default")};
    (void)watch_hub_list(w->hub, &services, SPAN_NULL, see_service, &r);
    for (size_t i = 0; i < 2; i++) {
        const struct watch_filter its = {.resource = span_cstr(resources[i]),
                                         .ns = SPAN("default")};
        (void)watch_hub_list(w->hub, &its, SPAN_NULL, see_belonging, &r);
    }
    return r.why;
}
