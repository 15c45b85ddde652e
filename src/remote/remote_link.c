/* remote/remote_link.c: see remote_link_priv.h. */
#include "remote/remote_link_priv.h"

#include "base/check.h"

/* ---- its life ---- */

static void enter(struct remote_link *l)
{
    l->depth++;
}

static void leave(struct remote_link *l)
{
    assert(l->depth > 0);
    if (--l->depth > 0 || l->stream) {
        return;
    }
    assert(l->hub->open > 0);
    env_timer_stop(l->hub->env, &l->timer);
    list_remove(&l->link);
    l->hub->open--;
    strbuf_done(&l->out);
    arena_free(l->arena);
    l->ops->free(l);
}

void remote_link_flush(struct remote_link *l)
{
    assert(l->ops);
    if (l->ops->wrap) {
        l->ops->wrap(l);
    }
    if (l->stream && l->out.n) {
        env_stream_write(l->stream, strbuf_span(&l->out));
    }
    strbuf_clear(&l->out);
}

void remote_link_drop(struct remote_link *l)
{
    if (!l->stream) {
        return;
    }
    enter(l);
    remote_link_flush(l);
    l->ops->end(l);
    env_stream_close_flush(TAKE_PTR(l->stream));
    leave(l);
}

void remote_links_end_all(struct remote_hub *h)
{
    LIST_EACH(link, &h->links)
    {
        remote_link_drop(CONTAINER_OF(link, struct remote_link, link));
    }
    assert(list_is_empty(&h->links));
}

/* ---- back-pressure ---- */

static void on_ask(struct env_timer *timer)
{
    struct remote_link *l = CONTAINER_OF(timer, struct remote_link, timer);
    remote_link_look(l);
    if (l->client_paused) {
        l->ask_ms = l->ask_ms * 2 < REMOTE_ASK_MAX_MS ? l->ask_ms * 2 : REMOTE_ASK_MAX_MS;
        env_timer_start(l->hub->env, &l->timer, l->ask_ms, on_ask);
    }
}

void remote_link_look(struct remote_link *l)
{
    assert(l->ops->is_stuck);
    bool stuck = l->stream && l->ops->is_stuck(l);
    if (!l->stream || stuck == l->client_paused) {
        return;
    }
    l->client_paused = stuck;
    env_stream_read(l->stream, !stuck);
    if (stuck) {
        l->ask_ms = REMOTE_ASK_MIN_MS;
        env_timer_start(l->hub->env, &l->timer, l->ask_ms, on_ask);
    } else {
        env_timer_stop(l->hub->env, &l->timer);
    }
}

/* ---- the stream ---- */

static void on_read(void *data, struct span bytes)
{
    struct remote_link *l = data;
    enter(l);
    l->ops->input(l, bytes);
    remote_link_flush(l);
    if (l->stream && env_stream_queued(l->stream) > REMOTE_STUCK_BYTES) {
        remote_link_drop(l);
    }
    remote_link_look(l);
    leave(l);
}

static void on_end(void *data, int code)
{
    (void)code;
    remote_link_drop(data);
}

static void on_drain(void *data)
{
    struct remote_link *l = data;
    l->ops->room(l);
}

void remote_link_init(struct remote_link *l, const struct remote_link_ops *ops,
                      struct remote_hub *hub, struct http_exchange *x, struct span ns,
                      struct span pod)
{
    static const struct env_stream_handler handler = {on_read, on_end, on_drain};
    assert(!l->hub);
    assert(hub->node);
    l->ops = ops;
    l->hub = hub;
    hub->open++;
    list_push_back(&hub->links, &l->link);
    l->arena = arena_new();
    l->ns = arena_dup(l->arena, ns);
    l->pod = arena_dup(l->arena, pod);
    l->stream = http_upgrade(x);
    assert(l->stream);
    env_stream_set(l->stream, &handler, l);
}

void remote_link_start(struct remote_link *l)
{
    assert(l->stream);
    assert(!l->client_paused);
    env_stream_read(l->stream, true);
}
