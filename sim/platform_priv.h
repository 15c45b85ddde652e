/* sim/platform_priv.h: the platform's struct, shared by its users, faults and checkers. */
#ifndef SIM_PLATFORM_PRIV_H
#define SIM_PLATFORM_PRIV_H

#include "base/arena.h"
#include "base/vec.h"
#include "client/client.h"
#include "env/env.h"
#include "sim/allowance.h"
#include "sim/disk.h"
#include "sim/jobs.h"
#include "sim/link.h"
#include "sim/platform.h"
#include "sim/record.h"
#include "sim/volumes.h"

enum {
    NODES = 2, /* the first is the server's own machine, where local volumes are */
    REPLICAS_MAX = 5,
    START_MAX = 2,
    RESERVED_MAX = 2, /* ordinals that berth.dev/reserve-ordinals names */
    ORDINALS = REPLICAS_MAX + START_MAX + RESERVED_MAX,
    /* How old the view may be by which a controller decides: late events, late replies and the
     * writes of one sync come one after another. What was true within it counts as true. */
    WINDOW_MS = 1000,
    MIN_READY_MS = 2000, /* the checkers see who is Ready, a controller who has been for so long */
};

/* One version of the set's rules. */
struct sim_rules {
    bool exists, deleting, parallel, on_delete, recreate, delete_when_scaled, delete_when_deleted;
    bool paused, auto_rollback, primary_last; /* annotations */
    uint32_t reserved;                        /* a bit for each ordinal that has no pod */
    int64_t replicas, start, partition, max_unavailable, min_ready_s;
    int64_t window;      /* start-parallelism, at least 1 */
    int64_t deadline_ms; /* 0: none */
    /* The update revision, empty when the spec is newer than the status, and the current one. */
    char update[80], current[80];
    int64_t since_ms; /* it asks for so many pods */
    int64_t until_ms; /* when the next version came; INT64_MAX: it holds */
};

/* What is known of one ordinal. */
struct sim_seat {
    char uid[40];                 /* of the pod; empty: none */
    char revision[80], owner[40]; /* uid of the controller */
    uint32_t revision_hash, owner_hash;
    bool exists, deleting, ready, well, terminal;
    bool matches;                                                  /* the set's selector */
    bool primary;                                                  /* by its label */
    bool ever_ready;                                               /* this pod was Ready once */
    int64_t exists_ms, absent_ms, well_ms, unwell_ms, terminal_ms; /* true last at this time */
    int64_t owned_ms;                                              /* by this owner since then */
    int64_t claim_born_ms;                                         /* made */
    int64_t labels_ms;  /* another pod, or another label, since then */
    int64_t unready_ms; /* was there, not to be deleted and not Ready last */
    char taken_uid[40]; /* the controller deleted this well pod for an update, and no later one was
                           well yet; empty: no */
    int64_t taken_ms;
    int taken_life;     /* the server that was asked */
    int64_t deleted_ms; /* a role asked for its deletion */
    bool claim_taken;   /* a user's deletion of the claim won the race against a pod that uses it */
    bool claim_asked;   /* a user deleted the claim */
};

/* What the pods of the set were from one change to the next: what a status may say. */
struct sim_moment {
    int64_t until_ms; /* INT64_MAX: still */
    struct {
        uint32_t owner, revision; /* hashes; owner 0: no pod, or nobody's */
        bool deleting, ready;
    } seats[ORDINALS];
};

/* How far the roll-out has come, by the status. */
struct sim_rollout {
    char revision[80];
    int64_t updated;    /* the most so far */
    int64_t forward_ms; /* of sim_forward_ms(): it came so far */
    int64_t before_ms;  /* what stood there until mono_ms */
    int64_t mono_ms;
};

/* A pod of the Deployment beside the set. */
struct sim_web {
    char uid[40], owner[40];
    bool well;
    int64_t well_ms;  /* was true last */
    int64_t since_ms; /* became true last */
};

struct sim_node {
    const char *name, *ip;
    struct runtime *runtime;
    struct env *env; /* the node agent's; NULL: it is dead */
    struct link *link;
    struct kubelet_images *images;
    struct kubelet *kubelet;
    bool is_cut;
    int64_t down_ms; /* its machine went down last */
};

/* A request of a role that died, on its way. */
struct sim_orphan {
    struct arena *arena;
    struct client_request rq;
    int64_t due_ms;
};

struct sim_acked {
    char key[96];
    int64_t rev;
    int64_t from_rev; /* of an update: what it replaced by its own word; 0: it did not say */
};

struct platform {
    uint64_t seed, random;
    bool show, calm, narrow;
    const struct platform_plant *plant; /* never NULL */
    struct env *world;                  /* the machines'; containers live in it */
    struct store_memory_disk *rows;
    struct sim_disk *disk; /* NULL: the store's rows are in memory */
    bool opening, disk_full;
    uint32_t store_errors; /* chance in a thousand of a commit */
    /* The store's limits, for all of the history; 0: the usual ones. */
    size_t history_versions, log_bytes;
    struct link_weather weather;
    /* The server; env NULL: dead. */
    struct env *env;
    struct store *store;
    struct watch_hub *hub;
    struct apiserver *api;
    struct client *client;
    int64_t killed_ms, started_ms; /* last */
    int server_life;               /* counts the starts: two may be in one millisecond */
    int64_t killed_forward_ms;     /* killed_ms of sim_forward_ms() */
    bool is_catching_up;           /* what it stored before it was killed is told now */
    /* The controllers; env NULL: dead. */
    struct env *controllers_env;
    struct link *controllers_link;
    struct volumes *volumes;
    struct controllers *controllers;
    struct sim_node nodes[NODES];
    /* Somebody is killed in the turn of the nth write (of objects of this kind) or start to come.
     */
    struct {
        const struct schema_kind *kind; /* of the writes; NULL: any */
        bool at_start;                  /* of a container */
        uint64_t left;                  /* 0: no ambush */
        bool sprung, returns;           /* starts again at once */
    } ambush;
    /* What the checkers know. */
    struct record *record, *slow;
    VEC(struct sim_rules) rules; /* the last one holds */
    struct sim_seat seats[ORDINALS];
    VEC(struct sim_moment) moments; /* the last one holds */
    int64_t true_rev; /* the set's status was found true to the last moment; 0: not looked at */
    struct sim_rollout rollout;
    int64_t jump_ms, jump_at_ms; /* the last time that it was set forward */
    int64_t jumped_ms;           /* the wall clock was set forward by so much in all */
    int64_t set_ms;              /* what a deadline asks for is so since then */
    int64_t listed_ms;           /* the controllers may have listed again until then */
    /* When something kept the controllers from their work: first and last; and until when they may
     * still hold back for it. */
    int64_t trouble_from_ms, trouble_ms, calm_ms;
    int64_t refused_from_ms, refused_ms; /* a pod of the set: first and last in a row */
    VEC(struct sim_acked) acked;         /* since the last check */
    VEC(struct sim_orphan) orphans;
    VEC(struct sim_web) web;
    struct near *near;
    struct sim_allowance allowance;
    struct ranks *ranks;         /* NULL until users make the first big pod */
    int ranks_first, ranks_left; /* big pods that a user is about to make, the last one is 0 */
    struct reader *reader;       /* NULL: in most histories */
    int64_t forgotten_ms;        /* the record listed last */
    int64_t controllers_ms;      /* started last */
    struct sim_job job;
    int lone_images;       /* its image was changed so often */
    int64_t lone_ms;       /* the lone pod was made */
    bool custom_going;     /* a user asked for the end of their definition */
    uint32_t custom_asked; /* a bit for each object of the users' own kind that may go */
    int64_t budget_ms;     /* the budget of the set is another one since then */
    int64_t web_need, web_needed, web_need_ms; /* pods that must stay; before; since when */
    VEC(char *) forced;                        /* uids of pods that users deleted by force */
    int64_t changed_ms;                        /* when a pod or the set's spec changed last */
    char set_uid[40];
    char orphaned_uid[40]; /* of a set that was deleted so that its own stays; empty: none */
    int64_t orphaned_ms;
    struct object *edited; /* the set as a user has it in an editor; NULL: nobody edits */
    bool has_min_ready;
    /* The answer that a user waits for. */
    int64_t asked_from_rev;
    bool answered;
    enum err_reason answer;
    char answer_text[256];
    struct platform_figures figures;
    char violation[32], story[512];
};

uint64_t sim_roll(struct platform *w, uint64_t n);
void sim_say(struct platform *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first broken promise is kept; the history ends there. */
void sim_fail(struct platform *w, const char *checker, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int64_t sim_now_ms(const struct platform *w);
/* What was true this long ago still counts. */
int64_t sim_window_ms(const struct platform *w);
/* Index of a node; -1: none of ours. */
int sim_node_called(const struct platform *w, struct span name);
/* Before this no view of late is: events and requests that wait are counted in. */
int64_t sim_long_ago_ms(const struct platform *w);
/* Writes fail, or nobody is there to write. */
bool sim_is_hindered(const struct platform *w);
/* The ordinal of a pod "redis-N" or a claim "data-redis-N" that is tracked, else -1. */
int sim_ordinal(struct span name, const char *prefix);

/* One turn, and a look; false: no more until then, or a promise is broken. */
bool sim_one_turn(struct platform *w, int64_t until_ms);
/* A write was acknowledged, to whom is all the same; from_rev as link_from_rev() has it. */
void sim_note_acked(struct platform *w, enum client_verb verb, const struct client_reply *r,
                    int64_t from_rev);
/* Time passes, with a look after each turn; ends early when a promise is broken. */
void sim_run_for(struct platform *w, int64_t ms);

/* requests.c: those of a role that died arrive, whoever has taken its place meanwhile. */
void sim_note_orphan(void *platform, const struct client_request *rq);
/* When the next one is due; not later than this. */
int64_t sim_next_orphan_ms(const struct platform *w, int64_t until_ms);
/* all: at the end. */
void sim_send_orphans(struct platform *w, bool all);

/* platform.c: the roles. */
void sim_start_server(struct platform *w);
/* Who is dead. */
void sim_start_missing(struct platform *w);
void sim_kill_server(struct platform *w);
void sim_start_controllers(struct platform *w);
void sim_kill_controllers(struct platform *w);
void sim_start_node(struct platform *w, struct sim_node *n);
void sim_kill_node(struct platform *w, struct sim_node *n);
void sim_cut_node(struct platform *w, struct sim_node *n, bool cut);
void sim_set_weather(struct platform *w, const struct link_weather *weather);

/* Counts what was asked for; the last request's answer says whether it was done. */
void sim_asked(struct platform *w, enum sim_deed deed);
/* What a user asks for an object of "default", or of a kind that has no namespaces. name: not read
 * when it is made. */
struct client_request sim_user_request(enum client_verb verb, const struct schema_kind *kind,
                                       struct span name, struct span body);
/* A user's request, counted as that deed and told. what: "the job". */
void sim_request(struct platform *w, enum sim_deed deed, const struct client_request *rq,
                 const char *what);
/* Both in one, told by the kind. */
void sim_ask(struct platform *w, enum sim_deed deed, enum client_verb verb,
             const struct schema_kind *kind, struct span name, struct span body);
/* Counts what came. */
void sim_saw(struct platform *w, enum sim_deed deed);
/* A clock that is set forward with the wall clock, and never back. */
int64_t sim_forward_ms(const struct platform *w);

/* Of a uid or a name, in moments. */
uint32_t sim_hash(struct span text);

/* users.c */
void sim_user_acts(struct platform *w);
/* What users do at the end, so that the platform can come to rest. */
void sim_users_tidy_up(struct platform *w);

/* users_pods.c: a user says that the pod is dead: it counts as such. */
void sim_declare_dead(struct platform *w, struct object *pod);
void users_on_change(struct platform *w, struct object *old, struct object *now);

/* faults.c */
void sim_fault(struct platform *w);
/* A write is on its way (kind), or a container starts (NULL). */
void sim_ambush_sees(struct platform *w, const struct schema_kind *kind);
/* After the turn: whom the ambush was for. */
void sim_ambush_strikes(struct platform *w);
void sim_faults_end(struct platform *w);

/* Not those that a set with claims has adopted from one without. */
bool sim_mounts_claim(struct object *pod);
/* What a convergence that fails leaves for the reader. */
void sim_dump(struct platform *w);

#endif
