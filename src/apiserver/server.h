/* apiserver/server.h: the server's own state, shared by the files of this folder only. */
#ifndef APISERVER_SERVER_H
#define APISERVER_SERVER_H

#include "apiserver/apiserver.h"
#include "apiserver/service_alloc.h"
#include "base/strbuf.h"

struct definitions;
struct snapshots;
struct event_ttl;
struct bootstrap;
struct token_cache;
struct token_key;
struct roles;
struct quotas;

struct apiserver {
    struct env *env;
    struct store *store;
    struct watch_hub *hub;
    struct arena *arena; /* what lives as long as the server: copied options */
    struct apiserver_options options;
    struct definitions *definitions; /* custom kinds; NULL once freed */
    struct snapshots *snapshots;
    struct managed_shapes *shapes; /* of what was created: who owns what of it */
    struct roles *roles;           /* authorize.c; NULL until it is needed */
    struct service_stock services;
    struct quotas *quotas; /* NULL once freed */
    struct event_ttl *event_ttl;
    struct bootstrap *bootstrap;
    struct token_key *token_key; /* NULL: no tokens are issued, and none is known */
    struct token_cache *token_cache;
    const yyjson_val *token_volume; /* what pods get for their token; NULL: nothing */
    void (*kind_changed)(void *data, struct span resource);
    void *kind_changed_data;
    bool is_ready;
    struct list ready_waiters;
    struct env_task ready_task;
    /* Writes that the store, and questions that the node, has not answered yet: they hold the
     * server. */
    size_t writes_open;
    bool is_freed;
};

/* bootstrap.c: creates what a fresh cluster has, then calls apiserver_became_ready(). */
void bootstrap_start(struct apiserver *s);
void bootstrap_free(struct bootstrap *b); /* NULL is fine */
void apiserver_became_ready(struct apiserver *s);
/* server.c: the last write of a freed server is answered. */
void apiserver_write_done(struct apiserver *s);

#endif
