/* kubelet/kubelet_admit.c: whether this node takes a pod that somebody has bound to it. The
 * scheduler looks at host ports before it binds; whoever names the node himself does not. */
#include "base/check.h"
#include "client/client_body.h"
#include "kubelet/kubelet_priv.h"
#include "plan/host_port.h"

/* A controller replaces a pod that fails at once, by one that fares no better: it gets its answer
 * after a while only, and the pod the port if that comes free meanwhile. */
enum { CONTROLLED_WAIT_MS = 10 * 1000 };

/* It was admitted, by us or by the agent before us, and has not come to its end. */
static bool holds_its_ports(const struct kubelet_pod *pod)
{
    const struct pod_view *v = &pod->view;
    if (!pod->object || !v->exists || v->rejected.n > 0 ||
        (v->start_ms == 0 && v->sandbox.state == POD_PREP_TODO)) {
        return false;
    }
    struct span phase = json_get_str(json_get(object_root(pod->object), "status"), "phase");
    return !span_eq_cstr(phase, "Succeeded") && !span_eq_cstr(phase, "Failed");
}

/* Who has one of its ports; NULL: nobody. */
static const struct kubelet_pod *ports_holder(const struct kubelet_pod *pod)
{
    struct arena *a cleanup_arena = arena_new();
    const struct host_port *mine = NULL, *theirs = NULL;
    size_t n = host_ports(a, kubelet_pod_spec(pod), &mine), it = 0;
    struct kubelet_pod *other;
    while (n > 0 && (other = map_next(&pod->k->by_uid, &it, NULL)) != NULL) {
        size_t count = other != pod && holds_its_ports(other)
                           ? host_ports(a, kubelet_pod_spec(other), &theirs)
                           : 0;
        if (host_ports_clash(mine, n, theirs, count)) {
            return other;
        }
    }
    return NULL;
}

/* The first of its ports that the holder has. */
static unsigned taken_port(const struct kubelet_pod *pod, const struct kubelet_pod *holder)
{
    struct arena *a cleanup_arena = arena_new();
    const struct host_port *mine = NULL, *theirs = NULL;
    size_t n = host_ports(a, kubelet_pod_spec(pod), &mine);
    size_t count = host_ports(a, kubelet_pod_spec(holder), &theirs), at = 0;
    while (at < n && !host_ports_clash(&mine[at], 1, theirs, count)) {
        at++;
    }
    assert(at < n);
    return mine[at].port;
}

/* True: until later. */
static bool waits(struct kubelet_pod *pod, const struct kubelet_pod *holder)
{
    int64_t now_ns = env_mono_ns(pod->k->env);
    if (!client_controller_of(pod->object) ||
        (pod->ports_due_ns != 0 && now_ns >= pod->ports_due_ns)) {
        return false;
    }
    if (pod->ports_due_ns == 0) {
        pod->ports_due_ns = now_ns + CONTROLLED_WAIT_MS * 1000000LL;
        kubelet_event(pod, NULL, EVENT_WARNING, "HostPortTaken",
                      "pod %.*s has a host port that this one asks for; it fails if that lasts %d "
                      "seconds more",
                      SPAN_ARG(holder->full_name), CONTROLLED_WAIT_MS / 1000);
        struct arena *a cleanup_arena = arena_new();
        kubelet_status_held(pod, "HostPortTaken",
                            arena_printf(a,
                                         "pod %.*s on the same node has host port %u, which it "
                                         "asks for as well",
                                         SPAN_ARG(holder->full_name), taken_port(pod, holder)));
    }
    kubelet_pod_poke_after(pod, (pod->ports_due_ns - now_ns) / 1000000 + 1);
    pod->k->ports_awaited = true;
    return true;
}

void kubelet_admit_again(struct kubelet *k)
{
    size_t it = 0;
    struct kubelet_pod *pod;
    bool awaited = k->ports_awaited;
    k->ports_awaited = false; /* who still waits says so again */
    while (awaited && (pod = map_next(&k->by_uid, &it, NULL)) != NULL) {
        if (pod->ports_due_ns != 0 && pod->view.start_ms == 0) {
            kubelet_pod_poke(pod);
        }
    }
}

bool kubelet_admit(struct kubelet_pod *pod)
{
    struct pod_view *v = &pod->view;
    if (v->start_ms != 0 || v->sandbox.state != POD_PREP_TODO || v->rejected.n > 0 ||
        !pod->object || object_is_deleting(pod->object) ||
        !host_port_wanted(kubelet_pod_spec(pod))) {
        return true;
    }
    const struct kubelet_pod *holder = ports_holder(pod);
    if (!holder) {
        return true;
    }
    if (waits(pod, holder)) {
        return false;
    }
    v->rejected = SPAN("NodePorts");
    v->rejected_message = SPAN("Predicate NodePorts failed: node(s) didn't have free ports for the "
                               "requested pod ports");
    assert(!holds_its_ports(pod));
    kubelet_event(pod, NULL, EVENT_WARNING, "NodePorts", "%.*s", SPAN_ARG(v->rejected_message));
    return true;
}
