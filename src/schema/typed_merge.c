/* schema/typed_merge.c: laying an applied configuration over the live object, taking fields out of
 * an object, and checking a configuration. */
#include <stdlib.h>

#include "base/check.h"
#include "codec/json.h"
#include "schema/typed.h"

static yyjson_val *unconst(const yyjson_val *v)
{
    return (yyjson_val *)(uintptr_t)v;
}

static bool is_map(const yyjson_val *v)
{
    return yyjson_is_null(unconst(v)) || yyjson_is_obj(unconst(v));
}

static const yyjson_val *member(const yyjson_val *obj, struct span name)
{
    return yyjson_obj_getn(unconst(obj), name.p, name.n);
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
    enum typed_class class = typed_class_of(r, is_map(v));
    if (fieldset_is_empty(set) || !yyjson_is_ctn(unconst(v))) {
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

/* ---- check ---- */

/* Mistakes that one answer tells; a body can hold a million. */
enum { MISTAKES_MAX = 20 };

struct place {
    const struct place *up;
    struct fieldset_elem e;
};

struct mistakes {
    struct arena *a;
    struct span text[MISTAKES_MAX];
    size_t n;
    bool with_repeats; /* elements of one name are none */
};

static struct span place_text(struct arena *a, const struct place *p)
{
    return p ? arena_printf(a, "%.*s%.*s", SPAN_ARG(place_text(a, p->up)),
                            SPAN_ARG(fieldset_elem_text(a, &p->e)))
             : SPAN("");
}

static void mistake(struct mistakes *m, const struct place *p, struct span why)
{
    if (m->n < MISTAKES_MAX) {
        struct span at = place_text(m->a, p);
        m->text[m->n++] =
            arena_printf(m->a, "%.*s%s%.*s", SPAN_ARG(at), at.n ? ": " : "", SPAN_ARG(why));
    }
}

static void check_value(struct mistakes *m, const struct place *p, struct typed_ref r,
                        const yyjson_val *v);

static struct span shown(struct arena *a, const yyjson_val *v)
{
    return span_first(json_write(a, v), 200);
}

static void check_plain(struct mistakes *m, const struct place *p, uint8_t shape,
                        const yyjson_val *v)
{
    yyjson_val *x = unconst(v);
    bool ok = true;
    const char *want = "";
    switch ((enum schema_shape)shape) {
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_DURATION:
        ok = yyjson_is_str(x);
        want = "string";
        break;
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
        ok = yyjson_is_num(x);
        want = "numeric (int or float)";
        break;
    case SCHEMA_BOOL:
        ok = yyjson_is_bool(x);
        want = "boolean";
        break;
    case SCHEMA_QUANTITY:
    case SCHEMA_TIME:
    case SCHEMA_MICROTIME:
    case SCHEMA_INT_OR_STRING:
        ok = !yyjson_is_ctn(x);
        want = "any scalar";
        break;
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
        ok = yyjson_is_obj(x);
        want = "map";
        break;
    case SCHEMA_LIST:
        ok = yyjson_is_arr(x);
        want = "list";
        break;
    case SCHEMA_ANY:
        break;
    }
    if (!ok) {
        mistake(m, p, arena_printf(m->a, "expected %s, got %.*s", want, SPAN_ARG(shown(m->a, v))));
    }
}

static void check_object(struct mistakes *m, const struct place *p, struct typed_ref r,
                         const yyjson_val *v)
{
    JSON_EACH(it, v)
    {
        struct span name = json_str(it.key);
        struct place at = {p, fieldset_field(name)};
        const struct schema_field *f = schema_field_find(r.type, name);
        if (!f && r.type->open) {
            continue;
        }
        if (!f) {
            mistake(m, &at, SPAN("field not declared in schema"));
            return; /* what follows it is not looked at */
        }
        check_value(m, &at, (struct typed_ref){f, f->type, false}, it.val);
    }
}

/* Marks what has the name of an element before it. */
static void mark_repeats(struct item **sorted, size_t n)
{
    qsort(sorted, n, sizeof *sorted, cmp_item);
    for (size_t i = 1; i < n; i++) {
        sorted[i]->is_one_of_many = fieldset_elem_cmp(&sorted[i - 1]->e, &sorted[i]->e) == 0;
    }
}

/* Up to the first element without a name. */
static void check_items(struct mistakes *m, const struct place *p, struct typed_ref r,
                        const yyjson_val *v)
{
    struct item *items = ARENA_ARRAY(m->a, struct item, json_len(v) + 1);
    struct item **sorted = ARENA_ARRAY(m->a, struct item *, json_len(v) + 1);
    const char *why = NULL;
    size_t n = 0;
    JSON_EACH(it, v)
    {
        items[n] = (struct item){.v = it.val, .place = n};
        sorted[n] = &items[n];
        why = typed_elem(m->a, r, it.val, false, &items[n].e);
        if (why) {
            break;
        }
        n++;
    }
    mark_repeats(sorted, n);
    for (size_t i = 0; i < n; i++) {
        struct place at = {p, items[i].e};
        if (items[i].is_one_of_many && !m->with_repeats) {
            mistake(m, p,
                    arena_printf(m->a, "duplicate entries for key %.*s",
                                 SPAN_ARG(fieldset_elem_text(m->a, &at.e))));
        }
        check_value(m, &at, typed_element(r), items[i].v);
    }
    if (why) {
        mistake(m, p, arena_printf(m->a, "element %zu: %s", n, why));
    }
}

static void check_list(struct mistakes *m, const struct place *p, struct typed_ref r,
                       const yyjson_val *v)
{
    if (typed_class(r) == TYPED_LIST) {
        check_items(m, p, r, v);
        return;
    }
    int64_t i = 0;
    JSON_EACH(it, v)
    {
        struct place at = {p, {.what = FIELDSET_INDEX, .index = i++}};
        check_value(m, &at, typed_element(r), it.val);
    }
}

static void check_value(struct mistakes *m, const struct place *p, struct typed_ref r,
                        const yyjson_val *v)
{
    bool is_known = yyjson_is_null(unconst(v)) || yyjson_is_raw(unconst(v)); /* managedFields */
    if (m->n == MISTAKES_MAX || is_known) {
        return;
    }
    uint8_t shape = !r.field ? (uint8_t)SCHEMA_OBJECT
                    : r.elem ? r.field->elem_shape
                             : r.field->shape;
    size_t before = m->n;
    check_plain(m, p, shape, v);
    if (m->n != before) {
        return;
    }
    bool has_members = shape == SCHEMA_OBJECT || (shape == SCHEMA_ANY && is_map(v));
    if (has_members && r.type) {
        check_object(m, p, r, v);
    } else if (shape == SCHEMA_MAP) {
        JSON_EACH(it, v)
        {
            struct place at = {p, fieldset_field(json_str(it.key))};
            check_value(m, &at, typed_element(r), it.val);
        }
    } else if (shape == SCHEMA_LIST && !r.elem) {
        check_list(m, p, r, v);
    }
}

struct span typed_check(struct arena *a, const struct schema_kind *kind, const yyjson_val *config,
                        bool with_repeats)
{
    struct mistakes m = {.a = a, .with_repeats = with_repeats};
    check_value(&m, NULL, typed_root(kind), config);
    if (m.n == 0) {
        return SPAN_NULL;
    }
    struct span out = m.n == 1 ? m.text[0] : SPAN("errors:");
    for (size_t i = 0; m.n > 1 && i < m.n; i++) {
        out = arena_printf(a, "%.*s\n  %.*s", SPAN_ARG(out), SPAN_ARG(m.text[i]));
    }
    return out;
}
