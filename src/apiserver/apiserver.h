/* apiserver/apiserver.h: the Kubernetes API over a store and its watch hub.
 *
 * Clients of HTTP come by way of front/; roles in the same process by the local client: same verbs,
 * same admission, no bytes. Both end in api_op (op.h): one typed operation, one implementation a
 * verb. */
#ifndef APISERVER_APISERVER_H
#define APISERVER_APISERVER_H

#include "client/client.h"
#include "watch/watch.h"

struct apiserver;
struct node_api;

struct apiserver_options {
    struct span service_cidr;   /* "10.43.0.0/16": cluster addresses are allocated from it */
    struct span cluster_dns;    /* reserved in it */
    struct span server_address; /* "10.42.0.1:6443" for the kubernetes endpoints */
    struct span git_version;    /* "v1.34.0+berth" for /version */
    struct span platform;       /* "linux/amd64" */
    struct span public_url;     /* "https://127.0.0.1:6443" for discovery's serverAddress */
    struct span token_key;    /* PEM that signs tokens of service accounts; empty: there are none */
    struct span token_issuer; /* "https://kubernetes.default.svc.cluster.local" */
    struct span root_ca;      /* PEM for Secrets with tokens; may be empty */
    struct node_api *node;    /* asked for what pods use; NULL: nobody knows */
    bool no_default_roles;    /* for those who do everything as system:masters */
};

/* Creates what a fresh cluster has: namespaces default, kube-system, kube-public, kube-node-lease;
 * default service accounts; service kubernetes; StorageClass local; default roles. Ready (readyz)
 * when these are there. */
struct apiserver *apiserver_new(struct env *env, struct store *store, struct watch_hub *hub,
                                const struct apiserver_options *options);
void apiserver_free(struct apiserver *s);
bool apiserver_is_ready(const struct apiserver *s); /* as /readyz says; for tests, sim */
/* fn(data) once ready (in a later turn). */
void apiserver_on_ready(struct apiserver *s, void (*fn)(void *data), void *data);
/* Free with client_free before the server. */
struct client *apiserver_local_client(struct apiserver *s);
/* fn(data, "widgets") when a custom kind has changed or is gone: streams of it are to end. One
 * listener; fn NULL: it is gone. */
void apiserver_on_kind_changed(struct apiserver *s, void (*fn)(void *data, struct span resource),
                               void *data);

#endif
