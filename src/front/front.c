/* The HTTP adapter: for what a request asks, and how the answer looks on the wire. */
#include "front/front_priv.h"

#include "base/check.h"
#include "base/limits.h"
#include "front/reply.h"
#include "schema/kinds.h"
#include "token/token.h"

/* Warning headers of the operation. */
static void front_warnings(struct front *f)
{
    for (size_t i = 0; i < f->op.warnings.n; i++) {
        struct strbuf text cleanup_strbuf = STRBUF_INIT;
        struct span w = f->op.warnings.text[i];
        strbuf_puts(&text, "299 - \"");
        for (size_t j = 0; j < w.n; j++) {
            if (w.p[j] == '"' || w.p[j] == '\\') {
                strbuf_putc(&text, '\\');
            }
            strbuf_putc(&text, (unsigned char)w.p[j] < ' ' ? ' ' : w.p[j]);
        }
        strbuf_putc(&text, '"');
        http_add_header(f->x, "Warning", strbuf_span(&text));
    }
}

void front_fail(struct front *f, const struct err *e)
{
    assert(e->reason != ERR_NONE);
    front_count(f, err_http_code(e->reason));
    reply_err(f->x, e);
}

static void fail(struct front *f, enum err_reason reason, const char *message)
{
    struct err e = {.reason = reason, .message = span_cstr(message)};
    front_fail(f, &e);
}

static bool list_next(void *data, struct strbuf *out)
{
    struct front *f = data;
    size_t before = out->n;
    bool more;
    if (f->is_pretty) {
        struct strbuf part cleanup_strbuf = STRBUF_INIT;
        more = render_list_next(&f->list, &part);
        json_pretty_put(&f->pretty, strbuf_span(&part), out);
    } else {
        more = render_list_next(&f->list, out);
    }
    f->list_bytes += out->n - before;
    return more;
}

static void list_done(void *data)
{
    struct front *f = data;
    f->end->lists_open--;
    front_size(f, f->list_bytes);
    render_list_end(&f->list);
}

/* A YAML writer wants the whole tree: for people, not for programs. */
static void reply_yaml_list(struct front *f)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    int status = f->op.http_status;
    while (out.n <= LIMIT_YAML_LIST_BYTES && render_list_next(&f->list, &out)) {
    }
    front_size(f, out.n);
    render_list_end(&f->list);
    if (out.n > LIMIT_YAML_LIST_BYTES) {
        fail(f, ERR_NOT_ACCEPTABLE,
             "the list is too long to be written as YAML: ask for it in parts (limit=500), or as "
             "application/json");
        return;
    }
    reply_json(f->x, status, API_YAML, strbuf_span(&out));
}

static void on_done(struct api_op *op)
{
    struct front *f = CONTAINER_OF(op, struct front, op);
    if (f->is_open) {
        front_end_answered(f->end);
    }
    front_count(f, op->err.reason != ERR_NONE ? err_http_code(op->err.reason) : op->http_status);
    front_warnings(f);
    if (op->err.reason != ERR_NONE) {
        api_op_release(op); /* first: the reply ends the exchange, whose arena op lives in */
        reply_err(f->x, &op->err);
        return;
    }
    if (op->object && f->render.accept.form == FORM_JSON && !f->render.accept.protobuf &&
        !op->tree && !op->view) {
        /* A hold, because the exchange (and op in its arena) may be gone once the reply is
         * complete. */
        struct object *o cleanup_object = object_ref(op->object);
        int status = op->http_status;
        api_op_release(op);
        front_size(f, object_json(o).n);
        reply_json(f->x, status, f->render.accept.content_type, object_json(o));
        return;
    }
    const char *list_type = render_list_begin(&f->list, &f->render, op);
    if (list_type && strcmp(list_type, API_YAML) == 0) {
        reply_yaml_list(f);
        return;
    }
    if (list_type) {
        static const struct http_source source = {list_next, list_done};
        f->end->lists_open++;
        f->is_pretty = strcmp(list_type, "application/json") == 0 && reply_wants_pretty(f->x);
        http_reply_source(f->x, op->http_status, list_type, &source, f);
        return;
    }
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    const char *type = render_result(&out, &f->render, op);
    int status = op->http_status;
    api_op_release(op);
    front_size(f, out.n);
    reply_json(f->x, status, type, strbuf_span(&out));
}

/* ---- for what ---- */

/* False: the method means nothing here. */
static bool find_verb(struct front *f)
{
    assert(f->route.kind);
    struct span m = http_method(f->x);
    bool one = f->route.name.n > 0;
    /* Over all namespaces one can only look. */
    bool everywhere = !one && f->route.kind->namespaced && !f->route.ns.n;
    struct api_op *op = &f->op;
    if (f->route.is_watch) {
        op->verb = API_WATCH;
        return span_eq(m, SPAN("GET"));
    }
    if (span_eq(m, SPAN("GET")) || span_eq(m, SPAN("HEAD"))) {
        op->verb = one ? API_GET : API_LIST;
    } else if (span_eq(m, SPAN("POST"))) {
        op->verb = API_CREATE;
        return (!one || f->route.sub) && !everywhere;
    } else if (span_eq(m, SPAN("PUT"))) {
        op->verb = API_UPDATE;
        return one;
    } else if (span_eq(m, SPAN("PATCH"))) {
        op->verb = API_PATCH;
        return one;
    } else if (span_eq(m, SPAN("DELETE"))) {
        op->verb = one ? API_DELETE : API_DELETECOLLECTION;
        return !everywhere;
    } else {
        return false;
    }
    return true;
}

static bool is_stream(const struct route *r)
{
    static const char *const subs[] = {"log", "exec", "attach", "portforward"};
    for (size_t i = 0; r->sub && i < sizeof subs / sizeof *subs; i++) {
        if (r->kind == SCHEMA_KIND(Pod) && strcmp(r->sub->name, subs[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Writes wait for the disk, measurements for the node, lists for the client to take them; other
 * reads are answered at once. False: it has answered. */
static bool has_room(struct front *f)
{
    struct front_end *e = f->end;
    bool is_read = f->op.verb <= API_LIST && !op_is_usage(f->op.kind);
    if (f->op.verb == API_GET && is_read) {
        return true;
    }
    if (is_read ? e->lists_open >= LIMIT_LISTS_INFLIGHT
                : e->requests_open >= LIMIT_WRITES_INFLIGHT) {
        struct err err = {.reason = ERR_TOO_MANY_REQUESTS,
                          .message = SPAN("too many requests, please try again later"),
                          .retry_after_s = 1};
        e->refused++;
        front_fail(f, &err);
        return false;
    }
    e->requests_open += !is_read;
    f->is_open = !is_read;
    return true;
}

static void front_resource(struct front *f)
{
    struct api_op *op = &f->op;
    const struct schema_kind *shown =
        f->route.sub ? schema_kind_find(f->route.sub->group, f->route.sub->kind) : f->route.kind;
    bool itself = f->route.sub && strcmp(f->route.sub->kind, f->route.kind->kind) == 0;
    f->render.kind = shown && !itself ? shown : f->route.kind;
    f->render.view = op->view;
    f->render.now_ms = env_now_ms(f->server->env);
    if (is_stream(&f->route)) {
        f->is_stream = true;
        front_pod_stream(f);
        return;
    }
    if (api_sub_is(op, "proxy")) {
        front_proxy(f);
        return;
    }
    if (!api_negotiate(http_header(f->x, "accept"),
                       op_is_review(op->kind) ? FORMS_NONE : FORMS_OBJECT, &f->render.accept)) {
        fail(f, ERR_NOT_ACCEPTABLE,
             "only the following media types are accepted: application/json, application/yaml, "
             "application/vnd.kubernetes.protobuf");
        return;
    }
    if (front_options(f) || front_body(f) || front_check_options(f)) {
        front_fail(f, &op->err);
        return;
    }
    if (op->verb == API_WATCH && strcmp(f->render.accept.content_type, API_YAML) == 0) {
        fail(f, ERR_NOT_ACCEPTABLE,
             "only the following media types are accepted for a watch: application/json, "
             "application/vnd.kubernetes.protobuf");
        return;
    }
    if (op->verb == API_WATCH) {
        f->is_stream = true;
        front_watch(f);
        return;
    }
    if (has_room(f)) {
        api_op_run(op);
    }
}

void front_version_numbers(const struct apiserver *s, struct span *major, struct span *minor)
{
    assert(major);
    assert(minor);
    struct span rest = s->options.git_version;
    if (rest.n && rest.p[0] == 'v') {
        rest = span_from(rest, 1);
    }
    *major = span_cut(&rest, '.');
    *minor = span_cut(&rest, '.');
}

static void front_version(struct front *f)
{
    const struct apiserver_options *o = &f->server->options;
    struct span major, minor;
    front_version_numbers(f->server, &major, &minor);
    yyjson_mut_doc *doc = json_mut_new(f->arena);
    yyjson_mut_val *v = yyjson_mut_obj(doc);
    json_put_str(doc, v, "major", major);
    json_put_str(doc, v, "minor", minor);
    json_put_str(doc, v, "gitVersion", o->git_version);
    json_put_str(doc, v, "gitCommit", SPAN("0000000000000000000000000000000000000000"));
    json_put_str(doc, v, "gitTreeState", SPAN("clean"));
    json_put_str(doc, v, "buildDate", SPAN("1970-01-01T00:00:00Z"));
    json_put_str(doc, v, "goVersion", SPAN("none"));
    json_put_str(doc, v, "compiler", SPAN("gcc"));
    json_put_str(doc, v, "platform", o->platform);
    reply_pretty(f->x, json_write_mut(f->arena, v));
}

/* For those who verify tokens themselves. */
static void front_issuer(struct front *f)
{
    const struct apiserver_options *o = &f->server->options;
    if (f->route.type == ROUTE_JWKS) {
        http_reply(f->x, 200, "application/jwk-set+json",
                   token_key_jwks(f->arena, f->server->token_key));
        return;
    }
    reply_json(f->x, 200, "application/json",
               arena_printf(f->arena,
                            "{\"issuer\":\"%.*s\",\"jwks_uri\":\"%.*s/openid/v1/jwks\","
                            "\"response_types_supported\":[\"id_token\"],"
                            "\"subject_types_supported\":[\"public\"],"
                            "\"id_token_signing_alg_values_supported\":[\"ES256\"]}",
                            SPAN_ARG(o->token_issuer), SPAN_ARG(o->public_url)));
}

static void dispatch(struct front *f)
{
    if (f->route.type != ROUTE_RESOURCE && f->route.type != ROUTE_NONE &&
        !span_eq(http_method(f->x), SPAN("GET")) && !span_eq(http_method(f->x), SPAN("HEAD"))) {
        fail(f, ERR_METHOD_NOT_ALLOWED,
             "the server does not allow this method on the requested resource");
        return;
    }
    if (f->route.type != ROUTE_RESOURCE && f->route.type != ROUTE_NONE &&
        f->route.type != ROUTE_METRICS) {
        front_count(f, 200);
    }
    switch (f->route.type) {
    case ROUTE_RESOURCE:
        front_resource(f);
        return;
    case ROUTE_INDEX:
    case ROUTE_API_VERSIONS:
    case ROUTE_GROUPS:
    case ROUTE_GROUP:
    case ROUTE_RESOURCES:
        front_discovery(f);
        return;
    case ROUTE_OPENAPI_V2:
    case ROUTE_OPENAPI_V3:
    case ROUTE_OPENAPI_V3_GROUP:
        front_openapi(f);
        return;
    case ROUTE_VERSION:
        front_version(f);
        return;
    case ROUTE_HEALTH:
        front_health(f);
        return;
    case ROUTE_METRICS:
        front_metrics(f);
        return;
    case ROUTE_ISSUER:
    case ROUTE_JWKS:
        if (f->server->token_key) {
            front_issuer(f);
            return;
        }
        break;
    case ROUTE_NONE:
        break;
    }
    front_not_found(f);
}

static void on_request(void *data, struct http_exchange *x)
{
    struct front_end *e = data;
    struct apiserver *s = e->server;
    struct arena *a = http_arena(x);
    if (e->control && front_is_root_socket(x) && span_starts(http_path(x), SPAN("/berth/")) &&
        e->control(e->control_data, x)) {
        return;
    }
    struct front *f = ARENA_NEW(a, struct front);
    f->end = e;
    f->server = s;
    f->x = x;
    f->start_ns = env_mono_ns(s->env);
    f->arena = a;
    f->route = route_parse(a, s->definitions, http_path(x));
    f->op = (struct api_op){.server = s,
                            .is_foreign = true,
                            .arena = a,
                            .kind = f->route.kind,
                            .ns = f->route.ns,
                            .name = f->route.name,
                            .sub = f->route.sub,
                            .done = on_done};
    if (f->op.kind && f->op.kind->view_of) {
        f->op.view = f->op.kind;
        f->op.kind = f->op.kind->view_of;
    }
    bool known = f->route.type != ROUTE_RESOURCE || find_verb(f);
    if (front_identify(f) || front_admit(f)) {
        return;
    }
    if (!known) {
        fail(f, ERR_METHOD_NOT_ALLOWED,
             "the server does not allow this method on the requested resource");
        return;
    }
    dispatch(f);
}

const struct http_handler *front_end_http(void)
{
    static const struct http_handler handler = {
        .on_request = on_request,
        .too_large = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
                     "\"Failure\",\"message\":\"Request entity too large: limit is 3145728\","
                     "\"reason\":\"RequestEntityTooLarge\",\"code\":413}"};
    _Static_assert(LIMIT_BODY_BYTES == 3145728, "the message above names it");
    return &handler;
}
