/* config.json. */
#include "runtime/oci_config.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "codec/json.h"

/* By number, as linux/capability.h has them. */
static const char *const capability_names[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};
enum { CAPABILITIES = sizeof capability_names / sizeof *capability_names };

/* What Docker and containerd give by default. */
static const char *const default_capabilities[] = {
    "CHOWN",  "DAC_OVERRIDE", "FSETID",  "FOWNER",           "MKNOD",      "NET_RAW", "SETGID",
    "SETUID", "SETFCAP",      "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",    "AUDIT_WRITE",
};

static const char *const masked_paths[] = {
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

struct out {
    struct arena *a;
    yyjson_mut_doc *doc;
    const struct oci_input *in;
    const struct runtime_container_spec *spec;
};

int oci_capability(struct span name)
{
    for (int i = 0; i < CAPABILITIES; i++) {
        if (span_eq_cstr(name, capability_names[i])) {
            return i;
        }
    }
    return -1;
}

static uint64_t apply(uint64_t set, const struct span *names, size_t n, bool add)
{
    for (size_t i = 0; i < n; i++) {
        int number = oci_capability(names[i]);
        uint64_t bits = span_eq_cstr(names[i], "ALL") ? ~0ull : number >= 0 ? 1ull << number : 0;
        set = add ? set | bits : set & ~bits;
    }
    return set;
}

/* ALL first, single names afterwards: "drop ALL, add NET_ADMIN" means only NET_ADMIN. */
static uint64_t capabilities(const struct oci_input *in)
{
    const struct runtime_container_spec *spec = in->spec;
    uint64_t set = spec->privileged ? ~0ull : 0;
    for (size_t i = 0; i < sizeof default_capabilities / sizeof *default_capabilities; i++) {
        set |= 1ull << oci_capability(span_cstr(default_capabilities[i]));
    }
    const struct span all = SPAN("ALL");
    for (size_t i = 0; i < spec->add_capability_count; i++) {
        set = span_eq(spec->add_capabilities[i], all) ? ~0ull : set;
    }
    set = apply(set, spec->drop_capabilities, spec->drop_capability_count, false);
    for (size_t i = 0; i < spec->add_capability_count; i++) {
        if (!span_eq(spec->add_capabilities[i], all)) {
            set = apply(set, &spec->add_capabilities[i], 1, true);
        }
    }
    if (in->no_device_rules && !spec->privileged) {
        set &= ~(1ull << oci_capability(SPAN("MKNOD")));
    }
    return set & in->bounding;
}

static yyjson_mut_val *object(struct out *o, yyjson_mut_val *parent, const char *key)
{
    return yyjson_mut_obj_add_obj(o->doc, parent, key);
}

static yyjson_mut_val *array(struct out *o, yyjson_mut_val *parent, const char *key)
{
    return yyjson_mut_obj_add_arr(o->doc, parent, key);
}

static void push_span(struct out *o, yyjson_mut_val *arr, struct span s)
{
    (void)yyjson_mut_arr_add_strn(o->doc, arr, s.p ? s.p : "", s.n);
}

static void put_strings(struct out *o, yyjson_mut_val *parent, const char *key,
                        const char *const *texts, size_t n)
{
    yyjson_mut_val *arr = array(o, parent, key);
    for (size_t i = 0; i < n; i++) {
        (void)yyjson_mut_arr_add_str(o->doc, arr, texts[i]);
    }
}

/* ---- process ---- */

static void put_capabilities(struct out *o, yyjson_mut_val *process)
{
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    uint64_t caps = capabilities(o->in);
    yyjson_mut_val *obj = object(o, process, "capabilities");
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        yyjson_mut_val *arr = array(o, obj, sets[s]);
        for (int i = 0; i < CAPABILITIES; i++) {
            if (caps >> i & 1) {
                push_span(o, arr, arena_printf(o->a, "CAP_%s", capability_names[i]));
            }
        }
    }
}

static bool has_variable(const struct runtime_container_spec *spec, struct span prefix)
{
    for (size_t i = 0; i < spec->env_count; i++) {
        if (span_starts(spec->env[i], prefix)) {
            return true;
        }
    }
    return false;
}

/* Kubernetes' own rule, but for guaranteed containers: theirs is below ours, which takes a
 * privilege we may lack; they keep ours (0). */
static int oom_score(const struct oci_input *in)
{
    enum { BEST_EFFORT = 1000, BURSTABLE_MIN = 2, BURSTABLE_MAX = 999 };
    const struct runtime_container_spec *s = in->spec;
    if (!s->memory_limit_bytes && !s->memory_request_bytes && !s->cpu_milli_limit &&
        !s->cpu_milli_request) {
        return BEST_EFFORT;
    }
    if (s->memory_limit_bytes && s->memory_limit_bytes == s->memory_request_bytes &&
        s->cpu_milli_limit && s->cpu_milli_limit == s->cpu_milli_request) {
        return 0;
    }
    double share =
        in->machine_bytes ? (double)s->memory_request_bytes / (double)in->machine_bytes : 0;
    int score = 1000 - (int)(1000 * (share > 1 ? 1 : share));
    return score < BURSTABLE_MIN ? BURSTABLE_MIN : score > BURSTABLE_MAX ? BURSTABLE_MAX : score;
}

static void put_process(struct out *o, yyjson_mut_val *root)
{
    const struct runtime_container_spec *spec = o->spec;
    const struct oci_user *u = &o->in->user;
    yyjson_mut_val *process = object(o, root, "process");
    json_put_bool(o->doc, process, "terminal", spec->tty);
    yyjson_mut_val *user = object(o, process, "user");
    json_put_int(o->doc, user, "uid", u->uid);
    json_put_int(o->doc, user, "gid", u->gid);
    yyjson_mut_val *groups = array(o, user, "additionalGids");
    for (size_t i = 0; i < u->group_count; i++) {
        (void)yyjson_mut_arr_add_uint(o->doc, groups, u->groups[i]);
    }
    yyjson_mut_val *args = array(o, process, "args");
    for (size_t i = 0; i < spec->arg_count; i++) {
        push_span(o, args, spec->args[i]);
    }
    yyjson_mut_val *env = array(o, process, "env");
    if (!has_variable(spec, SPAN("PATH="))) {
        push_span(o, env,
                  SPAN("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    }
    if (spec->tty && !has_variable(spec, SPAN("TERM="))) {
        push_span(o, env, SPAN("TERM=xterm"));
    }
    for (size_t i = 0; i < spec->env_count; i++) {
        push_span(o, env, spec->env[i]);
    }
    json_put_str(o->doc, process, "cwd", spec->cwd.n ? spec->cwd : SPAN("/"));
    put_capabilities(o, process);
    json_put_bool(o->doc, process, "noNewPrivileges", spec->no_new_privileges);
    int score = oom_score(o->in);
    if (score) {
        json_put_int(o->doc, process, "oomScoreAdj", score);
    }
}

/* ---- mounts ---- */

static void put_mount(struct out *o, yyjson_mut_val *mounts, struct span target, const char *type,
                      struct span source, const char *options)
{
    yyjson_mut_val *m = yyjson_mut_arr_add_obj(o->doc, mounts);
    json_put_str(o->doc, m, "destination", target);
    json_put_str(o->doc, m, "type", span_cstr(type));
    json_put_str(o->doc, m, "source", source);
    yyjson_mut_val *arr = array(o, m, "options");
    struct span rest = span_cstr(options);
    while (rest.n) {
        push_span(o, arr, span_cut(&rest, ','));
    }
}

static size_t depth(struct span path)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < path.n; i++) {
        n += path.p[i] == '/' && path.p[i + 1] != '/';
    }
    return n;
}

static bool user_mounts(const struct runtime_container_spec *spec, struct span target)
{
    for (size_t i = 0; i < spec->mount_count; i++) {
        if (span_eq(spec->mounts[i].target, target)) {
            return true;
        }
    }
    return false;
}

static void put_file(struct out *o, yyjson_mut_val *mounts, const char *target, struct span source)
{
    if (source.n && !user_mounts(o->spec, span_cstr(target))) {
        put_mount(o, mounts, span_cstr(target), "bind", source,
                  o->spec->read_only_root ? "rbind,rprivate,ro" : "rbind,rprivate,rw");
    }
}

static void put_user_mount(struct out *o, yyjson_mut_val *mounts, const struct runtime_mount *m)
{
    if (m->is_tmpfs) {
        struct span options = SPAN("nosuid,nodev,mode=1777");
        if (m->size_bytes) {
            options = arena_printf(o->a, "nosuid,nodev,mode=1777,size=%llu",
                                   (unsigned long long)m->size_bytes);
        }
        put_mount(o, mounts, m->target, "tmpfs", SPAN("tmpfs"), options.p);
    } else {
        put_mount(o, mounts, m->target, "bind", m->source,
                  m->read_only ? "rbind,rprivate,ro" : "rbind,rprivate,rw");
    }
}

/* Shallow targets first, so that nothing is mounted over. The order is kept otherwise. */
static void put_user_mounts(struct out *o, yyjson_mut_val *mounts)
{
    const struct runtime_container_spec *spec = o->spec;
    size_t deepest = 0;
    for (size_t i = 0; i < spec->mount_count; i++) {
        size_t d = depth(spec->mounts[i].target);
        deepest = d > deepest ? d : deepest;
    }
    for (size_t d = 0; d <= deepest; d++) {
        for (size_t i = 0; i < spec->mount_count; i++) {
            if (depth(spec->mounts[i].target) == d) {
                put_user_mount(o, mounts, &spec->mounts[i]);
            }
        }
    }
}

static void put_mounts(struct out *o, yyjson_mut_val *root)
{
    const char *ro = o->spec->privileged ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro";
    yyjson_mut_val *mounts = array(o, root, "mounts");
    put_mount(o, mounts, SPAN("/proc"), "proc", SPAN("proc"), "nosuid,noexec,nodev");
    put_mount(o, mounts, SPAN("/dev"), "tmpfs", SPAN("tmpfs"),
              "nosuid,strictatime,mode=755,size=65536k");
    put_mount(o, mounts, SPAN("/dev/pts"), "devpts", SPAN("devpts"),
              "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
    put_mount(o, mounts, SPAN("/dev/mqueue"), "mqueue", SPAN("mqueue"), "nosuid,noexec,nodev");
    if (!user_mounts(o->spec, SPAN("/dev/shm"))) {
        put_mount(o, mounts, SPAN("/dev/shm"), "bind",
                  o->spec->host_ipc ? SPAN("/dev/shm") : o->in->shm, "rbind,rprivate,rw");
    }
    put_mount(o, mounts, SPAN("/sys"), "sysfs", SPAN("sysfs"), ro);
    put_mount(o, mounts, SPAN("/sys/fs/cgroup"), "cgroup", SPAN("cgroup"), ro);
    put_file(o, mounts, "/etc/hosts", o->in->hosts);
    put_file(o, mounts, "/etc/resolv.conf", o->in->resolv_conf);
    put_file(o, mounts, "/etc/hostname", o->in->hostname);
    put_user_mounts(o, mounts);
    if (o->spec->termination_log.n) {
        put_mount(o, mounts, o->spec->termination_log_target, "bind", o->spec->termination_log,
                  "rbind,rprivate,rw");
    }
}

/* ---- linux ---- */

static void put_namespace(struct out *o, yyjson_mut_val *list, const char *type, struct span path)
{
    yyjson_mut_val *ns = yyjson_mut_arr_add_obj(o->doc, list);
    json_put_str(o->doc, ns, "type", span_cstr(type));
    if (path.n) {
        json_put_str(o->doc, ns, "path", path);
    }
}

int64_t oci_cpu_shares(int64_t milli)
{
    enum { SHARES_MIN = 2, SHARES_MAX = 262144 };
    if (milli >= SHARES_MAX / 1024 * 1000) {
        return SHARES_MAX; /* any number of processors may be asked for */
    }
    int64_t shares = milli * 1024 / 1000;
    return shares < SHARES_MIN ? SHARES_MIN : shares;
}

int64_t oci_cpu_quota_us(int64_t milli)
{
    enum { QUOTA_MIN_US = 1000 };
    milli = milli < LIMIT_SCHEDULE_AMOUNT ? milli : LIMIT_SCHEDULE_AMOUNT;
    int64_t quota = milli * OCI_CPU_PERIOD_US / 1000;
    return quota < QUOTA_MIN_US ? QUOTA_MIN_US : quota;
}

static void put_resources(struct out *o, yyjson_mut_val *linux_obj)
{
    const struct runtime_container_spec *spec = o->spec;
    yyjson_mut_val *res = object(o, linux_obj, "resources");
    if (!o->in->no_device_rules) {
        yyjson_mut_val *devices = array(o, res, "devices");
        yyjson_mut_val *rule = yyjson_mut_arr_add_obj(o->doc, devices);
        json_put_bool(o->doc, rule, "allow", spec->privileged);
        json_put_str(o->doc, rule, "access", SPAN("rwm"));
    }
    if (spec->memory_limit_bytes > 0) {
        yyjson_mut_val *memory = object(o, res, "memory");
        json_put_int(o->doc, memory, "limit", spec->memory_limit_bytes);
        if (o->in->cgroup_v2) {
            json_put_int(o->doc, memory, "swap", spec->memory_limit_bytes);
        }
    }
    if (o->in->no_cpu_controller && spec->cpu_milli_request == 0 && spec->cpu_milli_limit == 0) {
        return;
    }
    yyjson_mut_val *cpu = object(o, res, "cpu");
    json_put_int(o->doc, cpu, "shares", oci_cpu_shares(spec->cpu_milli_request));
    if (spec->cpu_milli_limit > 0) {
        json_put_int(o->doc, cpu, "quota", oci_cpu_quota_us(spec->cpu_milli_limit));
        json_put_int(o->doc, cpu, "period", OCI_CPU_PERIOD_US);
    }
}

static void put_devices(struct out *o, yyjson_mut_val *linux_obj)
{
    yyjson_mut_val *list = array(o, linux_obj, "devices");
    for (size_t i = 0; i < o->in->device_count; i++) {
        const struct oci_device *d = &o->in->devices[i];
        yyjson_mut_val *dev = yyjson_mut_arr_add_obj(o->doc, list);
        json_put_str(o->doc, dev, "path", d->path);
        json_put_str(o->doc, dev, "type", d->type == 'b' ? SPAN("b") : SPAN("c"));
        json_put_int(o->doc, dev, "major", d->major);
        json_put_int(o->doc, dev, "minor", d->minor);
        json_put_int(o->doc, dev, "fileMode", d->mode);
    }
}

static void put_seccomp(struct out *o, yyjson_mut_val *linux_obj)
{
    const struct runtime_container_spec *spec = o->spec;
    yyjson_doc *doc = NULL;
    if (spec->privileged || spec->seccomp == RUNTIME_SECCOMP_NONE) {
        return;
    }
    if (spec->seccomp == RUNTIME_SECCOMP_DEFAULT) {
        oci_seccomp_default(o->doc, linux_obj, capabilities(o->in));
        return;
    }
    int code = json_parse(o->a, spec->seccomp_profile, &doc, NULL);
    assert(code == 0); /* whoever read the file has looked */
    json_put(o->doc, linux_obj, "seccomp", json_mut_copy(o->doc, yyjson_doc_get_root(doc)));
}

static void put_linux(struct out *o, yyjson_mut_val *root)
{
    const struct oci_input *in = o->in;
    yyjson_mut_val *l = object(o, root, "linux");
    yyjson_mut_val *ns = array(o, l, "namespaces");
    if (!in->spec->host_pid) {
        put_namespace(o, ns, "pid", in->pid);
    }
    put_namespace(o, ns, "mount", SPAN_NULL);
    if (!in->spec->host_ipc) {
        put_namespace(o, ns, "ipc", in->ipc);
    }
    put_namespace(o, ns, "uts", in->uts);
    if (in->net.n) {
        put_namespace(o, ns, "network", in->net);
    }
    if (in->cgroup_v2) {
        put_namespace(o, ns, "cgroup", SPAN_NULL);
    }
    json_put_str(o->doc, l, "cgroupsPath", in->cgroups_path);
    put_resources(o, l);
    put_seccomp(o, l);
    if (in->spec->privileged) {
        put_devices(o, l);
    } else {
        put_strings(o, l, "maskedPaths", masked_paths, sizeof masked_paths / sizeof *masked_paths);
        put_strings(o, l, "readonlyPaths", readonly_paths,
                    sizeof readonly_paths / sizeof *readonly_paths);
    }
}

struct span oci_config(struct arena *a, const struct oci_input *in)
{
    assert(in->spec);
    assert(in->root.n);
    assert(in->cgroups_path.n);
    assert(in->ipc.n);
    assert(in->uts.n);
    struct out o = {.a = a, .doc = json_mut_new(a), .in = in, .spec = in->spec};
    yyjson_mut_val *root = yyjson_mut_obj(o.doc);
    yyjson_mut_doc_set_root(o.doc, root);
    json_put_str(o.doc, root, "ociVersion", SPAN("1.0.2"));
    put_process(&o, root);
    yyjson_mut_val *r = object(&o, root, "root");
    json_put_str(o.doc, r, "path", in->root);
    json_put_bool(o.doc, r, "readonly", in->spec->read_only_root);
    put_mounts(&o, root);
    put_linux(&o, root);
    return json_write_mut(a, root);
}
