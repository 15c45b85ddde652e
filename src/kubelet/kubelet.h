/* kubelet/kubelet.h: the node agent. Runs the pods that the API assigns to this node.
 *
 * Observe: pods by field selector spec.nodeName, the objects they refer to, container exits, probe
 * results. Decide: plan/pod_plan. Act: runtime, images, volumes, the pod's status and events. Truth
 * is on disk, in the kernel and in the API: a new kubelet adopts what an earlier one left (runtime
 * list) without restarting or re-creating anything.
 *
 *   kubelet.c          the table of pods, orphans
 *   kubelet_stop.c     stopping in order, and what it waits for
 *   kubelet_pod.c      one pod: gather the view, plan, start the steps
 *   kubelet_adopt.c    what an earlier agent left of a pod
 *   kubelet_step.c     the steps
 *   kubelet_view.c     from the pod object to the planner's view
 *   kubelet_status.c   status writes, only when something changed
 *   kubelet_event.c    events
 *   kubelet_refs.c     watches of claims, config maps, secrets, volumes
 *   kubelet_volumes.c  volumes (volume_*.c)
 *   kubelet_env.c      environment, arguments
 *   kubelet_dns.c      resolv.conf, hosts
 *   kubelet_check.c    one probe or hook
 *   kubelet_probe.c    when they run
 *   kubelet_logs.c     CRI log files
 *   kubelet_session.c  logs, exec, attach for the API server
 *   kubelet_node.c     the Node object and its lease
 *   kubelet_usage.c    what the node and its containers use
 *
 * Loop thread only. No polling: a pod is looked at when its object, a referenced object, a
 * container or a timer says so. */
#ifndef KUBELET_KUBELET_H
#define KUBELET_KUBELET_H

#include "base/span.h"
#include "client/client.h"
#include "env/env.h"

struct kubelet;
struct kubelet_images;
struct runtime;

struct kubelet_options {
    struct span data_dir;          /* absolute */
    struct span node_name;         /* also the label kubernetes.io/hostname */
    struct span node_ip;           /* status.hostIP and the node's InternalIP */
    struct span cluster_dns;       /* empty: pods use the node's resolvers, with an event */
    struct span cluster_domain;    /* "cluster.local" */
    struct span version;           /* nodeInfo.kubeletVersion, "v1.32.4+berth1" */
    struct span runtime_scheme;    /* "crun" of containerID crun://...; "fake" */
    struct span runtime_version;   /* nodeInfo.containerRuntimeVersion, "crun://1.8.1" */
    struct span resolv_conf_path;  /* empty: "/etc/resolv.conf" */
    struct runtime *runtime;       /* freed by the caller before kubelet_free */
    struct kubelet_images *images; /* freed by the caller after kubelet_free */
    uint32_t max_pods;             /* 0: 110 */
    /* HTTPS probes: a TLS client over `inner`, which it owns, that takes any certificate; done
     * once, unless the stream that it returns is closed before. NULL: such probes fail and say so.
     */
    struct env_stream *(*tls_connect)(void *data, struct env_stream *inner, const char *name,
                                      env_connect_fn *done, void *done_data);
    void *tls_data;
    bool no_host_ports; /* nobody leads ports of the node to pods: said by an event of the pod */
    uint16_t kept_port; /* of TCP: so is this one, which is the API's; 0: none */
    bool secrets_in_memory; /* volumes with secrets and tokens are file systems in memory */
    bool no_files; /* with the fake runtime: no directory, no log, no mount is made, probes by the
                      runtime only */
    bool made_up;  /* the node's size and names are constants instead of this machine's, so that a
                      simulated history is the same on every machine */
};

/* Starts at once (registers the node, lists the runtime, watches pods). The options' spans are
 * copied. */
struct kubelet *kubelet_new(struct env *env, struct client *client,
                            const struct kubelet_options *options);
/* Leaves every container running. NULL is fine. */
void kubelet_free(struct kubelet *k);
/* fn(data) once when the node has been written Ready (in a later turn). One listener. */
void kubelet_on_ready(struct kubelet *k, void (*fn)(void *data), void *data);
/* `berth stop`: ends the pods of StatefulSets in reverse ordinal order (one a set at a time), then
 * all others, and removes their sandboxes and mounts; API objects stay as they are, so that the
 * next start runs them again. done(data) once, never inside this call. No new pod is started from
 * here on. */
void kubelet_stop_pods(struct kubelet *k, void (*done)(void *data), void *data);
/* From now on no pod that is being stopped has longer than this (more than 0) to end. */
void kubelet_stop_hurry(struct kubelet *k, int64_t grace_ms);

/* A pod that has not been stopped yet. */
struct kubelet_stop_pod {
    struct span name; /* NAMESPACE/NAME; borrowed from the kubelet */
    int64_t left_ms;  /* until it is killed, once its turn has come; 0: nothing of it runs */
    bool waits;       /* for its turn */
};
struct kubelet_stop_left {
    struct kubelet_stop_pod *pods; /* in no order */
    size_t count;
    int64_t at_most_ms; /* until all are killed */
};
/* What stopping still waits for; before kubelet_stop_pods: what it will wait for. */
void kubelet_stop_left(const struct kubelet *k, struct arena *a, struct kubelet_stop_left *ret);
size_t kubelet_pod_count(const struct kubelet *k);

#endif
