/* managed/typed_merge.c: laying an applied configuration over the live object, and taking fields
 * out of an object. */
#include <stdlib.h>

#include "base/check.h"
#include "codec/json.h"
#include "managed/typed.h"

static bool is_map(const yyjson_val *v)
{
    return yyjson_is_null(json_unconst(v)) || yyjson_is_obj(json_unconst(v));
}

static const yyjson_val *member(const yyjson_val *obj, struct span name)
{
    return yyjson_obj_getn(json_unconst(obj), name.p, name.n);
}

static void put(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct span name, yyjson_mut_val *v)
{
    if (v) {
        yyjson_mut_obj_add(obj, json_new_str(doc, name), v);
    }
}

/* ---- merge ---- */

struct item {
    struct fieldset_elem e;
    const yyjson_val *v;
    size_t place;
    bool merged;         /* the configuration's element has been laid over this one */
    struct item *other;  /* of the same name on the other side; the first of several */
    bool is_one_of_many; /* an element of live whose name is not unique */
};

struct items {
    struct item *in_order; /* n */
    size_t n;
};

static int cmp_item(const void *x, const void *y)
{
    const struct item *a = *(struct item *const *)x, *b = *(struct item *const *)y;
    int rc = fieldset_elem_cmp(&a->e, &b->e);
    return rc ? rc : (a->place > b->place) - (a->place < b->place);
}

static struct items items_of(struct arena *a, struct typed_ref r, const yyjson_val *list,
                             struct item ***ret_sorted)
{
    struct items out = {.in_order = ARENA_ARRAY(a, struct item, json_len(list) + 1)};
    struct item **sorted = ARENA_ARRAY(a, struct item *, json_len(list) + 1);
    JSON_EACH(it, list)
    {
        struct item *i = &out.in_order[out.n];
        *i = (struct item){.v = it.val, .place = out.n};
        if (!typed_elem(a, r, it.val, true, &i->e)) {
            sorted[out.n++] = i;
        }
    }
    qsort(sorted, out.n, sizeof *sorted, cmp_item);
    *ret_sorted = sorted;
    return out;
}

/* Links elements of the same name. Of live, names may repeat; of a configuration, typed_check() has
 * seen that they do not. */
static void link_items(struct item **live, size_t n, struct item **config, size_t m)
{
    size_t j = 0;
    for (size_t i = 0; i < n; i++) {
        bool repeats = i > 0 && fieldset_elem_cmp(&live[i - 1]->e, &live[i]->e) == 0;
        if (repeats) {
            live[i]->is_one_of_many = live[i - 1]->is_one_of_many = true;
        }
        while (j < m && fieldset_elem_cmp(&config[j]->e, &live[i]->e) < 0) {
            j++;
        }
        if (j < m && fieldset_elem_cmp(&config[j]->e, &live[i]->e) == 0) {
            live[i]->other = config[j];
            if (!config[j]->other) {
                config[j]->other = live[i];
            }
        }
    }
}

/* The next element of the configuration from `from` on that live has too. */
static size_t next_shared(const struct items *config, size_t from)
{
    while (from < config->n && !config->in_order[from].other) {
        from++;
    }
    return from;
}

static void emit(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r, yyjson_mut_val *out,
                 const struct item *live, const struct item *config)
{
    const yyjson_val *l = live && !(config && live->is_one_of_many) ? live->v : NULL;
    yyjson_mut_arr_append(out, typed_merge(a, doc, r, l, config ? config->v : NULL));
}

/* The order: elements of the configuration in its order; what only live has stays where it stands
 * between its neighbours. Places are as structured-merge-diff chooses them. */
static yyjson_mut_val *merge_list(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r,
                                  const yyjson_val *live, const yyjson_val *config)
{
    struct item **ls, **cs;
    struct items l = items_of(a, r, live, &ls), c = items_of(a, r, config, &cs);
    link_items(ls, l.n, cs, c.n);
    struct typed_ref element = typed_element(r);
    yyjson_mut_val *out = yyjson_mut_arr(doc);
    size_t i = 0, j = 0, shared = next_shared(&c, 0);
    while (i < l.n || j < c.n) {
        struct item *x = i < l.n ? &l.in_order[i] : NULL, *y = j < c.n ? &c.in_order[j] : NULL;
        if (x && y && x->other == y) {
            y->merged = true;
            emit(a, doc, element, out, x, y);
            i++;
            j++;
            shared = next_shared(&c, shared + 1);
            continue;
        }
        if (x && y && x->other && shared < c.n && x->other != &c.in_order[shared]) {
            i++; /* comes later, in the configuration's order */
            continue;
        }
        if (x && !x->other) {
            emit(a, doc, element, out, x, NULL);
            i++;
            continue;
        }
        if (x && x->other->merged) {
            i++;
        }
        if (y) {
            y->merged = true;
            emit(a, doc, element, out, y->other, y);
            shared = shared == j ? next_shared(&c, shared + 1) : shared;
            j++;
        }
    }
    return out;
}

static yyjson_mut_val *merge_members(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r,
                                     const yyjson_val *live, const yyjson_val *config)
{
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    JSON_EACH(it, live)
    {
        struct span name = json_str(it.key);
        put(doc, out, name,
            typed_merge(a, doc, typed_member(r, name), it.val, member(config, name)));
    }
    JSON_EACH(it, config)
    {
        struct span name = json_str(it.key);
        if (!member(live, name)) {
            put(doc, out, name, json_mut_copy(doc, it.val));
        }
    }
    return out;
}

yyjson_mut_val *typed_merge(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r,
                            const yyjson_val *live, const yyjson_val *config)
{
    assert(a);
    assert(doc);
    enum typed_class class = typed_class_of(r, is_map(live) && is_map(config));
    bool both_empty = json_len(live) == 0 && json_len(config) == 0;
    if (!live || !config || class == TYPED_LEAF || both_empty) {
        return json_mut_copy(doc, config ? config : live);
    }
    if (class == TYPED_LIST) {
        return merge_list(a, doc, r, live, config);
    }
    return merge_members(a, doc, r, live, config);
}

/* ---- remove ---- */

static yyjson_mut_val *remove_from_list(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r,
                                        const yyjson_val *v, const struct fieldset *set)
{
    yyjson_mut_val *out = yyjson_mut_arr(doc);
    JSON_EACH(it, v)
    {
        struct fieldset_elem e;
        const struct fieldset_node *n =
            typed_elem(a, r, it.val, true, &e) ? NULL : fieldset_find(set, &e);
        if (!n) {
            yyjson_mut_arr_append(out, json_mut_copy(doc, it.val));
        } else if (!n->member) {
            yyjson_mut_arr_append(out, typed_remove(a, doc, typed_element(r), it.val, n->below));
        }
    }
    return yyjson_mut_arr_size(out) ? out : yyjson_mut_null(doc);
}

/* Would Go write anything in v that is not in it and not in set? */
static bool has_zeros_left(struct typed_ref r, const yyjson_val *v, const struct fieldset *set)
{
    for (uint16_t i = 0; r.type && i < r.type->field_count; i++) {
        const struct schema_field *f = &r.type->fields[i];
        struct fieldset_elem e = fieldset_field(span_cstr(f->name));
        const struct fieldset_node *n = fieldset_find(set, &e);
        if (typed_zero(f) && !json_get(v, f->name) && !(n && n->member)) {
            return true;
        }
    }
    return false;
}

static yyjson_mut_val *remove_from_object(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r,
                                          const yyjson_val *v, const struct fieldset *set)
{
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    JSON_EACH(it, v)
    {
        struct span name = json_str(it.key);
        struct fieldset_elem e = fieldset_field(name);
        const struct fieldset_node *n = fieldset_find(set, &e);
        if (!n) {
            put(doc, out, name, json_mut_copy(doc, it.val));
        } else if (!n->member) {
            put(doc, out, name, typed_remove(a, doc, typed_member(r, name), it.val, n->below));
        }
    }
    return yyjson_mut_obj_size(out) || has_zeros_left(r, v, set) ? out : yyjson_mut_null(doc);
}

yyjson_mut_val *typed_remove(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r,
                             const yyjson_val *v, const struct fieldset *set)
{
    assert(a);
    assert(doc);
    enum typed_class class = typed_class_of(r, is_map(v));
    if (fieldset_is_empty(set) || !yyjson_is_ctn(json_unconst(v))) {
        return json_mut_copy(doc, v);
    }
    switch (class) {
    case TYPED_LIST:
        return remove_from_list(a, doc, r, v, set);
    case TYPED_OBJECT:
    case TYPED_MAP:
        return remove_from_object(a, doc, r, v, set);
    case TYPED_LOOSE:
    case TYPED_LEAF:
        break;
    }
    return yyjson_mut_null(doc); /* a set made when this was not one value yet */
}
