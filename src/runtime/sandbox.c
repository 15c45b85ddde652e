/* A pod's shared world on this node: namespaces, address, files. state.json is written last, by
 * rename: a sandbox without it is half made, and is made anew. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/err.h"
#include "codec/json.h"
#include "os/os_fs.h"
#include "os/os_mount.h"
#include "os/os_ns.h"
#include "runtime/runtime_crun_priv.h"

enum { STATE_MAX = 64 * 1024, SHM_BYTES = 64 * 1024 * 1024, HOSTNAME_MAX = 63, UID_MAX = 64 };

static const char *file_of(const struct host *host, struct arena *a, struct span uid,
                           const char *file)
{
    return host_path(host, a, "sandboxes", uid, file);
}

int sandbox_load(const struct host *host, struct span uid, struct arena *a,
                 struct runtime_sandbox_status *ret, bool *ret_host_network)
{
    assert(uid.n > 0);
    assert(ret);
    assert(ret_host_network);
    struct span text;
    yyjson_doc *doc;
    struct err err;
    int code = os_fs_read(a, AT_FDCWD, file_of(host, a, uid, "state.json"), STATE_MAX, &text);
    if (code) {
        return -ENOENT;
    }
    if (json_parse(a, text, &doc, &err) != 0) {
        return -ENOENT;
    }
    const yyjson_val *root = yyjson_doc_get_root(doc);
    *ret_host_network = json_get_bool(root, "hostNetwork", false);
    *ret = (struct runtime_sandbox_status){
        .uid = arena_dup(a, uid),
        .ns = json_get_str(root, "namespace"),
        .name = json_get_str(root, "name"),
        .ip = json_get_str(root, "ip"),
    };
    static const char *const pins[] = {"ipc", "uts", "net"};
    for (size_t i = 0; i < (*ret_host_network ? 2 : 3); i++) {
        int fd = os_ns_open(file_of(host, a, uid, pins[i]));
        if (fd < 0) {
            return -ENOENT;
        }
        (void)close(fd);
    }
    ret->ready = true;
    return 0;
}

/* ---- making ---- */

static int make_namespaces(const struct host *host, const struct runtime_sandbox_spec *spec,
                           struct arena *a, struct span *detail)
{
    struct os_ns_pin pin = {
        .net = spec->host_network ? NULL : file_of(host, a, spec->uid, "net"),
        .ipc = file_of(host, a, spec->uid, "ipc"),
        .uts = file_of(host, a, spec->uid, "uts"),
        .hostname = span_first(spec->hostname, HOSTNAME_MAX),
        .sysctls = spec->sysctls,
        .sysctl_count = spec->sysctl_count,
    };
    int code = os_ns_pin(&pin);
    return code ? host_fail(
                      a, detail, code,
                      arena_printf(a, "make the pod's namespaces: %.*s", SPAN_ARG(pin.failed)).p)
                : 0;
}

static int make_network(const struct host *host, const struct runtime_sandbox_spec *spec,
                        struct arena *a, struct span *ret_ip, struct span *detail)
{
    *ret_ip = SPAN_NULL;
    if (spec->host_network || !host->network.attach) {
        return 0;
    }
    cleanup_close int nsfd = os_ns_open(file_of(host, a, spec->uid, "net"));
    if (nsfd < 0) {
        return host_fail(a, detail, nsfd, "open the pod's network namespace");
    }
    return host->network.attach(host->network.data, spec->uid, nsfd, a, ret_ip, detail);
}

static int make_files(const struct host *host, const struct runtime_sandbox_spec *spec,
                      struct arena *a, struct span ip, struct span *detail)
{
    struct span hosts = spec->hosts;
    if (spec->hosts_names.n && ip.n) {
        bool newline = hosts.n == 0 || hosts.p[hosts.n - 1] == '\n';
        hosts = arena_printf(a, "%.*s%s%.*s\t%.*s\n", SPAN_ARG(hosts), newline ? "" : "\n",
                             SPAN_ARG(ip), SPAN_ARG(spec->hosts_names));
    }
    int code = os_fs_write(file_of(host, a, spec->uid, "hosts"), hosts, 0644);
    code = code ? code
                : os_fs_write(file_of(host, a, spec->uid, "resolv.conf"), spec->resolv_conf, 0644);
    code = code ? code
                : os_fs_write(file_of(host, a, spec->uid, "hostname"),
                              arena_printf(a, "%.*s\n", SPAN_ARG(spec->hostname)), 0644);
    if (code) {
        return host_fail(a, detail, code, "write the pod's hosts, resolv.conf and hostname");
    }
    const char *shm = file_of(host, a, spec->uid, "shm");
    code = mkdir(shm, 0755) == 0 || errno == EEXIST ? 0 : -errno;
    code = code ? code : os_mount_tmpfs(shm, SHM_BYTES, 01777);
    return host_fail(a, detail, code, "mount the pod's /dev/shm");
}

static int write_state(const struct host *host, const struct runtime_sandbox_spec *spec,
                       struct arena *a, struct span ip)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    json_put_str(doc, root, "namespace", spec->ns);
    json_put_str(doc, root, "name", spec->name);
    json_put_str(doc, root, "ip", ip);
    json_put_bool(doc, root, "hostNetwork", spec->host_network);
    return os_fs_write_atomic(file_of(host, a, spec->uid, "state.json"), json_write_mut(a, root),
                              0600, false);
}

int sandbox_create(const struct host *host, const struct runtime_sandbox_spec *spec,
                   struct arena *a, struct span *ret_ip, struct span *ret_detail)
{
    assert(ret_ip);
    assert(ret_detail);
    struct runtime_sandbox_status status;
    bool host_network;
    if (!host_name_ok(spec->uid, UID_MAX) || spec->hostname.n > HOSTNAME_MAX) {
        *ret_detail = SPAN("the pod's uid or host name cannot name a sandbox");
        return -EINVAL;
    }
    if (sandbox_load(host, spec->uid, a, &status, &host_network) == 0) {
        *ret_ip = status.ip;
        return 0;
    }
    const char *dir = file_of(host, a, spec->uid, NULL);
    if (mkdir(dir, 0700) != 0) {
        int code = errno == EEXIST ? sandbox_remove(host, spec->uid, a, ret_detail) : -errno;
        if (code == 0 && mkdir(dir, 0700) != 0) {
            code = -errno;
        }
        if (code) {
            return host_fail(a, ret_detail, code, dir);
        }
    }
    struct span ip;
    int code = make_namespaces(host, spec, a, ret_detail);
    code = code ? code : make_network(host, spec, a, &ip, ret_detail);
    code = code ? code : make_files(host, spec, a, ip, ret_detail);
    if (code) {
        struct span ignored;
        (void)sandbox_remove(host, spec->uid, a, &ignored);
        return code;
    }
    code = write_state(host, spec, a, ip);
    *ret_ip = ip;
    return host_fail(a, ret_detail, code, "write the pod's state");
}

/* ---- removing ---- */

/* Containers of the pod that the agent has not removed: their names start with the uid. */
static int remove_containers(const struct host *host, struct span uid, struct arena *a)
{
    struct span *names;
    size_t n;
    struct span prefix = arena_printf(a, "%.*s-", SPAN_ARG(uid));
    int code = os_fs_list(a, host_path(host, a, "containers", SPAN_NULL, NULL), &names, &n);
    for (size_t i = 0; code == 0 && i < n; i++) {
        if (span_starts(names[i], prefix)) {
            code = disk_destroy(host, names[i], a);
        }
    }
    return code == -ENOENT ? 0 : code;
}

int sandbox_remove(const struct host *host, struct span uid, struct arena *a,
                   struct span *ret_detail)
{
    assert(uid.n > 0);
    assert(ret_detail);
    if (!host_name_ok(uid, UID_MAX)) {
        *ret_detail = SPAN("not a sandbox");
        return -EINVAL;
    }
    int code = remove_containers(host, uid, a);
    if (code) {
        return host_fail(a, ret_detail, code, "remove the pod's containers");
    }
    const char *dir = file_of(host, a, uid, NULL);
    /* Without its state the sandbox counts as half made from here on, whatever happens. */
    (void)unlink(file_of(host, a, uid, "state.json"));
    struct span group =
        arena_printf(a, "%.*s/pod%.*s", SPAN_ARG(host->cgroup_parent), SPAN_ARG(uid));
    code = os_cgroup_kill(&host->cgroup, group);
    code = code ? code : os_cgroup_remove(&host->cgroup, group);
    if (code) {
        return host_fail(a, ret_detail, code, "end the pod's processes");
    }
    if (host->network.detach) {
        code = host->network.detach(host->network.data, uid, a);
        if (code) {
            return host_fail(a, ret_detail, code, "disconnect the pod");
        }
    }
    static const char *const mounted[] = {"net", "ipc", "uts", "shm"};
    for (size_t i = 0; i < sizeof mounted / sizeof *mounted && code == 0; i++) {
        code = os_umount(file_of(host, a, uid, mounted[i]));
    }
    code = code ? code : os_fs_remove_tree_at(dir);
    return host_fail(a, ret_detail, code, dir);
}
