/* controller/owned.c: see owned.h. */
#include "controller/owned.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "schema/kinds.h"

/* ---- indexes ---- */

struct span owned_orphan_key(struct arena *a, struct span ns)
{
    assert(a);
    return ARENA_JOIN(a, SPAN("orphan/"), ns);
}

void owned_by_controller(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    struct span uid = client_controller_uid(o);
    if (uid.n) {
        emit(ctx, uid);
        return;
    }
    struct strbuf key cleanup_strbuf = STRBUF_INIT;
    strbuf_put(&key, SPAN("orphan/"));
    strbuf_put(&key, object_namespace(o));
    emit(ctx, strbuf_span(&key));
}

/* ---- whose turn ---- */

struct span owned_controller_name(const struct schema_kind *kind, struct object *o)
{
    assert(kind);
    assert(o);
    struct span of = client_controller_kind(o);
    if (!of.n || !span_eq_cstr(of, kind->kind)) {
        return SPAN_NULL;
    }
    struct span version = object_controller_part(o, OBJECT_OWNER_VERSION);
    size_t slash = span_find(version, '/');
    struct span group = slash < version.n ? span_first(version, slash) : SPAN_NULL;
    return span_eq_cstr(group, kind->group) ? object_controller_part(o, OBJECT_OWNER_NAME)
                                            : SPAN_NULL;
}

/* Of a replication controller it is a map of labels. */
static int selector_of(struct arena *a, const struct schema_kind *kind, const yyjson_val *spec,
                       struct selector *ret, struct err *err)
{
    const yyjson_val *selector = json_get(spec, "selector");
    return kind == SCHEMA_KIND(ReplicationController) ? selector_from_map(a, selector, ret, err)
                                                      : selector_from_object(a, selector, ret, err);
}

struct orphan_search {
    struct owners *owners;
    struct object *orphan;
};

static bool add_if_selects(void *data, struct object *owner)
{
    struct orphan_search *x = data;
    cleanup_arena struct arena *a = arena_new();
    struct selector selector;
    struct err err;
    yyjson_val *labels = client_labels(x->orphan);
    if (selector_of(a, x->owners->kind, client_spec(owner), &selector, &err) == 0 &&
        selector_matches(&selector, labels)) {
        if (x->owners->on_orphan) {
            x->owners->on_orphan(x->owners->data, owner);
        }
        reconciler_add_object(x->owners->reconciler, owner);
    }
    return true;
}

/* Still without an owner and with the same labels: whoever would take it has had its turn. */
static bool is_known_orphan(struct object *old, struct object *now)
{
    if (!old || object_has_controller(old)) {
        return false;
    }
    yyjson_val *was = client_labels(old);
    yyjson_val *is = client_labels(now);
    return json_len(was) == json_len(is) && (json_len(is) == 0 || json_equal(was, is));
}

static bool has_same_controller(struct object *a, struct object *b)
{
    struct span uid = client_controller_uid(a);
    return uid.n > 0 && span_eq(uid, client_controller_uid(b));
}

void owned_changed(struct owners *w, struct object *old, struct object *now)
{
    assert(old || now);
    assert(!old || !now || span_eq(object_name(old), object_name(now)));
    struct span was = old ? owned_controller_name(w->kind, old) : SPAN_NULL;
    struct span is = now ? owned_controller_name(w->kind, now) : SPAN_NULL;
    if (was.n && !(now && has_same_controller(old, now))) {
        reconciler_add(w->reconciler, object_namespace(old), was);
    }
    if (now) {
        if (is.n) {
            reconciler_add(w->reconciler, object_namespace(now), is);
        }
        if (!object_has_controller(now) && !is_known_orphan(old, now)) {
            struct orphan_search x = {w, now};
            informer_index_each(w->informer, w->by_ns, object_namespace(now), add_if_selects, &x);
        }
    }
}

/* ---- one sync ---- */

bool owned_begin(struct owned_sync *x, struct sync *s, const struct owners *owners)
{
    assert(owners->informer);
    assert(owners->kind);
    struct object *o = informer_get(owners->informer, s->ns, s->name);
    if (!o) {
        return false;
    }
    object_hold(s->arena, o);
    *x = (struct owned_sync){.s = s,
                             .a = s->arena,
                             .kind = owners->kind,
                             .informer = owners->informer,
                             .owner = o,
                             .events = owners->events};
    x->spec = client_spec(o);
    x->status = client_status(o);
    x->name = object_name(o);
    x->ns = object_namespace(o);
    x->uid = object_uid(o);
    assert(span_eq(x->name, s->name));
    assert(x->uid.n > 0); /* the view is keyed by it */
    struct err err;
    if (selector_of(x->a, x->kind, x->spec, &x->selector, &err) < 0) {
        log_event(LOG_WARN, "owner_bad_selector", LOG_C("kind", x->kind->kind),
                  LOG_S("name", x->name), LOG_S("error", err.message));
        return false;
    }
    return true;
}

struct candidates {
    struct owned_sync *x;
    VEC(struct object *) adopt, release, keep;
};

static bool selects(struct owned_sync *x, struct object *o)
{
    return selector_matches(&x->selector, client_labels(o));
}

static bool see_owned(void *data, struct object *o)
{
    struct candidates *k = data;
    if (selects(k->x, o)) {
        VEC_PUSH(&k->keep, o);
    } else if (!object_is_deleting(k->x->owner) && !object_is_deleting(o)) {
        VEC_PUSH(&k->release, o);
    }
    return true;
}

static bool see_orphan(void *data, struct object *o)
{
    struct candidates *k = data;
    if (selects(k->x, o) && !object_is_deleting(o)) {
        VEC_PUSH(&k->adopt, o);
    }
    return true;
}

static void patch_finalizer(struct client_body *b, const char *name, struct object *o, bool add)
{
    const yyjson_val *was = json_get(client_meta(o), "finalizers");
    yyjson_mut_val *list = client_without(b->doc, was, name);
    if (add) {
        yyjson_mut_arr_append(list, json_new_str(b->doc, span_cstr(name)));
    }
    json_put(b->doc, b->meta, "finalizers",
             yyjson_mut_arr_size(list) ? list : yyjson_mut_null(b->doc));
}

/* The other owners stay beside ours; ours is left out, and added when asked for. */
static void patch_owners(struct owned_sync *x, const struct owned_kind *k, struct object *o,
                         bool add)
{
    assert(x->uid.n > 0);
    assert(!(add && object_is_deleting(x->owner)));
    struct client_body b = client_patch_new(x->a, o);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    JSON_EACH(it, client_owners(o))
    {
        if (!span_eq(json_get_str(it.val, "uid"), x->uid)) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
        }
    }
    if (add) {
        yyjson_mut_arr_append(list, client_owner_new(b.doc, x->kind, x->name, x->uid, true));
    }
    client_body_owners(&b, list);
    if (k->finalizer) {
        patch_finalizer(&b, k->finalizer, o, add);
    }
    sync_patch(x->s, k->informer, o, &b, NULL, NULL);
}

struct adoption {
    struct owned_sync *x;
    const struct owned_kind *kind;
    struct owned_list orphans;
};

static bool on_owner_read(struct sync *s, void *data, const struct client_reply *reply)
{
    struct adoption *ad = data;
    assert(s == ad->x->s);
    assert(ad->orphans.n > 0);
    if (reply->err.reason == ERR_NOT_FOUND) {
        return true;
    }
    if (reply->err.reason != ERR_NONE || !reply->object ||
        !span_eq(object_uid(reply->object), ad->x->uid) || object_is_deleting(reply->object)) {
        return false; /* the view will say so too, and that event brings us back */
    }
    for (size_t i = 0; i < ad->orphans.n; i++) {
        patch_owners(ad->x, ad->kind, ad->orphans.at[i], true);
    }
    sync_again(s);
    return true;
}

static struct owned_list hold(struct arena *a, struct object **objects, size_t n)
{
    struct owned_list list = {ARENA_ARRAY(a, struct object *, n + 1), n};
    for (size_t i = 0; i < n; i++) {
        list.at[i] = object_hold(a, objects[i]);
    }
    return list;
}

void owned_release(struct owned_sync *x, const struct owned_kind *k, struct object *o)
{
    assert(x);
    assert(k);
    assert(o);
    patch_owners(x, k, o, false);
}

void owned_adopt(struct owned_sync *x, const struct owned_kind *k, struct object **orphans,
                 size_t n)
{
    assert(n > 0);
    assert(!object_is_deleting(x->owner));
    struct adoption *ad = ARENA_NEW(x->a, struct adoption);
    *ad = (struct adoption){x, k, hold(x->a, orphans, n)};
    struct client_request rq = client_request_for(CLIENT_GET, x->kind, x->owner);
    sync_do(x->s, &rq, NULL, on_owner_read, ad);
}

bool owned_claim(struct owned_sync *x, const struct owned_kind *kind, struct owned_list *ret)
{
    struct candidates k = {.x = x};
    informer_index_each(kind->informer, kind->by_controller, x->uid, see_owned, &k);
    if (!object_is_deleting(x->owner)) {
        informer_index_each(kind->informer, kind->by_controller, owned_orphan_key(x->a, x->ns),
                            see_orphan, &k);
    }
    bool wrote = k.release.n || k.adopt.n;
    assert(!wrote || !object_is_deleting(x->owner));
    for (size_t i = 0; i < k.release.n; i++) {
        owned_release(x, kind, k.release.at[i]);
    }
    if (k.release.n) {
        sync_again(x->s);
    }
    if (k.adopt.n) {
        owned_adopt(x, kind, k.adopt.at, k.adopt.n);
    }
    *ret = hold(x->a, k.keep.at, k.keep.n);
    VEC_DONE(&k.adopt);
    VEC_DONE(&k.release);
    VEC_DONE(&k.keep);
    return wrote;
}

struct gathering {
    VEC(struct object *) objects;
};

static bool gather(void *data, struct object *o)
{
    struct gathering *g = data;
    VEC_PUSH(&g->objects, o);
    return true;
}

struct owned_list owned_all(struct arena *a, const struct owned_kind *k, struct span owner_uid)
{
    assert(a);
    assert(owner_uid.n > 0);
    struct gathering g = {0};
    informer_index_each(k->informer, k->by_controller, owner_uid, gather, &g);
    struct owned_list list = hold(a, g.objects.at, g.objects.n);
    VEC_DONE(&g.objects);
    return list;
}

/* ---- status ---- */

int32_t owned_int32(const yyjson_val *obj, const char *key, int32_t otherwise)
{
    assert(key);
    int64_t v = json_get_int(obj, key, otherwise);
    return v < 0 ? 0 : v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

struct plan_amount owned_amount(const yyjson_val *v)
{
    struct span text = json_str(v);
    int64_t n = 0;
    if (span_ends(text, SPAN("%")) && span_to_i64(span_first(text, text.n - 1), &n)) {
        return (struct plan_amount){n, true};
    }
    return (struct plan_amount){json_int(v, 0), false};
}

struct owned_status owned_status_new(struct owned_sync *x)
{
    assert(x->owner);
    struct owned_status st = {.x = x, .body = client_patch_any(x->a, x->owner)};
    st.to = client_body_obj(&st.body, "status");
    yyjson_val *generation = json_get(client_meta(x->owner), "generation");
    owned_status_count(&st, "observedGeneration", json_int(generation, 0), false);
    return st;
}

void owned_status_count(struct owned_status *st, const char *key, int64_t value, bool always)
{
    assert(value >= 0);
    yyjson_val *was = json_get(st->x->status, key);
    if (value || always) {
        json_put_int(st->body.doc, st->to, key, value);
    } else {
        json_put(st->body.doc, st->to, key, yyjson_mut_null(st->body.doc));
    }
    st->changed |= json_int(was, always ? -1 : 0) != value;
}

void owned_status_write(struct owned_status *st, struct informer *seen_in)
{
    if (!st->changed) {
        return;
    }
    struct owned_sync *x = st->x;
    assert(x->owner);
    assert(seen_in);
    sync_patch_status(x->s, seen_in, x->owner, &st->body, NULL, NULL);
}
