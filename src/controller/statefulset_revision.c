/* controller/statefulset_revision.c: the ControllerRevisions of a set. */
#include "base/check.h"
#include "controller/statefulset_priv.h"

static yyjson_val *template_of(const struct revision_entry *e)
{
    return json_path(e->data, "spec", "template", NULL);
}

bool statefulset_revisions(struct set_sync *x)
{
    struct statefulset_controller *c = x->c;
    struct owned_history *h = &x->history;
    if (owned_revisions(&x->own, &c->revisions, "controller.kubernetes.io/hash",
                        owned_all(x->own.a, &c->revisions, x->own.uid), &x->state->revision, h)) {
        return true;
    }
    assert(h->n > 0);
    struct revision_entry *update = &h->entries[h->n - 1], *current = update;
    struct span current_name = json_get_str(x->own.status, "currentRevision");
    for (size_t i = 0; i < h->n; i++) {
        if (span_eq(h->entries[i].name, current_name)) {
            current = &h->entries[i];
        }
    }
    current->live = true;
    x->update_name = update->name;
    x->update_template = template_of(update);
    x->current_name = current->name;
    x->current_template = template_of(current);
    return false;
}

static bool see_live(void *data, struct object *pod)
{
    struct owned_history *h = data;
    yyjson_val *labels = client_labels(pod);
    struct span name = json_get_str(labels, "controller-revision-hash");
    for (size_t i = 0; i < h->n; i++) {
        h->entries[i].live |= span_eq(h->entries[i].name, name);
    }
    return true;
}

void statefulset_truncate(struct set_sync *x)
{
    assert(x->own.owner);
    struct owned_history *h = &x->history;
    int64_t limit = json_get_int(x->own.spec, "revisionHistoryLimit", 10);
    /* The current and the update revision are live for certain: most of the time that is enough to
     * know, without a look at every pod. */
    if (object_is_deleting(x->own.owner) || revision_excess(h->entries, h->n, limit) == 0) {
        return;
    }
    const struct owned_kind *pods = &x->c->pods;
    informer_index_each(pods->informer, pods->by_controller, x->own.uid, see_live, h);
    owned_truncate(&x->own, &x->c->revisions, h);
}
