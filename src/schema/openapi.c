/* schema/openapi.c: the OpenAPI documents as a whole: v2 with everything, v3 by group version with
 * what its kinds reach. */
#include "schema/openapi.h"

#include "base/check.h"
#include "codec/json.h"
#include "schema/custom.h"
#include "schema/openapi_priv.h"

/* Built-in kinds, then custom ones. */
static size_t kind_count(const struct openapi_kinds *custom)
{
    return schema_kind_count() + (custom ? custom->n : 0);
}

static const struct schema_kind *kind_at(const struct openapi_kinds *custom, size_t i)
{
    size_t n = schema_kind_count();
    return i < n ? schema_kind_at(i) : custom->at[i - n];
}

static struct openapi openapi_begin(struct arena *a, bool v3, const struct openapi_kinds *custom)
{
    size_t cap = schema_type_count() + 2 * (custom ? custom->n : 0) + 1;
    return (struct openapi){.a = a,
                            .doc = json_mut_new(a),
                            .v3 = v3,
                            .custom = custom,
                            .needed_cap = cap,
                            .needed = ARENA_ARRAY(a, const struct schema_type *, cap)};
}

static yyjson_mut_val *info(struct openapi *o)
{
    yyjson_mut_val *out = yyjson_mut_obj(o->doc);
    openapi_put(o, out, "title", "Kubernetes");
    openapi_put(o, out, "version", "unversioned");
    return out;
}

static void put_val(struct openapi *o, yyjson_mut_val *obj, const char *key, yyjson_mut_val *value)
{
    (void)yyjson_mut_obj_add(obj, json_new_str(o->doc, span_cstr(key)), value);
}

static void put_type(struct openapi *o, yyjson_mut_val *definitions, const struct schema_type *type)
{
    struct span name = openapi_name(o->a, type->group, type->version, type->name);
    (void)yyjson_mut_obj_add(definitions, json_new_str(o->doc, name), openapi_type(o, type));
}

static yyjson_mut_val *v2_document(struct openapi *o)
{
    yyjson_mut_val *out = yyjson_mut_obj(o->doc), *definitions = yyjson_mut_obj(o->doc);
    yyjson_mut_val *paths = yyjson_mut_obj(o->doc);
    for (size_t i = 0; i < schema_type_count(); i++) {
        put_type(o, definitions, schema_type_at(i));
    }
    for (size_t i = 0; o->custom && i < o->custom->n; i++) {
        put_type(o, definitions, o->custom->at[i]->type);
        put_type(o, definitions, custom_list_type(o->custom->at[i]));
    }
    openapi_fixed_types(o, definitions);
    for (size_t i = 0; i < kind_count(o->custom); i++) {
        openapi_paths_of(o, paths, kind_at(o->custom, i));
    }
    openapi_put(o, out, "swagger", "2.0");
    put_val(o, out, "info", info(o));
    put_val(o, out, "paths", paths);
    put_val(o, out, "definitions", definitions);
    return out;
}

void openapi_v2_json(const struct openapi_kinds *custom, struct strbuf *out)
{
    assert(out);
    struct arena *a cleanup_arena = arena_new();
    struct openapi o = openapi_begin(a, false, custom);
    strbuf_put(out, json_write_mut(a, v2_document(&o)));
}

void openapi_v2_protobuf(const struct openapi_kinds *custom, struct strbuf *out)
{
    assert(out);
    struct arena *a cleanup_arena = arena_new();
    struct openapi o = openapi_begin(a, false, custom);
    openapi_pb_document(out, v2_document(&o));
}

/* A kind's list has no other reference than its path, and the kinds of bodies none at all: those
 * that requests of the group send are named by the paths. */
bool openapi_v3_group(const struct openapi_kinds *custom, struct span group, struct span version,
                      struct strbuf *out)
{
    assert(out);
    struct arena *a cleanup_arena = arena_new();
    struct openapi o = openapi_begin(a, true, custom);
    yyjson_mut_val *root = yyjson_mut_obj(o.doc), *paths = yyjson_mut_obj(o.doc);
    yyjson_mut_val *schemas = yyjson_mut_obj(o.doc), *components = yyjson_mut_obj(o.doc);
    for (size_t i = 0; i < kind_count(custom); i++) {
        const struct schema_kind *k = kind_at(custom, i);
        if (span_eq_cstr(group, k->group) && span_eq_cstr(version, k->version)) {
            openapi_paths_of(&o, paths, k);
            (void)openapi_ref(&o, k->type);
        }
    }
    if (yyjson_mut_obj_size(paths) == 0) {
        return false;
    }
    for (size_t i = 0; i < o.needed_n; i++) { /* grows meanwhile */
        put_type(&o, schemas, o.needed[i]);
    }
    openapi_fixed_types(&o, schemas);
    put_val(&o, components, "schemas", schemas);
    openapi_put(&o, root, "openapi", "3.0.0");
    put_val(&o, root, "info", info(&o));
    put_val(&o, root, "paths", paths);
    put_val(&o, root, "components", components);
    strbuf_put(out, json_write_mut(a, root));
    return true;
}

/* FNV-1a: names the content in a URL that may be cached for ever; no defence against anybody. */
static uint64_t content_hash(struct span s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    }
    return h;
}

static bool seen_before(const struct openapi_kinds *custom, size_t i)
{
    const struct schema_kind *k = kind_at(custom, i);
    for (size_t j = 0; j < i; j++) {
        const struct schema_kind *other = kind_at(custom, j);
        if (strcmp(k->group, other->group) == 0 && strcmp(k->version, other->version) == 0) {
            return true;
        }
    }
    return false;
}

void openapi_v3_index(const struct openapi_kinds *custom, struct strbuf *out)
{
    assert(out);
    struct strbuf content cleanup_strbuf = STRBUF_INIT;
    const char *separator = "";
    strbuf_puts(out, "{\"paths\":{");
    for (size_t i = 0; i < kind_count(custom); i++) {
        const struct schema_kind *k = kind_at(custom, i);
        strbuf_clear(&content);
        if (seen_before(custom, i) ||
            !openapi_v3_group(custom, span_cstr(k->group), span_cstr(k->version), &content)) {
            continue;
        }
        struct arena *a cleanup_arena = arena_new();
        struct span path =
            arena_printf(a, "%s%s/%s", k->group[0] ? "apis/" : "api", k->group, k->version);
        strbuf_printf(out, "%s\"%.*s\":{\"serverRelativeURL\":\"/openapi/v3/%.*s?hash=%016llX\"}",
                      separator, SPAN_ARG(path), SPAN_ARG(path),
                      (unsigned long long)content_hash(strbuf_span(&content)));
        separator = ",";
    }
    strbuf_puts(out, "}}");
}
