/* schema/patch_json.c: JSON Patch (RFC 6902), applied to one mutable copy of the original.
 *
 * As in kube-apiserver any operation that cannot be applied, a failed test included, is a 422 and
 * leaves nothing done. An index may be negative and counts from the end, as its library has it.
 * Copies are limited in number of nodes, and no operation may make the tree deeper than
 * json_parse() would accept. */
#include "base/check.h"
#include "base/limits.h"
#include "codec/json.h"
#include "schema/patch_priv.h"

struct pointer {
    struct span token[LIMIT_JSON_DEPTH];
    size_t n;
};

struct json_patch {
    struct patch_ctx *c;
    yyjson_mut_val *root;
    size_t copied; /* nodes made by copy operations */
};

static struct span unescape(struct arena *a, struct span raw)
{
    if (span_find(raw, '~') == raw.n) {
        return raw;
    }
    char *out = arena_alloc_raw(a, raw.n);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char ch = raw.p[i];
        if (ch == '~' && i + 1 < raw.n && (raw.p[i + 1] == '0' || raw.p[i + 1] == '1')) {
            ch = raw.p[++i] == '0' ? '~' : '/';
        }
        out[n++] = ch;
    }
    return span_of(out, n);
}

static bool pointer_parse(struct patch_ctx *c, const yyjson_val *text, struct pointer *ret)
{
    struct span s = patch_str(text);
    ret->n = 0;
    if (!yyjson_is_str((yyjson_val *)text) || (s.n > 0 && s.p[0] != '/')) {
        return false;
    }
    while (s.n > 0) {
        assert(s.p[0] == '/');
        s = span_from(s, 1);
        size_t len = span_find(s, '/');
        if (ret->n == LIMIT_JSON_DEPTH) {
            return false;
        }
        ret->token[ret->n++] = unescape(c->a, span_first(s, len));
        s = span_from(s, len);
    }
    return true;
}

/* Index into an array of `size` places; false when it is none of them. */
static bool index_parse(struct span token, size_t size, size_t *ret)
{
    int64_t i;
    if (!span_to_i64(token, &i) || token.p[0] == '+') {
        return false;
    }
    if (i < 0) {
        i += (int64_t)size;
    }
    if (i < 0 || (uint64_t)i >= size) {
        return false;
    }
    *ret = (size_t)i;
    return true;
}

static yyjson_mut_val *child(struct patch_ctx *c, yyjson_mut_val *v, struct span token)
{
    size_t i;
    if (!patch_spend(c, yyjson_mut_is_obj(v) ? yyjson_mut_obj_size(v) : yyjson_mut_arr_size(v))) {
        return NULL;
    }
    if (yyjson_mut_is_obj(v)) {
        return yyjson_mut_obj_getn(v, token.p, token.n);
    }
    return yyjson_mut_is_arr(v) && index_parse(token, yyjson_mut_arr_size(v), &i)
               ? yyjson_mut_arr_get(v, i)
               : NULL;
}

/* The value after the first `steps` tokens, or NULL. */
static yyjson_mut_val *walk(struct json_patch *p, const struct pointer *at, size_t steps)
{
    yyjson_mut_val *v = p->root;
    for (size_t i = 0; i < steps && v; i++) {
        v = child(p->c, v, at->token[i]);
    }
    return v;
}

/* Depth and size of a tree, bounded because no tree here is deeper than LIMIT_JSON_DEPTH. */
static size_t measure(yyjson_mut_val *v, size_t *nodes)
{
    size_t deepest = 0, i, max;
    yyjson_mut_val *key, *val;
    (*nodes)++;
    if (yyjson_mut_is_obj(v)) {
        yyjson_mut_obj_foreach(v, i, max, key, val)
        {
            size_t d = measure(val, nodes);
            deepest = d > deepest ? d : deepest;
        }
    } else if (yyjson_mut_is_arr(v)) {
        yyjson_mut_arr_foreach(v, i, max, val)
        {
            size_t d = measure(val, nodes);
            deepest = d > deepest ? d : deepest;
        }
    } else {
        return 0;
    }
    return deepest + 1;
}

static bool fits(struct json_patch *p, const struct pointer *at, yyjson_mut_val *v)
{
    size_t nodes = 0;
    size_t depth = at->n + measure(v, &nodes);
    return patch_spend(p->c, nodes) && depth <= LIMIT_JSON_DEPTH;
}

static bool add(struct json_patch *p, const struct pointer *at, yyjson_mut_val *v)
{
    if (!fits(p, at, v)) {
        return false;
    }
    if (at->n == 0) {
        p->root = v;
        return true;
    }
    yyjson_mut_val *parent = walk(p, at, at->n - 1);
    struct span token = at->token[at->n - 1];
    if (yyjson_mut_is_obj(parent)) {
        return patch_spend(p->c, yyjson_mut_obj_size(parent)) &&
               yyjson_mut_obj_put(parent, json_new_str(p->c->doc, token), v);
    }
    size_t i, n = yyjson_mut_arr_size(parent);
    if (!yyjson_mut_is_arr(parent) || !patch_spend(p->c, n)) {
        return false;
    }
    if (span_eq(token, SPAN("-"))) {
        return yyjson_mut_arr_append(parent, v);
    }
    return index_parse(token, n + 1, &i) && yyjson_mut_arr_insert(parent, v, i);
}

/* Takes the value out; NULL when there is none. */
static yyjson_mut_val *cut(struct json_patch *p, const struct pointer *at)
{
    size_t i;
    if (at->n == 0) {
        return NULL;
    }
    yyjson_mut_val *parent = walk(p, at, at->n - 1);
    struct span token = at->token[at->n - 1];
    if (!parent || !child(p->c, parent, token)) {
        return NULL;
    }
    if (yyjson_mut_is_obj(parent)) {
        return yyjson_mut_obj_remove(parent, json_new_str(p->c->doc, token));
    }
    return index_parse(token, yyjson_mut_arr_size(parent), &i) ? yyjson_mut_arr_remove(parent, i)
                                                               : NULL;
}

static bool replace(struct json_patch *p, const struct pointer *at, yyjson_mut_val *v)
{
    size_t i;
    if (at->n == 0) {
        p->root = v;
        return fits(p, at, v);
    }
    yyjson_mut_val *parent = walk(p, at, at->n - 1);
    struct span token = at->token[at->n - 1];
    if (!parent || !child(p->c, parent, token) || !fits(p, at, v)) {
        return false;
    }
    if (yyjson_mut_is_obj(parent)) {
        return yyjson_mut_obj_put(parent, json_new_str(p->c->doc, token), v);
    }
    return index_parse(token, yyjson_mut_arr_size(parent), &i) &&
           yyjson_mut_arr_replace(parent, i, v);
}

static bool copy(struct json_patch *p, const struct pointer *from, const struct pointer *to)
{
    yyjson_mut_val *v = walk(p, from, from->n);
    if (!v) {
        return false;
    }
    (void)measure(v, &p->copied);
    if (p->copied > LIMIT_PATCH_COPY_NODES) {
        return false;
    }
    return add(p, to, yyjson_mut_val_mut_copy(p->c->doc, v));
}

static bool move(struct json_patch *p, const struct pointer *from, const struct pointer *to)
{
    size_t same = 0;
    while (same < from->n && same < to->n && span_eq(from->token[same], to->token[same])) {
        same++;
    }
    if (same == from->n && to->n > from->n) {
        return false; /* into itself */
    }
    yyjson_mut_val *v = same == from->n ? NULL : cut(p, from);
    return same == from->n ? walk(p, from, from->n) != NULL : v && add(p, to, v);
}

/* Comparing members in another order is quadratic in an object's size. */
static size_t comparison_cost(yyjson_mut_val *v)
{
    size_t cost = 1, i, max;
    yyjson_mut_val *key, *val;
    if (yyjson_mut_is_obj(v)) {
        cost += yyjson_mut_obj_size(v) * yyjson_mut_obj_size(v);
        yyjson_mut_obj_foreach(v, i, max, key, val)
        {
            cost += comparison_cost(val);
        }
    } else if (yyjson_mut_is_arr(v)) {
        yyjson_mut_arr_foreach(v, i, max, val)
        {
            cost += comparison_cost(val);
        }
    }
    return cost;
}

/* A missing place equals null, as in kube-apiserver's library. */
static bool test(struct json_patch *p, const struct pointer *at, yyjson_mut_val *want)
{
    yyjson_mut_val *have = walk(p, at, at->n);
    if (!have) {
        return yyjson_mut_is_null(want) && walk(p, at, at->n > 0 ? at->n - 1 : 0);
    }
    return patch_spend(p->c, comparison_cost(want)) && json_mut_equal(have, want);
}

static bool apply(struct json_patch *p, const yyjson_val *operation)
{
    struct pointer at, from;
    struct span op = json_get_str(operation, "op");
    yyjson_val *value = json_get(operation, "value");
    yyjson_mut_val *v = value ? json_mut_copy(p->c->doc, value) : NULL;
    if (!pointer_parse(p->c, json_get(operation, "path"), &at)) {
        return false;
    }
    if (span_eq(op, SPAN("add"))) {
        return v && add(p, &at, v);
    }
    if (span_eq(op, SPAN("remove"))) {
        return cut(p, &at) != NULL;
    }
    if (span_eq(op, SPAN("replace"))) {
        return v && replace(p, &at, v);
    }
    if (span_eq(op, SPAN("test"))) {
        return test(p, &at, v ? v : yyjson_mut_null(p->c->doc));
    }
    if (!pointer_parse(p->c, json_get(operation, "from"), &from)) {
        return false;
    }
    return span_eq(op, SPAN("move"))   ? move(p, &from, &at)
           : span_eq(op, SPAN("copy")) ? copy(p, &from, &at)
                                       : false;
}

yyjson_mut_val *patch_json(struct arena *a, yyjson_mut_doc *doc, const yyjson_val *original,
                           const yyjson_val *patch, struct err *reterr)
{
    assert(a);
    assert(doc);
    assert(original);
    assert(patch);
    struct patch_ctx c = {.a = a, .doc = doc, .err = reterr, .steps = LIMIT_PATCH_STEPS};
    if (!yyjson_is_arr((yyjson_val *)patch)) {
        return patch_bad(&c, "json: cannot unmarshal %s into Go value of type jsonpatch.Patch",
                         json_type_name(patch));
    }
    size_t n = json_len(patch);
    if (n > LIMIT_JSON_PATCH_OPS) {
        (void)err_set(a, reterr, ERR_TOO_LARGE,
                      "The allowed maximum operations in a JSON patch is %d, got %zu",
                      LIMIT_JSON_PATCH_OPS, n);
        return NULL;
    }
    struct json_patch p = {.c = &c, .root = json_mut_copy(doc, original)};
    JSON_EACH(it, patch)
    {
        if (!yyjson_is_obj(it.val)) {
            return patch_bad(&c,
                             "json: cannot unmarshal %s into Go value of type jsonpatch.Operation",
                             json_type_name(it.val));
        }
        if (!apply(&p, it.val)) {
            return c.spent ? NULL : patch_unprocessable(&c);
        }
    }
    return p.root;
}
