/* schema/openapi_custom.c: custom kinds in OpenAPI: their schema as it was given. The v2 form has
 * no words for alternatives, null and unknown members; there they are left out, so that old clients
 * do not refuse what the server takes. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/custom.h"
#include "schema/kinds.h"
#include "schema/openapi_priv.h"

static bool is_left_out(struct span key, bool v3, bool loose)
{
    static const char *const always[] = {"x-kubernetes-validations", "example", "externalDocs"};
    static const char *const v2[] = {"oneOf", "anyOf", "allOf", "not", "nullable", "default"};
    static const char *const untyped[] = {"type", "properties", "items", "required"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        if (span_eq_cstr(key, always[i])) {
            return true;
        }
    }
    for (size_t i = 0; !v3 && i < sizeof v2 / sizeof *v2; i++) {
        if (span_eq_cstr(key, v2[i])) {
            return true;
        }
    }
    for (size_t i = 0; loose && i < sizeof untyped / sizeof *untyped; i++) {
        if (span_eq_cstr(key, untyped[i])) {
            return true;
        }
    }
    return false;
}

static yyjson_mut_val *schema_of(struct openapi *o, const yyjson_val *in);

static yyjson_mut_val *map_of(struct openapi *o, const yyjson_val *in)
{
    yyjson_mut_val *out = yyjson_mut_obj(o->doc);
    JSON_EACH(it, in)
    {
        (void)yyjson_mut_obj_add(out, json_new_str(o->doc, json_str(it.key)), schema_of(o, it.val));
    }
    return out;
}

static yyjson_mut_val *schema_of(struct openapi *o, const yyjson_val *in)
{
    yyjson_mut_val *out = yyjson_mut_obj(o->doc);
    bool loose = !o->v3 && (json_get_bool(in, "nullable", false) ||
                            json_get_bool(in, "x-kubernetes-preserve-unknown-fields", false));
    JSON_EACH(it, in)
    {
        struct span key = json_str(it.key);
        yyjson_mut_val *v;
        bool any = !o->v3 && yyjson_is_bool(it.val) && span_eq(key, SPAN("additionalProperties"));
        if (any || is_left_out(key, o->v3, loose)) {
            continue;
        }
        if (span_eq(key, SPAN("properties"))) {
            v = map_of(o, it.val);
        } else if (yyjson_is_obj(it.val) &&
                   (span_eq(key, SPAN("items")) || span_eq(key, SPAN("additionalProperties")))) {
            v = schema_of(o, it.val);
        } else {
            v = json_mut_copy(o->doc, it.val);
        }
        (void)yyjson_mut_obj_add(out, json_new_str(o->doc, key), v);
    }
    return out;
}

/* apiVersion, kind and metadata stand first, as in Kubernetes. */
yyjson_mut_val *openapi_custom_type(struct openapi *o, const struct schema_type *type)
{
    assert(type->custom);
    const struct schema_kind *kind = custom_kind(type->custom);
    yyjson_mut_val *out = schema_of(o, custom_document(type->custom));
    yyjson_mut_val *given = json_mut_get(out, "properties"), *all = yyjson_mut_obj(o->doc), *key;
    static const char *const head[] = {"apiVersion", "kind"};
    for (size_t i = 0; i < 2; i++) {
        yyjson_mut_val *text = yyjson_mut_obj(o->doc);
        openapi_put(o, text, "type", "string");
        openapi_put(o, text, "description",
                    i ? "Kind is the name of the schema of this object."
                      : "APIVersion defines the group and version of the schema of this object.");
        json_put(o->doc, all, head[i], text);
    }
    yyjson_mut_val *meta = openapi_ref(o, schema_type_find("meta", "v1", "ObjectMeta"));
    if (o->v3) {
        yyjson_mut_val *holder = yyjson_mut_obj(o->doc), *list = yyjson_mut_arr(o->doc);
        yyjson_mut_arr_append(list, meta);
        json_put(o->doc, holder, "allOf", list);
        meta = holder;
    }
    openapi_put(o, meta, "description",
                "Standard object's metadata: name, labels and other things every object has.");
    json_put(o->doc, all, "metadata", meta);
    yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(given);
    while (given && (key = yyjson_mut_obj_iter_next(&it))) {
        if (!json_mut_get(all, json_mut_str(key).p)) {
            json_put_span(o->doc, all, json_mut_str(key),
                          yyjson_mut_val_mut_copy(o->doc, yyjson_mut_obj_iter_get_val(key)));
        }
    }
    if (!o->v3 && json_get_bool(custom_document(type->custom),
                                "x-kubernetes-preserve-unknown-fields", false)) {
        out = yyjson_mut_obj(o->doc); /* old clients refuse what is not among properties */
        openapi_put(o, out, "type", "object");
    } else {
        json_remove(out, "properties");
        json_put(o->doc, out, "properties", all);
    }
    yyjson_mut_val *gvk = yyjson_mut_arr(o->doc);
    yyjson_mut_arr_append(gvk, openapi_gvk(o, span_cstr(kind->group), span_cstr(kind->version),
                                           span_cstr(kind->kind)));
    json_put(o->doc, out, "x-kubernetes-group-version-kind", gvk);
    return out;
}
