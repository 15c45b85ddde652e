/* GET pods/log: a chunked text stream from the node's session, or messages of a WebSocket. The
 * reply begins with the first bytes or, so that a quiet container does not keep its reader (and our
 * knowledge of whether it is still there) waiting, a moment later. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/time.h"
#include "codec/websocket.h"
#include "remote/remote_priv.h"

enum { BEGIN_MS = 200 };

struct remote_log {
    struct list link;
    struct remote_hub *hub;
    struct http_exchange *x; /* NULL once given back */
    struct node_session *session;
    struct env_timer timer;
    bool begun, paused, is_ws;
    /* Over WebSocket, once begun: */
    struct env_stream *stream;
    struct ws_decoder decoder;
    struct arena *arena;
};

static void log_free(struct remote_log *l)
{
    assert(!l->session);
    assert(!l->x);
    assert(!l->stream);
    if (l->is_ws) {
        ws_decoder_done(&l->decoder);
        arena_free(l->arena);
    }
    env_timer_stop(l->hub->env, &l->timer);
    list_remove(&l->link);
    l->hub->open--;
    free(l);
}

static void on_drain(void *data)
{
    struct remote_log *l = data;
    if (l->paused && l->session) {
        l->paused = false;
        l->hub->node->ops->pause(l->session, false);
    }
}

static void on_abort(void *data)
{
    struct remote_log *l = data;
    l->x = NULL;
    if (l->session) {
        l->hub->node->ops->abort(TAKE_PTR(l->session));
    }
    log_free(l);
}

static const struct http_stream_handler stream_handler = {on_drain, on_abort};

/* ---- over WebSocket ---- */

static void ws_finish(struct remote_log *l, uint16_t code)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    ws_put_close(&out, code, SPAN_NULL);
    env_stream_write(l->stream, strbuf_span(&out));
    env_stream_close_flush(TAKE_PTR(l->stream));
}

static void ws_read(void *data, struct span bytes)
{
    struct remote_log *l = data;
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct ws_event e;
    bool is_over = false;
    while (!is_over && remote_ws_next(&l->decoder, &bytes, &out, &e)) {
        is_over = e.type == WS_CLOSE || e.type == WS_ERROR;
    }
    if (out.n) {
        env_stream_write(l->stream, strbuf_span(&out));
    }
    if (is_over) {
        ws_finish(l, e.type == WS_CLOSE && e.code == WS_NO_CODE ? WS_NORMAL : e.code);
        on_abort(l);
    }
}

static void ws_gone(void *data, int code)
{
    struct remote_log *l = data;
    (void)code;
    env_stream_close(TAKE_PTR(l->stream));
    on_abort(l);
}

static void ws_begin(struct remote_log *l)
{
    static const struct env_stream_handler handler = {ws_read, ws_gone, on_drain};
    struct span offered = http_header_all(l->x, "sec-websocket-protocol");
    struct err err;
    int code = remote_ws_accept(l->x, offered.n ? "binary.k8s.io" : "", &err);
    assert(code == 0); /* checked when it came */
    l->arena = http_take_arena(l->x);
    l->decoder.expect_mask = true;
    l->stream = http_upgrade(TAKE_PTR(l->x));
    env_stream_set(l->stream, &handler, l);
    env_stream_read(l->stream, true);
}

static int ws_check(struct http_exchange *x, struct err *reterr)
{
    struct span offered = http_header_all(x, "sec-websocket-protocol");
    if (offered.n && !remote_has_token(offered, "binary.k8s.io")) {
        return err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                       "no common WebSocket protocol: client offers \"%.*s\", server has "
                       "binary.k8s.io for logs",
                       SPAN_ARG(offered));
    }
    return remote_ws_accept(x, NULL, reterr);
}

/* ---- both ---- */

static void begin(struct remote_log *l)
{
    if (!l->begun) {
        l->begun = true;
        env_timer_stop(l->hub->env, &l->timer);
        if (l->is_ws) {
            ws_begin(l);
            return;
        }
        http_stream_begin(l->x, 200, "text/plain", &stream_handler, l);
    }
}

static void on_timer(struct env_timer *timer)
{
    begin(CONTAINER_OF(timer, struct remote_log, timer));
}

static void on_output(void *data, int fd, struct span bytes)
{
    struct remote_log *l = data;
    (void)fd;
    begin(l);
    if (l->is_ws) {
        struct strbuf out cleanup_strbuf = STRBUF_INIT;
        ws_put(&out, WS_OP_BINARY, bytes, SPAN_NULL);
        env_stream_write(l->stream, strbuf_span(&out));
    } else {
        http_stream_write(l->x, bytes);
    }
    size_t queued = l->is_ws ? env_stream_queued(l->stream) : http_stream_queued(l->x);
    if (!l->paused && queued > LIMIT_REMOTE_QUEUE_BYTES) {
        l->paused = true;
        l->hub->node->ops->pause(l->session, true);
    }
}

static void on_end(void *data, int exit_code, const struct err *err)
{
    struct remote_log *l = data;
    (void)exit_code;
    struct http_exchange *x = l->x;
    l->session = NULL;
    if (err && !l->begun) {
        l->x = NULL;
        l->hub->refuse(x, err);
    } else if (l->is_ws) {
        begin(l);
        ws_finish(l, err ? WS_INTERNAL : WS_NORMAL);
    } else {
        begin(l);
        l->x = NULL;
        (err ? http_stream_abort : http_stream_end)(x);
    }
    log_free(l);
}

static const struct node_session_handler session_handler = {on_output, on_end, NULL};

void remote_logs(struct remote_hub *h, struct http_exchange *x,
                 const struct node_log_request *request)
{
    struct err err;
    bool is_ws = remote_ws_wanted(x);
    if (!h->node) {
        err_set(http_arena(x), &err, ERR_UNAVAILABLE, "this server has no node agent");
        h->refuse(x, &err);
        return;
    }
    if (is_ws && ws_check(x, &err)) {
        h->refuse(x, &err);
        return;
    }
    struct remote_log *l = MEM_NEW(struct remote_log);
    l->is_ws = is_ws;
    l->hub = h;
    l->x = x;
    h->open++;
    list_push_back(&h->logs, &l->link);
    env_timer_start(h->env, &l->timer, BEGIN_MS, on_timer);
    l->session = h->node->ops->logs(h->node, request, &session_handler, l);
    assert(l->session);
}

void remote_logs_end_all(struct remote_hub *h)
{
    assert(h);
    LIST_EACH(link, &h->logs)
    {
        struct remote_log *l = CONTAINER_OF(link, struct remote_log, link);
        if (l->session) {
            h->node->ops->abort(TAKE_PTR(l->session));
        }
        begin(l);
        if (l->is_ws) {
            ws_finish(l, WS_GOING_AWAY);
        } else {
            http_stream_abort(TAKE_PTR(l->x));
        }
        log_free(l);
    }
}

/* ---- query ---- */

static int bad_value(struct arena *a, struct err *reterr, struct span pod, const char *field,
                     const char *type, struct span message)
{
    err_set(a, reterr, ERR_INVALID, "PodLogOptions \"%.*s\" is invalid: %s: %.*s", SPAN_ARG(pod),
            field, SPAN_ARG(message));
    reterr->kind = SPAN("PodLogOptions");
    reterr->name = pod;
    err_add_cause(a, reterr, type, span_cstr(field), message);
    return -1;
}

/* Absent leaves *ret alone. */
static int take_number(struct http_exchange *x, struct span pod, const char *name, int64_t min,
                       int64_t *ret, struct err *reterr)
{
    struct arena *a = http_arena(x);
    struct span v;
    int64_t n;
    if (!http_query_get(x, name, &v)) {
        return 0;
    }
    if (!span_to_i64(v, &n)) {
        return err_set(a, reterr, ERR_BAD_REQUEST,
                       "strconv.ParseInt: parsing \"%.*s\": invalid syntax", SPAN_ARG(v));
    }
    if (n < min) {
        return bad_value(a, reterr, pod, name, "FieldValueInvalid",
                         arena_printf(a, "Invalid value: %lld: must be greater than %s",
                                      (long long)n, min ? "0" : "or equal to 0"));
    }
    *ret = n;
    return 0;
}

static bool take_flag(struct http_exchange *x, const char *name)
{
    struct span v;
    return http_query_get(x, name, &v) && http_query_true(v);
}

int remote_logs_parse(struct env *env, struct http_exchange *x, struct node_log_request *ret,
                      struct err *reterr)
{
    struct arena *a = http_arena(x);
    struct span since_time = SPAN_NULL;
    int64_t since_s = 0;
    struct span pod = ret->pod;
    assert(env);
    *ret = (struct node_log_request){.pod = pod, .tail_lines = -1, .limit_bytes = -1};
    (void)http_query_get(x, "container", &ret->container);
    ret->follow = take_flag(x, "follow");
    ret->previous = take_flag(x, "previous");
    ret->timestamps = take_flag(x, "timestamps");
    if (take_number(x, pod, "tailLines", 0, &ret->tail_lines, reterr) < 0 ||
        take_number(x, pod, "limitBytes", 1, &ret->limit_bytes, reterr) < 0 ||
        take_number(x, pod, "sinceSeconds", 1, &since_s, reterr) < 0) {
        return -1;
    }
    /* An empty one is none, as in Kubernetes. */
    if (http_query_get(x, "sinceTime", &since_time) && since_time.n &&
        !time_parse(since_time, &ret->since_ms)) {
        return err_set(a, reterr, ERR_BAD_REQUEST,
                       "parsing time \"%.*s\" as \"2006-01-02T15:04:05Z07:00\": cannot parse "
                       "\"%.*s\" as RFC 3339",
                       SPAN_ARG(since_time), SPAN_ARG(since_time));
    }
    if (since_s && since_time.n) {
        return bad_value(a, reterr, pod, "", "FieldValueForbidden",
                         SPAN("Forbidden: at most one of `sinceTime` or `sinceSeconds` may be "
                              "specified"));
    }
    if (since_s) {
        int64_t now_ms = env_now_ms(env);
        ret->since_ms = since_s < now_ms / 1000 ? now_ms - since_s * 1000 : 0;
    }
    return 0;
}
