/* plan/schedule_plan.c: see schedule_plan.h. */
#include "plan/schedule_plan.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/json.h"
#include "plan/affinity_plan.h"
#include "plan/spread_plan.h"

enum {
    /* Weights of the plugins, and the largest score that each gives before it is weighed. */
    WEIGHT_TAINTS = 3,
    WEIGHT_AFFINITY = 2, /* to nodes, to pods, and spread */
    SCORE_MAX = 100,
    FREE_UNITS = 20000, /* of score() are one point of such a score */
};

/* Empty: the pod may go there. */
static struct span refusal(struct arena *a, const struct schedule_view *v,
                           const struct schedule_node *n)
{
    assert(n);
    assert(v->cpu_milli >= 0 && v->memory_bytes >= 0);
    if (n->unschedulable) {
        return SPAN("node(s) were unschedulable");
    }
    if (n->taint.n) {
        return arena_printf(a, "node(s) had untolerated taint {%.*s}", SPAN_ARG(n->taint));
    }
    if (!n->selector_fits) {
        return SPAN("node(s) didn't match Pod's node affinity/selector");
    }
    if (n->ports_taken) {
        return SPAN("node(s) didn't have free ports for the requested pod ports");
    }
    if (!n->volumes_reachable) {
        return SPAN("node(s) had volume node affinity conflict");
    }
    return SPAN_NULL;
}

/* Counts everything that the node has too little of; false: it has enough. */
static bool lacks(struct arena *a, const struct schedule_view *v, const struct schedule_node *n,
                  struct tally *t)
{
    assert(v->more_count == 0 || n->more_free);
    bool pods = n->used_pods >= n->pods;
    bool cpu = v->cpu_milli > 0 && n->used_cpu_milli + v->cpu_milli > n->cpu_milli;
    bool memory = v->memory_bytes > 0 && n->used_memory_bytes + v->memory_bytes > n->memory_bytes;
    bool more = false;
    if (pods) {
        tally_add(t, SPAN("Too many pods"));
    }
    if (cpu) {
        tally_add(t, SPAN("Insufficient cpu"));
    }
    if (memory) {
        tally_add(t, SPAN("Insufficient memory"));
    }
    for (size_t i = 0; i < v->more_count; i++) {
        const struct schedule_amount *m = &v->more[i];
        if (m->units > 0 && m->units > n->more_free[i]) {
            tally_add(t, arena_printf(a, "Insufficient %.*s", SPAN_ARG(m->name)));
            more = true;
        }
    }
    return pods || cpu || memory || more;
}

/* Free share of processor and memory after the pod is there, in millionths each. */
static int64_t score(const struct schedule_view *v, const struct schedule_node *n)
{
    int64_t cpu = n->cpu_milli - n->used_cpu_milli - v->cpu_milli;
    int64_t memory = n->memory_bytes - n->used_memory_bytes - v->memory_bytes;
    int64_t total = 0;
    if (n->cpu_milli > 0) {
        total += (int64_t)((double)cpu / (double)n->cpu_milli * 1e6);
    }
    if (n->memory_bytes > 0) {
        total += (int64_t)((double)memory / (double)n->memory_bytes * 1e6);
    }
    return total - n->used_pods; /* between equals, the one with fewer pods */
}

/* ---- neighbours ---- */

struct around {
    struct near_view view; /* with its nodes */
    const enum spread_refusal *spread;
    struct affinity_plan affinity;
    bool uneven;  /* a node counts under a reason of spread */
    bool *blamed; /* by node: counts under one of affinity */
};

static struct around *look_around(struct arena *a, const struct schedule_view *v)
{
    if (!v->near || v->obstacle.n) {
        return NULL;
    }
    struct around *r = ARENA_NEW(a, struct around);
    struct near_node *nodes = ARENA_ARRAY(a, struct near_node, v->node_count + 1);
    for (size_t i = 0; i < v->node_count; i++) {
        const struct schedule_node *n = &v->nodes[i];
        nodes[i] = (struct near_node){n->name, n->labels, n->selector_fits,
                                      n->unschedulable || n->taint.n};
    }
    r->blamed = ARENA_ARRAY(a, bool, v->node_count + 1);
    r->view = *v->near;
    r->view.nodes = nodes;
    r->view.node_count = v->node_count;
    r->spread = spread_filter(a, &r->view);
    r->affinity = affinity_plan(a, &r->view);
    return r;
}

static struct span refusal_near(struct around *r, size_t node)
{
    static const char *const by_affinity[] = {
        [AFFINITY_FITS] = "",
        [AFFINITY_MISSES] = "node(s) didn't match pod affinity rules",
        [AFFINITY_AVOIDS] = "node(s) didn't match pod anti-affinity rules",
        [AFFINITY_AVOIDED] = "node(s) didn't satisfy existing pods anti-affinity rules",
    };
    assert(node < r->view.node_count);
    enum spread_refusal spread = r->spread ? r->spread[node] : SPREAD_FITS;
    r->uneven |= spread != SPREAD_FITS;
    r->blamed[node] = spread == SPREAD_FITS;
    return spread == SPREAD_NO_LABEL ? SPAN("node(s) didn't match pod topology spread constraints "
                                            "(missing required label)")
           : spread == SPREAD_UNEVEN ? SPAN("node(s) didn't match pod topology spread constraints")
                                     : span_cstr(by_affinity[r->affinity.refusals[node]]);
}

/* ---- choice ---- */

static struct span explain(struct arena *a, const struct schedule_view *v, const struct tally *t)
{
    if (v->obstacle.n) {
        return arena_printf(a, "0/%zu nodes are available: %.*s.", v->node_count,
                            SPAN_ARG(v->obstacle));
    }
    return v->node_count ? tally_text(a, t, v->node_count)
                         : SPAN("no nodes available to schedule pods");
}

/* The points of each node that fits, which its neighbours give it; NULL: none. */
static const int64_t *points_near(struct arena *a, const struct around *r, const bool *fits)
{
    const int64_t *spread = r ? spread_scores(a, &r->view, fits) : NULL;
    int64_t *points = r ? ARENA_ARRAY(a, int64_t, r->view.node_count + 1) : NULL;
    if (r && r->affinity.scores) {
        memcpy(points, r->affinity.scores, r->view.node_count * sizeof *points);
        affinity_normalize(points, fits, r->view.node_count);
    }
    for (size_t i = 0; spread && i < r->view.node_count; i++) {
        points[i] += spread[i];
    }
    return points;
}

static size_t best_of(struct arena *a, const struct schedule_view *v, const struct around *around,
                      const bool *fits)
{
    const int64_t *near = points_near(a, around, fits);
    int64_t most_liked = 0, most_shunned = 0, best = INT64_MIN;
    size_t at = 0;
    for (size_t i = 0; i < v->node_count; i++) {
        const struct schedule_node *n = &v->nodes[i];
        assert(n->shunned >= 0 && n->preference >= 0);
        most_liked = fits[i] && n->preference > most_liked ? n->preference : most_liked;
        most_shunned = fits[i] && n->shunned > most_shunned ? n->shunned : most_shunned;
    }
    for (size_t i = 0; i < v->node_count; i++) {
        const struct schedule_node *n = &v->nodes[i];
        if (!fits[i]) {
            continue;
        }
        int64_t liked = most_liked ? n->preference * SCORE_MAX / most_liked : 0;
        int64_t shunned = most_shunned ? n->shunned * SCORE_MAX / most_shunned : 0;
        int64_t points = WEIGHT_AFFINITY * (liked + (near ? near[i] : 0)) - WEIGHT_TAINTS * shunned;
        int64_t total = points * FREE_UNITS + score(v, n);
        if (total > best) {
            best = total;
            at = i;
        }
    }
    return at;
}

static struct span note_near(struct arena *a, const struct around *r)
{
    struct span spread = r->uneven ? spread_note(a, &r->view) : SPAN_NULL;
    struct span affinity = affinity_note(a, &r->view, &r->affinity, r->blamed);
    return arena_printf(a, "%s%.*s%s%.*s", spread.n ? " " : "", SPAN_ARG(spread),
                        affinity.n ? " " : "", SPAN_ARG(affinity));
}

bool schedule_refuses(struct arena *a, const struct schedule_view *view,
                      const struct schedule_node *node, struct tally *tally)
{
    struct span why = refusal(a, view, node);
    if (why.n) {
        tally_add(tally, why);
    }
    return why.n > 0 || lacks(a, view, node, tally);
}

/* A label that the node lacks, or a pod that is missing there: nobody can give way. */
static bool lacks_near(const struct around *r, size_t node)
{
    assert(node < r->view.node_count);
    return (r->spread && r->spread[node] == SPREAD_NO_LABEL) ||
           r->affinity.refusals[node] == AFFINITY_MISSES;
}

static const bool *only_pods(struct arena *a, const struct schedule_view *view,
                             const struct around *around)
{
    bool *only = ARENA_ARRAY(a, bool, view->node_count + 1);
    for (size_t i = 0; i < view->node_count && view->obstacle.n == 0; i++) {
        struct schedule_node n = view->nodes[i];
        n.ports_taken = false;
        only[i] = !n.too_small && refusal(a, view, &n).n == 0 && !(around && lacks_near(around, i));
    }
    return only;
}

struct schedule_plan schedule_plan(struct arena *a, const struct schedule_view *view)
{
    assert(a);
    assert(view);
    assert(view->nodes || view->node_count == 0);
    struct schedule_plan plan = {.fits = false};
    struct tally tally = {.n = 0};
    struct around *around = look_around(a, view);
    bool *fits = ARENA_ARRAY(a, bool, view->node_count + 1);
    for (size_t i = 0; i < view->node_count && view->obstacle.n == 0; i++) {
        bool refused = schedule_refuses(a, view, &view->nodes[i], &tally);
        struct span why = !refused && around ? refusal_near(around, i) : SPAN_NULL;
        if (why.n) {
            tally_add(&tally, why);
            plan.near = true;
        }
        fits[i] = !refused && why.n == 0;
        plan.fits |= fits[i];
    }
    if (plan.fits) {
        plan.node = best_of(a, view, around, fits);
        plan.near = false;
    } else {
        plan.message = explain(a, view, &tally);
        plan.only_pods = only_pods(a, view, around);
    }
    if (plan.near) {
        plan.message =
            arena_printf(a, "%.*s%.*s", SPAN_ARG(plan.message), SPAN_ARG(note_near(a, around)));
    }
    assert(plan.fits != (plan.message.n > 0));
    assert(!plan.fits || plan.node < view->node_count);
    return plan;
}

static bool is_one_of(const yyjson_val *root, const struct span *uids, size_t n)
{
    struct span uid = json_str(json_path(root, "metadata", "uid", NULL));
    for (size_t i = 0; i < n; i++) {
        if (span_eq(uid, uids[i])) {
            return true;
        }
    }
    return false;
}

struct span schedule_near_refusal(struct arena *a, const struct schedule_view *view, size_t node,
                                  const struct span *gone, size_t gone_count)
{
    assert(view->near);
    assert(node < view->node_count);
    struct near_view near = *view->near;
    struct near_pod *pods = ARENA_ARRAY(a, struct near_pod, near.pod_count + 1);
    near.pods = pods;
    near.pod_count = 0;
    for (size_t i = 0; i < view->near->pod_count; i++) {
        if (!is_one_of(view->near->pods[i].root, gone, gone_count)) {
            pods[near.pod_count++] = view->near->pods[i];
        }
    }
    struct schedule_view then = *view;
    then.near = &near;
    struct around *around = look_around(a, &then);
    return around ? refusal_near(around, node) : SPAN_NULL;
}

/* ---- forms of the API ---- */

static bool is_ready(const yyjson_val *node)
{
    JSON_EACH(it, json_path(node, "status", "conditions", NULL))
    {
        if (span_eq_cstr(json_get_str(it.val, "type"), "Ready")) {
            return span_eq_cstr(json_get_str(it.val, "status"), "True");
        }
    }
    return false;
}

bool schedule_node_differs(const yyjson_val *old, const yyjson_val *now)
{
    assert(old);
    assert(now);
    static const char *const looked_at[][2] = {{"metadata", "labels"},
                                               {"spec", "taints"},
                                               {"spec", "unschedulable"},
                                               {"status", "allocatable"}};
    bool differs = is_ready(old) != is_ready(now);
    for (size_t i = 0; i < sizeof looked_at / sizeof *looked_at && !differs; i++) {
        const char *part = looked_at[i][0], *key = looked_at[i][1];
        differs = !json_equal(json_path(old, part, key, NULL), json_path(now, part, key, NULL));
    }
    return differs;
}

static bool is_in(const yyjson_val *values, struct span v)
{
    JSON_EACH(it, values)
    {
        if (span_eq(json_str(it.val), v)) {
            return true;
        }
    }
    return false;
}

static bool number_holds(const yyjson_val *values, struct span v, bool greater)
{
    int64_t have = 0, bound = 0;
    struct span text = SPAN_NULL;
    JSON_EACH(it, values)
    {
        text = json_str(it.val);
    }
    return span_to_i64(v, &have) && span_to_i64(text, &bound) &&
           (greater ? have > bound : have < bound);
}

/* value is NULL when the key is absent. */
static bool requirement_holds(const yyjson_val *r, const struct span *value)
{
    struct span op = json_get_str(r, "operator");
    yyjson_val *values = json_get(r, "values");
    if (span_eq_cstr(op, "In")) {
        return value && is_in(values, *value);
    }
    if (span_eq_cstr(op, "NotIn")) {
        return !value || !is_in(values, *value);
    }
    if (span_eq_cstr(op, "Exists")) {
        return value != NULL;
    }
    if (span_eq_cstr(op, "DoesNotExist")) {
        return value == NULL;
    }
    return value && number_holds(values, *value, span_eq_cstr(op, "Gt"));
}

static bool label_requirement_holds(const yyjson_val *r, const yyjson_val *labels)
{
    struct span key = json_get_str(r, "key");
    JSON_EACH(it, labels)
    {
        if (span_eq(json_str(it.key), key)) {
            struct span value = json_str(it.val);
            return requirement_holds(r, &value);
        }
    }
    return requirement_holds(r, NULL);
}

static bool term_matches(const yyjson_val *term, const yyjson_val *labels, struct span node_name)
{
    yyjson_val *expressions = json_get(term, "matchExpressions");
    yyjson_val *fields = json_get(term, "matchFields");
    bool holds = json_len(expressions) + json_len(fields) > 0; /* an empty one matches nothing */
    JSON_EACH(it, expressions)
    {
        holds = holds && label_requirement_holds(it.val, labels);
    }
    JSON_EACH(it, fields)
    {
        holds = holds && span_eq_cstr(json_get_str(it.val, "key"), "metadata.name") &&
                requirement_holds(it.val, &node_name);
    }
    return holds;
}

bool schedule_terms_match(const yyjson_val *terms, const yyjson_val *labels, struct span node_name)
{
    JSON_EACH(term, terms)
    {
        if (term_matches(term.val, labels, node_name)) {
            return true;
        }
    }
    return false;
}

int64_t schedule_preference(const yyjson_val *preferred, const yyjson_val *labels,
                            struct span node_name)
{
    int64_t sum = 0;
    JSON_EACH(it, preferred)
    {
        int64_t weight = json_get_int(it.val, "weight", 0); /* 1 to 100 */
        bool holds = term_matches(json_get(it.val, "preference"), labels, node_name);
        sum += holds && weight > 0 && weight <= 100 ? weight : 0;
    }
    return sum;
}

bool schedule_selector_matches(const yyjson_val *node_selector, const yyjson_val *labels)
{
    JSON_EACH(it, node_selector)
    {
        yyjson_val *have = json_get(labels, yyjson_get_str(it.key));
        if (!have || !span_eq(json_str(it.val), json_str(have))) {
            return false;
        }
    }
    return true;
}

const yyjson_val *schedule_toleration(const yyjson_val *tolerations, struct span key,
                                      struct span value, struct span effect)
{
    JSON_EACH(it, tolerations)
    {
        struct span t_key = json_get_str(it.val, "key"), t_effect = json_get_str(it.val, "effect");
        bool exists = span_eq_cstr(json_get_str(it.val, "operator"), "Exists");
        if ((t_effect.n == 0 || span_eq(t_effect, effect)) &&
            (span_eq(t_key, key) || (t_key.n == 0 && exists)) &&
            (exists || span_eq(json_get_str(it.val, "value"), value))) {
            return it.val;
        }
    }
    return NULL;
}

bool schedule_tolerates(const yyjson_val *tolerations, struct span key, struct span value,
                        struct span effect)
{
    return schedule_toleration(tolerations, key, value, effect) != NULL;
}

int64_t schedule_shunned(const yyjson_val *taints, const yyjson_val *tolerations)
{
    int64_t n = 0;
    JSON_EACH(it, taints)
    {
        struct span effect = json_get_str(it.val, "effect");
        n += span_eq_cstr(effect, "PreferNoSchedule") &&
             !schedule_tolerates(tolerations, json_get_str(it.val, "key"),
                                 json_get_str(it.val, "value"), effect);
    }
    return n;
}

struct span schedule_untolerated(struct arena *a, const yyjson_val *taints,
                                 const yyjson_val *tolerations)
{
    assert(a);
    JSON_EACH(it, taints)
    {
        struct span effect = json_get_str(it.val, "effect");
        struct span key = json_get_str(it.val, "key"), value = json_get_str(it.val, "value");
        bool keeps_out = span_eq_cstr(effect, "NoSchedule") || span_eq_cstr(effect, "NoExecute");
        if (keeps_out && !schedule_tolerates(tolerations, key, value, effect)) {
            return arena_printf(a, "%.*s: %.*s", SPAN_ARG(key), SPAN_ARG(value));
        }
    }
    return SPAN_NULL;
}
