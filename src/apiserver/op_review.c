/* Questions about who somebody is and what they may do. Until roles are enforced, members of
 * system:masters may do everything and others nothing, and that is what the answers say. */
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "schema/kinds.h"

#define MASTERS "system:masters"

bool op_is_review(const struct schema_kind *kind)
{
    return kind && kind->verbs == SCHEMA_VERB_CREATE &&
           (strcmp(kind->group, "authentication.k8s.io") == 0 ||
            strcmp(kind->group, "authorization.k8s.io") == 0);
}

bool op_is_self_review(const struct schema_kind *kind)
{
    return op_is_review(kind) && span_starts(span_cstr(kind->kind), SPAN("SelfSubject"));
}

static bool is_master(const struct api_op *op)
{
    struct span rest = op->groups;
    while (rest.n) {
        if (span_eq(span_cut(&rest, '\n'), SPAN(MASTERS))) {
            return true;
        }
    }
    return false;
}

static void put_access(yyjson_mut_doc *doc, yyjson_mut_val *status, bool allowed)
{
    json_put_bool(doc, status, "allowed", allowed);
    json_put_str(doc, status, "reason",
                 allowed ? SPAN("members of system:masters may do everything")
                         : SPAN("roles are not enforced yet: only members of system:masters may "
                                "do anything"));
}

static yyjson_mut_val *one_star(yyjson_mut_doc *doc)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    (void)yyjson_mut_arr_append(list, yyjson_mut_str(doc, "*"));
    return list;
}

static void put_rules(yyjson_mut_doc *doc, yyjson_mut_val *status, bool everything)
{
    static const char *const members[][4] = {{"verbs", "apiGroups", "resources", NULL},
                                             {"verbs", "nonResourceURLs", NULL}};
    static const char *const lists[] = {"resourceRules", "nonResourceRules"};
    for (size_t i = 0; i < 2; i++) {
        yyjson_mut_val *rules = yyjson_mut_arr(doc), *rule = yyjson_mut_obj(doc);
        for (size_t k = 0; members[i][k]; k++) {
            json_put(doc, rule, members[i][k], one_star(doc));
        }
        if (everything) {
            (void)yyjson_mut_arr_append(rules, rule);
        }
        json_put(doc, status, lists[i], rules);
    }
    json_put_bool(doc, status, "incomplete", false);
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
    }
    json_put(doc, status, "userInfo", user);
}

/* As an object that is invalid. */
static int invalid(struct api_op *op, const char *field, const char *type, struct span message)
{
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
    if (!op_is_self_review(op->kind) && json_get_str(spec, "user").n == 0 &&
        json_len(json_get(spec, "groups")) == 0) {
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
    bool master = is_master(op), named = false;
    JSON_EACH(it, json_get(spec, "groups"))
    {
        named |= span_eq(json_str(it.val), SPAN(MASTERS));
    }
    if (kind == SCHEMA_KIND(SelfSubjectReview)) {
        put_self(op, doc, status);
    } else if (kind == SCHEMA_KIND(SelfSubjectRulesReview)) {
        put_rules(doc, status, master);
    } else if (kind == SCHEMA_KIND(TokenReview)) {
        op_token_review(op, doc, status, spec);
    } else {
        put_access(doc, status, kind == SCHEMA_KIND(SelfSubjectAccessReview) ? master : named);
    }
}

void op_review(struct api_op *op)
{
    assert(op_is_review(op->kind));
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *obj = write_decode(op, op->body, doc);
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
