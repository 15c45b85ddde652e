/* apiserver/quota.h: the accounts of all ResourceQuotas, kept right while objects come and go.
 *
 * A namespace with a quota has a ledger: an account for each of its quotas (plan/quota_plan.h), and
 * a watcher for each resource of the API that any of them counts, so that an event costs what it
 * changes; a namespace without one costs nothing but a look into a map. What is stored is counted
 * from the hub's events, which are taken up to the present before anything is decided. A write
 * that is let through pledges what it would use more until the hub shows it or it has failed: so
 * no two writes of a turn share the same room. What is in force is the spec of the quota as it is
 * stored; its status is written when an account changes.
 *
 * Nothing is kept across a restart: the ledgers are made of what is stored. */
#ifndef APISERVER_QUOTA_H
#define APISERVER_QUOTA_H

#include "apiserver/op.h"

struct quotas;
struct quota_claim;

struct quotas *quotas_new(struct apiserver *s);
void quotas_free(struct quotas *q); /* NULL is fine */

/* May obj be written in place of old (NULL: created)? Then op holds the pledge, but in a dry run.
 * -1 with op->err. */
int quotas_admit(struct api_op *op, const yyjson_val *obj, const yyjson_val *old);
/* What op holds has been submitted. */
void quotas_submitted(struct api_op *op);
/* The write has come to its end, or there is none: gives up what op holds, if anything. */
void quotas_release(struct api_op *op);

#endif
