#include "codec/spdy.h"

#include <zlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"

enum { HEAD_BYTES = 8, VERSION = 3, FLAG_FIN = 1 };

struct spdy_decoder {
    z_stream z;
    bool failed, is_data;
    uint8_t head[HEAD_BYTES];
    size_t head_n;
    uint16_t type;
    uint8_t flags;
    uint32_t stream, left;
    struct strbuf control; /* payload of the control frame in progress */
    struct strbuf block;   /* its header block, unpacked */
    struct spdy_header headers[LIMIT_SPDY_HEADERS];
    size_t header_count;
};

struct spdy_encoder {
    z_stream z;
};

static uint32_t get32(const void *at)
{
    const uint8_t *p = at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- decoding ---- */

struct spdy_decoder *spdy_decoder_new(void)
{
    struct spdy_decoder *d = MEM_NEW(struct spdy_decoder);
    int r = inflateInit(&d->z);
    assert(r == Z_OK);
    return d;
}

void spdy_decoder_free(struct spdy_decoder *d)
{
    if (d) {
        (void)inflateEnd(&d->z);
        strbuf_done(&d->control);
        strbuf_done(&d->block);
        free(d);
    }
}

/* Unpacks into d->block. NULL, or what is wrong. */
static const char *unpack(struct spdy_decoder *d, struct span packed)
{
    z_stream *z = &d->z;
    strbuf_clear(&d->block);
    z->next_in = (Bytef *)(uintptr_t)packed.p;
    z->avail_in = (uInt)packed.n;
    do {
        enum { STEP = 1024 };
        if (d->block.n > LIMIT_SPDY_CONTROL_BYTES) {
            return "headers are too large";
        }
        z->next_out = (Bytef *)strbuf_room(&d->block, STEP);
        z->avail_out = STEP;
        int r = inflate(z, Z_SYNC_FLUSH);
        if (r == Z_NEED_DICT) {
            struct span words = spdy_dictionary();
            r = inflateSetDictionary(z, (const Bytef *)words.p, (uInt)words.n);
        }
        strbuf_added(&d->block, STEP - z->avail_out);
        if (r == Z_BUF_ERROR && z->avail_in == 0) {
            break; /* the last round had filled its room to the byte */
        }
        if (r != Z_OK) {
            return "malformed header compression";
        }
    } while (z->avail_in > 0 || z->avail_out == 0);
    return d->block.n > LIMIT_SPDY_CONTROL_BYTES ? "headers are too large" : NULL;
}

/* A length and so many bytes, off the front of *s. */
static bool take_string(struct span *s, struct span *ret)
{
    if (s->n < 4) {
        return false;
    }
    uint32_t n = get32(s->p);
    *s = span_from(*s, 4);
    if (n > s->n) {
        return false;
    }
    *ret = span_first(*s, n);
    *s = span_from(*s, n);
    return true;
}

static const char *take_headers(struct spdy_decoder *d, struct span packed)
{
    d->header_count = 0;
    const char *wrong = unpack(d, packed);
    if (wrong) {
        return wrong;
    }
    struct span s = strbuf_span(&d->block);
    if (s.n < 4) {
        return "malformed headers";
    }
    uint32_t count = get32(s.p);
    s = span_from(s, 4);
    if (count > LIMIT_SPDY_HEADERS) {
        return "too many headers";
    }
    for (uint32_t i = 0; i < count; i++) {
        struct spdy_header *h = &d->headers[i];
        if (!take_string(&s, &h->name) || !take_string(&s, &h->value) || h->name.n == 0) {
            return "malformed headers";
        }
    }
    d->header_count = count;
    return NULL;
}

/* NULL, or what is wrong with the control frame that is complete now. */
static const char *control_event(struct spdy_decoder *d, struct spdy_event *ret)
{
    struct span p = strbuf_span(&d->control);
    /* Bytes before the header block or, without one, of the whole frame. */
    static const uint8_t sizes[] = {
        [SPDY_SYN_STREAM] = 10, [SPDY_SYN_REPLY] = 4,    [SPDY_RST_STREAM] = 8,
        [SPDY_SETTINGS] = 4,    [SPDY_PING] = 4,         [SPDY_GOAWAY] = 8,
        [SPDY_HEADERS] = 4,     [SPDY_WINDOW_UPDATE] = 8};
    *ret = (struct spdy_event){.type = (enum spdy_type)d->type};
    size_t size = d->type < sizeof sizes ? sizes[d->type] : 0;
    if (size == 0) {
        return "unknown control frame";
    }
    if (p.n < size) {
        return "control frame is too short";
    }
    uint32_t first = get32(p.p) & 0x7fffffff;
    switch (d->type) {
    case SPDY_SYN_STREAM:
    case SPDY_SYN_REPLY:
    case SPDY_HEADERS: {
        const char *wrong = take_headers(d, span_from(p, size));
        ret->stream = first;
        ret->fin = (d->flags & FLAG_FIN) != 0;
        ret->headers = d->headers;
        ret->header_count = d->header_count;
        return wrong ? wrong : first == 0 ? "stream 0 cannot be opened" : NULL;
    }
    case SPDY_RST_STREAM:
    case SPDY_WINDOW_UPDATE:
        ret->stream = first;
        ret->value = get32(p.p + 4);
        break;
    case SPDY_GOAWAY:
        ret->value = get32(p.p + 4);
        break;
    case SPDY_PING:
        ret->value = get32(p.p);
        break;
    default:
        break;
    }
    return NULL;
}

static bool fail(struct spdy_decoder *d, struct spdy_event *ret, const char *what)
{
    d->failed = true;
    *ret = (struct spdy_event){.type = SPDY_ERROR, .bytes = span_cstr(what)};
    return true;
}

/* NULL, or what is wrong with the frame head that is complete now. */
static const char *take_head(struct spdy_decoder *d)
{
    uint32_t word = get32(d->head), rest = get32(d->head + 4);
    d->is_data = word >> 31 == 0;
    d->flags = (uint8_t)(rest >> 24);
    d->left = rest & 0xffffff;
    strbuf_clear(&d->control);
    if (d->is_data) {
        d->stream = word;
        return word == 0 ? "data on stream 0" : NULL;
    }
    d->type = (uint16_t)(word & 0xffff);
    if ((word >> 16 & 0x7fff) != VERSION) {
        return "not SPDY version 3";
    }
    return d->left > LIMIT_SPDY_CONTROL_BYTES ? "control frame is too large" : NULL;
}

bool spdy_next(struct spdy_decoder *d, struct span *in, struct spdy_event *ret)
{
    assert(d);
    assert(in);
    assert(ret);
    if (d->failed) {
        *in = span_from(*in, in->n);
        return false;
    }
    while (d->head_n < HEAD_BYTES) {
        if (in->n == 0) {
            return false;
        }
        d->head[d->head_n++] = (uint8_t)in->p[0];
        *in = span_from(*in, 1);
        const char *wrong = d->head_n == HEAD_BYTES ? take_head(d) : NULL;
        if (wrong) {
            return fail(d, ret, wrong);
        }
    }
    struct span bytes = span_first(*in, d->left);
    *in = span_from(*in, bytes.n);
    d->left -= (uint32_t)bytes.n;
    if (d->left == 0) {
        d->head_n = 0;
    }
    if (d->is_data) {
        if (bytes.n == 0 && d->left > 0) {
            return false;
        }
        *ret = (struct spdy_event){.type = SPDY_DATA,
                                   .stream = d->stream,
                                   .fin = d->left == 0 && (d->flags & FLAG_FIN),
                                   .bytes = bytes};
        return true;
    }
    strbuf_put(&d->control, bytes);
    if (d->left > 0) {
        return false;
    }
    const char *wrong = control_event(d, ret);
    return wrong ? fail(d, ret, wrong) : true;
}

struct span spdy_header_get(const struct spdy_event *e, const char *name)
{
    assert(name);
    assert(e->headers || e->header_count == 0);
    for (size_t i = 0; i < e->header_count; i++) {
        if (span_eq_nocase(e->headers[i].name, span_cstr(name))) {
            return e->headers[i].value;
        }
    }
    return SPAN_NULL;
}

/* ---- encoding ---- */

struct spdy_encoder *spdy_encoder_new(void)
{
    struct spdy_encoder *e = MEM_NEW(struct spdy_encoder);
    struct span words = spdy_dictionary();
    int r = deflateInit2(&e->z, Z_BEST_SPEED, Z_DEFLATED, 12, 4, Z_DEFAULT_STRATEGY);
    assert(r == Z_OK);
    r = deflateSetDictionary(&e->z, (const Bytef *)words.p, (uInt)words.n);
    assert(r == Z_OK);
    return e;
}

void spdy_encoder_free(struct spdy_encoder *e)
{
    if (e) {
        (void)deflateEnd(&e->z);
        free(e);
    }
}

static void put32(struct strbuf *out, uint32_t v)
{
    const char be[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
    strbuf_put(out, span_of(be, 4));
}

static void put_control(struct strbuf *out, enum spdy_type type, uint8_t flags, size_t length)
{
    assert(length <= SPDY_DATA_BYTES_MAX);
    put32(out, 0x80000000u | VERSION << 16 | (uint32_t)type);
    put32(out, (uint32_t)flags << 24 | (uint32_t)length);
}

static void pack(struct spdy_encoder *e, struct span plain, struct strbuf *out)
{
    z_stream *z = &e->z;
    size_t room = deflateBound(z, plain.n) + 64;
    z->next_in = (Bytef *)(uintptr_t)plain.p;
    z->avail_in = (uInt)plain.n;
    z->next_out = (Bytef *)strbuf_room(out, room);
    z->avail_out = (uInt)room;
    int r = deflate(z, Z_SYNC_FLUSH);
    assert(r == Z_OK);
    assert(z->avail_in == 0);
    assert(z->avail_out > 0);
    strbuf_added(out, room - z->avail_out);
}

void spdy_put_headers(struct spdy_encoder *e, struct strbuf *out, enum spdy_type type,
                      uint32_t stream, bool fin, const struct spdy_header *headers, size_t count)
{
    assert(type == SPDY_SYN_STREAM || type == SPDY_SYN_REPLY || type == SPDY_HEADERS);
    assert(stream > 0);
    assert(stream >> 31 == 0);
    struct strbuf plain cleanup_strbuf = STRBUF_INIT, packed cleanup_strbuf = STRBUF_INIT;
    put32(&plain, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        put32(&plain, (uint32_t)headers[i].name.n);
        strbuf_put(&plain, headers[i].name);
        put32(&plain, (uint32_t)headers[i].value.n);
        strbuf_put(&plain, headers[i].value);
    }
    pack(e, strbuf_span(&plain), &packed);
    size_t fixed = type == SPDY_SYN_STREAM ? 10 : 4;
    put_control(out, type, fin ? FLAG_FIN : 0, fixed + packed.n);
    put32(out, stream);
    if (type == SPDY_SYN_STREAM) {
        put32(out, 0);                 /* no associated stream */
        strbuf_put(out, SPAN("\0\0")); /* priority, slot */
    }
    strbuf_put(out, strbuf_span(&packed));
}

void spdy_put_data(struct strbuf *out, uint32_t stream, bool fin, struct span bytes)
{
    assert(stream > 0);
    assert(stream >> 31 == 0);
    do {
        struct span step = span_first(bytes, SPDY_DATA_BYTES_MAX);
        bytes = span_from(bytes, step.n);
        put32(out, stream);
        put32(out, (fin && bytes.n == 0 ? (uint32_t)FLAG_FIN << 24 : 0) | (uint32_t)step.n);
        strbuf_put(out, step);
    } while (bytes.n);
}

static void put_two(struct strbuf *out, enum spdy_type type, uint32_t a, uint32_t b)
{
    put_control(out, type, 0, 8);
    put32(out, a);
    put32(out, b);
}

void spdy_put_rst(struct strbuf *out, uint32_t stream, uint32_t status)
{
    put_two(out, SPDY_RST_STREAM, stream, status);
}

void spdy_put_ping(struct strbuf *out, uint32_t id)
{
    put_control(out, SPDY_PING, 0, 4);
    put32(out, id);
}

void spdy_put_goaway(struct strbuf *out, uint32_t last_stream, uint32_t status)
{
    put_two(out, SPDY_GOAWAY, last_stream, status);
}

void spdy_put_window(struct strbuf *out, uint32_t stream, uint32_t delta)
{
    assert(delta > 0);
    assert(delta >> 31 == 0);
    put_two(out, SPDY_WINDOW_UPDATE, stream, delta);
}
