/* apiserver/admission.h: what the server adds to objects or refuses beyond their own rules: things
 * that depend on other objects (namespaces, the default class, free addresses) or on the kind's
 * life. */
#ifndef APISERVER_ADMISSION_H
#define APISERVER_ADMISSION_H

#include "apiserver/op.h"

/* Those that bootstrap makes; none of them is for all pods. */
enum { PRIORITY_SYSTEM_CLASSES = 2 };

/* The namespace exists and is not being ended. Returns 0, or -1 with op->err. */
int admission_namespace(struct api_op *op);
/* After defaults, before validation. */
int admission_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj);
int admission_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                     const yyjson_val *old);
/* Once it is known to be valid: may this be written? old NULL: it is created. What bounds and
 * quotas of the namespace say; the last thing before the write is submitted. */
int admission_final(struct api_op *op, const yyjson_val *obj, const yyjson_val *old);
/* As a refusal calls the object: by the beginning of a name that is made up at each try, so that
 * who tries again is refused in the same words. */
struct span admission_called(const struct api_op *op, struct span generate_name);
/* Refuses a valid object, by that name. Returns -1. */
int admission_forbid(struct api_op *op, const yyjson_val *obj, struct span why);
/* May this object be deleted at all? */
int admission_delete(struct api_op *op, const yyjson_val *obj);
/* admission_near.c: what matchLabelKeys and mismatchLabelKeys of a new pod's affinity and spread
 * constraints mean for its labels becomes part of their selectors. */
void admission_near(yyjson_mut_doc *doc, yyjson_mut_val *pod);
/* admission_limits.c: resources for a new pod whose containers name none, by the LimitRanges of its
 * namespace. */
void admission_limits_default(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *pod);
/* admission_token.c: a new pod's volume and mounts for the token of its account (which may be
 * NULL), unless it or the account does not want them. Nothing on a server without tokens. */
void admission_token(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec,
                     const struct object *account);
void admission_token_init(struct apiserver *s);
/* admission_secret.c: what a Secret for a token lacks, of a new one or one that may change. */
void admission_secret(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj);
/* admission_service.c: addresses and node ports. */
int admission_service_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj);
int admission_service_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                             const yyjson_val *old);
/* Addresses and node ports of stored Services are taken: at start, over everything there is. */
void admission_claim_existing(struct apiserver *s);

#endif
