/* pods/resize: what may become of the resources of a pod's containers while they run. */
#include "base/check.h"
#include "codec/quantity.h"
#include "kinds/kind.h"
#include "schema/status.h"

static const char *const resizable[] = {"cpu", "memory"};

static bool is_resizable(struct span name)
{
    return span_eq_cstr(name, resizable[0]) || span_eq_cstr(name, resizable[1]);
}

static bool same(const yyjson_val *a, const yyjson_val *b)
{
    return a && b && quantity_same(json_str(a), json_str(b));
}

static const yyjson_val *member(const yyjson_val *obj, struct span name)
{
    return yyjson_obj_getn((yyjson_val *)(uintptr_t)obj, name.p, name.n);
}

/* Nothing goes away, and nothing but cpu and memory changes or comes. */
static void check_list(struct check *c, const struct path *p, const yyjson_val *now,
                       const yyjson_val *was, const char *what)
{
    JSON_EACH(it, was)
    {
        struct span name = json_str(it.key);
        const yyjson_val *v = member(now, name);
        if (!v) {
            cause_forbidden(c, p, arena_printf(c->a, "resource %s cannot be removed", what).p);
        } else if (!is_resizable(name) && !same(v, it.val)) {
            cause_forbidden(c, p, "only cpu and memory resources are mutable");
        }
    }
    JSON_EACH(it, now)
    {
        struct span name = json_str(it.key);
        if (!is_resizable(name) && !member(was, name)) {
            cause_forbidden(c, p, "only cpu and memory resources are mutable");
        }
    }
}

static void check_container(struct check *c, const struct path *p, const yyjson_val *now,
                            const yyjson_val *was, bool may_change)
{
    const yyjson_val *to = json_get(now, "resources"), *from = json_get(was, "resources");
    const struct path *at = AT_FIELD(p, "resources");
    if (!may_change) {
        if (!json_equal(to, from)) {
            cause_forbidden(c, at, "resources for non-sidecar init containers are immutable");
        }
        return;
    }
    check_list(c, AT_FIELD(at, "limits"), json_get(to, "limits"), json_get(from, "limits"),
               "limits");
    check_list(c, AT_FIELD(at, "requests"), json_get(to, "requests"), json_get(from, "requests"),
               "requests");
}

/* As in the status of a pod. */
static struct span qos_class(const yyjson_val *spec)
{
    static const char *const lists[] = {"containers", "initContainers"};
    bool any = false, all = true;
    for (size_t l = 0; l < 2; l++) {
        JSON_EACH(it, json_get(spec, lists[l]))
        {
            for (size_t i = 0; i < 2; i++) {
                const yyjson_val *limit =
                    json_path(it.val, "resources", "limits", resizable[i], NULL);
                const yyjson_val *request =
                    json_path(it.val, "resources", "requests", resizable[i], NULL);
                any |= limit || request;
                all &= limit && (!request || same(limit, request));
            }
        }
    }
    return !any ? SPAN("BestEffort") : all ? SPAN("Guaranteed") : SPAN("Burstable");
}

void check_resize_policy(struct check *c, const struct path *p, const yyjson_val *list,
                         const yyjson_val *pod_spec)
{
    assert(c);
    bool never = span_eq(json_get_str(pod_spec, "restartPolicy"), SPAN("Never"));
    JSON_EACH(it, list)
    {
        struct span name = json_get_str(it.val, "resourceName");
        struct span policy = json_get_str(it.val, "restartPolicy");
        if (!is_resizable(name)) {
            cause_not_supported(c, p, shown_text(c->a, name), "cpu|memory");
        }
        if (never && span_eq(policy, SPAN("RestartContainer"))) {
            cause_invalid(c, p, shown_text(c->a, policy),
                          "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
    }
}

void check_resize(struct check *c, const yyjson_val *obj, const yyjson_val *old)
{
    assert(c);
    assert(old);
    static const char *const lists[] = {"containers", "initContainers"};
    const yyjson_val *now = json_get(obj, "spec"), *was = json_get(old, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    struct span class = qos_class(now);
    if (status_pod_ended(old)) {
        cause_forbidden(c, p, "a pod that has ended cannot be resized");
        return;
    }
    if (!span_eq(class, qos_class(was))) {
        cause_invalid(c, p, shown_text(c->a, class),
                      "Pod QOS Class may not change as a result of resizing");
    }
    for (size_t l = 0; l < 2; l++) {
        struct json_iter before = json_iter_begin(json_get(was, lists[l]));
        size_t i = 0;
        JSON_EACH(it, json_get(now, lists[l]))
        {
            bool sidecar = span_eq(json_get_str(it.val, "restartPolicy"), SPAN("Always"));
            check_container(c, AT_INDEX(AT_FIELD(p, lists[l]), i), it.val, before.val,
                            l == 0 || sidecar);
            json_iter_next(&before);
            i++;
        }
    }
}
