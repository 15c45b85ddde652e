/* test/kit/store_kit.h: a store in a world of its own, for the contract suite and its companions.
 */
#ifndef TEST_KIT_STORE_KIT_H
#define TEST_KIT_STORE_KIT_H

#include "base/vec.h"
#include "env/env.h"
#include "store/store_priv.h"

enum backend { MEMORY, SQLITE };

enum { KEYS = 12 };

/* One told event, as plain numbers. */
struct told {
    int64_t rev, prev;
    int key, value;
    bool is_delete;
};

struct world {
    enum backend backend;
    bool is_sim; /* on the simulated environment */
    struct env *env;
    struct store *store;
    struct store_memory_disk *disk; /* outlives reopening */
    struct sim_disk *power_disk;    /* of SQLITE, when it may lose power; ours */
    struct store_memory_options options;
    char path[128];       /* of the database */
    size_t history_limit; /* 0: the usual one; of bytes, too */
    size_t history_bytes_limit;
    uint64_t fail_commit; /* number of the commit that fails (memory); 0: none */
    bool stop, in_submit;
    int outstanding, done_count;
    VEC(struct told) events; /* as subscribed since the last open */
    VEC(struct told) loaded; /* by the last open */
};

/* A write with its memory and result. */
struct put {
    struct store_write w;
    struct world *world;
    char key[64], body[256];
    int key_number, value;
    int code;    /* 1: not done */
    int64_t rev; /* of the object given to done; 0: none */
    int order;   /* place among all done calls; 0: not done */
    void (*then)(struct put *p);
};

struct world *world_new(enum backend backend, bool is_sim);
void world_open(struct world *w);
void world_reopen(struct world *w);
void world_free(struct world *w);

/* Submits a write of key number `key`; checks that done comes later and after its event. */
void world_submit(struct world *w, struct put *p, int key, int64_t expect, bool is_delete,
                  int value);
/* Its done callback, for writes made otherwise (count them in outstanding). */
void world_on_done(struct store_write *sw, int code, struct object *object);
/* Waits until nothing is outstanding. */
void world_settle(struct world *w);
/* One write from submit to done; returns its code. */
int world_write(struct world *w, int key, int64_t expect, bool is_delete, int value,
                int64_t *ret_rev);
void world_run_for(struct world *w, int64_t ms);
/* Latest revision of a key; 0: absent. */
int64_t world_rev(struct world *w, int key);

struct span store_kit_key(char buf[64], int key);
/* The number behind the mark; -1: no mark. */
int store_kit_number(struct span s, const char *mark);

/* What the store should hold. */
struct model {
    int64_t rev[KEYS]; /* 0: absent */
    int value[KEYS];
    VEC(struct told) log;
};

void model_apply(struct model *m, const struct told *t);
/* The last open gave the model: live state, and every event after the compaction with its previous.
 */
void world_check_loaded(struct world *w, const struct model *m);
/* Rounds of up to 40 writes that all succeed, told to the model. */
void world_random_work(struct world *w, struct model *m, int rounds);

#endif
