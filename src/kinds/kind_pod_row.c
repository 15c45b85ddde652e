/* kinds/kind_pod_row.c: the one word that kubectl shows for a pod, and its other cells. */
#include "base/check.h"
#include "codec/time.h"
#include "kinds/kind.h"
#include "schema/status.h"

struct summary {
    struct span reason;
    int64_t restarts, sidecar_restarts;
    struct span last_restart, last_sidecar_restart; /* latest finishedAt; text compares as time */
    size_t ready, total;
    bool initializing;
};

static const yyjson_val *state(const yyjson_val *status, const char *which)
{
    return json_get(json_get(status, "state"), which);
}

static void count_restarts(const yyjson_val *status, int64_t *restarts, struct span *last)
{
    *restarts += json_get_int(status, "restartCount", 0);
    struct span at =
        json_get_str(json_get(json_get(status, "lastState"), "terminated"), "finishedAt");
    if (at.n && span_cmp(at, *last) > 0) {
        *last = at;
    }
}

/* Containers of the init list that stay: sidecars. */
static bool is_sidecar(const yyjson_val *spec, struct span name)
{
    return span_eq(
        json_get_str(json_find(json_get(spec, "initContainers"), "name", name), "restartPolicy"),
        SPAN("Always"));
}

/* "Signal:9" or "ExitCode:1". */
static struct span exit_text(struct arena *a, const char *prefix, const yyjson_val *terminated)
{
    int64_t signal = json_get_int(terminated, "signal", 0);
    return signal ? arena_printf(a, "%sSignal:%lld", prefix, (long long)signal)
                  : arena_printf(a, "%sExitCode:%lld", prefix,
                                 (long long)json_get_int(terminated, "exitCode", 0));
}

/* What an unfinished init container says. */
static struct span init_text(struct arena *a, const yyjson_val *status, size_t i, size_t n)
{
    const yyjson_val *terminated = state(status, "terminated");
    struct span reason = json_get_str(terminated, "reason");
    if (terminated) {
        return reason.n ? arena_printf(a, "Init:%.*s", SPAN_ARG(reason))
                        : exit_text(a, "Init:", terminated);
    }
    reason = json_get_str(state(status, "waiting"), "reason");
    if (reason.n && !span_eq(reason, SPAN("PodInitializing"))) {
        return arena_printf(a, "Init:%.*s", SPAN_ARG(reason));
    }
    return arena_printf(a, "Init:%zu/%zu", i, n);
}

static void look_at_init(struct arena *a, struct summary *s, const yyjson_val *pod)
{
    const yyjson_val *spec = json_get(pod, "spec");
    size_t i = 0, n = json_len(json_get(spec, "initContainers"));
    JSON_EACH(it, json_get(json_get(pod, "status"), "initContainerStatuses"))
    {
        bool sidecar = is_sidecar(spec, json_get_str(it.val, "name"));
        count_restarts(it.val, &s->restarts, &s->last_restart);
        if (sidecar) {
            count_restarts(it.val, &s->sidecar_restarts, &s->last_sidecar_restart);
        }
        const yyjson_val *terminated = state(it.val, "terminated");
        bool done = terminated && json_get_int(terminated, "exitCode", 0) == 0;
        bool started = sidecar && json_get_bool(it.val, "started", false);
        if (!done && started) {
            s->ready += json_get_bool(it.val, "ready", false);
        }
        if (!done && !started) {
            s->reason = init_text(a, it.val, i, n);
            s->initializing = true;
            return;
        }
        i++;
    }
}

static void look_at_containers(struct arena *a, struct summary *s, const yyjson_val *pod)
{
    yyjson_val *list = json_get(json_get(pod, "status"), "containerStatuses");
    bool running = false;
    s->restarts = s->sidecar_restarts;
    s->last_restart = s->last_sidecar_restart;
    for (size_t i = json_len(list); i-- > 0;) {
        const yyjson_val *status = yyjson_arr_get(list, i);
        count_restarts(status, &s->restarts, &s->last_restart);
        struct span waiting = json_get_str(state(status, "waiting"), "reason");
        const yyjson_val *terminated = state(status, "terminated");
        struct span ended = json_get_str(terminated, "reason");
        if (waiting.n) {
            s->reason = waiting;
        } else if (ended.n) {
            s->reason = ended;
        } else if (terminated) {
            s->reason = exit_text(a, "", terminated);
        } else if (json_get_bool(status, "ready", false) && state(status, "running")) {
            running = true;
            s->ready++;
        }
    }
    if (running && span_eq(s->reason, SPAN("Completed"))) {
        s->reason = status_condition_true(pod, "Ready") ? SPAN("Running") : SPAN("NotReady");
    }
}

static void look_at_end(struct summary *s, const yyjson_val *pod)
{
    const yyjson_val *status = json_get(pod, "status");
    struct span phase = json_get_str(status, "phase");
    if (json_get_str(json_get(pod, "metadata"), "deletionTimestamp").n == 0) {
        return;
    }
    if (span_eq(json_get_str(status, "reason"), SPAN("NodeLost"))) {
        s->reason = SPAN("Unknown");
    } else if (!status_phase_ended(phase)) {
        s->reason = SPAN("Terminating");
    }
}

static bool is_gated(const yyjson_val *pod)
{
    return span_eq(json_get_str(status_condition(pod, "PodScheduled"), "reason"),
                   SPAN("SchedulingGated"));
}

static struct summary summarise(struct arena *a, const yyjson_val *pod)
{
    const yyjson_val *spec = json_get(pod, "spec"), *status = json_get(pod, "status");
    struct summary s = {.reason = json_get_str(status, "phase"),
                        .total = json_len(json_get(spec, "containers"))};
    if (json_get_str(status, "reason").n) {
        s.reason = json_get_str(status, "reason");
    }
    if (is_gated(pod)) {
        s.reason = SPAN("SchedulingGated");
    }
    JSON_EACH(it, json_get(spec, "initContainers"))
    {
        s.total += span_eq(json_get_str(it.val, "restartPolicy"), SPAN("Always"));
    }
    look_at_init(a, &s, pod);
    if (!s.initializing || status_condition_true(pod, "Initialized")) {
        look_at_containers(a, &s, pod);
    }
    look_at_end(&s, pod);
    return s;
}

static struct span gates(struct arena *a, const yyjson_val *pod)
{
    const yyjson_val *list = json_get(json_get(pod, "spec"), "readinessGates");
    size_t met = 0;
    JSON_EACH(it, list)
    {
        met += status_condition_true(pod, arena_cstr(a, json_get_str(it.val, "conditionType")));
    }
    return json_len(list) ? arena_printf(a, "%zu/%zu", met, json_len(list)) : SPAN("<none>");
}

void pod_row(struct row *r)
{
    assert(r->obj);
    struct summary s = summarise(r->a, r->obj);
    const yyjson_val *status = json_get(r->obj, "status");
    cell_name(r);
    cell(r, arena_printf(r->a, "%zu/%zu", s.ready, s.total));
    cell(r, s.reason);
    if (s.restarts && s.last_restart.n) {
        struct span ago = time_age_since(r->a, s.last_restart, r->now_ms);
        cell(r, arena_printf(r->a, "%lld (%.*s ago)", (long long)s.restarts, SPAN_ARG(ago)));
    } else {
        cell(r, arena_printf(r->a, "%lld", (long long)s.restarts));
    }
    cell_age(r);
    cell_or_none(r, json_get_str(status, "podIP"));
    cell_or_none(r, json_get_str(json_get(r->obj, "spec"), "nodeName"));
    cell_or_none(r, json_get_str(status, "nominatedNodeName"));
    cell(r, gates(r->a, r->obj));
}
