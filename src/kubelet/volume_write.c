/* kubelet/volume_write.c: see the header. Every path below is ours except VOLUME_HOST's and the
 * contents of claims; nothing here follows a link that a container could have made. */
#include "kubelet/volume_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/volume_local.h"
#include "os/os_mount.h"

int volume_fail(struct arena *a, struct span *ret_detail, int code, const char *what,
                struct span path)
{
    assert(code < 0);
    assert(what);
    assert(ret_detail);
    *ret_detail = arena_printf(a, "%s %.*s: %s", what, SPAN_ARG(path), code_text(code));
    return code;
}

/* Group and set-group-id of a directory that the pod's processes share (fsGroup). */
static void share(const char *path, int64_t group)
{
    struct stat st;
    if (group < 0 || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        return;
    }
    if (st.st_gid == (gid_t)group && (st.st_mode & 02070) == 02070) {
        return; /* done before: a big volume is not walked again */
    }
    (void)chown(path, (uid_t)-1, (gid_t)group);
    (void)chmod(path, (st.st_mode & 07777) | 02070);
}

/* ---- files, replaced atomically ---- */

static int write_one(int dir, const struct volume_file *f, int64_t group)
{
    cleanup_free char *path = NULL;
    if (asprintf(&path, "%.*s", SPAN_ARG(f->path)) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        *p = 0;
        if (mkdirat(dir, path, 0755) < 0 && errno != EEXIST) {
            return -errno;
        }
        *p = '/';
    }
    cleanup_close int fd = openat(dir, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    for (size_t done = 0; done < f->bytes.n;) {
        ssize_t n = write(fd, f->bytes.p + done, f->bytes.n - done);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    mode_t mode = f->mode;
    if (f->owner && fchown(fd, f->owner, (gid_t)-1) < 0) {
        return -errno;
    }
    if (group >= 0) {
        (void)fchown(fd, (uid_t)-1, (gid_t)group);
        mode |= 0040;
    }
    return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* The same bytes under ..data already. */
static bool same(struct arena *a, const char *dir, const struct volume_file *files, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        struct span now = SPAN_NULL;
        struct stat st;
        struct span path = arena_printf(a, "%s/..data/%.*s", dir, SPAN_ARG(files[i].path));
        if (stat(path.p, &st) < 0 || (size_t)st.st_size != files[i].bytes.n ||
            kubelet_read_file(a, path.p, files[i].bytes.n + 1, &now) < 0 ||
            !span_eq(now, files[i].bytes)) {
            return false;
        }
        found++;
    }
    /* Nothing may be left that is no longer wanted: count the visible names. */
    size_t names = 0, tops = 0;
    struct span path = arena_printf(a, "%s/..data", dir);
    DIR *d = opendir(path.p);
    if (!d) {
        return false;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        names += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    }
    (void)closedir(d);
    for (size_t i = 0; i < n; i++) {
        struct span top = span_first(files[i].path, span_find(files[i].path, '/'));
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) {
            seen = span_eq(top, span_first(files[j].path, span_find(files[j].path, '/')));
        }
        tops += !seen;
    }
    return found == n && names == tops;
}

/* Links for the wanted first path components; others of ours go. */
static int set_links(int dir, const struct volume_file *files, size_t n, struct arena *a)
{
    for (size_t i = 0; i < n; i++) {
        struct span top = arena_dup(a, span_first(files[i].path, span_find(files[i].path, '/')));
        struct span target = arena_printf(a, "..data/%.*s", SPAN_ARG(top));
        if (symlinkat(target.p, dir, top.p) < 0 && errno != EEXIST) {
            return -errno;
        }
    }
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (!d) {
        return -errno;
    }
    rewinddir(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        bool wanted = e->d_name[0] == '.' && e->d_name[1] == '.';
        wanted |= strcmp(e->d_name, ".") == 0;
        for (size_t i = 0; i < n && !wanted; i++) {
            wanted =
                span_eq_cstr(span_first(files[i].path, span_find(files[i].path, '/')), e->d_name);
        }
        if (!wanted) {
            (void)unlinkat(dir, e->d_name, 0);
        }
    }
    (void)closedir(d);
    return 0;
}

static int switch_data(int dir, const char *fresh, struct arena *a, struct span *ret_old)
{
    char old[256];
    ssize_t n = readlinkat(dir, "..data", old, sizeof old - 1);
    *ret_old = n > 0 ? arena_dup(a, span_of(old, (size_t)n)) : SPAN_NULL;
    (void)unlinkat(dir, "..data_tmp", 0);
    if (symlinkat(fresh, dir, "..data_tmp") < 0) {
        return -errno;
    }
    return renameat(dir, "..data_tmp", dir, "..data") < 0 ? -errno : 0;
}

/* [blocking] Makes dir show exactly these files: a fresh directory, then `..data` is switched to it
 * in one rename; links DIR/NAME -> ..data/NAME. Nothing is written when nothing changed. */
static int volume_write_files(const char *dir, const struct volume_file *files, size_t n,
                              int64_t fs_group, struct arena *a, struct span *ret_detail)
{
    struct span path = span_cstr(dir);
    int code = kubelet_mkdirs(dir, 0755);
    if (code < 0) {
        return volume_fail(a, ret_detail, code, "cannot make", path);
    }
    if (same(a, dir, files, n)) {
        return 0;
    }
    share(dir, fs_group);
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct span template = arena_printf(a, "%s/..v_XXXXXX", dir);
    char *made = fd >= 0 ? mkdtemp((char *)template.p) : NULL;
    if (!made) {
        return volume_fail(a, ret_detail, -errno, "cannot write into", path);
    }
    const char *fresh = strrchr(made, '/') + 1;
    cleanup_close int fresh_fd = open(made, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    code = fresh_fd < 0 || fchmod(fresh_fd, 0755) < 0 ? -errno : 0;
    for (size_t i = 0; code == 0 && i < n; i++) {
        code = write_one(fresh_fd, &files[i], fs_group);
        if (code < 0) {
            (void)volume_fail(a, ret_detail, code, "cannot write", files[i].path);
            (void)kubelet_remove_tree(made);
            return code;
        }
    }
    struct span old = SPAN_NULL;
    if (code == 0) {
        code = switch_data(fd, fresh, a, &old);
    }
    if (code == 0) {
        code = set_links(fd, files, n, a);
    }
    if (code < 0) {
        return volume_fail(a, ret_detail, code, "cannot switch", path);
    }
    if (old.n > 0 && span_find(old, '/') == old.n && span_starts(old, SPAN("..v_"))) {
        (void)kubelet_remove_tree(arena_printf(a, "%s/%.*s", dir, SPAN_ARG(old)).p);
    }
    return 0;
}

/* ---- one volume ---- */

static int prepare_host(const struct volume_desc *v, struct arena *a, struct span *ret_detail)
{
    struct stat st;
    struct span t = v->host_type;
    bool there = stat(v->path.p, &st) == 0;
    if (!there && span_eq_cstr(t, "DirectoryOrCreate")) {
        int code = kubelet_mkdirs(v->path.p, 0755);
        return code < 0 ? volume_fail(a, ret_detail, code, "cannot make", v->path) : 0;
    }
    if (!there && span_eq_cstr(t, "FileOrCreate")) {
        cleanup_close int fd = open(v->path.p, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        return fd < 0 ? volume_fail(a, ret_detail, -errno, "cannot make", v->path) : 0;
    }
    if (!there && t.n == 0) {
        /* As Kubernetes with no type given: the directory is made. */
        int code = kubelet_mkdirs(v->path.p, 0755);
        return code < 0 ? volume_fail(a, ret_detail, code, "cannot make", v->path) : 0;
    }
    bool ok = there;
    if (span_starts(t, SPAN("Directory"))) {
        ok = there && S_ISDIR(st.st_mode);
    } else if (span_starts(t, SPAN("File"))) {
        ok = there && S_ISREG(st.st_mode);
    } else if (span_eq_cstr(t, "Socket")) {
        ok = there && S_ISSOCK(st.st_mode);
    } else if (span_eq_cstr(t, "CharDevice")) {
        ok = there && S_ISCHR(st.st_mode);
    } else if (span_eq_cstr(t, "BlockDevice")) {
        ok = there && S_ISBLK(st.st_mode);
    }
    if (!ok) {
        *ret_detail = arena_printf(a, "hostPath type check failed: %.*s is not a %.*s",
                                   SPAN_ARG(v->path), SPAN_ARG(t));
        return -ENOENT;
    }
    return 0;
}

static int prepare_tmpfs(const struct volume_desc *v, struct arena *a, struct span *ret_detail)
{
    if (os_is_mount_point(v->path.p)) {
        return 0;
    }
    struct span options =
        v->size_bytes ? arena_printf(a, "mode=1777,size=%llu", (unsigned long long)v->size_bytes)
                      : SPAN("mode=1777");
    if (mount("tmpfs", v->path.p, "tmpfs", MS_NOSUID | MS_NODEV, options.p) < 0) {
        return volume_fail(a, ret_detail, -errno, "cannot mount tmpfs on", v->path);
    }
    return 0;
}

/* A file system in memory for secret files, kept out of swap where the kernel (6.3 and later) can
 * do that. A volume that has files already is left: containers have it mounted as it is. */
static int prepare_secret(const struct volume_desc *v, struct arena *a, struct span *ret_detail)
{
    struct stat st;
    int code = kubelet_mkdirs(v->path.p, 0755);
    if (code < 0) {
        return volume_fail(a, ret_detail, code, "cannot make", v->path);
    }
    if (os_is_mount_point(v->path.p) ||
        lstat(arena_printf(a, "%.*s/..data", SPAN_ARG(v->path)).p, &st) == 0) {
        return 0;
    }
    if (mount("tmpfs", v->path.p, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,noswap") < 0 &&
        mount("tmpfs", v->path.p, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0) {
        return volume_fail(a, ret_detail, -errno, "cannot mount tmpfs on", v->path);
    }
    return 0;
}

int volume_prepare(const struct volume_desc *v, struct arena *a, struct span *ret_warning,
                   struct span *ret_detail)
{
    int code = 0;
    assert(v->path.n > 0);
    assert(v->path.p[0] == '/');
    switch (v->kind) {
    case VOLUME_EMPTY:
    case VOLUME_TMPFS:
        code = kubelet_mkdirs(v->path.p, 0755);
        if (code < 0) {
            return volume_fail(a, ret_detail, code, "cannot make", v->path);
        }
        if (v->kind == VOLUME_TMPFS) {
            code = prepare_tmpfs(v, a, ret_detail);
        } else if (v->size_bytes) {
            code = volume_local_limit(v->path, v->size_bytes, a, ret_warning, ret_detail);
        }
        if (code < 0) {
            return code;
        }
        /* Memory is as /tmp: what a tmpfs is by itself, and in Kubernetes remains. */
        (void)chmod(v->path.p, 0777u | (v->kind == VOLUME_TMPFS ? 01000u : 0) |
                                   (v->fs_group >= 0 ? 02000u : 0));
        share(v->path.p, v->fs_group);
        return 0;
    case VOLUME_FILES:
        code = v->in_memory ? prepare_secret(v, a, ret_detail) : 0;
        if (code < 0) {
            return code;
        }
        return volume_write_files(v->path.p, v->files, v->file_count, v->fs_group, a, ret_detail);
    case VOLUME_HOST:
        return prepare_host(v, a, ret_detail);
    case VOLUME_LOCAL:
        code = volume_local_attach(v->path, a, ret_detail);
        if (code == 0) {
            share(v->path.p, v->fs_group);
        }
        return code;
    }
    return 0;
}

/* ---- going ---- */

int volume_teardown(const char *dir, bool remove, struct arena *a, struct span *ret_detail)
{
    assert(dir);
    assert(ret_detail);
    int code = os_umount_beneath(a, span_cstr(dir));
    if (code < 0) {
        return volume_fail(a, ret_detail, code, "cannot unmount what is beneath", span_cstr(dir));
    }
    if (remove) {
        code = kubelet_remove_tree(dir);
        if (code < 0) {
            return volume_fail(a, ret_detail, code, "cannot remove", span_cstr(dir));
        }
    }
    return code;
}
