/* In the name of another: whom the Impersonate headers name (kubectl --as, --as-group, --as-uid).
 */
#include "apiserver/authorize.h"
#include "base/check.h"
#include "front/front_priv.h"

static int fail(struct front *f, enum err_reason reason, struct span message)
{
    struct err e = {.reason = reason, .message = message};
    front_fail(f, &e);
    return -1;
}

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

/* As Kubernetes does: whoever is not anonymous is authenticated, unless the groups say it. */
static struct span groups_of(struct front *f, struct other *o)
{
    struct span groups = arena_dup(f->arena, strbuf_span(&o->groups));
    bool anonymous = span_eq(o->user, SPAN("system:anonymous"));
    if (!anonymous && authorize_has_group(groups, SPAN("system:unauthenticated"))) {
        return groups;
    }
    return authorize_with_group(f->arena, groups,
                                anonymous ? SPAN("system:unauthenticated")
                                          : SPAN("system:authenticated"));
}

/* ---- may they? ---- */

static int permit(struct front *f, const char *group, const char *resource, struct span sub,
                  struct span ns, struct span name)
{
    struct access_request r = {.user = authorize_user(f->arena, f->op.user, f->op.groups),
                               .verb = SPAN("impersonate"),
                               .is_resource = true,
                               .group = span_cstr(group),
                               .resource = span_cstr(resource),
                               .subresource = sub,
                               .ns = ns,
                               .name = name};
    return front_permit(f, &r);
}

static int permit_user(struct front *f, const struct other *o)
{
    static const struct span prefix = SPAN("system:serviceaccount:");
    struct span rest = span_from(o->user, prefix.n), ns = span_cut(&rest, ':');
    if (span_starts(o->user, prefix) && ns.n && rest.n && span_find(rest, ':') == rest.n) {
        return permit(f, "", "serviceaccounts", SPAN_NULL, ns, rest);
    }
    return permit(f, "", "users", SPAN_NULL, SPAN_NULL, o->user);
}

static int permit_extra(struct front *f, const struct other *o)
{
    size_t i, n, k, m;
    yyjson_mut_val *key, *list, *value;
    if (!o->extra) {
        return 0;
    }
    yyjson_mut_obj_foreach(o->extra, i, n, key, list)
    {
        yyjson_mut_arr_foreach(list, k, m, value)
        {
            if (permit(f, "authentication.k8s.io", "userextras", json_mut_str(key), SPAN_NULL,
                       json_mut_str(value))) {
                return -1;
            }
        }
    }
    return 0;
}

/* The groups of a service account that are not asked for go with it. */
static int permit_all(struct front *f, const struct other *o)
{
    struct span groups = strbuf_span(&o->groups);
    if (permit_user(f, o)) {
        return -1;
    }
    while (groups.n) {
        if (permit(f, "", "groups", SPAN_NULL, SPAN_NULL, span_cut(&groups, '\n'))) {
            return -1;
        }
    }
    if (permit_extra(f, o)) {
        return -1;
    }
    return o->uid.n ? permit(f, "authentication.k8s.io", "uids", SPAN_NULL, SPAN_NULL, o->uid) : 0;
}

static int take_other(struct front *f, struct other *o)
{
    struct api_op *op = &f->op;
    if (!o->user.n || o->is_malformed) {
        return fail(f, ERR_BAD_REQUEST,
                    SPAN("to ask in the name of somebody else, name them in Impersonate-User; "
                         "Impersonate-Group, Impersonate-Uid and Impersonate-Extra-KEY may go with "
                         "it, other Impersonate headers are not known"));
    }
    if (!authorize_is_master(op->groups) && permit_all(f, o)) {
        return -1;
    }
    add_account_groups(o);
    op->user = o->user;
    op->user_uid = o->uid;
    op->user_print = SPAN_NULL;
    op->groups = groups_of(f, o);
    op->user_extra = o->extra ? json_freeze(f->arena, o->extra) : NULL;
    return 0;
}

int front_impersonate(struct front *f)
{
    assert(f->x);
    struct other o = {.groups = STRBUF_INIT};
    int rc = read_headers(f, &o) ? take_other(f, &o) : 0;
    strbuf_done(&o.groups);
    return rc;
}
