/* schema/kind.h: what the hook files (kind_*.c) share. Internal to schema/. */
#ifndef SCHEMA_KIND_H
#define SCHEMA_KIND_H

#include "codec/json.h"
#include "schema/schema.h"

extern const struct schema_hooks schema_hooks_plain;

/* Field selectors that every kind has: metadata.name and metadata.namespace. */
bool kind_field_metadata(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret);

#endif
