/* managed/typed_compare.c: what was added, modified and removed between two versions of an object.
 *
 * This runs at every write, so that the common case (most of the tree is the same) allocates
 * nothing: equal plain values are passed over before their row is looked up. */
#include "base/check.h"
#include "base/sort.h"
#include "codec/json.h"
#include "managed/typed.h"

enum { TAKEN, REMOVED, CHANGES }; /* added or modified; or removed */

/* The differences at one path: of the path itself, and below it. */
struct change {
    bool self[CHANGES];
    struct fieldset below[CHANGES];
};

static bool is_map(const yyjson_val *v)
{
    return yyjson_is_null(json_unconst(v)) || yyjson_is_obj(json_unconst(v));
}

static const yyjson_val empty_object = {.tag = YYJSON_TYPE_OBJ};

const yyjson_val *typed_zero(const struct schema_field *f)
{
    static const yyjson_val none = {.tag = YYJSON_TYPE_NULL},
                            number = {.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_UINT},
                            no = {.tag = YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_FALSE},
                            text = {.tag = YYJSON_TYPE_STR, .uni.str = ""};
    if (!f) {
        return NULL;
    }
    if (f->flags & SCHEMA_POINTER) {
        return f->flags & SCHEMA_OMITEMPTY ? NULL : &none;
    }
    if (f->shape == SCHEMA_OBJECT) {
        return &empty_object;
    }
    if (f->shape == SCHEMA_TIME || f->shape == SCHEMA_MICROTIME || f->shape == SCHEMA_ANY) {
        return &none; /* structs in Go, which omitempty does not omit, as is the next */
    }
    if (f->shape == SCHEMA_INT_OR_STRING) {
        return &number;
    }
    if (f->flags & SCHEMA_OMITEMPTY) {
        return NULL;
    }
    switch ((enum schema_shape)f->shape) {
    case SCHEMA_STRING:
        return &text;
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
        return &number;
    case SCHEMA_BOOL:
        return &no;
    default:
        return &none;
    }
}

static void compare(struct arena *a, struct typed_ref r, const yyjson_val *old,
                    const yyjson_val *next, struct change *c);

/* Compares what stands at e on both sides (one may be NULL) and adds the result to c. */
static void compare_at(struct arena *a, struct typed_ref r, struct fieldset_elem e,
                       const yyjson_val *old, const yyjson_val *next, struct change *c)
{
    struct change at = {0};
    compare(a, r, old, next, &at);
    for (int i = 0; i < CHANGES; i++) {
        if (at.self[i] || at.below[i].n) {
            struct fieldset *below = NULL;
            if (at.below[i].n) {
                below = ARENA_NEW(a, struct fieldset);
                *below = at.below[i];
            }
            fieldset_add(a, &c->below[i], e, at.self[i], below);
        }
    }
}

/* Two objects (or maps), of which one may not be there. */
struct pair {
    const yyjson_val *old, *next;
};

/* Neither a container nor null: one value, whatever its row says. */
static bool is_plain(const yyjson_val *v)
{
    return yyjson_is_str(json_unconst(v)) || yyjson_is_num(json_unconst(v)) ||
           yyjson_is_bool(json_unconst(v));
}

/* A member that is absent from an object that is there has Go's zero value, if any. */
static void compare_member(struct arena *a, struct typed_ref r, struct span name, struct pair in,
                           const yyjson_val *old, const yyjson_val *next, struct change *c)
{
    if (yyjson_is_str(json_unconst(old)) && yyjson_is_str(json_unconst(next))) { /* mostly */
        if (!span_eq(json_str(old), json_str(next))) {
            fieldset_add(a, &c->below[TAKEN], fieldset_field(name), true, NULL);
        }
        return;
    }
    if (old && next && json_identical(old, next)) {
        return;
    }
    if (!old && is_plain(next) && !yyjson_is_obj(json_unconst(in.old))) { /* new with its object */
        fieldset_add(a, &c->below[TAKEN], fieldset_field(name), true, NULL);
        return;
    }
    struct typed_ref m = {0};
    if (!is_plain(old) || !is_plain(next)) {
        m = typed_member(r, name);
        if (m.field && !m.elem) {
            old = !old && yyjson_is_obj(json_unconst(in.old)) ? typed_zero(m.field) : old;
            next = !next && yyjson_is_obj(json_unconst(in.next)) ? typed_zero(m.field) : next;
        }
    }
    if ((!old || is_plain(old)) && (!next || is_plain(next))) { /* a leaf, whatever its row says */
        bool is_other = !old || !next || !json_equal(old, next);
        if (is_other && (old || next)) {
            fieldset_add(a, &c->below[next ? TAKEN : REMOVED], fieldset_field(name), true, NULL);
        }
        return;
    }
    compare_at(a, m, fieldset_field(name), old, next, c);
}

/* Of an object that comes or goes as a whole, what Go would have in it beside what is written. */
static void compare_zeros(struct arena *a, struct typed_ref r, struct pair in, struct change *c)
{
    const yyjson_val *there = yyjson_is_obj(json_unconst(in.old)) ? in.old : in.next;
    for (uint16_t i = 0; r.type && i < r.type->field_count; i++) {
        const struct schema_field *f = &r.type->fields[i];
        if (typed_zero(f) && !json_get(there, f->name)) {
            compare_member(a, r, span_cstr(f->name), in, NULL, NULL, c);
        }
    }
}

/* One that stands behind those asked for before, or anywhere. */
static seldom const yyjson_val *further_member(const yyjson_val *obj, struct json_iter *at,
                                               struct span name)
{
    for (struct json_iter it = *at; it.val; json_iter_next(&it)) {
        if (span_eq(json_str(it.key), name)) {
            const yyjson_val *v = it.val;
            *at = it;
            json_iter_next(at);
            return v;
        }
    }
    return json_get_span(obj, name);
}

/* The member of obj, whose members are mostly asked for in their order. */
static inline const yyjson_val *next_member(const yyjson_val *obj, struct json_iter *at,
                                            struct span name)
{
    const yyjson_val *v = at->val;
    if (v && span_eq(json_str(at->key), name)) {
        json_iter_next(at);
        return v;
    }
    return further_member(obj, at, name);
}

static void compare_members(struct arena *a, struct typed_ref r, const yyjson_val *old,
                            const yyjson_val *next, struct change *c)
{
    struct pair in = {old, next};
    if (typed_class(r) == TYPED_OBJECT &&
        yyjson_is_obj(json_unconst(old)) != yyjson_is_obj(json_unconst(next))) {
        compare_zeros(a, r, in, c);
    }
    bool has_next = yyjson_is_obj(json_unconst(next));
    struct json_iter there = json_iter_begin(has_next ? next : NULL);
    size_t found = 0;
    if (yyjson_is_obj(json_unconst(old))) {
        JSON_EACH(it, old)
        {
            struct span name = json_str(it.key);
            const yyjson_val *other = has_next ? next_member(next, &there, name) : NULL;
            found += other != NULL;
            compare_member(a, r, name, in, it.val, other, c);
        }
    }
    if (!has_next || found == json_len(next)) {
        return;
    }
    JSON_EACH(it, next)
    {
        struct span name = json_str(it.key);
        if (!yyjson_obj_getn(json_unconst(old), name.p, name.n)) {
            compare_member(a, r, name, in, NULL, it.val, c);
        }
    }
}

/* ---- equality ---- */

static bool same_leaf(struct typed_ref r, const yyjson_val *old, const yyjson_val *next)
{
    return json_equal(old, next) ||
           (yyjson_is_ctn(json_unconst(old)) &&
            (typed_is_written(r, old, next) || typed_is_written(r, next, old)));
}

static bool same_members(struct typed_ref r, const yyjson_val *old, const yyjson_val *next)
{
    size_t found = 0;
    JSON_EACH(it, next)
    {
        struct span name = json_str(it.key);
        const yyjson_val *other = yyjson_obj_getn(json_unconst(old), name.p, name.n);
        struct typed_ref m = typed_member(r, name);
        found += other != NULL;
        if (!other && m.field && !m.elem) {
            other = typed_zero(m.field);
        }
        if (!other || !typed_same(m, other, it.val)) {
            return false;
        }
    }
    return found == json_len(old);
}

bool typed_same(struct typed_ref r, const yyjson_val *old, const yyjson_val *next)
{
    if (yyjson_is_arr(json_unconst(old)) && yyjson_is_arr(json_unconst(next)) &&
        json_len(old) == json_len(next)) {
        struct typed_ref of = r.field && !r.elem ? typed_element(r) : (struct typed_ref){0};
        yyjson_arr_iter other = yyjson_arr_iter_with(json_unconst(next));
        JSON_EACH(it, old)
        {
            if (!typed_same(of, it.val, yyjson_arr_iter_next(&other))) {
                return false;
            }
        }
        return true;
    }
    if (yyjson_is_obj(json_unconst(old)) && yyjson_is_obj(json_unconst(next)) &&
        typed_class(r) != TYPED_LEAF) {
        return same_members(r, old, next);
    }
    return same_leaf(r, old, next);
}

/* ---- lists ---- */

struct item {
    struct fieldset_elem e;
    const yyjson_val *v;
    size_t place;
};

static int cmp_item(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    int rc = fieldset_elem_cmp(&a->e, &b->e);
    return rc ? rc : (a->place > b->place) - (a->place < b->place);
}

/* The elements by name; such as have none are passed over. */
static struct item *items_of(struct arena *a, struct typed_ref r, const yyjson_val *list,
                             size_t *ret_n)
{
    size_t n = 0;
    struct item *items = arena_alloc_raw(a, (json_len(list) + 1) * sizeof *items);
    JSON_EACH(it, list)
    {
        items[n] = (struct item){.v = it.val, .place = n};
        n += typed_elem(a, r, it.val, true, &items[n].e) == NULL;
    }
    sort_few(items, n, sizeof *items, cmp_item);
    *ret_n = n;
    return items;
}

static size_t run_of(const struct item *items, size_t n)
{
    size_t run = n > 0;
    while (run > 0 && run < n && fieldset_elem_cmp(&items[0].e, &items[run].e) == 0) {
        run++;
    }
    return run;
}

/* Elements of one name, of which there is more than one on a side: they count as one value. */
static void compare_runs(struct arena *a, struct typed_ref r, const struct item *x, size_t xn,
                         const struct item *y, size_t yn, struct change *c)
{
    struct fieldset_elem e = xn ? x->e : y->e;
    if (xn >= 2 && yn >= 2) {
        bool same = xn == yn;
        for (size_t i = 0; same && i < xn; i++) {
            same = json_equal(x[i].v, y[i].v);
        }
        fieldset_add(a, &c->below[TAKEN], e, !same, NULL);
    } else if (xn >= 2) {
        if (yn) {
            compare_at(a, r, e, NULL, y->v, c);
        }
        fieldset_add(a, &c->below[REMOVED], e, true, NULL);
    } else {
        if (xn) {
            compare_at(a, r, e, x->v, NULL, c);
        }
        fieldset_add(a, &c->below[TAKEN], e, true, NULL);
    }
}

enum { FEW_ITEMS = 16 };

/* Of two lists the elements with the same names in the same order, none twice: in most, those that
 * differ can be compared as they stand. False: the lists are not like that, or not plainly. */
static bool compare_in_place(struct arena *a, struct typed_ref r, const yyjson_val *old,
                             const yyjson_val *next, struct change *c)
{
    struct span names[FEW_ITEMS], key = span_cstr(r.field->map_keys);
    struct pair differ[FEW_ITEMS] = {0};
    size_t n = json_len(next), i = 0;
    if (r.field->list_kind != SCHEMA_LIST_MAP || key.n == 0 || span_find(key, ',') < key.n ||
        json_len(old) != n || n > FEW_ITEMS) {
        return false;
    }
    struct json_iter x = json_iter_begin(old);
    for (struct json_iter y = json_iter_begin(next); y.val; json_iter_next(&y), i++) {
        const yyjson_val *name = json_get_span(y.val, key);
        if (!yyjson_is_str(json_unconst(name))) {
            return false;
        }
        names[i] = json_str(name);
        if (!json_identical(x.val, y.val)) {
            const yyjson_val *was = json_get_span(x.val, key);
            if (!yyjson_is_str(json_unconst(was)) || !span_eq(json_str(was), names[i])) {
                return false;
            }
            differ[i] = (struct pair){x.val, y.val};
        }
        json_iter_next(&x);
    }
    for (i = 0; i < n; i++) {
        for (size_t k = 0; differ[i].old && k < n; k++) {
            if (k != i && span_eq(names[i], names[k])) {
                return false;
            }
        }
    }
    for (i = 0; i < n; i++) {
        if (differ[i].old) {
            struct fieldset_part *part = arena_alloc_raw(a, sizeof *part);
            *part = (struct fieldset_part){key, json_get_span(differ[i].old, key)};
            struct fieldset_elem e = {.what = FIELDSET_KEY, .part_n = 1, .parts = part};
            compare_at(a, typed_element(r), e, differ[i].old, differ[i].next, c);
        }
    }
    return true;
}

static void compare_list(struct arena *a, struct typed_ref r, const yyjson_val *old,
                         const yyjson_val *next, struct change *c)
{
    if (old && next && compare_in_place(a, r, old, next, c)) {
        return;
    }
    size_t xn, yn;
    const struct item *x = items_of(a, r, old, &xn), *y = items_of(a, r, next, &yn);
    struct typed_ref element = typed_element(r);
    while (xn || yn) {
        int rc = !xn ? 1 : !yn ? -1 : fieldset_elem_cmp(&x->e, &y->e);
        size_t xr = rc <= 0 ? run_of(x, xn) : 0, yr = rc >= 0 ? run_of(y, yn) : 0;
        assert(xr || yr);
        if (xr == 1 && yr == 1 && json_identical(x->v, y->v)) {
            /* most elements of most lists */
        } else if (xr <= 1 && yr <= 1) {
            compare_at(a, element, xr ? x->e : y->e, xr ? x->v : NULL, yr ? y->v : NULL, c);
        } else {
            compare_runs(a, element, x, xr, y, yr, c);
        }
        x += xr;
        xn -= xr;
        y += yr;
        yn -= yr;
    }
}

static void compare_leaf(struct typed_ref r, const yyjson_val *old, const yyjson_val *next,
                         struct change *c)
{
    if (!old) {
        c->self[TAKEN] = true;
    } else if (!next) {
        c->self[REMOVED] = true;
    } else {
        c->self[TAKEN] = !same_leaf(r, old, next);
    }
}

static void compare(struct arena *a, struct typed_ref r, const yyjson_val *old,
                    const yyjson_val *next, struct change *c)
{
    if (!old && !next) {
        return;
    }
    enum typed_class class = typed_class(r);
    if (class == TYPED_LOOSE) {
        if (old && next && is_map(old) != is_map(next)) { /* comes or goes with all in it */
            compare_members(a, r, is_map(old) ? old : NULL, is_map(next) ? next : NULL, c);
            c->self[TAKEN] = true;
            return;
        }
        class = typed_class_of(r, is_map(old ? old : next));
    }
    bool has_zeros =
        class == TYPED_OBJECT && !(old && next) && yyjson_is_obj(json_unconst(old ? old : next));
    if (class == TYPED_LEAF || (json_len(old) == 0 && json_len(next) == 0 && !has_zeros)) {
        compare_leaf(r, old, next, c);
        return;
    }
    if (class == TYPED_LIST) {
        compare_list(a, r, old, next, c);
    } else {
        compare_members(a, r, old, next, c);
    }
    for (int i = 0; i < CHANGES; i++) {
        if (c->below[i].n > 1) {
            (void)fieldset_seal(a, &c->below[i]);
        }
    }
    c->self[TAKEN] = !old;
    c->self[REMOVED] = !next;
}

/* ---- the whole object ---- */

static const yyjson_val *member(const yyjson_val *obj, struct span name)
{
    return json_get_span(obj, name);
}

static bool is_skipped(struct typed_ref r, struct span name, const char *skip)
{
    return !r.field && skip && span_eq_cstr(name, skip);
}

static bool is_passed(struct span name, struct typed_skip skip)
{
    return span_eq(name, SPAN("managedFields")) ||
           (skip.revision && span_eq(name, SPAN("resourceVersion")));
}

/* The members that are compared, mostly: those that are passed over stand first in what is stored.
 */
static const yyjson_val *behind_passed(const yyjson_val *meta, struct typed_skip skip,
                                       size_t *ret_n)
{
    struct json_iter it = json_iter_begin(meta);
    while (it.key && is_passed(json_str(it.key), skip)) {
        json_iter_next(&it);
    }
    *ret_n = it.key ? json_values(meta) - (size_t)(it.key - meta) : 0;
    return it.key;
}

/* The same members in the same order? Mostly: few writes change metadata. */
static bool is_same_meta(const yyjson_val *old, const yyjson_val *next, struct typed_skip skip)
{
    size_t x_n, y_n;
    const yyjson_val *x = behind_passed(old, skip, &x_n), *y = behind_passed(next, skip, &y_n);
    return x_n == y_n && json_identical_run(x, y, x_n);
}

static void compare_meta(struct arena *a, struct typed_ref root, const yyjson_val *old,
                         const yyjson_val *next, struct typed_skip skip, struct change *c)
{
    struct change at = {0};
    struct pair in = {old, next};
    if (yyjson_is_obj(json_unconst(old)) && yyjson_is_obj(json_unconst(next)) &&
        is_same_meta(old, next, skip)) {
        return;
    }
    struct typed_ref r = typed_member(root, SPAN("metadata"));
    JSON_EACH(it, next)
    {
        struct span name = json_str(it.key);
        if (!is_passed(name, skip)) {
            compare_member(a, r, name, in, member(old, name), it.val, &at);
        }
    }
    JSON_EACH(it, old)
    {
        struct span name = json_str(it.key);
        if (!is_passed(name, skip) && !member(next, name)) {
            compare_member(a, r, name, in, it.val, NULL, &at);
        }
    }
    for (int i = 0; i < CHANGES; i++) {
        struct fieldset *below = ARENA_NEW(a, struct fieldset);
        *below = at.below[i];
        fieldset_add(a, &c->below[i], fieldset_field(SPAN("metadata")), false,
                     fieldset_seal(a, below));
    }
}

static void compare_top(struct arena *a, struct typed_ref r, struct span name,
                        const yyjson_val *old, const yyjson_val *next, struct typed_skip skip,
                        struct change *c)
{
    if (span_eq(name, SPAN("metadata"))) {
        compare_meta(a, r, old, next, skip, c);
    } else {
        struct pair in = {&empty_object, &empty_object}; /* the object itself is always there */
        compare_member(a, r, name, in, old, next, c);
    }
}

/* What old has and next has not. */
static void compare_gone(struct arena *a, struct typed_ref r, const yyjson_val *old,
                         const yyjson_val *next, struct typed_skip skip, struct change *c)
{
    JSON_EACH(it, old)
    {
        struct span name = json_str(it.key);
        if (!is_skipped(r, name, skip.root) && !member(next, name)) {
            compare_top(a, r, name, it.val, NULL, skip, c);
        }
    }
}

struct typed_diff typed_compare(struct arena *a, const struct schema_kind *kind,
                                const yyjson_val *old, const yyjson_val *next,
                                struct typed_skip skip)
{
    assert(kind);
    assert(next);
    struct typed_ref r = typed_root(kind);
    struct change c = {0};
    struct json_iter there = json_iter_begin(old);
    size_t found = 0;
    JSON_EACH(it, next)
    {
        struct span name = json_str(it.key);
        const yyjson_val *was = old ? next_member(old, &there, name) : NULL;
        found += was != NULL;
        if (!is_skipped(r, name, skip.root)) {
            compare_top(a, r, name, was, it.val, skip, &c);
        }
    }
    if (found < json_len(old)) {
        compare_gone(a, r, old, next, skip, &c);
    }
    const struct fieldset *set[CHANGES];
    for (int i = 0; i < CHANGES; i++) {
        struct fieldset *s = ARENA_NEW(a, struct fieldset);
        *s = c.below[i];
        set[i] = fieldset_seal(a, s);
    }
    return (struct typed_diff){set[TAKEN], set[REMOVED]};
}
