/* controller/volume_ops.h: what the local provisioner needs from the machine: disks made,
 * grown and removed. The node agent's side implements it (its work blocks, so it runs on worker
 * threads); tests have their own. */
#ifndef CONTROLLER_VOLUME_OPS_H
#define CONTROLLER_VOLUME_OPS_H

#include <stdbool.h>

#include "base/span.h"

/* code 0: done; text is the directory's absolute path. Negative: text is a sentence for people.
 * warning, when not empty, is a sentence for an event (a size that cannot be enforced). Spans are
 * borrowed for the call. */
typedef void volume_done_fn(void *done_data, int code, struct span text, struct span warning);

struct volume_ops {
    void *data;
    /* name "pvc-UID". Idempotent. done runs once, later, on the loop. */
    void (*create)(void *data, struct span name, int64_t bytes, volume_done_fn *done,
                   void *done_data);
    /* The disk gets this size, or stays as large as it is. -ENOSPC: it could never be had. */
    void (*grow_disk)(void *data, struct span name, int64_t bytes, volume_done_fn *done,
                      void *done_data);
    /* The file system gets all of its disk. used: some pod has it. -EBUSY: only while none has. */
    void (*grow_files)(void *data, struct span name, bool used, volume_done_fn *done,
                       void *done_data);
    /* Removes the volume with all that is in it; 0 when there is none. */
    void (*remove)(void *data, struct span name, volume_done_fn *done, void *done_data);
    /* Forgets the done of this done_data: its owner is about to be freed. The work itself goes on.
     */
    void (*cancel)(void *data, void *done_data);
};

#endif
