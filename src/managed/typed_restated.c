/* managed/typed_restated.c: values that are one to server-side apply (atomic lists and objects) and
 * that a configuration gives in another form than Go keeps them in.
 *
 * Stored objects are structs to Kubernetes, in which each field without omitempty has a value;
 * configurations are not. Values that are merged member by member keep such zeros; a value that is
 * replaced as a whole loses them, and so differs from what is stored although it says the same. */
#include <stdlib.h>

#include "base/check.h"
#include "codec/json.h"
#include "managed/typed.h"

static bool is_list_written(struct typed_ref r, const yyjson_val *stored, const yyjson_val *given)
{
    struct typed_ref of = r.field && !r.elem ? typed_element(r) : (struct typed_ref){0};
    yyjson_arr_iter other = yyjson_arr_iter_with(json_unconst(given));
    if (json_len(stored) != json_len(given)) {
        return false;
    }
    JSON_EACH(it, stored)
    {
        if (!typed_is_written(of, it.val, yyjson_arr_iter_next(&other))) {
            return false;
        }
    }
    return true;
}

static bool is_object_written(struct typed_ref r, const yyjson_val *stored, const yyjson_val *given)
{
    bool is_map = r.field && r.field->shape == SCHEMA_MAP && !r.elem;
    size_t n = 0;
    for (uint16_t i = 0; !is_map && r.type && i < r.type->field_count; i++) {
        const struct schema_field *f = &r.type->fields[i];
        const yyjson_val *v = json_get(stored, f->name), *other = json_get(given, f->name);
        v = v ? v : typed_zero(f);
        if (v && (!other || !typed_is_written((struct typed_ref){f, f->type, false}, v, other))) {
            return false;
        }
        n += v != NULL;
    }
    struct typed_ref of = is_map ? typed_element(r) : (struct typed_ref){0};
    JSON_EACH(it, stored)
    {
        struct span name = json_str(it.key);
        if (is_map || !r.type || !schema_field_find(r.type, name)) {
            const yyjson_val *other = yyjson_obj_getn(json_unconst(given), name.p, name.n);
            if (!other || !typed_is_written(of, it.val, other)) {
                return false;
            }
            n++;
        }
    }
    return n == json_len(given);
}

/* Is given what is stored, with all that Go writes? */
bool typed_is_written(struct typed_ref r, const yyjson_val *stored, const yyjson_val *given)
{
    if (yyjson_is_arr(json_unconst(stored)) && yyjson_is_arr(json_unconst(given))) {
        return is_list_written(r, stored, given);
    }
    if (yyjson_is_obj(json_unconst(stored)) && yyjson_is_obj(json_unconst(given))) {
        return is_object_written(r, stored, given);
    }
    return json_equal(stored, given);
}

/* ---- the tree down to such values ---- */

static const struct fieldset *below(struct arena *a, struct typed_ref r, const yyjson_val *live,
                                    const yyjson_val *config, bool *ret_self);

static void add(struct arena *a, struct typed_ref r, struct fieldset *out, struct fieldset_elem e,
                const yyjson_val *live, const yyjson_val *config)
{
    bool self = false;
    if (live && config) {
        const struct fieldset *in = below(a, r, live, config, &self);
        fieldset_add(a, out, e, self, in);
    }
}

struct item {
    struct fieldset_elem e;
    const yyjson_val *v;
};

static int cmp_item(const void *x, const void *y)
{
    return fieldset_elem_cmp(&((const struct item *)x)->e, &((const struct item *)y)->e);
}

static void list_below(struct arena *a, struct typed_ref r, struct fieldset *out,
                       const yyjson_val *live, const yyjson_val *config)
{
    struct item *items = arena_alloc_raw(a, (json_len(live) + 1) * sizeof *items);
    size_t n = 0;
    JSON_EACH(it, live)
    {
        items[n].v = it.val;
        n += typed_elem(a, r, it.val, true, &items[n].e) == NULL;
    }
    qsort(items, n, sizeof *items, cmp_item);
    JSON_EACH(it, config)
    {
        struct item key = {.v = it.val};
        if (!typed_elem(a, r, it.val, true, &key.e)) {
            const struct item *found = bsearch(&key, items, n, sizeof *items, cmp_item);
            add(a, typed_element(r), out, key.e, found ? found->v : NULL, it.val);
        }
    }
}

static const struct fieldset *below(struct arena *a, struct typed_ref r, const yyjson_val *live,
                                    const yyjson_val *config, bool *ret_self)
{
    if (!yyjson_is_ctn(json_unconst(live)) || !yyjson_is_ctn(json_unconst(config))) {
        return NULL; /* plain values are compared as they are */
    }
    struct fieldset *out = ARENA_NEW(a, struct fieldset);
    switch (typed_class(r)) {
    case TYPED_LOOSE:
        break;
    case TYPED_LEAF:
        *ret_self = !typed_is_written(r, live, config);
        break;
    case TYPED_LIST:
        list_below(a, r, out, live, config);
        break;
    case TYPED_OBJECT:
    case TYPED_MAP:
        JSON_EACH(it, config)
        {
            struct span name = json_str(it.key);
            add(a, typed_member(r, name), out, fieldset_field(name),
                yyjson_obj_getn(json_unconst(live), name.p, name.n), it.val);
        }
    }
    return fieldset_seal(a, out);
}

const struct fieldset *typed_restated(struct arena *a, const struct schema_kind *kind,
                                      const yyjson_val *live, const yyjson_val *config)
{
    assert(kind);
    assert(config);
    bool self = false;
    return live && !kind->custom ? below(a, typed_root(kind), live, config, &self) : NULL;
}
