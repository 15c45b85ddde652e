#include "codec/json_text.h"

#include "base/check.h"

enum { ESCAPE_BYTES = sizeof "\\u0000" - 1 };

/* Is a comma due behind what is there? */
static inline bool is_next(const struct strbuf *b)
{
    char last = b->n > 0 ? b->p[b->n - 1] : '{';
    return last != '{' && last != '[' && last != ':';
}

void json_text_next(struct strbuf *b)
{
    if (is_next(b)) {
        strbuf_putc(b, ',');
    }
}

/* Comma, key and colon, to where there is room for KEY_BYTES beside the key. */
enum { KEY_BYTES = sizeof ",\"\":" - 1 };

static char *put_key(char *at, bool comma, struct span key)
{
    *at = ',';
    at += comma;
    *at++ = '"';
    span_copy_short(at, key.p, key.n);
    at[key.n] = '"';
    at[key.n + 1] = ':';
    return at + key.n + 2;
}

void json_text_key(struct strbuf *b, struct span key)
{
    bool comma = is_next(b);
    char *from = strbuf_room(b, key.n + KEY_BYTES);
    strbuf_added(b, (size_t)(put_key(from, comma, key) - from));
}

static char *put_escaped(char *at, unsigned char c)
{
    static const char digits[] = "0123456789abcdef", start[] = {'\\', 'u', '0', '0'};
    if (c == '"' || c == '\\') {
        *at++ = '\\';
        *at++ = (char)c;
        return at;
    }
    memcpy(at, start, sizeof start);
    at[4] = digits[c >> 4];
    at[5] = digits[c & 15];
    return at + ESCAPE_BYTES;
}

void json_text_str(struct strbuf *b, struct span key, struct span value)
{
    bool plain = json_text_is_plain(value), comma = is_next(b);
    size_t room = key.n + KEY_BYTES + value.n * (plain ? 1 : ESCAPE_BYTES) + 2;
    char *from = strbuf_room(b, room), *at = put_key(from, comma, key);
    *at++ = '"';
    if (plain) {
        span_copy_short(at, value.p, value.n);
        at += value.n;
    }
    for (size_t i = 0; !plain && i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            at = put_escaped(at, c);
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    assert((size_t)(at - from) <= room);
    strbuf_added(b, (size_t)(at - from));
}

void json_text_int(struct strbuf *b, struct span key, int64_t value)
{
    assert(b->n > 0);
    json_text_key(b, key);
    strbuf_printf(b, "%lld", (long long)value);
}

void json_text_bool(struct strbuf *b, struct span key, bool value)
{
    assert(b->n > 0);
    json_text_key(b, key);
    strbuf_put(b, value ? SPAN("true") : SPAN("false"));
}
