/* Who asks: whom the certificate or the socket names or, for those who may do everything, whom the
 * Impersonate headers name (kubectl --as, --as-group, --as-uid). Until roles are enforced, the
 * group system:masters and the control socket may do everything, others nothing. */
#include "apiserver/front.h"
#include "base/check.h"

bool front_is_root_socket(const struct http_exchange *x)
{
    return span_eq(http_client_name(x), SPAN("root-socket")) &&
           span_starts(span_cstr(http_peer(x)), SPAN("unix"));
}

static bool may_do_everything(const struct front *f)
{
    struct span rest = f->op.groups;
    while (rest.n) {
        if (span_eq(span_cut(&rest, '\n'), SPAN("system:masters"))) {
            return true;
        }
    }
    return false;
}

static int fail(struct front *f, enum err_reason reason, struct span message)
{
    struct err e = {.reason = reason, .message = message};
    front_fail(f, &e);
    return -1;
}

/* ---- in the name of another ---- */

#define EXTRA SPAN("impersonate-extra-")

struct other {
    struct span user, uid;
    struct strbuf groups;
    yyjson_mut_doc *doc;
    yyjson_mut_val *extra; /* NULL: none */
    bool is_malformed;
};

/* The key is in the name of the header, in lower case, and may be percent-encoded. */
static void add_extra(struct front *f, struct other *o, struct span name, struct span value)
{
    struct span key;
    if (!http_unescape(f->arena, span_from(name, EXTRA.n), false, &key) || key.n == 0) {
        o->is_malformed = true;
        return;
    }
    char *lower = arena_alloc_raw(f->arena, key.n);
    for (size_t i = 0; i < key.n; i++) {
        lower[i] = (char)(key.p[i] >= 'A' && key.p[i] <= 'Z' ? key.p[i] | 0x20 : key.p[i]);
    }
    key = span_of(lower, key.n);
    if (!o->extra) {
        o->doc = json_mut_new(f->arena);
        o->extra = yyjson_mut_obj(o->doc);
    }
    yyjson_mut_val *list = yyjson_mut_obj_getn(o->extra, key.p, key.n);
    if (!list) {
        list = yyjson_mut_arr(o->doc);
        json_put_span(o->doc, o->extra, key, list);
    }
    (void)yyjson_mut_arr_append(list, json_new_str(o->doc, value));
}

/* Returns whether there is any such header. */
static bool read_headers(struct front *f, struct other *o)
{
    struct span name, value;
    size_t at = 0;
    bool any = false;
    while (http_header_next(f->x, &at, &name, &value)) {
        if (name.n < 12 || !span_starts(name, SPAN("impersonate-"))) {
            continue;
        }
        any = true;
        if (span_eq(name, SPAN("impersonate-user"))) {
            o->user = value;
        } else if (span_eq(name, SPAN("impersonate-uid"))) {
            o->uid = value;
        } else if (span_eq(name, SPAN("impersonate-group"))) {
            strbuf_puts(&o->groups, o->groups.n ? "\n" : "");
            strbuf_put(&o->groups, value);
        } else if (span_starts(name, EXTRA)) {
            add_extra(f, o, name, value);
        } else {
            o->is_malformed = true;
        }
    }
    return any;
}

/* Service accounts are in two groups without being asked. */
static void add_account_groups(struct other *o)
{
    struct span rest = o->user;
    if (o->groups.n == 0 && span_starts(rest, SPAN("system:serviceaccount:"))) {
        rest = span_from(rest, SPAN("system:serviceaccount:").n);
        struct span ns = span_cut(&rest, ':');
        strbuf_printf(&o->groups, "system:serviceaccounts\nsystem:serviceaccounts:%.*s",
                      SPAN_ARG(ns));
    }
}

static int take_other(struct front *f, struct other *o)
{
    struct api_op *op = &f->op;
    if (!may_do_everything(f)) {
        return fail(f, ERR_FORBIDDEN,
                    arena_printf(f->arena,
                                 "users \"%.*s\" is forbidden: User \"%.*s\" cannot impersonate "
                                 "resource \"users\" in API group \"\" at the cluster scope",
                                 SPAN_ARG(o->user), SPAN_ARG(op->user)));
    }
    if (!o->user.n || o->is_malformed) {
        return fail(f, ERR_BAD_REQUEST,
                    SPAN("to ask in the name of somebody else, name them in Impersonate-User; "
                         "Impersonate-Group, Impersonate-Uid and Impersonate-Extra-KEY may go with "
                         "it, other Impersonate headers are not known"));
    }
    add_account_groups(o);
    op->user = o->user;
    op->user_uid = o->uid;
    op->groups = arena_dup(f->arena, strbuf_span(&o->groups));
    op->user_extra = o->extra ? json_freeze(f->arena, o->extra) : NULL;
    return 0;
}

int front_identify(struct front *f)
{
    struct api_op *op = &f->op;
    struct other o = {.groups = STRBUF_INIT};
    int rc = 0;
    op->user = http_client_name(f->x);
    op->groups = front_is_root_socket(f->x) ? SPAN("system:masters") : http_client_orgs(f->x);
    if (read_headers(f, &o)) {
        rc = take_other(f, &o);
    }
    strbuf_done(&o.groups);
    return rc;
}

/* ---- what they may ---- */

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

/* Health and version are open, so that probes and load balancers need no certificate. */
int front_admit(struct front *f)
{
    if (f->route.type == ROUTE_HEALTH || f->route.type == ROUTE_VERSION || may_do_everything(f) ||
        (f->op.user.n && op_is_self_review(f->op.kind))) {
        return 0;
    }
    if (f->op.user.n == 0) {
        return fail(f, ERR_UNAUTHORIZED, SPAN("Unauthorized"));
    }
    forbid(f);
    return -1;
}
