/* nftables transactions. */
#include "os/os_nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "os/os_mnl_priv.h"
#include "os/os_nft_priv.h"

enum { PRIORITY_SRCNAT = 100 };

struct os_nft_batch {
    struct strbuf out;
    uint32_t seq;
    size_t last_at; /* where the last message begins in `out`: it alone asks to be acknowledged */
    uint64_t made;  /* the handle of the table that the last commit made afresh */
    /* Stays open from commit to commit: the kernel ends a socket only after what its last
     * transaction removed is out of use, some 20 ms later. NULL: none. */
    struct mnl_socket *sock;
};

static void put_begin(struct os_nft_batch *b)
{
    char buf[256];
    struct nlmsghdr *h = nftnl_batch_begin(buf, b->seq++);
    strbuf_put(&b->out, span_of(buf, h->nlmsg_len));
}

struct os_nft_batch *os_nft_batch_new(void)
{
    struct os_nft_batch *b = MEM_NEW(struct os_nft_batch);
    b->seq = 1;
    put_begin(b);
    return b;
}

static void hang_up(struct os_nft_batch *b)
{
    if (b->sock) {
        (void)mnl_socket_close(b->sock);
    }
    b->sock = NULL;
}

void os_nft_batch_free(struct os_nft_batch *b)
{
    if (b) {
        hang_up(b);
        strbuf_done(&b->out);
    }
    free(b);
}

struct nlmsghdr *os_nft_message(struct os_nft_batch *b, char *buf, uint16_t type, uint16_t flags)
{
    assert(b->seq > 0);
    assert(buf);
    return nftnl_nlmsg_build_hdr(buf, type, NFPROTO_IPV4, flags, b->seq++);
}

void os_nft_put(struct os_nft_batch *b, const struct nlmsghdr *h)
{
    assert(h->nlmsg_len <= OS_NFT_MESSAGE_BYTES);
    b->last_at = b->out.n;
    strbuf_put(&b->out, span_of(h, h->nlmsg_len));
}

uint32_t os_nft_batch_id(const struct os_nft_batch *b)
{
    /* Each set takes messages of its own, so the sequence has moved on by the next call. */
    return b->seq + 16;
}

static void put_table(struct os_nft_batch *b, const char *table, uint16_t type, uint16_t flags)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nftnl_table *t = nftnl_table_alloc();
    assert(t);
    nftnl_table_set_str(t, NFTNL_TABLE_NAME, table);
    nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_IPV4);
    struct nlmsghdr *h = os_nft_message(b, buf, type, flags);
    nftnl_table_nlmsg_build_payload(h, t);
    nftnl_table_free(t);
    os_nft_put(b, h);
}

void os_nft_table_add(struct os_nft_batch *b, const char *table, bool fresh)
{
    assert(table);
    put_table(b, table, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    if (fresh) {
        put_table(b, table, NFT_MSG_DELTABLE, 0);
        put_table(b, table, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ECHO);
    }
}

void os_nft_chain_add(struct os_nft_batch *b, const char *table, const char *chain,
                      const char *type, uint32_t hook, int32_t priority)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nftnl_chain *c = nftnl_chain_alloc();
    assert(c);
    nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table);
    nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain);
    if (type) {
        nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, type);
        nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook);
        nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, priority);
        nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
    }
    struct nlmsghdr *h = os_nft_message(b, buf, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    nftnl_chain_nlmsg_build_payload(h, c);
    nftnl_chain_free(c);
    os_nft_put(b, h);
}

void os_nft_rule_add(struct os_nft_batch *b, struct nftnl_rule *rule)
{
    assert(rule);
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nlmsghdr *h = os_nft_message(b, buf, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nftnl_rule_nlmsg_build_payload(h, rule);
    nftnl_rule_free(rule);
    os_nft_put(b, h);
}

uint64_t os_nft_made(const struct os_nft_batch *b)
{
    return b->made;
}

/* The kernel acknowledges the last message of the batch (many acknowledgements would not fit into
 * the socket's buffer), or reports the failing ones; a table made afresh comes before. */
static int receive(struct mnl_socket *sock, uint32_t last, uint64_t *made)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    int code = 0;
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(sock, buf, sizeof buf);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        int left = (int)n;
        for (const struct nlmsghdr *h = (const void *)buf; mnl_nlmsg_ok(h, left);
             h = mnl_nlmsg_next(h, &left)) {
            const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
            if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE)) {
                os_nft_table_parse(h, made);
            }
            if (h->nlmsg_type != NLMSG_ERROR) {
                continue;
            }
            code = code ? code : e->error;
            /* An error of the batch itself comes with the sequence of its begin or end message. */
            if (h->nlmsg_seq >= last || h->nlmsg_seq <= 1 || code) {
                return code;
            }
        }
    }
}

static int transmit(struct mnl_socket *sock, const struct os_nft_batch *b)
{
    /* A batch is one datagram: the buffer must hold all of it, with the kernel's own overhead. */
    int room = (int)(b->out.n * 2 + 65536);
    if (b->out.n > 65536 &&
        setsockopt(mnl_socket_get_fd(sock), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0) {
        return -errno;
    }
    return mnl_socket_sendto(sock, b->out.p, b->out.n) < 0 ? -errno : 0;
}

int os_nft_commit(struct os_nft_batch *b)
{
    char buf[256];
    uint32_t last = b->seq - 1;
    assert(last <= 1 || b->last_at + sizeof(struct nlmsghdr) <= b->out.n);
    struct nlmsghdr *h = nftnl_batch_end(buf, b->seq++);
    strbuf_put(&b->out, span_of(buf, h->nlmsg_len));
    if (last > 1) {
        ((struct nlmsghdr *)(void *)(b->out.p + b->last_at))->nlmsg_flags |= NLM_F_ACK;
    }
    int code = 0;
    b->made = 0;
    if (!b->sock) {
        code = os_mnl_open(NETLINK_NETFILTER, &b->sock);
    }
    if (code == 0 && last > 1) {
        code = transmit(b->sock, b);
        code = code ? code : receive(b->sock, last, &b->made);
    }
    if (code) {
        hang_up(b); /* what else it may have to say is not for the next transaction */
    }
    strbuf_clear(&b->out);
    b->seq = 1;
    put_begin(b);
    return code;
}

int os_nft_table_remove(const char *table)
{
    assert(table);
    struct os_nft_batch *b = os_nft_batch_new();
    put_table(b, table, NFT_MSG_DELTABLE, 0);
    int code = os_nft_commit(b);
    os_nft_batch_free(b);
    return code == -ENOENT ? 0 : code;
}

/* ---- rules ---- */

struct nftnl_rule *os_nft_rule(const char *table, const char *chain)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();
    assert(rule);
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
    nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_IPV4);
    return rule;
}

struct nftnl_expr *os_nft_expr(struct nftnl_rule *rule, const char *kind)
{
    struct nftnl_expr *e = nftnl_expr_alloc(kind);
    assert(e);
    nftnl_rule_add_expr(rule, e);
    return e;
}

void os_nft_load(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t len,
                 uint32_t reg)
{
    assert(rule);
    assert(len > 0);
    struct nftnl_expr *e = os_nft_expr(rule, "payload");
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
}

void os_nft_meta(struct nftnl_rule *rule, uint32_t key, uint32_t reg)
{
    assert(rule);
    struct nftnl_expr *e = os_nft_expr(rule, "meta");
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, reg);
}

void os_nft_cmp(struct nftnl_rule *rule, uint32_t op, const void *data, uint32_t n)
{
    assert(data);
    assert(n > 0);
    struct nftnl_expr *e = os_nft_expr(rule, "cmp");
    nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
    nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, n);
}

void os_nft_verdict(struct nftnl_rule *rule, uint32_t verdict)
{
    assert(rule);
    struct nftnl_expr *e = os_nft_expr(rule, "immediate");
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, verdict);
}

void os_nft_match_address(struct nftnl_rule *rule, uint32_t offset, uint32_t mask, uint32_t op,
                          uint32_t value)
{
    assert(offset == 12 || offset == 16);
    const uint32_t zero = 0;
    os_nft_load(rule, NFT_PAYLOAD_NETWORK_HEADER, offset, 4, NFT_REG_1);
    struct nftnl_expr *e = os_nft_expr(rule, "bitwise");
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, 4);
    nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof mask);
    nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, &zero, sizeof zero);
    os_nft_cmp(rule, op, &value, sizeof value);
}

void os_nft_match_oifname(struct nftnl_rule *rule, uint32_t op, const char *link)
{
    assert(strlen(link) < IFNAMSIZ);
    char name[IFNAMSIZ] = {0};
    memcpy(name, link, strlen(link));
    os_nft_meta(rule, NFT_META_OIFNAME, NFT_REG_1);
    os_nft_cmp(rule, op, name, sizeof name);
}

/* ---- masquerade ---- */

int os_nft_masquerade(const char *table, uint32_t net, unsigned prefix, const char *bridge,
                      uint64_t *ret)
{
    enum { SADDR = 12, DADDR = 16 };
    assert(prefix >= 1);
    assert(prefix <= 32);
    assert(strlen(bridge) < IFNAMSIZ);
    uint32_t host_mask = ~0u << (32 - prefix);
    uint32_t mask = htonl(host_mask), value = htonl(net & host_mask);
    struct os_nft_batch *b = os_nft_batch_new();
    os_nft_table_add(b, table, true);
    os_nft_chain_add(b, table, "postrouting", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
    struct nftnl_rule *rule = os_nft_rule(table, "postrouting");
    os_nft_match_address(rule, SADDR, mask, NFT_CMP_EQ, value);
    os_nft_match_address(rule, DADDR, mask, NFT_CMP_NEQ, value);
    os_nft_match_oifname(rule, NFT_CMP_NEQ, bridge);
    (void)os_nft_expr(rule, "masq");
    os_nft_rule_add(b, rule);
    int code = os_nft_commit(b);
    *ret = os_nft_made(b);
    os_nft_batch_free(b);
    return code;
}
