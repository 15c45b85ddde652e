#include "os/os_nft_service.h"

#include <arpa/inet.h>
#include <libnftnl/chain.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "os/os_nft_priv.h"

enum {
    IP_SADDR = 12,
    IP_DADDR = 16,
    TH_DPORT = 2,
    PRIORITY_DSTNAT = -100,
    PRIORITY_FILTER = 0,
    PRIORITY_BEFORE_SRCNAT = 90, /* our masquerade for hairpins has the first word */
    ELEMENTS_A_MESSAGE = 128,    /* about 48 bytes each */
    CHAIN_NAME = 48,
    /* nft's numbers for types, so that `nft list` shows what is meant; six bits each when joined */
    TYPE_INTEGER = 4,
    TYPE_ADDRESS = 7,
    TYPE_PROTOCOL = 12,
    TYPE_PORT = 13,
    TYPE_KEY = TYPE_ADDRESS << 12 | TYPE_PROTOCOL << 6 | TYPE_PORT,
    TYPE_ENDPOINT = TYPE_ADDRESS << 6 | TYPE_PORT,
    TYPE_PAIR = TYPE_ADDRESS << 6 | TYPE_ADDRESS,
};

static const char services_map[] = "services", hairpin_set[] = "hairpin";

/* Joined keys: each part fills whole words of four bytes. */
struct key {
    uint32_t addr;
    uint8_t protocol, pad1[3];
    uint16_t port, pad2;
};
struct endpoint {
    uint32_t addr;
    uint16_t port, pad;
};
struct pair {
    uint32_t from, to;
};

static struct nftnl_set *set_of(const char *table, const char *name, uint32_t id)
{
    struct nftnl_set *s = nftnl_set_alloc();
    assert(s);
    nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
    nftnl_set_set_str(s, NFTNL_SET_NAME, name);
    nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_IPV4);
    nftnl_set_set_u32(s, NFTNL_SET_ID, id);
    return s;
}

static void put_set(struct os_nft_batch *b, struct nftnl_set *s)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nlmsghdr *h = os_nft_message(b, buf, NFT_MSG_NEWSET, NLM_F_CREATE);
    nftnl_set_nlmsg_build_payload(h, s);
    os_nft_put(b, h);
}

/* Puts the set's elements as one message and drops the set. */
static void put_elements(struct os_nft_batch *b, struct nftnl_set *s, uint16_t type, uint16_t flags)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nlmsghdr *h = os_nft_message(b, buf, type, flags);
    nftnl_set_elems_nlmsg_build_payload(h, s);
    nftnl_set_free(s);
    os_nft_put(b, h);
}

static struct nftnl_set_elem *element(struct nftnl_set *s, const void *key, uint32_t n)
{
    struct nftnl_set_elem *e = nftnl_set_elem_alloc();
    assert(e);
    nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, key, n);
    nftnl_set_elem_add(s, e);
    return e;
}

static void lookup(struct nftnl_rule *rule, const char *set, uint32_t id)
{
    struct nftnl_expr *e = os_nft_expr(rule, "lookup");
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, id);
}

static void lookup_map(struct nftnl_rule *rule, const char *set, uint32_t id, uint32_t reg)
{
    struct nftnl_expr *e = os_nft_expr(rule, "lookup");
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, reg);
    nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, id);
}

/* ---- the table ---- */

static void put_services_map(struct os_nft_batch *b, const char *table)
{
    struct nftnl_set *s = set_of(table, services_map, 1);
    nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_MAP);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, TYPE_KEY);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sizeof(struct key));
    nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, 0);
    put_set(b, s);
    nftnl_set_free(s);
}

static void put_hairpin_set(struct os_nft_batch *b, const struct os_nft_service_table *t)
{
    assert(t->pods_prefix >= OS_NFT_PODS_PREFIX_MIN && t->pods_prefix <= 32);
    struct nftnl_set *s = set_of(t->table, hairpin_set, 2);
    uint32_t count = 1u << (32 - t->pods_prefix);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, TYPE_PAIR);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sizeof(struct pair));
    put_set(b, s);
    nftnl_set_free(s);
    for (uint32_t i = 0; i < count;) {
        s = set_of(t->table, hairpin_set, 2);
        for (uint32_t end = i + ELEMENTS_A_MESSAGE; i < end && i < count; i++) {
            uint32_t addr = htonl(t->pods + i);
            const struct pair p = {addr, addr};
            (void)element(s, &p, sizeof p);
        }
        put_elements(b, s, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    }
}

static void put_dispatch(struct os_nft_batch *b, const char *table, const char *chain)
{
    struct nftnl_rule *rule = os_nft_rule(table, chain);
    os_nft_load(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_DADDR, 4, NFT_REG32_00);
    os_nft_meta(rule, NFT_META_L4PROTO, NFT_REG32_01);
    os_nft_load(rule, NFT_PAYLOAD_TRANSPORT_HEADER, TH_DPORT, 2, NFT_REG32_02);
    lookup_map(rule, services_map, 1, NFT_REG_VERDICT);
    os_nft_rule_add(b, rule);
}

/* tcp: with a reset, which no rate limit holds back; else with "port unreachable". */
static void put_refusal(struct os_nft_batch *b, const struct os_nft_service_table *t,
                        const char *chain, bool tcp)
{
    const uint8_t protocol = IPPROTO_TCP;
    uint32_t mask = htonl(t->services_prefix ? ~0u << (32 - t->services_prefix) : 0);
    struct nftnl_rule *rule = os_nft_rule(t->table, chain);
    os_nft_match_address(rule, IP_DADDR, mask, NFT_CMP_EQ, htonl(t->services) & mask);
    os_nft_match_oifname(rule, NFT_CMP_EQ, t->bridge);
    if (tcp) {
        os_nft_meta(rule, NFT_META_L4PROTO, NFT_REG_1);
        os_nft_cmp(rule, NFT_CMP_EQ, &protocol, sizeof protocol);
    }
    struct nftnl_expr *e = os_nft_expr(rule, "reject");
    nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE,
                       tcp ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMP_UNREACH);
    nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, tcp ? 0 : 3 /* port unreachable */);
    os_nft_rule_add(b, rule);
}

static void put_hairpin(struct os_nft_batch *b, const char *table)
{
    struct nftnl_rule *rule = os_nft_rule(table, "hairpin");
    os_nft_load(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_SADDR, 4, NFT_REG32_00);
    os_nft_load(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_DADDR, 4, NFT_REG32_01);
    lookup(rule, hairpin_set, 2);
    (void)os_nft_expr(rule, "masq");
    os_nft_rule_add(b, rule);
}

void os_nft_service_reset(struct os_nft_batch *b, const struct os_nft_service_table *t)
{
    static const struct {
        const char *name, *type;
        uint32_t hook;
        int32_t priority;
    } chains[] = {
        {"from-outside", "nat", NF_INET_PRE_ROUTING, PRIORITY_DSTNAT},
        {"from-node", "nat", NF_INET_LOCAL_OUT, PRIORITY_DSTNAT},
        {"hairpin", "nat", NF_INET_POST_ROUTING, PRIORITY_BEFORE_SRCNAT},
        {"refuse-outside", "filter", NF_INET_FORWARD, PRIORITY_FILTER},
        {"refuse-node", "filter", NF_INET_LOCAL_OUT, PRIORITY_FILTER},
    };
    os_nft_table_add(b, t->table, true);
    put_services_map(b, t->table);
    put_hairpin_set(b, t);
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        os_nft_chain_add(b, t->table, chains[i].name, chains[i].type, chains[i].hook,
                         chains[i].priority);
    }
    put_dispatch(b, t->table, "from-outside");
    put_dispatch(b, t->table, "from-node");
    put_hairpin(b, t->table);
    put_refusal(b, t, "refuse-outside", true);
    put_refusal(b, t, "refuse-outside", false);
    put_refusal(b, t, "refuse-node", true);
    put_refusal(b, t, "refuse-node", false);
}

/* ---- one service port ---- */

static void chain_name(struct os_nft_service_key k, char name[CHAIN_NAME])
{
    assert(k.protocol == IPPROTO_TCP || k.protocol == IPPROTO_UDP);
    (void)snprintf(name, CHAIN_NAME, "%u.%u.%u.%u-%s-%u", k.addr >> 24, k.addr >> 16 & 255,
                   k.addr >> 8 & 255, k.addr & 255, k.protocol == IPPROTO_TCP ? "tcp" : "udp",
                   (unsigned)k.port);
}

/* The map's element of the key: add or delete. */
static void put_key(struct os_nft_batch *b, const char *table, struct os_nft_service_key k,
                    const char *chain, bool add)
{
    const struct key key = {.addr = htonl(k.addr), .protocol = k.protocol, .port = htons(k.port)};
    struct nftnl_set *s = set_of(table, services_map, 0);
    struct nftnl_set_elem *e = element(s, &key, sizeof key);
    if (add) {
        nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_VERDICT, (uint32_t)NFT_GOTO);
        nftnl_set_elem_set_str(e, NFTNL_SET_ELEM_CHAIN, chain);
    }
    nftnl_set_unset(s, NFTNL_SET_ID);
    put_elements(b, s, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
}

/* Deletes all rules of the chain, or the chain itself. */
static void put_chain_delete(struct os_nft_batch *b, const char *table, const char *chain,
                             bool itself)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nlmsghdr *h;
    if (itself) {
        struct nftnl_chain *c = nftnl_chain_alloc();
        assert(c);
        nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table);
        nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain);
        h = os_nft_message(b, buf, NFT_MSG_DELCHAIN, 0);
        nftnl_chain_nlmsg_build_payload(h, c);
        nftnl_chain_free(c);
    } else {
        struct nftnl_rule *r = os_nft_rule(table, chain);
        h = os_nft_message(b, buf, NFT_MSG_DELRULE, 0);
        nftnl_rule_nlmsg_build_payload(h, r);
        nftnl_rule_free(r);
    }
    os_nft_put(b, h);
}

/* A map without a name, which goes with the rule that uses it: number -> endpoint. */
static void put_endpoints(struct os_nft_batch *b, const char *table, uint32_t id,
                          const struct os_nft_endpoint *endpoints, uint32_t count)
{
    struct nftnl_set *s = set_of(table, "__map%d", id);
    nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_MAP);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, TYPE_INTEGER);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, 4);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, TYPE_ENDPOINT);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, sizeof(struct endpoint));
    nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, count);
    put_set(b, s);
    nftnl_set_free(s);
    for (uint32_t i = 0; i < count;) {
        s = set_of(table, "__map%d", id);
        for (uint32_t end = i + ELEMENTS_A_MESSAGE; i < end && i < count; i++) {
            const struct endpoint to = {.addr = htonl(endpoints[i].addr),
                                        .port = htons(endpoints[i].port)};
            struct nftnl_set_elem *e = element(s, &i, sizeof i);
            nftnl_set_elem_set(e, NFTNL_SET_ELEM_DATA, &to, sizeof to);
        }
        put_elements(b, s, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    }
}

void os_nft_service_set(struct os_nft_batch *b, const char *table, struct os_nft_service_key key,
                        bool exists, const struct os_nft_endpoint *endpoints, size_t count)
{
    assert(count > 0 && count <= OS_NFT_ENDPOINTS_MAX);
    char chain[CHAIN_NAME];
    chain_name(key, chain);
    uint32_t id = os_nft_batch_id(b);
    if (exists) {
        put_chain_delete(b, table, chain, false);
    } else {
        os_nft_chain_add(b, table, chain, NULL, 0, 0);
    }
    put_endpoints(b, table, id, endpoints, (uint32_t)count);
    struct nftnl_rule *rule = os_nft_rule(table, chain);
    struct nftnl_expr *e = os_nft_expr(rule, "numgen");
    nftnl_expr_set_u32(e, NFTNL_EXPR_NG_DREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, (uint32_t)count);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
    lookup_map(rule, "__map%d", id, NFT_REG_1);
    e = os_nft_expr(rule, "nat");
    nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, NFPROTO_IPV4);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG32_00);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, NFT_REG32_01);
    os_nft_rule_add(b, rule);
    if (!exists) {
        put_key(b, table, key, chain, true);
    }
}

void os_nft_service_remove(struct os_nft_batch *b, const char *table, struct os_nft_service_key key)
{
    char chain[CHAIN_NAME];
    chain_name(key, chain);
    put_key(b, table, key, chain, false);
    put_chain_delete(b, table, chain, true);
}
