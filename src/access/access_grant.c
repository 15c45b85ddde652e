/* access/access_grant.c: nobody gives what they do not have.
 *
 * What is wanted is taken apart into single things (a verb on a resource of a group, of one name or
 * of all; a verb on a path): of those each is held by one rule or by none. What is not held is told
 * with the verbs of one thing together, in the order of the texts. */
#include <stdlib.h>

#include "access/access.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"

/* A thing with the verbs on it that are missing. */
struct missing {
    struct access_rule rule; /* all but verbs: one element each at most */
    VEC(struct span) verbs;
};

struct grant {
    struct arena *arena;
    const struct access_rules *held;
    struct map things; /* text of the thing -> struct missing */
    VEC(struct missing *) found;
    size_t tuples;
};

static bool is_held(const struct access_rules *held, const struct access_rule *wanted)
{
    for (size_t i = 0; i < held->n; i++) {
        if (access_rule_covers(&held->at[i], wanted)) {
            return true;
        }
    }
    return false;
}

/* `thing` has no verbs yet. */
static void miss(struct grant *g, struct access_rule thing, struct span verb)
{
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    access_rule_text(&thing, &text);
    struct missing *m = map_get(&g->things, strbuf_span(&text));
    if (!m) {
        m = ARENA_NEW(g->arena, struct missing);
        m->rule = thing;
        (void)map_put(&g->things, arena_dup(g->arena, strbuf_span(&text)), m);
        VEC_PUSH(&g->found, m);
    }
    VEC_PUSH(&m->verbs, verb);
}

/* Each verb on one thing. */
static void look(struct grant *g, struct access_rule thing, struct access_list verbs)
{
    for (size_t i = 0; i < verbs.n && g->tuples <= LIMIT_ACCESS_TUPLES; i++) {
        struct access_rule wanted = thing;
        wanted.verbs = (struct access_list){&verbs.at[i], 1};
        g->tuples++;
        if (!is_held(g->held, &wanted)) {
            miss(g, thing, verbs.at[i]);
        }
    }
}

static void look_at_names(struct grant *g, struct access_rule thing, const struct access_rule *rule)
{
    if (rule->names.n == 0) {
        look(g, thing, rule->verbs);
    }
    for (size_t i = 0; i < rule->names.n && g->tuples <= LIMIT_ACCESS_TUPLES; i++) {
        thing.names = (struct access_list){&rule->names.at[i], 1};
        look(g, thing, rule->verbs);
    }
}

static void take_apart(struct grant *g, const struct access_rule *rule)
{
    for (size_t i = 0; i < rule->groups.n; i++) {
        for (size_t k = 0; k < rule->resources.n && g->tuples <= LIMIT_ACCESS_TUPLES; k++) {
            struct access_rule thing = {.groups = {&rule->groups.at[i], 1},
                                        .resources = {&rule->resources.at[k], 1}};
            look_at_names(g, thing, rule);
        }
    }
    for (size_t i = 0; i < rule->urls.n && g->tuples <= LIMIT_ACCESS_TUPLES; i++) {
        struct access_rule thing = {.urls = {&rule->urls.at[i], 1}};
        look(g, thing, rule->verbs);
    }
}

static int by_text(const void *x, const void *y)
{
    return span_cmp(*(const struct span *)x, *(const struct span *)y);
}

/* One line a thing, sorted; verbs of paths stand alone, as Kubernetes puts only those of resources
 * together. */
static void put_missing(struct grant *g, struct strbuf *out)
{
    VEC(struct span) lines = {0};
    for (size_t i = 0; i < g->found.n; i++) {
        struct missing *m = g->found.at[i];
        size_t step = m->rule.urls.n ? 1 : m->verbs.n;
        for (size_t k = 0; k < m->verbs.n; k += step) {
            struct strbuf line cleanup_strbuf = STRBUF_INIT;
            m->rule.verbs = (struct access_list){&m->verbs.at[k], step};
            access_rule_text(&m->rule, &line);
            VEC_PUSH(&lines, arena_dup(g->arena, strbuf_span(&line)));
        }
    }
    if (lines.n) {
        qsort(lines.at, lines.n, sizeof *lines.at, by_text);
    }
    for (size_t i = 0; i < lines.n; i++) {
        if (i == 0 || !span_eq(lines.at[i], lines.at[i - 1])) {
            strbuf_puts(out, "\n");
            strbuf_put(out, lines.at[i]);
        }
    }
    VEC_DONE(&lines);
}

static struct span attempt(struct grant *g, const struct access_user *user, struct span fault)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&out, "user ");
    strbuf_put_quoted(&out, user->name);
    strbuf_puts(&out, " (groups=");
    access_list_text(user->groups, &out);
    strbuf_puts(&out, ") is attempting to grant RBAC permissions not currently held:");
    put_missing(g, &out);
    if (fault.n) {
        strbuf_printf(&out, "; resolution errors: [%.*s]", SPAN_ARG(fault));
    }
    return arena_dup(g->arena, strbuf_span(&out));
}

bool access_may_grant(struct arena *a, const struct access_user *user,
                      const struct access_rules *held, struct span fault,
                      const struct access_rules *wanted, struct span *ret_fault)
{
    assert(user);
    assert(held);
    assert(wanted);
    assert(ret_fault);
    struct grant g = {.arena = a, .held = held};
    for (size_t i = 0; i < wanted->n; i++) {
        if (!is_held(held, &wanted->at[i])) {
            take_apart(&g, &wanted->at[i]);
        }
    }
    bool too_many = g.tuples > LIMIT_ACCESS_TUPLES, held_all = g.found.n == 0 && !too_many;
    if (too_many) {
        *ret_fault =
            arena_printf(a,
                         "these rules name more than %d single permissions (groups times "
                         "resources times names times verbs) that no rule of yours holds "
                         "as a whole, too many to look through: give them in several roles",
                         LIMIT_ACCESS_TUPLES);
    } else if (!held_all) {
        *ret_fault = attempt(&g, user, fault);
    }
    for (size_t i = 0; i < g.found.n; i++) {
        VEC_DONE(&g.found.at[i]->verbs);
    }
    VEC_DONE(&g.found);
    map_done(&g.things);
    return held_all;
}
