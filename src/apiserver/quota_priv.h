/* apiserver/quota_priv.h: shared by the two halves of the quotas: quota.c counts, quota_status.c
 * tells. */
#ifndef APISERVER_QUOTA_PRIV_H
#define APISERVER_QUOTA_PRIV_H

#include "apiserver/quota.h"
#include "apiserver/server.h"
#include "base/map.h"
#include "base/vec.h"
#include "plan/quota_plan.h"
#include "watch/watch.h"

/* What a write under way would use more. The operation holds it; it outlives its ledger. */
struct quota_claim {
    struct list link; /* in ledger->claims, by revision */
    struct quota_ledger *ledger;
    struct span resource;
    const yyjson_val *obj; /* in the operation's arena */
    struct object *old;    /* what it replaces, or NULL; owned */
    int64_t rev;           /* of the write; INT64_MAX: not submitted yet */
};

struct quota_entry {
    struct quota_account account; /* in the ledger's arena, and in object */
    struct object *object;        /* the version that it is made of; owned */
    bool is_due;                  /* its status may say something else */
    bool is_writing;
};

struct quota_tally {
    struct quota_ledger *ledger;
    struct span resource; /* in an account, or for ever */
    struct watcher *watcher;
};

struct quota_ledger {
    struct quotas *quotas;
    struct arena *arena;
    VEC(struct quota_entry) entries; /* by name */
    VEC(struct quota_tally *) tallies;
    struct list claims;
    struct list due_link; /* in quotas->due_ledgers */
    bool is_stale;        /* to be built anew */
    size_t ns_n;
    char ns[];
};

struct quotas {
    struct apiserver *server;
    struct map ledgers; /* by namespace */
    struct watcher *watcher;
    struct list due_ledgers; /* whose statuses are to be looked at */
    struct env_task due;
    struct env_timer retry;
};

static inline struct span ledger_ns(const struct quota_ledger *l)
{
    return span_of(l->ns, l->ns_n);
}

/* The ledger of a namespace up to the present; NULL: it has no quota. */
struct quota_ledger *quotas_ledger(struct quotas *q, struct span ns);
/* Takes the events of a ledger, which may be gone afterwards. */
void quotas_catch_up(struct quota_ledger *l);
/* By the quota's name; NULL: not there. l may be NULL. */
struct quota_entry *quotas_entry(struct quota_ledger *l, struct span name);
/* quota_status.c: an entry may be due, which is looked at in a later turn. */
void quotas_status_due(struct quota_ledger *l);

#endif
