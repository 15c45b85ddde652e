#include "kit/crun_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "base/check.h"
#include "env/env_uv.h"
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

static int layers_of(void *data, struct span image_id, struct arena *a, const struct span **dirs,
                     size_t *n)
{
    struct cw *w = data;
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
    struct cw *w = data;
    w->exits++;
    w->last_exit = *status;
    w->last_exit.id = arena_dup(w->a, status->id);
    env_uv_stop(w->env);
}

static void make_layer(struct cw *w)
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

void cw_open_runtime(struct cw *w)
{
    int code = runtime_crun_new(w->env, &w->config, w->a, &w->rt, &w->detail);
    if (code) {
        kit_note("%.*s", SPAN_ARG(w->detail));
    }
    CHECK_EQ(code, 0);
    w->rt->ops->on_exit(w->rt, on_exit_fn, w);
}

/* A process that outlives a failing test and ends what the test left running. */
void cw_watch_over(const struct runtime_crun_config *config)
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

struct cw *cw_new(void)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    CHECK_EQ(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), 0); /* as systemd has it */
    struct arena *a = arena_new();
    const char *program;
    if (os_fs_find_program(a, "crun", &program) != 0 ||
        os_fs_find_program(a, "conmon", &program) != 0) {
        SKIP("needs crun and conmon");
    }
    struct cw *w = ARENA_NEW(a, struct cw);
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
    cw_watch_over(&(struct runtime_crun_config){.data_dir = w->data,
                                                .cgroup_parent = w->config.cgroup_parent});
    cw_open_runtime(w);
    return w;
}

/* Everything is removed, and that is checked. */
void cw_done(struct cw *w)
{
    if (w->rt) {
        w->rt->ops->free(w->rt);
    }
    cw_drain(w);
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

static void wait_done(struct cw *w)
{
    while (!w->done) {
        env_uv_run(w->env);
    }
}

void cw_wait_exits(struct cw *w, int n)
{
    while (w->exits < n) {
        env_uv_run(w->env);
    }
}

struct pause {
    struct env_timer timer;
    struct cw *w;
};

static void on_pause(struct env_timer *timer)
{
    struct pause *p = CONTAINER_OF(timer, struct pause, timer);
    p->w->done = true;
    env_uv_stop(p->w->env);
}

void cw_wait_ms(struct cw *w, int64_t ms)
{
    struct pause p = {.w = w};
    w->done = false;
    env_timer_start(w->env, &p.timer, ms, on_pause);
    wait_done(w);
}

void cw_drain(struct cw *w)
{
    cw_wait_ms(w, 20);
}

static void on_done(void *data, int code, struct span detail)
{
    struct cw *w = data;
    w->done = true;
    w->code = code;
    w->detail = arena_dup(w->a, detail);
    env_uv_stop(w->env);
}

static void on_sandbox(void *data, int code, struct span ip, struct span detail)
{
    struct cw *w = data;
    w->ip = arena_dup(w->a, ip);
    on_done(data, code, detail);
}

static void on_start(void *data, int code, const struct runtime_status *status, struct span detail)
{
    struct cw *w = data;
    if (status) {
        w->status = *status;
        w->status.id = arena_dup(w->a, status->id);
    }
    on_done(data, code, detail);
}

static void on_list(void *data, const struct runtime_list_result *result)
{
    struct cw *w = data;
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

void cw_sandbox(struct cw *w)
{
    static const struct span sysctls[] = {{"net.core.somaxconn=1234", 23}};
    struct runtime_sandbox_spec spec = {
        .uid = SPAN(CW_UID),
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

struct runtime_container_spec cw_spec_of(struct cw *w, const char *script, uint32_t attempt)
{
    struct span *args = ARENA_ARRAY(w->a, struct span, 3);
    static const struct span env[] = {{"GREETING=hello", 14}};
    args[0] = SPAN("/bin/sh");
    args[1] = SPAN("-c");
    args[2] = span_cstr(script);
    return (struct runtime_container_spec){
        .sandbox_uid = SPAN(CW_UID),
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

void cw_start_spec(struct cw *w, const struct runtime_container_spec *spec)
{
    w->done = false;
    w->rt->ops->container_start(w->rt, spec, on_start, w);
    wait_done(w);
}

void cw_start(struct cw *w, const char *script, uint32_t attempt)
{
    struct runtime_container_spec spec = cw_spec_of(w, script, attempt);
    cw_start_spec(w, &spec);
    if (w->code) {
        kit_note("%.*s", SPAN_ARG(w->detail));
    }
    CHECK_EQ(w->code, 0);
    CHECK_EQ(w->status.state, RUNTIME_RUNNING);
}

int cw_call(struct cw *w, void (*fn)(struct runtime *, struct span, runtime_done_fn *, void *),
            const char *id)
{
    w->done = false;
    fn(w->rt, span_cstr(id), on_done, w);
    wait_done(w);
    return w->code;
}

int cw_send_signal(struct cw *w, const char *id, int signal)
{
    w->done = false;
    w->rt->ops->container_kill(w->rt, span_cstr(id), signal, on_done, w);
    wait_done(w);
    return w->code;
}

void cw_list(struct cw *w)
{
    w->done = false;
    w->rt->ops->list(w->rt, on_list, w);
    wait_done(w);
}

/* Text of the log without time stamps. */
struct span cw_log_text(struct cw *w, uint32_t attempt)
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
    struct cw *w = data;
    strbuf_put(fd == 1 ? &w->out : &w->err, bytes);
    env_uv_stop(w->env);
}

static void on_end(void *data, int exit_code, struct span detail)
{
    struct cw *w = data;
    w->ended = true;
    w->exit_code = exit_code;
    w->detail = arena_dup(w->a, detail);
    env_uv_stop(w->env);
}

static const struct runtime_session_handler session_handler = {on_output, on_end};

struct runtime_session *cw_session(struct cw *w, const char *id, const char *script, bool tty,
                                   bool in)
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

void cw_wait_ended(struct cw *w)
{
    while (!w->ended) {
        env_uv_run(w->env);
    }
}

void cw_wait_out(struct cw *w, const char *text)
{
    while (!memmem(w->out.p ? w->out.p : "", w->out.n, text, strlen(text)) && !w->ended) {
        env_uv_run(w->env);
    }
}
