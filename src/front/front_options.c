/* Query parameters and bodies: from a request's bytes to the typed operation. */
#include "base/check.h"
#include "base/limits.h"
#include "codec/json_fault.h"
#include "codec/yaml.h"
#include "front/front_priv.h"
#include "schema/kinds.h"
#include "schema/protobuf.h"

static int set_number(struct front *f, struct span value, int64_t *ret)
{
    return span_to_i64(value, ret)
               ? 0
               : api_op_err(&f->op, ERR_BAD_REQUEST, "strconv.ParseInt: parsing \"%.*s\": %s",
                            SPAN_ARG(value), api_number_fault(value));
}

/* What is none of these is refused by front_check_options. */
static void set_propagation(struct front *f, struct span v)
{
    struct api_options *o = &f->op.options;
    f->asked.propagation = v.n ? v : f->asked.propagation;
    if (span_eq(v, SPAN("Background"))) {
        o->propagation = CLIENT_PROPAGATION_BACKGROUND;
    } else if (span_eq(v, SPAN("Foreground"))) {
        o->propagation = CLIENT_PROPAGATION_FOREGROUND;
    } else if (span_eq(v, SPAN("Orphan"))) {
        o->propagation = CLIENT_PROPAGATION_ORPHAN;
    }
}

static void set_orphan(struct front *f, bool orphan)
{
    f->asked.orphan = true;
    f->op.options.propagation = orphan ? CLIENT_PROPAGATION_ORPHAN : CLIENT_PROPAGATION_BACKGROUND;
}

static void set_dry_run(struct front *f, struct span v)
{
    bool was_good = !f->asked.dry_run.n || span_eq(f->asked.dry_run, SPAN("All"));
    f->asked.dry_run = was_good && v.n ? v : f->asked.dry_run;
    f->op.options.dry_run |= v.n > 0;
}

static void set_validation(struct front *f, struct span v)
{
    f->asked.validation = v;
    f->op.options.strictness = span_eq(v, SPAN("Strict"))   ? SCHEMA_STRICT
                               : span_eq(v, SPAN("Ignore")) ? SCHEMA_IGNORE
                                                            : SCHEMA_WARN;
}

/* Strings and flags that are only copied. */
static bool set_plain(struct api_options *o, struct span key, struct span v)
{
    struct {
        const char *key;
        struct span *text;
        bool *flag;
    } known[] = {
        {"fieldManager", &o->field_manager, NULL},     {"labelSelector", &o->label_selector, NULL},
        {"fieldSelector", &o->field_selector, NULL},   {"resourceVersion", &o->rev, NULL},
        {"resourceVersionMatch", &o->rev_match, NULL}, {"continue", &o->continue_token, NULL},
        {"allowWatchBookmarks", NULL, &o->bookmarks}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_eq_cstr(key, known[i].key)) {
            if (known[i].text) {
                *known[i].text = v;
            } else {
                *known[i].flag = http_query_true(v);
            }
            return true;
        }
    }
    return false;
}

static int set_option(struct front *f, struct span key, struct span v)
{
    struct api_op *op = &f->op;
    struct api_options *o = &op->options;
    if (set_plain(o, key, v)) {
        return 0;
    }
    if (span_eq(key, SPAN("watch"))) {
        if (op->verb == API_LIST) { /* of one object by name it is passed over */
            op->verb = http_query_true(v) ? API_WATCH : op->verb;
        }
    } else if (span_eq(key, SPAN("sendInitialEvents"))) {
        o->has_send_initial = true;
        o->send_initial = http_query_true(v);
    } else if (span_eq(key, SPAN("force"))) {
        o->has_force = true;
        o->force = http_query_true(v);
    } else if (span_eq(key, SPAN("includeObject"))) {
        f->render.include_object = v;
    } else if (span_eq(key, SPAN("limit"))) {
        return set_number(f, v, &o->limit);
    } else if (span_eq(key, SPAN("timeoutSeconds"))) {
        return set_number(f, v, &o->timeout_s);
    } else if (span_eq(key, SPAN("gracePeriodSeconds"))) {
        return set_number(f, v, &o->grace_s);
    } else if (span_eq(key, SPAN("propagationPolicy"))) {
        set_propagation(f, v);
    } else if (span_eq(key, SPAN("orphanDependents"))) {
        set_orphan(f, http_query_true(v));
    } else if (span_eq(key, SPAN("dryRun"))) {
        set_dry_run(f, v);
    } else if (span_eq(key, SPAN("fieldValidation"))) {
        set_validation(f, v);
    }
    return 0; /* timeout and what newer clients add: Kubernetes passes over them too */
}

/* More than a request can have of those that are known. */
enum { OPTIONS_MAX = 32 };

/* Of a parameter that is given again the first counts; only dryRun is a list. */
static bool is_among(const struct span *seen, size_t n, struct span key)
{
    for (size_t i = 0; i < n; i++) {
        if (span_eq(seen[i], key)) {
            return !span_eq(key, SPAN("dryRun"));
        }
    }
    return false;
}

int front_options(struct front *f)
{
    assert(f->x);
    struct span key, value, seen[OPTIONS_MAX];
    size_t at = 0, n = 0;
    f->op.options.grace_s = -1;
    f->op.options.strictness = SCHEMA_WARN;
    f->op.options.user_agent = http_header(f->x, "user-agent");
    while (http_query_next(f->x, &at, &key, &value)) {
        if (!is_among(seen, n, key) && set_option(f, key, value)) {
            return -1;
        }
        if (n < OPTIONS_MAX) {
            seen[n++] = key;
        }
    }
    return 0;
}

/* ---- bodies ---- */

enum { SHOWN_BYTES = 30 }; /* in errors */

static struct span media_type(struct front *f)
{
    struct span rest = http_header(f->x, "content-type");
    return span_trim(span_cut(&rest, ';'));
}

static int unsupported(struct front *f, const char *accepted)
{
    return api_op_err(&f->op, ERR_UNSUPPORTED_MEDIA_TYPE,
                      "the body of the request was in an unknown format - accepted media types "
                      "include: %s",
                      accepted);
}

/* Of the body, as much as Kubernetes shows of it: text that looks like an object, else bytes. */
static struct span summary(struct arena *a, struct span body)
{
    struct span start = span_first(body, SHOWN_BYTES), text = start;
    if (!body.n) {
        return SPAN("<empty>");
    }
    if (body.p[0] != '{') {
        char *hex = arena_alloc_raw(a, (size_t)2 * SHOWN_BYTES + 1);
        for (size_t i = 0; i < start.n; i++) {
            (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)start.p[i]);
        }
        text = span_of(hex, 2 * start.n);
    }
    return arena_printf(a, "%.*s%s", SPAN_ARG(text), body.n > SHOWN_BYTES ? " ..." : "");
}

/* The body is no JSON, or no object: said as Kubernetes says it. */
static int unrecognized(struct front *f, struct span body, struct span fault)
{
    struct api_op *op = &f->op;
    struct span shows = summary(f->arena, body);
    return api_op_err(op, ERR_BAD_REQUEST,
                      "the object provided is unrecognized (must be of type %s): couldn't get "
                      "version/kind; json parse error: %.*s (%.*s)",
                      op->sub ? op->sub->kind : op->kind->kind, SPAN_ARG(fault), SPAN_ARG(shows));
}

static bool is_delete(const struct api_op *op)
{
    return op->verb == API_DELETE || op->verb == API_DELETECOLLECTION;
}

static int parse_json(struct front *f, struct span text)
{
    struct api_op *op = &f->op;
    yyjson_doc *doc = NULL;
    if (json_parse(f->arena, text, &doc, &op->err) == 0) {
        op->body = yyjson_doc_get_root(doc);
        return 0;
    }
    struct span fault = json_fault(f->arena, text);
    if (!fault.n || op->err.reason != ERR_BAD_REQUEST || is_delete(op)) {
        return -1; /* too large, too deep, no UTF-8: a limit of ours */
    }
    if (op->verb != API_PATCH) {
        return unrecognized(f, text, fault);
    }
    return api_op_err(op, ERR_BAD_REQUEST, "%s%.*s",
                      op->patch_type == API_PATCH_MERGE ? "error decoding patch: " : "",
                      SPAN_ARG(fault));
}

/* The same of what is to be an object of the API. */
static int parse_json_object(struct front *f, struct span text)
{
    if (parse_json(f, text)) {
        return -1;
    }
    yyjson_val *v = (yyjson_val *)(uintptr_t)f->op.body;
    if (yyjson_is_obj(v) || yyjson_is_null(v) || is_delete(&f->op)) {
        return 0;
    }
    struct span is = span_cstr(yyjson_is_arr(v)    ? "array"
                               : yyjson_is_str(v)  ? "string"
                               : yyjson_is_bool(v) ? "bool"
                                                   : "number");
    return unrecognized(
        f, text,
        arena_printf(f->arena,
                     "json: cannot unmarshal %.*s into Go value of type struct { "
                     "APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind "
                     "string \"json:\\\"kind,omitempty\\\"\" }",
                     SPAN_ARG(is)));
}

static int parse_protobuf(struct front *f, struct span body)
{
    yyjson_doc *doc = NULL;
    if (protobuf_decode(f->arena, body, &doc, &f->op.err)) {
        return -1;
    }
    f->op.body = yyjson_doc_get_root(doc);
    return 0;
}

static int parse_object(struct front *f)
{
    struct span type = media_type(f), body = http_body(f->x);
    if (type.n == 0 || span_eq_nocase(type, SPAN("application/json")) ||
        span_eq(type, SPAN("*/*"))) {
        /* `kubectl create secret` up to 1.31 names no type. */
        return parse_json_object(f, body);
    }
    if (span_eq_nocase(type, SPAN("application/yaml"))) {
        f->op.body = yaml_parse(f->arena, body, &f->op.err);
        return f->op.body ? 0 : -1;
    }
    if (span_eq_nocase(type, SPAN("application/vnd.kubernetes.protobuf"))) {
        return parse_protobuf(f, body);
    }
    return unsupported(f,
                       "application/json, application/yaml, application/vnd.kubernetes.protobuf");
}

static int parse_patch(struct front *f)
{
    static const struct {
        const char *type;
        enum api_patch patch;
    } known[] = {{"application/json-patch+json", API_PATCH_JSON},
                 {"application/merge-patch+json", API_PATCH_MERGE},
                 {"application/strategic-merge-patch+json", API_PATCH_STRATEGIC}};
    struct span type = media_type(f);
    if (span_eq_nocase(type, SPAN("application/apply-patch+yaml"))) {
        f->op.patch_type = API_PATCH_APPLY;
        f->op.body = yaml_parse(f->arena, http_body(f->x), &f->op.err);
        return f->op.body ? 0 : -1;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_eq_nocase(type, span_cstr(known[i].type))) {
            f->op.patch_type = known[i].patch;
            return parse_json(f, http_body(f->x));
        }
    }
    return unsupported(f, "application/json-patch+json, application/merge-patch+json, "
                          "application/strategic-merge-patch+json, application/apply-patch+yaml");
}

/* The options must be readable: one that is passed over might have saved the object. */
static int check_delete_options(struct front *f)
{
    struct api_op *op = &f->op;
    const struct schema_kind *kind = SCHEMA_KIND(DeleteOptions);
    struct span name = json_get_str(op->body, "kind");
    struct span version = json_get_str(op->body, "apiVersion");
    if (!yyjson_is_obj((yyjson_val *)(uintptr_t)op->body) ||
        (name.n && !span_eq_cstr(name, kind->kind))) {
        return api_op_err(
            op, ERR_BAD_REQUEST,
            "no kind \"%.*s\" is registered for version \"%.*s\": the body of a delete "
            "must be DeleteOptions",
            SPAN_ARG(name), SPAN_ARG(version));
    }
    yyjson_mut_doc *doc = json_mut_new(f->arena);
    yyjson_mut_val *decoded = schema_decode(f->arena, kind, op->body, doc, op->options.strictness,
                                            &op->warnings, &op->err);
    if (!decoded) {
        return -1;
    }
    op->body = json_freeze(f->arena, decoded);
    return 0;
}

static int delete_options(struct front *f)
{
    struct api_op *op = &f->op;
    struct api_options *o = &op->options;
    if (check_delete_options(f)) {
        return -1;
    }
    const yyjson_val *in = op->body;
    const yyjson_val *pre = json_get(in, "preconditions");
    o->grace_s = json_get_int(in, "gracePeriodSeconds", o->grace_s);
    o->precondition_uid = json_get_str(pre, "uid");
    o->precondition_rev = json_get_str(pre, "resourceVersion");
    if (json_get(in, "orphanDependents")) {
        set_orphan(f, json_get_bool(in, "orphanDependents", false));
    }
    JSON_EACH(it, json_get(in, "dryRun"))
    {
        set_dry_run(f, json_str(it.val));
    }
    set_propagation(f, json_get_str(in, "propagationPolicy"));
    return 0;
}

int front_body(struct front *f)
{
    struct api_op *op = &f->op;
    assert(f->x);
    assert(op->kind);
    struct span body = http_body(f->x);
    switch (op->verb) {
    case API_CREATE:
    case API_UPDATE:
        return parse_object(f);
    case API_PATCH:
        return parse_patch(f);
    case API_DELETE:
    case API_DELETECOLLECTION:
        if (body.n == 0) {
            return 0;
        }
        return parse_object(f) || delete_options(f) ? -1 : 0;
    case API_GET:
    case API_LIST:
    case API_WATCH:
        break;
    }
    return 0;
}
