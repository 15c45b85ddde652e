/* controller/statefulset_state.c: what is remembered of a set between its syncs. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "controller/statefulset_priv.h"

/* Changed ordinals that nobody has looked at: beyond, doubles are dropped. */
enum { MANY = 1024 };

static void state_free(struct set_state *state)
{
    statefulset_index_done(&state->index);
    VEC_DONE(&state->dirty);
    free((void *)state->refused.p);
    free((void *)state->current_name.p);
    free((void *)state->update_name.p);
    free((void *)state->order.p);
    free((void *)state->uid.p);
    free(state);
}

static struct span keep(struct span s)
{
    char *p = mem_new(s.n + 1);
    memcpy(p, s.n ? s.p : "", s.n);
    return span_of(p, s.n);
}

struct set_state *statefulset_state_get(struct statefulset_controller *c, struct span uid)
{
    assert(uid.n > 0);
    struct set_state *state = map_get(&c->states, uid);
    if (!state) {
        state = MEM_NEW(struct set_state);
        state->uid = keep(uid);
        state->look_at_all = state->orphans = true;
        map_put(&c->states, state->uid, state);
    }
    assert(span_eq(state->uid, uid));
    return state;
}

struct set_state *statefulset_state_find(struct statefulset_controller *c, struct span uid)
{
    assert(c);
    return uid.n ? map_get(&c->states, uid) : NULL;
}

static int by_value(const void *a, const void *b)
{
    int32_t l = *(const int32_t *)a, r = *(const int32_t *)b;
    return (l > r) - (l < r);
}

static void drop_doubles(struct set_state *state)
{
    assert(state->dirty.n > 0);
    int32_t *at = state->dirty.at;
    size_t n = 1;
    qsort(at, state->dirty.n, sizeof *at, by_value);
    for (size_t i = 1; i < state->dirty.n; i++) {
        if (at[i] != at[n - 1]) {
            at[n++] = at[i];
        }
    }
    assert(n <= state->dirty.n);
    state->dirty.n = n;
}

void statefulset_state_dirty(struct set_state *state, int32_t ordinal)
{
    assert(ordinal >= 0);
    size_t n = state->dirty.n;
    if (n > 0 && state->dirty.at[n - 1] == ordinal) {
        return;
    }
    VEC_PUSH(&state->dirty, ordinal);
    if (state->dirty.n >= MANY && (state->dirty.n & (state->dirty.n - 1)) == 0) {
        drop_doubles(state);
    }
}

static void replace(struct span *at, struct span by)
{
    free((void *)at->p);
    *at = keep(by);
}

void statefulset_state_revisions(struct set_state *state, struct span current, struct span update)
{
    assert(update.n > 0);
    if (span_eq(state->current_name, current) && span_eq(state->update_name, update)) {
        return;
    }
    replace(&state->current_name, current);
    replace(&state->update_name, update);
    state->look_at_all = true;
    state->trouble_told = 0;
}

void statefulset_state_order(struct set_state *state, struct span order)
{
    if (!span_eq(state->order, order)) {
        replace(&state->order, order);
        state->look_at_all = true;
    }
}

void statefulset_state_drop(struct statefulset_controller *c, struct span uid)
{
    assert(uid.n > 0);
    struct set_state *state = map_remove(&c->states, uid);
    if (state) {
        state_free(state);
    }
}

void statefulset_states_done(struct statefulset_controller *c)
{
    size_t at = 0;
    struct span uid;
    struct set_state *state;
    while ((state = map_next(&c->states, &at, &uid))) {
        assert(state);
        state_free(state);
    }
    map_done(&c->states);
}

void statefulset_state_refused(struct statefulset_controller *c, struct span uid, int32_t ordinal,
                               struct span text)
{
    assert(ordinal >= 0);
    struct set_state *state = map_get(&c->states, uid);
    if (!state || (text.n == 0 && state->refused_ordinal != ordinal)) {
        return;
    }
    free((void *)state->refused.p);
    state->refused = text.n ? keep(text) : SPAN_NULL;
    state->refused_ordinal = ordinal;
}
