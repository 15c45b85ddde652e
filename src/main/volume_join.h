/* main/volume_join.h: joins the local provisioner (a controller) with the node agent's disks. */
#ifndef MAIN_VOLUME_JOIN_H
#define MAIN_VOLUME_JOIN_H

#include "base/list.h"
#include "controller/volume_ops.h"
#include "kubelet/kubelet_provision.h"

struct volume_join {
    struct volume_ops ops; /* first */
    struct kubelet_provisioner provisioner;
    struct list pending; /* calls under way, so that cancel finds them */
};

/* provisioner is copied; its data_dir outlives the join. */
void volume_join_init(struct volume_join *j, const struct kubelet_provisioner *provisioner);

#endif
