/* update and patch of an object or of its status. */
#include "apiserver/definitions.h"
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "schema/kinds.h"
#include "schema/patch.h"

/* The object that a patch is for. managedFields are taken apart only for patches that may name
 * them. */
static const yyjson_val *patch_base(struct api_op *op, struct object *current)
{
    const yyjson_val *root = object_root(current);
    bool named =
        op->patch_type == API_PATCH_JSON || json_path(op->body, "metadata", "managedFields", NULL);
    const yyjson_val *managed = json_path(root, "metadata", "managedFields", NULL);
    if (!named || !managed) {
        return root;
    }
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *whole = json_mut_copy(doc, root);
    json_put(doc, json_mut_get(whole, "metadata"), "managedFields",
             json_mut_copy(doc, json_whole(op->arena, managed)));
    return json_freeze(op->arena, whole);
}

/* Of metadata, most patches name only what they have seen there, to be refused when it is another:
 * then it stays as it is. NULL: it may change. */
static const yyjson_val *metadata_seen(const struct api_op *op, const yyjson_val *was)
{
    const yyjson_val *meta = json_get(was, "metadata"), *named = json_get(op->body, "metadata");
    if (op->view || op->kind->custom) {
        return NULL;
    }
    if (!named) {
        return meta;
    }
    bool known = json_len(named) > 0;
    JSON_EACH(it, named)
    {
        const yyjson_val *v = it.key ? json_get_span(meta, json_str(it.key)) : NULL;
        known = known && v && yyjson_is_str(it.val) && json_identical(it.val, v);
    }
    return known ? meta : NULL;
}

static yyjson_mut_val *metadata_kept(yyjson_mut_doc *doc, const yyjson_val *meta)
{
    yyjson_mut_val *copy = json_mut_copy(doc, meta);
    json_remove(copy, "managedFields");
    return copy;
}

/* The metadata of obj, when all of it is patched and decoded. */
static bool is_as_decoded(struct api_op *op, yyjson_mut_doc *doc, const yyjson_val *was,
                          const yyjson_mut_val *obj)
{
    struct err e = {0};
    const yyjson_val *whole = patch_merge_quick(op->arena, was, op->body, true);
    yyjson_mut_val *out = schema_decode(op->arena, op->kind, whole, doc, SCHEMA_IGNORE, NULL, &e);
    return out && span_eq(json_write_mut(op->arena, json_mut_get(out, "metadata")),
                          json_write_mut(op->arena, json_mut_get(obj, "metadata")));
}

/* A merge patch of the usual sort. NULL without an error: it is of another, or *head is known. */
static yyjson_mut_val *merged(struct api_op *op, const yyjson_val *was, yyjson_mut_doc *doc,
                              struct write_head *head)
{
    const yyjson_val *meta = metadata_seen(op, was);
    const yyjson_val *quick = patch_merge_quick(op->arena, was, op->body, !meta);
    yyjson_mut_val *obj = NULL;
    if (quick && meta) {
        const yyjson_val *tree = write_decode_tree(op, quick, was);
        if (tree && head->was && write_head_next(op, json_get(tree, "status"), head)) {
            return NULL;
        }
        obj = json_mut_copy(doc, tree);
    } else if (quick) {
        obj = write_decode(op, quick, was, doc);
    }
    if (obj && meta) {
        json_put(doc, obj, "metadata", metadata_kept(doc, meta));
        verify(is_as_decoded(op, doc, was, obj));
    }
    return obj;
}

/* NULL without an error: *head is known, which is all that changes. */
static yyjson_mut_val *patched(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                               struct write_head *head)
{
    const struct schema_kind *shown = op->view ? op->view : op->kind;
    const yyjson_val *was = patch_base(op, current);
    was = op->view ? schema_view(op->arena, op->view, was) : was;
    if (api_sub_is(op, "status") && write_patches_head(op)) {
        was = head->was = write_head_of(op->arena, was);
    }
    yyjson_mut_val *out = op->patch_type == API_PATCH_MERGE ? merged(op, was, doc, head) : NULL;
    if (out || head->next || op->err.reason != ERR_NONE) {
        return out;
    }
    switch (op->patch_type) {
    case API_PATCH_JSON:
        out = patch_json(op->arena, doc, was, op->body, &op->err);
        break;
    case API_PATCH_MERGE:
        out = patch_merge(op->arena, doc, was, op->body, &op->err);
        break;
    case API_PATCH_STRATEGIC:
        out = patch_strategic(op->arena, doc, shown->type, was, op->body, &op->err);
        break;
    case API_PATCH_APPLY:
        break;
    }
    if (!out) {
        assert(op->err.reason != ERR_NONE);
        return NULL;
    }
    yyjson_mut_val *meta = json_mut_get(out, "metadata");
    if (yyjson_mut_is_raw(json_mut_get(meta, "managedFields"))) {
        json_remove(meta, "managedFields"); /* not given: they stay as they are */
    }
    return write_decode(op, json_freeze_shared(op->arena, out), was, doc);
}

yyjson_mut_val *op_update_wanted(struct api_op *op, struct object *current, yyjson_mut_doc *doc)
{
    assert(current);
    assert(doc);
    struct write_head none = {0};
    assert(!api_sub_is(op, "status"));
    return op->verb == API_PATCH ? patched(op, current, doc, &none)
                                 : write_decode(op, op->body, object_root(current), doc);
}

/* Nothing is there; who names a uid has seen something. */
static int update_gone(struct api_op *op)
{
    struct span uid = json_str(json_path(op->body, "metadata", "uid", NULL));
    bool replaced = op->verb == API_UPDATE && uid.n && (!op->mutate || api_sub_is(op, "scale"));
    return replaced ? write_conflict_uid(op, uid, SPAN_NULL) : api_op_not_found(op);
}

static bool has_owner(struct object *o, struct span uid)
{
    return json_find(json_path(object_root(o), "metadata", "ownerReferences", NULL), "uid", uid) !=
           NULL;
}

static bool leaves_its_own(struct object *set)
{
    JSON_EACH(it, json_path(object_root(set), "metadata", "finalizers", NULL))
    {
        if (object_is_deleting(set) && span_eq_cstr(json_str(it.val), "orphan")) {
            return true;
        }
    }
    return false;
}

/* A claim that is given to a set which has just gone would go with its data, though the set may
 * have been deleted so that its claims stay: a controller that has not seen that yet is told to
 * look again. */
static int check_claim_owners(struct api_op *op, struct object *current, yyjson_mut_val *obj)
{
    size_t i, n;
    yyjson_mut_val *ref, *list = json_mut_get(json_mut_get(obj, "metadata"), "ownerReferences");
    if (op->kind != SCHEMA_KIND(PersistentVolumeClaim)) {
        return 0;
    }
    yyjson_mut_arr_foreach(list, i, n, ref)
    {
        struct span uid = json_mut_str(json_mut_get(ref, "uid")),
                    name = json_mut_str(json_mut_get(ref, "name"));
        if (!span_eq_cstr(json_mut_str(json_mut_get(ref, "kind")), "StatefulSet") ||
            has_owner(current, uid)) {
            continue;
        }
        struct object *set =
            api_peek(op->server, op->arena, SCHEMA_KIND(StatefulSet)->resource, op->ns, name);
        if (!set || !span_eq(object_uid(set), uid) || leaves_its_own(set)) {
            return api_op_conflict(
                op, arena_printf(op->arena,
                                 "its new owner, StatefulSet \"%.*s\", is gone or leaves what it "
                                 "owns: the claim would be deleted with its data",
                                 SPAN_ARG(name)));
        }
    }
    return 0;
}

struct left_claims {
    struct span set; /* its uid */
    struct object *owned;
};

static bool see_claim(void *data, struct object *claim)
{
    struct left_claims *x = data;
    x->owned = has_owner(claim, x->set) ? claim : NULL;
    return !x->owned;
}

/* A set that leaves what it owns does not end while a claim names it: the garbage collector, a
 * moment behind, has not seen the claim, and would take it with its data once the set is gone. */
static int check_left_claims(struct api_op *op, struct object *current, yyjson_mut_val *obj)
{
    yyjson_mut_val *finalizers = json_mut_get(json_mut_get(obj, "metadata"), "finalizers"), *one;
    size_t i, n;
    if (op->kind != SCHEMA_KIND(StatefulSet) || !leaves_its_own(current)) {
        return 0;
    }
    yyjson_mut_arr_foreach(finalizers, i, n, one)
    {
        if (span_eq_cstr(json_mut_str(one), "orphan")) {
            return 0;
        }
    }
    struct left_claims x = {.set = object_uid(current)};
    struct watch_filter claims = {
        .resource = span_cstr(SCHEMA_KIND(PersistentVolumeClaim)->resource), .ns = op->ns};
    (void)watch_hub_list(op->server->hub, &claims, SPAN_NULL, see_claim, &x);
    return x.owned ? api_op_conflict(
                         op, arena_printf(op->arena,
                                          "it leaves what it owns, and PersistentVolumeClaim "
                                          "\"%.*s\" still names it as an owner: the claim would be "
                                          "deleted with its data",
                                          SPAN_ARG(object_name(x.owned))))
                   : 0;
}

static int update_attempt(struct api_op *op)
{
    struct object *current = store_peek(op->server->store, op->key);
    if (!current) {
        return update_gone(op);
    }
    current = definitions_in_version(op->arena, op->kind, current);
    /* An approval is a condition of a certificate request, which is in its status. */
    bool to_status = api_sub_is(op, "status") || api_sub_is(op, "approval");
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *obj = NULL;
    struct write_head head = {0};
    if (op->mutate) {
        if (op->mutate(op, current, doc, &obj)) {
            return -1;
        }
    } else if (op->verb == API_PATCH) {
        obj = patched(op, current, doc, &head);
        if (head.next) {
            return write_change_head(op, current, doc, &head);
        }
    } else {
        obj = write_decode(op, op->body, object_root(current), doc);
        if (obj && !json_mut_str(json_mut_get(json_mut_get(obj, "metadata"), "name")).n) {
            return write_err_nameless(op);
        }
    }
    if (!obj || check_claim_owners(op, current, obj) || check_left_claims(op, current, obj)) {
        return -1;
    }
    return write_change(op, current, doc, obj, to_status);
}

void op_update(struct api_op *op)
{
    if (!op->body) {
        (void)api_op_err(op, ERR_BAD_REQUEST, "the request has no body");
        api_op_finish(op);
        return;
    }
    if (op->kind->custom && op->verb == API_PATCH && op->patch_type == API_PATCH_STRATEGIC &&
        !api_sub_is(op, "scale")) {
        (void)api_op_err(op, ERR_UNSUPPORTED_MEDIA_TYPE,
                         "the body of the request was in an unknown format - accepted media types "
                         "include: application/json-patch+json, application/merge-patch+json, "
                         "application/apply-patch+yaml");
        api_op_finish(op);
        return;
    }
    if (!op->sub) {
        write_warn(op);
    }
    op->attempt = update_attempt;
    write_start(op);
}
