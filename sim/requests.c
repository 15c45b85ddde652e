/* sim/requests.c: a user's request, waited for; and those that the dead had sent. */
#include <stdio.h>

#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"

enum { ANSWER_MS = 1000, ORPHAN_MS = 500 };

static void on_answer(void *data, const struct client_reply *r)
{
    struct platform *w = data;
    w->answered = true;
    w->answer = r->err.reason;
    sim_note_acked(w, CLIENT_UPDATE, r, w->asked_from_rev);
    if (r->err.reason != ERR_NONE) {
        (void)snprintf(w->answer_text, sizeof w->answer_text, "%.*s", SPAN_ARG(r->err.message));
    }
}

/* Asked for is enough: the answer may be lost. */
static void note_asked(struct platform *w, const struct client_request *rq)
{
    int claim = rq->verb == CLIENT_DELETE && rq->kind == SCHEMA_KIND(PersistentVolumeClaim)
                    ? sim_ordinal(rq->name, "data-redis-")
                    : -1;
    if (claim >= 0) {
        w->seats[claim].claim_asked = true;
    }
    if (rq->verb == CLIENT_DELETE && rq->kind == SCHEMA_KIND(StatefulSet) &&
        rq->propagation != CLIENT_PROPAGATION_ORPHAN) {
        w->orphaned_uid[0] = '\0'; /* he may have changed his mind */
    }
}

/* The ordinal of a pod that is to be evicted at the cost of the budget; -1: none is. */
static int evicted_by(struct platform *w, const struct client_request *rq)
{
    int ordinal = rq->kind == SCHEMA_KIND(Pod) && span_eq_cstr(rq->subresource, "eviction")
                      ? sim_ordinal(rq->name, "redis-")
                      : -1;
    return ordinal >= 0 && neighbours_budget_counts(w, ordinal) ? ordinal : -1;
}

/* A user waits for up to a second; the server may be killed meanwhile. */
bool platform_request(struct platform *w, const struct client_request *rq)
{
    w->answered = false;
    if (!w->env) {
        return false;
    }
    bool dies = !w->calm && sim_roll(w, 40) == 0;
    int evicted = evicted_by(w, rq);
    note_asked(w, rq);
    allowance_asked(w, rq, false);
    struct arena *a cleanup_arena = arena_new();
    w->asked_from_rev = link_from_rev(a, rq);
    w->figures.requests++;
    client_do(w->client, rq, on_answer, w);
    int64_t until_ms = sim_now_ms(w) + ANSWER_MS;
    int life = w->server_life;
    while (!w->answered && sim_now_ms(w) < until_ms) {
        (void)sim_one_turn(w, until_ms);
        if (dies && w->env && sim_roll(w, 3) == 0) {
            sim_say(w, "the server is killed under a request");
            sim_saw(w, SIM_DEED_KILL_UNDER_REQUEST);
            sim_kill_server(w);
        }
        if (life != w->server_life || !w->env) {
            return false; /* nobody will answer */
        }
    }
    if (!w->answered) {
        client_cancel(w->client, w);
    }
    w->figures.refused += w->answered && w->answer != ERR_NONE;
    if (evicted >= 0 && w->answered && w->answer == ERR_NONE) {
        neighbours_on_eviction(w, evicted, until_ms - ANSWER_MS);
    }
    bool done = w->answered && w->answer == ERR_NONE;
    allowance_asked(w, rq, done);
    return done;
}

struct client_request sim_user_request(enum client_verb verb, const struct schema_kind *kind,
                                       struct span name, struct span body)
{
    return (struct client_request){CLIENT_REQUEST_INIT,
                                   .verb = verb,
                                   .kind = kind,
                                   .ns = kind->namespaced ? SPAN("default") : SPAN_NULL,
                                   .name = verb == CLIENT_CREATE ? SPAN_NULL : name,
                                   .body = body,
                                   .field_manager = SPAN("user")};
}

void sim_request(struct platform *w, enum sim_deed deed, const struct client_request *rq,
                 const char *what)
{
    bool ok = platform_request(w, rq);
    sim_asked(w, deed);
    sim_say(w, "%s %s %.*s%.*s: %s",
            rq->verb == CLIENT_CREATE   ? "create"
            : rq->verb == CLIENT_DELETE ? "delete"
                                        : "patch",
            what, SPAN_ARG(rq->name), SPAN_ARG(rq->body), ok ? "done" : "no answer, or refused");
}

void sim_ask(struct platform *w, enum sim_deed deed, enum client_verb verb,
             const struct schema_kind *kind, struct span name, struct span body)
{
    const struct client_request rq = sim_user_request(verb, kind, name, body);
    sim_request(w, deed, &rq, kind->kind);
}

/* ---- of the dead ---- */

void sim_note_orphan(void *platform, const struct client_request *rq)
{
    struct platform *w = platform;
    bool writes = rq->verb != CLIENT_GET && rq->verb != CLIENT_LIST;
    if (!w->calm && writes && sim_roll(w, 2)) {
        struct arena *a = arena_new();
        struct sim_orphan o = {a, link_request_dup(a, rq),
                               sim_now_ms(w) + (int64_t)sim_roll(w, ORPHAN_MS)};
        VEC_PUSH(&w->orphans, o);
    }
}

int64_t sim_next_orphan_ms(const struct platform *w, int64_t until_ms)
{
    int64_t next_ms = until_ms;
    for (size_t i = 0; i < w->orphans.n; i++) {
        int64_t due_ms = w->orphans.at[i].due_ms;
        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms > sim_now_ms(w) ? next_ms : sim_now_ms(w);
}

/* No server, no request. */
void sim_send_orphans(struct platform *w, bool all)
{
    for (size_t i = w->orphans.n; i-- > 0;) {
        struct sim_orphan o = w->orphans.at[i];
        if (!all && o.due_ms > sim_now_ms(w)) {
            continue;
        }
        if (w->env && !all) {
            client_do(w->client, &o.rq, NULL, NULL);
            sim_saw(w, SIM_DEED_ORPHAN);
        }
        arena_free(o.arena);
        VEC_REMOVE(&w->orphans, i);
    }
}
