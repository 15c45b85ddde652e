/* Remote commands over SPDY/3.1: the client opens one stream a channel (header streamType), the
 * command starts when all are there.
 *
 * Windows: the library of all such clients (spdystream) ignores them in both directions and never
 * opens one again. So ours are opened as we go, and the client's are kept to from its first
 * WINDOW_UPDATE on, which shows that it means them; a client that never sends one is never waited
 * for. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/spdy.h"
#include "remote/remote_priv.h"

struct remote_spdy {
    struct spdy_decoder *decoder;
    struct spdy_encoder *encoder;
    int version; /* of the remote command protocol, 1 to 4 */
    uint32_t last_stream;
    uint32_t ids[REMOTE_CHANNELS];               /* 0: not open */
    bool is_reset[REMOTE_CHANNELS];              /* the client wants no more of it */
    uint32_t taken[REMOTE_CHANNELS], taken_all;  /* bytes since our last window update */
    bool has_windows;                            /* the client keeps windows */
    int64_t window[REMOTE_CHANNELS], window_all; /* what may still be sent */
    struct strbuf held[REMOTE_CHANNELS];         /* what may not */
    bool fin_held[REMOTE_CHANNELS];
    uint32_t ping_id; /* our last one: even */
};

static const char *const channel_names[REMOTE_CHANNELS] = {"stdin", "stdout", "stderr", "error",
                                                           "resize"};

static bool is_expected(const struct remote *r, int channel)
{
    const struct remote_spdy *s = r->proto_data;
    switch (channel) {
    case REMOTE_STDIN:
        return r->request.with_stdin;
    case REMOTE_STDOUT:
        return r->request.with_stdout;
    case REMOTE_STDERR:
        return r->request.with_stderr && !r->request.tty;
    case REMOTE_RESIZE:
        return r->request.tty && s->version >= 3;
    default:
        return true;
    }
}

static bool is_complete(const struct remote *r)
{
    const struct remote_spdy *s = r->proto_data;
    for (int i = 0; i < REMOTE_CHANNELS; i++) {
        if (is_expected(r, i) && s->ids[i] == 0) {
            return false;
        }
    }
    return true;
}

/* REMOTE_CHANNELS when there is none. */
static int channel_of(const struct remote_spdy *s, uint32_t id)
{
    int i = 0;
    while (i < REMOTE_CHANNELS && s->ids[i] != id) {
        i++;
    }
    return i;
}

static void on_syn(struct remote *r, const struct spdy_event *e)
{
    struct remote_spdy *s = r->proto_data;
    struct span name = spdy_header_get(e, "streamtype");
    int channel = 0;
    while (channel < REMOTE_CHANNELS && !span_eq_cstr(name, channel_names[channel])) {
        channel++;
    }
    if (e->stream <= s->last_stream || e->stream % 2 == 0) {
        spdy_put_goaway(&r->out, s->last_stream, SPDY_RST_PROTOCOL_ERROR);
        remote_drop(r);
        return;
    }
    s->last_stream = e->stream;
    if (channel == REMOTE_CHANNELS || s->ids[channel] || !is_expected(r, channel)) {
        spdy_put_rst(&r->out, e->stream, SPDY_RST_REFUSED);
        return;
    }
    s->ids[channel] = e->stream;
    spdy_put_headers(s->encoder, &r->out, SPDY_SYN_REPLY, e->stream, false, NULL, 0);
    if (e->fin && channel == REMOTE_STDIN) {
        remote_stdin_end(r);
    }
    if (r->state == REMOTE_SETUP && is_complete(r)) {
        remote_start(r);
    }
}

static void open_window(struct remote *r, uint32_t id, uint32_t *taken, size_t n)
{
    *taken += (uint32_t)n;
    if (*taken >= SPDY_WINDOW_BYTES / 2) {
        spdy_put_window(&r->out, id, *taken);
        *taken = 0;
    }
}

static void on_data(struct remote *r, const struct spdy_event *e)
{
    struct remote_spdy *s = r->proto_data;
    int channel = channel_of(s, e->stream);
    if (channel == REMOTE_CHANNELS) {
        spdy_put_rst(&r->out, e->stream, SPDY_RST_INVALID_STREAM);
        return;
    }
    open_window(r, e->stream, &s->taken[channel], e->bytes.n);
    open_window(r, 0, &s->taken_all, e->bytes.n);
    if (channel == REMOTE_STDIN) {
        remote_stdin(r, e->bytes);
        if (e->fin && r->state != REMOTE_DEAD) {
            remote_stdin_end(r);
        }
    } else if (channel == REMOTE_RESIZE) {
        remote_resize(r, e->bytes);
    } /* on the others a client only says that it will not write */
}

static void on_reset(struct remote *r, const struct spdy_event *e)
{
    struct remote_spdy *s = r->proto_data;
    int channel = channel_of(s, e->stream);
    if (channel < REMOTE_CHANNELS) {
        s->is_reset[channel] = true;
        s->fin_held[channel] = false;
        strbuf_done(&s->held[channel]);
        remote_room(r);
        if (channel == REMOTE_STDIN) {
            remote_stdin_end(r);
        }
    }
}

static void send_data(struct remote *r, int channel, bool fin, struct span bytes)
{
    struct remote_spdy *s = r->proto_data;
    spdy_put_data(&r->out, s->ids[channel], fin, bytes);
    s->window[channel] -= (int64_t)bytes.n;
    s->window_all -= (int64_t)bytes.n;
}

/* Sends of what is held as much as the windows allow. */
static void pump(struct remote *r, int channel)
{
    struct remote_spdy *s = r->proto_data;
    struct strbuf *held = &s->held[channel];
    int64_t room = s->window[channel] < s->window_all ? s->window[channel] : s->window_all;
    struct span bytes = span_first(strbuf_span(held), room > 0 ? (size_t)room : 0);
    bool fin = s->fin_held[channel] && bytes.n == held->n;
    if (bytes.n || fin) {
        send_data(r, channel, fin, bytes);
        strbuf_consume(held, bytes.n);
        s->fin_held[channel] = s->fin_held[channel] && !fin;
    }
}

static void put(struct remote *r, int channel, bool fin, struct span bytes)
{
    struct remote_spdy *s = r->proto_data;
    if (s->ids[channel] == 0 || s->is_reset[channel]) {
        return;
    }
    if (!s->has_windows) {
        send_data(r, channel, fin, bytes);
        return;
    }
    strbuf_put(&s->held[channel], bytes);
    s->fin_held[channel] = fin;
    pump(r, channel);
}

static size_t spdy_held(const struct remote *r)
{
    const struct remote_spdy *s = r->proto_data;
    size_t n = 0;
    for (int i = 0; i < REMOTE_CHANNELS; i++) {
        n += s->held[i].n;
    }
    return n;
}

static void on_window(struct remote *r, const struct spdy_event *e)
{
    struct remote_spdy *s = r->proto_data;
    int channel = channel_of(s, e->stream);
    int64_t delta = e->value & 0x7fffffff;
    s->has_windows = true;
    if (e->stream == 0) {
        s->window_all += delta;
    } else if (channel < REMOTE_CHANNELS) {
        s->window[channel] += delta;
    }
    for (int i = 0; i < REMOTE_CHANNELS; i++) {
        pump(r, i);
    }
    remote_room(r);
}

/* While its input is not read: an answer does not matter, a client that is gone fails the write. */
static void spdy_keep_alive(struct remote *r)
{
    struct remote_spdy *s = r->proto_data;
    s->ping_id += 2;
    spdy_put_ping(&r->out, s->ping_id);
}

static void spdy_input(struct remote *r, struct span bytes)
{
    struct remote_spdy *s = r->proto_data;
    struct spdy_event e;
    while (r->state != REMOTE_DEAD && spdy_next(s->decoder, &bytes, &e)) {
        switch (e.type) {
        case SPDY_SYN_STREAM:
            on_syn(r, &e);
            break;
        case SPDY_DATA:
            on_data(r, &e);
            break;
        case SPDY_RST_STREAM:
            on_reset(r, &e);
            break;
        case SPDY_WINDOW_UPDATE:
            on_window(r, &e);
            break;
        case SPDY_PING:
            if (e.value % 2 == 1) { /* even ones would be answers to ours */
                spdy_put_ping(&r->out, e.value);
            }
            break;
        case SPDY_ERROR:
            spdy_put_goaway(&r->out, s->last_stream, SPDY_RST_PROTOCOL_ERROR);
            remote_drop(r);
            break;
        default: /* settings, late headers, a goaway that the end follows: nothing to do */
            break;
        }
    }
}

static void spdy_output(struct remote *r, enum remote_channel channel, struct span bytes)
{
    put(r, channel, false, bytes);
}

static void spdy_finish(struct remote *r, const struct remote_result *result)
{
    struct remote_spdy *s = r->proto_data;
    put(r, REMOTE_STDOUT, true, SPAN_NULL);
    put(r, REMOTE_STDERR, true, SPAN_NULL);
    put(r, REMOTE_ERROR, true, s->version >= 4 ? result->status : result->text);
}

static void spdy_free(struct remote *r)
{
    struct remote_spdy *s = r->proto_data;
    spdy_decoder_free(s->decoder);
    spdy_encoder_free(s->encoder);
    for (int i = 0; i < REMOTE_CHANNELS; i++) {
        strbuf_done(&s->held[i]);
    }
    free(s);
}

static const struct remote_proto spdy_proto = {
    .input = spdy_input,
    .output = spdy_output,
    .finish = spdy_finish,
    .held = spdy_held,
    .keep_alive = spdy_keep_alive,
    .free = spdy_free,
};

int remote_spdy_begin(struct remote *r, struct http_exchange *x, struct err *reterr)
{
    assert(!r->proto);
    static const char *const names[] = {"channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io",
                                        "v4.channel.k8s.io"};
    struct span offered = http_header_all(x, "x-stream-protocol-version");
    int version = offered.n ? 4 : 1; /* the first clients named none */
    while (offered.n && version > 0 && !remote_has_token(offered, names[version - 1])) {
        version--;
    }
    if (version == 0) {
        return err_set(http_arena(x), reterr, ERR_FORBIDDEN,
                       "unable to upgrade: unable to negotiate protocol: client supports %.*s, "
                       "server accepts v4.channel.k8s.io to channel.k8s.io",
                       SPAN_ARG(offered));
    }
    struct remote_spdy *s = MEM_NEW(struct remote_spdy);
    s->version = version;
    s->decoder = spdy_decoder_new();
    s->encoder = spdy_encoder_new();
    s->window_all = SPDY_WINDOW_BYTES;
    for (int i = 0; i < REMOTE_CHANNELS; i++) {
        s->window[i] = SPDY_WINDOW_BYTES;
    }
    r->proto = &spdy_proto;
    r->proto_data = s;
    http_add_header(x, "Connection", SPAN("Upgrade"));
    http_add_header(x, "Upgrade", SPAN("SPDY/3.1"));
    if (offered.n) {
        http_add_header(x, "X-Stream-Protocol-Version", span_cstr(names[version - 1]));
    }
    return 0;
}
