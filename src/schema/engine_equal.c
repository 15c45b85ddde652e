/* schema/engine_equal.c: equality as Go's Semantic.DeepEqual sees it, by the rows: quantities by
 * their amount; of what is no pointer nothing, zero and empty alike; pointers by whether they are
 * there. Depth is bounded: the values came through json_parse. */
#include "base/check.h"
#include "codec/quantity.h"
#include "schema/engine.h"

/* In larger maps quantities and objects are compared as they are written. */
enum { MEMBERS_MAX = 1000 };

static bool is_empty(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)v;
    return !x || (yyjson_is_ctn(x) && yyjson_get_len(x) == 0) ||
           (yyjson_is_str(x) && yyjson_get_len(x) == 0) || yyjson_is_false(x) ||
           (yyjson_is_num(x) && yyjson_get_num(x) == 0);
}

static const yyjson_val *given(const yyjson_val *v)
{
    return yyjson_is_null((yyjson_val *)v) ? NULL : v;
}

static bool value_same(const struct schema_field *f, uint8_t shape, const yyjson_val *a,
                       const yyjson_val *b);

static bool elements_same(const struct schema_field *f, const yyjson_val *a, const yyjson_val *b)
{
    if (json_len(a) != json_len(b)) {
        return false;
    }
    struct json_iter other = json_iter_begin(b);
    JSON_EACH(it, a)
    {
        if (!value_same(f, f->elem_shape, it.val, other.val)) {
            return false;
        }
        json_iter_next(&other);
    }
    return true;
}

static bool entries_same(const struct schema_field *f, const yyjson_val *a, const yyjson_val *b)
{
    bool plain = f->elem_shape != SCHEMA_QUANTITY && f->elem_shape != SCHEMA_OBJECT;
    if (json_len(a) != json_len(b) || plain || json_len(a) > MEMBERS_MAX) {
        return json_len(a) + json_len(b) == 0 || json_equal(a, b);
    }
    JSON_EACH(it, a)
    {
        const yyjson_val *other = json_get_span(b, json_str(it.key));
        if (!other || !value_same(f, f->elem_shape, it.val, other)) {
            return false;
        }
    }
    return true;
}

static bool value_same(const struct schema_field *f, uint8_t shape, const yyjson_val *a,
                       const yyjson_val *b)
{
    switch ((enum schema_shape)shape) {
    case SCHEMA_OBJECT:
        return schema_same(f->type, a, b, NULL);
    case SCHEMA_LIST:
        return f->shape == SCHEMA_LIST ? elements_same(f, a, b) : json_equal(a, b);
    case SCHEMA_MAP:
        return entries_same(f, a, b);
    case SCHEMA_QUANTITY:
        return quantity_same(json_str(a), json_str(b));
    default:
        return (is_empty(a) && is_empty(b)) || (a && b && json_equal(a, b));
    }
}

static bool member_same(const struct schema_type *type, struct span key, const yyjson_val *a,
                        const yyjson_val *b)
{
    const struct schema_field *f = schema_field_find(type, key);
    a = given(a);
    b = given(b);
    if (!f || ((f->flags & SCHEMA_POINTER) && !a != !b)) {
        return !a && !b;
    }
    return (!a && !b) || value_same(f, f->shape, a, b);
}

static bool is_listed(struct span key, const char *const *names)
{
    for (; names && *names; names++) {
        if (span_eq_cstr(key, *names)) {
            return true;
        }
    }
    return false;
}

bool schema_same(const struct schema_type *type, const yyjson_val *a, const yyjson_val *b,
                 const char *const *except)
{
    assert(type);
    assert(!type->custom);
    if (a && b && json_same(a, b)) {
        return true;
    }
    JSON_EACH(it, a)
    {
        struct span key = json_str(it.key);
        if (!is_listed(key, except) && !member_same(type, key, it.val, json_get_span(b, key))) {
            return false;
        }
    }
    JSON_EACH(it, b)
    {
        struct span key = json_str(it.key);
        if (!is_listed(key, except) && !json_get_span(a, key) &&
            !member_same(type, key, NULL, it.val)) {
            return false;
        }
    }
    return true;
}
