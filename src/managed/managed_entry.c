/* managed/managed_entry.c: the list of entries, read and written.
 *
 * A stored list is text, and stays text as far as nothing changes: its entries are told apart
 * without a document, their sets are read when they are needed, and what did not change is written
 * as it was. */
#include "base/check.h"
#include "base/sort.h"
#include "codec/json_text.h"
#include "codec/time.h"
#include "managed/fieldset_text.h"
#include "managed/managed_priv.h"

/* ---- reading ---- */

bool managed_same_owner(const struct managed_entry *x, const struct managed_entry *y)
{
    assert(x);
    assert(y);
    return x->is_apply == y->is_apply && span_eq(x->manager, y->manager) &&
           span_eq(x->subresource, y->subresource) &&
           (x->is_apply || span_eq(x->version, y->version));
}

static int decode_entry(const yyjson_val *v, struct managed_entry *e)
{
    struct span op = json_get_str(v, "operation");
    *e = (struct managed_entry){.manager = json_get_str(v, "manager"),
                                .version = json_get_str(v, "apiVersion"),
                                .subresource = json_get_str(v, "subresource"),
                                .time = json_get_str(v, "time"),
                                .is_apply = span_eq(op, SPAN("Apply")),
                                .raw_fields = json_get(v, "fieldsV1")};
    e->time_s = time_or(e->time, 0) / 1000;
    bool ok = (e->is_apply || span_eq(op, SPAN("Update"))) && e->version.n &&
              span_eq(json_get_str(v, "fieldsType"), SPAN("FieldsV1"));
    return ok ? 0 : -1;
}

/* There is always room for the writer's own entry. */
static void add_entry(struct managed *m, const struct managed_entry *e)
{
    size_t at = 0;
    while (at < m->n && !managed_same_owner(&m->at[at], e)) {
        at++;
    }
    if (at + 2 > m->cap) {
        size_t cap = m->cap * 2;
        struct managed_entry *grown = arena_alloc_raw(m->a, cap * sizeof *grown);
        memcpy(grown, m->at, m->n * sizeof *grown);
        m->at = grown;
        m->cap = cap;
    }
    m->at[at] = *e;
    m->n += at == m->n;
}

static void start(struct managed *m)
{
    m->cap = 4;
    m->at = arena_alloc_raw(m->a, m->cap * sizeof *m->at);
    m->n = 0;
    m->names_revision = false;
}

/* Of texts that are constant: compared as words. */
static inline __attribute__((always_inline)) bool take(struct span *rest, struct span text)
{
    bool is = span_starts(*rest, text);
    *rest = is ? span_from(*rest, text.n) : *rest;
    return is;
}

/* A string without special characters, behind its opening quote. */
static bool take_string(struct span *rest, struct span *ret)
{
    *ret = span_first(*rest, span_find(*rest, '"'));
    *rest = span_from(*rest, ret->n + 1);
    return json_text_is_plain(*ret);
}

/* The next `"apiVersion":"` in a text that begins with a set: between quotes that are not escaped,
 * no set says that, and no set has a text as a value. A capital V is rare in sets, and the other
 * one that is looked out for has it, too. NULL: there is none. */
static const char *next_version(struct span text, bool *ret_revision)
{
    static const struct span version = SPAN("\"apiVersion\":\""),
                             revision = SPAN("\"f:resourceVersion\"");
    enum { VERSION = sizeof "\"api" - 1, REVISION = sizeof "\"f:resource" - 1 };
    const char *end = text.p + text.n, *at = text.p;
    while ((at = memchr(at, 'V', (size_t)(end - at))) != NULL) {
        if (at - text.p >= VERSION &&
            span_starts(span_of(at - VERSION, (size_t)(end - at) + VERSION), version)) {
            return at - VERSION;
        }
        *ret_revision |=
            at - text.p >= REVISION &&
            span_starts(span_of(at - REVISION, (size_t)(end - at) + REVISION), revision);
        at++;
    }
    return NULL;
}

/* What is left of `rest`, which begins with the set of an entry, from the end of that entry on.
 * The next one is found by a member that each has. */
static struct span entry_end(struct span rest, bool *ret_revision)
{
    static const struct span open = SPAN("{\"manager\":\""), bare = SPAN("{\"operation\":\"");
    const char *at = next_version(rest, ret_revision);
    if (!at) {
        return rest.n ? span_from(rest, rest.n - 1) : rest; /* the bracket */
    }
    size_t start = (size_t)(at - rest.p);
    while (start > 0 && !(rest.p[start] == '{' && (span_starts(span_from(rest, start), bare) ||
                                                   span_starts(span_from(rest, start), open)))) {
        start--;
    }
    return start > 0 ? span_from(rest, start - 1) : span_from(rest, rest.n);
}

/* The set and the subresource at the end of an entry. */
static bool take_fields(struct managed *m, struct span *rest, struct managed_entry *e)
{
    static const struct span sub = SPAN(",\"subresource\":\"");
    struct span after = entry_end(*rest, &m->names_revision),
                in = span_first(*rest, rest->n - after.n);
    if (!span_ends(in, SPAN("}"))) {
        return false;
    }
    in.n--;
    if (span_ends(in, SPAN("\""))) {
        size_t quote = span_rfind(span_first(in, in.n - 1), '"');
        struct span name = span_from(span_first(in, in.n - 1), quote + 1);
        if (quote + 1 < sub.n || !span_ends(span_first(in, quote + 1), sub)) {
            return false;
        }
        e->subresource = name;
        in.n = quote + 1 - sub.n;
    }
    e->fields_text = in;
    verify(!in.n || fieldset_text_end(in, 0) == in.n);
    *rest = after;
    return span_starts(in, SPAN("{")) && span_ends(in, SPAN("}")) &&
           span_find(e->subresource, '\\') == e->subresource.n;
}

/* The first entry of the text, in the form that encode_entry() gives it; false: in another. */
static bool take_entry(struct managed *m, struct span *rest, struct managed_entry *e)
{
    const char *start = rest->p;
    struct span op;
    *e = (struct managed_entry){0};
    if (!take(rest, SPAN("{")) ||
        (take(rest, SPAN("\"manager\":\"")) &&
         (!take_string(rest, &e->manager) || !take(rest, SPAN(",")))) ||
        !take(rest, SPAN("\"operation\":\"")) || !take_string(rest, &op) ||
        !take(rest, SPAN(",\"apiVersion\":\"")) || !take_string(rest, &e->version) ||
        (take(rest, SPAN(",\"time\":\"")) && !take_string(rest, &e->time)) ||
        !take(rest, SPAN(",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":")) ||
        !take_fields(m, rest, e)) {
        return false;
    }
    e->text = span_of(start, (size_t)(rest->p - start));
    e->is_apply = span_eq(op, SPAN("Apply"));
    e->time_s = time_or(e->time, 0) / 1000;
    return (e->is_apply || span_eq(op, SPAN("Update"))) && e->version.n;
}

/* False: too many, or not as managed_encode() writes. */
static bool decode_text(struct managed *m, struct span text)
{
    struct managed_entry e;
    struct span rest = text;
    bool ok = take(&rest, SPAN("["));
    start(m);
    for (size_t n = 0; ok && !take(&rest, SPAN("]")); n++) {
        ok = (n == 0 || take(&rest, SPAN(","))) && n < LIMIT_MANAGED_ENTRIES &&
             take_entry(m, &rest, &e);
        if (ok) {
            add_entry(m, &e);
        }
    }
    return ok && rest.n == 0;
}

int managed_decode(struct managed *m, const yyjson_val *list)
{
    assert(m->a);
    assert(m->write);
    yyjson_val *raw = (yyjson_val *)(uintptr_t)list;
    if (yyjson_is_raw(raw)) {
        if (decode_text(m, span_of(yyjson_get_raw(raw), yyjson_get_len(raw)))) {
            return 0;
        }
        list = json_whole(m->a, list);
    }
    if (json_len(list) > LIMIT_MANAGED_ENTRIES) {
        return -1;
    }
    start(m);
    m->names_revision = true;
    JSON_EACH(it, list)
    {
        struct managed_entry e;
        if (decode_entry(it.val, &e)) {
            return -1;
        }
        add_entry(m, &e);
    }
    return 0;
}

int managed_decode_given(struct managed *m, const yyjson_val *list)
{
    if (managed_decode(m, list)) {
        return -1;
    }
    for (size_t i = 0; i < m->n; i++) {
        struct managed_entry *e = &m->at[i];
        if (!e->raw_fields || fieldset_parse(m->a, e->raw_fields, &e->set, NULL)) {
            return -1;
        }
        managed_put(m, e, e->set); /* written anew, in our order */
    }
    return 0;
}

const struct fieldset *managed_set(struct managed *m, struct managed_entry *e)
{
    if (!e->is_parsed) {
        yyjson_doc *doc = NULL;
        e->is_parsed = true;
        if (e->fields_text.n && json_parse(m->a, e->fields_text, &doc, NULL) == 0) {
            e->raw_fields = yyjson_doc_get_root(doc);
        }
        if (!e->raw_fields || fieldset_parse(m->a, e->raw_fields, &e->set, NULL)) {
            e->set = NULL; /* stored by another program: an entry that owns nothing */
        }
    }
    return e->set;
}

/* ---- order ---- */

int managed_cmp_age(const struct managed_entry *a, const struct managed_entry *b)
{
    if (a->time_s != b->time_s) {
        return a->time_s < b->time_s ? -1 : 1;
    }
    int rc = span_cmp(a->manager, b->manager);
    rc = rc ? rc : span_cmp(a->version, b->version);
    return rc ? rc : span_cmp(a->subresource, b->subresource);
}

static int cmp_entry(const void *x, const void *y)
{
    const struct managed_entry *a = *(struct managed_entry *const *)x,
                               *b = *(struct managed_entry *const *)y;
    int rc = a->is_apply != b->is_apply ? (a->is_apply ? -1 : 1) : managed_cmp_age(a, b);
    return rc ? rc : (a > b) - (a < b);
}

/* ---- writing ---- */

static void put_member(struct fieldset_text *t, struct span name, struct span value)
{
    fieldset_text_put(t, name);
    fieldset_text_put_quoted(t, value);
    fieldset_text_put(t, SPAN("\""));
}

static void put_fields(struct fieldset_text *t, const struct managed_entry *e)
{
    if (e->fields_text.n) {
        fieldset_text_put(t, e->fields_text);
    } else if (e->raw_fields) {
        fieldset_text_put(t, json_write(t->a, e->raw_fields));
    } else {
        fieldset_put(t, e->set);
    }
}

void managed_put_head(struct fieldset_text *t, const struct managed_entry *e)
{
    assert(t);
    fieldset_text_put(t, SPAN("{"));
    if (e->manager.n) {
        put_member(t, SPAN("\"manager\":\""), e->manager);
        fieldset_text_put(t, SPAN(","));
    }
    fieldset_text_put(t, e->is_apply ? SPAN("\"operation\":\"Apply\"")
                                     : SPAN("\"operation\":\"Update\""));
    put_member(t, SPAN(",\"apiVersion\":\""), e->version);
    if (e->time.n) {
        put_member(t, SPAN(",\"time\":\""), e->time);
    }
    fieldset_text_put(t, SPAN(",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":"));
}

void managed_put_tail(struct fieldset_text *t, const struct managed_entry *e)
{
    assert(t);
    if (e->subresource.n) {
        put_member(t, SPAN(",\"subresource\":\""), e->subresource);
    }
    fieldset_text_put(t, SPAN("}"));
}

struct span managed_encode(struct managed *m)
{
    struct managed_entry **in_order = ARENA_ARRAY(m->a, struct managed_entry *, m->n + 1);
    struct fieldset_text t = {.a = m->a};
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (!m->at[i].is_dropped) {
            in_order[n++] = &m->at[i];
        }
    }
    if (n == 0) {
        return SPAN_NULL;
    }
    sort_few(in_order, n, sizeof *in_order, cmp_entry);
    for (size_t i = 0; i < n; i++) {
        const struct managed_entry *e = in_order[i];
        fieldset_text_put(&t, i ? SPAN(",") : SPAN("["));
        if (e->text.n) {
            fieldset_text_put(&t, e->text);
        } else {
            managed_put_head(&t, e);
            put_fields(&t, e);
            managed_put_tail(&t, e);
        }
    }
    fieldset_text_put(&t, SPAN("]"));
    return span_of(t.p, t.n);
}
