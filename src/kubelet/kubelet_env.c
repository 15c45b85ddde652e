/* kubelet/kubelet_env.c: a container's environment, arguments, directory and user, from the spec,
 * the objects it refers to, the services of its namespace and the image. */
#include "base/check.h"
#include "base/strbuf.h"
#include "client/client_body.h"
#include "codec/base64.h"
#include "kubelet/kubelet_dns.h"
#include "kubelet/kubelet_env_priv.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/kubelet_volumes_priv.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* An ordered set of NAME -> value; a later value replaces, the place stays. */
struct set {
    struct arena *a;
    struct map map; /* entry by name */
    VEC(struct entry *) order;
};
struct entry {
    struct span name, value;
};

static void set_put(struct set *s, struct span name, struct span value)
{
    if (name.n == 0 || span_find(name, '=') < name.n) {
        return; /* cannot be a variable */
    }
    struct entry *e = map_get(&s->map, name);
    if (!e) {
        e = ARENA_NEW(s->a, struct entry);
        e->name = arena_dup(s->a, name);
        map_put(&s->map, e->name, e);
        VEC_PUSH(&s->order, e);
    }
    e->value = value;
}

static void set_done(struct set *s)
{
    map_done(&s->map);
    VEC_DONE(&s->order);
}

static bool set_get(const struct set *s, struct span name, struct span *ret)
{
    const struct entry *e = map_get(&s->map, name);
    if (e) {
        *ret = e->value;
    }
    return e != NULL;
}

/* ---- $(NAME) ---- */

typedef bool lookup_fn(const void *data, struct span name, struct span *ret);

static struct span expand(struct arena *a, struct span text, lookup_fn *lookup, const void *data)
{
    if (span_find(text, '$') == text.n) {
        return text;
    }
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '$' || i + 1 == text.n) {
            strbuf_putc(&b, text.p[i]);
            continue;
        }
        char next = text.p[i + 1];
        struct span rest = span_from(text, i + 2);
        size_t close = span_find(rest, ')');
        if (next == '$') {
            strbuf_putc(&b, '$');
            i++;
        } else if (next == '(' && close < rest.n) {
            struct span name = span_first(rest, close), value = SPAN_NULL;
            if (lookup(data, name, &value)) {
                strbuf_put(&b, value);
            } else {
                strbuf_puts(&b, "$(");
                strbuf_put(&b, name);
                strbuf_putc(&b, ')');
            }
            i += 2 + close;
        } else {
            strbuf_putc(&b, '$');
        }
    }
    return arena_dup(a, strbuf_span(&b));
}

struct list_view {
    const struct span *env;
    size_t n;
    struct span *missing;
};

static bool list_lookup(const void *data, struct span name, struct span *ret)
{
    const struct list_view *l = data;
    for (size_t i = l->n; i > 0; i--) {
        struct span e = l->env[i - 1];
        size_t eq = span_find(e, '=');
        if (span_eq(span_first(e, eq), name)) {
            *ret = span_from(e, eq + 1);
            return true;
        }
    }
    *l->missing = name;
    return false;
}

struct span kubelet_env_expand(struct arena *a, struct span text, const struct span *env, size_t n,
                               struct span *ret_missing)
{
    assert(a);
    assert(env || n == 0);
    struct span ignored;
    struct list_view l = {env, n, ret_missing ? ret_missing : &ignored};
    *l.missing = SPAN_NULL;
    return expand(a, text, list_lookup, &l);
}

struct two {
    const struct set *own, *services;
};

static bool two_lookup(const void *data, struct span name, struct span *ret)
{
    const struct two *t = data;
    return set_get(t->own, name, ret) || set_get(t->services, name, ret);
}

/* ---- services ---- */

static struct span env_name(struct arena *a, struct span s)
{
    char *out = arena_alloc_raw(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        out[i] = ch == '-' || ch == '.' ? '_' : ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
    }
    return span_of(out, s.n);
}

struct service_pass {
    struct set *set;
    struct span ns;
    bool links; /* enableServiceLinks: all of the pod's namespace, else only default/kubernetes */
};

static void put_service(struct set *s, struct object *o, struct span ip)
{
    struct arena *a = s->a;
    struct span name = env_name(a, object_name(o));
    const yyjson_val *ports = json_get(client_spec(o), "ports");
    bool first = true;
    JSON_EACH(it, ports)
    {
        int64_t port = json_get_int(it.val, "port", 0);
        char digits[SPAN_NUMBER_BYTES];
        struct span protocol = json_get_str(it.val, "protocol");
        protocol = protocol.n ? protocol : SPAN("TCP");
        struct span value = arena_dup(a, span_i64(digits, port));
        struct span port_name = json_get_str(it.val, "name");
        char lower[8] = {0};
        for (size_t i = 0; i < protocol.n && i < sizeof lower - 1; i++) {
            lower[i] = (char)(protocol.p[i] | 0x20);
        }
        struct span url = ARENA_JOIN(a, span_cstr(lower), SPAN("://"), ip, SPAN(":"), value);
        if (first) {
            set_put(s, ARENA_JOIN(a, name, SPAN("_SERVICE_HOST")), ip);
            set_put(s, ARENA_JOIN(a, name, SPAN("_SERVICE_PORT")), value);
            set_put(s, ARENA_JOIN(a, name, SPAN("_PORT")), url);
        }
        if (port_name.n > 0) {
            set_put(s, ARENA_JOIN(a, name, SPAN("_SERVICE_PORT_"), env_name(a, port_name)), value);
        }
        struct span base = ARENA_JOIN(a, name, SPAN("_PORT_"), value, SPAN("_"), protocol);
        set_put(s, base, url);
        set_put(s, ARENA_JOIN(a, base, SPAN("_PROTO")), arena_dup(a, span_cstr(lower)));
        set_put(s, ARENA_JOIN(a, base, SPAN("_PORT")), value);
        set_put(s, ARENA_JOIN(a, base, SPAN("_ADDR")), ip);
        first = false;
    }
}

static bool each_service(void *data, struct object *o)
{
    struct service_pass *p = data;
    struct span ip = json_get_str(client_spec(o), "clusterIP");
    bool master =
        span_eq_cstr(object_name(o), "kubernetes") && span_eq_cstr(object_namespace(o), "default");
    bool wanted = master || (p->links && span_eq(object_namespace(o), p->ns));
    if (wanted && ip.n > 0 && !span_eq_cstr(ip, "None")) {
        put_service(p->set, o, arena_dup(p->set->a, ip));
    }
    return true;
}

/* ---- values from elsewhere ---- */

static struct span map_text(struct arena *a, const yyjson_val *map)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    JSON_EACH(it, map)
    {
        strbuf_printf(&b, "%s%.*s=%.*s", b.n ? "\n" : "", SPAN_ARG(json_str(it.key)),
                      SPAN_ARG(json_write(a, it.val)));
    }
    return arena_dup(a, strbuf_span(&b));
}

/* metadata.labels['KEY'] */
static bool subscript(const yyjson_val *meta, struct span path, const char *field, struct span *ret)
{
    struct span prefix = span_cstr(field);
    if (!span_starts(path, prefix)) {
        return false;
    }
    struct span key = span_from(path, prefix.n);
    if (key.n < 4 || !span_starts(key, SPAN("['")) || !span_ends(key, SPAN("']"))) {
        return false;
    }
    key = span_of(key.p + 2, key.n - 4);
    *ret = SPAN_NULL;
    JSON_EACH(it, json_get(meta, strrchr(field, '.') + 1))
    {
        if (span_eq(json_str(it.key), key)) {
            *ret = json_str(it.val);
        }
    }
    return true;
}

bool kubelet_field_value(struct kubelet_pod *pod, struct arena *a, struct span path,
                         struct span *ret)
{
    assert(ret);
    assert(pod->object);
    const yyjson_val *root = object_root(pod->object);
    const yyjson_val *meta = json_get(root, "metadata"), *spec = json_get(root, "spec");
    struct span ip = pod->view.host_network ? pod->view.host_ip : pod->view.pod_ip;
    if (span_eq_cstr(path, "metadata.name")) {
        *ret = pod->name;
    } else if (span_eq_cstr(path, "metadata.namespace")) {
        *ret = pod->ns;
    } else if (span_eq_cstr(path, "metadata.uid")) {
        *ret = pod->uid;
    } else if (span_eq_cstr(path, "spec.nodeName")) {
        *ret = json_get_str(spec, "nodeName");
    } else if (span_eq_cstr(path, "spec.serviceAccountName")) {
        *ret = json_get_str(spec, "serviceAccountName");
    } else if (span_eq_cstr(path, "status.hostIP") || span_eq_cstr(path, "status.hostIPs")) {
        *ret = pod->view.host_ip;
    } else if (span_eq_cstr(path, "status.podIP") || span_eq_cstr(path, "status.podIPs")) {
        *ret = ip;
    } else if (span_eq_cstr(path, "metadata.labels")) {
        *ret = map_text(a, json_get(meta, "labels"));
    } else if (span_eq_cstr(path, "metadata.annotations")) {
        *ret = map_text(a, json_get(meta, "annotations"));
    } else {
        return subscript(meta, path, "metadata.labels", ret) ||
               subscript(meta, path, "metadata.annotations", ret);
    }
    return true;
}

struct build {
    struct kubelet_pod *pod;
    const yyjson_val *container;
    struct arena *a;
    struct set own, services;
    struct kubelet_env_result *r;
};

static void cannot(struct build *b, struct span message)
{
    if (b->r->reason.n == 0) {
        b->r->reason = SPAN("CreateContainerConfigError");
        b->r->message = message;
    }
}

/* One key of a ConfigMap or Secret. True: *ret is the value. */
static bool key_value(struct build *b, const yyjson_val *ref, const char *kind, struct span *ret)
{
    struct kubelet_pod *pod = b->pod;
    bool secret = strcmp(kind, "Secret") == 0, optional = json_get_bool(ref, "optional", false);
    struct span name = json_get_str(ref, "name"), key = json_get_str(ref, "key");
    bool pending = pod->refs_pending;
    pod->refs_pending = false;
    struct object *o = kubelet_ref(pod, kind, pod->ns, name);
    bool known = !pod->refs_pending;
    pod->refs_pending |= pending;
    if (!o) {
        if (!optional && known) {
            cannot(b, arena_printf(b->a, "%s \"%.*s\" not found", secret ? "secret" : "configmap",
                                   SPAN_ARG(name)));
        }
        return false;
    }
    JSON_EACH(it, json_get(object_root(o), "data"))
    {
        if (span_eq(json_str(it.key), key)) {
            *ret = json_str(it.val);
            return !secret || base64_decode(b->a, *ret, ret);
        }
    }
    if (!optional) {
        cannot(b, arena_printf(b->a, "couldn't find key %.*s in %s %.*s/%.*s", SPAN_ARG(key), kind,
                               SPAN_ARG(pod->ns), SPAN_ARG(name)));
    }
    return false;
}

bool kubelet_resource_value(struct kubelet_pod *pod, const yyjson_val *container,
                            const yyjson_val *ref, struct arena *a, struct span *ret)
{
    assert(a);
    assert(ret);
    static const char *const lists[] = {"initContainers", "containers"};
    struct span name = json_get_str(ref, "containerName"), which = json_get_str(ref, "resource");
    const yyjson_val *c = container;
    for (size_t l = 0; l < 2; l++) {
        JSON_EACH(it, json_get(kubelet_pod_spec(pod), lists[l]))
        {
            if (name.n > 0 && span_eq(json_get_str(it.val, "name"), name)) {
                c = it.val;
            }
        }
    }
    struct span list = span_cut(&which, '.');
    const char *key = arena_cstr(a, which);
    const yyjson_val *resources = json_get(c, "resources");
    struct span text = json_get_str(json_get(resources, arena_cstr(a, list)), key);
    int64_t value = 0, divisor = 0;
    bool limit = span_eq_cstr(list, "limits");
    if (!c || (!limit && !span_eq_cstr(list, "requests"))) {
        return false;
    }
    if (!kubelet_quantity_milli(text, &value)) {
        int64_t all = limit ? kubelet_node_capacity(pod->k, key) : 0;
        value = strcmp(key, "cpu") == 0 ? all : all * 1000;
    }
    if (!kubelet_quantity_milli(json_get_str(ref, "divisor"), &divisor) || divisor == 0) {
        divisor = 1000;
    }
    *ret = arena_printf(a, "%lld", (long long)(value > 0 ? (value - 1) / divisor + 1 : 0));
    return true;
}

static bool resource_value(struct build *b, const yyjson_val *ref, struct span *ret)
{
    bool known = kubelet_resource_value(b->pod, b->container, ref, b->a, ret);
    if (!known) {
        cannot(b, arena_printf(b->a, "unsupported container resource: %.*s",
                               SPAN_ARG(json_get_str(ref, "resource"))));
    }
    return known;
}

static bool value_from(struct build *b, const yyjson_val *from, struct span *ret)
{
    const yyjson_val *ref = NULL;
    if ((ref = json_get(from, "fieldRef")) != NULL) {
        struct span path = json_get_str(ref, "fieldPath");
        if (!kubelet_field_value(b->pod, b->a, path, ret)) {
            cannot(b, arena_printf(b->a, "unsupported fieldPath: %.*s", SPAN_ARG(path)));
            return false;
        }
        return true;
    }
    if ((ref = json_get(from, "configMapKeyRef")) != NULL) {
        return key_value(b, ref, "ConfigMap", ret);
    }
    if ((ref = json_get(from, "secretKeyRef")) != NULL) {
        return key_value(b, ref, "Secret", ret);
    }
    if ((ref = json_get(from, "resourceFieldRef")) != NULL) {
        return resource_value(b, ref, ret);
    }
    cannot(b, SPAN("this kind of valueFrom is not supported by Berth yet"));
    return false;
}

static void put_all(struct build *b, const yyjson_val *source, struct span prefix, const char *kind)
{
    struct kubelet_pod *pod = b->pod;
    bool secret = strcmp(kind, "Secret") == 0;
    struct span name = json_get_str(source, "name");
    bool pending = pod->refs_pending;
    pod->refs_pending = false;
    struct object *o = kubelet_ref(pod, kind, pod->ns, name);
    bool known = !pod->refs_pending;
    pod->refs_pending |= pending;
    if (!o && known && !json_get_bool(source, "optional", false)) {
        cannot(b, arena_printf(b->a, "%s \"%.*s\" not found", secret ? "secret" : "configmap",
                               SPAN_ARG(name)));
    }
    JSON_EACH(it, o ? json_get(object_root(o), "data") : NULL)
    {
        struct span value = json_str(it.val);
        if (!secret || base64_decode(b->a, value, &value)) {
            set_put(&b->own,
                    arena_printf(b->a, "%.*s%.*s", SPAN_ARG(prefix), SPAN_ARG(json_str(it.key))),
                    value);
        }
    }
}

static void put_env(struct build *b)
{
    JSON_EACH(it, json_get(b->container, "envFrom"))
    {
        struct span prefix = json_get_str(it.val, "prefix");
        const yyjson_val *s = NULL;
        if ((s = json_get(it.val, "configMapRef")) != NULL) {
            put_all(b, s, prefix, "ConfigMap");
        } else if ((s = json_get(it.val, "secretRef")) != NULL) {
            put_all(b, s, prefix, "Secret");
        }
    }
    struct set earlier = {.a = b->a}; /* of `env` alone: what $(NAME) may name */
    struct two look = {&earlier, &b->services};
    JSON_EACH(it, json_get(b->container, "env"))
    {
        struct span name = json_get_str(it.val, "name"), value = SPAN_NULL;
        const yyjson_val *from = json_get(it.val, "valueFrom");
        if (!from) {
            value = expand(b->a, json_get_str(it.val, "value"), two_lookup, &look);
        } else if (!value_from(b, from, &value)) {
            continue;
        }
        set_put(&earlier, name, value);
        set_put(&b->own, name, value);
    }
    set_done(&earlier);
}

/* ---- the whole ---- */

/* Image, then services, then the container's own; each later one wins. */
static void finish_env(struct build *b, const struct image_config *image)
{
    struct arena *a = b->a;
    struct set all = {.a = a};
    for (size_t i = 0; image && i < image->env_count; i++) {
        struct span rest = image->env[i];
        struct span name = span_cut(&rest, '=');
        set_put(&all, name, rest);
    }
    struct span ignored = SPAN_NULL;
    if (image && !set_get(&all, SPAN("PATH"), &ignored)) {
        set_put(&all, SPAN("PATH"), SPAN(PATH_DEFAULT));
    }
    if (image) {
        set_put(&all, SPAN("HOSTNAME"),
                kubelet_dns_hostname(a, object_root(b->pod->object),
                                     b->pod->k->options.cluster_domain));
        if (json_get_bool(b->container, "tty", false)) {
            set_put(&all, SPAN("TERM"), SPAN("xterm"));
        }
    }
    for (size_t i = 0; i < b->services.order.n; i++) {
        set_put(&all, b->services.order.at[i]->name, b->services.order.at[i]->value);
    }
    for (size_t i = 0; i < b->own.order.n; i++) {
        set_put(&all, b->own.order.at[i]->name, b->own.order.at[i]->value);
    }
    b->r->env = ARENA_ARRAY(a, struct span, all.order.n + 1);
    for (size_t i = 0; i < all.order.n; i++) {
        const struct entry *e = all.order.at[i];
        b->r->env[b->r->env_count++] = ARENA_JOIN(a, e->name, SPAN("="), e->value);
    }
    set_done(&all);
}

static void put_args(struct build *b, const struct image_config *image)
{
    struct kubelet_env_result *r = b->r;
    const yyjson_val *command = json_get(b->container, "command");
    const yyjson_val *args = json_get(b->container, "args");
    bool own = json_len(command) > 0;
    size_t max = json_len(command) + json_len(args) + image->entrypoint_count + image->cmd_count;
    r->args = ARENA_ARRAY(b->a, struct span, max + 1);
    JSON_EACH(it, command)
    {
        r->args[r->arg_count++] =
            kubelet_env_expand(b->a, json_str(it.val), r->env, r->env_count, NULL);
    }
    for (size_t i = 0; !own && i < image->entrypoint_count; i++) {
        r->args[r->arg_count++] = image->entrypoint[i];
    }
    JSON_EACH(it, args)
    {
        r->args[r->arg_count++] =
            kubelet_env_expand(b->a, json_str(it.val), r->env, r->env_count, NULL);
    }
    for (size_t i = 0; !own && json_len(args) == 0 && i < image->cmd_count; i++) {
        r->args[r->arg_count++] = image->cmd[i];
    }
    assert(r->arg_count <= max);
}

static void put_user(struct build *b, const struct image_config *image)
{
    const yyjson_val *mine = json_get(b->container, "securityContext");
    const yyjson_val *pods = json_get(kubelet_pod_spec(b->pod), "securityContext");
    int64_t uid = json_get_int(mine, "runAsUser", json_get_int(pods, "runAsUser", -1));
    int64_t gid = json_get_int(mine, "runAsGroup", json_get_int(pods, "runAsGroup", -1));
    bool non_root = json_get_bool(mine, "runAsNonRoot", json_get_bool(pods, "runAsNonRoot", false));
    b->r->user = image->user;
    if (uid >= 0) {
        b->r->user = gid >= 0 ? arena_printf(b->a, "%lld:%lld", (long long)uid, (long long)gid)
                              : arena_printf(b->a, "%lld", (long long)uid);
    } else if (gid >= 0) {
        struct span user = span_first(image->user, span_find(image->user, ':'));
        b->r->user =
            arena_printf(b->a, "%.*s:%lld", SPAN_ARG(user.n ? user : SPAN("0")), (long long)gid);
    }
    struct span user = span_first(b->r->user, span_find(b->r->user, ':'));
    int64_t number = 0;
    if (!non_root) {
        return;
    }
    struct span who = arena_printf(
        b->a, "(pod: \"%.*s_%.*s(%.*s)\", container: %.*s)", SPAN_ARG(b->pod->name),
        SPAN_ARG(b->pod->ns), SPAN_ARG(b->pod->uid), SPAN_ARG(json_get_str(b->container, "name")));
    if (uid == 0) {
        cannot(b, arena_printf(b->a, "container's runAsUser breaks non-root policy %.*s",
                               SPAN_ARG(who)));
    } else if (user.n == 0 || span_eq_cstr(user, "0") || span_eq_cstr(user, "root")) {
        cannot(b, arena_printf(b->a, "container has runAsNonRoot and image will run as root %.*s",
                               SPAN_ARG(who)));
    } else if (!span_to_i64(user, &number)) {
        cannot(b, arena_printf(b->a,
                               "container has runAsNonRoot and image has non-numeric user (%.*s), "
                               "cannot verify user is non-root %.*s",
                               SPAN_ARG(user), SPAN_ARG(who)));
    }
}

void kubelet_env_check_user(struct kubelet_pod *pod, const yyjson_val *container,
                            const struct image_config *image, struct arena *a,
                            struct kubelet_env_result *ret)
{
    assert(image);
    assert(ret);
    struct build b = {.pod = pod, .container = container, .a = a, .r = ret};
    put_user(&b, image);
}

/* A path below a volume that is made of variables must be one, and stay in the volume. */
static void check_sub_paths(struct build *b)
{
    JSON_EACH(it, json_get(b->container, "volumeMounts"))
    {
        struct span expr = json_get_str(it.val, "subPathExpr"), missing;
        struct span path = kubelet_env_expand(b->a, expr, b->r->env, b->r->env_count, &missing),
                    rest = path;
        if (missing.n > 0) {
            cannot(b, arena_printf(b->a, "subPathExpr \"%.*s\": missing value for \"%.*s\"",
                                   SPAN_ARG(expr), SPAN_ARG(missing)));
        } else if (path.n > 0 && path.p[0] == '/') {
            cannot(b, arena_printf(b->a, "subPath \"%.*s\" must not be an absolute path",
                                   SPAN_ARG(path)));
        }
        while (expr.n > 0 && rest.n > 0) {
            if (span_eq_cstr(span_cut(&rest, '/'), "..")) {
                cannot(b, arena_printf(b->a, "subPath \"%.*s\" must not contain \"..\"",
                                       SPAN_ARG(path)));
            }
        }
    }
}

static bool has_expression(const yyjson_val *container)
{
    JSON_EACH(it, json_get(container, "volumeMounts"))
    {
        if (json_get_str(it.val, "subPathExpr").n > 0) {
            return true;
        }
    }
    return false;
}

void kubelet_env_build(struct kubelet_pod *pod, const yyjson_val *container,
                       const struct image_config *image, struct arena *a,
                       struct kubelet_env_result *ret)
{
    assert(a);
    assert(container);
    assert(ret);
    *ret = (struct kubelet_env_result){0};
    struct build b = {.pod = pod, .container = container, .a = a, .r = ret};
    b.own.a = b.services.a = a;
    bool with_paths = has_expression(container);
    if (image || with_paths) {
        struct service_pass pass = {
            .set = &b.services,
            .ns = pod->ns,
            .links = json_get_bool(kubelet_pod_spec(pod), "enableServiceLinks", true)};
        informer_each(pod->k->services, each_service, &pass);
    }
    put_env(&b);
    finish_env(&b, image);
    if (with_paths) {
        check_sub_paths(&b);
    }
    if (image) {
        put_args(&b, image);
        put_user(&b, image);
        ret->cwd = json_get_str(container, "workingDir");
        if (ret->cwd.n == 0) {
            ret->cwd = image->workdir.n ? image->workdir : SPAN("/");
        }
    }
    set_done(&b.own);
    set_done(&b.services);
}
