/* runtime/runtime_crun.h: containers by conmon (monitor) and crun (OCI runtime), run as programs.
 *
 *   DATA/run/boot                   boot id: another boot's remains are dropped at start
 *   DATA/run/sandboxes/UID/         net ipc uts (pinned namespaces) shm resolv.conf hosts hostname
 * state.json (written last) DATA/run/containers/ID/         bundle: config.json state.json upper
 * work merged; started (pid, start time, wall clock); conmon's files: pid conmon.pid attach ctl
 * winsz oom DATA/run/exits/ID               exit code, renamed into place by conmon: watched, never
 * polled DATA/run/crun/ID/               crun's own state DATA/run/exec/                  process
 * files and console sockets of exec sessions DATA/run/spool/                 trees on their way to
 * be removed Nothing here is synced to disk: after a crash of the machine nothing runs, and all of
 * it is dropped.
 *
 * A container is running when `started` exists, its process is the recorded one and crun's start
 * fifo is gone; it has ended when its exit file is there; everything else is half made and is
 * cleaned away. conmon runs in the cgroup of this program: a service manager must stop only the
 * main process (KillMode=process). */
#ifndef RUNTIME_RUNTIME_CRUN_H
#define RUNTIME_RUNTIME_CRUN_H

#include "base/arena.h"
#include "runtime/runtime.h"

/* How a sandbox gets onto a network; all functions [blocking], on worker threads, several at once.
 */
struct runtime_network {
    /* Connects the network namespace nsfd and gives the pod's address. Idempotent. */
    int (*attach)(void *data, struct span uid, int nsfd, struct arena *a, struct span *ret_ip,
                  struct span *ret_detail);
    /* Absent is success. */
    int (*detach)(void *data, struct span uid, struct arena *a);
    void *data;
};

/* [blocking] Layer directories of an image, lowest first, absolute, in the arena. */
typedef int runtime_layers_fn(void *data, struct span image_id, struct arena *a,
                              const struct span **ret_dirs, size_t *ret_count);

struct runtime_crun_config {
    struct span data_dir; /* absolute */
    /* This program's file, whose subcommand "runtime-shim" is runtime_shim_main(); empty:
     * /proc/self/exe read. Used only where crun refuses the machine's mix of cgroups. */
    struct span self_exe;
    struct span cgroup_parent; /* "/berth-x"; empty: made from data_dir, so that two servers never
                                  share one */
    struct runtime_network network; /* attach NULL: loopback only */
    runtime_layers_fn *layers_of;
    void *layers_data;
};

/* Finds the programs, makes the directories. -ENOENT with a sentence that names the package when
 * one is missing. */
int runtime_crun_new(struct env *env, const struct runtime_crun_config *config, struct arena *a,
                     struct runtime **ret, struct span *ret_detail);

/* [blocking] The images (manifest digests) of all containers that exist below DATA/run, also of
 * those that are being made or have ended; also when no server runs. */
struct runtime_image_use {
    struct span image_id, container_id;
};
int runtime_crun_images(struct span data_dir, struct arena *a, struct runtime_image_use **ret,
                        size_t *ret_count);

/* [blocking] Ends everything below DATA/run and removes its mounts, cgroups, namespaces, links and
 * files. For `berth stop`, also when no server runs. network.attach and layers_of are not used.
 * Goes on after an error; the first one is returned. */
int runtime_crun_purge(const struct runtime_crun_config *config, struct arena *a,
                       struct span *ret_detail);

/* Hidden subcommand: argv = {..., "runtime-shim", PROGRAM, ARGUMENTS...}: executes PROGRAM in a
 * private mount namespace without the cgroup2 mount that crun refuses beside v1 controllers.
 * Returns only on failure (exit code). */
int runtime_shim_main(int argc, char **argv);

#endif
