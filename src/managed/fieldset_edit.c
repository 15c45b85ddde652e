/* managed/fieldset_edit.c: a set that is text, with other members: what stays is copied as it
 * stands, and mostly all of it stays.
 *
 * Text and sets are walked along together, both being in order. The text is read once, no further
 * than the sets reach. A key whose place in the order is not plain to see (characters written as
 * escapes, unusual numbers) ends the walk in doubt. */
#include "base/check.h"
#include "codec/json.h"
#include "codec/json_text.h"
#include "managed/fieldset_text.h"

struct edit {
    struct fieldset_text out;
    const char *at, *end;
    const char *kept; /* from here to `at` is text that stays and is not in out yet */
    bool in_doubt;
};

/* ---- order ---- */

static int doubt(struct edit *x)
{
    x->in_doubt = true;
    return 0;
}

static struct span rest_of(const struct edit *x)
{
    return span_of(x->at, (size_t)(x->end - x->at));
}

static bool take(struct span *rest, struct span text)
{
    bool is = span_starts(*rest, text);
    *rest = is ? span_from(*rest, text.n) : *rest;
    return is;
}

/* Up to the next escaped quote, which is taken, too. */
static struct span take_quoted(struct edit *x, struct span *rest)
{
    struct span s = span_first(*rest, span_find(*rest, '\\'));
    *rest = span_from(*rest, s.n);
    if (!take(rest, SPAN("\\\""))) {
        (void)doubt(x);
    }
    return s;
}

/* A plain value at the start of a text within a string, against another: cmp_value() of fieldset.c,
 * of strings and whole numbers. */
static int cmp_value(struct edit *x, struct span *text, const yyjson_val *value)
{
    yyjson_val *v = (yyjson_val *)(uintptr_t)value;
    int64_t number;
    if (take(text, SPAN("\\\""))) {
        struct span s = take_quoted(x, text);
        return yyjson_is_str(v) ? span_cmp(s, json_str(v)) : yyjson_is_num(v) ? 1 : doubt(x);
    }
    size_t n = 0;
    while (n < text->n && (text->p[n] == '-' || (text->p[n] >= '0' && text->p[n] <= '9'))) {
        n++;
    }
    if (!span_to_i64(span_first(*text, n), &number)) {
        return doubt(x);
    }
    *text = span_from(*text, n);
    if (yyjson_is_str(v)) {
        return -1;
    }
    if (!yyjson_is_int(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX)) {
        return doubt(x);
    }
    return (number > yyjson_get_sint(v)) - (number < yyjson_get_sint(v));
}

static int cmp_parts(struct edit *x, struct span text, const struct fieldset_elem *e)
{
    if (!take(&text, SPAN("{"))) {
        return doubt(x);
    }
    for (uint32_t i = 0; i < e->part_n; i++) {
        if (!take(&text, i ? SPAN(",\\\"") : SPAN("\\\""))) {
            return i && span_eq(text, SPAN("}")) ? -1 : doubt(x);
        }
        int rc = span_cmp(take_quoted(x, &text), e->parts[i].name);
        if (!rc && !take(&text, SPAN(":"))) {
            return doubt(x);
        }
        rc = rc ? rc : cmp_value(x, &text, e->parts[i].value);
        if (rc || x->in_doubt) {
            return rc;
        }
    }
    return span_eq(text, SPAN("}")) ? 0 : span_starts(text, SPAN(",")) ? 1 : doubt(x);
}

static int cmp_field(struct edit *x, struct span text, struct span name)
{
    if (!json_text_is_plain(text)) {
        return doubt(x);
    }
    return span_eq(text, name) ? 0 : span_cmp(text, name);
}

/* fieldset_elem_cmp() of the element that a key (without its quotes) names, and e. */
static int cmp_key(struct edit *x, struct span key, const struct fieldset_elem *e)
{
    static const char kinds[] = {'f', 'k', 'v', 'i'}; /* of enum fieldset_what */
    const char *kind = key.n >= 2 ? memchr(kinds, key.p[0], sizeof kinds) : NULL;
    if (!kind || key.p[1] != ':') {
        return doubt(x);
    }
    struct span text = span_from(key, 2);
    if (kinds[e->what] != *kind) {
        return kind - kinds < (ptrdiff_t)e->what ? -1 : 1;
    }
    if (e->what == FIELDSET_FIELD) {
        return cmp_field(x, text, e->name);
    }
    if (e->what == FIELDSET_KEY) {
        return cmp_parts(x, text, e);
    }
    int rc = e->what == FIELDSET_VALUE ? cmp_value(x, &text, e->value) : doubt(x);
    return rc || text.n == 0 ? rc : doubt(x);
}

/* ---- reading and writing ---- */

static bool is_at(const struct edit *x, char c)
{
    return x->at < x->end && *x->at == c;
}

/* What stays, up to here, goes out. */
static void flush(struct edit *x, const char *to)
{
    assert(to >= x->kept);
    if (to > x->kept) {
        fieldset_text_put(&x->out, span_of(x->kept, (size_t)(to - x->kept)));
        x->kept = to;
    }
}

/* The key at `at`, without its quotes; `at` is at its value afterwards. */
static struct span next_key(struct edit *x)
{
    struct span key = span_first(rest_of(x), fieldset_text_string(rest_of(x)));
    x->at += key.n;
    if (key.n < 2 || x->end - x->at < 3 || x->at[0] != ':' || x->at[1] != '{') {
        (void)doubt(x);
        return SPAN("");
    }
    x->at++;
    return span_of(key.p + 1, key.n - 2);
}

/* To the next member, with a comma before it if one is due there and only then. */
static void put_comma(struct edit *x, bool is_due)
{
    bool is_there = is_at(x, ',');
    if (is_there != is_due) {
        flush(x, x->at);
        x->kept += is_there;
        if (is_due) {
            fieldset_text_put(&x->out, SPAN(","));
        }
    }
    x->at += is_there;
}

static void insert(struct edit *x, const struct fieldset_node *node, bool comma)
{
    flush(x, x->at);
    if (comma) {
        fieldset_text_put(&x->out, SPAN(","));
    }
    fieldset_text_put_node(&x->out, node);
}

/* ---- the walk ---- */

/* The members of an object. */
struct level {
    const struct fieldset_node *less, *less_end, *more, *more_end; /* what is to be done yet */
    bool self; /* the object is a member of the set itself, which is written before its members */
    bool any;  /* a member is there that stays, or is new */
};

static struct level level_of(const struct fieldset *less, const struct fieldset *more, bool self)
{
    struct level l = {.self = self};
    if (less && less->n) {
        l.less = less->at;
        l.less_end = less->at + less->n;
    }
    if (more && more->n) {
        l.more = more->at;
        l.more_end = more->at + more->n;
    }
    return l;
}

static bool is_done(const struct level *l)
{
    return l->less == l->less_end && l->more == l->more_end;
}

static bool edit_value(struct edit *x, const struct fieldset_node *less,
                       const struct fieldset_node *more, bool to_end);

/* The node at key of those that go, passing over what is not there. */
static const struct fieldset_node *less_at(struct edit *x, struct level *l, struct span key)
{
    int rc = 1;
    while (l->less < l->less_end && (rc = cmp_key(x, key, &l->less->elem)) > 0) {
        l->less++;
    }
    return l->less < l->less_end && rc == 0 ? l->less++ : NULL;
}

/* The node at key of those that come; such as come before it are put in at `at`. */
static const struct fieldset_node *more_at(struct edit *x, struct level *l, struct span key)
{
    int rc = 1;
    while (l->more < l->more_end && (rc = cmp_key(x, key, &l->more->elem)) > 0) {
        insert(x, l->more++, l->self || l->any);
        l->any = true;
    }
    return l->more < l->more_end && rc == 0 ? l->more++ : NULL;
}

/* Is the key at `at` that of the field which is looked for next? Mostly. Then it is taken. */
static bool take_known(struct edit *x, const struct fieldset_node *next, struct span *ret_key)
{
    struct span name = next->elem.name;
    const char *at = x->at;
    if (next->elem.what != FIELDSET_FIELD ||
        (size_t)(x->end - at) < name.n + sizeof "'f:':{}" - 1 || memcmp(at, "\"f:", 3) != 0 ||
        memcmp(at + 3 + name.n, "\":{", 3) != 0 || !span_eq(span_of(at + 3, name.n), name) ||
        !json_text_is_plain(name)) {
        return false;
    }
    *ret_key = span_of(at + 1, name.n + 2);
    x->at += name.n + 5;
    return true;
}

/* The member at `at`, which begins with its comma. */
static void edit_member(struct edit *x, struct level *l, bool to_end)
{
    const char *start = x->at;
    x->at += is_at(x, ',');
    assert(!is_done(l));
    bool has_more = l->more < l->more_end;
    const struct fieldset_node *next = has_more ? l->more : l->less;
    struct span key;
    assert(next);
    bool is_known = take_known(x, next, &key);
    if (!is_known) {
        key = next_key(x);
    }
    const char *value = x->at;
    x->at = start;
    const struct fieldset_node *less = is_known && !has_more ? l->less++ : less_at(x, l, key);
    const struct fieldset_node *more = is_known && has_more ? l->more++ : more_at(x, l, key);
    const char *kept = x->kept;
    size_t n = x->out.n;
    put_comma(x, l->self || l->any);
    x->at = value;
    if (x->in_doubt) {
        return;
    }
    if (!less && !more) {
        x->at += x->at[1] == '}' ? 2 : fieldset_text_end(rest_of(x), 0);
        l->any = true;
    } else if (edit_value(x, less, more, to_end || !is_done(l))) {
        l->any = true;
    } else {
        x->out.n = n;
        x->kept = kept;
        flush(x, start);
        x->kept = x->at;
    }
}

/* The members at `at` up to the end of their object. False: none is left, and `at` is behind the
 * object; otherwise it is there if to_end. */
static bool edit_members(struct edit *x, struct level l, bool to_end)
{
    while (!x->in_doubt) {
        if (is_done(&l) && l.any) {
            x->at += to_end ? fieldset_text_end(rest_of(x), 1) : 0;
            return true;
        }
        if (is_at(x, '}')) {
            for (; l.more < l.more_end; l.more++) {
                insert(x, l.more, l.self || l.any);
                l.any = true;
            }
            x->at++;
            return l.any;
        }
        if (is_done(&l)) {
            put_comma(x, l.self);
            l.any = true;
        } else {
            edit_member(x, &l, to_end);
        }
    }
    return true;
}

/* The object at `at`, of which that goes and comes. False: it goes, and `at` is behind it;
 * otherwise it is there if to_end. */
static bool edit_value(struct edit *x, const struct fieldset_node *less,
                       const struct fieldset_node *more, bool to_end)
{
    static const struct span itself = SPAN("\".\":{}");
    const char *start = x->at, *kept = x->kept;
    size_t n = x->out.n;
    bool is_leaf = start[1] == '}', was = is_leaf || span_starts(span_from(rest_of(x), 1), itself);
    bool self = (was && !(less && less->member)) || (more && more->member);
    const struct fieldset *below = more ? more->below : NULL;
    if (is_leaf) {
        x->at += 2;
        if (below) {
            flush(x, start);
            fieldset_text_put_value(&x->out, below, self);
            x->kept = x->at;
        }
        return below || self;
    }
    x->at += 1 + (was ? itself.n : 0);
    if (was != self) {
        flush(x, start + 1);
        x->kept = x->at;
        if (self) {
            fieldset_text_put(&x->out, itself);
        }
    }
    if (edit_members(x, level_of(less ? less->below : NULL, below, self), to_end)) {
        return true;
    }
    x->out.n = n;
    x->kept = kept;
    if (self) {
        flush(x, start);
        fieldset_text_put(&x->out, SPAN("{}"));
        x->kept = x->at;
    }
    return self;
}

/* Is none of the fields that s begins with named anywhere in the text? Mostly a write changes
 * status, and most entries hold nothing of it. */
static bool is_elsewhere(struct arena *a, struct span text, const struct fieldset *s)
{
    char room[256] = {0};
    for (uint32_t i = 0; s && i < s->n; i++) {
        struct fieldset_text key = {a, room, 0, sizeof room};
        fieldset_text_put_key(&key, &s->at[i].elem);
        if (memmem(text.p, text.n, key.p, key.n)) {
            return false;
        }
    }
    return true;
}

enum fieldset_edit fieldset_text_edit(struct arena *a, struct span *text,
                                      const struct fieldset *less, const struct fieldset *more)
{
    assert(a);
    struct edit x = {.out = {.a = a}, .at = text->p + 1, .end = text->p + text->n, .kept = text->p};
    if (!more && is_elsewhere(a, *text, less)) {
        return FIELDSET_SAME;
    }
    if (text->n < 3 || text->p[0] != '{' || text->p[2] == '.') {
        return FIELDSET_IN_DOUBT;
    }
    bool any = edit_members(&x, level_of(less, more, false), false);
    if (x.in_doubt || (any && x.out.n == 0 && x.kept == text->p)) {
        return x.in_doubt ? FIELDSET_IN_DOUBT : FIELDSET_SAME;
    }
    flush(&x, x.end);
    *text = any ? span_of(x.out.p, x.out.n) : SPAN_NULL;
    return FIELDSET_OTHER;
}
