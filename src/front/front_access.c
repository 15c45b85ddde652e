/* Whether they may: members of system:masters and the control socket may do everything, others what
 * roles allow. Health and the version are open, so that probes and load balancers need no
 * certificate. */
#include "apiserver/authorize.h"
#include "base/check.h"
#include "codec/selector.h"
#include "front/front_priv.h"
#include "schema/kinds.h"

/* ---- what they ask for, in Kubernetes' terms ---- */

/* A list or a watch; of one object when the fields say so. What is asked about here is what will be
 * done: front_options() reads it both times. Bad options are refused by its second reading. */
static void look_at_query(struct front *f, struct access_request *r)
{
    struct field_selector selector;
    struct err ignored;
    struct span name;
    (void)front_options(f);
    f->op.err = (struct err){0};
    r->verb = f->op.verb == API_WATCH ? SPAN("watch") : SPAN("list");
    if (field_selector_parse(f->arena, f->op.options.field_selector, &selector, &ignored) == 0 &&
        field_selector_exact(&selector, SPAN("metadata.name"), &name) &&
        span_find(name, '/') == name.n && span_find(name, '%') == name.n) {
        r->name = name;
    }
}

/* Of the method; of one object, when r.name is there. */
static void look_at_method(struct front *f, struct access_request *r)
{
    struct span m = http_method(f->x);
    bool get = span_eq(m, SPAN("GET")) || span_eq(m, SPAN("HEAD"));
    if (get && f->route.is_watch) {
        r->verb = SPAN("watch");
    } else if (get && r->name.n == 0) {
        look_at_query(f, r);
    } else if (get) {
        r->verb = SPAN("get");
    } else if (span_eq(m, SPAN("POST"))) {
        r->verb = SPAN("create");
    } else if (span_eq(m, SPAN("PUT"))) {
        r->verb = SPAN("update");
    } else if (span_eq(m, SPAN("PATCH"))) {
        r->verb = SPAN("patch");
    } else if (span_eq(m, SPAN("DELETE"))) {
        r->verb = r->name.n ? SPAN("delete") : SPAN("deletecollection");
    } else {
        r->verb = SPAN("");
    }
}

static void known_resource(struct front *f, struct access_request *r)
{
    const struct route *route = &f->route;
    r->is_resource = true;
    r->group = span_cstr(route->kind->group);
    r->resource = span_cstr(route->kind->plural);
    r->subresource = route->sub ? span_cstr(route->sub->name) : SPAN_NULL;
    r->name = route->name;
    /* A namespace is in itself: who may read all of it may read it. */
    r->ns = route->kind == SCHEMA_KIND(Namespace) ? route->name : route->ns;
}

/* A path below a version that names no resource here: the answer to who may not ask for it is the
 * same, whether it is there or not. False: it is no such path. */
static bool unknown_resource(struct front *f, struct access_request *r)
{
    struct span rest = http_path(f->x), part[8] = {0};
    size_t n = 0, at = 2;
    while (rest.n && n < sizeof part / sizeof *part) {
        struct span raw = span_cut(&rest, '/');
        if (raw.n) {
            n += http_unescape(f->arena, raw, false, &part[n]);
        }
    }
    if (span_eq(part[0], SPAN("apis"))) {
        r->group = part[1];
        at = 3;
    } else if (!span_eq(part[0], SPAN("api"))) {
        return false;
    }
    if (n <= at) {
        r->group = SPAN_NULL;
        return false;
    }
    if (span_eq(part[at], SPAN("namespaces")) && n > at + 1) {
        r->ns = part[at + 1];
        at += n > at + 2 ? 2 : 0;
    }
    r->is_resource = true;
    r->resource = part[at];
    r->name = n > at + 1 ? part[at + 1] : SPAN_NULL;
    r->subresource = n > at + 2 ? part[at + 2] : SPAN_NULL;
    return true;
}

static void other_path(struct front *f, struct access_request *r)
{
    assert(f->x);
    struct span m = http_method(f->x);
    char *verb = arena_alloc_raw(f->arena, m.n + 1);
    for (size_t i = 0; i < m.n; i++) {
        verb[i] = (char)(m.p[i] >= 'A' && m.p[i] <= 'Z' ? m.p[i] | 0x20 : m.p[i]);
    }
    r->verb = span_of(verb, m.n);
    if (!http_unescape(f->arena, http_path(f->x), false, &r->path) || r->path.n == 0) {
        r->path = SPAN("/");
    }
}

static struct access_request request_of(struct front *f)
{
    struct access_request r = {.user = authorize_user(f->arena, f->op.user, f->op.groups)};
    bool resource = f->route.type == ROUTE_RESOURCE;
    if (resource) {
        known_resource(f, &r);
    } else if (f->route.type == ROUTE_NONE) {
        resource = unknown_resource(f, &r);
    }
    if (resource) {
        look_at_method(f, &r);
    } else {
        other_path(f, &r);
    }
    return r;
}

/* ---- the answer ---- */

int front_permit(struct front *f, const struct access_request *r)
{
    struct span reason;
    if (authorize(f->server, f->arena, r, &reason)) {
        return 0;
    }
    struct err e = authorize_forbidden(f->arena, r, reason);
    front_fail(f, &e);
    return -1;
}

int front_admit(struct front *f)
{
    if (f->route.type == ROUTE_HEALTH || f->route.type == ROUTE_VERSION ||
        authorize_is_master(f->op.groups)) {
        return 0;
    }
    struct access_request r = request_of(f);
    f->op.is_limited = true;
    return front_permit(f, &r);
}
