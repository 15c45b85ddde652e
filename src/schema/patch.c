/* schema/patch.c: what the patch forms share, and the JSON merge patch (RFC 7386). */
#include "schema/patch.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/sort.h"
#include "codec/json.h"
#include "schema/patch_priv.h"

bool patch_spend(struct patch_ctx *c, size_t steps)
{
    if (c->steps < steps) {
        c->steps = 0;
        c->spent = true;
        (void)err_set(
            c->a, c->err, ERR_TOO_LARGE,
            "the patch is too costly to apply: send fewer operations or list elements at once");
        return false;
    }
    c->steps -= steps;
    return true;
}

void *patch_bad(struct patch_ctx *c, const char *fmt, ...)
{
    assert(fmt);
    va_list ap;
    va_start(ap, fmt);
    struct span text = arena_vprintf(c->a, fmt, ap);
    va_end(ap);
    (void)err_set(c->a, c->err, ERR_BAD_REQUEST, "%.*s", SPAN_ARG(text));
    return NULL;
}

void *patch_unprocessable(struct patch_ctx *c)
{
    (void)err_set(c->a, c->err, ERR_INVALID,
                  "the server rejected our request due to an error in our request");
    return NULL;
}

static int cmp_member(const void *x, const void *y)
{
    const struct patch_member *a = x, *b = y;
    int rc = span_cmp(a->key, b->key);
    return rc != 0 ? rc : (a->place > b->place) - (a->place < b->place);
}

struct patch_members patch_members(struct patch_ctx *c, const yyjson_val *obj)
{
    size_t n = yyjson_obj_size((yyjson_val *)obj);
    struct patch_members m = {.sorted = ARENA_ARRAY(c->a, struct patch_member, n + 1),
                              .in_order = ARENA_ARRAY(c->a, struct patch_member *, n + 1)};
    yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)obj);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        assert(m.n < n);
        m.sorted[m.n] = (struct patch_member){
            .key = patch_str(key), .val = yyjson_obj_iter_get_val(key), .place = m.n};
        m.has_directives = m.has_directives || span_starts(m.sorted[m.n].key, SPAN("$"));
        m.n++;
    }
    sort_few(m.sorted, m.n, sizeof *m.sorted, cmp_member);
    for (size_t i = 0; i < m.n; i++) {
        bool overridden = i + 1 < m.n && span_eq(m.sorted[i].key, m.sorted[i + 1].key);
        m.in_order[m.sorted[i].place] = overridden ? NULL : &m.sorted[i];
    }
    for (size_t i = 0; i < m.n; i++) {
        if (m.in_order[i]) {
            m.in_order[m.in_order_n++] = m.in_order[i];
        }
    }
    return m;
}

struct patch_member *patch_member_find(const struct patch_members *m, struct span key)
{
    size_t low = 0, high = m->n;
    while (low < high) { /* the first one greater than key */
        size_t mid = low + (high - low) / 2;
        if (span_cmp(m->sorted[mid].key, key) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    assert(low <= m->n);
    return low > 0 && span_eq(m->sorted[low - 1].key, key) ? &m->sorted[low - 1] : NULL;
}

struct patch_nodes patch_take_apart(struct patch_ctx *c, yyjson_mut_val *container)
{
    struct patch_nodes nodes = {0};
    if (yyjson_mut_is_obj(container)) {
        nodes.at = ARENA_ARRAY(c->a, struct patch_node, yyjson_mut_obj_size(container) + 1);
        yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(container);
        for (yyjson_mut_val *key; (key = yyjson_mut_obj_iter_next(&it));) {
            nodes.at[nodes.n++] = (struct patch_node){key, yyjson_mut_obj_iter_get_val(key)};
        }
    } else {
        nodes.at = ARENA_ARRAY(c->a, struct patch_node, yyjson_mut_arr_size(container) + 1);
        yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(container);
        for (yyjson_mut_val *val; (val = yyjson_mut_arr_iter_next(&it));) {
            nodes.at[nodes.n++] = (struct patch_node){NULL, val};
        }
    }
    return nodes;
}

struct span patch_node_key(const struct patch_node *node)
{
    assert(node->key);
    return span_of(yyjson_mut_get_str(node->key), yyjson_mut_get_len(node->key));
}

/* ---- RFC 7386 ---- */

/* original: a node of c->doc that may be taken apart, or NULL. Both trees are at most
 * LIMIT_JSON_DEPTH deep. */
static yyjson_mut_val *merge(struct patch_ctx *c, yyjson_mut_val *original, const yyjson_val *patch)
{
    if (!yyjson_is_obj((yyjson_val *)patch)) {
        return json_mut_copy(c->doc, patch);
    }
    struct patch_members m = patch_members(c, patch);
    struct patch_nodes nodes = {0};
    yyjson_mut_val *out = yyjson_mut_obj(c->doc);
    if (yyjson_mut_is_obj(original)) {
        nodes = patch_take_apart(c, original);
    }
    for (size_t i = 0; i < nodes.n; i++) {
        struct patch_member *p = patch_member_find(&m, patch_node_key(&nodes.at[i]));
        if (!p) {
            (void)yyjson_mut_obj_add(out, nodes.at[i].key, nodes.at[i].val);
        } else if (!p->used) {
            p->used = true;
            if (!yyjson_is_null(p->val)) {
                (void)yyjson_mut_obj_add(out, nodes.at[i].key, merge(c, nodes.at[i].val, p->val));
            }
        }
    }
    for (size_t i = 0; i < m.in_order_n; i++) {
        struct patch_member *p = m.in_order[i];
        if (!p->used && !yyjson_is_null(p->val)) {
            (void)yyjson_mut_obj_add(out, json_new_str(c->doc, p->key), merge(c, NULL, p->val));
        }
    }
    return out;
}

yyjson_mut_val *patch_merge(struct arena *a, yyjson_mut_doc *doc, const yyjson_val *original,
                            const yyjson_val *patch, struct err *reterr)
{
    assert(a);
    assert(doc);
    assert(original);
    assert(patch);
    struct patch_ctx c = {.a = a, .doc = doc, .err = reterr, .steps = LIMIT_PATCH_STEPS};
    if (!yyjson_is_obj((yyjson_val *)patch)) {
        return patch_bad(&c,
                         "json: cannot unmarshal %s into Go value of type map[string]interface {}",
                         json_type_name(patch));
    }
    return merge(&c, json_mut_copy(doc, original), patch);
}
