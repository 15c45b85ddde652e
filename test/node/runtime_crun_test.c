/* Real containers by conmon and crun: life, failure, adoption. */
#include "kit/crun_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "env/env_uv.h"
#include "os/os_fs.h"
#include "os/os_mount.h"

TEST(a_container_runs_logs_ends_and_leaves_nothing)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    CHECK_SPAN(w->ip, "10.42.0.2");
    cw_start(w, "echo out; echo err >&2; printf part; exit 3", 0);
    CHECK_SPAN(w->status.id, CW_UID "-main-0");
    cw_wait_exits(w, 1);
    CHECK_SPAN(w->last_exit.id, CW_UID "-main-0");
    CHECK_EQ(w->last_exit.exit_code, 3);
    CHECK_EQ(w->last_exit.state, RUNTIME_EXITED);
    CHECK(!w->last_exit.oom_killed);
    CHECK(w->last_exit.finished_ms >= w->last_exit.started_ms);
    struct span log = cw_log_text(w, 0);
    CHECK(memmem(log.p, log.n, "stdout F out\n", 13));
    CHECK(memmem(log.p, log.n, "stderr F err\n", 13));
    CHECK(memmem(log.p, log.n, "stdout P part\n", 14));
    CHECK_EQ(cw_call(w, w->rt->ops->container_remove, CW_UID "-main-0"), 0);
    CHECK_EQ(cw_call(w, w->rt->ops->container_remove, CW_UID "-main-0"), 0);
    CHECK_EQ(cw_call(w, w->rt->ops->sandbox_remove, CW_UID), 0);
    CHECK_EQ(cw_call(w, w->rt->ops->sandbox_remove, CW_UID), 0);
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
    cw_done(w);
}

TEST(the_world_inside_is_what_was_asked_for)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    struct runtime_container_spec spec = cw_spec_of(
        w,
        "id; pwd; hostname; echo $GREETING; cat /etc/hosts /etc/resolv.conf /etc/hostname; "
        "cat /proc/sys/net/core/somaxconn;"
        "touch /x 2>&1; touch /vol/f && ls /vol; touch /ro/f 2>&1; ip addr show eth0 | "
        "head -3 | tail -1; echo bye > /end;"
        "cat /proc/1/cmdline | head -c 7; cat /proc/self/oom_score_adj; ls -d /srv/dir",
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
    spec.cwd = SPAN("/srv/dir");
    spec.read_only_root = true;
    spec.termination_log = end;
    spec.termination_log_target = SPAN("/end");
    cw_start_spec(w, &spec);
    if (w->code) {
        kit_note("%.*s", SPAN_ARG(w->detail));
    }
    CHECK_EQ(w->code, 0);
    cw_wait_exits(w, 1);
    struct span log = cw_log_text(w, 0);
    static const char *const wanted[] = {
        "uid=999(redis) gid=998 groups=77(extra),5000",
        "stdout F /srv/dir\n",
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
    cw_done(w);
}

TEST(what_cannot_be_executed_says_so_in_kubernetes_words)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    struct runtime_container_spec spec = cw_spec_of(w, "", 0);
    struct span args[] = {SPAN("nosuch")};
    spec.args = args;
    spec.arg_count = 1;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, -ENOENT);
    CHECK_SPAN(w->detail, "exec: \"nosuch\": executable file not found in $PATH");
    args[0] = SPAN("/no/such");
    cw_start_spec(w, &spec);
    CHECK_SPAN(w->detail, "exec: \"/no/such\": stat /no/such: no such file or directory");
    CHECK_EQ(w->code, -ENOENT);
    args[0] = SPAN("/etc/passwd");
    cw_start_spec(w, &spec);
    CHECK_SPAN(w->detail, "exec: \"/etc/passwd\": permission denied");
    CHECK_EQ(w->code, -EACCES);
    args[0] = SPAN("/bin/true");
    spec.user = SPAN("nobody");
    cw_start_spec(w, &spec);
    CHECK_SPAN(w->detail, "unable to find user nobody: no matching entries in passwd file");
    spec.user = SPAN("");
    spec.sandbox_uid = SPAN("0-not-there");
    cw_start_spec(w, &spec);
    CHECK_SPAN(w->detail, "the pod's sandbox is not there");
    spec.sandbox_uid = SPAN("../x");
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, -EINVAL);
    spec = cw_spec_of(w, "exit 0", 0);
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    cw_wait_exits(w, 1);
    cw_done(w);
}

TEST(signals_reach_the_first_process_and_memory_limits_kill)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    cw_start(w, "trap 'exit 7' TERM; while :; do sleep 0.01; done", 0);
    cw_wait_ms(w, 50);
    CHECK_EQ(cw_send_signal(w, CW_UID "-main-0", SIGTERM), 0);
    cw_wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 7);
    CHECK_EQ(cw_send_signal(w, CW_UID "-main-0", SIGTERM), 0);
    CHECK_EQ(cw_send_signal(w, "nobody", SIGTERM), -ENOENT);
    cw_start(w, "sleep 1000", 1);
    CHECK_EQ(cw_send_signal(w, CW_UID "-main-1", SIGKILL), 0);
    cw_wait_exits(w, 2);
    CHECK_EQ(w->last_exit.exit_code, 137);
    CHECK(!w->last_exit.oom_killed);
    struct runtime_container_spec spec =
        cw_spec_of(w, "dd if=/dev/zero of=/dev/null bs=200M count=1", 2);
    spec.memory_limit_bytes = 20 << 20;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    cw_wait_exits(w, 3);
    CHECK_EQ(w->last_exit.exit_code, 137);
    CHECK(w->last_exit.oom_killed);
    CHECK_EQ(access("oom", F_OK), -1); /* conmon tells of it where it runs: not here */
    cw_done(w);
}

static void on_resized(void *data, int code, struct span detail)
{
    struct cw *w = data;
    (void)detail;
    w->done = true;
    w->code = code;
    env_uv_stop(w->env);
}

static int resize(struct cw *w, const char *id, struct runtime_limits limits)
{
    w->done = false;
    w->rt->ops->container_resize(w->rt, span_cstr(id), &limits, on_resized, w);
    while (!w->done) {
        env_uv_run(w->env);
    }
    return w->code;
}

TEST(a_running_container_gets_more_memory_and_never_less_than_it_uses)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    struct runtime_container_spec spec = cw_spec_of(
        w, "while ! test -e /go; do sleep 0.05; done; dd if=/dev/zero of=/dev/null bs=100M count=2",
        0);
    spec.memory_limit_bytes = 20 << 20;
    spec.cpu_milli_request = 100;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    const char *id = CW_UID "-main-0";
    CHECK_EQ(resize(w, id, (struct runtime_limits){.memory_limit_bytes = 4096}), -EBUSY);
    CHECK_EQ(resize(w, id,
                    (struct runtime_limits){.memory_limit_bytes = 300 << 20,
                                            .cpu_milli_limit = 1500,
                                            .cpu_milli_request = 500}),
             0);
    CHECK(cw_session(w, id, "touch /go", false, false) != NULL);
    cw_wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 0);
    CHECK(!w->last_exit.oom_killed);
    CHECK_EQ(resize(w, id, (struct runtime_limits){.memory_limit_bytes = 300 << 20}), -ESRCH);
    cw_done(w);
}

TEST(a_new_agent_adopts_what_it_finds)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    cw_start(w, "sleep 1000", 0);
    pid_t pid = w->status.pid;
    cw_start(w, "sleep 0.2; exit 8", 1);
    w->rt->ops->free(w->rt);
    w->rt = NULL;
    cw_drain(w);
    cw_wait_ms(w, 400);
    CHECK_EQ(w->exits, 0);
    /* Half made remains of a kill. */
    CHECK_EQ(
        os_fs_mkdirs(arena_printf(w->a, "%s/run/containers/" CW_UID "-half-0/upper", w->data.p).p,
                     0700),
        0);
    CHECK_EQ(os_fs_mkdirs(arena_printf(w->a, "%s/run/sandboxes/half-made", w->data.p).p, 0700), 0);
    cw_open_runtime(w);
    cw_list(w);
    CHECK_EQ(w->list.container_count, 2);
    CHECK_EQ(w->list.sandbox_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct runtime_status *c = &w->list.containers[i];
        bool first = c->attempt == 0;
        CHECK_SPAN(c->name, "main");
        CHECK_EQ(c->state, first ? RUNTIME_RUNNING : RUNTIME_EXITED);
        CHECK(!first || c->pid == pid);
        const struct runtime_sandbox_status *s = &w->list.sandboxes[i];
        bool whole = span_eq_cstr(s->uid, CW_UID);
        CHECK_EQ(s->ready, whole);
        CHECK(!whole || span_eq_cstr(s->ip, "10.42.0.2"));
    }
    cw_wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 8);
    struct runtime_container_spec spec = cw_spec_of(w, "sleep 1000", 0);
    cw_start_spec(w, &spec); /* again: the same container */
    CHECK_EQ(w->code, 0);
    CHECK_EQ(w->status.pid, pid);
    cw_sandbox(w);
    CHECK_SPAN(w->ip, "10.42.0.2");
    CHECK_EQ(cw_send_signal(w, CW_UID "-main-0", SIGKILL), 0);
    cw_wait_exits(w, 2);
    CHECK_EQ(w->last_exit.exit_code, 137);
    CHECK_EQ(cw_call(w, w->rt->ops->sandbox_remove, "half-made"), 0);
    cw_done(w);
}

TEST(a_container_whose_monitor_died_counts_as_killed)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    cw_start(w, "sleep 1000", 0);
    pid_t pid = w->status.pid;
    w->rt->ops->free(w->rt);
    w->rt = NULL;
    cw_drain(w);
    struct span text;
    int64_t monitor;
    CHECK_EQ(os_fs_read(
                 w->a, AT_FDCWD,
                 arena_printf(w->a, "%s/run/containers/" CW_UID "-main-0/conmon.pid", w->data.p).p,
                 64, &text),
             0);
    CHECK(span_to_i64(span_trim(text), &monitor) && monitor > 1);
    CHECK_EQ(kill((pid_t)monitor, SIGKILL), 0);
    cw_wait_ms(w, 50);
    cw_open_runtime(w);
    cw_list(w);
    CHECK_EQ(w->list.container_count, 1);
    CHECK_EQ(w->list.containers[0].state, RUNTIME_EXITED);
    cw_wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 137);
    cw_wait_ms(w, 50);
    struct span state = SPAN_NULL; /* gone, or dead and waiting for init */
    (void)os_fs_read(w->a, AT_FDCWD, arena_printf(w->a, "/proc/%d/stat", (int)pid).p, 4096, &state);
    CHECK(state.n == 0 || memmem(state.p, state.n, ") Z ", 4));
    cw_done(w);
}

TEST(a_renamed_log_is_opened_anew)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    cw_start(w, "echo one; trap 'echo two; exit' TERM; while :; do sleep 0.01; done", 0);
    cw_wait_ms(w, 100);
    const char *from = arena_printf(w->a, "%s/0.log", kit_tmpdir()).p;
    CHECK_EQ(rename(from, arena_printf(w->a, "%s/9.log", kit_tmpdir()).p), 0);
    CHECK_EQ(cw_call(w, w->rt->ops->log_reopen, CW_UID "-main-0"), 0);
    cw_wait_ms(w, 50);
    CHECK_EQ(cw_send_signal(w, CW_UID "-main-0", SIGTERM), 0);
    cw_wait_exits(w, 1);
    CHECK_SPAN(cw_log_text(w, 9), "stdout F one\n");
    CHECK_SPAN(cw_log_text(w, 0), "stdout F two\n");
    cw_done(w);
}

static double ms_since(struct cw *w, int64_t from)
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
    struct cw *w = cw_new();
    double ms[6][ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        int64_t t = env_mono_ns(w->env);
        cw_sandbox(w);
        ms[0][i] = ms_since(w, t);
        t = env_mono_ns(w->env);
        cw_start(w, "exec sleep 1000", i);
        ms[1][i] = ms_since(w, t);
        cw_wait_ms(w, 60);
        const char *id = arena_printf(w->a, CW_UID "-main-%u", i).p;
        t = env_mono_ns(w->env);
        cw_session(w, id, "true", false, false);
        cw_wait_ended(w);
        ms[2][i] = ms_since(w, t);
        t = env_mono_ns(w->env);
        CHECK_EQ(cw_send_signal(w, id, SIGKILL), 0);
        cw_wait_exits(w, (int)i + 1);
        ms[3][i] = ms_since(w, t);
        t = env_mono_ns(w->env);
        CHECK_EQ(cw_call(w, w->rt->ops->container_remove, id), 0);
        ms[4][i] = ms_since(w, t);
        t = env_mono_ns(w->env);
        CHECK_EQ(cw_call(w, w->rt->ops->sandbox_remove, CW_UID), 0);
        ms[5][i] = ms_since(w, t);
    }
    static const char *const names[] = {"sandbox create", "container start",  "exec true",
                                        "kill to exit",   "container remove", "sandbox remove"};
    for (size_t i = 0; i < 6; i++) {
        report(names[i], ms[i]);
    }
    cw_done(w);
}
