/* sim/check_rollback.c: berth.dev/auto-rollback: a roll-out that missed its deadline, and no other,
 * goes back to the template of the last complete revision, which alone is changed; and it does so
 * soon. Checker: rollback. */
#include <stdio.h>

#include "client/client_body.h"
#include "codec/time.h"
#include "env/env.h"
#include "schema/kinds.h"
#include "sim/check.h"
#include "sim/platform_priv.h"

/* The clock of the deadline counts whole seconds; a controller that holds back looks again within
 * LATE_MS. */
enum { SECOND_MS = 1000, LATE_MS = 5000 };

/* ---- how far it has come ---- */

void check_rollback_change(struct platform *w, struct object *now)
{
    struct sim_rollout *o = &w->rollout;
    yyjson_val *st = now ? json_get(object_root(now), "status") : NULL;
    struct span update = json_get_str(st, "updateRevision");
    int64_t updated = json_get_int(st, "updatedReplicas", 0);
    bool fresh = !span_eq_cstr(update, o->revision);
    if (!now) {
        return; /* a controller that does not know it yet goes on */
    }
    if (fresh || updated > o->updated) {
        int64_t now_ms = w->is_catching_up ? w->killed_forward_ms : sim_forward_ms(w);
        /* What is told now may have been done before the clock was set. */
        now_ms -= sim_now_ms(w) - w->jump_at_ms <= WINDOW_MS ? w->jump_ms : 0;
        o->before_ms = fresh ? now_ms : o->forward_ms;
        o->forward_ms = now_ms;
        o->mono_ms = sim_now_ms(w);
        o->updated = updated;
        (void)snprintf(o->revision, sizeof o->revision, "%.*s", SPAN_ARG(update));
    }
}

static bool is_overdue(const struct platform *w, const struct sim_rules *r)
{
    const struct sim_rollout *o = &w->rollout;
    bool of_late = o->mono_ms >= sim_now_ms(w) - sim_window_ms(w);
    int64_t since_ms = of_late ? o->before_ms : o->forward_ms;
    return sim_forward_ms(w) - since_ms >= r->deadline_ms - SECOND_MS;
}

/* ---- the way back ---- */

static bool same_members(const yyjson_val *one, const yyjson_val *other, const char *except)
{
    JSON_EACH(it, one)
    {
        struct span key = json_str(it.key);
        if (!span_eq_cstr(key, except) && !json_equal(it.val, json_get(other, key.p))) {
            return false;
        }
    }
    return true;
}

/* But for one member, which stands in what is kept and not in the set. */
static bool same_but(const yyjson_val *one, const yyjson_val *other, const char *except)
{
    return same_members(one, other, except) && same_members(other, one, except);
}

static struct object *find(const struct platform *w, struct arena *a, const char *resource,
                           const char *name)
{
    return record_get(w->record, arena_printf(a, "%s/default/%s", resource, name));
}

/* What is wrong with the request by this version of the rules; NULL: nothing. */
static const char *fault_of(const struct platform *w, struct arena *a, const struct sim_rules *r,
                            const yyjson_val *root)
{
    struct object *revision = find(w, a, "controllerrevisions.apps", r->current),
                  *set = find(w, a, "statefulsets.apps", "redis");
    yyjson_val *spec = json_get(root, "spec"),
               *kept = revision ? json_path(object_root(revision), "data", "spec", "template", NULL)
                                : NULL;
    if (!r->exists || r->deleting || !r->auto_rollback || r->paused || r->on_delete) {
        return "nobody asked for it";
    }
    if (!is_overdue(w, r)) {
        return "the deadline was not missed";
    }
    /* With the set its revisions may have gone. */
    if (kept && !same_but(kept, json_get(spec, "template"), "$patch")) {
        return "not to the last complete revision";
    }
    bool same_version =
        set && span_eq(json_str(json_path(root, "metadata", "resourceVersion", NULL)),
                       arena_printf(a, "%lld", (long long)object_rev(set)));
    return same_version && !same_but(json_get(object_root(set), "spec"), spec, "template")
               ? "more than the template is changed"
               : NULL;
}

void check_rollback_write(struct platform *w, const struct client_request *rq)
{
    if (rq->kind != SCHEMA_KIND(StatefulSet) || rq->verb != CLIENT_UPDATE ||
        rq->subresource.n > 0 || !span_eq_cstr(rq->field_manager, "statefulset-controller") ||
        !span_eq_cstr(rq->name, "redis")) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    const char *fault = "no rules";
    sim_say(w, "    the set's controller goes back to the last complete revision");
    sim_saw(w, SIM_DEED_SAW_ROLLBACK);
    for (size_t i = w->rules.n; fault && i-- > 0 && rules_held_lately(w, &w->rules.at[i]);) {
        fault = fault_of(w, a, &w->rules.at[i], link_body(a, rq));
    }
    if (fault) {
        sim_fail(w, "rollback", "the template of redis is taken back: %s", fault);
    }
}

/* ---- and soon ---- */

/* A partition may leave nothing to do. */
static bool is_complete(const struct platform *w, const struct sim_rules *r)
{
    for (int i = 0; i < ORDINALS; i++) {
        const struct sim_seat *s = &w->seats[i];
        if (rules_in_range(r, i) && i - r->start >= r->partition &&
            (!s->well || strcmp(s->revision, r->update) != 0)) {
            return false;
        }
    }
    return true;
}

void check_rollback_late(struct platform *w)
{
    const struct sim_rules *r = &w->rules.at[w->rules.n - 1];
    if (!r->exists || r->deleting || !r->auto_rollback || r->paused || r->on_delete ||
        !r->update[0] || strcmp(r->update, r->current) == 0 || is_complete(w, r)) {
        return;
    }
    int64_t late_ms = sim_window_ms(w) + LATE_MS, wait_ms = r->deadline_ms + late_ms;
    if (sim_now_ms(w) - w->rollout.mono_ms < wait_ms || sim_now_ms(w) - w->trouble_ms < wait_ms ||
        (w->jump_at_ms && sim_now_ms(w) - w->jump_at_ms < late_ms)) {
        return;
    }
    struct object *set = record_get(w->record, SPAN("statefulsets.apps/default/redis"));
    yyjson_val *clock = client_condition(set, "berth.dev/Advanced");
    int64_t stood_ms = time_or(json_get_str(clock, "lastTransitionTime"), INT64_MAX / 2),
            wall_ms = env_now_ms(w->env);
    if (wall_ms - stood_ms >= wait_ms && sim_now_ms(w) - w->set_ms >= wait_ms) {
        sim_fail(w, "rollback", "the roll-out of %s stands still, and does not go back", r->update);
    }
}
