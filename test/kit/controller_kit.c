/* test/kit/controller_kit.c: see controller_kit.h. */
#include "kit/controller_kit.h"

enum { SEED = 7 };

const struct fake_node_options controller_kit_node = {.start_ms = 10, .stop_ms = 10, .bind = true};

void controller_kit_begin(struct controller_kit *k, const struct fake_node_options *node)
{
    k->env = env_sim_new(SEED);
    k->api = fake_client_new(k->env);
    k->client = fake_client_base(k->api);
    k->informers = informer_set_new(k->client);
    k->controllers = NULL;
    k->node = node ? fake_node_new(k->client, node) : NULL;
}

void controller_kit_run(struct controller_kit *k, const struct controller_type *const *only)
{
    struct controllers_options options = {.only = only, .informers = k->informers};
    controllers_free(k->controllers);
    k->controllers = controllers_new(k->env, k->client, &options);
    env_sim_run_for(k->env, 0);
}

void controller_kit_end(struct controller_kit *k)
{
    fake_node_free(k->node);
    controllers_free(k->controllers);
    informer_set_free(k->informers);
    fake_client_free(k->api);
    env_sim_free(k->env);
}

struct event_search {
    const char *reason, *message;
    int64_t count;
};

static void see_event(void *data, struct object *o)
{
    struct event_search *x = data;
    yyjson_val *root = object_root(o);
    if (span_eq_cstr(json_get_str(root, "reason"), x->reason) &&
        (!x->message || span_eq_cstr(json_get_str(root, "message"), x->message))) {
        x->count += json_get_int(root, "count", 0);
    }
}

int64_t controller_kit_events(struct fake_client *api, const char *reason, const char *message)
{
    struct event_search x = {reason, message, 0};
    fake_client_each(api, "", "Event", see_event, &x);
    return x.count;
}
