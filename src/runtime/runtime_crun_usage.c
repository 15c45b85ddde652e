/* What containers and the machine use: their control groups, read on another thread. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "os/os_usage.h"
#include "runtime/runtime_crun_priv.h"

struct usage_op {
    struct job job;              /* first */
    struct runtime_usage *usage; /* the machine, then the containers */
    size_t n, known;             /* those that could be measured come first */
    runtime_usage_fn *done;
    void *data;
};

static int measure(const struct host *host, struct arena *a, struct runtime_usage *u)
{
    struct os_usage used = {0};
    int code =
        u->id.n ? os_usage_group(&host->cgroup, host_group(host, a, u->sandbox_uid, u->id), &used)
                : os_usage_machine(&used);
    u->at_ns = used.at_ns;
    u->cpu_ns = used.cpu_ns;
    u->memory_bytes = used.memory_bytes;
    return code;
}

static void usage_run(struct env_work *work)
{
    struct usage_op *op = CONTAINER_OF(work, struct usage_op, job.work);
    for (size_t i = 0; i < op->n; i++) {
        struct runtime_usage u = op->usage[i];
        if (measure(&op->job.r->host, op->job.a, &u) == 0) {
            op->usage[op->known++] = u; /* the others have just ended */
        }
    }
}

static void usage_done(struct env_work *work)
{
    struct usage_op *op = CONTAINER_OF(work, struct usage_op, job.work);
    assert(op->known <= op->n);
    if (!op->job.r->closed) {
        op->done(op->data, op->usage, op->known);
    }
    job_free(&op->job);
}

void op_container_usage(struct runtime *rt, runtime_usage_fn *done, void *data)
{
    assert(done);
    struct usage_op *op = MEM_NEW(struct usage_op);
    struct crun_runtime *r = crun_of(rt);
    const struct container *c;
    job_init(&op->job, r);
    struct arena *a = op->job.a;
    op->done = done;
    op->data = data;
    op->usage = ARENA_ARRAY(a, struct runtime_usage, r->containers.n + 1);
    op->n = 1;
    for (size_t it = 0; (c = map_next(&r->containers, &it, NULL)) != NULL;) {
        if (c->state == RUNTIME_RUNNING && !c->starting) {
            op->usage[op->n++] = (struct runtime_usage){.id = arena_dup(a, span_cstr(c->id)),
                                                        .sandbox_uid = arena_dup(a, c->uid),
                                                        .name = arena_dup(a, c->name)};
        }
    }
    env_work_start(rt->env, &op->job.work, usage_run, usage_done);
}
