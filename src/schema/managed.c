/* schema/managed.c: entries, and what an update does to them. */
#include "schema/managed.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/time.h"
#include "schema/managed_priv.h"

/* Entries of updates beyond this are joined (Kubernetes' number). */
enum { UPDATERS_MAX = 10 };

/* ---- reading ---- */

static bool same_owner(const struct managed_entry *x, const struct managed_entry *y)
{
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

static void add_entry(struct managed *m, const struct managed_entry *e)
{
    size_t at = 0;
    while (at < m->n && !same_owner(&m->at[at], e)) {
        at++;
    }
    assert(at < m->cap);
    m->at[at] = *e;
    m->n += at == m->n;
}

/* The end of the JSON value at the beginning of text, which is an object or a list and well-formed
 * (we wrote it, or it was parsed when it was loaded). */
static size_t value_end(struct span text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return text.n;
}

/* An entry without its set, which is read only when it is needed: most changes concern one entry.
 */
static int decode_stored(struct managed *m, struct span text, struct managed_entry *e)
{
    static const char name[] = "\"fieldsV1\":";
    const char *at = memmem(text.p, text.n, name, sizeof name - 1);
    yyjson_doc *doc = NULL;
    if (!at) {
        return -1;
    }
    struct span head = span_first(text, (size_t)(at - text.p) + sizeof name - 1);
    struct span rest = span_from(text, head.n);
    struct span fields = span_first(rest, value_end(rest));
    struct span tail = span_from(rest, fields.n);
    struct span small = arena_printf(m->a, "%.*s0%.*s", SPAN_ARG(head), SPAN_ARG(tail));
    if (!span_starts(fields, SPAN("{")) || json_parse(m->a, small, &doc, NULL) ||
        decode_entry(yyjson_doc_get_root(doc), e)) {
        return -1;
    }
    e->raw_fields = NULL;
    e->fields_text = fields;
    e->text = text;
    return 0;
}

static int decode_text(struct managed *m, struct span text)
{
    struct managed_entry e;
    size_t n = 0;
    for (struct span rest = span_from(text, 1); span_starts(rest, SPAN("{"));) {
        size_t end = value_end(rest);
        n++;
        rest = span_from(rest, end + 1);
    }
    if (n == 0 || n > LIMIT_MANAGED_ENTRIES) {
        return -1;
    }
    m->cap = n + 2;
    m->at = ARENA_ARRAY(m->a, struct managed_entry, m->cap);
    m->n = 0;
    for (struct span rest = span_from(text, 1); span_starts(rest, SPAN("{"));) {
        size_t end = value_end(rest);
        if (decode_stored(m, span_first(rest, end), &e)) {
            return -1;
        }
        add_entry(m, &e);
        rest = span_from(rest, end + 1);
    }
    return 0;
}

int managed_decode(struct managed *m, const yyjson_val *list)
{
    assert(m->a && m->write);
    yyjson_val *raw = (yyjson_val *)(uintptr_t)list;
    if (yyjson_is_raw(raw)) {
        return decode_text(m, span_of(yyjson_get_raw(raw), yyjson_get_len(raw)));
    }
    size_t n = json_len(list);
    if (n > LIMIT_MANAGED_ENTRIES) {
        return -1;
    }
    m->cap = n + 2;
    m->at = ARENA_ARRAY(m->a, struct managed_entry, m->cap);
    m->n = 0;
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

/* Sets that came from a client are read whole before they are believed. */
static int decode_given(struct managed *m, const yyjson_val *list)
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

/* ---- changing ---- */

void managed_put(struct managed *m, struct managed_entry *e, const struct fieldset *set)
{
    assert(m->a);
    e->is_parsed = true;
    e->text = e->fields_text = SPAN_NULL;
    e->raw_fields = NULL;
    e->set = set;
    e->is_dropped = fieldset_is_empty(set);
}

struct managed_entry *managed_own(struct managed *m, bool is_apply)
{
    struct managed_entry e = {.manager = m->write->manager,
                              .version = span_cstr(schema_api_version(m->write->kind)),
                              .subresource = m->write->subresource,
                              .is_apply = is_apply,
                              .is_parsed = true,
                              .is_dropped = true};
    if (e.manager.n == 0) {
        e.manager = SPAN("unknown");
    }
    for (size_t i = 0; i < m->n; i++) {
        if (same_owner(&m->at[i], &e)) {
            return &m->at[i];
        }
    }
    assert(m->n < m->cap);
    m->at[m->n] = e;
    return &m->at[m->n++];
}

void managed_touch(struct managed *m, struct managed_entry *e)
{
    e->text = SPAN_NULL;
    e->time_s = m->write->now_ms / 1000;
    e->time = time_format(m->a, m->write->now_ms);
}

/* The name may stand deeper as well: then the entry is read for nothing. */
static bool has_top(struct span fields, const struct fieldset *s)
{
    for (uint32_t i = 0; s && i < s->n; i++) {
        struct span name = s->at[i].elem.name;
        const char *at = fields.p;
        for (size_t left = fields.n; left > name.n + 2;) {
            at = memmem(at, left, name.p, name.n);
            if (!at) {
                break;
            }
            if (at - fields.p >= 3 && memcmp(at - 3, "\"f:", 3) == 0) {
                return true;
            }
            at++;
            left = fields.n - (size_t)(at - fields.p);
        }
    }
    return false;
}

bool managed_concerns(const struct managed_entry *e, const struct typed_diff *d)
{
    return !e->fields_text.n || e->is_parsed || has_top(e->fields_text, d->added) ||
           has_top(e->fields_text, d->modified) || has_top(e->fields_text, d->removed);
}

const struct fieldset *managed_strip(struct managed *m, const struct fieldset *set)
{
    static const char *const top[] = {"apiVersion", "kind", "metadata"};
    static const char *const inner[] = {"name",          "namespace",   "creationTimestamp",
                                        "selfLink",      "uid",         "generation",
                                        "managedFields", "clusterName", "resourceVersion"};
    struct fieldset meta = {0}, strip = {0};
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
        fieldset_add(m->a, &meta, fieldset_field(span_cstr(inner[i])), true, NULL);
    }
    (void)fieldset_seal(m->a, &meta);
    for (size_t i = 0; i < sizeof top / sizeof *top; i++) {
        bool is_meta = strcmp(top[i], "metadata") == 0;
        fieldset_add(m->a, &strip, fieldset_field(span_cstr(top[i])), true, is_meta ? &meta : NULL);
    }
    return fieldset_difference(m->a, set, fieldset_seal(m->a, &strip));
}

const char *managed_skip(const struct managed_write *w)
{
    return span_eq(w->subresource, SPAN("status")) ? "spec" : "status";
}

void managed_lose(struct managed *m, const struct typed_diff *d, size_t self)
{
    const struct fieldset *gone = NULL;
    for (size_t i = 0; i < m->n; i++) {
        struct managed_entry *e = &m->at[i];
        if (i == self || e->is_dropped || !managed_concerns(e, d)) {
            continue;
        }
        if (!gone) {
            gone = fieldset_union(m->a, fieldset_union(m->a, d->added, d->modified), d->removed);
        }
        const struct fieldset *was = managed_set(m, e);
        if (fieldset_intersection(m->a, was, gone)) {
            managed_put(m, e, fieldset_difference(m->a, was, gone));
        }
    }
}

/* ---- at most ten updaters ---- */

static int cmp_age(const void *x, const void *y)
{
    const struct managed_entry *a = *(struct managed_entry *const *)x,
                               *b = *(struct managed_entry *const *)y;
    if (a->time_s != b->time_s) {
        return a->time_s < b->time_s ? -1 : 1;
    }
    int rc = span_cmp(a->manager, b->manager);
    rc = rc ? rc : span_cmp(a->version, b->version);
    return rc ? rc : span_cmp(a->subresource, b->subresource);
}

/* The oldest updaters of each version go into one. */
static void cap_updaters(struct managed *m)
{
    struct managed_entry **old = ARENA_ARRAY(m->a, struct managed_entry *, m->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (!m->at[i].is_apply && !m->at[i].is_dropped) {
            old[n++] = &m->at[i];
        }
    }
    qsort(old, n, sizeof *old, cmp_age);
    for (size_t i = 1, left = n; i < n && left > UPDATERS_MAX; i++) {
        struct managed_entry *e = old[i], *first = NULL;
        for (size_t k = 0; k < i && !first; k++) {
            first = span_eq(old[k]->version, e->version) ? old[k] : NULL;
        }
        if (!first) {
            continue;
        }
        const struct fieldset *set = fieldset_union(m->a, managed_set(m, first), managed_set(m, e));
        first->manager = SPAN("ancient-changes");
        first->subresource = SPAN("");
        first->time = e->time;
        first->time_s = e->time_s;
        managed_put(m, first, set);
        managed_put(m, e, NULL);
        left--;
    }
}

/* ---- writing ---- */

static int cmp_entry(const void *x, const void *y)
{
    const struct managed_entry *a = *(struct managed_entry *const *)x,
                               *b = *(struct managed_entry *const *)y;
    return a->is_apply != b->is_apply ? (a->is_apply ? -1 : 1) : cmp_age(x, y);
}

static yyjson_mut_val *encode_entry(struct managed *m, yyjson_mut_doc *doc,
                                    const struct managed_entry *e)
{
    if (e->text.n) {
        return json_new_raw(doc, e->text);
    }
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    if (e->manager.n) {
        json_put_str(doc, out, "manager", e->manager);
    }
    json_put_str(doc, out, "operation", e->is_apply ? SPAN("Apply") : SPAN("Update"));
    json_put_str(doc, out, "apiVersion", e->version);
    if (e->time.n) {
        json_put_str(doc, out, "time", e->time);
    }
    json_put_str(doc, out, "fieldsType", SPAN("FieldsV1"));
    json_put(doc, out, "fieldsV1",
             e->raw_fields ? json_mut_copy(doc, e->raw_fields) : fieldset_write(m->a, doc, e->set));
    if (e->subresource.n) {
        json_put_str(doc, out, "subresource", e->subresource);
    }
    return out;
}

yyjson_mut_val *managed_encode(struct managed *m, yyjson_mut_doc *doc)
{
    struct managed_entry **in_order = ARENA_ARRAY(m->a, struct managed_entry *, m->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (!m->at[i].is_dropped) {
            in_order[n++] = &m->at[i];
        }
    }
    if (n == 0) {
        return NULL;
    }
    qsort(in_order, n, sizeof *in_order, cmp_entry);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < n; i++) {
        yyjson_mut_arr_append(list, encode_entry(m, doc, in_order[i]));
    }
    return list;
}

/* ---- updates ---- */

void managed_track(struct managed *m, const yyjson_val *live, const yyjson_val *next)
{
    struct typed_diff d = typed_compare(m->a, m->write->kind, live, next, managed_skip(m->write));
    if (!d.added && !d.modified && !d.removed) {
        return;
    }
    managed_lose(m, &d, SIZE_MAX);
    const struct fieldset *taken = managed_strip(m, fieldset_union(m->a, d.added, d.modified));
    if (taken) {
        struct managed_entry *own = managed_own(m, false);
        const struct fieldset *was = own->is_dropped ? NULL : managed_set(m, own);
        managed_put(m, own, fieldset_union(m->a, was, taken));
        managed_touch(m, own);
    }
    cap_updaters(m);
}

/* [{}]: the client wants them gone. */
static bool is_reset(const yyjson_val *given)
{
    return json_len(given) == 1 && json_len(json_iter_begin(given).val) == 0 &&
           yyjson_is_obj(json_iter_begin(given).val);
}

yyjson_mut_val *managed_update(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w,
                               const yyjson_val *live, const yyjson_val *next,
                               const yyjson_val *given)
{
    assert(w->kind && next);
    const yyjson_val *were = json_whole(a, json_path(live, "metadata", "managedFields", NULL));
    struct managed m = {.a = a, .write = w};
    bool has_given = w->subresource.n == 0 && given && !json_equal(given, json_whole(a, were));
    if (has_given && is_reset(given)) {
        return NULL;
    }
    if (!has_given || json_len(given) == 0 || decode_given(&m, given)) {
        m.n = 0;
        if (managed_decode(&m, were) && managed_decode(&m, NULL)) {
            return NULL;
        }
    }
    if (m.n == 0 && live) {
        return NULL; /* not tracked before the first apply */
    }
    managed_track(&m, live, next);
    return managed_encode(&m, doc);
}

/* ---- names ---- */

struct span managed_agent(struct arena *a, struct span user_agent)
{
    struct span name = span_first(user_agent, span_find(user_agent, '/'));
    char *out = arena_alloc_raw(a, LIMIT_FIELD_MANAGER_BYTES);
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < LIMIT_FIELD_MANAGER_BYTES; i++) {
        if (name.p[i] >= ' ' && name.p[i] < 0x7f) {
            out[n++] = name.p[i];
        }
    }
    return span_of(out, n);
}
