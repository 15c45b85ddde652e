/* remote/remote_priv.h: a remote session and what its two protocols supply.
 *
 *   SETUP --all streams open--> RUNNING --on_end--> LINGER --client hangs up or time--> DEAD
 *
 * The client may go at any time: the node's session is aborted, the state is DEAD. Only a command
 * that reads its input is LEFT to come to its end, for a while. */
#ifndef REMOTE_REMOTE_PRIV_H
#define REMOTE_REMOTE_PRIV_H

#include "base/limits.h"
#include "base/list.h"
#include "base/strbuf.h"
#include "remote/remote.h"

struct remote_hub {
    struct env *env;
    struct node_api *node;
    remote_refuse_fn *refuse;
    struct list sessions; /* remote.link */
    struct list proxies;  /* remote_proxy.link */
    struct list logs;     /* remote_log.link */
    struct list links;    /* remote_link.link */
    size_t open;
};

/* Numbers as the WebSocket protocol has them. */
enum remote_channel {
    REMOTE_STDIN,
    REMOTE_STDOUT,
    REMOTE_STDERR,
    REMOTE_ERROR,
    REMOTE_RESIZE,
    REMOTE_CHANNELS
};
/* kubectl gives up a WebSocket without a pong for a minute. */
enum { REMOTE_KEEP_ALIVE_MS = 10 * 1000 };
/* A node may tell (on_drain) that held-back input can go on; one that does not is asked, ever less
 * often. */
enum { REMOTE_ASK_MIN_MS = 1, REMOTE_ASK_MAX_MS = 200 };
/* Answers to pings of a client that does not read may grow to this; then it is dropped. */
enum { REMOTE_STUCK_BYTES = 16 * LIMIT_REMOTE_QUEUE_BYTES };
enum remote_state { REMOTE_SETUP, REMOTE_RUNNING, REMOTE_LINGER, REMOTE_LEFT, REMOTE_DEAD };

struct remote;

/* How a command ended, in both forms that protocols want. */
struct remote_result {
    struct span status; /* Status JSON */
    struct span text;   /* empty: success */
};

struct remote_proto {
    /* Bytes from the client; calls the remote_* functions below. */
    void (*input)(struct remote *r, struct span bytes);
    /* These append frames to r->out. */
    void (*output)(struct remote *r, enum remote_channel channel, struct span bytes);
    void (*finish)(struct remote *r, const struct remote_result *result);
    /* Output bytes held back by the protocol itself (a closed window). NULL: it never does. */
    size_t (*held)(const struct remote *r);
    /* Tells the client that we live while its input, and with it its pings, is not read. NULL: it
     * does not ask. */
    void (*keep_alive)(struct remote *r);
    void (*free)(struct remote *r);
};

struct remote {
    struct list link;
    struct remote_hub *hub;
    const struct remote_proto *proto;
    void *proto_data;
    struct arena *arena;
    struct node_exec_request request;
    struct env_stream *stream; /* NULL when LEFT or DEAD */
    struct node_session *session;
    enum remote_state state;
    int depth;           /* our frames on the stack; the last one frees a DEAD one */
    struct strbuf out;   /* frames of the call in progress */
    struct strbuf early; /* stdin that came before the command started */
    struct env_timer timer;
    bool node_paused, client_paused, stdin_ended;
    int64_t ask_ms,
        alive_ns; /* while client_paused: how often to ask, when a sign of life is due */
    char resize[LIMIT_REMOTE_RESIZE_BYTES];
    size_t resize_n;
    uint16_t width, height; /* the last size the client told; 0: none */
};

/* ---- life of a session ---- */

/* In SETUP; the caller gives it a proto, or frees it. request is copied. */
struct remote *remote_new(struct remote_hub *h, const struct node_exec_request *request);
void remote_free(struct remote *r);
/* The client's connection; remote_start is due within LIMIT_REMOTE_SETUP_MS. */
void remote_attach(struct remote *r, struct env_stream *stream);
void remote_sessions_end_all(struct remote_hub *h);

/* ---- for protocols ---- */

/* Everything is there: starts the command. */
void remote_start(struct remote *r);
void remote_stdin(struct remote *r, struct span bytes);
void remote_stdin_end(struct remote *r);
/* A piece of the resize channel: one JSON object a line. */
void remote_resize(struct remote *r, struct span bytes);
/* Output that the protocol held back has left: the node may go on. */
void remote_room(struct remote *r);
/* The client is gone or has broken the protocol; what is in r->out still leaves. */
void remote_drop(struct remote *r);

/* Each makes the session's proto and proto_data, adds the reply headers and returns 0; or -1 with
 * *reterr. */
int remote_ws_begin(struct remote *r, struct http_exchange *x, struct err *reterr);
int remote_spdy_begin(struct remote *r, struct http_exchange *x, struct err *reterr);

/* ---- logs ---- */
void remote_logs_end_all(struct remote_hub *h);

/* ---- upgrades and WebSockets ---- */

/* True when the comma-separated list holds the token (ASCII case is ignored). */
bool remote_has_token(struct span list, const char *token);
/* The client asks for SPDY/3.1. */
bool remote_spdy_wanted(struct http_exchange *x);
struct ws_decoder;
struct ws_event;
enum { REMOTE_CHANNEL_NONE = -1 };
/* The next event that is WS_DATA, WS_CLOSE or WS_ERROR: pings are answered in out. */
bool remote_ws_next(struct ws_decoder *d, struct span *bytes, struct strbuf *out,
                    struct ws_event *ret);
/* Messages whose first byte is a channel: true with the bytes of this piece. *channel is kept from
 * piece to piece, REMOTE_CHANNEL_NONE before the first. */
bool remote_ws_channel(int *channel, const struct ws_event *e, struct span *ret);

/* ---- port-forward ---- */
void remote_links_end_all(struct remote_hub *h);
/* Over channels, with the ports in the query. */
#define REMOTE_CHANNELS_PROTOCOL "v4.channel.k8s.io"
void remote_channels(struct remote_hub *h, struct http_exchange *x, struct span ns,
                     struct span pod);

#endif
