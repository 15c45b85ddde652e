/* Watches over HTTP: one JSON object a line in a chunked reply, or one protobuf frame each. Pulled:
 * events are taken from the hub's window only while the connection has room, so a slow client costs
 * nothing but its cursor.
 */
#include "apiserver/selection.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/status.h"
#include "front/front_watch_priv.h"
#include "remote/remote.h"

enum { QUEUE_BYTES = 64 * 1024, BATCH_BYTES = 60 * 1024, BOOKMARK_MS = 60 * 1000 };

void front_watch_release(struct watch_stream *w)
{
    struct env *env = w->f->server->env;
    assert(w->f->end->watches_open > 0);
    assert(w->initial_at <= w->initial_n);
    env_timer_stop(env, &w->timeout);
    env_timer_stop(env, &w->bookmark);
    watcher_free(w->watcher);
    w->watcher = NULL;
    for (size_t i = w->initial_at; i < w->initial_n; i++) {
        object_unref(w->initial[i]);
    }
    free(w->initial);
    w->initial = NULL;
    w->initial_n = w->initial_at = 0;
    list_remove(&w->link);
    w->f->end->watches_open--;
    front_running(w->f, -1);
    api_op_release(&w->f->op);
}

static void end(struct watch_stream *w)
{
    struct http_exchange *x = w->f->x;
    struct watch_ws *ws = w->ws;
    front_watch_release(w);
    if (ws) {
        watch_ws_end(ws);
    } else {
        http_stream_end(x); /* w is gone with the exchange's arena */
    }
}

static size_t queued(const struct watch_stream *w)
{
    return w->ws ? watch_ws_queued(w->ws) : http_stream_queued(w->f->x);
}

static void put(struct watch_stream *w, struct span events)
{
    if (w->ws) {
        watch_ws_write(w->ws, events);
    } else {
        http_stream_write(w->f->x, events);
    }
}

static void put_expired(struct watch_stream *w, struct strbuf *out)
{
    struct err e = {.reason = ERR_EXPIRED,
                    .message = SPAN("too old resource version: the watch fell behind the history "
                                    "that is kept; list again")};
    render_error_event(out, &w->f->render, status_json(w->f->arena, &e));
}

/* In the version that is watched. */
static void put_event(struct watch_stream *w, struct strbuf *out, enum watch_type type,
                      struct object *o, int64_t rev)
{
    struct arena *a cleanup_arena = arena_new();
    size_t before = out->n;
    o = definitions_in_version(a, w->f->op.kind, o);
    render_event(out, &w->f->render, type, o, rev, false);
    metrics_event(w->metric, out->n - before);
}

/* One event into out. False: nothing more for now; *ended: the stream is over. */
static bool step(struct watch_stream *w, struct strbuf *out, bool *ended)
{
    const struct api_render *r = &w->f->render;
    if (w->initial_at < w->initial_n) {
        struct object *o = w->initial[w->initial_at++];
        put_event(w, out, WATCH_ADDED, o, object_rev(o));
        object_unref(o);
        return true;
    }
    if (w->owes_initial_end) {
        w->owes_initial_end = false;
        render_event(out, r, WATCH_BOOKMARK, NULL, w->initial_rev, true);
        return true;
    }
    struct watch_event e;
    int rc = watcher_next(w->watcher, &e);
    if (rc == 1) {
        put_event(w, out, e.type, e.object, e.rev);
        return true;
    }
    if (rc == E_LIMIT) {
        put_expired(w, out);
        *ended = true;
    }
    return false;
}

void front_watch_pump(struct watch_stream *w)
{
    assert(w->f);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    size_t batch = w->ws ? 1 : BATCH_BYTES; /* a message holds one event */
    bool ended = false, more = true;
    w->f->render.now_ms = env_now_ms(w->f->server->env);
    while (more && queued(w) < QUEUE_BYTES) {
        while (more && out.n < batch) {
            more = step(w, &out, &ended);
        }
        if (out.n) {
            put(w, strbuf_span(&out));
            strbuf_clear(&out);
        }
    }
    if (ended) {
        end(w);
    }
}

static void on_more(void *data)
{
    front_watch_pump(data);
}

static void on_drain(void *data)
{
    front_watch_pump(data);
}

static void on_abort(void *data)
{
    front_watch_release(data);
}

static void send_bookmark(struct watch_stream *w)
{
    bool behind = w->initial_at < w->initial_n || w->owes_initial_end;
    if (behind || queued(w) >= QUEUE_BYTES) {
        return; /* a client that has not caught up has no use for it */
    }
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    render_event(&out, &w->f->render, WATCH_BOOKMARK, NULL, watcher_rev(w->watcher), false);
    put(w, strbuf_span(&out));
}

static void on_bookmark(struct env_timer *timer)
{
    struct watch_stream *w = CONTAINER_OF(timer, struct watch_stream, bookmark);
    send_bookmark(w);
    env_timer_start(w->f->server->env, timer, BOOKMARK_MS, on_bookmark);
}

static void on_timeout(struct env_timer *timer)
{
    struct watch_stream *w = CONTAINER_OF(timer, struct watch_stream, timeout);
    if (w->f->op.options.bookmarks) {
        send_bookmark(w);
    }
    end(w);
}

/* By name (front_watch's older form): what else is asked for must be about the same object. */
static int filter_name(struct api_op *op, struct watch_filter *filter)
{
    bool other = filter->name.n ? !span_eq(filter->name, op->name) : op->options.field_selector.n;
    if (op->name.n && other) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "fieldSelector metadata.name doesn't match requested name");
    }
    filter->name = op->name.n ? op->name : filter->name;
    return 0;
}

static bool collect(void *data, struct object *o)
{
    struct watch_stream *w = data;
    if ((w->initial_n & (w->initial_n - 1)) == 0) { /* grows at powers of two */
        w->initial = mem_grow(w->initial, w->initial_n ? w->initial_n * 2 : 1, sizeof *w->initial);
    }
    w->initial[w->initial_n++] = object_ref(o);
    return true;
}

/* Where the watch starts: with what exists, or after a revision. -1 with op.err. */
static int find_start(struct watch_stream *w, const struct watch_filter *filter, int64_t *ret_from)
{
    struct api_op *op = &w->f->op;
    const struct api_options *o = &op->options;
    struct watch_hub *hub = w->f->server->hub;
    int64_t rev = 0;
    if (o->rev.n && (!span_to_i64(o->rev, &rev) || rev < 0)) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "resourceVersion: Invalid value: \"%.*s\": strconv.ParseUint: parsing "
                          "\"%.*s\": %s",
                          SPAN_ARG(o->rev), SPAN_ARG(o->rev), api_number_fault(o->rev));
    }
    if (o->send_initial && api_op_revision(op, o->rev, &rev)) {
        return -1; /* they would be older than what the client has seen */
    }
    bool from_now = rev == 0 || o->send_initial;
    *ret_from = from_now ? watch_hub_rev(hub) : rev;
    bool initial = o->has_send_initial ? o->send_initial : rev == 0;
    if (initial) {
        (void)watch_hub_list(hub, filter, SPAN_NULL, collect, w);
        w->owes_initial_end = o->has_send_initial && o->bookmarks;
        w->initial_rev = *ret_from;
    }
    return 0;
}

static void begin(struct watch_stream *w)
{
    static const struct http_stream_handler handler = {.on_drain = on_drain, .on_abort = on_abort};
    struct front *f = w->f;
    struct env *env = f->server->env;
    int64_t s = f->op.options.timeout_s;
    if (s <= 0) {
        s = LIMIT_WATCH_DEFAULT_S +
            (int64_t)(env_random_u64(env) % LIMIT_WATCH_DEFAULT_S); /* spread, as clients expect */
    }
    s = s < LIMIT_WATCH_MAX_S ? s : LIMIT_WATCH_MAX_S;
    env_timer_start(env, &w->timeout, s * 1000, on_timeout);
    if (f->op.options.bookmarks) {
        env_timer_start(env, &w->bookmark, BOOKMARK_MS, on_bookmark);
    }
    if (w->ws) {
        front_count(f, 101);
    } else {
        front_count(f, 200);
        http_stream_begin(f->x, 200,
                          f->render.accept.protobuf
                              ? "application/vnd.kubernetes.protobuf;stream=watch"
                              : "application/json",
                          &handler, w);
    }
    front_watch_pump(w);
}

void front_watch(struct front *f)
{
    struct api_op *op = &f->op;
    assert(f->x);
    assert(op->kind);
    struct apiserver *s = f->server;
    struct front_end *e = f->end;
    if (op->sub || !(op->kind->verbs & SCHEMA_VERB_WATCH)) {
        (void)api_op_err(op, ERR_METHOD_NOT_ALLOWED,
                         "the server does not allow this method on the requested resource");
        front_fail(f, &op->err);
        return;
    }
    struct watch_stream *w = ARENA_NEW(f->arena, struct watch_stream);
    w->f = f;
    list_init(&w->link);
    list_push_back(&e->watches, &w->link);
    e->watches_open++;
    e->watches_total++;
    w->metric = metrics_events(&e->metrics, f->render.kind);
    front_running(f, 1);
    int64_t from = 0;
    int rc = selection_new(op);
    if (rc == 0) {
        struct watch_filter filter = *selection_filter(op->selection);
        rc = filter_name(op, &filter) || find_start(w, &filter, &from) ? -1 : 0;
        if (rc == 0) {
            w->watcher = watcher_new(s->hub, &filter, from, on_more, w);
        }
    }
    if (rc == 0 && !w->watcher) {
        rc = api_op_err(op, ERR_EXPIRED, "too old resource version: %lld (%lld)", (long long)from,
                        (long long)store_compact_rev(s->store));
        op->err.group = op->err.kind = op->err.name = SPAN_NULL;
    }
    if (rc == 0 && remote_ws_wanted(f->x)) {
        rc = watch_ws_begin(w);
    }
    if (rc) {
        struct err why = op->err;
        front_watch_release(w);
        front_fail(f, &why);
        return;
    }
    begin(w);
}

void front_watches_end_of(struct front_end *e, struct span resource)
{
    assert(resource.n > 0);
    LIST_EACH(it, &e->watches)
    {
        struct watch_stream *w = CONTAINER_OF(it, struct watch_stream, link);
        if (span_eq_cstr(resource, w->f->op.kind->resource)) {
            end(w);
        }
    }
}

void front_watches_end(struct front_end *e)
{
    LIST_EACH(it, &e->watches)
    {
        struct watch_stream *w = CONTAINER_OF(it, struct watch_stream, link);
        struct watch_ws *ws = w->ws;
        front_watch_release(w);
        if (ws) {
            watch_ws_end(ws);
        }
    }
    assert(list_is_empty(&e->watches));
}
