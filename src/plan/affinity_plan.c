/* plan/affinity_plan.c: see affinity_plan.h. Pods are counted by the domains of each term's
 * topology key, so the cost is the nodes for each key and the pods of the view for each term. */
#include "plan/affinity_plan.h"

#include "base/check.h"
#include "base/sort.h"

enum { NAMED_MAX = 3 }; /* pods that a sentence names */

/* A count, or a sum of weights, for each domain of one topology key. */
struct tally {
    const struct near_domains *where;
    int64_t *at; /* by domain */
    struct tally *next;
};

struct terms {
    const struct near_term *at;
    size_t n;
};

struct count {
    struct arena *a;
    const struct near_view *view;
    struct near_domains *domains;
    struct terms affinity, anti, liked, disliked; /* of the pod */
    struct tally *of_affinity, *of_anti;          /* one for each such term */
    bool any_affinity;                            /* one of the counts of affinity is not 0 */
    struct tally *avoided, *scores;               /* lists, by key */
};

static struct terms terms_of(struct arena *a, const struct near_pod *pod, const char *list,
                             bool required)
{
    struct terms t = {0};
    t.n = near_terms(a, pod, list, required, &t.at);
    assert(t.at || t.n == 0);
    return t;
}

static void tally_init(struct count *c, struct tally *t, struct span key)
{
    t->where = near_domains(c->a, c->view, &c->domains, key);
    t->at = ARENA_ARRAY(c->a, int64_t, t->where->count + 1);
    t->next = NULL;
}

/* Counts for the node's domain; false: it is nowhere by that key. */
static bool tally_add(struct tally *t, size_t node, int64_t weight)
{
    int domain = t->where->domain[node];
    if (domain == NEAR_NOWHERE) {
        return false;
    }
    assert(domain < (int)t->where->count);
    t->at[domain] += weight;
    return true;
}

static struct tally *tally_by_key(struct count *c, struct tally **list, struct span key)
{
    for (struct tally *t = *list; t; t = t->next) {
        if (span_eq(t->where->key, key)) {
            return t;
        }
    }
    struct tally *t = ARENA_NEW(c->a, struct tally);
    tally_init(c, t, key);
    t->next = *list;
    *list = t;
    return t;
}

static int64_t tally_at(const struct tally *t, size_t node)
{
    int domain = t->where->domain[node];
    return domain == NEAR_NOWHERE ? 0 : t->at[domain];
}

static bool matches_all(const struct terms *terms, const struct near_pod *pod)
{
    bool all = terms->n > 0;
    for (size_t i = 0; i < terms->n && all; i++) {
        all = near_term_matches(&terms->at[i], pod);
    }
    return all;
}

static void count_required(struct count *c, const struct near_pod *other)
{
    assert(other->node < c->view->node_count);
    if (matches_all(&c->affinity, other)) {
        for (size_t i = 0; i < c->affinity.n; i++) {
            c->any_affinity |= tally_add(&c->of_affinity[i], other->node, 1);
        }
    }
    for (size_t i = 0; i < c->anti.n; i++) {
        if (near_term_matches(&c->anti.at[i], other)) {
            tally_add(&c->of_anti[i], other->node, 1);
        }
    }
    struct terms theirs = terms_of(c->a, other, "podAntiAffinity", true);
    for (size_t i = 0; i < theirs.n; i++) {
        if (near_term_matches(&theirs.at[i], &c->view->pod)) {
            tally_add(tally_by_key(c, &c->avoided, theirs.at[i].key), other->node, 1);
        }
    }
}

static void weigh(struct count *c, const struct terms *terms, const struct near_pod *matched,
                  size_t node, int64_t sign)
{
    assert(sign == 1 || sign == -1);
    for (size_t i = 0; i < terms->n; i++) {
        if (near_term_matches(&terms->at[i], matched)) {
            struct tally *t = tally_by_key(c, &c->scores, terms->at[i].key);
            tally_add(t, node, sign * terms->at[i].weight);
        }
    }
}

static void count_preferred(struct count *c, const struct near_pod *other)
{
    const struct near_pod *own = &c->view->pod;
    assert(other->node < c->view->node_count);
    weigh(c, &c->liked, other, other->node, 1);
    weigh(c, &c->disliked, other, other->node, -1);
    struct terms required = terms_of(c->a, other, "podAffinity", true);
    struct terms liked = terms_of(c->a, other, "podAffinity", false);
    struct terms disliked = terms_of(c->a, other, "podAntiAffinity", false);
    weigh(c, &required, own, other->node, 1);
    weigh(c, &liked, own, other->node, 1);
    weigh(c, &disliked, own, other->node, -1);
}

static bool affinity_holds(const struct count *c, size_t node)
{
    assert(node < c->view->node_count);
    bool found = true;
    for (size_t i = 0; i < c->affinity.n; i++) {
        if (c->of_affinity[i].where->domain[node] == NEAR_NOWHERE) {
            return false;
        }
        found = found && tally_at(&c->of_affinity[i], node) > 0;
    }
    /* Nobody whom it wants is anywhere, and it is one of those itself: somebody has to be the
     * first. */
    return found || (!c->any_affinity && matches_all(&c->affinity, &c->view->pod));
}

static enum affinity_refusal refusal(const struct count *c, size_t node)
{
    assert(node < c->view->node_count);
    if (!affinity_holds(c, node)) {
        return AFFINITY_MISSES;
    }
    for (size_t i = 0; i < c->anti.n; i++) {
        if (tally_at(&c->of_anti[i], node) > 0) {
            return AFFINITY_AVOIDS;
        }
    }
    for (const struct tally *t = c->avoided; t; t = t->next) {
        if (tally_at(t, node) > 0) {
            return AFFINITY_AVOIDED;
        }
    }
    return AFFINITY_FITS;
}

static struct tally *tallies(struct count *c, const struct terms *terms)
{
    struct tally *all = ARENA_ARRAY(c->a, struct tally, terms->n + 1);
    for (size_t i = 0; i < terms->n; i++) {
        tally_init(c, &all[i], terms->at[i].key);
    }
    return all;
}

static void count_init(struct count *c, struct arena *a, const struct near_view *view)
{
    *c = (struct count){.a = a, .view = view};
    c->affinity = terms_of(a, &view->pod, "podAffinity", true);
    c->anti = terms_of(a, &view->pod, "podAntiAffinity", true);
    c->liked = terms_of(a, &view->pod, "podAffinity", false);
    c->disliked = terms_of(a, &view->pod, "podAntiAffinity", false);
    c->of_affinity = tallies(c, &c->affinity);
    c->of_anti = tallies(c, &c->anti);
}

struct affinity_plan affinity_plan(struct arena *a, const struct near_view *view)
{
    assert(a);
    assert(view->pods || view->pod_count == 0);
    struct count c;
    count_init(&c, a, view);
    for (size_t i = 0; i < view->pod_count; i++) {
        count_required(&c, &view->pods[i]);
        count_preferred(&c, &view->pods[i]);
    }
    enum affinity_refusal *refusals = ARENA_ARRAY(a, enum affinity_refusal, view->node_count + 1);
    int64_t *scores = c.scores ? ARENA_ARRAY(a, int64_t, view->node_count + 1) : NULL;
    for (size_t i = 0; i < view->node_count; i++) {
        refusals[i] = refusal(&c, i);
        for (const struct tally *t = c.scores; t; t = t->next) {
            scores[i] += tally_at(t, i);
        }
    }
    return (struct affinity_plan){refusals, scores};
}

void affinity_normalize(int64_t *scores, const bool *fits, size_t n)
{
    assert(scores);
    assert(fits || n == 0);
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (size_t i = 0; i < n; i++) {
        if (fits[i]) {
            least = scores[i] < least ? scores[i] : least;
            most = scores[i] > most ? scores[i] : most;
        }
    }
    for (size_t i = 0; i < n; i++) {
        bool counts = fits[i] && most > least;
        scores[i] =
            counts ? (int64_t)(100.0 * (double)(scores[i] - least) / (double)(most - least)) : 0;
        assert(scores[i] >= 0);
        assert(scores[i] <= 100);
    }
}

/* ---- for people ---- */

struct culprits {
    const struct near_view *view;
    const struct near_pod **pods;
    size_t n;
    struct span key; /* of the first term that matched */
};

static int by_node_and_name(const void *x, const void *y)
{
    const struct near_pod *a = *(const struct near_pod *const *)x;
    const struct near_pod *b = *(const struct near_pod *const *)y;
    int names = span_cmp(near_name(a->root), near_name(b->root));
    return a->node != b->node ? (a->node < b->node ? -1 : 1)
           : names            ? names
                              : span_cmp(a->ns, b->ns);
}

/* Who of the view is matched by a term of the pod, or has one that matches the pod. */
static void find_culprits(struct arena *a, struct culprits *k, bool theirs)
{
    const struct near_pod *own = &k->view->pod;
    struct terms mine = terms_of(a, own, "podAntiAffinity", true);
    k->pods = ARENA_ARRAY(a, const struct near_pod *, k->view->pod_count + 1);
    k->n = 0;
    for (size_t i = 0; i < k->view->pod_count; i++) {
        const struct near_pod *other = &k->view->pods[i];
        struct terms terms = theirs ? terms_of(a, other, "podAntiAffinity", true) : mine;
        for (size_t t = 0; t < terms.n; t++) {
            bool there = json_get_span(k->view->nodes[other->node].labels, terms.at[t].key);
            if (there && near_term_matches(&terms.at[t], theirs ? own : other)) {
                k->key = k->n ? k->key : terms.at[t].key;
                k->pods[k->n++] = other;
                break;
            }
        }
    }
    assert(k->n <= k->view->pod_count);
    sort_few(k->pods, k->n, sizeof *k->pods, by_node_and_name);
}

static struct span named(struct arena *a, const struct culprits *k)
{
    struct span text = SPAN_NULL;
    for (size_t i = 0; i < k->n && i < NAMED_MAX; i++) {
        const struct near_pod *p = k->pods[i];
        bool foreign = !span_eq(p->ns, k->view->pod.ns);
        text = arena_printf(a, "%.*s%s%.*s%s%.*s on %.*s", SPAN_ARG(text), i ? ", " : "",
                            SPAN_ARG(foreign ? p->ns : SPAN("")), foreign ? "/" : "",
                            SPAN_ARG(near_name(p->root)), SPAN_ARG(k->view->nodes[p->node].name));
    }
    return k->n > NAMED_MAX ? arena_printf(a, "%.*s and %zu more", SPAN_ARG(text), k->n - NAMED_MAX)
                            : text;
}

static struct span note_of_pods(struct arena *a, const struct near_view *view, bool theirs)
{
    struct culprits k = {.view = view};
    find_culprits(a, &k, theirs);
    assert(k.n > 0);
    struct span place = near_place(a, k.key), who = named(a, &k);
    return theirs ? arena_printf(a, " Pods that are there must not share a %.*s with it: %.*s.",
                                 SPAN_ARG(place), SPAN_ARG(who))
                  : arena_printf(a, " It must not share a %.*s with %.*s.", SPAN_ARG(place),
                                 SPAN_ARG(who));
}

static struct span note_of_affinity(struct arena *a, const struct near_view *view)
{
    struct terms terms = terms_of(a, &view->pod, "podAffinity", true);
    struct span text = SPAN_NULL;
    assert(terms.n > 0);
    for (size_t i = 0; i < terms.n; i++) {
        const struct selector *s = &terms.at[i].pods;
        struct span labels = selector_text(a, s);
        text = arena_printf(a, "%.*s%s share a %.*s with %s%.*s", SPAN_ARG(text), i ? " and" : "",
                            SPAN_ARG(near_place(a, terms.at[i].key)),
                            s->nothing ? "a pod that its labelSelector, which is not set, chooses"
                            : labels.n ? "a pod that has the labels "
                                       : "any pod",
                            SPAN_ARG(labels));
    }
    return arena_printf(a, " It must%.*s.", SPAN_ARG(text));
}

struct span affinity_note(struct arena *a, const struct near_view *view,
                          const struct affinity_plan *plan, const bool *asked)
{
    assert(plan->refusals);
    assert(asked);
    bool seen[AFFINITY_AVOIDED + 1] = {false};
    struct span text = SPAN_NULL;
    for (size_t i = 0; i < view->node_count; i++) {
        enum affinity_refusal r = plan->refusals[i];
        if (seen[r] || r == AFFINITY_FITS || !asked[i]) {
            continue;
        }
        seen[r] = true;
        struct span one = r == AFFINITY_MISSES ? note_of_affinity(a, view)
                                               : note_of_pods(a, view, r == AFFINITY_AVOIDED);
        text = arena_printf(a, "%.*s%.*s", SPAN_ARG(text), SPAN_ARG(one));
    }
    return span_trim(text);
}
