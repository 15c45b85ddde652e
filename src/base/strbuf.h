/* base/strbuf.h: a growing byte buffer on the heap. Zero-initialise (STRBUF_INIT), release with
 * strbuf_done. The content is always followed by a NUL that is not counted. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>

#include "base/cleanup.h"
#include "base/span.h"

struct strbuf {
    char *p;    /* NULL until the first byte */
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated, the NUL included */
};

#define STRBUF_INIT ((struct strbuf){NULL, 0, 0})

void strbuf_done(struct strbuf *b);
/* Empties, keeps the memory. */
void strbuf_clear(struct strbuf *b);
/* Room for n more bytes; returns where they go. Follow with strbuf_added(). */
char *strbuf_room(struct strbuf *b, size_t n);
void strbuf_added(struct strbuf *b, size_t n);
void strbuf_put(struct strbuf *b, struct span s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As Go's %q writes it. */
void strbuf_put_quoted(struct strbuf *b, struct span s);
/* Drops the first n bytes. */
void strbuf_consume(struct strbuf *b, size_t n);

static inline struct span strbuf_span(const struct strbuf *b)
{
    return span_of(b->p ? b->p : "", b->n);
}

#define cleanup_strbuf CLEANUP(strbuf_done)

#endif
