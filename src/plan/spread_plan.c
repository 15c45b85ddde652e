/* plan/spread_plan.c: see spread_plan.h. */
#include "plan/spread_plan.h"

#include <math.h>

#include "base/check.h"

enum { NAMED_MAX = 4 }; /* domains that a sentence names */

#define KEY_NODE SPAN("kubernetes.io/hostname")

struct constraint {
    int64_t max_skew, min_domains;
    struct span key;
    struct selector pods;
    bool by_affinity, by_taints; /* nodes that the pod cannot go to for these do not count */
    const struct near_domains *where;
    int64_t *count; /* by domain: pods that the selector chooses */
    bool *is;       /* by domain: counts at all */
    size_t domains; /* that count */
};

struct spread {
    struct arena *a;
    const struct near_view *view;
    struct near_domains *known;
    struct constraint *at;
    size_t n;
};

static void read_constraint(struct spread *s, const yyjson_val *c)
{
    int64_t skew = json_get_int(c, "maxSkew", 1), least = json_get_int(c, "minDomains", 1);
    struct constraint read = {
        .max_skew = skew > 0 ? skew : 1,
        .min_domains = least > 0 ? least : 1,
        .key = json_get_str(c, "topologyKey"),
        .by_affinity = !span_eq_cstr(json_get_str(c, "nodeAffinityPolicy"), "Ignore"),
        .by_taints = span_eq_cstr(json_get_str(c, "nodeTaintsPolicy"), "Honor")};
    near_selector(s->a, json_get(c, "labelSelector"), &read.pods);
    assert(read.max_skew > 0);
    assert(read.min_domains > 0);
    read.where = near_domains(s->a, s->view, &s->known, read.key);
    read.count = ARENA_ARRAY(s->a, int64_t, read.where->count + 1);
    read.is = ARENA_ARRAY(s->a, bool, read.where->count + 1);
    s->at[s->n++] = read;
}

static struct spread spread_of(struct arena *a, const struct near_view *view, const char *action)
{
    const yyjson_val *list = json_path(view->pod.root, "spec", "topologySpreadConstraints", NULL);
    struct spread s = {.a = a, .view = view};
    assert(action);
    s.at = ARENA_ARRAY(a, struct constraint, json_len(list) + 2);
    JSON_EACH(it, list)
    {
        if (span_eq_cstr(json_get_str(it.val, "whenUnsatisfiable"), action)) {
            read_constraint(&s, it.val);
        }
    }
    assert(s.n <= json_len(list));
    return s;
}

static bool has_all_keys(const struct spread *s, size_t node)
{
    bool all = true;
    for (size_t i = 0; i < s->n; i++) {
        all = all && s->at[i].where->domain[node] != NEAR_NOWHERE;
    }
    return all;
}

static bool node_counts(const struct spread *s, const struct constraint *c, size_t node)
{
    assert(node < s->view->node_count);
    const struct near_node *n = &s->view->nodes[node];
    return has_all_keys(s, node) && (!c->by_affinity || n->selected) &&
           (!c->by_taints || !n->tainted);
}

/* A pod that is stopping makes room already. A selector that is there and empty counts nobody. */
static bool pod_counts(const struct spread *s, const struct constraint *c,
                       const struct near_pod *pod)
{
    return (c->pods.n > 0 || c->pods.nothing) && span_eq(pod->ns, s->view->pod.ns) &&
           !json_path(pod->root, "metadata", "deletionTimestamp", NULL) &&
           selector_matches(&c->pods, near_labels(pod->root));
}

static void count(struct spread *s, struct constraint *c)
{
    assert(c->where);
    for (size_t i = 0; i < s->view->node_count; i++) {
        int domain = c->where->domain[i];
        if (node_counts(s, c, i) && !c->is[domain]) {
            assert(domain < (int)c->where->count);
            c->is[domain] = true;
            c->domains++;
        }
    }
    for (size_t i = 0; i < s->view->pod_count; i++) {
        const struct near_pod *p = &s->view->pods[i];
        if (node_counts(s, c, p->node) && pod_counts(s, c, p)) {
            c->count[c->where->domain[p->node]]++;
        }
    }
    assert(c->domains <= c->where->count);
}

/* The least of any domain; 0 while there are fewer domains than the constraint wants. */
static int64_t fewest(const struct constraint *c)
{
    if ((int64_t)c->domains < c->min_domains) {
        return 0;
    }
    int64_t min = INT64_MAX;
    for (size_t i = 0; i < c->where->count; i++) {
        min = c->is[i] && c->count[i] < min ? c->count[i] : min;
    }
    assert(min != INT64_MAX); /* there is a domain at least */
    return min;
}

/* ---- filter ---- */

static void refuse(const struct spread *s, const struct constraint *c,
                   enum spread_refusal *refusals)
{
    int64_t self = selector_matches(&c->pods, near_labels(s->view->pod.root)), min = fewest(c);
    assert(min >= 0);
    for (size_t i = 0; i < s->view->node_count; i++) {
        int domain = c->where->domain[i];
        if (refusals[i] != SPREAD_FITS) {
            continue;
        }
        if (domain == NEAR_NOWHERE) {
            refusals[i] = SPREAD_NO_LABEL;
        } else if (c->count[domain] + self - min > c->max_skew) {
            refusals[i] = SPREAD_UNEVEN;
        }
    }
}

const enum spread_refusal *spread_filter(struct arena *a, const struct near_view *view)
{
    assert(a);
    assert(view->pods || view->pod_count == 0);
    struct spread s = spread_of(a, view, "DoNotSchedule");
    if (s.n == 0) {
        return NULL;
    }
    enum spread_refusal *refusals = ARENA_ARRAY(a, enum spread_refusal, view->node_count + 1);
    for (size_t i = 0; i < s.n; i++) {
        count(&s, &s.at[i]);
        refuse(&s, &s.at[i], refusals);
    }
    return refusals;
}

/* ---- scores ---- */

/* The more domains there are, the more one pod too many in one of them counts. */
static double weight(const struct spread *s, const struct constraint *c, const bool *fits)
{
    size_t size = 0;
    bool *seen = ARENA_ARRAY(s->a, bool, c->where->count + 1);
    bool by_node = span_eq(c->key, KEY_NODE);
    for (size_t i = 0; i < s->view->node_count; i++) {
        if (fits[i] && has_all_keys(s, i)) {
            int domain = c->where->domain[i];
            size += by_node || !seen[domain];
            seen[domain] = true;
        }
    }
    assert(size <= s->view->node_count);
    return log((double)(size + 2));
}

/* Of each node by itself: there every pod counts, whatever the policies say. */
static void count_by_node(const struct spread *s, struct constraint *c)
{
    for (size_t i = 0; i < s->view->pod_count; i++) {
        const struct near_pod *p = &s->view->pods[i];
        assert(p->node < s->view->node_count);
        int domain = c->where->domain[p->node];
        if (domain != NEAR_NOWHERE && pod_counts(s, c, p)) {
            c->count[domain]++;
        }
    }
}

static void normalize(const struct spread *s, const bool *fits, int64_t *scores)
{
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (size_t i = 0; i < s->view->node_count; i++) {
        if (fits[i] && has_all_keys(s, i)) {
            min = scores[i] < min ? scores[i] : min;
            max = scores[i] > max ? scores[i] : max;
        }
    }
    for (size_t i = 0; i < s->view->node_count; i++) {
        if (!fits[i] || !has_all_keys(s, i)) {
            scores[i] = 0;
        } else {
            scores[i] = max == 0 ? 100 : 100 * (max + min - scores[i]) / max;
        }
    }
}

const int64_t *spread_scores(struct arena *a, const struct near_view *view, const bool *fits)
{
    assert(a);
    assert(fits);
    struct spread s = spread_of(a, view, "ScheduleAnyway");
    if (s.n == 0) {
        return NULL;
    }
    double *sums = ARENA_ARRAY(a, double, view->node_count + 1);
    for (size_t i = 0; i < s.n; i++) {
        struct constraint *c = &s.at[i];
        double w = weight(&s, c, fits);
        if (span_eq(c->key, KEY_NODE)) {
            count_by_node(&s, c);
        } else {
            count(&s, c);
        }
        for (size_t k = 0; k < view->node_count; k++) {
            int domain = c->where->domain[k];
            if (domain != NEAR_NOWHERE) {
                sums[k] += (double)c->count[domain] * w + (double)(c->max_skew - 1);
            }
        }
    }
    int64_t *scores = ARENA_ARRAY(a, int64_t, view->node_count + 1);
    for (size_t k = 0; k < view->node_count; k++) {
        scores[k] = llround(sums[k]);
    }
    normalize(&s, fits, scores);
    return scores;
}

/* ---- for people ---- */

static struct span domains_text(const struct spread *s, const struct constraint *c)
{
    struct span text = SPAN_NULL;
    size_t named = 0;
    for (size_t i = 0; i < c->where->count; i++) {
        if (c->is[i] && named++ < NAMED_MAX) {
            text = arena_printf(s->a, "%.*s%s%.*s has %lld", SPAN_ARG(text), text.n ? ", " : "",
                                SPAN_ARG(c->where->values[i]), (long long)c->count[i]);
        }
    }
    return named > NAMED_MAX
               ? arena_printf(s->a, "%.*s and %zu more", SPAN_ARG(text), named - NAMED_MAX)
               : text;
}

static struct span note_of(const struct spread *s, const struct constraint *c)
{
    struct span place = near_place(s->a, c->key), has = domains_text(s, c);
    struct span labels = selector_text(s->a, &c->pods);
    struct span wants = c->min_domains > (int64_t)c->domains
                            ? arena_printf(s->a, ", minDomains %lld", (long long)c->min_domains)
                            : SPAN("");
    return arena_printf(s->a,
                        "Pods that have the labels %.*s are spread over each %.*s with maxSkew "
                        "%lld%.*s: %.*s.",
                        SPAN_ARG(labels), SPAN_ARG(place), (long long)c->max_skew, SPAN_ARG(wants),
                        SPAN_ARG(has.n ? has : SPAN("no node has its label")));
}

struct span spread_note(struct arena *a, const struct near_view *view)
{
    struct spread s = spread_of(a, view, "DoNotSchedule");
    enum spread_refusal *refusals = ARENA_ARRAY(a, enum spread_refusal, view->node_count + 1);
    for (size_t i = 0; i < s.n; i++) {
        count(&s, &s.at[i]);
        refuse(&s, &s.at[i], refusals);
        for (size_t k = 0; k < view->node_count; k++) {
            if (refusals[k] != SPREAD_FITS) {
                return note_of(&s, &s.at[i]);
            }
        }
    }
    return SPAN_NULL;
}
