/* schema/custom_table.c: the tables of a custom kind: what server-side apply and OpenAPI walk.
 *
 * They are made as Kubernetes makes types of structured-merge-diff of a schema: what the schema
 * says nothing of is schema_anything, and x-kubernetes-preserve-unknown-fields lets everything
 * below have unknown members. Every field is a pointer without a zero value, because nothing is
 * written that nobody set. */
#include <stdlib.h>

#include "base/check.h"
#include "schema/custom_priv.h"
#include "schema/kinds.h"

/* What the tables of one version share. */
struct maker {
    struct arena *a;
    const struct schema_type *meta; /* of metadata within values; NULL: not needed yet */
    bool keeps_unknown;             /* here and below */
};

static const struct schema_type *object_type(struct maker *x, const struct custom_node *n,
                                             const char *name);

static const char *text_or(struct arena *a, const yyjson_val *v)
{
    return v ? arena_cstr(a, json_str(v)) : NULL;
}

/* Texts of a format are any plain value to structured-merge-diff. */
static uint8_t text_shape(const struct custom_node *n)
{
    struct span format = json_get_str(n->raw, "format");
    return format.n == 0 || span_eq(format, SPAN("byte")) ? SCHEMA_STRING : SCHEMA_INT_OR_STRING;
}

static uint8_t plain_shape(const struct custom_node *n)
{
    switch (n->type) {
    case CUSTOM_STRING:
        return text_shape(n);
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

static bool has_fields(const struct custom_node *n)
{
    return n->property_count > 0 || n->embedded;
}

static struct schema_field field_of(struct maker *x, struct span name, const struct custom_node *n);

/* The element of a list or map. */
static void set_element(struct maker *x, struct schema_field *f, const struct custom_node *n)
{
    if (!n) {
        f->elem_shape = SCHEMA_ANY;
        f->element = &schema_anything;
        return;
    }
    struct schema_field *one = ARENA_NEW(x->a, struct schema_field);
    *one = field_of(x, span_cstr(f->name), n);
    f->elem_shape = one->shape;
    f->type = one->shape == SCHEMA_OBJECT ? one->type : NULL;
    f->element = one;
}

static void set_object(struct maker *x, struct schema_field *f, const struct custom_node *n)
{
    f->shape = n->type != CUSTOM_OBJECT ? SCHEMA_ANY : has_fields(n) ? SCHEMA_OBJECT : SCHEMA_MAP;
    f->flags |= n->map_atomic ? SCHEMA_STRUCT_ATOMIC : 0;
    if (f->shape == SCHEMA_MAP) {
        set_element(x, f, n->additional);
        return;
    }
    f->flags |= f->shape == SCHEMA_ANY ? SCHEMA_LOOSE : 0;
    f->type = has_fields(n) ? object_type(x, n, f->name) : NULL;
}

static struct schema_field field_of(struct maker *x, struct span name, const struct custom_node *n)
{
    struct schema_field f = {.name = arena_cstr(x->a, name),
                             .shape = plain_shape(n),
                             .flags = SCHEMA_POINTER | SCHEMA_OMITEMPTY,
                             .min = INT64_MIN,
                             .max = INT64_MAX,
                             .doc = text_or(x->a, json_get(n->raw, "description"))};
    bool kept = x->keeps_unknown;
    x->keeps_unknown |= n->preserve;
    if (n->type == CUSTOM_OBJECT || n->type == CUSTOM_ANY) {
        set_object(x, &f, n);
    } else if (n->type == CUSTOM_ARRAY) {
        f.shape = SCHEMA_LIST;
        f.list_kind = n->list_kind;
        f.map_keys = n->list_kind == SCHEMA_LIST_MAP ? n->map_keys : NULL;
        set_element(x, &f, n->items);
    } else if (n->initial) {
        f.default_json = arena_cstr(x->a, json_write(x->a, n->initial));
    }
    x->keeps_unknown = kept;
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

static const struct schema_type *plain_type(struct arena *a, const struct schema_type *like)
{
    struct schema_type *t = ARENA_NEW(a, struct schema_type);
    struct schema_field *fields = ARENA_ARRAY(a, struct schema_field, like->field_count + 1u);
    *t = *like;
    for (uint16_t i = 0; i < like->field_count; i++) {
        fields[i] = like->fields[i];
        fields[i].flags |= SCHEMA_POINTER | SCHEMA_OMITEMPTY;
        if (fields[i].type) {
            fields[i].type = plain_type(a, fields[i].type);
        }
    }
    t->fields = fields;
    return t;
}

/* Of a resource within a value: what each has. */
static uint16_t put_head(struct maker *x, struct schema_field *fields, const struct custom_node *n)
{
    static const char *const head[] = {"kind", "apiVersion", "metadata"};
    const struct schema_type *like = SCHEMA_KIND(PartialObjectMetadata)->type;
    uint16_t count = 0;
    x->meta = x->meta || !n->embedded ? x->meta : plain_type(x->a, like);
    for (size_t i = 0; n->embedded && i < 3; i++) {
        fields[count++] = *schema_field_find(x->meta, span_cstr(head[i]));
    }
    return count;
}

static const struct schema_type *object_type(struct maker *x, const struct custom_node *n,
                                             const char *name)
{
    struct schema_type *t = ARENA_NEW(x->a, struct schema_type);
    size_t max = n->property_count < FIELDS_MAX ? n->property_count : FIELDS_MAX;
    struct schema_field *fields = ARENA_ARRAY(x->a, struct schema_field, max + 4);
    uint16_t count = put_head(x, fields, n);
    for (size_t i = 0; i < max; i++) {
        struct span one = n->properties[i].name;
        if (!n->embedded || !custom_is_head(one)) {
            fields[count++] = field_of(x, one, n->properties[i].node);
        }
    }
    *t = (struct schema_type){.name = name,
                              .group = "",
                              .version = "",
                              .fields = fields,
                              .field_count = count,
                              .doc = text_or(x->a, json_get(n->raw, "description")),
                              .open = x->keeps_unknown || n->any_members};
    sort_fields(x->a, t);
    return t;
}

/* The root: head, then the schema's other members. */
const struct schema_type *custom_tables(struct arena *a, const struct custom *custom)
{
    assert(a);
    assert(custom);
    assert(custom->kind);
    const struct schema_type *like = SCHEMA_KIND(PartialObjectMetadata)->type;
    struct maker x = {.a = a, .keeps_unknown = custom->root->preserve};
    const struct schema_type *body = object_type(&x, custom->root, custom->kind->kind);
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
