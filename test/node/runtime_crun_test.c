/* Real containers by conmon and crun, in a mount and network namespace of the test's own. */
#include "kubelet/runtime_crun.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "kit/kit.h"
#include "net/net_pod.h"
#include "os/os_cgroup.h"
#include "os/os_fs.h"
#include "os/os_mount.h"
#include "os/os_netlink.h"

/* This program is its own runtime-shim. */
__attribute__((constructor)) static void shim(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "runtime-shim") == 0) {
        _exit(runtime_shim_main(argc, argv));
    }
}

#define UID "11111111-2222-3333-4444-555555555555"

struct world {
    struct arena *a;
    struct env *env;
    struct runtime *rt;
    struct net_pod *net;
    struct span data, layer;
    struct runtime_crun_config config;
    /* what the last call gave */
    bool done;
    int code;
    struct span detail, ip;
    struct runtime_status status;
    /* exits seen */
    int exits;
    struct runtime_status last_exit;
    struct runtime_list_result list;
    /* session */
    struct strbuf out, err;
    bool ended;
    int exit_code;
};

static int layers_of(void *data, struct span image_id, struct arena *a, const struct span **dirs,
                     size_t *n)
{
    struct world *w = data;
    (void)image_id;
    struct span *d = ARENA_NEW(a, struct span);
    *d = w->layer;
    *dirs = d;
    *n = 1;
    return 0;
}

static int net_attach(void *data, struct span uid, int nsfd, struct arena *a, struct span *ret_ip,
                      struct span *ret_detail)
{
    return net_pod_attach(data, uid, nsfd, a, ret_ip, ret_detail);
}

static int net_detach(void *data, struct span uid, struct arena *a)
{
    return net_pod_detach(data, uid, a);
}

static void on_exit_fn(void *data, const struct runtime_status *status)
{
    struct world *w = data;
    w->exits++;
    w->last_exit = *status;
    w->last_exit.id = arena_dup(w->a, status->id);
    env_uv_stop(w->env);
}

static void make_layer(struct world *w)
{
    static const char *const dirs[] = {"bin", "etc", "tmp", "proc", "sys", "dev", "root"};
    static const char *const applets[] = {
        "sh",       "sleep", "echo",  "cat", "id", "true", "stty", "tty",  "pwd", "ls",
        "hostname", "env",   "touch", "ip",  "dd", "test", "kill", "head", "tail"};
    w->layer = arena_printf(w->a, "%s/layer", kit_tmpdir());
    CHECK_EQ(mkdir(w->layer.p, 0755), 0);
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        CHECK_EQ(mkdir(arena_printf(w->a, "%s/%s", w->layer.p, dirs[i]).p, 0755), 0);
    }
    struct span busybox;
    if (os_fs_read(w->a, AT_FDCWD, "/bin/busybox", 8 << 20, &busybox) != 0) {
        SKIP("needs /bin/busybox (Debian package busybox-static)");
    }
    CHECK_EQ(os_fs_write(arena_printf(w->a, "%s/bin/busybox", w->layer.p).p, busybox, 0755), 0);
    for (size_t i = 0; i < sizeof applets / sizeof *applets; i++) {
        CHECK_EQ(symlink("busybox", arena_printf(w->a, "%s/bin/%s", w->layer.p, applets[i]).p), 0);
    }
    CHECK_EQ(os_fs_write(arena_printf(w->a, "%s/etc/passwd", w->layer.p).p,
                         SPAN("root:x:0:0:root:/root:/bin/sh\nredis:x:999:998::/:/bin/sh\n"), 0644),
             0);
    CHECK_EQ(os_fs_write(arena_printf(w->a, "%s/etc/group", w->layer.p).p,
                         SPAN("root:x:0:\nextra:x:77:redis\n"), 0644),
             0);
}

static void open_runtime(struct world *w)
{
    int code = runtime_crun_new(w->env, &w->config, w->a, &w->rt, &w->detail);
    if (code) {
        kit_note("%.*s", SPAN_ARG(w->detail));
    }
    CHECK_EQ(code, 0);
    w->rt->ops->on_exit(w->rt, on_exit_fn, w);
}

/* A process that outlives a failing test and ends what the test left running. */
static void watch_over(const struct runtime_crun_config *config)
{
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        (void)setsid();
        (void)close(fds[1]);
        (void)!read(fds[0], &byte, 1);
        struct arena *a = arena_new();
        struct span detail;
        if (access(config->data_dir.p, F_OK) == 0) {
            (void)runtime_crun_purge(config, a, &detail);
        }
        _exit(0);
    }
    (void)close(fds[0]);
}

static struct world *world_new(void)
{
    if (geteuid() != 0) {
        SKIP("needs root: runs containers");
    }
    CHECK_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
    CHECK_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    struct arena *a = arena_new();
    const char *program;
    if (os_fs_find_program(a, "crun", &program) != 0 ||
        os_fs_find_program(a, "conmon", &program) != 0) {
        SKIP("needs crun and conmon");
    }
    struct world *w = ARENA_NEW(a, struct world);
    w->a = a;
    w->env = env_uv_new();
    w->data =
        arena_printf(a,
                     "%s/data-with-a-path-that-is-longer-than-a-socket-address-can-hold-0123456789-"
                     "0123456789-0123456789",
                     kit_tmpdir());
    CHECK_EQ(mkdir(w->data.p, 0755), 0);
    make_layer(w);
    struct net_pod_config net = {
        .bridge = SPAN("berth0"),
        .pod_cidr = SPAN("10.42.0.0/24"),
        .service_cidr = SPAN("10.43.0.0/16"),
        .cluster_dns = SPAN("10.43.0.10"),
        .state_dir = arena_printf(a, "%s/net", w->data.p),
    };
    CHECK_EQ(net_pod_new(&net, a, &w->net, &w->detail), 0);
    CHECK_EQ(net_pod_setup(w->net, a, &w->detail), 0);
    w->config = (struct runtime_crun_config){
        .data_dir = w->data,
        .cgroup_parent = arena_printf(a, "/berth-test-%d", (int)getpid()),
        .network = {net_attach, net_detach, w->net},
        .layers_of = layers_of,
        .layers_data = w,
    };
    watch_over(&(struct runtime_crun_config){.data_dir = w->data,
                                             .cgroup_parent = w->config.cgroup_parent});
    open_runtime(w);
    return w;
}

static void drain(struct world *w);

/* Everything is removed, and that is checked. */
static void world_done(struct world *w)
{
    if (w->rt) {
        w->rt->ops->free(w->rt);
    }
    drain(w);
    CHECK_EQ(runtime_crun_purge(&w->config, w->a, &w->detail), 0);
    CHECK_EQ(net_pod_remove(w->net, w->a), 0);
    struct span *names;
    size_t n;
    CHECK_EQ(os_mounts_beneath(w->a, w->data, &names, &n), 0);
    CHECK_EQ(n, 0);
    CHECK_EQ(os_fs_list(w->a, w->data.p, &names, &n), 0);
    CHECK_EQ(n, 0);
    /* No process has our directory in its arguments. */
    CHECK_EQ(os_fs_list(w->a, "/proc", &names, &n), 0);
    for (size_t i = 0; i < n; i++) {
        struct span cmdline;
        int64_t pid;
        if (span_to_i64(names[i], &pid) && pid != getpid() &&
            os_fs_read(w->a, AT_FDCWD, arena_printf(w->a, "/proc/%s/cmdline", names[i].p).p, 65536,
                       &cmdline) == 0 &&
            memmem(cmdline.p, cmdline.n, w->data.p, w->data.n)) {
            kit_note("left: %s %.*s", names[i].p, SPAN_ARG(cmdline));
            CHECK(false);
        }
    }
    struct os_cgroup cg;
    CHECK_EQ(os_cgroup_detect(w->a, &cg), 0);
    for (size_t r = 0; r < cg.root_count; r++) {
        CHECK_EQ(os_fs_list(w->a, arena_cstr(w->a, cg.roots[r]), &names, &n), 0);
        for (size_t i = 0; i < n; i++) {
            CHECK(!span_eq(names[i], span_from(w->config.cgroup_parent, 1)));
        }
    }
    strbuf_done(&w->out);
    strbuf_done(&w->err);
    net_pod_free(w->net);
    env_uv_free(w->env);
    arena_free(w->a);
}

/* ---- calls that wait ---- */

static void wait_done(struct world *w)
{
    while (!w->done) {
        env_uv_run(w->env);
    }
}

static void wait_exits(struct world *w, int n)
{
    while (w->exits < n) {
        env_uv_run(w->env);
    }
}

struct pause {
    struct env_timer timer;
    struct world *w;
};

static void on_pause(struct env_timer *timer)
{
    struct pause *p = CONTAINER_OF(timer, struct pause, timer);
    p->w->done = true;
    env_uv_stop(p->w->env);
}

static void wait_ms(struct world *w, int64_t ms)
{
    struct pause p = {.w = w};
    w->done = false;
    env_timer_start(w->env, &p.timer, ms, on_pause);
    wait_done(w);
}

static void drain(struct world *w)
{
    wait_ms(w, 20);
}

static void on_done(void *data, int code, struct span detail)
{
    struct world *w = data;
    w->done = true;
    w->code = code;
    w->detail = arena_dup(w->a, detail);
    env_uv_stop(w->env);
}

static void on_sandbox(void *data, int code, struct span ip, struct span detail)
{
    struct world *w = data;
    w->ip = arena_dup(w->a, ip);
    on_done(data, code, detail);
}

static void on_start(void *data, int code, const struct runtime_status *status, struct span detail)
{
    struct world *w = data;
    if (status) {
        w->status = *status;
        w->status.id = arena_dup(w->a, status->id);
    }
    on_done(data, code, detail);
}

static void on_list(void *data, const struct runtime_list_result *result)
{
    struct world *w = data;
    struct runtime_status *c = ARENA_ARRAY(w->a, struct runtime_status, result->container_count);
    struct runtime_sandbox_status *s =
        ARENA_ARRAY(w->a, struct runtime_sandbox_status, result->sandbox_count);
    for (size_t i = 0; i < result->container_count; i++) {
        c[i] = result->containers[i];
        c[i].id = arena_dup(w->a, c[i].id);
        c[i].name = arena_dup(w->a, c[i].name);
    }
    for (size_t i = 0; i < result->sandbox_count; i++) {
        s[i] = result->sandboxes[i];
        s[i].uid = arena_dup(w->a, s[i].uid);
        s[i].name = arena_dup(w->a, s[i].name);
        s[i].ip = arena_dup(w->a, s[i].ip);
    }
    w->list = (struct runtime_list_result){s, c, result->sandbox_count, result->container_count};
    on_done(data, 0, SPAN_NULL);
}

static void sandbox(struct world *w)
{
    static const struct span sysctls[] = {{"net.core.somaxconn=1234", 23}};
    struct runtime_sandbox_spec spec = {
        .uid = SPAN(UID),
        .ns = SPAN("default"),
        .name = SPAN("web-0"),
        .hostname = SPAN("web-0"),
        .resolv_conf = SPAN("nameserver 10.43.0.10\n"),
        .hosts = SPAN("127.0.0.1\tlocalhost\n"),
        .hosts_names = SPAN("web-0.web.default.svc.cluster.local web-0"),
        .sysctls = sysctls,
        .sysctl_count = 1,
    };
    w->done = false;
    w->rt->ops->sandbox_create(w->rt, &spec, on_sandbox, w);
    wait_done(w);
    if (w->code) {
        kit_note("%.*s", SPAN_ARG(w->detail));
    }
    CHECK_EQ(w->code, 0);
}

static struct runtime_container_spec spec_of(struct world *w, const char *script, uint32_t attempt)
{
    struct span *args = ARENA_ARRAY(w->a, struct span, 3);
    static const struct span env[] = {{"GREETING=hello", 14}};
    args[0] = SPAN("/bin/sh");
    args[1] = SPAN("-c");
    args[2] = span_cstr(script);
    return (struct runtime_container_spec){
        .sandbox_uid = SPAN(UID),
        .name = SPAN("main"),
        .attempt = attempt,
        .rootfs_image = SPAN("sha256:0"),
        .args = args,
        .arg_count = 3,
        .env = env,
        .env_count = 1,
        .log_path = arena_printf(w->a, "%s/%u.log", kit_tmpdir(), attempt),
    };
}

static void start_spec(struct world *w, const struct runtime_container_spec *spec)
{
    w->done = false;
    w->rt->ops->container_start(w->rt, spec, on_start, w);
    wait_done(w);
}

static void start(struct world *w, const char *script, uint32_t attempt)
{
    struct runtime_container_spec spec = spec_of(w, script, attempt);
    start_spec(w, &spec);
    if (w->code) {
        kit_note("%.*s", SPAN_ARG(w->detail));
    }
    CHECK_EQ(w->code, 0);
    CHECK_EQ(w->status.state, RUNTIME_RUNNING);
}

static int call(struct world *w,
                void (*fn)(struct runtime *, struct span, runtime_done_fn *, void *),
                const char *id)
{
    w->done = false;
    fn(w->rt, span_cstr(id), on_done, w);
    wait_done(w);
    return w->code;
}

static int send_signal(struct world *w, const char *id, int signal)
{
    w->done = false;
    w->rt->ops->container_kill(w->rt, span_cstr(id), signal, on_done, w);
    wait_done(w);
    return w->code;
}

static void list(struct world *w)
{
    w->done = false;
    w->rt->ops->list(w->rt, on_list, w);
    wait_done(w);
}

/* Text of the log without time stamps. */
static struct span log_text(struct world *w, uint32_t attempt)
{
    struct span text;
    CHECK_EQ(os_fs_read(w->a, AT_FDCWD, arena_printf(w->a, "%s/%u.log", kit_tmpdir(), attempt).p,
                        1 << 20, &text),
             0);
    struct strbuf b = STRBUF_INIT;
    while (text.n) {
        struct span line = span_cut(&text, '\n');
        struct span stamp = span_cut(&line, ' ');
        CHECK(stamp.n > 20 && stamp.p[4] == '-' && stamp.p[10] == 'T');
        strbuf_put(&b, line);
        strbuf_putc(&b, '\n');
    }
    struct span copy = arena_dup(w->a, strbuf_span(&b));
    strbuf_done(&b);
    return copy;
}

/* ---- sessions ---- */

static void on_output(void *data, int fd, struct span bytes)
{
    struct world *w = data;
    strbuf_put(fd == 1 ? &w->out : &w->err, bytes);
    env_uv_stop(w->env);
}

static void on_end(void *data, int exit_code, struct span detail)
{
    struct world *w = data;
    w->ended = true;
    w->exit_code = exit_code;
    w->detail = arena_dup(w->a, detail);
    env_uv_stop(w->env);
}

static const struct runtime_session_handler session_handler = {on_output, on_end};

static struct runtime_session *session(struct world *w, const char *id, const char *script,
                                       bool tty, bool in)
{
    struct span args[] = {SPAN("sh"), SPAN("-c"), span_cstr(script)};
    struct runtime_exec_spec spec = {
        .container_id = span_cstr(id),
        .args = args,
        .arg_count = script ? 3 : 0,
        .tty = tty,
        .with_stdin = in,
        .with_stdout = true,
        .with_stderr = true,
    };
    if (script && script[0] == '!') {
        args[0] = span_cstr(script + 1);
        spec.arg_count = 1;
    }
    strbuf_clear(&w->out);
    strbuf_clear(&w->err);
    w->ended = false;
    return w->rt->ops->exec(w->rt, &spec, &session_handler, w);
}

static void wait_ended(struct world *w)
{
    while (!w->ended) {
        env_uv_run(w->env);
    }
}

static void wait_out(struct world *w, const char *text)
{
    while (!memmem(w->out.p ? w->out.p : "", w->out.n, text, strlen(text)) && !w->ended) {
        env_uv_run(w->env);
    }
}

/* ---- tests ---- */

TEST(a_container_runs_logs_ends_and_leaves_nothing)
{
    struct world *w = world_new();
    sandbox(w);
    CHECK_SPAN(w->ip, "10.42.0.2");
    start(w, "echo out; echo err >&2; printf part; exit 3", 0);
    CHECK_SPAN(w->status.id, UID "-main-0");
    wait_exits(w, 1);
    CHECK_SPAN(w->last_exit.id, UID "-main-0");
    CHECK_EQ(w->last_exit.exit_code, 3);
    CHECK_EQ(w->last_exit.state, RUNTIME_EXITED);
    CHECK(!w->last_exit.oom_killed);
    CHECK(w->last_exit.finished_ms >= w->last_exit.started_ms);
    struct span log = log_text(w, 0);
    CHECK(memmem(log.p, log.n, "stdout F out\n", 13));
    CHECK(memmem(log.p, log.n, "stderr F err\n", 13));
    CHECK(memmem(log.p, log.n, "stdout P part\n", 14));
    CHECK_EQ(call(w, w->rt->ops->container_remove, UID "-main-0"), 0);
    CHECK_EQ(call(w, w->rt->ops->container_remove, UID "-main-0"), 0);
    CHECK_EQ(call(w, w->rt->ops->sandbox_remove, UID), 0);
    CHECK_EQ(call(w, w->rt->ops->sandbox_remove, UID), 0);
    CHECK_EQ(w->exits, 1);
    struct span *names;
    size_t n;
    static const char *const empty[] = {"sandboxes", "containers", "exits",
                                        "crun",      "spool",      "exec"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        CHECK_EQ(
            os_fs_list(w->a, arena_printf(w->a, "%s/run/%s", w->data.p, empty[i]).p, &names, &n),
            0);
        for (size_t k = 0; k < n; k++) {
            kit_note("%s/%s", empty[i], names[k].p);
        }
        CHECK_EQ(n, 0);
    }
    world_done(w);
}

TEST(the_world_inside_is_what_was_asked_for)
{
    struct world *w = world_new();
    sandbox(w);
    struct runtime_container_spec spec =
        spec_of(w,
                "id; pwd; hostname; echo $GREETING; cat /etc/hosts /etc/resolv.conf /etc/hostname; "
                "cat /proc/sys/net/core/somaxconn;"
                "touch /x 2>&1; touch /vol/f && ls /vol; touch /ro/f 2>&1; ip addr show eth0 | "
                "head -3 | tail -1; echo bye > /end;"
                "cat /proc/1/cmdline | head -c 7; cat /proc/self/oom_score_adj; ls -d /work/dir",
                0);
    struct span vol = arena_printf(w->a, "%s/vol", kit_tmpdir());
    struct span end = arena_printf(w->a, "%s/end", kit_tmpdir());
    CHECK_EQ(mkdir(vol.p, 0777), 0);
    CHECK_EQ(chmod(vol.p, 0777), 0);
    CHECK_EQ(os_fs_write(end.p, SPAN(""), 0666), 0);
    CHECK_EQ(chmod(end.p, 0666), 0);
    struct runtime_mount mounts[] = {{.source = vol, .target = SPAN("/vol")},
                                     {.source = vol, .target = SPAN("/ro"), .read_only = true}};
    const uint32_t groups[] = {5000};
    spec.mounts = mounts;
    spec.mount_count = 2;
    spec.user = SPAN("redis");
    spec.groups = groups;
    spec.group_count = 1;
    spec.cwd = SPAN("/work/dir");
    spec.read_only_root = true;
    spec.termination_log = end;
    spec.termination_log_target = SPAN("/end");
    start_spec(w, &spec);
    if (w->code) {
        kit_note("%.*s", SPAN_ARG(w->detail));
    }
    CHECK_EQ(w->code, 0);
    wait_exits(w, 1);
    struct span log = log_text(w, 0);
    static const char *const wanted[] = {
        "uid=999(redis) gid=998 groups=77(extra),5000",
        "stdout F /work/dir\n",
        "stdout F web-0\n",
        "stdout F hello\n",
        "10.42.0.2\tweb-0.web.default.svc.cluster.local web-0",
        "nameserver 10.43.0.10",
        "stdout F 1234\n",
        "touch: /x: Read-only file system",
        "stdout F f\n",
        "touch: /ro/f: Read-only file system",
        "inet 10.42.0.2/32",
        "1000\n",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (!memmem(log.p, log.n, wanted[i], strlen(wanted[i]))) {
            kit_note("missing: %s in\n%.*s", wanted[i], SPAN_ARG(log));
            CHECK(false);
        }
    }
    struct span text;
    CHECK_EQ(os_fs_read(w->a, AT_FDCWD, end.p, 100, &text), 0);
    CHECK_SPAN(text, "bye\n");
    world_done(w);
}

TEST(what_cannot_be_executed_says_so_in_kubernetes_words)
{
    struct world *w = world_new();
    sandbox(w);
    struct runtime_container_spec spec = spec_of(w, "", 0);
    struct span args[] = {SPAN("nosuch")};
    spec.args = args;
    spec.arg_count = 1;
    start_spec(w, &spec);
    CHECK_EQ(w->code, -ENOENT);
    CHECK_SPAN(w->detail, "exec: \"nosuch\": executable file not found in $PATH");
    args[0] = SPAN("/no/such");
    start_spec(w, &spec);
    CHECK_SPAN(w->detail, "exec: \"/no/such\": stat /no/such: no such file or directory");
    CHECK_EQ(w->code, -ENOENT);
    args[0] = SPAN("/etc/passwd");
    start_spec(w, &spec);
    CHECK_SPAN(w->detail, "exec: \"/etc/passwd\": permission denied");
    CHECK_EQ(w->code, -EACCES);
    args[0] = SPAN("/bin/true");
    spec.user = SPAN("nobody");
    start_spec(w, &spec);
    CHECK_SPAN(w->detail, "unable to find user nobody: no matching entries in passwd file");
    spec.user = SPAN("");
    spec.sandbox_uid = SPAN("0-not-there");
    start_spec(w, &spec);
    CHECK_SPAN(w->detail, "the pod's sandbox is not there");
    spec.sandbox_uid = SPAN("../x");
    start_spec(w, &spec);
    CHECK_EQ(w->code, -EINVAL);
    spec = spec_of(w, "exit 0", 0);
    start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    wait_exits(w, 1);
    world_done(w);
}

TEST(signals_reach_the_first_process_and_memory_limits_kill)
{
    struct world *w = world_new();
    sandbox(w);
    start(w, "trap 'exit 7' TERM; while :; do sleep 0.01; done", 0);
    wait_ms(w, 50);
    CHECK_EQ(send_signal(w, UID "-main-0", SIGTERM), 0);
    wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 7);
    CHECK_EQ(send_signal(w, UID "-main-0", SIGTERM), 0);
    CHECK_EQ(send_signal(w, "nobody", SIGTERM), -ENOENT);
    start(w, "sleep 1000", 1);
    CHECK_EQ(send_signal(w, UID "-main-1", SIGKILL), 0);
    wait_exits(w, 2);
    CHECK_EQ(w->last_exit.exit_code, 137);
    CHECK(!w->last_exit.oom_killed);
    struct runtime_container_spec spec =
        spec_of(w, "dd if=/dev/zero of=/dev/null bs=200M count=1", 2);
    spec.memory_limit_bytes = 20 << 20;
    start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    wait_exits(w, 3);
    CHECK_EQ(w->last_exit.exit_code, 137);
    CHECK(w->last_exit.oom_killed);
    world_done(w);
}

TEST(commands_run_inside_with_pipes_and_with_a_terminal)
{
    struct world *w = world_new();
    const struct runtime_ops *ops = w->rt->ops;
    sandbox(w);
    struct runtime_container_spec spec = spec_of(w, "sleep 1000", 0);
    spec.user = SPAN("redis");
    spec.cwd = SPAN("/tmp");
    start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    session(w, UID "-main-0", "id -u; pwd; echo $GREETING; echo bad >&2; exit 5", false, false);
    wait_ended(w);
    CHECK_EQ(w->exit_code, 5);
    CHECK_SPAN(strbuf_span(&w->out), "999\n/tmp\nhello\n");
    CHECK_SPAN(strbuf_span(&w->err), "bad\n");

    struct runtime_session *s = session(w, UID "-main-0", "cat; echo end", false, true);
    ops->session_write(s, SPAN("some "));
    ops->session_write(s, SPAN("text\n"));
    wait_out(w, "text");
    ops->session_close_stdin(s);
    wait_ended(w);
    CHECK_EQ(w->exit_code, 0);
    CHECK_SPAN(strbuf_span(&w->out), "some text\nend\n");

    session(w, UID "-main-0", "!nosuch", false, false);
    wait_ended(w);
    CHECK_EQ(w->exit_code, -ENOENT);
    CHECK_SPAN(w->detail, "exec: \"nosuch\": executable file not found in $PATH");
    CHECK_EQ(w->err.n, 0);

    s = session(w, UID "-main-0", "tty; read x; stty size; read x; stty size; echo got $x; exit 9",
                true, true);
    ops->session_resize(s, 100, 40);
    wait_out(w, "/dev/pts/");
    ops->session_write(s, SPAN("\n"));
    wait_out(w, "40 100\r\n");
    ops->session_resize(s, 90, 30);
    ops->session_write(s, SPAN("word\n"));
    wait_ended(w);
    CHECK_EQ(w->exit_code, 9);
    CHECK(memmem(w->out.p, w->out.n, "/dev/pts/", 9));
    CHECK(memmem(w->out.p, w->out.n, "got word\r\n", 10));
    CHECK(memmem(w->out.p, w->out.n, "30 90\r\n", 7));

    /* A big output under back-pressure arrives whole. */
    s = session(w, UID "-main-0", "dd if=/dev/zero bs=1k count=3000 2>/dev/null", false, false);
    wait_out(w, "");
    while (w->out.n == 0) {
        env_uv_run(w->env);
    }
    ops->session_pause(s, true);
    wait_ms(w, 100);
    ops->session_pause(s, false);
    wait_ended(w);
    CHECK_EQ(w->out.n, 3000 * 1024);

    /* Something left in the background does not hold the session. */
    session(w, UID "-main-0", "sleep 100 & echo started", false, false);
    wait_ended(w);
    CHECK_EQ(w->exit_code, 0);

    session(w, "nobody", "true", false, false);
    wait_ended(w);
    CHECK_EQ(w->exit_code, -ENOENT);
    world_done(w);
}

TEST(an_aborted_command_is_killed)
{
    struct world *w = world_new();
    sandbox(w);
    start(w, "sleep 1000", 0);
    struct runtime_session *s = session(w, UID "-main-0", "echo up; exec sleep 2000", false, false);
    wait_out(w, "up");
    w->rt->ops->session_abort(s);
    s = session(w, UID "-main-0", "exec sleep 2000", true, true);
    w->rt->ops->session_abort(s); /* while it is being prepared */
    s = session(w, UID "-main-0", "echo up; exec sleep 2000", true, true);
    wait_out(w, "up");
    w->rt->ops->session_abort(s);
    wait_ms(w, 300);
    CHECK(!w->ended);
    session(w, UID "-main-0", "cat /proc/[0-9]*/cmdline", false, false);
    wait_ended(w);
    CHECK(!memmem(w->out.p, w->out.n, "2000", 4));
    CHECK(memmem(w->out.p, w->out.n, "1000", 4));
    world_done(w);
}

TEST(attaching_talks_to_the_first_process)
{
    struct world *w = world_new();
    const struct runtime_ops *ops = w->rt->ops;
    sandbox(w);
    struct runtime_container_spec spec = spec_of(w, "cat; echo over; exit 4", 0);
    spec.with_stdin = true;
    spec.stdin_once = true;
    start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    struct runtime_session *s = session(w, UID "-main-0", NULL, false, true);
    ops->session_write(s, SPAN("typed\n"));
    wait_out(w, "typed\n");
    char *big = arena_alloc(w->a, 100001);
    memset(big, 'x', 100000);
    big[100000] = '\n';
    ops->session_write(s, span_of(big, 100001));
    while (w->out.n < 6 + 100001) {
        env_uv_run(w->env);
    }
    ops->session_close_stdin(s);
    wait_ended(w);
    CHECK_EQ(w->exit_code, 4);
    CHECK(memmem(w->out.p, w->out.n, "over\n", 5));
    wait_exits(w, 1);
    session(w, UID "-main-0", NULL, false, true);
    wait_ended(w);
    CHECK_EQ(w->exit_code, -ESRCH);

    spec = spec_of(w, "read x; stty size; read y; exit 6", 1);
    spec.with_stdin = spec.tty = true;
    start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    s = session(w, UID "-main-1", NULL, true, true);
    ops->session_resize(s, 77, 33);
    wait_ms(w, 30);
    ops->session_write(s, SPAN("\n"));
    wait_out(w, "33 77\r\n");
    ops->session_write(s, SPAN("\n"));
    wait_ended(w);
    CHECK_EQ(w->exit_code, 6);
    world_done(w);
}

TEST(a_new_agent_adopts_what_it_finds)
{
    struct world *w = world_new();
    sandbox(w);
    start(w, "sleep 1000", 0);
    pid_t pid = w->status.pid;
    start(w, "sleep 0.2; exit 8", 1);
    w->rt->ops->free(w->rt);
    w->rt = NULL;
    drain(w);
    wait_ms(w, 400);
    CHECK_EQ(w->exits, 0);
    /* Half made remains of a kill. */
    CHECK_EQ(os_fs_mkdirs(arena_printf(w->a, "%s/run/containers/" UID "-half-0/upper", w->data.p).p,
                          0700),
             0);
    CHECK_EQ(os_fs_mkdirs(arena_printf(w->a, "%s/run/sandboxes/half-made", w->data.p).p, 0700), 0);
    open_runtime(w);
    list(w);
    CHECK_EQ(w->list.container_count, 2);
    CHECK_EQ(w->list.sandbox_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct runtime_status *c = &w->list.containers[i];
        bool first = c->attempt == 0;
        CHECK_SPAN(c->name, "main");
        CHECK_EQ(c->state, first ? RUNTIME_RUNNING : RUNTIME_EXITED);
        CHECK(!first || c->pid == pid);
        const struct runtime_sandbox_status *s = &w->list.sandboxes[i];
        bool whole = span_eq_cstr(s->uid, UID);
        CHECK_EQ(s->ready, whole);
        CHECK(!whole || span_eq_cstr(s->ip, "10.42.0.2"));
    }
    wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 8);
    struct runtime_container_spec spec = spec_of(w, "sleep 1000", 0);
    start_spec(w, &spec); /* again: the same container */
    CHECK_EQ(w->code, 0);
    CHECK_EQ(w->status.pid, pid);
    sandbox(w);
    CHECK_SPAN(w->ip, "10.42.0.2");
    CHECK_EQ(send_signal(w, UID "-main-0", SIGKILL), 0);
    wait_exits(w, 2);
    CHECK_EQ(w->last_exit.exit_code, 137);
    CHECK_EQ(call(w, w->rt->ops->sandbox_remove, "half-made"), 0);
    world_done(w);
}

TEST(a_container_whose_monitor_died_counts_as_killed)
{
    struct world *w = world_new();
    sandbox(w);
    start(w, "sleep 1000", 0);
    pid_t pid = w->status.pid;
    w->rt->ops->free(w->rt);
    w->rt = NULL;
    drain(w);
    struct span text;
    int64_t monitor;
    CHECK_EQ(
        os_fs_read(w->a, AT_FDCWD,
                   arena_printf(w->a, "%s/run/containers/" UID "-main-0/conmon.pid", w->data.p).p,
                   64, &text),
        0);
    CHECK(span_to_i64(span_trim(text), &monitor) && monitor > 1);
    CHECK_EQ(kill((pid_t)monitor, SIGKILL), 0);
    wait_ms(w, 50);
    open_runtime(w);
    list(w);
    CHECK_EQ(w->list.container_count, 1);
    CHECK_EQ(w->list.containers[0].state, RUNTIME_EXITED);
    wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 137);
    wait_ms(w, 50);
    struct span state = SPAN_NULL; /* gone, or dead and waiting for init */
    (void)os_fs_read(w->a, AT_FDCWD, arena_printf(w->a, "/proc/%d/stat", (int)pid).p, 4096, &state);
    CHECK(state.n == 0 || memmem(state.p, state.n, ") Z ", 4));
    world_done(w);
}

TEST(a_renamed_log_is_opened_anew)
{
    struct world *w = world_new();
    sandbox(w);
    start(w, "echo one; trap 'echo two; exit' TERM; while :; do sleep 0.01; done", 0);
    wait_ms(w, 100);
    const char *from = arena_printf(w->a, "%s/0.log", kit_tmpdir()).p;
    CHECK_EQ(rename(from, arena_printf(w->a, "%s/9.log", kit_tmpdir()).p), 0);
    CHECK_EQ(call(w, w->rt->ops->log_reopen, UID "-main-0"), 0);
    wait_ms(w, 50);
    CHECK_EQ(send_signal(w, UID "-main-0", SIGTERM), 0);
    wait_exits(w, 1);
    CHECK_SPAN(log_text(w, 9), "stdout F one\n");
    CHECK_SPAN(log_text(w, 0), "stdout F two\n");
    world_done(w);
}

static double ms_since(struct world *w, int64_t from)
{
    return (double)(env_mono_ns(w->env) - from) / 1e6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

enum { ROUNDS = 12 };

static void report(const char *what, double *ms)
{
    qsort(ms, ROUNDS, sizeof *ms, by_value);
    kit_note("%-18s least %5.1f  median %5.1f  most %5.1f ms", what, ms[0], ms[ROUNDS / 2],
             ms[ROUNDS - 1]);
}

TEST_T(start_latency_is_reported, 60)
{
    struct world *w = world_new();
    double ms[6][ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        wait_ms(w, 60); /* the kernel forgets the last start: see os_cgroup_warm */
        int64_t t = env_mono_ns(w->env);
        sandbox(w);
        ms[0][i] = ms_since(w, t);
        t = env_mono_ns(w->env);
        start(w, "exec sleep 1000", i);
        ms[1][i] = ms_since(w, t);
        wait_ms(w, 60);
        const char *id = arena_printf(w->a, UID "-main-%u", i).p;
        t = env_mono_ns(w->env);
        session(w, id, "true", false, false);
        wait_ended(w);
        ms[2][i] = ms_since(w, t);
        t = env_mono_ns(w->env);
        CHECK_EQ(send_signal(w, id, SIGKILL), 0);
        wait_exits(w, (int)i + 1);
        ms[3][i] = ms_since(w, t);
        t = env_mono_ns(w->env);
        CHECK_EQ(call(w, w->rt->ops->container_remove, id), 0);
        ms[4][i] = ms_since(w, t);
        t = env_mono_ns(w->env);
        CHECK_EQ(call(w, w->rt->ops->sandbox_remove, UID), 0);
        ms[5][i] = ms_since(w, t);
    }
    static const char *const names[] = {"sandbox create", "container start",  "exec true",
                                        "kill to exit",   "container remove", "sandbox remove"};
    for (size_t i = 0; i < 6; i++) {
        report(names[i], ms[i]);
    }
    world_done(w);
}
