/* apiserver/authorize.h: what somebody may do, by the roles and bindings that are stored.
 *
 * Members of system:masters, the control socket and what runs in this process may do everything and
 * are never looked up. For others there is an index of roles and bindings (access/), made when the
 * first of them asks and kept by change from then on; each decision first takes in what has been
 * stored meanwhile, so that a permission counts from the reply to its write on. */
#ifndef APISERVER_AUTHORIZE_H
#define APISERVER_AUTHORIZE_H

#include "access/access.h"
#include "apiserver/op.h"

struct roles;

void roles_free(struct roles *r); /* NULL is fine */

/* Groups stand one after the other, each but the last of which ends in a newline. */
bool authorize_has_group(struct span groups, struct span group);
/* Of system:masters. */
bool authorize_is_master(struct span groups);
/* The groups with this one among them. */
struct span authorize_with_group(struct arena *a, struct span groups, struct span group);
/* op.user and op.groups; lives in the arena. */
struct access_user authorize_user(struct arena *a, struct span name, struct span groups);
/* Also right for members of system:masters. *ret_reason: as access_decide() has it. */
bool authorize(struct apiserver *s, struct arena *a, const struct access_request *r,
               struct span *ret_reason);
/* Everything that the user may do in the namespace; borrowed for this turn. */
struct access_rules authorize_rules(struct apiserver *s, struct arena *a,
                                    const struct access_user *user, struct span ns,
                                    struct span *ret_fault);
/* Of the role that a binding in this namespace refers to; borrowed for this turn. False: there is
 * none. */
bool authorize_role(struct apiserver *s, struct span ref_kind, struct span ref_name, struct span ns,
                    struct access_rules *ret);
/* The answer to what is not allowed. */
struct err authorize_forbidden(struct arena *a, const struct access_request *r, struct span reason);

/* ---- what depends on the object; for an op.is_limited, the others may: 0, or -1 with op->err ----
 */

/* An apply that finds nothing creates. */
int authorize_apply_create(struct api_op *op);
/* authorize_grant.c: a role or binding gives nothing that its writer does not have, unless they may
 * `escalate` or `bind`. old: NULL when it is created. */
int authorize_grant(struct api_op *op, const yyjson_mut_val *obj, const yyjson_val *old);
/* A certificate request is approved by who may `approve`, and gets its certificate by who may
 * `sign` for its signer. obj: with the new status. */
int authorize_status(struct api_op *op, const yyjson_mut_val *obj, const yyjson_val *old);

#endif
