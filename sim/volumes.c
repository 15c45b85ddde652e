/* sim/volumes.c: see volumes.h. */
#include "sim/volumes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "client/client_body.h"
#include "sim/platform_priv.h"

struct directory {
    char name[64];
    bool there, retains;
    int64_t disk_bytes, file_bytes; /* it only grows; what its file system has of it */
    int64_t retains_ms;             /* since then */
    char data_of[40]; /* uid of the claim whose pods have run on it; empty: none has */
};

enum deed { CREATE, GROW_DISK, GROW_FILES, REMOVE };

struct job {
    struct list link;
    struct volumes *v;
    struct env_timer timer;
    enum deed deed;
    int64_t bytes;
    char name[64];
    volume_done_fn *done; /* NULL: nobody waits */
    void *data;
};

struct volumes {
    struct platform *w;
    struct volume_ops ops;
    VEC(struct directory) all;
    struct list jobs;
};

static struct directory *directory_of(struct volumes *v, struct span name)
{
    for (size_t i = 0; i < v->all.n; i++) {
        if (span_eq_cstr(name, v->all.at[i].name)) {
            return &v->all.at[i];
        }
    }
    struct directory d = {0};
    assert(name.n < sizeof d.name);
    memcpy(d.name, name.p, name.n);
    VEC_PUSH(&v->all, d);
    return &v->all.at[v->all.n - 1];
}

static int carry_out(struct job *j)
{
    struct directory *d = directory_of(j->v, span_cstr(j->name));
    bool full = j->v->w->disk_full;
    switch (j->deed) {
    case CREATE:
        if (!d->there && full) {
            return -ENOSPC;
        }
        d->there = !j->v->w->plant->no_directories;
        d->disk_bytes = d->disk_bytes ? d->disk_bytes : j->bytes;
        d->file_bytes = d->file_bytes ? d->file_bytes : j->bytes;
        return 0;
    case GROW_DISK:
        if (full) {
            return -ENOSPC;
        }
        d->disk_bytes = j->bytes > d->disk_bytes ? j->bytes : d->disk_bytes;
        return 0;
    case GROW_FILES:
        d->file_bytes = j->v->w->plant->no_growth ? d->file_bytes : d->disk_bytes;
        return 0;
    case REMOVE:
        *d = (struct directory){.retains = d->retains, .retains_ms = d->retains_ms};
        (void)snprintf(d->name, sizeof d->name, "%s", j->name);
        return 0;
    }
    return 0;
}

static void job_free(struct job *j)
{
    list_remove(&j->link);
    free(j);
}

static void on_timer(struct env_timer *timer)
{
    struct job *j = CONTAINER_OF(timer, struct job, timer);
    struct arena *a cleanup_arena = arena_new();
    int code = carry_out(j);
    volume_done_fn *done = j->done;
    void *data = j->data;
    struct span text = code < 0 ? SPAN("no room") : arena_printf(a, "/data/volumes/%s", j->name);
    job_free(j);
    if (done) {
        done(data, code, text, SPAN_NULL);
    }
}

static void start(struct volumes *v, struct span name, enum deed deed, int64_t bytes,
                  volume_done_fn *done, void *data)
{
    struct job *j = MEM_NEW(struct job);
    struct platform *w = v->w;
    assert(w->controllers_env && name.n < sizeof j->name);
    j->v = v;
    j->deed = deed;
    j->bytes = bytes;
    memcpy(j->name, name.p, name.n);
    j->done = done;
    j->data = data;
    list_push_back(&v->jobs, &j->link);
    int64_t ms = (int64_t)(w->calm || sim_roll(w, 8) > 0 ? sim_roll(w, 20) : sim_roll(w, 3000));
    env_timer_start(w->controllers_env, &j->timer, ms, on_timer);
}

static void create(void *data, struct span name, int64_t bytes, volume_done_fn *done,
                   void *done_data)
{
    start(data, name, CREATE, bytes, done, done_data);
}

static void grow_disk(void *data, struct span name, int64_t bytes, volume_done_fn *done,
                      void *done_data)
{
    start(data, name, GROW_DISK, bytes, done, done_data);
}

/* Some machines cannot while it is used. */
static void grow_files(void *data, struct span name, bool used, volume_done_fn *done,
                       void *done_data)
{
    (void)used;
    start(data, name, GROW_FILES, 0, done, done_data);
}

/* The claim whose uid is in the volume's name has it still. */
static bool is_claimed(struct platform *w, struct span volume)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *o =
        record_get(w->record, object_key(a, SPAN("persistentvolumes"), SPAN_NULL, volume));
    yyjson_val *ref = o ? json_path(object_root(o), "spec", "claimRef", NULL) : NULL;
    struct object *claim = ref ? record_get(w->record, object_key(a, SPAN("persistentvolumeclaims"),
                                                                  json_get_str(ref, "namespace"),
                                                                  json_get_str(ref, "name")))
                               : NULL;
    return claim && span_eq(object_uid(claim), json_get_str(ref, "uid"));
}

static void remove_it(void *data, struct span name, volume_done_fn *done, void *done_data)
{
    struct volumes *v = data;
    if (is_claimed(v->w, name)) {
        sim_fail(v->w, "data-kept", "the data of %.*s is removed, and its claim is there",
                 SPAN_ARG(name));
    }
    const struct directory *d = directory_of(v, name);
    if (d->retains && d->retains_ms < sim_now_ms(v->w) - sim_window_ms(v->w)) {
        sim_fail(v->w, "data-kept", "the data of %.*s is removed, and was to be retained",
                 SPAN_ARG(name));
    }
    start(v, name, REMOVE, 0, done, done_data);
}

static void cancel(void *data, void *done_data)
{
    LIST_EACH(it, &((struct volumes *)data)->jobs)
    {
        struct job *j = CONTAINER_OF(it, struct job, link);
        if (j->data == done_data) {
            j->done = NULL;
        }
    }
}

void volumes_kill(struct volumes *v)
{
    LIST_EACH(it, &v->jobs)
    {
        struct job *j = CONTAINER_OF(it, struct job, link);
        env_timer_stop(v->w->controllers_env, &j->timer);
        if (sim_roll(v->w, 2)) {
            (void)carry_out(j);
        }
        job_free(j);
    }
}

/* Below the directory of volumes; empty: the claim has none. */
static struct span path_of(struct platform *w, struct object *claim)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *o = record_get(
        w->record, object_key(a, SPAN("persistentvolumes"), SPAN_NULL,
                              json_str(json_path(object_root(claim), "spec", "volumeName", NULL))));
    struct span path =
        o ? json_str(json_path(object_root(o), "spec", "local", "path", NULL)) : SPAN_NULL;
    return span_starts(path, SPAN("/data/volumes/")) ? span_from(path, 14) : SPAN_NULL;
}

void volumes_on_start(struct volumes *v, struct span ns, struct span name, struct span uid)
{
    struct arena *a cleanup_arena = arena_new();
    struct platform *w = v->w;
    struct object *pod = record_get(w->record, object_key(a, SPAN("pods"), ns, name));
    yyjson_val *spec =
        pod && span_eq(object_uid(pod), uid) ? json_get(object_root(pod), "spec") : NULL;
    JSON_EACH(it, json_get(spec, "volumes"))
    {
        struct span claim_name =
            json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        struct object *claim =
            claim_name.n ? record_get(w->record,
                                      object_key(a, SPAN("persistentvolumeclaims"), ns, claim_name))
                         : NULL;
        if (!claim) {
            continue;
        }
        struct span path = path_of(w, claim);
        if (path.n == 0) {
            continue;
        }
        struct directory *d = directory_of(v, path);
        if (!d->there) {
            sim_fail(w, "data-kept", "%.*s starts, and its volume \"%s\" has no directory",
                     SPAN_ARG(name), d->name);
        } else if (d->data_of[0] && !span_eq_cstr(object_uid(claim), d->data_of)) {
            sim_fail(w, "data-kept", "%.*s starts on the data of another claim in %s",
                     SPAN_ARG(name), d->name);
        }
        (void)snprintf(d->data_of, sizeof d->data_of, "%.*s", SPAN_ARG(object_uid(claim)));
    }
}

void volumes_on_policy(struct volumes *v, struct span volume, bool retains)
{
    struct directory *d = directory_of(v, volume);
    if (retains && !d->retains) {
        d->retains_ms = sim_now_ms(v->w);
    }
    d->retains = retains;
}

/* An empty one, made when a crash came between it and its volume, and the claim went, harms nobody.
 */
const char *volumes_at_rest(const struct volumes *v)
{
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < v->all.n; i++) {
        struct span name = span_cstr(v->all.at[i].name);
        if (v->all.at[i].there && v->all.at[i].data_of[0] &&
            !record_get(v->w->record, object_key(a, SPAN("persistentvolumes"), SPAN_NULL, name))) {
            return "data outlives its volume";
        }
    }
    return list_is_empty(&v->jobs) ? NULL : "a directory is being made or removed";
}

int64_t volumes_room(const struct volumes *v, struct span volume)
{
    for (size_t i = 0; i < v->all.n; i++) {
        if (span_eq_cstr(volume, v->all.at[i].name)) {
            return v->all.at[i].file_bytes;
        }
    }
    return 0;
}

const struct volume_ops *volumes_ops(const struct volumes *v)
{
    return &v->ops;
}

struct volumes *volumes_new(struct platform *w)
{
    struct volumes *v = MEM_NEW(struct volumes);
    v->w = w;
    v->ops = (struct volume_ops){.data = v,
                                 .create = create,
                                 .grow_disk = grow_disk,
                                 .grow_files = grow_files,
                                 .remove = remove_it,
                                 .cancel = cancel};
    list_init(&v->jobs);
    return v;
}

void volumes_free(struct volumes *v)
{
    if (v) {
        assert(list_is_empty(&v->jobs));
        VEC_DONE(&v->all);
        free(v);
    }
}
