/* What they may. Until roles are enforced, the group system:masters and the control socket may do
 * everything, others nothing. */
#include "apiserver/front.h"
#include "base/check.h"

static bool has_group(const struct front *f, struct span group)
{
    struct span rest = f->op.groups;
    while (rest.n) {
        if (span_eq(span_cut(&rest, '\n'), group)) {
            return true;
        }
    }
    return false;
}

bool front_is_master(const struct front *f)
{
    return has_group(f, SPAN("system:masters"));
}

static const char *verb_name(enum api_verb verb)
{
    static const char *const names[] = {"get",    "list",  "watch",  "create",
                                        "update", "patch", "delete", "deletecollection"};
    return names[verb];
}

static void forbid(struct front *f)
{
    const struct api_op *op = &f->op;
    struct span user = op->user;
    struct err e = {.reason = ERR_FORBIDDEN};
    if (!op->kind) {
        e.message = arena_printf(f->arena, "forbidden: User \"%.*s\" cannot access path \"%.*s\"",
                                 SPAN_ARG(user), SPAN_ARG(http_path(f->x)));
        front_fail(f, &e);
        return;
    }
    struct span where = op->ns.n
                            ? arena_printf(f->arena, "in the namespace \"%.*s\"", SPAN_ARG(op->ns))
                            : SPAN("at the cluster scope");
    e.message = arena_printf(
        f->arena,
        "%s%s is forbidden: User \"%.*s\" cannot %s resource \"%s%s%s\" in API group \"%s\" %.*s",
        op->kind->resource,
        op->name.n ? arena_cstr(f->arena, arena_printf(f->arena, " \"%.*s\"", SPAN_ARG(op->name)))
                   : "",
        SPAN_ARG(user), verb_name(op->verb), op->kind->plural, op->sub ? "/" : "",
        op->sub ? op->sub->name : "", op->kind->group, SPAN_ARG(where));
    e.group = span_cstr(op->kind->group);
    e.kind = span_cstr(op->kind->plural);
    e.name = op->name;
    front_fail(f, &e);
}

/* Health and version are open, so that probes and load balancers need no certificate; accounts may
 * read who signs their tokens. */
int front_admit(struct front *f)
{
    if (f->route.type == ROUTE_HEALTH || f->route.type == ROUTE_VERSION || front_is_master(f) ||
        (!span_eq(f->op.user, SPAN(FRONT_ANONYMOUS)) && op_is_self_review(f->op.kind)) ||
        ((f->route.type == ROUTE_ISSUER || f->route.type == ROUTE_JWKS) &&
         has_group(f, SPAN("system:serviceaccounts")))) {
        return 0;
    }
    forbid(f);
    return -1;
}
