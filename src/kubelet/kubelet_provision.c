/* kubelet/kubelet_provision.c: see the header. */
#include "kubelet/kubelet_provision.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "kubelet/volume_local.h"

struct provision {
    struct env_work work;
    struct env_task task;
    struct arena *arena;
    struct span data_dir, name;
    int64_t size_bytes;
    bool enforce, remove;
    struct kubelet_provisioned result;
    kubelet_provision_fn *done;
    void *data;
};

static void run(struct env_work *work)
{
    struct provision *j = CONTAINER_OF(work, struct provision, work);
    struct volume_local_made made = {0};
    if (j->remove) {
        j->result.code = volume_local_remove(j->data_dir, j->name, j->arena, &j->result.detail);
        return;
    }
    j->result.code = volume_local_create(j->data_dir, j->name, j->size_bytes, j->enforce, j->arena,
                                         &made, &j->result.detail);
    j->result.path = made.path;
    j->result.warning = made.warning;
}

static void finish(struct provision *j)
{
    j->done(j->data, &j->result);
    arena_free(j->arena);
    free(j);
}

static void work_done(struct env_work *work)
{
    finish(CONTAINER_OF(work, struct provision, work));
}

static void task_done(struct env_task *task)
{
    struct provision *j = CONTAINER_OF(task, struct provision, task);
    j->result.path =
        arena_printf(j->arena, "%.*s/volumes/%.*s", SPAN_ARG(j->data_dir), SPAN_ARG(j->name));
    finish(j);
}

static void start(const struct kubelet_provisioner *p, struct span name, int64_t size_bytes,
                  bool remove, kubelet_provision_fn *done, void *data)
{
    assert(done != NULL);
    struct provision *j = MEM_NEW(struct provision);
    j->arena = arena_new();
    j->data_dir = arena_dup(j->arena, p->data_dir);
    j->name = arena_dup(j->arena, name);
    j->size_bytes = size_bytes;
    j->enforce = p->enforce;
    j->remove = remove;
    j->done = done;
    j->data = data;
    if (p->no_files) {
        env_post(p->env, &j->task, task_done);
        return;
    }
    env_work_start(p->env, &j->work, run, work_done);
}

void kubelet_provision_create(const struct kubelet_provisioner *p, struct span name,
                              int64_t size_bytes, kubelet_provision_fn *done, void *data)
{
    assert(name.n > 0);
    assert(done);
    start(p, name, size_bytes, false, done, data);
}

void kubelet_provision_remove(const struct kubelet_provisioner *p, struct span name,
                              kubelet_provision_fn *done, void *data)
{
    assert(name.n > 0);
    assert(done);
    start(p, name, 0, true, done, data);
}
