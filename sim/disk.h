/* sim/disk.h: a disk for SQLite that loses power: files in memory behind a VFS.
 *
 * What is written and not synced is in the page cache of the machine: a killed process leaves it
 * behind as it is; when the power goes, each such write is kept, lost or torn at some byte, with
 * what was there before or rubbish behind it, whatever became of earlier ones. What is synced
 * stays. Creating and deleting a file lasts at once. One process at a time has it open.
 *
 * What the medium refuses once may be lost without a word later, as on Linux: a sync that fails
 * leaves some of what it was for on the medium, drops the rest, and the next one says that all is
 * well; readers see what was written until the power goes. A write that fails may be done in part.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct sim_disk;

/* Asked before each write and sync: 0, or -ENOSPC, -EIO. */
typedef int sim_disk_fail_fn(void *data);

/* Registers a VFS; fail may be NULL. */
struct sim_disk *sim_disk_new(uint64_t seed, sim_disk_fail_fn *fail, void *data);
/* A disk that lies: what is synced is not, and lost with the power. */
void sim_disk_lie(struct sim_disk *d);
/* Bytes of what is synced turn by themselves; every file is closed. */
void sim_disk_rot(struct sim_disk *d);
/* Every file is closed. NULL is fine. */
void sim_disk_free(struct sim_disk *d);
/* For store_sqlite_open_on. */
const char *sim_disk_vfs(const struct sim_disk *d);

/* The process that has files open dies after so many more writes and syncs: what it does then fails
 * and changes nothing. */
void sim_disk_stop(struct sim_disk *d, uint64_t after);
struct sim_disk_loss {
    uint64_t torn, lost; /* writes */
    uint64_t dropped;    /* of them by a sync that failed, since the last restart */
};
/* It is dead, its files are closed; the machine lost power too, or not. Goes on. */
struct sim_disk_loss sim_disk_restart(struct sim_disk *d, bool power);

#endif
