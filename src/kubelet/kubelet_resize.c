/* kubelet/kubelet_resize.c: pods/resize on the node: a running container gets the limits that its
 * pod's spec has by now, without a restart unless its resizePolicy asks for one.
 *
 * What an instance has is kept as text in its view (and told in the status, from where an agent
 * that was started anew knows it). A tick compares it with the spec: what the node cannot give at
 * all is Infeasible, what it cannot give beside the other pods is Deferred and looked at again; the
 * rest the runtime does. Less memory than a container uses is not forced upon it, but tried again.
 */
#include "kubelet/kubelet_resize.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "client/client_body.h"
#include "codec/quantity.h"

enum { RETRY_MS = 10 * 1000 };

static const char *const names[] = {"cpu", "memory"};

void kubelet_limits(const yyjson_val *resources, struct runtime_limits *ret,
                    int64_t *ret_memory_request)
{
    assert(ret);
    assert(ret_memory_request);
    const yyjson_val *limits = json_get(resources, "limits");
    const yyjson_val *requests = json_get(resources, "requests");
    *ret = (struct runtime_limits){0};
    ret->memory_limit_bytes = kubelet_quantity_or(json_get(limits, "memory"), 0);
    *ret_memory_request =
        kubelet_quantity_or(json_get(requests, "memory"), ret->memory_limit_bytes);
    (void)kubelet_quantity_milli(json_get_str(limits, "cpu"), &ret->cpu_milli_limit);
    if (!kubelet_quantity_milli(json_get_str(requests, "cpu"), &ret->cpu_milli_request)) {
        ret->cpu_milli_request = ret->cpu_milli_limit;
    }
}

/* Limits and requests of cpu and memory; empty when there are none. */
static struct span text_of(struct arena *a, const yyjson_val *resources)
{
    static const char *const lists[] = {"limits", "requests"};
    if (json_len(resources) == 0) {
        return SPAN_NULL;
    }
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    for (size_t l = 0; l < 2; l++) {
        for (size_t n = 0; n < 2; n++) {
            const yyjson_val *v = json_path(resources, lists[l], names[n], NULL);
            if (v) {
                json_put(doc, json_mut_obj(doc, out, lists[l]), names[n], json_mut_copy(doc, v));
            }
        }
    }
    return yyjson_mut_obj_size(out) ? json_write_mut(a, out) : SPAN_NULL;
}

static struct span wanted(struct arena *a, const struct kubelet_container *c)
{
    return text_of(a, json_get(kubelet_container_spec(c), "resources"));
}

static const yyjson_val *parsed(struct arena *a, struct span text)
{
    yyjson_doc *doc = NULL;
    return text.n && json_parse(a, text, &doc, NULL) == 0 ? yyjson_doc_get_root(doc) : NULL;
}

/* ---- what the node has ---- */

/* Any number may be asked for; sums of them stay in their range. */
static int64_t bounded(int64_t n)
{
    return n < LIMIT_SCHEDULE_AMOUNT ? n : LIMIT_SCHEDULE_AMOUNT;
}

static void add_requests(int64_t sum[2], const yyjson_val *resources)
{
    struct runtime_limits limits;
    int64_t memory = 0;
    kubelet_limits(resources, &limits, &memory);
    sum[0] += bounded(limits.cpu_milli_request);
    sum[1] += bounded(memory);
}

static bool counts(const struct kubelet_container *c)
{
    return !c->extra && (!c->init || c->v->sidecar);
}

/* What the pod asks for; of another pod, what it has when that is more. */
static void pod_requests(const struct kubelet_pod *pod, struct arena *a, bool other, int64_t sum[2])
{
    for (size_t i = 0; i < pod->container_count; i++) {
        const struct kubelet_container *c = pod->containers[i];
        if (!counts(c) || !pod->object) {
            continue;
        }
        int64_t spec[2] = {0}, has[2] = {0};
        add_requests(spec, json_get(kubelet_container_spec(c), "resources"));
        add_requests(has, other ? parsed(a, c->v->resources) : NULL);
        bool waits = other && c->v->resources.n && pod->resize_told.n;
        for (size_t r = 0; r < 2; r++) { /* one that waits for more has only what it has */
            sum[r] += waits ? has[r] : spec[r] > has[r] ? spec[r] : has[r];
        }
    }
}

static void others_requests(const struct kubelet_pod *pod, struct arena *a, int64_t sum[2])
{
    size_t it = 0;
    struct kubelet_pod *other;
    while ((other = map_next(&pod->k->by_uid, &it, NULL)) != NULL) {
        if (other != pod && !pod_is_ending(&other->view)) {
            pod_requests(other, a, true, sum);
        }
    }
}

/* Fills in why the node cannot do it, if so. */
static void check_room(struct kubelet_pod *pod, struct arena *a, struct pod_view *v)
{
    int64_t own[2] = {0}, others[2] = {0};
    pod_requests(pod, a, false, own);
    others_requests(pod, a, others);
    for (size_t r = 0; r < 2 && v->resize_pending.n == 0; r++) {
        int64_t all = kubelet_node_capacity(pod->k, names[r]);
        if (own[r] > all) {
            v->resize_pending = SPAN("Infeasible");
            v->resize_message = arena_printf(
                a, "Node didn't have enough capacity: %s, requested: %lld, capacity: %lld",
                names[r], (long long)own[r], (long long)all);
        } else if (own[r] + others[r] > all) {
            v->resize_pending = SPAN("Deferred");
            v->resize_message = arena_printf(
                a,
                "Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: %lld",
                names[r], (long long)own[r], (long long)others[r], (long long)all);
        }
    }
}

/* ---- what is to be done ---- */

/* Does the latest instance have something else than the spec says? */
static bool differs(struct arena *a, const struct kubelet_container *c)
{
    return counts(c) && c->v->has_attempt && !span_eq(wanted(a, c), c->v->resources);
}

void kubelet_resize_gather(struct kubelet_pod *pod, struct arena *a, struct pod_view *v)
{
    assert(pod->object);
    assert(v);
    if (pod->resize_rev == object_rev(pod->object)) {
        return;
    }
    for (size_t i = 0; i < pod->container_count; i++) {
        const struct kubelet_container *c = pod->containers[i];
        if (differs(a, c)) {
            v->resizing = true;
            if (c->resize_error.n) {
                v->resize_message = arena_dup(a, c->resize_error);
            }
        }
    }
    pod->resize_rev = v->resizing ? 0 : object_rev(pod->object);
    if (v->resizing) {
        struct span failed = v->resize_message;
        v->resize_message = SPAN_NULL;
        check_room(pod, a, v);
        v->resize_message = v->resize_pending.n ? v->resize_message : failed;
    }
}

const yyjson_val *kubelet_resize_start(struct kubelet_container *c, struct arena *a)
{
    assert(a);
    const yyjson_val *spec = json_get(kubelet_container_spec(c), "resources");
    c->pod->resize_rev = 0;
    if (c->pod->resize_told.n && c->v->resources.n) { /* it waits: what it had */
        return parsed(a, c->v->resources);
    }
    kubelet_keep(&c->v->resources, text_of(a, spec));
    return spec;
}

static void tell_completed(struct kubelet_container *c)
{
    kubelet_event(c->pod, c, EVENT_NORMAL, "ResizeCompleted",
                  "Pod resize completed: container %.*s has %.*s", SPAN_ARG(c->v->name),
                  SPAN_ARG(c->v->resources));
}

void kubelet_resize_started(struct kubelet_container *c)
{
    assert(c->pod);
    if (c->resize_restart) {
        tell_completed(c);
    }
    c->resize_restart = false;
}

static bool same_amount(const yyjson_val *a, const yyjson_val *b)
{
    return a && b ? quantity_same(json_str(a), json_str(b)) : a == b;
}

static bool amount_differs(const yyjson_val *has, const yyjson_val *wants, const char *name)
{
    return !same_amount(json_path(has, "limits", name, NULL),
                        json_path(wants, "limits", name, NULL)) ||
           !same_amount(json_path(has, "requests", name, NULL),
                        json_path(wants, "requests", name, NULL));
}

/* Does its resizePolicy ask for a restart with what differs? */
static bool wants_restart(struct arena *a, const struct kubelet_container *c, struct span to)
{
    const yyjson_val *has = parsed(a, c->v->resources), *wants = parsed(a, to);
    JSON_EACH(it, json_get(kubelet_container_spec(c), "resizePolicy"))
    {
        for (size_t n = 0; n < 2; n++) {
            if (span_eq_cstr(json_get_str(it.val, "resourceName"), names[n]) &&
                span_eq_cstr(json_get_str(it.val, "restartPolicy"), "RestartContainer") &&
                amount_differs(has, wants, names[n])) {
                return true;
            }
        }
    }
    return false;
}

/* Then whoever comes after us knows whose doing the end of an instance is. */
static bool is_told(const struct kubelet_pod *pod)
{
    return pod->object && object_rev(pod->object) >= pod->sent_rev &&
           client_condition_true(pod->object, "PodResizeInProgress");
}

void kubelet_resize_adopt(struct kubelet_container *c)
{
    assert(c->pod);
    struct arena *a cleanup_arena = arena_new();
    const yyjson_val *status = c->pod->object ? client_status(c->pod->object) : NULL;
    struct span has = wanted(a, c);
    c->pod->resize_rev = 0;
    JSON_EACH(it, json_get(status, c->init ? "initContainerStatuses" : "containerStatuses"))
    {
        if (span_eq(json_get_str(it.val, "name"), c->v->name) && json_get(it.val, "resources")) {
            has = text_of(a, json_get(it.val, "resources"));
        }
    }
    kubelet_keep(&c->v->resources, has);
    if (c->v->instance == POD_INSTANCE_EXITED && is_told(c->pod) && counts(c) &&
        wants_restart(a, c, wanted(a, c))) {
        c->v->renewed = c->resize_restart = true;
    }
}

static void on_resized(void *data, int code, struct span detail)
{
    struct kubelet_op *op = data;
    struct kubelet_container *c = op->c;
    uint32_t attempt = op->attempt;
    struct arena *a cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod) {
        return;
    }
    c->resizing = false;
    if (c->v->attempt != attempt) {
        kubelet_pod_poke(pod);
        return;
    }
    if (code == 0) {
        kubelet_keep(&c->v->resources, c->resize_tried);
        kubelet_keep(&c->resize_error, SPAN_NULL);
        tell_completed(c);
    } else {
        struct span why = detail.n ? detail : span_cstr(code_text(code));
        if (!span_eq(why, c->resize_error)) {
            kubelet_event(pod, c, EVENT_WARNING, "ResizeError",
                          "Pod resize error: container %.*s: %.*s", SPAN_ARG(c->v->name),
                          SPAN_ARG(why));
        }
        kubelet_keep(&c->resize_error, why);
        c->resize_retry_ns = env_mono_ns(pod->k->env) + RETRY_MS * 1000000LL;
        kubelet_pod_poke_after(pod, RETRY_MS + 1);
    }
    kubelet_pod_poke(pod);
}

static void resize(struct kubelet_container *c, struct span to)
{
    struct kubelet_pod *pod = c->pod;
    struct runtime *rt = pod->k->runtime;
    bool other = !span_eq(to, c->resize_tried);
    if (c->resizing ||
        (c->resize_error.n && !other && env_mono_ns(pod->k->env) < c->resize_retry_ns)) {
        return;
    }
    kubelet_keep(&c->resize_tried, to);
    struct kubelet_op *op = kubelet_op_new(pod, c);
    struct runtime_limits limits;
    int64_t memory_request = 0;
    kubelet_limits(parsed(op->arena, to), &limits, &memory_request);
    op->attempt = c->v->attempt;
    c->resizing = true;
    rt->ops->container_resize(rt, kubelet_container_id(op->arena, c, c->v->attempt), &limits,
                              on_resized, op);
}

/* It ends as by a failed probe, and its next instance gets what the spec says. */
static void restart(struct kubelet_container *c)
{
    if (c->v->unhealthy || !is_told(c->pod)) {
        return; /* it is on its way; or it is to be told first */
    }
    c->v->unhealthy = c->v->renewed = c->resize_restart = true;
    kubelet_event(c->pod, c, EVENT_NORMAL, "Killing", "Container %.*s resize requires restart",
                  SPAN_ARG(c->v->name));
    kubelet_pod_poke(c->pod);
}

void kubelet_resize_run(struct kubelet_pod *pod, const struct pod_view *v)
{
    struct arena *a cleanup_arena = arena_new();
    if (!span_eq(pod->resize_told, v->resize_pending.n ? v->resize_message : SPAN_NULL)) {
        kubelet_keep(&pod->resize_told, v->resize_pending.n ? v->resize_message : SPAN_NULL);
        if (v->resize_pending.n) {
            bool never = span_eq(v->resize_pending, SPAN("Infeasible"));
            kubelet_event(pod, NULL, EVENT_WARNING, never ? "ResizeInfeasible" : "ResizeDeferred",
                          "Pod resize %s: %.*s", never ? "infeasible" : "deferred",
                          SPAN_ARG(v->resize_message));
        }
    }
    if (v->resize_pending.n) {
        kubelet_pod_poke_after(pod, RETRY_MS); /* others may have left by then */
        return;
    }
    for (size_t i = 0; v->resizing && i < pod->container_count; i++) {
        struct kubelet_container *c = pod->containers[i];
        if (c->v->instance == POD_INSTANCE_RUNNING && differs(a, c)) {
            struct span to = wanted(a, c);
            if (wants_restart(a, c, to)) {
                restart(c);
            } else {
                resize(c, to);
            }
        }
    }
}
