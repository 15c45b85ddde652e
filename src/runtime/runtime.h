/* runtime/runtime.h: containers as the node agent sees them. Two implementations: runtime_crun
 * (conmon + crun) and runtime_fake (no container; for benchmarks, tests and the simulator).
 *
 * Truth is on disk and in the kernel: after a restart runtime_list() tells what is there, and the
 * agent goes on from it. Every call is asynchronous and idempotent; done runs once, never inside
 * the call; it may be killed at any instruction and called again. Ids: a sandbox is named by the
 * pod's uid; a container by "UID-NAME-ATTEMPT". */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "base/arena.h"
#include "base/span.h"
#include "env/env.h"

struct runtime;

/* A pod's shared world: network, IPC and UTS namespaces, pinned by us; its address; resolv.conf and
 * hosts files. */
struct runtime_sandbox_spec {
    struct span uid, ns, name; /* of the pod */
    struct span hostname;      /* at most 63 bytes */
    bool host_network;
    struct span resolv_conf; /* complete file contents */
    /* Text of /etc/hosts with the line of the pod itself left out: the runtime appends it when the
     * address is known: "IP\tHOSTS_NAMES\n". hosts_names empty: nothing is appended. */
    struct span hosts, hosts_names;
    const struct span *sysctls; /* "name=value" */
    size_t sysctl_count;
    const struct span
        *annotations; /* "berth.dev/name=value": only those; runtime_fake reads them */
    size_t annotation_count;
};

struct runtime_mount {
    struct span source, target; /* host path, path in the container */
    bool read_only;
    bool is_tmpfs; /* emptyDir medium Memory: source unused, size in bytes (0: half the memory) */
    uint64_t size_bytes;
};

enum runtime_seccomp { RUNTIME_SECCOMP_NONE, RUNTIME_SECCOMP_DEFAULT, RUNTIME_SECCOMP_PROFILE };

struct runtime_container_spec {
    struct span sandbox_uid;
    struct span name;         /* container name in the pod */
    uint32_t attempt;         /* restart count of this start */
    struct span rootfs_image; /* image id (manifest digest) that image_prepare gave */
    const struct span *args;  /* final argv: entrypoint and command already combined */
    const struct span *env;   /* "NAME=value", complete */
    size_t arg_count, env_count;
    struct span cwd;
    struct span user;       /* "", "uid", "uid:gid", "name": resolved in the root's /etc/passwd */
    const uint32_t *groups; /* supplementary */
    size_t group_count;
    const struct runtime_mount *mounts;
    size_t mount_count;
    bool tty, with_stdin, stdin_once;
    bool read_only_root, privileged, no_new_privileges;
    bool host_pid, host_ipc; /* the machine's own, instead of the container's and the sandbox's */
    struct span pid_of; /* id of a running container whose process namespace it joins; or empty */
    const struct span *add_capabilities, *drop_capabilities; /* without CAP_; "ALL" */
    size_t add_capability_count, drop_capability_count;
    int64_t memory_limit_bytes;   /* 0: none */
    int64_t memory_request_bytes; /* 0: none; decides who is killed first when memory runs out */
    int64_t cpu_milli_limit;      /* 0: none */
    int64_t cpu_milli_request;    /* shares */
    struct span log_path;         /* CRI format log file; directory exists */
    struct span termination_log;  /* host file bound at terminationMessagePath; empty: none */
    struct span termination_log_target;
    enum runtime_seccomp seccomp; /* which system calls pass; a privileged container's all do */
    struct span
        seccomp_profile; /* PROFILE: a JSON object, linux.seccomp of the OCI specification */
    /* Kept with the container, for whoever adopts it: */
    int stop_signal;   /* 0: none was given */
    struct span image; /* as the pod names it */
};

/* What a container may use; the names as in runtime_container_spec. */
struct runtime_limits {
    int64_t memory_limit_bytes, cpu_milli_limit, cpu_milli_request;
};

/* What a running container (or the machine, id empty) has used of processors since its start, and
 * of memory now: the working set. */
struct runtime_usage {
    struct span id, sandbox_uid, name; /* as in runtime_status */
    int64_t at_ns;                     /* on the monotonic clock */
    uint64_t cpu_ns;
    int64_t memory_bytes;
};
/* In no order, valid for the call; what cannot be measured is left out. */
typedef void runtime_usage_fn(void *data, const struct runtime_usage *usage, size_t n);

enum runtime_state { RUNTIME_CREATED, RUNTIME_RUNNING, RUNTIME_EXITED };

struct runtime_status {
    struct span id; /* "UID-NAME-ATTEMPT" */
    struct span sandbox_uid, name;
    uint32_t attempt;
    enum runtime_state state;
    int32_t exit_code; /* 128 + signal when killed */
    int32_t signal;
    bool oom_killed;
    int64_t started_ms, finished_ms; /* wall clock */
    pid_t pid;
    int stop_signal;   /* of runtime_container_spec */
    struct span image; /* the same; empty: an earlier program did not keep it */
};

struct runtime_sandbox_status {
    struct span uid, ns, name, ip; /* ip empty while unset or with host network */
    bool ready;
};

/* code 0 or negative; detail: a sentence for events ("crun: exec format error"), valid for the
 * call. */
typedef void runtime_done_fn(void *data, int code, struct span detail);
typedef void runtime_sandbox_fn(void *data, int code, struct span ip, struct span detail);
typedef void runtime_start_fn(void *data, int code, const struct runtime_status *status,
                              struct span detail);

struct runtime_list_result {
    const struct runtime_sandbox_status *sandboxes;
    const struct runtime_status *containers;
    size_t sandbox_count, container_count;
};

/* A command in a running container (probes, kubectl exec) or an attachment to its first process. */
struct runtime_session;
struct runtime_session_handler {
    void (*on_output)(void *data, int fd, struct span bytes); /* fd 1 or 2; with a tty always 1 */
    /* The command ended (exec), or the container's process did (attach; code is then its exit
     * code), or the input of an attachment to a process whose input outlives it (code 0): one with
     * a terminal, or that does not ask for stdin once only. Released after. */
    void (*on_end)(void *data, int exit_code,
                   struct span detail); /* exit_code < 0: could not run, see detail */
};
struct runtime_exec_spec {
    struct span container_id;
    const struct span *args; /* empty: attach */
    size_t arg_count;
    bool tty, with_stdin, with_stdout, with_stderr;
};

struct runtime_ops {
    /* Called on every container exit, also for those that ended while we were away (after
     * runtime_list). */
    void (*on_exit)(struct runtime *rt, void (*fn)(void *data, const struct runtime_status *status),
                    void *data);
    void (*list)(struct runtime *rt,
                 void (*fn)(void *data, const struct runtime_list_result *result), void *data);
    void (*sandbox_create)(struct runtime *rt, const struct runtime_sandbox_spec *spec,
                           runtime_sandbox_fn *done, void *data);
    void (*sandbox_remove)(struct runtime *rt, struct span uid, runtime_done_fn *done, void *data);
    /* Creates and starts. A command that does not exist gives -ENOENT, one not executable -EACCES.
     */
    void (*container_start)(struct runtime *rt, const struct runtime_container_spec *spec,
                            runtime_start_fn *done, void *data);
    void (*container_kill)(struct runtime *rt, struct span id, int signal, runtime_done_fn *done,
                           void *data);
    /* Gives a running container other limits; what is 0 stays as it was. Less memory than it uses
     * now is -EBUSY, and changes nothing. */
    void (*container_resize)(struct runtime *rt, struct span id,
                             const struct runtime_limits *limits, runtime_done_fn *done,
                             void *data);
    /* Measures the machine, and every container that runs. */
    void (*usage)(struct runtime *rt, runtime_usage_fn *done, void *data);
    /* Of an exited container: root, bundle and state; the log file stays. */
    void (*container_remove)(struct runtime *rt, struct span id, runtime_done_fn *done, void *data);
    /* After the log file was renamed: the monitor opens the path anew. */
    void (*log_reopen)(struct runtime *rt, struct span id, runtime_done_fn *done, void *data);
    /* Returns NULL with on_end still to come when it cannot start. */
    struct runtime_session *(*exec)(struct runtime *rt, const struct runtime_exec_spec *spec,
                                    const struct runtime_session_handler *handler, void *data);
    void (*session_write)(struct runtime_session *s, struct span bytes); /* stdin */
    size_t (*session_queued)(const struct runtime_session *s);
    void (*session_close_stdin)(struct runtime_session *s);
    void (*session_resize)(struct runtime_session *s, uint16_t width, uint16_t height);
    /* Back-pressure of output. */
    void (*session_pause)(struct runtime_session *s, bool paused);
    /* The client is gone: an exec's process is killed, an attachment ends. No callback follows. */
    void (*session_abort)(struct runtime_session *s);
    /* Where the sandbox's network namespace is pinned: a file name for os_ns_open, in the arena.
     * Does no I/O: the file may not be there. -EOPNOTSUPP: there are no namespaces here. */
    int (*net_path)(struct runtime *rt, struct arena *a, struct span uid, const char **ret);
    void (*free)(struct runtime *rt);
};

struct runtime {
    const struct runtime_ops *ops;
    struct env *env;
};

#endif
