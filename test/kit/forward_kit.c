/* test/kit/forward_kit.c: see forward_kit.h. */
#include "kit/forward_kit.h"

#include "front/reply.h"

#include <stdlib.h>

#include "base/mem.h"
#include "kit/kit.h"

/* ---- the node ---- */

static void session_free(struct node_session *s)
{
    env_timer_stop(s->k->env, &s->timer);
    strbuf_done(&s->in);
    s->k->live--;
    free(s);
}

void forward_kit_session_end(struct node_session *s, const struct err *err)
{
    s->h->on_end(s->data, err ? -1 : 0, err);
    session_free(s);
}

static void on_timer(struct env_timer *t)
{
    static const struct err refused = {.reason = ERR_INTERNAL,
                                       .message = SPAN("connect: connection refused")};
    struct node_session *s = CONTAINER_OF(t, struct node_session, timer);
    if (s->port == FORWARD_REFUSED_PORT) {
        forward_kit_session_end(s, &refused);
    } else {
        s->k->tick(s);
    }
}

void forward_kit_poke(struct node_session *s)
{
    env_timer_start(s->k->env, &s->timer, 1, on_timer);
}

static struct node_session *node_dial(struct node_api *n, const struct node_dial_request *q,
                                      const struct node_session_handler *h, void *data)
{
    struct forward_kit *k = CONTAINER_OF(n, struct forward_kit, node);
    struct node_session *s = MEM_NEW(struct node_session);
    CHECK_SPAN(q->ns, "default");
    CHECK_SPAN(q->pod, "p");
    *s = (struct node_session){.k = k, .h = h, .data = data, .port = q->port};
    k->dials++;
    k->live++;
    k->last = s;
    forward_kit_poke(s);
    return s;
}

static void node_write(struct node_session *s, struct span bytes)
{
    strbuf_put(&s->in, bytes);
    s->k->queued_max = s->in.n > s->k->queued_max ? s->in.n : s->k->queued_max;
    forward_kit_poke(s);
}

static size_t node_queued(const struct node_session *s)
{
    return s->in.n;
}

static void node_close_stdin(struct node_session *s)
{
    s->in_ended = true;
    forward_kit_poke(s);
}

static void node_pause(struct node_session *s, bool paused)
{
    s->paused = paused;
    s->k->pauses += paused;
    if (!paused) {
        forward_kit_poke(s);
    }
}

static void node_abort(struct node_session *s)
{
    s->k->aborts++;
    session_free(s);
}

/* ---- the client ---- */

static void on_read(void *data, struct span bytes)
{
    struct forward_kit *k = data;
    if (k->upgraded) {
        k->take(k, bytes);
        return;
    }
    strbuf_put(&k->raw, bytes);
    char *end = memmem(k->raw.p, k->raw.n, "\r\n\r\n", 4);
    if (end && memmem(k->raw.p, k->raw.n, " 101 ", 5)) {
        k->upgraded = true;
        k->take(k, span_from(strbuf_span(&k->raw), (size_t)(end + 4 - k->raw.p)));
    }
}

static void on_end(void *data, int code)
{
    struct forward_kit *k = data;
    (void)code;
    k->ended = true;
    env_stream_close(TAKE_PTR(k->s));
}

static void on_connected(void *data, int code, struct env_stream *stream)
{
    static const struct env_stream_handler handler = {on_read, on_end, NULL};
    struct forward_kit *k = data;
    CHECK_EQ(code, 0);
    k->s = stream;
    env_stream_set(stream, &handler, k);
    env_stream_read(stream, true);
}

static void on_request(void *data, struct http_exchange *x)
{
    struct forward_kit *k = data;
    remote_forward(k->hub, x, SPAN("default"), SPAN("p"));
}

void forward_kit_start(struct forward_kit *k, uint64_t seed, struct span head)
{
    static const struct node_api_ops ops = {.dial = node_dial,
                                            .write = node_write,
                                            .queued = node_queued,
                                            .close_stdin = node_close_stdin,
                                            .pause = node_pause,
                                            .abort = node_abort};
    static const struct http_handler handler = {on_request};
    k->env = env_sim_new(seed);
    k->node.ops = &ops;
    k->http = http_server_new(k->env, &handler, k);
    k->hub = remote_hub_new(k->env, &k->node, reply_err);
    CHECK_EQ(http_server_listen_tcp(k->http, "127.0.0.1", 80, NULL, NULL), 0);
    CHECK_EQ(env_connect_tcp(k->env, "127.0.0.1", 80, on_connected, k), 0);
    env_sim_run_for(k->env, 500);
    env_stream_write(k->s, head);
    env_sim_run_for(k->env, 500);
}

void forward_kit_end(struct forward_kit *k)
{
    if (k->s) {
        env_stream_close(k->s);
    }
    env_sim_run_for(k->env, 1000);
    CHECK_EQ(k->live, 0); /* a client that goes leaves nothing */
    CHECK_EQ(remote_hub_open(k->hub), 0);
    remote_hub_free(k->hub);
    http_server_close(k->http);
    env_sim_run_for(k->env, 20000);
    http_server_free(k->http);
    env_sim_free(k->env);
    strbuf_done(&k->raw);
}
