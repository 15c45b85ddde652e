/* sim/check_revisions.c: a revision that a pod was made from, or that the status names, is kept,
 * and of the others no more than the set asks for; what one says never changes. Checker:
 * revision-kept. */
#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/check.h"
#include "sim/platform_priv.h"

/* Under every version of late, so that no view is too old to know. */
static bool is_named(const struct platform *w, struct span name)
{
    for (size_t i = w->rules.n; i-- > 0 && rules_held_lately(w, &w->rules.at[i]);) {
        const struct sim_rules *r = &w->rules.at[i];
        if (!r->exists || r->deleting ||
            !(span_eq_cstr(name, r->update) || span_eq_cstr(name, r->current))) {
            return false;
        }
    }
    return true;
}

static bool has_pod(const struct platform *w, struct span name)
{
    for (int i = 0; i < ORDINALS; i++) {
        const struct sim_seat *s = &w->seats[i];
        if (rules_is_owned(w, s) && !s->deleting && span_eq_cstr(name, s->revision) &&
            s->labels_ms < sim_now_ms(w) - sim_window_ms(w)) {
            return true;
        }
    }
    return false;
}

static bool is_of_the_set(const struct platform *w, struct object *revision)
{
    return w->set_uid[0] && span_eq_cstr(client_controller_uid(revision), w->set_uid);
}

void check_revision_change(struct platform *w, struct object *old, struct object *now)
{
    const struct sim_rules *r = &w->rules.at[w->rules.n - 1];
    if (!old || !is_of_the_set(w, old)) {
        return;
    }
    bool goes = !object_is_deleting(old) && (!now || object_is_deleting(now));
    if (goes && r->exists && !r->deleting &&
        (is_named(w, object_name(old)) || has_pod(w, object_name(old)))) {
        sim_fail(w, "revision-kept", "%.*s goes, and is in use", SPAN_ARG(object_name(old)));
    }
    if (now && span_eq(object_uid(old), object_uid(now)) &&
        !json_equal(json_get(object_root(old), "data"), json_get(object_root(now), "data"))) {
        sim_fail(w, "revision-kept", "%.*s says something else now", SPAN_ARG(object_name(old)));
    }
}

/* ---- at rest ---- */

struct kept {
    struct platform *w;
    struct span update, current;
    bool has_update, has_current;
    int64_t others;
};

static bool has_any_pod(const struct platform *w, struct span name)
{
    for (int i = 0; i < ORDINALS; i++) {
        if (rules_is_owned(w, &w->seats[i]) && span_eq_cstr(name, w->seats[i].revision)) {
            return true;
        }
    }
    return false;
}

static void see(void *data, struct object *o)
{
    struct kept *k = data;
    if (!is_of_the_set(k->w, o)) {
        return;
    }
    bool update = span_eq(object_name(o), k->update), current = span_eq(object_name(o), k->current);
    k->has_update |= update;
    k->has_current |= current;
    k->others += !update && !current && !has_any_pod(k->w, object_name(o));
}

const char *check_revisions_at_rest(struct platform *w, struct object *set)
{
    yyjson_val *status = json_get(object_root(set), "status");
    struct kept k = {.w = w,
                     .update = json_get_str(status, "updateRevision"),
                     .current = json_get_str(status, "currentRevision")};
    record_each(w->record, SPAN("controllerrevisions.apps"), see, &k);
    int64_t limit = json_get_int(json_get(object_root(set), "spec"), "revisionHistoryLimit", 10);
    return !k.has_update      ? "the update revision is missing"
           : !k.has_current   ? "the current revision is missing"
           : k.others > limit ? "more revisions than the set is to keep"
                              : NULL;
}
