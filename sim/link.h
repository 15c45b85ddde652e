/* sim/link.h: the way between a role (controllers, a node agent) and the API server, on which
 * things go wrong: requests and replies are late or lost, requests are refused for a while, watch
 * events are late, watches break and list again. It outlives the server: a role that lives on while
 * the server is restarted sees what a remote role would see.
 *
 * It keeps the contract of client/client.h: one reply a request, in a later turn; events in order
 * and without gaps, after a break only the differences. */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <yyjson.h>

#include "client/client.h"
#include "sim/deeds.h"

struct link;

/* Chances in a thousand, times in milliseconds. */
struct link_weather {
    uint32_t refuse;     /* the request fails at once and was not done */
    uint32_t lose_reply; /* done, but the role is told of a timeout */
    uint32_t late;       /* a request, a reply or an event waits for up to late_ms */
    uint32_t break_off;  /* an event's watch ends and lists again */
    uint32_t twice;      /* an event is told again */
    int64_t late_ms;
    int64_t replies_ms, events_ms; /* each of them takes so long besides */
};

/* What the world looks at, and where tests plant their bugs. Any may be NULL. */
struct link_taps {
    /* The request is about to be done. A planted bug may change it (memory: arena), or return
     * false: the role is told that it was done, and it was not. */
    bool (*on_request)(void *data, struct arena *a, struct client_request *rq);
    /* It was done (or refused by the server), whether or not the role learns of it. from_rev: the
     * version that the role meant to replace, as link_from_rev() has it. */
    void (*on_reply)(void *data, const struct client_request *rq, const struct client_reply *reply,
                     int64_t from_rev);
    /* The role died and this request of it was on its way. */
    void (*on_orphan)(void *data, const struct client_request *rq);
    /* An event on its way to the role; a planted bug returns another object (a reference that it
     * gives away), else NULL. */
    struct object *(*on_event)(void *data, struct object *o);
    void *data;
    struct sim_deed_count *deeds; /* all of them: what goes wrong is counted. Not NULL */
};

/* With all that it points to. */
struct client_request link_request_dup(struct arena *a, const struct client_request *q);
/* What the request brings, as a tree or as text: NULL or empty when that is nothing. */
yyjson_val *link_body(struct arena *a, const struct client_request *rq);
const char *link_body_text(struct arena *a, const struct client_request *rq);
/* The resourceVersion in the body of an update or a merge patch; 0: none. */
int64_t link_from_rev(struct arena *a, const struct client_request *rq);

struct link *link_new(struct env *env, uint64_t seed, const struct link_taps *taps);
struct client *link_client(struct link *l);
void link_set_weather(struct link *l, const struct link_weather *weather);
/* The server is up (its local client) or down (NULL): then before that client is freed. */
void link_connect(struct link *l, struct client *server);
/* A cut link carries nothing; requests fail after a while, events wait. */
void link_cut(struct link *l, bool cut);
/* The role died: forgets everything. Its watches are gone already. */
void link_free(struct link *l);

#endif
