#include "base/strbuf.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/format.h"
#include "base/mem.h"

enum { FIRST_BYTES = 256 };

void strbuf_done(struct strbuf *b)
{
    if (b) {
        free(b->p);
        *b = STRBUF_INIT;
    }
}

void strbuf_clear(struct strbuf *b)
{
    assert(b->n == 0 || b->p);
    b->n = 0;
    if (b->p) {
        b->p[0] = '\0';
    }
}

static seldom void grow(struct strbuf *b, size_t n)
{
    size_t cap = b->cap ? b->cap : FIRST_BYTES;
    while (cap < b->n + n + 1) {
        cap *= 2;
    }
    b->p = mem_grow(b->p, cap, 1);
    b->cap = cap;
}

char *strbuf_room(struct strbuf *b, size_t n)
{
    assert(n < SIZE_MAX / 4);
    if (b->cap < b->n + n + 1) {
        grow(b, n);
    }
    return b->p + b->n;
}

void strbuf_added(struct strbuf *b, size_t n)
{
    assert(b->n + n < b->cap);
    b->n += n;
    b->p[b->n] = '\0';
}

void strbuf_put(struct strbuf *b, struct span s)
{
    assert(s.p || s.n == 0);
    if (s.n) {
        span_copy_short(strbuf_room(b, s.n), s.p, s.n);
        strbuf_added(b, s.n);
    }
}

void strbuf_putc(struct strbuf *b, char c)
{
    if (b->cap < b->n + 2) {
        (void)strbuf_room(b, 1);
    }
    b->p[b->n++] = c;
    b->p[b->n] = '\0';
}

void strbuf_puts(struct strbuf *b, const char *s)
{
    assert(s);
    strbuf_put(b, span_cstr(s));
}

/* Most texts fit in what is left and are formatted once. */
static void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    size_t room = b->cap - b->n;
    int n = format_text(room ? b->p + b->n : NULL, room, fmt, again);
    va_end(again);
    assert(n >= 0);
    if ((size_t)n >= room) {
        (void)format_text(strbuf_room(b, (size_t)n), (size_t)n + 1, fmt, ap);
    }
    strbuf_added(b, (size_t)n);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
    assert(fmt);
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(b, fmt, ap);
    va_end(ap);
}

void strbuf_put_quoted(struct strbuf *b, struct span s)
{
    strbuf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            strbuf_printf(b, "\\%c", c);
        } else if (c >= '\a' && c <= '\r') {
            strbuf_printf(b, "\\%c", "abtnvfr"[c - '\a']);
        } else if (c < ' ' || c == 0x7f) {
            strbuf_printf(b, "\\x%02x", c);
        } else {
            strbuf_putc(b, (char)c);
        }
    }
    strbuf_putc(b, '"');
}

void strbuf_consume(struct strbuf *b, size_t n)
{
    assert(n <= b->n);
    if (n == 0) {
        return;
    }
    memmove(b->p, b->p + n, b->n - n + 1);
    b->n -= n;
}
