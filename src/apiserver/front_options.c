/* Query parameters and bodies: from a request's bytes to the typed operation. */
#include "apiserver/front.h"
#include "base/check.h"
#include "base/limits.h"
#include "codec/yaml.h"
#include "schema/kinds.h"
#include "schema/protobuf.h"

/* As Kubernetes reads a flag: whatever does not say no is a yes. */
static bool is_true(struct span v)
{
    return !span_eq(v, SPAN("0")) && !span_eq_nocase(v, SPAN("false"));
}

static int bad_number(struct front *f, const char *key, struct span value)
{
    return api_op_err(&f->op, ERR_BAD_REQUEST, "%s: Invalid value: \"%.*s\": must be a number", key,
                      SPAN_ARG(value));
}

static int set_number(struct front *f, const char *key, struct span value, int64_t *ret)
{
    return span_to_i64(value, ret) ? 0 : bad_number(f, key, value);
}

static int set_propagation(struct api_op *op, struct span v)
{
    struct api_options *o = &op->options;
    if (span_eq(v, SPAN("Background"))) {
        o->propagation = CLIENT_PROPAGATION_BACKGROUND;
    } else if (span_eq(v, SPAN("Foreground"))) {
        o->propagation = CLIENT_PROPAGATION_FOREGROUND;
    } else if (span_eq(v, SPAN("Orphan"))) {
        o->propagation = CLIENT_PROPAGATION_ORPHAN;
    } else if (v.n) {
        return api_op_err(op, ERR_INVALID,
                          "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: "
                          "Unsupported value: \"%.*s\": supported values: \"Foreground\", "
                          "\"Background\", \"Orphan\", \"nil\"",
                          SPAN_ARG(v));
    }
    return 0;
}

static int set_dry_run(struct api_op *op, struct span v)
{
    if (v.n && !span_eq(v, SPAN("All"))) {
        return api_op_err(op, ERR_INVALID,
                          "dryRun: Unsupported value: \"%.*s\": supported values: \"All\"",
                          SPAN_ARG(v));
    }
    op->options.dry_run = v.n > 0;
    return 0;
}

static int set_validation(struct api_op *op, struct span v)
{
    struct api_options *o = &op->options;
    if (span_eq(v, SPAN("Strict"))) {
        o->strictness = SCHEMA_STRICT;
    } else if (span_eq(v, SPAN("Ignore"))) {
        o->strictness = SCHEMA_IGNORE;
    } else if (v.n && !span_eq(v, SPAN("Warn"))) {
        return api_op_err(op, ERR_INVALID,
                          "fieldValidation: Unsupported value: \"%.*s\": supported values: "
                          "\"\", \"Ignore\", \"Strict\", \"Warn\"",
                          SPAN_ARG(v));
    }
    return 0;
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
                *known[i].flag = is_true(v);
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
            op->verb = is_true(v) ? API_WATCH : op->verb;
        }
    } else if (span_eq(key, SPAN("sendInitialEvents"))) {
        o->has_send_initial = true;
        o->send_initial = is_true(v);
    } else if (span_eq(key, SPAN("force"))) {
        o->has_force = true;
        o->force = is_true(v);
    } else if (span_eq(key, SPAN("includeObject"))) {
        f->render.include_object = v;
    } else if (span_eq(key, SPAN("limit"))) {
        return set_number(f, "limit", v, &o->limit);
    } else if (span_eq(key, SPAN("timeoutSeconds"))) {
        return set_number(f, "timeoutSeconds", v, &o->timeout_s);
    } else if (span_eq(key, SPAN("gracePeriodSeconds"))) {
        return set_number(f, "gracePeriodSeconds", v, &o->grace_s);
    } else if (span_eq(key, SPAN("propagationPolicy"))) {
        return set_propagation(op, v);
    } else if (span_eq(key, SPAN("orphanDependents"))) {
        o->propagation = is_true(v) ? CLIENT_PROPAGATION_ORPHAN : CLIENT_PROPAGATION_BACKGROUND;
    } else if (span_eq(key, SPAN("dryRun"))) {
        return set_dry_run(op, v);
    } else if (span_eq(key, SPAN("fieldValidation"))) {
        return set_validation(op, v);
    }
    return 0; /* timeout, pretty and what newer clients add: Kubernetes passes over them too */
}

/* Options of a write that Kubernetes refuses as an invalid object of their own. */
static int bad_manager(struct front *f, const char *field, const char *type, struct span why)
{
    struct api_op *op = &f->op;
    const char *options = op->verb == API_CREATE   ? "CreateOptions"
                          : op->verb == API_UPDATE ? "UpdateOptions"
                                                   : "PatchOptions";
    (void)api_op_err(op, ERR_INVALID, "%s.meta.k8s.io \"\" is invalid: %s: %.*s", options, field,
                     SPAN_ARG(why));
    op->err.group = SPAN("meta.k8s.io");
    op->err.kind = span_cstr(options);
    op->err.name = SPAN_NULL;
    err_add_cause(op->arena, &op->err, type, span_cstr(field), why);
    return -1;
}

/* The name that the client gives itself, of any write. */
static int check_manager_name(struct front *f)
{
    struct span name = f->op.options.field_manager;
    if (name.n > LIMIT_FIELD_MANAGER_BYTES) {
        return bad_manager(f, "fieldManager", "FieldValueTooLong",
                           arena_printf(f->arena, "Too long: may not be more than %d bytes",
                                        LIMIT_FIELD_MANAGER_BYTES));
    }
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < ' ' || c == 0x7f) {
            return bad_manager(f, "fieldManager", "FieldValueInvalid",
                               arena_printf(f->arena,
                                            "Invalid value: invalid character U+%04X (at "
                                            "position %zu)",
                                            c, i));
        }
    }
    return 0;
}

int front_options(struct front *f)
{
    size_t at = 0;
    struct span key, value;
    f->op.options.grace_s = -1;
    f->op.options.strictness = SCHEMA_WARN;
    f->op.options.user_agent = http_header(f->x, "user-agent");
    while (http_query_next(f->x, &at, &key, &value)) {
        if (set_option(f, key, value)) {
            return -1;
        }
    }
    return check_manager_name(f);
}

/* ---- bodies ---- */

static struct span media_type(struct front *f)
{
    struct span rest = http_header(f->x, "content-type");
    return span_trim(span_cut(&rest, ';'));
}

static int unsupported(struct front *f, struct span type, const char *accepted)
{
    return api_op_err(&f->op, ERR_UNSUPPORTED_MEDIA_TYPE,
                      "the body of the request was in an unknown format (%.*s) - accepted media "
                      "types include: %s",
                      SPAN_ARG(type), accepted);
}

static int parse_json(struct front *f, struct span text)
{
    yyjson_doc *doc = NULL;
    if (json_parse(f->arena, text, &doc, &f->op.err)) {
        return -1;
    }
    f->op.body = yyjson_doc_get_root(doc);
    return 0;
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
        return parse_json(f, body);
    }
    if (span_eq_nocase(type, SPAN("application/yaml"))) {
        f->op.body = yaml_parse(f->arena, body, &f->op.err);
        return f->op.body ? 0 : -1;
    }
    if (span_eq_nocase(type, SPAN("application/vnd.kubernetes.protobuf"))) {
        return parse_protobuf(f, body);
    }
    return unsupported(f, type,
                       "application/json, application/yaml, application/vnd.kubernetes.protobuf");
}

/* The name and the force of a patch, as Kubernetes checks them. */
static int check_manager(struct front *f, bool is_apply)
{
    struct api_options *o = &f->op.options;
    if (is_apply && o->field_manager.n == 0) {
        return bad_manager(f, "fieldManager", "FieldValueRequired",
                           SPAN("Required value: is required for apply patch"));
    }
    if (!is_apply && o->has_force) {
        return bad_manager(f, "force", "FieldValueForbidden",
                           SPAN("Forbidden: may not be specified for non-apply patch"));
    }
    return 0;
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
        return !f->op.body ? -1 : check_manager(f, true);
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_eq_nocase(type, span_cstr(known[i].type))) {
            f->op.patch_type = known[i].patch;
            return check_manager(f, false) || parse_json(f, http_body(f->x)) ? -1 : 0;
        }
    }
    return unsupported(f, type,
                       "application/json-patch+json, application/merge-patch+json, "
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
    if (json_get(op->body, "orphanDependents") && json_get(op->body, "propagationPolicy")) {
        return api_op_err(
            op, ERR_INVALID,
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid "
            "value: \"%.*s\": orphanDependents and deletionPropagation cannot be both "
            "set",
            SPAN_ARG(json_get_str(op->body, "propagationPolicy")));
    }
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
    const yyjson_val *orphan = json_get(in, "orphanDependents");
    if (orphan) {
        o->propagation = json_get_bool(in, "orphanDependents", false)
                             ? CLIENT_PROPAGATION_ORPHAN
                             : CLIENT_PROPAGATION_BACKGROUND;
    }
    JSON_EACH(it, json_get(in, "dryRun"))
    {
        if (set_dry_run(op, json_str(it.val))) {
            return -1;
        }
    }
    return set_propagation(op, json_get_str(in, "propagationPolicy"));
}

int front_body(struct front *f)
{
    struct api_op *op = &f->op;
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
