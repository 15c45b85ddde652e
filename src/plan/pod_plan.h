/* plan/pod_plan.h: what the node agent does next for one pod, and what it tells about it. PURE: a
 * view in, a plan out.
 *
 * The shell (kubelet/) keeps one view per pod, changes it as things happen, calls pod_plan() after
 * every change and starts each step that comes out. A step in flight shows in the view
 * (POD_PREP_BUSY, POD_INSTANCE_STARTING, ...), so a plan never repeats it. Life of one container
 * instance:
 *
 *   NONE --START--> STARTING --STARTED--> RUNNING --TERM--> STOPPING
 *     ^                |START_FAILED         |EXITED            |EXITED
 *     |                v                     v                  v
 *     +---REMOVED-- REMOVING <--REMOVE-- EXITED <---------------+
 *
 * Sidecars start in their place among the init containers, run along and end last, in reverse.
 * Extras (ephemeral containers, put into a pod that runs already) start once, as soon as there is a
 * sandbox for them, are never started again, count for nothing, and end with the pod.
 *
 * Promises, checked by enumeration in the tests: one container never has two live instances;
 * nothing is restarted against the policy or while the pod ends; the API object is deleted only
 * when every instance, the sandbox and the mounts are gone. */
#ifndef PLAN_POD_PLAN_H
#define PLAN_POD_PLAN_H

#include "base/arena.h"
#include "base/span.h"

enum pod_policy { POD_ALWAYS, POD_ON_FAILURE, POD_NEVER };

enum pod_instance {
    POD_INSTANCE_NONE,
    POD_INSTANCE_STARTING,
    POD_INSTANCE_RUNNING,
    POD_INSTANCE_STOPPING, /* told to end, still alive */
    POD_INSTANCE_EXITED,
    POD_INSTANCE_REMOVING,
    POD_INSTANCE_COUNT
};

enum pod_event {
    POD_EVENT_START,
    POD_EVENT_STARTED,
    POD_EVENT_START_FAILED,
    POD_EVENT_TERM,
    POD_EVENT_EXITED,
    POD_EVENT_REMOVE,
    POD_EVENT_REMOVED,
    POD_EVENT_REMOVE_FAILED,
    POD_EVENT_COUNT
};

/* The total table above; an event that means nothing in a state leaves it as it is. */
enum pod_instance pod_instance_next(enum pod_instance now, enum pod_event event);
/* STARTING counts: the process may be there. */
static inline bool pod_instance_live(enum pod_instance i)
{
    return i == POD_INSTANCE_STARTING || i == POD_INSTANCE_RUNNING || i == POD_INSTANCE_STOPPING;
}

/* Something made ready once: volumes, the sandbox, an image. */
enum pod_prep_state {
    POD_PREP_TODO,
    POD_PREP_BUSY,
    POD_PREP_DONE,
    POD_PREP_FAILED,
    POD_PREP_UNDOING
};
struct pod_prep {
    enum pod_prep_state state;
    int64_t failed_ms; /* FAILED: when */
    uint32_t failures; /* in a row */
    struct span reason, message;
};

/* How an instance ended. */
struct pod_result {
    int32_t exit_code, signal;
    bool oom_killed, start_failed, lost; /* lost: it was gone when we looked */
    int64_t started_ms, finished_ms;
    uint32_t attempt;
    struct span message;
};

struct pod_container_view {
    struct span name, image;
    struct span ran_image; /* that the latest instance was started from; empty: none was */
    bool sidecar; /* an init container with restartPolicy Always: it stays beside the others */
    enum pod_instance instance;
    uint32_t attempt; /* of the current or latest instance; meaningless before the first */
    bool has_attempt; /* there was an instance, now or earlier */
    bool has_result;  /* the latest instance ended: result */
    struct pod_result result;
    bool has_last; /* the instance before the latest */
    struct pod_result last;
    bool stale;                 /* the latest instance ran in an earlier sandbox */
    uint32_t restarts_in_a_row; /* without 10 minutes of running: drives the back-off */
    int64_t started_ms;         /* of a live instance */
    int64_t stop_ms;            /* STOPPING: when it was told */
    bool kill_sent;             /* STOPPING: SIGKILL went out */
    bool unhealthy; /* liveness or startup probe failed for good, or a hook did, or renewed */
    bool renewed;   /* ended by us to be started from another spec: whatever the policy, at once */
    int64_t unhealthy_grace_ms; /* the failed probe's own grace; 0: the pod's */
    bool started, ready;        /* what the probes say of the running instance */
    struct span unready_cause;  /* of a running instance: "readiness probe `x` failed 4 times" */
    struct span end_cause; /* of the instance that ended last, while none has become ready since:
                              "killed after its liveness probe ...", "last words: ..." */
    struct pod_prep image_prep;
    bool pulling; /* it is being fetched, which may take a while */
    struct span image_id;
    struct span resources; /* that the latest instance has: limits and requests of cpu and memory as
                              JSON; empty: none */
    struct span config_reason,
        config_message; /* the instance cannot be described: a secret is missing, ... */
};

struct pod_condition {
    struct span type, status, reason, message;
    int64_t transition_ms;
};

struct pod_view {
    int64_t now_ms;
    struct span ns, name, uid;
    enum pod_policy policy;
    bool exists;         /* the API object is there (with this uid) */
    bool deleting;       /* deletionTimestamp is set, or the object is gone */
    bool stop_only;      /* berth stop: end everything, leave the API object alone */
    bool acked_terminal; /* the API object says Succeeded or Failed */
    int64_t grace_ms;    /* between SIGTERM and SIGKILL */
    int64_t ending_ms;   /* when it was first seen on its way out; 0: not yet, or unknown */
    int64_t deadline_ms; /* activeDeadlineSeconds as a point in time; 0: none */
    bool inputs_ready;   /* every referenced object has been looked up */
    struct span held;    /* what keeps the node from starting it, in words; empty: nothing known */
    bool host_network;
    struct span refused; /* the spec asks for what we do not do: why; nothing is started */
    struct span rejected, rejected_message; /* the node does not take it at all: the reason; it
                                               fails, nothing is started */
    struct span volumes_reason,
        volumes_message; /* a referenced object is missing: nothing can be mounted */
    struct pod_prep volumes, sandbox;
    bool sandbox_broken; /* DONE, but its namespaces are dead (after a reboot): to be removed and
                            made again */
    bool object_deleted; /* our DELETE is in flight or done */
    struct span host_ip, pod_ip, container_scheme; /* "crun" of crun://ID */
    struct span qos_class;
    int64_t start_ms; /* status.startTime; 0: now */
    struct pod_container_view *inits, *mains;
    struct pod_container_view *extras;
    size_t init_count, main_count, extra_count;
    const struct pod_condition *conditions; /* as last told; also foreign ones, which are kept */
    size_t condition_count;
    const struct span *gates; /* readinessGates: condition types */
    size_t gate_count;
    /* The spec asks for other resources than the instances have: why that cannot be done now
     * (pending: "Infeasible", "Deferred"), or that it is being done, with what went wrong. */
    struct span resize_pending, resize_message;
    bool resizing;
    /* The terminal status as the API has it (acked_terminal). */
    struct span acked_phase;
};

enum pod_step_type {
    POD_STEP_PREPARE_VOLUMES,
    POD_STEP_CREATE_SANDBOX,
    POD_STEP_PREPARE_IMAGE, /* container */
    POD_STEP_START,         /* container, attempt */
    POD_STEP_TERM,          /* container: stop signal */
    POD_STEP_KILL,          /* container: SIGKILL */
    POD_STEP_REMOVE,        /* container: its exited instance */
    POD_STEP_REMOVE_SANDBOX,
    POD_STEP_TEARDOWN_VOLUMES,
    POD_STEP_DELETE_OBJECT, /* grace 0, uid precondition */
    POD_STEP_FORGET         /* nothing is left: the shell drops the pod */
};

struct pod_step {
    enum pod_step_type type;
    bool init, extra;
    size_t container; /* index in inits, extras or mains */
    uint32_t attempt;
};

enum pod_state_kind { POD_STATE_NONE, POD_STATE_WAITING, POD_STATE_RUNNING, POD_STATE_TERMINATED };
struct pod_state {
    enum pod_state_kind kind;
    struct span reason, message, container_id;
    int32_t exit_code, signal;
    int64_t started_ms, finished_ms;
};

struct pod_container_status {
    struct span name, image, image_id, container_id;
    struct pod_state state, last;
    bool ready, started;
    uint32_t restart_count;
    struct span resources; /* as in the view */
};

struct pod_status {
    struct span phase, reason, message, host_ip, pod_ip, qos_class;
    int64_t start_ms;
    struct pod_condition *conditions;
    size_t condition_count;
    struct pod_container_status *inits, *mains, *extras;
    size_t init_count, main_count, extra_count;
};

struct pod_plan {
    struct pod_step *steps; /* all may start now, in this order */
    size_t step_count;
    int64_t wake_ms; /* look again at this time at the latest; 0: only when something changes */
    struct pod_status status;
};

void pod_plan(struct arena *a, const struct pod_view *view, struct pod_plan *ret);
/* plan/pod_status.c: the status half of pod_plan(). */
void pod_plan_status(struct arena *a, const struct pod_view *view, struct pod_status *ret);
/* plan/pod_status_same.c: whether both are written alike. */
bool pod_status_same(const struct pod_status *a, const struct pod_status *b);
/* With everything that it points to. */
struct pod_status pod_status_copy(struct arena *a, const struct pod_status *from);

/* True when the node agent says a condition of this type, and nobody else. */
bool pod_condition_is_own(struct span type);

/* Shared by both halves. */
/* first doubling to max; failures 0 gives 0. */
int64_t pod_backoff_ms(int64_t first_ms, int64_t max_ms, uint32_t failures);
/* Delay after which an ended container starts again, counted from its end. */
int64_t pod_crash_backoff_ms(const struct pod_container_view *c);
/* The number of restarts in a row that the next start of this container will have. */
uint32_t pod_restarts_after(const struct pod_container_view *c);
/* An init container that has done its work in this sandbox. */
bool pod_init_completed(const struct pod_container_view *c);
/* The next one may start: this one completed; a sidecar has started, or had when a later container
 * ran. */
bool pod_init_passed(const struct pod_view *v, size_t i);
/* Index of the init container whose turn it is; init_count when all are passed. */
size_t pod_init_current(const struct pod_view *v);
/* Would this ended container be started again in a pod that goes on? */
bool pod_wants_restart(const struct pod_view *v, const struct pod_container_view *c, bool init);
/* Every container has ended for good and none will start again: "Succeeded", "Failed", or empty. */
struct span pod_final_phase(const struct pod_view *v);
bool pod_is_overdue(const struct pod_view *v);
/* The pod is on its way out: deleted, stopped, overdue or finished. */
bool pod_is_ending(const struct pod_view *v);

enum {
    POD_CRASH_FIRST_MS = 10 * 1000,
    POD_CRASH_MAX_MS = 300 * 1000,
    POD_CRASH_RESET_MS = 600 * 1000,
    POD_IMAGE_FIRST_MS = 10 * 1000,
    POD_IMAGE_MAX_MS = 300 * 1000,
    POD_IMAGE_ERR_SHOWN_MS = 1000, /* ErrImagePull turns into ImagePullBackOff after this */
    POD_VOLUME_FIRST_MS = 500,
    POD_VOLUME_MAX_MS = 122 * 1000,
    POD_SANDBOX_FIRST_MS = 1000,
    POD_SANDBOX_MAX_MS = 60 * 1000,
    POD_SIDECAR_GRACE_MIN_MS = 2 * 1000, /* even when the others used the pod's grace up */
};

#endif
