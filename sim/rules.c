/* sim/rules.c: what the checkers know of the set and of its ordinals, from the record's changes. A
 * controller decides by a view that is a little old: rules and facts that held lately count. */
#include "client/client_body.h"
#include "plan/statefulset_plan.h"
#include "schema/kinds.h"
#include "schema/status.h"
#include "sim/check.h"
#include "sim/platform_priv.h"
#include "sim/ranks.h"

int sim_node_called(const struct platform *w, struct span name)
{
    for (int i = 0; i < NODES; i++) {
        if (span_eq_cstr(name, w->nodes[i].name)) {
            return i;
        }
    }
    return -1;
}

int64_t sim_long_ago_ms(const struct platform *w)
{
    return sim_now_ms(w) - sim_window_ms(w) - 4 * w->weather.late_ms;
}

bool rules_lately(const struct platform *w, bool now, int64_t last_ms)
{
    return now || (last_ms > 0 && last_ms >= sim_now_ms(w) - sim_window_ms(w));
}

/* By the set as it is now: a set of the same name may have come since the pod changed. */
bool rules_is_owned(const struct platform *w, const struct sim_seat *s)
{
    return s->exists && s->owner[0] && strcmp(s->owner, w->set_uid) == 0;
}

bool rules_in_range(const struct sim_rules *r, int64_t ordinal)
{
    int64_t left = r->replicas;
    for (int64_t i = r->start; i <= ordinal && left > 0; i++) {
        bool has_pod = !(r->reserved >> i & 1);
        if (i == ordinal) {
            return has_pod;
        }
        left -= has_pod;
    }
    return false;
}

/* "0,2"; 0 when anything else stands there: a wrong value counts for nothing. */
static uint32_t reserved_of(struct span text)
{
    uint32_t set = 0;
    while (text.n > 0) {
        uint64_t n;
        if (!span_to_u64(span_cut(&text, ','), &n) || n >= 32) {
            return 0;
        }
        set |= UINT32_C(1) << n;
    }
    return set;
}

static int64_t max_unavailable(const yyjson_val *rolling, int64_t replicas)
{
    yyjson_val *v = json_get(rolling, "maxUnavailable");
    struct span text = json_str(v);
    int64_t n = json_int(v, 0);
    bool percent = span_ends(text, SPAN("%"));
    if (percent && !span_to_i64(span_first(text, text.n - 1), &n)) {
        return 0;
    }
    return v ? statefulset_max_unavailable(n, percent, (int32_t)replicas) : 0;
}

/* Of the values that users write: a wrong one counts for nothing. */
static int64_t deadline_of(struct span text)
{
    return span_eq_cstr(text, "5s")    ? 5000
           : span_eq_cstr(text, "10s") ? 10000
           : span_eq_cstr(text, "1m")  ? 60000
                                       : 0;
}

static int64_t window_of(struct span text)
{
    uint64_t n;
    return span_to_u64(text, &n) && n > 0 && n <= 128 ? (int64_t)n : 1;
}

static void take_notes(struct sim_rules *r, const yyjson_val *notes)
{
    r->paused = span_eq_cstr(json_get_str(notes, "berth.dev/paused"), "true") && !r->on_delete;
    r->reserved = reserved_of(json_get_str(notes, "berth.dev/reserve-ordinals"));
    r->window = window_of(json_get_str(notes, "berth.dev/start-parallelism"));
    r->deadline_ms = deadline_of(json_get_str(notes, "berth.dev/progress-deadline"));
    r->auto_rollback =
        r->deadline_ms > 0 && span_eq_cstr(json_get_str(notes, "berth.dev/auto-rollback"), "true");
    r->primary_last =
        span_eq_cstr(json_get_str(notes, "berth.dev/update-order"), "last:role=primary");
}

/* As much as there is room for. */
static void keep_text(char *to, size_t size, struct span text)
{
    size_t n = text.n < size ? text.n : size - 1;
    memcpy(to, n ? text.p : "", n);
    to[n] = '\0';
}

static struct sim_rules rules_of(struct object *set)
{
    struct sim_rules r = {.until_ms = INT64_MAX};
    if (!set) {
        return r;
    }
    yyjson_val *spec = json_get(object_root(set), "spec"),
               *strategy = json_get(spec, "updateStrategy"),
               *rolling = json_get(strategy, "rollingUpdate"),
               *keep = json_get(spec, "persistentVolumeClaimRetentionPolicy");
    r.exists = true;
    r.deleting = object_is_deleting(set);
    r.parallel = span_eq_cstr(json_get_str(spec, "podManagementPolicy"), "Parallel");
    r.on_delete = span_eq_cstr(json_get_str(strategy, "type"), "OnDelete");
    r.recreate = span_eq_cstr(json_get_str(strategy, "type"), "Recreate");
    r.delete_when_scaled = span_eq_cstr(json_get_str(keep, "whenScaled"), "Delete");
    r.delete_when_deleted = span_eq_cstr(json_get_str(keep, "whenDeleted"), "Delete");
    r.replicas = json_get_int(spec, "replicas", 1);
    r.start = json_get_int(json_get(spec, "ordinals"), "start", 0);
    r.partition = json_get_int(rolling, "partition", 0);
    r.max_unavailable = max_unavailable(rolling, r.replicas);
    yyjson_val *status = json_get(object_root(set), "status"),
               *meta = json_get(object_root(set), "metadata"),
               *notes = json_get(meta, "annotations");
    take_notes(&r, notes);
    if (json_get_int(status, "observedGeneration", -1) == json_get_int(meta, "generation", 0)) {
        keep_text(r.update, sizeof r.update, json_get_str(status, "updateRevision"));
    }
    keep_text(r.current, sizeof r.current, json_get_str(status, "currentRevision"));
    return r;
}

static void on_set(struct platform *w, struct object *now)
{
    struct sim_rules *last = &w->rules.at[w->rules.n - 1];
    last->until_ms = sim_now_ms(w);
    w->true_rev = 0;
    size_t keep = 0;
    while (keep + 1 < w->rules.n &&
           w->rules.at[keep].until_ms < sim_now_ms(w) - 2 * sim_window_ms(w)) {
        keep++;
    }
    for (; keep > 0; keep--) {
        VEC_REMOVE(&w->rules, 0);
    }
    VEC_PUSH(&w->rules, rules_of(now));
    struct sim_rules *is = &w->rules.at[w->rules.n - 1];
    const struct sim_rules *was = is - 1;
    is->since_ms =
        is->exists && was->exists && is->replicas == was->replicas ? was->since_ms : sim_now_ms(w);
    if (is->deadline_ms != was->deadline_ms || is->auto_rollback != was->auto_rollback ||
        is->paused != was->paused || is->on_delete != was->on_delete ||
        strcmp(is->update, was->update) != 0) {
        w->set_ms = sim_now_ms(w);
    }
    if (now && !was->deleting && object_is_deleting(now) && client_has_finalizer(now, "orphan")) {
        if (!span_eq_cstr(object_uid(now), w->orphaned_uid)) {
            w->orphaned_ms = sim_now_ms(w);
        }
        keep_text(w->orphaned_uid, sizeof w->orphaned_uid, object_uid(now));
    }
    if (now) {
        keep_text(w->set_uid, sizeof w->set_uid, object_uid(now));
    } else {
        w->set_uid[0] = '\0';
    }
}

bool rules_held_lately(const struct platform *w, const struct sim_rules *r)
{
    return r->until_ms >= sim_now_ms(w) - sim_window_ms(w);
}

uint32_t sim_hash(struct span text)
{
    uint32_t h = 2166136261;
    for (size_t i = 0; i < text.n; i++) {
        h = (h ^ (unsigned char)text.p[i]) * 16777619;
    }
    return h;
}

/* One more moment, and those are forgotten that no view of late shows. */
static void on_moment(struct platform *w)
{
    struct sim_moment m = {.until_ms = INT64_MAX};
    size_t keep = 0;
    for (size_t i = 0; i < ORDINALS; i++) {
        const struct sim_seat *s = &w->seats[i];
        m.seats[i].owner = s->exists && s->matches && s->owner[0] ? s->owner_hash : 0;
        m.seats[i].revision = s->revision_hash;
        m.seats[i].deleting = s->deleting;
        m.seats[i].ready = s->ready;
    }
    while (w->moments.at[keep].until_ms < sim_now_ms(w) - 2 * sim_window_ms(w)) {
        keep++;
    }
    if (keep > 0) {
        memmove(w->moments.at, w->moments.at + keep, (w->moments.n - keep) * sizeof *w->moments.at);
        w->moments.n -= keep;
    }
    w->moments.at[w->moments.n - 1].until_ms = sim_now_ms(w);
    VEC_PUSH(&w->moments, m);
    w->true_rev = 0;
}

/* Facts that hold up to now. */
static void stamp(struct platform *w, struct sim_seat *s)
{
    int64_t now_ms = sim_now_ms(w);
    *(s->exists ? &s->exists_ms : &s->absent_ms) = now_ms;
    *(s->well ? &s->well_ms : &s->unwell_ms) = now_ms;
    s->terminal_ms = s->terminal ? now_ms : s->terminal_ms;
    s->unready_ms = s->exists && !s->deleting && !s->ready ? now_ms : s->unready_ms;
}

/* Copies what stands at a label; true when it is another one than before. */
static bool take_label(char *to, size_t size, const yyjson_val *labels, const char *key)
{
    struct span text = json_get_str(labels, key);
    bool changed = !span_eq_cstr(text, to);
    keep_text(to, size, text);
    return changed;
}

static void take_labels(struct platform *w, struct sim_seat *s, struct object *now, bool fresh)
{
    yyjson_val *labels = now ? json_path(object_root(now), "metadata", "labels", NULL) : NULL;
    bool primary = span_eq_cstr(json_get_str(labels, "role"), "primary");
    bool changed = take_label(s->revision, sizeof s->revision, labels, "controller-revision-hash");
    if (changed || fresh || primary != s->primary) {
        s->labels_ms = sim_now_ms(w);
    }
    s->primary = primary;
    s->matches = span_eq_cstr(json_get_str(labels, "app"), "redis");
}

static void on_pod(struct platform *w, struct sim_seat *s, struct object *now)
{
    stamp(w, s);
    struct span uid = now ? object_uid(now) : SPAN_NULL;
    bool fresh = !span_eq_cstr(uid, s->uid);
    s->ever_ready &= !fresh;
    bool other = !span_eq_cstr(now ? client_controller_uid(now) : SPAN_NULL, s->owner);
    s->owned_ms = fresh || other ? sim_now_ms(w) : s->owned_ms;
    keep_text(s->uid, sizeof s->uid, uid);
    take_labels(w, s, now, fresh);
    s->revision_hash = sim_hash(span_cstr(s->revision));
    s->exists = now;
    s->deleting = now && object_is_deleting(now);
    struct span phase =
        now ? json_str(json_path(object_root(now), "status", "phase", NULL)) : SPAN_NULL;
    bool was_well = s->well;
    s->ready = now && span_eq_cstr(phase, "Running") && client_condition_true(now, "Ready");
    s->well = s->ready && !s->deleting;
    s->ever_ready |= s->ready;
    if (s->well && !was_well) {
        sim_say(w, "    redis-%d is available", (int)(s - w->seats));
    } else if (!now) {
        sim_say(w, "    redis-%d is gone", (int)(s - w->seats));
    }
    s->terminal = status_phase_ended(phase);
    keep_text(s->owner, sizeof s->owner, now ? client_controller_uid(now) : SPAN_NULL);
    s->owner_hash = sim_hash(span_cstr(s->owner));
    if (s->well && !span_eq_cstr(uid, s->taken_uid)) {
        s->taken_uid[0] = '\0';
    }
    stamp(w, s);
    on_moment(w);
}

/* Not its status. */
static bool is_asked_otherwise(struct object *old, struct object *now)
{
    yyjson_val *was = old ? json_get(object_root(old), "metadata") : NULL,
               *is = now ? json_get(object_root(now), "metadata") : NULL;
    return !old || !now ||
           json_get_int(was, "generation", 0) != json_get_int(is, "generation", 0) ||
           object_is_deleting(old) != object_is_deleting(now) ||
           !json_equal(json_get(was, "annotations"), json_get(is, "annotations"));
}

void rules_on_change(struct platform *w, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    struct span rest = object_store_key(o), resource = span_cut(&rest, '/');
    int seat = sim_ordinal(object_name(o), "redis-");
    if (span_eq_cstr(resource, "statefulsets.apps") && span_eq_cstr(object_name(o), "redis")) {
        on_set(w, now);
        check_status_change(w, old, now);
        check_rollback_change(w, now);
        if (is_asked_otherwise(old, now)) {
            w->changed_ms = sim_now_ms(w);
        }
    } else if (span_eq_cstr(resource, "controllerrevisions.apps")) {
        check_revision_change(w, old, now);
    } else if (span_eq_cstr(resource, "pods") && seat >= 0) {
        on_pod(w, &w->seats[seat], now);
        w->changed_ms = sim_now_ms(w);
    }
}

/* The seat of the pod that the StatefulSet controller asks to delete; NULL: another request. */
static struct sim_seat *seat_taken(struct platform *w, const struct client_request *rq)
{
    int ordinal = sim_ordinal(rq->name, "redis-");
    bool is_taking = rq->verb == CLIENT_DELETE && rq->kind == SCHEMA_KIND(Pod) && ordinal >= 0 &&
                     span_eq_cstr(rq->field_manager, "statefulset-controller");
    return is_taking ? &w->seats[ordinal] : NULL;
}

/* Only pods that stood in the range under every rule of late were taken for an update. */
void rules_on_request(struct platform *w, const struct client_request *rq)
{
    struct sim_seat *s = seat_taken(w, rq);
    int deleted = rq->verb == CLIENT_DELETE && rq->kind == SCHEMA_KIND(Pod)
                      ? sim_ordinal(rq->name, "redis-")
                      : -1;
    if (deleted >= 0) {
        w->seats[deleted].deleted_ms = sim_now_ms(w);
    }
    bool in_range = s && span_eq_cstr(rq->precondition_uid, s->uid) && s->ever_ready &&
                    !rules_lately(w, s->terminal, s->terminal_ms) &&
                    !rules_lately(w, !s->well, s->unwell_ms);
    for (size_t i = w->rules.n; in_range && i-- > 0;) {
        const struct sim_rules *r = &w->rules.at[i];
        int64_t ordinal = s - w->seats;
        if (r->until_ms < sim_now_ms(w) - sim_window_ms(w)) {
            break;
        }
        in_range = rules_in_range(r, ordinal);
    }
    if (in_range) {
        memcpy(s->taken_uid, s->uid, sizeof s->taken_uid);
        s->taken_ms = sim_now_ms(w);
        s->taken_life = w->server_life;
    }
}

void rules_on_refused(struct platform *w, const struct client_request *rq, const struct err *err)
{
    check_status_refused(w, rq);
    allowance_on_refused(w, rq, err);
    ranks_on_refused(w, rq);
    struct sim_seat *s = seat_taken(w, rq);
    if (s && span_eq_cstr(rq->precondition_uid, s->taken_uid)) {
        s->taken_uid[0] = '\0';
    }
}

/* A request that went down with the server took nobody: the pod is still well, and either another
 * server says so or it has been long enough. */
bool rules_is_taken(const struct platform *w, int ordinal)
{
    const struct sim_seat *s = &w->seats[ordinal];
    bool still_there =
        s->well && span_eq(span_cstr(s->uid), span_cstr(s->taken_uid)) &&
        (s->taken_life != w->server_life || s->taken_ms < sim_now_ms(w) - sim_window_ms(w));
    return s->taken_uid[0] && !still_there;
}
