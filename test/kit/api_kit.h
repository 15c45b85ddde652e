/* test/kit/api_kit.h: an API server on a memory store in this process, spoken to over HTTP on a
 * Unix socket (which makes the caller the administrator) and through the local client. */
#ifndef TEST_KIT_API_KIT_H
#define TEST_KIT_API_KIT_H

#include "apiserver/apiserver.h"
#include "codec/json.h"
#include "env/env_uv.h"
#include "front/front.h"
#include "store/store.h"
#include "test/kit/kit.h"

/* What every test's server is told. */
extern const struct apiserver_options api_kit_options;

struct api_kit {
    struct env *env;
    struct store_memory_disk *disk; /* outlives a restart */
    const struct store_memory_options *store_options;
    struct node_api *node;
    size_t history_limit; /* of the store from the next restart on; 0: the usual one */
    struct store *store;
    struct watch_hub *hub;
    struct apiserver *server;
    struct front_end *front;
    struct http_server *http;
    struct client *client;
    const char *socket;
    struct span token_key; /* PEM; empty: this server has no tokens */
    uint16_t port;         /* of 127.0.0.1, where callers are nobody by themselves; 0: the socket */
};

struct api_reply {
    int status;
    struct span head, body; /* body without chunking */
    const yyjson_val *json; /* NULL when it is none */
};

/* One per process; torn down by api_kit_stop. node may be NULL. */
void api_kit_start(struct api_kit *k, struct node_api *node);
/* With tokens of accounts, signed by a key of its own. */
void api_kit_start_tokens(struct api_kit *k);
/* From now on requests come by TCP, where only a token makes somebody of the caller; or again by
 * the socket. */
void api_kit_by_tcp(struct api_kit *k, bool on);
/* The same on a store whose commits take time or fail. */
void api_kit_start_on(struct api_kit *k, const struct store_memory_options *store);
void api_kit_stop(struct api_kit *k);
/* Another server on what the store has kept. */
void api_kit_restart(struct api_kit *k);

/* headers: "Name: value\r\n"... or "". body NULL: none. With a body and no Content-Type in headers:
 * application/json. Memory lives until the process ends. */
struct api_reply api_call(struct api_kit *k, const char *method, const char *path,
                          const char *headers, const char *body);
struct api_reply api_get(struct api_kit *k, const char *path);
struct api_reply api_post(struct api_kit *k, const char *path, const char *body);
/* Fails the test when the status is another. */
struct api_reply api_expect(struct api_kit *k, int status, const char *method, const char *path,
                            const char *headers, const char *body);
/* A NUL terminated copy that lives as long as the replies. */
const char *api_text(struct span s);
struct arena *api_arena(void); /* it is there, too */
/* First value of a header (case does not matter); empty when absent. */
struct span api_header(const struct api_reply *r, const char *name);
/* A member by a path of dots: "metadata.name", "items.0.spec"; NULL when absent. */
const yyjson_val *api_at(const yyjson_val *v, const char *path);
struct span api_str(const struct api_reply *r, const char *path);

struct api_watch;
struct api_watch *api_watch_open(struct api_kit *k, const char *path, const char *headers);
/* The next line as JSON; NULL when the stream has ended. Fails the test after 5 s of silence. */
const yyjson_val *api_watch_next(struct api_watch *w);
/* True when nothing arrives for ms. */
bool api_watch_quiet(struct api_watch *w, int64_t ms);
int api_watch_status(struct api_watch *w);
void api_watch_close(struct api_watch *w);

/* Runs the loop until *flag, at most 5 s (then the test fails). */
void api_run_until(struct api_kit *k, const bool *flag);
void api_run_ms(struct api_kit *k, int64_t ms);

/* A connection that asks to speak one of these protocols over WebSocket on this path; what comes,
 * the head of the reply first, goes to the handler. */
struct env_stream *api_dial_ws(struct api_kit *k, const char *path, const char *protocols,
                               const struct env_stream_handler *handler, void *data);

#endif
