/* The node's pod network. */
#include "net/net_pod.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "os/os_fs.h"
#include "os/os_netlink.h"
#include "os/os_nft.h"
#include "os/os_nft_service.h"
#include "os/os_ns.h"

enum { PREFIX_MIN = 8, PREFIX_MAX = 29, UID_MAX = 64 };

struct net_pod {
    char bridge[IFNAMSIZ];
    char table[IFNAMSIZ + 8];
    struct net_cidr pods, services;
    bool has_services;
    uint32_t dns; /* 0: none */
    char *state_dir;
    unsigned mtu;
    uint64_t table_handle; /* of the masquerade's table as it was made last; 0: it was not */
    _Atomic uint32_t
        cursor; /* where the search for a free address goes on: an address is not reused at once */
};

static int fail(struct arena *a, struct span *detail, int code, const char *what)
{
    if (code && detail) {
        *detail = arena_printf(a, "%s: %s", what, code_text(code));
    }
    return code;
}

int net_pod_new(const struct net_pod_config *config, struct arena *a, struct net_pod **ret,
                struct span *ret_detail)
{
    assert(a);
    assert(ret);
    assert(ret_detail);
    struct net_cidr pods, services = {0};
    uint32_t dns = 0;
    if (config->bridge.n == 0 || config->bridge.n >= IFNAMSIZ ||
        span_find(config->bridge, '/') < config->bridge.n) {
        *ret_detail = arena_printf(a, "\"%.*s\" is not a link name of 1 to 15 characters",
                                   SPAN_ARG(config->bridge));
        return -EINVAL;
    }
    if (!net_cidr_parse(config->pod_cidr, &pods) || pods.prefix < PREFIX_MIN ||
        pods.prefix > PREFIX_MAX) {
        *ret_detail = arena_printf(a, "pod range \"%.*s\" is not an IPv4 range of /%d to /%d",
                                   SPAN_ARG(config->pod_cidr), PREFIX_MIN, PREFIX_MAX);
        return -EINVAL;
    }
    if (config->service_cidr.n && !net_cidr_parse(config->service_cidr, &services)) {
        *ret_detail = arena_printf(a, "service range \"%.*s\" is not an IPv4 range",
                                   SPAN_ARG(config->service_cidr));
        return -EINVAL;
    }
    if (config->cluster_dns.n && !net_ipv4_parse(config->cluster_dns, &dns)) {
        *ret_detail = arena_printf(a, "cluster DNS address \"%.*s\" is not an IPv4 address",
                                   SPAN_ARG(config->cluster_dns));
        return -EINVAL;
    }
    struct net_pod *net = MEM_NEW(struct net_pod);
    memcpy(net->bridge, config->bridge.p, config->bridge.n);
    (void)snprintf(net->table, sizeof net->table, "berth-%s", net->bridge);
    net->pods = pods;
    net->services = services;
    net->has_services = config->service_cidr.n > 0;
    net->dns = dns;
    net->mtu = config->mtu;
    net->state_dir = mem_strdup(arena_cstr(a, config->state_dir));
    *ret = net;
    return 0;
}

void net_pod_free(struct net_pod *net)
{
    if (net) {
        free(net->state_dir);
    }
    free(net);
}

uint32_t net_pod_gateway(const struct net_pod *net)
{
    assert(net);
    return net->pods.addr + 1;
}

const char *net_pod_table(const struct net_pod *net)
{
    assert(net);
    return net->table;
}

bool net_pod_service_table(const struct net_pod *net, struct os_nft_service_table *ret)
{
    assert(net);
    *ret = (struct os_nft_service_table){.pods = net->pods.addr,
                                         .pods_prefix = net->pods.prefix,
                                         .services = net->services.addr,
                                         .services_prefix = net->services.prefix};
    memcpy(ret->bridge, net->bridge, sizeof ret->bridge);
    (void)snprintf(ret->table, sizeof ret->table, "%s-svc", net->table);
    return net->has_services && net->pods.prefix >= OS_NFT_PODS_PREFIX_MIN;
}

static void mac_of(uint32_t addr, uint8_t mac[6])
{
    /* Locally administered, unicast. */
    const uint8_t m[6] = {
        0x0a,         0x58, (uint8_t)(addr >> 24), (uint8_t)(addr >> 16), (uint8_t)(addr >> 8),
        (uint8_t)addr};
    memcpy(mac, m, sizeof m);
}

/* ---- the node ---- */

static int setup_links(struct net_pod *net, struct os_netlink *nl, struct arena *a,
                       struct span *detail)
{
    uint8_t mac[6];
    uint32_t gateway = net_pod_gateway(net);
    mac_of(gateway, mac);
    if (net->mtu == 0) {
        net->mtu = os_netlink_uplink_mtu(nl);
    }
    int code = os_netlink_bridge_ensure(nl, net->bridge, mac, net->mtu);
    int index = code ? code : os_netlink_index(nl, net->bridge);
    if (index < 0) {
        return fail(a, detail, index,
                    index == -EOPNOTSUPP
                        ? "make the pod bridge (kernel option CONFIG_BRIDGE: modprobe bridge)"
                        : "make the pod bridge");
    }
    code = os_netlink_address_ensure(nl, index, gateway, net->pods.prefix);
    if (code == 0 && net->dns) {
        code = os_netlink_address_ensure(nl, index, net->dns, 32);
    }
    fail(a, detail, code, "give the pod bridge its addresses");
    if (code == 0 && net->has_services) {
        code = os_netlink_route_ensure(nl, index, net->services.addr, net->services.prefix, 0,
                                       gateway);
        fail(a, detail, code, "route the service range to the pod bridge");
    }
    return code;
}

static int make_state_dir(const struct net_pod *net, struct arena *a)
{
    enum { BOOT_ID_MAX = 64 };
    struct span now, then = SPAN_NULL;
    const char *file = arena_printf(a, "%s/boot", net->state_dir).p;
    int code = os_fs_read(a, AT_FDCWD, "/proc/sys/kernel/random/boot_id", BOOT_ID_MAX, &now);
    if (code) {
        return code;
    }
    (void)os_fs_read(a, AT_FDCWD, file, BOOT_ID_MAX, &then);
    if (span_eq(now, then)) {
        return 0;
    }
    code = os_fs_remove_tree_at(net->state_dir);
    code = code ? code : os_fs_mkdirs(net->state_dir, 0700);
    return code ? code : os_fs_write_atomic(file, now, 0600, true);
}

static int masquerade(struct net_pod *net)
{
    return os_nft_masquerade(net->table, net->pods.addr, net->pods.prefix, net->bridge,
                             &net->table_handle);
}

int net_pod_keep_masquerade(struct net_pod *net)
{
    assert(net);
    uint64_t now = 0;
    int code = os_nft_table_handle(net->table, &now);
    bool is_other = now == 0 || now != net->table_handle;
    if (code == 0 && is_other) {
        code = masquerade(net);
    }
    return code ? code : is_other;
}

int net_pod_setup(struct net_pod *net, struct arena *a, struct span *ret_detail)
{
    assert(ret_detail);
    struct os_netlink *nl;
    int code = make_state_dir(net, a);
    if (code) {
        return fail(a, ret_detail, code, net->state_dir);
    }
    code = os_netlink_open(-1, &nl);
    if (code) {
        return fail(a, ret_detail, code, "open a netlink socket");
    }
    code = setup_links(net, nl, a, ret_detail);
    os_netlink_free(nl);
    if (code) {
        return code;
    }
    code = os_sysctl_write(SPAN("net/ipv4/ip_forward"), SPAN("1"));
    if (code) {
        return fail(a, ret_detail, code, "turn IPv4 forwarding on (net.ipv4.ip_forward)");
    }
    /* Pods of one bridge reach each other by the gateway; it shall not tell them a shorter way. */
    struct span redirects = arena_printf(a, "net/ipv4/conf/%s/send_redirects", net->bridge);
    (void)os_sysctl_write(redirects, SPAN("0"));
    (void)os_sysctl_write(SPAN("net/ipv4/conf/all/send_redirects"), SPAN("0"));
    code = masquerade(net);
    return fail(a, ret_detail, code,
                code == -EOPNOTSUPP || code == -EINVAL || code == -ENOENT
                    ? "masquerade (kernel options CONFIG_NF_TABLES, CONFIG_NFT_MASQ, "
                      "CONFIG_NF_NAT: modprobe nft_masq)"
                    : "masquerade");
}

/* ---- addresses ---- */

static int link_of(int dirfd, const char *name, char uid[UID_MAX + 1])
{
    ssize_t n = readlinkat(dirfd, name, uid, UID_MAX + 1);
    if (n < 0 || n > UID_MAX) {
        return n < 0 ? -errno : -EINVAL;
    }
    uid[n] = '\0';
    return 0;
}

/* The address that uid has. -ENOENT. */
static int find_address(struct net_pod *net, int dirfd, struct span uid, struct arena *a,
                        uint32_t *ret)
{
    struct span *names;
    size_t n;
    int code = os_fs_list(a, net->state_dir, &names, &n);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n; i++) {
        char owner[UID_MAX + 1];
        if (net_ipv4_parse(names[i], ret) && link_of(dirfd, names[i].p, owner) == 0 &&
            span_eq_cstr(uid, owner)) {
            return 0;
        }
    }
    return -ENOENT;
}

static int take_address(struct net_pod *net, int dirfd, struct span uid, struct arena *a,
                        uint32_t *ret)
{
    const char *owner = arena_cstr(a, uid);
    uint32_t first = net->pods.addr + 2;
    uint32_t count =
        (1u << (32 - net->pods.prefix)) - 3; /* network, gateway and broadcast are left out */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t addr = first + atomic_fetch_add(&net->cursor, 1) % count;
        char name[16];
        (void)snprintf(name, sizeof name, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255,
                       addr >> 8 & 255, addr & 255);
        if (addr == net->dns) {
            continue;
        }
        if (symlinkat(owner, dirfd, name) == 0) {
            *ret = addr;
            return 0;
        }
        if (errno != EEXIST) {
            return -errno;
        }
    }
    return -EADDRNOTAVAIL;
}

/* ---- pods ---- */

/* Link names have 15 bytes; the address is unique on the node: "b" + hash of the bridge + address.
 */
static void veth_name(const struct net_pod *net, uint32_t addr, char name[IFNAMSIZ])
{
    uint32_t h = 2166136261u;
    for (const char *p = net->bridge; *p; p++) {
        h = (h ^ (uint8_t)*p) * 16777619u;
    }
    (void)snprintf(name, IFNAMSIZ, "bp%04x%08x", (h ^ h >> 16) & 0xffff, addr);
}

static int configure_pod(const struct net_pod *net, struct os_netlink *in, uint32_t addr)
{
    int index = os_netlink_index(in, "eth0");
    if (index < 0) {
        return index;
    }
    uint32_t gateway = net_pod_gateway(net);
    int code = os_netlink_up(in, index);
    code = code ? code : os_netlink_address_ensure(in, index, addr, 32);
    code = code ? code : os_netlink_route_ensure(in, index, gateway, 32, 0, 0);
    return code ? code : os_netlink_route_ensure(in, index, 0, 0, gateway, 0);
}

static int connect_pod(const struct net_pod *net, int nsfd, uint32_t addr)
{
    struct os_netlink *out = NULL, *in = NULL;
    char name[IFNAMSIZ];
    uint8_t mac[6];
    veth_name(net, addr, name);
    mac_of(addr, mac);
    int code = os_netlink_open(-1, &out);
    code = code ? code : os_netlink_open(nsfd, &in);
    int bridge = code ? code : os_netlink_index(out, net->bridge);
    if (bridge < 0) {
        code = bridge;
    } else if (os_netlink_index(in, "eth0") < 0) {
        /* A link of that name with its other end elsewhere is left from a kill between two steps.
         */
        code = os_netlink_veth_create(out, name, bridge, "eth0", nsfd, mac, net->mtu);
        if (code == -EEXIST) {
            code = os_netlink_link_delete(out, name);
            code = code ? code
                        : os_netlink_veth_create(out, name, bridge, "eth0", nsfd, mac, net->mtu);
        }
    }
    int port = code ? code : os_netlink_index(out, name);
    code = port < 0 ? port : os_netlink_hairpin(out, port);
    code = code ? code : configure_pod(net, in, addr);
    os_netlink_free(out);
    os_netlink_free(in);
    return code;
}

int net_pod_attach(struct net_pod *net, struct span uid, int nsfd, struct arena *a,
                   struct span *ret_ip, struct span *ret_detail)
{
    assert(uid.n > 0);
    assert(uid.n <= UID_MAX);
    cleanup_close int dirfd = open(net->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0) {
        return fail(a, ret_detail, -errno, net->state_dir);
    }
    uint32_t addr = 0;
    int code = find_address(net, dirfd, uid, a, &addr);
    if (code == -ENOENT) {
        code = take_address(net, dirfd, uid, a, &addr);
        if (code == -EADDRNOTAVAIL) {
            *ret_detail = SPAN("no address is left in the node's pod range");
            return code;
        }
    }
    if (code) {
        return fail(a, ret_detail, code, "allocate a pod address");
    }
    code = connect_pod(net, nsfd, addr);
    if (code) {
        return fail(a, ret_detail, code,
                    code == -EOPNOTSUPP
                        ? "connect the pod to the bridge (kernel option CONFIG_VETH: modprobe veth)"
                        : "connect the pod to the bridge");
    }
    *ret_ip = net_ipv4_text(a, addr);
    return 0;
}

static int release(struct net_pod *net, struct os_netlink *nl, int dirfd, uint32_t addr,
                   const char *file)
{
    char name[IFNAMSIZ];
    veth_name(net, addr, name);
    int code = os_netlink_link_delete(nl, name);
    if (code == 0 && unlinkat(dirfd, file, 0) != 0 && errno != ENOENT) {
        code = -errno;
    }
    return code;
}

/* Releases every address for which keep() says no. keep NULL: all. */
static int release_all(struct net_pod *net, bool (*keep)(void *data, struct span uid), void *data,
                       struct arena *a)
{
    cleanup_close int dirfd = open(net->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    struct span *names;
    size_t n;
    struct os_netlink *nl;
    int code = os_fs_list(a, net->state_dir, &names, &n);
    code = code ? code : os_netlink_open(-1, &nl);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n; i++) {
        char owner[UID_MAX + 1];
        uint32_t addr;
        if (!net_ipv4_parse(names[i], &addr) || link_of(dirfd, names[i].p, owner) != 0 ||
            (keep && keep(data, span_cstr(owner)))) {
            continue;
        }
        int one = release(net, nl, dirfd, addr, names[i].p);
        code = code ? code : one;
    }
    os_netlink_free(nl);
    return code;
}

static bool is_other(void *data, struct span uid)
{
    return !span_eq(uid, *(struct span *)data);
}

int net_pod_detach(struct net_pod *net, struct span uid, struct arena *a)
{
    assert(uid.n > 0);
    return release_all(net, is_other, &uid, a);
}

int net_pod_remove(struct net_pod *net, struct arena *a)
{
    assert(a);
    struct os_netlink *nl;
    int code = release_all(net, NULL, NULL, a);
    int one = os_netlink_open(-1, &nl);
    if (one == 0) {
        one = os_netlink_link_delete(nl, net->bridge);
        os_netlink_free(nl);
    }
    code = code ? code : one;
    struct os_nft_service_table services;
    (void)net_pod_service_table(net, &services);
    one = os_nft_table_remove(services.table);
    code = code ? code : one;
    one = os_nft_table_remove(net->table);
    code = code ? code : one;
    one = os_fs_remove_tree_at(net->state_dir);
    return code ? code : one;
}
