/* The node agent with real files and a fake runtime: volumes, live updates, logs, clean-up. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "kubelet/kubelet_api.h"
#include "kubelet/kubelet_env_priv.h"
#include "kubelet/kubelet_images.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/volume_local.h"
#include "kubelet/volume_write.h"
#include "runtime/runtime_fake.h"
#include "test/kit/api_kit.h"
#include "test/kit/kubelet_kit.h"

struct world {
    struct api_kit api;
    struct runtime *runtime;
    struct kubelet_images *images;
    struct kubelet *kubelet;
    struct arena *a;
    const char *dir;
};

static void set_true(void *data)
{
    *(bool *)data = true;
}

static void start(struct world *w)
{
    *w = (struct world){.a = arena_new(), .dir = kit_tmpdir()};
    api_kit_start(&w->api, NULL);
    w->runtime = runtime_fake_new(w->api.env);
    w->images = kubelet_images_fake_new(w->api.env);
    struct span data = arena_printf(w->a, "%s/data", w->dir);
    CHECK_EQ(kubelet_mkdirs(data.p, 0755), 0);
    struct kubelet_options o = kk_options(data, w->runtime, w->images);
    w->kubelet = kubelet_new(w->api.env, w->api.client, &o);
    bool ready = false;
    kubelet_on_ready(w->kubelet, set_true, &ready);
    api_run_until(&w->api, &ready);
}

static void stop(struct world *w)
{
    runtime_fake_cut(w->runtime);
    kubelet_free(w->kubelet);
    w->runtime->ops->free(w->runtime);
    kubelet_images_free(w->images);
    api_run_ms(&w->api, 50);
    api_kit_stop(&w->api);
    arena_free(w->a);
}

static struct span pod_uid(struct world *w)
{
    struct api_reply r = api_get(&w->api, "/api/v1/namespaces/default/pods/p");
    return arena_dup(w->a, api_str(&r, "metadata.uid"));
}

static struct span text_of(struct world *w, const char *rel)
{
    struct span text = SPAN_NULL;
    struct span path = arena_printf(w->a, "%s/data/%s", w->dir, rel);
    return kubelet_read_file(w->a, path.p, 65536, &text) == 0 ? text : SPAN("(absent)");
}

static bool there(struct world *w, const char *rel)
{
    struct stat st;
    return lstat(arena_printf(w->a, "%s/data/%s", w->dir, rel).p, &st) == 0;
}

#define CONFIG(data)                                                                               \
    "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"cm\"},\"data\":{" data \
    "}}"

TEST(volumes_are_written_updated_in_place_and_removed)
{
    struct world w;
    start(&w);
    (void)api_expect(&w.api, 201, "POST", "/api/v1/namespaces/default/configmaps", "",
                     CONFIG("\"a\":\"one\",\"b\":\"two\""));
    (void)api_expect(&w.api, 201, "POST", "/api/v1/namespaces/default/secrets", "",
                     "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s\"},"
                     "\"data\":{\"k\":\"aGlkZGVu\"}}");
    (void)api_expect(
        &w.api, 201, "POST", "/api/v1/namespaces/default/pods", "",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"labels\":{\"x\":"
        "\"1\"}},\"spec\":"
        "{\"nodeName\":\"edge\",\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"volumeMounts\":["
        "{\"name\":\"e\",\"mountPath\":\"/e\",\"subPath\":\"in/side\"}]}],\"volumes\":["
        "{\"name\":\"e\",\"emptyDir\":{}},"
        "{\"name\":\"all\",\"configMap\":{\"name\":\"cm\"}},"
        "{\"name\":\"some\",\"configMap\":{\"name\":\"cm\",\"items\":[{\"key\":\"a\",\"path\":"
        "\"deep/er\",\"mode\":256}]}},"
        "{\"name\":\"none\",\"configMap\":{\"name\":\"absent\",\"optional\":true}},"
        "{\"name\":\"sec\",\"secret\":{\"secretName\":\"s\",\"defaultMode\":384}},"
        "{\"name\":\"down\",\"downwardAPI\":{\"items\":[{\"path\":\"labels\",\"fieldRef\":{"
        "\"fieldPath\":\"metadata.labels\"}}]}}"
        "]}}");
    api_run_ms(&w.api, 200);
    CHECK_EQ(runtime_fake_running(w.runtime), 1);
    struct span uid = pod_uid(&w);
#define VOL(rel) arena_printf(w.a, "pods/%.*s/volumes/%s", SPAN_ARG(uid), rel).p
    CHECK_SPAN(text_of(&w, VOL("all/a")), "one");
    CHECK_SPAN(text_of(&w, VOL("all/b")), "two");
    CHECK_SPAN(text_of(&w, VOL("some/deep/er")), "one");
    CHECK_SPAN(text_of(&w, VOL("sec/k")), "hidden");
    CHECK_SPAN(text_of(&w, VOL("down/labels")), "x=\"1\"");
    CHECK(there(&w, VOL("none")));
    CHECK(there(&w, VOL("e/in/side")));
    struct stat st;
    CHECK_EQ(stat(arena_printf(w.a, "%s/data/%s", w.dir, VOL("sec/k")).p, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(stat(arena_printf(w.a, "%s/data/%s", w.dir, VOL("some/deep/er")).p, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0400);

    (void)api_expect(&w.api, 200, "PUT", "/api/v1/namespaces/default/configmaps/cm", "",
                     CONFIG("\"a\":\"three\",\"c\":\"four\""));
    (void)api_expect(&w.api, 200, "PATCH", "/api/v1/namespaces/default/pods/p",
                     "Content-Type: application/merge-patch+json\r\n",
                     "{\"metadata\":{\"labels\":{\"x\":\"2\"}}}");
    api_run_ms(&w.api, 200);
    CHECK_SPAN(text_of(&w, VOL("all/a")), "three");
    CHECK_SPAN(text_of(&w, VOL("all/c")), "four");
    CHECK(!there(&w, VOL("all/b")));
    CHECK_SPAN(text_of(&w, VOL("some/deep/er")), "three");
    CHECK_SPAN(text_of(&w, VOL("down/labels")), "x=\"2\"");

    (void)api_expect(&w.api, 200, "DELETE", "/api/v1/namespaces/default/pods/p", "", NULL);
    api_run_ms(&w.api, 300);
    CHECK_EQ(api_get(&w.api, "/api/v1/namespaces/default/pods/p").status, 404);
    CHECK(!there(&w, arena_printf(w.a, "pods/%.*s", SPAN_ARG(uid)).p));
    CHECK(!there(&w, arena_printf(w.a, "logs/default_p_%.*s", SPAN_ARG(uid)).p));
    stop(&w);
}

TEST(a_claim_is_mounted_from_its_local_volume_and_its_data_stays)
{
    struct world w;
    start(&w);
    struct span dir = arena_printf(w.a, "%s/data", w.dir), why = SPAN_NULL;
    struct volume_local_made made;
    CHECK_EQ(volume_local_create(dir, SPAN("pvc-1"), 1 << 20, false, w.a, &made, &why), 0);
    int fd = open(arena_printf(w.a, "%.*s/keep", SPAN_ARG(made.path)).p,
                  O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    (void)close(fd);
    (void)api_expect(
        &w.api, 201, "POST", "/api/v1/persistentvolumes", "",
        arena_printf(
            w.a,
            "{\"kind\":\"PersistentVolume\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"pvc-1\"}"
            ",\"spec\":{"
            "\"capacity\":{\"storage\":\"1Mi\"},\"accessModes\":[\"ReadWriteOnce\"],\"local\":{"
            "\"path\":\"%.*s\"},"
            "\"nodeAffinity\":{\"required\":{\"nodeSelectorTerms\":[{\"matchExpressions\":[{"
            "\"key\":\"kubernetes.io/hostname\",\"operator\":\"In\",\"values\":[\"edge\"]}]}]}}}}",
            SPAN_ARG(made.path))
            .p);
    (void)api_expect(&w.api, 201, "POST", "/api/v1/namespaces/default/persistentvolumeclaims", "",
                     "{\"kind\":\"PersistentVolumeClaim\",\"apiVersion\":\"v1\",\"metadata\":{"
                     "\"name\":\"data\"},\"spec\":{"
                     "\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":"
                     "\"1Mi\"}},\"volumeName\":\"pvc-1\"}}");
    (void)api_expect(
        &w.api, 201, "POST", "/api/v1/namespaces/default/pods", "",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\"},\"spec\":{"
        "\"nodeName\":\"edge\","
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"volumeMounts\":[{\"name\":\"d\","
        "\"mountPath\":\"/data\"}]}],"
        "\"volumes\":[{\"name\":\"d\",\"persistentVolumeClaim\":{\"claimName\":\"data\"}}]}}");
    api_run_ms(&w.api, 200);
    CHECK_EQ(runtime_fake_running(w.runtime), 0); /* not bound yet */
    (void)api_expect(
        &w.api, 200, "PATCH", "/api/v1/namespaces/default/persistentvolumeclaims/data/status",
        "Content-Type: application/merge-patch+json\r\n", "{\"status\":{\"phase\":\"Bound\"}}");
    api_run_ms(&w.api, 200);
    CHECK_EQ(runtime_fake_running(w.runtime), 1);
    (void)api_expect(&w.api, 200, "DELETE", "/api/v1/namespaces/default/pods/p", "", NULL);
    api_run_ms(&w.api, 300);
    CHECK_EQ(api_get(&w.api, "/api/v1/namespaces/default/pods/p").status, 404);
    CHECK(there(&w, "volumes/pvc-1/keep"));
    CHECK_EQ(volume_local_remove(dir, SPAN("pvc-1"), w.a, &why), 0);
    CHECK(!there(&w, "volumes/pvc-1"));
    stop(&w);
}

/* ---- logs ---- */

struct seen {
    struct strbuf out;
    bool ended;
    int code;
};

static void on_output(void *data, int fd, struct span bytes)
{
    struct seen *s = data;
    CHECK_EQ(fd, 1);
    strbuf_put(&s->out, bytes);
}

static void on_end(void *data, int exit_code, const struct err *err)
{
    struct seen *s = data;
    s->ended = true;
    s->code = exit_code;
    if (err) {
        strbuf_put(&s->out, err->message);
    }
}

static const struct node_session_handler handler = {.on_output = on_output, .on_end = on_end};

static void append(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

#define T "2026-01-02T03:04:05.000000001Z stdout F "

TEST(logs_are_tailed_and_followed_across_a_rotation_until_the_container_ends)
{
    struct world w;
    start(&w);
    (void)api_expect(
        &w.api, 201, "POST", "/api/v1/namespaces/default/pods", "",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\"},\"spec\":{"
        "\"nodeName\":\"edge\","
        "\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    api_run_ms(&w.api, 150);
    struct span uid = pod_uid(&w);
    const char *log =
        arena_printf(w.a, "%s/data/logs/default_p_%.*s/c/0.log", w.dir, SPAN_ARG(uid)).p;
    append(log, T "one\n" T "two\n" T "three\n");
    struct node_log_request r = {
        .ns = SPAN("default"), .pod = SPAN("p"), .tail_lines = 2, .limit_bytes = -1};
    struct seen tail = {0}, follow = {0}, wrong = {0}, previous = {0};
    (void)kubelet_logs(w.kubelet, &r, &handler, &tail);
    api_run_until(&w.api, &tail.ended);
    CHECK_SPAN(strbuf_span(&tail.out), "two\nthree\n");

    r.follow = true;
    (void)kubelet_logs(w.kubelet, &r, &handler, &follow);
    api_run_ms(&w.api, 50);
    append(log, T "fo");
    api_run_ms(&w.api, 50);
    append(log, "ur\n");
    api_run_ms(&w.api, 50);
    CHECK_SPAN(strbuf_span(&follow.out), "two\nthree\nfour\n");
    CHECK_EQ(rename(log, arena_printf(w.a, "%s.1", log).p), 0);
    append(log, T "five\n");
    api_run_ms(&w.api, 100);
    CHECK_SPAN(strbuf_span(&follow.out), "two\nthree\nfour\nfive\n");
    CHECK(!follow.ended);
    append(log, T "last\n");
    CHECK(runtime_fake_exit(w.runtime, arena_printf(w.a, "%.*s-c-0", SPAN_ARG(uid)), 0));
    api_run_until(&w.api, &follow.ended);
    CHECK_SPAN(strbuf_span(&follow.out), "two\nthree\nfour\nfive\nlast\n");
    CHECK_EQ(follow.code, 0);

    r.pod = SPAN("nope");
    (void)kubelet_logs(w.kubelet, &r, &handler, &wrong);
    api_run_until(&w.api, &wrong.ended);
    CHECK_SPAN(strbuf_span(&wrong.out), "pods \"nope\" not found");
    r.pod = SPAN("p");
    r.previous = true;
    (void)kubelet_logs(w.kubelet, &r, &handler, &previous);
    api_run_until(&w.api, &previous.ended);
    CHECK_SPAN(strbuf_span(&previous.out),
               "previous terminated container \"c\" in pod \"p\" not found");
    strbuf_done(&tail.out);
    strbuf_done(&follow.out);
    strbuf_done(&wrong.out);
    strbuf_done(&previous.out);
    stop(&w);
}

TEST(exec_gives_the_exit_code_and_refuses_what_does_not_run)
{
    struct world w;
    start(&w);
    (void)api_expect(&w.api, 201, "POST", "/api/v1/namespaces/default/pods", "",
                     "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\"},"
                     "\"spec\":{\"nodeName\":\"edge\","
                     "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    api_run_ms(&w.api, 150);
    struct span command[] = {SPAN("true")};
    struct node_exec_request r = {.ns = SPAN("default"),
                                  .pod = SPAN("p"),
                                  .command = command,
                                  .command_count = 1,
                                  .with_stdout = true};
    struct seen ok = {0}, bad = {0};
    (void)kubelet_exec(w.kubelet, &r, &handler, &ok);
    CHECK(!ok.ended);
    api_run_until(&w.api, &ok.ended);
    CHECK_EQ(ok.code, 0);
    r.container = SPAN("other");
    (void)kubelet_exec(w.kubelet, &r, &handler, &bad);
    api_run_until(&w.api, &bad.ended);
    CHECK_SPAN(strbuf_span(&bad.out), "container other is not valid for pod p");
    struct node_session *s = kubelet_exec(
        w.kubelet, &(struct node_exec_request){.ns = SPAN("default"), .pod = SPAN("p")}, &handler,
        &bad);
    kubelet_session_abort(s);
    strbuf_done(&bad.out);
    stop(&w);
}

/* ---- the environment a container is given ---- */

TEST(the_environment_has_image_services_and_own_values_in_that_order)
{
    struct world w;
    start(&w);
    (void)api_expect(
        &w.api, 201, "POST", "/api/v1/namespaces/default/services", "",
        "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"my-db\"},\"spec\":{"
        "\"clusterIP\":\"10.43.7.7\",\"ports\":[{\"name\":\"main\",\"port\":5432}]}}");
    (void)api_expect(&w.api, 201, "POST", "/api/v1/namespaces/default/configmaps", "",
                     CONFIG("\"A\":\"one\",\"B\":\"two\""));
    (void)api_expect(
        &w.api, 201, "POST", "/api/v1/namespaces/default/pods", "",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"labels\":{\"l\":"
        "\"v\"}},\"spec\":{\"nodeName\":\"edge\","
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"command\":[\"run\",\"$(X)\"],\"args\":["
        "\"$(NAME)\"],"
        "\"resources\":{\"limits\":{\"cpu\":\"1500m\",\"memory\":\"64Mi\"}},"
        "\"envFrom\":[{\"prefix\":\"P_\",\"configMapRef\":{\"name\":\"cm\"}}],"
        "\"env\":[{\"name\":\"X\",\"value\":\"1\"},{\"name\":\"Y\",\"value\":\"$(X)-$(MY_DB_"
        "SERVICE_PORT)-$(NOPE)\"},"
        "{\"name\":\"NAME\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}},"
        "{\"name\":\"L\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.labels['l']\"}}},"
        "{\"name\":\"CPU\",\"valueFrom\":{\"resourceFieldRef\":{\"resource\":\"limits.cpu\"}}},"
        "{\"name\":\"MEM\",\"valueFrom\":{\"resourceFieldRef\":{\"resource\":\"limits.memory\","
        "\"divisor\":\"1Mi\"}}},"
        "{\"name\":\"KEY\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"cm\",\"key\":\"B\"}}},"
        "{\"name\":\"OPT\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"cm\",\"key\":\"Z\","
        "\"optional\":true}}}]}]}}");
    api_run_ms(&w.api, 200);
    struct kubelet_pod *pod = kubelet_pod_find(w.kubelet, pod_uid(&w));
    CHECK(pod != NULL);
    struct span entry[] = {SPAN("/entry")}, cmd[] = {SPAN("cmd")},
                env[] = {SPAN("X=image"), SPAN("IMG=1")};
    struct image_config image = {.entrypoint = entry,
                                 .entrypoint_count = 1,
                                 .cmd = cmd,
                                 .cmd_count = 1,
                                 .env = env,
                                 .env_count = 2};
    struct kubelet_env_result r;
    kubelet_env_build(pod, kubelet_container_spec(pod->containers[0]), &image, w.a, &r);
    CHECK_EQ(r.reason.n, 0);
    const char *const want[] = {
        "X=1",
        "IMG=1",
        "Y=1-5432-$(NOPE)",
        "NAME=p",
        "L=v",
        "CPU=2",
        "MEM=64",
        "KEY=two",
        "P_A=one",
        "P_B=two",
        "MY_DB_SERVICE_HOST=10.43.7.7",
        "MY_DB_SERVICE_PORT=5432",
        "MY_DB_SERVICE_PORT_MAIN=5432",
        "MY_DB_PORT=tcp://10.43.7.7:5432",
        "MY_DB_PORT_5432_TCP=tcp://10.43.7.7:5432",
        "MY_DB_PORT_5432_TCP_PROTO=tcp",
        "MY_DB_PORT_5432_TCP_PORT=5432",
        "MY_DB_PORT_5432_TCP_ADDR=10.43.7.7",
        "HOSTNAME=p",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        size_t hits = 0;
        for (size_t e = 0; e < r.env_count; e++) {
            hits += span_eq_cstr(r.env[e], want[i]);
        }
        if (hits != 1) {
            kit_fail(__FILE__, __LINE__, "%s: %zu times", want[i], hits);
        }
    }
    CHECK_EQ(r.arg_count, 3);
    CHECK_SPAN(r.args[1], "1");
    CHECK_SPAN(r.args[2], "p");
    CHECK_SPAN(r.cwd, "/");
    stop(&w);
}
