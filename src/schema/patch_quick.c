/* schema/patch_quick.c: the JSON merge patch (RFC 7386) of controllers and kubelets: small objects
 * without repeated members. Values lie one behind the other in a parsed tree, so that what is not
 * patched is copied in runs. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/patch.h"

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

enum { MEMBERS_MAX = 64 }; /* of one object of a patch: each is looked for among the others */

/* Is this the first member of its name? */
static bool is_first(const yyjson_val *object, const struct json_iter *it)
{
    return json_get_span(object, json_str(it->key)) == it->val;
}

static bool is_simple(const yyjson_val *patch)
{
    if (json_len(patch) > MEMBERS_MAX) {
        return false;
    }
    JSON_EACH(it, patch)
    {
        if (!is_first(patch, &it) || (is_object(it.val) && !is_simple(it.val))) {
            return false;
        }
    }
    return true;
}

static yyjson_val *merge(yyjson_val *to, const yyjson_val *original, const yyjson_val *patch);

/* A member of the original; returns where the next goes. */
static yyjson_val *take(yyjson_val *at, const yyjson_val *original, const struct json_iter *it,
                        const yyjson_val *patch)
{
    const yyjson_val *change = json_get_span(patch, json_str(it->key));
    if (!change) {
        return yyjson_is_raw(it->val) ? at : put(at, it->key, 1 + values_of(it->val));
    }
    if (yyjson_is_null((yyjson_val *)(uintptr_t)change) || !is_first(original, it)) {
        return at;
    }
    return merge(put(at, it->key, 1), it->val, change);
}

/* The members of the patch that the original (NULL: nothing) has not. */
static yyjson_val *add_new(yyjson_val *at, const yyjson_val *original, const yyjson_val *patch,
                           uint64_t *members)
{
    JSON_EACH(it, patch)
    {
        if (!yyjson_is_null(it.val) && !json_get_span(original, json_str(it.key))) {
            at = merge(put(at, it.key, 1), NULL, it.val);
            ++*members;
        }
    }
    return at;
}

static void close_object(yyjson_val *to, const yyjson_val *at, uint64_t members)
{
    to->tag = members << YYJSON_TAG_BIT | YYJSON_TYPE_OBJ;
    to->uni.ofs = (size_t)(at - to) * sizeof *to;
}

static yyjson_val *merge(yyjson_val *to, const yyjson_val *original, const yyjson_val *patch)
{
    if (!is_object(patch)) {
        return put(to, patch, values_of(patch));
    }
    uint64_t members = 0;
    yyjson_val *at = to + 1;
    JSON_EACH(it, is_object(original) ? original : NULL)
    {
        yyjson_val *next = take(at, original, &it, patch);
        members += next > at;
        at = next;
    }
    at = add_new(at, original, patch, &members);
    close_object(to, at, members);
    return at;
}

const yyjson_val *patch_merge_quick(struct arena *a, const yyjson_val *original,
                                    const yyjson_val *patch, bool metadata)
{
    static const yyjson_val no_change = {.tag = YYJSON_TYPE_OBJ, .uni.ofs = sizeof(yyjson_val)};
    assert(a);
    assert(original);
    assert(patch);
    if (!is_object(patch) || !is_object(original) || !is_simple(patch)) {
        return NULL;
    }
    size_t room = values_of(original) + values_of(patch);
    yyjson_val *root = arena_alloc_raw(a, room * sizeof *root), *at = root + 1;
    bool patches_meta = json_get(patch, "metadata") != NULL;
    uint64_t members = 0;
    JSON_EACH(it, original)
    {
        bool is_meta = span_eq(json_str(it.key), SPAN("metadata")) && is_object(it.val);
        bool apart = is_meta && !patches_meta; /* taken apart in any case */
        if (is_meta && !metadata) {
            continue;
        }
        yyjson_val *next =
            apart ? merge(put(at, it.key, 1), it.val, &no_change) : take(at, original, &it, patch);
        members += next > at;
        at = next;
    }
    at = add_new(at, original, patch, &members);
    close_object(root, at, members);
    assert(at <= root + room);
    return root;
}
