#include "front/route.h"

#include "apiserver/definitions.h"
#include "base/check.h"
#include "http/http.h"
#include "schema/custom.h"

/* /apis/G/V/namespaces/NS/PLURAL/NAME/SUB and /apis/G/V/watch/namespaces/NS/PLURAL/NAME are the
 * longest paths that mean something. */
enum { SEGMENTS_MAX = 9 };

struct segments {
    struct span at[SEGMENTS_MAX];
    size_t n;
    struct arena *a;
    const struct definitions *custom;
};

static bool split(struct arena *a, struct span path, struct segments *ret)
{
    *ret = (struct segments){0};
    if (path.n == 0 || path.p[0] != '/') {
        return false;
    }
    struct span rest = span_from(path, 1);
    while (rest.n) {
        struct span raw = span_cut(&rest, '/');
        if (raw.n == 0 && rest.n == 0) {
            return true; /* one slash at the end is forgiven */
        }
        if (raw.n == 0 || ret->n == SEGMENTS_MAX ||
            !http_unescape(a, raw, false, &ret->at[ret->n])) {
            return false;
        }
        ret->n++;
    }
    return true;
}

static const struct schema_subresource *find_sub(const struct schema_kind *kind, struct span name)
{
    for (size_t i = 0; i < kind->subresource_count; i++) {
        if (span_eq_cstr(name, kind->subresources[i].name)) {
            return &kind->subresources[i];
        }
    }
    return NULL;
}

/* PLURAL [NAME [SUB]] in segments from `at` on. */
static struct route resource_at(struct route r, const struct segments *s, size_t at, bool in_ns)
{
    const struct route none = {.type = ROUTE_NONE};
    size_t left = s->n - at;
    r.kind = schema_resource_find(r.group, r.version, s->at[at]);
    if (!r.kind && s->custom) {
        r.kind = definitions_find(s->custom, r.group, r.version, s->at[at]);
        custom_hold(s->a, r.kind);
    }
    if (!r.kind || left > (r.is_watch ? 2 : 3) || (in_ns && !r.kind->namespaced) ||
        (!in_ns && r.kind->namespaced && left > 1)) {
        return none;
    }
    r.type = ROUTE_RESOURCE;
    if (left > 1) {
        r.name = s->at[at + 1];
    }
    if (left > 2) {
        r.sub = find_sub(r.kind, s->at[at + 2]);
        if (!r.sub) {
            return none;
        }
    }
    return r;
}

static struct route below_version(struct route r, const struct segments *s, size_t at)
{
    size_t left = s->n - at;
    if (left == 0) {
        r.type = ROUTE_RESOURCES;
        return r;
    }
    if (left > 1 && span_eq(s->at[at], SPAN("watch"))) {
        r.is_watch = true;
        at++;
        left--;
    }
    if (left < 3 || !span_eq(s->at[at], SPAN("namespaces"))) {
        return resource_at(r, s, at, false);
    }
    if (left == 3 && r.group.n == 0) { /* namespaces/NAME/status, or a collection in it */
        const struct schema_kind *ns = schema_resource_find(r.group, r.version, s->at[at]);
        if (ns && find_sub(ns, s->at[at + 2])) {
            return resource_at(r, s, at, false);
        }
    }
    r.ns = s->at[at + 1];
    return resource_at(r, s, at + 2, true);
}

static struct route route_openapi(const struct segments *s)
{
    struct route r = {.type = ROUTE_NONE};
    if (s->n == 2 && span_eq(s->at[1], SPAN("v2"))) {
        r.type = ROUTE_OPENAPI_V2;
    } else if (s->n == 2 && span_eq(s->at[1], SPAN("v3"))) {
        r.type = ROUTE_OPENAPI_V3;
    } else if (s->n == 4 && span_eq(s->at[1], SPAN("v3")) && span_eq(s->at[2], SPAN("api"))) {
        r.type = ROUTE_OPENAPI_V3_GROUP;
        r.version = s->at[3];
    } else if (s->n == 5 && span_eq(s->at[1], SPAN("v3")) && span_eq(s->at[2], SPAN("apis"))) {
        r.type = ROUTE_OPENAPI_V3_GROUP;
        r.group = s->at[3];
        r.version = s->at[4];
    }
    return r;
}

static struct route route_api(const struct segments *s)
{
    struct route r = {.type = ROUTE_NONE};
    if (span_eq(s->at[0], SPAN("api"))) {
        if (s->n == 1) {
            r.type = ROUTE_API_VERSIONS;
        } else if (span_eq(s->at[1], SPAN("v1"))) {
            r.version = s->at[1];
            return below_version(r, s, 2);
        }
        return r;
    }
    if (s->n == 1) {
        r.type = ROUTE_GROUPS;
        return r;
    }
    r.group = s->at[1];
    if (s->n == 2) {
        r.type = ROUTE_GROUP;
        return r;
    }
    r.version = s->at[2];
    return below_version(r, s, 3);
}

/* Everything behind .../NAME/proxy belongs to somebody else: cut off, and returned. */
static struct span cut_proxy(struct span *path)
{
    struct span head = span_from(*path, 1), word = SPAN_NULL, kind = SPAN_NULL;
    bool is_core = span_starts(*path, SPAN("/api/v1/"));
    bool in_namespace = span_starts(*path, SPAN("/api/v1/namespaces/"));
    for (size_t i = 0, at = in_namespace ? 6 : 4; is_core && i <= at && head.n; i++) {
        word = span_cut(&head, '/');
        kind = i + 2 == at ? word : kind;
        if (i < at) {
            continue;
        }
        bool proxied = in_namespace ? span_eq_cstr(kind, "pods") || span_eq_cstr(kind, "services")
                                    : span_eq_cstr(kind, "nodes");
        size_t end = (size_t)(word.p - path->p) + word.n;
        if (proxied && span_eq_cstr(word, "proxy") && end < path->n) {
            struct span rest = span_from(*path, end);
            *path = span_first(*path, end);
            return rest;
        }
    }
    return SPAN_NULL;
}

static struct route parse_whole(struct arena *a, const struct definitions *custom, struct span path)
{
    static const struct {
        const char *word;
        enum route_type type;
    } words[] = {{"version", ROUTE_VERSION},
                 {"metrics", ROUTE_METRICS},
                 {"swagger-2.0.0.pb-v1", ROUTE_OPENAPI_V2},
                 {"livez", ROUTE_HEALTH},
                 {"readyz", ROUTE_HEALTH},
                 {"healthz", ROUTE_HEALTH}};
    struct route r = {.type = ROUTE_NONE};
    struct segments s;
    if (!split(a, path, &s)) {
        return r;
    }
    s.a = a;
    s.custom = custom;
    if (s.n == 0) {
        r.type = ROUTE_INDEX;
        return r;
    }
    if (span_eq(s.at[0], SPAN("api")) || span_eq(s.at[0], SPAN("apis"))) {
        return route_api(&s);
    }
    if (span_eq(s.at[0], SPAN("openapi"))) {
        return route_openapi(&s);
    }
    if (s.n == 2 && span_eq(s.at[0], SPAN(".well-known")) &&
        span_eq(s.at[1], SPAN("openid-configuration"))) {
        r.type = ROUTE_ISSUER;
        return r;
    }
    if (s.n == 3 && span_eq(s.at[0], SPAN("openid")) && span_eq(s.at[1], SPAN("v1")) &&
        span_eq(s.at[2], SPAN("jwks"))) {
        r.type = ROUTE_JWKS;
        return r;
    }
    r.word = s.at[0];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_eq_cstr(r.word, words[i].word) &&
            (s.n == 1 || (s.n == 2 && words[i].type == ROUTE_HEALTH))) {
            r.type = words[i].type;
            r.name = s.n == 2 ? s.at[1] : SPAN_NULL; /* the check */
        }
    }
    return r;
}

struct route route_parse(struct arena *a, const struct definitions *custom, struct span path)
{
    assert(a);
    struct span rest = cut_proxy(&path);
    struct route r = parse_whole(a, custom, path);
    r.rest = rest;
    return r;
}
