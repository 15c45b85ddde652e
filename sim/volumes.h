/* sim/volumes.h: the directories of local volumes on the server's machine: they are made,
 * grown and removed after a while, or not when the disk is full, outlive every crash, and remember
 * whose data is in them. Checker: data-kept: what a claim has stored goes after the claim, and a
 * container starts on the data of its claim and on no other; what is to be retained is. */
#ifndef SIM_VOLUMES_H
#define SIM_VOLUMES_H

#include "controller/volume_ops.h"

struct platform;
struct volumes;

struct volumes *volumes_new(struct platform *w);
void volumes_free(struct volumes *v);
/* For controllers that run in the platform's environment of the moment. */
const struct volume_ops *volumes_ops(const struct volumes *v);
/* The controllers died, and what they were about is done or not. */
void volumes_kill(struct volumes *v);
/* A volume's policy says that its data stays when its claim goes, or does not any more. */
void volumes_on_policy(struct volumes *v, struct span volume, bool retains);
/* What the file system of a volume has room for. */
int64_t volumes_room(const struct volumes *v, struct span volume);
/* NULL: at rest; else what is not. */
const char *volumes_at_rest(const struct volumes *v);
/* A container of this pod starts. */
void volumes_on_start(struct volumes *v, struct span ns, struct span name, struct span uid);

#endif
