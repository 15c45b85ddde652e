/* controller/owned_revision.c: the ControllerRevisions of a pod template. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/owned.h"

static void gather(struct owned_sync *x, const struct owned_list *list, struct owned_history *ret)
{
    ret->entries = ARENA_ARRAY(x->a, struct revision_entry, list->n + 1);
    ret->objects = list->at;
    ret->n = list->n;
    for (size_t i = 0; i < list->n; i++) {
        yyjson_val *root = object_root(list->at[i]);
        /* Only of several, which may have come to the same number. */
        yyjson_val *created =
            list->n > 1 ? json_get(client_meta(list->at[i]), "creationTimestamp") : NULL;
        ret->entries[i] = (struct revision_entry){.name = object_name(list->at[i]),
                                                  .revision = json_get_int(root, "revision", 0),
                                                  .created_ms = time_or(json_str(created), 0),
                                                  .data = json_get(root, "data"),
                                                  .from = i};
    }
    revision_sort(ret->entries, ret->n);
    assert(ret->n == 0 || ret->entries[ret->n - 1].from < list->n);
}

struct span owned_revision_hash(struct object *revision, const char *hash_label)
{
    assert(revision);
    assert(hash_label);
    yyjson_val *labels = client_labels(revision);
    struct span hash = json_get_str(labels, hash_label), name = object_name(revision);
    return hash.n ? hash : span_from(name, span_rfind(name, '-') + 1);
}

/* ---- writing ---- */

static int64_t collisions_of(const struct owned_sync *x)
{
    return json_get_int(x->status, "collisionCount", 0);
}

struct creation {
    struct owned_sync *x;
    const struct owned_kind *kind;
    struct span name;
    yyjson_val *data;
};

/* It is of the same template and of an owner of our name: ours, made by a request whose answer was
 * lost, or that of one that is no more: the garbage collector is about to take it away, and then
 * the name is ours. Or word of it is still on its way. */
static bool is_no_collision(const struct creation *k)
{
    const struct owned_sync *x = k->x;
    struct object *o = informer_get(k->kind->informer, x->ns, k->name);
    return !o || (span_eq(owned_controller_name(x->kind, o), x->name) &&
                  json_equal(json_get(object_root(o), "data"), k->data));
}

/* The name is taken by another template's or another owner's: the next count gives another. */
static bool on_created(struct sync *s, void *data, const struct client_reply *reply)
{
    const struct creation *k = data;
    struct owned_sync *x = k->x;
    if (reply->err.reason != ERR_ALREADY_EXISTS || is_no_collision(k)) {
        return false; /* after a back-off, once more */
    }
    struct client_body b = client_patch_any(x->a, x->owner);
    json_put_int(b.doc, client_body_obj(&b, "status"), "collisionCount", collisions_of(x) + 1);
    sync_patch_status(s, x->informer, x->owner, &b, NULL, NULL);
    return true;
}

static void create(struct owned_sync *x, const struct owned_kind *k, const char *hash_label,
                   yyjson_val *data, int64_t number)
{
    struct span hash = revision_hash(x->a, json_write(x->a, data), collisions_of(x));
    struct creation *made = ARENA_NEW(x->a, struct creation);
    *made = (struct creation){x, k, revision_name(x->a, x->name, hash), data};
    struct client_body b = client_body_new(x->a, k->kind, made->name);
    json_put_str(b.doc, b.meta, "namespace", x->ns);
    yyjson_mut_val *labels = json_mut_obj(b.doc, b.meta, "labels");
    owned_copy_members(b.doc, labels, json_path(x->spec, "template", "metadata", "labels", NULL));
    json_put_str(b.doc, labels, hash_label, hash);
    yyjson_val *notes = json_get(client_meta(x->owner), "annotations");
    if (json_len(notes)) {
        owned_copy_members(b.doc, json_mut_obj(b.doc, b.meta, "annotations"), notes);
    }
    client_body_owner(&b, x->kind, x->owner);
    json_put(b.doc, b.root, "data", json_mut_copy(b.doc, data));
    json_put_int(b.doc, b.root, "revision", number);
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE, .kind = k->kind,
                                .ns = x->ns, .tree = client_body_tree(&b)};
    sync_do(x->s, &rq, k->informer, on_created, made);
    sync_again(x->s);
}

static void bump(struct owned_sync *x, const struct owned_kind *k, struct object *revision,
                 int64_t number)
{
    struct client_body b = client_patch_new(x->a, revision);
    json_put_int(b.doc, b.root, "revision", number);
    sync_patch(x->s, k->informer, revision, &b, NULL, NULL);
    sync_again(x->s);
}

/* ---- the stages ---- */

static struct revision_choice choose(struct owned_sync *x, const struct owned_history *h,
                                     yyjson_val **ret_data)
{
    const yyjson_val *template = json_get(x->spec, "template");
    *ret_data = NULL;
    if (h->n > 0 && revision_is_of(&h->entries[h->n - 1], template)) { /* nearly always */
        return (struct revision_choice){.step = REVISION_KEEP, .at = h->n - 1};
    }
    yyjson_mut_doc *doc = json_mut_new(x->a);
    yyjson_val *data = json_freeze_shared(x->a, revision_data(doc, template));
    struct revision_choice choice = revision_choose(h->entries, h->n, data);
    *ret_data = data;
    if (choice.step == REVISION_CREATE && h->n > 0 &&
        revision_means(x->a, x->kind, object_root(x->owner), &h->entries[h->n - 1], data)) {
        choice.step = REVISION_KEEP;
    }
    return choice;
}

bool owned_revisions(struct owned_sync *x, const struct owned_kind *k, const char *hash_label,
                     struct owned_list list, struct owned_revision_memo *memo,
                     struct owned_history *ret)
{
    gather(x, &list, ret);
    struct object *newest = ret->n ? ret->objects[ret->entries[ret->n - 1].from] : NULL;
    yyjson_val *version = json_get(client_meta(x->owner), "generation");
    struct owned_revision_memo now = {json_int(version, 0), newest ? object_rev(newest) : 0};
    /* An owner on its way out makes no history; its pods keep what they have. */
    bool known =
        newest && now.generation > 0 && now.generation == memo->generation && now.rev == memo->rev;
    if (!known && !object_is_deleting(x->owner)) {
        yyjson_val *data;
        struct revision_choice choice = choose(x, ret, &data);
        if (choice.step == REVISION_CREATE) {
            create(x, k, hash_label, data, choice.number);
            return true;
        }
        assert(choice.at < ret->n);
        assert(ret->entries[choice.at].from < ret->n);
        if (choice.step == REVISION_BUMP) {
            bump(x, k, ret->objects[ret->entries[choice.at].from], choice.number);
            return true;
        }
        *memo = now;
    }
    if (newest) {
        ret->entries[ret->n - 1].live = true;
        ret->hash = owned_revision_hash(newest, hash_label);
    }
    return newest == NULL;
}

void owned_truncate(struct owned_sync *x, const struct owned_kind *k,
                    const struct owned_history *history)
{
    size_t excess = revision_excess(history->entries, history->n,
                                    json_get_int(x->spec, "revisionHistoryLimit", 10));
    for (size_t i = 0; i < history->n && excess > 0; i++) {
        if (history->entries[i].live) {
            continue;
        }
        struct object *o = history->objects[history->entries[i].from];
        assert(history->entries[i].from < history->n);
        sync_delete(x->s, k->informer, o, NULL, NULL);
        excess--;
    }
}
