/* controller/claim_job.c: disks in the making. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "controller/claim_priv.h"

struct volume_job *claim_job_get(struct claim_controller *c, struct span volume_name)
{
    assert(volume_name.n > 0);
    return map_get(&c->jobs, volume_name);
}

static char *copy(struct span s)
{
    char *p = mem_new(s.n + 1);
    memcpy(p, s.n ? s.p : "", s.n);
    return p;
}

static void on_done(void *data, int code, struct span text, struct span warning)
{
    struct volume_job *job = data;
    struct claim_controller *c = job->controller;
    assert(job->state == JOB_CREATING || job->state == JOB_REMOVING || job->state == JOB_GROWING);
    free(job->text);
    free(job->warning);
    job->text = copy(text);
    job->warning = warning.n ? copy(warning) : NULL;
    job->code = code;
    if (job->state == JOB_GROWING) {
        job->state = JOB_GROWN;
        reconciler_add(c->claim_reconciler, job->claim_ns, job->claim_name);
        reconciler_add(c->volume_reconciler, SPAN_NULL, job->name); /* its removal may wait */
    } else if (job->state == JOB_CREATING) {
        job->state = code == 0 ? JOB_CREATED : JOB_CREATE_FAILED;
        reconciler_add(c->claim_reconciler, job->claim_ns, job->claim_name);
    } else {
        job->state = code == 0 ? JOB_REMOVED : JOB_REMOVE_FAILED;
        reconciler_add(c->volume_reconciler, SPAN_NULL, job->name);
    }
}

static struct volume_job *job_new(struct claim_controller *c, struct span name, struct span ns,
                                  struct span claim)
{
    assert(name.n > 0);
    struct volume_job *job = mem_new(sizeof *job + name.n + ns.n + claim.n + 1);
    job->controller = c;
    struct span *parts[] = {&job->name, &job->claim_ns, &job->claim_name};
    struct span given[] = {name, ns, claim};
    char *at = job->bytes;
    for (size_t i = 0; i < 3; i++) {
        memcpy(at, given[i].n ? given[i].p : "", given[i].n);
        *parts[i] = span_of(at, given[i].n);
        at += given[i].n;
    }
    map_put(&c->jobs, job->name, job);
    return job;
}

void claim_job_create(struct claim_controller *c, struct span volume_name, int64_t bytes,
                      struct object *claim)
{
    assert(!claim_job_get(c, volume_name));
    struct volume_job *job = job_new(c, volume_name, object_namespace(claim), object_name(claim));
    job->state = JOB_CREATING;
    if (c->ops) {
        c->ops->create(c->ops->data, job->name, bytes, on_done, job);
        return;
    }
    struct strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/%.*s", c->volume_dir, SPAN_ARG(job->name));
    on_done(job, 0, strbuf_span(&path), SPAN_NULL);
    strbuf_done(&path);
}

void claim_job_grow(struct claim_controller *c, struct span volume_name, int64_t bytes, bool used,
                    struct object *claim)
{
    assert(!claim_job_get(c, volume_name));
    assert(bytes >= 0);
    struct volume_job *job = job_new(c, volume_name, object_namespace(claim), object_name(claim));
    job->state = JOB_GROWING;
    job->files = bytes == 0;
    job->size_bytes = bytes;
    if (!c->ops) {
        on_done(job, 0, SPAN_NULL, SPAN_NULL);
    } else if (job->files) {
        c->ops->grow_files(c->ops->data, job->name, used, on_done, job);
    } else {
        c->ops->grow_disk(c->ops->data, job->name, bytes, on_done, job);
    }
}

void claim_job_remove(struct claim_controller *c, struct span volume_name)
{
    struct volume_job *job = claim_job_get(c, volume_name);
    assert(!job ||
           (job->state != JOB_CREATING && job->state != JOB_REMOVING && job->state != JOB_GROWING));
    if (!job) {
        job = job_new(c, volume_name, SPAN_NULL, SPAN_NULL);
    }
    job->state = JOB_REMOVING;
    if (c->ops) {
        c->ops->remove(c->ops->data, job->name, on_done, job);
    } else {
        on_done(job, 0, SPAN_NULL, SPAN_NULL);
    }
}

void claim_job_forget(struct volume_job *job)
{
    if (!job) {
        return;
    }
    struct claim_controller *c = job->controller;
    assert(map_get(&c->jobs, job->name) == job);
    if (c->ops) {
        c->ops->cancel(c->ops->data, job);
    }
    map_remove(&c->jobs, job->name);
    free(job->text);
    free(job->warning);
    free(job);
}

void claim_job_abandon(struct claim_controller *c, struct span ns, struct span name,
                       struct span keep)
{
    size_t pos = 0;
    struct volume_job *job;
    while ((job = map_next(&c->jobs, &pos, NULL))) {
        if (job->state == JOB_CREATED && span_eq(job->claim_ns, ns) &&
            span_eq(job->claim_name, name) && !span_eq(job->name, keep) &&
            !informer_get(c->volumes, SPAN_NULL, job->name)) {
            claim_job_remove(c, job->name);
        }
    }
}

void claim_jobs_free(struct claim_controller *c)
{
    size_t pos = 0;
    struct volume_job *job;
    while ((job = map_next(&c->jobs, &pos, NULL))) {
        assert(job->controller == c);
        if (c->ops) {
            c->ops->cancel(c->ops->data, job);
        }
        free(job->text);
        free(job->warning);
        free(job);
    }
    map_done(&c->jobs);
}
