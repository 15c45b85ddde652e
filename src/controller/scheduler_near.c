/* controller/scheduler_near.c: see scheduler_near.h.
 *
 * Each pod stands in a bucket for each of its labels ("p NAMESPACE LABEL=VALUE"), in one of its
 * namespace, and, for each term that it has of others, in a bucket where those look who have the
 * label that the term asks for ("t NAMESPACE LABEL=VALUE"; no namespace: terms that choose
 * namespaces by label; no label: terms that ask for none in particular). A bucket is there as long
 * as somebody stands in it. What a bucket holds is a choice too wide, never too narrow: the planner
 * decides. */
#include "controller/scheduler_near.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

enum {
    TERM_KEYS_MAX = 64, /* of one term; more, and everybody looks at it */
    FIRST_ROOM = 16,
};

struct bucket {
    struct list spots;
    size_t n;
    size_t key_n;
    char key[];
};

struct stander;

struct spot {
    struct list link; /* in in->spots */
    struct bucket *in;
    struct stander *of;
};

/* A pod on a node; key: its uid. The strings stand behind one another in text. */
struct stander {
    struct span uid, ns, name, node;
    struct spot *spots;
    size_t spot_count;
    uint64_t found; /* number of the last look that found it */
    char text[];
};

struct near_index {
    struct informer *pods, *namespaces;
    struct map standers, buckets;
    uint64_t looks;
};

struct near_index *near_index_new(struct informer *pods, struct informer *namespaces)
{
    assert(pods);
    assert(namespaces);
    struct near_index *x = MEM_NEW(struct near_index);
    x->pods = pods;
    x->namespaces = namespaces;
    return x;
}

static void leave(struct near_index *x, struct stander *s)
{
    for (size_t i = 0; i < s->spot_count; i++) {
        struct bucket *b = s->spots[i].in;
        list_remove(&s->spots[i].link);
        assert(b->n > 0);
        if (--b->n == 0) {
            struct bucket *known = map_remove(&x->buckets, span_of(b->key, b->key_n));
            assert(known == b);
            free(b);
        }
    }
    free(s->spots);
    free(s);
}

void near_index_free(struct near_index *x)
{
    if (!x) {
        return;
    }
    size_t it = 0;
    for (struct stander *s; (s = map_next(&x->standers, &it, NULL));) {
        leave(x, s);
    }
    assert(x->buckets.n == 0);
    map_done(&x->standers);
    map_done(&x->buckets);
    free(x);
}

void near_index_remove(struct near_index *x, struct span uid)
{
    struct stander *s = map_remove(&x->standers, uid);
    if (s) {
        leave(x, s);
    }
}

static const yyjson_val *ns_labels(struct near_index *x, struct span ns)
{
    struct object *o = informer_get(x->namespaces, SPAN_NULL, ns);
    return o ? near_labels(object_root(o)) : NULL;
}

struct near_pod near_index_pod(struct near_index *x, struct object *pod)
{
    return (struct near_pod){.root = object_root(pod),
                             .ns = object_namespace(pod),
                             .ns_labels = ns_labels(x, object_namespace(pod))};
}

/* ---- who stands where ---- */

/* Room for one more in an array of an arena; at: its elements, n as many as there is room for. */
static void *with_room(struct arena *a, void *at, size_t n, size_t *room, size_t bytes)
{
    assert(n <= *room);
    if (n < *room) {
        return at;
    }
    *room = *room ? 2 * *room : FIRST_ROOM;
    void *more = arena_array(a, *room, bytes);
    if (n) {
        memcpy(more, at, n * bytes);
    }
    return more;
}

struct keys {
    struct arena *a;
    struct span *at;
    size_t n, room;
};

static void add_key(struct keys *k, struct span key)
{
    k->at = with_room(k->a, k->at, k->n, &k->room, sizeof *k->at);
    assert(k->n < k->room);
    k->at[k->n++] = key;
}

/* side: 'p' or 't'. */
static struct span key_of(struct arena *a, char side, struct span ns, struct span label,
                          struct span value)
{
    return ARENA_JOIN(a, span_of(&side, 1), SPAN(" "), ns, SPAN(" "), label,
                      label.n ? SPAN("=") : SPAN(""), value);
}

/* A part of the selector that asks for one of some values of a label; NULL: none does. */
static const struct selector_term *anchor(const struct selector *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->terms[i].op == SELECTOR_EQUALS || s->terms[i].op == SELECTOR_IN) {
            return &s->terms[i];
        }
    }
    return NULL;
}

static void add_scope(struct keys *k, struct span ns, const struct selector_term *anchor)
{
    if (!anchor) {
        add_key(k, key_of(k->a, 't', ns, SPAN_NULL, SPAN_NULL));
    }
    for (size_t i = 0; anchor && i < anchor->n; i++) {
        add_key(k, key_of(k->a, 't', ns, anchor->key, anchor->values[i]));
    }
}

static void add_term(struct keys *k, const struct near_term *term)
{
    const struct selector_term *by = anchor(&term->pods);
    if (term->pods.nothing) {
        return;
    }
    if ((by ? by->n : 1) * (json_len(term->named) + 1) > TERM_KEYS_MAX) {
        add_scope(k, SPAN_NULL, NULL);
        return;
    }
    if (term->own.n) {
        add_scope(k, term->own, by);
    }
    JSON_EACH(it, term->named)
    {
        add_scope(k, json_str(it.val), by);
    }
    if (!term->namespaces.nothing) {
        add_scope(k, SPAN_NULL, by);
    }
}

/* Every term of the pod that may matter to a pod that comes. */
static void add_terms(struct keys *k, const struct near_pod *pod)
{
    static const struct {
        const char *list;
        bool required;
    } lists[] = {{"podAffinity", true},
                 {"podAffinity", false},
                 {"podAntiAffinity", true},
                 {"podAntiAffinity", false}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct near_term *terms = NULL;
        size_t n = near_terms(k->a, pod, lists[i].list, lists[i].required, &terms);
        for (size_t t = 0; t < n; t++) {
            add_term(k, &terms[t]);
        }
    }
}

static struct bucket *bucket_of(struct near_index *x, struct span key)
{
    struct bucket *b = map_get(&x->buckets, key);
    if (!b) {
        b = mem_new(sizeof *b + key.n + 1);
        list_init(&b->spots);
        b->key_n = key.n;
        memcpy(b->key, key.p, key.n);
        map_put(&x->buckets, span_of(b->key, b->key_n), b);
    }
    return b;
}

static struct stander *stander_new(struct object *pod, struct span node)
{
    struct span parts[] = {object_uid(pod), object_namespace(pod), object_name(pod), node};
    struct stander *s = mem_new(sizeof *s + parts[0].n + parts[1].n + parts[2].n + parts[3].n + 1);
    struct span *to[] = {&s->uid, &s->ns, &s->name, &s->node};
    char *at = s->text;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        memcpy(at, parts[i].n ? parts[i].p : "", parts[i].n);
        *to[i] = span_of(at, parts[i].n);
        at += parts[i].n;
    }
    return s;
}

void near_index_put(struct near_index *x, struct object *pod, struct span node)
{
    assert(node.n > 0);
    near_index_remove(x, object_uid(pod));
    cleanup_arena struct arena *a = arena_new();
    struct keys k = {.a = a};
    struct near_pod as = near_index_pod(x, pod);
    add_key(&k, key_of(a, 'p', as.ns, SPAN_NULL, SPAN_NULL));
    JSON_EACH(it, near_labels(as.root))
    {
        add_key(&k, key_of(a, 'p', as.ns, json_str(it.key), json_str(it.val)));
    }
    if (near_pod_has_terms(json_get(as.root, "spec"))) {
        add_terms(&k, &as);
    }
    struct stander *s = stander_new(pod, node);
    s->spots = mem_new(k.n * sizeof *s->spots);
    s->spot_count = k.n;
    for (size_t i = 0; i < k.n; i++) {
        struct bucket *b = bucket_of(x, k.at[i]);
        s->spots[i] = (struct spot){.in = b, .of = s};
        list_push_back(&b->spots, &s->spots[i].link);
        b->n++;
    }
    map_put(&x->standers, s->uid, s);
}

/* ---- looking ---- */

struct look {
    struct near_index *x;
    struct arena *a;
    const struct schedule_node *nodes;
    size_t node_count;
    struct near_pod *pods;
    size_t n, room;
    const struct near_term *term; /* while namespaces are gone through */
};

static int by_name(const void *name, const void *node)
{
    return span_cmp(*(const struct span *)name, ((const struct schedule_node *)node)->name);
}

static void found(struct look *l, struct stander *s)
{
    struct object *pod = informer_get(l->x->pods, s->ns, s->name);
    const struct schedule_node *node =
        l->node_count ? bsearch(&s->node, l->nodes, l->node_count, sizeof *l->nodes, by_name)
                      : NULL;
    if (s->found == l->x->looks || !node || !pod || !span_eq(object_uid(pod), s->uid)) {
        return;
    }
    s->found = l->x->looks;
    l->pods = with_room(l->a, l->pods, l->n, &l->room, sizeof *l->pods);
    assert(l->n < l->room);
    l->pods[l->n] = near_index_pod(l->x, pod);
    l->pods[l->n++].node = (size_t)(node - l->nodes);
}

static void look_into(struct look *l, struct span key)
{
    struct bucket *b = map_get(&l->x->buckets, key);
    if (b) {
        LIST_EACH(it, &b->spots)
        {
            found(l, CONTAINER_OF(it, struct spot, link)->of);
        }
    }
}

static size_t size_of(struct look *l, struct span ns, const struct selector_term *by)
{
    size_t n = 0;
    for (size_t i = 0; i < by->n; i++) {
        struct bucket *b = map_get(&l->x->buckets, key_of(l->a, 'p', ns, by->key, by->values[i]));
        n += b ? b->n : 0;
    }
    return n;
}

/* Pods of the namespace that the term may match, by the part of its selector that leaves the
 * fewest. */
static void look_in(struct look *l, const struct near_term *term, struct span ns)
{
    const struct selector_term *by = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < term->pods.n; i++) {
        const struct selector_term *t = &term->pods.terms[i];
        if (t->op == SELECTOR_EQUALS || t->op == SELECTOR_IN) {
            size_t n = size_of(l, ns, t);
            by = n < least ? t : by;
            least = n < least ? n : least;
        }
    }
    if (!by) {
        look_into(l, key_of(l->a, 'p', ns, SPAN_NULL, SPAN_NULL));
        return;
    }
    for (size_t i = 0; i < by->n; i++) {
        look_into(l, key_of(l->a, 'p', ns, by->key, by->values[i]));
    }
}

static bool on_namespace(void *data, struct object *ns)
{
    struct look *l = data;
    assert(l->term);
    if (near_term_covers(l->term, object_name(ns), near_labels(object_root(ns)))) {
        look_in(l, l->term, object_name(ns));
    }
    return true;
}

static void look_for(struct look *l, const struct near_term *terms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct near_term *t = &terms[i];
        if (t->pods.nothing) {
            continue;
        }
        if (t->own.n) {
            look_in(l, t, t->own);
        }
        JSON_EACH(it, t->named)
        {
            look_in(l, t, json_str(it.val));
        }
        if (!t->namespaces.nothing) {
            l->term = t;
            informer_each(l->x->namespaces, on_namespace, l);
        }
    }
}

/* Those who have terms of the pod. */
static void look_back(struct look *l, const struct near_pod *pod)
{
    struct span scopes[] = {pod->ns, SPAN_NULL};
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        look_into(l, key_of(l->a, 't', scopes[i], SPAN_NULL, SPAN_NULL));
        JSON_EACH(it, near_labels(pod->root))
        {
            look_into(l, key_of(l->a, 't', scopes[i], json_str(it.key), json_str(it.val)));
        }
    }
}

const struct near_view *near_index_view(struct near_index *x, struct arena *a, struct object *pod,
                                        const struct schedule_node *nodes, size_t node_count)
{
    assert(nodes || node_count == 0);
    struct look l = {.x = x, .a = a, .nodes = nodes, .node_count = node_count};
    struct near_pod as = near_index_pod(x, pod);
    const yyjson_val *spec = json_get(as.root, "spec");
    bool own = near_pod_has_terms(spec) || near_pod_has_spread(spec);
    x->looks++;
    look_back(&l, &as);
    if (!own && l.n == 0) {
        return NULL;
    }
    static const char *const lists[] = {"podAffinity", "podAntiAffinity"};
    const struct near_term *terms = NULL;
    for (size_t i = 0; i < 4 && own; i++) {
        size_t n = near_terms(a, &as, lists[i / 2], i % 2, &terms);
        look_for(&l, terms, n);
    }
    size_t spread = near_spread(a, &as, NULL, &terms);
    look_for(&l, terms, spread);
    struct near_view *view = ARENA_NEW(a, struct near_view);
    *view = (struct near_view){.pod = as, .pods = l.pods, .pod_count = l.n};
    return view;
}
