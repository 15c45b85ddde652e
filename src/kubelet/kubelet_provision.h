/* kubelet/kubelet_provision.h: volume_local.h for the loop thread: makes, grows and removes the
 * disks of the local provisioner (a controller, which does not see this layer: main/ joins the
 * two). Idempotent; done comes once, in a later turn. */
#ifndef KUBELET_KUBELET_PROVISION_H
#define KUBELET_KUBELET_PROVISION_H

#include "base/span.h"
#include "env/env.h"

struct kubelet_provisioner {
    struct env *env;
    struct span data_dir; /* absolute; outlives every call */
    bool enforce;         /* sizes by ext4 in a sparse file, where loop devices work */
    bool no_files;        /* with the fake runtime: only names */
};

struct kubelet_provisioned {
    int code;            /* 0 or negative */
    struct span path;    /* code 0: the directory, for spec.local.path */
    struct span warning; /* code 0, not empty: the size is not enforced, and why: a Warning event */
    struct span detail;  /* code < 0: a sentence */
};
typedef void kubelet_provision_fn(void *data, const struct kubelet_provisioned *result);

/* name "pvc-UID"; copied. */
void kubelet_provision_create(const struct kubelet_provisioner *p, struct span name,
                              int64_t size_bytes, kubelet_provision_fn *done, void *data);
/* volume_local_grow_disk(), volume_local_grow_files(). */
void kubelet_provision_grow_disk(const struct kubelet_provisioner *p, struct span name,
                                 int64_t size_bytes, kubelet_provision_fn *done, void *data);
void kubelet_provision_grow_files(const struct kubelet_provisioner *p, struct span name, bool used,
                                  kubelet_provision_fn *done, void *data);
/* The only call that removes a claim's data. */
void kubelet_provision_remove(const struct kubelet_provisioner *p, struct span name,
                              kubelet_provision_fn *done, void *data);

#endif
