#include "http/http_upgrade.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "env/stream_impl.h"

struct upgraded {
    struct env_stream base;   /* first */
    struct env_stream *inner; /* NULL: dead */
    struct strbuf early;
    struct env_task task; /* brings what is due, one callback a run */
    int end_code;
    bool ended, end_told, reading;
};

static const struct env_stream_ops upgraded_ops;

/* The task is posted again before each callback, because the callback may close the stream. */
static void on_task(struct env_task *task)
{
    struct upgraded *u = CONTAINER_OF(task, struct upgraded, task);
    if (!u->reading || u->end_told) {
        return;
    }
    if (u->early.n) {
        struct strbuf early cleanup_strbuf = u->early;
        u->early = STRBUF_INIT;
        env_post(u->base.env, &u->task, on_task);
        u->base.handler.on_read(u->base.data, strbuf_span(&early));
    } else if (u->ended) {
        u->end_told = true;
        u->base.handler.on_end(u->base.data, u->end_code);
    } else {
        env_stream_read(u->inner, true);
    }
}

static void on_inner_read(void *data, struct span bytes)
{
    struct upgraded *u = data;
    assert(u->early.n == 0);
    u->base.handler.on_read(u->base.data, bytes);
}

static void on_inner_end(void *data, int code)
{
    struct upgraded *u = data;
    if (u->end_told) {
        return;
    }
    u->ended = u->end_told = true;
    u->base.handler.on_end(u->base.data, code);
}

static void on_inner_drain(void *data)
{
    struct upgraded *u = data;
    if (u->base.handler.on_drain && !u->end_told) {
        u->base.handler.on_drain(u->base.data);
    }
}

static const struct env_stream_handler inner_handler = {on_inner_read, on_inner_end,
                                                        on_inner_drain};

struct env_stream *http_upgraded_new(struct env_stream *inner, struct span early, bool ended)
{
    assert(inner);
    struct upgraded *u = MEM_NEW(struct upgraded);
    u->base = (struct env_stream){.ops = &upgraded_ops, .env = inner->env};
    u->inner = inner;
    u->ended = ended;
    strbuf_put(&u->early, early);
    env_stream_set(inner, &inner_handler, u);
    env_stream_read(inner, false);
    return &u->base;
}

struct env_stream *http_upgraded_dead(struct env *env)
{
    assert(env);
    struct upgraded *u = MEM_NEW(struct upgraded);
    u->base = (struct env_stream){.ops = &upgraded_ops, .env = env};
    u->ended = true;
    u->end_code = -ECONNRESET;
    return &u->base;
}

static struct upgraded *of(const struct env_stream *s)
{
    return CONTAINER_OF((struct env_stream *)(uintptr_t)s, struct upgraded, base);
}

static void op_read(struct env_stream *s, bool on)
{
    struct upgraded *u = of(s);
    if (u->reading == on) {
        return;
    }
    u->reading = on;
    if (on) {
        env_post(s->env, &u->task, on_task);
    } else if (u->inner) {
        env_stream_read(u->inner, false);
    }
}

static void op_write(struct env_stream *s, struct span bytes)
{
    if (of(s)->inner) {
        env_stream_write(of(s)->inner, bytes);
    }
}

static size_t op_queued(const struct env_stream *s)
{
    return of(s)->inner ? env_stream_queued(of(s)->inner) : 0;
}

static void op_shutdown(struct env_stream *s)
{
    if (of(s)->inner) {
        env_stream_shutdown(of(s)->inner);
    }
}

static void op_close(struct env_stream *s, bool flush)
{
    struct upgraded *u = of(s);
    env_post_cancel(s->env, &u->task);
    if (u->inner && flush) {
        env_stream_close_flush(u->inner);
    } else if (u->inner) {
        env_stream_close(u->inner);
    }
    strbuf_done(&u->early);
    free(u);
}

static const char *op_peer(const struct env_stream *s)
{
    return of(s)->inner ? env_stream_peer(of(s)->inner) : "";
}

static const struct env_stream_ops upgraded_ops = {
    .read = op_read,
    .write = op_write,
    .queued = op_queued,
    .shutdown = op_shutdown,
    .close = op_close,
    .peer = op_peer,
};
