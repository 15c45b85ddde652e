/* Percent decoding and query parameters. */
#include "base/check.h"
#include "http/http.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_unescape(struct arena *a, struct span in, bool in_query, struct span *ret)
{
    assert(a);
    assert(ret);
    char *out = arena_alloc_raw(a, in.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        char ch = in.p[i];
        if (ch == '%') {
            int hi = i + 1 < in.n ? hex(in.p[i + 1]) : -1;
            int lo = i + 2 < in.n ? hex(in.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                return false;
            }
            ch = (char)(hi * 16 + lo);
            i += 2;
        } else if (ch == '+' && in_query) {
            ch = ' ';
        }
        out[n++] = ch;
    }
    out[n] = '\0';
    *ret = span_of(out, n);
    return true;
}

bool http_query_next(struct http_exchange *x, size_t *at, struct span *ret_key,
                     struct span *ret_value)
{
    assert(ret_key);
    assert(ret_value);
    struct span query = http_query(x);
    while (*at < query.n) {
        struct span value = span_from(query, *at);
        value = span_first(value, span_find(value, '&'));
        *at += value.n + 1;
        struct span key = span_cut(&value, '=');
        if (key.n && http_unescape(http_arena(x), key, true, ret_key) &&
            http_unescape(http_arena(x), value, true, ret_value)) {
            return true;
        }
    }
    return false;
}

bool http_query_true(struct span value)
{
    return !span_eq(value, SPAN("0")) && !span_eq_nocase(value, SPAN("false"));
}

bool http_query_get(struct http_exchange *x, const char *name, struct span *ret)
{
    assert(name);
    assert(ret);
    struct span want = span_cstr(name), rest = http_query(x);
    while (rest.n) {
        struct span value = span_cut(&rest, '&'), key = span_cut(&value, '=');
        if (span_eq(key, want)) { /* names that we ask for are never written in escapes */
            return http_unescape(http_arena(x), value, true, ret);
        }
    }
    return false;
}
