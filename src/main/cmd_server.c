/* berth server: the phases in order. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "controller/controllers.h"
#include "env/env_uv.h"
#include "image/image.h"
#include "main/control.h"
#include "main/main.h"
#include "main/server.h"
#include "os/os_notify.h"

void server_phase(struct server *s, const char *name)
{
    assert(name);
    int64_t now = env_mono_ns(s->env);
    (void)printf("  %-12s %7.1f ms\n", name, (double)(now - s->phase_ns) / 1e6);
    (void)fflush(stdout);
    s->phase_ns = now;
}

void server_notify(const struct server *s, const char *state)
{
    int code = s->manager ? os_notify(s->manager, state) : 0;
    if (code < 0) {
        log_event(LOG_WARN, "service_manager_not_told", LOG_C("state", state),
                  LOG_C("error", code_text(code)));
    }
}

void server_die(const struct server *s, struct span why)
{
    assert(why.n > 0);
    (void)s;
    (void)fflush(stdout);
    (void)fprintf(stderr, "berth server: %.*s\n", SPAN_ARG(why));
    exit(1);
}

static int64_t log_clock(void *data)
{
    return env_now_ms(data);
}

static void set_up_process(struct server *s)
{
    struct rlimit files;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)mallopt(M_ARENA_MAX, 2); /* pool threads would each keep an arena of their own */
    (void)mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* up to what the hard limit allows: no privilege needed */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    s->manager = os_notify_take();
    s->env = env_uv_new();
    s->started_ns = s->phase_ns = env_mono_ns(s->env);
    map_seed(env_random_u64(s->env));
    static const enum log_level levels[] = {LOG_WARN, LOG_INFO};
    log_setup(2, s->options.verbosity < 2 ? levels[s->options.verbosity] : LOG_DEBUG,
              span_eq(s->options.log_format, SPAN("json")), log_clock, s->env);
}

/* The API's own address in the service range is the first one. */
static struct span first_service_ip(struct arena *a, struct span cidr)
{
    struct span base = span_first(cidr, span_find(cidr, '/'));
    size_t dot = span_rfind(base, '.');
    int64_t last = 0;
    (void)span_to_i64(span_from(base, dot + 1), &last);
    return arena_printf(a, "%.*s.%d", SPAN_ARG(span_first(base, dot)), (int)last + 1);
}

static void open_store(struct server *s)
{
    struct span why = SPAN_NULL;
    const char *path = arena_printf(s->arena, "%.*s/berth.db", SPAN_ARG(s->options.data_dir)).p;
    int code = store_sqlite_open(s->env, path, &s->store, s->arena, &why);
    if (code < 0) {
        server_die(s, why.n ? why : arena_printf(s->arena, "%s: %s", path, code_text(code)));
    }
    s->hub = watch_hub_new(s->env, s->store);
}

static void listen_on(struct server *s, struct span address)
{
    const char *addr = arena_cstr(s->arena, address);
    uint16_t port = s->options.https_listen_port;
    int code = http_server_listen_tcp(s->http, addr, port, s->tls, &port);
    if (code < 0) {
        const char *remedy = "";
        if (code == -EADDRINUSE) {
            remedy = "; is another berth running? choose another with --https-listen-port";
        } else if (code == -EADDRNOTAVAIL) {
            remedy = "; no interface of this machine has that address: choose another with "
                     "--bind-address (0.0.0.0 is all of them)";
        } else if (code == -EACCES) {
            remedy = "; ports below 1024 are root's: choose another with --https-listen-port";
        }
        server_die(s, arena_printf(s->arena, "cannot listen on %s port %u: %s%s", addr, port,
                                   code_text(code), remedy));
    }
    s->options.https_listen_port = port;
}

static void open_control(struct server *s)
{
    const char *path =
        arena_printf(s->arena, "%.*s/" CONTROL_SOCKET, SPAN_ARG(s->options.data_dir)).p;
    (void)unlink(path); /* stale: we hold the lock */
    int code = http_server_listen_unix(s->control, path, 0600);
    if (code < 0) {
        server_die(s, arena_printf(s->arena, "cannot listen on %s: %s%s", path, code_text(code),
                                   code == -ENAMETOOLONG ? "; choose a shorter --data-dir" : ""));
    }
}

static void start_api(struct server *s)
{
    struct span why = SPAN_NULL;
    struct options *o = &s->options;
    node_join_init(&s->node_join);
    const struct apiserver_options options = {
        .node = &s->node_join.api,
        .service_cidr = o->service_cidr,
        .cluster_dns = o->cluster_dns,
        .server_address = arena_printf(s->arena, "%.*s:%u",
                                       SPAN_ARG(s->gateway.n ? s->gateway : SPAN("127.0.0.1")),
                                       o->https_listen_port),
        .git_version = SPAN(BERTH_API_VERSION),
        .platform = arena_printf(s->arena, "linux/%.*s", SPAN_ARG(image_host_arch())),
        .public_url = data_dir_url(s->arena, o),
        .root_ca = s->pki.ca.cert_pem,
        .token_key = s->pki.accounts_key,
        .token_issuer = arena_printf(s->arena, "https://kubernetes.default.svc.%.*s",
                                     SPAN_ARG(o->cluster_domain)),
    };
    s->api = apiserver_new(s->env, s->store, s->hub, &options);
    s->front = front_end_new(s->api, &s->node_join.api);
    front_end_set_control(s->front, server_control, s);
    front_end_set_metrics(s->front, server_metrics, s);
    if (tls_server_new(s->pki.server.cert_pem, s->pki.server.key_pem, s->pki.ca.cert_pem, s->arena,
                       &s->tls, &why) < 0) {
        server_die(s, why);
    }
    s->http = http_server_new(s->env, front_end_http(), s->front);
    s->control = http_server_new(s->env, front_end_http(), s->front);
    listen_on(s, o->bind_address);
    open_control(s);
    s->client = apiserver_local_client(s->api);
}

/* ---- the end ---- */

static void on_signal(void *data, int signum)
{
    struct server *s = data;
    log_event(LOG_INFO, "server_stopping", LOG_I("signal", signum));
    server_notify(s, "STOPPING=1");
    http_server_close(s->http);
    http_server_close(s->control);
    store_free(s->store); /* what is acknowledged, and what is under way, is on disk */
    (void)unlink(arena_printf(s->arena, "%.*s/" CONTROL_SOCKET, SPAN_ARG(s->options.data_dir)).p);
    _exit(0);
}

static void on_api_ready(void *data)
{
    struct server *s = data;
    server_phase(s, "api");
    const struct kubelet_provisioner provisioner = {
        .env = s->env, .data_dir = s->options.data_dir, .enforce = true, .no_files = s->fake};
    volume_join_init(&s->volumes, &provisioner);
    const struct controllers_options options = {
        .node_name = s->options.node_name,
        .volume_dir = arena_printf(s->arena, "%.*s/volumes", SPAN_ARG(s->options.data_dir)),
        .volumes = &s->volumes.ops,
        .root_ca = s->pki.ca.cert_pem,
    };
    s->controllers = controllers_new(s->env, s->client, &options);
    server_node_start(s);
}

int cmd_server(int argc, char **argv)
{
    struct server *s = calloc(1, sizeof *s);
    struct span why = SPAN_NULL;
    assert(s);
    s->arena = arena_new();
    int code = options_parse(s->arena, OPTIONS_SERVER, "server", argc, argv, &s->options);
    if (code != 0) {
        return code < 0 ? 2 : 0;
    }
    s->fake = span_eq(s->options.container_runtime, SPAN("fake"));
    set_up_process(s);
    (void)printf("berth %s, data in %.*s\n", BERTH_VERSION, SPAN_ARG(s->options.data_dir));
    if (!s->fake && server_node_check(s, &why) < 0) {
        server_die(s, why);
    }
    s->lock_fd = data_dir_lock(s->arena, s->options.data_dir, &why);
    if (s->lock_fd < 0 || (!s->fake && (server_node_claim(s->arena, &s->options, &why) < 0 ||
                                        server_node_plan(s, &why) < 0))) {
        server_die(s, why);
    }
    (void)options_remember(s->arena,
                           &s->options); /* without it `berth stop` assumes the defaults */
    if (data_dir_pki(s->arena, &s->options, s->gateway,
                     first_service_ip(s->arena, s->options.service_cidr), env_now_ms(s->env),
                     &s->pki, &why) < 0) {
        server_die(s, why);
    }
    server_phase(s, "certificates");
    open_store(s);
    server_phase(s, "store");
    start_api(s);
    if (data_dir_kubeconfig(s->arena, &s->options, &s->pki, &why) < 0) {
        server_die(s, why);
    }
    struct env_signal *term, *interrupt;
    (void)env_signal_new(s->env, SIGTERM, on_signal, s, &term);
    (void)env_signal_new(s->env, SIGINT, on_signal, s, &interrupt);
    apiserver_on_ready(s->api, on_api_ready, s);
    env_uv_run(s->env);
    return 0;
}
