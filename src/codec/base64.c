#include "codec/base64.h"

#include "base/check.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static struct span encode(struct arena *a, struct span bytes, const char *letters, bool padded)
{
    char *out = arena_alloc_raw(a, bytes.n / 3 * 4 + 5);
    size_t n = 0;
    unsigned bits = 0;
    uint32_t acc = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        acc = (acc << 8 | (uint8_t)bytes.p[i]) & 0xffff;
        for (bits += 8; bits >= 6; bits -= 6) {
            out[n++] = letters[acc >> (bits - 6) & 63];
        }
    }
    if (bits) {
        out[n++] = letters[acc << (6 - bits) & 63];
    }
    assert(n == (bytes.n * 4 + 2) / 3);
    while (padded && n % 4) {
        out[n++] = '=';
    }
    out[n] = '\0';
    return span_of(out, n);
}

struct span base64(struct arena *a, struct span bytes)
{
    return encode(a, bytes, ALNUM "+/", true);
}

struct span base64url(struct arena *a, struct span bytes)
{
    return encode(a, bytes, ALNUM "-_", false);
}

int base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static int url_digit(char c)
{
    return c == '-' ? 62 : c == '_' ? 63 : c == '+' || c == '/' ? -1 : base64_digit(c);
}

bool base64url_decode(struct arena *a, struct span text, struct span *ret)
{
    char *out = arena_alloc_raw(a, text.n / 4 * 3 + 4);
    size_t n = 0;
    unsigned bits = 0;
    uint32_t acc = 0;
    for (size_t i = 0; i < text.n; i++) {
        int v = url_digit(text.p[i]);
        if (v < 0) {
            return false;
        }
        acc = (acc << 6 | (uint32_t)v) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (char)(acc >> bits & 0xff);
        }
    }
    if (bits == 6 || (acc & ((1U << bits) - 1))) {
        return false;
    }
    assert(n <= text.n);
    *ret = span_of(out, n);
    return true;
}

bool base64_decode(struct arena *a, struct span text, struct span *ret)
{
    assert(ret);
    unsigned char *out = arena_alloc_raw(a, text.n / 4 * 3 + 4);
    size_t n = 0, bits = 0;
    uint32_t acc = 0;
    size_t pad = 0;
    for (size_t i = 0; i < text.n; i++) {
        char ch = text.p[i];
        int v = base64_digit(ch);
        if (ch == '\n' || ch == '\r') {
            continue;
        }
        if (ch == '=') {
            pad++;
            continue;
        }
        if (v < 0 || pad > 0) {
            return false;
        }
        acc = (acc << 6 | (uint32_t)v) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (unsigned char)(acc >> bits);
            assert(n <= text.n / 4 * 3 + 4);
        }
    }
    *ret = span_of(out, n);
    return pad <= 2;
}
