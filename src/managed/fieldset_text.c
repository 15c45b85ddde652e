/* managed/fieldset_text.c: see fieldset_text.h. */
#include "managed/fieldset_text.h"

#include <stdio.h>

#include "base/check.h"
#include "codec/json.h"
#include "codec/json_text.h"

enum { FIRST_BYTES = 2048 };

/* ---- writing ---- */

void fieldset_text_grow(struct fieldset_text *t, size_t n)
{
    t->p = arena_regrow(t->a, t->p, t->n, n, FIRST_BYTES, &t->cap);
}

void fieldset_text_put_quoted(struct fieldset_text *t, struct span s)
{
    if (json_text_is_plain(s)) {
        fieldset_text_put(t, s);
        return;
    }
    struct span quoted = json_write_mut(t->a, json_new_str(json_mut_new(t->a), s));
    assert(quoted.n >= 2);
    fieldset_text_put(t, span_of(quoted.p + 1, quoted.n - 2));
}

static bool is_string(const yyjson_val *v)
{
    return yyjson_is_str((yyjson_val *)(uintptr_t)v);
}

/* A plain value as it stands inside of a JSON string; before and after a string `quote`. False: not
 * that simple. */
static bool put_value(struct fieldset_text *t, const yyjson_val *value, struct span quote)
{
    yyjson_val *v = (yyjson_val *)(uintptr_t)value;
    if (is_string(v)) {
        if (!json_text_is_plain(json_str(v))) {
            return false;
        }
        fieldset_text_put(t, quote);
        fieldset_text_put(t, json_str(v));
        fieldset_text_put(t, quote);
        return true;
    }
    fieldset_text_put(t, json_write(t->a, v));
    return true;
}

static bool put_parts(struct fieldset_text *t, const struct fieldset_elem *e)
{
    const struct span quote = SPAN("\\\"");
    for (uint32_t i = 0; i < e->part_n; i++) {
        if (!json_text_is_plain(e->parts[i].name)) {
            return false;
        }
        fieldset_text_put(t, i ? SPAN(",\\\"") : SPAN("\"k:{\\\""));
        fieldset_text_put(t, e->parts[i].name);
        fieldset_text_put(t, SPAN("\\\":"));
        if (!put_value(t, e->parts[i].value, quote)) {
            return false;
        }
    }
    fieldset_text_put(t, SPAN("}"));
    return e->part_n > 0;
}

/* The key without its quotes, of what has special characters in it. */
static struct span whole_key(struct arena *a, const struct fieldset_elem *e)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    if (e->what == FIELDSET_VALUE) {
        return arena_printf(a, "v:%.*s", SPAN_ARG(json_write(a, e->value)));
    }
    assert(e->what == FIELDSET_KEY);
    yyjson_mut_val *obj = yyjson_mut_obj(doc);
    for (uint32_t i = 0; i < e->part_n; i++) {
        yyjson_mut_obj_add(obj, json_new_str(doc, e->parts[i].name),
                           json_mut_copy(doc, e->parts[i].value));
    }
    return arena_printf(a, "k:%.*s", SPAN_ARG(json_write_mut(a, obj)));
}

/* Mostly: the key of a field, in one go. */
static void put_field(struct fieldset_text *t, struct span name)
{
    if (!json_text_is_plain(name)) {
        fieldset_text_put(t, SPAN("\"f:"));
        fieldset_text_put_quoted(t, name);
        fieldset_text_put(t, SPAN("\":"));
        return;
    }
    size_t n = name.n + sizeof "'f:':" - 1;
    if (t->cap - t->n < n) {
        fieldset_text_grow(t, n);
    }
    char *to = t->p + t->n;
    *to++ = '"';
    *to++ = 'f';
    *to++ = ':';
    span_copy_short(to, name.p, name.n);
    to += name.n;
    *to++ = '"';
    *to = ':';
    t->n += n;
}

void fieldset_text_put_key(struct fieldset_text *t, const struct fieldset_elem *e)
{
    size_t from = t->n;
    bool done = false;
    char number[40];
    switch (e->what) {
    case FIELDSET_FIELD:
        put_field(t, e->name);
        return;
    case FIELDSET_INDEX:
        snprintf(number, sizeof number, "\"i:%lld", (long long)e->index);
        fieldset_text_put(t, span_cstr(number));
        done = true;
        break;
    case FIELDSET_KEY:
        done = put_parts(t, e);
        break;
    case FIELDSET_VALUE:
        fieldset_text_put(t, SPAN("\"v:"));
        done = put_value(t, e->value, SPAN("\\\""));
        break;
    }
    if (!done) {
        t->n = from;
        fieldset_text_put(t, SPAN("\""));
        fieldset_text_put_quoted(t, whole_key(t->a, e));
    }
    fieldset_text_put(t, SPAN("\":"));
}

void fieldset_text_put_value(struct fieldset_text *t, const struct fieldset *below, bool member)
{
    fieldset_text_put(t, member && below ? SPAN("{\".\":{}") : SPAN("{"));
    for (uint32_t i = 0; below && i < below->n; i++) {
        if (i || member) {
            fieldset_text_put(t, SPAN(","));
        }
        fieldset_text_put_node(t, &below->at[i]);
    }
    fieldset_text_put(t, SPAN("}"));
}

void fieldset_text_put_node(struct fieldset_text *t, const struct fieldset_node *node)
{
    assert(node->member || node->below);
    fieldset_text_put_key(t, &node->elem);
    if (node->below) {
        fieldset_text_put_value(t, node->below, node->member);
    } else {
        fieldset_text_put(t, SPAN("{}"));
    }
}

void fieldset_put(struct fieldset_text *t, const struct fieldset *s)
{
    assert(t->a);
    fieldset_text_put_value(t, s, false);
}

/* ---- reading along ---- */

/* Just behind the string whose opening quote is at p; end when it does not end. */
static const char *string_end(const char *p, const char *end)
{
    const char *from = p + 1, *at = from;
    while ((at = memchr(at, '"', (size_t)(end - at))) != NULL) {
        size_t escapes = 0;
        while (at - escapes > from && at[-1 - (ptrdiff_t)escapes] == '\\') {
            escapes++;
        }
        at++;
        if (escapes % 2 == 0) {
            return at;
        }
    }
    return end;
}

size_t fieldset_text_string(struct span text)
{
    bool is = span_starts(text, SPAN("\""));
    return is ? (size_t)(string_end(text.p, text.p + text.n) - text.p) : 0;
}

size_t fieldset_text_end(struct span text, size_t depth)
{
    const char *p = text.p, *end = text.p + text.n;
    while (p < end) {
        char c = *p;
        if (c == '"') {
            p = string_end(p, end);
            continue;
        }
        p++;
        if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            break;
        }
    }
    return (size_t)(p - text.p);
}
