/* codec/object.h: one immutable, reference counted version of an API object.
 *
 * The serialised bytes are made once and shared by the store, GETs, LISTs and every watcher. They
 * always start with
 * {"kind":...,"apiVersion":...,"metadata":{"resourceVersion":"REV", so that the revision, known
 * only at commit, is spliced in by object_new() and nowhere else. The parsed document is made on
 * first use and kept. Loop thread only, except object_json() bytes of a held reference, which any
 * thread may read. Under BERTH_VERIFY the bytes are hashed at birth and checked at death: published
 * versions are const. */
#ifndef CODEC_OBJECT_H
#define CODEC_OBJECT_H

#include <yyjson.h>

#include "base/cleanup.h"
#include "base/span.h"

struct object;

/* rev 0: made for one answer, stored nowhere: it has no resourceVersion.
 * key: "RESOURCE.GROUP/NAMESPACE/NAME" as made by object_key(); body: JSON of the object without a
 * metadata.resourceVersion, starting as described (codec/object.c: object_body_ok). Both are
 * copied. */
struct object *object_new(struct span key, int64_t rev, struct span body);
/* True when body starts as described; what comes from a disk is asked before object_new(). */
bool object_body_ok(struct span body);
struct object *object_ref(struct object *o);
void object_unref(struct object *o); /* NULL is fine */
/* Takes a reference that the arena gives back when it is cleared. Returns the object. */
struct arena;
struct object *object_hold(struct arena *a, struct object *o);

int64_t object_rev(const struct object *o);
struct span object_store_key(const struct object *o);
/* Complete JSON, resourceVersion included. */
struct span object_json(const struct object *o);
/* Appends the bytes as the store keeps them (no resourceVersion) in two pieces without a copy. */
void object_body_parts(const struct object *o, struct span ret_parts[2]);
/* The parsed document's root; never NULL for a version made from valid JSON. Lives as long as the
 * object. metadata.managedFields, when they are the first member of metadata (as our server stores
 * them), are not taken apart: they are one raw value (json_whole() parses it), because they have as
 * many members as the rest and hardly anybody reads them. Copies and writers pass raw values on. */
yyjson_val *object_root(struct object *o);
bool object_has_root(const struct object *o); /* whether the document is there; for tests */
/* The text of the member of object_root() where the iterator stands, within object_json(). Empty
 * when its key has escapes. */
struct json_iter;
struct span object_member_text(struct object *o, const struct json_iter *member);
/* Drops the parsed document to save memory; the next object_root() parses again. Only when no value
 * is in use. */
void object_forget_root(struct object *o);

/* A look at an object that nobody may need to look at again: between begin and end object_root() is
 * valid as always, and at the end a document that was parsed meanwhile is dropped. It stays when it
 * was there before, or when somebody has taken a reference and may have kept values. Whoever keeps
 * values of an object beyond a call keeps a reference to it, too. object NULL is fine. */
struct object_glance {
    struct object *object; /* owned reference */
    uint32_t refs;
    bool had_root;
};
struct object_glance object_glance_begin(struct object *o);
void object_glance_end(struct object_glance *glance);

/* Several will glance at this version soon: what one of them parses is there for the next, until
 * object_cool(). Calls nest. The caller holds a reference. */
void object_warm(struct object *o);
void object_cool(struct object *o);

/* A body with the tree that it is the text of: what was just serialised need not be parsed. */
struct arena;
struct object_body {
    struct span text;
    const yyjson_val *tree;
    const uint32_t *places; /* of each of its values: where in text a string's first byte stands */
};
/* tree begins as a body has to. Its strings are shared. */
struct object_body object_body_of(struct arena *a, const yyjson_val *tree);
/* The next version of o: the members of head, all of which o has, in place of o's own; the others
 * keep their text, and share their strings with object_root(o). */
struct object_body object_body_next(struct arena *a, struct object *o, const yyjson_val *head);
/* Gives a warm version that nobody has looked at yet its document. The body is copied. */
void object_adopt_tree(struct object *o, const struct object_body *body);
/* Is the document there, or will it be before long, so that a look costs nothing more? */
bool object_is_parsed(const struct object *o);

/* From the key ("statefulsets.apps" of "statefulsets.apps/default/redis"); empty when absent. */
struct span object_resource(const struct object *o);
/* "default/redis-0", the key's end; the other way into b, in place of what was there. */
struct span object_place(const struct object *o);
struct strbuf;
struct span object_place_of(struct strbuf *b, struct span ns, struct span name);
struct span object_name(struct object *o);
struct span object_namespace(struct object *o);
/* From the parsed document; empty when absent. */
struct span object_uid(struct object *o);
/* True when metadata.deletionTimestamp is set. */
bool object_is_deleting(struct object *o);
/* metadata.ownerReferences, or NULL. Like the two before, not taken apart again for an object that
 * has none. */
yyjson_val *object_owners(struct object *o);
/* The one of them that is the controller, or NULL. */
yyjson_val *object_controller(struct object *o);
bool object_has_controller(struct object *o);
/* What that reference says, empty when there is none. Needs no document of a version that was
 * looked at before, and lives as long as the object. */
enum object_owner_part {
    OBJECT_OWNER_VERSION,
    OBJECT_OWNER_KIND,
    OBJECT_OWNER_NAME,
    OBJECT_OWNER_UID,
    OBJECT_OWNER_PARTS
};
struct span object_controller_part(struct object *o, enum object_owner_part part);
/* What a look at known has found out is so of o, too, if it is the same but for the revision: a
 * deletion's version mostly is the last one once more. */
void object_take_sketch(struct object *o, const struct object *known);

/* A sketch of metadata.labels, so that a selector over many objects does not take each apart: an
 * object that has the label has all bits of object_label_bits() set (value NULL: the key with
 * whatever value). The converse does not hold. All bits while nobody has looked at the document
 * yet. */
uint64_t object_labels_sketch(const struct object *o);
uint64_t object_label_bits(struct span key, const struct span *value);

/* A figure about the version that somebody finds hard to come by and keeps here: the bytes that it
 * takes in a list in protobuf. 0: not known. */
uint32_t object_list_bytes(const struct object *o);
void object_set_list_bytes(struct object *o, uint32_t bytes);

/* Store keys: "pods/default/redis-0", "statefulsets.apps/default/redis", "nodes//edge" (cluster
 * scope: empty namespace). resource is the plural, with ".GROUP" unless the group is core. */
struct span object_key(struct arena *a, struct span resource, struct span ns, struct span name);
/* Splits a key; returns false when it is not of that form. */
bool object_key_split(struct span key, struct span *ret_resource, struct span *ret_ns,
                      struct span *ret_name);

CLEANUP_DEFINE(struct object *, object_unref)
#define cleanup_object CLEANUP(cleanup_object_unref_fn)

#endif
