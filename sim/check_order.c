/* sim/check_order.c: the order in which the StatefulSet controller makes and takes pods. It is
 * looked at when its request arrives, by what held lately: a violation is a decision that no view
 * of late allows. Checkers: order-up, start-parallelism, order-down, order-update, update-order,
 * recreate, partition, paused, unavailable, range. */
#include <stdio.h>

#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/check.h"
#include "sim/platform_priv.h"

struct verdict {
    const char *checker; /* NULL: allowed */
    const char *why;
    int other;
};

static const struct verdict allowed = {NULL, NULL, -1};

static bool lately_well(const struct platform *w, int64_t ordinal)
{
    const struct sim_seat *s = &w->seats[ordinal];
    return rules_lately(w, s->well, s->well_ms);
}

static bool lately_absent(const struct platform *w, int64_t ordinal)
{
    const struct sim_seat *s = &w->seats[ordinal];
    return rules_lately(w, !rules_is_owned(w, s), s->absent_ms);
}

/* The same pod with the same labels for as long as any view is old. */
static bool is_settled(const struct platform *w, const struct sim_seat *s)
{
    return s->labels_ms < sim_now_ms(w) - sim_window_ms(w);
}

static bool is_old(const struct sim_rules *r, const struct sim_seat *s)
{
    return r->update[0] && s->revision[0] && strcmp(s->revision, r->update) != 0;
}

/* ---- a pod is made ---- */

/* Those that a roll-out has not reached come back as they were. */
static bool is_wrong_revision(const struct sim_rules *r, int ordinal, struct span revision)
{
    bool at_update =
        !r->paused && (r->on_delete || r->recreate || ordinal - r->start >= r->partition);
    return r->update[0] && r->current[0] &&
           !span_eq_cstr(revision, at_update ? r->update : r->current);
}

static struct verdict may_make(struct platform *w, const struct sim_rules *r, int ordinal,
                               struct span revision)
{
    if (!r->exists || r->deleting || !rules_in_range(r, ordinal)) {
        return (struct verdict){"range", "the set does not ask for it", -1};
    }
    if (is_wrong_revision(r, ordinal, revision)) {
        return (struct verdict){r->paused ? "paused" : "partition",
                                "made at the revision of the other side", -1};
    }
    int64_t unwell = 0;
    for (int i = 0; i < ORDINALS; i++) {
        const struct sim_seat *s = &w->seats[i];
        if (r->recreate && !r->paused && rules_is_owned(w, s) && is_old(r, s) && is_settled(w, s)) {
            return (struct verdict){"recreate", "made while an old one is there", i};
        }
        unwell += !r->parallel && i < ordinal && rules_in_range(r, i) && !lately_well(w, i);
        if (unwell >= r->window) {
            return (struct verdict){r->window > 1 ? "start-parallelism" : "order-up",
                                    "made before lower ones were available", i};
        }
    }
    if (unwell > 0) {
        sim_saw(w, SIM_DEED_SAW_WINDOW);
    }
    return allowed;
}

/* ---- a pod is taken ---- */

static struct verdict may_scale_down(const struct platform *w, const struct sim_rules *r,
                                     int ordinal)
{
    if (r->recreate && !r->paused && strcmp(w->seats[ordinal].revision, r->update) != 0) {
        return allowed; /* all old ones go; by a version whose update revision is not known, any */
    }
    for (int i = 0; !r->parallel && i < ORDINALS; i++) {
        if (rules_in_range(r, i) && !lately_well(w, i)) {
            return (struct verdict){"order-down", "taken while one in range is not available", i};
        }
        if (!rules_in_range(r, i) && i > ordinal && !lately_absent(w, i)) {
            return (struct verdict){"order-down", "taken before a higher one was gone", i};
        }
    }
    return allowed;
}

/* The primary goes when all others are available and up to date. */
static struct verdict may_go_last(struct platform *w, const struct sim_rules *r, int ordinal)
{
    for (int i = 0; i < ORDINALS; i++) {
        const struct sim_seat *s = &w->seats[i];
        if (i == ordinal || !rules_in_range(r, i)) {
            continue;
        }
        if (!lately_well(w, i)) {
            return (struct verdict){"update-order", "taken while another is not available", i};
        }
        if (i - r->start >= r->partition && !s->primary && is_old(r, s) && is_settled(w, s)) {
            return (struct verdict){"update-order", "taken before one that comes first", i};
        }
    }
    sim_saw(w, SIM_DEED_SAW_LAST);
    return allowed;
}

/* From the highest down, where one goes at a time. */
static struct verdict may_go_before_higher(const struct platform *w, const struct sim_rules *r,
                                           int ordinal)
{
    for (int i = ordinal + 1; i < ORDINALS && r->max_unavailable <= 1; i++) {
        const struct sim_seat *s = &w->seats[i];
        if (rules_in_range(r, i) && rules_is_owned(w, s) && !rules_is_taken(w, i) && is_old(r, s) &&
            is_settled(w, s) && s->well && !rules_lately(w, !s->well, s->unwell_ms) &&
            !(r->primary_last && s->primary)) {
            return (struct verdict){"order-update", "taken before a higher one", i};
        }
    }
    return allowed;
}

/* Of a well pod: what it costs. */
static struct verdict may_cost(const struct platform *w, const struct sim_rules *r, int ordinal)
{
    int64_t limit = r->max_unavailable > 1 ? r->max_unavailable : 1, down = 1;
    for (int i = 0; i < ORDINALS; i++) {
        bool must_be_well = i != ordinal && rules_in_range(r, i) &&
                            (!r->parallel || (r->max_unavailable == 0 && i > ordinal));
        if (must_be_well && !lately_well(w, i)) {
            return (struct verdict){"order-update", "taken while another is not available", i};
        }
        down += i != ordinal && rules_in_range(r, i) && rules_is_taken(w, i);
    }
    /* One by one, a Parallel set looks at the higher ones only, as Kubernetes does. */
    return down > limit && (!r->parallel || r->max_unavailable > 0)
               ? (struct verdict){"unavailable", "more taken than allowed", (int)down}
               : allowed;
}

static struct verdict may_update(struct platform *w, const struct sim_rules *r, int ordinal)
{
    const struct sim_seat *s = &w->seats[ordinal];
    if (r->on_delete) {
        return (struct verdict){"order-update", "taken under OnDelete", -1};
    }
    if (r->paused) {
        return (struct verdict){"paused", "taken for an update while updates are paused", -1};
    }
    if (ordinal - r->start < r->partition) {
        return (struct verdict){"partition", "taken below the partition", -1};
    }
    if (s->revision[0] && strcmp(s->revision, r->update) == 0) {
        return (struct verdict){"order-update", "taken, and it was up to date", -1};
    }
    if (r->recreate || !s->ever_ready || rules_lately(w, !s->well, s->unwell_ms)) {
        return allowed; /* all go; or broken already: costs no availability */
    }
    struct verdict v = may_go_before_higher(w, r, ordinal);
    if (!v.checker && r->primary_last && s->primary && is_settled(w, s)) {
        v = may_go_last(w, r, ordinal);
    }
    return v.checker ? v : may_cost(w, r, ordinal);
}

static struct verdict may_take(struct platform *w, const struct sim_rules *r, int ordinal)
{
    const struct sim_seat *s = &w->seats[ordinal];
    if (!r->exists || r->deleting) {
        return (struct verdict){"range", "taken from a set that is being deleted", -1};
    }
    if (rules_lately(w, s->terminal, s->terminal_ms)) {
        return allowed;
    }
    return rules_in_range(r, ordinal) ? may_update(w, r, ordinal) : may_scale_down(w, r, ordinal);
}

/* ---- a request ---- */

struct newest {
    const char *set_uid;
    struct object *revision;
};

static void see_revision(void *data, struct object *o)
{
    struct newest *n = data;
    int64_t is = json_get_int(object_root(o), "revision", 0),
            was = n->revision ? json_get_int(object_root(n->revision), "revision", 0) : 0;
    if (span_eq_cstr(client_controller_uid(o), n->set_uid) && is > was) {
        n->revision = o;
    }
}

/* The newest version; where its status does not know the update revision yet, it is the newest one:
 * the controller makes it before it acts. */
static struct sim_rules newest_rules(const struct platform *w)
{
    struct sim_rules r = w->rules.at[w->rules.n - 1];
    if (r.exists && !r.update[0]) {
        struct newest n = {.set_uid = w->set_uid};
        record_each(w->record, SPAN("controllerrevisions.apps"), see_revision, &n);
        (void)snprintf(r.update, sizeof r.update, "%.*s",
                       SPAN_ARG(n.revision ? object_name(n.revision) : SPAN_NULL));
    }
    return r;
}

void check_order(struct platform *w, const struct client_request *rq)
{
    bool makes = rq->verb == CLIENT_CREATE && rq->subresource.n == 0;
    if (rq->kind != SCHEMA_KIND(Pod) || (!makes && rq->verb != CLIENT_DELETE) ||
        !span_eq_cstr(rq->field_manager, "statefulset-controller")) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    yyjson_val *meta = makes ? json_get(link_body(a, rq), "metadata") : NULL;
    struct span name = makes ? json_get_str(meta, "name") : rq->name,
                revision = json_get_str(json_get(meta, "labels"), "controller-revision-hash");
    int ordinal = sim_ordinal(name, "redis-");
    if (!span_starts(name, SPAN("redis-"))) {
        return; /* of the second set: see sim/neighbours.c */
    }
    sim_say(w, "    the set's controller %s redis-%d", makes ? "makes" : "deletes", ordinal);
    if (ordinal < 0) {
        sim_fail(w, "range", "a pod of an ordinal that no history asks for");
        return;
    }
    if (!makes && !span_eq_cstr(rq->precondition_uid, w->seats[ordinal].uid)) {
        return; /* meant for one that is gone */
    }
    sim_saw(w, makes                    ? SIM_DEED_SAW_MAKE
               : rq->precondition_rev.n ? SIM_DEED_SAW_STUCK
                                        : SIM_DEED_SAW_TAKE);
    struct verdict v = {"range", "no rules", -1};
    const struct sim_rules newest = newest_rules(w);
    for (size_t i = w->rules.n; i-- > 0 && rules_held_lately(w, &w->rules.at[i]);) {
        const struct sim_rules *r = i + 1 == w->rules.n ? &newest : &w->rules.at[i];
        struct verdict one = makes ? may_make(w, r, ordinal, revision) : may_take(w, r, ordinal);
        if (!one.checker) {
            return;
        }
        v = i + 1 == w->rules.n ? one : v;
    }
    sim_fail(w, v.checker, "redis-%d is %s: %s (%d)", ordinal, makes ? "made" : "deleted", v.why,
             v.other);
}
