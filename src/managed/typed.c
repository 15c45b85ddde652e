/* managed/typed.c: what a value at a path is, and how elements of lists are named. */
#include "managed/typed.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/sort.h"
#include "codec/json.h"

/* The one field that is granular although its type is atomic. */
static bool is_granular_field(const struct schema_field *f)
{
    return f && strcmp(f->name, "claimRef") == 0;
}

enum typed_class typed_class(struct typed_ref r)
{
    if (!r.field) {
        return r.type ? TYPED_OBJECT : TYPED_LEAF;
    }
    uint8_t shape = r.elem ? r.field->elem_shape : r.field->shape;
    if (r.field->flags & SCHEMA_LOOSE) {
        return TYPED_LOOSE;
    }
    bool atomic = !r.elem && (r.field->flags & SCHEMA_STRUCT_ATOMIC);
    if (shape == SCHEMA_OBJECT && r.type) {
        atomic |= r.type->atomic && !is_granular_field(r.field);
        return atomic ? TYPED_LEAF : TYPED_OBJECT;
    }
    if (r.elem || atomic) {
        return TYPED_LEAF; /* lists of lists and the like are one value */
    }
    if (shape == SCHEMA_MAP) {
        return TYPED_MAP;
    }
    bool associative = shape == SCHEMA_LIST && r.field->list_kind != SCHEMA_LIST_ATOMIC;
    return associative ? TYPED_LIST : TYPED_LEAF;
}

enum typed_class typed_class_of(struct typed_ref r, bool is_object)
{
    enum typed_class class = typed_class(r);
    if (class != TYPED_LOOSE) {
        return class;
    }
    return !is_object ? TYPED_LEAF : r.type ? TYPED_OBJECT : TYPED_MAP;
}

struct typed_ref typed_member(struct typed_ref r, struct span name)
{
    enum typed_class class = typed_class(r);
    if (class == TYPED_MAP) {
        return typed_element(r);
    }
    const struct schema_field *f = r.type ? schema_field_find(r.type, name) : NULL;
    if (!f && (class == TYPED_LOOSE || (r.type && r.type->open))) {
        f = &schema_anything;
    }
    return (struct typed_ref){f, f ? f->type : NULL, false};
}

struct typed_ref typed_element(struct typed_ref r)
{
    assert(r.field);
    const struct schema_field *one = r.field->element;
    if (r.field == &schema_anything) {
        return r;
    }
    return one ? (struct typed_ref){one, one->type, false}
               : (struct typed_ref){r.field, r.field->type, true};
}

/* ---- names of list elements ---- */

static const yyjson_val *key_default(struct arena *a, const struct schema_field *f, bool zero)
{
    const char *text = f ? f->default_json : NULL;
    bool is_text = f && (f->shape == SCHEMA_STRING);
    /* What Go writes always has its zero as default in Kubernetes' OpenAPI, and so has the name of
     * a reference. */
    bool always = f && (!(f->flags & (SCHEMA_POINTER | SCHEMA_OMITEMPTY)) ||
                        (strcmp(f->name, "name") == 0 && (f->flags & SCHEMA_OMITEMPTY)));
    if (!text && (zero || always)) {
        text = is_text ? "\"\"" : f && f->shape == SCHEMA_BOOL ? "false" : "0";
    }
    yyjson_doc *doc = NULL;
    if (!text || json_parse(a, span_cstr(text), &doc, NULL)) {
        return NULL;
    }
    return yyjson_doc_get_root(doc);
}

static int cmp_part(const void *x, const void *y)
{
    const struct fieldset_part *a = x, *b = y;
    return span_cmp(a->name, b->name);
}

static const char *keyed_elem(struct arena *a, struct typed_ref list, const yyjson_val *item,
                              bool zero, struct fieldset_elem *ret)
{
    struct fieldset_part part[LIMIT_FIELDSET_KEYS];
    struct span keys = span_cstr(list.field->map_keys);
    uint32_t n = 0;
    if (!yyjson_is_obj((yyjson_val *)(uintptr_t)item)) {
        return yyjson_is_null((yyjson_val *)(uintptr_t)item)
                   ? "associative list with keys may not have a null element"
                   : "associative list with keys may not have non-map elements";
    }
    while (keys.n && n < LIMIT_FIELDSET_KEYS) {
        struct span key = span_cut(&keys, ',');
        const yyjson_val *v = yyjson_obj_getn((yyjson_val *)(uintptr_t)item, key.p, key.n);
        if (!v) {
            v = key_default(a, list.type ? schema_field_find(list.type, key) : NULL, zero);
        }
        if (!v) {
            return arena_printf(a,
                                "associative list with keys has an element that omits key field "
                                "\"%.*s\" (and doesn't have default value)",
                                SPAN_ARG(key))
                .p;
        }
        if (yyjson_is_ctn((yyjson_val *)(uintptr_t)v)) {
            return "associative list with keys has an element whose key is not a plain value";
        }
        part[n++] = (struct fieldset_part){key, v};
    }
    sort_few(part, n, sizeof *part, cmp_part);
    struct fieldset_part *parts = arena_alloc_raw(a, (n + 1) * sizeof *parts);
    memcpy(parts, part, n * sizeof *parts);
    *ret = (struct fieldset_elem){.what = FIELDSET_KEY, .part_n = n, .parts = parts};
    return NULL;
}

const char *typed_elem(struct arena *a, struct typed_ref list, const yyjson_val *item, bool zero,
                       struct fieldset_elem *ret)
{
    assert(list.field);
    assert(typed_class(list) == TYPED_LIST);
    if (list.field->list_kind == SCHEMA_LIST_MAP && list.field->map_keys) {
        return keyed_elem(a, list, item, zero, ret);
    }
    yyjson_val *v = (yyjson_val *)(uintptr_t)item;
    if (yyjson_is_obj(v)) {
        return "associative list without keys has an element that's a map type";
    }
    if (yyjson_is_arr(v)) {
        return "not supported: associative list with lists as elements";
    }
    if (yyjson_is_null(v)) {
        return "associative list without keys has an element that's an explicit null";
    }
    *ret = (struct fieldset_elem){.what = FIELDSET_VALUE, .value = item};
    return NULL;
}

/* ---- sets ---- */

static bool is_map(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)(uintptr_t)v;
    return yyjson_is_null(x) || yyjson_is_obj(x);
}

static bool is_empty_map(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)(uintptr_t)v;
    return yyjson_is_null(x) || (yyjson_is_obj(x) && yyjson_obj_size(x) == 0);
}

/* What is below v; *ret_self says whether v itself is a leaf of the set. */
static const struct fieldset *set_below(struct arena *a, struct typed_ref r, const yyjson_val *v,
                                        bool *ret_self);

struct named {
    struct fieldset_elem e;
    const yyjson_val *v;
};

static int cmp_named(const void *x, const void *y)
{
    return fieldset_elem_cmp(&((const struct named *)x)->e, &((const struct named *)y)->e);
}

/* Of elements of one name, only the name is in the set. */
static const struct fieldset *set_of_list(struct arena *a, struct typed_ref r, const yyjson_val *v)
{
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    struct named *at = arena_alloc_raw(a, (json_len(v) + 1) * sizeof *at);
    size_t n = 0;
    JSON_EACH(it, v)
    {
        at[n].v = it.val;
        n += typed_elem(a, r, it.val, true, &at[n].e) == NULL;
    }
    sort_few(at, n, sizeof *at, cmp_named);
    for (size_t i = 0; i < n; i++) {
        bool self, alone = (i == 0 || cmp_named(&at[i - 1], &at[i])) &&
                           (i + 1 == n || cmp_named(&at[i], &at[i + 1]));
        fieldset_add(a, out, at[i].e, true,
                     alone ? set_below(a, typed_element(r), at[i].v, &self) : NULL);
    }
    return fieldset_seal(a, out);
}

static const struct fieldset *set_below(struct arena *a, struct typed_ref r, const yyjson_val *v,
                                        bool *ret_self)
{
    enum typed_class class = typed_class_of(r, is_map(v));
    *ret_self = class == TYPED_LEAF;
    if (class == TYPED_LEAF || !yyjson_is_ctn((yyjson_val *)(uintptr_t)v)) {
        return NULL;
    }
    if (class == TYPED_LIST) {
        return set_of_list(a, r, v);
    }
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    JSON_EACH(it, v)
    {
        struct span name = json_str(it.key);
        struct typed_ref m = typed_member(r, name);
        bool self;
        const struct fieldset *below = set_below(a, m, it.val, &self);
        bool named = class == TYPED_MAP || !typed_is_named(m);
        fieldset_add(a, out, fieldset_field(name), self || named || is_empty_map(it.val), below);
    }
    return fieldset_seal(a, out);
}

const struct fieldset *typed_set(struct arena *a, struct typed_ref r, const yyjson_val *v)
{
    assert(a);
    bool self;
    return set_below(a, r, v, &self);
}

const struct fieldset *typed_named(struct arena *a, struct typed_ref r, const struct fieldset *set)
{
    assert(a);
    if (fieldset_is_empty(set)) {
        return NULL;
    }
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    enum typed_class class = typed_class(r);
    for (uint32_t i = 0; i < set->n; i++) {
        const struct fieldset_node *n = &set->at[i];
        struct typed_ref m = {0};
        bool named = false;
        if (n->elem.what == FIELDSET_FIELD && class != TYPED_LEAF && class != TYPED_LIST) {
            m = typed_member(r, n->elem.name);
            named = class != TYPED_MAP && typed_is_named(m);
        } else if (n->elem.what == FIELDSET_KEY && class == TYPED_LIST) {
            m = typed_element(r);
        }
        fieldset_add(a, out, n->elem, n->member || named, typed_named(a, m, n->below));
    }
    return out->n ? out : NULL;
}
