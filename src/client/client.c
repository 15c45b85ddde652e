/* client/client.c: dispatch to the implementation's table; shared conveniences. */
#include "client/client.h"

#include "base/check.h"

void client_do(struct client *c, const struct client_request *request, client_reply_fn *fn,
               void *data)
{
    assert(c);
    assert(c->ops);
    assert(request->kind);
    c->ops->request(c, request, fn, data);
}

void client_cancel(struct client *c, void *data)
{
    assert(c);
    assert(data);
    c->ops->cancel(c, data);
}

struct client_watch *client_watch_new(struct client *c, const struct client_request *selection,
                                      const struct client_watch_handler *handler, void *data)
{
    assert(c);
    assert(c->ops);
    assert(selection->kind);
    assert(handler->on_event);
    struct client_watch *w = c->ops->watch_new(c, selection, handler, data);
    assert(w);
    assert(w->client == c);
    return w;
}

void client_watch_free(struct client_watch *w)
{
    assert(!w || w->client);
    if (w) {
        w->client->ops->watch_free(w);
    }
}

void client_free(struct client *c)
{
    if (c) {
        c->ops->free(c);
    }
}
