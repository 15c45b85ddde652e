/* kubelet/kubelet_priv.h: the structs shared by the files of the node agent. */
#ifndef KUBELET_KUBELET_PRIV_H
#define KUBELET_KUBELET_PRIV_H

#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "client/client_event.h"
#include "client/informer.h"
#include "codec/json.h"
#include "kubelet/kubelet.h"
#include "kubelet/kubelet_api.h"
#include "kubelet/kubelet_images.h"
#include "kubelet/kubelet_util.h"
#include "plan/pod_plan.h"
#include "runtime/runtime.h"
#include "schema/schema.h"

struct kubelet_node;
struct kubelet_usage;
struct kubelet_ref;
struct kubelet_token;
struct kubelet_probe;
struct kubelet_check;
struct kubelet_rotation;
struct kubelet_volume_job;
struct kubelet_pod;

/* What the runtime listed at start, copied; consumed while pods are adopted. */
struct kubelet_found {
    struct arena *arena;
    struct runtime_sandbox_status *sandboxes;
    struct runtime_status *containers;
    size_t sandbox_count, container_count;
};

struct kubelet {
    struct env *env;
    struct client *client;
    struct runtime *runtime;
    struct kubelet_options options; /* spans in `arena` */
    struct arena *arena;            /* as long as the kubelet */
    struct informer *pods, *services;
    bool closing /* in kubelet_free */, listed, pods_synced, services_synced, adopted, stopping;
    bool stop_begun;   /* all pods are known, and some have their turn */
    bool room_awaited; /* a pod waits for what another one has */
    struct kubelet_found found;
    struct map by_uid, by_name; /* struct kubelet_pod; NAMESPACE/NAME: the newest of that name */
    struct map refs;            /* struct kubelet_ref by "resource/ns/name" */
    struct list sessions;
    struct event_recorder *events;
    struct kubelet_node *node;
    struct kubelet_usage *usage; /* NULL: nobody has asked yet */
    void (*ready_fn)(void *data);
    void *ready_data;
    void (*stop_fn)(void *data);
    void *stop_data;
    struct env_task stop_task;
    struct map stop_sets;  /* struct stop_set by uid: kubelet_stop.c */
    int64_t stop_grace_ms; /* no pod has longer while all are stopped; 0: its own */
    struct env_timer list_retry;
    struct list list_calls;
};

struct kubelet_container {
    struct kubelet_pod *pod;
    struct pod_container_view *v; /* in pod->view */
    bool init, extra;             /* extra: put into the running pod later */
    struct arena *image_arena;    /* of `image` */
    struct image_config image;
    int stop_signal; /* of the current instance; 0: an earlier program did not keep it */
    struct kubelet_probe *probes[3];
    struct kubelet_check *hook;
    struct kubelet_rotation *rotation;
    struct span told;    /* owned: text of the last Failed/BackOff event, so that it is told once */
    bool resizing;       /* the runtime is at it */
    bool resize_restart; /* it was ended to be started with other limits */
    struct span resize_error; /* owned: why the last try failed; empty: it did not */
    struct span resize_tried; /* owned: the resources of the last try */
    int64_t resize_retry_ns;
    size_t spec_at; /* which value of the pod's document its spec is; 0: there is none */
};

/* What every tick asks of the pod's document: looked up once for a version (kubelet_view_note). */
struct kubelet_asked {
    enum pod_policy policy;
    int64_t grace_s, deadline_s;
    size_t gates_at; /* which value of the document readinessGates are; 0: there are none */
};

struct kubelet_pod {
    struct kubelet *k;
    struct arena *arena;                   /* as long as the pod */
    struct object *object;                 /* newest version; NULL: an orphan of the runtime */
    struct kubelet_asked asked;            /* of object */
    struct span uid, ns, name, full_name;  /* full: NAMESPACE/NAME */
    struct pod_view view;                  /* what lasts; a tick fills in the rest on a copy */
    struct kubelet_container **containers; /* inits, then mains, then extras */
    size_t container_count, extra_room;    /* extra_room: of view.extras, a power of two */
    struct env_task tick;
    struct env_timer wake;
    struct list ops; /* struct kubelet_op under way */
    VEC(struct kubelet_ref *) refs;
    VEC(struct kubelet_token *) tokens;
    bool refs_pending;             /* filled during a gather: something was not looked up yet */
    struct span told;              /* owned: text of the last pod-level warning */
    bool dead;                     /* to be freed at the end of the tick */
    struct kubelet_pod *same_name; /* the next older one */
    bool predecessor;              /* waits for an earlier pod of the same name */
    bool stop_turn;                /* kubelet_stop_pods: its turn has come */
    struct heap_node stop_node;    /* it waits for its turn among its set */
    struct span set_uid;           /* of the StatefulSet that owns it; empty: none */
    int64_t set_ordinal;
    struct arena *sent_arena;
    struct pod_status sent;         /* last sent or confirmed, in sent_arena; phase empty: none */
    int64_t sent_rev;               /* the version that the last acknowledged write made; 0: none */
    bool status_busy, status_dirty; /* a write is in flight; changed meanwhile */
    int64_t status_due_ns, write_due_ns; /* not before: while steps are quick; after a failure */
    int64_t delete_failures, write_failures; /* the second: one after another */
    struct env_timer later;                  /* kubelet_pod_poke_after */
    int64_t later_ns;
    int64_t resize_rev;      /* version in which nothing was to be resized; 0: not looked yet */
    struct span resize_told; /* owned: text of the last event about a resize that waits */
    int64_t room_due_ns;     /* others had what it asks for: not rejected before; 0: they had not */
    bool volumes_stale;      /* a referenced object changed after they were written */
    bool volumes_writing;    /* a refresh is under way */
};

/* ---- operations under way: they outlive their pod harmlessly ---- */

struct kubelet_op {
    struct list link;
    struct kubelet_pod *pod; /* NULL: the pod is gone, the result is dropped */
    struct kubelet_container *c;
    uint32_t attempt;
    bool outlives; /* its callback comes for certain, after kubelet_free too (no runtime does) */
    int64_t began_ns;
    struct span image;   /* that is made ready */
    struct arena *arena; /* of the request's spans */
};
struct kubelet_op *kubelet_op_new(struct kubelet_pod *pod, struct kubelet_container *c);
/* Frees the op; its pod, or NULL. */
struct kubelet_pod *kubelet_op_end(struct kubelet_op *op);

/* ---- kubelet_stop.c ---- */

/* A pod has gone, or all are known: stopping begins, or has come to its end. */
void kubelet_stop_advance(struct kubelet *k);
/* One more pod is known, or one less: whose turn it is, if stopping is going on. */
void kubelet_stop_enter(struct kubelet_pod *pod);
void kubelet_stop_leave(struct kubelet_pod *pod);
/* No more of it: the kubelet ends. */
void kubelet_stop_done(struct kubelet *k);

/* ---- kubelet.c ---- */

struct kubelet_pod *kubelet_pod_find(struct kubelet *k, struct span uid);
/* Out of the tables of pods. */
void kubelet_pod_leave(struct kubelet *k, struct kubelet_pod *pod);
/* A pod was freed: its successor may go on, a stop may continue. */
void kubelet_pod_gone(struct kubelet *k, struct span ns, struct span name);

/* ---- kubelet_pod.c ---- */

/* Writes that fail are tried less and less often, up to 10 s apart. False: too early. */
void kubelet_write_ended(struct kubelet_pod *pod, bool ok);
bool kubelet_may_write(struct kubelet_pod *pod);
/* object NULL: an orphan with these names, known only to the runtime. */
struct kubelet_pod *kubelet_pod_new(struct kubelet *k, struct object *object, struct span uid,
                                    struct span ns, struct span name);
void kubelet_pod_free(struct kubelet_pod *pod);
/* A newer version, or NULL: it was deleted from the API. */
void kubelet_pod_update(struct kubelet_pod *pod, struct object *object);
/* Looks at the pod again, later in this turn. */
void kubelet_pod_poke(struct kubelet_pod *pod);
/* Looks at the pod again after ms at the latest. */
void kubelet_pod_poke_after(struct kubelet_pod *pod, int64_t ms);
void kubelet_pod_exited(struct kubelet_pod *pod, const struct runtime_status *status);
struct kubelet_container *kubelet_pod_container(struct kubelet_pod *pod, struct span name);
/* The instance ends, and the next one has the image that the spec names by now. */
void kubelet_container_renew(struct kubelet_container *c);
/* Into the result of the instance that has ended: the message that it left in its
 * terminationMessagePath, or the end of its log. */
void kubelet_container_read_message(struct kubelet_container *c);

/* ---- kubelet_adopt.c ---- */

void kubelet_pod_adopt(struct kubelet_pod *pod, const struct kubelet_found *found);
/* The name of its list in a pod's spec. */
const char *kubelet_container_list(const struct kubelet_container *c);
/* The instance moves by the planner's table. */
void kubelet_container_event(struct kubelet_container *c, enum pod_event event);
/* Forgets what belongs to one instance: probes, hook, rotation. */
void kubelet_container_quiet(struct kubelet_container *c);
struct span kubelet_container_id(struct arena *a, const struct kubelet_container *c,
                                 uint32_t attempt);

/* ---- kubelet_step.c ---- */

/* By what the pod and the image say; SIGTERM when neither does. */
int kubelet_stop_signal(const struct kubelet_container *c);

void kubelet_step_run(struct kubelet_pod *pod, const struct pod_view *view,
                      const struct pod_step *step);
/* Rotation of a running instance, and its probes, unless its postStart hook comes first. */
void kubelet_started(struct kubelet_container *c);

/* ---- kubelet_view.c ---- */

/* The pod has another version, or its containers are known: what is asked of it at every tick. */
void kubelet_view_note(struct kubelet_pod *pod);
yyjson_val *kubelet_container_spec(const struct kubelet_container *c);
yyjson_val *kubelet_pod_spec(const struct kubelet_pod *pod);
enum pod_policy kubelet_view_policy(const yyjson_val *spec);
/* Completes a copy of pod->view for the planner. */
void kubelet_view_gather(struct kubelet_pod *pod, struct arena *a, struct pod_view *ret);
/* Between SIGTERM and SIGKILL; exists: the API still has the pod. */
int64_t kubelet_view_grace_ms(const struct kubelet_pod *pod, bool exists);
/* What of this spec keeps us from running it; empty: nothing. */
struct span kubelet_view_refusal(struct arena *a, const yyjson_val *spec);
/* "a, b": fields that are set and that we do not act on; empty: none. The pod runs; an event says
 * so. host_ports_served: the node's network leads host ports to pods, but for kept_port. */
struct span kubelet_view_ignored(struct arena *a, const yyjson_val *spec, bool host_ports_served,
                                 uint16_t kept_port);

/* ---- kubelet_admit.c ---- */

/* Before a pod's first step: a pod whose host ports others on this node have is rejected, or to
 * whom they leave too little of a resource that is counted (not cpu and memory). False: it is not
 * decided yet, and the pod will be looked at again. */
bool kubelet_admit(struct kubelet_pod *pod);
/* A pod has changed or gone: what others wait for may be free. */
void kubelet_admit_again(struct kubelet *k);

/* ---- kubelet_status.c ---- */

void kubelet_status_sync(struct kubelet_pod *pod, const struct pod_view *view,
                         const struct pod_status *status, struct arena *a);
void kubelet_status_seen(struct kubelet_pod *pod); /* a new object version arrived */
/* As if none had been sent yet. */
void kubelet_status_forget(struct kubelet_pod *pod);
/* Before the pod is admitted, nothing is told of it but this: why it is held back. */
void kubelet_status_held(struct kubelet_pod *pod, const char *reason, struct span why);

/* ---- kubelet_event.c ---- */

/* An event about the pod (c NULL) or one of its containers. */
void kubelet_event(struct kubelet_pod *pod, const struct kubelet_container *c, enum event_type type,
                   const char *reason, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* ---- kubelet_node.c ---- */

struct kubelet_node *kubelet_node_new(struct kubelet *k);
void kubelet_node_free(struct kubelet_node *n);
void kubelet_usage_free(struct kubelet_usage *u); /* kubelet_usage.c; NULL is fine */
/* Pods are adopted: the node may say Ready. */
void kubelet_node_go(struct kubelet_node *n);
/* Of this node: resource "cpu" in thousandths of a core, "memory", "ephemeral-storage" in bytes. */
int64_t kubelet_node_capacity(const struct kubelet *k, const char *resource);
/* What its Node object says that pods may have of it together; -1: nothing is said. */
int64_t kubelet_node_offers(const struct kubelet *k, struct span resource);

#endif
