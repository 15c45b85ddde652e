/* schema/patch_quick.c: the JSON merge patch (RFC 7386) of controllers and kubelets: small objects
 * without repeated members. Values lie one behind the other in a parsed tree, so that what is not
 * patched is copied in runs. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/patch.h"

static bool is_object(const yyjson_val *v)
{
    return yyjson_is_obj((yyjson_val *)(uintptr_t)v);
}

static bool is_null(const yyjson_val *v)
{
    return yyjson_is_null((yyjson_val *)(uintptr_t)v);
}

static yyjson_val *put(yyjson_val *at, const yyjson_val *from, size_t n)
{
    memcpy(at, from, n * sizeof *at);
    return at + n;
}

enum { MEMBERS_MAX = 64 }; /* of one object of a patch: each is looked for among the others */

/* Of a set of names, the bits that stand for them: a name whose bit is not there is not among them.
 */
static inline uint64_t bit_of(const yyjson_val *key)
{
    struct span name = json_str(key);
    if (name.n == 0) {
        return 1;
    }
    uint32_t x = (uint32_t)name.n ^ (uint32_t)(unsigned char)name.p[0] << 8 ^
                 (uint32_t)(unsigned char)name.p[name.n / 2] << 16 ^
                 (uint32_t)(unsigned char)name.p[name.n - 1] << 24;
    return UINT64_C(1) << (x * UINT32_C(0x9e3779b1) >> 26);
}

/* Is this the first member of its name, which has that bit? `before` has the bits of those before.
 */
static bool is_first(const yyjson_val *object, const struct json_iter *it, uint64_t bit,
                     uint64_t before)
{
    return !(before & bit) || json_get_span(object, json_str(it->key)) == it->val;
}

/* A patch of one object: the bits of its names, and of those of the original so far; how many of
 * the members that it sets the original has not had yet; the key behind the last that was found,
 * and the end. */
struct change {
    const yyjson_val *patch;
    uint64_t wanted, seen;
    size_t left;
    const yyjson_val *next, *end;
};

/* Are the members few, none of them named twice? False: *ret_odd, and the merge is in vain. */
static bool change_begin(struct change *c, const yyjson_val *patch, bool *ret_odd)
{
    *c = (struct change){.patch = patch, .next = patch + 1, .end = patch + json_values(patch)};
    *ret_odd |= json_len(patch) > MEMBERS_MAX;
    for (struct json_iter it = json_iter_begin(patch); it.key && !*ret_odd; json_iter_next(&it)) {
        uint64_t bit = bit_of(it.key);
        *ret_odd = !is_first(patch, &it, bit, c->wanted);
        c->wanted |= bit;
        c->left += !is_null(it.val);
    }
    return !*ret_odd;
}

/* What the patch says of that member. Both have runs of the same ones in the same order. */
static const yyjson_val *change_of(struct change *c, const yyjson_val *key)
{
    struct span name = json_str(key);
    bool is_next = c->next < c->end && span_eq(json_str(c->next), name);
    const yyjson_val *v = is_next ? c->next + 1 : json_get_span(c->patch, name);
    c->next = v ? v + json_values(v) : c->next;
    return v;
}

static yyjson_val *merge(yyjson_val *to, const yyjson_val *original, const yyjson_val *patch,
                         bool *ret_odd);

/* A member of the original; returns where the next goes. */
static yyjson_val *take(yyjson_val *at, const yyjson_val *original, const struct json_iter *it,
                        struct change *c, bool *ret_odd)
{
    uint64_t bit = bit_of(it->key), before = c->seen;
    const yyjson_val *change = c->wanted & bit ? change_of(c, it->key) : NULL;
    c->seen |= bit;
    if (!change) {
        return yyjson_is_raw(it->val) ? at : put(at, it->key, 1 + json_values(it->val));
    }
    if (is_null(change) || !is_first(original, it, bit, before)) {
        return at;
    }
    c->left--;
    return merge(put(at, it->key, 1), it->val, change, ret_odd);
}

/* The members of the patch that the original has not. */
static yyjson_val *add_new(yyjson_val *at, const yyjson_val *original, const struct change *c,
                           uint64_t *members, bool *ret_odd)
{
    if (c->left == 0) {
        return at;
    }
    JSON_EACH(it, c->patch)
    {
        if (!is_null(it.val) &&
            (!(c->seen & bit_of(it.key)) || !json_get_span(original, json_str(it.key)))) {
            at = merge(put(at, it.key, 1), NULL, it.val, ret_odd);
            ++*members;
        }
    }
    return at;
}

/* An object of the patch where none was: without nulls. */
static yyjson_val *put_new(yyjson_val *to, const yyjson_val *patch, bool *ret_odd)
{
    struct change c;
    yyjson_val *at = to + 1;
    if (!change_begin(&c, patch, ret_odd)) {
        return to;
    }
    JSON_EACH(it, patch)
    {
        if (!is_null(it.val)) {
            at = merge(put(at, it.key, 1), NULL, it.val, ret_odd);
        }
    }
    *to = json_val_container(YYJSON_TYPE_OBJ, c.left, (size_t)(at - to));
    return at;
}

static yyjson_val *merge(yyjson_val *to, const yyjson_val *original, const yyjson_val *patch,
                         bool *ret_odd)
{
    struct change c;
    if (!is_object(patch)) {
        return put(to, patch, json_values(patch));
    }
    if (!is_object(original)) {
        return put_new(to, patch, ret_odd);
    }
    uint64_t members = 0;
    yyjson_val *at = to + 1;
    if (!change_begin(&c, patch, ret_odd)) {
        return to;
    }
    JSON_EACH(it, original)
    {
        yyjson_val *next = take(at, original, &it, &c, ret_odd);
        members += next > at;
        at = next;
    }
    at = add_new(at, original, &c, &members, ret_odd);
    *to = json_val_container(YYJSON_TYPE_OBJ, members, (size_t)(at - to));
    return at;
}

const yyjson_val *patch_merge_quick(struct arena *a, const yyjson_val *original,
                                    const yyjson_val *patch, bool metadata)
{
    static const yyjson_val no_change = {.tag = YYJSON_TYPE_OBJ, .uni.ofs = sizeof(yyjson_val)};
    assert(a);
    assert(original);
    assert(patch);
    struct change c;
    bool is_odd = !is_object(patch) || !is_object(original);
    if (is_odd || !change_begin(&c, patch, &is_odd)) {
        return NULL;
    }
    size_t room = json_values(original) + json_values(patch);
    yyjson_val *root = arena_alloc_raw(a, room * sizeof *root), *at = root + 1;
    const yyjson_val *meta = json_get(patch, "metadata");
    uint64_t members = 0;
    JSON_EACH(it, original)
    {
        bool is_meta = span_eq(json_str(it.key), SPAN("metadata")) && is_object(it.val);
        bool apart = is_meta && !meta; /* taken apart in any case */
        if (is_meta && !metadata) {
            uint64_t bit = bit_of(it.key);
            c.left -= meta && !is_null(meta) && !(c.seen & bit);
            c.seen |= bit;
            continue;
        }
        yyjson_val *next = apart ? merge(put(at, it.key, 1), it.val, &no_change, &is_odd)
                                 : take(at, original, &it, &c, &is_odd);
        members += next > at;
        at = next;
    }
    at = add_new(at, original, &c, &members, &is_odd);
    *root = json_val_container(YYJSON_TYPE_OBJ, members, (size_t)(at - root));
    assert(at <= root + room);
    return is_odd ? NULL : root;
}
