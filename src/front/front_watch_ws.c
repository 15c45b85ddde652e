/* A watch over WebSocket (RFC 6455): every event is a text message. What the client sends is not
 * looked at, but for its ping and its goodbye. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/websocket.h"
#include "front/front_watch_priv.h"
#include "remote/remote.h"

struct watch_ws {
    struct watch_stream *w;
    struct env_stream *stream;
    struct ws_decoder decoder;
    struct arena *arena; /* the exchange's: w and its front live in it */
};

static void ws_free(struct watch_ws *ws)
{
    struct arena *a = ws->arena;
    assert(!ws->stream);
    ws_decoder_done(&ws->decoder);
    free(ws);
    arena_free(a);
}

static void goodbye(struct watch_ws *ws, uint16_t code, struct span reason)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    ws_put_close(&out, code, reason);
    env_stream_write(ws->stream, strbuf_span(&out));
    env_stream_close_flush(TAKE_PTR(ws->stream));
    ws_free(ws);
}

/* False: it was the last. */
static bool take(struct watch_ws *ws, const struct ws_event *e)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    if (e->type == WS_PING) {
        ws_put(&out, WS_OP_PONG, e->bytes, SPAN_NULL);
        env_stream_write(ws->stream, strbuf_span(&out));
    } else if (e->type == WS_CLOSE || e->type == WS_ERROR) {
        bool is_silent = e->type == WS_CLOSE && e->code == WS_NO_CODE;
        front_watch_release(ws->w);
        goodbye(ws, is_silent ? WS_NORMAL : e->code, SPAN_NULL);
        return false;
    }
    return true;
}

static void on_read(void *data, struct span bytes)
{
    struct watch_ws *ws = data;
    struct ws_event e;
    while (ws_next(&ws->decoder, &bytes, &e)) {
        if (!take(ws, &e)) {
            return;
        }
    }
}

static void on_end(void *data, int code)
{
    struct watch_ws *ws = data;
    (void)code;
    front_watch_release(ws->w);
    env_stream_close(TAKE_PTR(ws->stream));
    ws_free(ws);
}

static void on_drain(void *data)
{
    struct watch_ws *ws = data;
    front_watch_pump(ws->w);
}

int watch_ws_begin(struct watch_stream *w)
{
    assert(!w->ws);
    static const struct env_stream_handler handler = {on_read, on_end, on_drain};
    struct front *f = w->f;
    assert(f->x);
    struct span offered = http_header_all(f->x, "sec-websocket-protocol");
    struct span first = span_trim(span_cut(&offered, ','));
    if (remote_ws_accept(f->x, arena_cstr(f->arena, first), &f->op.err)) {
        return -1;
    }
    struct watch_ws *ws = MEM_NEW(struct watch_ws);
    ws->w = w;
    ws->arena = http_take_arena(f->x);
    ws->decoder.expect_mask = true;
    ws->stream = http_upgrade(TAKE_PTR(f->x));
    w->ws = ws;
    f->render.accept.protobuf = false;
    env_stream_set(ws->stream, &handler, ws);
    env_stream_read(ws->stream, true);
    return 0;
}

void watch_ws_write(struct watch_ws *ws, struct span event)
{
    assert(event.n > 0);
    assert(ws->stream);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    ws_put(&out, WS_OP_TEXT, event, SPAN_NULL);
    env_stream_write(ws->stream, strbuf_span(&out));
}

size_t watch_ws_queued(const struct watch_ws *ws)
{
    assert(ws->stream);
    return env_stream_queued(ws->stream);
}

void watch_ws_end(struct watch_ws *ws)
{
    assert(ws);
    goodbye(ws, WS_NORMAL, SPAN_NULL);
}
