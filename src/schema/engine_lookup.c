/* schema/engine_lookup.c: finding kinds, types and fields in the tables. */
#include "base/check.h"
#include "schema/name_hash.h"
#include "schema/schema_row.h"
#include "schema/tables.h"

const struct schema_field schema_anything = {
    .name = "", .shape = SCHEMA_ANY, .flags = SCHEMA_POINTER | SCHEMA_OMITEMPTY | SCHEMA_LOOSE};

size_t schema_kind_count(void)
{
    return schema_tables_kinds_count;
}

const struct schema_kind *schema_kind_at(size_t i)
{
    assert(i < schema_tables_kinds_count);
    return schema_tables_kinds[i];
}

static const struct schema_kind *find_in(const struct schema_kind *const *kinds, size_t n,
                                         const char *group, const char *kind)
{
    for (size_t i = 0; i < n; i++) {
        if (kinds[i]->kind[0] == kind[0] && strcmp(kinds[i]->kind, kind) == 0 &&
            strcmp(kinds[i]->group, group) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

const struct schema_kind *schema_kind_find(const char *group, const char *kind)
{
    assert(group);
    assert(kind);
    const struct schema_kind *k =
        find_in(schema_tables_kinds, schema_tables_kinds_count, group, kind);
    return k ? k : find_in(schema_tables_bodies, schema_tables_bodies_count, group, kind);
}

const struct schema_kind *schema_resource_find(struct span group, struct span version,
                                               struct span plural)
{
    for (size_t i = 0; i < schema_tables_kinds_count; i++) {
        const struct schema_kind *k = schema_tables_kinds[i];
        if (span_eq_cstr(plural, k->plural) && span_eq_cstr(group, k->group) &&
            span_eq_cstr(version, k->version)) {
            return k;
        }
    }
    return NULL;
}

const struct schema_kind *schema_resource_by_name(struct span resource)
{
    for (size_t i = 0; i < schema_tables_kinds_count; i++) {
        if (span_eq_cstr(resource, schema_tables_kinds[i]->resource)) {
            return schema_tables_kinds[i];
        }
    }
    return NULL;
}

size_t schema_type_count(void)
{
    return schema_tables_types_count;
}

const struct schema_type *schema_type_at(size_t i)
{
    assert(i < schema_tables_types_count);
    return schema_tables_types[i];
}

const struct schema_type *schema_type_find(const char *group, const char *version, const char *name)
{
    assert(group);
    assert(version);
    assert(name);
    for (size_t i = 0; i < schema_tables_types_count; i++) {
        const struct schema_type *t = schema_tables_types[i];
        if (strcmp(t->name, name) == 0 && strcmp(t->group, group) == 0 &&
            strcmp(t->version, version) == 0) {
            return t;
        }
    }
    return NULL;
}

static const struct schema_field *find_sorted(const struct schema_type *type, struct span name)
{
    size_t low = 0, high = type->field_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct schema_field *f = &type->fields[type->sorted[middle]];
        int c = span_cmp(name, span_cstr(f->name));
        if (c == 0) {
            return f;
        }
        if (c < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct schema_field *schema_field_find(const struct schema_type *type, struct span name)
{
    assert(type);
    if (!type->slots) {
        return find_sorted(type, name);
    }
    if (name.n == 0) {
        return NULL;
    }
    size_t mask = ((size_t)1 << type->slot_bits) - 1;
    size_t at = schema_name_slot(name, type->slot_seed, type->slot_bits);
    for (; type->slots[at] != SCHEMA_NO_FIELD; at = (at + 1) & mask) {
        const struct schema_field *f = &type->fields[type->slots[at]];
        if (schema_field_is(f, name)) {
            return f;
        }
    }
    return NULL;
}

const char *schema_api_version(const struct schema_kind *kind)
{
    assert(kind);
    return kind->api_version;
}
