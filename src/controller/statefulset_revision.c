/* controller/statefulset_revision.c: the ControllerRevisions of a set. */
#include <stdlib.h>

#include "base/check.h"
#include "base/vec.h"
#include "codec/time.h"
#include "controller/statefulset_priv.h"
#include "schema/schema.h"

struct gathered {
    struct set_sync *x;
    VEC(struct object *) objects;
};

static bool see_revision(void *data, struct object *revision)
{
    struct gathered *g = data;
    VEC_PUSH(&g->objects, revision);
    return true;
}

static void unref_object(void *data)
{
    object_unref(data);
}

static void gather(struct set_sync *x)
{
    struct gathered g = {.x = x};
    informer_index_each(x->c->revisions, x->c->revisions_by_controller, x->uid, see_revision, &g);
    size_t n = g.objects.n;
    x->revisions = ARENA_ARRAY(x->a, struct revision_entry, n + 1);
    x->revision_objects = ARENA_ARRAY(x->a, struct object *, n + 1);
    x->revision_count = n;
    for (size_t i = 0; i < n; i++) {
        struct object *o = object_ref(g.objects.at[i]);
        arena_on_clear(x->a, unref_object, o);
        yyjson_val *root = object_root(o);
        x->revision_objects[i] = o;
        x->revisions[i] = (struct revision_entry){
            .name = object_name(o),
            .revision = json_get_int(root, "revision", 0),
            .created_ms =
                time_or(json_str(json_path(root, "metadata", "creationTimestamp", NULL)), 0),
            .data = json_get(root, "data"),
            .from = i};
    }
    VEC_DONE(&g.objects);
    revision_sort(x->revisions, n);
}

/* ---- writing ---- */

static void write_status(struct set_sync *x, int64_t collisions)
{
    struct client_body b = client_patch_any(x->a, x->set);
    json_put_int(b.doc, client_body_obj(&b, "status"), "collisionCount", collisions);
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, x->c->set_kind, x->set);
    rq.subresource = SPAN("status");
    rq.body = client_body_text(&b);
    sync_do(x->s, &rq, x->c->sets, NULL, NULL);
}

/* The same template's revision of a set of our name that is no more: the garbage collector is about
 * to take it away, and then the name is ours. */
static bool is_left_behind(struct set_sync *x)
{
    struct object *o = informer_get(x->c->revisions, x->ns, x->new_name);
    yyjson_val *owner = o ? client_controller_of(o) : NULL;
    return owner && span_eq_cstr(json_get_str(owner, "kind"), x->c->set_kind->kind) &&
           span_eq(json_get_str(owner, "name"), x->name) &&
           !span_eq(json_get_str(owner, "uid"), x->uid) &&
           json_equal(json_get(object_root(o), "data"), x->new_data);
}

static bool on_created(struct sync *s, void *data, const struct client_reply *reply)
{
    struct set_sync *x = data;
    if (reply->err.reason != ERR_ALREADY_EXISTS || is_left_behind(x)) {
        return false; /* after a back-off, once more */
    }
    /* Another revision has our hash, or another set's history our name: the next count gives
     * another name. */
    write_status(x, x->collisions + 1);
    sync_again(s);
    return true;
}

static void copy_members(yyjson_mut_doc *doc, yyjson_mut_val *to, const yyjson_val *from)
{
    JSON_EACH(it, from)
    {
        json_put_span(doc, to, json_str(it.key), json_mut_copy(doc, it.val));
    }
}

static void create(struct set_sync *x, yyjson_val *data, int64_t number)
{
    struct span hash = revision_hash(x->a, json_write(x->a, data), x->collisions);
    x->new_name = revision_name(x->a, x->name, hash);
    x->new_data = data;
    struct client_body b = client_body_new(x->a, x->c->revision_kind, x->new_name);
    json_put_str(b.doc, b.meta, "namespace", x->ns);
    yyjson_mut_val *labels = json_mut_obj(b.doc, b.meta, "labels");
    copy_members(b.doc, labels, json_path(x->spec, "template", "metadata", "labels", NULL));
    json_put_str(b.doc, labels, "controller.kubernetes.io/hash", hash);
    yyjson_val *notes = json_path(object_root(x->set), "metadata", "annotations", NULL);
    if (json_len(notes)) {
        copy_members(b.doc, json_mut_obj(b.doc, b.meta, "annotations"), notes);
    }
    client_body_owner(&b, x->c->set_kind, x->set);
    json_put(b.doc, b.root, "data", json_mut_copy(b.doc, data));
    json_put_int(b.doc, b.root, "revision", number);
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                                .kind = x->c->revision_kind, .ns = x->ns,
                                .body = client_body_text(&b)};
    sync_do(x->s, &rq, x->c->revisions, on_created, x);
    sync_again(x->s);
}

static void bump(struct set_sync *x, struct object *revision, int64_t number)
{
    struct client_body b = client_patch_new(x->a, revision);
    json_put_int(b.doc, b.root, "revision", number);
    struct client_request rq =
        client_request_for(CLIENT_PATCH_MERGE, x->c->revision_kind, revision);
    rq.body = client_body_text(&b);
    sync_do(x->s, &rq, x->c->revisions, NULL, NULL);
    sync_again(x->s);
}

/* ---- the stage ---- */

static yyjson_val *template_of(const struct revision_entry *e)
{
    return json_path(e->data, "spec", "template", NULL);
}

bool statefulset_revisions(struct set_sync *x)
{
    gather(x);
    x->collisions = json_get_int(x->status, "collisionCount", 0);
    yyjson_mut_doc *doc = json_mut_new(x->a);
    struct span text = json_write_mut(x->a, revision_data(doc, json_get(x->spec, "template")));
    yyjson_doc *parsed;
    struct err err;
    if (json_parse(x->a, text, &parsed, &err) < 0) {
        sync_fail(x->s);
        return true;
    }
    yyjson_val *data = yyjson_doc_get_root(parsed);
    struct revision_choice choice = revision_choose(x->revisions, x->revision_count, data);
    size_t n = x->revision_count;
    if (choice.step == REVISION_CREATE && n > 0 &&
        revision_means(x->a, x->c->set_kind, object_root(x->set), &x->revisions[n - 1], data)) {
        choice = (struct revision_choice){REVISION_KEEP, n - 1, 0};
    }
    if (choice.step != REVISION_KEEP && object_is_deleting(x->set)) {
        /* A set on its way out makes no history; its pods keep what they have. */
        choice = (struct revision_choice){REVISION_KEEP, n - 1, 0};
        if (n == 0) {
            return true;
        }
    }
    if (choice.step == REVISION_CREATE) {
        create(x, data, choice.number);
        return true;
    }
    struct revision_entry *update = &x->revisions[choice.at], *current = update;
    if (choice.step == REVISION_BUMP) {
        bump(x, x->revision_objects[update->from], choice.number);
        return true;
    }
    struct span current_name = json_get_str(x->status, "currentRevision");
    for (size_t i = 0; i < x->revision_count; i++) {
        if (span_eq(x->revisions[i].name, current_name)) {
            current = &x->revisions[i];
        }
    }
    x->update_name = update->name;
    x->update_template = template_of(update);
    x->current_name = current->name;
    x->current_template = template_of(current);
    return false;
}

static struct span revision_label(struct object *pod)
{
    return json_get_str(json_path(object_root(pod), "metadata", "labels", NULL),
                        "controller-revision-hash");
}

static bool see_live(void *data, struct object *pod)
{
    struct set_sync *x = data;
    struct span name = revision_label(pod);
    for (size_t i = 0; i < x->revision_count; i++) {
        x->revisions[i].live |= span_eq(x->revisions[i].name, name);
    }
    return true;
}

void statefulset_truncate(struct set_sync *x)
{
    int64_t limit = json_get_int(x->spec, "revisionHistoryLimit", 10);
    /* The current and the update revision are live for certain: most of the time that is enough to
     * know, without a look at every pod. */
    int64_t sure = span_eq(x->current_name, x->update_name) ? 1 : 2;
    if (object_is_deleting(x->set) || limit < 0 || (int64_t)x->revision_count - sure <= limit) {
        return;
    }
    for (size_t i = 0; i < x->revision_count; i++) {
        struct revision_entry *e = &x->revisions[i];
        e->live = span_eq(e->name, x->current_name) || span_eq(e->name, x->update_name);
    }
    informer_index_each(x->c->pods, x->c->pods_by_controller, x->uid, see_live, x);
    size_t excess = revision_excess(x->revisions, x->revision_count, limit);
    for (size_t i = 0; i < x->revision_count && excess > 0; i++) {
        if (x->revisions[i].live) {
            continue;
        }
        struct object *o = x->revision_objects[x->revisions[i].from];
        struct client_request rq = client_request_for(CLIENT_DELETE, x->c->revision_kind, o);
        rq.precondition_uid = object_uid(o);
        sync_do(x->s, &rq, x->c->revisions, NULL, NULL);
        excess--;
    }
}
