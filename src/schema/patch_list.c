/* schema/patch_list.c: identities and order of list elements in a strategic merge.
 *
 * Order: the merged list falls into elements that the patch names and elements only the server has.
 * Each part is sorted by its own list; then they are interleaved: a server element goes in front of
 * the next patch element only when the server's list had it in front of that one. */
#include <stdlib.h>

#include "base/check.h"
#include "schema/patch_priv.h"

bool patch_ident_eq(const struct patch_ident *x, const struct patch_ident *y)
{
    assert(x);
    assert(y);
    return x->tag && x->tag == y->tag && span_eq(x->text, y->text);
}

static struct span number_text(struct arena *a, bool real, bool negative, uint64_t bits, double d)
{
    if (real && d > -9e15 && d < 9e15 && d == (double)(int64_t)d) {
        return arena_printf(a, "%lld", (long long)d);
    }
    if (real) {
        return arena_printf(a, "%.17g", d);
    }
    return negative ? arena_printf(a, "%lld", (long long)bits)
                    : arena_printf(a, "%llu", (unsigned long long)bits);
}

struct patch_ident patch_ident_of(struct patch_ctx *c, const yyjson_val *v, const char *key)
{
    yyjson_val *p = (yyjson_val *)v;
    if (key) {
        p = yyjson_obj_get(p, key);
    }
    if (yyjson_is_str(p)) {
        return (struct patch_ident){'s', patch_str(p)};
    }
    if (yyjson_is_num(p)) {
        return (struct patch_ident){'n', number_text(c->a, yyjson_is_real(p), yyjson_is_sint(p),
                                                     yyjson_is_real(p) ? 0 : yyjson_get_uint(p),
                                                     yyjson_get_real(p))};
    }
    if (yyjson_is_bool(p)) {
        return (struct patch_ident){'b', yyjson_get_bool(p) ? SPAN("true") : SPAN("false")};
    }
    return (struct patch_ident){yyjson_is_null(p) ? '0' : 0, SPAN_NULL};
}

static struct patch_ident patch_ident_of_mut(struct patch_ctx *c, yyjson_mut_val *v,
                                             const char *key)
{
    yyjson_mut_val *p = key ? yyjson_mut_obj_get(v, key) : v;
    if (yyjson_mut_is_str(p)) {
        return (struct patch_ident){'s', span_of(yyjson_mut_get_str(p), yyjson_mut_get_len(p))};
    }
    if (yyjson_mut_is_num(p)) {
        return (struct patch_ident){'n',
                                    number_text(c->a, yyjson_mut_is_real(p), yyjson_mut_is_sint(p),
                                                yyjson_mut_is_real(p) ? 0 : yyjson_mut_get_uint(p),
                                                yyjson_mut_get_real(p))};
    }
    if (yyjson_mut_is_bool(p)) {
        return (struct patch_ident){'b', yyjson_mut_get_bool(p) ? SPAN("true") : SPAN("false")};
    }
    return (struct patch_ident){yyjson_mut_is_null(p) ? '0' : 0, SPAN_NULL};
}

struct patch_items patch_items_of(struct patch_ctx *c, yyjson_mut_val *list, const char *key,
                                  size_t room)
{
    struct patch_nodes nodes = patch_take_apart(c, list);
    struct patch_items items = {ARENA_ARRAY(c->a, struct patch_item, nodes.n + room + 1), nodes.n};
    for (size_t i = 0; i < nodes.n; i++) {
        items.at[i] =
            (struct patch_item){patch_ident_of_mut(c, nodes.at[i].val, key), nodes.at[i].val};
    }
    return items;
}

int64_t patch_items_find(struct patch_ctx *c, const struct patch_items *list,
                         const struct patch_ident *id)
{
    assert(id);
    assert(list->n == 0 || list->at);
    if (!patch_spend(c, list->n)) {
        return -1;
    }
    for (size_t i = 0; i < list->n; i++) {
        if (patch_ident_eq(&list->at[i].id, id)) {
            return (int64_t)i;
        }
    }
    return -1;
}

/* An element with its places in the two lists that rule the order; -1: not there. */
struct placed {
    struct patch_item item;
    int64_t in_order, in_server;
    size_t now;
};

static int cmp_in_order(const void *x, const void *y)
{
    const struct placed *a = x, *b = y;
    int rc = (a->in_order > b->in_order) - (a->in_order < b->in_order);
    return rc != 0 ? rc : (a->now > b->now) - (a->now < b->now);
}

static int cmp_in_server(const void *x, const void *y)
{
    const struct placed *a = x, *b = y;
    int rc = (a->in_server > b->in_server) - (a->in_server < b->in_server);
    return rc != 0 ? rc : (a->now > b->now) - (a->now < b->now);
}

void patch_items_order(struct patch_ctx *c, struct patch_items *merged,
                       const struct patch_items *order, const struct patch_items *server)
{
    struct placed *named = ARENA_ARRAY(c->a, struct placed, merged->n + 1);
    struct placed *others = ARENA_ARRAY(c->a, struct placed, merged->n + 1);
    size_t named_n = 0, others_n = 0, i = 0, j = 0;
    for (size_t k = 0; k < merged->n; k++) {
        struct placed p = {.item = merged->at[k],
                           .in_order = patch_items_find(c, order, &merged->at[k].id),
                           .in_server = patch_items_find(c, server, &merged->at[k].id),
                           .now = k};
        if (p.in_order >= 0) {
            named[named_n++] = p;
        } else {
            others[others_n++] = p;
        }
    }
    assert(named_n + others_n == merged->n);
    qsort(named, named_n, sizeof *named, cmp_in_order);
    qsort(others, others_n, sizeof *others, cmp_in_server);
    for (size_t k = 0; k < merged->n; k++) {
        bool other =
            j >= named_n || (i < others_n && others[i].in_server >= 0 && named[j].in_server >= 0 &&
                             others[i].in_server < named[j].in_server);
        merged->at[k] = other ? others[i++].item : named[j++].item;
    }
    assert(i == others_n);
    assert(j == named_n);
}
