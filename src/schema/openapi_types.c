/* schema/openapi_types.c: definitions, made from the rows of the types. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/custom.h"
#include "schema/openapi_priv.h"

#define QUANTITY "io.k8s.apimachinery.pkg.api.resource.Quantity"
#define INTSTR "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
#define RAW "io.k8s.apimachinery.pkg.runtime.RawExtension"

void openapi_put(struct openapi *o, yyjson_mut_val *obj, const char *key, const char *value)
{
    assert(yyjson_mut_is_obj(obj));
    assert(value);
    (void)yyjson_mut_obj_add(obj, json_new_str(o->doc, span_cstr(key)),
                             json_new_str(o->doc, span_cstr(value)));
}

static void put_val(struct openapi *o, yyjson_mut_val *obj, const char *key, yyjson_mut_val *value)
{
    (void)yyjson_mut_obj_add(obj, json_new_str(o->doc, span_cstr(key)), value);
}

/* Built-in groups are NAME or NAME.SOMETHING.k8s.io; any other group is written backwards, as for
 * custom resources. */
struct span openapi_name(struct arena *a, const char *group, const char *version, const char *name)
{
    assert(group);
    assert(version);
    assert(name);
    struct span g = span_cstr(group), first = span_first(g, span_find(g, '.'));
    if (strcmp(group, "meta") == 0 || strcmp(group, "meta.k8s.io") == 0) {
        return arena_printf(a, OPENAPI_META "%s", name);
    }
    if (strcmp(group, "apiregistration.k8s.io") == 0) {
        return arena_printf(a, "io.k8s.kube-aggregator.pkg.apis.apiregistration.%s.%s", version,
                            name);
    }
    if (strcmp(group, "apiextensions.k8s.io") == 0) {
        return arena_printf(a, "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.%s.%s",
                            version, name);
    }
    if (strcmp(group, "metrics.k8s.io") == 0) {
        return arena_printf(a, "io.k8s.metrics.pkg.apis.metrics.%s.%s", version, name);
    }
    if (g.n == 0 || first.n == g.n || span_ends(g, SPAN(".k8s.io"))) {
        return arena_printf(a, "io.k8s.api.%.*s.%s.%s", SPAN_ARG(g.n == 0 ? SPAN("core") : first),
                            version, name);
    }
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    for (size_t end = g.n; end > 0;) {
        size_t dot = span_rfind(span_first(g, end), '.');
        size_t from = dot < end ? dot + 1 : 0;
        strbuf_put(&b, span_of(g.p + from, end - from));
        strbuf_putc(&b, '.');
        end = from > 0 ? from - 1 : 0;
    }
    return arena_printf(a, "%.*s%s.%s", SPAN_ARG(strbuf_span(&b)), version, name);
}

yyjson_mut_val *openapi_ref_name(struct openapi *o, struct span name)
{
    assert(name.n > 0);
    yyjson_mut_val *ref = yyjson_mut_obj(o->doc);
    struct span text = arena_printf(
        o->a, "%s%.*s", o->v3 ? "#/components/schemas/" : "#/definitions/", SPAN_ARG(name));
    openapi_put(o, ref, "$ref", text.p);
    return ref;
}

yyjson_mut_val *openapi_ref(struct openapi *o, const struct schema_type *type)
{
    assert(type);
    assert(o->needed_n <= o->needed_cap);
    bool known = false;
    for (size_t i = 0; i < o->needed_n && !known; i++) {
        known = o->needed[i] == type;
    }
    if (!known) {
        assert(o->needed_n < o->needed_cap);
        o->needed[o->needed_n++] = type;
    }
    return openapi_ref_name(o, openapi_name(o->a, type->group, type->version, type->name));
}

/* v3 keeps a reference apart from its neighbours: {"allOf": [{"$ref": ...}]}. */
static yyjson_mut_val *wrapped(struct openapi *o, yyjson_mut_val *ref)
{
    if (!o->v3) {
        return ref;
    }
    yyjson_mut_val *out = yyjson_mut_obj(o->doc), *all = yyjson_mut_arr(o->doc);
    (void)yyjson_mut_arr_append(all, ref);
    put_val(o, out, "allOf", all);
    return out;
}

static yyjson_mut_val *plain(struct openapi *o, const char *type, const char *format)
{
    yyjson_mut_val *out = yyjson_mut_obj(o->doc);
    openapi_put(o, out, "type", type);
    if (format) {
        openapi_put(o, out, "format", format);
    }
    return out;
}

/* A value of a shape that needs no row of its own. */
static yyjson_mut_val *shape_schema(struct openapi *o, enum schema_shape shape,
                                    const struct schema_type *type)
{
    switch (shape) {
    case SCHEMA_OBJECT:
        return type ? wrapped(o, openapi_ref(o, type)) : plain(o, "object", NULL);
    case SCHEMA_STRING:
        return plain(o, "string", NULL);
    case SCHEMA_BYTES:
        return plain(o, "string", "byte");
    case SCHEMA_INT32:
        return plain(o, "integer", "int32");
    case SCHEMA_INT64:
        return plain(o, "integer", "int64");
    case SCHEMA_BOOL:
        return plain(o, "boolean", NULL);
    case SCHEMA_DOUBLE:
        return plain(o, "number", "double");
    case SCHEMA_QUANTITY:
        return wrapped(o, openapi_ref_name(o, SPAN(QUANTITY)));
    case SCHEMA_TIME:
        return wrapped(o, openapi_ref_name(o, SPAN(OPENAPI_META "Time")));
    case SCHEMA_MICROTIME:
        return wrapped(o, openapi_ref_name(o, SPAN(OPENAPI_META "MicroTime")));
    case SCHEMA_DURATION:
        return wrapped(o, openapi_ref_name(o, SPAN(OPENAPI_META "Duration")));
    case SCHEMA_INT_OR_STRING:
        return wrapped(o, openapi_ref_name(o, SPAN(INTSTR)));
    case SCHEMA_LIST: { /* a map's element */
        yyjson_mut_val *list = plain(o, "array", NULL);
        put_val(o, list, "items", plain(o, "string", NULL));
        return list;
    }
    case SCHEMA_ANY:
        if (o->untyped) {
            return yyjson_mut_obj(o->doc);
        }
        break;
    case SCHEMA_MAP:
        break;
    }
    return wrapped(o, openapi_ref_name(o, SPAN(RAW)));
}

/* The value that an element has by default, in v3: Kubernetes gives every list and map element one.
 */
static void put_elem_default(struct openapi *o, yyjson_mut_val *elem, enum schema_shape shape)
{
    if (!o->v3) {
        return;
    }
    if (shape == SCHEMA_STRING) {
        openapi_put(o, elem, "default", "");
    } else if (shape == SCHEMA_INT32 || shape == SCHEMA_INT64 || shape == SCHEMA_DOUBLE) {
        put_val(o, elem, "default", yyjson_mut_sint(o->doc, 0));
    } else if (shape == SCHEMA_OBJECT) {
        put_val(o, elem, "default", yyjson_mut_obj(o->doc));
    }
}

static void put_words(struct openapi *o, yyjson_mut_val *obj, const char *key, const char *words,
                      char separator)
{
    yyjson_mut_val *list = yyjson_mut_arr(o->doc);
    for (struct span rest = span_cstr(words); rest.n > 0;) {
        (void)yyjson_mut_arr_append(list, json_new_str(o->doc, span_cut(&rest, separator)));
    }
    put_val(o, obj, key, list);
}

static yyjson_mut_val *list_schema(struct openapi *o, const struct schema_field *f)
{
    static const char *const kinds[] = {
        [SCHEMA_LIST_ATOMIC] = "atomic", [SCHEMA_LIST_SET] = "set", [SCHEMA_LIST_MAP] = "map"};
    yyjson_mut_val *out = plain(o, "array", NULL);
    yyjson_mut_val *items = shape_schema(o, f->elem_shape, f->type);
    put_elem_default(o, items, f->elem_shape);
    put_val(o, out, "items", items);
    if (f->list_kind == SCHEMA_LIST_MAP && f->map_keys) {
        put_words(o, out, "x-kubernetes-list-map-keys", f->map_keys, ',');
    }
    openapi_put(o, out, "x-kubernetes-list-type", kinds[f->list_kind]);
    if (f->merge_key) {
        openapi_put(o, out, "x-kubernetes-patch-merge-key", f->merge_key);
    }
    return out;
}

static void put_default(struct openapi *o, yyjson_mut_val *out, const struct schema_field *f)
{
    yyjson_doc *doc = NULL;
    if (f->default_json && json_parse(o->a, span_cstr(f->default_json), &doc, NULL) == 0) {
        put_val(o, out, "default", json_mut_copy(o->doc, yyjson_doc_get_root(doc)));
    } else if (!(f->flags & SCHEMA_POINTER) &&
               (f->shape == SCHEMA_OBJECT || !(f->flags & SCHEMA_OMITEMPTY))) {
        put_elem_default(o, out, f->shape);
    }
}

static yyjson_mut_val *field_schema(struct openapi *o, const struct schema_field *f)
{
    yyjson_mut_val *out;
    if (f->shape == SCHEMA_LIST) {
        out = list_schema(o, f);
    } else if (f->shape == SCHEMA_MAP) {
        out = plain(o, "object", NULL);
        yyjson_mut_val *elem = shape_schema(o, f->elem_shape, f->type);
        put_elem_default(o, elem, f->elem_shape);
        put_val(o, out, "additionalProperties", elem);
    } else if (f->shape == SCHEMA_ANY && strcmp(f->name, "fieldsV1") == 0) {
        out = wrapped(o, openapi_ref_name(o, SPAN(OPENAPI_META "FieldsV1")));
    } else {
        out = shape_schema(o, f->shape, f->type);
    }
    if (f->doc) {
        openapi_put(o, out, "description", f->doc);
    }
    if (f->flags & (SCHEMA_MERGE | SCHEMA_RETAIN_KEYS)) {
        bool both = (f->flags & SCHEMA_MERGE) && (f->flags & SCHEMA_RETAIN_KEYS);
        openapi_put(o, out, "x-kubernetes-patch-strategy",
                    both                      ? "merge,retainKeys"
                    : f->flags & SCHEMA_MERGE ? "merge"
                                              : "retainKeys");
    }
    if (f->flags & SCHEMA_STRUCT_ATOMIC) {
        openapi_put(o, out, "x-kubernetes-map-type", "atomic");
    }
    if (o->v3) {
        put_default(o, out, f);
        if (f->values && (f->flags & SCHEMA_ENUM_CLOSED)) {
            put_words(o, out, "enum", f->values, '|');
        }
    }
    return out;
}

yyjson_mut_val *openapi_gvk(struct openapi *o, struct span group, struct span version,
                            struct span kind)
{
    assert(kind.n > 0);
    yyjson_mut_val *out = yyjson_mut_obj(o->doc);
    (void)yyjson_mut_obj_add(out, json_new_str(o->doc, SPAN("group")), json_new_str(o->doc, group));
    (void)yyjson_mut_obj_add(out, json_new_str(o->doc, SPAN("kind")), json_new_str(o->doc, kind));
    (void)yyjson_mut_obj_add(out, json_new_str(o->doc, SPAN("version")),
                             json_new_str(o->doc, version));
    return out;
}

/* A type is a kind when the tables say so, or when it is the list of one. */
static void put_gvk(struct openapi *o, yyjson_mut_val *out, const struct schema_type *type)
{
    const struct schema_kind *kind =
        type->custom ? custom_kind(type->custom) : schema_kind_find(type->group, type->name);
    for (size_t i = 0; !type->custom && i < schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        bool named = k->type == type || strcmp(k->list_kind, type->name) == 0;
        if (named && strcmp(k->group, type->group) == 0 && strcmp(k->version, type->version) == 0) {
            kind = k;
        }
    }
    if (!kind || strcmp(kind->version, type->version) != 0) {
        return;
    }
    struct span rest = span_cstr(schema_api_version(kind)), group = SPAN_NULL;
    if (span_find(rest, '/') < rest.n) {
        group = span_cut(&rest, '/');
    }
    yyjson_mut_val *list = yyjson_mut_arr(o->doc);
    (void)yyjson_mut_arr_append(list, openapi_gvk(o, group, rest, span_cstr(type->name)));
    put_val(o, out, "x-kubernetes-group-version-kind", list);
}

/* What is always written is required, as in Kubernetes' own documents, unless its row says that
 * clients may leave it out or has a default. */
static bool is_required(const struct schema_field *f)
{
    return !(f->flags & (SCHEMA_OMITEMPTY | SCHEMA_OPTIONAL)) && !f->default_json;
}

yyjson_mut_val *openapi_type(struct openapi *o, const struct schema_type *type)
{
    assert(type);
    if (type->custom && custom_kind(type->custom)->type == type) {
        return openapi_custom_type(o, type);
    }
    yyjson_mut_val *out = plain(o, "object", NULL), *required = yyjson_mut_arr(o->doc);
    yyjson_mut_val *properties = yyjson_mut_obj(o->doc);
    if (type->doc) {
        openapi_put(o, out, "description", type->doc);
    }
    o->untyped = strcmp(type->name, "JSONSchemaProps") == 0;
    for (size_t i = 0; i < type->field_count; i++) {
        const struct schema_field *f = &type->fields[i];
        put_val(o, properties, f->name, field_schema(o, f));
        if (is_required(f)) {
            (void)yyjson_mut_arr_append(required, json_new_str(o->doc, span_cstr(f->name)));
        }
    }
    o->untyped = false;
    if (yyjson_mut_arr_size(required) > 0) {
        put_val(o, out, "required", required);
    }
    if (type->field_count > 0) {
        put_val(o, out, "properties", properties);
    }
    put_gvk(o, out, type);
    return out;
}

static yyjson_mut_val *one_of(struct openapi *o, const char *x, const char *y)
{
    yyjson_mut_val *out = yyjson_mut_obj(o->doc), *list = yyjson_mut_arr(o->doc);
    (void)yyjson_mut_arr_append(list, plain(o, x, NULL));
    (void)yyjson_mut_arr_append(list, plain(o, y, NULL));
    put_val(o, out, "oneOf", list);
    return out;
}

static void put_fixed(struct openapi *o, yyjson_mut_val *definitions, const char *name,
                      yyjson_mut_val *schema, const char *doc)
{
    openapi_put(o, schema, "description", doc);
    put_val(o, definitions, name, schema);
}

void openapi_fixed_types(struct openapi *o, yyjson_mut_val *definitions)
{
    assert(definitions);
    yyjson_mut_val *quantity = o->v3 ? one_of(o, "string", "number") : plain(o, "string", NULL);
    yyjson_mut_val *intstr =
        o->v3 ? one_of(o, "integer", "string") : plain(o, "string", "int-or-string");
    if (o->v3) {
        openapi_put(o, intstr, "format", "int-or-string");
    }
    put_fixed(o, definitions, QUANTITY, quantity,
              "An amount: a number with an optional suffix such as Ki, Mi, Gi, m, k, M or G.");
    put_fixed(o, definitions, INTSTR, intstr,
              "A number, or a string such as a port's name or a percentage.");
    put_fixed(o, definitions, RAW, plain(o, "object", NULL), "Any object.");
    put_fixed(o, definitions, OPENAPI_META "Time", plain(o, "string", "date-time"),
              "A time in RFC 3339 form, in seconds.");
    put_fixed(o, definitions, OPENAPI_META "MicroTime", plain(o, "string", "date-time"),
              "A time in RFC 3339 form, in microseconds.");
    put_fixed(o, definitions, OPENAPI_META "Duration", plain(o, "string", NULL),
              "A length of time such as 1h30m or 500ms.");
    put_fixed(o, definitions, OPENAPI_META "FieldsV1", plain(o, "object", NULL),
              "The fields that one manager has set, as nested objects of their names.");
    put_fixed(o, definitions, OPENAPI_META "Patch", plain(o, "object", NULL),
              "A patch in the form that the content type names.");
}
