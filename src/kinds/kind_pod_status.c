/* kinds/kind_pod_status.c: what the status of a pod may say, and what it may no longer say: a
 * container that has ended for good does not run again, whoever reports it late. */
#include "base/check.h"
#include "codec/names.h"
#include "kinds/kind.h"

static void check_names(struct check *c, const yyjson_val *conditions)
{
    const struct path *p = AT_FIELD(AT_FIELD(NULL, "metadata"), "conditions"); /* as Kubernetes */
    size_t n = 0;
    JSON_EACH(it, conditions)
    {
        struct span type = json_get_str(it.val, "type");
        struct names_fault fault = names_qualified(type);
        for (size_t i = 0; i < fault.n; i++) {
            cause_invalid(c, AT_FIELD(AT_INDEX(p, n), "Type"), shown_text(c->a, type),
                          fault.text[i]);
        }
        n++;
    }
}

/* ---- containers that have ended ---- */

/* By the pod's restart policy, or by its own. */
static bool may_run_again(const yyjson_val *ended, struct span policy, const yyjson_val *container)
{
    struct span own = json_get_str(container, "restartPolicy");
    policy = own.n > 0 ? own : policy;
    return span_eq_cstr(policy, "Always") || json_len(json_get(container, "restartPolicyRules")) ||
           (span_eq_cstr(policy, "OnFailure") && json_get_int(ended, "exitCode", 0) != 0);
}

static void check_ended(struct check *c, const yyjson_val *now, const char *list,
                        const char *containers, struct span policy)
{
    const yyjson_val *spec = json_get(c->old, "spec"), *is = json_get(now, list);
    const struct path *p = AT_FIELD(AT_FIELD(NULL, "status"), list);
    size_t n = 0;
    JSON_EACH(old, json_path(c->old, "status", list, NULL))
    {
        struct span name = json_get_str(old.val, "name");
        const yyjson_val *ended = json_path(old.val, "state", "terminated", NULL);
        const yyjson_val *then = ended ? json_find(is, "name", name) : NULL;
        if (then && !json_path(then, "state", "terminated", NULL) &&
            !may_run_again(ended, policy, json_find(json_get(spec, containers), "name", name))) {
            cause_forbidden(c, AT_FIELD(AT_INDEX(p, n), "state"),
                            "may not be transitioned to non-terminated state");
        }
        n++;
    }
}

/* ---- addresses ---- */

static bool is_v6(const yyjson_val *address)
{
    struct span ip = json_get_str(address, "ip");
    return span_find(ip, ':') < ip.n;
}

static void check_addresses(struct check *c, const char *key, const yyjson_val *list)
{
    const struct path *p = AT_FIELD(AT_FIELD(NULL, "status"), key);
    const yyjson_val *first = NULL;
    size_t n = 0;
    JSON_EACH(it, list)
    {
        struct span ip = json_get_str(it.val, "ip");
        if (!names_is_ip(ip)) {
            cause_invalid(c, AT_INDEX(p, n), shown_text(c->a, ip),
                          "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
            return;
        }
        first = first ? first : it.val;
        n++;
        if (n > 2 || (n == 2 && is_v6(it.val) == is_v6(first))) {
            cause_invalid(c, p, shown(c->a, list),
                          "may specify no more than one IP for each IP family");
            return;
        }
    }
}

void check_pod_status(struct check *c, const yyjson_val *obj)
{
    assert(c->old);
    const yyjson_val *now = json_get(obj, "status"), *was = json_get(c->old, "status");
    const struct path *p = AT_FIELD(NULL, "status");
    struct span node = json_get_str(now, "nominatedNodeName");
    struct span qos = json_get_str(was, "qosClass");
    struct span policy = json_get_str(json_get(c->old, "spec"), "restartPolicy");
    check_names(c, json_get(now, "conditions"));
    if (node.n > 0 && !span_eq(node, json_get_str(was, "nominatedNodeName"))) {
        struct names_fault fault = names_dns_subdomain(node);
        for (size_t i = 0; i < fault.n; i++) {
            cause_invalid(c, AT_FIELD(p, "nominatedNodeName"), shown_text(c->a, node),
                          fault.text[i]);
        }
    }
    if (qos.n > 0 && !span_eq(qos, json_get_str(now, "qosClass"))) {
        cause_invalid(c, AT_FIELD(p, "qosClass"), shown_text(c->a, json_get_str(now, "qosClass")),
                      "field is immutable");
    }
    check_ended(c, now, "containerStatuses", "containers", policy);
    check_ended(c, now, "initContainerStatuses", "initContainers", policy);
    check_ended(c, now, "ephemeralContainerStatuses", "ephemeralContainers", SPAN("Never"));
    check_addresses(c, "podIPs", json_get(now, "podIPs"));
    check_addresses(c, "hostIPs", json_get(now, "hostIPs"));
}
