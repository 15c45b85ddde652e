/* plan/grow_plan.c: see grow_plan.h. */
#include "plan/grow_plan.h"

#include "base/check.h"

static struct grow_plan plan(enum grow_step step, int64_t bytes)
{
    assert(bytes > 0);
    return (struct grow_plan){step, bytes};
}

static struct grow_plan plan_disk(const struct grow_view *v)
{
    bool tried = v->job_bytes == v->allocated;
    assert(v->allocated > v->has);
    if (tried && v->job == GROW_JOB_DISK_DONE) {
        return plan(v->volume < v->allocated ? GROW_VOLUME : GROW_PENDING, v->allocated);
    }
    bool failed = v->job == GROW_JOB_DISK_FAILED || v->job == GROW_JOB_DISK_INFEASIBLE ||
                  v->stage == GROW_STAGE_DISK_INFEASIBLE;
    if (failed && v->asked != v->allocated) {
        return plan(GROW_BEGIN, v->asked);
    }
    if (tried && (v->job == GROW_JOB_DISK_FAILED || v->job == GROW_JOB_DISK_INFEASIBLE)) {
        return plan(GROW_DISK_FAIL, v->allocated);
    }
    return plan(GROW_DISK, v->allocated);
}

static struct grow_plan plan_files(const struct grow_view *v)
{
    assert(v->allocated > v->has);
    switch (v->job) {
    case GROW_JOB_FILES_DONE:
        return plan(GROW_FINISH, v->allocated);
    case GROW_JOB_FILES_BUSY:
        return plan(GROW_WAIT_PODS, v->allocated);
    case GROW_JOB_FILES_FAILED:
        return plan(GROW_FILES_FAIL, v->allocated);
    default:
        return plan(GROW_FILES, v->allocated);
    }
}

struct grow_plan grow_plan(const struct grow_view *v)
{
    assert(v);
    assert(v->asked >= 0);
    assert(v->has >= 0);
    assert(v->allocated >= 0);
    if (v->has == 0 || v->asked <= v->has || v->job == GROW_JOB_RUNNING) {
        return (struct grow_plan){.step = GROW_NOTHING};
    }
    if (!v->ours) {
        return plan(GROW_EXTERNAL, v->asked);
    }
    if (v->stage == GROW_STAGE_NONE || v->allocated <= v->has) { /* nothing is under way */
        return plan(GROW_BEGIN, v->asked);
    }
    bool on_disk = v->stage == GROW_STAGE_DISK || v->stage == GROW_STAGE_DISK_INFEASIBLE;
    return on_disk ? plan_disk(v) : plan_files(v);
}
