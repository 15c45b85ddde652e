/* runtime/oci_config.h: the OCI runtime configuration (config.json) of a container: a pure
 * function, and who the container's user is according to the files of its image. */
#ifndef RUNTIME_OCI_CONFIG_H
#define RUNTIME_OCI_CONFIG_H

#include "base/arena.h"
#include "codec/json.h"
#include "runtime/runtime.h"

struct oci_user {
    uint32_t uid, gid;
    const uint32_t *groups; /* supplementary */
    size_t group_count;
};

struct oci_device {
    struct span path;
    char type; /* 'c' or 'b' */
    uint32_t major, minor, mode;
};

struct oci_input {
    const struct runtime_container_spec *spec;
    struct span root;                              /* host path */
    struct span net, ipc, uts;                     /* pinned namespaces; net empty: the host's */
    struct span pid;                               /* one to join; empty: one of its own */
    struct span hosts, resolv_conf, hostname, shm; /* host paths */
    struct span cgroups_path;
    struct oci_user user;
    uint64_t bounding; /* capabilities that we have to give, bit by number */
    bool cgroup_v2;
    /* Devices cannot be ruled: on cgroup v2 that takes a BPF program, for which crun wants to lock
     * more memory than a process without CAP_SYS_RESOURCE may. Containers then cannot make device
     * nodes at all. */
    bool no_device_rules;
    bool no_cpu_controller; /* on cgroup v2: nothing is asked of it unless the container does */
    int64_t machine_bytes;  /* memory of the machine */
    const struct oci_device *devices; /* of a privileged container */
    size_t device_count;
};

/* The text of config.json, in the arena. */
struct span oci_config(struct arena *a, const struct oci_input *in);
/* Thousandths of a core as a share and as time out of each period. */
enum { OCI_CPU_PERIOD_US = 100000 };
int64_t oci_cpu_shares(int64_t milli);
int64_t oci_cpu_quota_us(int64_t milli);
/* Number of a capability name without CAP_ ("NET_ADMIN"), -1 when unknown. */
int oci_capability(struct span name);

/* oci_seccomp.c: linux.seccomp as RuntimeDefault has it, for a process with these capabilities
 * (bits by number). */
void oci_seccomp_default(yyjson_mut_doc *doc, yyjson_mut_val *linux_obj, uint64_t capabilities);

/* "", "uid", "name", each with ":gid" or ":group" -> numbers, by the text of /etc/passwd and
 * /etc/group (empty when the image has none). `extra` groups are added. False with a sentence when
 * a name is not known. */
bool oci_user_find(struct arena *a, struct span user, struct span passwd, struct span group,
                   const uint32_t *extra, size_t extra_count, struct oci_user *ret,
                   struct span *ret_detail);

#endif
