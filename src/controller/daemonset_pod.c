/* controller/daemonset_pod.c: the bodies of a DaemonSet's pods: the template, pinned to one node by
 * affinity, so that the scheduler places them like all others. */
#include "base/check.h"
#include "controller/daemonset_priv.h"

struct tolerated {
    const char *key, *effect;
};

static void add_toleration(yyjson_mut_doc *doc, yyjson_mut_val *list, const yyjson_val *own,
                           struct tolerated t)
{
    JSON_EACH(it, own)
    {
        if (span_eq_cstr(json_get_str(it.val, "key"), t.key) &&
            span_eq_cstr(json_get_str(it.val, "effect"), t.effect) &&
            span_eq_cstr(json_get_str(it.val, "operator"), "Exists") &&
            !json_get(it.val, "tolerationSeconds")) {
            return;
        }
    }
    yyjson_mut_val *one = yyjson_mut_obj(doc);
    json_put_str(doc, one, "key", span_cstr(t.key));
    json_put_str(doc, one, "operator", SPAN("Exists"));
    json_put_str(doc, one, "effect", span_cstr(t.effect));
    yyjson_mut_arr_append(list, one);
}

yyjson_val *daemonset_tolerations(struct arena *a, const yyjson_val *pod_spec)
{
    assert(a);
    static const struct tolerated all[] = {{"node.kubernetes.io/not-ready", "NoExecute"},
                                           {"node.kubernetes.io/unreachable", "NoExecute"},
                                           {"node.kubernetes.io/disk-pressure", "NoSchedule"},
                                           {"node.kubernetes.io/memory-pressure", "NoSchedule"},
                                           {"node.kubernetes.io/pid-pressure", "NoSchedule"},
                                           {"node.kubernetes.io/unschedulable", "NoSchedule"}};
    static const struct tolerated on_host = {"node.kubernetes.io/network-unavailable",
                                             "NoSchedule"};
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_val *own = json_get(pod_spec, "tolerations");
    JSON_EACH(it, own)
    {
        yyjson_mut_arr_append(list, json_mut_copy(doc, it.val));
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        add_toleration(doc, list, own, all[i]);
    }
    if (json_get_bool(pod_spec, "hostNetwork", false)) {
        add_toleration(doc, list, own, on_host);
    }
    return json_freeze(a, list);
}

/* {"matchFields":[{"key":"metadata.name","operator":"In","values":[node]}]} */
static yyjson_mut_val *pin(yyjson_mut_doc *doc, struct span node)
{
    assert(node.n > 0);
    yyjson_mut_val *term = yyjson_mut_obj(doc), *fields = yyjson_mut_arr(doc);
    yyjson_mut_val *field = yyjson_mut_obj(doc), *values = yyjson_mut_arr(doc);
    yyjson_mut_arr_append(values, json_new_str(doc, node));
    json_put_str(doc, field, "key", SPAN("metadata.name"));
    json_put_str(doc, field, "operator", SPAN("In"));
    json_put(doc, field, "values", values);
    yyjson_mut_arr_append(fields, field);
    json_put(doc, term, "matchFields", fields);
    return term;
}

struct json_shared *daemonset_pod_body(struct daemon_sync *x, struct span node)
{
    assert(node.n);
    assert(x->history.hash.n);
    struct client_body b =
        owned_pod_new(&x->own, x->c->pods.kind, json_get(x->own.spec, "template"));
    json_put_str(b.doc, json_mut_obj(b.doc, b.meta, "labels"), DAEMONSET_HASH_LABEL,
                 x->history.hash);
    yyjson_mut_val *spec = client_body_obj(&b, "spec");
    json_put(b.doc, spec, "tolerations", json_mut_copy(b.doc, x->tolerations));
    yyjson_mut_val *affinity =
        json_mut_obj(b.doc, json_mut_obj(b.doc, spec, "affinity"), "nodeAffinity");
    yyjson_mut_val *required = yyjson_mut_obj(b.doc), *terms = yyjson_mut_arr(b.doc);
    yyjson_mut_arr_append(terms, pin(b.doc, node));
    json_put(b.doc, required, "nodeSelectorTerms", terms);
    json_put(b.doc, affinity, "requiredDuringSchedulingIgnoredDuringExecution", required);
    return client_body_tree(&b);
}

struct span daemonset_node_of(struct object *pod)
{
    assert(pod);
    yyjson_val *spec = client_spec(pod);
    struct span bound = json_get_str(spec, "nodeName");
    yyjson_val *terms =
        json_path(spec, "affinity", "nodeAffinity",
                  "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", NULL);
    if (bound.n || json_len(terms) != 1) {
        return bound;
    }
    yyjson_val *fields = json_get(yyjson_arr_get_first(terms), "matchFields");
    yyjson_val *field = yyjson_arr_get_first(fields), *values = json_get(field, "values");
    bool pinned = json_len(fields) == 1 && json_len(values) == 1 &&
                  span_eq_cstr(json_get_str(field, "key"), "metadata.name") &&
                  span_eq_cstr(json_get_str(field, "operator"), "In");
    return pinned ? json_str(yyjson_arr_get_first(values)) : SPAN_NULL;
}
