/* managed/fieldset.c: see fieldset.h. */
#include "managed/fieldset.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/sort.h"
#include "base/strbuf.h"
#include "codec/json.h"

/* ---- order ---- */

/* Numbers before strings before booleans before the rest, as structured-merge-diff has it. */
static int rank(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)(uintptr_t)v;
    return yyjson_is_num(x)    ? 0
           : yyjson_is_str(x)  ? 1
           : yyjson_is_bool(x) ? 2
           : yyjson_is_arr(x)  ? 3
           : yyjson_is_obj(x)  ? 4
                               : 5;
}

static int cmp_num(const yyjson_val *a, const yyjson_val *b)
{
    yyjson_val *x = (yyjson_val *)(uintptr_t)a, *y = (yyjson_val *)(uintptr_t)b;
    if (yyjson_is_sint(x) && yyjson_is_sint(y)) {
        int64_t i = yyjson_get_sint(x), j = yyjson_get_sint(y);
        return (i > j) - (i < j);
    }
    if (yyjson_is_uint(x) && yyjson_is_uint(y)) {
        uint64_t i = yyjson_get_uint(x), j = yyjson_get_uint(y);
        return (i > j) - (i < j);
    }
    double i = yyjson_get_num(x), j = yyjson_get_num(y);
    return (i > j) - (i < j);
}

static int cmp_value(const yyjson_val *a, const yyjson_val *b)
{
    int ra = rank(a), rb = rank(b);
    if (ra != rb) {
        return ra - rb;
    }
    switch (ra) {
    case 0:
        return cmp_num(a, b);
    case 1:
        return span_cmp(json_str(a), json_str(b));
    case 2:
        return (int)yyjson_is_true((yyjson_val *)(uintptr_t)a) -
               (int)yyjson_is_true((yyjson_val *)(uintptr_t)b);
    default:
        return 0; /* null: containers do not become elements */
    }
}

static int cmp_parts(const struct fieldset_elem *a, const struct fieldset_elem *b)
{
    for (uint32_t i = 0; i < a->part_n && i < b->part_n; i++) {
        int rc = span_cmp(a->parts[i].name, b->parts[i].name);
        rc = rc ? rc : cmp_value(a->parts[i].value, b->parts[i].value);
        if (rc) {
            return rc;
        }
    }
    return (a->part_n > b->part_n) - (a->part_n < b->part_n);
}

/* span_cmp(), which mostly the first word decides. */
static int cmp_name(struct span a, struct span b)
{
    uint64_t x, y;
    if (a.n >= sizeof x && b.n >= sizeof y) {
        memcpy(&x, a.p, sizeof x);
        memcpy(&y, b.p, sizeof y);
        if (x != y) {
            return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
        }
    }
    return span_cmp(a, b);
}

int fieldset_elem_cmp(const struct fieldset_elem *a, const struct fieldset_elem *b)
{
    if (a->what != b->what) {
        return a->what < b->what ? -1 : 1;
    }
    switch (a->what) {
    case FIELDSET_FIELD:
        return cmp_name(a->name, b->name);
    case FIELDSET_KEY:
        return cmp_parts(a, b);
    case FIELDSET_VALUE:
        return cmp_value(a->value, b->value);
    case FIELDSET_INDEX:
        break;
    }
    return (a->index > b->index) - (a->index < b->index);
}

/* ---- text ---- */

static struct span value_text(struct arena *a, const yyjson_val *v)
{
    return json_write(a, v);
}

struct span fieldset_elem_text(struct arena *a, const struct fieldset_elem *e)
{
    switch (e->what) {
    case FIELDSET_FIELD:
        return arena_printf(a, ".%.*s", SPAN_ARG(e->name));
    case FIELDSET_VALUE:
        return arena_printf(a, "[=%.*s]", SPAN_ARG(value_text(a, e->value)));
    case FIELDSET_INDEX:
        return arena_printf(a, "[%lld]", (long long)e->index);
    case FIELDSET_KEY:
        break;
    }
    struct span out = SPAN("[");
    for (uint32_t i = 0; i < e->part_n; i++) {
        out = arena_printf(a, "%.*s%s%.*s=%.*s", SPAN_ARG(out), i ? "," : "",
                           SPAN_ARG(e->parts[i].name), SPAN_ARG(value_text(a, e->parts[i].value)));
    }
    return arena_printf(a, "%.*s]", SPAN_ARG(out));
}

/* ---- making ---- */

static const struct fieldset *some(const struct fieldset *s)
{
    return s && s->n ? s : NULL;
}

void fieldset_add(struct arena *a, struct fieldset *s, struct fieldset_elem e, bool member,
                  const struct fieldset *below)
{
    assert(a);
    assert(s);
    below = some(below);
    if (!member && !below) {
        return;
    }
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 4;
        struct fieldset_node *at = arena_alloc_raw(a, cap * sizeof *at);
        if (s->n) {
            memcpy(at, s->at, s->n * sizeof *at);
        }
        s->at = at;
        s->cap = cap;
    }
    s->at[s->n++] = (struct fieldset_node){.elem = e, .below = below, .member = member};
}

static int cmp_node(const void *x, const void *y)
{
    const struct fieldset_elem *a = &((const struct fieldset_node *)x)->elem,
                               *b = &((const struct fieldset_node *)y)->elem;
    bool are_fields = a->what == FIELDSET_FIELD && b->what == FIELDSET_FIELD; /* mostly */
    return are_fields ? cmp_name(a->name, b->name) : fieldset_elem_cmp(a, b);
}

/* Moves a node to where it belongs among those before it, which are in order. True: one of them has
 * the same name. */
static bool settle(struct fieldset_node *at, uint32_t i)
{
    int rc = i ? cmp_node(&at[i - 1], &at[i]) : -1;
    if (rc <= 0) {
        return rc == 0;
    }
    struct fieldset_node one = at[i];
    do {
        at[i] = at[i - 1];
        i--;
    } while (i > 0 && (rc = cmp_node(&at[i - 1], &one)) > 0);
    at[i] = one;
    return rc == 0;
}

/* Nodes of the same name, which stand one behind the other, become one. */
static seldom void join(struct arena *a, struct fieldset *s)
{
    uint32_t n = 1;
    for (uint32_t i = 1; i < s->n; i++) {
        struct fieldset_node *last = &s->at[n - 1];
        if (cmp_node(last, &s->at[i]) == 0) {
            last->member |= s->at[i].member;
            last->below = fieldset_union(a, last->below, s->at[i].below);
        } else {
            s->at[n++] = s->at[i];
        }
    }
    s->n = n;
}

enum { FEW_NODES = 24 };

const struct fieldset *fieldset_seal(struct arena *a, struct fieldset *s)
{
    bool repeated = false;
    if (s->n > FEW_NODES) {
        sort_few(s->at, s->n, sizeof *s->at, cmp_node);
    }
    for (uint32_t i = 1; i < s->n; i++) {
        repeated |= settle(s->at, i);
    }
    if (repeated) {
        join(a, s);
    }
    return some(s);
}

/* ---- FieldsV1 ---- */

struct parse {
    struct arena *a;
    struct err *err;
    size_t nodes;
};

static int bad(struct parse *p, struct span key, const char *why)
{
    return err_set(p->a, p->err, ERR_BAD_REQUEST, "fieldsV1: key \"%.*s\": %s",
                   (int)(key.n < 100 ? key.n : 100), key.p, why);
}

static bool is_plain(const yyjson_val *v)
{
    return v && !yyjson_is_ctn((yyjson_val *)(uintptr_t)v);
}

static int cmp_part(const void *x, const void *y)
{
    const struct fieldset_part *a = x, *b = y;
    return span_cmp(a->name, b->name);
}

static int parse_parts(struct parse *p, struct span key, const yyjson_val *obj,
                       struct fieldset_elem *e)
{
    size_t n = json_len(obj);
    if (!yyjson_is_obj((yyjson_val *)(uintptr_t)obj) || n > LIMIT_FIELDSET_KEYS) {
        return bad(p, key, "a list element is named by an object with a few members");
    }
    struct fieldset_part *parts = ARENA_ARRAY(p->a, struct fieldset_part, n + 1);
    JSON_EACH(it, obj)
    {
        if (!is_plain(it.val)) {
            return bad(p, key, "the keys of a list element are plain values");
        }
        parts[e->part_n++] = (struct fieldset_part){json_str(it.key), it.val};
    }
    sort_few(parts, e->part_n, sizeof *parts, cmp_part);
    e->parts = parts;
    return 0;
}

/* 1: an element; 0: of a kind that we do not know; -1: malformed. */
static int parse_elem(struct parse *p, struct span key, struct fieldset_elem *e)
{
    if (key.n < 2 || key.p[1] != ':') {
        return bad(p, key, "starts with neither \"f:\", \"k:\", \"v:\" nor \"i:\"");
    }
    struct span rest = span_from(key, 2);
    *e = (struct fieldset_elem){.what = FIELDSET_FIELD, .name = rest};
    if (key.p[0] == 'f') {
        return 1;
    }
    if (key.p[0] == 'i') {
        e->what = FIELDSET_INDEX;
        return span_to_i64(rest, &e->index) ? 1 : bad(p, key, "an index is a number");
    }
    if (key.p[0] != 'k' && key.p[0] != 'v') {
        return 0;
    }
    yyjson_doc *doc = NULL;
    if (json_parse(p->a, rest, &doc, NULL)) {
        return bad(p, key, "what follows the colon is not JSON");
    }
    const yyjson_val *v = yyjson_doc_get_root(doc);
    if (key.p[0] == 'k') {
        e->what = FIELDSET_KEY;
        return parse_parts(p, key, v, e) ? -1 : 1;
    }
    e->what = FIELDSET_VALUE;
    e->value = v;
    return is_plain(v) ? 1 : bad(p, key, "an element of a set is a plain value");
}

static int parse_level(struct parse *p, const yyjson_val *obj, const struct fieldset **ret,
                       bool *ret_member)
{
    struct fieldset *s = ARENA_NEW(p->a, struct fieldset);
    *ret_member = false;
    JSON_EACH(it, obj)
    {
        struct span key = json_str(it.key);
        if (span_eq(key, SPAN("."))) {
            *ret_member = true;
            continue;
        }
        if (++p->nodes > LIMIT_FIELDSET_NODES) {
            return err_set(p->a, p->err, ERR_TOO_LARGE, "fieldsV1 names more than %d fields",
                           LIMIT_FIELDSET_NODES);
        }
        struct fieldset_elem e;
        int rc = parse_elem(p, key, &e);
        const struct fieldset *below = NULL;
        bool member = false;
        if (rc < 0 || (rc > 0 && parse_level(p, it.val, &below, &member))) {
            return -1;
        }
        if (rc > 0) {
            fieldset_add(p->a, s, e, member, below);
        }
    }
    *ret = fieldset_seal(p->a, s);
    *ret_member |= !*ret;
    return 0;
}

int fieldset_parse(struct arena *a, const yyjson_val *fields, const struct fieldset **ret,
                   struct err *reterr)
{
    assert(a);
    struct parse p = {.a = a, .err = reterr};
    bool member;
    *ret = NULL;
    if (!yyjson_is_obj((yyjson_val *)(uintptr_t)fields)) {
        return err_set(a, reterr, ERR_BAD_REQUEST, "fieldsV1 is not an object");
    }
    return parse_level(&p, fields, ret, &member);
}

/* ---- asking ---- */

bool fieldset_is_empty(const struct fieldset *s)
{
    return !s || s->n == 0;
}

bool fieldset_equal(const struct fieldset *a, const struct fieldset *b)
{
    if (a == b || fieldset_is_empty(a) || fieldset_is_empty(b)) {
        return fieldset_is_empty(a) == fieldset_is_empty(b);
    }
    if (a->n != b->n) {
        return false;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->at[i].member != b->at[i].member || cmp_node(&a->at[i], &b->at[i]) ||
            !fieldset_equal(a->at[i].below, b->at[i].below)) {
            return false;
        }
    }
    return true;
}

const struct fieldset_node *fieldset_find(const struct fieldset *s, const struct fieldset_elem *e)
{
    assert(e);
    if (fieldset_is_empty(s)) {
        return NULL;
    }
    const struct fieldset_node key = {.elem = *e};
    return bsearch(&key, s->at, s->n, sizeof *s->at, cmp_node);
}

static void paths_below(struct arena *a, const struct fieldset *s, struct span prefix,
                        void (*fn)(void *data, struct span path), void *data)
{
    for (uint32_t i = 0; s && i < s->n; i++) {
        if (s->at[i].member) {
            struct span text = fieldset_elem_text(a, &s->at[i].elem);
            fn(data, arena_printf(a, "%.*s%.*s", SPAN_ARG(prefix), SPAN_ARG(text)));
        }
    }
    for (uint32_t i = 0; s && i < s->n; i++) {
        if (s->at[i].below) {
            struct span text = fieldset_elem_text(a, &s->at[i].elem);
            paths_below(a, s->at[i].below,
                        arena_printf(a, "%.*s%.*s", SPAN_ARG(prefix), SPAN_ARG(text)), fn, data);
        }
    }
}

void fieldset_paths(struct arena *a, const struct fieldset *s,
                    void (*fn)(void *data, struct span path), void *data)
{
    assert(a);
    assert(fn);
    paths_below(a, s, SPAN(""), fn, data);
}

/* ---- combining ---- */

const struct fieldset *fieldset_union(struct arena *a, const struct fieldset *x,
                                      const struct fieldset *y)
{
    if (fieldset_is_empty(x) || x == y) {
        return some(y);
    }
    if (fieldset_is_empty(y)) {
        return x;
    }
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    uint32_t i = 0, j = 0;
    while (i < x->n || j < y->n) {
        int rc = i == x->n ? 1 : j == y->n ? -1 : cmp_node(&x->at[i], &y->at[j]);
        const struct fieldset_node *p = rc <= 0 ? &x->at[i++] : NULL;
        const struct fieldset_node *q = rc >= 0 ? &y->at[j++] : NULL;
        const struct fieldset_node *any = p ? p : q;
        assert(any);
        fieldset_add(a, out, any->elem, (p && p->member) || (q && q->member),
                     fieldset_union(a, p ? p->below : NULL, q ? q->below : NULL));
    }
    return some(out);
}

const struct fieldset *fieldset_intersection(struct arena *a, const struct fieldset *x,
                                             const struct fieldset *y)
{
    assert(a);
    if (fieldset_is_empty(x) || fieldset_is_empty(y)) {
        return NULL;
    }
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    for (uint32_t i = 0, j = 0; i < x->n && j < y->n;) {
        int rc = cmp_node(&x->at[i], &y->at[j]);
        if (rc == 0) {
            fieldset_add(a, out, x->at[i].elem, x->at[i].member && y->at[j].member,
                         fieldset_intersection(a, x->at[i].below, y->at[j].below));
        }
        i += rc <= 0;
        j += rc >= 0;
    }
    return some(out);
}

const struct fieldset *fieldset_difference(struct arena *a, const struct fieldset *x,
                                           const struct fieldset *y)
{
    assert(a);
    if (fieldset_is_empty(x) || fieldset_is_empty(y)) {
        return some(x);
    }
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    uint32_t j = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct fieldset_node *p = &x->at[i];
        while (j < y->n && cmp_node(&y->at[j], p) < 0) {
            j++;
        }
        const struct fieldset_node *q = j < y->n && cmp_node(&y->at[j], p) == 0 ? &y->at[j] : NULL;
        fieldset_add(a, out, p->elem, p->member && !(q && q->member),
                     q ? fieldset_difference(a, p->below, q->below) : p->below);
    }
    return some(out);
}

const struct fieldset *fieldset_without(struct arena *a, const struct fieldset *s,
                                        struct span field)
{
    assert(field.n > 0);
    struct fieldset_elem e = fieldset_field(field);
    if (!fieldset_find(s, &e)) {
        return some(s);
    }
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    for (uint32_t i = 0; i < s->n; i++) {
        if (fieldset_elem_cmp(&s->at[i].elem, &e) != 0) {
            fieldset_add(a, out, s->at[i].elem, s->at[i].member, s->at[i].below);
        }
    }
    return some(out);
}
