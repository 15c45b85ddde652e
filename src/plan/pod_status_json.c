/* plan/pod_status_json.c: renders a pod status; empty members are left out as Go's omitempty does.
 */
#include "plan/pod_status_json.h"

#include "base/check.h"
#include "codec/time.h"

static void put(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, struct span value)
{
    if (value.n > 0) {
        json_put_str(doc, obj, key, value);
    }
}

static void put_time(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
                     int64_t ms)
{
    if (ms != 0) {
        json_put_str(doc, obj, key, time_format(a, ms));
    }
}

static yyjson_mut_val *state_json(struct arena *a, yyjson_mut_doc *doc, const struct pod_state *s)
{
    yyjson_mut_val *v = yyjson_mut_obj(doc);
    yyjson_mut_val *in = NULL;
    switch (s->kind) {
    case POD_STATE_NONE:
        break;
    case POD_STATE_WAITING:
        in = json_mut_obj(doc, v, "waiting");
        put(doc, in, "reason", s->reason);
        put(doc, in, "message", s->message);
        break;
    case POD_STATE_RUNNING:
        put_time(a, doc, json_mut_obj(doc, v, "running"), "startedAt", s->started_ms);
        break;
    case POD_STATE_TERMINATED:
        in = json_mut_obj(doc, v, "terminated");
        json_put_int(doc, in, "exitCode", s->exit_code);
        if (s->signal) {
            json_put_int(doc, in, "signal", s->signal);
        }
        put(doc, in, "reason", s->reason);
        put(doc, in, "message", s->message);
        put_time(a, doc, in, "startedAt", s->started_ms);
        put_time(a, doc, in, "finishedAt", s->finished_ms);
        put(doc, in, "containerID", s->container_id);
        break;
    }
    return v;
}

/* What the container has, and what of the node's is set aside for it. */
static void put_resources(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *v,
                          struct span resources)
{
    yyjson_doc *has = NULL;
    if (resources.n == 0 || json_parse(a, resources, &has, NULL) != 0) {
        return;
    }
    const yyjson_val *root = yyjson_doc_get_root(has), *requests = json_get(root, "requests");
    if (requests) {
        json_put(doc, v, "allocatedResources", json_mut_copy(doc, requests));
    }
    json_put(doc, v, "resources", json_mut_copy(doc, root));
}

static yyjson_mut_val *containers_json(struct arena *a, yyjson_mut_doc *doc,
                                       const struct pod_container_status *c, size_t n, bool extra)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < n; i++) {
        yyjson_mut_val *v = yyjson_mut_obj(doc);
        json_put_str(doc, v, "name", c[i].name);
        json_put(doc, v, "state", state_json(a, doc, &c[i].state));
        json_put(doc, v, "lastState", state_json(a, doc, &c[i].last));
        json_put_bool(doc, v, "ready", c[i].ready);
        json_put_int(doc, v, "restartCount", c[i].restart_count);
        json_put_str(doc, v, "image", c[i].image);
        json_put_str(doc, v, "imageID", c[i].image_id);
        put(doc, v, "containerID", c[i].container_id);
        put_resources(a, doc, v, c[i].resources);
        if (!extra) { /* nobody waits for it to have started */
            json_put_bool(doc, v, "started", c[i].started);
        }
        yyjson_mut_arr_append(list, v);
    }
    return list;
}

static yyjson_mut_val *ips_json(yyjson_mut_doc *doc, struct span ip)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_mut_val *v = yyjson_mut_obj(doc);
    json_put_str(doc, v, "ip", ip);
    yyjson_mut_arr_append(list, v);
    return list;
}

yyjson_mut_val *pod_status_json(struct arena *a, yyjson_mut_doc *doc, const struct pod_status *s)
{
    assert(s->phase.n > 0);
    yyjson_mut_val *v = yyjson_mut_obj(doc);
    json_put_str(doc, v, "phase", s->phase);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < s->condition_count; i++) {
        const struct pod_condition *c = &s->conditions[i];
        yyjson_mut_val *cond = yyjson_mut_obj(doc);
        json_put_str(doc, cond, "type", c->type);
        json_put_str(doc, cond, "status", c->status);
        put_time(a, doc, cond, "lastTransitionTime", c->transition_ms);
        put(doc, cond, "reason", c->reason);
        put(doc, cond, "message", c->message);
        yyjson_mut_arr_append(list, cond);
    }
    json_put(doc, v, "conditions", list);
    put(doc, v, "message", s->message);
    put(doc, v, "reason", s->reason);
    if (s->host_ip.n > 0) {
        json_put_str(doc, v, "hostIP", s->host_ip);
        json_put(doc, v, "hostIPs", ips_json(doc, s->host_ip));
    }
    if (s->pod_ip.n > 0) {
        json_put_str(doc, v, "podIP", s->pod_ip);
        json_put(doc, v, "podIPs", ips_json(doc, s->pod_ip));
    }
    put_time(a, doc, v, "startTime", s->start_ms);
    if (s->init_count > 0) {
        json_put(doc, v, "initContainerStatuses",
                 containers_json(a, doc, s->inits, s->init_count, false));
    }
    json_put(doc, v, "containerStatuses", containers_json(a, doc, s->mains, s->main_count, false));
    if (s->extra_count > 0) {
        json_put(doc, v, "ephemeralContainerStatuses",
                 containers_json(a, doc, s->extras, s->extra_count, true));
    }
    put(doc, v, "qosClass", s->qos_class);
    return v;
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
