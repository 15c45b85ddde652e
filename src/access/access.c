/* access/access.c: see access.h. */
#include "access/access.h"

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/json.h"

struct subject {
    struct span kind, name, ns; /* as written; ns empty: that of the binding */
    struct span key;            /* under which its bindings are found */
};

/* One object. Lives in its own arena. */
struct entry {
    struct arena *arena;
    struct span key; /* of the object */
    struct span ns, name;
    struct access_rules rules; /* of roles */
    struct span ref_kind, ref_name;
    struct subject *subjects; /* of bindings */
    size_t subject_count;
};

struct holder {
    size_t key_n;
    VEC(const struct entry *) bindings; /* by name */
    char key[];
};

struct access {
    struct map entries; /* key -> struct entry */
    struct map holders; /* key of a subject -> struct holder */
};

static bool is_binding(enum access_kind kind)
{
    return kind == ACCESS_ROLE_BINDING || kind == ACCESS_CLUSTER_ROLE_BINDING;
}

/* ---- keys ---- */

static void put_key(struct strbuf *out, enum access_kind kind, struct span ns, struct span name)
{
    assert(kind < ACCESS_KINDS);
    strbuf_clear(out);
    strbuf_putc(out, (char)('0' + kind));
    strbuf_put(out, ns);
    strbuf_putc(out, '/');
    strbuf_put(out, name);
}

/* No namespace has a slash in its name. */
static void put_holder_key(struct strbuf *out, struct span scope, bool group, struct span name)
{
    strbuf_clear(out);
    strbuf_put(out, scope);
    strbuf_puts(out, group ? "/g" : "/u");
    strbuf_put(out, name);
}

static struct span subject_key(struct arena *a, const struct entry *e, const struct subject *s)
{
    struct strbuf key cleanup_strbuf = STRBUF_INIT;
    if (span_eq(s->kind, SPAN("ServiceAccount"))) {
        struct span ns = s->ns.n ? s->ns : e->ns;
        if (ns.n == 0) {
            return SPAN_NULL;
        }
        struct span user =
            arena_printf(a, "system:serviceaccount:%.*s:%.*s", SPAN_ARG(ns), SPAN_ARG(s->name));
        put_holder_key(&key, e->ns, false, user);
    } else if (span_eq(s->kind, SPAN("User")) || span_eq(s->kind, SPAN("Group"))) {
        put_holder_key(&key, e->ns, span_eq(s->kind, SPAN("Group")), s->name);
    }
    return arena_dup(a, strbuf_span(&key));
}

/* ---- the index ---- */

/* Where the binding stands, or would. */
static size_t place_of(const struct holder *h, const struct entry *binding, bool *ret_found)
{
    size_t low = 0, high = h->bindings.n;
    *ret_found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = span_cmp(h->bindings.at[mid]->name, binding->name);
        if (c == 0) {
            *ret_found = true;
            return mid;
        }
        low = c < 0 ? mid + 1 : low;
        high = c < 0 ? high : mid;
    }
    return low;
}

static void hold(struct access *x, const struct entry *binding, struct span key)
{
    struct holder *h = map_get(&x->holders, key);
    bool found;
    if (!h) {
        h = mem_new(sizeof *h + key.n);
        h->key_n = key.n;
        memcpy(h->key, key.p, key.n);
        (void)map_put(&x->holders, span_of(h->key, h->key_n), h);
    }
    size_t at = place_of(h, binding, &found);
    if (found) { /* named twice in one binding */
        assert(h->bindings.at[at] == binding);
        return;
    }
    VEC_RESERVE(&h->bindings, h->bindings.n + 1);
    memmove(&h->bindings.at[at + 1], &h->bindings.at[at],
            (h->bindings.n - at) * sizeof *h->bindings.at);
    h->bindings.at[at] = binding;
    h->bindings.n++;
}

static void let_go(struct access *x, const struct entry *binding, struct span key)
{
    struct holder *h = map_get(&x->holders, key);
    bool found = false;
    size_t at = h ? place_of(h, binding, &found) : 0;
    if (!found) {
        return; /* named twice, and gone the first time */
    }
    assert(h->bindings.at[at] == binding);
    VEC_REMOVE(&h->bindings, at);
    if (h->bindings.n == 0) {
        (void)map_remove(&x->holders, key);
        VEC_DONE(&h->bindings);
        free(h);
    }
}

static void entry_free(void *data)
{
    struct entry *e = data;
    if (e) {
        arena_free(e->arena); /* e lives in it */
    }
}

static void remove_key(struct access *x, struct span key)
{
    struct entry *e = map_remove(&x->entries, key);
    for (size_t i = 0; e && i < e->subject_count; i++) {
        if (e->subjects[i].key.n) {
            let_go(x, e, e->subjects[i].key);
        }
    }
    entry_free(e);
}

static void read_binding(struct entry *e, const yyjson_val *obj)
{
    const yyjson_val *ref = json_get(obj, "roleRef"), *subjects = json_get(obj, "subjects");
    struct arena *a = e->arena;
    e->ref_kind = arena_dup(a, json_get_str(ref, "kind"));
    e->ref_name = arena_dup(a, json_get_str(ref, "name"));
    e->subjects = ARENA_ARRAY(a, struct subject, json_len(subjects) + 1);
    JSON_EACH(it, subjects)
    {
        struct subject *s = &e->subjects[e->subject_count++];
        s->kind = arena_dup(a, json_get_str(it.val, "kind"));
        s->name = arena_dup(a, json_get_str(it.val, "name"));
        s->ns = arena_dup(a, json_get_str(it.val, "namespace"));
        s->key = subject_key(a, e, s);
    }
}

void access_put(struct access *x, enum access_kind kind, struct span ns, struct span name,
                const yyjson_val *obj)
{
    assert(x);
    assert(kind < ACCESS_KINDS);
    assert(name.n);
    struct strbuf key cleanup_strbuf = STRBUF_INIT;
    struct arena *a = arena_new_small();
    struct entry *e = ARENA_NEW(a, struct entry);
    put_key(&key, kind, ns, name);
    remove_key(x, strbuf_span(&key));
    *e = (struct entry){.arena = a,
                        .key = arena_dup(a, strbuf_span(&key)),
                        .ns = arena_dup(a, ns),
                        .name = arena_dup(a, name)};
    if (is_binding(kind)) {
        read_binding(e, obj);
    } else {
        e->rules = access_rules_read(a, json_get(obj, "rules"));
    }
    (void)map_put(&x->entries, e->key, e);
    for (size_t i = 0; i < e->subject_count; i++) {
        if (e->subjects[i].key.n) {
            hold(x, e, e->subjects[i].key);
        }
    }
}

void access_drop(struct access *x, enum access_kind kind, struct span ns, struct span name)
{
    struct strbuf key cleanup_strbuf = STRBUF_INIT;
    put_key(&key, kind, ns, name);
    remove_key(x, strbuf_span(&key));
    assert(!map_get(&x->entries, strbuf_span(&key)));
}

size_t access_count(const struct access *x)
{
    return x->entries.n;
}

struct access *access_new(void)
{
    return MEM_NEW(struct access);
}

void access_free(struct access *x)
{
    if (!x) {
        return;
    }
    size_t it = 0;
    struct holder *h;
    while ((h = map_next(&x->holders, &it, NULL))) {
        VEC_DONE(&h->bindings);
    }
    map_done_values(&x->holders, free);
    map_done_values(&x->entries, entry_free);
    free(x);
}

/* ---- the decision ---- */

bool access_role_rules(const struct access *x, struct span ref_kind, struct span ref_name,
                       struct span ns, struct access_rules *ret)
{
    struct strbuf key cleanup_strbuf = STRBUF_INIT;
    bool cluster = span_eq(ref_kind, SPAN("ClusterRole"));
    put_key(&key, cluster ? ACCESS_CLUSTER_ROLE : ACCESS_ROLE, cluster ? SPAN_NULL : ns, ref_name);
    const struct entry *e = map_get(&x->entries, strbuf_span(&key));
    *ret = e ? e->rules : (struct access_rules){0};
    return e != NULL;
}

struct span access_no_role(struct arena *a, struct span ref_kind, struct span ref_name)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&out, span_eq(ref_kind, SPAN("ClusterRole")) ? "clusterrole" : "role");
    strbuf_puts(&out, ".rbac.authorization.k8s.io ");
    strbuf_put_quoted(&out, ref_name);
    strbuf_puts(&out, " not found");
    return arena_dup(a, strbuf_span(&out));
}

/* A walk over what belongs to a user. */
struct walk {
    const struct access *x;
    struct arena *arena;
    const struct access_user *user;
    struct span ns;
    struct map faults; /* each sentence once */
    VEC(struct span) fault_list;
    /* Looks at the rules of one binding; true ends the walk. */
    bool (*see)(struct walk *w, const struct entry *binding, const struct access_rules *rules);
    const struct access_request *request;
    const struct entry *allowed_by;
    VEC(struct access_rule) rules;
};

static bool walk_binding(struct walk *w, const struct entry *binding)
{
    struct access_rules rules;
    if (access_role_rules(w->x, binding->ref_kind, binding->ref_name, binding->ns, &rules)) {
        return w->see(w, binding, &rules);
    }
    struct span fault = access_no_role(w->arena, binding->ref_kind, binding->ref_name);
    if (!map_get(&w->faults, fault)) {
        (void)map_put(&w->faults, fault, w);
        VEC_PUSH(&w->fault_list, fault);
    }
    return false;
}

static bool walk_holder(struct walk *w, struct span key)
{
    const struct holder *h = map_get(&w->x->holders, key);
    for (size_t i = 0; h && i < h->bindings.n; i++) {
        if (walk_binding(w, h->bindings.at[i])) {
            return true;
        }
    }
    return false;
}

static bool walk_scope(struct walk *w, struct span scope)
{
    struct strbuf key cleanup_strbuf = STRBUF_INIT;
    put_holder_key(&key, scope, false, w->user->name);
    if (walk_holder(w, strbuf_span(&key))) {
        return true;
    }
    for (size_t i = 0; i < w->user->groups.n; i++) {
        put_holder_key(&key, scope, true, w->user->groups.at[i]);
        if (walk_holder(w, strbuf_span(&key))) {
            return true;
        }
    }
    return false;
}

static bool walk(struct walk *w)
{
    assert(w->see);
    assert(w->user);
    return walk_scope(w, SPAN_NULL) || (w->ns.n && walk_scope(w, w->ns));
}

/* `a`, or `[a, b]`; empty when nothing went wrong. Ends the walk's own memory. */
static struct span walk_end(struct walk *w)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&out, w->fault_list.n > 1 ? "[" : "");
    for (size_t i = 0; i < w->fault_list.n; i++) {
        strbuf_puts(&out, i ? ", " : "");
        strbuf_put(&out, w->fault_list.at[i]);
    }
    strbuf_puts(&out, w->fault_list.n > 1 ? "]" : "");
    map_done(&w->faults);
    VEC_DONE(&w->fault_list);
    return arena_dup(w->arena, strbuf_span(&out));
}

/* The first subject of the binding that the user is. */
static const struct subject *subject_of(const struct entry *binding, const struct access_user *user)
{
    struct strbuf key cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < binding->subject_count; i++) {
        const struct subject *s = &binding->subjects[i];
        bool group = span_eq(s->kind, SPAN("Group"));
        put_holder_key(&key, binding->ns, false, user->name);
        if (group ? access_list_has(user->groups, s->name) : span_eq(s->key, strbuf_span(&key))) {
            return s;
        }
    }
    return NULL;
}

/* `RBAC: allowed by RoleBinding "x/default" of Role "y" to User "jane"` */
static struct span reason(struct arena *a, const struct entry *binding,
                          const struct access_user *user)
{
    const struct subject *s = subject_of(binding, user);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    assert(s);
    struct span ns = s->ns.n ? s->ns : binding->ns, name = binding->name, who = s->name;
    if (binding->ns.n) {
        name = arena_printf(a, "%.*s/%.*s", SPAN_ARG(name), SPAN_ARG(binding->ns));
    }
    if (span_eq(s->kind, SPAN("ServiceAccount"))) {
        who = arena_printf(a, "%.*s/%.*s", SPAN_ARG(who), SPAN_ARG(ns));
    }
    strbuf_printf(&out, "RBAC: allowed by %sRoleBinding ", binding->ns.n ? "" : "Cluster");
    strbuf_put_quoted(&out, name);
    strbuf_printf(&out, " of %.*s ", SPAN_ARG(binding->ref_kind));
    strbuf_put_quoted(&out, binding->ref_name);
    strbuf_printf(&out, " to %.*s ", SPAN_ARG(s->kind));
    strbuf_put_quoted(&out, who);
    return arena_dup(a, strbuf_span(&out));
}

static bool see_request(struct walk *w, const struct entry *binding,
                        const struct access_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        if (access_rule_allows(&rules->at[i], w->request)) {
            w->allowed_by = binding;
            return true;
        }
    }
    return false;
}

bool access_decide(const struct access *x, struct arena *a, const struct access_request *r,
                   struct span *ret_reason)
{
    assert(x);
    assert(a);
    assert(r);
    assert(ret_reason);
    struct walk w = {
        .x = x, .arena = a, .user = &r->user, .ns = r->ns, .see = see_request, .request = r};
    bool allowed = walk(&w);
    struct span fault = walk_end(&w);
    assert(allowed == (w.allowed_by != NULL));
    if (allowed) {
        *ret_reason = reason(a, w.allowed_by, &r->user);
    } else {
        *ret_reason = fault.n ? arena_printf(a, "RBAC: %.*s", SPAN_ARG(fault)) : fault;
    }
    return allowed;
}

/* A binding that is found under several subjects counts once. */
static bool see_all(struct walk *w, const struct entry *binding, const struct access_rules *rules)
{
    struct span mark = arena_printf(w->arena, "binding %.*s", SPAN_ARG(binding->key));
    if (map_put(&w->faults, mark, w)) {
        return false;
    }
    for (size_t i = 0; i < rules->n; i++) {
        VEC_PUSH(&w->rules, rules->at[i]);
    }
    return false;
}

struct access_rules access_rules_of(const struct access *x, struct arena *a,
                                    const struct access_user *user, struct span ns,
                                    struct span *ret_fault)
{
    assert(x);
    assert(user);
    assert(ret_fault);
    struct walk w = {.x = x, .arena = a, .user = user, .ns = ns, .see = see_all};
    (void)walk(&w);
    *ret_fault = walk_end(&w);
    struct access_rule *at = ARENA_ARRAY(a, struct access_rule, w.rules.n + 1);
    struct access_rules out = {at, w.rules.n};
    if (w.rules.n) {
        memcpy(at, w.rules.at, w.rules.n * sizeof *at);
    }
    VEC_DONE(&w.rules);
    return out;
}
