#include "test/kit/set_kit.h"

#include "base/mem.h"
#include "controller/statefulset_controller.h"
#include "schema/schema.h"

static void start(void *data)
{
    statefulset_controller_start(((struct set_kit *)data)->controller);
}

static enum err_reason fault(void *data, const struct client_request *rq)
{
    struct set_kit *k = data;
    bool refused = rq->kind == k->refused_kind && rq->verb == k->refused_verb;
    return refused && !rq->subresource.n ? ERR_FORBIDDEN : ERR_NONE;
}

struct set_kit *set_kit_new(void)
{
    struct set_kit *k = MEM_NEW(struct set_kit);
    k->env = env_sim_new(7);
    k->api = fake_client_new(k->env);
    fake_client_fault(k->api, fault, k);
    struct client *client = fake_client_base(k->api);
    k->informers = informer_set_new(client);
    k->controller = statefulset_controller_new(k->env, client, k->informers);
    k->node = fake_node_new(
        client, &(struct fake_node_options){.start_ms = 10, .stop_ms = 10, .bind = true});
    informer_set_on_synced(k->informers, start, k);
    env_sim_run_for(k->env, 0);
    return k;
}

void set_kit_free(struct set_kit *k)
{
    fake_node_free(k->node);
    statefulset_controller_free(k->controller);
    informer_set_free(k->informers);
    fake_client_free(k->api);
    env_sim_free(k->env);
    free(k);
}

void set_kit_run(struct set_kit *k, int64_t ms)
{
    env_sim_run_for(k->env, ms);
}

struct object *set_kit_get(struct set_kit *k, const char *kind, const char *name)
{
    return fake_client_get(k->api, "", kind, "default", name);
}

void set_kit_patch(struct set_kit *k, const char *kind, const char *name, const char *patch)
{
    fake_client_patch(k->api, "", kind, "default", name, "", patch);
}

void set_kit_delete(struct set_kit *k, const char *kind, const char *name)
{
    fake_client_delete(k->api, "", kind, "default", name, -1, CLIENT_PROPAGATION_DEFAULT);
}

struct object *set_kit_set(struct set_kit *k, const char *name)
{
    return fake_client_get(k->api, "apps", "StatefulSet", "default", name);
}

yyjson_val *set_kit_status(struct set_kit *k, const char *name)
{
    return json_get(object_root(set_kit_set(k, name)), "status");
}

void set_kit_patch_set(struct set_kit *k, const char *name, const char *patch)
{
    fake_client_patch(k->api, "apps", "StatefulSet", "default", name, "", patch);
}

struct search {
    const char *type, *reason, *message;
    int64_t count;
};

static void see_event(void *data, struct object *o)
{
    struct search *x = data;
    yyjson_val *root = object_root(o);
    if (span_eq_cstr(json_get_str(root, "type"), x->type) &&
        span_eq_cstr(json_get_str(root, "reason"), x->reason) &&
        span_eq_cstr(json_get_str(root, "message"), x->message)) {
        x->count += json_get_int(root, "count", 0);
    }
}

int64_t set_kit_events(struct set_kit *k, const char *type, const char *reason, const char *message)
{
    struct search x = {type, reason, message, 0};
    fake_client_each(k->api, "", "Event", see_event, &x);
    return x.count;
}
