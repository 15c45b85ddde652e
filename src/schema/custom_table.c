/* schema/custom_table.c: the tables of a custom kind: what server-side apply and OpenAPI walk.
 *
 * A table says less than the schema: lists of lists and maps of lists are one value. Every field is
 * a pointer without a zero value, because nothing is written that nobody set. */
#include <stdlib.h>

#include "base/check.h"
#include "schema/custom_priv.h"
#include "schema/kinds.h"

static const struct schema_type *object_type(struct arena *a, const struct custom_node *n,
                                             const char *name);

static const char *text_or(struct arena *a, const yyjson_val *v)
{
    return v ? arena_cstr(a, json_str(v)) : NULL;
}

static uint8_t plain_shape(const struct custom_node *n)
{
    if (n->int_or_string) {
        return SCHEMA_INT_OR_STRING;
    }
    switch (n->type) {
    case CUSTOM_STRING:
        return SCHEMA_STRING;
    case CUSTOM_INTEGER:
        return SCHEMA_INT64;
    case CUSTOM_NUMBER:
        return SCHEMA_DOUBLE;
    case CUSTOM_BOOLEAN:
        return SCHEMA_BOOL;
    default:
        return SCHEMA_ANY;
    }
}

static bool is_map(const struct custom_node *n)
{
    return n->type == CUSTOM_OBJECT && n->property_count == 0 &&
           (n->additional || n->any_members || n->preserve);
}

/* The element of a list or map. */
static void set_elem(struct arena *a, struct schema_field *f, const struct custom_node *n)
{
    f->elem_shape = n ? plain_shape(n) : SCHEMA_ANY;
    if (n && n->type == CUSTOM_OBJECT && !is_map(n) && !n->map_atomic) {
        f->elem_shape = SCHEMA_OBJECT;
        f->type = object_type(a, n, f->name);
    }
}

static struct schema_field field_of(struct arena *a, struct span name, const struct custom_node *n)
{
    struct schema_field f = {.name = arena_cstr(a, name),
                             .shape = plain_shape(n),
                             .flags = SCHEMA_POINTER | SCHEMA_OMITEMPTY,
                             .min = INT64_MIN,
                             .max = INT64_MAX,
                             .doc = text_or(a, json_get(n->raw, "description"))};
    if (n->type == CUSTOM_OBJECT) {
        f.shape = is_map(n) ? SCHEMA_MAP : SCHEMA_OBJECT;
        f.flags |= n->map_atomic ? SCHEMA_STRUCT_ATOMIC : 0;
        if (f.shape == SCHEMA_MAP) {
            set_elem(a, &f, n->additional);
        } else {
            f.type = object_type(a, n, f.name);
        }
    } else if (n->type == CUSTOM_ARRAY) {
        f.shape = SCHEMA_LIST;
        f.list_kind = n->list_kind;
        f.map_keys = n->list_kind == SCHEMA_LIST_MAP ? n->map_keys : NULL;
        set_elem(a, &f, n->items);
    } else if (n->initial && f.shape != SCHEMA_ANY) {
        f.default_json = arena_cstr(a, json_write(a, n->initial));
    }
    return f;
}

struct by_name {
    const struct schema_field *fields;
    uint16_t at;
};

static int cmp_field(const void *x, const void *y)
{
    const struct by_name *a = x, *b = y;
    return strcmp(a->fields[a->at].name, b->fields[b->at].name);
}

static void sort_fields(struct arena *a, struct schema_type *t)
{
    struct by_name *order = ARENA_ARRAY(a, struct by_name, t->field_count + 1u);
    uint16_t *sorted = ARENA_ARRAY(a, uint16_t, t->field_count + 1u);
    for (uint16_t i = 0; i < t->field_count; i++) {
        order[i] = (struct by_name){t->fields, i};
    }
    qsort(order, t->field_count, sizeof *order, cmp_field);
    for (uint16_t i = 0; i < t->field_count; i++) {
        sorted[i] = order[i].at;
    }
    t->sorted = sorted;
}

/* Members beyond what a table can hold are one value each. */
enum { FIELDS_MAX = 60000 };

static const struct schema_type *object_type(struct arena *a, const struct custom_node *n,
                                             const char *name)
{
    struct schema_type *t = ARENA_NEW(a, struct schema_type);
    size_t count = n->property_count < FIELDS_MAX ? n->property_count : FIELDS_MAX;
    struct schema_field *fields = ARENA_ARRAY(a, struct schema_field, count + 1);
    for (size_t i = 0; i < count; i++) {
        fields[i] = field_of(a, n->properties[i].name, n->properties[i].node);
    }
    *t = (struct schema_type){.name = name,
                              .group = "",
                              .version = "",
                              .fields = fields,
                              .field_count = (uint16_t)count,
                              .doc = text_or(a, json_get(n->raw, "description")),
                              .open = n->preserve || n->any_members || n->additional ||
                                      n->embedded || n->type == CUSTOM_ANY};
    sort_fields(a, t);
    return t;
}

/* The root: head, then the schema's other members. */
const struct schema_type *custom_tables(struct arena *a, const struct custom *custom)
{
    assert(a && custom && custom->kind);
    const struct schema_type *like = SCHEMA_KIND(PartialObjectMetadata)->type;
    const struct schema_type *body = object_type(a, custom->root, custom->kind->kind);
    struct schema_type *t = ARENA_NEW(a, struct schema_type);
    struct schema_field *fields = ARENA_ARRAY(a, struct schema_field, body->field_count + 4u);
    static const char *const head[] = {"kind", "apiVersion", "metadata"};
    *t = *body;
    t->field_count = 0;
    for (size_t i = 0; i < 3; i++) {
        fields[t->field_count++] = *schema_field_find(like, span_cstr(head[i]));
    }
    for (uint16_t i = 0; i < body->field_count; i++) {
        if (!custom_is_head(span_cstr(body->fields[i].name))) {
            fields[t->field_count++] = body->fields[i];
        }
    }
    t->fields = fields;
    t->group = custom->kind->group;
    t->version = custom->kind->version;
    t->custom = custom;
    sort_fields(a, t);
    return t;
}
