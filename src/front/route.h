/* front/route.h: what a path means. Pure: a path in, a route out; spans are in the arena. */
#ifndef FRONT_ROUTE_H
#define FRONT_ROUTE_H

#include "base/arena.h"
#include "schema/schema.h"

enum route_type {
    ROUTE_NONE,
    ROUTE_INDEX,        /* / */
    ROUTE_API_VERSIONS, /* /api */
    ROUTE_GROUPS,       /* /apis */
    ROUTE_GROUP,        /* /apis/G */
    ROUTE_RESOURCES,    /* /api/v1, /apis/G/V */
    ROUTE_RESOURCE,     /* everything below those */
    ROUTE_VERSION,
    ROUTE_HEALTH,     /* /livez, /readyz, /healthz, also /livez/CHECK */
    ROUTE_OPENAPI_V2, /* also /swagger-2.0.0.pb-v1 */
    ROUTE_OPENAPI_V3,
    ROUTE_OPENAPI_V3_GROUP, /* /openapi/v3/api/v1, /openapi/v3/apis/G/V */
    ROUTE_METRICS,
    ROUTE_ISSUER, /* /.well-known/openid-configuration: who signs tokens of accounts */
    ROUTE_JWKS    /* /openid/v1/jwks: with which key */
};

struct route {
    enum route_type type;
    struct span group, version;
    const struct schema_kind *kind;
    struct span ns, name;
    const struct schema_subresource *sub;
    bool is_watch;    /* the older form: /api/v1/watch/..., the same as ?watch=true */
    struct span rest; /* of a proxy: what follows it, from its slash on, still encoded */
    struct span word; /* the first segment of a health or swagger path */
};

/* path is still percent-encoded. Kinds are built in or custom (custom may be NULL); a custom one is
 * held until the arena is cleared. Unknown and malformed paths give ROUTE_NONE. */
struct definitions;
struct route route_parse(struct arena *a, const struct definitions *custom, struct span path);

#endif
