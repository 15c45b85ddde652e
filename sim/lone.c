/* sim/lone.c: a pod that nobody owns, whose image users change while it runs: whatever its policy,
 * and whoever dies meanwhile, it goes on; and host ports, which it, the second set and the
 * DaemonSet ask for. Checkers: goes-on (a container that runs for ever is not said to have ended),
 * host-port (two pods of a node that run with the same one); at rest each container runs the image
 * that its pod names. */
#include "client/client_body.h"
#include "runtime/runtime_fake.h"
#include "schema/kinds.h"
#include "schema/status.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"

#define LONE_KEY SPAN("pods/default/lone")

struct span sim_host_port(struct platform *w, struct arena *a, int port)
{
    static const char *const protocols[] = {"TCP", "TCP", "UDP"};
    return sim_roll(w, 2) ? SPAN("")
                          : arena_printf(a,
                                         ",\"ports\":[{\"containerPort\":1,\"hostPort\":%d,"
                                         "\"protocol\":\"%s\"}]",
                                         port, protocols[sim_roll(w, 3)]);
}

static const yyjson_val *port_of(struct object *pod)
{
    const yyjson_val *port = yyjson_arr_get_first(json_get(
        yyjson_arr_get_first(json_path(object_root(pod), "spec", "containers", NULL)), "ports"));
    return json_get_int(port, "hostPort", 0) ? port : NULL;
}

bool sim_has_host_port(struct object *pod)
{
    return port_of(pod);
}

/* ---- users ---- */

static void ask(struct platform *w, enum client_verb verb, struct span body)
{
    const struct client_request rq = sim_user_request(verb, SCHEMA_KIND(Pod), SPAN("lone"), body);
    neighbours_ask(w, &rq, "the lone pod");
}

void lone_act(struct platform *w)
{
    static const char *const policies[] = {"Never", "OnFailure", "Always"};
    struct arena *a cleanup_arena = arena_new();
    struct object *pod = record_get(w->record, LONE_KEY);
    if (!pod) {
        struct span port = sim_host_port(w, a, 7000 + (int)sim_roll(w, 2));
        ask(w, CLIENT_CREATE,
            arena_printf(a,
                         "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"lone\","
                         "\"annotations\":{\"berth.dev/fake-start-ms\":\"%d\","
                         "\"berth.dev/fake-stop-ms\":\"%d\"}},\"spec\":{\"restartPolicy\":\"%s\","
                         "\"terminationGracePeriodSeconds\":3,\"containers\":[{\"name\":\"lone\","
                         "\"image\":\"one:1\"%.*s}]}}",
                         (int)sim_roll(w, 500), (int)sim_roll(w, 1000), policies[sim_roll(w, 3)],
                         SPAN_ARG(port)));
    } else if (sim_roll(w, 5) == 0) {
        ask(w, CLIENT_DELETE, SPAN_NULL);
    } else {
        sim_change_image(w, SPAN("lone"), SPAN("lone"));
    }
}

void sim_change_image(struct platform *w, struct span pod, struct span container)
{
    struct arena *a cleanup_arena = arena_new();
    const struct client_request rq = sim_user_request(
        CLIENT_PATCH_STRATEGIC, SCHEMA_KIND(Pod), pod,
        arena_printf(a, "{\"spec\":{\"containers\":[{\"name\":\"%.*s\",\"image\":\"%s\"}]}}",
                     SPAN_ARG(container), sim_roll(w, 2) ? "other:1" : "other:2"));
    sim_request(w, SIM_DEED_IMAGE, &rq, "the pod");
}

/* ---- goes on ---- */

static struct span image_of(struct object *pod)
{
    return json_get_str(
        yyjson_arr_get_first(json_path(object_root(pod), "spec", "containers", NULL)), "image");
}

static struct sim_node *node_of(struct platform *w, struct object *pod)
{
    int node = sim_node_called(w, json_str(json_path(object_root(pod), "spec", "nodeName", NULL)));
    return node >= 0 ? &w->nodes[node] : NULL;
}

/* Nobody ends it but its machine, which goes down, or its agent, which does not take it: the port
 * is another's. */
void lone_on_change(struct platform *w, struct object *old, struct object *now)
{
    if (!now || !span_eq(object_store_key(now), LONE_KEY)) {
        return;
    }
    struct span phase = json_str(json_path(object_root(now), "status", "phase", NULL));
    const struct sim_node *n = node_of(w, now);
    if (!old || !span_eq(object_uid(old), object_uid(now))) {
        w->lone_ms = sim_now_ms(w);
        w->lone_images = 0;
    } else {
        w->lone_images += !span_eq(image_of(old), image_of(now));
    }
    /* Changed there and back while its instance stops, it looks as if that ended by itself to an
     * agent that has not seen the change. */
    bool there_and_back = w->lone_images > 2;
    bool ended = status_phase_ended(phase);
    if (ended && n && !there_and_back && !object_is_deleting(now) && n->down_ms < w->lone_ms &&
        !json_get_str(json_get(object_root(now), "status"), "reason").n) {
        sim_fail(w, "goes-on", "the lone pod is said to have ended: %.*s", SPAN_ARG(phase));
    }
}

/* ---- host ports ---- */

struct clash {
    struct platform *w;
    struct object *pod;
    const yyjson_val *port;
};

static struct object *pod_of(struct platform *w, struct span ns, struct span name, struct span uid)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *pod = record_get(w->record, object_key(a, SPAN("pods"), ns, name));
    return pod && span_eq(object_uid(pod), uid) ? pod : NULL;
}

static void see_running(void *data, struct span ns, struct span name, struct span uid)
{
    struct clash *c = data;
    struct object *other = pod_of(c->w, ns, name, uid);
    const yyjson_val *port = other && other != c->pod ? port_of(other) : NULL;
    if (port && json_get_int(port, "hostPort", 0) == json_get_int(c->port, "hostPort", 0) &&
        span_eq(json_get_str(port, "protocol"), json_get_str(c->port, "protocol"))) {
        sim_fail(c->w, "host-port", "%.*s starts with host port %lld, which %.*s has",
                 SPAN_ARG(object_name(c->pod)), (long long)json_get_int(port, "hostPort", 0),
                 SPAN_ARG(name));
    }
}

/* One that is gone for the API, by force, counts no more. */
void check_host_ports(struct platform *w, struct span ns, struct span name, struct span uid)
{
    struct object *pod = pod_of(w, ns, name, uid);
    struct clash c = {.w = w, .pod = pod, .port = pod ? port_of(pod) : NULL};
    struct sim_node *n = c.port ? node_of(w, pod) : NULL;
    if (n) {
        sim_saw(w, SIM_DEED_SAW_PORT);
        runtime_fake_each(n->runtime, see_running, &c);
    }
}

/* ---- at rest ---- */

struct images {
    struct platform *w;
    const char *why;
};

static void see_pod(void *data, struct object *pod)
{
    struct images *x = data;
    struct sim_node *n = node_of(x->w, pod);
    struct span runs = n ? runtime_fake_image(n->runtime, object_uid(pod)) : SPAN_NULL;
    if (runs.n > 0 && !span_eq(runs, image_of(pod))) {
        x->why = "a container runs another image than its pod names";
    }
}

const char *lone_at_rest(struct platform *w)
{
    struct images x = {.w = w};
    record_each(w->record, SPAN("pods"), see_pod, &x);
    return x.why;
}
