#include "apiserver/discovery.h"

#include "base/check.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "schema/schema.h"
#include "token/token.h"

struct group_version {
    const char *group, *version;
    struct discovery_doc resources, group_doc, openapi_v3;
};

struct discovery {
    struct arena *a;
    struct span server_address;
    const struct openapi_kinds *custom;
    const struct schema_kind **kinds; /* all that are served, in discovery order */
    size_t kind_n;
    struct group_version
        *at; /* distinct, in the order of the kinds: versions of a group together */
    size_t n;
    struct discovery_doc aggregated[2][2]; /* [core][v2beta1] */
    struct discovery_doc api_versions, groups, index, openapi_v2[2], openapi_v3;
};

static const char *const verb_names[] = {"create", "delete", "deletecollection", "get",
                                         "list",   "patch",  "update",           "watch"};

static struct discovery_doc make_doc(struct discovery *d, struct span body)
{
    uint64_t hash = 14695981039346656037ull; /* FNV-1a: names a content, guards nothing */
    for (size_t i = 0; i < body.n; i++) {
        hash = (hash ^ (unsigned char)body.p[i]) * 1099511628211ull;
    }
    return (struct discovery_doc){
        .body = body, .etag = arena_printf(d->a, "\"%016llX\"", (unsigned long long)hash)};
}

static void put_verbs(yyjson_mut_doc *doc, yyjson_mut_val *obj, uint16_t verbs)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    assert(verbs < 1u << 8);
    for (size_t i = 0; i < 8; i++) {
        if (verbs & (1u << i)) {
            yyjson_mut_arr_append(list, yyjson_mut_str(doc, verb_names[i]));
        }
    }
    json_put(doc, obj, "verbs", list);
}

static void put_names(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
                      const char *const *names)
{
    if (!names || !names[0]) {
        return;
    }
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; names[i]; i++) {
        yyjson_mut_arr_append(list, yyjson_mut_str(doc, names[i]));
    }
    json_put(doc, obj, key, list);
}

static void put(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, const char *value)
{
    json_put_str(doc, obj, key, span_cstr(value));
}

static bool in_group_version(const struct schema_kind *k, const struct group_version *gv)
{
    return strcmp(k->group, gv->group) == 0 && strcmp(k->version, gv->version) == 0;
}

static struct span group_version_text(struct arena *a, const struct group_version *gv)
{
    return gv->group[0] ? arena_printf(a, "%s/%s", gv->group, gv->version) : span_cstr(gv->version);
}

/* By which clients see that what is stored has another form: of the version in which it is, as
 * Kubernetes makes it. What is not stored has none. */
static void put_storage_hash(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *r,
                             const struct schema_kind *k)
{
    enum { BYTES = 8 };
    const struct schema_kind *of = k->view_of ? k->view_of : k;
    char hash[TOKEN_HASH_BYTES];
    if (k->verbs & SCHEMA_VERB_WATCH) {
        token_hash(arena_printf(a, "%s/%s/%s", of->group, of->version, of->kind), hash);
        json_put_str(doc, r, "storageVersionHash", base64(a, span_of(hash, BYTES)));
    }
}

/* ---- legacy ---- */

static void put_resource(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *list,
                         const struct schema_kind *k)
{
    yyjson_mut_val *r = yyjson_mut_obj(doc);
    assert(k->plural);
    put(doc, r, "name", k->plural);
    put(doc, r, "singularName", k->singular);
    json_put_bool(doc, r, "namespaced", k->namespaced);
    put(doc, r, "kind", k->kind);
    put_verbs(doc, r, k->verbs);
    put_names(doc, r, "shortNames", k->short_names);
    put_names(doc, r, "categories", k->categories);
    put_storage_hash(a, doc, r, k);
    yyjson_mut_arr_append(list, r);
    for (size_t i = 0; i < k->subresource_count; i++) {
        const struct schema_subresource *s = &k->subresources[i];
        r = yyjson_mut_obj(doc);
        json_put_str(doc, r, "name", arena_printf(a, "%s/%s", k->plural, s->name));
        put(doc, r, "singularName", "");
        json_put_bool(doc, r, "namespaced", k->namespaced);
        if (strcmp(s->group, k->group) != 0 || strcmp(s->version, k->version) != 0) {
            put(doc, r, "group", s->group);
            put(doc, r, "version", s->version);
        }
        put(doc, r, "kind", s->kind);
        put_verbs(doc, r, s->verbs);
        yyjson_mut_arr_append(list, r);
    }
}

static void make_resources(struct discovery *d, struct group_version *gv)
{
    yyjson_mut_doc *doc = json_mut_new(d->a);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    put(doc, root, "kind", "APIResourceList");
    put(doc, root, "apiVersion", "v1");
    json_put_str(doc, root, "groupVersion", group_version_text(d->a, gv));
    for (size_t i = 0; i < d->kind_n; i++) {
        if (in_group_version(d->kinds[i], gv)) {
            put_resource(d->a, doc, list, d->kinds[i]);
        }
    }
    json_put(doc, root, "resources", list);
    gv->resources = make_doc(d, json_write_mut(d->a, root));
}

/* Versions of a group stand side by side, the preferred one first. */
static bool is_preferred(const struct discovery *d, const struct group_version *gv)
{
    assert(gv >= d->at);
    assert(gv < d->at + d->n);
    return gv == d->at || strcmp(gv[-1].group, gv->group) != 0;
}

static const struct group_version *next_version(const struct discovery *d,
                                                const struct group_version *gv)
{
    return gv + 1 < d->at + d->n && !is_preferred(d, gv + 1) ? gv + 1 : NULL;
}

static yyjson_mut_val *version_of(struct discovery *d, yyjson_mut_doc *doc,
                                  const struct group_version *gv)
{
    yyjson_mut_val *v = yyjson_mut_obj(doc);
    json_put_str(doc, v, "groupVersion", group_version_text(d->a, gv));
    put(doc, v, "version", gv->version);
    return v;
}

static void put_group(struct discovery *d, yyjson_mut_doc *doc, yyjson_mut_val *g,
                      const struct group_version *preferred)
{
    assert(is_preferred(d, preferred));
    put(doc, g, "name", preferred->group);
    yyjson_mut_val *versions = yyjson_mut_arr(doc);
    for (const struct group_version *gv = preferred; gv; gv = next_version(d, gv)) {
        yyjson_mut_arr_append(versions, version_of(d, doc, gv));
    }
    json_put(doc, g, "versions", versions);
    json_put(doc, g, "preferredVersion", version_of(d, doc, preferred));
}

static void make_groups(struct discovery *d)
{
    yyjson_mut_doc *doc = json_mut_new(d->a);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    put(doc, root, "kind", "APIGroupList");
    put(doc, root, "apiVersion", "v1");
    for (size_t i = 0; i < d->n; i++) {
        if (d->at[i].group[0] && is_preferred(d, &d->at[i])) {
            yyjson_mut_val *g = yyjson_mut_obj(doc);
            put_group(d, doc, g, &d->at[i]);
            yyjson_mut_arr_append(list, g);
        }
    }
    json_put(doc, root, "groups", list);
    d->groups = make_doc(d, json_write_mut(d->a, root));
}

static void make_api_versions(struct discovery *d)
{
    yyjson_mut_doc *doc = json_mut_new(d->a);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *versions = yyjson_mut_arr(doc);
    yyjson_mut_val *addresses = yyjson_mut_arr(doc), *address = yyjson_mut_obj(doc);
    put(doc, root, "kind", "APIVersions");
    yyjson_mut_arr_append(versions, yyjson_mut_str(doc, "v1"));
    json_put(doc, root, "versions", versions);
    put(doc, address, "clientCIDR", "0.0.0.0/0");
    json_put_str(doc, address, "serverAddress", d->server_address);
    yyjson_mut_arr_append(addresses, address);
    json_put(doc, root, "serverAddressByClientCIDRs", addresses);
    d->api_versions = make_doc(d, json_write_mut(d->a, root));
}

static void make_index(struct discovery *d)
{
    static const char *const paths[] = {"/api",    "/api/v1",  "/apis",       "/healthz",
                                        "/livez",  "/metrics", "/openapi/v2", "/openapi/v3",
                                        "/readyz", "/version"};
    yyjson_mut_doc *doc = json_mut_new(d->a);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        yyjson_mut_arr_append(list, yyjson_mut_str(doc, paths[i]));
        for (size_t g = 0; strcmp(paths[i], "/apis") == 0 && g < d->n; g++) {
            const struct group_version *gv = &d->at[g];
            if (gv->group[0] && is_preferred(d, gv)) {
                yyjson_mut_arr_append(list,
                                      json_new_str(doc, arena_printf(d->a, "/apis/%s", gv->group)));
            }
            if (gv->group[0]) {
                yyjson_mut_arr_append(
                    list,
                    json_new_str(doc, arena_printf(d->a, "/apis/%s/%s", gv->group, gv->version)));
            }
        }
    }
    json_put(doc, root, "paths", list);
    d->index = make_doc(d, json_write_mut(d->a, root));
}

/* ---- aggregated ---- */

static void put_response_kind(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *group,
                              const char *version, const char *kind)
{
    yyjson_mut_val *k = yyjson_mut_obj(doc);
    put(doc, k, "group", group);
    put(doc, k, "version", version);
    put(doc, k, "kind", kind);
    json_put(doc, obj, "responseKind", k);
}

static yyjson_mut_val *aggregated_resource(yyjson_mut_doc *doc, const struct schema_kind *k)
{
    yyjson_mut_val *r = yyjson_mut_obj(doc);
    put(doc, r, "resource", k->plural);
    put_response_kind(doc, r, k->group, k->version, k->kind);
    put(doc, r, "scope", k->namespaced ? "Namespaced" : "Cluster");
    put(doc, r, "singularResource", k->singular);
    put_verbs(doc, r, k->verbs);
    put_names(doc, r, "shortNames", k->short_names);
    put_names(doc, r, "categories", k->categories);
    if (k->subresource_count) {
        yyjson_mut_val *subs = yyjson_mut_arr(doc);
        for (size_t i = 0; i < k->subresource_count; i++) {
            const struct schema_subresource *s = &k->subresources[i];
            yyjson_mut_val *sub = yyjson_mut_obj(doc);
            put(doc, sub, "subresource", s->name);
            put_response_kind(doc, sub, s->group, s->version, s->kind);
            put_verbs(doc, sub, s->verbs);
            yyjson_mut_arr_append(subs, sub);
        }
        json_put(doc, r, "subresources", subs);
    }
    return r;
}

static yyjson_mut_val *aggregated_version(const struct discovery *d, yyjson_mut_doc *doc,
                                          const struct group_version *gv)
{
    yyjson_mut_val *version = yyjson_mut_obj(doc), *resources = yyjson_mut_arr(doc);
    put(doc, version, "version", gv->version);
    for (size_t i = 0; i < d->kind_n; i++) {
        if (in_group_version(d->kinds[i], gv)) {
            yyjson_mut_arr_append(resources, aggregated_resource(doc, d->kinds[i]));
        }
    }
    json_put(doc, version, "resources", resources);
    put(doc, version, "freshness", "Current");
    return version;
}

static yyjson_mut_val *aggregated_group(const struct discovery *d, yyjson_mut_doc *doc,
                                        const struct group_version *preferred)
{
    yyjson_mut_val *item = yyjson_mut_obj(doc), *meta = yyjson_mut_obj(doc);
    yyjson_mut_val *versions = yyjson_mut_arr(doc);
    if (preferred->group[0]) {
        put(doc, meta, "name", preferred->group);
    }
    json_put(doc, meta, "creationTimestamp", yyjson_mut_null(doc));
    json_put(doc, item, "metadata", meta);
    for (const struct group_version *gv = preferred; gv; gv = next_version(d, gv)) {
        yyjson_mut_arr_append(versions, aggregated_version(d, doc, gv));
    }
    json_put(doc, item, "versions", versions);
    return item;
}

static void make_aggregated(struct discovery *d, bool core, bool beta)
{
    yyjson_mut_doc *doc = json_mut_new(d->a);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *items = yyjson_mut_arr(doc);
    put(doc, root, "kind", "APIGroupDiscoveryList");
    put(doc, root, "apiVersion", beta ? "apidiscovery.k8s.io/v2beta1" : "apidiscovery.k8s.io/v2");
    json_put(doc, root, "metadata", yyjson_mut_obj(doc));
    for (size_t i = 0; i < d->n; i++) {
        if ((d->at[i].group[0] == '\0') == core && is_preferred(d, &d->at[i])) {
            yyjson_mut_arr_append(items, aggregated_group(d, doc, &d->at[i]));
        }
    }
    json_put(doc, root, "items", items);
    d->aggregated[core][beta] = make_doc(d, json_write_mut(d->a, root));
}

/* ---- the interface ---- */

struct discovery *discovery_new(struct arena *a, struct span server_address,
                                const struct openapi_kinds *custom)
{
    struct discovery *d = ARENA_NEW(a, struct discovery);
    size_t built_in = schema_kind_count();
    d->a = a;
    d->server_address = arena_dup(a, server_address);
    d->custom = custom;
    d->kind_n = built_in + (custom ? custom->n : 0);
    d->kinds = ARENA_ARRAY(a, const struct schema_kind *, d->kind_n + 1);
    d->at = ARENA_ARRAY(a, struct group_version, d->kind_n + 1);
    for (size_t i = 0; i < d->kind_n; i++) {
        const struct schema_kind *k = i < built_in ? schema_kind_at(i) : custom->at[i - built_in];
        bool seen = false;
        d->kinds[i] = k;
        for (size_t j = 0; j < d->n && !seen; j++) {
            seen = in_group_version(k, &d->at[j]);
        }
        if (!seen) {
            d->at[d->n++] = (struct group_version){.group = k->group, .version = k->version};
        }
    }
    assert(d->n <= d->kind_n);
    return d;
}

static struct group_version *find(struct discovery *d, struct span group,
                                  const struct span *version)
{
    for (size_t i = 0; i < d->n; i++) {
        if (span_eq_cstr(group, d->at[i].group) &&
            (!version || span_eq_cstr(*version, d->at[i].version))) {
            return &d->at[i];
        }
    }
    return NULL;
}

struct discovery_doc discovery_aggregated(struct discovery *d, bool core, const char *version)
{
    assert(version);
    bool beta = strcmp(version, "v2beta1") == 0;
    if (!d->aggregated[core][beta].body.n) {
        make_aggregated(d, core, beta);
    }
    return d->aggregated[core][beta];
}

struct discovery_doc discovery_api_versions(struct discovery *d)
{
    if (!d->api_versions.body.n) {
        make_api_versions(d);
    }
    return d->api_versions;
}

struct discovery_doc discovery_groups(struct discovery *d)
{
    if (!d->groups.body.n) {
        make_groups(d);
    }
    return d->groups;
}

struct discovery_doc discovery_index(struct discovery *d)
{
    if (!d->index.body.n) {
        make_index(d);
    }
    return d->index;
}

struct discovery_doc discovery_group(struct discovery *d, struct span group)
{
    assert(d);
    struct group_version *gv = group.n ? find(d, group, NULL) : NULL;
    if (!gv) {
        return (struct discovery_doc){0};
    }
    if (!gv->group_doc.body.n) {
        yyjson_mut_doc *doc = json_mut_new(d->a);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        put(doc, root, "kind", "APIGroup");
        put(doc, root, "apiVersion", "v1");
        put_group(d, doc, root, gv);
        gv->group_doc = make_doc(d, json_write_mut(d->a, root));
    }
    return gv->group_doc;
}

struct discovery_doc discovery_resources(struct discovery *d, struct span group,
                                         struct span version)
{
    assert(d);
    struct group_version *gv = find(d, group, &version);
    if (!gv) {
        return (struct discovery_doc){0};
    }
    if (!gv->resources.body.n) {
        make_resources(d, gv);
    }
    return gv->resources;
}

struct discovery_doc discovery_openapi_v2(struct discovery *d, bool protobuf)
{
    if (!d->openapi_v2[protobuf].body.n) {
        struct strbuf out cleanup_strbuf = STRBUF_INIT;
        if (protobuf) {
            openapi_v2_protobuf(d->custom, &out);
        } else {
            openapi_v2_json(d->custom, &out);
        }
        d->openapi_v2[protobuf] = make_doc(d, arena_dup(d->a, strbuf_span(&out)));
    }
    return d->openapi_v2[protobuf];
}

struct discovery_doc discovery_openapi_v3_index(struct discovery *d)
{
    if (!d->openapi_v3.body.n) {
        struct strbuf out cleanup_strbuf = STRBUF_INIT;
        openapi_v3_index(d->custom, &out);
        d->openapi_v3 = make_doc(d, arena_dup(d->a, strbuf_span(&out)));
    }
    return d->openapi_v3;
}

struct discovery_doc discovery_openapi_v3_group(struct discovery *d, struct span group,
                                                struct span version)
{
    assert(d);
    struct group_version *gv = find(d, group, &version);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    if (!gv) {
        return (struct discovery_doc){0};
    }
    if (!gv->openapi_v3.body.n && openapi_v3_group(d->custom, group, version, &out)) {
        gv->openapi_v3 = make_doc(d, arena_dup(d->a, strbuf_span(&out)));
    }
    return gv->openapi_v3;
}
