/* The pod network for real, in a network namespace of the test's own. */
#include "net/net_pod.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "env/env_uv.h"
#include "kit/kit.h"
#include "net/net_guard.h"
#include "net/proxy_table.h"
#include "os/os_fs.h"
#include "os/os_mount.h"
#include "os/os_netlink.h"
#include "os/os_nft.h"
#include "os/os_ns.h"

static struct net_pod *make_net(struct arena *a, const char *cidr)
{
    struct net_pod *net;
    struct span detail = SPAN_NULL;
    struct net_pod_config config = {
        .bridge = SPAN("berth0"),
        .pod_cidr = span_cstr(cidr),
        .service_cidr = SPAN("10.43.0.0/16"),
        .cluster_dns = SPAN("10.43.0.10"),
        .state_dir = arena_printf(a, "%s/net", kit_tmpdir()),
    };
    CHECK_EQ(net_pod_new(&config, a, &net, &detail), 0);
    int code = net_pod_setup(net, a, &detail);
    if (code) {
        kit_note("%.*s", SPAN_ARG(detail));
    }
    CHECK_EQ(code, 0);
    return net;
}

static int pin(struct arena *a, const char *name)
{
    struct os_ns_pin p = {.net = arena_printf(a, "%s/%s", kit_tmpdir(), name).p};
    CHECK_EQ(os_ns_pin(&p), 0);
    int fd = os_ns_open(p.net);
    CHECK(fd >= 0);
    return fd;
}

struct udp {
    int fd;
    uint32_t to;
};

static int open_udp(void *data)
{
    struct udp *u = data;
    u->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(7000)};
    struct timeval tv = {.tv_sec = 2};
    (void)setsockopt(u->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    return bind(u->fd, (struct sockaddr *)&in, sizeof in) == 0 ? 0 : -errno;
}

static int send_to(int fd, uint32_t addr)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(7000), .sin_addr.s_addr = htonl(addr)};
    return sendto(fd, "hello", 5, 0, (struct sockaddr *)&in, sizeof in) == 5 ? 0 : -errno;
}

TEST(pods_reach_each_other_and_the_node_and_nothing_is_left)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    cleanup_arena struct arena *a = arena_new();
    struct net_pod *net = make_net(a, "10.42.0.0/24");
    struct span detail = SPAN_NULL, ip1, ip2, again;
    int ns1 = pin(a, "ns1"), ns2 = pin(a, "ns2");
    CHECK_EQ(net_pod_attach(net, SPAN("uid-1"), ns1, a, &ip1, &detail), 0);
    CHECK_EQ(net_pod_attach(net, SPAN("uid-2"), ns2, a, &ip2, &detail), 0);
    CHECK_SPAN(ip1, "10.42.0.2");
    CHECK_SPAN(ip2, "10.42.0.3");
    CHECK_EQ(net_pod_attach(net, SPAN("uid-1"), ns1, a, &again, &detail), 0);
    CHECK_SPAN(again, "10.42.0.2");
    /* Twice is as once. */
    CHECK_EQ(net_pod_setup(net, a, &detail), 0);

    struct udp u1 = {0}, u2 = {0}, host = {0};
    CHECK_EQ(os_ns_run_in_net(ns1, open_udp, &u1), 0);
    CHECK_EQ(os_ns_run_in_net(ns2, open_udp, &u2), 0);
    CHECK_EQ(open_udp(&host), 0);
    char buf[16];
    struct sockaddr_in from;
    socklen_t n = sizeof from;
    CHECK_EQ(send_to(u1.fd, 0x0a2a0003), 0);
    CHECK_EQ(recvfrom(u2.fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &n), 5);
    CHECK_EQ(ntohl(from.sin_addr.s_addr), 0x0a2a0002); /* not masqueraded inside the range */
    CHECK_EQ(send_to(u1.fd, 0x0a2b000a), 0);           /* the DNS address is the node's */
    CHECK_EQ(recvfrom(host.fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &n), 5);
    CHECK_EQ(send_to(host.fd, 0x0a2a0002), 0);
    CHECK_EQ(recv(u1.fd, buf, sizeof buf, 0), 5);

    CHECK_EQ(net_pod_detach(net, SPAN("uid-1"), a), 0);
    CHECK_EQ(net_pod_detach(net, SPAN("uid-1"), a), 0);
    int ns3 = pin(a, "ns3");
    CHECK_EQ(net_pod_attach(net, SPAN("uid-3"), ns3, a, &ip1, &detail), 0);
    CHECK_SPAN(ip1, "10.42.0.4"); /* a freed address is not the next one */
    CHECK_EQ(net_pod_remove(net, a), 0);
    CHECK_EQ(net_pod_remove(net, a), 0);
    net_pod_free(net);
    struct os_netlink *nl;
    CHECK_EQ(os_netlink_open(-1, &nl), 0);
    CHECK_EQ(os_netlink_index(nl, "berth0"), -ENODEV);
    os_netlink_free(nl);
    struct span *names;
    size_t count;
    CHECK_EQ(os_fs_list(a, arena_printf(a, "%s/net", kit_tmpdir()).p, &names, &count), -ENOENT);
    struct os_nft_batch *b = os_nft_batch_new();
    CHECK_EQ(os_nft_commit(b), 0); /* an empty batch is fine */
    os_nft_batch_free(b);
    CHECK_EQ(os_umount_beneath(a, span_cstr(kit_tmpdir())), 0);
    close(ns1), close(ns2), close(ns3), close(u1.fd), close(u2.fd), close(host.fd);
}

TEST(a_pod_reaches_the_world_under_the_nodes_address)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    cleanup_arena struct arena *a = arena_new();
    struct net_pod *net = make_net(a, "10.42.0.0/24");
    struct span detail = SPAN_NULL, ip;
    int pod = pin(a, "pod"), world = pin(a, "world");
    CHECK_EQ(net_pod_attach(net, SPAN("uid-1"), pod, a, &ip, &detail), 0);
    const uint8_t mac1[6] = {2, 0, 0, 0, 0, 1}, mac2[6] = {2, 0, 0, 0, 0, 2};
    struct os_netlink *nl, *in;
    CHECK_EQ(os_netlink_open(-1, &nl), 0);
    CHECK_EQ(os_netlink_open(world, &in), 0);
    CHECK_EQ(os_netlink_bridge_ensure(nl, "out0", mac1, 1500), 0);
    int out = os_netlink_index(nl, "out0");
    CHECK_EQ(os_netlink_address_ensure(nl, out, 0xc0000201, 24), 0);
    CHECK_EQ(os_netlink_veth_create(nl, "out1", out, "eth0", world, mac2, 1500), 0);
    int eth = os_netlink_index(in, "eth0");
    CHECK(eth > 0);
    CHECK_EQ(os_netlink_up(in, eth), 0);
    CHECK_EQ(os_netlink_address_ensure(in, eth, 0xc0000202, 24), 0);
    struct udp u1 = {0}, u2 = {0};
    CHECK_EQ(os_ns_run_in_net(pod, open_udp, &u1), 0);
    CHECK_EQ(os_ns_run_in_net(world, open_udp, &u2), 0);
    char buf[16];
    struct sockaddr_in from;
    socklen_t n = sizeof from;
    CHECK_EQ(send_to(u1.fd, 0xc0000202), 0);
    CHECK_EQ(recvfrom(u2.fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &n), 5);
    CHECK_EQ(ntohl(from.sin_addr.s_addr), 0xc0000201);
    CHECK_EQ(net_pod_remove(net, a), 0);
    net_pod_free(net);
    os_netlink_free(nl), os_netlink_free(in);
    close(pod), close(world), close(u1.fd), close(u2.fd);
    CHECK_EQ(os_umount_beneath(a, span_cstr(kit_tmpdir())), 0);
}

TEST(addresses_survive_a_restart_but_not_a_boot_and_run_out_with_a_sentence)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    cleanup_arena struct arena *a = arena_new();
    struct net_pod *net = make_net(a, "10.42.0.0/29");
    struct span detail = SPAN_NULL, ip, first = SPAN_NULL;
    int ns[6];
    for (int i = 0; i < 6; i++) {
        ns[i] = pin(a, arena_printf(a, "n%d", i).p);
        struct span uid = arena_printf(a, "uid-%d", i);
        int code = net_pod_attach(net, uid, ns[i], a, &ip, &detail);
        CHECK_EQ(code, i < 5 ? 0 : -EADDRNOTAVAIL);
        first = i == 2 ? ip : first;
    }
    CHECK_SPAN(detail, "no address is left in the node's pod range");
    net_pod_free(net);
    net = make_net(a, "10.42.0.0/29");
    CHECK_EQ(net_pod_attach(net, SPAN("uid-2"), ns[2], a, &ip, &detail), 0);
    CHECK(span_eq(ip, first));
    CHECK_EQ(net_pod_attach(net, SPAN("uid-5"), ns[5], a, &ip, &detail), -EADDRNOTAVAIL);
    CHECK_EQ(net_pod_detach(net, SPAN("uid-2"), a), 0);
    CHECK_EQ(net_pod_attach(net, SPAN("uid-5"), ns[5], a, &ip, &detail), 0);
    CHECK(span_eq(ip, first));
    struct span *names;
    size_t n;
    const char *dir = arena_printf(a, "%s/net", kit_tmpdir()).p;
    CHECK_EQ(os_fs_list(a, dir, &names, &n), 0);
    CHECK_EQ(n, 5 + 1);
    CHECK_EQ(os_fs_write(arena_printf(a, "%s/boot", dir).p, SPAN("another"), 0600), 0);
    CHECK_EQ(net_pod_setup(net, a, &detail), 0);
    CHECK_EQ(os_fs_list(a, dir, &names, &n), 0);
    CHECK_EQ(n, 1);
    CHECK_EQ(net_pod_remove(net, a), 0);
    net_pod_free(net);
    for (int i = 0; i < 6; i++) {
        close(ns[i]);
    }
    CHECK_EQ(os_umount_beneath(a, span_cstr(kit_tmpdir())), 0);
}

TEST(an_overlay_of_many_layers_with_awkward_names_mounts)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    cleanup_arena struct arena *a = arena_new();
    enum { LAYERS = 120 };
    struct span lower[LAYERS];
    for (int i = 0; i < LAYERS; i++) {
        lower[i] = arena_printf(a, "%s/la:yer,%d-%064d", kit_tmpdir(), i, i);
        CHECK_EQ(mkdir(lower[i].p, 0755), 0);
        CHECK_EQ(os_fs_write(arena_printf(a, "%s/f%d", lower[i].p, i).p, SPAN("x"), 0644), 0);
        CHECK_EQ(
            os_fs_write(arena_printf(a, "%s/top", lower[i].p).p, arena_printf(a, "%d", i), 0644),
            0);
    }
    /* The upper directory may not be on an overlay itself. */
    const char *t = arena_printf(a, "%s/t", kit_tmpdir()).p;
    CHECK_EQ(mkdir(t, 0755), 0);
    CHECK_EQ(os_mount_tmpfs(t, 1 << 20, 0755), 0);
    const char *m = arena_printf(a, "%s/m", t).p, *u = arena_printf(a, "%s/u", t).p,
               *w = arena_printf(a, "%s/w", t).p;
    CHECK(mkdir(m, 0755) == 0 && mkdir(u, 0755) == 0 && mkdir(w, 0755) == 0);
    CHECK_EQ(os_mount_overlay(m, lower, LAYERS, u, w), 0);
    struct span text;
    CHECK_EQ(os_fs_read(a, AT_FDCWD, arena_printf(a, "%s/top", m).p, 100, &text), 0);
    CHECK_SPAN(text, "119");
    CHECK_EQ(os_fs_read(a, AT_FDCWD, arena_printf(a, "%s/f0", m).p, 100, &text), 0);
    CHECK_EQ(os_fs_remove_tree_at(t), -EXDEV);
    CHECK_EQ(os_umount_beneath(a, span_cstr(t)), 0);
    CHECK_EQ(os_fs_remove_tree_at(t), 0);
}

static int send_port(int fd, uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x0a2a0001)};
    (void)recv(fd, (char[8]){0}, 8, MSG_DONTWAIT); /* an earlier refusal */
    return sendto(fd, "hello", 5, 0, (struct sockaddr *)&in, sizeof in) == 5 ? 0 : -errno;
}

TEST(host_ports_pass_from_pod_to_pod_and_are_found_again)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    cleanup_arena struct arena *a = arena_new();
    struct net_pod *net = make_net(a, "10.42.0.0/24");
    struct span detail = SPAN_NULL, ip;
    int ns[2] = {pin(a, "ns1"), pin(a, "ns2")};
    struct udp pod[2] = {{0}}, client = {0};
    struct proxy_endpoint to[2] = {{0x0a2a0002, 7000}, {0x0a2a0003, 7000}};
    struct proxy_port port[2];
    struct proxy_plan plan[2], nothing = {0};
    char buf[16];
    for (int i = 0; i < 2; i++) {
        struct span uid = arena_printf(a, "uid-%d", i);
        CHECK_EQ(net_pod_attach(net, uid, ns[i], a, &ip, &detail), 0);
        CHECK_EQ(os_ns_run_in_net(ns[i], open_udp, &pod[i]), 0);
        port[i] = (struct proxy_port){.port = 9000,
                                      .protocol = PROXY_UDP,
                                      .host = true,
                                      .endpoints = &to[i],
                                      .endpoint_count = 1};
        plan[i] = (struct proxy_plan){&port[i], 1};
    }
    CHECK_EQ(open_udp(&client), 0);
    CHECK_EQ(send_port(client.fd, 9000), 0); /* refused, and tracked as the node's own */

    struct os_nft_service_table table;
    CHECK(net_pod_service_table(net, &table));
    table.kept_port = 6443;
    struct proxy_table *t = proxy_table_new(&table);
    CHECK_EQ(proxy_table_read(t), 0);
    proxy_table_claim(t, &plan[0], &plan[0]);
    CHECK(proxy_table_put(t));
    CHECK_EQ(proxy_table_commit(t), 0);
    CHECK_EQ(proxy_table_stale_code(t), 1); /* the client is free to go there */
    CHECK_EQ(send_port(client.fd, 9000), 0);
    CHECK_EQ(recv(pod[0].fd, buf, sizeof buf, 0), 5);
    proxy_table_claim(t, &plan[1], &plan[1]); /* comes second */
    CHECK(!proxy_table_put(t));

    t = proxy_table_new(&table); /* a server that starts */
    CHECK_EQ(proxy_table_read(t), 0);
    proxy_table_claim(t, &plan[0], &plan[0]);
    proxy_table_claim(t, &plan[1], &plan[1]);
    CHECK(!proxy_table_put(t));
    CHECK(proxy_table_release(t, &plan[0], &plan[0], &nothing)); /* somebody waits */
    proxy_table_claim(t, &plan[1], &plan[1]);
    CHECK(proxy_table_put(t));
    CHECK_EQ(proxy_table_commit(t), 0);
    CHECK_EQ(send_port(client.fd, 9000), 0);
    CHECK_EQ(recv(pod[1].fd, buf, sizeof buf, 0), 5);

    CHECK(!proxy_table_release(t, &plan[1], &plan[1], &nothing));
    CHECK(proxy_table_put(t));
    CHECK_EQ(proxy_table_commit(t), 0);
    t = proxy_table_new(&table);
    CHECK_EQ(proxy_table_read(t), 0);
    CHECK(!proxy_table_put(t)); /* nothing is left to take away */
    CHECK_EQ(net_pod_remove(net, a), 0);
    net_pod_free(net);
    CHECK_EQ(os_umount_beneath(a, span_cstr(kit_tmpdir())), 0);
    close(ns[0]), close(ns[1]), close(pod[0].fd), close(pod[1].fd), close(client.fd);
}

/* Somebody else's table comes in its place, within one transaction. Returns its handle. */
static uint64_t replace(const char *table)
{
    struct os_nft_batch *b = os_nft_batch_new();
    os_nft_table_add(b, table, true);
    CHECK_EQ(os_nft_commit(b), 0);
    uint64_t handle = os_nft_made(b);
    CHECK(handle > 0);
    os_nft_batch_free(b);
    return handle;
}

TEST(masquerade_that_is_replaced_before_it_is_first_looked_at_comes_back)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    cleanup_arena struct arena *a = arena_new();
    struct net_pod *net = make_net(a, "10.42.0.0/24");
    uint64_t theirs = replace(net_pod_table(net)), now = 0;
    CHECK_EQ(os_nft_table_handle(net_pod_table(net), &now), 0);
    CHECK_EQ(now, theirs);
    CHECK_EQ(net_pod_keep_masquerade(net), 1);
    CHECK_EQ(os_nft_table_handle(net_pod_table(net), &now), 0);
    CHECK(now > theirs);
    CHECK_EQ(net_pod_keep_masquerade(net), 0); /* it knows its own */
    CHECK_EQ(net_pod_remove(net, a), 0);
    net_pod_free(net);
}

struct waiting {
    struct env *env;
    struct env_timer timer;
    const char *table;
    uint64_t not_this, is;
};

static void on_glance(struct env_timer *timer)
{
    struct waiting *w = CONTAINER_OF(timer, struct waiting, timer);
    CHECK_EQ(os_nft_table_handle(w->table, &w->is), 0);
    if (w->is == 0 || w->is == w->not_this) {
        env_timer_start(w->env, timer, 5, on_glance);
    } else {
        env_uv_stop(w->env);
    }
}

/* The handle of the table that comes in the place of that one; the test's limit ends the wait. */
static uint64_t next_table(struct waiting *w, uint64_t not_this)
{
    w->not_this = not_this;
    env_timer_start(w->env, &w->timer, 0, on_glance);
    env_uv_run(w->env);
    return w->is;
}

TEST(masquerade_that_somebody_takes_away_comes_back)
{
    kit_own_world(CLONE_NEWNET | CLONE_NEWNS);
    cleanup_arena struct arena *a = arena_new();
    struct net_pod *net = make_net(a, "10.42.0.0/24");
    struct env *env = env_uv_new();
    struct waiting w = {.env = env, .table = net_pod_table(net)};
    struct net_guard *guard = net_guard_new(env, net, NULL);
    uint64_t first = next_table(&w, 0), taken = 0;
    CHECK_EQ(os_nft_table_remove(w.table), 0);
    uint64_t second = next_table(&w, first);
    CHECK(second > first);
    /* Again, while the guard may still be at work on the last one. */
    taken = replace(w.table);
    CHECK(next_table(&w, taken) > taken);
    /* Not after the end. */
    net_guard_stop(guard);
    CHECK_EQ(net_pod_remove(net, a), 0);
    CHECK_EQ(os_nft_table_handle(w.table, &taken), 0);
    CHECK_EQ(taken, 0);
    net_pod_free(net);
}
