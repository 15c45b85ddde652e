/* kubelet/kubelet_admit.c: whether this node takes a pod that somebody has bound to it. The
 * scheduler looks at host ports before it binds; whoever names the node himself does not. */
#include "base/check.h"
#include "kubelet/kubelet_priv.h"
#include "plan/host_port.h"

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

static bool ports_taken(const struct kubelet_pod *pod)
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
            return true;
        }
    }
    return false;
}

void kubelet_admit(struct kubelet_pod *pod)
{
    struct pod_view *v = &pod->view;
    if (v->start_ms != 0 || v->sandbox.state != POD_PREP_TODO || v->rejected.n > 0 ||
        !pod->object || object_is_deleting(pod->object) ||
        !host_port_wanted(kubelet_pod_spec(pod)) || !ports_taken(pod)) {
        return;
    }
    v->rejected = SPAN("NodePorts");
    v->rejected_message = SPAN("Predicate NodePorts failed: node(s) didn't have free ports for the "
                               "requested pod ports");
    assert(!holds_its_ports(pod));
    kubelet_event(pod, NULL, EVENT_WARNING, "NodePorts", "%.*s", SPAN_ARG(v->rejected_message));
}
