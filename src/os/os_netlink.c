/* rtnetlink over libmnl. */
#include "os/os_netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "os/os_mnl_priv.h"
#include "os/os_ns.h"

struct os_netlink {
    struct mnl_socket *sock;
    uint32_t seq;
    char buf[OS_MNL_MESSAGE_BYTES]; /* of requests */
};

static int open_here(void *data)
{
    struct os_netlink *nl = data;
    return os_mnl_open(NETLINK_ROUTE, &nl->sock);
}

int os_netlink_open(int nsfd, struct os_netlink **ret)
{
    assert(ret);
    struct os_netlink *nl = MEM_NEW(struct os_netlink);
    int code = nsfd >= 0 ? os_ns_run_in_net(nsfd, open_here, nl) : open_here(nl);
    if (code) {
        os_netlink_free(nl);
        return code;
    }
    *ret = nl;
    return 0;
}

void os_netlink_free(struct os_netlink *nl)
{
    if (nl && nl->sock) {
        (void)mnl_socket_close(nl->sock);
    }
    free(nl);
}

static struct nlmsghdr *message(struct os_netlink *nl, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(nl->buf);
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    h->nlmsg_seq = ++nl->seq;
    return h;
}

static int talk(struct os_netlink *nl, const struct nlmsghdr *h, mnl_cb_t cb, void *data)
{
    return os_mnl_talk(nl->sock, h, cb, data);
}

/* ---- links ---- */

struct link_info {
    int index;
    unsigned mtu;
};

static int on_link(const struct nlmsghdr *h, void *data)
{
    const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
    struct link_info *info = data;
    const struct nlattr *attr;
    info->index = m->ifi_index;
    mnl_attr_for_each(attr, h, sizeof *m)
    {
        if (mnl_attr_get_type(attr) == IFLA_MTU) {
            info->mtu = mnl_attr_get_u32(attr);
        }
    }
    return MNL_CB_OK;
}

static int get_link(struct os_netlink *nl, const char *name, int index, struct link_info *ret)
{
    struct nlmsghdr *h = message(nl, RTM_GETLINK, 0);
    struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifi_index = index;
    if (name) {
        mnl_attr_put_strz(h, IFLA_IFNAME, name);
    }
    *ret = (struct link_info){0};
    return talk(nl, h, on_link, ret);
}

int os_netlink_index(struct os_netlink *nl, const char *name)
{
    assert(nl);
    assert(name);
    struct link_info info;
    int code = get_link(nl, name, 0, &info);
    return code ? code : info.index;
}

int os_netlink_up(struct os_netlink *nl, int index)
{
    assert(index > 0);
    struct nlmsghdr *h = message(nl, RTM_NEWLINK, 0);
    struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifi_index = index;
    m->ifi_flags = m->ifi_change = IFF_UP;
    return talk(nl, h, NULL, NULL);
}

int os_netlink_bridge_ensure(struct os_netlink *nl, const char *name, const uint8_t mac[6],
                             unsigned mtu)
{
    assert(name);
    assert(mac);
    struct nlmsghdr *h = message(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifi_flags = m->ifi_change = IFF_UP;
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
    mnl_attr_put_u32(h, IFLA_MTU, mtu);
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
    mnl_attr_nest_end(h, info);
    int code = talk(nl, h, NULL, NULL);
    if (code != -EEXIST) {
        return code;
    }
    int index = os_netlink_index(nl, name);
    return index < 0 ? index : os_netlink_up(nl, index);
}

int os_netlink_veth_create(struct os_netlink *nl, const char *name, int bridge_index,
                           const char *peer, int peer_nsfd, const uint8_t mac[6], unsigned mtu)
{
    assert(bridge_index > 0);
    assert(peer_nsfd >= 0);
    struct nlmsghdr *h = message(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifi_flags = m->ifi_change = IFF_UP;
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    mnl_attr_put_u32(h, IFLA_MTU, mtu);
    mnl_attr_put_u32(h, IFLA_MASTER, (uint32_t)bridge_index);
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
    struct nlattr *other = mnl_attr_nest_start(h, VETH_INFO_PEER);
    struct ifinfomsg *pm = mnl_nlmsg_put_extra_header(h, sizeof *pm);
    (void)pm; /* the peer cannot be brought up before the pair exists */
    mnl_attr_put_strz(h, IFLA_IFNAME, peer);
    mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
    mnl_attr_put_u32(h, IFLA_MTU, mtu);
    mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)peer_nsfd);
    mnl_attr_nest_end(h, other);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
    return talk(nl, h, NULL, NULL);
}

int os_netlink_hairpin(struct os_netlink *nl, int index)
{
    assert(index > 0);
    struct nlmsghdr *h = message(nl, RTM_NEWLINK, 0);
    struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifi_index = index;
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_SLAVE_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_SLAVE_DATA);
    mnl_attr_put_u8(h, IFLA_BRPORT_MODE, 1);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
    return talk(nl, h, NULL, NULL);
}

int os_netlink_link_delete(struct os_netlink *nl, const char *name)
{
    assert(name);
    struct nlmsghdr *h = message(nl, RTM_DELLINK, 0);
    struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    (void)m;
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    int code = talk(nl, h, NULL, NULL);
    return code == -ENODEV ? 0 : code;
}

/* ---- addresses and routes ---- */

static void put_ipv4(struct nlmsghdr *h, uint16_t type, uint32_t addr)
{
    uint8_t b[4] = {(uint8_t)(addr >> 24), (uint8_t)(addr >> 16), (uint8_t)(addr >> 8),
                    (uint8_t)addr};
    mnl_attr_put(h, type, sizeof b, b);
}

int os_netlink_address_ensure(struct os_netlink *nl, int index, uint32_t addr, unsigned prefix)
{
    assert(prefix <= 32);
    struct nlmsghdr *h = message(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifa_family = AF_INET;
    m->ifa_prefixlen = (uint8_t)prefix;
    m->ifa_index = (uint32_t)index;
    put_ipv4(h, IFA_LOCAL, addr);
    put_ipv4(h, IFA_ADDRESS, addr);
    int code = talk(nl, h, NULL, NULL);
    return code == -EEXIST ? 0 : code;
}

int os_netlink_route_ensure(struct os_netlink *nl, int index, uint32_t dst, unsigned prefix,
                            uint32_t gateway, uint32_t src)
{
    assert(prefix <= 32);
    struct nlmsghdr *h = message(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->rtm_family = AF_INET;
    m->rtm_dst_len = (uint8_t)prefix;
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_protocol = RTPROT_STATIC;
    m->rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    m->rtm_type = RTN_UNICAST;
    if (prefix) {
        put_ipv4(h, RTA_DST, dst);
    }
    mnl_attr_put_u32(h, RTA_OIF, (uint32_t)index);
    if (gateway) {
        put_ipv4(h, RTA_GATEWAY, gateway);
    }
    if (src) {
        put_ipv4(h, RTA_PREFSRC, src);
    }
    return talk(nl, h, NULL, NULL);
}

static int on_route(const struct nlmsghdr *h, void *data)
{
    const struct rtmsg *m = mnl_nlmsg_get_payload(h);
    uint32_t *oif = data;
    const struct nlattr *attr;
    if (m->rtm_dst_len != 0 || m->rtm_table != RT_TABLE_MAIN || m->rtm_type != RTN_UNICAST) {
        return MNL_CB_OK;
    }
    mnl_attr_for_each(attr, h, sizeof *m)
    {
        if (mnl_attr_get_type(attr) == RTA_OIF) {
            *oif = mnl_attr_get_u32(attr);
        }
    }
    return MNL_CB_OK;
}

unsigned os_netlink_uplink_mtu(struct os_netlink *nl)
{
    assert(nl);
    enum { MTU_DEFAULT = 1500 };
    struct nlmsghdr *h = message(nl, RTM_GETROUTE, NLM_F_DUMP);
    struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->rtm_family = AF_INET;
    uint32_t oif = 0;
    struct link_info info;
    if (talk(nl, h, on_route, &oif) != 0 || oif == 0 || get_link(nl, NULL, (int)oif, &info) != 0) {
        return MTU_DEFAULT;
    }
    return info.mtu >= 576 ? info.mtu : MTU_DEFAULT;
}
