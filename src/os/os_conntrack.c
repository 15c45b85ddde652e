#include "os/os_conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/vec.h"
#include "os/os_mnl_priv.h"

enum { TUPLE_BYTES = 96, ATTEMPTS = 5 };

/* One direction of a connection, host byte order. */
struct tuple {
    uint32_t from, to;
    uint16_t from_port, to_port;
    uint8_t protocol;
};

/* The kernel's own words for the original direction: what a deletion names. */
struct doomed {
    uint8_t bytes[TUPLE_BYTES];
    uint16_t n;
};

struct sweep {
    const struct os_conntrack_way *ways;
    size_t count;
    VEC(uint32_t) own; /* this machine's addresses, when a way is a host port */
    VEC(struct doomed) doomed;
};

static int by_key(const void *a, const void *b)
{
    const struct os_nft_service_key *x = &((const struct os_conntrack_way *)a)->key,
                                    *y = &((const struct os_conntrack_way *)b)->key;
    int addr = (x->addr > y->addr) - (x->addr < y->addr);
    int port = (x->port > y->port) - (x->port < y->port);
    return addr ? addr : port ? port : (x->protocol > y->protocol) - (x->protocol < y->protocol);
}

static const struct os_conntrack_way *find(const struct sweep *s, const struct tuple *t,
                                           uint32_t addr)
{
    const struct os_conntrack_way like = {
        .key = {.addr = addr, .port = t->to_port, .protocol = t->protocol}};
    return bsearch(&like, s->ways, s->count, sizeof like, by_key);
}

static bool is_own(const struct sweep *s, uint32_t addr)
{
    bool own = addr >> 24 == 127;
    for (size_t i = 0; i < s->own.n && !own; i++) {
        own = s->own.at[i] == addr;
    }
    return own;
}

static void read_own(struct sweep *s)
{
    struct ifaddrs *all = NULL;
    bool wanted = false;
    for (size_t i = 0; i < s->count; i++) {
        wanted |= s->ways[i].key.host;
    }
    if (!wanted || getifaddrs(&all) != 0) {
        return;
    }
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct sockaddr_in in;
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
            memcpy(&in, i->ifa_addr, sizeof in);
            VEC_PUSH(&s->own, ntohl(in.sin_addr.s_addr));
        }
    }
    freeifaddrs(all);
}

static bool leads_to(const struct os_conntrack_way *way, const struct tuple *reply)
{
    for (size_t i = 0; i < way->to_count; i++) {
        if (way->to[i].addr == reply->from && way->to[i].port == reply->from_port) {
            return true;
        }
    }
    return false;
}

/* ---- reading ---- */

static int on_ip(const struct nlattr *a, void *data)
{
    struct tuple *t = data;
    if (mnl_attr_get_payload_len(a) >= 4) {
        uint32_t v;
        memcpy(&v, mnl_attr_get_payload(a), sizeof v);
        if (mnl_attr_get_type(a) == CTA_IP_V4_SRC) {
            t->from = ntohl(v);
        } else if (mnl_attr_get_type(a) == CTA_IP_V4_DST) {
            t->to = ntohl(v);
        }
    }
    return MNL_CB_OK;
}

static int on_protocol(const struct nlattr *a, void *data)
{
    struct tuple *t = data;
    uint16_t port = 0, n = mnl_attr_get_payload_len(a), type = mnl_attr_get_type(a);
    if (type == CTA_PROTO_NUM && n >= 1) {
        t->protocol = mnl_attr_get_u8(a);
    } else if (n >= 2) {
        memcpy(&port, mnl_attr_get_payload(a), sizeof port);
        if (type == CTA_PROTO_SRC_PORT) {
            t->from_port = ntohs(port);
        } else if (type == CTA_PROTO_DST_PORT) {
            t->to_port = ntohs(port);
        }
    }
    return MNL_CB_OK;
}

static int on_tuple(const struct nlattr *a, void *data)
{
    if (mnl_attr_get_type(a) == CTA_TUPLE_IP) {
        return mnl_attr_parse_nested(a, on_ip, data);
    }
    return mnl_attr_get_type(a) == CTA_TUPLE_PROTO ? mnl_attr_parse_nested(a, on_protocol, data)
                                                   : MNL_CB_OK;
}

static int on_connection(const struct nlmsghdr *h, void *data)
{
    struct sweep *s = data;
    struct tuple original = {0}, reply = {0};
    struct doomed d = {.n = 0};
    struct nlattr *a;
    uint32_t status = 0;
    mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
    {
        uint16_t type = mnl_attr_get_type(a), n = mnl_attr_get_payload_len(a);
        if (type == CTA_TUPLE_ORIG) {
            (void)mnl_attr_parse_nested(a, on_tuple, &original);
            if (n <= sizeof d.bytes) {
                memcpy(d.bytes, mnl_attr_get_payload(a), n);
                d.n = n;
            }
        } else if (type == CTA_TUPLE_REPLY) {
            (void)mnl_attr_parse_nested(a, on_tuple, &reply);
        } else if (type == CTA_STATUS && n >= 4) {
            status = ntohl(mnl_attr_get_u32(a));
        }
    }
    const struct os_conntrack_way *way = find(s, &original, original.to);
    if (!way) {
        way = find(s, &original, 0);
        bool counts = way && (status & IPS_DST_NAT || (way->key.host && is_own(s, original.to)));
        way = counts ? way : NULL;
    }
    if (way && d.n && !leads_to(way, &reply)) {
        VEC_PUSH(&s->doomed, d);
    }
    return MNL_CB_OK;
}

static struct nlmsghdr *message(char *buf, uint16_t type, uint16_t flags, uint32_t seq)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    h->nlmsg_seq = seq;
    struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = AF_INET;
    g->version = NFNETLINK_V0;
    return h;
}

static int end_them(struct mnl_socket *sock, const struct sweep *s)
{
    char buf[1024];
    int ended = 0;
    for (size_t i = 0; i < s->doomed.n; i++) {
        struct nlmsghdr *h = message(buf, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, (uint32_t)i + 2);
        mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, s->doomed.at[i].n, s->doomed.at[i].bytes);
        int code = os_mnl_talk(sock, h, NULL, NULL);
        if (code < 0 && code != -ENOENT) { /* it may have ended by itself */
            return code;
        }
        ended += code == 0;
    }
    return ended;
}

int os_conntrack_forget(struct os_conntrack_way *ways, size_t count)
{
    assert(ways || count == 0);
    char buf[256];
    if (count == 0) {
        return 0;
    }
    qsort(ways, count, sizeof *ways, by_key);
    struct sweep s = {.ways = ways, .count = count};
    read_own(&s);
    struct mnl_socket *sock;
    int code = os_mnl_open(NETLINK_NETFILTER, &sock);
    code = code ? code : -EINTR;
    for (int i = 0; i < ATTEMPTS && code == -EINTR; i++) {
        s.doomed.n = 0;
        code = os_mnl_talk(sock, message(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 1), on_connection, &s);
    }
    code = code < 0 ? code : end_them(sock, &s);
    if (sock) {
        (void)mnl_socket_close(sock);
    }
    VEC_DONE(&s.doomed);
    VEC_DONE(&s.own);
    return code;
}
