/* sim/requests.c: a user's request, waited for. */
#include <stdio.h>

#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/platform_priv.h"

enum { ANSWER_MS = 1000 };

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
    w->asked_from_rev = link_from_rev(rq);
    w->figures.requests++;
    client_do(w->client, rq, on_answer, w);
    int64_t until_ms = sim_now_ms(w) + ANSWER_MS, server_started_ms = w->started_ms;
    while (!w->answered && sim_now_ms(w) < until_ms) {
        (void)sim_one_turn(w, until_ms);
        if (dies && w->env && sim_roll(w, 3) == 0) {
            sim_say(w, "the server is killed under a request");
            sim_saw(w, SIM_DEED_KILL_UNDER_REQUEST);
            sim_kill_server(w);
        }
        if (server_started_ms != w->started_ms || !w->env) {
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
    return w->answered && w->answer == ERR_NONE;
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
