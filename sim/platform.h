/* sim/platform.h: the whole platform on virtual time in one process: API server on a store whose
 * disk survives, all controllers, two node agents, and containers that are only said to run. One
 * seed gives one history.
 *
 * The roles (server, controllers, each node agent) live in environments of their own in one world;
 * each is killed and started again as `kill -9` does, alone or all together. Containers belong to
 * the machines and go on. Between the roles are links on which things go wrong (sim/link.h).
 * Checkers look at every request, change and container start and after every step; the first that
 * fails ends the history. */
#ifndef SIM_PLATFORM_H
#define SIM_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"
#include "sim/deeds.h"
#include "watch/watch.h"

struct platform;
struct store_memory_disk;

/* Bugs that tests plant, to see that a checker catches them. Any function may be NULL. */
struct platform_plant {
    /* A request of a role on its way: see sim/link.h. */
    bool (*on_request)(void *data, struct arena *a, struct client_request *rq);
    /* What the controllers are shown of an object; NULL: as it is. */
    struct object *(*on_event)(void *data, struct object *o);
    /* An event of a watch; false drops it. */
    bool (*on_watch)(void *data, struct watch_event *e);
    /* A line of a watch over HTTP; false drops it. */
    bool (*on_http_event)(void *data, struct span line);
    bool disk_lies; /* a restart finds the disk as it was at the start; or, with SQLite, as what was
                       not synced may leave it */
    bool disk_rots; /* with SQLite: while the server is away some bytes turn */
    bool no_directories; /* volumes are said to be made, and are not */
    bool no_growth;      /* their file systems are said to grow, and do not */
    void *data;
};

/* Where the server's store is: rows in memory, which a crash leaves whole; or SQLite on a disk that
 * loses and tears what is not synced. */
enum platform_disk { PLATFORM_DISK_BY_SEED, PLATFORM_DISK_ROWS, PLATFORM_DISK_SQLITE };

struct platform_options {
    uint64_t seed;
    uint64_t chance; /* what users and faults roll from; 0: the seed decides that too */
    bool show;       /* print every step as it happens */
    bool calm;       /* users only: no faults */
    bool narrow;     /* one set and its pods: no annotations, no neighbours, no deleted nodes */
    enum platform_disk disk;
    /* What platform_first_start() gave: in most histories with rows the server is started again on
     * it, and not for the first time. NULL: in none. */
    const struct store_memory_disk *first_start;
    const struct platform_plant *plant;
};

/* The store that a server leaves which was started once: the same in all histories, so that it is
 * made once for many. */
struct store_memory_disk *platform_first_start(void);
struct platform *platform_new(const struct platform_options *options);
void platform_free(struct platform *w);
/* One step: a user's request or a fault, then a little time, then the checkers. */
void platform_step(struct platform *w);
/* No more faults: the platform must come to rest as the users left it within half an hour of
 * virtual time: a controller whose writes failed for long holds back for up to 17 minutes. */
void platform_settle(struct platform *w);
/* A user's request, waited for; true when it was done. For tests that write their own history. */
bool platform_request(struct platform *w, const struct client_request *rq);
/* Time passes; the checkers look every 100 ms of it. */
void platform_run_for(struct platform *w, int64_t ms);
/* Faults, one by one, for such tests. Nodes are 0 and 1; the server's machine is 0. */
enum platform_fault {
    PLATFORM_KILL_SERVER,
    PLATFORM_KILL_CONTROLLERS,
    PLATFORM_KILL_AGENT, /* of a node; containers go on */
    PLATFORM_CUT_NODE,   /* its agent hears and says nothing */
    PLATFORM_MEND_NODE,
    PLATFORM_FILL_DISK, /* until platform_settle */
    PLATFORM_START_ALL, /* what is dead */
};
void platform_fault(struct platform *w, enum platform_fault fault, size_t node);
/* Requests, replies and events wait for up to this long each, until platform_settle. */
void platform_late(struct platform *w, int64_t ms);
/* Each reply and each batch of events takes so long, until platform_settle. */
void platform_slow(struct platform *w, int64_t replies_ms, int64_t events_ms);
void platform_jump_wall(struct platform *w, int64_t ms);
/* The checker that failed ("order-up", ...) and the story in a sentence; NULL: none. */
const char *platform_violation(const struct platform *w, const char **ret_story);
/* For the figures. */
struct platform_figures {
    uint64_t steps, turns, events, crashes, requests, refused, starts;
    struct sim_deed_count deeds[SIM_DEED_COUNT];
};
struct platform_figures platform_figures(const struct platform *w);

#endif
