/* plan/statefulset_plan.c: see statefulset_plan.h. The order of the steps is Kubernetes' own and is
 * what users see. */
#include "plan/statefulset_plan.h"

#include "base/check.h"
#include "plan/statefulset_index.h"

struct pass {
    const struct statefulset_view *v;
    const struct statefulset_index *ix;
    const struct statefulset_rules *r;
    struct statefulset_plan *plan;
    int64_t first, end, updated_from; /* ordinals in range: [first, end) */
};

/* ---- looking ---- */

static int64_t first_of(const struct pass *s, int mark, int64_t from)
{
    assert(mark >= 0);
    assert(mark < MARKS);
    return ordinal_tree_first(&s->ix->wanted, mark, from);
}

static int64_t last_of(const struct pass *s, int mark, int64_t to)
{
    assert(mark >= 0);
    assert(mark < MARKS);
    return ordinal_tree_last(&s->ix->wanted, mark, to);
}

/* The first wanted ordinal from `from` on without a pod; end: none. */
static int64_t first_gap(const struct pass *s, int64_t from)
{
    int64_t at = ordinal_tree_first_gap(&s->ix->wanted, from);
    while (at < s->end && statefulset_is_reserved(s->r, at)) {
        at = ordinal_tree_first_gap(&s->ix->wanted, at + 1);
    }
    assert(at >= from || at >= s->end);
    return at < s->end ? at : s->end;
}

/* The last one; below first: none. */
static int64_t last_gap(const struct pass *s)
{
    int64_t at = ordinal_tree_last_gap(&s->ix->wanted, s->end - 1);
    while (at >= s->first && statefulset_is_reserved(s->r, at)) {
        at = ordinal_tree_last_gap(&s->ix->wanted, at - 1);
    }
    return at;
}

/* Of a wanted pod that is there. */
static bool has_mark(const struct pass *s, int64_t ordinal, int mark)
{
    assert(mark >= 0);
    assert(mark < MARKS);
    const struct ordinal_entry *e = ordinal_tree_get(&s->ix->wanted, (int32_t)ordinal);
    assert(e);
    return e->marks >> mark & 1;
}

/* The lower of two ordinals, where -1 is none. */
static int64_t lower(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int64_t higher(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- the plan under construction ---- */

static bool add(struct pass *s, struct statefulset_action action)
{
    struct statefulset_plan *plan = s->plan;
    assert(plan->action_count <= STATEFULSET_ACTIONS_MAX);
    assert(action.ordinal >= 0);
    if (plan->action_count == STATEFULSET_ACTIONS_MAX) {
        plan->again = true;
        return false;
    }
    plan->actions[plan->action_count++] = action;
    return true;
}

static bool delete_pod(struct pass *s, int64_t ordinal, enum statefulset_why why)
{
    assert(ordinal >= 0);
    assert(why != STATEFULSET_WHY_NONE);
    assert(!statefulset_index_get(s->ix, (int32_t)ordinal)->terminating);
    return add(s, (struct statefulset_action){
                      .kind = STATEFULSET_DELETE_POD, .why = why, .ordinal = (int32_t)ordinal});
}

static void wait_for(struct pass *s, enum statefulset_why why, int64_t ordinal)
{
    assert(why != STATEFULSET_WHY_NONE);
    assert(ordinal >= 0);
    if (s->plan->waiting == STATEFULSET_WHY_NONE) {
        s->plan->waiting = why;
        s->plan->waiting_ordinal = (int32_t)ordinal;
    }
}

/* For a pod that is there and not well. */
static void wait_for_pod(struct pass *s, int64_t ordinal)
{
    const struct statefulset_pod *p = statefulset_index_get(s->ix, (int32_t)ordinal);
    assert(p);
    assert(p->ordinal == ordinal);
    bool ready = p->phase == STATEFULSET_RUNNING && p->ready;
    wait_for(s,
             p->terminating ? STATEFULSET_WHY_POD_TERMINATING
             : ready        ? STATEFULSET_WHY_POD_NOT_AVAILABLE
                            : STATEFULSET_WHY_POD_NOT_READY,
             ordinal);
}

enum statefulset_owner statefulset_claim_owner(const struct statefulset_rules *rules,
                                               bool condemned)
{
    assert(rules);
    if (condemned && rules->delete_when_scaled) {
        return STATEFULSET_OWNER_POD;
    }
    return rules->delete_when_deleted ? STATEFULSET_OWNER_SET : STATEFULSET_OWNER_NONE;
}

/* Adds what the claims of an existing pod need. Returns true when something was added. */
static bool fix_claims(struct pass *s, const struct statefulset_pod *p, bool condemned)
{
    assert(p);
    assert(p->ordinal >= 0);
    enum statefulset_owner owner = statefulset_claim_owner(s->r, condemned);
    bool missing =
        p->claims.missing && !condemned && !p->terminating && p->phase == STATEFULSET_PENDING;
    if (!missing && (p->claims.owner_fits & (1u << owner))) {
        return false;
    }
    add(s, (struct statefulset_action){.kind = STATEFULSET_FIX_CLAIMS,
                                       .ordinal = p->ordinal,
                                       .missing = p->claims.missing,
                                       .owner = owner});
    return true;
}

/* ---- status ---- */

static void count(struct pass *s)
{
    struct statefulset_status *st = &s->plan->status;
    const struct ordinal_tree *w = &s->ix->wanted, *x = &s->ix->surplus;
    st->replicas = ordinal_tree_count(w, MARK_POD) + ordinal_tree_count(x, MARK_POD);
    st->ready = ordinal_tree_count(w, MARK_READY) + ordinal_tree_count(x, MARK_READY);
    st->available = ordinal_tree_count(w, MARK_AVAILABLE) + ordinal_tree_count(x, MARK_AVAILABLE);
    st->current = ordinal_tree_count(w, MARK_CURRENT) + ordinal_tree_count(x, MARK_CURRENT);
    st->updated = ordinal_tree_count(w, MARK_UPDATE) + ordinal_tree_count(x, MARK_UPDATE);
    assert(st->available <= st->ready);
    assert(st->ready <= st->replicas);
    st->well = ordinal_tree_count(w, MARK_WELL);
    st->stopping = ordinal_tree_count(w, MARK_STOPPING);
    st->behind = ordinal_tree_count_from(w, MARK_OLD, s->updated_from);
    st->surplus = ordinal_tree_count(x, MARK_POD);
    struct heap_node *due = heap_min(&s->ix->due);
    s->plan->requeue_at_ms = due ? due->key : 0;
}

static void finish_status(struct pass *s)
{
    struct statefulset_status *st = &s->plan->status;
    for (size_t i = 0; i < s->plan->action_count; i++) {
        const struct statefulset_action *a = &s->plan->actions[i];
        assert(a->ordinal >= 0);
        if (a->why == STATEFULSET_WHY_UPDATE || a->why == STATEFULSET_WHY_STUCK) {
            st->current -= statefulset_index_get(s->ix, a->ordinal)->at_current;
        }
    }
    assert(st->current >= 0);
    if (st->updated == st->ready && st->updated == st->replicas && st->updated == s->r->replicas) {
        st->complete = true;
        st->current = st->updated;
    }
}

static void find_blocking(struct pass *s)
{
    if (s->plan->waiting != STATEFULSET_WHY_NONE && !s->r->deleting) {
        s->plan->blocking = s->plan->waiting_ordinal;
        return;
    }
    int64_t gap = first_gap(s, s->first);
    int64_t at = lower(first_of(s, MARK_WAITED, 0), first_of(s, MARK_DEAD, 0));
    at = lower(at, gap < s->end ? gap : -1);
    at = at < 0 ? ordinal_tree_last(&s->ix->surplus, MARK_POD, INT32_MAX) : at;
    s->plan->blocking = (int32_t)at;
    assert(s->plan->blocking >= -1);
}

/* ---- step 0: what a newer revision has overtaken before it was ever Ready ---- */

static void replace_stuck(struct pass *s)
{
    for (int64_t at = last_of(s, MARK_STUCK, s->end); at >= 0;
         at = last_of(s, MARK_STUCK, at - 1)) {
        if (!delete_pod(s, at, STATEFULSET_WHY_STUCK)) {
            return;
        }
    }
}

/* Returns false while old pods are there. */
static bool recreate(struct pass *s)
{
    assert(s->r->recreate);
    assert(!s->r->deleting);
    const struct ordinal_tree *trees[] = {&s->ix->wanted, &s->ix->surplus};
    for (int i = 0; i < 2; i++) {
        int64_t at = ordinal_tree_last(trees[i], MARK_OLD_LIVE, INT32_MAX);
        while (at >= 0 && delete_pod(s, at, STATEFULSET_WHY_RECREATE)) {
            at = ordinal_tree_last(trees[i], MARK_OLD_LIVE, at - 1);
        }
    }
    for (int i = 0; i < 2; i++) {
        int64_t old = ordinal_tree_first(trees[i], MARK_OLD, 0);
        if (old >= 0) {
            wait_for(s, STATEFULSET_WHY_POD_TERMINATING, old);
            s->plan->recreating = true;
        }
    }
    return !s->plan->recreating;
}

/* ---- step 1: replicas in range, ascending ---- */

/* Which revision a new pod gets: pods that the roll-out has not reached come back as they were. */
static bool new_pod_is_update(const struct pass *s, int64_t ordinal)
{
    if (s->r->on_delete || s->r->recreate) {
        return true;
    }
    int64_t old = s->r->has_rolling ? s->r->partition : s->plan->status.current;
    return ordinal >= s->first + old;
}

static void fill_hole(struct pass *s, const struct statefulset_hole *hole)
{
    assert(!s->r->deleting);
    assert(s->plan->action_count <= STATEFULSET_ACTIONS_MAX);
    assert(statefulset_is_wanted(s->r, hole->ordinal));
    assert(!statefulset_index_get(s->ix, hole->ordinal));
    if (s->r->delete_when_scaled && hole->claims.stale) {
        wait_for(s, STATEFULSET_WHY_CLAIM_STALE, hole->ordinal);
        return;
    }
    struct statefulset_action a = {.kind = STATEFULSET_CREATE_POD,
                                   .why = STATEFULSET_WHY_SCALE_UP,
                                   .ordinal = hole->ordinal,
                                   .at_update = new_pod_is_update(s, hole->ordinal),
                                   .owner = statefulset_claim_owner(s->r, false)};
    if (hole->claims.terminating) {
        a.kind = STATEFULSET_REFUSE_CREATE;
        wait_for(s, STATEFULSET_WHY_CLAIM_TERMINATING, hole->ordinal);
    }
    add(s, a);
}

/* What one pod in range needs of itself: a successor, claims, labels. */
static void tend(struct pass *s, int64_t ordinal)
{
    const struct statefulset_pod *p = statefulset_index_get(s->ix, (int32_t)ordinal);
    assert(p);
    assert(p->ordinal == ordinal);
    if (has_mark(s, ordinal, MARK_DEAD)) {
        delete_pod(s, ordinal, STATEFULSET_WHY_TERMINAL);
        return;
    }
    bool may = has_mark(s, ordinal, MARK_WELL) || s->r->parallel;
    if (!has_mark(s, ordinal, MARK_FIX)) {
        return;
    }
    fix_claims(s, p, false);
    if (may && !p->identity_fits && !p->terminating) {
        add(s, (struct statefulset_action){.kind = STATEFULSET_FIX_POD, .ordinal = p->ordinal});
    }
}

/* At most as many as a pass can fill. */
static int32_t window_of(const struct statefulset_rules *r)
{
    assert(!r->parallel);
    int32_t window = r->window > 1 ? r->window : 1;
    return window < STATEFULSET_HOLES_MAX ? window : STATEFULSET_HOLES_MAX;
}

/* OrderedReady: up to the first `window` pods that are not well. Returns true when all are. */
static bool ordered_replicas(struct pass *s)
{
    assert(!s->r->parallel);
    int32_t unwell = 0, window = window_of(s->r);
    size_t hole = 0;
    for (int64_t next = s->first; unwell < window;) {
        int64_t gap = first_gap(s, next);
        int64_t waited = lower(first_of(s, MARK_WAITED, next), first_of(s, MARK_DEAD, next));
        int64_t at = lower(lower(waited, first_of(s, MARK_FIX, next)), gap < s->end ? gap : -1);
        if (at < 0) {
            break;
        }
        next = at + 1;
        assert(at >= s->first);
        assert(at < s->end);
        if (at == gap) {
            unwell++;
            assert(hole < s->v->hole_count);
            assert(s->v->holes[hole].ordinal == at);
            fill_hole(s, &s->v->holes[hole++]);
            continue;
        }
        tend(s, at);
        if (has_mark(s, at, MARK_WAITED)) {
            wait_for_pod(s, at);
        }
        unwell += !has_mark(s, at, MARK_WELL);
    }
    return unwell == 0;
}

static void parallel_replicas(struct pass *s)
{
    assert(s->r->parallel);
    int64_t waited = first_of(s, MARK_WAITED, 0);
    for (size_t i = 0; i < s->v->hole_count; i++) {
        if (waited >= 0 && waited < s->v->holes[i].ordinal) {
            wait_for_pod(s, waited); /* the lowest is the one to name */
        }
        fill_hole(s, &s->v->holes[i]);
    }
    if (waited >= 0) {
        wait_for_pod(s, waited);
    }
    if (s->v->hole_count > 0 &&
        first_gap(s, (int64_t)s->v->holes[s->v->hole_count - 1].ordinal + 1) < s->end) {
        s->plan->again = true; /* beyond this pass' share of holes */
    }
    static const int kinds[] = {MARK_DEAD, MARK_FIX};
    for (int k = 0; k < 2; k++) {
        int64_t at = first_of(s, kinds[k], 0);
        for (; at >= 0 && s->plan->action_count < STATEFULSET_ACTIONS_MAX;
             at = first_of(s, kinds[k], at + 1)) {
            tend(s, at);
        }
        s->plan->again |= at >= 0;
    }
}

/* ---- step 2: condemned pods, descending ---- */

static void condemned_pod(struct pass *s, int64_t ordinal, bool lowest_unwell)
{
    const struct statefulset_pod *p = statefulset_index_get(s->ix, (int32_t)ordinal);
    assert(p);
    assert(!s->r->deleting);
    const struct ordinal_entry *e = ordinal_tree_get(&s->ix->surplus, p->ordinal);
    assert(e);
    assert(!statefulset_is_wanted(s->r, ordinal));
    bool available = e->marks >> MARK_AVAILABLE & 1, dead = e->marks >> MARK_DEAD & 1;
    /* The claims' owners first: a pod gone before its claims name it would leave them behind. */
    bool fixing = fix_claims(s, p, true);
    if (p->terminating) {
        wait_for(s, STATEFULSET_WHY_POD_TERMINATING, ordinal);
    } else if (fixing) {
        s->plan->again = true;
    } else if (!s->r->parallel && !available && !lowest_unwell && !dead && p->was_ready) {
        /* A dead pod never gets well, and one that was never Ready perhaps neither, since nobody
         * makes the claims of a pod that has to go: to wait would be to wait for ever. */
        wait_for_pod(s, ordinal);
    } else {
        delete_pod(s, ordinal, STATEFULSET_WHY_SCALE_DOWN);
    }
}

/* Returns false when the pass stops. The lowest unwell pod may go although it is not well: an
 * OrderedReady pass gets here only when every replica in range is well. */
static bool process_condemned(struct pass *s)
{
    const struct ordinal_tree *t = &s->ix->surplus;
    int64_t unwell =
        lower(ordinal_tree_first(t, MARK_WAITED, 0), ordinal_tree_first(t, MARK_DEAD, 0));
    int64_t at = ordinal_tree_last(t, MARK_POD, INT32_MAX);
    if (!s->r->parallel) {
        if (at >= 0) {
            condemned_pod(s, at, at == unwell);
        }
        return at < 0;
    }
    int64_t stopping = ordinal_tree_last(t, MARK_STOPPING, INT32_MAX);
    if (stopping >= 0) {
        wait_for(s, STATEFULSET_WHY_POD_TERMINATING, stopping);
    }
    while ((at = higher(ordinal_tree_last(t, MARK_LIVE, at), ordinal_tree_last(t, MARK_FIX, at))) >=
           0) {
        if (s->plan->action_count == STATEFULSET_ACTIONS_MAX) {
            s->plan->again = true;
            break;
        }
        condemned_pod(s, at, at == unwell);
        at--;
    }
    return true;
}

/* ---- step 3: rolling update, descending ---- */

/* Without maxUnavailable: at most one pod down, wait at the first that is not well or missing. The
 * last ones to be updated wait for all others, those below the partition too. */
static void update_one_by_one(struct pass *s)
{
    assert(s->r->max_unavailable == 0);
    assert(!s->r->on_delete);
    assert(!s->r->recreate);
    int64_t old = higher(last_of(s, MARK_OLD_WELL, s->end), last_of(s, MARK_OLD_BROKEN, s->end));
    old = old < s->updated_from ? -1 : old;
    int64_t unwell = higher(last_of(s, MARK_WAITED, s->end), last_of(s, MARK_DEAD, s->end));
    int64_t in_way = higher(unwell, last_gap(s));
    if (in_way >= s->updated_from && in_way > old) {
        if (in_way == unwell) {
            wait_for(s, STATEFULSET_WHY_POD_NOT_READY, unwell);
        }
        return;
    }
    if (old < 0 && s->plan->status.well == s->r->replicas) {
        old = last_of(s, MARK_OLD_LAST, s->end);
    }
    if (old >= s->updated_from) {
        delete_pod(s, old, STATEFULSET_WHY_UPDATE);
    }
}

/* Deletes pods with the mark, highest first, at most `budget`; returns what is left of it. */
static int64_t update_some(struct pass *s, int mark, int64_t budget)
{
    assert(mark == MARK_OLD_BROKEN || mark == MARK_OLD_WELL || mark == MARK_OLD_LAST);
    int64_t at = last_of(s, mark, s->end);
    for (; budget > 0 && at >= s->updated_from; at = last_of(s, mark, at - 1)) {
        if (!delete_pod(s, at, STATEFULSET_WHY_UPDATE)) {
            return 0;
        }
        budget--;
        assert(budget >= 0);
    }
    return budget;
}

static void update_within_budget(struct pass *s)
{
    assert(!s->r->on_delete);
    assert(!s->r->recreate);
    assert(s->r->max_unavailable > 0);
    assert(s->plan->status.well <= s->r->replicas);
    int64_t unavailable = s->r->replicas - (int64_t)s->plan->status.well;
    int64_t budget = s->r->max_unavailable - unavailable;
    if (s->r->parallel) {
        update_some(s, MARK_OLD_BROKEN, INT64_MAX); /* broken anyway: they cost no budget */
    }
    bool others = last_of(s, MARK_OLD_WELL, s->end) >= s->updated_from;
    budget = update_some(s, MARK_OLD_WELL, budget);
    if (!others && unavailable == 0) {
        update_some(s, MARK_OLD_LAST, budget);
    }
}

/* ---- the pass ---- */

static void run(struct pass *s)
{
    const struct statefulset_rules *r = s->r;
    if (r->deleting) {
        wait_for(s, STATEFULSET_WHY_SET_DELETING, r->start);
        return;
    }
    if (r->recreate && !recreate(s)) {
        return;
    }
    replace_stuck(s);
    if (r->parallel) {
        parallel_replicas(s);
    } else if (!ordered_replicas(s)) {
        return;
    }
    if (!process_condemned(s) || r->on_delete || r->recreate) {
        return;
    }
    if (r->max_unavailable > 0) {
        update_within_budget(s);
    } else {
        update_one_by_one(s);
    }
}

static struct pass pass_of(const struct statefulset_index *ix)
{
    assert(ix);
    struct pass s = {.ix = ix, .r = &ix->rules, .first = ix->rules.start};
    assert(s.first >= 0);
    s.end = statefulset_end(s.r);
    assert(s.end >= s.first + s.r->replicas);
    s.updated_from = s.first + s.r->partition;
    return s;
}

/* To plan again at once makes sense only after something has changed. */
static bool makes_progress(const struct statefulset_plan *plan)
{
    assert(plan->action_count <= STATEFULSET_ACTIONS_MAX);
    for (size_t i = 0; i < plan->action_count; i++) {
        if (plan->actions[i].kind != STATEFULSET_REFUSE_CREATE) {
            return true;
        }
    }
    return false;
}

void statefulset_plan(const struct statefulset_view *view, struct statefulset_plan *ret)
{
    assert(view);
    assert(ret);
    assert(view->hole_count == 0 || view->holes);
    struct pass s = pass_of(view->index);
    assert(view->hole_count <= STATEFULSET_HOLES_MAX);
    s.v = view;
    s.plan = ret;
    ret->action_count = 0;
    ret->status = (struct statefulset_status){0};
    ret->again = false;
    ret->recreating = false;
    ret->waiting = STATEFULSET_WHY_NONE;
    ret->waiting_ordinal = 0;
    count(&s);
    run(&s);
    find_blocking(&s);
    finish_status(&s);
    ret->again = ret->again && makes_progress(ret);
    assert(ret->status.updated <= ret->status.replicas);
    assert(ret->status.current <= ret->status.replicas);
    assert(ret->waiting == STATEFULSET_WHY_NONE || ret->waiting_ordinal >= 0);
    assert(ret->blocking >= -1);
    assert(!ret->again || ret->action_count > 0);
    assert(!s.r->deleting || ret->action_count == 0);
    assert(ret->action_count <= STATEFULSET_ACTIONS_MAX);
    assert(ret->status.available <= ret->status.ready);
    assert(ret->status.well <= ret->status.available);
}

size_t statefulset_holes(const struct statefulset_index *index, int32_t ret[STATEFULSET_HOLES_MAX])
{
    assert(index);
    assert(ret);
    struct pass s = pass_of(index);
    size_t max = s.r->parallel ? STATEFULSET_HOLES_MAX : (size_t)window_of(s.r);
    size_t n = 0;
    for (int64_t at = first_gap(&s, s.first); at < s.end && n < max; at = first_gap(&s, at + 1)) {
        ret[n++] = (int32_t)at;
        assert(statefulset_is_wanted(s.r, at));
    }
    assert(n <= STATEFULSET_HOLES_MAX);
    return n;
}

int32_t statefulset_max_unavailable(int64_t value, bool percent, int32_t replicas)
{
    assert(replicas >= 0);
    if (percent) {
        value = value * replicas / 100;
    }
    return value < 1 ? 1 : value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

int32_t statefulset_ordinal(struct span pod_name, struct span set_name)
{
    if (pod_name.n <= set_name.n + 1 || !span_starts(pod_name, set_name) ||
        pod_name.p[set_name.n] != '-') {
        return -1;
    }
    struct span digits = span_from(pod_name, set_name.n + 1);
    if (digits.p[0] < '0' || digits.p[0] > '9' || (digits.p[0] == '0' && digits.n > 1)) {
        return -1; /* a sign; or "web-03", which is not the name of ordinal 3 */
    }
    uint64_t ordinal = 0;
    assert(digits.n > 0);
    return span_to_u64(digits, &ordinal) && ordinal <= INT32_MAX ? (int32_t)ordinal : -1;
}

const char *statefulset_why_text(enum statefulset_why why)
{
    static const char *const text[] = {
        [STATEFULSET_WHY_NONE] = "nothing",
        [STATEFULSET_WHY_SCALE_UP] = "scaling up",
        [STATEFULSET_WHY_SCALE_DOWN] = "scaling down",
        [STATEFULSET_WHY_TERMINAL] = "replacing a pod that has ended",
        [STATEFULSET_WHY_UPDATE] = "updating",
        [STATEFULSET_WHY_STUCK] = "replacing a pod that was superseded before it was ever ready",
        [STATEFULSET_WHY_RECREATE] = "recreating",
        [STATEFULSET_WHY_SET_DELETING] = "the set is being deleted",
        [STATEFULSET_WHY_POD_TERMINATING] = "the pod is terminating",
        [STATEFULSET_WHY_POD_NOT_READY] = "the pod is not ready",
        [STATEFULSET_WHY_POD_NOT_AVAILABLE] = "the pod is ready, but not yet for minReadySeconds",
        [STATEFULSET_WHY_CLAIM_STALE] = "a former pod's claim is about to be removed",
        [STATEFULSET_WHY_CLAIM_TERMINATING] = "a claim of the pod is being deleted",
    };
    assert((size_t)why < sizeof text / sizeof text[0]);
    return text[why];
}
