/* The node's side of the server. Network and image store are made on a work thread; then runtime,
 * kubelet and DNS start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "image/image.h"
#include "kubelet/image_cleaner.h"
#include "kubelet/kubelet.h"
#include "kubelet/kubelet_images.h"
#include "kubelet/volume_local.h"
#include "main/main.h"
#include "main/server.h"
#include "net/dns_feed.h"
#include "net/dns_server.h"
#include "net/net_guard.h"
#include "net/net_pod.h"
#include "net/proxy.h"
#include "os/os_fs.h"
#include "os/os_run.h"
#include "os/os_socket.h"
#include "runtime/runtime_crun.h"
#include "runtime/runtime_fake.h"

/* ---- checks ---- */

static bool kernel_has_filesystem(struct arena *a, const char *name)
{
    struct span text;
    if (os_fs_read(a, -100 /* AT_FDCWD */, "/proc/filesystems", 65536, &text) < 0) {
        return true; /* no way to tell: the mount will say */
    }
    while (text.n) {
        struct span line = span_cut(&text, '\n');
        if (span_eq_cstr(span_from(line, span_find(line, '\t') + 1), name)) {
            return true;
        }
    }
    return false;
}

int server_node_check(struct server *s, struct span *ret_detail)
{
    assert(ret_detail);
    static const char *const programs[] = {"conmon", "crun"};
    const char *path;
    if (geteuid() != 0) {
        *ret_detail = SPAN("must run as root: it makes namespaces, mounts and links (or try "
                           "--container-runtime fake)");
        return -1;
    }
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        if (os_fs_find_program(s->arena, programs[i], &path) < 0) {
            *ret_detail =
                arena_printf(s->arena, "the program %s is missing: install the Debian package %s",
                             programs[i], programs[i]);
            return -1;
        }
    }
    if (!kernel_has_filesystem(s->arena, "overlay")) {
        *ret_detail = SPAN("this kernel has no overlay file system: load the module (modprobe "
                           "overlay) or use a kernel "
                           "built with CONFIG_OVERLAY_FS");
        return -1;
    }
    return 0;
}

/* ---- the network's plan ---- */

/* Pods that are only said to run cost a node nothing: the benchmarks' largest sets fit. */
enum { FAKE_PODS = 200 * 1000 };

/* This node's pods have the first /24 of the cluster's range (the whole range when it is smaller).
 */
static struct span node_cidr(struct arena *a, struct span cluster)
{
    struct net_cidr c;
    bool ok = net_cidr_parse(cluster, &c);
    assert(ok); /* options checked it */
    return arena_printf(a, "%.*s/%u", SPAN_ARG(net_ipv4_text(a, c.addr)),
                        c.prefix < 24 ? 24 : c.prefix);
}

static int make_net(struct arena *a, const struct options *o, struct net_pod **ret,
                    struct span *ret_detail)
{
    const struct net_pod_config config = {
        .bridge = o->bridge,
        .pod_cidr = node_cidr(a, o->cluster_cidr),
        .service_cidr = o->service_cidr,
        .cluster_dns = o->cluster_dns,
        .state_dir = arena_printf(a, "%.*s/net", SPAN_ARG(o->data_dir)),
    };
    return net_pod_new(&config, a, ret, ret_detail);
}

int server_node_claim(struct arena *a, const struct options *o, struct span *ret_detail)
{
    const struct {
        const char *what;
        struct span value;
    } claims[] = {{"bridge", o->bridge},
                  {"cluster-cidr", o->cluster_cidr},
                  {"service-cidr", o->service_cidr}};
    assert(ret_detail);
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        int fd = os_socket_claim(
            arena_printf(a, "berth/%s/%.*s", claims[i].what, SPAN_ARG(claims[i].value)));
        if (fd < 0) {
            *ret_detail =
                fd == -EADDRINUSE
                    ? arena_printf(a,
                                   "--%s \"%.*s\" is in use by another berth server on this "
                                   "machine: servers side by side need a --bridge, a "
                                   "--cluster-cidr and a --service-cidr (with --cluster-dns "
                                   "in it) of their own",
                                   claims[i].what, SPAN_ARG(claims[i].value))
                    : arena_printf(a, "cannot claim --%s: %s", claims[i].what, code_text(fd));
            return fd;
        }
    }
    return 0;
}

int server_node_plan(struct server *s, struct span *ret_detail)
{
    assert(ret_detail);
    if (make_net(s->arena, &s->options, &s->net, ret_detail) < 0) {
        return -1;
    }
    s->gateway = net_ipv4_text(s->arena, net_pod_gateway(s->net));
    s->node_ip = s->gateway;
    return 0;
}

/* ---- runtime's needs ---- */

static int attach(void *data, struct span uid, int nsfd, struct arena *a, struct span *ret_ip,
                  struct span *ret_detail)
{
    struct server *s = data;
    int code = net_pod_attach(s->net, uid, nsfd, a, ret_ip, ret_detail);
    if (code == 0) {
        dns_zone_set_address(s->zone, *ret_ip, uid);
    }
    return code;
}

static int detach(void *data, struct span uid, struct arena *a)
{
    struct server *s = data;
    return net_pod_detach(s->net, uid, a);
}

static int layers_of(void *data, struct span image_id, struct arena *a, const struct span **ret,
                     size_t *ret_count)
{
    struct image_config config;
    int code = image_find(data, image_id, a, &config);
    if (code == 0) {
        *ret = config.layers;
        *ret_count = config.layer_count;
    }
    return code;
}

/* ---- bringing it up ---- */

/* "crun version 1.8.1\n..." -> "crun://1.8.1"; "crun://unknown" when it does not say. */
static struct span runtime_version(struct arena *a)
{
    static const char *const argv[] = {"crun", "--version", NULL};
    const struct span head = SPAN("crun version ");
    enum { VERSION_BYTES_MAX = 4096 };
    struct span out, version = SPAN("unknown");
    if (os_run_output(a, argv, VERSION_BYTES_MAX, &out) == 0 && span_starts(out, head)) {
        version = span_from(out, head.n);
        version = span_trim(span_first(version, span_find(version, '\n')));
    }
    return arena_printf(a, "crun://%.*s", SPAN_ARG(version));
}

static void blocking_start(struct env_work *work)
{
    struct server *s = CONTAINER_OF(work, struct server, node_work);
    s->runtime_version = runtime_version(s->arena);
    s->node_code = net_pod_setup(s->net, s->arena, &s->node_detail);
    if (s->node_code == 0) {
        s->node_code = image_store_open(s->options.data_dir, s->arena, &s->images, &s->node_detail);
    }
    if (s->node_code == 0) {
        image_store_clean(s->images);
    }
}

static void print_ready(void *data)
{
    struct server *s = data;
    server_phase(s, "node");
    const char *kubeconfig = s->options.write_kubeconfig.p;
    (void)printf("ready after %.1f ms. Try:\n"
                 "  export KUBECONFIG=%s\n"
                 "  kubectl apply -f examples/redis.yaml\n"
                 "  kubectl get pods -w\n"
                 "  kubectl get sts,pods,pvc -o wide\n",
                 (double)(env_mono_ns(s->env) - s->started_ns) / 1e6, kubeconfig);
    (void)fflush(stdout);
    server_notify(s, "READY=1\nSTATUS=serves");
}

/* The node agent sees no TLS of its own. */
static struct env_stream *probe_tls_connect(void *data, struct env_stream *inner, const char *name,
                                            env_connect_fn *done, void *done_data)
{
    struct server *s = data;
    return tls_connect(s->probe_tls, inner, name, done, done_data);
}

static void start_kubelet(struct server *s)
{
    s->probe_tls = tls_client_new_unverified();
    const struct kubelet_options options = {
        .tls_connect = probe_tls_connect,
        .tls_data = s,
        .data_dir = s->options.data_dir,
        .node_name = s->options.node_name,
        .node_ip = s->node_ip.n ? s->node_ip : SPAN("127.0.0.1"),
        .cluster_dns = s->options.cluster_dns,
        .cluster_domain = s->options.cluster_domain,
        .version = SPAN(BERTH_API_VERSION),
        .runtime_scheme = s->options.container_runtime,
        .runtime_version =
            s->runtime_version.n
                ? s->runtime_version
                : arena_printf(s->arena, "%.*s://1", SPAN_ARG(s->options.container_runtime)),
        .runtime = s->runtime,
        .images = s->kubelet_images,
        .secrets_in_memory = true,
        .no_files = s->fake,
        .no_host_ports = !s->fake && !s->proxy,
        .kept_port = s->fake ? 0 : s->options.https_listen_port,
        .max_pods = s->fake ? FAKE_PODS : 0,
    };
    s->kubelet = kubelet_new(s->env, s->client, &options);
    s->node_join.kubelet = s->kubelet;
    kubelet_on_ready(s->kubelet, print_ready, s);
}

static void start_dns(struct server *s)
{
    s->zone = dns_zone_new(s->options.cluster_domain);
    const struct dns_server_options options = {.address =
                                                   arena_cstr(s->arena, s->options.cluster_dns),
                                               .port = 53,
                                               .resolv_conf = "/etc/resolv.conf"};
    int code = dns_server_start(s->zone, &options, &s->dns);
    if (code < 0) {
        server_die(s, arena_printf(s->arena, "cannot serve DNS on %s port 53: %s%s",
                                   options.address, code_text(code),
                                   code == -EADDRINUSE
                                       ? "; another program listens there: give another "
                                         "--cluster-dns of the service range"
                                       : ""));
    }
    s->dns_feed = dns_feed_new(s->client, s->zone, s->options.cluster_domain);
}

static void start_proxy(struct server *s)
{
    struct os_nft_service_table table;
    if (net_pod_service_table(s->net, &table)) {
        table.kept_port = s->options.https_listen_port;
        s->proxy = proxy_new(s->env, s->client, &table, s->options.node_name);
    }
    s->guard = net_guard_new(s->env, s->net, s->proxy);
}

static void on_network_done(struct env_work *work)
{
    struct server *s = CONTAINER_OF(work, struct server, node_work);
    struct span why = SPAN_NULL;
    if (s->node_code < 0) {
        server_die(s, s->node_detail.n ? s->node_detail : span_cstr(code_text(s->node_code)));
    }
    server_phase(s, "network");
    if (!span_eq(s->options.bind_address, SPAN("0.0.0.0")) &&
        !span_eq(s->options.bind_address, SPAN("::"))) {
        uint16_t port = s->options.https_listen_port;
        int code =
            http_server_listen_tcp(s->http, arena_cstr(s->arena, s->gateway), port, s->tls, &port);
        if (code < 0) { /* pods cannot reach the API; everything else works */
            log_event(LOG_WARN, "api_not_on_bridge", LOG_S("address", s->gateway),
                      LOG_C("why", code_text(code)));
        }
    }
    start_dns(s);
    server_phase(s, "dns");
    start_proxy(s);
    const struct runtime_crun_config config = {
        .data_dir = s->options.data_dir,
        .network = {attach, detach, s},
        .layers_of = layers_of,
        .layers_data = s->images,
    };
    if (runtime_crun_new(s->env, &config, s->arena, &s->runtime, &why) < 0) {
        server_die(s, why);
    }
    s->kubelet_images = kubelet_images_new(s->env, s->images, s->options.registry_mirrors,
                                           s->options.registry_mirror_count);
    const struct image_cleaner_options cleaning = {
        .store = s->images,
        .images = s->kubelet_images,
        .users = {image_users_of, &s->options.data_dir},
        .thresholds = {(unsigned)s->options.image_high_percent,
                       (unsigned)s->options.image_low_percent},
        .min_age_ms = s->options.image_min_age_s * 1000,
        .client = s->client,
        .node_name = s->options.node_name,
    };
    s->image_cleaner = image_cleaner_new(s->env, &cleaning);
    start_kubelet(s);
}

void server_node_start(struct server *s)
{
    if (s->fake) {
        s->runtime = runtime_fake_new(s->env);
        s->kubelet_images = kubelet_images_fake_new(s->env);
        start_kubelet(s);
        return;
    }
    env_work_start(s->env, &s->node_work, blocking_start, on_network_done);
}

/* ---- taking it away ---- */

int server_node_purge(struct arena *a, const struct options *o, bool network,
                      struct span *ret_detail)
{
    assert(o);
    assert(ret_detail);
    struct net_pod *net = NULL;
    const struct runtime_crun_config config = {.data_dir = o->data_dir};
    int code = runtime_crun_purge(&config, a, ret_detail);
    int volumes = volume_local_detach_all(o->data_dir, a, ret_detail);
    code = code < 0 ? code : volumes;
    int second = network ? make_net(a, o, &net, ret_detail) : 0;
    if (net) {
        second = net_pod_remove(net, a);
        net_pod_free(net);
    }
    return code < 0 ? code : second;
}
