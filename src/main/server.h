/* main/server.h: the running server: what exists, in the order in which it comes up.
 *
 *   cmd_server.c     options, checks, the phases in order, signals
 *   server_node.c    network, runtime, images, kubelet, DNS: the node's side, brought up by steps
 * that may block server_stop.c    `berth stop`: the control path that ends the pods and takes
 * everything away
 *
 * SIGTERM and SIGINT leave the containers running: the server stops accepting, waits for the store
 * and exits. Everything else is crash-only: there is no other way to stop than being killed, and
 * none is needed. */
#ifndef MAIN_SERVER_H
#define MAIN_SERVER_H

#include "apiserver/apiserver.h"
#include "front/front.h"
#include "main/data_dir.h"
#include "main/node_join.h"
#include "main/options.h"
#include "main/volume_join.h"

struct controllers;
struct dns_feed;
struct dns_server;
struct dns_zone;
struct image_store;
struct kubelet;
struct kubelet_images;
struct image_cleaner;
struct net_pod;
struct net_guard;
struct proxy;
struct runtime;
struct stop;

struct server {
    struct arena *arena; /* lives as long as the process */
    struct options options;
    bool fake; /* --container-runtime fake: no root, no network, no files */
    int lock_fd;
    int64_t started_ns, phase_ns; /* monotonic */
    struct env *env;
    struct data_dir_pki pki;
    struct store *store;
    struct watch_hub *hub;
    struct apiserver *api;
    struct front_end *front;
    struct tls_server *tls;
    struct tls_client *probe_tls; /* of HTTPS probes */
    struct http_server *http, *control;
    struct client *client;
    struct controllers *controllers;
    struct node_join node_join;
    struct volume_join volumes;
    struct net_pod *net;
    struct span gateway; /* of the pods' bridge; empty with the fake runtime */
    struct span node_ip;
    struct span runtime_version; /* "crun://1.8.1" */
    struct image_store *images;
    struct kubelet_images *kubelet_images;
    struct image_cleaner *image_cleaner;
    struct runtime *runtime;
    struct kubelet *kubelet;
    struct dns_zone *zone;
    struct dns_server *dns;
    struct dns_feed *dns_feed;
    struct proxy *proxy; /* NULL: not started, or no service range */
    struct net_guard *guard;
    struct env_work node_work; /* the blocking part of the node's start */
    int node_code;
    struct span node_detail;
    char *manager;     /* os_notify's socket; NULL: nobody listens */
    struct stop *stop; /* `berth stop` is under way */
};

/* Prints "  NAME  MS ms" for what has happened since the last call. */
void server_phase(struct server *s, const char *name);
/* Tells the service manager, if one started us: see os_notify. What fails is logged. */
void server_notify(const struct server *s, const char *state);
/* One line on stderr and the end of the process with code 1: only for what makes starting
 * impossible. */
_Noreturn void server_die(const struct server *s, struct span why);

/* Checks that need no loop (root, programs, kernel features): 0, or -1 with a sentence that names
 * what brings the missing. */
int server_node_check(struct server *s, struct span *ret_detail);
/* Plans the network's addresses (touches nothing yet), so that the certificate can name the
 * gateway. */
int server_node_plan(struct server *s, struct span *ret_detail);
/* Starts bringing the node up; prints its phases and, when the node is Ready, the last lines. */
void server_node_start(struct server *s);
/* Bridge and address ranges belong to one process of a network namespace: to this one from now on.
 * -EADDRINUSE when another has one of them; with a sentence. */
int server_node_claim(struct arena *a, const struct options *o, struct span *ret_detail);
/* What `berth stop` does when no server runs: everything below the data directory's run state ends.
 * network: links and tables go as well; they must have been claimed. */
int server_node_purge(struct arena *a, const struct options *o, bool network,
                      struct span *ret_detail);

/* Control paths of the root-only socket: POST /berth/stop. */
bool server_control(void *data, struct http_exchange *x);
/* Appends the figures of the process to /metrics (server_metrics.c). data: the server. */
void server_metrics(void *data, struct strbuf *out);

#endif
