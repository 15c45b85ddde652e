/* client/client_body.h: small builders for request bodies, and readers of owner references, shared
 * by everything that lives on the client interface. Memory is the given arena's; spans are borrowed
 * until the body is written. */
#ifndef CLIENT_CLIENT_BODY_H
#define CLIENT_CLIENT_BODY_H

#include "client/client.h"
#include "codec/json_share.h"

struct client_body {
    struct arena *arena;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root, *meta;
};

/* {"kind":..,"apiVersion":..,"metadata":{"name":..}}: an object to create. name may be empty
 * (generateName). */
struct client_body client_body_new(struct arena *a, const struct schema_kind *kind,
                                   struct span name);
/* {"metadata":{"uid":..,"resourceVersion":..}}: a merge patch that only applies to this very
 * version. */
struct client_body client_patch_new(struct arena *a, struct object *at);
/* {"metadata":{"uid":..}}: a merge patch that only applies to this very object. */
struct client_body client_patch_any(struct arena *a, struct object *of);
/* What a request takes. Lives as long as the body's arena. */
struct json_shared *client_body_tree(const struct client_body *b);
/* The member of root, made when absent. */
yyjson_mut_val *client_body_obj(struct client_body *b, const char *key);
/* Sets metadata.ownerReferences to one controller reference (blockOwnerDeletion true). */
void client_body_owner(struct client_body *b, const struct schema_kind *kind, struct object *owner);
/* Patches metadata.ownerReferences to this list; an empty one takes the member away. */
void client_body_owners(struct client_body *b, yyjson_mut_val *list);
yyjson_mut_val *client_owner_new(yyjson_mut_doc *doc, const struct schema_kind *kind,
                                 struct span name, struct span uid, bool controller);

/* The resourceVersion of the version, for a precondition. */
struct span client_rev_text(struct arena *a, const struct object *o);
/* Members of an object's document that are asked for most; NULL when absent. Quick: stored objects
 * all begin alike. */
yyjson_val *client_meta(struct object *o);
yyjson_val *client_labels(struct object *o);
yyjson_val *client_spec(struct object *o);
yyjson_val *client_status(struct object *o);
/* metadata.ownerReferences; NULL when absent. */
yyjson_val *client_owners(struct object *o);
/* The owner reference with controller true; NULL when there is none. */
yyjson_val *client_controller_of(struct object *o);
/* uid and kind of the controller; empty when there is none. */
struct span client_controller_uid(struct object *o);
struct span client_controller_kind(struct object *o);
bool client_has_finalizer(struct object *o, const char *name);
/* A copy of a JSON array without the strings equal to `name`. */
yyjson_mut_val *client_without(yyjson_mut_doc *doc, const yyjson_val *strings, const char *name);
/* The condition of a type in status.conditions; NULL when absent. */
yyjson_val *client_condition(struct object *o, const char *type);
bool client_condition_true(struct object *o, const char *type);

/* A request about an existing object: kind, namespace and name taken from it. */
struct client_request client_request_for(enum client_verb verb, const struct schema_kind *kind,
                                         struct object *o);

#endif
