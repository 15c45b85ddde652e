/* sim/check_status.c: the status is true to the pods. When it is written, each count must be one
 * that a view of late can show; observedGeneration never falls; and soon after the last change of a
 * pod or of the spec, whatever else users do meanwhile, it says what is there. Checker: status. */
#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/check.h"
#include "sim/platform_priv.h"

/* From the last change to a status that is true, when nothing keeps the controllers from it. */
enum { QUIET_MS = 4000 };

struct counts {
    int64_t replicas, ready, current, updated, available;
};

static struct object *set_of(const struct platform *w)
{
    return record_get(w->record, SPAN("statefulsets.apps/default/redis"));
}

static struct counts counts_of(const yyjson_val *status)
{
    return (struct counts){.replicas = json_get_int(status, "replicas", 0),
                           .ready = json_get_int(status, "readyReplicas", 0),
                           .current = json_get_int(status, "currentReplicas", 0),
                           .updated = json_get_int(status, "updatedReplicas", 0),
                           .available = json_get_int(status, "availableReplicas", 0)};
}

/* Of what a status counts by. */
struct hashes {
    uint32_t owner, current, update;
};

static struct hashes hashes_of(const struct platform *w, const yyjson_val *status)
{
    return (struct hashes){.owner = sim_hash(span_cstr(w->set_uid)),
                           .current = sim_hash(json_get_str(status, "currentRevision")),
                           .update = sim_hash(json_get_str(status, "updateRevision"))};
}

static void add_seat(struct counts *c, const struct sim_moment *m, int i, const struct hashes *h)
{
    bool owned = m->seats[i].owner == h->owner && h->owner, live = owned && !m->seats[i].deleting;
    c->replicas += owned;
    c->ready += owned && m->seats[i].ready;
    c->current += live && m->seats[i].revision == h->current;
    c->updated += live && m->seats[i].revision == h->update;
}

/* ---- soon ---- */

const char *check_status_is_true(struct platform *w, struct object *set)
{
    yyjson_val *st = json_get(object_root(set), "status");
    int64_t generation = json_int(json_path(object_root(set), "metadata", "generation", NULL), 0);
    struct counts says = counts_of(st), is = {0};
    struct hashes h = hashes_of(w, st);
    for (int i = 0; i < ORDINALS; i++) {
        add_seat(&is, &w->moments.at[w->moments.n - 1], i, &h);
    }
    return json_get_int(st, "observedGeneration", 0) != generation ? "observedGeneration"
           : says.replicas != is.replicas                          ? "replicas"
           : says.ready != is.ready                                ? "readyReplicas"
           : says.current != is.current                            ? "currentReplicas"
           : says.updated != is.updated                            ? "updatedReplicas"
           : says.available != is.ready                            ? "availableReplicas"
                                                                   : NULL;
}

bool sim_is_hindered(const struct platform *w)
{
    return !w->env || !w->controllers_env || w->disk_full || w->store_errors > 0 ||
           w->weather.refuse > 0 || w->weather.lose_reply > 0;
}

/* Who fails holds back longer and longer, for as long again as it lasted so far. */
static void note_trouble(struct platform *w)
{
    int64_t now_ms = sim_now_ms(w);
    if (now_ms > w->calm_ms) {
        w->trouble_from_ms = now_ms;
    }
    w->changed_ms = w->trouble_ms = now_ms;
    w->calm_ms = now_ms + 2 * (now_ms - w->trouble_from_ms) + QUIET_MS;
}

/* The back-off after so many refusals has passed. */
static bool is_refusal_over(const struct platform *w)
{
    return sim_now_ms(w) > w->refused_ms + 2 * (w->refused_ms - w->refused_from_ms) + QUIET_MS;
}

/* A pod of somebody else has the name of one that the set is to have: it tries less and less often,
 * and a write that fails meanwhile waits for its next try. */
void check_status_refused(struct platform *w, const struct client_request *rq)
{
    if (rq->verb == CLIENT_CREATE && rq->kind == SCHEMA_KIND(Pod) &&
        span_eq_cstr(rq->field_manager, "statefulset-controller")) {
        w->refused_from_ms = is_refusal_over(w) ? sim_now_ms(w) : w->refused_from_ms;
        w->refused_ms = sim_now_ms(w);
    }
}

/* The server may have been killed and started in one turn. */
void check_status_started(struct platform *w)
{
    note_trouble(w);
    if (!is_refusal_over(w) && w->refused_from_ms < w->trouble_from_ms) {
        w->trouble_from_ms = w->refused_from_ms;
        note_trouble(w);
    }
}

/* When nothing has happened for a while, everybody is there and no write has failed. */
void check_status(struct platform *w)
{
    if (sim_is_hindered(w)) {
        note_trouble(w);
    }
    int64_t now_ms = sim_now_ms(w);
    if (w->weather.break_off > 0 || !w->controllers_env) {
        w->listed_ms = now_ms;
    }
    if (now_ms < w->calm_ms) {
        return;
    }
    check_rollback_late(w);
    if (now_ms - w->changed_ms < QUIET_MS + 4 * w->weather.late_ms) {
        return;
    }
    struct object *set = set_of(w);
    if (!set || object_rev(set) == w->true_rev || object_is_deleting(set)) {
        return;
    }
    const char *what = check_status_is_true(w, set);
    if (what) {
        sim_fail(w, "status", "%s is not true to the pods", what);
    } else {
        w->true_rev = object_rev(set);
    }
}

/* ---- at each write ---- */

/* What each seat was at any moment of late, and at all of them. */
static void bounds(const struct platform *w, const struct hashes *h, struct counts *least,
                   struct counts *most)
{
    int64_t long_ago_ms = sim_now_ms(w) - sim_window_ms(w);
    for (int i = 0; i < ORDINALS; i++) {
        struct counts any = {0}, all = {1, 1, 1, 1, 0};
        for (size_t m = w->moments.n; m-- > 0;) {
            if (w->moments.at[m].until_ms < long_ago_ms) {
                break;
            }
            struct counts one = {0};
            add_seat(&one, &w->moments.at[m], i, h);
            any = (struct counts){any.replicas | one.replicas, any.ready | one.ready,
                                  any.current | one.current, any.updated | one.updated, 0};
            all = (struct counts){all.replicas & one.replicas, all.ready & one.ready,
                                  all.current & one.current, all.updated & one.updated, 0};
        }
        *most = (struct counts){most->replicas + any.replicas, most->ready + any.ready,
                                most->current + any.current, most->updated + any.updated, 0};
        *least = (struct counts){least->replicas + all.replicas, least->ready + all.ready, 0,
                                 least->updated + all.updated, 0};
    }
}

static void check_bound(struct platform *w, const char *what, int64_t says, int64_t least,
                        int64_t most)
{
    if (says < least || says > most) {
        sim_fail(w, "status", "%s is said to be %lld: of late it was %lld to %lld", what,
                 (long long)says, (long long)least, (long long)most);
    }
}

/* All counts are of one and the same moment, unless a list showed the controllers another one bit
 * by bit. */
static bool is_of_a_moment(const struct platform *w, const struct hashes *h,
                           const struct counts *says)
{
    int64_t long_ago_ms = sim_now_ms(w) - sim_window_ms(w);
    if (w->listed_ms >= long_ago_ms || w->started_ms >= long_ago_ms || w->weather.break_off > 0) {
        return true;
    }
    for (size_t m = w->moments.n; m-- > 0;) {
        struct counts is = {0};
        if (w->moments.at[m].until_ms < long_ago_ms) {
            break;
        }
        for (int i = 0; i < ORDINALS; i++) {
            add_seat(&is, &w->moments.at[m], i, h);
        }
        if (is.replicas == says->replicas && is.ready == says->ready &&
            is.updated == says->updated) {
            return true;
        }
    }
    return false;
}

/* The currentReplicas leave out those that the same sync takes away: no lower bound. */
void check_status_write(struct platform *w, const struct client_request *rq)
{
    if (rq->kind != SCHEMA_KIND(StatefulSet) || !span_eq_cstr(rq->subresource, "status") ||
        !span_eq_cstr(rq->field_manager, "statefulset-controller") ||
        !span_eq_cstr(rq->name, "redis")) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    yyjson_val *status = json_get(link_body(a, rq), "status");
    for (size_t i = w->rules.n; i-- > 0 && rules_held_lately(w, &w->rules.at[i]);) {
        if (!w->rules.at[i].exists) {
            return; /* a set of this name came or went: whose status is it? */
        }
    }
    if (!json_get(status, "replicas")) {
        return; /* the count of collisions alone */
    }
    struct counts says = counts_of(status), least = {0}, most = {0};
    struct hashes h = hashes_of(w, status);
    bounds(w, &h, &least, &most);
    if (!is_of_a_moment(w, &h, &says)) {
        sim_fail(w, "status", "no moment of late had %lld pods, %lld ready, %lld new",
                 (long long)says.replicas, (long long)says.ready, (long long)says.updated);
    }
    check_bound(w, "replicas", says.replicas, least.replicas, most.replicas);
    check_bound(w, "readyReplicas", says.ready, least.ready, most.ready);
    check_bound(w, "currentReplicas", says.current, 0, most.current);
    check_bound(w, "updatedReplicas", says.updated, least.updated, most.updated);
    check_bound(w, "availableReplicas", says.available, w->has_min_ready ? 0 : least.ready,
                most.ready);
    sim_saw(w, SIM_DEED_SAW_STATUS);
}

/* ---- at each change ---- */

void check_status_change(struct platform *w, struct object *old, struct object *now)
{
    yyjson_val *st = now ? json_get(object_root(now), "status") : NULL,
               *was = old ? json_get(object_root(old), "status") : NULL;
    struct counts c = counts_of(st);
    int64_t seen = json_get_int(st, "observedGeneration", 0);
    if (!now) {
        return;
    }
    if (seen > json_int(json_path(object_root(now), "metadata", "generation", NULL), 0) ||
        (was && seen < json_get_int(was, "observedGeneration", 0) &&
         span_eq(object_uid(old), object_uid(now)))) {
        sim_fail(w, "status", "observedGeneration is %lld", (long long)seen);
    }
    if (c.available > c.ready || c.ready > c.replicas || c.current > c.replicas ||
        c.updated > c.replicas) {
        sim_fail(w, "status", "of %lld pods %lld are ready, %lld available, %lld current, %lld new",
                 (long long)c.replicas, (long long)c.ready, (long long)c.available,
                 (long long)c.current, (long long)c.updated);
    }
}
