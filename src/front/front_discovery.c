/* Discovery and OpenAPI over HTTP: content negotiation, ETags and caching. */
#include <string.h>

#include "apiserver/definitions.h"
#include "apiserver/discovery.h"

#include "base/check.h"
#include "front/front_priv.h"
#include "front/reply.h"

#define OPENAPI_V2_ACCEPT "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#define OPENAPI_V2_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

/* Is the path below a group that is built in? Only there Kubernetes' answers are of the API. */
static bool is_below_group(struct span path)
{
    if (span_eq(path, SPAN("/api")) || span_starts(path, SPAN("/api/"))) {
        return true;
    }
    struct span rest = span_from(path, 1), first = span_cut(&rest, '/');
    struct span group = span_cut(&rest, '/');
    for (size_t i = 0; span_eq(first, SPAN("apis")) && i < schema_kind_count(); i++) {
        const struct schema_kind *kind = schema_kind_at(i);
        if (span_eq_cstr(group, kind->group) &&
            schema_resource_by_name(span_cstr(kind->resource))) {
            return true;
        }
    }
    return false;
}

void front_not_found(struct front *f)
{
    if (is_below_group(http_path(f->x))) {
        struct err e = {.reason = ERR_NOT_FOUND,
                        .message = SPAN("the server could not find the requested resource")};
        front_fail(f, &e);
        return;
    }
    front_count(f, 404);
    http_add_header(f->x, "X-Content-Type-Options", SPAN("nosniff"));
    http_reply(f->x, 404, "text/plain; charset=utf-8", SPAN("404 page not found\n"));
}

static bool etag_matches(struct span header, struct span etag)
{
    while (header.n) {
        struct span one = span_trim(span_cut(&header, ','));
        if (span_starts(one, SPAN("W/"))) {
            one = span_from(one, 2);
        }
        if (span_eq(one, etag) || span_eq(one, SPAN("*"))) {
            return true;
        }
    }
    return false;
}

static void reply(struct front *f, struct discovery_doc doc, const char *type, bool with_etag)
{
    if (!doc.body.n) {
        front_not_found(f);
        return;
    }
    if (with_etag) {
        http_add_header(f->x, "ETag", doc.etag);
        http_add_header(f->x, "Vary", SPAN("Accept"));
        if (etag_matches(http_header(f->x, "if-none-match"), doc.etag)) {
            http_reply(f->x, 304, type, SPAN_NULL);
            return;
        }
    }
    if (f->route.type == ROUTE_INDEX) {
        reply_pretty(f->x, doc.body);
    } else if (f->route.type >= ROUTE_OPENAPI_V2) { /* of many megabytes: never laid out */
        http_reply(f->x, 200, type, doc.body);
    } else {
        reply_json(f->x, 200, type, doc.body);
    }
}

void front_discovery(struct front *f)
{
    assert(f->x);
    struct discovery *d = definitions_discovery(f->server->definitions);
    const struct route *r = &f->route;
    struct api_accept accept;
    if (!api_negotiate(http_header(f->x, "accept"), FORMS_DISCOVERY, &accept)) {
        struct err e = {.reason = ERR_NOT_ACCEPTABLE,
                        .message = SPAN("only the following media types are accepted: "
                                        "application/json, application/yaml")};
        front_fail(f, &e);
        return;
    }
    bool aggregated = accept.form == FORM_DISCOVERY;
    if (aggregated && (r->type == ROUTE_API_VERSIONS || r->type == ROUTE_GROUPS)) {
        reply(f, discovery_aggregated(d, r->type == ROUTE_API_VERSIONS, accept.version),
              accept.content_type, true);
        return;
    }
    struct discovery_doc doc = {0};
    switch (r->type) {
    case ROUTE_INDEX:
        doc = discovery_index(d);
        break;
    case ROUTE_API_VERSIONS:
        doc = discovery_api_versions(d);
        break;
    case ROUTE_GROUPS:
        doc = discovery_groups(d);
        break;
    case ROUTE_GROUP:
        doc = discovery_group(d, r->group);
        break;
    default:
        doc = discovery_resources(d, r->group, r->version);
        break;
    }
    bool yaml = strcmp(accept.content_type, API_YAML) == 0;
    reply(f, doc, yaml ? API_YAML : "application/json", false);
}

/* The hash in the URL names the content: with it the answer may be kept for ever. */
static void set_caching(struct front *f, struct span hash)
{
    if (hash.n) {
        http_add_header(f->x, "Cache-Control", SPAN("public, immutable"));
        http_add_header(f->x, "Expires", SPAN("Fri, 01 Jan 2100 00:00:00 GMT"));
    } else {
        http_add_header(f->x, "Cache-Control", SPAN("no-cache, private"));
    }
}

/* A hash of what was here before: kept for ever under that name, today's would never be asked for
 * again. */
static void redirect(struct front *f, struct span etag)
{
    struct span hash = span_first(span_from(etag, 1), etag.n - 2); /* without its quotes */
    http_add_header(
        f->x, "Location",
        arena_printf(f->arena, "%.*s?hash=%.*s", SPAN_ARG(http_path(f->x)), SPAN_ARG(hash)));
    http_reply(f->x, 301, "text/plain", SPAN_NULL);
}

void front_openapi(struct front *f)
{
    struct discovery *d = definitions_discovery(f->server->definitions);
    struct span accept = http_header(f->x, "accept"), hash = SPAN_NULL;
    switch (f->route.type) {
    case ROUTE_OPENAPI_V2: {
        bool protobuf =
            f->route.word.n > 0 || (accept.n && memmem(accept.p, accept.n, OPENAPI_V2_ACCEPT,
                                                       sizeof OPENAPI_V2_ACCEPT - 1));
        reply(f, discovery_openapi_v2(d, protobuf), protobuf ? OPENAPI_V2_TYPE : "application/json",
              true);
        return;
    }
    case ROUTE_OPENAPI_V3:
        reply(f, discovery_openapi_v3_index(d), "application/json", true);
        return;
    default:
        break;
    }
    assert(f->route.type == ROUTE_OPENAPI_V3_GROUP);
    struct discovery_doc doc = discovery_openapi_v3_group(d, f->route.group, f->route.version);
    (void)http_query_get(f->x, "hash", &hash);
    if (hash.n && doc.body.n &&
        !span_eq(arena_printf(f->arena, "\"%.*s\"", SPAN_ARG(hash)), doc.etag)) {
        redirect(f, doc.etag);
        return;
    }
    set_caching(f, hash);
    reply(f, doc, "application/json", true);
}
