/* The machine under the runtime: programs, directories, remains of another boot; and the end of
 * everything. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/err.h"
#include "os/os_fs.h"
#include "os/os_mount.h"
#include "runtime/runtime_crun_priv.h"

/* src/runtime/shim/shim.c, linked in by the Makefile. */
extern const char _binary_shim_start[], _binary_shim_end[];

int host_fail(struct arena *a, struct span *detail, int code, const char *what)
{
    assert(code <= 0);
    assert(what);
    if (code) {
        *detail = arena_printf(a, "%s: %s", what, code_text(code));
    }
    return code;
}

const char *host_path(const struct host *host, struct arena *a, const char *dir, struct span name,
                      const char *file)
{
    assert(dir);
    assert(host->run.n > 0);
    return arena_printf(a, "%.*s/%s%s%.*s%s%s", SPAN_ARG(host->run), dir, name.n ? "/" : "",
                        SPAN_ARG(name), file ? "/" : "", file ? file : "")
        .p;
}

struct span host_group(const struct host *host, struct arena *a, struct span uid, struct span id)
{
    assert(uid.n > 0);
    assert(id.n > 0);
    return arena_printf(a, "%.*s/pod%.*s/%.*s", SPAN_ARG(host->cgroup_parent), SPAN_ARG(uid),
                        SPAN_ARG(id));
}

bool host_name_ok(struct span name, size_t max)
{
    assert(max > 0);
    if (name.n == 0 || name.n > max || name.p[0] == '.' || name.p[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '.' && c != '_') {
            return false;
        }
    }
    return true;
}

static int find_program(struct host *host, const char *name, struct arena *a, const char **ret,
                        struct span *detail)
{
    int code = os_fs_find_program(host->arena, name, ret);
    if (code) {
        *detail =
            arena_printf(a, "the program %s is not installed (Debian package \"%s\")", name, name);
    }
    return code;
}

static int find_self(struct host *host, const struct runtime_crun_config *config, struct arena *a,
                     struct span *detail)
{
    host->shim_is_self = true;
    if (config->self_exe.n) {
        host->shim = arena_cstr(host->arena, config->self_exe);
        return 0;
    }
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) {
        return host_fail(a, detail, -errno, "/proc/self/exe");
    }
    struct span self = span_of(path, (size_t)n);
    struct span deleted = SPAN(" (deleted)");
    /* Replaced by a newer version meanwhile: the new file has the subcommand too. */
    if (span_ends(self, deleted)) {
        self.n -= deleted.n;
    }
    host->shim = arena_cstr(host->arena, self);
    return 0;
}

int host_init(struct host *host, const struct runtime_crun_config *config, bool need_programs,
              struct arena *a, struct span *ret_detail)
{
    assert(config->data_dir.n);
    assert(config->data_dir.p[0] == '/');
    *host = (struct host){
        .arena = arena_new(),
        .network = config->network,
        .layers_of = config->layers_of,
        .layers_data = config->layers_data,
    };
    host->run = arena_printf(host->arena, "%.*s/run", SPAN_ARG(config->data_dir));
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < config->data_dir.n; i++) {
        h = (h ^ (uint8_t)config->data_dir.p[i]) * 1099511628211u;
    }
    host->cgroup_parent = config->cgroup_parent.n
                              ? arena_dup(host->arena, config->cgroup_parent)
                              : arena_printf(host->arena, "/berth-%08x", (uint32_t)(h ^ h >> 32));
    int code = os_cgroup_detect(host->arena, &host->cgroup);
    if (code == 0 && host->cgroup.mode == OS_CGROUP_NONE) {
        *ret_detail = SPAN("no control groups are mounted below /sys/fs/cgroup");
        code = need_programs ? -ENOTSUP : 0;
    } else {
        (void)host_fail(a, ret_detail, code, "find the control groups");
    }
    if (code || !need_programs) {
        return code;
    }
    code = find_program(host, "crun", a, &host->crun, ret_detail);
    code = code ? code : find_program(host, "conmon", a, &host->conmon, ret_detail);
    host->hidden = arena_cstr(host->arena, host->cgroup.v2_root);
    return code || !host->cgroup.v2_in_the_way ? code : find_self(host, config, a, ret_detail);
}

void host_done(struct host *host)
{
    arena_free(host->arena);
    host->arena = NULL;
}

/* Remains of another boot describe processes, mounts and links that no longer are. */
static int drop_other_boot(const struct host *host, struct arena *a)
{
    struct span now, then = SPAN_NULL;
    int code = os_fs_read(a, AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &now);
    if (code) {
        return code;
    }
    const char *file = host_path(host, a, "boot", SPAN_NULL, NULL);
    (void)os_fs_read(a, AT_FDCWD, file, 64, &then);
    if (span_eq(now, then)) {
        return 0;
    }
    code = os_umount_beneath(a, host->run);
    code = code ? code : os_fs_remove_tree_at(host->run.p);
    code = code ? code : os_fs_mkdirs(host->run.p, 0700);
    return code ? code : os_fs_write_atomic(file, now, 0600, true);
}

/* Puts the small program in the place of our own subcommand, where it can be executed. */
static void install_shim(struct host *host, struct arena *a)
{
#if defined(__x86_64__) || defined(__aarch64__)
    const char *path =
        arena_cstr(host->arena, span_cstr(host_path(host, a, "shim", SPAN_NULL, NULL)));
    struct span program =
        span_of(_binary_shim_start, (size_t)(_binary_shim_end - _binary_shim_start));
    if (os_fs_write_atomic(path, program, 0755, false) == 0 && access(path, X_OK) == 0) {
        host->shim = path;
        host->shim_is_self = false;
    }
#else
    (void)host;
    (void)a;
#endif
}

int host_prepare(struct host *host, struct arena *a, struct span *ret_detail)
{
    assert(ret_detail);
    static const char *const dirs[] = {"sandboxes", "containers", "exits", "crun", "exec", "spool"};
    int code = os_fs_mkdirs(host->run.p, 0700);
    code = code ? code : drop_other_boot(host, a);
    for (size_t i = 0; code == 0 && i < sizeof dirs / sizeof *dirs; i++) {
        code = os_fs_mkdirs(host_path(host, a, dirs[i], SPAN_NULL, NULL), 0700);
    }
    if (code) {
        return host_fail(a, ret_detail, code, host->run.p);
    }
    if (host->shim) {
        install_shim(host, a);
    }
    struct span *names;
    size_t n;
    static const char *const volatile_dirs[] = {"exec", "spool"};
    for (size_t d = 0; d < 2; d++) {
        if (os_fs_list(a, host_path(host, a, volatile_dirs[d], SPAN_NULL, NULL), &names, &n) == 0) {
            for (size_t i = 0; i < n; i++) {
                (void)os_fs_remove_tree_at(host_path(host, a, volatile_dirs[d], names[i], NULL));
            }
        }
    }
    /* Containers that a kill left half made are cleaned before anything new is made. */
    if (os_fs_list(a, host_path(host, a, "containers", SPAN_NULL, NULL), &names, &n) != 0) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct disk_container c;
        if (disk_load(host, names[i], a, &c) == 0 && c.state == DISK_HALF) {
            (void)disk_kill_programs(host, names[i], a);
            (void)disk_destroy(host, names[i], a);
        }
    }
    return 0;
}

/* ---- the end of everything ---- */

static void keep_first(int *code, int one, struct arena *a, struct span *detail, const char *what)
{
    if (one && *code == 0) {
        *code = host_fail(a, detail, one, what);
    }
}

static int purge_sandboxes(const struct host *host, struct arena *a)
{
    struct span *names;
    size_t n;
    int code = os_fs_list(a, host_path(host, a, "sandboxes", SPAN_NULL, NULL), &names, &n);
    if (code) {
        return code == -ENOENT ? 0 : code;
    }
    for (size_t i = 0; i < n; i++) {
        struct span ignored;
        int one = sandbox_remove(host, names[i], a, &ignored);
        code = code ? code : one;
    }
    return code;
}

int runtime_crun_purge(const struct runtime_crun_config *config, struct arena *a,
                       struct span *ret_detail)
{
    assert(config);
    assert(ret_detail);
    struct host host;
    int code = host_init(&host, config, false, a, ret_detail);
    if (code) {
        host_done(&host);
        return code;
    }
    keep_first(&code, disk_kill_programs(&host, SPAN_NULL, a), a, ret_detail, "end the monitors");
    keep_first(&code, os_cgroup_kill(&host.cgroup, host.cgroup_parent), a, ret_detail,
               "end the containers' processes");
    keep_first(&code, purge_sandboxes(&host, a), a, ret_detail, "remove the sandboxes");
    keep_first(&code, os_cgroup_remove(&host.cgroup, host.cgroup_parent), a, ret_detail,
               "remove the control groups");
    keep_first(&code, os_umount_beneath(a, host.run), a, ret_detail, "remove the mounts");
    keep_first(&code, os_fs_remove_tree_at(host.run.p), a, ret_detail, host.run.p);
    host_done(&host);
    return code;
}

/* ---- images in use ---- */

int runtime_crun_images(struct span data_dir, struct arena *a, struct runtime_image_use **ret,
                        size_t *ret_count)
{
    assert(ret_count);
    enum { IMAGE_ID_MAX = 256 };
    *ret = NULL;
    *ret_count = 0;
    const char *dir = arena_printf(a, "%.*s/run/containers", SPAN_ARG(data_dir)).p;
    DIR *d = opendir(dir);
    if (!d) {
        return errno == ENOENT ? 0 : -errno;
    }
    size_t room = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct span id = SPAN_NULL;
        if (e->d_name[0] == '.' || os_fs_read(a, dirfd(d), arena_printf(a, "%s/image", e->d_name).p,
                                              IMAGE_ID_MAX, &id) != 0) {
            continue; /* one of an earlier version: its mount speaks for it */
        }
        if (*ret_count == room) {
            room = room ? 2 * room : 16;
            struct runtime_image_use *more = ARENA_ARRAY(a, struct runtime_image_use, room);
            for (size_t i = 0; i < *ret_count; i++) {
                more[i] = (*ret)[i];
            }
            *ret = more;
        }
        (*ret)[(*ret_count)++] = (struct runtime_image_use){
            .image_id = span_trim(id), .container_id = arena_dup(a, span_cstr(e->d_name))};
    }
    (void)closedir(d);
    return 0;
}
