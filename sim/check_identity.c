/* sim/check_identity.c: at most one live pod of an identity, by what the machines run and not by
 * what the API says. Looked at with every start of a container. Who deletes a pod by force says
 * that it is dead: that pod does not count on another machine; on its own one, whose agent sees
 * it, its successor waits all the same. Checker: identity. */
#include "runtime/runtime_fake.h"
#include "sim/check.h"
#include "sim/platform_priv.h"

struct look {
    struct platform *w;
    struct span ns, name, uid;
    bool is_here, another_is_here; /* on the machine that is looked at */
};

static bool is_forced(const struct platform *w, struct span uid)
{
    for (size_t i = 0; i < w->forced.n; i++) {
        if (span_eq_cstr(uid, w->forced.at[i])) {
            return true;
        }
    }
    return false;
}

static void see(void *data, struct span ns, struct span name, struct span uid)
{
    struct look *l = data;
    if (!span_eq(ns, l->ns) || !span_eq(name, l->name)) {
        return;
    }
    if (span_eq(uid, l->uid)) {
        l->is_here = true;
        return;
    }
    l->another_is_here = true;
    if (!is_forced(l->w, uid) && !is_forced(l->w, l->uid)) {
        sim_fail(l->w, "identity", "%.*s starts (%.*s), and the one before runs (%.*s)",
                 SPAN_ARG(name), SPAN_ARG(l->uid), SPAN_ARG(uid));
    }
}

void check_identity(struct platform *w, struct span ns, struct span name, struct span uid)
{
    for (size_t i = 0; i < NODES; i++) {
        struct look l = {.w = w, .ns = ns, .name = name, .uid = uid};
        runtime_fake_each(w->nodes[i].runtime, see, &l);
        if (l.is_here && l.another_is_here) {
            sim_fail(w, "identity", "two of %.*s run on %s", SPAN_ARG(name), w->nodes[i].name);
        }
    }
}
