/* apiserver/default_roles.h: the roles that every cluster has, and who has them. Pure.
 *
 * Those that users are given (cluster-admin, admin, edit, view; the last three collected by labels
 * from others), what everybody may do who is known, and what monitors and delegates need. As in
 * Kubernetes one that a user has changed is left as it is, with what is missing of it added, unless
 * its annotation rbac.authorization.kubernetes.io/autoupdate says otherwise. */
#ifndef APISERVER_DEFAULT_ROLES_H
#define APISERVER_DEFAULT_ROLES_H

#include "codec/json.h"
#include "schema/schema.h"

size_t default_roles_count(void);
/* Roles come before bindings. */
const struct schema_kind *default_role_kind(size_t i);
const char *default_role_name(size_t i);
/* What is to be stored, in the arena: the whole object when there is none (NULL), a completed one,
 * or NULL when nothing is missing. */
const yyjson_val *default_role_object(struct arena *a, size_t i, const yyjson_val *current);

#endif
