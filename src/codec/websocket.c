#include "codec/websocket.h"

#include <openssl/evp.h>

#include "base/check.h"

static bool fail(struct ws_decoder *d, struct ws_event *ret, const char *what)
{
    d->failed = true;
    *ret = (struct ws_event){.type = WS_ERROR, .code = WS_PROTOCOL_ERROR, .bytes = span_cstr(what)};
    return true;
}

/* Bytes of the whole head, known from the first two. */
static size_t head_size(const uint8_t *h)
{
    size_t length = h[1] & 0x7f;
    return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + (h[1] & 0x80 ? 4u : 0u);
}

/* NULL, or what is wrong with the head that is complete now. */
static const char *take_head(struct ws_decoder *d)
{
    const uint8_t *h = d->head;
    size_t at = 2;
    d->fin = h[0] >> 7;
    d->op = h[0] & 0x0f;
    d->left = h[1] & 0x7f;
    if (d->left >= 126) {
        size_t n = d->left == 126 ? 2 : 8;
        d->left = 0;
        for (size_t i = 0; i < n; i++) {
            d->left = d->left << 8 | h[at++];
        }
        if (d->left >> 63 || d->left < (n == 2 ? 126u : 65536u)) {
            return "malformed length";
        }
    }
    if (h[0] & 0x70) {
        return "reserved bits are set";
    }
    if (((h[1] & 0x80) != 0) != d->expect_mask) {
        return d->expect_mask ? "frame is not masked" : "frame is masked";
    }
    memset(d->mask, 0, sizeof d->mask);
    if (d->expect_mask) {
        memcpy(d->mask, h + at, sizeof d->mask);
    }
    d->mask_at = 0;
    d->control_n = 0;
    if (d->op >= WS_OP_CLOSE) {
        if (d->op > WS_OP_PONG) {
            return "unknown control frame";
        }
        return !d->fin || d->left > WS_CONTROL_BYTES ? "control frame in parts" : NULL;
    }
    if (d->op > WS_OP_BINARY) {
        return "unknown frame";
    }
    if ((d->op == WS_OP_CONT) != d->in_message) {
        return d->in_message ? "message inside a message" : "continuation of nothing";
    }
    d->is_start = d->op != WS_OP_CONT;
    if (d->is_start) {
        d->message_op = d->op;
    }
    d->in_message = true;
    return NULL;
}

static void unmask(struct ws_decoder *d, const char *in, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)in[i] ^ d->mask[(d->mask_at + i) & 3];
    }
    d->mask_at = (uint8_t)((d->mask_at + n) & 3);
}

/* Room for n bytes in the scratch buffer, which starts anew. */
static uint8_t *scratch(struct ws_decoder *d, size_t n)
{
    strbuf_clear(&d->plain);
    return (uint8_t *)strbuf_room(&d->plain, n + 1);
}

static bool control_event(struct ws_decoder *d, struct ws_event *ret)
{
    struct span bytes = span_of(d->control, d->control_n);
    d->has_head = false;
    if (d->op != WS_OP_CLOSE) {
        *ret = (struct ws_event){.type = d->op == WS_OP_PING ? WS_PING : WS_PONG, .bytes = bytes};
        return true;
    }
    if (bytes.n == 1) {
        return fail(d, ret, "malformed close frame");
    }
    d->is_closed = true;
    uint16_t code = WS_NO_CODE;
    if (bytes.n >= 2) {
        code = (uint16_t)(d->control[0] << 8 | d->control[1]);
    }
    *ret = (struct ws_event){.type = WS_CLOSE, .code = code, .bytes = span_from(bytes, 2)};
    return true;
}

bool ws_next(struct ws_decoder *d, struct span *in, struct ws_event *ret)
{
    assert(d);
    assert(in);
    assert(ret);
    if (d->failed || d->is_closed) {
        *in = span_from(*in, in->n);
        return false;
    }
    while (!d->has_head) {
        if (in->n == 0) {
            return false;
        }
        assert(d->head_n < WS_HEAD_BYTES);
        d->head[d->head_n++] = (uint8_t)in->p[0];
        *in = span_from(*in, 1);
        if (d->head_n >= 2 && d->head_n == head_size(d->head)) {
            const char *wrong = take_head(d);
            d->head_n = 0;
            d->has_head = true;
            if (wrong) {
                return fail(d, ret, wrong);
            }
        }
    }
    size_t n = d->left < in->n ? (size_t)d->left : in->n;
    bool is_control = d->op >= WS_OP_CLOSE;
    if (is_control) {
        assert(d->control_n + n <= WS_CONTROL_BYTES);
        unmask(d, in->p, d->control + d->control_n, n);
        d->control_n = (uint8_t)(d->control_n + n);
    } else if (n) {
        unmask(d, in->p, scratch(d, n), n);
        strbuf_added(&d->plain, n);
    }
    *in = span_from(*in, n);
    d->left -= n;
    if (is_control) {
        return d->left == 0 && control_event(d, ret);
    }
    if (n == 0 && d->left > 0) {
        return false;
    }
    bool is_end = d->left == 0 && d->fin;
    *ret = (struct ws_event){.type = WS_DATA,
                             .is_text = d->message_op == WS_OP_TEXT,
                             .is_start = d->is_start,
                             .is_end = is_end,
                             .bytes = n ? strbuf_span(&d->plain) : SPAN("")};
    d->is_start = false;
    if (d->left == 0) {
        d->has_head = false;
        d->in_message = !is_end;
    }
    return true;
}

void ws_decoder_done(struct ws_decoder *d)
{
    strbuf_done(&d->plain);
}

static void put_head(struct strbuf *out, enum ws_op op, bool fin, bool masked, uint64_t n)
{
    assert(op <= WS_OP_BINARY || (fin && n <= WS_CONTROL_BYTES));
    uint8_t h[10], m = masked ? 0x80 : 0;
    size_t at = 0, bytes = n < 126 ? 0 : n < 65536 ? 2 : 8;
    h[at++] = (uint8_t)((fin ? 0x80 : 0) | op);
    h[at++] = (uint8_t)(m | (bytes == 0 ? n : bytes == 2 ? 126 : 127));
    for (size_t i = bytes; i > 0; i--) {
        h[at++] = (uint8_t)(n >> (8 * (i - 1)));
    }
    strbuf_put(out, span_of(h, at));
}

void ws_put(struct strbuf *out, enum ws_op op, struct span first, struct span second)
{
    assert(op != WS_OP_CONT);
    put_head(out, op, true, false, first.n + second.n);
    strbuf_put(out, first);
    strbuf_put(out, second);
}

void ws_put_frame(struct strbuf *out, enum ws_op op, bool fin, const uint8_t mask[4],
                  struct span bytes)
{
    assert(bytes.p || bytes.n == 0);
    put_head(out, op, fin, mask != NULL, bytes.n);
    if (!mask) {
        strbuf_put(out, bytes);
        return;
    }
    strbuf_put(out, span_of(mask, 4));
    for (size_t i = 0; i < bytes.n; i++) {
        strbuf_putc(out, (char)((uint8_t)bytes.p[i] ^ mask[i & 3]));
    }
}

void ws_put_close(struct strbuf *out, uint16_t code, struct span reason)
{
    char be[2] = {(char)(code >> 8), (char)(code & 0xff)};
    ws_put(out, WS_OP_CLOSE, span_of(be, 2), span_first(reason, WS_CONTROL_BYTES - 2));
}

bool ws_accept_key(struct span key, char ret[WS_ACCEPT_BYTES + 1])
{
    enum { KEY_BYTES = 24, RAW_BYTES = 16, SHA1_BYTES = 20 };
    unsigned char raw[KEY_BYTES], sha[SHA1_BYTES];
    unsigned n = 0;
    /* The decoder counts the padding in: 18 = 16 + "==". */
    if (key.n != KEY_BYTES || key.p[22] != '=' || key.p[23] != '=' ||
        EVP_DecodeBlock(raw, (const unsigned char *)key.p, KEY_BYTES) != RAW_BYTES + 2) {
        return false;
    }
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    strbuf_put(&text, key);
    strbuf_puts(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    int ok = EVP_Digest(text.p, text.n, sha, &n, EVP_sha1(), NULL);
    assert(ok == 1);
    assert(n == SHA1_BYTES);
    int written = EVP_EncodeBlock((unsigned char *)ret, sha, SHA1_BYTES);
    assert(written == WS_ACCEPT_BYTES);
    return true;
}
