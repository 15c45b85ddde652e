/* managed/managed_create.c: who owns what of a new object: everything that its creator gave.
 *
 * What managed_update() finds by comparing with nothing, in one walk over the tree that goes
 * straight to text. A value is compared only with what Go would have there (typed_zero()), as an
 * object of which nothing is set. Where the walk meets what is rare (elements of the same name, a
 * value of another type than its row's) it gives up, and the comparison does it. Most objects are
 * like one that was walked before (managed_shape.h): the walk is seldom, and compiled for size. */
#include "base/check.h"
#include "base/sort.h"
#include "codec/json_text.h"
#include "managed/fieldset_text.h"
#include "managed/managed_priv.h"
#include "managed/managed_shape.h"
#include "schema/schema_row.h"

struct walk {
    struct fieldset_text text;
    struct arena *a;
    bool has_given_up;
};

/* A member of an object, or a field of a new object that Go writes although it is not there. */
struct given {
    uint64_t prefix; /* of the name: orders most */
    struct span name;
    const struct schema_field *field; /* of a map: NULL */
    yyjson_mut_val *value;            /* NULL: Go's zero */
};

static bool put_below(struct walk *w, struct typed_ref r, const yyjson_val *old,
                      yyjson_mut_val *next);

static bool give_up(struct walk *w)
{
    w->has_given_up = true;
    return false;
}

/* ---- order ---- */

static uint64_t prefix_of(struct span name)
{
    uint64_t prefix = 0;
    if (name.n >= sizeof prefix) {
        memcpy(&prefix, name.p, sizeof prefix);
    } else {
        span_copy_short((char *)&prefix, name.p, name.n);
    }
    return __builtin_bswap64(prefix);
}

static int cmp_given(const void *x, const void *y)
{
    const struct given *a = x, *b = y;
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix ? -1 : 1;
    }
    return span_cmp(a->name, b->name);
}

enum { FEW = 48 };

/* False: a name stands twice. */
static seldom bool sort_given(struct given *at, size_t n)
{
    if (n > FEW) {
        sort_few(at, n, sizeof *at, cmp_given);
    }
    for (size_t i = 1; i < n; i++) {
        struct given one = at[i];
        size_t to = i;
        int rc = 1;
        while (to > 0 && (rc = cmp_given(&one, &at[to - 1])) < 0) {
            at[to] = at[to - 1];
            to--;
        }
        if (to > 0 && rc == 0) {
            return false;
        }
        at[to] = one;
    }
    return true;
}

/* ---- values ---- */

static bool is_zero(const yyjson_val *zero, yyjson_mut_val *v)
{
    switch (yyjson_get_type((yyjson_val *)(uintptr_t)zero)) {
    case YYJSON_TYPE_OBJ:
        return yyjson_mut_is_obj(v) && yyjson_mut_obj_size(v) == 0;
    case YYJSON_TYPE_NUM:
        return yyjson_mut_is_num(v) && !(yyjson_mut_get_num(v) < 0) && !(yyjson_mut_get_num(v) > 0);
    case YYJSON_TYPE_BOOL:
        return yyjson_mut_is_false(v);
    case YYJSON_TYPE_STR:
        return yyjson_mut_is_str(v) && yyjson_mut_get_len(v) == 0;
    default:
        return yyjson_mut_is_null(v);
    }
}

/* A value in the set for itself; false: it is what Go would have anyway. */
static bool put_leaf(struct walk *w, const yyjson_val *old, yyjson_mut_val *next)
{
    if (old && (!next || is_zero(old, next))) {
        return false;
    }
    fieldset_text_put(&w->text, SPAN("{}"));
    return true;
}

static size_t size_of(yyjson_mut_val *v)
{
    return yyjson_mut_is_ctn(v) ? yyjson_mut_get_len(v) : 0;
}

/* ---- objects ---- */

/* The key of a member, and if it is a leaf its value: in one piece, for most of what is written. */
static seldom void put_member_key(struct walk *w, const struct given *member, bool is_first,
                                  bool is_leaf)
{
    static const char before[] = ",\"f:", behind[] = "\":{}";
    struct fieldset_text *t = &w->text;
    struct span name = member->name;
    bool is_row = member->field && member->field->name == name.p; /* mostly: letters */
    if (!is_row && !json_text_is_plain(name)) {
        fieldset_text_put(t, is_first ? SPAN("\"f:") : SPAN(",\"f:"));
        fieldset_text_put_quoted(t, name);
        fieldset_text_put(t, is_leaf ? SPAN("\":{}") : SPAN("\":"));
        return;
    }
    if (t->cap - t->n < name.n + sizeof before + sizeof behind) {
        fieldset_text_grow(t, name.n + sizeof before + sizeof behind);
    }
    char *at = t->p + t->n;
    memcpy(at, before + is_first, sizeof before - 1);
    at += sizeof before - 1 - is_first;
    span_copy_short(at, name.p, name.n);
    memcpy(at + name.n, behind, sizeof behind - 1);
    at += name.n + (is_leaf ? 4 : 2);
    t->n = (size_t)(at - t->p);
}

/* Neither a container nor null: a leaf, whatever its row says. */
static bool is_plain(yyjson_mut_val *v)
{
    return yyjson_mut_is_str(v) || yyjson_mut_is_num(v) || yyjson_mut_is_bool(v);
}

/* What is in the set of a member, where old is what Go would have there. False: nothing. */
static bool put_member(struct walk *w, const struct given *member, struct typed_ref r,
                       const yyjson_val *old, yyjson_mut_val *value, bool is_first)
{
    if (is_plain(value)) {
        if (old && is_zero(old, value)) {
            return false;
        }
        put_member_key(w, member, is_first, true);
        return true;
    }
    size_t from = w->text.n;
    put_member_key(w, member, is_first, false);
    if (!put_below(w, r, old, value)) {
        w->text.n = from;
        return false;
    }
    return true;
}

/* The members that are in the set, from behind the opening brace on; map: whose they are, NULL: an
 * object's; is_first: nothing stands there yet. True when anything does afterwards. */
static seldom bool put_members(struct walk *w, const struct given *at, size_t n,
                               const struct typed_ref *map, bool has_zeros, bool is_first)
{
    struct typed_ref element = map ? typed_element(*map) : (struct typed_ref){0};
    for (size_t i = 0; i < n && !w->has_given_up; i++) {
        const struct schema_field *f = at[i].field;
        struct typed_ref m = map ? element : (struct typed_ref){f, f ? f->type : NULL, false};
        const yyjson_val *old = has_zeros ? typed_zero(f) : NULL;
        yyjson_mut_val empty = {.tag = YYJSON_TYPE_OBJ}, *value = at[i].value;
        if (!value && yyjson_is_obj((yyjson_val *)(uintptr_t)typed_zero(f))) {
            value = &empty; /* Go's zeros have zeros in them */
        }
        if (!value) {
            put_member_key(w, &at[i], is_first, true);
            is_first = false;
        } else if (put_member(w, &at[i], m, old, value, is_first)) {
            is_first = false;
        }
    }
    return !is_first;
}

/* The bit of a row; 0: the type has too many of them, or it is another's. */
static uint64_t bit_of(const struct schema_type *type, const struct schema_field *f)
{
    bool has_bit = type && f && type->field_count <= SCHEMA_FIELDS_MAX && f >= type->fields &&
                   f < type->fields + type->field_count;
    return has_bit ? UINT64_C(1) << (f - type->fields) : 0;
}

/* The members of obj; with_zeros: and what Go would have in a new object beside them. */
static seldom struct given *members_of(struct walk *w, struct typed_ref r, bool is_map,
                                       yyjson_mut_val *obj, bool with_zeros, struct given few[FEW],
                                       size_t *ret_n)
{
    size_t n = 0, max = yyjson_mut_obj_size(obj) + (with_zeros ? r.type->field_count : 0u);
    struct given *at = max > FEW ? ARENA_ARRAY(w->a, struct given, max) : few;
    size_t row = 0;
    uint64_t seen = 0;
    yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(obj);
    for (yyjson_mut_val *key; (key = yyjson_mut_obj_iter_next(&it)) != NULL;) {
        struct span name = json_mut_str(key);
        const struct schema_field *f =
            is_map || !r.type ? NULL : schema_field_next(r.type, name, &row);
        f = is_map || f ? f : typed_member(r, name).field;
        at[n++] = (struct given){prefix_of(name), name, f, yyjson_mut_obj_iter_get_val(key)};
        seen |= with_zeros ? bit_of(r.type, f) : 0;
    }
    for (uint16_t i = 0; with_zeros && i < r.type->field_count; i++) {
        const struct schema_field *f = &r.type->fields[i];
        uint64_t bit = bit_of(r.type, f);
        if (typed_zero(f) && (bit ? !(seen & bit) : !yyjson_mut_obj_get(obj, f->name))) {
            struct span name = span_cstr(f->name);
            at[n++] = (struct given){prefix_of(name), name, f, NULL};
        }
    }
    *ret_n = n;
    return at;
}

/* An object, or a map that has members. */
static seldom bool put_object(struct walk *w, struct typed_ref r, bool is_map,
                              const yyjson_val *old, yyjson_mut_val *next)
{
    struct given few[FEW];
    size_t n, from = w->text.n;
    bool was_there = yyjson_is_obj((yyjson_val *)(uintptr_t)old);
    bool with_zeros = !was_there && !is_map && r.type;
    struct given *at = members_of(w, r, is_map, next, with_zeros, few, &n);
    if (n == 0) {
        return put_leaf(w, old, next);
    }
    if (!sort_given(at, n)) {
        return give_up(w);
    }
    fieldset_text_put(&w->text, old ? SPAN("{") : SPAN("{\".\":{}"));
    if (!put_members(w, at, n, is_map ? &r : NULL, was_there, old != NULL)) {
        w->text.n = from;
        return false;
    }
    fieldset_text_put(&w->text, SPAN("}"));
    return true;
}

/* ---- lists ---- */

struct item {
    struct fieldset_elem e;
    yyjson_mut_val *v;
};

static int cmp_item(const void *x, const void *y)
{
    return fieldset_elem_cmp(&((const struct item *)x)->e, &((const struct item *)y)->e);
}

static const yyjson_val *plain_copy(struct arena *a, yyjson_mut_val *v)
{
    yyjson_val *copy = arena_alloc_raw(a, sizeof *copy);
    copy->tag = v->tag;
    copy->uni = v->uni;
    return copy;
}

static seldom bool name_item(struct walk *w, struct typed_ref list, struct item *item)
{
    if (list.field->list_kind != SCHEMA_LIST_MAP || !list.field->map_keys) {
        item->e.what = FIELDSET_VALUE;
        item->e.value = plain_copy(w->a, item->v);
        return !yyjson_mut_is_ctn(item->v) && !yyjson_mut_is_null(item->v);
    }
    struct fieldset_part *parts = arena_alloc_raw(w->a, LIMIT_FIELDSET_KEYS * sizeof *parts);
    struct span keys = span_cstr(list.field->map_keys);
    uint32_t n = 0;
    while (keys.n && n < LIMIT_FIELDSET_KEYS) {
        struct span key = span_cut(&keys, ',');
        yyjson_mut_val *v = yyjson_mut_obj_getn(item->v, key.p, key.n);
        if (!v || yyjson_mut_is_null(v) || yyjson_mut_is_ctn(v)) {
            return false; /* has a default, or is a mistake */
        }
        uint32_t to = n++;
        for (; to > 0 && span_cmp(key, parts[to - 1].name) < 0; to--) {
            parts[to] = parts[to - 1];
        }
        parts[to] = (struct fieldset_part){key, plain_copy(w->a, v)};
    }
    item->e = (struct fieldset_elem){.what = FIELDSET_KEY, .part_n = n, .parts = parts};
    return true;
}

/* An associative list that has elements. */
static seldom bool put_list(struct walk *w, struct typed_ref r, const yyjson_val *old,
                            yyjson_mut_val *next)
{
    size_t n = 0;
    struct item *items = ARENA_ARRAY(w->a, struct item, yyjson_mut_arr_size(next));
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(next);
    for (yyjson_mut_val *v; (v = yyjson_mut_arr_iter_next(&it)) != NULL; n++) {
        items[n].v = v;
        if (!name_item(w, r, &items[n])) {
            return give_up(w);
        }
    }
    sort_few(items, n, sizeof *items, cmp_item);
    fieldset_text_put(&w->text, old ? SPAN("{") : SPAN("{\".\":{}"));
    for (size_t i = 0; i < n && !w->has_given_up; i++) {
        if (i && cmp_item(&items[i - 1], &items[i]) == 0) {
            return give_up(w);
        }
        if (i || !old) {
            fieldset_text_put(&w->text, SPAN(","));
        }
        fieldset_text_put_key(&w->text, &items[i].e);
        (void)put_below(w, typed_element(r), NULL, items[i].v); /* a new element is in the set */
    }
    fieldset_text_put(&w->text, SPAN("}"));
    return true;
}

/* Writes what of next, and below it, is in the set, where old is what Go would have there (NULL:
 * nothing). False: nothing is; the text may then have grown. */
static bool put_below(struct walk *w, struct typed_ref r, const yyjson_val *old,
                      yyjson_mut_val *next)
{
    enum typed_class class = typed_class_of(r, yyjson_mut_is_obj(next) || yyjson_mut_is_null(next));
    bool has_zeros = class == TYPED_OBJECT && !old && yyjson_mut_is_obj(next);
    if (class == TYPED_LEAF || (size_of(next) == 0 && !has_zeros)) {
        return put_leaf(w, old, next);
    }
    if (class == TYPED_LIST) {
        return yyjson_mut_is_arr(next) ? put_list(w, r, old, next) : give_up(w);
    }
    bool is_map = class == TYPED_MAP;
    return yyjson_mut_is_obj(next) ? put_object(w, r, is_map, old, next) : give_up(w);
}

/* ---- the whole object ---- */

/* Without what nobody owns. */
static seldom size_t owned_only(struct walk *w, struct given *at, size_t n, bool in_meta)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!managed_is_unowned(at[i].name, in_meta)) {
            at[kept++] = at[i];
        } else if (at[i].value && yyjson_mut_is_ctn(at[i].value) &&
                   !span_eq(at[i].name, SPAN("managedFields"))) {
            (void)give_up(w);
        }
    }
    return kept;
}

/* metadata is in no set itself, and nothing is taken for granted in it. */
static seldom bool put_meta(struct walk *w, struct typed_ref r, yyjson_mut_val *meta)
{
    struct given few[FEW];
    size_t n;
    if (!yyjson_mut_is_obj(meta)) {
        return give_up(w);
    }
    struct given *at = members_of(w, r, false, meta, false, few, &n);
    n = owned_only(w, at, n, true);
    if (!sort_given(at, n)) {
        return give_up(w);
    }
    fieldset_text_put(&w->text, SPAN("{"));
    bool any = put_members(w, at, n, NULL, false, true);
    fieldset_text_put(&w->text, SPAN("}"));
    return any;
}

static seldom bool put_all(struct walk *w, const struct schema_kind *kind,
                           const yyjson_mut_val *next, struct span skip)
{
    struct given few[FEW];
    size_t n;
    bool is_first = true;
    struct typed_ref r = typed_root(kind);
    struct given *at =
        members_of(w, r, false, (yyjson_mut_val *)(uintptr_t)next, false, few, &n); /* only read */
    n = owned_only(w, at, n, false);
    if (!sort_given(at, n)) {
        return give_up(w);
    }
    fieldset_text_put(&w->text, SPAN("{"));
    for (size_t i = 0; i < n; i++) {
        struct typed_ref m = {at[i].field, at[i].field ? at[i].field->type : NULL, false};
        size_t from = w->text.n;
        if (span_eq(at[i].name, SPAN("metadata"))) {
            put_member_key(w, &at[i], is_first, false);
            if (put_meta(w, m, at[i].value)) {
                is_first = false;
            } else {
                w->text.n = from;
            }
        } else if (!span_eq(at[i].name, skip) &&
                   put_member(w, &at[i], m, typed_zero(at[i].field), at[i].value, is_first)) {
            is_first = false;
        }
    }
    fieldset_text_put(&w->text, SPAN("}"));
    return !is_first && !w->has_given_up;
}

/* Is this what a walk over the object finds? */
static bool is_as_walked(struct arena *a, const struct managed_write *w, const yyjson_mut_val *next,
                         struct span fields)
{
    struct walk walk = {.text = {.a = a}, .a = a};
    bool any = put_all(&walk, w->kind, next, span_cstr(managed_skip(w, false).root));
    return !walk.has_given_up &&
           span_eq(fields, any ? span_of(walk.text.p, walk.text.n) : SPAN_NULL);
}

/* put_all(), or what it found when such an object was made before. */
static bool put_known(struct walk *walk, const struct managed_write *w, const yyjson_mut_val *next)
{
    const char *skip = managed_skip(w, false).root;
    bool may_be_known = w->shapes && w->subresource.n == 0 && !w->kind->custom;
    struct span known;
    if (may_be_known && managed_shape_find(w->shapes, w->kind, next, &known)) {
        verify(is_as_walked(walk->a, w, next, known));
        fieldset_text_put(&walk->text, known);
        return known.n > 0;
    }
    size_t from = walk->text.n;
    bool any = put_all(walk, w->kind, next, span_cstr(skip));
    if (may_be_known && !walk->has_given_up) {
        struct span fields = span_of(walk->text.p + from, walk->text.n - from);
        managed_shape_keep(w->shapes, w->kind, skip, next, any ? fields : SPAN_NULL);
    }
    return any;
}

yyjson_mut_val *managed_create(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w,
                               const yyjson_mut_val *next)
{
    assert(w->kind);
    assert(yyjson_mut_is_obj((yyjson_mut_val *)(uintptr_t)next));
    struct managed m = {.a = a, .write = w};
    struct managed_entry own = managed_writer(&m, false);
    struct walk walk = {.text = {.a = a}, .a = a};
    managed_touch(&m, &own);
    fieldset_text_put(&walk.text, SPAN("["));
    managed_put_head(&walk.text, &own);
    bool any = put_known(&walk, w, next);
    if (walk.has_given_up) {
        return managed_update(a, doc, w, NULL, json_freeze(a, next), NULL);
    }
    managed_put_tail(&walk.text, &own);
    fieldset_text_put(&walk.text, SPAN("]"));
    return any ? json_new_raw(doc, span_of(walk.text.p, walk.text.n)) : NULL;
}
