/* config.json as a pure function, and the user by the image's files. */
#include "runtime/oci_config.h"

#include "codec/json.h"
#include "kit/kit.h"

static const struct span args[] = {{"redis-server", 12}};

static struct oci_input input(const struct runtime_container_spec *spec)
{
    return (struct oci_input){
        .spec = spec,
        .root = SPAN("/d/merged"),
        .net = SPAN("/d/net"),
        .ipc = SPAN("/d/ipc"),
        .uts = SPAN("/d/uts"),
        .hosts = SPAN("/d/hosts"),
        .resolv_conf = SPAN("/d/resolv.conf"),
        .hostname = SPAN("/d/hostname"),
        .shm = SPAN("/d/shm"),
        .cgroups_path = SPAN("/berth/pod1/c"),
        .bounding = ~0ull,
    };
}

static yyjson_val *build(struct arena *a, const struct oci_input *in)
{
    yyjson_doc *doc;
    struct err err;
    CHECK_EQ(json_parse(a, oci_config(a, in), &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

static bool has(yyjson_val *arr, const char *text)
{
    JSON_EACH(it, arr)
    {
        if (span_eq_cstr(json_str(it.val), text)) {
            return true;
        }
    }
    return false;
}

static yyjson_val *mount_at(yyjson_val *root, const char *target, size_t *ret_index)
{
    size_t i = 0;
    JSON_EACH(it, json_get(root, "mounts"))
    {
        if (span_eq_cstr(json_get_str(it.val, "destination"), target)) {
            *ret_index = i;
            return it.val;
        }
        i++;
    }
    return NULL;
}

static yyjson_val *rule_of(yyjson_val *root, const char *name)
{
    JSON_EACH(it, json_path(root, "linux", "seccomp", "syscalls", NULL))
    {
        if (has(json_get(it.val, "names"), name)) {
            return it.val;
        }
    }
    return NULL;
}

TEST(the_default_filter_follows_the_capabilities_and_a_privileged_container_has_none)
{
    struct arena *a = arena_new();
    struct runtime_container_spec spec = {
        .args = args, .arg_count = 1, .seccomp = RUNTIME_SECCOMP_DEFAULT};
    struct oci_input in = input(&spec);
    yyjson_val *root = build(a, &in);
    CHECK_SPAN(json_str(json_path(root, "linux", "seccomp", "defaultAction", NULL)),
               "SCMP_ACT_ERRNO");
    CHECK(rule_of(root, "openat") && rule_of(root, "chroot") && !rule_of(root, "mount"));
    CHECK(!rule_of(root, "io_uring_setup") && !rule_of(root, "keyctl") &&
          !rule_of(root, "unshare"));
    CHECK(!rule_of(root, "kexec_load") && !rule_of(root, "bpf") && !rule_of(root, "reboot"));
    CHECK(json_get(rule_of(root, "clone"), "args") != NULL);
    CHECK_SPAN(json_get_str(rule_of(root, "clone3"), "action"), "SCMP_ACT_ERRNO");
    const struct span admin[] = {SPAN("SYS_ADMIN")};
    spec.add_capabilities = admin;
    spec.add_capability_count = 1;
    root = build(a, &in);
    CHECK(rule_of(root, "mount") && rule_of(root, "unshare"));
    CHECK(json_get(rule_of(root, "clone"), "args") == NULL);
    spec.privileged = true;
    CHECK(json_path(build(a, &in), "linux", "seccomp", NULL) == NULL);
    spec = (struct runtime_container_spec){.args = args,
                                           .arg_count = 1,
                                           .seccomp = RUNTIME_SECCOMP_PROFILE,
                                           .seccomp_profile =
                                               SPAN("{\"defaultAction\":\"SCMP_ACT_LOG\"}")};
    CHECK_SPAN(json_str(json_path(build(a, &in), "linux", "seccomp", "defaultAction", NULL)),
               "SCMP_ACT_LOG");
    arena_free(a);
}

static bool has_namespace(yyjson_val *root, const char *type)
{
    return json_find(json_path(root, "linux", "namespaces", NULL), "type", span_cstr(type)) != NULL;
}

TEST(the_machines_processes_and_messages_are_shared_when_asked_for)
{
    struct arena *a = arena_new();
    size_t at = 0;
    struct runtime_container_spec spec = {.args = args, .arg_count = 1};
    struct oci_input in = input(&spec);
    yyjson_val *root = build(a, &in);
    CHECK(has_namespace(root, "pid") && has_namespace(root, "ipc"));
    CHECK_SPAN(json_get_str(mount_at(root, "/dev/shm", &at), "source"), "/d/shm");
    spec.host_pid = spec.host_ipc = true;
    root = build(a, &in);
    CHECK(!has_namespace(root, "pid") && !has_namespace(root, "ipc"));
    CHECK(has_namespace(root, "mount") && has_namespace(root, "network"));
    CHECK_SPAN(json_get_str(mount_at(root, "/dev/shm", &at), "source"), "/dev/shm");
    arena_free(a);
}

TEST(a_plain_container_gets_dockers_capabilities_and_no_rlimits)
{
    cleanup_arena struct arena *a = arena_new();
    struct runtime_container_spec spec = {.args = args, .arg_count = 1};
    struct oci_input in = input(&spec);
    yyjson_val *root = build(a, &in), *process = json_get(root, "process");
    yyjson_val *caps = json_path(process, "capabilities", "effective", NULL);
    CHECK_EQ(json_len(caps), 14);
    CHECK(has(caps, "CAP_CHOWN") && has(caps, "CAP_NET_BIND_SERVICE") &&
          !has(caps, "CAP_SYS_ADMIN"));
    CHECK(!json_get(process, "rlimits"));
    CHECK_SPAN(json_get_str(process, "cwd"), "/");
    CHECK_EQ(json_get_int(process, "oomScoreAdj", 0), 1000);
    CHECK(has(json_get(process, "env"),
              "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    CHECK_EQ(json_len(json_path(root, "linux", "namespaces", NULL)), 5);
    CHECK(has(json_path(root, "linux", "maskedPaths", NULL), "/proc/kcore"));
    CHECK_EQ(json_int(json_path(root, "linux", "resources", "cpu", "shares", NULL), 0), 2);
    CHECK(!json_path(root, "linux", "resources", "memory", NULL));
}

TEST(capabilities_are_dropped_and_added_within_what_we_have)
{
    cleanup_arena struct arena *a = arena_new();
    const struct span all[] = {SPAN("ALL")}, net[] = {SPAN("NET_ADMIN"), SPAN("NOT_A_CAPABILITY")};
    struct runtime_container_spec spec = {.args = args,
                                          .arg_count = 1,
                                          .drop_capabilities = all,
                                          .drop_capability_count = 1,
                                          .add_capabilities = net,
                                          .add_capability_count = 2};
    struct oci_input in = input(&spec);
    yyjson_val *caps = json_path(build(a, &in), "process", "capabilities", "bounding", NULL);
    CHECK_EQ(json_len(caps), 1);
    CHECK(has(caps, "CAP_NET_ADMIN"));
    spec = (struct runtime_container_spec){.args = args, .arg_count = 1, .privileged = true};
    in.bounding = ~(1ull << oci_capability(SPAN("SYS_RESOURCE")));
    yyjson_val *root = build(a, &in);
    caps = json_path(root, "process", "capabilities", "bounding", NULL);
    CHECK_EQ(json_len(caps), 40);
    CHECK(!has(caps, "CAP_SYS_RESOURCE"));
    CHECK(!json_path(root, "linux", "maskedPaths", NULL));
    CHECK_EQ(oci_capability(SPAN("CHOWN")), 0);
    CHECK_EQ(oci_capability(SPAN("CHECKPOINT_RESTORE")), 40);
    CHECK_EQ(oci_capability(SPAN("CAP_CHOWN")), -1);
}

TEST(mounts_go_from_shallow_to_deep_and_replace_our_files)
{
    cleanup_arena struct arena *a = arena_new();
    const struct runtime_mount mounts[] = {
        {.source = SPAN("/v/deep"), .target = SPAN("/data/sub/deep")},
        {.source = SPAN("/v/data"), .target = SPAN("/data"), .read_only = true},
        {.source = SPAN("/v/hosts"), .target = SPAN("/etc/hosts")},
        {.is_tmpfs = true, .target = SPAN("/cache"), .size_bytes = 4096},
    };
    struct runtime_container_spec spec = {.args = args,
                                          .arg_count = 1,
                                          .mounts = mounts,
                                          .mount_count = 4,
                                          .termination_log = SPAN("/t"),
                                          .termination_log_target = SPAN("/dev/termination-log")};
    struct oci_input in = input(&spec);
    yyjson_val *root = build(a, &in);
    size_t data = 0, deep = 0, other;
    yyjson_val *m = mount_at(root, "/data", &data);
    CHECK(m && has(json_get(m, "options"), "ro"));
    CHECK(mount_at(root, "/data/sub/deep", &deep));
    CHECK(data < deep);
    CHECK_SPAN(json_get_str(mount_at(root, "/etc/hosts", &other), "source"), "/v/hosts");
    CHECK(has(json_get(mount_at(root, "/cache", &other), "options"), "size=4096"));
    CHECK(mount_at(root, "/dev/termination-log", &other));
    CHECK_SPAN(json_get_str(mount_at(root, "/dev/shm", &other), "source"), "/d/shm");
}

TEST(limits_become_quota_shares_and_bytes)
{
    cleanup_arena struct arena *a = arena_new();
    struct runtime_container_spec spec = {.args = args,
                                          .arg_count = 1,
                                          .memory_limit_bytes = 1 << 20,
                                          .cpu_milli_limit = 250,
                                          .cpu_milli_request = 500};
    struct oci_input in = input(&spec);
    in.net = SPAN_NULL;
    in.cgroup_v2 = true;
    yyjson_val *root = build(a, &in), *res = json_path(root, "linux", "resources", NULL);
    CHECK_EQ(json_int(json_path(res, "memory", "limit", NULL), 0), 1 << 20);
    CHECK_EQ(json_int(json_path(res, "memory", "swap", NULL), 0), 1 << 20);
    CHECK_EQ(json_int(json_path(res, "cpu", "quota", NULL), 0), 25000);
    CHECK_EQ(json_int(json_path(res, "cpu", "shares", NULL), 0), 512);
    CHECK_EQ(json_int(json_path(root, "process", "oomScoreAdj", NULL), 0), 999);
    spec.memory_request_bytes = 1 << 20;
    in.machine_bytes = 4 << 20;
    root = build(a, &in);
    CHECK_EQ(json_int(json_path(root, "process", "oomScoreAdj", NULL), 0), 750);
    spec.cpu_milli_limit = spec.cpu_milli_request = INT64_MAX; /* nobody has so many processors */
    res = json_path(build(a, &in), "linux", "resources", NULL);
    CHECK_EQ(json_int(json_path(res, "cpu", "shares", NULL), 0), 262144);
    CHECK(json_int(json_path(res, "cpu", "quota", NULL), 0) > INT64_C(1000) * 100000);
    spec.cpu_milli_request = 500;
    spec.cpu_milli_limit = 500;
    root = build(a, &in);
    CHECK(!json_path(root, "process", "oomScoreAdj", NULL)); /* guaranteed */
    CHECK_EQ(json_len(json_path(root, "linux", "namespaces", NULL)),
             5); /* host network, own cgroup namespace */
}

static const char passwd[] =
    "# c\nroot:x:0:0:root:/root:/bin/sh\nbroken\nredis:x:999:998::/:/x\n42:x:7:8::/:\n";
static const char group[] = "root:x:0:\nextra:x:77:a, redis ,b\nother:x:78:notredis\n";

static struct oci_user find(struct arena *a, const char *text)
{
    struct oci_user u;
    struct span detail = SPAN_NULL;
    const uint32_t extra[] = {5, 77};
    if (!oci_user_find(a, span_cstr(text), span_cstr(passwd), span_cstr(group), extra, 2, &u,
                       &detail)) {
        kit_note("%.*s", SPAN_ARG(detail));
        u.uid = 0xffffffff;
    }
    return u;
}

TEST(a_user_is_a_name_or_a_number_each_with_a_group)
{
    cleanup_arena struct arena *a = arena_new();
    struct oci_user u = find(a, "");
    CHECK(u.uid == 0 && u.gid == 0);
    u = find(a, "redis");
    CHECK(u.uid == 999 && u.gid == 998);
    CHECK_EQ(u.group_count, 2);
    CHECK(u.groups[0] == 77 && u.groups[1] == 5);
    u = find(a, "999");
    CHECK(u.uid == 999 && u.gid == 998);
    u = find(a, "1234");
    CHECK(u.uid == 1234 && u.gid == 0);
    u = find(a, "redis:extra");
    CHECK(u.uid == 999 && u.gid == 77);
    u = find(a, "5:6");
    CHECK(u.uid == 5 && u.gid == 6);
    u = find(a, "42"); /* a name of digits wins */
    CHECK(u.uid == 7 && u.gid == 8);
    CHECK_EQ(find(a, "nobody").uid, 0xffffffff);
    CHECK_EQ(find(a, "redis:nogroup").uid, 0xffffffff);
    CHECK_EQ(find(a, "-1").uid, 0xffffffff);
    CHECK_EQ(find(a, "99999999999").uid, 0xffffffff);
}

static bool holds(struct span text, struct span part)
{
    return memmem(text.p, text.n, part.p, part.n) != NULL;
}

TEST(without_device_rules_no_container_can_make_device_nodes)
{
    struct arena *a cleanup_arena = arena_new();
    for (int privileged = 0; privileged < 2; privileged++) {
        struct runtime_container_spec spec = {
            .args = args, .arg_count = 1, .privileged = privileged == 1};
        struct oci_input in = input(&spec);
        in.cgroup_v2 = true;
        struct span with = json_write(a, build(a, &in));
        CHECK(holds(with, SPAN("\"allow\"")));
        CHECK(holds(with, SPAN("CAP_MKNOD")));
        in.no_device_rules = true;
        struct span without = json_write(a, build(a, &in));
        CHECK(!holds(without, SPAN("\"allow\"")));
        CHECK_EQ(holds(without, SPAN("CAP_MKNOD")), privileged);
    }
}

TEST(cpu_is_left_out_only_when_no_controller_is_there_and_nobody_asked)
{
    struct arena *a cleanup_arena = arena_new();
    for (int asked = 0; asked < 2; asked++) {
        struct runtime_container_spec spec = {
            .args = args, .arg_count = 1, .cpu_milli_limit = asked ? 500 : 0};
        struct oci_input in = input(&spec);
        CHECK(holds(json_write(a, build(a, &in)), SPAN("\"cpu\"")));
        in.no_cpu_controller = true;
        CHECK_EQ(holds(json_write(a, build(a, &in)), SPAN("\"cpu\"")), asked);
    }
}
