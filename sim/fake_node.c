/* sim/fake_node.c: see fake_node.h. */
#include "sim/fake_node.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "codec/time.h"
#include "schema/schema.h"

struct fake_pod {
    struct fake_node *node;
    struct env_timer timer;
    struct object *object;
    bool started, stopping;
};

struct fake_node {
    struct client *client;
    const struct schema_kind *kind;
    struct fake_node_options options;
    struct client_watch *watch;
    struct map pods; /* by uid */
    uint32_t addresses;
};

static void bind_pod(struct fake_node *n, struct object *o)
{
    struct client_request rq = client_request_for(CLIENT_CREATE, n->kind, o);
    rq.subresource = SPAN("binding");
    rq.body = SPAN("{\"target\":{\"kind\":\"Node\",\"name\":\"node-1\"}}");
    client_do(n->client, &rq, NULL, NULL);
}

static void pod_started(struct env_timer *timer)
{
    struct fake_pod *p = CONTAINER_OF(timer, struct fake_pod, timer);
    struct fake_node *n = p->node;
    cleanup_arena struct arena *a = arena_new();
    struct span now = time_format(a, env_now_ms(n->client->env));
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, n->kind, p->object);
    rq.subresource = SPAN("status");
    n->addresses++;
    rq.body = arena_printf(
        a,
        "{\"status\":{\"phase\":\"Running\",\"startTime\":\"%.*s\",\"podIP\":\"10.42.0.%u\","
        "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\","
        "\"lastTransitionTime\":\"%.*s\"}]}}",
        SPAN_ARG(now), n->addresses, n->options.never_ready ? "False" : "True", SPAN_ARG(now));
    client_do(n->client, &rq, NULL, NULL);
}

static void pod_stopped(struct env_timer *timer)
{
    struct fake_pod *p = CONTAINER_OF(timer, struct fake_pod, timer);
    struct client_request rq = client_request_for(CLIENT_DELETE, p->node->kind, p->object);
    rq.grace_s = 0;
    rq.precondition_uid = object_uid(p->object);
    client_do(p->node->client, &rq, NULL, NULL);
}

static void pod_free(void *pod)
{
    struct fake_pod *p = pod;
    env_timer_stop(p->node->client->env, &p->timer);
    object_unref(p->object);
    free(p);
}

static void on_event(void *data, enum client_event_type type, struct object *o)
{
    struct fake_node *n = data;
    struct fake_pod *p = map_get(&n->pods, object_uid(o));
    if (type == CLIENT_DELETED) {
        if (p) {
            map_remove(&n->pods, object_uid(p->object));
            pod_free(p);
        }
        return;
    }
    if (!json_str(json_path(object_root(o), "spec", "nodeName", NULL)).n) {
        if (n->options.bind && !object_is_deleting(o)) {
            bind_pod(n, o);
        }
        return;
    }
    if (!p) {
        p = MEM_NEW(struct fake_pod);
        p->node = n;
        p->object = object_ref(o); /* its bytes hold the map's key: kept for the pod's life */
        map_put(&n->pods, object_uid(p->object), p);
    }
    if (object_is_deleting(o) && !p->stopping) {
        p->stopping = true;
        env_timer_start(n->client->env, &p->timer, n->options.stop_ms, pod_stopped);
    } else if (!p->started && !p->stopping) {
        p->started = true;
        env_timer_start(n->client->env, &p->timer, n->options.start_ms, pod_started);
    }
}

struct fake_node *fake_node_new(struct client *c, const struct fake_node_options *options)
{
    struct fake_node *n = MEM_NEW(struct fake_node);
    n->client = c;
    n->kind = schema_kind_find("", "Pod");
    n->options = *options;
    static const struct client_watch_handler handler = {.on_event = on_event};
    struct client_request all = {CLIENT_REQUEST_INIT, .verb = CLIENT_LIST, .kind = n->kind};
    n->watch = client_watch_new(c, &all, &handler, n);
    return n;
}

void fake_node_set(struct fake_node *n, const struct fake_node_options *options)
{
    n->options = *options;
}

void fake_node_free(struct fake_node *n)
{
    if (!n) {
        return;
    }
    client_watch_free(n->watch);
    map_done_values(&n->pods, pod_free);
    free(n);
}
