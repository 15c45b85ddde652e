/* The node agent with real containers: API server in this process, conmon and crun, volumes on this
 * disk. */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "kubelet/kubelet_api.h"
#include "kubelet/kubelet_images.h"
#include "kubelet/kubelet_priv.h"
#include "os/os_fs.h"
#include "runtime/runtime_crun.h"
#include "test/kit/api_kit.h"
#include "test/kit/crun_world.h"
#include "test/kit/kubelet_kit.h"

/* This program is its own runtime-shim. */
__attribute__((constructor)) static void shim(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "runtime-shim") == 0) {
        _exit(runtime_shim_main(argc, argv));
    }
}

struct world {
    struct api_kit api;
    struct arena *a;
    struct span data, layer;
    struct runtime_crun_config config;
    struct runtime *runtime;
    struct kubelet_images *images;
    struct kubelet *kubelet;
};

static int layers_of(void *data, struct span image_id, struct arena *a, const struct span **dirs,
                     size_t *n)
{
    struct world *w = data;
    (void)image_id, (void)a;
    *dirs = &w->layer;
    *n = 1;
    return 0;
}

static void make_layer(struct world *w)
{
    static const char *const dirs[] = {"bin", "etc", "tmp", "proc", "sys", "dev", "root"};
    static const char *const applets[] = {"sh",   "sleep", "echo",  "cat",
                                          "true", "test",  "mkdir", "hostname"};
    w->layer = arena_printf(w->a, "%s/layer", kit_tmpdir());
    CHECK_EQ(mkdir(w->layer.p, 0755), 0);
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        CHECK_EQ(mkdir(arena_printf(w->a, "%s/%s", w->layer.p, dirs[i]).p, 0755), 0);
    }
    struct span busybox = SPAN_NULL;
    if (os_fs_read(w->a, AT_FDCWD, "/bin/busybox", 8 << 20, &busybox) != 0) {
        SKIP("needs /bin/busybox (Debian package busybox-static)");
    }
    CHECK_EQ(os_fs_write(arena_printf(w->a, "%s/bin/busybox", w->layer.p).p, busybox, 0755), 0);
    for (size_t i = 0; i < sizeof applets / sizeof *applets; i++) {
        CHECK_EQ(symlink("busybox", arena_printf(w->a, "%s/bin/%s", w->layer.p, applets[i]).p), 0);
    }
}

static void set_true(void *data)
{
    *(bool *)data = true;
}

static void open_agent(struct world *w)
{
    struct span why = SPAN_NULL;
    if (runtime_crun_new(w->api.env, &w->config, w->a, &w->runtime, &why) != 0) {
        kit_note("%.*s", SPAN_ARG(why));
        CHECK(false);
    }
    struct kubelet_options o = kk_options(w->data, w->runtime, w->images);
    o.runtime_scheme = SPAN("crun");
    o.runtime_version = SPAN("crun://1");
    w->kubelet = kubelet_new(w->api.env, w->api.client, &o);
    bool ready = false;
    kubelet_on_ready(w->kubelet, set_true, &ready);
    api_run_until(&w->api, &ready);
}

static void close_agent(struct world *w)
{
    w->runtime->ops->free(w->runtime);
    kubelet_free(w->kubelet);
    api_run_ms(&w->api, 100);
}

static void start(struct world *w)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    *w = (struct world){.a = arena_new()};
    const char *program = NULL;
    if (os_fs_find_program(w->a, "crun", &program) != 0 ||
        os_fs_find_program(w->a, "conmon", &program) != 0) {
        SKIP("needs crun and conmon");
    }
    make_layer(w);
    w->data = arena_printf(w->a, "%s/data", kit_tmpdir());
    CHECK_EQ(mkdir(w->data.p, 0755), 0);
    w->config = (struct runtime_crun_config){
        .data_dir = w->data,
        .cgroup_parent = arena_printf(w->a, "/berth-test-%d", (int)getpid()),
        .layers_of = layers_of,
        .layers_data = w,
    };
    cw_watch_over(&w->config);
    api_kit_start(&w->api, NULL);
    w->images = kubelet_images_fake_new(w->api.env);
    open_agent(w);
}

static void stop(struct world *w)
{
    struct span why = SPAN_NULL;
    close_agent(w);
    kubelet_images_free(w->images);
    api_kit_stop(&w->api);
    CHECK_EQ(runtime_crun_purge(&w->config, w->a, &why), 0);
    arena_free(w->a);
}

static void create(struct world *w, const char *name, const char *script, const char *more,
                   const char *spec)
{
    (void)api_expect(
        &w->api, 201, "POST", "/api/v1/namespaces/default/pods", "",
        arena_printf(w->a,
                     "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"},"
                     "\"spec\":{\"nodeName\":\"edge\",\"terminationGracePeriodSeconds\":5%s,"
                     "\"containers\":[{"
                     "\"name\":\"c\",\"image\":\"i\",\"command\":[\"/bin/sh\",\"-c\",\"%s\"]%s}]}}",
                     name, spec, script, more)
            .p);
}

static struct api_reply pod(struct world *w, const char *name)
{
    return api_get(&w->api, arena_printf(w->a, "/api/v1/namespaces/default/pods/%s", name).p);
}

static bool is_ready(struct world *w, const char *name)
{
    struct api_reply r = pod(w, name);
    return span_eq_cstr(
        json_get_str(json_find(api_at(r.json, "status.conditions"), "type", SPAN("Ready")),
                     "status"),
        "True");
}

/* Milliseconds until the condition holds; fails after 8 s. */
#define WAIT(cond)                                                                                 \
    ({                                                                                             \
        int64_t wait_from = env_mono_ns(w.api.env);                                                \
        while (!(cond)) {                                                                          \
            CHECK(env_mono_ns(w.api.env) - wait_from < 8000000000LL);                              \
            api_run_ms(&w.api, 1);                                                                 \
        }                                                                                          \
        (long long)((env_mono_ns(w.api.env) - wait_from) / 1000000);                               \
    })

struct seen {
    struct strbuf out;
    bool ended;
    int code;
};

static void on_output(void *data, int fd, struct span bytes)
{
    (void)fd;
    strbuf_put(&((struct seen *)data)->out, bytes);
}

static void on_end(void *data, int exit_code, const struct err *err)
{
    struct seen *s = data;
    if (err) {
        strbuf_put(&s->out, err->message);
    }
    s->code = exit_code;
    s->ended = true;
}

static const struct node_session_handler handler = {.on_output = on_output, .on_end = on_end};

#define OBEDIENT "trap 'exit 0' TERM; echo hello $HOSTNAME; sleep 1000 & wait"

TEST_T(a_real_pod_runs_answers_is_adopted_and_goes, 60)
{
    struct world w;
    start(&w);
    (void)api_expect(&w.api, 201, "POST", "/api/v1/namespaces/default/configmaps", "",
                     "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"cm\"},"
                     "\"data\":{\"key\":\"value\"}}");
    create(&w, "warm", OBEDIENT, "", "");
    (void)WAIT(is_ready(&w, "warm"));
    create(&w, "p", OBEDIENT,
           ",\"readinessProbe\":{\"exec\":{\"command\":[\"/bin/test\",\"-f\",\"/cfg/key\"]}},"
           "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/cfg\"}]",
           ",\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"cm\"}}]");
    kit_note("create to Ready with a probe: %lld ms", WAIT(is_ready(&w, "p")));
    create(&w, "q", OBEDIENT, "", "");
    kit_note("create to Running: %lld ms", WAIT(is_ready(&w, "q")));

    struct node_log_request log = {
        .ns = SPAN("default"), .pod = SPAN("p"), .tail_lines = -1, .limit_bytes = -1};
    struct seen logs = {0}, exec = {0}, after = {0};
    (void)kubelet_logs(w.kubelet, &log, &handler, &logs);
    api_run_until(&w.api, &logs.ended);
    CHECK_SPAN(strbuf_span(&logs.out), "hello p\n");
    struct span command[] = {SPAN("/bin/sh"), SPAN("-c"),
                             SPAN("cat /cfg/key; echo; hostname; exit 3")};
    struct node_exec_request request = {.ns = SPAN("default"),
                                        .pod = SPAN("p"),
                                        .command = command,
                                        .command_count = 3,
                                        .with_stdout = true,
                                        .with_stderr = true};
    (void)kubelet_exec(w.kubelet, &request, &handler, &exec);
    api_run_until(&w.api, &exec.ended);
    CHECK_SPAN(strbuf_span(&exec.out), "value\np\n");
    CHECK_EQ(exec.code, 3);

    /* The agent dies and comes back: the same process, no restart. */
    close_agent(&w);
    open_agent(&w);
    api_run_ms(&w.api, 300);
    struct api_reply r = pod(&w, "p");
    CHECK_EQ(json_int(api_at(r.json, "status.containerStatuses.0.restartCount"), -1), 0);
    CHECK(is_ready(&w, "p"));
    request.command = command;
    (void)kubelet_exec(w.kubelet, &request, &handler, &after);
    api_run_until(&w.api, &after.ended);
    CHECK_EQ(after.code, 3);

    (void)api_expect(&w.api, 200, "DELETE", "/api/v1/namespaces/default/pods/q", "", NULL);
    kit_note("delete to gone: %lld ms", WAIT(pod(&w, "q").status == 404));
    (void)api_expect(&w.api, 200, "DELETE", "/api/v1/namespaces/default/pods/p", "", NULL);
    (void)WAIT(pod(&w, "p").status == 404);
    bool stopped = false;
    kubelet_stop_pods(w.kubelet, set_true, &stopped);
    api_run_until(&w.api, &stopped);
    CHECK_EQ(pod(&w, "warm").status, 200);
    strbuf_done(&logs.out);
    strbuf_done(&exec.out);
    strbuf_done(&after.out);
    stop(&w);
}

static struct span waiting(struct world *w, const char *name)
{
    struct api_reply r = pod(w, name);
    return api_str(&r, "status.containerStatuses.0.state.waiting.reason");
}

TEST_T(real_failures_are_told_in_words, 60)
{
    struct world w;
    start(&w);
    create(&w, "crash", "echo broken > /dev/termination-log; exit 7", "", "");
    (void)WAIT(span_eq_cstr(waiting(&w, "crash"), "CrashLoopBackOff"));
    struct api_reply r = pod(&w, "crash");
    CHECK_EQ(
        json_int(api_at(r.json, "status.containerStatuses.0.lastState.terminated.exitCode"), -1),
        7);
    CHECK_SPAN(api_str(&r, "status.containerStatuses.0.lastState.terminated.message"), "broken\n");
    (void)api_expect(
        &w.api, 201, "POST", "/api/v1/namespaces/default/pods", "",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"nope\"},\"spec\":{"
        "\"nodeName\":\"edge\","
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"command\":[\"/no/such/program\"]}]}}");
    (void)WAIT(span_eq_cstr(waiting(&w, "nope"), "CrashLoopBackOff"));
    r = pod(&w, "nope");
    CHECK_SPAN(api_str(&r, "status.containerStatuses.0.lastState.terminated.reason"),
               "ContainerCannotRun");
    CHECK_EQ(
        json_int(api_at(r.json, "status.containerStatuses.0.lastState.terminated.exitCode"), -1),
        127);
    kit_note("%.*s",
             SPAN_ARG(api_str(&r, "status.containerStatuses.0.lastState.terminated.message")));
    create(&w, "once", "exit 0", "", ",\"restartPolicy\":\"Never\"");
    (void)WAIT(({
        struct api_reply o = pod(&w, "once");
        span_eq_cstr(api_str(&o, "status.phase"), "Succeeded");
    }));
    stop(&w);
}
