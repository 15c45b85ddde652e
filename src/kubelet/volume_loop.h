/* kubelet/volume_loop.h: ext4 file systems in files, mounted by way of loop devices; they grow with
 * their file. All functions block: work threads only; one at a time for each file (they wait for
 * each other). Codes are 0 or a negative errno. */
#ifndef KUBELET_VOLUME_LOOP_H
#define KUBELET_VOLUME_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/* A new file of this size with an empty file system. -EEXIST: there is one. */
int volume_loop_make(const char *image, int64_t size_bytes);
/* Mounts it; a file that has grown since gives its file system the room. 0 when it is mounted. */
int volume_loop_mount(const char *image, const char *path);
/* Gives the file system all the room of its file: while it is mounted and in use, where this
 * process has CAP_SYS_RESOURCE, which the kernel asks for; else it is taken off for a moment, when
 * nobody uses it. used: known to be in use, so that is not tried. -EBUSY: only while nobody uses
 * it. What is in it stays, whenever this ends. */
int volume_loop_grow(const char *image, const char *path, bool used);

#endif
