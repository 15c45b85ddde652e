/* In the name of another: whom the Impersonate headers name (kubectl --as, --as-group, --as-uid).
 */
#include "apiserver/front.h"
#include "base/check.h"

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

static int take_other(struct front *f, struct other *o)
{
    struct api_op *op = &f->op;
    if (!front_is_master(f)) {
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

int front_impersonate(struct front *f)
{
    struct other o = {.groups = STRBUF_INIT};
    int rc = read_headers(f, &o) ? take_other(f, &o) : 0;
    strbuf_done(&o.groups);
    return rc;
}
