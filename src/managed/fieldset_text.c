/* managed/fieldset_text.c: see fieldset_text.h. */
#include "managed/fieldset_text.h"

#include <stdio.h>

#include "base/check.h"
#include "codec/json.h"

enum {
    FIRST_BYTES = 2048,
    /* A search looks for each node of the smaller set along the text: beyond this the sets are
     * better taken apart. */
    SOUGHT_MAX = 64
};

/* ---- writing ---- */

void fieldset_text_grow(struct fieldset_text *t, size_t n)
{
    size_t cap = t->cap ? t->cap * 2 : FIRST_BYTES;
    while (cap - t->n < n) {
        cap *= 2;
    }
    char *p = arena_alloc_raw(t->a, cap);
    if (t->n) {
        memcpy(p, t->p, t->n);
    }
    t->p = p;
    t->cap = cap;
}

static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < ' ' || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

void fieldset_text_put_quoted(struct fieldset_text *t, struct span s)
{
    if (is_plain(s)) {
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
        if (!is_plain(json_str(v))) {
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
        if (!is_plain(e->parts[i].name)) {
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

void fieldset_text_put_key(struct fieldset_text *t, const struct fieldset_elem *e)
{
    size_t from = t->n;
    bool done = false;
    char number[40];
    switch (e->what) {
    case FIELDSET_FIELD:
        fieldset_text_put(t, SPAN("\"f:"));
        fieldset_text_put_quoted(t, e->name);
        done = true;
        break;
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

static void put_level(struct fieldset_text *t, const struct fieldset *s, bool member)
{
    fieldset_text_put(t, member ? SPAN("{\".\":{}") : SPAN("{"));
    for (uint32_t i = 0; s && i < s->n; i++) {
        const struct fieldset_node *node = &s->at[i];
        assert(node->member || node->below);
        if (i || member) {
            fieldset_text_put(t, SPAN(","));
        }
        fieldset_text_put_key(t, &node->elem);
        if (node->below) {
            put_level(t, node->below, node->member);
        } else {
            fieldset_text_put(t, SPAN("{}"));
        }
    }
    fieldset_text_put(t, SPAN("}"));
}

void fieldset_put(struct fieldset_text *t, const struct fieldset *s)
{
    assert(t->a);
    put_level(t, s, false);
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

size_t fieldset_text_end(struct span text)
{
    const char *p = text.p, *end = text.p + text.n;
    size_t depth = 0;
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

/* One member of an object: its key with quotes, and its value. */
struct member {
    struct span key, value;
};

/* Takes the next member from what follows a brace or a comma. False: there is none. */
static bool next_member(struct span *rest, struct member *ret)
{
    const char *end = rest->p + rest->n;
    if (rest->n == 0 || *rest->p != '"') {
        return false;
    }
    const char *key_end = string_end(rest->p, end);
    if (key_end + 1 >= end || *key_end != ':') {
        return false;
    }
    ret->key = span_of(rest->p, (size_t)(key_end - rest->p));
    ret->value = span_of(key_end + 1, (size_t)(end - key_end - 1));
    ret->value.n = fieldset_text_end(ret->value);
    *rest = span_from(*rest, (size_t)(ret->value.p + ret->value.n - rest->p));
    if (span_starts(*rest, SPAN(","))) {
        *rest = span_from(*rest, 1);
    }
    return true;
}

static bool is_member(struct span value)
{
    return value.n == 2 || span_starts(value, SPAN("{\".\":"));
}

/* What is sought in a text. Both are in order, so that the next one sought is mostly the next one
 * there. */
struct search {
    struct fieldset_text key;
    size_t left; /* of SOUGHT_MAX */
};

enum found { FOUND, ABSENT, IN_DOUBT };

/* A client may have written the same number in another way. */
static bool is_ambiguous(const struct fieldset_elem *e)
{
    bool doubt = e->what == FIELDSET_VALUE && !is_string(e->value);
    for (uint32_t i = 0; e->what == FIELDSET_KEY && i < e->part_n; i++) {
        doubt |= !is_string(e->parts[i].value);
    }
    return doubt;
}

static bool next_is(struct span *rest, const char *until, struct span key, struct span *ret_value)
{
    struct member m;
    while (rest->p < until && next_member(rest, &m)) {
        if (span_eq(m.key, key)) {
            *ret_value = m.value;
            return true;
        }
    }
    return false;
}

/* From *rest on, which is somewhere in object, to its end, and then from its beginning. */
static enum found find(struct search *f, struct span object, struct span *rest,
                       const struct fieldset_elem *e, struct span *ret_value)
{
    if (f->left == 0) {
        return IN_DOUBT;
    }
    f->left--;
    f->key.n = 0;
    fieldset_text_put_key(&f->key, e);
    struct span key = span_of(f->key.p, f->key.n - 1), from = *rest;
    if (next_is(rest, object.p + object.n, key, ret_value)) {
        return FOUND;
    }
    *rest = span_from(object, 1);
    if (next_is(rest, from.p, key, ret_value)) {
        return FOUND;
    }
    *rest = from;
    return is_ambiguous(e) ? IN_DOUBT : ABSENT;
}

static bool holds(struct search *f, struct span object, const struct fieldset *s)
{
    struct span rest = span_from(object, 1), value;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct fieldset_node *node = &s->at[i];
        if (find(f, object, &rest, &node->elem, &value) != FOUND ||
            (node->member && !is_member(value)) || (node->below && !holds(f, value, node->below))) {
            return false;
        }
    }
    return true;
}

static bool touches(struct search *f, struct span object, const struct fieldset *s)
{
    struct span rest = span_from(object, 1), value;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct fieldset_node *node = &s->at[i];
        enum found found = find(f, object, &rest, &node->elem, &value);
        if (found == IN_DOUBT ||
            (found == FOUND && ((node->member && is_member(value)) ||
                                (node->below && touches(f, value, node->below))))) {
            return true;
        }
    }
    return false;
}

bool fieldset_text_holds(struct arena *a, struct span text, const struct fieldset *s)
{
    assert(a);
    char room[256];
    struct search f = {{a, room, 0, sizeof room}, SOUGHT_MAX};
    return fieldset_is_empty(s) || holds(&f, text, s);
}

bool fieldset_text_touches(struct arena *a, struct span text, const struct fieldset *s)
{
    assert(a);
    char room[256];
    struct search f = {{a, room, 0, sizeof room}, SOUGHT_MAX};
    return !fieldset_is_empty(s) && touches(&f, text, s);
}
