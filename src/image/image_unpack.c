/* Unpacking a layer. The archive's names are hostile: every one is resolved beneath the new root by
 * the kernel (openat2 RESOLVE_BENEATH), and names with ".." are refused before. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "image/image_priv.h"

enum { PATH_BYTES_MAX = 4096, ENTRIES_MAX = 2000000, COPY_BYTES = 65536 };

struct unpack {
    struct arena *a;
    int root;                 /* directory descriptor of the new layer */
    struct archive *raw;      /* decompresses */
    struct digest_ctx digest; /* of the decompressed bytes */
    char buf[COPY_BYTES];
    struct span *detail;
};

/* ---- decompress and hash, then read as tar ---- */

static la_ssize_t feed_tar(struct archive *tar, void *data, const void **ret)
{
    struct unpack *u = data;
    la_ssize_t n = archive_read_data(u->raw, u->buf, sizeof u->buf);
    if (n < 0) {
        archive_set_error(tar, EIO, "%s", archive_error_string(u->raw));
        return -1;
    }
    digest_add(&u->digest, u->buf, (size_t)n);
    *ret = u->buf;
    return n;
}

/* ---- names ---- */

/* Normalises an entry's name: no leading "/" or "./"; false for "..". "." gives "". */
static bool clean_name(const char *in, char out[PATH_BYTES_MAX])
{
    struct span rest = span_cstr(in);
    size_t n = 0;
    if (rest.n >= PATH_BYTES_MAX) {
        return false;
    }
    while (rest.p) {
        struct span part = span_cut(&rest, '/');
        if (part.n == 0 || span_eq(part, SPAN("."))) {
            continue;
        }
        if (span_eq(part, SPAN(".."))) {
            return false;
        }
        if (n) {
            out[n++] = '/';
        }
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    out[n] = '\0';
    return true;
}

static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, path[0] ? path : ".", &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

/* Opens the parent directory of path, making what is missing; *leaf points at the last component.
 */
static int open_parent(int root, const char *path, const char **leaf)
{
    const char *slash = strrchr(path, '/');
    *leaf = slash ? slash + 1 : path;
    if (!slash) {
        return open_beneath(root, "", O_PATH | O_DIRECTORY);
    }
    char dir[PATH_BYTES_MAX];
    size_t n = (size_t)(slash - path);
    memcpy(dir, path, n);
    dir[n] = '\0';
    int fd = open_beneath(root, dir, O_PATH | O_DIRECTORY);
    if (fd != -ENOENT) {
        return fd;
    }
    const char *name;
    int up cleanup_close = open_parent(root, dir, &name);
    if (up < 0) {
        return up;
    }
    if (mkdirat(up, name, 0755) != 0 && errno != EEXIST) {
        return -errno;
    }
    return open_beneath(root, dir, O_PATH | O_DIRECTORY);
}

/* ---- one entry ---- */

static int write_content(struct archive *tar, int fd)
{
    const void *block;
    size_t n;
    la_int64_t offset;
    int r;
    while ((r = archive_read_data_block(tar, &block, &n, &offset)) == ARCHIVE_OK) {
        for (size_t done = 0; done < n;) {
            ssize_t put = pwrite(fd, (const char *)block + done, n - done, offset + (off_t)done);
            if (put < 0) {
                return -errno;
            }
            done += (size_t)put;
        }
    }
    return r == ARCHIVE_EOF ? 0 : E_CORRUPT;
}

static int make_file(struct archive *tar, struct archive_entry *e, int dir, const char *leaf)
{
    int fd cleanup_close =
        openat(dir, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    int code = write_content(tar, fd);
    /* A sparse tail is not written by any block. */
    if (code == 0 && archive_entry_size_is_set(e) && ftruncate(fd, archive_entry_size(e)) != 0) {
        code = -errno;
    }
    return code;
}

static int make_hardlink(struct unpack *u, const char *target_in, int dir, const char *leaf)
{
    char target[PATH_BYTES_MAX];
    if (!clean_name(target_in, target)) {
        return -EXDEV;
    }
    int fd cleanup_close = open_beneath(u->root, target, O_PATH | O_NOFOLLOW);
    if (fd < 0) {
        return fd;
    }
    char proc[64];
    (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, proc, dir, leaf, AT_SYMLINK_FOLLOW) != 0 ? -errno : 0;
}

static int make_node(struct unpack *u, struct archive *tar, struct archive_entry *e, int dir,
                     const char *leaf)
{
    if (archive_entry_hardlink(e)) {
        return make_hardlink(u, archive_entry_hardlink(e), dir, leaf);
    }
    mode_t type = archive_entry_filetype(e);
    switch (type) {
    case AE_IFREG:
        return make_file(tar, e, dir, leaf);
    case AE_IFDIR:
        return mkdirat(dir, leaf, 0700) != 0 && errno != EEXIST ? -errno : 0;
    case AE_IFLNK:
        return symlinkat(archive_entry_symlink(e), dir, leaf) != 0 ? -errno : 0;
    case AE_IFCHR:
    case AE_IFBLK:
        return mknodat(dir, leaf, type | 0600, archive_entry_rdev(e)) != 0 ? -errno : 0;
    case AE_IFIFO:
        return mkfifoat(dir, leaf, 0600) != 0 ? -errno : 0;
    default:
        return E_SYNTAX;
    }
}

static int set_xattrs(struct archive_entry *e, int dir, const char *leaf)
{
    const char *name;
    const void *value;
    size_t n;
    if (archive_entry_xattr_reset(e) == 0) {
        return 0;
    }
    char proc[64 + PATH_BYTES_MAX];
    (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d/%s", dir, leaf);
    while (archive_entry_xattr_next(e, &name, &value, &n) == ARCHIVE_OK) {
        /* trusted.overlay.* would forge whiteouts: only what images really carry. */
        bool wanted = strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0;
        if (wanted && lsetxattr(proc, name, value, n, 0) != 0 && errno != ENOTSUP) {
            return -errno;
        }
    }
    return 0;
}

static int set_attributes(struct archive_entry *e, int dir, const char *leaf)
{
    uid_t uid = (uid_t)archive_entry_uid(e);
    gid_t gid = (gid_t)archive_entry_gid(e);
    if (archive_entry_hardlink(e)) {
        return 0; /* the target has its own */
    }
    if (fchownat(dir, leaf, uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return -errno;
    }
    int code = set_xattrs(e, dir, leaf); /* after chown, which drops capabilities */
    if (code == 0 && archive_entry_filetype(e) != AE_IFLNK &&
        fchmodat(dir, leaf, archive_entry_perm(e), 0) != 0) {
        code = -errno;
    }
    struct timespec times[2] = {{.tv_sec = archive_entry_mtime(e)},
                                {.tv_sec = archive_entry_mtime(e)}};
    if (code == 0 && archive_entry_mtime_is_set(e) &&
        utimensat(dir, leaf, times, AT_SYMLINK_NOFOLLOW) != 0) {
        code = -errno;
    }
    return code;
}

/* ".wh.NAME" hides NAME of the layers below; ".wh..wh..opq" hides all of the directory. Overlayfs'
 * own forms. */
static int whiteout(int dir, const char *leaf)
{
    if (strcmp(leaf, ".wh..wh..opq") == 0) {
        char proc[64];
        (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", dir);
        return setxattr(proc, "trusted.overlay.opaque", "y", 1, 0) != 0 ? -errno : 0;
    }
    if (strncmp(leaf, ".wh..wh.", 8) == 0) {
        return 0; /* aufs' own bookkeeping */
    }
    const char *name = leaf + 4;
    if (mknodat(dir, name, S_IFCHR | 0600, makedev(0, 0)) != 0 && errno != EEXIST) {
        return -errno;
    }
    return 0;
}

static int unlink_other(struct archive_entry *e, int dir, const char *leaf)
{
    struct stat st;
    if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    bool both_dirs =
        S_ISDIR(st.st_mode) && archive_entry_filetype(e) == AE_IFDIR && !archive_entry_hardlink(e);
    if (both_dirs) {
        return 0;
    }
    return unlinkat(dir, leaf, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) != 0 ? -errno : 0;
}

static int unpack_entry(struct unpack *u, struct archive *tar, struct archive_entry *e)
{
    char path[PATH_BYTES_MAX];
    const char *name = archive_entry_pathname(e), *leaf;
    if (!name || !clean_name(name, path)) {
        return fail(u->a, u->detail, -EXDEV, "layer entry \"%s\" points outside of its root",
                    name ? name : "");
    }
    if (path[0] == '\0') {
        return fchown(u->root, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e)) != 0 ||
                       fchmod(u->root, archive_entry_perm(e)) != 0
                   ? -errno
                   : 0;
    }
    int dir cleanup_close = open_parent(u->root, path, &leaf);
    if (dir == -EXDEV || dir == -ELOOP) {
        return fail(u->a, u->detail, -EXDEV,
                    "layer entry \"%s\" points outside of its root by a link", name);
    }
    int code = dir < 0 ? dir : 0;
    if (code == 0 && strncmp(leaf, ".wh.", 4) == 0) {
        code = whiteout(dir, leaf);
    } else if (code == 0) {
        code = unlink_other(e, dir, leaf);
        code = code < 0 ? code : make_node(u, tar, e, dir, leaf);
        code = code < 0 ? code : set_attributes(e, dir, leaf);
    }
    if (code == E_CORRUPT) {
        return fail(u->a, u->detail, code, "layer entry \"%s\": %s", name,
                    archive_error_string(tar));
    }
    if (code == -EXDEV) {
        return fail(u->a, u->detail, code, "layer entry \"%s\" links outside of its root", name);
    }
    return code < 0 ? fail(u->a, u->detail, code, "layer entry \"%s\": %s", name, code_text(code))
                    : 0;
}

static int unpack_all(struct unpack *u, struct archive *tar)
{
    struct archive_entry *e;
    int r;
    for (int count = 0; (r = archive_read_next_header(tar, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN;
         count++) {
        if (count == ENTRIES_MAX) {
            return fail(u->a, u->detail, E_LIMIT, "the layer has more than %d entries",
                        ENTRIES_MAX);
        }
        int code = unpack_entry(u, tar, e);
        if (code < 0) {
            return code;
        }
    }
    if (r != ARCHIVE_EOF) {
        return fail(u->a, u->detail, E_CORRUPT, "the layer is damaged: %s",
                    archive_error_string(tar));
    }
    return 0;
}

/* The tar reader stops at the end mark; what follows belongs to the digest too. */
static int hash_rest(struct unpack *u)
{
    la_ssize_t n;
    while ((n = archive_read_data(u->raw, u->buf, sizeof u->buf)) > 0) {
        digest_add(&u->digest, u->buf, (size_t)n);
    }
    return n < 0 ? fail(u->a, u->detail, E_CORRUPT, "the layer is damaged: %s",
                        archive_error_string(u->raw))
                 : 0;
}

static int read_layer(struct unpack *u, const char *blob_path, struct span diff_id)
{
    struct archive_entry *e;
    struct archive *tar = archive_read_new();
    assert(tar);
    archive_read_support_format_tar(tar);
    archive_read_support_format_empty(tar);
    int code = 0, r = archive_read_open_filename(u->raw, blob_path, COPY_BYTES);
    r = r == ARCHIVE_OK ? archive_read_next_header(u->raw, &e) : r;
    bool empty = r == ARCHIVE_EOF; /* a layer of no bytes at all */
    if (!empty &&
        (r != ARCHIVE_OK || archive_read_open(tar, u, NULL, feed_tar, NULL) != ARCHIVE_OK)) {
        const char *why = archive_error_string(u->raw);
        code = fail(u->a, u->detail, E_CORRUPT, "the layer is no archive: %s",
                    why ? why : archive_error_string(tar));
    } else if (!empty) {
        code = unpack_all(u, tar);
        code = code < 0 ? code : hash_rest(u);
    }
    archive_read_free(tar);
    if (code == 0) {
        struct span got = digest_end(&u->digest, u->a);
        if (!span_eq(got, diff_id)) {
            code = fail(u->a, u->detail, E_DIGEST,
                        "the layer's content is %.*s, but the image says %.*s", SPAN_ARG(got),
                        SPAN_ARG(diff_id));
        }
    }
    return code;
}

int layer_unpack(struct arena *a, const char *blob_path, const char *into, struct span diff_id,
                 struct span *detail)
{
    struct unpack u = {.a = a, .root = -1, .detail = detail};
    if (mkdir(into, 0755) != 0) {
        return fail(a, detail, -errno, "cannot make %s: %s", into, strerror(errno));
    }
    u.root = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (u.root < 0) {
        return fail(a, detail, -errno, "cannot open %s: %s", into, strerror(errno));
    }
    digest_begin(&u.digest);
    u.raw = archive_read_new();
    assert(u.raw);
    archive_read_support_filter_all(u.raw);
    archive_read_support_format_raw(u.raw);
    archive_read_support_format_empty(u.raw);
    int code = read_layer(&u, blob_path, diff_id);
    archive_read_free(u.raw);
    digest_abandon(&u.digest);
    (void)close(u.root);
    return code;
}
