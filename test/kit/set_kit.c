#include "test/kit/set_kit.h"

#include "base/mem.h"
#include "schema/schema.h"

static enum err_reason fault(void *data, const struct client_request *rq)
{
    struct set_kit *k = data;
    bool refused = rq->kind == k->refused_kind && rq->verb == k->refused_verb;
    return refused && !rq->subresource.n ? ERR_FORBIDDEN : ERR_NONE;
}

struct set_kit *set_kit_new(void)
{
    struct set_kit *k = MEM_NEW(struct set_kit);
    controller_kit_begin(&k->base, &controller_kit_node);
    fake_client_fault(k->base.api, fault, k);
    controller_kit_run(&k->base, CONTROLLERS(&controller_statefulset));
    return k;
}

void set_kit_free(struct set_kit *k)
{
    controller_kit_end(&k->base);
    free(k);
}

void set_kit_run(struct set_kit *k, int64_t ms)
{
    env_sim_run_for(k->base.env, ms);
}

struct object *set_kit_get(struct set_kit *k, const char *kind, const char *name)
{
    return fake_client_get(k->base.api, "", kind, "default", name);
}

void set_kit_patch(struct set_kit *k, const char *kind, const char *name, const char *patch)
{
    fake_client_patch(k->base.api, "", kind, "default", name, "", patch);
}

void set_kit_delete(struct set_kit *k, const char *kind, const char *name)
{
    fake_client_delete(k->base.api, "", kind, "default", name, -1, CLIENT_PROPAGATION_DEFAULT);
}

struct object *set_kit_set(struct set_kit *k, const char *name)
{
    return fake_client_get(k->base.api, "apps", "StatefulSet", "default", name);
}

yyjson_val *set_kit_status(struct set_kit *k, const char *name)
{
    return json_get(object_root(set_kit_set(k, name)), "status");
}

void set_kit_patch_set(struct set_kit *k, const char *name, const char *patch)
{
    fake_client_patch(k->base.api, "apps", "StatefulSet", "default", name, "", patch);
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
    fake_client_each(k->base.api, "", "Event", see_event, &x);
    return x.count;
}
