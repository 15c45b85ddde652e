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

static yyjson_val *put(yyjson_val *at, const yyjson_val *from, size_t n)
{
    memcpy(at, from, n * sizeof *at);
    return at + n;
}

enum { MEMBERS_MAX = 64 }; /* of one object of a patch: each is looked for among the others */

/* Of a set of names, the bits that stand for them: a name whose bit is not there is not among them.
 */
static uint64_t bit_of(const yyjson_val *key)
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

static bool is_simple(const yyjson_val *patch)
{
    uint64_t names = 0;
    if (json_len(patch) > MEMBERS_MAX) {
        return false;
    }
    JSON_EACH(it, patch)
    {
        uint64_t bit = bit_of(it.key);
        if (!is_first(patch, &it, bit, names) || (is_object(it.val) && !is_simple(it.val))) {
            return false;
        }
        names |= bit;
    }
    return true;
}

/* A patch of one object: the bits of its names, and of those of the original so far; how many of
 * its members the original has; the one behind the last of these. */
struct change {
    const yyjson_val *patch;
    uint64_t wanted, seen;
    size_t used;
    struct json_iter next;
};

static struct change change_begin(const yyjson_val *patch)
{
    struct change c = {.patch = patch, .next = json_iter_begin(patch)};
    JSON_EACH(it, patch)
    {
        c.wanted |= bit_of(it.key);
    }
    return c;
}

/* What the patch says of that member. Both mostly have the same ones in the same order. */
static const yyjson_val *change_of(struct change *c, const yyjson_val *key)
{
    struct span name = json_str(key);
    struct json_iter it = c->next;
    while (it.key && !span_eq(json_str(it.key), name)) {
        json_iter_next(&it);
    }
    if (!it.key) {
        return json_get_span(c->patch, name); /* before it, or not there */
    }
    c->next = it;
    json_iter_next(&c->next);
    return it.val;
}

static yyjson_val *merge(yyjson_val *to, const yyjson_val *original, const yyjson_val *patch);

/* A member of the original; returns where the next goes. */
static yyjson_val *take(yyjson_val *at, const yyjson_val *original, const struct json_iter *it,
                        struct change *c)
{
    uint64_t bit = bit_of(it->key), before = c->seen;
    const yyjson_val *change = c->wanted & bit ? change_of(c, it->key) : NULL;
    c->seen |= bit;
    if (!change) {
        return yyjson_is_raw(it->val) ? at : put(at, it->key, 1 + json_values(it->val));
    }
    if (!is_first(original, it, bit, before)) {
        return at;
    }
    c->used++;
    return yyjson_is_null((yyjson_val *)(uintptr_t)change)
               ? at
               : merge(put(at, it->key, 1), it->val, change);
}

/* The members of the patch that the original (NULL: nothing) has not. */
static yyjson_val *add_new(yyjson_val *at, const yyjson_val *original, const struct change *c,
                           uint64_t *members)
{
    if (c->used == json_len(c->patch)) {
        return at;
    }
    JSON_EACH(it, c->patch)
    {
        bool is_new = !(c->seen & bit_of(it.key)) || !json_get_span(original, json_str(it.key));
        if (!yyjson_is_null(it.val) && is_new) {
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

/* An object of the patch where none was: without nulls. */
static yyjson_val *put_new(yyjson_val *to, const yyjson_val *patch)
{
    uint64_t members = 0;
    yyjson_val *at = to + 1;
    JSON_EACH(it, patch)
    {
        if (!yyjson_is_null(it.val)) {
            at = merge(put(at, it.key, 1), NULL, it.val);
            members++;
        }
    }
    close_object(to, at, members);
    return at;
}

static yyjson_val *merge(yyjson_val *to, const yyjson_val *original, const yyjson_val *patch)
{
    if (!is_object(patch)) {
        return put(to, patch, json_values(patch));
    }
    if (!is_object(original)) {
        return put_new(to, patch);
    }
    uint64_t members = 0;
    yyjson_val *at = to + 1;
    struct change c = change_begin(patch);
    JSON_EACH(it, original)
    {
        yyjson_val *next = take(at, original, &it, &c);
        members += next > at;
        at = next;
    }
    at = add_new(at, original, &c, &members);
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
    size_t room = json_values(original) + json_values(patch);
    yyjson_val *root = arena_alloc_raw(a, room * sizeof *root), *at = root + 1;
    bool patches_meta = json_get(patch, "metadata") != NULL;
    uint64_t members = 0;
    struct change c = change_begin(patch);
    JSON_EACH(it, original)
    {
        bool is_meta = span_eq(json_str(it.key), SPAN("metadata")) && is_object(it.val);
        bool apart = is_meta && !patches_meta; /* taken apart in any case */
        if (is_meta && !metadata) {
            c.seen |= bit_of(it.key);
            continue;
        }
        yyjson_val *next =
            apart ? merge(put(at, it.key, 1), it.val, &no_change) : take(at, original, &it, &c);
        members += next > at;
        at = next;
    }
    at = add_new(at, original, &c, &members);
    close_object(root, at, members);
    assert(at <= root + room);
    return root;
}
