/* pods/resize: what may become of the resources of a pod's containers while they run. */
#include "codec/quantity.h"
#include "schema/kind.h"

static const char *const resizable[] = {"cpu", "memory"};

static bool is_resizable(struct span name)
{
    return span_eq_cstr(name, resizable[0]) || span_eq_cstr(name, resizable[1]);
}

static bool same(const yyjson_val *a, const yyjson_val *b)
{
    struct quantity x, y;
    return a && b && !quantity_parse(json_str(a), &x) && !quantity_parse(json_str(b), &y) &&
           quantity_cmp(&x, &y) == 0;
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

static bool changed(const yyjson_val *now, const yyjson_val *was, const char *name)
{
    static const char *const lists[] = {"limits", "requests"};
    bool any = false;
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *a = json_path(now, lists[i], name, NULL);
        const yyjson_val *b = json_path(was, lists[i], name, NULL);
        any |= (a || b) && !same(a, b);
    }
    return any;
}

/* Whoever wants a restart with it does not get one here. */
static void check_policy(struct check *c, const struct path *p, const yyjson_val *container,
                         const yyjson_val *was)
{
    JSON_EACH(it, json_get(container, "resizePolicy"))
    {
        struct span name = json_get_str(it.val, "resourceName");
        if (span_eq(json_get_str(it.val, "restartPolicy"), SPAN("RestartContainer")) &&
            is_resizable(name) &&
            changed(json_get(container, "resources"), was, arena_cstr(c->a, name))) {
            cause_forbidden(
                c, p,
                arena_printf(c->a,
                             "resizePolicy asks for a restart of the container when its "
                             "%.*s changes, and this server resizes running containers "
                             "only: replace the pod",
                             SPAN_ARG(name))
                    .p);
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
    check_policy(c, at, now, from);
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

void check_resize(struct check *c, const yyjson_val *obj, const yyjson_val *old)
{
    static const char *const lists[] = {"containers", "initContainers"};
    const yyjson_val *now = json_get(obj, "spec"), *was = json_get(old, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    struct span phase = json_str(json_path(old, "status", "phase", NULL));
    struct span class = qos_class(now);
    if (span_eq(phase, SPAN("Succeeded")) || span_eq(phase, SPAN("Failed"))) {
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
