#include "apiserver/authorize.h"

#include "apiserver/server.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "schema/kinds.h"

struct roles {
    struct apiserver *server;
    struct access *access;
    struct watcher *watchers[ACCESS_KINDS];
};

static const struct schema_kind *kind_of(enum access_kind kind)
{
    switch (kind) {
    case ACCESS_ROLE:
        return SCHEMA_KIND(Role);
    case ACCESS_ROLE_BINDING:
        return SCHEMA_KIND(RoleBinding);
    case ACCESS_CLUSTER_ROLE:
        return SCHEMA_KIND(ClusterRole);
    default:
        return SCHEMA_KIND(ClusterRoleBinding);
    }
}

/* ---- the index ---- */

static void put(struct roles *r, enum access_kind kind, struct object *o)
{
    assert(kind < ACCESS_KINDS);
    struct object_glance glance = object_glance_begin(o);
    access_put(r->access, kind, object_namespace(o), object_name(o), object_root(o));
    object_glance_end(&glance);
}

struct listing {
    struct roles *roles;
    enum access_kind kind;
};

static bool on_existing(void *data, struct object *o)
{
    struct listing *l = data;
    put(l->roles, l->kind, o);
    return true;
}

static void on_more(void *data);

static void stop(struct roles *r)
{
    for (int i = 0; i < ACCESS_KINDS; i++) {
        watcher_free(TAKE_PTR(r->watchers[i]));
    }
    access_free(TAKE_PTR(r->access));
}

static void start(struct roles *r)
{
    struct watch_hub *hub = r->server->hub;
    assert(!r->access);
    r->access = access_new();
    for (int i = 0; i < ACCESS_KINDS; i++) {
        struct listing listing = {r, (enum access_kind)i};
        struct watch_filter filter = {.resource = span_cstr(kind_of(listing.kind)->resource)};
        struct watch_event e;
        r->watchers[i] = watcher_new(hub, &filter, watch_hub_rev(hub), on_more, r);
        assert(r->watchers[i]);
        (void)watch_hub_list(hub, &filter, SPAN_NULL, on_existing, &listing);
        /* The watcher says "more" only after it has once had nothing. */
        while (watcher_next(r->watchers[i], &e) == 1) {
        }
    }
}

/* Takes in what has changed. */
static void follow(struct roles *r)
{
    for (int i = 0; i < ACCESS_KINDS; i++) {
        assert(r->watchers[i]);
        struct watch_event e;
        int rc;
        while ((rc = watcher_next(r->watchers[i], &e)) == 1) {
            if (e.type == WATCH_DELETED) {
                access_drop(r->access, (enum access_kind)i, object_namespace(e.object),
                            object_name(e.object));
            } else if (e.object) {
                put(r, (enum access_kind)i, e.object);
            }
        }
        if (rc == E_LIMIT) { /* overrun by a burst: look at what there is */
            stop(r);
            start(r);
            return;
        }
    }
}

static void on_more(void *data)
{
    follow(data);
}

static struct access *access_of(struct apiserver *s)
{
    if (!s->roles) {
        s->roles = MEM_NEW(struct roles);
        s->roles->server = s;
        start(s->roles);
    }
    follow(s->roles);
    return s->roles->access;
}

void roles_free(struct roles *r)
{
    if (r) {
        stop(r);
        free(r);
    }
}

/* ---- decisions ---- */

bool authorize_has_group(struct span groups, struct span group)
{
    while (groups.n) {
        if (span_eq(span_cut(&groups, '\n'), group)) {
            return true;
        }
    }
    return false;
}

bool authorize_is_master(struct span groups)
{
    return authorize_has_group(groups, SPAN("system:masters"));
}

struct span authorize_with_group(struct arena *a, struct span groups, struct span group)
{
    assert(group.n);
    if (authorize_has_group(groups, group)) {
        return groups;
    }
    return arena_printf(a, "%.*s%s%.*s", SPAN_ARG(groups), groups.n ? "\n" : "", SPAN_ARG(group));
}

struct access_user authorize_user(struct arena *a, struct span name, struct span groups)
{
    size_t n = 0, max = 1;
    for (size_t i = 0; i < groups.n; i++) {
        max += groups.p[i] == '\n';
    }
    struct span *at = ARENA_ARRAY(a, struct span, max);
    while (groups.n) {
        at[n++] = span_cut(&groups, '\n');
    }
    assert(n <= max);
    return (struct access_user){name, {at, n}};
}

bool authorize(struct apiserver *s, struct arena *a, const struct access_request *r,
               struct span *ret_reason)
{
    assert(s);
    assert(r);
    assert(ret_reason);
    if (access_list_has(r->user.groups, SPAN("system:masters"))) {
        *ret_reason = SPAN("");
        return true;
    }
    return access_decide(access_of(s), a, r, ret_reason);
}

struct access_rules authorize_rules(struct apiserver *s, struct arena *a,
                                    const struct access_user *user, struct span ns,
                                    struct span *ret_fault)
{
    return access_rules_of(access_of(s), a, user, ns, ret_fault);
}

bool authorize_role(struct apiserver *s, struct span ref_kind, struct span ref_name, struct span ns,
                    struct access_rules *ret)
{
    return access_role_rules(access_of(s), ref_kind, ref_name, ns, ret);
}

struct err authorize_forbidden(struct arena *a, const struct access_request *r, struct span reason)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_put(&out, r->resource);
    strbuf_printf(&out, "%s%.*s", r->group.n ? "." : "", SPAN_ARG(r->group));
    if (r->is_resource && r->name.n) {
        strbuf_puts(&out, " ");
        strbuf_put_quoted(&out, r->name);
    }
    strbuf_puts(&out, r->is_resource ? " is forbidden: " : "forbidden: ");
    strbuf_put(&out, access_cannot(a, r));
    strbuf_printf(&out, "%s%.*s", reason.n ? ": " : "", SPAN_ARG(reason));
    return (struct err){.reason = ERR_FORBIDDEN,
                        .message = arena_dup(a, strbuf_span(&out)),
                        .group = r->group,
                        .kind = r->resource,
                        .name = r->name};
}

int authorize_apply_create(struct api_op *op)
{
    struct span reason;
    const struct schema_kind *kind = op->view ? op->view : op->kind;
    struct access_request r = {.user = authorize_user(op->arena, op->user, op->groups),
                               .verb = SPAN("create"),
                               .is_resource = true,
                               .group = span_cstr(kind->group),
                               .resource = span_cstr(kind->plural),
                               .ns = op->ns,
                               .name = op->name};
    if (!op->is_limited || authorize(op->server, op->arena, &r, &reason)) {
        return 0;
    }
    op->err = authorize_forbidden(op->arena, &r, reason);
    return -1;
}
