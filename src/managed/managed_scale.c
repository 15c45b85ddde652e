/* managed/managed_scale.c: owners of the number of replicas, seen from the Scale of an object.
 *
 * A Scale has fields of its own, so that for a write to /scale the owners of the replicas become
 * owners of its spec.replicas, and afterwards the other way round. This follows Kubernetes to the
 * letter, oddities included: an updater's entry comes back as another of the same name, which holds
 * the replicas alone and has no time. */
#include "base/check.h"
#include "managed/managed_priv.h"
#include "schema/custom.h"
#include "schema/kinds.h"

static const char *const usual_path[] = {"spec", "replicas", NULL};

/* Where the replicas are in a version; NULL: nowhere. */
static const char *const *path_in(const struct schema_kind *kind)
{
    return kind->custom ? custom_scale_path(kind, CUSTOM_SPEC_REPLICAS) : usual_path;
}

static bool has_path(const struct fieldset *set, const char *const *path)
{
    const struct fieldset_node *n = NULL;
    for (; path && *path; path++) {
        struct fieldset_elem e = fieldset_field(span_cstr(*path));
        n = fieldset_find(n ? n->below : set, &e);
        if (!n) {
            return false;
        }
    }
    return n && n->member;
}

static const struct fieldset *set_of_path(struct arena *a, const char *const *path)
{
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    const struct fieldset *below = path[1] ? set_of_path(a, path + 1) : NULL;
    fieldset_add(a, out, fieldset_field(span_cstr(path[0])), !path[1], below);
    return out;
}

static yyjson_mut_val *encoded(struct managed *m, yyjson_mut_doc *doc)
{
    struct span list = managed_encode(m);
    return list.n ? json_new_raw(doc, list) : NULL;
}

yyjson_mut_val *managed_to_scale(struct arena *a, yyjson_mut_doc *doc,
                                 const struct schema_kind *kind, const yyjson_val *list)
{
    assert(kind);
    const struct managed_write w = {.kind = kind};
    struct managed m = {.a = a, .write = &w};
    if (managed_decode(&m, list)) {
        return NULL;
    }
    for (size_t i = 0; i < m.n; i++) {
        struct managed_entry *e = &m.at[i];
        const struct schema_kind *its = managed_kind(&m, e->version);
        bool has = its && has_path(managed_set(&m, e), path_in(its));
        managed_put(&m, e, has ? set_of_path(a, usual_path) : NULL);
        e->version = span_cstr(schema_api_version(SCHEMA_KIND(Scale)));
    }
    return encoded(&m, doc);
}

/* Only appliers are known again: the name of an updater has the version in it. */
static struct managed_entry *find_applier(struct managed *m, const struct managed_entry *like)
{
    for (size_t i = 0; like->is_apply && i < m->n; i++) {
        if (!m->at[i].is_dropped && managed_same_owner(&m->at[i], like)) {
            return &m->at[i];
        }
    }
    return NULL;
}

/* What is left to an owner of the object. */
static void keep_or_rob(struct managed *m, struct managed *scale, struct managed_entry *e)
{
    const struct schema_kind *its = managed_kind(m, e->version);
    const char *const *path = its ? path_in(its) : NULL;
    if (!its) {
        managed_put(m, e, NULL);
        return;
    }
    const struct fieldset *set = managed_set(m, e);
    if (!has_path(set, path)) {
        return;
    }
    struct managed_entry *found = find_applier(scale, e);
    if (found) {
        found->is_dropped = true; /* has kept them */
    } else {
        managed_put(m, e, fieldset_difference(m->a, set, set_of_path(m->a, path)));
    }
}

yyjson_mut_val *managed_from_scale(struct arena *a, yyjson_mut_doc *doc,
                                   const struct schema_kind *kind, const yyjson_val *list,
                                   const yyjson_val *scale_list)
{
    const struct managed_write w = {.kind = kind}, sw = {.kind = SCHEMA_KIND(Scale)};
    struct managed m = {.a = a, .write = &w}, scale = {.a = a, .write = &sw};
    assert(path_in(kind));
    if (managed_decode(&m, list) || managed_decode(&scale, scale_list)) {
        return NULL;
    }
    size_t were = m.n;
    struct managed_entry *all = ARENA_ARRAY(a, struct managed_entry, m.n + scale.n + 1);
    for (size_t i = 0; i < m.n; i++) {
        keep_or_rob(&m, &scale, &m.at[i]);
        all[i] = m.at[i];
    }
    for (size_t i = 0; i < scale.n; i++) {
        struct managed_entry e = scale.at[i];
        if (e.is_dropped || !has_path(managed_set(&scale, &e), usual_path)) {
            continue;
        }
        const struct managed_entry *before = find_applier(&m, &e);
        e.time = before ? before->time : SPAN_NULL;
        e.time_s = before ? before->time_s : 0;
        e.version = span_cstr(schema_api_version(kind));
        managed_put(&m, &e, set_of_path(a, path_in(kind)));
        all[m.n++] = e;
    }
    m.at = all;
    assert(m.n <= were + scale.n);
    return encoded(&m, doc);
}
