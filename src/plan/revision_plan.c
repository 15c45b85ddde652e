/* plan/revision_plan.c: see revision_plan.h. */
#include "plan/revision_plan.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/sort.h"
#include "schema/schema.h"

enum { SET_NAME_BYTES_MAX = 223, FEW_PAIRS = 16 };

struct pair {
    yyjson_val *key, *val;
};

static int by_key(const void *a, const void *b)
{
    return span_cmp(json_str(((const struct pair *)a)->key),
                    json_str(((const struct pair *)b)->key));
}

static yyjson_mut_val *sorted_copy(yyjson_mut_doc *doc, yyjson_val *v, int depth);

/* Appends the members of v in order of their keys. */
static void add_sorted(yyjson_mut_doc *doc, yyjson_mut_val *to, const yyjson_val *v, int depth)
{
    assert(to);
    assert(depth <= LIMIT_JSON_DEPTH);
    size_t n = json_len(v), i = 0;
    struct pair few[FEW_PAIRS], *pairs = few;
    cleanup_free struct pair *many = n > FEW_PAIRS ? calloc(n, sizeof *many) : NULL;
    if (n > FEW_PAIRS) {
        assert(many);
        pairs = many;
    }
    JSON_EACH(it, v)
    {
        pairs[i++] = (struct pair){it.key, it.val};
    }
    assert(i == n);
    sort_few(pairs, n, sizeof *pairs, by_key);
    for (i = 0; i < n; i++) {
        yyjson_mut_val *copy = sorted_copy(doc, pairs[i].val, depth);
        if (depth == 0) { /* a template that was taken from a revision has "$patch" itself */
            json_put_span(doc, to, json_str(pairs[i].key), copy);
        } else {
            yyjson_mut_obj_add(to, json_mut_copy(doc, pairs[i].key), copy);
        }
    }
}

/* Depth is bounded: the value came through json_parse. */
static yyjson_mut_val *sorted_copy(yyjson_mut_doc *doc, yyjson_val *v, int depth)
{
    assert(depth <= LIMIT_JSON_DEPTH);
    if (yyjson_is_obj(v)) {
        yyjson_mut_val *obj = yyjson_mut_obj(doc);
        add_sorted(doc, obj, v, depth + 1);
        return obj;
    }
    if (!yyjson_is_arr(v)) {
        return json_mut_copy(doc, v);
    }
    yyjson_mut_val *arr = yyjson_mut_arr(doc);
    JSON_EACH(it, v)
    {
        yyjson_mut_arr_append(arr, sorted_copy(doc, it.val, depth + 1));
    }
    return arr;
}

yyjson_mut_val *revision_data(yyjson_mut_doc *doc, const yyjson_val *pod_template)
{
    assert(doc);
    yyjson_mut_val *data = yyjson_mut_obj(doc);
    yyjson_mut_val *template = json_mut_obj(doc, json_mut_obj(doc, data, "spec"), "template");
    json_put_str(doc, template, "$patch", SPAN("replace")); /* '$' sorts before every letter */
    add_sorted(doc, template, pod_template, 0);
    return data;
}

static uint32_t fnv1(uint32_t hash, struct span bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        hash = (hash * 16777619u) ^ (unsigned char)bytes.p[i];
    }
    return hash;
}

struct span revision_hash(struct arena *a, struct span data_text, int64_t collisions)
{
    assert(a);
    assert(collisions >= 0);
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    uint32_t hash = fnv1(2166136261u, data_text);
    hash = fnv1(hash, arena_printf(a, "%lld", (long long)collisions));
    struct span digits = arena_printf(a, "%u", hash);
    assert(digits.n > 0);
    char *out = arena_alloc(a, digits.n + 1);
    for (size_t i = 0; i < digits.n; i++) {
        out[i] = alphabet[(unsigned char)digits.p[i] % (sizeof alphabet - 1)];
    }
    return span_of(out, digits.n);
}

struct span revision_name(struct arena *a, struct span set_name, struct span hash)
{
    assert(a);
    assert(set_name.n > 0);
    assert(hash.n > 0);
    struct span set = span_first(set_name, SET_NAME_BYTES_MAX);
    assert(set.n <= SET_NAME_BYTES_MAX);
    return arena_printf(a, "%.*s-%.*s", SPAN_ARG(set), SPAN_ARG(hash));
}

static int by_age(const void *va, const void *vb)
{
    const struct revision_entry *a = va, *b = vb;
    if (a->revision != b->revision) {
        return a->revision < b->revision ? -1 : 1;
    }
    if (a->created_ms != b->created_ms) {
        return a->created_ms < b->created_ms ? -1 : 1;
    }
    return span_cmp(a->name, b->name);
}

void revision_sort(struct revision_entry *entries, size_t n)
{
    assert(entries || n == 0);
    if (n > 1) {
        sort_few(entries, n, sizeof *entries, by_age);
    }
}

/* An object's only member; NULL: it is no such object. */
static const yyjson_val *only_member(const yyjson_val *of, const char *key)
{
    return json_len(of) == 1 ? json_get(of, key) : NULL;
}

bool revision_is_of(const struct revision_entry *entry, const yyjson_val *pod_template)
{
    assert(entry);
    const yyjson_val *has = only_member(only_member(entry->data, "spec"), "template");
    bool same = json_len(has) == json_len(pod_template) + 1 &&
                span_eq_cstr(json_get_str(has, "$patch"), "replace");
    JSON_EACH(it, pod_template)
    {
        same = same && json_equal(json_get_span(has, json_str(it.key)), it.val);
    }
    return same;
}

struct revision_choice revision_choose(const struct revision_entry *sorted, size_t n,
                                       const yyjson_val *wanted_data)
{
    assert(sorted || n == 0);
    int64_t next = n ? sorted[n - 1].revision + 1 : 1;
    assert(n < 2 || sorted[n - 2].revision <= sorted[n - 1].revision);
    for (size_t i = n; i-- > 0;) { /* the newest equal one */
        if (json_equal(sorted[i].data, wanted_data)) {
            enum revision_step step = i == n - 1 ? REVISION_KEEP : REVISION_BUMP;
            return (struct revision_choice){step, i, next};
        }
    }
    return (struct revision_choice){REVISION_CREATE, 0, next};
}

bool revision_means(struct arena *a, const struct schema_kind *kind, const yyjson_val *set,
                    const struct revision_entry *entry, const yyjson_val *wanted_data)
{
    assert(kind);
    assert(set);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *copy = json_mut_copy(doc, set);
    const yyjson_val *was = json_path(entry->data, "spec", "template", NULL);
    if (!yyjson_is_obj((yyjson_val *)(uintptr_t)was)) {
        return false;
    }
    yyjson_mut_val *template = json_mut_copy(doc, was);
    json_remove(template, "$patch");
    json_put(doc, json_mut_obj(doc, copy, "spec"), "template", template);
    /* As if it came today: also without what is no longer kept ("tty: false"). */
    struct err ignored;
    copy = schema_decode(a, kind, json_freeze(a, copy), doc, SCHEMA_IGNORE, NULL, &ignored);
    if (!copy) {
        return false;
    }
    schema_defaults(doc, kind, copy);
    const yyjson_val *restored = json_freeze(a, copy);
    yyjson_mut_val *data = revision_data(doc, json_path(restored, "spec", "template", NULL));
    return json_equal(json_freeze(a, data), wanted_data);
}

size_t revision_excess(const struct revision_entry *sorted, size_t n, int64_t limit)
{
    assert(sorted || n == 0);
    size_t dead = 0;
    for (size_t i = 0; i < n; i++) {
        dead += !sorted[i].live;
    }
    size_t excess = limit < 0 || dead <= (uint64_t)limit ? 0 : dead - (size_t)limit;
    assert(excess <= n);
    return excess;
}
