/* test/kit/forward_kit.h: port forwarding on virtual time: a server, a client's raw connection to
 * it, and a made-up node, each of whose connections does what the test's tick makes it do. */
#ifndef TEST_KIT_FORWARD_KIT_H
#define TEST_KIT_FORWARD_KIT_H

#include "base/limits.h"
#include "base/strbuf.h"
#include "http/http.h"
#include "remote/remote.h"
#include "sim/env_sim.h"

enum { FORWARD_REFUSED_PORT = 99 }; /* nobody listens there */

struct forward_kit;
struct node_session {
    struct forward_kit *k;
    const struct node_session_handler *h;
    void *data;
    uint16_t port;
    struct strbuf in; /* from the client */
    size_t sent;      /* for the test */
    bool in_ended, paused;
    struct env_timer timer;
};

struct forward_kit {
    struct env *env;
    struct http_server *http;
    struct remote_hub *hub;
    struct node_api node;
    int dials, live, aborts, pauses; /* of the node's connections */
    bool deaf;                       /* the node takes nothing: for the test's tick */
    struct node_session *last;
    size_t queued_max;
    struct env_stream *s; /* the client's; NULL: it has gone */
    struct strbuf raw;    /* the reply's head */
    bool upgraded, ended;
    void (*tick)(struct node_session *s); /* a millisecond after something happened to it */
    void (*take)(struct forward_kit *k, struct span bytes); /* from the server, upgraded */
};

/* Connects and sends the head of the request; k has its tick and take. */
void forward_kit_start(struct forward_kit *k, uint64_t seed, struct span head);
/* Whatever is open ends with the client, and nothing is left. */
void forward_kit_end(struct forward_kit *k);

/* The node ends a connection; err NULL: orderly. */
void forward_kit_session_end(struct node_session *s, const struct err *err);
/* Its tick in a millisecond. */
void forward_kit_poke(struct node_session *s);

#endif
