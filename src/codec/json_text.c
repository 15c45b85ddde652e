/* codec/json_text.c: json_clean_text(), see json.h. */
#include "base/check.h"
#include "base/strbuf.h"
#include "codec/json.h"

/* Length of the UTF-8 character that starts here; 0 when there is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (len == 0 || len > n) {
        return 0;
    }
    uint32_t code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[len] || code > 0x10ffff || surrogate ? 0 : len;
}

/* Bytes of plain ASCII that it starts with, or a few less. */
static size_t ascii_length(struct span s)
{
    uint64_t word = 0;
    size_t n = 0;
    for (; n + sizeof word <= s.n; n += sizeof word) {
        memcpy(&word, s.p + n, sizeof word);
        if (word & UINT64_C(0x8080808080808080)) {
            return n;
        }
    }
    while (n < s.n && (unsigned char)s.p[n] < 0x80) {
        n++;
    }
    return n;
}

struct span json_clean_text(struct arena *a, struct span bytes, size_t max)
{
    assert(a);
    assert(max > 0);
    struct span start = span_first(bytes, ascii_length(span_first(bytes, max)));
    if (start.n == bytes.n || start.n == max) { /* nearly all texts */
        return arena_dup(a, start);
    }
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    const struct span other = SPAN("\xef\xbf\xbd");
    while (bytes.n > 0) {
        size_t len = utf8_length((const unsigned char *)bytes.p, bytes.n);
        struct span next = len ? span_first(bytes, len) : other;
        if (b.n + next.n > max) {
            break;
        }
        strbuf_put(&b, next);
        assert(b.n <= max);
        bytes = span_from(bytes, len ? len : 1);
    }
    return arena_dup(a, strbuf_span(&b));
}
