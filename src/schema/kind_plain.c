/* schema/kind_plain.c: hooks of kinds that need no behaviour beyond their rows, and what all kinds
 * share. */
#include "schema/kind.h"

bool kind_field_metadata(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    (void)a;
    const yyjson_val *meta = json_get(obj, "metadata");
    if (span_eq(key, SPAN("metadata.name"))) {
        *ret = json_get_str(meta, "name");
        return true;
    }
    if (span_eq(key, SPAN("metadata.namespace"))) {
        *ret = json_get_str(meta, "namespace");
        return true;
    }
    return false;
}

const struct schema_hooks schema_hooks_plain = {.field = kind_field_metadata};
