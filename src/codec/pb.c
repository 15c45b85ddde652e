#include "codec/pb.h"

#include "base/check.h"

enum { VARINT_BYTES_MAX = 10, FIELD_NUMBER_MAX = (1 << 29) - 1 };

static size_t varint_bytes(uint64_t v, char out[VARINT_BYTES_MAX])
{
    size_t n = 0;
    do {
        out[n++] = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v > 0);
    assert(n <= VARINT_BYTES_MAX);
    return n;
}

static void pb_put_raw(struct strbuf *b, uint64_t varint)
{
    char bytes[VARINT_BYTES_MAX];
    strbuf_put(b, span_of(bytes, varint_bytes(varint, bytes)));
}

void pb_put_varint(struct strbuf *b, uint32_t number, uint64_t v)
{
    assert(number > 0);
    assert(number <= FIELD_NUMBER_MAX);
    pb_put_raw(b, (uint64_t)number << 3 | PB_VARINT);
    pb_put_raw(b, v);
}

void pb_put_bytes(struct strbuf *b, uint32_t number, struct span bytes)
{
    assert(number > 0);
    assert(number <= FIELD_NUMBER_MAX);
    pb_put_raw(b, (uint64_t)number << 3 | PB_BYTES);
    pb_put_raw(b, bytes.n);
    strbuf_put(b, bytes);
}

void pb_put_fixed64(struct strbuf *b, uint32_t number, uint64_t v)
{
    assert(number > 0);
    assert(number <= FIELD_NUMBER_MAX);
    pb_put_raw(b, (uint64_t)number << 3 | PB_FIXED64);
    for (int i = 0; i < 8; i++) {
        strbuf_putc(b, (char)(v >> (8 * i) & 0xff));
    }
}

size_t pb_open(struct strbuf *b, uint32_t number)
{
    assert(number > 0);
    assert(number <= FIELD_NUMBER_MAX);
    pb_put_raw(b, (uint64_t)number << 3 | PB_BYTES);
    return b->n;
}

void pb_close(struct strbuf *b, size_t mark)
{
    assert(mark <= b->n);
    char bytes[VARINT_BYTES_MAX];
    size_t body = b->n - mark, n = varint_bytes(body, bytes);
    (void)strbuf_room(b, n);
    memmove(b->p + mark + n, b->p + mark, body);
    memcpy(b->p + mark, bytes, n);
    strbuf_added(b, n);
}

void pb_put_length(struct strbuf *b, uint32_t number, size_t n)
{
    assert(number > 0);
    assert(number <= FIELD_NUMBER_MAX);
    pb_put_raw(b, (uint64_t)number << 3 | PB_BYTES);
    pb_put_raw(b, n);
}

bool pb_next_raw(struct pb_reader *r, uint64_t *ret)
{
    assert(r);
    assert(ret);
    uint64_t v = 0;
    if (r->bad || r->rest.n == 0) {
        return false;
    }
    for (size_t i = 0; i < r->rest.n && i < VARINT_BYTES_MAX; i++) {
        uint64_t byte = (unsigned char)r->rest.p[i];
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) {
            break;
        }
        v |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            r->rest = span_from(r->rest, i + 1);
            *ret = v;
            return true;
        }
    }
    r->bad = true;
    return false;
}

static bool fixed(struct pb_reader *r, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    if (r->rest.n < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        v |= (uint64_t)(unsigned char)r->rest.p[i] << (8 * i);
    }
    r->rest = span_from(r->rest, n);
    *ret = v;
    return true;
}

bool pb_next(struct pb_reader *r, struct pb_field *ret)
{
    assert(r);
    assert(ret);
    uint64_t tag, length;
    if (!pb_next_raw(r, &tag)) {
        return false;
    }
    *ret = (struct pb_field){.number = (uint32_t)(tag >> 3), .wire = (enum pb_wire)(tag & 7)};
    bool ok = tag >> 3 > 0 && tag >> 3 <= FIELD_NUMBER_MAX;
    switch (ret->wire) {
    case PB_VARINT:
        ok = ok && pb_next_raw(r, &ret->value);
        break;
    case PB_FIXED64:
        ok = ok && fixed(r, 8, &ret->value);
        break;
    case PB_FIXED32:
        ok = ok && fixed(r, 4, &ret->value);
        break;
    case PB_BYTES:
        ok = ok && pb_next_raw(r, &length) && length <= r->rest.n;
        if (ok) {
            ret->bytes = span_first(r->rest, (size_t)length);
            r->rest = span_from(r->rest, (size_t)length);
        }
        break;
    default:
        ok = false;
    }
    r->bad = r->bad || !ok;
    return ok;
}
