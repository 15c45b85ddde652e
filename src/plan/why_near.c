/* plan/why_near.c: see why_near.h. Reads the form that schedule_plan.c, affinity_plan.c and
 * spread_plan.c write: "0/N nodes are available: N REASON. NOTE". */
#include "plan/why_near.h"

#include "base/check.h"

/* Cuts what stands before `mark` off, and the mark; false, and nothing is cut: it is not there. */
static bool cut(struct span *text, const char *mark, struct span *ret)
{
    struct span m = span_cstr(mark);
    assert(m.n > 0);
    for (size_t i = 0; i + m.n <= text->n; i++) {
        if (span_starts(span_from(*text, i), m)) {
            *ret = span_first(*text, i);
            *text = span_from(*text, i + m.n);
            return true;
        }
    }
    return false;
}

static struct span each(struct arena *a, struct span count)
{
    return span_eq_cstr(count, "1") ? SPAN("the only node")
                                    : arena_printf(a, "each of the %.*s nodes", SPAN_ARG(count));
}

/* own: the rule is the pod's, not that of a pod that is there. PLACE stands between the two texts.
 */
static struct span apart(struct arena *a, struct span count, struct span note, const char *begin,
                         const char *end, bool own)
{
    struct span place, before;
    if (!cut(&note, begin, &before) || !cut(&note, end, &place)) {
        return SPAN_NULL;
    }
    bool node = span_eq_cstr(place, "node");
    struct span at =
        node ? SPAN("already runs") : arena_printf(a, "is in a %.*s with", SPAN_ARG(place));
    return arena_printf(a,
                        "%.*s %.*s a pod that %smust not share %s with%s (%.*s): add a node%s or "
                        "make the rule%s preferred",
                        SPAN_ARG(each(a, count)), SPAN_ARG(at), own ? "it " : "",
                        node ? "a node" : "one", own ? "" : " it", SPAN_ARG(note),
                        node ? "" : " elsewhere", own ? "" : " of that pod");
}

/* "It must not share a PLACE with WHO" */
static struct span avoids(struct arena *a, struct span count, struct span note)
{
    return apart(a, count, note, "It must not share a ", " with ", true);
}

/* "Pods that are there must not share a PLACE with it: WHO" */
static struct span avoided(struct arena *a, struct span count, struct span note)
{
    return apart(a, count, note, "there must not share a ", " with it: ", false);
}

/* "It must share a PLACE with a pod that ..." */
static struct span misses(struct arena *a, struct span count, struct span note)
{
    struct span before;
    (void)count;
    return cut(&note, "It must share ", &before)
               ? arena_printf(a,
                              "none is where it has to be: it must share %.*s; start such a pod or "
                              "make the rule preferred",
                              SPAN_ARG(note))
               : SPAN_NULL;
}

/* "Pods that have the labels L are spread over each PLACE with maxSkew N: X has 1, Y has 0" */
static struct span uneven(struct arena *a, struct span count, struct span note)
{
    struct span rule, before;
    return cut(&note, "Pods that ", &before) && cut(&note, ": ", &rule)
               ? arena_printf(a,
                              "on %.*s it would be one too many: pods that %.*s (%.*s); add a node "
                              "where there are fewer or set whenUnsatisfiable to ScheduleAnyway",
                              SPAN_ARG(each(a, count)), SPAN_ARG(rule), SPAN_ARG(note))
               : SPAN_NULL;
}

static struct span unlabelled(struct arena *a, struct span count, struct span note)
{
    struct span before;
    (void)count;
    return cut(&note, "Pods that ", &before)
               ? arena_printf(a,
                              "none has the label by which it is to be spread: pods that %.*s; "
                              "\"kubectl label node NODE LABEL=PLACE\" says where a node is",
                              SPAN_ARG(note))
               : SPAN_NULL;
}

struct span why_near(struct arena *a, struct span message)
{
    static const struct {
        const char *reason;
        struct span (*words)(struct arena *a, struct span count, struct span note);
    } known[] = {
        {"node(s) didn't match pod anti-affinity rules", avoids},
        {"node(s) didn't satisfy existing pods anti-affinity rules", avoided},
        {"node(s) didn't match pod affinity rules", misses},
        {"node(s) didn't match pod topology spread constraints", uneven},
        {"node(s) didn't match pod topology spread constraints (missing required label)",
         unlabelled},
    };
    assert(a);
    struct span rest = message, before, nodes, count, reason;
    if (!cut(&rest, "/", &before) || !cut(&rest, " nodes are available: ", &nodes) ||
        !cut(&rest, " ", &count) || !cut(&rest, ". ", &reason) || !span_eq(nodes, count) ||
        !span_ends(rest, SPAN("."))) {
        return SPAN_NULL;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_eq_cstr(reason, known[i].reason)) {
            return known[i].words(a, count, span_first(rest, rest.n - 1));
        }
    }
    return SPAN_NULL;
}
