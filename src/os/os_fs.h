/* os/os_fs.h: files and directories, checked. Everything here may block: worker threads only.
 *
 * Codes are 0 or a negative errno (or E_LIMIT). Nothing follows a symbolic link that somebody else
 * could have planted: trees are removed and paths in a container's root are resolved with openat2.
 */
#ifndef OS_OS_FS_H
#define OS_OS_FS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/span.h"

/* Writes path.tmp-PID-N and renames it. durable: fsync of the file and its directory. */
int os_fs_write_atomic(const char *path, struct span bytes, mode_t mode, bool durable);
/* Creates or truncates in place: for files that nobody reads before the call returns. */
int os_fs_write(const char *path, struct span bytes, mode_t mode);
/* Whole file at path relative to dirfd (AT_FDCWD), at most max bytes, else E_LIMIT. */
int os_fs_read(struct arena *a, int dirfd, const char *path, size_t max, struct span *ret);
/* mkdir -p; what exists is fine. */
int os_fs_mkdirs(const char *path, mode_t mode);
/* Removes what is at the absolute path (file, link or whole tree), whose parents are followed,
 * without following links or crossing mounts (-EBUSY or -EXDEV when one is in the way). Absent is
 * success. */
int os_fs_remove_tree_at(const char *path);
/* Opens path as a process whose root directory is rootfd would. Returns a descriptor. */
int os_fs_open_in_root(int rootfd, const char *path, int flags);
/* mkdir -p as seen from inside rootfd. */
int os_fs_mkdirs_in_root(struct arena *a, int rootfd, struct span path, mode_t mode);
/* Finds an executable: name with a slash as it is, else along PATH and the system directories.
 * -ENOENT. */
int os_fs_find_program(struct arena *a, const char *name, const char **ret);
/* The file system that the path is on: its size, and what of it others than root may still take. */
struct os_fs_space {
    uint64_t total_bytes, free_bytes;
};
int os_fs_space(const char *path, struct os_fs_space *ret);
/* Names in a directory, "." and ".." left out; any order. -ENOENT when there is none. */
int os_fs_list(struct arena *a, const char *path, struct span **ret, size_t *ret_count);

#endif
