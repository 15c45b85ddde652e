/* plan/grow_plan.h: how a claim that asks for more than it has comes to it. Pure.
 *
 * In Kubernetes' words and order: the claim says what is being made (allocatedResources, condition
 * Resizing), the disk grows, then the volume's capacity, then the file system on the node, last the
 * claim's capacity. Every stage is written down before the next begins and can be done again, so
 * whoever is killed goes on where he stood. A size that has reached the disk is carried through:
 * nothing ever shrinks. Only one that failed before is given up for another that is asked for. */
#ifndef PLAN_GROW_PLAN_H
#define PLAN_GROW_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/* status.allocatedResourceStatuses */
enum grow_stage {
    GROW_STAGE_NONE,
    GROW_STAGE_DISK,            /* ControllerResizeInProgress */
    GROW_STAGE_DISK_INFEASIBLE, /* ControllerResizeInfeasible */
    GROW_STAGE_FILES_PENDING,   /* NodeResizePending */
    GROW_STAGE_FILES,           /* NodeResizeInProgress, or NodeResizeInfeasible */
};

/* What the machine was told to do last. */
enum grow_job {
    GROW_JOB_NONE,
    GROW_JOB_RUNNING,
    GROW_JOB_DISK_DONE, /* to job_bytes, as is a failure */
    GROW_JOB_DISK_FAILED,
    GROW_JOB_DISK_INFEASIBLE,
    GROW_JOB_FILES_DONE,
    GROW_JOB_FILES_BUSY, /* not while a pod uses it */
    GROW_JOB_FILES_FAILED,
};

struct grow_view {
    bool ours;         /* the volume is one that we make */
    int64_t asked;     /* spec.resources.requests */
    int64_t has;       /* status.capacity; 0: not told yet */
    int64_t volume;    /* the volume's capacity */
    int64_t allocated; /* status.allocatedResources; 0: none */
    enum grow_stage stage;
    enum grow_job job;
    int64_t job_bytes;
};

enum grow_step {
    GROW_NOTHING,
    GROW_EXTERNAL, /* somebody else's volume: say so */
    GROW_BEGIN,    /* write down that it is to have `bytes` */
    GROW_DISK,     /* tell the machine to */
    GROW_DISK_FAIL,
    GROW_VOLUME,  /* write the volume's capacity */
    GROW_PENDING, /* write down that the file system is next */
    GROW_FILES,   /* tell the machine to */
    GROW_FILES_FAIL,
    GROW_WAIT_PODS,
    GROW_FINISH, /* write the claim's capacity */
};

struct grow_plan {
    enum grow_step step;
    int64_t bytes;
};

struct grow_plan grow_plan(const struct grow_view *view);

#endif
