/* controller/statefulset_state.c: what is remembered of a set between its syncs. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "controller/statefulset_priv.h"

static void state_free(struct set_state *state)
{
    free((void *)state->refused.p);
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
        map_put(&c->states, state->uid, state);
    }
    return state;
}

void statefulset_state_drop(struct statefulset_controller *c, struct span uid)
{
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
