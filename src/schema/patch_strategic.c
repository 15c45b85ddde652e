/* schema/patch_strategic.c: Kubernetes' strategic merge patch, by the merge keys of the rows.
 *
 * merge_map() rebuilds an object from the original's members (in their order) and the patch's; the
 * directives
 * "$setElementOrder/LIST", "$deleteFromPrimitiveList/LIST" and the plain member LIST are handled
 * together when LIST is reached. The recursion is as deep as both trees, which json_parse() has
 * bounded. Wording of the errors: apimachinery's mergepatch. */
#include "base/check.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "schema/patch_priv.h"

#define ORDER_PREFIX "$setElementOrder/"
#define DELETE_PREFIX "$deleteFromPrimitiveList/"

/* What the tables know about a value; all zero (an atomic value of unknown type) when they do not
 * know it. */
struct known {
    enum schema_shape shape;
    const struct schema_type *type;
    enum schema_shape elem;
    uint16_t flags;
    const char *merge_key;
};

/* The patch's three members about one list. */
struct about {
    struct patch_member *plain, *order, *gone;
};

static yyjson_mut_val *merge_map(struct patch_ctx *c, struct known known, yyjson_mut_val *original,
                                 const yyjson_val *patch);

static struct known child_of(struct known parent, struct span key)
{
    const struct schema_field *f;
    if (parent.shape == SCHEMA_OBJECT && parent.type && (f = schema_field_find(parent.type, key))) {
        return (struct known){f->shape, f->type, f->elem_shape, f->flags, f->merge_key};
    }
    if (parent.shape == SCHEMA_MAP) {
        return (struct known){.shape = parent.elem, .type = parent.type, .elem = SCHEMA_ANY};
    }
    return (struct known){.shape = SCHEMA_ANY, .elem = SCHEMA_ANY};
}

/* Go's %v of a decoded value, short: for messages. */
static void go_text(struct patch_ctx *c, struct strbuf *b, const yyjson_val *v, int depth)
{
    yyjson_val *p = (yyjson_val *)v;
    size_t i, max;
    yyjson_val *val;
    if (b->n > 512 || depth > 8) {
        strbuf_puts(b, b->n > 0 && b->p[b->n - 1] == '.' ? "" : "...");
    } else if (yyjson_is_obj(p)) {
        strbuf_puts(b, "map[");
        struct patch_members m = patch_members(c, v);
        for (i = 0; i < m.n; i++) {
            strbuf_puts(b, i > 0 ? " " : "");
            strbuf_put(b, span_first(m.sorted[i].key, 64));
            strbuf_putc(b, ':');
            go_text(c, b, m.sorted[i].val, depth + 1);
        }
        strbuf_putc(b, ']');
    } else if (yyjson_is_arr(p)) {
        strbuf_putc(b, '[');
        yyjson_arr_foreach(p, i, max, val)
        {
            strbuf_puts(b, i > 0 ? " " : "");
            go_text(c, b, val, depth + 1);
        }
        strbuf_putc(b, ']');
    } else if (yyjson_is_str(p)) {
        strbuf_put(b, span_first(patch_str(p), 128));
    } else if (yyjson_is_int(p)) {
        strbuf_printf(b, "%lld", (long long)yyjson_get_sint(p));
    } else if (yyjson_is_real(p)) {
        strbuf_printf(b, "%g", yyjson_get_real(p));
    } else {
        strbuf_puts(b, yyjson_is_true(p) ? "true" : yyjson_is_false(p) ? "false" : "<nil>");
    }
}

static void *bad_with_value(struct patch_ctx *c, const char *before, const yyjson_val *v,
                            const char *after)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    go_text(c, &b, v, 0);
    return patch_bad(c, "%s%.*s%s", before, SPAN_ARG(strbuf_span(&b)), after);
}

static bool is_directive(struct span key)
{
    return span_eq(key, SPAN("$patch")) || span_eq(key, SPAN("$retainKeys")) ||
           span_starts(key, SPAN(ORDER_PREFIX)) || span_starts(key, SPAN(DELETE_PREFIX));
}

static bool is_delete(const yyjson_val *v)
{
    return span_eq(patch_str(yyjson_obj_get((yyjson_val *)v, "$patch")), SPAN("delete"));
}

/* A value that only the patch has, without directives and null members; NULL when it says of itself
 * to be deleted. */
static yyjson_mut_val *take(struct patch_ctx *c, const yyjson_val *v)
{
    size_t i, max;
    yyjson_val *val;
    if (yyjson_is_arr((yyjson_val *)v)) {
        yyjson_mut_val *out = yyjson_mut_arr(c->doc);
        yyjson_arr_foreach((yyjson_val *)v, i, max, val)
        {
            yyjson_mut_val *kept = take(c, val);
            if (kept) {
                (void)yyjson_mut_arr_append(out, kept);
            }
        }
        return out;
    }
    if (!yyjson_is_obj((yyjson_val *)v)) {
        return json_mut_copy(c->doc, v);
    }
    if (is_delete(v)) {
        return NULL;
    }
    struct patch_members m = patch_members(c, v);
    yyjson_mut_val *out = yyjson_mut_obj(c->doc);
    for (i = 0; i < m.in_order_n; i++) {
        struct patch_member *p = m.in_order[i];
        yyjson_mut_val *kept =
            is_directive(p->key) || yyjson_is_null(p->val) ? NULL : take(c, p->val);
        if (kept) {
            (void)yyjson_mut_obj_add(out, json_new_str(c->doc, p->key), kept);
        }
    }
    return out;
}

/* ---- lists ---- */

static yyjson_mut_val *list_of(struct patch_ctx *c, const struct patch_items *items)
{
    yyjson_mut_val *out = yyjson_mut_arr(c->doc);
    for (size_t i = 0; i < items->n; i++) {
        (void)yyjson_mut_arr_append(out, items->at[i].val);
    }
    return out;
}

static void drop_matching(struct patch_ctx *c, struct patch_items *list,
                          const struct patch_ident *id)
{
    size_t kept = 0;
    if (!patch_spend(c, list->n)) {
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        if (!patch_ident_eq(&list->at[i].id, id)) {
            list->at[kept++] = list->at[i];
        }
    }
    list->n = kept;
}

/* Elements of a patch list as identities (values are not kept), for ordering. */
static struct patch_items idents_of(struct patch_ctx *c, const yyjson_val *list, const char *key)
{
    struct patch_items items = {
        ARENA_ARRAY(c->a, struct patch_item, yyjson_arr_size((yyjson_val *)list) + 1), 0};
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach((yyjson_val *)list, i, max, v)
    {
        items.at[items.n++].id = patch_ident_of(c, v, key);
    }
    return items;
}

static struct patch_items items_copy(struct patch_ctx *c, const struct patch_items *from)
{
    struct patch_items copy = {ARENA_ARRAY(c->a, struct patch_item, from->n + 1), from->n};
    memcpy(copy.at, from->at, from->n * sizeof *from->at);
    return copy;
}

static bool merge_scalars(struct patch_ctx *c, struct patch_items *list, const yyjson_val *patch)
{
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach((yyjson_val *)patch, i, max, v)
    {
        struct patch_ident id = patch_ident_of(c, v, NULL);
        if (!id.tag) {
            return patch_bad(c, yyjson_is_arr(v) ? "lists of lists are not supported"
                                                 : "list element types are not identical: map and "
                                                   "scalar elements in one list");
        }
        if (patch_items_find(c, list, &id) < 0) {
            list->at[list->n++] = (struct patch_item){id, json_mut_copy(c->doc, v)};
        }
    }
    return true;
}

/* $patch elements first: deletions, and whether the list is to be replaced. */
static bool list_directives(struct patch_ctx *c, struct patch_items *list, const yyjson_val *patch,
                            const char *key, bool *ret_replace)
{
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach((yyjson_val *)patch, i, max, v)
    {
        if (!yyjson_is_obj(v)) {
            return patch_bad(c, yyjson_is_arr(v) ? "lists of lists are not supported"
                                                 : "list element types are not identical: map and "
                                                   "scalar elements in one list");
        }
        yyjson_val *directive = yyjson_obj_get(v, "$patch");
        struct span what = patch_str(directive);
        struct patch_ident id = patch_ident_of(c, v, key);
        if (!directive || span_eq(what, SPAN("merge"))) {
            continue;
        }
        if (span_eq(what, SPAN("replace"))) {
            *ret_replace = true;
        } else if (!span_eq(what, SPAN("delete"))) {
            return bad_with_value(c, "unknown patch type: ", directive, " in map");
        } else if (!id.tag) {
            struct span after = arena_printf(c->a, " does not contain declared merge key: %s", key);
            return bad_with_value(c, "map: ", v, after.p);
        } else {
            drop_matching(c, list, &id);
        }
    }
    return true;
}

static bool merge_maps(struct patch_ctx *c, struct known known, struct patch_items *list,
                       const yyjson_val *patch)
{
    const char *key = known.merge_key;
    struct known elem = {.shape = known.elem, .type = known.type, .elem = SCHEMA_ANY};
    bool replace = false;
    if (!list_directives(c, list, patch, key, &replace)) {
        return false;
    }
    if (replace) {
        list->n = 0;
    }
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach((yyjson_val *)patch, i, max, v)
    {
        yyjson_val *directive = yyjson_obj_get(v, "$patch");
        if (directive && (replace || is_delete(v) || yyjson_obj_size(v) == 1)) {
            continue;
        }
        struct patch_ident id = patch_ident_of(c, v, key);
        if (!id.tag && !replace) {
            struct span after = arena_printf(c->a, " does not contain declared merge key: %s", key);
            return bad_with_value(c, "map: ", v, after.p);
        }
        int64_t at = replace ? -1 : patch_items_find(c, list, &id);
        yyjson_mut_val *merged = at < 0 ? take(c, v) : merge_map(c, elem, list->at[at].val, v);
        if (!merged) {
            return false;
        }
        list->at[at < 0 ? list->n++ : (size_t)at] = (struct patch_item){id, merged};
    }
    return true;
}

/* The elements the patch gives must come in the order that $setElementOrder gives. */
static bool order_is_consistent(struct patch_ctx *c, const yyjson_val *patch,
                                const yyjson_val *order, const struct patch_items *names,
                                const char *key)
{
    size_t i, max, at = 0;
    yyjson_val *v;
    if (names->n == 0) {
        return true;
    }
    yyjson_arr_foreach((yyjson_val *)patch, i, max, v)
    {
        if (key && yyjson_obj_get(v, "$patch")) {
            continue;
        }
        struct patch_ident id = patch_ident_of(c, v, key);
        while (at < names->n && !patch_ident_eq(&names->at[at].id, &id)) {
            at++;
        }
        if (at++ >= names->n) {
            struct strbuf b cleanup_strbuf = STRBUF_INIT;
            go_text(c, &b, patch, 0);
            strbuf_puts(&b, "\n doesn't match $setElementOrder list:\n");
            struct strbuf o cleanup_strbuf = STRBUF_INIT;
            go_text(c, &o, order, 0);
            strbuf_put(&b, strbuf_span(&o));
            return patch_bad(c, "The order in patch list:\n%.*s\n", SPAN_ARG(strbuf_span(&b)));
        }
    }
    return true;
}

/* List `original` (NULL: none) with the patch's list, by order and deletions. NULL with the error
 * set. */
static yyjson_mut_val *merge_list(struct patch_ctx *c, struct known known, yyjson_mut_val *original,
                                  struct about about)
{
    const yyjson_val *patch = about.plain ? about.plain->val : NULL;
    const yyjson_val *order = about.order ? about.order->val : patch;
    size_t room = yyjson_arr_size((yyjson_val *)patch);
    bool mergeable = known.flags & SCHEMA_MERGE;
    const char *key = mergeable ? known.merge_key : NULL;
    struct patch_items list = patch_items_of(c, original, key, room);
    struct patch_items server = items_copy(c, &list);
    struct patch_items names = idents_of(c, order, key);

    if (about.order && !order_is_consistent(c, patch, order, &names, key)) {
        return NULL;
    }
    if (patch && !mergeable) {
        return take(c, patch);
    }
    if (patch && !(key ? merge_maps(c, known, &list, patch) : merge_scalars(c, &list, patch))) {
        return NULL;
    }
    patch_items_order(c, &list, &names, &server);
    if (about.gone) {
        struct patch_items gone = idents_of(c, about.gone->val, NULL);
        for (size_t i = 0; i < gone.n; i++) {
            drop_matching(c, &list, &gone.at[i].id);
        }
    }
    return c->spent ? NULL : list_of(c, &list);
}

/* ---- maps ---- */

static struct patch_member *find_prefixed(struct patch_ctx *c, const struct patch_members *m,
                                          const char *prefix, struct span key)
{
    if (!m->has_directives) {
        return NULL;
    }
    struct span full = arena_printf(c->a, "%s%.*s", prefix, SPAN_ARG(key));
    return patch_member_find(m, full);
}

static bool about_ok(struct patch_ctx *c, struct about about, yyjson_mut_val *original)
{
    if (about.gone && !yyjson_is_arr(about.gone->val)) {
        return patch_bad(c, "invalid patch format of primitive list");
    }
    if (about.order &&
        (!yyjson_is_arr(about.order->val) ||
         (about.plain && !yyjson_is_arr(about.plain->val) && !yyjson_is_null(about.plain->val)) ||
         (original && !yyjson_mut_is_arr(original)))) {
        return patch_bad(c, "invalid patch format of setElementOrder list");
    }
    return true;
}

/* One member of the original that the patch speaks of. *ret is NULL when it is deleted. */
static bool merge_member(struct patch_ctx *c, struct known known, yyjson_mut_val *original,
                         struct about about, yyjson_mut_val **ret)
{
    const yyjson_val *patch = about.plain ? about.plain->val : NULL;
    *ret = NULL;
    if (!about_ok(c, about, original)) {
        return false;
    }
    if (patch && yyjson_is_null((yyjson_val *)patch)) {
        return true;
    }
    if (yyjson_mut_is_arr(original) && (!patch || yyjson_is_arr((yyjson_val *)patch))) {
        *ret = merge_list(c, known, original, about);
        return *ret != NULL;
    }
    if (!patch) {
        *ret = original;
        return true;
    }
    if (yyjson_mut_is_obj(original) && yyjson_is_obj((yyjson_val *)patch)) {
        *ret = merge_map(c, known, original, patch);
        return *ret != NULL;
    }
    *ret = take(c, patch);
    return true;
}

/* $retainKeys names every member that may stay; NULL list: all may. */
static bool retain_check(struct patch_ctx *c, const struct patch_members *m,
                         const yyjson_val *retain, struct patch_items *ret)
{
    if (!yyjson_is_arr((yyjson_val *)retain)) {
        return patch_bad(c, "invalid patch format of retainKeys");
    }
    *ret = idents_of(c, retain, NULL);
    for (size_t i = 0; i < m->in_order_n; i++) {
        struct patch_member *p = m->in_order[i];
        struct patch_ident id = {'s', p->key};
        if (!yyjson_is_null(p->val) && !is_directive(p->key) && patch_items_find(c, ret, &id) < 0) {
            return patch_bad(c, "invalid patch format of retainKeys");
        }
    }
    return true;
}

/* Members that only the patch has. */
static bool add_rest(struct patch_ctx *c, struct known known, const struct patch_members *m,
                     yyjson_mut_val *out)
{
    for (size_t i = 0; i < m->in_order_n; i++) {
        struct patch_member *p = m->in_order[i];
        if (p->used || is_directive(p->key) || yyjson_is_null(p->val)) {
            continue;
        }
        struct about about = {.order = find_prefixed(c, m, ORDER_PREFIX, p->key), .plain = p};
        if (!about_ok(c, about, NULL)) {
            return false;
        }
        if (about.order) {
            struct known child = child_of(known, p->key);
            const char *key = child.flags & SCHEMA_MERGE ? child.merge_key : NULL;
            struct patch_items names = idents_of(c, about.order->val, key);
            if (!order_is_consistent(c, p->val, about.order->val, &names, key)) {
                return false;
            }
        }
        yyjson_mut_val *kept = take(c, p->val);
        if (kept) {
            (void)yyjson_mut_obj_add(out, json_new_str(c->doc, p->key), kept);
        }
    }
    return !c->spent;
}

static yyjson_mut_val *merge_members(struct patch_ctx *c, struct known known,
                                     yyjson_mut_val *original, struct patch_members *m,
                                     const struct patch_items *retain)
{
    struct patch_nodes nodes = {0};
    yyjson_mut_val *out = yyjson_mut_obj(c->doc);
    if (yyjson_mut_is_obj(original)) {
        nodes = patch_take_apart(c, original);
    }
    for (size_t i = 0; i < nodes.n; i++) {
        struct span key = patch_node_key(&nodes.at[i]);
        struct patch_ident id = {'s', key};
        struct about about = {.plain = patch_member_find(m, key),
                              .order = find_prefixed(c, m, ORDER_PREFIX, key),
                              .gone = find_prefixed(c, m, DELETE_PREFIX, key)};
        yyjson_mut_val *val = nodes.at[i].val;
        if (retain && patch_items_find(c, retain, &id) < 0) {
            continue;
        }
        if (about.plain || about.order || about.gone) {
            if (!merge_member(c, child_of(known, key), val, about, &val)) {
                return NULL;
            }
        }
        if (about.plain) {
            about.plain->used = true;
        }
        if (about.gone && yyjson_mut_is_arr(val) && yyjson_mut_arr_size(val) == 0) {
            continue; /* lists whose last element is deleted are not written: all are omitempty */
        }
        if (val) {
            (void)yyjson_mut_obj_add(out, nodes.at[i].key, val);
        }
    }
    return add_rest(c, known, m, out) ? out : NULL;
}

static yyjson_mut_val *merge_map(struct patch_ctx *c, struct known known, yyjson_mut_val *original,
                                 const yyjson_val *patch)
{
    yyjson_val *directive = yyjson_obj_get((yyjson_val *)patch, "$patch");
    yyjson_val *retain = yyjson_obj_get((yyjson_val *)patch, "$retainKeys");
    struct span what = patch_str(directive);
    struct patch_members m = patch_members(c, patch);
    struct patch_items kept = {0};
    if (directive && span_eq(what, SPAN("delete"))) {
        return yyjson_mut_obj(c->doc);
    }
    if (directive && span_eq(what, SPAN("replace"))) {
        return take(c, patch);
    }
    if (directive && !span_eq(what, SPAN("merge"))) {
        return bad_with_value(c, "unknown patch type: ", directive, " in map");
    }
    if (retain && !retain_check(c, &m, retain, &kept)) {
        return NULL;
    }
    return merge_members(c, known, original, &m, retain ? &kept : NULL);
}

yyjson_mut_val *patch_strategic(struct arena *a, yyjson_mut_doc *doc,
                                const struct schema_type *type, const yyjson_val *original,
                                const yyjson_val *patch, struct err *reterr)
{
    assert(a);
    assert(doc);
    assert(type);
    assert(original);
    assert(patch);
    struct patch_ctx c = {.a = a, .doc = doc, .err = reterr, .steps = LIMIT_PATCH_STEPS};
    struct known root = {.shape = SCHEMA_OBJECT, .type = type};
    if (!yyjson_is_obj((yyjson_val *)patch)) {
        return patch_bad(&c,
                         "json: cannot unmarshal %s into Go value of type map[string]interface {}",
                         json_type_name(patch));
    }
    return merge_map(&c, root, json_mut_copy(doc, original), patch);
}
