/* apiserver/discovery.h: the discovery documents, made from the kinds once and kept as bytes. */
#ifndef APISERVER_DISCOVERY_H
#define APISERVER_DISCOVERY_H

#include "base/arena.h"
#include "base/span.h"
#include "schema/openapi.h"

struct discovery;

struct discovery_doc {
    struct span body, etag; /* etag with its quotes; made from the content */
};

/* server_address: "127.0.0.1:6443". custom: kinds beside the built-in ones (NULL: none), those of a
 * group together, the preferred version first; they outlive it. Everything lives in the arena: when
 * the custom kinds change, a new one is made in a new arena. */
struct discovery *discovery_new(struct arena *a, struct span server_address,
                                const struct openapi_kinds *custom);
/* Core (core true: /api) or the other groups (/apis) in the aggregated form, version "v2" or
 * "v2beta1". */
struct discovery_doc discovery_aggregated(struct discovery *d, bool core, const char *version);
struct discovery_doc discovery_api_versions(struct discovery *d);
struct discovery_doc discovery_groups(struct discovery *d);
/* Empty body: there is no such group (version). */
struct discovery_doc discovery_group(struct discovery *d, struct span group);
struct discovery_doc discovery_resources(struct discovery *d, struct span group,
                                         struct span version);
/* {"paths":[...]} of /. */
struct discovery_doc discovery_index(struct discovery *d);

/* OpenAPI; made at the first request. */
struct discovery_doc discovery_openapi_v2(struct discovery *d, bool protobuf);
struct discovery_doc discovery_openapi_v3_index(struct discovery *d);
struct discovery_doc discovery_openapi_v3_group(struct discovery *d, struct span group,
                                                struct span version);

#endif
