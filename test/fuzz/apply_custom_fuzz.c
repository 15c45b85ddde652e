/* [DEFINITION, LIVE, CONFIG]: the configuration is applied to the object in each version of a
 * custom kind, and in the older one of autoscalers; what comes of it can be updated back and
 * scaled. */
#include "base/check.h"
#include "codec/json.h"
#include "managed/managed.h"
#include "schema/custom.h"
#include "schema/kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(struct arena *a, const struct schema_kind *kind, const yyjson_val *live,
                  const yyjson_val *config)
{
    struct managed_write w = {.kind = kind, .manager = SPAN("m"), .now_ms = 1, .stored = live};
    yyjson_mut_doc *doc = json_mut_new(a);
    struct managed_applied one;
    struct err err = {0};
    if (managed_apply(a, doc, &w, true, live, config, &one, &err)) {
        assert(err.message.n);
        return;
    }
    const yyjson_val *next = json_freeze(a, one.object), *list = NULL;
    (void)managed_update(a, doc, &w, next, live ? live : next, NULL);
    list = one.managed ? json_freeze(a, one.managed) : NULL;
    yyjson_mut_val *scale = kind->custom ? NULL : managed_to_scale(a, doc, kind, list);
    if (scale) {
        (void)managed_from_scale(a, doc, kind, list, json_freeze(a, scale));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    const struct schema_kind *crd = SCHEMA_KIND(CustomResourceDefinition);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_doc *in;
    struct err err = {0};
    if (json_parse(a, span_of(data, size), &in, &err)) {
        return 0;
    }
    yyjson_val *root = yyjson_doc_get_root(in), *live = yyjson_arr_get(root, 1);
    const yyjson_val *config = yyjson_arr_get(root, 2);
    live = yyjson_is_obj(live) ? live : NULL;
    apply(a, SCHEMA_KIND(HorizontalPodAutoscalerV1), live, config);
    yyjson_mut_val *d =
        schema_decode(a, crd, yyjson_arr_get(root, 0), doc, SCHEMA_IGNORE, NULL, &err);
    const yyjson_val *def = d ? (schema_defaults(doc, crd, d), json_freeze(a, d)) : NULL;
    if (!def || schema_validate(a, crd, def, NULL, &err)) {
        return 0;
    }
    struct custom_definition *c = custom_compile(def, &err, a);
    for (size_t i = 0; c && i < c->kind_count; i++) {
        apply(a, &c->kinds[i], live, config);
    }
    custom_unref(c);
    return 0;
}
