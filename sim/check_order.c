/* sim/check_order.c: the order in which the StatefulSet controller makes and takes pods. It is
 * looked at when its request arrives, by what held lately: a violation is a decision that no view
 * of late allows. Checkers: order-up, order-down, order-update, partition, paused, unavailable,
 * range. */
#include "client/client_body.h"
#include "schema/kinds.h"
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

/* ---- a pod is made ---- */

static struct verdict may_make(const struct platform *w, const struct sim_rules *r, int ordinal)
{
    if (!r->exists || r->deleting || !rules_in_range(r, ordinal)) {
        return (struct verdict){"range", "the set does not ask for it", -1};
    }
    for (int i = (int)r->start; !r->parallel && i < ordinal; i++) {
        if (rules_in_range(r, i) && !lately_well(w, i)) {
            return (struct verdict){"order-up", "made before a lower one was available", i};
        }
    }
    return allowed;
}

/* ---- a pod is taken ---- */

static struct verdict may_scale_down(const struct platform *w, const struct sim_rules *r,
                                     int ordinal)
{
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

static struct verdict may_update(const struct platform *w, const struct sim_rules *r, int ordinal)
{
    const struct sim_seat *s = &w->seats[ordinal];
    int64_t limit = r->max_unavailable > 1 ? r->max_unavailable : 1, down = 1;
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
    if (!s->ever_ready || rules_lately(w, !s->well, s->unwell_ms)) {
        return allowed; /* broken already: costs no availability */
    }
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

static struct verdict may_take(const struct platform *w, const struct sim_rules *r, int ordinal)
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

/* The name in a create's body. */
static struct span name_of(struct arena *a, const struct client_request *rq)
{
    yyjson_doc *doc = NULL;
    struct err err = {0};
    if (json_parse(a, rq->body, &doc, &err)) {
        return SPAN_NULL;
    }
    return json_str(json_path(yyjson_doc_get_root(doc), "metadata", "name", NULL));
}

void check_order(struct platform *w, const struct client_request *rq)
{
    struct arena *a cleanup_arena = arena_new();
    bool makes = rq->verb == CLIENT_CREATE && rq->subresource.n == 0;
    if (rq->kind != SCHEMA_KIND(Pod) || (!makes && rq->verb != CLIENT_DELETE) ||
        !span_eq_cstr(rq->field_manager, "statefulset-controller")) {
        return;
    }
    struct span name = makes ? name_of(a, rq) : rq->name;
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
    struct verdict v = {"range", "no rules", -1};
    for (size_t i = w->rules.n; i-- > 0;) {
        const struct sim_rules *r = &w->rules.at[i];
        if (r->until_ms < sim_now_ms(w) - sim_window_ms(w)) {
            break;
        }
        struct verdict one = makes ? may_make(w, r, ordinal) : may_take(w, r, ordinal);
        if (!one.checker) {
            return;
        }
        v = i + 1 == w->rules.n ? one : v;
    }
    sim_fail(w, v.checker, "redis-%d is %s: %s (%d)", ordinal, makes ? "made" : "deleted", v.why,
             v.other);
}
