/* Replies that are made while they are sent: the next part is asked for when the client has taken
 * the ones before, so that a long list is never in memory whole and does not hold up the loop.
 *
 *   http_reply_source -> (all within FIRST_BYTES: a whole reply, with its length)
 *                     -> http_stream_begin -> run ... on_drain -> run ... -> http_stream_end
 *
 * A turn of the loop makes at most TURN_BYTES. */
#include <zlib.h>

#include "base/check.h"
#include "http/http_priv.h"

enum {
    PART_BYTES = 64 * 1024,
    FIRST_BYTES = LIMIT_HTTP_GZIP_MIN_BYTES,
    TURN_BYTES = 2 * 1024 * 1024, /* about a millisecond and a half */
    TURN_GZIP_BYTES = 256 * 1024, /* the same, compressed */
    WINDOW_BITS = 15 + 16,        /* 16: gzip framing */
    MEMORY_LEVEL = 8,
};

/* In the exchange's arena. */
struct http_pull {
    struct http_exchange *x;
    struct http_source source;
    void *data;
    struct env *env;
    struct env_timer timer; /* the next turn */
    z_stream *gzip;         /* NULL: as it is */
    struct strbuf plain;    /* what is to be compressed */
    size_t made;            /* in this turn */
    bool is_last;           /* the source has nothing more */
    bool is_idle;           /* nor anything in this turn */
};

static void pull_done(struct http_pull *p)
{
    env_timer_stop(p->env, &p->timer);
    if (p->gzip) {
        (void)deflateEnd(p->gzip);
    }
    strbuf_done(&p->plain);
    p->source.done(p->data);
}

static void compress_part(struct http_pull *p, struct strbuf *out)
{
    z_stream *z = p->gzip;
    int rc = Z_OK;
    z->next_in = (Bytef *)p->plain.p;
    z->avail_in = (uInt)p->plain.n;
    do {
        z->next_out = (Bytef *)strbuf_room(out, PART_BYTES);
        z->avail_out = PART_BYTES;
        rc = deflate(z, p->is_last ? Z_FINISH : Z_NO_FLUSH);
        assert(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
        strbuf_added(out, PART_BYTES - z->avail_out);
    } while (z->avail_out == 0 || (p->is_last && rc != Z_STREAM_END));
    strbuf_clear(&p->plain);
}

/* One part into out, or nothing (a compressor may keep it to itself). Returns what it took. */
static size_t next_part(struct http_pull *p, struct strbuf *out)
{
    struct strbuf *to = p->gzip ? &p->plain : out;
    size_t before = to->n;
    p->is_idle = false;
    while (!p->is_last && !p->is_idle && to->n - before < PART_BYTES) {
        size_t was = to->n;
        p->is_last = !p->source.next(p->data, to);
        p->is_idle = to->n == was;
    }
    size_t made = to->n - before;
    if (p->gzip) {
        compress_part(p, out);
    }
    return made;
}

static void run(struct http_pull *p);

static void on_timer(struct env_timer *timer)
{
    run(CONTAINER_OF(timer, struct http_pull, timer));
}

static void run(struct http_pull *p)
{
    struct http_exchange *x = p->x;
    size_t limit = p->gzip ? TURN_GZIP_BYTES : TURN_BYTES;
    while (!p->is_last && http_stream_queued(x) == 0) {
        if (p->made >= limit || p->is_idle) {
            p->made = 0;
            p->is_idle = false;
            env_timer_start(p->env, &p->timer, 0, on_timer);
            return;
        }
        struct strbuf *out = x->ops->part(x);
        p->made += next_part(p, out);
        x->ops->part_done(x);
    }
    if (p->is_last) {
        pull_done(p);
        http_stream_end(x);
    }
}

static void on_drain(void *data)
{
    struct http_pull *p = data;
    if (!env_timer_armed(&p->timer)) {
        run(p);
    }
}

static void on_abort(void *data)
{
    pull_done(data);
}

static void begin_gzip(struct http_pull *p, struct span first)
{
    p->gzip = ARENA_NEW(p->x->arena, z_stream);
    int rc = deflateInit2(p->gzip, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                          Z_DEFAULT_STRATEGY);
    assert(rc == Z_OK); /* memory: the policy of mem_new */
    strbuf_put(&p->plain, first);
    http_add_header(p->x, "Content-Encoding", SPAN("gzip"));
    http_add_header(p->x, "Vary", SPAN("Accept-Encoding"));
}

static void begin(struct http_pull *p, int status, const char *content_type, struct span first)
{
    static const struct http_stream_handler handler = {on_drain, on_abort};
    struct http_exchange *x = p->x;
    if (!x->has_encoding && http_wants_gzip(x)) {
        begin_gzip(p, first);
    }
    x->is_pulled = true;
    http_stream_begin(x, status, content_type, &handler, p);
    x->ops->due(x);
    if (x->is_head) {
        p->is_last = true;
    } else {
        struct strbuf *out = x->ops->part(x);
        if (p->gzip) {
            compress_part(p, out);
        } else {
            strbuf_put(out, first);
        }
        x->ops->part_done(x);
    }
    run(p);
}

void http_reply_source(struct http_exchange *x, int status, const char *content_type,
                       const struct http_source *source, void *data)
{
    assert(source);
    assert(source->next);
    assert(source->done);
    struct strbuf first cleanup_strbuf = STRBUF_INIT;
    bool more = true, idle = false;
    while (!x->ops->is_gone(x) && more && !idle && first.n <= FIRST_BYTES) {
        size_t was = first.n;
        more = source->next(data, &first);
        idle = first.n == was;
    }
    if (!more || x->ops->is_gone(x)) {
        source->done(data);
        http_reply(x, status, content_type, strbuf_span(&first));
        return;
    }
    struct http_pull *p = ARENA_NEW(x->arena, struct http_pull);
    *p = (struct http_pull){
        .x = x, .source = *source, .data = data, .env = x->conn->server->env, .is_idle = idle};
    begin(p, status, content_type, strbuf_span(&first));
}
