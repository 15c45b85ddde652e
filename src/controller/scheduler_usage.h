/* controller/scheduler_usage.h: the scheduler's accounts: which pod counts on which node, and what
 * each node's pods use together. Kept up to date pod by pod; nothing is ever counted again. */
#ifndef CONTROLLER_SCHEDULER_USAGE_H
#define CONTROLLER_SCHEDULER_USAGE_H

#include "base/arena.h"
#include "base/list.h"
#include "codec/object.h"
#include "plan/host_port.h"

/* What the pods of one node use of another resource than cpu and memory. */
struct usage_more {
    char *name; /* owned; NULL: the place is free */
    int64_t units;
    size_t pods; /* that hold some */
};

/* What the pods of one node use; owned by the book and there until it is freed. */
struct usage {
    struct span name; /* of the node */
    int64_t cpu_milli, memory_bytes, pods;
    struct usage_more *more;
    size_t more_count;
    struct list with_ports; /* struct placed that have host ports */
    char text[];
};

struct usage_share {
    size_t at; /* in on->more */
    int64_t units;
};

/* A pod that counts on a node; there until it is removed or put anew. */
struct placed {
    struct usage *on;
    int64_t cpu_milli, memory_bytes;
    struct usage_share *more; /* NULL: none */
    size_t more_count;
    struct host_port *ports; /* NULL: none */
    size_t port_count;
    char *who;        /* with ports: NAMESPACE/NAME */
    struct list link; /* in on->with_ports, if there are any */
    size_t uid_n;
    char uid[];
};

struct usage_book;

struct usage_book *usage_book_new(void);
void usage_book_free(struct usage_book *b);
/* The pod counts on that node with what this version of it holds. It must not count yet. */
void usage_put(struct usage_book *b, struct object *pod, struct span node);
/* False: it did not count. */
bool usage_remove(struct usage_book *b, struct span uid);
/* Where a pod counts; NULL: nowhere. */
const struct placed *usage_find(const struct usage_book *b, struct span uid);
/* NULL: no pod was ever counted there. */
const struct usage *usage_of(const struct usage_book *b, struct span node);
/* How much of a resource other than cpu and memory the pods there use. */
int64_t usage_units(const struct usage *u, struct span resource);
/* Who there has which of these ports, as a sentence; empty: nobody. */
struct span usage_ports_taken(struct arena *a, const struct usage *u, const struct host_port *ports,
                              size_t count);

#endif
