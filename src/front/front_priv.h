/* front/front_priv.h: what this folder's files share: the front end's state, and one request on its
 * way through. */
#ifndef FRONT_PRIV_H
#define FRONT_PRIV_H

#include "apiserver/definitions.h"
#include "apiserver/server.h"
#include "codec/json_pretty.h"
#include "front/front.h"
#include "front/metrics.h"
#include "front/render.h"
#include "front/route.h"

struct remote_hub;

struct front_end {
    struct apiserver *server;
    struct remote_hub *remote; /* logs, exec and attach */
    struct list watches;       /* front_watch.c: open streams */
    uint64_t watches_open, watches_total;
    struct metrics metrics;
    size_t requests_open; /* writes and measurements that wait for their answer; they hold the front
                             end */
    size_t lists_open;    /* replies with lists that clients have not taken yet */
    uint64_t refused;     /* because there were too many of them */
    void (*more_metrics)(void *data, struct strbuf *out);
    void *more_metrics_data;
    bool (*control)(void *data, struct http_exchange *x);
    void *control_data;
    bool is_freed;
};

/* front_end.c: one of requests_open has its answer. */
void front_end_answered(struct front_end *e);

/* One request on its way through. Lives in the exchange's arena. */
struct front {
    struct front_end *end;
    struct apiserver *server;
    struct http_exchange *x;
    struct arena *arena;
    struct route route;
    struct api_render render;
    struct api_op op;
    struct render_list list; /* of a list while it is sent */
    struct json_pretty pretty;
    bool is_pretty; /* the list */
    /* Options as they were asked for, for front_check_options; what it finds. */
    struct {
        struct span validation, dry_run, propagation;
        bool orphan; /* orphanDependents was there */
    } asked;
    struct err faults;
    struct metric_entry *metric; /* what front_count has counted it as */
    size_t list_bytes;           /* sent of a list so far */
    int64_t start_ns;            /* when the request was complete, on the monotonic clock */
    bool is_stream;              /* log, exec, attach, portforward, watch: not timed */
    bool is_open;                /* counted in requests_open */
};

/* Sends the error; the exchange is used up. */
void front_fail(struct front *f, const struct err *e);
/* No such path: a Status below the built-in groups, plain text elsewhere, as Kubernetes has it. */
void front_not_found(struct front *f);
#define FRONT_ANONYMOUS "system:anonymous"
/* front_user.c: who asks, as op.user and what belongs to it. -1: it has answered. */
int front_identify(struct front *f);
/* front_impersonate.c: in whose name. -1: it has answered. */
int front_impersonate(struct front *f);
/* front_access.c: whether they may. -1: it has answered. */
int front_admit(struct front *f);
struct access_request;
int front_permit(struct front *f, const struct access_request *r);
bool front_is_root_socket(const struct http_exchange *x);
/* Fills op.options from the query; -1 with op.err. */
int front_options(struct front *f);
/* front_rules.c: of the query and of a delete's body; -1 with op.err. */
int front_check_options(struct front *f);
/* Parses the body by its Content-Type into op.body; delete options into op.options. -1 with op.err.
 */
int front_body(struct front *f);

void front_watch(struct front *f); /* front_watch.c */
void front_watches_end(struct front_end *e);
/* Ends the watches of one resource: its kind has changed. */
void front_watches_end_of(struct front_end *e, struct span resource);
void front_pod_stream(struct front *f); /* front_pod.c: log, exec, attach, portforward */
void front_proxy(struct front *f);      /* front_proxy.c: pods, services, nodes */
void front_discovery(struct front *f);  /* front_discovery.c */
void front_openapi(struct front *f);    /* front_discovery.c */
void front_version_numbers(const struct apiserver *s, struct span *major, struct span *minor);
void front_health(struct front *f);  /* front_health.c */
void front_metrics(struct front *f); /* front_metrics.c */
/* Counts the request with its answer's code: once, before the answer. */
void front_count(struct front *f, int code);
/* The answer is so long, before compression; after front_count. */
void front_size(struct front *f, size_t bytes);
/* A watch begins (1) or ends (-1). */
void front_running(struct front *f, int change);

#endif
