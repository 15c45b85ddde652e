/* client/client.h: how every part of Berth talks to the API: the same verbs, in process or over
 * HTTPS.
 *
 * controller/, kubelet/ and net/ see this interface only, so they run in one process with the API
 * server, in several, against another vendor's API server, or in the simulator. All calls are
 * asynchronous: the reply never arrives inside the call. In process, objects are shared by
 * reference, not copied or re-parsed. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "base/err.h"
#include "codec/object.h"
#include "env/env.h"

struct json_shared; /* codec/json_share.h */
struct schema_kind; /* schema/schema.h; schema_kind_find("apps", "StatefulSet") or the SCHEMA_KIND_
                       macros */

struct client;

enum client_verb {
    CLIENT_GET,
    CLIENT_LIST,
    CLIENT_CREATE,
    CLIENT_UPDATE,
    CLIENT_PATCH_JSON,      /* RFC 6902 */
    CLIENT_PATCH_MERGE,     /* RFC 7386 */
    CLIENT_PATCH_STRATEGIC, /* Kubernetes strategic merge */
    CLIENT_DELETE,
};

enum client_propagation {
    CLIENT_PROPAGATION_DEFAULT,
    CLIENT_PROPAGATION_BACKGROUND,
    CLIENT_PROPAGATION_FOREGROUND,
    CLIENT_PROPAGATION_ORPHAN
};

struct client_request {
    enum client_verb verb;
    const struct schema_kind *kind;
    struct span ns;           /* empty for cluster scope, or for a list over all namespaces */
    struct span name;         /* empty for list and create */
    struct span subresource;  /* "status", "scale", "binding", "eviction"; usually empty */
    struct span body;         /* JSON of the object or patch */
    struct json_shared *tree; /* the same where there is no body (client_body_tree()) */
    struct span label_selector, field_selector;
    /* Delete: preconditions and grace; -1 means not given. */
    struct span precondition_uid, precondition_rev;
    int64_t grace_s;
    enum client_propagation propagation;
    struct span field_manager; /* who we are: "statefulset-controller", "kubelet" */
};
/* Defaults: no grace given. */
#define CLIENT_REQUEST_INIT .grace_s = -1

struct client_reply {
    struct err err; /* reason ERR_NONE on success */
    struct object
        *object; /* single objects; borrowed for the call, NULL when the server sent a Status */
    struct object **items; /* lists */
    size_t item_count;
    int64_t rev; /* of the list, or of the object */
};
typedef void client_reply_fn(void *data, const struct client_reply *reply);

/* The request's spans are copied before the call returns, its tree is held. fn may be NULL (fire
 * and forget). */
void client_do(struct client *c, const struct client_request *request, client_reply_fn *fn,
               void *data);
/* Forgets every pending reply of this data pointer (the owner is about to be freed). */
void client_cancel(struct client *c, void *data);

enum client_event_type { CLIENT_ADDED, CLIENT_MODIFIED, CLIENT_DELETED };

struct client_watch;
struct client_watch_handler {
    /* Current objects as ADDED first; then synced once; then live events, in order, without gaps.
     */
    void (*on_event)(void *data, enum client_event_type type, struct object *object);
    void (*on_synced)(void *data);
    /* 0: it begins to list again, and until the list is complete events are in no order. Else a
     * list is complete: all that was there at this revision has been told. May be NULL. */
    void (*on_list)(void *data, int64_t rev);
};
/* Lists and watches for ever: reconnects, relists after 410 and then reports only the differences
 * (objects that vanished meanwhile as DELETED, also those whose name has another object now).
 * Selectors as in client_request. */
struct client_watch *client_watch_new(struct client *c, const struct client_request *selection,
                                      const struct client_watch_handler *handler, void *data);
void client_watch_free(struct client_watch *w);

/* Implementations: apiserver/local_client.h (in process), client/https_client.h. A client starts
 * with its table. */
struct client_ops {
    void (*request)(struct client *c, const struct client_request *request, client_reply_fn *fn,
                    void *data);
    void (*cancel)(struct client *c, void *data);
    struct client_watch *(*watch_new)(struct client *c, const struct client_request *selection,
                                      const struct client_watch_handler *handler, void *data);
    void (*watch_free)(struct client_watch *w);
    void (*free)(struct client *c);
};
struct client {
    const struct client_ops *ops;
    struct env *env;
    struct workqueue *queues; /* of those who act through it (workqueue_announce), for figures */
};
struct client_watch {
    struct client *client;
};
void client_free(struct client *c);

#endif
