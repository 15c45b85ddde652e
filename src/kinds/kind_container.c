/* kinds/kind_container.c: rules of containers that span several fields. */
#include "base/check.h"
#include "kinds/kind.h"

/* What the containers of one pod share. */
struct pod {
    const yyjson_val *spec, *extra_volumes;
};

/* ---- environment ---- */

static bool known_field_path(struct span s)
{
    static const char *const paths[] = {"metadata.name",
                                        "metadata.namespace",
                                        "metadata.uid",
                                        "spec.nodeName",
                                        "spec.serviceAccountName",
                                        "status.hostIP",
                                        "status.hostIPs",
                                        "status.podIP",
                                        "status.podIPs"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (span_eq_cstr(s, paths[i])) {
            return true;
        }
    }
    return (span_starts(s, SPAN("metadata.labels['")) ||
            span_starts(s, SPAN("metadata.annotations['"))) &&
           span_ends(s, SPAN("']"));
}

static void check_field_ref(struct check *c, const struct path *p, const yyjson_val *ref)
{
    struct span path = json_get_str(ref, "fieldPath");
    if (path.n && !known_field_path(path)) {
        cause_invalid(c, AT_FIELD(p, "fieldPath"), shown_text(c->a, path),
                      arena_printf(c->a,
                                   "error converting fieldPath: field label not supported: %.*s",
                                   SPAN_ARG(path))
                          .p);
    }
}

static void check_key_ref(struct check *c, const struct path *p, const yyjson_val *ref)
{
    if (!ref) {
        return;
    }
    if (json_get_str(ref, "name").n == 0) {
        cause_required(c, AT_FIELD(p, "name"), NULL);
    }
    if (json_get_str(ref, "key").n) {
        format_check(c, AT_FIELD(p, "key"), "config-key", json_get(ref, "key"));
    }
}

static void check_env(struct check *c, const struct path *p, const yyjson_val *env)
{
    static const char *const sources[] = {"fieldRef", "resourceFieldRef", "configMapKeyRef",
                                          "secretKeyRef", "fileKeyRef"};
    const yyjson_val *from = json_get(env, "valueFrom");
    if (!from) {
        return;
    }
    size_t found = 0;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        found += json_get(from, sources[i]) != NULL;
    }
    const struct path *here = AT_FIELD(p, "valueFrom");
    if (json_get_str(env, "value").n) {
        cause_invalid(c, here, SPAN("\"\""), "may not be specified when `value` is not empty");
    } else if (found == 0) {
        cause_invalid(c, here, SPAN("\"\""),
                      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
                      "`secretKeyRef` or `fileKeyRef`");
    } else if (found > 1) {
        cause_invalid(c, here, SPAN("\"\""),
                      "may not have more than one field specified at a time");
    }
    check_field_ref(c, AT_FIELD(here, "fieldRef"), json_get(from, "fieldRef"));
    check_key_ref(c, AT_FIELD(here, "configMapKeyRef"), json_get(from, "configMapKeyRef"));
    check_key_ref(c, AT_FIELD(here, "secretKeyRef"), json_get(from, "secretKeyRef"));
}

static void check_env_from(struct check *c, const struct path *p, const yyjson_val *from)
{
    bool map = json_get(from, "configMapRef"), secret = json_get(from, "secretRef");
    if (map && secret) {
        cause_invalid(c, p, SPAN("\"\""), "may not have more than one field specified at a time");
    } else if (!map && !secret) {
        cause_invalid(c, p, SPAN("\"\""), "must specify one of: `configMapRef` or `secretRef`");
    }
    const char *which = map ? "configMapRef" : "secretRef";
    if ((map || secret) && json_get_str(json_get(from, which), "name").n == 0) {
        cause_required(c, AT_FIELD(AT_FIELD(p, which), "name"), NULL);
    }
}

/* ---- probes and hooks ---- */

static void check_handler(struct check *c, const struct path *p, const yyjson_val *h)
{
    static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};
    check_one_source(c, p, h, handlers, sizeof handlers / sizeof *handlers, "handler");
    static const char *const with_port[] = {"httpGet", "tcpSocket", "grpc"};
    for (size_t i = 0; i < sizeof with_port / sizeof *with_port; i++) {
        const yyjson_val *one = json_get(h, with_port[i]);
        if (one) {
            check_port(c, AT_FIELD(AT_FIELD(p, with_port[i]), "port"), json_get(one, "port"));
        }
    }
}

static void check_probe(struct check *c, const struct path *p, const yyjson_val *probe,
                        bool once_is_enough)
{
    if (!probe) {
        return;
    }
    check_handler(c, p, probe);
    const yyjson_val *success = json_get(probe, "successThreshold");
    if (once_is_enough && json_int(success, 1) != 1) {
        cause_invalid(c, AT_FIELD(p, "successThreshold"), shown(c->a, success), "must be 1");
    }
    const yyjson_val *grace = json_get(probe, "terminationGracePeriodSeconds");
    if (grace && json_int(grace, 0) <= 0) {
        cause_invalid(c, AT_FIELD(p, "terminationGracePeriodSeconds"), shown(c->a, grace),
                      "must be greater than 0");
    }
}

static void check_lifecycle(struct check *c, const struct path *p, const yyjson_val *lifecycle)
{
    static const char *const members[] = {"postStart", "preStop"};
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *h = json_get(lifecycle, members[i]);
        if (h) {
            check_handler(c, AT_FIELD(p, members[i]), h);
        }
    }
}

/* ---- mounts and ports ---- */

static bool volume_exists(const struct pod *pod, struct span name)
{
    JSON_EACH(it, json_get(pod->spec, "volumes"))
    {
        if (span_eq(name, json_get_str(it.val, "name"))) {
            return true;
        }
    }
    JSON_EACH(it, pod->extra_volumes)
    {
        if (span_eq(name, json_get_str(json_get(it.val, "metadata"), "name"))) {
            return true;
        }
    }
    return false;
}

/* Is the member `key` of element i the same as in an earlier element? */
static bool repeats(const yyjson_val *list, size_t i, const char *key)
{
    struct span mine = json_get_str(yyjson_arr_get((yyjson_val *)list, i), key);
    size_t k = 0;
    JSON_EACH(it, list)
    {
        if (k++ == i) {
            return false;
        }
        if (mine.n && span_eq(mine, json_get_str(it.val, key))) {
            return true;
        }
    }
    return false;
}

static void check_sub_path(struct check *c, const struct path *p, const yyjson_val *mount)
{
    static const char *const members[] = {"subPath", "subPathExpr"};
    for (size_t i = 0; i < 2; i++) {
        if (json_get_str(mount, members[i]).n) {
            format_check(c, AT_FIELD(p, members[i]), "relative-path", json_get(mount, members[i]));
        }
    }
    if (json_get_str(mount, "subPath").n && json_get_str(mount, "subPathExpr").n) {
        cause_invalid(c, AT_FIELD(p, "subPathExpr"), shown(c->a, json_get(mount, "subPathExpr")),
                      "subPathExpr and subPath are mutually exclusive");
    }
}

static void check_mounts(struct check *c, const struct path *p, const yyjson_val *mounts,
                         const struct pod *pod)
{
    size_t i = 0;
    JSON_EACH(it, mounts)
    {
        const struct path *here = AT_INDEX(p, i);
        struct span name = json_get_str(it.val, "name");
        if (name.n && !volume_exists(pod, name)) {
            cause_not_found(c, AT_FIELD(here, "name"), shown_text(c->a, name));
        }
        if (repeats(mounts, i, "mountPath")) {
            cause_invalid(c, AT_FIELD(here, "mountPath"),
                          shown(c->a, json_get(it.val, "mountPath")), "must be unique");
        }
        check_sub_path(c, here, it.val);
        i++;
    }
}

static void check_devices(struct check *c, const struct path *p, const yyjson_val *devices,
                          const struct pod *pod)
{
    size_t i = 0;
    JSON_EACH(it, devices)
    {
        struct span name = json_get_str(it.val, "name");
        if (name.n && !volume_exists(pod, name)) {
            cause_not_found(c, AT_FIELD(AT_INDEX(p, i), "name"), shown_text(c->a, name));
        }
        i++;
    }
}

static void check_ports(struct check *c, const struct path *p, const yyjson_val *ports,
                        bool host_network)
{
    size_t i = 0;
    JSON_EACH(it, ports)
    {
        const struct path *here = AT_INDEX(p, i);
        if (repeats(ports, i, "name")) {
            cause_duplicate(c, AT_FIELD(here, "name"), shown(c->a, json_get(it.val, "name")));
        }
        int64_t host = json_get_int(it.val, "hostPort", 0);
        if (host_network && host && host != json_get_int(it.val, "containerPort", 0)) {
            cause_invalid(c, AT_FIELD(here, "containerPort"),
                          shown(c->a, json_get(it.val, "containerPort")),
                          "must match `hostPort` when `hostNetwork` is true");
        }
        i++;
    }
}

/* ---- the container ---- */

static void check_container(struct check *c, const struct path *p, const yyjson_val *v,
                            const struct pod *pod)
{
    struct span image = json_get_str(v, "image");
    if (image.n != span_trim(image).n) {
        cause_invalid(c, AT_FIELD(p, "image"), shown_text(c->a, image),
                      "must not have leading or trailing whitespace");
    }
    check_ports(c, AT_FIELD(p, "ports"), json_get(v, "ports"),
                json_get_bool(pod->spec, "hostNetwork", false));
    size_t i = 0;
    JSON_EACH(it, json_get(v, "env"))
    {
        check_env(c, AT_INDEX(AT_FIELD(p, "env"), i), it.val);
        i++;
    }
    i = 0;
    JSON_EACH(it, json_get(v, "envFrom"))
    {
        check_env_from(c, AT_INDEX(AT_FIELD(p, "envFrom"), i), it.val);
        i++;
    }
    check_mounts(c, AT_FIELD(p, "volumeMounts"), json_get(v, "volumeMounts"), pod);
    check_devices(c, AT_FIELD(p, "volumeDevices"), json_get(v, "volumeDevices"), pod);
    check_probe(c, AT_FIELD(p, "livenessProbe"), json_get(v, "livenessProbe"), true);
    check_probe(c, AT_FIELD(p, "readinessProbe"), json_get(v, "readinessProbe"), false);
    check_probe(c, AT_FIELD(p, "startupProbe"), json_get(v, "startupProbe"), true);
    check_lifecycle(c, AT_FIELD(p, "lifecycle"), json_get(v, "lifecycle"));
    check_resources(c, AT_FIELD(p, "resources"), json_get(v, "resources"));
    check_resize_policy(c, AT_FIELD(p, "resizePolicy"), json_get(v, "resizePolicy"), pod->spec);
}

static bool has_name(const yyjson_val *list, struct span name)
{
    return json_find(list, "name", name) != NULL;
}

/* Only a container of the init list that stays may be asked how it is, or told about its life. */
static void check_restart(struct check *c, const struct path *p, const yyjson_val *v, bool init)
{
    static const char *const of_running[] = {"livenessProbe", "readinessProbe", "startupProbe",
                                             "lifecycle"};
    struct span policy = json_get_str(v, "restartPolicy");
    if (!init && policy.n) {
        cause_forbidden(c, AT_FIELD(p, "restartPolicy"), "may not be set for non-init containers");
    } else if (policy.n && !span_eq(policy, SPAN("Always"))) {
        cause_not_supported(c, AT_FIELD(p, "restartPolicy"), shown_text(c->a, policy), "Always");
    }
    for (size_t i = 0; i < 4 && init && policy.n == 0; i++) {
        if (json_get(v, of_running[i])) {
            cause_forbidden(c, AT_FIELD(p, of_running[i]),
                            "may not be set for init containers without restartPolicy=Always");
        }
    }
}

/* It comes and goes beside the pod: nothing that the pod's life hangs on may be said of it. */
static void check_extra(struct check *c, const struct path *p, const yyjson_val *v,
                        const struct pod *pod)
{
    static const char *const never[] = {"ports",          "resources",          "resizePolicy",
                                        "restartPolicy",  "restartPolicyRules", "livenessProbe",
                                        "readinessProbe", "startupProbe",       "lifecycle"};
    static const char *const paths[] = {"subPath", "subPathExpr"};
    struct span target = json_get_str(v, "targetContainerName");
    check_container(c, p, v, pod);
    if (target.n && !has_name(json_get(pod->spec, "containers"), target) &&
        !has_name(json_get(pod->spec, "initContainers"), target)) {
        cause_not_found(c, AT_FIELD(p, "targetContainerName"), shown_text(c->a, target));
    }
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        const yyjson_val *member = json_get(v, never[i]);
        if (member && (!yyjson_is_ctn((yyjson_val *)(uintptr_t)member) || json_len(member) > 0)) {
            cause_forbidden(c, AT_FIELD(p, never[i]), "cannot be set for an Ephemeral Container");
        }
    }
    size_t i = 0;
    JSON_EACH(it, json_get(v, "volumeMounts"))
    {
        for (size_t k = 0; k < 2; k++) {
            if (json_get_str(it.val, paths[k]).n) {
                cause_forbidden(c, AT_FIELD(AT_INDEX(AT_FIELD(p, "volumeMounts"), i), paths[k]),
                                "cannot be set for an Ephemeral Container");
            }
        }
        i++;
    }
}

static void check_extras(struct check *c, const struct path *p, const struct pod *pod)
{
    const yyjson_val *list = json_get(pod->spec, "ephemeralContainers");
    size_t i = 0;
    JSON_EACH(it, list)
    {
        const struct path *here = AT_INDEX(AT_FIELD(p, "ephemeralContainers"), i);
        struct span name = json_get_str(it.val, "name");
        if (name.n &&
            (repeats(list, i, "name") || has_name(json_get(pod->spec, "containers"), name) ||
             has_name(json_get(pod->spec, "initContainers"), name))) {
            cause_duplicate(c, AT_FIELD(here, "name"), shown_text(c->a, name));
        }
        check_extra(c, here, it.val, pod);
        i++;
    }
}

void check_containers(struct check *c, const struct path *p, const yyjson_val *spec,
                      const yyjson_val *extra_volumes)
{
    assert(c);
    static const char *const lists[] = {"containers", "initContainers"};
    const struct pod pod = {spec, extra_volumes};
    for (size_t l = 0; l < 2; l++) {
        const yyjson_val *list = json_get(spec, lists[l]);
        size_t i = 0;
        JSON_EACH(it, list)
        {
            const struct path *here = AT_INDEX(AT_FIELD(p, lists[l]), i);
            struct span name = json_get_str(it.val, "name");
            if (repeats(list, i, "name") ||
                (l == 1 && name.n && has_name(json_get(spec, lists[0]), name))) {
                cause_duplicate(c, AT_FIELD(here, "name"), shown_text(c->a, name));
            }
            check_container(c, here, it.val, &pod);
            check_restart(c, here, it.val, l == 1);
            i++;
        }
    }
    check_extras(c, p, &pod);
    check_resource_count(c, p, spec);
}
