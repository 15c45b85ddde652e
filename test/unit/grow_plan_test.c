/* test/unit/grow_plan_test.c: claims that grow, in every state that they can be found in. */
#include "plan/grow_plan.h"

#include "kit/kit.h"

/* What is written down, and the machine behind it. */
struct world {
    struct grow_view view;
    int64_t disk, files;
    bool job_files;
};

enum { ASKED_MAX = 4 };

static void carry_out(struct world *w, const struct grow_plan *p, enum grow_job outcome)
{
    struct grow_view *v = &w->view;
    switch (p->step) {
    case GROW_BEGIN:
        v->allocated = p->bytes;
        v->stage = GROW_STAGE_DISK;
        v->job = GROW_JOB_NONE;
        break;
    case GROW_DISK:
        v->job = outcome == GROW_JOB_FILES_DONE ? GROW_JOB_DISK_DONE : outcome;
        v->job_bytes = p->bytes;
        if (v->job == GROW_JOB_DISK_DONE) {
            w->disk = w->disk < p->bytes ? p->bytes : w->disk;
        }
        break;
    case GROW_DISK_FAIL:
        v->stage = v->job == GROW_JOB_DISK_INFEASIBLE ? GROW_STAGE_DISK_INFEASIBLE : v->stage;
        v->job = GROW_JOB_NONE;
        break;
    case GROW_VOLUME:
        CHECK(p->bytes > v->volume); /* it never shrinks */
        CHECK(p->bytes <= w->disk);
        v->volume = p->bytes;
        break;
    case GROW_PENDING:
        CHECK(v->volume >= p->bytes);
        v->stage = GROW_STAGE_FILES_PENDING;
        v->job = GROW_JOB_NONE;
        break;
    case GROW_FILES:
        v->job = outcome;
        w->files = outcome == GROW_JOB_FILES_DONE ? w->disk : w->files;
        break;
    case GROW_FILES_FAIL:
        v->stage = GROW_STAGE_FILES;
        v->job = GROW_JOB_NONE;
        break;
    case GROW_WAIT_PODS:
        v->stage = GROW_STAGE_FILES_PENDING;
        v->job = GROW_JOB_NONE;
        break;
    case GROW_FINISH:
        CHECK(p->bytes > v->has);
        CHECK(p->bytes <= w->files); /* told when it is true */
        v->has = p->bytes;
        v->stage = GROW_STAGE_NONE;
        v->job = GROW_JOB_NONE;
        break;
    case GROW_NOTHING:
    case GROW_EXTERNAL:
        break;
    }
}

static void settle(struct world *w, int steps_max)
{
    int64_t asked = w->view.asked;
    for (int i = 0; i < steps_max; i++) {
        struct grow_plan p = grow_plan(&w->view);
        if (p.step == GROW_NOTHING) {
            break;
        }
        carry_out(w, &p, GROW_JOB_FILES_DONE);
    }
    CHECK(w->view.has >= asked);
    CHECK(w->view.volume >= w->view.has);
    CHECK(w->files >= w->view.has);
    CHECK_EQ(w->view.stage, GROW_STAGE_NONE);
    CHECK_EQ(grow_plan(&w->view).step, GROW_NOTHING);
}

/* Any steps with any outcomes, kills (the outcome is forgotten) and wishes in between: when all
 * goes well from there on, the claim has what it asks for in a dozen steps. */
TEST(growth_ends_with_what_is_asked_whatever_came_before)
{
    static const enum grow_job disk[] = {GROW_JOB_FILES_DONE, GROW_JOB_DISK_FAILED,
                                         GROW_JOB_DISK_INFEASIBLE},
                               files[] = {GROW_JOB_FILES_DONE, GROW_JOB_FILES_BUSY,
                                          GROW_JOB_FILES_FAILED};
    enum { DEPTH = 7, CHOICES = 5 };
    int histories = 1;
    for (int i = 0; i < DEPTH; i++) {
        histories *= CHOICES;
    }
    for (int first = 2; first <= ASKED_MAX; first++) {
        for (int code = 0; code < histories; code++) {
            struct world w = {.view = {.ours = true, .asked = first, .has = 1, .volume = 1},
                              .disk = 1,
                              .files = 1};
            int rest = code;
            for (int i = 0; i < DEPTH; i++, rest /= CHOICES) {
                int choice = rest % CHOICES;
                if (choice < 3) { /* a step, and how it ends */
                    struct grow_plan p = grow_plan(&w.view);
                    carry_out(&w, &p, p.step == GROW_DISK ? disk[choice] : files[choice]);
                } else if (choice == 3) {
                    w.view.job = GROW_JOB_NONE; /* killed */
                } else { /* asks for more, or for less but not less than it has */
                    int64_t other = w.view.asked % ASKED_MAX + 1;
                    w.view.asked = other > w.view.has ? other : w.view.asked;
                }
            }
            settle(&w, 16);
        }
    }
}

TEST(a_size_that_failed_is_given_up_for_another_and_one_that_reached_the_disk_is_not)
{
    struct grow_view v = {.ours = true, .asked = 3, .has = 1, .volume = 1, .allocated = 5};
    v.stage = GROW_STAGE_DISK;
    CHECK_EQ(grow_plan(&v).step, GROW_DISK); /* killed: the disk may have it */
    CHECK_EQ(grow_plan(&v).bytes, 5);
    v.stage = GROW_STAGE_DISK_INFEASIBLE;
    CHECK_EQ(grow_plan(&v).step, GROW_BEGIN);
    CHECK_EQ(grow_plan(&v).bytes, 3);
    v.asked = 5;
    CHECK_EQ(grow_plan(&v).step, GROW_DISK);
    v.asked = 3;
    v.volume = 5;
    v.stage = GROW_STAGE_FILES_PENDING;
    CHECK_EQ(grow_plan(&v).step, GROW_FILES);
    v.job = GROW_JOB_FILES_DONE;
    CHECK_EQ(grow_plan(&v).step, GROW_FINISH);
    CHECK_EQ(grow_plan(&v).bytes, 5);
}

TEST(what_is_not_ours_or_has_enough_is_left_alone)
{
    struct grow_view v = {.asked = 3, .has = 1, .volume = 1};
    CHECK_EQ(grow_plan(&v).step, GROW_EXTERNAL);
    v.ours = true;
    v.job = GROW_JOB_RUNNING;
    CHECK_EQ(grow_plan(&v).step, GROW_NOTHING);
    v.job = GROW_JOB_NONE;
    v.has = 0;
    CHECK_EQ(grow_plan(&v).step, GROW_NOTHING);
    for (v.has = 3; v.has < 5; v.has++) {
        CHECK_EQ(grow_plan(&v).step, GROW_NOTHING);
    }
}
