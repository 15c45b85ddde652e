/* codec/json_text.h: which texts JSON has as they are. */
#ifndef CODEC_JSON_TEXT_H
#define CODEC_JSON_TEXT_H

#include "base/span.h"

typedef uint8_t json_text_bytes __attribute__((vector_size(16)));

/* Is each of the sixteen bytes written as it is, and, if that is asked, ASCII? */
static inline bool json_text_are_plain(uint64_t low, uint64_t high, bool ascii)
{
    typedef uint64_t words __attribute__((vector_size(16)));
    const json_text_bytes b = (json_text_bytes)(words){low, high};
    const words bad = (words)((b < ' ') | (b == '"') | (b == '\\')),
                far = ascii ? (words)(b >= 0x80) : (words){0};
    return (bad[0] | bad[1] | far[0] | far[1]) == 0;
}

static inline __attribute__((always_inline)) bool json_text_is(struct span s, bool ascii)
{
    uint64_t low, high;
    uint32_t first, last;
    if (s.n >= sizeof low) { /* some bytes may be looked at twice */
        for (size_t i = 0; i + 2 * sizeof low < s.n; i += 2 * sizeof low) {
            memcpy(&low, s.p + i, sizeof low);
            memcpy(&high, s.p + i + sizeof low, sizeof high);
            if (!json_text_are_plain(low, high, ascii)) {
                return false;
            }
        }
        size_t tail = s.n < 2 * sizeof low ? 0 : s.n - 2 * sizeof low;
        memcpy(&low, s.p + tail, sizeof low);
        memcpy(&high, s.p + s.n - sizeof high, sizeof high);
        return json_text_are_plain(low, high, ascii);
    }
    if (s.n >= sizeof first) {
        memcpy(&first, s.p, sizeof first);
        memcpy(&last, s.p + s.n - sizeof last, sizeof last);
        low = (uint64_t)first << 32 | last;
        return json_text_are_plain(low, low, ascii);
    }
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < ' ' || c == '"' || c == '\\' || (ascii && c >= 0x80)) {
            return false;
        }
    }
    return true;
}

/* Is a string written as it is, without escapes? */
static inline bool json_text_is_plain(struct span s)
{
    return json_text_is(s, false);
}
/* And is it ASCII, too? */
static inline bool json_text_is_plain_ascii(struct span s)
{
    return json_text_is(s, true);
}

#endif
