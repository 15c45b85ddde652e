/* apiserver/write.h: the one way in which an object gets into the store.
 *
 * A write is decided by op->attempt() from the latest state (store_peek) and submitted with that
 * revision, so it cannot lose another's change. When the state turned out to be another after all
 * (a failed commit took writes of this turn back) the attempt is made again, which evaluates the
 * client's own preconditions afresh. An answer without a write (not found, a conflict, nothing to
 * change) may rest on writes that are not durable yet, of this key or another: it waits for them
 * and, when they failed, is decided again. */
#ifndef APISERVER_WRITE_H
#define APISERVER_WRITE_H

#include "apiserver/op.h"

/* Runs op->attempt; finishes op when it returns -1 (op->err set) or 1 (result set). 0: submitted,
 * done later. */
void write_start(struct api_op *op);
/* Submits. Returns 0; -1 with op->err: it is too large. */
int write_submit(struct api_op *op, int64_t expect_rev, const struct object_body *body);
int write_submit_delete(struct api_op *op, struct object *current);

/* An attempt to create what op->body says. */
int op_create_attempt(struct api_op *op);

/* The client's object as our tree, kind and apiVersion checked and set; stored: what it replaces,
 * or NULL. NULL with op->err. */
yyjson_mut_val *write_decode(struct api_op *op, const yyjson_val *in, const yyjson_val *stored,
                             yyjson_mut_doc *doc);
/* The same of a patched object of a built-in kind, as an immutable tree. */
const yyjson_val *write_decode_tree(struct api_op *op, const yyjson_val *in,
                                    const yyjson_val *stored);
/* Is `in` of this kind, as far as it says so? -1 with op->err. */
int write_check_kind(struct api_op *op, const struct schema_kind *kind, const char *api_version,
                     const yyjson_val *in);
/* Errors of an update: no name in the body; another uid in it than the object's. Return -1. */
int write_err_nameless(struct api_op *op);
int write_conflict_uid(struct api_op *op, struct span wanted, struct span is);
/* op->body, of a sub-resource, is to be of this kind: decoded in its place; -1 with op->err. */
int write_decode_body(struct api_op *op, const struct schema_kind *kind);
/* The defaults of that tree, or of what op->mutate made, once metadata and status are set. */
void write_defaults(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj);

/* Warnings that go with every write of the kind, and those of this object. */
void write_warn(struct api_op *op);
void write_warn_object(struct api_op *op, const yyjson_val *obj);
/* What to store of obj, which is also there as an immutable tree: custom kinds have one version for
 * that. */
struct object_body write_stored(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                                const yyjson_val *frozen);

/* The answer of a dry run: what would be stored, at the revision that is. Returns 1. */
int write_dry_result(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj, int64_t rev);

/* op_sub.c: of what is wanted, obj takes this list of spec; an empty one is none. */
void op_sub_take_list(yyjson_mut_doc *doc, yyjson_mut_val *obj, yyjson_mut_val *wanted,
                      const char *name);
/* op_update.c: what the client wants the object to be: the one it sends, or current patched. NULL
 * with op->err. */
yyjson_mut_val *op_update_wanted(struct api_op *op, struct object *current, yyjson_mut_doc *doc);

/* ---- writes to /status (apiserver/write_status.c) ---- */

/* The head of an object: kind, apiVersion, metadata and status. Strings are shared. */
const yyjson_val *write_head_of(struct arena *a, const yyjson_val *obj);
/* Does op->body, a patch of /status, speak of nothing but the head? */
bool write_patches_head(const struct api_op *op);
/* Can the new status in obj be dealt with in the head of the old object alone? */
bool write_changes_head(const struct api_op *op, const yyjson_mut_val *obj, const yyjson_val *old);

/* A head as it is stored, and as it is to be, without versions and managedFields. */
struct write_head {
    const yyjson_val *was, *next;
};
/* head->next: head->was, which a merge patch leaves as it is but for the status, which is that one,
 * decoded. False: no head alone. */
bool write_head_next(const struct api_op *op, const yyjson_val *status, struct write_head *head);
/* write_change() of such a head. */
int write_change_head(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                      const struct write_head *head);

/* What follows the change of an existing object, for every kind of update: server-owned metadata,
 * defaults, admission, generation, validation, no-op, finalizers, dry run, submit. `status` says
 * that only status (and labels, annotations, finalizers) may change. Returns as an attempt does. */
int write_change(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                 yyjson_mut_val *obj, bool status);

#endif
