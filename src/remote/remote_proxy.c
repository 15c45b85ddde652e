/* GET (and every other method) of pods/proxy and services/proxy: the request goes on to a server of
 * the cluster over a connection of its own, the reply comes back as it arrives.
 *
 *   CONNECT -> on_connected -> request written -> on_head: the reply begins -> on_body ... -> end
 *
 * The client may go once the reply has begun; until then a time limit ends what hangs. */
#include "remote/remote_proxy.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/http_response.h"
#include "remote/remote_priv.h"

struct remote_proxy {
    struct list link;
    struct remote_hub *hub;
    struct http_exchange *x; /* NULL once given back */
    struct env_stream *stream;
    struct http_response *reply;
    struct env_timer timer;
    struct strbuf request;
    struct span host, prefix;
    uint16_t port;
    bool connecting, begun, whole, paused;
};

/* Of one connection, not of the request. */
static bool is_hop(struct span name)
{
    static const char *const hop[] = {"connection",
                                      "keep-alive",
                                      "proxy-connection",
                                      "proxy-authenticate",
                                      "proxy-authorization",
                                      "te",
                                      "trailer",
                                      "transfer-encoding",
                                      "upgrade"};
    for (size_t i = 0; i < sizeof hop / sizeof *hop; i++) {
        if (span_eq_cstr(name, hop[i])) {
            return true;
        }
    }
    return false;
}

static void put_request(struct remote_proxy *p, const struct remote_proxy_target *t)
{
    struct strbuf *b = &p->request;
    struct span name, value, body = http_body(p->x), named = http_header(p->x, "connection");
    size_t at = 0;
    strbuf_printf(b, "%.*s %.*s HTTP/1.1\r\nHost: %.*s:%u\r\nConnection: close\r\n",
                  SPAN_ARG(http_method(p->x)), SPAN_ARG(t->path), SPAN_ARG(t->host), t->port);
    while (http_header_next(p->x, &at, &name, &value)) {
        /* Who the client is to us is nobody else's business. */
        if (!is_hop(name) && !span_eq_cstr(name, "host") && !span_eq_cstr(name, "content-length") &&
            !span_eq_cstr(name, "authorization") && !span_eq_cstr(name, "expect") &&
            !(named.n && remote_has_token(named, arena_cstr(http_arena(p->x), name)))) {
            strbuf_printf(b, "%.*s: %.*s\r\n", SPAN_ARG(name), SPAN_ARG(value));
        }
    }
    if (body.n || span_eq_cstr(http_method(p->x), "POST") ||
        span_eq_cstr(http_method(p->x), "PUT")) {
        strbuf_printf(b, "Content-Length: %zu\r\n", body.n);
    }
    strbuf_puts(b, "\r\n");
    strbuf_put(b, body);
}

/* ---- the end ---- */

static void proxy_free(struct remote_proxy *p)
{
    assert(!p->x);
    if (p->hub) {
        env_timer_stop(p->hub->env, &p->timer);
        list_remove(&p->link);
        p->hub->open--;
        p->hub = NULL;
    }
    if (p->stream) {
        env_stream_close(TAKE_PTR(p->stream));
    }
    if (p->connecting) {
        return; /* on_connected frees it */
    }
    http_response_free(p->reply);
    strbuf_done(&p->request);
    free(p);
}

static void refuse(struct remote_proxy *p, enum err_reason reason, const char *why)
{
    struct http_exchange *x = TAKE_PTR(p->x);
    if (p->begun) { /* too late to say why: the client sees a reply that is cut short */
        log_event(LOG_WARN, "proxy_reply_broken", LOG_S("host", p->host), LOG_C("why", why));
        http_stream_abort(x);
    } else {
        struct err err;
        (void)err_set(http_arena(x), &err, reason, "error trying to reach service: %.*s:%u: %s",
                      SPAN_ARG(p->host), p->port, why);
        p->hub->refuse(x, &err);
    }
    proxy_free(p);
}

static void on_late(struct env_timer *timer)
{
    refuse(CONTAINER_OF(timer, struct remote_proxy, timer), ERR_TIMEOUT,
           "no reply within the time limit");
}

/* ---- to the client ---- */

static void on_drain(void *data)
{
    struct remote_proxy *p = data;
    if (p->paused && p->stream) {
        p->paused = false;
        env_stream_read(p->stream, true);
    }
}

static void on_abort(void *data)
{
    struct remote_proxy *p = data;
    p->x = NULL;
    proxy_free(p);
}

static const struct http_stream_handler stream_handler = {on_drain, on_abort};

static void on_head(void *data)
{
    struct remote_proxy *p = data;
    struct arena *a = http_arena(p->x);
    struct span name, value, type = SPAN("application/octet-stream");
    size_t at = 0;
    int status = http_response_status(p->reply);
    env_timer_stop(p->hub->env, &p->timer);
    while (http_response_header(p->reply, &at, &name, &value)) {
        if (span_eq_cstr(name, "content-type")) {
            type = value;
        } else if (span_eq_cstr(name, "location") && value.n > 1 && value.p[0] == '/' &&
                   value.p[1] != '/') {
            http_add_header(p->x, "Location",
                            arena_printf(a, "%.*s%.*s", SPAN_ARG(p->prefix), SPAN_ARG(value)));
        } else if (!is_hop(name) && !span_eq_cstr(name, "content-length")) {
            http_add_header(p->x, arena_cstr(a, name), value);
        }
    }
    p->whole = status == 204 || status == 304 || span_eq_cstr(http_method(p->x), "HEAD");
    if (p->whole) { /* no body follows */
        http_reply(TAKE_PTR(p->x), status, arena_cstr(a, type), SPAN_NULL);
        return;
    }
    p->begun = true;
    http_stream_begin(p->x, status, arena_cstr(a, type), &stream_handler, p);
}

static void on_body(void *data, struct span bytes)
{
    struct remote_proxy *p = data;
    if (!p->x) {
        return;
    }
    http_stream_write(p->x, bytes);
    if (!p->paused && http_stream_queued(p->x) > LIMIT_REMOTE_QUEUE_BYTES) {
        p->paused = true;
        env_stream_read(p->stream, false);
    }
}

static const struct http_response_handler response_handler = {on_head, on_body};

/* ---- from the server ---- */

static void after(struct remote_proxy *p, enum http_response_state state)
{
    if (p->whole) {
        proxy_free(p);
    } else if (state == HTTP_RESPONSE_DONE) {
        http_stream_end(TAKE_PTR(p->x));
        proxy_free(p);
    } else if (state == HTTP_RESPONSE_BAD) {
        refuse(p, ERR_UNAVAILABLE, http_response_why(p->reply));
    }
}

static void on_read(void *data, struct span bytes)
{
    struct remote_proxy *p = data;
    after(p, http_response_feed(p->reply, bytes));
}

static void on_end(void *data, int code)
{
    struct remote_proxy *p = data;
    if (code < 0) {
        refuse(p, ERR_UNAVAILABLE, code_text(code));
    } else {
        after(p, http_response_end(p->reply));
    }
}

static const struct env_stream_handler server_handler = {on_read, on_end, NULL};

static void on_connected(void *data, int code, struct env_stream *stream)
{
    struct remote_proxy *p = data;
    p->connecting = false;
    p->stream = stream;
    if (!p->hub) {
        proxy_free(p); /* given up meanwhile */
        return;
    }
    if (code < 0) {
        refuse(p, ERR_UNAVAILABLE, code_text(code));
        return;
    }
    env_stream_set(stream, &server_handler, p);
    env_stream_write(stream, strbuf_span(&p->request));
    env_stream_read(stream, true);
}

void remote_proxy(struct remote_hub *h, struct http_exchange *x,
                  const struct remote_proxy_target *target)
{
    assert(x);
    struct arena *a = http_arena(x);
    struct remote_proxy *p = MEM_NEW(struct remote_proxy);
    p->hub = h;
    p->x = x;
    p->host = arena_dup(a, target->host);
    p->prefix = arena_dup(a, target->prefix);
    p->port = target->port;
    h->open++;
    list_push_back(&h->proxies, &p->link);
    put_request(p, target);
    p->reply = http_response_new(span_eq_cstr(http_method(x), "HEAD"), &response_handler, p);
    env_timer_start(h->env, &p->timer, LIMIT_PROXY_HEAD_MS, on_late);
    int code = env_connect_tcp(h->env, arena_cstr(a, target->host), target->port, on_connected, p);
    p->connecting = code == 0;
    if (code < 0) {
        refuse(p, ERR_UNAVAILABLE, code_text(code));
    }
}

void remote_proxies_end_all(struct remote_hub *h)
{
    assert(h);
    LIST_EACH(link, &h->proxies)
    {
        refuse(CONTAINER_OF(link, struct remote_proxy, link), ERR_UNAVAILABLE,
               "this server is being stopped");
    }
}
