/* Replies of proxied servers and of nodes that end too early: the client must see that. A made-up
 * server on loopback; the client speaks raw HTTP/1.1. */
#include <signal.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "front/reply.h"
#include "kit/kit.h"
#include "remote/remote_proxy.h"

struct node_session {
    const struct node_session_handler *handler;
    void *data;
    struct env_timer timer;
};

struct world {
    struct env *env;
    struct http_server *http;
    struct remote_hub *hub;
    struct node_api node;
    struct env_listener *listener;
    struct env_stream *server, *client;
    const char *answer; /* of the made-up server, which then hangs up */
    struct node_session session;
    struct err *log_err; /* how the log ends */
    struct strbuf got;
    struct env_timer patience;
    bool ended;
};

/* ---- the made-up server and node ---- */

static void server_read(void *data, struct span bytes)
{
    struct world *w = data;
    (void)bytes;
    if (w->server) {
        env_stream_write(w->server, span_cstr(w->answer));
        env_stream_close_flush(TAKE_PTR(w->server));
    }
}

static void server_end(void *data, int code)
{
    struct world *w = data;
    (void)code;
    env_stream_close(TAKE_PTR(w->server));
}

static void server_accept(void *data, struct env_stream *stream)
{
    static const struct env_stream_handler handler = {server_read, server_end, NULL};
    struct world *w = data;
    w->server = stream;
    env_stream_set(stream, &handler, w);
    env_stream_read(stream, true);
}

static void log_ends(struct env_timer *t)
{
    struct node_session *s = CONTAINER_OF(t, struct node_session, timer);
    struct world *w = CONTAINER_OF(s, struct world, session);
    s->handler->on_output(s->data, 1, SPAN("a line\n"));
    s->handler->on_end(s->data, 0, w->log_err);
}

static struct node_session *node_logs(struct node_api *n, const struct node_log_request *q,
                                      const struct node_session_handler *handler, void *data)
{
    struct world *w = CONTAINER_OF(n, struct world, node);
    (void)q;
    w->session = (struct node_session){.handler = handler, .data = data};
    env_timer_start(w->env, &w->session.timer, 1, log_ends);
    return &w->session;
}

static const struct node_api_ops node_ops = {.logs = node_logs};

/* ---- ours ---- */

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    if (span_eq_cstr(http_path(x), "/log")) {
        remote_logs(w->hub, x, &(struct node_log_request){.tail_lines = -1});
        return;
    }
    const struct remote_proxy_target target = {.host = SPAN("127.0.0.1"),
                                               .port = env_listener_port(w->listener),
                                               .path = SPAN("/"),
                                               .prefix = SPAN("/proxy")};
    remote_proxy(w->hub, x, &target);
}

static void on_patience(struct env_timer *t)
{
    (void)t;
    CHECK(!"the connection did not end");
}

static void client_read(void *data, struct span bytes)
{
    strbuf_put(&((struct world *)data)->got, bytes);
}

static void client_end(void *data, int code)
{
    struct world *w = data;
    (void)code;
    env_stream_close(TAKE_PTR(w->client));
    w->ended = true;
    env_uv_stop(w->env);
}

static void client_connected(void *data, int code, struct env_stream *stream)
{
    static const struct env_stream_handler handler = {client_read, client_end, NULL};
    struct world *w = data;
    CHECK_EQ(code, 0);
    w->client = stream;
    env_stream_set(stream, &handler, w);
    env_stream_read(stream, true);
    env_uv_stop(w->env);
}

static void run(struct world *w)
{
    env_timer_start(w->env, &w->patience, 20000, on_patience);
    env_uv_run(w->env);
    env_timer_stop(w->env, &w->patience);
}

static void world_init(struct world *w)
{
    static const struct http_handler handler = {.on_request = on_request};
    static const struct env_listener_handler server = {server_accept};
    *w = (struct world){.env = env_uv_new(), .node = {&node_ops}};
    (void)signal(SIGPIPE, SIG_IGN);
    w->hub = remote_hub_new(w->env, &w->node, reply_err);
    w->http = http_server_new(w->env, &handler, w);
    CHECK_EQ(env_listen_tcp(w->env, "127.0.0.1", 0, &server, w, &w->listener), 0);
}

static void world_done(struct world *w)
{
    env_listener_close(w->listener);
    http_server_free(w->http);
    remote_hub_free(w->hub);
    strbuf_done(&w->got);
    env_uv_free(w->env);
}

/* The whole reply to a GET of the path, after which we close our side. */
static struct span get(struct world *w, const char *path)
{
    uint16_t port;
    char text[100];
    strbuf_clear(&w->got);
    CHECK_EQ(http_server_listen_tcp(w->http, "127.0.0.1", 0, NULL, &port), 0);
    CHECK_EQ(env_connect_tcp(w->env, "127.0.0.1", port, client_connected, w), 0);
    run(w);
    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nConnection: close\r\n\r\n", path);
    env_stream_write(w->client, span_cstr(text));
    w->ended = false;
    run(w);
    CHECK(w->ended);
    return strbuf_span(&w->got);
}

TEST(a_proxied_reply_that_is_cut_short_looks_cut_short)
{
    struct world w;
    world_init(&w);
    w.answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage";
    struct span got = get(&w, "/proxy");
    CHECK(span_starts(got, SPAN("HTTP/1.1 200 OK\r\n")));
    CHECK(span_ends(got, SPAN("4\r\npage\r\n0\r\n\r\n")));
    /* Less than it promised. */
    w.answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npage";
    got = get(&w, "/proxy");
    CHECK(span_starts(got, SPAN("HTTP/1.1 200 OK\r\n")));
    CHECK(span_ends(got, SPAN("4\r\npage\r\n")));
    /* Chunks that stop, and one that is none. */
    w.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n";
    got = get(&w, "/proxy");
    CHECK(span_ends(got, SPAN("4\r\npage\r\n")));
    w.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\nwhat?\r\n";
    got = get(&w, "/proxy");
    CHECK(span_ends(got, SPAN("4\r\npage\r\n")));
    world_done(&w);
}

TEST(a_log_that_is_cut_short_looks_cut_short)
{
    struct world w;
    world_init(&w);
    struct span got = get(&w, "/log");
    CHECK(span_ends(got, SPAN("7\r\na line\n\r\n0\r\n\r\n")));
    struct err err = {.reason = ERR_INTERNAL, .message = SPAN("the disk is gone")};
    w.log_err = &err;
    got = get(&w, "/log");
    CHECK(span_ends(got, SPAN("7\r\na line\n\r\n")));
    world_done(&w);
}
