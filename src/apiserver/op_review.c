/* Questions about who somebody is and what they may do: answered by what decides about requests. */
#include "apiserver/authorize.h"
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "schema/kinds.h"

bool op_is_review(const struct schema_kind *kind)
{
    return kind && kind->verbs == SCHEMA_VERB_CREATE &&
           (strcmp(kind->group, "authentication.k8s.io") == 0 ||
            strcmp(kind->group, "authorization.k8s.io") == 0);
}

/* ---- may they? ---- */

static struct access_request resource_request(const yyjson_val *r)
{
    return (struct access_request){.verb = json_get_str(r, "verb"),
                                   .is_resource = true,
                                   .group = json_get_str(r, "group"),
                                   .resource = json_get_str(r, "resource"),
                                   .subresource = json_get_str(r, "subresource"),
                                   .ns = json_get_str(r, "namespace"),
                                   .name = json_get_str(r, "name")};
}

/* Whom the question is about. */
static struct access_user user_in_question(struct api_op *op, const yyjson_val *spec)
{
    const yyjson_val *groups = json_get(spec, "groups");
    if (op->kind == SCHEMA_KIND(SelfSubjectAccessReview)) {
        return authorize_user(op->arena, op->user, op->groups);
    }
    struct span *at = ARENA_ARRAY(op->arena, struct span, json_len(groups) + 1);
    size_t n = 0;
    JSON_EACH(it, groups)
    {
        at[n++] = json_str(it.val);
    }
    assert(n <= json_len(groups));
    return (struct access_user){json_get_str(spec, "user"), {at, n}};
}

static void put_access(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *status,
                       const yyjson_val *spec)
{
    const yyjson_val *resource = json_get(spec, "resourceAttributes");
    const yyjson_val *other = json_get(spec, "nonResourceAttributes");
    struct access_request r = {.verb = json_get_str(other, "verb"),
                               .path = json_get_str(other, "path")};
    struct span reason;
    if (resource) {
        r = resource_request(resource);
    }
    r.user = user_in_question(op, spec);
    json_put_bool(doc, status, "allowed", authorize(op->server, op->arena, &r, &reason));
    if (reason.n) {
        json_put_str(doc, status, "reason", reason);
    }
}

/* ---- what may I do? ---- */

static void put_list(yyjson_mut_doc *doc, yyjson_mut_val *rule, const char *key,
                     struct access_list list)
{
    yyjson_mut_val *out = yyjson_mut_arr(doc);
    for (size_t i = 0; i < list.n; i++) {
        (void)yyjson_mut_arr_append(out, json_new_str(doc, list.at[i]));
    }
    if (list.n) {
        json_put(doc, rule, key, out);
    }
}

static void put_rule(yyjson_mut_doc *doc, yyjson_mut_val *resource_rules,
                     yyjson_mut_val *other_rules, const struct access_rule *rule)
{
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    put_list(doc, out, "verbs", rule->verbs);
    if (rule->resources.n) {
        put_list(doc, out, "apiGroups", rule->groups);
        put_list(doc, out, "resources", rule->resources);
        put_list(doc, out, "resourceNames", rule->names);
    } else {
        put_list(doc, out, "nonResourceURLs", rule->urls);
    }
    (void)yyjson_mut_arr_append(rule->resources.n ? resource_rules : other_rules, out);
}

static void put_rules(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *status,
                      const yyjson_val *spec)
{
    yyjson_mut_val *resource_rules = yyjson_mut_arr(doc), *other_rules = yyjson_mut_arr(doc);
    struct access_user user = authorize_user(op->arena, op->user, op->groups);
    struct access_rules rules = access_everything;
    struct span fault = SPAN("");
    if (!authorize_is_master(op->groups)) {
        rules =
            authorize_rules(op->server, op->arena, &user, json_get_str(spec, "namespace"), &fault);
    }
    for (size_t i = 0; i < rules.n; i++) {
        put_rule(doc, resource_rules, other_rules, &rules.at[i]);
    }
    json_put(doc, status, "resourceRules", resource_rules);
    json_put(doc, status, "nonResourceRules", other_rules);
    json_put_bool(doc, status, "incomplete", false);
    if (fault.n) {
        json_put_str(doc, status, "evaluationError", fault);
    }
}

/* ---- who am I? ---- */

/* Its SHA-256 names it. */
static void put_certificate(const struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *extra)
{
    enum { BYTES = 32 };
    char hex[2 * BYTES + 1];
    assert(op->user_print.n == BYTES);
    for (size_t i = 0; i < BYTES; i++) {
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)op->user_print.p[i]);
    }
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    (void)yyjson_mut_arr_append(list,
                                json_new_str(doc, arena_printf(op->arena, "X509SHA256=%s", hex)));
    json_put(doc, extra, "authentication.kubernetes.io/credential-id", list);
}

static void put_self(const struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *status)
{
    yyjson_mut_val *user = yyjson_mut_obj(doc), *groups = yyjson_mut_arr(doc);
    struct span rest = op->groups;
    bool has_state = false;
    json_put_str(doc, user, "username", op->user);
    if (op->user_uid.n) {
        json_put_str(doc, user, "uid", op->user_uid);
    }
    while (rest.n) {
        struct span group = span_cut(&rest, '\n');
        has_state |= span_eq(group, SPAN("system:authenticated")) ||
                     span_eq(group, SPAN("system:unauthenticated"));
        (void)yyjson_mut_arr_append(groups, json_new_str(doc, group));
    }
    if (!has_state) {
        bool anonymous = span_eq(op->user, SPAN("system:anonymous"));
        (void)yyjson_mut_arr_append(
            groups,
            yyjson_mut_str(doc, anonymous ? "system:unauthenticated" : "system:authenticated"));
    }
    json_put(doc, user, "groups", groups);
    if (op->user_extra) {
        json_put(doc, user, "extra", json_mut_copy(doc, op->user_extra));
    } else if (op->user_print.n) {
        put_certificate(op, doc, json_mut_obj(doc, user, "extra"));
    }
    json_put(doc, status, "userInfo", user);
}

/* As an object that is invalid. */
static int invalid(struct api_op *op, const char *field, const char *type, struct span message)
{
    assert(op_is_review(op->kind));
    struct err bad = {0};
    err_add_cause(op->arena, &bad, type, span_cstr(field), message);
    (void)schema_invalid_finish(op->arena, op->kind, SPAN_NULL, &bad);
    op->err = bad;
    return -1;
}

static int check_access(struct api_op *op, const yyjson_val *spec)
{
    const yyjson_val *resource = json_get(spec, "resourceAttributes");
    const yyjson_val *other = json_get(spec, "nonResourceAttributes");
    bool local = strcmp(op->kind->kind, "LocalSubjectAccessReview") == 0;
    bool self = strcmp(op->kind->kind, "SelfSubjectAccessReview") == 0;
    if (resource && other) {
        return invalid(op, "spec.nonResourceAttributes", "FieldValueInvalid",
                       arena_printf(op->arena,
                                    "Invalid value: %.*s: cannot be specified in combination with "
                                    "resourceAttributes",
                                    SPAN_ARG(json_write(op->arena, other))));
    }
    if (!resource && !other) {
        return invalid(op, "spec.resourceAttributes", "FieldValueInvalid",
                       SPAN("Invalid value: null: exactly one of nonResourceAttributes or "
                            "resourceAttributes must be specified"));
    }
    if (!self && json_get_str(spec, "user").n == 0 && json_len(json_get(spec, "groups")) == 0) {
        return invalid(op, "spec.user", "FieldValueInvalid",
                       SPAN("Invalid value: \"\": at least one of user or group must be "
                            "specified"));
    }
    struct span ns = json_get_str(resource, "namespace");
    if (local && resource && !span_eq(ns, op->ns)) {
        return invalid(op, "spec.resourceAttributes.namespace", "FieldValueInvalid",
                       arena_printf(op->arena,
                                    "Invalid value: \"%.*s\": must match metadata.namespace",
                                    SPAN_ARG(ns)));
    }
    return 0;
}

static int check_question(struct api_op *op, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    if (strstr(op->kind->kind, "AccessReview")) {
        return check_access(op, spec);
    }
    if (op->kind == SCHEMA_KIND(TokenReview) && json_get_str(spec, "token").n == 0) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "token is required for TokenReview in authentication");
    }
    if (op->kind == SCHEMA_KIND(SelfSubjectRulesReview) && json_get_str(spec, "namespace").n == 0) {
        return api_op_err(op, ERR_BAD_REQUEST, "no namespace on request");
    }
    return 0;
}

static void put_answer(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *status,
                       const yyjson_val *spec)
{
    const struct schema_kind *kind = op->kind;
    if (kind == SCHEMA_KIND(SelfSubjectReview)) {
        put_self(op, doc, status);
    } else if (kind == SCHEMA_KIND(SelfSubjectRulesReview)) {
        put_rules(op, doc, status, spec);
    } else if (kind == SCHEMA_KIND(TokenReview)) {
        op_token_review(op, doc, status, spec);
    } else {
        put_access(op, doc, status, spec);
    }
}

void op_review(struct api_op *op)
{
    assert(op_is_review(op->kind));
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *obj = write_decode(op, op->body, NULL, doc);
    if (obj) {
        yyjson_val *question = json_freeze(op->arena, obj);
        if (check_question(op, question) == 0) {
            yyjson_mut_val *status = yyjson_mut_obj(doc);
            put_answer(op, doc, status, json_get(question, "spec"));
            json_put(doc, obj, "status", status);
            schema_defaults(doc, op->kind, obj);
            op->tree = json_freeze(op->arena, obj);
            op->http_status = 201;
        }
    }
    api_op_finish(op);
}
