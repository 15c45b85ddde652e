/* codec/json_equal.c: whether two trees hold the same, as json.h has it in several degrees. */
#include "base/check.h"
#include "codec/json.h"

static bool numbers_equal(const yyjson_val *a, const yyjson_val *b)
{
    yyjson_val *x = json_unconst(a), *y = json_unconst(b);
    if (yyjson_is_int(x) && yyjson_is_int(y)) {
        bool x_negative = yyjson_is_sint(x) && yyjson_get_sint(x) < 0;
        bool y_negative = yyjson_is_sint(y) && yyjson_get_sint(y) < 0;
        return x_negative == y_negative && yyjson_get_uint(x) == yyjson_get_uint(y);
    }
    return !(yyjson_get_num(x) < yyjson_get_num(y)) && !(yyjson_get_num(x) > yyjson_get_num(y));
}

/* Values that are no containers. */
static bool scalars_equal(const yyjson_val *a, const yyjson_val *b)
{
    if (yyjson_is_num(json_unconst(a)) && yyjson_is_num(json_unconst(b))) {
        return numbers_equal(a, b);
    }
    if (yyjson_get_type(json_unconst(a)) != yyjson_get_type(json_unconst(b))) {
        return false;
    }
    switch (yyjson_get_type(json_unconst(a))) {
    case YYJSON_TYPE_STR:
    case YYJSON_TYPE_RAW:
        return a->tag >> YYJSON_TAG_BIT == b->tag >> YYJSON_TAG_BIT &&
               (a->uni.str == b->uni.str ||
                span_same_short(a->uni.str, b->uni.str, a->tag >> YYJSON_TAG_BIT));
    case YYJSON_TYPE_BOOL:
        return yyjson_get_bool(json_unconst(a)) == yyjson_get_bool(json_unconst(b));
    default:
        return true; /* null */
    }
}

/* Bit for bit: what was taken over from one tree into another, texts and all. (Of a null, which may
 * have any bits, that is not sure: then values are looked at one by one.) */
static inline bool are_copies(const yyjson_val *a, const yyjson_val *b, size_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0;
}

bool json_same(const yyjson_val *a, const yyjson_val *b)
{
    if (!a || !b) {
        return a == b;
    }
    size_t n = json_values(a);
    if (json_values(b) != n) {
        return false;
    }
    if (are_copies(a, b, n)) {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        const yyjson_val *x = a + i, *y = b + i;
        if (yyjson_is_ctn(json_unconst(x))) { /* as many members, which take as much room */
            if (x->tag != y->tag || x->uni.ofs != y->uni.ofs) {
                return false;
            }
        } else if (yyjson_is_str(json_unconst(x)) && x->tag == y->tag) {
            size_t len = x->tag >> YYJSON_TAG_BIT;
            if (x->uni.str != y->uni.str && !span_same_short(x->uni.str, y->uni.str, len)) {
                return false;
            }
        } else if (!scalars_equal(x, y)) {
            return false;
        }
    }
    return true;
}

/* One value, of a container only its kind and size. */
static inline bool same_head(const yyjson_val *x, const yyjson_val *y)
{
    uint64_t tags = x->tag ^ y->tag;
    size_t len = x->tag >> YYJSON_TAG_BIT;
    switch (x->tag & YYJSON_TYPE_MASK) {
    case YYJSON_TYPE_STR:
        return (tags & ~(uint64_t)YYJSON_SUBTYPE_NOESC) == 0 &&
               (x->uni.str == y->uni.str || span_same_short(x->uni.str, y->uni.str, len));
    case YYJSON_TYPE_RAW:
        return tags == 0 && memcmp(x->uni.str, y->uni.str, len) == 0;
    case YYJSON_TYPE_NUM: /* what we made is signed, what was read is not */
        return x->uni.u64 == y->uni.u64 &&
               (tags == 0 ||
                (tags == YYJSON_SUBTYPE_SINT && x->uni.i64 >= 0 &&
                 !yyjson_is_real(json_unconst(x)) && !yyjson_is_real(json_unconst(y))));
    default:
        return tags == 0;
    }
}

bool json_identical(const yyjson_val *a, const yyjson_val *b)
{
    assert(a);
    assert(b);
    if (!yyjson_is_ctn(json_unconst(a))) {
        return same_head(a, b);
    }
    size_t n = json_values(a); /* members follow */
    return a->tag == b->tag && json_values(b) == n && json_identical_run(a + 1, b + 1, n - 1);
}

bool json_identical_run(const yyjson_val *a, const yyjson_val *b, size_t n)
{
    if (are_copies(a, b, n)) {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if (!same_head(a + i, b + i)) {
            return false;
        }
    }
    return true;
}

static bool members_equal(const yyjson_val *a, const yyjson_val *b);

/* json_equal() without the quick look, which would be repeated at every level. */
static bool equal_slowly(const yyjson_val *a, const yyjson_val *b)
{
    if (!yyjson_is_ctn(json_unconst(a))) {
        return scalars_equal(a, b);
    }
    if (yyjson_get_type(json_unconst(a)) != yyjson_get_type(json_unconst(b)) ||
        json_len(a) != json_len(b)) {
        return false;
    }
    if (yyjson_is_obj(json_unconst(a))) {
        return members_equal(a, b);
    }
    struct json_iter other = json_iter_begin(b);
    JSON_EACH(it, a)
    {
        if (!equal_slowly(it.val, other.val)) {
            return false;
        }
        json_iter_next(&other);
    }
    return true;
}

/* Of two objects with as many members. Mostly these come in the same order. */
static bool members_equal(const yyjson_val *a, const yyjson_val *b)
{
    struct json_iter other = json_iter_begin(b);
    JSON_EACH(it, a)
    {
        struct span key = json_str(it.key);
        const yyjson_val *v = span_eq(json_str(other.key), key) ? other.val : json_get_span(b, key);
        if (!v || !equal_slowly(it.val, v)) {
            return false;
        }
        json_iter_next(&other);
    }
    return true;
}

bool json_equal(const yyjson_val *a, const yyjson_val *b)
{
    if (!a || !b) {
        return a == b;
    }
    return json_same(a, b) || equal_slowly(a, b);
}

bool json_mut_equal(const yyjson_mut_val *a, const yyjson_mut_val *b)
{
    if (!a || !b) {
        return a == b;
    }
    return yyjson_mut_equals((yyjson_mut_val *)(uintptr_t)a, (yyjson_mut_val *)(uintptr_t)b);
}
