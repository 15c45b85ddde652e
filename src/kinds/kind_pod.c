/* kinds/kind_pod.c: defaults and changes of pods. What a pod spec may hold is in kind_pod_spec.c.
 */
#include "base/check.h"
#include "kinds/kind.h"

/* ---- defaults ---- */

/* No tag and no digest, or the tag "latest": pull always. */
static bool is_latest(struct span image)
{
    size_t at = span_find(image, '@');
    struct span name = span_first(image, at);
    size_t slash = span_rfind(name, '/');
    struct span last = slash < name.n ? span_from(name, slash + 1) : name;
    size_t colon = span_find(last, ':');
    if (colon == last.n) {
        return at == image.n;
    }
    return span_eq(span_from(last, colon + 1), SPAN("latest"));
}

static void container_defaults(yyjson_mut_doc *doc, yyjson_mut_val *containers)
{
    size_t i, n;
    yyjson_mut_val *c;
    yyjson_mut_arr_foreach(containers, i, n, c)
    {
        if (json_mut_str(json_mut_get(c, "imagePullPolicy")).n == 0) {
            bool latest = is_latest(json_mut_str(json_mut_get(c, "image")));
            json_put_str(doc, c, "imagePullPolicy", latest ? SPAN("Always") : SPAN("IfNotPresent"));
        }
    }
}

/* serviceAccount is the old name of serviceAccountName; both are shown. */
static void account_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec)
{
    struct span name = json_mut_str(json_mut_get(spec, "serviceAccountName"));
    struct span old = json_mut_str(json_mut_get(spec, "serviceAccount"));
    if (name.n == 0 && old.n) {
        json_put_str(doc, spec, "serviceAccountName", old);
    } else if (name.n && !span_eq(name, old)) {
        json_put_str(doc, spec, "serviceAccount", name);
    }
}

void pod_spec_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec)
{
    assert(doc);
    account_defaults(doc, spec);
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        container_defaults(doc, json_mut_get(spec, lists[i]));
    }
    size_t i, n;
    yyjson_mut_val *volume;
    yyjson_mut_arr_foreach(json_mut_get(spec, "volumes"), i, n, volume)
    {
        if (yyjson_mut_is_obj(volume) && yyjson_mut_obj_size(volume) <= 1) {
            json_put(doc, volume, "emptyDir", yyjson_mut_obj(doc));
        }
    }
}

/* What a container may use and did not ask for, it asks for. */
static void requests_from_limits(yyjson_mut_doc *doc, yyjson_mut_val *containers)
{
    size_t i, n;
    yyjson_mut_val *c;
    yyjson_mut_arr_foreach(containers, i, n, c)
    {
        yyjson_mut_val *resources = json_mut_get(c, "resources");
        yyjson_mut_val *limits = json_mut_get(resources, "limits");
        if (!yyjson_mut_is_obj(limits) || yyjson_mut_obj_size(limits) == 0) {
            continue;
        }
        yyjson_mut_val *requests = json_mut_obj(doc, resources, "requests");
        size_t k, m;
        yyjson_mut_val *key, *value;
        yyjson_mut_obj_foreach(limits, k, m, key, value)
        {
            struct span name = json_mut_str(key);
            if (!yyjson_mut_obj_getn(requests, name.p, name.n)) {
                json_put_span(doc, requests, name, yyjson_mut_val_mut_copy(doc, value));
            }
        }
    }
}

static void host_ports(yyjson_mut_doc *doc, yyjson_mut_val *containers)
{
    size_t i, n, k, m;
    yyjson_mut_val *c, *port;
    yyjson_mut_arr_foreach(containers, i, n, c)
    {
        yyjson_mut_arr_foreach(json_mut_get(c, "ports"), k, m, port)
        {
            if (yyjson_mut_get_int(json_mut_get(port, "hostPort")) == 0) {
                json_put_int(doc, port, "hostPort",
                             yyjson_mut_get_sint(json_mut_get(port, "containerPort")));
            }
        }
    }
}

enum { ANY_SET = 1, ALL_EQUAL = 2 };

/* How cpu and memory of the containers stand: is anything asked for, and is everything limited to
 * what is asked for? */
static unsigned resources_of(yyjson_mut_val *containers, unsigned so_far)
{
    static const char *const names[] = {"cpu", "memory"};
    size_t i, n;
    yyjson_mut_val *c;
    yyjson_mut_arr_foreach(containers, i, n, c)
    {
        yyjson_mut_val *resources = json_mut_get(c, "resources");
        for (size_t k = 0; k < 2; k++) {
            struct span limit =
                json_mut_str(json_mut_get(json_mut_get(resources, "limits"), names[k]));
            struct span request =
                json_mut_str(json_mut_get(json_mut_get(resources, "requests"), names[k]));
            if (limit.n || request.n) {
                so_far |= ANY_SET;
            }
            if (limit.n == 0 || !span_eq(limit, request)) {
                so_far &= ~(unsigned)ALL_EQUAL;
            }
        }
    }
    return so_far;
}

static void status_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj, yyjson_mut_val *spec)
{
    yyjson_mut_val *status = json_mut_obj(doc, obj, "status");
    if (json_mut_str(json_mut_get(status, "phase")).n == 0) {
        json_put_str(doc, status, "phase", SPAN("Pending"));
    }
    if (json_mut_str(json_mut_get(status, "qosClass")).n == 0) {
        unsigned r = resources_of(json_mut_get(spec, "containers"), ALL_EQUAL);
        r = resources_of(json_mut_get(spec, "initContainers"), r);
        json_put_str(doc, status, "qosClass",
                     !(r & ANY_SET)    ? SPAN("BestEffort")
                     : (r & ALL_EQUAL) ? SPAN("Guaranteed")
                                       : SPAN("Burstable"));
    }
}

static bool status_settled(const yyjson_val *status)
{
    return json_get_str(status, "phase").n > 0 && json_get_str(status, "qosClass").n > 0;
}

static void defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    pod_spec_defaults(doc, spec);
    if (!json_mut_get(spec, "enableServiceLinks")) {
        json_put_bool(doc, spec, "enableServiceLinks", true);
    }
    if (yyjson_mut_is_true(json_mut_get(spec, "hostNetwork"))) {
        host_ports(doc, json_mut_get(spec, "containers"));
        host_ports(doc, json_mut_get(spec, "initContainers"));
    }
    requests_from_limits(doc, json_mut_get(spec, "containers"));
    requests_from_limits(doc, json_mut_get(spec, "initContainers"));
    status_defaults(doc, obj, spec);
}

/* ---- changes ---- */

static const char update_text[] =
    "pod updates may not change fields other than "
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

static bool containers_unchanged(const yyjson_val *now, const yyjson_val *was)
{
    static const char *const except[] = {"image", NULL};
    struct json_iter other = json_iter_begin(was);
    JSON_EACH(it, now)
    {
        if (!equal_except(it.val, other.val, except)) {
            return false;
        }
        json_iter_next(&other);
    }
    return true;
}

static void check_tolerations(struct check *c, const struct path *p, const yyjson_val *now,
                              const yyjson_val *was)
{
    static const char *const except[] = {"tolerationSeconds", NULL};
    JSON_EACH(old, was)
    {
        bool kept = false;
        JSON_EACH(it, now)
        {
            kept = kept || equal_except(it.val, old.val, except);
        }
        if (!kept) {
            cause_forbidden(c, p,
                            "existing toleration can not be modified except its tolerationSeconds");
            return;
        }
    }
}

static void check_deadline(struct check *c, const struct path *p, const yyjson_val *now,
                           const yyjson_val *was)
{
    if (was && !now) {
        cause_invalid(c, p, SPAN("null"), "must not update from a positive integer to nil value");
    } else if (was && json_int(now, 0) > json_int(was, 0)) {
        cause_invalid(c, p, shown(c->a, now), "must be less than or equal to previous value");
    }
}

static void check_update(struct check *c, const yyjson_val *now, const yyjson_val *was)
{
    static const char *const lists[] = {"containers", "initContainers"};
    static const char *const except[] = {"containers",
                                         "initContainers",
                                         "activeDeadlineSeconds",
                                         "tolerations",
                                         "terminationGracePeriodSeconds",
                                         "schedulingGates",
                                         NULL};
    const struct path *p = AT_FIELD(NULL, "spec");
    bool changed = !equal_except(now, was, except);
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *list = json_get(now, lists[i]), *before = json_get(was, lists[i]);
        if (json_len(list) != json_len(before)) {
            cause_forbidden(c, AT_FIELD(p, lists[i]),
                            "pod updates may not add or remove containers");
            return;
        }
        changed = changed || !containers_unchanged(list, before);
    }
    check_deadline(c, AT_FIELD(p, "activeDeadlineSeconds"), json_get(now, "activeDeadlineSeconds"),
                   json_get(was, "activeDeadlineSeconds"));
    check_tolerations(c, AT_FIELD(p, "tolerations"), json_get(now, "tolerations"),
                      json_get(was, "tolerations"));
    int64_t grace = json_get_int(now, "terminationGracePeriodSeconds", 0);
    int64_t before = json_get_int(was, "terminationGracePeriodSeconds", 0);
    changed = changed || (grace != before && !(before < 0 && grace == 1));
    if (changed) {
        cause_forbidden(c, p, update_text);
    }
}

/* The next member that is not the node, about which rules of other members ask nothing. */
static void skip_node(struct json_iter *it)
{
    if (it->key && span_eq(json_str(it->key), SPAN("nodeName"))) {
        json_iter_next(it);
    }
}

/* Is all of a spec, but for the node, as it is stored? That has passed. */
static bool is_stored_spec(const yyjson_val *spec, const yyjson_val *stored)
{
    struct json_iter now = json_iter_begin(spec), was = json_iter_begin(stored);
    skip_node(&now);
    skip_node(&was);
    while (now.key && was.key) {
        if (!span_eq(json_str(now.key), json_str(was.key)) || !json_same(now.val, was.val)) {
            return false;
        }
        json_iter_next(&now);
        json_iter_next(&was);
        skip_node(&now);
        skip_node(&was);
    }
    return !now.key && !was.key;
}

static void validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const yyjson_val *stored = json_get(c->old ? c->old : c->stored, "spec");
    if (!stored || !is_stored_spec(spec, stored)) {
        check_pod_spec(c, AT_FIELD(NULL, "spec"), spec, NULL);
    }
    if (c->old) {
        check_update(c, spec, json_get(c->old, "spec"));
    }
}

/* ---- pods/ephemeralcontainers ---- */

static const yyjson_val *named(const yyjson_val *list, struct span name)
{
    return json_find(list, "name", name);
}

/* What is there stays as it is; the order does not matter. */
static void check_extras_kept(struct check *c, const yyjson_val *now, const yyjson_val *was)
{
    const struct path *p = AT_FIELD(AT_FIELD(NULL, "spec"), "ephemeralContainers");
    JSON_EACH(old, was)
    {
        struct span name = json_get_str(old.val, "name");
        const yyjson_val *kept = named(now, name);
        if (!kept || !json_equal(kept, old.val)) {
            cause_forbidden(c, p,
                            arena_printf(c->a,
                                         "existing ephemeral containers \"%.*s\" may not be %s",
                                         SPAN_ARG(name), kept ? "changed" : "removed")
                                .p);
        }
    }
}

static void validate_sub(struct check *c, const char *sub, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    check_pod_spec(c, AT_FIELD(NULL, "spec"), spec, NULL);
    if (strcmp(sub, "resize") == 0) {
        check_resize(c, obj, c->old);
        return;
    }
    assert(strcmp(sub, "ephemeralcontainers") == 0);
    check_extras_kept(c, json_get(spec, "ephemeralContainers"),
                      json_path(c->old, "spec", "ephemeralContainers", NULL));
}

static bool field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    static const char *const keys[] = {"spec.nodeName",
                                       "spec.restartPolicy",
                                       "spec.schedulerName",
                                       "spec.serviceAccountName",
                                       "spec.hostNetwork",
                                       "status.phase",
                                       "status.podIP",
                                       "status.nominatedNodeName",
                                       NULL};
    bool known = kind_field(a, obj, key, keys, ret);
    if (known && ret->n == 0 && span_eq(key, SPAN("spec.hostNetwork"))) {
        *ret = SPAN("false");
    }
    return known;
}

const struct schema_hooks schema_hooks_pod = {.defaults = defaults,
                                              .warn = kind_warn_pod,
                                              .status_settled = status_settled,
                                              .validate = validate,
                                              .validate_status = check_pod_status,
                                              .validate_sub = validate_sub,
                                              .row = pod_row,
                                              .field = field};

/* ---- binding a pod to a node ---- */

static void binding_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *target = json_get(obj, "target");
    const struct path *p = AT_FIELD(NULL, "target");
    struct span kind = json_get_str(target, "kind");
    if (kind.n && !span_eq(kind, SPAN("Node"))) {
        cause_not_supported(c, AT_FIELD(p, "kind"), shown_text(c->a, kind), "Node|<empty>");
    }
    if (json_get_str(target, "name").n == 0) {
        cause_required(c, AT_FIELD(p, "name"), NULL);
    }
}

const struct schema_hooks schema_hooks_binding = {.validate = binding_validate,
                                                  .field = kind_field_metadata};
