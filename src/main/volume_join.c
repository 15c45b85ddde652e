#include "main/volume_join.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

struct call {
    struct list link;
    volume_done_fn *done; /* NULL once cancelled: the work goes on, nobody is told */
    void *done_data;
};

static void on_done(void *data, const struct kubelet_provisioned *r)
{
    struct call *c = data;
    list_remove(&c->link);
    if (c->done) {
        c->done(c->done_data, r->code, r->code == 0 ? r->path : r->detail, r->warning);
    }
    free(c);
}

static struct call *call_new(struct volume_join *j, volume_done_fn *done, void *done_data)
{
    struct call *c = MEM_NEW(struct call);
    *c = (struct call){.done = done, .done_data = done_data};
    list_push_back(&j->pending, &c->link);
    return c;
}

static void op_create(void *data, struct span name, int64_t bytes, volume_done_fn *done,
                      void *done_data)
{
    struct volume_join *j = data;
    kubelet_provision_create(&j->provisioner, name, bytes, on_done, call_new(j, done, done_data));
}

static void op_grow_disk(void *data, struct span name, int64_t bytes, volume_done_fn *done,
                         void *done_data)
{
    struct volume_join *j = data;
    kubelet_provision_grow_disk(&j->provisioner, name, bytes, on_done,
                                call_new(j, done, done_data));
}

static void op_grow_files(void *data, struct span name, bool used, volume_done_fn *done,
                          void *done_data)
{
    struct volume_join *j = data;
    kubelet_provision_grow_files(&j->provisioner, name, used, on_done,
                                 call_new(j, done, done_data));
}

static void op_remove(void *data, struct span name, volume_done_fn *done, void *done_data)
{
    struct volume_join *j = data;
    kubelet_provision_remove(&j->provisioner, name, on_done, call_new(j, done, done_data));
}

static void op_cancel(void *data, void *done_data)
{
    struct volume_join *j = data;
    LIST_EACH(link, &j->pending)
    {
        struct call *c = CONTAINER_OF(link, struct call, link);
        if (c->done_data == done_data) {
            c->done = NULL;
        }
    }
}

void volume_join_init(struct volume_join *j, const struct kubelet_provisioner *provisioner)
{
    assert(provisioner->data_dir.n);
    *j = (struct volume_join){
        .ops = {.data = j,
                .create = op_create,
                .grow_disk = op_grow_disk,
                .grow_files = op_grow_files,
                .remove = op_remove,
                .cancel = op_cancel},
        .provisioner = *provisioner,
    };
    list_init(&j->pending);
}
