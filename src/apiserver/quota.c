/* Invariants:
 * - a ledger exists while its namespace has a quota; its accounts are made of the stored specs;
 * - an account's `used` is the sum over the stored objects up to ledger->rev, its `pledged` the sum
 *   over the claims of the ledger;
 * - a claim is in the ledger of its namespace until it is given up, or the hub has come to its
 *   revision. */
#include "apiserver/quota.h"

#include "apiserver/admission.h"
#include "apiserver/quota_priv.h"
#include "base/check.h"
#include "base/mem.h"
#include "codec/json.h"
#include "schema/kinds.h"

static struct span resource_quotas(void)
{
    return span_cstr(SCHEMA_KIND(ResourceQuota)->resource);
}

/* ---- ledgers ---- */

static void tallies_free(struct quota_ledger *l)
{
    for (size_t i = 0; i < l->tallies.n; i++) {
        watcher_free(l->tallies.at[i]->watcher);
        free(l->tallies.at[i]);
    }
    VEC_DONE(&l->tallies);
}

static void entries_free(struct quota_ledger *l)
{
    for (size_t i = 0; i < l->entries.n; i++) {
        object_unref(l->entries.at[i].object);
    }
    VEC_DONE(&l->entries);
    arena_free(TAKE_PTR(l->arena));
}

/* The claims stay without a ledger: whoever holds them gives them up. */
static void ledger_free(struct quota_ledger *l)
{
    struct list *link;
    while ((link = list_pop_front(&l->claims)) != NULL) {
        CONTAINER_OF(link, struct quota_claim, link)->ledger = NULL;
    }
    list_remove(&l->due_link);
    tallies_free(l);
    entries_free(l);
    free(l);
}

static void count(struct quota_ledger *l, struct arena *a, struct span resource,
                  const yyjson_val *before, const yyjson_val *now)
{
    struct quota_object was = quota_object(a, resource, before),
                        is = quota_object(a, resource, now);
    for (size_t i = 0; i < l->entries.n; i++) {
        struct quota_entry *e = &l->entries.at[i];
        if (quota_count(&e->account, &was, &is)) {
            e->is_due = true;
        }
    }
}

static void pledge(struct quota_claim *c, int sign)
{
    struct arena *a cleanup_arena = arena_new();
    struct quota_ledger *l = c->ledger;
    struct object_glance glance = object_glance_begin(c->old);
    struct quota_object was = quota_object(a, c->resource, c->old ? object_root(c->old) : NULL);
    struct quota_object is = quota_object(a, c->resource, c->obj);
    for (size_t i = 0; i < l->entries.n; i++) {
        quota_pledge(&l->entries.at[i].account, &was, &is, sign);
    }
    object_glance_end(&glance);
}

static void claim_drop(struct quota_claim *c)
{
    if (c->ledger) {
        pledge(c, -1);
        list_remove(&c->link);
        c->ledger = NULL;
    }
}

/* Those that the hub shows by now. */
static void drop_shown(struct quota_ledger *l, int64_t rev)
{
    LIST_EACH(link, &l->claims)
    {
        struct quota_claim *c = CONTAINER_OF(link, struct quota_claim, link);
        if (c->rev > rev) {
            break; /* they are in the order of their revisions */
        }
        claim_drop(c);
    }
}

struct scan {
    struct quota_ledger *ledger;
    struct arena *arena;
    struct span resource;
};

static bool on_object(void *data, struct object *o)
{
    struct scan *x = data;
    struct object_glance glance = object_glance_begin(o);
    count(x->ledger, x->arena, x->resource, NULL, object_root(o));
    object_glance_end(&glance);
    arena_clear(x->arena);
    return true;
}

static void on_more(void *data)
{
    struct quota_tally *t = data;
    quotas_catch_up(t->ledger);
}

/* Counts what there is of one resource, and follows it from there. */
static void tally_start(struct quota_ledger *l, struct span resource)
{
    for (size_t i = 0; i < l->tallies.n; i++) {
        if (span_eq(l->tallies.at[i]->resource, resource)) {
            return;
        }
    }
    struct watch_hub *hub = l->quotas->server->hub;
    struct watch_filter filter = {.resource = resource, .ns = ledger_ns(l)};
    struct scan scan = {.ledger = l, .arena = arena_new(), .resource = resource};
    struct quota_tally *t = MEM_NEW(struct quota_tally);
    struct watch_event event;
    *t = (struct quota_tally){.ledger = l, .resource = resource};
    t->watcher = watcher_new(hub, &filter, watch_hub_rev(hub), on_more, t);
    assert(t->watcher);
    VEC_PUSH(&l->tallies, t);
    (void)watch_hub_list(hub, &filter, SPAN_NULL, on_object, &scan);
    while (watcher_next(t->watcher, &event) == 1) {
    }
    arena_free(scan.arena);
}

static bool on_quota(void *data, struct object *o)
{
    struct quota_ledger *l = data;
    VEC_PUSH(&l->entries, ((struct quota_entry){.account = quota_account(l->arena, object_root(o)),
                                                .object = object_ref(o),
                                                .is_due = true}));
    return true;
}

/* All of it anew, from what is stored. */
static void ledger_build(struct quota_ledger *l)
{
    struct watch_hub *hub = l->quotas->server->hub;
    struct watch_filter filter = {.resource = resource_quotas(), .ns = ledger_ns(l)};
    tallies_free(l);
    drop_shown(l, watch_hub_rev(hub));
    entries_free(l);
    l->arena = arena_new();
    (void)watch_hub_list(hub, &filter, SPAN_NULL, on_quota, l);
    for (size_t i = 0; i < l->entries.n; i++) {
        const struct quota_account *q = &l->entries.at[i].account;
        for (size_t k = 0; k < q->n; k++) {
            if (q->lines[k].resource.n > 0) {
                tally_start(l, q->lines[k].resource);
            }
        }
    }
    LIST_EACH(link, &l->claims)
    {
        pledge(CONTAINER_OF(link, struct quota_claim, link), 1);
    }
    l->is_stale = false;
}

/* ---- what changes ---- */

/* E_LIMIT, or a change whose past is not known: everything is counted anew. */
static bool tally_catch_up(struct quota_tally *t)
{
    struct watch_event e;
    int rc;
    struct arena *a cleanup_arena = arena_new();
    while ((rc = watcher_next(t->watcher, &e)) == 1) {
        struct object *was = e.type == WATCH_ADDED ? NULL : e.previous;
        if (!was && e.type != WATCH_ADDED) {
            return false;
        }
        struct object *is = e.type == WATCH_DELETED ? NULL : e.object;
        struct object_glance before = object_glance_begin(was), now = object_glance_begin(is);
        count(t->ledger, a, t->resource, was ? object_root(was) : NULL,
              is ? object_root(is) : NULL);
        object_glance_end(&now);
        object_glance_end(&before);
        arena_clear(a);
    }
    return rc == 0;
}

static bool same_spec(struct object *x, struct object *y)
{
    return json_equal(json_get(object_root(x), "spec"), json_get(object_root(y), "spec"));
}

struct quota_entry *quotas_entry(struct quota_ledger *l, struct span name)
{
    for (size_t i = 0; l && i < l->entries.n; i++) {
        if (span_eq(l->entries.at[i].account.name, name)) {
            return &l->entries.at[i];
        }
    }
    return NULL;
}

static void ledger_stale(struct quota_ledger *l)
{
    l->is_stale = true;
    quotas_status_due(l);
}

static void ledger_need(struct quotas *q, struct span ns)
{
    struct quota_ledger *l = map_get(&q->ledgers, ns);
    if (!l) {
        l = mem_new(sizeof *l + ns.n);
        l->quotas = q;
        l->ns_n = ns.n;
        memcpy(l->ns, ns.p, ns.n);
        list_init(&l->claims);
        list_init(&l->due_link);
        (void)map_put(&q->ledgers, ledger_ns(l), l);
    }
    ledger_stale(l);
}

/* A quota has come, changed or gone. A new status alone changes no account; it may be one that
 * somebody else wrote. */
static void on_change(struct quotas *q, const struct watch_event *e)
{
    struct quota_entry *known =
        quotas_entry(map_get(&q->ledgers, object_namespace(e->object)), object_name(e->object));
    if (known && e->type != WATCH_DELETED && same_spec(known->object, e->object) &&
        span_eq(object_uid(known->object), object_uid(e->object))) {
        known->is_due = true;
        quotas_status_due(map_get(&q->ledgers, object_namespace(e->object)));
    } else {
        ledger_need(q, object_namespace(e->object));
    }
}

static bool on_existing(void *data, struct object *o)
{
    ledger_need(data, object_namespace(o));
    return true;
}

static void on_quotas(void *data);

static void follow_quotas(struct quotas *q)
{
    struct watch_hub *hub = q->server->hub;
    struct watch_filter filter = {.resource = resource_quotas()};
    struct watch_event event;
    struct quota_ledger *l;
    size_t it = 0;
    watcher_free(q->watcher);
    q->watcher = watcher_new(hub, &filter, watch_hub_rev(hub), on_quotas, q);
    assert(q->watcher);
    while ((l = map_next(&q->ledgers, &it, NULL))) {
        ledger_stale(l);
    }
    (void)watch_hub_list(hub, &filter, SPAN_NULL, on_existing, q);
    while (watcher_next(q->watcher, &event) == 1) {
    }
}

/* The quotas themselves, up to now: which ledgers there are, and of what. */
static void quotas_catch_up_all(struct quotas *q)
{
    struct watch_event e;
    int rc;
    while ((rc = watcher_next(q->watcher, &e)) == 1) {
        on_change(q, &e);
    }
    if (rc != 0) {
        follow_quotas(q);
    }
}

static void on_quotas(void *data)
{
    quotas_catch_up_all(data);
}

/* The ledger of a namespace, up to now; NULL: it has no quota. */
struct quota_ledger *quotas_ledger(struct quotas *q, struct span ns)
{
    quotas_catch_up_all(q);
    struct quota_ledger *l = q->ledgers.n ? map_get(&q->ledgers, ns) : NULL;
    if (l) {
        quotas_catch_up(l);
        l = map_get(&q->ledgers, ns); /* its last quota may be gone */
    }
    return l;
}

void quotas_catch_up(struct quota_ledger *l)
{
    struct quotas *q = l->quotas;
    for (size_t i = 0; i < l->tallies.n && !l->is_stale; i++) {
        l->is_stale = !tally_catch_up(l->tallies.at[i]);
    }
    if (l->is_stale) {
        ledger_build(l);
    }
    drop_shown(l, watch_hub_rev(q->server->hub));
    if (l->entries.n == 0) {
        struct quota_ledger *known = map_remove(&q->ledgers, ledger_ns(l));
        assert(known == l);
        ledger_free(l);
        return;
    }
    for (size_t i = 0; i < l->entries.n; i++) {
        if (l->entries.at[i].is_due) {
            quotas_status_due(l);
            break;
        }
    }
}

/* ---- writes ---- */

/* Only where a write may use more; the rest changes what is used by itself. */
static bool is_measured(const struct api_op *op, const yyjson_val *old)
{
    if (!op->kind->namespaced || op->kind == SCHEMA_KIND(Event)) {
        return false;
    }
    return !old || (op->kind == SCHEMA_KIND(Pod) && api_sub_is(op, "resize")) ||
           (!op->sub &&
            (op->kind == SCHEMA_KIND(Service) || op->kind == SCHEMA_KIND(PersistentVolumeClaim)));
}

static struct span refusal(struct api_op *op, struct quota_ledger *l,
                           const struct quota_object *before, const struct quota_object *now)
{
    struct quota_account *all = ARENA_ARRAY(op->arena, struct quota_account, l->entries.n);
    for (size_t i = 0; i < l->entries.n; i++) {
        all[i] = l->entries.at[i].account;
    }
    return quota_refusal(op->arena, all, l->entries.n, before, now);
}

int quotas_admit(struct api_op *op, const yyjson_val *obj, const yyjson_val *old)
{
    assert(obj);
    assert(!op->quota_claim);
    struct quotas *q = op->server->quotas;
    struct quota_ledger *l = q && is_measured(op, old) ? quotas_ledger(q, op->ns) : NULL;
    if (!l) {
        return 0;
    }
    struct span resource = span_cstr(op->kind->resource);
    struct quota_object before = quota_object(op->arena, resource, old);
    struct quota_object now = quota_object(op->arena, resource, obj);
    struct span why = refusal(op, l, &before, &now);
    if (why.n) {
        return admission_forbid(op, obj, why);
    }
    if (!op->options.dry_run) {
        struct object *current = old ? store_peek(op->server->store, op->key) : NULL;
        struct quota_claim *c = MEM_NEW(struct quota_claim);
        *c = (struct quota_claim){.ledger = l,
                                  .resource = resource,
                                  .obj = obj,
                                  .old = current ? object_ref(current) : NULL,
                                  .rev = INT64_MAX};
        list_init(&c->link);
        list_push_back(&l->claims, &c->link);
        pledge(c, 1);
        op->quota_claim = c;
    }
    return 0;
}

void quotas_submitted(struct api_op *op)
{
    if (op->quota_claim) {
        op->quota_claim->rev = store_latest_rev(op->server->store);
    }
}

void quotas_release(struct api_op *op)
{
    struct quota_claim *c = TAKE_PTR(op->quota_claim);
    if (c) {
        claim_drop(c);
        object_unref(c->old);
        free(c);
    }
}

/* ---- life ---- */

struct quotas *quotas_new(struct apiserver *s)
{
    assert(s->hub);
    struct quotas *q = MEM_NEW(struct quotas);
    q->server = s;
    list_init(&q->due_ledgers);
    follow_quotas(q);
    return q;
}

void quotas_free(struct quotas *q)
{
    if (!q) {
        return;
    }
    size_t it = 0;
    struct quota_ledger *l;
    env_post_cancel(q->server->env, &q->due);
    env_timer_stop(q->server->env, &q->retry);
    watcher_free(q->watcher);
    while ((l = map_next(&q->ledgers, &it, NULL))) {
        ledger_free(l);
    }
    map_done(&q->ledgers);
    free(q);
}
