/* kubelet/volume_local.h: the disks of local claims: DATA/volumes/pvc-UID, made and removed for the
 * local provisioner.
 *
 * A volume is a directory; with enforcement it is the mount point of an ext4 file system of the
 * claimed size in a sparse file beside it (DATA/volumes/pvc-UID.img, loop mounted). The data is
 * removed by volume_local_remove() and by nothing else. All functions block: work threads only. */
#ifndef KUBELET_VOLUME_LOCAL_H
#define KUBELET_VOLUME_LOCAL_H

#include "base/arena.h"
#include "base/span.h"

struct volume_local_made {
    struct span path;    /* of the directory */
    bool enforced;       /* its size is a real limit */
    struct span warning; /* not empty: why it is not, a sentence for an event */
};

/* name "pvc-UID". Idempotent: an existing volume is returned as it is. */
int volume_local_create(struct span data_dir, struct span name, int64_t size_bytes, bool enforce,
                        struct arena *a, struct volume_local_made *ret, struct span *ret_detail);
/* Gives the volume's disk this size, or leaves it when it is as large: -ENOSPC when it could never
 * be that large. Its file system comes next. */
int volume_local_grow_disk(struct span data_dir, struct span name, int64_t size_bytes,
                           struct arena *a, struct span *ret_detail);
/* Gives the file system all of the disk, in use or not; used: some pod has it. -EBUSY: this machine
 * can do that only while no pod has it; a pod that starts brings it about as well. */
int volume_local_grow_files(struct span data_dir, struct span name, bool used, struct arena *a,
                            struct span *ret_detail);
/* Unmounts, then removes the directory, the image and what is in them. 0 when there is nothing.
 * -EBUSY while in use. */
int volume_local_remove(struct span data_dir, struct span name, struct arena *a,
                        struct span *ret_detail);
/* Makes the directory usable after a reboot: mounts the image beside it when there is one, and
 * gives its file system the room of one that has grown. -ENOENT: no such volume. */
int volume_local_attach(struct span path, struct arena *a, struct span *ret_detail);
/* Gives the directory PATH, of a pod, so much room of its own and hardly more: a file system in
 * PATH.img as above, which goes with both. What there is stays: an image is mounted again, files
 * keep the directory as it is. Not empty *ret_warning: it stays a plain directory, and why. */
int volume_local_limit(struct span path, uint64_t size_bytes, struct arena *a,
                       struct span *ret_warning, struct span *ret_detail);
/* Unmounts every volume of the data directory, those of pods too (`berth stop`); the data stays. */
int volume_local_detach_all(struct span data_dir, struct arena *a, struct span *ret_detail);

#endif
