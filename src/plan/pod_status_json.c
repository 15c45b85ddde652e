/* plan/pod_status_json.c: renders a pod status; empty members are left out as Go's omitempty does.
 */
#include "plan/pod_status_json.h"

#include "base/check.h"
#include "codec/time.h"

/* The times of a status, written in seconds, are mostly one or two: the last one's text is there
 * for the next. */
struct writer {
    struct json_build *b;
    int64_t last_s; /* 0: none yet */
    struct span last;
};

static void put(struct json_build *b, struct span key, struct span value)
{
    if (value.n > 0) {
        json_build_str(b, key, value);
    }
}

static void put_time(struct writer *w, struct span key, int64_t ms)
{
    assert(key.n > 0);
    if (ms == 0) {
        return;
    }
    if (ms < 1000 || ms / 1000 != w->last_s) {
        w->last_s = ms / 1000;
        w->last = time_format(w->b->a, ms);
    }
    json_build_str(w->b, key, w->last);
}

static void put_state(struct writer *w, struct span key, const struct pod_state *s)
{
    assert(s->kind <= POD_STATE_TERMINATED);
    struct json_build *b = w->b;
    json_build_object(b, key);
    switch (s->kind) {
    case POD_STATE_NONE:
        break;
    case POD_STATE_WAITING:
        json_build_object(b, SPAN("waiting"));
        put(b, SPAN("reason"), s->reason);
        put(b, SPAN("message"), s->message);
        json_build_close(b);
        break;
    case POD_STATE_RUNNING:
        json_build_object(b, SPAN("running"));
        put_time(w, SPAN("startedAt"), s->started_ms);
        json_build_close(b);
        break;
    case POD_STATE_TERMINATED:
        json_build_object(b, SPAN("terminated"));
        json_build_int(b, SPAN("exitCode"), s->exit_code);
        if (s->signal) {
            json_build_int(b, SPAN("signal"), s->signal);
        }
        put(b, SPAN("reason"), s->reason);
        put(b, SPAN("message"), s->message);
        put_time(w, SPAN("startedAt"), s->started_ms);
        put_time(w, SPAN("finishedAt"), s->finished_ms);
        put(b, SPAN("containerID"), s->container_id);
        json_build_close(b);
        break;
    }
    json_build_close(b);
}

/* What the container has, and what of the node's is set aside for it. */
static void put_resources(struct json_build *b, struct span resources)
{
    yyjson_doc *has = NULL;
    if (resources.n == 0 || json_parse(b->a, resources, &has, NULL) != 0) {
        return;
    }
    const yyjson_val *root = yyjson_doc_get_root(has), *requests = json_get(root, "requests");
    if (requests) {
        json_build_copy(b, SPAN("allocatedResources"), requests);
    }
    json_build_copy(b, SPAN("resources"), root);
}

static void put_containers(struct writer *w, struct span key, const struct pod_container_status *c,
                           size_t n, bool extra)
{
    assert(c || n == 0);
    struct json_build *b = w->b;
    json_build_list(b, key);
    for (size_t i = 0; i < n; i++) {
        json_build_object(b, SPAN_NULL);
        json_build_str(b, SPAN("name"), c[i].name);
        put_state(w, SPAN("state"), &c[i].state);
        put_state(w, SPAN("lastState"), &c[i].last);
        json_build_bool(b, SPAN("ready"), c[i].ready);
        json_build_int(b, SPAN("restartCount"), c[i].restart_count);
        json_build_str(b, SPAN("image"), c[i].image);
        json_build_str(b, SPAN("imageID"), c[i].image_id);
        put(b, SPAN("containerID"), c[i].container_id);
        put_resources(b, c[i].resources);
        if (!extra) { /* nobody waits for it to have started */
            json_build_bool(b, SPAN("started"), c[i].started);
        }
        json_build_close(b);
    }
    json_build_close(b);
}

static void put_ips(struct json_build *b, struct span one, struct span list, struct span ip)
{
    assert(one.n > 0);
    assert(list.n > 0);
    if (ip.n > 0) {
        json_build_str(b, one, ip);
        json_build_list(b, list);
        json_build_object(b, SPAN_NULL);
        json_build_str(b, SPAN("ip"), ip);
        json_build_close(b);
        json_build_close(b);
    }
}

static void put_conditions(struct writer *w, const struct pod_status *s)
{
    assert(s->conditions || s->condition_count == 0);
    struct json_build *b = w->b;
    json_build_list(b, SPAN("conditions"));
    for (size_t i = 0; i < s->condition_count; i++) {
        const struct pod_condition *c = &s->conditions[i];
        json_build_object(b, SPAN_NULL);
        json_build_str(b, SPAN("type"), c->type);
        json_build_str(b, SPAN("status"), c->status);
        put_time(w, SPAN("lastTransitionTime"), c->transition_ms);
        put(b, SPAN("reason"), c->reason);
        put(b, SPAN("message"), c->message);
        json_build_close(b);
    }
    json_build_close(b);
}

void pod_status_json(struct json_build *b, struct span key, const struct pod_status *s)
{
    assert(s->phase.n > 0);
    struct writer writer = {.b = b}, *w = &writer;
    json_build_object(b, key);
    json_build_str(b, SPAN("phase"), s->phase);
    put_conditions(w, s);
    put(b, SPAN("message"), s->message);
    put(b, SPAN("reason"), s->reason);
    put_ips(b, SPAN("hostIP"), SPAN("hostIPs"), s->host_ip);
    put_ips(b, SPAN("podIP"), SPAN("podIPs"), s->pod_ip);
    put_time(w, SPAN("startTime"), s->start_ms);
    if (s->init_count > 0) {
        put_containers(w, SPAN("initContainerStatuses"), s->inits, s->init_count, false);
    }
    put_containers(w, SPAN("containerStatuses"), s->mains, s->main_count, false);
    if (s->extra_count > 0) {
        put_containers(w, SPAN("ephemeralContainerStatuses"), s->extras, s->extra_count, true);
    }
    put(b, SPAN("qosClass"), s->qos_class);
    json_build_close(b);
}

struct span pod_qos_class(const yyjson_val *spec)
{
    bool any = false, guaranteed = true;
    const char *const lists[] = {"initContainers", "containers"};
    const char *const resources[] = {"cpu", "memory"};
    for (size_t l = 0; l < 2; l++) {
        JSON_EACH(it, json_get(spec, lists[l]))
        {
            for (size_t r = 0; r < 2; r++) {
                yyjson_val *limit = json_path(it.val, "resources", "limits", resources[r], NULL);
                yyjson_val *request =
                    json_path(it.val, "resources", "requests", resources[r], NULL);
                any |= limit || request;
                guaranteed &= limit && (!request || json_equal(limit, request));
            }
        }
    }
    return !any ? SPAN("BestEffort") : guaranteed ? SPAN("Guaranteed") : SPAN("Burstable");
}
