#include "codec/json_pretty.h"

#include "base/check.h"

static void new_line(const struct json_pretty *p, struct strbuf *out)
{
    strbuf_putc(out, '\n');
    for (size_t i = 0; i < p->depth; i++) {
        strbuf_puts(out, "  ");
    }
}

/* Up to the end of the text or of the part. Returns how much that is. */
static size_t put_text(struct json_pretty *p, struct span part, struct strbuf *out)
{
    size_t i = 0;
    for (bool ended = false; i < part.n && !ended; i++) {
        ended = part.p[i] == '"' && !p->is_escaped;
        p->is_escaped = part.p[i] == '\\' && !p->is_escaped;
        p->in_text = !ended;
    }
    strbuf_put(out, span_first(part, i));
    return i;
}

static void put_mark(struct json_pretty *p, char c, struct strbuf *out)
{
    bool opens = c == '{' || c == '[', closes = c == '}' || c == ']';
    if (closes) {
        p->depth -= p->depth > 0;
    }
    if (closes ? !p->is_opened : p->is_opened) {
        new_line(p, out); /* empty ones stay as they are */
    }
    p->is_opened = opens;
    p->depth += opens;
    p->in_text = c == '"';
    strbuf_putc(out, c);
    if (c == ',') {
        new_line(p, out);
    } else if (c == ':') {
        strbuf_putc(out, ' ');
    }
}

void json_pretty_put(struct json_pretty *p, struct span part, struct strbuf *out)
{
    assert(p);
    assert(out);
    for (size_t i = 0; i < part.n;) {
        if (p->in_text) {
            i += put_text(p, span_from(part, i), out);
            continue;
        }
        char c = part.p[i++];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
            put_mark(p, c, out);
        }
    }
}
