/* access/access.h: who may do what: the roles and bindings there are, and the decision. Pure: no
 * I/O, no clock; the owner tells of every change.
 *
 * Bindings are found by their subjects and the namespace that they are for, roles by their key, so
 * that a decision looks at what belongs to the one who asks and at nothing else. A service account
 * is the user system:serviceaccount:NAMESPACE:NAME. Members of system:masters are not known here:
 * whoever asks deals with them first.
 *
 * Invariant: the entries under the subjects are those of the bindings there are, in the order of
 * their names; a subject without any is not there. */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "access/access_rule.h"

struct access;

enum access_kind {
    ACCESS_ROLE,
    ACCESS_ROLE_BINDING,
    ACCESS_CLUSTER_ROLE,
    ACCESS_CLUSTER_ROLE_BINDING,
    ACCESS_KINDS
};

struct access *access_new(void);
void access_free(struct access *x); /* NULL is fine */
/* The object is there, or has changed. What is needed of it is copied. ns: empty for those of the
 * cluster. */
void access_put(struct access *x, enum access_kind kind, struct span ns, struct span name,
                const yyjson_val *obj);
void access_drop(struct access *x, enum access_kind kind, struct span ns, struct span name);
/* How many there are, of all kinds. */
size_t access_count(const struct access *x);

/* May they? *ret_reason, in the arena, is which binding says so, or, when they may not, what went
 * wrong in finding it out: mostly nothing. */
bool access_decide(const struct access *x, struct arena *a, const struct access_request *r,
                   struct span *ret_reason);
/* Everything that the user may do in the namespace (empty: in the cluster); the rules are borrowed
 * until the next change. *ret_fault: roles that are missing, or empty. */
struct access_rules access_rules_of(const struct access *x, struct arena *a,
                                    const struct access_user *user, struct span ns,
                                    struct span *ret_fault);
/* The rules of the role that a binding refers to, borrowed until the next change. False: there is
 * no such role. ns: of the binding. */
bool access_role_rules(const struct access *x, struct span ref_kind, struct span ref_name,
                       struct span ns, struct access_rules *ret);
/* `role.rbac.authorization.k8s.io "x" not found` */
struct span access_no_role(struct arena *a, struct span ref_kind, struct span ref_name);

/* ---- access_text.c ---- */

/* `User "jane" cannot list resource "pods" in API group "" at the cluster scope` */
struct span access_cannot(struct arena *a, const struct access_request *r);

/* ---- access_grant.c ---- */

/* Does whoever holds those rules hold all of these? If not, *ret_fault is Kubernetes' sentence
 * about the user's attempt; fault: what access_rules_of said. */
bool access_may_grant(struct arena *a, const struct access_user *user,
                      const struct access_rules *held, struct span fault,
                      const struct access_rules *wanted, struct span *ret_fault);

#endif
