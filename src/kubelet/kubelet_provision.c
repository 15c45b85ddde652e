/* kubelet/kubelet_provision.c: see the header. */
#include "kubelet/kubelet_provision.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "kubelet/volume_local.h"

enum deed { CREATE, GROW_DISK, GROW_FILES, REMOVE };

struct provision {
    struct env_work work;
    struct env_task task;
    struct arena *arena;
    struct span data_dir, name;
    int64_t size_bytes;
    enum deed deed;
    bool enforce, used;
    struct kubelet_provisioned result;
    kubelet_provision_fn *done;
    void *data;
};

static void run(struct env_work *work)
{
    struct provision *j = CONTAINER_OF(work, struct provision, work);
    struct volume_local_made made = {0};
    struct span *why = &j->result.detail;
    switch (j->deed) {
    case CREATE:
        j->result.code = volume_local_create(j->data_dir, j->name, j->size_bytes, j->enforce,
                                             j->arena, &made, why);
        j->result.path = made.path;
        j->result.warning = made.warning;
        break;
    case GROW_DISK:
        j->result.code = volume_local_grow_disk(j->data_dir, j->name, j->size_bytes, j->arena, why);
        break;
    case GROW_FILES:
        j->result.code = volume_local_grow_files(j->data_dir, j->name, j->used, j->arena, why);
        break;
    case REMOVE:
        j->result.code = volume_local_remove(j->data_dir, j->name, j->arena, why);
        break;
    }
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

/* What is to be done is copied. */
static void start(const struct kubelet_provisioner *p, const struct provision *what,
                  struct span name, kubelet_provision_fn *done, void *data)
{
    assert(done != NULL);
    assert(name.n > 0);
    struct provision *j = MEM_NEW(struct provision);
    *j = *what;
    j->arena = arena_new();
    j->data_dir = arena_dup(j->arena, p->data_dir);
    j->name = arena_dup(j->arena, name);
    j->enforce = p->enforce;
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
    start(p, &(struct provision){.deed = CREATE, .size_bytes = size_bytes}, name, done, data);
}

void kubelet_provision_grow_disk(const struct kubelet_provisioner *p, struct span name,
                                 int64_t size_bytes, kubelet_provision_fn *done, void *data)
{
    assert(size_bytes > 0);
    start(p, &(struct provision){.deed = GROW_DISK, .size_bytes = size_bytes}, name, done, data);
}

void kubelet_provision_grow_files(const struct kubelet_provisioner *p, struct span name, bool used,
                                  kubelet_provision_fn *done, void *data)
{
    start(p, &(struct provision){.deed = GROW_FILES, .used = used}, name, done, data);
}

void kubelet_provision_remove(const struct kubelet_provisioner *p, struct span name,
                              kubelet_provision_fn *done, void *data)
{
    start(p, &(struct provision){.deed = REMOVE}, name, done, data);
}
