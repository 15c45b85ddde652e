/* plan/gc_plan.c: see gc_plan.h. */
#include "plan/gc_plan.h"

#include "base/check.h"

static size_t count(const struct gc_view *v, enum gc_owner state)
{
    size_t n = 0;
    for (size_t i = 0; i < v->owner_count; i++) {
        n += v->owners[i] == state;
    }
    return n;
}

static enum gc_action plan_owned(const struct gc_view *v)
{
    assert(v->owners);
    size_t solid = count(v, GC_OWNER_PRESENT) + count(v, GC_OWNER_FOREIGN);
    size_t waiting = count(v, GC_OWNER_WAITING), absent = count(v, GC_OWNER_ABSENT);
    if (count(v, GC_OWNER_UNSEEN) > 0) {
        return GC_ASK_OWNERS;
    }
    assert(v->owner_count > 0);
    assert(!v->deleting);
    assert(solid + waiting + absent == v->owner_count);
    if (solid > 0) {
        return waiting + absent > 0 ? GC_DROP_OWNERS : GC_NOTHING;
    }
    if (waiting > 0 && v->dependents > 0) {
        return v->circle ? GC_UNBLOCK_OWNERS : GC_DELETE_FOREGROUND;
    }
    return GC_DELETE;
}

bool gc_asks_dependents(const struct gc_view *view)
{
    assert(view->owners || view->owner_count == 0);
    return view->deleting ? view->orphan || view->foreground : count(view, GC_OWNER_WAITING) > 0;
}

enum gc_action gc_plan(const struct gc_view *view)
{
    assert(view);
    assert(view->blocking <= view->dependents);
    assert(view->owners || view->owner_count == 0);
    if (view->deleting && view->orphan) {
        return view->dependents > 0 ? GC_RELEASE_DEPENDENTS : GC_FINISH_ORPHAN;
    }
    if (view->deleting && view->foreground) {
        return view->blocking > 0 ? GC_DELETE_DEPENDENTS : GC_FINISH_FOREGROUND;
    }
    if (view->deleting || view->owner_count == 0) {
        return GC_NOTHING;
    }
    return plan_owned(view);
}
