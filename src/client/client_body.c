/* client/client_body.c: see client_body.h. */
#include "client/client_body.h"

#include "base/check.h"
#include "schema/schema.h"
#include "schema/status.h"

struct client_body client_body_new(struct arena *a, const struct schema_kind *kind,
                                   struct span name)
{
    assert(a);
    assert(kind);
    struct client_body b = {.arena = a, .doc = json_mut_new(a)};
    b.root = yyjson_mut_obj(b.doc);
    yyjson_mut_doc_set_root(b.doc, b.root);
    json_put_str(b.doc, b.root, "kind", span_cstr(kind->kind));
    json_put_str(b.doc, b.root, "apiVersion", span_cstr(schema_api_version(kind)));
    b.meta = json_mut_obj(b.doc, b.root, "metadata");
    if (name.n) {
        json_put_str(b.doc, b.meta, "name", name);
    }
    return b;
}

struct client_body client_patch_any(struct arena *a, struct object *of)
{
    assert(a);
    assert(object_uid(of).n > 0);
    struct client_body b = {.arena = a, .doc = json_mut_new(a)};
    b.root = yyjson_mut_obj(b.doc);
    yyjson_mut_doc_set_root(b.doc, b.root);
    b.meta = json_mut_obj(b.doc, b.root, "metadata");
    json_put_str(b.doc, b.meta, "uid", object_uid(of));
    return b;
}

struct span client_rev_text(struct arena *a, const struct object *o)
{
    char digits[SPAN_NUMBER_BYTES];
    assert(a);
    assert(object_rev(o) > 0);
    return arena_dup(a, span_i64(digits, object_rev(o)));
}

struct client_body client_patch_new(struct arena *a, struct object *at)
{
    assert(object_rev(at) > 0);
    struct client_body b = client_patch_any(a, at);
    json_put_str(b.doc, b.meta, "resourceVersion", client_rev_text(a, at));
    return b;
}

struct json_shared *client_body_tree(const struct client_body *b)
{
    assert(b->arena);
    assert(b->root);
    return json_share_mut(b->arena, b->root);
}

yyjson_mut_val *client_body_obj(struct client_body *b, const char *key)
{
    assert(b->doc);
    assert(b->root);
    assert(key);
    return json_mut_obj(b->doc, b->root, key);
}

void client_body_owners(struct client_body *b, yyjson_mut_val *list)
{
    assert(yyjson_mut_is_arr(list));
    json_put(b->doc, b->meta, "ownerReferences",
             yyjson_mut_arr_size(list) ? list : yyjson_mut_null(b->doc));
}

yyjson_mut_val *client_owner_new(yyjson_mut_doc *doc, const struct schema_kind *kind,
                                 struct span name, struct span uid, bool controller)
{
    assert(name.n > 0);
    assert(uid.n > 0);
    yyjson_mut_val *ref = yyjson_mut_obj(doc);
    json_put_str(doc, ref, "apiVersion", span_cstr(schema_api_version(kind)));
    json_put_str(doc, ref, "kind", span_cstr(kind->kind));
    json_put_str(doc, ref, "name", name);
    json_put_str(doc, ref, "uid", uid);
    if (controller) {
        json_put_bool(doc, ref, "controller", true);
        json_put_bool(doc, ref, "blockOwnerDeletion", true);
    }
    return ref;
}

void client_body_owner(struct client_body *b, const struct schema_kind *kind, struct object *owner)
{
    assert(b->meta);
    assert(kind);
    assert(owner);
    yyjson_mut_val *list = yyjson_mut_arr(b->doc);
    yyjson_mut_arr_append(
        list, client_owner_new(b->doc, kind, object_name(owner), object_uid(owner), true));
    json_put(b->doc, b->meta, "ownerReferences", list);
}

/* kind and apiVersion come first, then metadata, then mostly spec and status: a step over a whole
 * member at a time, wherever it ends, instead of a look at every key. */
enum { META_AT = 2, LOOKS = 2 };

static inline bool is_key(const yyjson_val *v, struct span word)
{
    return v->tag >> YYJSON_TAG_BIT == word.n && memcmp(v->uni.str, word.p, word.n) == 0;
}

/* The key of metadata; NULL when that is not where it mostly is. */
static inline yyjson_val *meta_key(yyjson_val *root)
{
    yyjson_val *at = root + 1 + 2 * META_AT;
    assert(yyjson_is_obj(root));
    return unsafe_yyjson_get_len(root) > META_AT && is_key(at, SPAN("metadata")) ? at : NULL;
}

/* What is mostly one of the first after metadata. */
static inline yyjson_val *root_member(struct object *o, struct span name)
{
    yyjson_val *root = object_root(o), *at = meta_key(root);
    size_t n = at ? unsafe_yyjson_get_len(root) : 0;
    for (size_t i = META_AT + 1; i < n && i <= META_AT + LOOKS; i++) {
        at = unsafe_yyjson_get_next(at + 1);
        if (is_key(at, name)) {
            return at + 1;
        }
    }
    return json_get_span(root, name);
}

yyjson_val *client_meta(struct object *o)
{
    assert(o);
    yyjson_val *root = object_root(o), *at = meta_key(root);
    return at ? at + 1 : json_get(root, "metadata");
}

yyjson_val *client_labels(struct object *o)
{
    assert(o);
    return json_get(client_meta(o), "labels");
}

yyjson_val *client_spec(struct object *o)
{
    assert(o);
    return root_member(o, SPAN("spec"));
}

yyjson_val *client_status(struct object *o)
{
    assert(o);
    return root_member(o, SPAN("status"));
}

yyjson_val *client_owners(struct object *o)
{
    assert(o);
    return object_owners(o);
}

yyjson_val *client_controller_of(struct object *o)
{
    assert(o);
    return object_controller(o);
}

struct span client_controller_uid(struct object *o)
{
    assert(o);
    return object_controller_part(o, OBJECT_OWNER_UID);
}

struct span client_controller_kind(struct object *o)
{
    assert(o);
    return object_controller_part(o, OBJECT_OWNER_KIND);
}

bool client_has_finalizer(struct object *o, const char *name)
{
    assert(o);
    assert(name);
    JSON_EACH(it, json_get(client_meta(o), "finalizers"))
    {
        if (span_eq_cstr(json_str(it.val), name)) {
            return true;
        }
    }
    return false;
}

yyjson_mut_val *client_without(yyjson_mut_doc *doc, const yyjson_val *strings, const char *name)
{
    assert(doc);
    assert(name);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    JSON_EACH(it, strings)
    {
        if (!span_eq_cstr(json_str(it.val), name)) {
            yyjson_mut_arr_append(list, json_mut_copy(doc, it.val));
        }
    }
    return list;
}

yyjson_val *client_condition(struct object *o, const char *type)
{
    assert(o);
    assert(type);
    return json_find(json_get(client_status(o), "conditions"), "type", span_cstr(type));
}

bool client_condition_true(struct object *o, const char *type)
{
    assert(type);
    assert(o);
    return span_eq(json_get_str(client_condition(o, type), "status"), SPAN("True"));
}

struct client_request client_request_for(enum client_verb verb, const struct schema_kind *kind,
                                         struct object *o)
{
    assert(kind);
    assert(o);
    return (struct client_request){CLIENT_REQUEST_INIT, .verb = verb, .kind = kind,
                                   .ns = object_namespace(o), .name = object_name(o)};
}
