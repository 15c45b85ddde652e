/* plan/pod_status_json.c: renders a pod status; empty members are left out as Go's omitempty does.
 * As text at once: a pod is looked at several times for each status that is written. */
#include "plan/pod_status_json.h"

#include "base/check.h"
#include "codec/json_text.h"
#include "codec/time.h"

enum { USUAL_BYTES = 2000 };

static void put(struct strbuf *b, struct span key, struct span value)
{
    if (value.n > 0) {
        json_text_str(b, key, value);
    }
}

static void put_time(struct strbuf *b, struct span key, int64_t ms)
{
    assert(key.n > 0);
    char text[TIME_TEXT_BYTES];
    if (ms != 0) {
        json_text_str(b, key, time_format_to(text, ms));
    }
}

static void open(struct strbuf *b, struct span key, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    json_text_key(b, key);
    strbuf_putc(b, bracket);
}

static void put_state(struct strbuf *b, struct span key, const struct pod_state *s)
{
    assert(s->kind <= POD_STATE_TERMINATED);
    open(b, key, '{');
    switch (s->kind) {
    case POD_STATE_NONE:
        break;
    case POD_STATE_WAITING:
        open(b, SPAN("waiting"), '{');
        put(b, SPAN("reason"), s->reason);
        put(b, SPAN("message"), s->message);
        strbuf_putc(b, '}');
        break;
    case POD_STATE_RUNNING:
        open(b, SPAN("running"), '{');
        put_time(b, SPAN("startedAt"), s->started_ms);
        strbuf_putc(b, '}');
        break;
    case POD_STATE_TERMINATED:
        open(b, SPAN("terminated"), '{');
        json_text_int(b, SPAN("exitCode"), s->exit_code);
        if (s->signal) {
            json_text_int(b, SPAN("signal"), s->signal);
        }
        put(b, SPAN("reason"), s->reason);
        put(b, SPAN("message"), s->message);
        put_time(b, SPAN("startedAt"), s->started_ms);
        put_time(b, SPAN("finishedAt"), s->finished_ms);
        put(b, SPAN("containerID"), s->container_id);
        strbuf_putc(b, '}');
        break;
    }
    strbuf_putc(b, '}');
}

/* What the container has, and what of the node's is set aside for it. */
static void put_resources(struct arena *a, struct strbuf *b, struct span resources)
{
    yyjson_doc *has = NULL;
    if (resources.n == 0 || json_parse(a, resources, &has, NULL) != 0) {
        return;
    }
    const yyjson_val *root = yyjson_doc_get_root(has), *requests = json_get(root, "requests");
    if (requests) {
        json_text_key(b, SPAN("allocatedResources"));
        strbuf_put(b, json_write(a, requests));
    }
    json_text_key(b, SPAN("resources"));
    strbuf_put(b, json_write(a, root));
}

static void put_containers(struct arena *a, struct strbuf *b, struct span key,
                           const struct pod_container_status *c, size_t n, bool extra)
{
    assert(c || n == 0);
    open(b, key, '[');
    for (size_t i = 0; i < n; i++) {
        json_text_next(b);
        strbuf_putc(b, '{');
        json_text_str(b, SPAN("name"), c[i].name);
        put_state(b, SPAN("state"), &c[i].state);
        put_state(b, SPAN("lastState"), &c[i].last);
        json_text_bool(b, SPAN("ready"), c[i].ready);
        json_text_int(b, SPAN("restartCount"), c[i].restart_count);
        json_text_str(b, SPAN("image"), c[i].image);
        json_text_str(b, SPAN("imageID"), c[i].image_id);
        put(b, SPAN("containerID"), c[i].container_id);
        put_resources(a, b, c[i].resources);
        if (!extra) { /* nobody waits for it to have started */
            json_text_bool(b, SPAN("started"), c[i].started);
        }
        strbuf_putc(b, '}');
    }
    strbuf_putc(b, ']');
}

static void put_ips(struct strbuf *b, struct span one, struct span list, struct span ip)
{
    assert(one.n > 0);
    assert(list.n > 0);
    if (ip.n > 0) {
        json_text_str(b, one, ip);
        open(b, list, '[');
        strbuf_putc(b, '{');
        json_text_str(b, SPAN("ip"), ip);
        strbuf_put(b, SPAN("}]"));
    }
}

static void put_conditions(struct strbuf *b, const struct pod_status *s)
{
    assert(s->conditions || s->condition_count == 0);
    open(b, SPAN("conditions"), '[');
    for (size_t i = 0; i < s->condition_count; i++) {
        const struct pod_condition *c = &s->conditions[i];
        json_text_next(b);
        strbuf_putc(b, '{');
        json_text_str(b, SPAN("type"), c->type);
        json_text_str(b, SPAN("status"), c->status);
        put_time(b, SPAN("lastTransitionTime"), c->transition_ms);
        put(b, SPAN("reason"), c->reason);
        put(b, SPAN("message"), c->message);
        strbuf_putc(b, '}');
    }
    strbuf_putc(b, ']');
}

void pod_status_json(struct arena *a, const struct pod_status *s, struct strbuf *to)
{
    assert(a);
    assert(s);
    assert(s->phase.n > 0);
    assert(to->n == 0);
    (void)strbuf_room(to, USUAL_BYTES);
    strbuf_putc(to, '{');
    json_text_str(to, SPAN("phase"), s->phase);
    put_conditions(to, s);
    put(to, SPAN("message"), s->message);
    put(to, SPAN("reason"), s->reason);
    put_ips(to, SPAN("hostIP"), SPAN("hostIPs"), s->host_ip);
    put_ips(to, SPAN("podIP"), SPAN("podIPs"), s->pod_ip);
    put_time(to, SPAN("startTime"), s->start_ms);
    if (s->init_count > 0) {
        put_containers(a, to, SPAN("initContainerStatuses"), s->inits, s->init_count, false);
    }
    put_containers(a, to, SPAN("containerStatuses"), s->mains, s->main_count, false);
    if (s->extra_count > 0) {
        put_containers(a, to, SPAN("ephemeralContainerStatuses"), s->extras, s->extra_count, true);
    }
    put(to, SPAN("qosClass"), s->qos_class);
    strbuf_putc(to, '}');
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
