/* test/kit/https_kit.h: the least HTTP/1.1 client that can measure or watch a running server: one
 * request at a time on a connection that stays, over TLS with the administrator's certificate.
 * Costs little processor time, for the load shares the machine with what it measures. */
#ifndef TEST_KIT_HTTPS_KIT_H
#define TEST_KIT_HTTPS_KIT_H

#include "base/arena.h"
#include "base/span.h"
#include "env/env.h"
#include "http/tls.h"

/* Where the server is, and as whom we speak. */
struct https_kit {
    struct env *env;
    struct tls_client *tls; /* NULL: plain, over the socket */
    const char *socket;     /* Unix socket; NULL: TCP on 127.0.0.1 */
    uint16_t port;
};

/* Reads the certificates in DATA/tls; ends the program with a sentence when it cannot. */
void https_kit_init(struct https_kit *k, struct env *env, struct arena *a, const char *data_dir,
                    uint16_t port);

/* Certificates for 127.0.0.1: a CA, a server's, and an administrator's, all for a day. */
struct https_pki {
    struct tls_pair ca, server, client;
};
void https_pki_make(struct https_pki *p, struct arena *a, int64_t now_ms);

struct https_conn;
struct https_handler {
    void (*on_ready)(void *data); /* connected; requests may follow */
    /* The whole reply. The body is gone after the call, in which the next request may be sent. */
    void (*on_reply)(void *data, int status, struct span body);
    /* A watch: each line of the reply as it comes, and on_reply with an empty body at its end.
     * NULL: bodies are collected. */
    void (*on_line)(void *data, struct span line);
    /* Connection refused, failed or ended (negative errno, 0: ended by the peer). No callback
     * follows; https_conn_free is still due. */
    void (*on_fail)(void *data, int code);
};

struct https_conn *https_conn_new(const struct https_kit *k, const struct https_handler *handler,
                                  void *data);
void https_conn_free(struct https_conn *c);
/* What the following requests accept, instead of application/json; must outlive the connection. */
void https_conn_accept(struct https_conn *c, const char *accept);
/* content_type NULL: no body is sent. One request at a time. */
void https_conn_send(struct https_conn *c, const char *method, const char *path,
                     const char *content_type, struct span body);

#endif
