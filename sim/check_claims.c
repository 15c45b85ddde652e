/* sim/check_claims.c: the ordinal keeps its claim; no claim and no volume goes unless that was
 * asked for. Looked at with every change. And what a set leaves behind that is deleted so is not
 * taken; none becomes smaller, or tells of room that it does not have. Checkers: claim, claim-kept,
 * claim-size, volume-kept, orphan-kept. */
#include <stdio.h>

#include "client/client_body.h"
#include "codec/quantity.h"
#include "schema/kinds.h"
#include "sim/check.h"
#include "sim/platform_priv.h"

static struct object *find(struct platform *w, struct arena *a, const char *resource,
                           struct span ns, struct span name)
{
    return record_get(w->record, object_key(a, span_cstr(resource), ns, name));
}

/* A new pod of the set mounts the claim of its own ordinal. */
static void check_pod(struct platform *w, struct object *pod, int ordinal)
{
    struct arena *a cleanup_arena = arena_new();
    struct span want = arena_printf(a, "data-redis-%d", ordinal);
    if (client_controller_uid(pod).n == 0) {
        return;
    }
    JSON_EACH(it, json_path(object_root(pod), "spec", "volumes", NULL))
    {
        struct span claim = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        if (claim.n && !span_eq(claim, want)) {
            sim_fail(w, "claim", "%.*s mounts %.*s", SPAN_ARG(object_name(pod)), SPAN_ARG(claim));
        }
    }
}

static bool has_owner(struct object *o, struct span uid)
{
    return json_find(client_owners(o), "uid", uid) != NULL;
}

static bool may_own(const struct platform *w, struct span kind, int ordinal)
{
    for (size_t i = w->rules.n; i-- > 0;) {
        const struct sim_rules *r = &w->rules.at[i];
        if (r->until_ms < sim_now_ms(w) - sim_window_ms(w)) {
            break;
        }
        bool condemned = !rules_in_range(r, ordinal);
        if (r->exists && (span_eq_cstr(kind, "StatefulSet") ? r->delete_when_deleted
                                                            : r->delete_when_scaled && condemned)) {
            return true;
        }
    }
    return false;
}

/* Owners are what makes a claim go: put only when the retention policy says so. */
static void check_owners(struct platform *w, struct object *old, struct object *now, int ordinal)
{
    JSON_EACH(it, client_owners(now))
    {
        struct span kind = json_get_str(it.val, "kind");
        if (!(old && has_owner(old, json_get_str(it.val, "uid"))) && !may_own(w, kind, ordinal)) {
            sim_fail(w, "claim-kept", "%.*s is given to a %.*s that no policy names",
                     SPAN_ARG(object_name(now)), SPAN_ARG(kind));
        }
    }
}

static bool is_orphan(const struct platform *w, struct object *o)
{
    return w->orphaned_uid[0] && has_owner(o, span_cstr(w->orphaned_uid));
}

/* Seen by every view when the set was deleted that was to leave it. What is made, or adopted, just
 * before or meanwhile may go with the set, as with Kubernetes: the collector has not seen it. */
static bool was_there(const struct platform *w, int64_t since_ms)
{
    return since_ms < w->orphaned_ms - sim_window_ms(w);
}

/* True when an owner of the claim is gone or going. */
static bool is_forsaken(struct platform *w, struct object *claim)
{
    struct arena *a cleanup_arena = arena_new();
    int64_t born_ms = w->seats[sim_ordinal(object_name(claim), "data-redis-")].claim_born_ms;
    JSON_EACH(it, client_owners(claim))
    {
        if (was_there(w, born_ms) && span_eq_cstr(json_get_str(it.val, "uid"), w->orphaned_uid)) {
            continue; /* and its own stays */
        }
        bool set = span_eq_cstr(json_get_str(it.val, "kind"), "StatefulSet");
        struct object *o = find(w, a, set ? "statefulsets.apps" : "pods", SPAN("default"),
                                json_get_str(it.val, "name"));
        if (!o || object_is_deleting(o) || !span_eq(object_uid(o), json_get_str(it.val, "uid"))) {
            return true;
        }
    }
    return false;
}

static int64_t size_at(struct object *o, const char *part)
{
    struct quantity q;
    struct span text = json_str(json_path(object_root(o), part, "capacity", "storage", NULL));
    return quantity_parse(text, &q) ? 0 : quantity_units(&q);
}

static void check_size(struct platform *w, struct object *old, struct object *now, const char *part)
{
    if (span_eq(object_uid(old), object_uid(now)) && size_at(now, part) < size_at(old, part)) {
        sim_fail(w, "claim-size", "%.*s has become smaller", SPAN_ARG(object_name(now)));
    }
}

/* What a claim tells that it has grown to is there. */
static void check_room(struct platform *w, struct object *claim)
{
    struct span volume = json_str(json_path(object_root(claim), "spec", "volumeName", NULL));
    if (volume.n && volumes_room(w->volumes, volume) < size_at(claim, "status")) {
        sim_fail(w, "claim-size", "%.*s has less room than it tells", SPAN_ARG(object_name(claim)));
    }
}

static void check_claim(struct platform *w, struct object *old, struct object *now, int ordinal)
{
    struct sim_seat *s = &w->seats[ordinal];
    bool goes = old && !object_is_deleting(old) && (!now || object_is_deleting(now));
    if (goes && !s->claim_asked && !is_forsaken(w, old)) {
        sim_fail(w, "claim-kept", "%.*s goes, and nobody asked", SPAN_ARG(object_name(old)));
    }
    if (!now) {
        s->claim_taken = s->claim_asked;
        s->claim_asked = false;
        return;
    }
    s->claim_taken = false;
    if (!old) {
        s->claim_born_ms = sim_now_ms(w);
    }
    check_owners(w, old, now, ordinal);
    if (old) {
        check_size(w, old, now, "status");
        if (size_at(old, "status") != size_at(now, "status") && size_at(old, "status") > 0) {
            check_room(w, now);
        }
    }
    struct span was =
        old ? json_str(json_path(object_root(old), "spec", "volumeName", NULL)) : SPAN_NULL;
    if (was.n &&
        (!span_eq(object_uid(old), object_uid(now)) ||
         !span_eq(was, json_str(json_path(object_root(now), "spec", "volumeName", NULL))))) {
        sim_fail(w, "claim", "%.*s has changed its volume", SPAN_ARG(object_name(now)));
    }
}

/* A volume goes after its claim. */
static void check_volume(struct platform *w, struct object *old, struct object *now)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_val *ref = json_path(object_root(old), "spec", "claimRef", NULL);
    struct object *claim = find(w, a, "persistentvolumeclaims", json_get_str(ref, "namespace"),
                                json_get_str(ref, "name"));
    bool goes = !object_is_deleting(old) && (!now || object_is_deleting(now));
    if (goes && claim && !object_is_deleting(claim) &&
        span_eq(object_uid(claim), json_get_str(ref, "uid"))) {
        sim_fail(w, "volume-kept", "the volume %.*s goes, and its claim is there",
                 SPAN_ARG(object_name(old)));
    }
}

void check_orphans(struct platform *w, const struct client_request *rq)
{
    if (rq->verb != CLIENT_DELETE || !w->orphaned_uid[0] ||
        !span_eq_cstr(rq->field_manager, "garbage-collector")) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    struct object *o = find(w, a, rq->kind->resource, rq->ns, rq->name);
    int pod = rq->kind == SCHEMA_KIND(Pod) ? sim_ordinal(rq->name, "redis-") : -1,
        claim = rq->kind == SCHEMA_KIND(PersistentVolumeClaim)
                    ? sim_ordinal(rq->name, "data-redis-")
                    : -1;
    int64_t since_ms = pod >= 0     ? w->seats[pod].owned_ms
                       : claim >= 0 ? w->seats[claim].claim_born_ms
                                    : INT64_MAX;
    if (was_there(w, since_ms) && o && span_eq(object_uid(o), rq->precondition_uid) &&
        is_orphan(w, o)) {
        sim_fail(w, "orphan-kept", "%s %.*s is taken after its set, which was to leave it",
                 rq->kind->resource, SPAN_ARG(rq->name));
    }
}

void check_claims(struct platform *w, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    struct span rest = object_store_key(o), resource = span_cut(&rest, '/');
    int pod = sim_ordinal(object_name(o), "redis-"),
        claim = sim_ordinal(object_name(o), "data-redis-");
    if (span_eq_cstr(resource, "pods") && !old && pod >= 0) {
        check_pod(w, now, pod);
    } else if (span_eq_cstr(resource, "persistentvolumeclaims") && claim >= 0) {
        check_claim(w, old, now, claim);
    } else if (span_eq_cstr(resource, "persistentvolumes")) {
        if (old) {
            check_volume(w, old, now);
        }
        if (old && now) {
            check_size(w, old, now, "spec");
        }
        if (now) {
            volumes_on_policy(
                w->volumes, object_name(now),
                span_eq_cstr(json_str(json_path(object_root(now), "spec",
                                                "persistentVolumeReclaimPolicy", NULL)),
                             "Retain"));
        }
    }
}
