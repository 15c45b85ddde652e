/* controller/statefulset_progress.c: the deadline of a roll-out, the way back, and what is said of
 * annotations. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/statefulset_priv.h"

/* ---- the way back ---- */

static bool on_rolled_back(struct sync *s, void *data, const struct client_reply *reply)
{
    struct set_sync *x = data;
    (void)s;
    if (reply->err.reason == ERR_NONE) {
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_WARNING, "RolledBack",
                     "revision %.*s missed its deadline: back to %.*s, the last complete one",
                     SPAN_ARG(x->update_name), SPAN_ARG(x->current_name));
    }
    return false;
}

/* The template of the last complete revision, into this very version of the set: whoever edits it
 * meanwhile is right. */
static void roll_back(struct set_sync *x)
{
    assert(x->current_template);
    struct client_body b = {.arena = x->own.a, .doc = json_mut_new(x->own.a)};
    b.root = json_mut_copy(b.doc, object_root(x->own.owner));
    b.meta = json_mut_obj(b.doc, b.root, "metadata");
    yyjson_mut_doc_set_root(b.doc, b.root);
    json_put(b.doc, client_body_obj(&b, "spec"), "template",
             json_mut_copy(b.doc, x->current_template));
    json_put_str(b.doc, json_mut_obj(b.doc, b.meta, "annotations"), STATEFULSET_NOTE_ROLLED_BACK,
                 x->update_name);
    struct client_request rq = client_request_for(CLIENT_UPDATE, x->own.kind, x->own.owner);
    rq.tree = client_body_tree(&b);
    sync_do(x->own.s, &rq, x->c->sets.informer, on_rolled_back, x);
}

/* ---- the deadline ---- */

void statefulset_deadline(struct set_sync *x, struct deadline_plan *ret)
{
    assert(ret);
    assert(x->plan);
    assert(x->update_name.n > 0);
    const struct statefulset_status *st = &x->plan->status;
    struct deadline_view view = {
        .now_ms = x->own.s->now_ms,
        .deadline_ms = x->notes.deadline_ms,
        .moving = !span_eq(x->current_name, x->update_name) && !st->complete,
        .held = x->rules->deleting || x->notes.paused || x->rules->on_delete,
        .auto_rollback = x->notes.auto_rollback,
        .has_previous = x->current_template != NULL,
        .revision = x->update_name,
        .updated = st->updated,
        .well = st->well,
        .stood = json_get_str(x->clock, "message"),
        .stood_ms = time_or(json_get_str(x->clock, "lastTransitionTime"), 0)};
    deadline_plan(x->own.a, &view, ret);
    sync_at(x->own.s, ret->requeue_at_ms);
    if (ret->roll_back) {
        roll_back(x);
    }
}

/* ---- annotations ---- */

void statefulset_tell_notes(struct set_sync *x)
{
    assert(x->notes.wrong_count <= STATEFULSET_NOTES_MAX);
    uint64_t hash = 0;
    for (size_t i = 0; i < x->notes.wrong_count; i++) {
        hash = hash * 31 + map_hash(x->notes.wrong[i]);
    }
    if (hash == x->state->notes_told) {
        return;
    }
    x->state->notes_told = hash;
    for (size_t i = 0; i < x->notes.wrong_count; i++) {
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_WARNING, "InvalidAnnotation",
                     "%.*s", SPAN_ARG(x->notes.wrong[i]));
    }
}
