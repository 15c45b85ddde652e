/* controller/reconciler.h: the shell that every controller shares: a work queue whose keys are
 * NAMESPACE/NAME, and the life of one sync.
 *
 * A sync observes and decides inside one call, and acts by sync_do(). It lasts until every write
 * has been answered and is visible in the informer it belongs to; only then is its key free to be
 * looked at again. So no decision is ever made on a view that lacks the controller's own writes. An
 * event that arrives meanwhile makes the key run once more. */
#ifndef CONTROLLER_RECONCILER_H
#define CONTROLLER_RECONCILER_H

#include "base/arena.h"
#include "client/client_body.h"
#include "controller/controller.h"

struct reconciler;
struct sync;

struct sync {
    struct reconciler *reconciler;
    struct client *client;
    struct arena *arena; /* lives as long as the sync */
    struct span ns, name;
    int64_t now_ms;
    void *controller;
};

/* name: for log events, static. observe-decide-act runs in `run`. */
struct reconciler *reconciler_new(const struct controller_place *place, const char *name,
                                  size_t parallel, void (*run)(struct sync *s), void *controller);
void reconciler_free(struct reconciler *r);
/* The handler, with this data, sees the informer's events until reconciler_free(). */
void reconciler_follow(struct reconciler *r, struct informer *informer,
                       const struct informer_handler *handler, void *data);
void reconciler_add(struct reconciler *r, struct span ns, struct span name);
void reconciler_add_object(struct reconciler *r, struct object *o);
/* All of a place, once its views are complete. No key runs before this: those added earlier wait.
 */
void reconcilers_start(struct list *reconcilers);
/* All of a place, whose views end right after them: they need not leave these one by one. */
void reconcilers_let_go(struct list *reconcilers);

/* Called with the reply before the default handling. Returns true when it has dealt with an error.
 */
typedef bool sync_reply_fn(struct sync *s, void *data, const struct client_reply *reply);
/* Sends a write of this sync. seen_in: the informer that must show it before the sync ends (NULL:
 * do not wait). fn may be NULL. An error that fn does not take makes the sync fail: its key runs
 * again after a back-off. */
void sync_do(struct sync *s, const struct client_request *request, struct informer *seen_in,
             sync_reply_fn *fn, void *data);
/* What of an object of the informer is written most: a merge patch of it or of its status, and its
 * deletion, that of this very object (by its uid). */
void sync_patch(struct sync *s, struct informer *seen_in, struct object *o,
                const struct client_body *b, sync_reply_fn *fn, void *data);
void sync_patch_status(struct sync *s, struct informer *seen_in, struct object *o,
                       const struct client_body *b, sync_reply_fn *fn, void *data);
void sync_delete(struct sync *s, struct informer *seen_in, struct object *o, sync_reply_fn *fn,
                 void *data);
/* For fn: there is nothing left to write when the object is gone; or gone, or not the one meant. */
bool sync_or_gone(struct sync *s, void *data, const struct client_reply *reply);
bool sync_or_changed(struct sync *s, void *data, const struct client_reply *reply);
/* Run once more as soon as this sync has ended. */
void sync_again(struct sync *s);
void sync_after(struct sync *s, int64_t delay_ms);
/* Run again at that time (as of now_ms); 0 or earlier: need not. */
void sync_at(struct sync *s, int64_t at_ms);
/* Run again after a back-off. */
void sync_fail(struct sync *s);

#endif
