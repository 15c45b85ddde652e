/* managed/fieldset_text.c: see fieldset_text.h. */
#include "managed/fieldset_text.h"

#include <stdio.h>

#include "base/check.h"
#include "codec/json.h"
#include "codec/json_text.h"

enum {
    FIRST_BYTES = 2048,
    /* A search looks for each node of the smaller set along the text: beyond this the sets are
     * better taken apart. */
    SOUGHT_MAX = 64
};

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

/* A walk along the members of an object. What follows the object is in `rest`, too: a walk ends at
 * the closing brace. */
struct walk {
    struct span rest;
    bool at_value; /* rest begins with the value of the member told last, else with a key */
};

static struct walk walk_from(struct span object)
{
    return (struct walk){span_from(object, 1), false};
}

/* Goes on to the value of the next member; its key has quotes. False: there is none. */
static bool walk_next(struct walk *w, struct span *ret_key)
{
    if (w->at_value) {
        w->rest = span_from(w->rest, fieldset_text_end(w->rest));
        if (span_starts(w->rest, SPAN(","))) {
            w->rest = span_from(w->rest, 1);
        }
        w->at_value = false;
    }
    const char *end = w->rest.p + w->rest.n;
    if (w->rest.n == 0 || *w->rest.p != '"') {
        return false;
    }
    const char *key_end = string_end(w->rest.p, end);
    if (key_end + 1 >= end || *key_end != ':') {
        return false;
    }
    *ret_key = span_of(w->rest.p, (size_t)(key_end - w->rest.p));
    w->rest = span_of(key_end + 1, (size_t)(end - key_end - 1));
    w->at_value = true;
    return true;
}

/* Of a value and what follows it. */
static bool is_member(struct span value)
{
    return span_starts(value, SPAN("{}")) || span_starts(value, SPAN("{\".\":"));
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

static bool next_is(struct walk *w, const char *until, struct span key)
{
    struct span at;
    while (w->rest.p < until && walk_next(w, &at)) {
        if (span_eq(at, key)) {
            return true;
        }
    }
    return false;
}

static struct span sought_key(struct search *f, const struct fieldset_elem *e)
{
    f->key.n = 0;
    fieldset_text_put_key(&f->key, e);
    return span_of(f->key.p, f->key.n - 1);
}

/* From where w is in the object to its end, and then from its beginning. Found: w is at the value.
 */
static enum found find(struct search *f, struct span object, struct walk *w,
                       const struct fieldset_elem *e)
{
    if (f->left == 0) {
        return IN_DOUBT;
    }
    f->left--;
    struct span key = sought_key(f, e);
    const struct walk from = *w;
    if (next_is(w, object.p + object.n, key)) {
        return FOUND;
    }
    *w = walk_from(object);
    if (next_is(w, from.rest.p, key)) {
        return FOUND;
    }
    *w = from;
    return is_ambiguous(e) ? IN_DOUBT : ABSENT;
}

static bool holds(struct search *f, struct span object, const struct fieldset *s)
{
    struct walk w = walk_from(object);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct fieldset_node *node = &s->at[i];
        if (find(f, object, &w, &node->elem) != FOUND || (node->member && !is_member(w.rest)) ||
            (node->below && !holds(f, w.rest, node->below))) {
            return false;
        }
    }
    return true;
}

static bool touches(struct search *f, struct span object, const struct fieldset *s)
{
    struct walk w = walk_from(object);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct fieldset_node *node = &s->at[i];
        enum found found = find(f, object, &w, &node->elem);
        if (found == IN_DOUBT ||
            (found == FOUND && ((node->member && is_member(w.rest)) ||
                                (node->below && touches(f, w.rest, node->below))))) {
            return true;
        }
    }
    return false;
}

/* Is none of the fields that s begins with named anywhere in the text? Mostly a write changes
 * status, and most entries hold nothing of it. */
static bool is_elsewhere(struct search *f, struct span text, const struct fieldset *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct span key = sought_key(f, &s->at[i].elem);
        if (s->at[i].elem.what != FIELDSET_FIELD || memmem(text.p, text.n, key.p, key.n)) {
            return false;
        }
    }
    return true;
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
    return !fieldset_is_empty(s) && !is_elsewhere(&f, text, s) && touches(&f, text, s);
}
