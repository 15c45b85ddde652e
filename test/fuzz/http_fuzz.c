/* test/fuzz/http_fuzz.c: whatever a client sends, in HTTP/1.1 or (after its preface) HTTP/2, every
 * connection ends and no handler sees too much. */
#include "base/check.h"
#include "base/limits.h"
#include "http/http.h"
#include "sim/env_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool source_next(void *data, struct strbuf *out)
{
    size_t *left = data;
    (void)memset(strbuf_room(out, 50000), 'x', 50000);
    strbuf_added(out, 50000);
    return --*left > 0;
}

static void source_done(void *data)
{
    *(size_t *)data = 0;
}

/* Long replies, made while they are sent; and one that breaks off. */
static void reply_otherwise(struct http_exchange *x, bool cut)
{
    static const struct http_source source = {source_next, source_done};
    static const struct http_stream_handler handler = {NULL, source_done};
    size_t *left = ARENA_NEW(http_arena(x), size_t);
    *left = 9;
    if (!cut) {
        http_reply_source(x, 200, "text/plain", &source, left);
        return;
    }
    http_stream_begin(x, 200, "text/plain", &handler, left);
    http_stream_write(x, SPAN("half"));
    http_stream_abort(x);
}

static void on_request(void *data, struct http_exchange *x)
{
    struct span value = http_header_all(x, "host");
    (void)data;
    if (span_ends(http_path(x), SPAN("/s")) || span_ends(http_path(x), SPAN("/c"))) {
        reply_otherwise(x, span_ends(http_path(x), SPAN("c")));
        return;
    }
    assert(http_body(x).n <= LIMIT_BODY_BYTES && http_path(x).n <= LIMIT_URL_BYTES);
    (void)http_query_get(x, "a", &value);
    http_reply(x, 200, "text/plain", value);
}

static void on_read(void *data, struct span bytes)
{
    (void)data, (void)bytes;
}

static void on_end(void *data, int code)
{
    struct env_stream **s = data;
    (void)code;
    env_stream_close(*s);
    *s = NULL;
}

static void on_connected(void *data, int code, struct env_stream *stream)
{
    static const struct env_stream_handler handler = {on_read, on_end, NULL};
    struct env_stream **s = data;
    assert(code == 0);
    *s = stream;
    env_stream_set(stream, &handler, data);
    env_stream_read(stream, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_handler handler = {on_request};
    struct env *env = env_sim_new(size);
    struct http_server *server = http_server_new(env, &handler, NULL);
    struct env_stream *s = NULL;
    assert(http_server_listen_tcp(server, "127.0.0.1", 80, NULL, NULL) == 0);
    assert(env_connect_tcp(env, "127.0.0.1", 80, on_connected, (void *)&s) == 0);
    env_sim_run_for(env, 1000);
    for (size_t at = 1; at < size && s; at += data[0] + 1u) {
        env_stream_write(s, span_first(span_of(data + at, size - at), data[0] + 1u));
        env_sim_run_for(env, 100);
    }
    struct http_server_stats stats;
    env_sim_run_for(env, 2 * (LIMIT_HTTP_IDLE_MS + LIMIT_HTTP_READ_MS));
    http_server_stats(server, &stats);
    assert(!s && stats.connections_open == 0);
    http_server_free(server);
    env_sim_free(env);
    return 0;
}
