/* sim/reader.c: see reader.h. */
#include "sim/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "client/client_body.h"
#include "front/front.h"
#include "http/http.h"
#include "sim/chance.h"
#include "sim/platform_priv.h"

#define SOCKET "/sim/api.sock"
#define CHECKER "http-watch"

enum { AGAIN_MS = 20, TIMEOUT_MAX_S = 90 };

struct known {
    char name[128]; /* with the namespace */
    int64_t rev;
};

struct reader {
    struct platform *w;
    uint64_t random;
    struct front_end *front; /* of the server; NULL: it is dead */
    struct http_server *http;
    /* What it knows, and up to where; rev 0: nothing, so that it lists. */
    VEC(struct known) known;
    int64_t rev;
    /* The request under way. */
    struct env_stream *stream;
    bool is_dialling, is_away;
    bool watches;           /* it does, else it lists */
    struct strbuf in, body; /* body without chunking */
    size_t head_n, raw_at;  /* 0: the head is not complete; taken of `in` */
    size_t line_at;         /* taken of `body` */
    bool is_whole;          /* the last chunk has come */
    struct env_timer again;
};

static void dial_soon(struct reader *r);

/* ---- what it knows ---- */

static struct known *find(struct reader *r, struct span name)
{
    for (size_t i = 0; i < r->known.n; i++) {
        if (span_eq_cstr(name, r->known.at[i].name)) {
            return &r->known.at[i];
        }
    }
    return NULL;
}

struct comparison {
    struct reader *r;
    size_t same, all;
};

static bool compare(void *data, struct object *o)
{
    struct comparison *c = data;
    struct arena *a cleanup_arena = arena_new_small();
    struct known *k = find(c->r, arena_printf(a, "%.*s/%.*s", SPAN_ARG(object_namespace(o)),
                                              SPAN_ARG(object_name(o))));
    c->same += k && k->rev == object_rev(o);
    c->all++;
    return true;
}

static bool is_as_listed(struct reader *r, int64_t rev)
{
    const struct watch_filter pods = {.resource = SPAN("pods")};
    struct comparison c = {.r = r};
    return !watch_hub_list_at(r->w->hub, &pods, rev, SPAN_NULL, compare, &c) ||
           (c.same == c.all && c.all == r->known.n);
}

/* A list of the revision up to which it has read says the same, unless that is forgotten. */
static void check_complete(struct reader *r)
{
    if (!r->front || r->rev == 0) {
        return;
    }
    if (r->rev > watch_hub_rev(r->w->hub)) {
        sim_fail(r->w, CHECKER, "revision %lld is told before it is there", (long long)r->rev);
    } else if (!is_as_listed(r, r->rev)) {
        sim_fail(r->w, CHECKER, "a list of revision %lld says something else than the watch",
                 (long long)r->rev);
    }
}

static struct span name_of(struct arena *a, const yyjson_val *object, int64_t *ret_rev)
{
    yyjson_val *meta = json_get(object, "metadata");
    bool ok = span_to_i64(json_get_str(meta, "resourceVersion"), ret_rev);
    *ret_rev = ok ? *ret_rev : -1;
    return arena_printf(a, "%.*s/%.*s", SPAN_ARG(json_get_str(meta, "namespace")),
                        SPAN_ARG(json_get_str(meta, "name")));
}

static void learn(struct reader *r, struct span name, int64_t rev)
{
    struct known k = {.rev = rev};
    (void)snprintf(k.name, sizeof k.name, "%.*s", SPAN_ARG(name));
    VEC_PUSH(&r->known, k);
}

/* ---- a list ---- */

static void take_list(struct reader *r)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *doc = NULL;
    int64_t rev = 0, before = r->rev;
    if (json_parse(a, strbuf_span(&r->body), &doc, NULL)) {
        sim_fail(r->w, CHECKER, "a list is no JSON");
        return;
    }
    (void)name_of(a, yyjson_doc_get_root(doc), &rev);
    r->known.n = 0;
    JSON_EACH(it, json_get(yyjson_doc_get_root(doc), "items"))
    {
        int64_t of_item = 0;
        struct span name = name_of(a, it.val, &of_item);
        learn(r, name, of_item);
    }
    if (rev <= 0 || rev < before) {
        sim_fail(r->w, CHECKER, "a list of revision %lld after %lld", (long long)rev,
                 (long long)before);
    }
    r->rev = rev;
    sim_saw(r->w, SIM_DEED_READ_LIST);
    check_complete(r);
}

/* ---- a watch ---- */

/* Only what the server may have forgotten may be gone. */
static void expire(struct reader *r)
{
    if (r->front && r->rev >= store_compact_rev(r->w->store)) {
        sim_fail(r->w, CHECKER, "revision %lld is said to be too old, and %lld is kept",
                 (long long)r->rev, (long long)store_compact_rev(r->w->store));
    }
    r->rev = 0;
    sim_saw(r->w, SIM_DEED_READ_EXPIRED);
}

static void take_change(struct reader *r, struct span type, const yyjson_val *object)
{
    struct arena *a cleanup_arena = arena_new_small();
    int64_t rev = 0;
    struct span name = name_of(a, object, &rev);
    struct known *k = find(r, name);
    bool adds = span_eq_cstr(type, "ADDED");
    if (rev <= r->rev || adds != !k) {
        sim_fail(r->w, CHECKER, "%.*s of %.*s at revision %lld: it %s, and %lld was the last",
                 SPAN_ARG(type), SPAN_ARG(name), (long long)rev, k ? "was there" : "was not there",
                 (long long)r->rev);
        return;
    }
    if (r->front && !is_as_listed(r, rev - 1)) {
        sim_fail(r->w, CHECKER, "an event is missing between %lld and %lld", (long long)r->rev,
                 (long long)rev);
    }
    r->rev = rev;
    if (adds) {
        learn(r, name, rev);
    } else if (span_eq_cstr(type, "DELETED")) {
        VEC_REMOVE(&r->known, (size_t)(k - r->known.at));
    } else {
        k->rev = rev;
    }
}

/* False: nothing more is to be read. */
static bool take_line(struct reader *r, struct span line)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *doc = NULL;
    const struct platform_plant *plant = r->w->plant;
    if (plant->on_http_event && !plant->on_http_event(plant->data, line)) {
        return true;
    }
    if (json_parse(a, line, &doc, NULL)) {
        sim_fail(r->w, CHECKER, "a line is no JSON");
        return false;
    }
    yyjson_val *root = yyjson_doc_get_root(doc), *object = json_get(root, "object");
    struct span type = json_get_str(root, "type");
    if (span_eq_cstr(type, "ERROR")) {
        if (json_get_int(object, "code", 0) == 410) {
            expire(r);
        }
        return false;
    }
    if (!span_eq_cstr(type, "BOOKMARK")) {
        take_change(r, type, object);
        return true;
    }
    int64_t rev = 0;
    (void)name_of(a, object, &rev);
    if (rev < r->rev) {
        sim_fail(r->w, CHECKER, "a bookmark of revision %lld after %lld", (long long)rev,
                 (long long)r->rev);
    }
    r->rev = rev;
    sim_saw(r->w, SIM_DEED_READ_BOOKMARK);
    check_complete(r);
    return true;
}

/* ---- the connection ---- */

static void hang_up(struct reader *r)
{
    env_timer_stop(r->w->world, &r->again);
    if (r->stream) {
        env_stream_close(TAKE_PTR(r->stream));
    }
    check_complete(r);
}

/* What is there of the chunks: what was taken goes, and the head stays. */
static void dechunk(struct reader *r)
{
    for (;;) {
        if (r->raw_at == r->in.n) {
            r->in.n = r->raw_at = r->head_n;
        }
        struct span rest = span_from(strbuf_span(&r->in), r->raw_at);
        const char *eol = memmem(rest.p, rest.n, "\r\n", 2);
        size_t n = 0, line = eol ? (size_t)(eol - rest.p) : 0;
        for (size_t i = 0; i < line; i++) {
            char c = rest.p[i];
            n = n * 16 + (size_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        if (!eol || rest.n < line + 2 + n + 2) {
            return;
        }
        strbuf_put(&r->body, span_of(rest.p + line + 2, n));
        r->raw_at += line + 2 + n + 2;
        r->is_whole |= n == 0;
    }
}

static int status_of(struct reader *r)
{
    uint64_t status = 0;
    return r->in.n > 12 && span_to_u64(span_of(r->in.p + 9, 3), &status) ? (int)status : 0;
}

static void feed(struct reader *r)
{
    struct span in = strbuf_span(&r->in);
    const char *end = r->head_n ? NULL : memmem(in.p, in.n, "\r\n\r\n", 4);
    if (end) {
        r->head_n = r->raw_at = (size_t)(end - in.p) + 4;
    }
    if (r->head_n == 0) {
        return;
    }
    if (memmem(in.p, r->head_n, "chunked", 7)) {
        dechunk(r);
    } else {
        strbuf_put(&r->body, span_from(in, r->raw_at));
        r->raw_at = in.n;
        r->is_whole = true; /* as far as the end of the connection shows it */
    }
}

/* False: it is over. */
static bool take_lines(struct reader *r)
{
    for (;;) {
        struct span rest = span_from(strbuf_span(&r->body), r->line_at);
        size_t n = span_find(rest, '\n');
        if (rest.n == 0) {
            strbuf_clear(&r->body);
            r->line_at = 0;
        }
        if (n == rest.n) {
            return true;
        }
        r->line_at += n + 1;
        if (!take_line(r, span_first(rest, n))) {
            return false;
        }
    }
}

static void on_read(void *data, struct span bytes)
{
    struct reader *r = data;
    strbuf_put(&r->in, bytes);
    feed(r);
    if (r->watches && r->head_n && status_of(r) == 200 && !take_lines(r)) {
        hang_up(r);
        dial_soon(r);
    }
}

static void on_end(void *data, int code)
{
    struct reader *r = data;
    (void)code;
    if (r->watches && status_of(r) == 410) {
        expire(r);
    } else if (!r->watches && status_of(r) == 200 && r->is_whole && code == 0) {
        take_list(r);
    }
    hang_up(r);
    dial_soon(r);
}

static void on_connected(void *data, int code, struct env_stream *stream)
{
    static const struct env_stream_handler handler = {on_read, on_end, NULL};
    struct arena *a cleanup_arena = arena_new_small();
    struct reader *r = data;
    r->is_dialling = false;
    if (code < 0) {
        dial_soon(r);
        return;
    }
    r->stream = stream;
    r->watches = r->rev > 0;
    r->head_n = r->raw_at = r->line_at = 0;
    r->is_whole = false;
    strbuf_clear(&r->in);
    strbuf_clear(&r->body);
    env_stream_set(stream, &handler, r);
    env_stream_read(stream, true);
    struct span query =
        r->watches
            ? arena_printf(
                  a, "?watch=1&allowWatchBookmarks=true&resourceVersion=%lld&timeoutSeconds=%d",
                  (long long)r->rev, 1 + (int)chance_below(&r->random, TIMEOUT_MAX_S))
            : SPAN("");
    env_stream_write(stream, arena_printf(a,
                                          "GET /api/v1/pods%.*s HTTP/1.1\r\nHost: sim\r\n"
                                          "Accept: application/json\r\nConnection: close\r\n\r\n",
                                          SPAN_ARG(query)));
    if (r->watches) {
        sim_saw(r->w, SIM_DEED_READ_RESUMED);
    }
}

static void on_again(struct env_timer *timer)
{
    struct reader *r = CONTAINER_OF(timer, struct reader, again);
    if (r->front && !r->is_away && !r->stream && !r->is_dialling) {
        r->is_dialling = env_connect_unix(r->w->world, SOCKET, on_connected, r) == 0;
    }
}

/* A server that is dead calls back itself. */
static void dial_soon(struct reader *r)
{
    if (r->front && !r->is_away && !env_timer_armed(&r->again)) {
        env_timer_start(r->w->world, &r->again, AGAIN_MS, on_again);
    }
}

/* ---- what happens to it ---- */

void reader_act(struct reader *r)
{
    switch (chance_below(&r->random, 12)) {
    case 0: /* the connection breaks */
        hang_up(r);
        dial_soon(r);
        break;
    case 1: /* it is slow, and falls behind */
        if (r->stream) {
            env_stream_read(r->stream, false);
        }
        break;
    case 2: /* or asleep */
        r->is_away = true;
        hang_up(r);
        break;
    case 3:
    case 4:
        reader_wakes(r);
        break;
    default:
        break;
    }
}

void reader_wakes(struct reader *r)
{
    r->is_away = false;
    if (r->stream) {
        env_stream_read(r->stream, true);
    }
    dial_soon(r);
}

const char *reader_at_rest(struct reader *r)
{
    reader_wakes(r);
    return r->rev == 0 || !is_as_listed(r, watch_hub_rev(r->w->hub))
               ? "what a client knows that watches over HTTP"
               : NULL;
}

/* ---- life ---- */

void reader_server_starts(struct reader *r)
{
    r->front = front_end_new(r->w->api, NULL);
    r->http = http_server_new(r->w->env, front_end_http(), r->front);
    int code = http_server_listen_unix(r->http, SOCKET, 0600);
    assert(code == 0);
    dial_soon(r);
}

void reader_server_dies(struct reader *r)
{
    http_server_free(TAKE_PTR(r->http));
    front_end_free(TAKE_PTR(r->front));
    env_timer_stop(r->w->world, &r->again);
}

struct reader *reader_new(struct platform *w, uint64_t seed)
{
    struct reader *r = MEM_NEW(struct reader);
    r->w = w;
    r->random = seed;
    return r;
}

void reader_free(struct reader *r)
{
    if (!r) {
        return;
    }
    env_timer_stop(r->w->world, &r->again);
    if (r->stream) {
        env_stream_close(r->stream);
    }
    strbuf_done(&r->in);
    strbuf_done(&r->body);
    VEC_DONE(&r->known);
    free(r);
}
