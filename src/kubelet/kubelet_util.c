/* kubelet/kubelet_util.c: small helpers of the node agent: owned spans, quantities, signals, files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "codec/quantity.h"
#include "kubelet/kubelet_priv.h"

void kubelet_keep(struct span *dst, struct span src)
{
    assert(src.p || src.n == 0);
    char *copy = NULL;
    if (src.n > 0) {
        copy = mem_new(src.n + 1);
        memcpy(copy, src.p, src.n);
    }
    free((char *)dst->p);
    *dst = span_of(copy, src.n);
}

const struct schema_kind *kubelet_kind(const char *group, const char *kind)
{
    const struct schema_kind *k = schema_kind_find(group, kind);
    assert(k != NULL);
    return k;
}

struct kubelet_op *kubelet_op_new(struct kubelet_pod *pod, struct kubelet_container *c)
{
    assert(pod != NULL);
    struct kubelet_op *op = MEM_NEW(struct kubelet_op);
    op->pod = pod;
    op->c = c;
    op->attempt = c ? c->v->attempt : 0;
    op->began_ns = env_mono_ns(pod->k->env);
    op->arena = arena_new();
    list_push_back(&pod->ops, &op->link);
    return op;
}

struct kubelet_pod *kubelet_op_end(struct kubelet_op *op)
{
    struct kubelet_pod *pod = op->pod;
    assert(!pod || !list_is_empty(&pod->ops));
    if (pod) {
        list_remove(&op->link);
    }
    arena_free(op->arena);
    free(op);
    return pod;
}

/* ---- quantities ---- */

bool kubelet_quantity_milli(struct span text, int64_t *ret)
{
    assert(ret);
    struct quantity q;
    if (quantity_parse(text, &q) != NULL) {
        return false;
    }
    *ret = quantity_millis(&q);
    return true;
}

int64_t kubelet_quantity_or(const yyjson_val *v, int64_t otherwise)
{
    struct quantity q;
    if (v && yyjson_is_int((yyjson_val *)v)) {
        return json_int(v, otherwise);
    }
    if (!v || quantity_parse(json_str(v), &q) != NULL) {
        return otherwise;
    }
    return quantity_units(&q);
}

/* ---- signals, durations ---- */

int kubelet_signal(struct span text, int otherwise)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"HUP", SIGHUP},     {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ABRT", SIGABRT},
                 {"KILL", SIGKILL},   {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},
                 {"ALRM", SIGALRM},   {"TERM", SIGTERM}, {"CONT", SIGCONT}, {"STOP", SIGSTOP},
                 {"WINCH", SIGWINCH}, {"PWR", SIGPWR},   {"RTMIN", 34},     {"RTMAX", 64}};
    int64_t number = 0;
    if (span_to_i64(text, &number)) {
        return number > 0 && number < 65 ? (int)number : otherwise;
    }
    if (span_starts(text, SPAN("SIG"))) {
        text = span_from(text, 3);
    }
    if (span_starts(text, SPAN("RTMIN+")) && span_to_i64(span_from(text, 6), &number) &&
        number >= 0 && number <= 30) {
        return 34 + (int)number;
    }
    if (span_starts(text, SPAN("RTMAX-")) && span_to_i64(span_from(text, 6), &number) &&
        number >= 0 && number <= 30) {
        return 64 - (int)number;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_eq_cstr(text, names[i].name)) {
            return names[i].number;
        }
    }
    return otherwise;
}

struct span kubelet_duration(struct arena *a, int64_t ns)
{
    assert(a);
    int64_t ms = ns / 1000000;
    if (ms < 1000) {
        return arena_printf(a, "%lldms", (long long)ms);
    }
    if (ms < 60000) {
        return ms % 1000
                   ? arena_printf(a, "%lld.%03llds", (long long)(ms / 1000), (long long)(ms % 1000))
                   : arena_printf(a, "%llds", (long long)(ms / 1000));
    }
    return arena_printf(a, "%lldm%llds", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
}

/* ---- files ---- */

int kubelet_read_file(struct arena *a, const char *path, size_t max, struct span *ret)
{
    assert(path);
    assert(max > 0);
    assert(ret);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    char *buf = arena_alloc_raw(a, max + 1);
    size_t n = 0;
    while (n < max) {
        ssize_t got = read(fd, buf + n, max - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        n += (size_t)got;
        assert(n <= max);
    }
    buf[n] = 0;
    *ret = span_of(buf, n);
    return 0;
}

int kubelet_mkdirs(const char *path, mode_t mode)
{
    assert(path[0] == '/');
    cleanup_free char *copy = mem_strdup(path);
    for (char *p = copy + 1;; p++) {
        if (*p != '/' && *p != 0) {
            continue;
        }
        char keep = *p;
        *p = 0;
        if (mkdir(copy, mode) < 0 && errno != EEXIST) {
            return -errno;
        }
        *p = keep;
        if (keep == 0) {
            return 0;
        }
    }
}

static int remove_at(int dir, const char *name, dev_t dev, int depth)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return -errno;
    }
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    struct stat st;
    DIR *d = NULL;
    int code = 0;
    if (fstat(fd, &st) < 0 || st.st_dev != dev || depth > 200 || !(d = fdopendir(fd))) {
        code = st.st_dev != dev ? -EBUSY : depth > 200 ? -ELOOP : -errno;
        (void)close(fd);
        return code;
    }
    for (struct dirent *e; code == 0 && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            code = remove_at(dirfd(d), e->d_name, dev, depth + 1);
        }
    }
    (void)closedir(d);
    if (code == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        code = -errno;
    }
    return code;
}

int kubelet_remove_tree(const char *path)
{
    assert(path);
    struct stat st;
    if (lstat(path, &st) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    return remove_at(AT_FDCWD, path, st.st_dev, 0);
}
