/* kubelet/volume_write.h: the blocking half of volumes: directories, files and mounts of one pod,
 * on a work thread. */
#ifndef KUBELET_VOLUME_WRITE_H
#define KUBELET_VOLUME_WRITE_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/span.h"

struct volume_file {
    struct span path; /* relative, no ".." */
    struct span bytes;
    mode_t mode;
    uint32_t owner; /* the user; 0: root, as whom we write */
};

enum volume_kind {
    VOLUME_EMPTY, /* a directory of the pod; with a limit, a file system of its own */
    VOLUME_TMPFS, /* the same in memory */
    VOLUME_FILES, /* config maps, secrets, downward API, tokens: replaced atomically */
    VOLUME_HOST,  /* a path of this machine, by its hostPath type */
    VOLUME_LOCAL  /* a persistent volume's directory */
};

struct volume_desc {
    enum volume_kind kind;
    struct span name, path; /* of the volume; on the host */
    struct span host_type;  /* VOLUME_HOST: DirectoryOrCreate, ... */
    uint64_t size_bytes;    /* VOLUME_EMPTY, VOLUME_TMPFS; 0: no own limit */
    int64_t fs_group;       /* -1: none */
    struct volume_file *files;
    size_t file_count;
    bool in_memory; /* VOLUME_FILES: what is in it never comes to a disk */
};

/* *ret_detail becomes "WHAT PATH: text of code"; returns code. */
int volume_fail(struct arena *a, struct span *ret_detail, int code, const char *what,
                struct span path);
/* [blocking] Idempotent: what is there stays. Returns 0 or a negative code with a sentence for
 * FailedMount; 0 with the end of a sentence in *ret_warning when something of it is not as asked.
 */
int volume_prepare(const struct volume_desc *v, struct arena *a, struct span *ret_warning,
                   struct span *ret_detail);
/* [blocking] Unmounts everything below dir, innermost first, then removes it (when asked). */
int volume_teardown(const char *dir, bool remove, struct arena *a, struct span *ret_detail);

#endif
