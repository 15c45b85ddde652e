/* Containers on disk: what is there, making one, starting it, removing it. Worker threads only. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/vec.h"
#include "codec/json.h"
#include "os/os_fs.h"
#include "os/os_mount.h"
#include "runtime/oci_config.h"
#include "runtime/runtime_crun_priv.h"

enum { SMALL_MAX = 64 * 1024, DEVICES_MAX = 1024 };

static const char *file_of(const struct host *host, struct arena *a, struct span id,
                           const char *file)
{
    return host_path(host, a, "containers", id, file);
}

/* ---- processes ---- */

static uint64_t process_start_ticks(pid_t pid)
{
    enum { START_FIELD = 20 }; /* counted from the state, the first after the name */
    char path[32], buf[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf);
    if (n <= 0) {
        return 0;
    }
    struct span s = span_of(buf, (size_t)n);
    s = span_trim(span_from(s, span_rfind(s, ')') + 1)); /* the name may hold anything */
    if (s.n && (s.p[0] == 'Z' || s.p[0] == 'X')) {
        return 0;
    }
    for (int i = 1; i < START_FIELD; i++) {
        (void)span_cut(&s, ' ');
    }
    uint64_t ticks = 0;
    return span_to_u64(span_cut(&s, ' '), &ticks) ? ticks : 0;
}

int disk_kill(pid_t pid, uint64_t start_ticks, int signal)
{
    assert(signal > 0);
    if (pid <= 1) {
        return -ESRCH;
    }
    cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        return -errno;
    }
    /* The descriptor holds on to whoever has the number now; is it still ours? */
    if (process_start_ticks(pid) != start_ticks) {
        return -ESRCH;
    }
    return syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0 ? 0 : -errno;
}

/* The monitor's process, 0 when it is gone. Its command line names the bundle. */
static pid_t monitor_of(const struct host *host, struct span id, struct arena *a)
{
    struct span text, cmdline;
    int64_t pid;
    if (os_fs_read(a, AT_FDCWD, file_of(host, a, id, "conmon.pid"), 64, &text) != 0 ||
        !span_to_i64(span_trim(text), &pid) || pid <= 1) {
        return 0;
    }
    const char *path = arena_printf(a, "/proc/%lld/cmdline", (long long)pid).p;
    if (os_fs_read(a, AT_FDCWD, path, SMALL_MAX, &cmdline) != 0) {
        return 0;
    }
    struct span bundle = span_cstr(file_of(host, a, id, NULL));
    while (cmdline.n) {
        if (span_eq(span_cut(&cmdline, '\0'), bundle)) {
            return (pid_t)pid;
        }
    }
    return 0;
}

int disk_kill_programs(const struct host *host, struct span id, struct arena *a)
{
    assert(host);
    struct span *names;
    size_t n;
    struct span bundles = span_cstr(host_path(host, a, "containers", id, NULL));
    int code = os_fs_list(a, "/proc", &names, &n);
    for (size_t i = 0; code == 0 && i < n; i++) {
        int64_t pid;
        struct span cmdline;
        if (!span_to_i64(names[i], &pid) || pid <= 1 || pid == getpid() ||
            os_fs_read(a, AT_FDCWD, arena_printf(a, "/proc/%lld/cmdline", (long long)pid).p,
                       SMALL_MAX, &cmdline) != 0) {
            continue;
        }
        while (cmdline.n) {
            struct span arg = span_cut(&cmdline, '\0');
            if (span_eq(arg, bundles) ||
                (id.n == 0 && span_starts(arg, bundles) && arg.p[bundles.n] == '/')) {
                (void)kill((pid_t)pid, SIGKILL);
            }
        }
    }
    return code;
}

/* ---- what is there ---- */

int disk_load_exit(const struct host *host, struct span id, struct arena *a,
                   struct runtime_status *status)
{
    assert(id.n > 0);
    assert(status);
    struct span text;
    int64_t exit_code;
    struct stat st;
    const char *path = host_path(host, a, "exits", id, NULL);
    int code = os_fs_read(a, AT_FDCWD, path, 64, &text);
    if (code) {
        return code;
    }
    if (!span_to_i64(span_trim(text), &exit_code) || stat(path, &st) != 0) {
        return -ENOENT;
    }
    status->state = RUNTIME_EXITED;
    status->exit_code = (int32_t)exit_code;
    status->oom_killed = access(file_of(host, a, id, "oom"), F_OK) == 0;
    status->finished_ms = st.st_mtim.tv_sec * 1000LL + st.st_mtim.tv_nsec / 1000000;
    return 0;
}

static bool load_started(const struct host *host, struct span id, struct arena *a,
                         struct disk_container *c)
{
    struct span text;
    int64_t pid, started;
    if (os_fs_read(a, AT_FDCWD, file_of(host, a, id, "started"), 256, &text) != 0) {
        return false;
    }
    text = span_trim(text);
    if (!span_to_i64(span_cut(&text, ' '), &pid) ||
        !span_to_u64(span_cut(&text, ' '), &c->start_ticks) || !span_to_i64(text, &started)) {
        return false;
    }
    c->status.pid = (pid_t)pid;
    c->status.started_ms = started;
    /* Noted, and then the agent was killed before it let the process go: now it does. */
    struct span detail;
    return access(host_path(host, a, "crun", id, "exec.fifo"), F_OK) != 0 ||
           disk_let_go(host, id, a, &detail) == 0;
}

static bool load_state(const struct host *host, struct span id, struct arena *a,
                       struct disk_container *c)
{
    struct span text;
    yyjson_doc *doc;
    struct err err;
    if (os_fs_read(a, AT_FDCWD, file_of(host, a, id, "state.json"), SMALL_MAX, &text) != 0 ||
        json_parse(a, text, &doc, &err) != 0) {
        return false;
    }
    const yyjson_val *root = yyjson_doc_get_root(doc);
    c->status.id = arena_dup(a, id);
    c->status.sandbox_uid = json_get_str(root, "sandbox");
    c->status.name = json_get_str(root, "name");
    c->status.attempt = (uint32_t)json_get_int(root, "attempt", 0);
    c->status.stop_signal = (int)json_get_int(root, "stopSignal", 0);
    c->status.image = json_get_str(root, "image");
    c->tty = json_get_bool(root, "tty", false);
    c->with_stdin = json_get_bool(root, "stdin", false);
    c->stdin_once = json_get_bool(root, "stdinOnce", false);
    struct span made = arena_printf(a, "%.*s-%.*s-%u", SPAN_ARG(c->status.sandbox_uid),
                                    SPAN_ARG(c->status.name), c->status.attempt);
    return c->status.sandbox_uid.n && c->status.name.n && span_eq(made, id);
}

/* The first process is there or its monitor is about to say how it ended; -ENOENT: nobody will ever
 * say. */
static int check_alive(const struct host *host, struct span id, struct arena *a,
                       const struct disk_container *c)
{
    if (monitor_of(host, id, a) > 0) {
        return 0;
    }
    /* It may have written the exit file just now. */
    struct runtime_status status = {0};
    if (disk_load_exit(host, id, a, &status) == 0) {
        return 0;
    }
    (void)disk_kill(c->status.pid, c->start_ticks, SIGKILL);
    return -ENOENT;
}

int disk_load(const struct host *host, struct span id, struct arena *a, struct disk_container *ret)
{
    assert(id.n > 0);
    *ret = (struct disk_container){.state = DISK_NONE};
    if (access(file_of(host, a, id, NULL), F_OK) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    ret->state = DISK_HALF;
    if (!load_state(host, id, a, ret) || !load_started(host, id, a, ret)) {
        return 0;
    }
    ret->state = DISK_RUNNING;
    ret->status.state = RUNTIME_RUNNING;
    if (disk_load_exit(host, id, a, &ret->status) == 0) {
        ret->state = DISK_EXITED;
        return 0;
    }
    if (check_alive(host, id, a, ret) != 0) {
        int code =
            os_fs_write_atomic(host_path(host, a, "exits", id, NULL), SPAN("137"), 0644, false);
        if (code) {
            return code;
        }
    }
    if (disk_load_exit(host, id, a, &ret->status) == 0) {
        ret->state = DISK_EXITED;
    }
    return 0;
}

/* ---- making ---- */

static int read_in_root(struct arena *a, int root, const char *path, struct span *ret)
{
    cleanup_close int fd = os_fs_open_in_root(root, path, O_RDONLY | O_NONBLOCK);
    struct stat st;
    *ret = SPAN_NULL;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return 0; /* an image without users is fine */
    }
    return os_fs_read(a, AT_FDCWD, arena_printf(a, "/proc/self/fd/%d", fd).p, LIMIT_PASSWD_BYTES,
                      ret);
}

static int find_user(const struct runtime_container_spec *spec, int root, struct arena *a,
                     struct oci_user *ret, struct span *detail)
{
    struct span passwd, group;
    int code = read_in_root(a, root, "/etc/passwd", &passwd);
    code = code ? code : read_in_root(a, root, "/etc/group", &group);
    if (code) {
        return host_fail(a, detail, code, "read the image's /etc/passwd and /etc/group");
    }
    return oci_user_find(a, spec->user, passwd, group, spec->groups, spec->group_count, ret, detail)
               ? 0
               : -EINVAL;
}

/* What crun asks for before it loads a BPF program: locked memory without a limit. */
static bool can_lock_memory(uint64_t capabilities)
{
    struct rlimit limit;
    bool may_raise = capabilities >> oci_capability(SPAN("SYS_RESOURCE")) & 1;
    return may_raise || (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_max == RLIM_INFINITY);
}

static bool has_cpu_controller(struct arena *a, struct span v2_root)
{
    enum { CONTROLLERS_BYTES_MAX = 4096 };
    struct span list;
    const char *path = arena_printf(a, "%.*s/cgroup.controllers", SPAN_ARG(v2_root)).p;
    if (os_fs_read(a, AT_FDCWD, path, CONTROLLERS_BYTES_MAX, &list) < 0) {
        return false;
    }
    list = span_trim(list);
    while (list.n) {
        if (span_eq(span_cut(&list, ' '), SPAN("cpu"))) {
            return true;
        }
    }
    return false;
}

static uint64_t bounding_set(void)
{
    uint64_t set = 0;
    for (int i = 0; i < 64; i++) {
        set |= prctl(PR_CAPBSET_READ, i) == 1 ? 1ull << i : 0;
    }
    return set;
}

/* Device nodes of the host for a privileged container; terminals, shared memory and the like are
 * its own. */
static void find_devices(struct arena *a, const char *dir, unsigned depth,
                         struct oci_device *devices, size_t *n)
{
    static const char *const skip[] = {"pts", "shm",  "fd",   "mqueue", ".lxc",   "console", "ptmx",
                                       "tty", "null", "zero", "full",   "random", "urandom"};
    DIR *d = opendir(dir);
    const struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        bool skipped = e->d_name[0] == '.';
        for (size_t i = 0; depth == 0 && i < sizeof skip / sizeof *skip; i++) {
            skipped = skipped || strcmp(e->d_name, skip[i]) == 0;
        }
        struct stat st;
        if (skipped || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        struct span path = arena_printf(a, "%s/%s", dir, e->d_name);
        if (S_ISDIR(st.st_mode) && depth < 3) {
            find_devices(a, path.p, depth + 1, devices, n);
        } else if ((S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) && *n < DEVICES_MAX) {
            devices[(*n)++] = (struct oci_device){
                .path = path,
                .type = S_ISBLK(st.st_mode) ? 'b' : 'c',
                .major = major(st.st_rdev),
                .minor = minor(st.st_rdev),
                .mode = st.st_mode & 0777,
            };
        }
    }
    if (d) {
        (void)closedir(d);
    }
}

static int make_root(const struct host *host, struct span id,
                     const struct runtime_container_spec *spec, struct arena *a,
                     struct span *detail)
{
    const struct span *layers;
    size_t n;
    int code = host->layers_of(host->layers_data, spec->rootfs_image, a, &layers, &n);
    if (code || n == 0) {
        return host_fail(a, detail, code ? code : -ENOENT,
                         arena_printf(a, "layers of image %.*s", SPAN_ARG(spec->rootfs_image)).p);
    }
    const char *upper = file_of(host, a, id, "upper"), *work = file_of(host, a, id, "work"),
               *merged = file_of(host, a, id, "merged");
    if (mkdir(upper, 0755) != 0 || mkdir(work, 0700) != 0 || mkdir(merged, 0755) != 0) {
        return host_fail(a, detail, -errno, "make the container's directories");
    }
    code = os_mount_overlay(merged, layers, n, upper, work);
    for (size_t i = 0; i < n && code == 0; i++) {
        if (access(arena_cstr(a, layers[i]), F_OK) != 0) { /* see image_remove() */
            return host_fail(
                a, detail, -ENOENT,
                arena_printf(a, "layers of image %.*s", SPAN_ARG(spec->rootfs_image)).p);
        }
    }
    return host_fail(a, detail, code,
                     code == -ENODEV ? "mount the container's root (kernel option overlay)"
                     : code == -EINVAL
                         ? "mount the container's root (the data directory's file system cannot "
                           "hold an overlay's upper directory)"
                         : "mount the container's root");
}

/* The process namespace of another container, by its first process. */
static int find_pid_namespace(const struct host *host, struct span of, struct arena *a,
                              struct span *ret, struct span *detail)
{
    struct span text = SPAN_NULL;
    int64_t pid = 0;
    int code = host_name_ok(of, NAME_MAX)
                   ? os_fs_read(a, AT_FDCWD, file_of(host, a, of, "pid"), 64, &text)
                   : -EINVAL;
    if (code == 0 && span_to_i64(span_trim(text), &pid) && pid > 1) {
        *ret = arena_printf(a, "/proc/%lld/ns/pid", (long long)pid);
        if (access(ret->p, F_OK) == 0) {
            return 0;
        }
    }
    *detail = arena_printf(a, "the target container %.*s does not run", SPAN_ARG(of));
    return -ESRCH;
}

static int write_config(const struct host *host, struct span id,
                        const struct runtime_container_spec *spec, bool host_network,
                        struct arena *a, struct span *detail)
{
    struct oci_input in = {.spec = spec, .root = span_cstr(file_of(host, a, id, "merged"))};
    cleanup_close int root = open(in.root.p, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        return host_fail(a, detail, -errno, in.root.p);
    }
    int code = find_user(spec, root, a, &in.user, detail);
    if (code) {
        return code;
    }
    /* Docker makes a missing working directory; so do we. A link that leads astray is crun's to
     * refuse. */
    (void)os_fs_mkdirs_in_root(a, root, spec->cwd, 0755);
    if (spec->pid_of.n) {
        code = find_pid_namespace(host, spec->pid_of, a, &in.pid, detail);
        if (code) {
            return code;
        }
    }
    struct span uid = spec->sandbox_uid;
    in.net = host_network ? SPAN_NULL : span_cstr(host_path(host, a, "sandboxes", uid, "net"));
    in.ipc = span_cstr(host_path(host, a, "sandboxes", uid, "ipc"));
    in.uts = span_cstr(host_path(host, a, "sandboxes", uid, "uts"));
    in.hosts = span_cstr(host_path(host, a, "sandboxes", uid, "hosts"));
    in.resolv_conf = span_cstr(host_path(host, a, "sandboxes", uid, "resolv.conf"));
    in.hostname = span_cstr(host_path(host, a, "sandboxes", uid, "hostname"));
    in.shm = span_cstr(host_path(host, a, "sandboxes", uid, "shm"));
    in.cgroups_path = arena_printf(a, "%.*s/pod%.*s/%.*s", SPAN_ARG(host->cgroup_parent),
                                   SPAN_ARG(uid), SPAN_ARG(id));
    in.bounding = bounding_set();
    in.machine_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    in.cgroup_v2 = host->cgroup.mode == OS_CGROUP_V2;
    in.no_device_rules = in.cgroup_v2 && !can_lock_memory(in.bounding);
    in.no_cpu_controller = in.cgroup_v2 && !has_cpu_controller(a, host->cgroup.v2_root);
    if (spec->privileged) {
        struct oci_device *devices = ARENA_ARRAY(a, struct oci_device, DEVICES_MAX);
        find_devices(a, "/dev", 0, devices, &in.device_count);
        in.devices = devices;
    }
    code = os_fs_write(file_of(host, a, id, "config.json"), oci_config(a, &in), 0600);
    return host_fail(a, detail, code, "write the container's config.json");
}

static int write_state(const struct host *host, struct span id,
                       const struct runtime_container_spec *spec, struct arena *a)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    json_put_str(doc, root, "sandbox", spec->sandbox_uid);
    json_put_str(doc, root, "name", spec->name);
    json_put_int(doc, root, "attempt", spec->attempt);
    json_put_int(doc, root, "stopSignal", spec->stop_signal);
    json_put_str(doc, root, "image", spec->image);
    json_put_bool(doc, root, "tty", spec->tty);
    json_put_bool(doc, root, "stdin", spec->with_stdin);
    json_put_bool(doc, root, "stdinOnce", spec->stdin_once);
    return os_fs_write(file_of(host, a, id, "state.json"), json_write_mut(a, root), 0600);
}

int disk_prepare(const struct host *host, struct span id, const struct runtime_container_spec *spec,
                 struct arena *a, struct span *ret_detail)
{
    assert(id.n > 0);
    assert(ret_detail);
    struct runtime_sandbox_status sandbox;
    bool host_network;
    if (sandbox_load(host, spec->sandbox_uid, a, &sandbox, &host_network) != 0) {
        *ret_detail = SPAN("the pod's sandbox is not there");
        return -ESRCH;
    }
    const char *dir = file_of(host, a, id, NULL);
    if (mkdir(dir, 0700) != 0) {
        return host_fail(a, ret_detail, -errno, dir);
    }
    /* First of all: from now on the image is in use. */
    int code = os_fs_write(file_of(host, a, id, "image"), spec->rootfs_image, 0600);
    (void)host_fail(a, ret_detail, code, "note the container's image");
    code = code ? code : make_root(host, id, spec, a, ret_detail);
    code = code ? code : write_config(host, id, spec, host_network, a, ret_detail);
    if (code) {
        return code;
    }
    return host_fail(a, ret_detail, write_state(host, id, spec, a), "write the container's state");
}

int disk_start(const struct host *host, struct span id, pid_t pid, int64_t now_ms, struct arena *a,
               uint64_t *ret_ticks, struct span *ret_detail)
{
    assert(id.n > 0);
    assert(pid > 1);
    assert(ret_ticks);
    *ret_ticks = process_start_ticks(pid);
    if (*ret_ticks == 0) {
        *ret_detail = SPAN("the container ended before it was started");
        return -ESRCH;
    }
    int code = os_fs_write_atomic(file_of(host, a, id, "started"),
                                  arena_printf(a, "%d %llu %lld", (int)pid,
                                               (unsigned long long)*ret_ticks, (long long)now_ms),
                                  0600, false);
    return code ? host_fail(a, ret_detail, code, "write the container's state") : 0;
}

int disk_let_go(const struct host *host, struct span id, struct arena *a, struct span *ret_detail)
{
    assert(id.n > 0);
    /* What `crun start` does, without the 4 ms of running it: the waiting process goes on after one
     * byte. */
    const char *fifo = host_path(host, a, "crun", id, "exec.fifo");
    cleanup_close int fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return host_fail(a, ret_detail, -errno, "start the container");
    }
    if (unlink(fifo) != 0 || write(fd, "", 1) != 1) {
        return host_fail(a, ret_detail, -errno, "start the container");
    }
    return 0;
}

/* ---- removing ---- */

/* The tree is first moved away: from then on the container does not exist, however long its files
 * take to go. */
static int remove_bundle(const struct host *host, struct span id, struct arena *a)
{
    int code = os_umount(file_of(host, a, id, "merged"));
    if (code) {
        return code;
    }
    const char *dir = file_of(host, a, id, NULL);
    struct span away = arena_printf(a, "%.*s-%d", SPAN_ARG(id), (int)getpid());
    const char *spool = host_path(host, a, "spool", away, NULL);
    code = os_fs_remove_tree_at(spool);
    if (code == 0 && rename(dir, spool) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    return code ? code : os_fs_remove_tree_at(spool);
}

int disk_destroy(const struct host *host, struct span id, struct arena *a)
{
    assert(id.n > 0);
    struct disk_container c = {0};
    /* state.json is written before the monitor is run: without it there is no process and no
     * cgroup. */
    if (!load_state(host, id, a, &c)) {
        c.status.sandbox_uid = SPAN_NULL;
    }
    pid_t monitor = monitor_of(host, id, a);
    if (monitor > 0) {
        (void)kill(monitor, SIGKILL);
    }
    if (c.status.sandbox_uid.n) {
        struct span group = arena_printf(a, "%.*s/pod%.*s/%.*s", SPAN_ARG(host->cgroup_parent),
                                         SPAN_ARG(c.status.sandbox_uid), SPAN_ARG(id));
        int code = os_cgroup_kill(&host->cgroup, group);
        code = code ? code : os_cgroup_remove(&host->cgroup, group);
        if (code) {
            return code;
        }
    }
    int code = os_fs_remove_tree_at(host_path(host, a, "crun", id, NULL));
    code = code ? code : remove_bundle(host, id, a);
    if (code == 0 && unlink(host_path(host, a, "exits", id, NULL)) != 0 && errno != ENOENT) {
        code = -errno;
    }
    return code;
}

/* ---- words ---- */

static bool contains(struct span s, const char *what)
{
    return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

int crun_error(struct arena *a, struct span message, struct span arg0, struct span *ret_detail)
{
    assert(ret_detail);
    message = span_trim(message);
    bool path = span_find(arg0, '/') < arg0.n;
    if (contains(message, "executable file") && contains(message, "not found")) {
        *ret_detail = path ? arena_printf(a, "exec: \"%.*s\": stat %.*s: no such file or directory",
                                          SPAN_ARG(arg0), SPAN_ARG(arg0))
                           : arena_printf(a, "exec: \"%.*s\": executable file not found in $PATH",
                                          SPAN_ARG(arg0));
        return -ENOENT;
    }
    if (contains(message, "open executable")) {
        *ret_detail =
            contains(message, "Permission denied")
                ? arena_printf(a, "exec: \"%.*s\": permission denied", SPAN_ARG(arg0))
                : arena_printf(a, "exec: \"%.*s\": no such file or directory", SPAN_ARG(arg0));
        return contains(message, "Permission denied") ? -EACCES : -ENOENT;
    }
    *ret_detail = arena_printf(a, "crun: %.*s", SPAN_ARG(message));
    return -EIO;
}
