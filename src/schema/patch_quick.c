/* schema/patch_quick.c: the JSON merge patch (RFC 7386) of controllers and kubelets: small objects
 * without repeated members. Values lie one behind the other in a parsed tree, so that what is not
 * patched is copied in runs. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/patch.h"

enum { MEMBERS_MAX = 64 }; /* of one object of a patch: a bit each */

static size_t values_of(const yyjson_val *v)
{
    return (size_t)(unsafe_yyjson_get_next((yyjson_val *)(uintptr_t)v) - v);
}

static bool is_object(const yyjson_val *v)
{
    return yyjson_is_obj((yyjson_val *)(uintptr_t)v);
}

static yyjson_val *put(yyjson_val *at, const yyjson_val *from, size_t n)
{
    memcpy(at, from, n * sizeof *at);
    return at + n;
}

/* Place of the member among those of the patch; SIZE_MAX: none. */
static size_t place_of(const yyjson_val *patch, const yyjson_val *key, const yyjson_val **ret)
{
    size_t place = 0;
    JSON_EACH(it, patch)
    {
        if (span_eq(json_str(it.key), json_str(key))) {
            *ret = it.val;
            return place;
        }
        place++;
    }
    return SIZE_MAX;
}

static bool is_simple(const yyjson_val *patch)
{
    if (json_len(patch) > MEMBERS_MAX) {
        return false;
    }
    JSON_EACH(it, patch)
    {
        const yyjson_val *first = NULL;
        (void)place_of(patch, it.key, &first);
        if (first != it.val || (is_object(it.val) && !is_simple(it.val))) {
            return false;
        }
    }
    return true;
}

static yyjson_val *merge(yyjson_val *to, const yyjson_val *original, const yyjson_val *patch);

/* A member of the original; returns where the next goes. */
static yyjson_val *take(yyjson_val *at, const struct json_iter *it, const yyjson_val *patch,
                        uint64_t *used)
{
    const yyjson_val *change = NULL;
    size_t place = place_of(patch, it->key, &change);
    if (place == SIZE_MAX) {
        return yyjson_is_raw(it->val) ? at : put(at, it->key, 1 + values_of(it->val));
    }
    bool again = *used >> place & 1;
    *used |= UINT64_C(1) << place;
    if (again || yyjson_is_null((yyjson_val *)(uintptr_t)change)) {
        return at;
    }
    return merge(put(at, it->key, 1), it->val, change);
}

static yyjson_val *merge(yyjson_val *to, const yyjson_val *original, const yyjson_val *patch)
{
    if (!is_object(patch)) {
        return put(to, patch, values_of(patch));
    }
    uint64_t used = 0, members = 0, place = 0;
    yyjson_val *at = to + 1;
    JSON_EACH(it, is_object(original) ? original : NULL)
    {
        yyjson_val *next = take(at, &it, patch, &used);
        members += next > at;
        at = next;
    }
    JSON_EACH(it, patch)
    {
        if (!(used >> place++ & 1) && !yyjson_is_null(it.val)) {
            at = merge(put(at, it.key, 1), NULL, it.val);
            members++;
        }
    }
    to->tag = members << YYJSON_TAG_BIT | YYJSON_TYPE_OBJ;
    to->uni.ofs = (size_t)(at - to) * sizeof *to;
    return at;
}

const yyjson_val *patch_merge_quick(struct arena *a, const yyjson_val *original,
                                    const yyjson_val *patch)
{
    static const yyjson_val no_change = {.tag = YYJSON_TYPE_OBJ, .uni.ofs = sizeof(yyjson_val)};
    assert(a && original && patch);
    if (!is_object(patch) || !is_object(original) || !is_simple(patch)) {
        return NULL;
    }
    size_t room = values_of(original) + values_of(patch);
    yyjson_val *root = arena_alloc_raw(a, room * sizeof *root), *at = root + 1;
    uint64_t used = 0, members = 0, place = 0;
    JSON_EACH(it, original)
    {
        bool meta = span_eq(json_str(it.key), SPAN("metadata")) && !json_get(patch, "metadata") &&
                    is_object(it.val); /* taken apart in any case */
        yyjson_val *next =
            meta ? merge(put(at, it.key, 1), it.val, &no_change) : take(at, &it, patch, &used);
        members += next > at;
        at = next;
    }
    JSON_EACH(it, patch)
    {
        if (!(used >> place++ & 1) && !yyjson_is_null(it.val)) {
            at = merge(put(at, it.key, 1), NULL, it.val);
            members++;
        }
    }
    root->tag = members << YYJSON_TAG_BIT | YYJSON_TYPE_OBJ;
    root->uni.ofs = (size_t)(at - root) * sizeof *root;
    assert(at <= root + room);
    return root;
}
