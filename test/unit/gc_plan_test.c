/* test/unit/gc_plan_test.c: every view with up to three owners. */
#include "plan/gc_plan.h"

#include "kit/kit.h"

enum { STATES = 5 };

static void check(const struct gc_view *v, enum gc_action a)
{
    size_t n[STATES] = {0};
    for (size_t i = 0; i < v->owner_count; i++) {
        n[v->owners[i]]++;
    }
    bool deletes = a == GC_DELETE || a == GC_DELETE_FOREGROUND;
    bool kept = n[GC_OWNER_PRESENT] + n[GC_OWNER_FOREIGN] > 0;
    if (deletes) { /* never on doubt, never while an owner lives, never without owners, never twice
                    */
        CHECK(!kept && n[GC_OWNER_UNSEEN] == 0 && v->owner_count > 0 && !v->deleting);
    }
    if (a == GC_DROP_OWNERS) {
        CHECK(kept && n[GC_OWNER_ABSENT] + n[GC_OWNER_WAITING] > 0 && !v->deleting);
    }
    if (a == GC_FINISH_ORPHAN) {
        CHECK(v->deleting && v->orphan && v->dependents == 0);
    }
    if (a == GC_FINISH_FOREGROUND) {
        CHECK(v->deleting && v->foreground && v->blocking == 0 && !v->orphan);
    }
    if (!v->deleting && v->owner_count > 0 && !kept && n[GC_OWNER_UNSEEN] == 0) {
        CHECK(deletes || a == GC_UNBLOCK_OWNERS); /* nothing without a living owner stays */
    }
    if (a == GC_UNBLOCK_OWNERS) { /* the next plan deletes */
        CHECK(v->circle && n[GC_OWNER_WAITING] > 0);
        struct gc_view next = *v;
        next.circle = false;
        CHECK_EQ(gc_plan(&next), GC_DELETE_FOREGROUND);
    }
    if (a == GC_ASK_OWNERS) {
        CHECK(n[GC_OWNER_UNSEEN] > 0);
    }
}

TEST(gc_plan_every_small_view)
{
    int plans = 0;
    for (int code = 0; code < 4 * STATES * STATES * STATES * 8 * 3; code++) {
        int c = code;
        enum gc_owner owners[3];
        struct gc_view v = {.owners = owners};
        v.owner_count = (size_t)(c % 4);
        c /= 4;
        for (int i = 0; i < 3; i++, c /= STATES) {
            owners[i] = (enum gc_owner)(c % STATES);
        }
        v.deleting = c % 2;
        v.foreground = c / 2 % 2;
        v.orphan = c / 4 % 2;
        v.dependents = (size_t)(c / 8 % 3);
        for (v.blocking = 0; v.blocking <= v.dependents; v.blocking++) {
            check(&v, gc_plan(&v));
            struct gc_view bare = v;
            bare.dependents = bare.blocking = 0;
            bare.circle = false;
            CHECK(gc_asks_dependents(&v) || gc_plan(&bare) == gc_plan(&v));
            plans++;
        }
        v.circle = v.dependents > 0;
        v.blocking = 0;
        check(&v, gc_plan(&v));
    }
    CHECK(plans > 20000);
}
