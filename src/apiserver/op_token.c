/* serviceaccounts/NAME/token: a token for the account, perhaps bound to a pod, a secret or a node
 * that it ends with. Nothing is stored. */
#include "apiserver/bearer.h"
#include "apiserver/meta.h"
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "base/limits.h"
#include "codec/time.h"
#include "schema/kinds.h"

enum {
    SHORTEST_S = 600,
    /* What admission asks for a pod's token. Such a token is good for a year: older client
     * libraries read the file once. It ends with the pod all the same. */
    POD_TOKEN_S = 3607,
    POD_TOKEN_EXTENDED_S = 365 * 24 * 3600
};

static int invalid(struct api_op *op, const char *field, struct span shown, const char *detail)
{
    struct err bad = {0};
    schema_invalid(op->arena, &bad, span_cstr(field), shown, detail);
    (void)schema_invalid_finish(op->arena, SCHEMA_KIND(TokenRequest), SPAN_NULL, &bad);
    op->err = bad;
    return -1;
}

static struct span quoted(struct api_op *op, struct span text)
{
    return arena_printf(op->arena, "\"%.*s\"", SPAN_ARG(text));
}

/* The name and namespace in the body are those of the path, or absent. */
static int check_names(struct api_op *op)
{
    struct span name = json_str(json_path(op->body, "metadata", "name", NULL));
    struct span ns = json_str(json_path(op->body, "metadata", "namespace", NULL));
    if (name.n && !span_eq(name, op->name)) {
        return invalid(op, "metadata.name", quoted(op, name),
                       "must match the service account name if specified");
    }
    if (ns.n && !span_eq(ns, op->ns)) {
        return invalid(op, "metadata.namespace", quoted(op, ns),
                       "must match the service account namespace if specified");
    }
    return 0;
}

static int check_seconds(struct api_op *op, int64_t seconds)
{
    struct span shown = arena_printf(op->arena, "%lld", (long long)seconds);
    if (seconds < SHORTEST_S) {
        return invalid(op, "spec.expirationSeconds", shown,
                       "may not specify a duration less than 10 minutes");
    }
    if (seconds > (int64_t)1 << 32) {
        return invalid(op, "spec.expirationSeconds", shown,
                       "may not specify a duration larger than 2^32 seconds");
    }
    return 0;
}

/* Those of the spec; none: this server. */
static const struct span *audiences_of(struct api_op *op, const yyjson_val *spec, size_t *ret_n)
{
    const yyjson_val *list = json_get(spec, "audiences");
    struct span *audiences = ARENA_ARRAY(op->arena, struct span, json_len(list) + 1);
    size_t n = 0;
    JSON_EACH(it, list)
    {
        audiences[n++] = json_str(it.val);
    }
    if (n == 0) {
        audiences[n++] = op->server->options.token_issuer;
    }
    *ret_n = n;
    return audiences;
}

static yyjson_mut_val *put_list(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
                                const struct span *of, size_t n)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < n; i++) {
        (void)yyjson_mut_arr_append(list, json_new_str(doc, of[i]));
    }
    json_put(doc, obj, key, list);
    return list;
}

/* The pod's node, as far as it is known. */
static void take_node(struct api_op *op, const yyjson_val *pod, struct token_claims *c)
{
    struct span name = json_str(json_path(pod, "spec", "nodeName", NULL));
    struct object *node = name.n ? api_peek(op->server, op->arena, "nodes", SPAN_NULL, name) : NULL;
    c->node = (struct token_ref){name, node ? object_uid(node) : SPAN_NULL};
}

static int missing(struct api_op *op, const struct schema_kind *kind, struct span name)
{
    (void)api_op_err(op, ERR_NOT_FOUND, "%s \"%.*s\" not found", kind->resource, SPAN_ARG(name));
    op->err.kind = span_cstr(kind->plural);
    op->err.name = name;
    return -1;
}

static int bind(struct api_op *op, const yyjson_val *ref, struct token_claims *c)
{
    struct span kind = json_get_str(ref, "kind"), version = json_get_str(ref, "apiVersion");
    struct span name = json_get_str(ref, "name"), uid = json_get_str(ref, "uid");
    const struct {
        const struct schema_kind *kind;
        struct span ns;
        struct token_ref *to;
    } kinds[] = {{SCHEMA_KIND(Pod), op->ns, &c->pod},
                 {SCHEMA_KIND(Secret), op->ns, &c->secret},
                 {SCHEMA_KIND(Node), SPAN_NULL, &c->node}};
    size_t i = 0;
    while (i < 3 &&
           (!span_eq_cstr(kind, kinds[i].kind->kind) || span_find(version, '/') < version.n)) {
        i++;
    }
    if (i == 3) {
        return api_op_err(
            op, ERR_BAD_REQUEST, "cannot bind token to object of type %s%.*s, Kind=%.*s",
            span_find(version, '/') < version.n ? "" : "/", SPAN_ARG(version), SPAN_ARG(kind));
    }
    struct object *o =
        name.n ? api_peek(op->server, op->arena, kinds[i].kind->resource, kinds[i].ns, name) : NULL;
    if (!o) {
        return missing(op, kinds[i].kind, name);
    }
    if (i == 0) {
        struct span account =
            json_str(json_path(object_root(o), "spec", "serviceAccountName", NULL));
        if (!span_eq(account, op->name)) {
            return api_op_err(op, ERR_BAD_REQUEST,
                              "cannot bind token for serviceaccount \"%.*s\" to pod running with "
                              "different serviceaccount name.",
                              SPAN_ARG(op->name));
        }
        take_node(op, object_root(o), c);
    }
    *kinds[i].to = (struct token_ref){name, object_uid(o)};
    if (uid.n && !span_eq(uid, object_uid(o))) {
        (void)api_op_err(op, ERR_CONFLICT,
                         "Operation cannot be fulfilled on %.*s \"%.*s\": the UID in the bound "
                         "object reference (%.*s) does not match the UID in record. The object "
                         "might have been deleted and then recreated",
                         SPAN_ARG(kind), SPAN_ARG(name), SPAN_ARG(uid));
        op->err.kind = kind;
        op->err.name = name;
        return -1;
    }
    return 0;
}

/* Such a token is made to last longer than it says, and warns instead. */
static bool lasts_longer(const struct api_op *op, const struct token_claims *c, int64_t seconds)
{
    return c->pod.name.n && seconds == POD_TOKEN_S && c->audience_count == 1 &&
           span_eq(c->audiences[0], op->server->options.token_issuer);
}

static void answer(struct api_op *op, const struct token_claims *c, struct span token,
                   int64_t now_ms, int64_t seconds)
{
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    assert(token.n);
    assert(c->audience_count);
    assert(seconds >= SHORTEST_S);
    json_put_str(doc, root, "kind", SPAN("TokenRequest"));
    json_put_str(doc, root, "apiVersion", SPAN("authentication.k8s.io/v1"));
    yyjson_mut_val *meta = json_mut_obj(doc, root, "metadata");
    yyjson_mut_val *spec = json_mut_obj(doc, root, "spec");
    yyjson_mut_val *status = json_mut_obj(doc, root, "status");
    const yyjson_val *ref = json_path(op->body, "spec", "boundObjectRef", NULL);
    json_put_str(doc, meta, "name", op->name);
    json_put_str(doc, meta, "namespace", op->ns);
    json_put_str(doc, meta, "creationTimestamp", time_format(op->arena, now_ms));
    (void)put_list(doc, spec, "audiences", c->audiences, c->audience_count);
    json_put_int(doc, spec, "expirationSeconds", seconds);
    json_put(doc, spec, "boundObjectRef", ref ? json_mut_copy(doc, ref) : yyjson_mut_null(doc));
    json_put_str(doc, status, "token", token);
    json_put_str(doc, status, "expirationTimestamp",
                 time_format(op->arena, now_ms + seconds * 1000));
    op->tree = json_freeze(op->arena, root);
    op->http_status = 201;
}

static int issue(struct api_op *op)
{
    struct apiserver *s = op->server;
    struct object *account = api_peek(s, op->arena, op->kind->resource, op->ns, op->name);
    int64_t now_ms = env_now_ms(s->env), now_s = now_ms / 1000;
    if (!s->token_key) {
        return api_op_err(op, ERR_METHOD_NOT_ALLOWED,
                          "this server was started without a key to sign tokens with");
    }
    if (write_decode_body(op, SCHEMA_KIND(TokenRequest)) || check_names(op)) {
        return -1;
    }
    if (!account) {
        return api_op_not_found(op);
    }
    const yyjson_val *spec = json_get(op->body, "spec"), *ref = json_get(spec, "boundObjectRef");
    int64_t seconds = json_get_int(spec, "expirationSeconds", 3600);
    struct token_claims c = {.issuer = s->options.token_issuer,
                             .subject = arena_printf(op->arena, "system:serviceaccount:%.*s:%.*s",
                                                     SPAN_ARG(op->ns), SPAN_ARG(op->name)),
                             .id = meta_uid(op->arena, s->env),
                             .issued_s = now_s,
                             .not_before_s = now_s,
                             .expires_s = now_s + seconds,
                             .ns = op->ns,
                             .account = {op->name, object_uid(account)}};
    c.audiences = audiences_of(op, spec, &c.audience_count);
    if (check_seconds(op, seconds) || (ref && bind(op, ref, &c))) {
        return -1;
    }
    if (lasts_longer(op, &c, seconds)) {
        c.expires_s = now_s + POD_TOKEN_EXTENDED_S;
        c.warn_after_s = now_s + seconds;
    }
    struct span token = token_sign(op->arena, s->token_key, &c);
    if (!token.n || token.n > LIMIT_TOKEN_BYTES) {
        return api_op_err(op, token.n ? ERR_BAD_REQUEST : ERR_INTERNAL,
                          token.n ? "the token would be longer than %d bytes, which no request may "
                                    "carry: ask for fewer audiences"
                                  : "failed to generate token (limit %d bytes)",
                          LIMIT_TOKEN_BYTES);
    }
    answer(op, &c, token, now_ms, seconds);
    return 0;
}

void op_token(struct api_op *op)
{
    assert(op->sub);
    assert(op->kind == SCHEMA_KIND(ServiceAccount));
    (void)issue(op);
    api_op_finish(op);
}

/* ---- TokenReview ---- */

void op_token_review(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *status,
                     const yyjson_val *spec)
{
    size_t n = 0;
    const struct span *wanted = audiences_of(op, spec, &n);
    assert(op->kind == SCHEMA_KIND(TokenReview));
    assert(status);
    struct bearer b = bearer_find(op->server, op->arena, json_get_str(spec, "token"), wanted, n);
    yyjson_mut_val *user = json_mut_obj(doc, status, "user");
    if (!b.is_known) {
        json_put_str(doc, status, "error", b.why);
        return;
    }
    json_put_bool(doc, status, "authenticated", true);
    json_put_str(doc, user, "username", b.name);
    json_put_str(doc, user, "uid", b.uid);
    yyjson_mut_val *groups = put_list(doc, user, "groups", NULL, 0);
    struct span rest = b.groups;
    while (rest.n) {
        (void)yyjson_mut_arr_append(groups, json_new_str(doc, span_cut(&rest, '\n')));
    }
    if (b.extra) {
        json_put(doc, user, "extra", json_mut_copy(doc, b.extra));
    }
    (void)put_list(doc, status, "audiences", b.audiences, b.audience_count);
}
