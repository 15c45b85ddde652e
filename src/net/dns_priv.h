/* net/dns_priv.h: shared by dns_server.c (sockets, loop) and dns_forward.c (the machine's
 * resolvers). DNS thread only. */
#ifndef NET_DNS_PRIV_H
#define NET_DNS_PRIV_H

#include <netinet/in.h>
#include <stdbool.h>
#include <time.h>

#include "net/dns_server.h"

enum {
    DNS_TCP_CLIENTS_MAX = 64, /* each holds at most one message of 64 KB */
    DNS_FORWARDS_MAX = 512,   /* each has a socket of its own, so that its source port is random */
    DNS_RESOLVERS_MAX = 3,    /* as in resolv.conf(5) */
    DNS_RESOLVER_MS = 2000,   /* then the next resolver is asked */
    DNS_TCP_IDLE_MS = 10000
};

/* What an epoll event points at. */
enum dns_source_kind {
    DNS_SOURCE_UDP,
    DNS_SOURCE_LISTEN,
    DNS_SOURCE_CLIENT,
    DNS_SOURCE_FORWARD,
    DNS_SOURCE_STOP
};
struct dns_source {
    enum dns_source_kind kind;
    int fd; /* -1: free */
};

struct dns_client {
    struct dns_source source; /* first */
    struct in_addr from;
    uint8_t *in; /* length prefix and message so far */
    size_t in_n;
    int64_t deadline_ms;
    uint32_t generation; /* a late forward's answer finds out that its client is gone */
};

struct dns_forward {
    struct dns_source source; /* first */
    bool tcp;                 /* the asker came by TCP, so we ask by TCP */
    bool sent;
    struct sockaddr_in asker;
    struct dns_client *client;
    uint32_t client_generation;
    uint16_t asker_id, id;
    uint8_t *message; /* the query with our id, with a length prefix */
    size_t message_n;
    uint8_t *asked; /* what the asker sent, when we ask for the target of an alias; else NULL */
    size_t asked_n;
    uint8_t *in;
    size_t in_n;
    size_t resolver; /* index of the one asked now */
    int64_t deadline_ms;
};

struct dns_server {
    struct dns_zone *zone;
    int epoll;
    struct dns_source udp, listen, stop;
    struct dns_client clients[DNS_TCP_CLIENTS_MAX];
    struct dns_forward forwards[DNS_FORWARDS_MAX];
    size_t clients_open, forwards_open;
    uint16_t port;
    struct in_addr own_address;
    const char *resolv_conf;
    struct timespec resolv_mtime;
    struct in_addr resolvers[DNS_RESOLVERS_MAX];
    size_t resolver_count;
    int64_t now_ms;
    pthread_t thread;
};

int dns_watch(struct dns_server *s, struct dns_source *source, uint32_t events, bool again);
void dns_reply_udp(struct dns_server *s, const struct sockaddr_in *to, const uint8_t *p, size_t n);
void dns_reply_tcp(struct dns_server *s, struct dns_client *c, const uint8_t *p, size_t n);

/* Starts forwarding; answers SERVFAIL itself when it cannot. client NULL: UDP. asked: empty, or
 * what the asker sent, when message is about the target of an alias: then the reply is made of
 * both. */
void dns_forward_start(struct dns_server *s, struct span message, struct span asked,
                       const struct sockaddr_in *asker, struct dns_client *client);
void dns_forward_event(struct dns_server *s, struct dns_forward *f, uint32_t events);
void dns_forward_late(struct dns_server *s, struct dns_forward *f);
void dns_forward_close(struct dns_server *s, struct dns_forward *f);

#endif
