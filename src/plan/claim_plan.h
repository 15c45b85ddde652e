/* plan/claim_plan.h: what happens to a claim and to a volume next. Pure.
 *
 * A claim and a volume are bound one to one: volume.claimRef names the claim (with its uid),
 * claim.volumeName names the volume. Whoever is pre-bound by hand comes first; else the smallest
 * free volume that fits; else a new one. */
#ifndef PLAN_CLAIM_PLAN_H
#define PLAN_CLAIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum claim_ref { CLAIM_REF_NONE, CLAIM_REF_THIS, CLAIM_REF_OTHER };

struct claim_volume {
    int64_t bytes;
    enum claim_ref ref;       /* THIS: names this claim and its uid, or no uid */
    bool deleting, available; /* available: phase Available, or none yet */
    bool class_fits, mode_fits, access_fits, selector_fits;
};

enum claim_class {
    CLAIM_CLASS_NONE,        /* "" : only volumes without a class */
    CLAIM_CLASS_UNSET,       /* absent, and no default class exists */
    CLAIM_CLASS_DEFAULTABLE, /* absent, and there is a default class */
    CLAIM_CLASS_MISSING,     /* names a class that does not exist */
    CLAIM_CLASS_MANUAL,      /* kubernetes.io/no-provisioner */
    CLAIM_CLASS_LOCAL,       /* ours */
    CLAIM_CLASS_EXTERNAL,    /* somebody else's provisioner */
};

struct claim_view {
    bool deleting;
    bool bound;                 /* volumeName set and the binding has been completed once */
    bool phase_right;           /* status says so already (Bound, with capacity and modes) */
    bool named;                 /* volumeName is set */
    bool volume_known;          /* the named volume is in the view */
    struct claim_volume volume; /* the named one, when known */
    int64_t bytes;
    bool block; /* volumeMode Block */
    bool wait_for_consumer, node_selected;
    enum claim_class class;
    const struct claim_volume *volumes; /* candidates, when no volume is named */
    size_t volume_count;
};

enum claim_step {
    CLAIM_NOTHING,
    CLAIM_ASK_VOLUME, /* bound, but the volume is not in the view: read it; when absent the claim is
                         Lost */
    CLAIM_WRITE_STATUS, /* bound: bring the status up to date */
    CLAIM_BIND,         /* to candidate `at`, or to the named volume */
    CLAIM_PROVISION,
    CLAIM_ASSIGN_DEFAULT, /* write the default class into the claim */
    CLAIM_WAIT_CONSUMER,
    CLAIM_WAIT_EXTERNAL,
    CLAIM_WAIT_VOLUME, /* the named volume does not exist yet */
    CLAIM_NO_VOLUME,   /* nothing fits and nothing can be provisioned */
    CLAIM_NO_CLASS,    /* the class does not exist */
    CLAIM_NO_BLOCK,    /* the local provisioner makes file systems only */
    CLAIM_MISMATCH,    /* the named volume does not fit: `why` */
    CLAIM_TAKEN,       /* the named volume belongs to another claim */
};

struct claim_plan {
    enum claim_step step;
    size_t at;
    const char *why;
};

struct claim_plan claim_plan(const struct claim_view *view);

enum volume_phase { VOLUME_AVAILABLE, VOLUME_BOUND, VOLUME_RELEASED, VOLUME_FAILED };

struct volume_view {
    bool deleting, protected; /* finalizer kubernetes.io/pv-protection */
    bool has_ref, ref_has_uid;
    bool claim_known;    /* the claim named by claimRef is in the view, with the same uid */
    bool claim_names_it; /* and its volumeName is this volume */
    bool gone_certain;   /* a live read has said that the claim does not exist any more */
    bool delete_policy;  /* reclaim policy Delete */
    bool ours;           /* made by our provisioner */
    bool data_removed;
    bool removal_failed; /* the last try to remove the data failed */
};

enum volume_step {
    VOLUME_NOTHING,
    VOLUME_SET_PHASE, /* to `phase` when it differs */
    VOLUME_ASK_CLAIM, /* read the claim before anything is released or removed */
    VOLUME_RECLAIM,   /* remove the data; meanwhile show `phase` */
    VOLUME_DELETE,    /* remove the object: its data is gone */
    VOLUME_UNPROTECT, /* remove the finalizer */
};

struct volume_plan {
    enum volume_step step;
    enum volume_phase phase;
};

struct volume_plan volume_plan(const struct volume_view *view);

#endif
