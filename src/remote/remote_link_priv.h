/* remote/remote_link_priv.h: the client's connection of a port-forward, whatever it speaks: its
 * life, what is written to it, and the reading of it, which stops while a pod does not take its
 * input.
 */
#ifndef REMOTE_REMOTE_LINK_PRIV_H
#define REMOTE_REMOTE_LINK_PRIV_H

#include "remote/remote_priv.h"

struct remote_link;
struct remote_link_ops {
    /* Bytes from the client. */
    void (*input)(struct remote_link *l, struct span bytes);
    /* Puts into l->out what waits elsewhere to be sent. NULL: nothing ever does. */
    void (*wrap)(struct remote_link *l);
    /* A pod has enough input for now. */
    bool (*is_stuck)(const struct remote_link *l);
    /* The client has taken something: nodes that wait may go on. */
    void (*room)(struct remote_link *l);
    /* The client is gone: aborts every session. */
    void (*end)(struct remote_link *l);
    /* Frees what the link is part of. */
    void (*free)(struct remote_link *l);
};

struct remote_link {
    struct list link; /* hub->links */
    const struct remote_link_ops *ops;
    struct remote_hub *hub;
    struct env_stream *stream; /* NULL: dead */
    struct arena *arena;
    struct span ns, pod;
    struct strbuf out; /* for the client, of the call in progress */
    int depth;         /* our frames on the stack; the last one to leave frees a dead link */
    bool client_paused;
    int64_t ask_ms;         /* while client_paused: how often to ask */
    struct env_timer timer; /* for that */
};

/* Takes the exchange over, whose reply headers are complete; l is zeroed. Reading begins with
 * remote_link_start. ns and pod are copied. */
void remote_link_init(struct remote_link *l, const struct remote_link_ops *ops,
                      struct remote_hub *hub, struct http_exchange *x, struct span ns,
                      struct span pod);
void remote_link_start(struct remote_link *l);

/* Sends what is in l->out. */
void remote_link_flush(struct remote_link *l);
/* The client is gone, has broken the protocol or has been told everything: what is in l->out still
 * leaves. Of a dead link: nothing. */
void remote_link_drop(struct remote_link *l);
/* After something may have changed about is_stuck. */
void remote_link_look(struct remote_link *l);

#endif
