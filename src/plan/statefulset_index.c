/* plan/statefulset_index.c: see statefulset_index.h. */
#include "plan/statefulset_index.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

struct entry {
    struct ordinal_entry at; /* first */
    struct statefulset_pod pod;
    struct heap_node due;
};

static struct entry *entry_of(struct ordinal_entry *e)
{
    return (struct entry *)e;
}

/* ---- ranges ---- */

int64_t statefulset_end(const struct statefulset_rules *r)
{
    assert(r->replicas >= 0);
    assert(r->start >= 0);
    assert(r->reserved_count <= STATEFULSET_RESERVED_MAX);
    int64_t end = (int64_t)r->start + r->replicas;
    for (size_t i = 0; i < r->reserved_count; i++) {
        end += r->reserved[i] >= r->start && r->reserved[i] < end;
    }
    return end;
}

bool statefulset_is_reserved(const struct statefulset_rules *r, int64_t ordinal)
{
    assert(r);
    assert(r->reserved_count <= STATEFULSET_RESERVED_MAX);
    for (size_t i = 0; i < r->reserved_count; i++) {
        if (r->reserved[i] == ordinal) {
            return true;
        }
    }
    return false;
}

bool statefulset_is_wanted(const struct statefulset_rules *r, int64_t ordinal)
{
    assert(r);
    return ordinal >= r->start && ordinal < statefulset_end(r) &&
           !statefulset_is_reserved(r, ordinal);
}

/* ---- marks ---- */

static bool is_ready(const struct statefulset_pod *p)
{
    return p->phase == STATEFULSET_RUNNING && p->ready;
}

static int64_t available_at_ms(const struct statefulset_rules *r, const struct statefulset_pod *p)
{
    return p->ready_since_ms + (int64_t)r->min_ready_s * 1000;
}

/* What a pod is, in itself. */
struct traits {
    bool ready, available, well, ended, going, stuck;
};

static struct traits traits_of(const struct statefulset_index *ix, const struct statefulset_pod *p,
                               bool wanted)
{
    assert(p->ordinal >= 0);
    const struct statefulset_rules *r = &ix->rules;
    struct traits t = {.ready = is_ready(p)};
    t.ended = p->phase == STATEFULSET_FAILED || p->phase == STATEFULSET_SUCCEEDED;
    t.available = t.ready && (r->min_ready_s == 0 ||
                              (p->ready_since_ms > 0 && ix->now_ms >= available_at_ms(r, p)));
    t.well = t.available && !p->terminating;
    assert(!t.available || t.ready);
    t.going = t.ended || p->terminating;
    bool rolling =
        !r->on_delete && !r->recreate && wanted && p->ordinal >= (int64_t)r->start + r->partition;
    t.stuck = rolling && !p->at_update && !t.going && !t.ready && !p->was_ready;
    assert(!t.stuck || !t.well);
    return t;
}

static bool wants_fix(const struct statefulset_rules *r, const struct statefulset_pod *p,
                      const struct traits *t, bool wanted)
{
    assert(t);
    bool owner_fits = p->claims.owner_fits & (1u << statefulset_claim_owner(r, !wanted));
    if (!wanted) {
        return !owner_fits;
    }
    bool pending = p->phase == STATEFULSET_PENDING;
    bool may = t->well || r->parallel;
    bool claims = !owner_fits || (p->claims.missing && pending && !p->terminating);
    /* Also of a pod on its way out, which would take claims along that still name it although it
     * has to go no more, or the set keeps them now. */
    return !t->ended && !t->stuck &&
           ((claims && (may || pending || p->terminating)) ||
            (may && !p->identity_fits && !p->terminating));
}

static uint32_t marks_of(const struct statefulset_index *ix, const struct statefulset_pod *p,
                         bool wanted)
{
    struct traits t = traits_of(ix, p, wanted);
    bool old = !p->at_update, live = !p->terminating;
    const bool is[MARKS] = {
        [MARK_POD] = true,
        [MARK_READY] = t.ready,
        [MARK_AVAILABLE] = t.available,
        [MARK_WELL] = t.well,
        [MARK_WAITED] = !t.well && !(t.ended && live),
        [MARK_DEAD] = t.ended && live,
        [MARK_CURRENT] = p->at_current && live,
        [MARK_UPDATE] = p->at_update && live,
        [MARK_STOPPING] = !live,
        [MARK_LIVE] = live,
        [MARK_FIX] = wants_fix(&ix->rules, p, &t, wanted),
        [MARK_OLD] = old,
        [MARK_OLD_LIVE] = old && live,
        [MARK_OLD_BROKEN] = old && !t.going && !t.well && !t.stuck,
        [MARK_OLD_WELL] = old && t.well && !p->last,
        [MARK_OLD_LAST] = old && t.well && p->last,
        [MARK_STUCK] = t.stuck,
    };
    uint32_t marks = 0;
    for (int m = 0; m < MARKS; m++) {
        marks |= is[m] ? UINT32_C(1) << m : 0;
    }
    assert(is[MARK_LIVE] != is[MARK_STOPPING]);
    assert(!is[MARK_AVAILABLE] || is[MARK_READY]);
    assert(is[MARK_OLD_WELL] + is[MARK_OLD_LAST] + is[MARK_OLD_BROKEN] + is[MARK_STUCK] <= 1);
    return marks;
}

/* ---- change ---- */

static void entry_free(struct ordinal_entry *e)
{
    free(entry_of(e));
}

void statefulset_index_done(struct statefulset_index *ix)
{
    assert(ix);
    ordinal_tree_done(&ix->wanted, entry_free);
    ordinal_tree_done(&ix->surplus, entry_free);
    heap_done(&ix->due);
    *ix = (struct statefulset_index){0};
}

/* Puts the pod on the clock when only time keeps it from being available. */
static void set_due(struct statefulset_index *ix, struct entry *e)
{
    assert(e->at.marks & 1u << MARK_POD);
    heap_remove(&ix->due, &e->due);
    bool waits = (e->at.marks & 1u << MARK_READY) && !(e->at.marks & 1u << MARK_AVAILABLE);
    if (waits && e->pod.ready_since_ms > 0) {
        heap_insert(&ix->due, &e->due, available_at_ms(&ix->rules, &e->pod));
    }
}

static struct entry *find(const struct statefulset_index *ix, int32_t ordinal, bool *ret_wanted)
{
    assert(ret_wanted);
    struct ordinal_entry *e = ordinal_tree_get(&ix->wanted, ordinal);
    *ret_wanted = e != NULL;
    return entry_of(e ? e : ordinal_tree_get(&ix->surplus, ordinal));
}

static void insert(struct statefulset_index *ix, struct entry *e)
{
    bool wanted = statefulset_is_wanted(&ix->rules, e->pod.ordinal);
    e->at = (struct ordinal_entry){e->pod.ordinal, marks_of(ix, &e->pod, wanted)};
    ordinal_tree_add(wanted ? &ix->wanted : &ix->surplus, &e->at);
    set_due(ix, e);
}

/* Every pod is in the tree that it belongs to, with the marks that it would be given now, and on
 * the clock exactly when only time keeps it from being available. */
static void index_verify(const struct statefulset_index *ix)
{
    const struct ordinal_tree *trees[] = {&ix->surplus, &ix->wanted};
    size_t due = 0;
    if (!verify_due((uint64_t)ix->due.seq + (uint64_t)ix->now_ms, statefulset_index_count(ix))) {
        return;
    }
    for (int wanted = 0; wanted < 2; wanted++) {
        int64_t at = -1;
        while ((at = ordinal_tree_first(trees[wanted], MARK_POD, at + 1)) >= 0) {
            struct entry *e = entry_of(ordinal_tree_get(trees[wanted], (int32_t)at));
            assert(e->pod.ordinal == at);
            assert(e->at.ordinal == at);
            assert(statefulset_is_wanted(&ix->rules, at) == (wanted == 1));
            assert(e->at.marks == marks_of(ix, &e->pod, wanted));
            due += heap_has(&e->due);
        }
    }
    assert(due == ix->due.n);
}

void statefulset_index_put(struct statefulset_index *ix, const struct statefulset_pod *pod)
{
    assert(pod->phase <= STATEFULSET_UNKNOWN);
    assert(pod->ordinal >= 0);
    bool wanted;
    struct entry *e = find(ix, pod->ordinal, &wanted);
    assert(!e || (e->pod.ordinal == pod->ordinal && (e->at.marks & 1u << MARK_POD)));
    bool was_ready = e && e->pod.incarnation == pod->incarnation && e->pod.was_ready;
    bool fresh = !e;
    if (fresh) {
        e = MEM_NEW(struct entry);
    }
    e->pod = *pod;
    e->pod.was_ready |= was_ready || is_ready(pod);
    if (fresh) {
        insert(ix, e);
    } else {
        ordinal_tree_mark(wanted ? &ix->wanted : &ix->surplus, &e->at,
                          marks_of(ix, &e->pod, wanted));
        set_due(ix, e);
    }
}

void statefulset_index_remove(struct statefulset_index *ix, int32_t ordinal)
{
    assert(ordinal >= 0);
    bool wanted;
    struct entry *e = find(ix, ordinal, &wanted);
    if (e) {
        heap_remove(&ix->due, &e->due);
        ordinal_tree_remove(wanted ? &ix->wanted : &ix->surplus, &e->at);
        free(e);
    }
}

/* Takes every pod of a tree out; returns them as an array of `n`. */
static struct entry **take_all(struct ordinal_tree *t, struct entry **to)
{
    assert(to);
    int64_t at;
    while ((at = ordinal_tree_first(t, MARK_POD, 0)) >= 0) {
        struct ordinal_entry *e = ordinal_tree_get(t, (int32_t)at);
        ordinal_tree_remove(t, e);
        *to++ = entry_of(e);
    }
    return to;
}

static bool same_rules(const struct statefulset_rules *a, const struct statefulset_rules *b)
{
    bool same = a->deleting == b->deleting && a->parallel == b->parallel &&
                a->on_delete == b->on_delete && a->recreate == b->recreate &&
                a->has_rolling == b->has_rolling &&
                a->delete_when_scaled == b->delete_when_scaled &&
                a->delete_when_deleted == b->delete_when_deleted && a->replicas == b->replicas &&
                a->start == b->start && a->partition == b->partition &&
                a->max_unavailable == b->max_unavailable && a->min_ready_s == b->min_ready_s &&
                a->window == b->window && a->reserved_count == b->reserved_count;
    for (size_t i = 0; same && i < a->reserved_count; i++) {
        same = a->reserved[i] == b->reserved[i];
    }
    return same;
}

void statefulset_index_rules(struct statefulset_index *ix, const struct statefulset_rules *rules)
{
    assert(rules->replicas >= 0);
    assert(rules->start >= 0);
    assert(rules->partition >= 0);
    assert(rules->max_unavailable >= 0);
    assert(rules->reserved_count <= STATEFULSET_RESERVED_MAX);
    if (same_rules(&ix->rules, rules)) {
        return;
    }
    ix->rules = *rules;
    size_t n = statefulset_index_count(ix);
    struct entry **all = mem_new((n + 1) * sizeof(struct entry *));
    struct entry **end = take_all(&ix->surplus, take_all(&ix->wanted, all));
    assert((size_t)(end - all) == n);
    for (size_t i = 0; i < n; i++) {
        insert(ix, all[i]);
    }
    free(all);
}

void statefulset_index_advance(struct statefulset_index *ix, int64_t now_ms)
{
    assert(now_ms >= 0);
    ix->now_ms = now_ms > ix->now_ms ? now_ms : ix->now_ms;
    struct heap_node *first;
    while ((first = heap_min(&ix->due)) && first->key <= ix->now_ms) {
        struct entry *e = (struct entry *)(void *)((char *)first - offsetof(struct entry, due));
        bool wanted;
        struct entry *same = find(ix, e->pod.ordinal, &wanted);
        assert(same == e);
        ordinal_tree_mark(wanted ? &ix->wanted : &ix->surplus, &e->at,
                          marks_of(ix, &e->pod, wanted));
        set_due(ix, e);
        assert(!heap_has(&e->due));
    }
    index_verify(ix);
}

const struct statefulset_pod *statefulset_index_get(const struct statefulset_index *ix,
                                                    int32_t ordinal)
{
    assert(ix);
    bool wanted;
    struct entry *e = find(ix, ordinal, &wanted);
    return e ? &e->pod : NULL;
}

size_t statefulset_index_count(const struct statefulset_index *ix)
{
    assert(ix);
    return (size_t)ordinal_tree_count(&ix->wanted, MARK_POD) +
           (size_t)ordinal_tree_count(&ix->surplus, MARK_POD);
}
