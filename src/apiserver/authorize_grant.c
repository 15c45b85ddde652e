/* Nobody gives what they do not have: the writer of a role holds everything in it or may `escalate`
 * it; the writer of a binding holds everything in its role or may `bind` that. Nor do they speak
 * for signers that they may not. */
#include "apiserver/authorize.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "codec/json.h"
#include "schema/kinds.h"

static bool may(struct api_op *op, const char *verb, const char *resource, struct span name)
{
    struct span reason;
    struct access_request r = {.user = authorize_user(op->arena, op->user, op->groups),
                               .verb = span_cstr(verb),
                               .is_resource = true,
                               .group = SPAN("rbac.authorization.k8s.io"),
                               .resource = span_cstr(resource),
                               .ns = op->ns,
                               .name = name};
    return authorize(op->server, op->arena, &r, &reason);
}

static bool holds(struct api_op *op, const struct access_rules *wanted, struct span *ret_why)
{
    struct access_user user = authorize_user(op->arena, op->user, op->groups);
    struct span fault;
    struct access_rules held = authorize_rules(op->server, op->arena, &user, op->ns, &fault);
    return access_may_grant(op->arena, &user, &held, fault, wanted, ret_why);
}

/* What the garbage collector needs for its work, which gives nothing to anybody. */
static bool is_only_about_owners(struct api_op *op, const yyjson_mut_val *obj,
                                 const yyjson_val *old)
{
    static const char *const passed_over[] = {"ownerReferences", "finalizers", "managedFields",
                                              "resourceVersion"};
    yyjson_mut_doc *doc = json_mut_new(op->arena);
    yyjson_mut_val *now = yyjson_mut_val_mut_copy(doc, (yyjson_mut_val *)(uintptr_t)obj);
    yyjson_mut_val *was = old ? json_mut_copy(doc, old) : NULL;
    for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++) {
        json_remove(json_mut_get(now, "metadata"), passed_over[i]);
        json_remove(json_mut_get(was, "metadata"), passed_over[i]);
    }
    return was && json_mut_equal(now, was);
}

static int check_role(struct api_op *op, const yyjson_val *obj, const yyjson_val *old)
{
    struct access_rules rules = access_rules_read(op->arena, json_get(obj, "rules"));
    struct span why = SPAN("");
    /* Whoever creates names nothing, as far as roles go. */
    struct span name = op->verb == API_CREATE ? SPAN_NULL : op->name;
    if (may(op, "escalate", op->kind->plural, name)) {
        return 0;
    }
    if (!holds(op, &rules, &why)) {
        return api_op_forbidden(op, op->name, why);
    }
    if ((json_get(obj, "aggregationRule") || json_get(old, "aggregationRule")) &&
        !holds(op, &access_everything, &why)) {
        return api_op_forbidden(
            op, op->name, SPAN("must have cluster-admin privileges to use an aggregationRule"));
    }
    return 0;
}

static int check_binding(struct api_op *op, const yyjson_val *obj)
{
    const yyjson_val *ref = json_get(obj, "roleRef");
    struct span kind = json_get_str(ref, "kind"), name = json_get_str(ref, "name"), why = SPAN("");
    bool cluster = span_eq(kind, SPAN("ClusterRole"));
    struct access_rules rules;
    if ((!cluster && !span_eq(kind, SPAN("Role"))) || name.n == 0) {
        return 0; /* no role at all: the object is invalid */
    }
    if (may(op, "bind", cluster ? "clusterroles" : "roles", name)) {
        return 0;
    }
    if (!authorize_role(op->server, kind, name, op->ns, &rules)) {
        struct span what = access_no_role(op->arena, kind, name);
        op->err = (struct err){.reason = ERR_NOT_FOUND,
                               .message = what,
                               .group = SPAN("rbac.authorization.k8s.io"),
                               .kind = cluster ? SPAN("clusterrole") : SPAN("role"),
                               .name = name};
        return -1;
    }
    return holds(op, &rules, &why) ? 0 : api_op_forbidden(op, op->name, why);
}

int authorize_grant(struct api_op *op, const yyjson_mut_val *obj, const yyjson_val *old)
{
    bool role = op->kind == SCHEMA_KIND(Role) || op->kind == SCHEMA_KIND(ClusterRole);
    assert(role || op->kind == SCHEMA_KIND(RoleBinding) ||
           op->kind == SCHEMA_KIND(ClusterRoleBinding));
    if (!op->is_limited || is_only_about_owners(op, obj, old)) {
        return 0;
    }
    const yyjson_val *wanted = json_freeze(op->arena, obj);
    return role ? check_role(op, wanted, old) : check_binding(op, wanted);
}

/* ---- certificates ---- */

/* For the signer, or for all of its domain. */
static bool may_for_signer(struct api_op *op, const char *verb, struct span signer)
{
    struct span rest = signer, domain = span_cut(&rest, '/'), reason;
    const struct span names[] = {signer, arena_printf(op->arena, "%.*s/*", SPAN_ARG(domain))};
    struct access_request r = {.user = authorize_user(op->arena, op->user, op->groups),
                               .verb = span_cstr(verb),
                               .is_resource = true,
                               .group = SPAN("certificates.k8s.io"),
                               .resource = SPAN("signers")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        r.name = names[i];
        if (authorize(op->server, op->arena, &r, &reason)) {
            return true;
        }
    }
    return false;
}

static bool is_same_status(struct api_op *op, const yyjson_mut_val *obj, const yyjson_val *old)
{
    const yyjson_val *now = json_freeze(op->arena, obj);
    const yyjson_val *is = json_get(now, "status"), *was = json_get(old, "status");
    return json_equal(json_get(is, "certificate"), json_get(was, "certificate")) &&
           json_equal(json_get(is, "conditions"), json_get(was, "conditions"));
}

int authorize_status(struct api_op *op, const yyjson_mut_val *obj, const yyjson_val *old)
{
    assert(op);
    assert(obj);
    assert(old);
    if (!op->is_limited || op->kind != SCHEMA_KIND(CertificateSigningRequest)) {
        return 0;
    }
    const char *verb = api_sub_is(op, "approval") ? "approve" : "sign";
    struct span signer = json_str(json_path(old, "spec", "signerName", NULL));
    if ((!api_sub_is(op, "approval") && is_same_status(op, obj, old)) ||
        may_for_signer(op, verb, signer)) {
        return 0;
    }
    return api_op_forbidden(
        op, op->name,
        arena_printf(op->arena, "user not permitted to %s requests with signerName \"%.*s\"", verb,
                     SPAN_ARG(signer)));
}
