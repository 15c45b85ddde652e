/* kubelet/kubelet_admit.c: whether this node takes a pod that somebody has bound to it. The
 * scheduler looks at host ports and at resources before it binds; whoever names the node himself
 * does not. */
#include "base/check.h"
#include "client/client_body.h"
#include "kubelet/kubelet_priv.h"
#include "plan/host_port.h"
#include "plan/schedule_request.h"
#include "schema/status.h"

/* A controller replaces a pod that fails at once, by one that fares no better: it gets its answer
 * after a while only, and the pod the port if that comes free meanwhile. */
enum { WAIT_MS = 10 * 1000 };

/* Why it cannot be taken now. */
struct lack {
    const char *event;           /* of a pod that waits; reason of its condition */
    struct span told, held;      /* their texts */
    struct span reason, message; /* of a pod that is rejected */
    bool patient;                /* any pod waits */
};

/* It was admitted, by us or by the agent before us, and has not come to its end. */
static bool is_admitted(const struct kubelet_pod *pod)
{
    const struct pod_view *v = &pod->view;
    if (!pod->object || !v->exists || v->rejected.n > 0 ||
        (v->start_ms == 0 && v->sandbox.state == POD_PREP_TODO)) {
        return false;
    }
    return !status_pod_ended(object_root(pod->object));
}

/* Who has one of its ports; NULL: nobody. */
static const struct kubelet_pod *ports_holder(const struct kubelet_pod *pod)
{
    struct arena *a cleanup_arena = arena_new();
    const struct host_port *mine = NULL, *theirs = NULL;
    size_t n = host_ports(a, kubelet_pod_spec(pod), &mine), it = 0;
    struct kubelet_pod *other;
    while (n > 0 && (other = map_next(&pod->k->by_uid, &it, NULL)) != NULL) {
        size_t count = other != pod && is_admitted(other)
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

static bool lacks_ports(const struct kubelet_pod *pod, struct arena *a, struct lack *ret)
{
    const struct kubelet_pod *holder = ports_holder(pod);
    if (!holder) {
        return false;
    }
    struct span who = holder->full_name;
    *ret = (struct lack){
        .event = "HostPortTaken",
        .told = arena_printf(a, "pod %.*s has a host port that this one asks for", SPAN_ARG(who)),
        .held =
            arena_printf(a, "pod %.*s on the same node has host port %u, which it asks for as well",
                         SPAN_ARG(who), taken_port(pod, holder)),
        .reason = SPAN("NodePorts"),
        .message = SPAN("Predicate NodePorts failed: node(s) didn't have free ports for the "
                        "requested pod ports"),
    };
    return true;
}

static int64_t used_by_others(const struct kubelet_pod *pod, struct arena *a, struct span resource)
{
    int64_t sum = 0;
    size_t it = 0;
    struct kubelet_pod *other;
    while ((other = map_next(&pod->k->by_uid, &it, NULL)) != NULL) {
        const struct schedule_amount *list = NULL;
        size_t n = other != pod && is_admitted(other)
                       ? schedule_more(a, kubelet_pod_spec(other), &list)
                       : 0;
        for (size_t i = 0; i < n; i++) {
            sum += span_eq(list[i].name, resource) ? list[i].units : 0;
        }
    }
    return sum;
}

/* What the Node does not name is not counted here, as in Kubernetes. Any pod waits: word that the
 * node has more may be on its way. */
static bool lacks_resource(const struct kubelet_pod *pod, struct arena *a, struct lack *ret)
{
    const struct schedule_amount *list = NULL;
    size_t n = schedule_more(a, kubelet_pod_spec(pod), &list);
    for (size_t i = 0; i < n; i++) {
        struct span name = list[i].name;
        int64_t has = kubelet_node_offers(pod->k, name);
        int64_t used = has >= 0 ? used_by_others(pod, a, name) : 0;
        if (has >= 0 && list[i].units > 0 && used + list[i].units > has) {
            struct span text = arena_printf(a,
                                            "Node didn't have enough resource: %.*s, requested: "
                                            "%lld, used: %lld, capacity: %lld",
                                            SPAN_ARG(name), (long long)list[i].units,
                                            (long long)used, (long long)has);
            *ret = (struct lack){.event = "ResourceTaken",
                                 .told = text,
                                 .held = text,
                                 .reason = arena_printf(a, "OutOf%.*s", SPAN_ARG(name)),
                                 .message = text,
                                 .patient = true};
            return true;
        }
    }
    return false;
}

/* True: until later. */
static bool waits(struct kubelet_pod *pod, const struct lack *lack)
{
    int64_t now_ns = env_mono_ns(pod->k->env);
    if ((!lack->patient && !client_controller_of(pod->object)) ||
        (pod->room_due_ns != 0 && now_ns >= pod->room_due_ns)) {
        return false;
    }
    if (pod->room_due_ns == 0) {
        pod->room_due_ns = now_ns + WAIT_MS * 1000000LL;
        kubelet_event(pod, NULL, EVENT_WARNING, lack->event,
                      "%.*s; it fails if that lasts %d seconds more", SPAN_ARG(lack->told),
                      WAIT_MS / 1000);
        kubelet_status_held(pod, lack->event, lack->held);
    }
    kubelet_pod_poke_after(pod, (pod->room_due_ns - now_ns) / 1000000 + 1);
    pod->k->room_awaited = true;
    return true;
}

void kubelet_admit_again(struct kubelet *k)
{
    size_t it = 0;
    struct kubelet_pod *pod;
    bool awaited = k->room_awaited;
    k->room_awaited = false; /* who still waits says so again */
    while (awaited && (pod = map_next(&k->by_uid, &it, NULL)) != NULL) {
        if (pod->room_due_ns != 0 && pod->view.start_ms == 0) {
            kubelet_pod_poke(pod);
        }
    }
}

bool kubelet_admit(struct kubelet_pod *pod)
{
    struct pod_view *v = &pod->view;
    if (v->start_ms != 0 || v->sandbox.state != POD_PREP_TODO || v->rejected.n > 0 ||
        !pod->object || object_is_deleting(pod->object)) {
        return true;
    }
    const yyjson_val *spec = kubelet_pod_spec(pod);
    if (!host_port_wanted(spec) && !schedule_needs(spec).more) {
        return true;
    }
    struct arena *a cleanup_arena = arena_new();
    struct lack lack;
    if (!lacks_ports(pod, a, &lack) && !lacks_resource(pod, a, &lack)) {
        return true;
    }
    if (waits(pod, &lack)) {
        return false;
    }
    v->rejected = arena_dup(pod->arena, lack.reason);
    v->rejected_message = arena_dup(pod->arena, lack.message);
    assert(!is_admitted(pod));
    kubelet_event(pod, NULL, EVENT_WARNING, v->rejected.p, "%.*s", SPAN_ARG(v->rejected_message));
    return true;
}
