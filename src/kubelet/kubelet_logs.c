/* kubelet/kubelet_logs.c: where container logs are, and their rotation: at 10 MiB, 5 files kept. A
 * directory watch tells of the first write after a check; the next check is 10 s later: an idle
 * container costs nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "codec/time.h"
#include "kubelet/kubelet_cri.h"
#include "kubelet/kubelet_logs_priv.h"
#include "kubelet/kubelet_priv.h"

enum { ROTATE_BYTES = 10 * 1024 * 1024, ROTATE_KEEP = 5, ROTATE_CHECK_MS = 10 * 1000 };

static struct span kubelet_log_dir(struct arena *a, const struct kubelet_pod *pod)
{
    return arena_printf(a, "%.*s/logs/%.*s_%.*s_%.*s", SPAN_ARG(pod->k->options.data_dir),
                        SPAN_ARG(pod->ns), SPAN_ARG(pod->name), SPAN_ARG(pod->uid));
}

struct span kubelet_log_path(struct arena *a, const struct kubelet_container *c, uint32_t attempt)
{
    assert(c->pod);
    struct span dir = kubelet_log_dir(a, c->pod);
    return arena_printf(a, "%.*s/%.*s/%u.log", SPAN_ARG(dir), SPAN_ARG(c->v->name), attempt);
}

struct span kubelet_log_end(struct arena *a, struct span path, int64_t lines, size_t max)
{
    assert(lines > 0);
    assert(max > 0);
    enum { READ_MAX = 64 * 1024 };
    cleanup_close int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int64_t at = fd >= 0 && fstat(fd, &st) == 0 ? kubelet_cri_tail(fd, lines) : -1;
    if (at < 0) {
        return SPAN_NULL;
    }
    at = st.st_size - at > READ_MAX ? st.st_size - READ_MAX : at;
    char *buf = arena_alloc_raw(a, READ_MAX);
    ssize_t n = pread(fd, buf, READ_MAX, at);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct cri_filter f = {.left_bytes = -1};
    (void)kubelet_cri_print(&f, span_of(buf, n > 0 ? (size_t)n : 0), &out);
    struct span text = strbuf_span(&out);
    return arena_dup(a, text.n > max ? span_from(text, text.n - max) : text);
}

/* ---- removal ---- */

struct removal {
    struct env_work work;
    struct arena *arena;
    struct span path;
    int code;
};

static void removal_run(struct env_work *work)
{
    struct removal *r = CONTAINER_OF(work, struct removal, work);
    r->code = kubelet_remove_tree(r->path.p);
}

static void removal_done(struct env_work *work)
{
    struct removal *r = CONTAINER_OF(work, struct removal, work);
    if (r->code < 0) {
        log_event(LOG_WARN, "kubelet_log_remove_failed", LOG_S("path", r->path),
                  LOG_I("code", r->code));
    }
    arena_free(r->arena);
    free(r);
}

void kubelet_logs_remove(struct kubelet_pod *pod)
{
    assert(pod->uid.n > 0);
    if (pod->k->options.no_files || pod->name.n == 0) {
        return;
    }
    struct removal *r = MEM_NEW(struct removal);
    r->arena = arena_new();
    r->path = kubelet_log_dir(r->arena, pod);
    env_work_start(pod->k->env, &r->work, removal_run, removal_done);
}

/* ---- rotation ---- */

struct kubelet_rotation {
    struct kubelet_container *c;
    struct env_dir_watch *watch;
    struct env_timer timer;
    struct arena *arena;
    struct span path, dir, file; /* of the current log; file is the last component */
    bool written;                /* a write was seen; the timer runs */
};

static void rotation_check(struct env_timer *timer);

static void on_write(void *data, const char *name)
{
    struct kubelet_rotation *r = data;
    if (!r->written && name && span_eq_cstr(r->file, name)) {
        r->written = true;
        env_timer_start(r->c->pod->k->env, &r->timer, 0, rotation_check);
    }
}

static void rotation_watch(struct kubelet_rotation *r)
{
    r->written = false;
    (void)env_dir_watch_new(r->c->pod->k->env, r->dir.p, on_write, r, &r->watch);
}

/* "N.log.TIMESTAMP" names sort by age: all but the newest go. */
static void prune(struct kubelet_rotation *r)
{
    struct arena *a cleanup_arena = arena_new();
    struct span prefix = arena_printf(a, "%.*s.", SPAN_ARG(r->file));
    for (;;) {
        struct span oldest = SPAN_NULL;
        size_t n = 0;
        DIR *d = opendir(r->dir.p);
        for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
            if (span_starts(span_cstr(e->d_name), prefix)) {
                n++;
                oldest = oldest.n == 0 || span_cmp(span_cstr(e->d_name), oldest) < 0
                             ? arena_dup(a, span_cstr(e->d_name))
                             : oldest;
            }
        }
        if (d) {
            (void)closedir(d);
        }
        if (n < ROTATE_KEEP) {
            return;
        }
        if (unlink(arena_printf(a, "%.*s/%.*s", SPAN_ARG(r->dir), SPAN_ARG(oldest)).p) < 0) {
            return;
        }
    }
}

static void on_reopened(void *data, int code, struct span detail)
{
    struct kubelet_op *op = data;
    if (code < 0 && op->c) {
        log_event(LOG_WARN, "kubelet_log_reopen_failed", LOG_S("container", op->c->v->name),
                  LOG_S("detail", detail));
    }
    (void)kubelet_op_end(op);
}

static void rotate(struct kubelet_rotation *r)
{
    struct kubelet_container *c = r->c;
    struct kubelet *k = c->pod->k;
    struct arena *a cleanup_arena = arena_new();
    struct span to = arena_printf(a, "%.*s.%lld", SPAN_ARG(r->path), (long long)env_now_ms(k->env));
    if (rename(r->path.p, to.p) < 0) {
        return;
    }
    prune(r);
    struct kubelet_op *op = kubelet_op_new(c->pod, c);
    k->runtime->ops->log_reopen(k->runtime, kubelet_container_id(op->arena, c, c->v->attempt),
                                on_reopened, op);
}

static void rotation_due(struct env_timer *timer)
{
    struct kubelet_rotation *r = CONTAINER_OF(timer, struct kubelet_rotation, timer);
    struct stat st;
    if (stat(r->path.p, &st) == 0 && st.st_size >= ROTATE_BYTES) {
        rotate(r);
    }
    rotation_watch(r);
}

/* The watch is dropped until the next check, so that a busy log costs one look in 10 s. */
static void rotation_check(struct env_timer *timer)
{
    struct kubelet_rotation *r = CONTAINER_OF(timer, struct kubelet_rotation, timer);
    if (r->watch) {
        env_dir_watch_free(TAKE_PTR(r->watch));
    }
    env_timer_start(r->c->pod->k->env, timer, ROTATE_CHECK_MS, rotation_due);
}

struct kubelet_rotation *kubelet_rotation_new(struct kubelet_container *c)
{
    assert(c->pod);
    struct kubelet_rotation *r = MEM_NEW(struct kubelet_rotation);
    r->c = c;
    r->arena = arena_new();
    r->path = kubelet_log_path(r->arena, c, c->v->attempt);
    size_t slash = span_rfind(r->path, '/');
    r->dir = arena_dup(r->arena, span_first(r->path, slash));
    r->file = span_from(r->path, slash + 1);
    rotation_watch(r);
    return r;
}

void kubelet_rotation_free(struct kubelet_rotation *r)
{
    if (!r) {
        return;
    }
    if (r->watch) {
        env_dir_watch_free(r->watch);
    }
    env_timer_stop(r->c->pod->k->env, &r->timer);
    arena_free(r->arena);
    free(r);
}
