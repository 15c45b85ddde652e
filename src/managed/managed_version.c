/* managed/managed_version.c: entries of another version of the API than the one written.
 *
 * An entry's fields are those of its own version, so that what a write changed is compared there:
 * objects are converted to it. The versions of a custom kind differ in their schema alone (which
 * lists are sets, what is atomic); of built-in kinds, views (schema_kind.view_of) have other
 * members. An entry of a version that is gone goes, too. */
#include <string.h>

#include "base/check.h"
#include "managed/managed_priv.h"
#include "schema/custom.h"

static const struct schema_kind *stored_kind(const struct schema_kind *kind)
{
    return kind->view_of ? kind->view_of : kind;
}

const struct schema_kind *managed_kind(const struct managed *m, struct span version)
{
    assert(version.p || version.n == 0);
    const struct schema_kind *kind = m->write->kind;
    if (span_eq_cstr(version, schema_api_version(kind))) {
        return kind;
    }
    const struct custom_definition *d = kind->custom ? custom_definition_of(kind) : NULL;
    size_t n = kind->custom ? (d ? d->kind_count : 0) : schema_kind_count();
    for (size_t i = 0; i < n; i++) {
        const struct schema_kind *k = d ? &d->kinds[i] : schema_kind_at(i);
        if (span_eq_cstr(version, schema_api_version(k)) &&
            (d || stored_kind(k) == stored_kind(kind))) {
            return k;
        }
    }
    return NULL;
}

const yyjson_val *managed_convert(struct managed *m, const struct schema_kind *from,
                                  const struct schema_kind *to, const yyjson_val *obj)
{
    assert(from);
    assert(to);
    if (from == to || !obj) {
        return obj;
    }
    if (from->custom) {
        return managed_check(m, to, obj, false) ? NULL : obj;
    }
    if (from->view_of) {
        yyjson_mut_doc *doc = json_mut_new(m->a);
        yyjson_mut_val *copy = json_mut_copy(doc, obj);
        json_remove(json_mut_get(copy, "metadata"), "managedFields"); /* not looked at */
        copy = schema_unview(m->a, from, doc, copy, m->write->stored, &m->err);
        obj = copy ? json_freeze(m->a, copy) : NULL;
    }
    return obj && to->view_of ? schema_view(m->a, to, obj) : obj;
}

struct span managed_title(struct managed *m, const yyjson_val *obj)
{
    const yyjson_val *meta = json_get(obj, "metadata");
    const char *version = schema_api_version(m->write->kind);
    return arena_printf(m->a, "(%.*s/%.*s; %s%s, Kind=%s)",
                        SPAN_ARG(json_get_str(meta, "namespace")),
                        SPAN_ARG(json_get_str(meta, "name")), strchr(version, '/') ? "" : "/",
                        version, m->write->kind->kind);
}

int managed_check(struct managed *m, const struct schema_kind *kind, const yyjson_val *obj,
                  bool with_repeats)
{
    assert(kind);
    struct span why = typed_check(m->a, kind, obj, with_repeats);
    return why.n ? err_set(m->a, &m->err, ERR_UNKNOWN, "%.*s", SPAN_ARG(why)) : 0;
}

/* ---- what a write changed, version by version ---- */

void managed_change(struct managed *m, const yyjson_val *old, const yyjson_val *next,
                    const struct typed_diff *d)
{
    assert(d);
    struct managed_side *own = &m->own;
    *own = (struct managed_side){.kind = m->write->kind};
    own->taken = d->taken;
    own->gone = fieldset_union(m->a, d->taken, d->removed);
    m->old = old;
    m->next = next;
}

static struct managed_side *other_side(struct managed *m, const struct schema_kind *kind)
{
    struct managed_side *s = m->own.next;
    while (s && s->kind != kind) {
        s = s->next;
    }
    if (s) {
        return s;
    }
    const yyjson_val *old = managed_convert(m, m->write->kind, kind, m->old);
    const yyjson_val *next = managed_convert(m, m->write->kind, kind, m->next);
    if (!next || (m->old && !old)) {
        (void)err_wrap(m->a, &m->err, "failed to convert %s object", next ? "old" : "new");
        return NULL;
    }
    s = ARENA_NEW(m->a, struct managed_side);
    s->kind = kind;
    struct typed_diff d = typed_compare(m->a, kind, old, next, managed_skip(m->write, false));
    s->taken = d.taken;
    s->gone = fieldset_union(m->a, d.taken, d.removed);
    s->next = m->own.next;
    m->own.next = s;
    return s;
}

bool managed_is_own(const struct managed *m, const struct managed_entry *e)
{
    assert(e);
    return span_eq_cstr(e->version, schema_api_version(m->write->kind));
}

const struct managed_side *managed_side(struct managed *m, const struct managed_entry *e)
{
    if (managed_is_own(m, e)) {
        return &m->own;
    }
    const struct schema_kind *kind = managed_kind(m, e->version);
    assert(kind); /* managed_settle() has dropped the others */
    return other_side(m, kind);
}

/* ---- a schema that has changed since ---- */

static bool is_leaf(const struct fieldset_node *n)
{
    return n->member && fieldset_is_empty(n->below);
}

static const struct fieldset *settled(struct managed *m, struct typed_ref r,
                                      const struct fieldset *set, bool *ret_changed);

/* A value that has become one (atomic): who had some of it has it. */
static void settle_node(struct managed *m, struct typed_ref r, const struct fieldset_node *n,
                        struct fieldset *out, bool *ret_changed)
{
    enum typed_class class = typed_class(r);
    uint8_t shape = r.field && !r.elem ? r.field->shape : SCHEMA_ANY;
    bool is_list = shape == SCHEMA_LIST;
    bool is_object = shape == SCHEMA_OBJECT || shape == SCHEMA_MAP;
    if (class == TYPED_LEAF && !is_leaf(n) && (is_list || is_object)) {
        *ret_changed = true;
        fieldset_add(m->a, out, n->elem, true, NULL);
        return;
    }
    fieldset_add(m->a, out, n->elem, n->member,
                 class == TYPED_LEAF || class == TYPED_LOOSE
                     ? n->below
                     : settled(m, r, n->below, ret_changed));
}

static const struct fieldset *settled(struct managed *m, struct typed_ref r,
                                      const struct fieldset *set, bool *ret_changed)
{
    if (fieldset_is_empty(set)) {
        return NULL;
    }
    enum typed_class class = typed_class(r);
    struct fieldset *out = ARENA_NEW(m->a, struct fieldset);
    for (uint32_t i = 0; i < set->n; i++) {
        const struct fieldset_node *n = &set->at[i];
        struct typed_ref of = class == TYPED_LIST              ? typed_element(r)
                              : n->elem.what == FIELDSET_FIELD ? typed_member(r, n->elem.name)
                                                               : (struct typed_ref){0};
        settle_node(m, of, n, out, ret_changed);
    }
    return fieldset_seal(m->a, out);
}

int managed_settle(struct managed *m, const yyjson_val *live)
{
    bool is_custom = m->write->kind->custom != NULL;
    for (size_t i = 0; i < m->n; i++) {
        struct managed_entry *e = &m->at[i];
        bool own = managed_is_own(m, e), changed = false;
        if (e->is_dropped || (own && !is_custom)) {
            continue; /* our own tables do not change */
        }
        const struct schema_kind *kind = managed_kind(m, e->version);
        if (!kind) {
            managed_put(m, e, NULL);
            continue;
        }
        if (live && !managed_convert(m, m->write->kind, kind, live)) {
            return -1;
        }
        if (is_custom) {
            const struct fieldset *set = settled(m, typed_root(kind), managed_set(m, e), &changed);
            if (changed) {
                managed_put(m, e, set);
            }
        }
    }
    return 0;
}
