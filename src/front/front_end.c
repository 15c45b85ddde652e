#include "base/check.h"
#include "base/mem.h"
#include "front/front_priv.h"
#include "front/reply.h"
#include "remote/remote.h"

static void on_kind_changed(void *data, struct span resource)
{
    front_watches_end_of(data, resource);
}

struct front_end *front_end_new(struct apiserver *s, struct node_api *node)
{
    assert(s);
    struct front_end *e = MEM_NEW(struct front_end);
    e->server = s;
    list_init(&e->watches);
    e->remote = remote_hub_new(s->env, node, reply_err);
    apiserver_on_kind_changed(s, on_kind_changed, e);
    return e;
}

static void destroy(struct front_end *e)
{
    assert(list_is_empty(&e->watches));
    metrics_done(&e->metrics);
    free(e);
}

void front_end_free(struct front_end *e)
{
    if (!e) {
        return;
    }
    assert(!e->is_freed);
    apiserver_on_kind_changed(e->server, NULL, NULL);
    front_watches_end(e);
    remote_hub_free(e->remote);
    e->is_freed = true;
    if (e->requests_open == 0) {
        destroy(e);
    }
}

void front_end_answered(struct front_end *e)
{
    assert(e->requests_open > 0);
    if (--e->requests_open == 0 && e->is_freed) {
        destroy(e);
    }
}

void front_end_set_metrics(struct front_end *e, void (*put)(void *data, struct strbuf *out),
                           void *data)
{
    e->more_metrics = put;
    e->more_metrics_data = data;
}

void front_end_set_control(struct front_end *e, bool (*handle)(void *data, struct http_exchange *x),
                           void *data)
{
    e->control = handle;
    e->control_data = data;
}
