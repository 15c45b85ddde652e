/* managed/managed_apply.c: server-side apply: merge, removal of what is no longer applied,
 * conflicts.
 */
#include <stdlib.h>

#include "base/check.h"
#include "managed/managed_priv.h"

static const struct span last_applied = {"kubectl.kubernetes.io/last-applied-configuration", 48};

/* ---- removal ---- */

static const struct fieldset *named_set(struct arena *a, struct typed_ref r, const yyjson_val *obj)
{
    return typed_named(a, r, typed_set(a, r, obj));
}

static const yyjson_val *removed(struct arena *a, struct typed_ref r, const yyjson_val *obj,
                                 const struct fieldset *set)
{
    return json_freeze(a, typed_remove(a, json_mut_new(a), r, obj, set));
}

/* An object in the two states between which a removal is decided, in a version of the API. */
struct pruning {
    const struct schema_kind *kind;
    const yyjson_val *merged, *left;
};

static int convert_pruning(struct managed *m, struct pruning *p, const struct schema_kind *kind)
{
    const char *what = "merged";
    p->merged = managed_convert(m, p->kind, kind, p->merged);
    if (p->merged) {
        what = "pruned";
        p->left = managed_convert(m, p->kind, kind, p->left);
    }
    p->kind = kind;
    return p->merged && p->left ? 0
                                : err_wrap(m->a, &m->err,
                                           "failed add back owned items: failed to convert %s "
                                           "object at version %s",
                                           what, schema_api_version(kind));
}

/* Gives back what an entry of the version holds. */
static int give_back(struct managed *m, struct pruning *p, const struct schema_kind *kind)
{
    struct typed_ref r = typed_root(kind);
    const struct fieldset *held = NULL;
    bool any = false;
    for (size_t i = 0; i < m->n; i++) {
        struct managed_entry *e = &m->at[i];
        if (!e->is_dropped && span_eq_cstr(e->version, schema_api_version(kind))) {
            held = fieldset_union(m->a, held, managed_set(m, e));
            any = true;
        }
    }
    if (!any) {
        return 0;
    }
    if (convert_pruning(m, p, kind)) {
        return -1;
    }
    const struct fieldset *kept =
        fieldset_union(m->a, named_set(m->a, r, p->left), typed_named(m->a, r, held));
    p->left =
        removed(m->a, r, p->merged, fieldset_difference(m->a, named_set(m->a, r, p->merged), kept));
    return 0;
}

static int give_back_all(struct managed *m, struct pruning *p)
{
    const struct schema_kind *first = p->kind;
    if (give_back(m, p, first)) {
        return -1;
    }
    for (size_t i = 0; i < m->n; i++) {
        const struct schema_kind *kind = managed_kind(m, m->at[i].version);
        bool seen = !kind || kind == first;
        for (size_t k = 0; k < i && !seen; k++) {
            seen = span_eq(m->at[k].version, m->at[i].version);
        }
        if (!seen && give_back(m, p, kind)) {
            return -1;
        }
    }
    return 0;
}

/* What the manager applied last time and now does not, and nobody else holds, goes. All sets have
 * their object fields as members, so that an object of which nothing is left goes too. version: of
 * what was applied. NULL: m->err. */
static const yyjson_val *prune(struct managed *m, const yyjson_val *merged,
                               const struct fieldset *last, struct span version)
{
    struct arena *a = m->a;
    const struct schema_kind *own = m->write->kind;
    const struct schema_kind *kind = version.n ? managed_kind(m, version) : NULL;
    if (fieldset_is_empty(last) || !kind) {
        return merged;
    }
    const yyjson_val *all = managed_convert(m, own, kind, merged);
    if (!all) {
        (void)err_wrap(a, &m->err, "failed to convert merged object to last applied version");
        return NULL;
    }
    struct typed_ref r = typed_root(kind);
    last = typed_named(a, r, last);
    struct pruning p = {kind, all, removed(a, r, all, last)};
    if (give_back_all(m, &p)) {
        return NULL;
    }
    p.left = managed_convert(m, p.kind, kind, p.left);
    if (!p.left) {
        (void)err_wrap(a, &m->err,
                       "failed add back dangling items: failed to convert pruned object to last "
                       "applied version");
        return NULL;
    }
    const struct fieldset *gone =
        fieldset_difference(a, named_set(a, r, all), named_set(a, r, p.left));
    gone = fieldset_intersection(a, gone, last);
    return managed_convert(m, kind, own, removed(a, r, all, gone));
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

/* -1: m->err. */
static int find_conflicts(struct managed *m, size_t self, struct conflicts *ret)
{
    struct conflicts c = {.a = m->a, .at = ARENA_ARRAY(m->a, struct conflict, m->n + 1)};
    for (size_t i = 0; i < m->n; i++) {
        struct managed_entry *e = &m->at[i];
        if (i == self || e->is_dropped) {
            continue;
        }
        const struct managed_side *side = managed_side(m, e);
        if (!side) {
            return -1;
        }
        const struct fieldset *both = fieldset_intersection(m->a, managed_set(m, e), side->taken);
        if (both) {
            c.at[c.n++] = (struct conflict){e, identity(m->a, e), both};
            fieldset_paths(m->a, both, count_path, &c);
        }
    }
    qsort(c.at, c.n, sizeof *c.at, cmp_conflict);
    *ret = c;
    return 0;
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
    if (err.causes && c->count == 1) {
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
    return json_str(yyjson_obj_getn(json_unconst(notes), last_applied.p, last_applied.n));
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
        typed_check(a, kind, config, false).n) {
        return NULL;
    }
    struct typed_diff d = typed_compare(a, kind, config, live, (struct typed_skip){0});
    const struct fieldset *set = typed_set(a, typed_root(kind), config);
    const struct fieldset *other =
        fieldset_union(a, d.taken, typed_restated(a, kind, live, config));
    return fieldset_difference(a, set, fieldset_union(a, other, d.removed));
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

static int check_head(struct managed *m, const yyjson_val *config)
{
    const struct schema_kind *kind = m->write->kind;
    const char *version = schema_api_version(kind);
    struct span given = json_get_str(config, "apiVersion"), name = json_get_str(config, "kind");
    struct span group = span_first(given, span_find(given, '/'));
    const char *slash = group.n == given.n ? "/" : "";
    if (!yyjson_is_obj(json_unconst(config))) {
        return err_set(m->a, &m->err, ERR_BAD_REQUEST,
                       "the applied configuration must be one object of kind %s", kind->kind);
    }
    if (!span_eq_cstr(name, kind->kind) || !span_eq_cstr(given, version)) {
        return err_set(m->a, &m->err, ERR_BAD_REQUEST, "invalid object type: %s%.*s, Kind=%.*s",
                       slash, SPAN_ARG(given), SPAN_ARG(name));
    }
    return 0;
}

static int check_config(struct managed *m, const yyjson_val *config, const yyjson_val *live)
{
    const struct schema_kind *kind = m->write->kind;
    const yyjson_val *managed = json_path(config, "metadata", "managedFields", NULL);
    if (managed && !yyjson_is_null(json_unconst(managed))) {
        return err_set(m->a, &m->err, ERR_BAD_REQUEST, "metadata.managedFields must be nil");
    }
    struct span why = typed_check(m->a, kind, config, false);
    if (why.n) {
        return err_set(m->a, &m->err, ERR_UNKNOWN, "failed to create typed patch object %.*s: %.*s",
                       SPAN_ARG(managed_title(m, config)), SPAN_ARG(why));
    }
    if (live && kind->custom && managed_check(m, kind, live, true)) {
        return err_wrap(m->a, &m->err, "failed to create typed live object %.*s",
                        SPAN_ARG(managed_title(m, live)));
    }
    return 0;
}

static int read_entries(struct managed *m, const yyjson_val *live)
{
    const yyjson_val *were = json_path(live, "metadata", "managedFields", NULL);
    if (managed_decode(m, were)) {
        return err_set(m->a, &m->err, ERR_UNKNOWN,
                       "failed to decode managed fields: more than %d managers, or malformed",
                       LIMIT_MANAGED_ENTRIES);
    }
    if (m->n == 0 && live) {
        const struct managed_write *write = m->write;
        struct managed_write before = *write;
        before.manager = SPAN("before-first-apply");
        m->write = &before;
        int rc = managed_track(m, NULL, live);
        m->write = write;
        if (rc) {
            return err_wrap(m->a, &m->err, "failed to create manager for existing fields");
        }
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

/* What the manager applies now stands in its entry; what it applied before is returned. */
static const struct fieldset *replace_set(struct managed *m, struct managed_entry *own,
                                          const struct fieldset *set, struct span *ret_version)
{
    const struct fieldset *last = own->is_dropped ? NULL : managed_set(m, own);
    *ret_version = own->version;
    managed_put(m, own, set);
    own->version = span_cstr(schema_api_version(m->write->kind));
    return last;
}

static int apply(struct managed *m, bool force, const yyjson_val *was, const yyjson_val *config,
                 bool is_new, const yyjson_val **ret_next)
{
    struct arena *a = m->a;
    const struct schema_kind *kind = m->write->kind;
    struct typed_ref r = typed_root(kind);
    struct span skip = span_cstr(managed_skip(m->write, false).root), version;
    const yyjson_val *merged = json_freeze(a, typed_merge(a, json_mut_new(a), r, was, config));
    struct managed_entry *own = managed_own(m, true);
    size_t self = (size_t)(own - m->at);
    const struct fieldset *set = fieldset_without(a, typed_set(a, r, config), skip);
    const struct fieldset *last = replace_set(m, own, set, &version);
    const yyjson_val *next = prune(m, merged, last, version);
    if (!next) {
        return err_wrap(a, &m->err, "failed to prune fields");
    }
    struct typed_diff d = typed_compare(a, kind, was, next, managed_skip(m->write, false));
    const struct fieldset *restated = typed_restated(a, kind, was, config);
    d.taken = fieldset_union(a, d.taken, fieldset_without(a, restated, skip));
    managed_change(m, was, next, &d);
    struct conflicts c;
    if (find_conflicts(m, self, &c)) {
        return -1;
    }
    if (c.n && !force && !all_ours(m, &c, was)) {
        return refuse(&c, &m->err);
    }
    if (managed_lose(m, self)) {
        return -1;
    }
    managed_put(m, own, managed_strip(m, set));
    if (is_new || restated || !typed_same(r, was, next)) {
        managed_touch(m, own);
    }
    *ret_next = next;
    return 0;
}

int managed_apply(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w, bool force,
                  const yyjson_val *live, const yyjson_val *config, struct managed_applied *ret,
                  struct err *reterr)
{
    assert(w->kind);
    assert(w->manager.n);
    assert(reterr);
    struct managed m = {.a = a, .write = w};
    const yyjson_val *next = NULL;
    if (check_head(&m, config) || read_entries(&m, live) || check_config(&m, config, live) ||
        managed_settle(&m, live) ||
        apply(&m, force, without_managed(a, live), config, live == NULL, &next)) {
        *reterr = m.err;
        return -1;
    }
    ret->object = json_mut_copy(doc, next);
    struct span list = managed_encode(&m);
    ret->managed = list.n ? json_new_raw(doc, list) : NULL;
    renew_annotation(&m, doc, ret->object, config);
    return 0;
}
