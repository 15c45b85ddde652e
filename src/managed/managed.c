/* managed/managed.c: entries, and what an update does to them. */
#include "managed/managed.h"

#include "base/check.h"
#include "base/sort.h"
#include "codec/time.h"
#include "managed/fieldset_text.h"
#include "managed/managed_priv.h"

/* Entries of updates beyond this are joined (Kubernetes' number). */
enum { UPDATERS_MAX = 10 };

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

struct managed_entry managed_writer(struct managed *m, bool is_apply)
{
    struct span manager = m->write->manager;
    return (struct managed_entry){.manager = manager.n ? manager : SPAN("unknown"),
                                  .version = span_cstr(schema_api_version(m->write->kind)),
                                  .subresource = m->write->subresource,
                                  .is_apply = is_apply,
                                  .is_parsed = true,
                                  .is_dropped = true};
}

struct managed_entry *managed_own(struct managed *m, bool is_apply)
{
    struct managed_entry e = managed_writer(m, is_apply);
    assert(m->at);
    for (size_t i = 0; i < m->n; i++) {
        if (managed_same_owner(&m->at[i], &e)) {
            return &m->at[i];
        }
    }
    assert(m->n < m->cap);
    m->at[m->n] = e;
    return &m->at[m->n++];
}

void managed_touch(struct managed *m, struct managed_entry *e)
{
    struct span now = time_format(m->a, m->write->now_ms);
    e->text = span_eq(e->time, now) ? e->text : SPAN_NULL;
    e->time_s = m->write->now_ms / 1000;
    e->time = now;
}

/* Nobody's, by their length, of which each has its own. */
static const struct span unowned_meta[] = {
    [3] = SPAN("uid"),
    [4] = SPAN("name"),
    [8] = SPAN("selfLink"),
    [9] = SPAN("namespace"),
    [10] = SPAN("generation"),
    [11] = SPAN("clusterName"),
    [13] = SPAN("managedFields"),
    [15] = SPAN("resourceVersion"),
    [17] = SPAN("creationTimestamp"),
};

bool managed_is_unowned(struct span name, bool in_meta)
{
    if (!in_meta) {
        return span_eq(name, SPAN("apiVersion")) || span_eq(name, SPAN("kind"));
    }
    return name.n && name.n < sizeof unowned_meta / sizeof *unowned_meta &&
           span_eq(name, unowned_meta[name.n]);
}

static bool is_stripped(const struct fieldset_elem *e)
{
    return e->what == FIELDSET_FIELD &&
           (managed_is_unowned(e->name, false) || span_eq(e->name, SPAN("metadata")));
}

static const struct fieldset *strip(struct managed *m, const struct fieldset *set, bool in_meta)
{
    struct fieldset *out = ARENA_NEW(m->a, struct fieldset);
    for (uint32_t i = 0; set && i < set->n; i++) {
        const struct fieldset_node *node = &set->at[i];
        bool is_field = node->elem.what == FIELDSET_FIELD;
        bool is_meta = !in_meta && is_field && span_eq(node->elem.name, SPAN("metadata"));
        bool unowned = is_meta || (is_field && managed_is_unowned(node->elem.name, in_meta));
        fieldset_add(m->a, out, node->elem, node->member && !unowned,
                     is_meta ? strip(m, node->below, true) : node->below);
    }
    return out->n ? out : NULL;
}

const struct fieldset *managed_strip(struct managed *m, const struct fieldset *set)
{
    assert(m);
    for (uint32_t i = 0; set && i < set->n; i++) {
        if (is_stripped(&set->at[i].elem)) {
            return strip(m, set, false);
        }
    }
    return set;
}

struct typed_skip managed_skip(const struct managed_write *w, bool revision)
{
    assert(w);
    const char *root = span_eq(w->subresource, SPAN("status")) ? "spec" : "status";
    return (struct typed_skip){root, revision};
}

/* Is an edited text what comes of the set that it was (of one that can be read)? */
static bool is_edit(struct managed *m, const struct managed_entry *e, const struct fieldset *less,
                    const struct fieldset *more, enum fieldset_edit edit, struct span text)
{
    struct managed_entry was = *e;
    struct fieldset_text t = {.a = m->a};
    const struct fieldset *set = managed_set(m, &was);
    set = fieldset_union(m->a, fieldset_difference(m->a, set, less), more);
    fieldset_put(&t, set);
    return !was.set || edit == FIELDSET_IN_DOUBT || (fieldset_is_empty(set) && text.n == 0) ||
           span_eq(span_of(t.p, t.n), text);
}

/* The entry's set without the members of `less` and with those of `more`. */
static void change(struct managed *m, struct managed_entry *e, const struct fieldset *less,
                   const struct fieldset *more)
{
    assert(e);
    struct span text = e->fields_text;
    if (text.n && !e->is_parsed) {
        enum fieldset_edit edit = fieldset_text_edit(m->a, &text, less, more);
        verify(is_edit(m, e, less, more, edit, text));
        if (edit == FIELDSET_OTHER) {
            e->fields_text = text;
            e->text = SPAN_NULL;
            e->is_dropped = text.n == 0;
        }
        if (edit != FIELDSET_IN_DOUBT) {
            return;
        }
    }
    const struct fieldset *was = e->is_dropped ? NULL : managed_set(m, e);
    if (more || fieldset_intersection(m->a, was, less)) {
        managed_put(m, e, fieldset_union(m->a, fieldset_difference(m->a, was, less), more));
    }
}

int managed_lose(struct managed *m, size_t self)
{
    for (size_t i = 0; i < m->n; i++) {
        struct managed_entry *e = &m->at[i];
        if (i == self || e->is_dropped) {
            continue;
        }
        const struct managed_side *side = managed_side(m, e);
        if (!side) {
            return -1;
        }
        change(m, e, side->gone, NULL);
    }
    return 0;
}

/* ---- at most ten updaters ---- */

static int cmp_updater(const void *x, const void *y)
{
    return managed_cmp_age(*(struct managed_entry *const *)x, *(struct managed_entry *const *)y);
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
    sort_few(old, n, sizeof *old, cmp_updater);
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

/* ---- updates ---- */

static bool has_others(const struct managed *m)
{
    for (size_t i = 0; i < m->n; i++) {
        if (!managed_is_own(m, &m->at[i])) {
            return true;
        }
    }
    return false;
}

int managed_track(struct managed *m, const yyjson_val *live, const yyjson_val *next)
{
    assert(next);
    const struct schema_kind *kind = m->write->kind;
    bool others = has_others(m);
    if (kind->custom &&
        (managed_check(m, kind, next, true) || (live && managed_check(m, kind, live, true)))) {
        return err_wrap(m->a, &m->err, "failed to convert new object %.*s to smd typed",
                        SPAN_ARG(managed_title(m, next)));
    }
    if ((kind->custom || others) && managed_settle(m, live)) {
        return -1;
    }
    struct typed_diff d =
        typed_compare(m->a, kind, live, next, managed_skip(m->write, m->no_revision));
    if (!d.taken && !d.removed && !others && !m->no_revision) {
        return 0;
    }
    managed_change(m, live, next, &d);
    const struct fieldset *taken = managed_strip(m, d.taken);
    struct managed_entry *own = taken ? managed_own(m, false) : NULL;
    if (managed_lose(m, own ? (size_t)(own - m->at) : SIZE_MAX)) {
        return -1;
    }
    if (own) {
        change(m, own, taken == d.taken ? d.removed : m->own.gone, taken);
        managed_touch(m, own);
    }
    cap_updaters(m);
    return 0;
}

/* [{}] or []: the client wants them gone. */
static bool is_reset(const yyjson_val *given)
{
    return json_len(given) == 0 ||
           (json_len(given) == 1 && json_len(json_iter_begin(given).val) == 0 &&
            yyjson_is_obj(json_iter_begin(given).val));
}

static struct span updated(struct arena *a, const struct managed_write *w, const yyjson_val *live,
                           const yyjson_val *next, const yyjson_val *given)
{
    const yyjson_val *were = json_path(live, "metadata", "managedFields", NULL);
    struct managed m = {.a = a, .write = w};
    bool has_given = w->subresource.n == 0 && given && !json_equal(given, json_whole(a, were));
    if (has_given && is_reset(given) && live) {
        return SPAN_NULL;
    }
    if (!has_given || managed_decode_given(&m, given)) {
        if (managed_decode(&m, were) && managed_decode(&m, NULL)) {
            return SPAN_NULL;
        }
    }
    /* Nobody is given it, but a client can have claimed it; then it leaves its entry now. */
    m.no_revision = !has_given && m.n && !m.names_revision;
    if (m.n == 0 && live) {
        return SPAN_NULL; /* not tracked before the first apply */
    }
    return managed_track(&m, live, next) ? SPAN_NULL : managed_encode(&m);
}

yyjson_mut_val *managed_update(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w,
                               const yyjson_val *live, const yyjson_val *next,
                               const yyjson_val *given)
{
    assert(w->kind);
    assert(next);
    struct span list = updated(a, w, live, next, given);
    return list.n ? json_new_raw(doc, list) : NULL;
}

/* ---- names ---- */

struct span managed_agent(struct arena *a, struct span user_agent)
{
    assert(a);
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
