/* codec/json_text.h: JSON written as text at once, member by member, where no tree is wanted.
 *
 * The caller opens and closes objects and lists (strbuf_putc); a comma is put where the text does
 * not end with an opening bracket. Strings are UTF-8 already (json_clean_text). */
#ifndef CODEC_JSON_TEXT_H
#define CODEC_JSON_TEXT_H

#include "base/strbuf.h"

typedef uint8_t json_text_bytes __attribute__((vector_size(16)));

/* Is each of the sixteen bytes written as it is? */
static inline bool json_text_are_plain(uint64_t low, uint64_t high)
{
    typedef uint64_t words __attribute__((vector_size(16)));
    const json_text_bytes b = (json_text_bytes)(words){low, high};
    const words bad = (words)((b < ' ') | (b == '"') | (b == '\\'));
    return (bad[0] | bad[1]) == 0;
}

/* Is a string written as it is, without escapes? */
static inline bool json_text_is_plain(struct span s)
{
    uint64_t low, high;
    uint32_t first, last;
    if (s.n >= sizeof low) { /* some bytes may be looked at twice */
        for (size_t i = 0; i + 2 * sizeof low < s.n; i += 2 * sizeof low) {
            memcpy(&low, s.p + i, sizeof low);
            memcpy(&high, s.p + i + sizeof low, sizeof high);
            if (!json_text_are_plain(low, high)) {
                return false;
            }
        }
        size_t tail = s.n < 2 * sizeof low ? 0 : s.n - 2 * sizeof low;
        memcpy(&low, s.p + tail, sizeof low);
        memcpy(&high, s.p + s.n - sizeof high, sizeof high);
        return json_text_are_plain(low, high);
    }
    if (s.n >= sizeof first) {
        memcpy(&first, s.p, sizeof first);
        memcpy(&last, s.p + s.n - sizeof last, sizeof last);
        low = (uint64_t)first << 32 | last;
        return json_text_are_plain(low, low);
    }
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < ' ' || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}
/* A comma when one is due: before an element of a list. */
void json_text_next(struct strbuf *b);
/* "key": with the comma when one is due; the value follows. Keys need no escapes. */
void json_text_key(struct strbuf *b, struct span key);
void json_text_str(struct strbuf *b, struct span key, struct span value);
void json_text_int(struct strbuf *b, struct span key, int64_t value);
void json_text_bool(struct strbuf *b, struct span key, bool value);

#endif
