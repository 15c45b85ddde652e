/* proxy sub-resources: [SCHEME:]NAME[:PORT] of a pod or a service to an address; what there is of a
 * node's own API. */
#include "base/check.h"
#include "codec/json.h"
#include "front/front_priv.h"
#include "remote/remote_proxy.h"
#include "schema/kinds.h"
#include "watch/watch.h"

struct target_name {
    struct span scheme, name, port;
};

static int split_name(struct front *f, struct target_name *ret)
{
    struct span rest = f->op.name, part[3];
    size_t n = 0;
    bool more = true;
    while (more && n < 3) {
        more = span_find(rest, ':') < rest.n;
        part[n++] = span_cut(&rest, ':');
    }
    *ret = (struct target_name){.name = part[n == 3]};
    if (n == 3) {
        ret->scheme = part[0];
    }
    if (n > 1) {
        ret->port = part[n - 1];
    }
    bool known = ret->scheme.n == 0 || span_eq_cstr(ret->scheme, "http") ||
                 span_eq_cstr(ret->scheme, "https");
    if (more || ret->name.n == 0 || !known) {
        return api_op_err(&f->op, ERR_BAD_REQUEST,
                          "invalid %s request \"%.*s\": the form is [SCHEME:]NAME[:PORT]",
                          f->op.kind->singular, SPAN_ARG(f->op.name));
    }
    if (span_eq_cstr(ret->scheme, "https")) {
        return api_op_err(
            &f->op, ERR_BAD_REQUEST,
            "\"%.*s\": this server proxies to http alone; use kubectl port-forward for "
            "https",
            SPAN_ARG(f->op.name));
    }
    return 0;
}

/* A number, or the name of a container's port; the first port, or 80, when none is asked for. */
static int pod_port(struct front *f, const yyjson_val *pod, struct span asked, int64_t *ret)
{
    *ret = asked.n ? 0 : 80;
    if (asked.n && span_to_i64(asked, ret)) {
        return 0;
    }
    JSON_EACH(c, json_path(pod, "spec", "containers", NULL))
    {
        JSON_EACH(p, json_get(c.val, "ports"))
        {
            if (asked.n == 0 || span_eq(json_get_str(p.val, "name"), asked)) {
                *ret = json_get_int(p.val, "containerPort", 0);
                return 0;
            }
        }
    }
    return asked.n == 0
               ? 0
               : api_op_err(&f->op, ERR_BAD_REQUEST, "pod \"%.*s\" has no port named \"%.*s\"",
                            SPAN_ARG(f->op.name), SPAN_ARG(asked));
}

static int of_pod(struct front *f, const yyjson_val *pod, struct span port,
                  struct remote_proxy_target *ret)
{
    int64_t number = 0;
    if (pod_port(f, pod, port, &number)) {
        return -1;
    }
    ret->host = json_str(json_path(pod, "status", "podIP", NULL));
    ret->port = number > 0 && number < 65536 ? (uint16_t)number : 0;
    if (ret->host.n == 0) {
        return api_op_err(&f->op, ERR_UNAVAILABLE, "pod \"%.*s\" has no address yet",
                          SPAN_ARG(f->op.name));
    }
    return 0;
}

/* The name of the service's port: by number, or as it is. */
static int service_port(struct front *f, const yyjson_val *service, struct span asked,
                        struct span *ret)
{
    int64_t number = 0;
    *ret = asked;
    if (!span_to_i64(asked, &number)) {
        return 0;
    }
    JSON_EACH(p, json_path(service, "spec", "ports", NULL))
    {
        if (json_get_int(p.val, "port", 0) == number) {
            *ret = json_get_str(p.val, "name");
            return 0;
        }
    }
    return api_op_err(&f->op, ERR_UNAVAILABLE, "no service port %lld found for service \"%.*s\"",
                      (long long)number, SPAN_ARG(f->op.name));
}

static int of_service(struct front *f, const yyjson_val *service, struct span asked,
                      struct remote_proxy_target *ret)
{
    struct api_op *op = &f->op;
    struct span port;
    if (service_port(f, service, asked, &port)) {
        return -1;
    }
    struct object *endpoints =
        watch_hub_get(f->server->hub, object_key(f->arena, SPAN("endpoints"), op->ns, op->name));
    JSON_EACH(s, endpoints ? json_get(object_root(endpoints), "subsets") : NULL)
    {
        const yyjson_val *addresses = json_get(s.val, "addresses");
        JSON_EACH(p, json_get(s.val, "ports"))
        {
            if (json_len(addresses) > 0 && span_eq(json_get_str(p.val, "name"), port)) {
                size_t one = env_random_u64(f->server->env) % json_len(addresses);
                ret->host =
                    json_get_str(yyjson_arr_get((yyjson_val *)(uintptr_t)addresses, one), "ip");
                ret->port = (uint16_t)json_get_int(p.val, "port", 0);
                return 0;
            }
        }
    }
    return api_op_err(op, ERR_UNAVAILABLE, "no endpoints available for service \"%.*s\"",
                      SPAN_ARG(op->name));
}

static int check_target(struct front *f, const struct remote_proxy_target *t)
{
    if (t->port == 0) {
        return api_op_err(&f->op, ERR_BAD_REQUEST,
                          "%s \"%.*s\": the port must be between 1 and 65535", f->op.kind->plural,
                          SPAN_ARG(f->op.name));
    }
    /* Those are the server's own, whatever somebody wrote into an Endpoints object. */
    if (span_starts(t->host, SPAN("127.")) || span_starts(t->host, SPAN("169.254."))) {
        return api_op_err(&f->op, ERR_BAD_REQUEST, "address not allowed: %.*s", SPAN_ARG(t->host));
    }
    return 0;
}

/* What a kubelet would answer: that it is well, and its pods. */
static int node_proxy(struct front *f)
{
    struct api_op *op = &f->op;
    struct span rest = f->route.rest;
    bool looks = span_eq_cstr(http_method(f->x), "GET") || span_eq_cstr(http_method(f->x), "HEAD");
    if (looks && (span_eq_cstr(rest, "/healthz") || span_eq_cstr(rest, "/healthz/"))) {
        http_reply(f->x, 200, "text/plain; charset=utf-8", SPAN("ok"));
        return 0;
    }
    if (looks && (span_eq_cstr(rest, "/pods") || span_eq_cstr(rest, "/pods/"))) {
        op->options.field_selector =
            arena_printf(f->arena, "spec.nodeName=%.*s", SPAN_ARG(op->name));
        op->kind = f->render.kind = SCHEMA_KIND(Pod);
        op->name = op->ns = SPAN_NULL;
        op->sub = NULL;
        op->verb = API_LIST;
        (void)api_negotiate(SPAN("application/json"), FORMS_NONE, &f->render.accept);
        api_op_run(op);
        return 0;
    }
    return api_op_err(op, ERR_NOT_FOUND,
                      "nodes \"%.*s\" serves no %.*s: a node of this server has /healthz and /pods",
                      SPAN_ARG(op->name), SPAN_ARG(rest.n ? rest : SPAN("/")));
}

/* A page's own links need the slash. */
static bool redirected(struct front *f)
{
    struct span q = http_query(f->x), m = http_method(f->x);
    if (f->route.rest.n || !(span_eq_cstr(m, "GET") || span_eq_cstr(m, "HEAD"))) {
        return false;
    }
    http_add_header(f->x, "Location",
                    arena_printf(f->arena, "%.*s/%s%.*s", SPAN_ARG(http_path(f->x)), q.n ? "?" : "",
                                 SPAN_ARG(q)));
    http_reply(f->x, 301, "text/plain", SPAN_NULL);
    return true;
}

static int pod_or_service(struct front *f, const yyjson_val *obj, struct span port)
{
    struct remote_proxy_target t = {0};
    struct span path = http_path(f->x), q = http_query(f->x), rest = f->route.rest;
    bool is_pod = f->op.kind == SCHEMA_KIND(Pod);
    if ((is_pod ? of_pod : of_service)(f, obj, port, &t) || check_target(f, &t)) {
        return -1;
    }
    if (http_header(f->x, "upgrade").n) {
        return api_op_err(&f->op, ERR_BAD_REQUEST,
                          "a proxy of this server cannot change the protocol (Upgrade: %.*s); use "
                          "kubectl port-forward",
                          SPAN_ARG(http_header(f->x, "upgrade")));
    }
    if (redirected(f)) {
        return 0;
    }
    t.prefix = span_first(path, path.n - rest.n);
    t.path = arena_printf(f->arena, "%.*s%s%.*s", SPAN_ARG(rest.n ? rest : SPAN("/")),
                          q.n ? "?" : "", SPAN_ARG(q));
    remote_proxy(f->end->remote, f->x, &t);
    return 0;
}

void front_proxy(struct front *f)
{
    struct api_op *op = &f->op;
    assert(f->x);
    assert(op->kind);
    struct target_name target;
    int rc = split_name(f, &target);
    if (rc == 0) {
        op->name = target.name;
        op->key = object_key(f->arena, span_cstr(op->kind->resource), op->ns, op->name);
        struct object *obj = watch_hub_get(f->server->hub, op->key);
        rc = !obj                            ? api_op_not_found(op)
             : op->kind == SCHEMA_KIND(Node) ? node_proxy(f)
                                             : pod_or_service(f, object_root(obj), target.port);
    }
    if (rc) {
        front_fail(f, &op->err);
    }
}
