/* controller/quota_wait.h: keys whose write a quota has refused, woken when a quota of their
 * namespace gives room: their back-off may be long by then. Quotas are watched from the first such
 * refusal on; who meets none pays nothing. */
#ifndef CONTROLLER_QUOTA_WAIT_H
#define CONTROLLER_QUOTA_WAIT_H

#include "base/err.h"
#include "client/informer_set.h"

struct quota_wait;

/* wake(data, key) runs in the turn in which the quota changes. */
struct quota_wait *quota_wait_new(struct informer_set *informers,
                                  void (*wake)(void *data, struct span key), void *data);
void quota_wait_free(struct quota_wait *w); /* NULL is fine; before the informers */
/* A write for this key, NAMESPACE/NAME, has failed: if that is a quota's doing, it waits. */
void quota_wait_note(struct quota_wait *w, const struct err *err, struct span key);

#endif
