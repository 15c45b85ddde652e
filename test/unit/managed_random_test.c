/* managed/managed: of random objects of real kinds, the quick ways (a creation in one walk, stored
 * sets that stay text) end where comparing and taking sets apart ends. */
#include "kit/kit.h"

#include "base/limits.h"
#include "codec/json.h"
#include "managed/fieldset_text.h"
#include "managed/managed.h"
#include "managed/managed_shape.h"
#include "schema/kinds.h"

#ifndef MANAGED_UPDATE_ORACLE
#define MANAGED_UPDATE_ORACLE managed_update
#endif
yyjson_mut_val *MANAGED_UPDATE_ORACLE(struct arena *a, yyjson_mut_doc *doc,
                                      const struct managed_write *w, const yyjson_val *live,
                                      const yyjson_val *next, const yyjson_val *given);

enum { ROUNDS = 400, STEPS = 6, DEPTH = 7 };

struct maker {
    uint64_t state;
    yyjson_mut_doc *doc;
};

static uint64_t pick(struct maker *g, uint64_t n)
{
    g->state = g->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (g->state >> 33) % n;
}

static yyjson_mut_val *value(struct maker *g, const struct schema_field *f, bool elem, int depth);

static const char *const words[] = {"a", "b", "", "x\"y", "longer-word", "tcp", "\\", "\xc3\xa9"};

static yyjson_mut_val *word(struct maker *g)
{
    return yyjson_mut_str(g->doc, words[pick(g, sizeof words / sizeof *words)]);
}

/* Some of the type's fields, in any order. */
static yyjson_mut_val *object(struct maker *g, const struct schema_type *t, int depth)
{
    yyjson_mut_val *out = yyjson_mut_obj(g->doc);
    size_t n = depth ? pick(g, 6) : 0;
    for (size_t i = 0; i < n && t->field_count; i++) {
        const struct schema_field *f = &t->fields[pick(g, t->field_count)];
        if (!yyjson_mut_obj_get(out, f->name)) {
            yyjson_mut_obj_add_val(g->doc, out, f->name, value(g, f, false, depth - 1));
        }
    }
    return out;
}

static yyjson_mut_val *list(struct maker *g, const struct schema_field *f, int depth)
{
    yyjson_mut_val *out = yyjson_mut_arr(g->doc);
    for (size_t n = pick(g, 4); n > 0; n--) {
        yyjson_mut_val *v = value(g, f, true, depth);
        struct span keys = span_cstr(f->map_keys);
        while (yyjson_mut_is_obj(v) && keys.n && pick(g, 8)) {
            struct span key = span_cut(&keys, ',');
            const struct schema_field *k = f->type ? schema_field_find(f->type, key) : NULL;
            json_put_span(g->doc, v, key, k ? value(g, k, false, depth) : word(g));
        }
        yyjson_mut_arr_append(out, v);
    }
    return out;
}

static yyjson_mut_val *plain(struct maker *g, enum schema_shape shape)
{
    switch (shape) {
    case SCHEMA_INT32:
    case SCHEMA_INT64:
        return yyjson_mut_sint(g->doc, (int64_t)pick(g, 3) - (int64_t)pick(g, 2));
    case SCHEMA_DOUBLE:
        return yyjson_mut_real(g->doc, (double)pick(g, 3) / 2);
    case SCHEMA_BOOL:
        return yyjson_mut_bool(g->doc, pick(g, 2));
    default:
        return word(g);
    }
}

static yyjson_mut_val *value(struct maker *g, const struct schema_field *f, bool elem, int depth)
{
    if (pick(g, 40) == 0) {
        return pick(g, 2) ? yyjson_mut_null(g->doc) : yyjson_mut_obj(g->doc);
    }
    enum schema_shape shape = elem ? f->elem_shape : f->shape;
    if (shape == SCHEMA_OBJECT && f->type) {
        return object(g, f->type, depth);
    }
    if (shape == SCHEMA_MAP) {
        yyjson_mut_val *out = yyjson_mut_obj(g->doc);
        for (size_t n = pick(g, 4); n > 0; n--) {
            json_put_span(g->doc, out, json_mut_str(word(g)),
                          f->type && depth ? object(g, f->type, depth - 1) : word(g));
        }
        return out;
    }
    return shape == SCHEMA_LIST && !elem && depth ? list(g, f, depth - 1) : plain(g, shape);
}

/* A new one, or one of which a member or two are others. */
static yyjson_mut_val *next_object(struct maker *g, const struct schema_kind *kind,
                                   const yyjson_val *live)
{
    yyjson_mut_val *fresh = object(g, kind->type, DEPTH), *out = fresh;
    if (live && pick(g, 3)) {
        out = json_mut_copy(g->doc, live);
        yyjson_mut_val *at = out;
        for (yyjson_mut_val *to = at; yyjson_mut_is_ctn(to) && yyjson_mut_get_len(to);) {
            size_t one = pick(g, yyjson_mut_get_len(to));
            at = to;
            if (yyjson_mut_is_arr(to)) {
                to = yyjson_mut_arr_get(to, one);
                continue;
            }
            yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(to);
            yyjson_mut_val *key = yyjson_mut_obj_iter_next(&it);
            while (one-- > 0) {
                key = yyjson_mut_obj_iter_next(&it);
            }
            to = yyjson_mut_obj_iter_get_val(key);
            if (!yyjson_mut_is_ctn(to) && !yyjson_mut_is_raw(to)) {
                struct span name = json_mut_str(key);
                if (pick(g, 4)) {
                    json_put_span(g->doc, at, name, word(g));
                } else {
                    (void)yyjson_mut_obj_remove_keyn(at, name.p, name.n);
                }
                break;
            }
        }
    }
    yyjson_mut_val *meta = json_mut_obj(g->doc, out, "metadata");
    if (!meta) {
        meta = yyjson_mut_obj(g->doc);
        json_put(g->doc, out, "metadata", meta);
    }
    json_put_str(g->doc, meta, "name", SPAN("one"));
    json_remove(meta, "managedFields");
    json_put_str(g->doc, out, "kind", span_cstr(kind->kind));
    return out;
}

static struct span list_text(struct arena *a, yyjson_mut_val *list)
{
    return list ? json_write_mut(a, list) : SPAN("none");
}

/* live with its list as raw text, as the server has it, or taken apart. */
static const yyjson_val *with_list(struct arena *a, yyjson_mut_doc *doc, const yyjson_val *obj,
                                   struct span text, bool raw)
{
    yyjson_mut_val *out = json_mut_copy(doc, obj);
    yyjson_doc *parsed;
    if (text.p[0] == '[') {
        CHECK_EQ(json_parse(a, text, &parsed, NULL), 0);
        yyjson_mut_val *v =
            raw ? json_new_raw(doc, text) : json_mut_copy(doc, yyjson_doc_get_root(parsed));
        yyjson_mut_obj_insert(json_mut_get(out, "metadata"), yyjson_mut_str(doc, "managedFields"),
                              v, 0);
    }
    return json_freeze(a, out);
}

static void check_same(struct span got, struct span want, const yyjson_val *live,
                       const yyjson_val *next, struct arena *a)
{
    if (!span_eq(got, want)) {
        kit_fail(__FILE__, __LINE__, "got\n%.*s\nwanted\n%.*s\nfrom\n%.*s\nto\n%.*s", SPAN_ARG(got),
                 SPAN_ARG(want), SPAN_ARG(live ? json_write(a, live) : SPAN("nothing")),
                 SPAN_ARG(json_write(a, next)));
    }
}

/* The list of what is made, by both ways. */
static struct span check_create(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w,
                                yyjson_mut_val *made, const yyjson_val *frozen)
{
    struct span text = list_text(a, managed_create(a, doc, w, made));
    check_same(text, list_text(a, MANAGED_UPDATE_ORACLE(a, doc, w, NULL, frozen, NULL)), NULL,
               frozen, a);
    return text;
}

/* A copy in which values are others, some of them empty: mostly of the same shape. */
static yyjson_mut_val *like(struct maker *g, const yyjson_mut_val *v)
{
    yyjson_mut_val *out = yyjson_mut_val_mut_copy(g->doc, (yyjson_mut_val *)(uintptr_t)v);
    yyjson_mut_val *at = out;
    while (yyjson_mut_is_ctn(at) && yyjson_mut_get_len(at)) {
        size_t one = pick(g, yyjson_mut_get_len(at));
        if (yyjson_mut_is_arr(at)) {
            at = yyjson_mut_arr_get(at, one);
            continue;
        }
        yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(at);
        yyjson_mut_val *key = yyjson_mut_obj_iter_next(&it);
        while (one-- > 0) {
            key = yyjson_mut_obj_iter_next(&it);
        }
        at = yyjson_mut_obj_iter_get_val(key);
    }
    if (yyjson_mut_is_str(at)) {
        unsafe_yyjson_set_strn(at, "ab", pick(g, 3));
    } else if (yyjson_mut_is_int(at)) {
        unsafe_yyjson_set_sint(at, (int64_t)pick(g, 3));
    }
    return out;
}

/* What one of that shape was found to set is what this one sets. */
static void check_shapes(struct maker *g, struct arena *a, struct managed_write w,
                         const yyjson_mut_val *made)
{
    struct managed_shapes *shapes = managed_shapes_new();
    for (int i = 0; i < STEPS; i++) {
        yyjson_mut_val *next =
            i ? like(g, made) : yyjson_mut_val_mut_copy(g->doc, (yyjson_mut_val *)(uintptr_t)made);
        w.shapes = NULL;
        struct span walked = list_text(a, managed_create(a, g->doc, &w, next));
        w.shapes = shapes;
        check_same(list_text(a, managed_create(a, g->doc, &w, next)), walked, NULL,
                   json_freeze(a, next), a);
        check_same(list_text(a, managed_create(a, g->doc, &w, next)), walked, NULL,
                   json_freeze(a, next), a);
    }
    managed_shapes_free(shapes);
}

static void run_history(struct maker *g, const struct schema_kind *kind)
{
    static const char *const managers[] = {"one", "two", "th\"ree", ""};
    struct arena *a cleanup_arena = arena_new();
    struct managed_write w = {.kind = kind, .manager = SPAN("one"), .now_ms = 1000};
    g->doc = json_mut_new(a);
    yyjson_mut_val *made = next_object(g, kind, NULL);
    const yyjson_val *live = json_freeze(a, made);
    struct span text = check_create(a, g->doc, &w, made, live);
    check_shapes(g, a, w, made);
    for (int i = 0; i < STEPS && text.p[0] == '['; i++) {
        w.manager = span_cstr(managers[pick(g, 4)]);
        w.subresource = pick(g, 4) ? SPAN("") : SPAN("status");
        w.now_ms += (int64_t)pick(g, 3) * 1000;
        const yyjson_val *next = json_freeze(a, next_object(g, kind, live));
        const yyjson_val *raw = with_list(a, g->doc, live, text, true),
                         *tree = with_list(a, g->doc, live, text, false);
        const yyjson_val *given =
            pick(g, 5) == 0 ? json_path(tree, "metadata", "managedFields", NULL) : NULL;
        struct span quick = list_text(a, managed_update(a, g->doc, &w, raw, next, given));
        check_same(quick, list_text(a, MANAGED_UPDATE_ORACLE(a, g->doc, &w, tree, next, given)),
                   raw, next, a);
        text = quick;
        live = next;
    }
}

TEST(quick_ways_end_where_comparing_ends)
{
    const struct schema_kind *kinds[] = {
        SCHEMA_KIND(Pod),       SCHEMA_KIND(Service),          SCHEMA_KIND(StatefulSet),
        SCHEMA_KIND(ConfigMap), SCHEMA_KIND(PersistentVolume), SCHEMA_KIND(Endpoints)};
    struct maker g = {.state = kit_random()};
    for (size_t i = 0; i < ROUNDS; i++) {
        run_history(&g, kinds[pick(&g, sizeof kinds / sizeof *kinds)]);
    }
}

TEST(zeros_within_the_zeros_of_an_empty_object_are_owned_by_who_makes_it)
{
    struct arena *a cleanup_arena = arena_new();
    struct managed_write w = {.kind = SCHEMA_KIND(Pod), .manager = SPAN("one"), .now_ms = 1000};
    yyjson_doc *parsed;
    CHECK_EQ(
        json_parse(a,
                   SPAN("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"one\"},\"spec\":{\"volumes\":"
                        "[{\"name\":\"a\",\"ephemeral\":{\"volumeClaimTemplate\":{}}}]}}"),
                   &parsed, NULL),
        0);
    yyjson_mut_doc *doc = json_mut_new(a);
    const yyjson_val *root = yyjson_doc_get_root(parsed);
    struct span text = check_create(a, doc, &w, json_mut_copy(doc, root), root);
    CHECK(strstr(arena_cstr(a, text), "\"f:metadata\":{\".\":{},\"f:creationTimestamp\":{}}"));
}
