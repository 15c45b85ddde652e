/* apiserver/op.h: one typed operation. The HTTP front and the local client are two thin adapters
 * that fill one in and read its result; everything between (preconditions, admission, validation,
 * the write) is here, one file a verb.
 *
 * Life: the adapter zeroes the struct in an arena of its own, fills "what", calls api_op_run().
 * done() is called exactly once, at once (reads, refusals) or in a later turn (writes, when they
 * are durable). The adapter reads the result inside done(), then calls api_op_release(). The arena
 * lives until then. */
#ifndef APISERVER_OP_H
#define APISERVER_OP_H

#include "apiserver/service_alloc.h"
#include "client/client.h"
#include "codec/json.h"
#include "schema/schema.h"
#include "store/store.h"

struct apiserver;
struct quota_claim;
struct selection;

enum api_verb {
    API_GET,
    API_LIST,
    API_WATCH, /* never run as an operation: front_watch.c and local_watch.c stream */
    API_CREATE,
    API_UPDATE,
    API_PATCH,
    API_DELETE,
    API_DELETECOLLECTION
};

enum api_patch { API_PATCH_JSON, API_PATCH_MERGE, API_PATCH_STRATEGIC, API_PATCH_APPLY };

struct api_options {
    bool dry_run;
    enum schema_strictness strictness; /* fieldValidation */
    struct span field_manager;         /* as asked for */
    struct span user_agent;            /* names the manager when none is asked for */
    bool force, has_force;             /* of an apply */
    struct span label_selector, field_selector;
    /* reads */
    struct span rev, rev_match, continue_token;
    int64_t limit; /* 0: none */
    /* watch */
    bool bookmarks, send_initial, has_send_initial;
    int64_t timeout_s; /* 0: the default */
    /* delete */
    enum client_propagation propagation;
    int64_t grace_s; /* -1: not given */
    struct span precondition_uid, precondition_rev;
};

struct api_op {
    struct apiserver *server;
    struct arena *arena;
    /* what */
    enum api_verb verb;
    const struct schema_kind *kind; /* as it is stored */
    const struct schema_kind *view; /* as the client sees it when that differs, or NULL */
    struct span ns, name;
    struct span user, groups;             /* who asks; groups end in a newline each but the last */
    struct span user_uid;                 /* of one that another speaks for, or empty */
    struct span user_print;               /* SHA-256 of their certificate, or empty */
    const yyjson_val *user_extra;         /* lists of texts by key, or NULL */
    bool is_limited;                      /* who asks may not do everything: authorize.h */
    const struct schema_subresource *sub; /* NULL: the object itself */
    enum api_patch patch_type;
    struct api_options options;
    const yyjson_val *body; /* object, patch or options; NULL: none */
    void (*done)(struct api_op *op);

    /* the result: err.reason ERR_NONE on success */
    struct err err;
    int http_status;       /* 200, 201 */
    struct object *object; /* a stored version (referenced), or NULL */
    const yyjson_val
        *tree; /* what is answered when it is not a stored version: dry run, Scale, Status */
    struct object **items; /* lists: referenced, in order */
    size_t item_count, item_cap;
    int64_t rev;               /* of a list */
    struct span next_continue; /* of a list that stopped at its limit */
    int64_t remaining;         /* items after it; -1: not known */
    struct schema_warnings warnings;

    /* private to the implementation */
    struct store_write write;
    struct span key;
    int attempts;                      /* that failed so far */
    uint8_t first_warnings;            /* those from before the first attempt */
    int (*attempt)(struct api_op *op); /* decides from the current state and submits; see write.h */
    int (*mutate)(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                  yyjson_mut_val **ret); /* sub-resources: how the object changes */
    void (*present)(struct api_op *op);  /* turns op->object into another answer, or NULL */
    struct selection *selection;
    struct service_claims claimed;   /* given back when the write fails */
    struct service_claims released;  /* given back when the write succeeds */
    struct span deleted_uid;         /* of the object that a delete takes away */
    struct quota_claim *quota_claim; /* quota.h: what the write would use more; NULL: nothing */
    struct api_op *parent;           /* of the deletes of a collection */
    size_t pending;
    bool is_finished; /* done() has been called */
    bool is_foreign;  /* from outside, not of the server's own parts */
    bool name_generated;
    bool is_applied;         /* server-side apply has decided who owns what: */
    yyjson_mut_val *managed; /* NULL: nobody */
    bool is_untracked;       /* binding: the change makes nobody an owner */
    bool keeps_defaults;     /* mutate() adds nothing to spec that has defaults inside */
    bool is_eviction;        /* a delete that leaves the condition DisruptionTarget */
    bool server_change; /* binding, finalize, what only the server makes: the kind's rules about
                         * what clients may do and change do not apply */
};

/* kind, arena, server, verb, done are set. */
void api_op_run(struct api_op *op);
/* Drops the references that the result holds. */
void api_op_release(struct api_op *op);

/* ---- for the verb files ---- */

/* One file each. They end in api_op_finish, now or later. */
void op_get(struct api_op *op);
void op_list(struct api_op *op);
void op_create(struct api_op *op);
void op_update(struct api_op *op); /* and patch, and /status */
void op_delete(struct api_op *op);
void op_deletecollection(struct api_op *op);
void op_apply(struct api_op *op); /* server-side apply, of the object or of /status */
void op_review(struct api_op *op);
/* op_token.c: the status of a TokenReview. */
void op_token_review(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *status,
                     const yyjson_val *spec);
/* A question that is answered and not stored. */
bool op_is_review(const struct schema_kind *kind);
void op_usage(struct api_op *op); /* get and list of what is measured when somebody asks: */
bool op_is_usage(const struct schema_kind *kind);
void op_scale(struct api_op *op);
void op_binding(struct api_op *op);
void op_eviction(struct api_op *op);
void op_present_success(struct api_op *op); /* a Status of success, 201 */
void op_finalize(struct api_op *op);        /* namespaces/finalize */
void op_extras(struct api_op *op);          /* pods/ephemeralcontainers */
void op_resize(struct api_op *op);          /* pods/resize */
void op_token(struct api_op *op);           /* serviceaccounts/token */

/* One more object in the reply: referenced. */
void api_op_collect(struct api_op *op, struct object *o);
/* Calls done, once. */
void api_op_finish(struct api_op *op);
/* Sets op->err with the resource's details and the message; returns -1, so that callers write
 * `return api_op_err(...);`. */
int api_op_err(struct api_op *op, enum err_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A resourceVersion from a client: empty and "0" give 0. -1 with op->err: it is no number, or a
 * revision that this store has not handed out. */
int api_op_revision(struct api_op *op, struct span text, int64_t *ret);
/* As Go's strconv says why a text is no number. */
const char *api_number_fault(struct span text);
int api_op_not_found(struct api_op *op);
/* `Operation cannot be fulfilled on RESOURCE "NAME": WHY` */
int api_op_conflict(struct api_op *op, struct span why);
/* `RESOURCE "NAME" is forbidden: WHY` */
int api_op_forbidden(struct api_op *op, struct span name, struct span why);
void api_op_warn(struct api_op *op, struct span text);
bool api_sub_is(const struct api_op *op, const char *name);
/* A stored object, latest state; NULL when absent. */
struct object *api_peek(struct apiserver *s, struct arena *a, const char *resource, struct span ns,
                        struct span name);

#endif
