/* kubelet/kubelet_view.c: from the pod object and the agent's own state to the planner's view. */
#include <errno.h>

#include "base/check.h"
#include "base/limits.h"
#include "client/client_body.h"
#include "codec/time.h"
#include "kubelet/kubelet_env_priv.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/kubelet_resize.h"
#include "kubelet/kubelet_volumes_priv.h"
#include "plan/host_port.h"
#include "plan/pod_status_json.h"
#include "schema/status.h"

/* Most predecessors have stopped by then: nobody needs to be told. */
enum { HELD_QUIET_MS = 1000 };

yyjson_val *kubelet_pod_spec(const struct kubelet_pod *pod)
{
    assert(pod);
    return pod->object ? client_spec(pod->object) : NULL;
}

/* By its place: the document may be dropped and made again, its values stay where they are. */
static size_t place_in(const yyjson_val *root, const yyjson_val *v)
{
    return v ? (size_t)(v - root) : 0;
}

static yyjson_val *value_at(const struct kubelet_pod *pod, size_t place)
{
    return place && pod->object ? object_root(pod->object) + place : NULL;
}

static yyjson_val *find_spec(const struct kubelet_container *c)
{
    return json_find(json_get(kubelet_pod_spec(c->pod), kubelet_container_list(c)), "name",
                     c->v->name);
}

yyjson_val *kubelet_container_spec(const struct kubelet_container *c)
{
    assert(c->pod);
    verify(value_at(c->pod, c->spec_at) == find_spec(c));
    return value_at(c->pod, c->spec_at);
}

static bool is_true(const yyjson_val *spec, const char *key)
{
    return json_get_bool(spec, key, false);
}

struct span kubelet_view_refusal(struct arena *a, const yyjson_val *spec)
{
    assert(a);
    if (is_true(spec, "shareProcessNamespace")) {
        return SPAN(
            "shareProcessNamespace is not supported by Berth yet: leave it out, or use hostPID");
    }
    JSON_EACH(c, json_get(spec, "containers"))
    {
        if (json_len(json_get(c.val, "volumeDevices")) > 0) {
            return arena_printf(a,
                                "container \"%.*s\" has volumeDevices: block volumes are not "
                                "supported by Berth yet",
                                SPAN_ARG(json_get_str(c.val, "name")));
        }
    }
    return SPAN_NULL;
}

static struct span add_name(struct arena *a, struct span list, const char *where, const char *field)
{
    return arena_printf(a, "%.*s%s%s%s", SPAN_ARG(list), list.n ? ", " : "", where, field);
}

/* Which host ports lead nowhere; NULL: none. */
static const char *unserved_ports(struct arena *a, const yyjson_val *spec, bool served,
                                  uint16_t kept)
{
    const struct host_port *ports = NULL;
    size_t n = json_get_bool(spec, "hostNetwork", false) ? 0 : host_ports(a, spec, &ports);
    uint32_t addr;
    if (n > 0 && !served) {
        return "hostPort";
    }
    for (size_t i = 0; i < n; i++) {
        if (ports[i].protocol == HOST_PORT_SCTP || !host_port_ipv4(&ports[i], &addr)) {
            return "hostPort of SCTP or IPv6";
        }
        if (ports[i].protocol == HOST_PORT_TCP && ports[i].port == kept) {
            return "hostPort that is the API server's own";
        }
    }
    return NULL;
}

struct span kubelet_view_ignored(struct arena *a, const yyjson_val *spec, bool host_ports_served,
                                 uint16_t kept_port)
{
    assert(a);
    static const char *const of_pod[] = {"runtimeClassName", "overhead", "hostUsers"};
    static const char *const of_security[] = {"seLinuxOptions", "appArmorProfile", "procMount"};
    struct span list = SPAN_NULL;
    for (size_t i = 0; i < sizeof of_pod / sizeof of_pod[0]; i++) {
        if (json_get(spec, of_pod[i])) {
            list = add_name(a, list, "spec.", of_pod[i]);
        }
    }
    bool limit = false, propagation = false;
    bool security[3] = {false};
    JSON_EACH(it, json_get(spec, "containers"))
    {
        JSON_EACH(l, json_path(it.val, "resources", "limits", NULL))
        {
            struct span name = json_str(l.key); /* one with a domain is counted, and no more */
            limit |= !span_eq_cstr(name, "cpu") && !span_eq_cstr(name, "memory") &&
                     span_find(name, '/') == name.n;
        }
        JSON_EACH(m, json_get(it.val, "volumeMounts"))
        {
            struct span how = json_get_str(m.val, "mountPropagation");
            propagation |= how.n > 0 && !span_eq_cstr(how, "None");
        }
        for (size_t i = 0; i < 3; i++) {
            security[i] |= json_path(it.val, "securityContext", of_security[i], NULL) ||
                           json_path(spec, "securityContext", of_security[i], NULL);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        list = security[i] ? add_name(a, list, "securityContext.", of_security[i]) : list;
    }
    const char *ports = unserved_ports(a, spec, host_ports_served, kept_port);
    list = ports ? add_name(a, list, "ports.", ports) : list;
    list = limit ? add_name(a, list, "resources.limits ", "other than cpu and memory") : list;
    return propagation ? add_name(a, list, "volumeMounts.", "mountPropagation") : list;
}

enum pod_policy kubelet_view_policy(const yyjson_val *spec)
{
    struct span p = json_get_str(spec, "restartPolicy");
    return span_eq_cstr(p, "Never")       ? POD_NEVER
           : span_eq_cstr(p, "OnFailure") ? POD_ON_FAILURE
                                          : POD_ALWAYS;
}

/* Most conditions of a pod changed at the same time: the last one's is there for the next. */
struct moment {
    struct span text;
    int64_t ms;
};

static int64_t ms_of(struct moment *last, struct span text)
{
    if (!last->text.n || !span_eq(text, last->text)) {
        *last = (struct moment){text, time_or(text, 0)};
    }
    return last->ms;
}

/* The members in one go. */
static struct pod_condition condition_of(const yyjson_val *from, struct moment *last)
{
    struct pod_condition c = {
        .type = SPAN(""), .status = SPAN(""), .reason = SPAN(""), .message = SPAN("")};
    JSON_EACH(it, from)
    {
        struct span key = json_str(it.key), value = json_str(it.val);
        if (span_eq(key, SPAN("type"))) {
            c.type = value;
        } else if (span_eq(key, SPAN("status"))) {
            c.status = value;
        } else if (span_eq(key, SPAN("reason"))) {
            c.reason = value;
        } else if (span_eq(key, SPAN("message"))) {
            c.message = value;
        } else if (span_eq(key, SPAN("lastTransitionTime"))) {
            c.transition_ms = ms_of(last, value);
        }
    }
    return c;
}

static bool is_own_condition(struct span type)
{
    return span_eq(type, SPAN("Ready")) || span_eq(type, SPAN("ContainersReady")) ||
           span_eq(type, SPAN("Initialized")) || span_eq(type, SPAN("PodScheduled")) ||
           span_starts(type, SPAN("PodResize")) || span_eq(type, SPAN("PodReadyToStartContainers"));
}

/* In the place of what the list has of its type. */
static void put_condition(struct pod_view *v, struct pod_condition *list,
                          const struct pod_condition *c)
{
    size_t at = 0;
    while (at < v->condition_count && !span_eq(list[at].type, c->type)) {
        at++;
    }
    list[at] = *c;
    v->condition_count += at == v->condition_count;
}

/* Conditions as last told: our own from the last write, foreign ones from the object; while that is
 * older than our last write, from the write too: else two versions on their way to us would each be
 * answered with a write like the other one, for ever. The version that our write made says what it
 * said. */
static void gather_conditions(struct kubelet_pod *pod, struct arena *a, struct pod_view *v)
{
    const struct pod_status *sent = &pod->sent;
    bool with_sent = sent->phase.n > 0;
    bool is_ours = with_sent && !pod->status_busy && object_rev(pod->object) == pod->sent_rev;
    bool is_old = with_sent && (is_ours || object_rev(pod->object) < pod->sent_rev);
    const yyjson_val *list = is_ours ? NULL : json_get(client_status(pod->object), "conditions");
    size_t max = json_len(list) + sent->condition_count;
    struct pod_condition *out = ARENA_ARRAY(a, struct pod_condition, max + 1);
    struct moment last = {0};
    JSON_EACH(it, list)
    {
        struct pod_condition c = condition_of(it.val, &last);
        if (!is_old || is_own_condition(c.type)) {
            put_condition(v, out, &c);
        }
    }
    for (size_t i = 0; with_sent && i < sent->condition_count; i++) {
        if (is_old || is_own_condition(sent->conditions[i].type)) {
            put_condition(v, out, &sent->conditions[i]);
        }
    }
    v->conditions = out;
}

static void gather_gates(const struct kubelet_pod *pod, struct arena *a, struct pod_view *v)
{
    const yyjson_val *gates = value_at(pod, pod->asked.gates_at);
    struct span *out = ARENA_ARRAY(a, struct span, json_len(gates) + 1);
    JSON_EACH(it, gates)
    {
        out[v->gate_count++] = json_get_str(it.val, "conditionType");
    }
    v->gates = out;
}

/* Whoever wants to see another container's processes waits until there are some. */
static void check_target(const struct kubelet_container *c, struct arena *a,
                         struct kubelet_env_result *ret)
{
    struct span name = json_get_str(kubelet_container_spec(c), "targetContainerName");
    const struct kubelet_container *target = name.n ? kubelet_pod_container(c->pod, name) : NULL;
    if (name.n && (!target || target->v->instance != POD_INSTANCE_RUNNING)) {
        ret->reason = SPAN("CreateContainerConfigError");
        ret->message = arena_printf(a, "target container \"%.*s\" does not run", SPAN_ARG(name));
    }
}

/* Missing references keep what is not running from starting. */
static void gather_references(struct kubelet_pod *pod, struct arena *a, struct pod_view *v)
{
    pod->refs_pending = false;
    if (v->volumes.state != POD_PREP_DONE) {
        kubelet_volumes_missing(pod, a, &v->volumes_reason, &v->volumes_message);
    }
    for (size_t i = 0; i < pod->container_count; i++) {
        struct kubelet_container *c = pod->containers[i];
        if (pod_instance_live(c->v->instance)) {
            continue;
        }
        struct kubelet_env_result env;
        kubelet_env_build(pod, kubelet_container_spec(c), NULL, a, &env);
        if (env.reason.n == 0 && c->v->image_prep.state == POD_PREP_DONE && c->image_arena) {
            kubelet_env_check_user(pod, kubelet_container_spec(c), &c->image, a, &env);
        }
        if (c->extra && env.reason.n == 0) {
            check_target(c, a, &env);
        }
        struct pod_container_view *cv = c->init    ? &v->inits[c->v - pod->view.inits]
                                        : c->extra ? &v->extras[c->v - pod->view.extras]
                                                   : &v->mains[c->v - pod->view.mains];
        cv->config_reason = env.reason;
        cv->config_message = env.message;
    }
    v->inputs_ready = !pod->refs_pending && !pod->predecessor;
    if (pod->predecessor && v->start_ms > 0 && v->now_ms - v->start_ms >= HELD_QUIET_MS) {
        v->held = SPAN("the pod of this name before it, deleted without a grace period, still runs "
                       "on the node and has to stop first");
    } else if (pod->predecessor) {
        kubelet_pod_poke_after(pod, HELD_QUIET_MS);
    }
}

/* Owned strings are copied: the plan, which points to them, outlives the steps, which replace them.
 */
static struct pod_container_view copy_container(struct arena *a,
                                                const struct pod_container_view *from)
{
    struct pod_container_view c = *from;
    struct span *owned[] = {
        &c.image,        &c.ran_image,         &c.image_id,           &c.result.message,
        &c.last.message, &c.image_prep.reason, &c.image_prep.message, &c.unready_cause,
        &c.end_cause,    &c.resources};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        *owned[i] = owned[i]->n ? arena_dup(a, *owned[i]) : SPAN(""); /* as most are */
    }
    return c;
}

static struct pod_container_view *copy_containers(struct arena *a, struct pod_container_view *from,
                                                  size_t n)
{
    struct pod_container_view *to =
        n ? arena_alloc_raw(a, n * sizeof(struct pod_container_view)) : from;
    for (size_t i = 0; i < n; i++) {
        to[i] = copy_container(a, &from[i]);
    }
    return to;
}

static void no_later_than(int64_t *at_ms, int64_t now_ms)
{
    if (*at_ms > now_ms) {
        *at_ms = now_ms;
    }
}

/* Waits count from moments of the wall clock, which must outlive this process. When the clock was
 * set back, such a moment lies ahead, and the wait would last until the clock is there again: it
 * counts from now instead. */
static void mend_clock(struct pod_view *v, int64_t now_ms)
{
    struct pod_container_view *lists[] = {v->inits, v->mains, v->extras};
    const size_t counts[] = {v->init_count, v->main_count, v->extra_count};
    for (size_t l = 0; l < 3; l++) {
        for (size_t i = 0; i < counts[l]; i++) {
            no_later_than(&lists[l][i].stop_ms, now_ms);
            no_later_than(&lists[l][i].result.finished_ms, now_ms);
            no_later_than(&lists[l][i].image_prep.failed_ms, now_ms);
        }
    }
    no_later_than(&v->volumes.failed_ms, now_ms);
    no_later_than(&v->sandbox.failed_ms, now_ms);
    no_later_than(&v->start_ms, now_ms);
    no_later_than(&v->ending_ms, now_ms);
}

enum { GRACE_DEFAULT_S = 30, GRACE_FORCED_S = 1 };

static int64_t told_grace_s(struct object *pod, const yyjson_val *spec)
{
    int64_t grace_s = json_get_int(spec, "terminationGracePeriodSeconds", GRACE_DEFAULT_S);
    return object_is_deleting(pod)
               ? json_get_int(client_meta(pod), "deletionGracePeriodSeconds", grace_s)
               : grace_s;
}

void kubelet_view_note(struct kubelet_pod *pod)
{
    assert(pod->object);
    const yyjson_val *root = object_root(pod->object), *spec = kubelet_pod_spec(pod);
    pod->asked = (struct kubelet_asked){
        .policy = kubelet_view_policy(spec),
        .grace_s = told_grace_s(pod->object, spec),
        .deadline_s = json_get_int(spec, "activeDeadlineSeconds", 0),
        .gates_at = place_in(root, json_get(spec, "readinessGates")),
    };
    for (size_t i = 0; i < pod->container_count; i++) {
        pod->containers[i]->spec_at = place_in(root, find_spec(pod->containers[i]));
    }
}

/* Of one that the API has no more: the user takes it for gone, a successor may be waiting. */
static int64_t own_grace_s(const struct kubelet_pod *pod, bool exists)
{
    return !pod->object ? GRACE_DEFAULT_S : exists ? pod->asked.grace_s : GRACE_FORCED_S;
}

int64_t kubelet_view_grace_ms(const struct kubelet_pod *pod, bool exists)
{
    assert(pod);
    int64_t most_ms = pod->k->stopping ? pod->k->stop_grace_ms : 0;
    int64_t grace_s = own_grace_s(pod, exists);
    grace_s = grace_s < LIMIT_GRACE_S ? grace_s : LIMIT_GRACE_S;
    int64_t grace_ms = (grace_s > 0 ? grace_s : 1) * 1000;
    assert(most_ms >= 0);
    return most_ms && most_ms < grace_ms ? most_ms : grace_ms;
}

void kubelet_view_gather(struct kubelet_pod *pod, struct arena *a, struct pod_view *ret)
{
    assert(a);
    assert(ret != &pod->view);
    struct pod_view *v = ret;
    int64_t now_ms = env_now_ms(pod->k->env);
    mend_clock(&pod->view, now_ms);
    *v = pod->view;
    v->now_ms = now_ms;
    v->inits = copy_containers(a, v->inits, v->init_count);
    v->mains = copy_containers(a, v->mains, v->main_count);
    v->extras = copy_containers(a, v->extras, v->extra_count);
    v->pod_ip = arena_dup(a, v->pod_ip);
    v->volumes.message = arena_dup(a, v->volumes.message);
    v->sandbox.message = arena_dup(a, v->sandbox.message);
    bool waits_to_stop = pod->k->stopping && !pod->stop_turn;
    v->stop_only = pod->k->stopping && pod->stop_turn;
    v->deleting = !v->exists || (pod->object && object_is_deleting(pod->object));
    v->grace_ms = kubelet_view_grace_ms(pod, v->exists);
    if (!pod->object) {
        v->deleting = true;
        return;
    }
    const yyjson_val *status = client_status(pod->object);
    v->policy = pod->asked.policy;
    if (pod->asked.deadline_s > 0 && v->start_ms != 0) {
        v->deadline_ms = v->start_ms + pod->asked.deadline_s * 1000;
    }
    struct span phase = json_get_str(status, "phase");
    v->acked_terminal = status_phase_ended(phase);
    v->acked_phase = v->acked_terminal ? phase : SPAN_NULL;
    v->qos_class = json_get_str(status, "qosClass");
    if (v->qos_class.n == 0) {
        v->qos_class = pod_qos_class(kubelet_pod_spec(pod));
    }
    gather_conditions(pod, a, v);
    gather_gates(pod, a, v);
    if (!pod_is_ending(v)) {
        gather_references(pod, a, v);
        kubelet_resize_gather(pod, a, v);
        v->inputs_ready = v->inputs_ready && !waits_to_stop;
    }
}
