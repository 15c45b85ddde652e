/* os/os_mount.h: mounts. Everything here may block: worker threads only. Codes are 0 or a negative
 * errno. */
#ifndef OS_OS_MOUNT_H
#define OS_OS_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"

/* Mounts an overlay of `lower` (absolute directories, lowest first, at least one) at target. upper
 * and work are empty directories on one file system. Any number of layers that the kernel takes
 * (500) and any character in their paths. The upper directory's content does not survive a crash of
 * the machine (overlayfs "volatile"), where the kernel knows that: a container's root is made anew
 * at each start. */
int os_mount_overlay(const char *target, const struct span *lower, size_t lower_count,
                     const char *upper, const char *work);
/* size_bytes 0: the kernel's default, half the memory. */
int os_mount_tmpfs(const char *target, uint64_t size_bytes, unsigned mode);
/* Lazy; does not follow a link at the end of the path. Success when nothing is mounted there. */
int os_umount(const char *target);
/* True when path is a directory on another file system than its parent. */
bool os_is_mount_point(const char *path);
/* Mount points at or beneath dir (an absolute path without links), the latest mounted first: the
 * order to unmount. */
int os_mounts_beneath(struct arena *a, struct span dir, struct span **ret, size_t *ret_count);
/* Unmounts all of these. */
int os_umount_beneath(struct arena *a, struct span dir);
/* Pure: one line of mountinfo -> mount point (unescaped) and file system type. False when
 * malformed. */
bool os_mountinfo_line(struct arena *a, struct span line, struct span *ret_point,
                       struct span *ret_type, struct span *ret_options);

#endif
