/* codec/json_fault.c: see json_fault.h. One pass without recursion; the containers that are open
 * are a stack of as many as Go allows. */
#include "codec/json_fault.h"

#include <string.h>

#include "base/check.h"

enum { DEPTH_MAX = 10000 };

enum want { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COLON, AFTER };

struct scan {
    struct span text;
    size_t at, depth;
    const char *context; /* of the character at `at`, which is wrong there; NULL: none is */
    char open[DEPTH_MAX];
};

/* Behind the end Go looks at a blank. */
static char next(const struct scan *s)
{
    return s->at < s->text.n ? s->text.p[s->at] : ' ';
}

static bool wrong(struct scan *s, const char *context)
{
    s->context = context;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool escape(struct scan *s)
{
    char c = next(s);
    if (c != 'u' && !(c && strchr("bfnrt\\/\"", c))) {
        return wrong(s, "in string escape code");
    }
    s->at++;
    if (c != 'u') {
        return true;
    }
    for (int i = 0; i < 4; i++) {
        if (!is_hex(next(s))) {
            return wrong(s, "in \\u hexadecimal character escape");
        }
        s->at++;
    }
    return true;
}

/* Behind the opening quote. Without an end `at` is the end of the text. */
static bool string(struct scan *s)
{
    while (s->at < s->text.n) {
        char c = next(s);
        if ((unsigned char)c < 0x20) {
            return wrong(s, "in string literal");
        }
        s->at++;
        if (c == '"') {
            return true;
        }
        if (c == '\\' && !escape(s)) {
            return false;
        }
    }
    return false;
}

static void digits(struct scan *s)
{
    while (is_digit(next(s))) {
        s->at++;
    }
}

static bool number(struct scan *s)
{
    s->at += next(s) == '-';
    if (!is_digit(next(s))) {
        return wrong(s, "in numeric literal");
    }
    if (next(s) == '0') {
        s->at++;
    } else {
        digits(s);
    }
    if (next(s) == '.') {
        s->at++;
        if (!is_digit(next(s))) {
            return wrong(s, "after decimal point in numeric literal");
        }
        digits(s);
    }
    if (next(s) == 'e' || next(s) == 'E') {
        s->at++;
        s->at += next(s) == '+' || next(s) == '-';
        if (!is_digit(next(s))) {
            return wrong(s, "in exponent of numeric literal");
        }
        digits(s);
    }
    return true;
}

static bool literal(struct scan *s, struct arena *a, const char *word)
{
    for (const char *p = word; *p; p++) {
        if (next(s) != *p) {
            return wrong(s, arena_printf(a, "in literal %s (expecting '%c')", word, *p).p);
        }
        s->at++;
    }
    return true;
}

static bool open_container(struct scan *s, char c, enum want *want)
{
    if (s->depth == DEPTH_MAX) {
        return wrong(s, "exceeded max depth");
    }
    s->open[s->depth++] = c;
    s->at++;
    *want = c == '{' ? KEY_OR_END : VALUE_OR_END;
    return true;
}

static bool value(struct scan *s, struct arena *a, enum want *want)
{
    char c = next(s);
    *want = AFTER;
    switch (c) {
    case '{':
    case '[':
        return open_container(s, c, want);
    case '"':
        s->at++;
        return string(s);
    case 't':
        return literal(s, a, "true");
    case 'f':
        return literal(s, a, "false");
    case 'n':
        return literal(s, a, "null");
    default:
        return c == '-' || is_digit(c) ? number(s) : wrong(s, "looking for beginning of value");
    }
}

static bool close_container(struct scan *s, enum want *want)
{
    assert(s->depth > 0);
    s->depth--;
    s->at++;
    *want = AFTER;
    return true;
}

static bool key(struct scan *s, enum want *want)
{
    if (next(s) != '"') {
        return wrong(s, "looking for beginning of object key string");
    }
    s->at++;
    *want = COLON;
    return string(s);
}

static bool after_value(struct scan *s, enum want *want)
{
    if (s->depth == 0) {
        return wrong(s, "after top-level value");
    }
    bool object = s->open[s->depth - 1] == '{';
    if (next(s) == (object ? '}' : ']')) {
        return close_container(s, want);
    }
    if (next(s) != ',') {
        return wrong(s, object ? "after object key:value pair" : "after array element");
    }
    s->at++;
    *want = object ? KEY : VALUE;
    return true;
}

/* One token; false: there is none that fits. */
static bool step(struct scan *s, struct arena *a, enum want *want)
{
    switch (*want) {
    case VALUE_OR_END:
        return next(s) == ']' ? close_container(s, want) : value(s, a, want);
    case VALUE:
        return value(s, a, want);
    case KEY_OR_END:
        return next(s) == '}' ? close_container(s, want) : key(s, want);
    case KEY:
        return key(s, want);
    case COLON:
        if (next(s) != ':') {
            return wrong(s, "after object key");
        }
        s->at++;
        *want = VALUE;
        return true;
    case AFTER:
        break;
    }
    return after_value(s, want);
}

/* As strconv.Quote writes one character, in single quotes. */
static struct span quoted(struct arena *a, unsigned char c)
{
    static const char special[] = "\a\b\f\n\r\t\v\\", names[] = "abfnrtv\\";
    const char *at = c ? strchr(special, c) : NULL;
    if (at) {
        return arena_printf(a, "'\\%c'", names[at - special]);
    }
    if (c < 0x20 || c == 0x7f) {
        return arena_printf(a, "'\\x%02x'", c);
    }
    if (c < 0x80) {
        return arena_printf(a, c == '\'' ? "'\\%c'" : "'%c'", c);
    }
    if (c < 0xa0 || c == 0xad) {
        return arena_printf(a, "'\\u%04x'", c);
    }
    return arena_printf(a, "'%c%c'", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
}

struct span json_fault(struct arena *a, struct span text)
{
    struct scan *s = arena_alloc_raw(a, sizeof *s);
    s->text = text;
    s->at = s->depth = 0;
    s->context = NULL;
    enum want want = VALUE;
    for (;;) {
        while (s->at < text.n && strchr(" \t\r\n", text.p[s->at]) && text.p[s->at]) {
            s->at++;
        }
        if (s->at == text.n) {
            return want == AFTER && s->depth == 0 ? SPAN("") : SPAN("unexpected end of JSON input");
        }
        if (!step(s, a, &want)) {
            break;
        }
    }
    assert(s->context || s->at == text.n);
    if (!s->context) {
        return SPAN("unexpected end of JSON input");
    }
    if (strcmp(s->context, "exceeded max depth") == 0) {
        return SPAN("exceeded max depth");
    }
    struct span c = quoted(a, (unsigned char)next(s));
    return arena_printf(a, "invalid character %.*s %s", SPAN_ARG(c), s->context);
}
