/* codec/selector_field.c: field selectors: terms "key=value", "key==value", "key!=value" joined by
 * commas. */
#include "base/check.h"
#include "base/limits.h"
#include "codec/selector.h"

/* Length of the first term: up to a comma that no backslash escapes. */
static size_t term_length(struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\') {
            i++;
        } else if (text.p[i] == ',') {
            return i;
        }
    }
    return text.n;
}

static int unescape(struct arena *a, struct span raw, struct span *ret, struct err *reterr)
{
    assert(ret);
    char *out = arena_alloc_raw(a, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '\\') {
            i++;
            if (i == raw.n || (raw.p[i] != '\\' && raw.p[i] != ',' && raw.p[i] != '=')) {
                return err_set(a, reterr, ERR_BAD_REQUEST,
                               "invalid field selector: invalid escape sequence: %.*s",
                               SPAN_ARG(span_first(span_from(raw, i - 1), 2)));
            }
            c = raw.p[i];
        } else if (c == '=') {
            return err_set(
                a, reterr, ERR_BAD_REQUEST,
                "invalid field selector: invalid field selector value: unescaped character in "
                "value: =");
        }
        out[n++] = c;
    }
    *ret = span_of(out, n);
    return 0;
}

static int parse_term(struct arena *a, struct span all, struct span text, struct field_term *term,
                      struct err *reterr)
{
    for (size_t i = 0; i < text.n; i++) {
        bool not_equal = text.p[i] == '!' && i + 1 < text.n && text.p[i + 1] == '=';
        if (text.p[i] != '=' && !not_equal) {
            continue;
        }
        size_t op = not_equal || (i + 1 < text.n && text.p[i + 1] == '=') ? 2 : 1;
        term->key = span_first(text, i);
        term->equal = !not_equal;
        return unescape(a, span_from(text, i + op), &term->value, reterr);
    }
    return err_set(a, reterr, ERR_BAD_REQUEST, "invalid selector: '%.*s'; can't understand '%.*s'",
                   SPAN_ARG(span_first(all, 256)), SPAN_ARG(span_first(text, 256)));
}

int field_selector_parse(struct arena *a, struct span text, struct field_selector *ret,
                         struct err *reterr)
{
    assert(ret);
    size_t max = 1;
    for (size_t i = 0; i < text.n && max <= LIMIT_SELECTOR_TERMS; i++) {
        max += text.p[i] == ',';
    }
    if (max > LIMIT_SELECTOR_TERMS) {
        return err_set(a, reterr, ERR_BAD_REQUEST, "a selector may have at most %d terms",
                       LIMIT_SELECTOR_TERMS);
    }
    struct field_term *terms = ARENA_ARRAY(a, struct field_term, max);
    size_t n = 0;
    for (struct span rest = text; rest.n > 0;) {
        size_t len = term_length(rest);
        struct span one = span_first(rest, len);
        rest = span_from(rest, len + 1);
        if (one.n == 0) {
            continue;
        }
        assert(n < max);
        if (parse_term(a, text, one, &terms[n], reterr) < 0) {
            return -1;
        }
        n++;
    }
    *ret = (struct field_selector){.terms = terms, .n = n};
    return 0;
}

bool field_selector_exact(const struct field_selector *s, struct span key, struct span *ret)
{
    assert(s);
    assert(ret);
    for (size_t i = 0; i < s->n; i++) {
        if (s->terms[i].equal && span_eq(s->terms[i].key, key)) {
            *ret = s->terms[i].value;
            return true;
        }
    }
    return false;
}
