/* remote/remote_forward_priv.h: a port-forward over SPDY, in two files: remote_forward.c has
 * what the client opens and says, remote_forward_conn.c the life of one connection to the pod and
 * what is sent of it. */
#ifndef REMOTE_REMOTE_FORWARD_PRIV_H
#define REMOTE_REMOTE_FORWARD_PRIV_H

#include "codec/spdy.h"
#include "codec/websocket.h"
#include "remote/remote_link_priv.h"

enum forward_kind { FORWARD_ERROR, FORWARD_DATA, FORWARD_KINDS };

/* One stream of a pair. */
struct forward_stream {
    uint32_t id;        /* 0: not open yet */
    bool is_reset;      /* the client wants no more of it */
    bool fin, fin_sent; /* our side is to be ended, is */
    uint32_t taken;     /* bytes since our last window update */
    int64_t window;     /* what may still be sent, when the client keeps windows */
    struct strbuf held; /* what may not */
};

struct forward_conn {
    struct list link;
    struct forward *f;
    struct forward_stream s[FORWARD_KINDS];
    char request_id[LIMIT_FORWARD_ID_BYTES];
    size_t request_id_n;
    uint16_t port;
    struct node_session *session;
    struct strbuf early;    /* data that came before the pair was complete */
    bool in_ended;          /* the client has ended its side */
    bool is_over;           /* nothing more comes from the pod */
    bool paused;            /* the node is to wait */
    struct env_timer timer; /* the other stream is awaited */
};

struct forward {
    struct remote_link l;
    struct list conns;
    size_t conn_count;
    struct spdy_decoder *decoder;
    struct spdy_encoder *encoder;
    struct strbuf *out;  /* SPDY frames of the call in progress: l.out, or inner */
    struct strbuf inner; /* those that are to travel in messages of a WebSocket */
    bool is_ws;
    struct ws_decoder ws;
    uint32_t last_stream, taken_all;
    bool has_windows;
    int64_t window_all;
};

/* The open connection with this request_id, or a new one that awaits its streams; NULL when there
 * are too many. */
struct forward_conn *forward_conn_get(struct forward *f, struct span request_id);
/* The connection that this stream belongs to, and as what; NULL: none. */
struct forward_conn *forward_conn_of(struct forward *f, uint32_t id, enum forward_kind *ret);
/* Aborts what it has at the node. */
void forward_conn_free(struct forward_conn *c);
/* Both streams are open: connects to the pod. */
void forward_conn_dial(struct forward_conn *c);
/* Bytes for the pod; and their end. The first may end the connection, c is then gone. */
void forward_conn_take(struct forward_conn *c, struct span bytes);
void forward_conn_in_end(struct forward_conn *c);
/* The client wants no more of this stream. c may be gone afterwards. */
void forward_conn_reset(struct forward_conn *c, enum forward_kind kind);
/* The client has taken something, or its windows have grown: sends on. c may be gone afterwards. */
void forward_conn_room(struct forward_conn *c);
/* The pod has enough input for now. */
bool forward_conn_is_stuck(const struct forward_conn *c);

#endif
