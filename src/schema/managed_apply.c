/* schema/managed_apply.c: server-side apply: merge, removal of what is no longer applied,
 * conflicts.
 */
#include <stdlib.h>

#include "base/check.h"
#include "schema/managed_priv.h"

static const struct span last_applied = {"kubectl.kubernetes.io/last-applied-configuration", 48};

static yyjson_val *unconst(const yyjson_val *v)
{
    return (yyjson_val *)(uintptr_t)v;
}

/* ---- removal ---- */

/* What the manager applied last time and now does not, and nobody else holds, goes. All sets have
 * their object fields as members, so that an object of which nothing is left goes too. */
static const yyjson_val *prune(struct managed *m, const yyjson_val *merged,
                               const struct fieldset *last)
{
    struct arena *a = m->a;
    struct typed_ref r = typed_root(m->write->kind);
    if (fieldset_is_empty(last)) {
        return merged;
    }
    yyjson_mut_doc *doc = json_mut_new(a);
    last = typed_named(a, r, last);
    const struct fieldset *all = typed_named(a, r, typed_set(a, r, merged)), *held = NULL;
    const yyjson_val *left = json_freeze(a, typed_remove(a, doc, r, merged, last));
    for (size_t i = 0; i < m->n; i++) {
        if (!m->at[i].is_dropped) {
            held = fieldset_union(a, held, managed_set(m, &m->at[i]));
        }
    }
    const struct fieldset *kept =
        fieldset_union(a, typed_named(a, r, typed_set(a, r, left)), typed_named(a, r, held));
    left = json_freeze(a, typed_remove(a, doc, r, merged, fieldset_difference(a, all, kept)));
    const struct fieldset *gone =
        fieldset_difference(a, all, typed_named(a, r, typed_set(a, r, left)));
    return json_freeze(a, typed_remove(a, doc, r, merged, fieldset_intersection(a, gone, last)));
}

/* ---- conflicts ---- */

struct conflict {
    struct managed_entry *with;
    struct span id; /* the entry without fields and time as JSON: Kubernetes orders by that */
    const struct fieldset *fields;
};

struct conflicts {
    struct arena *a;
    struct conflict *at; /* ordered by id */
    size_t n, count;     /* managers; fields */
};

static struct span quoted(struct arena *a, struct span text)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    return json_write_mut(a, json_new_str(doc, text));
}

static struct span identity(struct arena *a, const struct managed_entry *e)
{
    struct span version =
        e->is_apply ? SPAN("")
                    : arena_printf(a, ",\"apiVersion\":%.*s", SPAN_ARG(quoted(a, e->version)));
    struct span sub = e->subresource.n ? arena_printf(a, ",\"subresource\":%.*s",
                                                      SPAN_ARG(quoted(a, e->subresource)))
                                       : SPAN("");
    return arena_printf(a, "%.*s,\"operation\":\"%s\"%.*s%.*s}", SPAN_ARG(quoted(a, e->manager)),
                        e->is_apply ? "Apply" : "Update", SPAN_ARG(version), SPAN_ARG(sub));
}

static int cmp_conflict(const void *x, const void *y)
{
    return span_cmp(((const struct conflict *)x)->id, ((const struct conflict *)y)->id);
}

static void count_path(void *data, struct span path)
{
    struct conflicts *c = data;
    assert(path.n);
    c->count++;
}

static struct conflicts find_conflicts(struct managed *m, const struct typed_diff *d, size_t self)
{
    struct conflicts c = {.a = m->a, .at = ARENA_ARRAY(m->a, struct conflict, m->n + 1)};
    const struct fieldset *taken = fieldset_union(m->a, d->added, d->modified);
    for (size_t i = 0; i < m->n; i++) {
        struct managed_entry *e = &m->at[i];
        if (i == self || e->is_dropped) {
            continue;
        }
        const struct fieldset *both = fieldset_intersection(m->a, managed_set(m, e), taken);
        if (both) {
            c.at[c.n++] = (struct conflict){e, identity(m->a, e), both};
            fieldset_paths(m->a, both, count_path, &c);
        }
    }
    qsort(c.at, c.n, sizeof *c.at, cmp_conflict);
    return c;
}

static struct span manager_text(struct arena *a, const struct managed_entry *e)
{
    struct span out = quoted(a, e->manager);
    if (e->subresource.n) {
        out = arena_printf(a, "%.*s with subresource %.*s", SPAN_ARG(out),
                           SPAN_ARG(quoted(a, e->subresource)));
    }
    return e->is_apply ? out
                       : arena_printf(a, "%.*s using %.*s", SPAN_ARG(out), SPAN_ARG(e->version));
}

struct telling {
    struct arena *a;
    struct err *err;
    struct span manager, lines;
};

static void tell_path(void *data, struct span path)
{
    struct telling *t = data;
    err_add_cause(t->a, t->err, "FieldManagerConflict", path,
                  arena_printf(t->a, "conflict with %.*s", SPAN_ARG(t->manager)));
    t->lines = arena_printf(t->a, "%.*s\n- %.*s", SPAN_ARG(t->lines), SPAN_ARG(path));
}

/* A few hundred paths are more than anybody reads, and the message grows by copying. */
enum { CONFLICTS_TOLD = 1000 };

static int refuse(struct conflicts *c, struct err *reterr)
{
    struct err err = {.reason = ERR_CONFLICT};
    struct telling t = {.a = c->a, .err = &err, .lines = SPAN("")};
    if (c->count > CONFLICTS_TOLD) {
        return err_set(c->a, reterr, ERR_CONFLICT, "Apply failed with %zu conflicts", c->count);
    }
    for (size_t i = 0; i < c->n; i++) {
        t.manager = manager_text(c->a, c->at[i].with);
        t.lines = arena_printf(c->a, "%.*s%sconflicts with %.*s:", SPAN_ARG(t.lines), i ? "\n" : "",
                               SPAN_ARG(t.manager));
        fieldset_paths(c->a, c->at[i].fields, tell_path, &t);
    }
    err.message =
        arena_printf(c->a, "Apply failed with %zu conflicts: %.*s", c->count, SPAN_ARG(t.lines));
    if (c->count == 1) {
        err.message = arena_printf(c->a, "Apply failed with 1 conflict: conflict with %.*s: %.*s",
                                   SPAN_ARG(t.manager), SPAN_ARG(err.causes->field));
    }
    *reterr = err;
    return -1;
}

/* ---- what client-side apply left ---- */

static struct span last_applied_of(const yyjson_val *obj)
{
    const yyjson_val *notes = json_path(obj, "metadata", "annotations", NULL);
    return json_str(yyjson_obj_getn(unconst(notes), last_applied.p, last_applied.n));
}

/* The fields that client-side apply set and that are still as it set them: nobody else's. */
static const struct fieldset *own_by_annotation(struct managed *m, const yyjson_val *live)
{
    struct arena *a = m->a;
    yyjson_doc *doc = NULL;
    struct span text = last_applied_of(live);
    if (text.n == 0 || json_parse(a, text, &doc, NULL)) {
        return NULL;
    }
    const struct schema_kind *kind = m->write->kind;
    const yyjson_val *config = yyjson_doc_get_root(doc);
    if (!span_eq_cstr(json_get_str(config, "apiVersion"), schema_api_version(kind)) ||
        typed_check(a, kind, config).n) {
        return NULL;
    }
    struct typed_diff d = typed_compare(a, kind, config, live, NULL);
    const struct fieldset *set = typed_set(a, typed_root(kind), config);
    return fieldset_difference(
        a, set, fieldset_union(a, fieldset_union(a, d.added, d.modified), d.removed));
}

static bool all_ours(struct managed *m, struct conflicts *c, const yyjson_val *live)
{
    const struct fieldset *ours =
        span_eq(m->write->manager, SPAN("kubectl")) ? own_by_annotation(m, live) : NULL;
    struct conflicts left = {.a = c->a, .at = c->at};
    for (size_t i = 0; ours && i < c->n; i++) {
        const struct fieldset *rest = fieldset_difference(m->a, c->at[i].fields, ours);
        if (rest) {
            left.at[left.n++] = (struct conflict){c->at[i].with, c->at[i].id, rest};
            fieldset_paths(m->a, rest, count_path, &left);
        }
    }
    if (ours) {
        *c = left;
    }
    return c->n == 0;
}

static int cmp_key(const void *x, const void *y)
{
    yyjson_mut_val *const *a = x, *const *b = y;
    return span_cmp(json_mut_str(*a), json_mut_str(*b));
}

/* Objects with their members in order, as Go writes maps. */
static yyjson_mut_val *in_order(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *v)
{
    size_t i, n;
    yyjson_mut_val *key, *one;
    if (yyjson_mut_is_arr(v)) {
        yyjson_mut_val *out = yyjson_mut_arr(doc);
        yyjson_mut_arr_foreach(v, i, n, one)
        {
            yyjson_mut_arr_append(out, yyjson_mut_val_mut_copy(doc, in_order(a, doc, one)));
        }
        return out;
    }
    if (!yyjson_mut_is_obj(v)) {
        return v;
    }
    yyjson_mut_val **keys = ARENA_ARRAY(a, yyjson_mut_val *, yyjson_mut_obj_size(v) + 1);
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    yyjson_mut_obj_foreach(v, i, n, key, one)
    {
        keys[i] = key;
    }
    qsort(keys, yyjson_mut_obj_size(v), sizeof(yyjson_mut_val *), cmp_key);
    for (i = 0; i < yyjson_mut_obj_size(v); i++) {
        one = in_order(a, doc, yyjson_mut_obj_iter_get_val(keys[i]));
        yyjson_mut_obj_add(out, json_new_str(doc, json_mut_str(keys[i])),
                           yyjson_mut_val_mut_copy(doc, one));
    }
    return out;
}

/* The annotation that client-side apply would have written, so that going back to it works. */
static void renew_annotation(struct managed *m, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                             const yyjson_val *config)
{
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    yyjson_mut_val *notes = json_mut_get(meta, "annotations");
    if (!span_eq(m->write->manager, SPAN("kubectl")) ||
        json_mut_str(yyjson_mut_obj_getn(notes, last_applied.p, last_applied.n)).n == 0) {
        return;
    }
    yyjson_mut_val *copy = json_mut_copy(doc, config);
    yyjson_mut_val *its = json_mut_get(json_mut_get(copy, "metadata"), "annotations");
    if (its) {
        (void)yyjson_mut_obj_remove_keyn(its, last_applied.p, last_applied.n);
    }
    struct span text = json_write_mut(m->a, in_order(m->a, doc, copy));
    size_t size = text.n + 1;
    size_t i, n;
    yyjson_mut_val *key, *one;
    yyjson_mut_obj_foreach(notes, i, n, key, one)
    {
        bool same = span_eq(json_mut_str(key), last_applied);
        size += yyjson_mut_get_len(key) + (same ? 0 : yyjson_mut_get_len(one));
    }
    if (size > LIMIT_ANNOTATIONS_BYTES) {
        (void)yyjson_mut_obj_remove_keyn(notes, last_applied.p, last_applied.n);
        return;
    }
    json_put_span(doc, notes, last_applied,
                  json_new_str(doc, arena_printf(m->a, "%.*s\n", SPAN_ARG(text))));
}

/* ---- apply ---- */

static int check_config(struct managed *m, const yyjson_val *config, struct err *reterr)
{
    const struct schema_kind *kind = m->write->kind;
    const char *version = schema_api_version(kind);
    struct span given = json_get_str(config, "apiVersion"), name = json_get_str(config, "kind");
    const yyjson_val *meta = json_get(config, "metadata");
    struct span group = span_first(given, span_find(given, '/'));
    const char *slash = group.n == given.n ? "/" : "";
    if (!yyjson_is_obj(unconst(config))) {
        return err_set(m->a, reterr, ERR_BAD_REQUEST,
                       "the applied configuration must be one object of kind %s", kind->kind);
    }
    if (!span_eq_cstr(name, kind->kind) || !span_eq_cstr(given, version)) {
        return err_set(m->a, reterr, ERR_BAD_REQUEST, "invalid object type: %s%.*s, Kind=%.*s",
                       slash, SPAN_ARG(given), SPAN_ARG(name));
    }
    const yyjson_val *managed = json_get(meta, "managedFields");
    if (managed && !yyjson_is_null(unconst(managed))) {
        return err_set(m->a, reterr, ERR_BAD_REQUEST, "metadata.managedFields must be nil");
    }
    struct span why = typed_check(m->a, kind, config);
    if (why.n) {
        struct span ns = json_get_str(meta, "namespace");
        return err_set(m->a, reterr, ERR_BAD_REQUEST,
                       "failed to create typed patch object (%.*s/%.*s; %s%s, Kind=%s): %.*s",
                       SPAN_ARG(ns), SPAN_ARG(json_get_str(meta, "name")), slash, version,
                       kind->kind, SPAN_ARG(why));
    }
    return 0;
}

static int read_entries(struct managed *m, const yyjson_val *live, struct err *reterr)
{
    const yyjson_val *were = json_path(live, "metadata", "managedFields", NULL);
    if (managed_decode(m, were)) {
        return err_set(m->a, reterr, ERR_INTERNAL,
                       "failed to decode managed fields: more than %d managers, or malformed",
                       LIMIT_MANAGED_ENTRIES);
    }
    if (m->n == 0 && live) {
        const struct managed_write *write = m->write;
        struct managed_write before = *write;
        before.manager = SPAN("before-first-apply");
        m->write = &before;
        managed_track(m, NULL, live);
        m->write = write;
    }
    return 0;
}

static const yyjson_val *without_managed(struct arena *a, const yyjson_val *live)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *obj = live ? json_mut_copy(doc, live) : yyjson_mut_obj(doc);
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    if (meta) {
        json_remove(meta, "managedFields");
    }
    return json_freeze(a, obj);
}

int managed_apply(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w, bool force,
                  const yyjson_val *live, const yyjson_val *config, struct managed_applied *ret,
                  struct err *reterr)
{
    assert(w->kind && w->manager.n && reterr);
    struct managed m = {.a = a, .write = w};
    if (check_config(&m, config, reterr) || read_entries(&m, live, reterr)) {
        return -1;
    }
    struct typed_ref r = typed_root(w->kind);
    const yyjson_val *was = without_managed(a, live);
    const yyjson_val *merged = json_freeze(a, typed_merge(a, json_mut_new(a), r, was, config));
    struct managed_entry *own = managed_own(&m, true);
    size_t self = (size_t)(own - m.at);
    const struct fieldset *last = own->is_dropped ? NULL : managed_set(&m, own);
    const struct fieldset *set =
        fieldset_without(a, typed_set(a, r, config), span_cstr(managed_skip(w)));
    managed_put(&m, own, set);
    own->version = span_cstr(schema_api_version(w->kind));
    const yyjson_val *next = prune(&m, merged, last);
    struct typed_diff d = typed_compare(a, w->kind, was, next, managed_skip(w));
    struct conflicts c = find_conflicts(&m, &d, self);
    if (c.n && !force && !all_ours(&m, &c, was)) {
        return refuse(&c, reterr);
    }
    managed_lose(&m, &d, self);
    managed_put(&m, own, managed_strip(&m, set));
    if (!live || !typed_same(r, was, next)) {
        managed_touch(&m, own);
    }
    ret->object = json_mut_copy(doc, next);
    struct span list = managed_encode(&m);
    ret->managed = list.n ? json_new_raw(doc, list) : NULL;
    renew_annotation(&m, doc, ret->object, config);
    return 0;
}
